"""The open message: read, received, closed, deleted, restored."""

from collections.abc import Callable
from typing import Any

from flask import make_response, render_template, request, url_for
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from practice import canned_replies, conversations, threads
from practice.db import now
from practice.errors import NotAllowed, Stale
from practice.notes import notes_of
from practice.requests import RequestVerb
from practice.threads import NEWEST, Event, Opened, opened_by_staff, way_of
from staff import blueprint
from staff.box import my_box, unread
from staff.inbox import beside, kept, listed, row_words, which_list
from web.answers import Answer, is_htmx, notice, to
from web.asked import version_in
from web.facts import Asked, asked_of, event_words
from web.formats import day, full_name, stamp
from web.formats import gettext as _
from web.gate import visitor
from web.letters import letter_of
from web.looks import note_look

STEP_LABELS = {
    RequestVerb.CONFIRM: (_l("Confirm appointment"), "check-lg"),
    RequestVerb.PROPOSE: (_l("Propose times"), "clock"),
    RequestVerb.TAKE_BACK: (_l("Take times back"), "arrow-counterclockwise"),
    RequestVerb.CHANGE: (_l("Change appointment"), "pencil"),
    RequestVerb.PREPARE: (_l("In preparation"), "hourglass-split"),
    RequestVerb.MAKE_READY: (_l("Ready for pick-up"), "check-lg"),
    RequestVerb.PICK_UP: (_l("Picked up"), "person-check"),
    RequestVerb.SEND: (_l("Sent"), "send"),
    RequestVerb.DECLINE: (_l("Decline"), "x-octagon-fill"),
    RequestVerb.CANCEL: (_l("Cancel the request"), "x-lg"),
    RequestVerb.REVIEW: (_l("In review"), "hourglass-split"),
    RequestVerb.ASK: (_l("Ask for information"), "pencil"),
    RequestVerb.ACCEPT: (_l("Accept"), "check-lg"),
    RequestVerb.ACCEPT_IN_PART: (_l("Accept in part"), "check-circle-fill"),
    RequestVerb.DENY: (_l("Deny"), "x-octagon-fill"),
    RequestVerb.EXTEND: (_l("Extend by 30 days"), "clock"),
    RequestVerb.COMPLETE: (_l("Completed"), "check-lg"),
    RequestVerb.REBUT: (_l("Rebuttal"), "pencil"),
}
"""The buttons of a request's next states."""


@blueprint.get("/messages/<key>")
def message(key: str) -> Answer:
    return pane(open_logged(key))


@blueprint.get("/messages/<key>/next")
def next_message(key: str) -> Answer:
    return _neighbour(key, is_newer=False)


@blueprint.get("/messages/<key>/previous")
def previous_message(key: str) -> Answer:
    return _neighbour(key, is_newer=True)


@blueprint.get("/messages/<key>/letters/<message>")
def letter(key: str, message: str) -> str:
    return render_template("staff/letter.html", box=my_box(), unread=unread(), **letter_of(open_logged(key), message))


def _neighbour(key: str, *, is_newer: bool) -> Answer:
    """The message after or before this one in the list, without going back to it."""
    opened(key)
    found, there = beside(key, is_newer=is_newer)
    if found is None or there != kept() or not is_htmx():
        return to("staff.message", key=found or key, **there | ({} if found else {"done": "end-of-list"}))
    answer = make_response(pane(open_logged(found)))
    answer.headers["HX-Push-Url"] = url_for("staff.message", key=found, **there)
    return answer


@blueprint.post("/messages/<key>/receipts")
def receive(key: str) -> Answer:
    return _act(key, conversations.receive, "received")


@blueprint.post("/messages/<key>/closing")
def close(key: str) -> Answer:
    return _act(key, conversations.close, "closed")


@blueprint.post("/messages/<key>/claim")
def claim(key: str) -> Answer:
    return _act(key, conversations.claim, "claimed")


@blueprint.post("/messages/<key>/claim-release")
def release(key: str) -> Answer:
    return _act(key, conversations.release, "released")


@blueprint.post("/messages/<key>/removal")
def delete(key: str) -> Answer:
    try:
        conversations.remove(key, version=version_in(request.form.get("version")), by=visitor().actor)
    except NotAllowed as refused:
        return pane(open_logged(key), 409, refusal=_why_not(str(refused)))
    except Stale:
        return lost_race(key)
    return to("staff.inbox", done="deleted", about=key, **kept_of_in_box())


@blueprint.post("/messages/<key>/restoring")
def restore(key: str) -> Answer:
    conversations.restore(key, by=visitor().actor)
    return to("staff.inbox", done="restored", **kept_of_in_box())


def kept_of_in_box() -> dict[str, Any]:
    return {} if which_list() == "sent" else kept()


def _act(key: str, verb: Callable[..., None], done: str) -> Answer:
    try:
        verb(key, version=version_in(request.form.get("version")), by=visitor().actor)
    except Stale:
        return lost_race(key)
    if is_htmx():
        return pane(open_logged(key), is_changed=True)
    return to("staff.message", key=key, done=done, **kept())


def _why_not(reason: str) -> str:
    if reason == "unread":
        return _("Not deleted: it is unread. Press Receive first.")
    if reason == "undecided":
        return _("Not deleted: the correction is not decided yet.")
    return _("Not deleted: the patient still waits. Answer it or press Close first.")


