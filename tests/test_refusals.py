"""Nothing is lost in silence: what is refused is said, and what was written comes back."""

from datetime import timedelta

import psycopg
import pytest
import sqlalchemy as sa

from practice.db import WRITE, clock_at, db, engine_options, new_key, now
from practice.drafts import Draft
from practice.sessions import IDLE, LoginSession
from tests.conftest import Cast, Player, test_settings
from tests.test_login import give_password, log_in
from tests.test_walk import domain
from wsgi import create_app

WORDS = "Words I do not want to type twice"


def message(cast: Cast, **changed: str) -> dict[str, str]:
    return {"key": new_key(), "to": cast.communicator("Clinicians"), "title": "A title", "body": WORDS} | changed


def test_a18_a_form_after_the_idle_end_waits_as_that_persons_draft_and_opens_after_log_in(cast):
    give_password(cast.sophie)
    form, before = message(cast), domain()
    token = cast.sophie.token()
    with clock_at(now() + IDLE["patient"] + timedelta(minutes=5)):
        answer = cast.sophie.post("/messages/new", form, token=token)
        assert answer.status_code == 401
        assert "kept as a draft" in answer.text and WORDS not in answer.text
        assert domain() == before
        stranger, landed = log_in(cast, cast.jihae)
        assert "draft" not in landed.location
        browser, landed = log_in(cast, cast.sophie)
        assert landed.location == f"/messages/new?draft={form['key']}"
        page = browser.get(landed.location)
        assert WORDS in page.text and f'value="{form["key"]}"' in page.text
        assert WORDS not in stranger.get(f"/messages/new?draft={form['key']}").text
        sent = browser.post("/messages/new", form)
        assert sent.status_code == 303
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Draft)) == 0


def test_with_htmx_too_and_for_a_reply(cast):
    key = cast.send(cast.sophie)
    give_password(cast.sophie)
    form, token = {"key": new_key(), "body": WORDS}, cast.sophie.token()
    with clock_at(now() + IDLE["patient"] + timedelta(minutes=5)):
        answer = cast.sophie.post(f"/messages/{key}/replies", form, token=token, htmx=True)
        assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/login?kept=1")
        browser, landed = log_in(cast, cast.sophie)
        assert landed.location == f"/messages/{key}?draft={form['key']}"
        assert WORDS in browser.get(landed.location).text


def test_a_staff_reply_after_the_idle_end_waits_too(cast):
    key = cast.send(cast.sophie, "Appointment")
    give_password(cast.sam)
    form, token = {"key": new_key(), "body": WORDS, "seen": "1", "version": "1"}, cast.sam.token()
    with clock_at(now() + IDLE["staff"] + timedelta(minutes=5)):
        assert cast.sam.post(f"/staff/messages/{key}/replies", form, token=token).status_code == 401
        browser, landed = log_in(cast, cast.sam)
        assert landed.location == f"/staff/messages/{key}/reply?draft={form['key']}"
        assert WORDS in browser.get(landed.location).text


def test_a18_a_form_of_a_session_ended_by_force_is_shown_to_copy_and_stored_nowhere(cast):
    form, token = message(cast), cast.sophie.token()
    with db.engines[WRITE].begin() as connection:
        connection.execute(sa.update(LoginSession).values(ended_at=now()))
    answer = cast.sophie.post("/messages/new", form, token=token)
    assert answer.status_code == 401 and WORDS in answer.text
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Draft)) == 0
    fragment = cast.sophie.post("/messages/new", form, token=token, htmx=True)
    assert fragment.status_code == 401 and WORDS in fragment.text
    assert fragment.headers["HX-Retarget"] == "#alerts"


def test_an_expired_form_with_a_wrong_token_saves_no_draft(cast):
    with clock_at(now() + IDLE["patient"] + timedelta(minutes=5)):
        assert cast.sophie.post("/messages/new", message(cast), token="").status_code == 400
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Draft)) == 0


def test_an_expired_patient_saves_no_draft_of_a_staff_form(cast):
    token = cast.sophie.token()
    with clock_at(now() + IDLE["patient"] + timedelta(minutes=5)):
        cast.sophie.post("/staff/messages/new", message(cast), token=token)
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Draft)) == 0


@pytest.mark.parametrize("htmx", [False, True])
def test_an_old_token_gives_the_words_back_with_a_fresh_one(cast, htmx):
    answer = cast.sophie.post("/messages/new", message(cast), token="old", htmx=htmx)
    assert answer.status_code == 400 and WORDS in answer.text
    assert "Send again" in answer.text and "csrf_token" in answer.text


@pytest.mark.parametrize("htmx", [False, True])
def test_a34_a_busy_database_is_said_with_the_words_and_can_be_tried_again(cast, htmx, monkeypatch):
    def busy(*_: object, **__: object) -> None:
        raise sa.exc.OperationalError("INSERT", {}, Exception("database is locked"))

    monkeypatch.setattr("practice.conversations.transaction", busy)
    answer = cast.sophie.post("/messages/new", message(cast), htmx=htmx)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert WORDS in answer.text and "Send again" in answer.text


