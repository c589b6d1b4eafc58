"""`python -m bench.files`: how fast 10 MB go in and out over loopback, what memory it takes, and what others notice meanwhile.

Not part of `make bench`: it has no floor to stand beside. The figures stand in docs/decisions/0009-files.md. Two minutes.
"""

import itertools
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path

import sqlalchemy as sa

from bench.site import LoggedIn, Site, databases
from practice import conversations, drafts, files
from practice.db import Actor, db, new_key
from practice.settings import RequestType

SIZE = 10 * 1024 * 1024
TIMES, LOOKS, ROUNDS = 12, 300, 5
BOUNDARY = "a-boundary-of-the-bench"
CONTENT = os.urandom(SIZE // 2).hex().encode()
FORK = multiprocessing.get_context("fork")


def main() -> int:
    problems = []
    for kind in databases():
        with (
            tempfile.TemporaryDirectory() as elsewhere,
            tempfile.TemporaryDirectory() as here,
            Site(kind, 1_000, Path(elsewhere)) as other,
            Site(kind, 1_000, Path(here)) as site,
        ):
            problems += measure(site, other)
    for words in problems:
        print(f"bench: {words}", file=sys.stderr)
    return 1 if problems else 0


def measure(site: Site, other: Site) -> list[str]:
    """`other`: a portal of its own on the same machine. While it takes the files, only the processor and the disk are shared."""
    reader, people = site.patients[0], site.patients[1:]
    p95(site, reader)  # warm
    peak(site)
    before = site.product.megabytes()
    up = [upload(site, people[n % len(people)]) for n in range(TIMES)]
    down = downloads(site, people[0])
    more = peak(site) - before
    rounds = [(p95(site, reader), *(meanwhile(site, reader, into) for into in (other, site))) for _ in range(ROUNDS)]
    alone, elsewhere, here = map(statistics.median, zip(*rounds, strict=True))
    mb = SIZE / 1e6
    rates = {"up": mb / statistics.median(up), "down": mb / statistics.median(down)}
    print(
        f"{site.kind}: 10 MB in {rates['up']:.0f} MB/s, out {rates['down']:.0f} MB/s; {more:.1f} MB more memory; "
        f"p95 of a patient's Inbox {alone * 1000:.1f} ms alone, {elsewhere * 1000:.1f} ms while 50 MB/s come into another portal "
        f"on this machine, {here * 1000:.1f} ms while they come into this one"
    )
    found = [f"{site.kind}: {name} {rate:.0f} MB/s is less than 50" for name, rate in rates.items() if rate < 50]
    return found + ([f"{site.kind}: {more:.0f} MB more memory"] if more > 30 else [])


def ask(site: Site, who: LoggedIn, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes, float]:
    headers = {"Cookie": who.cookie, "Connection": "close", "Sec-Fetch-Site": "same-origin"}
    if body is not None:
        headers["Content-Type"] = f"multipart/form-data; boundary={BOUNDARY}"
    begun = time.perf_counter()
    connection = HTTPConnection("127.0.0.1", site.product.port, timeout=30)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content, time.perf_counter() - begun


def upload(site: Site, who: LoggedIn, key: str = "") -> float:
    key = key or new_key()
    drafts.save_draft(who.person, key=key, about="/messages/new", values={"body": ["B"]}, by=Actor(who.person))
    db.session.close()
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n{who.token}\r\n--{BOUNDARY}\r\n'
    head += 'Content-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
    body = head.encode() + CONTENT + f"\r\n--{BOUNDARY}--\r\n".encode()
    status, _, seconds = ask(site, who, "POST", f"/drafts/{key}/files", body)
    assert status == 303, status
    return seconds


def downloads(site: Site, who: LoggedIn) -> list[float]:
    key = new_key()
    upload(site, who, key)
    by = Actor(who.person)
    sent = conversations.send(who.person, kind=RequestType.OTHERS, title="T", body="B", form_key=key, to=site.to, by=by)
    file = db.session.scalars(sa.select(files.Attachment.key).order_by(files.Attachment.id.desc()).limit(1)).one()
    db.session.close()
    found = []
    for _ in range(TIMES):
        status, content, seconds = ask(site, who, "GET", f"/messages/{sent.thread_key}/files/{file}")
        assert status == 200 and len(content) == SIZE, status
        found.append(seconds)
    return found


def peak(site: Site) -> float:
    """The most memory in MB that any worker has had since it was asked last (Linux)."""
    served = site.product.process.pid
    most = 0
    for pid in Path(f"/proc/{served}/task/{served}/children").read_text(encoding="ascii").split():
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        most = max(most, int(status.partition("VmHWM:")[2].split()[0]))
        Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")
    return most / 1024


def meanwhile(site: Site, reader: LoggedIn, into: Site) -> float:
    """What the reader waits while somebody else sends 50 MB/s into a portal."""
    others = FORK.Process(target=keep_on, args=(into,), daemon=True)
    others.start()
    found = p95(site, reader)
    assert others.is_alive(), "the files have stopped coming"
    others.terminate()
    others.join()
    return found


def keep_on(site: Site) -> None:
    """Another process, which takes what the others leave of the processor: a browser elsewhere takes nothing of the server's."""
    os.nice(19)
    people = site.patients[1:]
    with site.app.app_context():
        for engine in db.engines.values():
            engine.dispose(close=False)
        begun = time.monotonic()
        for n in itertools.count():
            time.sleep(max(0.0, begun + n * SIZE / 50e6 - time.monotonic()))
            who, key = people[n % len(people)], new_key()
            upload(site, who, key)
            drafts.discard_draft(who.person, key=key, by=Actor(who.person))  # what lies in drafts has an end


def p95(site: Site, who: LoggedIn) -> float:
    times = sorted(ask(site, who, "GET", "/messages")[2] for _ in range(LOOKS))
    return times[int(LOOKS * 0.95)]


if __name__ == "__main__":
    sys.exit(main())
