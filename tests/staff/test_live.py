"""What an open page asks for again: news of its list, told apart from nothing new, and who else has a message open."""

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from practice import conversations, presence
from practice.db import SYSTEM, clock_at, db, now, transaction
from practice.notes import add_note
from practice.presence import GONE_AFTER, Presence
from practice.sessions import LoginSession
from tests.staff.helpers import act, reply, rows

POLL = {"X-Poll": "1"}


def asked(who, tag="", query=""):
    return who.get(f"/staff/news{query}", headers=POLL | ({"If-None-Match": f'"{tag}"'} if tag else {}))


def tag_of(page):
    found = re.search(r'data-tag="([\w-]+)"', page.text)
    assert found
    return found[1]


def is_there(who, key, *, writing=False, version=0, **how):
    data = {"version": str(version), "note": "0"} | ({"writing": "yes"} if writing else {})
    return who.post(f"/staff/messages/{key}/presence", data, headers=POLL, **how)


# ---- News ----------------------------------------------------------------------------------------


def test_nothing_new_is_304_until_something_changes(cast):
    cast.send(cast.sophie, "Appointment")
    tag = tag_of(cast.sam.get("/staff/"))
    assert asked(cast.sam, tag).status_code == 304
    second = cast.send(cast.jihae, "Appointment")
    news = asked(cast.sam, tag)
    assert news.status_code == 200 and rows(news)[0] == second and "In Box (2)" in news.text
    assert asked(cast.sam, tag_of(news)).status_code == 304


CHANGES = {
    "received": lambda cast, key: act(cast, cast.fay, key, "receipts"),
    "claimed": lambda cast, key: act(cast, cast.fay, key, "claim"),
    "answered": lambda cast, key: reply(cast, cast.fay, key, "Hello"),
    "closed": lambda cast, key: act(cast, cast.fay, key, "closing"),
    "the patient wrote": lambda cast, key: cast.sophie.post(f"/messages/{key}/replies", {"key": "k" * 22, "body": "Hello"}),
    "no longer in charge": lambda cast, key: cast.change("Scheduler", staff=[cast.fay]),
    "another in charge too": lambda cast, key: cast.change("Clinicians", staff=[cast.sam, cast.nina]),
}


@pytest.mark.parametrize("what", CHANGES)
def test_every_change_that_a_list_shows_is_news(cast, what):
    key = cast.send(cast.sophie, "Appointment")
    tag = tag_of(cast.sam.get("/staff/"))
    CHANGES[what](cast, key)
    assert asked(cast.sam, tag).status_code == 200


def test_what_is_not_mine_is_no_news(cast):
    tag = tag_of(cast.sam.get("/staff/"))
    cast.send(cast.sophie, "Others", to="IT Manager")
    assert asked(cast.sam, tag).status_code == 304


def test_a_list_says_how_long_one_waits_so_time_alone_is_news(cast):
    cast.send(cast.sophie, "Appointment")
    tag = tag_of(cast.sam.get("/staff/"))
    with clock_at(now() + timedelta(minutes=11)):
        assert asked(cast.sam, tag).status_code == 200


def test_news_are_of_the_list_that_is_shown(cast):
    first, second = cast.send(cast.sophie, "Appointment"), cast.send(cast.jihae, "Others")
    address = cast.fay.post("/staff/searches", {"last_name": "kwon", "first_name": "jihae"}).location
    page = cast.fay.get(address)
    query = "?" + address.partition("?")[2]
    assert f'data-news="/staff/news{query}"' in page.text
    assert asked(cast.fay, tag_of(page), query).status_code == 304
    assert rows(asked(cast.fay, "", query)) == [second] and first not in asked(cast.fay, "", query).text
    cast.answer(cast.fay, first)
    assert rows(asked(cast.fay, "", "?which=sent")) == [first]


@pytest.mark.parametrize("place", ["before", "after"])
def test_nothing_new_is_304_on_another_page_of_sent_items_and_of_what_is_searched_for_too(cast, place):
    key = cast.send(cast.sophie, "Appointment")
    searched = cast.sam.post("/staff/searches", {"last_name": "kwon"}).location
    for address in (f"{searched}&{place}={key}", f"/staff/?only=urgent&{place}={key}", f"/staff/sent?{place}={key}"):
        page = cast.sam.get(address)
        query = re.search(r'data-news="/staff/news([^"]*)"', page.text)[1].replace("&amp;", "&")
        assert f"{place}={key}" in query and asked(cast.sam, tag_of(page), query).status_code == 304


def test_that_the_patient_has_read_an_answer_is_news_after_ten_minutes_at_the_latest(cast):
    """The read mark is all that a patient's look may write, so the audience has no other version."""
    key = cast.send(cast.sophie, "Appointment")
    cast.answer(cast.fay, key)
    page = cast.fay.get("/staff/sent")
    cast.sophie.get(f"/messages/{key}")
    with clock_at(now() + timedelta(minutes=10)):
        news = asked(cast.fay, tag_of(page), "?which=sent")
        assert "Not read yet" in page.text and news.status_code == 200 and "Not read yet" not in news.text


def test_a_list_that_is_none_is_the_in_box(cast):
    key = cast.send(cast.sophie, "Appointment")
    assert cast.sam.get("/staff/news?which=other").location.startswith("/staff/?")
    assert rows(asked(cast.sam, "", "?which=other")) == [key]


