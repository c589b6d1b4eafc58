"""The life of a correction in a browser, from both sides, to each of its ends: what each side reads, may do and prints."""

import re
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from playwright.sync_api import expect

from practice.amendments import Amendment
from practice.calendar import end_of_day
from practice.threads import Thread
from tests.browser.conftest import Desk, Desks
from tests.browser.test_files import PHONE
from tests.browser.test_journeys import request_amendment
from tests.browser.test_records import BARE, is_in_order
from tests.browser.test_requests import fact, state, step, steps_offered
from tests.browser.test_what_must_follow import sent

pytestmark = [pytest.mark.browser, pytest.mark.once]
ON_A_PHONE_AND_BARE = pytest.mark.parametrize("how", [PHONE, BARE], ids=["phone", "without JavaScript"])
ON_A_DESKTOP_AND_BARE = pytest.mark.parametrize("how", [{}, BARE], ids=["desktop", "without JavaScript"])
WAS = "Medicine: Penicillin, Hives, severe"
OURS = "We did not create this part of the record."
CORRECT = "The record is accurate and complete."
ZONE = "America/New_York"  # of the demo


def asked(patient: Desk) -> str:
    """Asks for a correction of a value; answers the key of its conversation."""
    return sent(patient, request_amendment, "Dr. Moreau tested me last autumn")


def both_read(patient: Desk, staff: Desk, key: str, how: object, *, where: str) -> None:
    """Both sides read where it stands, on pages that are in order."""
    assert state(patient, key) == where
    is_in_order(patient.page, how)
    staff.go(f"/staff/messages/{key}")
    expect(fact(staff, "State")).to_have_text(where)
    is_in_order(staff.page, how)


def both_print(patient: Desk, staff: Desk, key: str, how: object, *says: str) -> None:
    """The newest letter is on paper what it is on the screen, without what only a screen needs."""
    for who, side in ((patient, ""), (staff, "/staff")):
        who.go(f"{side}/messages/{key}")
        who.page.get_by_role("link", name=re.compile("^Print as a letter")).last.click()
        is_in_order(who.page, how)
        who.page.emulate_media(media="print")
        for words in ("14 Linden Street", "KWON, SOPHIE", *says):
            expect(who.page.get_by_role("article").get_by_text(words).first).to_be_visible()
        for nothing in ("Log out", "Back to the conversation"):
            expect(who.page.get_by_text(nothing)).to_be_hidden()
        who.page.emulate_media(media="screen")


def answer(patient: Desk, key: str, words: str) -> None:
    patient.go(f"/messages/{key}")
    patient.page.get_by_label(re.compile("^Respond to")).fill(words)
    patient.page.get_by_role("button", name="Respond", exact=True).click()
    expect(patient.page.locator(".letter-from-me").last).to_contain_text(words)


def said_of(patient: Desk, value: str) -> str:
    """What My Info says of a value, folds opened."""
    patient.go("/my-info")
    row = patient.page.locator("li.value", has_text=value)
    for fold in row.locator("details:not([open]) summary").all():
        fold.click()
    return row.inner_text()


@ON_A_PHONE_AND_BARE
def test_accepted_and_completed(own_desks: Desks, how: dict[str, object]) -> None:
    sophie, rita = own_desks("sophie", **how), own_desks("records", **how)
    key = asked(sophie)
    both_read(sophie, rita, key, how, where="Waiting for review")
    assert steps_offered(rita, key) == ["In review", "Extend by 30 days"]
    step(rita, key, "In review")
    both_read(sophie, rita, key, how, where="In review")
    step(rita, key, "Accept", note="Dr. Moreau's letter says the same")
    both_read(sophie, rita, key, how, where="Accepted")
    both_print(sophie, rita, key, how, "Your request for a correction is accepted.", "Stomach upset, not an allergy", WAS)
    says = said_of(sophie, "Penicillin")
    assert "Stomach upset, not an allergy" in says and "at your request. Before: Hives, severe" in says
    is_in_order(sophie.page, how)
    step(rita, key, "Completed", note="The pharmacy was told")
    both_read(sophie, rita, key, how, where="Completed")
    assert steps_offered(rita, key) == []
    expect(sophie.page.get_by_text("The pharmacy was told")).to_be_visible()
    expect(sophie.page.get_by_text("We decide by")).to_have_count(0)
    expect(sophie.page.get_by_role("link", name="Disagree")).to_have_count(0)


