"""Backup, restore, verify: made while people write, whole or said not to be, with the files as they were stored."""

import contextlib
import io
import threading

import pytest
import sqlalchemy as sa

from practice import backups, drafts
from practice.attachments import attach, every_file
from practice.backups import DATABASE, FILES, NotPossible
from practice.db import WRITE, Base, db, new_key
from practice.files import hash_of
from tests.conftest import FILES as STORED
from tests.conftest import new_database, test_settings
from tests.samples import TEXT, pdf, png
from wsgi import create_app


def with_files(cast):
    """A message with three files, and one in a draft."""
    for key, contents in (("d1", (TEXT, png(), pdf())), ("d2", (TEXT,))):
        drafts.save_draft(cast.sophie.id, key=key, about="/messages/new", values={"body": [""]}, by=cast.sophie.actor)
        for content in contents:
            put(cast, content, key)
    return cast.send(cast.sophie, form_key="d1")


def put(cast, content, key):
    attach(cast.sophie.id, draft=key, name="a", stream=io.BytesIO(content), may_be_dicom=False, by=cast.sophie.actor)
    db.session.close()


def rows():
    """How many rows each table has."""
    db.session.close()
    with db.engines[WRITE].connect() as connection:
        return {
            table.name: connection.scalar(sa.select(sa.func.count()).select_from(table)) for table in Base.metadata.sorted_tables
        }


@pytest.fixture
def kind(request):
    return request.config.getoption("--database")


@pytest.fixture
def elsewhere(kind, tmp_path):
    """An empty database and folder of files of another machine: its app, entered."""
    (tmp_path / "new").mkdir()

    @contextlib.contextmanager
    def enter():
        with new_database(kind, tmp_path / "new") as url:
            app = create_app(test_settings(url, FILES_DIR=str(tmp_path / "new" / "files")))
            with app.app_context():
                yield url
                db.session.remove()
                for engine in db.engines.values():
                    engine.dispose()

    return enter


def test_what_is_backed_up_comes_back_whole(cast, elsewhere, tmp_path):
    key = with_files(cast)
    before, files = rows(), {path.name: path.read_bytes() for path in STORED.iterdir()}
    assert backups.back_up(tmp_path / "backup") == 4 == len(files)
    with elsewhere() as url:
        assert backups.restore(tmp_path / "backup", url) == 4
        assert rows() == before and backups.verify() == []
        there = tmp_path / "new" / "files"
        assert {path.name: path.read_bytes() for path in there.iterdir()} == files
        assert all(hash_of(there / name) == sha256 for name, sha256, _ in every_file(db.session()))
    assert cast.thread(key)


def test_f20_a_backup_while_people_write_has_all_that_was_acknowledged_before(cast, elsewhere, tmp_path):
    app, over, sent = cast.sophie.app, threading.Event(), [cast.send(cast.sophie) for _ in range(5)]
    with_files(cast)
    before = rows()["message"]

    def write():
        with app.app_context():
            while not over.is_set():
                sent.append(cast.send(cast.jihae))
            db.session.remove()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        backups.back_up(tmp_path / "backup")
    finally:
        over.set()
        writer.join()
    with elsewhere() as url:
        backups.restore(tmp_path / "backup", url)
        assert before <= rows()["message"] <= len(sent) + 1 and backups.verify() == []


def test_a_file_that_is_missing_or_changed_is_named_and_never_backed_up_silently(cast, tmp_path):
    with_files(cast)
    first, second = sorted(STORED.iterdir())[:2]
    first.unlink()
    second.write_bytes(b"something else")
    found = "\n".join(backups.verify())
    assert f"{first.name} is missing" in found and f"{second.name} is not what was stored" in found
    with pytest.raises(NotPossible, match=first.name):
        backups.back_up(tmp_path / "backup")


