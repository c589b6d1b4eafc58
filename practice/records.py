"""The patient's record as the practice has it, value by value: what My Info shows, and from which document each one came."""

from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from practice.db import Model, changed, choice, db, new_key, now
from practice.documents import Kind, Section, measured
from practice.errors import NotVisible, Stale
from practice.files import StoredFile
from practice.people import Patient, Person, fold

VALUE_MAX = 500  # of what staff write; a document's may be longer (documents.TEXT_MAX)
SHOWN = 8  # values of a section, where all sections are shown
PAGE = 25  # where it is shown alone
MOST = 2**31 - 1  # where nothing is left out


class RecordDocument(StoredFile, Model):
    """A medical document that was brought for a patient: the file as it came, never changed, and what it says of itself.

    Until `saved_at` nothing of it is in the record, and only whoever brought it sees it.
    """

    __tablename__ = "record_document"
    patient_id: Mapped[int] = mapped_column(sa.ForeignKey("patient.id"))
    by_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"))
    is_by_patient: Mapped[bool]
    kind: Mapped[Kind] = mapped_column(choice(Kind))
    title: Mapped[str] = mapped_column(sa.Text)
    maker: Mapped[str] = mapped_column(sa.Text)  # the organization or person that wrote it
    made_on: Mapped[date | None]
    reason: Mapped[str] = mapped_column(sa.Text, default="")  # why staff took what is not plainly this patient's
    at: Mapped[datetime]
    saved_at: Mapped[datetime | None]
    __table_args__ = (
        sa.Index(None, "patient_id", "sha256"),
        sa.Index(None, "by_id", "at"),
        sa.Index(
            "ix_record_document_not_saved",
            "at",
            sqlite_where=sa.text("saved_at IS NULL"),
            postgresql_where=sa.text("saved_at IS NULL"),
        ),
    )


class RecordValue(Model):
    """One version of a value of the record: "Vital Signs, Height, 165 cm". Never overwritten: a correction adds the next one.

    What a later document says of a value that was corrected stands beside the versions, superseded from the first: it has a
    `root_id`, and replaces none.
    """

    __tablename__ = "record_value"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(22), unique=True)
    patient_id: Mapped[int] = mapped_column(sa.ForeignKey("patient.id"))
    section: Mapped[Section] = mapped_column(choice(Section, length=40))
    name: Mapped[str] = mapped_column(sa.Text)
    value: Mapped[str] = mapped_column(sa.Text)  # as it is shown, the unit too
    note: Mapped[str] = mapped_column(sa.String(200))
    recorded_on: Mapped[date | None]
    replaces_id: Mapped[int | None] = mapped_column(sa.ForeignKey("record_value.id"), unique=True)  # the version before
    amendment_thread_id: Mapped[int | None] = mapped_column(sa.ForeignKey("thread.id"))  # where the patient asked for it
    corrected_at: Mapped[datetime | None]  # when this version came
    superseded_at: Mapped[datetime | None]  # when the next one came; None: the record says this
    root_id: Mapped[int | None] = mapped_column(sa.ForeignKey("record_value.id"), index=True)  # the first version; its own: None
    # As the document says it (documents.Entry); None and empty where the practice entered it.
    document_id: Mapped[int | None] = mapped_column(sa.ForeignKey("record_document.id"), index=True)
    path: Mapped[str] = mapped_column(sa.Text, default="", server_default="")  # where in the document
    recorded_text: Mapped[str] = mapped_column(sa.Text, default="", server_default="")
    number: Mapped[float | None] = mapped_column(sa.Double)
    unit: Mapped[str] = mapped_column(sa.Text, default="", server_default="")
    low: Mapped[float | None] = mapped_column(sa.Double)
    high: Mapped[float | None] = mapped_column(sa.Double)
    code: Mapped[str] = mapped_column(sa.Text, default="", server_default="")
    code_system: Mapped[str] = mapped_column(sa.Text, default="", server_default="")
    status: Mapped[str] = mapped_column(sa.Text, default="", server_default="")
    __table_args__ = (
        sa.Index(None, "patient_id", "section", "id"),
        sa.Index(
            "ix_record_value_current",
            "patient_id",
            "section",
            "recorded_on",
            sqlite_where=sa.text("superseded_at IS NULL"),
            postgresql_where=sa.text("superseded_at IS NULL"),
        ),
    )


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


