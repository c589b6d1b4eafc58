"""Import of staff and patients from a file: read, checked line by line, shown, and then taken whole or not at all."""

import hashlib
import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from practice.accounts import (
    MOST,
    TERM_FIELDS,
    Fault,
    StaffValues,
    Terms,
    email_faults,
    hold_accounts_still,
    person_columns,
    staff_columns,
    staff_faults,
    terms_of,
    text_faults,
)
from practice.db import Actor, Model, Transaction, again_if_doubled, choice, db, delete_some, new_key, now, transaction
from practice.errors import Invalid, NotVisible, Stale
from practice.patients import RECORD_NUMBER_MAX
from practice.people import (
    AccountStatus,
    Gender,
    Kind,
    Patient,
    Person,
    Staff,
    email_key,
    fold,
    full_name,
    must_be_admin,
    phone_key,
)

LINES_MAX = 20_000
STEP = 500  # lines checked in one request; also the most values of one statement
ERRORS_KEPT = 200
KEPT = timedelta(days=1)
NAME_MAX = 200  # of the file's name
PHONE_MAX = 40
BORN_AFTER = date(1850, 1, 1)


class ImportKind(StrEnum):
    STAFF = "staff"
    PATIENTS = "patients"


class Import(Model):
    """A file on its way in. `lines` (JSON): of each line its number in the file and its texts, the head left out; once they
    are taken, the fingerprint of all. `errors` (JSON): how many faults the lines checked so far have, and the first of them
    as [line, field, code, more]."""

    __tablename__ = "import"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(22), unique=True)
    kind: Mapped[ImportKind] = mapped_column(choice(ImportKind))
    by_id: Mapped[int] = mapped_column(sa.ForeignKey("staff.id"), index=True)
    file_name: Mapped[str] = mapped_column(sa.String(200))
    columns: Mapped[str] = mapped_column("file_columns", sa.Text)  # JSON: the field of each column
    lines: Mapped[str] = mapped_column("file_lines", sa.Text)
    total: Mapped[int]
    checked: Mapped[int]
    errors: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(index=True)
    done_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(sa.Integer)
    __mapper_args__ = {"version_id_col": version}


# ---- Columns -------------------------------------------------------------------------------------

COLUMNS: dict[ImportKind, dict[str, str]] = {
    ImportKind.STAFF: {
        "login": "ID",
        "last_name": "Last name",
        "first_name": "First name",
        "email": "E-mail",
        "level": "Level",
        "group": "Group",
        "specialty": "Specialty",
        "institution": "Institution",
        "department": "Department",
        "is_admin": "Admin",
    },
    ImportKind.PATIENTS: {
        "last_name": "Last name",
        "first_name": "First name",
        "dob": "Date of birth",
        "sex": "Sex",
        "phone": "Phone",
        "email": "E-mail",
        "record_number": "Record number",
    },
}
"""What a file may say: field, and how its head calls it."""
REQUIRED = {ImportKind.STAFF: ("login", "last_name", "email"), ImportKind.PATIENTS: ("last_name", "dob", "email")}


def _heading(text: str) -> str:
    """How headings are compared: "E-mail", "email" and "EMAIL" are one."""
    return "".join(c for c in fold(text) if c.isalnum())


def columns_in(kind: ImportKind, head: list[str]) -> list[str]:
    """The field of each column. Raises Invalid naming what is unknown, there twice, or missing."""
    known = {_heading(name): field for field, name in COLUMNS[kind].items()}
    while head and not head[-1].strip():
        head = head[:-1]
    fields: list[str] = []
    for text in head:
        field = known.get(_heading(text))
        if field is None:
            says = "The column “%(column)s” is not known. Columns are called: %(names)s."
            raise Invalid("file", says, column=text.strip()[:60], names=", ".join(COLUMNS[kind].values()))
        if field in fields:
            raise Invalid("file", "The column “%(column)s” is there twice.", column=COLUMNS[kind][field])
        fields.append(field)
    for field in REQUIRED[kind]:
        if field not in fields and not (field == "last_name" and "first_name" in fields):
            says = "The column “%(column)s” is missing. The first line names the columns."
            raise Invalid("file", says, column=COLUMNS[kind][field])
    return fields


