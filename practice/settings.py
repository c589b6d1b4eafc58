"""The practice's own settings (one row), its facilities and the physicians that refer to it."""

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from practice.db import Model, db


class RequestType(StrEnum):
    """What a message is about; decides who receives it."""

    APPOINTMENT = "Appointment"
    RESULT = "Result"
    OTHERS = "Others"
    AMENDMENT = "Amendment"


class Practice(Model):
    """The only row has id 1."""

    __tablename__ = "practice"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(120))
    address: Mapped[str] = mapped_column(sa.String(200))
    phone: Mapped[str] = mapped_column(sa.String(40))
    hours: Mapped[str] = mapped_column(sa.String(200))
    emergency_number: Mapped[str] = mapped_column(sa.String(20))
    time_zone: Mapped[str] = mapped_column(sa.String(60))
    country: Mapped[str] = mapped_column(sa.String(2))  # ISO 3166, for public holidays
    promise_days: Mapped[int]  # business days until an answer
    amendment_days: Mapped[int]  # calendar days until a decision, 45 CFR 164.526
    meaningful_use: Mapped[bool]
    shows_staff_names: Mapped[bool]
    asks_physician: Mapped[bool]  # Referring physician is required
    is_demo: Mapped[bool]


class Facility(Model):
    __tablename__ = "facility"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(22), unique=True)
    name: Mapped[str] = mapped_column(sa.String(120), unique=True)
    address: Mapped[str] = mapped_column(sa.String(200))


class ReferringPhysician(Model):
    __tablename__ = "referring_physician"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(22), unique=True)
    name: Mapped[str] = mapped_column(sa.String(120), unique=True)


def the_practice(session: sa.orm.Session | None = None) -> Practice:
    return (session or db.session).get_one(Practice, 1)


def new_practice() -> Practice:
    """The row a fresh database begins with."""
    return Practice(
        id=1,
        name="Our practice",
        address="",
        phone="",
        hours="",
        emergency_number="911",
        time_zone="America/New_York",
        country="US",
        promise_days=3,
        amendment_days=60,
        meaningful_use=False,
        shows_staff_names=False,
        asks_physician=False,
        is_demo=False,
    )


def facilities() -> list[Facility]:
    return list(db.session.scalars(sa.select(Facility).order_by(Facility.name)))


def physicians() -> list[ReferringPhysician]:
    return list(db.session.scalars(sa.select(ReferringPhysician).order_by(ReferringPhysician.name)))