# ---- What the record says ------------------------------------------------------------------------


@dataclass(frozen=True)
class Record:
    """What the record says: all sections in their order, empty ones too, of each the newest values and how many there are.

    Values are rows with the columns of RecordValue and, as `document_key`, `document_title`, `maker`, `made_on` and
    `is_by_patient`, what the document says of itself that they came from. `former`: of a corrected value (its row's id) the
    versions before, the last one first; `beside`: what documents say that came after the correction.
    """

    sections: dict[Section, list[Any]]
    totals: dict[Section, int]
    former: dict[int, list[Any]]
    beside: dict[int, list[Any]]


_VALUE = sa.select(
    *RecordValue.__table__.columns,
    RecordDocument.key.label("document_key"),
    RecordDocument.title.label("document_title"),
    RecordDocument.maker,
    RecordDocument.made_on,
    RecordDocument.is_by_patient,
).outerjoin(RecordDocument, RecordDocument.id == RecordValue.document_id)


@lru_cache(maxsize=2)
def _current(is_one_section: bool) -> Any:
    """The values that a page shows, the newest first, those without a day last; a corrected one where its first version was."""
    newest = RecordValue.recorded_on.desc().nulls_last(), sa.func.coalesce(RecordValue.root_id, RecordValue.id)
    placed = sa.select(
        RecordValue.id,
        sa.func.row_number().over(partition_by=RecordValue.section, order_by=newest).label("place"),
        sa.func.count().over(partition_by=RecordValue.section).label("total"),
    ).where(RecordValue.patient_id == sa.bindparam("patient"), RecordValue.superseded_at.is_(None))
    if is_one_section:
        placed = placed.where(RecordValue.section == sa.bindparam("section", type_=RecordValue.section.type))
    place = placed.subquery()
    on_page = sa.and_(place.c.place > sa.bindparam("after"), place.c.place <= sa.bindparam("until"))
    found = _VALUE.add_columns(place.c.total).join(place, place.c.id == RecordValue.id)
    return found.where(sa.or_(on_page, place.c.id == sa.bindparam("opened"))).order_by(place.c.place)


_VERSIONS = _VALUE.where(
    sa.or_(*(column.in_(sa.bindparam("roots", expanding=True)) for column in (RecordValue.id, RecordValue.root_id)))
).order_by(RecordValue.id)


def record_of(patient: int, *, opened: int = 0) -> Record:
    """All sections, of each the newest values, and the one of the row `opened` wherever it stands. Two statements."""
    return _record(_current(False), {"patient": patient, "after": 0, "until": SHOWN, "opened": opened})


def section_of(patient: int, section: Section, *, page: int = 1) -> Record:
    """A page of one section; the others are empty, and counted as nothing. Two statements."""
    places = {"after": (page - 1) * PAGE, "until": page * PAGE, "opened": 0}
    return _record(_current(True), {"patient": patient, "section": section} | places)


def whole_record_of(patient: int) -> Record:
    """All values of all sections. Two statements."""
    return _record(_current(False), {"patient": patient, "after": 0, "until": MOST, "opened": 0})


def _record(statement: Any, asked: dict[str, Any]) -> Record:
    connection = db.session.connection()
    record = Record({section: [] for section in Section}, dict.fromkeys(Section, 0), {}, {})
    for value in connection.execute(statement, asked):
        record.sections[value.section].append(value)
        record.totals[value.section] = value.total
    roots = {value.root_id: value.id for values in record.sections.values() for value in values if value.root_id}
    for version in connection.execute(_VERSIONS, {"roots": list(roots)}) if roots else ():
        current = roots[version.root_id or version.id]
        if version.root_id and not version.replaces_id:
            record.beside.setdefault(current, []).append(version)
        elif version.id != current:
            record.former.setdefault(current, []).insert(0, version)
    return record


