"""Notices to the patient: what leaves when, together with what, under which Message-ID; nothing twice, nothing stuck."""

import contextlib
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from practice import conversations, notes, outbox, own_account
from practice.db import WRITE, clock_at, db, new_key, now, transaction
from practice.jobs import send_due
from practice.outbox import Notice, NoticeState, Occasion, next_morning
from practice.people import NoticePreference, Person
from practice.threads import Thread, reference_of
from tests.conftest import HOME, fresh_context
from web import demo_mails

ZONE = ZoneInfo("America/New_York")
EACH, DAILY, NONE = NoticePreference


def wish(cast, how):
    own_account.change_notices(cast.sophie.id, how, by=cast.sophie.actor)


def asked(cast):
    return cast.send(cast.sophie, "Others", to="Clinicians")


def answered(cast, *keys):
    for key in keys:
        cast.answer(cast.nina, key)


def waiting(cast):
    """Notices to Sophie, by id."""
    db.session.close()
    return list(db.session.scalars(sa.select(Notice).where(Notice.person_id == cast.sophie.id).order_by(Notice.id)))


def sent_at(at, then=None):
    """The mails to the patient that leave at a moment; `then` is called with each."""
    mails = []

    def send(mail):
        if mail.occasion == Occasion.ANSWERED:
            mails.append(mail)
            if then:
                then(mail)

    with clock_at(at), contextlib.suppress(KeyboardInterrupt):
        send_due(send)
    db.session.close()
    return mails


def morning():
    return next_morning(db.session())


def die(_):
    raise KeyboardInterrupt


def refuse(_):
    raise OSError("no mail server")


@pytest.mark.parametrize(
    ("before", "after", "is_there", "is_due_now", "is_due_in_the_morning"),
    [
        (EACH, EACH, True, True, True),
        (EACH, DAILY, True, False, True),
        (EACH, NONE, False, False, False),
        (DAILY, EACH, True, True, True),
        (DAILY, DAILY, True, False, True),
        (DAILY, NONE, False, False, False),
        (NONE, EACH, False, False, False),
        (NONE, DAILY, False, False, False),
        (NONE, NONE, False, False, False),
    ],
)
def test_what_waits_follows_the_wish(cast, before, after, is_there, is_due_now, is_due_in_the_morning):
    wish(cast, before)
    answered(cast, asked(cast))
    wish(cast, after)
    at = morning()
    assert bool(waiting(cast)) is is_there
    assert [len(sent_at(now())), len(sent_at(at))] == [is_due_now, is_due_in_the_morning and not is_due_now]


def test_what_staff_begin_is_told_as_wished_too(cast):
    wish(cast, DAILY)
    with clock_at(datetime(2026, 7, 1, 15)):
        answered(cast, asked(cast))
    (notice,) = waiting(cast)
    assert notice.next_at == datetime(2026, 7, 2, 12), "8:00 in New York, in summer"


@pytest.mark.parametrize(
    ("here", "leaves"),
    [
        ("2026-11-25 07:59", "2026-11-25 08:00"),
        ("2026-11-25 08:00", "2026-11-26 08:00"),
        ("2026-11-25 23:30", "2026-11-26 08:00"),
        ("2026-03-07 20:00", "2026-03-08 08:00"),
        ("2026-10-31 20:00", "2026-11-01 08:00"),
        ("2026-12-31 12:00", "2027-01-01 08:00"),
    ],
)
def test_the_morning_is_that_of_the_practice(cast, here, leaves):
    with clock_at(datetime.fromisoformat(here).replace(tzinfo=ZONE).astimezone(UTC).replace(tzinfo=None)):
        at = morning()
    assert at.replace(tzinfo=UTC).astimezone(ZONE) == datetime.fromisoformat(leaves).replace(tzinfo=ZONE)


