"""The verbs of messages: send, reply, answer, recall, receive, close, remove, restore. Each is one transaction."""

import hashlib
import json
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from practice import files, numbers, routing
from practice.calendar import business_hours_later, due_at, end_of_day, local_day
from practice.communicators import AudienceCommunicator, Box, Communicator, box_of, eligible
from practice.db import Actor, Transaction, again_if_doubled, changed, db, new_key, now, transaction
from practice.drafts import delete_draft, put_back, save_draft
from practice.emergency import emergency_words_in
from practice.errors import BeingSent, Invalid, NotAllowed, NotVisible, Recalled, SentBefore, Stale, TooMany
from practice.outbox import Occasion, tell, tell_of_answer, untell
from practice.people import AccountStatus, Kind, Person, Staff, full_name, must_be_admin
from practice.placeholders import must_be_filled
from practice.settings import REQUESTED_IN, Practice, RequestType, SwitchedOff, calendar_of, is_on, promise_days, the_practice
from practice.threads import (
    BEFORE,
    STANDS,
    Event,
    History,
    Message,
    Recall,
    Thread,
    ThreadState,
    Verb,
    before_answer,
    can_claim,
    can_close,
    can_entrust,
    can_receive,
    can_remove,
    is_being_sent,
    is_claimed,
    keep_before,
    kept_before,
    last_message_id,
    mark,
    move,
    promise,
    record,
    reference_of,
    thread_of_box,
    thread_of_patient,
)

TITLE_MAX = 120  # code points, after NFC
BODY_MAX = 20_000
REASON_MAX = 500
HOURLY, DAILY = 60, 200  # sends of a patient; repeats of a form do not count
UNDO = timedelta(seconds=10)  # so long an answer is being sent, and can be recalled


@dataclass(frozen=True)
class Sent:
    """What a send led to. `is_new` is false for the repeat of a form: same thread, nothing stored again."""

    thread_key: str
    thread_id: int
    is_new: bool


def is_visible(text: str) -> bool:
    """Whether the text shows anything: blanks, control and zero-width characters alone do not."""
    return any(unicodedata.category(c)[0] not in "CZ" for c in text)


