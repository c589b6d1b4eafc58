"""The practice's short lists: facilities, referring physicians, and the words it calls its people by. An entry that is used
is not deleted but switched off: it is offered no more, and what has it keeps it."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from practice.appointments import AppointmentRequest
from practice.communicators import CommunicatorFacility
from practice.conversations import clean
from practice.db import COUNTED, Actor, Transaction, again_if_doubled, changed, counted, db, new_key, page_within, transaction
from practice.errors import Invalid, NotAllowed, NotVisible, Stale
from practice.people import Staff, must_be_admin, term_key
from practice.results import ResultRequest
from practice.routing import hold_routing_still
from practice.settings import Facility, ReferringPhysician, StaffTerm, TermKind
from practice.threads import PAGE, Thread

ADDRESS_MAX = 200
AS_JSON = json.JSONEncoder(ensure_ascii=False).encode


class ListName(StrEnum):
    """A short list, as its address calls it."""

    FACILITIES = "facilities"
    PHYSICIANS = "physicians"
    LEVELS = "levels"
    GROUPS = "groups"
    SPECIALTIES = "specialties"
    INSTITUTIONS = "institutions"
    DEPARTMENTS = "departments"


KIND_OF = {
    ListName.LEVELS: TermKind.LEVEL,
    ListName.GROUPS: TermKind.GROUP,
    ListName.SPECIALTIES: TermKind.SPECIALTY,
    ListName.INSTITUTIONS: TermKind.INSTITUTION,
    ListName.DEPARTMENTS: TermKind.DEPARTMENT,
}
COLUMN_OF = {
    TermKind.LEVEL: Staff.level,
    TermKind.GROUP: Staff.group,
    TermKind.SPECIALTY: Staff.specialty,
    TermKind.INSTITUTION: Staff.institution,
    TermKind.DEPARTMENT: Staff.department,
}
"""Where staff keep the word itself."""


class Used(NotAllowed):
    """A used entry is not deleted: switch it off instead. `count` up to COUNTED + 1."""

    status = 409

    def __init__(self, count: int) -> None:
        super().__init__("it is used")
        self.count = count


@dataclass(frozen=True)
class Entry:
    """A row of a list as it was read. `seen` tells whether it is still so."""

    key: str
    name: str
    address: str
    is_in_use: bool

    @property
    def seen(self) -> str:
        text = AS_JSON([self.name, self.address, self.is_in_use])
        return hashlib.sha256(text.encode()).hexdigest()[:22]

    @property
    def values(self) -> dict[str, Any]:
        return {"name": self.name, "address": self.address, "is_in_use": self.is_in_use}


def name_max(which: ListName) -> int:
    return 60 if which in KIND_OF else 120


def has_address(which: ListName) -> bool:
    return which == ListName.FACILITIES


# ---- Reading -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entries:
    """A page of a list: the number of the page, its rows, how many there are in all and how many in use."""

    number: int
    rows: list[Entry]
    total: int
    in_use: int


def entries(session: Session, which: ListName, *, number: int) -> Entries:
    """By name. A page beyond the last is the last. One statement, unless there is no such page."""
    rows = _rows(session, which, number)
    if not rows and number > 1:
        model, where = _table(which)
        total = session.scalar(sa.select(sa.func.count()).select_from(model).where(*where))
        number = page_within(number, total or 0, PAGE)
        rows = _rows(session, which, number)
    total, in_use = (rows[0].total, rows[0].in_use) if rows else (0, 0)
    return Entries(number, [_entry(row) for row in rows], total, in_use)


def _rows(session: Session, which: ListName, number: int) -> Sequence[Any]:
    return session.connection().execute(_page(which), {"offset": (number - 1) * PAGE}).all()


@lru_cache(maxsize=len(ListName))
def _page(which: ListName) -> Any:
    """The statement of a page, with how many there are and are in use on every row."""
    model, where = _table(which)
    in_use = sa.func.sum(sa.case((model.is_in_use, 1), else_=0)).over()
    page = sa.select(model.__table__, sa.func.count().over().label("total"), in_use.label("in_use")).where(*where)
    ordered = page.order_by(sa.func.lower(model.name), model.id)
    return ordered.limit(sa.literal_column(str(PAGE), sa.Integer)).offset(sa.bindparam("offset", type_=sa.Integer))


def entry_with(session: Session, which: ListName, key: str) -> Entry | None:
    model, where = _table(which)
    row = session.scalar(sa.select(model).where(model.key == key, *where))
    return _entry(row) if row else None


def uses(session: Session, which: ListName, key: str, *, at_most: int = COUNTED) -> int:
    """How often the entry is used; `at_most` + 1 where that is more than `at_most`."""
    model, where = _table(which)
    row = session.scalar(sa.select(model).where(model.key == key, *where))
    return counted(session, _uses(which, row), at_most=at_most) if row else 0


def _table(which: ListName) -> tuple[Any, list[Any]]:
    if which in KIND_OF:
        return StaffTerm, [StaffTerm.kind == KIND_OF[which]]
    return (Facility if which == ListName.FACILITIES else ReferringPhysician), []


def _entry(row: Any) -> Entry:
    return Entry(row.key, row.name, getattr(row, "address", ""), bool(row.is_in_use))


def _uses(which: ListName, row: Any) -> sa.GenerativeSelect:
    """A row for each use. A request and its thread are one; each communicator that serves a facility is one."""
    if which in KIND_OF:
        return sa.select(Staff.id).where(COLUMN_OF[KIND_OF[which]] == row.name)
    if which == ListName.PHYSICIANS:
        return sa.select(AppointmentRequest.thread_id).where(AppointmentRequest.physician_id == row.id)
    threads = sa.union(
        sa.select(AppointmentRequest.thread_id).where(AppointmentRequest.facility_id == row.id),
        sa.select(ResultRequest.thread_id).where(ResultRequest.location_id == row.id),
        sa.select(Thread.id).where(Thread.facility_id == row.id),
    ).subquery()
    served = sa.select(CommunicatorFacility.communicator_id).where(CommunicatorFacility.facility_id == row.id)
    return sa.union_all(sa.select(threads), served)


# ---- Changing ------------------------------------------------------------------------------------


@again_if_doubled
def add_entry(
    which: ListName, *, name: str, address: str = "", is_in_use: bool = True, form_key: str | None = None, by: Actor
) -> str:
    """The key of a new entry; of the one that this form made before, when it is sent again. Raises Invalid."""
    name, address = _clean(which, name, address)
    with transaction(by=by, did="add_entry") as tx:
        _alone(tx)
        model, where = _table(which)
        made = tx.session.scalar(sa.select(model).where(model.key == form_key)) if form_key else None
        if made is not None and made.name == name:
            tx.is_silent = True
            return str(made.key)
        _must_be_free(tx.session, which, name)
        key = form_key if form_key and made is None else new_key()
        new = Entry(key, name, address, is_in_use)
        columns = {"key": key, "name": name, "is_in_use": is_in_use}
        if which in KIND_OF:
            columns["kind"] = KIND_OF[which]
        tx.session.add(model(**columns, **({"address": address} if has_address(which) else {})))
        tx.session.flush()
        _note(tx, which, key, {}, new.values)
        return key


def save_entry(which: ListName, key: str, *, name: str, address: str = "", is_in_use: bool, seen: str, by: Actor) -> None:
    """Renames an entry, or switches it on or off; staff who are called by a word are called by the new one.

    Raises NotVisible, Stale when it is no longer as it was `seen`, Invalid.
    """
    name, address = _clean(which, name, address)
    with transaction(by=by, did="save_entry") as tx:
        _alone(tx)
        row = _seen(tx.session, which, key, seen)
        before, after = _entry(row), Entry(key, name, address, is_in_use)
        _must_be_free(tx.session, which, name, but=row.id)
        row.name, row.is_in_use = name, is_in_use
        if has_address(which):
            row.address = address
        if which in KIND_OF and name != before.name:
            column = COLUMN_OF[KIND_OF[which]]
            renamed = sa.update(Staff).where(column == before.name).values({column: name})
            tx.details["renamed"] = changed(tx.session, renamed)
        tx.session.flush()
        tx.is_silent = before == after
        _note(tx, which, key, before.values, after.values)


def delete_entry(which: ListName, key: str, *, seen: str, by: Actor) -> None:
    """Deletes an entry that nothing has. Raises NotVisible, Stale, Used."""
    with transaction(by=by, did="delete_entry") as tx:
        _alone(tx)
        row = _seen(tx.session, which, key, seen)
        if count := counted(tx.session, _uses(which, row)):
            raise Used(count)
        _note(tx, which, key, _entry(row).values, {})
        tx.session.delete(row)
        tx.session.flush()


def have_terms(kind: TermKind, names: Iterable[str], *, by: Actor) -> None:
    """Adds the words that the list does not have yet."""
    which = next(which for which, of in KIND_OF.items() if of == kind)
    known = {term_key(name) for name in db.session.scalars(sa.select(StaffTerm.name).where(StaffTerm.kind == kind))}
    for name in names:
        if term_key(name) not in known:
            add_entry(which, name=name, by=by)
            known.add(term_key(name))


def _alone(tx: Transaction) -> None:
    """One change of the lists at a time, and no request is sent meanwhile that would use what is just deleted."""
    must_be_admin(tx)
    hold_routing_still(tx.session, to_change_it=True)


def _clean(which: ListName, name: str, address: str) -> tuple[str, str]:
    name = " ".join(clean("name", name, name_max(which)).split())
    if not has_address(which) or not address.strip():
        return name, ""
    return name, " ".join(clean("address", address, ADDRESS_MAX).split())


def _must_be_free(session: Session, which: ListName, name: str, *, but: int = 0) -> None:
    """No other entry is called like this, whatever case and blanks."""
    model, where = _table(which)
    others = session.scalars(sa.select(model.name).where(model.id != but, *where))
    if term_key(name) in {term_key(other) for other in others}:
        raise Invalid("name", "Another entry has this name.")


def _seen(session: Session, which: ListName, key: str, seen: str) -> Any:
    model, where = _table(which)
    row = session.scalar(sa.select(model).where(model.key == key, *where).with_for_update())
    if row is None:
        raise NotVisible
    if _entry(row).seen != seen:
        raise Stale("changed by somebody else")
    return row


def _note(tx: Transaction, which: ListName, key: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    tx.about = key
    tx.details["list"] = which.value
    tx.note_change(before, after)
