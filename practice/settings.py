"""The practice's own settings (one row), its facilities and the physicians that refer to it."""

import json
from datetime import date, time
from enum import StrEnum
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from practice.calendar import BusinessCalendar, Opening
from practice.db import Model, choice, db
from practice.emergency import WORDS
from practice.errors import NotVisible

OPENING = "[" + ", ".join(['["08:00", "18:00"]'] * 5 + ["null"] * 2) + "]"


class RequestType(StrEnum):
    """What a message is about; decides who receives it."""

    APPOINTMENT = "Appointment"
    RESULT = "Result"
    OTHERS = "Others"
    AMENDMENT = "Amendment"


class MenuItem(StrEnum):
    """What an admin can switch off for patients (Menu Settings), beside the Meaningful Use mode."""

    ACCOUNT_INFO = "account_info"
    MY_APPOINTMENTS = "my_appointments"
    REQUEST_APPOINTMENT = "request_appointment"
    MY_RESULTS = "my_results"
    REQUEST_RESULT = "request_result"
    MESSAGE = "message"
    MY_INFO = "my_info"


class SecondStepFor(StrEnum):
    """Who has to log in with a second step; everybody may."""

    NOBODY = "nobody"
    ADMINS = "admins"
    STAFF = "staff"  # admins too


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
    region: Mapped[str] = mapped_column(sa.String(20), server_default="")  # the library's subdivision of the country
    promise_appointment: Mapped[int] = mapped_column(server_default="3")  # business days until an answer
    promise_result: Mapped[int] = mapped_column(server_default="3")
    promise_others: Mapped[int] = mapped_column(server_default="3")
    amendment_days: Mapped[int]  # calendar days until a decision, 45 CFR 164.526
    meaningful_use: Mapped[bool]
    shows_staff_names: Mapped[bool]
    asks_physician: Mapped[bool]  # Referring physician is required
    can_register: Mapped[bool] = mapped_column(server_default=sa.false())  # who has no account yet may make one
    is_demo: Mapped[bool]
    opening: Mapped[str] = mapped_column(sa.Text, server_default=OPENING)  # JSON: for each weekday from Monday [from, to] or null
    claim_hours: Mapped[int] = mapped_column(server_default="4")  # business hours a claim holds
    escalate_days: Mapped[int] = mapped_column(server_default="1")  # business days past the promise until admins are told
    unread_days: Mapped[int] = mapped_column(server_default="7")  # until its author is told that it is unread; 0: never
    emergency_text: Mapped[str] = mapped_column(sa.String(1000), server_default="")  # said beside the emergency number
    emergency_words: Mapped[str] = mapped_column(sa.Text, server_default="")  # one a line: who writes them is warned
    menu_off: Mapped[str] = mapped_column(sa.String(200), server_default="")  # the MenuItems switched off, "a,b"
    logo_key: Mapped[str] = mapped_column(sa.String(22), server_default="")  # "": no logo; a new one for each logo
    holidays_key: Mapped[str] = mapped_column(sa.String(22), server_default="")  # "": no Holiday; a new one for each change
    second_step: Mapped[SecondStepFor] = mapped_column(choice(SecondStepFor, is_checked=False), server_default="admins")
    version: Mapped[int] = mapped_column(sa.Integer, server_default="1")
    __mapper_args__ = {"version_id_col": version}


class Logo(Model):
    """The practice's picture; apart from its settings, which every page reads. At most one row, of id 1."""

    __tablename__ = "logo"
    id: Mapped[int] = mapped_column(primary_key=True)
    media_type: Mapped[str] = mapped_column(sa.String(20))
    content: Mapped[bytes] = mapped_column(sa.LargeBinary)


class Holiday(Model):
    """A day on which the practice differs from its public holidays: closed on a day that is none, or open on one that is."""

    __tablename__ = "holiday"
    day: Mapped[date] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(120))
    is_closed: Mapped[bool]


class TermKind(StrEnum):
    LEVEL = "level"
    GROUP = "group"
    SPECIALTY = "specialty"
    INSTITUTION = "institution"
    DEPARTMENT = "department"


class StaffTerm(Model):
    """A word of one of the short lists by which the practice calls its people. Staff keep the word itself."""

    __tablename__ = "staff_term"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(22), unique=True)
    kind: Mapped[TermKind] = mapped_column(choice(TermKind))
    name: Mapped[str] = mapped_column(sa.String(60))
    is_in_use: Mapped[bool] = mapped_column(server_default=sa.true())
    __table_args__ = (sa.UniqueConstraint("kind", "name"),)


