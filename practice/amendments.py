"""Amendments: a patient asks for a correction of a value of their record (45 CFR 164.526). Only in Meaningful Use mode.

The states are those of the HL7 corrections guide (PatientCorrectionBusinessStatus).
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from practice.calendar import end_of_day, local_day
from practice.conversations import BODY_MAX, Sent, clean, promised_by, reply, send
from practice.db import Actor, Model, Transaction, again_if_doubled, choice, db, now, transaction
from practice.errors import Stale
from practice.records import VALUE_MAX, RecordValue, current_of, replace, value_of
from practice.requests import CANCELLED, Letter, RequestVerb, cancel, lead_on, step, steps_from
from practice.settings import RequestType, the_practice
from practice.threads import Thread, promise

TITLE = "Amendment request"  # fixed word: shown in the reader's language
TO_MAX = 500
WORDS_MAX = 5000  # of a reason, a statement of disagreement, a rebuttal
EXTENSION = timedelta(days=30)


class AmendmentState(StrEnum):
    QUEUED = "queued"
    IN_REVIEW = "in review"
    WAITING = "waiting for information"
    ACCEPTED = "accepted"
    PARTLY = "partly accepted"
    DENIED = "denied"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


S, V = AmendmentState, RequestVerb
UNDECIDED = (S.QUEUED, S.IN_REVIEW, S.WAITING)
TRANSITIONS: dict[tuple[AmendmentState, RequestVerb], AmendmentState] = {
    (S.QUEUED, V.REVIEW): S.IN_REVIEW,
    (S.IN_REVIEW, V.ASK): S.WAITING,
    (S.WAITING, V.REVIEW): S.IN_REVIEW,
    (S.WAITING, V.INFORM): S.IN_REVIEW,
    (S.IN_REVIEW, V.ACCEPT): S.ACCEPTED,
    (S.IN_REVIEW, V.ACCEPT_IN_PART): S.PARTLY,
    (S.IN_REVIEW, V.DENY): S.DENIED,
    **{(state, V.EXTEND): state for state in UNDECIDED},
    **{(state, V.CANCEL): S.CANCELLED for state in UNDECIDED},
    (S.ACCEPTED, V.COMPLETE): S.COMPLETED,
    (S.PARTLY, V.COMPLETE): S.COMPLETED,
    **{(state, verb): state for state in (S.PARTLY, S.DENIED, S.COMPLETED) for verb in (V.DISAGREE, V.REBUT)},
}
"""From which state a verb leads where. What is not here is refused; what can be done only once is looked at besides (`can`)."""


class Ground(StrEnum):
    """Why a request may be denied: 45 CFR 164.526(a)(2), (i) to (iv)."""

    NOT_OURS = "not created by us"
    NOT_IN_SET = "not in the record set"
    NOT_OPEN = "not open to inspection"
    CORRECT = "accurate and complete"


class Amendment(Model):
    __tablename__ = "amendment"
    thread_id: Mapped[int] = mapped_column(sa.ForeignKey("thread.id"), primary_key=True)
    state: Mapped[AmendmentState] = mapped_column(choice(AmendmentState), index=True)
    value_id: Mapped[int] = mapped_column(sa.ForeignKey("record_value.id"))
    from_value: Mapped[str] = mapped_column(sa.Text)  # as the server read it when it was sent
    to_value: Mapped[str] = mapped_column(sa.Text)
    memo: Mapped[str] = mapped_column(sa.Text)
    due_at: Mapped[datetime]  # by when it is decided: fixed at sending, moved by an extension only
    extended_because: Mapped[str | None] = mapped_column(sa.Text)
    # The decision.
    decided_at: Mapped[datetime | None]
    new_value: Mapped[str | None] = mapped_column(sa.Text)
    denied: Mapped[str | None] = mapped_column(sa.Text)  # what of it
    ground: Mapped[Ground | None] = mapped_column(choice(Ground))
    denied_because: Mapped[str | None] = mapped_column(sa.Text)
    # What was said to a denial.
    disagreement: Mapped[str | None] = mapped_column(sa.Text)
    disagreed_at: Mapped[datetime | None]
    rebuttal: Mapped[str | None] = mapped_column(sa.Text)
    rebutted_at: Mapped[datetime | None]


@again_if_doubled
def request_amendment(patient: int, value_key: str, *, to: str, memo: str, form_key: str, by: Actor) -> Sent:
    """*From* is taken from the record, never from the form.

    Raises NotVisible (not theirs), Stale when the value was corrected meanwhile, SwitchedOff, Invalid.
    """
    to = clean("to", to, TO_MAX)
    memo = clean("memo", memo, BODY_MAX) if memo.strip() else ""
    with transaction(by=by, did="request_amendment", patient=patient) as tx:
        value = value_of(tx.session, value_key, patient)
        sent = send(
            patient,
            kind=RequestType.AMENDMENT,
            title=TITLE,
            body=memo or to,
            form_key=form_key,
            by=by,
            fields={"value": value_key, "to": to, "memo": memo},
        )
        tx.about = sent.thread_key
        if sent.is_new:
            if value.superseded_at is not None:
                raise Stale("the value was corrected")
            thread = tx.session.get_one(Thread, sent.thread_id)
            due_at = thread.due_at or promised_by(the_practice(tx.session), RequestType.AMENDMENT, thread.created_at)
            tx.session.add(
                Amendment(
                    thread_id=sent.thread_id,
                    state=AmendmentState.QUEUED,
                    value_id=value.id,
                    from_value=", ".join(filter(None, (value.section, value.name, value.value))),
                    to_value=to,
                    memo=memo,
                    due_at=due_at,
                )
            )
        return sent


# ---- Steps of the staff --------------------------------------------------------------------------


def _step(tx: Transaction, thread_key: str, verb: RequestVerb, letter: Letter) -> tuple[Sent, Amendment | None]:
    """See requests.step. Raises Stale also for what was done once already."""
    sent, asked = step(tx, Amendment, TRANSITIONS, thread_key, verb, letter)
    if asked and not _is_still_possible(asked, verb):
        raise Stale(f"{verb} is not possible now")
    return sent, asked


@again_if_doubled
def review(thread_key: str, *, letter: Letter, by: Actor) -> Sent:
    """Raises what requests.step does."""
    with transaction(by=by, did="review_amendment", about=thread_key) as tx:
        return _step(tx, thread_key, RequestVerb.REVIEW, letter)[0]


@again_if_doubled
def ask(thread_key: str, *, letter: Letter, by: Actor) -> Sent:
    """The patient is asked for what is missing; what they write leads back to the review. Raises as review."""
    with transaction(by=by, did="ask_about_amendment", about=thread_key) as tx:
        return _step(tx, thread_key, RequestVerb.ASK, letter)[0]


@again_if_doubled
def extend(thread_key: str, *, because: str, letter: Letter, by: Actor) -> Sent:
    """Thirty days more, once, told in writing before the first time limit is over (164.526(b)(2)(ii)). Raises as review."""
    with transaction(by=by, did="extend_amendment", about=thread_key) as tx:
        because = clean("note", because, WORDS_MAX)
        sent, asked = _step(tx, thread_key, RequestVerb.EXTEND, letter)
        if asked:
            asked.extended_because = because
            asked.due_at = extended(asked.due_at, the_practice(tx.session).time_zone)
            thread = tx.session.get_one(Thread, asked.thread_id)
            promise(thread, thread.waiting_since, asked.due_at)
            tx.session.flush()
        return sent


@again_if_doubled
def accept(thread_key: str, *, value: str, replaces: str, letter: Letter, by: Actor) -> Sent:
    """The record gets a new version of the value. `replaces`: the key of the one that whoever accepts has seen.

    Raises Invalid, and as review; Stale also where the value has another version by now.
    """
    with transaction(by=by, did="accept_amendment", about=thread_key) as tx:
        value = clean("value", value, VALUE_MAX)
        sent, asked = _step(tx, thread_key, RequestVerb.ACCEPT, letter)
        if asked:
            _correct(tx, asked, value, replaces)
        return sent


@again_if_doubled
def accept_in_part(
    thread_key: str, *, value: str, replaces: str, denied: str, ground: Ground, because: str, letter: Letter, by: Actor
) -> Sent:
    """The value as it will stand, what of the request is denied, and why. Raises as accept."""
    with transaction(by=by, did="accept_amendment_in_part", about=thread_key) as tx:
        value, denied = clean("value", value, VALUE_MAX), clean("denied", denied, WORDS_MAX)
        because = clean("note", because, WORDS_MAX)
        sent, asked = _step(tx, thread_key, RequestVerb.ACCEPT_IN_PART, letter)
        if asked:
            asked.denied, asked.ground, asked.denied_because = denied, ground, because
            _correct(tx, asked, value, replaces)
        return sent


@again_if_doubled
def deny(thread_key: str, *, ground: Ground, because: str, letter: Letter, by: Actor) -> Sent:
    """Raises as review."""
    with transaction(by=by, did="deny_amendment", about=thread_key) as tx:
        because = clean("note", because, WORDS_MAX)
        sent, asked = _step(tx, thread_key, RequestVerb.DENY, letter)
        if asked:
            asked.ground, asked.denied_because = ground, because
            _is_decided(tx, asked)
        return sent


@again_if_doubled
def complete(thread_key: str, *, letter: Letter, by: Actor) -> Sent:
    """Whoever needs the correction was told of it (164.526(c)(3)). Raises as review."""
    with transaction(by=by, did="complete_amendment", about=thread_key) as tx:
        return _step(tx, thread_key, RequestVerb.COMPLETE, letter)[0]


@again_if_doubled
def rebut(thread_key: str, *, words: str, letter: Letter, by: Actor) -> Sent:
    """The practice's answer to a statement of disagreement, once. Raises Invalid, and as review."""
    with transaction(by=by, did="rebut_disagreement", about=thread_key) as tx:
        words = clean("note", words, WORDS_MAX)
        sent, asked = _step(tx, thread_key, RequestVerb.REBUT, letter)
        if asked:
            asked.rebuttal, asked.rebutted_at = words, now()
            tx.session.flush()
        return sent


