"""Internal notes of a thread: for those who may see it on the staff side, and on no way out to the patient."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from practice.db import Model


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
