"""`make pictures`: the README's pictures, of the demo practice in a real browser, desktop and phone. Takes half a minute."""

import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from practice.demo import PASSWORD
from tests.prepare import browser

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "pictures"
PORT = "8971"
ADDRESS = f"http://127.0.0.1:{PORT}"
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}

PICTURES = [  # name, who, page, link to follow, size, theme
    ("patient-home", "sophie", "/", None, DESKTOP, "light"),
    ("patient-message-phone", "sophie", "/messages", ".list a.item-title", PHONE, "light"),
    ("patient-request-phone", "sophie", "/appointments/new", None, PHONE, "dark"),
    ("staff-in-box", "frontdesk", "/staff/", "#message-rows a", DESKTOP, "light"),
    ("staff-in-box-dark", "frontdesk", "/staff/", None, DESKTOP, "dark"),
    ("admin-communicators", "admin", "/admin/communicators", "td a", DESKTOP, "light"),
    ("admin-coverage", "admin", "/admin/coverage", None, DESKTOP, "light"),
]


def main() -> None:
    path = browser()
    if not path:
        sys.exit("No Chromium is installed: make test installs one.")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        environment = os.environ | {"PORTAL_MODE": "demo", "DATA_DIR": data, "PORT": PORT, "DATABASE_URL": ""}
        flask = [sys.executable, "-m", "flask", "--app", "wsgi"]
        subprocess.run([*flask, "prepare"], check=True, env=environment, cwd=ROOT)
        server = subprocess.Popen([*flask, "run", "--port", PORT], env=environment, cwd=ROOT, stderr=subprocess.DEVNULL)
        try:
            _wait()
            with sync_playwright() as playwright:
                opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
                for picture in PICTURES:
                    _take(opened, *picture)
                opened.close()
        finally:
            server.terminate()
            server.wait()


def _wait() -> None:
    for _ in range(100):
        try:
            urllib.request.urlopen(f"{ADDRESS}/healthz", timeout=1)
            return
        except OSError:
            time.sleep(0.1)
    sys.exit("The portal did not start.")


def _take(opened: Browser, name: str, who: str, path: str, link: str | None, size: dict[str, int], theme: str) -> None:
    context = opened.new_context(viewport=size, color_scheme=theme)  # type: ignore[arg-type]
    page: Page = context.new_page()
    page.goto(f"{ADDRESS}/login")
    page.get_by_label("E-mail").fill(f"{who}@demo.example")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.goto(f"{ADDRESS}{path}")
    if link:
        page.goto(ADDRESS + str(page.locator(link).first.get_attribute("href")))
    page.wait_for_load_state("networkidle")
    page.screenshot(path=FOLDER / f"{name}.png")
    print(f"docs/pictures/{name}.png")
    context.close()


if __name__ == "__main__":
    main()
