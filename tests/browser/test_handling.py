"""Who handles a message, with colleagues and the patient at their screens at once: two who press together, Hand over, Transfer
while a colleague writes, Close as duplicate."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, Response, Route, expect

from tests.browser.conftest import Desk, Desks
from tests.browser.test_journeys import request_appointment, write_message
from tests.browser.test_what_must_follow import sees, sent

pytestmark = pytest.mark.browser
WITH_AND_WITHOUT = pytest.mark.parametrize("js", [True, False])
NURSE, FAY = "NURSE, NINA", "FRONTDESK, FAY"


def press(page: Page, name: str, path: str) -> Response:
    """Presses a button of the open message and waits for the answer to what it sends."""
    with page.expect_response(lambda r: r.request.method == "POST" and r.url.partition("?")[0].endswith(path)) as answer:
        page.get_by_role("button", name=name, exact=True).click()
    return answer.value


def press_at_once(one: Page, other: Page, name: str, path: str) -> tuple[list[Page], list[Page]]:
    """Both press; neither request leaves before both are made. Answers who won and who lost."""
    address = re.compile(rf"/{path}(\?|$)")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    for page in (one, other):
        page.route(address, hold)
    with one.expect_response(address) as first, other.expect_response(address) as second:
        for page in (one, other):
            page.get_by_role("button", name=name, exact=True).click(no_wait_after=True)
        while len(held) < 2:
            one.wait_for_timeout(10)
        for route in held:
            route.continue_()
    for page in (one, other):
        page.unroute(address)
    answered = ((one, first.value.status), (other, second.value.status))
    return [page for page, status in answered if status < 400], [page for page, status in answered if status == 409]


def choose(who: Desk, key: str, name: str) -> Page:
    """Opens the message and, from its toolbar, the pane where one chooses."""
    who.go(f"/staff/messages/{key}")
    who.page.get_by_role("link", name=name, exact=True).click()
    expect(who.page.get_by_role("article", name=re.compile(name, re.IGNORECASE))).to_be_visible()
    return who.page


def history(who: Desk, key: str) -> list[str]:
    """The lines of the history of a message: when · what · who · more."""
    who.go(f"/staff/messages/{key}")
    who.page.get_by_text("History", exact=True).click()
    return who.page.locator("details li").all_inner_texts()


def happened(lines: list[str], what: str) -> str:
    """The one line that says so, and when."""
    found = [line for line in lines if f"· {what} ·" in line]
    assert len(found) == 1 and re.match(r".*\d:\d\d", found[0].partition("·")[0]), lines
    return found[0]


@WITH_AND_WITHOUT
def test_of_two_who_press_receive_and_then_claim_at_once_one_wins_and_the_other_reads_who(own_desks: Desks, js: bool) -> None:
    sophie, nurse, fay = own_desks("sophie"), own_desks("nurse", js=js), own_desks("frontdesk", js=js)
    names = {nurse.page: NURSE, fay.page: FAY}
    key = sent(sophie, write_message, "Who takes me?")
    for member in (nurse, fay):
        member.go(f"/staff/messages/{key}")
    for name, path, mine in (("Receive", "receipts", "Received by {}"), ("Claim", "claim", "Claimed by you until")):
        [winner], [loser] = press_at_once(nurse.page, fay.page, name, path)
        expect(winner.get_by_text(mine.format(names[winner])).first).to_be_visible()
        expect(loser.get_by_role("alert").first).to_contain_text(f"Not done: {names[winner]} was faster")
        for page in (winner, loser):
            expect(page.get_by_role("button", name=name, exact=True)).to_have_count(0)
    expect(loser.get_by_text(f"Claimed by {names[winner]}", exact=True)).to_be_visible()
    assert names[winner] in happened(history(fay, key), "claimed")


@WITH_AND_WITHOUT
def test_a_message_handed_over_is_claimed_by_the_colleague_who_is_told(own_desks: Desks, js: bool) -> None:
    sophie, nurse, fay = own_desks("sophie"), own_desks("nurse", js=js), own_desks("frontdesk", js=js)
    key = sent(sophie, write_message, "For whoever knows")
    page = choose(nurse, key, "Hand over")
    expect(page.get_by_role("button", name="DOCTOR, DAN")).to_have_count(0)
    assert press(page, FAY, "/colleagues").status < 400
    expect(page.get_by_text("Handed over.", exact=True)).to_be_visible()
    expect(page.get_by_text(f"Claimed by {FAY}", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Hand over")).to_have_count(0)
    fay.go("/staff/")
    expect(fay.page.get_by_role("link", name="Mine (1)")).to_be_visible()
    expect(fay.page.locator(f"#message-rows tr:has(a[href*='{key}']) .claim")).to_contain_text("Mine")
    line = happened(history(fay, key), "handed over")
    assert NURSE in line and FAY in line
    expect(fay.page.get_by_text("Claimed by you until")).to_be_visible()
    expect(fay.page.get_by_role("button", name="Release")).to_be_visible()


def transfer(who: Desk, key: str, to: str, reason: str) -> None:
    page = choose(who, key, "Transfer")
    page.get_by_label("To", exact=True).select_option(label=to)
    page.get_by_label("Reason").fill(reason)
    assert press(page, "Transfer", "/transfers").status < 400
    expect(page.get_by_text("Transferred.", exact=True)).to_be_visible()


def tells_the_patient_nothing(sophie: Desk, key: str, words: str) -> None:
    for path in ("/", "/messages", "/messages/sent", f"/messages/{key}", f"/messages/{key}/print"):
        assert sophie.go(path).status == 200
        assert words not in sophie.page.content()


@WITH_AND_WITHOUT
def test_what_a_colleague_writes_while_it_is_transferred_is_refused_and_stays_to_copy(own_desks: Desks, js: bool) -> None:
    sophie, nurse, fay, it = (own_desks(who, js=js or who == "sophie") for who in ("sophie", "nurse", "frontdesk", "it"))
    key = sent(sophie, write_message, "The portal prints an empty page")
    nurse.go(f"/staff/messages/{key}/reply")
    nurse.page.get_by_label("Your reply").fill("Half an answer, not to be lost")
    transfer(fay, key, "IT Manager (Others)", "Plover: not a clinical question")
    assert press(nurse.page, "Send", "/replies").status == 404
    expect(nurse.page.get_by_text(re.compile("This page is not here|This message is not yours any more"))).to_be_visible()
    copied = nurse.page.get_by_label(re.compile("^What you had written|^What you were writing"))
    expect(copied).to_have_value("Half an answer, not to be lost")
    assert not sees(nurse, key) and not sees(fay, key) and sees(it, key)
    line = happened(history(it, key), "transferred")
    assert FAY in line and "IT Manager" in line and "Plover: not a clinical question" in line
    expect(it.page.get_by_text(f"Transferred to IT Manager by {FAY}")).to_be_visible()
    expect(it.page.get_by_text("Half an answer")).to_have_count(0)
    tells_the_patient_nothing(sophie, key, "Plover")
    tells_the_patient_nothing(sophie, key, "Half an answer")


def test_a_page_that_only_waits_says_by_itself_that_the_message_went_away(own_desks: Desks) -> None:
    sophie, nurse, fay = own_desks("sophie"), own_desks("nurse"), own_desks("frontdesk")
    key = sent(sophie, write_message, "Not for you")
    page = nurse.context.new_page()
    page.clock.install()
    page.goto(f"{nurse.address}/staff/messages/{key}/reply")
    page.get_by_label("Your reply").fill("Half an answer, not to be lost")
    transfer(fay, key, "IT Manager (Others)", "Plover: not a clinical question")
    with page.expect_response("**/presence*") as asked:
        page.clock.run_for(10_500)
    assert asked.value.status == 404
    expect(page.get_by_role("alert").first).to_contain_text("This message is not yours any more")
    expect(page.get_by_label("What you were writing, to copy")).to_have_value("Half an answer, not to be lost")
    expect(page.get_by_text("Plover")).to_have_count(0)
    page.close()


@WITH_AND_WITHOUT
def test_a_duplicate_and_the_one_that_goes_on_lead_to_each_other(own_desks: Desks, js: bool) -> None:
    sophie, sam, fay = own_desks("sophie"), own_desks("scheduler", js=js), own_desks("frontdesk", js=js)
    first, second = (sent(sophie, request_appointment, words) for words in ("My left knee", "My left knee, again"))
    page = choose(sam, second, "Duplicate")
    page.locator(f"input[type=radio][value='{first}']").check()
    assert press(page, "Close as duplicate", "/duplicates").status < 400
    expect(page.get_by_text("Closed as a duplicate.", exact=True)).to_be_visible()
    line = happened(history(fay, second), "closed as a duplicate")
    reference = re.search(r"\d{3}-\d{3}-\d{3}", line)
    assert "SCHEDULER, SAM" in line and reference
    for here, there, words in ((second, first, "Closed as a duplicate of"), (first, second, "A duplicate of this one:")):
        fay.go(f"/staff/messages/{here}")
        note = fay.page.locator(".letter-note", has_text=words)
        note.get_by_role("link").click()
        fay.page.wait_for_url(f"**/staff/messages/{there}*")
    assert sophie.go(f"/messages/{second}").status == 200
    sophie.page.locator(".notice", has_text="goes on in another one of yours").get_by_role("link").click()
    sophie.page.wait_for_url(f"**/messages/{first}")
    expect(sophie.page.get_by_text(f"Reference number {reference[0]}")).to_be_visible()


def test_who_chooses_while_a_colleague_claims_is_shown_who(own_desks: Desks) -> None:
    sophie, nurse, fay = own_desks("sophie"), own_desks("nurse"), own_desks("frontdesk")
    key = sent(sophie, write_message, "Whose am I?")
    choices: tuple[tuple[str, str, str, Any], ...] = (
        ("Hand over", FAY, "/colleagues", lambda page: None),
        ("Transfer", "Transfer", "/transfers", choose_it),
        ("Duplicate", "Close as duplicate", "/duplicates", lambda page: page.get_by_role("radio").first.check()),
    )
    for link, button, path, fill in choices:
        page = choose(nurse, key, link)
        fay.go(f"/staff/messages/{key}")
        press(fay.page, "Claim", "/claim")
        fill(page)
        assert press(page, button, path).status == 409
        expect(page.get_by_role("alert").first).to_contain_text(f"Not done: {FAY} was faster")
        press(fay.page, "Release", "/claim-release")


def choose_it(page: Page) -> None:
    page.get_by_label("To", exact=True).select_option(label="IT Manager (Others)")
    page.get_by_label("Reason").fill("Not ours")
