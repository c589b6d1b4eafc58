"""Internal notes of a thread: for those who may see it on the staff side, and on no way out to the patient."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from practice.conversations import BODY_MAX, clean, colleagues_with, thread_of_staff
from practice.db import Actor, Model, again_if_doubled, db, new_key, now, transaction
from practice.drafts import delete_draft
from practice.errors import Invalid
from practice.outbox import Occasion, tell
from practice.people import Kind, Person

SHOWN = 100  # the newest notes of a thread


class Note(Model):
    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(22), unique=True)
    thread_id: Mapped[int] = mapped_column(sa.ForeignKey("thread.id"))
    author_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"))
    body: Mapped[str] = mapped_column(sa.Text)
    at: Mapped[datetime]
    form_key: Mapped[str] = mapped_column(sa.String(22))
    __table_args__ = (sa.Index(None, "thread_id", "id"), sa.UniqueConstraint("author_id", "form_key"))


class Mention(Model):
    """The note is meant for this member of staff in particular."""

    __tablename__ = "mention"
    note_id: Mapped[int] = mapped_column(sa.ForeignKey("note.id"), primary_key=True)
    person_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"), primary_key=True)


@again_if_doubled
def add_note(thread_key: str, *, body: str, mentions: Iterable[str], form_key: str, by: Actor) -> None:
    """Writes a note and tells those whom it mentions (keys of staff). A repeat of the form does nothing again.

    Takes no part in the states: nothing is received or answered by it, and nobody need have claimed the thread.
    Raises NotVisible; Invalid also when somebody mentioned may not see the thread now, or the form was sent with other words.
    """
    body, wanted = clean("body", body, BODY_MAX), set(mentions)
    if not 1 <= len(form_key) <= 22:
        raise Invalid("key", "This form cannot be sent. Open it again.")
    with transaction(by=by, did="add_note", about=thread_key) as tx:
        thread, _ = thread_of_staff(tx, thread_key)
        before = tx.session.scalar(sa.select(Note).where(Note.author_id == by.person, Note.form_key == form_key))
        if before is not None:
            if (before.thread_id, before.body, _mentioned_in(tx.session, before)) != (thread.id, body, wanted):
                raise Invalid("key", "This form was sent before, with other words. Open it again.")
            tx.is_silent = True
            return
        found = {one.key: one.id for one in colleagues_with(tx.session, thread, by.person)}
        if gone := wanted - found.keys():
            raise _may_not_see(tx.session, gone)
        note = Note(key=new_key(), thread_id=thread.id, author_id=by.person, body=body, at=now(), form_key=form_key)
        tx.session.add(note)
        tx.session.flush()
        people = sorted(found[key] for key in wanted)
        tx.session.add_all(Mention(note_id=note.id, person_id=person) for person in people)
        delete_draft(tx.session, note.author_id, form_key)
        tell(tx, Occasion.MENTIONED, people, thread=thread.id)
        tx.touched.add(thread.audience_id or 0)


def _mentioned_in(session: Session, note: Note) -> set[str]:
    return set(session.scalars(sa.select(Person.key).join(Mention).where(Mention.note_id == note.id)))


def _may_not_see(session: Session, keys: set[str]) -> Invalid:
    found = sa.select(Person).where(Person.key.in_(keys), Person.kind == Kind.STAFF).order_by(Person.name_key)
    names = "; ".join(person.name for person in session.scalars(found))
    if not names:
        return Invalid("mentions", "Somebody you ticked may not see this conversation. Look at the list again.")
    return Invalid(
        "mentions",
        "Not added: %(names)s may not see this conversation. Take the tick away, then press Add note again.",
        names=names,
    )


# ---- Reading -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Written:
    """A note as it is read: `row` has its key, body, time (UTC) and the author's names; whom it mentions, by id and name."""

    row: Any
    mentioned: dict[int, Any] = field(default_factory=dict)


_Mentioned = aliased(Person, name="mentioned")
_newest = (
    sa.select(Note.id).where(Note.thread_id == sa.bindparam("thread")).order_by(Note.id.desc()).limit(SHOWN).subquery("newest")
)
_NOTES = (
    sa.select(
        Note.id,
        Note.key,
        Note.body,
        Note.at,
        Person.last_name,
        Person.first_name,
        Mention.person_id,
        _Mentioned.last_name.label("mentioned_last_name"),
        _Mentioned.first_name.label("mentioned_first_name"),
    )
    .join(_newest, _newest.c.id == Note.id)
    .join(Person, Person.id == Note.author_id)
    .outerjoin(Mention, Mention.note_id == Note.id)
    .outerjoin(_Mentioned, _Mentioned.id == Mention.person_id)
    .order_by(Note.id, _Mentioned.name_key)
)


def last_note_id(thread: int) -> int:
    """The newest note of a thread; 0 where there is none."""
    return db.session.connection().scalar(_LAST, {"thread": thread}) or 0


_LAST = sa.select(Note.id).where(Note.thread_id == sa.bindparam("thread")).order_by(Note.id.desc()).limit(1)


def notes_of(thread: int) -> list[Written]:
    """The newest 100 notes of a thread, oldest first. Says nothing of who may read them: never to be shown to a patient."""
    found: dict[int, Written] = {}
    for row in db.session.connection().execute(_NOTES, {"thread": thread}):
        note = found.setdefault(row.id, Written(row))
        if row.person_id is not None:
            note.mentioned[row.person_id] = row
    return list(found.values())
