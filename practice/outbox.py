"""Notices: who is to be told that something waits. The rows are committed with what caused them; the row is the only queue."""

import logging
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from practice.calendar import at_local, local_day
from practice.db import Actor, Model, Transaction, changed, choice, db, delete_some, new_key, now, transaction
from practice.people import AccountStatus, NoticePreference, Patient, Person, Staff, must_be_admin
from practice.proofs import EmailProof
from practice.settings import Practice

log = logging.getLogger("portal.worker")


class Undeliverable(Exception):
    """No later try would change it: the server refused for good, or it cannot be written as a mail."""


LEASE = timedelta(minutes=2)
BACK_OFF = [timedelta(minutes=m) for m in (1, 5, 15, 60, 240)]
KEPT = timedelta(days=30)
DEAD_KEPT = timedelta(days=90)
MORNING = time(8)  # when the day's mail leaves, by the practice's clock
REMINDED = timedelta(hours=40)  # before an appointment at most: from that morning to the end of the next day
_CHANCE = random.SystemRandom()
TOGETHER = 50  # notices told in one mail


class Occasion(StrEnum):
    WAITING = "waiting"  # to staff: a patient wrote to a communicator of yours
    MENTIONED = "mentioned"  # to staff: a colleague's note is meant for you
    ANSWERED = "answered"  # to the patient
    ENTRUSTED = "entrusted"  # to a member of staff: a colleague handed something over to you
    UNROUTED = "unrouted"  # to admins: nobody can receive it
    OVERDUE = "overdue"  # to staff: a promise of yours has passed
    ESCALATED = "escalated"  # to admins: it has, and it was not mended
    UNREAD = "unread"  # to its author: the patient has not opened what you wrote
    REMINDER = "reminder"  # to the patient: an appointment is tomorrow
    PASSWORD = "password"  # to whoever has the account: its password was changed
    RESET = "reset"  # to whoever has the account: a link to choose another password
    SECOND_STEP = "second_step"  # to whoever has the account: the second step of the log-in was set up, changed or taken away
    RECOVERY = "recovery"  # to whoever has the account: somebody came in with a recovery code
    INVITATION = "invitation"  # to who is invited: a link to choose the first password
    REGISTRATION = "registration"  # to an address that somebody registers with: a link that proves it
    HAS_ACCOUNT = "has_account"  # to whoever has it: somebody wanted to register with this address, or to change to it
    EMAIL_ASKED = "email_asked"  # to whoever has the account: another address was named for it
    NEW_EMAIL = "new_email"  # to that address: a link that proves it
    EMAIL_CHANGED = "email_changed"  # to the address before: the account has another one now
    LOCKED = "locked"  # to the patient: nobody logs in with the account any more
    UNLOCKED = "unlocked"  # to the patient: it is open again
    MATCHED = "matched"  # to the patient: the practice knows now whose account it is
    ASKED = "asked"  # to the patient: it does not, and asks
    TO_MATCH = "to_match"  # to admins: somebody has registered
    SEVERAL = "several"  # a mail to staff that tells of more than one of these; no notice is of it


TRAYS = frozenset({Occasion.UNROUTED, Occasion.ESCALATED, Occasion.TO_MATCH})
"""To admins, whatever they wish: who wants no mails has them in the morning's, since nobody else may know."""
ACCOUNT = frozenset(
    {
        Occasion.PASSWORD,
        Occasion.RESET,
        Occasion.SECOND_STEP,
        Occasion.RECOVERY,
        Occasion.INVITATION,
        Occasion.REGISTRATION,
        Occasion.HAS_ACCOUNT,
        Occasion.EMAIL_ASKED,
        Occasion.NEW_EMAIL,
        Occasion.EMAIL_CHANGED,
        Occasion.LOCKED,
        Occasion.UNLOCKED,
        Occasion.MATCHED,
        Occasion.ASKED,
    }
)
"""Of the account itself: told at once, whatever somebody wishes."""
MESSAGE_BOX = frozenset(Occasion) - TRAYS - ACCOUNT - {Occasion.ANSWERED, Occasion.REMINDER}
"""To staff as each wishes: of what is found in the Message Box, told together in one mail, and to those who may see it."""
TOLD_WHILE = {Occasion.INVITATION: AccountStatus.INVITED, Occasion.LOCKED: AccountStatus.LOCKED}
"""The status of an account whose owner is told; of all others: active."""
PROVES = frozenset({Occasion.REGISTRATION, Occasion.NEW_EMAIL})