def clean(field: str, text: str, most: int) -> str:
    """Text as it is kept: line ends LF, NFC, no blanks at the ends. Raises Invalid: empty, too long, or not storable."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text):
        raise Invalid(field, "Remove the characters that cannot be shown.")
    if not is_visible(text):
        raise Invalid(field, "Write something here.")
    if len(text) > most:
        raise Invalid(field, "This text is too long.")
    return text


# ---- The patient's side --------------------------------------------------------------------------


@again_if_doubled
def send(
    patient: int,
    *,
    kind: RequestType,
    title: str,
    body: str,
    form_key: str,
    by: Actor,
    facility: int | None = None,
    to: str | None = None,
    fields: dict[str, Any] | None = None,
) -> Sent:
    """A patient's new thread, put in front of whoever is in charge of it (routing.py).

    `by` the patient, or a member of staff who takes it by phone: then it counts as the patient's message, with that author.
    `to`: for Others the key of the picked communicator. `fields`: what else the form said, to tell a repeat from other words.
    Raises Invalid, SentBefore when the form's key was sent with other words, SwitchedOff, TooMany; NotAllowed for a locked
    account, and NotVisible to staff for their own account and who are in charge of nothing.
    """
    body = clean("body", body, BODY_MAX)
    title = clean("title", title, TITLE_MAX)
    digest = _digest(kind, title, body, to, fields)
    with transaction(by=by, did="send", patient=patient) as tx:
        routing.hold_routing_still(tx.session)
        again = _sent_before(tx.session, by, form_key, digest)
        if again:
            tx.about = again.thread_key
            return again
        practice = the_practice(tx.session)
        _check_switch(practice, kind, is_by_patient=by.person == patient)
        if by.person == patient:
            _check_limit(tx.session, patient)
        else:
            _check_may_take(tx.session, patient, by)
        picked = routing.picked_for_others(tx.session, to) if kind == RequestType.OTHERS else None
        thread = Thread(
            key=new_key(),
            patient_id=patient,
            type=kind,
            title=title,
            state=ThreadState.WAITING,
            facility_id=facility,
            created_at=now(),
            is_unread=False,
            is_in_box=False,
            has_emergency_words=False,
        )
        tx.session.add(thread)
        _waits(tx, thread, practice, said=[title, body, *_texts(fields or {})])
        message = _write(tx, thread, body, form_key, digest, title=picked.title if picked else "")
        routing.route(tx, thread, message=message.id, picked=picked)
        numbers.count_received(tx, thread, message)
        tx.about = thread.key
        return Sent(thread.key, thread.id, True)


@again_if_doubled
def reply(thread_key: str, *, body: str, form_key: str, by: Actor) -> Sent:
    """The patient writes on. The thread waits again, for whoever has it or, if nobody can receive, as routing decides.

    Raises NotVisible, Invalid, SentBefore, TooMany.
    """
    body = clean("body", body, BODY_MAX)
    digest = _digest(thread_key, body)
    with transaction(by=by, did="reply", about=thread_key, patient=by.person) as tx:
        routing.hold_routing_still(tx.session)
        thread = thread_of_patient(tx.session, thread_key, by.person or 0, lock=True)
        again = _sent_before(tx.session, by, form_key, digest)
        if again:
            return again
        _check_limit(tx.session, thread.patient_id)
        move(tx, thread, Verb.WRITE)
        thread.removed_at = thread.closed_at = thread.hidden_by_patient_at = thread.duplicate_of_id = None
        _waits(tx, thread, the_practice(tx.session), said=[body])
        if is_being_sent(thread):
            _waits_before_answer(thread)
        message = _write(tx, thread, body, form_key, digest, title="")
        routing.route(tx, thread, message=message.id)
        numbers.count_received(tx, thread, message)
        return Sent(thread.key, thread.id, True)


def hide(thread_key: str, *, by: Actor) -> None:
    """The patient takes a thread out of their own lists; the practice keeps it, and an answer brings it back.

    Raises NotVisible; done twice it is done once.
    """
    with transaction(by=by, did="hide", about=thread_key, patient=by.person) as tx:
        _set_hidden(tx, thread_key, now())


def show_again(thread_key: str, *, by: Actor) -> None:
    """Undo of hide. Raises NotVisible."""
    with transaction(by=by, did="show_again", about=thread_key, patient=by.person) as tx:
        _set_hidden(tx, thread_key, None)


def _set_hidden(tx: Transaction, thread_key: str, at: datetime | None) -> None:
    thread = thread_of_patient(tx.session, thread_key, tx.by.person or 0, lock=True)
    before = before_answer(thread.before_answer or "") if is_being_sent(thread) else None
    was = before["hidden_by_patient_at"] if before else thread.hidden_by_patient_at
    tx.is_silent = (was is None) == (at is None)
    if tx.is_silent:
        return
    values: dict[str, Any] = {"hidden_by_patient_at": at}
    if before:  # until the answer that is being sent brings it back
        values = kept_before(before | values)
    # Says nothing to the staff: an open page of theirs stays true, so the version stays.
    hidden = sa.update(Thread).where(Thread.id == thread.id).values(**values, version=Thread.version)
    tx.session.execute(hidden.execution_options(synchronize_session=False))


# ---- The staff side ------------------------------------------------------------------------------


@again_if_doubled
def answer(
    thread_key: str,
    *,
    body: str,
    form_key: str,
    seen: int,
    by: Actor,
    communicator: str | None = None,
    has_undo: bool = True,
) -> Sent:
    """A member of staff answers; receives first what the patient wrote. `seen` is the id of the last message they have read.

    It is committed whole and reaches the patient after UNDO; until then recall() takes it back, and nothing else may change
    the thread's state. What does more than answer (a request's next state) `has_undo` not and reaches the patient at once.
    `communicator`: the key of the one it is from, one of theirs that has the thread (without: their first).
    Raises NotVisible, Invalid, SentBefore, and Stale when somebody wrote after `seen`: read it, then send again. Of its kind
    BeingSent, and Recalled when what was read up to, or what this form sent, was taken back.
    """
    body = clean("body", body, BODY_MAX)
    digest = _digest(thread_key, body, communicator)
    with transaction(by=by, did="answer", about=thread_key) as tx:
        thread, box = thread_of_staff(tx, thread_key)
        again = _sent_before(tx.session, by, form_key, digest)
        if again:
            return again
        must_be_filled(tx.session, body, thread.patient_id, by.person or 0)
        _must_not_be_being_sent(thread)
        newest = last_message_id(tx.session, thread.id)
        if newest != seen:
            raise Recalled("an answer was taken back") if newest < seen else Stale("somebody wrote meanwhile")
        mine = box.mine_of(thread.audience_id)
        on_behalf = next((m for m in mine if m.key == communicator), None if communicator else mine[0])
        if on_behalf is None:
            raise Invalid("communicator", "Choose one of your communicators.")
        _receive(tx, thread, up_to=seen)
        message = _write(
            tx,
            thread,
            body,
            form_key,
            digest,
            title=on_behalf.title,
            communicator=on_behalf.id,
            is_from_patient=False,
            arrives_in=UNDO if has_undo else timedelta(),
        )
        keep_before(thread, {name: getattr(thread, name) for name in BEFORE})
        move(tx, thread, Verb.ANSWER)
        thread.last_staff_message_at = message.sent_at
        numbers.count_answer(tx, thread, message)
        _waits_no_more(tx, thread)
        thread.closed_at = thread.removed_at = thread.hidden_by_patient_at = thread.duplicate_of_id = None
        thread.has_emergency_words = False
        mark(tx, thread)
        tell_of_answer(tx, thread.patient_id, thread=thread.id, message=message.id, sent_at=message.sent_at)
        return Sent(thread.key, thread.id, True)


@again_if_doubled
def start(patient_key: str, *, communicator: str, title: str, body: str, form_key: str, by: Actor) -> Sent:
    """Rule 7: a member of staff begins a thread, from one of their own communicators that is In Use.

    It begins answered and stands under Sent Items; the patient's reply puts it in the In Box.
    Raises NotVisible for an unknown patient and for oneself, NotAllowed for a locked one, Invalid, SentBefore.
    """
    title = clean("title", title, TITLE_MAX)
    body = clean("body", body, BODY_MAX)
    digest = _digest(patient_key, communicator, title, body)
    with transaction(by=by, did="start") as tx:
        again = _sent_before(tx.session, by, form_key, digest)
        if again:
            tx.about = again.thread_key
            return again
        box = _box(tx.session, by)
        patient = tx.session.scalar(sa.select(Person).where(Person.key == patient_key, Person.kind == "patient"))
        if patient is None or patient.id == box.own_patient:
            raise NotVisible
        if patient.status != AccountStatus.ACTIVE:
            raise NotAllowed("the account is locked")
        must_be_filled(tx.session, body, patient.id, by.person or 0)
        mine = next((m for m in box.mine if m.key == communicator and m.is_in_use), None)
        if mine is None:
            raise Invalid("communicator", "Choose one of your communicators that is In Use.")
        thread = Thread(
            key=new_key(),
            patient_id=patient.id,
            type=mine.type,
            title=title,
            state=ThreadState.ANSWERED,
            created_at=now() - timedelta(microseconds=1),  # so that the message is news to the patient
            is_unread=False,
            is_in_box=False,
        )
        tx.session.add(thread)
        tx.session.flush()
        message = _write(
            tx,
            thread,
            body,
            form_key,
            digest,
            title=mine.title,
            communicator=mine.id,
            is_from_patient=False,
            arrives_in=UNDO,
        )
        keep_before(thread, {name: getattr(thread, name) for name in BEFORE})
        thread.last_staff_message_at = message.sent_at
        routing.start_with(tx, thread, mine.id, message=message.id)
        tell_of_answer(tx, patient.id, thread=thread.id, message=message.id, sent_at=message.sent_at)
        tx.about, tx.patient = thread.key, patient.id
        return Sent(thread.key, thread.id, True)


def recall(thread_key: str, *, message: str, pages: tuple[str, str], by: Actor) -> tuple[bool, str]:
    """Undo of answer and start, by their author, until the message arrives: nobody sees it any more, and the thread is as it
    was. What the patient wrote meanwhile stays.

    `message`: its key; `pages`: the addresses of the pages where its text is a draft again, as an answer and as the beginning
    of a thread. Answers whether it was the latter, and the draft's key; an empty one where it was recalled before.
    Raises NotVisible, and Stale when it is too late.
    """
    with transaction(by=by, did="recall", about=thread_key) as tx:
        theirs = Message.key == message, Message.author_id == by.person
        recalled = tx.session.scalar(sa.select(Message).join(Thread).where(*theirs, Thread.key == thread_key))
        if recalled is None:
            raise NotVisible
        thread = tx.session.get_one(Thread, recalled.thread_id, with_for_update=True)
        if tx.session.get(Recall, recalled.id):
            tx.is_silent = True
            return thread.last_patient_message_at is None and thread.last_staff_message_at is None, ""
        thread_of_staff(tx, thread_key)
        if recalled.sent_at <= now():
            raise Stale("it has arrived")
        tx.session.add(Recall(message_id=recalled.id, by_id=by.person, at=now()))
        for name, value in before_answer(thread.before_answer or "").items():
            setattr(thread, name, value)
        record(tx, thread.id, Event.RECALLED, up_to=recalled.id)
        mark(tx, thread)
        untell(tx, message=recalled.id)
        numbers.uncount(tx, recalled.id)
        is_start = thread.last_patient_message_at is None and thread.last_staff_message_at is None
        values = {"communicator": _key_of(tx.session, recalled.communicator_id), "body": recalled.body}
        if is_start:
            values |= {"patient": tx.session.get_one(Person, thread.patient_id).key, "title": thread.title}
        draft = put_back(tx, recalled.author_id, about=pages[is_start], values={name: [value] for name, value in values.items()})
        files.give_back(tx.session, recalled.id, draft=draft)
        if recalled.sent_at <= now():  # it took long: the patient may be reading it
            raise Stale("it has arrived")
        return is_start, draft


def keep_reply(thread_key: str, *, key: str, about: str, values: dict[str, list[str]], seen: int | None, by: Actor) -> int:
    """Saves the draft of an answer, as save_draft does, and moves the author's own claim on: for the practice's claim time in
    business hours from now."""
    with transaction(by=by, did="save_draft", about=key) as tx:
        tx.is_silent = True  # save_draft leaves its own row
        mine = Thread.key == thread_key, Thread.claimed_by_id == by.person, Thread.claimed_until > now()
        claimed = tx.session.scalar(sa.select(Thread.id).where(*mine).with_for_update())
        if claimed:  # an open page stays true, so the version stays
            moved = sa.update(Thread).where(Thread.id == claimed).values(claimed_until=_claimed_until(tx), version=Thread.version)
            tx.session.execute(moved.execution_options(synchronize_session=False))
        return save_draft(by.person or 0, key=key, about=about, values=values, seen=seen, by=by)


def _claimed_until(tx: Transaction) -> datetime:
    practice = the_practice(tx.session)
    return business_hours_later(now(), practice.claim_hours, calendar_of(practice, tx.session))


def receive(thread_key: str, *, version: int, by: Actor) -> None:
    """Takes note of all that the patient has written so far; unread ends for everybody in charge.

    Raises NotVisible, and Stale when it changed after `version`: the first of two wins, the other is shown who did.
    """
    with transaction(by=by, did="receive", about=thread_key) as tx:
        thread = _of_staff_seen(tx, thread_key, version)
        if not can_receive(thread):
            raise Stale("received before")
        _receive(tx, thread, up_to=last_message_id(tx.session, thread.id))
        mark(tx, thread)


def close(thread_key: str, *, version: int, by: Actor) -> None:
    """No further answer is needed; receives first. A patient's reply opens it again. Raises NotVisible, Stale."""
    with transaction(by=by, did="close", about=thread_key) as tx:
        thread = _of_staff_seen(tx, thread_key, version)
        _close(tx, thread)
        record(tx, thread.id, Event.CLOSED)


