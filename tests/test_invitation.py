"""The invitation over HTTP: looking uses nothing up, all that does not work looks alike, nobody is logged in by it."""

import re
from typing import Any

import pytest
import sqlalchemy as sa

from practice import accounts
from practice.db import WRITE, Audit, db
from practice.errors import Invalid
from practice.outbox import dead_notices, try_again
from practice.patients import account_of
from practice.people import AccountStatus, Person
from tests.conftest import Cast
from tests.examples.admin_patients import invited as invited_patient
from tests.examples.admin_staff import invite
from tests.test_mailing import due, serve  # noqa: F401

PASSWORD = "four words nobody guesses"
BOTH = {"password": PASSWORD, "password_again": PASSWORD}


def status_of(key: str) -> AccountStatus:
    db.session.close()
    return db.session.scalars(sa.select(Person.status).where(Person.key == key)).one()


def links_in(script: Any, way: str) -> list[str]:
    """The secrets of the links in the mails that a server has taken."""
    texts = [raw.replace(b"=\r\n", b"").decode() for *_, raw in script.taken]
    return [found[1] for text in texts if (found := re.search(rf"https://localhost/{way}/([\w-]{{43}})", text))]


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


def test_a14_s6_whatever_does_not_work_looks_alike_and_changes_nothing(cast: Cast) -> None:
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


# ---- By mail -------------------------------------------------------------------------------------


def test_a_mail_invites_staff_and_patients_and_its_link_is_made_when_it_leaves(cast: Cast, serve) -> None:  # noqa: F811
    script = serve()
    key, by_hand = invite(cast)
    patient = invited_patient(cast)
    seen = account_of(db.session(), patient).seen
    for address, data in ((f"/admin/staff/{key}", {}), (f"/admin/patients/{patient}", {"seen": seen})):
        answer = cast.ada.post(f"{address}/invitation-mails", data)
        assert (answer.status_code, answer.location) == (303, f"{address}?done=invited")
        assert "on its way" in cast.ada.get(answer.location).text
    assert cast.anonymous.get(f"/invitation/{by_hand}").status_code == 200, "it ends when the mail leaves, not before"
    while due():
        pass
    assert cast.anonymous.get(f"/invitation/{by_hand}").status_code == 400
    for _, _, raw in script.taken:
        assert b"Subject: You are invited to our portal" in raw and b"STAFF" not in raw and b"KWON" not in raw
    tokens = links_in(script, "invitation")
    for token, whose in zip(tokens, (key, patient), strict=True):
        with db.engines[WRITE].connect() as connection:
            for table in db.metadata.sorted_tables:
                assert token not in str(connection.execute(sa.select(table)).all()), table.name
        assert cast.anonymous.post(f"/invitation/{token}", BOTH).status_code == 303
        assert status_of(whose) == AccountStatus.ACTIVE
    for address in (f"/admin/staff/{key}", f"/admin/patients/{patient}"):
        db.session.close()
        data = {"seen": account_of(db.session(), patient).seen}
        assert cast.ada.post(f"{address}/invitation-mails", data).status_code == 409, "nobody is invited any more"


def test_a14_a_link_made_by_hand_is_not_ended_by_a_mail_that_waited(cast: Cast, serve) -> None:  # noqa: F811
    script = serve()
    key, _ = invite(cast)
    accounts.invite_by_mail(key, by=cast.ada.actor)
    token = accounts.invite_again(key, by=cast.ada.actor)
    assert due() == 0 and not script.taken
    assert cast.anonymous.get(f"/invitation/{token}").status_code == 200


def test_who_has_accepted_meanwhile_gets_no_mail_and_is_missed_by_nobody(cast: Cast, serve) -> None:  # noqa: F811
    script = serve(rcpt="550 No such user")
    key, _ = invite(cast)
    accounts.invite_by_mail(key, by=cast.ada.actor)
    assert due() == 1
    db.session.close()
    assert [row.occasion for row in dead_notices()] == ["invitation"], "an admin sees who was not invited"
    db.session.close()
    assert try_again(by=cast.ada.actor) == 1
    script.rcpt = ""
    with db.engines[WRITE].begin() as connection:
        connection.execute(sa.update(Person.__table__).where(Person.key == key).values(status=AccountStatus.ACTIVE))
    due()
    db.session.close()
    assert not script.taken and not dead_notices()


def test_a12_the_first_password_is_as_hard_to_guess_as_everywhere(cast: Cast) -> None:
    key, token = invite(cast, "winterberry")
    db.session.close()
    own = db.session.scalars(sa.select(Person.email).where(Person.key == key)).one()
    for password, says in (
        ("abcabcabcabcabcabc", "too easy to guess"),
        ("winterberry staff", "too easy to guess"),
        (f"mine is {own}", "Leave your e-mail address"),
        ("at the Test Practice I am", "Leave your e-mail address"),
    ):
        page = cast.anonymous.post(f"/invitation/{token}", dict.fromkeys(BOTH, password))
        assert page.status_code == 422 and says in page.text, password
    with pytest.raises(Invalid):
        accounts.accept_invitation(token, password="STAFF winterberry")
    assert status_of(key) == AccountStatus.INVITED