def told_with(occasion: Occasion) -> frozenset[Occasion]:
    """The occasions that stand together with this one in a mail: they lead to the same place."""
    return MESSAGE_BOX if occasion in MESSAGE_BOX else frozenset({occasion})


def occasion_of(told: Iterable[Occasion]) -> Occasion:
    """What a mail is about that brings notices of these occasions."""
    occasions = set(told)
    return occasions.pop() if len(occasions) == 1 else Occasion.SEVERAL


class NoticeState(StrEnum):
    WAITING = "waiting"
    LEASED = "leased"
    SENT = "sent"
    DEAD = "dead"


class Notice(Model):
    """One row for each person and occasion. `email`: where it goes, if not to the person's address; without a person it goes to
    whoever has that mailbox. `proof_id`: what its link proves."""

    __tablename__ = "outbox"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(22), unique=True)  # becomes the Message-ID
    occasion: Mapped[Occasion] = mapped_column(choice(Occasion, is_checked=False))
    person_id: Mapped[int | None] = mapped_column(sa.ForeignKey("person.id"))
    email: Mapped[str | None] = mapped_column(sa.String(254))
    proof_id: Mapped[int | None] = mapped_column(sa.ForeignKey("email_proof.id"), index=True)
    # None for what is about the account itself.
    thread_id: Mapped[int | None] = mapped_column(sa.ForeignKey("thread.id"))
    message_id: Mapped[int | None] = mapped_column(sa.ForeignKey("message.id"))
    state: Mapped[NoticeState] = mapped_column(choice(NoticeState))
    attempts: Mapped[int]
    next_at: Mapped[datetime]
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    __table_args__ = (
        sa.UniqueConstraint("message_id", "person_id", "occasion"),
        sa.Index(
            "ix_outbox_due",
            "next_at",
            sqlite_where=sa.text("state IN ('waiting', 'leased')"),
            postgresql_where=sa.text("state IN ('waiting', 'leased')"),
        ),
        sa.Index("ix_outbox_sent", "sent_at"),
        sa.Index("ix_outbox_dead", "id", sqlite_where=sa.text("state = 'dead'"), postgresql_where=sa.text("state = 'dead'")),
    )


_INSERT = Notice.__table__.insert()  # type: ignore[attr-defined]


def tell(
    tx: Transaction,
    occasion: Occasion,
    people: Iterable[int],
    *,
    thread: int | None = None,
    message: int | None = None,
    at: datetime | None = None,
) -> None:
    """Queues a notice for each of `people` in the transaction that causes it, due `at` a moment (naive UTC; without: at once).

    A person is told once of an occasion; staff as each wishes: at once, in the next morning's mail, or not at all.
    """
    told = list(people)
    wishes = dict(tx.session.connection().execute(_WISHES_OF_STAFF, {"people": told}).all()) if told else {}
    due = {one: _due(tx.session, occasion, wishes.get(one, NoticePreference.EACH), at or now()) for one in told}
    _queue(tx, [(occasion, person, when) for person, when in due.items() if when], thread, message)


def tell_address(tx: Transaction, occasion: Occasion, person: int | None, *, email: str, proof: int | None = None) -> None:
    """Queues a notice of an account to this address, whichever the person has. `person` None: who registers has no account."""
    at = now()
    queued = Notice(key=new_key(), occasion=occasion, person_id=person, email=email, proof_id=proof, created_at=at, next_at=at)
    queued.state, queued.attempts = NoticeState.WAITING, 0
    tx.session.add(queued)
    tx.commit.has_notices = True


def take_back(session: sa.orm.Session, occasion: Occasion, person: int) -> int:
    """What a person was to be told of the account is not so any more: notices that still wait are gone. Answers how many."""
    waits = Notice.person_id == person, Notice.occasion == occasion, Notice.state == NoticeState.WAITING
    return changed(session, sa.delete(Notice).where(*waits))


_WISHES_OF_STAFF = sa.select(Staff.id, Staff.notices).where(
    Staff.id.in_(sa.bindparam("people", expanding=True)), Staff.notices != NoticePreference.EACH
)


