"""Absences, as an admin keeps them."""

import re
from datetime import timedelta
from html import unescape

import pytest

from practice import board, coverage
from practice.db import COMMAND, clock_at, db, now
from practice.people import AccountStatus
from tests.conftest import Cast
from tests.examples.absences import form, plan, version_of

URL = "/admin/absences"


def add(cast: Cast, *, htmx: bool = False, **data: str):
    return cast.ada.post(URL, form(**data), htmx=htmx)


def planned(cast: Cast) -> list[board.AbsenceRow]:
    db.session.close()
    return board.absences(db.session())[0]


@pytest.mark.parametrize("htmx", [False, True])
def test_an_absence_is_planned_for_anybody_by_id(cast: Cast, htmx: bool) -> None:
    answer = add(cast, staff="FAY", deputy="nina", htmx=htmx)
    assert answer.status_code == (200 if htmx else 303)
    (row,) = planned(cast)
    assert (row.name, row.deputy) == ("STAFF, FAY", "STAFF, NINA")
    page = cast.ada.get(f"{URL}?done=saved").text
    assert "Saved." in page and "<bdi>STAFF, FAY</bdi>" in page and "<bdi>STAFF, NINA</bdi>" in page


def test_the_last_day_is_included_and_comes_back_in_the_form(cast: Cast) -> None:
    data = form(staff="fay")
    cast.ada.post(URL, data)
    (row,) = planned(cast)
    page = cast.ada.get(f"{URL}/{row.key}").text
    assert f'value="{data["first_day"]}"' in page and f'value="{data["last_day"]}"' in page and 'value="nina"' in page


def test_the_same_form_twice_plans_once(cast: Cast) -> None:
    data = form(staff="fay")
    cast.ada.post(URL, data)
    assert cast.ada.post(URL, data).status_code == 303
    assert len(planned(cast)) == 1


def test_without_a_deputy_the_gap_is_named_and_a_second_save_takes_it(cast: Cast) -> None:
    data = form(staff="max", deputy="")
    warned = cast.ada.post(URL, data)
    assert warned.status_code == 422 and "No deputy." in warned.text and "<bdi>Media Manager</bdi>" in warned.text
    assert "<title>Error:" in warned.text and planned(cast) == []
    confirmed = re.search(r'name="confirmed" value="([^"]*)"', warned.text)
    assert confirmed
    assert cast.ada.post(URL, data | {"confirmed": confirmed[1]}).status_code == 303
    assert len(planned(cast)) == 1


def test_without_a_deputy_and_without_a_gap_nothing_is_asked(cast: Cast) -> None:
    assert add(cast, staff="fay", deputy="").status_code == 303


def test_taking_the_deputy_out_of_an_absence_that_lasts_warns_too(cast: Cast) -> None:
    key = plan(cast.max, cast.dan)
    answer = cast.ada.post(f"{URL}/{key}", form(0, 3, deputy="", version=str(version_of(key))))
    assert answer.status_code == 422 and "<bdi>Media Manager</bdi>" in answer.text


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"staff": "nobody"}, "No member of staff has this ID."),
        ({"staff": ""}, "Write the ID"),
        ({"staff": "\0"}, "Write the ID|characters that cannot be shown"),
        ({"staff": "x" * 200}, "No member of staff has this ID."),
        ({"deputy": "nobody"}, "No member of staff has this ID."),
        ({"deputy": "y" * 200}, "No member of staff has this ID."),
        ({"deputy": "fay"}, "Nobody can be their own deputy."),
        ({"deputy": "ivan"}, "account is not active"),
        ({"first_day": ""}, "Choose the first day."),
        ({"first_day": "yesterday"}, "year-month-day"),
        ({"last_day": "9999-12-31"}, "between the years"),
        ({"last_day": "0001-01-01"}, "between the years"),
        ({"last_day": "2020-01-01"}, "before the first day|are over"),
        ({"first_day": "2020-01-01", "last_day": "2020-01-02"}, "These days are over."),
        ({"last_day": "2099-01-01"}, "two years at most"),
    ],
)
@pytest.mark.parametrize("htmx", [False, True])
def test_what_cannot_be_is_refused_beside_its_field(cast: Cast, changed: dict[str, str], text: str, htmx: bool) -> None:
    coverage.set_staff_status(cast.ivan.key, AccountStatus.DISABLED, by=COMMAND)
    answer = cast.ada.post(URL, form(staff="fay") | changed, htmx=htmx)
    assert answer.status_code == 422 and re.search(text, unescape(answer.text)) and 'id="errors"' in answer.text
    assert 'aria-invalid="true"' in answer.text and planned(cast) == []
    for name, value in ({"staff": "fay"} | changed).items():
        if name in ("staff", "deputy") and "\0" not in value:
            assert f'value="{value}"' in answer.text


def test_days_that_are_over_are_refused_before_a_gap_is_asked_about(cast: Cast) -> None:
    answer = add(cast, staff="max", deputy="", first_day="2020-01-01", last_day="2020-01-02")
    assert "These days are over." in answer.text and "No deputy." not in answer.text


