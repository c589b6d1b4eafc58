"""Staff: list, search, editor, invitation, disabling with its consequences."""

import re
from html import unescape
from typing import Any

import pytest
import sqlalchemy as sa

from practice import accounts, imports
from practice.accounts import staff_account
from practice.db import COMMAND, Audit, db, new_key
from practice.lists import have_terms
from practice.people import AccountStatus, Person, Staff
from practice.settings import TermKind
from tests.conftest import Cast, Player
from tests.examples.admin_staff import begin

URL = "/admin/staff"


def form(player: Player, **changed: str) -> dict[str, str]:
    db.session.close()
    account = staff_account(db.session(), player.key)
    values = {name: value for name, value in vars(account.values).items() if isinstance(value, str)}
    admin = {"is_admin": "y"} if account.values.is_admin else {}
    return values | admin | {"seen": account.seen, "key": new_key()} | changed


def new(**changed: str) -> dict[str, str]:
    return {"login": "peter", "last_name": "STAFF", "first_name": "PETER", "email": "peter@test.example"} | changed


def status_of(player: Player) -> AccountStatus:
    db.session.close()
    return db.session.scalars(sa.select(Person.status).where(Person.id == player.id)).one()


def logins(page: str) -> list[str]:
    return re.findall(r'data-label="ID"><bdi>([^<]*)', page)


def confirmed(page: str) -> str:
    return re.findall(r'name="confirmed" value="([^"]+)"', page)[0]


# ---- The list ------------------------------------------------------------------------------------


def test_the_list_shows_who_there_is(cast: Cast) -> None:
    page = cast.ada.get(URL).text
    assert "1 - 8 / 8" in page and logins(page) == ["ada", "dan", "fay", "ivan", "max", "nina", "rita", "sam"]
    row = re.findall(r"<tr.*?</tr>", page, re.S)[3]
    assert "logged on" in row and "STAFF, FAY" in row and "Active" in row and 'num">2</td>' in row
    assert 'aria-sort="ascending"' in page


@pytest.mark.parametrize("query", ["sort=password", "page=0", f"page={10**30}", "status=x", "level=x", "filter=zzz", "sort="])
def test_an_address_that_is_not_understood_shows_the_list(cast: Cast, query: str) -> None:
    page = cast.ada.get(f"{URL}?{query}")
    assert page.status_code == 200 and "1 - 8 / 8" in page.text


@pytest.mark.parametrize("htmx", [False, True])
def test_names_are_searched_without_standing_in_the_address(cast: Cast, htmx: bool) -> None:
    answer = cast.ada.post(f"{URL}/searches", {"q": "nina", "status": "active", "sort": "id"}, htmx=htmx)
    address = answer.headers["HX-Push-Url"] if htmx else answer.location
    assert "nina" not in address and "status=active" in address and "sort=id" in address
    page = answer.text if htmx else cast.ada.get(address).text
    assert logins(page) == ["nina"] and 'value="nina"' in page
    other = cast.staff("eve", is_admin=True)
    assert len(logins(other.get(address).text)) == 9


def test_filters_stand_in_the_address(cast: Cast) -> None:
    have_terms(TermKind.LEVEL, ["Staff"], by=COMMAND)
    assert logins(cast.ada.get(f"{URL}?admin=y").text) == ["ada"]
    assert len(logins(cast.ada.get(f"{URL}?level=Staff&logged_on=y").text)) == 8
    assert "Nobody found" in cast.ada.get(f"{URL}?status=disabled").text


def test_a_page_needs_the_same_statements_for_8_and_for_80(cast: Cast, statements: Any) -> None:
    counts = []
    for address in (URL, f"{URL}?sort=logon&page=2"):
        cast.ada.get(address)
        with statements() as found:
            page = cast.ada.get(address).text
        counts.append(len(found))
        if len(counts) == 1:
            text = "ID,Last name,E-mail\n" + "".join(f"u{i},L{i},u{i}@test.example\n" for i in range(72))
            imports.take_import(begin(cast, text), by=cast.ada.actor)
    assert counts[0] == counts[1] and "26 - 50 / 80" in page


@pytest.mark.parametrize("path", [URL, f"{URL}?new=1"])
def test_only_admins_look(cast: Cast, path: str) -> None:
    assert [getattr(cast, who).get(path).status_code for who in ("sam", "sophie")] == [403, 403]


