"""Markup that would run, load or send something, written by a patient and read by staff and admin in a real browser, and back."""

import re

import pytest
from playwright.sync_api import Request

from tests.browser.conftest import Desk, Desks

pytestmark = [pytest.mark.browser, pytest.mark.once]

MARKUP = (
    "</textarea></div>\"'>"
    '<img src="/ran-img" onerror="window.ran=1"><script>window.ran=1</script><svg onload="window.ran=1"></svg>'
    '<p hx-get="/ran-get" hx-trigger="load">a</p><p data-hx-get="/ran-data" data-hx-trigger="load">b</p>'
    '<p hx-on:htmx:load="window.ran=1" hx-trigger="load">c</p><p id="alerts" hx-swap-oob="true">d</p>'
    '<form action="/ran-form" hx-post="/ran-post" hx-trigger="load"></form><iframe src="/ran-frame"></iframe>'
    '<meta name="htmx-config" content=\'{"selfRequestsOnly":false}\'><a href="javascript:window.ran=1">e</a>'
)


def watched(desk: Desk) -> list[str]:
    """What the page asks for that markup of ours never asks for."""
    found: list[str] = []

    def note(request: Request) -> None:
        if "ran" in request.url.rpartition("/")[2] or not request.url.startswith(desk.address):
            found.append(request.url)

    desk.page.on("request", note)
    return found


@pytest.mark.parametrize("js", [True, False], ids=["with JavaScript", "without"])
def test_s4_a20_a21_markup_asks_for_nothing_and_runs_nothing(own_desks: Desks, js: bool) -> None:
    patient, nurse, admin = own_desks("sophie", js=js), own_desks("nurse", js=js), own_desks("admin", js=js)
    asked = [watched(desk) for desk in (patient, nurse, admin)]
    patient.go("/messages/new")
    patient.page.get_by_label("To").select_option(label="Clinicians")
    patient.page.get_by_label("Title").fill(MARKUP[:110])
    patient.page.get_by_label("Comments").fill(MARKUP)
    patient.page.get_by_role("button", name="Send", exact=True).click()
    patient.page.wait_for_url(re.compile(r"/messages/[\w-]{22}"))
    key = patient.page.url.rpartition("/")[2].partition("?")[0]
    nurse.go(f"/staff/messages/{key}/reply")
    nurse.page.get_by_label("Your reply").fill(MARKUP)
    nurse.page.get_by_role("button", name="Send", exact=True).click()
    nurse.page.wait_for_load_state()
    for desk, pages in (
        (patient, ("/", "/messages", "/messages/sent", f"/messages/{key}", f"/messages/{key}/print")),
        (nurse, ("/staff/", "/staff/sent", f"/staff/messages/{key}")),
        (admin, ("/admin/audit", "/admin/unrouted")),
    ):
        for page in pages:
            desk.go(page)
            desk.page.wait_for_timeout(300)  # htmx acts on what is loaded
            assert desk.page.evaluate("window.ran") is None and desk.errors == []
    assert asked == [[], [], []]
    patient.go(f"/messages/{key}")
    assert MARKUP in patient.page.locator("main").inner_text()
