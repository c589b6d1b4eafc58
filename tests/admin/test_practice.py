"""Practice: its settings, what each wrong value says, two admins at once, its holidays and its logo."""

import json
from datetime import date, datetime, timedelta
from html import unescape
from typing import Any

import pytest
import sqlalchemy as sa

from practice import setup
from practice.calendar import public_holidays
from practice.conversations import promised_by
from practice.db import COMMAND, Audit, db, now
from practice.errors import Invalid, NotAllowed, NotVisible
from practice.settings import Holiday, Logo, Practice, RequestType, calendar_of, the_practice
from tests.conftest import Cast
from tests.examples.admin_practice import PICTURE, File, png, practice_form

URL, HOLIDAYS, LOGO = "/admin/practice", "/admin/practice/holidays", "/admin/practice/logo"
JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    b"\xff\xc0\x00\x11\x08\x00\x10\x00\x20\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01\xff\xda\x00\x08\xff\xd9"
)


def saved() -> Practice:
    db.session.close()
    return the_practice()


def days() -> dict[date, bool]:
    db.session.close()
    return {row.day: row.is_closed for row in db.session.scalars(sa.select(Holiday))}


# ---- Settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize("htmx", [False, True])
def test_everything_is_saved_and_shown_again(cast: Cast, htmx: bool) -> None:
    changed: dict[str, Any] = {
        "name": 'Praxis <i>"Linde"</i>',
        "address": "אלנבי 14",
        "phone": "+49 30 1",
        "hours": "",
        "emergency_number": "112",
        "emergency_text": "Line one\r\nLine two",
        "emergency_words": "chest pain\r\n\r\n  stroke \r\nCHEST  Pain",
        "time_zone": "Europe/Berlin",
        "promise_appointment": 1,
        "promise_result": 30,
        "promise_others": 5,
        "amendment_days": 60,
        "claim_hours": 40,
        "escalate_days": 0,
        "unread_days": 60,
        "shows_staff_names": "y",
        "asks_physician": "y",
        "from_5": "09:30",
        "to_5": "12:00",
        "closed_5": None,
        "closed_0": "y",
    }
    response = cast.ada.post(URL, practice_form(**changed), htmx=htmx)
    assert response.status_code == (200 if htmx else 303), response.text
    row = saved()
    assert row.name == 'Praxis <i>"Linde"</i>' and row.emergency_text == "Line one\nLine two"
    assert row.emergency_words == "chest pain\nstroke"
    assert (row.promise_appointment, row.promise_result, row.promise_others, row.claim_hours) == (1, 30, 5, 40)
    assert (row.escalate_days, row.unread_days) == (0, 60)
    assert row.shows_staff_names and row.asks_physician and row.time_zone == "Europe/Berlin"
    opening = json.loads(row.opening)
    assert opening[0] is None and opening[1] == ["08:00", "18:00"] and opening[5] == ["09:30", "12:00"] and opening[6] is None
    page = cast.ada.get(f"{URL}?done=saved").text
    assert "Saved." in page and "<i>" not in page and 'value="09:30"' in page and 'value="Europe/Berlin" selected' in page
    cast.ada.post(URL, practice_form(shows_staff_names=None))
    assert not saved().shows_staff_names


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": " "}, "Write something here."),
    ({"name": "x" * 121}, "This text is too long."),
    ({"name": "a\0"}, "cannot be shown"),
    ({"address": "x" * 201}, "This text is too long."),
    ({"phone": "1" * 41}, "This text is too long."),
    ({"hours": "x" * 201}, "This text is too long."),
    ({"emergency_number": ""}, "Write something here."),
    ({"emergency_text": "x" * 1001}, "This text is too long."),
    ({"emergency_words": "x" * 4001}, "This text is too long."),
    ({"emergency_words": "stroke\n" + "x" * 81}, "of 80 characters at most"),
    ({"time_zone": "Mars/Olympus"}, "Choose a time zone of the list."),
    ({"time_zone": "../etc/passwd"}, "Choose a time zone of the list."),
    ({"time_zone": "\0"}, "Choose a time zone of the list."),
    ({"country": "ZZ"}, "Choose a country of the list."),
    ({"country": ""}, "Choose a country of the list."),
    ({"region": "BY"}, "The country has no such region."),
    ({"country": "DE", "region": "CA"}, "The country has no such region."),
    ({"promise_appointment": 0}, "from 1 to 30"),
    ({"promise_result": 31}, "from 1 to 30"),
    ({"promise_others": "three"}, "from 1 to 30"),
    ({"promise_others": "9" * 30}, "from 1 to 30"),
    ({"promise_others": None}, "from 1 to 30"),
    ({"amendment_days": 61}, "from 1 to 60"),
    ({"claim_hours": 41}, "from 1 to 40"),
    ({"claim_hours": "-1"}, "from 1 to 40"),
    ({"claim_hours": "1.5"}, "from 1 to 40"),
    ({"escalate_days": 31}, "from 0 to 30"),
    ({"escalate_days": ""}, "from 0 to 30"),
    ({"unread_days": 61}, "from 0 to 60"),
    ({"unread_days": "-1"}, "from 0 to 60"),
    ({"from_0": "18:00"}, "The end is not after the beginning."),
    ({"from_0": "19:00"}, "The end is not after the beginning."),
    ({"to_1": ""}, "Enter from and to, or tick Closed"),
    ({"from_2": "25:00"}, "hours and minutes"),
    ({"from_2": "morning"}, "hours and minutes"),
    ({f"closed_{n}": "y" for n in range(7)}, "Be open on at least one day of the week"),
]