def test_only_posts_write(cast: Cast) -> None:
    for act in ("disabling", "enabling", "invitations"):
        assert cast.ada.get(f"{URL}/{cast.dan.key}/{act}").status_code == 405


# ---- The editor ----------------------------------------------------------------------------------


@pytest.mark.parametrize("htmx", [False, True])
def test_a_new_account_shows_its_link_once(cast: Cast, htmx: bool) -> None:
    have_terms(TermKind.LEVEL, ["Clinician"], by=COMMAND)
    assert "Clinician" in cast.ada.get(f"{URL}?new=1").text
    sent = new(key="k" * 22, level="Clinician")
    page = cast.ada.post(URL, sent, htmx=htmx)
    token = re.findall(r"https://localhost/invitation/([\w-]{43})", page.text)
    assert page.status_code == 200 and len(token) == 1 and "STAFF, PETER" in page.text
    assert cast.anonymous.get(f"/invitation/{token[0]}").status_code == 200
    again = cast.ada.post(URL, sent, htmx=htmx).text
    assert "This was saved before" in again and "/invitation/" not in again
    later = cast.ada.get(f"{URL}/{'k' * 22}").text
    assert "/invitation/" not in later and "Invited" in later and "Make a new link" in later
    page = cast.ada.post(f"{URL}/{'k' * 22}/invitations", htmx=htmx).text
    assert re.findall(r"/invitation/([\w-]{43})", page)[0] != token[0]
    assert cast.anonymous.get(f"/invitation/{token[0]}").status_code == 400


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"login": ""}, "Write an ID."),
        ({"login": "Sam"}, "Another member of staff has this ID."),
        ({"email": "nothing"}, "This is not an e-mail address."),
        ({"email": "SOPHIE@test.example"}, "Another account has this e-mail address."),
        ({"last_name": "", "first_name": ""}, "Write a last name, a first name or both."),
        ({"login": "x" * 61}, "Use at most 60 characters."),
        ({"login": "a\0b"}, "cannot be shown"),
        ({"login": "a\u202eb"}, "cannot be shown"),
        ({"level": "<b>Wizard</b>"}, "Choose an entry of the list."),
    ],
)
def test_what_cannot_be_is_said_beside_the_field_and_the_text_kept(cast: Cast, htmx: bool, changed: dict, says: str) -> None:
    for url, sent in ((URL, new(**changed)), (f"{URL}/{cast.dan.key}", form(cast.dan, **changed))):
        page = cast.ada.post(url, sent, htmx=htmx)
        assert page.status_code == 422 and says in page.text and "<b>W" not in page.text
        assert f'value="{sent["email"]}"' in page.text


def test_a_change_is_saved_and_a_second_one_over_it_shows_both(cast: Cast) -> None:
    old = form(cast.dan, first_name="DANNY")
    answer = cast.ada.post(f"{URL}/{cast.dan.key}", form(cast.dan, first_name="DANIEL"))
    assert answer.status_code == 303 and "Saved." in cast.ada.get(answer.location).text
    page = cast.ada.post(f"{URL}/{cast.dan.key}", old)
    assert page.status_code == 409 and "DANNY" in page.text and "DANIEL" in page.text and "Somebody was faster" in page.text
    seen = re.findall(r'name="seen" value="([^"]+)"', page.text)[0]
    assert cast.ada.post(f"{URL}/{cast.dan.key}", old | {"seen": seen}).status_code == 303


def test_a_link_that_a_change_ends_is_told(cast: Cast) -> None:
    page = cast.ada.post(URL, new(key="k" * 22)).text
    token = re.findall(r"/invitation/([\w-]{43})", page)[0]
    peter = Player(cast.app, 0, "k" * 22)
    answer = cast.ada.post(f"{URL}/{peter.key}", form(peter, email="right@test.example"))
    page = cast.ada.get(answer.location).text
    assert "Saved." in page and "does not work any more. Make a new link." in page and "a link works until" not in page
    assert cast.anonymous.get(f"/invitation/{token}").status_code == 400
    assert "done=saved" in cast.ada.post(f"{URL}/{peter.key}", form(peter, email="wrong@test.example")).location
    assert "Make a new link." not in cast.ada.get(f"{URL}/{cast.dan.key}?done=link-ended").text


