"""Communicators: who is in charge of which kind of request. The tables and the questions; routing.py decides who receives."""

import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from practice.absences import Absence, last_moment
from practice.db import Audit, Model, choice, now, page_within
from practice.people import AccountStatus, Kind, Person, Staff, fold, full_name, title_key
from practice.sessions import is_logged_on
from practice.settings import Facility, RequestType


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
    """A set of communicators that have a thread now, found by its sorted ids ("3,7"). Only its numbers change."""

    __tablename__ = "audience"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.Text, unique=True)
    unread: Mapped[int]
    in_box: Mapped[int]
    version: Mapped[int] = mapped_column(server_default="0")  # grows with every change of what it has: see Transaction.touched


class AudienceCommunicator(Model):
    __tablename__ = "audience_communicator"
    audience_id: Mapped[int] = mapped_column(sa.ForeignKey("audience.id"), primary_key=True)
    communicator_id: Mapped[int] = mapped_column(sa.ForeignKey("communicator.id"), primary_key=True, index=True)


# ---- The one rule of eligibility -----------------------------------------------------------------


@dataclass(frozen=True)
class Supposed:
    """What is taken to be so while a question is asked; ids of staff, 0: nobody."""

    disabled: int = 0
    absent: int = 0


_supposed: ContextVar[Supposed] = ContextVar("supposed", default=Supposed())  # noqa: B039


@contextmanager
def supposing(*, disabled: int = 0, absent: int = 0) -> Iterator[None]:
    """Every question asked inside is answered as if this member of staff were disabled, or absent without a deputy."""
    token = _supposed.set(Supposed(disabled, absent))
    try:
        yield
    finally:
        _supposed.reset(token)


# Filled in when a statement runs, so that nobody who asks can forget them.
_AT = sa.bindparam("eligible_at", callable_=now, type_=sa.DateTime)
_DISABLED = sa.bindparam("supposed_disabled", callable_=lambda: _supposed.get().disabled, type_=sa.Integer)
_ABSENT = sa.bindparam("supposed_absent", callable_=lambda: _supposed.get().absent, type_=sa.Integer)
_Away, _Deputy = aliased(Absence, name="away"), aliased(Person, name="deputy")


# Not as parameters: with them PostgreSQL takes a plan for any value to be dearer, and plans anew each time, for longer than it
# then looks.
ONE = sa.literal_column("1", sa.Integer)
_ACTIVE = sa.literal_column(f"'{AccountStatus.ACTIVE}'", Person.status.type)


def _is_active(person: Any) -> sa.ColumnElement[bool]:
    return sa.and_(person.status == _ACTIVE, person.id != _DISABLED)


def _lasts(absence: Any) -> sa.ColumnElement[bool]:
    return sa.and_(absence.starts_at <= _AT, absence.ends_at > _AT)


def _is_away(staff: Any) -> sa.ColumnElement[bool]:
    return sa.or_(staff == _ABSENT, sa.exists().where(_Away.staff_id == staff, _lasts(_Away)))


_MEMBERS = (
    sa.select(
        Membership.communicator_id, Membership.staff_id, sa.case((_is_away(Membership.staff_id), 0), else_=1).label("is_present")
    )
    .join(Person, Person.id == Membership.staff_id)
    .where(Membership.until.is_(None), _is_active(Person))
)
_DEPUTIES = (
    sa.select(Membership.communicator_id, Absence.deputy_id.label("staff_id"), sa.literal(1).label("is_present"))
    .join(Absence, Absence.staff_id == Membership.staff_id)
    .join(Person, Person.id == Membership.staff_id)
    .join(_Deputy, _Deputy.id == Absence.deputy_id)
    .where(Membership.until.is_(None), _is_active(Person), _lasts(Absence))
    .where(_is_active(_Deputy), sa.not_(_is_away(Absence.deputy_id)))
)


