"""Canned replies: whose they are, what a save refuses, how they are filled, and that no answer leaves with a placeholder."""

import pytest
import sqlalchemy as sa

from practice import canned_replies, conversations
from practice.canned_replies import CannedReply, add_canned_reply, change_canned_reply, delete_canned_reply
from practice.coverage import delete_communicator, set_staff_status
from practice.db import Audit, db, new_key
from practice.errors import Invalid, NotVisible, Stale
from practice.people import AccountStatus
from practice.placeholders import filled, placeholders_in, unknown_in
from practice.threads import last_message_id
from tests.examples.absences import plan


def add(who, body="Hello", *, of=None, title="A", key=None):
    """Adds one; answers its key."""
    key = key or new_key()
    db.session.close()
    add_canned_reply(title=title, body=body, communicator=of, form_key=key, by=who.actor)
    return key


def seen_by(who):
    db.session.close()
    return [row.key for row in canned_replies.canned_replies(who.id)]


def stored():
    db.session.close()
    return db.session.scalar(sa.select(sa.func.count()).select_from(CannedReply))


# ---- Placeholders --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["{}", "{ me }", "{1, 2}", "{me and you}", ":-{", "}{", "{2}", "a{b", "{\nme\n}", "{'a': 1}", "{" + "x" * 60 + "}"]
)
def test_ordinary_braces_are_no_placeholders(text):
    assert placeholders_in(text) == [] and filled(text, {"me": "FAY"}) == text


@pytest.mark.parametrize("text", ["{pateint}", "{x}", "{first_name}", "{first-name}", "{имя}", "{שם}", "{{x}}", "{me2}"])
def test_one_word_in_braces_is_one_in_any_language(text):
    assert len(unknown_in(text)) == 1


def test_a_text_is_filled_in_one_go_and_what_is_inserted_is_not_read_again():
    values = {"patient": "{me} {date} \\1 %s KWON", "me": "FAY", "date": ""}
    said = filled("Dear {patient}, {Patient}! {me} {date} {other}", values)
    assert said == "Dear {me} {date} \\1 %s KWON, {me} {date} \\1 %s KWON! FAY {date} {other}"


# ---- Whose they are ------------------------------------------------------------------------------


def test_own_ones_are_seen_by_their_owner_alone_and_a_communicators_by_all_in_charge(cast):
    own, shared = add(cast.sam, title="Z"), add(cast.sam, of=cast.communicator("Scheduler"))
    assert seen_by(cast.sam) == [own, shared], "own ones first"
    assert seen_by(cast.fay) == [shared] and seen_by(cast.nina) == seen_by(cast.ada) == []
    change_canned_reply(shared, title="B", body="C", version=1, form_key=new_key(), by=cast.fay.actor)
    for who, key in ((cast.fay, own), (cast.nina, shared), (cast.ada, own), (cast.ada, shared)):
        with pytest.raises(NotVisible):
            change_canned_reply(key, title="X", body="X", version=1, form_key=new_key(), by=who.actor)
        with pytest.raises(NotVisible):
            delete_canned_reply(key, version=1, by=who.actor)
        with pytest.raises(NotVisible):
            canned_replies.canned_reply(key, who.id)
    delete_canned_reply(shared, version=2, by=cast.fay.actor)
    assert seen_by(cast.sam) == [own]


def test_nobody_adds_to_a_communicator_of_others(cast):
    for of in (cast.communicator("Clinicians"), "x" * 22):
        with pytest.raises(Invalid, match="Choose one of your communicators"):
            add(cast.sam, of=of)
    assert stored() == 0


def test_a_deputy_has_them_for_as_long_as_the_absence_lasts(cast):
    shared = add(cast.nina, of=cast.communicator("Clinicians"))
    plan(cast.nina, cast.sam)
    assert seen_by(cast.sam) == [shared]
    change_canned_reply(shared, title="B", body="C", version=1, form_key=new_key(), by=cast.sam.actor)


def test_whoever_is_in_charge_no_more_sees_them_no_more_and_keeps_the_own_ones(cast):
    own, shared = add(cast.sam), add(cast.sam, of=cast.communicator("Scheduler"))
    cast.change("Scheduler", staff=[cast.fay])
    assert seen_by(cast.sam) == [own] and seen_by(cast.fay) == [shared]
    with pytest.raises(NotVisible):
        delete_canned_reply(shared, version=1, by=cast.sam.actor)


def test_a_disabled_account_keeps_its_own_ones(cast):
    own = add(cast.sam)
    set_staff_status(cast.sam.key, AccountStatus.DISABLED, by=cast.ada.actor)
    assert seen_by(cast.sam) == [own]


def test_a_communicator_takes_its_own_along_and_no_others(cast):
    cast.communicate("Others", "Billing", cast.sam)
    add(cast.sam, of=cast.communicator("Billing"))
    others = [add(cast.sam), add(cast.sam, of=cast.communicator("Scheduler"))]
    db.session.close()
    delete_communicator(cast.communicator("Billing"), by=cast.ada.actor)
    assert seen_by(cast.sam) == others and stored() == 2


