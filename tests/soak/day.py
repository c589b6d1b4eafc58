"""One day on one database: who is there, what is done to the machines meanwhile, and the ledger at the end."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from practice import people as accounts
from practice.communicators import Communicator
from practice.coverage import save_communicator
from practice.db import COMMAND, db
from practice.people import Person
from practice.settings import RequestType
from tests.faults.mails import keys_of
from tests.faults.restarts import migration
from tests.faults.senders import free_port
from tests.faults.smtp import Server
from tests.faults.stage import Child, Stage, Web, app_on, dispose, log_in
from tests.soak.people import One, Patients, People, Staff, Told

DESKS, AT_A_DESK = 10, 4
PATIENT_PROCESSES, STAFF_PROCESSES = 3, 3
GROWTH, MEGABYTES = 0.15, 10  # of a web worker's memory between the first quarter and the end
DRAIN = 240  # seconds for the last mails
BEFORE, AFTER = 1.0, 5.0  # seconds about an absence that belong to it


@dataclass(frozen=True)
class Line:
    """One line of the ledger."""

    said: str
    holds: bool = True

    def __str__(self) -> str:
        return self.said if self.holds else f"**{self.said}**"


@dataclass
class Host:
    """A machine of its own: its pages with a DATA_DIR, its worker."""

    web: Web
    worker: Child
    env: dict[str, str]


@dataclass
class Day:
    """`away`: from when until when the database was not there; `killed`: a host."""

    stage: Stage
    seconds: float
    mails: Server
    hosts: list[Host] = field(default_factory=list)
    away: list[tuple[float, float]] = field(default_factory=list)
    killed: list[tuple[float, float]] = field(default_factory=list)
    memory: dict[int, float] = field(default_factory=dict)  # megabytes of each web worker at the first quarter
    lines: list[Line] = field(default_factory=list)
    deaths: int = 0  # workers killed at whatever they were at

    # ---- Machines ------------------------------------------------------------------------------

    def begin_host(self, number: int, port: int = 0) -> Host:
        env = self.stage.env(port or free_port()) | {
            "DATA_DIR": str(self.stage.folder / f"host-{number}"),
            "FILES_DIR": str(self.stage.folder / "data" / "files"),
        }
        options = ("--graceful-timeout", "30")
        web = Web(env, self.stage.folder, *options, target="wsgi:create_app()", start_new_session=True)
        return Host(web.wait(), self.stage.begin_worker(self.mails.port), env)

    def end(self) -> None:
        for host in self.hosts:
            host.web.end()
            host.worker.kill(signal.SIGTERM)
            host.worker.wait()

    def restart_web(self) -> str:
        """HUP: new processes, the old ones finish what they are at."""
        for host in self.hosts:
            before = set(host.web.workers())
            os.kill(host.web.process.pid, signal.SIGHUP)
            until = time.monotonic() + 90
            while (before & set(host.web.workers()) or len(host.web.workers()) < 2) and time.monotonic() < until:
                time.sleep(0.2)
        return "web restarted (HUP)"

    def restart_worker(self) -> str:
        for host in self.hosts:
            host.worker.kill(signal.SIGTERM)
            host.worker.wait()
            host.worker = self.stage.begin_worker(self.mails.port)
        return "worker restarted (TERM)"

    def prepare(self) -> str:
        return self.command("prepare")

    def back_up(self) -> str:
        return self.command("backup", str(self.stage.folder / "backup"))

    def command(self, *words: str) -> str:
        status, said = self.stage.flask(*words)
        self.lines += [] if status == 0 else [Line(f"{words[0]} failed: {said[-200:]}", False)]
        return f"flask {words[0]}"

    def migrate(self) -> str:
        """One more migration, which copies the outbox (SQLite) or locks it."""
        folder = self.stage.folder / "migrating"
        folder.mkdir()
        tries = 1
        while migration(self.stage, folder, 0.5).wait(120) != 0 and tries < 10:  # it gives up where it gets no lock
            tries += 1
        there = self.stage.value("SELECT count(*) FROM alembic_version WHERE version_num = 'faults'")
        self.lines += [] if there else [Line("the migration did not succeed", False)]
        return f"a migration ({tries})"

    def restart_database(self) -> str:
        assert self.stage.cluster
        begun = time.time()
        self.stage.cluster.stop("fast")
        time.sleep(1)
        self.stage.cluster.start()
        self.away.append((begun - BEFORE, time.time() + AFTER))
        return f"PostgreSQL restarted ({time.time() - begun:.0f} s)"

    def kill_host(self) -> str:
        """All of its processes at once, whatever they are at."""
        host = self.hosts[-1]
        begun = time.time()
        os.killpg(host.web.process.pid, signal.SIGKILL)
        host.worker.kill()
        host.web.process.wait()
        self.deaths += 1
        self.killed.append((begun - BEFORE, begun + AFTER))
        return "a host killed (-9)"

    def begin_host_again(self) -> str:
        self.hosts[-1] = self.begin_host(len(self.hosts), self.hosts[-1].web.port)
        return "and begun again"

    def note_memory(self) -> str:
        self.memory = {pid: megabytes(pid) for host in self.hosts for pid in host.web.workers()}
        return "memory read"

    # ---- What happens when ---------------------------------------------------------------------

    def plan(self) -> list[tuple[float, Callable[[], str]]]:
        """At which part of the day."""
        found = [(0.05, self.restart_web), (0.15, self.restart_worker), (0.2, self.prepare), (0.25, self.note_memory)]
        found += [(0.35, self.back_up), (0.45, self.migrate), (0.85, self.restart_worker)]
        if self.stage.cluster:
            found += [(0.55, self.restart_database), (0.65, self.kill_host), (0.75, self.begin_host_again)]
        return sorted(found, key=lambda one: one[0])

    def run(self, staff: list[One], patients: list[One], say: Callable[[str], None]) -> Told:
        with contextlib.ExitStack() as ends:
            ends.callback(self.end)
            for number in range(2 if self.stage.cluster else 1):
                self.hosts.append(self.begin_host(number))
            port = ends.enter_context(proxy([host.web.port for host in self.hosts])) if len(self.hosts) > 1 else 0
            begun = time.time()
            working = [
                self.stage.crowd.pool.submit(one.run)
                for one in self.people(port or self.hosts[0].web.port, begun + self.seconds, staff, patients)
            ]
            for part, act in self.plan():
                time.sleep(max(0.0, begun + part * self.seconds - time.time()))
                say(f"{time.time() - begun:.0f} s: {act()}")
            told = sum((one.result() for one in working), Told())
            self.lines += [memory_line(self.memory, self.hosts)]
            say(f"{time.time() - begun:.0f} s: all have ended; the last mails leave")
            self.wait_for_mails()
        return told

    def people(self, port: int, until: float, staff: list[One], patients: list[One]) -> Iterator[People]:
        for kind, everybody, processes, pause in (
            (Patients, patients, PATIENT_PROCESSES, 0.4),
            (Staff, staff, STAFF_PROCESSES, 0.3),
        ):
            for n in range(processes):
                name = f"soak-{kind.__name__.lower()}-{n}"
                yield kind(name, port, everybody[n::processes], self.stage.chance.randrange(2**32), until, pause)

    def wait_for_mails(self) -> None:
        """On the other side of the ten seconds of an answer's *Undo*."""
        until = time.monotonic() + DRAIN
        time.sleep(12)
        while self.due() and time.monotonic() < until:
            time.sleep(1)

    def due(self) -> int:
        now = "datetime('now')" if self.stage.kind == "sqlite" else "timezone('utc', now())"
        number = self.stage.value(f"SELECT count(*) FROM outbox WHERE state IN ('waiting', 'leased') AND next_at <= {now}")
        return int(number)

    # ---- The ledger ----------------------------------------------------------------------------

    def ledger(self, told: Told) -> list[Line]:
        stage = self.stage
        rows = stage.rows("SELECT form_key, body, thread_id FROM message WHERE body LIKE 'soak-%'")
        stored = {row.form_key for row in rows}
        for name, acknowledged in (("messages", told.messages), ("answers", told.answers)):
            whose = "soak-patients" if name == "messages" else "soak-staff"
            bodies = [row.body for row in rows if row.body.startswith(whose)]
            self.lines.append(stored_line(name, acknowledged, stored, bodies))
        self.lines.append(self.audit_line(Counter(row.thread_id for row in rows)))
        self.lines.append(self.mail_line())
        self.lines += answer_lines(told, self.away, self.killed)
        self.lines.append(self.count_line())
        for command in ("verify", "verify-audit"):
            status, said = stage.flask(command)
            self.lines.append(Line(f"{command}: {said.strip().splitlines()[0]}", status == 0))
        return self.lines

    def audit_line(self, written: Counter[int]) -> Line:
        audited = self.stage.rows(
            "SELECT t.id AS thread, count(*) AS number FROM audit a JOIN thread t ON t.key = a.about"
            " WHERE a.did IN ('send', 'reply', 'answer') GROUP BY t.id"
        )
        there = {row.thread: row.number for row in audited}
        lacking = sum(max(0, number - there.get(thread, 0)) for thread, number in written.items())
        return Line(f"{lacking} without their row in the audit", not lacking)

    def mail_line(self) -> Line:
        found = keys_of(self.mails.taken)
        doubled = sum(number - 1 for number in found.values())
        states = {row.state: row.number for row in self.stage.rows("SELECT state, count(*) AS number FROM outbox GROUP BY state")}
        said = f"{len(found)} mails, {doubled} doubled ({self.deaths} workers killed), {states.get('sent', 0)} notices told,"
        said += f" {states.get('dead', 0)} dead, {self.due()} due and not sent"
        return Line(said, doubled <= self.deaths and not states.get("dead") and not self.due())

    def count_line(self) -> Line:
        wrong = self.stage.value(
            "SELECT count(*) FROM audience a WHERE a.unread <> (SELECT count(*) FROM thread t WHERE t.audience_id = a.id AND"
            " t.is_unread) OR a.in_box <> (SELECT count(*) FROM thread t WHERE t.audience_id = a.id AND t.is_in_box)"
        )
        return Line(f"{wrong} audiences counted wrong", not wrong)


