"""Threads and their messages: the tables, the states, and the questions that the pages ask of them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column, reconstructor

from practice.db import Model, Transaction, choice, db, now
from practice.errors import NotVisible, Stale
from practice.files import SHOWN as FILE_SHOWN
from practice.files import Attachment, files_of
from practice.people import Patient, Person, fold
from practice.settings import RequestType

PAGE = 25


class ThreadState(StrEnum):
    WAITING = "waiting"  # the patient wrote last
    ANSWERED = "answered"
    CLOSED = "closed"


class Event(StrEnum):
    """What can happen to a thread beside a message being written."""

    DELIVERED = "delivered"
    RECEIVED = "received"
    CLOSED = "closed"
    REMOVED = "removed"
    RESTORED = "restored"
    HANDED = "handed"  # to other communicators, which alone have it now
    CLAIMED = "claimed"
    RELEASED = "released"
    OPENED = "opened"  # by an admin not in charge, with a reason
    MOVED = "moved"  # to another account of the same patient, or back
    TRANSFERRED = "transferred"  # by those who had it, with a reason: its new communicator alone has it now
    ENTRUSTED = "entrusted"  # handed over: another member of staff has the claim now
    TAKEN_BACK = "taken_back"  # not handed over after all
    REOPENED = "reopened"  # not closed after all
    RECALLED = "recalled"  # an answer, before it reached the patient
    DUPLICATE = "duplicate"  # closed: another thread of the patient goes on instead
    REQUEST = "request"  # its request went to its next state; the words name the verb


MOVES = (Event.HANDED, Event.TRANSFERRED)  # its communicators have the thread no longer, the one named has it alone
ARRIVALS = (Event.DELIVERED, *MOVES)


class Verb(StrEnum):
    """What a person can do to a thread."""

    WRITE = "write"  # the patient
    ANSWER = "answer"  # the practice
    CLOSE = "close"


TRANSITIONS: dict[tuple[ThreadState, Verb], ThreadState] = {
    (ThreadState.WAITING, Verb.WRITE): ThreadState.WAITING,
    (ThreadState.WAITING, Verb.ANSWER): ThreadState.ANSWERED,
    (ThreadState.WAITING, Verb.CLOSE): ThreadState.CLOSED,
    (ThreadState.ANSWERED, Verb.WRITE): ThreadState.WAITING,
    (ThreadState.ANSWERED, Verb.ANSWER): ThreadState.ANSWERED,
    (ThreadState.ANSWERED, Verb.CLOSE): ThreadState.CLOSED,
    (ThreadState.CLOSED, Verb.WRITE): ThreadState.WAITING,
    (ThreadState.CLOSED, Verb.ANSWER): ThreadState.ANSWERED,
}
"""From which state a verb leads where. What is not here is refused; the pages show the buttons that are."""


def _partial(name: str, *columns: str, where: str) -> sa.Index:
    """An index over the rows for which a bare truth column holds. Serves a query only with this very predicate."""
    return sa.Index(name, *columns, sqlite_where=sa.text(f"{where} = 1"), postgresql_where=sa.text(where))


def _where(name: str, *columns: str, where: str) -> sa.Index:
    return sa.Index(name, *columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


# The very words of sessions._UNREAD and of the lists: a partial index serves no others. Each page counts these rows.
NEW_FOR_PATIENT = "hidden_by_patient_at IS NULL AND last_staff_message_at > coalesce(patient_read_at, created_at)"
NOT_COUNTED: tuple[int | None, bool, bool] = (None, False, False)  # audience, is unread, is in box


class Thread(Model):
    """A conversation between one patient and the practice. Lists show one row a thread."""

    __tablename__ = "thread"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(22), unique=True)
    patient_id: Mapped[int] = mapped_column(sa.ForeignKey("patient.id"))
    audience_id: Mapped[int | None] = mapped_column(sa.ForeignKey("audience.id"))  # None: nobody has it yet
    unrouted_since: Mapped[datetime | None]
    type: Mapped[RequestType] = mapped_column(choice(RequestType))
    title: Mapped[str] = mapped_column(sa.String(240))
    state: Mapped[ThreadState] = mapped_column(choice(ThreadState))
    facility_id: Mapped[int | None] = mapped_column(sa.ForeignKey("facility.id"))
    version: Mapped[int] = mapped_column(sa.Integer)
    created_at: Mapped[datetime]
    last_patient_message_at: Mapped[datetime | None]
    last_staff_message_at: Mapped[datetime | None]
    is_unread: Mapped[bool]
    is_in_box: Mapped[bool]
    waiting_since: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    claimed_by_id: Mapped[int | None] = mapped_column(sa.ForeignKey("person.id"))  # who handles it, while claimed_until lasts
    claimed_until: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]
    hidden_by_patient_at: Mapped[datetime | None]
    patient_read_at: Mapped[datetime | None]  # up to which answer the patient has read
    has_emergency_words: Mapped[bool] = mapped_column(server_default=sa.false())  # what waits for an answer holds some
    # While last_staff_message_at lies ahead an answer is being sent: what the patient sees until then, and Undo brings back.
    before_answer: Mapped[str | None] = mapped_column(sa.Text)  # JSON
    answered_before_at: Mapped[datetime | None]
    duplicate_of_id: Mapped[int | None] = mapped_column(sa.ForeignKey("thread.id"))  # closed as such
    late_told_at: Mapped[datetime | None]  # that due_at has passed: those in charge
    escalated_at: Mapped[datetime | None]  # the same: the admins
    patient_opened_at: Mapped[datetime | None]  # when the patient read up to patient_read_at
    __mapper_args__ = {"version_id_col": version}
    counted = NOT_COUNTED  # how its audience counts it, as read or last written: see recount
    __table_args__ = (
        sa.Index("ix_thread_audience", "audience_id", "last_patient_message_at", "id"),
        _partial("ix_thread_in_box", "audience_id", "last_patient_message_at", "id", where="is_in_box"),
        _partial("ix_thread_unread", "audience_id", "last_patient_message_at", "id", where="is_unread"),
        _partial("ix_thread_in_box_of_patient", "patient_id", "last_patient_message_at", "id", where="is_in_box"),
        _where("ix_thread_unrouted", "unrouted_since", "id", where="unrouted_since IS NOT NULL"),
        _where("ix_thread_claimed", "claimed_by_id", "id", where="claimed_by_id IS NOT NULL"),
        _where("ix_thread_due", "due_at", "id", where="due_at IS NOT NULL"),
        _where("ix_thread_due_first", "audience_id", "due_at", "id", where="due_at IS NOT NULL"),
        _where("ix_thread_to_escalate", "due_at", "id", where="due_at IS NOT NULL AND escalated_at IS NULL"),
        _where("ix_thread_duplicates", "duplicate_of_id", where="duplicate_of_id IS NOT NULL"),
        _where("ix_thread_waiting", "audience_id", "waiting_since", where="waiting_since IS NOT NULL"),
        _where("ix_thread_removed", "removed_at", "id", where="removed_at IS NOT NULL"),
        _partial("ix_thread_emergency", "audience_id", "last_patient_message_at", "id", where="has_emergency_words"),
        sa.Index("ix_thread_answered_for_patient", "patient_id", "last_staff_message_at", "id"),
        _where("ix_thread_new_for_patient", "patient_id", "last_staff_message_at", "id", where=NEW_FOR_PATIENT),
        sa.Index("ix_thread_sent_by_patient", "patient_id", "last_patient_message_at", "id"),
        sa.Index("ix_thread_sent_by_staff", "audience_id", "last_staff_message_at", "id"),
    )

    @reconstructor
    def remember_how_it_is_counted(self) -> None:
        self.counted = (self.audience_id, self.is_unread, self.is_in_box)


class Message(Model):
    """One text in a thread. Never changed: triggers refuse it."""

    __tablename__ = "message"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(22), unique=True)
    thread_id: Mapped[int] = mapped_column(sa.ForeignKey("thread.id"))
    author_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"))
    is_from_patient: Mapped[bool]
    communicator_id: Mapped[int | None] = mapped_column(sa.ForeignKey("communicator.id"))  # on whose behalf, or to whom
    communicator_title: Mapped[str] = mapped_column(sa.String(400))  # as it was then
    body: Mapped[str] = mapped_column(sa.Text)
    sent_at: Mapped[datetime]
    form_key: Mapped[str] = mapped_column(sa.String(22))
    digest: Mapped[str] = mapped_column(sa.String(64))  # of all that the form said: tells a repeat from other words
    __table_args__ = (
        sa.UniqueConstraint("author_id", "form_key"),
        sa.Index(None, "thread_id", "id"),
        sa.Index(None, "author_id", "sent_at"),
    )


class Recall(Model):
    """The message was taken back before it reached the patient: from then on it is shown to nobody."""

    __tablename__ = "recall"
    message_id: Mapped[int] = mapped_column(sa.ForeignKey("message.id"), primary_key=True)
    by_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"))
    at: Mapped[datetime]


STANDS = ~sa.exists().where(Recall.message_id == Message.id)
"""A condition on Message: it was not recalled."""


class Delivery(Model):
    """The thread was put in front of a communicator. Ended by a transfer, never erased. Only routing.py writes it."""

    __tablename__ = "delivery"
    id: Mapped[int] = mapped_column(primary_key=True)
    thread_id: Mapped[int] = mapped_column(sa.ForeignKey("thread.id"), index=True)
    communicator_id: Mapped[int] = mapped_column(sa.ForeignKey("communicator.id"), index=True)
    title: Mapped[str] = mapped_column(sa.String(80))  # as it was then
    at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class History(Model):
    """What happened to a thread: read by the way, the staff's history and the audit view."""

    __tablename__ = "history"
    id: Mapped[int] = mapped_column(primary_key=True)
    thread_id: Mapped[int] = mapped_column(sa.ForeignKey("thread.id"))
    at: Mapped[datetime]
    by_id: Mapped[int | None] = mapped_column(sa.ForeignKey("person.id"))
    did: Mapped[Event] = mapped_column(choice(Event, is_checked=False))
    up_to_id: Mapped[int | None]  # the last message the event speaks of
    words: Mapped[str] = mapped_column(sa.String(1000))
    __table_args__ = (sa.Index(None, "thread_id", "id"),)


