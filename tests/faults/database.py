"""The database: locked, full, failing, read-only, crashed, slow, cut off."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import sqlalchemy as sa

from tests.faults import ledger
from tests.faults.book import Broken, NotHere, NotRun, fault, must
from tests.faults.senders import Answer, ask
from tests.faults.stage import Cluster, Stage, Web, preloaded

MOST = 10  # seconds until somebody is told that it cannot be done now


def is_told(answer: Answer, form: dict[str, str]) -> bool:
    """Not now, when to try again, and the words are there to be sent again."""
    return answer.status == 503 and "retry-after" in answer.headers and form["body"] in answer.body and answer.seconds <= MOST


def server_of(stage: Stage) -> Cluster:
    if stage.cluster is None:
        raise NotHere("SQLite has no server")
    return stage.cluster


@fault("F6")
def a_long_writer_holds_the_lock(stage: Stage) -> str:
    held = 8.0
    who, form = stage.take(1)[0], stage.form()
    stage.send(who, stage.form())  # all is up
    with ThreadPoolExecutor(2) as pool, lock(stage, "message"):
        begun = time.monotonic()
        sending = pool.submit(stage.send, who, form)
        time.sleep(0.3)
        reading = ask(stage.web.port, "/staff/", stage.staff)
        refused = sending.result()
        time.sleep(max(0.0, held - (time.monotonic() - begun)))
    begun = time.monotonic()
    again = stage.send(who, form)
    took = time.monotonic() - begun
    figures = f"answered {refused.status} after {refused.seconds:.1f} s; the In Box meanwhile in {reading.seconds:.1f} s;"
    figures += f" first success {took:.1f} s after"
    must(is_told(refused, form), f"{figures}; the text is not kept or Retry-After is missing")
    must(reading.status == 200 and reading.seconds < 5, f"the In Box was answered {reading.status}: {figures}")
    must(again.status == 303 and took < MOST, f"afterwards {again.status}: {figures}")
    return figures


@contextlib.contextmanager
def lock(stage: Stage, table: str, mode: str = "EXCLUSIVE") -> Iterator[None]:
    """Held by a writer that is none of the product's."""
    if stage.kind == "sqlite":
        other = sqlite3.connect(str(sa.make_url(stage.url).database), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")
            other.close()
    else:
        with stage.engine().connect() as connection:
            connection.execute(sa.text(f"LOCK TABLE {table} IN {mode} MODE"))
            yield


@fault("F7")
def the_disk_is_full(stage: Stage) -> str:
    with tempfile.TemporaryDirectory(prefix="portal-full-") as name:
        disk = Path(name)
        size = 120 if stage.cluster else 12
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}m", "tmpfs", name], capture_output=True, check=False)
        if mounted.returncode:
            raise NotRun("a small disk cannot be mounted here (tmpfs, as root)")
        try:
            return _full(stage, disk)
        finally:
            subprocess.run(["umount", "--lazy", name], check=False)


def _full(stage: Stage, disk: Path) -> str:
    disk.chmod(0o755)
    space = disk / "database"
    with stage.copy(None if stage.cluster else space) as there:
        if stage.cluster:
            space.mkdir()
            if stage.cluster.user:
                shutil.chown(space, "postgres", "postgres")
            stage.cluster.command(f"CREATE TABLESPACE small LOCATION '{space}'")
            stage.cluster.command(f"ALTER DATABASE {sa.make_url(there.url).database} SET TABLESPACE small")
        (there.folder / "data").mkdir(exist_ok=True)
        people, stored, refused = there.take(40), 0, None
        with there.serve() as web:
            there.send(people[0], there.form(), web)
            fill(disk / "filler")
            for n in range(2000):
                form = there.form(body=f"{n} " + "words " * 1500)
                refused = there.send(people[n % 40], form, web)
                if refused.status != 303:
                    break
                stored += 1
            assert refused is not None
            reading = ask(web.port, "/staff/", there.staff)
            before = there.value("SELECT count(*) FROM message WHERE body LIKE '%words words%'")
            (disk / "filler").unlink()
            again = there.send(people[-1], form, web)
            after = there.value("SELECT count(*) FROM message WHERE body LIKE '%words words%'")
        if stage.cluster:
            stage.cluster.command(f"DROP DATABASE {sa.make_url(there.url).database} WITH (FORCE)")
            stage.cluster.command("DROP TABLESPACE small")
    figures = (
        f"{stored} stored until it was full; then {refused.status}, the In Box {reading.status}; with room again {again.status}"
    )
    must(is_told(refused, {"body": form["body"][:200]}), f"{figures}; text or Retry-After are missing: {refused.body[:200]}")
    must(reading.status == 200 and again.status == 303, figures)
    must((before, after) == (stored, stored + 1), f"{figures}; {before} and {after} are stored")
    return figures


