"""Attaching files to what is being written, their scan, and the sweep that leaves no orphan."""

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import sqlalchemy as sa
from sqlalchemy.orm import Session

from practice import scanner
from practice.content import ENDINGS, FileType, clean_name, content_of
from practice.db import SYSTEM, Actor, Transaction, changed, clamd_socket, db, files_dir, new_key, now, transaction
from practice.drafts import Draft, wait_for_author, was_sent_by
from practice.errors import Invalid, NotVisible, Stale
from practice.files import (
    DRAFTS_TOTAL_MAX,
    FILES_MAX,
    SHOWN,
    TOTAL_MAX,
    Attachment,
    FileState,
    StoredFile,
    delete_bytes,
    known,
    path_of,
    stored,
)

LEFT_FOR = 3600  # seconds: so long whoever stores a file may take until its row is committed
SCANNED_AT_ONCE = 20
NOT_TAKEN = (
    "Files of this kind are not taken. Choose a PDF, a picture (JPEG, PNG, HEIC), a plain text or a Word document (DOCX) without "
    "macros."
)


def attach(author: int, *, draft: str, name: str, stream: BinaryIO, may_be_dicom: bool, by: Actor) -> None:
    """Puts a file into a draft of the author's. The same bytes again are done once.

    `name`: as its author calls it. Raises NotVisible where there is no such draft, Stale when it was sent meanwhile, TooLarge,
    and Invalid: empty, of a kind that is not taken, one too many, too much altogether, or refused by the scanner.
    """
    _must_have_room(db.session(), author, draft)
    with stored(stream) as bytes_:
        if not bytes_.size:
            raise Invalid("file", "This file is empty. Choose another one.")
        content = content_of(bytes_.file, bytes_.size)
        if content is None or (content.type == FileType.DICOM and not may_be_dicom):
            raise Invalid("file", NOT_TAKEN)
        state = scanned(bytes_.file)
        with transaction(by=by, did="attach_file", about=draft) as tx:
            wait_for_author(tx.session, author)
            if _has_it(tx.session, author, draft, bytes_.sha256):
                tx.is_silent = True
                return
            _must_have_room(tx.session, author, draft, bytes_.size)
            made = Attachment(
                key=new_key(),
                author_id=author,
                draft_key=draft,
                name=clean_name(name, ENDINGS[content.type]),
                type=content.type,
                width=content.width,
                height=content.height,
                size=bytes_.size,
                sha256=bytes_.sha256,
                stored_as=bytes_.name,
                state=state,
                at=now(),
            )
            tx.session.add(made)
            tx.details = {"file": made.key, "sha256": made.sha256}
            tx.session.flush()
            bytes_.keep()


def scanned(file: BinaryIO) -> FileState:
    """What the scanner says now; that it waits where the scanner is away. Raises Invalid where something was found."""
    if not clamd_socket():
        return FileState.CLEAN
    try:
        if not scanner.is_clean(file, clamd_socket()):
            raise Invalid("file", "The virus scanner has found something in this file. It was not taken.")
    except scanner.ScannerAway:
        return FileState.WAITING
    return FileState.CLEAN


def _must_have_room(session: Session, author: int, draft: str, size: int = 0) -> None:
    """Raises NotVisible, Stale, and Invalid where `size` bytes more are too much for the draft or for its author's drafts."""
    if session.scalar(sa.select(Draft.id).where(Draft.author_id == author, Draft.key == draft)) is None:
        raise Stale("sent meanwhile") if was_sent_by(session, author, draft) else NotVisible
    unsent = sa.select(Attachment.draft_key, Attachment.size).where(
        Attachment.author_id == author, Attachment.draft_key.is_not(None)
    )
    rows = session.execute(unsent).all()
    here = [row.size for row in rows if row.draft_key == draft]
    if len(here) >= FILES_MAX:
        raise Invalid("file", "At most 5 files may go along. Remove one, or send another message later.")
    if sum(here) + size > TOTAL_MAX:
        raise Invalid("file", "The files may have at most 25 MB together. Remove one, or send another message later.")
    if sum(row.size for row in rows) + size > DRAFTS_TOTAL_MAX:
        raise Invalid("file", "Your drafts hold very many files. Send or delete some of them first.")


def _has_it(session: Session, author: int, draft: str, sha256: str) -> bool:
    same = Attachment.author_id == author, Attachment.draft_key == draft, Attachment.sha256 == sha256
    return session.scalar(sa.select(Attachment.id).where(*same)) is not None


