"""Messages: the lists, a conversation and its ways, writing and responding."""

import re

import pytest

from practice import threads
from practice.conversations import reply
from practice.db import db, new_key
from practice.threads import Message, is_new_for_patient
from tests.examples.portal import new_message
from tests.portal.helpers import change_practice, locked, none_sent


def say(cast, key, body):
    reply(key, body=body, form_key=new_key(), by=cast.sophie.actor)


# ---- Lists ---------------------------------------------------------------------------------------


def test_the_inbox_holds_what_was_answered_and_sent_what_i_wrote(cast):
    answered = cast.send(cast.sophie, "Others", title="My inhaler")
    cast.send(cast.sophie, "Others", title="My invoice", to="IT Manager")
    cast.send(cast.jihae, "Others", title="Of somebody else")
    cast.answer(cast.nina, answered)
    inbox, sent = cast.sophie.get("/messages").text, cast.sophie.get("/messages/sent").text
    assert "Inbox (1)" in inbox and "My inhaler" in inbox and "Clinicians" in inbox and "is-unread" in inbox
    assert "My invoice" not in inbox
    assert "My inhaler" in sent and "My invoice" in sent and "IT Manager" in sent
    assert "somebody else" not in inbox + sent


def test_empty_lists_say_what_comes_there(cast):
    assert "No messages yet" in cast.hugo.get("/messages").text
    assert "Nothing sent yet" in cast.hugo.get("/messages/sent").text


def test_long_lists_are_paged_both_ways(cast, monkeypatch):
    monkeypatch.setattr(threads, "PAGE", 2)
    threads._patient_list.cache_clear()
    for n in range(5):
        cast.answer(cast.nina, cast.send(cast.sophie, "Others", title=f"Number {n}"))

    def titles(page):
        return re.findall(r"<bdi>Number (\d)</bdi>", page)

    def link(page, name):
        found = re.search(rf'<a class="btn" href="([^"]+)">[^/]*?(?:<svg.*?</svg>)?\s*{name}', page)
        return found and found[1]

    seen, address = [], "/messages"
    while address:
        page = cast.sophie.get(address).text
        seen += titles(page)
        last, address = page, link(page, "Older")
    assert seen == ["4", "3", "2", "1", "0"]
    assert titles(cast.sophie.get(link(last, "Newer")).text) == ["2", "1"]
    threads._patient_list.cache_clear()


@pytest.mark.parametrize("address", ["/messages?before={}", "/messages?after={}", "/messages/sent?before={}"])
def test_a_place_that_is_not_mine_is_not_there(cast, address):
    key = cast.send(cast.jihae, "Others")
    cast.answer(cast.nina, key)
    for place in (key, "x" * 22, "9" * 31):
        assert cast.sophie.get(address.format(place)).status_code == 404


# ---- A conversation ------------------------------------------------------------------------------


def test_a_conversation_shows_all_letters_with_their_ways(cast):
    key = cast.send(cast.sophie, "Others", title="My inhaler", body="May I have more?")
    page = cast.sophie.get(f"/messages/{key}").text
    assert "You, to Clinicians" in page and "May I have more?" in page and "not yet" in page
    cast.answer(cast.nina, key, "It is ready.")
    say(cast, key, "Thank you")
    page = cast.sophie.get(f"/messages/{key}").text
    assert "It is ready." in page and "Thank you" in page
    assert page.count("Show the way") == 1 and "Respond to Clinicians" in page


@pytest.mark.parametrize("shows", [False, True])
def test_staff_names_are_shown_only_where_the_practice_allows_it(cast, shows):
    change_practice(shows_staff_names=shows)
    key = cast.send(cast.sophie, "Others")
    cast.answer(cast.nina, key)
    assert ("STAFF, NINA" in cast.sophie.get(f"/messages/{key}").text) == shows


@pytest.mark.parametrize("htmx", [False, True])
def test_opening_an_answer_marks_it_read_and_the_number_is_right_at_once(cast, htmx):
    first, second = (cast.send(cast.sophie, "Others", title=title) for title in ("One", "Two"))
    for key in (first, second):
        cast.answer(cast.nina, key)
    page = cast.sophie.get(f"/messages/{first}", htmx=htmx).text
    assert ("<html" in page) != htmx
    assert "Inbox (1)" in page and 'class="count">1<' in page
    assert not is_new_for_patient(cast.thread(first)) and is_new_for_patient(cast.thread(second))
    assert cast.thread(first).version == cast.thread(second).version