# ---- The pane --------------------------------------------------------------------------------------------


def opened(key: str) -> Opened:
    """The thread, if one of my communicators has it. Raises NotVisible."""
    box = my_box()
    earlier = request.args.get("earlier") if request.method == "GET" else None
    place = threads.message_in(key, earlier) if earlier else NEWEST
    return opened_by_staff(key, box.audiences, box.own_patient, before=place)


def open_logged(key: str) -> Opened:
    """The same, and the look is written down before anything is shown."""
    found = opened(key)
    note_look(found.head.id)
    return found


def pane(found: Opened, status: int = 200, **more: Any) -> tuple[str, int]:
    """The pane alone for htmx; for a browser the list beside it."""
    context = shown(found) | more
    context["canned"] = [] if context["sending"] else canned_for(found)
    return in_pane("staff/_message.html", "staff/message.html", status, context, notice=notice())


def in_pane(fragment: str, template: str, status: int, context: dict[str, Any], **of_page: Any) -> tuple[str, int]:
    """A fragment of the pane, or the page that has it beside the list; `of_page`: what that page says besides."""
    if is_htmx():
        return render_template(fragment, unread=unread(), htmx=True, **context), status
    return render_template(template, **listed(which_list()) | of_page | context), status


def shown(found: Opened, asked: Asked | None = None) -> dict[str, Any]:
    """What every pane shows: reading, writing, after a lost race. `asked`: its request, where it is known already."""
    box, head = my_box(), found.head
    received = [e for e in found.events if e.did == Event.RECEIVED]
    written = [m for m in found.messages if m.is_from_patient]
    asked = asked or asked_of(found)
    return {
        **row_words(box, kept()),
        "box": box,
        "thread": found,
        "head": head,
        "receivers_of": ", ".join(box.titles_of(head.audience_id)),
        "facts": asked.facts,
        "steps": [] if threads.is_being_sent(head) else [(verb, STEP_LABELS[verb]) for verb in asked.steps],
        "notes": notes_of(head.id),
        "way": way_of(written[-1], found) if written else [],
        "received": received[-1] if received and not head.is_unread else None,
        "may": {
            "receive": threads.can_receive(head),
            "claim": threads.can_claim(head),
            "close": threads.can_close(head) and not threads.is_being_sent(head),
            "entrust": threads.can_entrust(head, visitor().person_id),
        },
        "claimer": full_name(head, "claimer_") if threads.is_claimed(head) else "",
        "state_words": _state_words(head),
        "event_words": event_words,
        "moves": [e for e in found.events if e.did == Event.TRANSFERRED],
        "duplicates": threads.duplicates_of(head, box.audiences),
        **_being_sent(found),
        "is_late": head.due_at is not None and head.due_at < now(),
    }


def canned_for(found: Opened) -> list[Any]:
    """The canned replies that fit: my own, and those of my communicators that have the thread."""
    return canned_replies.fitting(visitor().person_id, [m.id for m in my_box().mine_of(found.head.audience_id)])


def _being_sent(found: Opened) -> dict[str, Any]:
    """The answer that has not reached the patient yet, if there is one; `undo`: where its author takes it back."""
    sending = next((m for m in found.messages if m.sent_at > now()), None)
    is_mine = sending is not None and sending.author_id == visitor().person_id
    undo = url_for("staff.undo_send", key=found.head.key, message=sending.key, **kept()) if sending and is_mine else ""
    return {"sending": sending, "undo": undo}


def _state_words(head: Any) -> str:
    if head.waiting_since is None and threads.is_being_sent(head):
        return _("The answer is being sent")
    if head.waiting_since is None and head.due_at is not None:  # answered, and the decision on an amendment is owed still
        words = _("Overdue since %(day)s") if head.due_at < now() else _("Decision by %(day)s")
        return words % {"day": day(head.due_at)}
    if head.waiting_since is None:
        return _("Closed") if head.state == "closed" else _("Answered")
    days = (now() - head.waiting_since).days
    since = _("waiting since %(at)s", at=stamp(head.waiting_since))
    if days:
        since = ngettext("waiting %(num)s day", "waiting %(num)s days", days)
    if head.due_at is not None and head.due_at < now():
        return _("Overdue since %(day)s, %(since)s", day=day(head.due_at), since=since)
    return _("Answer by %(day)s, %(since)s", day=day(head.due_at), since=since) if head.due_at else since


def lost_race(key: str) -> Answer:
    """409 with the pane as it now is, naming who was faster."""
    found = open_logged(key)
    return pane(found, 409, refusal=race_words(found), is_changed=True)


def race_words(found: Opened) -> str:
    """Who was faster, and when."""
    last = next((e for e in reversed(found.events) if e.did != Event.OPENED), None)  # opening changes nothing
    newest = found.messages[-1]
    if sending := _being_sent(found)["sending"]:
        return _("Not done: an answer by %(name)s is being sent. Try again when it has arrived.", name=full_name(sending))
    if last is None or newest.sent_at > last.at:
        return _(
            "Not done: %(name)s wrote at %(at)s, before you. This is how it is now.",
            name=full_name(newest),
            at=stamp(newest.sent_at),
        )
    return _("Not done: %(name)s was faster, at %(at)s. This is how it is now.", name=full_name(last), at=stamp(last.at))
