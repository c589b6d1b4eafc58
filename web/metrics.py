"""`/metrics` for Prometheus, behind METRICS_TOKEN: how the requests of all processes fared, and what waits. Nobody's data.

Each process keeps its own numbers in a file of its own and the answer adds up the files, so it does not matter which process is
asked. A file is locked by the process that writes it; the next process takes over what nobody locks, so a restart loses no number
and leaves no file behind.
"""

import fcntl
import hmac
import os
import secrets
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from flask import Blueprint, Flask, Response, abort, current_app, request

from practice import watch
from web.gate import ANYONE, allow

SIDES = ("patient", "staff", "admin", "shared", "static")
CLASSES = 5  # 1xx to 5xx
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds, each up to and with its number
OF_SIDE = CLASSES + len(BUCKETS) + 2  # then what took longer, and the sum in microseconds
FILES = f"requests-{len(SIDES)}-{OF_SIDE}-*"  # a release with other numbers has other files
TYPE = "text/plain; version=0.0.4; charset=utf-8"

blueprint = Blueprint("metrics", __name__)


def empty() -> "array[int]":
    return array("Q", bytes(8 * len(SIDES) * OF_SIDE))


@dataclass
class Numbers:
    """The requests of one process since its file was made: whole numbers, a row a side."""

    folder: Path
    process: int = 0
    file: int | None = None  # its descriptor, open and locked as long as the process lives
    table: "array[int]" = field(default_factory=empty)

    def add(self, side: str, status: int, seconds: float) -> None:
        if self.process != os.getpid():
            self.process = os.getpid()
            self.file, self.table = take_file(self.folder)
        row = SIDES.index(side) * OF_SIDE
        self.table[row + min(max(status // 100, 1), CLASSES) - 1] += 1
        self.table[row + CLASSES + sum(seconds > upto for upto in BUCKETS)] += 1
        self.table[row + OF_SIDE - 1] += round(seconds * 1_000_000)
        try:
            if self.file is not None:
                os.pwrite(self.file, self.table.tobytes(), 0)
        except OSError:
            pass  # the disk is full: the next request writes all of them again

    def all(self) -> "array[int]":
        """Of all processes together."""
        total = empty()
        for path in self.folder.glob(FILES):
            for n, number in enumerate(read(path)):
                total[n] += number
        return total


def take_file(folder: Path) -> tuple[int | None, "array[int]"]:
    """A file that no living process writes, with the numbers in it; none where there can be none, then the numbers are lost."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in [*sorted(folder.glob(FILES)), folder / FILES.replace("*", secrets.token_hex(8))]:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                continue
            return file, read(path)
    except OSError:
        current_app.logger.warning("the numbers of this process cannot be kept in DATA_DIR")
    return None, empty()


def read(path: Path) -> "array[int]":
    found, content = empty(), path.read_bytes()
    return array("Q", content) if len(content) == len(found) * found.itemsize else found


def count(side: str, status: int, seconds: float) -> None:
    """Notes a request that was answered, where anybody asks for the numbers."""
    if numbers := current_app.extensions.get("numbers"):
        numbers.add(side, status, seconds)


def set_up(app: Flask) -> None:
    if app.config["METRICS_TOKEN"]:
        app.extensions["numbers"] = Numbers(Path(app.config["METRICS_DIR"]))
    app.register_blueprint(blueprint)


@blueprint.get("/metrics")
@allow(ANYONE)
def metrics() -> Response:
    """Without log-in, and without a database too: then `portal_database_up` is 0 and what waits is not known."""
    token = current_app.config["METRICS_TOKEN"]
    if not token:
        abort(404)
    given = request.headers.get("Authorization", "").encode("utf-8", "replace")
    if not hmac.compare_digest(given, f"Bearer {token}".encode()):
        return Response("METRICS_TOKEN is wanted here.\n", 401, {"WWW-Authenticate": "Bearer"}, mimetype="text/plain")
    lines = [*requests(current_app.extensions["numbers"].all()), *waiting()]
    return Response("\n".join(lines) + "\n", content_type=TYPE)


def requests(numbers: "array[int]") -> Iterator[str]:
    yield from head("portal_requests_total", "counter", "Requests answered, by side and class of status.")
    rows = {side: numbers[n * OF_SIDE : (n + 1) * OF_SIDE] for n, side in enumerate(SIDES)}
    for side, row in rows.items():
        for n in range(CLASSES):
            yield f'portal_requests_total{{side="{side}",status="{n + 1}xx"}} {row[n]}'
    name = "portal_request_duration_seconds"
    yield from head(name, "histogram", "From the first word of ours to the finished answer.")
    for side, row in rows.items():
        total = 0
        for n, upto in enumerate((*BUCKETS, "+Inf"), CLASSES):
            total += row[n]
            yield f'{name}_bucket{{side="{side}",le="{upto}"}} {total}'
        yield f'{name}_sum{{side="{side}"}} {row[-1] / 1_000_000}'
        yield f'{name}_count{{side="{side}"}} {total}'


def waiting() -> Iterator[str]:
    try:
        found = watch.figures()
    except (sa.exc.DBAPIError, sa.exc.TimeoutError):
        found = []
    yield from head("portal_database_up", "gauge", "1 when the database answered this very question.")
    yield f"portal_database_up {int(bool(found))}"
    for figure in found:
        yield from head(f"portal_{figure.name}", "gauge", figure.words)
        yield f"portal_{figure.name} {figure.value}"


def head(name: str, kind: str, words: str) -> Iterator[str]:
    yield f"# HELP {name} {words}"
    yield f"# TYPE {name} {kind}"
