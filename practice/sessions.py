"""Log-in sessions: a row of ours says who is logged in, since when and until when. The cookie only holds the row's secret."""

import json
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, aliased, mapped_column

from practice.db import BATCH, Actor, Model, changed, db, delete_some, new_key, now, small_write, transaction
from practice.people import AccountStatus, Kind, Patient, Person, Staff, full_name, token_hash
from practice.settings import Practice

IDLE = {Kind.PATIENT: timedelta(minutes=30), Kind.STAFF: timedelta(minutes=15)}
ABSOLUTE = timedelta(hours=12)
SEEN_EVERY = timedelta(minutes=1)  # how often a page view moves the idle end
EXPIRED_KEPT = timedelta(days=1)  # how long a form of an ended session still finds its person


class LoginSession(Model):
    __tablename__ = "login_session"
    id: Mapped[int] = mapped_column(primary_key=True)
    key_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    person_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"), index=True)
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    idle_ends_at: Mapped[datetime]
    ends_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None]  # by log-out or by force: not even a draft is taken from it any more
    address: Mapped[str | None] = mapped_column(sa.String(45))  # from where it was opened
    device: Mapped[str] = mapped_column(sa.String(80), server_default="")  # with what, as its person reads it


def is_logged_on(person: Any, *, at: Any = None) -> sa.ColumnElement[bool]:
    """Whether this person (a column of ids) has a session that lasts now. It ends when the account is disabled or locked.
    `at`: the present as a parameter, where the statement is built once."""
    at = now() if at is None else at
    lasts = LoginSession.ended_at.is_(None), LoginSession.idle_ends_at > at, LoginSession.ends_at > at
    return sa.exists().where(LoginSession.person_id == person, *lasts)


class BoxFilter(Model):
    """What a member of staff searches for. Personal values never stand in an address: the address carries this key."""

    __tablename__ = "box_filter"
    key: Mapped[str] = mapped_column(sa.String(22), primary_key=True)
    session_id: Mapped[int] = mapped_column(sa.ForeignKey("login_session.id"), index=True)
    values: Mapped[str] = mapped_column("filter_values", sa.Text)


@dataclass(frozen=True)
class Visitor:
    """Who is asking, as read once for each request. Satisfies Flask-Login."""

    session_id: int
    address: str | None
    person_id: int
    kind: Kind
    is_admin: bool
    own_patient_id: int | None
    uses_shortcuts: bool
    name: str
    login: str
    dob: Any
    is_matched: bool  # a patient's account has a number of the practice's record
    seen_at: datetime
    idle_ends_at: datetime
    ends_at: datetime
    is_expired: bool
    unread: int

    is_authenticated = True
    is_active = True
    is_anonymous = False

    def get_id(self) -> str:
        return str(self.session_id)

    @property
    def actor(self) -> Actor:
        return Actor(self.person_id, self.name, self.session_id, self.address)

    @property
    def session_ends_at(self) -> datetime:
        return min(self.idle_ends_at, self.ends_at)


# How many of the patient's threads hold an answer not yet opened; by name, because threads are read by nobody down here.
# One that is being sent does not count yet, but the one before it does. Two ranges of one index: the first, which may be long,
# is counted without a look at the threads themselves.
_times = ("hidden_by_patient_at", "last_staff_message_at", "answered_before_at", "patient_read_at", "created_at")
_t = sa.table("thread", sa.column("patient_id", sa.Integer), *(sa.column(name, sa.DateTime) for name in _times)).c
_read_at = sa.func.coalesce(_t.patient_read_at, _t.created_at)
_at = sa.bindparam("now", type_=sa.DateTime)


