"""Handing over, transferring, closing as a duplicate: who may, what must follow, and what the patient sees of it."""

import json

import pytest
import sqlalchemy as sa

from practice import conversations
from practice.communicators import box_of
from practice.db import COMMAND, db, transaction
from practice.errors import Invalid, NotVisible, Stale
from practice.outbox import Notice, Occasion
from practice.settings import RequestType
from practice.threads import Delivery, Event, History, Thread, ThreadState


def sees(cast, player, key):
    db.session.close()
    thread = cast.thread(key)
    return thread.audience_id in box_of(db.session(), player.id, None).audiences


def version(cast, key):
    return cast.thread(key).version


def told(occasion):
    db.session.close()
    return set(db.session.scalars(sa.select(Notice.person_id).where(Notice.occasion == occasion)))


def newest(key):
    db.session.close()
    row = db.session.execute(
        sa.select(History.did, History.words).join(Thread).where(Thread.key == key).order_by(History.id.desc())
    ).first()
    return row.did, json.loads(row.words)


def transfer(cast, key, to, by, reason="Not ours"):
    conversations.transfer(key, communicator=cast.communicator(to), reason=reason, version=version(cast, key), by=by.actor)


# ---- Hand over -------------------------------------------------------------------------------------------


def test_a_colleague_who_has_it_too_gets_the_claim_and_is_told(cast):
    key = cast.send(cast.sophie, "Appointment")
    conversations.entrust(key, to=cast.fay.key, version=version(cast, key), by=cast.sam.actor)
    thread = cast.thread(key)
    assert thread.claimed_by_id == cast.fay.id and thread.claimed_until is not None and thread.is_unread
    assert newest(key) == (Event.ENTRUSTED, {"name": "STAFF, FAY"})
    assert told(Occasion.ENTRUSTED) == {cast.fay.id}


def test_only_who_has_it_and_is_there_can_be_handed_it(cast):
    key = cast.send(cast.sophie, "Appointment")
    for nobody in (cast.nina, cast.dan, cast.ada, cast.sam, cast.sophie):
        with pytest.raises(Invalid):
            conversations.entrust(key, to=nobody.key, version=version(cast, key), by=cast.sam.actor)
    with pytest.raises(NotVisible):
        conversations.entrust(key, to=cast.fay.key, version=version(cast, key), by=cast.nina.actor)
    assert cast.thread(key).claimed_by_id is None


def test_the_patients_own_staff_account_is_nobody_to_hand_it_to(cast):
    own = cast.staff("sue", own_patient=cast.sophie.id)
    cast.change("Scheduler", staff=[cast.sam, cast.fay, own])
    key = cast.send(cast.sophie, "Appointment")
    assert "sue" not in {one.login for one in conversations.colleagues_with(db.session(), cast.thread(key), cast.sam.id)}
    with pytest.raises(Invalid):
        conversations.entrust(key, to=own.key, version=version(cast, key), by=cast.sam.actor)


def test_what_another_has_claimed_is_not_mine_to_hand_over(cast):
    key = cast.send(cast.sophie, "Appointment")
    conversations.claim(key, version=version(cast, key), by=cast.fay.actor)
    with pytest.raises(Stale):
        conversations.entrust(key, to=cast.fay.key, version=version(cast, key), by=cast.sam.actor)
    conversations.entrust(key, to=cast.sam.key, version=version(cast, key), by=cast.fay.actor)
    assert cast.thread(key).claimed_by_id == cast.sam.id


# ---- Transfer --------------------------------------------------------------------------------------------


