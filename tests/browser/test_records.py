"""A document imported in a browser, by a patient and by staff, with and without JavaScript, on a desktop and on a phone."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import problems
from tests.browser.conftest import Desks
from tests.browser.test_files import PHONE, file
from tests.samples import fhir, measured

pytestmark = [pytest.mark.browser, pytest.mark.once]
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
    assert problems(page) == []


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
    page.get_by_text("Show the numbers of Heart rate").click()
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


@pytest.mark.parametrize("how", [{}, PHONE, BARE], ids=["desktop", "phone", "without JavaScript"])
def test_a_patient_takes_the_record_along_and_sees_who_opened_it(own_desks: Desks, how: Any) -> None:
    sophie = own_desks("sophie", **how)
    sophie.go("/my-info")
    page = sophie.page
    page.get_by_role("link", name="Who opened it").click()
    expect(page.get_by_text("None yet")).to_be_visible()
    is_in_order(page, how)
    page.get_by_role("link", name="My Info").last.click()
    page.get_by_role("link", name="Take it along").click()
    is_in_order(page, how)
    for kind, ending in (("FHIR", "json"), ("C-CDA", "xml")):
        with page.expect_download() as saved:
            page.get_by_role("button", name=f"Download {kind}").click()
        assert re.fullmatch(rf"medical-record-[\d-]{{10}}\.{ending}", saved.value.suggested_filename)
        assert b"Penicillin" in Path(saved.value.path()).read_bytes()
    page.get_by_role("link", name="Open to print").click()
    expect(page.get_by_role("heading", name="Medical record")).to_be_visible()
    is_in_order(page, how)
    sophie.go("/my-info/readers")
    expect(page.get_by_text("The whole record was taken along as C-CDA")).to_be_visible()
    expect(page.get_by_text("You", exact=True)).to_have_count(2)
    is_in_order(page, how)


def test_whoever_keeps_records_prints_one_and_the_patient_reads_that(own_desks: Desks) -> None:
    records, sophie = own_desks("records"), own_desks("sophie", **PHONE)
    records.go("/staff/records")
    page = records.page
    page.get_by_label("Name (Last, First)").fill("Kwon, Sophie")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name=re.compile("Choose KWON, SOPHIE")).click()
    page.get_by_role("link", name="Copies of this record").click()
    is_in_order(page, {})
    page.get_by_role("link", name="Open to print").click()
    is_in_order(page, {})
    page.emulate_media(media="print")
    expect(page.get_by_role("button", name="Print", exact=True)).to_be_hidden()
    expect(page.get_by_text("Torn meniscus, left knee", exact=True)).to_be_visible()
    sophie.go("/my-info/readers")
    expect(sophie.page.get_by_text("The whole record, to print")).to_be_visible()
    expect(sophie.page.get_by_text("in charge of records").first).to_be_visible()
    is_in_order(sophie.page, PHONE)
