"""The worker: notices leave once, jobs run once, the audit trail is whole and says where it is not."""

import contextlib
from datetime import timedelta

import pytest
import sqlalchemy as sa

from practice import audit, jobs, outbox
from practice.db import WRITE, clock_at, db, now
from practice.jobs import JOBS, Job, run_due_jobs, send_due
from practice.outbox import Notice, NoticeState
from practice.people import AccountStatus, Person


def states() -> list[str]:
    db.session.close()
    return sorted(db.session.scalars(sa.select(Notice.state)))


def set_aside_guards(statement: str) -> None:
    """Does by hand what no verb can do."""
    db.session.close()
    with db.engines[WRITE].begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
            connection.execute(sa.text(statement))
            return
        guards = connection.execute(sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")).all()
        for name, _ in guards:
            connection.execute(sa.text(f"DROP TRIGGER {name}"))
        connection.execute(sa.text(statement))
        for _, sql in guards:
            connection.execute(sa.text(sql))


def test_each_notice_leaves_once(cast):
    cast.send(cast.sophie, "Appointment")
    sent = []
    assert send_due(sent.append) == 2
    assert send_due(sent.append) == 0
    assert sorted(one.email for one in sent) == ["fay@test.example", "sam@test.example"]
    assert states() == [NoticeState.SENT] * 2


def test_f14_whatever_goes_wrong_with_a_mail_it_is_dead_in_the_end_and_the_next_one_leaves(cast):
    cast.send(cast.sophie, "Appointment")
    sent = []

    def fails(mail: outbox.Leased) -> None:
        if mail.email == "fay@test.example":
            raise LookupError("a mistake of ours")
        sent.append(mail.email)

    at = now()
    for _ in range(10):
        with clock_at(at):
            send_due(fails)
        at += timedelta(hours=5)
    assert sent == ["sam@test.example"] and states() == [NoticeState.DEAD, NoticeState.SENT]


def test_f14_a_notice_of_an_occasion_that_a_newer_release_brought_waits_for_it_and_holds_nobody_up(cast):
    cast.send(cast.sophie, "Result")
    cast.send(cast.sophie, "Appointment")
    db.session.close()
    with db.engines[WRITE].begin() as connection:
        connection.execute(sa.text("UPDATE outbox SET occasion = 'of_tomorrow' WHERE id = (SELECT min(id) FROM outbox)"))
    sent = []
    send_due(sent.append)
    assert sorted(one.email for one in sent) == ["fay@test.example", "sam@test.example"]
    assert states() == [NoticeState.SENT, NoticeState.SENT, NoticeState.WAITING]
    with clock_at(now() + timedelta(hours=1)):
        assert outbox.late_since() is not None and outbox.dead_notices() == [], "admins are told that it waits"


def test_f2_a_mail_that_ends_every_worker_is_dead_in_the_end(cast):
    cast.send(cast.sophie, "Result")
    tries = []

    def ends(mail: outbox.Leased) -> None:
        tries.append(mail)
        raise KeyboardInterrupt

    at = now()
    for _ in range(10):
        with clock_at(at), contextlib.suppress(KeyboardInterrupt):
            send_due(ends)
        at += timedelta(minutes=3)
    assert len(tries) == len(outbox.BACK_OFF) + 1 and states() == [NoticeState.DEAD]


def test_f17_when_the_clock_was_far_ahead_jobs_and_mails_do_not_wait_for_that_day(cast):
    cast.send(cast.sophie, "Result")

    def refuse(_: outbox.Leased) -> None:
        raise OSError("no mail server")

    with clock_at(now() + timedelta(days=400)):
        run_due_jobs()
        send_due(refuse)
    assert set(run_due_jobs()) == set(JOBS), "as if they had never run"
    assert set(run_due_jobs()) <= {"seal the audit"}, "each is due again by its own time"
    assert send_due(lambda _: None) and set(states()) == {NoticeState.SENT}


def test_a_notice_that_cannot_leave_is_tried_again_later_and_dead_in_the_end(cast):
    cast.send(cast.sophie, "Result")

    def refuse(_: outbox.Leased) -> None:
        raise OSError("no mail server")

    at, tries = now(), 0
    for _ in range(10):
        with clock_at(at):
            tries += send_due(refuse)
        at += timedelta(hours=5)
    assert tries == len(outbox.BACK_OFF) + 1
    assert states() == [NoticeState.DEAD]


def test_a_worker_that_died_loses_its_lease_to_the_next(cast):
    cast.send(cast.sophie, "Result")

    def die(_: outbox.Leased) -> None:
        raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        send_due(die)
    assert states() == [NoticeState.LEASED]
    sent = []
    assert send_due(sent.append) == 0
    with clock_at(now() + outbox.LEASE + timedelta(seconds=1)):
        assert send_due(sent.append) == 1


@pytest.mark.parametrize("fails", [False, True])
def test_whoever_lost_the_lease_while_sending_leaves_the_row_to_who_has_it_now(cast, fails):
    """A mail server that answers after three minutes: another worker is sending by then."""
    cast.send(cast.sophie, "Result")

    def answer_late(_: outbox.Leased) -> None:
        with clock_at(now() + outbox.LEASE + timedelta(seconds=1)), contextlib.suppress(KeyboardInterrupt):
            send_due(die)
        if fails:
            raise OSError("too late")

    def die(_: outbox.Leased) -> None:
        raise KeyboardInterrupt

    assert send_due(answer_late) == 1
    assert states() == [NoticeState.LEASED], "the second worker's"
    sent = []
    with clock_at(now() + outbox.LEASE * 2 + timedelta(seconds=2)):
        assert send_due(sent.append) == 1
    assert states() == [NoticeState.SENT]


def test_the_worker_listens_on_a_connection_that_no_transaction_gets_afterwards(cast):
    engine = db.engines[WRITE]
    if engine.dialect.name != "postgresql":
        pytest.skip("SQLite is asked, nobody listens")
    db.session.close()
    listener = jobs._listen(engine)
    with engine.connect() as connection:
        assert connection.connection.driver_connection is not listener
        assert not connection.connection.driver_connection.autocommit
    assert engine.pool.checkedout() == 0
    listener.close()


def test_jobs_run_when_they_are_due_and_not_before(cast):
    with clock_at(now()):
        run_due_jobs()
        assert run_due_jobs() == {}
    with clock_at(now() + timedelta(seconds=2)):
        assert list(run_due_jobs()) == ["seal the audit"]
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Job)) == len(JOBS)


