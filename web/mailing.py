"""How a mail leaves: by SMTP where a server is named, never in the clear but on this machine; in the demo it is only shown."""

import smtplib
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, localtime
from functools import partial
from types import SimpleNamespace
from urllib.parse import urlsplit

import sqlalchemy as sa
from flask import Flask, current_app, get_template_attribute, render_template

from practice.db import db
from practice.outbox import Leased, Undeliverable
from practice.settings import the_practice
from practice.threads import Thread, reference_of
from web.demo_mails import show_only
from web.mail_links import secret_for

TIMEOUT = 15  # seconds for each word of the server; a lease lasts longer than all of them
SUBMISSION_TLS = 465  # the port that speaks TLS from the first word
HERE = ("127.0.0.1", "localhost", "::1")


def sender(app: Flask) -> Callable[[Leased], None] | None:
    """How the worker sends; None: no server is named, so the notices wait."""
    if app.config["IS_DEMO"]:
        return show_only
    return send_by_smtp if app.config["SMTP_HOST"] else None


def send_by_smtp(leased: Leased) -> None:
    """Hands the mail to the server. Raises OSError to be tried again, Undeliverable for what no later try would change."""
    try:
        mail = _mail(leased)
    except (ValueError, MessageError) as error:  # a header that would be two lines, an address that is none
        raise Undeliverable(type(error).__name__) from error
    with _server() as server:
        try:
            server.send_message(mail)
        except smtplib.SMTPRecipientsRefused as refused:
            _raise_if_final(code for code, _ in refused.recipients.values())
            raise
        except smtplib.SMTPResponseException as refused:
            _raise_if_final([refused.smtp_code])
            raise
        except smtplib.SMTPNotSupportedError as refused:  # an address that this server cannot write
            raise Undeliverable("not supported by the server") from refused


def _raise_if_final(codes: Iterable[int]) -> None:
    """What a server says of a mail with 5.. it says tomorrow too."""
    found = list(codes)
    if found and all(500 <= code < 600 for code in found):
        raise Undeliverable(f"refused with {found[0]}")


@contextmanager
def _server() -> Iterator[smtplib.SMTP]:
    """Connected and logged in. What fails here is a fault of the settings or the network, which is mended: OSError."""
    host, port, user = (current_app.config[name] for name in ("SMTP_HOST", "SMTP_PORT", "SMTP_USER"))
    context = ssl.create_default_context()
    is_tls = port == SUBMISSION_TLS
    connecting = partial(smtplib.SMTP_SSL, context=context) if is_tls else smtplib.SMTP
    with connecting(host, port, timeout=TIMEOUT) as server:
        if not is_tls and host not in HERE:
            server.starttls(context=context)
        if user:
            server.login(user, current_app.config["SMTP_PASSWORD"])
        yield server


def _mail(leased: Leased) -> EmailMessage:
    """Plain text and HTML: that something waits, its reference number, a link. Raises ValueError, MessageError, Undeliverable."""
    url = current_app.config["PORTAL_URL"]
    token = secret_for(leased)
    with current_app.test_request_context(base_url=url):
        threads = dict(db.session.execute(sa.select(Thread.id, Thread.key).where(Thread.id.in_(leased.threads))).all())
        ids = [thread for thread in leased.threads if thread in threads]
        told = SimpleNamespace(
            occasion=leased.occasion,
            token=token,
            threads=[threads[thread] for thread in ids],
            references=[reference_of(thread) for thread in ids],
        )
        mail = EmailMessage()
        mail["Subject"] = str(get_template_attribute("mail/words.html", "subject")(leased.occasion)).strip()
        mail["From"] = Address(the_practice().name, addr_spec=current_app.config["MAIL_FROM"])
        mail["To"] = Address(addr_spec=leased.email)
        mail["Date"] = format_datetime(localtime())
        mail["Message-ID"] = f"<{leased.key}@{urlsplit(url).hostname}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(render_template("mail/notice.txt", mail=told).strip() + "\n")
        mail.add_alternative(render_template("mail/notice.html", mail=told), subtype="html")
    return mail
