"""Mails by SMTP: what leaves, to whom, and what becomes of what a server refuses, drops or never answers."""

import contextlib
import socket
import ssl
from datetime import datetime, timedelta
from email import message_from_bytes, policy

import pytest
import sqlalchemy as sa
from aiosmtpd.controller import Controller
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from practice import jobs
from practice.db import WRITE, clock_at, db, now
from practice.outbox import Notice, NoticeState
from practice.people import Person
from practice.settings import Practice
from practice.threads import reference_of
from tests.test_config import SAFE
from web.config import Unsafe, read
from web.mailing import send_by_smtp, sender

CANARY = "Xyzzy-9981"


class Script:
    """A server that answers as it is told, and keeps what it took."""

    def __init__(self, rcpt="", data="", drops=False):
        self.rcpt, self.data, self.drops = rcpt, data, drops
        self.taken, self.greeted = [], []

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        self.greeted.append("in TLS" if session.ssl else "in the clear")
        return responses

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.rcpt:
            return self.rcpt
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.data:
            return self.data
        self.taken.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.content))
        if self.drops:
            server.transport.close()
        return "250 OK"


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture
def serve(cast, monkeypatch):
    """Starts such a server and names it in the settings."""
    with contextlib.ExitStack() as stack:

        def start(tls_context=None, **how):
            script = Script(**how)
            controller = Controller(script, hostname="127.0.0.1", port=free_port(), tls_context=tls_context)
            controller.start()
            stack.callback(controller.stop)
            name(controller.port)
            return script

        def name(port):
            for setting, value in {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": port, "SMTP_USER": "", "SMTP_PASSWORD": "",
                                   "MAIL_FROM": "portal@practice.example"}.items():  # fmt: skip
                monkeypatch.setitem(cast.sophie.app.config, setting, value)

        start.at = name
        yield start


def states():
    db.session.close()
    return sorted(db.session.scalars(sa.select(Notice.state)))


def due():
    return jobs.send_due(send_by_smtp)


def test_s8_a42_a_mail_says_that_something_waits_and_nothing_of_anybody(cast, serve):
    script = serve()
    key = cast.send(cast.sophie, "Result", body=CANARY)
    assert due() == 1 and states() == [NoticeState.SENT]
    ((sender_, recipients, raw),) = script.taken
    mail = message_from_bytes(raw, policy=policy.default)
    assert (sender_, recipients) == ("portal@practice.example", ["max@test.example"])
    assert mail["To"] == "max@test.example" and mail["From"].addresses[0].addr_spec == "portal@practice.example"
    assert mail["Message-ID"] == f"<{db.session.scalar(sa.select(Notice.key))}@localhost>"
    assert mail["Auto-Submitted"] == "auto-generated" and mail["Subject"] == "A message is waiting for you"
    text, html = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
    for part in (text, html):
        assert reference_of(cast.thread(key).id) in part and f"/staff/messages/{key}" in part
    for word in (CANARY, "KWON", "SOPHIE", "Result", "Media"):
        assert word not in text and word not in html and word not in str(mail["Subject"])


@pytest.mark.parametrize("how", [{"rcpt": "451 Later"}, {"data": "421 Going down"}, {"rcpt": "550 No such user"},
                                 {"data": "554 No"}])  # fmt: skip
def test_f13_what_is_refused_for_now_is_tried_again_and_for_good_is_dead_at_once(cast, serve, how):
    script = serve(**how)
    cast.send(cast.sophie, "Result")
    assert due() == 1 and script.taken == []
    is_final = next(iter(how.values())).startswith("55")
    assert states() == [NoticeState.DEAD if is_final else NoticeState.WAITING]
    assert due() == 0, "not before its time"
    script.rcpt = script.data = ""
    with clock_at(now() + timedelta(minutes=2)):
        assert due() == (0 if is_final else 1)
    assert states() == [NoticeState.DEAD if is_final else NoticeState.SENT]


def test_f13_a_server_that_is_away_is_asked_again_by_the_table_of_waits_with_a_little_chance(cast, serve):
    serve.at(free_port())
    cast.send(cast.sophie, "Result")
    at, waits = now(), []
    for _ in range(6):
        with clock_at(at):
            assert due() == 1
        db.session.close()
        notice = db.session.scalars(sa.select(Notice)).one()
        waits.append((notice.next_at - at) / timedelta(minutes=1))
        at = notice.next_at
    assert states() == [NoticeState.DEAD]
    for wait, planned in zip(waits, (1, 5, 15, 60, 240), strict=False):
        assert planned <= wait <= planned * 1.1


def test_f13_a_connection_lost_after_the_words_were_taken_brings_the_same_mail_again(cast, serve):
    """At least once: the second one has the Message-ID of the first."""
    script = serve(drops=True)
    cast.send(cast.sophie, "Result")
    assert due() == 1 and states() == [NoticeState.WAITING]
    script.drops = False
    with clock_at(now() + timedelta(minutes=2)):
        assert due() == 1
    ids = [message_from_bytes(raw, policy=policy.default)["Message-ID"] for _, _, raw in script.taken]
    assert len(ids) == 2 and len(set(ids)) == 1 and states() == [NoticeState.SENT]


