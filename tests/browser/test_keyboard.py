"""The five steps of setting up a communicator by keyboard alone, without JavaScript, on a narrow screen."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Desks

pytestmark = [pytest.mark.browser, pytest.mark.once]

FOCUSED = """() => {
  const e = document.activeElement, label = e.labels && e.labels[0];
  return [((label || e).innerText || e.value || "").trim().replace(/\\s+/g, " "), e.matches(":focus-visible"), e.tagName];
}"""


def tab_to(page: Page, name: str, *, tag: str = "", most: int = 120) -> None:
    """Presses Tab until what has this name has the focus, and shows it."""
    for _ in range(most):
        page.keyboard.press("Tab")
        said, is_shown, kind = page.evaluate(FOCUSED)
        if re.match(name, said) and tag in ("", kind):
            assert is_shown, f"{said} has the focus and does not show it"
            return
    raise AssertionError(f"{name} is not reached by {most} tabs at {page.url}")


def press(page: Page, name: str, *, tag: str = "") -> None:
    tab_to(page, name, tag=tag)
    enter(page)


def enter(page: Page) -> None:
    with page.expect_navigation():
        page.keyboard.press("Enter")


def test_the_five_steps_by_keyboard_without_javascript_at_390_px(own_desks: Desks) -> None:
    desk = own_desks("admin", js=False, viewport={"width": 390, "height": 844}, has_touch=True)
    page = desk.page
    desk.go("/admin/communicators")
    press(page, "New$")
    tab_to(page, "Type of Request", tag="SELECT")  # 1. the type
    page.keyboard.type("Result")
    tab_to(page, "The title of communicator", tag="INPUT")  # 2. the title
    page.keyboard.type("Second media desk")
    press(page, "Add$")  # 3. the staff
    tab_to(page, "ID or name")
    page.keyboard.type("doc")
    enter(page)
    tab_to(page, "Select DOCTOR, DAN")
    page.keyboard.press("Space")
    tab_to(page, "ID or name")
    page.keyboard.press("Control+A")
    page.keyboard.type("rivera")
    enter(page)
    expect(page.get_by_text("DOCTOR, DAN").first).to_be_visible()  # still ticked, though the search shows others
    tab_to(page, "Select RIVERA, JON")
    page.keyboard.press("Space")
    press(page, "Add$")  # 4. chosen
    expect(page.get_by_label("The title of communicator").last).to_have_value("Second media desk")
    expect(page.get_by_text("doctor - DOCTOR, DAN [Radiologist]").first).to_be_visible()
    expect(page.get_by_text("reader - RIVERA, JON [Radiologist]").first).to_be_visible()
    press(page, "Save$", tag="BUTTON")  # 5. saved
    expect(page.get_by_text("Saved.", exact=True)).to_be_visible()
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width <= 0
    desk.go("/admin/communicators")
    row = page.get_by_role("row", name=re.compile("Second media desk"))
    expect(row).to_contain_text("DOCTOR, DAN / RIVERA, JON")
    expect(row).to_contain_text("Result")