def test_the_first_day_of_an_absence_that_has_begun_stays(cast: Cast) -> None:
    key = plan(cast.fay, cast.nina)
    assert " readonly=" in cast.ada.get(f"{URL}/{key}").text
    answer = cast.ada.post(f"{URL}/{key}", form(1, 3, version=str(version_of(key))))
    assert answer.status_code == 422 and "This absence has begun: its first day stays." in unescape(answer.text)
    assert cast.ada.post(f"{URL}/{key}", form(0, 3, version=str(version_of(key)))).status_code == 303


def test_overlapping_absences_are_refused_naming_the_person(cast: Cast) -> None:
    plan(cast.fay, cast.nina, first=30, last=33)
    assert "STAFF, FAY is absent already on some of these days." in add(cast, staff="fay", deputy="dan").text
    assert "STAFF, FAY is absent on some of these days" in add(cast, staff="sam", deputy="fay").text
    assert "STAFF, NINA stands in for STAFF, FAY" in add(cast, staff="nina", deputy="dan").text
    assert len(planned(cast)) == 1


@pytest.mark.parametrize("htmx", [False, True])
def test_two_admins_the_second_sees_what_is_saved_and_keeps_the_own(cast: Cast, htmx: bool) -> None:
    key = plan(cast.fay, cast.nina, first=3, last=5)
    seen = str(version_of(key))
    cast.staff("eve", is_admin=True).post(f"{URL}/{key}", form(3, 9, deputy="dan", version=seen))
    mine = form(3, 7, deputy="nina", version=seen)
    answer = cast.ada.post(f"{URL}/{key}", mine, htmx=htmx)
    assert answer.status_code == 409 and "Somebody was faster" in answer.text and "<bdi>STAFF, DAN</bdi>" in answer.text
    assert f'value="{mine["last_day"]}"' in answer.text
    again = cast.ada.post(f"{URL}/{key}", mine | {"version": str(version_of(key))})
    assert again.status_code == 303 and planned(cast)[0].deputy == "STAFF, NINA"


def test_who_was_overtaken_is_told_that_before_any_gap(cast: Cast) -> None:
    key = plan(cast.max, cast.dan)
    assert cast.ada.post(f"{URL}/{key}", form(0, 3, deputy="", version="0")).status_code == 409


@pytest.mark.parametrize("version", ["0", "", "x", "9" * 30])
def test_a_version_that_is_none_is_stale(cast: Cast, version: str) -> None:
    key = plan(cast.fay, cast.nina, first=3, last=5)
    assert cast.ada.post(f"{URL}/{key}", form(3, 9, version=version)).status_code == 409
    assert cast.ada.post(f"{URL}/{key}/ending", {"version": version}).status_code == 409


def test_ending_now_delivers_what_waited(cast: Cast) -> None:
    key = plan(cast.max)
    thread = cast.send(cast.sophie, "Result")
    assert cast.thread(thread).unrouted_since
    assert cast.ada.post(f"{URL}/{key}/ending", {"version": str(version_of(key))}).status_code == 303
    assert cast.thread(thread).unrouted_since is None and planned(cast) == []
    late = cast.ada.post(f"{URL}/{key}/ending", {"version": str(version_of(key))})
    assert late.status_code == 409 and "This absence is over already." in late.text
    assert cast.ada.post(f"{URL}/{key}", form(3, 9, version=str(version_of(key)))).status_code == 409


def test_past_ones_stand_apart_and_are_paged(cast: Cast) -> None:
    start = now()
    for number in range(27):
        with clock_at(start - timedelta(days=90 - number * 2)):
            plan(cast.fay, first=0, last=0)
    assert "Nobody is away" in cast.ada.get(URL).text
    page = cast.ada.get(f"{URL}?past=1").text
    assert "1 - 25 / 27" in page and "End now" not in page
    assert "26 - 27 / 27" in cast.ada.get(f"{URL}?past=1&page=2").text
    assert cast.ada.get(f"{URL}?page=99999999999").status_code == 200


def test_as_many_statements_for_many(cast: Cast, statements) -> None:
    plan(cast.fay)
    cast.ada.get(URL)
    with statements() as few:
        cast.ada.get(URL)
    for one in (cast.sam, cast.max, cast.ivan, cast.rita):
        plan(one, cast.dan)
    with statements() as many:
        cast.ada.get(URL)
    assert len(few) == len(many)


@pytest.mark.parametrize("key", ["x" * 22, "1", "9" * 30])
def test_one_that_is_not_there_is_not_found(cast: Cast, key: str) -> None:
    assert cast.ada.get(f"{URL}/{key}").status_code == 404
    assert cast.ada.post(f"{URL}/{key}", form()).status_code == 404
    assert cast.ada.post(f"{URL}/{key}/ending").status_code == 404


@pytest.mark.parametrize("who", ["sam", "sophie"])
def test_only_an_admin_keeps_everybodys(cast: Cast, who: str) -> None:
    key, player = plan(cast.fay), getattr(cast, who)
    for address in (URL, f"{URL}/new", f"{URL}/{key}"):
        assert player.get(address).status_code == 403
    assert player.post(URL, form(staff="nina")).status_code == 403
    assert player.post(f"{URL}/{key}/ending", {"version": "1"}).status_code == 403
    assert len(planned(cast)) == 1


def test_get_ends_nothing(cast: Cast) -> None:
    assert cast.ada.get(f"{URL}/{plan(cast.fay)}/ending").status_code == 405
