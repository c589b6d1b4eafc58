"""Hand over, Transfer and Close as duplicate over HTTP: the forms, the races, and what each side sees afterwards."""

import pytest

from practice import conversations
from practice.threads import reference_of


def post(cast, who, key, path, htmx=False, **data):
    return who.post(f"/staff/messages/{key}/{path}", {"version": str(cast.thread(key).version)} | data, htmx=htmx)


@pytest.mark.parametrize("htmx", [False, True])
def test_a57_hand_over_offers_only_colleagues_who_have_it_and_gives_it_to_one(cast, htmx):
    key = cast.send(cast.sophie, "Appointment")
    page = cast.sam.get(f"/staff/messages/{key}/colleagues", htmx=htmx).text
    assert "STAFF, FAY" in page and "STAFF, NINA" not in page and cast.sam.key not in page
    answer = post(cast, cast.sam, key, "colleagues", htmx, to=cast.fay.key)
    assert answer.status_code == (200 if htmx else 303)
    assert "Claimed by STAFF, FAY" in cast.sam.get(f"/staff/messages/{key}").text
    assert "Claimed by you" in cast.fay.get(f"/staff/messages/{key}").text


def test_a_colleague_who_has_left_is_said_in_words(cast):
    key = cast.send(cast.sophie, "Appointment")
    cast.change("Scheduler", staff=[cast.sam])
    answer = post(cast, cast.sam, key, "colleagues", to=cast.fay.key)
    assert answer.status_code == 422 and "does not have the message" in answer.text
    assert "Nobody else has this message" in answer.text


def test_who_is_too_late_is_shown_who_was_faster(cast):
    key = cast.send(cast.sophie, "Appointment")
    seen = cast.thread(key).version
    conversations.claim(key, version=seen, by=cast.fay.actor)
    for path, data in (
        ("colleagues", {"to": cast.fay.key}),
        ("transfers", {"communicator": cast.communicator("Clinicians"), "reason": "Not ours"}),
        ("duplicates", {"of": cast.send(cast.sophie, "Appointment")}),
    ):
        answer = cast.sam.post(f"/staff/messages/{key}/{path}", {"version": str(seen)} | data)
        assert answer.status_code == 409 and "STAFF, FAY was faster" in answer.text


@pytest.mark.parametrize("htmx", [False, True])
def test_who_transfers_it_away_lands_in_the_in_box_and_sees_it_no_more(cast, htmx):
    key = cast.send(cast.sophie, "Appointment")
    assert "Clinicians (Others)" in cast.sam.get(f"/staff/messages/{key}/transfer", htmx=htmx).text
    answer = post(
        cast, cast.sam, key, "transfers", htmx, communicator=cast.communicator("Clinicians"), reason="A clinical <b>question</b>"
    )
    led = answer.headers["HX-Redirect"] if htmx else answer.location
    assert led.startswith("/staff/?") and "Transferred." in cast.sam.get(led).text
    for path in ("", "/reply", "/transfer", "/colleagues", "/duplicate"):
        assert cast.sam.get(f"/staff/messages/{key}{path}").status_code == 404
    page = cast.nina.get(f"/staff/messages/{key}").text
    assert "Transferred to Clinicians by" in page and "A clinical &lt;b&gt;question&lt;/b&gt;" in page
    assert "Reason for visit" in page  # the request's fields go along


def test_who_is_in_charge_there_too_stays_with_it(cast):
    key = cast.send(cast.sophie, "Appointment")
    answer = post(cast, cast.fay, key, "transfers", communicator=cast.communicator("Clinicians"), reason="Clinical")
    assert answer.location.startswith(f"/staff/messages/{key}?")


def test_what_was_typed_stays_when_a_transfer_is_refused(cast):
    key = cast.send(cast.sophie, "Appointment")
    answer = post(cast, cast.sam, key, "transfers", communicator="", reason="My long reason")
    assert answer.status_code == 422 and "My long reason" in answer.text and "Choose a communicator." in answer.text
    manager = cast.communicator("Patient Info Manager")
    answer = post(cast, cast.sam, key, "transfers", communicator=manager, reason="My long reason")
    assert answer.status_code == 422 and "My long reason" in answer.text and "can receive it" in answer.text


def test_the_reason_is_on_no_page_of_the_patient(cast):
    key = cast.send(cast.sophie, "Appointment")
    post(cast, cast.sam, key, "transfers", communicator=cast.communicator("Clinicians"), reason="CANARY")
    for path in ("/", "/messages", "/messages/sent", f"/messages/{key}", f"/messages/{key}/print", f"/messages/{key}/download"):
        page = cast.sophie.get(path)
        assert page.status_code == 200 and "CANARY" not in page.text
    assert "Clinicians" in cast.sophie.get(f"/messages/{key}").text


def test_words_written_while_it_went_away_are_shown_to_copy(cast):
    key = cast.send(cast.sophie, "Appointment")
    post(cast, cast.sam, key, "transfers", communicator=cast.communicator("Clinicians"), reason="Clinical")
    for htmx in (False, True):
        answer = cast.sam.post(
            f"/staff/messages/{key}/replies", {"key": "k" * 22, "seen": "1", "body": "MY LONG ANSWER"}, htmx=htmx
        )
        assert answer.status_code == 404 and "MY LONG ANSWER" in answer.text


def test_a_duplicate_links_both_ways_and_leads_the_patient_on(cast):
    first, second = cast.send(cast.sophie, "Appointment"), cast.send(cast.sophie, "Appointment")
    page = cast.sam.get(f"/staff/messages/{second}/duplicate").text
    assert first in page and reference_of(cast.thread(first).id) in page
    answer = post(cast, cast.sam, second, "duplicates", reference=reference_of(cast.thread(first).id))
    assert answer.status_code == 303
    assert "Closed as a duplicate of" in cast.fay.get(f"/staff/messages/{second}").text
    assert f"/staff/messages/{second}" in cast.fay.get(f"/staff/messages/{first}").text
    page = cast.sophie.get(f"/messages/{second}").text
    assert "goes on in another one of yours" in page and f"/messages/{first}" in page


def test_a_reference_number_of_somebody_else_is_no_conversation_of_this_patient(cast):
    key, hugos = cast.send(cast.sophie, "Appointment"), cast.send(cast.hugo, "Appointment")
    for number in (reference_of(cast.thread(hugos).id), "000-000-000", "abc", ""):
        answer = post(cast, cast.sam, key, "duplicates", reference=number)
        assert answer.status_code == 422 and "no such conversation" in answer.text