class ReadLog(Model):
    """A member of staff looked at a thread: once an hour, not at every look (45 CFR 164.312(b))."""

    __tablename__ = "read_log"
    person_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"), primary_key=True)
    thread_id: Mapped[int] = mapped_column(sa.ForeignKey("thread.id"), primary_key=True)
    hour: Mapped[int] = mapped_column(primary_key=True)  # hours since 1970
    at: Mapped[datetime]
    __table_args__ = (
        sa.Index(None, "thread_id", "at"),
        sa.Index(None, "person_id", "at", "thread_id"),
        sa.Index(None, "at", "person_id", "thread_id"),
    )


def record(tx: Transaction, thread: int, did: Event, *, up_to: int | None = None, words: str = "") -> None:
    """A line of the thread's history."""
    tx.session.add(History(thread_id=thread, at=now(), by_id=tx.by.person, did=did, up_to_id=up_to, words=words))


# ---- What may be done ----------------------------------------------------------------------------


def can(state: ThreadState, verb: Verb) -> bool:
    return (state, verb) in TRANSITIONS


def can_receive(thread: Any) -> bool:
    return bool(thread.is_unread)


def is_claimed(thread: Any) -> bool:
    """A claim past its time is none."""
    return thread.claimed_until is not None and thread.claimed_until > now()