def close_as_duplicate(thread_key: str, *, of: str, version: int, by: Actor) -> None:
    """Closes the thread because another one of the same patient goes on instead; both stay and link each other.

    `of`: the key of the other, which this person may see too. Raises NotVisible, Stale, and Invalid where the other cannot be it.
    """
    with transaction(by=by, did="close_as_duplicate", about=thread_key) as tx:
        # Both, in one order: of two that are closed as duplicates of each other at once the second sees the first.
        keys = sa.select(Thread.id).where(Thread.key.in_((thread_key, of))).order_by(Thread.id).with_for_update()
        tx.session.execute(keys).all()
        thread = _of_staff_seen(tx, thread_key, version)
        try:
            other, _ = thread_of_staff(tx, of)
        except NotVisible:
            raise Invalid("of", "There is no such conversation of this patient.") from None
        if other.patient_id != thread.patient_id or other.id == thread.id:
            raise Invalid("of", "There is no such conversation of this patient.")
        if other.duplicate_of_id is not None and other.state == ThreadState.CLOSED:
            raise Invalid("of", "That conversation is closed as a duplicate itself. Choose the one that goes on.")
        _close(tx, thread)
        thread.duplicate_of_id = other.id
        record(tx, thread.id, Event.DUPLICATE, words=json.dumps({"reference": reference_of(other.id)}))


