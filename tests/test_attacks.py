"""What was tried against the portal and did get through once."""

from datetime import timedelta
from io import BytesIO

import pytest
import sqlalchemy as sa

from practice.db import clock_at, db, new_key, now
from practice.drafts import Draft
from practice.sessions import IDLE
from tests.test_login import give_password, log_in
from tests.test_refusals import WORDS, message
from tests.test_walk import domain


@pytest.mark.parametrize("body", ["1", '"x"', "[1, 2]", '{"body": 123}', '{"key": 5}', '{"title": true, "body": "\\ud800"}'])
@pytest.mark.parametrize("address", ["/messages/new", "/appointments/new", "/results/new", "/login"])
def test_a30_a_form_is_never_read_from_json(cast, address, body):
    before = domain()
    headers = {"X-CSRFToken": cast.sophie.token()}
    answer = cast.sophie._open("POST", address, False, headers, data=body, content_type="application/json")
    assert answer.status_code == 422
    assert domain() == before


@pytest.mark.parametrize("name", ["body", "title", "key"])
def test_a_file_in_the_place_of_a_text_is_no_text(cast, name):
    form = message(cast) | {"csrf_token": cast.sophie.token()}
    form[name] = (BytesIO(b"a file"), "a.txt")
    answer = cast.sophie._open("POST", "/messages/new", False, None, data=form, content_type="multipart/form-data")
    assert answer.status_code == (303 if name == "key" else 422)


def test_an_unrouted_reply_says_so_at_once(cast):
    key = cast.send(cast.sophie, to="IT Manager")
    cast.change("IT Manager", is_in_use=False)
    assert cast.sophie.post(f"/messages/{key}/replies", {"key": new_key(), "body": "Again"}).status_code == 303
    assert "Received by the practice, being assigned" in cast.sophie.get(f"/messages/{key}").text


@pytest.mark.parametrize("nothing", ["\u200b", "\ufeff\u200d", "\x01", "\u2060 \t"])
def test_a_title_that_shows_nothing_is_no_title(cast, nothing):
    assert cast.sophie.post("/messages/new", message(cast, title=nothing)).status_code == 422
    form = {"type": "Others", "title": nothing, "staff": cast.dan.key, "is_in_use": "y", "action": "save", "key": new_key()}
    assert cast.ada.post("/admin/communicators", form).status_code == 422


def test_a_weekday_named_twice_is_one(cast):
    day = (now() + timedelta(days=5)).date().isoformat()
    form = {
        "facility": cast.linden,
        "first_day": day,
        "last_day": day,
        "reason": "A",
        "weekdays": ["0"] * 9,
        "key": new_key(),
        "reviewed": "yes",
    }
    assert cast.sophie.post("/appointments/new", form).status_code == 303
    assert db.session.scalar(sa.text("SELECT weekdays FROM appointment_request")) == "0"


def expired(cast, player, address, form, token):
    with clock_at(now() + IDLE["patient"] + timedelta(minutes=1)):
        return player.post(address, form, token=token)


def test_a_form_that_was_sent_is_no_draft_after_the_sessions_end(cast):
    form, token = message(cast), cast.sophie.token()
    assert cast.sophie.post("/messages/new", form).status_code == 303
    answer = expired(cast, cast.sophie, "/messages/new", form, token)
    assert answer.status_code == 401 and "not sent" not in answer.text and "draft" not in answer.text
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Draft)) == 0


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("/messages/" + "a" * 400 + "/replies", "k" * 22),
        ("/messages/new", "a\0b"),
        ("/messages/new", ""),
        ("/messages/new", "k" * 23),
    ],
)
def test_a_form_that_could_not_be_opened_again_is_shown_to_copy_instead(cast, address, key):
    answer = expired(cast, cast.sophie, address, message(cast) | {"key": key}, cast.sophie.token())
    assert answer.status_code == 401 and WORDS in answer.text and "kept as a draft" not in answer.text
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Draft)) == 0


def test_a_search_is_no_draft(cast):
    answer = expired(cast, cast.sam, "/staff/patients/searches", {"key": new_key(), "name": "KWON"}, cast.sam.token())
    assert answer.status_code == 401 and "kept as a draft" not in answer.text


def test_a_kept_reply_to_what_is_not_mine_any_more_is_shown_to_copy(cast):
    key = cast.send(cast.sophie, "Appointment")
    give_password(cast.sam)
    form, token = {"key": new_key(), "seen": "1", "body": WORDS}, cast.sam.token()
    with clock_at(now() + IDLE["staff"] + timedelta(minutes=1)):
        assert "kept as a draft" in cast.sam.post(f"/staff/messages/{key}/replies", form, token=token).text
        cast.change("Scheduler", staff=[cast.fay])
        browser, landed = log_in(cast, cast.sam)
        answer = browser.get(landed.location)
    assert answer.status_code == 404 and WORDS in answer.text


def test_a_stale_act_from_an_earlier_page_is_told(cast):
    key = cast.send(cast.sophie, "Appointment")
    first = db.session.scalar(sa.text("SELECT key FROM message"))
    for act in ("closing", "removal", "receipts"):
        assert cast.sam.post(f"/staff/messages/{key}/{act}?earlier={first}", {"version": "99"}).status_code == 409


def test_no_words_of_anybody_reach_the_log(cast, caplog):
    with pytest.raises(sa.exc.DBAPIError) as failed:
        db.session.execute(sa.text("SELECT :words FROM nowhere"), {"words": WORDS})
    db.session.rollback()
    assert WORDS not in str(failed.value)


def test_the_same_form_makes_one_communicator(cast):
    form = {"type": "Others", "title": "Billing", "staff": cast.dan.key, "is_in_use": "y", "action": "save", "key": new_key()}
    answers = [cast.ada.post("/admin/communicators", form) for _ in range(3)]
    assert [a.status_code for a in answers] == [303] * 3 and len({a.location for a in answers}) == 1
    assert cast.ada.post("/admin/communicators", form | {"title": "Another"}).status_code == 422
    assert db.session.scalar(sa.text("SELECT count(*) FROM communicator")) == 6