def eligible(*, communicator: Any = None, staff: Any = None) -> Any:
    """Rows (communicator_id, staff_id, is_present 1 or 0): who sees, answers and is told of what the communicator has.

    Active users in charge, and the deputies of those absent now; a deputy is one step, active and present. Limited to a
    communicator or a member of staff, or to those a subselect names; written so that each branch is limited by an index.
    """

    def limited(branch: Any, person: Any) -> Any:
        for column, wanted in ((Membership.communicator_id, communicator), (person, staff)):
            if wanted is not None:
                branch = branch.where(column.in_(wanted) if isinstance(wanted, sa.SelectBase | list) else column == wanted)
        return branch

    return sa.union_all(limited(_MEMBERS, Membership.staff_id), limited(_DEPUTIES, Absence.deputy_id))


def is_routable() -> sa.ColumnElement[bool]:
    """A condition on Communicator: In Use, and at least one eligible person is there to receive."""
    here = Membership.communicator_id == Communicator.id
    members = _MEMBERS.where(here, sa.not_(_is_away(Membership.staff_id)))
    # Asked for the first of them: by EXISTS PostgreSQL would look up the people of all communicators before it begins.
    first = (one.with_only_columns(Membership.staff_id).limit(ONE) for one in (members, _DEPUTIES.where(here)))
    return sa.and_(Communicator.is_in_use, sa.or_(*(one.correlate(Communicator).scalar_subquery().is_not(None) for one in first)))


def standing_for(session: Session, members: Iterable[int]) -> dict[int, bool]:
    """Who would be eligible by these members of staff being in charge, and whether present: themselves, or their deputies."""
    ids = list(members)
    selves = sa.select(Person.id, sa.case((_is_away(Person.id), 0), else_=1)).where(Person.id.in_(ids), _is_active(Person))
    deputies = (
        sa.select(Absence.deputy_id, sa.literal(1))
        .join(Person, Person.id == Absence.staff_id)
        .join(_Deputy, _Deputy.id == Absence.deputy_id)
        .where(Absence.staff_id.in_(ids), _is_active(Person), _lasts(Absence), _is_active(_Deputy))
        .where(sa.not_(_is_away(Absence.deputy_id)))
    )
    found: dict[int, bool] = {}
    for staff, is_present in session.execute(sa.union_all(selves, deputies)):
        found[staff] = found.get(staff, False) or bool(is_present)
    return found


def instead_of(session: Session, staff: int) -> dict[int, list[str]]:
    """For whom this member of staff stands in now: names by the id of the communicator."""
    deputising = _DEPUTIES.where(Absence.deputy_id == staff).with_only_columns(
        Membership.communicator_id, Person.last_name, Person.first_name
    )
    found: dict[int, list[str]] = {}
    for communicator, last, first in session.execute(deputising.order_by(Person.name_key)):
        found.setdefault(communicator, []).append(full_name(last, first))
    return found


@dataclass(frozen=True)
class Routable:
    """A communicator that can receive now; `facilities` (ids) that it serves, none: all."""

    id: int
    key: str
    type: RequestType
    title: str
    help: str
    facilities: frozenset[int]

    def serves(self, facility: int | None) -> bool:
        return facility is None or not self.facilities or facility in self.facilities


def routable_of(session: Session, kind: RequestType) -> list[Routable]:
    """The communicators of a type that can receive now, by title. One statement."""
    return _routable(session, _ROUTABLE_OF, {"kind": kind})


def all_routable(session: Session) -> list[Routable]:
    """Every communicator that can receive now, by type and title. One statement."""
    return _routable(session, _ROUTABLE, {})


def _routable(session: Session, statement: Any, values: dict[str, Any]) -> list[Routable]:
    found: dict[int, tuple[Any, set[int]]] = {}
    for row in session.connection().execute(statement, values):
        served = found.setdefault(row.id, (row, set()))[1]
        if row.facility_id is not None:
            served.add(row.facility_id)
    return [Routable(r.id, r.key, r.type, r.title, r.help, frozenset(served)) for r, served in found.values()]


