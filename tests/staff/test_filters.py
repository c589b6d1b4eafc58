"""The In Box by every filter, alone and together: compared with what a plain loop over all threads finds."""

import re
from datetime import timedelta
from itertools import combinations

import pytest
import sqlalchemy as sa

from practice import conversations, inbox, threads
from practice.calendar import local_day
from practice.db import WRITE, clock_at, db, now
from practice.people import Patient, Person
from practice.settings import Practice
from practice.threads import Thread
from tests.staff.helpers import reply, rows
from tests.staff.test_inbox import searched

DAY = timedelta(days=1)


@pytest.fixture
def small_pages(monkeypatch):
    for module in (threads, inbox):
        monkeypatch.setattr(module, "PAGE", 3)
    inbox._list.cache_clear()
    yield
    inbox._list.cache_clear()


@pytest.fixture
def full(cast):
    """A box with threads of every kind: three patients, types, days, marks."""
    novak = cast.patient("ivana", "NOVÁK", number=60)
    patients, keys = [cast.sophie, cast.jihae, novak], []
    for number in range(12):
        with clock_at(now() - DAY * (12 - number)):
            words = "I have chest pain" if number % 5 == 0 else "Hello"
            kind = ("Appointment", "Others")[number % 2]
            keys.append(cast.send(patients[number % 3], kind, body=words))
    for number, key in enumerate(keys):
        seen = cast.thread(key).version
        if number % 4 == 1:
            conversations.claim(key, version=seen, by=(cast.nina if number == 5 else cast.fay).actor)
        if number % 4 == 2:
            assert reply(cast, cast.fay, key, "Hello").status_code == 303
        if number % 6 == 3:
            conversations.close(key, version=cast.thread(key).version, by=cast.fay.actor)
    return cast


def everything(cast):
    db.session.close()
    found = db.session.execute(
        sa.select(Thread, Person, Patient).join(Person, Person.id == Thread.patient_id).join(Patient)
    ).all()
    return [(t, p, pt) for t, p, pt in found]


def day_of(thread):
    return local_day(thread.last_patient_message_at, db.session.get(Practice, 1).time_zone)


MODEL = {
    "last_name": ("kwon", lambda cast, t, p, pt: p.name_key.startswith("kwon")),
    "first_name": ("IVÁ", lambda cast, t, p, pt: p.first_key.startswith("iva")),
    "dob": ("1978-02-24", lambda cast, t, p, pt: pt.dob.isoformat() == "1978-02-24"),
    "phone": ("SOPHIE", lambda cast, t, p, pt: p.id == cast.sophie.id),
    "email": ("SOPHIE", lambda cast, t, p, pt: p.id == cast.sophie.id),
    "type": ("Others", lambda cast, t, p, pt: t.type == "Others"),
    "unread": ("y", lambda cast, t, p, pt: t.is_unread),
    "mine": ("y", lambda cast, t, p, pt: t.claimed_by_id == cast.fay.id and t.claimed_until > now()),
    "late": ("y", lambda cast, t, p, pt: t.due_at is not None and t.due_at < now()),
    "urgent": ("y", lambda cast, t, p, pt: t.has_emergency_words),
    "first_day": ("", lambda cast, t, p, pt: day_of(t) >= (now() - 9 * DAY).date()),
    "last_day": ("", lambda cast, t, p, pt: day_of(t) <= (now() - 3 * DAY).date()),
    "closed_too": ("y", lambda cast, t, p, pt: True),
    "due_first": ("y", lambda cast, t, p, pt: True),
}


def said(cast, name):
    sophie = db.session.get(Patient, cast.sophie.id)
    return {
        "phone": sophie.phone.replace("-", " "),
        "email": db.session.get(Person, cast.sophie.id).email.upper(),
        "first_day": (now() - 9 * DAY).date().isoformat(),
        "last_day": (now() - 3 * DAY).date().isoformat(),
    }.get(name, MODEL[name][0])


def expected(cast, names):
    found = [
        t
        for t, p, pt in everything(cast)
        if (t.state != "closed" or "closed_too" in names) and all(MODEL[name][1](cast, t, p, pt) for name in names)
    ]
    found.sort(key=lambda t: (t.last_patient_message_at, t.id), reverse=True)
    if "due_first" in names:
        found.sort(key=lambda t: (t.due_at is None, t.due_at or now(), t.id if t.due_at else 0))
    return [t.key for t in found]


def paged(who, page):
    """The rows of all pages from this one on, each once, and those of the way back."""
    found = rows(page)
    while older := re.search(r'href="([^"]*before=[^"]*)">Older', page.text):
        page = who.get(older[1].replace("&amp;", "&"))
        found += rows(page)
    back = rows(page)
    while newer := re.search(r'href="([^"]*after=[^"]*)">(?:<svg.*?</svg>)?Newer', page.text):
        page = who.get(newer[1].replace("&amp;", "&"))
        back = rows(page) + back
    return found, back


def test_every_filter_alone_and_every_two_together(full, small_pages):
    told = 0
    for names in [(name,) for name in MODEL] + list(combinations(MODEL, 2)):
        page, address = searched(full.fay, **{name: said(full, name) for name in names})
        wanted = expected(full, names)
        found, back = paged(full.fay, page)
        assert found == back == wanted, names
        told += 0 < len(wanted) < 12
        assert re.fullmatch(r"/staff/\?filter=[\w-]{22}", address), "an address says no value"
    assert told > 60, "else the filters hardly filter"


