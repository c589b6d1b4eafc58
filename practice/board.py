"""The coverage board: who would receive a message sent this second, who would if …, and who was in charge at a moment.

It decides nothing: it asks the functions that sending asks (routing.named_for, communicators.all_routable and eligible).
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from practice import routing
from practice.absences import Absence, last_moment
from practice.communicators import (
    ONE,
    Audience,
    AudienceCommunicator,
    Communicator,
    CommunicatorFacility,
    InCharge,
    Membership,
    Routable,
    all_routable,
    eligible,
    instead_of,
    is_routable,
    standing_for,
    supposing,
)
from practice.coverage import Consequences, consequences_of
from practice.db import COUNTED, Audit, clock_at, now
from practice.errors import NotVisible
from practice.people import AccountStatus, Kind, Person, Staff, email_key, full_name
from practice.sessions import is_logged_on
from practice.settings import Facility, RequestType, the_practice
from practice.threads import PAGE, Thread

SHOWN = 10  # people of a communicator; the others are counted


class Presence(StrEnum):
    HERE = "here"
    AWAY = "away"
    OFF = "off"  # the account is not active


@dataclass(frozen=True)
class InLane:
    """A user in charge. Away: their last moment away (None: not known, as in a supposition), and the name of the deputy who
    receives instead; `absent_deputy` names one who cannot."""

    key: str
    name: str
    presence: Presence
    status: AccountStatus
    is_logged_on: bool
    until: datetime | None = None
    deputy: str = ""
    absent_deputy: str = ""


@dataclass(frozen=True)
class Branch:
    """A communicator of the type: `receives` says whether it would get a message now; `oldest`: since when a thread waits."""

    id: int
    key: str
    title: str
    is_in_use: bool
    receives: bool
    serves: tuple[str, ...]
    people: tuple[InLane, ...]
    more: int
    oldest: datetime | None

    @property
    def is_gap(self) -> bool:
        return self.is_in_use and not self.receives


@dataclass(frozen=True)
class AtFacility:
    """Facilities whose messages go elsewhere than the general answer; `is_fallback`: none serves them, so all receive."""

    facilities: tuple[str, ...]
    titles: tuple[str, ...]
    is_fallback: bool


@dataclass(frozen=True)
class Lane:
    """A type of request: who would receive it now. `waiting` threads of it stand in Unrouted (up to COUNTED), since `since`."""

    type: RequestType
    is_off: bool  # Amendment without the Meaningful Use mode
    branches: tuple[Branch, ...]
    total: int  # communicators of the type; `branches` is a page of them
    people: int  # who would receive it, each once; for Others: whoever the patient picks, all together
    facilities: tuple[AtFacility, ...]
    waiting: int
    since: datetime | None
    receives: bool

    @property
    def is_gap(self) -> bool:
        return not self.is_off and not self.receives


# ---- Now -----------------------------------------------------------------------------------------


def receivers(kind: RequestType, facility: int | None, routable: list[Routable]) -> list[Routable]:
    """Whom routing names for a message of this type sent now; for Others all that a patient may pick."""
    if kind == RequestType.OTHERS:
        return [named for one in routable for named in routing.named_for(kind, facility, routable, one)]
    return routing.named_for(kind, facility, routable)


def gap_types(types: Iterable[Any], *, meaningful_use: bool) -> list[RequestType]:
    """The types that nobody receives now, of rows that begin as those of TYPES do."""
    received = {kind for kind, is_received, *_ in types if is_received}
    return [kind for kind in RequestType if kind not in received and (meaningful_use or kind != RequestType.AMENDMENT)]


# Built once, planned once for all types, and done with a type at the first communicator that receives it: every page of the
# side asks it.
_VALUES = sa.text("VALUES " + ", ".join(f"('{kind}')" for kind in RequestType))
_kind = _VALUES.columns(sa.column("column1", Communicator.type.type)).subquery("kind").c.column1
_receiver = sa.select(Communicator.id).where(Communicator.type == _kind, is_routable()).limit(ONE)
TYPES = sa.select(_kind, _receiver.correlate(_kind.table).scalar_subquery().is_not(None))
"""Each type of request, and whether anybody receives it now."""


def coverage_now(session: Session, *, kind: RequestType | None = None, page: int = 1) -> list[Lane]:
    """A lane for each type (or the one of `kind`), each with one page of its communicators: gaps first, then those that
    receive, then those Not In Use, by title. A fixed number of statements, however many communicators and staff there are."""
    meaningful_use = the_practice(session).meaningful_use
    routable: dict[RequestType, list[Routable]] = {one: [] for one in RequestType}
    for communicator in all_routable(session):
        routable[communicator.type].append(communicator)
    kinds = [kind] if kind else list(RequestType)
    receive = {one: receivers(one, None, routable[one]) for one in kinds}
    named = {c.id for some in receive.values() for c in some}
    rows = session.execute(
        sa.select(Communicator.id, Communicator.key, Communicator.type, Communicator.title, Communicator.is_in_use)
        .where(Communicator.type.in_(kinds))
        .order_by(Communicator.title_key, Communicator.id)
    ).all()
    of_type: dict[RequestType, list[Any]] = {one: [] for one in kinds}
    for row in sorted(rows, key=lambda r: (not r.is_in_use, r.id in named)):
        of_type[row.type].append(row)
    paged = {one: some[(page - 1) * PAGE : page * PAGE] for one, some in of_type.items()}
    shown = [row.id for some in paged.values() for row in some]
    facilities = session.execute(sa.select(Facility.id, Facility.name, Facility.is_in_use).order_by(Facility.name)).all()
    serves, people, oldest = _serves(session, shown), _people(session, shown), _oldest(session, shown)
    counts, waiting = _receiving(session, named), _waiting(session)
    names = {f.id: f.name for f in facilities}

    def branch(row: Any) -> Branch:
        inside, total = people.get(row.id, ([], 0))
        serving = tuple(names[f] for f in names if f in serves.get(row.id, ()))
        more, since = total - len(inside), oldest.get(row.id)
        return Branch(row.id, row.key, row.title, row.is_in_use, row.id in named, serving, tuple(inside), more, since)

    in_use = [(f.id, f.name) for f in facilities if f.is_in_use]
    return [
        Lane(
            type=one,
            is_off=one == RequestType.AMENDMENT and not meaningful_use,
            branches=tuple(map(branch, paged[one])),
            total=len(of_type[one]),
            people=counts.get(one, 0),
            facilities=_at_facilities(one, receive[one], routable[one], in_use),
            waiting=waiting.get(one, (0, None))[0],
            since=waiting.get(one, (0, None))[1],
            receives=bool(receive[one]),
        )
        for one in kinds
    ]


HAS_FACILITY = (RequestType.APPOINTMENT, RequestType.RESULT)


def _at_facilities(
    kind: RequestType, general: list[Routable], routable: list[Routable], facilities: list[tuple[int, str]]
) -> tuple[AtFacility, ...]:
    """The facilities with an answer of their own, those with the same one together."""
    if kind not in HAS_FACILITY or not routable:
        return ()
    answers: dict[tuple[tuple[str, ...], bool], list[str]] = {}
    everyone = {one.id for one in general}
    for facility, name in facilities:
        there = receivers(kind, facility, routable)
        is_fallback = not any(one.serves(facility) for one in routable)
        if is_fallback or {one.id for one in there} != everyone:
            answers.setdefault((tuple(one.title for one in there), is_fallback), []).append(name)
    return tuple(AtFacility(tuple(names), titles, is_fallback) for (titles, is_fallback), names in answers.items())


def _serves(session: Session, communicators: list[int]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    rows = session.execute(
        sa.select(CommunicatorFacility.communicator_id, CommunicatorFacility.facility_id).where(
            CommunicatorFacility.communicator_id.in_(communicators)
        )
    )
    for communicator, facility in rows:
        found.setdefault(communicator, set()).add(facility)
    return found


def _receiving(session: Session, communicators: Iterable[int]) -> dict[RequestType, int]:
    """How many people are there to receive each type, each counted once."""
    there = eligible(communicator=sorted(communicators)).subquery("there")
    rows = session.execute(
        sa.select(Communicator.type, sa.func.count(there.c.staff_id.distinct()))
        .join(there, there.c.communicator_id == Communicator.id)
        .where(there.c.is_present == 1)
        .group_by(Communicator.type)
    )
    return {kind: number for kind, number in rows}


def _people(session: Session, communicators: list[int]) -> dict[int, tuple[list[InLane], int]]:
    """The first SHOWN users in charge of each communicator, those who are there first, and how many there are in all."""
    at = now()
    there = eligible(communicator=communicators).subquery("eligible")
    columns = there.c.communicator_id, there.c.staff_id
    once = sa.select(*columns, sa.func.max(there.c.is_present).label("is_present")).group_by(*columns).cte("there")
    instead, deputy = once.alias("instead"), aliased(Person, name="stand_in")
    order = sa.func.coalesce(once.c.is_present, -1).desc(), Person.name_key, Person.id
    ranked = (
        sa.select(
            Membership.communicator_id,
            Membership.staff_id,
            once.c.is_present,
            sa.func.row_number().over(partition_by=Membership.communicator_id, order_by=order).label("place"),
            sa.func.count().over(partition_by=Membership.communicator_id).label("total"),
        )
        .join(Person, Person.id == Membership.staff_id)
        .outerjoin(once, sa.and_(once.c.communicator_id == Membership.communicator_id, once.c.staff_id == Membership.staff_id))
        .where(Membership.communicator_id.in_(communicators), Membership.until.is_(None))
        .subquery("ranked")
    )
    lasting = sa.and_(Absence.staff_id == ranked.c.staff_id, Absence.starts_at <= at, Absence.ends_at > at)
    receives = sa.and_(instead.c.communicator_id == ranked.c.communicator_id, instead.c.staff_id == Absence.deputy_id)
    rows = session.execute(
        sa.select(
            ranked.c.communicator_id,
            ranked.c.is_present,
            ranked.c.total,
            Person.key,
            Person.last_name,
            Person.first_name,
            Person.status,
            Absence.starts_at,
            Absence.ends_at,
            deputy.last_name.label("deputy_last"),
            deputy.first_name.label("deputy_first"),
            deputy.id.label("deputy_id"),
            instead.c.is_present.label("deputy_receives"),
            is_logged_on(ranked.c.staff_id).label("is_logged_on"),
        )
        .join(Person, Person.id == ranked.c.staff_id)
        .outerjoin(Absence, lasting)
        .outerjoin(deputy, deputy.id == Absence.deputy_id)
        .outerjoin(instead, receives)
        .where(ranked.c.place <= SHOWN)
        .order_by(ranked.c.communicator_id, ranked.c.place)
    )
    found: dict[int, tuple[list[InLane], int]] = {}
    for row in rows:
        presence = {None: Presence.OFF, 0: Presence.AWAY, 1: Presence.HERE}[row.is_present]
        is_away = presence == Presence.AWAY
        name = full_name(row.deputy_last, row.deputy_first) if is_away and row.deputy_id else ""
        found.setdefault(row.communicator_id, ([], row.total))[0].append(
            InLane(
                key=row.key,
                name=full_name(row.last_name, row.first_name),
                presence=presence,
                status=row.status,
                is_logged_on=bool(row.is_logged_on) and presence != Presence.OFF,
                until=last_moment(row.starts_at, row.ends_at) if is_away and row.ends_at else None,
                deputy=name if row.deputy_receives else "",
                absent_deputy="" if row.deputy_receives else name,
            )
        )
    return found


def _oldest(session: Session, communicators: list[int]) -> dict[int, datetime]:
    """Since when the longest waiting thread of each communicator waits: one step of an index for each audience in use."""
    first = (
        sa.select(sa.func.min(Thread.waiting_since))
        .where(Thread.audience_id == AudienceCommunicator.audience_id, Thread.waiting_since.is_not(None))
        .correlate(AudienceCommunicator)
        .scalar_subquery()
    )
    each = (
        sa.select(AudienceCommunicator.communicator_id, first.label("since"))
        .join(Audience, Audience.id == AudienceCommunicator.audience_id)
        .where(AudienceCommunicator.communicator_id.in_(communicators), Audience.in_box > 0)
        .subquery("each_audience")
    )
    rows = session.execute(
        sa.select(each.c.communicator_id, sa.func.min(each.c.since, type_=sa.DateTime))
        .where(each.c.since.is_not(None))
        .group_by(each.c.communicator_id)
    )
    return {communicator: since for communicator, since in rows}


def _waiting(session: Session) -> dict[RequestType, tuple[int, datetime]]:
    """How many threads of each type nobody can receive, counted up to COUNTED + 1, and since when the first waits."""
    some = [
        sa.select(Thread.type, Thread.unrouted_since)
        .where(Thread.unrouted_since.is_not(None), Thread.type == kind)
        .order_by(Thread.unrouted_since, Thread.id)
        .limit(COUNTED + 1)
        .subquery()
        for kind in RequestType
    ]
    each = sa.union_all(*(sa.select(one.c.type, one.c.unrouted_since) for one in some)).subquery("waiting")
    rows = session.execute(
        sa.select(each.c.type, sa.func.count(), sa.func.min(each.c.unrouted_since, type_=sa.DateTime)).group_by(each.c.type)
    )
    return {kind: (number, since) for kind, number, since in rows}


# ---- What if -------------------------------------------------------------------------------------


class How(StrEnum):
    DISABLED = "disabled"
    ABSENT = "absent"
    LEAVES = "leaves"  # for routing the same as disabled


@dataclass(frozen=True)
class WhatIf:
    """What would be so: types and communicators (titles) that nobody would receive any more; ids of those that this person
    would not; claims released and open threads seen by nobody (both None for an absence, which takes nothing away)."""

    person: InCharge
    how: How
    gaps: tuple[RequestType, ...]
    left_empty: tuple[str, ...]
    lost: frozenset[int]
    consequences: Consequences | None


@contextmanager
def supposed(staff: int, how: How) -> Iterator[None]:
    with supposing(absent=staff) if how == How.ABSENT else supposing(disabled=staff):
        yield


def what_if(session: Session, staff_key: str, how: How) -> WhatIf:
    """The answer without this person, by the same rule. Changes nothing. Raises NotVisible."""
    person = staff_with(session, staff_key)
    before, had = all_routable(session), _receives(session, person.id)
    with supposed(person.id, how):
        after, has = {one.id for one in all_routable(session)}, _receives(session, person.id)
    empty = [one for one in before if one.id not in after]
    kept = {one.type for one in before if one.id in after}
    return WhatIf(
        person=person,
        how=how,
        gaps=tuple(kind for kind in RequestType if kind in {one.type for one in empty} - kept),
        left_empty=tuple(one.title for one in empty),
        lost=frozenset(had - has),
        consequences=None if how == How.ABSENT else consequences_of(session, staff_key),
    )


def _receives(session: Session, staff: int) -> set[int]:
    """The communicators of which this person is present to receive."""
    return {communicator for communicator, _, is_present in session.execute(eligible(staff=staff)) if is_present}


def left_by_absence(session: Session, staff: int, *, starts_at: datetime, ends_at: datetime) -> list[Routable]:
    """The communicators that could not receive, at some moment of these (naive UTC), if this person were absent then without
    a deputy: asked at the beginning and whenever somebody else's absence begins, at most 20 times.

    Asked as if disabled: a supposed absence would still be covered by the deputy of the absence that is to be changed.
    """
    meanwhile = sa.select(Absence.starts_at).where(Absence.starts_at > starts_at, Absence.starts_at < ends_at)
    others = session.scalars(meanwhile.where(Absence.staff_id != staff).order_by(Absence.starts_at).limit(20))
    left: dict[int, Routable] = {}
    for moment in (max(starts_at, now()), *others):
        with clock_at(moment):
            before = all_routable(session)
            with supposing(disabled=staff):
                after = {one.id for one in all_routable(session)}
        left |= {one.id: one for one in before if one.id not in after}
    return list(left.values())


def left_by_replacement(session: Session, staff_key: str, *, with_key: str) -> list[str]:
    """Titles that nobody would receive after replace_everywhere: none where the other is there, or their deputy."""
    other = staff_with(session, with_key)
    return [] if any(standing_for(session, [other.id]).values()) else consequences_of(session, staff_key).left_empty


# ---- By person -----------------------------------------------------------------------------------

_STAFF = sa.select(Person, Staff.login, Staff.level).join(Staff, Staff.id == Person.id)


def staff_with(session: Session, key: str) -> InCharge:
    """Raises NotVisible."""
    found = session.execute(_STAFF.where(Person.key == key)).first()
    if found is None:
        raise NotVisible
    return _in_charge(found)


def key_of(session: Session, staff: int) -> str:
    return session.scalars(sa.select(Person.key).where(Person.id == staff)).one()


def staff_with_login(session: Session, login: str) -> InCharge | None:
    """The member of staff with this ID; a difference of case is forgiven where it leaves no doubt."""
    found = session.execute(_STAFF.where(Staff.login == login)).first()
    if found is None:
        alike = session.execute(_STAFF.where(Staff.login_key == email_key(login)).limit(2)).all()
        found = alike[0] if len(alike) == 1 else None
    return _in_charge(found) if found else None


def _in_charge(row: Any) -> InCharge:
    person = row.Person
    is_active = person.status == AccountStatus.ACTIVE
    return InCharge(person.id, person.key, row.login, person.name, row.level, is_active)


def active_staff(session: Session, *, at_most: int, is_in_charge: bool = False) -> list[InCharge]:
    """All active staff by name, or only who is in charge of something; none where there are more than `at_most`: then a list
    helps nobody."""
    active = _STAFF.where(Person.kind == Kind.STAFF, Person.status == AccountStatus.ACTIVE)
    if is_in_charge:
        active = active.where(sa.exists().where(Membership.staff_id == Person.id, Membership.until.is_(None)))
    rows = session.execute(active.order_by(Person.name_key, Person.id).limit(at_most + 1)).all()
    return [_in_charge(row) for row in rows] if len(rows) <= at_most else []


@dataclass(frozen=True)
class Held:
    """A communicator that a person has: since when in charge (None: not), and for whom they stand in (names)."""

    key: str
    title: str
    type: RequestType
    is_in_use: bool
    since: datetime | None
    instead_of: tuple[str, ...]


def held_by(session: Session, staff: int) -> list[Held]:
    """All communicators of one person, as user in charge or as deputy, by type and title."""
    whom = instead_of(session, staff)
    mine = sa.and_(Membership.communicator_id == Communicator.id, Membership.staff_id == staff, Membership.until.is_(None))
    rows = session.execute(
        sa.select(Communicator, Membership.since)
        .outerjoin(Membership, mine)
        .where(sa.or_(Membership.id.is_not(None), Communicator.id.in_(whom)))
        .order_by(Communicator.type, Communicator.title_key, Communicator.id)
    )
    return [Held(c.key, c.title, c.type, c.is_in_use, since, tuple(whom.get(c.id, ()))) for c, since in rows]


# ---- Absences ------------------------------------------------------------------------------------

_Away, _Deputy = aliased(Person, name="away"), aliased(Person, name="deputy")
_AwayStaff, _DeputyStaff = aliased(Staff, name="away_staff"), aliased(Staff, name="deputy_staff")
_ABSENCES = (
    sa.select(
        Absence.id,
        Absence.key,
        Absence.starts_at,
        Absence.ends_at,
        Absence.version,
        Absence.staff_id,
        Absence.deputy_id,
        _Away.key.label("staff_key"),
        _Away.last_name,
        _Away.first_name,
        _AwayStaff.login.label("staff_login"),
        _Deputy.key.label("deputy_key"),
        _Deputy.last_name.label("deputy_last_name"),
        _Deputy.first_name.label("deputy_first_name"),
        _DeputyStaff.login.label("deputy_login"),
    )
    .select_from(Absence)
    .join(_Away, _Away.id == Absence.staff_id)
    .join(_AwayStaff, _AwayStaff.id == _Away.id)
    .outerjoin(_Deputy, _Deputy.id == Absence.deputy_id)
    .outerjoin(_DeputyStaff, _DeputyStaff.id == _Deputy.id)
)


@dataclass(frozen=True)
class AbsenceRow:
    """An absence for showing; times are naive UTC, `ends_at` not included."""

    key: str
    starts_at: datetime
    ends_at: datetime
    version: int
    staff_id: int
    staff_key: str
    login: str
    name: str
    deputy_id: int | None
    deputy_key: str
    deputy_login: str
    deputy: str

    @property
    def lasts(self) -> bool:
        return self.starts_at <= now() < self.ends_at

    @property
    def last(self) -> datetime:
        """A moment of its last day."""
        return last_moment(self.starts_at, self.ends_at)


def _absence_row(row: Any) -> AbsenceRow:
    return AbsenceRow(
        row.key,
        row.starts_at,
        row.ends_at,
        row.version,
        row.staff_id,
        row.staff_key,
        row.staff_login,
        full_name(row.last_name, row.first_name),
        row.deputy_id,
        row.deputy_key or "",
        row.deputy_login or "",
        full_name(row.deputy_last_name, row.deputy_first_name) if row.deputy_id else "",
    )


def absences(session: Session, *, past: bool = False, page: int = 1, staff: int | None = None) -> tuple[list[AbsenceRow], int]:
    """A page of the present and coming absences by their start, or of the past ones, the newest first; and how many in all.
    `staff`: of this person only."""
    where = [Absence.ends_at <= now() if past else Absence.ends_at > now()]
    if past:
        where.append(Absence.ends_at > Absence.starts_at)  # one called off before it began was none
    if staff is not None:
        where.append(Absence.staff_id == staff)
    order = (Absence.ends_at.desc(), Absence.id.desc()) if past else (Absence.starts_at, Absence.id)
    rows = session.execute(_ABSENCES.where(*where).order_by(*order).limit(PAGE).offset((page - 1) * PAGE)).all()
    total = session.scalar(sa.select(sa.func.count()).select_from(Absence).where(*where))
    return [_absence_row(row) for row in rows], total or 0


def absence_with(session: Session, key: str, *, staff: int | None = None) -> AbsenceRow:
    """`staff`: only one of this person's own. Raises NotVisible."""
    mine = [] if staff is None else [Absence.staff_id == staff]
    found = session.execute(_ABSENCES.where(Absence.key == key, *mine)).first()
    if found is None:
        raise NotVisible
    return _absence_row(found)