def _due(session: sa.orm.Session, occasion: Occasion, wish: NoticePreference, at: datetime) -> datetime | None:
    """When somebody with this wish is told of what is due `at` a moment; None: not at all."""
    if wish == NoticePreference.EACH or occasion in ACCOUNT:
        return at
    if wish == NoticePreference.NONE and occasion not in TRAYS:
        return None
    return next_morning(session, after=at)


def as_wished(session: sa.orm.Session, occasion: Occasion, wish: Any, at: datetime) -> tuple[Any, Any]:
    """The same for an INSERT that tells many at once: by the column of their wish, when, and a condition that they are told."""
    in_the_morning = sa.literal(next_morning(session, after=at))
    is_told = sa.true() if occasion in TRAYS else wish != NoticePreference.NONE
    return sa.case((wish == NoticePreference.EACH, sa.literal(at)), else_=in_the_morning), is_told


def _queue(tx: Transaction, told: list[tuple[Occasion, int, datetime]], thread: int | None, message: int | None) -> None:
    rows = [
        {
            "key": new_key(),
            "occasion": occasion,
            "person_id": person,
            "thread_id": thread,
            "message_id": message,
            "state": NoticeState.WAITING,
            "attempts": 0,
            "next_at": at,
            "created_at": now(),
        }
        for occasion, person, at in told
    ]
    if rows:
        tx.session.connection().execute(_INSERT, rows)
        tx.commit.has_notices = True


def tell_of_answer(tx: Transaction, patient: int, *, thread: int, message: int, sent_at: datetime) -> None:
    """Queues the notice that an answer waits, as the patient wishes: when it arrives (`sent_at`, naive UTC), in the next
    morning's mail, or none; and to its author that it stays unread, for the day the practice's setting says: it falls when the
    patient has opened it by then."""
    whose = {"patient": patient, "author": tx.by.person}
    wish, days, own_wish = tx.session.connection().execute(_WISHES, whose).one()
    told = [(Occasion.ANSWERED, patient, _due(tx.session, Occasion.ANSWERED, wish, sent_at))]
    if days and tx.by.person:
        late = sent_at + timedelta(days=days)
        told.append((Occasion.UNREAD, tx.by.person, _due(tx.session, Occasion.UNREAD, own_wish, late) if own_wish else late))
    _queue(tx, [(occasion, person, due) for occasion, person, due in told if due], thread, message)


def untell(tx: Transaction, *, message: int) -> None:
    """The answer was recalled before anybody was told of it."""
    tx.session.execute(sa.delete(Notice).where(Notice.message_id == message, Notice.occasion.in_(OF_AN_ANSWER)))


def remind(tx: Transaction, patient: int, *, thread: int, at: datetime) -> None:
    """Queues the mail that reminds a patient of an appointment, unless they want none. One that is off, or at another time,
    is let fall when it is to leave."""
    if tx.session.scalar(sa.select(Patient.notices).where(Patient.id == patient)) != NoticePreference.NONE:
        _queue(tx, [(Occasion.REMINDER, patient, at)], thread, None)


_unread_days = sa.select(Practice.unread_days).scalar_subquery()
_own_wish = sa.select(Staff.notices).where(Staff.id == sa.bindparam("author")).scalar_subquery()
_WISHES = sa.select(Patient.notices, _unread_days, _own_wish).where(Patient.id == sa.bindparam("patient"))


def next_morning(session: sa.orm.Session, *, after: datetime | None = None) -> datetime:
    """The next time (naive UTC; `after` a moment, without: the present) that clocks in the practice show eight in the morning."""
    after = after or now()
    zone = session.scalar(sa.select(Practice.time_zone)) or "UTC"
    today = local_day(after, zone)
    at = at_local(today, MORNING, zone)
    return at if at > after else at_local(today + timedelta(days=1), MORNING, zone)


# By name, as below. An answer that is being sent is told of when it arrives, not before.
_M = sa.table("message", sa.column("id", sa.Integer), sa.column("sent_at", sa.DateTime)).c
_arrives = sa.select(_M.sent_at).where(_M.id == Notice.message_id).correlate(Notice).scalar_subquery()