_ROUTABLE = (
    sa.select(
        Communicator.id,
        Communicator.key,
        Communicator.type,
        Communicator.title,
        Communicator.help,
        CommunicatorFacility.facility_id,
    )
    .outerjoin(CommunicatorFacility, CommunicatorFacility.communicator_id == Communicator.id)
    .where(is_routable())
    .order_by(Communicator.type, Communicator.title_key, Communicator.id)
)
_ROUTABLE_OF = _ROUTABLE.where(Communicator.type == sa.bindparam("kind"))


# ---- What a member of staff has ------------------------------------------------------------------


class Mine(NamedTuple):
    """A communicator this person is eligible for."""

    id: int
    key: str
    title: str
    type: RequestType
    is_in_use: bool
    instead_of: tuple[str, ...] = ()  # names of those absent now for whom this person stands in


class Shared(NamedTuple):
    """An audience with at least one of this person's communicators; `titles` are those of all its communicators."""

    id: int
    type: RequestType
    titles: tuple[str, ...]
    communicators: frozenset[int]
    unread: int
    in_box: int
    version: int  # another one as soon as something changed that a list shows


@dataclass(frozen=True)
class Box:
    """Everything one person may see from the staff side: the threads of these audiences, less their own as a patient."""

    staff: int
    own_patient: int
    mine: tuple[Mine, ...]
    shared: tuple[Shared, ...]
    is_away: bool = False  # absent now; asked only of whoever is in charge of something

    @property
    def audiences(self) -> list[int]:
        return [audience.id for audience in self.shared]

    def titles_of(self, audience: int | None) -> tuple[str, ...]:
        return next((a.titles for a in self.shared if a.id == audience), ())

    def mine_of(self, audience: int | None) -> list[Mine]:
        """My communicators among those that have the thread: whom I can answer for."""
        has = next((a.communicators for a in self.shared if a.id == audience), frozenset())
        return [m for m in self.mine if m.id in has]


_mine = sa.select(eligible(staff=sa.bindparam("staff")).cte("mine").c.communicator_id)
_my_audiences = sa.select(AudienceCommunicator.audience_id).where(AudienceCommunicator.communicator_id.in_(_mine))
_no_audience = sa.null().cast(sa.Integer).label("audience_id")
_shown = sa.union_all(
    _mine.add_columns(_no_audience),
    sa.select(AudienceCommunicator.communicator_id, AudienceCommunicator.audience_id).where(
        AudienceCommunicator.audience_id.in_(_my_audiences)
    ),
).subquery("shown")
_BOX = (
    sa.select(
        Communicator.id,
        Communicator.key,
        Communicator.title,
        Communicator.type,
        Communicator.is_in_use,
        _shown.c.audience_id,
        Audience.unread,
        Audience.in_box,
        Audience.version,
        sa.exists().where(Absence.deputy_id == sa.bindparam("staff"), _lasts(Absence)).label("is_deputy"),
        _is_away(sa.bindparam("staff", type_=sa.Integer)).label("is_away"),
    )
    .select_from(_shown)
    .join(Communicator, Communicator.id == _shown.c.communicator_id)
    .outerjoin(Audience, Audience.id == _shown.c.audience_id)
    .order_by(Communicator.title_key, Communicator.id)
)
"""Each communicator of the person's once without an audience; then each audience of theirs with each of its communicators."""


def box_of(session: Session, staff: int, own_patient: int | None) -> Box:
    """The box of a member of staff, in one statement. Listing, opening, counting, searching and answering all go through it."""
    mine: dict[int, Mine] = {}
    shared: dict[int, tuple[RequestType, list[str], list[int], int, int, int]] = {}
    rows = session.connection().execute(_BOX, {"staff": staff})  # columns only: the session would cost more than the query
    stands_in = is_absent = False
    for number, key, title, kind, is_in_use, audience, unread, in_box, version, is_deputy, is_away in rows:
        stands_in, is_absent = bool(is_deputy), bool(is_away)  # the same in every row
        if audience is None:
            mine[number] = Mine(number, key, title, kind, is_in_use)
        elif audience in shared:
            shared[audience][1].append(title)
            shared[audience][2].append(number)
        else:
            shared[audience] = kind, [title], [number], unread, in_box, version
    audiences = tuple(
        Shared(audience, kind, tuple(titles), frozenset(communicators), *counted)
        for audience, (kind, titles, communicators, *counted) in shared.items()
    )
    if stands_in:
        whom = instead_of(session, staff)
        mine = {number: m._replace(instead_of=tuple(whom.get(number, ()))) for number, m in mine.items()}
    return Box(staff, own_patient or 0, tuple(mine.values()), audiences, is_absent)


