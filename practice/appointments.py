"""Appointment requests: what the patient asked for, typed, and the states it can be in."""

from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from practice.calendar import at_local, local_day, times_shown
from practice.conversations import Sent, clean, reply, send, was_sent
from practice.db import Actor, Model, Transaction, again_if_doubled, changed, choice, db, new_key, now, transaction
from practice.errors import Invalid, NotVisible, Stale
from practice.outbox import MORNING, remind
from practice.people import fold
from practice.requests import CANCELLED, Letter, RequestVerb, cancel, lead_on, page_of_requests, step, steps_from
from practice.settings import Facility, ReferringPhysician, RequestType, calendar_of, the_practice
from practice.threads import Page, Place, Thread, read

TITLE = "Appointment request"  # fixed word: shown in the reader's language


class AppointmentState(StrEnum):
    REQUESTED = "requested"
    CONFIRMED = "confirmed"
    DECLINED = "declined"
    CANCELLED = "cancelled"


TRANSITIONS: dict[tuple[AppointmentState, RequestVerb], AppointmentState] = {
    (AppointmentState.REQUESTED, RequestVerb.CONFIRM): AppointmentState.CONFIRMED,
    (AppointmentState.REQUESTED, RequestVerb.PROPOSE): AppointmentState.REQUESTED,
    (AppointmentState.REQUESTED, RequestVerb.TAKE_BACK): AppointmentState.REQUESTED,
    (AppointmentState.REQUESTED, RequestVerb.PICK): AppointmentState.CONFIRMED,
    (AppointmentState.REQUESTED, RequestVerb.DECLINE): AppointmentState.DECLINED,
    (AppointmentState.REQUESTED, RequestVerb.CANCEL): AppointmentState.CANCELLED,
    (AppointmentState.CONFIRMED, RequestVerb.CHANGE): AppointmentState.CONFIRMED,
    (AppointmentState.CONFIRMED, RequestVerb.CANCEL): AppointmentState.CANCELLED,
}
"""From which state a verb leads where. What is not here is refused."""
MOST_TIMES = 3  # proposed at once
PLACE_MAX = 200
MINUTES = range(5, 601)  # how long an appointment may take
MOST_PAST = 10  # past appointments shown; each stands among the requests too


class AppointmentRequest(Model):
    __tablename__ = "appointment_request"
    thread_id: Mapped[int] = mapped_column(sa.ForeignKey("thread.id"), primary_key=True)
    state: Mapped[AppointmentState] = mapped_column(choice(AppointmentState), index=True)
    facility_id: Mapped[int] = mapped_column(sa.ForeignKey("facility.id"))
    physician_id: Mapped[int | None] = mapped_column(sa.ForeignKey("referring_physician.id"))
    first_day: Mapped[date]
    last_day: Mapped[date]
    weekdays: Mapped[str] = mapped_column(sa.String(7))  # "0" Monday to "6" Sunday; empty: any
    from_time: Mapped[time | None]
    to_time: Mapped[time | None]
    reason: Mapped[str] = mapped_column(sa.Text)
    comments: Mapped[str] = mapped_column(sa.Text)
    # Of what is, or was, confirmed.
    starts_at: Mapped[datetime | None]
    minutes: Mapped[int | None]
    place: Mapped[str | None] = mapped_column(sa.String(PLACE_MAX))
    changes: Mapped[int | None]  # since it was confirmed, a cancellation too: the SEQUENCE of RFC 5545
    changed_at: Mapped[datetime | None]
    __table_args__ = (
        sa.Index(
            "ix_appointment_request_confirmed",
            "starts_at",
            sqlite_where=sa.text("state = 'confirmed'"),
            postgresql_where=sa.text("state = 'confirmed'"),
        ),
    )


class ProposedTime(Model):
    """One of the times from which the patient picks; over once one is picked, or the practice takes them back."""

    __tablename__ = "proposed_time"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(22), unique=True)
    thread_id: Mapped[int] = mapped_column(sa.ForeignKey("thread.id"))
    starts_at: Mapped[datetime]
    minutes: Mapped[int]
    place: Mapped[str] = mapped_column(sa.String(PLACE_MAX))
    ended_at: Mapped[datetime | None]
    __table_args__ = (
        sa.Index(
            "ix_proposed_time_open",
            "thread_id",
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        ),
        sa.Index("ix_proposed_time_starts_at", "starts_at"),
    )