def _close(tx: Transaction, thread: Thread) -> None:
    _must_not_be_being_sent(thread)
    if not can_close(thread):
        raise Stale("closed before")
    _receive(tx, thread, up_to=last_message_id(tx.session, thread.id))
    move(tx, thread, Verb.CLOSE)
    _waits_no_more(tx, thread)
    thread.has_emergency_words = False
    thread.claimed_by_id = thread.claimed_until = None
    thread.closed_at = now()
    mark(tx, thread)


def remove(thread_key: str, *, version: int, by: Actor) -> None:
    """Takes the thread out of the shared lists; the patient keeps it, its address still opens.

    Raises NotVisible, Stale, and NotAllowed while it is unread, waits for an answer, or is a correction not decided yet.
    """
    with transaction(by=by, did="remove", about=thread_key) as tx:
        thread = _of_staff_seen(tx, thread_key, version)
        _must_not_be_being_sent(thread)
        if thread.removed_at is not None:
            raise Stale("deleted before")
        if not can_remove(thread):
            waits = "waiting" if thread.state == ThreadState.WAITING else "undecided"
            raise NotAllowed("unread" if thread.is_unread else waits)
        thread.removed_at = now()
        record(tx, thread.id, Event.REMOVED)
        mark(tx, thread)


def restore(thread_key: str, *, version: int | None = None, by: Actor) -> None:
    """Undo of remove; done twice it is done once. Raises NotVisible, Stale when it changed after `version`, if given."""
    with transaction(by=by, did="restore", about=thread_key) as tx:
        thread, _ = thread_of_staff(tx, thread_key)
        if version not in (None, thread.version):
            raise Stale("it changed meanwhile")
        if thread.removed_at is not None:
            thread.removed_at = None
            record(tx, thread.id, Event.RESTORED)
            mark(tx, thread)


