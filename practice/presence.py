"""Who has a thread open and who writes in it: a small row a person and thread, worth nothing 25 seconds after its last sign."""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from practice.db import WRITE, Model, db, delete_some, now, small_write
from practice.people import Person

GONE_AFTER = timedelta(seconds=25)
KEPT = timedelta(hours=1)


class Presence(Model):
    __tablename__ = "presence"
    person_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"), primary_key=True)
    thread_id: Mapped[int] = mapped_column(sa.ForeignKey("thread.id"), primary_key=True)
    is_writing: Mapped[bool]
    at: Mapped[datetime] = mapped_column(index=True)
    __table_args__ = (sa.Index(None, "thread_id", "at"),)


def be_there(person: int, thread: int, *, is_writing: bool) -> None:
    """A sign of life; where the database is busy it is left out: the next one comes soon. Whether the person may see the thread
    was asked before."""
    values = {"person_id": person, "thread_id": thread, "is_writing": is_writing, "at": now()}
    small_write(_sign(db.engines[WRITE].dialect.name), values, waits=False)


@lru_cache(maxsize=2)
def _sign(dialect: str) -> sa.Executable:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    made = insert(Presence)
    newest = {"is_writing": made.excluded.is_writing, "at": made.excluded.at}
    return made.on_conflict_do_update(index_elements=["person_id", "thread_id"], set_=newest)


_OTHERS = (
    sa.select(Person.last_name, Person.first_name, Presence.is_writing)
    .join(Person, Person.id == Presence.person_id)
    .where(Presence.thread_id == sa.bindparam("thread"), Presence.at > sa.bindparam("since"))
    .where(Presence.person_id != sa.bindparam("me"))
    .order_by(Presence.is_writing.desc(), Person.name_key, Person.id)
    .limit(10)
)


def others_in(thread: int, *, me: int) -> list[Any]:
    """Who else has the thread open now, those who write first: names and is_writing; at most 10."""
    values = {"thread": thread, "me": me, "since": now() - GONE_AFTER}
    return list(db.session.connection().execute(_OTHERS, values))


def forget_gone(session: Session) -> int:
    """Deletes what has been worth nothing for an hour. Answers how many."""
    return delete_some(session, Presence, Presence.at < now() - KEPT)
