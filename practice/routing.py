"""Routing: the one door through which every message passes. Only this module decides who receives.

The rules are numbered as in docs/routing.md. Routing only adds: `hand_to` and `transfer` alone take a thread away from anybody.
"""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from practice.communicators import (
    Audience,
    AudienceCommunicator,
    Communicator,
    Routable,
    eligible,
    is_routable,
    routable_of,
)
from practice.db import Model, Transaction, changed, now
from practice.errors import Invalid, Stale
from practice.outbox import Notice, NoticeState, Occasion, as_wished, tell
from practice.people import Staff, active_admins
from practice.settings import RequestType
from practice.threads import Delivery, Event, History, Thread, ThreadState, last_message_id, last_of_thread, recount

TITLES_MAX = 400  # of many communicators in one line of the history, which holds 1,000 characters with its escapes

Group = list[sa.ColumnElement[bool]]
"""Conditions on Thread: the threads that go the same way."""


def route(tx: Transaction, thread: Thread, *, message: int, picked: Routable | None = None) -> None:
    """Puts what the patient wrote in front of whoever must receive it, and tells them. Used by sending and by replying.

    A thread that a routable communicator has stays where it is (rule 6). Else the communicators that rule 2 or 3 names are
    added; if there is none, the thread is marked unrouted, keeps whom it has, and the admins are told. The patient's own
    staff account is nobody who receives: a communicator without anybody else present cannot receive this thread.
    """
    people = recipients(tx.session, thread)
    if not any(people.values()):
        routable = [] if picked else routable_of(tx.session, thread.type)
        if named := named_for(thread.type, thread.facility_id, routable, picked):
            has = communicators_of(tx.session, thread.audience_id)
            _give(tx, thread, {*has, *(c.id for c in named)}, message=message)
            people = recipients(tx.session, thread)
    if any(people.values()):
        thread.unrouted_since = None
        tell(tx, Occasion.WAITING, people, thread=thread.id, message=message)
    else:
        thread.unrouted_since = thread.unrouted_since or thread.last_patient_message_at
        tell(tx, Occasion.UNROUTED, active_admins(tx.session), thread=thread.id, message=message)


def start_with(tx: Transaction, thread: Thread, communicator: int, *, message: int) -> None:
    """Rule 7: a thread that the practice begins belongs to the communicator it is from. Nobody on the staff side is told."""
    _give(tx, thread, {communicator}, message=message)


def hand_to(tx: Transaction, thread: Thread, communicator_key: str) -> None:
    """The admin hands an unrouted thread to a communicator that can receive it; whoever had it before has it no longer.

    Raises Stale when the thread waits no more, Invalid when the communicator cannot receive it.
    """
    if thread.unrouted_since is None:
        raise Stale("it was delivered meanwhile")
    _hand(tx, thread, communicator_key, did=Event.HANDED)


def transfer(tx: Transaction, thread: Thread, communicator_key: str, *, reason: str) -> None:
    """Those who have a thread give it to another communicator, which alone has it then, with its type. What the patient waits
    for goes on waiting, and its unread mark stays. Raises Invalid when the communicator cannot receive it."""
    _hand(tx, thread, communicator_key, did=Event.TRANSFERRED, reason=reason)


def _hand(tx: Transaction, thread: Thread, communicator_key: str, *, did: Event, reason: str = "") -> None:
    to = tx.session.scalar(sa.select(Communicator).where(Communicator.key == communicator_key, *can_be_handed(thread)))
    if to is None:
        raise Invalid("communicator", "Choose a communicator that can receive it.")
    gone = Delivery.thread_id == thread.id, Delivery.ended_at.is_(None), Delivery.communicator_id != to.id
    tx.session.execute(sa.update(Delivery).where(*gone).values(ended_at=now()))
    thread.unrouted_since, thread.type = None, to.type
    thread.claimed_by_id = thread.claimed_until = None
    message = last_message_id(tx.session, thread.id)
    _give(tx, thread, {to.id}, message=message, did=did, reason=reason)
    people = recipients(tx.session, thread)
    if not any(people.values()):
        raise Invalid("communicator", "Nobody but the patient is there to receive it. Choose another communicator.")
    if thread.state == ThreadState.WAITING:
        tell(tx, Occasion.WAITING, sorted(people.keys() - _told(tx.session, message)), thread=thread.id, message=message)


