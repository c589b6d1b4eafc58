"""Example data for the authorization walk: absences, as both sides keep them."""

from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from practice import coverage
from practice.absences import Absence
from practice.calendar import local_day
from practice.db import COMMAND, db, new_key, now
from practice.settings import the_practice


def practice_day() -> date:
    """The day it is at the practice, which for some hours is not the day in UTC."""
    return local_day(now(), the_practice().time_zone)


def plan(staff: Any, deputy: Any = None, *, first: int = 0, last: int = 2) -> str:
    """An absence from and to so many days from today, both included; answers its key."""
    today = practice_day()
    return coverage.add_absence(
        staff.key,
        first_day=today + timedelta(days=first),
        last_day=today + timedelta(days=last),
        deputy=deputy.key if deputy else None,
        form_key=new_key(),
        by=COMMAND,
    )


def version_of(key: str) -> int:
    db.session.close()
    return db.session.scalars(sa.select(Absence.version).where(Absence.key == key)).one()


def form(first: int = 30, last: int = 32, **more: Any) -> dict[str, Any]:
    """What the form sends; it plans days that no other example uses."""
    today = practice_day()
    days = {"first_day": str(today + timedelta(days=first)), "last_day": str(today + timedelta(days=last))}
    return days | {"deputy": "nina", "key": new_key()} | more


def _one(cast: Any) -> str:
    """Fay's absence, planned once for each test."""
    db.session.close()
    found = db.session.scalar(sa.select(Absence.key).where(Absence.staff_id == cast.fay.id, Absence.ends_at > now()).limit(1))
    return found or plan(cast.fay, cast.nina, first=3, last=5)


def _of_admin(cast: Any) -> dict[str, Any]:
    key = _one(cast)
    data = form(3, 6, version=str(version_of(key)))
    return {"player": cast.ada, "own": {"key": key}, "others": [(cast.ada, {"key": "x" * 22})], "data": data}


def _own(cast: Any) -> dict[str, Any]:
    return _of_admin(cast) | {"player": cast.fay, "others": [(cast.nina, {"key": _one(cast)}), (cast.fay, {"key": "x" * 22})]}


EXAMPLES: dict[str, Any] = {
    "admin.absences": lambda cast: {"player": _of_admin(cast)["player"]},
    "admin.new_absence": lambda cast: {},
    "admin.add_absence": lambda cast: {"player": cast.ada, "data": form(staff="fay")},
    "admin.absence": _of_admin,
    "admin.change_absence": _of_admin,
    "admin.end_absence": _of_admin,
    "staff.absences": lambda cast: {"player": _own(cast)["player"]},
    "staff.new_absence": lambda cast: {},
    "staff.add_absence": lambda cast: {"player": cast.fay, "data": form()},
    "staff.absence": _own,
    "staff.change_absence": _own,
    "staff.end_absence": _own,
}
