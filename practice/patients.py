"""Patients' accounts as an admin keeps them: found, matched to a record number, locked, merged and parted again."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from practice.communicators import eligible
from practice.conversations import clean
from practice.db import Actor, Model, Transaction, again_if_doubled, changed, db, now, transaction
from practice.drafts import Draft
from practice.errors import Invalid, NotVisible, Stale
from practice.links import end_ways_in
from practice.matching import MatchState, move
from practice.outbox import Notice, NoticeState, Occasion, take_back, tell
from practice.patient_search import PatientSearch, patient_keys, patients_with, values_of
from practice.people import (
    AccountStatus,
    Gender,
    Patient,
    Person,
    Staff,
    active_admins,
    email_key,
    full_name,
    must_be_admin,
)
from practice.records import RecordDocument, RecordValue
from practice.routing import communicators_of, hold_routing_still, wake
from practice.sessions import end_sessions_of
from practice.threads import PAGE, Event, History, Message, Page, Thread, ThreadState, last_of_thread

RECORD_NUMBER_MAX = 20
MANY = 5_000  # ids in one statement


class PatientMerge(Model):
    """Two accounts of one person became one; `moved` (JSON) says exactly what, so that undoing moves back just that."""

    __tablename__ = "patient_merge"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(22), unique=True)
    kept_id: Mapped[int] = mapped_column(sa.ForeignKey("patient.id"), index=True)
    merged_id: Mapped[int] = mapped_column(sa.ForeignKey("patient.id"), index=True)
    moved: Mapped[str] = mapped_column(sa.Text)
    at: Mapped[datetime]
    undone_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(sa.Integer)
    __mapper_args__ = {"version_id_col": version}


# ---- The list ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Search(PatientSearch):
    """What is searched for; all of it must fit."""

    is_not_matched: bool = False
    status: AccountStatus | None = None

    @property
    def order(self) -> str:
        """By name; by first name where nothing else says where to look; who is not matched yet: the newest first."""
        if self.last or self.dob or self.phone or self.email or self.record_number:
            return "name"
        return "first" if self.first else "newest" if self.is_not_matched else "name"


_ROW = (
    Person.id, Person.key, Person.last_name, Person.first_name, Person.email, Person.status,
    Patient.dob, Patient.gender, Patient.phone, Patient.record_number,
)  # fmt: skip
_ORDERS: dict[str, tuple[Any, ...]] = {
    "name": (Person.name_key, Person.id),
    "first": (Person.first_key, Person.id),
    "newest": (Patient.id,),
}


def patients_found(search: Search, *, beyond: str | None = None, is_newer: bool = False) -> Page:
    """A page of patients in the order of the search, beyond the one with this key. At most two statements, no count."""
    sought = patient_keys(search)
    if sought is None:
        return Page([], False, False)
    is_down = (search.order == "newest") != is_newer
    place = db.session.connection().execute(_place(search.order), {"beyond": beyond}).first() if beyond else None
    found = _listed(tuple(sought), search.order, is_down, place is not None, search.is_not_matched, search.status is not None)
    values = values_of(sought) | {f"place_{n}": value for n, value in enumerate(place or ())} | {"status": search.status}
    rows = list(db.session.connection().execute(found, values))
    shown, is_more = rows[:PAGE], len(rows) > PAGE
    if place and is_newer:
        return Page(shown[::-1], has_newer=is_more, has_older=True)
    return Page(shown, has_newer=place is not None, has_older=is_more)


# Built once for each shape of the question: building a statement takes longer than asking it.
@lru_cache(maxsize=128)
def _listed(names: tuple[str, ...], order: str, is_down: bool, has_place: bool, is_not_matched: bool, has_status: bool) -> Any:
    found, columns = patients_with(sa.select(*_ROW).select_from(Patient), names), _ORDERS[order]
    if is_not_matched:
        found = found.where(Patient.record_number.is_(None))
    if has_status:
        found = found.where(Person.status == sa.bindparam("status"))
    if has_place:
        here = sa.tuple_(*columns)
        there = sa.tuple_(*(sa.bindparam(f"place_{n}", type_=column.type) for n, column in enumerate(columns)))
        found = found.where(here < there if is_down else here > there)
    return found.order_by(*(c.desc() if is_down else c.asc() for c in columns)).limit(PAGE + 1)


@lru_cache(maxsize=8)
def _place(order: str) -> Any:
    """Where the patient with the key `beyond` stands in this order."""
    one = sa.select(*_ORDERS[order]).select_from(Person).join(Patient, Patient.id == Person.id)
    return one.where(Person.key == sa.bindparam("beyond"))


# ---- One account ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Account:
    """A patient's account; with the staff account of the same human where one is linked."""

    id: int
    key: str
    last_name: str
    first_name: str
    email: str
    status: AccountStatus
    dob: date
    gender: Gender
    phone: str
    record_number: str | None
    created_at: datetime
    staff_id: int | None
    staff_login: str | None
    staff_last: str | None
    staff_first: str | None

    @property
    def name(self) -> str:
        return full_name(self.last_name, self.first_name)

    @property
    def staff_name(self) -> str:
        return full_name(self.staff_last or "", self.staff_first or "")

    @property
    def seen(self) -> str:
        """What tells whether it is still as it was seen: another text as soon as a value differs."""
        values = [self.name, self.email, self.status, self.dob, self.gender, self.phone, self.record_number, self.staff_login]
        return hashlib.sha256(json.dumps(values, default=str).encode()).hexdigest()[:22]


