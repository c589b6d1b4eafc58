"""Many at once: each thread by itself, what refuses is listed, what was done can be taken back where nobody changed it since."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from practice import bulk, conversations, jobs
from practice.audit import faults
from practice.bulk import Act, Batch, BatchItem, Outcome, act_on_many, colleagues_for, results_of, undo_many
from practice.communicators import Audience
from practice.db import SYSTEM, Audit, clock_at, db, new_key, now, transaction
from practice.errors import NotAllowed, NotVisible
from practice.outbox import Notice, Occasion
from practice.threads import Event, History, Thread, ThreadState


def ticked(cast, *keys):
    return [(key, cast.thread(key).version) for key in keys]


def outcomes(key):
    db.session.close()
    found = sa.select(BatchItem.thread_key, BatchItem.outcome).join(Batch, Batch.id == BatchItem.batch_id).where(Batch.key == key)
    return dict(db.session.execute(found).all())


def audited(did):
    db.session.close()
    return db.session.scalar(sa.select(sa.func.count()).select_from(Audit).where(Audit.did == did))


def numbers_are_right():
    db.session.close()
    for audience in db.session.scalars(sa.select(Audience)):
        mine = sa.select(sa.func.count()).select_from(Thread).where(Thread.audience_id == audience.id)
        assert audience.unread == db.session.scalar(mine.where(Thread.is_unread)), audience.key
        assert audience.in_box == db.session.scalar(mine.where(Thread.is_in_box)), audience.key


def state(cast, key):
    t = cast.thread(key)
    return (
        t.state,
        t.waiting_since,
        t.due_at,
        t.has_emergency_words,
        t.claimed_by_id,
        t.claimed_until,
        t.removed_at,
        t.is_in_box,
    )


@pytest.fixture
def three(cast):
    return [cast.send(cast.sophie, "Appointment", body=f"I have chest pain {n}") for n in range(3)]


def test_each_is_received_by_its_own_verb(cast, three):
    key = act_on_many(Act.RECEIVE, ticked(cast, *three), by=cast.sam.actor)
    assert outcomes(key) == dict.fromkeys(three, Outcome.DONE)
    assert not any(cast.thread(one).is_unread for one in three) and audited("receive") == 3 and audited("act_on_many") == 0
    acts = db.session.scalars(sa.select(Audit.act).where(Audit.did == "receive")).all()
    assert len(set(acts)) == 3, "each is a transaction of its own"
    numbers_are_right()
    with pytest.raises(NotVisible):
        undo_many(key, by=cast.sam.actor)


def test_closing_and_its_undo_put_everything_back_but_what_was_received(cast, three):
    conversations.claim(three[0], version=cast.thread(three[0]).version, by=cast.fay.actor)
    conversations.receive(three[1], version=cast.thread(three[1]).version, by=cast.fay.actor)
    before = [state(cast, one) for one in three]
    key = act_on_many(Act.CLOSE, ticked(cast, *three), by=cast.sam.actor)
    assert {cast.thread(one).state for one in three} == {ThreadState.CLOSED} and audited("close") == 3
    numbers_are_right()
    undo_many(key, by=cast.sam.actor)
    assert [state(cast, one) for one in three] == before and not cast.thread(three[2]).is_unread
    assert outcomes(key) == dict.fromkeys(three, Outcome.UNDONE) and audited("reopen") == 3
    numbers_are_right()
    undo_many(key, by=cast.sam.actor)
    assert audited("reopen") == 3, "pressed twice"
    events = db.session.scalars(sa.select(History.did).join(Thread).where(Thread.key == three[2]).order_by(History.id)).all()
    assert events[-2:] == [Event.CLOSED, Event.REOPENED] and list(faults()) == []


def test_handing_over_tells_the_colleague_and_undo_takes_it_back_with_the_notice(cast, three):
    conversations.claim(three[0], version=cast.thread(three[0]).version, by=cast.sam.actor)
    before = [state(cast, one) for one in three]
    key = act_on_many(Act.ENTRUST, ticked(cast, *three), to=cast.fay.key, by=cast.sam.actor)
    assert {cast.thread(one).claimed_by_id for one in three} == {cast.fay.id}
    undo_many(key, by=cast.sam.actor)
    assert [state(cast, one) for one in three] == before and audited("take_back") == 3
    with clock_at(now() + timedelta(hours=1)):
        jobs.send_due(lambda leased: None)
    db.session.close()
    left = sa.select(sa.func.count()).select_from(Notice).where(Notice.occasion == Occasion.ENTRUSTED)
    assert db.session.scalar(left) == 0


def test_deleting_and_its_undo(cast, three):
    for one in three:
        cast.answer(cast.sam, one)
    key = act_on_many(Act.REMOVE, ticked(cast, *three), by=cast.sam.actor)
    assert all(cast.thread(one).removed_at for one in three)
    numbers_are_right()
    undo_many(key, by=cast.sam.actor)
    assert not any(cast.thread(one).removed_at for one in three) and audited("restore") == 3
    numbers_are_right()


def test_what_refuses_stops_no_other_and_says_why(cast, three):
    read = cast.send(cast.jihae, "Appointment")
    conversations.receive(read, version=cast.thread(read).version, by=cast.fay.actor)
    answered = cast.send(cast.jihae, "Appointment")
    cast.answer(cast.sam, answered)
    rows = ticked(cast, three[0], read, answered) + [(three[1], 99), (new_key(), 1), (cast.send(cast.sophie), 2)]
    key = act_on_many(Act.REMOVE, rows, by=cast.sam.actor)
    wanted = [Outcome.UNREAD, Outcome.WAITING, Outcome.DONE, Outcome.CHANGED, Outcome.GONE, Outcome.GONE]
    assert outcomes(key) == {row[0]: outcome for row, outcome in zip(rows, wanted, strict=True)}
    found = results_of(key, by=cast.sam.actor, own_patient=None)
    assert found.done == 1 and len(found.others) == 5 and found.has_undo
    assert sorted((row.key if row else "") for _, row in found.others) == sorted([three[0], read, three[1], "", ""])


def test_only_a_colleague_who_has_it_and_is_there_is_handed_it(cast, three):
    other = cast.send(cast.sophie)
    key = act_on_many(Act.ENTRUST, ticked(cast, three[0], other), to=cast.nina.key, by=cast.fay.actor)
    assert outcomes(key) == {three[0]: Outcome.NOT_THEIRS, other: Outcome.DONE}
    people = colleagues_for([three[0], other], by=cast.fay.actor, own_patient=None)
    assert [one.id for one in people] == [cast.nina.id, cast.sam.id]
    assert colleagues_for([other], by=cast.sam.actor, own_patient=None) == []


def test_an_answer_that_is_being_sent_is_not_closed(cast, three, ten_seconds):
    cast.answer(cast.fay, three[0])
    key = act_on_many(Act.CLOSE, ticked(cast, *three), by=cast.sam.actor)
    assert outcomes(key)[three[0]] == Outcome.BEING_SENT and outcomes(key)[three[1]] == Outcome.DONE


@pytest.mark.parametrize("did", [Act.CLOSE, Act.ENTRUST, Act.REMOVE])
def test_what_somebody_changed_since_is_not_undone(cast, three, did):
    if did == Act.REMOVE:
        for one in three:
            cast.answer(cast.sam, one)
    key = act_on_many(did, ticked(cast, *three), to=cast.fay.key, by=cast.sam.actor)
    cast.sophie.post(f"/messages/{three[0]}/replies", {"key": new_key(), "body": "Hello"})
    after = state(cast, three[0])
    undo_many(key, by=cast.sam.actor)
    assert state(cast, three[0]) == after
    assert outcomes(key) == {three[0]: Outcome.CHANGED_SINCE, three[1]: Outcome.UNDONE, three[2]: Outcome.UNDONE}
    numbers_are_right()


def test_undo_is_for_whoever_did_it_and_still_has_the_threads(cast, three):
    key = act_on_many(Act.CLOSE, ticked(cast, *three), by=cast.sam.actor)
    with pytest.raises(NotVisible):
        undo_many(key, by=cast.fay.actor)
    with pytest.raises(NotVisible):
        undo_many(new_key(), by=cast.sam.actor)
    assert results_of(key, by=cast.fay.actor, own_patient=None) is None
    cast.change("Scheduler", staff=[cast.fay])
    undo_many(key, by=cast.sam.actor)
    assert outcomes(key) == dict.fromkeys(three, Outcome.CHANGED_SINCE)
    assert all(row is None for _, row in results_of(key, by=cast.sam.actor, own_patient=None).others), "names neither"
    assert {cast.thread(one).state for one in three} == {ThreadState.CLOSED}


def test_my_own_thread_as_a_patient_is_never_touched(cast):
    own = cast.staff("lou", own_patient=cast.sophie.id)
    cast.change("Scheduler", staff=[own, cast.sam])
    mine = cast.send(cast.sophie, "Appointment")
    key = act_on_many(Act.RECEIVE, ticked(cast, mine), by=own.actor)
    assert outcomes(key) == {mine: Outcome.GONE} and cast.thread(mine).is_unread
    assert results_of(key, by=own.actor, own_patient=cast.sophie.id).others[0][1] is None


def test_at_most_two_hundred_and_each_once(cast, three, monkeypatch):
    monkeypatch.setattr(bulk, "MOST", 2)
    key = act_on_many(Act.RECEIVE, ticked(cast, three[0], three[0], *three[1:]), by=cast.sam.actor)
    assert len(outcomes(key)) == 2 and cast.thread(three[2]).is_unread


def test_what_was_done_before_a_crash_is_done_known_and_can_be_undone(cast, three, monkeypatch):
    closing = conversations.close

    def dies(key, **how):
        if key == three[2]:
            raise KeyboardInterrupt
        closing(key, **how)

    monkeypatch.setattr(conversations, "close", dies)
    with pytest.raises(KeyboardInterrupt):
        act_on_many(Act.CLOSE, ticked(cast, *three), by=cast.sam.actor)
    db.session.close()
    key = db.session.scalar(sa.select(Batch.key))
    assert outcomes(key) == {three[0]: Outcome.DONE, three[1]: Outcome.DONE}
    undo_many(key, by=cast.sam.actor)
    assert {cast.thread(one).state for one in three} == {ThreadState.WAITING}
    numbers_are_right()


def test_the_same_form_goes_on_where_it_was_broken_off_and_lists_what_had_refused(cast, three, monkeypatch):
    closing, form, rows = conversations.close, new_key(), [(new_key(), 1), *ticked(cast, *three)]

    def dies(key, **how):
        if key == three[1]:
            raise KeyboardInterrupt
        closing(key, **how)

    with monkeypatch.context() as broken:
        broken.setattr(conversations, "close", dies)
        with pytest.raises(KeyboardInterrupt):
            act_on_many(Act.CLOSE, rows, by=cast.sam.actor, form_key=form)
    assert outcomes(form) == {rows[0][0]: Outcome.GONE, three[0]: Outcome.DONE}
    assert act_on_many(Act.CLOSE, rows, by=cast.sam.actor, form_key=form) == form
    assert outcomes(form) == {rows[0][0]: Outcome.GONE, **dict.fromkeys(three, Outcome.DONE)} and audited("close") == 3


def test_the_key_of_another_act_or_person_does_not_join_theirs(cast, three):
    form = act_on_many(Act.CLOSE, ticked(cast, three[0]), by=cast.sam.actor, form_key=new_key())
    other = act_on_many(Act.RECEIVE, ticked(cast, three[1]), by=cast.sam.actor, form_key=form)
    third = act_on_many(Act.CLOSE, ticked(cast, three[2]), by=cast.fay.actor, form_key=form)
    assert len({form, other, third}) == 3 and outcomes(form) == {three[0]: Outcome.DONE}
    assert outcomes(other) == {three[1]: Outcome.DONE} and outcomes(third) == {three[2]: Outcome.DONE}


def test_of_one_form_sent_twice_at_once_the_second_refuses_nothing_that_the_first_did(cast, three, monkeypatch):
    """The second began before the first was through: it finds the threads changed, by its own form."""
    form, rows, beginning = new_key(), ticked(cast, *three), bulk._begin

    def overtaken(*how):
        begun = beginning(*how)
        monkeypatch.setattr(bulk, "_begin", beginning)
        act_on_many(Act.CLOSE, rows, by=cast.sam.actor, form_key=form)
        return begun

    monkeypatch.setattr(bulk, "_begin", overtaken)
    act_on_many(Act.CLOSE, rows, by=cast.sam.actor, form_key=form)
    assert outcomes(form) == dict.fromkeys(three, Outcome.DONE) and audited("close") == 3


def test_of_two_undos_at_once_the_second_says_nothing_was_changed_since(cast, three, monkeypatch):
    key, undoing = act_on_many(Act.CLOSE, ticked(cast, *three), by=cast.sam.actor), bulk._undo

    def overtaken(*what, **how):
        monkeypatch.setattr(bulk, "_undo", undoing)
        undo_many(key, by=cast.sam.actor)
        undoing(*what, **how)

    monkeypatch.setattr(bulk, "_undo", overtaken)
    undo_many(key, by=cast.sam.actor)
    assert outcomes(key) == dict.fromkeys(three, Outcome.UNDONE) and audited("reopen") == 3


def test_a_refusal_of_an_unknown_kind_stops_no_other_either(cast, three, monkeypatch):
    closing = conversations.close

    def refuses(key, **how):
        if key == three[0]:
            raise NotAllowed("for a reason nobody has listed")
        closing(key, **how)

    monkeypatch.setattr(conversations, "close", refuses)
    key = act_on_many(Act.CLOSE, ticked(cast, *three), by=cast.sam.actor)
    assert outcomes(key) == {three[0]: Outcome.CHANGED, three[1]: Outcome.DONE, three[2]: Outcome.DONE}


def test_after_a_day_there_is_no_undo_whether_or_not_it_is_forgotten_yet(cast, three):
    key = act_on_many(Act.CLOSE, ticked(cast, *three), by=cast.sam.actor)
    with clock_at(now() + timedelta(hours=25)):
        assert results_of(key, by=cast.sam.actor, own_patient=None) is None
        with pytest.raises(NotVisible):
            undo_many(key, by=cast.sam.actor)


def test_results_are_forgotten_after_a_day(cast, three):
    key = act_on_many(Act.RECEIVE, ticked(cast, *three), by=cast.sam.actor)
    for hours, left in ((23, 3), (25, 0)):
        with clock_at(now() + timedelta(hours=hours)), transaction(by=SYSTEM, did="test") as tx:
            bulk.forget_batches(tx.session)
        assert len(outcomes(key)) == left
