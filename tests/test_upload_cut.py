"""F29: an upload that is cut at half, by a real connection that closes, leaves no file and no row; the next one arrives."""

import socket
import threading
import time

import pytest
from werkzeug.serving import make_server

from tests.conftest import FILES
from tests.portal.test_files import begin, rows

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


def request_of(player, port, content):
    token = player.token()
    body = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n{token}\r\n'
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
    ).encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()  # fmt: skip
    cookie = "; ".join(f"{name}={value}" for name, value in player.cookies.items())
    head = (
        f"POST /drafts/d1/files HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {cookie}\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {len(body)}\r\n"
        "Sec-Fetch-Site: same-origin\r\n\r\n"
    ).encode()
    return head, body


def answer_of(connection):
    said = b""
    while part := connection.recv(65536):
        said += part
    return said


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("sent", [0.5, 0.99])
def test_an_upload_that_is_cut_leaves_nothing(cast, port, sent):
    begin(cast.sophie, body="Text")
    head, body = request_of(cast.sophie, port, b"a" * 3_000_000)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head + body[: int(len(body) * sent)])
        connection.shutdown(socket.SHUT_WR)
        assert b" 400 " in answer_of(connection).split(b"\r\n")[0]
    assert rows() == [] and list(FILES.iterdir()) == []
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head + body[: int(len(body) * sent)])
    time.sleep(0.3)  # gone without waiting for an answer
    assert rows() == [] and list(FILES.iterdir()) == []
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head + body)
        assert b" 303 " in answer_of(connection).split(b"\r\n")[0]
    assert len(rows()) == len(list(FILES.iterdir())) == 1
    assert "Text</textarea>" in cast.sophie.get("/messages/new?draft=d1").text
