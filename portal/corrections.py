"""The statement of disagreement with what was denied of an amendment."""

from flask import render_template, request
from wtforms import TextAreaField

from portal import blueprint
from portal.fields import must_warn
from practice import amendments
from practice.amendments import WORDS_MAX, Amendment
from practice.db import db
from practice.errors import Invalid, NotVisible, Stale
from practice.requests import RequestVerb
from practice.threads import Thread, thread_of_patient
from web.answers import Answer, to
from web.facts import denial_facts, wanted_facts
from web.formats import gettext as _
from web.formats import lazy_gettext as _l
from web.forms import AtMost, Filled, Form, opened, tidy
from web.gate import visitor


class DisagreeForm(Form):
    statement = TextAreaField(
        _l("Your statement"),
        [Filled(_l("Write why you disagree.")), AtMost(WORDS_MAX, _l("Use at most 5,000 characters."))],
        filters=[tidy],
    )


@blueprint.route("/messages/<key>/disagreement", methods=["GET", "POST"])
def disagree(key: str) -> Answer:
    thread, asked = _denied(key)
    if request.method != "POST":
        return _page(thread, asked, opened(DisagreeForm))
    form = DisagreeForm()
    if not form.validate_on_submit() or must_warn(form, form.statement.data):
        return _page(thread, asked, form, 422)
    statement = form.statement.data
    try:
        body = f"{_('Statement of disagreement')}\n\n{statement}"
        amendments.disagree(key, statement=statement, body=body, form_key=form.key.data, by=visitor().actor)
    except Invalid as error:
        form.put(error)
        return _page(thread, asked, form, 422)
    except Stale:
        db.session.close()
        return _page(*_denied(key), form, 409)
    return to("portal.message", key=key, done="sent")


def _denied(key: str) -> tuple[Thread, Amendment]:
    thread = thread_of_patient(db.session(), key, visitor().person_id)
    asked = amendments.amendment_of(thread.id)
    if asked is None:
        raise NotVisible
    return thread, asked


def _page(thread: Thread, asked: Amendment, form: Form, status: int = 200) -> Answer:
    shown = render_template(
        "portal/disagree.html",
        here="portal.messages",
        thread=thread,
        asked=asked,
        is_possible=amendments.can(asked, RequestVerb.DISAGREE),
        facts=wanted_facts(asked) + denial_facts(asked),
        form=form,
    )
    return shown, status
