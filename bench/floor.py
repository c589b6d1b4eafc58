"""The floor: the same rows by the bare driver in bare Flask views, one plain template a page, no log-in.

It is told in a file (FLOOR) which statements the product sends for a page's rows and sends just these. What it writes it
writes once, in one durable transaction. Run by gunicorn exactly as the product is.
"""

import base64
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from flask import Flask, redirect, render_template, request
from jinja2 import DictLoader
from werkzeug.wrappers import Response

LIST = """<!doctype html><title>In Box</title><table>{% for r in rows %}
<tr><td>{{ r.last_name }}, {{ r.first_name }}</td><td>{{ r.dob }}</td><td>{{ r.gender }}</td><td>{{ r.phone }}</td>
<td>{{ r.email }}</td><td><a href="/staff/messages/{{ r.key }}">{{ r.title }}</a></td><td>{{ r.type }}</td><td>{{ r.state }}</td>
<td>{{ r.waiting_since }}</td><td>{{ r.at }}</td></tr>{% endfor %}</table>"""
OPEN = """<!doctype html><title>{{ head.title }}</title><h1>{{ head.title }}</h1>
<p>{{ head.last_name }}, {{ head.first_name }} {{ head.dob }} {{ head.phone }} {{ head.state }} {{ head.due_at }}</p>
{% for m in messages %}<h2>{{ m.last_name }}, {{ m.first_name }} {{ m.sent_at }}</h2><p>{{ m.body }}</p>{% endfor %}
<ul>{% for e in events %}<li>{{ e.at }} {{ e.did }} {{ e.last_name }}</li>{% endfor %}</ul>"""
ROWS = """<!doctype html><title>Rows</title>{% for rows in tables %}<table>{% for row in rows %}{% if loop.first %}
<tr>{% for name in row %}<th>{{ name }}</th>{% endfor %}</tr>{% endif %}
<tr>{% for value in row.values() %}<td>{{ value }}</td>{% endfor %}</tr>{% endfor %}</table>{% endfor %}"""
INPUTS = """<!doctype html><title>Form</title><form method="post">{% for rows in tables %}{% for row in rows %}
{% for name, value in row.items() %}<p>{{ name }} <input name="{{ name }}" value="{{ value }}"></p>{% endfor %}
{% endfor %}{% endfor %}{% if options %}<select name="one">{% for value, words in options %}
<option value="{{ value }}">{{ words }}</option>{% endfor %}</select>{% endif %}<button>Save</button></form>"""
THREAD = "{% for m in messages %}<p>{{ m[0] }}</p>{% endfor %}"
TEMPLATES = {"list.html": LIST, "open.html": OPEN, "rows.html": ROWS, "inputs.html": INPUTS, "thread.html": THREAD}

PICKED = "SELECT id, title FROM communicator WHERE key = ?"
AUDIENCE = "SELECT id FROM audience WHERE key = ?"
TOLD = (
    "SELECT DISTINCT m.staff_id FROM membership m JOIN person p ON p.id = m.staff_id JOIN audience_communicator a "
    "ON a.communicator_id = m.communicator_id WHERE a.audience_id = ? AND m.until IS NULL AND p.status = 'active'"
)
THREAD_OF = "SELECT id, patient_id FROM thread WHERE key = ?"
ANSWERED = (
    "UPDATE thread SET state = 'answered', version = version + 1, last_staff_message_at = ?, waiting_since = NULL, "
    "due_at = NULL, closed_at = NULL, removed_at = NULL, hidden_by_patient_at = NULL WHERE id = ?"
)
WAITS = (
    "UPDATE thread SET state = 'waiting', version = version + 1, last_patient_message_at = ?, is_unread = ?, is_in_box = ?, "
    "waiting_since = ?, due_at = ?, closed_at = NULL, removed_at = NULL, hidden_by_patient_at = NULL WHERE id = ?"
)
HAS_IT = "SELECT audience_id FROM thread WHERE id = ?"
KEPT = "INSERT INTO box_filter (key, session_id, filter_values) VALUES (?, ?, ?)"
SESSION = "SELECT max(id) FROM login_session WHERE person_id = ?"
COUNTED = "UPDATE audience SET unread = unread + 1, in_box = in_box + 1 WHERE id = ?"
COLUMNS = {
    "thread": "key patient_id audience_id type title state version created_at last_patient_message_at is_unread is_in_box "
    "waiting_since due_at",
    "message": "key thread_id author_id is_from_patient communicator_id communicator_title body sent_at form_key digest",
    "delivery": "thread_id communicator_id title at",
    "history": "thread_id at by_id did up_to_id words",
    "outbox": "key occasion person_id thread_id message_id state attempts next_at created_at",
    "audit": "at act actor_id actor_name session_id did about patient_id details",
    "tally": "what day type communicator_id slot number message_id",
}
INSERTS = {
    table: f"INSERT INTO {table} ({', '.join(names.split())}) VALUES ({', '.join('?' * len(names.split()))})"
    for table, names in COLUMNS.items()
}
WRITES = {
    "reply": [THREAD_OF, INSERTS["message"], ANSWERED, INSERTS["outbox"], INSERTS["audit"]],
    "submit": [PICKED, AUDIENCE, TOLD]
    + [INSERTS[table] for table in ("thread", "message", "delivery", "history", "outbox", "tally", "tally", "audit")]
    + [COUNTED],
    "Send": [],
    "Reply": [THREAD_OF, HAS_IT, TOLD, INSERTS["message"], WAITS, INSERTS["outbox"]]
    + 2 * [INSERTS["tally"]]
    + [INSERTS["audit"], COUNTED],
}
WRITES["Send"] = WRITES["submit"]
"""What the two writes send, in this order, between BEGIN and COMMIT; printed with the figures."""


