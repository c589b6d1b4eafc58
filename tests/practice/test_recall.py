"""Undo of an answer: committed whole, out of the patient's sight for ten seconds, recalled without a trace in any page."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from practice import conversations, outbox
from practice.audit import faults
from practice.db import clock_at, db, new_key, now, transaction
from practice.drafts import Draft
from practice.errors import BeingSent, NotVisible, Recalled, Stale
from practice.inbox import newest_answers
from practice.outbox import Notice, Occasion
from practice.own_account import readers_of
from practice.people import NoticePreference, Patient
from practice.threads import (
    BEFORE,
    Event,
    History,
    Message,
    Place,
    Recall,
    Sought,
    Thread,
    is_new_for_patient,
    last_message_id,
    message_of_patient,
    opened_by_patient,
    threads_of_patient,
    under_way_of_patient,
    whole_of_patient,
)
from tests.practice.test_conversations import at_once, numbers

pytestmark = pytest.mark.usefixtures("ten_seconds")
PAGES = ("/reply", "/new")
SECOND = timedelta(seconds=1)


def newest(key):
    return db.session.scalars(sa.select(Message).join(Thread).where(Thread.key == key).order_by(Message.id.desc()).limit(1)).one()


def recall(who, key, message=None):
    return conversations.recall(key, message=message or newest(key).key, pages=PAGES, by=who.actor)


def start(cast, who=None, to=None, *, body="B"):
    return conversations.start(
        (to or cast.sophie).key,
        communicator=cast.communicator("Scheduler"),
        title="A",
        body=body,
        form_key=new_key(),
        by=(who or cast.sam).actor,
    ).thread_key


def seen_by(patient):
    """All that the patient's pages say of their threads, but for the clock."""
    db.session.close()
    lists = [threads_of_patient(patient.id, which=which) for which in ("inbox", "sent")]
    lists += [
        threads_of_patient(patient.id, sought=Sought(is_unread=True)),
        threads_of_patient(patient.id, sought=Sought("hello")),
    ]
    rows = [[(r.key, r.at, r.state, r.last_staff_message_at, r.due_at) for r in page.rows] for page in lists]
    under_way = [
        (u.thread.key, [(s.name, s.at) for s in u.steps if s.name != "Received"]) for u in under_way_of_patient(patient.id)
    ]
    heads = [opened_by_patient(row[0], patient.id) for row in rows[1]]
    return (
        rows,
        under_way,
        [(o.head.state, o.head.due_at, o.head.hidden_by_patient_at, [m.id for m in o.messages]) for o in heads],
    )


def before_of(thread):
    return {name: getattr(thread, name) for name in BEFORE}


@pytest.mark.parametrize("was", ["waiting", "answered", "closed", "hidden"])
def test_for_ten_seconds_the_patient_sees_what_was_before_and_undo_brings_it_back(cast, was):
    at = now() - timedelta(days=1)
    with clock_at(at):
        key = cast.send(cast.sophie, "Appointment", body="hello")
        other = cast.send(cast.sophie, body="hello")
    with clock_at(at + timedelta(hours=1)):
        if was != "waiting":
            cast.answer(cast.sam, key)
    with clock_at(at + timedelta(hours=2)):
        cast.answer(cast.nina, other)
        if was == "closed":
            conversations.close(key, version=cast.thread(key).version, by=cast.sam.actor)
        if was == "hidden":
            conversations.hide(key, by=cast.sophie.actor)
    moment = now()
    with clock_at(moment):
        before, row = seen_by(cast.sophie), before_of(cast.thread(key))
        cast.answer(cast.sam, key, "Canary")
        assert seen_by(cast.sophie) == before
        assert cast.thread(key).state == "answered" and cast.thread(key).waiting_since is None
        numbers()
    with clock_at(moment + 9.9 * SECOND):
        assert seen_by(cast.sophie) == before
        assert recall(cast.sam, key)[0] is False
        assert seen_by(cast.sophie) == before and before_of(cast.thread(key)) == row
        numbers()
    with clock_at(moment + 11 * SECOND):
        assert seen_by(cast.sophie) == before
        with pytest.raises(NotVisible):
            message_of_patient(newest(key).key, key, cast.sophie.id)