# ---- One line ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PatientValues:
    """What a line says about a patient."""

    last_name: str
    first_name: str
    email: str
    dob: date | None
    gender: Gender
    phone: str
    record_number: str


class Line(NamedTuple):
    """A line of the file: its number there, its values, and what is wrong with them by themselves."""

    number: int
    values: Any  # StaffValues or PatientValues
    faults: list[Fault]


YES, NO = ("yes", "y", "true", "1", "x"), ("", "no", "n", "false", "0")
SEXES = {"": Gender.UNKNOWN, "f": Gender.FEMALE, "m": Gender.MALE, "o": Gender.OTHER, "u": Gender.UNKNOWN}
SEXES |= {gender.value: gender for gender in Gender}


def _staff_line(texts: dict[str, str], terms: Terms) -> tuple[StaffValues, list[Fault]]:
    said = fold(texts.get("is_admin", ""))
    plain = {field: texts.get(field, "") for field in (*MOST, *TERM_FIELDS)}
    values, faults = staff_faults(StaffValues(**plain, is_admin=said in YES), terms)
    return values, faults + ([] if said in YES + NO else [Fault("is_admin", "yes_or_no")])


def _patient_line(texts: dict[str, str], _terms: Terms) -> tuple[PatientValues, list[Fault]]:
    kept: dict[str, str] = {}
    faults: list[Fault] = []
    for field, is_required, most in (
        ("last_name", False, 0),
        ("first_name", False, 0),
        ("email", True, 0),
        ("phone", False, PHONE_MAX),
        ("record_number", False, RECORD_NUMBER_MAX),
    ):
        kept[field], wrong = text_faults(field, texts.get(field, ""), is_required=is_required, most=most)
        faults += wrong
    if not kept["last_name"] and not kept["first_name"] and not {f.field for f in faults} & {"last_name", "first_name"}:
        faults.append(Fault("last_name", "name"))
    if kept["email"] and not any(f.field == "email" for f in faults):
        faults += email_faults("email", kept["email"])
    if len(phone_key(kept["phone"])) > PHONE_MAX:
        faults.append(Fault("phone", "long"))
    dob, said = _day(texts.get("dob", "")), fold(texts.get("sex", ""))
    faults += [] if dob else [Fault("dob", "day")]
    faults += [] if said in SEXES else [Fault("sex", "sex")]
    return PatientValues(dob=dob, gender=SEXES.get(said, Gender.UNKNOWN), **kept), faults


def _day(text: str) -> date | None:
    """A date of birth as YYYY-MM-DD."""
    text = unicodedata.normalize("NFKC", text).strip()
    try:
        day = date.fromisoformat(text) if len(text) == 10 and text.isascii() else None
    except ValueError:
        return None
    return day if day and BORN_AFTER <= day <= now().date() else None


_READ: dict[ImportKind, Callable[[dict[str, str], Terms], tuple[Any, list[Fault]]]] = {
    ImportKind.STAFF: _staff_line,
    ImportKind.PATIENTS: _patient_line,
}


def _read(kind: ImportKind, columns: list[str], lines: Iterable[list[Any]], terms: Terms) -> list[Line]:
    return [Line(number, *_READ[kind](dict(zip(columns, texts, strict=False)), terms)) for number, *texts in lines]


# ---- What must be there once ---------------------------------------------------------------------


class Once(NamedTuple):
    """A value that only one account has: its field, the column it is kept in, the key of a line's value ("": none)."""

    field: str
    column: Any
    key: Callable[[str], str]


EMAIL = Once("email", Person.email_key, email_key)
ONCE = {
    ImportKind.STAFF: (Once("login", Staff.login_key, email_key), EMAIL),
    ImportKind.PATIENTS: (EMAIL, Once("record_number", Patient.record_number, str.strip)),
}