@pytest.mark.parametrize(("wrong", "says"), WRONG)
@pytest.mark.parametrize("htmx", [False, True])
def test_a_wrong_value_is_said_beside_its_field_and_nothing_is_saved(
    cast: Cast, wrong: dict[str, Any], says: str, htmx: bool
) -> None:
    before = saved().version
    response = cast.ada.post(URL, practice_form(**{"address": "Typed just now"} | wrong), htmx=htmx)
    page = unescape(response.text)
    assert response.status_code == 422 and says in page and 'aria-invalid="true"' in page
    assert ("Typed just now" in page or "address" in wrong) and saved().version == before
    if not htmx:
        assert "<title>Error: Practice" in page


def test_all_wrong_values_are_said_at_once_and_what_was_typed_is_kept(cast: Cast) -> None:
    page = cast.ada.post(URL, practice_form(name="", claim_hours="77", region="Nowhere", phone="kept")).text
    assert "3 things to correct" in page
    assert 'value="77"' in page and 'value="kept"' in page and 'value="Nowhere" selected' in page


def test_the_verb_itself_refuses_what_is_wrong(cast: Cast) -> None:
    values = setup.settings_of(saved())
    never = setup.Settings(**vars(values) | {"opening": (None,) * 7})
    with pytest.raises(Invalid):
        setup.save_practice(never, version=1, by=cast.ada.actor)
    with pytest.raises(NotAllowed):
        setup.save_practice(values, version=1, by=cast.sam.actor)


@pytest.mark.parametrize("htmx", [False, True])
def test_two_admins_the_second_sees_both_states(cast: Cast, htmx: bool) -> None:
    eve, mine = cast.staff("eve", is_admin=True), practice_form(name="Mine", from_0="07:00")
    eve.post(URL, practice_form(name="<b>Theirs", shows_staff_names="y"))
    response = cast.ada.post(URL, mine, htmx=htmx)
    page = unescape(response.text)
    assert response.status_code == 409 and "Somebody was faster" in page and "Monday: From" in page
    assert "<bdi>Mine</bdi>" in page and "<bdi><b>Theirs</bdi>" in page and 'value="Mine"' in page
    assert "&lt;b&gt;Theirs" in response.text and saved().name == "<b>Theirs"
    assert cast.ada.post(URL, mine | {"version": str(saved().version)}).status_code == 303 and saved().name == "Mine"


def test_the_same_form_twice_is_saved_once(cast: Cast) -> None:
    form = practice_form(name="Once")
    assert [cast.ada.post(URL, form).status_code for _ in range(2)] == [303, 303]


@pytest.mark.parametrize("version", ["", "x", "0", "9" * 30, "\0"])
def test_a_version_that_is_none_is_an_old_one(cast: Cast, version: str) -> None:
    assert cast.ada.post(URL, practice_form(name="New", version=version)).status_code == 409


@pytest.mark.parametrize("name", ["sam", "sophie"])
def test_a_wrong_role_is_refused(cast: Cast, name: str) -> None:
    player = getattr(cast, name)
    for address in (URL, HOLIDAYS):
        assert player.get(address).status_code == 403
    for address, data in ((URL, practice_form(name="x")), (HOLIDAYS, {}), (f"{HOLIDAYS}/days", {}), (LOGO, {})):
        assert player.post(address, data).status_code == 403
    assert saved().name == "Test Practice"


