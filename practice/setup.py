"""What an admin sets up of the practice: its settings, its own holidays, its logo, and what patients have in their menu."""

import struct
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from practice.calendar import Opening, countries, public_holidays, regions_of, time_zones
from practice.conversations import clean, is_visible
from practice.db import Actor, Transaction, counted, db, new_key, transaction
from practice.drafts import delete_draft
from practice.emergency import WORD_MAX, WORDS_MAX
from practice.errors import Invalid, NotVisible, Stale
from practice.people import must_be_admin
from practice.settings import (
    REQUESTED_IN,
    Holiday,
    Logo,
    MenuItem,
    Practice,
    RequestType,
    SecondStepFor,
    is_on,
    opening_of,
    opening_text,
)
from practice.threads import Thread

TEXTS = {
    "name": 120,
    "address": 200,
    "phone": 40,
    "hours": 200,
    "emergency_number": 20,
    "emergency_text": 1000,
    "emergency_words": WORDS_MAX,
}
NUMBERS = {
    "promise_appointment": (1, 30),
    "promise_result": (1, 30),
    "promise_others": (1, 30),
    "amendment_days": (1, 60),
    "claim_hours": (1, 40),
    "escalate_days": (0, 30),
    "unread_days": (0, 60),
}
OUTSIDE = {
    (1, 30): "Enter a whole number from 1 to 30.",
    (1, 40): "Enter a whole number from 1 to 40.",
    (1, 60): "Enter a whole number from 1 to 60.",
    (0, 30): "Enter a whole number from 0 to 30.",
    (0, 60): "Enter a whole number from 0 to 60.",
}
"""The longest text in code points; the least and the highest number. 45 CFR 164.526 allows 60 days for an amendment."""
LOGO_MAX, LOGO_SIDE_MAX = 200_000, 4000  # bytes, pixels
NAME_MAX = 120  # of a closed day
FIRST_YEAR, LAST_YEAR = 2020, 2099  # holidays are kept for these


# ---- Settings ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Settings:
    """What *Practice* saves. `opening`: for each weekday from Monday from and to, or None; the numbers as NUMBERS says."""

    name: str
    address: str
    phone: str
    hours: str
    emergency_number: str
    emergency_text: str
    emergency_words: str
    time_zone: str
    country: str
    region: str
    opening: Opening
    promise_appointment: int
    promise_result: int
    promise_others: int
    amendment_days: int
    claim_hours: int
    escalate_days: int
    unread_days: int
    shows_staff_names: bool
    asks_physician: bool
    second_step: str
    can_register: bool


def settings_of(practice: Any) -> Settings:
    """As they are saved. `practice`: the row, or one with its columns."""
    values = {field.name: getattr(practice, field.name) for field in fields(Settings)}
    return Settings(**values | {"opening": opening_of(practice.opening)})


def problems_of(values: Settings) -> list[Invalid]:
    """All that cannot be saved, at most one for each field. `to_0` is the end of Monday's hours."""
    found = [problem for name, most in TEXTS.items() if (problem := _problem_of_text(name, getattr(values, name), most))]
    if len(values.emergency_words) <= WORDS_MAX and any(len(line) > WORD_MAX for line in values.emergency_words.splitlines()):
        found.append(Invalid("emergency_words", "Write one word or phrase a line, of 80 characters at most."))
    for name, allowed in NUMBERS.items():
        number = getattr(values, name)
        if not isinstance(number, int) or not allowed[0] <= number <= allowed[1]:
            found.append(Invalid(name, OUTSIDE[allowed]))
    if values.time_zone not in time_zones():
        found.append(Invalid("time_zone", "Choose a time zone of the list."))
    if values.country not in countries():
        found.append(Invalid("country", "Choose a country of the list."))
    elif values.region not in ("", *regions_of(values.country)):
        found.append(Invalid("region", "The country has no such region. Choose one of its own, or the whole country."))
    if values.second_step not in list(SecondStepFor):
        found.append(Invalid("second_step", "Choose one of the three."))
    found += [
        Invalid(f"to_{weekday}", "The end is not after the beginning.")
        for weekday, hours in enumerate(values.opening)
        if hours and hours[1] <= hours[0]
    ]
    if not any(values.opening):
        found.append(Invalid("closed_0", "Be open on at least one day of the week: promises are counted in open days."))
    return found


def _problem_of_text(name: str, text: str, most: int) -> Invalid | None:
    try:
        if is_visible(text):
            clean(name, text, most)
        elif name in ("name", "emergency_number"):
            return Invalid(name, "Write something here.")
    except Invalid as error:
        return error
    return None


