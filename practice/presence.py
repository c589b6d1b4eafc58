"""Who has a thread open, and who writes: rows that live 25 seconds, apart from everything that lasts."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from practice.db import Model


class Presence(Model):
    """A member of staff had the thread open at `at`."""

    __tablename__ = "presence"
    thread_id: Mapped[int] = mapped_column(sa.ForeignKey("thread.id"), primary_key=True)
    person_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"), primary_key=True)
    is_writing: Mapped[bool]
    at: Mapped[datetime]
    __table_args__ = (sa.Index(None, "at"),)
