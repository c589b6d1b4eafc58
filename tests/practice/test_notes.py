"""Internal notes: who writes and is mentioned, once, what they leave alone, and the thread they go along with."""

import pytest
import sqlalchemy as sa

from practice import routing
from practice.communicators import Communicator
from practice.conversations import BODY_MAX, colleagues_with
from practice.db import COMMAND, db, new_key, transaction
from practice.errors import Invalid, NotVisible
from practice.notes import Note, add_note, notes_of
from practice.outbox import Notice, Occasion
from practice.people import Staff
from practice.threads import Thread


def note(cast, key, *, by=None, body="Call her sister first", to=(), form_key=None):
    who = by or cast.sam
    add_note(key, body=body, mentions=[one.key for one in to], form_key=form_key or new_key(), by=who.actor)


def told(key):
    db.session.close()
    thread = sa.select(Thread.id).where(Thread.key == key).scalar_subquery()
    found = sa.select(Notice.person_id).where(Notice.occasion == Occasion.MENTIONED, Notice.thread_id == thread)
    return list(db.session.scalars(found.order_by(Notice.id)))


def kept(cast, key):
    return [(one.row.body, set(one.mentioned)) for one in notes_of(cast.thread(key).id)]


def test_a_note_is_read_with_whom_it_mentions_and_they_are_told_once(cast):
    key, form = cast.send(cast.sophie, "Appointment"), new_key()
    for _ in range(2):
        note(cast, key, to=[cast.fay], form_key=form)
    assert kept(cast, key) == [("Call her sister first", {cast.fay.id})] and told(key) == [cast.fay.id]
    note(cast, key, by=cast.fay, body="Done", to=[])
    assert [body for body, _ in kept(cast, key)] == ["Call her sister first", "Done"] and told(key) == [cast.fay.id]


def test_a_second_note_tells_a_second_time(cast):
    key = cast.send(cast.sophie, "Appointment")
    note(cast, key, to=[cast.fay])
    note(cast, key, to=[cast.fay])
    assert told(key) == [cast.fay.id, cast.fay.id]


def test_the_same_form_with_other_words_is_not_dropped_silently(cast):
    key, form = cast.send(cast.sophie, "Appointment"), new_key()
    note(cast, key, form_key=form)
    with pytest.raises(Invalid, match="other words"):
        note(cast, key, body="Something else", form_key=form)
    with pytest.raises(Invalid, match="other words"):
        note(cast, key, to=[cast.fay], form_key=form)
    with pytest.raises(Invalid, match="other words"):
        note(cast, cast.send(cast.jihae, "Appointment"), form_key=form)


@pytest.mark.parametrize("who", ["nina", "dan", "ada"])
def test_only_who_may_see_the_thread_writes_and_is_mentioned(cast, who):
    key = cast.send(cast.sophie, "Appointment")
    with pytest.raises(NotVisible):
        note(cast, key, by=getattr(cast, who))
    with pytest.raises(Invalid, match=f"STAFF, {who.upper()} may not see"):
        note(cast, key, to=[cast.fay, getattr(cast, who)])
    assert kept(cast, key) == [] and told(key) == []


def test_a_patient_is_never_mentioned_nor_named(cast):
    key = cast.send(cast.sophie, "Appointment")
    with pytest.raises(Invalid, match="Somebody you ticked"):
        note(cast, key, to=[cast.jihae])


def test_who_lost_the_thread_meanwhile_is_named(cast):
    key = cast.send(cast.sophie, "Appointment")
    cast.change("Scheduler", staff=[cast.sam])
    with pytest.raises(Invalid, match="STAFF, FAY"):
        note(cast, key, to=[cast.fay])


def test_nobody_meets_a_note_on_the_own_thread(cast):
    key = cast.send(cast.sophie, "Appointment")
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        tx.session.get_one(Staff, cast.fay.id).own_patient_id = cast.sophie.id
    with pytest.raises(NotVisible):
        note(cast, key, by=cast.fay)
    with pytest.raises(Invalid, match="STAFF, FAY"):
        note(cast, key, to=[cast.fay])
    assert colleagues_with(db.session(), cast.thread(key), cast.sam.id) == []


def test_nobody_is_offered_oneself(cast):
    key = cast.send(cast.sophie, "Appointment")
    assert [one.key for one in colleagues_with(db.session(), cast.thread(key), cast.sam.id)] == [cast.fay.key]


@pytest.mark.parametrize(("body", "field"), [("", "body"), ("\u200b", "body"), ("x" * (BODY_MAX + 1), "body")])
def test_a_note_is_words_and_not_too_many(cast, body, field):
    with pytest.raises(Invalid) as refused:
        note(cast, cast.send(cast.sophie, "Appointment"), body=body)
    assert refused.value.field == field


@pytest.mark.parametrize("form_key", ["", "x" * 23])
def test_a_form_without_a_proper_key_is_refused(cast, form_key):
    key = cast.send(cast.sophie, "Appointment")
    with pytest.raises(Invalid):
        add_note(key, body="Hello", mentions=[], form_key=form_key, by=cast.sam.actor)


def test_a_note_leaves_states_unread_and_clock_alone(cast):
    key = cast.send(cast.sophie, "Appointment")
    columns = ("state", "is_unread", "is_in_box", "waiting_since", "due_at", "version", "claimed_by_id", "last_staff_message_at")
    before = [getattr(cast.thread(key), name) for name in columns]
    note(cast, key)
    assert [getattr(cast.thread(key), name) for name in columns] == before


def test_notes_go_along_to_another_communicator(cast):
    key = cast.send(cast.sophie, "Others", to="IT Manager")
    note(cast, key, by=cast.ivan)
    ids = [cast.communicator(title) for title in ("IT Manager", "Clinicians")]
    db.session.close()
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        found = [tx.session.scalars(sa.select(Communicator.id).where(Communicator.key == one)).one() for one in ids]
        routing.hand_open_threads(tx, *found)
    page = cast.nina.get(f"/staff/messages/{key}")
    assert "Call her sister first" in page.text
    with pytest.raises(NotVisible):
        note(cast, key, by=cast.ivan)


def test_the_database_keeps_one_note_a_form(cast):
    key, form = cast.send(cast.sophie, "Appointment"), new_key()
    note(cast, key, form_key=form)
    with pytest.raises(sa.exc.IntegrityError), transaction(by=COMMAND, did="set_up_tests") as tx:
        one = {"thread_id": cast.thread(key).id, "author_id": cast.sam.id, "body": "x", "at": cast.thread(key).created_at}
        tx.session.add(Note(key=new_key(), form_key=form, **one))
