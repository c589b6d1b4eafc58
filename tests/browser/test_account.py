"""My Account in a real browser, with and without JavaScript, in a practice of this test's own."""

import pytest
from playwright.sync_api import expect

from practice.demo import PASSWORD
from tests.browser.axe import problems

pytestmark = [pytest.mark.browser, pytest.mark.once]

NEW = "three plums on a roof"
PAGES = ("/account", "/account/password", "/account/mails", "/account/log-ins", "/account/readers")


def save_password(desk, present, new, again=None):
    desk.go("/account/password")
    desk.page.get_by_label("Present password").fill(present)
    desk.page.get_by_label("New password").fill(new)
    desk.page.get_by_label("The same password again").fill(new if again is None else again)
    desk.page.get_by_role("button", name="Save password").click()


@pytest.mark.parametrize("js", [True, False])
def test_a_password_is_changed_and_every_other_device_is_logged_out(own_desks, js):
    phone = own_desks("sophie", viewport={"width": 390, "height": 844})
    desk = own_desks("sophie", js=js)
    save_password(desk, "not the right one", NEW)
    expect(desk.page.locator("#errors")).to_contain_text("This is not your present password.")
    assert not js or problems(desk.page) == []
    save_password(desk, PASSWORD, NEW, "three plums on a ROOF")
    expect(desk.page.locator("#errors")).to_contain_text("differ")
    save_password(desk, PASSWORD, NEW)
    expect(desk.page.get_by_text("Your password was changed.")).to_be_visible()
    desk.go("/messages")
    expect(desk.page.get_by_role("heading", level=1)).to_be_visible()
    phone.go("/messages")
    expect(phone.page.get_by_label("Password")).to_be_visible()


@pytest.mark.parametrize("js", [True, False])
def test_one_looks_where_one_is_logged_in_and_logs_out_there(own_desks, js):
    others = [own_desks("sophie", viewport={"width": 390 + n, "height": 844}) for n in range(2)]
    desk = own_desks("sophie", js=js)
    desk.go("/account/log-ins")
    expect(desk.page.get_by_text("This one")).to_have_count(1)
    there = desk.page.get_by_role("button", name="Log out Chrome")
    expect(there).to_have_count(2)
    there.first.click()
    expect(desk.page.get_by_text("Logged out there.")).to_be_visible()
    expect(there).to_have_count(1)
    desk.page.get_by_role("button", name="Log out elsewhere").click()
    expect(desk.page.get_by_text("You are logged in nowhere else.")).to_be_visible()
    for other in others:
        other.go("/")
        expect(other.page.get_by_label("Password")).to_be_visible()


@pytest.mark.parametrize("js", [True, False])
def test_how_mails_come_is_chosen_and_stays(own_desks, js):
    desk = own_desks("sophie", js=js, viewport={"width": 320, "height": 640})
    desk.go("/account/mails")
    expect(desk.page.get_by_label("An e-mail for every answer")).to_be_checked()
    desk.page.get_by_label("One e-mail a day, in the morning").check()
    desk.page.get_by_role("button", name="Save").click()
    expect(desk.page.get_by_text("Saved.")).to_be_visible()
    expect(desk.page.get_by_label("One e-mail a day, in the morning")).to_be_checked()


def test_every_page_of_the_account_is_in_sight_on_a_small_phone(own_desks):
    desk = own_desks("sophie", viewport={"width": 320, "height": 640})
    for path in PAGES:
        desk.go(path)
        for link in desk.page.get_by_role("navigation", name="My Account").get_by_role("link").all():
            box = link.bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= 320, (path, link.inner_text())
