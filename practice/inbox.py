"""In Box and Sent Items, as everybody in charge shares them: what a list is asked for, its pages and its numbers."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from practice.db import db, now
from practice.people import Patient, Person
from practice.threads import PAGE, STANDS, Message, Page, Place, Thread, page_of, read


@dataclass(frozen=True)
class Wanted:
    """What a list is asked for; everything said must hold. Times are naive UTC, `until` is excluded."""

    sent: bool = False  # what the practice wrote, newest first; else what patients wrote
    closed_too: bool = False
    due_first: bool = False  # what waits, by its promise; after it the rest, newest first
    unread: bool = False
    urgent: bool = False  # words of an emergency
    late: bool = False  # past the promise
    claimed_by: int | None = None  # whose claim lasts
    since: datetime | None = None  # when the patient, or the practice where it is `sent`, wrote last
    until: datetime | None = None
    patients: tuple[int, ...] | None = None  # at most 200

    @property
    def waits(self) -> bool:
        """Whether it is a mark of what waits alone."""
        return self.unread or self.urgent or self.late


@dataclass(frozen=True)
class Stretch:
    """Rows of a list in one order: by this column, then by id."""

    by: str
    is_up: bool = False
    is_rest: bool = False  # what has no promise


_RECEIVED, _SENT, _DUE = Stretch("last_patient_message_at"), Stretch("last_staff_message_at"), Stretch("due_at", is_up=True)
_REST = Stretch("last_patient_message_at", is_rest=True)


def _stretches(wanted: Wanted) -> tuple[Stretch, ...]:
    if wanted.sent:
        return (_SENT,)
    if wanted.due_first:
        return (_DUE,) if wanted.waits else (_DUE, _REST)
    return (_RECEIVED,)


# One LIMITed branch for each audience, then the 25 first of them: an IN over audiences reads everything on PostgreSQL.
MOST_BRANCHES = 64
_COLUMNS = (
    Thread.id, Thread.key, Thread.audience_id, Thread.type, Thread.title, Thread.state, Thread.version, Thread.is_unread,
    Thread.waiting_since, Thread.due_at, Thread.removed_at, Thread.has_emergency_words, Thread.claimed_by_id,
    Thread.claimed_until, Person.last_name, Person.first_name, Person.email, Patient.dob, Patient.gender, Patient.phone,
    Patient.record_number,
)  # fmt: skip
_FROM = {"thread": "t", "person": "p", "patient": "pt"}
_SELECTED = ", ".join(f"{_FROM[c.table.name]}.{c.name}" for c in _COLUMNS)
_TYPES = {name: Thread.due_at.type for name in ("now", "since", "until", "at")}


@dataclass(frozen=True)
class _Shape:
    """What makes the text of a list's statement; the values come with each request."""

    dialect: str
    branches: int  # 0: few threads, of some patients or of a claim
    stretch: Stretch
    is_reversed: bool
    is_beyond: bool
    given: frozenset[str]  # what of Wanted


