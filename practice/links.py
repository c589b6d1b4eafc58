"""Links that work once: who opens one is the person it was made for. Kept hashed, short-lived, bound to a purpose."""

import re
import secrets
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from practice.db import Model, Transaction, changed, choice, delete_some, now
from practice.errors import Refused
from practice.people import token_hash
from practice.proofs import end_proofs


class Purpose(StrEnum):
    INVITATION = "invitation"  # to choose the first password
    RESET = "reset"  # to choose another one


LASTS = {Purpose.INVITATION: timedelta(hours=72), Purpose.RESET: timedelta(minutes=30)}
KEPT = timedelta(days=30)  # a link that ended is kept for so long


class OneTimeLink(Model):
    __tablename__ = "one_time_link"
    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"), index=True)
    purpose: Mapped[Purpose] = mapped_column(choice(Purpose, is_checked=False))
    token_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    created_at: Mapped[datetime]
    ends_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]


class LinkEnded(Refused):
    """Used, late, replaced by a newer one, of another purpose or never made: nobody is told which."""

    status = 400


def make_link(tx: Transaction, person: int, purpose: Purpose, *, token: str = "") -> str:
    """The secret of a new link; kept nowhere but in this answer. The person's older ones of this purpose end.

    `token`: the secret itself, where somebody else has to know it too (the page of the demo that shows mails).
    """
    end_links(tx.session, person, purpose)
    if token:  # its mail leaves once more
        tx.session.execute(sa.delete(OneTimeLink).where(OneTimeLink.token_hash == token_hash(token)))
    token, at = token or secrets.token_urlsafe(32), now()
    tx.session.add(
        OneTimeLink(person_id=person, purpose=purpose, token_hash=token_hash(token), created_at=at, ends_at=at + LASTS[purpose])
    )
    return token


def end_links(session: Session, person: int, purpose: Purpose) -> int:
    """Whatever was given out for this purpose works no more. Answers how many still worked."""
    of_them = OneTimeLink.person_id == person, OneTimeLink.purpose == purpose, OneTimeLink.used_at.is_(None)
    return changed(session, sa.update(OneTimeLink).where(*of_them, OneTimeLink.ends_at > now()).values(ends_at=now()))


def end_ways_in(session: Session, person: int) -> None:
    """Another password, address, role or status: what was given out before to choose another password or address is void."""
    end_links(session, person, Purpose.RESET)
    end_proofs(session, person)


def person_with_link(session: Session, token: str, purpose: Purpose) -> int:
    """Whose link this is (an id). Changes nothing. Raises LinkEnded."""
    person = session.scalar(sa.select(OneTimeLink.person_id).where(*_works(token, purpose)))
    if person is None:
        raise LinkEnded
    return person


def use_link(tx: Transaction, token: str, purpose: Purpose) -> int:
    """The same, and the link is used up; of two at the same moment one wins. Raises LinkEnded."""
    person = person_with_link(tx.session, token, purpose)
    if not changed(tx.session, sa.update(OneTimeLink).where(*_works(token, purpose)).values(used_at=now())):
        raise LinkEnded
    return person


def _works(token: str, purpose: Purpose) -> tuple[sa.ColumnElement[bool], ...]:
    is_one = re.fullmatch(r"[A-Za-z0-9_-]{43}", token) is not None  # the hash of nothing is asked for nowhere
    known = OneTimeLink.token_hash == token_hash(token) if is_one else sa.false()
    return known, OneTimeLink.purpose == purpose, OneTimeLink.used_at.is_(None), OneTimeLink.ends_at > now()


def forget_ended(session: Session) -> int:
    """Deletes links that ended more than 30 days ago. Answers how many."""
    return delete_some(session, OneTimeLink, OneTimeLink.ends_at < now() - KEPT)
