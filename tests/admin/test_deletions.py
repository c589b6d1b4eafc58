"""Deleting ticked communicators, a result a row; switching off, handing on; the first run."""

import re

import pytest

from practice import coverage
from practice.db import COMMAND
from practice.settings import RequestType
from tests.admin.helpers import URL, filled, hidden, how_many, new, row_of, text, there_is
from tests.conftest import Cast

# ---- Deleting ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("htmx", [False, True])
def test_ticked_ones_without_threads_are_deleted(cast: Cast, htmx: bool) -> None:
    keys = [cast.communicator("IT Manager"), cast.communicator("Clinicians")]
    cast.communicate(RequestType.OTHERS, "Billing", cast.dan)
    response = cast.ada.post(f"{URL}/deletions", {"communicator": keys}, htmx=htmx)
    assert response.status_code == (200 if htmx else 303) and not there_is("IT Manager") and not there_is("Clinicians")
    assert "Deleted." in text(cast.ada.get(f"{URL}?done=deleted"))


@pytest.mark.parametrize("htmx", [False, True])
def test_one_with_threads_is_not_deleted_but_can_be_switched_off(cast: Cast, htmx: bool) -> None:
    cast.send(cast.sophie, "Others", to="IT Manager")
    keys = [cast.communicator("IT Manager"), cast.communicator("Clinicians"), "x" * 22]
    response = cast.ada.post(f"{URL}/deletions", {"communicator": keys}, htmx=htmx)
    page = text(response)
    assert response.status_code == 409 and "Switch off" in page and "it has 1 thread." in page
    assert there_is("IT Manager") and not there_is("Clinicians") and "was not there any more" in page
    address, version = f"{URL}/{keys[0]}/switching-off", str(row_of("IT Manager").version)
    asked = cast.ada.post(address, {"version": version}, htmx=htmx)
    assert asked.status_code == 422 and "Nobody would receive Others." in text(asked) and row_of("IT Manager").is_in_use
    off = cast.ada.post(address, {"version": version, "confirmed": "Others"}, htmx=htmx)
    assert off.status_code == (200 if htmx else 303) and not row_of("IT Manager").is_in_use
    assert "Saved." in text(cast.ada.get(f"{URL}?done=saved"))
    assert "switched off already" in text(cast.ada.post(f"{URL}/deletions", {"communicator": keys[0]}))


def test_switching_off_keeps_all_else(cast: Cast) -> None:
    cast.serve("Clinicians", cast.oak)
    data = filled("Clinicians", help="For you")
    assert cast.ada.post(f"{URL}/{cast.communicator('Clinicians')}", data).status_code == 303
    before = row_of("Clinicians")
    assert cast.ada.post(f"{URL}/{before.key}/switching-off", {"version": str(before.version)}).status_code == 303
    after = row_of("Clinicians")
    assert (after.help, len(after.facilities), after.staff, after.is_in_use) == ("For you", 1, before.staff, False)


@pytest.mark.parametrize("version", ["", "x", "-1", "9" * 31, "1"])
def test_switching_off_an_old_version_says_so(cast: Cast, version: str) -> None:
    key = cast.communicator("IT Manager")
    cast.change("IT Manager", staff=[cast.dan])
    response = cast.ada.post(f"{URL}/{key}/switching-off", {"version": version})
    assert response.status_code == 409 and "A colleague saved it meanwhile" in text(response)
    assert row_of("IT Manager").is_in_use


@pytest.mark.parametrize("htmx", [False, True])
def test_deleting_the_last_one_of_a_type_is_asked_about_first(cast: Cast, htmx: bool) -> None:
    key = cast.communicator("Media Manager")
    response = cast.ada.post(f"{URL}/deletions", {"communicator": key}, htmx=htmx)
    page = text(response)
    assert response.status_code == 422 and "Nobody would receive Result." in page and "Nobody would receive Others" not in page
    assert there_is("Media Manager") and f'value="{key}" checked' in page and "Nothing is deleted yet." in page
    assert hidden(response, "confirmed") == ["Result"] and hidden(response, "communicator") == [key]
    assert cast.ada.post(f"{URL}/deletions", {"communicator": key, "confirmed": "Others"}).status_code == 422
    again = cast.ada.post(f"{URL}/deletions", {"communicator": key, "confirmed": "Result"})
    assert again.status_code == 303 and not there_is("Media Manager")


def test_what_receives_nothing_anyway_is_deleted_without_a_question(cast: Cast) -> None:
    cast.change("Media Manager", is_in_use=False)
    response = cast.ada.post(f"{URL}/deletions", {"communicator": cast.communicator("Media Manager")})
    assert response.status_code == 303


def test_both_of_a_type_ticked_leave_it_without_anybody(cast: Cast) -> None:
    keys = [cast.communicator("IT Manager"), cast.communicator("Clinicians")]
    response = cast.ada.post(f"{URL}/deletions", {"communicator": keys})
    assert response.status_code == 422 and "Nobody would receive Others." in text(response) and there_is("IT Manager")


@pytest.mark.parametrize("htmx", [False, True])
def test_open_threads_are_handed_on_and_it_is_switched_off(cast: Cast, htmx: bool) -> None:
    thread = cast.send(cast.sophie, "Others", to="IT Manager")
    key, other = cast.communicator("IT Manager"), cast.communicator("Clinicians")
    page = text(cast.ada.post(f"{URL}/deletions", {"communicator": key}))
    assert f'<option value="{other}">' in page and cast.communicator("Scheduler") not in re.findall(
        'option value="([^"]*)"', page
    )
    response = cast.ada.post(f"{URL}/{key}/handing?sort=type", {"to": other}, htmx=htmx)
    address = response.headers["HX-Redirect"] if htmx else response.location
    assert set(address.partition("?")[2].split("&")) == {"done=handed", "sort=type"}
    assert not row_of("IT Manager").is_in_use and cast.sees(cast.nina, thread) and not cast.sees(cast.ivan, thread)
    assert "Its open threads were handed on" in text(cast.ada.get(address))


