"""Mails: workers killed, three at once, none at all, a server that never answers, rows that nobody can send."""

import re
import shutil
import socket
import statistics
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from http.client import HTTPConnection

from tests.faults.book import fault, must
from tests.faults.senders import ask
from tests.faults.smtp import MOMENTS, Server
from tests.faults.stage import METRICS_TOKEN, Child, Nursery, Stage, clock_moved

WAIT = 90  # seconds for what takes a few
NUMBER = 60


def wait_for(what: Callable[[], bool], sentence: str, seconds: float = WAIT) -> float:
    """How long it took until it was so. Raises Broken when it does not become so."""
    begun = time.monotonic()
    while not what():
        must(time.monotonic() - begun < seconds, sentence)
        time.sleep(0.1)
    return time.monotonic() - begun


def states(stage: Stage, keys: list[str]) -> Counter[str]:
    rows = {row.key: row.state for row in stage.rows("SELECT key, state FROM outbox")}
    return Counter(rows.get(key, "gone") for key in keys)


def keys_of(taken: list[str]) -> Counter[str]:
    """The Message-IDs, as the keys of the rows they are made of."""
    return Counter(one.strip("<>").partition("@")[0] for one in taken)


def empty(stage: Stage) -> None:
    """What earlier tests left to be sent is none of this one's business."""
    stage.change("DELETE FROM outbox")


@fault("F2", "R5")
def mail_worker_killed_at_each_moment_of_a_mail(stage: Stage) -> str:
    empty(stage)
    plan = [moment for moment in MOMENTS for _ in range(3)]
    stage.chance.shuffle(plan)
    kills = len(plan)
    running: list[Child] = []

    def at(moment: str) -> None:
        if plan and plan[0] == moment and running[-1].is_alive():
            plan.pop(0)
            running[-1].kill()

    keys = stage.queue_mails(stage.take(NUMBER))
    with Server(at) as mails:
        begun = time.monotonic()
        while plan:
            running.append(stage.begin_worker(mails.port))
            must(time.monotonic() - begun < WAIT, f"{len(plan)} kills are left: {states(stage, keys)}")
            while running[-1].is_alive() and plan:
                time.sleep(0.05)
        with stage.worker(mails.port):
            wait_for(lambda: states(stage, keys)["waiting"] == 0, "what was never tried is not sent")
        leased = states(stage, keys)["leased"]
        past = timedelta(minutes=3)
        ahead = Nursery(stage.env(1), stage.folder, clock_moved(stage.folder, past)) if shutil.which("cc") else None
        with stage.worker(mails.port, ahead):  # a lease lasts two minutes: this one's clock is past them
            wait_for(lambda: states(stage, keys)["sent"] == NUMBER, f"a row is stuck: {states(stage, keys)}", 200)
        if ahead:
            ahead.end()
    found = keys_of(mails.taken)
    doubles = sum(number - 1 for number in found.values())
    figures = (
        f"{kills} kills, {NUMBER} rows, all sent; {leased} taken over after their lease; {doubles} doubles of the same Message-ID"
    )
    must(found.keys() == set(keys) and doubles <= kills, f"{figures}; {len(found)} of {NUMBER} arrived")
    return figures


@fault("R6")
def pages_do_not_feel_a_mail_server_that_never_answers(stage: Stage) -> str:
    """Blocks of sends in turn, with a server that takes mails and with one that takes none: p95 of both."""
    seconds: dict[str, list[float]] = {"taken": [], "never": []}
    with Server() as mails, socket.create_server(("127.0.0.1", 0)) as hole:
        for block in range(12):
            which = "never" if block % 2 else "taken"
            with stage.worker(hole.getsockname()[1] if which == "never" else mails.port) as child:
                time.sleep(0.5)
                for who in stage.take(40):
                    answer = stage.send(who, stage.form())
                    must(answer.status == 303, f"a send was answered {answer.status}")
                    seconds[which].append(answer.seconds)
                child.kill()  # in the middle of its 15 seconds
    taken, never = (statistics.quantiles(seconds[which], n=20)[-1] for which in ("taken", "never"))
    figures = f"p95 of {len(seconds['taken'])} sends {1000 * taken:.0f} ms, with SMTP black-holed {1000 * never:.0f} ms:"
    figures += f" {never / taken:.2f} times"
    must(never <= 1.2 * taken, figures)
    return f"{figures}; back after the database was away: see F10, F6"


