"""Links that work once: who opens one is the person it was made for. Kept hashed, short-lived, bound to a purpose."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from practice.db import Model, choice


class Purpose(StrEnum):
    INVITATION = "invitation"  # to choose the first password


class OneTimeLink(Model):
    __tablename__ = "one_time_link"
    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"), index=True)
    purpose: Mapped[Purpose] = mapped_column(choice(Purpose, is_checked=False))
    token_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    created_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
