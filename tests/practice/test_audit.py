"""The trail is found by index whatever is sought, and what was changed or removed by hand is named."""

import itertools
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from practice import audit, trail
from practice.db import COMMAND, SYSTEM, WRITE, Audit, db, transaction
from practice.jobs import log_seal, run_due_jobs
from practice.trail import Place, Sought, Which
from tests.conftest import Cast

AT = datetime(2026, 3, 1)
PARTS: dict[str, list[dict[str, Any]]] = {
    "about": [{}, {"about": "x" * 22}],
    "patient": [{}, {"patient": 1}],
    "person": [{}, {"person": 2}, {"other": "system"}],
    "did": [{}, {"did": "send"}],
    "period": [{}, {"since": AT, "until": AT}],
}
COMBINATIONS = [
    Sought(which=which, **{name: value for part in parts for name, value in part.items()})
    for which in Which
    for parts in itertools.product(*PARTS.values())
]


def plan(connection: sa.Connection, statement: Any, values: dict[str, Any]) -> str:
    dialect = connection.dialect
    if dialect.name == "postgresql":
        connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        connection.execute(sa.text("SET LOCAL enable_bitmapscan = off"))
        connection.execute(sa.text("SET LOCAL enable_sort = off"))
    sql = str(statement.params(values).compile(dialect=dialect, compile_kwargs={"literal_binds": True})).replace("%%", "%")
    explain = "EXPLAIN QUERY PLAN " if dialect.name == "sqlite" else "EXPLAIN "
    return "\n".join(str(row) for row in connection.exec_driver_sql(explain + sql.replace("%", "%%")))


@pytest.mark.parametrize("place", [None, "older", "newer"])
def test_no_combination_of_filters_reads_or_sorts_the_whole_trail(cast: Cast, place: str | None) -> None:
    with db.engines[WRITE].connect() as connection:
        for sought in COMBINATIONS:
            is_read = sought.which == Which.READS
            here = Place(AT, (1, 2) if is_read else (7,), is_newer=place == "newer") if place else None
            found = plan(connection, *(trail.reads if is_read else trail.acts)(sought, here, 26))
            assert "Seq Scan on audit" not in found and "Seq Scan on read_log" not in found, found
            assert "SCAN audit\n" not in found + "\n" and "SCAN read_log\n" not in found + "\n", found
            assert "AUTOMATIC" not in found, found
            leads_of_one = is_read and (sought.patient or sought.about)  # the reads of a patient's threads are few
            narrower = sought.did or sought.about or sought.patient or sought.person
            is_merged = sought.which in (Which.LOG_INS, Which.RECORDS) and not narrower  # a few walks of 26 rows
            if not leads_of_one and not is_merged:
                assert "TEMP B-TREE" not in found and "Sort" not in found, f"{sought}\n{found}"


LEADS = [
    (Sought(about="x" * 22, did="send"), "about"),
    (Sought(patient=1, did="log_in"), "patient_id"),
    (Sought(patient=1, person=2), "patient_id"),
    (Sought(person=2, which=Which.LOG_INS), "actor_id"),
    (Sought(person=2, did="send", since=AT), "actor_id"),
    (Sought(other="command"), "actor_id"),
    (Sought(other="command", did="send"), "did"),
    (Sought(which=Which.CHANGES, did="send"), "did"),
    (Sought(which=Which.DENIALS), "did"),
    (Sought(which=Which.LOG_INS), "did"),
    (Sought(did="send", until=AT), "did"),
    (Sought(), "at"),
    (Sought(which=Which.CHANGES), "at"),
]


@pytest.mark.parametrize(("sought", "lead"), LEADS)
def test_the_narrowest_index_leads(cast: Cast, sought: Sought, lead: str) -> None:
    with db.engines[WRITE].connect() as connection:
        found = plan(connection, *trail.acts(sought, None, 26))
    assert ("ix_audit_at_id" if lead == "at" else f"ix_audit_{lead}_at_id") in found, found


# ---- The seal ------------------------------------------------------------------------------------


@pytest.fixture
def sealed(cast: Cast) -> list[int]:
    """The numbers of the sealed rows."""
    cast.send(cast.sophie)
    run_due_jobs()
    db.session.close()
    assert list(audit.faults()) == []
    return list(db.session.scalars(sa.select(audit.AuditSeal.audit_id).order_by(audit.AuditSeal.position)))


