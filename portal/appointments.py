"""My Appointments, and asking for one."""

from typing import Any

from flask import render_template, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import SelectField, SelectMultipleField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import ValidationError

from portal import blueprint
from portal.fields import HALF_HOURS, Known, answer_by, must_be_on, offer_facilities, typed
from practice.appointments import Wish, appointments_of
from practice.appointments import request_appointment as ask
from practice.conversations import BODY_MAX
from practice.errors import Invalid
from practice.settings import MenuItem, RequestType, physicians
from web.answers import Answer, to
from web.facts import STATES, WEEKDAYS
from web.formats import present_practice, today
from web.forms import AtMost, DateField, Filled, Form, opened, tidy
from web.gate import visitor

REASON_MAX = 120
OFFERED = Known(_l("Choose one of those on offer"))
TIMES = [SelectChoice("", _l("Any time")), *(SelectChoice(word) for word in HALF_HOURS)]


class AppointmentForm(Form):
    """The facility is the server's to decide where there is only one."""

    facility = SelectField(_l("Facility"), [Filled(_l("Choose a facility"))], validate_choice=False)
    physician = SelectField(_l("Referring physician"), validate_choice=False)
    first_day = DateField(_l("First day"), [Filled(_l("Choose the first day that suits you"))])
    last_day = DateField(_l("Last day"), [Filled(_l("Choose the last day that suits you"))])
    weekdays = SelectMultipleField(
        _l("Day of week"),
        [OFFERED],
        choices=[SelectChoice(str(n), name) for n, name in enumerate(WEEKDAYS)],
        coerce=typed({str(n): n for n in range(7)}),
        validate_choice=False,
    )
    from_time = SelectField(_l("From"), [OFFERED], choices=TIMES, coerce=typed(HALF_HOURS), validate_choice=False)
    to_time = SelectField(_l("To"), [OFFERED], choices=TIMES, coerce=typed(HALF_HOURS), validate_choice=False)
    reason = TextAreaField(
        _l("Reason for visit"),
        [
            Filled(_l("Write the reason for your visit")),
            AtMost(REASON_MAX, _l("Write the reason for your visit in at most 120 characters")),
        ],
        filters=[tidy],
    )
    comments = TextAreaField(
        _l("Comments"), [AtMost(BODY_MAX, _l("Use at most 20,000 characters for your comments"))], filters=[tidy]
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        asks = present_practice().asks_physician
        offer_facilities(self.facility)
        nobody = _("Choose") if asks else _("Nobody referred me")
        self.physician.choices = [SelectChoice("", nobody), *(SelectChoice(p.key, p.name) for p in physicians())]
        if asks:
            self.physician.validators = [Filled(_("Choose the referring physician"))]
            self.physician.flags.required = True

    def validate_last_day(self, field: DateField) -> None:
        if field.data and self.first_day.data and field.data < self.first_day.data:
            raise ValidationError(_("The last day is before the first day"))

    def wish(self) -> Wish:
        assert self.first_day.data and self.last_day.data  # validated
        return Wish(
            facility=self.facility.data,
            first_day=self.first_day.data,
            last_day=self.last_day.data,
            reason=self.reason.data,
            physician=self.physician.data or None,
            weekdays=tuple(self.weekdays.data),
            from_time=self.from_time.data,
            to_time=self.to_time.data,
            comments=self.comments.data,
        )


@blueprint.get("/appointments")
def appointments() -> str:
    must_be_on(MenuItem.MY_APPOINTMENTS)
    return render_template(
        "portal/appointments.html",
        here="portal.appointments",
        requests=appointments_of(visitor().person_id),
        states=STATES,
    )


@blueprint.route("/appointments/new", methods=["GET", "POST"])
def request_appointment() -> Answer:
    must_be_on(MenuItem.REQUEST_APPOINTMENT, form_key=request.form.get("key", ""))
    if request.method != "POST":
        return _page(opened(AppointmentForm))
    form = AppointmentForm()
    if form.validate_on_submit():
        try:
            sent = ask(visitor().person_id, form.wish(), today=today(), form_key=form.key.data, by=visitor().actor)
            return to("portal.message", key=sent.thread_key, done="sent")
        except Invalid as error:
            form.put(error)
    return _page(form), 422


def _page(form: Form) -> str:
    return render_template(
        "portal/request_appointment.html",
        here="portal.appointments",
        form=form,
        answer_by=answer_by(RequestType.APPOINTMENT),
        today=today(),
    )
