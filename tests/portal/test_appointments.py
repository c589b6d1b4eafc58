"""What the patient has of an appointment: picking a proposed time, lists by time, and the calendar file, by two parsers."""

from datetime import date, time, timedelta

import icalendar
import pytest
import sqlalchemy as sa
import vobject

from practice import appointments
from practice.appointments import AppointmentRequest, AppointmentState, ProposedTime, Slot
from practice.calendar import at_local
from practice.db import clock_at, db, new_key, now
from practice.requests import Letter
from practice.settings import Practice
from practice.threads import last_message_id

PLACE = "Room 4; second floor, left \\ right"


def letter(cast, key):
    db.session.close()
    return Letter("Please come", new_key(), last_message_id(db.session, cast.thread(key).id))


def slot(days=7, at=time(10), place=PLACE):
    return Slot(now().date() + timedelta(days=days), at, 45, place)


def confirmed(cast, when=None, patient=None):
    key = cast.send(patient or cast.sophie, "Appointment")
    appointments.confirm(key, when or slot(), letter=letter(cast, key), by=cast.sam.actor)
    return key


def proposed(cast):
    key = cast.send(cast.sophie, "Appointment")
    appointments.propose(key, [slot(), slot(at=time(11))], letter=letter(cast, key), by=cast.sam.actor)
    db.session.close()
    return key, list(db.session.scalars(sa.select(ProposedTime.key).order_by(ProposedTime.starts_at)))


def state_of():
    db.session.close()
    return db.session.scalars(sa.select(AppointmentRequest.state)).one()


# ---- Picking -----------------------------------------------------------------------------------------------------


def test_one_of_the_times_is_picked(cast):
    key, times = proposed(cast)
    assert f"/messages/{key}/times" in cast.sophie.get(f"/messages/{key}").text
    page = cast.sophie.get(f"/messages/{key}/times").text
    assert page.count('type="radio"') == 2 and "10:00 (45 minutes)" in page
    missing = cast.sophie.post(f"/messages/{key}/times", {"key": new_key()})
    assert missing.status_code == 422 and "Choose one of the times" in missing.text
    answer = cast.sophie.post(f"/messages/{key}/times", {"key": new_key(), "time": times[1]})
    page = cast.sophie.get(answer.headers["Location"]).text
    assert "Your appointment is confirmed" in page and f"/messages/{key}/times" not in page
    assert state_of() == AppointmentState.CONFIRMED and "I take this time" in cast.sam.get(f"/staff/messages/{key}").text


def test_a_time_that_was_just_taken_back_is_said_with_what_is_left(cast):
    key, times = proposed(cast)
    appointments.propose(key, [slot(at=time(14)), slot(at=time(15))], letter=letter(cast, key), by=cast.sam.actor)
    answer = cast.sophie.post(f"/messages/{key}/times", {"key": new_key(), "time": times[0]})
    assert answer.status_code == 409 and "cannot be picked any more" in answer.text and answer.text.count('type="radio"') == 2
    appointments.take_times_back(key, letter=letter(cast, key), by=cast.sam.actor)
    answer = cast.sophie.post(f"/messages/{key}/times", {"key": new_key(), "time": times[0]})
    assert answer.status_code == 409 and "There is no time to pick now" in answer.text
    assert state_of() == AppointmentState.REQUESTED
    assert "There is no time to pick now" in cast.sophie.get(f"/messages/{key}/times").text


def test_what_is_not_a_time_is_not_there(cast):
    key, _times = proposed(cast)
    for said in ("x" * 22, "y", "\\0"):
        assert cast.sophie.post(f"/messages/{key}/times", {"key": new_key(), "time": said}).status_code == 404
    assert state_of() == AppointmentState.REQUESTED


# ---- Lists -------------------------------------------------------------------------------------------------------


def test_upcoming_on_home_and_past_on_their_page(cast):
    key = confirmed(cast)
    for address in ("/", "/appointments"):
        page = cast.sophie.get(address).text
        assert "Upcoming" in page and f"/messages/{key}/calendar-file" in page and "Room 4" in page
    with clock_at(now() + timedelta(days=8)):
        db.session.close()
        assert appointments.upcoming_of(cast.sophie.id, limit=3) == [] and len(appointments.past_of(cast.sophie.id)) == 1
    assert "Upcoming" not in cast.jihae.get("/").text


