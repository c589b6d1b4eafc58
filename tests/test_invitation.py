"""The invitation over HTTP: looking uses nothing up, all that does not work looks alike, nobody is logged in by it."""

import re

import pytest
import sqlalchemy as sa

from practice import accounts
from practice.db import Audit, db
from practice.people import AccountStatus, Person
from tests.conftest import Cast
from tests.examples.admin_staff import invite

PASSWORD = "four words nobody guesses"
BOTH = {"password": PASSWORD, "password_again": PASSWORD}


def status_of(key: str) -> AccountStatus:
    db.session.close()
    return db.session.scalars(sa.select(Person.status).where(Person.key == key)).one()


def masked(text: str) -> str:
    return re.sub(r'value="[\w.\-]{22,}"', "", text)


def test_looking_uses_nothing_up_and_the_password_opens_the_account(cast: Cast) -> None:
    key, token = invite(cast)
    for _ in range(3):
        page = cast.anonymous.get(f"/invitation/{token}")
        assert page.status_code == 200 and page.headers["Referrer-Policy"] == "origin" and "PETER" not in page.text
        assert page.text.count('autocomplete="new-password"') == 2
    sent = {"csrf_token": cast.anonymous.token()} | BOTH
    peer = {"REMOTE_ADDR": "192.0.2.7"}
    answer = cast.anonymous.open("POST", f"/invitation/{token}", data=sent, environ_overrides=peer)
    assert answer.status_code == 303 and answer.location == "/login?done=password-set"
    assert status_of(key) == AccountStatus.ACTIVE
    row = db.session.scalars(sa.select(Audit).where(Audit.did == "accept_invitation")).one()
    assert (row.about, row.address) == (key, "192.0.2.7")
    page = cast.anonymous.get("/login?done=password-set")  # not logged in
    assert page.status_code == 200 and "Your password is saved" in page.text
    email = db.session.scalars(sa.select(Person.email).where(Person.key == key)).one()
    assert cast.anonymous.post("/login", {"email": email, "password": PASSWORD}).status_code == 303


def test_whatever_does_not_work_looks_alike_and_changes_nothing(cast: Cast) -> None:
    key, old = invite(cast)
    token = accounts.invite_again(key, by=cast.ada.actor)
    pages = set()
    for wrong in ("", old, token[:-1], token + "x", "x" * 43, "9" * 30):
        for answer in (cast.anonymous.get(f"/invitation/{wrong}"), cast.anonymous.post(f"/invitation/{wrong}", BOTH)):
            assert answer.status_code == 400
            pages.add(masked(answer.text))
    assert len(pages) == 1 and status_of(key) == AccountStatus.INVITED
    assert cast.anonymous.post(f"/invitation/{token}", BOTH).status_code == 303
    assert masked(cast.anonymous.post(f"/invitation/{token}", BOTH).text) in pages


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ({}, "Write a password."),
        ({"password": "x" * 14, "password_again": "x" * 14}, "Use 15 to 256 characters."),
        ({"password": "x" * 257, "password_again": "x" * 257}, "Use 15 to 256 characters."),
        ({"password": PASSWORD, "password_again": PASSWORD + "!"}, "The two passwords differ."),
    ],
)
def test_a_password_that_cannot_be_is_named_and_the_link_still_works(cast: Cast, sent: dict[str, str], says: str) -> None:
    key, token = invite(cast)
    page = cast.anonymous.post(f"/invitation/{token}", sent)
    assert page.status_code == 422 and says in page.text and "<title>Error:" in page.text
    assert not any(value in page.text for value in sent.values())
    assert status_of(key) == AccountStatus.INVITED
    assert cast.anonymous.post(f"/invitation/{token}", BOTH).status_code == 303


def test_a_refused_form_never_shows_a_password_or_leaves_the_token(cast: Cast) -> None:
    _, token = invite(cast)
    page = cast.anonymous.post(f"/invitation/{token}", BOTH, token="wrong")
    assert page.status_code == 400 and PASSWORD not in page.text
    for player in (cast.sam, cast.sophie):  # somebody logged in on the same device
        assert player.get(f"/invitation/{token}").status_code == 200
    db.session.close()
    assert not [row for row in db.session.scalars(sa.select(Audit)) if token in f"{row.about} {row.details}"]
