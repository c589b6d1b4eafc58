"""Requests as work: each step of each table with its message, first come first served, and nothing that no table names."""

import json
import threading
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from practice import appointments, jobs, results
from practice.appointments import TRANSITIONS, AppointmentRequest, AppointmentState, Doubt, ProposedTime, Slot
from practice.calendar import local_day
from practice.db import Audit, clock_at, db, new_key, now
from practice.errors import Invalid, NotVisible, SentBefore, Stale
from practice.outbox import Notice, Occasion
from practice.people import NoticePreference, Patient
from practice.requests import Letter, RequestVerb
from practice.results import ResultRequest, ResultState
from practice.settings import Practice
from practice.threads import Event, History, Message, Thread, ThreadState, last_message_id

ZONE = ZoneInfo("America/New_York")
PLACE = "Room 4"
V, A, R = RequestVerb, AppointmentState, ResultState


@pytest.fixture(autouse=True)
def in_new_york(cast):
    """Where the clocks are put forward on March 14 and back on November 7, 2027."""
    with db.engines["write"].begin() as connection:
        connection.execute(sa.update(Practice.__table__).values(time_zone=ZONE.key, country="US"))


def soon(days=7):
    """A Wednesday at least so many days away."""
    day = local_day(now(), "America/New_York") + timedelta(days=days)
    return day + timedelta(days=(2 - day.weekday()) % 7)


def slot(days=7, at=time(10), minutes=30, place=PLACE):
    return Slot(soon(days), at, minutes, place)


def letter(cast, key, body="Come and see us", form_key=None):
    db.session.close()
    return Letter(body, form_key or new_key(), last_message_id(db.session, cast.thread(key).id))


def asked(cast, key):
    thread = cast.thread(key)
    request = {"Appointment": AppointmentRequest, "Result": ResultRequest}[thread.type]
    return db.session.get(request, thread.id)


def put(cast, key, state):
    model = type(asked(cast, key))
    with db.engines["write"].begin() as connection:
        connection.execute(sa.update(model.__table__).values(state=state))
    db.session.close()


def take(cast, key, verb, by, **more):
    """A step of staff, or of the patient, by its verb."""
    common = {"letter": letter(cast, key), "by": by.actor} | more
    is_result = cast.thread(key).type == "Result"
    match verb:
        case V.CONFIRM:
            return appointments.confirm(key, slot(), **common)
        case V.CHANGE:
            return appointments.change(key, slot(14), **common)
        case V.PROPOSE:
            return appointments.propose(key, [slot(), slot(at=time(11))], **common)
        case V.TAKE_BACK:
            return appointments.take_times_back(key, **common)
        case V.PREPARE:
            return results.prepare(key, **common)
        case V.MAKE_READY:
            return results.make_ready(key, place=PLACE, until=soon(), today=now().date(), **common)
        case V.PICK_UP:
            return results.hand_out(key, to="Ann Kwon", paper="Passport", **common)
        case V.SEND:
            return results.send_result(key, **common)
        case V.DECLINE:
            return (results.decline_result if is_result else appointments.decline)(key, **common)
        case V.CANCEL:
            return (results.call_off_result if is_result else appointments.call_off)(key, **common)


def told(occasion):
    db.session.close()
    return list(db.session.scalars(sa.select(Notice).where(Notice.occasion == occasion).order_by(Notice.id)))


def times(key):
    db.session.close()
    whole = sa.select(ProposedTime).join(Thread).where(Thread.key == key).order_by(ProposedTime.id)
    return list(db.session.scalars(whole))


def events(key):
    db.session.close()
    found = sa.select(History.words).join(Thread).where(Thread.key == key, History.did == Event.REQUEST).order_by(History.id)
    return [json.loads(words)["verb"] for words in db.session.scalars(found)]


OF_APPOINTMENTS = {verb for _, verb in TRANSITIONS} - {V.PICK}
OF_RESULTS = {verb for _, verb in results.TRANSITIONS}
EVERY = [("Appointment", state, verb) for state in A for verb in sorted(OF_APPOINTMENTS)]
EVERY += [("Result", state, verb) for state in R for verb in sorted(OF_RESULTS)]


