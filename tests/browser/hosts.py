"""Several hosts on one database: web processes behind the round-robin proxy of the soak, and as many workers. Nothing that one
of them remembers helps another.
"""

import asyncio
import contextlib
import multiprocessing
import socket
from collections.abc import Callable, Iterator
from typing import Any

from werkzeug.serving import make_server

from practice import jobs
from tests.soak.proxy import serve
from web.cli import sender

FORK = multiprocessing.get_context("fork")
Make = Callable[[str], Any]  # the application, of an address


@contextlib.contextmanager
def behind_proxy(number: int, make: Make) -> Iterator[str]:
    """The address of the proxy. All processes end with it."""
    proxy, *hosts = (socket.create_server(("127.0.0.1", 0), backlog=128) for _ in range(number + 1))
    address = f"http://127.0.0.1:{port_of(proxy)}"
    running = [FORK.Process(target=host, args=(one, make, address), daemon=True) for one in hosts]
    running += [FORK.Process(target=worker, args=(make, address), daemon=True) for _ in hosts]
    running.append(FORK.Process(target=turn, args=(proxy, [port_of(one) for one in hosts]), daemon=True))
    for one in running:
        one.start()
    try:
        yield address
        assert all(one.is_alive() for one in running), "a host, a worker or the proxy has ended by itself"
    finally:
        for one in running:
            one.kill()
            one.join()
        for listening in (proxy, *hosts):
            listening.close()


def port_of(listening: socket.socket) -> int:
    return int(listening.getsockname()[1])


def host(listening: socket.socket, make: Make, address: str) -> None:
    make_server("127.0.0.1", port_of(listening), make(address), threaded=True, fd=listening.fileno()).serve_forever()


def worker(make: Make, address: str) -> None:
    app = make(address)
    with app.app_context():
        jobs.work(sender(app), is_over=lambda: False)


def turn(listening: socket.socket, targets: list[int]) -> None:
    asyncio.run(serve(listening, targets))