def detach(author: int, *, draft: str, key: str, by: Actor) -> None:
    """Takes a file out of a draft of the author's. Raises NotVisible; done twice it is done once."""
    with transaction(by=by, did="remove_file", about=draft) as tx:
        mine = Attachment.key == key, Attachment.author_id == author, Attachment.draft_key == draft
        found = tx.session.scalar(sa.select(Attachment).where(*mine).with_for_update())
        if found is None:
            raise NotVisible
        name = found.stored_as
        tx.details = {"file": found.key, "sha256": found.sha256}
        tx.session.delete(found)
    delete_bytes([name])


def file_of_draft(author: int, *, draft: str, key: str) -> Any:
    """A file of the author's own draft. Raises NotVisible."""
    mine = Attachment.key == key[:22], Attachment.author_id == author, Attachment.draft_key == draft[:22]
    found = db.session.execute(SHOWN.where(*mine)).first()
    if found is None:
        raise NotVisible
    return found


# ---- The scanner, once it answers again ----------------------------------------------------------

_WAITING = sa.select(Attachment.id, Attachment.stored_as).where(sa.text("state = 'waiting'")).order_by(Attachment.id)


def scan_waiting() -> int:
    """Scans what waits, outside any transaction, and writes down what was found; answers how many were. Stops where the
    scanner is away. Two workers may scan the same file: the first verdict stands."""
    if not clamd_socket():
        return 0
    rows = db.session.execute(_WAITING.limit(SCANNED_AT_ONCE)).all()
    db.session.close()
    for done, row in enumerate(rows):
        try:
            with path_of(row.stored_as).open("rb") as file:
                is_clean = scanner.is_clean(file, clamd_socket())
        except scanner.ScannerAway:
            return done
        except FileNotFoundError:  # removed while it waited
            continue
        _write_verdict(row.id, FileState.CLEAN if is_clean else FileState.REFUSED)
    return len(rows)


def _write_verdict(attachment: int, state: FileState) -> None:
    with transaction(by=SYSTEM, did="scan_file") as tx:
        waits = Attachment.id == attachment, Attachment.state == FileState.WAITING
        found = tx.session.scalar(sa.select(Attachment).where(*waits).with_for_update())
        tx.is_silent = found is None or state == FileState.CLEAN
        if found is None:
            return
        found.state = state
        tx.about, tx.details = found.key, {"file": found.key, "sha256": found.sha256}
        name = found.stored_as
    if state == FileState.REFUSED:
        delete_bytes([name])


# ---- No orphans ----------------------------------------------------------------------------------


def every_file(session: Session) -> Iterator[tuple[str, str, int]]:
    """What must be on disk, for backup, restore and checks: how it is stored, its SHA-256 and its size."""
    there_are = sa.inspect(session.connection()).get_table_names()  # an older backup knows fewer
    for table in StoredFile.__subclasses__():
        there = sa.select(table.id, table.stored_as, table.sha256, table.size).where(table.is_on_disk())
        there = there.order_by(table.id).limit(1000)
        rows = session.execute(there).all() if table.__tablename__ in there_are else []
        while rows:
            yield from ((row.stored_as, row.sha256, row.size) for row in rows)
            rows = session.execute(there.where(table.id > rows[-1].id)).all()


def sweep(tx: Transaction) -> int:
    """Deletes files that no row has spoken of for an hour, and rows whose draft is gone; answers how many of both."""
    files = _delete_unknown(tx.session)
    gone = ~sa.exists().where(Draft.author_id == Attachment.author_id, Draft.key == Attachment.draft_key)
    rows = changed(tx.session, sa.delete(Attachment).where(Attachment.draft_key.is_not(None), gone))
    return files + rows  # the files of these rows are unknown to the next sweep


def _delete_unknown(session: Session) -> int:
    before, deleted = time.time() - LEFT_FOR, 0
    old = (path for path in (files_dir().iterdir() if files_dir().exists() else ()) if _is_older(path, before))
    while some := list(islice(old, 500)):
        names = [path.name for path in some]
        spoken_of = set(session.scalars(known(names)))
        unknown = [name for name in names if name not in spoken_of]
        delete_bytes(unknown)
        deleted += len(unknown)
    return deleted


def _is_older(path: Path, than: float) -> bool:
    try:
        return path.is_file() and path.stat().st_mtime < than
    except FileNotFoundError:
        return False
