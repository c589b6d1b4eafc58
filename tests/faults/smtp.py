"""A mail server that keeps what it takes, and does something at a chosen moment of a conversation."""

from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes
from types import TracebackType
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

from tests.faults.senders import free_port

MOMENTS = ("before", "data", "taken", "after")  # EHLO, the word DATA, all was taken, QUIT: 250 was heard


@dataclass
class Server:
    """`at`: called with the moment, each time."""

    at: Callable[[str], None] = lambda moment: None
    taken: list[str] = field(default_factory=list)  # Message-IDs

    def __enter__(self) -> "Server":
        self.port = free_port()
        self.controller = Scripted(self, hostname="127.0.0.1", port=self.port)
        self.controller.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.controller.stop()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.taken.append(str(message_from_bytes(envelope.content)["Message-ID"]))
        self.at("taken")
        return "250 OK"


class Scripted(Controller):
    def factory(self) -> SMTP:
        return Speaker(self.handler)


class Speaker(SMTP):
    async def smtp_EHLO(self, hostname: str) -> None:
        self.event_handler.at("before")
        await super().smtp_EHLO(hostname)

    async def smtp_DATA(self, arg: str) -> None:
        self.event_handler.at("data")
        await super().smtp_DATA(arg)

    async def smtp_QUIT(self, arg: str) -> None:
        self.event_handler.at("after")
        await super().smtp_QUIT(arg)
