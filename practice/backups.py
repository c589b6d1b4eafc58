"""Backups: the database as it was at one moment, and the bytes of every file it speaks of; made while the practice works."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from practice.attachments import every_file
from practice.db import WRITE, Base, db, files_dir
from practice.files import hash_of

DATABASE, FILES = "database", "files"  # what a backup's folder holds
TRIES = 3
Listed = list[tuple[str, str, int]]  # how a file is stored, its SHA-256, its size


class NotPossible(Exception):
    """The sentence says why."""


def back_up(folder: Path) -> int:
    """Makes a backup in a new folder, readable by its owner alone. Answers how many files it has.

    The database comes first: files are only added and deleted, never changed, so whatever it speaks of is there, unless it was
    deleted since; then all is done once more. Raises NotPossible.
    """
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        raise NotPossible(f"{folder} is there already. Name a folder that is not.") from None
    (folder / FILES).mkdir(mode=0o700)
    engine = db.engines[WRITE]
    dump = _dump_sqlite if engine.dialect.name == "sqlite" else _dump_postgresql
    for _ in range(TRIES):
        listed = dump(engine, folder / DATABASE)
        if _copy(listed, files_dir(), folder / FILES):
            return len(listed)
    problems = "\n".join(faults(listed, folder / FILES))
    raise NotPossible(f"Files that the database speaks of are not there:\n{problems}")


def restore(folder: Path, owner: str) -> int:
    """Brings a backup back into an empty database, which `owner` (its URL) may fill, and its files into the folder of files.
    Answers how many files. Raises NotPossible."""
    url = sa.make_url(owner)
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        if sa.inspect(connection).get_table_names():
            raise NotPossible("The database is not empty. Restore into an empty one.")
    if not (folder / DATABASE).is_file():
        raise NotPossible(f"There is no backup in {folder}.")
    with (folder / DATABASE).open("rb") as file:
        is_sqlite = file.read(16) == b"SQLite format 3\0"
    if is_sqlite != (url.get_backend_name() == "sqlite"):
        raise NotPossible("The backup is of the other kind of database (SQLite or PostgreSQL).")
    if is_sqlite:
        _restore_sqlite(folder / DATABASE, Path(url.database or ""))
    else:
        _run(
            "pg_restore",
            url,
            "--exit-on-error",
            "--single-transaction",
            "--no-owner",
            f"--dbname={url.database}",
            folder / DATABASE,
        )
    with Session(engine) as session:
        listed = list(every_file(session))
    files_dir().mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _copy(listed, folder / FILES, files_dir()):
        raise NotPossible("The database is restored. Files are missing or damaged:\n" + "\n".join(faults(listed, files_dir())))
    return len(listed)


def verify() -> list[str]:
    """What is wrong with the database and the files, in sentences; empty where nothing is."""
    engine = db.engines[WRITE]
    found: list[str] = []
    try:
        found += _faults_of_sqlite(engine) if engine.dialect.name == "sqlite" else _faults_of_postgresql(engine)
        with Session(engine) as session:
            listed = list(every_file(session))
    except sa.exc.DBAPIError as error:
        return [*found, f"The database is damaged: {error.orig}"]
    return found + list(faults(listed, files_dir()))


def _faults_of_sqlite(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        checked = connection.exec_driver_sql("PRAGMA integrity_check").all()
        if damaged := [f"The database is damaged: {row[0]}" for row in checked if row[0] != "ok"]:
            return damaged
        rows = connection.exec_driver_sql("PRAGMA foreign_key_check")
        return [f"A row of {row[0]} speaks of one in {row[2]} that is not there." for row in rows]


def _faults_of_postgresql(engine: sa.Engine) -> list[str]:
    """pg_dump reads every row there is; with checksums (initdb --data-checksums) the server sees each changed bit then."""
    try:
        _run("pg_dump", engine.url, "--format=custom", "--compress=0", "--no-sync", "--file=/dev/null")
    except NotPossible as error:
        return [f"The database cannot be read to its end. {error}"]
    with engine.connect() as connection:
        for statement in _by_key():
            connection.exec_driver_sql(statement)
    return []


def _by_key() -> Iterator[str]:
    """Each row as the key's index finds it: a table that lost its end reads like a shorter one, and only the index knows of
    rows that are gone (PostgreSQL answers then that it could not read the block)."""
    for way in ("seqscan", "bitmapscan", "indexonlyscan", "sort"):
        yield f"SET LOCAL enable_{way} = off"
    for table in Base.metadata.sorted_tables:
        key = ", ".join(column.name for column in table.primary_key)
        yield f"SELECT count(one) FROM (SELECT one FROM {table.name} AS one ORDER BY {key}) AS each"


def faults(listed: Listed, folder: Path) -> Iterator[str]:
    """What is wrong with the files of a folder."""
    for name, sha256, size in listed:
        path = folder / name
        if not path.is_file():
            yield f"The file {name} is missing."
        elif path.stat().st_size != size or hash_of(path) != sha256:
            yield f"The file {name} is not what was stored."


def _copy(listed: Listed, from_: Path, to: Path) -> bool:
    """Copies what is not there yet; whether all is there then, as it was stored."""
    for name, sha256, _size in listed:
        if (to / name).is_file() and hash_of(to / name) == sha256:
            continue
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(from_ / name, to / name, follow_symlinks=False)
            os.chmod(to / name, 0o600)
    return not any(faults(listed, to))


def _dump_sqlite(engine: sa.Engine, to: Path) -> Listed:
    """By SQLite's own backup, in one step: a plain copy loses what stands in the log beside the database."""
    to.unlink(missing_ok=True)
    to.touch(mode=0o600)
    source, target = sqlite3.connect(engine.url.database or ""), sqlite3.connect(to)
    with contextlib.closing(source), contextlib.closing(target):
        source.backup(target)
        if target.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
            raise NotPossible("The database is damaged: its copy does not pass the check.")
        target.execute("PRAGMA journal_mode=DELETE")  # one file, whole by itself
    with Session(sa.create_engine(f"sqlite:///{to}", poolclass=sa.NullPool)) as session:
        return list(every_file(session))