# ---- For the admin -------------------------------------------------------------------------------


@dataclass(frozen=True)
class InCharge:
    id: int
    key: str
    login: str
    name: str
    level: str
    is_active: bool
    away_until: datetime | None = None  # the last moment of an absence that lasts now
    deputy: str = ""  # who stands in meanwhile, by name


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


def staff_with_keys(session: Session, keys: list[str]) -> list[InCharge]:
    """The members of staff with these keys, in the order of the keys, with their absence now; unknown ones are left out."""
    rows = session.execute(
        sa.select(
            Person.id,
            Person.key,
            Staff.login,
            Person.last_name,
            Person.first_name,
            Staff.level,
            Person.status,
            Absence.starts_at,
            Absence.ends_at,
            _Deputy.last_name.label("deputy_last"),
            _Deputy.first_name.label("deputy_first"),
        )
        .join(Staff, Staff.id == Person.id)
        .outerjoin(Absence, sa.and_(Absence.staff_id == Person.id, _lasts(Absence)))
        .outerjoin(_Deputy, _Deputy.id == Absence.deputy_id)
        .where(Person.key.in_(keys))
    )
    found = {
        row.key: InCharge(
            row.id,
            row.key,
            row.login,
            full_name(row.last_name, row.first_name),
            row.level,
            row.status == AccountStatus.ACTIVE,
            last_moment(row.starts_at, row.ends_at) if row.ends_at else None,
            full_name(row.deputy_last or "", row.deputy_first or ""),
        )
        for row in rows
    }
    return [found[key] for key in keys if key in found]


@dataclass(frozen=True)
class Overview:
    """A communicator as the admin's editor shows it."""

    id: int
    key: str
    type: RequestType
    title: str
    is_in_use: bool
    help: str
    version: int
    staff: list[InCharge]
    facilities: list[Facility]  # those it serves, by name; none: all


def communicator_with(session: Session, key: str) -> Overview | None:
    """The communicator with this key, its users in charge and its facilities; None: there is none. Three statements."""
    row = session.scalar(sa.select(Communicator).where(Communicator.key == key))
    if row is None:
        return None
    served = (
        sa.select(Facility)
        .join(CommunicatorFacility, CommunicatorFacility.facility_id == Facility.id)
        .where(CommunicatorFacility.communicator_id == row.id)
        .order_by(Facility.name)
    )
    staff, facilities = in_charge_of(session, [row.id])[row.id], list(session.scalars(served))
    return Overview(row.id, row.key, row.type, row.title, row.is_in_use, row.help, row.version, staff, facilities)


def facilities_to_choose(session: Session, keys: Iterable[str]) -> list[Facility]:
    """The facilities in use and those with these keys, by name."""
    wanted = sa.or_(Facility.is_in_use, Facility.key.in_(list(keys)))
    return list(session.scalars(sa.select(Facility).where(wanted).order_by(Facility.name)))


def last_save(session: Session, key: str) -> Any:
    """Who saved this communicator last and when (actor_name, at); None when nobody is known."""
    did = Audit.did.in_(("add_communicator", "save_communicator"))
    return session.execute(
        sa.select(Audit.actor_name, Audit.at).where(did, Audit.about == key).order_by(Audit.id.desc()).limit(1)
    ).first()


ALIKE = 0.85  # how much of two titles must be the same, in the same order, for them to look alike