def _twice(kind: ImportKind, columns: list[str], lines: list[list[Any]]) -> dict[tuple[int, str], int]:
    """For the number of each line and each field that repeats an earlier line's value: the number of that line."""
    found: dict[tuple[int, str], int] = {}
    for once in ONCE[kind]:
        if once.field not in columns:
            continue
        place, first = columns.index(once.field) + 1, dict[str, int]()
        for line in lines:
            key = once.key(" ".join(unicodedata.normalize("NFC", line[place]).split())) if place < len(line) else ""
            if key and (earlier := first.setdefault(key, line[0])) != line[0]:
                found[line[0], once.field] = earlier
    return found


def _taken(session: Session, kind: ImportKind, lines: list[Line]) -> set[tuple[int, str]]:
    """Number and field of each value that an account has already. A fixed number of statements for every 500 lines."""
    found: set[tuple[int, str]] = set()
    for once in ONCE[kind]:
        of_key = {key: line.number for line in reversed(lines) if (key := once.key(getattr(line.values, once.field)))}
        for some in _batches(list(of_key)):
            for key in session.scalars(sa.select(once.column).where(once.column.in_(some))):
                found.add((of_key[key], once.field))
    return found


def _batches(rows: list[Any]) -> Iterator[list[Any]]:
    return (rows[n : n + STEP] for n in range(0, len(rows), STEP))


# ---- The steps -----------------------------------------------------------------------------------


@again_if_doubled
def begin_import(kind: ImportKind, *, file_name: str, table: list[tuple[int, list[str]]], form_key: str, by: Actor) -> str:
    """Keeps what was read from a file (lines with their numbers, the head first) to be checked. Answers its key.

    The same form again gives the same import. Raises Invalid("file") for a head that cannot be understood, no lines or too
    many, and for another file in a form that has brought one.
    """
    if not table:
        raise Invalid("file", "The file is empty.")
    columns = columns_in(kind, table[0][1])
    lines = [[number, *texts[: len(columns)]] for number, texts in table[1:] if any(text.strip() for text in texts)]
    for number, texts in table[1:]:
        if any(text.strip() for text in texts[len(columns) :]):
            raise Invalid("file", "Line %(line)s has more values than there are columns.", line=number)
    if not lines:
        raise Invalid("file", "There is nothing below the line with the names of the columns.")
    if len(lines) > LINES_MAX:
        raise Invalid("file", "At most 20,000 lines are imported at once: split the file.")
    with transaction(by=by, did="begin_import", about=form_key) as tx:
        must_be_admin(tx)
        made = tx.session.scalar(sa.select(Import).where(Import.key == form_key))
        if made is not None:  # the same form again
            if made.by_id != by.person:
                raise NotVisible
            before, file = _fingerprint_of(made), _fingerprint(columns, lines)
            if (made.kind, made.file_name, before) != (kind, file_name[:NAME_MAX], file):
                says = "This form has brought another file before, “%(name)s”. Choose this file again."
                raise Invalid("file", says, name=made.file_name)
            tx.is_silent = True
            return form_key
        tx.details = {"kind": kind, "file": file_name[:NAME_MAX], "rows": len(lines)}
        tx.session.add(
            Import(
                key=form_key,
                kind=kind,
                by_id=by.person,
                file_name=file_name[:NAME_MAX],
                columns=json.dumps(columns),
                lines=json.dumps(lines),
                total=len(lines),
                checked=0,
                errors=json.dumps([0, []]),
                created_at=now(),
                version=1,
            )
        )
        tx.session.flush()
        return form_key


def _fingerprint(columns: list[str], lines: list[Any]) -> str:
    """Stands for what a file says, its name aside."""
    return hashlib.sha256(json.dumps([columns, lines]).encode()).hexdigest()


def _fingerprint_of(brought: Import) -> str:
    lines = json.loads(brought.lines)
    return str(lines) if brought.done_at else _fingerprint(json.loads(brought.columns), lines)


