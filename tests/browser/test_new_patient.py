"""As a new patient would: with a phone, from the log-in to an appointment request that is sent."""

import re
from datetime import date, timedelta

import pytest
from playwright.sync_api import expect

from practice.demo import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.once]

MOST_TAPS = 9  # besides typing


def test_from_log_in_to_a_sent_request_in_few_taps(chromium, live):
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page, taps = context.new_page(), []

    def tap(what):
        taps.append(str(what))
        what.tap()

    def choose(field, index):
        """A list of a phone: one tap opens it, one chooses."""
        tap(field)
        taps.append("the choice")
        field.select_option(index=index)

    page.goto(live + "/login")
    page.get_by_label("E-mail").fill("hugo@demo.example")
    page.get_by_label("Password").fill(PASSWORD)
    tap(page.get_by_role("button", name="Log in"))
    tap(page.get_by_role("link", name="Request Appointment"))
    choose(page.get_by_label("Facility"), 1)
    page.get_by_label("First day").fill((date.today() + timedelta(days=7)).isoformat())
    page.get_by_label("Last day").fill((date.today() + timedelta(days=14)).isoformat())
    page.get_by_label("Reason for visit").fill("My first visit here")
    tap(page.get_by_role("button", name="Submit"))
    expect(page.get_by_text("My first visit here")).to_be_visible()
    tap(page.get_by_role("button", name="Submit"))
    expect(page).to_have_url(re.compile(r"/messages/[\w-]{22}"))
    expect(page.get_by_text("Your message was sent")).to_be_visible()
    assert len(taps) <= MOST_TAPS, taps
    context.close()