def _dump_postgresql(engine: sa.Engine, to: Path) -> Listed:
    """By pg_dump, which sees what this transaction sees."""
    to.unlink(missing_ok=True)
    to.touch(mode=0o600)
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        snapshot = connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
        listed = list(every_file(Session(connection)))
        _run("pg_dump", engine.url, "--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}", f"--file={to}")
    return listed


def _restore_sqlite(backup: Path, to: Path) -> None:
    db.session.remove()
    for engine in db.engines.values():
        engine.dispose()
    to.parent.mkdir(parents=True, exist_ok=True)
    partial = to.with_name(f"{to.name}.part")
    shutil.copyfile(backup, partial)
    os.chmod(partial, 0o600)
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    for beside in ("-wal", "-shm"):  # of the empty one
        to.with_name(f"{to.name}{beside}").unlink(missing_ok=True)
    partial.replace(to)


def _run(command: str, url: sa.URL, *arguments: Any) -> None:
    """One of PostgreSQL's own commands. What is secret goes by the environment, which other users cannot read."""
    said = {
        "PGHOST": url.host,
        "PGPORT": url.port,
        "PGUSER": url.username,
        "PGPASSWORD": url.password,
        "PGDATABASE": url.database,
    }
    environment = os.environ | {name: str(value) for name, value in said.items() if value}
    try:
        subprocess.run([command, *map(str, arguments)], env=environment, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise NotPossible(f"{command} is not installed: it comes with PostgreSQL.") from None
    except subprocess.CalledProcessError as error:
        raise NotPossible(f"{command}: {error.stderr.strip()}") from error
