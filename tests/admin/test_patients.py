"""The patients' pages of the admin: search under a key, one account and its buttons, merging and undoing."""

import re
from html import unescape
from typing import Any

import pytest
import sqlalchemy as sa

from practice import patients
from practice.db import COMMAND, db, new_key, transaction
from practice.patients import Account, account_of, merges_of
from practice.people import AccountStatus, Person
from practice.sessions import BoxFilter
from tests.conftest import Cast, Player
from tests.examples.admin_patients import invited

URL = "/admin/patients"


def account(player: Player) -> Account:
    db.session.close()
    return account_of(db.session(), player.key)


def act(cast: Cast, player: Player, what: str, *, htmx: bool = False, **data: str) -> Any:
    return cast.ada.post(f"{URL}/{player.key}/{what}", {"seen": account(player).seen, "key": new_key()} | data, htmx=htmx)


def search(cast: Cast, **values: str) -> str:
    """The list as it is found by these values."""
    answer = cast.ada.post(f"{URL}/searches", values)
    assert answer.status_code == 303, answer.text
    for value in values.values():
        assert value.lower() not in answer.location.lower() or len(value) < 2
    return unescape(cast.ada.get(answer.location).text)


def merging(cast: Cast, one: Player, two: Player) -> str:
    return f"{URL}/{one.key}/merge/{two.key}"


def merge(cast: Cast, one: Player, two: Player, *, htmx: bool = False, **data: str) -> Any:
    text = cast.ada.get(merging(cast, one, two)).text
    seen = re.search(r'name="seen" value="([^"]+)"', text)
    assert seen
    form = {"kept": one.key, "seen": seen[1], "is_confirmed": "y", "key": new_key()} | data
    return cast.ada.post(merging(cast, one, two), form, htmx=htmx)


# ---- The list ------------------------------------------------------------------------------------


def test_the_list_shows_everybody_with_record_number_or_not_matched(cast: Cast) -> None:
    cast.patient("nora", "NEW", number=90, record_number=None)
    text = cast.ada.get(URL).text
    assert all(name in text for name in ("KWON, SOPHIE", "KWON, JIHAE", "NEW, NORA", "not matched"))
    assert account(cast.sophie).record_number in text and "STAFF" not in text.partition("<main")[2]
    assert "<title>Patients" in text


@pytest.mark.parametrize("htmx", [False, True])
def test_a_search_stands_under_a_key_and_is_kept(cast: Cast, htmx: bool) -> None:
    answer = cast.ada.post(f"{URL}/searches", {"last_name": "kwon", "first_name": "soph"}, htmx=htmx)
    address = answer.headers["HX-Push-Url"] if htmx else answer.location
    assert re.fullmatch(rf"{URL}\?filter=[\w-]{{22}}", address)
    text = cast.ada.get(address).text
    assert "KWON, SOPHIE" in text and "KWON, JIHAE" not in text
    assert 'value="kwon"' in text and 'value="soph"' in text
    assert f"{URL}/{cast.sophie.key}?filter=" in text
    if htmx:
        assert "KWON, SOPHIE" in answer.text and answer.text.lstrip().startswith('<div id="patients"')


def test_each_field_finds(cast: Cast) -> None:
    sophie = account(cast.sophie)
    for values in (
        {"dob": sophie.dob.isoformat(), "first_name": "sophie"},
        {"phone": sophie.phone},
        {"email": sophie.email},
        {"record_number": sophie.record_number or ""},
        {"last_name": "kwon", "first_name": "s", "status": "active"},
    ):
        text = search(cast, **values)
        assert "KWON, SOPHIE" in text and "KWON, JIHAE" not in text, values
    assert "No patient fits." in search(cast, is_not_matched="y", last_name="kwon")


def test_somebody_elses_search_shows_nothing_of_it(cast: Cast) -> None:
    cast.ada.post(f"{URL}/searches", {"last_name": "nobodys"})
    key = db.session.scalar(sa.select(BoxFilter.key))
    assert "nobodys" not in cast.staff("eve", is_admin=True).get(f"{URL}?filter={key}").text


@pytest.mark.parametrize(
    "values",
    [
        {"dob": "31.12.1999"},
        {"dob": "\0"},
        {"last_name": "a\0b"},
        {"first_name": "x" * 101},
        {"status": "else"},
        {"phone": "5" * 41},
    ],
    ids=str,
)
@pytest.mark.parametrize("htmx", [False, True])
def test_a_search_that_cannot_be_is_422_with_the_text_kept(cast: Cast, values: dict[str, str], htmx: bool) -> None:
    answer = cast.ada.post(f"{URL}/searches", {"email": "kept@test.example"} | values, htmx=htmx)
    assert answer.status_code == 422 and "kept@test.example" in answer.text
    assert htmx or "<title>Error: " in answer.text


