"""Respond: the pane's writing mode, stopped when somebody wrote meanwhile."""

from typing import Any

from flask import render_template, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import HiddenField, SelectField, TextAreaField

from practice import conversations
from practice.conversations import BODY_MAX
from practice.errors import Invalid, Stale
from practice.threads import Opened
from staff import blueprint
from staff.box import my_box, unread
from staff.inbox import kept, listed
from staff.thread import open_logged, shown
from web import forms
from web.answers import Answer, is_htmx, to
from web.forms import AtMost, Filled, Form, tidy
from web.gate import drafts_to, visitor


class ReplyForm(Form):
    seen = HiddenField()
    communicator = SelectField(_l("From"), choices=[], validate_choice=False)
    body = TextAreaField(
        _l("Your reply"),
        [Filled(_l("Write your reply.")), AtMost(BODY_MAX, _l("Use at most 20,000 characters."))],
        filters=[tidy],
        render_kw={"data-focus": ""},  # whoever presses Respond writes; errors and a newer message stand before it and win
    )


@blueprint.get("/messages/<key>/reply")
def respond(key: str) -> Answer:
    found = open_logged(key)
    form = forms.opened(ReplyForm, seen=found.last_id)
    if not str(form.seen.data or "").isdigit():
        form.seen.data = found.last_id
    return writer(found, form)


@blueprint.post("/messages/<key>/replies")
@drafts_to("staff.respond")
def send_reply(key: str) -> Answer:
    form = ReplyForm()
    if not form.validate_on_submit():
        return writer(open_logged(key), form, 422)
    seen = form.seen.data or ""
    try:
        conversations.answer(
            key,
            body=form.body.data,
            form_key=form.key.data,
            seen=int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 18 else 0,
            communicator=form.communicator.data or None,
            by=visitor().actor,
        )
    except Invalid as error:
        form.put(error)
        return writer(open_logged(key), form, 422)
    except Stale:
        return _stopped(key, form)
    return to("staff.message", key=key, done="answered", **kept())


def _stopped(key: str, form: ReplyForm) -> Answer:
    """Somebody wrote after what was read: their words are shown, ours are kept, and *Send* works after reading."""
    found = open_logged(key)
    seen = form.seen.data or ""
    before = int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 18 else 0
    newer = [m for m in found.messages if m.id > before]
    form.seen.data = found.last_id
    return writer(found, form, 409, newer=newer)


def writer(found: Opened, form: Form, status: int = 200, **more: Any) -> tuple[str, int]:
    mine = my_box().mine_of(found.head.audience_id)
    form.communicator.choices = [(m.key, m.title) for m in mine]
    context = (
        shown(found)
        | {"form": form, "mine": mine, "newer_messages": []}
        | {("newer_messages" if name == "newer" else name): value for name, value in more.items()}
    )
    if is_htmx():
        return render_template("staff/_writing.html", unread=unread(), htmx=True, **context), status
    which = "sent" if request.args.get("which") == "sent" else "in_box"
    title = _("Respond")
    return render_template("staff/writing.html", **listed(which) | {"notice": None, "title": title} | context), status
