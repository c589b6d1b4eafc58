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
HANDING = f"{URL}/handing"
NOBODY = "Choose a communicator that can receive it."


def waiting(cast: Cast) -> str:
    """A result request that nobody can receive; answers its key."""
    coverage.set_staff_status(cast.max.key, AccountStatus.DISABLED, by=COMMAND)
    return cast.send(cast.sophie, "Result", body="Very private words")


def tick(cast: Cast, *keys: str) -> list[str]:
    return [f"{key}.{cast.thread(key).version}" for key in keys]


def hand(cast: Cast, *keys: str, to: str) -> dict[str, object]:
    """The form with these threads ticked."""
    return {"thread": tick(cast, *keys), "communicator": cast.communicator(to) if to else ""}


def ticked(text: str) -> list[str]:
    return re.findall(r'name="thread" value="([\w-]{22})\.\d+" checked', text)


def test_nothing_waits_says_so_and_the_menu_has_no_number(cast: Cast) -> None:
    page = cast.ada.get(URL).text
    assert "Nothing waits" in page and "count-danger" not in page and "Hand to" not in page


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
    response = cast.ada.post(HANDING, hand(cast, key, to="Clinicians"), htmx=htmx)
    assert response.status_code == (200 if htmx else 303) and cast.sees(cast.nina, key)
    assert "Handed on." in cast.ada.get(f"{URL}?done=handed").text


def test_all_that_are_ticked_go_to_the_same_and_the_others_wait_on(cast: Cast) -> None:
    first, second, third = waiting(cast), cast.send(cast.sophie, "Result"), cast.send(cast.jihae, "Result")
    assert cast.ada.post(HANDING, hand(cast, first, third, to="Clinicians")).status_code == 303
    assert cast.sees(cast.nina, first) and cast.sees(cast.nina, third) and not cast.sees(cast.nina, second)
    assert cast.thread(second).unrouted_since


@pytest.mark.parametrize("htmx", [False, True])
def test_two_admins_the_second_sees_who_was_faster(cast: Cast, htmx: bool) -> None:
    key = waiting(cast)
    eve, mine = cast.staff("eve", is_admin=True), hand(cast, key, to="IT Manager")
    eve.post(HANDING, hand(cast, key, to="Clinicians"))
    response = cast.ada.post(HANDING, mine, htmx=htmx)
    assert response.status_code == 409 and "<bdi>KWON, SOPHIE</bdi>:" in response.text
    assert "<bdi>Clinicians</bdi>" in response.text and "<bdi>STAFF, EVE</bdi>" in response.text
    assert not cast.sees(cast.ivan, key)


def test_each_row_has_its_own_result(cast: Cast) -> None:
    """One goes, one went before, one cannot go there: it alone stays ticked, with what was chosen."""
    gone, going = waiting(cast), cast.send(cast.jihae, "Result")
    coverage.set_staff_status(cast.rita.key, AccountStatus.DISABLED, by=COMMAND)
    amendment = cast.send(cast.sophie, "Amendment")
    mine = hand(cast, gone, going, amendment, to="IT Manager")
    cast.ada.post(HANDING, hand(cast, gone, to="Clinicians"))
    response = cast.ada.post(HANDING, mine)
    text = unescape(response.text)
    assert response.status_code == 409 and "Somebody was faster" in text
    assert f"KWON, SOPHIE</bdi>: {NOBODY}" in text and "KWON, SOPHIE</bdi>: The thread went to" in text
    assert re.search(r"<bdi>[^<]*JIHAE</bdi>: Handed on\.", text)
    assert cast.sees(cast.ivan, going) and not cast.sees(cast.ivan, gone) and cast.thread(amendment).unrouted_since


def test_one_that_was_delivered_by_itself_says_so(cast: Cast) -> None:
    key = waiting(cast)
    mine = hand(cast, key, to="IT Manager")
    coverage.set_staff_status(cast.max.key, AccountStatus.ACTIVE, by=COMMAND)
    response = cast.ada.post(HANDING, mine)
    assert response.status_code == 409 and "<bdi>Media Manager</bdi>" in response.text


@pytest.mark.parametrize("version", ["0", "", "x", "9" * 30])
def test_one_that_changed_and_still_waits_can_be_handed_on_again(cast: Cast, version: str) -> None:
    key = waiting(cast)
    response = cast.ada.post(HANDING, {"thread": f"{key}.{version}", "communicator": cast.communicator("Clinicians")})
    assert response.status_code == 409 and "it still waits" in response.text
    assert f'value="{cast.communicator("Clinicians")}" selected' in response.text and ticked(response.text) == [key]


@pytest.mark.parametrize("to", ["", "x" * 22, "\0", "1"])
@pytest.mark.parametrize("htmx", [False, True])
def test_a_choice_that_is_none_is_refused(cast: Cast, to: str, htmx: bool) -> None:
    key = waiting(cast)
    response = cast.ada.post(HANDING, {"thread": tick(cast, key), "communicator": to}, htmx=htmx)
    assert response.status_code == 422 and NOBODY in response.text and 'aria-invalid="true"' in response.text
    assert ticked(response.text) == [key] and cast.thread(key).unrouted_since


@pytest.mark.parametrize("said", ["", "1", "9" * 30, "\0", "x" * 21])
@pytest.mark.parametrize("htmx", [False, True])
def test_nothing_ticked_says_what_to_do_and_keeps_the_choice(cast: Cast, said: str, htmx: bool) -> None:
    key, to = waiting(cast), cast.communicator("Clinicians")
    response = cast.ada.post(HANDING, {"thread": said, "communicator": to}, htmx=htmx)
    assert response.status_code == 422 and "Tick the threads" in response.text and f'value="{to}" selected' in response.text
    assert cast.thread(key).unrouted_since


def test_an_amendment_goes_to_no_other_type(cast: Cast) -> None:
    coverage.set_staff_status(cast.rita.key, AccountStatus.DISABLED, by=COMMAND)
    key = cast.send(cast.sophie, "Amendment")
    page = cast.ada.get(URL).text
    assert "No communicator can receive it." in page and 'name="thread"' not in page and "<select" not in page
    assert cast.ada.post(HANDING, hand(cast, key, to="Clinicians")).status_code == 422


def test_only_what_fits_a_thread_of_the_page_is_offered(cast: Cast) -> None:
    waiting(cast)
    page = cast.ada.get(URL).text
    assert "Clinicians (Others)" in page and "(Amendment)" not in page


def test_a_thread_that_is_not_there_is_named_to_nobody(cast: Cast) -> None:
    response = cast.ada.post(HANDING, {"thread": f"{'x' * 22}.1", "communicator": cast.communicator("Clinicians")})
    assert response.status_code == 409 and "The thread does not wait any more." in response.text


@pytest.mark.parametrize("who", ["sam", "sophie"])
def test_only_an_admin_sees_envelopes_and_hands_on(cast: Cast, who: str) -> None:
    key = waiting(cast)
    player = getattr(cast, who)
    assert player.get(URL).status_code == 403
    assert player.post(HANDING, hand(cast, key, to="Clinicians")).status_code == 403
    assert not cast.sees(cast.nina, key)


def test_get_does_not_hand_on(cast: Cast) -> None:
    assert cast.ada.get(HANDING).status_code == 405
