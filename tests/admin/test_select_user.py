"""Select User: search, filters, pages, ticks that stay, the spreadsheet."""

import io
import re
from typing import Any

import openpyxl
import pytest
import sqlalchemy as sa

from admin import select_user
from practice import coverage
from practice.db import COMMAND, WRITE, db
from practice.people import AccountStatus, Staff
from tests.admin.helpers import URL, filled, hidden, new, row_of, text, there_is
from tests.conftest import Cast, Player


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


def test_who_is_invited_is_put_in_charge_and_receives_once_the_account_is_active(cast: Cast) -> None:
    coverage.set_staff_status(cast.dan.key, AccountStatus.INVITED, by=COMMAND)
    page = text(cast.ada.post(URL, new(action="search", q="dan")))
    assert "invited: receives once the account is active" in page and f'name="pick" value="{cast.dan.key}"' in page
    cast.ada.post(URL, new(cast.dan, cast.sam, action="save", title="Desk"))
    communicator = row_of("Desk").id
    assert coverage.eligible_staff(db.session(), communicator) == {cast.sam.id: True}
    coverage.set_staff_status(cast.dan.key, AccountStatus.ACTIVE, by=COMMAND)
    db.session.close()
    assert coverage.eligible_staff(db.session(), communicator) == {cast.sam.id: True, cast.dan.id: True}


def test_a_disabled_account_cannot_be_ticked(cast: Cast) -> None:
    coverage.set_staff_status(cast.dan.key, AccountStatus.DISABLED, by=COMMAND)
    page = text(cast.ada.post(URL, new(action="search", q="dan")))
    assert "account not active" in page and 'name="pick" value=' not in page


def test_select_user_says_who_is_logged_on(cast: Cast) -> None:
    assert ">logged on<" in text(cast.ada.post(URL, new(action="search", q="dan")))
    cast.dan.post("/logout")
    assert ">logged on<" not in text(cast.ada.post(URL, new(action="search", q="dan")))


def called(player: Player, **terms: str) -> None:
    """Gives a member of staff a level, an institution and so on."""
    with db.engines[WRITE].begin() as connection:
        connection.execute(sa.update(Staff).where(Staff.id == player.id).values(**terms))


def test_select_user_filters_by_level_institution_department_and_who_is_logged_on(cast: Cast) -> None:
    called(cast.nina, level="Nurse", institution="Clinic", department="Ward <1>", group="Night", specialty="Oncology")
    called(cast.ivan, level="Nurse", institution="Office", department="Ward <1>")
    for sought, found in (
        ({"level": "Nurse"}, {"nina", "ivan"}),
        ({"institution": "Clinic"}, {"nina"}),
        ({"department": "Ward <1>", "institution": "Office"}, {"ivan"}),
        ({"level": "Nurse", "q": "ivan"}, {"ivan"}),
        ({"level": "Nobody is called so"}, {"ada", "sam", "max", "nina", "ivan", "rita", "fay", "dan"}),
        ({"level": "\0"}, {"ada", "sam", "max", "nina", "ivan", "rita", "fay", "dan"}),
    ):
        page = text(cast.ada.post(URL, new(action="search", **sought)))
        assert logins(page) == found, sought
    page = text(cast.ada.post(URL, new(action="search", level="Nurse", department="Ward <1>")))
    assert '<option value="Nurse" selected>' in page and "Night" in page and "Oncology" in page
    cast.dan.post("/logout")
    everybody = logins(text(cast.ada.post(URL, new(action="search"))))
    assert logins(text(cast.ada.post(URL, new(action="search", logged_on="y")))) == everybody - {"dan"}


def logins(page: str) -> set[str]:
    return set(re.findall(r'data-label="ID"><bdi>([^<]*)</bdi>', page))