def test_an_answer_that_comes_while_reading_stays_new(cast):
    key = cast.send(cast.sophie, "Others")
    cast.answer(cast.nina, key)
    cast.sophie.get(f"/messages/{key}")
    cast.answer(cast.nina, key, "One thing more")
    assert "Inbox (1)" in cast.sophie.get("/messages").text


def test_a1_a_thread_is_never_anothers(cast):
    key = cast.send(cast.sophie, "Others")
    for player, status in ((cast.jihae, 404), (cast.nina, 403), (cast.ada, 403)):
        assert player.get(f"/messages/{key}").status_code == status
        assert player.post(f"/messages/{key}/replies", {"body": "x", "key": "k"}).status_code == status


def test_a_long_conversation_is_read_in_parts(cast, monkeypatch):
    monkeypatch.setattr(threads, "SHOWN", 3)
    key = cast.send(cast.sophie, "Others", body="Letter 0")
    for n in range(1, 7):
        if n % 2:
            cast.answer(cast.nina, key, f"Letter {n}")
        else:
            say(cast, key, f"Letter {n}")
    page = cast.sophie.get(f"/messages/{key}").text
    assert "Letter 4" in page and "Letter 3" not in page
    earlier = re.search(r'href="([^"]+before=[^"]+)"', page)[1]
    page = cast.sophie.get(earlier).text
    assert re.findall(r"Letter \d", page) == ["Letter 1", "Letter 2", "Letter 3"]
    assert page.count("Show the way") == 1 and "Newest messages" in page and "You, to Clinicians" in page
    page = cast.sophie.get(re.search(r'href="([^"]+before=[^"]+)"', page)[1]).text
    assert "Letter 0" in page and "Answered " in page and "(not yet)" not in page  # the answer stands on the next page
    other = cast.send(cast.sophie, "Others")
    assert cast.sophie.get(f"/messages/{other}?{earlier.partition('?')[2]}").status_code == 404


def test_the_way_of_a_long_conversation_still_knows_its_recipient(cast, monkeypatch):
    monkeypatch.setattr(threads, "EVENTS", 2)
    monkeypatch.setattr(threads, "_HISTORY", threads._HISTORY.limit(2))
    key = cast.send(cast.sophie, "Others")
    for n in range(3):
        cast.answer(cast.nina, key)
        say(cast, key, f"Again {n}")
    page = cast.sophie.get(f"/messages/{key}").text
    assert page.count("to Clinicians") == 9 and "assigned" not in page  # heading and way of four letters, and the form


@pytest.mark.parametrize("kind", ["Appointment", "Result", "Amendment", "Others"])
def test_the_page_needs_a_fixed_number_of_statements(cast, statements, kind):
    key = cast.send(cast.sophie, kind)
    with statements() as found:
        cast.sophie.get(f"/messages/{key}")
    assert len(found) <= {"Others": 6, "Result": 7}.get(kind, 8), found


# ---- Responding ----------------------------------------------------------------------------------


@pytest.mark.parametrize("htmx", [False, True])
def test_a_reply_joins_the_conversation_and_makes_it_wait_again(cast, htmx):
    key = cast.send(cast.sophie, "Others")
    cast.answer(cast.nina, key)
    answer = cast.sophie.post(f"/messages/{key}/replies", {"body": "Thank you", "key": "k1"}, htmx=htmx)
    assert answer.status_code == (200 if htmx else 303)
    assert (answer.headers["HX-Redirect"] if htmx else answer.headers["Location"]) == f"/messages/{key}?done=sent"
    assert cast.thread(key).state == "waiting" and cast.thread(key).is_unread


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize(("body", "says"), [("  ", "Write your answer"), ("x" * 20_001, "20,000"), ("a\0b", "cannot be shown")])
def test_a_wrong_reply_comes_back_with_its_text(cast, htmx, body, says):
    key = cast.send(cast.sophie, "Others")
    answer = cast.sophie.post(f"/messages/{key}/replies", {"body": body, "key": "k1"}, htmx=htmx)
    assert answer.status_code == 422 and says in answer.text and ("<html" in answer.text) != htmx
    assert "Error: " in answer.text and body[:20].strip("\0 ") in answer.text


