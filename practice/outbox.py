"""Notices: who is to be told that something waits. The rows are committed with what caused them; the row is the only queue."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from practice.db import Model, Transaction, changed, choice, new_key, now
from practice.people import Person

LEASE = timedelta(minutes=2)
BACK_OFF = [timedelta(minutes=m) for m in (1, 5, 15, 60, 240)]
KEPT = timedelta(days=30)


class Occasion(StrEnum):
    WAITING = "waiting"  # to staff: a patient wrote to a communicator of yours
    ANSWERED = "answered"  # to the patient
    UNROUTED = "unrouted"  # to admins: nobody can receive it
    PASSWORD = "password"  # to whoever has the account: its password was changed


class NoticeState(StrEnum):
    WAITING = "waiting"
    LEASED = "leased"
    SENT = "sent"
    DEAD = "dead"


class Notice(Model):
    """One row for each person and occasion."""

    __tablename__ = "outbox"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(22), unique=True)  # becomes the Message-ID
    occasion: Mapped[Occasion] = mapped_column(choice(Occasion, is_checked=False))
    person_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"))
    # None for what is about the account itself.
    thread_id: Mapped[int | None] = mapped_column(sa.ForeignKey("thread.id"))
    message_id: Mapped[int | None] = mapped_column(sa.ForeignKey("message.id"))
    state: Mapped[NoticeState] = mapped_column(choice(NoticeState))
    attempts: Mapped[int]
    next_at: Mapped[datetime]
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    __table_args__ = (
        sa.UniqueConstraint("message_id", "person_id", "occasion"),
        sa.Index(
            "ix_outbox_due",
            "next_at",
            sqlite_where=sa.text("state IN ('waiting', 'leased')"),
            postgresql_where=sa.text("state IN ('waiting', 'leased')"),
        ),
        sa.Index("ix_outbox_sent", "sent_at"),
    )


_INSERT = Notice.__table__.insert()  # type: ignore[attr-defined]


def tell(tx: Transaction, occasion: Occasion, people: Iterable[int], *, thread: int, message: int) -> None:
    """Queues a notice for each of `people` in the transaction that causes it. A person is told once of an occasion."""
    rows = [
        {
            "key": new_key(),
            "occasion": occasion,
            "person_id": person,
            "thread_id": thread,
            "message_id": message,
            "state": NoticeState.WAITING,
            "attempts": 0,
            "next_at": now(),
            "created_at": now(),
        }
        for person in people
    ]
    if rows:
        tx.session.connection().execute(_INSERT, rows)
        tx.commit.has_notices = True


@dataclass(frozen=True)
class Leased:
    id: int
    key: str
    occasion: Occasion
    email: str
    thread_id: int | None


_DUE = (
    sa.select(Notice.id)
    .where(sa.text("state IN ('waiting', 'leased')"), Notice.next_at <= sa.bindparam("at"))
    .order_by(Notice.next_at)
    .limit(1)
    .with_for_update(skip_locked=True)
)


def lease(session: sa.orm.Session) -> Leased | None:
    """Takes the next due row for two minutes; whoever dies meanwhile loses it to the next worker. None: nothing is due."""
    at = now()
    notice = session.get(Notice, session.scalar(_DUE, {"at": at}) or 0)
    if notice is None:
        return None
    notice.state, notice.next_at = NoticeState.LEASED, at + LEASE
    notice.attempts += 1
    email = session.scalars(sa.select(Person.email).where(Person.id == notice.person_id)).one()
    return Leased(notice.id, notice.key, notice.occasion, email, notice.thread_id)


def send_leased(session: sa.orm.Session, leased: Leased, send: Callable[[Leased], None]) -> None:
    """Sends outside any transaction and marks the row: sent, to be tried again, or dead after the sixth try."""
    try:
        send(leased)
    except OSError:
        notice = session.get_one(Notice, leased.id)
        is_over = notice.attempts > len(BACK_OFF)
        notice.state = NoticeState.DEAD if is_over else NoticeState.WAITING
        notice.next_at = now() + BACK_OFF[min(notice.attempts, len(BACK_OFF)) - 1]
    else:
        notice = session.get_one(Notice, leased.id)
        notice.state, notice.sent_at = NoticeState.SENT, now()


def forget_sent(session: sa.orm.Session) -> int:
    """Deletes rows sent more than 30 days ago. Answers how many."""
    return changed(session, sa.delete(Notice).where(Notice.sent_at < now() - KEPT))
