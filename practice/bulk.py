"""One act on many threads: each by its own verb, in its own transaction, with its own result; and Undo of what was done."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from practice import conversations
from practice.communicators import box_of
from practice.conversations import thread_of_staff
from practice.db import BATCH, Actor, Model, again_if_doubled, choice, db, new_key, now, transaction
from practice.errors import BeingSent, Invalid, NotAllowed, NotVisible, Stale
from practice.people import Person, fold, full_name
from practice.threads import Thread, ThreadState

MOST = 200  # threads in one act
KEPT = timedelta(days=1)  # how long its results are known, and Undo takes it back


class Act(StrEnum):
    RECEIVE = "receive"
    ENTRUST = "entrust"  # to a colleague
    CLOSE = "close"
    REMOVE = "remove"


class Outcome(StrEnum):
    """What came of it for one thread."""

    DONE = "done"
    UNDONE = "undone"
    CHANGED = "changed"  # by somebody else, after it was shown
    GONE = "gone"  # one has it no longer
    UNREAD = "unread"  # removed is only what was received
    WAITING = "waiting"  # and what waits no longer
    UNDECIDED = "undecided"  # and no correction that is still to be decided
    BEING_SENT = "being_sent"  # an answer
    NOT_THEIRS = "not_theirs"  # the colleague does not have it, or is away
    CHANGED_SINCE = "changed_since"  # not undone, therefore


class Batch(Model):
    __tablename__ = "batch"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(22), unique=True)
    by_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"))
    act: Mapped[Act] = mapped_column(choice(Act, is_checked=False))
    at: Mapped[datetime] = mapped_column(index=True)


class BatchItem(Model):
    """One thread of it: the row of what was done is committed with what was done."""

    __tablename__ = "batch_item"
    batch_id: Mapped[int] = mapped_column(sa.ForeignKey("batch.id"), primary_key=True)
    thread_key: Mapped[str] = mapped_column(sa.String(22), primary_key=True)
    outcome: Mapped[Outcome] = mapped_column(choice(Outcome, is_checked=False))
    version: Mapped[int]  # of the thread, after the act
    before: Mapped[str] = mapped_column(sa.Text)  # JSON: what Undo puts back


def act_on_many(did: Act, ticked: Iterable[tuple[str, int]], *, by: Actor, to: str = "", form_key: str = "") -> str:
    """Does it to up to 200 threads, given by key and the version seen; `to`: the colleague's key. Answers the batch's key.

    A thread that refuses stops no other: see `results_of`. A form that was sent before does nothing again to a thread that has
    its result, and goes on with the others where it was broken off.
    """
    number, key, known = _begin(did, by, form_key if len(form_key) == 22 else new_key())
    for thread_key, version in list(dict(ticked).items())[:MOST]:
        if thread_key in known:
            continue
        try:
            _act(number, did, thread_key, version, to=to, by=by)
        except (Stale, NotVisible, NotAllowed, Invalid) as error:
            _refused(number, thread_key, _why_not(error), by=by)
    return key


@again_if_doubled
def _begin(did: Act, by: Actor, key: str) -> tuple[int, str, set[str]]:
    """Id and key of the batch, and which threads have their result in it: of a new one, or of theirs that was begun before."""
    with transaction(by=by, did="act_on_many") as tx:
        tx.is_silent = True  # each verb leaves its own row
        batch = tx.session.scalar(sa.select(Batch).where(Batch.key == key))
        if batch is None or (batch.by_id, batch.act) != (by.person, did):
            batch = Batch(key=new_key() if batch else key, by_id=by.person, act=did, at=now())
            tx.session.add(batch)
            tx.session.flush()
        return batch.id, batch.key, {item.thread_key for item in tx.session.scalars(_items(batch))}


@again_if_doubled
def _refused(batch: int, key: str, outcome: Outcome, *, by: Actor) -> None:
    """Unless the same form, sent a second time, has its result meanwhile."""
    with transaction(by=by, did="act_on_many") as tx:
        tx.is_silent = True
        if tx.session.get(BatchItem, (batch, key)) is None:
            tx.session.add(BatchItem(batch_id=batch, thread_key=key, outcome=outcome, version=0, before=""))
            tx.session.flush()


def _act(batch: int, did: Act, key: str, version: int, *, to: str, by: Actor) -> None:
    with transaction(by=by, did="act_on_many") as tx:
        tx.is_silent = True
        thread, _box = thread_of_staff(tx, key)
        before = json.dumps({name: getattr(thread, name) for name in CHANGED_BY[did]}, default=datetime.isoformat)
        match did:
            case Act.RECEIVE:
                conversations.receive(key, version=version, by=by)
            case Act.CLOSE:
                conversations.close(key, version=version, by=by)
            case Act.REMOVE:
                conversations.remove(key, version=version, by=by)
            case Act.ENTRUST:
                conversations.entrust(key, to=to, version=version, by=by)
        tx.session.flush()
        item = BatchItem(batch_id=batch, thread_key=key, outcome=Outcome.DONE, version=thread.version, before=before)
        tx.session.add(item)


CHANGED_BY: dict[Act, tuple[str, ...]] = {
    Act.RECEIVE: (),
    Act.REMOVE: (),
    Act.ENTRUST: ("claimed_by_id", "claimed_until"),
    Act.CLOSE: (
        "state", "waiting_since", "due_at", "late_told_at", "escalated_at", "has_emergency_words", "claimed_by_id",
        "claimed_until",
    ),
}  # fmt: skip
"""What Undo puts back. Nobody forgets what they have taken note of, so Receive has no Undo, and what Close received stays so."""


def _why_not(error: Exception) -> Outcome:
    if isinstance(error, NotVisible):
        return Outcome.GONE
    if isinstance(error, BeingSent):
        return Outcome.BEING_SENT
    if isinstance(error, NotAllowed):
        return {o.value: o for o in (Outcome.UNREAD, Outcome.WAITING, Outcome.UNDECIDED)}.get(str(error), Outcome.CHANGED)
    return Outcome.NOT_THEIRS if isinstance(error, Invalid) else Outcome.CHANGED


def undo_many(key: str, *, by: Actor) -> None:
    """Takes back what stands as it was left; the rest is listed as changed since. Pressed twice, it finds nothing more to do.

    Raises NotVisible for another's batch, for one older than a day, and for one that has no Undo.
    """
    with db.session() as session:
        batch = _own(session, key, by)
        items = list(session.scalars(_items(batch).where(BatchItem.outcome == Outcome.DONE)))
    if batch.act == Act.RECEIVE:
        raise NotVisible
    for item in items:
        try:
            _undo(batch.act, item, by=by)
        except (Stale, NotVisible):
            _note_undo(item, Outcome.CHANGED_SINCE, by=by)


def _undo(did: Act, item: BatchItem, *, by: Actor) -> None:
    with transaction(by=by, did="act_on_many") as tx:
        tx.is_silent = True
        values = json.loads(item.before)
        before = {name: _value(name, value) for name, value in values.items()}
        match did:
            case Act.CLOSE:
                conversations.reopen(item.thread_key, before=before, version=item.version, by=by)
            case Act.ENTRUST:
                conversations.take_back(item.thread_key, before=before, version=item.version, by=by)
            case Act.REMOVE:
                conversations.restore(item.thread_key, version=item.version, by=by)
        _note_undo(item, Outcome.UNDONE, by=by)


def _value(name: str, value: Any) -> Any:
    if name == "state":
        return ThreadState(value)
    return datetime.fromisoformat(value) if value and name.endswith(("_at", "_since", "_until")) else value


def _note_undo(item: BatchItem, outcome: Outcome, *, by: Actor) -> None:
    """What was done is undone now, or was changed since; what is noted so already stays."""
    with transaction(by=by, did="act_on_many") as tx:
        tx.is_silent = True
        of = BatchItem.batch_id == item.batch_id, BatchItem.thread_key == item.thread_key, BatchItem.outcome == Outcome.DONE
        tx.session.execute(sa.update(BatchItem).where(*of).values(outcome=outcome))


def colleagues_for(keys: list[str], *, by: Actor, own_patient: int | None) -> list[Any]:
    """Who else has one of these threads and is there: rows as conversations.colleagues_with gives them, by name."""
    session, found = db.session(), dict[int, Any]()
    box = box_of(session, by.person or 0, own_patient)
    mine = sa.select(Thread.audience_id, sa.func.min(Thread.patient_id).label("patient_id")).group_by(Thread.audience_id)
    for some in session.execute(mine.where(Thread.key.in_(keys), Thread.audience_id.in_(box.audiences))).all():
        found |= {one.id: one for one in conversations.colleagues_with(session, some, by.person) if one.is_present}
    return sorted(found.values(), key=lambda one: fold(full_name(one.last_name, one.first_name)))


# ---- What came of it -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Results:
    """`done`: how many; `undone`: how many of them were taken back. `others`: the rest, with outcome and, where one still has
    the thread, its key, title and the patient's names."""

    key: str
    did: Act
    done: int
    undone: int
    others: list[Any]

    @property
    def has_undo(self) -> bool:
        return self.did != Act.RECEIVE and self.done > 0


