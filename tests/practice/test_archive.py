"""Rows of the audit move into files with their seals: the chain holds in both, and nothing is deleted that no file has."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from practice import archive, audit
from practice.audit import AuditSeal
from practice.db import COMMAND, WRITE, Audit, clock_at, db, now
from practice.jobs import run_due_jobs
from tests.conftest import Cast

OLD = timedelta(days=7 * 366)
NUMBER = 7


@pytest.fixture
def aged(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cast]:
    """Seven old rows and what the cast did today, all sealed; batches of three; rows are kept for six years."""
    monkeypatch.setattr(archive, "BATCH", 3)
    monkeypatch.setattr(archive, "PAUSE", 0)
    with db.engines[WRITE].begin() as connection:  # what the cast's own making left is younger, and would stand before them
        guard, back = archive._guard(connection)
        connection.exec_driver_sql(guard)
        connection.execute(sa.delete(Audit))
        connection.exec_driver_sql(back)
    with clock_at(now() - OLD):
        for n in range(NUMBER):
            audit.note(by=COMMAND, did="denied", details={"number": n, "word": "é"})
    cast.send(cast.sophie)
    run_due_jobs()
    cast.app.config["AUDIT_YEARS"] = 6
    yield cast
    cast.app.config["AUDIT_YEARS"] = None


def run(cast: Cast, *words: Any) -> str:
    answer = cast.app.test_cli_runner().invoke(args=[str(word) for word in words])
    db.session.close()
    return answer.output


def old_rows() -> int:
    db.session.close()
    return db.session.scalar(sa.select(sa.func.count()).select_from(Audit).where(Audit.did == "denied")) or 0


def test_the_chain_holds_in_the_file_and_in_what_is_left(aged: Cast, tmp_path: Path) -> None:
    assert f"{NUMBER} rows" in run(aged, "archive-audit", tmp_path) and old_rows() == 0
    assert run(aged, "verify-audit").startswith(f"The audit trail is whole.\nUp to seal {NUMBER} it stands in files")
    assert "whole" in run(aged, "verify-audit", "--archive", tmp_path)
    (file,) = tmp_path.iterdir()
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [line["row"]["details"] for line in lines][2] == '{"number": 2, "word": "é"}'
    first, last = (f"{line['position']}:{line['hash']}" for line in (lines[0], lines[-1]))
    for seal in first, last:
        assert "whole" in run(aged, "verify-audit", "--archive", tmp_path, "--seal", seal)
    assert "is not what was logged" in run(aged, "verify-audit", "--archive", tmp_path, "--seal", f"2:{'0' * 64}")
    run_due_jobs()
    db.session.close()
    assert list(audit.faults()) == [] and "None is so old" in run(aged, "archive-audit", tmp_path)


def test_a_second_run_goes_on_with_another_file(aged: Cast, tmp_path: Path) -> None:
    run(aged, "archive-audit", tmp_path)
    aged.send(aged.sophie)
    with clock_at(now() + OLD):
        run_due_jobs()
        run(aged, "archive-audit", tmp_path)
        run_due_jobs()
    assert len(list(tmp_path.iterdir())) == 2
    assert "whole" in run(aged, "verify-audit", "--archive", tmp_path)
    min(tmp_path.iterdir()).unlink()
    assert f"goes on with seal {NUMBER + 1} after 0" in run(aged, "verify-audit", "--archive", tmp_path)


def test_what_is_changed_in_a_file_is_named(aged: Cast, tmp_path: Path) -> None:
    run(aged, "archive-audit", tmp_path)
    (file,) = tmp_path.iterdir()
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    for changed, said in (
        ([lines[0].replace("denied", "x"), *lines[1:]], "the row of seal 1 was changed"),
        ([*lines[:2], *lines[3:]], "goes on with seal 4 after 2"),
        (lines[:-1], f"the files end at seal {NUMBER - 1}"),
        ([lines[0][:50]], "cannot be read"),
    ):
        file.write_text("".join(changed), encoding="utf-8")
        assert said in run(aged, "verify-audit", "--archive", tmp_path)


@pytest.mark.parametrize("moment", ["_sync", "_delete", "_delete_some"])
def test_whoever_is_killed_in_the_middle_runs_again(
    aged: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    there, calls = getattr(archive, moment), []

    def killed(*given: Any) -> Any:
        calls.append(given)
        if moment != "_delete_some" or len(calls) == 2:
            raise KeyboardInterrupt
        return there(*given)

    monkeypatch.setattr(archive, moment, killed)
    with pytest.raises(KeyboardInterrupt):
        archive.archive(tmp_path, before=now() - OLD / 2, owner=aged.app.config["MIGRATION_DATABASE_URL"])
    assert old_rows() == (NUMBER - 3 if moment == "_delete_some" else NUMBER)
    assert list(audit.faults()) == []
    monkeypatch.setattr(archive, moment, there)
    run(aged, "archive-audit", tmp_path)
    assert old_rows() == 0 and "whole" in run(aged, "verify-audit", "--archive", tmp_path)


def test_a_file_of_a_run_that_was_killed_is_replaced_by_a_longer_one_alone(
    aged: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = archive._sync
    monkeypatch.setattr(archive, "_sync", lambda _: 1 / 0)
    run(aged, "archive-audit", tmp_path)
    aged.send(aged.sophie)
    run_due_jobs()
    monkeypatch.setattr(archive, "_sync", there)
    with clock_at(now() + OLD):
        run(aged, "archive-audit", tmp_path)
    assert len(list(tmp_path.iterdir())) == 1 and "whole" in run(aged, "verify-audit", "--archive", tmp_path)
    later = archive.archived(db.session())[0] + 1
    (tmp_path / f"audit-{later:012}-999999999999.jsonl").touch()
    run_due_jobs()
    with clock_at(now() + 2 * OLD):
        audit.note(by=COMMAND, did="denied")
        run_due_jobs()
        assert "reaches further: nothing was moved" in run(aged, "archive-audit", tmp_path)


def test_the_guard_is_back_after_each_batch(aged: Cast, tmp_path: Path) -> None:
    run(aged, "archive-audit", tmp_path)
    with pytest.raises(sa.exc.DBAPIError, match="never changed"), db.engines[WRITE].begin() as connection:
        connection.execute(sa.delete(Audit))


@pytest.mark.parametrize(("position", "said"), [(5, "nothing was moved"), (10**6, "nothing was deleted")])
def test_a_mark_that_somebody_wrote_deletes_nothing_and_blinds_nobody(
    aged: Cast, tmp_path: Path, position: int, said: str
) -> None:
    """Whoever may add rows to the trail may add this one."""
    audit.note(by=COMMAND, did="archive_audit", details={"position": position, "hash": "0" * 64})
    assert said in run(aged, "archive-audit", tmp_path) and old_rows() == NUMBER
    with db.engines[WRITE].begin() as connection:
        connection.execute(sa.update(AuditSeal).where(AuditSeal.position == 3).values(hash="0" * 64))
    db.session.close()
    assert len(list(audit.faults())) >= 1


def test_a_trail_that_is_not_whole_is_not_moved(aged: Cast, tmp_path: Path) -> None:
    with db.engines[WRITE].begin() as connection:
        connection.execute(sa.update(AuditSeal).where(AuditSeal.position == 3).values(hash="0" * 64))
    assert "not whole at seal 3: nothing was moved" in run(aged, "archive-audit", tmp_path)
    assert old_rows() == NUMBER and not list(tmp_path.iterdir())


def test_without_the_setting_all_is_kept(cast: Cast, tmp_path: Path) -> None:
    assert "kept for ever" in run(cast, "archive-audit", tmp_path)


def test_who_is_at_work_for_long_is_not_waited_for(aged: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if db.engines[WRITE].dialect.name == "sqlite":
        pytest.skip("there the one writer's place is waited for as everybody does")
    monkeypatch.setattr(archive, "TRIES", 3)
    with db.engines[WRITE].begin() as connection:
        connection.exec_driver_sql("LOCK TABLE audit IN ROW EXCLUSIVE MODE")
        assert "in use all the time" in run(aged, "archive-audit", tmp_path)
    run(aged, "archive-audit", tmp_path)
    assert old_rows() == 0