def test_a_cancelled_one_offers_to_leave_the_calendar(cast):
    key = confirmed(cast)
    appointments.call_off(key, letter=letter(cast, key), by=cast.sam.actor)
    assert "Take it out of the calendar" in cast.sophie.get("/appointments").text
    page = cast.sophie.get(f"/messages/{key}").text
    assert "Take it out of the calendar" in page and "Cancel appointment" not in page


def test_cancelling_a_confirmed_one_asks_why(cast):
    key = confirmed(cast)
    address = f"/messages/{key}/cancellation"
    assert "Reason" in cast.sophie.get(address).text
    answer = cast.sophie.post(address, {"key": new_key(), "state": "confirmed"})
    assert answer.status_code == 422 and "Say why you cannot come." in answer.text
    unseen = cast.sophie.post(address, {"key": new_key(), "state": "requested"})
    assert unseen.status_code == 409 and "the practice was faster" in unseen.text and state_of() == AppointmentState.CONFIRMED
    assert cast.sophie.post(address, {"key": new_key(), "state": "nonsense"}).status_code == 409
    done = cast.sophie.post(address, {"key": new_key(), "state": "confirmed", "reason": "I am away"})
    assert done.status_code == 303 and state_of() == AppointmentState.CANCELLED


# ---- The calendar file -------------------------------------------------------------------------------------------


def read(cast, key):
    """Of both parsers: uid, sequence, when it begins and ends (UTC), its place, state, and method."""
    answer = cast.sophie.get(f"/messages/{key}/calendar-file")
    assert answer.status_code == 200 and answer.content_type == "text/calendar; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="appointment.ics"'
    calendar = icalendar.Calendar.from_ical(answer.data)
    (event,) = calendar.walk("VEVENT")
    first = (
        str(event["uid"]), int(event["sequence"]), event["dtstart"].dt, event["dtend"].dt, str(event["location"]),
        str(event["status"]), str(calendar["method"]), str(event["summary"]),
    )  # fmt: skip
    other = vobject.readOne(answer.text)
    event = other.vevent
    second = (
        event.uid.value, int(event.sequence.value), event.dtstart.value, event.dtend.value, event.location.value,
        event.status.value, other.method.value, event.summary.value,
    )  # fmt: skip
    assert first == second
    return first


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe"])
@pytest.mark.parametrize("day", [date(2027, 3, 14), date(2027, 3, 28), date(2027, 10, 3), date(2027, 10, 31), date(2027, 11, 7)])
def test_two_parsers_read_the_same_moment_on_the_days_of_the_clocks_too(cast, zone, day):
    with db.engines["write"].begin() as connection:
        connection.execute(sa.update(Practice.__table__).values(time_zone=zone))
    key = confirmed(cast, Slot(day, time(9, 30), 45, PLACE))
    _uid, _sequence, starts, ends, place, *_more = read(cast, key)
    assert starts.replace(tzinfo=None) == at_local(day, time(9, 30), zone) and starts.utcoffset() == timedelta()
    assert ends - starts == timedelta(minutes=45) and place == PLACE


def test_a_change_and_a_cancellation_have_the_same_uid_and_a_higher_number(cast):
    key = confirmed(cast)
    uid, sequence, *_, state, method, summary = read(cast, key)
    assert (sequence, state, method) == (0, "CONFIRMED", "PUBLISH")
    appointments.change(key, slot(14), letter=letter(cast, key), by=cast.sam.actor)
    changed = read(cast, key)
    assert changed[:2] == (uid, 1) and changed[2].date() == slot(14).day and changed[5:7] == ("CONFIRMED", "PUBLISH")
    appointments.call_off(key, letter=letter(cast, key), by=cast.sam.actor)
    off = read(cast, key)
    assert off[:2] == (uid, 2) and off[5:7] == ("CANCELLED", "CANCEL")
    assert summary.startswith("Appointment") and cast.sophie.get("/appointments").status_code == 200


def test_s8_no_medical_word_stands_in_it_and_nobody_else_gets_it(cast):
    key = confirmed(cast)
    text = cast.sophie.get(f"/messages/{key}/calendar-file").text
    assert "Hello" not in text and "Please come" not in text and "SOPHIE" not in text.upper().replace(key.upper(), "")
    assert cast.jihae.get(f"/messages/{key}/calendar-file").status_code == 404
    asked = cast.send(cast.sophie, "Appointment")
    assert cast.sophie.get(f"/messages/{asked}/calendar-file").status_code == 404, "nothing is confirmed"
    assert cast.sophie.get(f"/messages/{cast.send(cast.sophie)}/calendar-file").status_code == 404
