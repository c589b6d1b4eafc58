"""Addresses that somebody says are theirs, until a link sent there has proven it: of who registers, and of who changes theirs."""

import re
import secrets
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from practice.db import BATCH, Model, Transaction, changed, now
from practice.errors import TooMany
from practice.people import email_key, token_hash

LASTS = timedelta(hours=72)  # from when its mail leaves
WITHIN = timedelta(hours=1)
MOST = 3  # mails to one address
MOST_OF_ONE = 30  # asked for from one address of the network, or by one person


class EmailProof(Model):
    """One row for each time that somebody asks; `token_hash` from when its mail leaves."""

    __tablename__ = "email_proof"
    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int | None] = mapped_column(sa.ForeignKey("person.id"), index=True)  # None: of who registers
    email: Mapped[str] = mapped_column(sa.String(254))
    email_key: Mapped[str] = mapped_column(sa.String(254))
    said: Mapped[str] = mapped_column(sa.Text)  # JSON: what who registers says about themselves
    token_hash: Mapped[str | None] = mapped_column(sa.String(64), unique=True)
    address: Mapped[str | None] = mapped_column(sa.String(45))  # of the network, from where it was asked
    created_at: Mapped[datetime]
    ends_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None]  # used, replaced by a newer one, or over the limit
    __table_args__ = (sa.Index(None, "email_key", "created_at"), sa.Index(None, "address", "created_at"))


def hold_proofs_still(session: Session) -> None:
    """One at a time asks, so that who asks many times at once is counted."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.text("SELECT pg_advisory_xact_lock(7003)"))


def new_proof(tx: Transaction, email: str, *, person: int | None = None, said: str = "") -> EmailProof | None:
    """Older ones end: of the person, or of who registered with this address. None: the address has had its 3 mails within the
    hour, which nobody is told. Whether it has an account is not asked here: the mail says it, to whoever has the mailbox.

    Raises TooMany for who asks more than 30 times an hour, whatever the addresses.
    """
    hold_proofs_still(tx.session)
    at, key = now(), email_key(email)
    lately = EmailProof.created_at > at - WITHIN
    count = sa.select(sa.func.count()).select_from(EmailProof).where(lately)
    asker = EmailProof.person_id == person if person else EmailProof.address == tx.by.address
    if (tx.session.scalar(count.where(asker)) or 0) >= MOST_OF_ONE:
        raise TooMany(int(WITHIN.total_seconds()))
    is_over = (tx.session.scalar(count.where(EmailProof.email_key == key)) or 0) >= MOST
    if not is_over:
        older = EmailProof.person_id == person if person else sa.and_(EmailProof.person_id.is_(None), EmailProof.email_key == key)
        tx.session.execute(_ended(older))
    proof = EmailProof(person_id=person, email=email, email_key=key, said=said, address=tx.by.address)
    proof.created_at, proof.ends_at, proof.ended_at = at, at + LASTS, at if is_over else None
    tx.session.add(proof)
    tx.session.flush()
    return None if is_over else proof


def _ended(which: sa.ColumnElement[bool]) -> sa.Update:
    return sa.update(EmailProof).where(which, EmailProof.ended_at.is_(None)).values(ended_at=now())


def end_proofs(session: Session, person: int) -> None:
    """What the person asked for by an older password or address works no more."""
    session.execute(_ended(EmailProof.person_id == person))


def make_proof_link(tx: Transaction, proof: int, *, token: str = "") -> str:
    """The secret of its link, made as the mail leaves; that of an earlier try ends. Empty: it has ended. `token` as in
    links.make_link."""
    held = tx.session.get_one(EmailProof, proof, with_for_update=True)
    if held.ended_at:
        return ""
    token = token or secrets.token_urlsafe(32)
    held.token_hash, held.ends_at = token_hash(token), now() + LASTS
    return token


def proof_with(session: Session, token: str, *, is_of_person: bool, lock: bool = False) -> EmailProof | None:
    """What a link proves that works now: the address of a person, or of who registers."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{43}", token):  # the hash of nothing is asked for nowhere
        return None
    works = EmailProof.token_hash == token_hash(token), EmailProof.ended_at.is_(None), EmailProof.ends_at > now()
    whose = EmailProof.person_id.is_not(None) if is_of_person else EmailProof.person_id.is_(None)
    found = sa.select(EmailProof).where(*works, whose).execution_options(populate_existing=True)
    return session.scalar(found.with_for_update() if lock else found)


def forget_proofs(session: Session) -> int:
    """Deletes what was not proven in time, with its mails, and what is over; not what waits for its mail. Answers how many."""
    outbox = sa.table("outbox", sa.column("proof_id", sa.Integer), sa.column("person_id", sa.Integer), sa.column("state"))
    waits = sa.exists().where(outbox.c.proof_id == EmailProof.id, outbox.c.state.in_(("waiting", "leased")))
    ids = list(session.scalars(sa.select(EmailProof.id).where(EmailProof.ends_at < now(), ~waits).limit(BATCH)))
    if not ids:
        return 0
    # By name: mails are above. Who never had an account is forgotten wholly; of a person's mails only what they proved.
    session.execute(sa.delete(outbox).where(outbox.c.proof_id.in_(ids), outbox.c.person_id.is_(None)))
    session.execute(sa.update(outbox).where(outbox.c.proof_id.in_(ids)).values(proof_id=None))
    return changed(session, sa.delete(EmailProof).where(EmailProof.id.in_(ids)))
