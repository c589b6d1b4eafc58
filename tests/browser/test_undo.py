"""Send with Undo, with author, colleague and patient at their screens at once; and the draft of an answer."""

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Desk, Desks
from tests.browser.test_journeys import write_message
from tests.browser.test_what_must_follow import sent

pytestmark = pytest.mark.browser


def answer(who: Desk, key: str, words: str) -> None:
    who.go(f"/staff/messages/{key}")
    who.page.get_by_role("link", name="Respond").click()
    who.page.get_by_label("Your reply").fill(words)
    with who.page.expect_response(lambda r: r.request.method == "POST" and "/replies" in r.url):
        who.page.get_by_role("button", name="Send", exact=True).click()
    expect(who.page.get_by_role("timer")).to_be_visible()


def test_colleagues_see_being_sent_the_patient_nothing_and_undo_gives_the_text_back(own_desks: Desks, ten_seconds: Any) -> None:
    nurse, colleague, sophie = (own_desks(who) for who in ("nurse", "frontdesk", "sophie"))
    key = sent(sophie, write_message, "May I run again?")
    answer(nurse, key, "Yes, but slowly")
    colleague.go(f"/staff/messages/{key}")
    expect(colleague.page.get_by_text("being sent", exact=True)).to_be_visible()
    expect(colleague.page.get_by_role("button", name="Undo")).to_have_count(0)
    sophie.go(f"/messages/{key}")
    expect(sophie.page.get_by_text("Yes, but slowly")).to_have_count(0)
    with nurse.page.expect_response(lambda r: r.url.endswith("/recall")):
        nurse.page.get_by_role("button", name="Undo").click()
    expect(nurse.page.get_by_label("Your reply")).to_have_value("Yes, but slowly")
    expect(nurse.page.get_by_text("Taken back", exact=False)).to_be_visible()
    colleague.go(f"/staff/messages/{key}")
    expect(colleague.page.get_by_text("Yes, but slowly")).to_have_count(0)


def test_the_seconds_are_counted_and_then_the_patient_has_it(own_desks: Desks, ten_seconds: Any) -> None:
    nurse, sophie = own_desks("nurse"), own_desks("sophie")
    key = sent(sophie, write_message, "May I swim again?")
    answer(nurse, key, "Swim as you like")
    timer = nurse.page.get_by_role("timer")
    first = int(re.search(r"in (\d+) s", timer.inner_text())[1])  # type: ignore[index]
    expect(timer).not_to_contain_text(f"in {first} s")
    nurse.page.get_by_role("button", name="Undo").focus()
    expect(timer).to_have_count(0, timeout=12_000)
    expect(nurse.page.get_by_role("button", name="Undo")).to_have_count(0)
    expect(nurse.page.locator("#pane h2")).to_be_focused()
    expect(nurse.page.get_by_text("being sent")).to_have_count(0)
    sophie.go(f"/messages/{key}")
    expect(sophie.page.get_by_text("Swim as you like")).to_be_visible()


def test_without_javascript_undo_is_a_plain_button(own_desks: Desks, ten_seconds: Any) -> None:
    nurse, sophie = own_desks("nurse", js=False), own_desks("sophie")
    key = sent(sophie, write_message, "May I climb again?")
    answer(nurse, key, "Better not")
    nurse.page.get_by_role("button", name="Undo").click()
    expect(nurse.page.get_by_label("Your reply")).to_have_value("Better not")
    sophie.go(f"/messages/{key}")
    expect(sophie.page.get_by_text("Better not")).to_have_count(0)


def test_an_answer_is_kept_while_it_is_written(own_desks: Desks) -> None:
    nurse, sophie = own_desks("nurse"), own_desks("sophie")
    key = sent(sophie, write_message, "May I fly?")
    page = nurse.context.new_page()
    page.clock.install()
    page.goto(f"{nurse.address}/staff/messages/{key}")
    page.get_by_role("link", name="Respond").click()
    page.get_by_label("Your reply").fill("Half a")
    page.clock.run_for(10_500)
    expect(page.locator("[data-draft-said]")).to_contain_text("Draft saved at")
    expect(page).to_have_url(re.compile(r"/reply\?draft=[\w-]{22}$"))
    page.reload()
    expect(page.get_by_label("Your reply")).to_have_value("Half a")
    page.close()
