"""Requests that two servers could read in two ways, by raw sockets against gunicorn as `make run` starts it."""

import contextlib
import socket

import pytest

from tests.scan import raw, site


@pytest.fixture(scope="module")
def port(one_app, database, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    env = {"PORTAL_MODE": "production", "SECRET_KEY": "k" * 40, "DATABASE_URL": database, "DATA_DIR": str(folder)}
    with site.served(folder, env) as port:
        yield port


@pytest.mark.parametrize("name", raw.REQUESTS)
def test_a47_what_can_be_read_in_two_ways_is_refused_and_the_connection_closed(port, name):
    refusal = raw.sent(port, name)
    assert refusal.is_right, refusal


def test_a47_what_is_right_is_answered(port):
    """Else the table above could not fail."""
    assert site.Visitor(port).ask("GET", "/login").status == 200


@pytest.mark.parametrize("heads", ["X-Long: " + "a" * 1_000_000, "\r\n".join(f"X-{n}: a" for n in range(10_000))])
def test_a29_a_megabyte_of_headers_is_refused(port, heads):
    with socket.create_connection((site.HOST, port), timeout=10) as connection:
        with contextlib.suppress(ConnectionError):  # it need not be heard to its end
            connection.sendall(f"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\n{heads}\r\n\r\n".encode())
        with contextlib.suppress(ConnectionResetError):  # refused before it was read
            assert connection.recv(100).split(b" ")[1] in (b"400", b"431")
    assert site.Visitor(port).ask("GET", "/login").status == 200