@dataclass(frozen=True)
class Slot:
    """When and where: day and time by the practice's clock."""

    day: date
    clock: time
    minutes: int
    place: str


class Doubt(StrEnum):
    """What a member of staff is asked about before a time is promised: it may be meant."""

    CLOSED = "closed"  # a holiday, or a day on which the practice is not open
    OUTSIDE = "outside"  # of the opening hours
    TWICE = "twice"  # the clocks are put back that night; the first of the two is meant
    SAME_PATIENT = "same-patient"  # has another appointment then
    SAME_PLACE = "same-place"  # another patient is expected, or may pick a time, there then


@dataclass(frozen=True)
class Wish:
    """What a patient asks for. Days are inclusive; times of day are the practice's; `weekdays` 0 Monday to 6 Sunday."""

    facility: str  # key
    first_day: date
    last_day: date
    reason: str
    physician: str | None = None  # key
    weekdays: tuple[int, ...] = ()
    from_time: time | None = None
    to_time: time | None = None
    comments: str = ""


@again_if_doubled
def request_appointment(patient: int, wish: Wish, *, today: date, form_key: str, by: Actor) -> Sent:
    """Raises Invalid with the field's name, SentBefore, TooMany. `today` is the practice's day."""
    with transaction(by=by, did="request_appointment", patient=patient) as tx:
        is_again = was_sent(by.person, form_key, session=tx.session)
        facility, physician = check_wish(tx.session, wish, today=today, is_again=is_again)
        sent = send(
            patient,
            kind=RequestType.APPOINTMENT,
            title=TITLE,
            body=wish.reason,
            form_key=form_key,
            by=by,
            facility=facility.id,
            fields=asdict(wish),
        )
        tx.about = sent.thread_key
        if sent.is_new:
            tx.session.add(
                AppointmentRequest(
                    thread_id=sent.thread_id,
                    state=AppointmentState.REQUESTED,
                    facility_id=facility.id,
                    physician_id=physician.id if physician else None,
                    first_day=wish.first_day,
                    last_day=wish.last_day,
                    weekdays="".join(map(str, sorted(set(wish.weekdays)))),
                    from_time=wish.from_time,
                    to_time=wish.to_time,
                    reason=wish.reason,
                    comments=wish.comments,
                )
            )
        return sent


def check_wish(
    session: Session, wish: Wish, *, today: date, is_again: bool = False
) -> tuple[Facility, ReferringPhysician | None]:
    """The facility and the physician that are meant. Raises Invalid with the field's name: what would be refused when sent.

    `is_again`: the form was sent before; what changed since refuses nothing.
    """
    if wish.first_day < today and not is_again:
        raise Invalid("first_day", "The first day is in the past.")
    if wish.last_day < wish.first_day:
        raise Invalid("last_day", "The last day is before the first day.")
    if wish.from_time and wish.to_time and wish.to_time <= wish.from_time:
        raise Invalid("to_time", "The end is not after the beginning.")
    facility = session.scalar(sa.select(Facility).where(Facility.key == wish.facility))
    if facility is None:
        raise Invalid("facility", "Choose a facility.")
    if not (facility.is_in_use or is_again):
        raise Invalid("facility", "The facility you chose takes no requests any more. Look at what stands here now.")
    physician = session.scalar(sa.select(ReferringPhysician).where(ReferringPhysician.key == (wish.physician or "")))
    if physician and not (physician.is_in_use or is_again):
        physician = None
    if physician is None and (wish.physician or the_practice(session).asks_physician):
        raise Invalid("physician", "Choose the referring physician.")
    return facility, physician


_OF_THREAD = (
    sa.select(*AppointmentRequest.__table__.columns, Facility.name.label("facility"), ReferringPhysician.name.label("physician"))
    .join(Facility, Facility.id == AppointmentRequest.facility_id)
    .outerjoin(ReferringPhysician, ReferringPhysician.id == AppointmentRequest.physician_id)
    .where(AppointmentRequest.thread_id == sa.bindparam("thread"))
)


