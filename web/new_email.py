"""The link that proves another e-mail address. Looking at it uses nothing up, as scanners of mails do; a press takes it."""

from flask import Blueprint, render_template, url_for
from flask_babel import lazy_gettext as _l

from practice import own_email
from practice.links import LinkEnded
from web.answers import Answer, to
from web.gate import ANYONE, client_address, guard
from web.new_password import ended

blueprint = Blueprint("new_email", __name__, url_prefix="/new-email")
guard(blueprint, ANYONE)

INSTEAD = _l("Log in with the address you had, and ask for the change once more.")


@blueprint.get("/", defaults={"token": ""})
@blueprint.get("/<token>")
def look(token: str) -> Answer:
    try:
        own_email.whose_new_email(token)
    except LinkEnded:
        return ended(INSTEAD)
    return render_template("account/new_email.html", action=url_for("new_email.take", token=token))


@blueprint.post("/", defaults={"token": ""})
@blueprint.post("/<token>")
def take(token: str) -> Answer:
    try:
        own_email.take_new_email(token, address=client_address())
    except LinkEnded:
        return ended(INSTEAD)
    return to("login.log_in", done="email-changed")
