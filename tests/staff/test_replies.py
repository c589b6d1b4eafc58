"""Respond: sending, refusals that keep the text, and two who answer at once."""

import pytest

from practice.conversations import BODY_MAX
from practice.conversations import reply as patient_reply
from practice.db import db, new_key
from tests.staff.helpers import last_id, messages_of, reply, rows, value


def test_a_reply_reaches_the_patient_and_receives_first(cast):
    key = cast.send(cast.sophie, "Appointment")
    answer = reply(cast, cast.sam, key, "Thursday at 10:30?")
    assert answer.status_code == 303 and answer.location == f"/staff/messages/{key}?done=answered"
    thread = cast.thread(key)
    assert thread.state == "answered" and not thread.is_unread
    assert "Thursday at 10:30?" in cast.sophie.get(f"/messages/{key}").text
    assert "Your answer is sent" in cast.sam.get(answer.location).text


def test_htmx_is_sent_to_the_message(cast):
    key = cast.send(cast.sophie, "Appointment")
    assert reply(cast, cast.sam, key, "Yes", htmx=True).headers["HX-Redirect"] == f"/staff/messages/{key}?done=answered"


def test_the_writing_mode_carries_what_was_read_and_the_list_beside_it(cast):
    key = cast.send(cast.sophie, "Appointment")
    page = cast.sam.get(f"/staff/messages/{key}/reply?filter=abc")
    assert value(page, "seen") == str(last_id(cast, key)) and rows(page) == [key]
    assert f"/staff/messages/{key}/replies?filter=abc" in page.text
    pane = cast.sam.get(f"/staff/messages/{key}/reply", htmx=True)
    assert pane.text.lstrip().startswith('<article class="pane"') and rows(pane) == []


@pytest.mark.parametrize("body", ["", "   \n\t ", "x" * (BODY_MAX + 1), "nul \0 byte"])
@pytest.mark.parametrize("htmx", [False, True])
def test_a_reply_that_cannot_be_taken_comes_back_with_its_text(cast, body, htmx):
    key = cast.send(cast.sophie, "Appointment")
    answer = reply(cast, cast.sam, key, body, htmx=htmx)
    assert answer.status_code == 422 and 'id="errors"' in answer.text and 'aria-invalid="true"' in answer.text
    assert body.strip()[:40].replace("\0", "") in answer.text.replace("\0", "") and len(messages_of(cast, key)) == 1
    if not htmx:
        assert "<title>Error: " in answer.text


def test_whoever_answers_second_is_stopped_reads_and_sends(cast):
    key = cast.send(cast.sophie, "Appointment")
    seen, form_key = last_id(cast, key), new_key()
    reply(cast, cast.sam, key, "Thursday?")
    patient_reply(key, body="Thursday is fine", form_key=new_key(), by=cast.sophie.actor)
    stopped = reply(cast, cast.fay, key, "What about Friday?", seen=seen, key=form_key)
    assert stopped.status_code == 409
    text = stopped.text
    assert "Not sent: STAFF, SAM wrote at" in text and "Thursday?" in text and "Thursday is fine" in text
    assert "What about Friday?" in text and 'role="alert"' in text and "data-focus" in text
    assert value(stopped, "key") == form_key and value(stopped, "seen") == str(last_id(cast, key))
    again = reply(cast, cast.fay, key, "What about Friday?", seen=value(stopped, "seen"), key=form_key)
    assert again.status_code == 303
    assert messages_of(cast, key)[-1] == "What about Friday?"


@pytest.mark.parametrize("seen", ["", "x", "-1", "1" + "0" * 30, "١٢"])
def test_a_place_nobody_read_up_to_is_stopped_too(cast, seen):
    key = cast.send(cast.sophie, "Appointment")
    answer = reply(cast, cast.sam, key, "My words", seen=seen, htmx=True)
    assert answer.status_code == 409 and "My words" in answer.text and len(messages_of(cast, key)) == 1


def test_the_same_form_twice_is_one_reply_and_other_words_are_not_dropped(cast):
    key = cast.send(cast.sophie, "Appointment")
    data = {"key": new_key(), "seen": str(last_id(cast, key))}
    for _ in range(3):
        assert cast.sam.post(f"/staff/messages/{key}/replies", data | {"body": "Yes"}).status_code == 303
    assert messages_of(cast, key)[1:] == ["Yes"]
    answer = cast.sam.post(f"/staff/messages/{key}/replies", data | {"body": "No"})
    assert answer.status_code == 409 and "Send as new message" in answer.text and "Yes" in answer.text and "No" in answer.text
    assert messages_of(cast, key)[1:] == ["Yes"]


def test_whoever_is_in_two_communicators_of_a_thread_chooses_from_which(cast):
    cast.communicate("Appointment", "Second Scheduler", cast.sam)
    key = cast.send(cast.sophie, "Appointment")
    page = cast.sam.get(f"/staff/messages/{key}/reply").text
    assert rows(cast.sam.get("/staff/")) == [key] and "Scheduler, Second Scheduler" in page
    assert 'name="communicator"' in page and "In Box (1)" in page
    reply(cast, cast.sam, key, "Hello", communicator=cast.communicator("Second Scheduler"))
    assert "Second Scheduler" in cast.sam.get("/staff/sent").text
    assert 'name="communicator"' not in cast.fay.get(f"/staff/messages/{key}/reply").text


def test_a_communicator_that_is_not_mine_is_refused(cast):
    key = cast.send(cast.sophie, "Appointment")
    answer = reply(cast, cast.sam, key, "Hello", communicator=cast.communicator("Clinicians"))
    assert answer.status_code == 422 and "Hello" in answer.text and len(messages_of(cast, key)) == 1


@pytest.mark.parametrize("words", ["مرحبا بالعالم", "🦊🦊🦊", "<b>bold</b> & 'quotes'", "line\r\nline"])
def test_words_of_every_kind_arrive_as_they_were_written(cast, words):
    key = cast.send(cast.sophie, "Appointment")
    reply(cast, cast.sam, key, words)
    assert messages_of(cast, key)[-1] == words.replace("\r\n", "\n")
    assert "<b>bold</b>" not in cast.fay.get(f"/staff/messages/{key}").text


def test_a_reply_takes_a_fixed_number_of_statements(cast, statements):
    key = cast.send(cast.sophie, "Appointment")
    cast.answer(cast.sam, key)
    data = {"key": new_key(), "seen": str(last_id(cast, key)), "body": "Yes"}
    token = cast.sam.token()
    with statements() as found:
        assert cast.sam.post(f"/staff/messages/{key}/replies", data, token=token).status_code == 303
    writes = [s for s in found if s.startswith(("INSERT", "UPDATE", "DELETE", "NOTIFY"))]
    is_sqlite = db.session.get_bind().dialect.name == "sqlite"
    assert (len(found) - len(writes), len(writes)) == ((7, 7) if is_sqlite else (7, 8)), found