# ---- What was measured over time -----------------------------------------------------------------

MEASURED_MOST = 500  # of a section, the newest
SERIES_MOST = 12


class Measured(NamedTuple):
    on: date
    number: float
    low: float | None  # with `high` what is normal, where that is known
    high: float | None


@dataclass(frozen=True)
class Series:
    """One thing measured more than once in one unit, the oldest first."""

    code: str
    name: str
    unit: str
    points: list[Measured]


_MEASURED = (
    sa.select(*(getattr(RecordValue, name) for name in ("code", "name", "value", "number", "unit", "low", "high", "recorded_on")))
    .where(
        RecordValue.patient_id == sa.bindparam("patient"),
        RecordValue.section == sa.bindparam("section", type_=RecordValue.section.type),
        RecordValue.superseded_at.is_(None),
        RecordValue.recorded_on.is_not(None),
    )
    .order_by(RecordValue.recorded_on.desc(), RecordValue.id.desc())
    .limit(sa.bindparam("newest"))
)


def series_of(patient: int, section: Section, *, newest: int = MEASURED_MOST) -> list[Series]:
    """What was measured on two days at least, what was measured most often first; at most twelve. One statement, which looks at
    the `newest` measurements alone.

    Two names with the same code are one thing; two units of it are two series.
    """
    found: dict[tuple[str, str], Series] = {}
    asked = {"patient": patient, "section": section, "newest": newest}
    for code, name, value, said, said_in, low, high, on in db.session.connection().execute(_MEASURED, asked):
        number, unit = (said, said_in) if said is not None else measured(value)
        if number is None:
            continue
        if (series := found.get((code or fold(name), unit))) is None:
            series = found[code or fold(name), unit] = Series(code, name, unit, [])
        series.points.append(Measured(on, number, low, high))
    often = [one for one in found.values() if one.points[0].on > one.points[-1].on]
    for one in often:
        one.points.reverse()
    return sorted(often, key=lambda one: (-len(one.points), one.name))[:SERIES_MOST]


def value_of(session: Session, key: str, patient: int) -> RecordValue:
    """A version of a value of this patient's record. Raises NotVisible."""
    value = session.scalar(sa.select(RecordValue).where(RecordValue.key == key, RecordValue.patient_id == patient))
    if value is None:
        raise NotVisible
    return value


def current_of(session: Session, version: int) -> RecordValue:
    """What the record says now where it once said this version (its row's id)."""
    value = session.get_one(RecordValue, version)
    if value.superseded_at is None:
        return value
    root = value.root_id or value.id
    versions = sa.or_(RecordValue.id == root, RecordValue.root_id == root)
    return session.scalars(sa.select(RecordValue).where(versions, RecordValue.superseded_at.is_(None))).one()


KEPT = (
    "patient_id", "section", "name", "note", "recorded_on", "recorded_text", "low", "high", "code", "code_system", "status",
)  # fmt: skip
"""What the next version says as the one before did."""


def replace(session: Session, value: RecordValue, says: str, *, thread: int) -> None:
    """Adds the next version, as the patient asked in `thread`. What has only a name has another one then, and its code no more.

    Raises Stale when another correction was faster.
    """
    at = now()
    still = sa.update(RecordValue).where(RecordValue.id == value.id, RecordValue.superseded_at.is_(None))
    if not changed(session, still.values(superseded_at=at)):
        raise Stale("the value was corrected")
    number, unit = measured(says)
    said = {"value": says, "number": number, "unit": unit}
    named = {"value": "", "name": says, "code": "", "code_system": ""}
    kept = {name: getattr(value, name) for name in KEPT} | (said if value.value else named)
    versions = {"replaces_id": value.id, "root_id": value.root_id or value.id}
    asked = {"amendment_thread_id": thread, "corrected_at": at}
    session.add(RecordValue(key=new_key(), **kept, **versions, **asked))
    session.flush()
