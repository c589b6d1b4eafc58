"""Open with a reason (break-glass): the words of an envelope for one admin and one hour, logged and shown to all admins."""

from typing import Any

from flask import request
from wtforms import TextAreaField

from admin import blueprint
from admin.trays import around, kept_place
from practice import threads, trays
from practice.db import new_key
from practice.errors import Invalid
from practice.notes import notes_of
from practice.threads import NEWEST, ThreadState
from practice.trays import REASON_MAX, OpenedWithReason
from web import attached
from web.answers import Answer, page, to
from web.facts import event_words, facts_of
from web.formats import gettext as _
from web.formats import lazy_gettext as _l
from web.forms import AtMost, Filled, Form, is_key, must_be_key, opened, tidy
from web.gate import drafts_to, visitor
from web.looks import note_look


class ReasonForm(Form):
    reason = TextAreaField(
        _l("Reason"),
        [Filled(_l("Write why you must read it.")), AtMost(REASON_MAX, _l("Use at most 500 characters."))],
        filters=[tidy],
    )


@blueprint.get("/threads/<key>/opening")
def opening(key: str) -> Answer:
    return asked(envelope(key), opened(ReasonForm))


@blueprint.post("/threads/<key>/opening")
@drafts_to("admin.opening")
def open_with_reason(key: str) -> Answer:
    must_be_key(key)
    form = ReasonForm()
    if form.validate_on_submit():
        form_key = form.key.data if is_key(form.key.data) else new_key()
        try:
            trays.open_with_reason(key, reason=form.reason.data, form_key=form_key, by=visitor().actor)
            return to("admin.opened_thread", key=key)
        except Invalid as error:
            form.put(error)
            form.key.data = new_key()
    return asked(envelope(key), form, 422)


def envelope(key: str) -> Any:
    must_be_key(key)
    return trays.envelope(key, visitor().own_patient_id)


def asked(row: Any, form: Form, status: int = 200) -> Answer:
    return page("admin/opening.html", "admin/_opening.html", status, row=row, form=form)


@blueprint.get("/threads/<key>")
def opened_thread(key: str) -> Answer:
    """The whole thread, read only, while this admin's opening lasts; the look is written down first."""
    found = look_at(key)
    head = found.thread.head
    note_look(head.id)
    return page(
        "admin/opened_thread.html",
        "admin/_opened_thread.html",
        opening=found,
        thread=found.thread,
        head=head,
        facts=facts_of(found.thread),
        notes=notes_of(head.id),
        event_words=event_words,
        state=state_words(head),
    )


@blueprint.get("/threads/<key>/files/<file>")
def file(key: str, file: str) -> Answer:
    """A file of it, on the same terms."""
    must_be_key(key)
    head = trays.opened_with_reason(key, visitor().person_id).thread.head
    found = threads.file_of_thread(head.id, file, is_for_patient=True)
    note_look(head.id)
    return attached.sent(found)


def look_at(key: str) -> OpenedWithReason:
    must_be_key(key)
    earlier = request.args.get("earlier", "")
    before = threads.message_in(key, earlier) if is_key(earlier) else NEWEST
    return trays.opened_with_reason(key, visitor().person_id, before=before)


def state_words(head: Any) -> str:
    states = {ThreadState.WAITING: _("Waiting"), ThreadState.ANSWERED: _("Answered"), ThreadState.CLOSED: _("Closed")}
    return states[head.state]


@blueprint.get("/openings")
def openings() -> Answer:
    place = None
    for name, key in kept_place().items():
        place = trays.place_of_opening(key, is_newer=name == "after")
    found = trays.openings(place)
    return page("admin/openings.html", "admin/_openings.html", rows=found.rows, **around("admin.openings", found))
