"""A canned reply picked, changed and sent; another inserted into what is written; with and without JavaScript."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.test_journeys import write_message

pytestmark = [pytest.mark.browser, pytest.mark.once]


def posted(page, path):
    return page.expect_response(lambda answer: answer.request.method == "POST" and answer.url.partition("?")[0].endswith(path))


@pytest.mark.parametrize("js", [True, False])
def test_a_canned_reply_is_picked_changed_and_sent(own_desks, js):
    sophie, nurse = own_desks("sophie"), own_desks("nurse", js=js)
    write_message(sophie, "Please refill my inhaler")
    expect(sophie.page.get_by_text("Please refill my inhaler").first).to_be_visible()
    page = nurse.page
    nurse.go("/staff/")
    page.get_by_role("link", name="A question of mine").first.click()
    page.get_by_role("link", name="Prescription is ready").click()
    reply = page.get_by_label("Your reply")
    said = "Dear SOPHIE KWON,\n\nyour prescription is at the front desk.\n\nNINA NURSE"
    expect(reply).to_have_value(said)
    if js:
        expect(reply).to_be_focused()
        assert "canned" not in page.url
    key = page.locator("form.writer input[name=key]").input_value()
    reply.fill("Good morning!")
    page.get_by_label("Canned reply").select_option("We are looking into it")
    with posted(page, "/reply") as inserted:
        page.get_by_role("button", name="Insert").click()
    assert ("hx-request" in inserted.value.request.headers) == js, "with a script the pane alone is swapped"
    expect(reply).to_have_value(re.compile(r"^Good morning!\n\nDear SOPHIE KWON,\n\nwe are looking"))
    assert page.locator("form.writer input[name=key]").input_value() == key
    reply.fill("Dear SOPHIE KWON, it is ready on {date}.")
    with posted(page, "/replies"):
        page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("Not sent: write what is meant in place of {date}").first).to_be_visible()
    expect(reply).to_have_value("Dear SOPHIE KWON, it is ready on {date}.")
    reply.fill("Dear SOPHIE KWON, it is ready on Friday.")
    with posted(page, "/replies"):
        page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("it is ready on Friday").first).to_be_visible()


def test_insert_right_after_typing_meets_no_draft_of_its_own(own_desks):
    """The autosave and Insert go off together: nobody is asked which of two versions is meant."""
    sophie, nurse = own_desks("sophie"), own_desks("nurse")
    write_message(sophie, "Please refill my inhaler")
    expect(sophie.page.get_by_text("Please refill my inhaler").first).to_be_visible()
    page = nurse.page
    nurse.go("/staff/")
    page.get_by_role("link", name="A question of mine").first.click()
    page.get_by_role("link", name="Respond", exact=True).click()
    reply = page.get_by_label("Your reply")
    reply.press_sequentially("Begun")
    with page.expect_response(lambda answer: "/staff/drafts/" in answer.url):
        page.get_by_role("button", name="Keep as draft").click()
    for n in range(2):
        reply.press_sequentially(f" and {n}")
        page.get_by_label("Canned reply").select_option("Prescription is ready")
        with posted(page, "/reply"):
            page.get_by_role("button", name="Insert").click()
        expect(reply).to_be_focused()
    with page.expect_response(lambda answer: "/staff/drafts/" in answer.url) as saved:
        page.get_by_role("button", name="Keep as draft").click()
    assert saved.value.status == 200
    expect(page.get_by_text("A newer version of this draft")).to_have_count(0)
    assert reply.input_value().count("your prescription is at the front desk") == 2
