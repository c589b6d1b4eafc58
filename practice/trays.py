"""What waits for an admin: envelopes of unrouted, overdue and removed threads, and opening one with a reason (break-glass).

An envelope says who, which type, since when and who has it; never a title or a word that a patient wrote.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from practice.conversations import clean
from practice.db import MANY_AND_ONE, Actor, Model, again_if_doubled, db, now, transaction
from practice.drafts import delete_draft
from practice.errors import Invalid, NotVisible, Stale
from practice.people import Person, Staff, must_be_admin
from practice.threads import (
    ARRIVALS,
    NEWEST,
    PAGE,
    Event,
    History,
    Opened,
    Page,
    Place,
    Thread,
    mark,
    opened_by_patient,
    record,
)

REASON_MAX = 500
LASTS = timedelta(hours=1)  # how long a thread opened with a reason stays open
RECENT = timedelta(days=7)


class BreakGlass(Model):
    """An admin who is not in charge opened a thread, and why. Shown to all admins; the words show until `ends_at`."""

    __tablename__ = "break_glass"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(22), unique=True)  # the key of the form: opened once
    thread_id: Mapped[int] = mapped_column(sa.ForeignKey("thread.id"))
    staff_id: Mapped[int] = mapped_column(sa.ForeignKey("staff.id"))
    reason: Mapped[str] = mapped_column(sa.String(500))
    at: Mapped[datetime]
    ends_at: Mapped[datetime]
    __table_args__ = (sa.Index(None, "thread_id", "staff_id"), sa.Index(None, "at", "id"))


# ---- Envelopes -----------------------------------------------------------------------------------


class Tray(StrEnum):
    UNROUTED = "unrouted"
    OVERDUE = "overdue"
    REMOVED = "removed"


_TIME_OF = {Tray.UNROUTED: Thread.unrouted_since, Tray.OVERDUE: Thread.due_at, Tray.REMOVED: Thread.removed_at}
_LIES_IN = {
    Tray.UNROUTED: Thread.unrouted_since.is_not(None),
    Tray.OVERDUE: sa.and_(Thread.due_at.is_not(None), Thread.due_at < sa.bindparam("now", type_=sa.DateTime)),
    Tray.REMOVED: Thread.removed_at.is_not(None),
}
"""When a thread lies in a tray; each with an index over just these rows."""

_Claimer = aliased(Person, name="claimer")
_ENVELOPE = (
    sa.select(
        Thread.id,
        Thread.key,
        Thread.patient_id,
        Thread.audience_id,
        Thread.type,
        Thread.version,
        Thread.unrouted_since,
        Thread.waiting_since,
        Thread.due_at,
        Thread.late_told_at,
        Thread.escalated_at,
        Thread.removed_at,
        Person.last_name,
        Person.first_name,
    )
    .select_from(Thread)
    .join(Person, Person.id == Thread.patient_id)
)
_CLAIM = sa.and_(_Claimer.id == Thread.claimed_by_id, Thread.claimed_until > sa.bindparam("now", type_=sa.DateTime))
_WITH_CLAIM = _ENVELOPE.add_columns(
    _Claimer.last_name.label("claimer_last_name"), _Claimer.first_name.label("claimer_first_name")
).outerjoin(_Claimer, _CLAIM)


def unrouted(place: Place | None = None) -> Page:
    """Envelopes of threads that wait for a recipient, the oldest first."""
    return _tray(Tray.UNROUTED, place)


def overdue(place: Place | None = None) -> Page:
    """Envelopes of threads that still wait though the answer was promised earlier, the oldest promise first."""
    return _tray(Tray.OVERDUE, place)


def removed(place: Place | None = None) -> Page:
    """Envelopes of threads that were deleted from the lists, the newest first."""
    return _tray(Tray.REMOVED, place)


def _tray(tray: Tray, place: Place | None) -> Page:
    is_oldest_first = tray != Tray.REMOVED
    values = {"now": now()} if tray == Tray.OVERDUE else {}
    statement = _tray_page(tray, None if place is None else place.is_newer)
    return _page(statement, values, place, is_oldest_first=is_oldest_first)


@lru_cache(maxsize=9)
def _tray_page(tray: Tray, is_newer: bool | None) -> Any:
    source = _WITH_CLAIM if tray == Tray.OVERDUE else _ENVELOPE
    is_towards_newer = tray != Tray.REMOVED if is_newer is None else is_newer
    return _beyond(source.where(_LIES_IN[tray]), _TIME_OF[tray], Thread.id, is_newer, is_towards_newer)


def _beyond(statement: Any, at: Any, id: Any, is_newer: bool | None, is_towards_newer: bool) -> Any:
    """One page of the statement's rows, read from the place on (`is_newer` None: from the end of the list)."""
    if is_newer is not None:
        place = sa.tuple_(sa.bindparam("at", type_=at.type), sa.bindparam("id", type_=sa.Integer))
        statement = statement.where(sa.tuple_(at, id) > place if is_newer else sa.tuple_(at, id) < place)
    order = (at.asc(), id.asc()) if is_towards_newer else (at.desc(), id.desc())
    return statement.order_by(*order).limit(PAGE + 1)


