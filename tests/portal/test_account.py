"""My Account: password, mails, log-ins, who opened one's messages."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from practice import jobs
from practice.db import clock_at, db, now
from practice.demo import PASSWORD
from practice.outbox import Notice, NoticeState, Occasion, next_morning
from practice.people import Person, person_with_password
from practice.sessions import LoginSession
from practice.threads import Thread, reference_of
from tests.conftest import Player
from tests.examples.portal import log_in, password
from tests.portal.helpers import change_practice

NEW = "three plums on a roof"


def notices(state=None):
    db.session.close()
    found = sa.select(Notice).where(Notice.occasion.in_((Occasion.ANSWERED, Occasion.PASSWORD))).order_by(Notice.id)
    return [notice for notice in db.session.scalars(found) if state in (None, notice.state)]


def another(cast):
    return Player(cast.app, cast.sophie.id, cast.sophie.key, cast.sophie.name)


def test_s5_a_new_password_ends_every_other_session_and_tells_the_address(cast):
    other, form = another(cast), password(cast)["data"]
    before = dict(cast.sophie.cookies)
    answer = cast.sophie.post("/account/password", form)
    assert answer.status_code == 303 and "was changed" in cast.sophie.get(answer.headers["Location"]).text
    assert other.get("/").status_code == 303 and cast.sophie.cookies != before
    cast.sophie.cookies, after = before, cast.sophie.cookies
    assert cast.sophie.get("/").status_code == 303, "the cookie as it was before opens nothing"
    cast.sophie.cookies = after
    assert cast.sophie.get("/").status_code == 200
    db.session.close()
    person = db.session.get_one(Person, cast.sophie.id)
    assert person_with_password(person.email, NEW) and not person_with_password(person.email, PASSWORD)
    (told,) = notices()
    assert (told.occasion, told.person_id, told.thread_id) == (Occasion.PASSWORD, cast.sophie.id, None)


@pytest.mark.parametrize(
    ("wrong", "status", "says"),
    [
        ({"present": "not the right one"}, 403, "not your present password"),
        ({"password_again": "three plums on a ROOF"}, 422, "differ"),
        ({"password": "short", "password_again": "short"}, 422, "15 to 256"),
        ({"password": "x" * 257, "password_again": "x" * 257}, 422, "15 to 256"),
        ({"password": "aaaaaaaaaaaaaaaa", "password_again": "aaaaaaaaaaaaaaaa"}, 422, "too easy"),
        ({"present": ""}, 422, "present password"),
        ({"password": ""}, 422, "Write a password"),
    ],
)
def test_a_wrong_password_form_changes_nothing(cast, wrong, status, says):
    answer = cast.sophie.post("/account/password", password(cast)["data"] | wrong)
    assert answer.status_code == status and says in answer.text and NEW not in answer.text
    assert notices() == [] and cast.sophie.get("/").status_code == 200


def test_the_own_address_is_no_password(cast):
    db.session.close()
    said = "x " + db.session.get_one(Person, cast.sophie.id).email
    form = password(cast)["data"] | {"password": said, "password_again": said}
    assert cast.sophie.post("/account/password", form).status_code == 422


def test_log_out_elsewhere_leaves_this_one(cast):
    other = another(cast)
    page = cast.sophie.get("/account/log-ins").text
    assert "This one" in page and "Log out elsewhere" in page
    cast.sophie.post("/account/log-ins/end")
    assert other.get("/").status_code == 303 and cast.sophie.get("/").status_code == 200
    assert "nowhere else" in cast.sophie.get("/account/log-ins").text


def test_a7_s5_one_log_in_is_ended_by_its_person_alone(cast):
    example = log_in(cast)
    address = f"/account/log-ins/{example['own']['key']}/end"
    assert "Firefox on Windows" in cast.sophie.get("/account/log-ins").text
    assert cast.jihae.post(address).status_code == 404
    assert cast.sophie.post(address).status_code == 303 and cast.sophie.post(address).status_code == 404
    assert "Firefox on Windows" not in cast.sophie.get("/account/log-ins").text


def test_the_own_session_is_not_ended_from_the_list(cast):
    db.session.close()
    mine = db.session.scalars(sa.select(LoginSession).where(LoginSession.person_id == cast.sophie.id)).one()
    page = cast.sophie.get("/account/log-ins").text
    assert mine.key_hash not in page and f"/account/log-ins/{mine.id}/" not in page


@pytest.mark.parametrize("shows", [True, False])
def test_who_opened_my_messages_is_told_as_far_as_the_practice_allows(cast, shows):
    change_practice(shows_staff_names=shows)
    key = cast.send(cast.sophie, "Others", to="Clinicians")
    assert "Nobody has opened" in cast.sophie.get("/account/readers").text
    cast.nina.get(f"/staff/messages/{key}")
    page = cast.sophie.get("/account/readers").text
    assert (cast.nina.name in page) is shows and f"/messages/{key}" in page
    assert f"/messages/{key}" not in cast.jihae.get("/account/readers").text


def test_the_account_stays_reachable_where_its_data_are_switched_off(cast):
    change_practice(menu_off="account_info")
    assert cast.sophie.get("/account").status_code == 404
    assert "Your data" not in cast.sophie.get("/account/password").text
    assert "/account/log-ins" in cast.sophie.get("/").text


# ---- How answers are told ------------------------------------------------------------------------


def wish(cast, how):
    assert cast.sophie.post("/account/mails", {"notices": how}).status_code == 303


def answered(cast, times=1):
    keys = []
    for _ in range(times):
        keys.append(cast.send(cast.sophie, "Others", to="Clinicians"))
        cast.answer(cast.nina, keys[-1])
    return keys


def sent_now():
    mails = []
    jobs.send_due(mails.append)
    db.session.close()
    return [mail for mail in mails if mail.occasion == Occasion.ANSWERED]


def test_each_answer_is_told_at_once(cast):
    answered(cast)
    (mail,) = sent_now()
    assert len(mail.threads) == 1 and [n.state for n in notices()] == [NoticeState.SENT]


def test_daily_is_one_mail_in_the_morning_that_quotes_all(cast):
    wish(cast, "daily")
    answered(cast, 3)
    assert sent_now() == []
    with clock_at(next_morning(db.session()) + timedelta(minutes=1)):
        (mail,) = sent_now()
    assert len(mail.threads) == 3 and {n.state for n in notices()} == {NoticeState.SENT}
    page = cast.anonymous.get("/demo/mails")
    numbers = [reference_of(n) for n in db.session.scalars(sa.select(Thread.id))]
    assert page.status_code == 404 or all(number in page.text for number in numbers)


def test_none_is_no_row(cast):
    wish(cast, "none")
    answered(cast)
    assert notices() == []


def test_what_was_opened_meanwhile_is_not_told(cast):
    wish(cast, "daily")
    first, _ = answered(cast, 2)
    cast.sophie.get(f"/messages/{first}")
    with clock_at(next_morning(db.session()) + timedelta(minutes=1)):
        (mail,) = sent_now()
    assert len(mail.threads) == 1 and {n.state for n in notices()} == {NoticeState.SENT}


def test_a_new_wish_holds_for_what_waits(cast):
    wish(cast, "daily")
    answered(cast)
    wish(cast, "each")
    assert len(sent_now()) == 1
    wish(cast, "daily")
    answered(cast)
    wish(cast, "none")
    assert notices(NoticeState.WAITING) == []


def test_whoever_is_locked_meanwhile_is_not_told(cast):
    answered(cast)
    with db.engines["write"].begin() as connection:
        connection.execute(sa.text("UPDATE person SET status = 'locked' WHERE id = :id"), {"id": cast.sophie.id})
    assert sent_now() == [] and [n.state for n in notices()] == [NoticeState.DEAD]


def test_a_mail_that_fails_is_tried_again_whole(cast):
    answered(cast, 2)

    def refuse(_):
        raise OSError

    jobs.send_due(refuse)
    assert {(n.state, n.attempts) for n in notices()} == {(NoticeState.WAITING, 1)}
    with clock_at(now() + timedelta(hours=1)):
        assert len(sent_now()) == 1


def test_an_unknown_wish_is_refused(cast):
    assert cast.sophie.post("/account/mails", {"notices": "hourly"}).status_code == 422
