"""Internal notes on the page: marked, kept when refused, and on no way out to the patient."""

import pytest

from practice.db import db, new_key
from practice.jobs import send_due
from practice.people import Person
from tests.conftest import fresh_context
from tests.examples import EXAMPLES
from tests.test_walk import ROUTES, url
from web.gate import PATIENT, who_may

CANARY = "Plover-in-the-mine"
INTERNAL = "Internal: the patient never sees this"


def add(cast, who, key, body=CANARY, *, to=(), htmx=False, form_key=None):
    data = {"key": form_key or new_key(), "body": body, "mentions": [one.key for one in to]}
    return who.post(f"/staff/messages/{key}/notes", data, htmx=htmx)


@pytest.mark.parametrize("htmx", [False, True])
def test_a_note_stands_in_the_pane_marked_in_words(cast, htmx):
    key = cast.send(cast.sophie, "Appointment")
    page = cast.sam.get(f"/staff/messages/{key}")
    assert "Add note" in page.text and INTERNAL not in page.text
    form = cast.sam.get(f"/staff/messages/{key}/notes/new", htmx=htmx).text
    assert INTERNAL in form and "STAFF, FAY" in form and cast.nina.name not in form and 'value="' + cast.sam.key not in form
    answer = add(cast, cast.sam, key, to=[cast.fay], htmx=htmx)
    assert answer.status_code == (200 if htmx else 303)
    fays, sams = (who.get(f"/staff/messages/{key}", htmx=htmx).text for who in (cast.fay, cast.sam))
    for seen in (fays, sams):
        assert CANARY in seen and INTERNAL in seen and "For:" in seen
    assert "meant for you" in fays and "meant for you" not in sams
    assert CANARY in cast.fay.get(f"/staff/messages/{key}/reply").text, "whoever answers reads it"


def test_pressed_twice_it_stands_there_once(cast):
    key, form = cast.send(cast.sophie, "Appointment"), new_key()
    for _ in range(2):
        assert add(cast, cast.sam, key, form_key=form).status_code == 303
    assert cast.sam.get(f"/staff/messages/{key}").text.count(CANARY) == 1


def test_a_mention_that_cannot_be_is_said_and_the_text_is_kept(cast):
    key = cast.send(cast.sophie, "Appointment")
    answer = add(cast, cast.sam, key, to=[cast.nina])
    assert answer.status_code == 422 and "STAFF, NINA may not see this conversation" in answer.text and CANARY in answer.text
    assert CANARY not in cast.sam.get(f"/staff/messages/{key}").text


def test_an_empty_and_a_long_note_are_refused_with_the_text(cast):
    key = cast.send(cast.sophie, "Appointment")
    assert add(cast, cast.sam, key, " ").status_code == 422
    answer = add(cast, cast.sam, key, "y" * 20_001)
    assert answer.status_code == 422 and "y" * 20_001 in answer.text


def test_who_lost_the_thread_while_writing_gets_the_text_back(cast):
    key = cast.send(cast.sophie, "Appointment")
    cast.change("Scheduler", staff=[cast.fay])
    answer = add(cast, cast.sam, key)
    assert answer.status_code == 404 and CANARY in answer.text


def test_markup_in_a_note_is_text(cast):
    key = cast.send(cast.sophie, "Appointment")
    add(cast, cast.sam, key, "<b>x</b>")
    assert "&lt;b&gt;x&lt;/b&gt;" in cast.sam.get(f"/staff/messages/{key}").text


def test_a_deputy_reads_and_is_offered(cast):
    key = cast.send(cast.sophie, "Appointment")
    cast.change("Scheduler", staff=[cast.sam, cast.dan])
    assert "STAFF, DAN" in cast.sam.get(f"/staff/messages/{key}/notes/new").text


# ---- No way out ----------------------------------------------------------------------------------


def with_notes(cast):
    """Every thread there is has a note with the canary in it, seen by Fay, Nina and all the others in charge."""
    for kind, who in {"Appointment": cast.sam, "Result": cast.max, "Others": cast.nina, "Amendment": cast.rita}.items():
        key = cast.send(cast.sophie, kind)
        assert add(cast, who, key, to=[cast.fay] if kind in ("Appointment", "Others") else []).status_code == 303
        cast.answer(who, key)
        yield key


def test_no_page_of_the_patient_says_a_word_of_a_note(cast):
    keys = list(with_notes(cast))
    seen = 0
    for endpoint, method in ROUTES:
        if who_may(cast.app, endpoint) != PATIENT or method != "GET":
            continue
        made = EXAMPLES[endpoint](cast) or {}
        db.session.close()
        addresses = [url(cast.app, endpoint, **made.get("own", {}))]
        if set(made.get("own", {})) == {"key"}:
            addresses += [url(cast.app, endpoint, key=key) for key in keys]
        for address in addresses:
            for htmx in (False, True):
                said = cast.sophie.get(address, htmx=htmx).text
                assert CANARY not in said and "internal note" not in said.lower(), address
                seen += 1
    assert seen > 50
    found = cast.sophie.post("/messages/searches", {"words": CANARY})
    page = cast.sophie.get(found.headers["Location"]).text if found.status_code == 303 else found.text
    assert not any(f"/messages/{key}" in page for key in keys), "nor is it found by one"


def test_no_mail_says_a_word_of_a_note(cast):
    list(with_notes(cast))
    mails = []
    send_due(mails.append)
    assert {"mentioned", "answered"} <= {mail.occasion for mail in mails}
    with fresh_context(cast.app), cast.app.test_request_context(base_url="https://localhost"):
        practice = {"name": "Test Practice", "phone": "", "emergency_number": "911"}
        for mail in mails:
            for kind in ("txt", "html"):
                template = cast.app.jinja_env.get_template(f"mail/notice.{kind}")
                said = template.render(
                    mail={"occasion": mail.occasion, "threads": ["x" * 22], "references": []}, practice=practice
                )
                assert CANARY not in said and "STAFF" not in said and "KWON" not in said
    db.session.close()
    fay = db.session.get_one(Person, cast.fay.id)
    assert [mail.email for mail in mails if mail.occasion == "mentioned"] == [fay.email], "both in one mail"
