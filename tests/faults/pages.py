"""Web processes: killed, pressed twice, crowded, restarted, starved."""

import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults import ledger
from tests.faults.book import NotRun, fault, must
from tests.faults.senders import Browser, free_port
from tests.faults.smtp import Server
from tests.faults.stage import Child, Stage, Through

SENDS = int(os.environ.get("FAULTS_SENDS", "10000"))  # fewer for a look at it; the row says how many
PATIENCE = 3600  # seconds


def begin_mail(stage: Stage, mails: Server) -> Child:
    """The pages come first where the cores are few."""
    mail = stage.begin_worker(mails.port)
    os.setpriority(os.PRIO_PROCESS, mail.pid, 15)
    return mail


@fault("F1", "R1", "R10")
def web_and_mail_workers_killed_while_people_send(stage: Stage) -> str:
    """Every 0.5 to 2 seconds a web worker, and every fourth time the mail worker too; until 10,000 are acknowledged."""
    seed = stage.chance.randrange(2**32)
    chance, kills = random.Random(seed), {"web": 0, "mail": 0}
    name = f"f1-{seed}"
    with Server() as mails, stage.serve() as web:
        senders = stage.senders(name, stage.people[:240], web=web, number=SENDS // 4)
        mail = begin_mail(stage, mails)
        working = [stage.crowd.pool.submit(one.run) for one in senders]
        begun = time.monotonic()
        while not all(one.done() for one in working):
            time.sleep(chance.uniform(0.5, 2))
            must(time.monotonic() - begun < PATIENCE, "it takes too long")
            if there := web.workers():
                os.kill(chance.choice(there), signal.SIGKILL)
                kills["web"] += 1
            if kills["web"] % 4 == 0:
                mail.kill()
                kills["mail"] += 1
                mail = begin_mail(stage, mails)
        took = time.monotonic() - begun
        tally = sum((one.result() for one in working[1:]), working[0].result())
        mail.kill()
    figures = ledger.check(stage, name, tally)
    must(len(tally.acknowledged) == SENDS, f"only {figures}; other answers {dict(tally.statuses)}")
    short = "" if SENDS >= 10_000 else f"short form, {SENDS} instead of 10,000: "
    status, said = stage.flask("verify-audit")
    must(status == 0, f"{figures}; verify-audit: {said[:200]}")
    return (
        f"{short}seed {seed}; {kills['web']} web workers and {kills['mail']} mail workers killed in {took:.0f} s by 4 senders:"
        f" {figures}; {len(mails.taken)} mails; {tally.cut} tries without answer, {tally.statuses[503]} answered 503;"
        " verify-audit holds"
    )


@fault("F4", "R2")
def the_same_form_twenty_times(stage: Stage) -> str:
    """At once and one after the other; then the same key with other words."""
    sets = []
    for is_at_once in (True, False):
        (who,), form = stage.take(1), stage.form()
        web = stage.web
        with ThreadPoolExecutor(20 if is_at_once else 1) as pool:
            answers = list(pool.map(lambda n, f=form, w=who, on=web: stage.send(w, f, on), range(20)))
        places = {one.headers.get("location", "")[:32] for one in answers}
        must({one.status for one in answers} == {303} and len(places) == 1, f"answered {[one.status for one in answers]}")
        rows = stage.rows("SELECT id FROM message WHERE form_key = :key", key=form["key"])
        told = stage.value("SELECT count(*) FROM outbox WHERE message_id = :id", id=rows[0].id)
        must(len(rows) == 1 and told == len(stage.told), f"{len(rows)} messages, {told} notices for {len(stage.told)} people")
        other = stage.send(who, form | {"body": "Other words altogether"}, web)
        must(other.status == 409 and form["body"] in other.body and "Other words altogether" in other.body, f"{other.status}")
        sets.append(f"20 {'at once' if is_at_once else 'in turn'}: 1 message, {told} notices for {len(stage.told)} people")
    return f"{'; '.join(sets)}; all 40 answers lead to the same thread each; the same key with other words: 409 with both texts"


@fault("F5", "R7")
def eight_processes_write_at_once(stage: Stage) -> str:
    name = f"f5-{stage.chance.randrange(2**16)}"
    with stage.serve("--preload", "--workers", "8") as web:
        tally = stage.crowd.send(stage.senders(name, stage.take(160), 8, web, number=100))
        busy = sum("locked" in line for line in web.said().splitlines())
    figures = f"8 writers: {ledger.check(stage, name, tally)}; p99 {tally.percentile(99):.2f} s, slowest {tally.slowest():.2f} s"
    must(not tally.statuses and not tally.cut and not busy, f"{figures}; other answers {dict(tally.statuses)}, {tally.cut} cut")
    must(tally.percentile(99) < 1, f"{figures}: p99 is over 1 s")
    return f"{figures}; no other answer"


@fault("F26")
def starved_of_cpu_and_memory(stage: Stage) -> str:
    if not shutil.which("stress-ng"):
        raise NotRun("stress-ng is not installed")
    name = f"f26-{stage.chance.randrange(2**16)}"
    eaters = ["stress-ng", "--cpu", "4", "--vm", "2", "--vm-bytes", "40%", "--timeout", "12s", "--quiet"]
    with stage.crowd.sending(stage.senders(name, stage.take(80))) as found:
        time.sleep(4)
        calm = time.time()
        subprocess.run(eaters, check=False)
    starved = sum(at > calm for at in found[0].at.values())
    figures = ledger.check(stage, name, found[0])
    must(not set(found[0].statuses) - {503}, f"{figures}; other answers {dict(found[0].statuses)}")
    slowest = f"{starved} of these under stress; slowest {found[0].slowest():.1f} s"
    return f"4 CPU hogs and 40 % of the memory for 12 s: {figures}; {slowest}"


SLOW, OF_THEM = 200, 64


@fault("F27")
def slow_clients_and_few_descriptors(stage: Stage) -> str:
    """At gunicorn itself, which may open 64 files, and through the proxy of docs/operations, which is what stands before it."""

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (OF_THEM, OF_THEM))

    found: list[str] = []
    (who,) = stage.take(1)
    with stage.serve(preexec_fn=few) as web:
        must(stage.send(who, stage.form(), web).status == 303, "nobody can send before")
        slow = [halfway(web.port) for _ in range(SLOW)]
        begun, cut = time.monotonic(), 0.0
        while not cut:
            must(time.monotonic() - begun < 45, "slow clients are not cut")
            time.sleep(0.5)
            cut = time.monotonic() - begun if any(is_closed(one) for one in slow) else 0.0
        for one in slow:
            one.close()
        begun = time.monotonic()
        answer = stage.send(who, stage.form(), web, timeout=60)
        must(answer.status == 303, f"afterwards answered {answer.status}")
        found.append(
            f"{SLOW} at gunicorn: the first cut after {cut:.0f} s, first success {time.monotonic() - begun:.1f} s after they left"
        )
        must(cut <= 32, found[0])
        if proxy := shutil.which("nginx"):
            found.append(behind(proxy, stage, who))
        else:
            found.append("through nginx: not run, it is not installed")
    return "; ".join(found)


