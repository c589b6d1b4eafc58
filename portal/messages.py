"""Messages: Inbox, Sent, a conversation with the way of each message, writing and responding."""

from typing import Any

from flask import render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice

from portal import blueprint
from portal.fields import answer_by, must_be_on
from practice.communicators import Routable, routable_of
from practice.conversations import BODY_MAX, TITLE_MAX, send
from practice.conversations import reply as write_on
from practice.db import db, now, small_write
from practice.errors import Invalid
from practice.settings import MenuItem, RequestType
from practice.threads import (
    NEWEST,
    READ_BY_PATIENT,
    Opened,
    Page,
    is_new_for_patient,
    message_of_patient,
    opened_by_patient,
    place_of_patient,
    threads_of_patient,
    titles_of,
    way_of,
)
from web.answers import Answer, page, to
from web.facts import facts_of
from web.forms import AtMost, Filled, Form, opened, tidy
from web.gate import drafts_to, visitor

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


# ---- Lists ---------------------------------------------------------------------------------------


@blueprint.get("/messages")
def messages() -> Answer:
    return _list("inbox")


@blueprint.get("/messages/sent")
def sent() -> Answer:
    return _list("sent")


ENDPOINT_OF = {"inbox": "portal.messages", "sent": "portal.sent"}


def _list(box: str) -> Answer:
    me, place = visitor().person_id, None
    for name in ("before", "after"):
        if request.args.get(name):
            place = place_of_patient(request.args[name], me, which=box, is_newer=name == "after")
    return page(
        "portal/messages.html",
        "portal/_mail.html",
        here="portal.messages",
        **_rows(threads_of_patient(me, which=box, place=place), box),
    )


def _rows(found: Page, box: str) -> dict[str, Any]:
    endpoint, rows = ENDPOINT_OF[box], found.rows
    return {
        "rows": rows,
        "box": box,
        "newer": url_for(endpoint, after=rows[0].key) if rows and found.has_newer else "",
        "older": url_for(endpoint, before=rows[-1].key) if rows and found.has_older else "",
    }


# ---- A conversation ------------------------------------------------------------------------------


@blueprint.get("/messages/<key>")
def message(key: str) -> Answer:
    before = request.args.get("before")
    place = message_of_patient(before, key, visitor().person_id) if before else NEWEST
    return _conversation(opened_by_patient(key, visitor().person_id, before=place), opened(ReplyForm), is_newest=not before)


@blueprint.post("/messages/<key>/replies")
@drafts_to("portal.message")
def reply(key: str) -> Answer:
    form = ReplyForm()
    if form.validate_on_submit():
        try:
            write_on(key, body=form.body.data, form_key=form.key.data, by=visitor().actor)
            return to("portal.message", key=key, done="sent")
        except Invalid as error:
            form.put(error)
    return _conversation(opened_by_patient(key, visitor().person_id), form, 422)


def _conversation(thread: Opened, form: Form, status: int = 200, *, is_newest: bool = True) -> Answer:
    """The whole conversation with the list beside it. Whoever opens an answer has read it."""
    me, head = visitor(), thread.head
    box = "sent" if request.args.get("box") == "sent" or head.last_staff_message_at is None else "inbox"
    context = _rows(threads_of_patient(me.person_id, which=box), box) | {
        "here": "portal.messages",
        "head": head,
        "thread": thread,
        "ways": {m.id: way_of(m, thread) for m in thread.messages if m.is_from_patient},
        "facts": [] if thread.has_earlier else facts_of(thread),
        "recipients": ", ".join(titles_of(thread.events)) if head.unrouted_since is None else "",
        "is_newest": is_newest,
        "answer_by": head.due_at if head.due_at and head.due_at > now() else answer_by(head.type),
        "form": form,
        "unread": me.unread,
    }
    # The mark says up to which answer was read: one that comes in this very moment stays new.
    mark = {"thread": head.id, "at": head.last_staff_message_at}
    if is_newest and is_new_for_patient(head) and small_write(READ_BY_PATIENT, mark, waits=False):
        context["unread"] = me.unread - 1
    return page("portal/message.html", "portal/_mail.html", status, **context)


# ---- Writing -------------------------------------------------------------------------------------


@blueprint.route("/messages/new", methods=["GET", "POST"])
def new_message() -> Answer:
    must_be_on(MenuItem.MESSAGE, form_key=request.form.get("key", ""))
    if request.method != "POST":
        return _writing(opened(MessageForm))
    form, me = MessageForm(), visitor()
    if form.validate_on_submit():
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
    return _writing(form), 422


def _writing(form: Form) -> str:
    return render_template("portal/new_message.html", here="portal.messages", form=form, answer_by=answer_by(RequestType.OTHERS))