def reopen(thread_key: str, *, before: dict[str, Any], version: int, by: Actor) -> None:
    """Undo of close: the thread is as it was, but received. `before`: its values by column. Raises NotVisible, Stale."""
    with transaction(by=by, did="reopen", about=thread_key) as tx:
        thread = _of_staff_seen(tx, thread_key, version)
        if thread.state != ThreadState.CLOSED:
            raise Stale("open again")
        for name, value in before.items():
            setattr(thread, name, value)
        thread.closed_at = None
        record(tx, thread.id, Event.REOPENED)
        mark(tx, thread)


def take_back(thread_key: str, *, before: dict[str, Any], version: int, by: Actor) -> None:
    """Undo of entrust: the claim is whose it was before, or nobody's. Raises NotVisible, Stale."""
    with transaction(by=by, did="take_back", about=thread_key) as tx:
        thread = _of_staff_seen(tx, thread_key, version)
        for name, value in before.items():
            setattr(thread, name, value)
        _touch(tx, thread)
        record(tx, thread.id, Event.TAKEN_BACK)
        tx.session.flush()


def claim(thread_key: str, *, version: int, by: Actor) -> None:
    """The person now handling the thread, for the practice's claim time in business hours; one at a time.

    Raises NotVisible, and Stale when it changed after `version` or somebody else has claimed it.
    """
    with transaction(by=by, did="claim", about=thread_key) as tx:
        thread = _of_staff_seen(tx, thread_key, version)
        if not can_claim(thread):
            raise Stale("claimed or closed")
        _set_claim(tx, thread, by.person)
        record(tx, thread.id, Event.CLAIMED)
        tx.session.flush()


def entrust(thread_key: str, *, to: str, version: int, by: Actor) -> None:
    """Hands the thread over: the claim is now that of a colleague who has it too, for the practice's claim time from now on.

    `to`: the key of the colleague, who is told. Raises NotVisible, Stale when it changed after `version`, cannot be claimed or
    is another's, Invalid when the colleague does not have it or is away.
    """
    with transaction(by=by, did="entrust", about=thread_key) as tx:
        thread = _of_staff_seen(tx, thread_key, version)
        if not can_entrust(thread, by.person or 0):
            raise Stale("claimed or closed")
        colleague = next((one for one in colleagues_with(tx.session, thread, by.person) if one.key == to), None)
        if colleague is None or not colleague.is_present:
            raise Invalid("to", "This colleague does not have the message, or is away. Choose another one.")
        _set_claim(tx, thread, colleague.id)
        name = full_name(colleague.last_name, colleague.first_name)
        record(tx, thread.id, Event.ENTRUSTED, words=json.dumps({"name": name}, ensure_ascii=False))
        tell(tx, Occasion.ENTRUSTED, [colleague.id], thread=thread.id)
        tx.session.flush()


def colleagues_with(session: Session, thread: Any, me: int | None) -> list[Any]:
    """Who else may see the thread (a row with its audience and patient) now, by name: id, key, names, login, is_present."""
    values = {"audience": thread.audience_id, "patient": thread.patient_id, "me": me}
    return list(session.connection().execute(_COLLEAGUES, values))