def test_f21_a_database_that_was_cut_is_said_to_be_damaged(cast, kind, elsewhere, tmp_path):
    if kind != "sqlite":
        pytest.skip("no test damages a server that others use: make faults does, with one of its own")
    backups.back_up(tmp_path / "backup")
    with elsewhere() as url:
        backups.restore(tmp_path / "backup", url)
        with open(sa.make_url(url).database, "r+b") as file:
            file.truncate(file.seek(0, 2) // 2)
        assert any("The database is damaged" in sentence for sentence in backups.verify())


def test_every_row_is_read_to_verify_it(cast, kind, monkeypatch):
    if kind == "sqlite":
        pytest.skip("SQLite checks itself")

    def damaged(*_):
        raise NotPossible("pg_dump: invalid page in block 1")

    assert backups.verify() == []
    monkeypatch.setattr(backups, "_run", damaged)
    assert backups.verify() == ["The database cannot be read to its end. pg_dump: invalid page in block 1"]


def test_f21_every_row_is_looked_for_where_its_key_says_it_is(cast, kind):
    if kind == "sqlite":
        pytest.skip("SQLite checks itself")
    with db.engines[WRITE].connect() as connection:
        for statement in backups._by_key():
            if statement.startswith("SET"):
                connection.exec_driver_sql(statement)
            else:
                plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {statement}").scalars())
                assert "Index Scan using pk_" in plan and "Sort" not in plan, plan


def test_a_file_deleted_while_the_backup_was_made_is_no_fault(cast, tmp_path, monkeypatch):
    with_files(cast)
    copying = backups._copy

    def deleted_first(*how):
        monkeypatch.setattr(backups, "_copy", copying)
        drafts.discard_draft(cast.sophie.id, key="d2", by=cast.sophie.actor)
        return copying(*how)

    monkeypatch.setattr(backups, "_copy", deleted_first)
    assert backups.back_up(tmp_path / "backup") == 3


def test_no_backup_is_written_over_and_nothing_is_restored_over(cast, kind, tmp_path):
    backups.back_up(tmp_path / "backup")
    with pytest.raises(NotPossible, match="there already"):
        backups.back_up(tmp_path / "backup")
    url = db.engines[WRITE].url.render_as_string(hide_password=False)
    with pytest.raises(NotPossible, match="not empty"):
        backups.restore(tmp_path / "backup", url)
    assert rows()["person"] > 0


def test_what_is_no_backup_or_of_the_other_kind_is_said(elsewhere, kind, tmp_path):
    with elsewhere() as url:
        with pytest.raises(NotPossible, match="no backup"):
            backups.restore(tmp_path / "nothing", url)
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / DATABASE).write_bytes(b"PGDMP" if kind == "sqlite" else b"SQLite format 3\0")
        with pytest.raises(NotPossible, match="other kind"):
            backups.restore(tmp_path / "other", url)


def test_a_damaged_file_of_a_backup_is_named_when_it_is_restored(cast, elsewhere, tmp_path):
    with_files(cast)
    backups.back_up(tmp_path / "backup")
    name = next((tmp_path / "backup" / FILES).iterdir())
    name.write_bytes(b"x")
    with elsewhere() as url, pytest.raises(NotPossible, match=name.name):
        backups.restore(tmp_path / "backup", url)


def test_the_owner_alone_reads_a_backup(cast, tmp_path):
    with_files(cast)
    backups.back_up(tmp_path / "backup")
    for path in (tmp_path / "backup", *(tmp_path / "backup").rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_commands_say_what_they_did(cast, tmp_path):
    run = cast.sophie.app.test_cli_runner()
    there = str(tmp_path / new_key())
    assert "with 0 files" in run.invoke(args=["backup", there]).output
    again = run.invoke(args=["backup", there])
    assert again.exit_code == 1 and "there already" in again.output
    assert "are whole" in run.invoke(args=["verify"]).output
    refused = run.invoke(args=["restore", there])
    assert refused.exit_code == 1 and "not empty" in refused.output
