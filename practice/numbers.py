"""The practice's numbers: how long patients wait for an answer, when messages come, and to whom. One row a happening, written
by the verb in its own transaction and only ever added, so that no two senders wait for one counter; the worker sums up the rows
of a day that is over. The page adds up sums and single rows alike, and never reads the messages.

A wait begins with the oldest message of the patient that has no answer and ends with the practice's answer; what is closed
without one counts as no answer. Decisions: docs/decisions/0010.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from practice.calendar import local_day
from practice.communicators import AudienceCommunicator, Communicator
from practice.db import Model, Transaction, choice, now
from practice.settings import RequestType, the_practice
from practice.threads import Message, Thread

HOURS_OF_WEEK = 7 * 24
# How finely waits are told apart, in minutes: up to the first by steps of the second. Rounded up, so that "half within" holds.
STEPS = ((60, 5), (12 * 60, 15), (72 * 60, 60), (None, 12 * 60))
STILL_OPEN = timedelta(hours=1)  # so long after its end a day is not summed up: an answer may still be recalled


class What(StrEnum):
    RECEIVED = "received"  # a message of a patient, by the hour of the week
    REACHED = "reached"  # the same for each communicator that had the conversation then; without one: nobody had
    IN_TIME = "in time"  # an answer that came when it was promised, by the wait
    LATE = "late"  # one that came later


class Tally(Model):
    """Something that happened, or (without a message) the sum of what happened alike on a day that is over."""

    __tablename__ = "tally"
    id: Mapped[int] = mapped_column(primary_key=True)
    what: Mapped[What] = mapped_column(choice(What))
    day: Mapped[date]  # the practice's day, as its time zone was then
    type: Mapped[RequestType] = mapped_column(choice(RequestType))
    communicator_id: Mapped[int | None] = mapped_column(sa.ForeignKey("communicator.id"))
    slot: Mapped[int]  # the hour of the week, from Monday at midnight, or the wait in minutes
    number: Mapped[int]
    message_id: Mapped[int | None] = mapped_column(sa.ForeignKey("message.id"))
    __table_args__ = (
        sa.Index("ix_tally_read", "what", "day", "type", "communicator_id", "slot", "number"),
        sa.Index(
            "ix_tally_single",
            "message_id",
            "day",
            sqlite_where=sa.text("message_id IS NOT NULL"),
            postgresql_where=sa.text("message_id IS NOT NULL"),
        ),
    )


# ---- Written as things happen --------------------------------------------------------------------


def count_received(tx: Transaction, thread: Thread, message: Message) -> None:
    """The patient wrote, and it was routed: the message stands under whoever has the conversation now."""
    day, hour = place_of(message.sent_at, the_practice(tx.session).time_zone)
    values = {"day": day, "hour": hour, "type": thread.type.value, "audience": thread.audience_id, "message": message.id}
    tx.session.connection().execute(_INSERT_RECEIVED, values)


def count_answer(tx: Transaction, thread: Thread, message: Message) -> None:
    """The practice answers; to be called while the thread still says since when it waits. Nothing waits: nothing is counted."""
    if thread.waiting_since is None or thread.due_at is None:
        return
    row = {
        "what": What.IN_TIME if message.sent_at <= thread.due_at else What.LATE,
        "day": place_of(message.sent_at, the_practice(tx.session).time_zone)[0],
        "type": thread.type,
        "communicator_id": message.communicator_id,
        "slot": slot_of(message.sent_at - thread.waiting_since),
        "number": 1,
        "message_id": message.id,
    }
    tx.session.connection().execute(_INSERT, row)


def uncount(tx: Transaction, message: int) -> None:
    """An answer was recalled: it never was one."""
    tx.session.execute(sa.delete(Tally).where(Tally.message_id == message).execution_options(synchronize_session=False))


# One statement, for a patient waits for it: the message, and a row for each communicator that has it or, without any, for none.
_INSERT_RECEIVED = sa.text(f"""
    INSERT INTO tally (what, day, type, communicator_id, slot, number, message_id)
    SELECT '{What.RECEIVED}', :day, :type, CAST(NULL AS INTEGER), :hour, 1, :message
    UNION ALL
    SELECT '{What.REACHED}', :day, :type, a.communicator_id, 0, 1, :message
    FROM (SELECT 1 AS one) AS nobody LEFT JOIN audience_communicator a ON a.audience_id = :audience