def test_what_waits_is_delivered_within_a_minute_whatever_made_it_possible(cast):
    cast.change("Scheduler", staff=[])
    key = cast.send(cast.sophie, "Appointment")
    run_due_jobs()
    with db.engines[WRITE].begin() as connection:
        scheduler = cast.communicator("Scheduler")
        connection.execute(
            sa.text(
                "INSERT INTO membership (communicator_id, staff_id, since)"
                " SELECT id, :staff, CURRENT_TIMESTAMP FROM communicator WHERE key = :key"
            ),
            {"staff": cast.dan.id, "key": scheduler},
        )
    with clock_at(now() + timedelta(minutes=1)):
        assert run_due_jobs()["deliver what waited"] == 1
    assert cast.sees(cast.dan, key)


def test_old_sessions_and_sent_notices_are_forgotten(cast):
    cast.send(cast.sophie)
    send_due(lambda _: None)
    with clock_at(now() + timedelta(days=31)):
        done = run_due_jobs()
    assert done["forget sent notices"] == 2
    assert done["forget ended sessions"] == 11
    assert NoticeState.SENT not in states()


def test_a_changed_or_removed_audit_row_is_named(cast):
    cast.send(cast.sophie)
    run_due_jobs()
    assert not list(audit.faults())
    set_aside_guards("UPDATE audit SET did = 'nothing' WHERE id = (SELECT id FROM audit ORDER BY id DESC LIMIT 1 OFFSET 2)")
    assert "was changed" in next(audit.faults())
    set_aside_guards("DELETE FROM audit_seal WHERE position = 2")
    assert next(audit.faults()) == "seal 2 is missing"


def test_a_locked_patient_is_refused_and_a_disabled_member_is_told_nothing(cast):
    with db.engines[WRITE].begin() as connection:
        connection.execute(sa.update(Person).where(Person.id == cast.sam.id).values(status=AccountStatus.DISABLED))
    cast.send(cast.sophie, "Appointment")
    db.session.close()
    assert list(db.session.scalars(sa.select(Notice.person_id))) == [cast.fay.id]
