"""The whole of a patient's record, to take along: what every format of it is written from (fhir_export.py, ccda_export.py).

The words here are English, whatever language the reader has: the files are for other systems.
"""

import re
import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from practice.amendments import Amendment, Ground
from practice.audit import note
from practice.calendar import local_day
from practice.clinical_codes import GENDERS
from practice.db import Actor, Audit, db, now
from practice.documents import EARLIEST, Section
from practice.errors import TooMany
from practice.people import Person, fold, full_name
from practice.records import Record, RecordDocument, account_of, whole_record_of
from practice.settings import MenuItem, SwitchedOff, is_on, the_practice
from practice.threads import Thread
from practice.trail import TAKEN_ALONG

GROUNDS = {
    Ground.NOT_OURS: "This part of the record was not created by the practice.",
    Ground.NOT_IN_SET: "It is not part of the designated record set.",
    Ground.NOT_OPEN: "It is not available for inspection.",
    Ground.CORRECT: "The record is accurate and complete.",
}
HEADS = {
    Section.PATIENT: ("Last name", "First name", "Date of birth", "Gender"),
    Section.CONTACT: ("Address", "Phone or e-mail"),
    Section.DEMOGRAPHIC: ("Race", "Ethnicity", "Marital status", "Language"),
}
"""What both formats say of the patient in a place of its own, under the names that the readers of documents give it."""

AN_HOUR_MAX = 30  # copies that one person takes: each reads a whole record
HOUR = timedelta(hours=1)


class Format(StrEnum):
    FHIR = "fhir"
    CCDA = "ccda"


@dataclass(frozen=True)
class Whole:
    """All that is known of one patient's record at one time.

    `values`: what the record says now, all of it, by the row's id. `record.former` and `record.beside` are of those.
    `amendments`: rows of the amendment with its thread's `key` and `created_at`, the oldest first; `about`: which value of today
    each is of, by the row that was asked about.
    """

    at: datetime
    practice: Any
    key: str
    account: Any
    record: Record
    documents: list[RecordDocument]
    amendments: list[Any]
    about: dict[int, Any]

    @property
    def name(self) -> str:
        return full_name(self.account.last_name, self.account.first_name)

    def day(self, at: datetime | None) -> str:
        """The day of the practice."""
        return local_day(at, self.practice.time_zone).isoformat() if at else ""


def whole_of(patient: int) -> Whole:
    """Seven statements, however long the record is. Raises NotVisible."""
    record = whole_record_of(patient)
    values = [value for values in record.sections.values() for value in values]
    return Whole(
        at=now(),
        practice=the_practice(),
        key=db.session.scalars(sa.select(Person.key).where(Person.id == patient)).one(),
        account=account_of(patient),
        record=record,
        documents=list(
            db.session.scalars(
                sa.select(RecordDocument)
                .where(RecordDocument.patient_id == patient, RecordDocument.saved_at.is_not(None))
                .order_by(RecordDocument.id)
            )
        ),
        amendments=amendments_of(patient),
        about={version.id: value for value in values for version in (value, *record.former.get(value.id, ()))},
    )


def amendments_of(patient: int) -> list[Any]:
    """All that the patient ever asked to correct, the oldest first."""
    found = sa.select(*Amendment.__table__.columns, Thread.key, Thread.created_at)
    found = found.join(Thread, Thread.id == Amendment.thread_id).where(Thread.patient_id == patient)
    return list(db.session.execute(found.order_by(Thread.created_at, Amendment.thread_id)))


def take(patient: int, what: Format, *, by: Actor) -> Whole:
    """The record, for a copy of it to be handed out; who took which is written down first.

    Raises NotVisible, SwitchedOff outside Meaningful Use mode, TooMany.
    """
    practice = the_practice()
    if not (is_on(practice, MenuItem.MY_INFO) if by.person == patient else practice.meaningful_use):
        raise SwitchedOff(MenuItem.MY_INFO)
    taken = sa.select(sa.func.count()).where(Audit.actor_id == by.person, Audit.did == TAKEN_ALONG, Audit.at > now() - HOUR)
    if (db.session.scalar(taken) or 0) >= AN_HOUR_MAX:
        raise TooMany(int(HOUR.total_seconds()))
    note(by=by, did="export_record", patient=patient, about=what)
    return whole_of(patient)


# ---- In words ------------------------------------------------------------------------------------