_Owner = aliased(Person, name="owner")
_ACCOUNT = (
    sa.select(*_ROW, Person.created_at, Staff.id.label("staff_id"), Staff.login.label("staff_login"))
    .add_columns(_Owner.last_name.label("staff_last"), _Owner.first_name.label("staff_first"))
    .select_from(Person)
    .join(Patient, Patient.id == Person.id)
    .outerjoin(Staff, Staff.own_patient_id == Patient.id)
    .outerjoin(_Owner, _Owner.id == Staff.id)
    .where(Person.key == sa.bindparam("key"))
)


def account_of(session: Session, key: str) -> Account:
    """Raises NotVisible."""
    row = session.connection().execute(_ACCOUNT, {"key": key}).first()
    if row is None:
        raise NotVisible
    return Account(**row._asdict())


def _locked(session: Session, *keys: str) -> list[Account]:
    """These accounts, held until the end of the transaction: what is being sent for them is let through first."""
    rows = sa.select(Patient.id).join(Person, Person.id == Patient.id).where(Person.key.in_(keys)).order_by(Patient.id)
    session.execute(rows.with_for_update(of=(Patient, Person))).all()
    return [account_of(session, key) for key in keys]


def open_account(tx: Transaction, key: str, seen: str) -> Account:
    """The account to be changed by an admin, held. Raises NotVisible, Invalid when it was merged into another one, Stale."""
    must_be_admin(tx)
    (account,) = _locked(tx.session, key)
    tx.patient = account.id
    if account.seen != seen:
        raise Stale("changed by somebody else")
    if _standing_merge(tx.session, account.id):
        raise Invalid("", "This account was merged into another one. Undo that first.")
    return account


# ---- Record number and status --------------------------------------------------------------------


class NumberTaken(Invalid):
    """Another account, `other`, has this record number: it may be the same person's."""

    def __init__(self, other: Account) -> None:
        super().__init__("record_number", "Another account has this record number.")
        self.other = other


@again_if_doubled
def match(patient_key: str, *, record_number: str, seen: str, by: Actor) -> None:
    """Matches the account to a number of the practice's record. Raises NotVisible, Invalid, NumberTaken, Stale."""
    number = " ".join(clean("record_number", record_number, RECORD_NUMBER_MAX).split())
    with transaction(by=by, did="match_patient", about=patient_key) as tx:
        account = open_account(tx, patient_key, seen)
        taken = sa.select(Person.key).join(Patient, Patient.id == Person.id).where(Patient.record_number == number)
        if other := tx.session.scalar(taken.where(Patient.id != account.id)):
            raise NumberTaken(account_of(tx.session, other))
        _set_number(tx, account, number)