# ---- Steps of the patient ------------------------------------------------------------------------


@again_if_doubled
def write_on(thread_key: str, *, body: str, form_key: str, by: Actor) -> Sent:
    """conversations.reply; an amendment that waits for information goes back to the review."""
    with transaction(by=by, did="reply", about=thread_key, patient=by.person) as tx:
        sent = reply(thread_key, body=body, form_key=form_key, by=by)
        asked = tx.session.get(Amendment, sent.thread_id) if sent.is_new else None
        if asked is not None and (asked.state, RequestVerb.INFORM) in TRANSITIONS:
            lead_on(tx, Amendment, TRANSITIONS, sent, RequestVerb.INFORM)
        return sent


@again_if_doubled
def disagree(thread_key: str, *, statement: str, body: str, form_key: str, by: Actor) -> Sent:
    """The patient's statement of disagreement with a denial, once; it stays with the record. `body`: what the staff read.

    Raises NotVisible, Invalid, Stale, TooMany.
    """
    with transaction(by=by, did="disagree_with_denial", about=thread_key, patient=by.person) as tx:
        statement = clean("statement", statement, WORDS_MAX)
        sent = reply(thread_key, body=body, form_key=form_key, by=by)
        if sent.is_new:
            asked = lead_on(tx, Amendment, TRANSITIONS, sent, RequestVerb.DISAGREE)
            if not _is_still_possible(asked, RequestVerb.DISAGREE):
                raise Stale("there is a statement already, or nothing was denied")
            asked.disagreement, asked.disagreed_at = statement, now()
            tx.session.flush()
        return sent


