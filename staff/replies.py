"""Respond: the pane's writing mode, stopped when somebody wrote meanwhile; its draft; Undo of what was just sent."""

from functools import partial
from typing import Any

from flask import request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import HiddenField, SelectField, TextAreaField

from practice import canned_replies, conversations
from practice.conversations import BODY_MAX
from practice.db import db, new_key, now
from practice.drafts import draft_about, save_draft
from practice.errors import Invalid, Recalled, Stale
from practice.placeholders import filled, letter_names, unfilled_in
from practice.threads import Opened
from staff import blueprint
from staff.box import my_box
from staff.inbox import kept
from staff.thread import canned_for, in_pane, open_logged, pane, shown
from web import forms
from web.answers import Answer, notice, to
from web.drafts import keep_form, page_at
from web.formats import day
from web.forms import AtMost, Filled, Form, tidy
from web.gate import drafts_to, says_form_page, visitor

# The pages whose forms have drafts.
WITH_DRAFTS = ("staff.respond", "staff.new_message", "staff.new_request", "staff.new_note", "staff.request_step")


class ReplyForm(Form):
    seen = HiddenField()
    communicator = SelectField(_l("From"), choices=[], validate_choice=False)
    canned = SelectField(_l("Canned reply"), choices=[], validate_choice=False)
    body = TextAreaField(
        _l("Your reply"),
        [Filled(_l("Write your reply.")), AtMost(BODY_MAX, _l("Use at most 20,000 characters."))],
        filters=[tidy],
        render_kw={"data-focus": ""},  # whoever presses Respond writes; errors and a newer message stand before it and win
    )


@blueprint.get("/messages/<key>/reply")
def respond(key: str) -> Answer:
    found = open_logged(key)
    form = forms.opened(ReplyForm, about=url_for("staff.respond", key=key), seen=found.last_id)
    if not str(form.seen.data or "").isdigit():
        form.seen.data = found.last_id
    named = request.args.get("canned", "")
    if not named or "draft" in request.args:  # the draft that the address names has the text already
        return writer(found, form)
    return _with_canned(found, form, named)


@blueprint.post("/messages/<key>/reply")
def insert_canned(key: str) -> Answer:
    """*Insert*: the chosen text after what is written already."""
    found, form = open_logged(key), ReplyForm()
    form.validate()  # says of a draft that was saved elsewhere; what is written need not be finished
    form.body.errors = []
    return _with_canned(found, form, form.canned.data or "", is_unsaved=True)


def _with_canned(found: Opened, form: Form, named: str, *, is_unsaved: bool = False) -> Answer:
    """The writing mode with the canned reply in the form; where it is gone meanwhile, or fits no more, with words of that."""
    me, head = visitor().person_id, found.head
    form.canned.data = ""
    if not named and is_unsaved:
        form.put(Invalid("canned", _("Choose a canned reply first.")))
        return writer(found, form, 422, is_unsaved=is_unsaved)
    body = canned_replies.body_of(named[:22], me, [m.id for m in my_box().mine_of(head.audience_id)])
    if body is None:
        form.put(
            Invalid("canned", _("This canned reply is not there any more, or not for this conversation. Your text is kept."))
        )
        return writer(found, form, 409, is_unsaved=is_unsaved)
    patient, myself = letter_names(db.session(), head.patient_id, me)
    values = {"patient": patient, "me": myself, "date": day(head.due_at) if head.due_at else ""}
    written, text = (form.body.data or "").rstrip(), filled(body, values)
    if is_unsaved or text not in written:  # a page that is loaded again does not say it twice
        form.body.data = f"{written}\n\n{text}" if written else text
    return writer(found, form, is_unsaved=is_unsaved)


@blueprint.post("/messages/<key>/replies")
@drafts_to("staff.respond")
def send_reply(key: str) -> Answer:
    form = ReplyForm()
    if not form.validate_on_submit():
        return writer(open_logged(key), form, 422)
    try:
        conversations.answer(
            key,
            body=form.body.data,
            form_key=form.key.data,
            seen=seen_in(form),
            communicator=form.communicator.data or None,
            by=visitor().actor,
        )
    except Invalid as error:
        form.put(error)
        return writer(open_logged(key), form, 422)
    except Stale as stale:
        return _stopped(key, form, is_recalled=isinstance(stale, Recalled))
    return to("staff.message", key=key, done="answered", **kept())


@blueprint.post("/messages/<key>/answers/<message>/recall")
def undo_send(key: str, message: str) -> Answer:
    """Undo: the text is a draft again, and its form opens."""
    reply, first = pages = (url_for("staff.respond", key=key), url_for("staff.new_message"))
    try:
        is_start, draft = conversations.recall(key, message=message, pages=pages, by=visitor().actor)
    except Stale:
        found = open_logged(key)
        return pane(found, 409, refusal=_("Too late for Undo: the patient has it. What was sent stays."))
    draft = draft or draft_about(visitor().person_id, first if is_start else reply)  # pressed twice
    named: dict[str, Any] = {"done": "recalled"} | ({"draft": draft} if draft else {})
    return to("staff.new_message", **named) if is_start else to("staff.respond", key=key, **named, **kept())


@blueprint.post("/drafts/<key>")
@says_form_page
def keep_draft(key: str) -> Answer:
    """A draft of an answer moves the author's own claim on."""
    me = visitor()
    page, named = page_at(request.form.get("about", ""))
    if page == "staff.respond":
        keep = partial(conversations.keep_reply, named["key"], by=me.actor)
    else:
        keep = partial(save_draft, me.person_id, by=me.actor)

    def then(done: str, draft: str) -> Answer:
        if done == "draft-sent":
            return to("staff.sent_items", done=done)
        if "attach" in request.form:
            return to("staff.draft_files", key=draft, **({"done": done} if done == "draft-beside" else {}))
        return to(page, **named, draft=draft, **({"done": done} if done else {}))

    return keep_form(key, pages=WITH_DRAFTS, keep=keep, then=then)


def _stopped(key: str, form: ReplyForm, *, is_recalled: bool) -> Answer:
    """Somebody wrote after what was read, or took it back: their words are shown, ours are kept, and *Send* works after
    reading."""
    found = open_logged(key)
    before = seen_in(form)
    newer = [m for m in found.messages if m.id > before or m.sent_at > now()]
    form.seen.data = found.last_id
    if is_recalled:  # the form's own key may be the one that was sent and taken back
        form.key.data, form.draft_version = new_key(), 0
    return writer(found, form, 409, newer_messages=newer, is_recalled=is_recalled)


def seen_in(form: Any) -> int:
    """Up to which message its author had read; 0 for nonsense."""
    seen = form.seen.data or ""
    return int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 18 else 0


def writer(found: Opened, form: Form, status: int = 200, **more: Any) -> tuple[str, int]:
    mine = my_box().mine_of(found.head.audience_id)
    form.communicator.choices = [(m.key, m.title) for m in mine]
    canned = canned_for(found)
    form.canned.choices = [("", _("Choose")), *((one.key, one.title) for one in canned)]
    left = [] if form.body.errors else unfilled_in(db.session(), form.body.data or "", found.head.patient_id, visitor().person_id)
    context = shown(found) | {"form": form, "mine": mine, "newer_messages": [], "canned": canned, "left": left} | more
    said = notice() if status == 200 else None
    return in_pane("staff/_writing.html", "staff/writing.html", status, context, notice=said)
