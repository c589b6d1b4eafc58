"""The verbs of messages: once only, whole or not at all, one winner."""

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa

from practice import appointments, conversations
from practice.audit import faults
from practice.communicators import Audience, box_of
from practice.db import WRITE, Audit, Base, clock_at, db, new_key, now, transaction
from practice.errors import Invalid, NotAllowed, NotVisible, SentBefore, Stale, TooMany
from practice.jobs import run_due_jobs
from practice.outbox import Notice
from practice.settings import RequestType
from practice.threads import Event, History, Message, Thread, ThreadState, last_message_id, opened_by_patient, way_of
from tests.conftest import Cast


def rows() -> dict[str, int]:
    """How many rows each table has: "no change" means the same before and after."""
    db.session.close()
    count = {t.name: db.session.scalar(sa.select(sa.func.count()).select_from(t)) for t in Base.metadata.sorted_tables}
    return {name: n or 0 for name, n in count.items()}


def numbers() -> tuple[int, int]:
    """Unread and in box: as the audiences count them, after comparing with the threads themselves."""
    db.session.close()
    for audience in db.session.scalars(sa.select(Audience)):
        for column, truth in ((Thread.is_unread, audience.unread), (Thread.is_in_box, audience.in_box)):
            counted = db.session.scalar(sa.select(sa.func.count()).where(Thread.audience_id == audience.id, column))
            assert counted == truth, f"audience {audience.key}: {column.key} {truth} is kept, {counted} is true"
    kept = db.session.execute(
        sa.select(sa.func.coalesce(sa.func.sum(Audience.unread), 0), sa.func.coalesce(sa.func.sum(Audience.in_box), 0))
    ).one()
    return kept[0], kept[1]


def at_once(cast: Cast, jobs: list) -> list:
    """Runs the jobs in threads of their own; their results or exceptions, in order."""
    found: list = [None] * len(jobs)
    start = threading.Barrier(len(jobs))

    def run(n: int) -> None:
        with cast.app.app_context():
            start.wait()
            try:
                found[n] = jobs[n]()
            except Exception as error:
                found[n] = error
            db.session.remove()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(jobs))]
    db.session.close()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_equal_forms_give_one_thread_one_after_the_other(cast):
    key = new_key()
    threads = {cast.send(cast.sophie, form_key=key) for _ in range(20)}
    assert len(threads) == 1
    assert numbers() == (1, 1)
    assert rows()["message"] == 1


def test_f4_equal_forms_give_one_thread_all_at_once(cast):
    key, to = new_key(), cast.communicator("Clinicians")

    def send():
        return conversations.send(
            cast.sophie.id, kind=RequestType.OTHERS, title="A", body="B", to=to, form_key=key, by=cast.sophie.actor
        ).thread_key

    found = at_once(cast, [send] * 20)
    assert len(set(map(str, found))) == 1, found
    assert rows()["message"] == 1 and rows()["outbox"] == 2
    assert numbers() == (1, 1)


def test_equal_requests_give_one_request_all_at_once(cast):
    key, today = new_key(), now().date()
    wish = appointments.Wish(cast.linden, today, today, "Check-up")

    def send():
        return appointments.request_appointment(cast.sophie.id, wish, today=today, form_key=key, by=cast.sophie.actor).thread_key

    assert len(set(map(str, at_once(cast, [send] * 8)))) == 1
    assert rows()["appointment_request"] == 1


def test_the_same_key_with_other_words_is_told_and_stores_nothing(cast):
    key = new_key()
    first = cast.send(cast.sophie, form_key=key, body="First words")
    before = rows()
    with pytest.raises(SentBefore) as told:
        cast.send(cast.sophie, form_key=key, body="Other words")
    assert (told.value.thread_key, told.value.body) == (first, "First words")
    assert rows() == before
    cast.send(cast.jihae, form_key=key, body="Other words")  # somebody else's key of the same name


