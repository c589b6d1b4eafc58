"""The practice's numbers: whatever happens to conversations, they are what the messages themselves say."""

import contextlib
import json
import random
from collections import Counter
from datetime import date, datetime, timedelta

import pytest
import sqlalchemy as sa

from practice import bulk, conversations, jobs
from practice.bulk import Act, act_on_many
from practice.communicators import Communicator
from practice.conversations import promised_by
from practice.db import SYSTEM, WRITE, Audit, clock_at, db, new_key, now, transaction
from practice.errors import Invalid, NotAllowed, Stale
from practice.numbers import By, Tally, Waits, What, numbers, periods, place_of, slot_of, sum_up, within
from practice.settings import RequestType, the_practice
from practice.threads import STANDS, Delivery, Event, History, Message, Recall, Thread
from tests.test_schema import plan_of

SPRING, AUTUMN = datetime(2026, 3, 6, 14), datetime(2026, 10, 29, 14)  # some days before clocks change in New York
HOUR = timedelta(hours=1)


def tallied() -> Counter:
    db.session.close()
    found: Counter = Counter()
    for row in db.session.scalars(sa.select(Tally)):
        found[row.what, row.day, row.type, row.communicator_id, row.slot] += row.number
    return +found


# ---- Counted again, from the messages ------------------------------------------------------------


def recounted() -> Counter:
    """The same from messages, deliveries and history alone."""
    db.session.close()
    practice, found = the_practice(), Counter()
    type_of = {c.title: c.type for c in db.session.scalars(sa.select(Communicator))}
    type_by_id = {c.id: c.type for c in db.session.scalars(sa.select(Communicator))}
    for thread in db.session.scalars(sa.select(Thread)).all():
        deliveries = list(db.session.scalars(sa.select(Delivery).where(Delivery.thread_id == thread.id).order_by(Delivery.id)))
        history = list(db.session.scalars(sa.select(History).where(History.thread_id == thread.id).order_by(History.id)))
        messages = db.session.scalars(sa.select(Message).where(Message.thread_id == thread.id, STANDS))
        happened = [(m.id, m) for m in messages]
        kind = type_by_id[deliveries[0].communicator_id] if deliveries else thread.type
        # Messages in the order of their ids; an answer's own time lies ten seconds ahead.
        wrote = {m.id: m.sent_at if m.is_from_patient else m.sent_at - conversations.UNDO for _, m in happened}
        events = sorted([(wrote[n], 1, n, m) for n, m in happened] + [(h.at, 0, h.id, h) for h in history], key=lambda e: e[:3])
        waits, before_close = None, None
        for at, _, _, what in events:
            if isinstance(what, History):
                if what.did in (Event.TRANSFERRED, Event.HANDED):
                    kind = type_of[json.loads(what.words)["title"]]
                elif what.did in (Event.CLOSED, Event.DUPLICATE):
                    waits, before_close = None, waits
                elif what.did == Event.REOPENED:
                    waits = before_close
                continue
            day, hour = place_of(what.sent_at, practice.time_zone)
            if what.is_from_patient:
                found[What.RECEIVED, day, kind, None, hour] += 1
                has = [d.communicator_id for d in deliveries if d.at <= at and (d.ended_at is None or d.ended_at > at)]
                for one in has or [None]:
                    found[What.REACHED, day, kind, one, 0] += 1
                waits = waits or (what.sent_at, promised_by(practice, kind, what.sent_at))
            elif waits:
                since, due = waits
                in_time = What.IN_TIME if what.sent_at <= due else What.LATE
                found[in_time, day, kind, what.communicator_id, slot_of(what.sent_at - since)] += 1
                waits = None
    return found


