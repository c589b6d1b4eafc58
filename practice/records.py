"""The patient's record as the practice has it, value by value: what My Info shows."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from practice.db import Model, changed, choice, db, new_key, now
from practice.errors import NotVisible, Stale
from practice.people import Patient, Person

VALUE_MAX = 500


class Section(StrEnum):
    PATIENT = "Patient Information"
    ALLERGY = "Drug Allergy"
    MEDICATION = "Medication"
    PROBLEM = "Problem"
    IMMUNIZATION = "Immunization"
    VITALS = "Vital Signs"
    LAB = "Lab Results"


class RecordValue(Model):
    """One version of a value of the record: "Vital Signs, Height, 165 cm". Never overwritten: a correction adds the next one."""

    __tablename__ = "record_value"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(22), unique=True)
    patient_id: Mapped[int] = mapped_column(sa.ForeignKey("patient.id"))
    section: Mapped[Section] = mapped_column(choice(Section))
    name: Mapped[str] = mapped_column(sa.String(200))
    value: Mapped[str] = mapped_column(sa.String(VALUE_MAX))
    note: Mapped[str] = mapped_column(sa.String(200))
    recorded_on: Mapped[date | None]
    replaces_id: Mapped[int | None] = mapped_column(sa.ForeignKey("record_value.id"), unique=True)  # the version before
    amendment_thread_id: Mapped[int | None] = mapped_column(sa.ForeignKey("thread.id"))  # where the patient asked for it
    corrected_at: Mapped[datetime | None]  # when this version came
    superseded_at: Mapped[datetime | None]  # when the next one came; None: the record says this
    __table_args__ = (sa.Index(None, "patient_id", "section", "id"),)


def account_of(patient: int) -> Any:
    """A patient's own data as the practice has them: a row with the columns of person and patient. Raises NotVisible."""
    columns = (
        Person.last_name,
        Person.first_name,
        Person.email,
        Patient.dob,
        Patient.gender,
        Patient.phone,
        Patient.record_number,
    )
    found = sa.select(*columns).join(Patient, Patient.id == Person.id).where(Person.id == patient)
    row = db.session.execute(found).first()
    if row is None:
        raise NotVisible
    return row


@dataclass(frozen=True)
class Record:
    """What the record says: all sections in their order, empty ones too; and of each corrected value (its row's id) the
    versions before, the last one first."""

    sections: dict[Section, list[RecordValue]]
    former: dict[int, list[RecordValue]]


def record_of(patient: int) -> Record:
    """A corrected value stands where the first version stood. One statement."""
    values = list(db.session.scalars(sa.select(RecordValue).where(RecordValue.patient_id == patient).order_by(RecordValue.id)))
    by_id = {value.id: value for value in values}
    sections: dict[Section, list[tuple[int, RecordValue]]] = {section: [] for section in Section}
    former: dict[int, list[RecordValue]] = {}
    for value in values:
        if value.superseded_at is not None:
            continue
        before, one = [], by_id.get(value.replaces_id or 0)
        while one is not None:
            before.append(one)
            one = by_id.get(one.replaces_id or 0)
        if before:
            former[value.id] = before
        sections[value.section].append((before[-1].id if before else value.id, value))
    in_order = {name: [value for _, value in sorted(found, key=lambda one: one[0])] for name, found in sections.items()}
    return Record(in_order, former)


def value_of(session: Session, key: str, patient: int) -> RecordValue:
    """A version of a value of this patient's record. Raises NotVisible."""
    value = session.scalar(sa.select(RecordValue).where(RecordValue.key == key, RecordValue.patient_id == patient))
    if value is None:
        raise NotVisible
    return value


def current_of(session: Session, version: int) -> RecordValue:
    """What the record says now where it once said this version (its row's id)."""
    value = session.get_one(RecordValue, version)
    while value.superseded_at is not None:
        value = session.scalars(sa.select(RecordValue).where(RecordValue.replaces_id == value.id)).one()
    return value


def replace(session: Session, value: RecordValue, says: str, *, thread: int) -> None:
    """Adds the next version, as the patient asked in `thread`. Raises Stale when another correction was faster."""
    at = now()
    still = sa.update(RecordValue).where(RecordValue.id == value.id, RecordValue.superseded_at.is_(None))
    if not changed(session, still.values(superseded_at=at)):
        raise Stale("the value was corrected")
    kept = {name: getattr(value, name) for name in ("patient_id", "section", "name", "note", "recorded_on")}
    versions = {"replaces_id": value.id, "amendment_thread_id": thread, "corrected_at": at}
    session.add(RecordValue(key=new_key(), value=says, **kept, **versions))
    session.flush()
