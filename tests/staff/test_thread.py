"""The open message: seen by whom, received, closed, deleted and brought back, and two people at once."""

import pytest

from practice import threads
from practice.conversations import reply as patient_reply
from practice.db import new_key
from tests.staff.helpers import act, last_id, looks_at, reply, rows

KINDS = {"Appointment": "sam", "Result": "max", "Others": "nina", "Amendment": "rita"}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_opens_with_its_fields_for_whoever_is_in_charge_and_nobody_else(cast, kind):
    key = cast.send(cast.sophie, kind, body="My own words")
    for name in ("ada", "sam", "max", "nina", "ivan", "rita", "dan"):
        player = getattr(cast, name)
        page = player.get(f"/staff/messages/{key}")
        assert page.status_code == (200 if name == KINDS[kind] else 404)
        assert ("My own words" in page.text) == (name == KINDS[kind])
    page = getattr(cast, KINDS[kind]).get(f"/staff/messages/{key}").text
    said = {
        "Appointment": ("Facility", "Linden Street", "Reason for visit"),
        "Result": ("CD with Images", "Pick up", "Linden Street"),
        "Others": ("A question",),
        "Amendment": ("167 cm",),
    }[kind]
    assert all(word in page for word in said)
    assert "tel:5550100100" in page and "mailto:sophie" in page and "Delivered to" in page


def test_a_browser_gets_list_and_pane_and_htmx_the_pane_alone(cast):
    key = cast.send(cast.sophie, "Appointment")
    page = cast.sam.get(f"/staff/messages/{key}")
    assert rows(page) == [key] and "is-open" in page.text and "aria-current=true" in page.text
    pane = cast.sam.get(f"/staff/messages/{key}", htmx=True)
    assert pane.text.lstrip().startswith('<article class="pane"') and rows(pane) == []
    assert 'id="in-box-count" hx-swap-oob="true">In Box (1)' in pane.text


@pytest.mark.parametrize("key", ["x" * 22, "1" + "0" * 30, "%00", "new%00"])
def test_a1_a2_what_is_not_there_is_404_for_every_act(cast, key):
    for path in ("", "/reply"):
        assert cast.sam.get(f"/staff/messages/{key}{path}").status_code == 404
    for path in ("receipts", "claim", "claim-release", "closing", "removal", "restoring", "replies"):
        answer = cast.sam.post(f"/staff/messages/{key}/{path}", {"version": "1", "body": "x", "key": new_key(), "seen": "1"})
        assert answer.status_code == 404


def test_a_look_leaves_one_row_an_hour(cast):
    key = cast.send(cast.sophie, "Appointment")
    for _ in range(3):
        cast.sam.get(f"/staff/messages/{key}", htmx=True)
    assert looks_at(cast, key) == 1
    cast.fay.get(f"/staff/messages/{key}/reply")
    assert looks_at(cast, key) == 2


def test_opening_takes_seven_statements_and_a_write_and_those_of_the_request_more(cast, statements):
    others, appointment, result = (cast.send(cast.sophie, kind) for kind in ("Others", "Appointment", "Result"))
    cast.change("Media Manager", staff=[cast.fay])
    cast.fay.get("/staff/")
    for key, most in ((others, 8), (result, 9), (appointment, 10)):  # with the times that are proposed
        with statements() as found:
            cast.fay.get(f"/staff/messages/{key}", htmx=True)
        assert len(found) == most and sum(s.startswith("INSERT") for s in found) == 1, found


def test_earlier_messages_are_a_page_of_their_own(cast, monkeypatch):
    monkeypatch.setattr(threads, "SHOWN", 2)
    key = cast.send(cast.sophie, "Others", body="The very first")
    for n in range(3):
        patient_reply(key, body=f"Number {n}", form_key=new_key(), by=cast.sophie.actor)
    page = cast.nina.get(f"/staff/messages/{key}").text
    assert "Number 2" in page and "The very first" not in page and "Earlier messages" in page
    earlier = page.split("?earlier=")[1][:22]
    page = cast.nina.get(f"/staff/messages/{key}?earlier={earlier}").text
    assert "The very first" in page and "Number 2" not in page
    assert cast.nina.get(f"/staff/messages/{key}?earlier=nonsense").status_code == 200