_has = sa.select(AudienceCommunicator.communicator_id).where(AudienceCommunicator.audience_id == sa.bindparam("audience"))
_there = eligible(communicator=_has).subquery()
_COLLEAGUES = (
    sa.select(
        Person.id,
        Person.key,
        Person.last_name,
        Person.first_name,
        Staff.login,
        sa.func.max(_there.c.is_present).label("is_present"),
    )
    .join(Staff, Staff.id == Person.id)
    .join(_there, _there.c.staff_id == Person.id)
    .where(Person.id != sa.bindparam("me"))
    .where(sa.or_(Staff.own_patient_id.is_(None), Staff.own_patient_id != sa.bindparam("patient")))
    .group_by(Person.id, Staff.id)
    .order_by(Person.name_key, Person.id)
)


def _touch(tx: Transaction, thread: Thread) -> None:
    tx.touched.add(thread.audience_id or 0)  # 0: no list has it


def _set_claim(tx: Transaction, thread: Thread, person: int | None) -> None:
    thread.claimed_by_id = person
    thread.claimed_until = _claimed_until(tx)
    _touch(tx, thread)


def destinations_of(thread: Any) -> list[Any]:
    """To which communicators the thread can be transferred: rows of key, title and type. Not to the one that has it alone."""
    has = routing.communicators_of(db.session(), thread.audience_id)
    there = sa.select(Communicator.id, Communicator.key, Communicator.title, Communicator.type)
    there = there.where(*routing.can_be_handed(thread)).order_by(Communicator.type, Communicator.title_key)
    return [row for row in db.session.execute(there) if has != [row.id]]


def transfer(thread_key: str, *, communicator: str, reason: str, version: int, by: Actor) -> None:
    """Gives the thread to another communicator, which alone has it then: see routing.transfer. Does not receive.

    `reason`: why, up to 500 characters; staff alone see it. Raises NotVisible, Stale, Invalid.
    """
    reason = clean("reason", reason, REASON_MAX)
    with transaction(by=by, did="transfer", about=thread_key) as tx:
        routing.hold_routing_still(tx.session)
        thread = _of_staff_seen(tx, thread_key, version)
        _must_not_be_being_sent(thread)
        had = _titles(tx.session, thread)
        before = thread.audience_id
        routing.transfer(tx, thread, communicator, reason=reason)
        if thread.audience_id == before:
            raise Invalid("communicator", "It has the message already. Choose another one.")
        tx.note_change({"communicators": had}, {"communicators": _titles(tx.session, thread)})
        tx.session.flush()


def release(thread_key: str, *, version: int, by: Actor) -> None:
    """Ends one's own claim. Raises NotVisible, Stale when it changed after `version` or is not one's own."""
    with transaction(by=by, did="release", about=thread_key) as tx:
        thread = _of_staff_seen(tx, thread_key, version)
        if not is_claimed(thread) or thread.claimed_by_id != by.person:
            raise Stale("not claimed by this person")
        thread.claimed_by_id = thread.claimed_until = None
        _touch(tx, thread)
        record(tx, thread.id, Event.RELEASED)
        tx.session.flush()


def release_lost_claims(tx: Transaction, staff: Iterable[int]) -> int:
    """Releases the claims of these people on threads that are not in their box any more. Answers how many.

    Called by every verb that takes a thread from somebody; whoever lost it by the clock is met by the worker.
    """
    tx.session.flush()
    return sum(_release_lost_claims(tx, person) for person in sorted(staff))


def _release_lost_claims(tx: Transaction, person: int) -> int:
    mine = eligible(staff=person).subquery()
    audiences = sa.select(AudienceCommunicator.audience_id).where(
        AudienceCommunicator.communicator_id.in_(sa.select(mine.c.communicator_id))
    )
    lost = [Thread.claimed_by_id == person, Thread.audience_id.not_in(audiences)]
    rows = sa.select(Thread.id, sa.literal(now()), sa.literal(Event.RELEASED, History.did.type), sa.literal("")).where(*lost)
    tx.session.execute(sa.insert(History).from_select(["thread_id", "at", "did", "words"], rows))
    free = sa.update(Thread).where(*lost).values(claimed_by_id=None, claimed_until=None, version=Thread.version + 1)
    return changed(tx.session, free.execution_options(synchronize_session=False))


def claimers(session: Session) -> list[int]:
    """Everybody who has claimed something."""
    return list(session.scalars(sa.select(Thread.claimed_by_id).where(Thread.claimed_by_id.is_not(None)).distinct()))


