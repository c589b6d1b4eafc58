"""Many at once, as pages: ticks, all that match, whom to hand over to, results and Undo; without JavaScript."""

import re

import pytest

from practice import conversations
from practice.threads import ThreadState
from tests.staff.helpers import rows


def ticks(cast, *keys):
    return [f"{key}.{cast.thread(key).version}" for key in keys]


def press(who, did, tick=(), query="", **more):
    return who.post(f"/staff/batches{query}", {"did": did, "tick": list(tick)} | more)


@pytest.fixture
def three(cast):
    return [cast.send(cast.sophie, "Appointment") for n in range(3)]


def test_each_row_of_the_in_box_has_a_tick_that_says_whose_it_is(cast, three):
    page = cast.sam.get("/staff/")
    for key, tick in zip(three, ticks(cast, *three), strict=True):
        row = re.search(rf'id="row-{key}".*?</tr>', page.text, re.S)[0]
        assert f'name="tick" value="{tick}"' in row and "Select: <bdi>KWON, SOPHIE</bdi>, Appointment request" in row
    cast.answer(cast.sam, three[0])
    assert 'name="tick"' not in cast.sam.get("/staff/sent").text


def test_ticked_ones_are_closed_listed_and_undone(cast, three):
    stale = ticks(cast, *three)
    conversations.receive(three[0], version=cast.thread(three[0]).version, by=cast.fay.actor)
    answer = press(cast.sam, "close", stale)
    assert answer.status_code == 303
    page = cast.sam.get(answer.location)
    assert "Closed: 2" in page.text and "Not done: 1" in page.text and "changed by somebody else meanwhile" in page.text
    assert rows(page) == [three[0]]
    undo = re.search(r'action="(/staff/batches/[\w-]{22}/undoing[^"]*)"', page.text)[1]
    after = cast.sam.get(cast.sam.post(undo).location)
    assert "Undone: 2" in after.text and len(rows(after)) == 3 and "undoing" not in after.text
    assert f"batch={undo[15:37]}" in answer.location and "Closed:" not in cast.fay.get(answer.location).text


@pytest.mark.parametrize(("did", "words"), [("receive", "Received: 3"), ("remove", "Not done: 3")])
def test_received_and_deleted(cast, three, did, words):
    page = cast.sam.get(press(cast.sam, did, ticks(cast, *three)).location)
    assert words in page.text and "undoing" not in page.text
    assert ("unread: press Receive first" in page.text) == (did == "remove")


def test_to_hand_over_it_is_asked_to_whom(cast, three):
    asked = press(cast.sam, "entrust", ticks(cast, *three[:2]))
    assert asked.status_code == 200 and "Who shall handle these 2 messages?" in asked.text
    assert re.findall(r'name="to" value="([\w-]{22})"', asked.text) == [cast.fay.key]
    carried = re.search(r'name="tick" value="([^"]*)"', asked.text)[1]
    page = cast.sam.get(press(cast.sam, "entrust", [carried], to=cast.fay.key).location)
    assert "Handed over: 2" in page.text and cast.thread(three[0]).claimed_by_id == cast.fay.id
    wrong = cast.sam.get(press(cast.sam, "entrust", ticks(cast, three[2]), to=cast.nina.key).location)
    assert "Not done: 1" in wrong.text and "the colleague does not have it" in wrong.text


def test_alone_there_is_nobody_to_hand_over_to(cast, three):
    cast.change("Scheduler", staff=[cast.sam])
    assert "Nobody else has these messages" in press(cast.sam, "entrust", ticks(cast, *three)).text


def test_all_that_match_are_counted_before_they_are_closed(cast, three, monkeypatch):
    other = cast.send(cast.jihae, "Appointment")
    address = cast.sam.post("/staff/searches", {"last_name": "kwon", "first_name": "sophie"}).location
    asked = press(cast.sam, "close", query="?" + address.partition("?")[2], matching="y")
    assert "Close 3 messages?" in asked.text and {cast.thread(key).state for key in three} == {ThreadState.WAITING}
    carried = re.search(r'name="tick" value="([^"]*)"', asked.text)[1]
    page = cast.sam.get(press(cast.sam, "close", [carried]).location)
    assert "Closed: 3" in page.text and rows(page) == [other]
    monkeypatch.setattr("staff.many.MOST", 1)
    many = press(cast.sam, "receive", matching="y")
    assert "There may be more" in many.text


def test_more_than_a_page_matches(cast):
    keys = [cast.send(cast.sophie if n % 2 else cast.jihae, "Appointment") for n in range(27)]
    asked = press(cast.sam, "receive", matching="y")
    assert "Receive 27 messages?" in asked.text and all(key in asked.text for key in keys)


def test_nothing_ticked_is_said(cast, three):
    for tick in ([], ["nonsense"], ["x" * 22], [f"{three[0]}"]):
        answer = press(cast.sam, "close", tick)
        assert answer.status_code in (303, 422)
        if answer.status_code == 422:
            assert "Nothing is ticked" in answer.text
        else:
            assert "Closed: 0" in cast.sam.get(answer.location).text
    assert {cast.thread(key).state for key in three} == {ThreadState.WAITING}


def test_the_same_form_acts_once(cast, three):
    page = cast.sam.get("/staff/")
    key = re.search(r'name="batch" value="([\w-]{22})"', page.text[page.text.index('id="many"') :])[1]
    tick = ticks(cast, *three)
    first, second = press(cast.sam, "receive", tick, batch=key), press(cast.sam, "receive", tick, batch=key)
    assert first.location == second.location and "Received: 3" in cast.sam.get(second.location).text
    other = press(cast.fay, "close", ticks(cast, three[0]), batch=key)
    assert other.location != first.location and "Closed: 1" in cast.fay.get(other.location).text


@pytest.mark.parametrize("did", ["", "nonsense", "RECEIVE"])
def test_an_unknown_act_does_nothing(cast, three, did):
    assert press(cast.sam, did, ticks(cast, *three)).status_code == 422
    assert all(cast.thread(key).is_unread for key in three)


def test_the_filter_stays_after_the_act(cast, three):
    address = cast.sam.post("/staff/searches", {"last_name": "kwon"}).location
    query = "?" + address.partition("?")[2]
    assert query[1:] in press(cast.sam, "receive", ticks(cast, three[0]), query=query).location


def test_another_and_nobody_in_charge_get_nothing(cast, three):
    page = cast.nina.get(press(cast.nina, "close", ticks(cast, *three)).location)
    assert "Not done: 3" in page.text and "not yours any more" in page.text and "SOPHIE" not in page.text
    assert cast.sophie.post("/staff/batches", {"did": "close"}).status_code == 403