def near_twins(session: Session, title: str, kind: RequestType, *, key: str | None) -> list[Any]:
    """Other communicators (key, title, type), of any type, whose title looks like this one: but for a letter, an s, a dot.

    Titles that differ by a number are meant to differ: *Room 1* and *Room 2*. The same title in the same type is no twin,
    it is refused by the save.
    """
    itself = sa.and_(Communicator.type == kind, Communicator.title_key == title_key(title))
    others = session.execute(
        sa.select(Communicator.key, Communicator.title, Communicator.type, Communicator.title_key)
        .where(Communicator.key != (key or ""), sa.not_(itself))
        .order_by(Communicator.title_key, Communicator.type)
    )
    signs, digits = _signs_and_digits(title_key(title))
    matcher = SequenceMatcher(b=signs, autojunk=False)
    found = []
    for other in others:
        its_signs, its_digits = _signs_and_digits(other.title_key)
        matcher.set_seq1(its_signs)
        if its_digits == digits and abs(len(its_signs) - len(signs)) <= 1 and matcher.ratio() >= ALIKE:
            found.append(other)
    return found


def _signs_and_digits(folded: str) -> tuple[str, str]:
    """Of a folded title (which may be much longer than its 80 characters): without blanks and punctuation, and its numbers."""
    digits = "".join(c for c in folded if c.isdigit())
    return "".join(c for c in folded if unicodedata.category(c)[0] not in "PZ" and not c.isdigit())[:80], digits


# ---- The admin's list ----------------------------------------------------------------------------

NAMES = 10  # of the users in charge of a communicator that its row names
SORTS = {
    "title": (Communicator.title_key, Communicator.type),
    "type": (Communicator.type, Communicator.title_key),
    "status": (Communicator.is_in_use, Communicator.title_key),
}


@dataclass(frozen=True)
class Listed:
    """A communicator as the admin's list shows it; `names`: the first of its active users in charge, who are `active` in all."""

    key: str
    type: RequestType
    title: str
    is_in_use: bool
    names: list[str]
    active: int


@dataclass(frozen=True)
class Part:
    """A page of a list: its rows, how many there are in all, and the number of the page (the last one, if there are fewer)."""

    rows: list[Any]
    total: int
    number: int


def communicators_listed(
    session: Session, *, kind: RequestType | None, words: str, sort: str, is_descending: bool, page: int, size: int
) -> Part:
    """The communicators of a type whose title, or one of whose users in charge, has each of the words in it. Three statements.

    `sort`: one of SORTS; `page`: from 1.
    """
    where = [Communicator.type == kind] if kind else []
    if folded := words_of(words):
        member = (
            sa.select(Membership.communicator_id)
            .join(Person, Person.id == Membership.staff_id)
            .join(Staff, Staff.id == Person.id)
            .where(Membership.until.is_(None), *_names_with(folded))
        )
        titled = sa.and_(*(Communicator.title_key.contains(word, autoescape=True) for word in folded))
        where.append(sa.or_(titled, Communicator.id.in_(member)))
    total = session.scalar(sa.select(sa.func.count()).select_from(Communicator).where(*where)) or 0
    number = page_within(page, total, size)
    order = [column.desc() if is_descending else column for column in SORTS[sort]]
    rows = session.scalars(
        sa.select(Communicator).where(*where).order_by(*order, Communicator.id).limit(size).offset((number - 1) * size)
    ).all()
    names = _first_names(session, [row.id for row in rows])
    return Part([Listed(r.key, r.type, r.title, r.is_in_use, *names.get(r.id, ([], 0))) for r in rows], total, number)


