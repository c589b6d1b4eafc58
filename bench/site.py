"""One database of a size, with the product and the floor serving it, and people logged in."""

import contextlib
import gzip
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa
from flask import Flask
from flask_migrate import upgrade
from flask_wtf.csrf import generate_csrf
from sqlalchemy import event
from werkzeug.test import Client

from bench import crowd
from practice import load, sessions
from practice.communicators import Communicator, box_of
from practice.db import Actor, db
from practice.inbox import Wanted, threads_for
from practice.patient_search import PatientSearch, patients_like
from practice.people import Person, Staff
from practice.settings import RequestType
from practice.threads import Message, Thread, ThreadState
from tests.prepare import answers, postgresql_url
from web import config
from web.cli import MIGRATIONS
from wsgi import create_app

WORKERS = 2
BUSY = "frontdesk"  # the member of staff who asks
PATIENTS = 24  # who submit in turn: sixty an hour is the limit of one
FOUND = 4  # threads a search by name shows, at both sizes


def databases() -> Iterator[str]:
    yield "sqlite"
    if answers(postgresql_url()):
        yield "postgresql"
    else:
        print("bench: no PostgreSQL answers (name one in TEST_DATABASE_URL); SQLite alone is measured", file=sys.stderr)


@dataclass(frozen=True)
class Asked:
    """A request."""

    method: str
    path: str
    form: dict[str, Any] | None
    headers: dict[str, str]
    body: bytes | None = None  # instead of a form; its type is in the headers


@dataclass(frozen=True)
class Answer:
    status: int
    body: str
    location: str
    seconds: float


@dataclass(frozen=True)
class LoggedIn:
    """A browser's side of a session."""

    person: int
    cookie: str
    token: str