def unmatch(patient_key: str, *, seen: str, by: Actor) -> None:
    """Takes the record number away. Raises NotVisible, Stale."""
    with transaction(by=by, did="unmatch_patient", about=patient_key) as tx:
        _set_number(tx, open_account(tx, patient_key, seen), None)


def _set_number(tx: Transaction, account: Account, number: str | None) -> None:
    tx.note_change({"record_number": account.record_number}, {"record_number": number})
    tx.session.execute(sa.update(Patient).where(Patient.id == account.id).values(record_number=number))
    move(tx.session, account.id, MatchState.MATCHED if number else MatchState.WAITING)
    if not number:
        take_back(tx.session, Occasion.MATCHED, account.id)
    elif not account.record_number and account.status == AccountStatus.ACTIVE:
        tell(tx, Occasion.MATCHED, [account.id])


def lock(patient_key: str, *, seen: str, by: Actor) -> None:
    """Nobody logs in with it any more, and every session ends at once. Raises NotVisible, Stale."""
    with transaction(by=by, did="lock_patient", about=patient_key) as tx:
        account = open_account(tx, patient_key, seen)
        if account.status == AccountStatus.LOCKED:
            raise Stale("locked before")
        _set_status(tx, account, AccountStatus.LOCKED)


def unlock(patient_key: str, *, seen: str, by: Actor) -> None:
    """Back to what it was: active, or invited where no password was ever chosen; who was refused waits to be matched again.

    Raises NotVisible, Stale.
    """
    with transaction(by=by, did="unlock_patient", about=patient_key) as tx:
        account = open_account(tx, patient_key, seen)
        if account.status != AccountStatus.LOCKED:
            raise Stale("unlocked before")
        has_password = tx.session.scalar(sa.select(Person.password_hash.is_not(None)).where(Person.id == account.id))
        _set_status(tx, account, AccountStatus.ACTIVE if has_password else AccountStatus.INVITED)
        if account.record_number is None:
            move(tx.session, account.id, MatchState.WAITING)


def _set_status(tx: Transaction, account: Account, status: AccountStatus) -> None:
    tx.note_change({"status": account.status}, {"status": status})
    tx.session.execute(sa.update(Person).where(Person.id == account.id).values(status=status))
    if status == AccountStatus.LOCKED:
        end_sessions_of(tx.session, account.id)
        end_ways_in(tx.session, account.id)
    if AccountStatus.ACTIVE in (account.status, status):  # who was never in is told nothing
        told, before = (Occasion.LOCKED, Occasion.UNLOCKED)[:: 1 if status == AccountStatus.LOCKED else -1]
        if not take_back(tx.session, before, account.id):  # nobody heard of it yet: it is as if it had not been
            tell(tx, told, [account.id])


# ---- A patient who is also staff -----------------------------------------------------------------


@again_if_doubled
def link_staff(patient_key: str, *, staff_login: str, seen: str, by: Actor) -> None:
    """This patient and this member of staff are one human, who from now on has no sight of their own threads as staff.

    What nobody else could receive waits unrouted. Raises NotVisible, Invalid when either has a link already, Stale.
    """
    with transaction(by=by, did="link_staff", about=patient_key) as tx:
        hold_routing_still(tx.session, to_change_it=True)
        account = open_account(tx, patient_key, seen)
        if account.staff_id:
            raise Invalid("login", "This patient is linked to another staff account.")
        staff = tx.session.scalar(sa.select(Staff).where(Staff.login_key == email_key(staff_login)).with_for_update())
        if staff is None:
            raise Invalid("login", "There is no staff account with this ID.")
        if staff.own_patient_id is not None:
            raise Invalid("login", "This staff account is linked to another patient.")
        staff.own_patient_id = account.id
        tx.session.flush()
        tx.note_change({"staff": None}, {"staff": staff.login})
        _take_out_of_sight(tx, staff.id, account.id)