def can_be_handed(thread: Any) -> tuple[sa.ColumnElement[bool], ...]:
    """Conditions on Communicator: one that can receive this thread from another. An amendment goes to and comes from no other
    type: its request goes nowhere else."""
    is_amendment = Communicator.type == RequestType.AMENDMENT
    kind = is_amendment if thread.type == RequestType.AMENDMENT else sa.not_(is_amendment)
    return kind, is_routable()


def _told(session: Session, message: int) -> set[int]:
    """Who was told before that this message waits: nobody is told twice."""
    told = sa.select(Notice.person_id).where(Notice.message_id == message, Notice.occasion == Occasion.WAITING)
    return set(session.scalars(told))


def hand_open_threads(tx: Transaction, communicator: int, to: int) -> int:
    """Every open thread that one communicator has goes to another of its type; others that have a thread keep it. What the
    patient still waits for and nobody there can receive stands in Unrouted. Answers how many went. Set-based: a fixed number
    of statements for each audience."""
    hold_routing_still(tx.session, to_change_it=True)
    tx.session.flush()
    has = sa.select(AudienceCommunicator.audience_id).where(AudienceCommunicator.communicator_id == communicator)
    return sum(_hand_audience(tx, audience, communicator, to) for audience in list(tx.session.scalars(has)))


def _hand_audience(tx: Transaction, audience: int, communicator: int, to: int) -> int:
    session, at, had = tx.session, now(), set(communicators_of(tx.session, audience))
    group = [Thread.audience_id == audience, Thread.state != ThreadState.CLOSED]
    if not session.scalar(sa.select(Thread.id).where(*group).limit(1)):
        return 0
    ids = sa.select(Thread.id).where(*group)
    have = had - {communicator} | {to}
    after = audience_of(session, have)
    ended = Delivery.communicator_id == communicator, Delivery.ended_at.is_(None), Delivery.thread_id.in_(ids)
    session.execute(sa.update(Delivery).where(*ended).values(ended_at=at).execution_options(synchronize_session=False))
    titles = {row.id: row.title for row in session.execute(sa.select(Communicator.id, Communicator.title))}
    if to not in had:
        _deliver_all(session, group, to, titles[to], at)
    _record_all(session, group, Event.HANDED, ", ".join(titles[one] for one in sorted(have)), at, by=tx.by.person)
    _recount_all(tx, group, audience, after)
    lost = [*group, Thread.state == ThreadState.WAITING, Thread.unrouted_since.is_(None), sa.not_(_reaches_somebody(have))]
    waits = sa.update(Thread).where(*lost).values(unrouted_since=Thread.last_patient_message_at)
    session.execute(waits.execution_options(synchronize_session=False))
    _tell_all(session, [*group, Thread.state == ThreadState.WAITING, Thread.unrouted_since.is_(None)], after, at)
    tx.commit.has_notices = True
    moved = sa.update(Thread).where(*group).values(audience_id=after, version=Thread.version + 1)
    return changed(session, moved.execution_options(synchronize_session=False))


# ---- The questions -------------------------------------------------------------------------------


def named_for(
    kind: RequestType, facility: int | None, routable: list[Routable], picked: Routable | None = None
) -> list[Routable]:
    """Whom rule 2 or 3 names among the routable ones of the type: for Others the picked one and no other; else every one
    that serves the facility, and if none serves it, every one. Sending, waking and the coverage board all ask this."""
    if kind == RequestType.OTHERS:
        return [picked] if picked else []
    return [one for one in routable if one.serves(facility)] or routable