def test_a59_a_send_that_fails_half_way_leaves_nothing(cast, monkeypatch):
    before = rows()
    monkeypatch.setattr(conversations.routing, "tell", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cast.send(cast.sophie)
    assert rows() == before
    assert numbers() == (0, 0)


def test_everything_of_one_send_is_one_act(cast):
    before = db.session.scalar(sa.select(sa.func.max(Audit.id)))
    cast.send(cast.sophie, "Appointment")
    made = db.session.execute(sa.select(Audit.act, Audit.did, Audit.patient_id).where(Audit.id > before)).all()
    assert {row.did for row in made} == {"request_appointment", "send"}
    assert len({row.act for row in made}) == 1
    assert {row.patient_id for row in made} == {cast.sophie.id}


def test_one_of_many_receives_the_others_are_told(cast):
    key = cast.send(cast.sophie, "Appointment")
    version = cast.thread(key).version
    jobs = [lambda who=who: conversations.receive(key, version=version, by=who.actor) for who in (cast.sam, cast.fay) * 3]
    found = at_once(cast, jobs)
    assert sorted(type(f).__name__ for f in found) == ["NoneType"] + ["Stale"] * 5
    assert numbers() == (0, 1)
    assert len(db.session.scalars(sa.select(History).where(History.did == Event.RECEIVED)).all()) == 1


def test_many_send_and_answer_at_once_and_every_number_is_right(cast):
    first = [cast.send(cast.sophie, "Appointment", body=f"{n}") for n in range(4)]
    jobs = [lambda n=n: cast.send(cast.jihae, "Others", to="Clinicians", body=f"{n}") for n in range(4)]
    jobs += [lambda k=k: cast.answer(cast.fay, k) for k in first]
    jobs += [lambda n=n: cast.send(cast.hugo, "Appointment", body=f"{n}") for n in range(4)]
    assert [f for f in at_once(cast, jobs) if isinstance(f, Exception)] == []
    assert numbers() == (8, 12)


def test_an_answer_over_a_newer_one_is_stopped(cast):
    key = cast.send(cast.sophie, "Appointment")
    seen = last_message_id(db.session, cast.thread(key).id)
    cast.answer(cast.sam, key)
    with pytest.raises(Stale):
        conversations.answer(key, body="Me too", form_key=new_key(), seen=seen, by=cast.fay.actor)
    conversations.reply(key, body="Thanks", form_key=new_key(), by=cast.sophie.actor)
    with pytest.raises(Stale):
        conversations.answer(key, body="Me too", form_key=new_key(), seen=seen + 1, by=cast.fay.actor)


def test_an_answer_receives_first_and_tells_the_patient(cast):
    key = cast.send(cast.sophie, "Appointment")
    cast.answer(cast.sam, key)
    thread = cast.thread(key)
    assert (thread.state, thread.is_unread, thread.is_in_box, thread.waiting_since) == (ThreadState.ANSWERED, False, True, None)
    assert db.session.scalar(sa.select(sa.func.count()).where(Notice.person_id == cast.sophie.id)) == 1
    assert numbers() == (0, 1)
    steps = way_of(opened_by_patient(key, cast.sophie.id).messages[0], opened_by_patient(key, cast.sophie.id))
    assert [(s.name, s.at is not None) for s in steps] == [
        ("Sent", True),
        ("Delivered", True),
        ("Received", True),
        ("Answered", True),
    ]
    assert steps[1].note == "Scheduler"


def test_closing_receives_and_a_reply_opens_again(cast):
    key = cast.send(cast.sophie)
    conversations.close(key, version=cast.thread(key).version, by=cast.nina.actor)
    assert numbers() == (0, 0)
    with pytest.raises(Stale):
        conversations.close(key, version=cast.thread(key).version, by=cast.nina.actor)
    conversations.reply(key, body="Still here", form_key=new_key(), by=cast.sophie.actor)
    thread = cast.thread(key)
    assert (thread.state, thread.is_unread, thread.closed_at) == (ThreadState.WAITING, True, None)
    assert numbers() == (1, 1)


def test_only_what_was_received_and_does_not_wait_is_removed_and_undo_restores_it(cast):
    key = cast.send(cast.sophie)
    for _ in range(2):
        with pytest.raises(NotAllowed):
            conversations.remove(key, version=cast.thread(key).version, by=cast.nina.actor)
        if cast.thread(key).is_unread:
            conversations.receive(key, version=cast.thread(key).version, by=cast.nina.actor)
    cast.answer(cast.nina, key)
    conversations.remove(key, version=cast.thread(key).version, by=cast.nina.actor)
    assert numbers() == (0, 0)
    with pytest.raises(Stale):
        conversations.remove(key, version=cast.thread(key).version, by=cast.nina.actor)
    for _ in range(2):
        conversations.restore(key, by=cast.fay.actor)
    assert numbers() == (0, 1)
    conversations.remove(key, version=cast.thread(key).version, by=cast.nina.actor)
    conversations.reply(key, body="One more", form_key=new_key(), by=cast.sophie.actor)
    assert numbers() == (1, 1) and cast.thread(key).removed_at is None


def test_a2_what_is_not_yours_does_not_exist_for_any_verb(cast):
    key = cast.send(cast.sophie, "Appointment")
    version, before = cast.thread(key).version, rows()
    by = cast.nina.actor
    for verb in (
        lambda: conversations.receive(key, version=version, by=by),
        lambda: conversations.close(key, version=version, by=by),
        lambda: conversations.remove(key, version=version, by=by),
        lambda: conversations.restore(key, by=by),
        lambda: conversations.answer(key, body="Hello", form_key=new_key(), seen=1, by=by),
        lambda: conversations.answer(key, body="Hello", form_key=new_key(), seen=1, by=cast.ada.actor),
        lambda: conversations.reply(key, body="Hello", form_key=new_key(), by=cast.jihae.actor),
        lambda: conversations.hand_to("x" * 22, communicator="y", version=version, by=cast.ada.actor),
    ):
        with pytest.raises(NotVisible):
            verb()
    assert rows() == before


def test_a55_an_answer_is_from_a_communicator_of_ones_own_that_has_the_thread(cast):
    key = cast.send(cast.sophie, "Appointment")
    seen = last_message_id(db.session, cast.thread(key).id)
    with pytest.raises(Invalid):
        conversations.answer(
            key, body="A", form_key=new_key(), seen=seen, by=cast.fay.actor, communicator=cast.communicator("Clinicians")
        )


@pytest.mark.parametrize("bad", ["", "   \n\t ", "a" * 20_001, "NUL \0 inside", "half a pair \ud800"])
def test_a_text_that_cannot_be_kept_is_refused(cast, bad):
    before = rows()
    with pytest.raises(Invalid):
        cast.send(cast.sophie, body=bad)
    assert rows() == before


@pytest.mark.parametrize("good", ["שלום, מה שלומך?", "😀" * 20_000, "e\u0301" * 20_000, "a\r\nb\rc", "%_'\"<script>"])
def test_a_text_of_any_script_is_kept_as_it_is_counted(cast, good):
    key = cast.send(cast.sophie, body=good)
    kept = db.session.scalars(sa.select(Message.body).join(Thread, Thread.id == Message.thread_id).where(Thread.key == key)).one()
    assert kept == conversations.clean("body", good, 20_000)
    assert len(kept) <= 20_000 and "\r" not in kept


def test_a43_a_patient_sends_sixty_an_hour_and_repeats_do_not_count(cast):
    with clock_at(now()):
        key = new_key()
        for n in range(60):
            cast.send(cast.sophie, body=f"{n}", form_key=key if n == 0 else None)
        with pytest.raises(TooMany) as limit:
            cast.send(cast.sophie, body="One too many")
        assert 0 < limit.value.retry_after <= 3601
        cast.send(cast.sophie, body="0", form_key=key)
    with clock_at(now() + timedelta(hours=1, seconds=1)):
        cast.send(cast.sophie, body="An hour later")


def test_the_promise_is_fixed_at_sending_and_waits_for_the_oldest_unanswered(cast):
    with clock_at(now() - timedelta(days=3)):
        key = cast.send(cast.sophie)
    thread = cast.thread(key)
    since, due = thread.waiting_since, thread.due_at
    conversations.reply(key, body="Again", form_key=new_key(), by=cast.sophie.actor)
    thread = cast.thread(key)
    assert (thread.waiting_since, thread.due_at) == (since, due)
    cast.answer(cast.nina, key)
    conversations.reply(key, body="And again", form_key=new_key(), by=cast.sophie.actor)
    assert cast.thread(key).waiting_since > since


def test_a44_messages_and_audit_rows_are_never_changed(cast):
    cast.send(cast.sophie)
    for statement in ("UPDATE message SET body = 'x'", "DELETE FROM message", "UPDATE audit SET did = 'x'", "DELETE FROM audit"):
        with pytest.raises(sa.exc.DBAPIError), db.engines[WRITE].begin() as connection:
            connection.execute(sa.text(statement))


def test_reads_cannot_write(cast):
    with pytest.raises(sa.exc.DBAPIError):
        db.session.execute(sa.text("UPDATE practice SET name = 'x'"))
    db.session.rollback()


def test_the_worker_seals_what_happened(cast):
    cast.send(cast.sophie)
    run_due_jobs()
    assert not list(faults())
    sealed = rows()["audit_seal"]
    assert sealed == rows()["audit"]


def test_a_person_in_two_communicators_counts_a_thread_once(cast):
    cast.communicate(RequestType.OTHERS, "More clinicians", cast.fay)
    cast.send(cast.sophie, to="Clinicians")
    cast.send(cast.sophie, to="More clinicians", body="two")
    assert sum(a.unread for a in box_of(db.session, cast.fay.id, None).shared) == 2


def test_a_verb_inside_another_joins_its_transaction(cast):
    with pytest.raises(ZeroDivisionError), transaction(by=cast.sophie.actor, did="outer"):
        cast.send(cast.sophie)
        raise ZeroDivisionError
    assert rows()["message"] == 0
