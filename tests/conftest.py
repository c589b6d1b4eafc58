"""A real database for every test, and a cast of named people who play in it."""

import atexit
import contextlib
import copy
import os
import secrets
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import argon2
import pytest
import sqlalchemy as sa
from flask import Flask, session
from flask.globals import _cv_app
from flask_migrate import upgrade
from flask_wtf.csrf import generate_csrf
from sqlalchemy import event
from werkzeug.test import Client, TestResponse

from practice import amendments, appointments, conversations, people, results, sessions, settings
from practice.communicators import Communicator, CommunicatorFacility, box_of, in_charge_of
from practice.coverage import save_communicator
from practice.db import COMMAND, WRITE, Actor, Base, db, new_key, now, transaction
from practice.documents import Section
from practice.errors import NotVisible
from practice.people import Gender
from practice.records import RecordValue
from practice.settings import RequestType
from practice.threads import Thread, last_message_id, thread_of_box
from tests.manners import check_manners
from tests.prepare import postgresql_url
from web.cli import MIGRATIONS
from web.config import database_settings
from wsgi import create_app

FILES = Path(tempfile.mkdtemp(prefix="portal-tests-files-"))  # of this process
atexit.register(shutil.rmtree, FILES, ignore_errors=True)
HOME = "https://localhost"  # the __Host- cookie is for https only


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=("sqlite", "postgresql"), default="sqlite", help="which one the tests run on")
    parser.addoption("--hosts", type=int, default=0, help="how many serve the browser's tests, each a process, behind a proxy")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--database") == "sqlite" or config.getoption("--hosts"):
        return
    for item in items:
        if item.get_closest_marker("once"):
            item.add_marker(pytest.mark.skip(reason="tried in a browser with SQLite, the server has tests on both"))


def test_settings(url: str, **more: Any) -> dict[str, Any]:
    return {
        "TESTING": False,  # as in production: errors become pages
        "IS_DEMO": False,
        "PORTAL_URL": HOME,
        "TRUSTED_HOSTS": ["localhost", "127.0.0.1"],
        "FILES_DIR": str(FILES),
        "CLAMD_SOCKET": "",
        "AUDIT_YEARS": None,
        "SMTP_HOST": "",
        "METRICS_TOKEN": "",
        "METRICS_DIR": f"{FILES}-metrics",
        "SECRET_KEY": "tests only, long enough to be accepted",
        "MIGRATION_DATABASE_URL": url,
        **database_settings(url),
    } | more


test_settings.__test__ = False  # type: ignore[attr-defined]


