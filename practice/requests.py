"""What a patient's requests have in common: steps from state to state, each with its message."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar, cast

import sqlalchemy as sa

from practice.conversations import Sent, answer, reply
from practice.db import Model, Transaction, db
from practice.errors import NotVisible, Stale
from practice.threads import PAGE, Event, Page, Place, Thread, record

M = TypeVar("M", bound=Model)
CANCELLED = "I cancel this request."  # fixed words: shown in the reader's language


class RequestVerb(StrEnum):
    """What can be done to a request."""

    CONFIRM = "confirm"
    PROPOSE = "propose"  # times, of which the patient picks one
    PICK = "pick"
    TAKE_BACK = "take-back"  # the times that were proposed
    CHANGE = "change"  # time or place of what is confirmed
    PREPARE = "prepare"
    MAKE_READY = "make-ready"
    PICK_UP = "pick-up"
    SEND = "send"
    DECLINE = "decline"
    CANCEL = "cancel"
    REVIEW = "review"
    ASK = "ask"  # the patient, for what is missing
    INFORM = "inform"  # the patient answers that
    ACCEPT = "accept"
    ACCEPT_IN_PART = "accept-in-part"
    DENY = "deny"
    EXTEND = "extend"  # the time in which it is decided
    COMPLETE = "complete"
    DISAGREE = "disagree"  # the patient, with a denial
    REBUT = "rebut"


@dataclass(frozen=True)
class Letter:
    """What a member of staff sends with a step: the words for the patient, the form's key, the last message they have read."""

    body: str
    form_key: str
    seen: int


STEPS_OF_STAFF = frozenset(RequestVerb) - {RequestVerb.PICK, RequestVerb.INFORM, RequestVerb.DISAGREE}


def steps_from(state: Any, transitions: Mapping[Any, Any]) -> list[RequestVerb]:
    """What staff can do to a request in this state, in the order of RequestVerb."""
    return [verb for verb in RequestVerb if (state, verb) in transitions and verb in STEPS_OF_STAFF]


def step(
    tx: Transaction, request: type[M], transitions: Mapping[Any, Any], thread_key: str, verb: RequestVerb, letter: Letter
) -> tuple[Sent, M | None]:
    """A member of staff takes a request to its next state, and writes to the patient in the same step; there is no Undo.

    `request`: its table; `transitions`: from which of its states a verb leads where. Answers the request, None for the repeat
    of a form. Raises what answer() does, and Stale when no such step leads on from its state.
    """
    sent = answer(thread_key, body=letter.body, form_key=letter.form_key, seen=letter.seen, by=tx.by, has_undo=False)
    return sent, lead_on(tx, request, transitions, sent, verb) if sent.is_new else None


def lead_on(tx: Transaction, request: type[M], transitions: Mapping[Any, Any], sent: Sent, verb: RequestVerb) -> M:
    """The request of a thread, in its next state. Raises NotVisible where there is none, and Stale."""
    asked: Any = tx.session.get(request, sent.thread_id)
    if asked is None:
        raise NotVisible
    if (asked.state, verb) not in transitions:
        raise Stale(f"in state {asked.state}")
    asked.state = transitions[asked.state, verb]
    record(tx, sent.thread_id, Event.REQUEST, words=json.dumps({"verb": verb}))
    tx.session.flush()
    return cast("M", asked)


def cancel(
    tx: Transaction, request: type[M], transitions: Mapping[Any, Any], thread_key: str, *, state: Any, body: str, form_key: str
) -> tuple[Sent, M | None]:
    """The patient takes a request back and says so in the conversation, where whoever is in charge sees it unread.

    `state`: the one that the patient saw. A repeated form is answered as the first time, without the request.
    Raises NotVisible, Stale when it is in another state or past being cancelled, Invalid, TooMany.
    """
    sent = reply(thread_key, body=body, form_key=form_key, by=tx.by)
    if not sent.is_new:
        return sent, None
    asked: Any = tx.session.get(request, sent.thread_id)
    if asked is not None and asked.state != state:
        raise Stale(f"in state {asked.state}")
    return sent, lead_on(tx, request, transitions, sent, RequestVerb.CANCEL)


# By name: the tables of the requests stand above.
_TABLES = [
    sa.table(name, sa.column("thread_id", sa.Integer), sa.column("state", sa.String))
    for name in ("appointment_request", "result_request", "amendment")
]
_THREADS: sa.BindParameter[Any] = sa.bindparam("threads", expanding=True)
_STATES = sa.union_all(*(sa.select(t.c.thread_id, t.c.state).where(t.c.thread_id.in_(_THREADS)) for t in _TABLES))


def states_of(threads: list[int]) -> dict[int, Any]:
    """In which state the requests of these threads are; a thread without a request is left out. One statement."""
    return {row.thread_id: row.state for row in db.session.connection().execute(_STATES, {"threads": threads})}


def page_of_requests(found: Any, patient: int, place: Place | None) -> Page:
    """A page of the patient's requests, the newest first, of a select that has joined their threads as `Thread`."""
    key = sa.tuple_(Thread.created_at, Thread.id)
    is_newer = place is not None and place.is_newer
    order = (Thread.created_at.asc(), Thread.id.asc()) if is_newer else (Thread.created_at.desc(), Thread.id.desc())
    found = found.where(Thread.patient_id == patient).order_by(*order).limit(PAGE + 1)
    if place:
        there = sa.tuple_(sa.literal(place.at, Thread.created_at.type), sa.literal(place.id))
        found = found.where(key > there if is_newer else key < there)
    rows = list(db.session.execute(found))
    shown = rows[:PAGE][::-1] if is_newer else rows[:PAGE]
    is_more = len(rows) > PAGE
    return Page(shown, has_newer=is_more if is_newer else place is not None, has_older=True if is_newer else is_more)


def place_of_request(key: str, patient: int, *, is_newer: bool) -> Place:
    """Where a page of requests begins, by the key of the thread it lies beyond. Raises NotVisible."""
    row = db.session.execute(
        sa.select(Thread.id, Thread.created_at).where(Thread.key == key, Thread.patient_id == patient)
    ).first()
    if row is None:
        raise NotVisible
    return Place(row.created_at, row.id, is_newer)
