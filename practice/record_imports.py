"""Medical documents into the record: brought, looked at, and then saved whole or not at all. Only in Meaningful Use mode.

The file is kept as it came; each value says from which document, and from which place in it, it is. What the record says
already is not said twice, and an accepted correction stays: what a later document says of that value stands beside it.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, BinaryIO

import sqlalchemy as sa
from sqlalchemy.orm import Session

from practice.attachments import scanned
from practice.clinical_codes import system_of
from practice.content import clean_name
from practice.db import Actor, Transaction, db, delete_some, new_key, now, transaction
from practice.documents import Document, Entry, Kind, Section, Unreadable
from practice.errors import Invalid, NotVisible, Stale, TooMany
from practice.files import FileState, Stored, delete_bytes, path_of, stored
from practice.people import Patient, Person, fold
from practice.reading import read
from practice.records import RecordDocument, RecordValue
from practice.settings import MenuItem, SwitchedOff, is_on, the_practice

NOT_SAVED_MAX = 20  # of one person
A_DAY_MAX = 50  # that a patient brings
KEPT = timedelta(days=1)  # what is not saved
REASON_MAX = 500
ENDINGS = {Kind.CCDA: (".xml", ".ccda", ".cda", ".ccd"), Kind.FHIR: (".json", ".ndjson")}

ONCE_EACH = {
    Section.PROCEDURE, Section.IMMUNIZATION, Section.FUNCTIONAL, Section.VITALS, Section.LAB, Section.ENCOUNTER
}  # fmt: skip
"""Sections of what happens again: two values of one name are of one thing only where they are of one day."""

ON, PAUSED, OVER = "on", "paused", "over"
STAND = {Section.ALLERGY, Section.MEDICATION, Section.PROBLEM, Section.CARE_PLAN, Section.GOAL}
"""Sections of what goes on until it is over: that it is, is news. What was measured or done is over always."""
STANDINGS = (
    dict.fromkeys(("active", "in-progress", "recurrence", "relapse"), ON)
    | dict.fromkeys(("on-hold", "suspended"), PAUSED)
    | dict.fromkeys(("completed", "stopped", "aborted", "ended", "inactive", "remission", "resolved"), OVER)
)
"""How the states of FHIR and of C-CDA say so; the others say nothing of it."""


class Doubt(StrEnum):
    """Why a document may be of somebody else."""

    OTHER_NAME = "other name"
    NO_NAME = "no name"
    OTHER_DOB = "other date of birth"
    NO_DOB = "no date of birth"


@dataclass(frozen=True)
class Against:
    """What a document says of a value that was corrected; `value`: the row of what the record says."""

    entry: Entry
    value: Any


@dataclass(frozen=True)
class Plan:
    """What saving a document would do to the record. `seen`: a fingerprint of the record that this was made from."""

    document: Document
    doubts: list[Doubt]
    new: dict[Section, list[Entry]]
    known: dict[Section, list[Entry]]  # the record says so already, or the document says it twice
    against: list[Against]
    seen: str


# ---- Bringing ------------------------------------------------------------------------------------


def bring(patient: int, *, name: str, stream: BinaryIO, form_key: str, by: Actor) -> str:
    """Keeps a document, to be looked at before anything of it is saved. Answers its key, which is the form's.

    `name`: as its owner calls the file. The same form again is done once. Raises SwitchedOff, TooLarge, TooMany, and Invalid:
    why it cannot be read, that the record has this very document, or that too many are not saved.
    """
    _must_be_on(db.session(), patient, by)
    with stored(stream) as bytes_:
        document = _read(bytes_)
        if scanned(bytes_.file) != FileState.CLEAN:
            raise Invalid("file", "The virus scanner does not answer just now. Nothing was taken: try again later.")
        with transaction(by=by, did="bring_document", about=form_key, patient=patient) as tx:
            _wait_for(tx.session, patient)
            if (made := tx.session.scalar(sa.select(RecordDocument).where(RecordDocument.key == form_key))) is not None:
                if (made.by_id, made.patient_id, made.sha256) != (by.person, patient, bytes_.sha256):
                    raise Invalid("file", "This form has brought another file before. Choose this file again.")
                tx.is_silent = True
                return form_key
            _must_be_new(tx.session, patient, bytes_.sha256)
            _must_have_room(tx.session, patient, by)
            tx.details = {"sha256": bytes_.sha256}
            tx.session.add(
                RecordDocument(
                    key=form_key,
                    patient_id=patient,
                    by_id=by.person,
                    is_by_patient=by.person == patient,
                    name=clean_name(name, ENDINGS[document.kind]),
                    size=bytes_.size,
                    sha256=bytes_.sha256,
                    stored_as=bytes_.name,
                    kind=document.kind,
                    title=document.title,
                    maker=document.maker,
                    made_on=document.made_on,
                    at=now(),
                )
            )
            tx.session.flush()
            bytes_.keep()
    return form_key


def _read(bytes_: Stored) -> Document:
    bytes_.file.seek(0)
    try:
        return read(bytes_.file.read())
    except Unreadable as error:
        raise Invalid("file", str(error)) from error


def _must_be_on(session: Session, patient: int, by: Actor) -> None:
    """For patients as the menu says, for staff as long as there is Meaningful Use mode. Raises SwitchedOff."""
    practice = the_practice(session)
    if not (is_on(practice, MenuItem.MY_INFO) if by.person == patient else practice.meaningful_use):
        raise SwitchedOff(MenuItem.MY_INFO)


def _wait_for(session: Session, patient: int) -> None:
    """Two imports into one record come one after the other."""
    session.execute(sa.select(Patient.id).where(Patient.id == patient).with_for_update())


def _must_be_new(session: Session, patient: int, sha256: str) -> None:
    same = RecordDocument.patient_id == patient, RecordDocument.sha256 == sha256, RecordDocument.saved_at.is_not(None)
    if session.scalar(sa.select(RecordDocument.id).where(*same)) is not None:
        raise Invalid("file", "This very document is in the record already. Nothing was imported again.")


def _must_have_room(session: Session, patient: int, by: Actor) -> None:
    since = now() - KEPT
    brought = sa.select(RecordDocument.saved_at).where(RecordDocument.by_id == by.person, RecordDocument.at > since)
    found = list(session.scalars(brought))
    if found.count(None) >= NOT_SAVED_MAX:
        raise Invalid("file", "You have brought 20 documents that are not saved. Save or discard some of them first.")
    if by.person == patient and len(found) >= A_DAY_MAX:
        raise TooMany(int(KEPT.total_seconds()))


# ---- Looking at one ------------------------------------------------------------------------------


def plan_of(document: RecordDocument) -> Plan:
    """Reads its file once more and compares it with the record: two statements. Raises Stale where the file is not what was
    stored."""
    return _plan(db.session(), document.patient_id, _again(document))


def _again(document: RecordDocument) -> Document:
    content = path_of(document.stored_as).read_bytes()
    if hashlib.sha256(content).hexdigest() != document.sha256:
        raise Stale("the file is not what was stored")
    return read(content)


_SAID = sa.select(
    RecordValue.id,
    RecordValue.section,
    RecordValue.name,
    RecordValue.value,
    RecordValue.recorded_on,
    RecordValue.recorded_text,
    RecordValue.code,
    RecordValue.code_system,
    RecordValue.status,
    RecordValue.root_id,
    RecordValue.replaces_id,
    RecordValue.superseded_at,
    RecordValue.corrected_at,
).where(RecordValue.patient_id == sa.bindparam("patient"))


def _plan(session: Session, patient: int, document: Document) -> Plan:
    whose = session.execute(
        sa.select(Person.last_name, Person.first_name, Person.email, Patient.dob, Patient.gender, Patient.phone)
        .join(Patient, Patient.id == Person.id)
        .where(Person.id == patient)
    ).one()
    rows = session.connection().execute(_SAID.order_by(RecordValue.id), {"patient": patient}).all()
    doubts = doubts_on(document, whose)
    # What the record says, or what stands beside it: said again it is nothing new.
    said = {one for row in rows if row.superseded_at is None or _is_beside(row) for one in _said(row)}
    if document.is_own:
        said |= {one for entry in _account(whose) for one in _said(entry)}
    corrected = _corrected(rows)
    plan = Plan(
        document,
        doubts,
        {section: [] for section in Section},
        {section: [] for section in Section},
        [],
        _seen(doubts, [(row.id, row.superseded_at) for row in rows]),
    )
    for entry in document.entries:
        correction = next((corrected[one] for one in _places(entry) if one in corrected), None)
        if (_same(entry), _standing(entry)) in said or (correction and _agree(entry, correction)):
            plan.known[entry.section].append(entry)
        elif correction and _shown(entry) != _shown(correction) and not _is_later(entry, correction):
            plan.against.append(Against(entry, correction))
        else:
            plan.new[entry.section].append(entry)
        said |= _said(entry)
    return plan


def doubts_on(document: Document, whose: Any) -> list[Doubt]:
    """Why the document may be of somebody else than `whose` (a row with last_name, first_name and dob).

    Names are the same where one has all the words of the other: middle names and the order are left to their writers.
    """
    patient = document.patient
    said = set(fold(f"{patient.last} {patient.first} {patient.middle}".replace(",", " ")).split())
    ours = set(fold(f"{whose.last_name} {whose.first_name}".replace(",", " ")).split())
    doubts = []
    if not said:
        doubts.append(Doubt.NO_NAME)
    elif not (said <= ours or ours <= said):
        doubts.append(Doubt.OTHER_NAME)
    if patient.dob is None:
        doubts.append(Doubt.NO_DOB)
    elif patient.dob != whose.dob:
        doubts.append(Doubt.OTHER_DOB)
    return doubts


def _account(whose: Any) -> list[Entry]:
    """What our exports say of the patient by their account."""
    who = ("Last name", whose.last_name), ("First name", whose.first_name), ("Date of birth", whose.dob.isoformat())
    reached = [Entry(Section.CONTACT, "Phone or e-mail", said) for said in (whose.phone, whose.email) if said]
    return [Entry(Section.PATIENT, name, said) for name, said in (*who, ("Gender", whose.gender))] + reached


def _corrected(rows: Sequence[Any]) -> dict[tuple[Any, ...], Any]:
    """What the record says now where something was corrected, by all that it, and what it said before, is found by."""
    now_ = {row.root_id: row for row in rows if row.superseded_at is None and row.root_id}
    versions = ((row, row.root_id or row.id) for row in rows if not _is_beside(row))
    return {place: now_[root] for row, root in versions if root in now_ for place in _places(row)}


def _is_beside(row: Any) -> bool:
    return row.root_id is not None and row.replaces_id is None


def _same(one: Any) -> tuple[Any, ...]:
    """What a value, or an entry of a document, is about, and what it says of that."""
    return one.section, fold(one.name), _day(one), _shown(one)


def _day(one: Any) -> Any:
    """202206 and 2022-06 are one month."""
    return one.recorded_on or one.recorded_text.replace("-", "")


def _shown(one: Any) -> str:
    """What is corrected of it: of what is only a name, that; 1.90 is 1.9."""
    return _ZEROS.sub(r"\1", one.value) if one.value else fold(one.name)


_ZEROS = re.compile(r"(\.\d*[1-9])0+(?!\.?\d)|\.0+(?!\.?\d)")


def _said(one: Any) -> set[tuple[Any, ...]]:
    """All that is known where this is."""
    return {(_same(one), standing) for standing in _known(one)}


def _known(one: Any) -> set[str]:
    """The standings that are no news beside this: its own, and none; what says none may go on."""
    return {_standing(one), _standing(one) or ON, ""}


def _standing(one: Any) -> str:
    return STANDINGS.get(one.status.lower(), "") if one.section in STAND else ""


def _agree(entry: Entry, correction: Any) -> bool:
    return _shown(entry) == _shown(correction) and _standing(entry) in _known(correction)


def _is_later(entry: Entry, correction: Any) -> bool:
    """Another prescription of a medicine that was corrected is none against it."""
    since = correction.recorded_on or correction.corrected_at.date()
    return entry.section is Section.MEDICATION and entry.recorded_on is not None and entry.recorded_on > since


def _places(one: Any) -> list[tuple[Any, ...]]:
    """What it is about, to find corrections by: by name and by code, and by the day only in sections of what happens again."""
    day = _day(one) if one.section in ONCE_EACH else ""
    by_code = [(one.section, system_of(one.code_system), one.code, day)] if one.code and one.code_system else []
    return [(one.section, fold(one.name), day), *by_code]


def _seen(*what: Any) -> str:
    return hashlib.sha256(repr(what).encode()).hexdigest()[:22]


# ---- Saving --------------------------------------------------------------------------------------


def save(key: str, *, patient: int, seen: str, reason: str = "", by: Actor) -> None:
    """All that the document says anew goes into the record, or nothing. Done twice it is done once.

    `seen`: of the plan that whoever saves has looked at. `reason`: why staff save what may be of somebody else; a patient
    cannot. Raises NotVisible, SwitchedOff, Stale where the record is not the one that was seen, Invalid.
    """
    brought = document_of(key, patient=patient, by=by)
    document = _again(brought)  # before anybody has to wait: that is most of the work
    with transaction(by=by, did="save_document", about=key, patient=patient) as tx:
        _must_be_on(tx.session, patient, by)
        _wait_for(tx.session, patient)
        found = tx.session.get(RecordDocument, brought.id)
        if found is None or found.patient_id != patient:
            raise NotVisible
        if found.saved_at is not None:
            tx.is_silent = True
            return
        _must_be_new(tx.session, patient, found.sha256)
        plan = _plan(tx.session, patient, document)
        if plan.seen != seen:
            raise Stale("the record has changed")
        found.reason = _reason(plan, reason.strip(), is_by_patient=by.person == patient)
        found.saved_at = now()
        rows = _rows(plan, found)
        if rows:
            tx.session.execute(sa.insert(RecordValue), rows)
        _note(tx, found, plan)


def _reason(plan: Plan, reason: str, *, is_by_patient: bool) -> str:
    if not plan.doubts:
        return ""
    if is_by_patient:
        raise Invalid("reason", "This document may be of somebody else. Ask the practice to import it for you.")
    if not reason:
        raise Invalid("reason", "Say why this document is of this patient all the same.")
    if len(reason) > REASON_MAX:
        raise Invalid("reason", "Use at most 500 characters.")
    return reason


def _rows(plan: Plan, document: RecordDocument) -> list[dict[str, Any]]:
    shared = {"patient_id": document.patient_id, "document_id": document.id, "note": ""}
    nothing = {"root_id": None, "superseded_at": None}
    new = [(entry, nothing) for entries in plan.new.values() for entry in entries]
    beside = [(one.entry, {"root_id": one.value.root_id, "superseded_at": document.saved_at}) for one in plan.against]
    return [{"key": new_key(), **shared, **_columns(entry), **place} for entry, place in [*new, *beside]]


def _columns(entry: Entry) -> dict[str, Any]:
    names = (
        "section", "name", "value", "unit", "number", "low", "high", "recorded_on", "recorded_text",
        "code", "code_system", "status", "path",
    )  # fmt: skip
    return {name: getattr(entry, name) for name in names}


def _note(tx: Transaction, document: RecordDocument, plan: Plan) -> None:
    tx.details = {"sha256": document.sha256, "values": sum(map(len, plan.new.values())), "beside": len(plan.against)}
    if document.reason:
        tx.details |= {"reason": document.reason, "doubts": plan.doubts}


def discard(key: str, *, patient: int, by: Actor) -> None:
    """What is not saved is deleted, its file too. Raises NotVisible."""
    with transaction(by=by, did="discard_document", about=key, patient=patient) as tx:
        mine = RecordDocument.key == key, RecordDocument.patient_id == patient, RecordDocument.by_id == by.person
        found = tx.session.scalar(sa.select(RecordDocument).where(*mine, RecordDocument.saved_at.is_(None)).with_for_update())
        if found is None:
            raise NotVisible
        tx.details, name = {"sha256": found.sha256}, found.stored_as
        tx.session.delete(found)
    delete_bytes([name])


def forget_documents(session: Session) -> int:
    """Deletes those that nobody saved for a day; the sweep deletes their files. Answers how many."""
    return delete_some(session, RecordDocument, sa.text("saved_at IS NULL"), RecordDocument.at < now() - KEPT)


# ---- Questions -----------------------------------------------------------------------------------


def document_of(key: str, *, patient: int, by: Actor) -> RecordDocument:
    """A document of this patient's record, or one that whoever asks has brought for it. Raises NotVisible."""
    there = sa.or_(RecordDocument.saved_at.is_not(None), RecordDocument.by_id == by.person)
    of_patient = RecordDocument.key == key, RecordDocument.patient_id == patient
    found = db.session.scalar(sa.select(RecordDocument).where(*of_patient, there))
    if found is None:
        raise NotVisible
    return found


