"""Who may do what: every route with every role, method and owner, walked from the URL map and the views' declarations."""

import re
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from practice.db import Base, db
from tests.conftest import Cast, Player, test_settings
from tests.examples import EXAMPLES
from web.gate import ADMIN, ANYONE, LOGGED_IN, PATIENT, STAFF, who_may
from wsgi import create_app

ROLES = {
    "anonymous": (ANYONE,),
    "hugo": (ANYONE, LOGGED_IN, PATIENT),
    "dan": (ANYONE, LOGGED_IN, STAFF),
    "ada": (ANYONE, LOGGED_IN, STAFF, ADMIN),
}
SMALL = {"audit", "login_session", "read_log", "box_filter", "draft"}  # what a refused or reading request may leave
NOWHERE = "x" * 22


def routes() -> list[tuple[str, str]]:
    """Every endpoint with each of its methods; no database is needed to know them."""
    app = create_app(test_settings("sqlite://"))
    return [
        (rule.endpoint, method)
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        if not rule.endpoint.endswith("static")
    ]


ROUTES = routes()


def url(app: Flask, endpoint: str, **values: Any) -> str:
    with app.test_request_context(base_url="https://localhost"):
        return app.url_for(endpoint, **values)


def example(cast: Cast, endpoint: str) -> dict[str, Any]:
    assert endpoint in EXAMPLES, (
        f"{endpoint} has no example data: add it to tests/examples/{endpoint.split('.', maxsplit=1)[0]}.py"
    )
    made = EXAMPLES[endpoint](cast) or {}
    db.session.close()
    return made


def domain() -> dict[str, int]:
    db.session.close()
    tables = [t for t in Base.metadata.sorted_tables if t.name not in SMALL]
    return {t.name: db.session.scalar(sa.select(sa.func.count()).select_from(t)) or 0 for t in tables}


def masked(text: str) -> str:
    """A page without what differs at every request: tokens, keys, times left."""
    text = re.sub(r'value="([\w.\-]{40,}|[\w\-]{22})"', "", text)
    return re.sub(r'data-(ends|now)="\d+"|Log-off at [\d:]+', "", text)


@pytest.mark.parametrize("endpoint", sorted({endpoint for endpoint, _ in ROUTES}))
def test_s1_every_view_declares_who_may(one_app, endpoint):
    assert who_may(one_app, endpoint) in (ANYONE, LOGGED_IN, PATIENT, STAFF, ADMIN), (
        f"{endpoint}: declare it with allow() or guard()"
    )


@pytest.mark.parametrize(("endpoint", "method"), ROUTES)
@pytest.mark.parametrize("role", ROLES)
def test_a3_s1_a_wrong_role_is_refused_and_changes_nothing(cast, endpoint, method, role):
    who = who_may(cast.app, endpoint)
    if who in ROLES[role]:
        return
    made = example(cast, endpoint)
    address, player, before = url(cast.app, endpoint, **made.get("own", {})), getattr(cast, role), domain()
    answer = player.get(address) if method == "GET" else player.post(address, made.get("data"))
    if role == "anonymous":
        assert answer.status_code == (303 if method == "GET" else 401)
    else:
        assert answer.status_code == 403
    assert domain() == before


@pytest.mark.parametrize(("endpoint", "method"), ROUTES)
def test_a1_a2_s6_an_object_that_is_anothers_or_not_there_is_one_and_the_same_404(cast, endpoint, method):
    made = example(cast, endpoint)
    for player, values in made.get("others", []):
        before = domain()
        answers = []
        for kwargs in (values, {name: NOWHERE for name in values}, {name: "9" * 30 for name in values}):
            address = url(cast.app, endpoint, **kwargs)
            found = player.get(address) if method == "GET" else player.post(address, made.get("data"))
            assert found.status_code == 404, f"{player.name} got {found.status} at {endpoint}"
            answers.append(masked(found.text).replace(next(iter(kwargs.values())), "KEY"))
        assert answers[0] == answers[1] == answers[2]
        assert domain() == before


@pytest.mark.parametrize(("endpoint", "method"), ROUTES)
def test_the_owner_is_answered(cast, endpoint, method):
    made = example(cast, endpoint)
    player: Player = made.get("player") or _somebody(cast, who_may(cast.app, endpoint))
    address = url(cast.app, endpoint, **made.get("own", {}))
    answer = player.get(address) if method == "GET" else player.post(address, made.get("data"))
    assert answer.status_code in (200, 303, 422, made.get("expected")), f"{endpoint}: {answer.status}"


@pytest.mark.parametrize("endpoint", sorted({endpoint for endpoint, method in ROUTES if method == "GET"}))
def test_a19_s3_looking_changes_nothing(cast, endpoint):
    made = example(cast, endpoint)
    player: Player = made.get("player") or _somebody(cast, who_may(cast.app, endpoint))
    address, before = url(cast.app, endpoint, **made.get("own", {})), domain()
    for method in ("GET", "HEAD", "OPTIONS"):
        player.open(method, address)
    assert domain() == before


@pytest.mark.parametrize(("endpoint", "method"), ROUTES)
def test_a19_an_unknown_method_is_refused(cast, endpoint, method):
    made = example(cast, endpoint)
    player: Player = made.get("player") or _somebody(cast, who_may(cast.app, endpoint))
    address = url(cast.app, endpoint, **made.get("own", {}))
    answer = player.open("PUT", address, data={"csrf_token": player.token()})
    assert answer.status_code == 405


@pytest.mark.parametrize(("endpoint", "method"), [r for r in ROUTES if r[1] == "POST"])
def test_a17_s3_a_form_without_a_token_or_from_another_site_changes_nothing(cast, endpoint, method):
    made = example(cast, endpoint)
    player: Player = made.get("player") or _somebody(cast, who_may(cast.app, endpoint))
    address, before = url(cast.app, endpoint, **made.get("own", {})), domain()
    assert player.post(address, made.get("data"), token="").status_code == 400
    assert player.post(address, made.get("data"), token=cast.jihae.token()).status_code == 400
    assert player.post(address, made.get("data"), headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert player.post(address, made.get("data"), headers={"Origin": "null"}).status_code == 403
    assert domain() == before


def _somebody(cast: Cast, who: str | None) -> Player:
    return {ANYONE: cast.anonymous, LOGGED_IN: cast.sophie, PATIENT: cast.sophie, STAFF: cast.fay, ADMIN: cast.ada}[str(who)]