def test_two_answers_in_one_conversation_are_quoted_once(cast):
    wish(cast, DAILY)
    key = asked(cast)
    answered(cast, key, key)
    (mail,) = sent_at(morning())
    assert (len(mail.ids), len(mail.threads)) == (2, 1)


def test_a_mail_cut_short_goes_again_whole_under_the_same_id(cast):
    wish(cast, DAILY)
    answered(cast, asked(cast), asked(cast), asked(cast))
    at = morning()
    (first,) = sent_at(at, die)
    answered(cast, asked(cast))
    wish(cast, EACH)
    mails = sent_at(at + outbox.LEASE + timedelta(seconds=1))
    again = next(mail for mail in mails if mail.key == first.key)
    assert (again.ids, again.threads) == (first.ids, first.threads), "who has seen the first drops the second by its id"
    assert sorted(len(mail.threads) for mail in mails) == [1, 3], "and loses nothing that came in between"
    assert {notice.state for notice in waiting(cast)} == {NoticeState.SENT}


def test_a_mail_that_never_leaves_is_dead_whole_after_the_sixth_try(cast):
    wish(cast, DAILY)
    answered(cast, asked(cast), asked(cast))
    at, keys = morning(), []
    for _ in range(10):
        keys += [mail.key for mail in sent_at(at, refuse)]
        at += timedelta(hours=5)
    assert len(keys) == len(outbox.BACK_OFF) + 1 and len(set(keys)) == 1
    assert {notice.state for notice in waiting(cast)} == {NoticeState.DEAD}


def test_a_mail_that_failed_stays_one_mail(cast):
    wish(cast, DAILY)
    answered(cast, asked(cast), asked(cast))
    at = morning()
    sent_at(at, refuse)
    assert len({notice.next_at for notice in waiting(cast)}) == 1
    (mail,) = sent_at(at + timedelta(hours=1))
    assert len(mail.threads) == 2


def test_none_holds_for_a_mail_that_was_cut_short(cast):
    answered(cast, asked(cast))
    sent_at(now(), die)
    wish(cast, NONE)
    assert sent_at(now() + outbox.LEASE + timedelta(seconds=1)) == []
    assert NoticeState.LEASED not in {notice.state for notice in waiting(cast)}, "and is not stuck"


def test_what_was_read_is_not_told_and_leaves_nothing_behind(cast):
    wish(cast, DAILY)
    key = asked(cast)
    answered(cast, key)
    cast.sophie.get(f"/messages/{key}")
    assert sent_at(morning()) == [] and waiting(cast) == []


def test_an_answer_after_the_reading_is_told(cast):
    key = asked(cast)
    answered(cast, key)
    cast.sophie.get(f"/messages/{key}")
    answered(cast, key)
    (mail,) = sent_at(now())
    assert len(mail.ids) == 1


@pytest.mark.parametrize("status", ["locked", "disabled", "invited"])
def test_whoever_has_no_active_account_is_told_nothing(cast, status):
    answered(cast, asked(cast), asked(cast))
    with db.engines[WRITE].begin() as connection:
        connection.execute(sa.update(Person).where(Person.id == cast.sophie.id).values(status=status))
    assert sent_at(now()) == [] and {notice.state for notice in waiting(cast)} == {NoticeState.DEAD}


def test_notices_of_two_patients_never_meet_in_one_mail(cast):
    wish(cast, DAILY)
    answered(cast, asked(cast), cast.send(cast.jihae, "Others", to="Clinicians"))
    mails = sent_at(morning())
    assert sorted(len(mail.threads) for mail in mails) == [1, 1] and len({mail.email for mail in mails}) == 2


def test_many_answers_are_told_in_few_mails_and_each_once(cast, monkeypatch):
    monkeypatch.setattr(outbox, "TOGETHER", 2)
    wish(cast, DAILY)
    answered(cast, *[asked(cast) for _ in range(5)])
    mails = sent_at(morning())
    told = [thread for mail in mails for thread in mail.threads]
    assert len(mails) == 3 and sorted(told) == sorted(set(told)) and len(told) == 5