def wish_changed(session: sa.orm.Session, person: int, wish: NoticePreference) -> None:
    """What waits to be told follows a new wish; what is not due before the morning stays for its day."""
    theirs = [Notice.person_id == person, Notice.occasion.not_in(ACCOUNT)]
    if wish == NoticePreference.NONE:  # also what a worker that died has leased: nobody is to send it again
        session.execute(sa.delete(Notice).where(*theirs, Notice.occasion.not_in(TRAYS), _IS_OPEN))
    at = now() if wish == NoticePreference.EACH else next_morning(session)
    soon = Notice.state == NoticeState.WAITING, Notice.next_at <= next_morning(session), Notice.occasion != Occasion.REMINDER
    session.execute(sa.update(Notice).where(*theirs, *soon).values(next_at=sa.case((_arrives > at, _arrives), else_=at)))


@dataclass(frozen=True)
class Leased:
    """A mail to be sent. `key` becomes its Message-ID; `ids`: the notices that it brings; `threads`: what they are about;
    `until`: when the lease ends, by which its holder knows it; `person`: None who registers; `proof`: what its link proves."""

    ids: list[int]
    key: str
    occasion: Occasion
    person: int | None
    email: str
    threads: list[int]
    until: datetime
    proof: int | None = None


_IS_OPEN = sa.text("state IN ('waiting', 'leased')")
_IS_KNOWN = Notice.occasion.in_(list(Occasion))  # what a newer release told of waits for its worker, and holds nobody up
_DUE = (
    sa.select(Notice.id)
    .join(Person, Person.id == Notice.person_id)
    .where(_IS_OPEN, Notice.next_at <= sa.bindparam("at"), _IS_KNOWN)
    .order_by(Notice.next_at)
    .limit(1)
    # The person too: while one worker gathers what goes in their mail, no other begins a second one.
    .with_for_update(skip_locked=True, key_share=True)
)

_DUE_TO_NOBODY = (  # to who registers; a query of its own, since what is there or not cannot be held
    sa.select(Notice.id)
    .where(_IS_OPEN, Notice.next_at <= sa.bindparam("at"), _IS_KNOWN, Notice.person_id.is_(None))
    .order_by(Notice.next_at)
    .limit(1)
    .with_for_update(skip_locked=True)
)


# By name: threads and messages are read by nobody down here. An answer that was opened, or taken back, needs no mail any more.
_OPENED = sa.text(
    "SELECT outbox.id FROM outbox JOIN thread ON thread.id = outbox.thread_id JOIN message ON message.id = outbox.message_id"
    " WHERE outbox.id IN :ids AND (thread.patient_read_at >= message.sent_at"
    " OR EXISTS (SELECT 1 FROM recall WHERE recall.message_id = message.id))"
).bindparams(sa.bindparam("ids", expanding=True))


Sees = Callable[[sa.orm.Session, int, int], bool]
"""Whether a person, by the id, may see a thread on the staff side now."""
OF_AN_ANSWER = {Occasion.ANSWERED, Occasion.UNREAD}  # let fall when the patient has opened it
# What somebody did meanwhile: received it, answered it, handed it to those who can receive, or took back what was handed over.
_MENDED = sa.text(
    "SELECT outbox.id FROM outbox JOIN thread ON thread.id = outbox.thread_id WHERE outbox.id IN :ids"
    " AND (outbox.occasion = 'waiting' AND NOT thread.is_unread OR outbox.occasion = 'unrouted' AND thread.unrouted_since IS NULL"
    " OR outbox.occasion IN ('overdue', 'escalated') AND thread.due_at IS NULL"
    " OR outbox.occasion = 'reminder' AND NOT EXISTS (SELECT 1 FROM appointment_request a WHERE a.thread_id = thread.id"
    " AND a.state = 'confirmed' AND a.starts_at > :now AND a.starts_at <= :soon)"
    " OR outbox.occasion = 'entrusted' AND coalesce(thread.claimed_by_id, 0) != outbox.person_id)"
).bindparams(sa.bindparam("ids", expanding=True), *(sa.bindparam(name, type_=Notice.next_at.type) for name in ("now", "soon")))