class Database:
    """One connection a worker, as bare as the driver gives it, and as durable as the product's."""

    def __init__(self, url: str) -> None:
        self.is_sqlite = url.startswith("sqlite:")
        if self.is_sqlite:
            self.held: Any = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
                self.held.execute(f"PRAGMA {pragma}")
        else:
            self.held = psycopg.connect(url.replace("postgresql+psycopg", "postgresql"), autocommit=True)

    def rows(self, statement: str, values: Any) -> list[dict[str, Any]]:
        cursor = self.held.execute(statement, values)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def run(self, statement: str, *values: Any) -> Any:
        return self.held.execute(statement if self.is_sqlite else statement.replace("?", "%s"), values)

    def insert(self, table: str, *values: Any) -> int:
        """The id of the new row."""
        if self.is_sqlite:
            return int(self.run(INSERTS[table], *values).lastrowid)
        return int(self.run(INSERTS[table] + " RETURNING id", *values).fetchone()[0])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.held.execute("BEGIN IMMEDIATE" if self.is_sqlite else "BEGIN")
        try:
            yield
        except BaseException:
            self.held.execute("ROLLBACK")
            raise
        self.held.execute("COMMIT")

    def tally(self, message: int, communicator: int | None, at: datetime) -> None:
        """That the message came, and to whom."""
        day = at.date().isoformat() if self.is_sqlite else at.date()
        self.insert("tally", "received", day, "Others", None, at.weekday() * 24 + at.hour, 1, message)
        self.insert("tally", "reached", day, "Others", communicator, 0, 1, message)

    def at(self, moment: datetime) -> Any:
        return moment.isoformat(" ", "microseconds") if self.is_sqlite else moment


def new_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(16))[:22].decode()