def test_pages_by_newer_and_older_with_a_fixed_number_of_statements(cast: Cast, statements: Any) -> None:
    with statements() as few:
        cast.ada.get(URL)
    for number in range(60):
        cast.patient(f"p{number:02}", "LONG", number=400 + number)
    with statements() as many:
        text = cast.ada.get(URL).text
    assert len(many) == len(few)
    seen = []
    for _ in range(4):
        seen += re.findall(r">LONG, (P\d\d)<", text)
        older = re.search(r'href="([^"]+)">Older', text)
        if not older:
            break
        text = cast.ada.get(unescape(older[1])).text
        assert "Newer" in text
    assert seen == [f"P{number:02}" for number in range(60)]


@pytest.mark.parametrize("where", ["filter=x", "before=" + "x" * 22, "after=1", "filter=" + "x" * 22, "before=" + "9" * 30])
def test_a_place_that_is_none_is_the_first_page(cast: Cast, where: str) -> None:
    assert "KWON, SOPHIE" in cast.ada.get(f"{URL}?{where}").text


# ---- One account ---------------------------------------------------------------------------------


@pytest.mark.parametrize("htmx", [False, True])
def test_an_account_stands_beside_the_list(cast: Cast, htmx: bool) -> None:
    text = cast.ada.get(f"{URL}/{cast.sophie.key}", htmx=htmx).text
    assert account(cast.sophie).email in text and "Merge with another account" in text and 'aria-current="true"' in text


@pytest.mark.parametrize("key", ["x" * 22, "1", "9" * 30, "sam"])
@pytest.mark.parametrize("what", ["", "/merge", "/merge/SOPHIE", "/record-number", "/lock", "/staff-link", "/merges/KEY/undo"])
def test_an_account_that_is_not_there_is_not_found(cast: Cast, key: str, what: str) -> None:
    key = cast.sam.key if key == "sam" else key
    address = f"{URL}/{key}{what}".replace("SOPHIE", cast.sophie.key).replace("KEY", "x" * 22)
    if what in ("", "/merge", "/merge/SOPHIE"):
        assert cast.ada.get(address).status_code == 404
    if what not in ("", "/merge"):
        assert cast.ada.post(address, {"seen": "x"}).status_code == 404


@pytest.mark.parametrize("who", ["sam", "sophie"])
def test_only_admins(cast: Cast, who: str) -> None:
    player, before = getattr(cast, who), account(cast.hugo)
    for address in (URL, f"{URL}/{cast.hugo.key}", f"{URL}/{cast.hugo.key}/merge", merging(cast, cast.hugo, cast.jihae)):
        assert player.get(address).status_code == 403
    for what in ("record-number", "record-number/removal", "lock", "lock/removal", "staff-link", "staff-link/removal"):
        assert player.post(f"{URL}/{cast.hugo.key}/{what}", {"seen": before.seen, "record_number": "1"}).status_code == 403
        assert cast.ada.get(f"{URL}/{cast.hugo.key}/{what}").status_code == 405
    assert account(cast.hugo) == before


@pytest.mark.parametrize("htmx", [False, True])
def test_matching_and_unmatching(cast: Cast, htmx: bool) -> None:
    assert act(cast, cast.hugo, "record-number", htmx=htmx, record_number=" 4711 ").status_code == (200 if htmx else 303)
    assert account(cast.hugo).record_number == "4711"
    assert "Saved." in cast.ada.get(f"{URL}/{cast.hugo.key}?done=saved").text
    act(cast, cast.hugo, "record-number/removal", htmx=htmx)
    assert account(cast.hugo).record_number is None


@pytest.mark.parametrize("number", ["", "1" * 21, "a\0b"])
def test_a_record_number_that_is_none_is_422_with_what_was_typed(cast: Cast, number: str) -> None:
    answer = act(cast, cast.hugo, "record-number", record_number=number)
    assert answer.status_code == 422 and "<title>Error: " in answer.text and (not number.isdigit() or number in answer.text)


def test_a_taken_record_number_names_the_other_account_and_offers_to_merge(cast: Cast) -> None:
    answer = act(cast, cast.hugo, "record-number", record_number=account(cast.sophie).record_number or "")
    assert answer.status_code == 422 and "There is another account with this number" in answer.text
    assert "<bdi>KWON, SOPHIE</bdi>" in answer.text and merging(cast, cast.hugo, cast.sophie) in answer.text


