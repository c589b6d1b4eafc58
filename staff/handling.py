"""Who handles the open message: handed over to a colleague, transferred to another communicator, closed as a duplicate."""

from typing import Any

from flask import request
from wtforms import HiddenField, RadioField, SelectField, StringField, TextAreaField
from wtforms.validators import Optional

from practice import conversations, threads
from practice.conversations import REASON_MAX
from practice.db import db
from practice.errors import Invalid, NotVisible, Stale
from practice.threads import Opened, reference_of, thread_with_reference
from staff import blueprint
from staff.box import my_box
from staff.inbox import kept
from staff.thread import in_pane, kept_of_in_box, lost_race, open_logged, opened, shown
from web.answers import Answer, to
from web.asked import version_in
from web.formats import day, gettext, thread_title, type_name
from web.formats import lazy_gettext as _l
from web.forms import AtMost, Filled, Form, tidy
from web.gate import visitor


class TransferForm(Form):
    version = HiddenField()
    communicator = SelectField(
        _l("To"), [Filled(_l("Choose a communicator."))], choices=[], validate_choice=False, render_kw={"data-focus": ""}
    )
    reason = TextAreaField(
        _l("Reason"),
        [Filled(_l("Write why.")), AtMost(REASON_MAX, _l("Use at most 500 characters."))],
        filters=[tidy],
    )


class DuplicateForm(Form):
    version = HiddenField()
    of = RadioField(_l("The conversation that goes on"), [Optional()], choices=[], validate_choice=False)
    reference = StringField(_l("Or its reference number"), filters=[tidy])


@blueprint.get("/messages/<key>/colleagues")
def colleagues(key: str) -> Answer:
    """Whom it can be handed over to: those who have it too and are there."""
    return _choosing_colleague(open_logged(key))


@blueprint.post("/messages/<key>/colleagues")
def hand_over(key: str) -> Answer:
    try:
        conversations.entrust(key, to=request.form.get("to", "")[:22], version=_version(), by=visitor().actor)
    except Invalid as error:
        return _choosing_colleague(open_logged(key), 422, refusal=gettext(error.text))
    except Stale:
        return lost_race(key)
    return to("staff.message", key=key, done="entrusted", **kept())


@blueprint.get("/messages/<key>/transfer")
def transfer(key: str) -> Answer:
    found = open_logged(key)
    return _choosing_communicator(found, TransferForm(formdata=None, version=found.head.version))


@blueprint.post("/messages/<key>/transfers")
def send_transfer(key: str) -> Answer:
    form = TransferForm()
    if not form.validate_on_submit():
        return _choosing_communicator(open_logged(key), form, 422)
    try:
        conversations.transfer(
            key, communicator=form.communicator.data, reason=form.reason.data, version=_version(), by=visitor().actor
        )
    except Invalid as error:
        form.put(error)
        return _choosing_communicator(open_logged(key), form, 422)
    except Stale:
        return lost_race(key)
    try:
        opened(key)
    except NotVisible:  # whoever is not in charge where it went sees it no more
        return to("staff.inbox", done="transferred", **kept_of_in_box())
    return to("staff.message", key=key, done="transferred", **kept())


@blueprint.get("/messages/<key>/duplicate")
def duplicate(key: str) -> Answer:
    found = open_logged(key)
    return _choosing_conversation(found, DuplicateForm(formdata=None, version=found.head.version))


@blueprint.post("/messages/<key>/duplicates")
def close_as_duplicate(key: str) -> Answer:
    form = DuplicateForm()
    try:
        of = form.of.data or threads.key_of(thread_with_reference(form.reference.data or ""))
        conversations.close_as_duplicate(key, of=of, version=_version(), by=visitor().actor)
    except Invalid as error:
        form.put(error)
        return _choosing_conversation(open_logged(key), form, 422)
    except Stale:
        return lost_race(key)
    return to("staff.message", key=key, done="duplicate", **kept())


def _version() -> int:
    return version_in(request.form.get("version"))


def _choosing_colleague(found: Opened, status: int = 200, **more: Any) -> Answer:
    everybody = conversations.colleagues_with(db.session(), found.head, visitor().person_id)
    colleagues = [one for one in everybody if one.is_present]
    return _pane("staff/_hand_over.html", found, status, colleagues=colleagues, **more)


def _choosing_communicator(found: Opened, form: Form, status: int = 200) -> Answer:
    rows = conversations.destinations_of(found.head)
    form.communicator.choices = [("", ""), *((row.key, f"{row.title} ({type_name(row.type)})") for row in rows)]
    return _pane("staff/_transfer.html", found, status, form=form)


def _choosing_conversation(found: Opened, form: Form, status: int = 200) -> Answer:
    rows = threads.others_of_patient(found.head, my_box().audiences)
    form.of.choices = [(r.key, f"{thread_title(r.title)} · {day(r.created_at)} · {reference_of(r.id)}") for r in rows]
    return _pane("staff/_duplicate.html", found, status, form=form)


def _pane(fragment: str, found: Opened, status: int, **more: Any) -> Answer:
    return in_pane(fragment, "staff/handling.html", status, shown(found) | more, notice=None, pane=fragment)