def by_hand(*statements: str) -> None:
    """As somebody with all rights would do it: triggers and foreign keys set aside."""
    db.session.close()
    with db.engines[WRITE].connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
            for statement in statements:
                connection.execute(sa.text(statement))
            connection.commit()
            return
        raw: Any = connection.connection.driver_connection
        guards = raw.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        raw.execute("PRAGMA foreign_keys=OFF")
        for statement in (*(f"DROP TRIGGER {name}" for name, _ in guards), *statements, *(sql for _, sql in guards)):
            raw.execute(statement)
        raw.execute("PRAGMA foreign_keys=ON")
    db.session.close()


@pytest.mark.parametrize(
    "change",
    [
        "did = 'nothing'",
        "at = '2001-01-01 00:00:00'",
        "details = '{}'",
        "address = '192.0.2.1'",
        "actor_name = 'x'",
        "about = 'x'",
    ],
)
def test_a44_each_changed_row_is_named_and_no_other(sealed: list[int], change: str) -> None:
    for row in (sealed[3], sealed[-1]):
        by_hand(f"UPDATE audit SET {change} WHERE id = {row}")
    assert [fault.split(",")[0] for fault in audit.faults()] == [
        f"audit row {row} was changed" for row in (sealed[3], sealed[-1])
    ]


@pytest.mark.parametrize("place", [0, 4, -1])
def test_a44_a_removed_row_is_named(sealed: list[int], place: int) -> None:
    by_hand(f"DELETE FROM audit WHERE id = {sealed[place]}")
    assert list(audit.faults()) == [f"audit row {sealed[place]} is missing"]


def test_a_changed_seal_is_named(sealed: list[int]) -> None:
    by_hand(f"UPDATE audit_seal SET hash = '{'0' * 64}' WHERE position = 3")
    assert f"audit row {sealed[2]} was changed, or its seal 3" in next(audit.faults())


def test_a_removed_row_with_its_seal_is_named_by_the_seal(sealed: list[int]) -> None:
    by_hand("DELETE FROM audit_seal WHERE position = 3", f"DELETE FROM audit WHERE id = {sealed[2]}")
    assert list(audit.faults()) == ["seal 3 is missing"]


def test_rows_put_in_far_behind_the_seal_are_named(sealed: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand("DELETE FROM audit_seal WHERE position = 2")
    monkeypatch.setattr(audit, "LATEST", 3)
    assert list(audit.faults()) == ["seal 2 is missing", f"audit row {sealed[1]} was never sealed"]


def test_rows_not_sealed_yet_are_said(cast: Cast, sealed: list[int]) -> None:
    command = cast.app.test_cli_runner()
    assert command.invoke(args=["verify-audit"]).output == "The audit trail is whole.\n"
    audit.note(by=COMMAND, did="denied")
    audit.note(by=COMMAND, did="denied", details={"why": "a test"})
    assert audit.unsealed() == 2
    said = command.invoke(args=["verify-audit"]).output
    assert said == "The audit trail is whole.\nRows at the end that are not sealed yet: 2.\n"
    newest = audit.sealed_up_to()
    assert newest and newest.number == sealed[-1]


def test_the_command_names_every_row(cast: Cast, sealed: list[int]) -> None:
    by_hand(f"UPDATE audit SET did = 'x' WHERE id = {sealed[1]}", f"DELETE FROM audit WHERE id = {sealed[5]}")
    found = cast.app.test_cli_runner().invoke(args=["verify-audit"])
    assert (
        found.exit_code == 1 and f"row {sealed[1]} was changed" in found.output and f"row {sealed[5]} is missing" in found.output
    )


def test_sealing_leaves_no_row_of_its_own(cast: Cast) -> None:
    def own() -> Iterator[int]:
        db.session.close()
        yield from db.session.scalars(sa.select(Audit.id).where(Audit.actor_name == SYSTEM.name))

    before = list(own())
    run_due_jobs()
    assert list(own()) == before and audit.unsealed() == 0


def test_a_chain_whose_end_was_cut_off_is_found_by_the_seal_that_was_logged(
    cast: Cast, sealed: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    with transaction(by=SYSTEM, did="log") as tx:
        tx.is_silent = True
        log_seal(tx)
    logged = caplog.messages[-1].split()[-1]
    command = cast.app.test_cli_runner()
    assert command.invoke(args=["verify-audit", "--seal", logged]).exit_code == 0
    by_hand(f"DELETE FROM audit_seal WHERE audit_id = {sealed[-1]}", f"DELETE FROM audit WHERE id = {sealed[-1]}")
    assert command.invoke(args=["verify-audit"]).exit_code == 0
    for seal in (logged, "x", "9" * 30 + ":0", f"1:{'0' * 64}"):
        found = command.invoke(args=["verify-audit", "--seal", seal])
        assert found.exit_code == 1 and "is not what was logged" in found.output