def can_claim(thread: Any) -> bool:
    return not is_claimed(thread) and thread.state != ThreadState.CLOSED and thread.removed_at is None


def can_entrust(thread: Any, person: int) -> bool:
    """Whoever could claim it, or has claimed it, may hand it over."""
    return can_claim(thread) or (is_claimed(thread) and thread.claimed_by_id == person)


def can_close(thread: Any) -> bool:
    return can(thread.state, Verb.CLOSE) and thread.removed_at is None


def can_remove(thread: Any) -> bool:
    """Only what was received leaves the lists; what waits for an answer is closed first, what is owed a decision decided."""
    waits = thread.state == ThreadState.WAITING or thread.due_at is not None
    return not thread.is_unread and not waits and thread.removed_at is None


def move(tx: Transaction, thread: Thread, verb: Verb) -> None:
    """Takes the thread to the state the table names. Raises Stale where it names none."""
    if not can(thread.state, verb):
        raise Stale(f"{verb} is not possible in state {thread.state}")
    thread.state = TRANSITIONS[thread.state, verb]


def mark(tx: Transaction, thread: Thread) -> None:
    """Sets `is_in_box` from what it follows from; to be called after every change of state, removal, unread or audience."""
    is_open = thread.state != ThreadState.CLOSED and thread.removed_at is None
    thread.is_in_box = is_open and thread.last_patient_message_at is not None
    recount(tx, thread)
    tx.session.flush()


def promise(thread: Thread, since: datetime | None, due: datetime | None) -> None:
    """Since when the thread waits (None: it waits no more) and until when an answer is promised; of another promise than the
    one before nobody was told yet that it has passed."""
    if due != thread.due_at:
        thread.late_told_at = thread.escalated_at = None
    thread.waiting_since, thread.due_at = since, due


def recount(tx: Transaction, thread: Thread) -> None:
    """Takes the thread off the numbers of the audience that counted it and adds it to those of the one that has it now."""
    present = (thread.audience_id, thread.is_unread, thread.is_in_box)
    for sign, (audience, is_unread, is_in_box) in ((-1, thread.counted), (1, present)):
        if audience is not None:
            tx.unread[audience] += sign * is_unread
            tx.in_box[audience] += sign * is_in_box
    thread.counted = present


# ---- Its reference number ------------------------------------------------------------------------

# A number that a person can say on the phone. One to one with the id, so that none is given twice; it does not count up.
_SPREAD, _SHIFT, _MOST = 387_420_489, 271_828_183, 10**9


def reference_of(thread: int) -> str:
    """The reference number of a thread by its id: "123-456-789"."""
    digits = f"{(thread * _SPREAD + _SHIFT) % _MOST:09}"
    return "-".join((digits[:3], digits[3:6], digits[6:]))


def thread_with_reference(said: str) -> int:
    """The id that a reference number stands for, however it was typed; 0 for what cannot be one."""
    digits = "".join(c for c in said if c in "0123456789")
    is_one = len(digits) == 9 and all(c in "0123456789- " for c in said)
    return (int(digits) - _SHIFT) * pow(_SPREAD, -1, _MOST) % _MOST if is_one else 0


# ---- Loading one, through who may ----------------------------------------------------------------


# One whose only message was recalled is a thread no more.
_HAS_MESSAGES = sa.or_(Thread.last_patient_message_at.is_not(None), Thread.last_staff_message_at.is_not(None))


def thread_of_patient(session: Session, key: str, patient: int, *, lock: bool = False) -> Thread:
    """The patient's own thread. Raises NotVisible for anybody else's and for what is not there."""
    thread = _one(session, sa.select(Thread).where(Thread.key == key, Thread.patient_id == patient), lock)
    if thread.last_patient_message_at is None and answered_for_patient(thread) is None:
        raise NotVisible
    return thread


def key_of(thread: int) -> str:
    """The key of a thread by its id; empty where there is none. Says nothing of who may see it."""
    return db.session.scalar(sa.select(Thread.key).where(Thread.id == thread)) or ""


def thread_of_box(session: Session, key: str, audiences: list[int], own_patient: int, *, lock: bool = False) -> Thread:
    """A thread that one of these audiences has, and that is not the person's own. Raises NotVisible else."""
    mine = sa.select(Thread).where(Thread.key == key, Thread.audience_id.in_(audiences), Thread.patient_id != own_patient)
    return _one(session, mine.where(_HAS_MESSAGES), lock)


def _one(session: Session, statement: sa.Select[Thread], lock: bool) -> Thread:
    thread = session.scalar(statement.with_for_update() if lock else statement)
    if thread is None:
        raise NotVisible
    return thread


def last_message_id(session: Session, thread: int) -> int:
    """The newest message that was not recalled; 0 where there is none."""
    return session.connection().scalar(_LAST_MESSAGE, {"thread": thread}) or 0


