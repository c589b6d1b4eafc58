"""The second step of the log-in: what a password alone opens, what a code is worth, and how one gets out of a lost phone."""

import json
import re
from datetime import timedelta
from typing import Any

import pyotp
import pytest
import sqlalchemy as sa

from practice import second_step, sessions
from practice.accounts import disable
from practice.db import SYSTEM, WRITE, Audit, clock_at, db, now, transaction
from practice.demo import PASSWORD
from practice.errors import Invalid, NotAllowed, TooMany
from practice.jobs import JOBS
from practice.outbox import Notice
from practice.people import AccountStatus, Person, hash_password, token_hash
from practice.second_step import HalfLogIn, HalfwayOver, RecoveryCode, SecondStep, offer_to, pass_with, state_of
from practice.sessions import LoginSession
from practice.settings import Practice, SecondStepFor
from tests.conftest import Cast, Player, fresh_context
from tests.examples.admin_practice import practice_form
from tests.examples.second_steps import ask_for, code_of, give_step, halfway
from tests.practice.test_accounts import together
from tests.test_walk import ROUTES, url
from web.gate import ANYONE, who_may

pytestmark = pytest.mark.usefixtures("quick_hashes")

ASK = "/login/second-step"


def give_password(*players: Player) -> None:
    with db.engines[WRITE].begin() as connection:
        for player in players:
            hashed = hash_password(PASSWORD)
            connection.execute(sa.update(Person.__table__).where(Person.id == player.id).values(password_hash=hashed))


def log_in(cast: Cast, who: Player, browser: Player | None = None, **more: str) -> tuple[Player, Any]:
    """The first half, with the password that `give_password` gave."""
    browser = browser or Player(cast.app)
    return browser, browser.post("/login", {"email": f"{who.login}@test.example", "password": PASSWORD} | more)


def kept(browser: Player) -> set[str]:
    """What the browser's cookie holds."""
    with fresh_context(browser.app), browser.app.test_request_context(headers=browser._headers(False)) as context:
        return set(context.session)


def told() -> list[tuple[int, str]]:
    db.session.close()
    return [tuple(row) for row in db.session.execute(sa.select(Notice.person_id, Notice.occasion).order_by(Notice.id))]


def rows(did: str) -> list[Audit]:
    db.session.close()
    return list(db.session.scalars(sa.select(Audit).where(Audit.did == did).order_by(Audit.id)))


def count(table: type) -> int:
    db.session.close()
    return db.session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def new_codes(page: str) -> list[str]:
    return re.findall(r"<bdi>((?:[A-Z2-9]{4}-){3}[A-Z2-9]{4})</bdi>", page)


def offered(page: str) -> tuple[str, pyotp.TOTP]:
    """The sealed key of a page, and the app of whoever scanned it."""
    sealed, key = re.search(r'name="sealed" value="([^"]+)"', page), re.search(r'class="key"><bdi>([A-Z2-7 ]+)</bdi>', page)
    assert sealed and key and 'src="data:image/svg+xml' in page
    return sealed[1], pyotp.TOTP(key[1].replace(" ", ""))


# ---- Halfway -------------------------------------------------------------------------------------


def test_A6_who_gave_the_password_alone_is_nobody_everywhere_else(cast: Cast) -> None:
    give_password(cast.ada)
    give_step(cast.ada)
    browser, answer = log_in(cast, cast.ada)
    assert (answer.status_code, answer.location) == (303, ASK) and kept(browser) == {"half"}
    page = browser.get(ASK)
    assert page.status_code == 200 and "six digits" in page.text and "ADA" not in page.text
    before = count(LoginSession)
    walked = 0
    for endpoint, method in ROUTES:
        rule = next(rule for rule in cast.app.url_map.iter_rules(endpoint) if method in (rule.methods or ()))
        if who_may(cast.app, endpoint) == ANYONE or rule.arguments:
            continue
        address = url(cast.app, endpoint)
        found = browser.get(address) if method == "GET" else browser.post(address)
        assert found.status_code == (303 if method == "GET" else 401), endpoint
        walked += 1
    assert walked > 60 and count(LoginSession) == before and browser.get("/login").status_code == 200
    assert count(HalfLogIn) == 1, "and it is still there for its own step"


