"""New Message on a phone: namesakes are told apart before anything is written, and what was sent says whether it was read."""

from datetime import date

import pytest
from playwright.sync_api import expect

from practice import people
from practice.db import COMMAND, db
from practice.demo import PASSWORD
from practice.people import Gender
from tests.conftest import test_settings
from wsgi import create_app

pytestmark = [pytest.mark.browser, pytest.mark.once]


@pytest.fixture
def namesake(own, tmp_path):
    """A second Sophie Kwon, born on another day."""
    app = create_app(test_settings(f"sqlite:///{tmp_path / 'tests.sqlite3'}", IS_DEMO=True))
    with app.app_context():
        people.add_patient(
            last="KWON",
            first="SOPHIE",
            email="other.sophie@demo.example",
            dob=date(1991, 7, 30),
            gender=Gender.FEMALE,
            phone="(555) 010-0777",
            record_number="00009999",
            by=COMMAND,
        )
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()
    return own


def test_the_right_one_of_two_namesakes_is_written_to_on_a_phone(chromium, namesake):
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(namesake + "/login")
    page.get_by_label("E-mail").fill("scheduler@demo.example")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(lambda url: "/login" not in url)
    page.goto(namesake + "/staff/messages/new")
    page.get_by_label("Name (Last, First)").fill("kwon, sophie")
    page.get_by_role("button", name="Search").click()
    found = page.locator("#found-patients li")
    expect(found).to_have_count(2)
    assert "kwon" not in page.url.lower() and "kwon" not in page.title().lower()
    other = page.get_by_role("link", name="Choose KWON, SOPHIE, 1991-07-30, 00009999")
    box = other.bounding_box()
    assert box and box["height"] >= 44 and box["x"] + box["width"] <= 390
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    other.tap()
    expect(page.get_by_text("1991-07-30")).to_be_visible()
    page.get_by_label("Title").fill("Your visit")
    page.get_by_label("Message", exact=True).fill("Please bring your card.")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Send").tap()
    page.wait_for_url("**/staff/messages/**which=sent**")
    expect(page.get_by_text("Not read by the patient yet")).to_be_visible()
    context.close()
