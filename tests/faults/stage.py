"""A practice with people logged in, on a database of its own, and the product's processes before it."""

import contextlib
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.client import HTTPException
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask
from flask_migrate import upgrade
from flask_wtf.csrf import generate_csrf
from sqlalchemy.orm import Session

from practice import conversations, load, outbox, routing, sessions
from practice.communicators import Communicator
from practice.db import COMMAND, SYSTEM, WRITE, Actor, db, new_key, transaction
from practice.people import Kind, Person, Staff
from practice.settings import Practice, RequestType, SecondStepFor
from practice.threads import Thread
from tests.faults.book import NotRun, must
from tests.faults.senders import Answer, Browser, Crowd, Sender, ask, free_port
from web import config
from web.cli import MIGRATIONS
from wsgi import create_app

PATIENTS, MESSAGES = 480, 2000
SECRET = secrets.token_hex(32)
METRICS_TOKEN = secrets.token_hex(32)
STAFF, ADMIN = "frontdesk", "ada"


class Cluster:
    """A PostgreSQL server of our own, that may crash. As root it runs as the user postgres, who alone may start one."""

    def __init__(self, folder: Path) -> None:
        if not shutil.which("initdb") or not shutil.which("pg_ctl"):
            raise NotRun("initdb and pg_ctl are not on the PATH")
        self.folder, self.port = folder / "server", free_port()
        self.user = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        self.folder.mkdir()
        if self.user:
            shutil.chown(self.folder, "postgres", "postgres")
        self.run(
            "initdb", "--data-checksums", "--auth=trust", "--username=postgres", "--encoding=UTF8", f"--pgdata={self.folder}"
        )
        said = f"port = {self.port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n"
        with (self.folder / "postgresql.conf").open("a") as file:
            file.write(said)
        self.start()

    def run(self, *command: str, env: dict[str, str] | None = None) -> None:
        done = subprocess.run(
            command, env=os.environ | (env or {}), capture_output=True, text=True, cwd="/", check=False, **self.user
        )  # type: ignore[call-overload]
        must(done.returncode == 0, f"{command[0]}: {done.stderr or done.stdout}")

    def start(self, *before: str) -> None:
        log = self.folder / "log"
        self.run(*before, "pg_ctl", "start", "--wait", f"--pgdata={self.folder}", f"--log={log}", "--silent")

    def stop(self, mode: str = "fast") -> None:
        self.run("pg_ctl", "stop", f"--mode={mode}", f"--pgdata={self.folder}", "--silent")

    def url(self, name: str = "postgres") -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{name}"

    def command(self, sql: str, *, database: str = "postgres") -> None:
        engine = sa.create_engine(self.url(database), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql(sql)


class Web:
    """The pages under gunicorn, by the options of `make run`."""

    def __init__(self, env: dict[str, str], folder: Path, *options: str, before: Sequence[str] = (), **how: Any) -> None:
        self.port = int(env["PORT"])
        self.log = folder / f"web-{uuid.uuid4().hex[:6]}.log"
        command = [*before, sys.executable, "-m", "gunicorn", "--workers", "2", "--bind", f"127.0.0.1:{self.port}"]
        command += ["--no-control-socket", "--header-map", "drop", "--logger-class", "web.server_log.ServerLogger", *options]
        target = how.pop("target", "tests.faults.warm:create_app()")
        with self.log.open("w") as log:
            self.process = subprocess.Popen([*command, target], env=os.environ | env, stdout=log, stderr=log, **how)

    def wait(self, seconds: float = 60) -> "Web":
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(OSError, HTTPException):
                if ask(self.port, "/healthz").status < 500:
                    return self
            time.sleep(0.1)
        raise NotRun(f"the pages do not start: {self.said()[-300:]}")

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def workers(self) -> list[int]:
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True, check=False
        )
        return [int(one) for one in listed.stdout.split()]

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@dataclass(frozen=True)
class Through:
    """The pages, by another port than their own."""

    port: int


@dataclass
class Child:
    """A command that runs, from the nursery."""

    pid: int
    output: Path

    def is_alive(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def kill(self, by: int = signal.SIGKILL) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, by)

    def wait(self, seconds: float = 120) -> tuple[int | None, str]:
        """Its exit status, where it ended by itself, and what it said."""
        until = time.monotonic() + seconds
        while self.is_alive() and time.monotonic() < until:
            time.sleep(0.02)
        must(not self.is_alive(), "a command does not end")
        status = Path(f"{self.output}.status")
        said = self.output.read_text(encoding="utf-8") if self.output.exists() else ""  # it may be gone before it spoke
        return int(status.read_text()) if status.exists() else None, said


