"""product.md, "what happens, what must follow": done as the admin in a browser, looked at as patient and as staff.

Two who press Receive or Claim at once: test_handling.py.
"""

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, Route, expect

from practice.db import now
from practice.threads import Thread
from tests.browser.conftest import PATIENCE, Desk, Desks
from tests.browser.test_journeys import request_amendment, request_appointment, request_result, write_message

pytestmark = pytest.mark.browser


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).last.click()


def act(page: Page, name: str, path: str) -> None:
    """Presses, and waits for the answer to what it sends."""
    with page.expect_response(lambda r: r.request.method == "POST" and r.url.partition("?")[0].endswith(path)):
        press(page, name)


def edit(admin: Desk, title: str) -> Page:
    """The editor of a communicator."""
    admin.go("/admin/communicators")
    admin.page.get_by_role("link", name=title, exact=True).click()
    expect(admin.page.get_by_role("heading", name=title, exact=True)).to_be_visible()
    return admin.page


def save(page: Page) -> None:
    """Saves; what is asked once is answered with a second Save."""
    press(page, "Save")
    again = page.get_by_role("button", name="Save again")
    said = page.get_by_text("Saved.", exact=True)
    again.or_(said).first.wait_for()
    if again.count():
        again.click()
        said.wait_for()


def add(page: Page, name: str) -> None:
    """Select User: finds somebody by a part of the name and adds them."""
    press(page, "Add")
    page.get_by_label("ID or name").fill(name)
    press(page, "Search")
    expect(page.locator("tbody").get_by_role("row")).to_have_count(1)  # a tick set before the answer is one of another list
    page.get_by_role("checkbox", name=re.compile(f"^Select {name}", re.IGNORECASE)).check()
    press(page, "Add")
    expect(page.get_by_role("button", name=re.compile(f"^Remove.*{name}"))).to_be_visible()


def take_off(page: Page, name: str) -> None:
    page.get_by_role("button", name=re.compile(f"^Remove.*{name}")).click()
    expect(page.get_by_role("button", name=re.compile(f"^Remove.*{name}"))).to_have_count(0)


def set_in_use(admin: Desk, title: str, is_in_use: bool) -> None:
    page = edit(admin, title)
    page.get_by_label("In Use", exact=True).set_checked(is_in_use)
    save(page)


def account(admin: Desk, name: str) -> Page:
    """The account of a member of staff."""
    admin.go("/admin/staff")
    admin.page.get_by_role("link", name=re.compile(f"^{name}")).click()
    expect(admin.page.get_by_role("heading", name=re.compile(f"^{name}"))).to_be_visible()
    return admin.page


def sent(patient: Desk, ask: Any, words: str) -> str:
    """Sends a request; answers its key."""
    ask(patient, words)
    expect(patient.page).to_have_url(re.compile(r"/messages/[\w-]{22}"))
    return re.search(r"/messages/([\w-]{22})", patient.page.url)[1]


def sees(member: Desk, key: str) -> bool:
    found = member.go(f"/staff/messages/{key}").status
    member.go("/staff/")
    assert found in (200, 404)
    assert bool(member.page.locator(f'#message-rows a[href*="{key}"]').count()) == (found == 200)
    return found == 200


def way(patient: Desk, key: str) -> str:
    patient.go(f"/messages/{key}")
    return patient.page.locator("ol.way").last.inner_text()


def test_a_disabled_account_is_out_at_once_its_claims_are_released_and_enabled_it_has_everything_back(own_desks: Desks) -> None:
    sophie, media, admin = own_desks("sophie"), own_desks("media"), own_desks("admin")
    before = sent(sophie, request_result, "Before")
    media.go(f"/staff/messages/{before}")
    press(media.page, "Claim")
    expect(media.page.get_by_text(re.compile("Claimed by you"))).to_be_visible()
    page = account(admin, "MEDIA, MAX")
    press(page, "Disable")
    for words in ("Communicators left empty: Media Manager", "Nobody would receive Result.", "One claim is released."):
        expect(page.get_by_text(words)).to_be_visible()
    press(page, "Disable")
    expect(page.get_by_role("button", name="Enable")).to_be_visible()
    assert "/login" in media.go(f"/staff/messages/{before}").url
    after = sent(sophie, request_result, "After")
    assert "being assigned" in way(sophie, after)
    admin.go("/admin/coverage")
    expect(admin.page.locator(".lane-gap").get_by_text("Nobody receives").first).to_be_visible()
    admin.go("/admin/unrouted")
    expect(admin.page.get_by_role("row", name=re.compile("KWON, SOPHIE"))).to_have_count(1)
    press(account(admin, "MEDIA, MAX"), "Enable")
    expect(admin.page.get_by_role("button", name="Disable")).to_be_visible()
    media.log_in("media")
    assert sees(media, before) and sees(media, after)
    media.go(f"/staff/messages/{before}")
    expect(media.page.get_by_role("button", name="Claim")).to_be_visible()
    assert "to Media Manager" in way(sophie, after)


