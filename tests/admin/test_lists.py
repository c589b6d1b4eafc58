"""The short lists: edited in place, and what is used stays."""

import re
from html import unescape

import pytest
import sqlalchemy as sa

from practice import lists
from practice.db import COMMAND, Audit, db
from practice.lists import Entry, ListName
from practice.people import Staff
from practice.settings import TermKind
from tests.conftest import Cast

URL = "/admin/lists"
LONG_RTL = "مركز " * 23 + "ab"  # 117 characters


def entry(which: str, name: str) -> Entry:
    db.session.close()
    found = [one for one in lists.entries(db.session(), ListName(which), number=1).rows if one.name == name]
    return found[0]


def names(which: str) -> list[str]:
    db.session.close()
    return [one.name for one in lists.entries(db.session(), ListName(which), number=1).rows]


def row(one: Entry, **changed: str) -> dict[str, str]:
    """The form of a row as the page has it; a value of None is left out."""
    values = {"name": one.name, "address": one.address, "is_in_use": "y", "seen": one.seen, "page": "1", "action": "save"}
    return {name: value for name, value in (values | changed).items() if value != "-"}


def path(which: str, key: str = "") -> str:
    return f"{URL}/{which}/entries" + (f"/{key}" if key else "")


@pytest.mark.parametrize("which", [name.value for name in ListName])
def test_each_list_has_a_page_of_its_own(cast: Cast, which: str) -> None:
    page = cast.ada.get(f"{URL}?list={which}")
    assert page.status_code == 200 and page.text.count('aria-current="page"') == 2
    titles = re.findall(r"<h1>(.*?)</h1>", page.text)
    assert titles and titles[0] in re.findall(r"<title>(.*?)</title>", page.text, re.S)[0]


@pytest.mark.parametrize("query", ["", "?list=nothing", "?list=facilities&page=x", "?page=999999", "?page=-1", f"?page={10**30}"])
def test_the_first_list_is_shown_for_an_address_that_names_none(cast: Cast, query: str) -> None:
    page = cast.ada.get(URL + query).text
    assert 'value="Linden Street"' in page and "1 - 2 / 2" in page


@pytest.mark.parametrize("htmx", [False, True])
def test_a_new_entry_is_offered(cast: Cast, htmx: bool) -> None:
    answer = cast.ada.post(path("facilities"), {"name": " Elm  Court ", "address": "1 Elm", "is_in_use": "y"}, htmx=htmx)
    assert answer.status_code == (200 if htmx else 303)
    assert entry("facilities", "Elm Court").address == "1 Elm"
    assert "Elm Court, 1 Elm" in cast.sophie.get("/appointments/new").text
    assert "Saved." in cast.ada.get(f"{URL}?done=saved").text


def test_the_same_form_makes_one_entry(cast: Cast) -> None:
    form = {"name": "Billing", "is_in_use": "y", "key": "k" * 22}
    assert cast.ada.post(path("groups"), form).status_code == cast.ada.post(path("groups"), form).status_code == 303
    assert names("groups") == ["Billing"]


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize(
    ("which", "name", "words"),
    [
        ("facilities", "", "Write a name."),
        ("facilities", " \u200b ", "Write a name."),
        ("facilities", "x" * 121, "Use at most 120 characters."),
        ("levels", "x" * 61, "Use at most 60 characters."),
        ("facilities", "LINDEN   street", "Another entry has this name."),
        ("facilities", "a\0b", "cannot be shown"),
    ],
)
def test_a_name_that_cannot_be_taken_is_said_and_kept(cast: Cast, which: str, name: str, words: str, htmx: bool) -> None:
    answer = cast.ada.post(path(which), {"name": name, "address": "Typed by me"}, htmx=htmx)
    assert answer.status_code == 422 and words in unescape(answer.text)
    assert which != "facilities" or "Typed by me" in answer.text
    if which == "facilities":
        one = entry(which, "Oak Lane")
        answer = cast.ada.post(path(which, one.key), row(one, name=name, address="Typed by me"), htmx=htmx)
        assert answer.status_code == 422 and words in unescape(answer.text) and "Typed by me" in answer.text
        assert f'aria-describedby="name-{one.key}-error"' in answer.text
        assert names("facilities") == ["Linden Street", "Oak Lane"]


def test_long_names_of_the_other_direction_and_markup_are_taken_as_text(cast: Cast) -> None:
    for name in (LONG_RTL, "<b>Bold</b> & 'quoted'"):
        assert cast.ada.post(path("facilities"), {"name": name, "is_in_use": "y"}).status_code == 303
    page = cast.ada.get(URL).text
    assert LONG_RTL in page and "<b>Bold" not in page and "&lt;b&gt;Bold" in page


