"""The own account under attack: what is easy to guess, what must never be kept, who may end whose session."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from practice import own_account
from practice.db import WRITE, Audit, clock_at, db, now
from practice.demo import PASSWORD
from practice.drafts import Draft
from practice.errors import Invalid, NotAllowed, NotVisible, Stale
from practice.people import Person, person_with_password
from practice.sessions import LoginSession, open_session, visitor_with
from tests.conftest import Player
from tests.examples.portal import password as example

NEW = "three plums on a roof"


def visitor_of(cast, player=None):
    """A session of Sophie's, as the gate knows it, with its secret."""
    player = player or cast.sophie
    key = open_session(db.session.get_one(Person, player.id), by=player.actor)
    return visitor_with(key)[0], key


def audits(did):
    db.session.close()
    return list(db.session.scalars(sa.select(Audit).where(Audit.did == did)))


def change(visitor, *, present=PASSWORD, new=NEW):
    return own_account.change_password(visitor, present=present, new=new, by=visitor.actor)


@pytest.mark.parametrize(
    "new",
    [
        "x" * 15,
        "abcabcabcabcabcabc",
        "1234123412341234",
        "1234567890123456",
        "9876543210987654",
        "abcdefghijklmnopq",
        "qwertyuiopasdfgh",
        "plums plums plums ",
        " " * 16,
        "\u0301" * 20,
        "sophie2026sophie",
        "Test Practice 2026!",
        "TEST PRACTICE and me",
        "plums and \0 a roof",
        "short",
        "x" * 257,
    ],
)
def test_a12_what_anybody_would_try_first_is_refused(cast, new):
    example(cast)
    visitor, _ = visitor_of(cast)
    with pytest.raises(Invalid) as found:
        change(visitor, new=new)
    assert found.value.field == "password" and audits("change_password") == []


@pytest.mark.parametrize(
    "new",
    [
        "three plums on a roof",
        "ฉันชอบกินทุเรียนมากที่สุด",
        "plums and other plums",
        "日本語の長い合言葉はこれです。よい",
        "🙂🙃😀😃😄😁😆😅🤣😂🙂🙃😉😊😇",
        "x1" * 7 + "kqz",
    ],
)
def test_a12_what_nobody_would_try_is_taken_in_any_script(cast, new):
    example(cast)
    visitor, _ = visitor_of(cast)
    change(visitor, new=new)
    email = db.session.get_one(Person, cast.sophie.id).email
    assert person_with_password(email, new) and not person_with_password(email, PASSWORD)


def test_a_short_name_of_the_practice_forbids_no_password(cast):
    example(cast)
    with db.engines[WRITE].begin() as connection:
        connection.execute(sa.text("UPDATE practice SET name = 'A'"))
    change(visitor_of(cast)[0], new="a b c and more besides")


def test_a12_a_megabyte_is_answered_without_hashing(cast, monkeypatch):
    form = example(cast)["data"]
    monkeypatch.setattr(own_account, "hash_password", lambda _: pytest.fail("hashed"))
    monkeypatch.setattr(own_account, "password_of", lambda *_, **_how: pytest.fail("hashed"))
    long = "x y z " * 40_000
    answer = cast.sophie.post("/account/password", form | {"password": long, "password_again": long})
    assert answer.status_code in (413, 422)


def test_the_present_password_is_asked_and_its_lack_is_on_record(cast):
    form = example(cast)["data"]
    assert cast.sophie.post("/account/password", form | {"present": "not the right one"}).status_code == 403
    assert [row.about for row in audits("denied")] == ["portal.change_password"]
    with pytest.raises(NotAllowed):
        change(visitor_of(cast)[0], present=PASSWORD + "\0")


def test_a_password_form_after_the_session_is_kept_nowhere_and_shown_nowhere(cast):
    form = example(cast)["data"] | {"present": "my very own present words"}
    token = cast.sophie.token()
    with clock_at(now() + timedelta(minutes=31)):
        answer = cast.sophie.post("/account/password", form, token=token)
    db.session.close()
    assert "my very own present words" not in answer.text
    assert [draft.values for draft in db.session.scalars(sa.select(Draft))] == []