class Served:
    """Something under gunicorn on a port of its own; asked without keep-alive."""

    def __init__(self, target: str, folder: Path, env: dict[str, str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        env = {name: value.replace("PORT", str(self.port)) for name, value in env.items()}
        command = [sys.executable, "-m", "gunicorn", "--workers", str(WORKERS), "--bind", f"127.0.0.1:{self.port}"]
        command += ["--no-control-socket", "--header-map", "drop", "--log-level", "warning", target]
        self.log = (folder / f"{target.partition(':')[0]}.log").open("w")
        self.process = subprocess.Popen(command, env=os.environ | env, stdout=self.log, stderr=self.log)

    def ask(self, asked: Asked) -> Answer:
        body = urlencode(asked.form).encode() if asked.form is not None else asked.body
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {}
        headers |= asked.headers | {"Connection": "close"}
        begun = time.perf_counter()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(asked.method, asked.path, body, headers)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        seconds = time.perf_counter() - begun
        if response.headers.get("Content-Encoding") == "gzip":
            text = gzip.decompress(text)
        return Answer(response.status, text.decode(), response.headers.get("Location", ""), seconds)

    def wait(self, path: str) -> None:
        for _ in range(200):
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError):
                if self.ask(Asked("GET", path, None, {})).status < 500:
                    return
            time.sleep(0.1)
        self.end()
        raise SystemExit(f"bench: it does not start:\n{Path(self.log.name).read_text(encoding='utf-8')[-2000:]}")

    def megabytes(self) -> float:
        """The memory of the largest worker."""
        listed = subprocess.run(["ps", "-A", "-o", "ppid=,rss="], capture_output=True, text=True, check=True).stdout
        sizes = [int(rss) for parent, rss in map(str.split, listed.splitlines()) if int(parent) == self.process.pid]
        return max(sizes) / 1024

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        self.log.close()


class Site:
    """A loaded database of a kind and size, both servers on it, and the people who ask. Ends by itself. `is_crowded`: in a
    large practice."""

    def __init__(self, kind: str, messages: int, folder: Path, *, is_crowded: bool = False) -> None:
        self.kind, self.messages, self.is_crowded = kind, messages, is_crowded
        self.folder = folder / f"{messages}{'-crowded' if is_crowded else ''}"
        self.folder.mkdir()
        self.chosen: dict[str, str] = {}  # what the admin's pages are about
        self.filter = ""  # the address of the search, once it was made
        self.ends = contextlib.ExitStack()

    def __enter__(self) -> "Site":
        try:
            self._begin()
        except BaseException:
            self.ends.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.ends.close()

    def _begin(self) -> None:
        self.url = self.ends.enter_context(new_database(self.kind, self.folder))
        env = {
            "PORTAL_MODE": "production",
            "PORTAL_URL": "http://127.0.0.1:PORT",
            "SECRET_KEY": secrets.token_hex(32),
            "DATABASE_URL": self.url,
            "DATA_DIR": str(self.folder),
        }
        self.app = create_app(config.read(env | {"PORTAL_URL": "http://127.0.0.1:1"}))
        self.ends.enter_context(self.app.app_context())
        self.ends.callback(self._close_engines)
        upgrade(str(MIGRATIONS))
        say = f"bench: {self.kind}, {self.messages} messages: "
        load.fill(patients=None, messages=self.messages, seed=1, say=lambda words: print(say + words, file=sys.stderr))
        self.staff = self._log_in(db.session.scalars(sa.select(Person).join(Staff).where(Staff.login == BUSY)).one())
        self.admin = self._log_in(db.session.scalars(sa.select(Person).join(Staff).where(Staff.is_admin).limit(1)).one())
        self._choose()
        if self.is_crowded:
            crowd.gather(lambda words: print(say + words, file=sys.stderr))
        self.product = Served("wsgi:create_app()", self.folder, env)
        self.ends.callback(self.product.end)
        self.product.wait("/healthz")

    def serve_floor(self, reads: dict[str, list[tuple[str, Any]]], pages: Sequence[dict[str, Any]] = ()) -> None:
        """`pages`: of the admin, by their number."""
        told = self.folder / "floor.json"
        text = json.dumps({"url": self.url, "reads": reads, "pages": pages}, default=str)
        told.write_text(text, encoding="utf-8")
        self.floor = Served("bench.floor:create_app()", self.folder, {"FLOOR": str(told)})
        self.ends.callback(self.floor.end)
        self.floor.wait("/rows/0" if pages else "/inbox")

    def _close_engines(self) -> None:
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()

    def _choose(self) -> None:
        """What is asked for: threads to open and to answer, a name to search, a recipient; alike at both sizes."""
        box = box_of(db.session(), self.staff.person, None)
        audiences = [audience.id for audience in box.shared if audience.in_box]
        rows = threads_for(audiences, own_patient=0).rows
        counted = sa.select(sa.func.count()).where(Message.thread_id == Thread.id).scalar_subquery()
        of_three = sa.select(Thread.key).where(Thread.audience_id.in_(audiences), counted == 3, Thread.type == RequestType.OTHERS)
        self.to_open = db.session.scalars(of_three.order_by(Thread.id).limit(1)).one()
        self.to_answer = [row.key for row in rows if row.state == ThreadState.ANSWERED][:8]
        self.to = db.session.scalars(sa.select(Communicator.key).where(Communicator.title == "Clinicians")).one()
        self.mine = {row.key: box.mine_of(row.audience_id)[0] for row in rows}
        people = db.session.scalars(
            sa.select(Person).where(Person.kind == "patient", Person.email.like("patient%")).limit(PATIENTS)
        )
        self.patients = [self._log_in(person) for person in people.all()]
        self.name = self._name_with(FOUND, audiences)
        db.session.close()

    def _name_with(self, wanted: int, audiences: list[int]) -> str:
        """The beginning of a name whose threads in the box are so many."""
        names = db.session.scalars(sa.select(Person.name_key).where(Person.kind == "patient").order_by(Person.name_key)).all()
        for beginning in sorted({name[:length] for name in names for length in range(1, len(name) + 1)}):
            found = tuple(patients_like(PatientSearch(last=beginning), limit=201))
            if len(found) <= 12 and len(threads_for(audiences, own_patient=0, wanted=Wanted(patients=found)).rows) == wanted:
                return beginning
        raise SystemExit("bench: no name fits")

    def _log_in(self, person: Person) -> LoggedIn:
        """A session as the log-in makes it, without the price of hashing."""
        secret = sessions.open_session(person, by=Actor(person.id, person.name))
        number = person.id
        with fresh(self.app), self.app.test_request_context(base_url="https://127.0.0.1") as context:
            context.session["key"] = secret
            token = generate_csrf()
            response = self.app.response_class()
            self.app.session_interface.save_session(self.app, context.session, response)
        return LoggedIn(number, response.headers["Set-Cookie"].partition(";")[0], token)

    def statements_of(self, asked: Asked, *, answered: tuple[int, ...] = (200, 303)) -> list[tuple[str, Any]]:
        """What the product sends for a request, as the driver gets it."""
        found: list[tuple[str, Any]] = []

        def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
            if not statement.startswith(("BEGIN", "PRAGMA", "SET ")):
                found.append((statement, list(values) if isinstance(values, tuple) else values))

        with fresh(self.app):
            engines = list(db.engines.values())
            for engine in engines:
                event.listen(engine, "before_cursor_execute", note)
            how: dict[str, Any] = {"base_url": "http://127.0.0.1:1", "headers": asked.headers, "data": asked.form}
            answer = Client(self.app, use_cookies=False).open(asked.path, method=asked.method, **how)
            for engine in engines:
                event.remove(engine, "before_cursor_execute", note)
        if answer.status_code not in answered:
            raise SystemExit(f"bench: {asked.path} is answered {answer.status_code}:\n{answer.get_data(as_text=True)[:3000]}")
        return found


@contextlib.contextmanager
def fresh(app: Flask) -> Iterator[None]:
    """Asked as a server asks: with a `g` and a database session of its own."""
    db.session.remove()
    with app.app_context():
        yield


@contextlib.contextmanager
def new_database(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database, gone afterwards."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'portal.sqlite3'}"
        return
    name = f"portal_bench_{uuid.uuid4().hex[:12]}"
    engine = sa.create_engine(postgresql_url(), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE template0"))
    try:
        yield sa.make_url(postgresql_url()).set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
        engine.dispose()
