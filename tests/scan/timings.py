"""S6: how long an answer takes tells nobody whether there is such an account or message.

Both kinds in turn, so that a slow moment of the machine meets both alike; medians are compared. Each comes from an address of
the loopback network of its own: guessing is counted by address, and what is refused would be measured instead.
"""

import secrets
import sqlite3
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from tests.scan.site import Answer, Visitor

MOST = 0.15
TIMES, LOG_INS = 80, 40  # of each kind; a log-in costs a hash
ROUNDS = 3  # a difference that is there is there in each; the smallest counts


@dataclass(frozen=True)
class Timing:
    """Medians in milliseconds for what is there and for what is not."""

    what: str
    there: float
    nowhere: float

    @property
    def differs(self) -> float:
        return abs(self.there - self.nowhere) / max(self.there, self.nowhere)

    @property
    def is_right(self) -> bool:
        return self.differs <= MOST


def timings(port: int, folder: Path, say: Callable[[str], None] = lambda _: None) -> list[Timing]:
    database = sqlite3.connect(f"file:{folder / 'portal.sqlite3'}?mode=ro", uri=True)
    emails = [row[0] for row in database.execute("SELECT email FROM person WHERE status = 'active' AND email IS NOT NULL")]
    mine = "patient_id = (SELECT id FROM person WHERE email = 'hugo@demo.example')"
    threads = [row[0] for row in database.execute(f"SELECT key FROM thread WHERE NOT {mine} AND unrouted_since IS NULL")]
    database.close()
    hugo, sources, known = Visitor(port, "hugo").log_in(), addresses(), cycle(emails)

    def log_in(email: str) -> Answer:
        visitor = Visitor(port, source=next(sources))
        return visitor.ask("POST", "/login", {"email": email, "password": "not that one, surely", "csrf_token": visitor.token()})

    def reset(email: str) -> Answer:
        visitor = Visitor(port, source=next(sources))
        return visitor.ask("POST", "/reset", {"email": email, "csrf_token": visitor.token("/reset")})

    def register(email: str) -> Answer:
        visitor = Visitor(port, source=next(sources))
        form = {"first_name": "NEW", "last_name": "PATIENT", "dob": "1980-01-31", "gender": "female", "phone": "5550100"}
        return visitor.ask("POST", "/register", form | {"email": email, "csrf_token": visitor.token("/register")})

    pages = cycle(threads)
    return [
        _measured(
            "Log-in: a known account, an unknown one", lambda: log_in(next(known)), lambda: log_in(nobody()), 422, say, LOG_INS
        ),
        _measured("Reset: a known address, an unknown one", lambda: reset(next(known)), lambda: reset(nobody()), 303, say),
        _measured(
            "Register: a known address, an unknown one", lambda: register(next(known)), lambda: register(nobody()), 303, say
        ),
        _measured(
            "A thread of somebody else, one that is not there",
            lambda: hugo.ask("GET", f"/messages/{next(pages)}"),
            lambda: hugo.ask("GET", f"/messages/{secrets.token_urlsafe(16)}"),
            404,
            say,
        ),
    ]


def nobody() -> str:
    return f"{secrets.token_hex(6)}@demo.example"


def addresses() -> Iterator[str]:
    yield from (f"127.77.{a}.{b}" for a in range(256) for b in range(1, 255))


def _measured(
    what: str,
    there: Callable[[], Answer],
    nowhere: Callable[[], Answer],
    status: int,
    say: Callable[[str], None],
    times: int = TIMES,
) -> Timing:
    """Of rounds whose answers were all as expected, the one in which both differ least."""
    rounds: list[Timing] = []
    for _ in range(ROUNDS):
        seconds: tuple[list[float], list[float]] = [], []
        for turn in range(times):
            for kind in (0, 1) if turn % 2 else (1, 0):
                answer = (there, nowhere)[kind]()
                assert answer.status == status, f"{what}: answered {answer.status}, not {status}"
                seconds[kind].append(answer.seconds)
        medians = [statistics.median(found) * 1000 for found in seconds]
        rounds.append(Timing(what, *medians))
        say(f"{what}: {medians[0]:.1f} and {medians[1]:.1f} ms")
        if rounds[-1].is_right:
            break
    return min(rounds, key=lambda timing: timing.differs)
