"""One act on many threads at once: each its own verb with its own result, and one Undo for what was done."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from practice.db import Model


class Batch(Model):
    """What one press did to which threads, so that Undo can bring back exactly that."""

    __tablename__ = "batch"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(22), unique=True)  # its form's
    by_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"), index=True)
    did: Mapped[str] = mapped_column(sa.String(24))
    at: Mapped[datetime]
    items: Mapped[str] = mapped_column(sa.Text)  # JSON
    undone_at: Mapped[datetime | None]
