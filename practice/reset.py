"""A new password for who has forgotten theirs: anybody may ask; it is chosen by whoever gets the mail that follows."""

from datetime import timedelta

import sqlalchemy as sa

from practice.db import SYSTEM, Actor, changed, db, new_key, now, transaction
from practice.links import LinkEnded, Purpose, end_ways_in, make_link, person_with_link, use_link
from practice.outbox import Notice, NoticeState, Occasion, Undeliverable, tell
from practice.own_account import must_be_hard_to_guess
from practice.people import AccountStatus, Kind, Person, check_password, email_key, hash_password
from practice.sessions import end_sessions_of
from practice.throttle import Guessed, open_again

MOST = 3  # mails to one address
WITHIN = timedelta(hours=1)


def ask_for_link(email: str, *, by: Actor) -> None:
    """Queues the mail to the active account of this address, at most 3 an hour. The link is made when it leaves (`link_for`).

    Answers nothing, and runs the same statements for every address: nobody learns from it whether there is an account.
    """
    with transaction(by=by, did="ask_for_reset") as tx:
        account = sa.select(Person.id, Person.key, Person.kind).where(Person.email_key == email_key(email))
        # Held, so that who asks many times at once is counted. Whoever writes rows that point to the person need not wait.
        person = tx.session.execute(account.with_for_update(key_share=True)).first()
        at = now()
        of_account = Notice.message_id.is_(None), Notice.person_id == Person.id, Notice.occasion == Occasion.RESET
        asked = sa.select(sa.func.count()).where(*of_account, Notice.created_at > at - WITHIN)
        row = {
            "key": sa.literal(new_key()),
            "occasion": sa.literal(Occasion.RESET, Notice.occasion.type),
            "person_id": Person.id,
            "state": sa.literal(NoticeState.WAITING, Notice.state.type),
            "attempts": sa.literal(0),
            "next_at": sa.literal(at),
            "created_at": sa.literal(at),
        }
        told = sa.select(*row.values()).where(Person.id == (person.id if person else 0), Person.status == AccountStatus.ACTIVE)
        told = told.where(asked.correlate(Person).scalar_subquery() < MOST)
        queued = sa.insert(Notice).from_select(list(row), told).execution_options(preserve_rowcount=True)
        tx.details["notices"] = changed(tx.session, queued)
        tx.commit.has_notices = True
        if person:
            tx.about, tx.patient = person.key, person.id if person.kind == Kind.PATIENT else None


def link_for(person: int, *, token: str = "") -> str:
    """The secret of a fresh link, made as its mail leaves: no request has it, and what waits to be sent holds none. Older ones
    end. `token` as in make_link. Raises Undeliverable when the account (an id) is not active any more.
    """
    with transaction(by=SYSTEM, did="make_reset_link") as tx:
        found = tx.session.get_one(Person, person, with_for_update=True)
        if found.status != AccountStatus.ACTIVE:
            raise Undeliverable("the account is not active")
        tx.about, tx.patient = found.key, found.id if found.kind == Kind.PATIENT else None
        return make_link(tx, person, Purpose.RESET, token=token)


def person_to_reset(token: str) -> Person:
    """Whose password may be chosen by this link. Changes nothing. Raises LinkEnded."""
    person = db.session.get_one(Person, person_with_link(db.session(), token, Purpose.RESET))
    if person.status != AccountStatus.ACTIVE:
        raise LinkEnded
    return person


def reset_password(token: str, *, password: str, address: str | None = None) -> None:
    """Another password, from a network `address`. All sessions of the person end, what guessing had shut is
    open, the address is told; logs nobody in.

    Raises LinkEnded, Invalid for a password that is too short, too long or easy to guess.
    """
    person = person_to_reset(token)
    check_password(password)
    must_be_hard_to_guess(password, person)
    hashed = hash_password(password)  # slow: not while anybody waits for a lock
    by = Actor(person.id, person.name, address=address)
    with transaction(by=by, did="reset_password", about=person.key) as tx:
        held = tx.session.get_one(Person, person.id, with_for_update=True)  # first, as whoever makes or ends links does
        if held.status != AccountStatus.ACTIVE or use_link(tx, token, Purpose.RESET) != held.id:
            raise LinkEnded
        held.password_hash = hashed
        tx.patient = held.id if held.kind == Kind.PATIENT else None
        end_sessions_of(tx.session, held.id)
        open_again(tx, Guessed.PASSWORD, held.email)
        end_ways_in(tx.session, held.id)
        tell(tx, Occasion.PASSWORD, [held.id])