def test_the_same_reply_twice_is_one_and_other_words_are_not_dropped(cast):
    key = cast.send(cast.sophie, "Others")
    for _ in range(2):
        cast.sophie.post(f"/messages/{key}/replies", {"body": "Once", "key": "k1"})
    answer = cast.sophie.post(f"/messages/{key}/replies", {"body": "Twice", "key": "k1"})
    assert answer.status_code == 409 and "Once" in answer.text and "Twice" in answer.text and "Send as new message" in answer.text
    db.session.close()
    assert db.session.query(Message).count() == 2


# ---- New Message ---------------------------------------------------------------------------------


def test_only_who_can_receive_is_offered_with_a_line_of_help(cast):
    cast.communicate("Others", "Clinician", cast.dan, is_in_use=False)
    cast.communicate("Others", "Nobody here")
    cast.communicate("Others", "Billing", cast.dan, help="Invoices and insurance")
    page = cast.sophie.get("/messages/new").text
    assert re.findall(r"<option[^>]*>([^<]+)</option>", page) == ["Choose", "Billing", "Clinicians", "IT Manager"]
    assert "Invoices and insurance" in page and "In an emergency call 911" in page and "We answer by " in page


def test_a_message_goes_to_the_picked_one(cast):
    answer = cast.sophie.post("/messages/new", new_message(cast)["data"])
    page = cast.sophie.get(answer.headers["Location"]).text
    assert "You, to Clinicians" in page and "Refill" in page and "Of my inhaler, please" in page


def test_one_recipient_is_preselected_and_read_only(cast):
    cast.change("IT Manager", is_in_use=False)
    page = cast.sophie.get("/messages/new").text
    assert locked("Clinicians") in page and f'name="to" value="{cast.communicator("Clinicians")}"' in page


def test_without_any_recipient_the_practice_takes_the_message(cast):
    for title in ("Clinicians", "IT Manager"):
        cast.change(title, staff=[])
    page = cast.sophie.get("/messages/new").text
    assert locked("The practice") in page
    answer = cast.sophie.post("/messages/new", new_message(cast)["data"] | {"to": ""})
    page = cast.sophie.get(answer.headers["Location"]).text
    assert "Received by the practice, being assigned" in page and "You, to the practice" in page


def test_a_recipient_switched_off_while_writing_is_refused_and_the_others_are_offered(cast):
    data = new_message(cast)["data"]
    cast.change("Clinicians", is_in_use=False)
    answer = cast.sophie.post("/messages/new", data)
    assert answer.status_code == 422 and "cannot receive messages now" in answer.text
    assert "Of my inhaler, please" in answer.text and locked("IT Manager") in answer.text
    assert none_sent()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"to": ""}, "Choose who should receive your message"),
        ({"to": "9" * 31}, "cannot receive messages now"),
        ({"title": ""}, "Write a title"),
        ({"title": "x" * 121}, "at most 120"),
        ({"body": " \n "}, "Write your message"),
        ({"body": "x" * 20_001}, "20,000"),
        ({"title": "a\0"}, "cannot be shown"),
    ],
)
def test_a_wrong_message_comes_back_with_its_text(cast, wrong, says):
    answer = cast.sophie.post("/messages/new", new_message(cast)["data"] | wrong)
    assert answer.status_code == 422 and says in answer.text and "<title>Error: " in answer.text
    assert "body" in wrong or "Of my inhaler, please" in answer.text
    assert none_sent()


def test_a21_a22_what_was_written_is_shown_as_text(cast):
    words = "<script>alert(1)</script> <b hx-get='/'>bold</b> \u202eabc 😀"
    answer = cast.sophie.post("/messages/new", new_message(cast)["data"] | {"body": words, "title": "<i>Title</i>"})
    page = cast.sophie.get(answer.headers["Location"]).text
    assert "<script>alert" not in page and "<b hx" not in page and "<i>Title" not in page and "😀" in page
