"""The time-out: counted down alike in all tabs, said aloud, put off by *Stay logged in*, ended by the server; nothing is lost."""

import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from practice import demo
from tests.browser.conftest import Desk, Desks

pytestmark = [pytest.mark.browser, pytest.mark.once]

SPEAKS = """() => {
  window.said = [];
  const said = document.getElementById("timeout-said");
  const changes = { childList: true, characterData: true, subtree: true };
  new MutationObserver(() => window.said.push(said.textContent)).observe(said, changes);
}"""


@pytest.fixture
def sophie(own_desks: Desks) -> Desk:
    """At a desk of her own, with the clock in our hands."""
    desk = own_desks("sophie")
    desk.page.clock.install()
    return desk


def end_in(folder: Path, **left: float) -> None:
    """Moves the end of all sessions in the database: what the server says and does from now on."""
    present = datetime.now(UTC).replace(tzinfo=None)
    end, seen = ((present + timedelta(**by)).isoformat(" ", "microseconds") for by in (left, {}))
    with closing(sqlite3.connect(next(folder.glob("*.sqlite3")), timeout=10)) as base:
        base.execute("UPDATE login_session SET idle_ends_at = ?, seen_at = ?", [end, seen])
        base.commit()


def ends_at(folder: Path) -> str:
    with closing(sqlite3.connect(next(folder.glob("*.sqlite3")), timeout=10)) as base:
        return base.execute("SELECT max(idle_ends_at) FROM login_session").fetchone()[0]


def log_in(page: Page, who: str) -> None:
    page.get_by_label("E-mail").fill(f"{who}@demo.example")
    page.get_by_label("Password").fill(demo.PASSWORD)
    page.get_by_role("button", name="Log in").click()


def shown(page: Page) -> str:
    return page.locator("[data-log-off]").inner_text()


def test_the_header_counts_down_and_warns_two_minutes_before_aloud(sophie: Desk) -> None:
    page = sophie.page
    sophie.go("/messages/new")
    assert shown(page) == "Log-off in 30 min"
    expect(page.locator("#timeout")).to_be_hidden()
    page.evaluate(SPEAKS)
    page.clock.run_for(10 * 60 * 1000)
    assert shown(page) == "Log-off in 20 min"
    page.clock.run_for(17 * 60 * 1000 + 50_000)
    expect(page.locator("#timeout")).to_be_hidden()
    page.clock.run_for(12_000)
    expect(page.locator("#timeout")).to_be_visible()
    expect(page.get_by_role("region", name="You will soon be logged off")).to_be_visible()
    assert re.fullmatch(r"Log-off in 1:5\d", shown(page))
    assert page.locator("[data-timeout-clock]").inner_text() == shown(page).removeprefix("Log-off in ")
    page.clock.run_for(100_000)
    said = page.evaluate("window.said")
    assert len(said) == 3, said  # not each second
    for spoken, seconds in zip(said, (120, 60, 30), strict=True):
        minutes, rest = map(int, spoken.removeprefix("Log-off in ").split(":"))
        assert seconds - 10 < 60 * minutes + rest <= seconds
    assert page.locator("#timeout-said").get_attribute("role") == "alert"


def test_stay_logged_in_moves_the_end_in_all_tabs(sophie: Desk, tmp_path: Path) -> None:
    first, second = sophie.page, sophie.context.new_page()
    end_in(tmp_path, seconds=100)
    sophie.go("/")
    second.goto(sophie.address + "/messages")
    for page in (first, second):
        expect(page.locator("#timeout")).to_be_visible()
    left = [int(page.locator("[data-timeout-clock]").inner_text()[-2:]) for page in (first, second)]
    assert abs(left[0] - left[1]) <= 2
    with first.expect_response("**/stay"):
        first.locator("#timeout").get_by_role("button", name="Stay logged in").click()
    for page in (first, second):
        expect(page.locator("#timeout")).to_be_hidden()
        expect(page.locator("[data-log-off]")).to_have_text("Log-off in 30 min")
    assert ends_at(tmp_path) > f"{datetime.now(UTC).replace(tzinfo=None) + timedelta(minutes=29):%Y-%m-%d %H:%M:%S}"
    second.goto(sophie.address + "/results")  # a later page in one tab moves the end in the other too
    sophie.context.clock.run_for(28 * 60 * 1000 + 30_000)
    for page in (first, second):
        expect(page.locator("#timeout")).to_be_visible()
    second.close()


def test_the_server_logs_off_and_what_was_typed_comes_back_in_its_form(sophie: Desk, tmp_path: Path) -> None:
    page = sophie.page
    sophie.go("/messages/new")
    page.get_by_label("Comments").fill("Half a sentence")
    end_in(tmp_path, seconds=-1)  # the server's end; the page believes in half an hour
    page.clock.run_for(11_000)  # the autosave is answered 401
    page.wait_for_url("**/login**")
    expect(page.get_by_text("What you wrote is kept as a draft.")).to_be_visible()
    expect(page.get_by_text("Half a sentence")).to_have_count(0)
    log_in(page, "sophie")
    page.wait_for_url("**/messages/new?draft=*")
    expect(page.get_by_label("Comments")).to_have_value("Half a sentence")


def test_at_the_end_an_idle_page_becomes_the_log_in_page(sophie: Desk, tmp_path: Path) -> None:
    page = sophie.page
    sophie.go("/my-info")
    end_in(tmp_path, seconds=-1)
    page.clock.run_for(31 * 60 * 1000)
    page.wait_for_url("**/login**")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.go_back()
    page.wait_for_load_state()
    expect(page.get_by_text("Penicillin")).to_have_count(0)


def test_polling_and_watching_do_not_put_the_end_off_and_a_draft_saved_while_typing_does(sophie: Desk, tmp_path: Path) -> None:
    page = sophie.page
    sophie.go("/messages/new")
    end_in(tmp_path, minutes=5)
    before = ends_at(tmp_path)
    poll = "fetch('/', {headers: {'X-Poll': '1'}}).then((answer) => answer.status)"
    assert page.evaluate(poll) == 200 and ends_at(tmp_path) == before
    page.clock.run_for(60_000)  # an open page asks for nothing by itself
    assert ends_at(tmp_path) == before
    with closing(sqlite3.connect(next(tmp_path.glob("*.sqlite3")), timeout=10)) as base:
        base.execute("UPDATE login_session SET seen_at = '2020-01-01 00:00:00.000000'")
        base.commit()
    page.get_by_label("Comments").fill("Still here")
    with page.expect_response("**/drafts/*"):
        page.clock.run_for(11_000)
    assert ends_at(tmp_path) > before


def test_without_javascript_the_header_says_the_time_of_day(desks: Desks) -> None:
    desk = desks("sophie", js=False)
    desk.go("/")
    assert re.fullmatch(r"Log-off at \d{1,2}:\d\d", shown(desk.page))
    expect(desk.page.locator("#timeout")).to_be_hidden()
    desk.page.get_by_role("button", name="Stay logged in").click()
    desk.page.wait_for_load_state()
    assert re.fullmatch(r"Log-off at \d{1,2}:\d\d", shown(desk.page))
