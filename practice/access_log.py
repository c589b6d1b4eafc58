"""Who opened what of a patient's record, for the patient to read: documents, copies that were taken, and messages.

Staff's looks at documents and copies are rows of the audit, which is sealed and shown to admins too; looks at messages are rows
of the read log, and openings with a reason stand in the thread's history.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from practice.audit import note
from practice.db import Actor, Audit, db, now
from practice.own_account import looks_at
from practice.patients import PatientMerge
from practice.people import Person, Staff
from practice.records import RecordDocument
from practice.threads import PAGE
from practice.trail import EPOCH, RECORDS, VIEWED

LIST, PRINT = "documents", "print"
"""What of a record can be opened besides a document, which its key names."""

_VIEWED_THIS_HOUR = sa.select(sa.literal(1)).where(
    Audit.patient_id == sa.bindparam("patient"),
    Audit.actor_id == sa.bindparam("person"),
    Audit.did == VIEWED,
    Audit.about == sa.bindparam("what"),
    Audit.at >= sa.bindparam("since"),
)


def note_view(patient: int, what: str, *, by: Actor) -> None:
    """Writes down that staff looked at something of a record, once an hour for each person and thing (45 CFR 164.312(b)).

    To be called before anything of it is shown: if it fails, nothing is.
    """
    hour = now().replace(minute=0, second=0, microsecond=0)
    asked = {"patient": patient, "person": by.person, "what": what, "since": hour}
    if db.session.connection().execute(_VIEWED_THIS_HOUR.limit(1), asked).first() is None:
        note(by=by, did="view_record", about=what, patient=patient)


# ---- The patient's list --------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """Beyond which row a page begins, as its address says it."""

    at: datetime
    tie: str
    is_newer: bool = False


@dataclass(frozen=True)
class Lines:
    rows: list[Any]
    has_newer: bool
    has_older: bool


def place_at(text: str, *, is_newer: bool = False) -> Place | None:
    """The place that an address names; None for what names none."""
    found = re.fullmatch(r"([0-9]{1,17})\.([\w-]{1,64})", text, re.ASCII)
    return Place(EPOCH + timedelta(microseconds=int(found[1])), found[2], is_newer) if found else None


def place_of(row: Any) -> str:
    return f"{(row.at - EPOCH) // timedelta(microseconds=1)}.{row.tie}"


def views_of(patient: int, place: Place | None = None) -> Lines:
    """A page of what was opened, the newest first. Looks of one person at one thing within an hour are one.

    Rows: at; did: one of RECORDS, or empty for a message; about: the thing's name or key; title: of the document (None
    where it is not in the record any more) or message; the reader's names and level; is_mine: the patient themselves;
    is_with_reason: an admin who is not in charge; document_key: where the patient can open it.
    """
    found = _lines(patient, place)
    rows = list(db.session.execute(found))
    is_more, rows = len(rows) > PAGE, rows[:PAGE]
    if place is not None and place.is_newer:
        return Lines(rows[::-1], is_more, has_older=True)
    return Lines(rows, place is not None, is_more)


def _lines(patient: int, place: Place | None) -> sa.Select[Any]:
    looks = looks_at(patient).subquery()
    both = sa.union_all(
        sa.select(
            looks.c.at,
            sa.literal("").label("did"),
            looks.c.key.label("about"),
            looks.c.title,
            looks.c.last_name,
            looks.c.first_name,
            looks.c.level,
            sa.literal(False).label("is_mine"),
            looks.c.is_with_reason,
            sa.null().label("document_key"),
            (looks.c.person_key + looks.c.key).label("tie"),
        ),
        _views(patient),
    ).subquery()
    found = sa.select(both)
    if place is not None:
        here, there = sa.tuple_(both.c.at, both.c.tie), sa.tuple_(place.at, place.tie)
        found = found.where(here > there if place.is_newer else here < there)
    is_newer = place is not None and place.is_newer
    order = (column.asc() if is_newer else column.desc() for column in (both.c.at, both.c.tie))
    return found.order_by(*order).limit(PAGE + 1)


def _views(patient: int) -> sa.Select[Any]:
    """Of documents and copies; an account that became part of this one brings its rows along."""
    is_there = RecordDocument.saved_at.is_not(None)
    merged = sa.select(PatientMerge.merged_id).where(PatientMerge.kept_id == patient, PatientMerge.undone_at.is_(None))
    patients = [patient, *db.session.scalars(merged)]
    return (
        sa.select(
            Audit.at,
            Audit.did,
            Audit.about,
            sa.case((is_there, sa.func.coalesce(sa.func.nullif(RecordDocument.title, ""), RecordDocument.name))).label("title"),
            Person.last_name,
            Person.first_name,
            Staff.level,
            Person.id.in_(patients).label("is_mine"),
            sa.literal(False).label("is_with_reason"),
            sa.case((is_there, RecordDocument.key)).label("document_key"),
            (Person.key + Audit.about).label("tie"),
        )
        .join(Person, Person.id == Audit.actor_id)
        .outerjoin(Staff, Staff.id == Person.id)
        .outerjoin(RecordDocument, RecordDocument.key == Audit.about)
        .where(Audit.patient_id.in_(patients), Audit.did.in_(RECORDS))
    )