def test_the_last_active_admin_is_not_demoted(cast: Cast) -> None:
    sent = form(cast.ada)
    del sent["is_admin"]
    page = cast.ada.post(f"{URL}/{cast.ada.key}", sent)
    assert page.status_code == 422 and "This is the last active admin" in page.text


@pytest.mark.parametrize("name", ["<b>X</b>", "כהן־לוי", "W" * 100])
def test_strange_names_are_shown_as_they_are(cast: Cast, name: str) -> None:
    cast.ada.post(URL, new(last_name=name, login=name[:60]))
    page = cast.ada.get(URL).text
    assert f"{name}, PETER" in unescape(page) and "<b>X" not in page


@pytest.mark.parametrize("key", ["x" * 22, "9" * 30, "%00", "nobody"])
def test_who_is_not_there_is_not_found(cast: Cast, key: str) -> None:
    assert cast.ada.get(f"{URL}/{key}").status_code == 404
    for act in ("", "/disabling", "/enabling", "/invitations"):
        assert cast.ada.post(f"{URL}/{key}{act}", new()).status_code == 404


# ---- Status --------------------------------------------------------------------------------------


@pytest.mark.parametrize("htmx", [False, True])
def test_disabling_says_first_what_follows(cast: Cast, htmx: bool) -> None:
    cast.send(cast.sophie, "Result")
    url = f"{URL}/{cast.max.key}/disabling"
    page = cast.ada.post(url, htmx=htmx)
    assert status_of(cast.max) == AccountStatus.ACTIVE
    for words in (
        "Communicators left empty:",
        "<bdi>Media Manager</bdi>",
        "Nobody would receive Result.",
        "One open thread would be seen by nobody",
    ):
        assert words in page.text
    cast.send(cast.jihae, "Result")  # what would follow is another thing now
    again = cast.ada.post(url, {"confirmed": confirmed(page.text)}, htmx=htmx)
    assert status_of(cast.max) == AccountStatus.ACTIVE and "2 open threads would be seen by nobody" in again.text
    assert cast.ada.post(url, {"confirmed": confirmed(again.text)}, htmx=htmx).status_code == (200 if htmx else 303)
    assert status_of(cast.max) == AccountStatus.DISABLED
    assert "Enable" in cast.ada.get(f"{URL}/{cast.max.key}?done=disabled").text
    cast.ada.post(f"{URL}/{cast.max.key}/enabling", htmx=htmx)
    assert status_of(cast.max) == AccountStatus.ACTIVE and "Media Manager" in cast.ada.get(f"{URL}/{cast.max.key}").text


def test_the_last_active_admin_is_not_disabled(cast: Cast) -> None:
    page = cast.ada.post(f"{URL}/{cast.ada.key}/disabling").text
    assert "This is the last active admin" in page and 'name="confirmed"' not in page
    eve = cast.staff("eve", is_admin=True)
    page = cast.ada.post(f"{URL}/{cast.ada.key}/disabling").text
    assert "This is your own account." in page
    accounts.disable(eve.key, by=cast.ada.actor)
    page = cast.ada.post(f"{URL}/{cast.ada.key}/disabling", {"confirmed": confirmed(page)}).text
    assert "This is the last active admin" in page and status_of(cast.ada) == AccountStatus.ACTIVE


def test_who_disables_themselves_is_logged_off(cast: Cast) -> None:
    cast.staff("eve", is_admin=True)
    page = cast.ada.post(f"{URL}/{cast.ada.key}/disabling").text
    assert cast.ada.post(f"{URL}/{cast.ada.key}/disabling", {"confirmed": confirmed(page)}).status_code == 303
    assert cast.ada.get(URL).status_code == 303 and status_of(cast.ada) == AccountStatus.DISABLED


def test_no_link_is_made_for_who_is_active(cast: Cast) -> None:
    page = cast.ada.post(f"{URL}/{cast.dan.key}/invitations")
    assert page.status_code == 409 and "not invited any more" in page.text


def test_no_token_stands_in_the_audit(cast: Cast) -> None:
    page = cast.ada.post(URL, new()).text
    token = re.findall(r"/invitation/([\w-]{43})", page)[0]
    db.session.close()
    assert not [row for row in db.session.scalars(sa.select(Audit)) if token in row.details + row.about]
    assert db.session.scalars(sa.select(Staff.login_key).where(Staff.login == "peter")).one() == "peter"