def test_A8_cookie_and_token_are_new_after_each_step_and_the_old_ones_open_nothing(cast: Cast) -> None:
    give_password(cast.sam)
    app, _ = give_step(cast.sam)
    browser = Player(cast.app)
    before = browser._first_token()
    log_in(cast, cast.sam, browser, next="/staff/sent")
    assert browser.get(ASK).status_code == 200
    between, token = dict(browser.cookies), browser.token()
    assert token and token != before
    answer = browser.post(ASK, {"code": code_of(app), "next": "/staff/sent"})
    assert (answer.status_code, answer.location) == (303, "/staff/sent") and kept(browser) == {"key"}
    assert browser.get("/staff/").status_code == 200 and browser.token() not in ("", token)
    stolen = Player(cast.app, cookies=between)
    assert stolen.get("/staff/").status_code == 303 and stolen.get(ASK).location == "/login?done=log-in-over"
    assert "Log in again" in stolen.get("/login?done=log-in-over").text
    assert browser.get(ASK).status_code == 303, "who is logged in has no step to take"
    planted = Player(cast.app)
    planted.carry(half="x" * 43)
    assert planted.get(ASK).status_code == planted.post(ASK, {"code": code_of(app)}).status_code == 303
    assert [row.did for row in rows("pass_second_step")] == ["pass_second_step"] and len(rows("give_password")) == 1


@pytest.mark.parametrize("change", ["disabled", "late", "password", "reset"])
def test_A6_what_was_begun_ends_with_time_and_with_every_change_of_the_account(cast: Cast, change: str) -> None:
    give_password(cast.sam, cast.ada)
    app, _ = give_step(cast.sam)
    browser, _ = log_in(cast, cast.sam)
    before = count(LoginSession)
    later = now() + (timedelta(minutes=10, seconds=1) if change == "late" else timedelta(0))
    if change == "disabled":
        disable(cast.sam.key, by=cast.ada.actor)
    elif change == "password":
        give_password(cast.sam)
    elif change == "reset":
        cast.ada.post(f"/admin/people/{cast.sam.key}/second-step", {"present": PASSWORD})
    with clock_at(later):
        assert browser.get(ASK).location == "/login?done=log-in-over"
        answer = browser.post(ASK, {"code": code_of(app)})
        assert answer.location == "/login?done=log-in-over" and count(LoginSession) == before
        if change == "late":
            with transaction(by=SYSTEM, did="forget half log-ins") as tx:
                assert JOBS["forget half log-ins"][1](tx) == 1


# ---- Codes ---------------------------------------------------------------------------------------


def test_A16_a_code_works_once_and_a_phone_may_be_wrong_by_one_period(cast: Cast) -> None:
    app, _ = give_step(cast.sam)
    start = now()

    def take(periods: int, at: timedelta = timedelta(0)) -> bool:
        with clock_at(start + at):
            key = halfway_key(cast.sam)
            try:
                pass_with(key, code_of(app, periods=periods), address=f"192.0.2.{at.seconds % 250}")
            except Invalid:
                return False
            return True

    assert not take(-2) and not take(2)
    assert take(-1) and not take(-1), "once"
    assert take(1) and not take(1) and not take(0), "what came before the newest one is used up too"
    minutes = timedelta(minutes=20)
    assert take(0, minutes) and not take(0, minutes)


def halfway_key(who: Player) -> str:
    db.session.close()
    return second_step.begin(db.session.get_one(Person, who.id), by=who.actor)


def test_A52_of_two_who_send_the_same_code_at_once_one_comes_in(cast: Cast) -> None:
    app, codes = give_step(cast.sam)
    for code in (code_of(app), codes[0]):
        keys = [halfway_key(cast.sam) for _ in range(3)]
        outcome = together(cast, *[lambda key=key, code=code: pass_with(key, code, address=None) for key in keys])
        assert sorted(type(error).__name__ for error in outcome) == ["Invalid", "Invalid", "NoneType"]
    key, acts = halfway_key(cast.sam), []
    for code in (codes[1], codes[2]):
        acts.append(lambda code=code: pass_with(key, code, address=None))
    outcome = together(cast, *acts)
    assert sorted(type(error).__name__ for error in outcome) == ["HalfwayOver", "NoneType"], "half a log-in becomes one"