@ON_A_DESKTOP_AND_BARE
def test_denied_disagreed_with_and_rebutted(own_desks: Desks, how: dict[str, object]) -> None:
    sophie, rita = own_desks("sophie", **how), own_desks("records", **how)
    key = asked(sophie)
    step(rita, key, "In review")
    step(rita, key, "Deny", chosen=OURS, note="It came from St. Mary's")
    both_read(sophie, rita, key, how, where="Denied")
    both_print(sophie, rita, key, how, OURS, "It came from St. Mary's", "You may disagree", "Secretary of Health")
    sophie.go(f"/messages/{key}")
    sophie.page.get_by_role("link", name="Disagree").click()
    expect(fact(sophie, "To")).to_have_text("Stomach upset, not an allergy")
    is_in_order(sophie.page, how)
    sophie.page.get_by_role("button", name="File the statement").click()
    expect(sophie.page.locator(".errors")).to_contain_text("Write why you disagree.")
    is_in_order(sophie.page, how)
    sophie.page.get_by_label("Your statement").fill("Your own nurse wrote it down")
    sophie.page.get_by_role("button", name="File the statement").click()
    expect(sophie.page.locator(".letter-from-me").last).to_contain_text("Your own nurse wrote it down")
    both_read(sophie, rita, key, how, where="Denied")
    expect(sophie.page.get_by_role("link", name="Disagree")).to_have_count(0)
    assert steps_offered(rita, key) == ["Rebuttal"]
    step(rita, key, "Rebuttal", note="She copied what you told her")
    both_read(sophie, rita, key, how, where="Denied")
    both_print(sophie, rita, key, how, "She copied what you told her")
    assert steps_offered(rita, key) == []
    says = said_of(sophie, "Penicillin")
    assert says.startswith("Medicine: Penicillin") and "Before:" not in says
    for words in (OURS, "It came from St. Mary's", "Your own nurse wrote it down", "She copied what you told her"):
        assert words in says
    is_in_order(sophie.page, how)


@ON_A_PHONE_AND_BARE
def test_waiting_for_information_and_then_accepted_in_part(own_desks: Desks, how: dict[str, object]) -> None:
    sophie, rita = own_desks("sophie", **how), own_desks("records", **how)
    key = asked(sophie)
    step(rita, key, "In review")
    step(rita, key, "Ask for information", note="Who tested you, and when?")
    both_read(sophie, rita, key, how, where="Waiting for information")
    assert steps_offered(rita, key) == ["In review", "Extend by 30 days"]
    answer(sophie, key, "Dr. Moreau, in October")
    both_read(sophie, rita, key, how, where="In review")
    denied = {"denied": "That it is no allergy", "note": "A test was not made"}
    step(rita, key, "Accept in part", chosen=CORRECT, value="Stomach upset", **denied)
    both_read(sophie, rita, key, how, where="Accepted in part")
    both_print(sophie, rita, key, how, "The record now says", "That it is no allergy", "A test was not made", "You may disagree")
    says = said_of(sophie, "Penicillin")
    assert "Stomach upset" in says and "Before: Hives, severe" in says and "That it is no allergy" in says
    step(rita, key, "Completed", note="Nobody needs to be")
    both_read(sophie, rita, key, how, where="Completed")
    expect(sophie.page.get_by_role("link", name="Disagree")).to_be_visible()


@ON_A_DESKTOP_AND_BARE
def test_withdrawn(own_desks: Desks, how: dict[str, object]) -> None:
    sophie, rita = own_desks("sophie", **how), own_desks("records", **how)
    key = asked(sophie)
    step(rita, key, "In review")
    sophie.go(f"/messages/{key}")
    sophie.page.get_by_role("link", name="Cancel request").click()
    is_in_order(sophie.page, how)
    sophie.page.get_by_role("button", name=re.compile("^Cancel request")).click()
    expect(sophie.page.get_by_text("Your request is cancelled.")).to_be_visible()
    both_read(sophie, rita, key, how, where="Cancelled")
    assert steps_offered(rita, key) == []
    assert "Hives, severe" in said_of(sophie, "Penicillin")


def day_before_spring() -> date:
    """A day to come, ten before the clocks of the demo's practice are put forward."""
    zone, day = ZoneInfo(ZONE), date.today() + timedelta(days=12)
    while offset(zone, day) >= offset(zone, day + timedelta(days=1)):
        day += timedelta(days=1)
    return day - timedelta(days=10)


def offset(zone: ZoneInfo, day: date) -> timedelta:
    return datetime.combine(day, time(0), zone).utcoffset() or timedelta(0)


def test_extended_across_a_change_of_the_clocks(own_desks: Desks, own_database: sa.Engine) -> None:
    """Thirty times 24 hours would end within the next day."""
    how: dict[str, object] = {}
    sophie, rita = own_desks("sophie"), own_desks("records")
    key, due = asked(sophie), day_before_spring()
    with own_database.begin() as connection:
        thread = connection.scalar(sa.select(Thread.id).where(Thread.key == key))
        for table, its in ((Amendment, Amendment.thread_id), (Thread, Thread.id)):
            connection.execute(sa.update(table).where(its == thread).values(due_at=end_of_day(due, ZONE)))
    until = due + timedelta(days=30)
    step(rita, key, "Extend by 30 days", note="The old files are elsewhere")
    both_read(sophie, rita, key, how, where="Waiting for review")
    for who in (sophie, rita):
        expect(fact(who, "Decision by")).to_have_text(f"{until:%B} {until.day}, {until.year}")
        expect(who.page.get_by_text("The old files are elsewhere").first).to_be_visible()
    both_print(sophie, rita, key, how, "The old files are elsewhere", f"{until.day}, {until.year}", "This is the only extension.")
    assert steps_offered(rita, key) == ["In review"]
    with own_database.connect() as connection:
        fixed = connection.scalar(sa.select(Amendment.due_at).where(Amendment.thread_id == thread))
    assert fixed == end_of_day(until, ZONE)
