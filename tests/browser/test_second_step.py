"""The second step of the log-in in a real browser, with and without JavaScript: set up, used, lost, reset by another admin."""

import re

import pyotp
import pytest
import sqlalchemy as sa
from playwright.sync_api import expect

from practice.demo import PASSWORD
from practice.people import Person, Staff
from practice.second_step import SecondStep
from practice.settings import Practice
from tests.browser.axe import problems
from tests.examples.second_steps import code_of

pytestmark = [pytest.mark.browser, pytest.mark.once]


def accessible(page, *, js):
    assert not js or problems(page) == []


def app_of(page):
    """The app of whoever scans the picture, or types what stands below it."""
    picture = page.get_by_role("img", name="QR code")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.complete && image.naturalWidth > 100") and picture.bounding_box()["width"] > 150
    return pyotp.TOTP(page.locator(".key").inner_text().replace(" ", ""))


def give_password(desk, login):
    desk.go("/login")
    desk.page.get_by_label("E-mail").fill(f"{login}@demo.example")
    desk.page.get_by_label("Password").fill(PASSWORD)
    desk.page.get_by_role("button", name="Log in").click()


def give_code(desk, label, code):
    desk.page.get_by_label(label).fill(code)
    desk.page.get_by_role("button", name="Log in").click()


def time_goes_on(engine):
    """So that the present code may be used: as if the last one was used earlier."""
    with engine.begin() as connection:
        connection.execute(sa.update(SecondStep.__table__).values(last_used=0))


@pytest.mark.parametrize("js", [True, False])
def test_a_patient_sets_it_up_logs_in_with_it_with_a_recovery_code_and_turns_it_off(own_desks, own_database, js):
    desk = own_desks("sophie", js=js)
    desk.go("/account/password")
    desk.page.get_by_role("link", name="Second step").click()
    accessible(desk.page, js=js)
    desk.page.get_by_role("link", name="Set up").click()
    app = app_of(desk.page)
    desk.page.get_by_label("Code from the app").fill("000 000")
    desk.page.get_by_label("Present password").fill(PASSWORD)
    desk.page.get_by_role("button", name="Set up").click()
    expect(desk.page.locator("#errors")).to_contain_text("This code is not right.")
    accessible(desk.page, js=js)
    assert app_of(desk.page).secret == app.secret, "the picture that was scanned still stands"
    code = code_of(app)
    desk.page.get_by_label("Code from the app").fill(f"{code[:3]} {code[3:]}")
    desk.page.get_by_label("Present password").fill(PASSWORD)
    desk.page.get_by_role("button", name="Set up").click()
    codes = desk.page.get_by_role("list", name="Recovery codes").get_by_role("listitem")
    expect(codes).to_have_count(10)
    recovery = codes.first.inner_text()
    accessible(desk.page, js=js)
    desk.page.get_by_role("link", name="I have kept them").click()
    expect(desk.page.get_by_text("Recovery codes left")).to_be_visible()
    expect(desk.page.get_by_text(recovery)).to_have_count(0)

    time_goes_on(own_database)
    phone = own_desks(None, js=js, viewport={"width": 390, "height": 844})
    give_password(phone, "sophie")
    expect(phone.page.get_by_role("heading", name="Second step")).to_be_visible()
    accessible(phone.page, js=js)
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
    phone.go("/messages")
    expect(phone.page.get_by_label("Password")).to_be_visible()
    phone.go("/login/second-step")
    give_code(phone, "Code from the app", "000000")
    expect(phone.page.locator("#errors")).to_contain_text("This code is not right")
    give_code(phone, "Code from the app", code_of(app))
    phone.page.wait_for_url(re.compile("/$"))

    phone.page.get_by_role("button", name="Log out").first.click()
    give_password(phone, "sophie")
    phone.page.get_by_role("link", name="recovery code").click()
    give_code(phone, "Recovery code", recovery.lower())
    phone.page.wait_for_url(re.compile("/$"))
    phone.go("/account/second-step")
    expect(phone.page.get_by_text("9", exact=True)).to_be_visible()
    phone.page.get_by_role("link", name="Turn off").click()
    phone.page.get_by_label("Present password").fill(PASSWORD)
    phone.page.get_by_role("button", name="Turn off").click()
    expect(phone.page.get_by_text("The second step is turned off.")).to_be_visible()
    give_password(own_desks(None, js=js), "sophie")
    expect(own_desks(None, js=js).page.get_by_role("heading", level=1)).to_contain_text("SOPHIE")


@pytest.mark.parametrize("js", [True, False])
def test_an_admin_who_has_to_sets_it_up_at_the_log_in_and_another_admin_resets_it(own_desks, own_database, js):
    with own_database.begin() as connection:
        connection.execute(sa.update(Practice.__table__).values(second_step="staff"))
        of_it = sa.select(Person.id).where(Person.email_key == "it@demo.example").scalar_subquery()
        connection.execute(sa.update(Staff.__table__).where(Staff.id == of_it).values(is_admin=True))
    desk = own_desks(None, js=js)
    give_password(desk, "admin")
    expect(desk.page.get_by_role("heading", name="Set up the second step")).to_be_visible()
    accessible(desk.page, js=js)
    app = app_of(desk.page)
    desk.page.get_by_label("Code from the app").fill(code_of(app))
    desk.page.get_by_role("button", name="Go on").click()
    expect(desk.page.get_by_role("listitem")).to_have_count(10)
    accessible(desk.page, js=js)
    desk.page.get_by_role("link", name="I have kept them, go on").click()
    desk.page.wait_for_url(re.compile("/admin/"))

    other = own_desks(None, js=js, viewport={"width": 1024, "height": 768})
    give_password(other, "it")
    other.page.get_by_label("Code from the app").fill(code_of(app_of(other.page)))
    other.page.get_by_role("button", name="Go on").click()
    other.page.get_by_role("link", name="I have kept them, go on").click()
    other.go("/admin/staff")
    other.page.get_by_role("link", name="ADMINISTRATOR, ADA").click()
    other.page.get_by_role("link", name="Second step").click()
    accessible(other.page, js=js)
    other.page.get_by_label("Your own password").fill("not the right one")
    other.page.get_by_role("button", name="Reset the second step").click()
    expect(other.page.locator("#errors")).to_contain_text("This is not your password.")
    other.page.get_by_label("Your own password").fill(PASSWORD)
    other.page.get_by_role("button", name="Reset the second step").click()
    expect(other.page.get_by_text("Reset. The person is told by e-mail.")).to_be_visible()

    desk.go("/admin/communicators")
    expect(desk.page.get_by_label("Password")).to_be_visible()
    give_password(desk, "admin")
    assert app_of(desk.page).secret != app.secret