@pytest.mark.parametrize("to", ["", "x" * 22, "\0", "1", "Scheduler", "IT Manager"])
def test_handing_to_none_of_its_type_is_refused(cast: Cast, to: str) -> None:
    thread = cast.send(cast.sophie, "Others", to="IT Manager")
    key = cast.communicator("IT Manager")
    target = cast.communicator(to) if there_is(to.replace("\0", "")) else to
    response = cast.ada.post(f"{URL}/{key}/handing", {"to": target, "refused": [key, "\0", "x" * 22]})
    assert response.status_code == 422 and "Choose another communicator" in text(response)
    assert row_of("IT Manager").is_in_use and cast.sees(cast.ivan, thread)


def test_the_other_refused_ones_stay_to_be_dealt_with(cast: Cast) -> None:
    cast.send(cast.sophie, "Others", to="IT Manager")
    cast.send(cast.sophie, "Others", to="Clinicians")
    keys = [cast.communicator("IT Manager"), cast.communicator("Clinicians")]
    response = cast.ada.post(f"{URL}/deletions", {"communicator": keys})
    assert hidden(response, "refused") == [keys[1], keys[1], keys[0], keys[0]]
    data = {"version": str(row_of("IT Manager").version), "refused": keys[1]}
    address = cast.ada.post(f"{URL}/{keys[0]}/switching-off", data).location
    page = text(cast.ada.get(address))
    assert "Saved." in page and "<bdi>Clinicians</bdi>: not deleted" in page and "<bdi>IT Manager</bdi>: not deleted" not in page
    assert cast.ada.get(f"{URL}?refused=1.{'x' * 22}.{keys[0]}").status_code == 200


@pytest.mark.parametrize("what", ["switching-off", "handing"])
def test_what_is_not_there_is_not_found(cast: Cast, what: str) -> None:
    for key in ("x" * 22, "nothing", "9" * 31, "%00"):
        assert cast.ada.post(f"{URL}/{key}/{what}", {"version": "1", "to": key}).status_code == 404
    assert cast.ada.get(f"{URL}/{cast.communicator('IT Manager')}/{what}").status_code == 405


def test_nothing_ticked_says_so(cast: Cast) -> None:
    assert cast.ada.post(f"{URL}/deletions", {}).status_code == 422
    assert cast.ada.post(f"{URL}/deletions", {"communicator": ["\0"]}).status_code == 422


@pytest.mark.parametrize("who", ["sam", "sophie"])
def test_nobody_but_an_admin_saves_or_deletes(cast: Cast, who: str) -> None:
    player, key = getattr(cast, who), cast.communicator("IT Manager")
    assert player.post(URL, new(cast.dan)).status_code == 403
    assert player.post(f"{URL}/{key}", filled("IT Manager", title="Mine")).status_code == 403
    assert player.post(f"{URL}/deletions", {"communicator": [key]}).status_code == 403
    assert player.post(f"{URL}/{key}/switching-off", {"version": "1", "confirmed": "Others"}).status_code == 403
    assert player.post(f"{URL}/{key}/handing", {"to": cast.communicator("Clinicians")}).status_code == 403
    assert player.post(f"{URL}/searches", {"words": "a"}).status_code == 403
    assert player.post(f"{URL}/first").status_code == 403
    assert row_of("IT Manager").is_in_use
    assert there_is("IT Manager") and not there_is("Billing")


def test_wrong_methods_are_refused(cast: Cast) -> None:
    assert cast.ada.open("PUT", URL).status_code in (400, 405)
    assert cast.ada.post("/admin/").status_code == 405


# ---- The first run -----------------------------------------------------------------------------------------


def nothing_yet(cast: Cast) -> None:
    for title in ("Scheduler", "Media Manager", "Clinicians", "IT Manager", "Patient Info Manager"):
        coverage.delete_communicator(cast.communicator(title), by=COMMAND)


@pytest.mark.parametrize("htmx", [False, True])
def test_a_fresh_practice_is_set_up_in_one_press(cast: Cast, htmx: bool) -> None:
    nothing_yet(cast)
    page = text(cast.ada.get(URL))
    assert "No communicators yet" in page and "I handle everything" in page
    waiting = cast.send(cast.sophie, "Appointment")
    response = cast.ada.post(f"{URL}/first", htmx=htmx)
    assert response.status_code == (200 if htmx else 303) and how_many() == 4
    page = text(cast.ada.get(response.headers.get("HX-Redirect") or response.location))
    assert page.count("<bdi>STAFF, ADA</bdi>") >= 4 and "I handle everything" not in page and "Saved." in page
    assert cast.sees(cast.ada, waiting)


@pytest.mark.parametrize("htmx", [False, True])
def test_whoever_is_later_at_the_first_run_sees_what_there_is(cast: Cast, htmx: bool) -> None:
    response = cast.ada.post(f"{URL}/first", htmx=htmx)
    assert response.status_code == 409 and "There are communicators already" in text(response) and how_many() == 5


def test_deletions_without_a_first_press_are_posted_only(cast: Cast) -> None:
    for address in ("deletions", "first", "searches"):
        assert cast.ada.get(f"{URL}/{address}").status_code == 404  # the address of a communicator, which is not there