@lru_cache(maxsize=512)
def _list(shape: _Shape) -> Any:
    """The statement of a list page. Text, because building and hashing it each time costs more than running it."""
    by, given = shape.stretch.by, shape.given
    direction = "ASC" if shape.stretch.is_up != shape.is_reversed else "DESC"
    wrote = _SENT.by if "sent" in given else _RECEIVED.by
    yes = " = 1" if shape.dialect == "sqlite" else ""
    is_box = given.isdisjoint({"sent", "closed_too", "unread"})
    conditions = {
        f"{by} IS NOT NULL": True,
        "patient_id != :own_patient": True,
        f"is_in_box{yes}": is_box,
        "removed_at IS NULL": not is_box,
        "due_at IS NULL": shape.stretch.is_rest,
        f"({by}, id) {'>' if direction == 'ASC' else '<'} (:at, :id)": shape.is_beyond,
        f"is_unread{yes}": "unread" in given,
        f"has_emergency_words{yes}": "urgent" in given,
        "due_at IS NOT NULL AND due_at < :now": "late" in given,
        "claimed_by_id = :claimed_by AND claimed_until > :now": "claimed_by" in given,
        f"{wrote} >= :since": "since" in given,
        f"{wrote} < :until": "until" in given,
        "patient_id IN :patients": "patients" in given,
    }
    where = " AND ".join(text for text, holds in conditions.items() if holds)
    first = f"ORDER BY {by} {direction}, id {direction} LIMIT {PAGE + 1}"
    if shape.branches:
        branches = [f"audience_id = :a{i}" for i in range(min(shape.branches, MOST_BRANCHES))]
        branches += ["audience_id IN :audiences"] if shape.branches > MOST_BRANCHES else []
        found = " UNION ALL ".join(
            f"SELECT * FROM (SELECT id, {by} FROM thread WHERE {branch} AND {where} {first}) AS b{i}"
            for i, branch in enumerate(branches)
        )
        source = f"SELECT id FROM ({found}) AS u {first}"
    else:
        source = f"SELECT id FROM thread WHERE audience_id IN :audiences AND {where} {first}"
    text = (
        f"SELECT {_SELECTED}, t.{_RECEIVED.by if by == 'due_at' else by} AS at, c.last_name AS claimer_last_name,"
        f" c.first_name AS claimer_first_name FROM ({source}) AS f JOIN thread t ON t.id = f.id"
        " JOIN person p ON p.id = t.patient_id JOIN patient pt ON pt.id = t.patient_id"
        f" LEFT JOIN person c ON c.id = t.claimed_by_id ORDER BY t.{by} {direction}, t.id {direction}"
    )
    bound: list[sa.BindParameter[Any]] = [sa.bindparam(name, type_=kind) for name, kind in _TYPES.items() if f":{name}" in text]
    bound += [sa.bindparam(name, expanding=True) for name in ("audiences", "patients") if f":{name}" in text]
    claimer = sa.column("claimer_last_name", sa.String), sa.column("claimer_first_name", sa.String)
    named = (*(sa.column(c.name, c.type) for c in _COLUMNS), sa.column("at", Thread.due_at.type), *claimer)
    return sa.text(text).bindparams(*bound).columns(*named)


def threads_for(audiences: list[int], *, own_patient: int, wanted: Wanted = Wanted(), place: Place | None = None) -> Page:
    """A page of threads of these audiences. Rows have the columns of thread, person, patient and claimer, and `at`: when the
    patient wrote last, in a list of what was sent the practice (UTC)."""
    if not audiences or wanted.patients == ():
        return Page([], False, False)
    stretches = _stretches(wanted)
    is_newer = place is not None and place.is_newer
    if place:
        stretches = stretches[: place.stretch + 1][::-1] if is_newer else stretches[place.stretch :]
    found: list[Any] = []
    for number, stretch in enumerate(stretches):
        found += _rows(audiences, own_patient, wanted, stretch, is_newer, place if number == 0 else None)
        if len(found) > PAGE:
            break
    return page_of(found, place)


def _rows(
    audiences: list[int], own_patient: int, wanted: Wanted, stretch: Stretch, is_reversed: bool, place: Place | None
) -> list[Any]:
    given = {name: value for name, value in vars(wanted).items() if value not in (None, False)}
    is_narrow = not given.keys().isdisjoint({"patients", "claimed_by"})
    dialect = db.session.get_bind().dialect.name
    shape = _Shape(dialect, 0 if is_narrow else len(audiences), stretch, is_reversed, place is not None, frozenset(given))
    values = given | {"own_patient": own_patient, "now": now()}
    if is_narrow:
        values["audiences"] = audiences
    else:
        values |= {f"a{i}": audience for i, audience in enumerate(audiences[:MOST_BRANCHES])}
        if len(audiences) > MOST_BRANCHES:
            values["audiences"] = audiences[MOST_BRANCHES:]
    if place:
        values |= {"at": place.at, "id": place.id}
    return list(read(_list(shape), values).all())


JUST_NOW = timedelta(minutes=10)  # so long whoever answered or closed a message is on the way to the next one


def place_in_box(key: str, audiences: list[int], *, wanted: Wanted, is_newer: bool) -> Place | None:
    """Where a page begins, by the key of the row it lies beyond; None, the first page, for a row that is not there any more."""
    stretches = _stretches(wanted)
    columns = [getattr(Thread, stretch.by) for stretch in stretches]
    found = sa.select(Thread.id, Thread.last_staff_message_at, Thread.closed_at, *columns)
    row = db.session.execute(found.where(Thread.key == key, Thread.audience_id.in_(audiences), columns[-1].is_not(None))).first()
    if row is None:
        return None
    row_id, answered_at, closed_at, *at = row
    number = next(number for number, value in enumerate(at) if value is not None)
    is_handled = any(done and done > now() - JUST_NOW for done in (answered_at, closed_at))
    return Place(at[number], row_id, is_newer, number, is_handled)