def picked_for_others(session: Session, key: str | None) -> Routable | None:
    """The communicator the patient picked under *To*; None where none can receive and the practice takes it (rule 3).

    Raises Invalid when the picked one cannot receive any more, or none was picked though there are some.
    """
    routable = routable_of(session, RequestType.OTHERS)
    if not routable:
        return None
    for communicator in routable:
        if communicator.key == key:
            return communicator
    if key:
        raise Invalid("to", "This recipient cannot receive messages now. Choose another one.")
    raise Invalid("to", "Choose who should receive your message.")


def communicators_of(session: Session, audience: int | None) -> list[int]:
    """The communicators that have a thread of this audience."""
    if audience is None:
        return []
    statement = sa.select(AudienceCommunicator.communicator_id).where(AudienceCommunicator.audience_id == audience)
    return list(session.scalars(statement))


def recipients(session: Session, thread: Thread) -> dict[int, bool]:
    """The staff to be told of what the patient wrote, each once (rule 4), and whether they receive: present, and in charge
    of a communicator that is In Use. Never the patient's own staff account."""
    if thread.audience_id is None:
        return {}
    rows = session.connection().execute(_RECIPIENTS, {"audience": thread.audience_id, "patient": thread.patient_id})
    return {staff: bool(receives) for staff, receives in rows}


def _eligible_for(audience: Any) -> Any:
    """Who is eligible for a thread of this audience, once for each of its communicators."""
    has = sa.select(AudienceCommunicator.communicator_id).where(AudienceCommunicator.audience_id == audience)
    return eligible(communicator=has).subquery("eligible")


_people = _eligible_for(sa.bindparam("audience"))
_RECIPIENTS = (
    sa.select(_people.c.staff_id, sa.func.max(sa.case((Communicator.is_in_use, _people.c.is_present), else_=0)))
    .join(Staff, Staff.id == _people.c.staff_id)
    .join(Communicator, Communicator.id == _people.c.communicator_id)
    .where(sa.or_(Staff.own_patient_id.is_(None), Staff.own_patient_id != sa.bindparam("patient")))
    .group_by(_people.c.staff_id)
    .order_by(_people.c.staff_id)
)


# ---- Giving --------------------------------------------------------------------------------------


def hold_routing_still(session: Session, *, to_change_it: bool = False) -> None:
    """Senders share this lock, a change of who is eligible has it alone: so nothing is marked unrouted in the very moment
    that somebody becomes able to receive it. A verb takes it before any row, so that no two wait for each other. SQLite lets
    one writer in at a time anyway."""
    if session.get_bind().dialect.name == "postgresql":
        lock = "pg_advisory_xact_lock" if to_change_it else "pg_advisory_xact_lock_shared"
        session.execute(sa.text(f"SELECT {lock}(7001)"))


def _give(
    tx: Transaction,
    thread: Thread,
    communicators: set[int],
    *,
    message: int,
    did: Event = Event.DELIVERED,
    reason: str = "",
) -> None:
    """The thread's audience becomes these communicators; each new one gets its delivery, and what was done its line."""
    had = set(communicators_of(tx.session, thread.audience_id))
    thread.audience_id = audience_of(tx.session, communicators)
    recount(tx, thread)
    new, at = communicators - had, now()
    named = communicators if did == Event.TRANSFERRED else new  # a transfer is told, also to one of those who had it
    titles = sa.select(Communicator.id, Communicator.title).where(Communicator.id.in_(named)).order_by(Communicator.id)
    for row in tx.session.execute(titles).all():
        if row.id in new:
            tx.session.add(Delivery(thread_id=thread.id, communicator_id=row.id, title=row.title, at=at))
        words = json.dumps({"title": row.title} | ({"reason": reason} if reason else {}), ensure_ascii=False)
        tx.session.add(History(thread_id=thread.id, at=at, by_id=tx.by.person, did=did, up_to_id=message, words=words))


