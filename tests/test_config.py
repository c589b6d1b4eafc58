"""Settings that are missing or unsafe stop the start with a sentence; the commands do what they say."""

import pytest
import sqlalchemy as sa

from practice.db import COMMAND, db, transaction
from practice.people import Person
from practice.settings import Practice, the_practice
from web.config import Unsafe, database_url, read
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
def test_what_is_unsafe_stops_the_start_with_a_sentence(tmp_path, changed, said):
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
    assert database_url({}, tmp_path).startswith("sqlite:///")
    assert database_url({"DATABASE_URL": "postgres://u@h/d"}, tmp_path) == "postgresql+psycopg://u@h/d"


def test_production_refuses_the_demo_practice(cast):
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
