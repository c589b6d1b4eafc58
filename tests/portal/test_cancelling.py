"""Taking a request back: while nothing is confirmed, once, and seen by whoever is in charge."""

import pytest
import sqlalchemy as sa

from practice import appointments, results
from practice.appointments import AppointmentRequest, AppointmentState
from practice.db import db
from practice.requests import CANCELLED, RequestVerb
from practice.results import ResultRequest, ResultState
from practice.threads import Message, Thread
from tests.examples.portal import appointment, result

POSSIBLE = {
    AppointmentState.REQUESTED: True,
    AppointmentState.CONFIRMED: True,
    AppointmentState.DECLINED: False,
    AppointmentState.CANCELLED: False,
    ResultState.REQUESTED: True,
    ResultState.IN_PREPARATION: True,
    ResultState.READY: False,
    ResultState.PICKED_UP: False,
    ResultState.SENT: False,
    ResultState.DECLINED: False,
    ResultState.CANCELLED: False,
}


def asked(cast, model):
    example, address = (appointment, "/appointments/new") if model is AppointmentRequest else (result, "/results/new")
    cast.sophie.post(address, example(cast)["data"])
    db.session.close()
    return db.session.scalars(sa.select(Thread.key)).one()


def put(model, state):
    with db.engines["write"].begin() as connection:
        connection.execute(sa.update(model.__table__).values(state=state))
    db.session.close()


def state_of(model):
    db.session.close()
    return db.session.scalars(sa.select(model.state)).one()


def bodies():
    return list(db.session.scalars(sa.select(Message.body).order_by(Message.id)))


STATES = [(m, s) for m, kind in ((AppointmentRequest, AppointmentState), (ResultRequest, ResultState)) for s in kind]


@pytest.mark.parametrize(("model", "state"), STATES, ids=str)
def test_what_can_be_cancelled_in_which_state(cast, model, state):
    key = asked(cast, model)
    put(model, state)
    shown = cast.sophie.get(f"/messages/{key}/cancellation").text
    listed = cast.sophie.get("/appointments" if model is AppointmentRequest else "/results").text
    reason = "I am away" if state == AppointmentState.CONFIRMED else ""
    answer = cast.sophie.post(f"/messages/{key}/cancellation", {"key": "c1", "state": state, "reason": reason})
    if POSSIBLE[state]:
        assert answer.status_code == 303 and "is cancelled" in cast.sophie.get(answer.headers["Location"]).text
        assert state_of(model) == "cancelled" and "Keep it" in shown
        assert bodies()[-1] == ("I cancel this appointment.\n\nReason: I am away" if reason else CANCELLED)
    else:
        assert answer.status_code == 409 and "cannot be cancelled here any more" in answer.text and "Keep it" not in shown
        assert state_of(model) == state and CANCELLED not in bodies()
    if state != AppointmentState.CONFIRMED:  # it has no time here, so it is no upcoming one
        assert (f"/messages/{key}/cancellation" in listed) is POSSIBLE[state]


@pytest.mark.parametrize("transitions", [appointments.TRANSITIONS, results.TRANSITIONS])
def test_every_state_but_the_first_is_reached_and_no_end_is_left(transitions):
    states = type(next(iter(transitions))[0])
    reached = {to for to in transitions.values()}
    assert reached | {states.REQUESTED} == set(states)
    ends = {AppointmentState.DECLINED, AppointmentState.CANCELLED, ResultState.DECLINED, ResultState.CANCELLED, ResultState.SENT}
    assert not [pair for pair in transitions if pair[0] in ends]
    assert {verb for _, verb in transitions} <= set(RequestVerb)


def test_the_staff_in_charge_see_it_unread(cast):
    key = asked(cast, AppointmentRequest)
    cast.answer(cast.sam, key)
    cast.sophie.post(f"/messages/{key}/cancellation", {"key": "c1", "state": "requested"})
    assert "In Box (1)" in cast.sam.get("/staff/").text
    page = cast.sam.get(f"/staff/messages/{key}").text
    assert CANCELLED in page and "Cancelled" in page


def test_words_of_an_emergency_in_the_reason_warn_before_it_is_cancelled(cast):
    key = asked(cast, AppointmentRequest)
    put(AppointmentRequest, AppointmentState.CONFIRMED)
    shown = cast.sophie.get(f"/messages/{key}/cancellation").text
    assert "In an emergency call" in shown and "(optional)" not in shown
    form = {"key": "c1", "state": AppointmentState.CONFIRMED, "reason": "I have chest pain"}
    warned = cast.sophie.post(f"/messages/{key}/cancellation", form)
    assert warned.status_code == 422 and "Is this an emergency?" in warned.text
    assert state_of(AppointmentRequest) == AppointmentState.CONFIRMED
    assert cast.sophie.post(f"/messages/{key}/cancellation", form | {"warned": "yes"}).status_code == 303


def test_sent_twice_it_is_cancelled_once(cast):
    key = asked(cast, ResultRequest)
    for _ in range(2):
        assert cast.sophie.post(f"/messages/{key}/cancellation", {"key": "c1", "state": "requested"}).status_code == 303
    assert bodies().count(CANCELLED) == 1
    assert cast.sophie.post(f"/messages/{key}/cancellation", {"key": "c2", "state": "requested"}).status_code == 409
    assert bodies().count(CANCELLED) == 1


def test_nobody_elses_and_nothing_that_is_no_request(cast):
    key = asked(cast, AppointmentRequest)
    for player in (cast.jihae, cast.hugo):
        assert player.post(f"/messages/{key}/cancellation", {"key": "c1", "state": "requested"}).status_code == 404
    other = cast.send(cast.sophie, "Others", to="Clinicians")
    assert cast.sophie.get(f"/messages/{other}/cancellation").status_code == 404
    assert cast.sophie.post(f"/messages/{other}/cancellation", {"key": "c1", "state": "requested"}).status_code == 404
    assert CANCELLED not in bodies()


def test_long_lists_of_requests_are_paged(cast):
    for n in range(27):
        cast.sophie.post("/appointments/new", appointment(cast)["data"] | {"key": f"k{n}", "reason": f"Visit {n:02}."})
    first = cast.sophie.get("/appointments").text
    assert "Visit 26." in first and "Visit 02." in first and "Visit 01." not in first
    older = first.split('class="btn" href="')[-1].split('"')[0]
    second = cast.sophie.get(older).text
    assert "Visit 01." in second and "Visit 02." not in second
    assert "Visit 26." in cast.sophie.get(second.split('class="btn" href="')[-1].split('"')[0]).text
    assert cast.sophie.get("/appointments?before=" + "x" * 22).status_code == 404
