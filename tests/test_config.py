"""Settings that are missing or unsafe stop the start with a sentence; the commands do what they say."""

import os
import re
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory
from flask_migrate import upgrade

from practice.db import COMMAND, db, transaction
from practice.people import Person
from practice.settings import Practice, the_practice
from tests.conftest import test_settings
from tests.house import ROOT
from web.check_config import KNOWN, MIGRATIONS, database_problems, old_sqlite, pending
from web.cli import NOT_PREPARED
from web.config import DEMO_DATABASE, Unsafe, read
from wsgi import create_app

SAFE = {"PORTAL_MODE": "production", "SECRET_KEY": "k" * 32, "PORTAL_URL": "https://portal.example"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"PORTAL_MODE": "debug"}, "PORTAL_MODE"),
        ({"SECRET_KEY": ""}, "SECRET_KEY"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY"),
        ({"PORTAL_URL": ""}, "PORTAL_URL"),
        ({"PORTAL_URL": "http://portal.example"}, "PORTAL_URL"),
    ],
)
def test_a46_what_is_unsafe_stops_the_start_with_a_sentence(tmp_path, changed, said):
    with pytest.raises(Unsafe, match=said):
        read(SAFE | {"DATA_DIR": str(tmp_path)} | changed)


def test_production_runs_with_what_it_needs(tmp_path):
    found = read(SAFE | {"DATA_DIR": str(tmp_path)})
    assert found["TRUSTED_HOSTS"] == ["portal.example"] and not found["IS_DEMO"]


def test_a_secret_may_stand_in_a_file(tmp_path):
    (tmp_path / "key").write_text("f" * 40 + "\n")
    env = SAFE | {"DATA_DIR": str(tmp_path), "SECRET_KEY": "", "SECRET_KEY_FILE": str(tmp_path / "key")}
    assert read(env)["SECRET_KEY"] == "f" * 40


def test_the_demo_keeps_a_key_of_its_own(tmp_path):
    env = {"PORTAL_MODE": "demo", "DATA_DIR": str(tmp_path)}
    assert read(env)["SECRET_KEY"] == read(env)["SECRET_KEY"]
    assert (tmp_path / "secret_key").stat().st_mode & 0o777 == 0o600


def test_sqlite_unless_another_database_is_named(tmp_path):
    safe = SAFE | {"DATA_DIR": str(tmp_path)}
    assert read(safe)["SQLALCHEMY_DATABASE_URI"].startswith("sqlite:///")
    assert read(safe | {"DATABASE_URL": "postgres://u@h/d"})["SQLALCHEMY_DATABASE_URI"] == "postgresql+psycopg://u@h/d"


def test_a46_production_refuses_the_demo_practice(cast):
    create_app(dict(cast.app.config))
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        tx.session.execute(sa.update(Practice).values(is_demo=True))
    with pytest.raises(Unsafe, match="demo practice"):
        create_app(dict(cast.app.config))


def test_create_admin_makes_somebody_who_can_log_in(app):
    words = [
        "--email",
        "a@b.example",
        "--last-name",
        "A",
        "--first-name",
        "B",
        "--login",
        "a",
        "--password",
        "fifteen letters and more",
    ]
    answer = app.test_cli_runner().invoke(args=["create-admin", *words])
    assert answer.exit_code == 0, answer.output
    assert db.session.scalars(sa.select(Person.email)).all() == ["a@b.example"]


def test_create_admin_refuses_a_short_password_with_a_sentence(app):
    words = ["--email", "a@b.example", "--last-name", "A", "--first-name", "B", "--login", "a", "--password", "short"]
    answer = app.test_cli_runner().invoke(args=["create-admin", *words])
    assert answer.exit_code == 1 and "15 to 256" in answer.output and "Traceback" not in answer.output


@pytest.mark.parametrize("password", ["123456789012345", "boss-boss-boss-boss", "I am the boss here", "B O - A D A M S"])
def test_a12_create_admin_refuses_a_password_that_is_easy_to_guess(app, password):
    words = ["--email", "boss@clinic.example", "--last-name", "ADAMS", "--first-name", "BO", "--login", "boss"]
    answer = app.test_cli_runner().invoke(args=["create-admin", *words, "--password", password])
    assert answer.exit_code == 1 and "password" in answer.output
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Person)) == 0


@pytest.mark.parametrize(
    "words", [["--email", "not an address", "--login", "b"], ["--email", "ada@test.example", "--login", "b"]]
)
def test_create_admin_says_what_is_wrong(cast, words):
    rest = ["--last-name", "A", "--first-name", "B", "--password", "fifteen letters and more"]
    answer = cast.app.test_cli_runner().invoke(args=["create-admin", *words, *rest])
    assert answer.exit_code == 1 and answer.output.splitlines()[-1].startswith("Error: ")


def test_demo_reset_is_for_the_demo_mode_alone(app):
    answer = app.test_cli_runner().invoke(args=["demo-reset"])
    assert answer.exit_code == 1 and "not the demo mode" in answer.output


def test_demo_reset_leaves_a_database_without_the_mark_alone(cast, monkeypatch):
    monkeypatch.setitem(cast.app.config, "IS_DEMO", True)
    answer = cast.app.test_cli_runner().invoke(args=["demo-reset"])
    assert answer.exit_code == 1 and "no demo mark" in answer.output
    assert the_practice().name == "Test Practice"


