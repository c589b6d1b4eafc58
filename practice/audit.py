"""The audit trail: sealed by the worker into one chain, so that a row changed or removed by hand is named by `verify`."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from practice.db import Actor, Audit, Model, db, transaction

BATCH = 1000


class AuditSeal(Model):
    """Position n of the chain: which audit row stands there, and the hash of the previous hash and that row."""

    __tablename__ = "audit_seal"
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    audit_id: Mapped[int] = mapped_column(sa.ForeignKey("audit.id"), unique=True)
    hash: Mapped[str] = mapped_column(sa.String(64))


COLUMNS = [column for column in Audit.__table__.columns if column.name != "id"]


def chain(previous: str, row: dict[str, Any]) -> str:
    """The hash of the row (its columns by name, without the id) after the hash before it.

    The address came with a later release: rows without one hash as they did before.
    """
    row = {name: value for name, value in row.items() if name != "address" or value is not None}
    text = json.dumps(row, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()


def seal(session: Session) -> int:
    """Seals up to 1,000 rows that are visible and unsealed. Not `id > last`: sequences commit out of order. Answers how many."""
    last = session.execute(sa.select(AuditSeal.position, AuditSeal.hash).order_by(AuditSeal.position.desc()).limit(1)).first()
    position, previous = last or (0, "")
    rows = session.execute(
        sa.select(Audit.id, *COLUMNS)
        .outerjoin(AuditSeal, AuditSeal.audit_id == Audit.id)
        .where(AuditSeal.audit_id.is_(None), Audit.id > _sealed_up_to(session))
        .order_by(Audit.id)
        .limit(BATCH)
    ).mappings()
    seals = []
    for n, row in enumerate(rows, position + 1):
        previous = chain(previous, {c.name: row[c.name] for c in COLUMNS})
        seals.append({"position": n, "audit_id": row["id"], "hash": previous})
    if seals:
        session.execute(sa.insert(AuditSeal), seals)
    return len(seals)


LATEST = 100_000  # a transaction cannot be open while so many other rows are written


def _sealed_up_to(session: Session) -> int:
    """Rows this far behind the newest sealed one cannot appear any more; so sealing never reads the whole table."""
    return (session.scalar(sa.select(sa.func.max(AuditSeal.audit_id))) or 0) - LATEST


@dataclass(frozen=True)
class Sealed:
    """How far the seal reaches: the number of the newest sealed row, and when that was written."""

    number: int
    at: datetime


def sealed_up_to() -> Sealed | None:
    """None: nothing is sealed yet."""
    row = db.session.connection().execute(_NEWEST_SEALED).first()
    return Sealed(row.id, row.at) if row else None


_NEWEST_SEALED = (
    sa.select(Audit.id, Audit.at)
    .select_from(Audit)
    .join(AuditSeal, AuditSeal.audit_id == Audit.id)
    .order_by(AuditSeal.position.desc())
    .limit(1)
)


def archived(session: Session) -> tuple[int, str]:
    """The position and hash up to which the chain was moved into files (archive.py); 0 and nothing: it is all here."""
    told = session.scalars(sa.select(Audit.details).where(Audit.did == "archive_audit"))
    return max(((one["position"], one["hash"]) for one in map(json.loads, told)), default=(0, ""))


def unsealed() -> int:
    """How many rows at the end wait for the worker to seal them: until then nobody would notice a change of theirs."""
    waits = _unsealed(sa.func.count()).where(Audit.id > _sealed_up_to(db.session()))
    return db.session.scalar(waits) or 0


def _unsealed(what: Any) -> sa.Select[Any]:
    return (
        sa.select(what)
        .select_from(Audit)
        .outerjoin(AuditSeal, AuditSeal.audit_id == Audit.id)
        .where(AuditSeal.audit_id.is_(None))
    )


def newest_seal() -> str:
    """The end of the chain as POSITION:HASH, to be kept elsewhere; empty while nothing is sealed."""
    row = db.session.execute(sa.select(AuditSeal.position, AuditSeal.hash).order_by(AuditSeal.position.desc()).limit(1)).first()
    return f"{row.position}:{row.hash}" if row else ""


def holds(seal: str) -> bool:
    """Whether a seal that was kept elsewhere (POSITION:HASH) is still in the chain: cutting off its end leaves no gap."""
    position, _, found = seal.partition(":")
    if not (position.isascii() and position.isdigit() and len(position) < 10):
        return False
    return db.session.scalar(sa.select(AuditSeal.hash).where(AuditSeal.position == int(position))) == found


def faults() -> Iterator[str]:
    """A sentence for each row that does not fit: changed, missing, never sealed. Each is compared with the seal before it as
    it stands, so that one changed row does not accuse all that follow. Rows that were moved into files are not looked for;
    those that stand here all the same are checked."""
    moved, seal = archived(db.session())
    first = db.session.scalar(sa.select(sa.func.min(AuditSeal.position))) or 1
    position = moved if first > moved else first - 1
    previous = seal if first > moved else "" if first == 1 else None  # None: what came before stands in a file
    page = (
        sa.select(AuditSeal.position, AuditSeal.hash, AuditSeal.audit_id, Audit.id, *COLUMNS)
        .outerjoin(Audit, Audit.id == AuditSeal.audit_id)
        .order_by(AuditSeal.position)
        .limit(BATCH)
    )
    while rows := db.session.execute(page.where(AuditSeal.position > position)).mappings().all():
        for row in rows:
            follows = row["position"] == position + 1
            yield from (f"seal {missing} is missing" for missing in range(position + 1, row["position"]))
            position = row["position"]
            if row["id"] is None:
                yield f"audit row {row['audit_id']} is missing"
            elif follows and previous is not None and chain(previous, {c.name: row[c.name] for c in COLUMNS}) != row["hash"]:
                yield f"audit row {row['audit_id']} was changed, or its seal {position} or the one before it"
            previous = row["hash"]
    late = _unsealed(Audit.id).where(Audit.id <= _sealed_up_to(db.session())).order_by(Audit.id).limit(BATCH)
    yield from (f"audit row {number} was never sealed" for number in db.session.scalars(late))


def note(*, by: Actor, did: str, about: str = "", patient: int | None = None, details: dict[str, Any] | None = None) -> None:
    """An audit row of its own, for what changes nothing else: a denial, an export."""
    with transaction(by=by, did=did, about=about, patient=patient) as tx:
        tx.details = details or {}
