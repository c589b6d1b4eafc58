"""What a patient's requests have in common: they can be cancelled while nothing is confirmed."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from practice.conversations import Sent, reply
from practice.db import Actor, again_if_doubled, db, transaction
from practice.errors import NotVisible, Stale
from practice.threads import PAGE, Page, Place, Thread

CANCELLED = "I cancel this request."  # fixed words: shown in the reader's language


class RequestVerb(StrEnum):
    """What can be done to a request."""

    CONFIRM = "confirm"
    PREPARE = "prepare"
    MAKE_READY = "make ready"
    PICK_UP = "pick up"
    SEND = "send"
    DECLINE = "decline"
    CANCEL = "cancel"


@again_if_doubled
def cancel(request: Any, transitions: Mapping[Any, Any], thread_key: str, *, form_key: str, by: Actor) -> Sent:
    """The patient takes a request back and says so in the conversation, where whoever is in charge sees it unread.

    `request`: its table; `transitions`: from which of its states a verb leads where. A repeated form is answered as the first
    time. Raises NotVisible, Stale when the request is past being cancelled, TooMany.
    """
    with transaction(by=by, did="cancel_request", about=thread_key, patient=by.person) as tx:
        sent = reply(thread_key, body=CANCELLED, form_key=form_key, by=by)
        asked = tx.session.get(request, sent.thread_id)
        if asked is None:
            raise NotVisible
        if sent.is_new:
            if (asked.state, RequestVerb.CANCEL) not in transitions:
                raise Stale(f"in state {asked.state}")
            asked.state = transitions[asked.state, RequestVerb.CANCEL]
            tx.session.flush()
        return sent


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
