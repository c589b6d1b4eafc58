"""Taking a request back, and the pages of what was requested."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import render_template, request, url_for
from wtforms import HiddenField, TextAreaField
from wtforms.validators import ValidationError

from portal import blueprint
from portal.fields import must_warn
from practice.amendments import amendment_of, cancel_amendment
from practice.amendments import can as can_with_amendment
from practice.appointments import AppointmentState, appointment_of, cancel_appointment
from practice.appointments import can_cancel as can_cancel_appointment
from practice.conversations import REASON_MAX
from practice.db import db
from practice.errors import NotVisible, Stale
from practice.requests import CANCELLED, RequestVerb, place_of_request
from practice.results import can_cancel as can_cancel_result
from practice.results import cancel_result, result_of
from practice.threads import Page, Thread, thread_of_patient
from web.answers import Answer, to
from web.facts import STATES
from web.formats import gettext as _
from web.formats import lazy_gettext as _l
from web.forms import AtMost, Form, opened, tidy
from web.gate import visitor


class CancelForm(Form):
    """`state`: the one in which the patient saw it. Why is asked where somebody has kept the time free."""

    state = HiddenField()
    reason = TextAreaField(_l("Reason"), [AtMost(REASON_MAX, _l("Use at most 500 characters."))], filters=[tidy])

    def validate_reason(self, field: TextAreaField) -> None:
        if self.state.data == AppointmentState.CONFIRMED and not field.data:
            raise ValidationError(_("Say why you cannot come."))

    def body(self) -> str:
        if not self.reason.data:
            return CANCELLED
        return f"{_('I cancel this appointment.')}\n\n{_('Reason')}: {self.reason.data}"


@dataclass(frozen=True)
class Request:
    """What can be cancelled."""

    thread: Thread
    asked: Any
    is_possible: bool
    cancel: Callable[..., Any]


@blueprint.route("/messages/<key>/cancellation", methods=["GET", "POST"])
def cancel_request(key: str) -> Answer:
    """Asks once more; what has gone on meanwhile is not cancelled before the patient has seen it so."""
    found = _request(key)
    if request.method != "POST":
        return _page(found, opened(CancelForm, state=found.asked.state))
    form = CancelForm()
    if not form.validate_on_submit() or must_warn(form, form.reason.data or ""):
        return _page(found, form, 422)
    try:
        state = type(found.asked.state)(form.state.data)
        found.cancel(key, state=state, body=form.body(), form_key=form.key.data, by=visitor().actor)
        return to("portal.message", key=key, done="cancelled")
    except (Stale, ValueError):
        db.session.close()
        found = _request(key)
        form.state.data = found.asked.state
        return _page(found, form, 409, is_changed=True)


def _request(key: str) -> Request:
    thread = thread_of_patient(db.session(), key, visitor().person_id)
    if found := appointment_of(thread.id):
        return Request(thread, found, can_cancel_appointment(found), cancel_appointment)
    if found := result_of(thread.id):
        return Request(thread, found, can_cancel_result(found), cancel_result)
    if found := amendment_of(thread.id):
        return Request(thread, found, can_with_amendment(found, RequestVerb.CANCEL), cancel_amendment)
    raise NotVisible


def _page(found: Request, form: Form, status: int = 200, *, is_changed: bool = False) -> Answer:
    is_confirmed = form.reason.flags.required = found.asked.state == AppointmentState.CONFIRMED
    shown = render_template(
        "portal/cancel_request.html",
        here="portal.messages",
        thread=found.thread,
        asked=found.asked,
        state=STATES[found.asked.state],
        form=form,
        is_confirmed=is_confirmed,
        is_possible=found.is_possible,
        is_changed=is_changed,
        label=_("Cancel appointment") if is_confirmed else _("Cancel request"),
    )
    return shown, status


def requests_page(endpoint: str, requests_of: Callable[..., Page]) -> dict[str, Any]:
    """The rows of a page of requests and the addresses of those beside it, as the address asks for them."""
    me, place = visitor().person_id, None
    for name in ("before", "after"):
        if request.args.get(name):
            place = place_of_request(request.args[name][:22], me, is_newer=name == "after")
    found = requests_of(me, place=place)
    rows = found.rows
    return {
        "requests": rows,
        "newer": url_for(endpoint, after=rows[0].Thread.key) if rows and found.has_newer else "",
        "older": url_for(endpoint, before=rows[-1].Thread.key) if rows and found.has_older else "",
    }