def facts_of(whole: Whole, asked: Any) -> list[tuple[str, str]]:
    """What an amendment asked for, what was decided and what was said to that; empty facts left out."""
    facts = [
        ("Asked on", whole.day(asked.created_at)),
        ("From", asked.from_value),
        ("To", asked.to_value),
        ("Memo", asked.memo),
        ("State", asked.state),
        ("Extended by 30 days because", asked.extended_because or ""),
        ("Decided on", whole.day(asked.decided_at)),
        ("The record now says", asked.new_value or ""),
        ("What is denied", asked.denied or ""),
        ("Ground of the denial", GROUNDS[asked.ground] if asked.ground else ""),
        ("Reason of the denial", asked.denied_because or ""),
        ("Statement of disagreement", asked.disagreement or ""),
        ("Rebuttal", asked.rebuttal or ""),
    ]
    return [(name, plain(said)) for name, said in facts if said]


def history_of(whole: Whole, value: Any) -> list[str]:
    """How a value came to say what it says, a sentence for each thing."""
    versions = [value, *whole.record.former.get(value.id, ())]
    said = [
        f"Corrected on {whole.day(after.corrected_at)} at the patient's request. Before: {before.value or before.name}"
        for after, before in zip(versions, versions[1:], strict=False)
    ]
    for one in whole.record.beside.get(value.id, ()):
        says = ", ".join(part for part in (one.value or one.name, one.maker) if part)
        said.append(f"A later document says otherwise, and the correction stays: {says}")
    for asked in whole.amendments:
        if asked.ground and whole.about.get(asked.value_id) is value:
            said.append(f"Correction denied on {whole.day(asked.decided_at)}: see the requests for correction.")
    return [plain(text) for text in said]


def source_of(value: Any) -> str:
    """The document that a value came from; empty where the practice entered it."""
    parts = (value.document_title, value.maker, value.made_on.isoformat() if value.made_on else "")
    return plain(", ".join(part for part in parts if part))


def day(on: date | None) -> str:
    return on.isoformat() if on else ""


def recorded(value: Any) -> str:
    return day(value.recorded_on) or plain(value.recorded_text)


# ---- Of the patient ------------------------------------------------------------------------------


def split(whole: Whole, section: Section) -> tuple[dict[str, list[Any]], list[Any]]:
    """The values of a section that are said of the patient in a place of its own, by name, and the others.

    Who the patient is, the practice's account says: what a document calls them otherwise stands among the others. Of what a
    person has only one of, the first is said there.
    """
    heads: dict[str, list[Any]] = {name: [] for name in HEADS.get(section, ())}
    others = []
    for value in whole.record.sections[section]:
        is_again = section is not Section.CONTACT and value.name != "Language" and heads.get(value.name)
        if value.name in heads and _can_stand(whole.account, value) and not is_again:
            heads[value.name].append(value)
        else:
            others.append(value)
    return heads, others


def _can_stand(account: Any, value: Any) -> bool:
    match value.name:
        case "Last name":
            return fold(value.value) == fold(account.last_name)
        case "First name":
            return fold(value.value) == fold(account.first_name)
        case "Date of birth":
            return a_date(value.value) == day(account.dob)
        case "Gender":
            return value.value.upper() in GENDERS and GENDERS[value.value.upper()] == GENDERS.get(account.gender.upper())
    return bool(value.value)


def a_date(text: str) -> str:
    """As FHIR and the readers have it: 1978-02-24, 1978-02 or 1978; empty for what is no date."""
    found = re.fullmatch(r"(\d{4})-?(?:(0[1-9]|1[0-2])-?(?:(\d\d))?)?", text.strip(), re.ASCII)
    if not found or not EARLIEST <= int(found[1]) <= 2200:
        return ""
    try:
        date(int(found[1]), int(found[2] or 1), int(found[3] or 1))
    except ValueError:
        return ""
    return "-".join(part for part in found.groups() if part)


# ---- Text and names ------------------------------------------------------------------------------

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def plain(text: str | None) -> str:
    """Without what XML 1.0 cannot hold (and FHIR's strings may not)."""
    return _NOT_XML.sub("", text or "")


_SPACE = uuid.UUID("6c9f3d0e-8a5b-4f0e-9f0d-5f7f0c1e7a42")


def uuid_of(*key: str) -> str:
    """The same for the same row in every export."""
    return str(uuid.uuid5(_SPACE, "/".join(key)))
