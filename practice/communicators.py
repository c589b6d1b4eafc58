"""Communicators: who is in charge of which kind of request. The tables and the questions; routing.py decides who receives."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from practice.db import Audit, Model, choice, now
from practice.people import AccountStatus, Person, Staff, fold
from practice.sessions import LoginSession
from practice.settings import RequestType


class Communicator(Model):
    """A title, a type of request and the users in charge: the unit of routing."""

    __tablename__ = "communicator"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(22), unique=True)
    type: Mapped[RequestType] = mapped_column(choice(RequestType))
    title: Mapped[str] = mapped_column(sa.String(80))
    title_key: Mapped[str] = mapped_column(sa.Text)  # folded: titles differ by more than case and blanks
    is_in_use: Mapped[bool]
    help: Mapped[str] = mapped_column(sa.String(200))
    version: Mapped[int] = mapped_column(sa.Integer)
    __table_args__ = (sa.UniqueConstraint("type", "title_key"),)
    __mapper_args__ = {"version_id_col": version}


class CommunicatorFacility(Model):
    """A facility the communicator serves; a communicator without any serves all."""

    __tablename__ = "communicator_facility"
    communicator_id: Mapped[int] = mapped_column(sa.ForeignKey("communicator.id"), primary_key=True)
    facility_id: Mapped[int] = mapped_column(sa.ForeignKey("facility.id"), primary_key=True, index=True)


class Membership(Model):
    """A user in charge, from `since` until `until` (None: still)."""

    __tablename__ = "membership"
    id: Mapped[int] = mapped_column(primary_key=True)
    communicator_id: Mapped[int] = mapped_column(sa.ForeignKey("communicator.id"))
    staff_id: Mapped[int] = mapped_column(sa.ForeignKey("staff.id"))
    since: Mapped[datetime]
    until: Mapped[datetime | None]
    __table_args__ = (
        sa.Index(
            "uq_membership_now",
            "communicator_id",
            "staff_id",
            unique=True,
            sqlite_where=sa.text("until IS NULL"),
            postgresql_where=sa.text("until IS NULL"),
        ),
        sa.Index(None, "staff_id", "until"),
    )


class Audience(Model):
    """A set of communicators that have a thread now, found by its sorted ids ("3,7"). Never changed but for its counters."""

    __tablename__ = "audience"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.Text, unique=True)
    unread: Mapped[int]
    in_box: Mapped[int]


class AudienceCommunicator(Model):
    __tablename__ = "audience_communicator"
    audience_id: Mapped[int] = mapped_column(sa.ForeignKey("audience.id"), primary_key=True)
    communicator_id: Mapped[int] = mapped_column(sa.ForeignKey("communicator.id"), primary_key=True, index=True)


# ---- The one rule of eligibility -----------------------------------------------------------------

ELIGIBLE = (
    sa.select(Membership.communicator_id, Membership.staff_id)
    .join(Person, Person.id == Membership.staff_id)
    .where(Membership.until.is_(None), Person.status == AccountStatus.ACTIVE)
    .subquery("eligible")
)
"""Pairs (communicator_id, staff_id): who sees, answers and is told of what the communicator has. An active user in charge."""


def is_routable() -> sa.ColumnElement[bool]:
    """A condition on Communicator: In Use, and at least one eligible person is there to receive."""
    return sa.and_(Communicator.is_in_use, sa.exists().where(ELIGIBLE.c.communicator_id == Communicator.id))


def serves(facility: int) -> sa.ColumnElement[bool]:
    """A condition on Communicator: it serves this facility, by name or because it serves all."""
    served = sa.select(CommunicatorFacility.facility_id).where(CommunicatorFacility.communicator_id == Communicator.id)
    return sa.or_(sa.literal(facility).in_(served), ~served.exists())


def routable_of(session: Session, kind: RequestType) -> list[Communicator]:
    """The communicators of a type that can receive now, by title."""
    return list(session.scalars(_ROUTABLE, {"kind": kind}))


_ROUTABLE = (
    sa.select(Communicator).where(Communicator.type == sa.bindparam("kind"), is_routable()).order_by(Communicator.title_key)
)


# ---- What a member of staff has ------------------------------------------------------------------


@dataclass(frozen=True)
class Mine:
    """A communicator this person is eligible for."""

    id: int
    key: str
    title: str
    type: RequestType
    is_in_use: bool


@dataclass(frozen=True)
class Shared:
    """An audience with at least one of this person's communicators; `titles` are those of all its communicators."""

    id: int
    type: RequestType
    titles: tuple[str, ...]
    communicators: frozenset[int]
    unread: int
    in_box: int


