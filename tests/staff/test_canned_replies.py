"""Canned replies on the page: kept, picked beside a message, inserted into what is written, and never sent unfilled."""

import re

import pytest

from practice.canned_replies import add_canned_reply, change_canned_reply
from practice.conversations import close
from practice.db import db, new_key
from tests.staff.helpers import last_id, messages_of, reply, value

TEXT = "Dear {patient},\n\nyou hear from us by {date}.\n\n{me}"


def add(cast, who, body=TEXT, *, of=None, title="Plover"):
    key = new_key()
    db.session.close()
    communicator = cast.communicator(of) if of else None
    add_canned_reply(title=title, body=body, communicator=communicator, form_key=key, by=who.actor)
    return key


def written(answer):
    """What stands in the field of the reply."""
    found = re.search(r'<textarea[^>]* name="body"[^>]*>\n(.*?)</textarea>', answer.text, re.DOTALL)
    assert found, "no field for the reply"
    return found[1]


def insert(cast, who, thread, canned, body, *, htmx=False, **more):
    data = {"key": new_key(), "seen": str(last_id(cast, thread)), "body": body, "canned": canned} | more
    return who.post(f"/staff/messages/{thread}/reply", data, htmx=htmx)


# ---- The page of them ----------------------------------------------------------------------------


def test_one_is_added_changed_and_deleted_and_each_is_said(cast):
    page = cast.sam.get("/staff/canned-replies")
    assert "No canned replies yet" in page.text and "/staff/canned-replies/new" in page.text
    form = cast.sam.get("/staff/canned-replies/new")
    data = {"key": value(form, "key"), "title": "Plover", "body": TEXT, "communicator": cast.communicator("Scheduler")}
    for _ in range(2):  # pressed twice
        answer = cast.sam.post("/staff/canned-replies", data)
        assert answer.status_code == 303
    listed = cast.fay.get("/staff/canned-replies?done=saved").text
    assert listed.count("Plover") == 1 and "Scheduler" in listed and "Saved." in listed and "Dear {patient}" in listed
    address = f"/staff/canned-replies/{data['key']}"
    form = cast.fay.get(address)
    changed = {"key": value(form, "key"), "version": value(form, "version"), "title": "Heron", "body": "Hello {me}"}
    assert cast.fay.post(address, changed).status_code == 303
    assert "Heron" in cast.sam.get(address).text
    assert cast.sam.post(f"{address}/removal", {"version": "2"}).location == "/staff/canned-replies?done=discarded"
    assert "Deleted." in cast.sam.get("/staff/canned-replies?done=discarded").text
    assert cast.sam.get(address).status_code == cast.sam.post(f"{address}/removal", {"version": "2"}).status_code == 404


@pytest.mark.parametrize(
    ("title", "body", "says"),
    [
        ("", "B", "Write a title."),
        ("A", "", "Write the text."),
        ("x" * 81, "B", "Use at most 80 characters."),
        ("A", "y" * 20_001, "Use at most 20,000 characters."),
        ("A", "Dear {pateint}", "Not a placeholder: {pateint}. Those known are: {patient}, {me}, {date}."),
    ],
)
def test_what_cannot_be_saved_comes_back_with_its_text(cast, title, body, says):
    key = add(cast, cast.sam)
    for address, more in (("/staff/canned-replies", {}), (f"/staff/canned-replies/{key}", {"version": "1"})):
        answer = cast.sam.post(address, {"key": new_key(), "title": title, "body": body} | more)
        assert answer.status_code == 422 and says in answer.text and body in answer.text and title in answer.text
        assert "<title>Error: " in answer.text


def test_a_communicator_of_others_is_refused(cast):
    data = {"key": new_key(), "title": "A", "body": "Plover", "communicator": cast.communicator("Clinicians")}
    answer = cast.sam.post("/staff/canned-replies", data)
    assert answer.status_code == 422 and "Choose one of your communicators" in answer.text and "Plover" in answer.text


