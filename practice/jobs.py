"""Background work: the outbox, and a short table of periodic jobs, each done once however many workers there are."""

import logging
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

import practice.canned_replies  # noqa: F401  for their tables: no job needs them, the schema does
import practice.notes  # noqa: F401
import practice.patients  # noqa: F401
import practice.trays  # noqa: F401
from practice import (
    attachments,
    audit,
    bulk,
    conversations,
    drafts,
    escalation,
    imports,
    links,
    matching,
    numbers,
    outbox,
    presence,
    proofs,
    record_imports,
    routing,
    second_step,
    sessions,
    throttle,
)
from practice.db import BATCH, COMMAND, SYSTEM, WRITE, Model, Transaction, changed, db, now, transaction
from practice.threads import Thread

log = logging.getLogger("portal.worker")


class Job(Model):
    """When a periodic job is due next."""

    __tablename__ = "job"
    name: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    next_at: Mapped[datetime]


def wake_routing(tx: Transaction) -> int:
    """What the clock brings is delivered within a minute, whatever woke nobody."""
    waits = tx.session.scalar(sa.text("SELECT 1 FROM thread WHERE unrouted_since IS NOT NULL LIMIT 1"))
    return routing.wake(tx) if waits else 0


def release_claims(tx: Transaction) -> int:
    """Claims of those who stood in for somebody until their time was over."""
    return conversations.release_lost_claims(tx, conversations.claimers(tx.session))


def log_seal(_tx: Transaction) -> int:
    """The end of the audit's chain into the log, beyond the reach of whoever changes the database."""
    if seal := audit.newest_seal():
        log.info("newest audit seal %s", seal)
    return 0


JOBS: dict[str, tuple[timedelta, Callable[[Transaction], int]]] = {
    "seal the audit": (timedelta(seconds=1), lambda tx: audit.seal(tx.session)),
    "log the audit's seal": (timedelta(hours=1), log_seal),
    "deliver what waited": (timedelta(minutes=1), wake_routing),
    "release lost claims": (timedelta(minutes=1), release_claims),
    "tell of what is overdue": (timedelta(minutes=1), escalation.tell_of_overdue),
    "forget ended sessions": (timedelta(hours=1), lambda tx: sessions.forget_ended(tx.session)),
    "forget old imports": (timedelta(hours=1), lambda tx: imports.forget_imports(tx.session)),
    "forget documents not saved": (timedelta(hours=1), lambda tx: record_imports.forget_documents(tx.session)),
    "forget ended links": (timedelta(hours=1), lambda tx: links.forget_ended(tx.session)),
    "forget half log-ins": (timedelta(hours=1), lambda tx: second_step.forget_halves(tx.session)),
    "encrypt keys anew": (timedelta(hours=1), lambda tx: second_step.encrypt_anew(tx.session)),
    "forget failed tries": (timedelta(hours=1), lambda tx: throttle.forget_ended(tx.session)),
    "forget addresses not proven": (timedelta(hours=1), lambda tx: proofs.forget_proofs(tx.session)),
    "forget ended codes": (timedelta(hours=1), lambda tx: matching.forget_codes(tx.session)),
    "forget who was there": (timedelta(hours=1), lambda tx: presence.forget_gone(tx.session)),
    "forget acts on many": (timedelta(hours=1), lambda tx: bulk.forget_batches(tx.session)),
    "sweep stored files": (timedelta(hours=1), attachments.sweep),
    "send what a wrong clock put off": (timedelta(hours=1), lambda tx: outbox.hurry_up(tx.session)),
    "forget sent notices": (timedelta(hours=1), lambda tx: outbox.forget_sent(tx.session)),
    "forget dead notices": (timedelta(hours=1), lambda tx: outbox.forget_dead(tx.session)),
    "forget old drafts": (timedelta(hours=1), lambda tx: drafts.forget_drafts(tx.session)),
    "sum up the numbers": (timedelta(hours=1), numbers.sum_up),
}
"""Name: how often, and what; answers how much it did. Each runs in one transaction with the moving of its time."""

SILENT = {"seal the audit"}  # sealing its own audit row would never end


RETENTION = [name for name in JOBS if name.startswith("forget ")]
AT_MOST = {"tell of what is overdue": escalation.BATCH, "sum up the numbers": 1} | dict.fromkeys(RETENTION, BATCH)
"""Who has done so much is due again at once."""
PAUSE = 0.05  # seconds between two batches of one who is in no hurry: SQLite lets those in meanwhile who wait


