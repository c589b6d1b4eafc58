"""The log: one line of JSON for each event, to the standard error. Who, what and which address never stand in it.

JSON escapes every control character, so nothing that a client sends can begin a line of its own or colour one.
"""

import logging
import sys
import time

from flask import Flask, Response, g, has_request_context, request

from practice.db import new_key
from web import metrics, server_log

SIDES = {"portal": "patient", "staff": "staff", "admin": "admin"}
log = logging.getLogger("portal.request")


class Line(server_log.Line):
    def where(self) -> dict[str, str]:
        return {"request": g.request_id} if has_request_context() and "request_id" in g else {}


class Lines(logging.Handler):
    """Each event in one write, so that the lines of several processes never mix."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):  # nobody reads it, or the disk that it goes to is full: the page is answered
            self.handleError(record)


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