def test_f13_a_server_that_never_answers_is_given_up_and_asked_again(cast, serve, monkeypatch):
    monkeypatch.setattr("web.mailing.TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as hole:
        serve.at(hole.getsockname()[1])
        cast.send(cast.sophie, "Result")
        assert due() == 1 and states() == [NoticeState.WAITING]


def test_f13_a_server_with_a_certificate_of_nobody_is_told_nothing(cast, serve, monkeypatch, tmp_path):
    made = tmp_path / "certificate.pem"
    made.write_bytes(certificate())
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(made)
    script = serve(tls_context=tls)
    monkeypatch.setattr("web.mailing.HERE", ())  # as if it were another machine
    cast.send(cast.sophie, "Result")
    assert due() == 1 and script.taken == [] and states() == [NoticeState.WAITING]
    assert script.greeted == ["in the clear"], "TLS began, and not one word was said in it"


def certificate():
    """A key and a certificate that it has signed itself."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    at = datetime(2020, 1, 1)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), at, at + timedelta(days=36500))
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    return private + made.sign(key, hashes.SHA256()).public_bytes(pem)


@pytest.mark.parametrize("email", ["a@b.example\r\nBcc: c@evil.example", "not an address", "Ann, b@evil.example"])
def test_a31_a32_an_address_that_is_none_is_dead_and_the_next_mail_leaves(cast, serve, email):
    script = serve()
    cast.send(cast.sophie, "Appointment")
    db.session.close()
    with db.engines[WRITE].begin() as connection:
        connection.execute(sa.update(Person.__table__).where(Person.id == cast.fay.id).values(email=email))
    assert due() == 2 and states() == [NoticeState.DEAD, NoticeState.SENT]
    assert [recipients for _, recipients, _ in script.taken] == [["sam@test.example"]]


def test_a31_a_name_of_the_practice_with_line_ends_makes_no_header(cast, serve):
    script = serve()
    with db.engines[WRITE].begin() as connection:
        connection.execute(sa.update(Practice.__table__).values(name="Oak\r\nBcc: c@evil.example"))
    cast.send(cast.sophie, "Result")
    assert due() == 1 and script.taken == [] and states() == [NoticeState.DEAD]


def test_a_server_elsewhere_is_never_spoken_to_in_the_clear(cast, serve, monkeypatch):
    script = serve()
    monkeypatch.setattr("web.mailing.HERE", ())  # as if it were another machine; this one offers no TLS
    cast.send(cast.sophie, "Result")
    due()
    assert script.taken == [] and states() == [NoticeState.WAITING], "the settings are mended one day"


def test_how_mails_leave(cast, monkeypatch):
    config = cast.sophie.app.config
    assert sender(cast.sophie.app) is None
    monkeypatch.setitem(config, "SMTP_HOST", "mail.example")
    assert sender(cast.sophie.app) is send_by_smtp
    monkeypatch.setitem(config, "IS_DEMO", True)
    assert sender(cast.sophie.app) not in (None, send_by_smtp), "the demo sends none"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"SMTP_PORT": "mail"}, "SMTP_PORT"),
        ({"SMTP_PORT": "70000"}, "SMTP_PORT"),
        ({"SMTP_HOST": "mail.example"}, "MAIL_FROM"),
        ({"SMTP_HOST": "mail.example", "MAIL_FROM": "the practice"}, "MAIL_FROM"),
        ({"SMTP_USER": "portal"}, "SMTP_PASSWORD"),
        ({"SMTP_PASSWORD": "secret"}, "SMTP_USER"),
    ],
)
def test_settings_of_mail_that_cannot_be_meant_stop_the_start(tmp_path, changed, said):
    with pytest.raises(Unsafe, match=said):
        read(SAFE | {"DATA_DIR": str(tmp_path)} | changed)


def test_the_password_may_stand_in_a_file(tmp_path):
    (tmp_path / "word").write_text("a secret\n")
    env = SAFE | {"DATA_DIR": str(tmp_path), "SMTP_HOST": "mail.example", "MAIL_FROM": "p@b.example", "SMTP_USER": "p"}
    found = read(env | {"SMTP_PASSWORD_FILE": str(tmp_path / "word")})
    assert (found["SMTP_PASSWORD"], found["SMTP_PORT"], found["MAIL_FROM"]) == ("a secret", 587, "p@b.example")


def test_a_worker_that_is_told_to_end_begins_no_further_mail(cast):
    for kind in ("Result", "Appointment"):
        cast.send(cast.sophie, kind)
    sent = []
    jobs.work(sent.append, is_over=lambda: bool(sent))
    assert len(sent) == 1 and states().count(NoticeState.WAITING) > 0
