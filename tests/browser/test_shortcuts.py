"""Single keys in the Message Box: what each does, where they do nothing, and the switch."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Desk, Desks

pytestmark = [pytest.mark.browser, pytest.mark.once]


@pytest.fixture
def nurse(own_desks: Desks) -> Desk:
    desk = own_desks("nurse")
    desk.go("/staff/")
    return desk


def press(page: Page, key: str, path: str) -> None:
    """Presses a key and waits for what it asks of the server."""
    with page.expect_response(lambda r: path in r.url):
        page.keyboard.press(key)


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.closest('tr')?.id ?? document.activeElement.id"))


def test_j_and_k_go_through_the_list_and_o_opens(nurse: Desk) -> None:
    page = nurse.page
    ids = [str(row.get_attribute("id")) for row in page.locator("#message-rows tbody tr").all()[:3]]
    for key, row in (("j", 0), ("j", 1), ("j", 2), ("k", 1)):
        page.keyboard.press(key)
        assert focused(page) == ids[row]
    page.keyboard.press("x")
    expect(page.locator(f"#{ids[1]}").get_by_role("checkbox")).to_be_checked()
    press(page, "o", f"/messages/{ids[1][4:]}")
    expect(page.locator("#pane h2")).to_be_focused()
    press(page, "j", f"/messages/{ids[1][4:]}/next")
    expect(page.locator(f"#{ids[2]}")).to_have_class(re.compile("is-open"))
    expect(page.locator(f"#{ids[1]}")).not_to_have_class(re.compile("is-open"))
    assert page.url.endswith(f"/messages/{ids[2][4:]}")
    press(page, "k", f"/messages/{ids[2][4:]}/previous")
    expect(page.locator(f"#{ids[1]}")).to_have_class(re.compile("is-open"))


def test_c_claims_r_responds_and_e_closes(nurse: Desk) -> None:
    page = nurse.page
    press(page, "o", "/presence")
    press(page, "c", "/claim")
    expect(page.locator("#toolbar")).to_contain_text("Claimed by you")
    press(page, "r", "/reply")
    expect(page.get_by_label("Your reply")).to_be_focused()
    page.get_by_role("link", name="Cancel").click()
    expect(page.locator("#toolbar")).to_be_visible()
    press(page, "e", "/closing")
    expect(page.locator("#pane")).to_contain_text("Closed")


def test_slash_searches_and_question_mark_shows_the_keys(nurse: Desk) -> None:
    page = nurse.page
    page.keyboard.press("/")
    expect(page.get_by_label("Last name")).to_be_focused()
    expect(page.get_by_label("Last name")).to_have_value("")
    page.keyboard.type("j?x")
    expect(page.get_by_label("Last name")).to_have_value("j?x")
    page.get_by_label("Last name").blur()
    page.keyboard.press("?")
    expect(page).to_have_url(re.compile("/staff/keyboard"))
    expect(page.get_by_role("heading", name="Keyboard")).to_be_visible()


def test_switched_off_a_key_does_nothing(nurse: Desk) -> None:
    page = nurse.page
    nurse.go("/staff/keyboard")
    page.get_by_label("Single keys act in the Message Box").uncheck()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    nurse.go("/staff/")
    for key in "jox?/":
        page.keyboard.press(key)
    assert focused(page) == "" and page.url.endswith("/staff/")
    expect(page.locator("#pane h2")).to_have_count(0)


def test_with_control_they_are_the_browsers(nurse: Desk) -> None:
    nurse.page.keyboard.press("Control+j")
    assert focused(nurse.page) == ""


def test_where_there_is_nothing_to_press_a_key_does_nothing(nurse: Desk) -> None:
    """Sent Items has no boxes, My Account neither list nor message; a script error would fail this test at its end."""
    for path in ("/staff/sent", "/staff/account", "/staff/messages/new"):
        nurse.go(path)
        for key in "jxkrce1":
            nurse.page.keyboard.press(key)
        assert nurse.page.url.endswith(path)


def test_control_enter_sends_from_within_the_form_alone(nurse: Desk) -> None:
    page = nurse.page
    press(page, "o", "/presence")
    press(page, "r", "/reply")
    text = page.get_by_label("Your reply")
    expect(text).to_be_focused()
    text.fill("Not finished")
    posts: list[str] = []
    page.on("request", lambda r: posts.append(r.url) if r.method == "POST" and "/replies" in r.url else None)
    text.blur()
    page.keyboard.press("Control+Enter")
    page.locator("#pane h2").evaluate("(head) => { head.tabIndex = -1; head.focus(); }")
    page.keyboard.press("Control+Enter")
    expect(text).to_have_value("Not finished")
    assert posts == []
    text.focus()
    press(page, "Control+Enter", "/replies")
