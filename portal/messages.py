"""Messages: Inbox, Sent, and a conversation with the way of each message."""

from contextlib import nullcontext, suppress
from datetime import date, time, timedelta
from typing import Any

from flask import request, url_for

from portal import blueprint
from portal.coming_back import ENDPOINT_OF, PLACES, back_to_list, came_from, list_of
from portal.fields import answer_by, must_warn
from portal.writing import ReplyForm
from practice.amendments import can as can_with_amendment
from practice.amendments import write_on
from practice.appointments import can_cancel
from practice.calendar import at_local
from practice.conversations import hide, show_again
from practice.db import now, small_write
from practice.errors import Invalid, NotVisible
from practice.requests import RequestVerb
from practice.sessions import keep_filter, kept_filter
from practice.settings import RequestType
from practice.threads import (
    NEWEST,
    READ_BY_PATIENT,
    Opened,
    Sought,
    duplicates_of,
    is_new_for_patient,
    message_of_patient,
    opened_by_patient,
    place_of_patient,
    reference_of,
    threads_of_patient,
    titles_of,
    way_of,
)
from web.answers import Answer, page, to
from web.facts import Asked, asked_of
from web.formats import WORD_OF, present_practice
from web.forms import Form, opened
from web.gate import drafts_to, visitor

# ---- Lists ---------------------------------------------------------------------------------------

BESIDE = 10  # rows of the list beside an open conversation
SEARCHED_BY = ("words", "type", "unread", "first_day", "last_day")


@blueprint.get("/messages")
def messages() -> Answer:
    return _list("inbox")


@blueprint.get("/messages/sent")
def sent() -> Answer:
    return _list("sent")


@blueprint.post("/messages/search")
def search_messages() -> Answer:
    """Keeps what is looked for with the session: an address never says it."""
    box = "sent" if request.form.get("box") == "sent" else "inbox"
    endpoint = ENDPOINT_OF[box]
    values = {name: request.form.get(name, "").replace("\0", "")[:100] for name in SEARCHED_BY}
    if "clear" in request.form or not any(value.strip() for value in values.values()):
        return to(endpoint)
    first, last = _days(values)
    if first and last and first > last:
        return _list(box, values, 422)
    return to(endpoint, filter=keep_filter(visitor(), values))


def _list(box: str, refused: dict[str, str] | None = None, status: int = 200) -> Answer:
    """`refused`: what was to be looked for with days the wrong way round."""
    if refused is None:
        listed = _listed(box)
    else:
        listed = {"rows": [], "box": box, "values": refused, "carried": {}, "came": {}, "types": WORD_OF, "is_reversed": True}
    return page("portal/messages.html", "portal/_mail.html", status, here="portal.messages", **listed)


def _listed(box: str) -> dict[str, Any]:
    """The rows of a list as the address asks for them, with what they passed and the addresses of the pages beside.

    Beside an open conversation it is the list that it was opened from."""
    me, place, came = visitor().person_id, None, came_from(box)
    key = came.get("filter", "")
    values = kept_filter(visitor(), key) if key else {}
    carried: dict[str, Any] = {"filter": key} if values else {}
    for name in PLACES:
        if beyond := came.get(f"list_{name}"):
            with suppress(NotVisible) if request.view_args else nullcontext():  # a conversation opens without its list's place
                place = place_of_patient(beyond, me, which=box, is_newer=name == "after")
    sought = _sought(values)
    found = threads_of_patient(me, which=box, place=place, sought=sought)
    if place and not found.rows:  # the last row of a page was deleted
        found = threads_of_patient(me, which=box, sought=sought)
    endpoint, is_beside = ENDPOINT_OF[box], bool(request.view_args)
    rows = found.rows[:BESIDE] if is_beside else found.rows
    has_older = found.has_older or len(rows) < len(found.rows)
    return {
        "rows": rows,
        "box": box,
        "values": values,
        "carried": carried,
        "came": came,
        "back": back_to_list(came),
        "types": WORD_OF,
        "newer": url_for(endpoint, after=rows[0].key, **carried) if rows and found.has_newer else "",
        "older": url_for(endpoint, before=rows[-1].key, **carried) if rows and has_older else "",
    }


def _sought(values: dict[str, str]) -> Sought:
    """What cannot be read (a day that is none) looks for nothing."""
    first, last = _days(values)
    zone, kind = present_practice().time_zone, values.get("type", "")
    return Sought(
        words=values.get("words", "").strip(),
        type=RequestType(kind) if kind in set(RequestType) else None,
        is_unread=bool(values.get("unread")),
        since=at_local(first, time(), zone) if first else None,
        until=at_local(last + timedelta(days=1), time(), zone) if last else None,
    )


def _days(values: dict[str, str]) -> tuple[date | None, date | None]:
    """The first and the last day."""
    return _day(values.get("first_day", "")), _day(values.get("last_day", ""))


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        return None
    return day if 1900 <= day.year <= 9000 else None


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
            return to("portal.message", key=key, done="sent", **came_from())
        except Invalid as error:
            form.put(error)
    return _conversation(opened_by_patient(key, visitor().person_id), form, 422)


def _conversation(thread: Opened, form: Form, status: int = 200, *, is_newest: bool = True) -> Answer:
    """The whole conversation with the list beside it. Whoever opens an answer has read it."""
    me, head = visitor(), thread.head
    box = "sent" if request.args.get("box") == "sent" or head.last_staff_message_at is None else "inbox"
    asked = asked_of(thread) if is_newest else Asked()
    context = _listed(box) | {
        "here": "portal.messages",
        "head": head,
        "thread": thread,
        "ways": {m.id: way_of(m, thread) for m in thread.messages if m.is_from_patient},
        "facts": [] if thread.has_earlier else asked.facts,
        "asked": asked,
        "can_cancel": asked.appointment is not None and can_cancel(asked.appointment),
        "can_withdraw": asked.amendment is not None and can_with_amendment(asked.amendment, RequestVerb.CANCEL),
        "can_disagree": asked.amendment is not None and can_with_amendment(asked.amendment, RequestVerb.DISAGREE),
        "recipients": ", ".join(titles_of(thread.events)) if head.unrouted_since is None else "",
        "duplicates": duplicates_of(head, None),
        "is_newest": is_newest,
        "reference": reference_of(head.id),
        "answer_by": head.due_at or answer_by(head.type),
        "form": form,
        "unread": me.unread,
    }
    # The mark says up to which answer was read: one that comes in this very moment stays new.
    mark = {"thread": head.id, "at": head.last_staff_message_at, "opened": now()}
    if is_newest and is_new_for_patient(head) and small_write(READ_BY_PATIENT, mark, waits=False):
        context["unread"] = me.unread - (head.hidden_by_patient_at is None)  # what is hidden was not counted
    return page("portal/message.html", "portal/_mail.html", status, **context)


@blueprint.post("/messages/<key>/deletion")
def delete_message(key: str) -> Answer:
    hide(key, by=visitor().actor)
    endpoint, values = list_of(came_from())
    return to(endpoint, done="hidden", about=key, **values)


@blueprint.post("/messages/<key>/undoing")
def undo_delete(key: str) -> Answer:
    show_again(key, by=visitor().actor)
    return to("portal.message", key=key, done="shown-again", **came_from())
