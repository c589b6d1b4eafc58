"""An internal note: written by one, seen by the colleague it mentions, and nowhere on the patient's pages."""

import pytest
from playwright.sync_api import expect

from tests.browser.test_journeys import write_message

pytestmark = [pytest.mark.browser, pytest.mark.once]
CANARY = "Plover in the mine"


@pytest.mark.parametrize("js", [True, False])
def test_a_note_reaches_the_colleague_and_never_the_patient(own_desks, js):
    sophie, nurse, desk = own_desks("sophie"), own_desks("nurse", js=js), own_desks("frontdesk", js=js)
    write_message(sophie, "Please refill my inhaler")
    expect(sophie.page.get_by_text("Please refill my inhaler").first).to_be_visible()
    page = nurse.page
    nurse.go("/staff/")
    page.get_by_role("link", name="A question of mine").first.click()
    page.get_by_role("link", name="Add note").click()
    page.get_by_label("Internal note").fill(CANARY)
    page.get_by_label("FRONTDESK, FAY").check()
    with page.expect_response(lambda answer: answer.url.partition("?")[0].endswith("/notes")):
        page.get_by_role("button", name="Add note").click()
    expect(page.get_by_text(CANARY)).to_be_visible()
    address = page.url.partition("?")[0].removeprefix(nurse.address)
    desk.go(address)
    expect(desk.page.get_by_text(CANARY)).to_be_visible()
    expect(desk.page.get_by_text("meant for you")).to_be_visible()
    expect(desk.page.get_by_text("Internal: the patient never sees this")).to_be_visible()
    key = address.rpartition("/")[2]
    for path in ("/", "/messages", f"/messages/{key}", f"/messages/{key}/print"):
        sophie.go(path)
        assert CANARY not in sophie.page.content()
