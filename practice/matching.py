"""Patients who have registered themselves, until the practice knows who they are: the tray of those not matched, and the codes
by which somebody who was here in person is matched at once."""

import secrets
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from practice.db import MANY_AND_ONE, Model, choice, db, delete_some, now
from practice.patient_search import PatientSearch, patient_keys, patients_with, values_of
from practice.people import AccountStatus, Patient, Person, fold, phone_key, token_hash
from practice.threads import PAGE, Page

CODE_LASTS = timedelta(days=30)
LETTERS, LENGTH = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ", 10  # none is taken for another; 50 random bits
CANDIDATES = 10  # shown at most


class MatchState(StrEnum):
    WAITING = "waiting"  # for an admin
    ASKED = "asked"  # an admin has asked the patient something
    MATCHED = "matched"
    REFUSED = "refused"


TRANSITIONS = {
    MatchState.WAITING: frozenset({MatchState.ASKED, MatchState.MATCHED, MatchState.REFUSED}),
    MatchState.ASKED: frozenset({MatchState.WAITING, MatchState.MATCHED, MatchState.REFUSED}),
    MatchState.MATCHED: frozenset({MatchState.WAITING}),
    MatchState.REFUSED: frozenset({MatchState.WAITING}),
}


class Registration(Model):
    """A patient who has registered themselves. `words`: what was asked, or why it was refused."""

    __tablename__ = "registration"
    patient_id: Mapped[int] = mapped_column(sa.ForeignKey("patient.id"), primary_key=True)
    state: Mapped[MatchState] = mapped_column(choice(MatchState, is_checked=False))
    since: Mapped[datetime]  # when it came into this state
    words: Mapped[str] = mapped_column(sa.Text, server_default="")
    __table_args__ = (sa.Index(None, "state", "since", "patient_id"),)


class MatchCode(Model):
    """What the practice gives a patient in the hand: who enters it, born on this day, has this record number."""

    __tablename__ = "match_code"
    id: Mapped[int] = mapped_column(primary_key=True)
    code_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    record_number: Mapped[str] = mapped_column(sa.String(20), index=True)
    dob: Mapped[date]
    by_id: Mapped[int | None] = mapped_column(sa.ForeignKey("staff.id"))
    created_at: Mapped[datetime]
    ends_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]


def move(session: Session, patient: int, state: MatchState, words: str = "") -> bool:
    """Into another state, from one that leads there; a patient who was not registered has none. Answers whether it moved."""
    row = session.get(Registration, patient, with_for_update=True, populate_existing=True)
    if row is None or state not in TRANSITIONS[row.state]:
        return False
    row.state, row.since, row.words = state, now(), words
    session.flush()
    return True


# ---- The tray ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sought(PatientSearch):
    """Whom of those not matched; `state`: waiting, asked or refused."""

    state: MatchState = MatchState.WAITING


_ROW = (
    Person.id, Person.key, Person.last_name, Person.first_name, Person.email, Patient.dob, Patient.gender, Patient.phone,
    Registration.state, Registration.since, Registration.words,
)  # fmt: skip


def registered(sought: Sought, *, beyond: str | None = None, is_newer: bool = False) -> Page:
    """A page of those not matched, who waits longest first, beyond the one with this key. At most two statements, no count."""
    keys = patient_keys(sought)
    if keys is None:
        return Page([], False, False)
    found = patients_with(sa.select(*_ROW).select_from(Patient), keys).join(Registration, Registration.patient_id == Patient.id)
    found = found.where(*_lies_in(sought.state))
    order = Registration.since, Registration.patient_id
    place = None
    if beyond:
        one = sa.select(*order).join(Person, Person.id == Registration.patient_id).where(Person.key == beyond)
        place = db.session.execute(one).first()
    is_down = place is not None and not is_newer
    if place:
        here, there = sa.tuple_(*order), sa.tuple_(*(sa.literal(v, c.type) for v, c in zip(place, order, strict=True)))
        found = found.where(here < there if is_down else here > there)
    found = found.order_by(*(c.desc() if is_down else c.asc() for c in order)).limit(PAGE + 1)
    rows = list(db.session.execute(found, values_of(keys)))
    shown, is_more = rows[:PAGE], len(rows) > PAGE
    if is_down:
        return Page(shown[::-1], has_newer=True, has_older=is_more)
    return Page(shown, has_newer=is_more, has_older=place is not None)


