"""Reads a medical document: what it is, is seen by its content, neither by its name nor by what a browser says of it."""

from pathlib import Path

from practice import ccda, fhir
from practice.documents import SIZE_MAX, Document, Unreadable

TOO_LARGE = "This file is larger than 10 MB: no medical document is."


def read(content: bytes) -> Document:
    """Raises Unreadable, saying why."""
    if len(content) > SIZE_MAX:
        raise Unreadable(TOO_LARGE)
    start = (
        content[:4096]
        .removeprefix(b"\xef\xbb\xbf")
        .removeprefix(b"\xff\xfe")
        .removeprefix(b"\xfe\xff")
        .replace(b"\0", b"")
        .lstrip()
    )
    if not start:
        raise Unreadable("This file is empty.")
    if start.startswith(b"%PDF-"):
        raise Unreadable(
            "This is a PDF. It can be attached to a message, but its values cannot be read: ask for the C-CDA or FHIR file."
        )
    if start.startswith(b"<"):
        return ccda.read(content)
    if start.startswith((b"{", b"[")):
        return fhir.read(content)
    raise Unreadable("This is not a medical document that can be read: neither C-CDA (XML) nor FHIR (JSON).")


def read_file(path: Path) -> Document:
    """Looks at the size first, so that nothing large is ever held. Raises Unreadable."""
    with path.open("rb") as file:
        return read(file.read(SIZE_MAX + 1))
