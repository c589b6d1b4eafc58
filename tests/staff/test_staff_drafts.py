"""Drafts of the staff: of an answer, a note and a New Message, saved while writing as on the patient's side."""

import re

import pytest
import sqlalchemy as sa

from practice import conversations
from practice.conversations import reply as patient_reply
from practice.db import db, new_key
from practice.drafts import Draft
from tests.staff.helpers import last_id, reply, value

JSON = {"Accept": "application/json"}


def drafts():
    db.session.close()
    return list(db.session.scalars(sa.select(Draft).order_by(Draft.id)))


def save(player, about, key="k1", *, version=0, headers=JSON, **values):
    return player.post(f"/staff/drafts/{key}", {"about": about, "draft_version": str(version), **values}, headers=headers)


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize("page", ["/reply", "/notes/new"])
def test_what_is_begun_is_kept_and_opens_again_by_respond_alone(cast, htmx, page):
    key = cast.send(cast.sophie, "Appointment")
    about = f"/staff/messages/{key}{page}"
    saved = save(cast.sam, about, body="Half a word")
    assert saved.status_code == 200 and saved.json["version"] == 1 and "Draft saved at" in saved.json["said"]
    form = cast.sam.get(about, htmx=htmx)
    assert "\nHalf a word</textarea>" in form.text and value(form, "key") == "k1" and 'data-draft="/staff/drafts/k1"' in form.text
    assert "Half a word" not in cast.fay.get(about, htmx=htmx).text
    assert "Half a word" not in cast.sophie.get(f"/messages/{key}").text


def test_sending_deletes_it_and_a_late_save_does_not_revive_it(cast):
    key = cast.send(cast.sophie, "Appointment")
    save(cast.sam, f"/staff/messages/{key}/reply", body="Yes", seen=str(last_id(cast, key)))
    assert reply(cast, cast.sam, key, "Yes", key="k1", draft_version="1").status_code == 303
    assert drafts() == [] and save(cast.sam, f"/staff/messages/{key}/reply", body="Yes", version=1).status_code == 410


def test_a_kept_draft_is_stopped_when_somebody_wrote_meanwhile(cast):
    key = cast.send(cast.sophie, "Appointment")
    about = f"/staff/messages/{key}/reply"
    save(cast.sam, about, body="Friday?", seen=str(last_id(cast, key)))
    patient_reply(key, body="I have moved", form_key=new_key(), by=cast.sophie.actor)
    form = cast.sam.get(about)
    data = {"key": "k1", "seen": value(form, "seen"), "body": "Friday?", "draft_version": "1"}
    stopped = cast.sam.post(f"/staff/messages/{key}/replies", data)
    assert stopped.status_code == 409 and "I have moved" in stopped.text and "\nFriday?</textarea>" in stopped.text
    assert " data-unsaved" in stopped.text and [draft.key for draft in drafts()] == ["k1"]


def test_without_javascript_it_leads_back_to_its_form(cast):
    key = cast.send(cast.sophie, "Appointment")
    for about in (f"/staff/messages/{key}/reply", "/staff/messages/new", f"/staff/messages/{key}/notes/new"):
        form_key = new_key()
        kept = save(cast.sam, about, form_key, headers={}, body="Hm", patient=cast.sophie.key)
        assert kept.status_code == 303 and kept.location.startswith(f"{about}?") and f"draft={form_key}" in kept.location
        page = cast.sam.get(kept.location).text
        assert "Your draft is kept" in page and "\nHm</textarea>" in page
        beside = save(cast.sam, about, form_key, headers={}, body="Other", patient=cast.sophie.key)
        assert "draft-beside" in beside.location and form_key not in beside.location
        assert "\nOther</textarea>" in cast.sam.get(beside.location).text


def test_a_newer_version_is_not_overwritten_and_one_sent_leads_to_sent_items(cast):
    key = cast.send(cast.sophie, "Appointment")
    about = f"/staff/messages/{key}/reply"
    save(cast.sam, about, body="First")
    late = save(cast.sam, about, body="Other window")
    assert late.status_code == 409 and late.json == {"version": 1, "address": f"{about}?draft=k1"}
    reply(cast, cast.sam, key, "First", key="k1")
    sent = save(cast.sam, about, body="First", headers={})
    assert sent.location == "/staff/sent?done=draft-sent" and "This was sent already" in cast.sam.get(sent.location).text


@pytest.mark.parametrize("about", ["", "/messages/new", "/staff/", "/admin/", "https://evil.example/", "/staff/messages/new?x=1"])
def test_a_draft_belongs_to_a_form_of_the_staffs(cast, about):
    assert save(cast.sam, about, body="x").status_code == 404 and drafts() == []
    assert save(cast.sam, "/staff/messages/new", "no key!", body="x").status_code == 404


def test_a_thread_gone_while_writing_leaves_the_text(cast):
    key = cast.send(cast.sophie, "Appointment")
    about = f"/staff/messages/{key}/reply"
    conversations.claim(key, version=cast.thread(key).version, by=cast.sam.actor)
    cast.change("Scheduler", staff=[cast.fay])
    assert save(cast.sam, about, body="My words").status_code == 200
    assert [draft.key for draft in drafts()] == ["k1"] and cast.thread(key).claimed_until is None
    gone = cast.sam.get(f"{about}?draft=k1")
    assert gone.status_code == 404 and "My words" in gone.text


def test_nothing_written_is_nothing_kept(cast):
    answer = save(cast.sam, "/staff/messages/new", body=" \n")
    assert answer.json["version"] == 0 and drafts() == []
    page = cast.sam.get(f"/staff/messages/new?patient={cast.sophie.key}").text
    assert re.search(r'data-draft="/staff/drafts/[\w-]{22}"', page) and "Keep as draft" in page


def test_a_note_that_is_added_is_no_draft_any_more(cast):
    key = cast.send(cast.sophie, "Appointment")
    about = f"/staff/messages/{key}/notes/new"
    save(cast.sam, about, body="Careful")
    assert (
        cast.sam.post(f"/staff/messages/{key}/notes", {"key": "k1", "body": "Careful", "draft_version": "1"}).status_code == 303
    )
    assert drafts() == [] and save(cast.sam, about, body="Careful", version=1).status_code == 410