class Nursery:
    def __init__(self, env: dict[str, str], folder: Path, before: Sequence[str] = ()) -> None:
        self.folder = folder
        command = [*before, sys.executable, "-m", "tests.faults.nursery"]
        log = (folder / "nursery.log").open("a")
        self.process = subprocess.Popen(
            command, env=os.environ | env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
        log.close()
        must(self.process.stdout and self.process.stdout.readline() == "ready\n", (folder / "nursery.log").read_text()[-300:])

    def begin(self, *arguments: str, **settings: Any) -> Child:
        output = self.folder / f"{arguments[0]}-{uuid.uuid4().hex[:8]}.log"
        told = {"arguments": arguments, "settings": settings, "output": str(output)}
        print(json.dumps(told), file=self.process.stdin, flush=True)
        return Child(int(self.process.stdout.readline()), output)  # type: ignore[union-attr]

    def end(self) -> None:
        self.process.stdin.close()  # type: ignore[union-attr]
        self.process.wait(20)
        self.process.stdout.close()  # type: ignore[union-attr]


@dataclass
class Stage:
    """One practice. `people`: patients, each of whom may send sixty times an hour; `told`: who hears of what they send `to`."""

    kind: str
    url: str
    folder: Path
    chance: random.Random
    crowd: Crowd
    cluster: Cluster | None
    people: list[Browser] = field(default_factory=list)
    staff: Browser = Browser(0, "", "")
    admin: Browser = Browser(0, "", "")
    to: str = ""
    told: frozenset[int] = frozenset()
    ends: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    used: int = 0
    app: Flask | None = None
    _web: Web | None = None
    _nursery: Nursery | None = None

    # ---- The database --------------------------------------------------------------------------

    def engine(self) -> sa.Engine:
        return sa.create_engine(self.url, poolclass=sa.NullPool)

    def rows(self, statement: str, **values: Any) -> list[Any]:
        with self.engine().connect() as connection:
            return list(connection.execute(sa.text(statement), values))

    def value(self, statement: str, **values: Any) -> Any:
        return self.rows(statement, **values)[0][0]

    def change(self, statement: str, **values: Any) -> int:
        with self.engine().begin() as connection:
            return connection.execute(sa.text(statement), values).rowcount

    @contextlib.contextmanager
    def copy(self, folder: Path | None = None) -> Iterator["Stage"]:
        """The same practice and people on a database of their own, for what damages it. Nobody may be connected."""
        self.rest()
        other = folder or self.folder / uuid.uuid4().hex[:8]
        other.mkdir(exist_ok=True)
        other.chmod(0o755)
        if self.kind == "sqlite":
            shutil.copy(str(sa.make_url(self.url).database), other / "portal.sqlite3")
            url = f"sqlite:///{other / 'portal.sqlite3'}"
        else:
            cluster, name = self.cluster, f"copy_{uuid.uuid4().hex[:8]}"
            assert cluster is not None
            cluster.command(f"CREATE DATABASE {name} TEMPLATE {sa.make_url(self.url).database}")
            url = cluster.url(name)
        copied = replace(self, url=url, app=None, folder=other, ends=contextlib.ExitStack(), _web=None, _nursery=None)
        try:
            yield copied
        finally:
            copied.rest()
            if self.kind == "postgresql":
                cluster.command(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    # ---- The processes -------------------------------------------------------------------------

    def env(self, port: int, **more: str) -> dict[str, str]:
        return {
            "PORTAL_MODE": "production",
            "PORTAL_URL": f"http://127.0.0.1:{port}",
            "PORT": str(port),
            "SECRET_KEY": SECRET,
            "METRICS_TOKEN": METRICS_TOKEN,
            "DATABASE_URL": self.url,
            "DATA_DIR": str(self.folder / "data"),
            "FAULTS_WARM": self.first_form(),
        } | more

    def first_form(self) -> str:
        """What a process of the pages has sent before the first person asks (warm.py)."""
        if not self.people:
            return ""
        who = self.people[-1]
        return json.dumps({"cookie": who.cookie, "form": self.form() | {"csrf_token": who.token}})

    @contextlib.contextmanager
    def serve(self, *options: str, env: dict[str, str] | None = None, waits: bool = True, **how: Any) -> Iterator[Web]:
        web = Web(self.env(how.pop("port", free_port())) | (env or {}), self.folder, *(options or ("--preload",)), **how)
        try:
            yield web.wait() if waits else web
        finally:
            web.end()

    @property
    def web(self) -> Web:
        """The pages as all share them who need nothing special."""
        if self._web is None or self._web.process.poll() is not None:
            self._web = self.ends.enter_context(self.serve())
        return self._web

    @property
    def nursery(self) -> Nursery:
        if self._nursery is None:
            self._nursery = Nursery(self.env(1), self.folder)
            self.ends.callback(self._nursery.end)
        return self._nursery

    @contextlib.contextmanager
    def worker(self, smtp_port: int = 0, nursery: Nursery | None = None) -> Iterator[Child]:
        child = self.begin_worker(smtp_port, nursery)
        try:
            yield child
        finally:
            child.kill(signal.SIGTERM)
            child.wait()

    def begin_worker(self, smtp_port: int = 0, nursery: Nursery | None = None) -> Child:
        mail = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": smtp_port, "MAIL_FROM": "portal@practice.example"} if smtp_port else {}
        return (nursery or self.nursery).begin("worker", **mail)

    def flask(self, *arguments: str) -> tuple[int | None, str]:
        return self.nursery.begin(*arguments).wait()

    def rest(self) -> None:
        """Ends what was begun on this database: nobody is connected."""
        self.ends.close()
        self._web = self._nursery = None

    # ---- What people do ------------------------------------------------------------------------

    def take(self, number: int) -> list[Browser]:
        """The next patients in turn, so that none sends too often."""
        found = [self.people[(self.used + n) % len(self.people)] for n in range(number)]
        self.used += number
        return found

    def form(self, **changed: str) -> dict[str, str]:
        words = f"{uuid.uuid4().hex[:8]}: may I come on Monday?"
        return {"key": new_key(), "to": self.to, "title": "A question", "body": words} | changed

    def send(self, who: Browser, form: dict[str, str], web: "Web | Through | None" = None, **how: Any) -> Answer:
        return ask((web or self.web).port, "/messages/new", who, form, **how)

    def senders(
        self, name: str, people: Sequence[Browser], processes: int = 4, web: Web | None = None, **how: Any
    ) -> list[Sender]:
        """With people each of whom is of one process."""
        port, over = (web or self.web).port, self.folder / f"{name}.over"
        parts = [people[n::processes] for n in range(processes)]
        return [
            Sender(f"{name}-{n}", port, part, self.to, self.chance.randrange(2**32), over, **how) for n, part in enumerate(parts)
        ]

    def queue_mails(self, people: Iterable[Browser]) -> list[str]:
        """A notice for each, of those that leave alone. Answers their keys, in order."""
        app = self.app or app_on(self)
        before = self.value("SELECT coalesce(max(id), 0) FROM outbox")
        with app.app_context(), transaction(by=SYSTEM, did="change_password") as tx:
            outbox.tell(tx, outbox.Occasion.PASSWORD, [one.person for one in people])
        dispose(app)
        return [row.key for row in self.rows("SELECT key FROM outbox WHERE id > :before ORDER BY id", before=before)]


def clock_moved(folder: Path, by: timedelta) -> list[str]:
    """What begins a command whose clock on the wall is wrong by so much."""
    return ["env", f"LD_PRELOAD={preloaded(folder, 'moved')}", f"CLOCK_MOVED={round(by.total_seconds())}"]


def preloaded(folder: Path, name: str) -> Path:
    """The library of one of the C files here."""
    if not shutil.which("cc"):
        raise NotRun(f"a C compiler is not installed, which makes {name}.c")
    library = folder / f"{name}.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(Path(__file__).with_name(f"{name}.c"))], check=True)
    return library


def dispose(app: Flask) -> None:
    with app.app_context():
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()


def app_on(stage: Stage) -> Flask:
    return create_app(config.read(stage.env(1)))


def set_up(stage: Stage) -> None:
    """Fills the database and logs people in."""
    app = app_on(stage)
    with app.app_context():
        upgrade(str(MIGRATIONS))
        load.fill(patients=PATIENTS, messages=MESSAGES, seed=1, say=lambda words: None)
        with transaction(by=COMMAND, did="set_up_tests") as tx:
            tx.session.execute(sa.update(Practice).values(second_step=SecondStepFor.NOBODY))
            tx.session.execute(sa.text("DELETE FROM outbox"))
        patients = sa.select(Person).where(Person.kind == Kind.PATIENT, Person.email.like("patient%")).order_by(Person.id)
        stage.people = [log_in(app, person) for person in db.session.scalars(patients).all()]
        staff = sa.select(Person).join(Staff)
        stage.staff = log_in(app, db.session.scalars(staff.where(Staff.login == STAFF)).one())
        stage.admin = log_in(app, db.session.scalars(staff.where(Staff.is_admin).limit(1)).one())
        stage.to = db.session.scalars(sa.select(Communicator.key).where(Communicator.title == "Clinicians")).one()
        one = stage.people[-1].person
        how: dict[str, Any] = {"title": "A", "body": "B", "to": stage.to, "form_key": new_key(), "by": Actor(one, "A patient")}
        sent = conversations.send(one, kind=RequestType.OTHERS, **how)
        with Session(db.engines[WRITE]) as session:
            stage.told = frozenset(routing.recipients(session, session.get_one(Thread, sent.thread_id)))
    dispose(app)
    stage.app = app
    must(len(stage.people) >= 400 and stage.told, "the loaded practice is too small for these tests")


def log_in(app: Flask, person: Person) -> Browser:
    """As the log-in makes it, without the price of hashing."""
    number, name = person.id, person.name
    secret = sessions.open_session(person, by=Actor(number, name))
    with app.app_context(), app.test_request_context(base_url="https://127.0.0.1") as context:  # with a `g` of its own
        context.session["key"] = secret
        token = generate_csrf()
        response = app.response_class()
        app.session_interface.save_session(app, context.session, response)
    return Browser(number, response.headers["Set-Cookie"].partition(";")[0], token)