def test_A16_guessing_codes_is_refused_after_five_and_a_right_password_does_not_help(cast: Cast) -> None:
    give_password(cast.sam)
    app, codes = give_step(cast.sam)
    answers = []
    for n in range(6):
        browser, _ = log_in(cast, cast.sam)  # each time anew: what is counted is the account
        answers.append(browser.post(ASK if n % 2 else f"{ASK}?with=recovery", {"code": f"00000{n}" if n % 2 else "ABCD" * 4}))
    assert [answer.status_code for answer in answers] == [422] * 5 + [429]
    assert int(answers[5].headers["Retry-After"]) > 800 and "Wait 15 minutes" in answers[5].text
    assert "This code is not right" in answers[0].text and "<title>Error:" in answers[0].text
    assert 'value="ABCD' not in answers[4].text, "a code is not shown again"
    for right in (code_of(app), codes[0]):
        assert browser.post(ASK, {"code": right}).status_code == 429
    assert len(rows("second_step_failed")) == 5 and rows("second_step_failed")[0].actor_id == cast.sam.id
    assert log_in(cast, cast.sam)[1].location == ASK, "the password is still looked at"
    with clock_at(now() + timedelta(minutes=16)):
        browser, _ = log_in(cast, cast.sam)
        assert browser.post(ASK, {"code": code_of(app)}).status_code == 303


def test_A16_a_recovery_code_works_once_however_it_is_typed_and_the_owner_is_told(cast: Cast) -> None:
    give_password(cast.sophie)
    _, codes = give_step(cast.sophie)
    assert len(set(codes)) == 10 and told() == [(cast.sophie.id, "second_step")]
    for typed, status in ((codes[0].lower().replace("-", " "), 303), (codes[0], 422), (codes[1].replace("-", ""), 303)):
        browser, answer = log_in(cast, cast.sophie)
        assert "One of those you kept" in browser.get(f"{answer.location}?with=recovery").text
        assert browser.post(f"{ASK}?with=recovery", {"code": typed}).status_code == status
    assert told()[1:] == [(cast.sophie.id, "recovery")] * 2 and count(RecoveryCode) == 8
    assert "Recovery codes left</dt><dd>8</dd>" in browser.get("/account/second-step").text.replace("\n", "")
    _, others = give_step(cast.jihae)
    browser, _ = log_in(cast, cast.sophie)
    assert browser.post(ASK, {"code": others[0]}).status_code == 422, "of somebody else"


def test_A16_nothing_that_opens_the_account_stands_in_a_table_or_on_a_page(cast: Cast) -> None:
    give_password(cast.sam)
    page = cast.sam.get("/staff/account/second-step/app").text
    sealed, app = offered(page)
    sent = {"sealed": sealed, "code": code_of(app), "present": PASSWORD}
    codes = new_codes(cast.sam.post("/staff/account/second-step/app", sent).text)
    assert len(codes) == 10
    with db.engines[WRITE].connect() as connection:
        for table in db.metadata.sorted_tables:
            stored = str(connection.execute(sa.select(table)).all())
            words = [app.secret, *codes, *(code.replace("-", "") for code in codes)]
            assert not [word for word in words if word in stored], table.name
    assert db.session.scalar(
        sa.select(RecoveryCode.code_hash).where(RecoveryCode.code_hash == token_hash(codes[0].replace("-", "")))
    )
    for address in ("/staff/account/second-step", "/staff/account/second-step/app", "/staff/account/second-step/recovery-codes"):
        text = cast.sam.get(address).text
        assert app.secret[:8] not in text.replace(" ", "") and not new_codes(text)
    browser, _ = log_in(cast, cast.sam)
    assert browser.post(ASK, {"code": sent["code"]}).status_code == 422, "the code of the set-up was used by it"


# ---- Who has to ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("whom", "asked"), [("admins", "ada"), ("nobody", ""), ("staff", "ada sam")])
def test_who_has_to_have_one_is_asked_to_set_it_up(cast: Cast, whom: str, asked: str) -> None:
    give_password(cast.ada, cast.sam, cast.sophie)
    ask_for(SecondStepFor(whom))
    found = [name for name in ("ada", "sam", "sophie") if log_in(cast, getattr(cast, name))[1].location == ASK]
    assert found == asked.split()