def test_a_poll_never_prolongs_a_session(cast):
    key = cast.send(cast.sophie, "Appointment")
    ends = db.session.scalar(sa.select(LoginSession.idle_ends_at).where(LoginSession.person_id == cast.sam.id))
    for minutes in range(1, 15):
        with clock_at(now() + timedelta(minutes=minutes)):
            assert asked(cast.sam).status_code == 200 and is_there(cast.sam, key).status_code == 200
    db.session.close()
    assert db.session.scalar(sa.select(LoginSession.idle_ends_at).where(LoginSession.person_id == cast.sam.id)) == ends
    with clock_at(now() + timedelta(minutes=16)):
        assert asked(cast.sam).status_code == 303
        assert is_there(cast.sam, key, token="x").status_code in (400, 401)


def test_a48_opened_by_itself_the_address_leads_to_the_page(cast):
    key = cast.send(cast.sophie, "Appointment")
    assert cast.sam.get("/staff/news?which=sent").location == "/staff/sent?which=sent"
    assert cast.sam.get("/staff/news").location == "/staff/"
    assert cast.sam.post(f"/staff/messages/{key}/presence").location == f"/staff/messages/{key}"


# ---- Presence ------------------------------------------------------------------------------------


def test_colleagues_see_who_has_it_open_and_who_writes_until_25_seconds_of_silence(cast):
    key = cast.send(cast.sophie, "Appointment")
    assert "open" not in is_there(cast.sam, key).text, "nobody is told of oneself"
    assert "STAFF, SAM has this open" in is_there(cast.fay, key).text
    is_there(cast.sam, key, writing=True)
    assert "STAFF, SAM is writing a reply" in is_there(cast.fay, key).text
    with clock_at(now() + GONE_AFTER - timedelta(seconds=1)):
        assert "STAFF, SAM" in is_there(cast.fay, key).text
    with clock_at(now() + GONE_AFTER + timedelta(seconds=1)):
        assert "STAFF, SAM" not in is_there(cast.fay, key).text


def test_presence_is_of_one_message_alone_and_of_those_who_may_see_it(cast):
    key, other = cast.send(cast.sophie, "Appointment"), cast.send(cast.jihae, "Appointment")
    is_there(cast.sam, key)
    assert "STAFF, SAM" not in is_there(cast.fay, other).text
    for who in (cast.nina, cast.dan, cast.ada):
        answer = who.post(f"/staff/messages/{key}/presence", {"version": "0"}, headers=POLL | {"HX-Request": "true"}, htmx=True)
        assert answer.status_code == 404 and "SAM" not in answer.text
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Presence)) == 2 + 0


def test_own_thread_as_a_patient_is_not_there(cast):
    own = cast.staff("lou", own_patient=cast.sophie.id)
    cast.change("Scheduler", staff=[own, cast.sam])
    key = cast.send(cast.sophie, "Appointment")
    assert own.post(f"/staff/messages/{key}/presence", {}, headers=POLL, htmx=True).status_code == 404


def test_what_has_changed_since_it_was_shown_is_said(cast):
    key = cast.send(cast.sophie, "Appointment")
    version = cast.thread(key).version
    assert "Something is new" not in is_there(cast.fay, key, version=version).text
    act(cast, cast.sam, key, "receipts")
    assert "Something is new" in is_there(cast.fay, key, version=version).text
    assert ">Show<" in is_there(cast.fay, key, version=version).text
    assert ">Show<" not in is_there(cast.fay, key, version=version, writing=True).text, "it would leave the text"


def test_a_note_is_news_for_the_open_message(cast):
    key = cast.send(cast.sophie, "Appointment")
    version = cast.thread(key).version
    add_note(key, body="Hello", mentions=[], form_key="n" * 22, by=cast.sam.actor)
    assert "Something is new" in is_there(cast.fay, key, version=version).text


def test_signs_change_no_message_table_and_no_version(cast):
    key = cast.send(cast.sophie, "Appointment")
    before = cast.thread(key).version
    tag = tag_of(cast.fay.get("/staff/"))
    is_there(cast.sam, key, writing=True)
    assert cast.thread(key).version == before and asked(cast.fay, tag).status_code == 304


def test_old_signs_are_forgotten(cast):
    key = cast.send(cast.sophie, "Appointment")
    is_there(cast.sam, key)
    for hours, left in ((0, 1), (2, 0)):
        with clock_at(now() + timedelta(hours=hours)), transaction(by=SYSTEM, did="test") as tx:
            presence.forget_gone(tx.session)
        db.session.close()
        assert db.session.scalar(sa.select(sa.func.count()).select_from(Presence)) == left


def test_a_saved_draft_is_no_news_for_its_author(cast):
    key = cast.send(cast.sophie, "Appointment")
    conversations.claim(key, version=cast.thread(key).version, by=cast.sam.actor)
    version = cast.thread(key).version
    page = f"/staff/messages/{key}/reply"
    data = {"key": "d" * 22, "body": "Hello", "about": page, "draft_version": "0", "seen": "0"}
    assert cast.sam.post(f"/staff/drafts/{'d' * 22}", data, headers={"Accept": "application/json"}).status_code in (200, 303)
    assert "Something is new" not in is_there(cast.sam, key, version=version, writing=True).text
