"""The gate, question by question: each condition has a test here or in the walk that notices when it is gone."""

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Blueprint, Flask, g, request
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

from practice.coverage import set_staff_status
from practice.db import WRITE, Audit, clock_at, db, new_key, now
from practice.drafts import Draft, draft_values
from practice.people import AccountStatus, Kind, Person
from practice.sessions import IDLE
from tests.conftest import HOME, Cast, fresh_context
from web import demo_mails, gate
from web.gate import ADMIN, ANYONE, LOGGED_IN, PATIENT, STAFF

NOBODY = None
PATIENTS, MEMBER, ADMINS = (Kind.PATIENT, False), (Kind.STAFF, False), (Kind.STAFF, True)
ROLES = [
    # who is declared, who comes, is let in
    (ANYONE, NOBODY, True),
    (ANYONE, PATIENTS, True),
    (LOGGED_IN, NOBODY, False),
    (LOGGED_IN, PATIENTS, True),
    (LOGGED_IN, MEMBER, True),
    (PATIENT, NOBODY, False),
    (PATIENT, PATIENTS, True),
    (PATIENT, MEMBER, False),
    (PATIENT, ADMINS, False),
    (STAFF, NOBODY, False),
    (STAFF, PATIENTS, False),
    (STAFF, MEMBER, True),
    (STAFF, ADMINS, True),
    (ADMIN, NOBODY, False),
    (ADMIN, PATIENTS, False),
    (ADMIN, (Kind.PATIENT, True), False),
    (ADMIN, MEMBER, False),
    (ADMIN, ADMINS, True),
    (None, NOBODY, False),
    (None, PATIENTS, False),
    (None, ADMINS, False),
]


@pytest.mark.parametrize(("who", "comes", "is_let_in"), ROLES)
def test_s1_a58_role_against_declaration(who, comes, is_let_in):
    visitor: Any = SimpleNamespace(kind=comes[0], is_admin=comes[1]) if comes else None
    assert gate.is_allowed(who, visitor) is is_let_in


def test_a_view_declares_for_itself_before_its_blueprint_and_nothing_means_nobody():
    app = Flask("declares")
    side, bare = Blueprint("side", "side"), Blueprint("bare", "bare")
    gate.guard(side, STAFF)

    for blueprint in (side, bare):
        blueprint.add_url_rule(f"/{blueprint.name}/plain", "plain", lambda: "")
        blueprint.add_url_rule(f"/{blueprint.name}/own", "own", gate.allow(ADMIN)(lambda: ""))
        app.register_blueprint(blueprint)
    app.add_url_rule("/side", "side", lambda: "")  # no view of the blueprint, though of its name
    found = {name: gate.who_may(app, name) for name in ("side.plain", "side.own", "bare.plain", "bare.own", "side", "nowhere")}
    assert found == {
        "side.plain": STAFF,
        "side.own": ADMIN,
        "bare.plain": None,
        "bare.own": ADMIN,
        "side": None,
        "nowhere": None,
    }


SIDES = [("portal.home", PATIENT), ("staff.inbox", STAFF), ("admin.communicators", ADMIN)]
OUTSIDE = [("login.log_in", ANYONE), ("login.check_log_in", ANYONE), ("login.log_out", LOGGED_IN), ("login.stay", LOGGED_IN)]


@pytest.mark.parametrize(("endpoint", "who"), [*SIDES, *OUTSIDE, ("web.healthz", ANYONE), ("metrics.metrics", ANYONE)])
def test_each_side_is_for_its_own(one_app, endpoint, who):
    assert gate.who_may(one_app, endpoint) == who


@pytest.mark.parametrize("side", ["portal", "staff", "admin"])
def test_every_view_of_a_side_is_for_that_side_alone(one_app, side):
    views = [e for e in one_app.view_functions if e.startswith(f"{side}.")]
    assert {gate.who_may(one_app, e) for e in views} == {{"portal": PATIENT, "staff": STAFF, "admin": ADMIN}[side]}


def test_the_demos_mails_are_for_whoever_tries_the_demo():
    assert getattr(demo_mails.mails, "allowed", None) == ANYONE


def test_s1_a_view_that_declares_nothing_is_answered_to_nobody(cast, monkeypatch):
    monkeypatch.delattr(cast.app.blueprints["portal"], "allowed")
    assert cast.sophie.get("/").status_code == 403
    assert cast.ada.get("/").status_code == 403
    assert cast.anonymous.get("/").status_code == 303


def test_whoever_may_not_is_refused_and_leaves_a_row(cast):
    assert cast.sophie.get("/admin/communicators").status_code == 403
    db.session.close()
    row = db.session.execute(sa.select(Audit.actor_id, Audit.about).where(Audit.did == "denied")).one()
    assert tuple(row) == (cast.sophie.id, "admin.communicators")