def unlink_staff(patient_key: str, *, seen: str, by: Actor) -> None:
    """They are two humans: what waited for the member of staff is delivered. Raises NotVisible, Stale."""
    with transaction(by=by, did="unlink_staff", about=patient_key) as tx:
        hold_routing_still(tx.session, to_change_it=True)
        account = open_account(tx, patient_key, seen)
        if account.staff_id is None:
            raise Stale("unlinked before")
        _link(tx.session, account.staff_id, None)
        tx.note_change({"staff": account.staff_login}, {"staff": None})
        wake(tx)


def _link(session: Session, staff: int, patient: int | None) -> None:
    session.execute(sa.update(Staff).where(Staff.id == staff).values(own_patient_id=patient))


def _take_out_of_sight(tx: Transaction, staff: int, patient: int) -> None:
    """These threads are the member of staff's own now: no claim, no waiting notice; what only they could receive is unrouted."""
    session, at = tx.session, now()
    own = sa.select(Thread.id).where(Thread.patient_id == patient)
    claimed = [Thread.patient_id == patient, Thread.claimed_by_id == staff]
    _record_all(tx, claimed, Event.RELEASED, at)
    _change(session, sa.update(Thread).where(*claimed).values(claimed_by_id=None, claimed_until=None, version=Thread.version + 1))
    _change(session, sa.delete(Notice).where(*_waits_for(staff, own)))
    open_ones = [
        Thread.patient_id == patient,
        Thread.state == ThreadState.WAITING,
        Thread.unrouted_since.is_(None),
        Thread.audience_id.is_not(None),
    ]
    audiences = list(session.scalars(sa.select(Thread.audience_id).where(*open_ones).distinct()))
    alone = [audience for audience in audiences if audience and _is_alone(session, staff, audience)]
    if alone:
        open_ones.append(Thread.audience_id.in_(alone))
        _tell_admins(tx, open_ones, at)
        since = sa.func.coalesce(Thread.waiting_since, sa.literal(at))
        _change(session, sa.update(Thread).where(*open_ones).values(unrouted_since=since, version=Thread.version + 1))


def _is_alone(session: Session, staff: int, audience: int) -> bool:
    """Whether they are eligible for the threads of this audience, and nobody else is there to receive them."""
    people = session.execute(eligible(communicator=communicators_of(session, audience))).all()
    return any(row.staff_id == staff for row in people) and not any(r.is_present for r in people if r.staff_id != staff)


def _tell_admins(tx: Transaction, group: list[sa.ColumnElement[bool]], at: datetime) -> None:
    """A notice for each admin and thread of the group, unless they were told of this message before. Keys come from the ids
    of message and person, as in routing: they have room for the largest."""
    key = sa.literal("u") + sa.cast(last_of_thread, sa.String) + "-" + sa.cast(Person.id, sa.String)
    told = sa.exists().where(
        Notice.message_id == last_of_thread, Notice.person_id == Person.id, Notice.occasion == Occasion.UNROUTED
    )
    rows = (
        sa.select(
            key,
            sa.literal(Occasion.UNROUTED, Notice.occasion.type),
            Person.id,
            Thread.id,
            last_of_thread,
            sa.literal(NoticeState.WAITING, Notice.state.type),
            sa.literal(0),
            sa.literal(at),
            sa.literal(at),
        )
        .join(Person, Person.id.in_(active_admins(tx.session)))
        .where(*group, ~told)
    )
    columns = ["key", "occasion", "person_id", "thread_id", "message_id", "state", "attempts", "next_at", "created_at"]
    tx.session.execute(sa.insert(Notice).from_select(columns, rows))
    tx.commit.has_notices = True


# ---- Merging -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Moves:
    """What a merge would move from one account to the other, and what it leaves behind (`drafts`, how many)."""

    threads: int
    values: int
    notices: int
    drafts: int
    record_number: str | None
    staff_name: str


def what_moves(session: Session, kept: Account, merged: Account) -> Moves:
    """Counts of one patient's rows."""

    def count(*conditions: sa.ColumnElement[bool]) -> int:
        return session.scalar(sa.select(sa.func.count()).where(*conditions)) or 0

    number = merged.record_number if kept.record_number is None else None
    return Moves(
        threads=count(Thread.patient_id == merged.id),
        values=count(RecordValue.patient_id == merged.id),
        notices=len(_waiting_notices(session, merged.id, kept.id)),
        drafts=count(Draft.author_id == merged.id),
        record_number=number,
        staff_name=merged.staff_name,
    )


