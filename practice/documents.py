"""What a medical document says, whichever format it came in: what every reader of documents makes.

Nothing here or in the readers touches the database; the file itself is never changed.
"""

import re
from collections.abc import Mapping, Sized
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

from practice.errors import Refused

SIZE_MAX = 10 * 1024 * 1024  # bytes
ENTRIES_MAX = 10_000  # of one document, with what is not read: more would hold up whoever else writes
TEXT_MAX = 2000  # code points of one value; what is longer is cut
SHORT = 60  # code points
EARLIEST = 1850  # nobody alive was anything before
LATEST = 2200


class Section(StrEnum):
    PATIENT = "Patient Information"
    CONTACT = "Contact"
    DEMOGRAPHIC = "Demographic"
    PROVIDER = "Provider Information"
    ALLERGY = "Drug Allergy"
    MEDICATION = "Medication"
    PROBLEM = "Problem"
    CARE_TEAM = "Care Team Members"
    PROCEDURE = "Procedures"
    FUNCTIONAL = "Functional and Cognitive Status"
    IMMUNIZATION = "Immunization"
    VITALS = "Vital Signs"
    LAB = "Lab Results"
    CARE_PLAN = "Care Plan"
    SOCIAL = "Social History"
    ENCOUNTER = "Encounters"
    GOAL = "Goals"


class Kind(StrEnum):
    CCDA = "C-CDA"
    FHIR = "FHIR"


class Unreadable(Refused):
    """The file is not taken; the text is a sentence of the catalogue."""

    status = 422


@dataclass(frozen=True)
class Note:
    """What people should know of a document that was read all the same: a sentence of the catalogue and its values."""

    text: str
    values: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.text % self.values if self.values else self.text


@dataclass(frozen=True)
class Patient:
    """Whom the document is of. `gender` is F, M, or O for any other that is a gender; empty where it says none we know."""

    last: str = ""
    first: str = ""
    middle: str = ""
    dob: date | None = None
    dob_text: str = ""
    gender: str = ""
    identifiers: tuple[tuple[str, str], ...] = ()
    """Who gave it (OID or address), and the number."""


@dataclass(frozen=True)
class Entry:
    section: Section
    name: str
    value: str = ""
    unit: str = ""
    number: float | None = None
    low: float | None = None
    """With `high` the normal range, in `unit`."""
    high: float | None = None
    recorded_on: date | None = None
    recorded_text: str = ""
    """What stands there instead where that is no whole date: "2012", "00000000"."""
    code: str = ""
    code_system: str = ""
    status: str = ""
    path: str = ""
    """Where in the file: an XPath without prefixes, or a JSON Pointer (RFC 6901)."""

    @property
    def is_readable(self) -> bool:
        """Whether its name is words, not a bare code."""
        return self.name != self.code and any(letter.isalpha() for letter in self.name)


@dataclass(frozen=True)
class Unread:
    """What the document holds and no section shows; `reason`: a sentence of the catalogue, where it is no fact of the patient."""

    what: str
    path: str
    reason: str = ""


@dataclass(frozen=True)
class Document:
    kind: Kind
    title: str
    made_on: date | None
    maker: str
    patient: Patient
    sections: Mapping[Section, list[Entry]]
    """All of them in their order, empty ones too."""
    unread: tuple[Unread, ...] = ()
    notes: tuple[Note, ...] = ()
    is_own: bool = False
    """An export of a portal like this one: it says who the patient is as the account does."""

    @property
    def entries(self) -> list[Entry]:
        return [entry for entries in self.sections.values() for entry in entries]


OTHER_PATIENT = "It is of another patient, or does not say of whom."
OF_RELATIVE = "It is of a relative, not of the patient."
ENTERED_IN_ERROR = "It was entered in error."
CALLED_OFF = "It was called off, or is not to be done."