# ---- Origin and token ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("site", "origin", "is_ours"),
    [
        (None, None, True),
        ("same-origin", None, True),
        ("none", None, True),
        ("same-site", None, False),
        ("cross-site", None, False),
        ("", None, False),
        ("cross-site", HOME, False),
        ("same-origin", "https://evil.test", True),
        (None, HOME, True),
        (None, HOME.replace("https", "http"), False),
        (None, f"{HOME}:8443", False),
        (None, "https://evil.test", False),
        (None, "null", False),
        (None, "", False),
    ],
)
def test_a17_where_a_request_comes_from(one_app, site, origin, is_ours):
    headers = {name: value for name, value in (("Sec-Fetch-Site", site), ("Origin", origin)) if value is not None}
    with one_app.test_request_context(base_url=HOME, headers=headers):
        assert gate.is_same_origin() is is_ours


@contextlib.contextmanager
def request_to(app: Flask, endpoint: str, method: str = "GET", **headers: str) -> Iterator[None]:
    """A request as the gate meets it, of a method that the address need not take."""
    with fresh_context(app), app.test_request_context("/", base_url=HOME, method=method, headers=headers):
        request.url_rule = Rule("/", endpoint=endpoint)
        yield


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a17_s3_no_unsafe_method_passes_from_another_site_or_without_a_token(app, method):
    with request_to(app, "login.check_log_in", method, Origin="null"), pytest.raises(gate.CrossSite):
        gate.pass_gate()
    with request_to(app, "login.check_log_in", method), pytest.raises(CSRFError):
        gate.pass_gate()


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_looking_needs_neither(app, method):
    with request_to(app, "login.log_in", method, Origin="null"):
        gate.pass_gate()


def test_a_link_from_another_site_opens_a_page(cast):
    assert cast.sophie.get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


# ---- Session -------------------------------------------------------------------------------------


@pytest.mark.parametrize("endpoint", ["static", "bootstrap.static", "web.healthz", "metrics.metrics"])
def test_files_and_the_health_page_need_no_session_and_read_none(app, endpoint):
    with request_to(app, endpoint):
        gate.pass_gate()
        assert "visitor" not in g


def test_an_expired_visitor_is_nobody_for_flask_login(app):
    for visitor, is_somebody in (
        (None, False),
        (SimpleNamespace(is_expired=True, is_authenticated=True), False),
        (SimpleNamespace(is_expired=False, is_authenticated=True), True),
    ):
        with request_to(app, "login.log_in"):
            g.visitor = visitor
            assert current_user.is_authenticated is is_somebody


@pytest.mark.parametrize("address", ["/messages/x%00x", "/?after=%00", "/messages?before=a%00b"])
def test_a_nul_in_an_address_is_not_there(cast, address):
    assert cast.sophie.get(address).status_code == 404
    assert cast.sophie.get(address.replace("%00", "")).status_code in (200, 404)
    assert cast.sophie.get("/?after=x").status_code == 200


def test_an_account_that_is_not_active_is_nobody_even_with_a_living_session(cast):
    with db.engines[WRITE].begin() as connection:
        connection.execute(sa.update(Person).where(Person.id == cast.sophie.id).values(status=AccountStatus.LOCKED))
    assert cast.sophie.get("/").status_code == 303
    assert cast.jihae.get("/").status_code == 200


def test_a_disabled_account_stays_out_when_it_is_enabled_again(cast):
    for status in (AccountStatus.DISABLED, AccountStatus.ACTIVE):
        set_staff_status(cast.sam.key, status, by=cast.ada.actor)
    assert cast.sam.get("/staff/").status_code == 303
    assert cast.fay.get("/staff/").status_code == 200


# ---- A form that comes after the session's end ---------------------------------------------------


def drafts() -> int:
    db.session.close()
    return db.session.scalar(sa.select(sa.func.count()).select_from(Draft)) or 0


def written(cast: Cast, **changed: str) -> dict[str, str]:
    return {"key": new_key(), "to": "", "title": "A title", "body": "Words of mine"} | changed


def late(cast: Cast, address: str, form: dict[str, str], method: str = "POST") -> Any:
    """What Sophie is answered when she sends this five minutes after her session has ended."""
    token = cast.sophie.token()
    with clock_at(now() + IDLE["patient"] + timedelta(minutes=5)):
        if method == "GET":
            return cast.sophie.open("GET", address, data=form)
        return cast.sophie.post(address, form, token=token)


def test_what_was_written_is_kept_and_nothing_that_is_secret(cast):
    form = written(cast, password="secret words")
    assert late(cast, "/messages/new", form).status_code == 401
    kept = draft_values(cast.sophie.id, form["key"])
    assert kept == {name: [value] for name, value in form.items() if name != "password"}


