"""Messages: Inbox, Sent, and a conversation with the way of each message."""

from typing import Any

from flask import request, url_for

from portal import blueprint
from portal.fields import answer_by, must_warn
from portal.writing import ReplyForm
from practice.conversations import reply as write_on
from practice.db import now, small_write
from practice.errors import Invalid
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
from web.forms import Form, opened
from web.gate import drafts_to, visitor

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
    return _conversation(
        opened_by_patient(key, visitor().person_id, before=place),
        opened(ReplyForm, about=url_for("portal.message", key=key)),
        is_newest=not before,
    )


@blueprint.post("/messages/<key>/replies")
@drafts_to("portal.message")
def reply(key: str) -> Answer:
    form = ReplyForm()
    if form.validate_on_submit() and not must_warn(form, form.body.data):
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
