"""The database: two engines, one kind of transaction, keys and the clock.

Reads run on an engine that cannot write. Every write runs inside `transaction()`, which alone uses the writing engine and
leaves one audit row for each verb. Times are naive UTC everywhere in Python and in the tables.
"""

import hmac
import json
import random
import secrets
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import sqlalchemy as sa
from flask import current_app
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.orm.exc import StaleDataError

from practice.errors import Stale

WRITE = "write"  # the name of the writing engine among the binds


class Base(DeclarativeBase):
    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


db = SQLAlchemy(model_class=Base)
if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model


def new_key() -> str:
    """22 characters of 128 random bits: the only name of a row that appears in addresses."""
    return secrets.token_urlsafe(16)


def choice(kind: type[StrEnum], *, is_checked: bool = True, length: int = 24) -> sa.Enum:
    """A column type for one word of a fixed list, checked by the database too unless the list still grows."""
    return sa.Enum(
        kind, native_enum=False, length=length, create_constraint=is_checked, values_callable=lambda e: [m.value for m in e]
    )


def files_dir() -> Path:
    """The folder of what is stored outside the database."""
    return Path(current_app.config["FILES_DIR"])


def clamd_socket() -> str:
    """Where the virus scanner answers; empty where there is none."""
    return str(current_app.config["CLAMD_SOCKET"])


def keys_for(purpose: str) -> list[bytes]:
    """Keys of 32 bytes for one purpose alone, made of SECRET_KEY and of the one before it: the first is for what is made now."""
    secret_keys = current_app.config["SECRET_KEY"], *(current_app.config.get("SECRET_KEY_FALLBACKS") or ())
    return [hmac.digest(secret.encode(), purpose.encode(), "sha256") for secret in secret_keys]


# ---- The clock -----------------------------------------------------------------------------------

_clock: ContextVar[datetime | None] = ContextVar("clock", default=None)


def now() -> datetime:
    """The present in UTC, naive. The demo practice and the tests may set it (`clock_at`)."""
    return _clock.get() or datetime.now(UTC).replace(tzinfo=None)


@contextmanager
def clock_at(moment: datetime) -> Iterator[None]:
    """What happens inside happens at `moment` (naive UTC)."""
    token = _clock.set(moment)
    try:
        yield
    finally:
        _clock.reset(token)


# ---- Who acts ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Actor:
    """Who does something: a person in a session, or one of the named others below (45 CFR 164.312 asks for both)."""

    person: int | None
    name: str = ""
    session: int | None = None
    address: str | None = None  # of the network, where there is one


SYSTEM = Actor(None, "system")
COMMAND = Actor(None, "command")
ANONYMOUS = Actor(None, "anonymous")


class Audit(Model):
    """One verb that was done, or refused. Only ever inserted: triggers refuse the rest. Sealed by the worker (audit.py)."""

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    act: Mapped[str] = mapped_column(sa.String(22))  # the same for all verbs of one commit
    actor_id: Mapped[int | None] = mapped_column(sa.ForeignKey("person.id"))
    actor_name: Mapped[str] = mapped_column(sa.String(202))  # as it was then
    session_id: Mapped[int | None]
    did: Mapped[str] = mapped_column(sa.String(40))
    about: Mapped[str] = mapped_column(sa.String(80))
    patient_id: Mapped[int | None]
    details: Mapped[str] = mapped_column(sa.Text)
    address: Mapped[str | None] = mapped_column(sa.String(45))  # from where; NULL for commands, the system and older rows
    __table_args__ = (  # by time: the clock of a row may differ from the order of ids, and a period is asked for by time
        sa.Index(None, "at", "id"),
        sa.Index(None, "actor_id", "at", "id"),
        sa.Index(None, "patient_id", "at", "id"),
        sa.Index(None, "did", "at", "id"),
        sa.Index(None, "about", "at", "id"),
    )


# ---- Transactions --------------------------------------------------------------------------------


@dataclass
class _Commit:
    """What all verbs of one BEGIN and COMMIT share."""

    session: Session
    act: str
    verbs: "list[Transaction]" = field(default_factory=list)
    unread: Counter[int] = field(default_factory=Counter)
    in_box: Counter[int] = field(default_factory=Counter)
    touched: set[int] = field(default_factory=set)
    has_notices: bool = False