def test_A6_a_set_up_that_was_not_finished_shuts_nobody_out(cast: Cast) -> None:
    give_password(cast.ada)
    ask_for(SecondStepFor.ADMINS)
    browser, _ = log_in(cast, cast.ada)
    abandoned, _ = offered(browser.get(ASK).text)
    assert count(SecondStep) == 0 and browser.get("/admin/").status_code == 303
    browser, _ = log_in(cast, cast.ada, next="/admin/staff")
    page = browser.get(f"{ASK}?next=/admin/staff")
    sealed, app = offered(page.text)
    assert sealed != abandoned and "asks for more than a password" in page.text
    assert browser.post(ASK, {"code": code_of(app)}).location == "/login?done=log-in-over", "there is nothing to be right about"
    for wrong in ("", "123", code_of(app, periods=5)):
        again = browser.post(f"{ASK}/app", {"sealed": sealed, "code": wrong, "next": "/admin/staff"})
        assert again.status_code == 422 and offered(again.text)[0] == sealed, "the picture that was scanned"
    assert count(SecondStep) == 0
    done = browser.post(f"{ASK}/app", {"sealed": sealed, "code": code_of(app), "next": "/admin/staff"})
    assert done.status_code == 200 and len(new_codes(done.text)) == 10 and 'href="/admin/staff"' in done.text
    assert browser.get("/admin/staff").status_code == 200 and kept(browser) == {"key", "csrf_token"}
    assert browser.post(f"{ASK}/app", {"sealed": sealed, "code": code_of(app)}).status_code == 303, "once"
    assert told() == [(cast.ada.id, "second_step")] and rows("set_up_second_step")[0].about == cast.ada.key
    with clock_at(now() + timedelta(minutes=2)):
        browser, _ = log_in(cast, cast.ada)
        assert "six digits that the app on your phone shows" in browser.get(ASK).text
        taken = browser.post(f"{ASK}/app", {"sealed": sealed, "code": code_of(app)})
        assert taken.status_code == 303 and "log-in-over" in taken.location, "who has one does not set one up by the password"
        assert browser.post(ASK, {"code": code_of(app)}).status_code == 303


def test_A15_a_key_is_set_up_by_whom_it_was_made_for_and_in_time(cast: Cast) -> None:
    give_password(cast.sophie, cast.jihae)
    offer = offer_to(cast.jihae.id)
    sent = {"sealed": offer.sealed, "code": code_of(pyotp.TOTP(offer.key)), "present": PASSWORD}
    address = "/account/second-step/app"
    answers = [cast.sophie.post(address, sent | {"sealed": sealed}) for sealed in (offer.sealed, "", "gAAAAA", "é" * 60)]
    with clock_at(now() + timedelta(minutes=61)):
        cast.jihae.log_in()
        answers.append(cast.jihae.post(address, sent | {"code": code_of(pyotp.TOTP(offer.key))}))
    assert all(answer.status_code == 422 and "This took too long" in answer.text for answer in answers)
    assert not {offered(answer.text)[0] for answer in answers} & {offer.sealed} and count(SecondStep) == 0


# ---- My Account ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("who", "side"), [("sam", "/staff"), ("sophie", "")])
def test_A15_every_change_asks_for_the_password_ends_other_sessions_and_tells_the_owner(cast: Cast, who: str, side: str) -> None:
    me, other = getattr(cast, who), getattr(cast, "fay" if who == "sam" else "jihae")
    give_password(me)
    app, codes = give_step(me)
    other_browser = Player(cast.app, me.id)
    begun = halfway(cast, me)
    address = f"{side}/account/second-step"
    assert me.get(address).status_code == 200 and "Turn off" in me.get(address).text
    sealed, new_app = offered(me.get(f"{address}/app").text)
    sent = {"sealed": sealed, "code": code_of(new_app)}
    before = told()
    for part in ("app", "recovery-codes", "off"):
        assert me.get(f"{address}/{part}").status_code == 200
        assert me.post(f"{address}/{part}", sent).status_code == 422
        wrong = me.post(f"{address}/{part}", sent | {"present": "wrong"})
        assert wrong.status_code == 403 and "This is not your present password." in wrong.text and not new_codes(wrong.text)
    assert state_of(me.id).codes_left == 10 and told() == before and other_browser.get(address).status_code == 200
    assert [row.about for row in rows("denied")][-1].endswith("turn_off_second_step")

    renewed = new_codes(me.post(f"{address}/recovery-codes", {"present": PASSWORD}).text)
    assert len(renewed) == 10 and not set(renewed) & set(codes)
    with pytest.raises(Invalid):
        pass_with(halfway_key(me), codes[0], address=None)
    wrong = me.post(f"{address}/app", sent | {"code": code_of(new_app, periods=4), "present": PASSWORD})
    assert wrong.status_code == 422 and "Enter the one that the app shows now" in wrong.text
    changed = me.post(f"{address}/app", sent | {"present": PASSWORD})
    assert changed.status_code == 200 and len(new_codes(changed.text)) == 10
    assert other_browser.get(address).status_code == 303 and me.get(address).status_code == 200
    assert begun.get(ASK).status_code == 303, "who was halfway with the old phone begins anew"
    for code in (code_of(app, periods=1), renewed[0]):
        with pytest.raises(Invalid):
            pass_with(halfway_key(me), code, address="192.0.2.1")
    assert pass_with(halfway_key(me), code_of(new_app, periods=1), address="192.0.2.1").id == me.id

    other_browser = Player(cast.app, me.id)
    assert me.post(f"{address}/off", {"present": PASSWORD}).location == f"{address}?done=second-step-off"
    assert "turned off" in me.get(f"{address}?done=second-step-off").text and other_browser.get(address).status_code == 303
    assert (count(SecondStep), count(RecoveryCode), count(HalfLogIn)) == (0, 0, 0) and other.get(address).status_code == 200
    for part in ("recovery-codes", "off"):
        assert me.post(f"{address}/{part}", {"present": PASSWORD}).status_code == 404
    assert [occasion for person, occasion in told() if person == me.id] == ["second_step"] * 4
    patient = me.id if who == "sophie" else None
    assert [(r.about, r.patient_id) for r in rows("turn_off_second_step")] == [(me.key, patient)]


