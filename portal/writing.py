"""Writing to the practice: a new message, and the form of an answer."""

from typing import Any

from flask import request
from wtforms import SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice

from portal import blueprint
from portal.fields import answer_by, must_be_on, must_warn
from practice.communicators import Routable, routable_of
from practice.conversations import BODY_MAX, TITLE_MAX, send
from practice.db import db
from practice.errors import Invalid
from practice.settings import MenuItem, RequestType
from web.answers import Answer, page, to
from web.formats import gettext as _
from web.formats import lazy_gettext as _l
from web.forms import AtMost, Filled, Form, opened, tidy
from web.gate import visitor

TOO_LONG = AtMost(BODY_MAX, _l("Use at most 20,000 characters"))


class MessageForm(Form):
    """*To* offers only who can receive now. One: preselected and read-only. None: the practice takes it."""

    to = SelectField(_l("To"), validate_choice=False)
    title = StringField(
        _l("Title"),
        [Filled(_l("Write a title")), AtMost(TITLE_MAX, _l("Write a title of at most 120 characters"))],
        filters=[tidy],
    )
    body = TextAreaField(_l("Comments"), [Filled(_l("Write your message")), TOO_LONG], filters=[tidy])
    offered: list[Routable]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offer()
        self.to.flags.required = True

    def offer(self) -> None:
        """Looks anew who can receive: it may have changed while the patient was writing."""
        self.offered = routable_of(db.session(), RequestType.OTHERS)
        self.to.choices = [SelectChoice("", _("Choose")), *(SelectChoice(c.key, c.title) for c in self.offered)]


class ReplyForm(Form):
    body = TextAreaField(_l("Respond"), [Filled(_l("Write your answer")), TOO_LONG], filters=[tidy])


@blueprint.route("/messages/new", methods=["GET", "POST"])
def new_message() -> Answer:
    must_be_on(MenuItem.MESSAGE, form_key=request.form.get("key", ""))
    if request.method != "POST":
        return _writing(opened(MessageForm))
    form, me = MessageForm(), visitor()
    if form.validate_on_submit() and not must_warn(form, form.title.data, form.body.data):
        try:
            done = send(
                me.person_id,
                kind=RequestType.OTHERS,
                title=form.title.data,
                body=form.body.data,
                to=form.to.data or None,
                form_key=form.key.data,
                by=me.actor,
            )
            return to("portal.message", key=done.thread_key, done="sent")
        except Invalid as error:
            form.put(error)
            form.offer()
    return _writing(form, 422)


def _writing(form: Form, status: int = 200) -> Answer:
    return page(
        "portal/new_message.html",
        "portal/_new_message.html",
        status,
        here="portal.messages",
        form=form,
        answer_by=answer_by(RequestType.OTHERS),
    )