def test_a_get_with_a_form_keeps_nothing(cast):
    assert late(cast, "/messages/new", written(cast), "GET").status_code == 303
    assert drafts() == 0


@pytest.mark.parametrize("address", ["/stay", "/logout"])
def test_the_forms_around_the_log_in_are_not_kept(cast, address):
    assert late(cast, address, written(cast)).status_code == 401
    assert drafts() == 0


@pytest.mark.parametrize("address", ["/staff/messages/new", "/admin/communicators/new"])
def test_a_form_that_was_never_this_persons_is_not_kept(cast, address):
    late(cast, address, written(cast))
    assert drafts() == 0


@pytest.mark.parametrize("key", ["", "x" * 23])
def test_a_form_without_a_key_is_shown_to_copy(cast, key):
    answer = late(cast, "/messages/new", written(cast, key=key))
    assert answer.status_code == 401 and "Words of mine" in answer.text
    assert drafts() == 0


@pytest.mark.parametrize("key", ["x", "x" * 22])
def test_the_shortest_and_the_longest_key_are_kept(cast, key):
    assert late(cast, "/messages/new", written(cast, key=key)).status_code == 401
    assert drafts() == 1


def test_a_form_in_which_nothing_is_written_is_not_kept(cast):
    assert late(cast, "/messages/new", {"key": new_key(), "title": " ", "body": "\n"}).status_code == 401
    assert drafts() == 0


def test_a_form_after_the_log_out_is_not_kept(cast):
    token = cast.sophie.token()
    stolen = dict(cast.sophie.cookies)
    assert cast.sophie.post("/logout", token=token).status_code == 303
    cast.sophie.cookies = stolen
    assert cast.sophie.post("/messages/new", written(cast), token=token).status_code == 401
    assert drafts() == 0


def test_the_form_of_nobody_is_answered_with_the_log_in(cast):
    assert cast.anonymous.post("/messages/new", written(cast)).status_code == 401
    assert drafts() == 0


@pytest.mark.parametrize("field", ["code", "csrf_token", "password", "password_again", "sealed"])
def test_no_secret_field_is_kept(cast, field):
    form = written(cast) | ({} if field == "csrf_token" else {field: "secret words"})
    late(cast, "/messages/new", form)
    assert field not in draft_values(cast.sophie.id, form["key"])


# ---- Files, and from where -----------------------------------------------------------------------


def test_a_larger_file_is_taken_by_the_view_that_says_so_and_from_who_may_send_it(cast):
    view, usual = cast.app.view_functions["admin.communicators"], cast.app.config["MAX_CONTENT_LENGTH"]

    def most(who: Any, endpoint: str = "admin.communicators") -> int | None:
        """How many bytes the gate lets in."""
        headers = who._headers(False)
        with fresh_context(cast.app), cast.app.test_request_context("/", base_url=HOME, headers=headers):
            request.url_rule = Rule("/", endpoint=endpoint)
            with contextlib.suppress(HTTPException, gate.LogInFirst):
                gate.pass_gate()
            return request.max_content_length

    assert most(cast.ada) == usual
    gate.upload(usual * 5)(view)
    try:
        assert most(cast.ada) == usual * 5
        assert [most(who) for who in (cast.sam, cast.sophie, cast.anonymous)] == [usual] * 3
        assert most(cast.ada, "admin.unrouted") == usual
    finally:
        del view.upload_max


@pytest.mark.parametrize(
    ("proxy", "peer", "said", "address"),
    [
        ("", "203.0.113.7", None, "203.0.113.7"),
        ("", "203.0.113.7", "198.51.100.1", "203.0.113.7"),
        ("10.0.0.1", "203.0.113.7", "198.51.100.1", "203.0.113.7"),
        ("10.0.0.1", "10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.1", "192.0.2.9, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.1", "10.0.0.1", "<b>", None),
        ("10.0.0.1", "10.0.0.1", "0" * 60, "0" * 45),
        ("10.0.0.1", "10.0.0.1", None, None),
        ("", "", "198.51.100.1", None),
        (None, None, "198.51.100.1", None),
        ("", None, "198.51.100.1", None),
    ],
)
def test_a33_the_address_is_the_peers_or_what_the_proxy_and_nobody_else_says(one_app, monkeypatch, proxy, peer, said, address):
    monkeypatch.setitem(one_app.config, "PROXY_ADDRESS", proxy)
    headers = {"X-Forwarded-For": said} if said is not None else {}
    with one_app.test_request_context(headers=headers, environ_overrides={"REMOTE_ADDR": peer}):
        assert gate.client_address() == address