# ---- Receive, Close ------------------------------------------------------------------------------


def test_receive_ends_unread_for_all_and_says_who(cast):
    key = cast.send(cast.sophie, "Appointment")
    answer = act(cast, cast.sam, key, "receipts")
    assert answer.status_code == 303 and answer.location.startswith(f"/staff/messages/{key}?done=received")
    page = cast.fay.get(f"/staff/messages/{key}").text
    assert "Received by STAFF, SAM" in page and "In Box (0)" in page and "/receipts" not in page and "Unread:" not in page


def test_receive_by_htmx_gives_the_pane_the_number_and_the_row(cast):
    key = cast.send(cast.sophie, "Appointment")
    answer = act(cast, cast.sam, key, "receipts", htmx=True)
    assert answer.status_code == 200 and "Received by STAFF, SAM" in answer.text
    assert 'hx-swap-oob="true">In Box (0)' in answer.text
    assert f'<template>\n<tr role="row" id="row-{key}" hx-swap-oob="true"' in answer.text.replace(
        "<template><tr", "<template>\n<tr"
    )
    assert "is-unread" not in answer.text


def test_of_two_who_receive_at_once_one_wins_and_the_other_is_shown_who(cast):
    key = cast.send(cast.sophie, "Appointment")
    version = cast.thread(key).version
    act(cast, cast.sam, key, "receipts", version=version)
    for htmx in (False, True):
        answer = act(cast, cast.fay, key, "receipts", version=version, htmx=htmx)
        assert answer.status_code == 409 and "STAFF, SAM was faster" in answer.text and "Received by STAFF, SAM" in answer.text


def test_close_receives_first_and_leaves_the_box_until_the_patient_writes_again(cast):
    key = cast.send(cast.sophie, "Appointment")
    act(cast, cast.sam, key, "closing")
    thread = cast.thread(key)
    assert thread.state == "closed" and not thread.is_unread and thread.waiting_since is None
    assert rows(cast.sam.get("/staff/")) == [] and "Closed" in cast.sam.get(f"/staff/messages/{key}").text
    assert act(cast, cast.sam, key, "closing").status_code == 409
    patient_reply(key, body="One more thing", form_key=new_key(), by=cast.sophie.actor)
    assert rows(cast.sam.get("/staff/")) == [key]


def test_close_is_stopped_when_the_patient_wrote_meanwhile(cast):
    key = cast.send(cast.sophie, "Others")
    version = cast.thread(key).version
    patient_reply(key, body="It got worse", form_key=new_key(), by=cast.sophie.actor)
    answer = act(cast, cast.nina, key, "closing", version=version)
    assert answer.status_code == 409 and "It got worse" in answer.text and "KWON, SOPHIE wrote" in answer.text
    assert cast.thread(key).state == "waiting"


@pytest.mark.parametrize("version", ["", "x", "-1", "1" + "0" * 30, "١"])
def test_a_version_that_is_none_is_a_race_lost(cast, version):
    key = cast.send(cast.sophie, "Others")
    for what in ("receipts", "claim", "claim-release", "closing", "removal"):
        assert act(cast, cast.nina, key, what, version=version).status_code == 409
    assert cast.thread(key).is_unread


# ---- Delete, Undo --------------------------------------------------------------------------------


def test_delete_refuses_what_is_unread_or_waits_and_says_what_to_do(cast):
    key = cast.send(cast.sophie, "Appointment")
    answer = act(cast, cast.sam, key, "removal")
    assert answer.status_code == 409 and "Press Receive first" in answer.text
    act(cast, cast.sam, key, "receipts")
    answer = act(cast, cast.sam, key, "removal", htmx=True)
    assert answer.status_code == 409 and "press Close first" in answer.text
    assert cast.thread(key).removed_at is None