def run_due_jobs() -> dict[str, int]:
    """Runs what is due; answers how much each did. The first worker moves a job's time, the others find it moved."""
    at, later = now(), {job.name: job.next_at for job in db.session.scalars(sa.select(Job))}
    db.session.close()
    return {name: _run(name, *JOBS[name]) for name in JOBS if name not in later or not at < later[name] <= at + JOBS[name][0]}


def _run(name: str, every: timedelta, job: Callable[[Transaction], int]) -> int:
    with transaction(by=SYSTEM, did=name) as tx:
        at, done = now(), 0
        is_due = (Job.next_at <= at) | (Job.next_at > at + every)  # so far away only after the clock was ahead
        mine = sa.update(Job).where(Job.name == name, is_due).values(next_at=at + every)
        if tx.session.get(Job, name) is None:
            tx.session.add(Job(name=name, next_at=at + every))
            tx.session.flush()
            done = job(tx)
        elif changed(tx.session, mine):
            done = job(tx)
        if done >= AT_MOST.get(name, done + 1):
            tx.session.execute(sa.update(Job).where(Job.name == name).values(next_at=at))
        tx.is_silent = not done or name in SILENT
        return done


def retain() -> dict[str, int]:
    """Deletes all that is over at once, as the worker does hour by hour: in short transactions, so that it may be killed and
    run again. Answers how many of each."""
    return {name: sum(_batches(name)) for name in RETENTION}


def _batches(name: str) -> Iterator[int]:
    done = 1
    while done:
        with transaction(by=COMMAND, did=name) as tx:
            done = JOBS[name][1](tx)
            tx.is_silent = not done
        yield done
        time.sleep(PAUSE if done else 0)


def sees(session: Session, staff: int, thread: int) -> bool:
    """Whether a member of staff may see the thread now, of whom a notice may speak that was queued days ago."""
    found = session.get(Thread, thread)
    return found is not None and staff in routing.recipients(session, found)


def _own_session() -> Session:
    return Session(db.engines[WRITE], expire_on_commit=False)


def send_due(send: Callable[[outbox.Leased], None], *, at_most: int = 100, is_over: Callable[[], bool] = lambda: False) -> int:
    """Leases and sends up to `at_most` notices, one by one, each outside any transaction, and begins none once it `is_over`.
    Answers how many were tried."""
    for n in range(at_most):
        if is_over():
            return n
        with _own_session() as session:
            leased = outbox.lease(session, sees)
            session.commit()
        if leased is None:
            return n
        with _own_session() as session:
            outbox.send_leased(session, leased, send)
            session.commit()
    return at_most


def work(send: Callable[[outbox.Leased], None] | None, *, is_over: Callable[[], bool]) -> None:
    """The worker: sends (where it is told how) and runs jobs until `is_over`.

    On PostgreSQL a sender wakes it; SQLite is asked every half second.
    """
    engine = db.engines[WRITE]
    listener: Any = None
    scan_at = 0.0
    while not is_over():
        try:
            done = run_due_jobs()
            sent = send_due(send, is_over=is_over) if send else 0
            if time.monotonic() >= scan_at:
                scanned = attachments.scan_waiting()
                scan_at = time.monotonic() + (0 if scanned else 5)  # at once after some; else the scanner may be away
            if sent or done.get("seal the audit") == audit.BATCH:
                continue
            if engine.dialect.name == "postgresql":
                listener = listener or _listen(engine)
                next(iter(listener.notifies(timeout=0.5, stop_after=1)), None)
            else:
                time.sleep(0.5)
        except (sa.exc.DBAPIError, psycopg.Error) as error:  # the listener's own come as the driver's
            log.warning("the database does not answer (%s); trying again", type(error).__name__)
            if listener is not None:
                listener.close()
            listener = None
            time.sleep(2)
    if listener is not None:
        listener.close()


def _listen(engine: sa.Engine) -> Any:
    """A connection of its own that hears of new notices. It is out of the pool, which would hand it to the next transaction
    with autocommit on; whoever has it closes it."""
    pooled = engine.raw_connection()
    connection: Any = pooled.driver_connection
    pooled.detach()
    connection.autocommit = True
    connection.execute("LISTEN outbox")
    return connection
