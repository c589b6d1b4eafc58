"""New Message: the patient is found, a text is sent from a communicator of one's own."""

import pytest
import sqlalchemy as sa

from practice.db import COMMAND, db, new_key, transaction
from practice.people import AccountStatus, Person, fold
from tests.staff.helpers import rows


def find(who, **values):
    answer = who.post("/staff/patients/searches", values)
    assert answer.status_code == 303
    return who.get(answer.location), answer.location


def form(cast, **more):
    return {
        "key": new_key(),
        "patient": cast.sophie.key,
        "title": "Your appointment",
        "body": "Please come earlier.",
        "communicator": cast.communicator("Scheduler"),
    } | more


def lock(player):
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        tx.session.get_one(Person, player.id).status = AccountStatus.LOCKED
    db.session.close()


def test_patients_are_found_by_name_birth_date_and_record_number(cast):
    for values in ({"name": "kwon, so"}, {"dob": "1978-02-24"}, {"record_number": "00000113"}):
        page, address = find(cast.sam, **values)
        assert f"patient={cast.sophie.key}" in page.text and cast.jihae.key not in page.text
        assert not any(v in address for v in values.values()), "what a person is searched by stays out of the address"
    assert "No patient fits" in find(cast.sam, name="Nobody")[0].text
    assert len(find(cast.sam, name="KWON")[0].text.split("Choose")) == 4
    assert "No patient fits" in find(cast.sam, name="staff")[0].text, "staff are no patients"


@pytest.mark.parametrize("values", [{}, {"name": "  "}, {"dob": "yesterday"}, {"dob": "2026-02-30"}, {"name": "a\0b"}])
def test_a_search_for_nothing_says_what_to_do(cast, values):
    answer = cast.sam.post("/staff/patients/searches", values)
    assert answer.status_code == 422 and "<title>Error: " in answer.text and 'id="errors"' in answer.text


def test_a_message_stands_in_sent_items_and_the_reply_in_the_in_box(cast):
    page = cast.sam.get(f"/staff/messages/new?patient={cast.sophie.key}").text
    assert "KWON, SOPHIE" in page and "Scheduler" in page
    answer = cast.sam.post("/staff/messages/new", form(cast))
    assert answer.status_code == 303
    sent = rows(cast.fay.get("/staff/sent"))
    assert len(sent) == 1 and sent[0] in answer.location and rows(cast.sam.get("/staff/")) == []
    assert cast.sam.get(answer.location).status_code == 200
    assert "Please come earlier." in cast.sophie.get(f"/messages/{sent[0]}").text
    cast.sophie.post(f"/messages/{sent[0]}/replies", {"key": new_key(), "body": "Yes"})
    assert rows(cast.fay.get("/staff/")) == sent


@pytest.mark.parametrize(
    "values",
    [{"title": ""}, {"title": "x" * 121}, {"body": " "}, {"body": "x" * 20_001}, {"title": "a\0"}, {"communicator": "x" * 22}],
)
def test_what_cannot_be_taken_comes_back_with_its_text(cast, values):
    answer = cast.sam.post("/staff/messages/new", form(cast, **values))
    assert answer.status_code == 422 and "<title>Error: " in answer.text and 'id="errors"' in answer.text
    kept = form(cast) | values
    assert kept["title"].replace("\0", "") in answer.text.replace("\0", "") and kept["body"].strip() in answer.text
    assert rows(cast.sam.get("/staff/sent")) == []


def test_only_from_a_communicator_of_mine_that_is_in_use(cast):
    assert cast.sam.post("/staff/messages/new", form(cast, communicator=cast.communicator("Clinicians"))).status_code == 422
    cast.change("Clinicians", is_in_use=False)
    data = form(cast, communicator=cast.communicator("Clinicians"))
    assert cast.fay.post("/staff/messages/new", data).status_code == 422
    page = cast.fay.get(f"/staff/messages/new?patient={cast.sophie.key}").text
    assert ">Scheduler</option>" in page and ">Clinicians</option>" not in page


def test_a_locked_account_is_shown_and_refused(cast):
    lock(cast.sophie)
    page = find(cast.sam, name="kwon so")[0].text
    assert "SOPHIE" in page and "locked" in page and f"patient={cast.sophie.key}" not in page
    assert "nothing can be sent" in cast.sam.get(f"/staff/messages/new?patient={cast.sophie.key}").text
    answer = cast.sam.post("/staff/messages/new", form(cast))
    assert answer.status_code == 403 and "Please come earlier." in answer.text


def test_my_own_patient_account_is_nowhere(cast):
    own = cast.staff("lou", own_patient=cast.sophie.id)
    cast.change("Scheduler", staff=[own])
    assert cast.sophie.key not in find(own, name="kwon")[0].text
    assert "SOPHIE" not in own.get(f"/staff/messages/new?patient={cast.sophie.key}").text
    assert own.post("/staff/messages/new", form(cast)).status_code == 404


@pytest.mark.parametrize("key", ["", "x" * 22, "1" + "0" * 30])
def test_a_patient_who_is_not_there_is_404_and_the_page_asks_again(cast, key):
    assert cast.sam.post("/staff/messages/new", form(cast, patient=key)).status_code == 404
    assert "Record number" in cast.sam.get(f"/staff/messages/new?patient={key}").text


def test_the_same_form_twice_is_one_message(cast):
    data = form(cast)
    places = {cast.sam.post("/staff/messages/new", data).location for _ in range(3)}
    assert len(places) == 1 and len(rows(cast.sam.get("/staff/sent"))) == 1
    answer = cast.sam.post("/staff/messages/new", data | {"body": "Other words"})
    assert answer.status_code == 409 and "Send as new message" in answer.text


def test_namesakes_are_told_apart_by_birth_date_and_record_number(cast):
    other = cast.patient("sophie2", "KWON", number=7)
    unmatched = cast.patient("sophie3", "KWON", number=9, record_number=None)
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        of_both = Person.id.in_([other.id, unmatched.id])
        tx.session.execute(sa.update(Person).where(of_both).values(first_name="SOPHIE", name_key=fold("KWON SOPHIE")))
    found = find(cast.sam, name="kwon, sophie")[0].text
    for patient, says in (
        (cast.sophie, "1978-02-24, 00000113"),
        (other, "1978-02-17, 00000120"),
        (unmatched, "1978-02-15, not matched"),
    ):
        line = found.partition(f"patient={patient.key}")[2].partition("</a>")[0]
        assert says in line, "the button says whom it chooses"
    assert found.count("not matched") == 2
    page = cast.sam.get(f"/staff/messages/new?patient={unmatched.key}").text
    assert "1978-02-15" in page and "write nothing medical" in page
    cast.sam.post("/staff/messages/new", form(cast, patient=other.key))
    assert "Your appointment" in other.get("/messages").text and "Your appointment" not in cast.sophie.get("/messages").text


def test_more_than_25_are_cut_and_it_is_said(cast):
    for n in range(26):
        cast.patient(f"kim{n:02}", "MANYSON", number=n + 60)
    page = find(cast.sam, name="manyson")[0].text
    assert page.count("patient=") == 25 and "Only the first 25 are shown" in page
    assert "KIM25" in find(cast.sam, name="manyson, kim25")[0].text


def test_a24_long_and_right_to_left_names_stand_isolated(cast):
    cast.patient("x" * 60, "Y" * 60, number=61)
    cast.patient("מרים", "לוי", number=62)
    for name, shown in (("yyyy", "Y" * 60), ("לוי", "לוי")):
        page = find(cast.sam, name=name)[0].text
        assert f"<bdi>{shown}" in page
