"""An amendment's steps as pages: what each asks for, what the patient reads, and what a denial has to say."""

import re

import pytest
import sqlalchemy as sa

from practice import amendments
from practice.amendments import TRANSITIONS, Amendment, AmendmentState, Ground
from practice.db import db, new_key
from practice.records import RecordValue
from practice.requests import RequestVerb
from practice.threads import Message, last_message_id
from staff.corrections import FORMS

V, S = RequestVerb, AmendmentState
OF_STEP = {
    V.ACCEPT: {"value": "167 cm"},
    V.ACCEPT_IN_PART: {"value": "166 cm", "denied": "The last centimetre", "ground": Ground.CORRECT},
    V.DENY: {"ground": Ground.NOT_OURS},
}


def filled(cast, key, verb, **more):
    db.session.close()
    thread = cast.thread(key).id
    data = {"key": new_key(), "seen": str(last_message_id(db.session, thread)), "note": "As measured here"}
    replaces = {"replaces": amendments.value_now(db.session.get(Amendment, thread)).key}
    db.session.close()
    return data | replaces | OF_STEP.get(verb, {}) | more


def post(cast, key, verb, by=None, htmx=False, **more):
    return (by or cast.rita).post(f"/staff/messages/{key}/steps/{verb}", filled(cast, key, verb, **more), htmx=htmx)


def last_words():
    db.session.close()
    return db.session.scalars(sa.select(Message.body).order_by(Message.id.desc())).first()


def in_review(cast):
    key = cast.send(cast.sophie, "Amendment")
    assert post(cast, key, V.REVIEW).status_code == 303
    return key


def state_of():
    db.session.close()
    return db.session.scalars(sa.select(Amendment.state)).one()


@pytest.mark.parametrize("state", S)
def test_the_buttons_are_those_of_the_table(cast, state):
    key = cast.send(cast.sophie, "Amendment")
    with db.engines["write"].begin() as connection:
        connection.execute(sa.update(Amendment.__table__).values(state=state))
    db.session.close()
    page = cast.rita.get(f"/staff/messages/{key}").text
    for verb in FORMS:
        is_offered = (state, verb) in TRANSITIONS and verb != V.REBUT  # nobody has disagreed
        assert (f"/staff/messages/{key}/steps/{verb}" in page) is is_offered, verb
        if not is_offered:
            assert cast.rita.get(f"/staff/messages/{key}/steps/{verb}").status_code == 409
            assert post(cast, key, verb).status_code == 409
    assert f"/staff/messages/{key}/steps/cancel" not in page, "only the patient withdraws"
    assert state_of() == state


@pytest.mark.parametrize("htmx", [False, True])
def test_what_is_accepted_is_told_and_stands_in_the_record(cast, htmx):
    key = in_review(cast)
    form = cast.rita.get(f"/staff/messages/{key}/steps/accept").text
    assert 'value="167 cm"' in form, "as the patient wants it"
    answer = post(cast, key, V.ACCEPT, htmx=htmx)
    assert answer.status_code == (200 if htmx else 303)
    assert last_words().startswith("Your request for a correction is accepted.\n\nThe record now says: 167 cm")
    page = cast.sophie.get("/my-info").text
    assert "167 cm" in page and "at your request. Before:" in page
    for who, address in ((cast.rita, f"/staff/messages/{key}"), (cast.sophie, f"/messages/{key}")):
        assert "Accepted" in who.get(address).text
    assert post(cast, key, V.COMPLETE, note="Dr. Moreau was told").status_code == 303
    assert "Dr. Moreau was told" in last_words() and state_of() == S.COMPLETED


