"""Files that people bring: the rows of those that belong to messages, and where the bytes of all are kept.

The bytes stand outside the database under random names, never under one that somebody chose. A file is written and synced
before its row is committed, and deleted after its row is gone: what a crash leaves in between is a file without a row, which
`sweep` (attachments.py) finds. A row never speaks of a file that is not there.
"""

import contextlib
import hashlib
import io
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from practice.content import NAME_MAX, PART, PICTURES, PIXELS_MAX, FileType
from practice.db import WRITE, Model, choice, db, files_dir
from practice.errors import TooLarge

FILE_MAX = 10 * 1024 * 1024  # bytes of one file
TOTAL_MAX = 25 * 1024 * 1024  # of one message
FILES_MAX = 5  # of one message
DRAFTS_TOTAL_MAX = 4 * TOTAL_MAX  # of one author, in all that is not sent
UNFINISHED = ".part"


class FileState(StrEnum):
    WAITING = "waiting"  # for the scanner: nobody opens it
    CLEAN = "clean"  # may be opened
    REFUSED = "refused"  # the scanner found something: its bytes are deleted


class StoredFile:
    """What a row says of the bytes that it stands for: backups, checks and the sweep know every table that has this."""

    __tablename__: str
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(22), unique=True)
    name: Mapped[str] = mapped_column(sa.String(NAME_MAX))  # as it is shown
    size: Mapped[int]
    sha256: Mapped[str] = mapped_column(sa.String(64))
    stored_as: Mapped[str] = mapped_column(sa.String(32), unique=True)

    @classmethod
    def is_on_disk(cls) -> sa.ColumnElement[bool]:
        return sa.true()


class Attachment(StoredFile, Model):
    """A file of a draft (`draft_key`) or, once that is sent, of its message (`message_id`)."""

    __tablename__ = "attachment"
    author_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"))
    draft_key: Mapped[str | None] = mapped_column(sa.String(22))
    message_id: Mapped[int | None] = mapped_column(sa.ForeignKey("message.id"))
    type: Mapped[FileType] = mapped_column(choice(FileType))
    width: Mapped[int]  # of a picture, else 0
    height: Mapped[int]
    state: Mapped[FileState] = mapped_column(choice(FileState))
    at: Mapped[datetime]
    __table_args__ = (
        sa.CheckConstraint("(draft_key IS NULL) <> (message_id IS NULL)", name="belongs"),
        sa.Index(None, "author_id", "draft_key"),
        sa.Index(None, "message_id"),
        sa.Index(
            "ix_attachment_waiting",
            "id",
            sqlite_where=sa.text("state = 'waiting'"),
            postgresql_where=sa.text("state = 'waiting'"),
        ),
    )

    @classmethod
    def is_on_disk(cls) -> sa.ColumnElement[bool]:
        return cls.state != FileState.REFUSED


_SHOWN = (
    Attachment.id, Attachment.key, Attachment.message_id, Attachment.name, Attachment.type, Attachment.width,
    Attachment.height, Attachment.size, Attachment.stored_as, Attachment.state,
)  # fmt: skip
SHOWN = sa.select(*_SHOWN)
"""What pages say of files, as rows."""


def may_be_opened(file: Any) -> bool:
    return file.state == FileState.CLEAN


def is_picture(file: Any) -> bool:
    """Whether it is shown small."""
    return file.type in PICTURES and file.width * file.height <= PIXELS_MAX and may_be_opened(file)


# ---- Rows ----------------------------------------------------------------------------------------

_OF_MESSAGES = SHOWN.where(Attachment.message_id.in_(sa.bindparam("messages", expanding=True))).order_by(Attachment.id)
_OF_DRAFT = SHOWN.where(Attachment.author_id == sa.bindparam("of"), Attachment.draft_key == sa.bindparam("named"))


def files_of(messages: list[int]) -> dict[int, list[Any]]:
    """The files of messages, by message; no statement where there are no messages."""
    found: dict[int, list[Any]] = {}
    for row in db.session.connection().execute(_OF_MESSAGES, {"messages": messages}) if messages else ():
        found.setdefault(row.message_id, []).append(row)
    return found