NOT_PRESENT, NOT_GIVEN, NOT_TAKEN, NOT_DONE = "Not present", "Not given", "Not taken", "Not done"
NEGATED = (NOT_PRESENT, NOT_GIVEN, NOT_TAKEN, NOT_DONE)
"""The value of what a document says is not so."""

NO_NAME = Note("The document does not say the patient's name.")
UNKNOWN_GENDER = "The document says a gender that is not known (%(code)s). It was left out."
NO_BIRTH_DATE = Note("The document does not say a birth date that can be read.")


NO_DATE = "A date is none that there can be (%(text)s). Such dates are kept as they are written."
_PART_OF_DATE = re.compile(r"(\d{4})(-?(0[1-9]|1[0-2]))?([+-]\d{4})?")


def must_be_few(*found: Sized) -> None:
    """Asked while reading, so that much is refused before all of it is read. Raises Unreadable."""
    if sum(map(len, found)) > ENTRIES_MAX:
        raise Unreadable("This document has more than 10,000 entries. Ask for a part of it, such as the last years.")


def notes_on(patient: Patient, entries: list[Entry]) -> list[Note]:
    notes = [NO_NAME] * (not (patient.last or patient.first)) + [NO_BIRTH_DATE] * (patient.dob is None)
    wrong = (entry.recorded_text for entry in entries if entry.recorded_text[:4].isdecimal() and _is_wrong(entry.recorded_text))
    first = next(wrong, "")
    return notes + [Note(NO_DATE, {"text": short(first)})] * bool(first)


def _is_wrong(date_text: str) -> bool:
    """Not one of which only the year or the month is said."""
    part = _PART_OF_DATE.fullmatch(date_text)
    return part is None or not EARLIEST <= int(part[1]) <= LATEST


def in_sections(entries: list[Entry]) -> dict[Section, list[Entry]]:
    found: dict[Section, list[Entry]] = {section: [] for section in Section}
    for entry in entries:
        found[entry.section].append(entry)
    return found


def words(text: Any) -> str:
    """Text on one line, not longer than a value may be; empty for what is no text."""
    if not isinstance(text, str):
        return ""
    if "\0" in text or not text.isascii():
        text = _NO_TEXT.sub("", text)
    return " ".join(text.split())[:TEXT_MAX]


def short(text: str) -> str:
    """A code or date of a document, for a sentence about it."""
    return text if len(text) <= SHORT else f"{text[:SHORT]}…"


_NO_TEXT = re.compile("[\0\ud800-\udfff]")  # no database takes it
_NUMBER = re.compile(r"[-+]?\d{1,15}(\.\d{1,15})?|[-+]?\.\d{1,15}")
_MEASURED = re.compile(r"([-+]?\d{1,15}(?:\.\d{1,15})?) *([^\d,;]{0,40})")
_DATE = re.compile(r"(\d{4})(-?)(\d\d)\2(\d\d)")


def number(text: Any) -> float | None:
    """A plain decimal number; None for anything else, also for what Python would take (nan, 1_000)."""
    text = str(text).strip() if isinstance(text, str | int | float) and not isinstance(text, bool) else ""
    return float(text) if _NUMBER.fullmatch(text) else None


def measured(text: str) -> tuple[float | None, str]:
    """Number and unit of what somebody wrote, such as "68.4 kg"; nothing of what says more ("128 over 82 mmHg")."""
    parts = _MEASURED.fullmatch(text.strip())
    return (float(parts[1]), parts[2].strip()) if parts else (None, "")


def day(text: str) -> tuple[date | None, str]:
    """The date that a time of HL7 V3 (20120815103000-0500) or FHIR begins with, and the text where there is no whole one."""
    text = words(text)
    parts = _DATE.match(text)
    try:
        found = date(int(parts[1]), int(parts[3]), int(parts[4])) if parts else None
    except ValueError:
        found = None
    return (None, text) if found is None or not EARLIEST <= found.year <= LATEST else (found, "")
