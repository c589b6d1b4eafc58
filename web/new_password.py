"""Choosing a password by a link that works once: an invitation's first one, or another one. Looking at it uses nothing up."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import render_template, url_for
from flask_babel import lazy_gettext as _l
from wtforms import PasswordField

from practice.errors import Invalid
from practice.links import LinkEnded
from web.answers import Answer, to
from web.forms import Filled, Form
from web.gate import client_address

NEW_PASSWORD = {"autocomplete": "new-password"}


class PasswordForm(Form):
    password = PasswordField(_l("New password"), [Filled(_l("Write a password."))], render_kw=NEW_PASSWORD)
    password_again = PasswordField(
        _l("The same password again"), [Filled(_l("Write the password once more."))], render_kw=NEW_PASSWORD
    )


@dataclass(frozen=True)
class Way:
    """What two links differ in. `whose` raises LinkEnded, and so does `choose`, which saves the password.

    `view`: takes the form; `is_for` and `instead`: what the page says, and what to do when the link does not work;
    `again`: the page where one may ask for another link, if there is one.
    """

    view: str
    whose: Callable[[str], Any]
    choose: Callable[..., None]
    is_for: Any
    instead: Any
    again: str = ""

    def look(self, token: str) -> Answer:
        try:
            self.whose(token)
        except LinkEnded:
            return self.ended()
        return self.shown(PasswordForm(formdata=None), token)

    def save(self, token: str) -> Answer:
        form = PasswordForm()
        try:
            self.whose(token)
            if not form.validate_on_submit():
                return self.shown(form, token, 422)
            if form.password.data != form.password_again.data:
                raise Invalid("password_again", "The two passwords differ.")
            self.choose(token, password=form.password.data, address=client_address())
        except LinkEnded:
            return self.ended()
        except Invalid as error:
            form.put(error)
            return self.shown(form, token, 422)
        return to("login.log_in", done="password-set")

    def ended(self) -> Answer:
        return ended(self.instead, again=self.again)

    def shown(self, form: Form, token: str, status: int = 200) -> Answer:
        action = url_for(self.view, token=token)
        return render_template("account/new_password.html", way=self, form=form, action=action), status


def ended(instead: Any, *, again: str = "") -> Answer:
    """Used, late, replaced, mistyped: the same page for all."""
    return render_template("account/link_ended.html", instead=instead, again=again), 400
