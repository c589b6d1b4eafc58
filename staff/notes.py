"""Internal notes: written beside the conversation, for those who may see it on the staff side, never for the patient."""

from collections import Counter
from typing import Any

from flask import url_for
from flask_babel import lazy_gettext as _l
from wtforms import SelectMultipleField, TextAreaField

from practice import conversations, notes
from practice.conversations import BODY_MAX
from practice.db import db
from practice.errors import Invalid
from practice.threads import Opened
from staff import blueprint
from staff.inbox import kept
from staff.thread import in_pane, open_logged, shown
from web import forms
from web.answers import Answer, notice, to
from web.formats import full_name
from web.forms import AtMost, Filled, Form, tidy
from web.gate import drafts_to, visitor


class NoteForm(Form):
    body = TextAreaField(
        _l("Internal note"),
        [Filled(_l("Write your note.")), AtMost(BODY_MAX, _l("Use at most 20,000 characters."))],
        filters=[tidy],
        render_kw={"data-focus": ""},
    )
    mentions = SelectMultipleField(_l("Meant for"), choices=[], validate_choice=False)


@blueprint.get("/messages/<key>/notes/new")
def new_note(key: str) -> Answer:
    return _page(open_logged(key), forms.opened(NoteForm, about=url_for("staff.new_note", key=key)))


@blueprint.post("/messages/<key>/notes")
@drafts_to("staff.new_note")
def add_note(key: str) -> Answer:
    form = NoteForm()
    if form.validate_on_submit():
        try:
            notes.add_note(
                key,
                body=form.body.data,
                mentions=form.mentions.data or [],
                form_key=form.key.data,
                by=visitor().actor,
            )
            return to("staff.message", key=key, done="noted", **kept())
        except Invalid as error:
            form.put(error)
    return _page(open_logged(key), form, 422)


def _page(found: Opened, form: Form, status: int = 200) -> Answer:
    form.mentions.choices = _choices(conversations.colleagues_with(db.session(), found.head, visitor().person_id))
    context = shown(found) | {"form": form}
    said = notice() if status == 200 else None
    return in_pane("staff/_noting.html", "staff/noting.html", status, context, notice=said)


def _choices(colleagues: list[Any]) -> list[tuple[str, str]]:
    """Namesakes are told apart by their logins."""
    names = [full_name(one) for one in colleagues]
    doubled = Counter(names)
    pairs = zip(colleagues, names, strict=True)
    return [(one.key, f"{name} ({one.login})" if doubled[name] > 1 else name) for one, name in pairs]