def hand_to(thread_key: str, *, communicator: str, version: int, by: Actor) -> None:
    """An admin hands an unrouted thread on, without seeing its words. Raises NotVisible, NotAllowed, Stale, Invalid."""
    with transaction(by=by, did="hand_to", about=thread_key) as tx:
        must_be_admin(tx)
        routing.hold_routing_still(tx.session)
        thread = tx.session.scalar(sa.select(Thread).where(Thread.key == thread_key).with_for_update())
        if thread is None:
            raise NotVisible
        if thread.version != version:
            raise Stale("it changed meanwhile")
        had = _titles(tx.session, thread)
        routing.hand_to(tx, thread, communicator)
        tx.note_change({"communicators": had}, {"communicators": _titles(tx.session, thread)})
        tx.patient = thread.patient_id
        tx.session.flush()


# ---- Shared by the verbs -------------------------------------------------------------------------


def _titles(session: Session, thread: Thread) -> list[str]:
    return list(
        session.scalars(
            sa.select(Communicator.title)
            .where(Communicator.id.in_(routing.communicators_of(session, thread.audience_id)))
            .order_by(Communicator.title_key)
        )
    )


def _box(session: Session, by: Actor) -> Box:
    own = session.connection().scalar(_OWN_PATIENT, {"staff": by.person})
    return box_of(session, by.person or 0, own)


_OWN_PATIENT = sa.select(Staff.own_patient_id).where(Staff.id == sa.bindparam("staff"))


def thread_of_staff(tx: Transaction, key: str) -> tuple[Thread, Box]:
    """The thread, locked, and the box of whoever acts; its patient goes into the audit row. Raises NotVisible."""
    box = _box(tx.session, tx.by)
    thread = thread_of_box(tx.session, key, box.audiences, box.own_patient, lock=True)
    tx.patient = thread.patient_id
    return thread, box


def _of_staff_seen(tx: Transaction, key: str, version: int) -> Thread:
    thread, _ = thread_of_staff(tx, key)
    if thread.version != version:
        raise Stale("it changed meanwhile")
    return thread


def _must_not_be_being_sent(thread: Thread) -> None:
    if is_being_sent(thread):
        raise BeingSent("an answer is being sent")


def _key_of(session: Session, communicator: int | None) -> str:
    return session.scalar(sa.select(Communicator.key).where(Communicator.id == communicator)) or ""


_SENT_BEFORE = (
    sa.select(Thread.key, Thread.id, Thread.title, Message.digest, Message.body, (~STANDS).label("is_recalled"))
    .join(Thread, Thread.id == Message.thread_id)
    .where(Message.author_id == sa.bindparam("author"), Message.form_key == sa.bindparam("form_key"))
)
_NTH = (
    sa.select(Message.sent_at)
    .where(Message.author_id == sa.bindparam("author"))
    .order_by(Message.sent_at.desc())
    .offset(sa.bindparam("n"))
    .limit(1)
)
# Held until the end: an account that is locked or merged meanwhile waits for what is being sent, and finds it.
_PATIENT_AND_NTH: Any = (
    sa.select(Person.status, _NTH.scalar_subquery().label("sent_at"))
    .where(Person.id == sa.bindparam("author"))
    .with_for_update(read=True, key_share=True)
)


def _sent_before(session: Session, by: Actor, form_key: str, digest: str) -> Sent | None:
    """Rule 10: the same form gives the same thread, once; its key with other words is not dropped silently."""
    before = session.execute(_SENT_BEFORE, {"author": by.person, "form_key": form_key}).first()
    if before is None:
        return None
    if before.digest != digest:
        raise SentBefore(before.key, before.title, before.body)
    if before.is_recalled:
        raise Recalled("it was taken back")
    return Sent(before.key, before.id, False)


def was_sent(author: int | None, form_key: str, *, session: Session | None = None) -> bool:
    """Whether this form of theirs was sent before: then it is no draft any more."""
    return (session or db.session()).execute(_SENT_BEFORE, {"author": author, "form_key": form_key[:22]}).first() is not None


def _check_limit(session: Session, patient: int) -> None:
    """Raises TooMany, and NotAllowed for an account that is not active any more."""
    for limit, span in ((HOURLY, timedelta(hours=1)), (DAILY, timedelta(days=1))):
        status, oldest = session.connection().execute(_PATIENT_AND_NTH, {"author": patient, "n": limit - 1}).one()
        if status != AccountStatus.ACTIVE:
            raise NotAllowed("the account is locked")
        if oldest is None:  # nor are there as many as the larger limit
            return
        if oldest + span > now():
            raise TooMany(int((oldest + span - now()).total_seconds()) + 1)


def _check_may_take(session: Session, patient: int, by: Actor) -> None:
    """Whether a member of staff may write down what this patient said. The limits of sends are the patients' own."""
    box = _box(session, by)
    status = session.scalar(_PATIENT_HELD, {"patient": patient})
    if not box.mine or patient == box.own_patient or status is None:
        raise NotVisible
    if status != AccountStatus.ACTIVE:
        raise NotAllowed("the account is locked")


