"""A demo practice of this run's own behind gunicorn, and somebody in front of it who speaks plain HTTP."""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from socket import create_server
from urllib.parse import urlencode, urljoin, urlsplit

from practice.demo import PASSWORD

HOST = "127.0.0.1"  # the one address that is ever scanned
ROLES = {
    "anonymous": ("", "/login"),
    "patient": ("sophie", "/"),
    "staff": ("frontdesk", "/staff/"),
    "admin": ("admin", "/admin/"),
}
# Ends the log-in of who scans; the other addresses end it for themselves or for the roles after them.
LEFT_OUT = ("/logout", "/log-ins/", "/lock", "/disabling", "/second-step", "/account/password", "/refusal", "/merge")
KEY = re.compile(r"(?<=/)[\w-]{22}(?=/|\?|$)")
PAGES = 60  # that one role looks at


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str
    seconds: float


@dataclass(frozen=True)
class Target:
    """What a form or a link sends: the same page about another message is the same target."""

    method: str
    path: str
    form: tuple[tuple[str, str], ...] = ()

    @property
    def kind(self) -> tuple[str, str, tuple[str, ...]]:
        address = urlsplit(self.path)
        names = [name.partition("=")[0] for name in address.query.split("&") if name]
        return self.method, KEY.sub("KEY", address.path), tuple(sorted({*names, *(name for name, _ in self.form)}))


@dataclass
class Visitor:
    """Somebody without a browser; the cookie is kept, though it is for https only."""

    port: int
    name: str = ""
    cookie: str = ""
    source: str = ""  # the address of this machine that it comes from

    def ask(self, method: str, path: str, form: dict[str, str] | None = None) -> Answer:
        connection = HTTPConnection(HOST, self.port, timeout=30, source_address=(self.source, 0) if self.source else None)
        headers = {"Cookie": self.cookie} if self.cookie else {}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        begun = time.perf_counter()
        with contextlib.closing(connection):
            connection.request(method, path, None if form is None else urlencode(form), headers)
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
        seconds = time.perf_counter() - begun
        if set_cookie := response.headers.get("Set-Cookie"):
            self.cookie = set_cookie.partition(";")[0]
        return Answer(response.status, dict(response.headers), text, seconds)

    def token(self, path: str = "/login") -> str:
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', self.ask("GET", path).text)
        assert found, f"{path} has no form"
        return found[1]

    def log_in(self) -> "Visitor":
        form = {"email": f"{self.name}@demo.example", "password": PASSWORD, "csrf_token": self.token()}
        assert self.ask("POST", "/login", form).status == 303, f"{self.name} could not log in"
        return self

    def is_in(self) -> bool:
        return self.name == "" or self.ask("GET", "/login").status == 303


@dataclass
class Page(HTMLParser):
    """The links and forms of a page, the forms filled in as somebody would who presses the button at once."""

    address: str
    links: list[str] = field(default_factory=list)
    forms: list[Target] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._form: tuple[str, str] | None = None
        self._fields: dict[str, str] = {}
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in has:
            self.links.append(urljoin(self.address, has["href"]))
        elif tag == "form":
            self._form = (has.get("method", "get").upper(), urljoin(self.address, has.get("action", "")))
            self._fields = {}
        elif self._form and (name := has.get("name")):
            if tag == "select":
                self._select = name
            elif tag == "textarea" or (tag == "input" and has.get("type", "text") not in ("file", "checkbox", "radio", "submit")):
                self._fields[name] = has.get("value") or "scan"
            elif tag in ("input", "button") and has.get("type") != "file":
                self._fields.setdefault(name, has.get("value", ""))
        elif tag == "option" and self._select and has.get("value"):
            self._fields.setdefault(self._select, has["value"])

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        elif tag == "form" and self._form:
            method, address = self._form
            if method == "POST":
                self.forms.append(Target(method, address, tuple(self._fields.items())))
            elif self._fields:
                self.links.append(f"{address.partition('?')[0]}?{urlencode(self._fields)}")
            self._form = None


def targets(visitor: Visitor, start: str) -> list[Target]:
    """What this visitor's pages lead to, one of each kind, breadth first."""
    found: dict[tuple[str, str, tuple[str, ...]], Target] = {}
    waiting, looked_at = [start], 0
    while waiting and looked_at < PAGES:
        path = waiting.pop(0)
        answer = visitor.ask("GET", path)
        looked_at += 1
        if answer.status == 303:
            waiting.append(answer.headers["Location"])
        if "text/html" not in answer.headers.get("Content-Type", "") or answer.status != 200:
            continue
        page = Page(path)
        page.feed(answer.text)
        for target in [*(Target("GET", link.partition("#")[0]) for link in page.links), *page.forms]:
            if not target.path.startswith("/") or any(part in target.path for part in (*LEFT_OUT, "/static/")):
                continue
            if target.kind not in found:
                found[target.kind] = target
                if target.method == "GET":
                    waiting.append(target.path)
    return list(found.values())


@contextlib.contextmanager
def demo_practice(folder: Path) -> Iterator[int]:
    """The port of a fresh demo practice in `folder`, for as long as this lasts."""
    env = {"PORTAL_MODE": "demo", "DATA_DIR": str(folder), "DATABASE_URL": f"sqlite:///{folder / 'portal.sqlite3'}"}
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "prepare"]
    subprocess.run(command, env=os.environ | env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with served(folder, env) as port:
        yield port


@contextlib.contextmanager
def served(folder: Path, env: dict[str, str]) -> Iterator[int]:
    """The port on which gunicorn serves what `env` says, as `make run` does; its log is in `folder`."""
    with create_server((HOST, 0)) as free:
        port: int = free.getsockname()[1]
    env = env | {"PORT": str(port), "PORTAL_URL": f"http://{HOST}:{port}", "PROXY_ADDRESS": ""}
    command = [sys.executable, "-m", "gunicorn", "--workers", "2", "--bind", f"{HOST}:{port}", "--no-control-socket"]
    command += ["--header-map", "drop", "--logger-class", "web.server_log.ServerLogger", "wsgi:create_app()"]
    with (folder / "gunicorn.log").open("w") as log:
        process = subprocess.Popen(command, env=os.environ | env, stdout=log, stderr=log)
        try:
            _wait(port, process)
            yield port
        finally:
            process.terminate()
            process.wait(60)  # it waits for 30 seconds itself


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError, HTTPException):
            if Visitor(port).ask("GET", "/healthz").status == 200:
                return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit("scan: gunicorn does not start")
