"""Message Communicator: list, editor, saving, two admins at once, deleting."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from practice import coverage, people
from practice.communicators import Communicator, Overview, overview
from practice.db import COMMAND, WRITE, db, now
from practice.drafts import Draft
from practice.people import AccountStatus
from practice.settings import RequestType
from tests.conftest import Cast, Player

URL = "/admin/communicators"
LONG = "أ" * 80


def row_of(title: str) -> Overview:
    db.session.close()
    return next(row for row in overview(db.session()) if row.title == title)


def there_is(title: str) -> bool:
    db.session.close()
    return any(row.title == title for row in overview(db.session()))


def filled(communicator: str, /, **changed: Any) -> dict[str, Any]:
    """What the editor of this communicator sends, with changes."""
    row = row_of(communicator)
    data: dict[str, Any] = {
        "key": "k" * 22,
        "type": row.type.value,
        "title": row.title,
        "staff": [member.key for member in row.staff],
        "version": str(row.version),
        "action": "save",
    }
    return data | ({"is_in_use": "y"} if row.is_in_use else {}) | changed


def new(*staff: Player, **changed: Any) -> dict[str, Any]:
    data = {
        "key": "n" * 22,
        "type": "Others",
        "title": "Billing",
        "staff": [p.key for p in staff],
        "is_in_use": "y",
        "action": "save",
    }
    return data | changed


def text(response: TestResponse) -> str:
    return unescape(response.get_data(as_text=True))


def hidden(response: TestResponse, name: str) -> list[str]:
    """The values of the hidden inputs of this name, as the next press would send them."""
    return [
        unescape(v) for v in re.findall(rf'<input type="hidden" name="{name}" value="([^"]*)">', response.get_data(as_text=True))
    ]


# ---- The list ----------------------------------------------------------------------------------------------


def test_the_admin_home_leads_to_the_communicators(cast: Cast) -> None:
    response = cast.ada.get("/admin/")
    assert response.status_code == 303 and response.location == URL


@pytest.mark.parametrize("who", ["sam", "sophie"])
def test_only_an_admin_opens_the_list(cast: Cast, who: str) -> None:
    assert getattr(cast, who).get(URL).status_code == 403


def test_the_list_shows_who_is_in_charge_of_what(cast: Cast) -> None:
    page = text(cast.ada.get(URL))
    assert "<bdi>STAFF, FAY</bdi> / <bdi>STAFF, SAM</bdi>" in page
    assert page.count('name="communicator"') == 5 and "1 - 5 / 5" in page and "nobody active" not in page


def test_a_communicator_without_an_active_member_is_red(cast: Cast) -> None:
    coverage.set_staff_status(cast.max.key, AccountStatus.DISABLED, by=COMMAND)
    assert "nobody active" in text(cast.ada.get(URL))


def test_the_list_takes_a_fixed_number_of_statements(cast: Cast, statements: Any) -> None:
    cast.ada.get(URL)
    with statements() as few:
        cast.ada.get(URL)
    for n in range(10):
        cast.communicate(RequestType.OTHERS, f"Desk {n}", cast.sam)
    with statements() as many:
        cast.ada.get(URL)
    assert len(few) == len(many)


def test_a_fresh_practice_says_what_to_do(cast: Cast) -> None:
    for title in ("Scheduler", "Media Manager", "Clinicians", "IT Manager", "Patient Info Manager"):
        coverage.delete_communicator(cast.communicator(title), by=COMMAND)
    assert "No communicators yet" in text(cast.ada.get(URL))


# ---- Opening -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("htmx", [False, True])
def test_opening_by_title_shows_the_editor_beside_the_marked_row(cast: Cast, htmx: bool) -> None:
    response = cast.ada.get(f"{URL}/{cast.communicator('Scheduler')}", htmx=htmx)
    page = text(response)
    assert "sam - STAFF, SAM [Staff]" in page and page.count('aria-current="true"') == 1
    assert ("<!doctype html>" in page) is not htmx


def test_a_key_that_is_not_there_is_not_found(cast: Cast) -> None:
    for key in ("x" * 22, "nothing", "9" * 30, "%00"):
        assert cast.ada.get(f"{URL}/{key}").status_code == 404


def test_new_opens_an_empty_editor_in_use(cast: Cast) -> None:
    page = text(cast.ada.get(f"{URL}?new=1"))
    assert "New communicator" in page and 'name="is_in_use" id="is_in_use" value="y" checked' in page


def test_new_with_the_same_staff_takes_them_along(cast: Cast) -> None:
    response = cast.ada.get(f"{URL}?new=1&like={cast.communicator('Scheduler')}")
    assert set(hidden(response, "staff")) == {cast.sam.key, cast.fay.key}


# ---- Adding and removing users -----------------------------------------------------------------------------


def test_remove_takes_a_user_off_the_form_and_saves_nothing(cast: Cast) -> None:
    data = filled("Scheduler", title="Changed", action=f"remove:{cast.sam.key}")
    response = cast.ada.post(f"{URL}/{cast.communicator('Scheduler')}", data)
    assert response.status_code == 200 and hidden(response, "staff") == [cast.fay.key]
    assert 'value="Changed"' in text(response)
    assert len(row_of("Scheduler").staff) == 2


@pytest.mark.parametrize("htmx", [False, True])
def test_add_opens_select_user_with_the_unsaved_form(cast: Cast, htmx: bool) -> None:
    data = filled("Scheduler", title="Changed", action="add")
    data.pop("is_in_use")
    response = cast.ada.post(f"{URL}/{cast.communicator('Scheduler')}", data, htmx=htmx)
    assert response.status_code == 200 and "Select User" in text(response)
    assert hidden(response, "title") == ["Changed"] and hidden(response, "version") == [data["version"]]
    assert set(hidden(response, "staff")) == {cast.sam.key, cast.fay.key} and not hidden(response, "is_in_use")
    assert "already in charge" in text(response) and row_of("Scheduler").is_in_use


def test_search_finds_by_id_and_by_name_and_keeps_the_ticks(cast: Cast) -> None:
    for q in ("nina", "STAFF, NINA", "  staff   nin"):
        response = cast.ada.post(URL, new(action="search", q=q, pick=[cast.ivan.key]))
        page = text(response)
        assert "STAFF, NINA" in page and hidden(response, "pick") == [cast.ivan.key]
        assert "One ticked" in page and "1 - 1 / 1" in page


def test_clear_empties_the_search_and_the_ticks(cast: Cast) -> None:
    response = cast.ada.post(URL, new(action="clear", q="nina", pick=[cast.ivan.key]))
    assert "ticked" not in text(response) and "1 - 8 / 8" in text(response)


def test_nobody_found_says_so(cast: Cast) -> None:
    assert "Nobody found" in text(cast.ada.post(URL, new(action="search", q="%_\0 nowhere")))


def test_pages_of_select_user_keep_search_ticks_and_the_form(cast: Cast) -> None:
    for n in range(30):
        cast.staff(f"extra{n:02}")
    response = cast.ada.post(URL, new(cast.sam, action="page:2", q="extra", pick=[cast.ivan.key]))
    assert "26 - 30 / 30" in text(response) and hidden(response, "staff") == [cast.sam.key]
    assert hidden(response, "pick") == [cast.ivan.key] and 'value="extra"' in text(response)
    for odd in ("page:0", "page:-1", "page:9999999", "page:x", "page:²"):
        assert cast.ada.post(URL, new(action=odd)).status_code == 200


def test_the_ticked_users_come_into_the_editor(cast: Cast) -> None:
    response = cast.ada.post(URL, new(cast.sam, action="pick", pick=[cast.nina.key, cast.sam.key, "?"]))
    assert hidden(response, "staff") == [cast.sam.key, cast.nina.key] and 'value="Billing"' in text(response)
    assert not there_is("Billing")


def test_a_disabled_account_cannot_be_ticked(cast: Cast) -> None:
    coverage.set_staff_status(cast.dan.key, AccountStatus.DISABLED, by=COMMAND)
    page = text(cast.ada.post(URL, new(action="search", q="dan")))
    assert "account disabled" in page and 'name="pick" value=' not in page


def test_select_user_says_who_is_logged_on(cast: Cast) -> None:
    assert ">logged on<" in text(cast.ada.post(URL, new(action="search", q="dan")))
    cast.dan.post("/logout")
    assert ">logged on<" not in text(cast.ada.post(URL, new(action="search", q="dan")))


# ---- Saving ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("htmx", [False, True])
def test_save_makes_a_communicator_and_keeps_the_editor_open(cast: Cast, htmx: bool) -> None:
    response = cast.ada.post(URL, new(cast.dan), htmx=htmx)
    address = response.headers["HX-Redirect"] if htmx else response.location
    assert response.status_code == (200 if htmx else 303)
    assert address == f"{URL}/{row_of('Billing').key}?done=saved"
    page = text(cast.ada.get(address))
    assert "Saved." in page and "dan - STAFF, DAN [Staff]" in page


def test_save_changes_title_users_and_status(cast: Cast) -> None:
    key = cast.communicator("IT Manager")
    data = filled("IT Manager", title="  Help   desk ", staff=[cast.dan.key])
    data.pop("is_in_use")
    assert cast.ada.post(f"{URL}/{key}", data).status_code == 303
    row = row_of("Help desk")
    assert not row.is_in_use and [m.key for m in row.staff] == [cast.dan.key]


@pytest.mark.parametrize("title", ["", "   ", "x" * 81, "a\0b", "CLINICIANS", "é\u0301" * 60])
@pytest.mark.parametrize("htmx", [False, True])
def test_a_title_that_cannot_be_is_refused_and_kept(cast: Cast, title: str, htmx: bool) -> None:
    response = cast.ada.post(URL, new(cast.dan, title=title), htmx=htmx)
    assert response.status_code == 422 and 'role="alert"' in text(response)
    assert hidden(response, "staff") == [cast.dan.key] and len(overview(db.session())) == 5
    if not htmx:
        assert "<title>Error:" in text(response)


@pytest.mark.parametrize("title", [LONG, "שלום \u202e abc", "😀 Desk", "<b>&\"'"])
def test_long_and_right_to_left_and_odd_titles_are_shown_as_written(cast: Cast, title: str) -> None:
    assert cast.ada.post(URL, new(cast.dan, title=title)).status_code == 303
    assert f"<bdi>{title}</bdi>" in text(cast.ada.get(f"{URL}/{cast.communicator(title)}"))


@pytest.mark.parametrize("kind", ["", "Nonsense", "appointment"])
def test_an_unknown_type_is_refused(cast: Cast, kind: str) -> None:
    assert cast.ada.post(URL, new(cast.dan, type=kind)).status_code == 422


@pytest.mark.parametrize("key", ["x" * 22, "", "1' OR '1", "\0"])
def test_an_unknown_user_is_refused_and_leaves_the_form_ready_to_save(cast: Cast, key: str) -> None:
    response = cast.ada.post(URL, new(staff=[cast.dan.key, key]))
    assert response.status_code == 422 and "not there any more" in text(response)
    assert hidden(response, "staff") == [cast.dan.key] and not there_is("Billing")


def test_a_patient_is_never_in_charge(cast: Cast) -> None:
    assert cast.ada.post(URL, new(cast.sophie)).status_code == 422


def test_four_hundred_users_are_saved_and_shown(cast: Cast) -> None:
    keys = []
    for n in range(400):
        made = people.add_staff(login=f"m{n}", last="MANY", first=str(n), email=f"m{n}@test.example", level="Staff", by=COMMAND)
        keys.append(db.session.get_one(people.Person, made).key)
    assert cast.ada.post(URL, new(staff=keys)).status_code == 303
    page = text(cast.ada.get(f"{URL}/{cast.communicator('Billing')}"))
    assert page.count('value="remove:') == 400 and "and 394 more" in page


def test_the_type_is_fixed_once_there_are_threads(cast: Cast) -> None:
    cast.send(cast.sophie, "Others", to="IT Manager")
    key = cast.communicator("IT Manager")
    page = text(cast.ada.get(f"{URL}/{key}"))
    assert "Fixed: it has one thread." in page and "New communicator with the same staff" in page
    response = cast.ada.post(f"{URL}/{key}", filled("IT Manager", type="Result", confirmed="Others,nobody"))
    assert response.status_code == 422 and row_of("IT Manager").type == RequestType.OTHERS
    assert cast.ada.post(f"{URL}/{cast.communicator('Clinicians')}", filled("Clinicians", type="Result")).status_code == 303


def test_a_form_sent_after_the_session_ended_waits_and_opens_again(cast: Cast) -> None:
    key = cast.communicator("IT Manager")
    with db.engines[WRITE].begin() as connection:
        connection.execute(
            sa.text("UPDATE login_session SET idle_ends_at = :t WHERE person_id = :p"), {"t": _an_hour_ago(), "p": cast.ada.id}
        )
    response = cast.ada.post(f"{URL}/{key}", filled("IT Manager", title="Kept"))
    assert response.status_code == 401 and "kept as a draft" in text(response)
    cast.ada.cookies.clear()
    cast.ada.log_in()
    assert 'value="Kept"' in text(cast.ada.get(f"{URL}/{key}?draft={'k' * 22}"))
    assert cast.ada.post(f"{URL}/{key}", filled("IT Manager", title="Kept")).status_code == 303
    assert 'value="Kept"' in text(cast.ada.get(f"{URL}/{key}"))
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Draft)) == 0
    assert "New communicator" in text(cast.ada.get(f"{URL}?draft={'z' * 22}"))


def _an_hour_ago() -> str:
    return (now() - timedelta(hours=1)).isoformat(" ")


# ---- Gaps --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("htmx", [False, True])
def test_the_last_user_goes_only_after_a_warning(cast: Cast, htmx: bool) -> None:
    key = cast.communicator("Media Manager")
    response = cast.ada.post(f"{URL}/{key}", filled("Media Manager", staff=[]), htmx=htmx)
    page = text(response)
    assert response.status_code == 422 and "Nobody would receive Result." in page and "Save again" in page
    assert row_of("Media Manager").staff
    again = filled("Media Manager", staff=[], confirmed=hidden(response, "confirmed")[0])
    assert cast.ada.post(f"{URL}/{key}", again).status_code == 303
    assert not row_of("Media Manager").staff


def test_switching_off_the_only_one_of_a_type_warns(cast: Cast) -> None:
    data = filled("Scheduler")
    data.pop("is_in_use")
    response = cast.ada.post(f"{URL}/{cast.communicator('Scheduler')}", data)
    assert response.status_code == 422 and "Nobody would receive Appointment." in text(response)
    assert row_of("Scheduler").is_in_use


def test_a_confirmation_covers_only_what_was_warned_of(cast: Cast) -> None:
    data = filled("Media Manager", staff=[], confirmed="nobody")
    assert cast.ada.post(f"{URL}/{cast.communicator('Media Manager')}", data).status_code == 422


def test_changing_the_type_of_the_only_one_warns_of_the_old_type(cast: Cast) -> None:
    data = filled("Media Manager", type="Others")
    response = cast.ada.post(f"{URL}/{cast.communicator('Media Manager')}", data)
    assert response.status_code == 422 and "Nobody would receive Result." in text(response)


def test_one_of_two_goes_without_a_warning_about_the_type(cast: Cast) -> None:
    data = filled("IT Manager")
    data.pop("is_in_use")
    assert cast.ada.post(f"{URL}/{cast.communicator('IT Manager')}", data).status_code == 303


# ---- Two admins at once ------------------------------------------------------------------------------------


@pytest.mark.parametrize("htmx", [False, True])
def test_the_later_save_sees_what_changed_and_keeps_what_was_typed(cast: Cast, htmx: bool) -> None:
    eve = cast.staff("eve", is_admin=True)
    key, mine = cast.communicator("IT Manager"), filled("IT Manager", title="Mine", staff=[cast.ivan.key, cast.dan.key])
    assert eve.post(f"{URL}/{key}", filled("IT Manager", title="Theirs")).status_code == 303
    response = cast.ada.post(f"{URL}/{key}", mine, htmx=htmx)
    page = text(response)
    assert response.status_code == 409 and "<bdi>STAFF, EVE</bdi> saved this communicator" in page
    assert "<bdi>Mine</bdi></td>" in page and "<bdi>Theirs</bdi></td>" in page and "STAFF, DAN / STAFF, IVAN" in page
    assert 'value="Mine"' in page and row_of("Theirs")
    again = mine | {"version": hidden(response, "version")[0]}
    assert cast.ada.post(f"{URL}/{key}", again).status_code == 303 and there_is("Mine")


def test_a_change_of_users_alone_is_a_change(cast: Cast) -> None:
    key, mine = cast.communicator("Clinicians"), filled("Clinicians")
    cast.change("Clinicians", staff=[cast.nina, cast.dan])
    assert cast.ada.post(f"{URL}/{key}", mine).status_code == 409


def test_adding_the_first_users_is_a_change_too(cast: Cast) -> None:
    cast.change("IT Manager", staff=[])
    key, mine = cast.communicator("IT Manager"), filled("IT Manager", title="Other")
    cast.change("IT Manager", staff=[cast.dan])
    assert cast.ada.post(f"{URL}/{key}", mine).status_code == 409


@pytest.mark.parametrize("version", ["", "x", "-1", "9" * 30])
def test_a_version_that_is_none_counts_as_an_old_one(cast: Cast, version: str) -> None:
    data = filled("IT Manager", version=version)
    assert cast.ada.post(f"{URL}/{cast.communicator('IT Manager')}", data).status_code == 409


@pytest.mark.parametrize("htmx", [False, True])
def test_a_communicator_deleted_meanwhile_leaves_what_was_typed(cast: Cast, htmx: bool) -> None:
    key, data = cast.communicator("IT Manager"), filled("IT Manager", title="Still mine")
    coverage.delete_communicator(key, by=COMMAND)
    response = cast.ada.post(f"{URL}/{key}", data, htmx=htmx)
    assert response.status_code == 404 and 'value="Still mine"' in text(response)
    assert hidden(response, "staff") == [cast.ivan.key] and f'action="{URL}"' in text(response)


def test_the_same_new_form_twice_makes_one_communicator(cast: Cast) -> None:
    assert cast.ada.post(URL, new(cast.dan)).status_code == 303
    assert cast.ada.post(URL, new(cast.dan)).status_code == 303
    assert db.session.scalar(sa.select(sa.func.count()).where(Communicator.title == "Billing")) == 1


# ---- Deleting ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("htmx", [False, True])
def test_ticked_ones_without_threads_are_deleted(cast: Cast, htmx: bool) -> None:
    keys = [cast.communicator("IT Manager"), cast.communicator("Clinicians")]
    response = cast.ada.post(f"{URL}/deletions", {"communicator": keys}, htmx=htmx)
    assert response.status_code == (200 if htmx else 303) and not there_is("IT Manager") and not there_is("Clinicians")
    assert "Deleted." in text(cast.ada.get(f"{URL}?done=deleted"))


@pytest.mark.parametrize("htmx", [False, True])
def test_one_with_threads_is_not_deleted_but_can_be_switched_off(cast: Cast, htmx: bool) -> None:
    cast.send(cast.sophie, "Others", to="IT Manager")
    keys = [cast.communicator("IT Manager"), cast.communicator("Clinicians"), "x" * 22]
    response = cast.ada.post(f"{URL}/deletions", {"communicator": keys}, htmx=htmx)
    page = text(response)
    assert response.status_code == 409 and "Switch off" in page and "it has threads" in page
    assert there_is("IT Manager") and not there_is("Clinicians") and "was not there any more" in page
    off = filled("IT Manager") | {"confirmed": "Others"}
    off.pop("is_in_use")
    assert cast.ada.post(f"{URL}/{keys[0]}", off).status_code == 303 and not row_of("IT Manager").is_in_use
    assert "switched off already" in text(cast.ada.post(f"{URL}/deletions", {"communicator": keys[0]}))


def test_nothing_ticked_says_so(cast: Cast) -> None:
    assert cast.ada.post(f"{URL}/deletions", {}).status_code == 422
    assert cast.ada.post(f"{URL}/deletions", {"communicator": ["\0"]}).status_code == 422


@pytest.mark.parametrize("who", ["sam", "sophie"])
def test_nobody_but_an_admin_saves_or_deletes(cast: Cast, who: str) -> None:
    player, key = getattr(cast, who), cast.communicator("IT Manager")
    assert player.post(URL, new(cast.dan)).status_code == 403
    assert player.post(f"{URL}/{key}", filled("IT Manager", title="Mine")).status_code == 403
    assert player.post(f"{URL}/deletions", {"communicator": [key]}).status_code == 403
    assert there_is("IT Manager") and not there_is("Billing")


def test_wrong_methods_are_refused(cast: Cast) -> None:
    assert cast.ada.open("PUT", URL).status_code in (400, 405)
    assert cast.ada.post("/admin/").status_code == 405