@dataclass
class Transaction:
    """One verb at work. `about`, `patient` and `details` may be set while it runs; they go into its audit row."""

    commit: _Commit
    by: Actor
    did: str
    about: str = ""
    patient: int | None = None
    details: dict[str, Any] = field(default_factory=dict)
    is_silent: bool = False  # it changed nothing that is worth an audit row

    @property
    def session(self) -> Session:
        return self.commit.session

    @property
    def unread(self) -> Counter[int]:
        """Changes of the audiences' unread numbers by audience id; written last before COMMIT."""
        return self.commit.unread

    @property
    def in_box(self) -> Counter[int]:
        """The same for the number of threads in the box."""
        return self.commit.in_box

    @property
    def touched(self) -> set[int]:
        """Audiences of which something changed that their lists show: whoever has them open asks for news."""
        return self.commit.touched

    def note_change(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        """Puts the values that differ, by field name, into the audit row: `before` and `after`. Equal ones are left out."""
        changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        for side, values in (("before", before), ("after", after)):
            self.details[side] = self.details.get(side, {}) | {name: values[name] for name in changed if name in values}

    def audit_row(self) -> dict[str, Any]:
        return {
            "at": now(),
            "act": self.commit.act,
            "actor_id": self.by.person,
            "actor_name": self.by.name,
            "session_id": self.by.session,
            "did": self.did,
            "about": self.about,
            "patient_id": self.patient,
            "details": json.dumps(self.details, ensure_ascii=False, sort_keys=True, default=str) if self.details else "",
            "address": self.by.address,
        }


_current: ContextVar[_Commit | None] = ContextVar("commit", default=None)


@contextmanager
def transaction(*, by: Actor, did: str, about: str = "", patient: int | None = None) -> Iterator[Transaction]:
    """All or nothing, with its audit row. Inside another it joins: one BEGIN, one COMMIT, a row for each verb.

    Ends the read first: entities loaded before keep the values that were seen. At the end it writes, in this order: audit
    rows, NOTIFY, counters in id order (the row every sender touches is locked last and shortest), COMMIT.
    Raises Stale when a row's version is no longer the one that was read.
    """
    outer = _current.get()
    if outer is not None:
        verb = Transaction(outer, by, did, about, patient)
        outer.verbs.append(verb)
        yield verb
        return
    db.session.close()
    with Session(db.engines[WRITE], expire_on_commit=False, autoflush=False) as session:
        commit = _Commit(session, new_key())
        verb = Transaction(commit, by, did, about, patient)
        commit.verbs.append(verb)
        token = _current.set(commit)
        try:
            yield verb
            session.flush()
            _finish(commit)
            session.commit()
        except StaleDataError as error:
            raise Stale("changed by somebody else") from error
        finally:
            _current.reset(token)


_AUDIT = Audit.__table__.insert()  # type: ignore[attr-defined]
_COUNT = sa.text("UPDATE audience SET unread = unread + :unread, in_box = in_box + :in_box, version = version + 1 WHERE id = :id")


def _finish(commit: _Commit) -> None:
    session = commit.session
    rows = [verb.audit_row() for verb in commit.verbs if not verb.is_silent]
    if rows:
        session.connection().execute(_AUDIT, rows)
    if commit.has_notices and session.get_bind().dialect.name == "postgresql":
        session.execute(sa.text("NOTIFY outbox"))
    counted = commit.unread.keys() | commit.in_box.keys()
    for audience in sorted(counted | commit.touched):
        session.execute(_COUNT, {"unread": commit.unread[audience], "in_box": commit.in_box[audience], "id": audience})


def changed(session: Session, statement: sa.Executable) -> int:
    """Runs an UPDATE or DELETE; answers how many rows it met."""
    return cast("sa.CursorResult[Any]", session.execute(statement)).rowcount


BATCH = 500  # so many rows one transaction deletes of what is over: nobody waits long for it


def delete_some(session: Session, table: type[Base], *over: sa.ColumnElement[bool] | sa.TextClause) -> int:
    """Deletes up to 500 rows of which this is true. Answers how many."""
    key = sa.inspect(table).primary_key
    whole = sa.tuple_(*key) if len(key) > 1 else key[0]
    some = sa.delete(table).where(whole.in_(sa.select(*key).where(*over).limit(BATCH)))
    return changed(session, some.execution_options(synchronize_session=False))


COUNTED = 1000  # one more means "more than"
MANY = 100  # a number beside a word of the menu: one more means "100+"
MANY_AND_ONE = sa.literal_column(str(MANY + 1), sa.Integer)  # no parameter: PostgreSQL would plan its statement anew each time


def counted(session: Session, statement: sa.GenerativeSelect, *, at_most: int = COUNTED) -> int:
    """How many rows a SELECT has; `at_most` + 1 where there are more than `at_most`."""
    some = statement.limit(at_most + 1).subquery()
    return session.scalar(sa.select(sa.func.count()).select_from(some)) or 0


def page_within(page: int, total: int, size: int) -> int:
    """The number of a page, from 1; of the last one where there are not so many."""
    return max(1, min(page, -(-total // size)))


P = ParamSpec("P")
R = TypeVar("R")


def again_if_doubled(verb: Callable[P, R]) -> Callable[P, R]:
    """Two equal forms at the same instant: the loser of the unique key runs once more and finds what the winner stored."""

    @wraps(verb)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if _current.get() is not None:
            return verb(*args, **kwargs)
        try:
            return verb(*args, **kwargs)
        except sa.exc.IntegrityError:
            return verb(*args, **kwargs)

    return run


def small_write(statement: sa.Executable, values: dict[str, Any], *, waits: bool) -> bool:
    """One of the rows a GET may leave (last seen, read mark, read log), in a transaction of its own.

    `waits=False` gives up at once when somebody holds the lock and answers False: the next request will do it.
    """
    db.session.close()
    engine = db.engines[WRITE]
    try:
        with engine.connect() as connection:
            connection.info[PATIENCE] = PATIENT if waits else 0
            if not waits and engine.dialect.name == "postgresql":
                connection.exec_driver_sql("SET LOCAL lock_timeout='1ms'")
            try:
                connection.execute(statement, values)
                connection.commit()
            finally:
                connection.info.pop(PATIENCE, None)
    except (sa.exc.OperationalError, sa.exc.InternalError, sa.exc.TimeoutError):  # locked, may only be read, no connection left
        if waits:
            raise
        return False
    return True


# ---- Engines (the settings and why: security notes in docs/decisions/0003) -----------------------


def engine_options(url: str, *, read_only: bool) -> dict[str, Any]:
    """Flask-SQLAlchemy's options of one engine."""
    if url.startswith("sqlite"):
        return {"url": url, "hide_parameters": True, "connect_args": {"timeout": 5}}
    options = "-c statement_timeout=5000 -c lock_timeout=3000 -c idle_in_transaction_session_timeout=10000"
    # The default takes a page out of order for four times one in order, as on a turning disk: for a patient with thousands of
    # messages everybody's were read instead.
    options += " -c random_page_cost=1.1 -c jit=off"
    if read_only:
        options += " -c default_transaction_read_only=on"
    found: dict[str, Any] = {
        "url": url,
        "hide_parameters": True,  # what people write does not belong into a log
        "pool_pre_ping": True,
        "pool_timeout": 2,  # a request may wait for a connection up to four times, and is answered within 10 s all the same
        "connect_args": {"connect_timeout": 3, "options": options},
    }
    return found | ({"isolation_level": "AUTOCOMMIT"} if read_only else {})


def set_up_engines() -> None:
    """To be called once in an application context, before the first query."""
    for bind, engine in db.engines.items():
        if engine.dialect.name == "sqlite":
            _set_up_sqlite(engine, read_only=bind != WRITE)


def _set_up_sqlite(engine: sa.Engine, *, read_only: bool) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # the driver's own BEGIN would come too late and without IMMEDIATE
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "busy_timeout=5000",
            "foreign_keys=ON",
            "trusted_schema=OFF",
        ):
            connection.execute(f"PRAGMA {pragma}")
        if read_only:
            connection.execute("PRAGMA query_only=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        if read_only:  # by the driver itself, which is quicker: it takes no lock, so it cannot be refused
            connection.connection.driver_connection.execute("BEGIN")  # type: ignore[union-attr]
        else:
            _begin_writing(connection)


PATIENCE, PATIENT = "patience", 5  # in a connection's info: seconds that it waits for the one writer of SQLite


def _begin_writing(connection: sa.Connection) -> None:
    """Asks for the lock every few milliseconds. SQLite itself asks the less often the longer it has waited: of eight writers
    some waited for 3 s."""
    driver = cast("sqlite3.Connection", connection.connection.driver_connection)
    until = time.monotonic() + connection.info.get(PATIENCE, PATIENT)
    driver.execute("PRAGMA busy_timeout=0")
    try:
        while time.monotonic() < until:
            try:
                driver.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    break
            time.sleep(random.uniform(0.001, 0.01))
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # for its error
    finally:
        driver.execute("PRAGMA busy_timeout=5000")


# ---- What nobody may change, not even by a mistake of ours ---------------------------------------

NEVER_CHANGED = ("audit", "message")


def triggers(dialect: str) -> list[str]:
    """DDL that makes the database refuse an UPDATE or DELETE of what is only ever inserted."""
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb.upper()} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} rows are never changed'); END"
            for table in NEVER_CHANGED
            for verb in ("update", "delete")
        ]
    refuse = (
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% rows are never changed', TG_TABLE_NAME; END $$"
    )
    return [refuse] + [
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        for table in NEVER_CHANGED
    ]