def absence_now(session: Session, staff: int) -> AbsenceRow | None:
    """The absence of this person that lasts now."""
    lasts = Absence.starts_at <= now(), Absence.ends_at > now()
    found = session.execute(_ABSENCES.where(Absence.staff_id == staff, *lasts).limit(1)).first()
    return _absence_row(found) if found else None


@dataclass(frozen=True)
class StandIn:
    """An absence during which a person stands in for somebody, and the titles of the communicators that brings."""

    absence: AbsenceRow
    titles: tuple[str, ...]


def stands_in(session: Session, staff: int) -> list[StandIn]:
    """Present and coming absences for which this person is the deputy, by their start."""
    rows = session.execute(
        _ABSENCES.where(Absence.deputy_id == staff, Absence.ends_at > now()).order_by(Absence.starts_at, Absence.id).limit(PAGE)
    ).all()
    titles: dict[int, list[str]] = {row.staff_id: [] for row in rows}
    held = session.execute(
        sa.select(Membership.staff_id, Communicator.title)
        .join(Communicator, Communicator.id == Membership.communicator_id)
        .where(Membership.staff_id.in_(titles), Membership.until.is_(None))
        .order_by(Communicator.title_key)
    )
    for person, title in held:
        titles[person].append(title)
    return [StandIn(_absence_row(row), tuple(titles[row.staff_id])) for row in rows]