def results_of(key: str, *, by: Actor, own_patient: int | None) -> Results | None:
    """What came of a batch of one's own; None: there is none of this key (any more)."""
    session = db.session()
    try:
        batch = _own(session, key, by)
    except NotVisible:
        return None
    items = {item.thread_key: item for item in session.scalars(_items(batch))}
    others = [item for item in items.values() if item.outcome not in (Outcome.DONE, Outcome.UNDONE)]
    box = box_of(session, by.person or 0, own_patient)
    seen = sa.select(Thread.key, Thread.title, Person.last_name, Person.first_name).join(Person, Person.id == Thread.patient_id)
    seen = seen.where(Thread.key.in_([item.thread_key for item in others]), Thread.audience_id.in_(box.audiences))
    rows = {row.key: row for row in session.execute(seen.where(Thread.patient_id != box.own_patient))}
    return Results(
        batch.key,
        batch.act,
        sum(item.outcome == Outcome.DONE for item in items.values()),
        sum(item.outcome == Outcome.UNDONE for item in items.values()),
        [(item.outcome, rows.get(item.thread_key)) for item in others],
    )


def _own(session: Session, key: str, by: Actor) -> Batch:
    batch = session.scalar(sa.select(Batch).where(Batch.key == key, Batch.by_id == by.person, Batch.at > now() - KEPT))
    if batch is None:
        raise NotVisible
    return batch


def _items(batch: Batch) -> sa.Select[BatchItem]:
    return sa.select(BatchItem).where(BatchItem.batch_id == batch.id).order_by(BatchItem.thread_key)


def forget_batches(session: Session) -> int:
    """Deletes what is older than a day. Answers how many acts."""
    old = list(session.scalars(sa.select(Batch.id).where(Batch.at < now() - KEPT).limit(BATCH)))
    if not old:  # SQLite reads a whole table to find nothing
        return 0
    session.execute(sa.delete(BatchItem).where(BatchItem.batch_id.in_(old)))
    session.execute(sa.delete(Batch).where(Batch.id.in_(old)))
    return len(old)
