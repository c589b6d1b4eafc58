"""The Message Box lives: news come without moving what is read or typed, and colleagues see each other, with several at once."""

import re
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from practice import conversations
from practice.db import Actor, db, new_key
from practice.people import Person
from practice.sessions import LoginSession
from practice.threads import Thread
from tests.browser.conftest import APPS, Desk, Desks
from tests.browser.test_journeys import write_message
from tests.browser.test_morning import mornings_messages
from tests.browser.test_what_must_follow import sent

pytestmark = [pytest.mark.browser, pytest.mark.once]

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


def writes_on(address: str, key: str) -> None:
    """The patient writes once more in this conversation."""
    with APPS[address].app_context():
        whose = sa.select(Person.id, Person.last_name).join(Thread, Thread.patient_id == Person.id).where(Thread.key == key)
        by = Actor(*db.session.execute(whose).one())
        db.session.remove()
        conversations.reply(key, body="And one thing more", form_key=new_key(), by=by)


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


def test_what_is_ticked_stays_when_news_come_and_when_they_are_shown(own: str, own_desks: Desks, nurse: Desk) -> None:
    last = mornings_messages(own)[-25]
    page, sophie = nurse.page, own_desks("sophie")
    nurse.go("/staff/")
    row = page.locator(f"#row-{last}")
    expect(page.locator("#message-rows tbody tr").last).to_have_id(f"row-{last}")
    row.get_by_role("checkbox").check()
    leave_alone(page)
    key = sent(sophie, write_message, "One more")
    polls(page)
    show = page.get_by_role("button", name="Show 1 new message")
    expect(show).to_be_visible()
    expect(row.get_by_role("checkbox")).to_be_checked()
    show.click()
    expect(page.locator("#message-rows tbody tr").first).to_have_id(f"row-{key}")
    expect(row.get_by_role("checkbox")).to_be_checked()
    row.get_by_role("checkbox").uncheck()
    leave_alone(page)
    key = sent(sophie, write_message, "And another")
    polls(page)
    expect(page.locator("#message-rows tbody tr").first).to_have_id(f"row-{key}")
    expect(row).to_have_count(0)


def test_what_waits_knows_nothing_of_what_was_ticked_or_open_when_it_came(own: str, own_desks: Desks, nurse: Desk) -> None:
    """Unticked meanwhile, a box has the new version; another message opened meanwhile, that one alone is marked."""
    first, second = (sent(own_desks("sophie"), write_message, f"Question {n}") for n in range(2))
    page = nurse.page
    nurse.go(f"/staff/messages/{first}")
    box = page.locator(f"#row-{first}").get_by_role("checkbox")
    box.check()
    before = box.get_attribute("value")
    writes_on(own, first)
    sent(own_desks("jihae"), write_message, "One more")
    polls(page)
    expect(page.get_by_role("button", name="Show 1 new message")).to_be_visible()
    expect(box).to_have_attribute("value", str(before))
    box.uncheck()
    page.locator(f"#row-{second} a.item-title").click()
    expect(page.locator(f"#row-{second}")).to_have_class(re.compile("is-open"))
    page.get_by_role("button", name="Show 1 new message").click()
    expect(box).not_to_have_attribute("value", str(before))
    expect(page.locator("#message-rows .is-open")).to_have_count(1)
    expect(page.locator(f"#row-{second}")).to_have_class(re.compile("is-open"))


def leave_alone(page: Page) -> None:
    """Neither pointer nor focus is in the list, and its head is in sight."""
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0); document.getElementById('list').scrollTo(0, 0)")
    page.mouse.move(5, 5)


def test_what_waits_of_one_list_never_comes_into_another(own_desks: Desks, nurse: Desk) -> None:
    page = nurse.page
    nurse.go("/staff/")
    page.get_by_label("Last name").fill("kwon")
    page.locator("a.item-title").first.focus()
    other = sent(own_desks("jihae"), write_message, "Not of this search")
    polls(page)
    expect(page.get_by_role("button", name="Show 1 new message")).to_be_visible()
    page.get_by_label("Last name").fill("lee")
    with page.expect_response(lambda r: r.url.endswith("/searches")):
        page.get_by_role("button", name="Search").click()
    expect(page).to_have_url(re.compile("filter="))
    page.mouse.move(5, 5)
    polls(page)
    expect(page.locator(f"#row-{other}")).to_have_count(0)


def test_a_number_under_the_focus_waits_for_the_next_poll(own_desks: Desks, nurse: Desk) -> None:
    """The links to what is pressing are not changed while one of them has the focus, but then they are."""
    page = nurse.page
    nurse.go("/staff/")
    urgent = page.locator("#marked").get_by_role("link", name="Urgent words")
    before = urgent.inner_text()
    urgent.focus()
    own_desks("sophie").go("/messages/new")
    sent(own_desks("sophie"), write_urgently, "I have chest pain")
    polls(page)
    expect(urgent).to_have_text(before)
    expect(urgent).to_be_focused()
    urgent.blur()
    polls(page)
    expect(urgent).not_to_have_text(before)


def write_urgently(desk: Desk, words: str) -> None:
    """The patient is warned, and sends it all the same."""
    write_message(desk, words)
    desk.page.get_by_role("button", name="Send").click()


def end_sessions(database: sa.Engine) -> None:
    """As if everybody had been logged off elsewhere."""
    with database.begin() as connection:
        connection.execute(sa.delete(LoginSession))


def test_logged_off_elsewhere_what_is_typed_stays_to_copy_and_the_rest_goes(own_database: sa.Engine, nurse: Desk) -> None:
    page = nurse.page
    nurse.go("/staff/")
    row = page.locator("#message-rows tbody tr").first
    row.locator("a.item-title").click()
    page.get_by_role("link", name="Respond").click()
    page.get_by_label("Your reply").fill("Half a sentence")
    end_sessions(own_database)
    asked: list[str] = []
    page.on("request", lambda r: asked.append(r.url))
    polls(page)
    expect(page.get_by_text("You are not logged in any more")).to_be_visible()
    expect(page.get_by_label("What you were writing, to copy")).to_have_value("Half a sentence")
    expect(row).to_have_count(0)
    asked.clear()
    page.clock.run_for(60_000)
    page.keyboard.press("?")
    assert [url for url in asked if "/news" in url or "/presence" in url] == []
    page.get_by_role("link", name="Log in").click()
    expect(page.get_by_label("Password")).to_be_visible()


def test_logged_off_elsewhere_with_nothing_typed_one_comes_to_the_log_in(own_database: sa.Engine, nurse: Desk) -> None:
    page = nurse.page
    nurse.go("/staff/")
    page.locator("a.item-title").first.click()
    expect(page.locator("#pane h2")).to_be_visible()
    end_sessions(own_database)
    page.clock.run_for(10_000)
    expect(page.get_by_label("Password")).to_be_visible()


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


WRITES = {"Respond": "Your reply", "Add note": "Internal note", "Transfer": "Reason"}


@pytest.mark.parametrize("what", WRITES)
def test_who_loses_the_message_while_writing_sees_no_word_of_it_and_keeps_the_text(
    own_desks: Desks, nurse: Desk, what: str
) -> None:
    key = sent(own_desks("sophie"), write_message, "Only for clinicians")
    nurse.go(f"/staff/messages/{key}")
    nurse.page.get_by_role("link", name=what).click()
    nurse.page.get_by_label(WRITES[what]).fill("What I wrote")
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