@contextlib.contextmanager
def new_database(kind: str, folder: Path, *, like: str = "") -> Iterator[str]:
    """The URL of a database, gone afterwards: an empty one, or a copy of the one at `like`, to which nobody is connected."""
    if kind == "sqlite":
        if like:
            shutil.copy(str(sa.make_url(like).database), folder / "tests.sqlite3")
        yield f"sqlite:///{folder / 'tests.sqlite3'}"
        return
    server = postgresql_url()
    if not server:
        pytest.skip("no PostgreSQL answers")
    name = f"portal_test_{uuid.uuid4().hex[:12]}"
    template = sa.make_url(like).database if like else "template0"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE {template}"))
        connection.execute(sa.text(f"ALTER DATABASE {name} SET synchronous_commit = off"))  # no test cuts the server's power
    try:
        yield sa.make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One migrated database for the whole run (of each worker); `app` empties it."""
    with new_database(request.config.getoption("--database"), tmp_path_factory.mktemp("database")) as url:
        yield url


@pytest.fixture(scope="session")
def one_app(database: str) -> Iterator[Flask]:
    app = create_app(test_settings(database))
    with app.app_context():
        upgrade(str(MIGRATIONS))
        yield app
        for engine in db.engines.values():
            engine.dispose()


Rows = list[tuple[sa.Table, list[dict[str, Any]]]]


def rows_of(engine: sa.Engine) -> Rows:
    """Every row there is, by table; tables without any are left out."""
    with engine.connect() as connection:
        found = ((table, connection.execute(sa.select(table)).mappings()) for table in Base.metadata.sorted_tables)
        return [(table, there) for table, rows in found if (there := [dict(row) for row in rows])]


def replace_rows(engine: sa.Engine, rows: Rows, *, later: timedelta) -> None:
    """Deletes every row, what is never changed too: the guards are set aside for this alone. Then puts these in, with every
    time moved on by `later`."""
    tables = list(reversed(Base.metadata.sorted_tables))
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
            connection.execute(sa.text(";".join(f"DELETE FROM {t.name}" for t in tables)))
        else:
            guards = connection.execute(sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")).all()
            for name, _ in guards:
                connection.execute(sa.text(f"DROP TRIGGER {name}"))
            for table in tables:
                connection.execute(sa.delete(table))
            for _, sql in guards:
                connection.execute(sa.text(sql))
        for table, found in rows:
            moved = [{n: v + later if isinstance(v, datetime) else v for n, v in row.items()} for row in found]
            connection.execute(table.insert(), moved)
        connection.commit()


@dataclass
class Scenes:
    """What tests begin with, made once through the product's verbs: a practice of its own row alone, and one with the cast."""

    bare: Rows
    full: Rows
    cast: "Cast"
    made_at: datetime
    tests: int = 0

    def set(self, engine: sa.Engine, *, with_cast: bool) -> None:
        replace_rows(engine, self.full if with_cast else self.bare, later=now() - self.made_at)
        self.tests += 1
        if engine.dialect.name == "postgresql" and self.tests % 50 == 0:  # a server without autovacuum gets slower by the test
            with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                connection.execute(sa.text("VACUUM"))


@pytest.fixture(scope="session")
def scenes(one_app: Flask) -> Scenes:
    engine = db.engines[WRITE]
    replace_rows(engine, [], later=timedelta(0))
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        practice = settings.new_practice()
        practice.name, practice.meaningful_use, practice.phone = "Test Practice", True, "(555) 010-0199"
        practice.second_step = settings.SecondStepFor.NOBODY  # a test that is about it asks for it
        tx.session.add(practice)
    bare = rows_of(engine)
    cast = Cast(one_app)
    return Scenes(bare, rows_of(engine), cast, now())


@pytest.fixture
def app(one_app: Flask, scenes: Scenes, request: pytest.FixtureRequest) -> Iterator[Flask]:
    """The application over a database that holds the practice's own row and, for who asks for it, the cast, in Meaningful
    Use mode."""
    db.session.remove()
    with one_app.app_context():
        scenes.set(db.engines[WRITE], with_cast="cast" in request.fixturenames)
        for path in FILES.iterdir():
            path.unlink()
        yield one_app
        db.session.remove()


@pytest.fixture
def ten_seconds() -> None:
    """For a test that asks for it answers are being sent for ten seconds, as in life."""


