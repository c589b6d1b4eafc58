"""The oldest rows of the audit, moved into files with their seals: the chain goes on from file to file into the database.

Why it is safe to delete what is never deleted: docs/decisions/0023-retention.md.
"""

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from practice.audit import COLUMNS, AuditSeal, archived, chain
from practice.db import BATCH, COMMAND, WRITE, Audit, db, transaction

PAUSE = 0.05  # seconds between two batches
WAITS = 100  # milliseconds at most for the others to end their acts; those who come later would wait behind us
TRIES = 600  # so often in a row


class NotPossible(Exception):
    """The sentence says why."""


@dataclass(frozen=True)
class Archived:
    rows: int
    file: Path | None  # None: none was old enough


def archive(folder: Path, *, before: datetime, owner: str) -> Archived:
    """Moves what was sealed and is older than `before` (naive UTC) into a file in the folder, then deletes it as `owner` (a
    URL) may. Killed at any moment it is run again: the file is whole before the trail says so, and only then rows are deleted.
    Raises NotPossible."""
    position, seal = archived(db.session())
    file, details = _write(folder, position, seal, before)
    if file:
        with transaction(by=COMMAND, did="archive_audit") as tx:
            if archived(tx.session) != (position, seal):
                raise NotPossible("Somebody else archives at this moment: nothing was deleted here.")
            tx.details = details
    position, seal = archived(db.session())
    if position and not holds(folder, f"{position}:{seal}"):  # whoever may write into the trail may write this too
        raise NotPossible(f"Up to seal {position} the trail stands in files, which {folder} does not have: nothing was deleted.")
    _delete(owner, position)
    return Archived(details.get("rows", 0), file)


def _write(folder: Path, position: int, seal: str, before: datetime) -> tuple[Path | None, dict[str, Any]]:
    first, rows, digest = position + 1, 0, hashlib.sha256()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("wb", dir=folder, suffix=".part", delete=False) as file:
        for row in _old(position, before):
            said = {column.name: row[column.name] for column in COLUMNS}
            if row["position"] != position + 1 or chain(seal, said) != row["hash"]:
                Path(file.name).unlink()
                raise NotPossible(f"The trail is not whole at seal {position + 1}: nothing was moved. See verify-audit.")
            position, seal, rows = row["position"], row["hash"], rows + 1
            kept = {"position": position, "hash": seal, "row": said}
            line = json.dumps(kept, ensure_ascii=False, sort_keys=True, default=str).encode() + b"\n"
            digest.update(line)
            file.write(line)
        file.flush()
        os.fsync(file.fileno())
    if not rows:
        Path(file.name).unlink()
        return None, {}
    done = folder / f"audit-{first:012}-{position:012}.jsonl"
    unmarked = [one for one in folder.glob(f"audit-{first:012}-*.jsonl") if one != done]  # of a run that was killed
    if any(one > done for one in unmarked):
        Path(file.name).unlink()
        raise NotPossible(f"{folder} has a file that begins with seal {first} too and reaches further: nothing was moved.")
    Path(file.name).replace(done)
    for one in unmarked:
        one.unlink()
    _sync(folder)
    return done, {"position": position, "hash": seal, "rows": rows, "file": done.name, "sha256": digest.hexdigest()}


def _sync(folder: Path) -> None:
    """The file's name too outlives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _old(position: int, before: datetime) -> Iterator[Any]:
    """Sealed rows in the chain's order, up to the first that is younger. The newest seal stays: the next one follows it."""
    newest = db.session.scalar(sa.select(sa.func.max(AuditSeal.position))) or 0
    page = sa.select(AuditSeal.position, AuditSeal.hash, *COLUMNS).join(Audit, Audit.id == AuditSeal.audit_id)
    page = page.where(AuditSeal.position < newest).order_by(AuditSeal.position).limit(BATCH)
    while rows := db.session.execute(page.where(AuditSeal.position > position)).mappings().all():
        for row in rows:
            if row["at"] >= before:
                return
            yield row
        position = rows[-1]["position"]
        db.session.close()


# ---- Deleting ------------------------------------------------------------------------------------


def _delete(owner: str, up_to: int) -> None:
    """In batches, each with the guard set aside within its own transaction, which only the tables' owner can do."""
    is_sqlite = db.engines[WRITE].dialect.name == "sqlite"
    patience = {"options": f"-c lock_timeout={WAITS}"}
    engine = db.engines[WRITE] if is_sqlite else sa.create_engine(owner, poolclass=sa.NullPool, connect_args=patience)
    refused = 0
    db.session.close()
    while True:
        try:
            with engine.begin() as connection:
                if not _delete_some(connection, up_to):
                    return
            refused = 0
        except sa.exc.OperationalError as error:  # somebody was at work for longer
            refused += 1
            if refused == TRIES:
                raise NotPossible("The audit was in use all the time. What is in the file is deleted by the next run.") from error
        time.sleep(PAUSE)


def _delete_some(connection: sa.Connection, up_to: int) -> int:
    old = sa.select(AuditSeal.audit_id).where(AuditSeal.position <= up_to).order_by(AuditSeal.position).limit(BATCH)
    rows = connection.scalars(old).all()
    if rows:
        guard, back = _guard(connection)
        connection.exec_driver_sql(guard)
        connection.execute(sa.delete(AuditSeal).where(AuditSeal.audit_id.in_(rows)))
        connection.execute(sa.delete(Audit).where(Audit.id.in_(rows)))
        connection.exec_driver_sql(back)
    return len(rows)


def _guard(connection: sa.Connection) -> tuple[str, str]:
    """What sets the guard of the audit aside, and what puts it back. Both are undone where the transaction is."""
    if connection.dialect.name == "postgresql":
        return "ALTER TABLE audit DISABLE TRIGGER audit_no_change", "ALTER TABLE audit ENABLE TRIGGER audit_no_change"
    made = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = 'audit_no_delete'")
    return "DROP TRIGGER audit_no_delete", made.scalar_one()


# ---- Checking ------------------------------------------------------------------------------------


def faults(folder: Path) -> Iterator[str]:
    """A sentence for each thing that is wrong with the files: they must hold the whole chain up to where the database's
    begins."""
    position, seal = 0, ""
    for file, line in _lines(folder):
        try:
            found = json.loads(line)
            follows = found["position"] == position + 1
            fits = chain(seal, found["row"]) == found["hash"]
        except (ValueError, KeyError, TypeError):
            yield f"{file.name} has a line after seal {position} that cannot be read"
            return
        if not follows:
            yield f"{file.name} goes on with seal {found['position']} after {position}: what is between is missing"
        elif not fits:
            yield f"{file.name}: the row of seal {found['position']} was changed, or its seal or the one before it"
        position, seal = found["position"], found["hash"]
    if (position, seal) != archived(db.session()):
        yield f"the files end at seal {position}, which is not where the database goes on ({archived(db.session())[0]})"


def holds(folder: Path, seal: str) -> bool:
    """Whether a seal that was kept elsewhere (POSITION:HASH) is in the files."""
    found = (json.loads(line) for _, line in _lines(folder))
    return any(f"{one['position']}:{one['hash']}" == seal for one in found)


def _lines(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for file in sorted(folder.glob("audit-*.jsonl")):
        with file.open("rb") as lines:
            yield from ((file, line) for line in lines)