# ---- At a given moment ---------------------------------------------------------------------------


@dataclass(frozen=True)
class ThenInCharge:
    """A user in charge at the moment. `received`: active and not absent, so that messages came to them."""

    key: str
    name: str
    since: datetime
    until: datetime | None
    status: AccountStatus
    is_away: bool
    deputy: str  # who received instead
    absent_deputy: str  # who should have, but was absent or not active

    @property
    def received(self) -> bool:
        return self.status == AccountStatus.ACTIVE and not self.is_away


@dataclass(frozen=True)
class Then:
    """A communicator as it was: `existed` False before it was made."""

    key: str
    title: str
    type: RequestType
    existed: bool
    is_in_use: bool
    people: tuple[ThenInCharge, ...]


def in_charge_at(session: Session, communicator_key: str, moment: datetime) -> Then:
    """Who was in charge of a communicator at a moment (naive UTC), and whether it could receive. Raises NotVisible.

    Memberships and absences keep their times. Status and In Use come from the audit: the last change before the moment,
    else what the first one after it changed from, else as it is today.
    """
    communicator = session.scalar(sa.select(Communicator).where(Communicator.key == communicator_key))
    if communicator is None:
        raise NotVisible
    saves = _audited(session, [communicator.key], ("add_communicator", "save_communicator", "hand_open_threads"))
    of_it = saves.get(communicator.key, [])
    is_made_later = any(did == "add_communicator" and at > moment for at, did, _ in of_it)
    rows = session.execute(
        sa.select(Person, Membership.since, Membership.until)
        .join(Person, Person.id == Membership.staff_id)
        .where(Membership.communicator_id == communicator.id, Membership.since <= moment)
        .where(sa.or_(Membership.until.is_(None), Membership.until > moment))
        .order_by(Person.name_key, Person.id, Membership.id)
    ).all()
    away = _away_at(session, [row.Person.id for row in rows], moment)
    deputies = {deputy.id: deputy for deputy in away.values() if deputy}
    away_deputies = _away_at(session, list(deputies), moment)
    people = [*(row.Person for row in rows), *deputies.values()]
    changes = _audited(session, [person.key for person in people], tuple(f"{status}_staff" for status in AccountStatus))

    def status(person: Person) -> AccountStatus:
        return AccountStatus(_value_at(changes.get(person.key, []), "status", moment, str(person.status)))

    def then(row: Any) -> ThenInCharge:
        person = row.Person
        deputy = away.get(person.id)
        is_able = bool(
            deputy
            and status(person) == AccountStatus.ACTIVE
            and status(deputy) == AccountStatus.ACTIVE
            and deputy.id not in away_deputies
        )
        name = deputy.name if deputy else ""
        return ThenInCharge(
            person.key,
            person.name,
            row.since,
            row.until,
            status(person),
            person.id in away,
            name if is_able else "",
            "" if is_able else name,
        )

    return Then(
        key=communicator.key,
        title=_value_at(of_it, "title", moment, communicator.title),
        type=RequestType(_value_at(of_it, "type", moment, str(communicator.type))),
        existed=not is_made_later,
        is_in_use=bool(_value_at(of_it, "is_in_use", moment, communicator.is_in_use)),
        people=tuple(map(then, rows)),
    )


