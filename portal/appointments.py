"""My Appointments, and asking for one."""

from flask import render_template, request

from portal import blueprint
from portal.cancelling import requests_page
from portal.fields import answer_by, is_to_be_sent, must_be_on, review
from practice.appointments import appointments_of, can_cancel, check_wish
from practice.appointments import request_appointment as ask
from practice.db import db
from practice.errors import Invalid
from practice.settings import MenuItem, RequestType
from web.answers import Answer, page, to
from web.facts import STATES
from web.formats import today
from web.forms import Form, opened
from web.gate import visitor
from web.requests import AppointmentForm


@blueprint.get("/appointments")
def appointments() -> str:
    must_be_on(MenuItem.MY_APPOINTMENTS)
    return render_template(
        "portal/appointments.html",
        here="portal.appointments",
        states=STATES,
        can_cancel=can_cancel,
        **requests_page("portal.appointments", appointments_of),
    )


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