_newest_first = sa.select(Message.id).where(STANDS).order_by(Message.id.desc()).limit(1)  # no max(): it would read them all
_LAST_MESSAGE = _newest_first.where(Message.thread_id == sa.bindparam("thread"))
last_of_thread = _newest_first.where(Message.thread_id == Thread.id).correlate(Thread).scalar_subquery()


# ---- While an answer is being sent ---------------------------------------------------------------

# It is committed whole, with a time a few seconds ahead: nothing has to run for it to arrive. Until then Undo recalls it, and
# the patient sees the thread as it was before.
BEFORE = (
    "state", "waiting_since", "due_at", "has_emergency_words", "closed_at", "removed_at", "hidden_by_patient_at",
    "last_staff_message_at", "duplicate_of_id", "late_told_at", "escalated_at",
)  # fmt: skip
"""What an answer may change in a thread, and Undo puts back."""
# As before_answer says it.
_WAITED, _NOT_HIDDEN, _FIRST = '"state": "waiting"', '"hidden_by_patient_at": null', '"last_staff_message_at": null'


def kept_before(before: dict[str, Any]) -> dict[str, Any]:
    """What Undo puts back, and the patient sees until the answer arrives, as columns of the thread keep it."""
    is_hidden = before["hidden_by_patient_at"] is not None
    answered = None if is_hidden else before["last_staff_message_at"]
    return {"before_answer": json.dumps(before, default=datetime.isoformat), "answered_before_at": answered}


def keep_before(thread: Thread, before: dict[str, Any]) -> None:
    for name, value in kept_before(before).items():
        setattr(thread, name, value)


def before_answer(said: str) -> dict[str, Any]:
    """The values of BEFORE by name, from what a thread keeps of them."""
    before = json.loads(said)
    times = {name: datetime.fromisoformat(at) for name, at in before.items() if name.endswith(("_at", "_since")) and at}
    return before | times | {"state": ThreadState(before["state"])}


def is_being_sent(thread: Any) -> bool:
    """Whether its last answer has not reached the patient yet."""
    return thread.last_staff_message_at is not None and thread.last_staff_message_at > now()


def answered_for_patient(thread: Any) -> datetime | None:
    """When the last answer came that has reached the patient."""
    return before_answer(thread.before_answer)["last_staff_message_at"] if is_being_sent(thread) else thread.last_staff_message_at


def as_patient_sees(rows: Iterable[Any]) -> list[Any]:
    """Rows of threads, with what an answer that is being sent changes as it was before."""
    return [_before(row) if row.before_answer else row for row in rows]


def _before(row: Any) -> Any:
    before = before_answer(row.before_answer)
    there = row._asdict()
    return SimpleNamespace(**there | {name: value for name, value in before.items() if name in there})


def is_there_for_patient() -> sa.ColumnElement[bool]:
    """A condition on Thread: something in it is the patient's or has reached the patient."""
    is_first = Thread.before_answer.contains(_FIRST, autoescape=True)
    return sa.or_(Thread.last_patient_message_at.is_not(None), Thread.last_staff_message_at <= now(), ~is_first)


_present = sa.bindparam("now", type_=Thread.created_at.type)
_is_being_sent = Thread.last_staff_message_at > _present
_kept_before = sa.case((_is_being_sent, Thread.before_answer)).label("before_answer")  # long: read when it is needed
_has_arrived = (Message.sent_at <= _present, STANDS)


# ---- The open thread -----------------------------------------------------------------------------

_Claimer = aliased(Person, name="claimer")
_Duplicate = aliased(Thread, name="duplicate")
_HEAD = sa.select(
    Thread.id,
    Thread.key,
    Thread.patient_id,
    Thread.audience_id,
    Thread.unrouted_since,
    Thread.type,
    Thread.title,
    Thread.state,
    Thread.version,
    Thread.is_unread,
    Thread.is_in_box,
    Thread.waiting_since,
    Thread.due_at,
    Thread.removed_at,
    Thread.claimed_by_id,
    Thread.claimed_until,
    _Claimer.last_name.label("claimer_last_name"),
    _Claimer.first_name.label("claimer_first_name"),
    Thread.duplicate_of_id,
    sa.exists().where(_Duplicate.duplicate_of_id == Thread.id).correlate(Thread).label("has_duplicates"),
    Thread.patient_read_at,
    Thread.patient_opened_at,
    Thread.last_staff_message_at,
    Thread.last_patient_message_at.label("at"),
    Thread.created_at,
    Thread.has_emergency_words,
    Thread.hidden_by_patient_at,
    _kept_before,
    Person.last_name,
    Person.first_name,
    Person.email,
    Patient.dob,
    Patient.gender,
    Patient.phone,
    Patient.record_number,
).select_from(Thread).join(Person, Person.id == Thread.patient_id).join(
    Patient, Patient.id == Thread.patient_id
).outerjoin(_Claimer, _Claimer.id == Thread.claimed_by_id)  # fmt: skip
_MESSAGES = (
    sa.select(
        Message.id,
        Message.key,
        Message.is_from_patient,
        Message.communicator_title,
        Message.body,
        Message.sent_at,
        Message.author_id,
        sa.exists().where(Attachment.message_id == Message.id).correlate(Message).label("has_files"),
        Person.kind.label("author_kind"),
        Person.last_name,
        Person.first_name,
    )
    .select_from(Message)
    .join(Person, Person.id == Message.author_id)
    .where(Message.thread_id == sa.bindparam("thread"), Message.id < sa.bindparam("before"), STANDS)
    .order_by(Message.id.desc())
    .limit(sa.bindparam("limit"))
)
_MESSAGES_FOR_PATIENT = _MESSAGES.where(Message.sent_at <= _present)
EVENTS = 200
_HISTORY = (
    sa.select(History.id, History.at, History.did, History.up_to_id, History.words, Person.last_name, Person.first_name)
    .select_from(History)
    .outerjoin(Person, Person.id == History.by_id)
    .where(History.thread_id == sa.bindparam("thread"))
    .order_by(History.id.desc())
    .limit(EVENTS)
)
_EVENTS_OF = _HISTORY.where(
    sa.or_(
        History.did.in_(ARRIVALS),
        sa.and_(History.did == Event.RECEIVED, History.up_to_id >= sa.bindparam("first")),
    )
).order_by(None).order_by(History.id).limit(2 * EVENTS)  # fmt: skip
_NEXT_ANSWER = (
    sa.select(Message.id, Message.sent_at)
    .where(Message.thread_id == sa.bindparam("thread"), Message.id >= sa.bindparam("before"), ~Message.is_from_patient)
    .where(*_has_arrived)
    .order_by(Message.id)
    .limit(1)
)
NEWEST = 2**31 - 1  # the largest id
SHOWN = 50  # messages of a long thread on one page; older ones by "Earlier messages"

