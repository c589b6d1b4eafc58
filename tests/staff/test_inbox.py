"""In Box and Sent Items: who is listed, what filters leave, where pages lead, how many statements it takes."""

import re

import pytest

from practice import threads
from tests.staff.helpers import act, reply, rows


def searched(who, **values):
    """The page that a search leads to, and its address."""
    answer = who.post("/staff/searches", values)
    assert answer.status_code == 303
    return who.get(answer.location), answer.location


def test_the_in_box_lists_what_my_communicators_have_newest_first(cast):
    first = cast.send(cast.sophie, "Appointment")
    second = cast.send(cast.jihae, "Others", title="My inhaler")
    other = cast.send(cast.jihae, "Others", to="IT Manager")
    page = cast.fay.get("/staff/")
    assert rows(page) == [second, first] and "In Box (2)" in page.text
    assert rows(cast.sam.get("/staff/")) == [first]
    assert rows(cast.ivan.get("/staff/")) == [other]
    assert "KWON, SOPHIE" in page.text and "(00000113)" in page.text and "1978-02-24" in page.text
    assert "Appointment request" in page.text and "Unread:" in page.text and "mailto" not in page.text


def test_an_unmatched_patient_is_marked(cast):
    lea = cast.patient("lea", "NOVAK", record_number=None)
    key = cast.send(lea, "Appointment")
    assert "not matched" in cast.sam.get("/staff/").text
    assert "not matched" in cast.sam.get(f"/staff/messages/{key}").text
    assert "write nothing medical" in cast.sam.get(f"/staff/messages/{key}/reply").text


def test_htmx_gets_the_list_alone_and_history_the_whole_page(cast):
    cast.send(cast.sophie, "Appointment")
    assert cast.sam.get("/staff/", htmx=True).text.lstrip().startswith('<section class="inbox-side" id="list"')
    whole = cast.sam.get("/staff/", headers={"HX-Request": "true", "HX-History-Restore-Request": "true"})
    assert whole.text.startswith("<!doctype html>")


def test_in_charge_of_nothing_says_so_and_whom_to_ask(cast):
    cast.send(cast.sophie, "Appointment")
    for page in ("/staff/", "/staff/sent", "/staff/messages/new"):
        text = cast.dan.get(page).text
        assert "in charge of nothing" in text and "STAFF, ADA" in text and "SOPHIE" not in text


def test_an_empty_box_says_that_everybody_has_an_answer(cast):
    assert "Everybody has an answer" in cast.sam.get("/staff/").text
    assert "Nothing sent yet" in cast.sam.get("/staff/sent").text


def test_a49_my_own_thread_as_a_patient_is_neither_listed_nor_counted(cast):
    own = cast.staff("lou", own_patient=cast.sophie.id)
    cast.change("Scheduler", staff=[own, cast.sam])
    mine, other = cast.send(cast.sophie, "Appointment"), cast.send(cast.jihae, "Appointment")
    page = own.get("/staff/")
    assert rows(page) == [other] and "In Box (1)" in page.text
    assert own.get(f"/staff/messages/{mine}").status_code == 404
    assert rows(cast.sam.get("/staff/")) == [other, mine]


# ---- Filters -------------------------------------------------------------------------------------


def test_filters_narrow_the_list_and_personal_values_stay_out_of_the_address(cast):
    novak = cast.patient("ivana", "NOVÁK", number=60)
    first, second = cast.send(novak, "Appointment"), cast.send(cast.sophie, "Others")
    page, address = searched(cast.fay, last_name="novak, iv")
    assert rows(page) == [first] and "novak" not in address.lower() and 'value="novak, iv"' in page.text
    assert rows(searched(cast.fay, type="Others")[0]) == [second]
    assert rows(searched(cast.fay, receiver=cast.communicator("Scheduler"))[0]) == [first]
    act(cast, cast.fay, first, "receipts")
    assert rows(searched(cast.fay, unread="y")[0]) == [second]
    assert rows(searched(cast.fay, unread="y", last_name="NOVAK")[0]) == []
    assert cast.nina.get(address).text.count("novak, iv") == 0, "a filter belongs to the session that made it"


def test_a_search_without_anything_shows_all(cast):
    assert cast.fay.post("/staff/searches", {"last_name": ""}).location == "/staff/"