def lease(session: sa.orm.Session, sees: Sees) -> Leased | None:
    """Takes what is due next for two minutes; whoever dies meanwhile loses it to the next worker. None: nothing is due.

    All that a person is to be told of now and that leads to the same place goes in one mail. Who has no active account any more
    is told nothing; nobody is told of an answer that was opened or taken back meanwhile, of what somebody received, answered or
    handed on, of no appointment that is off, no staff of what they may not see any more.
    """
    at = now()
    notice = session.get(Notice, session.scalar(_DUE, {"at": at}) or session.scalar(_DUE_TO_NOBODY, {"at": at}) or 0)
    if notice is None:
        return None
    is_alone = notice.occasion == Occasion.PASSWORD or notice.email is not None
    together = [notice] if is_alone else _in_one_mail(session, notice, at)
    if notice.attempts > len(BACK_OFF):  # leased for the last time, and whoever had it died of it or with it
        for one in together:
            one.state = NoticeState.DEAD
        return Leased([], "", notice.occasion, notice.person_id, "", [], at)
    for one in together:
        one.state, one.next_at = NoticeState.LEASED, at + LEASE
        one.attempts += 1
    session.flush()
    has_ended = notice.occasion in PROVES and _turn_to_owner(session, notice)
    person = session.get_one(Person, notice.person_id) if notice.person_id else None
    if has_ended or (person and person.status != TOLD_WHILE.get(notice.occasion, AccountStatus.ACTIVE)):
        is_of_its_time = has_ended or notice.occasion in TOLD_WHILE  # an invitation that was accepted is missed by nobody
        for one in together:
            if is_of_its_time:
                session.delete(one)
            else:
                one.state = NoticeState.DEAD
        together = []
    gone = set(session.scalars(_OPENED, {"ids": [one.id for one in together if one.occasion in OF_AN_ANSWER]}))
    gone |= set(session.scalars(_MENDED, {"ids": [one.id for one in together], "now": at, "soon": at + REMINDED}))
    gone |= {
        n.id
        for n in together
        if n.occasion in MESSAGE_BOX and n.id not in gone and not sees(session, n.person_id or 0, n.thread_id or 0)
    }
    for one in together:
        if one.id in gone:
            session.delete(one)
    left = [one for one in together if one.id not in gone]
    threads = list(dict.fromkeys(one.thread_id for one in left if one.thread_id is not None))
    return Leased(
        [one.id for one in left],
        left[0].key if left else "",
        occasion_of(n.occasion for n in left or [notice]),
        notice.person_id,
        notice.email or (person.email if person else ""),
        threads,
        at + LEASE,
        notice.proof_id,
    )


def _turn_to_owner(session: sa.orm.Session, notice: Notice) -> bool:
    """Where the address has an account, its owner is told that instead, or invited where that was not accepted yet: nobody but
    who has the mailbox learns it. Answers whether nothing is to be sent: what it proves was replaced or used."""
    proof = session.get(EmailProof, notice.proof_id or 0, with_for_update=True)
    if proof is None or proof.ended_at:
        return True
    owner = session.scalar(sa.select(Person).where(Person.email_key == proof.email_key))
    if owner is None:
        return False
    proof.ended_at = now()
    notice.person_id, notice.email = owner.id, None
    is_invited = owner.status == AccountStatus.INVITED and notice.occasion == Occasion.REGISTRATION
    notice.occasion = Occasion.INVITATION if is_invited else Occasion.HAS_ACCOUNT
    return False


def _in_one_mail(session: sa.orm.Session, notice: Notice, at: datetime) -> list[Notice]:
    """What goes with a notice, itself too: all that is due to the person, leads to the same place, and was never tried.

    Of a mail that was tried before the very same again: whoever has got it knows it by its Message-ID, that of the first.
    """
    when = Notice.next_at == notice.next_at if notice.attempts else Notice.next_at <= at
    same = (
        Notice.person_id == notice.person_id,
        Notice.occasion.in_(told_with(notice.occasion)),
        Notice.attempts == notice.attempts,
    )
    found = sa.select(Notice).where(_IS_OPEN, when, *same).order_by(Notice.id).limit(TOGETHER)
    return list(session.scalars(found.with_for_update(skip_locked=True)))


