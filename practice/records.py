"""The patient's record as the practice has it, value by value: what My Info shows."""

from datetime import date
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from practice.db import Model, choice, db
from practice.errors import NotVisible
from practice.people import Patient, Person


class Section(StrEnum):
    PATIENT = "Patient Information"
    ALLERGY = "Drug Allergy"
    MEDICATION = "Medication"
    PROBLEM = "Problem"
    IMMUNIZATION = "Immunization"
    VITALS = "Vital Signs"
    LAB = "Lab Results"


class RecordValue(Model):
    """One value of the record: "Vital Signs, Height, 165 cm"."""

    __tablename__ = "record_value"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(22), unique=True)
    patient_id: Mapped[int] = mapped_column(sa.ForeignKey("patient.id"))
    section: Mapped[Section] = mapped_column(choice(Section))
    name: Mapped[str] = mapped_column(sa.String(200))
    value: Mapped[str] = mapped_column(sa.String(500))
    note: Mapped[str] = mapped_column(sa.String(200))
    recorded_on: Mapped[date | None]
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


def record_of(patient: int) -> dict[Section, list[RecordValue]]:
    """All sections in their order, empty ones too."""
    found: dict[Section, list[RecordValue]] = {section: [] for section in Section}
    for value in db.session.scalars(sa.select(RecordValue).where(RecordValue.patient_id == patient).order_by(RecordValue.id)):
        found[value.section].append(value)
    return found


def value_of(session: Session, key: str, patient: int) -> RecordValue:
    """A value of this patient's record. Raises NotVisible."""
    value = session.scalar(sa.select(RecordValue).where(RecordValue.key == key, RecordValue.patient_id == patient))
    if value is None:
        raise NotVisible
    return value
