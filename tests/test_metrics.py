"""`/metrics`: for whoever has the token, of all processes together, and with nobody's data in it."""

import os
import re
import subprocess
import sys
from array import array
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from practice import audit, watch
from practice.db import SYSTEM, WRITE, db, now, transaction
from web import metrics
from web.metrics import Numbers

TOKEN = "a token of the tests, long enough to be taken"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def watched(cast, tmp_path, monkeypatch):
    """The cast, where METRICS_TOKEN is set."""
    monkeypatch.setitem(cast.app.config, "METRICS_TOKEN", TOKEN)
    monkeypatch.setitem(cast.app.extensions, "numbers", Numbers(tmp_path / "metrics"))
    return cast


def figures(cast):
    answer = cast.anonymous.get("/metrics", headers=RIGHT)
    assert answer.status_code == 200 and answer.content_type.startswith("text/plain; version=0.0.4")
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_without_a_token_in_the_settings_the_page_is_not_there(cast):
    assert cast.anonymous.get("/metrics").status_code == 404
    assert cast.anonymous.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404


@pytest.mark.parametrize("given", ["", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer ", "Bearer \xe4", f"bearer{TOKEN}"])
def test_nobody_reads_it_without_the_right_token(watched, given):
    answer = watched.anonymous.get("/metrics", headers={"Authorization": given})
    assert answer.status_code == 401 and answer.headers["WWW-Authenticate"] == "Bearer"
    assert "portal_" not in answer.text


def test_an_admin_is_not_enough_and_the_token_in_the_address_neither(watched):
    assert watched.ada.get("/metrics").status_code == 401
    assert watched.ada.get(f"/metrics?token={TOKEN}").status_code == 401


def test_it_reads_no_session_and_writes_nothing(watched):
    said = []
    engines = list(db.engines.values())
    for engine in engines:
        event.listen(engine, "before_cursor_execute", lambda *args: said.append(args[2]))
    before = db.session.scalar(sa.text("SELECT max(seen_at) FROM login_session"))
    db.session.close()
    answer = watched.ada.get("/metrics", headers=RIGHT)
    assert answer.status_code == 200 and "Set-Cookie" not in answer.headers
    assert before == db.session.scalar(sa.text("SELECT max(seen_at) FROM login_session"))
    asked = [one for one in said if "key_hash" in one or not one.lstrip().upper().startswith(("SELECT", "PRAGMA", "BEGIN"))]
    assert asked == []


def test_only_get_is_answered(watched):
    assert watched.ada.post("/metrics", {}).status_code == 405


def test_requests_are_counted_by_side_and_class(watched):
    for page in ("/", "/messages"):
        watched.sophie.get(page)
    watched.sophie.get("/admin/")
    watched.ada.get("/admin/nowhere")
    found = figures(watched)
    assert found['portal_requests_total{side="patient",status="2xx"}'] == 2
    assert found['portal_requests_total{side="admin",status="4xx"}'] == 1
    assert found['portal_requests_total{side="shared",status="4xx"}'] == 1
    assert found['portal_request_duration_seconds_count{side="patient"}'] == 2
    assert found['portal_request_duration_seconds_bucket{side="patient",le="+Inf"}'] == 2
    assert found['portal_request_duration_seconds_sum{side="patient"}'] > 0


def test_a_duration_falls_into_its_bucket(tmp_path):
    numbers = Numbers(tmp_path)
    for seconds in (0.005, 0.006, 11):
        numbers.add("staff", 200, seconds)
    lines = list(metrics.requests(numbers.all()))
    bucket = 'portal_request_duration_seconds_bucket{side="staff",le='
    found = [int(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(bucket)]
    assert found == [1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3]
    assert 'portal_request_duration_seconds_sum{side="staff"} 11.011' in lines


PROCESS = """
import sys
from pathlib import Path
from web.metrics import Numbers
numbers = Numbers(Path(sys.argv[1]))
for n in range(100):
    numbers.add("patient", 200, 0.001)
print("counted", flush=True)
sys.stdin.readline()
"""


def test_the_numbers_of_several_processes_are_added_and_outlive_a_kill(tmp_path):
    def start():
        started = subprocess.Popen([sys.executable, "-c", PROCESS, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert started.stdout.readline() == b"counted\n"
        return started

    def total():
        return Numbers(tmp_path).all()[1]

    two = [start(), start()]
    assert len(list(tmp_path.iterdir())) == 2 and total() == 200
    for process in two:
        process.kill()
        process.communicate()
    again = start()
    again.communicate(b"\n")
    assert len(list(tmp_path.iterdir())) == 2, "the new process takes over what a dead one left"
    assert total() == 300


def test_a_disk_that_is_full_stops_no_page(watched, monkeypatch):
    def full(*_args):
        raise OSError(28, "No space left on device")

    watched.sophie.get("/")
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        assert watched.sophie.get("/").status_code == 200
    watched.app.extensions["numbers"].add("patient", 200, 0.1)
    assert watched.app.extensions["numbers"].all()[1] == 3


def test_a_folder_that_cannot_be_made_stops_no_page(watched, tmp_path, monkeypatch):
    (tmp_path / "taken").write_text("")
    monkeypatch.setitem(watched.app.extensions, "numbers", Numbers(tmp_path / "taken"))
    assert watched.sophie.get("/").status_code == 200


def test_what_waits_is_said(watched):
    assert figures(watched)["portal_database_up"] == 1
    key = watched.send(watched.sophie, "Appointment")
    with transaction(by=SYSTEM, did="make it late") as tx:
        tx.session.execute(sa.text("UPDATE outbox SET next_at = :at"), {"at": now() - timedelta(minutes=10)})
        late = {"at": now() - timedelta(hours=1), "key": key}
        tx.session.execute(sa.text("UPDATE thread SET due_at = :at, unrouted_since = :at WHERE key = :key"), late)
    with sa.orm.Session(db.engines[WRITE]) as session:
        audit.seal(session)
        session.commit()
    db.session.close()
    found = figures(watched)
    assert 600 <= found["portal_outbox_oldest_due_seconds"] < 660 and found["portal_outbox_due"] >= 1
    assert found["portal_overdue"] == 1 and found["portal_unrouted"] == 1 and found["portal_unread"] >= 1
    assert found["portal_outbox_dead"] == 0 and found["portal_files_waiting"] == 0
    assert found["portal_sessions"] >= 5
    assert found["portal_audit_unsealed_seconds"] == 0 and 0 <= found["portal_audit_seal_age_seconds"] < 60
    with transaction(by=SYSTEM, did="not sealed"):
        pass
    with transaction(by=SYSTEM, did="given up") as tx:
        tx.session.execute(sa.text("UPDATE outbox SET state = 'dead'"))
    found = figures(watched)
    assert found["portal_audit_unsealed_seconds"] > 0 and found["portal_outbox_dead"] >= 1
    assert found["portal_outbox_due"] == 0 == found["portal_outbox_oldest_due_seconds"]


def test_without_a_database_the_requests_are_still_told(watched, monkeypatch):
    def away():
        raise sa.exc.OperationalError("SELECT", {}, Exception("away"))

    watched.sophie.get("/")
    monkeypatch.setattr(watch, "figures", away)
    found = figures(watched)
    assert found["portal_database_up"] == 0 and "portal_unread" not in found
    assert found['portal_requests_total{side="patient",status="2xx"}'] == 1


def test_nobodys_data_and_no_key_is_in_it(watched):
    key = watched.send(watched.sophie, "Appointment")
    watched.sophie.get(f"/messages/{key}")
    answer = watched.anonymous.get("/metrics", headers=RIGHT)
    assert key not in answer.text and "sophie" not in answer.text.lower() and "/messages" not in answer.text
    labels = set(re.findall(r'(\w+)="([^"]*)"', answer.text))
    assert {name for name, _ in labels} == {"side", "status", "le"}


def test_each_count_stops_at_its_limit_and_is_found_by_an_index(cast):
    dialect = db.engine.dialect
    if dialect.name != "sqlite":
        pytest.skip("PostgreSQL reads such small tables whole")
    for name, _, count in watch._COUNTS:
        sql = str(count.compile(dialect=dialect))
        assert "LIMIT" in sql
        if name == "sessions":  # kept for a day after their end, so bounded; its index is on the end
            continue
        plan = db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", (None,) * sql.count("?")).all()
        assert any("INDEX" in row[3] for row in plan), (name, plan)


def test_a_file_of_another_length_counts_nothing(tmp_path):
    (tmp_path / metrics.FILES.replace("*", "x")).write_bytes(b"abc")
    assert Numbers(tmp_path).all() == metrics.empty() and isinstance(metrics.empty(), array)