def fill(path: Path) -> None:
    """To the last block."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while os.write(descriptor, b"x" * 4096):
            pass
    os.close(descriptor)


@fault("F8")
def input_and_output_fail(stage: Stage) -> str:
    of_1000 = 20 if stage.kind == "sqlite" else 5
    name, seconds = f"f8-{stage.chance.randrange(2**16)}", 15
    with failing(stage, of_1000) as web, stage.crowd.sending(stage.senders(name, stage.take(80), web=web)) as found:
        time.sleep(seconds)
    figures = f"{of_1000 / 10:g} % of writes and syncs failed for {seconds} s: {ledger.check(stage, name, found[0])}; "
    figures += f"{found[0].statuses[503]} answered 503, {found[0].statuses[500]} answered 500, {found[0].cut} not at all"
    if not stage.cluster:
        whole = stage.value("PRAGMA integrity_check")
        must(whole == "ok", f"{figures}; integrity_check: {whole}")
        figures += "; integrity ok"
    must(found[0].statuses[503] + found[0].statuses[500] + found[0].cut, f"{figures}: nothing failed, so nothing was shown")
    return figures


@contextlib.contextmanager
def failing(stage: Stage, of_1000: int) -> Iterator[Web]:
    """Writes and syncs of the pages where SQLite is in them, or of the server of PostgreSQL, fail by chance."""
    switch = stage.folder / "failing"
    env = [f"LD_PRELOAD={preloaded(stage.folder, 'failing')}", f"FAILING={switch}", f"FAILING_OF_1000={of_1000}"]
    if stage.cluster is None:
        with stage.serve(before=["env", *env]) as web:
            switch.touch()
            yield web
            switch.unlink()
        return
    web = stage.web
    stage.cluster.stop()
    stage.cluster.start("env", *env)
    try:
        switch.touch()
        yield web
    finally:
        switch.unlink()
        with contextlib.suppress(Broken):  # it may have given up by itself
            stage.cluster.stop("immediate")
        stage.cluster.start()


@fault("F9")
def nothing_can_be_written(stage: Stage) -> str:
    """As root the pages run without the right to overlook what files forbid."""
    before: list[str] = []
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            raise NotRun("as root it needs setpriv, and that is not installed")
        before = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"]
    found: list[str] = []
    with stage.copy() as there, tempfile.TemporaryDirectory() as data:
        os.chmod(there.folder, 0o777)
        missing = there.folder / "closed"
        missing.mkdir(mode=0o555)
        with there.serve("--workers", "2", env={"DATA_DIR": str(missing / "data")}, waits=False, before=before) as web:
            with contextlib.suppress(subprocess.TimeoutExpired):
                web.process.wait(60)
            must(web.process.returncode, "it starts without a folder for its data")
            said = [line for line in web.said().splitlines() if "DATA_DIR is" in line]
            must(said, f"no sentence says what is missing: {web.said()[-300:]}")
            found.append("a folder that cannot be made stops the start with a sentence")
        env = {"DATA_DIR": data}
        if stage.cluster:
            name = sa.make_url(there.url).database
            stage.cluster.command(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
            found.append("read-only: " + _refused(there, env, before))
            stage.cluster.command(f"ALTER DATABASE {name} RESET default_transaction_read_only")
            stage.cluster.command("CREATE ROLE limited LOGIN")
            stage.cluster.command("GRANT SELECT ON ALL TABLES IN SCHEMA public TO limited", database=str(name))
            url = there.url.replace("postgres@", "limited@")
            found.append("without rights: " + _refused(there, env | {"DATABASE_URL": url}, before))
            stage.cluster.command("DROP OWNED BY limited", database=str(name))
            stage.cluster.command("DROP ROLE limited")
        else:
            database = Path(str(sa.make_url(there.url).database))
            os.chmod(database, 0o444)
            os.chmod(there.folder, 0o555)
            found.append("file and folder read-only: " + _refused(there, env, before))
            os.chmod(database, 0o000)
            found.append("file of somebody else: " + _refused(there, env, before, reads=False))
        os.chmod(there.folder, 0o755)
    return "; ".join(found)


def _refused(stage: Stage, env: dict[str, str], before: list[str], *, reads: bool = True) -> str:
    """A send is answered 503 with its text, and the server does not die and begin again."""
    with stage.serve("--workers", "2", env=env, waits=False, target="wsgi:create_app()", before=before) as web:
        for _ in range(600):
            with contextlib.suppress(OSError):
                ask(web.port, "/static/nothing")
                break
            must(web.process.poll() is None, f"it does not start: {web.said()[-300:]}")
            time.sleep(0.1)
        form = stage.form()
        answer = stage.send(stage.people[0], form, web)
        begun = web.said().count("Booting worker")
        page = ask(web.port, "/staff/", stage.staff)
        must(answer.status == 503 and "retry-after" in answer.headers, f"a send is answered {answer.status}")
        must(not reads or form["body"] in answer.body, "the text is lost")
        must(page.status in (200, 503), f"a page is answered {page.status}")
        must(web.process.poll() is None and begun <= 2, "it begins again and again")
    return f"a send {answer.status}, the In Box {page.status}"


@fault("F10")
def postgresql_crashes(stage: Stage) -> str:
    server, name, crashes = server_of(stage), f"f10-{stage.chance.randrange(2**16)}", 3
    back: list[float] = []
    with stage.crowd.sending(stage.senders(name, stage.take(80))) as found:
        for _ in range(crashes):
            time.sleep(stage.chance.uniform(2, 4))
            server.stop("immediate")
            time.sleep(1)
            server.start()
            back.append(time.time())
        time.sleep(12)
    tally = found[0]
    first = [min((at for at in tally.at.values() if at > moment), default=moment + 99) - moment for moment in back]
    figures = f"{crashes} crashes under 4 writers: {ledger.check(stage, name, tally)}; {tally.statuses[503]} answered 503, "
    figures += f"{tally.cut} not at all; first success {max(first):.1f} s after it is back, at the latest"
    must(max(first) <= MOST and not set(tally.statuses) - {503}, f"{figures}; other answers {dict(tally.statuses)}")
    return figures


SLOW = "CREATE FUNCTION faults_slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep({}); RETURN NEW; END $$"
TRIGGER = "CREATE TRIGGER faults_slow BEFORE INSERT ON message FOR EACH ROW EXECUTE FUNCTION faults_slow()"


@contextlib.contextmanager
def slow(stage: Stage, seconds: float) -> Iterator[None]:
    stage.change(SLOW.format(seconds))
    stage.change(TRIGGER)
    try:
        yield
    finally:
        stage.change("DROP TRIGGER faults_slow ON message")
        stage.change("DROP FUNCTION faults_slow()")


@fault("F11")
def postgresql_is_slow_locked_or_used_up(stage: Stage) -> str:
    server_of(stage)
    found: list[str] = []
    people = stage.take(4)

    def all_at_once(web: Web) -> list[Answer]:
        forms = [stage.form() for _ in people]
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda who, form: stage.send(who, form, web), people, forms))
        for answer, form in zip(answers, forms, strict=True):
            must(
                answer.seconds <= MOST and (answer.status == 303 or is_told(answer, form)),
                f"a send is answered {answer.status} in {answer.seconds:.1f} s",
            )
        return answers

    def words(answers: list[Answer]) -> str:
        refused = sum(one.status == 503 for one in answers)
        return f"{refused} of {len(answers)} answered 503, the slowest after {max(one.seconds for one in answers):.1f} s"

    with stage.serve("--preload", "--workers", "4") as web:
        with lock(stage, "message", "ACCESS EXCLUSIVE"):
            answers = all_at_once(web)
            page = ask(web.port, "/messages", people[0])
            must(page.seconds <= MOST and page.status in (200, 503), f"a page is answered {page.status} in {page.seconds:.1f} s")
        must(all(one.status == 503 for one in answers), "it was not locked")
        found.append(f"locked: {words(answers)}")
        with slow(stage, 30):
            answers = all_at_once(web)
        must(all(one.status == 503 for one in answers), "it was not slow")
        found.append(f"slow: {words(answers)}")
        must(stage.send(people[0], stage.form(), web).status == 303, "nobody can send afterwards")
    with stage.serve("--preload", "--workers", "1", "--threads", "4", env={"FAULTS_POOL": "1"}) as web:
        with slow(stage, 3):
            answers = all_at_once(web)
        must(any(one.status == 503 for one in answers), "the pool was not used up")
        found.append(f"a pool of 1: {words(answers)}")
        must(stage.send(people[0], stage.form(), web).status == 303, "nobody can send afterwards")
    return "; ".join(found)


@fault("F12")
def idle_connections_are_cut(stage: Stage) -> str:
    server = server_of(stage)
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'portal' AND pid <> pg_backend_pid()"
    people, number = stage.take(5), 0
    for _ in range(5):
        for who in people:
            ask(stage.web.port, "/messages", who)
        with sa.create_engine(server.url(), poolclass=sa.NullPool).connect() as connection:
            number += len(connection.execute(sa.text(cut)).all())
        for who in people:
            page, sent = ask(stage.web.port, "/messages", who), stage.send(who, stage.form())
            must((page.status, sent.status) == (200, 303), f"answered {page.status} and {sent.status}")
    must(number, "no connection was there to be cut")
    return f"{number} connections cut in 5 rounds; each of 50 next requests answered as ever"
