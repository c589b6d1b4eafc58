"""The life of an amendment: each step of its table and no other, versions of a value, the time it may take, what is said to a
denial."""

import json
import threading
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from practice import amendments, conversations, jobs
from practice.amendments import TRANSITIONS, Amendment, AmendmentState, Ground, extended
from practice.calendar import end_of_day
from practice.db import COMMAND, Audit, clock_at, db, new_key, now, transaction
from practice.errors import Invalid, NotVisible, SentBefore, Stale
from practice.outbox import Notice, Occasion
from practice.records import RecordValue, record_of
from practice.requests import Letter, RequestVerb
from practice.threads import Event, History, Message, last_message_id

V, S = RequestVerb, AmendmentState
NEEDS = {V.DISAGREE: {"ground": Ground.CORRECT}, V.REBUT: {"ground": Ground.CORRECT, "disagreement": "I was there"}}
"""What a step needs besides the state."""


def letter(cast, key, body="Words for the patient", form_key=None):
    db.session.close()
    return Letter(body, form_key or new_key(), last_message_id(db.session, cast.thread(key).id))


def asked(cast, key):
    db.session.close()
    return db.session.get(Amendment, cast.thread(key).id)


def put(cast, key, **values):
    thread = cast.thread(key).id
    with db.engines["write"].begin() as connection:
        connection.execute(sa.update(Amendment.__table__).where(Amendment.thread_id == thread).values(**values))
    db.session.close()


def current(cast, key):
    found = amendments.value_now(asked(cast, key)).key
    db.session.close()
    return found


def take(cast, key, verb, by=None, **more):
    """A step of staff, or of the patient, by its verb."""
    of_patient = {"form_key": new_key(), "by": (by or cast.sophie).actor} | more
    of_staff = {"letter": letter(cast, key), "by": (by or cast.rita).actor} | more
    match verb:
        case V.REVIEW:
            return amendments.review(key, **of_staff)
        case V.ASK:
            return amendments.ask(key, **of_staff)
        case V.EXTEND:
            return amendments.extend(key, **{"because": "The old files are elsewhere"} | of_staff)
        case V.ACCEPT:
            return amendments.accept(key, **{"value": "167 cm", "replaces": current(cast, key)} | of_staff)
        case V.ACCEPT_IN_PART:
            why = {"denied": "The month", "ground": Ground.CORRECT, "because": "Measured here"}
            return amendments.accept_in_part(key, **{"value": "166 cm", "replaces": current(cast, key)} | why | of_staff)
        case V.DENY:
            return amendments.deny(key, **{"ground": Ground.CORRECT, "because": "Measured here"} | of_staff)
        case V.COMPLETE:
            return amendments.complete(key, **of_staff)
        case V.REBUT:
            return amendments.rebut(key, **{"words": "Twice measured"} | of_staff)
        case V.DISAGREE:
            return amendments.disagree(key, **{"statement": "I was there", "body": "I disagree"} | of_patient)
        case V.CANCEL:
            return amendments.cancel_amendment(key, **{"state": asked(cast, key).state} | of_patient)


def sent(cast, *verbs):
    key = cast.send(cast.sophie, "Amendment")
    for verb in verbs:
        take(cast, key, verb)
    return key


def messages(key):
    db.session.close()
    return db.session.scalar(sa.select(sa.func.count()).select_from(Message))


def values_of(cast):
    db.session.close()
    return list(db.session.scalars(sa.select(RecordValue).where(RecordValue.patient_id == cast.sophie.id)))


ALL = [(state, verb) for state in S for verb in sorted({verb for _, verb in TRANSITIONS} - {V.INFORM})]


@pytest.mark.parametrize(("state", "verb"), ALL, ids=lambda one: one.value)
def test_a_step_leads_where_the_table_says_and_is_refused_where_it_says_nothing(cast, state, verb):
    key = sent(cast)
    put(cast, key, state=state, **NEEDS.get(verb, {}))
    before = messages(key), len(values_of(cast))
    if (state, verb) in TRANSITIONS:
        take(cast, key, verb)
        assert asked(cast, key).state == TRANSITIONS[state, verb] and messages(key) == before[0] + 1
        words = db.session.scalars(sa.select(History.words).where(History.did == Event.REQUEST)).one()
        assert json.loads(words) == {"verb": verb}
    else:
        with pytest.raises(Stale):
            take(cast, key, verb)
        assert asked(cast, key).state == state and (messages(key), len(values_of(cast))) == before


