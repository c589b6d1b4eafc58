"""Log-in, the session and its ends."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from practice import people
from practice.coverage import set_staff_status
from practice.db import WRITE, clock_at, db, now
from practice.people import AccountStatus, Person
from practice.sessions import ABSOLUTE, IDLE, LoginSession
from tests.conftest import Cast, Player

PASSWORD = "a long enough password"


def give_password(person: Player) -> None:
    with db.engines[WRITE].begin() as connection:
        connection.execute(sa.update(Person).where(Person.id == person.id).values(password_hash=people.hash_password(PASSWORD)))


def log_in(cast: Cast, who: Player, password: str = PASSWORD, **more: str) -> tuple[Player, object]:
    give_password(who)
    browser = Player(cast.app)
    return browser, browser.post("/login", {"email": f"{who.login}@test.example", "password": password} | more)


@pytest.mark.parametrize(("who", "home"), [("sophie", "/"), ("sam", "/staff/"), ("ada", "/admin/")])
def test_each_role_lands_on_its_own_side(cast, who, home):
    _, answer = log_in(cast, getattr(cast, who))
    assert (answer.status_code, answer.location) == (303, home)


def test_a11_s6_a_wrong_password_says_no_more_than_an_unknown_address(cast):
    _, wrong = log_in(cast, cast.sophie, "not the password at all")
    unknown = Player(cast.app).post("/login", {"email": "nobody@test.example", "password": "not the password at all"})
    assert wrong.status_code == unknown.status_code == 422
    assert "E-mail or password is not right." in wrong.text and "E-mail or password is not right." in unknown.text


def test_a7_a8_s5_the_cookie_is_new_at_log_in_and_worthless_after_log_out(cast):
    browser, _ = log_in(cast, cast.sophie)
    stolen = Player(cast.app, cookies=dict(browser.cookies))
    assert stolen.get("/").status_code == 200
    answer = browser.post("/logout")
    assert answer.status_code == 303
    assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert stolen.get("/").status_code == 303


def test_a40_the_cookie_has_one_name_and_all_flags(cast):
    answer = cast.anonymous.get("/login")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-portal=")
    for flag in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert flag in cookie
    assert "Domain" not in cookie and "Max-Age" not in cookie


@pytest.mark.parametrize("who", ["sophie", "sam"])
def test_a9_s5_idle_people_are_logged_off_and_active_ones_are_not(cast, who):
    player = getattr(cast, who)
    home = "/" if who == "sophie" else "/staff/"
    idle = IDLE["patient" if who == "sophie" else "staff"]
    start = now()
    with clock_at(start + idle - timedelta(seconds=5)):
        assert player.get(home).status_code == 200
    with clock_at(start + idle + timedelta(minutes=1)):
        assert player.get(home).status_code == 200, "the page view before has moved the idle end"
    with clock_at(start + 3 * idle):
        assert player.get(home).location.startswith("/login")


def test_a9_polling_keeps_nobody_logged_in(cast):
    start = now()
    for minute in range(0, 30, 2):
        with clock_at(start + timedelta(minutes=minute)):
            cast.sophie.get("/", headers={"X-Poll": "1"})
    with clock_at(start + timedelta(minutes=31)):
        assert cast.sophie.get("/").status_code == 303


def test_a9_s5_nobody_stays_longer_than_twelve_hours(cast):
    start = now()
    for minute in range(0, 12 * 60, 10):
        with clock_at(start + timedelta(minutes=minute)):
            assert cast.sophie.get("/healthz").status_code == 200
            cast.sophie.post("/stay")
    with clock_at(start + ABSOLUTE + timedelta(seconds=1)):
        assert cast.sophie.get("/").status_code == 303


def test_stay_logged_in_moves_the_end_at_once_and_tells_it(cast):
    with clock_at(now() + timedelta(seconds=20)):
        answer = cast.sophie.post("/stay", headers={"Accept": "application/json"})
    assert answer.json["ends"] > 0
    ends = db.session.scalars(sa.select(LoginSession.idle_ends_at).where(LoginSession.person_id == cast.sophie.id)).one()
    assert ends > now() + IDLE["patient"]


@pytest.mark.parametrize(
    "path",
    [
        "//evil.test",
        "/\\evil.test",
        "https://evil.test/",
        "javascript:alert(1)",
        "/messages\r\nX: y",
        "/" + "a" * 5000,
        "/nowhere",
    ],
)
def test_a25_next_leads_only_to_a_page_of_ours(cast, path):
    _, answer = log_in(cast, cast.sophie, next=path)
    assert answer.location == "/"


def test_next_leads_where_the_visitor_wanted_to_go(cast):
    wanted = Player(cast.app).get("/messages/sent")
    assert wanted.location == "/login?next=/messages/sent"
    _, answer = log_in(cast, cast.sophie, next="/messages/sent")
    assert answer.location == "/messages/sent"


def test_a17_s3_an_unsafe_request_needs_our_origin_and_our_token(cast):
    assert cast.sophie.post("/stay", token="").status_code == 400
    assert cast.sophie.post("/stay", token=cast.jihae.token()).status_code == 400
    assert cast.sophie.post("/stay", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert cast.sophie.post("/stay", headers={"Origin": "https://evil.test"}).status_code == 403
    assert cast.sophie.post("/stay", headers={"Origin": "null"}).status_code == 403
    assert cast.sophie.post("/stay", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 303


def test_a5_s5_a_disabled_account_is_out_with_the_next_request(cast):
    assert cast.sam.get("/staff/").status_code == 200
    set_staff_status(cast.sam.key, AccountStatus.DISABLED, by=cast.ada.actor)
    assert cast.sam.get("/staff/").status_code == 303
