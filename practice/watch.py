"""What whoever watches the service is told: how much waits and for how long, as numbers alone.

A fixed number of statements, each bounded or answered by an index over just the rows it counts.
"""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from practice.communicators import Audience
from practice.db import Audit, db, now
from practice.files import Attachment
from practice.outbox import Notice
from practice.sessions import LoginSession
from practice.threads import Thread

MOST = 10_000  # no number is counted further


@dataclass(frozen=True)
class Figure:
    """`value` in what the name ends in (seconds), else a count, which stops at 10,000."""

    name: str
    words: str
    value: float


def figures() -> list[Figure]:
    """All of them, as they are at this moment."""
    at = now()
    connection = db.session.connection()
    row = connection.execute(_AGES, {"at": at}).one()

    def waits(since: datetime | None) -> float:
        return max(0.0, (at - since).total_seconds()) if since else 0.0

    counts = [
        Figure(name, words, connection.scalar(count, {"at": at, "most": MOST}) or 0) for name, words, count in _COUNTS
    ]  # fmt: skip
    return [
        Figure("outbox_oldest_due_seconds", "How long the notice waits that should have left first.", waits(row.due)),
        *counts,
        Figure("unread", "Messages that nobody in charge has received, as the In Boxes count them.", row.unread or 0),
        Figure("audit_seal_age_seconds", "How old the newest sealed row of the audit is.", waits(row.sealed)),
        Figure("audit_unsealed_seconds", "How long the oldest row after it waits for its seal.", waits(row.unsealed)),
    ]


_at = sa.bindparam("at", type_=sa.DateTime)
_seal = sa.table("audit_seal", sa.column("position", sa.Integer), sa.column("audit_id", sa.Integer)).c
_newest = sa.select(_seal.audit_id).order_by(_seal.position.desc()).limit(1).scalar_subquery()
_IS_OPEN = sa.text("state IN ('waiting', 'leased')")  # by these words the index is found
_AGES = sa.select(
    sa.select(Notice.next_at)
    .where(_IS_OPEN, Notice.next_at <= _at)
    .order_by(Notice.next_at)
    .limit(1)
    .scalar_subquery()
    .label("due"),
    sa.select(sa.func.sum(Audience.unread)).scalar_subquery().label("unread"),
    sa.select(Audit.at).where(Audit.id == _newest).scalar_subquery().label("sealed"),
    sa.select(Audit.at)
    .where(Audit.id > sa.func.coalesce(_newest, 0))
    .order_by(Audit.id)
    .limit(1)
    .scalar_subquery()
    .label("unsealed"),
)


def _count(entity: type, *where: sa.ColumnElement[bool] | sa.TextClause) -> sa.Select[int]:
    some = sa.select(sa.literal(1)).select_from(entity).where(*where).limit(sa.bindparam("most")).subquery()
    return sa.select(sa.func.count()).select_from(some)


_lasts = LoginSession.ended_at.is_(None), LoginSession.idle_ends_at > _at, LoginSession.ends_at > _at
_COUNTS = [
    ("outbox_due", "Notices that should have left.", _count(Notice, _IS_OPEN, Notice.next_at <= _at)),
    ("outbox_dead", "Notices given up: see Mails not sent.", _count(Notice, sa.text("state = 'dead'"))),
    ("unrouted", "Conversations that nobody can receive.", _count(Thread, Thread.unrouted_since.is_not(None))),
    ("overdue", "Conversations not answered when it was promised.", _count(Thread, Thread.due_at < _at)),
    ("files_waiting", "Files that wait for the virus scanner.", _count(Attachment, sa.text("state = 'waiting'"))),
    ("sessions", "Log-ins that last now.", _count(LoginSession, *_lasts)),
]
