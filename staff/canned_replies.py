"""Canned replies: a person's own and those of their communicators, kept on a page of their own; used in staff/replies.py."""

from typing import Any

from flask import render_template, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import HiddenField, SelectField, StringField, TextAreaField

from practice import canned_replies as canned
from practice.canned_replies import TITLE_MAX
from practice.conversations import BODY_MAX
from practice.db import db
from practice.errors import Invalid, Stale
from staff import blueprint
from staff.box import my_box, unread
from web import forms
from web.answers import Answer, notice, to
from web.asked import version_in
from web.forms import AtMost, Filled, Form, tidy
from web.gate import drafts_to, visitor


class CannedReplyForm(Form):
    title = StringField(
        _l("Title"), [Filled(_l("Write a title.")), AtMost(TITLE_MAX, _l("Use at most 80 characters."))], filters=[tidy]
    )
    communicator = SelectField(_l("For"), choices=[], validate_choice=False)
    body = TextAreaField(
        _l("Text"), [Filled(_l("Write the text.")), AtMost(BODY_MAX, _l("Use at most 20,000 characters."))], filters=[tidy]
    )
    version = HiddenField()


@blueprint.get("/canned-replies")
def canned_replies() -> Answer:
    rows = canned.canned_replies(visitor().person_id)
    return render_template("staff/canned_replies.html", rows=rows, beginning=canned.BEGINNING, notice=notice(), **_box_words())


@blueprint.get("/canned-replies/new")
def new_canned_reply() -> Answer:
    return _page(forms.opened(CannedReplyForm))


@blueprint.post("/canned-replies")
@drafts_to("staff.new_canned_reply")
def add_canned_reply() -> Answer:
    form = CannedReplyForm()
    if form.validate_on_submit():
        try:
            canned.add_canned_reply(
                title=form.title.data,
                body=form.body.data,
                communicator=form.communicator.data or None,
                form_key=form.key.data,
                by=visitor().actor,
            )
            return to("staff.canned_replies", done="saved")
        except Invalid as error:
            form.put(error)
    return _page(form, status=422)


@blueprint.get("/canned-replies/<key>")
def canned_reply(key: str) -> Answer:
    one = canned.canned_reply(key, visitor().person_id)
    return _page(forms.opened(CannedReplyForm, title=one.title, body=one.body, version=one.version), one)


@blueprint.post("/canned-replies/<key>")
def change_canned_reply(key: str) -> Answer:
    one, form, me = canned.canned_reply(key, visitor().person_id), CannedReplyForm(), visitor()
    if not form.validate_on_submit():
        return _page(form, one, 422)
    values = {"title": form.title.data, "body": form.body.data, "version": version_in(form.version.data)}
    try:
        canned.change_canned_reply(key, **values, form_key=form.key.data, by=me.actor)
    except Invalid as error:
        form.put(error)
        return _page(form, one, 422)
    except Stale:
        return _overtaken(key, form)
    return to("staff.canned_replies", done="saved")


@blueprint.post("/canned-replies/<key>/removal")
def delete_canned_reply(key: str) -> Answer:
    try:
        canned.delete_canned_reply(key, version=version_in(request.form.get("version")), by=visitor().actor)
    except Stale:
        return _overtaken(key, None)
    return to("staff.canned_replies", done="discarded")


def _overtaken(key: str, form: Form | None) -> Answer:
    """409 with what is saved now; *Save* puts what is in the form in its place. None: it was to be deleted."""
    db.session.close()
    one = canned.canned_reply(key, visitor().person_id)
    is_to_save = form is not None
    if form is None:
        form = CannedReplyForm(formdata=None, title=one.title, body=one.body)
    form.version.data = one.version
    return _page(form, one, 409, is_to_save=is_to_save)


def _page(form: Form, one: Any = None, status: int = 200, **more: Any) -> Answer:
    """`one`: the canned reply that is changed; None for a new one."""
    form.communicator.choices = [("", _("Only me")), *((m.key, m.title) for m in my_box().mine)]
    return render_template("staff/canned_reply.html", form=form, one=one, status=status, **_box_words(), **more), status


def _box_words() -> dict[str, Any]:
    return {"here": "staff.canned_replies", "box": my_box(), "unread": unread()}