def check_more(key: str, *, most: int = STEP, by: Actor) -> bool:
    """Checks up to `most` further lines; answers whether all are checked. Raises NotVisible, NotAllowed."""
    with transaction(by=by, did="check_import", about=key) as tx:
        tx.is_silent = True  # nothing but the file's own state changes
        must_be_admin(tx)
        found = _mine(tx.session, key, by, lock=True)
        if found.done_at or found.checked >= found.total:
            return True
        columns, lines = json.loads(found.columns), json.loads(found.lines)
        part = lines[found.checked : found.checked + most]
        count, kept = json.loads(found.errors)
        faults = _faults(tx.session, found.kind, columns, lines, part)
        kept += faults[: max(0, ERRORS_KEPT - len(kept))]
        found.errors = json.dumps([count + len(faults), kept], ensure_ascii=False)
        found.checked += len(part)
        return found.checked >= found.total


def _faults(
    session: Session, kind: ImportKind, columns: list[str], lines: list[list[Any]], part: list[list[Any]]
) -> list[tuple[int, str, str, str]]:
    """All that is wrong with the lines of `part`, in their order: number, field, code, what belongs into the sentence."""
    read = _read(kind, columns, part, terms_of(session) if kind == ImportKind.STAFF else {})
    return _faults_of(session, kind, read, _twice(kind, columns, lines))


def _faults_of(
    session: Session, kind: ImportKind, read: list[Line], twice: dict[tuple[int, str], int]
) -> list[tuple[int, str, str, str]]:
    taken = _taken(session, kind, read)
    found: list[tuple[int, str, str, str]] = []
    for line in read:
        wrong = list(line.faults)
        for once in ONCE[kind]:
            if (line.number, once.field) in twice:
                wrong.append(Fault(once.field, "twice", str(twice[line.number, once.field])))
            elif (line.number, once.field) in taken:
                wrong.append(Fault(once.field, "taken"))
        found += [(line.number, fault.field, fault.code, fault.more) for fault in wrong]
    return found


class NotAsChecked(Stale):
    """An account or a list has changed since the lines were checked: they are checked again."""


def take_import(key: str, *, by: Actor) -> int:
    """Makes all accounts of the file, invited, or none. Answers how many; of one that is done nothing more happens.

    Raises NotVisible, NotAllowed, Stale when it is not checked to the end or has errors, NotAsChecked.
    """
    try:
        return _take(key, by=by)
    except (NotAsChecked, sa.exc.IntegrityError) as error:
        _begin_again(key, by=by)
        raise NotAsChecked("checked again") from error


def _take(key: str, *, by: Actor) -> int:
    brought = _mine(db.session(), key, by)
    kind, terms = brought.kind, terms_of(db.session())
    # Read before anybody has to wait: that is most of the work.
    read = _read(kind, json.loads(brought.columns), json.loads(brought.lines), terms)
    with transaction(by=by, did="import_staff" if kind == ImportKind.STAFF else "import_patients", about=key) as tx:
        hold_accounts_still(tx.session)
        must_be_admin(tx)
        found = _mine(tx.session, key, by, lock=True)
        if found.done_at:
            tx.is_silent = True
            return found.total
        if found.checked < found.total or json.loads(found.errors)[0]:
            raise Stale("not checked, or with errors")
        if terms_of(tx.session) != terms or _faults_of(tx.session, kind, read, {}):
            raise NotAsChecked
        keys = _insert(tx, kind, [line.values for line in read])
        found.lines, found.done_at = json.dumps(_fingerprint_of(found)), now()
        digest = hashlib.sha256(",".join(keys).encode()).hexdigest()
        tx.details = {"file": found.file_name, "rows": found.total, "keys": digest}
        return found.total


