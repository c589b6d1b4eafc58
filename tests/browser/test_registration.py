"""From registering to a matched account: the patient on a phone without JavaScript, the admin at a desk."""

import re

import pytest
from playwright.sync_api import Page, expect

from practice import demo, jobs
from practice.db import db
from tests.browser.axe import problems
from tests.browser.conftest import APPS
from web.demo_mails import show_only

pytestmark = [pytest.mark.browser, pytest.mark.once]

WORDS = "four words nobody guesses"


def deliver(address: str) -> None:
    """What the worker does within half a second."""
    with APPS[address].app_context():
        while jobs.send_due(show_only):
            pass
        db.session.remove()


def log_in(page: Page, address: str, email: str, password: str) -> None:
    page.goto(f"{address}/login")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(lambda url: "/login" not in url)


def test_register_proof_tray_match_and_log_in(chromium, own):
    phone = chromium.new_context(viewport={"width": 390, "height": 844}, java_script_enabled=False, color_scheme="dark")
    desk = chromium.new_context(viewport={"width": 1280, "height": 800})
    patient, admin = phone.new_page(), desk.new_page()

    patient.goto(f"{own}/login")
    patient.get_by_role("link", name="Register", exact=True).click()
    patient.get_by_role("button", name="Send the link").click()
    expect(patient.get_by_role("alert")).to_contain_text("Write your date of birth.")
    patient.get_by_label("Last name").fill("WINTER")
    patient.get_by_label("First name").fill("ZOE")
    patient.get_by_label("Date of birth").fill("1991-05-04")
    patient.get_by_label("Female").check()
    patient.get_by_label("E-mail").fill("zoe@demo.example")
    patient.get_by_role("button", name="Send the link").click()
    expect(patient.get_by_role("heading", level=1)).to_have_text("Check your e-mail")

    deliver(own)
    patient.goto(f"{own}/demo/mails")
    patient.get_by_role("link", name="Choose a password").first.click()
    patient.get_by_label("New password").fill(WORDS)
    patient.get_by_label("The same password again").fill(WORDS)
    patient.get_by_role("button", name="Save password").click()
    expect(patient.get_by_role("status")).to_contain_text("Your password is saved")
    log_in(patient, own, "zoe@demo.example", WORDS)
    expect(patient.get_by_text("has not matched your account")).to_be_visible()

    log_in(admin, own, "admin@demo.example", demo.PASSWORD)
    admin.get_by_role("link", name=re.compile("Not matched.*1")).click()
    admin.get_by_role("link", name="WINTER, ZOE").click()
    assert problems(admin) == []
    admin.get_by_label("Question to the patient").fill("Which doctor sent you?")
    admin.get_by_role("button", name="Ask").click()
    expect(admin.get_by_text("Nobody waits")).to_be_visible()

    deliver(own)
    patient.goto(f"{own}/demo/mails")
    patient.get_by_role("link", name="Read the question").first.click()
    expect(patient.get_by_text("Which doctor sent you?")).to_be_visible()
    scripted = chromium.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")  # axe is a script
    seen = scripted.new_page()
    seen.goto(f"{own}/register")
    seen.get_by_role("button", name="Send the link").click()
    seen.locator(".errors").wait_for()
    assert problems(seen) == []
    log_in(seen, own, "zoe@demo.example", WORDS)
    assert problems(seen) == []
    seen.goto(f"{own}/account/not-matched")
    assert problems(seen) == []
    scripted.close()
    patient.get_by_label("Phone").fill("(555) 010-0777")
    patient.get_by_role("button", name="Save", exact=True).click()
    expect(patient.get_by_text("Saved.")).to_be_visible()

    admin.goto(f"{own}/admin/registrations")
    admin.get_by_role("link", name="WINTER, ZOE").click()
    expect(admin.locator("#editor")).to_contain_text("(555) 010-0777")
    admin.get_by_label("Record number").fill("00009001")
    admin.get_by_role("button", name="Match", exact=True).click()
    expect(admin.get_by_text("Matched. The patient is told.")).to_be_visible()

    deliver(own)
    patient.goto(f"{own}/demo/mails")
    expect(patient.get_by_role("heading", name="Your account is ready")).to_be_visible()
    patient.goto(f"{own}/")
    expect(patient.get_by_role("heading", level=1)).to_have_text("WINTER, ZOE")
    expect(patient.get_by_text("has not matched your account")).to_have_count(0)
    patient.goto(f"{own}/account")
    expect(patient.get_by_text("00009001")).to_be_visible()
    phone.close()
    desk.close()