def files_of_draft(author: int, draft: str) -> list[Any]:
    """What its author has attached to a draft so far."""
    asked = {"of": author, "named": draft[:22]}
    return list(db.session.connection().execute(_OF_DRAFT.order_by(Attachment.id), asked))


_of_draft = (Attachment.author_id == sa.bindparam("of"), Attachment.draft_key == sa.bindparam("named"))
_SENT = sa.update(Attachment.__table__).where(*_of_draft).values(draft_key=None, message_id=sa.bindparam("to"))  # type: ignore[arg-type]
_DROPPED = sa.delete(Attachment.__table__).where(*_of_draft)  # type: ignore[arg-type]


def send_along(session: Session, author: int, draft: str, *, message: int) -> None:
    """What was attached to the draft is the message's from now on."""
    session.connection().execute(_SENT, {"of": author, "named": draft, "to": message})


def give_back(session: Session, message: int, *, draft: str) -> None:
    """The message was recalled: its files belong to the draft that has its text."""
    session.execute(sa.update(Attachment).where(Attachment.message_id == message).values(message_id=None, draft_key=draft))


def drop_files(session: Session, author: int, draft: str) -> list[str]:
    """The draft is thrown away: its files lose their rows. Answers how they are stored, to be deleted after the commit."""
    stored = list(
        session.scalars(sa.select(Attachment.stored_as).where(Attachment.author_id == author, Attachment.draft_key == draft))
    )
    if stored:
        session.connection().execute(_DROPPED, {"of": author, "named": draft})
    return stored


# ---- Bytes ---------------------------------------------------------------------------------------


@dataclass
class Stored:
    """A file on disk that no row speaks of yet."""

    name: str
    size: int
    sha256: str
    file: io.FileIO
    is_kept: bool = False

    def keep(self) -> None:
        """Gives it its name for good; the row follows at once, by the commit that comes next."""
        folder = files_dir()
        os.rename(folder / f"{self.name}{UNFINISHED}", folder / self.name)
        _sync(folder)
        self.is_kept = True


@contextlib.contextmanager
def stored(stream: BinaryIO) -> Iterator[Stored]:
    """Writes what comes to disk, synced, under a random name. What is not kept inside, or whose row is not committed, is gone
    afterwards. Raises TooLarge."""
    folder = files_dir()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = secrets.token_hex(16)
    path = folder / f"{name}{UNFINISHED}"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w+b", buffering=0) as file:  # what a full disk refuses is not tried again by closing
            found = Stored(name, *_copy(stream, file), file)
            yield found
    except BaseException:
        if not _is_known(name):
            (folder / name).unlink(missing_ok=True)
        raise
    finally:
        path.unlink(missing_ok=True)


def _copy(stream: BinaryIO, file: io.FileIO) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    while part := stream.read(PART):
        size += len(part)
        if size > FILE_MAX:
            raise TooLarge
        digest.update(part)
        left = memoryview(part)
        while left:
            left = left[file.write(left) :]
    os.fsync(file.fileno())
    return size, digest.hexdigest()


def _is_known(name: str) -> bool:
    """Whether a row was committed after all. Where nobody can say, the file stays for the sweep."""
    try:
        with db.engines[WRITE].connect() as connection:
            return bool(connection.scalar(sa.select(known([name]).subquery())))
    except sa.exc.SQLAlchemyError:
        return True


def known(names: list[str]) -> sa.CompoundSelect[Any]:
    """Which of these names some row speaks of."""
    return sa.union_all(*(sa.select(one.stored_as).where(one.stored_as.in_(names)) for one in StoredFile.__subclasses__()))


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def path_of(stored_as: str) -> Path:
    return files_dir() / stored_as


def hash_of(path: Path) -> str:
    """The SHA-256 of its bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def delete_bytes(names: list[str]) -> None:
    """After the commit that took their rows away; what cannot be deleted now the sweep finds."""
    for name in names:
        with contextlib.suppress(OSError):
            path_of(name).unlink(missing_ok=True)