_PATIENT_HELD = (
    sa.select(Person.status)
    .where(Person.id == sa.bindparam("patient"), Person.kind == Kind.PATIENT)
    .with_for_update(read=True, key_share=True)
)


def _write(
    tx: Transaction,
    thread: Thread,
    body: str,
    form_key: str,
    digest: str,
    *,
    title: str,
    communicator: int | None = None,
    is_from_patient: bool = True,
    arrives_in: timedelta = timedelta(),
) -> Message:
    if not 1 <= len(form_key) <= 22:
        raise Invalid("key", "This form cannot be sent. Open it again.")
    message = Message(
        key=new_key(),
        thread_id=thread.id,
        author_id=tx.by.person,
        is_from_patient=is_from_patient,
        communicator_id=communicator,
        communicator_title=title,
        body=body,
        sent_at=now() + arrives_in,
        form_key=form_key,
        digest=digest,
    )
    tx.session.add(message)
    tx.session.flush()
    delete_draft(tx.session, message.author_id, form_key)
    files.send_along(tx.session, message.author_id, form_key, message=message.id)
    return message


def _check_switch(practice: Practice, kind: RequestType, *, is_by_patient: bool) -> None:
    """The menu is the patients': staff may still take a request by phone. Amendments are for nobody while they are off.

    Threads that exist go on: the practice owes an answer to what it has taken, an amendment too.
    """
    item = REQUESTED_IN[kind]
    if (is_by_patient or kind == RequestType.AMENDMENT) and not is_on(practice, item):
        raise SwitchedOff(item)


def _waits(tx: Transaction, thread: Thread, practice: Practice, *, said: list[str]) -> None:
    """The patient wrote: unread for all, and the promise's clock runs from the oldest message that has no answer."""
    at = now()
    thread.last_patient_message_at = at
    thread.is_unread = True
    thread.has_emergency_words |= bool(emergency_words_in(said, practice.emergency_words))
    if thread.waiting_since is None:
        promise(thread, at, thread.due_at or promised_by(practice, thread.type, at, session=tx.session))
    mark(tx, thread)


# By name: the table of amendments stands above.
_AMENDMENT = sa.table("amendment", sa.column("thread_id", sa.Integer), sa.column("decided_at"), sa.column("state", sa.String))


def _waits_no_more(tx: Transaction, thread: Thread) -> None:
    """Answered or closed: nothing is promised any more, but for the decision on an amendment, which is owed until it is made."""
    due = None
    if thread.type == RequestType.AMENDMENT:
        owed = _AMENDMENT.c.thread_id == thread.id, _AMENDMENT.c.decided_at.is_(None), _AMENDMENT.c.state != "cancelled"
        due = thread.due_at if tx.session.scalar(sa.select(sa.literal(1)).where(*owed)) else None
    promise(thread, None, due)


def _waits_before_answer(thread: Thread) -> None:
    """The same for an answer that is being sent: the patient sees, and Undo brings back, that the thread waits."""
    before = before_answer(thread.before_answer or "")
    if before["waiting_since"] is None:
        before |= {"waiting_since": thread.waiting_since, "due_at": thread.due_at}
    words = before["has_emergency_words"] or thread.has_emergency_words
    gone = dict.fromkeys(("closed_at", "removed_at", "hidden_by_patient_at"))
    keep_before(thread, before | gone | {"state": thread.state, "has_emergency_words": words})


def promised_by(practice: Practice, kind: RequestType, at: datetime, *, session: Session | None = None) -> datetime:
    """By when (naive UTC) the practice answers, or decides on an amendment, what is sent at `at` (naive UTC)."""
    if kind == RequestType.AMENDMENT:
        last = local_day(at, practice.time_zone) + timedelta(days=practice.amendment_days)
        return end_of_day(last, practice.time_zone)
    return due_at(at, business_days=promise_days(practice, kind), calendar=calendar_of(practice, session))


def _receive(tx: Transaction, thread: Thread, *, up_to: int) -> None:
    """Whoever answers, closes or receives has taken note: nothing that is answered or closed stays unread, or unrouted."""
    if thread.is_unread:
        thread.is_unread = False
        record(tx, thread.id, Event.RECEIVED, up_to=up_to)
    thread.unrouted_since = None


def _texts(fields: dict[str, Any]) -> list[str]:
    return [value for value in fields.values() if isinstance(value, str)]


def _digest(*said: Any) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()