@pytest.fixture
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests with many passwords, none of which is worth anything."""
    monkeypatch.setattr(people, "_hasher", argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    monkeypatch.setattr(people, "_NOBODY", people.hash_password("a password nobody has"))


@pytest.fixture(autouse=True)
def answers_arrive_at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """For all others they have reached the patient as soon as they are sent."""
    if "ten_seconds" not in request.fixturenames:
        monkeypatch.setattr(conversations, "UNDO", timedelta(0))


# ---- The cast --------------------------------------------------------------------------------------------


@dataclass
class Player:
    """Somebody in front of a browser. Every page they are answered is checked for its manners."""

    app: Flask
    id: int = 0
    key: str = ""
    name: str = ""
    login: str = ""
    cookies: dict[str, str] = field(default_factory=dict)
    may_fail: bool = False  # a 500 is what this test wants to see

    def __post_init__(self) -> None:
        self.client = Client(self.app, TestResponse)
        if self.id and not self.cookies:
            self.log_in()

    def log_in(self) -> None:
        """A session as the log-in makes it, without the price of hashing."""
        person = db.session.get_one(people.Person, self.id)
        self.carry(key=sessions.open_session(person, by=Actor(self.id, self.name)))

    def carry(self, **values: str) -> None:
        """A cookie that holds these, as the portal would have set it."""
        with fresh_context(self.app), self.app.test_request_context(base_url=HOME) as context:
            context.session.update(values)
            context.session["csrf_token"] = secrets.token_hex(20)
            response = self.app.response_class()
            self.app.session_interface.save_session(self.app, context.session, response)
        name, _, rest = response.headers["Set-Cookie"].partition("=")
        self.cookies[name] = rest.partition(";")[0]

    @property
    def actor(self) -> Actor:
        return Actor(self.id, self.name)

    def token(self) -> str:
        """The CSRF token of this browser, as a form would carry it."""
        with fresh_context(self.app), self.app.test_request_context(base_url=HOME, headers=self._headers(False)):
            if "csrf_token" not in session:
                return ""
            return str(generate_csrf())

    def _headers(self, htmx: bool) -> dict[str, str]:
        headers = {"Cookie": "; ".join(f"{n}={v}" for n, v in self.cookies.items())} if self.cookies else {}
        return headers | ({"HX-Request": "true"} if htmx else {})

    def _open(self, method: str, url: str, htmx: bool, headers: dict[str, str] | None, **how: Any) -> TestResponse:
        client = Client(self.app, TestResponse, use_cookies=False)
        with fresh_context(self.app):
            response = client.open(
                url,
                method=method,
                base_url=HOME,
                headers=self._headers(htmx) | {"Referer": f"{HOME}/"} | (headers or {}),
                **how,
            )
            response.get_data()
            response.close()  # the file behind it, where there is one
        for cookie in response.headers.getlist("Set-Cookie"):
            name, _, rest = cookie.partition("=")
            self.cookies[name] = rest.partition(";")[0]
        is_fragment = htmx or "X-Poll" in (headers or {})
        check_manners(response, is_fragment=is_fragment, may_fail=self.may_fail)
        return response

    def get(self, url: str, *, htmx: bool = False, headers: dict[str, str] | None = None) -> TestResponse:
        return self._open("GET", url, htmx, headers)

    def post(
        self,
        url: str,
        data: dict[str, Any] | None = None,
        *,
        htmx: bool = False,
        headers: dict[str, str] | None = None,
        token: str | None = None,
    ) -> TestResponse:
        if token is None:
            token = self.token() or self._first_token()
        return self._open("POST", url, htmx, headers, data={"csrf_token": token} | (data or {}))

    def _first_token(self) -> str:
        answer = self.get("/login")
        if answer.status_code == 303:  # just logged in: the seed comes with the first page
            self.get(answer.location)
        return self.token()

    def open(self, method: str, url: str, **how: Any) -> TestResponse:
        return self._open(method, url, False, None, **how)


@contextlib.contextmanager
def fresh_context(app: Flask) -> Iterator[None]:
    """A request as a server sees it: without the test's own application context, whose `g` it would share."""
    db.session.remove()
    token = _cv_app.set(None)  # type: ignore[arg-type]
    try:
        yield
    finally:
        _cv_app.reset(token)


TITLES = {
    "Scheduler": (RequestType.APPOINTMENT, "sam fay"),
    "Media Manager": (RequestType.RESULT, "max"),
    "Clinicians": (RequestType.OTHERS, "nina fay"),
    "IT Manager": (RequestType.OTHERS, "ivan"),
    "Patient Info Manager": (RequestType.AMENDMENT, "rita"),
}
STAFF = {"ada": True, "sam": False, "max": False, "nina": False, "ivan": False, "rita": False, "fay": False, "dan": False}


