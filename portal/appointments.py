"""My Appointments, and asking for one."""

from typing import Any

from flask import Response, render_template, request
from wtforms import RadioField

from portal import blueprint
from portal.cancelling import requests_page
from portal.fields import answer_by, is_to_be_sent, must_be_on, review
from practice.appointments import (
    appointment_of,
    appointments_of,
    can_cancel,
    check_wish,
    past_of,
    proposed_times,
    upcoming_of,
)
from practice.appointments import pick_time as pick
from practice.appointments import request_appointment as ask
from practice.db import db
from practice.errors import Invalid, NotVisible, Stale
from practice.settings import MenuItem, RequestType
from practice.threads import PAGE, Thread, thread_of_patient
from web.answers import Answer, page, to
from web.calendars import calendar_text
from web.facts import STATES, slot_words
from web.formats import gettext as _
from web.formats import lazy_gettext as _l
from web.formats import today
from web.forms import Form, opened
from web.gate import visitor
from web.requests import AppointmentForm, Chosen


@blueprint.get("/appointments")
def appointments() -> str:
    must_be_on(MenuItem.MY_APPOINTMENTS)
    me = visitor().person_id
    return render_template(
        "portal/appointments.html",
        here="portal.appointments",
        states=STATES,
        can_cancel=can_cancel,
        upcoming=upcoming_of(me, limit=PAGE),
        past=past_of(me),
        **requests_page("portal.appointments", appointments_of),
    )


class PickForm(Form):
    time = RadioField(_l("Which time"), [Chosen(_l("Choose one of the times"))], choices=[], coerce=str, validate_choice=False)


@blueprint.route("/messages/<key>/times", methods=["GET", "POST"])
def pick_time(key: str) -> Answer:
    """The times that the practice proposes; the one that is taken is confirmed."""
    thread = thread_of_patient(db.session(), key, visitor().person_id)
    times = proposed_times(thread.id)
    if request.method != "POST":
        return _times(thread, times, opened(PickForm))
    form = PickForm()
    if not form.validate_on_submit():
        return _times(thread, times, form, 422)
    taken = next((one for one in times if one.key == form.time.data), None)
    words = _("I take this time: %(when)s", when=slot_words(taken.starts_at, taken.minutes)) if taken else _("I take this time.")
    try:
        pick(key, (form.time.data or "")[:22], body=words, form_key=form.key.data, by=visitor().actor)
    except Stale:
        db.session.close()
        return _times(thread, proposed_times(thread.id), form, 409, is_gone=True)
    return to("portal.message", key=key, done="picked")


def _times(thread: Thread, times: list[Any], form: Form, status: int = 200, *, is_gone: bool = False) -> Answer:
    form.time.choices = [
        (one.key, _("%(when)s, %(place)s", when=slot_words(one.starts_at, one.minutes), place=one.place)) for one in times
    ]
    shown = render_template(
        "portal/pick_time.html", here="portal.appointments", thread=thread, times=times, form=form, is_gone=is_gone
    )
    return shown, status


@blueprint.get("/messages/<key>/calendar-file")
def calendar_file(key: str) -> Response:
    """For the calendar of a phone; of one that is off or changed, what puts the same entry right."""
    thread = thread_of_patient(db.session(), key, visitor().person_id)
    found = appointment_of(thread.id)
    if found is None or found.starts_at is None:
        raise NotVisible
    headers = {"Content-Disposition": 'attachment; filename="appointment.ics"'}
    return Response(calendar_text(key, found), headers=headers, content_type="text/calendar; charset=utf-8")


@blueprint.route("/appointments/new", methods=["GET", "POST"])
def request_appointment() -> Answer:
    must_be_on(MenuItem.REQUEST_APPOINTMENT, form_key=request.form.get("key", ""))
    if request.method != "POST":
        return _page(opened(AppointmentForm))
    form = AppointmentForm()
    if "change" in request.form:
        return _page(form)
    if form.validate_on_submit():
        try:
            if is_to_be_sent(form):
                sent = ask(visitor().person_id, form.wish(), today=today(), form_key=form.key.data, by=visitor().actor)
                return to("portal.message", key=sent.thread_key, done="sent")
            check_wish(db.session(), form.wish(), today=today())
            texts = [form.reason.data, form.comments.data]
            return review("portal.request_appointment", form, form.facts(), RequestType.APPOINTMENT, texts)
        except Invalid as error:
            form.put(error)
    return _page(form, 422)


def _page(form: Form, status: int = 200) -> Answer:
    return page(
        "portal/request_appointment.html",
        "portal/_request_appointment.html",
        status,
        here="portal.appointments",
        form=form,
        answer_by=answer_by(RequestType.APPOINTMENT),
        today=today(),
    )
