"""Home: what was answered, what is under way, the latest messages."""

import re

import pytest
import sqlalchemy as sa

from practice import sessions, threads
from practice.conversations import hide, start
from practice.db import WRITE, db, new_key, now
from practice.people import Patient


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
    assert needed() == before <= 8


def test_a_draft_is_offered_and_opens_in_its_form(cast):
    key = new_key()
    values = {"about": "/messages/new", "draft_version": "0", "title": "My <b>inhaler</b>", "body": ""}
    cast.sophie.post(f"/drafts/{key}", values)
    page = cast.sophie.get("/").text
    assert "Go on writing:" in page and "My &lt;b&gt;inhaler&lt;/b&gt;" in page and f"/messages/new?draft={key}" in page
    assert "All drafts" not in page and "Go on writing" not in cast.jihae.get("/").text
    for _ in range(3):
        cast.sophie.post(f"/drafts/{new_key()}", values)
    page = cast.sophie.get("/").text
    assert page.count("Go on writing:") == 3 and "All drafts" in page


def test_a_request_says_its_state_and_a_message_has_none(cast):
    for kind in ("Appointment", "Result", "Amendment", "Others"):
        cast.send(cast.sophie, kind)
    said = re.findall(r'<span class="pill">(.*?)</span>', cast.sophie.get("/").text)
    assert said == ["Waiting for review", "Requested", "Requested"]


def test_a_cancelled_request_says_so(cast):
    key = cast.send(cast.sophie, "Appointment")
    cast.sophie.post(f"/messages/{key}/cancellation", {"key": new_key(), "state": "requested"})
    assert '<span class="pill">Cancelled</span>' in cast.sophie.get("/").text


def test_an_old_answer_not_read_is_announced_however_much_came_after_it(cast):
    old = cast.send(cast.sophie, "Others", title="The old one")
    cast.answer(cast.nina, old, "Here.")
    for n in range(26):
        key = cast.send(cast.sophie, "Others", title=f"Later {n}")
        cast.answer(cast.nina, key)
        cast.sophie.get(f"/messages/{key}")
    page = cast.sophie.get("/").text
    assert "The old one" in page and "Later 0" not in page and page.count('class="count">1<') == 2


def test_the_number_counts_each_conversation_with_news_once_and_none_that_is_hidden(cast):
    keys = [cast.send(cast.sophie, "Others", title=f"Question {n}") for n in range(3)]
    for key in keys:
        cast.answer(cast.nina, key)
        cast.answer(cast.nina, key, "And one thing more.")
    assert cast.sophie.get("/").text.count('class="count">3<') == 2
    hide(keys[0], by=cast.sophie.actor)
    assert cast.sophie.get("/").text.count('class="count">2<') == 2
    assert 'class="count">1<' in cast.sophie.get(f"/messages/{keys[1]}").text  # the page that reads it counts it as read
    assert 'class="count">1<' in cast.sophie.get(f"/messages/{keys[1]}").text
    opened = cast.sophie.get(f"/messages/{keys[0]}").text  # hidden, and opened by its address all the same
    assert 'class="count">1<' in opened
    cast.sophie.get(f"/messages/{keys[2]}")
    assert 'class="count"' not in cast.sophie.get("/").text
    cast.answer(cast.nina, keys[0], "Once more.")  # brings it back
    assert cast.sophie.get("/").text.count('class="count">1<') == 2


def test_more_under_way_than_is_shown_has_a_link(cast):
    for n in range(6):
        cast.send(cast.sophie, "Others", title=f"Question {n}")
        assert ("All that you sent" in cast.sophie.get("/").text) == (n == 5)
    assert cast.sophie.get("/").text.count("<article") == 5


@pytest.mark.parametrize(
    ("name", "index"), [("unread", "ix_thread_new_for_patient"), ("under way", "ix_thread_in_box_of_patient")]
)
def test_each_number_and_list_of_home_reads_its_own_short_index(cast, name, index):
    """Whoever has 5,000 messages waits for their news alone: the plan names the partial index, whatever else it could take."""
    kept = {"compile_kwargs": {"literal_binds": True}}
    dialect = db.engines[WRITE].dialect
    under_way = threads._UNDER_WAY.limit(6).params(patient=cast.sophie.id)
    unread = sa.select(sessions._UNREAD).select_from(Patient).where(Patient.id == cast.sophie.id)
    text = str((unread if name == "unread" else under_way).params(now=now()).compile(dialect=dialect, **kept))
    with db.engines[WRITE].connect() as connection:
        if dialect.name == "postgresql":
            connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
            connection.execute(sa.text("SET LOCAL enable_bitmapscan = off"))
        explain = "EXPLAIN QUERY PLAN " if dialect.name == "sqlite" else "EXPLAIN "
        plan = "\n".join(str(row) for row in connection.exec_driver_sql(explain + text))
    # In a table of one page all indexes of the patient cost PostgreSQL the same.
    fits = [index, "ix_thread_sent_by_patient"] if dialect.name == "postgresql" and name == "under way" else [index]
    assert any(one in plan for one in fits), plan
