"""Appointment requests: what the patient asked for, typed, and the states it can be in."""

from dataclasses import asdict, dataclass
from datetime import date, time
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from practice.conversations import Sent, send
from practice.db import Actor, Model, again_if_doubled, choice, db, transaction
from practice.errors import Invalid
from practice.requests import RequestVerb, cancel, page_of_requests
from practice.settings import Facility, ReferringPhysician, RequestType, the_practice
from practice.threads import Page, Place, Thread

TITLE = "Appointment request"  # fixed word: shown in the reader's language


class AppointmentState(StrEnum):
    REQUESTED = "requested"
    CONFIRMED = "confirmed"
    DECLINED = "declined"
    CANCELLED = "cancelled"


TRANSITIONS: dict[tuple[AppointmentState, RequestVerb], AppointmentState] = {
    (AppointmentState.REQUESTED, RequestVerb.CONFIRM): AppointmentState.CONFIRMED,
    (AppointmentState.REQUESTED, RequestVerb.DECLINE): AppointmentState.DECLINED,
    (AppointmentState.REQUESTED, RequestVerb.CANCEL): AppointmentState.CANCELLED,
}
"""From which state a verb leads where. What is not here is refused."""


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
        facility, physician = check_wish(tx.session, wish, today=today)
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


def check_wish(session: Session, wish: Wish, *, today: date) -> tuple[Facility, ReferringPhysician | None]:
    """The facility and the physician that are meant. Raises Invalid with the field's name: what would be refused when sent."""
    if wish.first_day < today:
        raise Invalid("first_day", "The first day is in the past.")
    if wish.last_day < wish.first_day:
        raise Invalid("last_day", "The last day is before the first day.")
    if wish.from_time and wish.to_time and wish.to_time <= wish.from_time:
        raise Invalid("to_time", "The end is not after the beginning.")
    facility = session.scalar(sa.select(Facility).where(Facility.key == wish.facility))
    if facility is None:
        raise Invalid("facility", "Choose a facility.")
    physician = session.scalar(sa.select(ReferringPhysician).where(ReferringPhysician.key == (wish.physician or "")))
    if physician is None and (wish.physician or the_practice(session).asks_physician):
        raise Invalid("physician", "Choose the referring physician.")
    return facility, physician


def appointment_of(thread: int) -> Any:
    """The request of a thread, the names of its facility and of its physician (or None), as a row; None where there is none."""
    row = db.session.execute(
        sa.select(AppointmentRequest, Facility.name, ReferringPhysician.name)
        .join(Facility, Facility.id == AppointmentRequest.facility_id)
        .outerjoin(ReferringPhysician, ReferringPhysician.id == AppointmentRequest.physician_id)
        .where(AppointmentRequest.thread_id == thread)
    ).first()
    return row


def cancel_appointment(thread_key: str, *, form_key: str, by: Actor) -> Sent:
    """The patient takes a request back that is not confirmed: see requests.cancel."""
    return cancel(AppointmentRequest, TRANSITIONS, thread_key, form_key=form_key, by=by)


def can_cancel(wish: AppointmentRequest) -> bool:
    return (wish.state, RequestVerb.CANCEL) in TRANSITIONS


def appointments_of(patient: int, *, place: Place | None = None) -> Page:
    """A page of the patient's requests, each with its thread and the facility's name, the newest first."""
    found = (
        sa.select(AppointmentRequest, Thread, Facility.name.label("facility"))
        .join(Thread, Thread.id == AppointmentRequest.thread_id)
        .join(Facility, Facility.id == AppointmentRequest.facility_id)
    )
    return page_of_requests(found, patient, place)