_HEAD_OF_PATIENT = _HEAD.where(Thread.key == sa.bindparam("key"), Thread.patient_id == sa.bindparam("patient"))


@lru_cache(maxsize=1)
def _head_of_box() -> Any:
    return _HEAD.where(
        Thread.key == sa.bindparam("key"),
        Thread.audience_id.in_(sa.bindparam("audiences", expanding=True)),
        Thread.patient_id != sa.bindparam("own_patient"),
    )


def read(statement: Any, values: dict[str, Any]) -> Any:
    """Columns only, on the connection itself: the session's own ways with entities would cost twice the query."""
    return db.session.connection().execute(statement, values)


@dataclass(frozen=True)
class Opened:
    """A thread as it is read: its head (columns of thread, person, patient), up to 50 messages, its events, oldest first."""

    head: Any
    messages: list[Any]
    events: list[Any]
    has_earlier: bool
    next_answer: Any = None  # of an earlier page: the answer of the practice that follows it
    files: dict[int, list[Any]] = field(default_factory=dict)  # by message: files.SHOWN

    @property
    def last_id(self) -> int:
        return self.messages[-1].id if self.messages else 0


def opened_by_patient(key: str, patient: int, *, before: int = NEWEST) -> Opened:
    """The patient's own thread. Raises NotVisible."""
    return _opened_by_patient(key, patient, before, SHOWN)


def whole_of_patient(key: str, patient: int) -> Opened:
    """The patient's own thread with all its messages, for printing and taking along. Raises NotVisible."""
    return _opened_by_patient(key, patient, NEWEST, NEWEST - 1)


def _opened_by_patient(key: str, patient: int, before: int, most: int) -> Opened:
    at = now()  # the same for head and messages
    found = as_patient_sees(read(_HEAD_OF_PATIENT, {"key": key, "patient": patient, "now": at}))
    return _opened(found[0] if found else None, _MESSAGES_FOR_PATIENT, before, most, at)


def opened_by_staff(key: str, audiences: list[int], own_patient: int, *, before: int = NEWEST) -> Opened:
    """A thread of these audiences, the person's own excepted. Raises NotVisible."""
    at = now()
    values = {"key": key, "audiences": audiences, "own_patient": own_patient, "now": at}
    return _opened(read(_head_of_box(), values).first(), _MESSAGES, before, SHOWN, at)


def _opened(head: Any, statement: Any, before: int, most: int, at: datetime) -> Opened:
    if head is None or (head.at is None and head.last_staff_message_at is None):
        raise NotVisible
    asked: dict[str, Any] = {"thread": head.id, "before": before, "now": at}
    messages = read(statement, asked | {"limit": most + 1}).all()
    events = read(_HISTORY, {"thread": head.id}).all()
    next_answer = None
    if messages and (before < NEWEST or len(events) == EVENTS):  # of long threads only: what the newest events do not tell
        first = messages[:most][-1].id
        events = list({e.id: e for e in (*events, *read(_EVENTS_OF, {"thread": head.id, "first": first}))}.values())
        events.sort(key=lambda e: -e.id)
        next_answer = read(_NEXT_ANSWER, asked).first()
    shown = list(reversed(messages[:most]))
    files = files_of([m.id for m in shown if m.has_files])
    return Opened(head, shown, list(reversed(events)), len(messages) > most, next_answer, files)


_FILE_OF_THREAD = (
    FILE_SHOWN.join(Message, Message.id == Attachment.message_id)
    .where(Attachment.key == sa.bindparam("file"), Message.thread_id == sa.bindparam("thread"), STANDS)
)  # fmt: skip
_FILE_FOR_PATIENT = _FILE_OF_THREAD.where(Message.sent_at <= _present)


def file_of_thread(thread: int, key: str, *, is_for_patient: bool = False) -> Any:
    """A file of a message that stands in this thread (for the patient: that has arrived). Raises NotVisible. Whether the
    thread may be seen was asked before."""
    asked = {"file": key[:22], "thread": thread, "now": now()}
    file = read(_FILE_FOR_PATIENT if is_for_patient else _FILE_OF_THREAD, asked).first()
    if file is None:
        raise NotVisible
    return file