def create_app() -> Flask:
    app = Flask(__name__)
    app.jinja_loader = DictLoader(TEMPLATES)
    told = json.loads(Path(os.environ["FLOOR"]).read_text(encoding="utf-8"))
    reads: dict[str, list[tuple[str, Any]]] = told["reads"]
    held: list[Database] = []

    def database() -> Database:
        if not held:
            held.append(Database(told["url"]))  # after the fork
        return held[0]

    @app.get("/inbox")
    def inbox() -> str:
        return render_template("list.html", rows=database().rows(*reads["In Box"][-1])[:25])

    @app.get("/search")
    def search() -> str:
        names, found = reads["search"]
        database().rows(*names)
        return render_template("list.html", rows=database().rows(*found)[:25])

    @app.get("/open")
    def open_() -> str:
        head, messages, events = (database().rows(*read) for read in reads["open"])
        return render_template("open.html", head=head[0], messages=messages[49::-1], events=events[::-1])

    @app.get("/rows/<int:number>")
    def rows(number: int) -> str:
        """A page of the admin: all columns of its rows."""
        page = told["pages"][number]
        tables = [database().rows(*read)[: page["most"]] for read in page["reads"]]
        return render_template("inputs.html" if page["is_form"] else "rows.html", tables=tables, options=page["options"])

    @app.get("/thread/<key>")
    def thread(key: str) -> str:
        """Not measured: shows that what was written is there."""
        found = database().run("SELECT body FROM message JOIN thread t ON t.id = thread_id WHERE t.key = ?", key)
        return render_template("thread.html", messages=found.fetchall())

    @app.post("/reply")
    def reply() -> Response:
        base, form = database(), request.form
        at = base.at(datetime.now(UTC).replace(tzinfo=None))
        with base.transaction():
            thread, patient = base.run(THREAD_OF, form["thread"]).fetchone()
            author, communicator = int(form["author"]), int(form["communicator"])
            digest = hashlib.sha256(form["body"].encode()).hexdigest()
            row = (new_key(), thread, author, False, communicator, form["title"], form["body"], at, form["key"], digest)
            message = base.insert("message", *row)
            base.run(ANSWERED, at, thread)
            base.insert("outbox", new_key(), "answered", patient, thread, message, "waiting", 0, at, at)
            base.insert("audit", at, new_key(), author, "FRONTDESK, FAY", 1, "answer", form["thread"], patient, "")
        return redirect(f"/thread/{form['thread']}", 303)

    @app.post("/submit")
    def submit() -> Response:
        base, form, key, patient = database(), request.form, new_key(), int(request.form["author"])
        present = datetime.now(UTC).replace(tzinfo=None)
        at, due = base.at(present), base.at(present + timedelta(days=3))
        with base.transaction():
            communicator, to = base.run(PICKED, form["to"]).fetchone()
            audience = base.run(AUDIENCE, str(communicator)).fetchone()[0]
            told = base.run(TOLD, audience).fetchall()
            begun = (key, patient, audience, "Others", form["title"], "waiting", 1, at, at, True, True, at, due)
            thread = base.insert("thread", *begun)
            digest = hashlib.sha256(form["body"].encode()).hexdigest()
            row = (new_key(), thread, patient, True, None, to, form["body"], at, form["key"], digest)
            message = base.insert("message", *row)
            base.insert("delivery", thread, communicator, to, at)
            base.insert("history", thread, at, patient, "delivered", message, json.dumps({"title": to}))
            for (person,) in told:
                base.insert("outbox", new_key(), "waiting", person, thread, message, "waiting", 0, at, at)
            base.tally(message, communicator, present)
            base.insert("audit", at, new_key(), patient, "PATIENT", 1, "send", key, patient, "")
            base.run(COUNTED, audience)
        return redirect(f"/thread/{key}", 303)

    @app.post("/write-on")
    def write_on() -> Response:
        """A patient's reply."""
        base, form, patient = database(), request.form, int(request.form["author"])
        present = datetime.now(UTC).replace(tzinfo=None)
        at, due = base.at(present), base.at(present + timedelta(days=3))
        with base.transaction():
            thread = base.run(THREAD_OF, form["thread"]).fetchone()[0]
            audience = base.run(HAS_IT, thread).fetchone()[0]
            told = base.run(TOLD, audience).fetchall()
            digest = hashlib.sha256(form["body"].encode()).hexdigest()
            row = (new_key(), thread, patient, True, None, "", form["body"], at, form["key"], digest)
            message = base.insert("message", *row)
            base.run(WAITS, at, True, True, at, due, thread)
            for (person,) in told:
                base.insert("outbox", new_key(), "waiting", person, thread, message, "waiting", 0, at, at)
            base.tally(message, None, present)  # the floor knows no communicator here
            base.insert("audit", at, new_key(), patient, "PATIENT", 1, "reply", form["thread"], patient, "")
            base.run(COUNTED, audience)
        return redirect(f"/thread/{form['thread']}", 303)

    @app.post("/keep")
    def keep() -> Response:
        """What is searched for, kept with the session."""
        base, form = database(), request.form
        with base.transaction():
            base.run(KEPT, form["key"], base.run(SESSION, int(form["person"])).fetchone()[0], form["words"])
        return redirect("/rows/0", 303)

    return app