@pytest.mark.parametrize("htmx", [False, True])
def test_two_admins_at_once_the_second_sees_what_it_is_now(cast: Cast, htmx: bool) -> None:
    old = account(cast.hugo).seen
    act(cast, cast.hugo, "record-number", record_number="111")
    answer = act(cast, cast.hugo, "record-number", htmx=htmx, record_number="222", seen=old)
    assert answer.status_code == 409 and "Somebody was faster" in answer.text
    assert "<bdi>222</bdi>" in answer.text and "<bdi>111</bdi>" in answer.text and 'value="222"' in answer.text
    assert account(cast.hugo).record_number == "111"
    assert account(cast.hugo).seen in answer.text  # a second press takes it


def test_a_locked_patient_is_logged_off_and_cannot_be_written_to(cast: Cast) -> None:
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        tx.session.execute(sa.update(Person).where(Person.id == cast.sophie.id).values(password_hash="a hash"))
    act(cast, cast.sophie, "lock")
    assert cast.sophie.get("/messages").status_code == 303
    assert "Locked" in cast.ada.get(f"{URL}/{cast.sophie.key}").text
    act(cast, cast.sophie, "lock/removal")
    cast.sophie.log_in()
    assert cast.sophie.get("/messages").status_code == 200


@pytest.mark.parametrize("htmx", [False, True])
def test_a_staff_account_is_linked_and_unlinked(cast: Cast, htmx: bool) -> None:
    key = cast.send(cast.sophie)
    assert act(cast, cast.sophie, "staff-link", htmx=htmx, login="nina").status_code == (200 if htmx else 303)
    assert cast.nina.get(f"/staff/messages/{key}").status_code == 404
    assert "Linked to the staff account" in cast.ada.get(f"{URL}/{cast.sophie.key}").text
    answer = act(cast, cast.jihae, "staff-link", htmx=htmx, login="nina")
    assert answer.status_code == 422 and "linked to another patient" in answer.text and 'value="nina"' in answer.text
    act(cast, cast.sophie, "staff-link/removal", htmx=htmx)
    assert cast.nina.get(f"/staff/messages/{key}").status_code == 200


def test_markup_in_a_name_is_shown_as_text(cast: Cast) -> None:
    odd = cast.patient("odd", "<b>מִרְיָם</b>" + "X" * 80, number=95)
    for address in (URL, f"{URL}/{odd.key}", f"{URL}/{odd.key}/merge", merging(cast, odd, cast.hugo)):
        text = cast.ada.get(address).text
        assert "&lt;b&gt;" in text and "<b>" not in text


# ---- Merging -------------------------------------------------------------------------------------


def test_the_other_account_is_found_and_chosen(cast: Cast) -> None:
    answer = cast.ada.post(f"{URL}/searches", {"last_name": "kwon", "merge_with": cast.hugo.key})
    assert answer.location.startswith(f"{URL}/{cast.hugo.key}/merge?filter=")
    text = cast.ada.get(answer.location).text
    assert merging(cast, cast.hugo, cast.sophie) in text and 'value="kwon"' in text
    wrong = cast.ada.post(f"{URL}/searches", {"dob": "x", "merge_with": cast.hugo.key})
    assert wrong.status_code == 422 and "Merge with another account" in wrong.text
    assert cast.ada.post(f"{URL}/searches", {"merge_with": "x" * 22}).status_code == 404


def test_the_page_lists_what_moves_and_what_differs(cast: Cast) -> None:
    cast.send(cast.jihae)
    text = re.sub(r"<[^>]+>|\s+", " ", cast.ada.get(merging(cast, cast.sophie, cast.jihae)).text)
    assert "differs" in text and "they do not move" in text and "Which account is kept" in text
    assert re.search(r"Threads\s+0\s+1\s", text)