@pytest.mark.parametrize(("kind", "state", "verb"), EVERY)
def test_every_step_is_possible_where_the_table_names_it_and_nowhere_else(cast, kind, state, verb):
    """With its message, receipt, history, audit and notice in one, or without any of them."""
    staff = cast.sam if kind == "Appointment" else cast.max
    key = cast.send(cast.sophie, kind)
    if verb == V.TAKE_BACK:
        take(cast, key, V.PROPOSE, staff)
    put(cast, key, state)
    before = last_message_id(db.session, cast.thread(key).id), events(key)
    table = TRANSITIONS if kind == "Appointment" else results.TRANSITIONS
    if (state, verb) in table:
        take(cast, key, verb, staff)
        thread = cast.thread(key)
        assert asked(cast, key).state == table[state, verb]
        assert thread.state == ThreadState.ANSWERED and not thread.is_unread and thread.due_at is None
        message = db.session.scalars(sa.select(Message).order_by(Message.id.desc())).first()
        assert message.body == "Come and see us" and message.sent_at <= now(), "it has no Undo and is there at once"
        assert events(key) == [*before[1], verb]
        acts = set(
            db.session.scalars(sa.select(Audit.act).where(Audit.did.in_(("answer", DID[kind, verb]))).order_by(Audit.id)).all()[
                -2:
            ]
        )
        assert len(acts) == 1, "one transaction"
        assert told(Occasion.ANSWERED)[-1].message_id == message.id
    else:
        with pytest.raises(Stale):
            take(cast, key, verb, staff)
        assert asked(cast, key).state == state
        assert (last_message_id(db.session, cast.thread(key).id), events(key)) == before


DID = {
    ("Appointment", V.CONFIRM): "confirm_appointment",
    ("Appointment", V.CHANGE): "change_appointment",
    ("Appointment", V.PROPOSE): "propose_times",
    ("Appointment", V.TAKE_BACK): "take_times_back",
    ("Appointment", V.DECLINE): "decline_appointment",
    ("Appointment", V.CANCEL): "call_off_appointment",
    ("Result", V.PREPARE): "prepare_result",
    ("Result", V.MAKE_READY): "make_result_ready",
    ("Result", V.PICK_UP): "hand_out_result",
    ("Result", V.SEND): "send_result",
    ("Result", V.DECLINE): "decline_result",
    ("Result", V.CANCEL): "call_off_result",
}


@pytest.mark.parametrize("verb", sorted(OF_APPOINTMENTS))
def test_whoever_is_not_in_charge_takes_no_step(cast, verb):
    key = cast.send(cast.sophie, "Appointment")
    for who in (cast.nina, cast.dan, cast.ada):
        with pytest.raises(NotVisible):
            take(cast, key, verb, who)
    assert asked(cast, key).state == A.REQUESTED


def test_a_step_of_another_type_is_none(cast):
    key = cast.send(cast.sophie, "Appointment")
    with pytest.raises(NotVisible):
        results.prepare(key, letter=letter(cast, key), by=cast.sam.actor)
    assert asked(cast, key).state == A.REQUESTED and events(key) == []


# ---- Times -------------------------------------------------------------------------------------------------------


def test_confirmed_at_the_practices_time_and_sent_twice_once(cast):
    key = cast.send(cast.sophie, "Appointment")
    form = letter(cast, key)
    for _ in range(2):
        appointments.confirm(key, slot(), letter=form, by=cast.sam.actor)
    found = asked(cast, key)
    assert found.starts_at == datetime.combine(soon(), time(10)).replace(tzinfo=ZONE).astimezone(UTC).replace(tzinfo=None)
    assert (found.minutes, found.place, found.changes) == (30, PLACE, 0) and events(key) == [V.CONFIRM]
    with pytest.raises(SentBefore):
        appointments.confirm(key, slot(), letter=Letter("Other words", form.form_key, form.seen), by=cast.sam.actor)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"day": date(2020, 1, 1)}, "day"),
        ({"day": date(2027, 3, 14), "clock": time(2, 30)}, "clock"),
        ({"minutes": 0}, "minutes"),
        ({"minutes": 601}, "minutes"),
        ({"place": " "}, "place"),
        ({"place": "x" * 201}, "place"),
    ],
)
def test_what_cannot_be_an_appointment_is_refused_beside_its_field(cast, wrong, field):
    key = cast.send(cast.sophie, "Appointment")
    values = vars(slot()) | wrong
    for verb in (appointments.confirm, lambda key, one, **how: appointments.propose(key, [slot(), one], **how)):
        with pytest.raises(Invalid) as refused:
            verb(key, Slot(**values), letter=letter(cast, key), by=cast.sam.actor)
        assert refused.value.field == field
    assert asked(cast, key).state == A.REQUESTED and times(key) == [] and events(key) == []


