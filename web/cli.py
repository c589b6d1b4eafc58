"""Commands of `flask --app wsgi`."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path

import click
import sqlalchemy as sa
from email_validator import EmailNotValidError, validate_email
from flask import Flask, current_app
from flask_migrate import upgrade

from practice import archive, audit, backups, demo, jobs, people, second_step
from practice import load as loading
from practice.db import COMMAND, WRITE, Base, db, now
from practice.errors import Invalid, NotVisible
from practice.lists import have_terms
from practice.own_account import must_be_hard_to_guess
from practice.people import Person
from practice.settings import TermKind, the_practice
from web import check_config
from web.check_config import MIGRATIONS
from web.mailing import sender
from web.record_files import read_records

FOLDER = click.Path(path_type=Path, file_okay=False)
ADMINISTRATOR = "Administrator"  # the level of the first account
NOT_PREPARED = "The database does not answer, or somebody holds what a migration needs: check-config says which. Then try again."


def set_up(app: Flask) -> None:
    of_accounts = create_admin, reset_second_step
    for command in (
        prepare,
        *of_accounts,
        worker,
        retain,
        demo_reset,
        load,
        verify_audit,
        archive_audit,
        backup,
        restore,
        verify,
        read_records,
    ):
        app.cli.add_command(command)


def is_empty() -> bool:
    return db.session.scalar(sa.select(Person.id).limit(1)) is None


@click.command()
def prepare() -> None:
    """Bring the database up to date; in the demo mode fill an empty one with the demo practice."""
    try:
        upgrade(str(MIGRATIONS))
    except sa.exc.OperationalError as error:
        raise click.ClickException(NOT_PREPARED) from error
    if current_app.config["IS_DEMO"] and is_empty():
        click.echo("Filling the demo practice ...")
        demo.fill()


@click.command("create-admin")
@click.option("--email", prompt=True)
@click.option("--last-name", prompt=True)
@click.option("--first-name", prompt=True, default="")
@click.option("--login", prompt=True)
@click.password_option()
def create_admin(email: str, last_name: str, first_name: str, login: str, password: str) -> None:
    """Make an admin account."""
    try:
        people.check_password(password)
        must_be_hard_to_guess(password, Person(last_name=last_name, first_name=first_name, email=email))
        validate_email(email, check_deliverability=False)
        people.add_staff(
            login=login,
            last=last_name,
            first=first_name,
            email=email,
            level=ADMINISTRATOR,
            is_admin=True,
            password_hash=people.hash_password(password),
            by=COMMAND,
        )
        have_terms(TermKind.LEVEL, [ADMINISTRATOR], by=COMMAND)
    except (Invalid, EmailNotValidError) as error:
        raise click.ClickException(str(error)) from error
    except sa.exc.IntegrityError as error:
        raise click.ClickException("This e-mail address or login is taken.") from error
    click.echo(f"{email} can log in now.")


@click.command("reset-second-step")
@click.argument("email")
def reset_second_step(email: str) -> None:
    """Take away the second step of the account EMAIL, where no other admin can do it."""
    try:
        name = second_step.reset_by_command(email)
    except NotVisible:
        raise click.ClickException("No account with this e-mail address has a second step.") from None
    click.echo(f"{name} logs in with the password alone now, is told so by e-mail, and may be asked to set it up again.")


@click.command()
def worker() -> None:
    """Send notices and run the periodic jobs until TERM or Ctrl-C."""
    over = False

    def end(*_: object) -> None:
        nonlocal over
        over = True

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    send = sender(current_app)
    if send is None:
        jobs.log.warning("SMTP_HOST is not set: notices wait until it is.")
    for sentence in check_config.old_sqlite(current_app.config):
        jobs.log.warning(sentence)
    jobs.work(send, is_over=lambda: over)


@click.command()
def retain() -> None:
    """Delete at once what is over, while the practice works; the worker does it hour by hour."""
    for name, number in jobs.retain().items():
        click.echo(f"{name}: {number}")


@click.command("demo-reset")
def demo_reset() -> None:
    """Make the demo practice anew, as on the first day. Refuses a database that holds anything but the demo."""
    upgrade(str(MIGRATIONS))
    if not current_app.config["IS_DEMO"] or not (is_empty() or the_practice().is_demo):
        raise click.ClickException("This is not the demo mode, or the database has no demo mark: it is left alone.")
    db.session.close()
    with db.engines[WRITE].begin() as connection:
        Base.metadata.drop_all(connection)
        connection.execute(sa.text("DROP TABLE IF EXISTS alembic_version"))
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("DROP FUNCTION IF EXISTS refuse_change()"))
    upgrade(str(MIGRATIONS))
    demo.fill()


@click.command()
@click.option("--patients", type=int, help="How many patients; without it one for 20 messages.")
@click.option("--messages", type=int, required=True)
@click.option("--seed", type=int, default=1)
def load(patients: int | None, messages: int, seed: int) -> None:
    """Fill the database for measurement: as normal use would leave it."""
    loading.fill(patients=patients, messages=messages, seed=seed, say=click.echo)


@click.command("verify-audit")
@click.option("--seal", default="", help="A newest seal as the worker's log has it, POSITION:HASH: it must still be there.")
@click.option("--archive", "folder", type=FOLDER, help="The files that archive-audit wrote: they are checked too.")
def verify_audit(seal: str, folder: Path | None) -> None:
    """Check the chain of the audit trail."""
    moved, _ = audit.archived(db.session())
    broken = [*(islice(archive.faults(folder), 100) if folder else ()), *islice(audit.faults(), 100)]
    if seal and not audit.holds(seal) and not (folder and archive.holds(folder, seal)):
        broken.append(f"seal {seal.partition(':')[0]} is not what was logged: rows were cut off, or the chain was made anew")
    if broken:
        raise click.ClickException("\n".join(broken))
    click.echo("The audit trail is whole.")
    if moved and not folder:
        click.echo(f"Up to seal {moved} it stands in files, which --archive FOLDER checks.")
    if waits := audit.unsealed():
        click.echo(f"Rows at the end that are not sealed yet: {waits}.")


@click.command("archive-audit")
@click.argument("folder", type=FOLDER)
def archive_audit(folder: Path) -> None:
    """Move rows of the audit older than AUDIT_YEARS into a file in FOLDER, with their seals, while the practice works."""
    years = current_app.config["AUDIT_YEARS"]
    if years is None:
        raise click.ClickException("AUDIT_YEARS is not set: the audit is kept for ever.")
    try:
        before = now() - timedelta(days=366 * years)  # rather a few days too long
        done = archive.archive(folder, before=before, owner=current_app.config["MIGRATION_DATABASE_URL"])
    except archive.NotPossible as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{done.file}: {done.rows} rows. Keep it as long as the practice." if done.file else "None is so old.")


@click.command()
@click.argument("folder", type=FOLDER)
def backup(folder: Path) -> None:
    """Back the database and the attached files up into a new FOLDER, while the practice works."""
    with _sentences():
        click.echo(f"Backed up into {folder}, with {backups.back_up(folder)} files.")


@click.command()
@click.argument("folder", type=FOLDER)
def restore(folder: Path) -> None:
    """Bring a backup back from FOLDER into an empty database and the folder of files."""
    with _sentences():
        files = backups.restore(folder, current_app.config["MIGRATION_DATABASE_URL"])
    click.echo(f"Restored, with {files} files. Now run: flask --app wsgi prepare")


@click.command()
def verify() -> None:
    """Check the database and every attached file against what was stored."""
    if found := backups.verify():
        raise click.ClickException("\n".join(found))
    click.echo("The database and the files are whole.")


@contextmanager
def _sentences() -> Iterator[None]:
    try:
        yield
    except backups.NotPossible as error:
        raise click.ClickException(str(error)) from error