def test_after_ten_seconds_it_is_there_and_nothing_had_to_run(cast):
    key, moment = cast.send(cast.sophie, "Appointment"), now()
    with clock_at(moment):
        cast.answer(cast.sam, key, "Canary")
    with clock_at(moment + 10 * SECOND):
        assert [row.key for row in threads_of_patient(cast.sophie.id).rows] == [key]
        assert [m.body for m in whole_of_patient(key, cast.sophie.id).messages][-1] == "Canary"
        assert under_way_of_patient(cast.sophie.id) == []
        with pytest.raises(Stale, match="arrived"):
            recall(cast.sam, key)
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Recall)) == 0 and not list(faults())


def test_undo_makes_one_draft_and_pressed_twice_it_is_done_once(cast):
    key = cast.send(cast.sophie, "Appointment")
    cast.answer(cast.sam, key, "Canary")
    db.session.close()
    assert {type(one) for one in at_once(cast, [lambda: recall(cast.sam, key)] * 4)} == {tuple}
    drafts = db.session.scalars(sa.select(Draft)).all()
    assert [(d.about, d.author_id, "Canary" in d.values) for d in drafts] == [("/reply", cast.sam.id, True)]
    events = db.session.scalars(sa.select(History).where(History.did == Event.RECALLED)).all()
    assert [(e.by_id, e.up_to_id) for e in events] == [(cast.sam.id, newest(key).id)]
    assert last_message_id(db.session(), cast.thread(key).id) < newest(key).id
    numbers()


def test_only_the_author_takes_an_answer_back(cast):
    key = cast.send(cast.sophie, "Appointment")
    cast.answer(cast.sam, key)
    for who in (cast.fay, cast.nina, cast.sophie):
        with pytest.raises(NotVisible):
            recall(who, key)
    cast.change("Scheduler", staff=[cast.fay])
    with pytest.raises(NotVisible):
        recall(cast.sam, key)


def test_meanwhile_nothing_else_changes_the_state_and_receive_claim_go_on(cast):
    key = cast.send(cast.sophie, "Appointment")
    cast.answer(cast.sam, key)
    for verb in (conversations.close, conversations.remove):
        with pytest.raises(BeingSent):
            verb(key, version=cast.thread(key).version, by=cast.fay.actor)
    with pytest.raises(BeingSent):
        cast.answer(cast.fay, key)
    conversations.claim(key, version=cast.thread(key).version, by=cast.fay.actor)
    conversations.reply(key, body="One more", form_key=new_key(), by=cast.sophie.actor)
    conversations.receive(key, version=cast.thread(key).version, by=cast.fay.actor)
    with clock_at(now() + 11 * SECOND):
        cast.answer(cast.fay, key)


@pytest.mark.parametrize("is_undone", [True, False])
def test_a_patient_who_writes_meanwhile_waits_again_since_the_older_message_if_it_is_undone(cast, is_undone):
    with clock_at(now() - timedelta(days=3)):
        key = cast.send(cast.sophie, "Appointment")
    since, due = cast.thread(key).waiting_since, cast.thread(key).due_at
    moment = now()
    with clock_at(moment):
        cast.answer(cast.sam, key, "Canary")
        answer = newest(key).key
    with clock_at(moment + SECOND):
        conversations.reply(key, body="And this", form_key=new_key(), by=cast.sophie.actor)
        opened = opened_by_patient(key, cast.sophie.id)
        assert (opened.head.state, opened.head.waiting_since, opened.head.due_at) == ("waiting", since, due)
        assert [m.body for m in opened.messages][-1] == "And this"
    if is_undone:
        with clock_at(moment + 2 * SECOND):
            recall(cast.sam, key, answer)
    with clock_at(moment + 11 * SECOND):
        thread = cast.thread(key)
        assert (thread.state, thread.is_unread, thread.waiting_since == since) == ("waiting", True, is_undone)
        assert (thread.due_at == due) is is_undone
        bodies = [m.body for m in opened_by_patient(key, cast.sophie.id).messages]
        assert ("Canary" in bodies) is not is_undone and bodies[-1] == "And this"
        assert [u.thread.key for u in under_way_of_patient(cast.sophie.id)] == [key]
        numbers()


