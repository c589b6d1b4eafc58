"""What somebody has written and not sent. A draft has its form's key: sending deletes it and keeps the key with the message."""

import json
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from practice.db import Actor, Model, Transaction, changed, db, delete_some, new_key, now, transaction
from practice.errors import NotVisible, Stale, TooMany
from practice.files import delete_bytes, drop_files
from practice.people import Person

ABOUT_MAX = 300
DRAFTS_MAX = 500  # of one author
KEPT = timedelta(days=365)  # since it was last saved


class Draft(Model):
    __tablename__ = "draft"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(22))
    author_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"))
    about: Mapped[str] = mapped_column(sa.String(ABOUT_MAX))  # the address of the form's page
    values: Mapped[str] = mapped_column("form_values", sa.Text)
    version: Mapped[int]
    waits: Mapped[bool]  # saved because the session had ended: opens by itself after the next log-in
    saved_at: Mapped[datetime]
    __table_args__ = (
        sa.UniqueConstraint("author_id", "key"),
        sa.Index(None, "author_id", "saved_at", "id"),
        sa.Index(None, "author_id", "about"),
        sa.Index(None, "saved_at"),
    )


class DraftSent(Stale):
    """The form was sent meanwhile: a late save must not revive it."""


def save_draft(
    author: int,
    *,
    key: str,
    about: str,
    values: dict[str, list[str]],
    by: Actor,
    waits: bool = False,
    seen: int | None = None,
) -> int:
    """Saves or replaces the draft of this form; answers its new version. `seen`: the version that the page knows (0: none yet).

    Raises DraftSent, Stale when another tab or device saved it after `seen`, TooMany beyond 500 drafts of one author.
    """
    with transaction(by=by, did="save_draft", about=key) as tx:
        wait_for_author(tx.session, author)
        if was_sent_by(tx.session, author, key):
            raise DraftSent("sent meanwhile")
        draft = tx.session.scalar(sa.select(Draft).where(Draft.author_id == author, Draft.key == key))
        if seen is not None and seen != (draft.version if draft else 0):
            raise Stale("saved elsewhere meanwhile")
        if draft is None:
            if count_drafts(tx.session, author) >= DRAFTS_MAX:
                raise TooMany(60)
            draft = Draft(key=key, author_id=author, version=0)
            tx.session.add(draft)
        draft.about, draft.values, draft.waits = about, json.dumps(values), waits
        draft.version, draft.saved_at = draft.version + 1, now()
        return draft.version


def put_back(tx: Transaction, author: int, *, about: str, values: dict[str, list[str]]) -> str:
    """A text that was sent and recalled is a draft again, with a new key, which comes back; one too many rather than lost."""
    key = new_key()
    draft = Draft(key=key, author_id=author, about=about, values=json.dumps(values), version=1, waits=False, saved_at=now())
    tx.session.add(draft)
    tx.session.flush()
    return key


def wait_for_author(session: Session, author: int) -> None:
    """Waits for whatever this author is sending at the moment: it is found sent then."""
    session.execute(sa.select(Person.id).where(Person.id == author).with_for_update())


def count_drafts(session: Session, author: int) -> int:
    return session.scalar(sa.select(sa.func.count()).where(Draft.author_id == author)) or 0


# By name: messages and notes are read by nobody down here.
_SENT = [sa.table(name, sa.column("author_id", sa.Integer), sa.column("form_key", sa.String)) for name in ("message", "note")]
_WAS_SENT = sa.union_all(
    *(sa.select(sa.true()).where(t.c.author_id == sa.bindparam("of"), t.c.form_key == sa.bindparam("named")) for t in _SENT)
)


def was_sent_by(session: Session, author: int, key: str) -> bool:
    """Whether a message or note of theirs has this form's key."""
    return session.scalar(_WAS_SENT, {"of": author, "named": key}) is not None


_OWN = Draft.author_id == sa.bindparam("author")
_VALUES, _VERSION, _ABOUT = (
    sa.select(column).where(_OWN, Draft.key == sa.bindparam("key")) for column in (Draft.values, Draft.version, Draft.about)
)
_NEWEST = sa.select(Draft.key).where(_OWN, Draft.about == sa.bindparam("about"))
_NEWEST = _NEWEST.order_by(Draft.saved_at.desc(), Draft.id.desc()).limit(1)