def appointment_of(thread: int) -> Any:
    """The columns of a thread's request, `facility` and `physician` (or None) by name; None where there is none."""
    return read(_OF_THREAD, {"thread": thread}).first()


# ---- Steps of the staff --------------------------------------------------------------------------


@again_if_doubled
def confirm(thread_key: str, slot: Slot, *, letter: Letter, by: Actor) -> Sent:
    """The appointment is promised: the patient is told at once, and reminded the day before.

    Raises Invalid with the field's name, Stale where another step was faster, and what answer() raises.
    """
    with transaction(by=by, did="confirm_appointment", about=thread_key) as tx:
        starts_at, slot = check_slot(tx.session, slot)
        return _fix(tx, thread_key, RequestVerb.CONFIRM, starts_at, slot, letter)


@again_if_doubled
def change(thread_key: str, slot: Slot, *, letter: Letter, by: Actor) -> Sent:
    """What was confirmed is at another time or place now. Raises as confirm."""
    with transaction(by=by, did="change_appointment", about=thread_key) as tx:
        starts_at, slot = check_slot(tx.session, slot)
        return _fix(tx, thread_key, RequestVerb.CHANGE, starts_at, slot, letter)


def _fix(tx: Transaction, thread_key: str, verb: RequestVerb, starts_at: datetime, slot: Slot, letter: Letter) -> Sent:
    sent, asked = step(tx, AppointmentRequest, TRANSITIONS, thread_key, verb, letter)
    if asked:
        _set(tx, asked, starts_at, slot.minutes, slot.place)
    return sent


@again_if_doubled
def propose(thread_key: str, slots: list[Slot], *, letter: Letter, by: Actor) -> Sent:
    """The patient may pick one of these; earlier ones that were proposed are over. Raises as confirm."""
    with transaction(by=by, did="propose_times", about=thread_key) as tx:
        checked = [check_slot(tx.session, slot) for slot in slots[:MOST_TIMES]]
        if len({starts_at for starts_at, _ in checked}) < max(len(slots), 2):
            raise Invalid("day", "Propose two or three different times.")
        sent, asked = step(tx, AppointmentRequest, TRANSITIONS, thread_key, RequestVerb.PROPOSE, letter)
        if asked:
            _end_times(tx, asked.thread_id)
            for starts_at, slot in checked:
                one = ProposedTime(key=new_key(), thread_id=asked.thread_id, starts_at=starts_at, minutes=slot.minutes)
                one.place = slot.place
                tx.session.add(one)
            tx.session.flush()
        return sent


@again_if_doubled
def take_times_back(thread_key: str, *, letter: Letter, by: Actor) -> Sent:
    """None of the proposed times can be picked any more. Raises Stale when the patient was faster, or none was open."""
    with transaction(by=by, did="take_times_back", about=thread_key) as tx:
        sent, asked = step(tx, AppointmentRequest, TRANSITIONS, thread_key, RequestVerb.TAKE_BACK, letter)
        if asked and not _end_times(tx, asked.thread_id):
            raise Stale("no times are proposed")
        return sent


@again_if_doubled
def decline(thread_key: str, *, letter: Letter, by: Actor) -> Sent:
    """Raises as confirm."""
    with transaction(by=by, did="decline_appointment", about=thread_key) as tx:
        sent, asked = step(tx, AppointmentRequest, TRANSITIONS, thread_key, RequestVerb.DECLINE, letter)
        if asked:
            _end_times(tx, asked.thread_id)
        return sent


@again_if_doubled
def call_off(thread_key: str, *, letter: Letter, by: Actor) -> Sent:
    """The practice cancels what was asked for, or confirmed. Raises as confirm."""
    with transaction(by=by, did="call_off_appointment", about=thread_key) as tx:
        sent, asked = step(tx, AppointmentRequest, TRANSITIONS, thread_key, RequestVerb.CANCEL, letter)
        if asked:
            _is_off(tx, asked)
        return sent


# ---- Steps of the patient ------------------------------------------------------------------------


