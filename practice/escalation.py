"""Promises that have passed: told once to those in charge, and when it was not mended then, to the admins.

The worker asks every minute. What is told is committed with the mark that it was (late_told_at, escalated_at), so that however
many workers there are, and however long none ran, nobody is told twice of the same wait.
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from practice.calendar import business_days_ago
from practice.communicators import AudienceCommunicator, eligible
from practice.db import Transaction, now
from practice.outbox import Notice, NoticeState, Occasion, as_wished
from practice.people import AccountStatus, Person, Staff
from practice.settings import calendar_of, the_practice
from practice.threads import Message, Thread

BATCH = 200  # threads of one transaction


def tell_of_overdue(tx: Transaction) -> int:
    """Tells of at most 200 threads to those in charge and of at most 200 to the admins, the oldest promise first.

    Where nobody is there to be told, the admins are at once. Answers how many threads it told of; BATCH or more: there may be
    others.
    """
    at, session = now(), tx.session
    late = _past(session, at, Thread.late_told_at.is_(None))
    reached = set(session.scalars(_PRESENT.where(Thread.id.in_(late)))) if late else set()
    _tell(session, Occasion.OVERDUE, [thread for thread in late if thread in reached], at)
    _mark(session, [thread for thread in late if thread in reached], at, "late_told_at")
    left = [thread for thread in late if thread not in reached]
    practice = the_practice(session)
    until = business_days_ago(at, practice.escalate_days, calendar_of(practice, session))
    left += _past(session, until, Thread.late_told_at.is_not(None))
    _tell(session, Occasion.ESCALATED, left, at)
    _mark(session, left, at, "escalated_at")
    tx.commit.has_notices |= bool(late or left)
    return len({*late, *left})


def _past(session: Session, until: datetime, told: sa.ColumnElement[bool]) -> list[int]:
    """Threads whose promise ended before `until`, held till the end: what is answered in this moment is left to its answer."""
    waits = Thread.due_at.is_not(None), Thread.due_at < until, Thread.escalated_at.is_(None), Thread.removed_at.is_(None)
    oldest = sa.select(Thread.id).where(*waits, told).order_by(Thread.due_at, Thread.id).limit(BATCH)
    return list(session.scalars(oldest.with_for_update(skip_locked=True)))


def _mark(session: Session, threads: list[int], at: datetime, column: str) -> None:
    """Says nothing about the thread itself, so its version stays: an open page remains true."""
    told = sa.update(Thread).where(Thread.id.in_(threads)).values({column: at, "version": Thread.version})
    if threads:
        session.execute(told.execution_options(synchronize_session=False))


# ---- Who is told ---------------------------------------------------------------------------------

_there = eligible().subquery("eligible")
_PRESENT = (
    sa.select(Thread.id.label("thread_id"), Staff.id.label("person_id"), Staff.notices)
    .select_from(Thread)
    .join(AudienceCommunicator, AudienceCommunicator.audience_id == Thread.audience_id)
    .join(_there, _there.c.communicator_id == AudienceCommunicator.communicator_id)
    .join(Staff, Staff.id == _there.c.staff_id)
    .where(_there.c.is_present == 1)
    .where(Staff.own_patient_id.is_distinct_from(Thread.patient_id))
    .distinct()
)
"""Those in charge who are there, each once: in Use or not, its staff still answer what a communicator has."""
_ADMINS = (
    sa.select(Thread.id.label("thread_id"), Staff.id.label("person_id"), Staff.notices)
    .select_from(Thread)
    .join(Staff, Staff.own_patient_id.is_distinct_from(Thread.patient_id))
    .join(Person, Person.id == Staff.id)
    .where(Staff.is_admin, Person.status == AccountStatus.ACTIVE)
)
_first_waiting = (
    sa.select(sa.func.min(Message.id))
    .where(
        Message.thread_id == Thread.id,
        Message.is_from_patient,
        Message.sent_at >= sa.func.coalesce(Thread.waiting_since, Thread.created_at),
    )
    .correlate(Thread)
    .scalar_subquery()
)
_COLUMNS = ["key", "occasion", "person_id", "thread_id", "message_id", "state", "attempts", "next_at", "created_at"]


def _tell(session: Session, occasion: Occasion, threads: list[int], at: datetime) -> None:
    """A notice for each pair of thread and person, about the message that has waited longest: of that one each is told once,
    also when an answer was taken back and the same promise counts again."""
    if not threads:
        return
    people: Any = _PRESENT if occasion == Occasion.OVERDUE else _ADMINS
    who = people.where(Thread.id.in_(threads)).subquery("who")
    found = sa.select(Thread.id, Thread.due_at, _first_waiting.label("message_id")).where(Thread.id.in_(threads))
    about = found.subquery("about")
    due, is_told = as_wished(session, occasion, who.c.notices, at)
    key = sa.literal(occasion[0]) + sa.cast(about.c.message_id, sa.String) + "-" + sa.cast(who.c.person_id, sa.String)
    values = (
        key,
        sa.literal(occasion, Notice.occasion.type),
        who.c.person_id,
        who.c.thread_id,
        about.c.message_id,
        sa.literal(NoticeState.WAITING, Notice.state.type),
        sa.literal(0),
        due,
        sa.literal(at),
    )
    told = sa.exists().where(
        Notice.message_id == about.c.message_id, Notice.person_id == who.c.person_id, Notice.occasion == occasion
    )
    rows = sa.select(*values).join(about, about.c.id == who.c.thread_id).where(about.c.message_id.is_not(None), is_told, ~told)
    rows = rows.order_by(about.c.due_at, about.c.id, who.c.person_id)
    session.execute(sa.insert(Notice).from_select(_COLUMNS, rows))
