"""What axe says of a page."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"], "resultTypes": ["violations"]}
"""What another theme can change."""


def problems(page: Page, where: str = "") -> list[Any]:
    """What axe finds, in the colours of the other theme too, and whether the page scrolls sideways."""
    page.wait_for_load_state()  # a click waits for the next page's first byte, when there is nothing to look at
    themes = ["dark", "light"]
    if page.evaluate("matchMedia('(prefers-color-scheme: light)').matches"):
        themes.reverse()
    violations = Axe().run(page).response["violations"]
    page.emulate_media(color_scheme=themes[1], reduced_motion="reduce")  # at once, not on the way
    violations += Axe().run(page, options=COLOURS).response["violations"]
    page.emulate_media(color_scheme=themes[0])
    found: list[Any] = [(where or page.url, one["id"], [n["html"][:200] for n in one["nodes"]][:3]) for one in violations]
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found + ([(where or page.url, f"scrolls sideways by {width} px", [])] if width > 0 else [])
