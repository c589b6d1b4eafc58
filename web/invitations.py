"""The invitation of a new account: a link that works once, to choose the first password. Looking at it uses nothing up."""

from typing import Any

from flask import Blueprint, render_template
from flask_babel import lazy_gettext as _l
from wtforms import PasswordField

from practice import accounts
from practice.errors import Invalid
from practice.links import LinkEnded
from web.answers import Answer, to
from web.forms import Filled, Form
from web.gate import ANYONE, client_address, guard

blueprint = Blueprint("invitation", __name__, url_prefix="/invitation")
guard(blueprint, ANYONE)

NEW_PASSWORD = {"autocomplete": "new-password"}


class PasswordForm(Form):
    password = PasswordField(_l("New password"), [Filled(_l("Write a password."))], render_kw=NEW_PASSWORD)
    password_again = PasswordField(
        _l("The same password again"), [Filled(_l("Write the password once more."))], render_kw=NEW_PASSWORD
    )


@blueprint.get("/", defaults={"token": ""})
@blueprint.get("/<token>")
def invitation(token: str) -> Answer:
    try:
        accounts.invited(token)
    except LinkEnded:
        return ended()
    return shown(PasswordForm(formdata=None), token)


@blueprint.post("/", defaults={"token": ""})
@blueprint.post("/<token>")
def accept(token: str) -> Answer:
    form = PasswordForm()
    try:
        accounts.invited(token)
        if not form.validate_on_submit():
            return shown(form, token, 422)
        if form.password.data != form.password_again.data:
            raise Invalid("password_again", "The two passwords differ.")
        accounts.accept_invitation(token, password=form.password.data, address=client_address())
    except LinkEnded:
        return ended()
    except Invalid as error:
        form.put(error)
        return shown(form, token, 422)
    return to("login.log_in", done="password-set")


def ended() -> Answer:
    """Used, late, replaced, mistyped: the same page for all."""
    return shown(None, "", 400)


def shown(form: Any, token: str, status: int = 200) -> Answer:
    return render_template("account/invitation.html", form=form, token=token), status
