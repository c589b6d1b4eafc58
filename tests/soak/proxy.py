"""A small proxy before several hosts: each connection that says something goes to the next of them, or to another where that
one does not answer.

`python -m tests.soak.proxy PORT TARGET TARGET …`, ports of this machine all.
"""

import asyncio
import contextlib
import itertools
import socket
import sys
from collections.abc import Sequence


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def serve(listening: socket.socket, targets: Sequence[int]) -> None:
    turn = itertools.count()

    async def host() -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        begin = next(turn)
        for n in range(len(targets)):
            with contextlib.suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", targets[(begin + n) % len(targets)])
        return None

    async def through(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun = b""
        with contextlib.suppress(OSError):
            begun = await reader.read(65536)  # a browser opens connections in advance: no host waits for what never comes
        if begun and (found := await host()):
            back, there = found
            there.write(begun)
            asking = asyncio.create_task(pump(reader, there))
            await pump(back, writer)  # when the host has ended, for whatever reason, nobody waits for it
            asking.cancel()
            there.close()
        writer.close()

    working: set[asyncio.Task[None]] = set()  # Python 3.11 would forget a task that nobody names, in the middle of it

    def come(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(through(reader, writer))
        working.add(task)
        task.add_done_callback(working.discard)

    server = await asyncio.start_server(come, sock=listening)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(socket.create_server(("127.0.0.1", int(sys.argv[1]))), [int(one) for one in sys.argv[2:]]))