def test_an_entry_is_renamed_switched_off_and_on(cast: Cast) -> None:
    key = cast.send(cast.sophie, "Appointment")
    one = entry("facilities", "Linden Street")
    cast.ada.post(path("facilities", one.key), row(one, name="Linden Avenue", is_in_use="-"))
    one = entry("facilities", "Linden Avenue")
    assert not one.is_in_use and "Linden Avenue" not in cast.sophie.get("/appointments/new").text
    assert "Linden Avenue" in cast.sophie.get("/appointments").text and cast.sees(cast.sam, key)
    cast.ada.post(path("facilities", one.key), row(one))
    assert "Linden Avenue" in cast.sophie.get("/appointments/new").text


def test_a_word_that_is_renamed_is_renamed_with_its_staff(cast: Cast) -> None:
    lists.have_terms(TermKind.LEVEL, ["Staff", "Clinician"], by=COMMAND)
    one = entry("levels", "Staff")
    assert cast.ada.post(path("levels", one.key), row(one, name="Assistant")).status_code == 303
    db.session.close()
    assert set(db.session.scalars(sa.select(Staff.level))) == {"Assistant"} and names("levels") == ["Assistant", "Clinician"]


@pytest.mark.parametrize("htmx", [False, True])
def test_an_unused_entry_is_deleted(cast: Cast, htmx: bool) -> None:
    one = entry("facilities", "Oak Lane")
    answer = cast.ada.post(path("facilities", one.key), row(one, action="delete"), htmx=htmx)
    assert answer.status_code == (200 if htmx else 303) and names("facilities") == ["Linden Street"]
    assert "Deleted." in cast.ada.get(f"{URL}?done=deleted").text


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize("which", ["facilities", "physicians", "levels"])
def test_a_used_entry_stays_and_can_be_switched_off(cast: Cast, which: str, htmx: bool) -> None:
    name, count = {"facilities": ("Linden Street", 2), "physicians": ("MOREAU, CLAIRE", 1), "levels": ("Staff", 8)}[which]
    lists.have_terms(TermKind.LEVEL, ["Staff"], by=COMMAND)
    cast.send(cast.sophie, "Appointment")
    cast.send(cast.sophie, "Result")
    with db.engines["write"].begin() as connection:
        connection.execute(sa.text("UPDATE appointment_request SET physician_id = (SELECT id FROM referring_physician)"))
    one = entry(which, name)
    answer = cast.ada.post(path(which, one.key), row(one, action="delete"), htmx=htmx)
    text = unescape(answer.text)
    assert answer.status_code == 409 and (f"It is used {count} times." if count > 1 else "It is used once.") in text
    assert f'Switch off<span class="visually-hidden"> {name}' in text and name in names(which)
    assert cast.ada.post(path(which, one.key), row(one, is_in_use="-")).status_code == 303
    assert not entry(which, name).is_in_use


def test_a_facility_that_a_communicator_serves_stays(cast: Cast) -> None:
    cast.serve("Scheduler", cast.oak)
    one = entry("facilities", "Oak Lane")
    answer = cast.ada.post(path("facilities", one.key), row(one, action="delete"))
    assert answer.status_code == 409 and "It is used once." in answer.text


@pytest.mark.parametrize("action", ["save", "delete"])
@pytest.mark.parametrize("htmx", [False, True])
def test_two_admins_the_second_sees_both(cast: Cast, action: str, htmx: bool) -> None:
    one = entry("facilities", "Oak Lane")
    mine = row(one, name="Oak Drive", action=action)
    cast.ada.post(path("facilities", one.key), row(one, name="Oak Road", is_in_use="-"))
    answer = cast.staff("eve", is_admin=True).post(path("facilities", one.key), mine, htmx=htmx)
    assert answer.status_code == 409 and "Somebody was faster" in answer.text
    assert "<bdi>Oak Drive</bdi>" in answer.text and "<bdi>Oak Road</bdi>" in answer.text
    assert 'value="Oak Drive"' in answer.text and names("facilities") == ["Linden Street", "Oak Road"]
    again = mine | {"seen": entry("facilities", "Oak Road").seen, "action": "save"}
    assert again["seen"] in answer.text
    assert cast.ada.post(path("facilities", one.key), again).status_code == 303
    assert names("facilities") == ["Linden Street", "Oak Drive"]


