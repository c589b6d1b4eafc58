"""People who send, each process with some of them, as browsers do: who hears nothing sends the very same form again."""

import gzip
import random
import socket
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import urlencode

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
AT_ONCE = 8


@dataclass(frozen=True)
class Browser:
    """A log-in: the cookie as it is sent, and the token its forms carry."""

    person: int
    cookie: str
    token: str


@dataclass(frozen=True)
class Answer:
    status: int
    body: str
    headers: dict[str, str]
    seconds: float


def ask(
    port: int,
    path: str,
    who: Browser | None = None,
    form: dict[str, str] | None = None,
    *,
    timeout: float = 30,
    host: str = "",
    more: Mapping[str, str] | None = None,
) -> Answer:
    """A GET, or with a form its POST, on a connection of its own, with `more` headers. Raises OSError, HTTPException when no
    answer comes."""
    headers = (
        {"Connection": "close"} | dict(more or {}) | ({"Cookie": who.cookie} if who else {}) | ({"Host": host} if host else {})
    )
    body = None
    if form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = urlencode({"csrf_token": who.token if who else ""} | form)
    begun = time.perf_counter()
    connection = HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET" if form is None else "POST", path, body, headers)
        response = connection.getresponse()
        text = response.read()
    finally:
        connection.close()
    if response.headers.get("Content-Encoding") == "gzip":
        text = gzip.decompress(text)
    found = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status, text.decode(), found, time.perf_counter() - begun)


@dataclass
class Tally:
    """What senders were answered. `acknowledged`: thread by the form's key. `statuses`: of all other answers."""

    acknowledged: dict[str, str] = field(default_factory=dict)
    at: dict[str, float] = field(default_factory=dict)  # when, by the clock of the machine
    asked: int = 0
    cut: int = 0  # tries that got no answer
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)  # of each answer
    waited: list[float] = field(default_factory=list)  # from the first try of a form to its acknowledgement

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.acknowledged | other.acknowledged,
            self.at | other.at,
            self.asked + other.asked,
            self.cut + other.cut,
            self.statuses + other.statuses,
            self.seconds + other.seconds,
            self.waited + other.waited,
        )

    def slowest(self) -> float:
        return max(self.seconds, default=0)

    def percentile(self, which: int) -> float:
        times = sorted(self.seconds)
        return times[min(len(times) - 1, len(times) * which // 100)] if times else 0


@dataclass(frozen=True)
class Sender:
    """One process's part: its people send new messages in turn, and every fourth is a reply in a thread of theirs. Ends after
    `number` acknowledged ones, or when the file `over` is there."""

    name: str  # begins what it writes
    port: int
    people: Sequence[Browser]
    to: str
    seed: int
    over: Path
    number: int = 1_000_000
    pause: float = 0

    def run(self) -> Tally:
        chance, told = random.Random(self.seed), Tally()
        people = list(self.people)
        threads: dict[int, str] = {}
        n = 0
        while len(told.acknowledged) < self.number and people and not self.over.exists():
            n += 1
            who = people[n % len(people)]
            form = {"key": "".join(chance.choices(LETTERS, k=22)), "body": f"{self.name} {n}: may I come on Monday?"}
            thread = threads.get(who.person) if chance.random() < 0.25 else None
            if not thread:
                form |= {"to": self.to, "title": "A question"}
            path = f"/messages/{thread}/replies" if thread else "/messages/new"
            answer = self.sent(told, path, who, form)
            if answer is None:
                people.remove(who)
                continue
            threads[who.person] = told.acknowledged[form["key"]] = answer.headers["location"].split("/")[2][:22]
            told.at[form["key"]] = time.time()
            time.sleep(self.pause)
        return told

    def sent(self, told: Tally, path: str, who: Browser, form: dict[str, str]) -> Answer | None:
        """The acknowledgement; None for who may not send any more, or when all is over."""
        begun = time.perf_counter()
        while not self.over.exists():
            told.asked += 1
            try:
                answer = ask(self.port, path, who, form)
            except (OSError, HTTPException):
                told.cut += 1
                time.sleep(0.05)
                continue
            told.seconds.append(answer.seconds)
            if answer.status == 303:
                told.waited.append(time.perf_counter() - begun)
                return answer
            told.statuses[answer.status] += 1
            if answer.status != 503:
                return None
            time.sleep(0.2)
        return None


class Crowd:
    """Processes that wait to send; begun before there are threads or connections, of which a copy would be wrong."""

    def __init__(self) -> None:
        self.pool = ProcessPoolExecutor(AT_ONCE, get_context("fork"))
        for one in [self.pool.submit(time.sleep, 0.1) for _ in range(AT_ONCE)]:
            one.result()

    @contextmanager
    def sending(self, senders: Sequence[Sender]) -> Iterator[list[Tally]]:
        """While the body runs; then they end, and what they were told is in the list."""
        found: list[Tally] = []
        working = [self.pool.submit(one.run) for one in senders]
        try:
            yield found
        finally:
            senders[0].over.touch()
            found.append(sum((one.result() for one in working), Tally()))
            senders[0].over.unlink()

    def send(self, senders: Sequence[Sender]) -> Tally:
        """Until each has sent its number."""
        return sum((one.result() for one in [self.pool.submit(one.run) for one in senders]), Tally())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
