"""Looking for one's own messages: by words, number, type, unread and days."""

from datetime import date, timedelta
from html import unescape

import pytest

from practice.conversations import hide
from practice.db import db
from practice.threads import Place, Sought, Thread, reference_of, thread_with_reference, threads_of_patient


def found(cast, *, box="sent", player=None, htmx=False, **values):
    player = player or cast.sophie
    answer = player.post("/messages/search", {"box": box} | values, htmx=htmx)
    address = answer.headers["HX-Redirect" if htmx else "Location"]
    assert not any(len(value) > 3 and value in address for value in values.values())
    return player.get(address).text


def write(cast, title, body, to="Clinicians", player=None):
    player = player or cast.sophie
    form = {"to": cast.communicator(to), "title": title, "body": body, "key": title[:10]}
    assert player.post("/messages/new", form).status_code == 303
    db.session.close()
    return db.session.query(Thread).filter_by(title=title).one()


@pytest.mark.parametrize("words", ["inhaler", "INHALER", "needs refill", "clinicians", "médico", "MEDICO", "100%", "สวัสดี"])
@pytest.mark.parametrize("htmx", [False, True])
def test_words_are_found_in_title_text_and_communicator(cast, words, htmx):
    write(cast, "Refill for the Médico", "My inhaler needs 100% สวัสดี")
    write(cast, "Something else", "Nothing of it", to="IT Manager")
    page = found(cast, words=words, htmx=htmx)
    assert "Refill for the" in page and "Something else" not in page


def test_what_is_not_said_is_not_found_and_the_page_says_so(cast):
    write(cast, "Refill", "My inhaler")
    page = found(cast, words="inhaler %")
    assert "Nothing found" in page and "Clear" in page and ">Refill<" not in page


def test_what_one_has_sent_is_not_in_the_inbox_and_the_way_there_is_shown(cast):
    write(cast, "Refill", "My inhaler")
    page = found(cast, box="inbox", words="inhaler")
    assert "Nothing found" in page
    there = unescape(page.split("Look in Sent too")[0].split('href="')[-1].split('"')[0])
    assert ">Refill<" in cast.sophie.get(there).text
    assert "Look in the Inbox too" in found(cast, words="nowhere")


def test_a49_nobody_elses_message_is_found(cast):
    write(cast, "Mine alone", "inhaler")
    assert "Mine alone" not in found(cast, player=cast.jihae, words="inhaler")


def test_a_reference_number_finds_its_conversation(cast):
    thread = write(cast, "Refill", "My inhaler")
    number = reference_of(thread.id)
    assert thread_with_reference(number) == thread.id == thread_with_reference(number.replace("-", " "))
    assert number in cast.sophie.get(f"/messages/{thread.key}").text
    write(cast, "Something else", "Nothing of it")
    page = found(cast, words=number)
    assert ">Refill<" in page and "Something else" not in page
    assert "Refill" not in found(cast, player=cast.jihae, words=number)
    write(cast, "My card", "Its number is 123456789")
    assert ">My card<" in found(cast, words="123456789"), "nine digits are looked for as text too"
    assert "My card" in found(cast, first_day="0001-01-01", last_day="9999-12-31")


def test_every_number_is_given_once():
    assert len({reference_of(n) for n in range(5000)}) == 5000
    assert thread_with_reference("12345") == thread_with_reference("abc-def-ghi") == 0


def test_type_days_and_unread_narrow(cast):
    thread = write(cast, "Refill", "My inhaler")
    cast.send(cast.sophie, "Result")
    day = (date.today() + timedelta(days=2)).isoformat()
    before = (date.today() - timedelta(days=2)).isoformat()
    assert "Result request" not in found(cast, type="Others") and ">Refill<" in found(cast, type="Others")
    assert ">Refill<" not in found(cast, first_day=day) and ">Refill<" in found(cast, first_day=before, last_day=day)
    assert ">Refill<" in found(cast, type="nonsense", last_day="soon\0", words="refill")
    cast.answer(cast.nina, thread.key)
    assert ">Refill<" in found(cast, box="inbox", unread="y")
    cast.sophie.get(f"/messages/{thread.key}")
    assert ">Refill<" not in found(cast, box="inbox", unread="y")


def test_what_is_sought_stays_while_paging_and_ends_with_clear(cast):
    for n in range(30):
        write(cast, f"{n:02} knee", "hurts")
    write(cast, "Other", "thing")
    first = found(cast, words="knee")
    assert first.count("item-title") == 25 and "29 knee" in first and "Other<" not in first
    older = first.split('class="btn" href="')[-1].split('"')[0].replace("&amp;", "&")
    second = cast.sophie.get(older).text
    assert second.count("item-title") == 5 and "00 knee" in second and 'value="knee"' in second
    newer = second.split('class="btn" href="')[-1].split('"')[0].replace("&amp;", "&")
    assert cast.sophie.get(newer).text.count("item-title") == 25
    assert (
        cast.sophie.post("/messages/search", {"box": "sent", "words": "knee", "clear": "y"}).headers["Location"]
        == "/messages/sent"
    )


def test_a_search_page_needs_a_fixed_number_of_statements(cast, statements):
    write(cast, "Refill", "My inhaler")
    address = cast.sophie.post("/messages/search", {"box": "sent", "words": "inhaler"}).headers["Location"]
    counts = []
    for n in range(2):
        with statements() as asked:
            cast.sophie.get(address)
        counts.append(len(asked))
        write(cast, f"More {n}", "inhaler too")
    assert counts == [6, 6]


def test_the_filter_of_somebody_else_is_nothing(cast):
    write(cast, "Refill", "My inhaler")
    address = cast.jihae.post("/messages/search", {"box": "sent", "words": "inhaler"}).headers["Location"]
    assert 'value="inhaler"' not in cast.sophie.get(address).text


def test_a_deleted_conversation_is_not_found(cast):
    thread = write(cast, "Refill", "My inhaler")
    hide(thread.key, by=cast.sophie.actor)
    assert ">Refill<" not in found(cast, words="inhaler")


def test_the_list_is_the_same_with_words_that_all_have_and_without(cast):
    for n in range(28):
        write(cast, f"{n:02} knee", "hurts")
    page = threads_of_patient(cast.sophie.id, which="sent")
    same = threads_of_patient(cast.sophie.id, which="sent", sought=Sought(words="knee"))
    assert [row.id for row in page.rows] == [row.id for row in same.rows] and same.has_older
    place = Place(page.rows[-1].at, page.rows[-1].id)
    beyond = [threads_of_patient(cast.sophie.id, which="sent", place=place, sought=Sought(words=w)).rows for w in ("", "knee")]
    assert [row.id for row in beyond[0]] == [row.id for row in beyond[1]] and len(beyond[1]) == 3