def audience_of(session: Session, communicators: Iterable[int]) -> int:
    """The id of the audience of exactly these communicators; made when it is the first time."""
    ids = sorted(communicators)
    key = ",".join(map(str, ids))
    found = session.scalar(sa.select(Audience.id).where(Audience.key == key))
    if found is not None:
        return found
    session.execute(_insert(session, Audience).values(key=key, unread=0, in_box=0).on_conflict_do_nothing())
    found = session.scalars(sa.select(Audience.id).where(Audience.key == key)).one()
    members = [{"audience_id": found, "communicator_id": c} for c in ids]
    session.execute(_insert(session, AudienceCommunicator).on_conflict_do_nothing(), members)
    return found


def _insert(session: Session, table: type[Model]) -> Any:
    """An INSERT of the session's own dialect, which knows ON CONFLICT."""
    return (postgresql if session.get_bind().dialect.name == "postgresql" else sqlite).insert(table)


def forget_audiences(session: Session, communicator: int) -> None:
    """Before a communicator that never had a thread is deleted: no other may come upon its audiences by a number used again."""
    has = sa.select(AudienceCommunicator.audience_id).where(AudienceCommunicator.communicator_id == communicator)
    audiences = list(session.scalars(has))
    session.execute(sa.delete(AudienceCommunicator).where(AudienceCommunicator.audience_id.in_(audiences)))
    session.execute(sa.delete(Audience).where(Audience.id.in_(audiences)))


# ---- Waking what waited --------------------------------------------------------------------------


def wake(tx: Transaction) -> int:
    """Delivers what waited and can be delivered now; called by every verb that makes somebody eligible. Answers how many.

    Set-based: a fixed number of statements for each type, facility and audience among the waiting, however many they are.
    """
    hold_routing_still(tx.session, to_change_it=True)
    tx.session.flush()
    groups = tx.session.execute(
        sa.select(Thread.type, Thread.facility_id, Thread.audience_id)
        .where(Thread.unrouted_since.is_not(None))
        .group_by(Thread.type, Thread.facility_id, Thread.audience_id)
    ).all()
    return sum(_wake_group(tx, *group) for group in groups)


def _wake_group(tx: Transaction, kind: RequestType, facility: int | None, audience: int | None) -> int:
    """First whom those who have it can receive again, then whom others of the type can (rule 6)."""
    group = [
        Thread.unrouted_since.is_not(None),
        Thread.type == kind,
        Thread.facility_id.is_not_distinct_from(facility),
        Thread.audience_id.is_not_distinct_from(audience),
    ]
    has = set(communicators_of(tx.session, audience))
    woken = _deliver_waiting(tx, [*group, _reaches_somebody(has)], audience, has, []) if has else 0
    named = [one for one in named_for(kind, facility, routable_of(tx.session, kind)) if one.id not in has]
    if named:
        woken += _deliver_waiting(tx, [*group, _reaches_somebody({c.id for c in named})], audience, has, named)
    return woken


def _deliver_waiting(tx: Transaction, group: Group, audience: int | None, has: set[int], named: list[Routable]) -> int:
    """Ends the waiting of a group of one audience, which `has` and, with this, also the `named` have. Answers how many."""
    if not tx.session.scalar(sa.select(Thread.id).where(*group).limit(1)):
        return 0
    at, session = now(), tx.session
    after = audience_of(session, {*has, *(c.id for c in named)}) if named else audience
    for communicator in named:
        _deliver_all(session, group, communicator.id, communicator.title, at)
        _record_all(session, group, Event.DELIVERED, communicator.title, at)
    _tell_all(session, group, after, at)
    tx.commit.has_notices = True
    if after is not None and after != audience:
        _recount_all(tx, group, audience, after)
    return changed(
        session,
        sa.update(Thread)
        .where(*group)
        .values(unrouted_since=None, audience_id=after, version=Thread.version + 1)
        .execution_options(synchronize_session=False),
    )


