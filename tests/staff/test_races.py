"""Races of real processes: each of many waiting threads has one winner, every loser is told who, and nothing counts twice."""

import multiprocessing
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import Client, TestResponse

from practice import conversations
from practice.db import Audit, db, new_key
from practice.people import Person, full_name
from practice.settings import RequestType
from practice.threads import Event, History, Message, Thread, ThreadState, last_of_thread
from tests.conftest import HOME, Cast, test_settings
from tests.practice.test_conversations import numbers
from tests.staff.helpers import rows, value
from wsgi import create_app

THREADS, SOME, BLOCK = 200, 40, 10  # all begin a block together, each in an order of its own: so they do meet
RACERS, AT_ONCE = 8, 10
NAMES = ("arno", "bela", "cleo", "dora", "emil", "finn", "greta", "hans", "ines", "jona")
DONE, LOST = (200, 303), 409
BUSY, TRIES = 503, 3  # whoever waited for 5 s on a busy machine tries again, as the page says
PATIENCE = 60  # seconds until whoever waits for the others gives up


# ---- What a process does -------------------------------------------------------------------------

here: dict[str, Any] = {}  # of this process: its application, and where it waits for the others


def come_to_work(url: str, barriers: dict[int, Any]) -> None:
    """The application of a process, with engines of its own."""
    here.update(app=create_app(test_settings(url)), barriers=barriers)


@dataclass(frozen=True)
class Told:
    """What somebody was answered: how soon, and by a refusal its sentence."""

    who: str
    what: str
    thread: str
    status: int
    seconds: float
    refusal: str
    busy: int  # of this person until then


@dataclass
class Desk:
    """A member of staff in a process, with the log-in that was opened before."""

    name: str
    cookie: str
    token: str
    is_htmx: bool
    undo: timedelta
    told: list[Told] = field(default_factory=list)
    busy: int = 0  # answers that asked to try again

    def open(self, method: str, url: str, data: dict[str, str] | None = None, *, is_htmx: bool = True) -> TestResponse:
        headers = {"Cookie": self.cookie, "Referer": f"{HOME}/"} | ({"HX-Request": "true"} if is_htmx else {})
        form = {"csrf_token": self.token} | data if data else None
        client = Client(here["app"], TestResponse, use_cookies=False)
        for _ in range(TRIES):
            answer = client.open(url, method=method, base_url=HOME, headers=headers, data=form)
            if answer.status_code != BUSY:
                break
            self.busy += 1
        return answer

    def post(self, thread: str, what: str, data: dict[str, str]) -> int:
        """Presses a button of a thread; answers the status."""
        begun = time.perf_counter()
        answer = self.open("POST", f"/staff/messages/{thread}/{what}", data, is_htmx=self.is_htmx)
        took = time.perf_counter() - begun
        refusal = re.search(r"Not (?:done|sent): [^<]*", answer.text)
        self.told.append(Told(self.name, what, thread, answer.status_code, took, refusal[0] if refusal else "", self.busy))
        return answer.status_code

    def reply(self, thread: str, seen: str) -> int:
        return self.post(thread, "replies", {"key": new_key(), "seen": seen, "body": f"An answer by {self.name}"})


def race(desk: Desk, what: str, threads: list[tuple[str, int]]) -> list[Told]:
    """Goes through all threads with the version, or the last message, that was seen before anybody began."""
    conversations.UNDO = desk.undo
    order = random.Random(desk.name)
    for start in range(0, len(threads), BLOCK):
        here["barriers"][RACERS].wait(PATIENCE)
        for thread, seen in order.sample(block := threads[start : start + BLOCK], len(block)):
            if what == "replies":
                desk.reply(thread, str(seen))
            else:
                desk.post(thread, what, {"version": str(seen)})
    return desk.told


def work(desk: Desk) -> list[Told]:
    """Receives what stands first in the In Box and answers it; who loses takes the next one. Until nothing is unread."""
    conversations.UNDO = desk.undo
    here["barriers"][AT_ONCE].wait(PATIENCE)
    found = desk.open("POST", "/staff/searches", {"unread": "y"})
    unread = found.headers["HX-Push-Url"]
    while keys := rows(found):
        seen = dict(re.findall(r'name="tick" value="([\w-]{22})\.(\d+)"', found.text))
        for thread in keys:
            if desk.post(thread, "receipts", {"version": seen[thread]}) in DONE:
                desk.reply(thread, value(desk.open("GET", f"/staff/messages/{thread}/reply"), "seen"))
                break
        found = desk.open("GET", unread)
    return desk.told


# ---- Who works, and on what ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def processes(database: str) -> Iterator[ProcessPoolExecutor]:
    """They start when the first work comes, and stay for the next test."""
    spawn = multiprocessing.get_context("spawn")
    barriers = {number: spawn.Barrier(number) for number in (RACERS, AT_ONCE)}
    with ProcessPoolExecutor(AT_ONCE, spawn, come_to_work, (database, barriers)) as pool:
        yield pool


@pytest.fixture
def desks(cast: Cast) -> list[Desk]:
    """Ten members of staff in charge of one communicator. One has a browser without JavaScript."""
    staff = [cast.staff(name) for name in NAMES]
    cast.communicate(RequestType.OTHERS, "Racers", *staff)
    said = ["; ".join(f"{name}={value}" for name, value in one.cookies.items()) for one in staff]
    return [Desk(p.name, cookie, p.token(), p is not staff[0], conversations.UNDO) for p, cookie in zip(staff, said, strict=True)]


@pytest.fixture
def threads(cast: Cast, desks: list[Desk]) -> list[str]:
    """Threads that wait for them; of several patients, who may not send as many alone."""
    patients = [cast.patient(name, "MANY", number=60 + n) for n, name in enumerate(("ute", "vera", "wim", "xenia"))]
    return [cast.send(patients[n % len(patients)], to="Racers") for n in range(THREADS)]