@pytest.mark.parametrize("name", ["´", ",", "x" * 5000, "'; DROP", "🦊", "שלום"])
def test_a_name_that_nobody_has_finds_nobody(cast, name):
    cast.send(cast.sophie, "Appointment")
    page, _ = searched(cast.sam, last_name=name)
    assert rows(page) == ([] if name != "," else rows(cast.sam.get("/staff/")))


@pytest.mark.parametrize("values", [{"type": "Nonsense"}, {"receiver": "x" * 22}, {"receiver": "1" + "0" * 30}])
def test_an_unknown_choice_finds_nothing(cast, values):
    cast.send(cast.sophie, "Appointment")
    page, _ = searched(cast.sam, **values)
    assert rows(page) == [] and "Nothing found" in page.text


def test_the_receiver_must_be_mine(cast):
    cast.send(cast.sophie, "Others", to="IT Manager")
    assert rows(searched(cast.nina, receiver=cast.communicator("IT Manager"))[0]) == []


def test_too_many_patients_ask_for_one_more_letter(cast, monkeypatch):
    monkeypatch.setattr("staff.filters.MOST_PATIENTS", 2)
    cast.send(cast.sophie, "Appointment")
    assert "one more letter" in searched(cast.sam, last_name="kwon")[0].text
    assert len(rows(searched(cast.sam, last_name="kwon s")[0])) == 1


def test_htmx_searches_without_a_new_page(cast):
    key = cast.send(cast.sophie, "Appointment")
    answer = cast.sam.post("/staff/searches", {"last_name": "kwon"}, htmx=True)
    assert answer.status_code == 200 and rows(answer) == [key]
    assert re.fullmatch(r"/staff/\?filter=[\w-]{22}", answer.headers["HX-Push-Url"])
    assert rows(cast.sam.get(answer.headers["HX-Push-Url"])) == [key]


# ---- Pages ---------------------------------------------------------------------------------------


def test_newer_and_older_pass_every_row_once_also_beside_an_open_message(cast, monkeypatch):
    monkeypatch.setattr(threads, "PAGE", 2)
    keys = [cast.send(cast.sophie, "Appointment") for _ in range(5)][::-1]
    page, seen = cast.sam.get("/staff/"), []
    while True:
        seen += rows(page)
        older = re.search(r'href="(/staff/\?before=[\w-]{22})"', page.text)
        if not older:
            break
        page = cast.sam.get(older[1])
    assert seen == keys
    newer = re.search(r'href="(/staff/\?after=[\w-]{22})"', page.text)
    assert rows(cast.sam.get(newer[1])) == keys[2:4]
    beside = cast.sam.get(f"/staff/messages/{keys[4]}?before={keys[3]}")
    assert rows(beside) == keys[4:] and f"/receipts?before={keys[3]}" in beside.text


@pytest.mark.parametrize("place", ["nonsense", "1" + "0" * 30, "", "~", "x" * 22])
def test_a_place_that_is_not_there_is_the_first_page(cast, place):
    key = cast.send(cast.sophie, "Appointment")
    assert rows(cast.sam.get(f"/staff/?before={place}")) == [key]
    assert rows(cast.sam.get(f"/staff/?after={place}&filter={place}")) == [key]
    assert cast.sam.get("/staff/?filter=%00").status_code == 404


# ---- Sent Items ----------------------------------------------------------------------------------


def test_sent_items_are_shared_and_say_who_wrote_from_where(cast):
    key = cast.send(cast.sophie, "Appointment")
    assert rows(cast.fay.get("/staff/sent")) == []
    reply(cast, cast.sam, key, "Thursday?")
    page = cast.fay.get("/staff/sent")
    assert rows(page) == [key] and "STAFF, SAM" in page.text and "Scheduler" in page.text
    assert f"/staff/messages/{key}?which=sent" in page.text
    assert rows(cast.fay.get(f"/staff/messages/{key}?which=sent")) == [key]
    assert rows(cast.nina.get("/staff/sent")) == []


# ---- Speed ---------------------------------------------------------------------------------------


def test_a_list_takes_four_statements_and_a_search_by_name_five_and_its_own_row(cast, statements):
    for patient in (cast.sophie, cast.jihae):
        cast.send(patient, "Others")
        cast.send(patient, "Appointment")
    token = cast.fay.token()
    with statements() as found:
        cast.fay.get("/staff/")
    assert len(found) == 4, found
    with statements() as found:
        cast.fay.post("/staff/searches", {"last_name": "kwon"}, htmx=True, token=token)
    writes = [s for s in found if s.startswith("INSERT")]
    assert len(writes) == 1 and len(found) == 6, found
