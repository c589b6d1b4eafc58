"""Writing to the practice: a new message, and the form of an answer."""

from flask import request
from wtforms import TextAreaField

from portal import blueprint
from portal.fields import answer_by, must_be_on, must_warn
from practice.conversations import send
from practice.errors import Invalid
from practice.settings import MenuItem, RequestType
from web.answers import Answer, page, to
from web.formats import lazy_gettext as _l
from web.forms import Filled, Form, opened, tidy
from web.gate import visitor
from web.requests import TOO_LONG, MessageForm


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
