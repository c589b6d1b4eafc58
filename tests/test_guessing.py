"""Guessing a password: counted exactly for an account, an address and both, and alike for names that nobody has."""

import contextlib
import subprocess
import sys
import textwrap
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from practice import throttle
from practice.db import SYSTEM, WRITE, Audit, clock_at, db, now, transaction
from practice.errors import TooMany
from practice.jobs import JOBS
from practice.reset import link_for
from practice.throttle import Guessed, Throttle, tried
from tests.conftest import Cast
from tests.test_invitation import masked
from tests.test_login import PASSWORD, give_password

SOPHIE, HERE, ELSEWHERE = "sophie@test.example", "192.0.2.7", "198.51.100.9"


pytestmark = pytest.mark.usefixtures("quick_hashes")


def log_in(cast: Cast, email: str = SOPHIE, password: str = "wrong", *, at: str = HERE, **headers: str) -> Any:
    """What somebody is answered who tries from an address."""
    token = cast.anonymous.token() or cast.anonymous._first_token()
    data = {"csrf_token": token, "email": email, "password": password}
    headers = {"Referer": "https://localhost/", "Cookie": cast.anonymous._headers(False)["Cookie"]} | headers
    with_address = {"REMOTE_ADDR": at}
    return cast.anonymous._open("POST", "/login", False, headers, data=data, environ_overrides=with_address)


def fails(times: int, email: str = SOPHIE, *, at: str | None = HERE, what: Guessed = Guessed.PASSWORD) -> int:
    """Wrong tries; answers how many were looked at."""
    looked: list[None] = []
    for _ in range(times):
        with contextlib.suppress(TooMany):
            tried(what, email, lambda: looked.append(None), address=at)
    return len(looked)


def of_many(times: int, email: str = SOPHIE) -> int:
    """Wrong tries, each from another address."""
    return sum(fails(1, email, at=f"203.0.{n // 200}.{n % 200}") for n in range(times))


def test_A10_the_sixth_failure_of_an_account_from_an_address_is_refused_for_a_quarter_of_an_hour(cast: Cast) -> None:
    give_password(cast.sophie)
    start = now()
    for n in range(5):
        with clock_at(start + timedelta(minutes=n)):
            assert log_in(cast, f" {SOPHIE.upper()}  " if n % 2 else SOPHIE).status_code == 422
    with clock_at(start + timedelta(minutes=5)):
        for forged in ({}, {"X-Forwarded-For": "203.0.113.1"}, {"X-Real-IP": "203.0.113.2"}):
            answer = log_in(cast, password=PASSWORD, **forged)
            assert (answer.status_code, answer.headers["Retry-After"]) == (429, "600"), "the right one too"
        assert "Wait 10 minutes" in answer.text and PASSWORD not in answer.text and SOPHIE in answer.text
        assert log_in(cast, "jihae@test.example").status_code == 422, "another account"
        assert log_in(cast, at=ELSEWHERE).status_code == 422, "another address"
    with clock_at(start + timedelta(minutes=15, seconds=1)):  # the first failure does not count any more, the others do
        assert [log_in(cast).status_code for _ in range(2)] == [422, 429]
    with clock_at(start + timedelta(minutes=40)):
        assert log_in(cast, password=PASSWORD).status_code == 303
        assert [log_in(cast).status_code for _ in range(6)] == [422] * 5 + [429], "being right began a new row"


def test_A10_an_address_fails_twenty_times_a_minute_whatever_the_accounts(cast: Cast) -> None:
    give_password(cast.sophie)
    start = now()
    with clock_at(start):
        for _ in range(3):
            assert log_in(cast, password=PASSWORD).status_code == 303, "who is right is not counted"
        assert sum(fails(1, f"somebody{n}@test.example") for n in range(25)) == 20
        answer = log_in(cast, password=PASSWORD)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
        assert log_in(cast, password=PASSWORD, at=ELSEWHERE).status_code == 303
        assert fails(6, at=None) == 5, "from nowhere: the account alone"
        inside = [fails(1, f"else{n}@test.example", at=f"2001:db8:0:1::{n}") for n in range(22)]
        assert sum(inside) == 20 and fails(1, "else@test.example", at="2001:db8:0:2::1") == 1, "one customer has a /64"
    with clock_at(start + timedelta(seconds=61)):
        assert log_in(cast, password=PASSWORD).status_code == 303


