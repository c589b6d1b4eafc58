"""New code: restarts while people send, and migrations."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import sqlalchemy as sa

from tests.faults import ledger
from tests.faults.book import fault, must
from tests.faults.senders import free_port
from tests.faults.stage import Stage
from tests.test_schema import shape
from web.cli import MIGRATIONS

UPGRADE = (
    "import sys; from flask_migrate import upgrade; from wsgi import create_app\nwith create_app().app_context(): upgrade({!r})"
)
ONE_MORE = '''
"""one more, slowly"""

import time
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "faults", {head!r}, None, None


def upgrade():
    with op.batch_alter_table("outbox", recreate="always" if op.get_bind().dialect.name == "sqlite" else "never") as table:
        table.add_column(sa.Column("faults", sa.String(3)))
    Path({marker!r}).touch()
    time.sleep({pause})
    op.create_index("ix_outbox_faults", "outbox", ["faults"])
'''


@fault("F18")
def restarted_under_load(stage: Stage) -> str:
    """HUP twice (new processes, the old ones finish), then TERM and a new start on the same port."""
    name = f"f18-{stage.chance.randrange(2**16)}"
    with stage.serve("--graceful-timeout", "30", target="wsgi:create_app()") as web:
        with stage.crowd.sending(stage.senders(f"{name}h", stage.take(80), web=web)) as found:
            for _ in range(2):
                time.sleep(1)
                before = set(web.workers())
                os.kill(web.process.pid, signal.SIGHUP)
                until = time.monotonic() + 90
                while before & set(web.workers()) or len(web.workers()) < 2:
                    must(time.monotonic() < until, "the old processes do not end")
                    time.sleep(0.2)
                time.sleep(5)
        by_hup = found[0]
        figures = f"HUP twice under 4 senders: {ledger.check(stage, f'{name}h', by_hup)}, {by_hup.cut} failed"
        must(not by_hup.cut and not by_hup.statuses, f"{figures}; other answers {dict(by_hup.statuses)}")
    port = free_port()
    with contextlib.ExitStack() as ends:
        first = ends.enter_context(stage.serve(port=port))
        with stage.crowd.sending(stage.senders(f"{name}t", stage.take(80), web=first)) as found:
            time.sleep(2)
            began = time.time()
            first.end()
            ends.enter_context(stage.serve(port=port))
            back = time.time() - began
            time.sleep(2)
    by_term = found[0]
    figures += f"; TERM and a new start ({back:.0f} s): {ledger.check(stage, f'{name}t', by_term)},"
    figures += f" {by_term.cut} tries refused meanwhile"
    must(not by_term.statuses, f"{figures}; other answers {dict(by_term.statuses)}")
    return f"{figures}; old code beside new: not run"


def migration(stage: Stage, folder: Path, pause: float) -> subprocess.Popen[bytes]:
    """The product's migrations and one more that copies or locks the outbox and takes its time."""
    there, marker = folder / "migrations", folder / "half-way"
    if not there.exists():
        shutil.copytree(MIGRATIONS, there, ignore=shutil.ignore_patterns("__pycache__"))
    marker.unlink(missing_ok=True)
    head = sorted(path.name[:4] for path in (there / "versions").glob("0*.py"))[-1]
    more = ONE_MORE.format(head=head, marker=str(marker), pause=pause)
    (there / "versions" / "faults.py").write_text(more, encoding="utf-8")
    return upgrading(stage, str(there), folder)


def upgrading(stage: Stage, directory: str, folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "migration.log").open("a") as log:
        command = [sys.executable, "-c", UPGRADE.format(directory)]
        return subprocess.Popen(command, env=os.environ | stage.env(1), stdout=log, stderr=log)


def shape_of(stage: Stage) -> dict[str, object]:
    with stage.engine().connect() as connection:
        return shape(connection)


@fault("F19", "R9")
def migrated_while_people_send(stage: Stage) -> str:
    name = f"f19-{stage.chance.randrange(2**16)}"
    with stage.copy() as there:
        before, rows = shape_of(there), counts(there)
        with there.crowd.sending(there.senders(name, there.take(80))) as found:
            half = migration(there, there.folder, 60)
            until = time.monotonic() + 300
            while not (there.folder / "half-way").exists():
                must(half.poll() is None and time.monotonic() < until, (there.folder / "migration.log").read_text()[-300:])
                time.sleep(0.05)
            time.sleep(1)
            half.kill()
            half.wait()
            must(shape_of(there) == before, "killed half way it left something behind")
            tries = 1
            while (done := migration(there, there.folder, 1)).wait() != 0:  # on PostgreSQL it gives up where it gets no lock
                tries += 1
                must(tries < 10, (there.folder / "migration.log").read_text()[-300:])
            time.sleep(2)
        must(done.returncode == 0, "it did not end well")
        after = shape_of(there)
        changed = [table for table in before if before[table] != after[table]]
        must(changed == ["outbox", "made"], f"after the second run these differ: {changed}")
        figures = ledger.check(there, name, found[0])
        must(all(counts(there)[table] >= number for table, number in rows.items()), "rows are missing")
        tally = found[0]
    figures = f"killed half way: the schema as before; run again ({tries}): done; senders: {figures};"
    figures += f" {tally.statuses[503]} answered 503"
    waited = f"the longest answer {tally.slowest():.1f} s"
    must(not set(tally.statuses) - {503} and not tally.cut, f"{figures}; other answers {dict(tally.statuses)}, {tally.cut} cut")
    must(tally.slowest() <= 6, f"{figures}; {waited}")
    return f"{figures}, {waited}; from nothing, killed at random: {from_nothing(stage)}"


def counts(stage: Stage) -> Counter[str]:
    with stage.engine().connect() as connection:
        tables = sa.inspect(connection).get_table_names()
    return Counter({table: stage.value(f"SELECT count(*) FROM {table}") for table in tables})


def from_nothing(stage: Stage) -> str:
    """All migrations on an empty database, killed at moments by chance, in the end make the schema of the filled one."""
    kills = 3
    with stage.copy() as there:
        wanted = shape_of(there)
        if stage.cluster:
            name = sa.make_url(there.url).database
            stage.cluster.command(f"DROP DATABASE {name} WITH (FORCE)")
            stage.cluster.command(f"CREATE DATABASE {name} TEMPLATE template0")
        else:
            for path in there.folder.glob("portal.sqlite3*"):
                path.unlink()
        for _ in range(kills):
            running = upgrading(there, str(MIGRATIONS), there.folder)
            until = time.monotonic() + 300
            while running.poll() is None and time.monotonic() < until and not begun(there):
                time.sleep(0.02)
            time.sleep(stage.chance.uniform(0, 0.4))
            running.kill()
            running.wait()
        must(upgrading(there, str(MIGRATIONS), there.folder).wait() == 0, (there.folder / "migration.log").read_text()[-300:])
        must(shape_of(there) == wanted, "another schema")
    return f"{kills} times, then the same schema"


def begun(stage: Stage) -> bool:
    """Whether the migration is at work: it holds the log of SQLite, or is connected."""
    if stage.cluster:
        return bool(
            stage.value("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND xact_start < now()")
        )
    return (stage.folder / "portal.sqlite3-wal").exists()