def documents_of(patient: int, *, by: Actor, limit: int, before: str = "", after: str = "") -> list[RecordDocument]:
    """The newest first; those that are not saved yet only to whoever brought them.

    `before` and `after`: the key of the document that the list lies beyond. Raises NotVisible where there is none.
    """
    place = sa.tuple_(RecordDocument.at, RecordDocument.id)
    there = sa.or_(RecordDocument.saved_at.is_not(None), RecordDocument.by_id == by.person)
    found = sa.select(RecordDocument).where(RecordDocument.patient_id == patient, there).limit(limit)
    if key := after or before:
        named = document_of(key, patient=patient, by=by)
        beyond = sa.tuple_(sa.literal(named.at, RecordDocument.at.type), sa.literal(named.id))
        found = found.where(place > beyond if after else place < beyond)
    if after:
        return list(db.session.scalars(found.order_by(RecordDocument.at, RecordDocument.id)))[::-1]
    return list(db.session.scalars(found.order_by(RecordDocument.at.desc(), RecordDocument.id.desc())))


def values_of(document: RecordDocument) -> dict[Section, int]:
    """How many values of the record came with a document, of each section that has some."""
    counted = sa.select(RecordValue.section, sa.func.count()).where(RecordValue.document_id == document.id)
    found = {row[0]: row[1] for row in db.session.execute(counted.group_by(RecordValue.section))}
    return {section: found[section] for section in Section if section in found}
