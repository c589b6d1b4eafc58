"""Send with Undo for ten seconds, as the author, a colleague and the patient see it."""

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from practice import conversations
from practice.db import clock_at, db, new_key, now
from practice.jobs import send_due
from practice.threads import Event, History, Message, Thread, reference_of
from tests.staff.helpers import act, last_id, reply, rows, value
from web.demo_mails import show_only

pytestmark = pytest.mark.usefixtures("ten_seconds")
CANARY = "Kanarienvogel"


def undo_of(page):
    found = re.search(r'action="(/staff/messages/[\w-]{22}/answers/[\w-]{22}/recall[^"]*)"', page.text)
    return found and found[1]


def message_of(key):
    found = sa.select(Message.key).join(Thread).where(Thread.key == key, ~Message.is_from_patient).order_by(Message.id.desc())
    return db.session.scalars(found.limit(1)).one()


def pages_of_patient(cast, patient, key):
    """Every page of the patient's on which an answer could stand."""
    search = patient.post("/messages/search", {"words": CANARY, "box": "inbox"}).location
    paths = ["/", "/messages", "/messages/sent", f"/messages/{key}", f"/messages/{key}/print", f"/messages/{key}/download"]
    return {
        path: patient.get(path)
        for path in (*paths, search, f"{search}&box=sent", "/appointments", "/account", "/account/readers")
    }


@pytest.mark.parametrize("htmx", [False, True])
def test_the_author_is_shown_undo_and_gets_the_text_back_in_the_writing_mode(cast, htmx):
    key = cast.send(cast.sophie, "Appointment")
    sent = reply(cast, cast.sam, key, CANARY)
    page = cast.sam.get(sent.location)
    assert "Being sent: it reaches the patient in" in page.text and "being sent</span>" in page.text
    assert "Your answer is sent" not in page.text
    undone = cast.sam.post(undo_of(page), htmx=htmx)
    where = undone.headers["HX-Redirect"] if htmx else undone.location
    again = cast.sam.get(where)
    assert where.startswith(f"/staff/messages/{key}/reply?") and "Taken back" in again.text
    assert f"\n{CANARY}</textarea>" in again.text and value(again, "seen") == str(last_of(key))
    sent_again = {"key": value(again, "key"), "seen": value(again, "seen"), "body": CANARY, "draft_version": "1"}
    assert cast.sam.post(f"/staff/messages/{key}/replies", sent_again).status_code == 303
    assert "an answer taken back before it was sent" in cast.fay.get(f"/staff/messages/{key}").text


def last_of(key):
    """The id of the newest message of the patient's."""
    found = sa.select(sa.func.max(Message.id)).join(Thread).where(Thread.key == key, Message.is_from_patient)
    db.session.close()
    return db.session.scalar(found)


def test_colleagues_see_being_sent_and_no_undo(cast):
    key = cast.send(cast.sophie, "Appointment")
    reply(cast, cast.sam, key, CANARY)
    page = cast.fay.get(f"/staff/messages/{key}")
    assert "Being sent" in page.text and CANARY in page.text and undo_of(page) is None
    assert "who can still take it back" in page.text and "The answer is being sent" in page.text
    assert "being sent" in cast.fay.get("/staff/sent").text
    for what in ("closing", "removal"):
        refused = act(cast, cast.fay, key, what)
        assert refused.status_code == 409 and "an answer by STAFF, SAM is being sent" in refused.text
    message = message_of(key)
    assert cast.fay.post(f"/staff/messages/{key}/answers/{message}/recall").status_code == 404
    recalled = cast.sam.post(f"/staff/messages/{key}/answers/{message}/recall")
    assert recalled.status_code == 303 and CANARY not in cast.fay.get(f"/staff/messages/{key}").text