class Walk:
    """People who write, answer, take back, close, undo, transfer and come and go, at random by the seed."""

    def __init__(self, cast, seed):
        self.cast, self.chance, self.keys, self.closed = cast, random.Random(seed), [], []

    def step(self):
        verb = self.chance.choices(
            (self.send, self.reply, self.answer, self.close, self.reopen, self.transfer, self.switch, self.sum_up),
            (4, 6, 10, 2, 1, 1, 0.5, 1),
        )[0]
        with contextlib.suppress(Stale, Invalid, NotAllowed):
            verb()

    def one(self):
        db.session.close()
        return self.cast.thread(self.chance.choice(self.keys)) if self.keys else None

    def send(self):
        kind = self.chance.choice(("Others", "Others", "Appointment", "Result", "Amendment"))
        self.keys.append(self.cast.send(self.cast.sophie, kind, to=self.chance.choice(("Clinicians", "IT Manager"))))

    def reply(self):
        if thread := self.one():
            conversations.reply(thread.key, body="More", form_key=new_key(), by=self.cast.sophie.actor)

    def someone(self, thread):
        return next((who for who in self.staff() if self.cast.sees(who, thread.key)), None)

    def staff(self):
        cast = self.cast
        return self.chance.sample([cast.sam, cast.max, cast.nina, cast.ivan, cast.rita, cast.fay], 6)

    def answer(self):
        if (thread := self.one()) and (who := self.someone(thread)):
            self.cast.answer(who, thread.key)
            if self.chance.random() < 0.3:
                with clock_at(now() + timedelta(seconds=4)):
                    conversations.reply(thread.key, body="Meanwhile", form_key=new_key(), by=self.cast.sophie.actor)
            if self.chance.random() < 0.3:
                with clock_at(now() + timedelta(seconds=8)):
                    newest = sa.select(Message).where(Message.thread_id == thread.id, ~Message.is_from_patient)
                    message = db.session.scalars(newest.order_by(Message.id.desc()).limit(1)).one()
                    conversations.recall(thread.key, message=message.key, pages=("/reply", "/new"), by=who.actor)

    def close(self):
        if (thread := self.one()) and (who := self.someone(thread)):
            act = act_on_many(Act.CLOSE, [(thread.key, thread.version)], form_key=new_key(), by=who.actor)
            self.closed.append((act, who, now()))

    def reopen(self):
        if self.closed:
            batch, who, at = self.closed.pop()
            if at > now() - bulk.KEPT:
                bulk.undo_many(batch, by=who.actor)

    def transfer(self):
        if (thread := self.one()) and (who := self.someone(thread)):
            to = self.chance.choice(("Scheduler", "Media Manager", "Clinicians", "IT Manager"))
            there = self.cast.communicator(to)
            conversations.transfer(thread.key, communicator=there, reason="R", version=thread.version, by=who.actor)

    def switch(self):
        """The IT Manager comes and goes: what waited is delivered."""
        is_on = self.chance.random() < 0.5
        self.cast.change("IT Manager", staff=[self.cast.ivan] if is_on else [])

    def sum_up(self):
        with transaction(by=SYSTEM, did="sum up the numbers") as tx:
            sum_up(tx)


@pytest.mark.usefixtures("ten_seconds")
@pytest.mark.parametrize("begins", [SPRING, AUTUMN], ids=["spring", "autumn"])
@pytest.mark.parametrize("seed", range(3))
def test_the_numbers_are_what_the_messages_say(cast, begins, seed):
    walk, at = Walk(cast, seed), begins
    for _ in range(90):
        at += timedelta(minutes=1 + walk.chance.expovariate(1 / 75), seconds=walk.chance.random() * 60)
        with clock_at(at):
            walk.step()
    found = recounted()
    assert tallied() == found
    assert {What.RECEIVED, What.REACHED, What.IN_TIME} <= {what for what, *_ in found}
    did = set(db.session.scalars(sa.select(History.did)))
    assert {Event.RECALLED, Event.CLOSED, Event.TRANSFERRED} <= did and db.session.scalar(sa.select(sa.func.count(Recall.at)))
    with clock_at(at + timedelta(days=2)):
        while walk_sums_up():
            pass
    assert tallied() == found
    db.session.close()
    assert not db.session.scalar(sa.select(sa.func.count()).where(Tally.message_id.is_not(None)))


def walk_sums_up():
    with transaction(by=SYSTEM, did="sum up the numbers") as tx:
        return sum_up(tx)


def test_the_second_hour_of_a_night_counts_under_the_same_clock():
    """On November 1, 2026 it is one o'clock twice in New York; on March 8 two o'clock never comes."""
    zone = "America/New_York"
    sunday = 6 * 24
    assert place_of(datetime(2026, 11, 1, 5, 30), zone) == (date(2026, 11, 1), sunday + 1)
    assert place_of(datetime(2026, 11, 1, 6, 30), zone) == (date(2026, 11, 1), sunday + 1)
    assert place_of(datetime(2026, 3, 8, 6, 59), zone) == (date(2026, 3, 8), sunday + 1)
    assert place_of(datetime(2026, 3, 8, 7, 1), zone) == (date(2026, 3, 8), sunday + 3)
    assert place_of(datetime(2026, 11, 2, 4, 59), zone) == (date(2026, 11, 1), sunday + 23)