@again_if_doubled
def pick_time(thread_key: str, time_key: str, *, body: str, form_key: str, by: Actor) -> Sent:
    """The patient takes one of the proposed times, and the appointment is confirmed; the staff read `body`.

    The first pick wins. Raises NotVisible, Stale when the time was taken back, picked or is past, and what reply() raises.
    """
    with transaction(by=by, did="pick_time", about=thread_key, patient=by.person) as tx:
        sent = reply(thread_key, body=body, form_key=form_key, by=by)
        if not sent.is_new:
            return sent
        whose = ProposedTime.key == time_key, ProposedTime.thread_id == sent.thread_id
        picked = tx.session.scalar(sa.select(ProposedTime).where(*whose))
        if picked is None:
            raise NotVisible
        if picked.ended_at is not None or picked.starts_at <= now():
            raise Stale("it cannot be picked any more")
        asked = lead_on(tx, AppointmentRequest, TRANSITIONS, sent, RequestVerb.PICK)
        _set(tx, asked, picked.starts_at, picked.minutes, picked.place)
        return sent


@again_if_doubled
def cancel_appointment(thread_key: str, *, state: AppointmentState, form_key: str, by: Actor, body: str = CANCELLED) -> Sent:
    """The patient takes back what they asked for, or what is confirmed and yet to come: see requests.cancel."""
    with transaction(by=by, did="cancel_request", about=thread_key, patient=by.person) as tx:
        sent, asked = cancel(tx, AppointmentRequest, TRANSITIONS, thread_key, state=state, body=body, form_key=form_key)
        if asked:
            if not _is_to_come(asked):
                raise Stale("it is past")
            _is_off(tx, asked)
        return sent


# ---- Shared by the steps -------------------------------------------------------------------------


def check_slot(session: Session, slot: Slot) -> tuple[datetime, Slot]:
    """The moment (naive UTC) that is meant, and the slot as it is kept. Raises Invalid with the field's name."""
    zone = the_practice(session).time_zone
    place = clean("place", slot.place, PLACE_MAX)
    if slot.minutes not in MINUTES:
        raise Invalid("minutes", "Choose how long it takes.")
    if not times_shown(slot.day, slot.clock, zone):
        raise Invalid("clock", "The clocks are put forward that night: there is no such time.")
    starts_at = at_local(slot.day, slot.clock, zone)
    if starts_at <= now():
        raise Invalid("day", "This time is past.")
    return starts_at, replace(slot, place=place)


def doubts(thread_key: str, slots: list[Slot]) -> list[Doubt]:
    """What should be asked before these times are confirmed for, or proposed to, the patient of a thread.

    Raises Invalid with the field's name for what cannot be at all.
    """
    if not slots:
        return []
    session = db.session()
    practice = the_practice(session)
    calendar, found = calendar_of(practice, session), set()
    patient = sa.select(Thread.patient_id).where(Thread.key == thread_key).scalar_subquery()
    for slot in slots:
        begins, _ = check_slot(session, slot)
        ends = begins + timedelta(minutes=slot.minutes)
        hours = calendar.hours_of(slot.day)
        if hours is None:
            found.add(Doubt.CLOSED)
        elif begins < hours[0] or ends > hours[1]:
            found.add(Doubt.OUTSIDE)
        if times_shown(slot.day, slot.clock, practice.time_zone) == 2:
            found.add(Doubt.TWICE)
        for of, is_open in (
            (AppointmentRequest, AppointmentRequest.state == AppointmentState.CONFIRMED),
            (ProposedTime, ProposedTime.ended_at.is_(None)),
        ):
            near = of.starts_at > begins - timedelta(minutes=MINUTES[-1]), of.starts_at < ends
            others = sa.select(of.starts_at, of.minutes, of.place, (Thread.patient_id == patient).label("is_same"))
            others = others.join(Thread, Thread.id == of.thread_id).where(is_open, *near, Thread.key != thread_key)
            for other in session.execute(others):
                if other.starts_at + timedelta(minutes=other.minutes) <= begins:
                    continue
                if other.is_same:
                    found.add(Doubt.SAME_PATIENT)
                elif fold(other.place) == fold(slot.place):
                    found.add(Doubt.SAME_PLACE)
    return [doubt for doubt in Doubt if doubt in found]