def test_it_goes_to_the_one_chosen_with_its_type_and_the_clock_goes_on(cast):
    key = cast.send(cast.sophie, "Others", to="Clinicians")
    conversations.claim(key, version=version(cast, key), by=cast.nina.actor)
    before = cast.thread(key)
    transfer(cast, key, "Scheduler", cast.nina, reason="An appointment, not clinical")
    after = cast.thread(key)
    assert (after.type, after.state, after.is_unread) == (RequestType.APPOINTMENT, ThreadState.WAITING, True)
    assert (after.waiting_since, after.due_at) == (before.waiting_since, before.due_at) and after.claimed_by_id is None
    assert not sees(cast, cast.nina, key) and sees(cast, cast.sam, key) and sees(cast, cast.fay, key)
    assert newest(key) == (Event.TRANSFERRED, {"title": "Scheduler", "reason": "An appointment, not clinical"})
    assert told(Occasion.WAITING) == {cast.nina.id, cast.fay.id, cast.sam.id}
    with pytest.raises(NotVisible):
        conversations.receive(key, version=after.version, by=cast.nina.actor)


def test_counts_follow_it(cast):
    key = cast.send(cast.sophie, "Others", to="Clinicians")
    transfer(cast, key, "Scheduler", cast.nina)
    db.session.close()
    counts = {a.titles: (a.unread, a.in_box) for a in box_of(db.session(), cast.fay.id, None).shared}
    assert counts == {("Clinicians",): (0, 0), ("Scheduler",): (1, 1)}


def test_who_was_told_before_is_not_told_again(cast):
    key = cast.send(cast.sophie, "Others", to="Clinicians")
    transfer(cast, key, "IT Manager", cast.fay)
    transfer(cast, key, "Clinicians", cast.ivan)
    db.session.close()
    people = list(db.session.scalars(sa.select(Notice.person_id).where(Notice.occasion == Occasion.WAITING)))
    assert sorted(people) == sorted({cast.nina.id, cast.fay.id, cast.ivan.id})


def test_who_was_told_of_another_message_is_told_of_this_one(cast):
    conversations.receive(first := cast.send(cast.sophie, to="IT Manager"), version=version(cast, first), by=cast.ivan.actor)
    key = cast.send(cast.sophie, to="Clinicians")
    transfer(cast, key, "IT Manager", cast.nina)
    db.session.close()
    of_ivan = sa.select(sa.func.count()).where(Notice.person_id == cast.ivan.id, Notice.occasion == Occasion.WAITING)
    assert db.session.scalar(of_ivan) == 2


def test_who_was_told_that_nobody_had_it_is_told_that_it_waits(cast):
    cast.change("Media Manager", is_in_use=False)
    key = cast.send(cast.sophie, "Result")
    assert cast.ada.id in told(Occasion.UNROUTED)
    cast.communicate(RequestType.OTHERS, "Ada's", cast.ada)
    conversations.hand_to(key, communicator=cast.communicator("Ada's"), version=version(cast, key), by=cast.ada.actor)
    assert cast.ada.id in told(Occasion.WAITING)


def test_what_was_answered_is_transferred_without_telling_anybody(cast):
    key = cast.send(cast.sophie, "Others", to="Clinicians")
    cast.answer(cast.nina, key)
    transfer(cast, key, "Scheduler", cast.nina)
    assert told(Occasion.WAITING) == {cast.nina.id, cast.fay.id}


def test_one_of_those_who_have_it_can_get_it_alone_and_that_is_told(cast):
    cast.communicate(RequestType.APPOINTMENT, "Second Scheduler", cast.max)
    key = cast.send(cast.sophie, "Appointment")
    transfer(cast, key, "Second Scheduler", cast.sam)
    assert newest(key)[1]["title"] == "Second Scheduler" and not sees(cast, cast.sam, key) and sees(cast, cast.max, key)
    db.session.close()
    assert db.session.scalar(sa.select(sa.func.count()).where(Delivery.ended_at.is_(None))) == 1


def test_amendments_stay_among_themselves(cast):
    amendment, others = cast.send(cast.sophie, "Amendment"), cast.send(cast.sophie, "Others", to="Clinicians")
    with pytest.raises(Invalid):
        transfer(cast, amendment, "Clinicians", cast.rita)
    with pytest.raises(Invalid):
        transfer(cast, others, "Patient Info Manager", cast.nina)
    cast.communicate(RequestType.AMENDMENT, "Second Manager", cast.max)
    transfer(cast, amendment, "Second Manager", cast.rita)
    assert sees(cast, cast.max, amendment) and not sees(cast, cast.rita, amendment)