# ---- One by one ----------------------------------------------------------------------------------


def answers():
    return sorted((row[0].value, row[4]) for row in tallied().elements() if row[0] in (What.IN_TIME, What.LATE))


def test_each_wait_counts_from_its_first_message_to_the_first_answer(cast):
    at = datetime(2026, 3, 17, 14)
    with clock_at(at):
        key = cast.send(cast.sophie)
    with clock_at(at + HOUR):
        conversations.reply(key, body="And?", form_key=new_key(), by=cast.sophie.actor)
    with clock_at(at + 2 * HOUR):
        cast.answer(cast.nina, key)
    with clock_at(at + 3 * HOUR):
        cast.answer(cast.nina, key, "And one more thing.")
    assert answers() == [("in time", 120)]
    with clock_at(at + timedelta(days=1)):
        conversations.reply(key, body="Thanks", form_key=new_key(), by=cast.sophie.actor)
    with clock_at(at + timedelta(days=30)):
        cast.answer(cast.nina, key)
    assert answers() == [("in time", 120), ("late", 29 * 24 * 60)]


def test_a_recalled_answer_is_none_and_the_wait_goes_on(cast, ten_seconds):
    at = datetime(2026, 3, 17, 14)
    with clock_at(at):
        key = cast.send(cast.sophie)
    with clock_at(at + HOUR):
        cast.answer(cast.nina, key)
        message = db.session.scalars(sa.select(Message.key).where(~Message.is_from_patient)).one()
        conversations.recall(key, message=message, pages=("/reply", "/new"), by=cast.nina.actor)
    assert answers() == []
    with clock_at(at + 2 * HOUR - timedelta(seconds=10)):
        cast.answer(cast.nina, key)
    assert answers() == [("in time", 120)]


def test_what_is_closed_has_no_answer_and_a_phone_call_is_the_patients(cast):
    closed = cast.send(cast.sophie)
    conversations.close(closed, version=cast.thread(closed).version, by=cast.nina.actor)
    assert answers() == []
    words = {"title": "Called", "body": "B", "to": cast.communicator("Clinicians")}
    conversations.send(cast.jihae.id, kind=RequestType.OTHERS, form_key=new_key(), by=cast.fay.actor, **words)
    assert sum(n for key, n in tallied().items() if key[0] == What.RECEIVED) == 2


def test_a_message_counts_for_each_communicator_that_has_it_and_for_nobody_where_none_has(cast):
    cast.communicate(RequestType.APPOINTMENT, "Second Desk", cast.sam)
    cast.send(cast.sophie, "Appointment")
    cast.change("Media Manager", staff=[])
    cast.send(cast.sophie, "Result")
    found = Counter((row[2], row[3] is None) for row in tallied().elements() if row[0] == What.REACHED)
    assert found == {(RequestType.APPOINTMENT, False): 2, (RequestType.RESULT, True): 1}


def test_the_same_form_twice_counts_once(cast):
    form = new_key()
    cast.send(cast.sophie, form_key=form)
    cast.send(cast.sophie, form_key=form)
    assert sum(n for key, n in tallied().items() if key[0] == What.RECEIVED) == 1


def test_waits_round_up_to_their_step():
    minutes = [slot_of(timedelta(minutes=n)) for n in (0, 1, 5, 5.01, 60, 61, 720, 721, 4320, 4321)]
    assert minutes == [5, 5, 5, 10, 60, 75, 720, 780, 4320, 5040]