def test_get_writes_nothing(cast: Cast) -> None:
    assert cast.ada.get(LOGO).status_code == 405 and cast.ada.get(f"{HOLIDAYS}/days").status_code == 405


def test_the_audit_says_what_changed_before_and_after(cast: Cast) -> None:
    cast.ada.post(URL, practice_form(phone="123", from_0="07:00"))
    db.session.close()
    details = json.loads(db.session.scalars(sa.select(Audit.details).where(Audit.did == "save_practice")).one())
    assert details["before"]["phone"] == "(555) 010-0199" and details["after"]["phone"] == "123"
    assert set(details["after"]) == {"phone", "opening"}


# ---- Another country -----------------------------------------------------------------------------


@pytest.mark.parametrize("htmx", [False, True])
def test_another_country_says_its_days_before_it_is_saved(cast: Cast, htmx: bool) -> None:
    form = practice_form(country="DE", region="BY")
    page = unescape(cast.ada.post(URL, form, htmx=htmx).text)
    assert "the holiday list of another country" in page and "Thanksgiving" in page and "German Unity Day" in page
    assert "Christmas" not in page.split("public holidays any more")[1].split("these days are public holidays")[0]
    assert saved().country == "US" and "Save again" in page and 'name="confirmed" value="DE/BY"' in page
    answer = cast.ada.post(URL, form | {"confirmed": "DE/BY"}, htmx=htmx)
    assert answer.status_code == (200 if htmx else 303)
    assert (saved().country, saved().region) == ("DE", "BY")


def test_what_was_confirmed_is_only_that_country(cast: Cast) -> None:
    assert cast.ada.post(URL, practice_form(country="FR", confirmed="DE/BY")).status_code == 422 and saved().country == "US"


# ---- What the settings do ------------------------------------------------------------------------


def promise(at: datetime, kind: RequestType = RequestType.OTHERS) -> date:
    row = saved()
    return (promised_by(row, kind, at) - timedelta(hours=6)).date()


def test_opening_hours_and_promises_decide_the_day(cast: Cast) -> None:
    friday = datetime(2026, 11, 20, 15)
    assert promise(friday) == date(2026, 11, 25)
    cast.ada.post(URL, practice_form(closed_1="y", promise_others=2))
    assert promise(friday) == date(2026, 11, 25)
    cast.ada.post(URL, practice_form(promise_others=1))
    assert promise(friday) == date(2026, 11, 23)


def test_an_amendment_is_decided_within_so_many_days_of_the_practices_own(cast: Cast) -> None:
    late = datetime(2026, 11, 21, 3)  # Friday evening in New York
    assert promise(late, RequestType.AMENDMENT) == date(2026, 11, 20) + timedelta(days=60)


def test_own_days_decide_the_day_and_are_read_once(cast: Cast, statements) -> None:
    friday = datetime(2026, 11, 20, 15)
    setup.add_closed_day(date(2026, 11, 23), name="Moving house", by=cast.ada.actor)
    assert promise(friday) == date(2026, 11, 27)  # Thanksgiving is the 26th
    setup.save_holidays(2026, closed=[date(2026, 11, 23)], version=saved().version, by=cast.ada.actor)
    assert promise(friday) == date(2026, 11, 26)
    db.session.close()
    row = the_practice()
    with statements() as found:
        promised_by(row, RequestType.OTHERS, friday)
    assert found == []


def test_sending_costs_no_statement_more_for_own_days(cast: Cast, statements) -> None:
    cast.send(cast.sophie)
    with statements() as before:
        cast.send(cast.sophie, to="Clinicians")
    setup.add_closed_day(date(2026, 11, 23), name="Moving house", by=cast.ada.actor)
    calendar_of(the_practice())
    with statements() as after:
        cast.send(cast.sophie, to="Clinicians")
    assert len(after) == len(before)


# ---- Holidays ------------------------------------------------------------------------------------


def ticks(*closed: str, year: int = 2026, **more: Any) -> dict[str, Any]:
    return {"year": str(year), "version": str(saved().version), "closed": list(closed)} | more


ALL = [day.isoformat() for day in public_holidays("US", "", 2026)]