def test_saving_a_communicator_without_anybody_warns_first_and_shows_red_after(own_desks: Desks) -> None:
    admin, sophie = own_desks("admin"), own_desks("sophie")
    page = edit(admin, "Media Manager")
    take_off(page, "MEDIA, MAX")
    press(page, "Save")
    expect(page.get_by_text("Nobody would receive Result.")).to_be_visible()
    admin.go("/admin/coverage")
    expect(admin.page.locator(".lane-gap")).to_have_count(0)
    page = edit(admin, "Media Manager")
    take_off(page, "MEDIA, MAX")
    save(page)
    admin.go("/admin/coverage")
    expect(admin.page.locator(".lane-gap")).to_have_count(1)
    assert "being assigned" in way(sophie, sent(sophie, request_result, "To nobody"))


def test_not_in_use_it_is_not_offered_gets_nothing_new_and_its_staff_keep_what_they_have(own_desks: Desks) -> None:
    admin, sophie, nurse, it = (own_desks(who) for who in ("admin", "sophie", "nurse", "it"))
    key = sent(sophie, write_message, "Before it was switched off")
    set_in_use(admin, "Clinicians", False)
    sophie.go("/messages/new")
    expect(sophie.page.get_by_text("Clinicians")).to_have_count(0)
    assert sees(nurse, key)
    nurse.go(f"/staff/messages/{key}")
    nurse.page.get_by_role("link", name="Respond").click()
    nurse.page.get_by_label("Your reply").fill("Still here")
    press(nurse.page, "Send")
    expect(nurse.page.get_by_text("Still here").first).to_be_visible()
    expect(nurse.page.get_by_label("Your reply")).to_have_count(0)
    sophie.go(f"/messages/{key}")
    expect(sophie.page.get_by_text("Still here")).to_be_visible()
    sophie.page.get_by_label(re.compile("^Respond")).fill("And my reply")
    press(sophie.page, "Respond")
    expect(sophie.page.get_by_text("And my reply").first).to_be_visible()
    assert sees(nurse, key) and not sees(it, key)  # Others never goes to whom nobody picked: it waits for the admin
    admin.go("/admin/unrouted")
    admin.page.get_by_role("checkbox", name="Select KWON, SOPHIE").check()
    admin.page.get_by_label("Hand to").select_option(label="IT Manager (Others)")
    admin.page.get_by_role("button", name="Hand to").click()
    expect(admin.page.get_by_text("Handed on.")).to_be_visible()
    assert sees(it, key) and not sees(nurse, key)


def test_a_communicator_with_threads_is_not_deleted_and_one_without_is(own_desks: Desks) -> None:
    admin, sophie, it, nurse = (own_desks(who) for who in ("admin", "sophie", "it", "nurse"))
    key = sent(sophie, write_message, "Hand me on")
    admin.go("/admin/communicators")
    for title in ("Clinician", "Clinicians"):
        admin.page.get_by_role("checkbox", name=f"Select {title}", exact=True).check()
    admin.page.get_by_role("button", name="Delete").first.click()
    expect(admin.page.get_by_text(re.compile(r"^Clinicians: not deleted, because it has .* threads"))).to_be_visible()
    expect(admin.page.get_by_role("link", name="Clinician", exact=True)).to_have_count(0)
    admin.page.get_by_label(re.compile("^Hand open threads to")).select_option("IT Manager")
    admin.page.get_by_role("button", name=re.compile("^Hand open threads")).click()
    expect(admin.page.get_by_text("Its open threads were handed on, and it is switched off.")).to_be_visible()
    assert sees(it, key) and not sees(nurse, key)
    assert "IT Manager" in way(sophie, key)
    sophie.go("/messages/new")
    expect(sophie.page.get_by_text("Clinicians")).to_have_count(0)