def _first_names(session: Session, communicators: list[int]) -> dict[int, tuple[list[str], int]]:
    """The names of the first active users in charge of each communicator, and how many there are."""
    of_each = Membership.communicator_id
    ranked = (
        sa.select(
            Membership.communicator_id,
            Person.last_name,
            Person.first_name,
            sa.func.row_number().over(partition_by=of_each, order_by=(Person.name_key, Person.id)).label("place"),
            sa.func.count().over(partition_by=of_each).label("active"),
        )
        .join(Person, Person.id == Membership.staff_id)
        .where(Membership.communicator_id.in_(communicators), Membership.until.is_(None))
        .where(Person.status == AccountStatus.ACTIVE)
        .subquery()
    )
    found: dict[int, tuple[list[str], int]] = {}
    rows = session.execute(sa.select(ranked).where(ranked.c.place <= NAMES).order_by(ranked.c.communicator_id, ranked.c.place))
    for communicator, last, first, _, active in rows:
        found.setdefault(communicator, ([], active))[0].append(full_name(last, first))
    return found


# ---- Select User ---------------------------------------------------------------------------------


def words_of(text: str) -> list[str]:
    """What is searched for: at most eight folded words."""
    return fold(text.replace(",", " ")).split()[:8]


def _names_with(words: list[str]) -> list[sa.ColumnElement[bool]]:
    """Conditions on Person and Staff: the name or the login has each of the words in it."""
    return [
        sa.or_(Person.name_key.contains(word, autoescape=True), Staff.login_key.contains(word, autoescape=True)) for word in words
    ]


TERMS = {"level": Staff.level, "institution": Staff.institution, "department": Staff.department}


@dataclass(frozen=True)
class Sought:
    """Which staff are searched for; an empty word asks for nothing."""

    words: str = ""
    level: str = ""
    institution: str = ""
    department: str = ""
    is_logged_on: bool = False


def terms_in_use(session: Session) -> dict[str, list[str]]:
    """What staff are called now, by kind of term (TERMS): the choices of a search. One statement."""
    each = [sa.select(sa.literal(kind).label("kind"), column.label("name")).where(column != "") for kind, column in TERMS.items()]
    found: dict[str, list[str]] = {kind: [] for kind in TERMS}
    for kind, name in session.execute(sa.union(*each)):
        found[kind].append(name)
    return {kind: sorted(names, key=fold) for kind, names in found.items()}


def staff_found(session: Session, sought: Sought, *, page: int, size: int) -> Part:
    """A page of the staff that are searched for, by name, with their last log-on. Two statements."""
    where = [Person.kind == Kind.STAFF, *_names_with(words_of(sought.words))]
    where += [column == getattr(sought, kind) for kind, column in TERMS.items() if getattr(sought, kind)]
    if sought.is_logged_on:
        where += [is_logged_on(Person.id), Person.status == AccountStatus.ACTIVE]
    total = session.scalar(sa.select(sa.func.count()).select_from(Person).join(Staff, Staff.id == Person.id).where(*where)) or 0
    number = page_within(page, total, size)
    rows = session.execute(
        sa.select(
            Person.key,
            Person.last_name,
            Person.first_name,
            Person.status,
            Staff.login,
            Staff.level,
            Staff.group,
            Staff.specialty,
            Staff.last_logon_at,
            Staff.last_logout_at,
            is_logged_on(Person.id).label("is_logged_on"),
        )
        .join(Staff, Staff.id == Person.id)
        .where(*where)
        .order_by(Person.name_key, Person.id)
        .limit(size)
        .offset((number - 1) * size)
    ).all()
    return Part(list(rows), total, number)


def titles_of_audiences(session: Session, audiences: list[int]) -> dict[int, list[str]]:
    """The titles of the communicators of each audience, by title."""
    found: dict[int, list[str]] = {audience: [] for audience in audiences}
    for audience, title in session.connection().execute(_TITLES_OF, {"audiences": list(found)}):
        found[audience].append(title)
    return found


_TITLES_OF = (
    sa.select(AudienceCommunicator.audience_id, Communicator.title)
    .join_from(AudienceCommunicator, Communicator, Communicator.id == AudienceCommunicator.communicator_id)
    .where(AudienceCommunicator.audience_id.in_(sa.bindparam("audiences", expanding=True)))
    .order_by(Communicator.title_key)
)