# ---- To staff, as each wishes ----------------------------------------------------------------------


def staff_wish(cast, how, who=None):
    own_account.change_notices((who or cast.nina).id, how, by=(who or cast.nina).actor)


def to_staff(cast, who=None):
    db.session.close()
    found = sa.select(Notice).where(Notice.person_id == (who or cast.nina).id).order_by(Notice.id)
    return list(db.session.scalars(found))


def mails_to(cast, at, who=None):
    """The mails to a member of staff that leave at a moment."""
    mails, address = [], f"{(who or cast.nina).login}@test.example"
    with clock_at(at):
        send_due(mails.append)
    db.session.close()
    return [mail for mail in mails if mail.email == address]


@pytest.mark.parametrize("is_set_based", [False, True])
@pytest.mark.parametrize(("how", "at_once", "in_the_morning"), [(EACH, 1, 0), (DAILY, 0, 1), (NONE, 0, 0)])
def test_staff_are_told_as_each_wishes(cast, how, at_once, in_the_morning, is_set_based):
    staff_wish(cast, how, cast.sam)
    cast.change("Scheduler", is_in_use=not is_set_based)
    cast.send(cast.sophie, "Appointment")
    cast.change("Scheduler")  # what waited until somebody could receive it is told by one statement
    assert len(to_staff(cast, cast.sam)) == at_once + in_the_morning
    at = morning()
    assert [len(mails_to(cast, now(), cast.sam)), len(mails_to(cast, at, cast.sam))] == [at_once, in_the_morning]


def test_what_a_colleague_wishes_is_nothing_to_me(cast):
    staff_wish(cast, NONE, cast.fay)
    asked(cast)
    assert to_staff(cast, cast.fay) == [] and len(mails_to(cast, now())) == 1


def test_daily_is_one_mail_of_all_that_waits_in_the_box(cast):
    staff_wish(cast, DAILY)
    key, _ = asked(cast), asked(cast)
    notes.add_note(key, body="Look", mentions=[cast.nina.key], form_key=new_key(), by=cast.fay.actor)
    (mail,) = mails_to(cast, morning())
    assert (mail.occasion, len(mail.ids), len(mail.threads)) == (Occasion.SEVERAL, 3, 2)


def test_what_is_due_together_goes_in_one_mail_to_those_who_are_told_at_once(cast):
    asked(cast), asked(cast)
    (mail,) = mails_to(cast, now())
    assert (mail.occasion, len(mail.threads)) == (Occasion.WAITING, 2)


def test_what_was_received_or_answered_meanwhile_is_not_told(cast):
    staff_wish(cast, DAILY)
    first, second = asked(cast), asked(cast)
    answered(cast, first)
    conversations.receive(second, version=cast.thread(second).version, by=cast.fay.actor)
    assert mails_to(cast, morning()) == [] and [n for n in to_staff(cast) if n.occasion == Occasion.WAITING] == []


def test_a5_who_may_not_see_it_any_more_is_not_told(cast):
    staff_wish(cast, DAILY)
    key = asked(cast)
    notes.add_note(key, body="Look", mentions=[cast.nina.key], form_key=new_key(), by=cast.fay.actor)
    cast.change("Clinicians", staff=[cast.fay])
    assert mails_to(cast, morning()) == [] and to_staff(cast) == []


def test_a_trays_notice_comes_in_the_morning_to_an_admin_who_wants_none(cast):
    staff_wish(cast, NONE, cast.ada)
    cast.change("Scheduler", is_in_use=False)
    cast.send(cast.sophie, "Appointment")
    assert mails_to(cast, now(), cast.ada) == []
    (mail,) = mails_to(cast, morning(), cast.ada)
    assert mail.occasion == Occasion.UNROUTED


