"""`flask check-config`: every setting as the start reads it, all that is wrong at once, and what the start would let pass.

The start refuses what is wrong, so this command has an application of its own, which reads no settings.
"""

import sqlite3
import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from os import environ
from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask

from practice.db import engine_options
from web import config

NAME = "check-config"
MIGRATIONS = Path(__file__).parent.parent / "migrations"
SOUND_SQLITE = (3, 51, 3)
PLAIN = (
    "PORTAL_MODE", "PORTAL_URL", "TRUSTED_HOSTS", "PROXY_ADDRESS", "TEST_DATABASE_URL", "DATA_DIR", "FILES_DIR", "SMTP_HOST",
    "SMTP_PORT", "SMTP_USER", "MAIL_FROM", "CLAMD_SOCKET", "PORT", "AUDIT_YEARS",
)  # fmt: skip
KNOWN = {*PLAIN, *config.SECRETS, *(f"{name}_FILE" for name in config.SECRETS)}


def is_asked() -> bool:
    """Whether this process is `flask check-config`, which must run where nothing else starts."""
    return Path(sys.argv[0]).stem == "flask" and NAME in sys.argv[1:]


def application() -> Flask:
    """It has this command and serves nothing."""
    app = Flask("check_config", static_folder=None)
    app.cli.add_command(check_config)
    return app


@click.command(NAME)
def check_config() -> None:
    """Check every setting and say all that is wrong; exit status 1 if anything is."""
    settings, problems = config.look(environ)
    warnings = list(misspelt(environ))
    if not problems:
        problems += database_problems(settings)
        warnings += [*missing(settings), *old_sqlite(settings), *(pending(settings) if not problems else [])]
    for sentence in warnings:
        click.echo(f"Warning: {sentence}")
    if problems:
        raise click.ClickException("\n".join(problems))
    click.echo("The settings are right.")


def misspelt(env: Mapping[str, str]) -> Iterator[str]:
    """A variable that is nearly one of ours, and is not read."""
    for name in sorted(env.keys() - KNOWN):
        if meant := get_close_matches(name, KNOWN, n=1, cutoff=0.88):
            yield f"{name} is not read by the portal. Is {meant[0]} meant?"


def missing(settings: Mapping[str, Any]) -> Iterator[str]:
    if not settings["SMTP_HOST"] and not settings["IS_DEMO"]:
        yield "SMTP_HOST is not set: notices wait until it is, nobody gets a mail."
    if not settings["METRICS_TOKEN"]:
        yield "METRICS_TOKEN is not set: /metrics is not there, so nobody is warned of what waits."
    if (socket := settings["CLAMD_SOCKET"]) and not Path(socket).is_socket():
        yield f"CLAMD_SOCKET names {socket!r}, where no scanner listens: files wait until one does."


def old_sqlite(settings: Mapping[str, Any]) -> Iterator[str]:
    """Releases before 3.51.3 can, rarely, damage the file when two connections checkpoint at once."""
    if settings["SQLALCHEMY_DATABASE_URI"].startswith("sqlite") and sqlite3.sqlite_version_info < SOUND_SQLITE:
        yield (
            f"SQLite is {sqlite3.sqlite_version} here; before {'.'.join(map(str, SOUND_SQLITE))} two processes that tidy up at "
            "once can, rarely, damage the database. Use PostgreSQL (DATABASE_URL) for a real practice, or a newer SQLite."
        )


def database_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Whether the databases answer, and hold what they may."""
    for name in ("DATABASE_URL", "MIGRATION_DATABASE_URL"):
        url = settings["SQLALCHEMY_DATABASE_URI" if name == "DATABASE_URL" else name]
        is_asked_before = name == "MIGRATION_DATABASE_URL" and url == settings["SQLALCHEMY_DATABASE_URI"]
        if is_asked_before or is_to_be_made(url):
            continue
        try:
            with engine(url).connect() as connection:
                connection.execute(sa.text("SELECT 1"))
                has_practice = sa.inspect(connection).has_table("practice")
                is_demo = has_practice and connection.scalar(sa.text("SELECT is_demo FROM practice"))
        except (sa.exc.SQLAlchemyError, OSError) as error:  # its words may quote the password
            yield f"{name} names a database that does not answer ({type(error).__name__}): see that it runs and that we may in."
            continue
        if is_demo and not settings["IS_DEMO"] and name == "DATABASE_URL":
            yield config.DEMO_DATABASE


def pending(settings: Mapping[str, Any]) -> Iterator[str]:
    url = settings["SQLALCHEMY_DATABASE_URI"]
    newest = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    present = None
    if not is_to_be_made(url):
        with engine(url).connect() as connection:
            present = MigrationContext.configure(connection).get_current_revision()
    if present != newest:
        yield f"The database is at {present or 'nothing'}, the portal needs {newest}: run flask --app wsgi prepare."


def engine(url: str) -> sa.Engine:
    """For one question; a database that is away answers within seconds."""
    options = engine_options(url, read_only=True)
    return sa.create_engine(url, poolclass=sa.NullPool, connect_args=options["connect_args"])


def is_to_be_made(url: str) -> bool:
    """An SQLite database that is not there yet: looking for it would make it."""
    made = sa.make_url(url)
    return made.drivername == "sqlite" and not Path(made.database or "").is_file()
