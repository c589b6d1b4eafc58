"""Business days and hours."""

from datetime import date, datetime, time, timedelta

import pytest

from practice.calendar import (
    BusinessCalendar,
    business_hours_later,
    countries,
    due_at,
    end_of_day,
    public_holidays,
    regions_of,
    time_zones,
)

DAY = (time(8), time(18))
WEEK = (DAY, DAY, DAY, DAY, DAY, None, None)
NEW_YORK = BusinessCalendar("America/New_York", WEEK, "US")
UTC = BusinessCalendar("UTC", WEEK)


def due(sent: datetime, days: int, calendar: BusinessCalendar = NEW_YORK) -> date:
    found = due_at(sent, business_days=days, calendar=calendar)
    assert found == end_of_day(found.date(), "UTC") or calendar.zone != "UTC"
    return (found - timedelta(hours=6)).date()  # the end of that day in New York is early on the next one in UTC


def test_a_promise_counts_neither_weekends_nor_holidays():
    assert due(datetime(2026, 11, 20, 15), 3) == date(2026, 11, 25)
    assert due(datetime(2026, 11, 24, 15), 3) == date(2026, 11, 30)  # Thanksgiving is Thursday the 26th
    assert due_at(datetime(2026, 11, 20, 15), business_days=3, calendar=NEW_YORK) == datetime(2026, 11, 26, 4, 59, 59)


def test_the_day_of_sending_is_the_practices_own():
    assert due(datetime(2026, 11, 21, 3), 1) == date(2026, 11, 23)  # still Friday in New York
    assert due(datetime(2026, 11, 24, 3), 1) == date(2026, 11, 24)  # still Monday there


def test_own_closed_days_and_open_holidays_count():
    own = BusinessCalendar(
        "America/New_York", WEEK, "US", closed=frozenset({date(2026, 11, 25)}), opened=frozenset({date(2026, 11, 26)})
    )
    assert due(datetime(2026, 11, 24, 15), 1, own) == date(2026, 11, 26)
    assert not own.is_business_day(date(2026, 11, 25)) and own.is_business_day(date(2026, 11, 26))


def test_an_opened_holiday_on_a_closed_weekday_stays_closed():
    own = BusinessCalendar("UTC", WEEK, "US", opened=frozenset({date(2026, 7, 4)}))
    assert not own.is_business_day(date(2026, 7, 4))  # a Saturday


def test_a_region_has_holidays_of_its_own():
    assert date(2026, 3, 31) in public_holidays("US", "CA", 2026)
    assert date(2026, 3, 31) not in public_holidays("US", "", 2026)
    assert not BusinessCalendar("UTC", WEEK, "US", "CA").is_business_day(date(2026, 3, 31))


@pytest.mark.parametrize(
    ("country", "region"), [("ZZ", ""), ("US", "BY"), ("", ""), ("BY", "CA"), ("__class__", ""), ("USA", "")]
)
def test_a_country_or_region_that_is_none_has_no_holidays(country, region):
    assert not public_holidays(country, region, 2026)


def test_what_is_offered_is_known_to_the_library():
    assert {"US", "DE", "KR"} <= set(countries()) and all(len(code) == 2 for code in countries())
    assert regions_of("US")["CA"] == "California" and not regions_of("ZZ")
    assert "America/New_York" in time_zones() and "localtime" not in time_zones()
    for country in countries():
        assert public_holidays(country, "", 2026) is not None


def test_hours_count_only_while_it_is_open():
    assert business_hours_later(datetime(2026, 11, 20, 9), 4, UTC) == datetime(2026, 11, 20, 13)
    assert business_hours_later(datetime(2026, 11, 20, 16), 4, UTC) == datetime(2026, 11, 23, 10)  # over the weekend
    assert business_hours_later(datetime(2026, 11, 20, 3), 4, UTC) == datetime(2026, 11, 20, 12)
    assert business_hours_later(datetime(2026, 11, 21, 12), 11, UTC) == datetime(2026, 11, 24, 9)
    assert business_hours_later(datetime(2026, 11, 20, 14), 4, UTC) == datetime(2026, 11, 20, 18)
    assert business_hours_later(datetime(2026, 11, 25, 20), 10, NEW_YORK) == datetime(2026, 11, 27, 20)  # Thanksgiving


def test_hours_on_the_night_clocks_change():
    night = BusinessCalendar("America/New_York", ((time(0), time(6)),) * 7)
    # March 8, 2026: from 2:00 to 3:00 there is no hour, so the night has five
    assert business_hours_later(datetime(2026, 3, 8, 5), 5, night) == datetime(2026, 3, 8, 10)
    assert business_hours_later(datetime(2026, 3, 8, 5), 5.5, night) == datetime(2026, 3, 9, 4, 30)


def test_a_practice_that_is_never_open_ends_the_search():
    never = BusinessCalendar("UTC", (None,) * 7)
    assert due_at(datetime(2026, 11, 20, 9), business_days=3, calendar=never) == datetime(2026, 11, 23, 23, 59, 59)
    assert business_hours_later(datetime(2026, 11, 20, 9), 4, never) == datetime(2026, 11, 20, 13)


def test_one_open_day_a_week_is_enough():
    mondays = BusinessCalendar("UTC", (DAY, *[None] * 6))
    assert due_at(datetime(2026, 11, 20, 9), business_days=30, calendar=mondays).date() == date(2027, 6, 14)