def test_A10_who_is_right_has_no_failures_left_and_the_address_keeps_its_own(cast: Cast) -> None:
    give_password(cast.sophie)
    with clock_at(now()):
        assert fails(4) == 4 and log_in(cast, password=PASSWORD).status_code == 303
        assert fails(6) == 5, "of the account none is left"
        assert sum(fails(1, f"somebody{n}@test.example") for n in range(20)) == 11, "of the address nine are"


@pytest.fixture
def closes_after_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred would say the same, slowly."""
    assert throttle.ACCOUNT.most == 100
    monkeypatch.setattr(throttle, "ACCOUNT", replace(throttle.ACCOUNT, most=10))


def test_A10_an_account_is_closed_after_so_many_in_a_row_but_not_to_its_owner(cast: Cast, closes_after_ten: None) -> None:
    give_password(cast.sophie)
    give_password(cast.jihae)
    start = now()
    assert log_in(cast, password=PASSWORD, at=HERE).status_code == 303
    assert of_many(9) == 9
    assert log_in(cast, password=PASSWORD, at=HERE).status_code == 303, "the row begins anew"
    assert of_many(12) == 10
    answer = log_in(cast, password=PASSWORD, at=ELSEWHERE)
    assert answer.status_code == 429 and "closed for now" in answer.text and "Choose a new one by e-mail" in answer.text
    assert log_in(cast, "jihae@test.example", PASSWORD, at=ELSEWHERE).status_code == 303
    with clock_at(start + timedelta(days=89)):
        assert of_many(12) == 10
        assert log_in(cast, at=HERE).status_code == 422, "an address from which it was logged in is still looked at"
        assert fails(6, at=HERE) == 4, "and counted like any other"
    with clock_at(start + timedelta(days=91)):
        assert log_in(cast, at=HERE).status_code == 429, "it was too long ago"
        answer = cast.anonymous.post(f"/reset/{link_for(cast.sophie.id)}", {"password": PASSWORD, "password_again": PASSWORD})
        assert answer.status_code == 303
        assert log_in(cast, password=PASSWORD, at=ELSEWHERE).status_code == 303, "by its mail the owner opens it again"
    with clock_at(start + timedelta(days=122)):
        assert of_many(11) == 10
    with clock_at(start + timedelta(days=153)):
        assert log_in(cast, password=PASSWORD, at=ELSEWHERE).status_code == 303, "nobody is shut out for ever"


def test_A11_a_name_that_nobody_has_is_refused_alike(cast: Cast, statements: Any, closes_after_ten: None) -> None:
    give_password(cast.sophie)
    said = []
    for email in (SOPHIE, "nobody@test.example"):
        with clock_at(now().replace(microsecond=0)):
            answers = [log_in(cast, email, at=email) for _ in range(6)]
            of_many(5, email)
            answers.append(log_in(cast, email, at=ELSEWHERE))
        said.append(
            [
                (a.status_code, [h for h in a.headers if h[0] != "Set-Cookie"], masked(a.text).replace(email, "E-MAIL"))
                for a in answers
            ]
        )
    for one, other in zip(*said, strict=True):
        same = {"Content-Length", "Retry-After"}  # the name stands in the page; the clock went on
        assert (one[0], one[2]) == (other[0], other[2])
        assert [h for h in one[1] if h[0] not in same] == [h for h in other[1] if h[0] not in same]
    assert [status for status, *_ in said[0]] == [422] * 5 + [429] * 2
    costs = []
    for email in ("jihae@test.example", "no.one@test.example"):
        with statements() as found:
            log_in(cast, email, at="203.0.113.80")
        costs.append(found)
    assert costs[0] == costs[1] and len(costs[0]) > 5


def test_A15_the_present_password_is_not_guessed_from_inside_either(cast: Cast) -> None:
    give_password(cast.sophie)
    new = dict.fromkeys(("password", "password_again"), "three plums on a roof")
    answers = [cast.sophie.post("/account/password", {"present": "wrong"} | new).status_code for _ in range(6)]
    assert answers == [403] * 5 + [429]
    answer = cast.sophie.post("/account/password", {"present": PASSWORD} | new)
    assert answer.status_code == 429 and int(answer.headers["Retry-After"]) > 0
    assert cast.sophie.get("/account/password").status_code == 200, "the session goes on"


def test_what_is_kept_names_nobody_and_goes_when_it_counts_no_more(cast: Cast) -> None:
    give_password(cast.sophie)
    log_in(cast, password=PASSWORD)
    fails(3, at=ELSEWHERE)
    fails(5, at="203.0.113.4")
    db.session.close()
    with db.engines[WRITE].connect() as connection:
        kept = str(connection.execute(sa.select(Throttle.__table__)).all())
    assert kept.count("'[") == 6 and not [word for word in ("sophie", "192.0", "198.51", "203.0") if word in kept]
    row = db.session.scalars(sa.select(Audit).where(Audit.did == "reach_limit")).one()
    assert (row.about, row.address, row.actor_id) == (cast.sophie.key, "203.0.113.4", None)
    assert row.details == '{"guessed": "password", "limit": ["account and address"]}'
    counts = []
    for later in (timedelta(minutes=10), timedelta(minutes=16), timedelta(days=31), timedelta(days=91)):
        with clock_at(now() + later), transaction(by=SYSTEM, did="forget failed tries") as tx:
            JOBS["forget failed tries"][1](tx)
        db.session.close()
        counts.append(db.session.scalar(sa.select(sa.func.count()).select_from(Throttle)))
    assert counts == [4, 2, 1, 0]


GUESSES = """
    import sys, threading
    from practice.db import db
    from practice.errors import TooMany
    from practice.throttle import Guessed, tried
    from tests.conftest import test_settings
    from wsgi import create_app

    app = create_app(test_settings({url!r}))
    gate = threading.Barrier(11)
    def guess():
        with app.app_context():
            gate.wait()
            try:
                tried(Guessed.PASSWORD, {email!r}, lambda: sys.stdout.write("looked ") and None, address={address!r})
            except TooMany:
                sys.stdout.write("refused ")
            db.session.remove()
    threads = [threading.Thread(target=guess) for _ in range(10)]
    [thread.start() for thread in threads]
    print("ready", flush=True)
    sys.stdin.readline()
    gate.wait()
    [thread.join() for thread in threads]
"""


def test_A10_A52_a_burst_from_several_processes_counts_exactly(cast: Cast) -> None:
    """Forty at once from four processes, of which five are looked at."""
    url, root = cast.app.config["MIGRATION_DATABASE_URL"], Path(__file__).parent.parent
    db.session.close()
    script = textwrap.dedent(GUESSES).format(url=url, email=SOPHIE, address=HERE)
    piped: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": root}
    guessing = [subprocess.Popen([sys.executable, "-c", script], **piped) for _ in range(4)]
    assert [process.stdout and process.stdout.readline() for process in guessing] == ["ready\n"] * 4
    for process in guessing:
        assert process.stdin
        process.stdin.write("now\n")
        process.stdin.flush()
    said = "".join(process.communicate()[0] for process in guessing).split()
    assert (said.count("looked"), said.count("refused")) == (5, 35)
    row = db.session.scalars(sa.select(Throttle).where(Throttle.key == throttle._hash("address", HERE))).one()
    assert row.failures.count(",") == 4, "the address has five failures too"
