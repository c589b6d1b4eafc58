"""Nobody types a text twice: what is begun is kept, by itself and by hand, on every way out of the page."""

import re
import uuid

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.once]


def words() -> str:
    return f"Begun {uuid.uuid4().hex[:8]}"


@pytest.fixture
def hugo(desks):
    """A page of Hugo's on which ten seconds pass when the test says so."""
    desk = desks("hugo")
    page = desk.context.new_page()
    page.clock.install()
    desk.open = lambda path: page.goto(desk.address + path)
    desk.now = page
    yield desk
    page.close(run_before_unload=False)


def saved(page) -> None:
    expect(page.locator("[data-draft-said]")).to_contain_text("Draft saved at")


@pytest.mark.parametrize("path", ["/messages/new", "/appointments/new", "/results/new"])
def test_ten_seconds_after_the_last_key_it_is_kept_and_reload_shows_it(hugo, path):
    hugo.open(path)
    page, said = hugo.now, words()
    page.get_by_label("Comments").fill(said)
    page.clock.run_for(9_000)
    expect(page.locator("[data-draft-said]")).to_have_text("")
    page.clock.run_for(1_500)
    saved(page)
    expect(page).to_have_url(re.compile(r"\?draft=[\w-]{22}$"))
    page.reload()
    expect(page.get_by_label("Comments")).to_have_value(said)
    page.goto(hugo.address + "/messages/drafts")
    expect(page.get_by_role("link", name=said)).to_be_visible()


def test_leaving_keeps_it_at_once(hugo):
    hugo.open("/messages/new")
    page, said = hugo.now, words()
    page.get_by_label("Title").fill(said)
    page.goto(hugo.address + "/messages/drafts")
    page.wait_for_timeout(500)
    page.reload()
    page.get_by_role("link", name=said).click()
    expect(page.get_by_label("Title")).to_have_value(said)


def test_a_closed_browser_and_a_new_log_in_lead_back_to_it(desks, chromium):
    said = words()
    first = desks("hugo")
    page = first.context.new_page()
    page.goto(first.address + "/messages/new")
    page.get_by_label("Title").fill(said)
    page.close(run_before_unload=True)
    first.page.wait_for_timeout(500)
    again = type(first)(chromium.new_context(), first.address)
    again.log_in("hugo")
    again.page.get_by_role("link", name=re.compile(said)).first.click()
    expect(again.page.get_by_label("Title")).to_have_value(said)
    again.context.close()


def test_a_second_window_is_told_and_overwrites_nothing_silently(hugo):
    hugo.open("/messages/new")
    page, said = hugo.now, words()
    page.get_by_label("Title").fill(said)
    page.clock.run_for(10_500)
    saved(page)
    other = hugo.context.new_page()
    other.clock.install()
    other.goto(page.url)
    other.get_by_label("Title").fill(f"{said}, longer")
    other.clock.run_for(10_500)
    saved(other)
    expect(page.get_by_text("A newer version of this draft was saved")).to_be_visible()
    page.get_by_label("Title").fill(f"{said}, mine")
    page.clock.run_for(10_500)
    with page.expect_response("**/drafts/*") as kept:
        page.get_by_role("button", name="Keep mine").click()
    assert kept.value.ok
    other.reload()
    expect(other.get_by_label("Title")).to_have_value(f"{said}, mine")
    other.close()


def test_while_the_server_is_away_the_text_stays_and_is_saved_later(hugo):
    hugo.open("/messages/new")
    page, said = hugo.now, words()
    page.route("**/drafts/*", lambda route: route.abort())
    page.get_by_label("Title").fill(said)
    page.clock.run_for(10_500)
    expect(page.locator("[data-draft-said]")).to_contain_text("Not saved")
    page.unroute("**/drafts/*")
    page.clock.run_for(10_500)
    saved(page)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_lost_network_while_sending_is_said_and_the_same_form_sends_once(hugo, moment):
    hugo.open("/messages/new")
    page, said = hugo.now, words()
    page.get_by_label("To", exact=True).select_option(index=1)
    page.get_by_label("Title").fill(said)
    page.get_by_label("Comments").fill("Only once")

    def cut(route):
        if moment == "after":
            route.fetch()
        route.abort()

    page.route("**/messages/new", cut, times=1)
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("Not confirmed")).to_be_visible()
    expect(page.get_by_label("Title")).to_have_value(said)
    page.get_by_role("button", name="Send").click()
    expect(page).to_have_url(re.compile(r"/messages/[\w-]{22}"))
    page.goto(hugo.address + "/messages/sent")
    expect(page.get_by_role("link", name=said)).to_have_count(1)
    page.goto(hugo.address + "/messages/drafts")
    expect(page.get_by_role("link", name=said)).to_have_count(0)


def test_the_answer_begun_in_a_conversation_opens_with_it(desks):
    sophie = desks("sophie")
    page, said = sophie.context.new_page(), words()
    page.clock.install()
    page.goto(sophie.address + "/messages")
    page.locator("#mail .item-title").first.click()
    page.get_by_label(re.compile("^Respond")).fill(said)
    page.clock.run_for(10_500)
    saved(page)
    page.goto(sophie.address + "/messages")
    page.locator("#mail .item-title").first.click()
    expect(page.get_by_label(re.compile("^Respond"))).to_have_value(said)
    page.close()


def test_without_javascript_keep_as_draft_does_it(desks):
    hugo = desks("hugo", js=False)
    page, said = hugo.page, words()
    hugo.go("/appointments/new")
    page.get_by_label("Reason for visit").fill(said)
    page.get_by_role("button", name="Keep as draft").click()
    expect(page.get_by_text("Kept as a draft")).to_be_visible()
    page.get_by_role("link", name=said).click()
    expect(page.get_by_label("Reason for visit")).to_have_value(said)
    hugo.go("/messages/drafts")
    page.get_by_role("button", name=f"Delete {said}").click()
    expect(page.get_by_role("link", name=said)).to_have_count(0)


def test_a_session_that_ends_while_writing_leads_back_into_the_form(desks, chromium):
    desk = type(desks("hugo"))(chromium.new_context(), desks.address)
    desk.log_in("hugo")
    page, said = desk.page, words()
    desk.go("/messages/new")
    page.get_by_label("Title").fill(said)
    page.get_by_role("button", name="Keep as draft").click()
    saved(page)
    desk.context.clear_cookies()
    page.reload()
    page.get_by_label("E-mail").fill("hugo@demo.example")
    page.get_by_label("Password").fill("correct-horse-demo-battery")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_label("Title")).to_have_value(said)
    desk.context.close()