@pytest.mark.parametrize("seed", range(5))
def test_the_share_within_is_the_exact_one_rounded_up(seed):
    chance = random.Random(seed)
    waits = sorted(timedelta(minutes=chance.expovariate(1 / 900)) for _ in range(chance.randrange(1, 300)))
    counts = Counter(map(slot_of, waits))
    for share in (0.5, 0.9):
        nearest_rank = waits[-(-len(waits) * int(share * 10) // 10) - 1]
        assert within(counts, share) == slot_of(nearest_rank)


def test_nothing_gives_no_number():
    assert (Waits().median, Waits().ninetieth, Waits().share, Waits().answers) == (None, None, None, 0)
    assert Waits(Counter({5: 999, 10: 1}), in_time=999).share == 99, "a hundred are all"


# ---- Periods, and what the page asks -------------------------------------------------------------


def test_periods_are_thirteen_weeks_or_twelve_months_with_the_present_one():
    weeks = periods(By.WEEK, date(2026, 1, 7))
    assert (len(weeks), weeks[0], weeks[-2], weeks[-1]) == (14, date(2025, 10, 13), date(2026, 1, 5), date(2026, 1, 12))
    months = periods(By.MONTH, date(2026, 1, 31))
    assert (len(months), months[0], months[-2], months[-1]) == (13, date(2025, 2, 1), date(2026, 1, 1), date(2026, 2, 1))


def test_the_page_puts_each_day_into_its_period(cast):
    with clock_at(datetime(2026, 3, 9, 3, 59)):  # still Sunday, 23:59
        key = cast.send(cast.sophie)
    with clock_at(datetime(2026, 3, 9, 4, 1)):  # Monday, 0:01
        cast.answer(cast.nina, key)
    with clock_at(datetime(2025, 12, 1, 12)):
        cast.send(cast.jihae, "Result")
    with clock_at(datetime(2026, 3, 10, 12)):
        db.session.close()
        found = numbers(db.session(), By.WEEK, date(2026, 3, 10))
        months = numbers(db.session(), By.MONTH, date(2026, 3, 10))
    assert [waits.answers for waits in found.waits] == [0] * 12 + [1]
    assert [each.total() for each in found.received] == [0] * 11 + [1, 0]
    assert found.hours[6 * 24 + 23] == sum(found.hours) == 1
    assert [each.total() for each in months.received] == [0] * 8 + [1, 0, 0, 1]
    assert (found.waiting, found.overdue, found.since) == (1, 1, date(2025, 12, 1))
    named = {part.title: (part.received, part.waits.median, part.waiting) for part in months.communicators}
    assert named == {"Clinicians": (1, 5, 0), "Media Manager": (1, None, 1)}
    assert months.requests == [(RequestType.RESULT, "requested", 1)]


def test_the_page_asks_as_often_whatever_there_is(cast, statements):
    counts = []
    for _ in range(2):
        db.session.close()
        with statements() as found:
            numbers(db.session(), By.WEEK, date(2026, 3, 10))
        counts.append(len(found))
        for kind in ("Others", "Appointment", "Result"):
            cast.answer({"Others": cast.nina, "Appointment": cast.sam, "Result": cast.max}[kind], cast.send(cast.sophie, kind))
    assert counts == [9, 9]


def test_the_page_reads_no_messages_and_no_whole_threads(cast):
    asked = []
    engine = db.session.get_bind()

    def note(_connection, _cursor, said, values, *_):
        asked.append((said, values))

    sa.event.listen(engine, "before_cursor_execute", note)
    numbers(db.session(), By.WEEK, date(2026, 3, 10))
    sa.event.remove(engine, "before_cursor_execute", note)
    asked = [one for one in asked if one[0] != "BEGIN"]
    assert len(asked) == 9
    is_sqlite = db.engines[WRITE].dialect.name == "sqlite"
    for said, values in asked:
        plan = plan_of(said, values)
        assert "message" not in said.replace("message_id", ""), said
        assert "SCAN thread" not in plan.replace("SCAN thread USING", "") and "Seq Scan on thread" not in plan, plan
        if is_sqlite and " communicator.title" not in said:
            assert "COVERING INDEX" in plan, plan


# ---- The worker ----------------------------------------------------------------------------------


def test_the_worker_sums_up_days_that_are_over_and_no_other(cast):
    for hours in range(3):
        with clock_at(datetime(2026, 3, 16, 14 + hours)):
            cast.answer(cast.nina, cast.send(cast.sophie))
    with clock_at(datetime(2026, 3, 17, 14)):
        cast.send(cast.jihae)
    before = tallied()
    with clock_at(datetime(2026, 3, 17, 4, 30)):  # half past midnight: an answer of 23:59 could have been recalled just now
        assert not walk_sums_up()
    with clock_at(datetime(2026, 3, 18, 3)):
        done = [jobs.run_due_jobs().get("sum up the numbers") for _ in range(3)]
        jobs.run_due_jobs()
    assert done == [9, 0, None]
    assert tallied() == before
    single = sa.select(Tally.day).where(Tally.message_id.is_not(None)).distinct()
    assert list(db.session.scalars(single)) == [date(2026, 3, 17)]
    alike = db.session.scalars(sa.select(Tally.number).where(Tally.what == What.IN_TIME)).all()
    assert alike == [3]
    rows = db.session.scalars(sa.select(Audit.did).where(Audit.did == "sum up the numbers")).all()
    assert len(rows) == 2  # of the try above, too