def _set(tx: Transaction, asked: AppointmentRequest, starts_at: datetime, minutes: int, place: str) -> None:
    asked.starts_at, asked.minutes, asked.place = starts_at, minutes, place
    asked.changes = 0 if asked.changes is None else asked.changes + 1
    asked.changed_at = now()
    _end_times(tx, asked.thread_id)
    practice = the_practice(tx.session)
    day_before = local_day(starts_at, practice.time_zone) - timedelta(days=1)
    remind_at = at_local(day_before, MORNING, practice.time_zone)
    patient = tx.session.get_one(Thread, asked.thread_id).patient_id
    if remind_at > now():
        remind(tx, patient, thread=asked.thread_id, at=remind_at)


def _is_off(tx: Transaction, asked: AppointmentRequest) -> None:
    if asked.changes is not None:
        asked.changes += 1
    asked.changed_at = now()
    _end_times(tx, asked.thread_id)


def _end_times(tx: Transaction, thread: int) -> int:
    """The times that were proposed cannot be picked any more. Answers how many there were."""
    still_open = sa.update(ProposedTime).where(ProposedTime.thread_id == thread, ProposedTime.ended_at.is_(None))
    return changed(tx.session, still_open.values(ended_at=now()))


# ---- Questions -----------------------------------------------------------------------------------


def _is_to_come(asked: AppointmentRequest) -> bool:
    """A request has no time yet."""
    return asked.starts_at is None or asked.starts_at > now()


def can_cancel(wish: Any) -> bool:
    """Whether the patient can: what is confirmed, until it is past."""
    return (wish.state, RequestVerb.CANCEL) in TRANSITIONS and _is_to_come(wish)


def steps_of(wish: Any, *, has_times: bool) -> list[RequestVerb]:
    """What staff can do next; `has_times`: some are proposed."""
    return [verb for verb in steps_from(wish.state, TRANSITIONS) if has_times or verb != RequestVerb.TAKE_BACK]


_STILL_OPEN = (
    sa.select(*ProposedTime.__table__.columns)
    .where(
        ProposedTime.thread_id == sa.bindparam("thread"),
        ProposedTime.ended_at.is_(None),
        ProposedTime.starts_at > sa.bindparam("present", type_=ProposedTime.starts_at.type),
    )
    .order_by(ProposedTime.starts_at)
)


def proposed_times(thread: int) -> list[Any]:
    """From which the patient can pick now, in order: rows of the columns of ProposedTime."""
    return list(read(_STILL_OPEN, {"thread": thread, "present": now()}))


def upcoming_of(patient: int, *, limit: int) -> list[Any]:
    """Confirmed appointments that are yet to come, each with its thread's key, the next first."""
    confirmed = _confirmed_of(patient).where(AppointmentRequest.starts_at > now())
    return list(db.session.execute(confirmed.order_by(AppointmentRequest.starts_at, AppointmentRequest.thread_id).limit(limit)))


def past_of(patient: int) -> list[Any]:
    """Those that are past, the last one first; at most MOST_PAST."""
    past = _confirmed_of(patient).where(AppointmentRequest.starts_at <= now())
    newest = AppointmentRequest.starts_at.desc(), AppointmentRequest.thread_id.desc()
    return list(db.session.execute(past.order_by(*newest).limit(MOST_PAST)))


def _confirmed_of(patient: int) -> Any:
    return (
        sa.select(AppointmentRequest, Thread.key)
        .join(Thread, Thread.id == AppointmentRequest.thread_id)
        .where(Thread.patient_id == patient, AppointmentRequest.state == AppointmentState.CONFIRMED)
    )


def appointments_of(patient: int, *, place: Place | None = None) -> Page:
    """A page of the patient's requests, each with its thread and the facility's name, the newest first."""
    found = (
        sa.select(AppointmentRequest, Thread, Facility.name.label("facility"))
        .join(Thread, Thread.id == AppointmentRequest.thread_id)
        .join(Facility, Facility.id == AppointmentRequest.facility_id)
    )
    return page_of_requests(found, patient, place)
