"""Settings from the environment. What is missing or unsafe stops the start with a sentence; nothing is guessed."""

import os
import re
import secrets
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import sqlalchemy as sa
from email_validator import EmailNotValidError, validate_email
from sqlalchemy.exc import SQLAlchemyError

from practice.db import WRITE, db, engine_options
from practice.settings import the_practice


class Unsafe(click.ClickException):
    """The start is refused; the text says why and what to set."""


SECRETS = ("SECRET_KEY", "SECRET_KEY_OLD", "DATABASE_URL", "MIGRATION_DATABASE_URL", "SMTP_PASSWORD", "METRICS_TOKEN")
LEAST = 32  # characters of what must not be guessed


class Settings:
    """The environment as it is read, and every sentence about what is wrong with it; a secret's value is in none of them."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = env
        self.problems: list[str] = []

    def refuse(self, sentence: str) -> None:
        self.problems.append(sentence)

    def text(self, name: str, default: str = "") -> str:
        return self.env.get(name) or default

    def secret(self, name: str) -> str:
        """The variable, or the content of the file named by NAME_FILE."""
        file = self.env.get(f"{name}_FILE")
        if not file:
            return self.env.get(name, "")
        try:
            return Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError) as error:
            self.refuse(f"{name}_FILE names {file!r}, which cannot be read: {_why(error)}.")
            return ""

    def strong(self, name: str) -> str:
        """A secret that must not be guessed; empty where it is not set."""
        found = self.secret(name)
        if found and (len(found) < LEAST or not found.isascii() or not found.isprintable()):
            self.refuse(f"{name} is shorter than {LEAST} characters or has others than ASCII: set it to a long random text.")
        return found

    def port(self, name: str, default: str) -> int:
        found = self.text(name, default)
        if found.isascii() and found.isdigit() and 0 < int(found) < 65536:
            return int(found)
        self.refuse(f"{name} is {found!r}: set it to the number of a port.")
        return int(default)

    def years(self, name: str) -> int | None:
        """None: for ever. Patients and the law ask for six years (45 CFR 164.316, 164.528)."""
        found = self.text(name)
        if not found or (found.isascii() and found.isdigit() and 6 <= int(found) <= 100):
            return int(found) if found else None
        self.refuse(f"{name} is {found!r}: set it to a number of years from 6 to 100, or leave it out to keep all.")
        return None

    def folder(self, name: str, default: str) -> Path:
        """Made where it is not there; it must be writable."""
        found = Path(self.text(name, default))
        try:
            found.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not os.access(found, os.W_OK | os.X_OK):
                self.refuse(f"{name} is {str(found)!r}, where nothing can be written: give the portal's user the right to.")
        except OSError as error:
            self.refuse(f"{name} is {str(found)!r}, which cannot be made a folder: {_why(error)}.")
        return found

    def database(self, name: str, default: str) -> str:
        """PostgreSQL is spoken to by psycopg 3."""
        url = psycopg(self.secret(name))
        try:
            is_known = not url or sa.make_url(url).drivername in ("sqlite", "postgresql+psycopg")
        except (sa.exc.ArgumentError, ValueError):
            is_known = False
        if not is_known:
            self.refuse(f"{name} is no address of a database: it must begin with postgresql:// or sqlite:///.")
        return url or default


def _why(error: OSError | UnicodeError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__


def psycopg(url: str) -> str:
    for plain in ("postgres://", "postgresql://"):
        if url.startswith(plain):
            return "postgresql+psycopg://" + url.removeprefix(plain)
    return url


def read(env: Mapping[str, str]) -> dict[str, Any]:
    """Flask's configuration from the environment. Raises Unsafe, which says all that is wrong."""
    found, problems = look(env)
    if problems:
        raise Unsafe("\n".join(problems))
    return found


