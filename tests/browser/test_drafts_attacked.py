"""Drafts where it hurts: in a hurry, in two windows, without a network, with more text than a leaving page may send."""

import re
import uuid

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.once]
NEWER = "A newer version of this draft was saved"
SAVE = "**/drafts/*"


def words() -> str:
    return f"Begun {uuid.uuid4().hex[:8]}"


@pytest.fixture
def new_page(desks):
    """Windows of Hugo's in which time passes when the test says so."""
    desk = desks("hugo")
    opened = []

    def new(path):
        page = desk.context.new_page()
        page.clock.install()
        page.goto(path if path.startswith("http") else desk.address + path)
        opened.append(page)
        return page

    yield new
    for page in opened:
        page.close(run_before_unload=False)


def saved(page) -> None:
    expect(page.locator("[data-draft-said]")).to_contain_text("Draft saved at")


def kept(page, said: str, count: int = 1) -> None:
    """Under Drafts stands exactly what was said."""
    page.goto(page.url.split("/messages")[0] + "/messages/drafts")
    expect(page.get_by_role("link", name=said, exact=True)).to_have_count(count)


def test_typing_without_a_pause_is_saved_after_a_minute(new_page):
    page = new_page("/messages/new")
    for n in range(13):
        page.get_by_label("Title").fill(f"Without a pause {n}")
        page.clock.run_for(5_000)
    saved(page)


def test_what_is_typed_while_a_save_is_on_its_way_is_not_lost_by_leaving(new_page):
    page, said = new_page("/messages/new"), words()
    held = []
    page.route(SAVE, lambda route: held.append(route) if not held else route.continue_())
    page.get_by_label("Title").fill(said)
    page.clock.run_for(10_500)
    page.get_by_label("Title").fill(f"{said} and more")
    with page.expect_request(lambda request: "/drafts/" in request.url):
        page.evaluate("window.dispatchEvent(new Event('pagehide'))")
    held[0].continue_()
    page.wait_for_timeout(500)
    kept(new_page("/messages"), f"{said} and more")


def test_leaving_while_asked_keeps_both(new_page):
    first, said = new_page("/messages/new"), words()
    first.get_by_label("Title").fill(said)
    first.clock.run_for(10_500)
    saved(first)
    second = new_page(first.url)
    second.get_by_label("Title").fill(f"{said} newer")
    second.clock.run_for(10_500)
    saved(second)
    expect(first.get_by_text(NEWER)).to_be_visible()
    first.get_by_label("Title").fill(f"{said} mine")
    first.get_by_role("link", name="Open the newer version").click()
    expect(first.get_by_label("Title")).to_have_value(f"{said} newer")
    first.wait_for_timeout(500)
    kept(first, f"{said} newer")
    kept(first, f"{said} mine")


def test_sending_an_older_version_asks_first(new_page):
    first, said = new_page("/messages/new"), words()
    first.get_by_label("To", exact=True).select_option(index=1)
    first.get_by_label("Title").fill(said)
    first.get_by_label("Comments").fill("Older")
    first.clock.run_for(10_500)
    saved(first)
    second = new_page(first.url)
    second.get_by_label("Comments").fill("Newer, from the other device")
    second.evaluate("BroadcastChannel.prototype.postMessage = () => {}")  # another device tells nobody
    second.clock.run_for(10_500)
    saved(second)
    first.get_by_role("button", name="Send").click()
    expect(first.locator("#errors")).to_contain_text("A newer version of this draft")
    expect(first.get_by_label("Comments")).to_have_value("Older")
    first.get_by_role("button", name="Send").click()
    expect(first).to_have_url(re.compile(r"/messages/[\w-]{22}\?"))


def test_a_click_in_the_list_does_not_lose_the_answer_begun(desks):
    sophie, said = desks("sophie"), words()
    page = sophie.context.new_page()
    page.goto(sophie.address + "/messages")
    page.locator("#mail .item-title").first.click()
    page.get_by_label(re.compile("^Respond")).fill(said)
    page.locator("#mail .list .item-title").nth(1).click()
    expect(page.get_by_label(re.compile("^Respond"))).to_have_value("")
    kept(page, said)
    page.close()


def test_what_was_refused_and_not_corrected_is_kept(new_page):
    page, said = new_page("/messages/new"), words()
    page.get_by_label("Comments").fill(said)
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#errors")).to_be_visible()
    page.clock.run_for(10_500)
    saved(page)
    kept(page, said)


def test_writing_keeps_the_log_in_alive_on_the_screen_too(new_page):
    page = new_page("/messages/new")
    before = page.locator("[data-log-off]").text_content()
    page.clock.run_for(5 * 60_000)
    expect(page.locator("[data-log-off]")).not_to_have_text(before)
    page.route(
        SAVE,
        lambda route: route.fulfill(
            status=200, json={"version": 1, "said": "Draft saved at 10:12"}, headers={"Session-Ends": str(later(page))}
        ),
    )
    page.get_by_label("Title").fill(words())
    page.clock.run_for(10_500)
    saved(page)
    expect(page.locator("[data-log-off]")).to_contain_text("50")


def later(page) -> int:
    """Fifty minutes from now by the page's clock, whatever it says the server's is."""
    return page.evaluate("Number(document.querySelector('[data-ends]').dataset.now) + 55 * 60000 + 15000")


def test_more_than_a_leaving_page_may_send_is_kept_too(new_page):
    page, said = new_page("/messages/new"), words()
    page.on("dialog", lambda dialog: dialog.dismiss())
    page.get_by_label("Title").fill(said)
    page.get_by_label("Comments").fill("😀" * 19_000)
    page.close(run_before_unload=True)
    page.wait_for_timeout(1_000)
    expect(page.get_by_label("Title")).to_have_value(said)  # asked, and stayed
    kept(new_page("/messages"), said)


def test_back_shows_what_was_written_a_moment_ago(new_page):
    page, said = new_page("/messages/new"), words()
    page.get_by_label("Title").fill(said)
    page.get_by_role("link", name="Drafts").click()
    expect(page.get_by_role("heading", name="Drafts", level=1)).to_be_visible()
    page.wait_for_timeout(300)
    page.go_back()
    expect(page.get_by_label("Title")).to_have_value(said)


def test_a_deleted_draft_is_not_called_a_newer_one(new_page):
    page, said = new_page("/messages/new"), words()
    page.get_by_label("Title").fill(said)
    page.clock.run_for(10_500)
    saved(page)
    other = new_page("/messages/drafts")
    other.get_by_role("button", name=f"Delete {said}").click()
    expect(other.get_by_text("The draft was deleted")).to_be_visible()
    page.get_by_label("Title").fill(f"{said} again")
    page.clock.run_for(10_500)
    expect(page.get_by_text("This draft was deleted")).to_be_visible()
    page.get_by_role("button", name="Keep mine").click()
    saved(page)


def test_the_text_of_one_person_is_never_saved_for_the_next(desks, chromium):
    desk, said = type(desks("hugo"))(chromium.new_context(), desks.address), words()
    desk.log_in("hugo")
    old = desk.page
    old.clock.install()
    desk.go("/messages/new")
    old.get_by_label("Title").fill(said)
    desk.page = desk.context.new_page()
    desk.go("/")
    desk.page.get_by_role("button", name="Log out").first.click()
    desk.log_in("sophie")
    old.clock.run_for(10_500)
    expect(old.locator("[data-draft-said]")).to_contain_text("from an earlier log-in")
    desk.go("/messages/drafts")
    expect(desk.page.get_by_role("link", name=said)).to_have_count(0)
    desk.context.close()