def _page(statement: Any, values: dict[str, Any], place: Place | None, *, is_oldest_first: bool) -> Page:
    if place:
        values |= {"at": place.at, "id": place.id}
    found = db.session.connection().execute(statement, values).all()
    is_towards_newer = place.is_newer if place else is_oldest_first
    rows, is_more = list(found[:PAGE]), len(found) > PAGE
    if is_towards_newer != is_oldest_first:
        rows.reverse()
    if is_towards_newer:
        return Page(rows, has_newer=is_more, has_older=place is not None)
    return Page(rows, has_newer=place is not None, has_older=is_more)


def place_in(tray: Tray, key: str, *, is_newer: bool) -> Place | None:
    """Where a page begins, by the key of the envelope it lies beyond; None, the first page, for one that is there no more."""
    statement = sa.select(Thread.id, _TIME_OF[tray]).where(Thread.key == key, _LIES_IN[tray])
    row = db.session.execute(statement, {"now": now()} if tray == Tray.OVERDUE else {}).first()
    return Place(row[1], row[0], is_newer) if row and row[1] else None


def lies_in(tray: Tray, key: str) -> bool:
    return place_in(tray, key, is_newer=False) is not None


_some_unrouted = sa.select(Thread.id).where(Thread.unrouted_since.is_not(None)).limit(MANY_AND_ONE).subquery()
UNROUTED_COUNT = sa.select(sa.func.count()).select_from(_some_unrouted).scalar_subquery()
"""How many threads wait for a recipient, up to MANY and one; built once: every page of the side asks it."""


def last_handing(key: str) -> Any:
    """When this thread was last put in front of a communicator (`words`: JSON with its title), and the name of who did it."""
    return _last(key, *ARRIVALS)


def last_restoring(key: str) -> Any:
    """When this thread was last taken out of *Removed*, and the name of who did it; None when nobody ever pressed *Restore*."""
    return _last(key, Event.RESTORED)


def _last(key: str, *did: Event) -> Any:
    return db.session.execute(
        sa.select(History.at, History.words, Person.last_name, Person.first_name)
        .join(Thread, Thread.id == History.thread_id)
        .outerjoin(Person, Person.id == History.by_id)
        .where(Thread.key == key, History.did.in_(did))
        .order_by(History.id.desc())
        .limit(1)
    ).first()


def removers(threads: list[int]) -> dict[int, Any]:
    """Of each of these threads the names of who deleted it last, by the thread's id."""
    return {row.thread_id: row for row in db.session.connection().execute(_REMOVERS, {"threads": threads})}


