"""Whatever is typed or sent: the same form, a clear page, or stored as it is; never a 500, never half of it."""

import html
import json
from datetime import date, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from practice import conversations, drafts
from practice.db import db, new_key
from practice.patient_search import PatientSearch, patients_like
from practice.threads import Message
from tests.conftest import Cast
from tests.examples.absences import practice_day
from tests.test_walk import domain

TEXTS = Path(__file__).parent.parent.parent / "shared" / "data" / "text"
OWN = [
    "",
    "   ",
    "\t\n",
    "\0",
    "a\0b",
    "%",
    "_",
    "' OR 1=1 --",
    '"><script>alert(1)</script>',
    "{{ 7 * 7 }}",
    "%(n)s %s {0}",
    "שלום עולם",
    "مرحبا بالعالم",
    "\u202eright to left\u202c",
    "\u200b\u200d\ufeff",
    "e\u0301" * 60,
    "😀👩‍👩‍👧‍👦🏳️‍🌈",
    "𝕌𝕟𝕚𝕔𝕠𝕕𝕖",
    "\x1b[31mred",
    "a\r\nb\rc\nd",
    "x" * 121,
    "x" * 20_001,
    "9" * 30,
    "-0",
    "1e3",
    "NaN",
    "null",
    "true",
    "\ufdfa" * 80,  # folding makes it eighteen times as long
]


def naughty() -> list[str]:
    """Our own list, and the well-known one where it is present."""
    there = TEXTS / "blns.json"
    return OWN + (json.loads(there.read_text()) if there.exists() else [])


def forms(cast: Cast) -> list[tuple]:
    """Each form with its writer, address and valid data; every field of text is tried with every text."""
    day = (date.today() + timedelta(days=5)).isoformat()
    thread = cast.send(cast.sophie, "Appointment")
    appointment = {"facility": cast.linden, "first_day": day, "last_day": day, "reason": "A", "comments": "B", "reviewed": "yes"}
    result = {"media": "Report", "hand_over": "Mail", "all_studies": "Yes", "comments": "C", "reviewed": "yes"}
    others = {"to": cast.communicator("Clinicians"), "title": "T", "body": "B"}
    start = {"patient": cast.sophie.key, "communicator": cast.communicator("Scheduler"), "title": "T", "body": "B"}
    save = {"type": "Others", "title": "New one", "staff": cast.dan.key, "is_in_use": "y", "action": "save"}
    find = {"name": "KWON", "dob": "1978-02-24", "record_number": "1"}
    return [
        (cast.sophie, "/appointments/new", appointment),
        (cast.sophie, "/results/new", result),
        (cast.sophie, "/messages/new", others),
        (cast.sophie, f"/my-info/{cast.value_of(cast.sophie)}/amendment", {"to": "A", "memo": "B"}),
        (cast.sophie, f"/messages/{thread}/replies", {"body": "B"}),
        (cast.sam, f"/staff/messages/{thread}/replies", {"body": "B", "seen": "1", "communicator": ""}),
        (cast.sam, f"/staff/messages/{thread}/receipts", {"version": "1"}),
        (cast.sam, "/staff/messages/new", start),
        (cast.sam, "/staff/searches", {"last_name": "K", "type": "Others", "receiver": "x", "unread": "y"}),
        (cast.sam, "/staff/patients/searches", find),
        (cast.ada, "/admin/communicators", save),
        (cast.anonymous, "/login", {"email": "a@b.example", "password": "p", "next": "/"}),
        (cast.sophie, "/drafts/d1", {"about": "/messages/new", "draft_version": "0", "title": "T", "body": "B"}),
        (cast.sophie, "/messages/search", {"box": "sent", "words": "W", "type": "Others", "first_day": day, "last_day": day}),
        (cast.sophie, "/account/mails", {"notices": "daily"}),
        (cast.sophie, f"/messages/{thread}/cancellation", {}),
    ]


CLEAR = {200, 303, 401, 404, 409, 410, 422, 429}


@pytest.mark.parametrize("number", range(16))
def test_a27_a30_any_text_in_any_field_is_answered_clearly(cast, number):
    player, address, valid = forms(cast)[number]
    token = player.token() or player._first_token()
    texts = OWN if number == 11 else naughty()[:: 2 if number == 2 else 9]
    for name in valid:
        for text in texts if name in ("title", "body", "last_name") else OWN:
            answer = player.post(address, valid | {"key": new_key(), name: text}, token=token)
            assert answer.status_code in CLEAR, f"{name}={text!r}: {answer.status}"


@pytest.mark.parametrize("field", ["first_day", "last_day", "exam_date"])
@pytest.mark.parametrize(
    "bad", ["yesterday", "0000-00-00", "0001-01-01", "9999-99-99", "2026-02-30", "abc", "1e9", "２０２６-０１-０１"]
)
def test_a_date_that_cannot_be_is_refused_with_the_form(cast, field, bad):
    day = (date.today() + timedelta(days=5)).isoformat()
    forms_of = {
        "exam_date": ("/results/new", {"media": "Report", "hand_over": "Mail", "all_studies": "No", "exam_date": day}),
    }
    wish = {"facility": cast.linden, "first_day": day, "last_day": day, "reason": "A reason of mine"}
    address, valid = forms_of.get(field, ("/appointments/new", wish))
    before = domain()
    value = (practice_day() - timedelta(days=1)).isoformat() if bad == "yesterday" else bad
    if (field, bad) in (("exam_date", "yesterday"), ("exam_date", "0001-01-01")):
        return  # an exam may be long ago
    answer = cast.sophie.post(address, valid | {"key": new_key(), field: value})
    assert answer.status_code == 422
    assert address.startswith("/results") or "A reason of mine" in answer.text
    assert domain() == before


