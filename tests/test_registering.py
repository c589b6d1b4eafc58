"""Registering as a patient: the answer tells nothing, the link works once, and who is not matched sees nobody's record."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from practice import accounts, jobs, proofs
from practice.db import ANONYMOUS, COMMAND, WRITE, Actor, clock_at, db, now, transaction
from practice.errors import NotVisible
from practice.links import LinkEnded
from practice.matching import MatchState, Registration
from practice.outbox import NoticeState, Occasion, Undeliverable
from practice.people import AccountStatus, Patient, Person, person_with_password, token_hash
from practice.proofs import EmailProof
from practice.registration import finish_registration, register, registration_link_for
from practice.settings import Practice
from tests.conftest import Cast, Player, test_settings
from tests.examples.admin_patients import invited as invited_patient
from tests.examples.registering import PASSWORD, SAID, link, newest_proof, open_registration, registered, said
from tests.practice.test_accounts import together
from tests.test_invitation import links_in, masked
from tests.test_mailing import due, serve  # noqa: F401
from tests.test_reset import asked, rows, set_status
from web.demo_mails import show_only
from wsgi import create_app

BOTH = {"password": PASSWORD, "password_again": PASSWORD}
EMAIL = "mina@test.example"


@pytest.fixture(autouse=True)
def is_open(cast: Cast) -> None:
    open_registration()


def send(cast: Cast, email: str = EMAIL, **how: Any) -> Any:
    return cast.anonymous.post("/register", SAID | {"email": email}, **how)


def person(email: str = EMAIL) -> Person | None:
    db.session.close()
    return db.session.scalar(sa.select(Person).where(Person.email_key == email))


# ---- Asking --------------------------------------------------------------------------------------


def test_it_is_there_only_where_the_practice_has_it(cast: Cast) -> None:
    assert '<a href="/register">Register</a>' in cast.anonymous.get("/login").text
    token = link()
    with db.engines[WRITE].begin() as connection:
        connection.execute(sa.update(Practice.__table__).values(can_register=False))
    assert "/register" not in cast.anonymous.get("/login").text
    before = newest_proof()
    assert cast.anonymous.get("/register").status_code == cast.anonymous.post("/register", {}).status_code == 404
    assert send(cast).status_code == 404
    with pytest.raises(NotVisible):
        register(said(), by=ANONYMOUS)
    assert cast.anonymous.get(f"/register/{token}").status_code == 400, "links given out before end too"
    with pytest.raises(LinkEnded):
        finish_registration(token, password=PASSWORD)
    assert newest_proof() == before


def test_what_cannot_be_is_named_beside_its_field(cast: Cast) -> None:
    answer = cast.anonymous.post("/register", {})
    assert answer.status_code == 422
    for says in ("Write your date of birth.", "Write your e-mail address.", "Choose one of the four."):
        assert says in answer.text
    for wrong, says in (
        ({"email": "no address"}, "This is not an e-mail address."),
        ({"email": "a\r\nBcc: b@evil.example"}, "This is not an e-mail address."),
        ({"email": "x" * 300 + "@test.example"}, "This text is too long."),
        ({"dob": "2990-01-01"}, "This cannot be a date of birth."),
        ({"dob": "1849-12-31"}, "This cannot be a date of birth."),
        ({"dob": "tomorrow"}, "year-month-day"),
        ({"last_name": " ", "first_name": "\u200b"}, "Write a last name, a first name or both."),
        ({"last_name": "a\0b"}, "Remove the characters that cannot be shown."),
        ({"phone": "5" * 41}, "This text is too long."),
    ):
        page = cast.anonymous.post("/register", SAID | {"email": EMAIL} | wrong)
        assert page.status_code == 422 and says in page.text, wrong
    assert "KWON" in page.text, "what was written stays"
    db.session.close()
    assert not db.session.scalars(sa.select(EmailProof)).all()


def test_a11_the_answer_and_its_statements_are_the_same_for_every_address(cast: Cast, statements: Any) -> None:
    set_status(cast.hugo.id, AccountStatus.LOCKED)
    db.session.close()
    invited = db.session.scalars(sa.select(Person.email).where(Person.key == invited_patient(cast))).one()
    for _ in range(4):
        send(cast, "jihae@test.example")  # more than it may
    answers, costs = [], []
    for email in (EMAIL, "sophie@test.example", " SOPHIE@Test.example", "hugo@test.example", invited, "jihae@test.example"):
        answer, page = send(cast, email), cast.anonymous.get("/register?done=link-asked")
        headers = [(name, value) for name, value in answer.headers if name != "Set-Cookie"]
        answers.append((answer.status_code, headers, masked(answer.text), page.status_code, masked(page.text)))
    assert all(answer == answers[0] for answer in answers) and answers[0][0] == 303
    for email in ("new@test.example", "sam@test.example"):
        with statements() as found:
            register(said(email), by=ANONYMOUS)
        costs.append(found)
    assert costs[0] == costs[1] and not [text for text in costs[0] if re.search(r"(FROM|JOIN) person\b", text)]


def test_a43_one_address_gets_three_mails_an_hour_and_one_network_asks_thirty_times(cast: Cast) -> None:
    start = now()
    for minute in range(0, 50, 10):
        with clock_at(start + timedelta(minutes=minute)):
            assert send(cast).status_code == 303
    assert len(asked(Occasion.REGISTRATION)) == 3
    for n in range(25):
        register(said(f"{n}@test.example"), by=ANONYMOUS)
    answer = send(cast, "another@test.example")
    assert answer.status_code == 429 and int(answer.headers["Retry-After"]) > 0
    register(said("another@test.example"), by=Actor(None, address="192.0.2.7"))
    with clock_at(start + timedelta(minutes=101)):
        assert send(cast).status_code == 303
    assert len(asked(Occasion.REGISTRATION)) == 3 + 25 + 1 + 1


def test_a43_f30_who_asks_twenty_times_at_once_gets_equal_answers_and_one_mail(cast: Cast, serve: Any) -> None:  # noqa: F811
    script = serve()
    outcome = together(cast, *[lambda: register(said(), by=ANONYMOUS)] * 20)
    assert outcome == [None] * 20 and len(asked(Occasion.REGISTRATION)) == 3
    while due():
        pass
    assert len(script.taken) == 1, "what was asked again before it left is one mail"
    assert [notice.state for notice in asked(Occasion.REGISTRATION)] == [NoticeState.SENT]
    (token,) = links_in(script, "register")
    acts: list[Callable[[], Any]] = [lambda: finish_registration(token, password=PASSWORD)] * 8
    ended = [type(error).__name__ for error in together(cast, *acts)]
    assert sorted(ended) == ["LinkEnded"] * 7 + ["NoneType"]
    db.session.close()
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Registration)) == 1


# ---- The mail ------------------------------------------------------------------------------------


def test_a42_a53_s7_the_mail_has_a_link_and_no_words_and_no_table_its_secret(cast: Cast, serve: Any) -> None:  # noqa: F811
    script = serve()
    send(cast, headers={"X-Forwarded-Host": "evil.example"})
    db.session.close()
    assert db.session.scalars(sa.select(EmailProof.token_hash)).one() is None, "the request makes no link"
    assert due() == 1
    ((_, recipients, raw),) = script.taken
    (token,) = links_in(script, "register")
    assert recipients == [EMAIL] and b"Subject: Finish your registration" in raw
    for word in (b"MINA", b"KWON", b"1990", b"evil"):
        assert word not in raw
    db.session.close()
    assert db.session.scalars(sa.select(EmailProof.token_hash)).one() == token_hash(token)
    with db.engines[WRITE].connect() as connection:
        for table in db.metadata.sorted_tables:
            assert token not in str(connection.execute(sa.select(table)).all()), table.name
    page = cast.anonymous.get(f"/register/{token}")
    assert page.status_code == 200 and page.headers["Referrer-Policy"] == "origin"
    assert "MINA" not in page.text, "whose mailbox it is by mistake reads nothing of anybody"
    assert not [row for row in rows("register") if "mina" in f"{row.about} {row.details}".lower()]


def test_a11_the_owner_of_a_known_address_is_told_and_who_is_invited_is_invited(cast: Cast, serve: Any) -> None:  # noqa: F811
    script = serve()
    key = invited_patient(cast)
    db.session.close()
    invited = db.session.scalars(sa.select(Person.email).where(Person.key == key)).one()
    set_status(cast.hugo.id, AccountStatus.LOCKED)
    for email in ("SOPHIE@test.example", invited, "hugo@test.example"):
        send(cast, email)
    while due():
        pass
    told = {to[0]: re.search(rb"Subject: (.*)", raw)[1].strip().decode() for _, to, raw in script.taken}  # type: ignore[index]
    assert told == {"sophie@test.example": "You have an account already", invited: "You are invited to our portal"}
    assert not links_in(script, "register"), "no link of them registers anybody"
    (token,) = links_in(script, "invitation")
    assert accounts.invited(token).key == key
    db.session.close()
    assert all(db.session.scalars(sa.select(EmailProof.ended_at)))


def test_a_mail_that_is_tried_again_carries_a_new_link_and_the_older_one_ends(cast: Cast, serve: Any) -> None:  # noqa: F811
    script = serve(drops=True)
    send(cast)
    due()
    script.drops = False
    with clock_at(now() + timedelta(minutes=2)):
        due()
    older, newer = links_in(script, "register")
    assert [cast.anonymous.get(f"/register/{token}").status_code for token in (older, newer)] == [400, 200]


# ---- The link ------------------------------------------------------------------------------------


def test_a6_a14_the_link_makes_one_account_and_before_it_there_is_none(cast: Cast) -> None:
    token = link()
    assert person() is None
    assert cast.anonymous.post("/login", {"email": EMAIL, "password": PASSWORD}).status_code == 422
    for _ in range(3):  # a scanner of mails looks too
        assert cast.anonymous.get(f"/register/{token}").status_code == 200
    assert person() is None
    answer = cast.anonymous.post(f"/register/{token}", BOTH)
    assert (answer.status_code, answer.location) == (303, "/login?done=password-set")
    assert cast.anonymous.get("/").location.startswith("/login"), "the link logs nobody in"
    made = person()
    assert made and (made.status, made.last_name, made.first_name) == (AccountStatus.ACTIVE, "KWON", "MINA")
    patient = db.session.get_one(Patient, made.id)
    assert (str(patient.dob), patient.gender, patient.phone_key, patient.record_number) == (
        "1990-02-03", "female", "5550100300", None,
    )  # fmt: skip
    assert db.session.get_one(Registration, made.id).state == MatchState.WAITING
    (row,) = rows("register_patient")
    assert (row.about, row.actor_id, row.patient_id) == (made.key, made.id, made.id)
    assert [notice.person_id for notice in asked(Occasion.TO_MATCH)] == [cast.ada.id]
    assert cast.anonymous.post(f"/register/{token}", BOTH).status_code == 400
    assert db.session.scalars(sa.select(EmailProof.said)).one() == "", "it stands with the patient alone"
    assert cast.anonymous.post("/login", {"email": EMAIL, "password": PASSWORD}).location == "/"


def test_a14_whatever_does_not_work_is_the_same_page_and_changes_nothing(cast: Cast) -> None:
    older, token = link(), link()
    late = link("late@test.example")
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        other = proofs.new_proof(tx, "x@test.example", person=cast.sophie.id)
        other_purpose = proofs.make_proof_link(tx, other.id if other else 0)
    pages = set()
    for wrong in ("", older, other_purpose, token[:-1], token + "x", "x" * 43, token_hash(token), "9" * 30):
        for answer in (cast.anonymous.get(f"/register/{wrong}"), cast.anonymous.post(f"/register/{wrong}", BOTH)):
            assert answer.status_code == 400, wrong
            pages.add(masked(answer.text))
    with clock_at(now() + timedelta(hours=72, seconds=1)):
        pages.add(masked(cast.anonymous.post(f"/register/{late}", BOTH).text))
    assert len(pages) == 1 and "This link does not work" in pages.pop()
    assert cast.anonymous.get(f"/invitation/{token}").status_code == cast.anonymous.get(f"/reset/{token}").status_code == 400
    db.session.close()
    assert not db.session.scalars(sa.select(Registration)).all()
    assert cast.anonymous.post(f"/register/{token}", BOTH).status_code == 303


def test_a14_a56_an_address_that_has_an_account_by_now_gets_no_second_one(cast: Cast) -> None:
    token = link("Mina@Test.example")
    cast.patient("mina", "PARK")
    with pytest.raises(LinkEnded):
        finish_registration(token, password=PASSWORD)
    assert cast.anonymous.post(f"/register/{token}", BOTH).status_code == 400
    db.session.close()
    assert db.session.scalars(sa.select(Person.last_name).where(Person.email_key == EMAIL)).all() == ["PARK"]


def test_a12_the_password_is_as_hard_to_guess_as_everywhere(cast: Cast) -> None:
    token = link("winterberry@test.example")
    for password, says in (
        ("x" * 14, "Use 15 to 256 characters."),
        ("abcabcabcabcabcabc", "too easy to guess"),
        ("my winterberry is red", "Leave your e-mail address"),
        ("at the Test Practice I am", "Leave your e-mail address"),
    ):
        page = cast.anonymous.post(f"/register/{token}", dict.fromkeys(BOTH, password))
        assert page.status_code == 422 and says in page.text and password not in page.text
    assert cast.anonymous.post(f"/register/{token}", BOTH).status_code == 303


def test_a_registration_that_was_replaced_gets_no_link(cast: Cast) -> None:
    register(said(), by=ANONYMOUS)
    older = newest_proof()
    register(said(), by=ANONYMOUS)
    with pytest.raises(Undeliverable):
        registration_link_for(older)


def test_what_was_never_proven_is_forgotten_with_its_mails(cast: Cast) -> None:
    send(cast)
    jobs.run_due_jobs()
    with clock_at(now() + timedelta(hours=73)):
        jobs.run_due_jobs()
        assert len(asked(Occasion.REGISTRATION)) == 1, "what the worker has not sent yet waits"
        jobs.send_due(show_only_without_a_page)
    with clock_at(now() + timedelta(hours=150)):
        jobs.run_due_jobs()
    assert not asked(Occasion.REGISTRATION)
    assert not db.session.scalars(sa.select(EmailProof)).all()


def show_only_without_a_page(leased: Any) -> None:
    registration_link_for(leased.proof)


# ---- Until it is matched -------------------------------------------------------------------------


def test_a1_who_is_not_matched_sees_nobodys_record_and_may_write(cast: Cast) -> None:
    thread = cast.send(cast.sophie)
    mina = registered(cast, last_name="KWON", first_name="SOPHIE", phone="(555) 010-0100")
    home = mina.get("/").text
    assert "has not matched your account" in home and "/account/not-matched" in home
    assert "has not matched your account" not in cast.sophie.get("/").text
    assert mina.get(f"/messages/{thread}").status_code == 404
    assert "165 cm" not in mina.get("/my-info").text and "165 cm" in cast.sophie.get("/my-info").text
    key = cast.send(mina, body="Am I known to you?")
    assert "not matched" in cast.nina.get(f"/staff/messages/{key}").text
    assert cast.sophie.get("/account/not-matched").status_code == 404


# ---- The demo ------------------------------------------------------------------------------------


def test_the_demo_shows_the_mail_with_a_link_that_works(cast: Cast) -> None:
    demo = create_app(test_settings(cast.app.config["MIGRATION_DATABASE_URL"], IS_DEMO=True))
    send(cast)
    with demo.app_context():
        assert jobs.send_due(show_only) == 1
        db.session.remove()
    page = Player(demo).get("/demo/mails").text
    assert "<bdi>mina@test.example</bdi>" in page
    (found,) = {*re.findall(r'href="(https://localhost/register/[\w-]{43})"', page)}
    assert cast.anonymous.post(found.removeprefix("https://localhost"), BOTH).status_code == 303
    db.session.close()
    assert person_with_password(EMAIL, PASSWORD) and [n.state for n in asked(Occasion.REGISTRATION)] == [NoticeState.SENT]
    with demo.app_context():
        for engine in db.engines.values():
            engine.dispose()
