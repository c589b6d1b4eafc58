"""Requests walked from both sides in a real browser: every step of both tables, as the table says and in its words."""

import re
from datetime import date, timedelta
from typing import Any

import icalendar
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.axe import problems
from tests.browser.conftest import Desk, Desks
from tests.browser.test_accessible import LOOKS
from tests.browser.test_journeys import request_appointment, request_result
from tests.browser.test_what_must_follow import sent

pytestmark = pytest.mark.browser
WITH_AND_WITHOUT = pytest.mark.parametrize("js", [True, False])


def soon(days: int = 9) -> str:
    """A Wednesday."""
    day = date.today() + timedelta(days=days)
    return str(day + timedelta(days=(2 - day.weekday()) % 7))


def step(who: Desk, key: str, name: str, chosen: str = "", **typed: str) -> Page:
    """Takes a step of the request of an open message: by its button, its form, and once more where it is asked again.

    `chosen`: the label of what is chosen of several."""
    who.go(f"/staff/messages/{key}")
    page = who.page
    page.get_by_role("link", name=name, exact=True).click()
    pane = page.get_by_role("article", name=name, exact=True)
    expect(pane.get_by_role("heading", name=name, exact=True)).to_be_visible()
    for field, value in typed.items():
        pane.locator(f"#{field}").fill(value)
    if chosen:
        pane.get_by_label(chosen).check()
    for _ in range(2):
        with page.expect_response(lambda r: r.request.method == "POST" and "/steps/" in r.url) as answer:
            pane.get_by_role("button", name=name, exact=True).click()
        if answer.value.status != 422:
            break
        expect(pane.get_by_text("Is this meant?")).to_be_visible()
    expect(page.get_by_text("Done, and the patient is told.")).to_be_visible()
    return page


def steps_offered(who: Desk, key: str) -> list[str]:
    who.go(f"/staff/messages/{key}")
    group = who.page.get_by_role("group", name="Next step of the request")
    return [link.inner_text().strip() for link in group.get_by_role("link").all()]


def state(patient: Desk, key: str) -> str:
    patient.go(f"/messages/{key}")
    return fact(patient, "State").inner_text()


def fact(who: Desk, name: str) -> Locator:
    """What the open page says of a request under this name."""
    return who.page.locator("dl.facts div").filter(has=who.page.get_by_text(name, exact=True)).locator("dd")


def calendar(patient: Desk, key: str) -> tuple[Any, Any]:
    """Number and state of the calendar file that the browser downloads."""
    patient.go(f"/messages/{key}")
    with patient.page.expect_download() as download:
        patient.page.get_by_role("link", name=re.compile("Calendar file|Take it out of the calendar")).click()
    (event,) = icalendar.Calendar.from_ical(download.value.path().read_bytes()).walk("VEVENT")
    return int(event["sequence"]), str(event["status"])


@WITH_AND_WITHOUT
def test_an_appointment_is_proposed_picked_changed_and_cancelled_by_the_patient(own_desks: Desks, js: bool) -> None:
    hugo, sam = own_desks("hugo", js=js), own_desks("scheduler", js=js)
    key = sent(hugo, request_appointment, "My knee")
    assert state(hugo, key) == "Requested"
    assert steps_offered(sam, key) == ["Confirm appointment", "Propose times", "Decline", "Cancel the request"]
    step(sam, key, "Propose times", day=soon(), clock="10:00", day_2=soon(), clock_2="14:30", place="Room 4")
    assert "Take times back" in steps_offered(sam, key)
    hugo.go(f"/messages/{key}")
    hugo.page.get_by_role("link", name="Pick a time").click()
    hugo.page.get_by_label(re.compile("14:30")).check()
    hugo.page.get_by_role("button", name="Take this time").click()
    expect(hugo.page.get_by_text("Your appointment is confirmed.")).to_be_visible()
    assert state(hugo, key) == "Confirmed" and calendar(hugo, key) == (0, "CONFIRMED")
    hugo.go("/")
    expect(hugo.page.get_by_role("region", name="Upcoming").get_by_role("link", name=re.compile("14:30$")).first).to_be_visible()
    assert steps_offered(sam, key) == ["Change appointment", "Cancel the request"]
    step(sam, key, "Change appointment", day=soon(16), clock="11:00", note="The doctor is away")
    assert calendar(hugo, key) == (1, "CONFIRMED")
    hugo.go("/appointments")
    hugo.page.get_by_role("link", name=re.compile("^Cancel appointment")).click()
    hugo.page.get_by_label("Reason").fill("I am away too")
    hugo.page.get_by_role("button", name="Cancel appointment").click()
    expect(hugo.page.get_by_text("Your request is cancelled.")).to_be_visible()
    assert state(hugo, key) == "Cancelled" and calendar(hugo, key) == (2, "CANCELLED")
    assert steps_offered(sam, key) == []
    expect(sam.page.get_by_text("I am away too")).to_be_visible()


