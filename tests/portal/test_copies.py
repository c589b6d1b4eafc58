"""A conversation printed, taken along as a file, and deleted from the own lists."""

import pytest

from practice.conversations import hide, reply
from practice.db import COMMAND, db, transaction
from practice.people import Person
from practice.threads import Thread, reference_of
from tests.portal.helpers import change_practice

CANARY = "<img src=x hx-get=/evil> \"'&\u202e"


def test_the_whole_conversation_is_printed_and_taken_along(cast, monkeypatch):
    monkeypatch.setattr("practice.threads.SHOWN", 2)
    key = cast.send(cast.sophie, "Others", to="Clinicians")
    for n in range(5):
        reply(key, body=f"Letter {n} {CANARY}", form_key=f"l{n}", by=cast.sophie.actor)
    page, file = cast.sophie.get(f"/messages/{key}/print"), cast.sophie.get(f"/messages/{key}/download")
    for n in range(5):
        assert f"Letter {n} &lt;img" in page.text and f"Letter {n} {CANARY}" in file.text
    assert "<img src=x" not in page.text and "data-print" in page.text
    db.session.close()
    number = reference_of(db.session.query(Thread).one().id)
    assert number in page.text and number in file.text
    assert file.headers["Content-Disposition"] == f'attachment; filename="message-{number}.txt"'
    assert file.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("shows", [False, True])
@pytest.mark.parametrize("part", ["", "/print", "/download"])
def test_staff_names_stand_in_it_only_where_the_practice_allows_it(cast, shows, part):
    change_practice(shows_staff_names=shows)
    key = cast.send(cast.sophie, "Others", to="Clinicians")
    cast.answer(cast.nina, key)
    assert (cast.nina.name in cast.sophie.get(f"/messages/{key}{part}").text) is shows


@pytest.mark.parametrize("htmx", [False, True])
def test_deleted_it_leaves_the_lists_and_undo_brings_it_back(cast, htmx):
    key = cast.send(cast.sophie, "Others", to="Clinicians")
    cast.answer(cast.nina, key)
    assert "Inbox (1)" in cast.sophie.get("/messages").text
    answer = cast.sophie.post(f"/messages/{key}/deletion", htmx=htmx)
    page = cast.sophie.get(answer.headers["HX-Redirect" if htmx else "Location"]).text
    assert "was deleted from your lists" in page and f"/messages/{key}/undoing" in page and "Inbox (0)" in page
    for address in ("/messages", "/messages/sent", "/"):
        assert f"/messages/{key}" not in cast.sophie.get(address).text
    assert "Take it back" in cast.sophie.get(f"/messages/{key}").text
    assert "back in your lists" in cast.sophie.get(cast.sophie.post(f"/messages/{key}/undoing").headers["Location"]).text
    assert f"/messages/{key}" in cast.sophie.get("/messages").text


def test_an_answer_brings_a_deleted_conversation_back(cast):
    key = cast.send(cast.sophie, "Others", to="Clinicians")
    hide(key, by=cast.sophie.actor)
    cast.answer(cast.nina, key)
    assert "Inbox (1)" in cast.sophie.get("/messages").text and f"/messages/{key}" in cast.sophie.get("/messages").text


def test_the_staff_keep_what_the_patient_deleted(cast):
    key = cast.send(cast.sophie, "Others", to="Clinicians")
    hide(key, by=cast.sophie.actor)
    assert (
        f"/staff/messages/{key}" in cast.nina.get("/staff/").text and cast.nina.get(f"/staff/messages/{key}").status_code == 200
    )


def test_twice_deleted_leaves_one_row(cast):
    key = cast.send(cast.sophie, "Others", to="Clinicians")
    for _ in range(2):
        hide(key, by=cast.sophie.actor)
    db.session.close()
    rows = db.session.execute(db.text("SELECT did FROM audit WHERE did = 'hide'")).all()
    assert len(rows) == 1


def test_names_stand_in_the_file_as_they_are(cast):
    change_practice(shows_staff_names=True)
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        tx.session.get_one(Person, cast.nina.id).last_name = "O'BRIEN & SON"
    key = cast.send(cast.sophie, "Others", to="Clinicians")
    cast.answer(cast.nina, key)
    file = cast.sophie.get(f"/messages/{key}/download").text
    assert "O'BRIEN & SON" in file and "&#39;" not in file and "&amp;" not in file


def test_an_open_page_of_the_staff_stays_true(cast):
    key = cast.send(cast.sophie, "Others", to="Clinicians")
    before = db.session.query(Thread.version).filter_by(key=key).scalar()
    hide(key, by=cast.sophie.actor)
    db.session.close()
    assert db.session.query(Thread.version).filter_by(key=key).scalar() == before