def test_doubts_are_told_before_and_never_in_the_way(cast):
    key = cast.send(cast.sophie, "Appointment")
    wednesday = soon()
    sunday, holiday = wednesday + timedelta(days=4), date(2027, 7, 5)
    for given, wanted in (
        (slot(), []),
        (Slot(sunday, time(10), 30, PLACE), [Doubt.CLOSED]),
        (Slot(holiday, time(10), 30, PLACE), [Doubt.CLOSED]),
        (slot(at=time(5)), [Doubt.OUTSIDE]),
        (slot(at=time(17, 45)), [Doubt.OUTSIDE]),
        (Slot(date(2027, 11, 7), time(1, 30), 30, PLACE), [Doubt.CLOSED, Doubt.TWICE]),
    ):
        assert appointments.doubts(key, [given]) == wanted, given
        db.session.close()
    appointments.confirm(key, Slot(sunday, time(10), 30, PLACE), letter=letter(cast, key), by=cast.sam.actor)
    assert asked(cast, key).state == A.CONFIRMED


def test_an_overlap_is_told_of_the_same_patient_and_of_the_same_place(cast):
    first = cast.send(cast.sophie, "Appointment")
    appointments.confirm(first, slot(minutes=60), letter=letter(cast, first), by=cast.sam.actor)
    own, other = cast.send(cast.sophie, "Appointment"), cast.send(cast.jihae, "Appointment")
    elsewhere = "Room 5"
    for key, given, wanted in (
        (own, slot(at=time(10, 30), place=elsewhere), [Doubt.SAME_PATIENT]),
        (own, slot(at=time(11), place=elsewhere), []),
        (own, slot(at=time(9), minutes=60), []),
        (other, slot(at=time(9), minutes=61, place="room 4"), [Doubt.SAME_PLACE]),
        (other, slot(at=time(10, 30), place=elsewhere), []),
        (first, slot(at=time(10, 15)), []),
    ):
        assert appointments.doubts(key, [given]) == wanted, given
        db.session.close()
    appointments.call_off(first, letter=letter(cast, first), by=cast.sam.actor)
    assert appointments.doubts(other, [slot()]) == []
    db.session.close()
    appointments.propose(own, [slot(), slot(at=time(15))], letter=letter(cast, own), by=cast.sam.actor)
    assert appointments.doubts(other, [slot(at=time(15, 15))]) == [Doubt.SAME_PLACE]


def test_a_change_counts_on_and_a_second_confirmation_is_too_late(cast):
    key = cast.send(cast.sophie, "Appointment")
    take(cast, key, V.CONFIRM, cast.sam)
    with pytest.raises(Stale):
        take(cast, key, V.CONFIRM, cast.fay)
    take(cast, key, V.CHANGE, cast.fay)
    found = asked(cast, key)
    assert found.changes == 1 and local_day(found.starts_at, ZONE.key) == soon(14)
    take(cast, key, V.CANCEL, cast.sam)
    assert asked(cast, key).changes == 2 and asked(cast, key).state == A.CANCELLED


def test_two_who_read_the_same_and_confirm_the_second_is_stopped(cast):
    key = cast.send(cast.sophie, "Appointment")
    seen = letter(cast, key)
    appointments.confirm(key, slot(), letter=seen, by=cast.sam.actor)
    with pytest.raises(Stale):
        appointments.change(key, slot(14), letter=Letter("No, later", new_key(), seen.seen), by=cast.fay.actor)
    assert asked(cast, key).changes == 0


# ---- Proposed times ----------------------------------------------------------------------------------------------


def pick(cast, key, one, form_key=None, by=None):
    by = by or cast.sophie
    return appointments.pick_time(key, one.key, body="I take this time", form_key=form_key or new_key(), by=by.actor)


def test_the_first_pick_wins_once(cast):
    key = cast.send(cast.sophie, "Appointment")
    take(cast, key, V.PROPOSE, cast.sam)
    first, second = times(key)
    form = new_key()
    for _ in range(2):
        pick(cast, key, second, form)
    found = asked(cast, key)
    assert (found.state, found.starts_at, found.place) == (A.CONFIRMED, second.starts_at, PLACE)
    assert all(one.ended_at for one in times(key)) and events(key) == [V.PROPOSE, V.PICK]
    with pytest.raises(Stale):
        pick(cast, key, first)
    thread = cast.thread(key)
    assert thread.is_unread and thread.state == ThreadState.WAITING, "the staff are to note it"
    for verb in (V.TAKE_BACK, V.PROPOSE, V.CONFIRM, V.DECLINE):
        with pytest.raises(Stale):
            take(cast, key, verb, cast.sam)