def test_renamed_old_messages_keep_the_title_they_were_sent_under(own_desks: Desks) -> None:
    admin, sophie = own_desks("admin"), own_desks("sophie")
    key = sent(sophie, write_message, "To the clinicians")
    page = edit(admin, "Clinicians")
    page.get_by_label("The title of communicator").last.fill("Nurses")
    save(page)
    assert "Clinicians" in way(sophie, key)
    sophie.go("/messages/new")
    expect(sophie.page.get_by_text("Nurses").first).to_be_visible()


def test_with_threads_its_type_is_fixed_and_a_new_one_with_the_same_staff_is_offered(own_desks: Desks) -> None:
    admin = own_desks("admin")
    page = edit(admin, "Scheduler")
    expect(page.get_by_label("Type of Request")).to_be_disabled()
    page.get_by_role("link", name="New communicator with the same staff").click()
    expect(page.get_by_text("scheduler - SCHEDULER, SAM [Staff]").first).to_be_visible()
    expect(page.get_by_label("Type of Request")).to_be_enabled()


def test_a_member_who_is_added_sees_everything_at_once(own_desks: Desks) -> None:
    admin, sophie, doctor = own_desks("admin"), own_desks("sophie"), own_desks("doctor")
    key = sent(sophie, write_message, "For the doctor too")
    assert doctor.go(f"/staff/messages/{key}").status == 404
    page = edit(admin, "Clinicians")
    add(page, "DOCTOR")
    press(page, "Save")
    expect(page.get_by_text(re.compile(r"1 person gains \d+ threads"))).to_be_visible()
    press(page, "Save again")
    expect(page.get_by_text("Saved.", exact=True)).to_be_visible()
    assert sees(doctor, key)


def test_a5_a_member_who_is_taken_off_loses_the_open_page_the_claim_and_keeps_the_text_to_copy(own_desks: Desks) -> None:
    admin, sophie, nurse, fay = (own_desks(who) for who in ("admin", "sophie", "nurse", "frontdesk"))
    key = sent(sophie, write_message, "Who answers me?")
    nurse.go(f"/staff/messages/{key}")
    press(nurse.page, "Claim")
    expect(nurse.page.get_by_text(re.compile("Claimed by you"))).to_be_visible()
    nurse.page.get_by_role("link", name="Respond").click()
    nurse.page.get_by_label("Your reply").fill("Half a reply, not to be lost")
    page = edit(admin, "Clinicians")
    take_off(page, "NURSE, NINA")
    save(page)
    on_their_way: list[Route] = []

    def hold(route: Route) -> None:
        on_their_way.append(route)

    nurse.page.route("**/replies", hold)
    with nurse.page.expect_response(lambda answer: "/presence" in answer.url and answer.status == 404, timeout=2 * PATIENCE):
        press(nurse.page, "Send")
    for one in on_their_way:
        one.continue_()
    expect(nurse.page.locator("#alerts").get_by_text("Half a reply, not to be lost")).to_be_visible()
    assert not sees(nurse, key)
    sophie.go(f"/messages/{key}")
    expect(sophie.page.get_by_text("Half a reply")).to_have_count(0)
    fay.go(f"/staff/messages/{key}")
    expect(fay.page.get_by_role("button", name="Claim")).to_be_visible()


def test_a_deputy_sees_and_answers_until_the_absence_is_over(own_desks: Desks) -> None:
    admin, sophie, media, doctor = (own_desks(who) for who in ("admin", "sophie", "media", "doctor"))
    media.go("/staff/absences/new")
    today = media.page.evaluate("new Date().toLocaleDateString('sv', {timeZone: 'America/New_York'})")
    media.page.get_by_label("From").fill(today)
    media.page.get_by_label("To", exact=True).fill(today)
    media.page.get_by_label("Deputy").fill("doctor")
    press(media.page, "Save")
    expect(media.page.get_by_text("DOCTOR, DAN").first).to_be_visible()
    key = sent(sophie, request_result, "While Max is away")
    assert sees(doctor, key) and sees(media, key)
    expect(doctor.page.get_by_text(re.compile("MEDIA, MAX")).first).to_be_visible()
    admin.go("/admin/coverage")
    expect(admin.page.get_by_text(re.compile("^away until")).first).to_be_visible()
    media.go("/staff/absences")
    media.page.get_by_role("button", name="End now").first.click()
    expect(media.page.get_by_role("button", name="End now")).to_have_count(0)
    assert not sees(doctor, key) and sees(media, key)


