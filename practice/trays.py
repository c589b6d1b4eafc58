"""What waits for an admin: envelopes of unrouted, overdue and removed threads, and opening one with a reason (break-glass)."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from practice.db import Model


class BreakGlass(Model):
    """An admin who is not in charge opened a thread, and why. Shown to all admins; the words show until `ends_at`."""

    __tablename__ = "break_glass"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(22), unique=True)  # the key of the form: opened once
    thread_id: Mapped[int] = mapped_column(sa.ForeignKey("thread.id"))
    staff_id: Mapped[int] = mapped_column(sa.ForeignKey("staff.id"))
    reason: Mapped[str] = mapped_column(sa.String(500))
    at: Mapped[datetime]
    ends_at: Mapped[datetime]
    __table_args__ = (sa.Index(None, "thread_id", "staff_id"), sa.Index(None, "at", "id"))