def _new_ones(*more: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
    theirs = _t.patient_id == Patient.id, _t.hidden_by_patient_at.is_(None), _t.last_staff_message_at > _read_at
    return sa.select(sa.func.count()).where(*theirs, *more).correlate(Patient).scalar_subquery()


_UNREAD = _new_ones(_t.last_staff_message_at <= _at) + _new_ones(_t.last_staff_message_at > _at, _t.answered_before_at > _read_at)
# The person is named twice: of a session opened since PostgreSQL last counted them it believes that its person comes early,
# and walks all persons in their order until there, 9 ms of each page for the last one of 10,000.
_Same = aliased(LoginSession)
_whose = sa.select(_Same.person_id).where(_Same.key_hash == sa.bindparam("key_hash")).scalar_subquery()
_VISITOR = (
    sa.select(
        LoginSession.id.label("session_id"),
        LoginSession.person_id,
        LoginSession.seen_at,
        LoginSession.idle_ends_at,
        LoginSession.ends_at,
        LoginSession.ended_at,
        Person.kind,
        Person.status,
        Person.last_name,
        Person.first_name,
        Staff.is_admin,
        Staff.own_patient_id,
        Staff.uses_shortcuts,
        Staff.login,
        Patient.dob,
        Patient.record_number,
        _UNREAD.label("unread"),
        *(column for column in Practice.__table__.columns if column.name != "id"),
    )
    .select_from(LoginSession)
    .join(Person, sa.and_(Person.id == LoginSession.person_id, Person.id == _whose))
    .join(Practice, Practice.id == 1)
    .outerjoin(Staff, Staff.id == Person.id)
    .outerjoin(Patient, Patient.id == Person.id)
    .where(LoginSession.key_hash == sa.bindparam("key_hash"), LoginSession.ended_at.is_(None))
)


def visitor_with(key: str, *, address: str | None = None) -> tuple[Visitor, Any] | None:
    """Whose session `key` opens, and a row with the practice's columns. None: nobody's, or ended by log-out or by force.

    A session past its idle or absolute end comes back as `is_expired`: it may leave a draft and nothing else.
    """
    at = now()
    row = db.session.connection().execute(_VISITOR, {"key_hash": token_hash(key), "now": at}).first()
    if row is None or row.status != AccountStatus.ACTIVE:
        return None
    ends_at = min(row.idle_ends_at, row.ends_at)
    if at > ends_at + EXPIRED_KEPT:
        return None
    visitor = Visitor(
        session_id=row.session_id,
        address=address,
        person_id=row.person_id,
        kind=row.kind,
        is_admin=bool(row.is_admin),
        own_patient_id=row.own_patient_id,
        uses_shortcuts=bool(row.uses_shortcuts),
        name=full_name(row.last_name, row.first_name),
        login=row.login or "",
        dob=row.dob,
        is_matched=row.record_number is not None,
        seen_at=row.seen_at,
        idle_ends_at=row.idle_ends_at,
        ends_at=row.ends_at,
        is_expired=at >= ends_at,
        unread=row.unread,
    )
    return visitor, row


def seen(visitor: Visitor, *, always: bool = False) -> Visitor:
    """Moves the idle end, at most once a minute; never waits for a lock unless asked to by the person (`always`).

    Answers the visitor with the end that holds now.
    """
    at = now()
    if not always and at - visitor.seen_at < SEEN_EVERY:
        return visitor
    statement = (
        sa.update(LoginSession)
        .where(LoginSession.id == visitor.session_id, LoginSession.ended_at.is_(None))
        .values(seen_at=at, idle_ends_at=at + IDLE[visitor.kind])
    )
    if not small_write(statement, {}, waits=always):
        return visitor
    return replace(visitor, seen_at=at, idle_ends_at=at + IDLE[visitor.kind])


def open_session(person: Person, *, by: Actor, device: str = "") -> str:
    """Logs a person in. The secret goes into the cookie; the table keeps its hash. `device`: with what, in a few words."""
    key = secrets.token_urlsafe(32)
    at = now()
    with transaction(by=by, did="log_in", about=person.key) as tx:
        tx.session.add(
            LoginSession(
                key_hash=token_hash(key),
                person_id=person.id,
                created_at=at,
                seen_at=at,
                idle_ends_at=at + IDLE[person.kind],
                ends_at=at + ABSOLUTE,
                address=by.address,
                device=device[:80],
            )
        )
        if person.kind == Kind.STAFF:
            tx.session.execute(sa.update(Staff).where(Staff.id == person.id).values(last_logon_at=at))
    return key


def end_session(visitor: Visitor) -> None:
    with transaction(by=visitor.actor, did="log_out") as tx:
        tx.session.execute(
            sa.update(LoginSession)
            .where(LoginSession.id == visitor.session_id, LoginSession.ended_at.is_(None))
            .values(ended_at=now())
        )
        if visitor.kind == Kind.STAFF:
            tx.session.execute(sa.update(Staff).where(Staff.id == visitor.person_id).values(last_logout_at=now()))


def end_sessions_of(session: sa.orm.Session, person: int) -> None:
    """Ends all at once: the account was disabled or locked, its role or password changed."""
    session.execute(
        sa.update(LoginSession).where(LoginSession.person_id == person, LoginSession.ended_at.is_(None)).values(ended_at=now())
    )


def keep_filter(visitor: Visitor, values: dict[str, str]) -> str:
    """Keeps what is searched for, for as long as the session lives, and answers the key for the address."""
    key = new_key()
    small_write(
        sa.insert(BoxFilter),
        {"key": key, "session_id": visitor.session_id, "filter_values": json.dumps(values)},
        waits=True,
    )
    return key


def kept_filter(visitor: Visitor, key: str) -> dict[str, str]:
    """The values kept under `key` by this session; none for anybody else's key."""
    kept = db.session.connection().scalar(_KEPT, {"key": key[:22], "session": visitor.session_id})
    return json.loads(kept) if kept else {}


_KEPT = sa.select(BoxFilter.values).where(BoxFilter.key == sa.bindparam("key"), BoxFilter.session_id == sa.bindparam("session"))


def forget_ended(session: sa.orm.Session) -> int:
    """Deletes sessions that ended more than a day ago, with their filters. Answers how many."""
    ended = sa.select(LoginSession.id).where(LoginSession.ends_at < now() - EXPIRED_KEPT).order_by(LoginSession.ends_at)
    old = list(session.scalars(ended.limit(BATCH)))
    if not old:
        return 0
    if (filters := delete_some(session, BoxFilter, BoxFilter.session_id.in_(old))) == BATCH:
        return filters  # theirs are more: the next transaction goes on
    return changed(session, sa.delete(LoginSession).where(LoginSession.id.in_(old)))