def test_the_patients_answer_leads_back_to_the_review_and_any_other_message_to_nothing(cast):
    key = sent(cast)
    for state in S:
        put(cast, key, state=state)
        amendments.write_on(key, body="It was in May", form_key=new_key(), by=cast.sophie.actor)
        assert asked(cast, key).state == TRANSITIONS.get((state, V.INFORM), state)
    others = cast.send(cast.sophie, "Others")
    amendments.write_on(others, body="More", form_key=new_key(), by=cast.sophie.actor)
    with pytest.raises(NotVisible):
        amendments.write_on(key, body="Not mine", form_key=new_key(), by=cast.jihae.actor)


def test_accepting_adds_a_version_and_keeps_the_one_before(cast):
    before = {value.key: value.value for value in values_of(cast)}
    key = sent(cast, V.REVIEW, V.ACCEPT)
    after = {value.key: value for value in values_of(cast)}
    new = next(value for name, value in after.items() if name not in before)
    old = next(value for value in after.values() if value.id == new.replaces_id)
    assert before == {name: after[name].value for name in before}, "nothing is overwritten"
    assert new.value == "167 cm" and new.name == old.name and new.amendment_thread_id == cast.thread(key).id
    assert old.superseded_at == new.corrected_at and new.superseded_at is None
    record = record_of(cast.sophie.id)
    shown = [value.key for values in record.sections.values() for value in values]
    assert new.key in shown and old.key not in shown and [one.key for one in record.former[new.id]] == [old.key]
    assert asked(cast, key).decided_at and asked(cast, key).new_value == "167 cm"


def test_a_corrected_value_stands_where_it_stood(cast):
    order = [value.name for values in record_of(cast.sophie.id).sections.values() for value in values]
    sent(cast, V.REVIEW, V.ACCEPT)
    db.session.close()
    assert [value.name for values in record_of(cast.sophie.id).sections.values() for value in values] == order


def test_a_version_that_was_corrected_is_asked_about_no_more(cast):
    old = cast.value_of(cast.sophie)
    sent(cast, V.REVIEW, V.ACCEPT)
    count = messages(None)
    with pytest.raises(Stale):
        amendments.request_amendment(cast.sophie.id, old, to="170 cm", memo="", form_key=new_key(), by=cast.sophie.actor)
    assert messages(None) == count


def test_a_form_that_was_sent_is_answered_the_same_after_the_correction(cast):
    old, form_key = cast.value_of(cast.sophie), new_key()
    ask = {"to": "167 cm", "memo": "", "form_key": form_key, "by": cast.sophie.actor}
    key = amendments.request_amendment(cast.sophie.id, old, **ask).thread_key
    take(cast, key, V.REVIEW)
    take(cast, key, V.ACCEPT)
    again = amendments.request_amendment(cast.sophie.id, old, **ask)
    assert again.thread_key == key and not again.is_new


@pytest.mark.parametrize("verb", [V.ACCEPT, V.ACCEPT_IN_PART])
def test_of_two_requests_for_a_value_the_second_corrects_only_what_its_reader_saw(cast, verb):
    first, second = sent(cast, V.REVIEW), sent(cast, V.REVIEW)
    seen = current(cast, second)
    take(cast, first, V.ACCEPT)
    with pytest.raises(Stale):
        take(cast, second, verb, replaces=seen)
    assert asked(cast, second).state == S.IN_REVIEW
    take(cast, second, verb)
    chain = record_of(cast.sophie.id).former
    assert [len(before) for before in chain.values()] == [2], "a version has one successor"