def test_only_to_who_can_receive_it_and_with_a_reason(cast):
    key = cast.send(cast.sophie, "Appointment")
    cast.change("IT Manager", is_in_use=False)
    with pytest.raises(Invalid):
        transfer(cast, key, "IT Manager", cast.sam)
    with pytest.raises(Invalid):  # it has it already, alone
        transfer(cast, key, "Scheduler", cast.sam)
    for reason in ("", "  ", "x" * 501):
        with pytest.raises(Invalid):
            transfer(cast, key, "Clinicians", cast.sam, reason=reason)
    with pytest.raises(NotVisible):
        transfer(cast, key, "Clinicians", cast.nina)
    with pytest.raises(Stale):
        conversations.transfer(
            key, communicator=cast.communicator("Clinicians"), reason="x", version=version(cast, key) - 1, by=cast.sam.actor
        )
    assert sees(cast, cast.sam, key)


def test_a_communicator_of_the_patient_alone_cannot_get_it(cast):
    own = cast.staff("sue", own_patient=cast.sophie.id)
    cast.communicate(RequestType.OTHERS, "Sue's", own)
    key = cast.send(cast.sophie, "Appointment")
    with pytest.raises(Invalid):
        transfer(cast, key, "Sue's", cast.sam)
    assert sees(cast, cast.sam, key)


# ---- Duplicates ------------------------------------------------------------------------------------------


def as_duplicate(cast, key, of, by):
    conversations.close_as_duplicate(key, of=of, version=version(cast, key), by=by.actor)


def test_a_duplicate_is_received_closed_and_names_the_other(cast):
    first, second = cast.send(cast.sophie, "Appointment"), cast.send(cast.sophie, "Appointment")
    as_duplicate(cast, second, first, cast.sam)
    closed, open_ = cast.thread(second), cast.thread(first)
    assert (closed.state, closed.is_unread, closed.due_at, closed.duplicate_of_id) == (ThreadState.CLOSED, False, None, open_.id)
    assert (open_.state, open_.is_unread) == (ThreadState.WAITING, True)
    conversations.reply(second, body="But this one differs", form_key="k" * 22, by=cast.sophie.actor)
    assert cast.thread(second).duplicate_of_id is None and cast.thread(second).state == ThreadState.WAITING


def test_only_of_another_of_the_same_patient_that_i_may_see_and_that_goes_on(cast):
    key = cast.send(cast.sophie, "Appointment")
    result, hugos = cast.send(cast.sophie, "Result"), cast.send(cast.hugo, "Appointment")
    for wrong in (key, result, hugos, "x" * 22, ""):
        with pytest.raises(Invalid):
            as_duplicate(cast, key, wrong, cast.sam)
    other = cast.send(cast.sophie, "Appointment")
    with pytest.raises(NotVisible):
        as_duplicate(cast, key, other, cast.nina)
    as_duplicate(cast, key, other, cast.sam)
    with pytest.raises(Invalid):  # no circles
        as_duplicate(cast, other, key, cast.sam)
    with pytest.raises(Stale):
        conversations.close_as_duplicate(key, of=other, version=1, by=cast.sam.actor)


def test_every_act_leaves_one_audit_row(cast):
    first, second = cast.send(cast.sophie, "Appointment"), cast.send(cast.sophie, "Appointment")
    conversations.entrust(first, to=cast.fay.key, version=version(cast, first), by=cast.sam.actor)
    as_duplicate(cast, second, first, cast.sam)
    transfer(cast, first, "Clinicians", cast.sam)
    with transaction(by=COMMAND, did="look") as tx:
        tx.is_silent = True
        rows = tx.session.execute(
            sa.text("SELECT did, count(*) FROM audit WHERE did IN ('entrust', 'transfer', 'close_as_duplicate') GROUP BY did")
        ).all()
    assert dict(map(tuple, rows)) == {"entrust": 1, "transfer": 1, "close_as_duplicate": 1}