def test_the_list_proposes_the_public_holidays(cast: Cast) -> None:
    page = cast.ada.get(f"{HOLIDAYS}?year=2026").text
    assert page.count('name="closed"') == len(ALL) == page.count(" checked>") and "Thanksgiving" in page
    assert "year=2025" in page and "year=2027" in page and "United States (US)" in page


@pytest.mark.parametrize("year", ["", "x", "1", "1999", "9" * 30, "-2026", "2100", "²⁰²⁶"])
def test_a_year_that_is_none_is_the_present_one(cast: Cast, year: str) -> None:
    assert f"<h1>Holidays {now().year}</h1>" in cast.ada.get(HOLIDAYS, headers={}).text
    assert f"<h1>Holidays {now().year}</h1>" in cast.ada.get(f"{HOLIDAYS}?year={year}").text


@pytest.mark.parametrize("htmx", [False, True])
def test_a_public_holiday_on_which_it_is_open(cast: Cast, htmx: bool) -> None:
    response = cast.ada.post(HOLIDAYS, ticks(*(d for d in ALL if d != "2026-11-26")), htmx=htmx)
    assert response.status_code == (200 if htmx else 303) and days() == {date(2026, 11, 26): False}
    assert calendar_of(the_practice()).is_business_day(date(2026, 11, 26))
    cast.ada.post(HOLIDAYS, ticks(*ALL))
    assert days() == {} and not calendar_of(the_practice()).is_business_day(date(2026, 11, 26))


@pytest.mark.parametrize("htmx", [False, True])
def test_an_own_closed_day_comes_and_goes(cast: Cast, htmx: bool) -> None:
    form = {"day": "2026-12-24", "name": " <b>Christmas   Eve ", "year": "2026", "key": "k" * 22}
    for _ in range(2):  # the same form twice adds it once
        assert cast.ada.post(f"{HOLIDAYS}/days", form, htmx=htmx).status_code == (200 if htmx else 303)
    page = cast.ada.get(f"{HOLIDAYS}?year=2026").text
    assert "&lt;b&gt;Christmas Eve" in page and "own day" in page and days() == {date(2026, 12, 24): True}
    cast.ada.post(HOLIDAYS, ticks(*ALL, "2026-12-24", remove="2026-12-24"), htmx=htmx)
    assert days() == {}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"day": ""}, "Choose a day from 2020 to 2099."),
        ({"day": "tomorrow"}, "year-month-day"),
        ({"day": "2026-02-30"}, "year-month-day"),
        ({"day": "1066-10-14"}, "Choose a day from 2020 to 2099."),
        ({"day": "9999-12-31"}, "Choose a day from 2020 to 2099."),
        ({"day": "2026-12-25"}, "This day is on the list already."),
        ({"name": " "}, "Write something here."),
        ({"name": "x" * 121}, "This text is too long."),
        ({"name": "\0"}, "cannot be shown"),
    ],
)
@pytest.mark.parametrize("htmx", [False, True])
def test_a_day_that_cannot_be_added_keeps_what_was_typed(cast: Cast, wrong: dict[str, str], says: str, htmx: bool) -> None:
    form = {"day": "2026-12-24", "name": "Typed", "year": "2026", "key": "k" * 22} | wrong
    response = cast.ada.post(f"{HOLIDAYS}/days", form, htmx=htmx)
    assert response.status_code == 422 and says in response.text and days() == {}
    assert 'value="Typed"' in response.text or "name" in wrong


@pytest.mark.parametrize("htmx", [False, True])
def test_two_admins_the_second_keeps_the_ticks_beside_what_is_saved(cast: Cast, htmx: bool) -> None:
    eve, mine = cast.staff("eve", is_admin=True), ticks(*ALL[1:])
    eve.post(HOLIDAYS, ticks(*ALL[:-1]))
    response = cast.ada.post(HOLIDAYS, mine, htmx=htmx)
    assert response.status_code == 409 and "Somebody was faster" in response.text and "Saved now" in response.text
    assert f'value="{ALL[0]}">' in response.text and f'value="{ALL[-1]}" checked>' in response.text
    assert days() == {date.fromisoformat(ALL[-1]): False}


@pytest.mark.parametrize("closed", [["\0"], ["x"], ["9" * 30], ["2026-13-01"]])
def test_ticks_that_are_no_days_are_nothing(cast: Cast, closed: list[str]) -> None:
    assert cast.ada.post(HOLIDAYS, ticks(*ALL, *closed)).status_code == 303 and days() == {}