MOST_FILES = 100  # that a page of results lists
_FILES_SENT = (
    FILE_SHOWN.add_columns(Message.thread_id)
    .join(Message, Message.id == Attachment.message_id)
    .where(Message.thread_id.in_(sa.bindparam("threads", expanding=True)), ~Message.is_from_patient, *_has_arrived)
    .order_by(Attachment.id.desc())
    .limit(MOST_FILES)
)


def files_sent_in(threads: list[int]) -> dict[int, list[Any]]:
    """By thread the files that the practice has sent to the patient in it, the newest first."""
    found: dict[int, list[Any]] = {}
    for file in read(_FILES_SENT, {"threads": threads, "now": now()}):
        found.setdefault(file.thread_id, []).append(file)
    return found


NEIGHBOURS = 20


def others_of_patient(head: Any, audiences: list[int]) -> list[Any]:
    """The patient's other threads that these audiences have and that are no duplicates, the newest 20, to be linked."""
    where = [Thread.patient_id == head.patient_id, Thread.id != head.id, Thread.audience_id.in_(audiences)]
    found = _LINK.where(*where, Thread.duplicate_of_id.is_(None))
    return list(db.session.connection().execute(found.order_by(Thread.created_at.desc(), Thread.id.desc()).limit(NEIGHBOURS)))


def duplicates_of(head: Any, audiences: list[int] | None) -> list[Any]:
    """What the thread is a duplicate of, and what are duplicates of it, of the same patient: rows as of `others_of_patient`.

    Only what these audiences have; None: the patient's own view. No statement where there are none.
    """
    if head.duplicate_of_id is None and not head.has_duplicates:
        return []
    where = [sa.or_(Thread.id == head.duplicate_of_id, Thread.duplicate_of_id == head.id), Thread.patient_id == head.patient_id]
    if audiences is not None:
        where.append(Thread.audience_id.in_(audiences))
    return list(db.session.connection().execute(_LINK.where(*where).order_by(Thread.id.desc()).limit(NEIGHBOURS)))


# Rows that link a thread.
_LINK = sa.select(Thread.key, Thread.id, Thread.title, Thread.created_at)


@dataclass(frozen=True)
class Step:
    """A station on the way of a message: its name, when it was reached (None: not yet), and a word beside it."""

    name: str
    at: datetime | None
    note: str = ""


def way_of(message: Any, opened: Opened) -> list[Step]:
    """Sent, Delivered, Received, Answered: the way of a message of the patient, from what happened after it."""
    delivered = [e for e in opened.events if e.did in ARRIVALS]
    before = [e for e in delivered if (e.up_to_id or 0) <= message.id]
    later = next((e for e in delivered if (e.up_to_id or 0) > message.id), None)
    reached = before[-1] if before else later
    is_waiting_for_someone = opened.head.unrouted_since is not None and opened.head.unrouted_since <= message.sent_at
    received = next((e for e in opened.events if e.did == Event.RECEIVED and (e.up_to_id or 0) >= message.id), None)
    answer = next((m for m in opened.messages if not m.is_from_patient and m.id > message.id), opened.next_answer)
    titles = ", ".join(titles_of(before))
    if not before and later:
        titles = json.loads(later.words)["title"]
    if is_waiting_for_someone and received is None and answer is None:
        arrived = Step("Delivered", None, "")
    else:
        arrived = Step("Delivered", _arrived_at(message, reached, received) if reached else None, titles)
    return [
        Step("Sent", message.sent_at),
        arrived,
        Step("Received", received.at if received else None),
        Step("Answered", answer.sent_at if answer else None),
    ]


def _arrived_at(message: Any, reached: Any, received: Any) -> datetime:
    """When it was put in front of somebody; what was received before it was handed on had arrived when it was sent."""
    is_handed_later = received is not None and reached.at > received.at
    return message.sent_at if is_handed_later else max(message.sent_at, reached.at)


def titles_of(events: list[Any]) -> list[str]:
    """The communicators that have a thread after these events; handing on takes it from those before."""
    titles: dict[str, None] = {}
    for event in events:
        if event.did in MOVES:
            titles.clear()
        if event.did in ARRIVALS:
            titles[json.loads(event.words)["title"]] = None
    return list(titles)


READ_BY_PATIENT = (
    sa.update(Thread)
    .where(Thread.id == sa.bindparam("thread"))
    .values(patient_read_at=sa.bindparam("at"), patient_opened_at=sa.bindparam("opened"), version=Thread.version)
)
"""The read mark a patient leaves by opening; says nothing about the thread, so its version stays."""


def log_read(dialect: str) -> sa.Executable:
    """The row a member of staff leaves by opening a thread: one an hour, a second one is ignored."""
    return _log_read(dialect)


@lru_cache(maxsize=2)
def _log_read(dialect: str) -> sa.Executable:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(ReadLog).on_conflict_do_nothing()


# ---- Lists ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Page:
    """At most 25 rows in the order shown; whether there are newer and older ones."""

    rows: list[Any]
    has_newer: bool
    has_older: bool


@dataclass(frozen=True)
class Place:
    """Where a page begins: beyond this row, towards older or newer ones."""

    at: datetime
    id: int
    is_newer: bool = False
    stretch: int = 0  # in which part of a list that goes on in another order
    is_handled: bool = False  # just now: the row stood elsewhere before


def page_of(found: Any, place: Place | None) -> Page:
    rows, is_more = list(found[:PAGE]), len(found) > PAGE
    if place and place.is_newer:
        return Page(rows[::-1], has_newer=is_more, has_older=True)
    return Page(rows, has_newer=place is not None, has_older=is_more)