def _read(statement: Any, values: dict[str, Any]) -> Any:
    """Not by the session's ways with entities: each page with a form asks."""
    return db.session.connection().execute(statement, values).scalar()


def draft_values(author: int, key: str) -> dict[str, list[str]] | None:
    """What the author wrote under this key; None for anybody else's."""
    values = _read(_VALUES, {"author": author, "key": key[:22]})
    return json.loads(values) if values else None


def draft_version(author: int, key: str) -> int:
    """How often the draft was saved; 0 for one that is not there."""
    return _read(_VERSION, {"author": author, "key": key[:22]}) or 0


def page_of_draft(author: int, key: str) -> str:
    """The address of the page where the author's draft opens; empty where there is no such draft."""
    return _read(_ABOUT, {"author": author, "key": key[:22]}) or ""


def draft_about(author: int, about: str) -> str:
    """The key of the author's newest draft of this page; empty where there is none."""
    return _read(_NEWEST, {"author": author, "about": about[:ABOUT_MAX]}) or ""


@lru_cache(maxsize=4)
def _drafts(beyond: str) -> Any:
    """The statement of a list of drafts, by shape: columns alone."""
    place, is_newer = sa.tuple_(Draft.saved_at, Draft.id), beyond == ">"
    order = (Draft.saved_at.asc(), Draft.id.asc()) if is_newer else (Draft.saved_at.desc(), Draft.id.desc())
    found = sa.select(Draft.id, Draft.key, Draft.about, Draft.values.label("said"), Draft.saved_at)
    found = found.where(Draft.author_id == sa.bindparam("author")).order_by(*order).limit(sa.bindparam("limit"))
    if beyond:
        there = sa.tuple_(sa.bindparam("at", type_=Draft.saved_at.type), sa.bindparam("id", type_=sa.Integer))
        found = found.where(place > there if is_newer else place < there)
    return found


def drafts_of(author: int, *, limit: int, before: str = "", after: str = "") -> list[Any]:
    """The author's drafts, newest first: rows of key, about, said (the form's values as JSON) and saved_at.

    `before` and `after`: the key of the draft that the list lies beyond. Raises NotVisible where there is none.
    """
    asked: dict[str, Any] = {"author": author, "limit": limit}
    if named := after or before:
        place = sa.select(Draft.saved_at, Draft.id).where(Draft.author_id == author, Draft.key == named[:22])
        beyond = db.session.connection().execute(place).first()
        if beyond is None:
            raise NotVisible
        asked |= {"at": beyond.saved_at, "id": beyond.id}
    rows = db.session.connection().execute(_drafts(">" if after else "<" if before else ""), asked).all()
    return list(rows[::-1] if after else rows)


def forget_drafts(session: Session) -> int:
    """Deletes what nobody has written on for a year; the sweep deletes its files. Answers how many."""
    return delete_some(session, Draft, Draft.saved_at < now() - KEPT)


def discard_draft(author: int, *, key: str, by: Actor) -> None:
    """The author throws a draft away, its files too. Raises NotVisible; done twice it is done once."""
    with transaction(by=by, did="delete_draft", about=key) as tx:
        wait_for_author(tx.session, author)  # a file may be coming in
        if not changed(tx.session, sa.delete(Draft).where(Draft.author_id == author, Draft.key == key)):
            raise NotVisible
        stored = drop_files(tx.session, author, key)
    delete_bytes(stored)


def open_waiting_draft(author: int, *, by: Actor) -> tuple[str, str] | None:
    """The newest draft that waited for its author's log-in: its key and the address of its page. No draft waits any longer."""
    waiting = sa.select(Draft).where(Draft.author_id == author, Draft.waits).order_by(Draft.saved_at.desc()).limit(1)
    if db.session.scalar(waiting) is None:
        return None
    with transaction(by=by, did="open_draft") as tx:
        draft = tx.session.scalar(waiting)
        if draft is None:
            return None
        # None of them may open at some later log-in: the others stand under Drafts.
        tx.session.execute(sa.update(Draft).where(Draft.waits, Draft.author_id == author).values(waits=False))
        tx.about = draft.key
        return draft.key, draft.about


def delete_draft(session: Session, author: int, key: str) -> None:
    session.connection().execute(_DELETE, {"of": author, "named": key})


_DELETE = sa.delete(Draft.__table__).where(Draft.author_id == sa.bindparam("of"), Draft.key == sa.bindparam("named"))  # type: ignore[arg-type]