def test_what_the_patient_hides_meanwhile_comes_back_with_the_answer(cast):
    key, moment = cast.send(cast.sophie, "Appointment"), now()
    with clock_at(moment):
        cast.answer(cast.sam, key)
    with clock_at(moment + SECOND):
        conversations.hide(key, by=cast.sophie.actor)
        assert [threads_of_patient(cast.sophie.id, which=w).rows for w in ("inbox", "sent")] == [[], []]
        assert opened_by_patient(key, cast.sophie.id).head.hidden_by_patient_at
        conversations.show_again(key, by=cast.sophie.actor)
        assert [row.key for row in threads_of_patient(cast.sophie.id, which="sent").rows] == [key]
        conversations.hide(key, by=cast.sophie.actor)
    with clock_at(moment + 11 * SECOND):
        assert [row.key for row in threads_of_patient(cast.sophie.id).rows] == [key]


@pytest.mark.parametrize("wish", list(NoticePreference))
def test_the_mail_leaves_when_the_answer_has_arrived_and_undo_takes_it_away(cast, wish):
    key, moment = cast.send(cast.sophie, "Appointment"), now()
    with transaction(by=cast.sophie.actor, did="set_up_tests") as tx:
        tx.session.execute(sa.update(Patient).values(notices=wish))
    with clock_at(moment):
        cast.answer(cast.sam, key)
        told = sa.select(Notice).where(Notice.person_id == cast.sophie.id, Notice.occasion == Occasion.ANSWERED)
        due = [notice.next_at for notice in db.session.scalars(told)]
        assert due == ([] if wish == NoticePreference.NONE else [max(due[0], moment + 10 * SECOND)])
        assert wish != NoticePreference.EACH or due == [moment + 10 * SECOND]
        with transaction(by=cast.sophie.actor, did="set_up_tests") as tx:
            outbox.wish_changed(tx.session, cast.sophie.id, NoticePreference.EACH)
        db.session.close()
        assert all(notice.next_at >= moment + 10 * SECOND for notice in db.session.scalars(told))
        recall(cast.sam, key)
    db.session.close()
    assert db.session.scalars(sa.select(Notice).where(Notice.occasion.in_(outbox.OF_AN_ANSWER))).all() == []


def test_a_colleague_who_read_what_was_taken_back_is_stopped_and_the_same_form_is_not_dropped(cast):
    key = cast.send(cast.sophie, "Appointment")
    form, first = new_key(), newest(key).id
    conversations.answer(key, body="Canary", form_key=form, seen=first, by=cast.sam.actor)
    seen = newest(key).id
    recall(cast.sam, key)
    with pytest.raises(Recalled):
        conversations.answer(key, body="I agree", form_key=new_key(), seen=seen, by=cast.fay.actor)
    with pytest.raises(Recalled):
        conversations.answer(key, body="Canary", form_key=form, seen=first, by=cast.sam.actor)
    conversations.answer(key, body="Canary", form_key=new_key(), seen=first, by=cast.sam.actor)


def test_a_thread_begun_by_the_practice_is_the_patients_as_soon_as_it_has_arrived(cast):
    moment = now()
    with clock_at(moment):
        key = start(cast)
        assert cast.sam.get(f"/staff/messages/{key}").status_code == 200
        assert readers_of(cast.sophie.id, page=1)[0] == []
        with pytest.raises(NotVisible):
            opened_by_patient(key, cast.sophie.id)
        for verb in (conversations.hide, lambda k, by: conversations.reply(k, body="?", form_key=new_key(), by=by)):
            with pytest.raises(NotVisible):
                verb(key, by=cast.sophie.actor)
    with clock_at(moment + 10 * SECOND):
        assert [row.key for row in threads_of_patient(cast.sophie.id).rows] == [key]
        assert [row.key for row in readers_of(cast.sophie.id, page=1)[0]] == [key]
        conversations.hide(key, by=cast.sophie.actor)
        cast.answer(cast.sam, key, "One more")  # what the patient has hidden is theirs while it is being sent
        assert opened_by_patient(key, cast.sophie.id).head.hidden_by_patient_at
        conversations.reply(key, body="Thanks", form_key=new_key(), by=cast.sophie.actor)


def test_a_thread_whose_only_message_was_recalled_is_there_for_nobody(cast):
    moment = now()
    with clock_at(moment):
        key = start(cast)
        message = newest(key).key
        cast.sam.get(f"/staff/messages/{key}")
        assert recall(cast.sam, key)[0] is True
        assert recall(cast.sam, key, message) == (True, "")
    with clock_at(moment + 11 * SECOND):
        assert readers_of(cast.sophie.id, page=1)[0] == []
        with pytest.raises(NotVisible):
            opened_by_patient(key, cast.sophie.id)
        with pytest.raises(NotVisible):
            conversations.reply(key, body="?", form_key=new_key(), by=cast.sophie.actor)
        with pytest.raises(NotVisible):
            conversations.claim(key, version=cast.thread(key).version, by=cast.sam.actor)
        assert cast.sam.get(f"/staff/messages/{key}").status_code == 404
        assert key not in cast.sam.get("/staff/sent").text
        assert newest_answers([cast.thread(key).id]) == {}


