"""axe finds nothing on any page, in either theme, on desktop and phone."""

import pytest
from axe_playwright_python.sync_playwright import Axe

pytestmark = pytest.mark.browser

PAGES = {
    None: ["/login", "/demo/mails"],
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
        "/account",
        "/nowhere",
        "first message",
        "first amendment",
    ],
    "hugo": ["/", "/messages", "/messages/sent", "/appointments", "/results", "/my-info"],
    "frontdesk": ["/staff/", "/staff/sent", "/staff/messages/new", "first message", "first reply"],
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
        "/admin/openings",
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
        "first patient",
        "first merge",
        "first merging",
        "/staff/",
    ],
}
FIRST = {
    ("sophie", "first message"): ("/messages", ".list a.item-title"),
    ("sophie", "first amendment"): ("/my-info", ".value a"),
    ("frontdesk", "first message"): ("/staff/", "#message-rows a"),
    ("frontdesk", "first reply"): ("/staff/", "#message-rows a"),
    ("admin", "first communicator"): ("/admin/communicators", "td a"),
    ("admin", "first patient"): ("/admin/patients", "tbody a"),
    ("admin", "first merge"): ("/admin/patients", "tbody a"),
    ("admin", "first merging"): ("/admin/patients", "tbody a"),
}
LOOKS = {
    "desktop, light": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "desktop, dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "phone, light": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light", "has_touch": True},
    "phone, dark": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "has_touch": True},
}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("who", PAGES, ids=str)
def test_axe_finds_nothing(desks, request, who, look):
    if request.config.getoption("--database") != "sqlite":
        pytest.skip("how pages look is checked once, on SQLite")
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
        person.page.wait_for_load_state("networkidle")
        problems = Axe().run(person.page).response["violations"]
        found += [(path, p["id"], [n["html"][:200] for n in p["nodes"]][:3]) for p in problems]
        width = person.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if width > 0:
            found.append((path, f"scrolls sideways by {width} px", []))
    assert found == []