def test_two_who_decide_at_once_decide_once(cast, app):
    key = sent(cast, V.REVIEW)
    seen, results, gate = letter(cast, key), [], threading.Barrier(2)
    replaces = current(cast, key)

    def decide(verb):
        with app.app_context():
            gate.wait()
            mine = {"letter": Letter("Words", new_key(), seen.seen), "by": cast.rita.actor}
            try:
                if verb == V.ACCEPT:
                    amendments.accept(key, value="167 cm", replaces=replaces, **mine)
                else:
                    amendments.deny(key, ground=Ground.CORRECT, because="No", **mine)
                results.append(verb)
            except Stale:
                results.append(None)

    both = [threading.Thread(target=decide, args=(verb,)) for verb in (V.ACCEPT, V.DENY)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert len([one for one in results if one]) == 1 and len(results) == 2
    assert asked(cast, key).state in (S.ACCEPTED, S.DENIED) and messages(key) == 3


def test_the_same_form_twice_is_one_step_and_with_other_words_none(cast):
    key = sent(cast, V.REVIEW)
    once, replaces = letter(cast, key), current(cast, key)
    for _ in range(2):
        amendments.accept(key, value="167 cm", replaces=replaces, letter=once, by=cast.rita.actor)
    assert len(record_of(cast.sophie.id).former) == 1 and messages(key) == 3
    with pytest.raises(SentBefore):
        other = Letter("Other words", once.form_key, once.seen)
        amendments.accept(key, value="167 cm", replaces=replaces, letter=other, by=cast.rita.actor)


@pytest.mark.parametrize("verb", [V.REVIEW, V.EXTEND, V.CANCEL, V.DISAGREE])
def test_whose_it_is_not_cannot_take_a_step(cast, verb):
    key = sent(cast)
    put(cast, key, ground=Ground.CORRECT, state=S.DENIED if verb == V.DISAGREE else S.QUEUED)
    by = cast.jihae if verb in (V.CANCEL, V.DISAGREE) else cast.sam
    with pytest.raises(NotVisible):
        take(cast, key, verb, by)


@pytest.mark.parametrize(
    ("verb", "wrong", "field"),
    [
        (V.ACCEPT, {"value": " "}, "value"),
        (V.ACCEPT, {"value": "x" * 501}, "value"),
        (V.ACCEPT_IN_PART, {"denied": ""}, "denied"),
        (V.ACCEPT_IN_PART, {"because": ""}, "note"),
        (V.DENY, {"because": "x" * 5001}, "note"),
        (V.EXTEND, {"because": " "}, "note"),
    ],
)
def test_what_is_missing_is_named(cast, verb, wrong, field):
    key = sent(cast, V.REVIEW)
    with pytest.raises(Invalid) as refused:
        take(cast, key, verb, **wrong)
    assert refused.value.field == field and asked(cast, key).state == S.IN_REVIEW


# ---- The time it may take ------------------------------------------------------------------------


def test_the_sixty_days_go_on_until_it_is_decided_whatever_is_answered_or_closed(cast):
    key = sent(cast)
    due = cast.thread(key).due_at
    assert due == asked(cast, key).due_at
    take(cast, key, V.REVIEW)
    take(cast, key, V.ASK)
    conversations.answer(key, body="Hello", form_key=new_key(), seen=letter(cast, key).seen, by=cast.rita.actor)
    with clock_at(now() + timedelta(minutes=1)):
        conversations.close(key, version=cast.thread(key).version, by=cast.rita.actor)
    db.session.close()
    assert cast.thread(key).due_at == due
    with clock_at(due - timedelta(days=1)):
        amendments.write_on(key, body="In May", form_key=new_key(), by=cast.sophie.actor)
    db.session.close()
    assert cast.thread(key).due_at == due, "an answer of the patient does not move it"
    take(cast, key, V.DENY)
    assert cast.thread(key).due_at is None and cast.thread(key).waiting_since is None


def test_it_is_extended_once_by_thirty_days(cast):
    key = sent(cast)
    due = asked(cast, key).due_at
    take(cast, key, V.EXTEND)
    later = asked(cast, key).due_at
    assert later == cast.thread(key).due_at == extended(due, "America/New_York") and later - due >= timedelta(days=29, hours=23)
    assert asked(cast, key).extended_because == "The old files are elsewhere"
    assert V.EXTEND not in amendments.steps_of(asked(cast, key))
    with pytest.raises(Stale):
        take(cast, key, V.EXTEND)
    assert asked(cast, key).due_at == later


def test_it_is_not_extended_when_the_time_is_over(cast):
    key = sent(cast)
    with clock_at(asked(cast, key).due_at + timedelta(seconds=1)):
        assert V.EXTEND not in amendments.steps_of(asked(cast, key))
        with pytest.raises(Stale):
            take(cast, key, V.EXTEND)


@pytest.mark.parametrize(("last", "then"), [(date(2027, 2, 20), date(2027, 3, 22)), (date(2026, 10, 20), date(2026, 11, 19))])
def test_an_extension_ends_at_the_practices_midnight_whatever_the_clocks_do(last, then):
    zone = "America/New_York"
    found = extended(end_of_day(last, zone), zone)
    assert found.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) == datetime.combine(then, time(23, 59, 59))