def test_a_message_that_is_being_sent_is_no_place_in_a_thread(cast):
    key = cast.send(cast.sophie, "Appointment")
    cast.answer(cast.sam, key)
    with pytest.raises(NotVisible):
        message_of_patient(newest(key).key, key, cast.sophie.id)


@pytest.mark.parametrize("of_whom", ["own", "another's", "ended"])
def test_a_saved_draft_moves_ones_own_claim_on_and_no_other(cast, of_whom):
    key, moment = cast.send(cast.sophie, "Appointment"), now()
    who = cast.fay if of_whom == "another's" else cast.sam
    with clock_at(moment):
        conversations.claim(key, version=cast.thread(key).version, by=who.actor)
    until, version = cast.thread(key).claimed_until, cast.thread(key).version
    later = until + SECOND if of_whom == "ended" else until - 60 * SECOND
    with clock_at(later):
        kept = {"key": new_key(), "about": "/reply", "values": {"body": ["Hm"]}, "seen": 0, "by": cast.sam.actor}
        assert conversations.keep_reply(key, **kept) == 1
    thread = cast.thread(key)
    assert (thread.claimed_until > until) is (of_whom == "own") and thread.version == version


def test_every_page_and_search_of_the_patients_list_is_the_same_while_one_is_being_sent(cast):
    begun, keys = now() - timedelta(days=5), []
    for n in range(30):
        with clock_at(begun + timedelta(hours=n)):
            keys.append(cast.send(cast.sophie, "Appointment", body=f"hello {n}"))
            cast.answer(cast.sam, keys[-1], f"Answer {n}")
    until = begun + timedelta(hours=10)

    def walked():
        first = threads_of_patient(cast.sophie.id)
        last = first.rows[-1]
        older = threads_of_patient(cast.sophie.id, place=Place(last.at, last.id))
        back = threads_of_patient(cast.sophie.id, place=Place(older.rows[0].at, older.rows[0].id, is_newer=True))
        sought = [Sought("answer 3"), Sought(until=until), Sought(since=until), Sought(is_unread=True), Sought("canary")]
        some = [threads_of_patient(cast.sophie.id, sought=one) for one in sought]
        pages = [first, older, back, *some]
        rows = [[(row.key, row.at, row.communicator_title, is_new_for_patient(row)) for row in page.rows] for page in pages]
        assert rows[0] == rows[2] and len(rows[1]) == 5 and rows[-1] == []
        return rows, [(page.has_newer, page.has_older) for page in pages]

    moment = now()
    with clock_at(moment):
        before = walked()
        for n in (29, 12, 3):
            cast.answer(cast.sam, keys[n], "Canary")
        assert walked() == before
    with clock_at(moment + 10 * SECOND):
        assert [row.key for row in threads_of_patient(cast.sophie.id).rows[:3]] == [keys[n] for n in (29, 12, 3)]


def test_undo_a_patient_who_writes_and_a_colleague_who_closes_all_at_once_leave_it_waiting_and_counted(cast):
    with clock_at(now() - timedelta(days=2)):
        keys = [cast.send(cast.sophie, "Appointment", body=f"{n}") for n in range(4)]
    since = [cast.thread(key).waiting_since for key in keys]
    jobs = []
    for key in keys:
        cast.answer(cast.sam, key, "Canary")
        message, version = newest(key).key, cast.thread(key).version
        jobs += [
            lambda key=key, message=message: recall(cast.sam, key, message),
            lambda key=key: conversations.reply(key, body="More", form_key=new_key(), by=cast.sophie.actor),
            lambda key=key, version=version: conversations.close(key, version=version, by=cast.fay.actor),
        ]
    found = at_once(cast, jobs)
    assert {type(one).__name__ for one in found} <= {"tuple", "Sent", "BeingSent", "Stale"}
    threads = [cast.thread(key) for key in keys]
    assert [(t.state, t.is_unread, t.waiting_since) for t in threads] == [("waiting", True, at) for at in since]
    numbers()