def test_f11_a_page_needs_no_connection_to_note_that_somebody_was_seen(cast, monkeypatch):
    def used_up() -> None:
        raise sa.exc.TimeoutError("QueuePool limit reached")

    with clock_at(now() + timedelta(minutes=2)):
        monkeypatch.setattr(db.engines[WRITE], "connect", used_up)
        assert cast.sophie.get("/messages").status_code == 200
        answer = cast.sophie.post("/messages/new", message(cast))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert WORDS in answer.text


def test_f11_who_waits_for_a_connection_at_each_step_is_answered_within_ten_seconds():
    """For the session, for the last seen, to write, and for the page that says it could not be."""
    assert 4 * engine_options("postgresql+psycopg://", read_only=False)["pool_timeout"] < 10


@pytest.mark.parametrize(
    ("kind", "why", "status"),
    [
        (sa.exc.InternalError, psycopg.errors.ReadOnlySqlTransaction(), 503),
        (sa.exc.ProgrammingError, psycopg.errors.InsufficientPrivilege(), 503),
        (sa.exc.ProgrammingError, psycopg.errors.UndefinedTable(), 500),
    ],
)
def test_f9_a_database_that_lets_nobody_write_is_no_mistake_of_the_page(cast, kind, why, status, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise kind("INSERT", {}, why)

    monkeypatch.setattr("practice.conversations.transaction", refuse)
    cast.sophie.may_fail = status == 500
    answer = cast.sophie.post("/messages/new", message(cast))
    assert answer.status_code == status and WORDS in answer.text


@pytest.mark.parametrize("htmx", [False, True])
def test_other_words_under_a_sent_key_are_shown_with_the_first_ones(cast, htmx):
    form = message(cast)
    assert cast.sophie.post("/messages/new", form).status_code == 303
    answer = cast.sophie.post("/messages/new", form | {"body": "Quite other words"}, htmx=htmx)
    assert answer.status_code == 409
    assert WORDS in answer.text and "Quite other words" in answer.text and "Send as new message" in answer.text


def test_a29_what_is_too_large_is_said(cast):
    answer = cast.sophie.post("/messages/new", message(cast, body="x" * 2_000_000))
    assert answer.status_code == 413


def test_a43_too_many_sends_are_said_with_the_words_and_when_to_go_on(cast):
    with clock_at(now()):
        for n in range(60):
            cast.send(cast.sophie, body=f"{n}")
        answer = cast.sophie.post("/messages/new", message(cast))
        assert answer.status_code == 429 and WORDS in answer.text
        assert int(answer.headers["Retry-After"]) > 0


def test_a_page_that_is_not_here_says_so_and_tells_nothing(cast):
    answer = cast.anonymous.get("/nowhere")
    assert answer.status_code == 404 and "This page is not here" in answer.text
    assert cast.sophie.post("/nowhere", {"body": WORDS}).status_code == 404


def test_a34_a53_a_wrong_host_is_refused(cast):
    answer = Player(cast.app).get("/login", headers={"Host": "evil.test"})
    assert answer.status_code == 400


def test_a34_an_error_of_ours_shows_no_trace_and_keeps_the_words(cast, monkeypatch):
    monkeypatch.setattr("practice.routing.route", lambda *_, **__: 1 / 0)
    cast.sophie.may_fail = True
    answer = cast.sophie.post("/messages/new", message(cast))
    assert answer.status_code == 500
    assert WORDS in answer.text and "Traceback" not in answer.text and "division" not in answer.text


def test_htmx_is_sent_to_the_log_in_page(cast):
    answer = cast.anonymous.get("/messages", htmx=True)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/login")


def test_a_send_takes_a_fixed_number_of_statements(cast, statements):
    cast.send(cast.jihae)  # the first one of all makes the audience itself
    token, form = cast.sophie.token(), message(cast)
    with statements() as found:
        assert cast.sophie.post("/messages/new", form, token=token).status_code == 303
    writes = [s for s in found if s.startswith(("INSERT", "UPDATE", "DELETE", "NOTIFY"))]
    is_sqlite = db.session.get_bind().dialect.name == "sqlite"
    assert (len(found) - len(writes), len(writes)) == ((11, 10) if is_sqlite else (12, 11)), found


@pytest.mark.parametrize("is_kept", [True, False])
def test_f22_a_form_opened_before_the_secret_key_changed_is_taken_where_the_old_one_is_named(cast, is_kept):
    form, token, old = message(cast), cast.sophie.token(), cast.sophie.app.config["SECRET_KEY"]
    changed = {"SECRET_KEY": "another key, as long as the first one was", "SECRET_KEY_FALLBACKS": [old] if is_kept else []}
    app = create_app(test_settings(cast.sophie.app.config["MIGRATION_DATABASE_URL"], **changed))
    with app.app_context():
        sophie = Player(app, id=cast.sophie.id, cookies=dict(cast.sophie.cookies))
        answer = sophie.post("/messages/new", form, token=token)
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()
    assert answer.status_code == (303 if is_kept else 400)
    assert is_kept or WORDS in answer.text
