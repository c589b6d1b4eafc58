"""A scanner in front of what others open: it refuses, it is away, it comes back; nobody opens what it has not seen."""

import io
import os
import socket
import struct
import threading
import time

import pytest

from practice import jobs, scanner
from practice.attachments import scan_waiting
from practice.db import WRITE, Audit, db
from practice.errors import Invalid
from practice.files import FileState
from practice.scanner import ScannerAway, is_clean
from tests.conftest import FILES
from tests.practice.test_attachments import draft, is_whole, put, rows, swept
from tests.samples import TEXT, pdf

VIRUS = b"X5O! this text plays a virus"


class Clamd:
    """Speaks INSTREAM as clamd does, at a socket."""

    def __init__(self, address, answer=None):
        self.answer, self.scanned = answer, 0
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(address)
        self.listening.listen()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as stream:
                self.talk(stream)

    def talk(self, stream):
        command = stream.read(10)
        if command != b"zINSTREAM\0":
            return
        content = b""
        while length := struct.unpack("!L", stream.read(4))[0]:
            content += stream.read(length)
        self.scanned += 1
        said = self.answer if self.answer is not None else b"stream: Play FOUND\0" if VIRUS in content else b"stream: OK\0"
        stream.write(said)
        stream.flush()

    def close(self):
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        self.thread.join()


@pytest.fixture
def address(cast, monkeypatch, tmp_path):
    """A scanner is configured; nobody listens yet."""
    path = str(tmp_path / "clamd")
    monkeypatch.setitem(cast.app.config, "CLAMD_SOCKET", path)
    return path


@pytest.fixture
def clamd(address):
    found = Clamd(address)
    yield found
    found.close()


def states():
    return [row.state for row in rows()]


def test_a_clean_file_opens_at_once(cast, clamd):
    draft(cast.sophie)
    put(cast.sophie)
    assert states() == [FileState.CLEAN] and clamd.scanned == 1


def test_a_large_file_goes_through_in_parts(cast, clamd):
    draft(cast.sophie)
    put(cast.sophie, b"a" * 3_000_000)
    with pytest.raises(Invalid, match="scanner"):
        put(cast.sophie, b"a" * 3_000_000 + VIRUS)
    assert states() == [FileState.CLEAN]


def test_a_virus_is_not_taken(cast, clamd):
    draft(cast.sophie)
    with pytest.raises(Invalid, match="scanner"):
        put(cast.sophie, VIRUS)
    assert rows() == [] and list(FILES.iterdir()) == []


def test_what_comes_while_the_scanner_is_away_waits_for_it(cast, address):
    draft(cast.sophie)
    for content in (TEXT, VIRUS, pdf()):
        put(cast.sophie, content)
    key = cast.send(cast.sophie, form_key="d1")
    assert states() == [FileState.WAITING] * 3 and scan_waiting() == 0
    assert cast.thread(key)
    found = Clamd(address)
    try:
        assert scan_waiting() == 3 and scan_waiting() == 0
    finally:
        found.close()
    assert states() == [FileState.CLEAN, FileState.REFUSED, FileState.CLEAN]
    assert is_whole() and len(list(FILES.iterdir())) == 2
    db.session.close()
    (told,) = db.session.query(Audit).filter(Audit.did == "scan_file")
    assert rows()[1].sha256 in told.details and told.actor_name == "system"


def test_what_is_removed_while_it_waits_is_left_out(cast, address):
    draft(cast.sophie)
    put(cast.sophie)
    put(cast.sophie, pdf())
    os.unlink(FILES / rows()[0].stored_as)
    db.session.close()
    found = Clamd(address)
    try:
        scan_waiting()
    finally:
        found.close()
    assert states() == [FileState.WAITING, FileState.CLEAN]


def test_the_worker_scans(cast, clamd, monkeypatch):
    draft(cast.sophie)
    with monkeypatch.context() as patched:
        patched.setattr(scanner, "is_clean", lambda *_: (_ for _ in ()).throw(ScannerAway()))
        put(cast.sophie)
    assert states() == [FileState.WAITING]
    db.session.close()
    until = time.monotonic() + 5
    jobs.work(None, is_over=lambda: clamd.scanned > 0 or time.monotonic() > until)
    db.engines[WRITE].dispose()  # the connection that listened on PostgreSQL begins no transactions any more
    assert states() == [FileState.CLEAN]


def test_without_a_scanner_what_waited_goes_on_waiting(cast, address, monkeypatch):
    """Whoever takes the setting away has not looked into the file."""
    draft(cast.sophie)
    put(cast.sophie)
    monkeypatch.setitem(cast.app.config, "CLAMD_SOCKET", "")
    assert scan_waiting() == 0 and states() == [FileState.WAITING]


@pytest.mark.parametrize("said", [b"", b"INSTREAM size limit exceeded. ERROR\0", b"stream: ERROR\0", b"OK\0", b"\xff" * 5000])
def test_an_answer_that_is_none_is_no_verdict(cast, address, said):
    found = Clamd(address, said)
    try:
        with pytest.raises(ScannerAway):
            is_clean(io.BytesIO(TEXT), address)
    finally:
        found.close()


def test_a_scanner_that_does_not_answer_is_given_up(cast, address, monkeypatch):
    monkeypatch.setattr(scanner, "PATIENCE", 0.2)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(address)
        silent.listen()
        draft(cast.sophie)
        put(cast.sophie)
    assert states() == [FileState.WAITING]


def test_the_sweep_leaves_what_waits(cast, address):
    draft(cast.sophie)
    put(cast.sophie)
    os.utime(FILES / rows()[0].stored_as, (0, 0))
    db.session.close()
    assert swept() == 0 and is_whole()
