"""A page with two holes, on loopback: a scanner that does not find them says nothing about the portal."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import Any
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from tests.scan.site import HOST


class Silent(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """No line for each of thousands of requests."""


class Threaded(ThreadingMixIn, WSGIServer):
    """Both scanners ask at once."""

    daemon_threads = True


def holes(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
    asked = parse_qs(environ["QUERY_STRING"]).get("word", ["a"])[0]
    rows = sqlite3.connect(":memory:")
    rows.execute("CREATE TABLE thing AS SELECT 'a' AS name UNION SELECT 'b'")
    try:
        found = rows.execute(f"SELECT name FROM thing WHERE name = '{asked}'").fetchall()
    except (sqlite3.Error, sqlite3.Warning) as error:
        found = [(f"sqlite3.OperationalError: {error}",)]
    rows.close()
    start("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    form = '<form action="/"><input name="word" value="a"><input type="submit"></form><a href="/?word=a">a</a>'
    return [f"<!doctype html><html><body>{form}<p>{asked}</p><p>{found}</p></body></html>".encode()]


@contextmanager
def served() -> Iterator[int]:
    server = make_server(HOST, 0, holes, Threaded, Silent)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
