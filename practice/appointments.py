"""Appointment requests: what the patient asked for, typed, and the states it can be in."""

from dataclasses import asdict, dataclass
from datetime import date, time
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from practice.conversations import Sent, send
from practice.db import Actor, Model, again_if_doubled, choice, db, transaction
from practice.errors import Invalid
from practice.settings import Facility, ReferringPhysician, RequestType, the_practice
from practice.threads import Thread

TITLE = "Appointment request"  # fixed word: shown in the reader's language


class AppointmentState(StrEnum):
    REQUESTED = "requested"
    CONFIRMED = "confirmed"
    DECLINED = "declined"
    CANCELLED = "cancelled"


class AppointmentRequest(Model):
    __tablename__ = "appointment_request"
    thread_id: Mapped[int] = mapped_column(sa.ForeignKey("thread.id"), primary_key=True)
    state: Mapped[AppointmentState] = mapped_column(choice(AppointmentState))
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
    if wish.first_day < today:
        raise Invalid("first_day", "The first day is in the past.")
    if wish.last_day < wish.first_day:
        raise Invalid("last_day", "The last day is before the first day.")
    if wish.from_time and wish.to_time and wish.to_time <= wish.from_time:
        raise Invalid("to_time", "The end is not after the beginning.")
    with transaction(by=by, did="request_appointment", patient=patient) as tx:
        facility = tx.session.scalar(sa.select(Facility).where(Facility.key == wish.facility))
        if facility is None:
            raise Invalid("facility", "Choose a facility.")
        physician = tx.session.scalar(sa.select(ReferringPhysician).where(ReferringPhysician.key == (wish.physician or "")))
        if physician is None and (wish.physician or the_practice(tx.session).asks_physician):
            raise Invalid("physician", "Choose the referring physician.")
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


def appointment_of(thread: int) -> Any:
    """The request of a thread, the names of its facility and of its physician (or None), as a row; None where there is none."""
    row = db.session.execute(
        sa.select(AppointmentRequest, Facility.name, ReferringPhysician.name)
        .join(Facility, Facility.id == AppointmentRequest.facility_id)
        .outerjoin(ReferringPhysician, ReferringPhysician.id == AppointmentRequest.physician_id)
        .where(AppointmentRequest.thread_id == thread)
    ).first()
    return row


def appointments_of(patient: int, *, limit: int = 100) -> list[sa.Row[tuple[AppointmentRequest, Thread, str]]]:
    """The patient's requests with their thread and the facility's name, newest first."""
    return list(
        db.session.execute(
            sa.select(AppointmentRequest, Thread, Facility.name.label("facility"))
            .join(Thread, Thread.id == AppointmentRequest.thread_id)
            .join(Facility, Facility.id == AppointmentRequest.facility_id)
            .where(Thread.patient_id == patient)
            .order_by(Thread.last_patient_message_at.desc(), Thread.id.desc())
            .limit(limit)
        )
    )
