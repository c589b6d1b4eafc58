"""Files attached in a browser, with and without JavaScript, from both sides; the pictures load, the rest is saved."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import problems
from tests.browser.conftest import Desk, Desks
from tests.browser.test_journeys import write_message
from tests.browser.test_what_must_follow import sent
from tests.samples import TEXT, pdf

pytestmark = [pytest.mark.browser, pytest.mark.once]
PICTURE = (Path(__file__).parents[2] / "docs" / "pictures" / "patient-home.png").read_bytes()
PHONE = {"viewport": {"width": 390, "height": 844}}


def file(name: str, content: bytes) -> Any:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


def choose(page: Page, *files: Any) -> None:
    """Presses *Attach files* and picks; waits until all are there."""
    with page.expect_file_chooser() as asked:
        page.get_by_role("button", name="Attach files").click()
    with page.expect_response(lambda r: r.request.method == "POST" and r.url.endswith("/files")):
        asked.value.set_files(list(files))


def has_loaded(page: Page) -> None:
    page.locator(".file img").scroll_into_view_if_needed()
    page.locator(".file img").first.evaluate("picture => picture.decode()")
    assert page.locator(".file img").first.evaluate("picture => picture.naturalWidth") > 100


def begin(desk: Desk, path: str = "/messages/new") -> Page:
    desk.go(path)
    return desk.page


@pytest.mark.parametrize("how", [{}, PHONE], ids=["desktop", "phone"])
def test_a_patient_attaches_in_place_and_staff_open_it(own_desks: Desks, how: Any) -> None:
    sophie, nurse = own_desks("sophie", **how), own_desks("nurse")
    page = begin(sophie)
    choose(page, file("rash.png", PICTURE), file("notes.txt", TEXT), file("plan.pdf", pdf()))
    expect(page.locator("#files li")).to_have_count(3)
    expect(page.get_by_text("3 files are attached.")).to_be_visible()
    expect(page.get_by_role("button", name="Attach files")).to_be_focused()
    has_loaded(page)
    assert problems(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]  # type: ignore[index]
    with page.expect_response(lambda r: "/removal" in r.url):
        page.get_by_role("button", name="Remove notes.txt").click()
    expect(page.locator("#files li")).to_have_count(2)
    page.reload()  # the address names the draft by now
    expect(page.locator("#files li")).to_have_count(2)
    page.get_by_label("To", exact=True).select_option(label="Clinicians")
    page.get_by_label("Title").fill("A rash")
    page.get_by_label("Comments").fill("Since Monday")
    page.get_by_role("button", name="Send").click()
    page.wait_for_url(re.compile(r"/messages/[\w-]{22}\?done=sent"))
    has_loaded(page)
    assert problems(page) == []
    key = re.search(r"/messages/([\w-]{22})", page.url)[1]  # type: ignore[index]
    desk = begin(nurse, f"/staff/messages/{key}")
    has_loaded(desk)
    assert problems(desk) == []
    with desk.expect_download() as saved:
        desk.get_by_role("link", name="plan.pdf").click()
    assert saved.value.suggested_filename == "plan.pdf" and Path(saved.value.path()).read_bytes() == pdf()


def test_staff_attach_to_an_answer_and_undo_gives_the_files_back(own_desks: Desks, ten_seconds: Any) -> None:
    sophie, nurse = own_desks("sophie"), own_desks("nurse")
    key = sent(sophie, write_message, "May I run again?")
    page = begin(nurse, f"/staff/messages/{key}")
    page.get_by_role("link", name="Respond").click()
    choose(page, file("plan.pdf", pdf()))
    expect(page.locator("#files li")).to_have_count(1)
    assert problems(page) == []
    page.get_by_label("Your reply").fill("By this plan")
    with page.expect_response(lambda r: r.request.method == "POST" and "/replies" in r.url):
        page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".letters").get_by_text("plan.pdf")).to_be_visible()
    sophie.go(f"/messages/{key}")
    expect(sophie.page.get_by_text("plan.pdf")).to_have_count(0)
    with page.expect_response(lambda r: r.url.endswith("/recall")):
        page.get_by_role("button", name="Undo").click()
    expect(page.locator("#files bdi")).to_have_text("plan.pdf")
    expect(page.locator(".letters").get_by_text("plan.pdf")).to_have_count(0)


def test_without_javascript_a_page_takes_the_files_of_both_sides(own_desks: Desks, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"a" * 25 * 1024 * 1024)
    sophie, nurse = own_desks("sophie", js=False), own_desks("nurse", js=False)
    page = begin(sophie)
    page.get_by_label("To", exact=True).select_option(label="Clinicians")
    page.get_by_label("Title").fill("A rash")
    page.get_by_label("Comments").fill("Since Monday")
    page.get_by_role("button", name="Attach files").click()
    is_on_files_page(page)
    page.get_by_label("File", exact=True).set_input_files(file("evil.png", b"<html><script>"))
    page.get_by_role("button", name="Attach", exact=True).click()
    expect(page.get_by_text("Files of this kind are not taken.", exact=False)).to_be_visible()
    page.get_by_label("File", exact=True).set_input_files(file("rash.png", PICTURE))
    page.get_by_role("button", name="Attach", exact=True).click()
    page.get_by_label("File", exact=True).set_input_files(film)
    page.get_by_role("button", name="Attach", exact=True).click()
    expect(page.get_by_text("This file is larger than 10 MB.", exact=False)).to_be_visible()
    expect(page.locator(".files li")).to_have_text(re.compile("rash.png"))
    page.get_by_label("File", exact=True).set_input_files(file("notes.txt", TEXT))
    page.get_by_role("button", name="Attach", exact=True).click()
    expect(page.locator(".files li")).to_have_count(2)
    page.get_by_role("button", name="Remove notes.txt").click()
    expect(page.locator(".files li")).to_have_count(1)
    page.get_by_role("link", name="Back to the message").click()
    expect(page.get_by_label("Comments")).to_have_value("Since Monday")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".letter").get_by_text("rash.png")).to_be_visible()
    key = re.search(r"/messages/([\w-]{22})", page.url)[1]  # type: ignore[index]
    desk = begin(nurse, f"/staff/messages/{key}/reply")
    desk.get_by_label("Your reply").fill("By this plan")
    desk.get_by_role("button", name="Attach files").click()
    is_on_files_page(desk)
    desk.get_by_label("File", exact=True).set_input_files(file("plan.pdf", pdf()))
    desk.get_by_role("button", name="Attach", exact=True).click()
    desk.get_by_role("link", name="Back to the message").click()
    expect(desk.get_by_label("Your reply")).to_have_value("By this plan")
    desk.get_by_role("button", name="Send", exact=True).click()
    expect(desk.locator(".letters").get_by_text("plan.pdf")).to_be_visible()
    sophie.go(f"/messages/{key}")
    expect(page.locator(".letter").get_by_text("plan.pdf")).to_be_visible()


@pytest.mark.parametrize("js", [False, True])
def test_a_request_by_phone_takes_files_and_is_not_lost_on_the_way(own_desks: Desks, js: bool) -> None:
    desk, sophie = own_desks("frontdesk", js=js), own_desks("sophie", js=js)
    page = begin(desk, "/staff/requests/new")
    page.get_by_label("Name (Last, First)").fill("Kwon, Sophie")
    page.get_by_role("button", name="Search", exact=True).click()
    page.get_by_role("link", name="Choose KWON, SOPHIE", exact=False).click()
    page.get_by_role("link", name="Others").click()
    page.get_by_label("To", exact=True).select_option(label="Clinicians")
    page.get_by_label("Title").fill("Called at nine")
    form = page.url.removeprefix(desk.address)
    if js:
        choose(page, file("referral.pdf", pdf()))
        assert problems(page) == []
        page.reload()
    else:
        page.get_by_role("button", name="Attach files").click()
        is_on_files_page(page)
        page.get_by_label("File", exact=True).set_input_files(file("referral.pdf", pdf()))
        page.get_by_role("button", name="Attach", exact=True).click()
        page.get_by_role("link", name="Back to the request").click()
    expect(page.get_by_label("Title")).to_have_value("Called at nine")
    desk.go(form)  # another call came between
    expect(page.get_by_text("KWON, SOPHIE")).to_be_visible()
    expect(page.locator("#files li")).to_have_text(re.compile("referral.pdf"))
    page.get_by_label("Comments").fill("She asks for a referral")
    page.get_by_role("button", name="Submit").click()
    expect(page.locator(".letters").get_by_text("referral.pdf")).to_be_visible()
    key = re.search(r"/messages/([\w-]{22})", page.url)[1]  # type: ignore[index]
    sophie.go(f"/messages/{key}")
    with sophie.page.expect_download() as download:
        sophie.page.locator(".letter").get_by_text("referral.pdf").click()
    assert Path(download.value.path()).read_bytes() == pdf()


def is_on_files_page(page: Page) -> None:
    expect(page).to_have_title(re.compile("^Attach files"))
    expect(page.get_by_text("No file is attached.")).to_be_visible()


def test_what_goes_wrong_is_said_and_text_and_files_are_kept(own_desks: Desks) -> None:
    sophie = own_desks("sophie")
    page = begin(sophie)
    page.get_by_label("Comments").fill("Since Monday")
    choose(page, file("notes.txt", TEXT))
    choose(page, file("evil.png", b"<html><script>"))
    expect(page.locator("#files .error")).to_contain_text("not taken")
    with page.expect_file_chooser() as asked:
        page.get_by_role("button", name="Attach files").click()
    asked.value.set_files([file("film.png", b"\x89PNG" + b"a" * 10 * 1024 * 1024)])
    expect(page.get_by_text("film.png is larger than 10 MB", exact=False)).to_be_visible()
    page.route("**/files", lambda route: route.abort())
    with page.expect_file_chooser() as asked:
        page.get_by_role("button", name="Attach files").click()
    asked.value.set_files([file("plan.pdf", pdf())])
    expect(page.get_by_text("Not attached: the practice cannot be reached.", exact=False)).to_be_visible()
    page.unroute("**/files")
    choose(page, file("plan.pdf", pdf()))
    expect(page.locator("#files li")).to_have_count(2)
    expect(page.get_by_label("Comments")).to_have_value("Since Monday")


def test_nothing_is_sent_while_a_file_is_on_its_way(own_desks: Desks) -> None:
    sophie = own_desks("sophie")
    key = sent(sophie, write_message, "May I run again?")
    page = begin(sophie, f"/messages/{key}")
    page.locator("#body").fill("One thing more")
    held: list[Any] = []
    page.route("**/files", lambda route: held.extend([route]))
    with page.expect_file_chooser() as asked:
        page.get_by_role("button", name="Attach files").click()
    with page.expect_request("**/files"):
        asked.value.set_files([file("notes.txt", TEXT)])
    page.get_by_role("button", name="Respond", exact=True).click()
    expect(page.get_by_text("A file is still being attached.", exact=False)).to_be_visible()
    with page.expect_response("**/files"):
        held[0].continue_()
    expect(page.locator("#files li")).to_have_count(1)
    page.get_by_role("button", name="Respond", exact=True).click()
    expect(page.locator(".letter").get_by_text("notes.txt")).to_be_visible()


def test_enter_in_the_title_sends_and_does_not_attach(own_desks: Desks) -> None:
    page = begin(own_desks("sophie", js=False))
    page.get_by_label("Title").fill("A rash")
    page.get_by_label("Title").press("Enter")
    expect(page.locator("#errors")).to_contain_text("to correct")