@pytest.mark.parametrize("htmx", [False, True])
def test_too_late_is_said_and_what_was_sent_stays(cast, htmx):
    key, moment = cast.send(cast.sophie, "Appointment"), now()
    with clock_at(moment):
        reply(cast, cast.sam, key, CANARY)
    with clock_at(moment + timedelta(seconds=10)):
        late = cast.sam.post(f"/staff/messages/{key}/answers/{message_of(key)}/recall", htmx=htmx)
        assert late.status_code == 409 and "Too late for Undo" in late.text and CANARY in late.text
        assert "Being sent" not in late.text and CANARY in cast.sophie.get(f"/messages/{key}").text


def test_pressed_twice_undo_opens_the_same_draft(cast):
    key = cast.send(cast.sophie, "Appointment")
    reply(cast, cast.sam, key, CANARY)
    where = {cast.sam.post(f"/staff/messages/{key}/answers/{message_of(key)}/recall").location for _ in range(3)}
    assert len(where) == 1


@pytest.mark.parametrize("before", ["waiting", "answered", "closed"])
def test_for_ten_seconds_no_page_of_the_patient_differs(cast, before):
    at = now() - timedelta(hours=5)
    with clock_at(at):
        key = cast.send(cast.sophie, "Appointment")
        other = cast.send(cast.sophie)
    with clock_at(at + timedelta(hours=1)):
        if before != "waiting":
            cast.answer(cast.sam, key, "The first")
    with clock_at(at + timedelta(hours=2)):
        cast.answer(cast.nina, other, "Another")
        if before == "closed":
            conversations.close(key, version=cast.thread(key).version, by=cast.sam.actor)
    moment = now()
    with clock_at(moment):
        cast.sophie.get(f"/messages/{key}")  # what has an answer is read
        if before == "waiting":
            conversations.receive(key, version=cast.thread(key).version, by=cast.sam.actor)
        db.session.close()
        first = {path: told(page) for path, page in pages_of_patient(cast, cast.sophie, key).items()}
        reply(cast, cast.sam, key, CANARY)
    for seconds in (0, 9):
        with clock_at(moment + timedelta(seconds=seconds)):
            found = pages_of_patient(cast, cast.sophie, key)
            for (path, page), was in zip(found.items(), first.values(), strict=True):
                assert CANARY not in page.text.replace(f'value="{CANARY}"', ""), path
                assert told(page) == was, path
            assert send_due(show_only) == 0 or reference_of(cast.thread(key).id) not in mails_to(cast, cast.sophie)
    with clock_at(moment + timedelta(seconds=10)):
        found = pages_of_patient(cast, cast.sophie, key)
        assert CANARY in found[f"/messages/{key}"].text and CANARY in found[f"/messages/{key}/download"].text
        assert key in found["/messages"].text


def told(page):
    """What a page says, without what differs each time it is asked for, and how its filter is named."""
    text = re.sub(r'(csrf_token|key|draft_version)" value="[^"]*"', "", page.text)
    text = re.sub(r'data-(now|ends|key|draft)="[^"]*"|filter=[\w-]{22}|/drafts/[\w-]{22}|Log-off at [^<]*', "", text)
    return text


def mails_to(cast, patient):
    mails = cast.anonymous.get("/demo/mails").text
    return "".join(part for part in mails.split("<article") if f"{patient.login}@" in part)


def test_the_mail_leaves_with_the_answer(cast):
    key, moment = cast.send(cast.sophie, "Appointment"), now()
    with clock_at(moment):
        send_due(show_only)
        reply(cast, cast.sam, key, CANARY)
    told_at = []
    for seconds in (9, 10):
        with clock_at(moment + timedelta(seconds=seconds)):
            send_due(lambda leased, seconds=seconds: told_at.append((seconds, leased.email)))
    assert (10, "sophie@test.example") in told_at and (9, "sophie@test.example") not in told_at