_REMOVERS = (
    sa.select(History.thread_id, Person.last_name, Person.first_name)
    .select_from(History)
    .join(Person, Person.id == History.by_id)
    .where(History.thread_id.in_(sa.bindparam("threads", expanding=True)), History.did == Event.REMOVED)
    .order_by(History.id)
)


def patients_of(threads: list[str]) -> dict[str, Any]:
    """The names of the patients of these threads, by the thread's key."""
    found = sa.select(Thread.key, Person.last_name, Person.first_name).join(Person, Person.id == Thread.patient_id)
    return {row.key: row for row in db.session.execute(found.where(Thread.key.in_(threads)))}


def restore_removed(thread_key: str, *, version: int, by: Actor) -> None:
    """An admin puts a deleted thread back into the lists, without seeing its words.

    Raises NotVisible for one that nobody ever deleted, Stale when it was restored or changed after `version`.
    """
    with transaction(by=by, did="restore_removed", about=thread_key) as tx:
        must_be_admin(tx)
        thread = _locked(tx.session, thread_key)
        if thread.removed_at is None and not _was_removed(tx.session, thread.id):
            raise NotVisible
        if thread.removed_at is None or thread.version != version:
            raise Stale("it changed meanwhile")
        tx.patient = thread.patient_id
        tx.note_change({"removed_at": thread.removed_at}, {"removed_at": None})
        thread.removed_at = None
        record(tx, thread.id, Event.RESTORED)
        mark(tx, thread)


def _locked(session: Session, key: str) -> Thread:
    thread = session.scalar(sa.select(Thread).where(Thread.key == key).with_for_update())
    if thread is None:
        raise NotVisible
    return thread


def _was_removed(session: Session, thread: int) -> bool:
    once = sa.select(History.id).where(History.thread_id == thread, History.did == Event.REMOVED).limit(1)
    return session.scalar(once) is not None


# ---- Opening one with a reason (break-glass, 45 CFR 164.312(a)(2)(ii)) ---------------------------


def envelope(key: str, own_patient: int | None) -> Any:
    """The envelope of a thread that lies in one of the trays now and is not the person's own. Raises NotVisible."""
    lies_somewhere = sa.or_(*_LIES_IN.values())
    statement = _ENVELOPE.where(Thread.key == key, Thread.patient_id.is_distinct_from(own_patient), lies_somewhere)
    row = db.session.execute(statement, {"now": now()}).first()
    if row is None:
        raise NotVisible
    return row


@again_if_doubled
def open_with_reason(thread_key: str, *, reason: str, form_key: str, by: Actor) -> datetime:
    """Opens a thread that lies in one of the trays for the admin, for an hour, and tells all admins why. Answers until when.

    The same form again gives the same opening. Raises NotVisible for any other thread, the admin's own as a patient and the
    key of somebody else's form; Invalid for a reason that is empty or too long, or another one under the same key.
    """
    reason = " ".join(clean("reason", reason, REASON_MAX).split())
    with transaction(by=by, did="break_glass", about=thread_key) as tx:
        must_be_admin(tx)
        thread = _locked(tx.session, thread_key)
        before = tx.session.scalar(sa.select(BreakGlass).where(BreakGlass.key == form_key))
        if before is not None:
            if (before.thread_id, before.staff_id) != (thread.id, by.person):
                raise NotVisible
            if before.reason != reason:
                raise Invalid("reason", "This form was sent before, with another reason. Open a new one.")
            tx.is_silent = True
            return before.ends_at
        at, staff = now(), tx.session.get(Staff, by.person) if by.person else None
        is_late = thread.due_at is not None and thread.due_at < at
        if staff is None or staff.own_patient_id == thread.patient_id:
            raise NotVisible
        if thread.unrouted_since is None and thread.removed_at is None and not is_late:
            raise NotVisible
        opening = BreakGlass(key=form_key, thread_id=thread.id, staff_id=staff.id, reason=reason, at=at, ends_at=at + LASTS)
        tx.session.add(opening)
        record(tx, thread.id, Event.OPENED, words=_told(reason))
        delete_draft(tx.session, staff.id, form_key)
        tx.patient = thread.patient_id
        tx.details = {"reason": reason, "ends_at": opening.ends_at}
        return opening.ends_at


