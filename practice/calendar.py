"""Business days and hours: promises are counted in the days, claims in the hours. Public holidays come from the holidays library.

Moments go in and come out as naive UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from types import MappingProxyType
from zoneinfo import ZoneInfo, available_timezones

import holidays

LOOKS_AHEAD = 3 * 366  # days; so far a search for a business day goes, and no further
Opening = tuple[tuple[time, time] | None, ...]  # for each weekday from Monday: from and to, or closed


# ---- Public holidays -----------------------------------------------------------------------------


@lru_cache(maxsize=128)
def public_holidays(country: str, region: str, year: int) -> Mapping[date, str]:
    """The public holidays of a year with their names, in order; none for a country or region that the library does not know."""
    if region not in ("", *regions_of(country)) or country not in countries():
        return MappingProxyType({})
    of_country = holidays.country_holidays
    spoken = getattr(holidays, country).supported_languages
    language = "en_US" if "en_US" in spoken else None
    found = of_country(country, subdiv=region or None, years=year, language=language)
    return MappingProxyType({day: found[day] for day in sorted(found) if day.year == year})


@lru_cache(maxsize=1)
def countries() -> tuple[str, ...]:
    """The countries whose public holidays are known: ISO 3166, two letters, in order."""
    return tuple(sorted(code for code in holidays.list_supported_countries(include_aliases=False) if len(code) == 2))


@lru_cache(maxsize=64)
def regions_of(country: str) -> Mapping[str, str]:
    """The regions with holidays of their own: code and name (the code again where it has none), in order of name."""
    if country not in countries():
        return MappingProxyType({})
    known = getattr(holidays, country)
    names = {code: name for name, code in reversed(known.subdivisions_aliases.items())}
    found = {code: names.get(code, code) for code in known.subdivisions}
    return MappingProxyType(dict(sorted(found.items(), key=lambda entry: entry[1])))


@lru_cache(maxsize=1)
def time_zones() -> tuple[str, ...]:
    """The names a time zone can have, in order."""
    no_places = ("Etc/", "posix", "right", "SystemV")
    places = (zone for zone in available_timezones() if "/" in zone and not zone.startswith(no_places))
    return tuple(sorted(("UTC", *places)))


# ---- One practice's calendar ---------------------------------------------------------------------


@dataclass(frozen=True)
class BusinessCalendar:
    """When a practice is open: its weekdays, without its country's holidays and its own closed days.

    `closed` are days on which it is closed besides, `opened` public holidays on which it is open.
    """

    zone: str
    opening: Opening
    country: str = ""
    region: str = ""
    closed: frozenset[date] = frozenset()
    opened: frozenset[date] = frozenset()

    def is_business_day(self, day: date) -> bool:
        if self.opening[day.weekday()] is None or day in self.closed:
            return False
        return day in self.opened or day not in public_holidays(self.country, self.region, day.year)

    def hours_of(self, day: date) -> tuple[datetime, datetime] | None:
        """From and to; None on a day that is no business day."""
        hours = self.opening[day.weekday()]
        if hours is None or not self.is_business_day(day):
            return None
        return at_local(day, hours[0], self.zone), at_local(day, hours[1], self.zone)


def due_at(sent_at: datetime, *, business_days: int, calendar: BusinessCalendar) -> datetime:
    """The last moment of the business day by which an answer to what was sent at `sent_at` is promised.

    A practice that is never open promises so many plain days.
    """
    first = local_day(sent_at, calendar.zone)
    left, day = business_days, first
    for _ in range(LOOKS_AHEAD):
        if not left:
            return end_of_day(day, calendar.zone)
        day += timedelta(days=1)
        left -= calendar.is_business_day(day)
    return end_of_day(first + timedelta(days=business_days), calendar.zone)


def business_days_ago(at: datetime, days: int, calendar: BusinessCalendar) -> datetime:
    """The moment from which on less than `days` business days have gone by until `at`: the beginning of the last but so many
    that is over. What was promised by an earlier moment is late by `days` or more. A practice that is never open: plain days.
    """
    if not days:
        return at
    today = day = local_day(at, calendar.zone)
    left = days
    for _ in range(LOOKS_AHEAD):
        day -= timedelta(days=1)
        left -= calendar.is_business_day(day)
        if not left:
            return at_local(day, time(), calendar.zone)
    return at_local(today - timedelta(days=days), time(), calendar.zone)


def business_hours_later(at: datetime, hours: float, calendar: BusinessCalendar) -> datetime:
    """The moment when the practice has been open for `hours` since `at`. One that is never open: so many plain hours."""
    left, day = timedelta(hours=hours), local_day(at, calendar.zone)
    for _ in range(LOOKS_AHEAD):
        if opened := calendar.hours_of(day):
            begins, ends = max(at, opened[0]), opened[1]
            if begins + left <= ends:
                return begins + left
            left -= max(ends - begins, timedelta())
        day += timedelta(days=1)
    return at + timedelta(hours=hours)


def local_day(at: datetime, zone: str) -> date:
    """The day it is in `zone` at a moment."""
    return at.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date()


def at_local(day: date, clock: time, zone: str) -> datetime:
    """The moment when clocks in `zone` show it."""
    return datetime.combine(day, clock, ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None)


def times_shown(day: date, clock: time, zone: str) -> int:
    """How often clocks in `zone` show it: once; never or twice in the night in which they are put forward or back."""
    shown = [datetime.combine(day, clock.replace(fold=fold), ZoneInfo(zone)) for fold in (0, 1)]
    if shown[0].utcoffset() == shown[1].utcoffset():
        return 1
    return 2 if shown[0].astimezone(UTC).astimezone(ZoneInfo(zone)).time() == clock else 0


def end_of_day(day: date, zone: str) -> datetime:
    """The last second of `day` in `zone`."""
    return at_local(day, time(23, 59, 59), zone)