def run(processes: ProcessPoolExecutor, job: Any, desks: list[Desk], *more: Any) -> list[Told]:
    db.session.close()
    begun = time.perf_counter()
    working = [processes.submit(job, desk, *more) for desk in desks]
    told = [one for done in working for one in done.result()]
    took, times = time.perf_counter() - begun, sorted(one.seconds for one in told)
    p99 = times[len(times) * 99 // 100]
    print(f"{db.engine.dialect.name}: {len(told)} answers in {took:.1f} s, p99 {p99:.3f} s, the slowest {times[-1]:.3f} s")
    assert p99 < 5
    busy = sum({one.who: one.busy for one in told}.values())
    assert busy <= len(told) // 50, f"{busy} of {len(told)} were asked to try again: the database is locked for too long"
    return told


def run_race(
    processes: ProcessPoolExecutor, desks: list[Desk], what: str, threads: list[str], seen: sa.ColumnElement[int]
) -> list[Told]:
    """Eight go through these threads. What they have seen of them is read before anybody begins."""
    now_seen = db.session.execute(sa.select(Thread.key, seen).where(Thread.key.in_(threads)).order_by(Thread.id))
    told = run(processes, race, desks[:RACERS], what, [(key, number) for key, number in now_seen])
    assert len(told) == RACERS * len(threads)
    return told


# ---- What must be so afterwards ------------------------------------------------------------------


def winners_of(told: list[Told], threads: list[str]) -> dict[str, str]:
    """Who won each thread; nobody else did, and all others were told who."""
    statuses = Counter(one.status for one in told)
    assert set(statuses) <= {*DONE, LOST}, statuses
    won = [(one.thread, one.who) for one in told if one.status in DONE]
    winners = dict(won)
    assert len(won) == len(threads) and winners.keys() == set(threads), statuses
    for one in told:
        assert one.status in DONE or winners[one.thread] in one.refusal, f"{one} does not name {winners[one.thread]}"
    assert len(set(winners.values())) > 1, "one of them did all of it: nobody raced"
    return winners


def pairs(statement: Any) -> list[tuple[str, str]]:
    """The key of a thread and a name, of each row."""
    return sorted((row.key, full_name(row.last_name, row.first_name)) for row in db.session.execute(statement))


def happened(event: Event) -> list[tuple[str, str]]:
    did = sa.select(Thread.key, Person.last_name, Person.first_name).select_from(History)
    return pairs(
        did.join(Thread, Thread.id == History.thread_id).join(Person, Person.id == History.by_id).where(History.did == event)
    )


def answers() -> list[tuple[str, str]]:
    wrote = sa.select(Thread.key, Person.last_name, Person.first_name).select_from(Message).where(~Message.is_from_patient)
    return pairs(wrote.join(Thread, Thread.id == Message.thread_id).join(Person, Person.id == Message.author_id))


def audited(verb: str) -> list[tuple[str, str]]:
    return sorted(
        (about, name) for about, name in db.session.execute(sa.select(Audit.about, Audit.actor_name).where(Audit.did == verb))
    )


# ---- The races -----------------------------------------------------------------------------------


def test_f3_of_eight_who_press_receive_one_wins_each_thread_and_the_others_are_told_who(desks, threads, processes):
    told = run_race(processes, desks, "receipts", threads, Thread.version)
    won = sorted(winners_of(told, threads).items())
    assert happened(Event.RECEIVED) == won and audited("receive") == won
    assert numbers() == (0, THREADS)


def test_of_eight_who_press_claim_one_wins_each_thread_and_the_others_are_told_who(desks, threads, processes):
    told = run_race(processes, desks, "claim", threads, Thread.version)
    won = sorted(winners_of(told, threads).items())
    assert happened(Event.CLAIMED) == won and audited("claim") == won
    has = sa.select(Thread.key, Person.last_name, Person.first_name).join(Person, Person.id == Thread.claimed_by_id)
    assert pairs(has) == won
    assert numbers() == (THREADS, THREADS)


def check_replies(desks: list[Desk], threads: list[str], processes: ProcessPoolExecutor, words: str) -> None:
    told = run_race(processes, desks, "replies", threads, last_of_thread)
    winners = winners_of(told, threads)
    for one in told:
        assert one.status in DONE or one.refusal.startswith(words.format(winners[one.thread])), one
    won = sorted(winners.items())
    assert answers() == won and audited("answer") == won and happened(Event.RECEIVED) == won
    assert numbers() == (THREADS - len(threads), THREADS)


def test_of_eight_who_answer_one_wins_each_thread_and_the_others_are_told_who(desks, threads, processes):
    check_replies(desks, threads, processes, "Not sent: {} wrote at ")


def test_while_an_answer_is_being_sent_seven_others_are_refused_and_told_whose(ten_seconds, desks, threads, processes):
    check_replies(desks, threads[:SOME], processes, "Not sent: an answer by {} is being sent")


def test_ten_at_once_answer_each_of_all_threads_once(desks, threads, processes):
    told = run(processes, work, desks)
    won = sorted(winners_of([one for one in told if one.what == "receipts"], threads).items())
    assert sorted((one.thread, one.who) for one in told if one.what == "replies" and one.status in DONE) == won
    assert answers() == won and audited("answer") == won and happened(Event.RECEIVED) == won and audited("receive") == won
    assert numbers() == (0, THREADS)
    assert set(db.session.scalars(sa.select(Thread.state))) == {ThreadState.ANSWERED}
    assert db.session.scalar(sa.select(sa.func.count()).where(Message.is_from_patient)) == THREADS
