"""What the soak is made of: a proxy that goes on without a dead host, and a ledger in which every fault breaks its line."""

import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults.senders import free_port
from tests.soak.day import answer_lines, proxy, stored_line
from tests.soak.people import Told, value_in


@contextmanager
def host(port: int, name: bytes) -> Iterator[None]:
    """It answers every connection with its name."""
    server = socket.create_server(("127.0.0.1", port))

    def answer() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            connection.sendall(connection.recv(10) + name)
            connection.close()

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)


def test_who_waits_for_a_host_that_dies_hears_of_it_at_once() -> None:
    port = free_port()
    with (
        socket.create_server(("127.0.0.1", port)) as server,
        proxy([port]) as before,
        socket.create_connection(("127.0.0.1", before), timeout=5) as connection,
    ):
        connection.sendall(b"x")
        dying, _ = server.accept()
        assert dying.recv(1) == b"x"
        dying.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        dying.close()
        assert connection.recv(1) == b""


def asked(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"x")
        found = b""
        while part := connection.recv(100):
            found += part
        return found


def test_the_proxy_goes_round_and_on_without_a_dead_host() -> None:
    first, second = free_port(), free_port()
    with proxy([first, second]) as port, host(first, b"1"):
        with host(second, b"2"):
            assert Counter(asked(port) for _ in range(6)) == {b"x1": 3, b"x2": 3}
        assert {asked(port) for _ in range(4)} == {b"x1"}
    with proxy([first, second]) as port:
        assert asked(port) == b""


@pytest.mark.parametrize(
    ("acknowledged", "stored", "bodies", "holds"),
    [
        ({"a": "t"}, {"a"}, ["1"], True),
        ({"a": "t"}, {"a", "b"}, ["1", "2"], True),  # stored, and the answer was lost on the way
        ({"a": "t", "b": "t"}, {"a"}, ["1"], False),
        ({"a": "t"}, {"a", "b"}, ["1", "1"], False),
        ({}, set(), [], False),
    ],
)
def test_what_is_lost_or_doubled_breaks_the_line(
    acknowledged: dict[str, str], stored: set[str], bodies: list[str], holds: bool
) -> None:
    assert stored_line("messages", acknowledged, stored, bodies).holds is holds


def test_an_error_breaks_the_line_unless_the_database_was_away() -> None:
    told = Told(asked=9, failed=[(10.0, 503, "send"), (20.0, 0, "list")])
    broken = [line.said for line in answer_lines(told, [], []) if not line.holds]
    assert len(broken) == 2 and "503 send" in broken[0] and "list" in broken[1]
    assert all(line.holds for line in answer_lines(told, [(9.0, 11.0)], [(19.0, 21.0)]))
    assert [line.holds for line in answer_lines(told, [], [(9.0, 21.0)])] == [False, True, True, True]
    assert [line.holds for line in answer_lines(Told(thrown_out=1), [], [])] == [True, True, False, True]


def test_two_counts_add_up() -> None:
    one = Told({"a": "t"}, {"b": "t"}, 1, Counter({"409 answer": 1}), [(1.0, 503, "send")], 1, 1, [0.1])
    assert one + one == Told({"a": "t"}, {"b": "t"}, 2, Counter({"409 answer": 2}), [(1.0, 503, "send")] * 2, 2, 2, [0.1] * 2)


def test_a_value_is_found_in_a_form() -> None:
    assert value_in('<input type="hidden" name="seen" value="12">', "seen") == "12"
    assert value_in("<p>", "seen") == ""