def test_the_filters_stay_while_paging_and_go_with_clear(cast: Cast) -> None:
    for n in range(30):
        called(cast.staff(f"extra{n:02}"), level="Nurse")
    page = text(cast.ada.post(URL, new(action="page:2", level="Nurse", logged_on="y")))
    assert "26 - 30 / 30" in page and '<option value="Nurse" selected>' in page and 'value="y" checked' in page
    page = text(cast.ada.post(URL, new(action="clear", level="Nurse", logged_on="y")))
    assert "/ 38" in page and "selected" not in page and 'value="y" checked' not in page
    assert "26 - 30 / 30" in text(cast.ada.post(URL, new(action="page:99999", level="Nurse")))


def test_help_facilities_and_the_place_in_the_list_survive_select_user(cast: Cast) -> None:
    data = new(action="add", help="Our <help>", facilities=[cast.oak, cast.linden])
    response = cast.ada.post(f"{URL}?sort=type", data)
    assert hidden(response, "help") == ["Our <help>"] and hidden(response, "facilities") == [cast.oak, cast.linden]
    assert f'action="{URL}?sort=type"' in text(response)
    back = cast.ada.post(f"{URL}?sort=type", data | {"action": "back"})
    assert 'value="Our <help>"' in text(back) and text(back).count(f'value="{cast.oak}" checked') == 1
    assert 'aria-sort="ascending"><a href="/admin/communicators?sort=type&order=desc"' in text(back)


def cells(response: Any) -> list[list[Any]]:
    assert response.status_code == 200 and response.headers["Content-Disposition"] == 'attachment; filename="users.xlsx"'
    sheet = openpyxl.load_workbook(io.BytesIO(response.get_data())).active
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} <= {"s", "inlineStr", "n"}  # n: an empty cell
    return [[cell.value for cell in row] for row in sheet.iter_rows()]


def test_a50_excel_has_all_that_was_found_as_text(cast: Cast) -> None:
    for n in range(30):
        called(cast.staff(f"extra{n:02}"), level="=1+1")
    called(cast.nina, level="Nurse", specialty="@cmd", group="+1")
    rows = cells(cast.ada.post(URL, {"action": "excel", "q": "", "level": "=1+1"}))
    assert rows[0] == ["Status", "ID", "Name", "Level", "Group", "Specialty", "Last Logon", "Last Logout"]
    assert len(rows) == 31 and rows[1][:4] == ["logged on", "extra00", "STAFF, EXTRA00", "=1+1"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", rows[1][6]) and rows[1][7] is None
    rows = cells(cast.ada.post(f"{URL}/{cast.communicator('Clinicians')}", {"action": "excel", "q": "nina"}))
    assert [row[1] for row in rows[1:]] == ["nina"] and rows[1][4:6] == ["+1", "@cmd"]


def test_excel_says_where_it_ends(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(select_user, "SHEET_MAX", 3)
    rows = cells(cast.ada.post(URL, {"action": "excel"}))
    assert len(rows) == 5 and rows[4][0] == "These are the first 3 of 8."


def test_the_excel_button_is_a_plain_form_with_what_was_searched_for(cast: Cast) -> None:
    page = text(cast.ada.post(URL, new(action="search", q="nina", logged_on="y"), htmx=True))
    form = page[page.index('<form id="users-sheet"') :]
    assert "hx-" not in form[: form.index("</form>")] and 'name="q" value="nina"' in form and 'name="logged_on" value="y"' in form


@pytest.mark.parametrize("who", ["sam", "sophie"])
def test_a57_the_picker_is_for_admins_only(cast: Cast, who: str) -> None:
    for action in ("add", "search", "excel"):
        assert getattr(cast, who).post(URL, new(action=action)).status_code == 403


def test_select_user_takes_a_fixed_number_of_statements(cast: Cast, statements: Any) -> None:
    cast.ada.post(URL, new(cast.sam, action="search", pick=[cast.dan.key]))
    with statements() as few:
        cast.ada.post(URL, new(cast.sam, action="search", pick=[cast.dan.key]))
    for n in range(30):
        cast.staff(f"extra{n:02}")
    with statements() as many:
        cast.ada.post(URL, new(cast.sam, cast.fay, action="page:2", pick=[cast.dan.key, cast.ivan.key]))
    assert len(few) == len(many)