Change = tuple[datetime, str, dict[str, Any]]  # when, which verb, its details


def _audited(session: Session, about: list[str], did: tuple[str, ...]) -> dict[str, list[Change]]:
    """What these verbs changed, in the order of time, by the key it is about."""
    rows = session.execute(
        sa.select(Audit.about, Audit.at, Audit.did, Audit.details)
        .where(Audit.about.in_(about), Audit.did.in_(did))
        .order_by(Audit.at, Audit.id)
    )
    found: dict[str, list[Change]] = {}
    for key, at, verb, details in rows:
        found.setdefault(key, []).append((at, verb, json.loads(details) if details else {}))
    return found


def _value_at(changes: list[Change], name: str, moment: datetime, at_present: Any) -> Any:
    """The value of a field at the moment, from the changes of it."""
    value, is_known = at_present, False
    for at, _, details in changes:
        if at <= moment and name in details.get("after", {}):
            value, is_known = details["after"][name], True
        elif at > moment and not is_known and name in details.get("before", {}):
            return details["before"][name]
    return value


def _away_at(session: Session, staff: list[int], moment: datetime) -> dict[int, Person | None]:
    """Who of these was absent at the moment, each with the deputy."""
    rows = session.execute(
        sa.select(Absence.staff_id, Person)
        .outerjoin(Person, Person.id == Absence.deputy_id)
        .where(Absence.staff_id.in_(staff), Absence.starts_at <= moment, Absence.ends_at > moment)
    )
    return {person: deputy for person, deputy in rows}


def titles(session: Session) -> list[Any]:
    """Key, type and title of every communicator, by type and title: what a list to choose from needs."""
    rows = sa.select(Communicator.key, Communicator.type, Communicator.title)
    return list(session.execute(rows.order_by(Communicator.type, Communicator.title_key, Communicator.id)))