@dataclass(frozen=True)
class Box:
    """Everything one person may see from the staff side: the threads of these audiences, less their own as a patient."""

    staff: int
    own_patient: int
    mine: tuple[Mine, ...]
    shared: tuple[Shared, ...]

    @property
    def audiences(self) -> list[int]:
        return [audience.id for audience in self.shared]

    def titles_of(self, audience: int | None) -> tuple[str, ...]:
        return next((a.titles for a in self.shared if a.id == audience), ())

    def mine_of(self, audience: int | None) -> list[Mine]:
        """My communicators among those that have the thread: whom I can answer for."""
        has = next((a.communicators for a in self.shared if a.id == audience), frozenset())
        return [m for m in self.mine if m.id in has]


_mine = sa.select(ELIGIBLE.c.communicator_id).where(ELIGIBLE.c.staff_id == sa.bindparam("staff"))
_my_audiences = sa.select(AudienceCommunicator.audience_id).where(AudienceCommunicator.communicator_id.in_(_mine))
_BOX = (
    sa.select(
        Communicator.id,
        Communicator.key,
        Communicator.title,
        Communicator.type,
        Communicator.is_in_use,
        Communicator.id.in_(_mine).label("is_mine"),
        Audience.id.label("audience_id"),
        Audience.unread,
        Audience.in_box,
    )
    .select_from(Communicator)
    .outerjoin(
        AudienceCommunicator,
        sa.and_(AudienceCommunicator.communicator_id == Communicator.id, AudienceCommunicator.audience_id.in_(_my_audiences)),
    )
    .outerjoin(Audience, Audience.id == AudienceCommunicator.audience_id)
    .order_by(Communicator.title_key, Communicator.id)
)


def box_of(session: Session, staff: int, own_patient: int | None) -> Box:
    """The box of a member of staff, in one statement. Listing, opening, counting, searching and answering all go through it."""
    mine: dict[int, Mine] = {}
    shared: dict[int, tuple[RequestType, list[str], list[int], int, int]] = {}
    rows = session.connection().execute(_BOX, {"staff": staff})  # columns only: the session would cost more than the query
    for number, key, title, kind, is_in_use, is_mine, audience, unread, in_box in rows:
        if is_mine:
            mine[number] = Mine(number, key, title, kind, is_in_use)
        if audience is not None:
            _, titles, communicators, _, _ = shared.setdefault(audience, (kind, [], [], unread, in_box))
            titles.append(title)
            communicators.append(number)
    audiences = tuple(
        Shared(audience, kind, tuple(titles), frozenset(communicators), unread, in_box)
        for audience, (kind, titles, communicators, unread, in_box) in shared.items()
    )
    return Box(staff, own_patient or 0, tuple(mine.values()), audiences)


# ---- For the admin -------------------------------------------------------------------------------


@dataclass(frozen=True)
class InCharge:
    id: int
    key: str
    login: str
    name: str
    level: str
    is_active: bool


def in_charge_of(session: Session, communicators: list[int]) -> dict[int, list[InCharge]]:
    """The users in charge of each communicator, by name; disabled ones too, marked."""
    found: dict[int, list[InCharge]] = {c: [] for c in communicators}
    rows = session.execute(
        sa.select(Membership.communicator_id, Person, Staff)
        .join(Person, Person.id == Membership.staff_id)
        .join(Staff, Staff.id == Person.id)
        .where(Membership.communicator_id.in_(communicators), Membership.until.is_(None))
        .order_by(Person.name_key, Person.id)
    )
    for communicator, person, staff in rows:
        is_active = person.status == AccountStatus.ACTIVE
        found[communicator].append(InCharge(person.id, person.key, staff.login, person.name, staff.level, is_active))
    return found


