"""Absences: from when to when a member of staff is away, and who stands in for them. One step: a deputy's deputy does not."""

from datetime import date, datetime, time, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from practice.calendar import at_local
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
    return at_local(day, time(), zone)


def last_moment(starts_at: datetime, ends_at: datetime) -> datetime:
    """The last second of an absence, which lies on its last day; of one called off before it began, its beginning."""
    return max(starts_at, ends_at - timedelta(seconds=1))
