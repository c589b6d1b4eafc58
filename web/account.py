"""The account of whoever is logged in, as patients and staff keep it: password, mails, log-ins."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import render_template, request, session, url_for
from wtforms import EmailField, PasswordField, RadioField
from wtforms.fields import SelectChoice
from wtforms.validators import AnyOf

from practice import audit, own_account, own_email
from practice.errors import Invalid, NotAllowed
from practice.people import NoticePreference
from web.answers import Answer, to
from web.formats import gettext as _
from web.formats import lazy_gettext as _l
from web.forms import Filled, Form, tidy
from web.gate import visitor

NEW_PASSWORD = {"autocomplete": "new-password"}
ONE_OF_THREE = _l("Choose one of the three.")


def present_field() -> PasswordField:
    return PasswordField(
        _l("Present password"), [Filled(_l("Write your present password."))], render_kw={"autocomplete": "current-password"}
    )


class PasswordForm(Form):
    present = present_field()
    password = PasswordField(_l("New password"), [Filled(_l("Write a password."))], render_kw=NEW_PASSWORD)
    password_again = PasswordField(
        _l("The same password again"), [Filled(_l("Write the password once more."))], render_kw=NEW_PASSWORD
    )


class EmailForm(Form):
    present = present_field()
    email = EmailField(
        _l("New e-mail address"),
        [Filled(_l("Write the new address."))],
        filters=[tidy],
        render_kw={"autocomplete": "email"},
    )


def wish_field(label: Any, each: Any) -> Any:
    """How often mails are wanted; `each`: what it is called to get one for everything."""
    words = {
        NoticePreference.EACH: each,
        NoticePreference.DAILY: _l("One e-mail a day, in the morning"),
        NoticePreference.NONE: _l("No e-mails"),
    }
    return RadioField(
        label,
        [Filled(ONE_OF_THREE), AnyOf(list(NoticePreference), ONE_OF_THREE)],
        choices=[SelectChoice(wish.value, said) for wish, said in words.items()],
        validate_choice=False,
    )


@dataclass(frozen=True)
class Desk:
    """The side on which somebody keeps the account: its blueprint, its templates' folder, and what its pages need beside."""

    side: str
    more: Callable[[], dict[str, Any]] = dict

    def url(self, view: str, **values: Any) -> str:
        return url_for(f"{self.side}.{view}", **values)

    def page(self, template: str, status: int = 200, **context: Any) -> Answer:
        return render_template(
            f"{self.side}/{template}", desk=self, here=f"{self.side}.account", **self.more(), **context
        ), status


def change_password(desk: Desk) -> Answer:
    if request.method != "POST":
        return desk.page("password.html", form=PasswordForm(formdata=None))
    form, me = PasswordForm(), visitor()
    if not form.validate_on_submit():
        return desk.page("password.html", 422, form=form)
    try:
        if form.password.data != form.password_again.data:
            raise Invalid("password_again", "The two passwords differ.")
        key = own_account.change_password(me, present=form.present.data, new=form.password.data, by=me.actor)
    except Invalid as error:
        form.put(error)
        return desk.page("password.html", 422, form=form)
    except NotAllowed:
        refuse_present(form)
        return desk.page("password.html", 403, form=form)
    session.clear()  # the cookie as it was before opens nothing any more
    session["key"] = key
    return to(f"{desk.side}.change_password", done="password-changed")


def refuse_present(form: Any) -> None:
    """The present password was wrong: that is noted, and said beside the field."""
    audit.note(by=visitor().actor, did="denied", about=request.endpoint or "")
    form.present.errors = [_("This is not your present password.")]


def change_email(desk: Desk) -> Answer:
    if request.method != "POST":
        return desk.page("email.html", form=EmailForm(formdata=None))
    form, me = EmailForm(), visitor()
    if not form.validate_on_submit():
        return desk.page("email.html", 422, form=form)
    try:
        own_email.ask_for_new_email(me, present=form.present.data, email=form.email.data, by=me.actor)
    except Invalid as error:
        form.put(error)
        return desk.page("email.html", 422, form=form)
    except NotAllowed:
        refuse_present(form)
        return desk.page("email.html", 403, form=form)
    return to(f"{desk.side}.change_email", done="link-sent")


def log_ins(desk: Desk) -> Answer:
    return desk.page("log_ins.html", log_ins=own_account.log_ins_of(visitor()))


def end_log_in(desk: Desk, key: str) -> Answer:
    own_account.end_log_in(visitor(), key, by=visitor().actor)
    return to(f"{desk.side}.log_ins", done="logged-out-there")


def end_other_log_ins(desk: Desk) -> Answer:
    own_account.end_other_log_ins(visitor(), by=visitor().actor)
    return to(f"{desk.side}.log_ins", done="logged-out-there")