""").bindparams(sa.bindparam("day", type_=sa.Date))
_INSERT = Tally.__table__.insert()  # type: ignore[attr-defined]


def place_of(at: datetime, zone: str) -> tuple[date, int]:
    """The local day of a moment (naive UTC), and its hour of the week; when clocks go back, one hour holds two."""
    there = at.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
    return there.date(), there.weekday() * 24 + there.hour


def slot_of(wait: timedelta) -> int:
    """A wait in minutes, rounded up to its step."""
    minutes = wait / timedelta(minutes=1)
    step = next(step for most, step in STEPS if most is None or minutes <= most)
    return max(ceil(minutes / step), 1) * step


# ---- Summed up by the worker ---------------------------------------------------------------------


def sum_up(tx: Transaction) -> int:
    """Puts one row in the place of all that happened alike on the oldest day that is over and is not summed up yet. Answers how
    many rows went; the worker asks again until it is 0."""
    before = local_day(now() - STILL_OPEN, the_practice(tx.session).time_zone)
    day = tx.session.scalar(sa.select(sa.func.min(Tally.day)).where(Tally.message_id.is_not(None)))
    if day is None or day >= before:
        return 0
    single = Tally.day == day, Tally.message_id.is_not(None)
    gone = sa.delete(Tally).where(*single).returning(*_ALIKE, Tally.number).execution_options(synchronize_session=False)
    sums: Counter[tuple[Any, ...]] = Counter()
    rows = tx.session.execute(gone).all()
    for *alike, number in rows:
        sums[tuple(alike)] += number
    names = [column.key for column in _ALIKE]
    tx.session.connection().execute(_INSERT, [dict(zip(names, alike, strict=True), number=n) for alike, n in sums.items()])
    return len(rows)


_ALIKE = (Tally.what, Tally.day, Tally.type, Tally.communicator_id, Tally.slot)


# ---- Read by the page ----------------------------------------------------------------------------


class By(StrEnum):
    WEEK = "week"
    MONTH = "month"


PERIODS = {By.WEEK: 13, By.MONTH: 12}


def periods(by: By, today: date) -> list[date]:
    """The first days of the last 13 weeks (from Monday) or 12 months with the present one, the oldest first; and of the next."""
    if by == By.WEEK:
        monday = today - timedelta(days=today.weekday())
        return [monday + timedelta(weeks=n) for n in range(1 - PERIODS[by], 2)]
    months = today.year * 12 + today.month - 1
    return [date((months + n) // 12, (months + n) % 12 + 1, 1) for n in range(1 - PERIODS[by], 2)]


@dataclass
class Waits:
    """The waits that ended with an answer, by minutes (rounded up), and how many of the answers came when they were promised."""

    minutes: Counter[int] = field(default_factory=Counter)
    in_time: int = 0

    def add(self, what: What, slot: int, number: int) -> None:
        self.minutes[slot] += number
        self.in_time += number if what == What.IN_TIME else 0

    @property
    def answers(self) -> int:
        return self.minutes.total()

    @property
    def median(self) -> int | None:
        return within(self.minutes, 0.5)

    @property
    def ninetieth(self) -> int | None:
        return within(self.minutes, 0.9)

    @property
    def share(self) -> int | None:
        """Of a hundred; rounded down, so that 100 are all."""
        return self.in_time * 100 // self.answers if self.answers else None


def within(minutes: Mapping[int, int], share: float) -> int | None:
    """The number of minutes within which this share of the waits was over; None where there are none."""
    left = ceil(sum(minutes.values()) * share)
    for slot in sorted(minutes):
        left -= minutes[slot]
        if left <= 0:
            return slot
    return None


@dataclass
class Part:
    """What one communicator (without a title: nobody at that moment) or one type has of the whole."""

    title: str
    type: RequestType | None
    received: int = 0
    waits: Waits = field(default_factory=Waits)
    waiting: int = 0  # now


@dataclass(frozen=True)
class Numbers:
    """All that the page shows of some periods, and of now."""

    starts: list[date]  # of each period
    waits: list[Waits]
    received: list[Counter[RequestType]]
    hours: list[int]  # messages received in each hour of the week
    communicators: list[Part]
    types: list[Part]
    waiting: int
    overdue: int
    requests: list[tuple[RequestType, str, int]]  # type, state and how many are in it now
    since: date | None  # the first day that was ever counted


def numbers(session: Session, by: By, today: date) -> Numbers:
    """Nine statements, whatever there is."""
    starts = periods(by, today)
    asked = {"since": starts[0], "until": starts[-1]} | {f"p{n}": start for n, start in enumerate(starts[1:-1])}
    run = session.connection().execute
    count = len(starts) - 1
    waits = [Waits() for _ in range(count)]
    for period, what, slot, number in run(_waits_of(count), asked):
        waits[period].add(what, slot, number)
    received: list[Counter[RequestType]] = [Counter() for _ in range(count)]
    for period, kind, number in run(_received_of(count), asked):
        received[period][kind] += number
    hours = [0] * HOURS_OF_WEEK
    for slot, number in run(_HOURS, asked):
        hours[slot] += number
    waiting = {row.communicator_id: row.number for row in run(_WAITING_AT)}
    known = run(_COMMUNICATORS).all()
    parts = {row.id: Part(row.title, row.type, waiting=waiting.get(row.id, 0)) for row in known}
    types = {kind: Part("", kind, received=sum(one[kind] for one in received)) for kind in RequestType}
    nobody = Part("", None)
    for what, communicator, kind, slot, number in run(_BY_WHOM, asked):
        part = parts.get(communicator, nobody)
        if what == What.REACHED:
            part.received += number
        else:
            part.waits.add(what, slot, number)
            types[kind].waits.add(what, slot, number)
    all_waiting, overdue = run(_WAITING, {"now": now()}).one()
    return Numbers(
        starts=starts[:-1],
        waits=waits,
        received=received,
        hours=hours,
        communicators=[p for p in (*parts.values(), nobody) if p.received or p.waits.answers or p.waiting],
        types=list(types.values()),
        waiting=all_waiting,
        overdue=overdue or 0,
        requests=[(RequestType(row.type), row.state, row.number) for row in run(_REQUESTS)],
        since=run(_SINCE).scalar(),
    )


_SUM = sa.func.sum(Tally.number)
_IN_SPAN = Tally.day >= sa.bindparam("since"), Tally.day < sa.bindparam("until")
_ANSWERS = (What.IN_TIME, What.LATE)
_HOURS = sa.select(Tally.slot, _SUM).where(Tally.what == What.RECEIVED, *_IN_SPAN).group_by(Tally.slot)
_BY_WHOM = (
    sa.select(Tally.what, Tally.communicator_id, Tally.type, Tally.slot, _SUM)
    .where(Tally.what.in_((What.REACHED, *_ANSWERS)), *_IN_SPAN)
    .group_by(Tally.what, Tally.communicator_id, Tally.type, Tally.slot)
)
_SINCE = sa.select(sa.func.min(Tally.day)).where(Tally.what == What.RECEIVED)
_COMMUNICATORS = sa.select(Communicator.id, Communicator.title, Communicator.type).order_by(
    Communicator.type, Communicator.title_key, Communicator.id
)
# Of what waits now the partial indexes know all that is asked: no row of a thread is read.
_WAITING = sa.select(
    sa.func.count(), sa.func.sum(sa.case((Thread.due_at < sa.bindparam("now", type_=Thread.due_at.type), 1), else_=0))
).where(Thread.due_at.is_not(None))
_of_audiences = (
    sa.select(Thread.audience_id, sa.func.count().label("number"))
    .where(Thread.waiting_since.is_not(None))
    .group_by(Thread.audience_id)
    .subquery()
)
_WAITING_AT = (
    sa.select(AudienceCommunicator.communicator_id, sa.func.sum(_of_audiences.c.number).label("number"))
    .join(_of_audiences, _of_audiences.c.audience_id == AudienceCommunicator.audience_id)
    .group_by(AudienceCommunicator.communicator_id)
)
# By name: the tables of the requests stand above. Each has an index of its states.
_REQUESTS = sa.union_all(
    *(
        sa.select(sa.literal(kind.value).label("type"), table.c.state, sa.func.count().label("number")).group_by(table.c.state)
        for kind, table in (
            (RequestType.APPOINTMENT, sa.table("appointment_request", sa.column("state", sa.String))),
            (RequestType.RESULT, sa.table("result_request", sa.column("state", sa.String))),
            (RequestType.AMENDMENT, sa.table("amendment", sa.column("state", sa.String))),
        )
    )
)


def _period(count: int) -> Any:
    """In which of the periods, from 0, a day is."""
    ends = [(Tally.day < sa.bindparam(f"p{n}"), n) for n in range(count - 1)]
    return sa.case(*ends, else_=count - 1).label("period")


@lru_cache(maxsize=2)
def _waits_of(count: int) -> Any:
    period = _period(count)
    found = sa.select(period, Tally.what, Tally.slot, _SUM).where(Tally.what.in_(_ANSWERS), *_IN_SPAN)
    return found.group_by(period, Tally.what, Tally.slot)


@lru_cache(maxsize=2)
def _received_of(count: int) -> Any:
    period = _period(count)
    found = sa.select(period, Tally.type, _SUM).where(Tally.what == What.RECEIVED, *_IN_SPAN)
    return found.group_by(period, Tally.type)
