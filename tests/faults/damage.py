"""Backups made while people write, and what a damaged database is found by."""

import os
import signal
import time
from pathlib import Path

import sqlalchemy as sa

from tests.faults import ledger
from tests.faults.book import fault, must
from tests.faults.senders import ask
from tests.faults.stage import Stage

PAGE = {"sqlite": 4096, "postgresql": 8192}


@fault("F20", "R8")
def backed_up_while_people_write(stage: Stage) -> str:
    name = f"f20-{stage.chance.randrange(2**16)}"
    backup, again = stage.folder / name, stage.folder / f"{name}-restored"
    stage.nursery  # noqa: B018  it is there before anybody counts
    with stage.crowd.sending(stage.senders(name, stage.take(80))) as found:
        time.sleep(3)
        begun = time.time()
        status, said = stage.flask("backup", str(backup))
        took = time.time() - begun
        time.sleep(1)
    must(status == 0, f"backup: {said[-300:]}")
    tally = found[0]
    ledger.check(stage, name, tally)
    again.mkdir()
    if stage.cluster:
        stage.cluster.command("CREATE DATABASE restored TEMPLATE template0")
        url = stage.cluster.url("restored")
    else:
        url = f"sqlite:///{again / 'portal.sqlite3'}"
    files = {"MIGRATION_DATABASE_URL": url, "FILES_DIR": str(again / "files")}
    status, said = stage.nursery.begin("restore", str(backup), **files).wait()
    must(status == 0, f"restore: {said[-300:]}")
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        stored = set(connection.scalars(sa.text("SELECT form_key FROM message WHERE body LIKE :like"), {"like": f"{name}-%"}))
        if not stage.cluster:
            must(connection.scalar(sa.text("PRAGMA integrity_check")) == "ok", "the copy is damaged")
            must(not connection.execute(sa.text("PRAGMA foreign_key_check")).all(), "rows of the copy speak of none")
    if stage.cluster:
        stage.cluster.command("DROP DATABASE restored")
    before = {key for key, at in tally.at.items() if at < begun}
    figures = f"{len(tally.acknowledged)} acknowledged, {len(before)} of them before the backup began; {len(stored)} in the copy,"
    figures += f" {len(before - stored)} missing; backup in {took:.1f} s"
    must(before and before <= stored, figures)
    return figures


@fault("F21")
def what_is_damaged_is_named(stage: Stage) -> str:
    found = [_cut_off(stage)] if not stage.cluster else []
    for how in ("a bit flipped", "cut"):
        with stage.copy() as there:
            path = file_of(there)
            if stage.cluster:
                stage.cluster.stop()
            size = path.stat().st_size
            with path.open("r+b") as file:
                if how == "cut":
                    file.truncate(size // 2 // PAGE[stage.kind] * PAGE[stage.kind])
                else:
                    at = stage.chance.randrange(2, size // PAGE[stage.kind]) * PAGE[stage.kind]
                    file.seek(at)
                    byte = file.read(1)[0]
                    file.seek(at)
                    file.write(bytes([byte ^ 0x40]))
            if stage.cluster:
                stage.cluster.start()
            status, said = there.flask("verify")
            must(status == 1 and said.strip(), f"{how}: verify says {said[-300:]!r}")
            last = said.strip().splitlines()[-1 if "Traceback" in said else 0]
            must("Traceback" not in said, f"{how}: verify does not say it clearly: {last[:200]}")
            found.append(f"{how}: verify says “{last[:110].strip()}”")
    return "; ".join(found)


def file_of(stage: Stage) -> Path:
    """Where the messages are."""
    if not stage.cluster:
        return Path(str(sa.make_url(stage.url).database))
    stage.change("UPDATE practice SET name = name")
    return stage.cluster.folder / str(stage.value("SELECT pg_relation_filepath('message')"))


def _cut_off(stage: Stage) -> str:
    """The pages and the worker die with their log not yet in the file; then the log is deleted."""
    with stage.copy() as there:
        worker, people = there.begin_worker(), there.take(10)
        time.sleep(1)
        with there.serve() as web:
            for who in people:
                must(there.send(who, there.form(), web).status == 303, "nobody can send")
            seal = ""
            for _ in range(100):
                time.sleep(0.1)
                row = there.rows("SELECT position, hash FROM audit_seal ORDER BY position DESC LIMIT 1")
                last = there.value("SELECT max(id) FROM audit")
                seal = f"{row[0][0]}:{row[0][1]}" if row else ""
                if seal and last == there.value("SELECT max(audit_id) FROM audit_seal"):
                    break
            there.nursery.process.send_signal(signal.SIGSTOP)
            for pid in [*web.workers(), web.process.pid, worker.pid]:
                os.kill(pid, signal.SIGKILL)
            web.process.wait()
            there.nursery.process.send_signal(signal.SIGCONT)
        before = there.folder / "portal.sqlite3-wal"
        must(before.exists() and before.stat().st_size, "there was no log to lose")
        for end in ("-wal", "-shm"):
            before.with_name(f"portal.sqlite3{end}").unlink(missing_ok=True)
        status, said = there.flask("verify-audit", "--seal", seal)
        must(status == 1 and "not what was logged" in said, f"the log is lost and nobody notices: {said[-300:]}")
        page = ask(there.web.port, "/staff/", there.staff).status
    return f"log lost: verify-audit with the logged seal says “{said.strip()[:110]}”; the pages answer {page} with what is left"
