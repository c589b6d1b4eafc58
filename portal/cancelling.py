"""Taking a request back, and the pages of what was requested."""

from collections.abc import Callable
from typing import Any

from flask import render_template, request, url_for

from portal import blueprint
from practice.appointments import appointment_of, cancel_appointment
from practice.appointments import can_cancel as can_cancel_appointment
from practice.db import db
from practice.errors import NotVisible, Stale
from practice.requests import place_of_request
from practice.results import can_cancel as can_cancel_result
from practice.results import cancel_result, result_of
from practice.threads import Page, Thread, thread_of_patient
from web.answers import Answer, to
from web.facts import STATES
from web.forms import Form, opened
from web.gate import visitor


@blueprint.route("/messages/<key>/cancellation", methods=["GET", "POST"])
def cancel_request(key: str) -> Answer:
    """Asks once more; what is confirmed meanwhile cannot be cancelled here, and the page says so."""
    thread, asked, is_possible, cancel = _request(key)
    if request.method != "POST":
        return _page(thread, asked, opened(Form), is_possible)
    form = Form()
    try:
        cancel(key, form_key=form.key.data, by=visitor().actor)
        return to("portal.message", key=key, done="cancelled")
    except Stale:
        db.session.close()
        return _page(*_request(key)[:2], form, False, 409)


def _request(key: str) -> tuple[Thread, Any, bool, Callable[..., Any]]:
    thread = thread_of_patient(db.session(), key, visitor().person_id)
    if found := appointment_of(thread.id):
        return thread, found[0], can_cancel_appointment(found[0]), cancel_appointment
    if found := result_of(thread.id):
        return thread, found[0], can_cancel_result(found[0]), cancel_result
    raise NotVisible


def _page(thread: Thread, asked: Any, form: Form, is_possible: bool, status: int = 200) -> Answer:
    shown = render_template(
        "portal/cancel_request.html",
        here="portal.messages",
        thread=thread,
        state=STATES[asked.state],
        form=form,
        is_possible=is_possible,
    )
    return shown, status


def requests_page(endpoint: str, requests_of: Callable[..., Page]) -> dict[str, Any]:
    """The rows of a page of requests and the addresses of those beside it, as the address asks for them."""
    me, place = visitor().person_id, None
    for name in ("before", "after"):
        if request.args.get(name):
            place = place_of_request(request.args[name][:22], me, is_newer=name == "after")
    found = requests_of(me, place=place)
    rows = found.rows
    return {
        "requests": rows,
        "newer": url_for(endpoint, after=rows[0].Thread.key) if rows and found.has_newer else "",
        "older": url_for(endpoint, before=rows[-1].Thread.key) if rows and found.has_older else "",
    }
