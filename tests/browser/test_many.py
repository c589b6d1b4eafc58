"""Many at once in a real browser: two people tick and close, one of them loses a row to the other, and Undo."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Desk, Desks
from tests.browser.test_journeys import write_message
from tests.browser.test_live import polls, writes_on
from tests.browser.test_what_must_follow import sent

pytestmark = [pytest.mark.browser, pytest.mark.once]


def tick(desk: Desk, *rows: int) -> list[str]:
    """Ticks these rows of the list; answers their keys."""
    found = []
    for row in rows:
        line = desk.page.locator("#message-rows tbody tr").nth(row)
        line.get_by_role("checkbox").check()
        found.append(str(line.get_attribute("id")).removeprefix("row-"))
    return found


def press(desk: Desk, label: str) -> None:
    with desk.page.expect_navigation():
        desk.page.locator("#many").get_by_role("button", name=label).click()


@pytest.mark.parametrize("js", [True, False])
def test_three_are_closed_but_one_that_a_colleague_was_faster_with_and_undo(own_desks: Desks, js: bool) -> None:
    nurse, colleague = own_desks("nurse", js=js), own_desks("frontdesk")
    nurse.go("/staff/")
    before = nurse.page.locator("#message-rows tbody tr").count()
    keys = tick(nurse, 1, 2, 3)
    assert nurse.page.url.endswith("/staff/"), "a tick opens nothing"
    colleague.go(f"/staff/messages/{keys[1]}")
    with colleague.page.expect_response(lambda r: r.url.endswith("/claim")):
        colleague.page.get_by_role("button", name="Claim").click()
    press(nurse, "Close")
    results = nurse.page.locator(".many-results")
    expect(results).to_contain_text("Closed: 2")
    expect(results).to_contain_text("Not done: 1")
    expect(results).to_contain_text("changed by somebody else meanwhile")
    assert nurse.page.locator("#message-rows tbody tr").count() == min(before, 25) - 2 or before == 25
    with nurse.page.expect_navigation():
        results.get_by_role("button", name="Undo").click()
    expect(nurse.page.locator(".many-results")).to_contain_text("Undone: 2")
    for key in keys:
        expect(nurse.page.locator(f"#row-{key}")).to_be_visible()


def test_all_are_ticked_by_one_and_handed_to_a_colleague(own_desks: Desks) -> None:
    nurse = own_desks("nurse")
    nurse.go("/staff/")
    nurse.page.get_by_role("checkbox", name="Select all").check()
    rows = nurse.page.locator("#message-rows tbody tr").count()
    press(nurse, "Hand over")
    with nurse.page.expect_navigation():
        nurse.page.get_by_role("button", name="FRONTDESK, FAY").click()
    done = re.search(r"Handed over: (\d+)", nurse.page.locator(".many-results").inner_text())
    assert done and 0 < int(done[1]) <= rows


def test_what_the_patient_wrote_on_since_it_was_ticked_is_not_closed(own: str, own_desks: Desks) -> None:
    """The row shows the news at once, but what was ticked is what one had seen."""
    keys = [sent(own_desks("sophie"), write_message, f"Question {n}") for n in range(2)]
    nurse = own_desks("nurse")
    nurse.page.clock.install()
    nurse.go("/staff/")
    for key in keys:
        nurse.page.locator(f"#row-{key}").get_by_role("checkbox").check()
    writes_on(own, keys[0])
    for _ in range(2):  # whatever is refreshed twice too
        writes_on(own, keys[0])
        polls(nurse.page)
    box = nurse.page.locator(f"#row-{keys[0]}").get_by_role("checkbox")
    expect(box).to_be_checked()
    press(nurse, "Close")
    results = nurse.page.locator(".many-results")
    expect(results).to_contain_text("Closed: 1")
    expect(results).to_contain_text("changed by somebody else meanwhile")
    expect(nurse.page.locator(f"#row-{keys[0]}")).to_be_visible()