_PATIENT_ROW = (
    Thread.id, Thread.key, Thread.type, Thread.title, Thread.state, Thread.due_at, Thread.unrouted_since, Thread.created_at,
    Thread.last_patient_message_at, Thread.last_staff_message_at, Thread.patient_read_at, _kept_before,
)  # fmt: skip
_last_title = (
    sa.select(Message.communicator_title)
    .where(Message.thread_id == Thread.id, Message.is_from_patient == sa.bindparam("from_patient"), *_has_arrived)
    .order_by(Message.id.desc())
    .limit(1)
    .scalar_subquery()
)
_has_it_now = (
    sa.select(sa.func.aggregate_strings(Delivery.title, ", "))
    .where(Delivery.thread_id == Thread.id, Delivery.ended_at.is_(None))
    .scalar_subquery()
)


@dataclass(frozen=True)
class Sought:
    """What a patient looks for among their own threads. Times are naive UTC, `until` is excluded."""

    words: str = ""
    type: RequestType | None = None
    is_unread: bool = False
    since: datetime | None = None
    until: datetime | None = None


NOTHING = Sought()
SEARCHED = 10_000  # messages of one patient that a search reads, the newest


# Where an answer is being sent: the time of the one before. Only then is it ordered by, because no index has it.
_answered_at = sa.case((_is_being_sent, Thread.answered_before_at), else_=Thread.last_staff_message_at)
_is_shown = sa.or_(
    Thread.last_staff_message_at.is_(None), ~_is_being_sent, Thread.before_answer.contains(_NOT_HIDDEN, autoescape=True)
)  # or hidden by the patient, until an answer that is being sent brings it back


def _order_of(which: str, is_sending: bool) -> Any:
    if which == "inbox":
        return _answered_at if is_sending else Thread.last_staff_message_at
    return Thread.last_patient_message_at


@lru_cache(maxsize=256)
def _where_patient(which: str, is_sending: bool, of_type: bool, unread: bool, since: bool, until: bool) -> list[Any]:
    """The conditions of a list, by shape."""
    order = _order_of(which, is_sending)
    where = [Thread.patient_id == sa.bindparam("patient"), order.is_not(None), Thread.hidden_by_patient_at.is_(None)]
    if which == "sent":
        where.append(_is_shown)
    if of_type:
        where.append(Thread.type == sa.bindparam("kind", type_=Thread.type.type))
    if unread:
        read = sa.func.coalesce(Thread.patient_read_at, Thread.created_at)
        where += [Thread.last_staff_message_at > read, *([_answered_at > read] if is_sending or which == "sent" else [])]
    if since:
        where.append(order >= sa.bindparam("since", type_=Thread.created_at.type))
    if until:
        where.append(order < sa.bindparam("until", type_=Thread.created_at.type))
    return where


@lru_cache(maxsize=256)
def _patient_list(which: str, beyond: str, is_sending: bool, *shape: bool) -> Any:
    order = _order_of(which, is_sending)
    title = _last_title if which == "inbox" else _has_it_now
    key = sa.tuple_(order, Thread.id)
    where = list(_where_patient(which, is_sending, *shape))
    if beyond == "these":
        where.append(Thread.id.in_(sa.bindparam("ids", expanding=True)))
    elif beyond:
        place = sa.tuple_(sa.bindparam("at", type_=Thread.created_at.type), sa.bindparam("id", type_=sa.Integer))
        where.append(key > place if beyond == ">" else key < place)
    by = (order.asc(), Thread.id.asc()) if beyond == ">" else (order.desc(), Thread.id.desc())
    columns = [*_PATIENT_ROW, order.label("at"), title.label("communicator_title")]
    if which == "inbox":
        columns.append(_newest_answer)
    return sa.select(*columns).where(*where).order_by(*by).limit(PAGE + 1)


_Any = aliased(Thread, name="any_of_theirs")
_newest_answer = (
    sa.select(sa.func.max(_Any.last_staff_message_at)).where(_Any.patient_id == sa.bindparam("patient")).scalar_subquery()
).label("newest_answer")


def threads_of_patient(patient: int, *, which: str = "inbox", place: Place | None = None, sought: Sought = NOTHING) -> Page:
    """A page of the patient's threads: `inbox` those with an answer, `sent` those the patient wrote in; newest first."""
    beyond = "" if place is None else ">" if place.is_newer else "<"
    shape = (sought.type is not None, sought.is_unread, sought.since is not None, sought.until is not None)
    at = now()
    values: dict[str, Any] = {"patient": patient, "kind": sought.type, "since": sought.since, "until": sought.until, "now": at}
    values = {name: value for name, value in values.items() if value is not None}
    listed = values | ({"from_patient": False} if which == "inbox" else {})
    if sought.words:
        found = _saying(sought.words, which, shape, values)
        if place:
            found = [row for row in found if (row > (place.at, place.id)) == place.is_newer and row != (place.at, place.id)]
        shown = found[-PAGE - 1 :][::-1] if place and place.is_newer else found[: PAGE + 1]
        these = [thread for _, thread in shown]
        named = read(_patient_list(which, "these", True, *shape), listed | {"ids": these})
        rows = {row.id: row for row in as_patient_sees(named)}
        return page_of([rows[thread] for thread in these if thread in rows], place)
    if place:
        listed |= {"at": place.at, "id": place.id}
    found = read(_patient_list(which, beyond, False, *shape), listed).all()
    if which == "inbox" and (found[0].newest_answer > at if found else place or sought.until):
        found = read(_patient_list(which, beyond, True, *shape), listed).all()
    return page_of(as_patient_sees(found), place)


