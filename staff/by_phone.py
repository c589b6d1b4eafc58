"""Enter a request for a patient: what is said on the phone goes the same way as what the patient sends."""

from collections.abc import Mapping
from typing import Any

from flask import g, render_template, request, url_for

from practice import appointments, conversations, results
from practice.conversations import Sent
from practice.db import db
from practice.drafts import draft_about, draft_values
from practice.errors import Invalid, NotVisible
from practice.settings import RequestType
from staff import blueprint
from staff.box import my_box, unread
from staff.inbox import admins
from staff.new_message import MOST_FOUND, FindForm, patient_with, searched, sought
from staff.thread import opened
from web import forms
from web.answers import Answer, notice, to
from web.formats import WORD_OF, today
from web.forms import Form
from web.gate import visitor
from web.requests import AppointmentForm, MessageForm, ResultForm

FORMS: dict[RequestType, type[Form]] = {
    RequestType.APPOINTMENT: AppointmentForm,
    RequestType.RESULT: ResultForm,
    RequestType.OTHERS: MessageForm,
}

SAID = ("patient", "type")  # what the form says beside the patient's own fields


@blueprint.get("/requests/new")
def new_request() -> Answer:
    """First the search, then the type, then the patient's own form. What was begun for this patient opens again."""
    about = url_for("staff.new_request")
    begun = _begun(request.args.get("draft", "") or draft_about(visitor().person_id, about))
    if "draft" not in request.args and any(begun.get(name) != request.args.get(name) for name in SAID):
        begun, about = {}, ""  # for another patient, or of another type
    said = begun or request.args
    kind = _kind(said.get("type", ""))
    return _page(said.get("patient", ""), kind, forms.opened(FORMS[kind], about=about) if kind else None)


def _begun(draft: str) -> Mapping[str, str]:
    """For whom a draft of mine was begun and of which type: only the draft itself says so."""
    values = draft_values(visitor().person_id, draft) or {}
    return {name: values[name][0] for name in SAID if values.get(name)}


@blueprint.post("/requests/patients")
def find_caller() -> Answer:
    form = FindForm()
    key = searched(form)
    return to("staff.new_request", filter=key) if key else _page("", None, None, 422, find=form)


@blueprint.post("/requests/new")
def take_request() -> Answer:
    kind, key = _kind(request.form.get("type", "")), request.form.get("patient", "")
    patient = patient_with(key[:22].replace("\0", ""), my_box().own_patient)
    if kind is None or patient is None:
        raise NotVisible
    form = FORMS[kind]()
    if not form.validate_on_submit():
        return _page(key, kind, form, 422)
    try:
        sent = _ask(kind, patient.id, form)
    except Invalid as error:
        form.put(error)
        if isinstance(form, MessageForm):
            form.offer()
        return _page(key, kind, form, 422)
    return to("staff.message", key=sent.thread_key, done="taken") if _is_mine(sent) else to("staff.new_request", done="taken")


def _kind(said: str) -> RequestType | None:
    return RequestType(said) if said in FORMS else None


def _ask(kind: RequestType, patient: int, form: Any) -> Sent:
    common: dict[str, Any] = {"form_key": form.key.data, "by": visitor().actor}
    if kind == RequestType.APPOINTMENT:
        return appointments.request_appointment(patient, form.wish(), today=today(), **common)
    if kind == RequestType.RESULT:
        return results.request_result(patient, form.order(), today=today(), **common)
    words = {"title": form.title.data, "body": form.body.data, "to": form.to.data or None}
    return conversations.send(patient, kind=kind, **words, **common)


def _is_mine(sent: Sent) -> bool:
    """Whether whoever took it is in charge of it too: its audience may be a new one."""
    db.session.close()
    g.pop("box", None)
    try:
        opened(sent.thread_key)
    except NotVisible:
        return False
    return True


def _page(key: str, kind: RequestType | None, form: Any, status: int = 200, *, find: Any = None) -> tuple[str, int]:
    box = my_box()
    find, found = (find, None) if find else sought()
    context = {
        "here": "staff.new_request",
        "here_after": "staff.new_request",
        "box": box,
        "unread": unread(),
        "patient": patient_with(key[:22].replace("\0", ""), box.own_patient),
        "kind": kind,
        "kinds": {one: WORD_OF[one] for one in FORMS},
        "form": form,
        "find": find,
        "found": found,
        "most": MOST_FOUND,
        "today": today(),
        "notice": notice(),
        "admins": [] if box.mine else admins(),
    }
    return render_template("staff/new_request.html", **context), status
