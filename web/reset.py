"""A forgotten password: asking for a link by mail, which is answered the same whoever asks, and choosing another by it."""

from dataclasses import replace

from flask import Blueprint, render_template
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import EmailField

from practice import reset
from practice.db import ANONYMOUS
from web.answers import Answer, notice, to
from web.forms import Filled, Meta
from web.gate import ANYONE, client_address, guard
from web.new_password import Way

blueprint = Blueprint("reset", __name__, url_prefix="/reset")
guard(blueprint, ANYONE)

RESET = Way(
    view="reset.set_password",
    whose=reset.person_to_reset,
    choose=reset.reset_password,
    is_for=_l("You are then logged out everywhere, and log in with the new password."),
    instead=_l("Ask for a new link, and open that of the newest e-mail."),
    again="reset.ask",
)


class AskForm(FlaskForm):
    Meta = Meta
    email = EmailField(_l("E-mail"), [Filled(_l("Write your e-mail address."))], render_kw={"autocomplete": "username"})


@blueprint.get("")
def ask() -> Answer:
    return asked(AskForm(formdata=None))


@blueprint.post("")
def send_link() -> Answer:
    form = AskForm()
    if not form.validate_on_submit():
        return asked(form, 422)
    reset.ask_for_link(form.email.data, by=replace(ANONYMOUS, address=client_address()))
    return to("reset.ask", done="link-asked")


def asked(form: AskForm, status: int = 200) -> Answer:
    return render_template("account/reset.html", form=form, is_asked=notice() == "link-asked"), status


@blueprint.get("/", defaults={"token": ""})
@blueprint.get("/<token>")
def new_password(token: str) -> Answer:
    return RESET.look(token)


@blueprint.post("/", defaults={"token": ""})
@blueprint.post("/<token>")
def set_password(token: str) -> Answer:
    return RESET.save(token)
