"""What patients do to their amendments: answer, withdraw, disagree; and a value that was corrected meanwhile."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from practice import amendments
from practice.amendments import Amendment, AmendmentState
from practice.db import clock_at, db, new_key
from practice.requests import Letter
from practice.threads import last_message_id
from tests.examples.portal import amendment, denied, message_key

STATEMENT = "I was measured twice, by two doctors"


def asked():
    db.session.close()
    return db.session.scalars(sa.select(Amendment)).one()


def step(cast, key, verb, **more):
    db.session.close()
    seen = last_message_id(db.session, cast.thread(key).id)
    verb(key, letter=Letter("Words", new_key(), seen), by=cast.rita.actor, **more)
    db.session.close()


def test_an_answer_leads_back_to_the_review(cast):
    key = cast.send(cast.sophie, "Amendment")
    step(cast, key, amendments.review)
    step(cast, key, amendments.ask)
    assert "Waiting for information" in cast.sophie.get(f"/messages/{key}").text
    assert cast.sophie.post(f"/messages/{key}/replies", {"body": "It was in May", "key": new_key()}).status_code == 303
    assert asked().state == AmendmentState.IN_REVIEW


def test_it_is_withdrawn_while_nothing_is_decided(cast):
    key = cast.send(cast.sophie, "Amendment")
    assert f"/messages/{key}/cancellation" in cast.sophie.get(f"/messages/{key}").text
    answer = cast.sophie.post(f"/messages/{key}/cancellation", {"state": "queued", "key": new_key()})
    assert answer.status_code == 303 and asked().state == AmendmentState.CANCELLED
    assert f"/messages/{key}/cancellation" not in cast.sophie.get(f"/messages/{key}").text


def test_my_info_says_at_the_value_that_a_correction_of_it_is_under_way_and_by_when(cast):
    key, said = cast.send(cast.sophie, "Amendment"), "You asked us to correct this."
    value = cast.sophie.get("/my-info").text.partition(said)[2]
    assert value.index("We decide by") < value.index(f'href="/messages/{key}"') < value.index("</li>")
    with clock_at(asked().due_at + timedelta(minutes=1)):
        cast.sophie.log_in()
        late = cast.sophie.get("/my-info").text
    cast.sophie.log_in()
    assert said in late and "We decide by" not in late
    cast.sophie.post(f"/messages/{key}/cancellation", {"state": "queued", "key": new_key()})
    assert said not in cast.sophie.get("/my-info").text


def test_what_is_decided_is_withdrawn_no_more(cast):
    key = denied(cast)
    assert f"/messages/{key}/cancellation" not in cast.sophie.get(f"/messages/{key}").text
    answer = cast.sophie.post(f"/messages/{key}/cancellation", {"state": "in review", "key": new_key()})
    assert answer.status_code == 409 and asked().state == AmendmentState.DENIED


def test_a_statement_of_disagreement_is_filed_once_and_stands_beside_the_denial(cast):
    key = denied(cast)
    address = f"/messages/{key}/disagreement"
    assert address in cast.sophie.get(f"/messages/{key}").text
    page = cast.sophie.get(address).text
    assert "Hives" in page and "In an emergency call" in page
    form = {"statement": STATEMENT, "key": new_key()}
    for _ in range(2):
        assert cast.sophie.post(address, form).status_code == 303, "the same form twice is once"
    assert asked().disagreement == STATEMENT
    again = cast.sophie.post(address, {"statement": "Another", "key": new_key()})
    assert again.status_code == 409 and "Another" in again.text and asked().disagreement == STATEMENT
    assert address not in cast.sophie.get(f"/messages/{key}").text
    step(cast, key, amendments.rebut, words="Twice measured")
    for who, page in ((cast.sophie, f"/messages/{key}"), (cast.sophie, "/my-info"), (cast.rita, f"/staff/messages/{key}")):
        text = who.get(page).text
        assert STATEMENT in text and "Twice measured" in text and "Hives" in text


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"statement": " "}, "Write why you disagree."), ({"statement": "x" * 5001}, "5,000"), ({"statement": "a\0"}, "cannot be")],
)
def test_a_wrong_statement_is_not_filed(cast, wrong, says):
    key = denied(cast)
    answer = cast.sophie.post(f"/messages/{key}/disagreement", {"key": new_key()} | wrong)
    assert answer.status_code == 422 and says in answer.text and asked().disagreement is None


def test_with_what_is_not_denied_nobody_disagrees(cast):
    key = cast.send(cast.sophie, "Amendment")
    answer = cast.sophie.post(f"/messages/{key}/disagreement", {"statement": STATEMENT, "key": new_key()})
    assert answer.status_code == 409 and asked().disagreement is None
    others = cast.send(cast.sophie, "Others")
    assert cast.sophie.get(f"/messages/{others}/disagreement").status_code == 404


@pytest.mark.parametrize("htmx", [False, True])
def test_a_value_that_was_corrected_meanwhile_is_shown_as_it_is_now(cast, htmx):
    old = cast.value_of(cast.sophie)
    key = cast.send(cast.sophie, "Amendment")
    step(cast, key, amendments.review)
    replaces = amendments.value_now(asked()).key
    step(cast, key, amendments.accept, value="Corrected words", replaces=replaces)
    for answer in (
        cast.sophie.get(f"/my-info/{old}/amendment", htmx=htmx),
        cast.sophie.post(f"/my-info/{old}/amendment", amendment(cast)["data"], htmx=htmx),
    ):
        assert answer.status_code == 409 and "Not sent: the record was corrected meanwhile" in answer.text
        assert "Corrected words" in answer.text
    assert asked().to_value == "167 cm", "no second request"


def test_what_the_practice_writes_about_it_is_a_letter_to_print_and_nothing_else_is(cast):
    key = denied(cast)
    decision = message_key(cast, key)
    for who, address in ((cast.sophie, f"/messages/{key}"), (cast.rita, f"/staff/messages/{key}")):
        assert f"{address}/letters/{decision}" in who.get(address).text
        page = who.get(f"{address}/letters/{decision}").text
        assert "data-print" in page and "Hello" in page and "Patient Info Manager" in page
    cast.sophie.post(f"/messages/{key}/replies", {"body": "Thank you", "key": new_key()})
    db.session.close()
    mine = message_key(cast, key)
    assert cast.sophie.get(f"/messages/{key}/letters/{mine}").status_code == 404
    assert cast.rita.get(f"/staff/messages/{key}/letters/{mine}").status_code == 404
    others = cast.send(cast.sophie, "Others")
    assert cast.sophie.get(f"/messages/{others}/letters/{decision}").status_code == 404