def test_what_a_colleague_deleted_is_not_there(cast: Cast) -> None:
    one = entry("facilities", "Oak Lane")
    cast.ada.post(path("facilities", one.key), row(one, action="delete"))
    for action in ("save", "delete"):
        answer = cast.ada.post(path("facilities", one.key), row(one, name="Typed by me", action=action))
        assert answer.status_code == 404 and "Typed by me" in answer.text


@pytest.mark.parametrize("key", ["x" * 22, "1", "9" * 30])
@pytest.mark.parametrize("which", ["facilities", "levels", "nothing"])
def test_an_entry_that_is_not_there_is_not_found(cast: Cast, which: str, key: str) -> None:
    assert cast.ada.post(path(which, key), {"name": "x", "seen": "x"}).status_code == 404


def test_an_entry_of_another_list_is_not_found(cast: Cast) -> None:
    lists.have_terms(TermKind.LEVEL, ["Staff"], by=COMMAND)
    one = entry("levels", "Staff")
    assert cast.ada.post(path("groups", one.key), row(one)).status_code == 404
    assert cast.ada.post(path("facilities", one.key), row(one)).status_code == 404


def test_pages_are_counted(cast: Cast) -> None:
    lists.have_terms(TermKind.GROUP, [f"Group {n:02}" for n in range(59)], by=COMMAND)
    page = cast.ada.get(f"{URL}?list=groups&page=2").text
    assert "26 - 50 / 59" in page and "page=1" in page and "page=3" in page and 'value="Group 25"' in page
    assert "51 - 59 / 59" in cast.ada.get(f"{URL}?list=groups&page=7").text
    one = lists.entries(db.session(), ListName.GROUPS, number=2).rows[0]
    answer = cast.ada.post(path("groups", one.key), row(one, name="Group 25b", page="2"))
    assert answer.location.endswith("list=groups&page=2&done=saved")


def test_a_page_costs_the_same_number_of_statements_whatever_it_holds(cast: Cast, statements) -> None:  # type: ignore[no-untyped-def]
    with statements() as few:
        cast.ada.get(f"{URL}?list=groups")
    lists.have_terms(TermKind.GROUP, [f"Group {n}" for n in range(40)], by=COMMAND)
    with statements() as many:
        cast.ada.get(f"{URL}?list=groups")
    assert len(few) == len(many)


def test_without_a_facility_the_page_warns_and_patients_are_told_to_call(cast: Cast) -> None:
    for name in ("Linden Street", "Oak Lane"):
        one = entry("facilities", name)
        cast.ada.post(path("facilities", one.key), row(one, is_in_use="-"))
    assert "No facility is in use." in cast.ada.get(URL).text
    page = unescape(cast.sophie.get("/appointments/new").text)
    assert "No facility takes requests here at the moment" in page and "(555) 010-0199" in page
    assert "No facility is in use." not in cast.ada.get(f"{URL}?list=levels").text


@pytest.mark.parametrize("who", ["sam", "sophie"])
def test_only_an_admin_edits_them(cast: Cast, who: str) -> None:
    player, one = getattr(cast, who), entry("facilities", "Oak Lane")
    assert player.get(URL).status_code == 403
    assert player.post(path("facilities"), {"name": "New"}).status_code == 403
    assert player.post(path("facilities", one.key), row(one, action="delete")).status_code == 403
    assert names("facilities") == ["Linden Street", "Oak Lane"]


def test_get_does_not_change(cast: Cast) -> None:
    one = entry("facilities", "Oak Lane")
    assert cast.ada.get(path("facilities")).status_code == 405 and cast.ada.get(path("facilities", one.key)).status_code == 405


def test_everything_is_audited_with_before_and_after(cast: Cast) -> None:
    one = entry("facilities", "Oak Lane")
    cast.ada.post(path("facilities", one.key), row(one, name="Oak Road"))
    one = entry("facilities", "Oak Road")
    cast.ada.post(path("facilities", one.key), row(one))  # nothing changed
    cast.ada.post(path("facilities", one.key), row(one, action="delete"))
    cast.ada.post(path("facilities"), {"name": "Elm"})
    db.session.close()
    found = db.session.execute(
        sa.select(Audit.did, Audit.details, Audit.actor_id).where(Audit.did.like("%_entry")).order_by(Audit.id)
    ).all()
    assert [did for did, _, _ in found] == ["save_entry", "delete_entry", "add_entry"]
    assert '"before": {"name": "Oak Lane"}' in found[0].details and '"after": {"name": "Oak Road"}' in found[0].details
    assert '"name": "Oak Road"' in found[1].details and {actor for _, _, actor in found} == {cast.ada.id}