def _lies_in(state: MatchState) -> tuple[sa.ColumnElement[bool], ...]:
    status = AccountStatus.LOCKED if state == MatchState.REFUSED else AccountStatus.ACTIVE
    return Registration.state == state, Patient.record_number.is_(None), Person.status == status


_some_waiting = (
    sa.select(Registration.patient_id)
    .join(Patient, Patient.id == Registration.patient_id)
    .join(Person, Person.id == Patient.id)
    .where(*_lies_in(MatchState.WAITING))
    .limit(MANY_AND_ONE)
    .subquery()
)
WAITING_COUNT = sa.select(sa.func.count()).select_from(_some_waiting).scalar_subquery()
"""How many wait to be matched, up to MANY and one; built once: every page of the side asks it."""


def registration_of(patient: int) -> Any:
    """State, since when, and words of a patient's registration; None of who did not register themselves."""
    columns = Registration.state, Registration.since, Registration.words
    return db.session.execute(sa.select(*columns).where(Registration.patient_id == patient)).first()


def candidates(patient: int) -> list[Any]:
    """Other accounts that may be the same person's: born on the same day, and with a name or the phone in common."""
    me = db.session.execute(
        sa.select(Patient.dob, Patient.phone_key, Person.last_name, Person.first_key)
        .join(Person, Person.id == Patient.id)
        .where(Patient.id == patient)
    ).one()
    last = fold(me.last_name)
    alike = [Person.name_key.startswith(last, autoescape=True)] if last else []
    alike += [Person.first_key == me.first_key] if me.first_key else []
    alike += [Patient.phone_key == phone_key(me.phone_key)] if me.phone_key else []
    columns = Person.key, Person.last_name, Person.first_name, Person.email, Person.status, Patient.phone, Patient.record_number
    found = sa.select(*columns, Patient.dob).join(Patient, Patient.id == Person.id)
    found = found.where(Patient.dob == me.dob, Patient.id != patient, sa.or_(sa.false(), *alike))
    return list(db.session.execute(found.order_by(Person.name_key, Person.id).limit(CANDIDATES)))


# ---- Codes ---------------------------------------------------------------------------------------


def new_code(session: Session, record_number: str, dob: date, *, by: int | None) -> str:
    """A code for this record number; kept nowhere but in this answer. Older ones of the number end."""
    session.execute(sa.update(MatchCode).where(MatchCode.record_number == record_number, *_works()).values(ends_at=now()))
    code, at = "".join(secrets.choice(LETTERS) for _ in range(LENGTH)), now()
    made = MatchCode(code_hash=token_hash(code), record_number=record_number, dob=dob, by_id=by)
    made.created_at, made.ends_at = at, at + CODE_LASTS
    session.add(made)
    return f"{code[:5]}-{code[5:]}"


def code_of(session: Session, said: str, dob: date) -> MatchCode | None:
    """The code that somebody typed, for whoever was born on that day; held until the end of the transaction."""
    code = "".join(c for c in said[:100].upper() if c in LETTERS)
    if len(code) != LENGTH:
        return None
    known = MatchCode.code_hash == token_hash(code), MatchCode.dob == dob, *_works()
    return session.scalar(sa.select(MatchCode).where(*known).with_for_update())


def _works() -> tuple[sa.ColumnElement[bool], ...]:
    return MatchCode.used_at.is_(None), MatchCode.ends_at > now()


def forget_codes(session: Session) -> int:
    """Deletes codes that ended. Answers how many."""
    return delete_some(session, MatchCode, MatchCode.ends_at < now())
