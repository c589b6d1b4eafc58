"""axe finds nothing on any page, in either theme, on desktop and phone."""

import pytest

from tests.browser.axe import problems

pytestmark = [pytest.mark.browser, pytest.mark.once]

PAGES = {
    None: ["/login", "/reset", "/reset?done=link-asked", "/reset/", "/register", "/register?done=link-asked", "/demo/mails"],
    "sophie": [
        "/",
        "/appointments",
        "/appointments/new",
        "/results",
        "/results/new",
        "/messages",
        "/messages/sent",
        "/messages/new",
        "/my-info",
        "/my-info/sections/vitals",
        "/my-info/documents",
        "/my-info/copies",
        "/my-info/readers",
        "/my-info/print",
        "/account",
        "/account/password",
        "/account/e-mail",
        "/account/mails",
        "/account/log-ins",
        "/account/readers",
        "/nowhere",
        "first message",
        "first amendment",
    ],
    "hugo": ["/", "/messages", "/messages/sent", "/appointments", "/results", "/my-info"],
    "frontdesk": [
        "/staff/",
        "/staff/sent",
        "/staff/messages/new",
        "/staff/canned-replies",
        "/staff/canned-replies/new",
        "/staff/keyboard",
        "/staff/account/e-mail",
        "/staff/?only=late",
        "first canned reply",
        "first message",
        "first reply",
    ],
    "doctor": ["/staff/", "/staff/sent", "/staff/messages/new", "/staff/absences", "/staff/absences/new"],
    "admin": [
        "/admin/communicators",
        "/admin/communicators?new=1",
        "/admin/unrouted",
        "/admin/coverage",
        "/admin/coverage/history",
        "/admin/absences",
        "/admin/absences/new",
        "/admin/practice",
        "/admin/practice/holidays?year=2026",
        "/admin/menu",
        "/admin/overdue",
        "/admin/removed",
        "/admin/mails",
        "/admin/openings",
        "/admin/numbers",
        "/admin/numbers?by=month",
        "/admin/audit",
        "/admin/staff",
        "/admin/staff?new=1",
        "/admin/staff/import",
        "/admin/lists",
        "/admin/lists?list=physicians",
        "/admin/lists?list=levels",
        "/admin/lists?list=groups",
        "/admin/lists?list=specialties",
        "/admin/lists?list=institutions",
        "/admin/lists?list=departments",
        "first communicator",
        "/admin/patients",
        "/admin/registrations",
        "/admin/registrations/codes",
        "first patient",
        "first merge",
        "first merging",
        "/staff/",
    ],
}
FIRST = {
    ("sophie", "first message"): ("/messages", ".list a.item-title"),
    ("sophie", "first amendment"): ("/my-info", ".value a"),
    ("frontdesk", "first canned reply"): ("/staff/canned-replies", "tbody a"),
    ("frontdesk", "first message"): ("/staff/", "#message-rows a"),
    ("frontdesk", "first reply"): ("/staff/", "#message-rows a"),
    ("admin", "first communicator"): ("/admin/communicators", "td a"),
    ("admin", "first patient"): ("/admin/patients", "tbody a"),
    ("admin", "first merge"): ("/admin/patients", "tbody a"),
    ("admin", "first merging"): ("/admin/patients", "tbody a"),
}
LOOKS = {
    "desktop": {"viewport": {"width": 1280, "height": 800}},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True},
}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("who", PAGES, ids=str)
def test_axe_finds_nothing(desks, who, look):
    person = desks(who, **LOOKS[look])
    found = []
    for path in PAGES[who]:
        if (who, path) in FIRST:
            start, link = FIRST[who, path]
            person.go(start)
            person.page.goto(person.address + person.page.locator(link).first.get_attribute("href"))
            if path == "first reply":
                person.page.goto(person.address + person.page.get_by_role("link", name="Respond").get_attribute("href"))
            if path in ("first merge", "first merging"):
                person.page.get_by_role("link", name="Merge with another account").click()
            if path == "first merging":
                person.page.get_by_role("link", name="Choose").first.click()
        else:
            person.go(path)
        found += problems(person.page, path)
    assert found == []


