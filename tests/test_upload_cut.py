"""F29: an upload that is cut at half, by a real connection that closes, leaves no file and no row; the next one arrives."""

import io
import socket
import threading
import time

import pytest
from werkzeug.serving import make_server

from practice.db import new_key
from tests.conftest import FILES
from tests.portal.test_documents import nothing_left
from tests.portal.test_files import begin, put, rows
from tests.practice.test_record_imports import of_sophie
from web import errors

BOUNDARY = "a-boundary-of-this-test"


@pytest.fixture
def port(cast):
    server = make_server("127.0.0.1", 0, cast.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.port
    server.shutdown()
    thread.join()
    server.server_close()


def request_of(player, port, content, address="/drafts/d1/files", **fields):
    body = "".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{said}\r\n'
        for name, said in {"csrf_token": player.token(), **fields}.items()
    ).encode()
    body += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'.encode()
    body += content + f"\r\n--{BOUNDARY}--\r\n".encode()
    cookie = "; ".join(f"{name}={value}" for name, value in player.cookies.items())
    head = (
        f"POST {address} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {cookie}\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {len(body)}\r\n"
        "Sec-Fetch-Site: same-origin\r\n\r\n"
    ).encode()
    return head, body


def answer_of(connection):
    said = b""
    while part := connection.recv(65536):
        said += part
    return said


def send_cut(port, head, body, sent):
    """Sends a part: first waiting for the answer, then gone without waiting."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head + body[: int(len(body) * sent)])
        connection.shutdown(socket.SHUT_WR)
        assert b" 400 " in answer_of(connection).split(b"\r\n")[0]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head + body[: int(len(body) * sent)])
    time.sleep(0.3)


def send_whole(port, head, body):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head + body)
        assert b" 303 " in answer_of(connection).split(b"\r\n")[0]


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("sent", [0.5, 0.99])
def test_an_upload_that_is_cut_leaves_nothing(cast, port, sent):
    begin(cast.sophie, body="Text")
    head, body = request_of(cast.sophie, port, b"a" * 3_000_000)
    send_cut(port, head, body, sent)
    assert rows() == [] and list(FILES.iterdir()) == []
    send_whole(port, head, body)
    assert len(rows()) == len(list(FILES.iterdir())) == 1
    assert "Text</textarea>" in cast.sophie.get("/messages/new?draft=d1").text


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("sent", [0.5, 0.99])
@pytest.mark.parametrize("side", ["patient", "staff"])
def test_a_medical_document_that_is_cut_leaves_nothing(cast, port, side, sent):
    who, address = cast.sophie, "/my-info/documents"
    if side == "staff":
        who, address = cast.rita, f"/staff/records/{cast.sophie.key}/documents"
    content = of_sophie("x") + b"<!--" + b"a" * 3_000_000 + b"-->"
    head, body = request_of(who, port, content, address, key=new_key())
    send_cut(port, head, body, sent)
    assert nothing_left()
    send_whole(port, head, body)
    assert not nothing_left()


@pytest.mark.parametrize("htmx", [False, True])
def test_a35_a_file_that_is_far_too_large_is_refused_in_words_to_who_is_still_sending(cast, port, htmx):
    """A35."""
    begin(cast.sophie, body="Text")
    put(cast.sophie)
    head, body = request_of(cast.sophie, port, b"a" * 40_000_000)
    if htmx:
        head = head.replace(b"Sec-Fetch-Site", b"HX-Request: true\r\nSec-Fetch-Site")
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head + body)
        answer = answer_of(connection).decode()
    assert " 413 " in answer.split("\r\n")[0] and "This file is larger than 10 MB." in answer
    assert "Your text and your other files are kept." in answer and "a.txt" in answer and "Remove" in answer
    assert ("<html" in answer) is not htmx and len(rows()) == len(list(FILES.iterdir())) == 1


def answered(player, body):
    """The status, and how much of the body was read."""
    how = {"input_stream": io.BytesIO(body), "content_length": len(body)}
    answer = player.open("POST", "/drafts/d1/files", content_type=f"multipart/form-data; boundary={BOUNDARY}", **how)
    return answer.status_code, how["input_stream"].tell()


def test_what_is_too_large_is_read_to_its_end_within_bounds(cast, monkeypatch):
    """Else the server closes on a browser that is still sending, which then shows no answer of ours."""
    begin(cast.sophie)
    _, body = request_of(cast.sophie, 0, b"a" * 12_000_000)
    assert answered(cast.sophie, body) == (413, len(body))
    assert answered(cast.nina, body)[0] == 413 and answered(cast.anonymous, body)[0] == 413, "to them it is a form as any other"
    monkeypatch.setattr(errors, "TAKEN_IN", 200_000)
    assert answered(cast.sophie, body) == (413, 200_000)


def test_a_draft_of_nobodys_is_not_there_however_large_the_file(cast):
    begin(cast.sophie)
    _, body = request_of(cast.jihae, 0, b"a" * 12_000_000)
    assert answered(cast.jihae, body)[0] == 404
