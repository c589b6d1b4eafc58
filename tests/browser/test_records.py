"""A document imported in a browser, by a patient and by staff, with and without JavaScript, on a desktop and on a phone."""

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Desks
from tests.browser.test_files import PHONE, file
from tests.samples import fhir, measured

pytestmark = pytest.mark.browser
PULSES = [
    measured("Heart rate", number, "/min", on, referenceRange=[{"low": {"value": 60}, "high": {"value": 100}}])
    for number, on in ((71, "2024-01-05"), (104, "2025-03-05"), (80, "2026-06-05"))
]
NOT_SHOWN = {"resourceType": "Device", "id": "d"}


BARE = {"js": False}


def is_in_order(page: Page, how: Any) -> None:
    """axe finds nothing, and nothing is wider than the screen; without JavaScript nothing of the page can be asked."""
    if how is BARE:
        return
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]  # type: ignore[index]


def look_at(page: Page, content: bytes) -> None:
    page.get_by_label("File", exact=True).set_input_files(file("summary.json", content))
    page.get_by_role("button", name="Look at it").click()


@pytest.mark.parametrize("how", [{}, PHONE, BARE], ids=["desktop", "phone", "without JavaScript"])
def test_a_patient_imports_a_document_and_sees_it_over_time(own_desks: Desks, how: Any) -> None:
    sophie = own_desks("sophie", **how)
    sophie.go("/my-info")
    page = sophie.page
    page.get_by_role("link", name="Documents").click()
    is_in_order(page, how)
    look_at(page, b"<html>")
    expect(page.locator(".error")).to_contain_text("This is a web page")
    is_in_order(page, how)
    look_at(page, fhir(*PULSES, NOT_SHOWN, first="JIHAE"))
    expect(page.get_by_text("It cannot be imported here.")).to_be_visible()
    is_in_order(page, how)
    page.get_by_role("button", name="Discard").click()
    look_at(page, fhir(*PULSES, NOT_SHOWN))
    expect(page.get_by_text("Device (1)")).to_be_visible()
    page.get_by_text("New in Vital Signs").click()
    expect(page.get_by_text("Heart rate, 104 /min, March 5, 2025")).to_be_visible()
    is_in_order(page, how)
    page.get_by_role("button", name="Import 6 values").click()
    expect(page.get_by_role("status")).to_contain_text("Imported.")
    is_in_order(page, how)
    with page.expect_download() as saved:
        page.get_by_role("link", name="summary.json").click()
    assert saved.value.suggested_filename == "summary.json"
    sophie.go("/my-info")
    expect(page.get_by_text("brought by you").first).to_be_visible()
    is_in_order(page, how)
    page.get_by_role("link", name="Vital Signs over time").click()
    expect(page.get_by_role("img", name="Plot: Heart rate, /min")).to_be_visible()
    page.get_by_text("Show the numbers").click()
    expect(page.get_by_role("cell", name="104", exact=True)).to_be_visible()
    is_in_order(page, how)


@pytest.mark.parametrize("how", [PHONE, BARE], ids=["phone", "without JavaScript"])
def test_staff_import_a_document_with_a_reason(own_desks: Desks, how: Any) -> None:
    records = own_desks("records", **how)
    records.go("/staff/messages/new")
    page = records.page
    page.get_by_role("link", name="Import a document into a record").click()
    page.get_by_label("Name (Last, First)").fill("Kwon, Sophie")
    page.get_by_role("button", name="Search").click()
    is_in_order(page, how)
    page.get_by_role("link", name=re.compile("Choose KWON, SOPHIE")).click()
    is_in_order(page, how)
    look_at(page, fhir(*PULSES, last="Moreau"))
    expect(page.get_by_role("heading", name="This document may be of somebody else")).to_be_visible()
    is_in_order(page, how)
    page.get_by_role("button", name="Import 6 values").click()
    expect(page.locator(".error")).to_contain_text("Say why this document is of this patient")
    page.get_by_label("Reason").fill("Her maiden name")
    page.get_by_role("button", name="Import 6 values").click()
    expect(page.get_by_role("status")).to_contain_text("Imported.")
    is_in_order(page, how)
