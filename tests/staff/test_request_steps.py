"""The buttons of a request's next states: the form of each step, its words for the patient, its doubts, and losing a race."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from practice import amendments, appointments, conversations, results
from practice.appointments import AppointmentRequest, AppointmentState
from practice.db import db, new_key, now
from practice.drafts import Draft
from practice.requests import STEPS_OF_STAFF, RequestVerb
from practice.results import ResultRequest, ResultState
from practice.threads import Message, last_message_id
from staff.requests import FORMS
from staff.thread import STEP_LABELS

V = RequestVerb


def soon(days=7):
    day = now().date() + timedelta(days=days)
    return day + timedelta(days=(2 - day.weekday()) % 7)


def filled(cast, key, verb, **more):
    """What a member of staff types in the form of a step."""
    data = {"key": new_key(), "seen": str(last_message_id(db.session, cast.thread(key).id)), "note": "Bring your card"}
    when = {"day": str(soon()), "clock": "10:30", "minutes": "30", "place": "Room 4"}
    of_step = {
        V.CONFIRM: when,
        V.CHANGE: when | {"day": str(soon(14))},
        V.PROPOSE: when | {"day_2": str(soon()), "clock_2": "14:00"},
        V.MAKE_READY: {"place": "Front desk", "until": str(soon(14))},
        V.PICK_UP: {"to": "Ann Kwon", "paper": "Passport"},
        V.ACCEPT: {"value": "167 cm"},
        V.ACCEPT_IN_PART: {"value": "167 cm", "denied": "The month", "ground": "accurate and complete"},
        V.DENY: {"ground": "accurate and complete"},
    }
    return data | of_step.get(verb, {}) | more


def post(cast, key, verb, by=None, **more):
    return (by or cast.sam).post(f"/staff/messages/{key}/steps/{verb}", filled(cast, key, verb, **more))


def last_words(key):
    db.session.close()
    return db.session.scalars(sa.select(Message.body).order_by(Message.id.desc())).first()


def put(model, state):
    with db.engines["write"].begin() as connection:
        connection.execute(sa.update(model.__table__).values(state=state))
    db.session.close()


def state_of(model):
    db.session.close()
    return db.session.scalars(sa.select(model.state)).one()


def test_every_step_has_its_form_and_its_label():
    tables = appointments.TRANSITIONS, results.TRANSITIONS, amendments.TRANSITIONS
    named = {verb for table in tables for _, verb in table} & STEPS_OF_STAFF
    assert set(FORMS) == set(STEP_LABELS) == named


STATES = [("Appointment", "sam", AppointmentRequest, appointments.TRANSITIONS, state) for state in AppointmentState]
STATES += [("Result", "max", ResultRequest, results.TRANSITIONS, state) for state in ResultState]


@pytest.mark.parametrize(("kind", "who", "model", "table", "state"), STATES)
def test_the_buttons_are_those_of_the_table(cast, kind, who, model, table, state):
    key, player = cast.send(cast.sophie, kind), getattr(cast, who)
    put(model, state)
    page = player.get(f"/staff/messages/{key}").text
    for verb in FORMS:
        is_offered = (state, verb) in table and verb != V.TAKE_BACK  # no times are proposed
        assert (f"/staff/messages/{key}/steps/{verb}" in page) is is_offered, verb
        shown = player.get(f"/staff/messages/{key}/steps/{verb}")
        assert shown.status_code == (200 if is_offered else 409)
        if not is_offered:
            assert post(cast, key, verb, player).status_code in ((404, 409) if verb not in {v for _, v in table} else (409,))
    assert state_of(model) == state


WORDS = [
    (V.CONFIRM, "Appointment confirmation\n\nWhen: {day}, 10:30 (30 minutes)\nPlace: Room 4\n\nBring your card"),
    (V.PROPOSE, "We propose these times. Pick the one that suits you:\n{day}, 10:30 (30 minutes)\n{day}, 14:00 (30 minutes)"),
    (V.DECLINE, "We cannot do what you asked for.\n\nBring your card"),
    (V.CANCEL, "This is cancelled by the practice.\n\nBring your card"),
]


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize(("verb", "says"), WORDS)
def test_a_step_writes_its_message(cast, verb, says, htmx):
    key = cast.send(cast.sophie, "Appointment")
    address = f"/staff/messages/{key}/steps/{verb}"
    answer = cast.sam.post(address, filled(cast, key, verb), htmx=htmx)
    there = answer.headers["HX-Redirect"] if htmx else answer.headers["Location"]
    assert "Done, and the patient is told" in cast.sam.get(there).text
    day = f"Wednesday, {soon():%B} {soon().day}, {soon().year}"
    assert last_words(key).startswith(says.format(day=day))
    assert "Bring your card" in cast.sophie.get(f"/messages/{key}").text


def test_a_result_from_request_to_pick_up(cast):
    key = cast.send(cast.sophie, "Result")
    for verb, says in (
        (V.PREPARE, "We are preparing what you asked for."),
        (V.MAKE_READY, "Ready for pick-up\n\nWhere: Front desk\nUntil: "),
        (V.PICK_UP, "Picked up\n\nBy: Ann Kwon\nPaper shown: Passport"),
    ):
        assert post(cast, key, verb, cast.max).status_code == 303
        assert last_words(key).startswith(says)
    page = cast.sophie.get(f"/messages/{key}").text
    assert "Front desk" in page and "Passport" in page and "Picked up" in cast.sophie.get("/results").text


@pytest.mark.parametrize(
    ("verb", "wrong", "says"),
    [
        (V.CONFIRM, {"day": ""}, "Choose the date."),
        (V.CONFIRM, {"day": "soon"}, "Write the date as"),
        (V.CONFIRM, {"day": "2020-01-01"}, "This time is past."),
        (V.CONFIRM, {"clock": "25:00"}, "Write the time as"),
        (V.CONFIRM, {"clock": ""}, "Choose the time."),
        (V.CONFIRM, {"place": " "}, "Say where."),
        (V.CONFIRM, {"place": "x" * 201}, "Use at most 200 characters."),
        (V.CONFIRM, {"minutes": "7"}, "Not a valid choice"),
        (V.CONFIRM, {"note": "x" * 5001}, "Use at most 5,000 characters."),
        (V.PROPOSE, {"clock_2": "10:30"}, "Propose two or three different times."),
        (V.PROPOSE, {"day_3": "2030-01-02"}, "Give both date and time of the third, or neither."),
        (V.DECLINE, {"note": ""}, "Say why."),
        (V.CANCEL, {"note": " "}, "Say why."),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_is_kept(cast, verb, wrong, says):
    key = cast.send(cast.sophie, "Appointment")
    answer = post(cast, key, verb, **wrong)
    assert answer.status_code == 422 and says in answer.text
    assert "note" in wrong or "Bring your card" in answer.text
    assert state_of(AppointmentRequest) == AppointmentState.REQUESTED


def test_a_doubt_is_asked_once_and_another_one_again(cast):
    key = cast.send(cast.sophie, "Appointment")
    sunday = soon() + timedelta(days=4)
    first = post(cast, key, V.CONFIRM, day=str(sunday))
    assert first.status_code == 422 and "Is this meant?" in first.text and "closed on that day" in first.text
    assert 'name="doubts" value="closed"' in first.text and "Bring your card" in first.text
    other = post(cast, key, V.CONFIRM, clock="03:00", doubts="closed")
    assert other.status_code == 422 and "outside of the opening hours" in other.text
    assert post(cast, key, V.CONFIRM, day=str(sunday), doubts="closed").status_code == 303
    assert state_of(AppointmentRequest) == AppointmentState.CONFIRMED


def test_whoever_is_overtaken_reads_by_whom_and_keeps_the_text(cast):
    key = cast.send(cast.sophie, "Appointment")
    late, step = filled(cast, key, V.DECLINE), f"/staff/messages/{key}/steps/decline"
    post(cast, key, V.PROPOSE, cast.fay)
    answer = cast.sam.post(step, late)
    assert answer.status_code == 409 and "FAY" in answer.text and "Bring your card" in answer.text
    assert "Read the above" in answer.text and state_of(AppointmentRequest) == AppointmentState.REQUESTED
    seen = str(last_message_id(db.session, cast.thread(key).id))
    assert f'name="seen" value="{seen}"' in answer.text
    assert cast.sam.post(step, late | {"seen": seen}).status_code == 303, "after reading"
    answer = post(cast, key, V.CONFIRM, cast.fay)
    assert answer.status_code == 409 and "not possible any more" in answer.text and "Bring your card" in answer.text
    assert '<button class="btn btn-primary">' not in answer.text.partition('class="writer')[2]
    db.session.close()
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Message)) == 3


def test_the_same_form_twice_is_one_step(cast):
    key = cast.send(cast.sophie, "Appointment")
    data = filled(cast, key, V.CONFIRM)
    for _ in range(2):
        assert cast.sam.post(f"/staff/messages/{key}/steps/confirm", data).status_code == 303
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Message)) == 2


def test_a_word_that_is_no_step_is_not_there(cast):
    key = cast.send(cast.sophie, "Appointment")
    for step in ("pick", "nothing", "CONFIRM"):
        assert cast.sam.get(f"/staff/messages/{key}/steps/{step}").status_code == 404
        assert cast.sam.post(f"/staff/messages/{key}/steps/{step}", {"key": new_key()}).status_code == 404


def test_a_change_opens_with_what_stands(cast):
    key = cast.send(cast.sophie, "Appointment")
    post(cast, key, V.CONFIRM)
    page = cast.sam.get(f"/staff/messages/{key}/steps/change").text
    assert f'value="{soon()}"' in page and 'value="10:30"' in page and 'value="Room 4"' in page
    assert post(cast, key, V.CHANGE).status_code == 303
    assert last_words(key).startswith("Your appointment has changed")


def test_the_history_says_each_step(cast):
    key = cast.send(cast.sophie, "Appointment")
    for verb in (V.PROPOSE, V.TAKE_BACK, V.CONFIRM, V.CHANGE, V.CANCEL):
        assert post(cast, key, verb).status_code == 303
    page = cast.sam.get(f"/staff/messages/{key}").text
    for words in ("times proposed", "the proposed times taken back", "appointment confirmed", "appointment changed", "cancelled"):
        assert words in page
    assert "appointment confirmed" not in cast.sophie.get(f"/messages/{key}").text, "the history is the staff's"


def test_after_a_transfer_the_buttons_go_along(cast):
    key = cast.send(cast.sophie, "Appointment")
    to = cast.communicator("Clinicians")
    conversations.transfer(key, communicator=to, reason="Yours", version=cast.thread(key).version, by=cast.sam.actor)
    assert cast.sam.get(f"/staff/messages/{key}/steps/confirm").status_code == 404
    assert post(cast, key, V.CONFIRM, cast.nina).status_code == 303
    assert state_of(AppointmentRequest) == AppointmentState.CONFIRMED


def test_a_step_that_is_being_written_is_kept_as_a_draft(cast):
    key = cast.send(cast.sophie, "Appointment")
    about, data = f"/staff/messages/{key}/steps/confirm", filled(cast, key, V.CONFIRM, place="Room 9", clock="")
    saved = cast.sam.post(f"/staff/drafts/{data['key']}", data | {"about": about, "draft_version": "0"})
    assert saved.status_code == 303 and about in saved.location
    page = cast.sam.get(about).text
    assert 'value="Room 9"' in page and "Bring your card" in page and f'value="{soon()}"' in page
    assert "Room 9" not in cast.fay.get(about).text, "it is its author's"
    assert cast.sam.post(about, data | {"clock": "10:30", "draft_version": "1"}).status_code == 303
    db.session.close()
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Draft)) == 0


def test_the_form_of_a_step_asks_for_the_request_once(cast, statements):
    for kind, who, step in (("Appointment", cast.sam, "confirm"), ("Result", cast.max, "prepare")):
        address = f"/staff/messages/{cast.send(cast.sophie, kind)}/steps/{step}"
        who.get(address, htmx=True)
        with statements() as found:
            assert who.get(address, htmx=True).status_code == 200
        assert len([s for s in found if f"FROM {kind.lower()}_request" in s]) == 1, found