def halfway(port: int) -> socket.socket:
    """Half of a request, and then silence."""
    one = socket.create_connection(("127.0.0.1", port), timeout=10)
    one.sendall(b"POST /messages/new HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n")
    one.setblocking(False)
    return one


def is_closed(one: socket.socket) -> bool:
    try:
        return one.recv(1024) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def behind(proxy: str, stage: Stage, who: Browser) -> str:
    """The example as it stands, but for TLS and the ports."""
    folder, port, other, at = stage.folder / "nginx", free_port(), free_port(), free_port()
    folder.mkdir(exist_ok=True)
    text = Path("docs/operations/nginx.conf").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if "ssl_" not in line]
    text = (
        "\n".join(lines).replace("listen 443 ssl", f"listen 127.0.0.1:{port}").replace("listen 80", f"listen 127.0.0.1:{other}")
    )
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{at}").replace("$host;", "127.0.0.1;").replace("Proto https", "Proto http")
    conf = folder / "nginx.conf"
    log = f"error_log {folder}/error.log; pid {folder}/pid;"
    paths = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    conf.write_text(f"daemon off; {log} worker_processes 1; events {{ worker_connections 1024; }}\nhttp {{ {paths}\n{text}\n}}\n")
    with stage.serve(port=at) as web:
        server = subprocess.Popen([proxy, "-e", f"{folder}/error.log", "-c", str(conf)], stderr=subprocess.DEVNULL)
        try:
            time.sleep(1)
            slow = [halfway(port) for _ in range(SLOW)]
            begun, seconds = time.monotonic(), []
            while not all(is_closed(one) for one in slow):
                must(time.monotonic() - begun < 40, "the proxy does not cut slow clients")
                answer = stage.send(who, stage.form(), Through(port))
                must(answer.status == 303, f"through the proxy answered {answer.status}")
                seconds.append(answer.seconds)
                time.sleep(1)
            took = time.monotonic() - begun
        finally:
            server.terminate()
            server.wait(20)
        must(web.process.poll() is None, "gunicorn has died")
    return f"{SLOW} through nginx: all cut after {took:.0f} s, {len(seconds)} sends meanwhile, the slowest {max(seconds):.1f} s"