def look(env: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """The configuration, and a sentence for each setting that is missing, unsafe or not to be understood: then it is no good."""
    said = Settings(env)
    mode = said.text("PORTAL_MODE", "production")
    if mode not in ("demo", "production"):
        said.refuse(f"PORTAL_MODE is {mode!r}: set it to demo or production.")
    is_demo = mode == "demo"
    data_dir = said.folder("DATA_DIR", "./var")
    database = said.database("DATABASE_URL", f"sqlite:///{(data_dir / 'portal.sqlite3').resolve()}")
    found = {
        "IS_DEMO": is_demo,
        **_addresses(said, said.port("PORT", "8000"), is_demo),
        "FILES_DIR": str(said.folder("FILES_DIR", str(data_dir / "files")).resolve()),
        "CLAMD_SOCKET": said.text("CLAMD_SOCKET"),
        "METRICS_TOKEN": said.strong("METRICS_TOKEN"),
        "METRICS_DIR": str((data_dir / "metrics").resolve()),
        **_mail_settings(said),
        "AUDIT_YEARS": said.years("AUDIT_YEARS"),
        "SECRET_KEY": _secret_key(said, data_dir, is_demo),
        "SECRET_KEY_FALLBACKS": [key for key in (said.strong("SECRET_KEY_OLD"),) if key],
        "MIGRATION_DATABASE_URL": said.database("MIGRATION_DATABASE_URL", database),
    }
    return found | database_settings(database), said.problems


def _secret_key(said: Settings, data_dir: Path, is_demo: bool) -> str:
    key = said.strong("SECRET_KEY")
    if not key and not is_demo:
        said.refuse(f"SECRET_KEY is missing: set it to a random text of at least {LEAST} characters.")
    if key or not is_demo or said.problems:
        return key
    kept = data_dir / "secret_key"
    if not kept.exists():
        descriptor = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_hex(32))
    return kept.read_text(encoding="utf-8")


HOST = re.compile(r"\.?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*|\[[0-9a-fA-F:]+\]")


def _addresses(said: Settings, port: int, is_demo: bool) -> dict[str, Any]:
    """By which address people come, and by which proxy."""
    url, proxy = said.text("PORTAL_URL", f"http://127.0.0.1:{port}" if is_demo else ""), said.text("PROXY_ADDRESS")
    try:
        parts, is_right = urlsplit(url), bool(urlsplit(url).hostname) and urlsplit(url).port != 0
    except ValueError:
        parts, is_right = urlsplit(""), False
    if not is_right or parts.scheme not in ("https", "http") or (parts.scheme == "http" and parts.hostname != "127.0.0.1"):
        said.refuse("PORTAL_URL must be an address that begins with https:// (http is for 127.0.0.1 only).")
    hosts = [host.strip() for host in said.text("TRUSTED_HOSTS").split(",") if host.strip()] or [str(parts.hostname)]
    if wrong := [host for host in hosts if not HOST.fullmatch(host)]:
        said.refuse(f"TRUSTED_HOSTS has {wrong[0]!r}: set it to names of hosts alone, separated by commas.")
    try:
        ip_address(proxy or "127.0.0.1")
    except ValueError:
        said.refuse(f"PROXY_ADDRESS is {proxy!r}: set it to one IP address.")
    return {"PORTAL_URL": f"{parts.scheme}://{parts.netloc}", "TRUSTED_HOSTS": hosts, "PROXY_ADDRESS": proxy}


def _mail_settings(said: Settings) -> dict[str, Any]:
    """Which server takes the mails, if one does."""
    host, sender, port, known = said.text("SMTP_HOST"), said.text("MAIL_FROM"), said.port("SMTP_PORT", "587"), ""
    try:
        known = validate_email(sender, check_deliverability=False).normalized if host else ""
    except EmailNotValidError as error:
        said.refuse(f"MAIL_FROM must be the address that mails are from, because SMTP_HOST is set: {error}")
    user, password = said.text("SMTP_USER"), said.secret("SMTP_PASSWORD")
    if bool(user) != bool(password):
        said.refuse("Set SMTP_USER and SMTP_PASSWORD both, or neither.")
    return {"SMTP_HOST": host, "SMTP_PORT": port, "SMTP_USER": user, "SMTP_PASSWORD": password, "MAIL_FROM": known}


DEMO_DATABASE = "This database holds the demo practice: name another one by DATABASE_URL, or set PORTAL_MODE=demo."


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
        raise Unsafe(DEMO_DATABASE)


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
