"""The log: one line of JSON for each event, to the standard error. Who, what and which address never stand in it.

JSON escapes every control character, so nothing that a client sends can begin a line of its own or colour one.
"""

import json
import logging
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, has_request_context, request
from gunicorn.glogging import Logger

from practice.db import new_key
from web import metrics

ROOT = Path(__file__).parent.parent
FRAMES = 12  # the innermost of a trace
SIDES = {"portal": "patient", "staff": "staff", "admin": "admin"}
log = logging.getLogger("portal.request")


class Line(logging.Formatter):
    """An event as JSON. Of an error its types and where it was raised, never its words: they may quote what somebody wrote."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"time": at, "level": record.levelname.lower()}
        if has_request_context() and "request_id" in g:
            line["request"] = g.request_id
        line |= getattr(record, "fields", {"said": record.getMessage()})
        if record.exc_info and record.exc_info[1]:
            line |= {"error": kinds(record.exc_info[1]), "trace": places(record.exc_info[1])}
        return json.dumps(line)


def kinds(error: BaseException) -> list[str]:
    """The type of an error, then of what caused it."""
    found: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(found) < FRAMES:
        found.append(f"{type(cause).__module__}.{type(cause).__qualname__}")
        cause = cause.__cause__ or cause.__context__
    return found


def places(error: BaseException) -> list[str]:
    """file:line of the innermost frames, the innermost last."""
    return [f"{place(frame.filename)}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-FRAMES:]]


def place(file: str) -> str:
    """From the folder of the portal, or of the library, on."""
    path = Path(file)
    if path.is_relative_to(ROOT) and ".venv" not in path.parts:
        return path.relative_to(ROOT).as_posix()
    return file.rpartition("site-packages/")[2] if "site-packages/" in file else path.name


class Lines(logging.Handler):
    """Each event in one write, so that the lines of several processes never mix."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):  # nobody reads it, or the disk that it goes to is full: the page is answered
            self.handleError(record)


class ServerLogger(Logger):
    """What gunicorn itself has to say, in the same form."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(Line())


def set_up(app: Flask) -> None:
    """To be called before anything logs, and before the gate: a request that the gate refuses has its line too."""
    root = logging.getLogger()
    if not any(isinstance(handler, Lines) for handler in root.handlers):
        lines = Lines()
        lines.setFormatter(Line())
        root.addHandler(lines)
    logging.getLogger("portal").setLevel(logging.INFO)
    app.before_request(begin)
    app.after_request(end)


def begin() -> None:
    """Gives the request its name, which its error page shows; what a client calls it is not asked."""
    g.request_id, g.began = new_key(), time.perf_counter()


def end(response: Response) -> Response:
    """The request's line: the view's name, never the address, in which keys stand. ms until the answer is ready to be sent."""
    seconds = time.perf_counter() - g.get("began", time.perf_counter())
    side = side_of(request.endpoint)
    fields = {"method": method(), "view": request.endpoint, "side": side, "status": response.status_code}
    log.info("request", extra={"fields": fields | {"ms": round(seconds * 1000, 1)}})
    metrics.count(side, response.status_code, seconds)
    return response


def method() -> str:
    """A client may call its method anything."""
    return request.method if request.method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") else "other"


def side_of(endpoint: str | None) -> str:
    """patient, staff or admin; `shared` for the log-in, invitations, health and what is not there; static files apart."""
    blueprint, _, name = (endpoint or "").rpartition(".")
    return "static" if "static" in (blueprint, name) else SIDES.get(blueprint, "shared")
