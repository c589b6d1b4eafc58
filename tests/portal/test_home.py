"""Home: what was answered, what is under way, the latest messages."""

from practice.conversations import start
from practice.db import new_key


def test_a_new_patient_sees_where_to_start(cast):
    page = cast.hugo.get("/").text
    for shown in ("KWON, HUGO", "Born ", "Request Appointment", "Request Result", "New Message", "Nothing waits for an answer"):
        assert shown in page
    assert 'class="count"' not in page


def test_what_waits_is_shown_with_its_way_and_the_promised_day(cast):
    cast.send(cast.sophie, "Appointment")
    cast.send(cast.sophie, "Amendment")
    cast.send(cast.jihae, "Result")
    page = cast.sophie.get("/").text
    assert "Appointment request" in page and "answer by " in page and "to Scheduler" in page
    assert "Amendment request" in page and "decision by " in page and "to Patient Info Manager" in page
    assert "Result request" not in page


def test_an_answer_is_announced_until_it_is_read(cast):
    key = cast.send(cast.sophie, "Others", to="Clinicians", title="My inhaler")
    cast.answer(cast.nina, key, "Of course.")
    page = cast.sophie.get("/").text
    assert "Clinicians has answered you" in page and "Read the answer" in page and 'class="count">1<' in page
    assert "Nothing waits for an answer" in page
    cast.sophie.get(f"/messages/{key}")
    page = cast.sophie.get("/").text
    assert "has answered you" not in page and "My inhaler" in page and 'class="count"' not in page


def test_what_the_practice_began_is_no_answer(cast):
    how = {"title": "Your results", "body": "Please call.", "form_key": new_key(), "by": cast.nina.actor}
    start(cast.sophie.key, communicator=cast.communicator("Clinicians"), **how)
    assert "Clinicians has written to you" in cast.sophie.get("/").text


def test_nobody_can_receive_and_the_way_says_so(cast):
    for title in ("Clinicians", "IT Manager"):
        cast.change(title, is_in_use=False)
    cast.send(cast.sophie, "Others", to=None)
    assert "Received by the practice, being assigned" in cast.sophie.get("/").text


def test_a_staff_account_has_no_patient_home(cast):
    assert cast.sam.get("/").status_code == 403


def test_home_needs_a_fixed_number_of_statements(cast, statements):
    def needed():
        with statements() as found:
            cast.sophie.get("/")
        return len(found)

    before = needed()
    for _ in range(4):
        cast.answer(cast.nina, cast.send(cast.sophie, "Others"))
        cast.send(cast.sophie, "Appointment")
    assert needed() == before <= 4
