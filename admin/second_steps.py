"""The second step of somebody else's log-in, reset by an admin: for who has lost the phone and the recovery codes."""

from flask import render_template
from wtforms import PasswordField

from admin import blueprint
from practice import audit, second_step
from practice.errors import NotAllowed
from practice.people import Kind
from practice.second_step import NotYourOwn
from web.answers import Answer, notice, to
from web.formats import gettext as _
from web.formats import lazy_gettext as _l
from web.forms import Filled, Form, must_be_key
from web.gate import visitor

CURRENT_PASSWORD = {"autocomplete": "current-password"}


class ResetForm(Form):
    present = PasswordField(_l("Your own password"), [Filled(_l("Write your own password."))], render_kw=CURRENT_PASSWORD)


@blueprint.get("/people/<key>/second-step")
def second_step_of(key: str) -> Answer:
    return asked(key, ResetForm(formdata=None))


@blueprint.post("/people/<key>/second-step")
def reset_second_step(key: str) -> Answer:
    must_be_key(key)
    form = ResetForm()
    if not form.validate_on_submit():
        return asked(key, form, 422)
    try:
        second_step.reset(visitor(), key, present=form.present.data)
    except NotYourOwn:
        raise
    except NotAllowed:
        audit.note(by=visitor().actor, did="denied", about="admin.reset_second_step")
        form.present.errors = [_("This is not your password.")]
        return asked(key, form, 403)
    return to("admin.second_step_of", key=key, done="second-step-reset")


def asked(key: str, form: ResetForm, status: int = 200) -> Answer:
    must_be_key(key)
    person = second_step.person_with(key)
    values = {
        "person": person,
        "state": second_step.state_of(person.id),
        "is_me": person.id == visitor().person_id,
        "page_of": "admin.patient" if person.kind == Kind.PATIENT else "admin.staff_member",
        "notice": notice(),
    }
    return render_template("admin/second_step.html", form=form, **values), status
