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
from functools import lru_cache
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
    RECORDS = "records"


DENIALS = ("denied",)
LOG_INS = ("log_in", "log_in_failed", "log_out")
VIEWED, TAKEN_ALONG = "view_record", "export_record"
RECORDS = (VIEWED, TAKEN_ALONG)
NO_CHANGE = (*DENIALS, *LOG_INS, *RECORDS, "export_audit")


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
        return [_read(row) for row in session.connection().execute(*reads(sought, place, limit))]
    return [_act(row) for row in session.connection().execute(*acts(sought, place, limit))]


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


def acts(sought: Sought, place: Place | None, limit: int) -> tuple[Any, dict[str, Any]]:
    """Rows of the audit: the statement, built once for each kind of question, and its values."""
    dids = _dids(sought)
    values = _values(sought, place, limit)
    statement = _acts(frozenset(values), len(dids), sought.which == Which.CHANGES, place.is_newer if place else None)
    return statement, values | {f"did_{n}": did for n, did in enumerate(dids)}


def _values(sought: Sought, place: Place | None, limit: int) -> dict[str, Any]:
    """What is asked for, by name."""
    texts = {"about": sought.about, "other": sought.other}
    others = {"patient": sought.patient, "person": sought.person, "since": sought.since, "until": sought.until}
    values: dict[str, Any] = {name: text for name, text in texts.items() if text}
    values |= {name: value for name, value in others.items() if value is not None}
    beyond = {f"beyond_{n}": part for n, part in enumerate((place.at, *place.rest))} if place else {}
    return values | beyond | {"limit": limit}


_value = sa.bindparam


@lru_cache(maxsize=256)
def _acts(asked: frozenset[str], dids: int, is_changes: bool, is_newer: bool | None) -> Any:
    """The first that is asked for of about, patient, person and verb leads to its index; the others sift."""
    order = (Audit.at, Audit.id)
    leads = ("about", "patient", "person", "did", "other")
    lead = next((name for name in leads if (dids if name == "did" else name in asked)), "at")
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
    for name, column in (("about", about), ("patient", patient), ("person", person)):
        if name in asked:
            statement = statement.where(column == _value(name))
    if "other" in asked:
        is_nobody = nobody.is_(None) if lead == "other" else nobody == 0
        statement = statement.where(is_nobody, Audit.actor_name == _value("other"))
    if is_changes and not dids:
        statement = statement.where(did.not_in(NO_CHANGE))
    if lead == "other":  # PostgreSQL takes IS NULL for no equality: so it is sorted by
        statement = statement.order_by(Audit.actor_id.asc() if is_newer else Audit.actor_id.desc())
    is_one = [did == _value(f"did_{n}") for n in range(dids)]
    if lead == "did" and dids > 1:
        branches = [_walk(statement.where(one), order, asked, is_newer).subquery() for one in is_one]
        whole = sa.union_all(*(sa.select(branch) for branch in branches)).subquery()
        return _ordered(sa.select(whole), (whole.c.at, whole.c.id), is_newer)
    return _walk(statement.where(sa.or_(*is_one)) if dids else statement, order, asked, is_newer)


_COLUMNS = tuple(column for column in Audit.__table__.columns if column.name not in ("act", "session_id"))


def reads(sought: Sought, place: Place | None, limit: int) -> tuple[Any, dict[str, Any]]:
    """Rows of the read log with the thread's key and patient. A patient's are few: those of their threads, sorted."""
    values = _values(sought, place, limit)
    return _reads(frozenset(values), place.is_newer if place else None), values


@lru_cache(maxsize=128)
def _reads(asked: frozenset[str], is_newer: bool | None) -> Any:
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
        .select_from(ReadLog)
        .join(Thread, Thread.id == ReadLog.thread_id)
        .join(Person, Person.id == ReadLog.person_id)
    )
    if "about" in asked:
        statement = statement.where(ReadLog.thread_id.in_(sa.select(Thread.id).where(Thread.key == _value("about"))))
    if "patient" in asked:
        theirs = ReadLog.thread_id.in_(sa.select(Thread.id).where(Thread.patient_id == _value("patient")))
        statement = statement.where(theirs)
    if "person" in asked:
        is_leading = not asked & {"about", "patient"}
        statement = statement.where(
            (ReadLog.person_id if is_leading else sa.func.coalesce(ReadLog.person_id, 0)) == _value("person")
        )
    return _walk(statement, (ReadLog.at, ReadLog.person_id, ReadLog.thread_id), asked, is_newer)


