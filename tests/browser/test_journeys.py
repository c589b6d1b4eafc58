"""The whole job of the product, walked by one and the same body with JavaScript and without."""

import re
import uuid
from datetime import date, timedelta

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

IN_CHARGE = {
    "Appointment": {"scheduler", "frontdesk"},
    "Result": {"media"},
    "Others": {"nurse", "frontdesk"},
    "Amendment": {"records"},
}
STAFF = ("scheduler", "media", "nurse", "it", "records", "frontdesk", "doctor")


def submit(page) -> None:
    """The form, and then what it says, once more."""
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", name="Check and send")).to_be_visible()
    page.get_by_role("button", name="Submit").click()


def request_appointment(desk, words: str) -> None:
    page = desk.page
    desk.go("/appointments/new")
    page.get_by_label("Facility").select_option(index=1)
    page.get_by_label("First day").fill((date.today() + timedelta(days=7)).isoformat())
    page.get_by_label("Last day").fill((date.today() + timedelta(days=14)).isoformat())
    page.get_by_label("Thursday").check()
    page.get_by_label("Reason for visit").fill(words)
    submit(page)


def request_result(desk, words: str) -> None:
    page = desk.page
    desk.go("/results/new")
    page.get_by_label("CD with Images").check()
    page.get_by_label("Pick up").check()
    page.get_by_label("Location").select_option(index=1)
    page.get_by_label("Yes").check()
    page.get_by_label("Comments").fill(words)
    submit(page)


def write_message(desk, words: str) -> None:
    page = desk.page
    desk.go("/messages/new")
    page.get_by_label(re.compile("^Clinicians")).or_(page.get_by_label("To")).first.wait_for()
    to = page.get_by_label("To", exact=True)
    if to.count() and to.evaluate("e => e.tagName") == "SELECT":
        to.select_option(label=to.locator("option", has_text="Clinicians").first.inner_text())
    else:
        page.get_by_label(re.compile("^Clinicians")).check()
    page.get_by_label("Title").fill("A question of mine")
    page.get_by_label("Comments").fill(words)
    page.get_by_role("button", name="Send").click()


def request_amendment(desk, words: str) -> None:
    page = desk.page
    desk.go("/my-info")
    page.get_by_role("link", name=re.compile("^Request Amendment of .*Penicillin")).click()
    page.get_by_label("To", exact=True).fill("Stomach upset, not an allergy")
    page.get_by_label("Memo").fill(words)
    page.get_by_role("button", name="Send").click()


ASK = {
    "Appointment": request_appointment,
    "Result": request_result,
    "Others": write_message,
    "Amendment": request_amendment,
}


@pytest.mark.parametrize("js", [True, False], ids=["with JavaScript", "without JavaScript"])
@pytest.mark.parametrize("kind", ASK)
def test_a_request_reaches_the_staff_in_charge_and_the_answer_comes_back(desks, kind, js):
    words = f"My words {uuid.uuid4().hex[:8]}"
    sophie = desks("sophie", js=js)
    ASK[kind](sophie, words)
    expect(sophie.page).to_have_url(re.compile(r"/messages/[\w-]{22}"))
    expect(sophie.page.get_by_text(words).first).to_be_visible()
    key = re.search(r"/messages/([\w-]{22})", sophie.page.url)[1]

    answering = None
    for login in STAFF:
        member = desks(login, js=js)
        found = member.go(f"/staff/messages/{key}")
        if login in IN_CHARGE[kind]:
            assert found.status == 200
            member.go("/staff/")
            row = member.page.locator(f'#message-rows tr:has(a[href*="{key}"])')
            expect(row).to_have_class(re.compile("is-unread"))
            answering = answering or member
        else:
            assert found.status == 404
            member.go("/staff/")
            expect(member.page.locator(f'a[href*="{key}"]')).to_have_count(0)

    page = answering.page
    page.locator(f'#message-rows a[href*="{key}"]').click()
    expect(page.get_by_text(words).first).to_be_visible()
    page.get_by_role("button", name="Receive").click()
    expect(page.get_by_text(re.compile("^Received by")).first).to_be_visible()
    page.get_by_role("link", name="Respond").click()
    page.get_by_label("Your reply").fill(f"Our answer to {words}")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_text(f"Our answer to {words}").first).to_be_visible()

    page = sophie.page
    sophie.go("/messages")
    page.locator(f'a[href*="{key}"]').first.click()
    expect(page.get_by_text(f"Our answer to {words}")).to_be_visible()
    page.get_by_label(re.compile("^Respond")).fill(f"Thanks for {words}")
    page.get_by_role("button", name="Respond").click()
    expect(page.get_by_text(f"Thanks for {words}").first).to_be_visible()

    answering.go("/staff/")
    row = answering.page.locator(f'#message-rows tr:has(a[href*="{key}"])')
    expect(row).to_have_class(re.compile("is-unread"))


@pytest.mark.parametrize("js", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_an_admin_puts_somebody_in_charge(desks, js):
    admin = desks("admin", js=js)
    page = admin.page
    title = f"Desk {uuid.uuid4().hex[:6]}"
    page.get_by_role("link", name="New", exact=True).click()
    page.get_by_label("Type of Request").select_option("Result")
    page.get_by_label("The title of communicator").last.fill(title)
    page.get_by_role("button", name="Add").click()
    page.get_by_label("ID or name").fill("doc")
    page.get_by_role("button", name="Search").last.click()
    expect(page.get_by_role("checkbox", name=re.compile("NURSE"))).to_have_count(0)
    page.get_by_role("checkbox", name=re.compile("DOCTOR")).check()
    page.get_by_role("button", name="Add").last.click()
    expect(page.get_by_text("doctor - DOCTOR, DAN [Radiologist]").first).to_be_visible()
    page.get_by_label("In Use").check()
    page.get_by_role("button", name="Save").click()
    row = page.get_by_role("row", name=re.compile(title))
    expect(row).to_contain_text("DOCTOR, DAN")
    doctor = desks("doctor", js=js)
    expect(doctor.page.get_by_text(title).first).to_be_visible()


def test_going_back_after_sending_shows_no_filled_form(desks):
    sophie = desks("sophie")
    write_message(sophie, "Only once, please")
    expect(sophie.page).to_have_url(re.compile(r"/messages/[\w-]{22}"))
    sophie.page.go_back()
    expect(sophie.page.get_by_label("Comments")).to_have_value("")


def test_a_lost_network_is_said_and_the_text_stays(desks):
    sam = desks("scheduler")
    page = sam.page
    page.locator("#message-rows a").first.click()
    page.get_by_role("link", name="Respond").click()
    page.get_by_label("Your reply").fill("Do not lose me")
    sam.context.set_offline(True)
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("alert").get_by_text("Not confirmed")).to_be_visible()
    expect(page.get_by_label("Your reply")).to_have_value("Do not lose me")
    sam.context.set_offline(False)
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_text("Do not lose me").first).to_be_visible()
