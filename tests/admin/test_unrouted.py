"""Unrouted: envelopes without words, and handing them on."""

import re
from html import unescape

import pytest

from practice import coverage
from practice.conversations import reply
from practice.db import COMMAND
from practice.people import AccountStatus
from tests.conftest import Cast

URL = "/admin/unrouted"


def waiting(cast: Cast) -> str:
    """A result request that nobody can receive; answers its key."""
    coverage.set_staff_status(cast.max.key, AccountStatus.DISABLED, by=COMMAND)
    return cast.send(cast.sophie, "Result", body="Very private words")


def hand(cast: Cast, key: str, to: str, **changed: str) -> dict[str, str]:
    return {"version": str(cast.thread(key).version), "communicator": cast.communicator(to) if to else ""} | changed


def test_nothing_waits_says_so_and_the_menu_has_no_number(cast: Cast) -> None:
    page = cast.ada.get(URL).text
    assert "Nothing waits" in page and "count-danger" not in page


def test_an_envelope_shows_who_and_why_but_never_the_words(cast: Cast) -> None:
    waiting(cast)
    page = unescape(cast.ada.get(URL).text)
    assert "KWON, SOPHIE" in page and "Nobody can receive Result now" in page and "private" not in page
    assert re.search(r'count-danger">1<', page)
    assert "Media Manager" not in page and "Scheduler (Appointment)" in page


def test_an_envelope_says_who_has_it_when_nobody_there_can_receive(cast: Cast) -> None:
    key = cast.send(cast.sophie, "Others", to="IT Manager")
    coverage.set_staff_status(cast.ivan.key, AccountStatus.DISABLED, by=COMMAND)
    reply(key, body="More", form_key="f" * 22, by=cast.sophie.actor)
    page = unescape(cast.ada.get(URL).text)
    assert "<bdi>IT Manager</bdi>" in page and "Nobody there can receive it now" in page


@pytest.mark.parametrize("htmx", [False, True])
def test_handing_on_gives_it_to_the_chosen_communicator(cast: Cast, htmx: bool) -> None:
    key = waiting(cast)
    response = cast.ada.post(f"{URL}/{key}/handing", hand(cast, key, "Clinicians"), htmx=htmx)
    assert response.status_code == (200 if htmx else 303) and cast.sees(cast.nina, key)
    assert "Handed on." in cast.ada.get(f"{URL}?done=handed").text


@pytest.mark.parametrize("htmx", [False, True])
def test_two_admins_the_second_sees_who_was_faster(cast: Cast, htmx: bool) -> None:
    key = waiting(cast)
    eve, mine = cast.staff("eve", is_admin=True), hand(cast, key, "IT Manager")
    eve.post(f"{URL}/{key}/handing", hand(cast, key, "Clinicians"))
    response = cast.ada.post(f"{URL}/{key}/handing", mine, htmx=htmx)
    assert response.status_code == 409
    assert "<bdi>Clinicians</bdi>" in response.text and "<bdi>STAFF, EVE</bdi>" in response.text
    assert not cast.sees(cast.ivan, key)


def test_one_that_was_delivered_by_itself_says_so(cast: Cast) -> None:
    key = waiting(cast)
    mine = hand(cast, key, "IT Manager")
    coverage.set_staff_status(cast.max.key, AccountStatus.ACTIVE, by=COMMAND)
    response = cast.ada.post(f"{URL}/{key}/handing", mine)
    assert response.status_code == 409 and "<bdi>Media Manager</bdi>" in response.text


@pytest.mark.parametrize("version", ["0", "", "x", "9" * 30])
def test_one_that_changed_and_still_waits_can_be_handed_on_again(cast: Cast, version: str) -> None:
    key = waiting(cast)
    response = cast.ada.post(f"{URL}/{key}/handing", hand(cast, key, "Clinicians", version=version))
    assert response.status_code == 409 and "it still waits" in response.text
    assert re.search(r'value="[^"]+" selected', response.text)


@pytest.mark.parametrize("to", ["", "x" * 22, "\0", "1"])
@pytest.mark.parametrize("htmx", [False, True])
def test_a_choice_that_is_none_is_refused(cast: Cast, to: str, htmx: bool) -> None:
    key = waiting(cast)
    response = cast.ada.post(f"{URL}/{key}/handing", hand(cast, key, "", communicator=to), htmx=htmx)
    assert response.status_code == 422 and "Choose a communicator" in response.text and 'aria-invalid="true"' in response.text


def test_an_amendment_goes_to_no_other_type(cast: Cast) -> None:
    coverage.set_staff_status(cast.rita.key, AccountStatus.DISABLED, by=COMMAND)
    key = cast.send(cast.sophie, "Amendment")
    assert "No communicator can receive it." in cast.ada.get(URL).text
    assert cast.ada.post(f"{URL}/{key}/handing", hand(cast, key, "Clinicians")).status_code == 422


@pytest.mark.parametrize("key", ["x" * 22, "1", "9" * 30])
def test_a_thread_that_is_not_there_is_not_found(cast: Cast, key: str) -> None:
    assert cast.ada.post(f"{URL}/{key}/handing", {"version": "1", "communicator": "x"}).status_code == 404


@pytest.mark.parametrize("who", ["sam", "sophie"])
def test_only_an_admin_sees_envelopes_and_hands_on(cast: Cast, who: str) -> None:
    key = waiting(cast)
    player = getattr(cast, who)
    assert player.get(URL).status_code == 403
    assert player.post(f"{URL}/{key}/handing", hand(cast, key, "Clinicians")).status_code == 403
    assert not cast.sees(cast.nina, key)


def test_get_does_not_hand_on(cast: Cast) -> None:
    assert cast.ada.get(f"{URL}/{'x' * 22}/handing").status_code == 405
