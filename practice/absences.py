"""Absences: from when to when a member of staff is away, and who stands in for them. One step: a deputy's deputy does not."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from practice.db import Model


class Absence(Model):
    """`staff` is away from `starts_at` until `ends_at` (naive UTC, not included). Ended early, `ends_at` is brought forward."""

    __tablename__ = "absence"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(22), unique=True)
    staff_id: Mapped[int] = mapped_column(sa.ForeignKey("staff.id"))
    deputy_id: Mapped[int | None] = mapped_column(sa.ForeignKey("staff.id"))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(sa.Integer)
    __table_args__ = (
        sa.Index(None, "staff_id", "ends_at"),
        sa.Index(None, "deputy_id", "ends_at"),
        sa.Index(None, "ends_at"),
    )
    __mapper_args__ = {"version_id_col": version}


def start_of_day(day: date, zone: str) -> datetime:
    """Midnight at which `day` begins in `zone`, as naive UTC."""
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None)
