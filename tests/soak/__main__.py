"""`make soak`: the whole practice at work for 20 minutes on each database, with restarts, a backup, a migration and a restart of
PostgreSQL meanwhile; on PostgreSQL two hosts behind a proxy, of which one is killed. Prints its ledger and writes docs/soak.md.

Exit status 1 when a line of it is broken.
"""

import argparse
import contextlib
import platform
import re
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from tests.faults.__main__ import begin
from tests.faults.book import DATABASES, NotRun, cores, postgresql_version
from tests.faults.senders import Crowd
from tests.faults.smtp import Server
from tests.soak.day import Day, Line, everybody

FILE = Path("docs/soak.md")
HEAD = """# A long day

Written by `python -m tests.soak`: Python {python}, SQLite {sqlite}, PostgreSQL {postgresql}; {cores} cores, on which the people,
the pages, the workers and the database all run. Each row says for how many minutes it ran and when; `make soak` runs 20.

{patients} patients and {staff} staff as HTTP clients in 6 processes: they log in, read, write; they read the In Box, ask for
news, receive, answer. Meanwhile web (HUP) and worker (TERM) are restarted, `prepare`, a backup and a migration run; PostgreSQL is
restarted. On PostgreSQL there are two hosts (a `DATA_DIR` each, one `FILES_DIR`, two workers) behind a round-robin proxy: one is
killed (-9) and begun again.

*acknowledged*: answered 303. *lost*: acknowledged and not stored. *doubled*: stored, or mailed, twice; a worker killed while a
mail leaves may double one. A broken line is bold.

| database | minutes | result | ledger | day |
|---|---:|---|---|---|
"""
ROW = re.compile(r"^\| (sqlite|postgresql) \|.*$", re.M)
PEOPLE = {"patients": 480, "staff": 40}


def main() -> int:
    asked = arguments()
    crowd = Crowd()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("soak: ended before all was run"))
    broken = False
    for kind in [asked.database] if asked.database else DATABASES:
        try:
            lines = soak(kind, asked.minutes, asked.seed, crowd)
            result = "holds" if all(line.holds for line in lines) else "broken"
        except NotRun as error:
            lines, result = [Line(str(error))], "not run"
        for line in lines:
            say(f"{kind}: {line}")
        broken = broken or result == "broken"
        write(kind, asked.minutes, result, lines)
        say(f"{kind}: {result}")
    crowd.pool.shutdown()
    return 1 if broken else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--database", choices=DATABASES)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def soak(kind: str, minutes: float, seed: int, crowd: Crowd) -> list[Line]:
    with contextlib.ExitStack() as ends:
        folder = Path(tempfile.mkdtemp(prefix="portal-soak-"))
        ends.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)  # another user runs the server
        begun = time.monotonic()
        stage = begin(kind, folder, crowd, seed, ends)
        staff, patients = everybody(stage)
        PEOPLE.update(patients=len(patients), staff=len(staff))
        say(f"{kind}: {len(patients)} patients and {len(staff)} staff are there, after {time.monotonic() - begun:.0f} s")
        day = Day(stage, 60 * minutes, ends.enter_context(Server()))
        told = day.run(staff, patients, lambda words: say(f"{kind}: {words}"))
        return day.ledger(told)


def write(kind: str, minutes: float, result: str, lines: Sequence[Line]) -> None:
    """Puts this row in the place of the old one; what never ran says so."""
    rows = {one: f"| {one} | 0 | not run | never yet | {date.today()} |" for one in DATABASES}
    if FILE.exists():
        rows |= {found[1]: found[0] for found in ROW.finditer(FILE.read_text(encoding="utf-8"))}
    shown = f"**{result}**" if result == "broken" else result
    figures = "; ".join(" ".join(str(line).split()).replace("|", "/") for line in lines)
    rows[kind] = f"| {kind} | {minutes:g} | {shown} | {figures} | {date.today()} |"
    versions = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version, "postgresql": postgresql_version()}
    head = HEAD.format(**versions, **PEOPLE, cores=cores())
    FILE.write_text(head + "\n".join(rows[one] for one in DATABASES) + "\n", encoding="utf-8")


def say(words: str) -> None:
    print(f"soak: {words}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