def _dids(sought: Sought) -> tuple[str, ...]:
    """The verbs that both the kind and the verb asked for allow; none: any."""
    of_kind = {Which.DENIALS: DENIALS, Which.LOG_INS: LOG_INS, Which.RECORDS: RECORDS}.get(sought.which, ())
    if not sought.did:
        return of_kind
    is_of_kind = sought.did not in NO_CHANGE if sought.which == Which.CHANGES else not of_kind or sought.did in of_kind
    return (sought.did,) if is_of_kind else ("",)  # no row has an empty verb


def _walk(statement: Any, order: tuple[Any, ...], asked: frozenset[str], is_newer: bool | None) -> Any:
    if "since" in asked:
        statement = statement.where(order[0] >= _value("since"))
    if "until" in asked:
        statement = statement.where(order[0] < _value("until"))
    if is_newer is not None:
        here = sa.tuple_(*order)
        there = sa.tuple_(*(_value(f"beyond_{n}", type_=column.type) for n, column in enumerate(order)))
        statement = statement.where(here > there if is_newer else here < there)
    return _ordered(statement, order, is_newer)


def _ordered(statement: Any, order: tuple[Any, ...], is_newer: bool | None) -> Any:
    return statement.order_by(*(column.asc() if is_newer else column.desc() for column in order)).limit(
        _value("limit", type_=sa.Integer)
    )


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
    sa.select(
        Person.id,
        Person.key,
        Person.kind,
        Person.last_name,
        Person.first_name,
        Staff.login,
        Patient.record_number,
        Patient.dob,
    )
    .select_from(Person)
    .outerjoin(Staff, Staff.id == Person.id)
    .outerjoin(Patient, Patient.id == Person.id)
)
_WITH_KEY = _SOMEONE.where(Person.key == sa.bindparam("key"))
_WITH_IDS = _SOMEONE.where(Person.id.in_(sa.bindparam("ids", expanding=True)))


def _someone(row: Any) -> Someone:
    name, detail = full_name(row.last_name, row.first_name), row.login or row.record_number or ""
    return Someone(row.id, row.key, name, row.kind, detail, row.dob)


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
    row = session.connection().execute(_WITH_KEY, {"key": key}).first()
    return _someone(row) if row else None


def people_of(session: Session, lines: Iterable[Line]) -> dict[int, Someone]:
    """The patients of these rows, and those who acted without a name in the row, by id. One statement."""
    ids = {line.patient for line in lines if line.patient} | {line.person for line in lines if line.person and not line.who}
    return {one.id: one for one in map(_someone, session.connection().execute(_WITH_IDS, {"ids": list(ids)}))}


@dataclass(frozen=True)
class Subject:
    """What a row's `about` is a key of: table and the name or title it has now; of a thread its type, never its title."""

    table: str
    name: str
    kind: str


def subjects_of(session: Session, lines: Iterable[Line]) -> dict[str, Subject]:
    """What the rows are about, by key, where it is still there. One statement."""
    keys = list({line.about for line in lines if len(line.about) == 22})
    return {key: Subject(table, name, kind) for table, key, name, kind in session.connection().execute(_SUBJECTS, {"keys": keys})}


_NONE = sa.literal("")
_FULL_NAME = Person.last_name + sa.case((Person.first_name != "", ", "), else_="") + Person.first_name
_SUBJECTS = sa.union_all(
    *(
        sa.select(sa.literal(model.__tablename__), model.key, name, kind).where(
            model.key.in_(sa.bindparam("keys", expanding=True))
        )
        for model, name, kind in (
            (Communicator, Communicator.title, sa.cast(Communicator.type, sa.String)),
            (Thread, _NONE, sa.cast(Thread.type, sa.String)),
            (Facility, Facility.name, _NONE),
            (ReferringPhysician, ReferringPhysician.name, _NONE),
            (StaffTerm, StaffTerm.name, _NONE),
            (Person, _FULL_NAME, sa.cast(Person.kind, sa.String)),
        )
    )
)