def test_a_communicator_switched_off_while_the_patient_was_writing_keeps_the_text_and_offers_the_others(cast):
    form = {"key": new_key(), "to": cast.communicator("IT Manager"), "title": "T", "body": "My long text"}
    cast.change("IT Manager", is_in_use=False)
    before = domain()
    answer = cast.sophie.post("/messages/new", form)
    assert answer.status_code == 422
    assert "My long text" in answer.text and "Clinicians" in answer.text and "IT Manager" not in answer.text
    assert domain() == before


@pytest.mark.parametrize("data", [b'{"body": "x"}', b"\xff\xfe\x00", b"body=%ED%A0%80&title=%00", b"=&&&=", b"a" * 5000])
@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a30_a_body_of_another_kind_is_no_form(cast, data, kind):
    answer = cast.sophie.open("POST", "/messages/new", data=data, content_type=kind)
    assert answer.status_code in (400, 422)


@pytest.mark.parametrize("key", ["9" * 30, "-0", "1e3", "%00", "%ED%A0%80", "..%2f..", "'%20OR%201=1", "x" * 3000, "%25", "א"])
@pytest.mark.parametrize("address", ["/messages/{}", "/my-info/{}/amendment", "/staff/messages/{}", "/admin/communicators/{}"])
def test_a30_a_key_that_is_none_is_the_same_404(cast, address, key):
    player = cast.ada if "admin" in address else cast.sam if "staff" in address else cast.sophie
    assert player.get(address.format(key)).status_code == 404


@pytest.mark.parametrize(
    "query", ["before=x", "after=%00", "filter=' OR 1=1", "draft=" + "z" * 900, "done=<b>", "before=1&before=2"]
)
@pytest.mark.parametrize(
    "address", ["/", "/messages", "/messages/new", "/staff/", "/staff/sent", "/admin/communicators", "/login"]
)
def test_a28_a30_a_strange_query_is_no_error(cast, address, query):
    player = cast.ada if "admin" in address else cast.sam if "staff" in address else cast.sophie
    answer = player.get(f"{address}?{query}")
    assert answer.status_code in (200, 303, 404)
    assert "<b>" not in answer.text


def test_texts_of_many_languages_are_kept_as_they_are(cast):
    there = TEXTS / "hebrew_portal_messages.json"
    if not there.exists():
        pytest.skip("../shared/data/text is not here")
    texts = [t for t in _strings(json.loads(there.read_text())) if len(t) > 20][:10]
    assert texts
    for text in texts:
        cast.send(cast.sophie, body=text)
    db.session.close()
    kept = set(db.session.scalars(sa.select(Message.body)))
    assert all(text.strip().replace("\r\n", "\n") in kept for text in texts)


def test_names_of_thirty_locales_are_found_by_their_beginning(cast):
    there, edges = TEXTS / "names_30_locales.jsonl", TEXTS / "name_edge_cases.json"
    if not there.exists():
        pytest.skip("../shared/data/text is not here")
    names = [json.loads(line)["name"] for line in there.read_text().splitlines() if line.strip()][::20][:30]
    names += [
        edge["name"] for edge in json.loads(edges.read_text()) if edge["name"].strip("\0 \t\n") and "\0" not in edge["name"]
    ]
    for n, last in enumerate(names):
        made = cast.patient(f"p{n}", last[:100], number=n, record_number=None)
        assert made.id in patients_like(PatientSearch(last=last[: max(2, len(last) // 2)].lower()), limit=200), last


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for child in children for text in _strings(child)]


WRITTEN = (
    ("/messages/new", ("title", "body")),
    ("/appointments/new", ("reason", "comments")),
    ("/results/new", ("comments",)),
    ("/my-info/{value}/amendment", ("to", "memo")),
    ("/messages/{thread}/replies", ("body",)),
    ("/drafts/d1", ("title", "body")),
)


@pytest.mark.parametrize(("where", "names"), WRITTEN)
def test_every_text_of_the_well_known_list_in_every_field_of_a_patient_is_kept_or_shown_again(cast, monkeypatch, where, names):
    monkeypatch.setattr(conversations, "HOURLY", 10**6)
    monkeypatch.setattr(conversations, "DAILY", 10**6)
    monkeypatch.setattr(drafts, "DRAFTS_MAX", 10**6)
    day = (date.today() + timedelta(days=5)).isoformat()
    thread = cast.send(cast.sophie, "Appointment")
    address = where.format(value=cast.value_of(cast.sophie), thread=thread)
    valid = {
        "to": cast.communicator("Clinicians"),
        "facility": cast.linden, "first_day": day, "last_day": day, "reason": "A",
        "media": "Report", "hand_over": "Mail", "all_studies": "Yes",
        "about": "/messages/new", "draft_version": "0", "reviewed": "yes", "warned": "yes",
    }  # fmt: skip
    token = cast.sophie.token() or cast.sophie._first_token()
    texts = naughty() if db.session.get_bind().dialect.name == "sqlite" else naughty()[::5]  # some minutes of it are enough
    for text in texts:
        draft = {"key": new_key()} if "drafts" not in where else {}
        path = address if draft else f"/drafts/{new_key()}"
        answer = cast.sophie.post(path, valid | draft | dict.fromkeys(names, text), token=token)
        assert answer.status_code in (303, 422), f"{text!r}: {answer.status}"
        if answer.status_code == 422:
            shown = html.unescape(answer.text)
            kept = text.replace("\0", "").splitlines() if conversations.is_visible(text) else []
            assert "Error:" in shown and all(line.strip() in shown for line in kept), text
        else:
            assert draft == {} or cast.sophie.get(answer.location).status_code == 200, text