def test_who_was_overtaken_sees_what_is_saved_keeps_the_own_text_and_saves_it(cast):
    key = add(cast, cast.sam, of="Scheduler")
    address, old = f"/staff/canned-replies/{key}", {"key": new_key(), "version": "1", "title": "Sam's", "body": "Sam's words"}
    db.session.close()
    change_canned_reply(key, title="Fay's", body="Fay's words", version=1, form_key=new_key(), by=cast.fay.actor)
    answer = cast.sam.post(address, old)
    assert answer.status_code == 409 and "Fay&#39;s words" in answer.text and "Sam&#39;s words" in answer.text
    refused = cast.sam.post(f"{address}/removal", {"version": "1"})
    assert refused.status_code == 409 and "Not deleted" in refused.text and "Fay&#39;s words" in refused.text
    assert cast.sam.post(address, old | {"version": value(answer, "version")}).status_code == 303
    assert "Sam&#39;s words" in cast.fay.get(address).text


def test_who_is_in_charge_no_more_gets_the_text_back(cast):
    key = add(cast, cast.sam, of="Scheduler")
    cast.change("Scheduler", staff=[cast.fay])
    answer = cast.sam.post(
        f"/staff/canned-replies/{key}", {"key": new_key(), "version": "1", "title": "A", "body": "My long words"}
    )
    assert answer.status_code == 404 and "My long words" in answer.text
    assert "Plover" not in cast.sam.get("/staff/canned-replies").text


def test_markup_is_text_and_the_admin_sees_none(cast):
    add(cast, cast.sam, "<b>x</b>", title="<i>y</i>", of="Scheduler")
    page = cast.fay.get("/staff/canned-replies").text
    assert "&lt;b&gt;x&lt;/b&gt;" in page and "&lt;i&gt;y&lt;/i&gt;" in page
    assert "&lt;i&gt;y" not in cast.ada.get("/staff/canned-replies").text


# ---- Picking one beside the open message -----------------------------------------------------------


@pytest.mark.parametrize("htmx", [False, True])
def test_those_that_fit_are_one_press_away_and_fill_the_reply(cast, htmx):
    key = cast.send(cast.sophie, "Appointment")
    picked = add(cast, cast.fay, of="Scheduler")
    add(cast, cast.fay, title="Of the Clinicians", of="Clinicians")
    add(cast, cast.fay, title="My own")
    pane = cast.fay.get(f"/staff/messages/{key}", htmx=htmx).text
    assert "Plover" in pane and "My own" in pane and "Of the Clinicians" not in pane
    assert f"/staff/messages/{key}/reply?canned={picked}" in pane
    assert f'hx-push-url="/staff/messages/{key}/reply"' in pane, "loaded again it is not inserted again"
    answer = cast.fay.get(f"/staff/messages/{key}/reply?canned={picked}", htmx=htmx)
    promised = re.search(r"Answer promised by ([^<]+)<", pane)[1]
    assert answer.status_code == 200
    assert written(answer) == f"Dear SOPHIE KWON,\n\nyou hear from us by {promised}.\n\nFAY STAFF"
    assert "Not known here" not in answer.text
    assert reply(cast, cast.fay, key, written(answer)).status_code == 303
    assert messages_of(cast, key)[-1] == written(answer)


def test_six_stand_beside_the_message_and_all_in_the_select(cast):
    key = cast.send(cast.sophie, "Appointment")
    for n in range(8):
        add(cast, cast.sam, title=f"Number {n}")
    pane = cast.sam.get(f"/staff/messages/{key}").text
    assert [n for n in range(8) if f"Number {n}" in pane] == [0, 1, 2, 3, 4, 5] and "2 more with Respond" in pane
    form = cast.sam.get(f"/staff/messages/{key}/reply").text
    assert all(f">Number {n}</option>" in form for n in range(8))