def _reaches_somebody(communicators: set[int]) -> sa.ColumnElement[bool]:
    """A condition on Thread: one of these communicators is In Use and has somebody present who is not the patient's own
    staff account."""
    another = sa.or_(Staff.own_patient_id.is_(None), Staff.own_patient_id != Thread.patient_id)
    there = eligible(communicator=sorted(communicators)).subquery("eligible")
    in_use = Communicator.id == there.c.communicator_id, Communicator.is_in_use
    return sa.exists().where(*in_use, there.c.is_present == 1, Staff.id == there.c.staff_id, another).correlate(Thread)


def _deliver_all(session: Session, group: Group, communicator: int, title: str, at: datetime) -> None:
    rows = sa.select(Thread.id, sa.literal(communicator), sa.literal(title), sa.literal(at)).where(*group)
    session.execute(sa.insert(Delivery).from_select(["thread_id", "communicator_id", "title", "at"], rows))


def _record_all(session: Session, group: Group, did: Event, title: str, at: datetime, *, by: int | None = None) -> None:
    """A line in the history of each thread of the group: it was put in front of what `title` names."""
    words = sa.literal(json.dumps({"title": title if len(title) < TITLES_MAX else title[:TITLES_MAX] + "…"}, ensure_ascii=False))
    values = (Thread.id, sa.literal(at), sa.literal(by, sa.Integer), sa.literal(did, History.did.type), last_of_thread, words)
    columns = ["thread_id", "at", "by_id", "did", "up_to_id", "words"]
    session.execute(sa.insert(History).from_select(columns, sa.select(*values).where(*group)))


def _recount_all(tx: Transaction, group: Group, audience: int | None, after: int) -> None:
    """Takes the threads of the group off the numbers of the audience they had and adds them to those of the next."""
    marks = tx.session.execute(
        sa.select(
            sa.func.coalesce(sa.func.sum(sa.cast(Thread.is_unread, sa.Integer)), 0),
            sa.func.coalesce(sa.func.sum(sa.cast(Thread.is_in_box, sa.Integer)), 0),
        ).where(*group)
    ).one()
    for counter, number in zip((tx.unread, tx.in_box), marks, strict=True):
        counter[after] += number
        if audience is not None:
            counter[audience] -= number


def _tell_all(
    session: Session,
    group: Group,
    audience: int | None,
    at: datetime,
) -> None:
    """A notice for each pair of waiting thread and recipient, in one statement. Keys come from the ids of message and person,
    who are told of it once."""
    who = _eligible_for(audience)
    columns = (who.c.staff_id, Staff.own_patient_id, Staff.notices)
    people = sa.select(*columns).join(Staff, Staff.id == who.c.staff_id).distinct().subquery()
    due, is_told = as_wished(session, Occasion.WAITING, people.c.notices, at)
    key = sa.literal("w") + sa.cast(last_of_thread, sa.String) + "-" + sa.cast(people.c.staff_id, sa.String)
    rows = (
        sa.select(
            key,
            sa.literal(Occasion.WAITING, Notice.occasion.type),
            people.c.staff_id,
            Thread.id,
            last_of_thread,
            sa.literal(NoticeState.WAITING, Notice.state.type),
            sa.literal(0),
            due,
            sa.literal(at),
        )
        .join(people, sa.true())
        .where(is_told)
        .where(*group, sa.or_(people.c.own_patient_id.is_(None), people.c.own_patient_id != Thread.patient_id))
        .where(
            ~sa.exists().where(
                Notice.message_id == last_of_thread, Notice.person_id == people.c.staff_id, Notice.occasion == Occasion.WAITING
            )
        )
    )
    into = ["key", "occasion", "person_id", "thread_id", "message_id", "state", "attempts", "next_at", "created_at"]
    session.execute(sa.insert(Notice).from_select(into, rows))
