"""The Message Box lives: news come without moving what is read or typed, and colleagues see each other, with several at once."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Desk, Desks
from tests.browser.test_journeys import write_message
from tests.browser.test_what_must_follow import sent

pytestmark = pytest.mark.browser

PLACES = """() => {
  const list = document.getElementById("list"), pane = document.getElementById("pane"), active = document.activeElement;
  const top = (part) => part?.getBoundingClientRect().top;
  const first = [...list.querySelectorAll("tbody tr")].find((row) => row.getBoundingClientRect().bottom > top(list));
  const isText = active.selectionStart !== undefined;
  const selection = isText ? [active.selectionStart, active.selectionEnd, active.value] : String(getSelection());
  return JSON.stringify([active.id || active.name || active.href, selection, list.scrollTop, pane.scrollTop, scrollX, scrollY,
    first?.id, top(first), top(pane.querySelector("h2"))]);
}"""


def polls(page: Page, times: int = 1) -> None:
    """Lets the page ask so many times again, and waits for each answer."""
    for _ in range(times):
        with page.expect_response(lambda r: "/staff/news" in r.url):
            page.clock.run_for(10_000)
        page.wait_for_function("() => true")


@pytest.fixture
def nurse(own_desks: Desks) -> Desk:
    desk = own_desks("nurse")
    desk.page.clock.install()
    return desk


def test_a_new_message_and_its_number_appear_without_reload(own_desks: Desks, nurse: Desk) -> None:
    nurse.go("/staff/")
    nurse.page.mouse.move(5, 5)
    nurse.page.evaluate("window.isTheSamePage = true")
    before = nurse.page.locator("#in-box-count").inner_text()
    key = sent(own_desks("sophie"), write_message, "Is my cough a worry?")
    polls(nurse.page)
    expect(nurse.page.locator("#message-rows tbody tr").first).to_have_id(f"row-{key}")
    expect(nurse.page.locator("#in-box-count")).not_to_have_text(before)
    assert nurse.page.title().startswith(nurse.page.locator("#in-box-count").inner_text())
    assert nurse.page.evaluate("window.isTheSamePage") is True
    nurse.page.locator(f"#row-{key} a.item-title").click()
    expect(nurse.page.locator("#pane")).to_contain_text("Is my cough a worry?")


def test_ten_polls_with_news_move_neither_focus_nor_scroll_nor_selection(own_desks: Desks, nurse: Desk) -> None:
    """Writing in one message while messages come in: everything stays where it was, and a button says that there is more."""
    nurse.page.set_viewport_size({"width": 1280, "height": 640})
    nurse.go("/staff/")
    nurse.page.locator("a.item-title").nth(3).click()
    nurse.page.get_by_role("link", name="Respond").click()
    text = nurse.page.get_by_label("Your reply")
    text.fill("One two three four")
    text.evaluate("(area) => area.setSelectionRange(4, 7)")
    nurse.page.locator("#list").evaluate("(list) => list.scrollTo(0, 90)")
    nurse.page.locator("#pane").evaluate("(pane) => pane.scrollTo(0, 20)")
    before = nurse.page.evaluate(PLACES)
    sophie, keys = own_desks("sophie"), []
    for number in range(10):
        if number in (1, 4, 7):
            keys.append(sent(sophie, write_message, f"News {number}"))
        polls(nurse.page)
        assert nurse.page.evaluate(PLACES) == before, number
    more = nurse.page.get_by_role("button", name="Show 3 new messages")
    expect(more).to_be_visible()
    more.click()
    rows = nurse.page.locator("#message-rows tbody tr")
    assert [rows.nth(n).get_attribute("id") for n in range(3)] == [f"row-{key}" for key in keys[::-1]]
    expect(text).to_have_value("One two three four")


def test_what_a_colleague_does_shows_in_its_row_under_the_very_focus(own_desks: Desks, nurse: Desk) -> None:
    key = sent(own_desks("sophie"), write_message, "Who takes this?")
    nurse.go("/staff/")
    link = nurse.page.locator(f"#row-{key} a.item-title")
    link.focus()
    colleague = own_desks("frontdesk")
    colleague.go(f"/staff/messages/{key}")
    with colleague.page.expect_response(lambda r: r.url.endswith("/claim")):
        colleague.page.get_by_role("button", name="Claim").click()
    polls(nurse.page)
    expect(nurse.page.locator(f"#row-{key}")).to_contain_text("FRONTDESK")
    expect(link).to_be_focused()


def test_nothing_new_costs_304_and_the_session_ends_all_the_same(nurse: Desk) -> None:
    nurse.go("/staff/")
    answers: list[int] = []
    nurse.page.on("response", lambda r: answers.append(r.status) if "/staff/news" in r.url else None)
    polls(nurse.page, 3)
    assert answers == [304, 304, 304]


# ---- Presence ------------------------------------------------------------------------------------


def signs(page: Page, within: int = 10_000) -> None:
    with page.expect_response(lambda r: r.url.endswith("/presence")):
        page.clock.run_for(within)


def test_two_see_each_other_read_and_write_and_go(own_desks: Desks, nurse: Desk) -> None:
    key = sent(own_desks("sophie"), write_message, "Shall I come in?")
    colleague = own_desks("frontdesk")
    with nurse.page.expect_response(lambda r: r.url.endswith("/presence")):
        nurse.go(f"/staff/messages/{key}")
    with colleague.page.expect_response(lambda r: r.url.endswith("/presence")):
        colleague.go(f"/staff/messages/{key}")
    expect(colleague.page.locator("#presence")).to_contain_text("has this open")
    signs(nurse.page)
    expect(nurse.page.locator("#presence")).to_contain_text("FRONTDESK, FAY has this open")
    with colleague.page.expect_response(lambda r: r.url.endswith("/presence")):
        colleague.page.get_by_role("link", name="Respond").click()
    signs(nurse.page)
    expect(nurse.page.locator("#presence")).to_contain_text("FRONTDESK, FAY is writing a reply")
    assert nurse.page.locator("#presence").evaluate("(p) => p.scrollHeight <= p.clientHeight + 2")


def test_an_answer_of_a_colleague_is_told_in_the_open_message(own_desks: Desks, nurse: Desk, ten_seconds: Any) -> None:
    key = sent(own_desks("sophie"), write_message, "May I eat eggs?")
    nurse.go(f"/staff/messages/{key}")
    colleague = own_desks("frontdesk")
    colleague.go(f"/staff/messages/{key}")
    with colleague.page.expect_response(lambda r: r.url.endswith("/receipts")):
        colleague.page.get_by_role("button", name="Receive").click()
    signs(nurse.page)
    show = nurse.page.locator("#pane-news").get_by_role("link", name="Show")
    with nurse.page.expect_response(lambda r: r.url.endswith(key)):
        show.click()
    expect(nurse.page.locator("#toolbar")).to_contain_text("Received by FRONTDESK, FAY")


def test_who_loses_the_message_while_writing_sees_no_word_of_it_and_keeps_the_text(own_desks: Desks, nurse: Desk) -> None:
    key = sent(own_desks("sophie"), write_message, "Only for clinicians")
    nurse.go(f"/staff/messages/{key}")
    nurse.page.get_by_role("link", name="Respond").click()
    nurse.page.get_by_label("Your reply").fill("What I wrote")
    colleague = own_desks("frontdesk")
    colleague.go(f"/staff/messages/{key}")
    colleague.page.get_by_role("link", name="Transfer").click()
    to = colleague.page.get_by_label("To", exact=True)
    to.select_option(label=to.locator("option", has_text="Scheduler").inner_text())
    colleague.page.get_by_label("Reason").fill("It is about a time")
    with colleague.page.expect_response(lambda r: r.request.method == "POST" and "/transfer" in r.url):
        colleague.page.get_by_role("button", name="Transfer").click()
    signs(nurse.page)
    expect(nurse.page.get_by_text("This message is not yours any more")).to_be_visible()
    expect(nurse.page.get_by_label("What you were writing, to copy")).to_have_value("What I wrote")
    expect(nurse.page.get_by_text("Only for clinicians")).to_have_count(0)
