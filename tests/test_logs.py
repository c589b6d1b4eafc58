"""The log: one line of JSON an event, which nobody can forge, without names, addresses, words or keys (A45, S8)."""

import json
import logging
import subprocess
import sys

import pytest
import sqlalchemy as sa
from gunicorn.config import Config

from practice import jobs
from practice.db import db
from tests.house import ROOT
from web import server_log
from web.logs import Lines
from wsgi import create_app

FORGED = '\r\n{"time": "2026-01-01", "level": "info", "said": "all is well"}\x1b[2J\x1b[31m'
CANARY = "Xyzzy-4711"


@pytest.fixture
def lines(capsys):
    """The lines written since the last call."""

    def read():
        text = capsys.readouterr().err
        assert "\x1b" not in text and "\r" not in text
        return [json.loads(line) for line in text.splitlines()]

    return read


def test_each_request_has_one_line_with_the_view_and_no_address(cast, lines):
    key = cast.send(cast.sophie, "Appointment")
    lines()
    cast.sophie.get(f"/messages/{key}?q={CANARY}")
    (line,) = lines()
    assert {name: line[name] for name in ("level", "method", "view", "side", "status")} == {
        "level": "info",
        "method": "GET",
        "view": "portal.message",
        "side": "patient",
        "status": 200,
    }
    assert set(line) == {"time", "level", "request", "method", "view", "side", "status", "ms"}
    assert len(line["request"]) == 22 and line["ms"] > 0 and key not in json.dumps(line)


def test_what_the_gate_refuses_has_its_line_too(cast, lines):
    cast.anonymous.get("/staff/")
    cast.sophie.get("/nowhere")
    first, second = lines()
    assert (first["status"], first["view"], first["side"]) == (303, "staff.inbox", "staff")
    assert (second["status"], second["view"], second["side"]) == (404, None, "shared")


def test_a45_the_id_that_a_client_sends_is_not_taken(cast, lines):
    cast.sophie.get("/", headers={"X-Request-ID": "mine-mine-mine-mine-22"})
    assert "mine" not in json.dumps(lines())


def test_a_failure_says_which_and_where_and_nothing_of_what_it_was_about(cast, lines, monkeypatch):
    def fail(*_args, **_kwargs):
        try:
            int(CANARY)
        except ValueError as error:
            raise RuntimeError(f"{CANARY} of {FORGED}") from error

    monkeypatch.setitem(cast.app.view_functions, "portal.home", fail)
    cast.sophie.may_fail = True
    answer = cast.sophie.get("/")
    failure, request = lines()
    assert answer.status_code == 500 and failure["request"] == request["request"] and failure["request"] in answer.text
    assert lines() == [] and cast.sophie.get("/", htmx=True).status_code == 500
    assert failure["level"] == "error" and failure["error"] == ["builtins.RuntimeError", "builtins.ValueError"]
    assert failure["trace"][-1].startswith("tests/test_logs.py:") and CANARY not in json.dumps(failure)


def test_a45_no_line_is_forged_by_what_a_client_sends(cast, lines):
    sent = {"User-Agent": FORGED.replace("\r\n", "\t"), "X-Forwarded-For": "1.2.3.4\x1b[31m"}
    cast.anonymous.get("/login%0d%0a%7b%22level%22%3a%22info%22%7d%1b%5b2J", headers=sent)
    cast.anonymous.open("BREW\x1b", "/login")
    found = lines()
    assert len(found) == 2 and [line["status"] for line in found] == [404, 405] and found[1]["method"] == "other"
    assert "is well" not in json.dumps(found) and "1.2.3.4" not in json.dumps(found)


def test_a45_what_is_said_stays_one_line(lines):
    logging.getLogger("portal.worker").warning("said: %s", FORGED)
    (line,) = lines()
    assert line["said"] == f"said: {FORGED}" and line["level"] == "warning"


def test_a45_passwords_bodies_and_names_reach_no_line(cast, lines):
    cast.anonymous.post("/login", {"email": f"{CANARY}@test.example", "password": f"{CANARY} and more of it"})
    cast.sophie.post("/messages", {"title": CANARY, "body": CANARY, "csrf_token": CANARY}, token=CANARY)
    with pytest.raises(sa.exc.DBAPIError):
        db.session.execute(sa.text("SELECT :words FROM nowhere"), {"words": CANARY})
    db.session.rollback()
    found = json.dumps(lines()).lower()
    assert CANARY.lower() not in found and "sophie" not in found


def test_the_worker_writes_such_lines_too(cast, lines, monkeypatch):
    def away():
        raise sa.exc.OperationalError(f"SELECT {CANARY}", {}, Exception(CANARY))

    monkeypatch.setattr(jobs, "run_due_jobs", away)
    monkeypatch.setattr(jobs.time, "sleep", lambda _: None)
    turns = iter([False, True])
    jobs.work(None, is_over=lambda: next(turns))
    (line,) = lines()
    assert line["said"] == "the database does not answer (OperationalError); trying again" and line["level"] == "warning"


def test_the_handler_is_there_once_however_many_applications_are_made(cast):
    create_app(dict(cast.app.config))
    assert sum(isinstance(handler, Lines) for handler in logging.getLogger().handlers) == 1


def test_the_server_speaks_in_the_same_form():
    handlers = server_log.ServerLogger(Config()).error_log.handlers
    assert handlers and all(isinstance(handler.formatter, server_log.Line) for handler in handlers)


OF_A_RELEASE = """
import sys
from gunicorn.config import Config
from gunicorn.util import load_class
load_class("web.server_log.ServerLogger")(Config())
names = {name if name.startswith("web.") else name.partition(".")[0] for name in sys.modules}
print(*sorted(names - sys.stdlib_module_names - {"gunicorn", "packaging", "web"}))
"""


def test_a_reload_begins_with_nothing_that_the_release_before_has_imported():
    """Else the web processes of an upgrade would find old modules beside new ones, and end."""
    python = [sys.executable, "-c", OF_A_RELEASE]
    said = subprocess.run(python, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert [name for name in said if not name.startswith("_")] == []


def test_a_log_that_cannot_be_written_stops_no_page(cast, monkeypatch):
    class Full:
        def write(self, _text):
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("sys.stderr", Full())
        assert cast.sophie.get("/").status_code == 200