@lru_cache(maxsize=128)
def _looked_through(which: str, *shape: bool) -> Any:
    order = _order_of(which, True)
    found = sa.select(order.label("at"), Thread.id, Thread.title).where(*_where_patient(which, True, *shape))
    return found.order_by(order.desc(), Thread.id.desc())


_TEXTS = (
    sa.select(Message.thread_id, Message.communicator_title, Message.body)
    .join(Thread, Thread.id == Message.thread_id)
    .where(Thread.patient_id == sa.bindparam("patient"), *_has_arrived)
    .order_by(Message.id.desc())
    .limit(SEARCHED)
)
_DELIVERED_TO = (
    sa.select(Delivery.thread_id, Delivery.title)
    .join(Thread, Thread.id == Delivery.thread_id)
    .where(Thread.patient_id == sa.bindparam("patient"))
)


def _saying(words: str, which: str, shape: tuple[bool, ...], values: dict[str, Any]) -> list[tuple[datetime, int]]:
    """Order and id of the threads that say all of `words` in title, texts or communicators' titles, newest first.

    Compared here and not by the database: case and accents are then the same on both. A reference number finds its thread.
    """
    threads = read(_looked_through(which, *shape), values).all()
    if own := [(row.at, row.id) for row in threads if row.id == thread_with_reference(words)]:
        return own
    wanted = _folded(words).split()
    texts: dict[int, list[str]] = {row.id: [_folded(row.title)] for row in threads}
    for row in (*read(_TEXTS, values), *read(_DELIVERED_TO, values)):
        if row.thread_id in texts:
            texts[row.thread_id] += map(_folded, row[1:])
    return [(row.at, row.id) for row in threads if all(any(word in text for text in texts[row.id]) for word in wanted)]


def _folded(text: str) -> str:
    return text.lower() if text.isascii() else fold(text)


def place_of_patient(key: str, patient: int, *, which: str, is_newer: bool) -> Place:
    """Where a page of the patient's list begins, by the key of the row it lies beyond. Raises NotVisible."""
    found = sa.select(Thread.id, _order_of(which, True)).where(Thread.key == key, Thread.patient_id == patient)
    row = db.session.execute(found, {"now": now()}).first()
    if row is None or row[1] is None:
        raise NotVisible
    return Place(row[1], row[0], is_newer)


def message_in(thread_key: str, key: str) -> int:
    """The id of a message of a thread; the newest place of all for one that is not there. Says nothing of who may read it."""
    found = sa.select(Message.id).join(Thread, Thread.id == Message.thread_id).where(Message.key == key, Thread.key == thread_key)
    return db.session.scalar(found) or NEWEST


def message_of_patient(key: str, thread_key: str, patient: int) -> int:
    """The id of a message of the patient's own thread. Raises NotVisible."""
    found = db.session.scalar(
        sa.select(Message.id)
        .join(Thread, Thread.id == Message.thread_id)
        .where(Message.key == key, Thread.key == thread_key, Thread.patient_id == patient, *_has_arrived),
        {"now": now()},
    )
    if found is None:
        raise NotVisible
    return found


@dataclass(frozen=True)
class UnderWay:
    """A thread that waits for an answer, and the way of what the patient wrote last in it."""

    thread: Any
    steps: list[Step]


@dataclass(frozen=True)
class _Written:
    id: int
    sent_at: datetime


_last_id = (
    sa.select(Message.id)
    .where(Message.thread_id == Thread.id, Message.is_from_patient)
    .order_by(Message.id.desc())
    .limit(1)
    .scalar_subquery()
)
_waited = sa.and_(_is_being_sent, Thread.before_answer.contains(_WAITED, autoescape=True))
_UNDER_WAY = (
    sa.select(*_PATIENT_ROW, _last_id.label("last_id"))
    .where(Thread.patient_id == sa.bindparam("patient"), sa.or_(Thread.state == ThreadState.WAITING, _waited))
    .where(Thread.is_in_box, Thread.hidden_by_patient_at.is_(None), _is_shown)  # what waits is in the box, and its index is short
    .order_by(Thread.last_patient_message_at.desc(), Thread.id.desc())
    .limit(sa.bindparam("limit"))
)
_EVENTS_UNDER_WAY = (
    sa.select(History.id, History.thread_id, History.at, History.did, History.up_to_id, History.words)
    .where(
        History.thread_id.in_(sa.bindparam("threads", expanding=True)),
        sa.or_(History.did.in_(ARRIVALS), History.at >= sa.bindparam("since", type_=History.at.type)),
    )
    .order_by(History.id)
)


def under_way_of_patient(patient: int, *, limit: int = 5) -> list[UnderWay]:
    """The patient's threads that wait for an answer, newest first, with their ways. Two statements."""
    rows = as_patient_sees(db.session.execute(_UNDER_WAY, {"patient": patient, "limit": limit, "now": now()}))
    since = min((row.last_patient_message_at for row in rows), default=now())
    values = {"threads": [row.id for row in rows], "since": since}
    events = db.session.execute(_EVENTS_UNDER_WAY, values).all()
    found = []
    for row in rows:
        opened = Opened(row, [], [e for e in events if e.thread_id == row.id], False)
        found.append(UnderWay(row, way_of(_Written(row.last_id, row.last_patient_message_at), opened)))
    return found


def is_new_for_patient(row: Any) -> bool:
    """There is an answer that the patient has not opened yet."""
    return row.last_staff_message_at is not None and row.last_staff_message_at > (row.patient_read_at or row.created_at)