def neighbour(place: Place, audiences: list[int], *, own_patient: int, wanted: Wanted) -> str | None:
    """The key of the thread that stands next to this place of the list, before it where the place `is_newer`; None: none does.

    Where what is due comes first, whatever was answered or closed just now is followed by what is due next.
    """
    if place.stretch and place.is_handled and not place.is_newer:
        first = threads_for(audiences, own_patient=own_patient, wanted=wanted).rows[:1]
        if first and first[0].due_at is not None:
            return str(first[0].key)
    rows = threads_for(audiences, own_patient=own_patient, wanted=wanted, place=place).rows
    return str(rows[-1 if place.is_newer else 0].key) if rows else None


# ---- Numbers and what stands beside a row ----------------------------------------------------------

MOST_COUNTED = 100  # a number beyond is "99+"
_COUNTED = "patient_id != :own_patient AND removed_at IS NULL"


def marked_counts(audiences: list[int], *, person: int, own_patient: int) -> tuple[int, int, int]:
    """How many threads of these audiences are past the promise, hold words of an emergency, are claimed by this person; at most
    100 each."""
    dialect = db.session.get_bind().dialect.name
    among = json.dumps(audiences) if dialect == "sqlite" else audiences  # one value: the statement stays the same for everybody
    row = read(_marked(dialect), {"audiences": among, "own_patient": own_patient, "person": person, "now": now()}).one()
    return row[0], row[1], row[2]


@lru_cache(maxsize=2)
def _marked(dialect: str) -> Any:
    """On PostgreSQL each audience is looked up by itself: beside a LIMIT its planner reads what is due of the whole practice."""
    is_sqlite = dialect == "sqlite"
    yes = " = 1" if is_sqlite else ""
    found = (
        "SELECT 1 FROM thread INDEXED BY {index} WHERE audience_id IN (SELECT value FROM json_each(:audiences)) AND {which}"
        if is_sqlite
        else "SELECT 1 FROM unnest(CAST(:audiences AS INTEGER[])) AS mine (id), LATERAL"
        f" (SELECT 1 FROM thread WHERE audience_id = mine.id AND {{which}} LIMIT {MOST_COUNTED}) AS found"
    )
    counted = (
        f"(SELECT count(*) FROM ({found.format(which=which, index=index)} LIMIT {MOST_COUNTED}) AS counted)"
        for which, index in (
            (f"due_at IS NOT NULL AND due_at < :now AND {_COUNTED}", "ix_thread_due_first"),
            (f"has_emergency_words{yes} AND {_COUNTED}", "ix_thread_emergency"),
            (f"claimed_by_id = :person AND claimed_until > :now AND is_in_box{yes} AND {_COUNTED}", "ix_thread_claimed"),
        )
    )
    return sa.text(f"SELECT {', '.join(counted)}").bindparams(sa.bindparam("now", type_=Thread.due_at.type))


def newest_answers(threads: list[int]) -> dict[int, Any]:
    """Of each of these threads the practice's newest message: its communicator's title, its author's names, when it was sent,
    and `read_at`, when the patient read it, or None."""
    newest = (
        sa.select(Message.id)
        .where(Message.thread_id == Thread.id, ~Message.is_from_patient, STANDS)
        .order_by(Message.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    ids = sa.select(newest).where(Thread.id.in_(threads))
    read_at = sa.case((Thread.patient_read_at >= Message.sent_at, Thread.patient_opened_at)).label("read_at")
    columns = (Message.thread_id, Message.communicator_title, Message.sent_at, read_at, Person.last_name, Person.first_name)
    found = sa.select(*columns).join(Person, Person.id == Message.author_id).join(Thread, Thread.id == Message.thread_id)
    return {row.thread_id: row for row in db.session.execute(found.where(Message.id.in_(ids)))}


def own_unread(audiences: list[int], patient: int) -> int:
    """How many unread threads of these audiences are the person's own, as a patient: not counted for them."""
    if not patient:
        return 0
    own = sa.select(sa.func.count()).where(Thread.patient_id == patient, Thread.is_unread, Thread.audience_id.in_(audiences))
    return db.session.scalar(own) or 0
