"""A real Chromium in front of a real server with the demo practice."""

import contextlib
import threading
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask_migrate import upgrade
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from werkzeug.serving import make_server

from practice import conversations, demo
from practice.db import WRITE, db
from tests.browser.hosts import behind_proxy
from tests.conftest import new_database, test_settings
from tests.prepare import browser
from web.cli import MIGRATIONS
from wsgi import create_app

PATIENCE = 10_000  # ms for an answer on a busy machine; what may not take so long is measured where speed is
expect.set_options(timeout=PATIENCE)
APPS: dict[str, Any] = {}  # by their address, for tests that prepare what no page of theirs does


def demo_app(url: str, address: str) -> Any:
    return create_app(test_settings(url, IS_DEMO=True, PORTAL_URL=address, TRUSTED_HOSTS=["127.0.0.1"]))


def leave(app: Any) -> None:
    """Closes the connections to its database."""
    with app.app_context():
        for engine in db.engines.values():
            engine.dispose()


@pytest.fixture(scope="session")
def demo_practice(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a database with the demo practice, for copies alone."""
    with new_database(request.config.getoption("--database"), tmp_path_factory.mktemp("demo")) as url:
        app = demo_app(url, "http://127.0.0.1")
        with app.app_context():
            upgrade(str(MIGRATIONS))
            demo.fill()
            db.session.remove()
        leave(app)
        yield url


@contextlib.contextmanager
def served(config: pytest.Config, folder: Path, demo_practice: str) -> Iterator[str]:
    """The address of a demo practice of one's own; with `--hosts 2` served by so many, each a process, behind a proxy."""
    with new_database(config.getoption("--database"), folder, like=demo_practice) as url:
        hosts = config.getoption("--hosts")
        with behind_proxy(hosts, partial(demo_app, url)) if hosts else threaded() as address:
            APPS[address] = app = demo_app(url, address)
            yield address
        leave(app)


@contextlib.contextmanager
def threaded() -> Iterator[str]:
    """An address that the application in APPS answers at."""
    server = make_server("127.0.0.1", 0, lambda *said: APPS[address](*said), threaded=True)  # noqa: PLW0108 - not known yet
    address = f"http://127.0.0.1:{server.port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield address
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def live(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, demo_practice: str) -> Iterator[str]:
    """The address of the demo practice, served for this run."""
    with contextlib.ExitStack() as ends:
        with pytest.MonkeyPatch.context() as patch:  # as for each test, which comes too late for hosts of their own
            patch.setattr(conversations, "UNDO", timedelta(0))
            address = ends.enter_context(served(request.config, tmp_path_factory.mktemp("live"), demo_practice))
        yield address


@pytest.fixture
def own(request: pytest.FixtureRequest, tmp_path: Path, demo_practice: str) -> Iterator[str]:
    """The address of a demo practice that this test may turn upside down."""
    with served(request.config, tmp_path, demo_practice) as address:
        yield address


@pytest.fixture
def own_database(own: str) -> sa.Engine:
    """Its database, for what only time would bring."""
    with APPS[own].app_context():
        return db.engines[WRITE]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = browser()
    if not path:
        pytest.skip("no Chromium is installed")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


class Desk:
    """Somebody at a screen: clicks what is written on the page, reads."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.context, self.address = context, address
        self.page: Page = context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def go(self, path: str) -> Any:
        return self.page.goto(self.address + path)

    def log_in(self, login: str) -> None:
        self.go("/login")
        self.page.get_by_label("E-mail").fill(f"{login}@demo.example")
        self.page.get_by_label("Password").fill(demo.PASSWORD)
        self.page.get_by_role("button", name="Log in").click()
        self.page.wait_for_url(lambda url: "/login" not in url)


class Desks:
    """`desks(login, js=…, **how)`: the desk of a person (None: nobody), kept for the run; how: viewport, color_scheme."""

    def __init__(self, chromium: Browser, address: str) -> None:
        self.chromium, self.address = chromium, address
        self.kept: dict[str, Desk] = {}

    def __call__(self, login: str | None, *, js: bool = True, **how: Any) -> Desk:
        name = f"{login} {js} {how}"
        if name not in self.kept:
            seen = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"} | how
            context = self.chromium.new_context(java_script_enabled=js, **seen)
            context.set_default_timeout(PATIENCE)
            self.kept[name] = Desk(context, self.address)
            if login:
                self.kept[name].log_in(login)
        elif login:
            self.kept[name].go("/login")  # leads home
        return self.kept[name]

    def rest(self) -> None:
        """Nobody's page asks for news while others are tested."""
        for one in self.kept.values():
            one.page.goto("about:blank")

    def leave(self) -> None:
        for one in self.kept.values():
            one.context.close()
        assert [error for one in self.kept.values() for error in one.errors] == []


@pytest.fixture(scope="session")
def kept_desks(chromium: Browser, live: str) -> Iterator[Desks]:
    at = Desks(chromium, live)
    yield at
    at.leave()


@pytest.fixture
def desks(kept_desks: Desks) -> Iterator[Desks]:
    """People in front of the demo practice that all tests share; they stay logged in."""
    yield kept_desks
    kept_desks.rest()


@pytest.fixture
def own_desks(chromium: Browser, own: str) -> Iterator[Desks]:
    """People in front of a practice of this test's own."""
    at = Desks(chromium, own)
    yield at
    at.leave()