def save_practice(values: Settings, *, version: int | None, form_key: str | None = None, by: Actor) -> None:
    """Raises Invalid (the first of problems_of), and Stale when somebody saved other values after `version`.

    `form_key`: the form whose draft is done with.
    """
    with transaction(by=by, did="save_practice", about="practice") as tx:
        must_be_admin(tx)
        for problem in problems_of(values):
            raise problem
        practice = _seen(tx, version, is_same=lambda saved: settings_of(saved) == values)
        before = asdict(settings_of(practice))
        after = asdict(values) | {name: _tidy(getattr(values, name)) for name in TEXTS}
        for name, value in after.items():
            setattr(practice, name, opening_text(values.opening) if name == "opening" else value)
        tx.note_change(_for_audit(before), _for_audit(after))
        _done_with(tx, form_key)


def _tidy(text: str) -> str:
    return clean("", text, max(TEXTS.values())) if is_visible(text) else ""


def _for_audit(values: dict[str, Any]) -> dict[str, Any]:
    return values | {"opening": opening_text(values["opening"])}


def _seen(tx: Transaction, version: int | None, *, is_same: Any = lambda saved: False) -> Practice:
    """The practice's row, locked. Raises Stale unless it is still of this version, or holds what is to be saved already."""
    practice = tx.session.scalars(sa.select(Practice).where(Practice.id == 1).with_for_update()).one()
    if practice.version != version and not is_same(practice):
        raise Stale("saved by somebody else")
    return practice


def _done_with(tx: Transaction, form_key: str | None) -> None:
    if form_key and tx.by.person is not None:
        delete_draft(tx.session, tx.by.person, form_key)


# ---- Holidays ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Day:
    """A day of the year's list. `is_public`: of the country; else one of the practice's own."""

    day: date
    name: str
    is_closed: bool
    is_public: bool


def holidays_of(practice: Any, year: int, session: Session | None = None) -> list[Day]:
    """The public holidays of the practice's country and region with its own closed days, in order."""
    public = public_holidays(practice.country, practice.region, year)
    within = {"first": date(year, 1, 1), "last": date(year, 12, 31)}
    own = {row.day: row for row in (session or db.session).execute(_OWN_DAYS, within)}
    found = [Day(day, name, day not in own or own[day].is_closed, True) for day, name in public.items()]
    found += [Day(day, row.name, True, False) for day, row in own.items() if row.is_closed and day not in public]
    return sorted(found, key=lambda one: one.day)


_OWN_DAYS = sa.select(Holiday.day, Holiday.name, Holiday.is_closed).where(
    Holiday.day >= sa.bindparam("first"), Holiday.day <= sa.bindparam("last")
)


def save_holidays(year: int, *, closed: Iterable[date], version: int | None, by: Actor) -> None:
    """Says on which days of the year's list the practice is closed; an own day that is not closed leaves the list.

    Raises Stale when the practice was saved after `version`.
    """
    wanted = set(closed)
    with transaction(by=by, did="save_holidays", about=str(year)) as tx:
        must_be_admin(tx)

        def differing(saved: Practice) -> list[Day]:
            return [one for one in holidays_of(saved, year, tx.session) if one.is_closed != (one.day in wanted)]

        practice = _seen(tx, version, is_same=lambda saved: not differing(saved))
        changed = differing(practice)
        for one in changed:
            row = tx.session.get(Holiday, one.day)
            if row is None:
                tx.session.add(Holiday(day=one.day, name=one.name[:NAME_MAX], is_closed=False))
            elif one.is_public and one.is_closed:  # an own closed day on which there is a public holiday too by now
                row.is_closed = False
            else:
                tx.session.delete(row)
        if changed:
            practice.holidays_key = new_key()
        tx.note_change(
            {str(one.day): "closed" if one.is_closed else "open" for one in changed},
            {str(one.day): "open" if one.is_closed else "closed" for one in changed},
        )


def add_closed_day(day: date | None, *, name: str, form_key: str | None = None, by: Actor) -> date:
    """One more day on which the practice is closed; answers it. Raises Invalid. The same form again changes nothing."""
    if day is None or not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise Invalid("day", "Choose a day from 2020 to 2099.")
    name = " ".join(clean("name", name, NAME_MAX).split())
    with transaction(by=by, did="add_closed_day", about=str(day)) as tx:
        must_be_admin(tx)
        practice = tx.session.scalars(sa.select(Practice).where(Practice.id == 1).with_for_update()).one()
        listed = next((one for one in holidays_of(practice, day.year, tx.session) if one.day == day), None)
        if listed == Day(day, name, is_closed=True, is_public=False):
            tx.is_silent = True
            return day
        if listed:
            raise Invalid("day", "This day is on the list already.")
        row = tx.session.get(Holiday, day)  # left of another country's list
        if row is None:
            tx.session.add(Holiday(day=day, name=name, is_closed=True))
        else:
            row.name, row.is_closed = name, True
        practice.holidays_key = new_key()
        tx.note_change({str(day): "open"}, {str(day): f"closed: {name}"})
        _done_with(tx, form_key)
    return day


@dataclass(frozen=True)
class OtherHolidays:
    """What another country or region changes: days of the coming year that are no holidays any more, and new ones."""

    gone: list[tuple[date, str]]
    new: list[tuple[date, str]]