# ---- The patient's pages in every state ------------------------------------------------------------

NARROW = {
    "320 px": {"viewport": {"width": 320, "height": 640}, "has_touch": True},
    "200 % of 1280 px": {"viewport": {"width": 640, "height": 400}},
}


def press(page, name):
    page.get_by_role("button", name=name, exact=True).first.click()
    page.wait_for_load_state("networkidle")


def nothing_filled_in(path, button):
    def go(desk):
        desk.go(path)
        press(desk.page, button)
        desk.page.locator(".errors").wait_for()

    return go


def reviewed(desk):
    desk.go("/appointments/new")
    desk.page.get_by_label("First day").fill("2031-05-05")
    desk.page.get_by_label("Last day").fill("2031-05-09")
    desk.page.get_by_label("Reason for visit").fill("My knee hurts. " * 6)
    for label in ("Facility", "Referring physician"):
        if desk.page.get_by_label(label).count():
            desk.page.get_by_label(label).select_option(index=1)
    press(desk.page, "Submit")
    desk.page.get_by_text("My knee hurts").first.wait_for()


def warned(desk):
    desk.go("/messages/new")
    desk.page.get_by_label("Title").fill("Help")
    desk.page.get_by_label("Comments").fill("I have chest pain")
    press(desk.page, "Send")
    desk.page.get_by_text("chest pain").first.wait_for()


def draft_on_home(desk):
    desk.go("/messages/new")
    desk.page.get_by_label("Title").fill("An unsent question with a long title " * 3)
    press(desk.page, "Keep as draft")
    desk.page.wait_for_timeout(500)
    desk.go("/")
    desk.page.get_by_text("Go on writing:").first.wait_for()


def drafts_listed(desk):
    draft_on_home(desk)
    desk.go("/messages/drafts")
    desk.page.locator(".list a.item-title").first.wait_for()


def nothing_found(desk):
    desk.go("/messages")
    desk.page.locator("details.search > summary").click()
    desk.page.get_by_label("Words or reference number").fill("zebra")
    press(desk.page, "Search")
    desk.page.get_by_text("Nothing found").wait_for()


def deleted(desk):
    desk.go("/messages")
    desk.page.goto(desk.address + desk.page.locator(".list a.item-title").first.get_attribute("href"))
    press(desk.page, "Delete")
    desk.page.get_by_role("button", name="Undo").wait_for()


def taken_back(desk):
    deleted(desk)
    press(desk.page, "Undo")


def soon_logged_off(desk):
    desk.go("/")
    desk.page.evaluate("document.querySelector('#timeout').hidden = false")


def in_row_amendment(desk):
    desk.go("/my-info")
    desk.page.locator(".value a").first.click()
    desk.page.get_by_label("Memo").wait_for()


def menu_open(desk):
    desk.go("/")
    if desk.page.get_by_role("button", name="Menu").is_visible():
        desk.page.get_by_role("button", name="Menu").click()


STATES = {
    "new message, errors": nothing_filled_in("/messages/new", "Send"),
    "appointment, errors": nothing_filled_in("/appointments/new", "Submit"),
    "result, errors": nothing_filled_in("/results/new", "Submit"),
    "appointment, review": reviewed,
    "words of an emergency": warned,
    "Home with a draft": draft_on_home,
    "Drafts": drafts_listed,
    "nothing found": nothing_found,
    "deleted, Undo": deleted,
    "taken back": taken_back,
    "soon logged off": soon_logged_off,
    "amendment in the row": in_row_amendment,
    "menu open": menu_open,
    "not found": lambda desk: desk.go("/messages/AAAAAAAAAAAAAAAAAAAAAA"),
}


@pytest.mark.parametrize("look", NARROW)
def test_axe_finds_nothing_in_any_state_of_a_patients_page(own_desks, look):
    desk = own_desks("sophie", **NARROW[look])
    found = []
    for name, go in STATES.items():
        go(desk)
        found += problems(desk.page, name)
    assert found == []