def test_where_there_is_none_nothing_is_offered(cast):
    key = cast.send(cast.sophie, "Appointment")
    assert "Canned reply" not in cast.sam.get(f"/staff/messages/{key}", htmx=True).text
    form = cast.sam.get(f"/staff/messages/{key}/reply", htmx=True).text
    assert 'name="canned"' not in form and "/staff/canned-replies" in form, "but where one is written"


def test_while_an_answer_is_being_sent_none_is_offered(cast, ten_seconds):
    key = cast.send(cast.sophie, "Appointment")
    add(cast, cast.sam)
    cast.answer(cast.sam, key)
    assert "Plover" not in cast.sam.get(f"/staff/messages/{key}", htmx=True).text


def test_a_date_nobody_promised_stays_is_named_and_is_not_sent(cast):
    key = cast.send(cast.sophie, "Appointment")
    picked = add(cast, cast.sam)
    close(key, version=cast.thread(key).version, by=cast.sam.actor)
    answer = cast.sam.get(f"/staff/messages/{key}/reply?canned={picked}")
    assert "by {date}." in written(answer) and "Not known here: {date}" in answer.text
    refused = reply(cast, cast.sam, key, written(answer))
    assert refused.status_code == 422 and "Not sent: write what is meant in place of {date}" in refused.text
    assert written(refused) == written(answer) and len(messages_of(cast, key)) == 1
    assert reply(cast, cast.sam, key, written(answer).replace("{date}", "Friday")).status_code == 303


@pytest.mark.parametrize(("last", "first"), [("{me}", "{date}"), ("כהן", "נועה"), ("<b>x</b>", ""), ("O'NEIL %s", "\\1")])
def test_a_name_is_inserted_as_it_is_and_never_read_again(cast, last, first):
    patient = cast.patient(first, last) if first else cast.patient("", last)
    key = cast.send(patient, "Appointment")
    picked = add(cast, cast.sam, "Dear {patient}, yes. {me}")
    name = " ".join(part for part in (first.upper(), last) if part)
    answer = cast.sam.get(f"/staff/messages/{key}/reply?canned={picked}", htmx=True)
    assert "Not known here" not in answer.text and "<b>x" not in answer.text
    said = f"Dear {name}, yes. SAM STAFF"
    assert reply(cast, cast.sam, key, said).status_code == 303 and messages_of(cast, key)[-1] == said
    for sign, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("'", "&#39;")):
        said = said.replace(sign, escaped)
    assert written(answer) == said


# ---- Inserting into what is written ----------------------------------------------------------------


@pytest.mark.parametrize("htmx", [False, True])
def test_insert_adds_to_what_is_written_and_the_form_stays_the_same(cast, htmx):
    key = cast.send(cast.sophie, "Appointment")
    picked, form_key = add(cast, cast.sam, "Hello {patient}"), new_key()
    answer = insert(cast, cast.sam, key, picked, "My words  ", htmx=htmx, key=form_key)
    assert answer.status_code == 200 and written(answer) == "My words\n\nHello SOPHIE KWON"
    assert value(answer, "key") == form_key and value(answer, "seen") == str(last_id(cast, key))
    assert f'data-key="{form_key}" data-unsaved' in answer.text and "selected>Choose" in answer.text.replace(
        " selected", "selected"
    )
    assert len(messages_of(cast, key)) == 1, "nothing is sent by it"
    again = insert(cast, cast.sam, key, picked, written(answer), htmx=htmx, key=form_key)
    assert written(again).count("Hello SOPHIE KWON") == 2, "whoever asks for it twice gets it twice"
    empty = insert(cast, cast.sam, key, picked, "", htmx=htmx)
    assert written(empty) == "Hello SOPHIE KWON" and "aria-invalid" not in empty.text, "what is written need not be finished"