def test_what_was_taken_back_or_replaced_or_is_past_cannot_be_picked(cast):
    key = cast.send(cast.sophie, "Appointment")
    take(cast, key, V.PROPOSE, cast.sam)
    replaced = times(key)[0]
    take(cast, key, V.PROPOSE, cast.sam)
    taken_back = times(key)[2]
    with pytest.raises(Stale):
        pick(cast, key, replaced)
    with clock_at(taken_back.starts_at), pytest.raises(Stale):
        pick(cast, key, taken_back)
    take(cast, key, V.TAKE_BACK, cast.sam)
    with pytest.raises(Stale):
        pick(cast, key, taken_back)
    with pytest.raises(Stale):
        take(cast, key, V.TAKE_BACK, cast.sam)
    assert asked(cast, key).state == A.REQUESTED
    assert "I take this time" not in db.session.scalars(sa.select(Message.body)).all()
    assert appointments.proposed_times(cast.thread(key).id) == []


def test_nobody_picks_for_another_and_no_time_of_another(cast):
    key, other = cast.send(cast.sophie, "Appointment"), cast.send(cast.jihae, "Appointment")
    for one in (key, other):
        take(cast, one, V.PROPOSE, cast.sam)
    with pytest.raises(NotVisible):
        pick(cast, key, times(key)[0], by=cast.jihae)
    with pytest.raises(NotVisible):
        pick(cast, key, times(other)[0])
    assert asked(cast, key).state == A.REQUESTED


def test_two_or_three_different_times_are_proposed(cast):
    key = cast.send(cast.sophie, "Appointment")
    for wrong in ([slot()], [slot(), slot()], [slot(), slot(at=time(11)), slot()]):
        with pytest.raises(Invalid):
            appointments.propose(key, wrong, letter=letter(cast, key), by=cast.sam.actor)
    three = [slot(), slot(at=time(11)), slot(at=time(12))]
    appointments.propose(key, three, letter=letter(cast, key), by=cast.sam.actor)
    assert len(times(key)) == 3
    take(cast, key, V.DECLINE, cast.sam)
    assert all(one.ended_at for one in times(key))


# ---- Cancelling by the patient -----------------------------------------------------------------------------------


def cancel(cast, key, state, **more):
    return appointments.cancel_appointment(key, state=state, form_key=new_key(), by=cast.sophie.actor, **more)


def test_what_was_confirmed_meanwhile_is_not_cancelled_unseen(cast):
    key = cast.send(cast.sophie, "Appointment")
    take(cast, key, V.CONFIRM, cast.sam)
    with pytest.raises(Stale):
        cancel(cast, key, A.REQUESTED)
    assert asked(cast, key).state == A.CONFIRMED
    with clock_at(asked(cast, key).starts_at), pytest.raises(Stale):
        cancel(cast, key, A.CONFIRMED)
    cancel(cast, key, A.CONFIRMED, body="I am away")
    assert asked(cast, key).state == A.CANCELLED and asked(cast, key).changes == 1 and cast.thread(key).is_unread


# ---- Lists and reminders -----------------------------------------------------------------------------------------


def test_upcoming_and_past_by_the_time_of_the_appointment(cast):
    keys = [cast.send(cast.sophie, "Appointment") for _ in range(3)]
    for key, days in zip(keys, (21, 7, 14), strict=True):
        appointments.confirm(key, slot(days), letter=letter(cast, key), by=cast.sam.actor)
    other = cast.send(cast.jihae, "Appointment")
    take(cast, other, V.CONFIRM, cast.sam)
    db.session.close()
    assert [row.key for row in appointments.upcoming_of(cast.sophie.id, limit=2)] == [keys[1], keys[2]]
    with clock_at(now() + timedelta(days=22)):
        db.session.close()
        assert [row.key for row in appointments.upcoming_of(cast.sophie.id, limit=9)] == [keys[0]]
        assert [row.key for row in appointments.past_of(cast.sophie.id)] == [keys[2], keys[1]]


def reminded(at):
    """Who is reminded by the mails that leave until then."""
    mails = []
    with clock_at(at):
        while jobs.send_due(mails.append):
            pass
    db.session.close()
    return [mail for mail in mails if mail.occasion == Occasion.REMINDER]


def test_the_patient_is_reminded_once_the_day_before(cast):
    key = cast.send(cast.sophie, "Appointment")
    take(cast, key, V.CONFIRM, cast.sam)
    starts_at = asked(cast, key).starts_at
    eight = datetime.combine(soon() - timedelta(days=1), time(8), ZONE).astimezone(UTC).replace(tzinfo=None)
    assert [n.next_at for n in told(Occasion.REMINDER)] == [eight] and eight < starts_at
    assert reminded(eight - timedelta(minutes=1)) == []
    assert [mail.email for mail in reminded(eight)] == ["sophie@test.example"] and reminded(eight + timedelta(hours=1)) == []