def test_own_days_of_before_stay_through_another_country(cast: Cast) -> None:
    cast.ada.post(f"{HOLIDAYS}/days", {"day": "2026-10-03", "name": "Ours", "key": "k" * 22})
    cast.ada.post(URL, practice_form(country="DE", confirmed="DE/"))
    page = cast.ada.get(f"{HOLIDAYS}?year=2026").text
    assert "German Unity Day" in page and "own day" not in page  # a public holiday there
    assert cast.ada.post(f"{HOLIDAYS}/days", {"day": "2026-10-03", "name": "x", "key": "m" * 22}).status_code == 422


def test_the_pages_need_a_fixed_number_of_statements(cast: Cast, statements) -> None:
    for month in range(1, 13):
        setup.add_closed_day(date(2026, month, 9), name="Closed", by=COMMAND)
    for address, most in ((URL, 4), (f"{HOLIDAYS}?year=2026", 5)):
        with statements() as found:
            cast.ada.get(address)
        assert len(found) <= most, found


# ---- Logo ----------------------------------------------------------------------------------------


def choose(content: bytes, name: str = "logo.png") -> dict[str, Any]:
    return {"action": "save", "logo": (File(content), name)}


@pytest.mark.parametrize(("content", "kind"), [(PICTURE, "image/png"), (JPEG, "image/jpeg"), (png(4000, 1), "image/png")])
def test_a_logo_is_shown_to_everybody_under_its_own_address(cast: Cast, content: bytes, kind: str) -> None:
    assert cast.ada.post(LOGO, choose(content, "evil.svg")).status_code == 303
    address = f"/practice/logo/{saved().logo_key}"
    for player, page in ((cast.anonymous, "/login"), (cast.sophie, "/"), (cast.ada, URL), (cast.sophie, "/nowhere")):
        assert f'<img class="logo" src="{address}" alt="">' in player.get(page).text
        answer = player.get(address)
        assert answer.data == content and answer.mimetype == kind
        assert "immutable" in answer.headers["Cache-Control"] and "Session-Ends" not in answer.headers
        assert answer.headers["X-Content-Type-Options"] == "nosniff" and "Set-Cookie" not in answer.headers


def test_another_logo_has_another_address_and_none_shows_the_mark(cast: Cast) -> None:
    cast.ada.post(LOGO, choose(PICTURE))
    first = saved().logo_key
    cast.ada.post(LOGO, choose(JPEG))
    assert saved().logo_key != first
    gone = cast.anonymous.get(f"/practice/logo/{first}")
    assert gone.status_code == 404 and gone.headers["Cache-Control"] == "no-store"
    cast.ada.post(LOGO, {"action": "remove"})
    assert saved().logo_key == "" and not db.session.scalars(sa.select(Logo)).all()
    assert '<img class="logo"' not in cast.ada.get(URL).text
    with pytest.raises(NotVisible):
        setup.logo_of("")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "Choose a picture."),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "This file is neither."),
        (b"GIF89a" + b"\0" * 50, "This file is neither."),
        (PICTURE[:20], "This file is neither."),
        (b"\x89PNG\r\n\x1a\n<script>" + b"\0" * 40, "This file is neither."),
        (JPEG[:12], "This file is neither."),
        (b"\xff\xd8\xff" + b"\xff" * 60, "This file is neither."),
        (b"\xff\xd8\xff\xe0\x00\x00" + b"\0" * 60, "This file is neither."),
        (png(4001, 1), "4,000 by 4,000"),
        (png(0, 1), "4,000 by 4,000"),
        (PICTURE + b"\0" * 200_000, "at most 200 kB"),
    ],
)
def test_what_is_no_small_picture_is_refused(cast: Cast, content: bytes, says: str) -> None:
    response = cast.ada.post(LOGO, choose(content))
    assert response.status_code == 422 and says in response.text and "<title>Error: Practice" in response.text
    assert saved().logo_key == "" and not db.session.scalars(sa.select(Logo)).all()


def test_no_file_at_all_says_so(cast: Cast) -> None:
    assert "Choose a picture." in cast.ada.post(LOGO, {"action": "save"}).text


@pytest.mark.parametrize("key", ["x" * 22, "9" * 30, "%00"])
def test_a_logo_that_is_none_is_404(cast: Cast, key: str) -> None:
    assert cast.anonymous.get(f"/practice/logo/{key}").status_code == 404
