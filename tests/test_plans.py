"""Every page without a key in its address, and every search, with 100,000 messages: no large table is read from end to end."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_migrate import upgrade
from flask_wtf.csrf import generate_csrf
from sqlalchemy import event
from werkzeug.test import Client

from bench.crowd import tidy
from bench.site import fresh
from practice import load, sessions
from practice.db import WRITE, Actor, db, new_key, now
from practice.people import Kind, Person, Staff
from practice.settings import RequestType
from practice.threads import PAGE, Thread
from practice.trays import BreakGlass
from tests.conftest import HOME, new_database, test_settings
from web.cli import MIGRATIONS
from wsgi import create_app

MESSAGES, LARGE = 100_000, 2_000  # rows from which on a table is not read from end to end
SMALL_INDEXES = {
    "ix_thread_waiting": "what waits for an answer now",
    "ix_appointment_request_state": "states alone, which the admin's numbers count",
    "ix_result_request_state": "the same",
}
SEARCHES: dict[str, tuple[tuple[str, dict[str, str]], ...]] = {
    "patient": (
        ("/messages/search", {"q": "refill"}),
        ("/messages/search", {"q": "refill", "box": "sent"}),
        ("/messages/search", {"type": RequestType.OTHERS, "unread": "y", "since": "2020-01-01", "until": "2030-01-01"}),
    ),
    "staff": tuple(
        ("/staff/searches", said)
        for said in (
            {"last_name": "a"}, {"last_name": "ko", "first_name": "s"}, {"dob": "1978-02-24"}, {"phone": "(555) 010-0101"},
            {"email": "patient1@load.example"}, {"type": RequestType.OTHERS}, {"first_day": "2020-01-01"}, {"unread": "y"},
            {"mine": "y"}, {"late": "y"}, {"urgent": "y"}, {"closed_too": "y"}, {"due_first": "y"},
        )
    ),
    "admin": (
        ("/admin/patients/searches", {"last_name": "ko"}),
        ("/admin/patients/searches", {"dob": "1978-02-24"}),
        ("/admin/patients/searches", {"record_number": "00000113"}),
        ("/admin/staff/searches", {"q": "front"}),
        ("/admin/audit/searches", {"kind": "changes"}),
        ("/admin/audit/searches", {"kind": "reads"}),
        ("/admin/audit/searches", {"kind": "denials"}),
        ("/admin/audit/searches", {"since": "2020-01-01", "until": "2020-01-02"}),
    ),
}  # fmt: skip
SIDES = {"patient": "/", "staff": "/staff/", "admin": "/admin/"}


class Browser:
    """Somebody logged in, whose statements are noted."""

    def __init__(self, app: Flask, person: Person) -> None:
        self.app, self.client, self.sent = app, Client(app, use_cookies=False), list[tuple[str, Any]]()
        secret = sessions.open_session(person, by=Actor(person.id, person.name))
        with fresh(app), app.test_request_context(base_url=HOME) as context:
            context.session["key"] = secret
            self.token = generate_csrf()
            response = app.response_class()
            app.session_interface.save_session(app, context.session, response)
        self.cookie = response.headers["Set-Cookie"].partition(";")[0]

    def ask(self, path: str, form: dict[str, str] | None = None) -> Any:
        def note(_c: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
            self.sent.append((statement, values))

        for engine in db.engines.values():
            event.listen(engine, "before_cursor_execute", note)
        headers = {"Cookie": self.cookie, "Referer": HOME, "Sec-Fetch-Site": "same-origin"}
        data = {**form, "csrf_token": self.token} if form is not None else None
        with fresh(self.app):
            answer = self.client.open(path, method="GET" if form is None else "POST", data=data, base_url=HOME, headers=headers)
        for engine in db.engines.values():
            event.remove(engine, "before_cursor_execute", note)
        return answer


@pytest.fixture(scope="module")
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    with new_database(request.config.getoption("--database"), tmp_path_factory.mktemp("large")) as url:
        app = create_app(test_settings(url))
        with app.app_context():
            upgrade(str(MIGRATIONS))
            load.fill(patients=None, messages=MESSAGES, seed=1, say=lambda _: None)
            _open_some()
            tidy()
            yield app
            db.session.remove()
            for engine in db.engines.values():
                engine.dispose()


def _open_some() -> None:
    """Envelopes opened with a reason: the load has none, and of an empty table a database knows nothing."""
    with db.engines[WRITE].begin() as connection:
        admin = connection.scalar(sa.select(Staff.id).where(Staff.is_admin).limit(1))
        for thread in connection.scalars(sa.select(Thread.id).limit(PAGE)).all():
            said = {"key": new_key(), "thread_id": thread, "staff_id": admin, "reason": "Asked", "at": now(), "ends_at": now()}
            connection.execute(sa.insert(BreakGlass).values(said))


def somebody(side: str) -> Person:
    """A patient, the member of staff in charge of most, an admin."""
    wanted = sa.select(Person).order_by(Person.id).limit(1)
    if side == "patient":
        return db.session.scalars(wanted.where(Person.kind == Kind.PATIENT, Person.email.like("patient%"))).one()
    return db.session.scalars(wanted.join(Staff).where(Staff.is_admin if side == "admin" else Staff.login == "frontdesk")).one()


def large_tables() -> set[str]:
    with db.engine.connect() as connection:
        counted = (
            (t.name, connection.scalar(sa.select(sa.func.count()).select_from(t))) for t in db.Model.metadata.sorted_tables
        )
        return {name for name, rows in counted if rows > LARGE}


def read_whole(statement: str, values: Any, large: set[str]) -> set[str]:
    """The large tables that the statement's plan reads from end to end."""
    with db.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
            named = {alias: name for name, alias in re.findall(r"\b(?:FROM|JOIN) (\w+)(?: AS)? (\w+)", statement)}
            is_first_of_many = "LIMIT" in statement and not any("B-TREE FOR ORDER BY" in line for line in plan)
            found = [m for line in plan if (m := re.match(r"SCAN (\w+)(?: USING .*INDEX (\w+))?", line))]
            read = {named.get(m[1], m[1]) for m in found if not is_first_of_many and m[2] not in SMALL_INDEXES}
            return read & large
        plan = [row[0] for row in connection.exec_driver_sql(f"EXPLAIN {statement}", values)]
        return {m[1] for line in plan if (m := re.search(r"Seq Scan on (\w+)", line))} & large


@pytest.mark.parametrize("side", SIDES)
def test_no_page_and_no_search_reads_a_large_table_from_end_to_end(loaded: Flask, side: str) -> None:
    who, large, pages = Browser(loaded, somebody(side)), large_tables(), 0
    assert {"thread", "message", "delivery", "history", "audit", "person", "patient"} <= large
    rules = (rule for rule in loaded.url_map.iter_rules() if "GET" in rule.methods and not rule.arguments)
    for path in sorted(rule.rule for rule in rules):
        belongs = next(name for name, start in reversed(SIDES.items()) if path.startswith(start))
        pages += belongs == side and who.ask(path).status_code == 200
    for path, said in SEARCHES[side]:
        answer = who.ask(path, said)
        assert answer.status_code == 303, (path, said)
        assert who.ask(answer.location).status_code == 200
    assert pages > 10
    asked = [(statement, values) for statement, values in who.sent if statement.startswith(("SELECT", "WITH"))]
    whole = {" ".join(statement.split()): found for statement, values in asked if (found := read_whole(statement, values, large))}
    assert not whole, "\n".join(f"reads the whole of {', '.join(tables)}: {statement}" for statement, tables in whole.items())
