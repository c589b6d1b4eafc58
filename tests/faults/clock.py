"""Time and secrets: a clock that jumps, a key that changes, an old SQLite."""

import sqlite3
import time
from datetime import timedelta

from practice.db import new_key
from tests.faults.book import fault, must
from tests.faults.mails import empty, keys_of, states, wait_for
from tests.faults.senders import ask
from tests.faults.smtp import Server
from tests.faults.stage import Nursery, Stage, clock_moved
from web.check_config import SOUND_SQLITE


@fault("F17")
def the_clock_jumps(stage: Stage) -> str:
    """An hour back, 400 days ahead, and back to what it is."""
    with stage.copy() as there:
        behind, ahead = (clock_moved(there.folder, by) for by in (timedelta(hours=-1), timedelta(days=400)))
        empty(there)
        who = there.people[0]
        keys = there.queue_mails(there.people[:20])
        in_two_hours = keys[-1]
        later = "datetime(next_at, '+2 hours')" if stage.kind == "sqlite" else "next_at + interval '2 hours'"
        there.change(f"UPDATE outbox SET next_at = {later} WHERE key = :key", key=in_two_hours)
        with Server() as mails:
            slow = Nursery(there.env(1), there.folder, behind)
            with there.worker(mails.port, slow):
                time.sleep(4)
            slow.end()
            must(not mails.taken, f"an hour too early {len(mails.taken)} mails left")
            with there.worker(mails.port):
                wait_for(lambda: states(there, keys)["sent"] == 19, "what is due does not leave")
                time.sleep(1)
            must(in_two_hours not in keys_of(mails.taken), "a mail left before its time")
            with there.serve(before=ahead, target="wsgi:create_app()") as web:
                page = ask(web.port, "/messages", who)
                sent = there.send(who, there.form(), web)
            must(
                page.status == 303 and page.headers["location"].startswith("/login"),
                f"in 400 days a session is open: {page.status}",
            )
            must(sent.status in (400, 401), f"in 400 days a form is answered {sent.status}")
            fast = Nursery(there.env(1), there.folder, ahead)
            with there.worker(mails.port, fast):
                wait_for(lambda: states(there, [in_two_hours])["sent"] == 1, "what is due by that clock does not leave")
                time.sleep(3)
            fast.end()
            stuck = "SELECT count(*) FROM job WHERE next_at > :soon"
            soon = f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(time.time() + 7200))}"
            must(there.value(stuck, soon=soon), "the clock ahead moved nothing")
            with there.worker(mails.port):
                took = wait_for(
                    lambda: not there.value(stuck, soon=soon), "the clock is right again, and the jobs wait for 400 days"
                )
            found = keys_of(mails.taken)
    others = len(found.keys() - set(keys))  # what the clock ahead made due by itself
    must(len(found) - others == len(keys) and set(found.values()) == {1}, f"{len(found) - others} of {len(keys)}: {found}")
    return (
        f"-1 h: nothing left early; +400 d: page {page.status} to the log-in, form {sent.status}; {len(keys)} mails and {others}"
        f" of 400 days, each once; after the clock was set right all jobs ran within {took:.1f} s"
    )


@fault("F22")
def the_secret_key_changes(stage: Stage) -> str:
    who, key = stage.take(1)[0], new_key()
    draft = ask(stage.web.port, f"/drafts/{key}", who, {"about": "/messages/new", "body": "A draft"})
    drafts = stage.value("SELECT count(*) FROM draft")
    other, target = "another secret key, as long as it has to be", "wsgi:create_app()"
    env = {"SECRET_KEY": other, "SECRET_KEY_OLD": stage.env(1)["SECRET_KEY"]}
    with stage.serve("--preload", env=env, target=target) as web:
        with_old = ask(web.port, "/messages", who).status, stage.send(who, stage.form(), web).status
    with stage.serve("--preload", env={"SECRET_KEY": other}, target=target) as web:
        form = stage.form()
        page, sent = ask(web.port, "/messages", who), stage.send(who, form, web)
    must(with_old == (200, 303), f"with the old key answered {with_old}")
    must(page.status == 303 and sent.status in (400, 401), f"without it answered {page.status} and {sent.status}")
    must(form["body"] in sent.body, "without it the form in flight is lost")
    kept = stage.value("SELECT count(*) FROM draft")
    must(draft.status < 400 and kept == drafts > 0, f"drafts: {drafts}, then {kept}; saved with {draft.status}")
    return (
        f"with the old one: page {with_old[0]}, send {with_old[1]}; without: page {page.status} to the log-in,"
        f" send {sent.status} with its text to copy; {kept} drafts kept"
    )


@fault("F31")
def an_old_sqlite_is_named(stage: Stage) -> str:
    with stage.worker() as child:
        time.sleep(2)
    said = child.output.read_text(encoding="utf-8")
    is_named = "can, rarely, damage the database" in said
    is_old = stage.kind == "sqlite" and sqlite3.sqlite_version_info < SOUND_SQLITE
    must(is_named == is_old, f"SQLite {sqlite3.sqlite_version}: {said[:200]}")
    return f"SQLite {sqlite3.sqlite_version}: the worker {'warns and names PostgreSQL' if is_old else 'does not warn'}"