def test_nothing_chosen_is_said_and_one_that_is_gone_too_and_the_text_is_kept(cast):
    key = cast.send(cast.sophie, "Appointment")
    others, gone = add(cast, cast.fay), add(cast, cast.fay, of="Clinicians")
    answer = insert(cast, cast.sam, key, "", "My words")
    assert answer.status_code == 422 and written(answer) == "My words" and "Choose a canned reply first" in answer.text
    for who, named in ((cast.sam, others), (cast.sam, gone), (cast.sam, "x" * 22), (cast.sam, "x\0" * 40), (cast.fay, gone)):
        answer = insert(cast, who, key, named, "My words")
        assert answer.status_code in (409, 422) and written(answer) == "My words"
        if "\0" not in named:
            assert "not there any more" in answer.text
            opened = cast.sam.get(f"/staff/messages/{key}/reply?canned={named}")
            assert (opened.status_code, written(opened)) == (409, "") or named == gone


def test_a_thread_that_went_to_others_meanwhile_gives_the_text_back(cast):
    key = cast.send(cast.sophie, "Appointment")
    picked = add(cast, cast.sam)
    cast.change("Scheduler", staff=[cast.fay])
    answer = insert(cast, cast.sam, key, picked, "My words")
    assert answer.status_code == 404 and "My words" in answer.text


def test_a_pick_is_added_to_the_draft_once_and_never_to_the_one_the_address_names(cast):
    key = cast.send(cast.sophie, "Appointment")
    picked, draft = add(cast, cast.sam, "Hello"), new_key()
    about = f"/staff/messages/{key}/reply"
    cast.sam.post(f"/staff/drafts/{draft}", {"about": about, "body": "Begun", "draft_version": "0", "seen": "1"})
    assert written(cast.sam.get(f"{about}?canned={picked}")) == "Begun\n\nHello"
    assert written(cast.sam.get(f"{about}?canned={picked}&draft={draft}")) == "Begun"
    cast.sam.post(f"/staff/drafts/{draft}", {"about": about, "body": "Begun\n\nHello", "draft_version": "1", "seen": "1"})
    assert written(cast.sam.get(f"{about}?canned={picked}")) == "Begun\n\nHello"


def test_a_draft_saved_elsewhere_meanwhile_is_told_of_and_the_text_is_inserted(cast):
    key = cast.send(cast.sophie, "Appointment")
    picked, draft = add(cast, cast.sam, "Hello"), new_key()
    about = f"/staff/messages/{key}/reply"
    cast.sam.post(
        f"/staff/drafts/{draft}", {"about": about, "body": "Other words", "draft_version": "0", "seen": str(last_id(cast, key))}
    )
    answer = insert(cast, cast.sam, key, picked, "Mine", key=draft, draft_version="0")
    assert written(answer) == "Mine\n\nHello" and 'id="errors"' in answer.text
    answer = insert(cast, cast.sam, key, picked, "Other words", key=draft, draft_version="0")
    assert value(answer, "draft_version") == "1" and 'id="errors"' not in answer.text


def test_a_deputy_uses_those_of_the_communicator(cast):
    key = cast.send(cast.sophie, "Appointment")
    picked = add(cast, cast.sam, "Hello", of="Scheduler")
    cast.change("Scheduler", staff=[cast.sam, cast.dan])
    assert written(cast.dan.get(f"/staff/messages/{key}/reply?canned={picked}")) == "Hello"


def test_writing_takes_one_statement_more_and_filling_two(cast, statements):
    key = cast.send(cast.sophie, "Appointment")
    cast.sam.get(f"/staff/messages/{key}/reply", htmx=True)
    counts = []
    picked = add(cast, cast.sam, "Dear {patient}")
    for address in ("", f"?canned={picked}"):
        with statements() as found:
            cast.sam.get(f"/staff/messages/{key}/reply{address}", htmx=True)
        assert sum("FROM canned_reply" in statement for statement in found) == (2 if address else 1)
        counts.append(len(found))
    assert counts[1] - counts[0] == 2