class Facility(Model):
    __tablename__ = "facility"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(22), unique=True)
    name: Mapped[str] = mapped_column(sa.String(120), unique=True)
    address: Mapped[str] = mapped_column(sa.String(200))
    is_in_use: Mapped[bool] = mapped_column(server_default=sa.true())  # offered to patients; old requests keep it


class ReferringPhysician(Model):
    __tablename__ = "referring_physician"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(22), unique=True)
    name: Mapped[str] = mapped_column(sa.String(120), unique=True)
    is_in_use: Mapped[bool] = mapped_column(server_default=sa.true())


def the_practice(session: sa.orm.Session | None = None) -> Practice:
    return (session or db.session).get_one(Practice, 1)


def practice_shown() -> Any:
    """Its columns as they are saved now, for a page that shows them."""
    return db.session.connection().execute(_COLUMNS).one()


_COLUMNS = sa.select(*Practice.__table__.columns).where(Practice.id == 1)


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
        amendment_days=60,
        meaningful_use=False,
        shows_staff_names=False,
        asks_physician=False,
        can_register=False,
        is_demo=False,
        region="",
        promise_appointment=3,
        promise_result=3,
        promise_others=3,
        opening=OPENING,
        claim_hours=4,
        escalate_days=1,
        unread_days=7,
        emergency_text="",
        emergency_words=WORDS,
        menu_off="",
        logo_key="",
        holidays_key="",
        second_step=SecondStepFor.ADMINS,
    )


def promise_days(practice: Any, kind: RequestType) -> int:
    """Business days until an answer to a request of this type. `practice`: the row, or one with its columns."""
    days = {RequestType.APPOINTMENT: practice.promise_appointment, RequestType.RESULT: practice.promise_result}
    return int(days.get(kind, practice.promise_others))


def is_on(practice: Any, item: MenuItem) -> bool:
    """Whether patients have this part of the portal. `practice`: the row, or one with its columns."""
    return item not in practice.menu_off.split(",") and (item != MenuItem.MY_INFO or bool(practice.meaningful_use))


class SwitchedOff(NotVisible):
    """A part of the portal that patients do not have now: its page says how else to ask."""

    def __init__(self, item: MenuItem) -> None:
        super().__init__(item)
        self.item = item


REQUESTED_IN = {
    RequestType.APPOINTMENT: MenuItem.REQUEST_APPOINTMENT,
    RequestType.RESULT: MenuItem.REQUEST_RESULT,
    RequestType.OTHERS: MenuItem.MESSAGE,
    RequestType.AMENDMENT: MenuItem.MY_INFO,
}
"""Where in the menu a patient begins a request of each type."""


# ---- When it is open -----------------------------------------------------------------------------


def calendar_of(practice: Any, session: sa.orm.Session | None = None) -> BusinessCalendar:
    """When a practice that was read before is open: the row, or one with its columns.

    Its own days are read once in a process for each change of them: their key is a new one each time.
    """
    closed, opened = _own_days(session or db.session(), practice.holidays_key)
    return BusinessCalendar(practice.time_zone, opening_of(practice.opening), practice.country, practice.region, closed, opened)


_own: dict[str, tuple[frozenset[date], frozenset[date]]] = {}


def _own_days(session: sa.orm.Session, key: str) -> tuple[frozenset[date], frozenset[date]]:
    """The days on which it is closed besides, and the public holidays on which it is open."""
    if not key:
        return frozenset(), frozenset()
    if key not in _own:
        days = session.execute(sa.select(Holiday.day, Holiday.is_closed)).all()
        if len(_own) >= 16:
            _own.clear()
        _own[key] = frozenset(d for d, is_closed in days if is_closed), frozenset(d for d, is_closed in days if not is_closed)
    return _own[key]


@lru_cache(maxsize=32)
def opening_of(text: str) -> Opening:
    """The opening hours as they are kept (JSON)."""
    return tuple((time.fromisoformat(day[0]), time.fromisoformat(day[1])) if day else None for day in json.loads(text))


def opening_text(opening: Opening) -> str:
    """How they are kept."""
    return json.dumps([[f"{at:%H:%M}" for at in day] if day else None for day in opening])


# ---- Short lists ---------------------------------------------------------------------------------


def facilities() -> list[Facility]:
    """Those in use, by name: what a patient can choose."""
    return list(db.session.scalars(sa.select(Facility).where(Facility.is_in_use).order_by(Facility.name)))


def physicians() -> list[ReferringPhysician]:
    """Those in use, by name: what a patient can choose."""
    in_use = sa.select(ReferringPhysician).where(ReferringPhysician.is_in_use)
    return list(db.session.scalars(in_use.order_by(ReferringPhysician.name)))