@dataclass(frozen=True)
class MergeSeen:
    """A merge as one of the two accounts shows it: `other_*` is the other one."""

    key: str
    version: int
    at: datetime
    undone_at: datetime | None
    is_kept: bool
    other_key: str
    other_last_name: str
    other_first_name: str


def merges_of(session: Session, patient: int, *, limit: int = 20) -> list[MergeSeen]:
    """The newest first."""
    rows = session.connection().execute(_MERGES, {"patient": patient, "limit": limit})
    return [MergeSeen(**row._asdict()) for row in rows]


_patient = sa.bindparam("patient", type_=sa.Integer)
_MERGES = (
    sa.select(PatientMerge.key, PatientMerge.version, PatientMerge.at, PatientMerge.undone_at)
    .add_columns((PatientMerge.kept_id == _patient).label("is_kept"), Person.key.label("other_key"))
    .add_columns(Person.last_name.label("other_last_name"), Person.first_name.label("other_first_name"))
    .join(Person, Person.id == sa.case((PatientMerge.kept_id == _patient, PatientMerge.merged_id), else_=PatientMerge.kept_id))
    .where(sa.or_(PatientMerge.kept_id == _patient, PatientMerge.merged_id == _patient))
    .order_by(PatientMerge.id.desc())
    .limit(sa.bindparam("limit", type_=sa.Integer))
)


def _standing_merge(session: Session, merged: int) -> int | None:
    """The merge that took this account away and was not undone."""
    return session.scalar(sa.select(PatientMerge.id).where(PatientMerge.merged_id == merged, PatientMerge.undone_at.is_(None)))


def seen_together(kept: Account, merged: Account) -> str:
    """As Account.seen, of two accounts, whichever is kept."""
    return hashlib.sha256("".join(sorted((kept.seen, merged.seen))).encode()).hexdigest()[:22]


@again_if_doubled
def merge(kept_key: str, merged_key: str, *, form_key: str, seen: str, is_confirmed: bool = False, by: Actor) -> str:
    """All that the merged account has goes to the kept one, and the merged one is locked. Answers the key of the merge.

    Messages are never changed: their author stays the old account. Drafts stay behind. `is_confirmed`: although the two were
    not born on the same day. The same form again is done once. Raises NotVisible, Invalid, Stale.
    """
    with transaction(by=by, did="merge_patients", about=kept_key) as tx:
        must_be_admin(tx)
        hold_routing_still(tx.session, to_change_it=True)  # before any row: senders take it first too
        if kept_key == merged_key:
            raise Invalid("", "These are not two accounts. Choose another one.")
        kept, merged = _locked(tx.session, kept_key, merged_key)
        tx.patient = kept.id
        made = tx.session.scalar(sa.select(PatientMerge).where(PatientMerge.key == form_key))
        if made:
            if (made.kept_id, made.merged_id) != (kept.id, merged.id):
                raise Stale("this form has merged others")
            tx.is_silent = True
            return made.key
        if any(_standing_merge(tx.session, account.id) for account in (kept, merged)):
            raise Invalid("", "One of the accounts was merged into another one. Undo that first.")
        if seen_together(kept, merged) != seen:
            raise Stale("changed by somebody else")
        if kept.staff_id and merged.staff_id:
            raise Invalid("", "They are linked to two different staff accounts. Unlink one of them first.")
        if kept.dob != merged.dob and not is_confirmed:
            raise Invalid("is_confirmed", "The dates of birth differ. Confirm that this is one person.")
        if kept.status != AccountStatus.ACTIVE:
            raise Invalid("kept", "The account that is kept must be active: choose the other one, or unlock it first.")
        made = PatientMerge(key=form_key, kept_id=kept.id, merged_id=merged.id, at=now())
        made.moved = json.dumps(_move_all(tx, kept, merged))
        tx.session.add(made)
        with transaction(by=by, did="lock_patient", about=merged_key, patient=merged.id) as locking:
            if merged.status != AccountStatus.LOCKED:
                _set_status(locking, merged, AccountStatus.LOCKED)
            locking.details["merged_into"] = kept_key
        tx.session.flush()
        return made.key