def send_leased(session: sa.orm.Session, leased: Leased, send: Callable[[Leased], None]) -> None:
    """Sends outside any transaction and marks the rows: sent, to be tried again, or dead after the sixth try or at once
    where no other would help. A mail that we fail to write is one that was not taken: the next one leaves. A row that another
    worker has taken meanwhile, since the lease had run out, is left to it."""
    if not leased.ids:
        return
    is_sent = is_dead = False
    try:
        send(leased)
        is_sent = True
    except Undeliverable:
        is_dead = True
    except OSError:
        pass
    except sa.exc.DBAPIError:
        raise  # not of this mail
    except Exception as error:
        log.error("a mail could not be made (%s)", type(error).__name__, exc_info=error)
    later = 1 + _CHANCE.random() / 10  # so that not all that waited for a server come back at once
    at = now()  # the same for all of one mail: they stay together
    # No two leases of a row end at the same moment: the second begins when the first has ended.
    is_mine = Notice.state == NoticeState.LEASED, Notice.next_at == leased.until
    mine = sa.select(Notice).where(Notice.id.in_(leased.ids), *is_mine).order_by(Notice.id).with_for_update()
    for notice in session.scalars(mine):
        if is_sent:
            notice.state, notice.sent_at = NoticeState.SENT, at
        else:
            is_over = is_dead or notice.attempts > len(BACK_OFF)
            notice.state = NoticeState.DEAD if is_over else NoticeState.WAITING
            notice.next_at = at + BACK_OFF[min(notice.attempts, len(BACK_OFF)) - 1] * later


# ---- What was not sent ---------------------------------------------------------------------------

MOST_DEAD = 100  # shown at once
LATE = timedelta(minutes=10)  # so long after its time a notice is not sent because nobody sends, or nobody takes it
_DEAD = sa.text("state = 'dead'")
_IS_MISSED = Person.status == sa.case(
    *((Notice.occasion == occasion, sa.literal(status, Person.status.type)) for occasion, status in TOLD_WHILE.items()),
    else_=sa.literal(AccountStatus.ACTIVE, Person.status.type),
)


def dead_notices() -> list[Any]:
    """Notices that nobody got, the newest first: key, occasion, when it was queued, how often it was tried, and for whom. Of
    people without an active account none is told, and none is shown."""
    email = sa.func.coalesce(Notice.email, Person.email).label("email")
    columns = Notice.key, Notice.occasion, Notice.created_at, Notice.attempts, Person.last_name, Person.first_name, email
    dead = sa.select(*columns).join(Person, Person.id == Notice.person_id).where(sa.text("outbox.state = 'dead'"))
    dead = dead.where(_IS_MISSED).order_by(Notice.id.desc()).limit(MOST_DEAD)
    return list(db.session.execute(dead))


def late_since() -> datetime | None:
    """Since when a notice waits that should have left LATE ago; None: all leave on time."""
    oldest = sa.select(sa.func.min(Notice.next_at)).where(_IS_OPEN, Notice.attempts == 0, Notice.next_at <= now() - LATE)
    return db.session.scalar(oldest)


def try_again(key: str = "", *, by: Actor) -> int:
    """An admin has a notice that is dead tried anew, or (without a key) all of them. Answers how many. Raises NotAllowed."""
    with transaction(by=by, did="try_notices_again") as tx:
        must_be_admin(tx)
        missed = sa.exists().where(Person.id == Notice.person_id, _IS_MISSED)
        dead = sa.update(Notice).where(_DEAD, missed, *([Notice.key == key] if key else []))
        done = changed(tx.session, dead.values(state=NoticeState.WAITING, attempts=0, next_at=now()))
        tx.details["notices"] = done
        tx.commit.has_notices = tx.commit.has_notices or done > 0
        tx.is_silent = not done
        return done


def hurry_up(session: sa.orm.Session) -> int:
    """What was tried by a clock that was ahead is due again at some time of that clock: it is tried now. Answers how many."""
    ahead = Notice.attempts > 0, Notice.next_at > now() + 2 * BACK_OFF[-1]
    return changed(session, sa.update(Notice).where(_IS_OPEN, *ahead).values(next_at=now()))


def forget_sent(session: sa.orm.Session) -> int:
    """Deletes rows sent more than 30 days ago. Answers how many."""
    return delete_some(session, Notice, Notice.sent_at < now() - KEPT)


def forget_dead(session: sa.orm.Session) -> int:
    """Deletes those given up that nobody tried again for 90 days. Answers how many."""
    return delete_some(session, Notice, _DEAD, Notice.created_at < now() - DEAD_KEPT)