@pytest.mark.parametrize("verb", [V.DENY, V.ACCEPT_IN_PART])
def test_a_denial_says_all_that_the_law_asks_for(cast, verb):
    key = in_review(cast)
    assert post(cast, key, verb).status_code == 303
    words = last_words()
    basis = "We did not create this part" if verb == V.DENY else "The record is accurate and complete."
    for said in (
        basis,  # 164.526(d)(1)(i)
        "Reason: As measured here",
        "You may disagree: press Disagree",  # (ii)
        "you may ask that your request and this denial go along",  # (iii)
        "You may complain to us:",  # (iv)
        "Secretary of Health and Human Services",
    ):
        assert said in words
    assert ("The last centimetre" in words and "166 cm" in words) is (verb == V.ACCEPT_IN_PART)
    page = cast.sophie.get("/my-info").text
    assert basis in page and "As measured here" in page and f"/messages/{key}" in page


def test_an_extension_is_told_with_its_reason_and_day_to_both_sides(cast):
    key = in_review(cast)
    assert post(cast, key, V.EXTEND, note="The old files are elsewhere").status_code == 303
    assert "We decide by: " in last_words() and "The old files are elsewhere" in last_words()
    for who, address in ((cast.rita, f"/staff/messages/{key}"), (cast.sophie, f"/messages/{key}")):
        page = who.get(address).text
        assert "Decision by" in page and "Extended by 30 days because" in page
    assert post(cast, key, V.EXTEND).status_code == 409


@pytest.mark.parametrize(
    ("verb", "wrong", "says"),
    [
        (V.ACCEPT, {"value": " "}, "Write what the record will say."),
        (V.ACCEPT, {"value": "x" * 501}, "Use at most 500 characters."),
        (V.ACCEPT_IN_PART, {"denied": ""}, "Say what is denied."),
        (V.ACCEPT_IN_PART, {"ground": ""}, "Choose the ground."),
        (V.DENY, {"ground": "because"}, "Choose the ground."),
        (V.DENY, {"note": ""}, "Say why."),
        (V.ASK, {"note": ""}, "Say what you need to know."),
        (V.EXTEND, {"note": " "}, "Say why."),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_is_kept(cast, verb, wrong, says):
    key = in_review(cast)
    answer = post(cast, key, verb, **wrong)
    assert answer.status_code == 422 and says in answer.text
    assert "note" in wrong or "As measured here" in answer.text
    assert state_of() == S.IN_REVIEW


def test_a_value_that_another_request_corrected_is_not_corrected_unseen(cast):
    first, second = in_review(cast), in_review(cast)
    late = filled(cast, second, V.ACCEPT)
    assert post(cast, first, V.ACCEPT, value="168 cm").status_code == 303
    answer = cast.rita.post(f"/staff/messages/{second}/steps/accept", late)
    assert answer.status_code == 409 and "As measured here" in answer.text
    db.session.close()
    now = db.session.scalars(sa.select(RecordValue).where(RecordValue.value == "168 cm")).one()
    assert f'name="replaces" value="{now.key}"' in answer.text
    assert cast.rita.post(f"/staff/messages/{second}/steps/accept", late | {"replaces": now.key}).status_code == 303


def test_whose_it_is_not_takes_no_step(cast):
    key = in_review(cast)
    for verb in FORMS:
        assert cast.sam.get(f"/staff/messages/{key}/steps/{verb}").status_code == 404
        assert post(cast, key, verb, cast.sam).status_code == 404
    assert state_of() == S.IN_REVIEW


def test_who_decides_on_a_second_request_reads_what_the_record_says_by_now(cast):
    first, second = in_review(cast), in_review(cast)
    words = re.compile(r"<dt>The record says now</dt>\s*<dd[^>]*>[^<]+, 170 cm</dd>")
    pages = (f"/staff/messages/{second}", f"/staff/messages/{second}/steps/accept", f"/staff/messages/{second}/steps/deny")
    assert not any("The record says now" in cast.rita.get(page).text for page in pages)
    post(cast, first, V.ACCEPT, value="170 cm")
    assert all(words.search(cast.rita.get(page).text) for page in pages)
    assert words.search(cast.sophie.get(f"/messages/{second}").text)
    assert "The record says now" not in cast.rita.get(f"/staff/messages/{first}").text, "it says there what was decided"