def _move_all(tx: Transaction, kept: Account, merged: Account) -> dict[str, Any]:
    """Moves; answers what was moved, by ids. A fixed number of statements, however many threads there are."""
    session = tx.session
    number = merged.record_number if kept.record_number is None else None
    of_merged = Thread.patient_id == merged.id
    moved: dict[str, Any] = {
        "threads": list(session.scalars(sa.select(Thread.id).where(of_merged).order_by(Thread.id).with_for_update())),
        "values": list(session.scalars(sa.select(RecordValue.id).where(RecordValue.patient_id == merged.id))),
        "documents": list(session.scalars(sa.select(RecordDocument.id).where(RecordDocument.patient_id == merged.id))),
        "notices": _waiting_notices(session, merged.id, kept.id),
        "staff": merged.staff_id,
        "record_number": number,
        "status": merged.status,
    }
    _record_all(tx, [of_merged], Event.MOVED, now())
    _change(session, sa.update(Thread).where(of_merged).values(patient_id=kept.id, version=Thread.version + 1))
    for table in (RecordValue, RecordDocument):
        _change(session, sa.update(table).where(table.patient_id == merged.id).values(patient_id=kept.id))
    for some in _batches(moved["notices"]):
        _change(session, sa.update(Notice).where(Notice.id.in_(some)).values(person_id=kept.id))
    if number:
        _give_number(session, number, merged.id, kept.id)
    if merged.staff_id:
        _link(session, merged.staff_id, kept.id)
    if owner := merged.staff_id or kept.staff_id:
        _take_out_of_sight(tx, owner, kept.id)
    tx.note_change(
        {"record_number": kept.record_number, "staff": kept.staff_login},
        {"record_number": kept.record_number or number, "staff": kept.staff_login or merged.staff_login},
    )
    tx.details |= {"merged": merged.key, "threads": len(moved["threads"]), "values": len(moved["values"])}
    return moved


def unmerge(merge_key: str, *, version: int, by: Actor) -> None:
    """Moves back exactly what the merge moved and the kept account still has; what came since stays where it is, but a thread
    goes with all that was written in it, and a value of the record with what it was corrected to. Raises NotVisible, Invalid,
    Stale when it was undone before."""
    with transaction(by=by, did="undo_merge", about=merge_key) as tx:
        must_be_admin(tx)
        hold_routing_still(tx.session, to_change_it=True)
        pair = tx.session.execute(
            sa.select(PatientMerge.kept_id, PatientMerge.merged_id).where(PatientMerge.key == merge_key)
        ).first()
        if pair is None:
            raise NotVisible
        keys = dict(tx.session.execute(sa.select(Person.id, Person.key).where(Person.id.in_(pair))).all())
        kept, merged = _locked(tx.session, keys[pair.kept_id], keys[pair.merged_id])
        made = tx.session.scalars(sa.select(PatientMerge).where(PatientMerge.key == merge_key).with_for_update()).one()
        if made.undone_at is not None or made.version != version:
            raise Stale("undone before")
        if _standing_merge(tx.session, kept.id):
            raise Invalid("", "The kept account was itself merged into another one since. Undo that first.")
        tx.patient = kept.id
        moved = json.loads(made.moved)
        _move_back(tx, kept, merged, moved)
        if kept.staff_id or moved["staff"]:
            wake(tx)
        with transaction(by=by, did="unlock_patient", about=merged.key, patient=merged.id) as unlocking:
            if merged.status != moved["status"]:
                _set_status(unlocking, merged, AccountStatus(moved["status"]))
            unlocking.details["parted_from"] = kept.key
        made.undone_at = now()
        tx.session.flush()


