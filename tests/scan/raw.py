"""A47: requests that two servers could read in two ways, by raw sockets against gunicorn. Each is refused, and nothing that
came behind it on the same connection is answered. 501 is HTTP's own word for a coding that a server does not know."""

import socket
from dataclasses import dataclass

from tests.scan.site import HOST

SMUGGLED = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def _post(*lines: bytes, body: bytes = b"") -> bytes:
    head = (b"POST /login HTTP/1.1", b"Host: 127.0.0.1", *lines)
    return b"\r\n".join(head) + b"\r\n\r\n" + body


FORM = b"Content-Type: application/x-www-form-urlencoded"
CHUNKED = b"Transfer-Encoding: chunked"
REQUESTS = {
    "length and chunks together": _post(FORM, b"Content-Length: 4", CHUNKED, body=b"0\r\n\r\n"),
    "chunks and length together": _post(FORM, CHUNKED, b"Content-Length: 5", body=b"0\r\n\r\n"),
    "two lengths": _post(FORM, b"Content-Length: 0", b"Content-Length: 44"),
    "the same length twice": _post(FORM, b"Content-Length: 0", b"Content-Length: 0"),
    "two lengths in one line": _post(FORM, b"Content-Length: 0, 44"),
    "a length with a sign": _post(FORM, b"Content-Length: +3", body=b"a=1"),
    "a length below zero": _post(FORM, b"Content-Length: -1"),
    "a length that is no number": _post(FORM, b"Content-Length: 0x3", body=b"a=1"),
    "a coding nobody knows": _post(FORM, b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    "chunks named twice": _post(FORM, CHUNKED, CHUNKED, body=b"0\r\n\r\n"),
    "chunks that are not the last coding": _post(FORM, b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"),
    "chunks in HTTP/1.0": _post(FORM, CHUNKED, body=b"0\r\n\r\n").replace(b"HTTP/1.1", b"HTTP/1.0", 1),
    "a chunk whose size is no number": _post(FORM, CHUNKED, body=b"zz\r\na=1\r\n0\r\n\r\n"),
    "a chunk whose size is below zero": _post(FORM, CHUNKED, body=b"-3\r\na=1\r\n0\r\n\r\n"),
    "a chunk that is longer than it says": _post(FORM, CHUNKED, body=b"3\r\na=1234\r\n0\r\n\r\n"),
    "a line that goes on in the next": _post(FORM, b"X-Long: a", b" b"),
    "a blank before the colon": _post(FORM, b"Content-Length : 0"),
    "a header without a name": _post(FORM, b": empty"),
    "a NUL in a header": _post(FORM, b"X-Nul: a\0b"),
    "a bare CR in a header": _post(FORM, b"X-Bare: a\rTransfer-Encoding: chunked"),
    "a version nobody speaks": b"GET /login HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n",
    "a method with blanks": b"GE T /login HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "TRACE": b"TRACE /login HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "TRACE of the health page": b"TRACE /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "the address of another host": b"GET http://elsewhere.test/login HTTP/1.1\r\nHost: elsewhere.test\r\n\r\n",
}


@dataclass(frozen=True)
class Refusal:
    name: str
    status: int
    answers: int
    is_closed: bool

    @property
    def is_right(self) -> bool:
        return self.status in (400, 405, 501) and self.answers == 1 and self.is_closed


def sent(port: int, name: str) -> Refusal:
    """What comes back for one of REQUESTS and a second request behind it, until the server closes."""
    with socket.create_connection((HOST, port), timeout=10) as connection:
        connection.sendall(REQUESTS[name] + SMUGGLED)
        said, is_closed = b"", False
        try:
            while part := connection.recv(65536):
                said += part
            is_closed = True
        except ConnectionResetError:
            is_closed = True  # closed with the second request unread
        except TimeoutError:
            pass
    status = int(said.split(b" ", 2)[1]) if said.startswith(b"HTTP/1.") else 0
    return Refusal(name, status, said.count(b"HTTP/1.1 "), is_closed)


def refusals(port: int) -> list[Refusal]:
    return [sent(port, name) for name in REQUESTS]
