"""The audit as an admin reads it: acts and staff's reads of threads, newest first, by person, patient, kind and time.

Acts are rows of `audit`, reads are rows of `read_log`; both are sought by the same person, patient and period. The order is
that of time, then of the row: each question walks one index that begins with what is asked for and ends with (at, id).
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from practice.communicators import Communicator
from practice.db import Audit
from practice.people import Kind, Patient, Person, Staff, email_key, fold, full_name
from practice.settings import Facility, ReferringPhysician, StaffTerm
from practice.threads import PAGE, ReadLog, Thread

EPOCH = datetime(1970, 1, 1)
NEWEST = 2**31 - 1  # the largest id
MOST_PEOPLE = 20  # so many are offered to choose from
CHUNK = 1000
READ = "read"  # the verb of a row of the read log
OTHERS = ("system", "command", "anonymous")  # names of those who act and are no person


class Which(StrEnum):
    """What is listed."""

    ALL = ""
    CHANGES = "changes"
    READS = "reads"
    DENIALS = "denials"
    LOG_INS = "log-ins"


DENIALS = ("denied",)
LOG_INS = ("log_in", "log_in_failed", "log_out")
NO_CHANGE = (*DENIALS, *LOG_INS, "export_audit")


@dataclass(frozen=True)
class Sought:
    """What is asked for. `since` included, `until` not; both UTC."""

    which: Which = Which.ALL
    did: str = ""
    person: int | None = None
    other: str = ""  # one of OTHERS
    patient: int | None = None
    about: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Line:
    """One thing that was done. `who` as they were called then; of reads as they are called now."""

    at: datetime
    place: str  # where it stands, for the way to the next page
    number: int | None  # of the audit row
    person: int | None
    who: str
    address: str
    did: str
    about: str
    patient: int | None
    details: dict[str, Any]


@dataclass(frozen=True)
class Lines:
    rows: list[Line]
    has_newer: bool
    has_older: bool


@dataclass(frozen=True)
class Place:
    """Beyond which row the page begins."""

    at: datetime
    rest: tuple[int, ...]  # the id of an act; person and thread of a read
    is_newer: bool = False


# ---- Pages ---------------------------------------------------------------------------------------


def page_of(session: Session, sought: Sought, place: Place | None = None, *, size: int = PAGE) -> Lines:
    """A page in one statement; nothing is counted."""
    rows = _found(session, sought, place, size + 1)
    more, rows = len(rows) > size, rows[:size]
    if place and place.is_newer:
        return Lines(rows[::-1], more, has_older=True)
    return Lines(rows, place is not None, more)


def every(session: Session, sought: Sought, *, at_most: int) -> Iterator[Line]:
    """The newest `at_most` rows one after another; no more than a thousand of them in memory."""
    place, left = None, at_most
    while left > 0:
        rows = _found(session, sought, place, min(left, CHUNK))
        yield from rows
        left -= len(rows)
        if len(rows) < CHUNK:
            return
        place = _place_of(session, sought, rows[-1].place)


def place_at(session: Session, sought: Sought, text: str, *, is_newer: bool) -> Place | None:
    """The place that an address names; None for what names none."""
    place = _place_of(session, sought, text)
    return replace(place, is_newer=is_newer) if place else None


def _place_of(session: Session, sought: Sought, text: str) -> Place | None:
    found = re.fullmatch(r"([0-9]{1,17})\.(?:([0-9]{1,10})|([\w-]{22})\.([\w-]{22}))", text, re.ASCII)
    if not found:
        return None
    at, number = EPOCH + timedelta(microseconds=int(found[1])), found[2]
    if (number is None) != (sought.which == Which.READS):
        return None
    if number is not None:
        return Place(at, (min(int(number), NEWEST),))
    ids = session.execute(
        sa.select(
            sa.select(Person.id).where(Person.key == found[3]).scalar_subquery(),
            sa.select(Thread.id).where(Thread.key == found[4]).scalar_subquery(),
        )
    ).one()
    return Place(at, (ids[0] or 0, ids[1] or 0))


def _micros(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)


def _found(session: Session, sought: Sought, place: Place | None, limit: int) -> list[Line]:
    if sought.which == Which.READS:
        if sought.other or sought.did not in ("", READ):
            return []
        return [_read(row) for row in session.execute(reads(sought, place, limit))]
    return [_act(row) for row in session.execute(acts(sought, place, limit))]


def _act(row: Any) -> Line:
    details = json.loads(row.details) if row.details else {}
    place = f"{_micros(row.at)}.{row.id}"
    return Line(
        row.at, place, row.id, row.actor_id, row.actor_name, row.address or "", row.did, row.about, row.patient_id, details
    )


def _read(row: Any) -> Line:
    place = f"{_micros(row.at)}.{row.person_key}.{row.key}"
    who = full_name(row.last_name, row.first_name)
    return Line(row.at, place, None, row.person_id, who, "", READ, row.key, row.patient_id, {})


# ---- The statements ------------------------------------------------------------------------------


def acts(sought: Sought, place: Place | None, limit: int) -> Any:
    """Rows of the audit. The first that is asked for of about, patient, person and verb leads to its index; the others sift."""
    dids, order = _dids(sought), (Audit.at, Audit.id)
    asked = {
        "about": sought.about,
        "patient": sought.patient is not None,
        "person": sought.person is not None,
        "did": dids,
        "other": sought.other,
    }
    lead = next((name for name, is_asked in asked.items() if is_asked), "at")
    about, patient, person, did, nobody = (
        column if lead == name else sa.func.coalesce(column, nothing)  # a value as no index knows it
        for name, column, nothing in (
            ("about", Audit.about, ""),
            ("patient", Audit.patient_id, 0),
            ("person", Audit.actor_id, 0),
            ("did", Audit.did, ""),
            ("other", Audit.actor_id, 0),
        )
    )
    statement = sa.select(*_COLUMNS)
    if sought.about:
        statement = statement.where(about == sought.about)
    if sought.patient is not None:
        statement = statement.where(patient == sought.patient)
    if sought.person is not None:
        statement = statement.where(person == sought.person)
    if sought.other:
        statement = statement.where(nobody.is_(None) if lead == "other" else nobody == 0, Audit.actor_name == sought.other)
    if sought.which == Which.CHANGES and not dids:
        statement = statement.where(did.not_in(NO_CHANGE))
    if lead == "other":  # PostgreSQL takes IS NULL for no equality: so it is sorted by
        statement = statement.order_by(Audit.actor_id.asc() if place and place.is_newer else Audit.actor_id.desc())
    if lead == "did" and len(dids) > 1:
        branches = [_walk(statement.where(did == one), order, sought, place, limit).subquery() for one in dids]
        whole = sa.union_all(*(sa.select(branch) for branch in branches)).subquery()
        return _ordered(sa.select(whole), (whole.c.at, whole.c.id), place, limit)
    if dids:
        statement = statement.where(did == dids[0] if len(dids) == 1 else did.in_(dids))
    return _walk(statement, order, sought, place, limit)


_COLUMNS = tuple(column for column in Audit.__table__.columns if column.name not in ("act", "session_id"))


def reads(sought: Sought, place: Place | None, limit: int) -> Any:
    """Rows of the read log with the thread's key and patient. A patient's are few: those of their threads, sorted."""
    statement = (
        sa.select(
            ReadLog.at,
            ReadLog.person_id,
            ReadLog.thread_id,
            Thread.key,
            Thread.patient_id,
            Person.key.label("person_key"),
            Person.last_name,
            Person.first_name,
        )
        .join(Thread, Thread.id == ReadLog.thread_id)
        .join(Person, Person.id == ReadLog.person_id)
    )
    if sought.about:
        statement = statement.where(ReadLog.thread_id.in_(sa.select(Thread.id).where(Thread.key == sought.about)))
    if sought.patient is not None:
        theirs = ReadLog.thread_id.in_(sa.select(Thread.id).where(Thread.patient_id == sought.patient))
        statement = statement.where(theirs)
    if sought.person is not None:
        is_leading = not sought.about and sought.patient is None
        statement = statement.where(
            (ReadLog.person_id if is_leading else sa.func.coalesce(ReadLog.person_id, 0)) == sought.person
        )
    return _walk(statement, (ReadLog.at, ReadLog.person_id, ReadLog.thread_id), sought, place, limit)


def _dids(sought: Sought) -> tuple[str, ...]:
    """The verbs that both the kind and the verb asked for allow; none: any."""
    of_kind = {Which.DENIALS: DENIALS, Which.LOG_INS: LOG_INS}.get(sought.which, ())
    if not sought.did:
        return of_kind
    is_of_kind = sought.did not in NO_CHANGE if sought.which == Which.CHANGES else not of_kind or sought.did in of_kind
    return (sought.did,) if is_of_kind else ("",)  # no row has an empty verb


def _walk(statement: Any, order: tuple[Any, ...], sought: Sought, place: Place | None, limit: int) -> Any:
    if sought.since:
        statement = statement.where(order[0] >= sought.since)
    if sought.until:
        statement = statement.where(order[0] < sought.until)
    if place:
        here, there = sa.tuple_(*order), sa.tuple_(place.at, *place.rest)
        statement = statement.where(here > there if place.is_newer else here < there)
    return _ordered(statement, order, place, limit)


def _ordered(statement: Any, order: tuple[Any, ...], place: Place | None, limit: int) -> Any:
    is_rising = place is not None and place.is_newer
    return statement.order_by(*(column.asc() if is_rising else column.desc() for column in order)).limit(limit)


# ---- Whom and what the rows speak of -------------------------------------------------------------


@dataclass(frozen=True)
class Someone:
    """A person to choose or to show. `detail`: the log-in of staff, the record number of a patient."""

    id: int
    key: str
    name: str
    kind: Kind
    detail: str
    dob: Any = None


_SOMEONE = (
    sa.select(Person, Staff.login, Patient.record_number, Patient.dob)
    .outerjoin(Staff, Staff.id == Person.id)
    .outerjoin(Patient, Patient.id == Person.id)
)


def _someone(row: Any) -> Someone:
    person, login, record_number, dob = row
    return Someone(person.id, person.key, person.name, person.kind, login or record_number or "", dob)


def people_found(session: Session, text: str, *, kinds: Iterable[Kind] = tuple(Kind)) -> list[Someone]:
    """At most 21 people whose log-in, e-mail or record number is `text`, or whose name (last, first) begins with it."""
    low, kinds = fold(text.replace(",", " ")), tuple(kinds)
    if not low:
        return []
    ids = [
        sa.select(Staff.id).where(Staff.login_key == email_key(text)),
        sa.select(Person.id).where(Person.email_key == email_key(text)),
        sa.select(Patient.id).where(Patient.record_number == text.strip()),
    ]
    for kind in kinds:
        named = sa.select(Person.id).where(Person.kind == kind, Person.name_key >= low, Person.name_key < low + "\U0010ffff")
        ids.append(sa.select(named.order_by(Person.name_key, Person.id).limit(MOST_PEOPLE + 1).subquery().c.id))
    found = _SOMEONE.where(Person.id.in_(sa.union_all(*ids)), Person.kind.in_(kinds))
    return [_someone(row) for row in session.execute(found.order_by(Person.name_key, Person.id).limit(MOST_PEOPLE + 1))]


def person_with(session: Session, key: str) -> Someone | None:
    row = session.execute(_SOMEONE.where(Person.key == key)).first()
    return _someone(row) if row else None


def people_of(session: Session, lines: Iterable[Line]) -> dict[int, Someone]:
    """The patients of these rows, and those who acted without a name in the row, by id. One statement."""
    ids = {line.patient for line in lines if line.patient} | {line.person for line in lines if line.person and not line.who}
    return {one.id: one for one in map(_someone, session.execute(_SOMEONE.where(Person.id.in_(ids))))}


@dataclass(frozen=True)
class Subject:
    """What a row's `about` is a key of: table and the name or title it has now; of a thread its type, never its title."""

    table: str
    name: str
    kind: str


def subjects_of(session: Session, lines: Iterable[Line]) -> dict[str, Subject]:
    """What the rows are about, by key, where it is still there. One statement."""
    keys = {line.about for line in lines if len(line.about) == 22}
    none = sa.literal("")
    tables: list[tuple[Any, Any, Any]] = [
        (Communicator, Communicator.title, sa.cast(Communicator.type, sa.String)),
        (Thread, none, sa.cast(Thread.type, sa.String)),
        (Facility, Facility.name, none),
        (ReferringPhysician, ReferringPhysician.name, none),
        (StaffTerm, StaffTerm.name, none),
        (
            Person,
            Person.last_name + sa.case((Person.first_name != "", ", "), else_="") + Person.first_name,
            sa.cast(Person.kind, sa.String),
        ),
    ]
    rows = session.execute(
        sa.union_all(
            *(
                sa.select(sa.literal(model.__tablename__), model.key, name, kind).where(model.key.in_(keys))
                for model, name, kind in tables
            )
        )
    )
    return {key: Subject(table, name, kind) for table, key, name, kind in rows}