def other_holidays(practice: Any, *, country: str, region: str, today: date) -> OtherHolidays:
    """Compares the public holidays of the year that begins `today`."""
    last = today + timedelta(days=365)

    def coming(of_country: str, of_region: str) -> dict[date, str]:
        both = {
            day: name for year in (today.year, last.year) for day, name in public_holidays(of_country, of_region, year).items()
        }
        return {day: name for day, name in both.items() if today <= day <= last}

    old, new = coming(practice.country, practice.region), coming(country, region)
    return OtherHolidays(
        [(day, name) for day, name in old.items() if day not in new], [(day, name) for day, name in new.items() if day not in old]
    )


# ---- Logo ----------------------------------------------------------------------------------------


def save_logo(content: bytes | None, *, by: Actor) -> None:
    """Shows this picture in the place of the mark; None: the mark again. Raises Invalid for what is no small PNG or JPEG."""
    media_type = media_type_of(content) if content is not None else ""
    with transaction(by=by, did="save_logo" if content is not None else "remove_logo", about="practice") as tx:
        must_be_admin(tx)
        practice = tx.session.scalars(sa.select(Practice).where(Practice.id == 1).with_for_update()).one()
        before = practice.logo_key
        tx.session.execute(sa.delete(Logo))
        if content is not None:
            tx.session.add(Logo(id=1, media_type=media_type, content=content))
        practice.logo_key = new_key() if content is not None else ""
        tx.note_change({"logo": before}, {"logo": practice.logo_key})


def logo_of(key: str) -> Logo:
    """The picture under its key of now. Raises NotVisible."""
    found = db.session.scalar(sa.select(Logo).join(Practice, Practice.id == Logo.id).where(Practice.logo_key == key))
    if found is None or not key:
        raise NotVisible
    return found


def media_type_of(content: bytes) -> str:
    """By what the file holds, never by its name. Raises Invalid."""
    if not content:
        raise Invalid("logo", "Choose a picture.")
    if len(content) > LOGO_MAX:
        raise Invalid("logo", "Choose a picture of at most 200 kB.")
    size = _size_of_png(content) or _size_of_jpeg(content)
    if size is None:
        raise Invalid("logo", "Choose a PNG or JPEG picture. This file is neither.")
    if not all(1 <= side <= LOGO_SIDE_MAX for side in size):
        raise Invalid("logo", "Choose a picture of at most 4,000 by 4,000 pixels.")
    return "image/png" if content[:1] == b"\x89" else "image/jpeg"


def _size_of_png(content: bytes) -> tuple[int, int] | None:
    if content[:16] != b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" or b"IDAT" not in content or b"IEND" not in content[-32:]:
        return None
    return struct.unpack(">II", content[16:24])


def _size_of_jpeg(content: bytes) -> tuple[int, int] | None:
    """Width and height stand in the frame's segment; the segments before it are passed over."""
    if content[:3] != b"\xff\xd8\xff" or b"\xff\xda" not in content or b"\xff\xd9" not in content[-1024:]:
        return None
    place = 2
    while place + 9 <= len(content) and content[place] == 0xFF:
        kind, length = content[place + 1], int.from_bytes(content[place + 2 : place + 4])
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", content[place + 5 : place + 9])
            return width, height
        if length < 2:
            return None
        place += 2 + length
    return None


# ---- Menu ----------------------------------------------------------------------------------------


def save_menu(
    items_on: Iterable[MenuItem], *, meaningful_use: bool, version: int | None, form_key: str | None = None, by: Actor
) -> None:
    """What patients have. Raises Stale when somebody saved something else after `version`."""
    wanted = {item: item in set(items_on) for item in MenuItem} | {"meaningful_use": meaningful_use}
    with transaction(by=by, did="save_menu", about="menu") as tx:
        must_be_admin(tx)
        practice = _seen(tx, version, is_same=lambda saved: menu_of(saved) == wanted)
        before = menu_of(practice)
        practice.menu_off = ",".join(item for item in MenuItem if not wanted[item])
        practice.meaningful_use = meaningful_use
        tx.note_change({str(k): v for k, v in before.items()}, {str(k): v for k, v in wanted.items()})
        _done_with(tx, form_key)


def menu_of(practice: Any) -> dict[Any, bool]:
    """The switch of each item, and of Meaningful Use mode, as they are saved."""
    off = practice.menu_off.split(",")
    return {item: item not in off for item in MenuItem} | {"meaningful_use": bool(practice.meaningful_use)}


def closes(practice: Any, items_on: Iterable[MenuItem], *, meaningful_use: bool) -> list[RequestType]:
    """The types that patients can request now and could not after such a save."""
    on = set(items_on) - (set() if meaningful_use else {MenuItem.MY_INFO})
    return [kind for kind, item in REQUESTED_IN.items() if is_on(practice, item) and item not in on]


def under_way(kind: RequestType) -> int:
    """How many requests of a type wait for an answer, counted up to COUNTED + 1; by the index of those that wait."""
    return counted(db.session(), sa.select(Thread.id).where(Thread.due_at.is_not(None), Thread.type == kind))
