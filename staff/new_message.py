"""New Message: find the patient, then write from one of one's own communicators."""

from datetime import date
from typing import Any

import sqlalchemy as sa
from flask import render_template, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import DateField, HiddenField, SelectField, StringField, TextAreaField
from wtforms.validators import Optional

from practice import conversations, sessions
from practice.conversations import BODY_MAX, TITLE_MAX
from practice.db import db, new_key
from practice.errors import Invalid, Recalled
from practice.patient_search import PatientSearch, patient_keys, patients_with, values_of
from practice.people import Patient, Person
from staff import blueprint
from staff.box import keeps_records, my_box, unread
from staff.inbox import admins
from web import forms
from web.answers import Answer, notice, to
from web.forms import AtMost, Filled, Form, tidy
from web.gate import visitor

MOST_FOUND = 25


class FindForm(Form):
    name = StringField(_l("Name (Last, First)"), filters=[tidy])
    dob = DateField(_l("DOB"), [Optional()])
    record_number = StringField(_l("Record number"), filters=[tidy])


class MessageForm(Form):
    patient = HiddenField()
    communicator = SelectField(_l("From"), [Filled(_l("Choose a communicator."))], choices=[], validate_choice=False)
    title = StringField(
        _l("Title"), [Filled(_l("Write a title.")), AtMost(TITLE_MAX, _l("Use at most 120 characters."))], filters=[tidy]
    )
    body = TextAreaField(
        _l("Message"),
        [Filled(_l("Write your message.")), AtMost(BODY_MAX, _l("Use at most 20,000 characters."))],
        filters=[tidy],
    )


@blueprint.get("/messages/new")
def new_message() -> Answer:
    """First the search; with a patient chosen (or a kept draft) the form."""
    form = forms.opened(MessageForm, patient=request.args.get("patient", "")[:22])
    return _page(form, *sought())


@blueprint.post("/messages/new")
def send_message() -> Answer:
    form = MessageForm()
    if not form.validate_on_submit():
        return _page(form, FindForm(formdata=None), None, 422)
    try:
        sent = conversations.start(
            form.patient.data or "",
            communicator=form.communicator.data or "",
            title=form.title.data,
            body=form.body.data,
            form_key=form.key.data,
            by=visitor().actor,
        )
    except Invalid as error:
        form.put(error)
        return _page(form, FindForm(formdata=None), None, 422)
    except Recalled:
        form.key.data, form.draft_version = new_key(), 0
        form.form_errors.append(_("This message was taken back with Undo. If you want it sent after all, press Send again."))
        return _page(form, FindForm(formdata=None), None, 409)
    return to("staff.message", key=sent.thread_key, which="sent", done="sent")


def sought() -> tuple[FindForm, list[Any] | None]:
    """The search as it was filled in, and whom it found; None when nobody was searched for."""
    values = sessions.kept_filter(visitor(), request.args.get("filter", ""))
    find = FindForm(formdata=None)
    find.name.data, find.record_number.data = values.get("name", ""), values.get("record_number", "")
    return find, _find(values) if values else None


@blueprint.post("/patients/searches")
def find_patient() -> Answer:
    form = FindForm()
    key = searched(form)
    return to("staff.new_message", filter=key) if key else _page(MessageForm(formdata=None), form, None, 422)


def searched(form: FindForm) -> str:
    """Keeps with the session who is looked for, so that names and birth dates stay out of addresses; answers its key there.
    Nothing where the form cannot be taken, which then says why."""
    is_valid = form.validate_on_submit()
    if is_valid and not (form.name.data or form.dob.data or form.record_number.data):
        form.put(Invalid("name", _("Write a name, a date of birth or a record number.")))
        is_valid = False
    if not is_valid:
        return ""
    values = {
        "name": form.name.data or "",
        "dob": form.dob.data.isoformat() if form.dob.data else "",
        "record_number": form.record_number.data or "",
    }
    return sessions.keep_filter(visitor(), values)


def _page(form: Form, find: Form, found: list[Any] | None, status: int = 200) -> tuple[str, int]:
    box = my_box()
    form.communicator.choices = [(m.key, m.title) for m in box.mine if m.is_in_use]
    context = {
        "here": "staff.new_message",
        "box": box,
        "unread": unread(),
        "form": form,
        "find": find,
        "found": found,
        "most": MOST_FOUND,
        "patient": patient_with(form.patient.data or "", box.own_patient),
        "here_after": "staff.new_message",
        "admins": [] if box.mine else admins(),
        "keeps_records": keeps_records(),
        "notice": notice() if status == 200 else None,
    }
    return render_template("staff/new_message.html", **context), status


_PATIENTS = sa.select(
    Person.key, Person.last_name, Person.first_name, Person.status, Patient.id, Patient.dob, Patient.record_number
).select_from(Patient)  # fmt: skip


def patient_with(key: str, own: int) -> Any:
    """Names, status, id, birth date and record number of the patient with this key; None for oneself and who is not there."""
    found = _PATIENTS.join(Person, Person.id == Patient.id).where(Person.key == key, Person.id != own)
    return db.session.execute(found).first() if key else None


def _find(values: dict[str, str]) -> list[Any]:
    """At most 25 patients who fit all that was given, by name; never oneself."""
    dob = date.fromisoformat(values["dob"]) if values.get("dob") else None
    said = PatientSearch(last=values.get("name", ""), dob=dob, record_number=values.get("record_number", ""))
    sought = patient_keys(said)
    if not sought:
        return []
    found = patients_with(_PATIENTS, sought).where(Person.id != my_box().own_patient)
    return list(db.session.execute(found.order_by(Person.name_key, Person.id).limit(MOST_FOUND + 1), values_of(sought)))
