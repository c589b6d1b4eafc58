"""My Appointments, and asking for one."""

from typing import Any

from flask import render_template, request
from wtforms import SelectField, SelectMultipleField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import ValidationError

from portal import blueprint
from portal.cancelling import requests_page
from portal.fields import HALF_HOURS, Known, answer_by, is_to_be_sent, must_be_on, offer_facilities, review, typed
from practice.appointments import Wish, appointments_of, can_cancel, check_wish
from practice.appointments import request_appointment as ask
from practice.conversations import BODY_MAX
from practice.db import db
from practice.errors import Invalid
from practice.settings import MenuItem, RequestType, physicians
from web.answers import Answer, page, to
from web.facts import STATES, WEEKDAYS, time_range
from web.formats import clock, day, present_practice, today
from web.formats import gettext as _
from web.formats import lazy_gettext as _l
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

    def facts(self) -> list[tuple[str, str]]:
        """What it says, as the review shows it: the same words as the conversation."""
        wish = self.wish()
        chosen = {choice.value: choice.label for field in (self.facility, self.physician) for choice in field.choices}
        return [
            (_("Facility"), chosen.get(wish.facility, "")),
            (_("Referring physician"), chosen.get(wish.physician, "")),
            (_("Reason for visit"), wish.reason),
            (_("Preferred date range"), _("%(first)s to %(last)s", first=day(wish.first_day), last=day(wish.last_day))),
            (_("Day of week"), ", ".join(str(WEEKDAYS[n]) for n in wish.weekdays)),
            (_("Preferred time range"), time_range(*(clock(at) if at else "" for at in (wish.from_time, wish.to_time)))),
            (_("Comments"), wish.comments),
        ]


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
