"""Result requests: reports, images and links the patient asks for, typed, and the states the request can be in."""

from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from practice.conversations import Sent, send
from practice.db import Actor, Model, again_if_doubled, choice, db, transaction
from practice.errors import Invalid
from practice.requests import RequestVerb, cancel, page_of_requests
from practice.settings import Facility, RequestType
from practice.threads import Page, Place, Thread

TITLE = "Result request"  # fixed word: shown in the reader's language


class ResultState(StrEnum):
    REQUESTED = "requested"
    IN_PREPARATION = "in preparation"
    READY = "ready for pick-up"
    PICKED_UP = "picked up"
    SENT = "sent"
    DECLINED = "declined"
    CANCELLED = "cancelled"


TRANSITIONS: dict[tuple[ResultState, RequestVerb], ResultState] = {
    (ResultState.REQUESTED, RequestVerb.PREPARE): ResultState.IN_PREPARATION,
    (ResultState.IN_PREPARATION, RequestVerb.MAKE_READY): ResultState.READY,
    (ResultState.READY, RequestVerb.PICK_UP): ResultState.PICKED_UP,
    (ResultState.REQUESTED, RequestVerb.SEND): ResultState.SENT,
    (ResultState.IN_PREPARATION, RequestVerb.SEND): ResultState.SENT,
    (ResultState.REQUESTED, RequestVerb.DECLINE): ResultState.DECLINED,
    (ResultState.IN_PREPARATION, RequestVerb.DECLINE): ResultState.DECLINED,
    (ResultState.REQUESTED, RequestVerb.CANCEL): ResultState.CANCELLED,
    (ResultState.IN_PREPARATION, RequestVerb.CANCEL): ResultState.CANCELLED,
}
"""From which state a verb leads where. What is not here is refused."""


class Media(StrEnum):
    REPORT = "Report"
    CD = "CD with Images"
    WEB_LINK = "Web Link (Report and Images)"


class HandOver(StrEnum):
    """How the patient receives it. A web link always comes as a secure message."""

    PICK_UP = "Pick up"
    MAIL = "Mail"
    SECURE_MESSAGE = "Secure message"


class ResultRequest(Model):
    __tablename__ = "result_request"
    thread_id: Mapped[int] = mapped_column(sa.ForeignKey("thread.id"), primary_key=True)
    state: Mapped[ResultState] = mapped_column(choice(ResultState), index=True)
    wants_report: Mapped[bool]
    wants_cd: Mapped[bool]
    wants_web_link: Mapped[bool]
    hand_over: Mapped[HandOver] = mapped_column(choice(HandOver))
    location_id: Mapped[int | None] = mapped_column(sa.ForeignKey("facility.id"))
    is_all_studies: Mapped[bool]
    exam_date: Mapped[date | None]
    comments: Mapped[str] = mapped_column(sa.Text)

    @property
    def media(self) -> list[Media]:
        wanted = ((self.wants_report, Media.REPORT), (self.wants_cd, Media.CD), (self.wants_web_link, Media.WEB_LINK))
        return [media for is_wanted, media in wanted if is_wanted]


@dataclass(frozen=True)
class Order:
    """What a patient asks for."""

    media: tuple[Media, ...]
    hand_over: HandOver
    is_all_studies: bool
    location: str | None = None  # key of a facility, where it is picked up
    exam_date: date | None = None
    comments: str = ""


@again_if_doubled
def request_result(patient: int, order: Order, *, today: date, form_key: str, by: Actor) -> Sent:
    """Raises Invalid with the field's name, SentBefore, TooMany. `today` is the practice's day."""
    with transaction(by=by, did="request_result", patient=patient) as tx:
        location = check_order(tx.session, order, today=today)
        sent = send(
            patient,
            kind=RequestType.RESULT,
            title=TITLE,
            body=order.comments or ", ".join(order.media),
            form_key=form_key,
            by=by,
            facility=location.id if location else None,
            fields=asdict(order),
        )
        tx.about = sent.thread_key
        if sent.is_new:
            tx.session.add(
                ResultRequest(
                    thread_id=sent.thread_id,
                    state=ResultState.REQUESTED,
                    wants_report=Media.REPORT in order.media,
                    wants_cd=Media.CD in order.media,
                    wants_web_link=Media.WEB_LINK in order.media,
                    hand_over=order.hand_over,
                    location_id=location.id if location else None,
                    is_all_studies=order.is_all_studies,
                    exam_date=None if order.is_all_studies else order.exam_date,
                    comments=order.comments,
                )
            )
        return sent


def check_order(session: Session, order: Order, *, today: date) -> Facility | None:
    """Where it is picked up, if it is. Raises Invalid with the field's name: what would be refused when sent."""
    if not order.media:
        raise Invalid("media", "Choose at least one type of media.")
    if order.media == (Media.WEB_LINK,) and order.hand_over != HandOver.SECURE_MESSAGE:
        raise Invalid("hand_over", "A web link comes as a secure message.")
    if Media.CD in order.media and order.hand_over == HandOver.SECURE_MESSAGE:
        raise Invalid("hand_over", "A CD cannot come as a secure message. Choose Pick up or Mail.")
    if not order.is_all_studies and order.exam_date is None:
        raise Invalid("exam_date", "Give the date of the exam.")
    if order.exam_date and not order.is_all_studies and order.exam_date > today:
        raise Invalid("exam_date", "The date of the exam is in the future.")
    if order.hand_over != HandOver.PICK_UP:
        return None
    location = session.scalar(sa.select(Facility).where(Facility.key == (order.location or "")))
    if location is None:
        raise Invalid("location", "Choose where to pick it up.")
    return location


def result_of(thread: int) -> Any:
    """The request of a thread and the name of its location, as a row of two; None where the thread has none."""
    row = db.session.execute(
        sa.select(ResultRequest, Facility.name)
        .outerjoin(Facility, Facility.id == ResultRequest.location_id)
        .where(ResultRequest.thread_id == thread)
    ).first()
    return row


def cancel_result(thread_key: str, *, form_key: str, by: Actor) -> Sent:
    """The patient takes a request back of which nothing is ready: see requests.cancel."""
    return cancel(ResultRequest, TRANSITIONS, thread_key, form_key=form_key, by=by)


def can_cancel(order: ResultRequest) -> bool:
    return (order.state, RequestVerb.CANCEL) in TRANSITIONS


def results_of(patient: int, *, place: Place | None = None) -> Page:
    """A page of the patient's requests, each with its thread, the newest first."""
    found = sa.select(ResultRequest, Thread).join(Thread, Thread.id == ResultRequest.thread_id)
    return page_of_requests(found, patient, place)