def _move_back(tx: Transaction, kept: Account, merged: Account, moved: dict[str, Any]) -> None:
    session, at = tx.session, now()
    threads = 0
    for some in _batches(moved["threads"]):
        still = [Thread.id.in_(some), Thread.patient_id == kept.id]
        _record_all(tx, still, Event.MOVED, at)
        back = _waiting_notices(session, kept.id, merged.id, threads=sa.select(Thread.id).where(*still))
        for few in _batches(back):
            _change(session, sa.update(Notice).where(Notice.id.in_(few)).values(person_id=merged.id))
        threads += _change(session, sa.update(Thread).where(*still).values(patient_id=merged.id, version=Thread.version + 1))
    for some in _batches(moved["values"]):  # a value goes with all its versions, also those of corrections since
        still = [sa.or_(RecordValue.id.in_(some), RecordValue.root_id.in_(some)), RecordValue.patient_id == kept.id]
        _change(session, sa.update(RecordValue).where(*still).values(patient_id=merged.id))
    for some in _batches(moved.get("documents", [])):
        still = [RecordDocument.id.in_(some), RecordDocument.patient_id == kept.id]
        _change(session, sa.update(RecordDocument).where(*still).values(patient_id=merged.id))
    number, staff = moved["record_number"], moved["staff"]
    is_free = session.scalar(sa.select(Patient.id).where(Patient.record_number == number)) is None
    has_number = bool(number) and merged.record_number is None and (kept.record_number == number or is_free)
    if has_number and is_free:
        session.execute(sa.update(Patient).where(Patient.id == merged.id).values(record_number=number))
    elif has_number:
        _give_number(session, number, kept.id, merged.id)
    if staff and kept.staff_id == staff:
        _link(session, staff, merged.id)
    tx.note_change(
        {"record_number": kept.record_number, "staff": kept.staff_login},
        {
            "record_number": None if kept.record_number == number and has_number else kept.record_number,
            "staff": None if staff and kept.staff_id == staff else kept.staff_login,
        },
    )
    tx.details |= {"merged": merged.key, "threads": threads}


def _give_number(session: Session, number: str, giver: int, taker: int) -> None:
    """In this order: no two accounts ever have it."""
    session.execute(sa.update(Patient).where(Patient.id == giver).values(record_number=None))
    session.execute(sa.update(Patient).where(Patient.id == taker).values(record_number=number))
    move(session, giver, MatchState.WAITING)
    move(session, taker, MatchState.MATCHED)


_Twin = aliased(Notice, name="twin")


def _waiting_notices(session: Session, person: int, other: int, *, threads: Any = None) -> list[int]:
    """Ids of notices to one person, about these threads or the person's own, that still wait and that the other has not."""
    threads = threads if threads is not None else sa.select(Thread.id).where(Thread.patient_id == person)
    twin = sa.exists().where(_Twin.message_id == Notice.message_id, _Twin.occasion == Notice.occasion, _Twin.person_id == other)
    return list(session.scalars(sa.select(Notice.id).where(*_waits_for(person, threads), ~twin).order_by(Notice.id)))


def _waits_for(person: int, threads: Any) -> tuple[sa.ColumnElement[bool], ...]:
    """Conditions on Notice, found through the messages: there is an index by them."""
    messages = sa.select(Message.id).where(Message.thread_id.in_(threads))
    return Notice.message_id.in_(messages), Notice.person_id == person, Notice.state == NoticeState.WAITING


def _record_all(tx: Transaction, group: Iterable[sa.ColumnElement[bool]], did: Event, at: datetime) -> None:
    """A line in the history of each thread of the group."""
    values = Thread.id, sa.literal(at), sa.literal(tx.by.person, sa.Integer), sa.literal(did, History.did.type), sa.literal("")
    rows = sa.select(*values).where(*group)
    tx.session.execute(sa.insert(History).from_select(["thread_id", "at", "by_id", "did", "words"], rows))


def _batches(ids: list[int]) -> Iterator[list[int]]:
    return (ids[n : n + MANY] for n in range(0, len(ids), MANY))


def _change(session: Session, statement: Any) -> int:
    return changed(session, statement.execution_options(synchronize_session=False))
