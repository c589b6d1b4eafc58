"""Sent Items: what anybody sent from my communicators, by whom, and whether and when the patient has read it."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from practice.db import WRITE, clock_at, db, now
from practice.jobs import run_due_jobs, send_due
from practice.threads import Thread, reference_of
from tests.conftest import HOME, fresh_context
from tests.staff.helpers import rows
from web import demo_mails


def row(answer, key):
    return " ".join(answer.text.partition(f'id="row-{key}"')[2].partition("</tr>")[0].split())


def test_everybody_in_charge_sees_what_anybody_sent_and_nobody_else_does(cast):
    key = cast.send(cast.sophie)
    cast.answer(cast.nina, key)
    page = cast.fay.get("/staff/sent")
    assert rows(page) == [key] and "STAFF, NINA" in row(page, key) and "Clinicians" in row(page, key)
    assert rows(cast.sam.get("/staff/sent")) == [] and "Nothing" in cast.sam.get("/staff/sent").text


def test_it_is_said_in_words_whether_and_when_the_patient_has_read_it(cast):
    key = cast.send(cast.sophie)
    cast.answer(cast.nina, key)
    assert "Not read yet" in row(cast.fay.get("/staff/sent"), key)
    assert "Not read by the patient yet" in cast.fay.get(f"/staff/messages/{key}").text
    at = now() + timedelta(minutes=20)
    with clock_at(at):
        for one in (cast.sophie, cast.fay, cast.nina):
            one.log_in()
        cast.sophie.get(f"/messages/{key}")
        said = cast.fay.get("/staff/sent")
        assert "Read " in row(said, key) and "Not read" not in row(said, key)
        clock = f"{at.hour - 5:02}:" if at.hour >= 5 else ":"  # New York, in winter
        assert clock in row(said, key).partition("Read ")[2][:8]
        cast.answer(cast.fay, key, "One thing more.")
    pane = cast.nina.get(f"/staff/messages/{key}").text
    assert pane.count("Not read by the patient yet") == 1 and pane.count("Read by the patient") == 1
    assert "Not read yet" in row(cast.nina.get("/staff/sent"), key)


def test_a_later_look_of_the_patient_does_not_change_when_it_was_read(cast):
    key = cast.send(cast.sophie)
    cast.answer(cast.nina, key)
    cast.sophie.get(f"/messages/{key}")
    first = cast.thread(key).patient_opened_at
    with clock_at(now() + timedelta(hours=1)):
        cast.sophie.get(f"/messages/{key}")
    assert cast.thread(key).patient_opened_at == first is not None


# ---- Late: the same everywhere, at the very second -----------------------------------------------


def set_due(key, at):
    db.session.close()
    with db.engines[WRITE].begin() as connection:
        connection.execute(sa.update(Thread).where(Thread.key == key).values(due_at=at))


@pytest.mark.parametrize(("after", "is_late"), [(0, False), (1, True)])
def test_list_pane_filter_number_and_tray_agree_at_the_very_second(cast, after, is_late):
    key = cast.send(cast.sophie)
    due = now().replace(microsecond=0) + timedelta(minutes=5)
    set_due(key, due)
    with clock_at(due + timedelta(seconds=after)):
        listed = cast.nina.get("/staff/")
        assert ("Overdue, waiting" in row(listed, key)) is is_late
        assert ("Overdue since" in cast.nina.get(f"/staff/messages/{key}").text) is is_late
        assert (rows(cast.nina.get("/staff/?only=late")) == [key]) is is_late
        assert (key in cast.ada.get("/admin/overdue").text) is is_late


def test_due_today_is_said_in_words_by_the_practices_clock(cast):
    key = cast.send(cast.sophie)
    at = now().replace(hour=17, minute=0, second=0)  # noon in New York
    set_due(key, at + timedelta(hours=11))  # 23:00 there
    with clock_at(at):
        cast.nina.log_in()
        assert "Due today, waiting" in row(cast.nina.get("/staff/"), key)
    with clock_at(at - timedelta(hours=12, minutes=30)):  # the evening before, less than a day earlier
        cast.nina.log_in()
        assert "Due today" not in row(cast.nina.get("/staff/"), key)


def test_the_tray_says_whether_staff_and_admins_were_told(cast):
    key = cast.send(cast.sophie)
    with clock_at(cast.thread(key).due_at + timedelta(days=10)):
        cast.ada.log_in()
        assert "Staff:" not in cast.ada.get("/admin/overdue").text
        run_due_jobs()
        page = cast.ada.get("/admin/overdue").text
        assert "Staff:" in page and "Admins:" in page


def test_the_mails_say_no_more_than_a_number_and_a_link(cast):
    """As the page of demo mails shows them."""
    key = cast.send(cast.sophie, title="My secret rash", body="It itches")
    with clock_at(cast.thread(key).due_at + timedelta(days=10)):
        run_due_jobs()
        send_due(demo_mails.show_only)
    with fresh_context(cast.app), cast.app.test_request_context(base_url=HOME):
        page = demo_mails.mails()
    for words in ("An answer is overdue", "An overdue answer was not given"):
        assert words in page
    assert reference_of(cast.thread(key).id) in page and f"/staff/messages/{key}" in page and "/admin/overdue" in page
    assert "KWON" not in page and "rash" not in page and "itches" not in page
