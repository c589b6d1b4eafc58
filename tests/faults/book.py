"""The faults that are known, what became of each, and docs/reliability.md, which is written and read back here alone."""

import platform
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

DATABASES = ("sqlite", "postgresql")
FILE = Path("docs/reliability.md")
IDS = tuple(f"F{n}" for n in range(1, 32)) + tuple(f"R{n}" for n in range(1, 11))
WORDS = {
    "F1": "web workers killed while people send",
    "F2": "mail worker killed before SMTP, at DATA, when taken, after 250",
    "F3": "races on receive, claim, reply, close",
    "F4": "double click, retry, Back, two tabs",
    "F5": "eight processes write at once",
    "F6": "a long writer holds the lock for 8 s",
    "F7": "disk full",
    "F8": "I/O errors on write and fsync",
    "F9": "read-only database, missing folder, wrong rights",
    "F10": "PostgreSQL crashes",
    "F11": "PostgreSQL slow, locked, pool used up",
    "F12": "idle connections cut",
    "F13": "SMTP refuses, hangs, 421, 451, 550, drops after DATA, bad TLS",
    "F14": "poison rows in the outbox",
    "F15": "three mail workers",
    "F16": "mail worker never started",
    "F17": "clock jumps +400 days, -1 hour",
    "F18": "restart under load (HUP, TERM)",
    "F19": "migration under senders, killed half way",
    "F20": "backup during writes",
    "F21": "log file of SQLite lost, database cut, bit flipped",
    "F22": "SECRET_KEY changed, with and without the old one",
    "F23": "sessions ended in use, by time and by force",
    "F24": "network lost in the browser",
    "F25": "100,000 threads, a thread of 5,000 messages",
    "F26": "CPU and memory starved",
    "F27": "64 file descriptors and 200 slow clients",
    "F28": "no JavaScript, or htmx does not load",
    "F29": "upload cut at half",
    "F30": "the same registration 20 times at once",
    "F31": "SQLite older than 3.51.3",
    "R1": "no acknowledged message is lost",
    "R2": "nothing twice",
    "R3": "no silent failure",
    "R4": "no lost update",
    "R5": "notices at least once, no row stuck",
    "R6": "parts fail alone",
    "R7": "contention is no error",
    "R8": "a backup restores",
    "R9": "an upgrade keeps data",
    "R10": "the audit trail is whole",
}


class Broken(Exception):
    """What should have held did not; the sentence says what."""


class NotRun(Exception):
    """The sentence says what is missing."""


class NotHere(Exception):
    """The fault cannot come on this database; the sentence says why."""


@dataclass(frozen=True)
class Fault:
    """`make` makes it for real on one database, and answers the figures that were measured."""

    ids: tuple[str, ...]
    make: Callable[[Any], str]


FAULTS: list[Fault] = []


def fault(*ids: str) -> Callable[[Callable[[Any], str]], Callable[[Any], str]]:
    def known(make: Callable[[Any], str]) -> Callable[[Any], str]:
        FAULTS.append(Fault(ids, make))
        return make

    return known


def must(holds: object, sentence: str) -> None:
    if not holds:
        raise Broken(sentence)


@dataclass(frozen=True)
class Row:
    id: str
    database: str
    result: str  # holds, broken, not run, does not apply
    figures: str
    seconds: int
    day: str

    def line(self) -> str:
        figures = " ".join(self.figures.split()).replace("|", "/")
        shown = f"**{self.result}**" if self.result == "broken" else self.result
        return f"| {self.id} | {WORDS[self.id]} | {self.database} | {shown} | {figures} | {self.seconds} | {self.day} |"


LINE = re.compile(r"\| ([FR]\d+) \| [^|]+ \| ([^|]+) \| \**([^|*]+)\** \| ([^|]*) \| (\d+) \| ([\d-]+) \|")
HEAD = """# What goes wrong by itself

Written by `{command}` on {day}: Python {python}, SQLite {sqlite}, PostgreSQL {postgresql}; {machine}. Seed {seed}.

Each fault is made for real against the product: gunicorn with two workers (`--preload`, so that a new process is there at
once), mail workers and senders as processes of their own, a PostgreSQL server of the run's own (`initdb`, checksums, all other
settings as they come). Where a row says *tests*, those of `make test` were run for it on that database. `python -m tests.faults
--only F1,F13` runs some and rewrites their rows alone: the day of each row says when.

*acknowledged*: the sender was answered 303. *lost*: acknowledged and not stored. *doubled*: one form stored twice. *without
audit*: messages without their row in the audit. *without notice*: people who are to be told and have no row in the outbox.

{held} hold, {broken} broken, {not_run} not run, {not_here} cannot come there.
"""
TABLE = "| | fault or promise | database | result | figures | seconds | day |\n|---|---|---|---|---|---:|---|"


def kept() -> dict[tuple[str, str], Row]:
    """The rows of the file as it is."""
    text = FILE.read_text(encoding="utf-8") if FILE.exists() else ""
    rows = (Row(one[1], one[2], one[3], one[4], int(one[5]), one[6]) for one in LINE.finditer(text))
    return {(row.id, row.database): row for row in rows}


def write(new: Sequence[Row], *, command: str, seed: int) -> None:
    """Puts new rows in the place of the old ones; what never ran says so."""
    rows = {(id, kind): Row(id, kind, "not run", "never yet", 0, f"{date.today()}") for id in IDS for kind in DATABASES}
    rows |= kept() | {(row.id, row.database): row for row in new}
    number = {
        result: sum(row.result == result for row in rows.values()) for result in ("holds", "broken", "not run", "does not apply")
    }
    head = HEAD.format(
        command=command,
        day=date.today(),
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        postgresql=postgresql_version(),
        machine=f"{cores()} cores",
        seed=seed,
        held=number["holds"],
        broken=number["broken"],
        not_run=number["not run"],
        not_here=number["does not apply"],
    )
    lines = [rows[id, kind].line() for id in IDS for kind in DATABASES]
    FILE.write_text("\n".join([head, TABLE, *lines, ""]), encoding="utf-8")


def postgresql_version() -> str:
    if not shutil.which("postgres"):
        return "(none)"
    return subprocess.run(["postgres", "--version"], capture_output=True, text=True, check=True).stdout.split()[2]


def cores() -> int:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return sum(line.startswith("processor") for line in file)


def wanted(only: str) -> Iterator[Fault]:
    """Those that are asked for, in the order of the table."""
    asked = {one.strip().upper() for one in only.split(",") if one.strip()}
    if unknown := asked - set(IDS):
        raise SystemExit(f"There is no {', '.join(sorted(unknown))}.")
    for one in sorted(FAULTS, key=lambda one: IDS.index(one.ids[0])):
        if not asked or asked & set(one.ids):
            yield one