def test_all_that_is_said_must_hold(full):
    for names in combinations(MODEL, 4):
        if {"last_name", "due_first"} & set(names):
            page, _ = searched(full.fay, **{name: said(full, name) for name in names})
            assert rows(page) == expected(full, names), names


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"dob": "24.2.1978"}, "Write the date as year-month-day"),
        ({"first_day": "2026-02-30"}, "Write the date as year-month-day"),
        ({"last_day": "0001-01-01"}, "Write the date as year-month-day"),
        ({"first_day": "2026-03-02", "last_day": "2026-03-01"}, "The last day lies before the first."),
        ({"phone": "\0"}, "Remove the characters that cannot be shown."),
    ],
)
def test_what_cannot_be_understood_is_said_beside_its_field(full, values, words):
    answer = full.fay.post("/staff/searches", values | {"last_name": "kwon"})
    assert answer.status_code == 422 and words in answer.text and 'value="kwon"' in answer.text
    assert 'aria-invalid="true"' in answer.text and "<details open>" in answer.text
    part = full.fay.post("/staff/searches", values, htmx=True)
    assert part.status_code == 422 and words in part.text and part.headers["HX-Retarget"] == "#filters"
    assert 'hx-target="#list"' not in part.text, "the next answer is a page: it takes the errors away"


def test_an_unread_or_urgent_filter_of_a_link_says_no_name(full):
    for only in ("late", "urgent", "mine"):
        assert rows(full.fay.get(f"/staff/?only={only}")) == expected(full, (only,))


def test_a_row_says_who_has_claimed_it(full):
    mine = expected(full, ("mine",))[0]
    (ninas,) = [t.key for t, _, _ in everything(full) if t.claimed_by_id == full.nina.id]
    page = full.fay.get("/staff/")
    for key, words in ((mine, ">Mine<"), (ninas, 'title="Claimed by STAFF, NINA"')):
        row = re.search(rf'id="row-{key}".*?</tr>', page.text, re.S)[0]
        assert words in row.replace("</svg>", ">"), words


def test_a_claim_that_is_over_is_no_mark_and_not_mine(full):
    key = expected(full, ("mine",))[0]
    with db.engines[WRITE].begin() as connection:
        connection.execute(sa.update(Thread).where(Thread.key == key).values(claimed_until=now() - DAY))
    page = full.fay.get("/staff/?only=mine")
    assert key not in rows(page)
    row = re.search(rf'id="row-{key}".*?</tr>', full.fay.get("/staff/").text, re.S)[0]
    assert "claim-mine" not in row


# ---- Next and previous ---------------------------------------------------------------------------


def walk(who, key, side, query=""):
    """The keys that *Next* or *Previous* lead to, until the list ends."""
    seen = []
    while True:
        answer = who.get(f"/staff/messages/{key}/{side}{query}")
        assert answer.status_code == 303
        if "done=end-of-list" in answer.location:
            return seen
        key = re.search(r"/messages/([\w-]{22})", answer.location)[1]
        query = "?" + answer.location.partition("?")[2] if "?" in answer.location else ""
        page = who.get(answer.location)
        assert f'id="row-{key}"' in page.text, "the list beside shows it"
        seen.append(key)


@pytest.mark.parametrize("names", [(), ("unread",), ("due_first", "unread"), ("closed_too", "type"), ("last_name",)])
def test_next_and_previous_go_through_the_list_without_going_back_to_it(full, small_pages, names):
    wanted = expected(full, names)
    query = "?" + searched(full.fay, **{n: said(full, n) for n in names})[1].partition("?")[2] if names else ""
    assert walk(full.fay, wanted[0], "next", query) == wanted[1:]
    assert walk(full.fay, wanted[-1], "previous", query) == wanted[:-1][::-1]


def test_after_closing_next_is_the_one_that_followed(full):
    wanted = expected(full, ())
    key = wanted[2]
    conversations.close(key, version=full.thread(key).version, by=full.fay.actor)
    answer = full.fay.get(f"/staff/messages/{key}/next", htmx=True)
    assert answer.headers["HX-Push-Url"] == f"/staff/messages/{wanted[3]}"


def test_due_first_goes_on_with_what_is_due_next(full):
    _, address = searched(full.fay, due_first="y")
    due = [key for key in expected(full, ("due_first",)) if full.thread(key).due_at is not None]
    conversations.close(due[0], version=full.thread(due[0]).version, by=full.fay.actor)
    answer = full.fay.get(f"/staff/messages/{due[0]}/next?{address.partition('?')[2]}")
    assert due[1] in answer.location
    with clock_at(now() + timedelta(minutes=11)):  # whoever reads what is done goes on in it
        rest = [key for key in expected(full, ("due_first", "closed_too")) if full.thread(key).due_at is None]
        _, address = searched(full.fay, due_first="y", closed_too="y")
        following = full.fay.get(f"/staff/messages/{rest[0]}/next?{address.partition('?')[2]}")
    assert rest[1] in following.location


def test_next_of_what_is_not_mine_is_not_there(full):
    other = full.send(full.jihae, "Others", to="IT Manager")
    assert full.fay.get(f"/staff/messages/{other}/next").status_code == 404
    assert full.fay.get(f"/staff/messages/{'x' * 22}/previous").status_code == 404
