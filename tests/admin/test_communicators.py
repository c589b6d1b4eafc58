"""Message Communicator: list, editor, saving, what is asked before a save, two admins at once."""

import re
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from practice import conversations, coverage, people
from practice.communicators import Communicator, Membership
from practice.db import COMMAND, WRITE, db, new_key, now
from practice.drafts import Draft
from practice.people import AccountStatus, Person, Staff
from practice.settings import Facility, RequestType
from tests.admin.helpers import URL, filled, hidden, how_many, in_order, new, row_of, text, there_is
from tests.conftest import Cast
from tests.examples.absences import practice_day

LONG = "أ" * 80


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


def many(cast: Cast, communicators: int, members: int) -> None:
    """Straight into the tables: so many communicators, each with so many users in charge of their own."""
    people = [
        {"key": new_key(), "kind": "staff", "status": "active", "last_name": "MANY", "first_name": f"N{n}"}
        | {"email": f"n{n}@test.example", "email_key": f"n{n}@test.example", "name_key": f"many n{n}", "created_at": now()}
        for n in range(communicators * members)
    ]
    with db.engines[WRITE].begin() as connection:
        connection.execute(Person.__table__.insert(), people)
        ids = dict(connection.execute(sa.select(Person.key, Person.id).where(Person.last_name == "MANY")).all())
        staff = [{"id": ids[p["key"]], "login": f"n{n}", "level": "Staff", "is_admin": False} for n, p in enumerate(people)]
        connection.execute(Staff.__table__.insert(), staff)
        made = [
            {"key": new_key(), "type": RequestType.OTHERS, "title": f"Room {n}", "title_key": f"room {n:04}"}
            | {"is_in_use": True, "help": "", "version": 1}
            for n in range(communicators)
        ]
        connection.execute(Communicator.__table__.insert(), made)
        rooms = list(connection.scalars(sa.select(Communicator.id).where(Communicator.title.startswith("Room ")).order_by("id")))
        memberships = [
            {"communicator_id": rooms[n // members], "staff_id": row["id"], "since": now()} for n, row in enumerate(staff)
        ]
        connection.execute(Membership.__table__.insert(), memberships)


def test_the_statements_stay_as_few_with_three_hundred_communicators_and_five_thousand_members(
    cast: Cast, statements: Any
) -> None:
    key = cast.communicator("Clinicians")
    addresses = [URL, f"{URL}/{key}", f"{URL}?sort=type&order=desc&page=2"]
    for address in addresses:
        cast.ada.get(address)
    few = []
    for address in addresses:
        with statements() as found:
            cast.ada.get(address)
        few.append(len(found))
    many(cast, 300, 17)
    for address, number in zip(addresses, few, strict=True):
        with statements() as found:
            assert cast.ada.get(address).status_code == 200
        assert len(found) == number, address
    page = text(cast.ada.get(f"{URL}?page=2"))
    assert "26 - 50 / 305" in page and page.count("and 7 more") == 25


def titles(response: TestResponse) -> list[str]:
    """Of the rows, in their order."""
    return re.findall(r'<td role="cell" class="main"><a [^>]*><bdi>([^<]*)</bdi>', text(response))


def test_the_list_is_sorted_by_title_type_and_status(cast: Cast) -> None:
    cast.communicate(RequestType.OTHERS, "Old desk", cast.dan, is_in_use=False)
    by_title = ["Clinicians", "IT Manager", "Media Manager", "Old desk", "Patient Info Manager", "Scheduler"]
    by_type = ["Patient Info Manager", "Scheduler", "Clinicians", "IT Manager", "Old desk", "Media Manager"]
    assert titles(cast.ada.get(URL)) == by_title
    assert titles(cast.ada.get(f"{URL}?order=desc")) == by_title[::-1]
    assert titles(cast.ada.get(f"{URL}?sort=type")) == by_type
    assert titles(cast.ada.get(f"{URL}?sort=type&order=desc")) == by_type[::-1]
    assert titles(cast.ada.get(f"{URL}?sort=status"))[0] == "Old desk"
    page = text(cast.ada.get(f"{URL}?sort=type&order=desc"))
    assert page.count("aria-sort") == 1 and f'aria-sort="descending"><a href="{URL}?sort=type"' in page
    assert f'href="{URL}"' in page and f'href="{URL}?sort=status"' in page


@pytest.mark.parametrize(
    "odd",
    [
        "sort=password_hash",
        "order=up",
        "page=-1",
        "page=" + "9" * 31,
        "page=1e9",
        "type=Nonsense",
        "filter=x",
        f"filter={'z' * 22}",
    ],
)
def test_a28_an_odd_place_is_the_usual_one(cast: Cast, odd: str) -> None:
    assert titles(cast.ada.get(f"{URL}?{odd}")) == titles(cast.ada.get(URL))


def test_nul_in_an_address_is_nowhere(cast: Cast) -> None:
    for name in ("sort", "page", "type", "filter", "like", "refused", "open"):
        assert cast.ada.get(f"{URL}?{name}=%00").status_code == 404


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize(
    ("kind", "words", "found"),
    [
        ("", "clin", ["Clinicians"]),
        ("", "  MANAGER  it ", ["IT Manager"]),
        ("", "STAFF, FAY", ["Clinicians", "Scheduler"]),
        ("", "ivan", ["IT Manager"]),
        ("Others", "", ["Clinicians", "IT Manager"]),
        ("Others", "fay", ["Clinicians"]),
        ("", "%", []),
        ("", "fay sam", []),
        ("Nonsense", "rita", ["Patient Info Manager"]),
        ("", "\0", ["Clinicians", "IT Manager", "Media Manager", "Patient Info Manager", "Scheduler"]),
    ],
)
def test_search_by_type_and_by_title_or_user(cast: Cast, htmx: bool, kind: str, words: str, found: list[str]) -> None:
    response = cast.ada.post(f"{URL}/searches", {"type": kind, "words": words, "sort": "title:asc"}, htmx=htmx)
    address = response.headers["HX-Push-Url"] if htmx else response.location
    assert "fay" not in address.lower() and "words" not in address
    shown = response if htmx else cast.ada.get(address)
    assert titles(shown) == found == titles(cast.ada.get(address))
    if not found:
        assert "Nothing found" in text(shown) and "I handle everything" not in text(shown)


def test_who_left_is_not_searched_for_any_more(cast: Cast) -> None:
    cast.change("Clinicians", staff=[cast.nina])
    response = cast.ada.post(f"{URL}/searches", {"words": "fay"}, htmx=True)
    assert titles(response) == ["Scheduler"]


def test_what_is_searched_for_is_nobody_elses(cast: Cast) -> None:
    eve = cast.staff("eve", is_admin=True)
    address = cast.ada.post(f"{URL}/searches", {"words": "fay"}).location
    assert titles(cast.ada.get(address)) == ["Clinicians", "Scheduler"] and len(titles(eve.get(address))) == 5


def test_page_sort_and_filter_stay_while_an_editor_is_opened_saved_and_closed(cast: Cast) -> None:
    for n in range(30):
        cast.communicate(RequestType.OTHERS, f"Room {n:02}", cast.dan)
    found = cast.ada.post(f"{URL}/searches", {"type": "Others", "words": "dan", "sort": "title:desc"}).location
    page = text(cast.ada.get(f"{found}&page=2"))
    assert "26 - 30 / 30" in page
    key = cast.communicator("Room 03")
    address = re.search(rf'href="({URL}/{key}\?[^"]*)"', page)
    assert address
    place = address[1].partition("?")[2]
    assert {"type=Others", "order=desc", "page=2"} <= set(place.split("&")) and "filter=" in place and "dan" not in place
    opened = text(cast.ada.get(address[1]))
    assert "26 - 30 / 30" in opened and opened.count('aria-current="true"') == 1
    assert f'action="{URL}/{key}?{place}"' in opened and f'href="{URL}?{place}"' in opened
    saved = cast.ada.post(f"{URL}/{key}?{place}", filled("Room 03", help="For you")).location
    assert {*place.split("&"), "done=saved"} == set(saved.partition("?")[2].split("&"))
    searched = cast.ada.post(f"{URL}/searches", {"open": key, "type": "Result"})
    assert searched.location.startswith(f"{URL}/{key}?type=Result")


def test_a_page_after_the_last_is_the_last(cast: Cast) -> None:
    for n in range(30):
        cast.communicate(RequestType.OTHERS, f"Room {n:02}", cast.dan)
    assert "26 - 35 / 35" in text(cast.ada.get(f"{URL}?page=99999"))


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
    assert hidden(response, "staff") == [cast.dan.key] and how_many() == 5
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
    assert page.count('value="remove:') == 400 and "and 390 more" in page


def test_renamed_old_messages_keep_the_title_they_were_sent_under(cast: Cast) -> None:
    thread = cast.send(cast.sophie, "Others", to="IT Manager")
    assert cast.ada.post(f"{URL}/{cast.communicator('IT Manager')}", filled("IT Manager", title="Helpers")).status_code == 303
    assert "to IT Manager" in text(cast.sophie.get(f"/messages/{thread}"))


def test_return_in_the_title_saves(cast: Cast) -> None:
    page = text(cast.ada.get(f"{URL}/{cast.communicator('Clinicians')}"))
    editor = page[page.index('id="editor"') :]
    assert re.search(r"<button [^>]*>", editor)[0].endswith('name="action" value="save" tabindex="-1" aria-hidden="true">')  # type: ignore[index]


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


def test_gain_and_loss_are_said_before_a_save(cast: Cast) -> None:
    for _ in range(3):
        cast.send(cast.sophie, "Others", to="Clinicians")
    thread = cast.send(cast.jihae, "Others", to="Clinicians")
    cast.answer(cast.nina, thread)
    conversations.claim(thread, version=cast.thread(thread).version, by=cast.nina.actor)
    key, data = cast.communicator("Clinicians"), filled("Clinicians", staff=[cast.fay.key, cast.dan.key, cast.ivan.key])
    response = cast.ada.post(f"{URL}/{key}", data)
    assert response.status_code == 422
    assert "2 people gain 4 threads; 1 person loses 4 threads; 1 claim is released." in text(response)
    assert hidden(response, "confirmed") == ["impact:2:1:1"] and len(row_of("Clinicians").staff) == 2
    cast.send(cast.sophie, "Others", to="Clinicians")
    again = cast.ada.post(f"{URL}/{key}", data | {"confirmed": "impact:2:4:1:4:1"})
    assert again.status_code == 422 and "2 people gain 5 threads" in text(again)
    assert cast.ada.post(f"{URL}/{key}", data | {"confirmed": hidden(again, "confirmed")[0]}).status_code == 303
    assert {m.login for m in row_of("Clinicians").staff} == {"fay", "dan", "ivan"}


def test_who_sees_the_threads_already_gains_nothing(cast: Cast) -> None:
    cast.send(cast.sophie, "Appointment")
    key = cast.communicator("IT Manager")
    assert cast.ada.post(f"{URL}/{key}", filled("IT Manager", staff=[cast.dan.key, cast.ivan.key])).status_code == 303


# ---- Titles that look alike --------------------------------------------------------------------------------


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize(
    ("title", "twin"),
    [("Clinician", "Clinicians"), ("I.T. Manager", "IT Manager"), ("Schedulers", "Scheduler"), ("Clinjcians", "Clinicians")],
)
def test_a_title_that_looks_like_another_is_asked_about_once(cast: Cast, title: str, twin: str, htmx: bool) -> None:
    response = cast.ada.post(URL, new(cast.dan, title=title), htmx=htmx)
    page = text(response)
    assert response.status_code == 422 and f"<bdi>{title}</bdi> and <bdi>{twin}</bdi>" in page and "look alike" in page
    assert not there_is(title) and 'role="alert"' in page
    again = new(cast.dan, title=title, confirmed=hidden(response, "confirmed")[0])
    assert cast.ada.post(URL, again).status_code == 303 and there_is(title)
    assert cast.ada.post(f"{URL}/{cast.communicator(title)}", filled(title, help="Now")).status_code == 303


@pytest.mark.parametrize("title", ["Billing", "Desk", "IT", "Manager", "😀"])
def test_another_title_is_not_asked_about(cast: Cast, title: str) -> None:
    cast.communicate(RequestType.OTHERS, "🏥", cast.dan)
    assert cast.ada.post(URL, new(cast.dan, title=title)).status_code == 303


def test_titles_that_differ_by_a_number_are_no_twins(cast: Cast) -> None:
    cast.communicate(RequestType.OTHERS, "Reading Room 1", cast.dan)
    assert cast.ada.post(URL, new(cast.dan, title="Reading Room 2")).status_code == 303
    response = cast.ada.post(URL, new(cast.dan, title="Reading Rooms 2", key="m" * 22))
    assert response.status_code == 422 and "Reading Room 2" in text(response)


def test_the_same_title_in_another_type_is_asked_about(cast: Cast) -> None:
    response = cast.ada.post(URL, new(cast.dan, title="scheduler"))
    assert response.status_code == 422 and "<bdi>Scheduler</bdi> (Appointment) look alike" in text(response)


# ---- Facilities and help -----------------------------------------------------------------------------------


def test_facilities_and_help_are_saved_and_shown(cast: Cast) -> None:
    key = cast.communicator("Scheduler")
    data = filled("Scheduler", facilities=[cast.oak], help="  For appointments  ")
    assert cast.ada.post(f"{URL}/{key}", data).status_code == 303
    row = row_of("Scheduler")
    assert [f.name for f in row.facilities] == ["Oak Lane"] and row.help == "For appointments"
    page = text(cast.ada.get(f"{URL}/{key}"))
    assert f'value="{cast.oak}" checked' in page and f'value="{cast.linden}">' in page
    assert 'value="For appointments"' in page and "184 of 200 characters left" in page
    assert cast.ada.post(f"{URL}/{key}", filled("Scheduler", facilities=[])).status_code == 303
    assert row_of("Scheduler").facilities == [] and row_of("Scheduler").help == "For appointments"


def test_a_facility_switched_off_is_shown_where_it_is_served(cast: Cast) -> None:
    cast.serve("Scheduler", cast.oak)
    with db.engines[WRITE].begin() as connection:
        connection.execute(sa.update(Facility).where(Facility.key == cast.oak).values(is_in_use=False))
    assert "Oak Lane</bdi> (switched off)" in text(cast.ada.get(f"{URL}/{cast.communicator('Scheduler')}"))
    assert "Oak Lane" not in text(cast.ada.get(f"{URL}/{cast.communicator('Clinicians')}"))


@pytest.mark.parametrize("key", ["x" * 22, "\0", "1"])
def test_an_unknown_facility_is_refused_and_leaves_the_form_ready_to_save(cast: Cast, key: str) -> None:
    response = cast.ada.post(URL, new(cast.dan, facilities=[cast.oak, key], help="Kept"))
    assert response.status_code == 422 and "facilities is not there any more" in text(response)
    assert f'value="{cast.oak}" checked' in text(response) and 'value="Kept"' in text(response)
    assert not there_is("Billing")


@pytest.mark.parametrize("help", ["x" * 201, "a\0b"])
def test_a_help_that_cannot_be_is_refused_and_kept(cast: Cast, help: str) -> None:
    response = cast.ada.post(URL, new(cast.dan, help=help))
    assert response.status_code == 422 and not there_is("Billing") and 'href="#help"' in text(response)


def test_sixty_facilities_stay_in_a_box_of_their_own(cast: Cast) -> None:
    with db.engines[WRITE].begin() as connection:
        connection.execute(
            Facility.__table__.insert(), [{"key": new_key(), "name": f"Place {n}", "address": ""} for n in range(60)]
        )
    page = text(cast.ada.get(f"{URL}?new=1"))
    assert page.count('name="facilities"') == 62 and "chips-many" in page


# ---- Who is away -------------------------------------------------------------------------------------------


def test_who_is_away_is_marked_with_the_deputy(cast: Cast) -> None:
    today = practice_day()
    for staff, deputy in ((cast.fay, cast.dan.key), (cast.nina, None)):
        days = {"first_day": today, "last_day": today + timedelta(days=400)}
        coverage.add_absence(staff.key, deputy=deputy, form_key=new_key(), by=COMMAND, **days)
    page = text(cast.ada.get(f"{URL}/{cast.communicator('Clinicians')}"))
    assert "deputy STAFF, DAN" in page and "no deputy" in page and page.count("away until") == 2
    assert "away until" not in text(cast.ada.get(f"{URL}/{cast.communicator('IT Manager')}"))


# ---- Two admins at once ------------------------------------------------------------------------------------


@pytest.mark.parametrize("htmx", [False, True])
def test_the_later_save_sees_what_changed_and_keeps_what_was_typed(cast: Cast, htmx: bool) -> None:
    eve = cast.staff("eve", is_admin=True)
    key, mine = cast.communicator("IT Manager"), filled("IT Manager", title="Mine", staff=[cast.ivan.key, cast.dan.key])
    mine |= {"help": "My help", "facilities": [cast.oak]}
    assert eve.post(f"{URL}/{key}", filled("IT Manager", title="Theirs", help="Their help")).status_code == 303
    response = cast.ada.post(f"{URL}/{key}", mine, htmx=htmx)
    page = text(response)
    assert response.status_code == 409 and "<bdi>STAFF, EVE</bdi> saved this communicator" in page
    assert "<bdi>Mine</bdi></td>" in page and "<bdi>Theirs</bdi></td>" in page and "STAFF, DAN / STAFF, IVAN" in page
    assert in_order(response, "Facilities", "<bdi>Oak Lane</bdi>", "<bdi>all</bdi>", "My help", "Their help")
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