def test_the_number_on_the_patients_tab_counts_what_has_arrived(cast):
    moment = now()
    with clock_at(moment - timedelta(hours=1)):
        key = cast.send(cast.sophie, "Appointment")
    with clock_at(moment - timedelta(minutes=30)):
        cast.answer(cast.sam, key, "Unread")
    counts = []
    for seconds in (-1, 0, 9, 10):
        with clock_at(moment + timedelta(seconds=seconds)):
            if seconds == 0:
                reply(cast, cast.sam, key, CANARY)
            counts.append(re.findall(r'class="badge[^"]*"[^>]*>\s*(\d+)|Inbox \((\d+)\)', cast.sophie.get("/messages").text))
    assert counts[0] == counts[1] == counts[2] == counts[3] != []
    with clock_at(moment + timedelta(seconds=11)):
        cast.sophie.get(f"/messages/{key}")
        assert counts[0] != re.findall(r'class="badge[^"]*"[^>]*>\s*(\d+)|Inbox \((\d+)\)', cast.sophie.get("/messages").text)


def test_reading_the_answer_before_leaves_the_one_that_is_being_sent_new(cast):
    moment = now()
    with clock_at(moment - timedelta(minutes=2)):
        key = cast.send(cast.sophie, "Appointment")
    with clock_at(moment - timedelta(minutes=1)):
        cast.answer(cast.sam, key, "First")
    with clock_at(moment):
        reply(cast, cast.sam, key, CANARY)
        cast.sophie.get(f"/messages/{key}")
    with clock_at(moment + timedelta(seconds=10)):
        assert cast.thread(key).patient_read_at < cast.thread(key).last_staff_message_at


def test_who_answers_meanwhile_is_stopped_with_the_text_kept(cast):
    key = cast.send(cast.sophie, "Appointment")
    seen = last_id(cast, key)
    reply(cast, cast.sam, key, CANARY)
    stopped = reply(cast, cast.fay, key, "Mine", seen=seen)
    assert stopped.status_code == 409 and "Not sent: an answer by STAFF, SAM is being sent" in stopped.text
    assert CANARY in stopped.text and "Mine</textarea>" in stopped.text
    cast.sam.post(f"/staff/messages/{key}/answers/{message_of(key)}/recall")
    form = {"key": value(stopped, "key"), "seen": value(stopped, "seen"), "body": "Mine"}
    again = cast.fay.post(f"/staff/messages/{key}/replies", form)
    assert again.status_code == 409 and "was taken back with Undo" in again.text and CANARY not in again.text
    form = {"key": value(again, "key"), "seen": value(again, "seen"), "body": "Mine"}
    assert cast.fay.post(f"/staff/messages/{key}/replies", form).status_code == 303


def test_a_new_message_taken_back_is_a_draft_of_new_message_and_stands_nowhere(cast):
    data = {"key": new_key(), "patient": cast.sophie.key, "title": "About you", "body": CANARY}
    data["communicator"] = cast.communicator("Scheduler")
    sent = cast.sam.post("/staff/messages/new", data)
    page = cast.sam.get(sent.location)
    key = re.search(r"/messages/([\w-]{22})", sent.location)[1]
    assert "Being sent" in page.text and cast.sophie.get(f"/messages/{key}").status_code == 404
    assert "About you" not in cast.sophie.get("/messages").text
    for _ in range(2):
        undone = cast.sam.post(undo_of(page))
        assert undone.location.startswith("/staff/messages/new?") and "draft=" in undone.location
    again = cast.sam.get(undone.location).text
    assert CANARY in again and 'value="About you"' in again and cast.sophie.key in again
    assert rows(cast.sam.get("/staff/sent")) == [] and cast.sam.get(f"/staff/messages/{key}").status_code == 404
    refused = cast.sam.post("/staff/messages/new", data)
    assert refused.status_code == 409 and "was taken back with Undo" in refused.text and CANARY in refused.text
    assert db.session.scalars(sa.select(History).where(History.did == Event.RECALLED)).one()


def test_access_taken_away_within_the_ten_seconds_says_what_is_never_there(cast):
    key = cast.send(cast.sophie, "Appointment")
    reply(cast, cast.sam, key, CANARY)
    message = message_of(key)
    cast.change("Scheduler", staff=[cast.fay])
    assert cast.sam.post(f"/staff/messages/{key}/answers/{message}/recall").status_code == 404