def test_delete_takes_it_out_of_all_lists_and_undo_brings_it_back(cast):
    key = cast.send(cast.sophie, "Appointment")
    cast.answer(cast.sam, key)
    answer = act(cast, cast.sam, key, "removal")
    assert answer.status_code == 303
    page = cast.sam.get(answer.location)
    assert rows(page) == [] and "Undo" in page.text and f"/staff/messages/{key}/restoring" in page.text
    assert rows(cast.fay.get("/staff/")) == [] and rows(cast.fay.get("/staff/sent")) == []
    assert cast.fay.get(f"/staff/messages/{key}").status_code == 200, "its address still opens"
    assert cast.sophie.get(f"/messages/{key}").status_code == 200, "the patient keeps it"
    for _ in range(2):
        assert cast.sam.post(f"/staff/messages/{key}/restoring").status_code == 303
    assert rows(cast.fay.get("/staff/")) == [key]


def test_delete_by_htmx_leads_to_the_in_box_with_undo(cast):
    key = cast.send(cast.sophie, "Appointment")
    cast.answer(cast.sam, key)
    answer = act(cast, cast.sam, key, "removal", htmx=True)
    assert answer.headers["HX-Redirect"] == f"/staff/?done=deleted&about={key}"
    assert act(cast, cast.fay, key, "removal").status_code == 409, "two delete at once: the second is shown"


def test_an_answer_brings_a_deleted_one_back(cast):
    key = cast.send(cast.sophie, "Appointment")
    cast.answer(cast.sam, key)
    act(cast, cast.sam, key, "removal")
    reply(cast, cast.fay, key, "One thing more", seen=last_id(cast, key))
    assert rows(cast.sam.get("/staff/")) == [key]


# ---- Losing sight --------------------------------------------------------------------------------


def test_a5_a_member_who_is_removed_loses_every_address_at_once(cast):
    key = cast.send(cast.sophie, "Appointment")
    assert cast.sam.get(f"/staff/messages/{key}").status_code == 200
    cast.change("Scheduler", staff=[cast.fay])
    assert cast.sam.get(f"/staff/messages/{key}").status_code == 404
    assert cast.sam.get(f"/staff/messages/{key}/reply", htmx=True).status_code == 404
    for what in ("receipts", "claim", "claim-release", "closing", "removal", "restoring"):
        assert act(cast, cast.sam, key, what).status_code == 404
    answer = reply(cast, cast.sam, key, "My long reply")
    assert answer.status_code == 404 and "My long reply" in answer.text, "what was written is shown to copy"


def test_a_communicator_not_in_use_still_answers_what_it_has(cast):
    key = cast.send(cast.sophie, "Others")
    cast.change("Clinicians", is_in_use=False)
    assert rows(cast.nina.get("/staff/")) == [key]
    assert reply(cast, cast.nina, key, "Good morning").status_code == 303


@pytest.mark.parametrize("htmx", [False, True])
def test_a_claim_shows_to_all_and_is_released_by_whoever_has_it(cast, htmx):
    key = cast.send(cast.sophie, "Appointment")
    first = cast.thread(key).version
    assert act(cast, cast.sam, key, "claim", version=first, htmx=htmx).status_code == (200 if htmx else 303)
    mine, others = (who.get(f"/staff/messages/{key}").text for who in (cast.sam, cast.fay))
    assert "Claimed by you until" in mine and "Release</button>" in mine and "Claimed by STAFF, SAM" in others
    assert "Claim</button>" not in mine + others and "Release</button>" not in others
    lost = act(cast, cast.fay, key, "claim", version=first, htmx=htmx)
    assert lost.status_code == 409 and "STAFF, SAM was faster" in lost.text
    assert act(cast, cast.fay, key, "claim-release", htmx=htmx).status_code == 409
    assert act(cast, cast.sam, key, "claim-release", htmx=htmx).status_code in (200, 303)
    assert "Claim</button>" in cast.fay.get(f"/staff/messages/{key}").text