def test_an_extension_moves_when_the_practice_is_told_that_it_is_late(cast):
    key = sent(cast)
    due = asked(cast, key).due_at
    take(cast, key, V.EXTEND)
    told = sa.select(sa.func.count()).select_from(Notice).where(Notice.occasion == Occasion.OVERDUE)
    for at, count in ((due + timedelta(minutes=5), 0), (asked(cast, key).due_at + timedelta(minutes=5), 1)):
        with transaction(by=COMMAND, did="set_up_tests") as tx:
            tx.session.execute(sa.delete(jobs.Job))  # whenever it has run before
        with clock_at(at):
            jobs.run_due_jobs()
        db.session.close()
        assert db.session.scalar(told) == count


# ---- What is said to a denial --------------------------------------------------------------------


@pytest.mark.parametrize("decision", [V.DENY, V.ACCEPT_IN_PART])
def test_a_denial_is_disagreed_with_once_and_rebutted_once(cast, decision):
    key = sent(cast, V.REVIEW, decision)
    with pytest.raises(Stale):
        take(cast, key, V.REBUT)
    take(cast, key, V.DISAGREE)
    with pytest.raises(Stale):
        take(cast, key, V.DISAGREE)
    take(cast, key, V.REBUT)
    with pytest.raises(Stale):
        take(cast, key, V.REBUT)
    found = asked(cast, key)
    assert (found.disagreement, found.rebuttal) == ("I was there", "Twice measured")
    assert [row.Amendment.thread_id for row in amendments.unsettled_of(cast.sophie.id)] == [found.thread_id]
    assert amendments.unsettled_of(cast.jihae.id) == []


def test_with_what_was_accepted_in_full_nobody_disagrees(cast):
    key = sent(cast, V.REVIEW, V.ACCEPT, V.COMPLETE)
    with pytest.raises(Stale):
        take(cast, key, V.DISAGREE)


def test_what_is_cancelled_is_owed_no_decision(cast):
    key = sent(cast)
    take(cast, key, V.CANCEL)
    conversations.answer(key, body="Very well", form_key=new_key(), seen=letter(cast, key).seen, by=cast.rita.actor)
    assert cast.thread(key).due_at is None


def test_whoever_cancels_what_was_decided_meanwhile_cancels_nothing(cast):
    key = sent(cast, V.REVIEW, V.ACCEPT)
    for state in (S.IN_REVIEW, S.ACCEPTED):
        with pytest.raises(Stale):
            take(cast, key, V.CANCEL, state=state)


def test_each_step_stands_in_the_audit_by_its_name(cast):
    sent(cast, V.REVIEW, V.ASK, V.REVIEW, V.EXTEND, V.ACCEPT_IN_PART, V.DISAGREE, V.REBUT, V.COMPLETE)
    db.session.close()
    found = set(db.session.scalars(sa.select(Audit.did)))
    assert found >= {
        "review_amendment",
        "ask_about_amendment",
        "extend_amendment",
        "accept_amendment_in_part",
        "disagree_with_denial",
        "rebut_disagreement",
        "complete_amendment",
    }
