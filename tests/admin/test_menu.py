"""Menu Settings: what is saved, what is refused, two admins at once. What patients see of it: tests/portal/test_menu.py."""

from html import unescape

import pytest
import sqlalchemy as sa

from practice.db import Audit, db
from practice.errors import NotAllowed
from practice.settings import MenuItem, the_practice
from practice.setup import save_menu
from tests.conftest import Cast
from tests.examples.admin_practice import menu_form

URL = "/admin/menu"


def off() -> str:
    db.session.close()
    return the_practice().menu_off


def test_every_switch_has_its_row_and_shows_how_it_is_saved(cast: Cast) -> None:
    page = cast.ada.get(URL).text
    for name in [*MenuItem, "meaningful_use"]:
        assert f'name="{name}" id="{name}" value="y" checked' in page
    for word in ("Menu Title", "In Use", "Meaning", "Account info", "Meaningful Use mode"):
        assert word in page


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize("item", [MenuItem.ACCOUNT_INFO, MenuItem.MY_APPOINTMENTS, MenuItem.MY_RESULTS])
def test_a_list_is_switched_off_at_once_and_on_again(cast: Cast, item: MenuItem, htmx: bool) -> None:
    response = cast.ada.post(URL, menu_form(item), htmx=htmx)
    assert response.status_code == (200 if htmx else 303) and off() == item
    page = cast.ada.get(f"{URL}?done=saved").text
    assert "Saved." in page and f'name="{item}" id="{item}" value="y">' in page
    cast.ada.post(URL, menu_form())
    assert off() == ""


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("request_appointment", "Appointment"),
        ("request_result", "Result"),
        ("message", "Others"),
        ("my_info", "Amendment"),
        ("meaningful_use", "Amendment"),
    ],
)
def test_what_patients_could_not_ask_for_any_more_is_said_first(cast: Cast, name: str, kind: str, htmx: bool) -> None:
    cast.send(cast.sophie, kind)
    cast.send(cast.jihae, "Appointment" if kind != "Appointment" else "Result")
    first = cast.ada.post(URL, menu_form(name), htmx=htmx)
    assert first.status_code == 422 and "1 request waits for an answer now" in first.text and "Save again" in first.text
    assert off() == "" and the_practice().meaningful_use
    second = cast.ada.post(URL, menu_form(name, confirmed=kind), htmx=htmx)
    assert second.status_code == (200 if htmx else 303)
    assert off() == ("" if name == "meaningful_use" else name)
    assert the_practice().meaningful_use == (name != "meaningful_use")


def test_the_confirmation_of_one_is_not_that_of_another(cast: Cast) -> None:
    response = cast.ada.post(URL, menu_form("message", "request_result", confirmed="Others"))
    assert response.status_code == 422 and "no request waits" in response.text and off() == ""


def test_what_is_off_already_is_not_asked_again(cast: Cast) -> None:
    cast.ada.post(URL, menu_form("message", confirmed="Others"))
    assert cast.ada.post(URL, menu_form("message", "my_results")).status_code == 303
    assert off() == "my_results,message"


@pytest.mark.parametrize("htmx", [False, True])
def test_two_admins_the_second_sees_both_states_and_can_save_theirs(cast: Cast, htmx: bool) -> None:
    eve, mine = cast.staff("eve", is_admin=True), menu_form("my_appointments")
    eve.post(URL, menu_form("my_results"))
    response = cast.ada.post(URL, mine, htmx=htmx)
    page = unescape(response.text)
    assert response.status_code == 409 and "Somebody was faster" in page and off() == "my_results"
    assert "My appointments" in page and 'name="my_appointments" id="my_appointments" value="y">' in page
    assert cast.ada.post(URL, menu_form("my_appointments")).status_code == 303 and off() == "my_appointments"


def test_the_same_form_twice_is_saved_once(cast: Cast) -> None:
    form = menu_form("my_results")
    assert [cast.ada.post(URL, form).status_code for _ in range(2)] == [303, 303]


@pytest.mark.parametrize("version", ["", "x", "0", "9" * 30, "-1", "\0"])
def test_a_version_that_is_none_is_an_old_one(cast: Cast, version: str) -> None:
    assert cast.ada.post(URL, menu_form("my_results", version=version)).status_code == 409 and off() == ""


def test_the_audit_says_what_changed(cast: Cast) -> None:
    cast.ada.post(URL, menu_form("my_results"))
    db.session.close()
    row = db.session.scalars(sa.select(Audit).where(Audit.did == "save_menu")).one()
    assert row.about == "menu" and '"after": {"my_results": false}' in row.details and row.actor_id == cast.ada.id


@pytest.mark.parametrize("name", ["sam", "sophie"])
def test_a_wrong_role_is_refused(cast: Cast, name: str) -> None:
    player = getattr(cast, name)
    assert player.get(URL).status_code == 403 and player.post(URL, menu_form("my_results")).status_code == 403
    assert off() == ""


def test_an_admin_no_more_is_refused_inside_the_verb(cast: Cast) -> None:
    with pytest.raises(NotAllowed):
        save_menu([], meaningful_use=True, version=1, by=cast.sam.actor)
    assert off() == ""


def test_the_page_needs_a_fixed_number_of_statements(cast: Cast, statements) -> None:
    with statements() as found:
        cast.ada.get(URL)
    assert len(found) <= 4, found