def test_those_that_fit_are_own_ones_and_those_of_the_communicators_named(cast):
    own, shared = add(cast.fay), add(cast.fay, "Shared", of=cast.communicator("Scheduler"))
    add(cast.fay, of=cast.communicator("Clinicians"))
    scheduler = db.session.scalar(sa.select(CannedReply.communicator_id).where(CannedReply.key == shared))
    assert [row.key for row in canned_replies.fitting(cast.fay.id, [scheduler])] == [own, shared]
    assert [row.key for row in canned_replies.fitting(cast.fay.id, [])] == [own]
    assert canned_replies.body_of(shared, cast.fay.id, [scheduler]) == "Shared"
    assert canned_replies.body_of(shared, cast.fay.id, []) is None


# ---- Saving --------------------------------------------------------------------------------------


def test_an_unknown_placeholder_is_named_beside_those_that_are_known(cast):
    with pytest.raises(Invalid) as refused:
        add(cast.sam, "Dear {pateint}, {me}")
    assert str(refused.value) == "Not a placeholder: {pateint}. Those known are: {patient}, {me}, {date}."
    key = add(cast.sam, "Dear {patient}, { pateint } {me} {date}")
    with pytest.raises(Invalid):
        change_canned_reply(key, title="A", body="{x}", version=1, form_key=new_key(), by=cast.sam.actor)


@pytest.mark.parametrize(("title", "body"), [("", "B"), ("x" * 81, "B"), ("A", " "), ("A", "y" * 20_001), ("A\0", "B")])
def test_what_cannot_be_kept_is_refused(cast, title, body):
    with pytest.raises(Invalid):
        add(cast.sam, body, title=title)
    assert stored() == 0


@pytest.mark.parametrize("key", ["", "x", "/" * 22, "é" * 22])
def test_a_key_that_is_none_of_ours_makes_nothing(cast, key):
    with pytest.raises(Invalid):
        add_canned_reply(title="A", body="B", communicator=None, form_key=key, by=cast.sam.actor)
    assert stored() == 0


def test_the_same_form_twice_is_one_and_other_words_under_its_key_are_refused(cast):
    key = add(cast.sam)
    add(cast.sam, key=key)
    for who, body in ((cast.sam, "Other"), (cast.fay, "Hello")):
        with pytest.raises(Invalid, match="saved before, with other words"):
            add(who, body, key=key)
    assert stored() == 1


def test_two_hundred_own_ones_and_two_hundred_a_communicator(cast, monkeypatch):
    monkeypatch.setattr(canned_replies, "MOST", 2)
    scheduler = cast.communicator("Scheduler")
    for of in (None, scheduler):
        last = [add(cast.sam, of=of) for _ in range(2)][-1]
        with pytest.raises(Invalid, match="There are 2 here already"):
            add(cast.sam, of=of)
        delete_canned_reply(last, version=1, by=cast.sam.actor)
        add(cast.sam, of=of)
    with pytest.raises(Invalid):
        add(cast.fay, of=scheduler)
    add(cast.fay)


def test_an_old_version_is_neither_changed_nor_deleted(cast):
    key = add(cast.sam, of=cast.communicator("Scheduler"))
    change_canned_reply(key, title="A", body="Fay's", version=1, form_key=new_key(), by=cast.fay.actor)
    with pytest.raises(Stale):
        change_canned_reply(key, title="A", body="Sam's", version=1, form_key=new_key(), by=cast.sam.actor)
    with pytest.raises(Stale):
        delete_canned_reply(key, version=1, by=cast.sam.actor)
    assert canned_replies.canned_reply(key, cast.sam.id).body == "Fay's"


def test_the_audit_says_who_did_what_and_no_word_of_the_text(cast):
    key = add(cast.sam, "Plover")
    change_canned_reply(key, title="Heron", body="Plover", version=1, form_key=new_key(), by=cast.sam.actor)
    delete_canned_reply(key, version=2, by=cast.sam.actor)
    db.session.close()
    rows = db.session.scalars(sa.select(Audit).where(Audit.about == key).order_by(Audit.id)).all()
    assert [row.did for row in rows] == ["add_canned_reply", "change_canned_reply", "delete_canned_reply"]
    assert all(row.details == "" and row.actor_id == cast.sam.id for row in rows)


# ---- No answer leaves with a placeholder ----------------------------------------------------------


@pytest.mark.parametrize("body", ["Dear {patient}", "by {date}", "{whatever} is unknown", "{ME}"])
def test_an_answer_with_a_placeholder_is_not_sent_nor_a_new_message(cast, body):
    key = cast.send(cast.sophie, "Appointment")
    with pytest.raises(Invalid, match="Not sent: write what is meant in place of"):
        cast.answer(cast.sam, key, body)
    assert cast.thread(key).state == "waiting" and cast.thread(key).is_unread
    scheduler = cast.communicator("Scheduler")
    with pytest.raises(Invalid, match="Not sent"):
        conversations.start(cast.sophie.key, communicator=scheduler, title="A", body=body, form_key=new_key(), by=cast.sam.actor)


def test_ordinary_braces_are_sent_and_so_is_a_name_that_looks_like_a_placeholder(cast):
    key = cast.send(cast.sophie, "Appointment")
    cast.answer(cast.sam, key, "Take { 1 } or {2}, {} and {me or you}")
    strange = cast.patient("{me}", "{DATE}")
    key = cast.send(strange, "Appointment")
    cast.answer(cast.sam, key, "Dear {ME} {DATE}, yes.")
    assert cast.thread(key).state == "answered"
    key = cast.send(strange, "Appointment")
    with pytest.raises(Invalid, match="{me}"):
        cast.answer(cast.sam, key, "Dear {ME} {DATE}, yes. {me}")
    assert last_message_id(db.session, cast.thread(key).id)