@WITH_AND_WITHOUT
def test_times_taken_back_confirmed_after_all_and_called_off(own_desks: Desks, js: bool) -> None:
    hugo, sam = own_desks("hugo", js=js), own_desks("scheduler", js=js)
    key = sent(hugo, request_appointment, "My knee")
    step(sam, key, "Propose times", day=soon(), clock="10:00", day_2=soon(), clock_2="14:30", place="Room 4")
    hugo.go(f"/messages/{key}/times")
    hugo.page.get_by_label(re.compile("10:00")).check()
    step(sam, key, "Take times back", note="The room is closed")
    hugo.page.get_by_role("button", name="Take this time").click()
    expect(hugo.page.get_by_text("this time cannot be picked any more")).to_be_visible()
    assert state(hugo, key) == "Requested"
    step(sam, key, "Confirm appointment", day=soon(), clock="03:00", place="Room 5")
    assert state(hugo, key) == "Confirmed"
    step(sam, key, "Cancel the request", note="The practice is closed")
    assert state(hugo, key) == "Cancelled" and steps_offered(sam, key) == []
    other = sent(hugo, request_appointment, "My other knee")
    step(sam, other, "Decline", note="We see no knees")
    assert state(hugo, other) == "Declined" and steps_offered(sam, other) == []


@WITH_AND_WITHOUT
def test_a_result_is_prepared_ready_picked_up_or_sent_declined_cancelled(own_desks: Desks, js: bool) -> None:
    hugo, max_ = own_desks("hugo", js=js), own_desks("media", js=js)
    keys = []
    for words in ("The CD", "The report", "The rest", "Nothing"):
        keys.append(sent(hugo, request_result, words))
    first, second, third, fourth = keys
    assert steps_offered(max_, first) == ["In preparation", "Sent", "Decline", "Cancel the request"]
    step(max_, first, "In preparation")
    assert steps_offered(max_, first) == ["Ready for pick-up", "Sent", "Decline", "Cancel the request"]
    step(max_, first, "Ready for pick-up", place="Front desk", until=soon())
    assert state(hugo, first) == "Ready for pick-up" and steps_offered(max_, first) == ["Picked up"]
    expect(hugo.page.locator("dl.facts").get_by_text("Front desk")).to_be_visible()
    step(max_, first, "Picked up", to="Hugo Berg", paper="Passport")
    assert state(hugo, first) == "Picked up" and steps_offered(max_, first) == []
    step(max_, second, "Sent", note="It left by mail today")
    assert state(hugo, second) == "Sent" and steps_offered(max_, second) == []
    step(max_, third, "Decline", note="We have no such pictures")
    assert state(hugo, third) == "Declined"
    step(max_, fourth, "Cancel the request", note="You called")
    assert state(hugo, fourth) == "Cancelled"
    hugo.go("/results")
    for words in ("Picked up", "Sent", "Declined", "Cancelled"):
        expect(hugo.page.locator(".pill", has_text=words).first).to_be_visible()


def test_two_who_confirm_the_same_the_second_reads_of_the_first_and_keeps_the_text(own_desks: Desks) -> None:
    hugo, sam, fay = own_desks("hugo"), own_desks("scheduler"), own_desks("frontdesk")
    key = sent(hugo, request_appointment, "My knee")
    fay.go(f"/staff/messages/{key}/steps/confirm")
    fay.page.locator("#day").fill(soon())
    fay.page.locator("#clock").fill("11:00")
    fay.page.locator("#note").fill("Bring your card")
    step(sam, key, "Confirm appointment", day=soon(), clock="10:00", place="Room 4")
    fay.page.get_by_role("article").get_by_role("button", name="Confirm appointment").click()
    alert = fay.page.get_by_role("article").get_by_role("alert")
    expect(alert).to_contain_text("SCHEDULER, SAM")
    expect(alert).to_contain_text("not possible any more")
    assert fay.page.locator("#note").input_value() == "Bring your card"
    assert calendar(hugo, key) == (0, "CONFIRMED")


@pytest.mark.once
@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_on_the_forms_of_the_steps_and_the_pages_they_lead_to(own_desks: Desks, look: str) -> None:
    hugo, sam, max_ = (own_desks(login, **LOOKS[look]) for login in ("hugo", "scheduler", "media"))
    key, result = sent(hugo, request_appointment, "My knee"), sent(hugo, request_result, "The CD")
    step(own_desks("scheduler"), key, "Propose times", day=soon(), clock="10:00", day_2=soon(), clock_2="14:30", place="Room 4")
    step(own_desks("media"), result, "In preparation")
    forms = [(sam, f"/staff/messages/{key}/steps/{verb}") for verb in ("confirm", "propose", "take-back", "decline", "cancel")]
    forms += [(max_, f"/staff/messages/{result}/steps/{verb}") for verb in ("make-ready", "send")]
    forms += [(hugo, f"/messages/{key}/times")]
    found = []
    for who, address in forms:
        who.go(address)
        found += problems(who.page, address)
        for place in who.page.locator("#place").all():
            place.fill("")
        with who.page.expect_response(lambda r, address=address: r.request.method == "POST" and r.url.endswith(address)):
            who.page.locator("form[method=post]:has([name=key]) .btn-primary").click()  # nothing is filled in
        who.page.locator(".errors").wait_for()
        found += problems(who.page, f"{address} refused")
    hugo.page.get_by_label(re.compile("14:30")).check()
    hugo.page.get_by_role("button", name="Take this time").click()
    expect(hugo.page.get_by_text("Your appointment is confirmed.")).to_be_visible()
    for address in (f"/messages/{key}", "/", "/appointments", f"/messages/{key}/cancellation", "/results"):
        hugo.go(address)
        found += problems(hugo.page, address)
    assert found == []
