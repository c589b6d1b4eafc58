"""Promises that have passed: those in charge are told once, then the admins, by the practice's own days and clock."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from practice import conversations, escalation, jobs
from practice.absences import Absence
from practice.calendar import BusinessCalendar, business_days_ago, due_at
from practice.db import COMMAND, clock_at, db, new_key, now, transaction
from practice.jobs import run_due_jobs, send_due
from practice.outbox import Notice, Occasion
from practice.people import AccountStatus, Person
from practice.settings import OPENING, Practice, opening_of
from practice.threads import Recall, Thread, last_message_id

ZONE = ZoneInfo("America/New_York")


def local(*clock):
    return datetime(*clock, tzinfo=ZONE).astimezone(UTC).replace(tzinfo=None)


def told(key=None, occasion=Occasion.OVERDUE):
    db.session.close()
    found = sa.select(Notice.person_id).join(Thread, Thread.id == Notice.thread_id).where(Notice.occasion == occasion)
    return list(db.session.scalars((found.where(Thread.key == key) if key else found).order_by(Notice.id)))


def work(at):
    """What the worker does at a moment, until nothing is left to do; answers how often it had something to tell."""
    rounds = 0
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        tx.session.execute(sa.delete(jobs.Job))  # whenever it has run before
    with clock_at(at):
        while run_due_jobs().get("tell of what is overdue"):
            rounds += 1
    return rounds


def set_days(**days):
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        for name, value in days.items():
            setattr(tx.session.get_one(Practice, 1), name, value)
    db.session.close()


def asked(cast, at, kind="Others", who=None, **more):
    with clock_at(at):
        return cast.send(who or cast.sophie, kind, **more)


CALENDAR = BusinessCalendar(
    "America/New_York", opening_of(OPENING), "US", closed=frozenset({date(2026, 11, 27)}), opened=frozenset({date(2026, 11, 11)})
)


@pytest.mark.parametrize("calendar", [CALENDAR, BusinessCalendar("America/New_York", (None,) * 7)])
@pytest.mark.parametrize("days", [0, 1, 2, 5])
@pytest.mark.parametrize("now_local", [(2026, 11, 2, 0, 30), (2026, 11, 30, 12), (2026, 12, 1, 0, 0, 0), (2027, 3, 15, 23, 59)])
def test_days_ago_agree_with_days_later(calendar, days, now_local):
    """What was promised before the moment is late by so many business days, and nothing else is."""
    at = local(*now_local)
    until = business_days_ago(at, days, calendar)
    for back in range(40):
        promised = due_at(at - timedelta(days=back), business_days=0, calendar=calendar)
        assert (promised < until) == (due_at(promised, business_days=days, calendar=calendar) < at), back


@pytest.mark.parametrize(
    ("sent", "due", "escalated"),
    [
        # Thanksgiving and a weekend between the promise and the admins
        (local(2026, 11, 20, 10), local(2026, 11, 25, 23, 59, 59), local(2026, 11, 28)),
        # over the end of daylight saving time, and Election Day, which is none
        (local(2026, 10, 29, 10), local(2026, 11, 3, 23, 59, 59), local(2026, 11, 5)),
        # over its beginning
        (local(2027, 3, 11, 10), local(2027, 3, 16, 23, 59, 59), local(2027, 3, 18)),
    ],
)
def test_staff_are_told_when_the_promise_has_passed_and_admins_a_business_day_later(cast, sent, due, escalated):
    key = asked(cast, sent)
    assert cast.thread(key).due_at == due
    second = timedelta(seconds=1)
    assert not work(due) and told(key) == []
    assert work(due + second) == 1 and told(key) == [cast.nina.id, cast.fay.id]
    assert cast.thread(key).late_told_at == due + second and cast.thread(key).escalated_at is None
    assert not work(escalated - second) and told(key, Occasion.ESCALATED) == []
    assert work(escalated + second) == 1 and told(key, Occasion.ESCALATED) == [cast.ada.id]
    assert not work(escalated + timedelta(days=30)) and len(told(key)) == 2


@pytest.mark.parametrize(("days", "after"), [(0, 1), (2, 4)])
def test_how_many_days_later_the_practice_says(cast, days, after):
    set_days(escalate_days=days)
    key = asked(cast, local(2026, 12, 8, 10))  # due on Friday, December 11
    work(local(2026, 12, 12, 0, 1))
    assert told(key, Occasion.ESCALATED) == ([cast.ada.id] if not days else [])
    work(local(2026, 12, 11 + after, 0, 1))
    assert len(told(key, Occasion.ESCALATED)) == (not days)
    work(local(2026, 12, 16, 0, 1))
    assert told(key, Occasion.ESCALATED) == [cast.ada.id] and len(told(key)) == 2


def test_after_a_long_silence_of_the_worker_all_are_told_once_and_in_order(cast):
    late = asked(cast, local(2026, 12, 2, 10))
    later = asked(cast, local(2026, 12, 1, 10), who=cast.jihae)
    work(local(2027, 1, 20, 12))
    threads = sa.select(Notice.occasion, Thread.key).join(Thread, Thread.id == Notice.thread_id)
    wanted = Notice.occasion.in_((Occasion.OVERDUE, Occasion.ESCALATED))
    db.session.close()
    found = [tuple(row) for row in db.session.execute(threads.where(wanted).order_by(Notice.id))]
    assert found == [("overdue", later)] * 2 + [("overdue", late)] * 2 + [("escalated", later), ("escalated", late)]


def test_many_are_told_of_in_batches_of_which_each_is_one_transaction(cast, monkeypatch):
    monkeypatch.setattr(escalation, "BATCH", 2)
    monkeypatch.setitem(jobs.AT_MOST, "tell of what is overdue", 2)
    keys = [asked(cast, local(2026, 12, 8, 10 + n)) for n in range(5)]
    assert work(local(2026, 12, 12, 12)) == 3
    assert [told(key) for key in keys] == [[cast.nina.id, cast.fay.id]] * 5


def test_several_workers_tell_once(cast):
    """Each asks, in a transaction of its own, as if it were the only one."""
    key = asked(cast, local(2026, 12, 8, 10))
    with clock_at(local(2027, 1, 20, 12)):
        for _ in range(3):
            with transaction(by=COMMAND, did="set_up_tests") as tx:
                escalation.tell_of_overdue(tx)
    assert len(told(key)) == 2 and len(told(key, Occasion.ESCALATED)) == 1


def test_two_workers_at_the_same_moment_tell_once(cast):
    keys = [asked(cast, local(2026, 12, 8, 10, n)) for n in range(10)]
    at = local(2027, 1, 20, 12)
    with clock_at(at):
        run_due_jobs()
        with transaction(by=COMMAND, did="set_up_tests") as tx:
            tx.session.execute(sa.delete(Notice))
            tx.session.execute(sa.update(Thread).values(late_told_at=None, escalated_at=None, version=Thread.version))
            tx.session.execute(sa.update(jobs.Job).values(next_at=at))
        db.session.remove()

    def run(_):
        with cast.app.app_context(), clock_at(at):
            run_due_jobs()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
    assert [(len(told(key)), len(told(key, Occasion.ESCALATED))) for key in keys] == [(2, 1)] * 10


def test_where_nobody_is_there_the_admins_are_told_at_once(cast):
    key = asked(cast, local(2026, 12, 8, 10), "Result")
    cast.change("Media Manager", staff=[])
    work(local(2026, 12, 12, 0, 1))
    assert told(key) == [] and told(key, Occasion.ESCALATED) == [cast.ada.id]
    assert cast.thread(key).late_told_at is None
    assert not work(local(2027, 1, 12, 0, 1))


def test_the_deputy_of_somebody_absent_is_told_and_the_absent_are_not(cast):
    key = asked(cast, local(2026, 12, 8, 10), "Result")
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        from_, to = local(2026, 12, 9), local(2026, 12, 31)
        tx.session.add(Absence(key=new_key(), staff_id=cast.max.id, deputy_id=cast.dan.id, starts_at=from_, ends_at=to))
    work(local(2026, 12, 12, 0, 1))
    assert told(key) == [cast.dan.id]


def test_one_person_in_two_communicators_is_told_once_and_nobody_of_their_own_thread(cast):
    cast.communicate("Appointment", "Second desk", cast.sam, cast.staff("lou", own_patient=cast.sophie.id))
    key = asked(cast, local(2026, 12, 8, 10), "Appointment")
    work(local(2026, 12, 12, 0, 1))
    assert sorted(told(key)) == sorted([cast.sam.id, cast.fay.id])


def test_an_admin_is_not_told_of_their_own_thread(cast):
    cast.staff("eva", is_admin=True, own_patient=cast.sophie.id)
    key = asked(cast, local(2026, 12, 8, 10))
    work(local(2027, 1, 12, 0, 1))
    assert told(key, Occasion.ESCALATED) == [cast.ada.id]


def test_what_was_answered_or_closed_is_told_to_nobody_and_a_new_wait_to_all_again(cast):
    answered, closed = asked(cast, local(2026, 12, 8, 10)), asked(cast, local(2026, 12, 8, 11))
    with clock_at(local(2026, 12, 9, 12)):
        cast.answer(cast.nina, answered)
        conversations.close(closed, version=cast.thread(closed).version, by=cast.nina.actor)
    assert not work(local(2026, 12, 20, 12))
    with clock_at(local(2027, 1, 4, 10)):
        conversations.reply(answered, body="Again", form_key=new_key(), by=cast.sophie.actor)
    work(local(2027, 1, 30, 12))
    assert len(told(answered)) == 2 and cast.thread(answered).late_told_at and cast.thread(answered).escalated_at
    with clock_at(local(2027, 1, 31, 12)):
        cast.answer(cast.nina, answered)
    assert cast.thread(answered).late_told_at is cast.thread(answered).escalated_at is None
    with clock_at(local(2027, 2, 1, 10)):
        conversations.reply(answered, body="Once more", form_key=new_key(), by=cast.sophie.actor)
    work(local(2027, 2, 28, 12))
    assert len(told(answered)) == 4 and len(told(answered, Occasion.ESCALATED)) == 2


def test_more_words_of_the_patient_change_nothing_of_what_was_told(cast):
    key = asked(cast, local(2026, 12, 8, 10))
    work(local(2026, 12, 12, 0, 1))
    with clock_at(local(2026, 12, 12, 9)):
        conversations.reply(key, body="Hello?", form_key=new_key(), by=cast.sophie.actor)
    assert not work(local(2026, 12, 13, 9)) and len(told(key)) == 2


def test_telling_leaves_open_pages_true(cast):
    key = asked(cast, local(2026, 12, 8, 10))
    before = cast.thread(key).version
    work(local(2027, 1, 12, 0, 1))
    assert cast.thread(key).version == before


def test_who_lost_the_thread_before_the_mail_leaves_gets_none(cast):
    key = asked(cast, local(2026, 12, 8, 10))
    at = local(2026, 12, 12, 0, 1)
    work(at)
    cast.change("Clinicians", staff=[cast.fay])
    mails = []
    with clock_at(at):
        send_due(mails.append)
    late = [mail for mail in mails if mail.occasion == Occasion.SEVERAL]  # that it came in, and that it is late
    assert [mail.email for mail in late] == ["fay@test.example"] and late[0].threads == [cast.thread(key).id]


# ---- What the patient does not open --------------------------------------------------------------


def unread_mails(cast, at):
    mails = []
    with clock_at(at):
        send_due(mails.append)
    db.session.close()
    return [mail.email for mail in mails if mail.occasion == Occasion.UNREAD]


@pytest.mark.parametrize("days", [7, 3])
def test_the_author_is_told_when_the_patient_has_not_opened_it(cast, days):
    set_days(unread_days=days)
    cast.answer(cast.nina, cast.send(cast.sophie))
    at = now() + timedelta(days=days)
    assert unread_mails(cast, at - timedelta(minutes=1)) == []
    assert unread_mails(cast, at + timedelta(minutes=1)) == ["nina@test.example"]
    assert unread_mails(cast, at + timedelta(days=30)) == []


def test_nobody_is_told_where_the_practice_does_not_wish_it(cast):
    set_days(unread_days=0)
    cast.answer(cast.nina, cast.send(cast.sophie))
    assert unread_mails(cast, now() + timedelta(days=90)) == []


def test_what_was_opened_meanwhile_is_told_to_nobody(cast):
    key = cast.send(cast.sophie)
    cast.answer(cast.nina, key)
    cast.sophie.get(f"/messages/{key}")
    cast.answer(cast.fay, key, "And this.")
    assert unread_mails(cast, now() + timedelta(days=8)) == ["fay@test.example"]


def test_what_was_taken_back_is_told_to_nobody(cast):
    key = cast.send(cast.sophie)
    cast.answer(cast.nina, key)
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        message = last_message_id(tx.session, cast.thread(key).id)
        tx.session.add(Recall(message_id=message, by_id=cast.nina.id, at=now()))
    assert unread_mails(cast, now() + timedelta(days=8)) == []


@pytest.mark.parametrize("how", ["not in charge", "disabled"])
def test_an_author_who_is_gone_is_not_told(cast, how):
    cast.answer(cast.nina, cast.send(cast.sophie))
    if how == "disabled":
        with transaction(by=COMMAND, did="set_up_tests") as tx:
            tx.session.get_one(Person, cast.nina.id).status = AccountStatus.DISABLED
    else:
        cast.change("Clinicians", staff=[cast.fay])
    assert unread_mails(cast, now() + timedelta(days=8)) == []