@pytest.mark.parametrize("htmx", [False, True])
def test_after_a_merge_the_kept_patient_has_it_all_and_the_other_is_out(cast: Cast, htmx: bool) -> None:
    key = cast.send(cast.jihae, body="Is it you?", title="From the old account")
    cast.answer(cast.nina, key, "Yes.")
    answer = merge(cast, cast.sophie, cast.jihae, htmx=htmx)
    assert answer.status_code == (200 if htmx else 303)
    assert cast.jihae.get("/messages").status_code == 303
    assert "From the old account" in cast.sophie.get("/messages").text
    page = cast.sophie.get(f"/messages/{key}").text
    assert "Is it you?" in page and "Yes." in page
    reply = cast.sophie.post(f"/messages/{key}/replies", {"body": "It is me.", "key": new_key()})
    assert reply.status_code == 303
    page = cast.nina.get(f"/staff/messages/{key}").text
    assert "It is me." in page and "KWON, SOPHIE" in page
    for player, words in ((cast.sophie, "was merged into this account"), (cast.jihae, "Merged into the account of")):
        text = cast.ada.get(f"{URL}/{player.key}").text
        assert words in text and "Undo" in text
    assert "nobody logs in with it" in cast.ada.get(f"{URL}/{cast.jihae.key}").text


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize("side", ["sophie", "jihae"])
def test_undo_from_either_page_once(cast: Cast, htmx: bool, side: str) -> None:
    key = cast.send(cast.jihae)
    merge(cast, cast.sophie, cast.jihae)
    db.session.close()
    made = merges_of(db.session(), cast.sophie.id)[0]
    address = f"{URL}/{getattr(cast, side).key}/merges/{made.key}/undo"
    assert cast.ada.post(f"{URL}/{cast.hugo.key}/merges/{made.key}/undo", {"version": "1"}).status_code == 404
    assert cast.ada.post(address, {"version": "9" * 30}).status_code == 409
    assert cast.ada.post(address, {"version": str(made.version)}, htmx=htmx).status_code == (200 if htmx else 303)
    assert cast.thread(key).patient_id == cast.jihae.id
    assert cast.ada.post(address, {"version": str(made.version)}, htmx=htmx).status_code == 409
    cast.jihae.log_in()
    assert cast.jihae.get(f"/messages/{key}").status_code == 200
    assert "undone on" in cast.ada.get(f"{URL}/{cast.sophie.key}").text


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize("wrong", [{"is_confirmed": ""}, {"kept": ""}, {"kept": "x" * 22}, {"kept": "\0"}], ids=str)
def test_a_merge_without_its_second_word_or_a_choice_is_422(cast: Cast, wrong: dict[str, str], htmx: bool) -> None:
    answer = merge(cast, cast.sophie, cast.hugo, htmx=htmx, **wrong)
    assert answer.status_code == 422 and ("born" in answer.text or "dates of birth differ" in answer.text)
    assert account(cast.hugo).status == AccountStatus.ACTIVE


def test_one_account_twice_and_two_staff_accounts_are_refused(cast: Cast) -> None:
    assert merge(cast, cast.sophie, cast.sophie).status_code == 422
    for player, login in ((cast.sophie, "dan"), (cast.jihae, "ivan")):
        patients.link_staff(player.key, staff_login=login, seen=account(player).seen, by=COMMAND)
    answer = merge(cast, cast.sophie, cast.jihae)
    assert answer.status_code == 422 and "two different staff accounts" in answer.text


def test_an_account_that_changed_meanwhile_is_409_with_what_it_is_now(cast: Cast) -> None:
    answer = merge(cast, cast.sophie, cast.jihae, seen="old")
    assert answer.status_code == 409 and "Somebody was faster" in answer.text
    assert account(cast.jihae).status == AccountStatus.ACTIVE


# ---- The first password of an imported patient ---------------------------------------------------


@pytest.mark.parametrize("htmx", [False, True])
def test_an_invited_patient_gets_a_link_that_is_shown_once(cast: Cast, htmx: bool) -> None:
    key = invited(cast)
    assert "Make a new link" in cast.ada.get(f"{URL}/{key}").text
    page = cast.ada.post(f"{URL}/{key}/invitations", htmx=htmx)
    token = re.findall(r"https://localhost/invitation/([\w-]{43})", page.text)
    assert page.status_code == 200 and len(token) == 1 and "KWON, MINA" in page.text
    assert not htmx or page.headers["HX-Push-Url"] == f"{URL}/{key}"
    later = cast.ada.get(f"{URL}/{key}").text
    assert "/invitation/" not in later and "Make a new link" in later
    words = "four words nobody guesses"
    answer = cast.anonymous.post(f"/invitation/{token[0]}", {"password": words, "password_again": words})
    assert answer.status_code == 303
    page = cast.ada.get(f"{URL}/{key}").text
    assert "Active" in page and "Make a new link" not in page
    page = cast.ada.post(f"{URL}/{key}/invitations", htmx=htmx)
    assert page.status_code == 409 and "not invited any more" in page.text and "/invitation/" not in page.text


def test_only_an_admin_invites_a_patient_and_only_one_who_is_there(cast: Cast) -> None:
    address = f"{URL}/{invited(cast)}/invitations"
    assert [player.post(address).status_code for player in (cast.sam, cast.sophie)] == [403, 403]
    assert cast.ada.get(address).status_code == 405
    for key in ("x" * 22, cast.sam.key, "9" * 30, "%00"):
        assert cast.ada.post(f"{URL}/{key}/invitations").status_code == 404