def test_who_has_to_have_one_does_not_turn_it_off(cast: Cast) -> None:
    give_password(cast.ada)
    give_step(cast.ada)
    ask_for(SecondStepFor.ADMINS)
    address = "/staff/account/second-step"
    assert "cannot be turned off" in cast.ada.get(address).text and "cannot be turned off" in cast.ada.get(f"{address}/off").text
    assert cast.ada.post(f"{address}/off", {"present": PASSWORD}).status_code == 403
    assert state_of(cast.ada.id).since and cast.ada.get(address).status_code == 200


def test_the_practice_says_who_has_to_and_the_audit_what_it_said(cast: Cast) -> None:
    assert 'name="second_step"' in cast.ada.get("/admin/practice").text
    assert cast.ada.post("/admin/practice", practice_form(second_step="staff")).status_code == 303
    assert db.session.scalar(sa.select(Practice.second_step)) == SecondStepFor.STAFF
    details = json.loads(rows("save_practice")[-1].details)
    assert (details["before"], details["after"]) == ({"second_step": "nobody"}, {"second_step": "staff"})
    wrong = cast.ada.post("/admin/practice", practice_form(second_step="everybody"))
    assert wrong.status_code == 422 and "Choose one of the three." in wrong.text


# ---- Reset ---------------------------------------------------------------------------------------


def test_A15_another_admin_resets_it_and_nobody_the_own_one(cast: Cast) -> None:
    give_password(cast.ada, cast.sam, cast.sophie)
    eve = cast.staff("eve", is_admin=True)
    give_password(eve)
    for who in (cast.ada, cast.sam, cast.sophie):
        give_step(who)
    ask_for(SecondStepFor.ADMINS)
    sam, ada = (f"/admin/people/{who.key}/second-step" for who in (cast.sam, cast.ada))
    assert "another admin can reset it" in cast.ada.get(ada).text and 'name="present"' not in cast.ada.get(ada).text
    assert cast.ada.post(ada, {"present": PASSWORD}).status_code == 403
    for who, status in ((cast.sam, 403), (cast.sophie, 403), (cast.anonymous, 401)):
        assert who.post(sam, {"present": PASSWORD}).status_code == status
    wrong = cast.ada.post(sam, {"present": "wrong"})
    assert wrong.status_code == 403 and "This is not your password." in wrong.text
    db.session.close()
    opened = sessions.open_session(db.session.get_one(Person, cast.sam.id), by=cast.sam.actor)
    found = sessions.visitor_with(opened)
    assert found
    with pytest.raises(NotAllowed):  # whose role was taken away between the gate and the act
        second_step.reset(found[0], cast.ada.key, present=PASSWORD)
    assert count(SecondStep) == 3 and cast.sam.get("/staff/").status_code == 200
    for admin, who in ((cast.ada, cast.sam), (cast.ada, cast.sophie), (eve, cast.ada)):
        page = f"/admin/people/{who.key}/second-step"
        assert who.login.upper() in admin.get(page).text
        assert admin.post(page, {"present": PASSWORD}).location == f"{page}?done=second-step-reset"
        assert "Reset. The person is told" in admin.get(f"{page}?done=second-step-reset").text
        assert who.get("/staff/" if who is not cast.sophie else "/").status_code == 303, "all sessions ended"
    assert [(r.actor_id, r.about, r.patient_id) for r in rows("reset_second_step")] == [
        (cast.ada.id, cast.sam.key, None),
        (cast.ada.id, cast.sophie.key, cast.sophie.id),
        (eve.id, cast.ada.key, None),
    ]
    assert told()[3:] == [(who.id, "second_step") for who in (cast.sam, cast.sophie, cast.ada)]
    assert log_in(cast, cast.sam)[1].location == "/staff/" and log_in(cast, cast.sophie)[1].location == "/"
    browser, answer = log_in(cast, cast.ada)
    assert answer.location == ASK and offered(browser.get(ASK).text), "who has to have one sets it up anew"
    eve.log_in()
    assert "has no second step" in eve.get(sam).text and eve.post(sam, {"present": PASSWORD}).status_code == 404


