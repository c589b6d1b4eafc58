"""What is made to be printed: a way to print it on screens of any width, and none of that on paper."""

import pytest
import sqlalchemy as sa
from playwright.sync_api import expect

from tests.browser.conftest import Desks

pytestmark = [pytest.mark.browser, pytest.mark.once]

LETTER = sa.text(
    "SELECT thread.key, message.key FROM thread JOIN message ON message.thread_id = thread.id"
    " WHERE thread.type = 'Amendment' AND NOT message.is_from_patient ORDER BY message.id DESC"
)
COUNTED = "window.printed = 0; window.print = () => { window.printed += 1; }"


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("who", ["sophie", "records"])
def test_a_letter_is_printed_by_a_button_that_is_not_on_the_paper(own_desks: Desks, own_database: sa.Engine, who, width):
    staff = own_desks("records")
    staff.go("/staff/")
    staff.page.locator("#message-rows a").first.click()
    staff.page.get_by_role("link", name="In review").click()
    staff.page.locator("form.writer").get_by_role("button", name="In review").click()
    expect(staff.page.get_by_text("We are looking at your request").last).to_be_visible()
    with own_database.connect() as connection:
        thread, letter = connection.execute(LETTER).first()
    desk = own_desks(who, viewport={"width": width, "height": 844})
    desk.page.add_init_script(COUNTED)
    desk.go(f"{'/staff' if who == 'records' else ''}/messages/{thread}/letters/{letter}")
    button = desk.page.get_by_role("button", name="Print", exact=True)
    button.click()
    assert desk.page.evaluate("() => window.printed") == 1
    expect(desk.page.get_by_role("link", name="Back to the conversation")).to_be_visible()
    assert "()" not in desk.page.locator("body").inner_text()
    desk.page.emulate_media(media="print")
    expect(button).to_be_hidden()
    expect(desk.page.get_by_role("link", name="Back to the conversation")).to_be_hidden()
