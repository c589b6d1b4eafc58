"""A virus scanner in front of what others open: clamd behind its local socket, spoken to in its own few words (INSTREAM)."""

import socket
import struct
from typing import BinaryIO

PART = 256 * 1024
PATIENCE = 10.0  # seconds


class ScannerAway(Exception):
    """Nobody knows what is in the file: no answer, or none that can be understood."""


def is_clean(file: BinaryIO, address: str) -> bool:
    """Whether the scanner at this socket finds nothing in the file. Raises ScannerAway."""
    file.seek(0)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as clamd:
            clamd.settimeout(PATIENCE)
            clamd.connect(address)
            clamd.sendall(b"zINSTREAM\0")
            while part := file.read(PART):
                clamd.sendall(struct.pack("!L", len(part)) + part)
            clamd.sendall(struct.pack("!L", 0))
            said = _answer(clamd)
    except OSError as error:
        raise ScannerAway from error
    if said.endswith(b" FOUND"):
        return False
    if said != b"stream: OK":  # "INSTREAM size limit exceeded. ERROR" is no verdict either
        raise ScannerAway(said.decode("ascii", "replace")[:80])
    return True


def _answer(clamd: socket.socket) -> bytes:
    said = b""
    while b"\0" not in said and len(said) < 4096 and (part := clamd.recv(4096)):
        said += part
    return said.rstrip(b"\0")