def claimed_until(database: sa.Engine, key: str, moved_to: datetime | None = None) -> datetime:
    """Until when a claim holds; moved there first, as time would."""
    with database.begin() as connection:
        if moved_to:
            connection.execute(sa.update(Thread).where(Thread.key == key).values(claimed_until=moved_to))
        return connection.scalars(sa.select(Thread.claimed_until).where(Thread.key == key)).one()


def test_a_claim_lasts_while_drafts_are_saved_and_after_its_time_it_is_none(own_desks: Desks, own_database: sa.Engine) -> None:
    sophie, nurse, fay = (own_desks(who) for who in ("sophie", "nurse", "frontdesk"))
    key = sent(sophie, write_message, "Claimed, then silence")
    nurse.go(f"/staff/messages/{key}")
    promised = nurse.page.get_by_text(re.compile("^Answer promised by")).inner_text()
    act(nurse.page, "Claim", "/claim")
    soon = claimed_until(own_database, key, now() + timedelta(minutes=1))
    nurse.page.get_by_role("link", name="Respond").click()
    nurse.page.get_by_label("Your reply").fill("Half a reply")
    with nurse.page.expect_response("**/drafts/*"):
        nurse.page.get_by_role("button", name="Keep as draft").click()
    assert claimed_until(own_database, key) > soon + timedelta(hours=1)
    fay.go(f"/staff/messages/{key}")
    expect(fay.page.get_by_text("Claimed by NURSE, NINA", exact=True)).to_be_visible()
    expect(fay.page.get_by_role("button", name="Claim")).to_have_count(0)
    claimed_until(own_database, key, now() - timedelta(seconds=1))
    fay.go(f"/staff/messages/{key}")
    expect(fay.page.get_by_text(promised, exact=True)).to_be_visible()
    expect(fay.page.get_by_text(re.compile("^Claimed by NURSE"))).to_have_count(0)
    act(fay.page, "Claim", "/claim")
    expect(fay.page.get_by_text("Claimed by you until")).to_be_visible()
    nurse.go(f"/staff/messages/{key}")
    expect(nurse.page.get_by_text("Claimed by FRONTDESK, FAY", exact=True)).to_be_visible()


def test_transferred_it_leaves_all_who_had_it_and_goes_on_with_its_request_and_its_clock(own_desks: Desks) -> None:
    sophie, sam, fay, media = (own_desks(who) for who in ("sophie", "scheduler", "frontdesk", "media"))
    key = sent(sophie, request_appointment, "An MRI of my left knee")
    sam.go(f"/staff/messages/{key}")
    promised = sam.page.get_by_text(re.compile("^Answer promised by")).inner_text()
    act(sam.page, "Claim", "/claim")
    sam.page.get_by_role("link", name="Transfer").click()
    sam.page.get_by_label("To", exact=True).select_option(label="Media Manager (Result)")
    sam.page.get_by_label("Reason").fill("Plover: ask radiology")
    act(sam.page, "Transfer", "/transfers")
    expect(sam.page.get_by_text("Transferred.", exact=True)).to_be_visible()
    assert not sees(sam, key) and not sees(fay, key) and sees(media, key)
    media.go(f"/staff/messages/{key}")
    for words in (
        "Result",
        "Reason for visit",
        promised,
        "Transferred to Media Manager by SCHEDULER, SAM",
        "Plover: ask radiology",
    ):
        expect(media.page.locator("#pane").get_by_text(words).first).to_be_visible()
    for name in ("Receive", "Claim"):  # it is still unread, and nobody's
        expect(media.page.get_by_role("button", name=name)).to_be_visible()
    assert "to Media Manager" in way(sophie, key)
    expect(sophie.page.get_by_text("Plover")).to_have_count(0)


def test_an_amendment_is_transferred_to_no_communicator_of_another_type(own_desks: Desks) -> None:
    sophie, rita = own_desks("sophie"), own_desks("records")
    key = sent(sophie, request_amendment, "It was the stomach")
    rita.go(f"/staff/messages/{key}")
    rita.page.get_by_role("link", name="Transfer").click()
    expect(rita.page.get_by_text("No other communicator can receive it now.")).to_be_visible()
    expect(rita.page.get_by_label("Reason")).to_have_count(0)