def test_a_password_form_that_is_refused_shows_no_password(cast):
    form = example(cast)["data"] | {"present": "my very own present words"}
    answer = cast.sophie.post("/account/password", form, token="wrong")
    assert answer.status_code == 400 and "my very own" not in answer.text and NEW not in answer.text


def test_two_changes_at_once_one_wins(cast, monkeypatch):
    example(cast)
    first, second = visitor_of(cast)[0], visitor_of(cast)[0]
    slow = own_account.hash_password

    def and_meanwhile(password):
        monkeypatch.setattr(own_account, "hash_password", slow)
        change(second, new="the other was faster")
        return slow(password)

    monkeypatch.setattr(own_account, "hash_password", and_meanwhile)
    with pytest.raises(Stale):
        change(first)
    assert person_with_password(db.session.get_one(Person, cast.sophie.id).email, "the other was faster")


def test_the_own_session_has_a_new_secret_and_the_old_opens_nothing(cast):
    example(cast)
    visitor, old = visitor_of(cast)
    new = change(visitor)
    db.session.close()
    assert visitor_with(old) is None and visitor_with(new)[0].session_id == visitor.session_id
    alive = sa.select(LoginSession.id).where(LoginSession.person_id == cast.sophie.id, LoginSession.ended_at.is_(None))
    assert list(db.session.scalars(alive)) == [visitor.session_id]


def test_sessions_of_others_are_untouched(cast):
    example(cast)
    change(visitor_of(cast)[0])
    own_account.end_other_log_ins(visitor_of(cast)[0], by=cast.sophie.actor)
    assert cast.jihae.get("/").status_code == 200 and cast.nina.get("/staff/").status_code == 200


@pytest.mark.parametrize("key", ["", "x" * 22, "1", "%00", "x" * 500])
def test_a_key_of_no_session_ends_none(cast, key):
    with pytest.raises(NotVisible):
        own_account.end_log_in(visitor_of(cast)[0], key, by=cast.sophie.actor)
    assert audits("end_session") == []


def test_ending_others_where_there_are_none_leaves_no_row_in_the_audit(cast):
    assert cast.sophie.post("/account/log-ins/end").status_code == 303
    assert audits("end_session") == []


def test_what_is_over_is_not_in_the_list(cast):
    Player(cast.app, cast.sophie.id, cast.sophie.key, cast.sophie.name)
    visitor, _ = visitor_of(cast)
    with clock_at(now() + timedelta(minutes=31)):
        assert own_account.log_ins_of(visitor) == []


@pytest.mark.parametrize("data", [{}, {"notices": ""}, {"notices": "hourly"}, {"notices": "\0"}, {"notices": "EACH"}])
def test_an_unknown_wish_says_what_to_do_and_changes_nothing(cast, data):
    answer = cast.sophie.post("/account/mails", data)
    assert answer.status_code == 422 and "Choose one of the three" in answer.text
    assert audits("change_notices") == []


def test_a_break_glass_opening_stands_as_such_and_once(cast):
    key = cast.send(cast.sophie, "Others", to="Clinicians")
    with db.engines[WRITE].begin() as connection:
        connection.execute(sa.text("UPDATE thread SET due_at = :at"), {"at": now() - timedelta(days=1)})
    form = {"reason": "The doctor is ill", "key": "k1"}
    assert cast.ada.post(f"/admin/threads/{key}/opening", form).status_code == 303
    cast.ada.get(f"/admin/threads/{key}")
    page = cast.sophie.get("/account/readers").text
    assert page.count(f"/messages/{key}") == 1 and "opened with a reason" in page and "The doctor is ill" not in page


def test_who_opened_is_paged(cast):
    key = cast.send(cast.sophie, "Others", to="Clinicians")
    for hour in range(30):
        with clock_at(now() + timedelta(hours=hour)):
            cast.nina.log_in()
            cast.nina.get(f"/staff/messages/{key}")
    first, second = cast.sophie.get("/account/readers").text, cast.sophie.get("/account/readers?page=2").text
    assert (first.count(f"/messages/{key}"), second.count(f"/messages/{key}")) == (25, 5)
    assert "Older" in first and "Newer" in second
    for odd in ("0", "-1", "x", "9" * 30, "99999"):
        assert cast.sophie.get(f"/account/readers?page={odd}").status_code == 200