def _insert(tx: Transaction, kind: ImportKind, all_values: list[Any]) -> list[str]:
    """The keys of the new accounts, each with an audit row of its own. Three statements for every 500."""
    at, keys = now(), list[str]()
    of_kind = Kind.STAFF if kind == ImportKind.STAFF else Kind.PATIENT
    for some in _batches(all_values):
        shared = {"kind": of_kind, "status": AccountStatus.INVITED, "created_at": at}
        people = [{"key": new_key(), **shared, **person_columns(values)} for values in some]
        these = [person["key"] for person in people]
        tx.session.execute(sa.insert(Person), people)
        found = tx.session.execute(sa.select(Person.key, Person.id).where(Person.key.in_(these)))
        id_of = {row.key: row.id for row in found}
        table, columns_of = (Staff, staff_columns) if kind == ImportKind.STAFF else (Patient, _patient_columns)
        rows = [{"id": id_of[key], **columns_of(values)} for key, values in zip(these, some, strict=True)]
        tx.session.execute(sa.insert(table), rows)
        keys += these
        for key, values in zip(these, some, strict=True):
            _note_account(tx, key, values, patient=id_of[key] if of_kind == Kind.PATIENT else None)
    return keys


def _note_account(tx: Transaction, key: str, values: Any, *, patient: int | None) -> None:
    """Joins the import: the audit names who came in by it."""
    with transaction(by=tx.by, did="import_account", about=key, patient=patient) as one:
        name = full_name(values.last_name, values.first_name)
        if isinstance(values, StaffValues):
            one.note_change({}, {"login": values.login, "name": name, "is_admin": values.is_admin})
        else:
            one.note_change({}, {"name": name, "record_number": values.record_number or None})


def _patient_columns(values: PatientValues) -> dict[str, Any]:
    return {
        "dob": values.dob,
        "gender": values.gender,
        "phone": values.phone,
        "phone_key": phone_key(values.phone),
        "record_number": values.record_number or None,
    }


def _begin_again(key: str, *, by: Actor) -> None:
    with transaction(by=by, did="check_import", about=key) as tx:
        tx.is_silent = True
        found = _mine(tx.session, key, by, lock=True)
        found.checked, found.errors = 0, json.dumps([0, []])


def discard_import(key: str, *, by: Actor) -> ImportKind:
    """Deletes what was read; no account is touched. Answers what it was about. Raises NotVisible, NotAllowed."""
    with transaction(by=by, did="discard_import", about=key) as tx:
        must_be_admin(tx)
        found = _mine(tx.session, key, by, lock=True)
        tx.details = {"kind": found.kind, "file": found.file_name, "rows": found.total}
        tx.session.delete(found)
        tx.session.flush()
        return found.kind


def forget_imports(session: Session) -> int:
    """Deletes those older than a day. Answers how many."""
    return delete_some(session, Import, Import.created_at < now() - KEPT)


# ---- Looking at one ------------------------------------------------------------------------------

PREVIEW = 25


@dataclass(frozen=True)
class Seen:
    """An import as its page shows it: the first lines as they will be kept, the first errors, and how many there are."""

    key: str
    kind: ImportKind
    file_name: str
    total: int
    checked: int
    columns: list[str]
    first: list[Line]
    error_count: int
    errors: list[tuple[int, str, str, str]]
    is_done: bool

    @property
    def is_checked(self) -> bool:
        return self.checked >= self.total


def import_seen(session: Session, key: str, *, by: Actor) -> Seen:
    """Two statements. Raises NotVisible for what somebody else brought."""
    found = _mine(session, key, by)
    columns, count_and_errors = json.loads(found.columns), json.loads(found.errors)
    first: list[Line] = []
    if found.checked >= found.total and not found.done_at:
        terms = terms_of(session) if found.kind == ImportKind.STAFF else {}
        first = _read(found.kind, columns, json.loads(found.lines)[:PREVIEW], terms)
    return Seen(
        key=found.key,
        kind=found.kind,
        file_name=found.file_name,
        total=found.total,
        checked=found.checked,
        columns=columns,
        first=first,
        error_count=count_and_errors[0],
        errors=[(line, field, code, more) for line, field, code, more in count_and_errors[1]],
        is_done=found.done_at is not None,
    )


def _mine(session: Session, key: str, by: Actor, *, lock: bool = False) -> Import:
    mine = sa.select(Import).where(Import.key == key, Import.by_id == by.person)
    found = session.scalar(mine.with_for_update() if lock else mine)
    if found is None:
        raise NotVisible
    return found