def _told(reason: str) -> str:
    """The line of the history, which has room for 1,000 characters; what JSON makes longer than that is cut."""
    words = json.dumps({"reason": reason}, ensure_ascii=False)
    return words if len(words) <= 1000 else json.dumps({"reason": reason[:150]}, ensure_ascii=False)


@dataclass(frozen=True)
class OpenedWithReason:
    """A thread as the admin reads it who opened it with a reason, and until when (UTC)."""

    thread: Opened
    reason: str
    ends_at: datetime


_IN_FORCE = (
    sa.select(BreakGlass.reason, BreakGlass.ends_at, Thread.patient_id)
    .join(Thread, Thread.id == BreakGlass.thread_id)
    .join(Staff, Staff.id == BreakGlass.staff_id)
    .where(
        Thread.key == sa.bindparam("key"),
        BreakGlass.staff_id == sa.bindparam("staff"),
        BreakGlass.ends_at > sa.bindparam("now", type_=sa.DateTime),
        Thread.patient_id.is_distinct_from(Staff.own_patient_id),
    )
    .order_by(BreakGlass.ends_at.desc(), BreakGlass.id.desc())
    .limit(1)
)


def opened_with_reason(key: str, staff: int, *, before: int = NEWEST) -> OpenedWithReason:
    """The whole thread, while an opening by this admin lasts. Raises NotVisible."""
    opening = db.session.execute(_IN_FORCE, {"key": key, "staff": staff, "now": now()}).first()
    if opening is None:
        raise NotVisible
    return OpenedWithReason(opened_by_patient(key, opening.patient_id, before=before), opening.reason, opening.ends_at)


# ---- Shown to all admins -------------------------------------------------------------------------

_Admin = aliased(Person, name="admin")
_OPENINGS = (
    sa.select(
        BreakGlass.id,
        BreakGlass.key,
        BreakGlass.at,
        BreakGlass.reason,
        BreakGlass.ends_at,
        BreakGlass.staff_id,
        Thread.key.label("thread_key"),
        Thread.type,
        Person.last_name,
        Person.first_name,
        _Admin.last_name.label("admin_last_name"),
        _Admin.first_name.label("admin_first_name"),
    )
    .select_from(BreakGlass)
    # Each has them: said as outer joins, so that SQLite begins with the openings and not with all threads.
    .outerjoin(Thread, Thread.id == BreakGlass.thread_id)
    .outerjoin(Person, Person.id == Thread.patient_id)
    .join(_Admin, _Admin.id == BreakGlass.staff_id)
)


def openings(place: Place | None = None) -> Page:
    """Who opened which envelope, when and why, the newest first."""
    is_newer = place.is_newer if place else None
    statement = _beyond(_OPENINGS, BreakGlass.at, BreakGlass.id, is_newer, bool(is_newer))
    return _page(statement, {}, place, is_oldest_first=False)


def place_of_opening(key: str, *, is_newer: bool) -> Place | None:
    """Where a page of openings begins; None for a row that is not there."""
    row = db.session.execute(sa.select(BreakGlass.at, BreakGlass.id).where(BreakGlass.key == key)).first()
    return Place(row[0], row[1], is_newer) if row else None


def recent_openings(*, at_most: int = 100) -> int:
    """How many envelopes were opened in the last seven days; `at_most` + 1 where more than `at_most` were."""
    return db.session.connection().scalar(_RECENT_COUNT, {"since": now() - RECENT, "at_most": at_most + 1}) or 0


_some_recent = (
    sa.select(BreakGlass.id)
    .where(BreakGlass.at > sa.bindparam("since", type_=sa.DateTime))
    .limit(sa.bindparam("at_most"))
    .subquery()
)
_RECENT_COUNT = sa.select(sa.func.count()).select_from(_some_recent)
