"""Mails that could not be sent: who was not told, and trying again."""

from flask import request

from admin import blueprint
from practice import outbox
from web.answers import Answer, notice, page, to
from web.forms import must_be_key
from web.gate import visitor


@blueprint.get("/mails")
def mails() -> Answer:
    return page(
        "admin/mails.html",
        "admin/_mails.html",
        rows=outbox.dead_notices(),
        most=outbox.MOST_DEAD,
        waits_since=outbox.late_since(),
        notice=notice(),
    )


@blueprint.post("/mails/attempts")
def try_again() -> Answer:
    """One, by the key of its notice, or all of them."""
    key = request.form.get("notice", "")
    if key:
        must_be_key(key)
    outbox.try_again(key, by=visitor().actor)
    return to("admin.mails", done="tried")