@fault("F14")
def poison_rows_hold_nobody_up(stage: Stage) -> str:
    """Rows as no verb writes them, put in by SQL before a good one."""
    empty(stage)
    keys = stage.queue_mails(stage.take(5))
    address, nonsense, orphan, proofless, good = keys
    number = "SELECT person_id FROM outbox WHERE key = :key"
    stage.change(f"UPDATE person SET email = 'nobody' WHERE id = ({number})", key=address)
    stage.change("UPDATE outbox SET occasion = 'nonsense' WHERE key = :key", key=nonsense)
    staff = min(stage.told)
    stage.change("UPDATE outbox SET occasion = 'mentioned', person_id = :staff WHERE key = :key", key=orphan, staff=staff)
    stage.change("UPDATE outbox SET occasion = 'new_email' WHERE key = :key", key=proofless)
    stage.change("UPDATE outbox SET next_at = created_at WHERE key <> :key", key=good)
    poison = [address, orphan, proofless]
    tries = 0
    with Server() as mails, stage.worker(mails.port) as child:
        took = wait_for(lambda: good in keys_of(mails.taken), "the next mail does not leave", 20)
        while (left := states(stage, poison)) and left["waiting"] + left["leased"]:
            tries += 1
            must(tries < 100, f"{left}: no end to it")
            stage.change("UPDATE outbox SET next_at = created_at WHERE attempts > 0 AND state = 'waiting'")
            time.sleep(0.5)
        must(child.is_alive(), "the worker has died")
    page = ask(stage.web.port, "/admin/mails", stage.admin)
    must(page.status == 200, f"the page of mails not sent is answered {page.status}")
    ends = ", ".join(f"{number} {state}" for state, number in sorted(states(stage, poison).items()))
    unknown = next(iter(states(stage, [nonsense])))
    stage.change("DELETE FROM outbox WHERE key = :key", key=nonsense)
    return (
        f"the next mail left after {took:.1f} s; of 3 rows {ends}; one of an occasion that this release does not know: {unknown}"
    )


@fault("F15")
def three_workers_send_each_row_once(stage: Stage) -> str:
    empty(stage)
    number = 150
    keys = stage.queue_mails(stage.take(number))
    with Server() as mails, stage.worker(mails.port), stage.worker(mails.port), stage.worker(mails.port):
        took = wait_for(lambda: states(stage, keys)["sent"] == number, "not all are sent")
    found = keys_of(mails.taken)
    figures = f"{number} rows, {len(mails.taken)} mails, {len(found)} different, in {took:.1f} s"
    must(len(mails.taken) == len(found) == number, figures)
    return figures


@fault("F16")
def without_a_worker_it_is_seen_and_caught_up_in_order(stage: Stage) -> str:
    empty(stage)
    people = stage.take(30)
    keys = stage.queue_mails(people)
    hour = "datetime(next_at, '-61 minutes')" if stage.kind == "sqlite" else "next_at - interval '61 minutes'"
    for n, key in enumerate(keys):
        moved = hour.replace("-61 minutes", f"-{120 - n} minutes").replace("61 minutes'", f"{120 - n} minutes'")
        stage.change(f"UPDATE outbox SET next_at = {moved} WHERE key = :key", key=key)
    oldest = oldest_due(stage)
    banner = ask(stage.web.port, "/admin/mails", stage.admin)
    with Server() as mails, stage.worker(mails.port):
        took = wait_for(lambda: states(stage, keys)["sent"] == len(keys), "not all are sent")
    must(oldest > 3600, f"/metrics says {oldest:.0f} s")
    must(banner.status == 200 and "Is the worker running" in banner.body, "admins see nothing of it")
    must([one.strip("<>").partition("@")[0] for one in mails.taken] == keys, "they did not leave in order")
    return f"{len(keys)} rows for up to 2 h: /metrics says {oldest:.0f} s, admins are told; caught up in order in {took:.1f} s"


def oldest_due(stage: Stage) -> float:
    connection = HTTPConnection("127.0.0.1", stage.web.port, timeout=10)
    connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
    said = connection.getresponse().read().decode()
    connection.close()
    found = re.search(r"^portal_outbox_oldest_due_seconds (\S+)$", said, re.M)
    return float(found[1]) if found else 0.0