class Cast:
    """Patients Sophie, Jihae and Hugo; Ada, an admin in charge of nothing; Sam (Scheduler), Max (Media Manager), Nina
    (Clinicians), Ivan (IT Manager), Rita (Patient Info Manager), Fay (Scheduler and Clinicians), Dan (nothing)."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.linden, self.oak, self.moreau = new_key(), new_key(), new_key()
        with transaction(by=COMMAND, did="set_up_tests") as tx:
            tx.session.add(settings.Facility(key=self.linden, name="Linden Street", address="14 Linden Street"))
            tx.session.add(settings.Facility(key=self.oak, name="Oak Lane", address="3 Oak Lane"))
            tx.session.add(settings.ReferringPhysician(key=self.moreau, name="MOREAU, CLAIRE"))
        for n, name in enumerate(("sophie", "jihae", "hugo")):
            setattr(self, name, self.patient(name, "KWON", number=n))
        for name, is_admin in STAFF.items():
            setattr(self, name, self.staff(name, is_admin=is_admin))
        for title, (kind, who) in TITLES.items():
            self.communicate(kind, title, *(getattr(self, name) for name in who.split()))
        with transaction(by=COMMAND, did="set_up_tests") as tx:
            for section, name, value in (
                (Section.VITALS, "Height", "165 cm"),
                (Section.ALLERGY, "Medicine: Penicillin", "Hives"),
            ):
                tx.session.add(
                    RecordValue(
                        key=new_key(),
                        patient_id=self.sophie.id,
                        section=section,
                        name=name,
                        value=value,
                        note="",
                        recorded_on=date(2025, 3, 4),
                    )
                )
        self.anonymous = Player(app)

    def again(self) -> "Cast":
        """The same people with browsers of their own."""
        other = copy.copy(self)
        for name, one in vars(self).items():
            if isinstance(one, Player):
                setattr(other, name, replace(one, cookies=dict(one.cookies)))
        return other

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)

    def patient(self, first: str, last: str, *, number: int = 50, record_number: str | None = "") -> Player:
        """One more patient, logged in."""
        made = people.add_patient(
            last=last,
            first=first.upper(),
            email=f"{first}@test.example",
            dob=date(1978, 2, 24 - number % 20),
            gender=Gender.FEMALE,
            phone=f"(555) 010-{100 + number:04}",
            record_number=f"{113 + number:08}" if record_number == "" else record_number,
            by=COMMAND,
        )
        return self._player(made, first)

    def staff(self, login: str, *, is_admin: bool = False, own_patient: int | None = None) -> Player:
        """One more member of staff, logged in."""
        made = people.add_staff(
            login=login,
            last="STAFF",
            first=login.upper(),
            email=f"{login}@test.example",
            level="Staff",
            is_admin=is_admin,
            own_patient=own_patient,
            by=COMMAND,
        )
        return self._player(made, login)

    def _player(self, person: int, login: str) -> Player:
        found = db.session.get_one(people.Person, person)
        return Player(self.app, person, found.key, found.name, login)

    def communicate(self, kind: RequestType, title: str, *staff: Player, is_in_use: bool = True, help: str = "") -> str:
        """One more communicator; answers its key."""
        return save_communicator(
            None, kind=kind, title=title, staff=[p.key for p in staff], is_in_use=is_in_use, help=help, by=COMMAND
        )

    def communicator(self, title: str) -> str:
        db.session.close()
        return db.session.scalars(sa.select(Communicator.key).where(Communicator.title == title)).one()

    def change(self, title: str, *, staff: list[Player] | None = None, is_in_use: bool = True) -> None:
        """Saves a communicator with other members or another status."""
        db.session.close()
        now_saved = db.session.scalars(sa.select(Communicator).where(Communicator.title == title)).one()
        keys = [one.key for one in (in_charge_of(db.session(), [now_saved.id])[now_saved.id] if staff is None else staff)]
        save_communicator(
            now_saved.key,
            kind=now_saved.type,
            title=title,
            staff=keys,
            is_in_use=is_in_use,
            version=now_saved.version,
            by=COMMAND,
        )

    def value_of(self, patient: Player) -> str:
        db.session.close()
        return db.session.scalars(sa.select(RecordValue.key).where(RecordValue.patient_id == patient.id).limit(1)).one()

    def send(self, patient: Player, kind: str = "Others", *, to: str = "Clinicians", body: str = "Hello", **more: Any) -> str:
        """A patient's request of a type, through its verb; answers the thread's key."""
        key, today = more.pop("form_key", None) or new_key(), now().date()
        common = {"form_key": key, "by": patient.actor}
        if kind == "Appointment":
            wish = appointments.Wish(
                facility=more.pop("facility", self.linden),
                first_day=today + timedelta(days=3),
                last_day=today + timedelta(days=9),
                reason=body,
            )
            return appointments.request_appointment(patient.id, wish, today=today, **common).thread_key
        if kind == "Result":
            order = results.Order(
                media=(results.Media.CD,),
                hand_over=results.HandOver.PICK_UP,
                location=more.pop("facility", self.linden),
                is_all_studies=True,
                comments=body,
            )
            return results.request_result(patient.id, order, today=today, **common).thread_key
        if kind == "Amendment":
            return amendments.request_amendment(patient.id, self.value_of(patient), to="167 cm", memo=body, **common).thread_key
        picked = self.communicator(to) if to else None
        title = more.pop("title", "A question")
        return conversations.send(patient.id, kind=RequestType.OTHERS, title=title, body=body, to=picked, **common).thread_key

    def send_mailed_result(self, patient: Player) -> str:
        """A result request without a location."""
        order = results.Order(media=(results.Media.REPORT,), hand_over=results.HandOver.MAIL, is_all_studies=True)
        return results.request_result(patient.id, order, today=now().date(), form_key=new_key(), by=patient.actor).thread_key

    def serve(self, title: str, *facilities: str) -> None:
        """The communicator serves these facilities (keys) and no others."""
        communicator = db.session.scalars(sa.select(Communicator.id).where(Communicator.title == title)).one()
        with transaction(by=COMMAND, did="set_up_tests") as tx:
            for key in facilities:
                facility = tx.session.scalars(sa.select(settings.Facility.id).where(settings.Facility.key == key)).one()
                tx.session.add(CommunicatorFacility(communicator_id=communicator, facility_id=facility))

    def version_of(self, title: str) -> int:
        db.session.close()
        return db.session.scalars(sa.select(Communicator.version).where(Communicator.title == title)).one()

    def sees(self, staff: Player, key: str) -> bool:
        """Whether the thread is in the box of this member of staff."""
        db.session.close()
        own = db.session.scalars(sa.select(people.Staff.own_patient_id).where(people.Staff.id == staff.id)).one()
        box = box_of(db.session, staff.id, own)
        try:
            thread_of_box(db.session, key, box.audiences, box.own_patient)
        except NotVisible:
            return False
        return True

    def thread(self, key: str) -> Thread:
        """The thread as it is stored now."""
        db.session.close()
        return db.session.scalars(sa.select(Thread).where(Thread.key == key)).one()

    def answer(self, staff: Player, key: str, body: str = "Good morning.") -> None:
        thread = self.thread(key)
        conversations.answer(key, body=body, form_key=new_key(), seen=last_message_id(db.session, thread.id), by=staff.actor)


@pytest.fixture
def cast(app: Flask, scenes: Scenes) -> Cast:
    """Copies, as a test may log its players off."""
    return scenes.cast.again()


@pytest.fixture
def statements(app: Flask) -> Any:
    """`with statements() as found: ...` collects the SQL that runs inside, BEGIN and COMMIT not counted."""

    @contextlib.contextmanager
    def counting() -> Iterator[list[str]]:
        found: list[str] = []

        def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if not statement.startswith(("BEGIN", "PRAGMA", "SET ")):
                found.append(statement)

        engines = list(db.engines.values())
        for engine in engines:
            event.listen(engine, "before_cursor_execute", note)
        try:
            yield found
        finally:
            for engine in engines:
                event.remove(engine, "before_cursor_execute", note)

    return counting


def browser_path() -> str | None:
    return next(filter(None, (shutil.which(n) for n in ("chromium", "chromium-browser", "google-chrome"))), None)


os.environ.setdefault("TZ", "UTC")