def test_what_is_routed_meanwhile_is_not_told_to_admins(cast):
    staff_wish(cast, DAILY, cast.ada)
    cast.change("Scheduler", is_in_use=False)
    cast.send(cast.sophie, "Appointment")
    cast.change("Scheduler")
    assert len(to_staff(cast, cast.ada)) == 1
    assert mails_to(cast, morning(), cast.ada) == []


@pytest.mark.parametrize(("after", "at_once", "in_the_morning"), [(EACH, 1, 0), (DAILY, 0, 1), (NONE, 0, 0)])
@pytest.mark.parametrize("before", [EACH, DAILY])
def test_a_new_wish_of_staff_moves_what_waits(cast, before, after, at_once, in_the_morning):
    staff_wish(cast, before)
    asked(cast)
    staff_wish(cast, after)
    at = morning()
    assert [len(mails_to(cast, now())), len(mails_to(cast, at))] == [at_once, in_the_morning]


def test_a_new_wish_leaves_what_is_due_on_another_day(cast):
    answered(cast, asked(cast))
    later = [n.next_at for n in to_staff(cast) if n.occasion == Occasion.UNREAD]
    staff_wish(cast, DAILY)
    staff_wish(cast, EACH)
    assert later and [n.next_at for n in to_staff(cast) if n.occasion == Occasion.UNREAD] == later


def test_no_wish_keeps_a_changed_password_untold(cast):
    staff_wish(cast, NONE)
    with transaction(by=cast.nina.actor, did="set_up_tests") as tx:
        outbox.tell(tx, Occasion.PASSWORD, [cast.nina.id])
    staff_wish(cast, NONE)
    (mail,) = mails_to(cast, now())
    assert mail.occasion == Occasion.PASSWORD


def test_f15_two_workers_never_gather_two_mails_of_one_person(cast):
    if db.engines[WRITE].dialect.name != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    staff_wish(cast, NONE, cast.fay)
    asked(cast), asked(cast)
    db.session.close()
    with Session(db.engines[WRITE]) as first, Session(db.engines[WRITE]) as second:
        assert first.scalar(outbox._DUE, {"at": now()}) is not None
        assert second.scalar(outbox._DUE, {"at": now()}) is None, "the other notice is of the same person"


def test_the_mails_to_staff_lead_to_the_box_and_say_no_name(cast):
    staff_wish(cast, DAILY)
    key = asked(cast)
    notes.add_note(key, body="Look", mentions=[cast.nina.key], form_key=new_key(), by=cast.fay.actor)
    with db.engines[WRITE].begin() as connection:
        connection.execute(sa.update(Notice).values(next_at=now()))
    send_due(lambda _: None)
    with fresh_context(cast.app), cast.app.test_request_context(base_url=HOME):
        page = demo_mails.mails()
    mail = page.partition("The Message Box needs you")[2].partition("</article>")[0]
    assert f"Reference: {reference_of(cast.thread(key).id)}" in mail and mail.count(reference_of(cast.thread(key).id)) == 1
    assert "KWON" not in mail and "STAFF" not in mail and "Look" not in mail


def test_the_demo_shows_one_mail_for_what_was_told_together(cast):
    wish(cast, DAILY)
    keys = [asked(cast), asked(cast), asked(cast)]
    answered(cast, *keys)
    cast.sophie.get(f"/messages/{keys[0]}")
    with db.engines[WRITE].begin() as connection:
        connection.execute(sa.update(Notice).values(next_at=now()))
    send_due(lambda _: None)
    with fresh_context(cast.app), cast.app.test_request_context(base_url=HOME):
        page = demo_mails.mails()
    ids = {key: number for number, key in db.session.execute(sa.select(Thread.id, Thread.key))}
    assert page.count("An answer is waiting for you") == 1
    mail = page.partition("An answer is waiting for you")[2].partition("</article>")[0]
    assert f"Reference: {reference_of(ids[keys[1]])}, {reference_of(ids[keys[2]])}" in mail
    assert reference_of(ids[keys[0]]) not in mail, "it was read before"
