"""Settings from the environment. What is missing or unsafe stops the start with a sentence; nothing is guessed."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from email_validator import EmailNotValidError, validate_email
from sqlalchemy.exc import SQLAlchemyError

from practice.db import WRITE, db, engine_options
from practice.settings import the_practice


class Unsafe(click.ClickException):
    """The start is refused; the text says why and what to set."""


def _value(env: Mapping[str, str], name: str, default: str = "") -> str:
    """The variable, or the content of the file named by NAME_FILE."""
    file = env.get(f"{name}_FILE")
    return Path(file).read_text(encoding="utf-8").strip() if file else env.get(name, default)


def _secret_key(env: Mapping[str, str], data_dir: Path, is_demo: bool) -> str:
    key = _value(env, "SECRET_KEY")
    if key or not is_demo:
        return key
    kept = data_dir / "secret_key"
    if not kept.exists():
        descriptor = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_hex(32))
    return kept.read_text(encoding="utf-8")


def database_url(env: Mapping[str, str], data_dir: Path, name: str = "DATABASE_URL") -> str:
    """SQLite in the data folder unless the variable names another; PostgreSQL is spoken to by psycopg 3."""
    url = _value(env, name) or f"sqlite:///{(data_dir / 'portal.sqlite3').resolve()}"
    for plain in ("postgres://", "postgresql://"):
        if url.startswith(plain):
            return "postgresql+psycopg://" + url.removeprefix(plain)
    return url


def read(env: Mapping[str, str]) -> dict[str, Any]:
    """Flask's configuration from the environment. Raises Unsafe."""
    mode = env.get("PORTAL_MODE", "production")
    if mode not in ("demo", "production"):
        raise Unsafe(f"PORTAL_MODE is {mode!r}: set it to demo or production.")
    is_demo = mode == "demo"
    data_dir = Path(env.get("DATA_DIR", "./var"))
    data_dir.mkdir(parents=True, exist_ok=True)
    url = env.get("PORTAL_URL", f"http://127.0.0.1:{env.get('PORT', '8000')}" if is_demo else "")
    secret = _secret_key(env, data_dir, is_demo)
    parts = urlsplit(url)
    if len(secret) < 32:
        raise Unsafe("SECRET_KEY is missing or shorter than 32 characters: set it to a long random text.")
    if parts.scheme != "https" and parts.hostname != "127.0.0.1":
        raise Unsafe("PORTAL_URL must begin with https:// (http is for 127.0.0.1 only).")
    hosts = [host for host in env.get("TRUSTED_HOSTS", "").split(",") if host] or [str(parts.hostname)]
    database = database_url(env, data_dir)
    return {
        "IS_DEMO": is_demo,
        "PORTAL_URL": f"{parts.scheme}://{parts.netloc}",
        "TRUSTED_HOSTS": hosts,
        "PROXY_ADDRESS": env.get("PROXY_ADDRESS", ""),
        "FILES_DIR": str(Path(env.get("FILES_DIR") or data_dir / "files").resolve()),
        "CLAMD_SOCKET": env.get("CLAMD_SOCKET", ""),
        **_mail_settings(env),
        "SECRET_KEY": secret,
        "SECRET_KEY_FALLBACKS": [key for key in (_value(env, "SECRET_KEY_OLD"),) if key],
        **database_settings(database),
        "MIGRATION_DATABASE_URL": database_url(env, data_dir, "MIGRATION_DATABASE_URL")
        if _value(env, "MIGRATION_DATABASE_URL")
        else database,
    }


def _mail_settings(env: Mapping[str, str]) -> dict[str, Any]:
    """Which server takes the mails, if one does. Raises Unsafe."""
    host, sender, port = env.get("SMTP_HOST", ""), env.get("MAIL_FROM", ""), env.get("SMTP_PORT", "587")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise Unsafe(f"SMTP_PORT is {port!r}: set it to the number of a port.")
    try:
        known = validate_email(sender, check_deliverability=False).normalized if host else ""
    except EmailNotValidError as error:
        raise Unsafe(f"MAIL_FROM must be the address that mails are from, because SMTP_HOST is set: {error}") from error
    user, password = env.get("SMTP_USER", ""), _value(env, "SMTP_PASSWORD")
    if bool(user) != bool(password):
        raise Unsafe("Set SMTP_USER and SMTP_PASSWORD both, or neither.")
    return {"SMTP_HOST": host, "SMTP_PORT": int(port), "SMTP_USER": user, "SMTP_PASSWORD": password, "MAIL_FROM": known}


def refuse_demo_database() -> None:
    """Production on a database with the demo mark, where everybody knows the passwords. A database not there yet is fine."""
    try:
        is_demo = the_practice().is_demo
    except SQLAlchemyError:
        return
    finally:
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()  # nobody serves yet: connections are opened when they are needed
    if is_demo:
        raise Unsafe("This database holds the demo practice: name another one by DATABASE_URL, or set PORTAL_MODE=demo.")


def database_settings(url: str) -> dict[str, Any]:
    """The two engines on one database: reads by default, writes as a bind of its own."""
    return {
        "SQLALCHEMY_DATABASE_URI": url,
        "SQLALCHEMY_BINDS": {None: engine_options(url, read_only=True), WRITE: engine_options(url, read_only=False)},
    }


FIXED: dict[str, Any] = {
    "SESSION_COOKIE_NAME": "__Host-portal",
    "SESSION_COOKIE_SECURE": True,
    "SESSION_COOKIE_HTTPONLY": True,
    "SESSION_COOKIE_SAMESITE": "Lax",
    "SESSION_COOKIE_PATH": "/",
    "MAX_CONTENT_LENGTH": 1024 * 1024,
    "MAX_FORM_MEMORY_SIZE": 1024 * 1024,
    "MAX_FORM_PARTS": 100,
    "WTF_CSRF_CHECK_DEFAULT": False,  # our gate calls it, in its place among the other checks
    "WTF_CSRF_TIME_LIMIT": None,  # it ends with the session; an hour would lose a slow writer's text
    "PROPAGATE_EXCEPTIONS": False,
    "BOOTSTRAP_SERVE_LOCAL": True,
    "BABEL_DEFAULT_LOCALE": "en_US",
}
"""What is the same everywhere."""