def test_a_reset_opens_what_guessing_codes_had_shut_and_a_new_password_does_not(cast: Cast) -> None:
    give_step(cast.sam)
    key = halfway_key(cast.sam)
    for _ in range(5):
        with pytest.raises(Invalid):
            pass_with(key, "000000", address="192.0.2.1")
    with transaction(by=SYSTEM, did="set_up_tests") as tx:
        second_step.open_again(tx, second_step.Guessed.PASSWORD, "sam@test.example")
    with pytest.raises(TooMany):
        pass_with(key, "000000", address="192.0.2.1")
    assert second_step.reset_by_command(" SAM@test.example") == "STAFF, SAM"
    app, _ = give_step(cast.sam)
    assert pass_with(halfway_key(cast.sam), code_of(app), address="192.0.2.1").id == cast.sam.id


def test_an_operator_resets_the_last_admin_by_a_command(cast: Cast) -> None:
    give_step(cast.ada)
    run = cast.app.test_cli_runner()
    for email in ("nobody@test.example", "sam@test.example"):
        refused = run.invoke(args=["reset-second-step", email])
        assert refused.exit_code == 1 and "No account with this e-mail address has a second step." in refused.output
    done = run.invoke(args=["reset-second-step", "Ada@test.example"])
    assert done.exit_code == 0 and "STAFF, ADA logs in with the password alone now" in done.output
    (row,) = rows("reset_second_step")
    assert (row.actor_name, row.about) == ("command", cast.ada.key) and told()[-1] == (cast.ada.id, "second_step")
    assert cast.ada.get("/admin/").status_code == 303


# ---- Another SECRET_KEY --------------------------------------------------------------------------


def test_F22_another_secret_key_with_the_old_one_changes_nothing_and_without_a_recovery_code_helps(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, codes = give_step(cast.sam)
    old = cast.app.config["SECRET_KEY"]
    monkeypatch.setitem(cast.app.config, "SECRET_KEY", "another one, just as long as that before")
    monkeypatch.setitem(cast.app.config, "SECRET_KEY_FALLBACKS", [old])
    with clock_at(now() - timedelta(minutes=5)):
        assert pass_with(halfway_key(cast.sam), code_of(app), address=None).id == cast.sam.id
    for done in (1, 0):
        with transaction(by=SYSTEM, did="encrypt keys anew") as tx:
            assert JOBS["encrypt keys anew"][1](tx) == done
    monkeypatch.setitem(cast.app.config, "SECRET_KEY_FALLBACKS", None)
    assert pass_with(halfway_key(cast.sam), code_of(app), address=None).id == cast.sam.id, "it was encrypted anew"
    monkeypatch.setitem(cast.app.config, "SECRET_KEY", "a third one that nobody has told the portal of")
    with clock_at(now() + timedelta(minutes=5)):
        with transaction(by=SYSTEM, did="encrypt keys anew") as tx:
            assert JOBS["encrypt keys anew"][1](tx) == 0
        with pytest.raises(Invalid):
            pass_with(halfway_key(cast.sam), code_of(app), address=None)
        assert pass_with(halfway_key(cast.sam), codes[0], address=None).id == cast.sam.id


def test_a_half_of_somebody_locked_or_asked_no_more_is_over(cast: Cast) -> None:
    give_step(cast.sophie)
    key = halfway_key(cast.sophie)
    with db.engines[WRITE].begin() as connection:
        connection.execute(sa.update(Person.__table__).where(Person.id == cast.sophie.id).values(status=AccountStatus.LOCKED))
    ask_for(SecondStepFor.STAFF)
    other = halfway_key(cast.sam)
    ask_for(SecondStepFor.NOBODY)
    for one in (key, other, "", "x" * 43):
        db.session.close()
        with pytest.raises(HalfwayOver):
            second_step.halfway(one)
