"""Business days: the promise of an answer is counted in them. Public holidays come from the holidays library."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

WEEKEND = (5, 6)  # Saturday, Sunday


@lru_cache(maxsize=64)
def _holidays(country: str, year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays(country, years=year)) if country else frozenset()


def is_business_day(day: date, country: str) -> bool:
    return day.weekday() not in WEEKEND and day not in _holidays(country, day.year)


def due_at(sent_at: datetime, *, business_days: int, zone: str, country: str) -> datetime:
    """The last moment (naive UTC) of the business day by which an answer to what was sent at `sent_at` is promised."""
    local = ZoneInfo(zone)
    day = sent_at.replace(tzinfo=UTC).astimezone(local).date()
    for _ in range(business_days):
        day += timedelta(days=1)
        while not is_business_day(day, country):
            day += timedelta(days=1)
    return end_of_day(day, zone)


def end_of_day(day: date, zone: str) -> datetime:
    """The last second of `day` in `zone`, as naive UTC."""
    return datetime.combine(day, time(23, 59, 59), ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None)