def test_verify_audit_says_that_it_holds(cast):
    assert "whole" in cast.app.test_cli_runner().invoke(args=["verify-audit"]).output


def test_a_database_that_does_not_answer_is_not_prepared_and_says_so_in_a_sentence():
    app = create_app(test_settings("postgresql://nobody@127.0.0.1:1/none"))
    with app.app_context():
        answer = app.test_cli_runner().invoke(args=["prepare"])
    assert answer.exit_code == 1 and answer.output.endswith(f"Error: {NOT_PREPARED}\n")


# ---- check-config ----------------------------------------------------------------------------------------


def checked(tmp_path, **env):
    """The command as it is called, in an environment of these settings alone."""
    here = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path / "data"), **env}
    flask = Path(sys.executable).parent / "flask"
    return subprocess.run(
        [flask, "--app", "wsgi", "check-config"], env=here, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_check_config_says_all_that_is_wrong_at_once_and_no_secret(tmp_path):
    wrong = {
        "SECRET_KEY": "geheim1",
        "METRICS_TOKEN": "geheim2",
        "DATABASE_URL": "mysql://portal:geheim3@db/portal",
        "SMTP_PASSWORD_FILE": str(tmp_path / "nowhere"),
        "SMTP_PORT": "587a",
        "TRUSTED_HOSTS": "portal.example/x",
        "PROXY_ADDRESS": "proxy",
        "PORT": "0",
        "PORTAL_ULR": "https://portal.example",
    }
    found = checked(tmp_path, **wrong)
    assert found.returncode == 1 and "Traceback" not in found.stderr and "geheim" not in found.stdout + found.stderr
    sentences = found.stderr.removeprefix("Error: ").splitlines()
    for name in [*(wrong.keys() - {"PORTAL_ULR"}), "PORTAL_URL"]:
        assert [one for one in sentences if name in one], (name, sentences)
    assert len(sentences) == 9 and "PORTAL_ULR is not read by the portal. Is PORTAL_URL meant?" in found.stdout


def test_check_config_warns_of_what_the_start_lets_pass(tmp_path):
    found = checked(tmp_path, PORTAL_URL="https://portal.example", SECRET_KEY="k" * 32)
    assert found.returncode == 0 and found.stdout.endswith("The settings are right.\n"), found.stderr
    for word in ("SMTP_HOST", "METRICS_TOKEN", "run flask --app wsgi prepare"):
        assert word in found.stdout
    assert ("PostgreSQL" in found.stdout) == (sqlite3.sqlite_version_info < (3, 51, 3))
    assert not (tmp_path / "data" / "portal.sqlite3").exists(), "a check makes no database"


def test_check_config_names_a_database_that_does_not_answer_without_its_password(tmp_path):
    url = "postgresql://portal:geheim@127.0.0.1:1/portal"
    found = checked(tmp_path, PORTAL_URL="https://portal.example", SECRET_KEY="k" * 32, DATABASE_URL=url)
    assert found.returncode == 1 and "DATABASE_URL" in found.stderr and "geheim" not in found.stdout + found.stderr


def test_a_database_that_is_up_to_date_and_real_passes_the_check_and_the_demo_does_not(cast):
    settings = cast.app.config
    assert list(database_problems(settings)) == [] == list(pending(settings))
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        tx.session.execute(sa.update(Practice).values(is_demo=True))
    assert list(database_problems(settings)) == [DEMO_DATABASE]
    assert list(database_problems({**settings, "IS_DEMO": True})) == []


def test_the_check_knows_the_settings_that_the_readme_documents():
    table = (ROOT / "README.md").read_text().partition("## Settings")[2]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == {n for n in KNOWN if not n.endswith("_FILE")}


@pytest.mark.parametrize("version", [(3, 40, 1), (3, 51, 2), (3, 51, 3), (4, 0, 0)])
def test_f31_an_old_sqlite_is_named_together_with_postgresql(monkeypatch, version):
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    said = list(old_sqlite({"SQLALCHEMY_DATABASE_URI": "sqlite:///x"}))
    assert bool(said) == (version < (3, 51, 3)) and all("PostgreSQL" in one for one in said)
    assert list(old_sqlite({"SQLALCHEMY_DATABASE_URI": "postgresql+psycopg://x"})) == []


@pytest.mark.parametrize("setting", ["DATA_DIR", "FILES_DIR"])
def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path, setting):
    (tmp_path / "taken").write_text("")
    with pytest.raises(Unsafe, match=setting):
        read(SAFE | {"DATA_DIR": str(tmp_path), setting: str(tmp_path / "taken")})


def test_f19_a_migration_on_postgresql_does_not_wait_long_for_a_lock(cast):
    if db.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one lock, and no migration waits behind a reader")
    engine = sa.create_engine(cast.app.config["MIGRATION_DATABASE_URL"], poolclass=sa.NullPool)
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        tx.session.execute(sa.text("DELETE FROM alembic_version"))
    try:
        with engine.connect() as other:
            other.execute(sa.text("LOCK TABLE alembic_version"))
            started = time.monotonic()
            with pytest.raises(sa.exc.OperationalError):
                upgrade(str(MIGRATIONS))
            assert 2 < time.monotonic() - started < 8
    finally:
        with transaction(by=COMMAND, did="set_up_tests") as tx:
            head = {"head": ScriptDirectory(str(MIGRATIONS)).get_current_head()}
            tx.session.execute(sa.text("INSERT INTO alembic_version VALUES (:head)"), head)
