"""A receptionist's morning: 80 messages, 40 answered by a canned reply, 20 closed, 20 handed over. Every key and click counts."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Locator, expect

from practice import conversations
from practice.communicators import Communicator
from practice.db import Actor, db, new_key
from practice.people import Kind, Person
from practice.settings import RequestType
from practice.threads import Thread, ThreadState
from tests.browser.conftest import APPS, Desk, Desks

pytestmark = [pytest.mark.browser, pytest.mark.once]

TOLD = Path(__file__).resolve().parents[2] / "docs" / "morning.md"
MOST = 3  # for one message


@dataclass
class Hand:
    """Whoever works at this desk: counts keys (a chord is one) and clicks."""

    desk: Desk
    keys: int = 0
    clicks: int = 0
    each: list[int] = field(default_factory=list)  # by message

    @property
    def all(self) -> int:
        return self.keys + self.clicks

    def press(self, key: str) -> None:
        self.desk.page.keyboard.press(key)
        self.keys += 1

    def click(self, what: Locator) -> None:
        what.click()
        self.clicks += 1


def mornings_messages(address: str) -> list[str]:
    """80 messages to the clinicians, from four patients, by their keys: as they come in, whoever writes them."""
    with APPS[address].app_context():
        people = db.session.execute(sa.select(Person.id, Person.last_name).where(Person.kind == Kind.PATIENT).limit(6)).all()[2:]
        to = db.session.scalars(sa.select(Communicator.key).where(Communicator.title == "Clinicians")).one()
        db.session.remove()
        keys = []
        for number in range(80):
            person = people[number % 4]
            by = Actor(person.id, person.last_name)
            said = {"title": f"Question {number}", "body": "Hello", "form_key": new_key()}
            keys.append(conversations.send(person.id, kind=RequestType.OTHERS, to=to, **said, by=by).thread_key)
        return keys


def states(address: str, keys: list[str]) -> dict[str, Any]:
    with APPS[address].app_context():
        found = {row.key: row for row in db.session.scalars(sa.select(Thread).where(Thread.key.in_(keys)))}
        db.session.remove()
    return found


def begin(hand: Hand) -> None:
    """The new ones: Unread Only."""
    hand.desk.go("/staff/")
    page = hand.desk.page
    hand.click(page.get_by_label("Unread Only"))
    with page.expect_response(lambda r: r.url.endswith("/searches")):
        hand.click(page.get_by_role("button", name="Search"))
    expect(page).to_have_url(re.compile("filter="))
    expect(page.locator(".htmx-request, .htmx-swapping, .htmx-settling")).to_have_count(0)


def is_open(hand: Hand) -> Locator:
    return hand.desk.page.locator("#pane h2")


def opened(hand: Hand, act: Any) -> None:
    with hand.desk.page.expect_response(lambda r: "/presence" in r.url):
        act()
    expect(is_open(hand)).to_be_focused()


def sends(hand: Hand, act: Any) -> None:
    with hand.desk.page.expect_navigation():
        act()
    expect(hand.desk.page.get_by_role("timer")).to_be_visible()


def told(hand: Hand, words: str) -> None:
    expect(hand.desk.page.locator(".many-results")).to_contain_text(words)


def by_keyboard(hand: Hand) -> None:
    page = hand.desk.page
    for number in range(40):
        before = hand.all
        opened(hand, lambda: hand.press("j" if number else "o"))  # noqa: B023
        hand.press("1")
        expect(page.get_by_label("Your reply")).not_to_have_value("")
        expect(page.locator("form[data-writes] :focus")).to_have_count(1)
        sends(hand, lambda: hand.press("Control+Enter"))
        hand.each.append(hand.all - before)
    for did in ("close", "hand over"):
        before = hand.all
        for _ in range(20):
            opened(hand, lambda: hand.press("j"))
            hand.press("x")
        if did == "close":
            with page.expect_navigation():
                hand.press("e")
            told(hand, "Closed: 20")
            opened(hand, lambda: hand.press("o"))
        else:
            hand_over(hand)
        hand.each += [-(-(hand.all - before) // 20)] * 20


def by_mouse(hand: Hand) -> None:
    page = hand.desk.page
    for _ in range(40):
        before = hand.all
        is_first = not is_open(hand).count()
        next_one = page.locator("a.item-title").first if is_first else page.get_by_role("link", name="Next", exact=True)
        opened(hand, lambda: hand.click(next_one))  # noqa: B023
        hand.click(page.locator("#pane .picks a.btn").first)
        expect(page.get_by_label("Your reply")).not_to_have_value("")
        sends(hand, lambda: hand.click(page.get_by_role("button", name="Send", exact=True)))
        hand.each.append(hand.all - before)
    for did in ("close", "hand over"):
        before = hand.all
        for row in range(20):
            hand.click(page.locator("#message-rows .pick input").nth(row + 1))
        if did == "close":
            with page.expect_navigation():
                hand.click(page.locator("#many").get_by_role("button", name="Close"))
            told(hand, "Closed: 20")
        else:
            hand_over(hand)
        hand.each += [-(-(hand.all - before) // 20)] * 20


def hand_over(hand: Hand) -> None:
    page = hand.desk.page
    with page.expect_navigation():
        hand.click(page.locator("#many").get_by_role("button", name="Hand over"))
    with page.expect_navigation():
        hand.click(page.get_by_role("button", name="FRONTDESK, FAY"))
    told(hand, "Handed over: 20")


@pytest.mark.parametrize(("how", "walk"), [("keyboard", by_keyboard), ("mouse", by_mouse)])
def test_a_morning_takes_at_most_three_keys_or_clicks_a_message(
    own_desks: Desks, own: str, ten_seconds: Any, how: str, walk: Any
) -> None:
    keys = mornings_messages(own)
    hand = Hand(own_desks("nurse"))
    begin(hand)
    walk(hand)
    assert len(hand.each) == 80 and max(hand.each) <= MOST, hand.each
    found = states(own, keys)
    assert sum(row.state == ThreadState.ANSWERED for row in found.values()) >= 38
    print(f"{how}: {hand.keys} keys, {hand.clicks} clicks")
    said = re.search(rf"\| {how} \| (\d+) \| (\d+) \|", TOLD.read_text())
    assert said, f"{TOLD.name} does not tell of the {how}"
    assert (int(said[1]), int(said[2])) == (hand.keys, hand.clicks), f"{TOLD.name} tells other numbers"