def stored_line(name: str, acknowledged: dict[str, str], stored: set[str], bodies: list[str]) -> Line:
    lost, doubled = len(acknowledged.keys() - stored), len(bodies) - len(set(bodies))
    said = f"{name}: {len(acknowledged)} acknowledged, {len(bodies)} stored, {doubled} doubled, {lost} lost"
    return Line(said, bool(acknowledged) and not lost and not doubled)


def answer_lines(told: Told, away: list[tuple[float, float]], killed: list[tuple[float, float]]) -> Iterator[Line]:
    """5xx are for the database's absence alone; no answer at all for that and for the moment of a host's death."""
    wrong = Counter(f"{status} {what}" for at, status, what in told.failed if status and not within(at, away))
    known = sum(1 for at, status, _ in told.failed if status and within(at, away))
    yield Line(
        f"{told.asked} requests, {sum(wrong.values())} answered 5xx {dict(wrong) or ''}({known} while the database was away)",
        not wrong,
    )
    cut = Counter(what for at, status, what in told.failed if not status and not within(at, away + killed))
    known = sum(1 for at, status, _ in told.failed if not status and within(at, away + killed))
    yield Line(f"{sum(cut.values())} without any answer {dict(cut) or ''}({known} at those moments)", not cut)
    yield Line(f"{told.logged_in} log-ins by the page, {told.thrown_out} led to the log-in though logged in", not told.thrown_out)
    times = sorted(told.seconds) or [0.0]
    others = dict(sorted(told.others.items()))
    slow = times[min(len(times) - 1, len(times) * 95 // 100)]
    yield Line(f"median {1000 * times[len(times) // 2]:.0f} ms, 95 % {1000 * slow:.0f} ms, other answers {others}")


def within(at: float, times: list[tuple[float, float]]) -> bool:
    return any(begun <= at <= ended for begun, ended in times)


def memory_line(before: dict[int, float], hosts: list[Host]) -> Line:
    there = {pid for host in hosts for pid in host.web.workers()}
    grown = {pid: (before[pid], megabytes(pid)) for pid in before if pid in there}
    if not grown:
        return Line("no web worker lived from the first quarter to the end", False)
    worst = max(grown, key=lambda pid: grown[pid][1] - grown[pid][0])
    first, last = grown[worst]
    holds = last - first <= max(MEGABYTES, first * GROWTH)
    return Line(f"memory of {len(grown)} web workers from the first quarter: at most {first:.0f} to {last:.0f} MB", holds)


def megabytes(pid: int) -> float:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    return 0.0


@contextlib.contextmanager
def proxy(targets: list[int]) -> Iterator[int]:
    """The port of a proxy before these."""
    port = free_port()
    command = [sys.executable, "-m", "tests.soak.proxy", str(port), *map(str, targets)]
    running = subprocess.Popen(command)
    try:
        time.sleep(1)
        yield port
    finally:
        running.kill()
        running.wait()


def everybody(stage: Stage) -> tuple[list[One], list[One]]:
    """Forty staff at ten desks, and the loaded patients, each of whom writes to one of these."""
    app = app_on(stage)
    with app.app_context():
        mails = dict(db.session.execute(sa.select(Person.id, Person.email)).all())
        hashed = db.session.scalar(sa.select(Person.password_hash).where(Person.id == stage.people[0].person))
        staff, desks = [], []
        for desk in range(DESKS):
            members = []
            for n in range(AT_A_DESK):
                login, email = f"desk{desk}-{n}", f"desk{desk}-{n}@soak.example"
                how = {"last": "DESK", "first": f"{desk} {n}", "level": "Staff", "password_hash": hashed, "by": COMMAND}
                members.append((accounts.add_staff(login=login, email=email, **how), email))
            found = [db.session.get_one(Person, number) for number, _ in members]
            keys = [one.key for one in found]
            save = {"kind": RequestType.OTHERS, "title": f"Desk {desk}", "staff": keys, "is_in_use": True, "by": COMMAND}
            desks.append(save_communicator(None, **save))
            staff += [One(log_in(app, db.session.get_one(Person, number)), email) for number, email in members]
        assert set(desks) <= set(db.session.scalars(sa.select(Communicator.key)))
        patients = [One(one, str(mails[one.person]), desks[one.person % DESKS]) for one in stage.people]
    dispose(app)
    return staff, patients
