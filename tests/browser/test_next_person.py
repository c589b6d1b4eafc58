"""Another person who logs in on the same browser finds nothing of the first."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from practice import demo
from tests.browser.conftest import Desk, Desks

pytestmark = [pytest.mark.browser, pytest.mark.once]

HERS = ("KWON, SOPHIE", "Penicillin", "Travel vaccination", "Secret of the first", "February 24, 1978")
PAGES = ("/", "/messages", "/messages/sent", "/my-info", "/account", "/appointments", "/results")
KEPT = """async () => {
  const databases = indexedDB.databases ? (await indexedDB.databases()).map((one) => one.name) : [];
  const caches_ = "caches" in window ? await caches.keys() : [];
  const workers = navigator.serviceWorker ? (await navigator.serviceWorker.getRegistrations()).length : 0;
  return [Object.keys(localStorage), Object.keys(sessionStorage), databases, caches_, workers, document.cookie];
}"""
FIELDS = """() => [...document.querySelectorAll("main input, main textarea, main select")]
  .filter((e) => !["hidden", "submit", "checkbox", "radio", "file"].includes(e.type))
  .map((e) => [e.name, (e.getAttribute("autocomplete") || e.form?.getAttribute("autocomplete") || "")])"""


def log_in(page: Page, who: str) -> None:
    page.get_by_label("E-mail").fill(f"{who}@demo.example")
    page.get_by_label("Password").fill(demo.PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(lambda url: "/login" not in url)


def log_out(desk: Desk) -> None:
    desk.page.get_by_role("button", name="Log out").click()
    expect(desk.page.get_by_text("You are logged out.")).to_be_visible()


def shows_nothing_of_hers(page: Page) -> None:
    page.wait_for_load_state()
    html = page.content()
    assert [word for word in HERS if word in html] == [], page.url


def look_around(desk: Desk) -> list[str]:
    """The first person reads her pages and leaves a draft; answers the addresses of what is hers alone."""
    for path in PAGES:
        desk.go(path)
    hers = [desk.page.url]
    desk.go("/messages")
    desk.page.locator(".list a.item-title").first.click()
    desk.page.wait_for_url("**/messages/*")
    hers.append(desk.page.url)
    desk.go("/messages/new")
    desk.page.get_by_label("Comments").fill("Secret of the first")
    with desk.page.expect_response("**/drafts/*"):
        desk.page.get_by_role("button", name="Keep as draft").click()
    desk.page.wait_for_load_state()
    desk.go("/messages/drafts")
    hers.append(desk.address + desk.page.locator(".list a.item-title").first.get_attribute("href"))
    return hers


@pytest.mark.parametrize("js", [True, False], ids=["with JavaScript", "without"])
def test_a41_the_next_person_finds_nothing(own_desks: Desks, js: bool) -> None:
    desk = own_desks("sophie", js=js)
    page = desk.page
    hers = look_around(desk)
    log_out(desk)
    for _ in range(4):  # Back, through all that she saw
        page.go_back()
        shows_nothing_of_hers(page)
    desk.go("/login")
    log_in(page, "hugo")
    for path in PAGES:
        desk.go(path)
        shows_nothing_of_hers(page)
    for _ in range(12):
        page.go_back()
        shows_nothing_of_hers(page)
    for path in ("/messages/drafts", "/messages/new"):
        desk.go(path)
        shows_nothing_of_hers(page)
    for address in hers[1:]:
        answer: Any = page.goto(address)
        shows_nothing_of_hers(page)
        if "draft=" not in address:
            assert answer.status == 404


def test_a41_s8_the_browser_keeps_nothing_while_she_is_there_nor_after(own_desks: Desks) -> None:
    desk = own_desks("sophie")
    look_around(desk)
    note = "htmx-current-path-for-history"  # htmx notes on which page it is: an address, which says nothing of anybody
    for is_gone in (False, True):
        assert desk.page.evaluate(KEPT) == [[], [note], [], [], 0, ""]
        path = desk.page.evaluate(f"sessionStorage.getItem('{note}')")
        assert re.fullmatch(r"/login\?done=logged-out" if is_gone else r"/[a-z/-]*([\w-]{22})?(\?draft=[\w-]{22})?", path), path
        if not is_gone:
            log_out(desk)
    assert [c["name"] for c in desk.context.cookies()] in ([], ["__Host-portal"])
    assert all(c["httpOnly"] and c["secure"] for c in desk.context.cookies())


def test_a41_a_page_taken_out_of_the_back_cache_is_asked_for_anew(own_desks: Desks) -> None:
    """Browsers may keep a page for Back in spite of no-store; ours reloads itself, and the log-in page comes."""
    desk = own_desks("sophie")
    desk.go("/my-info")
    desk.context.clear_cookies()
    desk.page.evaluate("window.dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    desk.page.wait_for_url("**/login**")
    shows_nothing_of_hers(desk.page)


def test_a_session_that_ended_in_one_tab_shows_nothing_in_another(own_desks: Desks) -> None:
    desk = own_desks("sophie")
    desk.go("/my-info")
    other = desk.context.new_page()
    other.goto(desk.address + "/messages")
    log_out(desk)
    other.reload()
    shows_nothing_of_hers(other)
    log_in(other, "hugo")
    desk.page.go_back()
    shows_nothing_of_hers(desk.page)


def test_no_field_of_a_patient_is_offered_to_the_next_one(own_desks: Desks) -> None:
    desk = own_desks("sophie")
    found = []
    for path in ("/messages", "/messages/new", "/appointments/new", "/results/new", "/account"):
        desk.go(path)
        found += [(path, name) for name, said in desk.page.evaluate(FIELDS) if said in ("", "on")]
    desk.go("/my-info")
    desk.page.locator(".value a").first.click()
    expect(desk.page.get_by_label("Memo")).to_be_visible()
    found += [("amendment", name) for name, said in desk.page.evaluate(FIELDS) if said in ("", "on")]
    desk.go("/messages")
    desk.page.locator(".list a.item-title").first.click()
    desk.page.wait_for_url("**/messages/*")
    found += [("reply", name) for name, said in desk.page.evaluate(FIELDS) if said in ("", "on")]
    assert found == []