@pytest.mark.parametrize("verb", [V.CHANGE, V.CANCEL])
def test_nobody_is_reminded_of_what_is_off_or_at_another_time(cast, verb):
    key = cast.send(cast.sophie, "Appointment")
    take(cast, key, V.CONFIRM, cast.sam)
    eight = told(Occasion.REMINDER)[0].next_at
    take(cast, key, verb, cast.sam)
    assert reminded(eight) == []
    later = told(Occasion.REMINDER)
    assert len(later) == (verb == V.CHANGE)
    if later:
        assert len(reminded(later[0].next_at)) == 1


def test_no_reminder_for_tomorrow_after_eight_nor_for_who_wants_no_mail(cast):
    key = cast.send(cast.sophie, "Appointment")
    late = datetime.combine(soon() - timedelta(days=1), time(8, 1), ZONE).astimezone(UTC).replace(tzinfo=None)
    one = slot()
    with clock_at(late):
        appointments.confirm(key, one, letter=letter(cast, key), by=cast.sam.actor)
    other = cast.send(cast.jihae, "Appointment")
    with db.engines["write"].begin() as connection:
        connection.execute(sa.update(Patient.__table__).values(notices=NoticePreference.NONE))
    take(cast, other, V.CONFIRM, cast.sam)
    assert told(Occasion.REMINDER) == []


# ---- Results -----------------------------------------------------------------------------------------------------


def test_ready_says_where_and_until_when_and_picked_up_by_whom_with_which_paper(cast):
    key = cast.send(cast.sophie, "Result")
    take(cast, key, V.PREPARE, cast.max)
    with pytest.raises(Invalid) as refused:
        today = now().date()
        results.make_ready(
            key, place=PLACE, until=today - timedelta(days=1), letter=letter(cast, key), today=today, by=cast.max.actor
        )
    assert refused.value.field == "until"
    take(cast, key, V.MAKE_READY, cast.max)
    assert (asked(cast, key).ready_at_place, asked(cast, key).ready_until) == (PLACE, soon())
    for wrong, field in (({"to": " "}, "to"), ({"paper": ""}, "paper"), ({"to": "x" * 121}, "to")):
        values = {"to": "Ann", "paper": "Passport"} | wrong
        with pytest.raises(Invalid) as refused:
            results.hand_out(key, **values, letter=letter(cast, key), by=cast.max.actor)
        assert refused.value.field == field
    take(cast, key, V.PICK_UP, cast.max)
    assert (asked(cast, key).picked_up_by, asked(cast, key).paper_shown) == ("Ann Kwon", "Passport")


def test_of_a_pick_and_a_step_at_the_same_moment_one_wins_and_the_other_is_told(cast):
    """Threads that begin together, again and again: a pick against taking back, confirming and a pick of the other time."""
    app, rounds = cast.sophie.app, [V.TAKE_BACK, V.CONFIRM, V.PICK] * 4
    for number, verb in enumerate(rounds):
        patient = (cast.sophie, cast.jihae, cast.hugo)[number % 3]
        key = cast.send(patient, "Appointment")
        take(cast, key, V.PROPOSE, cast.sam)
        (first, second), said = times(key), letter(cast, key)
        db.session.close()
        other = {
            V.TAKE_BACK: partial(appointments.take_times_back, key, letter=said, by=cast.sam.actor),
            V.CONFIRM: partial(appointments.confirm, key, slot(), letter=said, by=cast.fay.actor),
            V.PICK: partial(pick, cast, key, second, by=patient),
        }[verb]
        together, ended = threading.Barrier(2), []

        def run(act, together=together, ended=ended):
            with app.app_context():
                together.wait()
                try:
                    act()
                    ended.append("done")
                except Stale:
                    ended.append("stale")
                db.session.remove()

        acts = [threading.Thread(target=run, args=(act,)) for act in (partial(pick, cast, key, first, by=patient), other)]
        for act in acts:
            act.start()
        for act in acts:
            act.join()
        assert sorted(ended) == ["done", "stale"], (verb, ended)
        found, happened = asked(cast, key), events(key)
        assert len(happened) == 2 and (found.state == A.CONFIRMED) is (happened[1] != V.TAKE_BACK)
        assert found.changes in (None, 0) and all(one.ended_at for one in times(key))
