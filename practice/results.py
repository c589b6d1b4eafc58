"""Result requests: reports, images and links the patient asks for, typed, and the states the request can be in."""

from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from practice.conversations import Sent, clean, send, was_sent
from practice.db import Actor, Model, again_if_doubled, choice, transaction
from practice.errors import Invalid
from practice.requests import CANCELLED, Letter, RequestVerb, cancel, page_of_requests, step, steps_from
from practice.settings import Facility, RequestType
from practice.threads import Page, Place, Thread, read

PLACE_MAX = 200
NAME_MAX = 120
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
    ready_at_place: Mapped[str | None] = mapped_column(sa.String(PLACE_MAX))  # where it is picked up
    ready_until: Mapped[date | None]
    picked_up_by: Mapped[str | None] = mapped_column(sa.String(NAME_MAX))
    paper_shown: Mapped[str | None] = mapped_column(sa.String(NAME_MAX))


def media_of(order: Any) -> list[Media]:
    """What a request, or the columns of one, asks for."""
    wanted = ((order.wants_report, Media.REPORT), (order.wants_cd, Media.CD), (order.wants_web_link, Media.WEB_LINK))
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
        location = check_order(tx.session, order, today=today, is_again=was_sent(by.person, form_key, session=tx.session))
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


def check_order(session: Session, order: Order, *, today: date, is_again: bool = False) -> Facility | None:
    """Where it is picked up, if it is. Raises Invalid with the field's name: what would be refused when sent.

    `is_again`: the form was sent before; what changed since refuses nothing.
    """
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
    if not (location.is_in_use or is_again):
        raise Invalid("location", "It cannot be picked up there any more. Look at what stands here now.")
    return location


_OF_THREAD = (
    sa.select(*ResultRequest.__table__.columns, Facility.name.label("location"))
    .outerjoin(Facility, Facility.id == ResultRequest.location_id)
    .where(ResultRequest.thread_id == sa.bindparam("thread"))
)


def result_of(thread: int) -> Any:
    """The columns of a thread's request and `location`, its name or None; None where there is none."""
    return read(_OF_THREAD, {"thread": thread}).first()


# ---- Steps ---------------------------------------------------------------------------------------


@again_if_doubled
def prepare(thread_key: str, *, letter: Letter, by: Actor) -> Sent:
    """Raises what requests.step does."""
    with transaction(by=by, did="prepare_result", about=thread_key) as tx:
        return step(tx, ResultRequest, TRANSITIONS, thread_key, RequestVerb.PREPARE, letter)[0]


@again_if_doubled
def make_ready(thread_key: str, *, place: str, until: date | None, letter: Letter, today: date, by: Actor) -> Sent:
    """It can be picked up there, until the end of that day (None: as long as it takes). Raises Invalid, and as prepare."""
    with transaction(by=by, did="make_result_ready", about=thread_key) as tx:
        place = clean("place", place, PLACE_MAX)
        if until is not None and until < today:
            raise Invalid("until", "This day is past.")
        sent, asked = step(tx, ResultRequest, TRANSITIONS, thread_key, RequestVerb.MAKE_READY, letter)
        if asked:
            asked.ready_at_place, asked.ready_until = place, until
            tx.session.flush()
        return sent


@again_if_doubled
def hand_out(thread_key: str, *, to: str, paper: str, letter: Letter, by: Actor) -> Sent:
    """It was picked up: by whom, who showed which paper. Raises Invalid, and as prepare."""
    with transaction(by=by, did="hand_out_result", about=thread_key) as tx:
        to, paper = clean("to", to, NAME_MAX), clean("paper", paper, NAME_MAX)
        sent, asked = step(tx, ResultRequest, TRANSITIONS, thread_key, RequestVerb.PICK_UP, letter)
        if asked:
            asked.picked_up_by, asked.paper_shown = to, paper
            tx.session.flush()
        return sent


@again_if_doubled
def send_result(thread_key: str, *, letter: Letter, by: Actor) -> Sent:
    """It left by mail, or stands in this message. Raises as prepare."""
    with transaction(by=by, did="send_result", about=thread_key) as tx:
        return step(tx, ResultRequest, TRANSITIONS, thread_key, RequestVerb.SEND, letter)[0]


@again_if_doubled
def decline_result(thread_key: str, *, letter: Letter, by: Actor) -> Sent:
    """Raises as prepare."""
    with transaction(by=by, did="decline_result", about=thread_key) as tx:
        return step(tx, ResultRequest, TRANSITIONS, thread_key, RequestVerb.DECLINE, letter)[0]


@again_if_doubled
def call_off_result(thread_key: str, *, letter: Letter, by: Actor) -> Sent:
    """The practice cancels it, as the patient asked by phone. Raises as prepare."""
    with transaction(by=by, did="call_off_result", about=thread_key) as tx:
        return step(tx, ResultRequest, TRANSITIONS, thread_key, RequestVerb.CANCEL, letter)[0]


@again_if_doubled
def cancel_result(thread_key: str, *, state: ResultState, form_key: str, by: Actor, body: str = CANCELLED) -> Sent:
    """The patient takes a request back of which nothing is ready: see requests.cancel."""
    with transaction(by=by, did="cancel_request", about=thread_key, patient=by.person) as tx:
        return cancel(tx, ResultRequest, TRANSITIONS, thread_key, state=state, body=body, form_key=form_key)[0]


# ---- Questions -----------------------------------------------------------------------------------


def can_cancel(order: Any) -> bool:
    return (order.state, RequestVerb.CANCEL) in TRANSITIONS


def steps_of(order: Any) -> list[RequestVerb]:
    """What staff can do next."""
    return steps_from(order.state, TRANSITIONS)


def results_of(patient: int, *, place: Place | None = None) -> Page:
    """A page of the patient's requests, each with its thread, the newest first."""
    found = sa.select(ResultRequest, Thread).join(Thread, Thread.id == ResultRequest.thread_id)
    return page_of_requests(found, patient, place)
