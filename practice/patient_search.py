"""Patients searched for by keys that an index serves: names by how they begin, the rest as a whole."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from practice.db import db
from practice.people import Kind, Patient, Person, email_key, fold, phone_key


@dataclass(frozen=True)
class PatientSearch:
    """What is searched for; all of it must fit. `last` may go on with the first name, as a list shows it."""

    last: str = ""
    first: str = ""
    dob: date | None = None
    phone: str = ""
    email: str = ""
    record_number: str = ""


BEYOND = "\U0010ffff"  # what begins like a text stands before the text with this behind it
_HAS: dict[str, sa.ColumnElement[bool]] = {
    "record_number": Patient.record_number == sa.bindparam("record_number"),
    "phone": Patient.phone_key == sa.bindparam("phone"),
    "dob": Patient.dob == sa.bindparam("dob"),
    "email": Person.email_key == sa.bindparam("email"),
    "last": sa.and_(Person.name_key >= sa.bindparam("last"), Person.name_key < sa.bindparam("last_end")),
    "first": sa.and_(Person.first_key >= sa.bindparam("first"), Person.first_key < sa.bindparam("first_end")),
}


def patient_keys(search: PatientSearch) -> dict[str, Any] | None:
    """What was said, folded as it is kept; None where nobody can fit."""
    sought: dict[str, Any] = {}
    for name, said, key in (
        ("record_number", search.record_number, search.record_number.strip()),
        ("phone", search.phone, phone_key(search.phone)),
        ("dob", search.dob, search.dob),
        ("email", search.email, email_key(search.email)),
        ("last", search.last, fold(search.last.replace(",", " "))),
        ("first", search.first, fold(search.first.replace(",", " "))),
    ):
        if said and not key:
            return None
        if said:
            sought[name] = key
    return sought


def values_of(sought: dict[str, Any]) -> dict[str, Any]:
    return sought | {f"{name}_end": sought[name] + BEYOND for name in ("last", "first") if name in sought}


def patients_like(search: PatientSearch, *, limit: int) -> list[int]:
    """Ids of at most `limit` patients who fit all that was said. One statement, none where nobody can fit."""
    sought = patient_keys(search)
    if not sought:
        return []
    return list(db.session.connection().scalars(_ids(tuple(sought)), values_of(sought) | {"limit": limit}))


@lru_cache(maxsize=64)
def _ids(names: tuple[str, ...]) -> Any:
    return patients_with(sa.select(Patient.id), names).limit(sa.bindparam("limit"))


def patients_with(found: Any, names: Iterable[str]) -> Any:
    """A statement over patients, joined to the people they are, narrowed to those who have these keys: `values_of` gives them."""
    found = found.join(Person, Person.id == Patient.id).where(*(_HAS[name] for name in names))
    if {"dob", "phone", "record_number"}.isdisjoint(names):
        # All in the join are patients. Said only here, it opens the indexes by name; else few rows are found and sorted,
        # while SQLite would rather read all names in their order.
        found = found.where(Person.kind == Kind.PATIENT)
    return found
