"""A forgotten password: the answer tells nothing, the link works once, and only for whoever has the mailbox."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from practice import accounts, jobs, own_account, patients
from practice.coverage import set_staff_status
from practice.db import ANONYMOUS, COMMAND, WRITE, Audit, clock_at, db, now, transaction
from practice.links import LinkEnded, OneTimeLink, Purpose, make_link
from practice.outbox import Notice, NoticeState, Occasion
from practice.people import AccountStatus, NoticePreference, Person, person_with_password, token_hash
from practice.reset import ask_for_link, link_for, person_to_reset, reset_password
from tests.conftest import Cast, Player, test_settings
from tests.examples.admin_patients import invited as invited_patient
from tests.practice.test_accounts import save, together
from tests.test_invitation import masked
from tests.test_login import PASSWORD as OLD
from tests.test_login import give_password
from tests.test_mailing import due, serve  # noqa: F401
from web.demo_mails import show_only
from web.mailing import send_by_smtp
from wsgi import create_app

PASSWORD = "four words nobody guesses"
BOTH = {"password": PASSWORD, "password_again": PASSWORD}


def ask(cast: Cast, email: str = "sophie@test.example", **how: Any) -> Any:
    return cast.anonymous.post("/reset", {"email": email}, **how)


def asked(occasion: Occasion = Occasion.RESET) -> list[Notice]:
    db.session.close()
    return list(db.session.scalars(sa.select(Notice).where(Notice.occasion == occasion).order_by(Notice.id)))


def rows(did: str) -> list[Audit]:
    db.session.close()
    return list(db.session.scalars(sa.select(Audit).where(Audit.did == did).order_by(Audit.id)))


def opens(player: Player, password: str) -> bool:
    db.session.close()
    return person_with_password(f"{player.login}@test.example", password) is not None


def set_status(person: int, status: AccountStatus) -> None:
    with db.engines[WRITE].begin() as connection:
        connection.execute(sa.update(Person.__table__).where(Person.id == person).values(status=status))


# ---- Asking --------------------------------------------------------------------------------------


def test_the_log_in_leads_to_a_page_that_asks_for_the_address(cast: Cast) -> None:
    assert '<a href="/reset">Forgot your password?</a>' in cast.anonymous.get("/login").text
    page = cast.anonymous.get("/reset").text
    assert "E-mail" in page and "Send the link" in page
    answer = cast.anonymous.post("/reset", {})
    assert answer.status_code == 422 and "Write your e-mail address." in answer.text and not asked()


@pytest.mark.parametrize("htmx", [False, True])
def test_a11_the_answer_is_the_same_for_every_address(cast: Cast, htmx: bool) -> None:
    set_status(cast.hugo.id, AccountStatus.LOCKED)
    set_staff_status(cast.dan.key, AccountStatus.DISABLED, by=COMMAND)
    key = invited_patient(cast)
    db.session.close()
    invited = db.session.scalars(sa.select(Person.email).where(Person.key == key)).one()
    for _ in range(4):
        ask(cast, "jihae@test.example")  # more than it may
    addresses = ("sophie@test.example", " SOPHIE@Test.example", "nobody@test.example", "hugo@test.example", "dan@test.example")
    answers = []
    for email in (*addresses, invited, "jihae@test.example", "no address", "x" * 400, "a\0b"):
        answer = ask(cast, email, htmx=htmx)
        page = cast.anonymous.get("/reset?done=link-asked")
        said = [(name, value) for name, value in answer.headers if name != "Set-Cookie"]
        answers.append((answer.status_code, said, masked(answer.text), page.status_code, masked(page.text)))
    assert all(answer == answers[0] for answer in answers) and answers[0][0] == (200 if htmx else 303)
    told = [(notice.person_id, notice.state) for notice in asked()]
    assert told == [(cast.jihae.id, NoticeState.WAITING)] * 3 + [(cast.sophie.id, NoticeState.WAITING)] * 2


def test_a11_every_address_costs_the_same_statements(cast: Cast, statements: Any) -> None:
    costs = []
    for email in ("sophie@test.example", "nobody@test.example"):
        with statements() as found:
            ask_for_link(email, by=ANONYMOUS)
        costs.append(found)
    assert costs[0] == costs[1] and len(costs[0]) > 2 and len(asked()) == 1


def test_a43_one_address_gets_three_mails_an_hour_and_is_told_of_no_limit(cast: Cast) -> None:
    start = now()
    for minute in range(0, 60, 10):
        with clock_at(start + timedelta(minutes=minute)):
            assert ask(cast).status_code == 303
    assert len(asked()) == 3
    ask(cast, "sam@test.example")
    assert len(asked()) == 4, "the limit is of one address"
    with clock_at(start + timedelta(minutes=61)):
        ask(cast)
    assert len(asked()) == 5
    about = [(row.about, row.patient_id, row.details) for row in rows("ask_for_reset")]
    assert about[0] == (cast.sophie.key, cast.sophie.id, '{"notices": 1}')
    assert about[3] == (cast.sophie.key, cast.sophie.id, '{"notices": 0}')


def test_a43_who_asks_many_times_at_once_gets_no_more(cast: Cast) -> None:
    together(cast, *[lambda: ask_for_link("sophie@test.example", by=ANONYMOUS)] * 6)
    assert len(asked()) == 3 and len(rows("ask_for_reset")) == 6


def test_what_was_typed_is_kept_nowhere_and_who_wants_no_mails_gets_this_one(cast: Cast) -> None:
    own_account.change_notices(cast.sophie.id, NoticePreference.NONE, by=cast.sophie.actor)
    sent = {"csrf_token": cast.anonymous._first_token(), "email": "a password by mistake"}
    cast.anonymous.open("POST", "/reset", data=sent, environ_overrides={"REMOTE_ADDR": "192.0.2.7"})
    ask(cast)
    row = rows("ask_for_reset")[0]
    assert (row.about, row.actor_id, row.address) == ("", None, "192.0.2.7") and "mistake" not in row.details
    own_account.change_notices(cast.sophie.id, NoticePreference.NONE, by=cast.sophie.actor)
    assert [notice.next_at <= now() for notice in asked()] == [True]


# ---- The mail ------------------------------------------------------------------------------------


def link_in(raw: bytes) -> str:
    found = re.findall(rb"https://localhost/reset/([\w-]{43})", raw.replace(b"=\r\n", b"").replace(b"=\n", b""))
    assert found and len(set(found)) == 1
    return found[0].decode()


def test_a42_the_mail_has_a_link_and_no_words_and_no_table_has_its_secret(cast: Cast, serve: Any) -> None:  # noqa: F811
    script = serve()
    ask(cast)
    db.session.close()
    assert db.session.scalar(sa.select(sa.func.count()).select_from(OneTimeLink)) == 0, "the request makes none"
    assert due() == 1
    ((_, recipients, raw),) = script.taken
    token = link_in(raw)
    assert recipients == ["sophie@test.example"] and b"Subject: Choose a new password" in raw
    for word in (b"SOPHIE", b"KWON", b"message", b"appointment", b"result"):
        assert word not in raw
    link = db.session.scalars(sa.select(OneTimeLink)).one()
    assert (link.token_hash, link.person_id, link.purpose) == (token_hash(token), cast.sophie.id, Purpose.RESET)
    assert link.ends_at - link.created_at == timedelta(minutes=30)
    with db.engines[WRITE].connect() as connection:
        for table in db.metadata.sorted_tables:
            assert token not in str(connection.execute(sa.select(table)).all()), table.name
    page = cast.anonymous.get(f"/reset/{token}")
    assert page.status_code == 200 and "SOPHIE" not in page.text and page.headers["Referrer-Policy"] == "origin"
    assert cast.anonymous.get("/reset").headers["Referrer-Policy"] == "same-origin"


def test_a53_the_link_is_made_of_the_portals_address_alone(cast: Cast, serve: Any) -> None:  # noqa: F811
    script = serve()
    for name in ("Host", "X-Forwarded-Host"):
        ask(cast, headers={name: "evil.example"})
    ask(cast)
    due()
    assert script.taken and not [raw for *_, raw in script.taken if b"evil" in raw]
    link_in(script.taken[0][2])


def test_asked_twice_before_it_leaves_is_one_mail(cast: Cast, serve: Any) -> None:  # noqa: F811
    script = serve()
    ask(cast)
    ask(cast)
    assert due() == 1 and len(script.taken) == 1
    assert [notice.state for notice in asked()] == [NoticeState.SENT] * 2


def test_a_newer_mail_ends_the_older_link(cast: Cast, serve: Any) -> None:  # noqa: F811
    script = serve()
    for _ in range(2):
        ask(cast)
        due()
    older, newer = (link_in(raw) for *_, raw in script.taken)
    assert cast.anonymous.get(f"/reset/{older}").status_code == 400
    assert cast.anonymous.get(f"/reset/{newer}").status_code == 200


@pytest.mark.parametrize("status", [AccountStatus.LOCKED, AccountStatus.DISABLED, AccountStatus.INVITED])
def test_whose_account_was_closed_meanwhile_gets_no_link(cast: Cast, serve: Any, status: AccountStatus) -> None:  # noqa: F811
    script = serve()
    ask(cast)
    set_status(cast.sophie.id, status)
    due()
    assert not script.taken and [notice.state for notice in asked()] == [NoticeState.DEAD]


def test_who_is_closed_between_lease_and_mail_gets_no_link(cast: Cast, serve: Any) -> None:  # noqa: F811
    script = serve()
    ask(cast)

    def send(leased: Any) -> None:
        set_status(cast.sophie.id, AccountStatus.LOCKED)
        send_by_smtp(leased)

    jobs.send_due(send)
    assert not script.taken and [notice.state for notice in asked()] == [NoticeState.DEAD]
    assert db.session.scalar(sa.select(sa.func.count()).select_from(OneTimeLink)) == 0


# ---- The link ------------------------------------------------------------------------------------


def test_a13_a_reset_link_works_once_and_logs_nobody_in(cast: Cast) -> None:
    give_password(cast.sophie)
    token = link_for(cast.sophie.id)
    for _ in range(3):  # a scanner of mails looks too
        page = cast.anonymous.get(f"/reset/{token}")
        assert page.status_code == 200 and page.text.count('autocomplete="new-password"') == 2
    assert opens(cast.sophie, OLD) and cast.sophie.get("/").status_code == 200
    answer = cast.anonymous.post(f"/reset/{token}", BOTH)
    assert (answer.status_code, answer.location) == (303, "/login?done=password-set")
    page = cast.anonymous.get("/login?done=password-set")
    assert page.status_code == 200 and "Your password is saved" in page.text
    assert cast.sophie.get("/").location.startswith("/login"), "all sessions of the person ended"
    assert opens(cast.sophie, PASSWORD) and not opens(cast.sophie, OLD)
    assert cast.anonymous.post(f"/reset/{token}", BOTH | dict.fromkeys(BOTH, "another that nobody has")).status_code == 400
    assert opens(cast.sophie, PASSWORD)
    (row,) = rows("reset_password")
    assert (row.about, row.actor_id, row.patient_id) == (cast.sophie.key, cast.sophie.id, cast.sophie.id)
    assert [notice.person_id for notice in asked(Occasion.PASSWORD)] == [cast.sophie.id]
    assert not [row for row in db.session.scalars(sa.select(Audit)) if token in f"{row.about} {row.details}"]


def test_a13_whatever_does_not_work_is_the_same_page_and_changes_nothing(cast: Cast) -> None:
    give_password(cast.sophie)
    older, token = link_for(cast.sophie.id), link_for(cast.sophie.id)
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        other_purpose = make_link(tx, cast.sophie.id, Purpose.INVITATION)
    used, closed = link_for(cast.jihae.id), link_for(cast.hugo.id)
    reset_password(used, password=PASSWORD)
    set_status(cast.hugo.id, AccountStatus.LOCKED)
    pages = set()
    wrongs = ("", older, other_purpose, used, closed, token[:-1], token + "x", "x" * 43, token_hash(token), "9" * 30)
    for wrong in wrongs:
        for answer in (cast.anonymous.get(f"/reset/{wrong}"), cast.anonymous.post(f"/reset/{wrong}", BOTH)):
            assert answer.status_code == 400, wrong
            pages.add(masked(answer.text))
    with clock_at(now() + timedelta(minutes=30, seconds=1)):
        pages.add(masked(cast.anonymous.post(f"/reset/{token}", BOTH).text))
    assert len(pages) == 1 and "This link does not work" in pages.pop()
    assert opens(cast.sophie, OLD) and cast.anonymous.get(f"/invitation/{token}").status_code == 400
    assert cast.anonymous.post(f"/reset/{token}", BOTH).status_code == 303


def test_a13_a_change_of_the_password_ends_the_link(cast: Cast) -> None:
    give_password(cast.sophie)
    token = link_for(cast.sophie.id)
    sent = {"present": OLD} | dict.fromkeys(BOTH, "another that nobody has")
    assert cast.sophie.post("/account/password", sent).status_code == 303
    assert cast.anonymous.post(f"/reset/{token}", BOTH).status_code == 400
    assert opens(cast.sophie, "another that nobody has")


@pytest.mark.parametrize("changed", [{"email": "other@test.example"}, {"is_admin": True}])
def test_a13_another_address_or_role_ends_the_link(cast: Cast, changed: dict[str, Any]) -> None:
    token = link_for(cast.sam.id)
    save(cast.sam, cast.ada, first_name="SAMUEL")
    assert person_to_reset(token).id == cast.sam.id
    save(cast.sam, cast.ada, **changed)
    with pytest.raises(LinkEnded):
        reset_password(token, password=PASSWORD)


def test_a13_a_link_does_not_outlive_a_time_of_being_disabled(cast: Cast) -> None:
    token = link_for(cast.sam.id)
    accounts.disable(cast.sam.key, by=cast.ada.actor)
    accounts.enable(cast.sam.key, by=cast.ada.actor)
    set_status(cast.sam.id, AccountStatus.ACTIVE)
    with pytest.raises(LinkEnded):
        person_to_reset(token)


def test_a13_a_link_does_not_outlive_a_time_of_being_locked(cast: Cast) -> None:
    give_password(cast.sophie)
    token = link_for(cast.sophie.id)
    for verb in (patients.lock, patients.unlock):
        db.session.close()
        verb(cast.sophie.key, seen=patients.account_of(db.session(), cast.sophie.key).seen, by=cast.ada.actor)
    with pytest.raises(LinkEnded):
        person_to_reset(token)


def test_a13_of_two_who_use_it_at_once_one_wins(cast: Cast) -> None:
    token = link_for(cast.sophie.id)
    words = ("four words nobody guesses", "five words that nobody guesses")
    acts: list[Callable[[], Any]] = [lambda word=word: reset_password(token, password=word) for word in words]  # type: ignore[misc]
    outcome = together(cast, *acts)
    assert sorted(type(error).__name__ for error in outcome) == ["LinkEnded", "NoneType"]
    assert opens(cast.sophie, words[[error is None for error in outcome].index(True)])
    assert len(rows("reset_password")) == len(asked(Occasion.PASSWORD)) == 1


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ({}, "Write a password."),
        (dict.fromkeys(BOTH, "x" * 14), "Use 15 to 256 characters."),
        (dict.fromkeys(BOTH, "abcabcabcabcabcabc"), "too easy to guess"),
        (BOTH | {"password_again": PASSWORD + "!"}, "The two passwords differ."),
    ],
)
def test_a_password_that_cannot_be_is_named_and_the_link_still_works(cast: Cast, sent: dict[str, str], says: str) -> None:
    token = link_for(cast.sophie.id)
    page = cast.anonymous.post(f"/reset/{token}", sent)
    assert page.status_code == 422 and says in page.text and "<title>Error:" in page.text
    assert not any(value in page.text for value in sent.values())
    assert cast.anonymous.post(f"/reset/{token}", BOTH).status_code == 303


def test_who_is_logged_in_as_somebody_else_stays_so(cast: Cast) -> None:
    token = link_for(cast.sophie.id)
    assert cast.sam.post(f"/reset/{token}", BOTH).status_code == 303
    assert cast.sam.get("/staff/").status_code == 200 and opens(cast.sophie, PASSWORD)


# ---- The demo ------------------------------------------------------------------------------------


def test_the_demo_shows_the_mail_with_a_link_that_works(cast: Cast) -> None:
    demo = create_app(test_settings(cast.app.config["MIGRATION_DATABASE_URL"], IS_DEMO=True))
    for _ in range(2):
        ask(cast)
    with demo.app_context():
        assert jobs.send_due(show_only) == 1
        db.session.remove()
    (link,) = {*re.findall(r'href="(https://localhost/reset/[\w-]{43})"', Player(demo).get("/demo/mails").text)}
    assert cast.anonymous.post(link.removeprefix("https://localhost"), BOTH).status_code == 303
    assert opens(cast.sophie, PASSWORD)
    with demo.app_context():
        for engine in db.engines.values():
            engine.dispose()