def test_two_reply_at_once_and_the_second_reads_first(own_desks: Desks) -> None:
    sophie, nurse, fay = (own_desks(who) for who in ("sophie", "nurse", "frontdesk"))
    key = sent(sophie, write_message, "Answer me once")
    for member, words in ((nurse, "First answer"), (fay, "Second answer")):
        member.go(f"/staff/messages/{key}/reply")
        member.page.get_by_label("Your reply").fill(words)
    press(nurse.page, "Send")
    expect(nurse.page.get_by_text("First answer").first).to_be_visible()
    press(fay.page, "Send")
    expect(fay.page.get_by_text("First answer").first).to_be_visible()
    expect(fay.page.get_by_label("Your reply")).to_have_value("Second answer")
    sophie.go(f"/messages/{key}")
    expect(sophie.page.get_by_text("First answer")).to_be_visible()
    expect(sophie.page.get_by_text("Second answer")).to_have_count(0)


def test_what_staff_delete_leaves_the_lists_the_patient_keeps_it_and_an_admin_restores_it(own_desks: Desks) -> None:
    admin, sophie, nurse, fay = (own_desks(who) for who in ("admin", "sophie", "nurse", "frontdesk"))
    key = sent(sophie, write_message, "Delete me when I am answered")
    nurse.go(f"/staff/messages/{key}")
    press(nurse.page, "Delete")
    expect(nurse.page.get_by_text("Not deleted: it is unread. Press Receive first.")).to_be_visible()
    press(nurse.page, "Receive")
    expect(nurse.page.get_by_text(re.compile("^Received by")).first).to_be_visible()
    press(nurse.page, "Close")
    expect(nurse.page.get_by_role("button", name="Close")).to_have_count(0)
    press(nurse.page, "Delete")
    expect(nurse.page.get_by_text("Deleted from the In Box.")).to_be_visible()
    fay.go("/staff/")
    expect(fay.page.locator(f'a[href*="{key}"]')).to_have_count(0)
    assert sophie.go(f"/messages/{key}").status == 200
    admin.go("/admin/removed")
    row = admin.page.get_by_role("row", name=re.compile("KWON, SOPHIE")).first
    expect(row).to_contain_text("NURSE, NINA")
    row.get_by_role("button", name="Restore").click()
    expect(admin.page.get_by_text("Restored.")).to_be_visible()
    assert fay.go(f"/staff/messages/{key}").status == 200
    expect(fay.page.get_by_text("Deleted from the lists", exact=True)).to_have_count(0)


def test_amendment_switched_off_is_hidden_refused_in_open_pages_and_old_threads_stay(own_desks: Desks) -> None:
    admin, sophie = own_desks("admin"), own_desks("sophie")
    old = sent(sophie, request_amendment, "While it was on")
    sophie.go("/my-info")
    sophie.page.get_by_role("link", name=re.compile("^Request Amendment of .*Penicillin")).click()
    sophie.page.get_by_label("To", exact=True).fill("Too late")
    admin.go("/admin/menu")
    admin.page.get_by_label(re.compile("^Meaningful Use")).uncheck()
    press(admin.page, "Save")
    again = admin.page.get_by_role("button", name="Save again")
    again.or_(admin.page.get_by_text("Saved.", exact=True)).first.wait_for()
    if again.count():
        again.click()
    admin.page.get_by_text("Saved.", exact=True).wait_for()
    press(sophie.page, "Send")
    expect(sophie.page.get_by_text("This is switched off").first).to_be_visible()
    expect(sophie.page.get_by_text("Too late").first).to_be_visible()
    expect(sophie.page.get_by_text(re.compile("call")).first).to_be_visible()
    assert sophie.go("/my-info").status == 404
    assert sophie.go(f"/messages/{old}").status == 200
    expect(sophie.page.get_by_role("link", name="My Info")).to_have_count(0)


def test_a_thread_the_patient_deleted_comes_back_with_an_answer(own_desks: Desks) -> None:
    sophie, nurse = own_desks("sophie"), own_desks("nurse")
    key = sent(sophie, write_message, "Deleted, then answered")
    press(sophie.page, "Delete")
    expect(sophie.page.get_by_text(re.compile("was deleted from your lists"))).to_be_visible()
    sophie.go("/messages/sent")
    expect(sophie.page.locator(f'#mail a[href*="{key}"]')).to_have_count(0)
    nurse.go(f"/staff/messages/{key}/reply")
    nurse.page.get_by_label("Your reply").fill("Back again")
    press(nurse.page, "Send")
    expect(nurse.page.get_by_text("Back again").first).to_be_visible()
    sophie.go("/messages")
    expect(sophie.page.locator(f'#mail a[href*="{key}"]')).to_have_count(1)
