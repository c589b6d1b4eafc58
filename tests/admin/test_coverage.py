"""Coverage: the board, What if, everything of one person, and who was in charge at a moment."""

import re
from datetime import timedelta
from html import unescape

import pytest

from practice import coverage
from practice.db import COMMAND, clock_at, db, new_key, now, transaction
from practice.people import AccountStatus
from practice.settings import Practice, RequestType
from tests.conftest import Cast
from tests.examples.absences import plan
from tests.practice.test_board import everything, one_serves_oak

URL = "/admin/coverage"


def disable(person) -> None:
    coverage.set_staff_status(person.key, AccountStatus.DISABLED, by=COMMAND)


def words(answer) -> str:
    """The text of the page, blanks made one."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text.partition("<main")[2])).split())


def test_everybody_receives_and_the_menu_has_no_number(cast: Cast) -> None:
    page = cast.ada.get(URL)
    assert "2 people receive" in words(page) and "the patient picks" in words(page)
    assert "count-danger" not in page.text and "lane-gap" not in page.text


def test_a_gap_is_red_says_what_waits_and_how_to_mend_it(cast: Cast) -> None:
    disable(cast.max)
    cast.send(cast.sophie, "Result")
    page = cast.ada.get(URL)
    assert "Nobody receives Result. One message waits in Unrouted" in words(page)
    assert "STAFF, MAX account disabled" in words(page) and "Add someone to Media Manager" in words(page)
    assert "Enable STAFF, MAX" in words(page) and f'href="/admin/staff/{cast.max.key}"' in page.text
    assert f'href="/admin/communicators/{cast.communicator("Media Manager")}"' in page.text
    assert re.search(r'Coverage<span class="count count-danger">1<span class="visually-hidden"> types that nobody', page.text)


def test_a_type_without_a_communicator_offers_to_make_one(cast: Cast) -> None:
    coverage.delete_communicator(cast.communicator("Media Manager"), by=COMMAND)
    page = cast.ada.get(URL)
    assert "There is no communicator of this type" in words(page) and "new=1&amp;type=Result" in page.text


def test_absent_people_show_until_when_and_who_stands_in(cast: Cast) -> None:
    plan(cast.fay, cast.nina)
    plan(cast.sam)
    page = words(cast.ada.get(URL))
    assert re.search(r"STAFF, FAY away until [^→]+ deputy STAFF, NINA", page) and "no deputy: gap" in page


def test_one_not_in_use_is_shown_dashed(cast: Cast) -> None:
    cast.change("IT Manager", is_in_use=False)
    page = cast.ada.get(URL)
    assert "Not In Use: patients cannot pick it" in words(page) and 'class="lane-off"' in page.text


def test_facilities_have_lines_of_their_own_where_they_differ(cast: Cast) -> None:
    assert "Oak Lane" not in words(cast.ada.get(URL))
    one_serves_oak(cast)
    assert "Oak Lane Scheduler 2" in words(cast.ada.get(URL))
    coverage.delete_communicator(cast.communicator("Scheduler 2"), by=COMMAND)
    assert "Oak Lane none serves it, so every Appointment communicator receives" in words(cast.ada.get(URL))


def test_amendment_says_when_it_is_off(cast: Cast) -> None:
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        tx.session.get_one(Practice, 1).meaningful_use = False
    disable(cast.rita)
    page = cast.ada.get(URL)
    assert "Off: it exists only in the Meaningful Use mode" in words(page) and "lane-gap" not in page.text


def test_many_communicators_are_paged_by_type_with_as_many_statements(cast: Cast, statements) -> None:
    cast.ada.get(URL)
    with statements() as few:
        cast.ada.get(URL)
    for number in range(30):
        cast.communicate(RequestType.OTHERS, f"Team {number:02}", cast.sam)
    with statements() as many:
        page = cast.ada.get(URL)
    assert len(few) == len(many)
    assert "Show all 32 of this type" in words(page) and "Team 29" not in words(page)
    second = words(cast.ada.get(f"{URL}?type=Others&page=2"))
    assert "Team 29" in second and "26 - 32 / 32" in second and "Appointment" not in second


@pytest.mark.parametrize("query", ["type=x", "page=9999999", "page=x", "type=Others&page=99999", "filter=x", "who=&how=x"])
def test_what_is_not_offered_falls_back(cast: Cast, query: str) -> None:
    assert cast.ada.get(f"{URL}?{query}").status_code == 200


def test_a24_names_are_shown_as_text_and_right_to_left_ones_isolated(cast: Cast) -> None:
    cast.change("IT Manager", staff=[])
    cast.communicate(RequestType.OTHERS, "<b>כהן</b>" + "x" * 60, cast.ivan)
    assert "<bdi>&lt;b&gt;כהן&lt;/b&gt;" in cast.ada.get(URL).text


# ---- What if -------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["disabled", "absent", "leaves", "nonsense"])
def test_what_if_shows_new_gaps_and_changes_nothing(cast: Cast, how: str) -> None:
    cast.send(cast.sophie, "Result")
    cast.ada.get(URL)
    before = everything()
    page = cast.ada.get(f"{URL}?who={cast.max.key}&how={how}")
    assert everything() == before
    text = words(page)
    assert "Nobody receives Result." in text and "Nothing is changed." in text and "no longer received by STAFF, MAX" in text
    assert ("One open thread would be seen by nobody." in text) == (how != "absent")
    assert "lane-gap" in page.text and "lane-gap" not in cast.ada.get(URL).text


@pytest.mark.parametrize("who", ["x" * 22, "1", "9" * 30])
def test_what_if_of_nobody_is_not_found(cast: Cast, who: str) -> None:
    assert cast.ada.get(f"{URL}?who={who}").status_code == 404


def test_what_if_of_a_patient_is_not_found(cast: Cast) -> None:
    assert cast.ada.get(f"{URL}?who={cast.sophie.key}").status_code == 404


def test_few_are_chosen_from_a_list_and_all_are_found_by_name(cast: Cast) -> None:
    assert f'<option value="{cast.fay.key}">' in cast.ada.get(URL).text
    answer = cast.ada.post(f"{URL}/searches", {"q": "fay"})
    assert answer.status_code == 303 and "fay" not in answer.location
    page = cast.ada.get(answer.location)
    assert f"/admin/coverage/people/{cast.fay.key}" in page.text and "how=leaves" in page.text
    assert cast.dan.key not in page.text.partition('id="people"')[2]
    nobody = cast.ada.get(cast.ada.post(f"{URL}/searches", {"q": "zzz\0"}).location)
    assert "Nobody found" in nobody.text
    assert cast.ada.post(f"{URL}/searches", {"q": " "}).location.endswith(URL)


def test_many_in_charge_are_not_chosen_from_a_list(cast: Cast) -> None:
    cast.change("Scheduler", staff=[cast.staff(f"more{n}") for n in range(31)])
    page = cast.ada.get(URL)
    assert 'name="who"' not in page.text and "and 21 more" in words(page)


# ---- By person -----------------------------------------------------------------------------------


def test_everything_of_one_person(cast: Cast) -> None:
    plan(cast.max, cast.fay)
    text = words(cast.ada.get(f"{URL}/people/{cast.fay.key}"))
    assert "Scheduler" in text and "Clinicians" in text and "Media Manager" in text and "STAFF, MAX" in text
    assert "IT Manager" not in text
    assert "In charge of nothing" in words(cast.ada.get(f"{URL}/people/{cast.dan.key}"))


def replace(cast: Cast, who, **data: str):
    return cast.ada.post(f"{URL}/people/{who.key}/replacement", {"key": new_key()} | data)


def test_replacing_first_shows_what_it_does_then_does_it(cast: Cast) -> None:
    key = cast.send(cast.sophie, "Appointment")
    shown = replace(cast, cast.fay, with_login="DAN")
    assert shown.status_code == 200 and "Nothing is saved yet." in words(shown)
    assert "STAFF, DAN takes the place of STAFF, FAY" in words(shown)
    assert not cast.sees(cast.dan, key)
    done = replace(cast, cast.fay, with_login="dan", confirmed=cast.dan.key)
    assert done.status_code == 303 and cast.sees(cast.dan, key) and not cast.sees(cast.fay, key)
    assert "Replaced everywhere." in cast.ada.get(done.location).text


def test_replacing_by_somebody_away_names_the_gap(cast: Cast) -> None:
    plan(cast.dan)
    assert "Nobody would be there to receive for: Media Manager" in words(replace(cast, cast.max, with_login="dan"))
    assert "Nobody would be there" not in words(replace(cast, cast.fay, with_login="dan"))


@pytest.mark.parametrize("login", ["", "nobody", "fay", "ivan", "\0", "x" * 300])
def test_replacing_by_nobody_or_oneself_or_a_disabled_is_refused(cast: Cast, login: str) -> None:
    disable(cast.ivan)
    answer = replace(cast, cast.fay, with_login=login)
    assert answer.status_code == 422 and 'aria-invalid="true"' in answer.text and "<title>Error:" in answer.text


# ---- At a given moment ---------------------------------------------------------------------------


def history(cast: Cast, title: str, **values: str):
    at = now()
    query = {"communicator": cast.communicator(title), "on": f"{at:%Y-%m-%d}", "at": "00:00"} | values
    return cast.ada.get(f"{URL}/history?" + "&".join(f"{name}={value}" for name, value in query.items()))


def test_who_was_in_charge_is_told(cast: Cast) -> None:
    yesterday = now() - timedelta(days=1)
    assert "It did not exist yet." in words(history(cast, "Scheduler", on=f"{yesterday:%Y-%m-%d}"))
    with clock_at(now() + timedelta(minutes=2)):  # a minute that began after all was made
        zone = cast.ada.get(f"{URL}/history")
        value = re.search(r'name="on" value="([^"]+)"', zone.text)
        clock = re.search(r'name="at" value="([^"]+)"', zone.text)
        assert value and clock and "America/New_York" in zone.text
        found = words(history(cast, "Scheduler", on=value[1], at=clock[1] + ":59"))
    assert "STAFF, SAM" in found or "has not come yet" in found


@pytest.mark.parametrize(
    "values",
    [
        {"on": "2026-13-01"},
        {"on": "9999-12-31"},
        {"on": "0001-01-01"},
        {"on": "2090-01-01"},
        {"on": ""},
        {"at": "25:00"},
        {"at": "x" * 50},
        {"communicator": "x"},
        {"communicator": ""},
    ],
)
def test_a_moment_that_is_none_or_not_yet_is_refused(cast: Cast, values: dict[str, str]) -> None:
    answer = history(cast, "Scheduler", **values)
    assert answer.status_code == 422 and 'aria-invalid="true"' in answer.text


def test_a_communicator_that_is_not_there_is_not_found(cast: Cast) -> None:
    assert history(cast, "Scheduler", communicator="x" * 22, on="2024-01-01").status_code == 404


# ---- Who may -------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["sam", "sophie"])
def test_only_an_admin_sees_coverage(cast: Cast, who: str) -> None:
    player = getattr(cast, who)
    for address in (URL, f"{URL}/history", f"{URL}/people/{cast.fay.key}"):
        assert player.get(address).status_code == 403
    answer = player.post(f"{URL}/people/{cast.fay.key}/replacement", {"with_login": "dan", "confirmed": cast.dan.key})
    assert answer.status_code == 403
    db.session.close()
    assert player.post(f"{URL}/searches", {"q": "fay"}).status_code == 403


def test_get_neither_searches_nor_replaces(cast: Cast) -> None:
    assert cast.ada.get(f"{URL}/searches").status_code == 405
    assert cast.ada.get(f"{URL}/people/{cast.fay.key}/replacement").status_code == 405