@again_if_doubled
def cancel_amendment(thread_key: str, *, state: AmendmentState, form_key: str, by: Actor, body: str = CANCELLED) -> Sent:
    """The patient takes a request back of which nothing is decided: see requests.cancel."""
    with transaction(by=by, did="cancel_request", about=thread_key, patient=by.person) as tx:
        return cancel(tx, Amendment, TRANSITIONS, thread_key, state=state, body=body, form_key=form_key)[0]


# ---- Shared by the steps -------------------------------------------------------------------------


def extended(due_at: datetime, time_zone: str) -> datetime:
    """The end (naive UTC) of the day that is 30 after the one whose end is `due_at`, whatever the clocks do between."""
    return end_of_day(local_day(due_at, time_zone) + EXTENSION, time_zone)


def _correct(tx: Transaction, asked: Amendment, value: str, replaces: str) -> None:
    current = current_of(tx.session, asked.value_id)
    if current.key != replaces:
        raise Stale("the value was corrected")
    replace(tx.session, current, value, thread=asked.thread_id)
    asked.new_value = value
    _is_decided(tx, asked)


def _is_decided(tx: Transaction, asked: Amendment) -> None:
    """Nothing is owed any more."""
    asked.decided_at = now()
    promise(tx.session.get_one(Thread, asked.thread_id), None, None)
    tx.session.flush()


def _is_still_possible(asked: Amendment, verb: RequestVerb) -> bool:
    """What the state alone does not say."""
    match verb:
        case RequestVerb.EXTEND:
            return asked.extended_because is None and asked.due_at > now()
        case RequestVerb.DISAGREE:
            return asked.ground is not None and asked.disagreement is None
        case RequestVerb.REBUT:
            return asked.disagreement is not None and asked.rebuttal is None
    return True


# ---- Questions -----------------------------------------------------------------------------------


def can(asked: Amendment, verb: RequestVerb) -> bool:
    return (asked.state, verb) in TRANSITIONS and _is_still_possible(asked, verb)


def steps_of(asked: Amendment) -> list[RequestVerb]:
    """What staff can do next. Only the patient withdraws a request."""
    return [v for v in steps_from(asked.state, TRANSITIONS) if v != RequestVerb.CANCEL and _is_still_possible(asked, v)]


def amendment_of(thread: int) -> Amendment | None:
    return db.session.get(Amendment, thread)


def value_now(asked: Amendment) -> RecordValue:
    """What the record says now where this asked for a correction."""
    return current_of(db.session(), asked.value_id)


_UNSETTLED = (
    sa.select(Amendment, Thread.key)
    .join(Thread, Thread.id == Amendment.thread_id)
    .where(
        Thread.patient_id == sa.bindparam("patient"),
        sa.or_(Amendment.ground.is_not(None), Amendment.state.in_(UNDECIDED)),
    )
    .order_by(Amendment.decided_at.nulls_last(), Amendment.thread_id)
)


def unsettled_of(patient: int) -> list[Any]:
    """What was denied to a patient, whole or in part, then what is not decided yet, each the oldest first: rows of the
    amendment and its thread's key."""
    return list(db.session.execute(_UNSETTLED, {"patient": patient}))
