"""Another e-mail address: asked for with the present password, proven by a link, told to the address before."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from practice import accounts, coverage, own_account, own_email, patients
from practice.db import Audit, clock_at, db, now
from practice.links import LinkEnded
from practice.outbox import Occasion, Undeliverable
from practice.own_email import new_email_link_for, take_new_email
from practice.people import AccountStatus, NoticePreference, Person, token_hash
from practice.proofs import EmailProof
from practice.reset import link_for, person_to_reset, reset_password
from tests.conftest import Cast, Player
from tests.examples.registering import new_email_link, newest_proof
from tests.practice.test_accounts import save
from tests.test_invitation import links_in, masked
from tests.test_login import PASSWORD, give_password
from tests.test_mailing import due, serve  # noqa: F401
from tests.test_reset import asked, rows, set_status

NEW = "elsewhere@test.example"
SIDES = {"sophie": "/account/e-mail", "sam": "/staff/account/e-mail"}


def ask(player: Player, email: str = NEW, present: str = PASSWORD) -> Any:
    return player.post(SIDES[player.login], {"email": email, "present": present})


def email_of(player: Player) -> str:
    db.session.close()
    return db.session.scalars(sa.select(Person.email).where(Person.id == player.id)).one()


def test_the_present_password_is_not_guessed_here_more_often_than_at_the_log_in(cast: Cast) -> None:
    give_password(cast.sophie)
    assert [ask(cast.sophie, present="a wrong guess of mine").status_code for _ in range(5)] == [403] * 5
    assert ask(cast.sophie).status_code == 429 and not list(db.session.scalars(sa.select(EmailProof)))


@pytest.mark.parametrize("who", ["sam", "sophie"])
def test_a15_it_holds_when_it_is_proven_and_the_address_before_is_told(cast: Cast, serve: Any, who: str) -> None:  # noqa: F811
    script, me = serve(), getattr(cast, who)
    give_password(me)
    own_account.change_notices(me.id, NoticePreference.NONE, by=me.actor)  # of the account one is told in any case
    page = me.get(SIDES[who])
    assert page.status_code == 200 and "New e-mail address" in page.text
    answer = ask(me)
    assert (answer.status_code, answer.location) == (303, f"{SIDES[who]}?done=link-sent")
    assert "We have sent an e-mail to the new address" in me.get(answer.location).text
    assert db.session.scalars(sa.select(EmailProof.token_hash)).one() is None, "the request makes no link"
    while due():
        pass
    told = {(to[0], raw.split(b"Subject: ")[1].split(b"\n")[0].strip()) for _, to, raw in script.taken}
    assert told == {
        (NEW, b"Confirm your new e-mail address"),
        (f"{who}@test.example", b"A change of your e-mail address was asked for"),
    }
    (token,) = links_in(script, "new-email")
    assert db.session.scalars(sa.select(EmailProof.token_hash)).one() == token_hash(token)
    for _ in range(2):
        page = cast.anonymous.get(f"/new-email/{token}")
        assert page.status_code == 200 and page.headers["Referrer-Policy"] == "origin" and me.name not in page.text
    assert email_of(me) == f"{who}@test.example" and me.get(SIDES[who]).status_code == 200
    answer = cast.anonymous.post(f"/new-email/{token}")
    assert (answer.status_code, answer.location) == (303, "/login?done=email-changed")
    assert email_of(me) == NEW and me.get(SIDES[who]).location.startswith("/login"), "all sessions of the person ended"
    page = cast.anonymous.get(answer.location)
    assert page.status_code == 200 and "Your new e-mail address is saved" in page.text
    assert cast.anonymous.post(f"/new-email/{token}").status_code == 400
    script.taken.clear()
    assert due() == 1 and script.taken[0][1] == [f"{who}@test.example"], "the old address is told"
    (row,) = rows("change_email")
    assert (row.about, row.actor_id, row.patient_id) == (me.key, me.id, me.id if who == "sophie" else None)
    assert not [row for row in db.session.scalars(sa.select(Audit)) if token in f"{row.about} {row.details}"]
    assert cast.anonymous.post("/login", {"email": NEW, "password": PASSWORD}).status_code == 303


@pytest.mark.parametrize("who", ["sam", "sophie"])
def test_a15_without_the_present_password_nothing_is_asked(cast: Cast, who: str) -> None:
    me = getattr(cast, who)
    give_password(me)
    answer = ask(me, present="not my password at all")
    assert answer.status_code == 403 and "This is not your present password." in answer.text and NEW in answer.text
    assert "not my password" not in answer.text
    for wrong, says in (
        ({"email": ""}, "Write the new address."),
        ({"email": "no address"}, "This is not an e-mail address."),
        ({"email": f" {who.upper()}@test.example"}, "This is your address already."),
        ({"present": ""}, "Write your present password."),
    ):
        page = me.post(SIDES[who], {"email": NEW, "present": PASSWORD} | wrong)
        assert page.status_code == 422 and says in page.text, wrong
    db.session.close()
    assert not asked(Occasion.NEW_EMAIL) and not db.session.scalars(sa.select(EmailProof)).all()
    assert len([row for row in rows("denied") if row.about.endswith("change_email")]) == 1


def test_a11_nobody_learns_whether_the_new_address_has_an_account(cast: Cast, serve: Any) -> None:  # noqa: F811
    script = serve()
    give_password(cast.sophie)
    answers = []
    for email in ("jihae@test.example", NEW):
        answer = ask(cast.sophie, email)
        answers.append((answer.status_code, answer.location, masked(cast.sophie.get(answer.location).text)))
        while due():
            pass
    assert answers[0][:2] == answers[1][:2]
    told = {(to[0], raw.split(b"Subject: ")[1].split(b"\n")[0].strip()) for _, to, raw in script.taken}
    assert ("jihae@test.example", b"You have an account already") in told
    assert len(links_in(script, "new-email")) == 1, "only the one for the address that is free"


def test_a15_a_link_that_does_not_work_changes_nothing(cast: Cast) -> None:
    older, token = new_email_link(cast), new_email_link(cast)
    taken = new_email_link(cast, "mina@test.example", cast.jihae)
    cast.patient("mina", "PARK")
    pages = set()
    for wrong in ("", older, taken, link_for(cast.sophie.id), token[:-1], "x" * 43, token_hash(token)):
        pages.add(masked(cast.anonymous.post(f"/new-email/{wrong}").text))
    for wrong in ("", older, token[:-1]):
        answer = cast.anonymous.get(f"/new-email/{wrong}")
        assert answer.status_code == 400
        pages.add(masked(answer.text))
    with clock_at(now() + timedelta(hours=72, seconds=1)):
        pages.add(masked(cast.anonymous.post(f"/new-email/{token}").text))
    assert len(pages) == 1 and "This link does not work" in pages.pop()
    assert (email_of(cast.sophie), email_of(cast.jihae)) == ("sophie@test.example", "jihae@test.example")
    reset = link_for(cast.sophie.id)
    take_new_email(token)
    with pytest.raises(LinkEnded):
        person_to_reset(reset)


def lock(cast: Cast) -> None:
    for verb in (patients.lock, patients.unlock):
        db.session.close()
        verb(cast.sophie.key, seen=patients.account_of(db.session(), cast.sophie.key).seen, by=cast.ada.actor)


def change_password(cast: Cast) -> None:
    sent = {"present": PASSWORD} | dict.fromkeys(("password", "password_again"), "another that nobody has")
    assert cast.sophie.post("/account/password", sent).status_code == 303


@pytest.mark.parametrize(
    "act",
    [
        lock,
        change_password,
        lambda cast: reset_password(link_for(cast.sophie.id), password="another that nobody has"),
    ],
    ids=["locked", "password", "reset"],
)
def test_s7_a15_another_password_or_status_ends_the_link(cast: Cast, act: Any) -> None:
    give_password(cast.sophie)
    token = new_email_link(cast)
    act(cast)
    with pytest.raises(LinkEnded):
        take_new_email(token)
    with pytest.raises(Undeliverable):
        new_email_link_for(newest_proof())


def test_s7_a15_another_role_or_a_time_of_being_disabled_ends_the_link_of_staff(cast: Cast) -> None:
    token = new_email_link(cast, whose=cast.sam)
    save(cast.sam, cast.ada, first_name="SAMUEL")
    assert own_email.whose_new_email(token) == NEW
    save(cast.sam, cast.ada, is_admin=True)
    other = new_email_link(cast, "other@test.example", whose=cast.max)
    accounts.disable(cast.max.key, by=cast.ada.actor)
    coverage.set_staff_status(cast.max.key, AccountStatus.ACTIVE, by=cast.ada.actor)
    for ended in (token, other):
        with pytest.raises(LinkEnded):
            take_new_email(ended)


def test_an_address_that_an_admin_changes_is_told(cast: Cast, serve: Any) -> None:  # noqa: F811
    script = serve()
    save(cast.sam, cast.ada, email="other@test.example")
    assert due() == 1 and script.taken[0][1] == ["sam@test.example"]
    save(cast.sam, cast.ada, first_name="SAMUEL")
    assert due() == 0


def test_a43_a_stranger_gets_three_mails_an_hour_whoever_asks(cast: Cast) -> None:
    for player in (cast.sophie, cast.sam):
        give_password(player)
    answers = [ask(cast.sophie) for _ in range(3)] + [ask(cast.sam)]
    assert {answer.status_code for answer in answers} == {303} and len(asked(Occasion.NEW_EMAIL)) == 3


def test_s7_a15_a_reset_link_from_before_ends_with_the_address(cast: Cast, serve: Any) -> None:  # noqa: F811
    script = serve()
    give_password(cast.sophie)
    before = link_for(cast.sophie.id)
    ask(cast.sophie)
    while due():
        pass
    (token,) = links_in(script, "new-email")
    assert cast.anonymous.get(f"/reset/{before}").status_code == 200
    assert cast.anonymous.post(f"/new-email/{token}").status_code == 303
    assert cast.anonymous.get(f"/reset/{before}").status_code == 400


def test_a_session_that_the_address_changed_under_asks_for_nothing(cast: Cast) -> None:
    give_password(cast.sophie)
    set_status(cast.sophie.id, AccountStatus.LOCKED)
    assert ask(cast.sophie).status_code in (303, 401) and not asked(Occasion.NEW_EMAIL)