def title_key(title: str) -> str:
    return fold(title)


@dataclass(frozen=True)
class Overview:
    """A communicator as the admin's list and editor show it."""

    id: int
    key: str
    type: RequestType
    title: str
    is_in_use: bool
    version: int
    staff: list[InCharge]

    @property
    def has_somebody(self) -> bool:
        return any(member.is_active for member in self.staff)


def overview(session: Session) -> list[Overview]:
    """All communicators by title, with their users in charge. Two statements."""
    rows = session.scalars(sa.select(Communicator).order_by(Communicator.title_key, Communicator.type)).all()
    staff = in_charge_of(session, [row.id for row in rows])
    return [Overview(r.id, r.key, r.type, r.title, r.is_in_use, r.version, staff[r.id]) for r in rows]


def staff_with_keys(session: Session, keys: list[str]) -> list[InCharge]:
    """The members of staff with these keys, in the order of the keys; unknown ones are left out."""
    rows = session.execute(sa.select(Person, Staff).join(Staff, Staff.id == Person.id).where(Person.key.in_(keys)))
    found = {p.key: InCharge(p.id, p.key, s.login, p.name, s.level, p.status == AccountStatus.ACTIVE) for p, s in rows}
    return [found[key] for key in keys if key in found]


def staff_found(session: Session, words: str, *, limit: int, offset: int = 0) -> tuple[list[Any], int]:
    """Staff whose login or folded name has each of the words in it, by name, with their last log-on; and how many in all."""
    at = now()
    is_logged_on = sa.exists().where(
        LoginSession.person_id == Person.id,
        LoginSession.ended_at.is_(None),
        LoginSession.idle_ends_at > at,
        LoginSession.ends_at > at,
    )
    where = [
        sa.or_(Person.name_key.contains(word, autoescape=True), sa.func.lower(Staff.login).contains(word, autoescape=True))
        for word in fold(words.replace(",", " ")).split()[:8]
    ]
    rows = session.execute(
        sa.select(
            Person.key,
            Person.last_name,
            Person.first_name,
            (Person.status == AccountStatus.ACTIVE).label("is_active"),
            Staff.login,
            Staff.level,
            Staff.last_logon_at,
            Staff.last_logout_at,
            is_logged_on.label("is_logged_on"),
        )
        .join(Staff, Staff.id == Person.id)
        .where(*where)
        .order_by(Person.name_key, Person.id)
        .limit(limit)
        .offset(offset)
    ).all()
    total = session.scalar(sa.select(sa.func.count()).select_from(Staff).join(Person, Person.id == Staff.id).where(*where))
    return list(rows), total or 0


def last_save(session: Session, key: str) -> Any:
    """Who saved this communicator last and when (actor_name, at); None when nobody is known."""
    did = Audit.did.in_(("add_communicator", "save_communicator"))
    return session.execute(
        sa.select(Audit.actor_name, Audit.at).where(did, Audit.about == key).order_by(Audit.id.desc()).limit(1)
    ).first()


def titles_of_audiences(session: Session, audiences: list[int]) -> dict[int, list[str]]:
    """The titles of the communicators of each audience, by title."""
    found: dict[int, list[str]] = {audience: [] for audience in audiences}
    rows = session.execute(
        sa.select(AudienceCommunicator.audience_id, Communicator.title)
        .join(Communicator, Communicator.id == AudienceCommunicator.communicator_id)
        .where(AudienceCommunicator.audience_id.in_(audiences))
        .order_by(Communicator.title_key)
    )
    for audience, title in rows:
        found[audience].append(title)
    return found


def all_routable(session: Session) -> list[Communicator]:
    """Every communicator that can receive now, by type and title."""
    return list(session.scalars(sa.select(Communicator).where(is_routable()).order_by(Communicator.type, Communicator.title_key)))
