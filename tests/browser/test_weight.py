"""What goes over the wire: a new visitor's first page with everything, and every later page."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from practice import demo
from practice.db import new_key
from tests.browser.conftest import Desk

pytestmark = [pytest.mark.browser, pytest.mark.once]

FIRST, LATER = 100_000, 15_000  # bytes with headers, as Chromium counts them
PAGES = (
    "/",
    "/messages",
    "/messages/sent",
    "/messages/drafts",
    "/messages/new",
    "/appointments",
    "/appointments/new",
    "/results",
    "/results/new",
    "/my-info",
    "/account",
    "/nowhere",
)


class Scales:
    """All bytes that a page's requests have brought since the last look."""

    def __init__(self, page: Page) -> None:
        self.bytes = 0
        watch = page.context.new_cdp_session(page)
        watch.send("Network.enable")
        watch.on("Network.loadingFinished", lambda it: self.add(it["encodedDataLength"]))
        watch.on("Network.requestWillBeSent", lambda it: self.add(it.get("redirectResponse", {}).get("encodedDataLength", 0)))

    def add(self, size: float) -> None:
        self.bytes += int(size)

    def read(self) -> int:
        read, self.bytes = self.bytes, 0
        return read


@pytest.fixture
def full(own: str, tmp_path: Path) -> str:
    """The address of a practice in which Sophie has more than a page of answers, with the longest titles."""
    with closing(sqlite3.connect(next(tmp_path.glob("*.sqlite3")), timeout=10)) as base:
        base.row_factory = sqlite3.Row
        sophie = base.execute("SELECT id FROM person WHERE email = 'sophie@demo.example'").fetchone()[0]
        found = base.execute(
            "SELECT * FROM thread WHERE patient_id = ? AND last_staff_message_at IS NOT NULL AND type = 'Others'", [sophie]
        )
        thread = dict(found.fetchone())
        messages = [dict(row) for row in base.execute("SELECT * FROM message WHERE thread_id = ?", [thread["id"]])]
        for n in range(30):
            number = _insert(
                base, "thread", thread, title=f"{n} Where do I find the report of my last examination? ".ljust(120, "x")
            )
            for message in messages:
                _insert(base, "message", message, thread_id=number, form_key=new_key())
        base.commit()
    return own


def _insert(base: sqlite3.Connection, table: str, row: dict[str, object], **other: object) -> int:
    values = {name: value for name, value in (row | other | {"key": new_key()}).items() if name != "id"}
    marks = ", ".join("?" * len(values))
    return int(base.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", list(values.values())).lastrowid or 0)


@pytest.fixture
def desk(chromium: Browser, full: str) -> Iterator[Desk]:
    with chromium.new_context(viewport={"width": 390, "height": 844}) as context:
        yield Desk(context, full)


def test_no_page_weighs_more_than_it_may(desk: Desk) -> None:
    page = desk.page
    scales = Scales(page)
    desk.go("/login")
    page.wait_for_load_state("networkidle")
    log_in = scales.read()
    page.get_by_label("E-mail").fill("sophie@demo.example")
    page.get_by_label("Password").fill(demo.PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(lambda url: "/login" not in url)
    page.wait_for_load_state("networkidle")
    weights = {"log-in page": log_in, "Home after it": scales.read()}
    assert sum(weights.values()) > 30_000, f"not everything was weighed: {weights}"
    later = {}
    for path in PAGES:
        assert desk.go(path).status == (404 if path == "/nowhere" else 200)
        page.wait_for_load_state("networkidle")
        later[path] = scales.read()
    desk.go("/messages")
    assert page.locator(".list > li").count() == 25
    scales.read()
    page.locator(".list a.item-title").first.click()
    page.wait_for_url("**/messages/*")
    page.wait_for_load_state("networkidle")
    later["a conversation beside the list, by htmx"] = scales.read()
    page.reload()
    page.wait_for_load_state("networkidle")
    later["a conversation beside the list"] = scales.read()
    print(weights, later)
    assert sum(weights.values()) <= FIRST, weights
    assert {name: weight for name, weight in later.items() if weight > LATER} == {}, later
    assert min(later.values()) > 2_000, f"not everything was weighed: {later}"
