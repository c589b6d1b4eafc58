"""My Info: the record as the practice has it, and asking for a correction. Exists in Meaningful Use mode only."""

from flask import render_template, request
from wtforms import StringField, TextAreaField

from portal import blueprint
from portal.fields import answer_by, must_be_on, must_warn
from practice.amendments import TO_MAX
from practice.amendments import request_amendment as ask
from practice.conversations import BODY_MAX
from practice.db import db
from practice.errors import Invalid
from practice.records import RecordValue, Section, record_of, value_of
from practice.settings import MenuItem, RequestType
from web.answers import Answer, page, to
from web.formats import lazy_gettext as _l
from web.forms import AtMost, Filled, Form, opened, tidy
from web.gate import visitor

SECTIONS = {
    Section.PATIENT: _l("Patient Information"),
    Section.ALLERGY: _l("Drug Allergy"),
    Section.MEDICATION: _l("Medication"),
    Section.PROBLEM: _l("Problem"),
    Section.IMMUNIZATION: _l("Immunization"),
    Section.VITALS: _l("Vital Signs"),
    Section.LAB: _l("Lab Results"),
}


class AmendmentForm(Form):
    """*From* is not in it: the server reads it from the record."""

    to = StringField(
        _l("To"),
        [Filled(_l("Write what it should say")), AtMost(TO_MAX, _l("Write what it should say in at most 500 characters"))],
        filters=[tidy],
    )
    memo = TextAreaField(_l("Memo"), [AtMost(BODY_MAX, _l("Use at most 20,000 characters for your memo"))], filters=[tidy])


@blueprint.get("/my-info")
def my_info() -> str:
    must_be_on(MenuItem.MY_INFO)
    return render_template("portal/my_info.html", **_record())


@blueprint.route("/my-info/<key>/amendment", methods=["GET", "POST"])
def request_amendment(key: str) -> Answer:
    value, me = _value(key), visitor()
    if request.method != "POST":
        return _page(value, opened(AmendmentForm))
    form = AmendmentForm()
    if form.validate_on_submit() and not must_warn(form, form.to.data, form.memo.data):
        try:
            sent = ask(me.person_id, key, to=form.to.data, memo=form.memo.data, form_key=form.key.data, by=me.actor)
            return to("portal.message", key=sent.thread_key, done="sent")
        except Invalid as error:
            form.put(error)
    return _page(value, form, 422)


def _value(key: str) -> RecordValue:
    must_be_on(MenuItem.MY_INFO, form_key=request.form.get("key", ""))
    return value_of(db.session(), key, visitor().person_id)


def _record() -> dict[str, object]:
    return {"here": "portal.my_info", "record": record_of(visitor().person_id), "sections": SECTIONS}


def _page(value: RecordValue, form: Form, status: int = 200) -> Answer:
    return page(
        "portal/my_info.html",
        "portal/_amendment.html",
        status,
        opened=value,
        form=form,
        decision_by=answer_by(RequestType.AMENDMENT),
        from_value=", ".join((str(SECTIONS[value.section]), value.name, value.value)),
        **_record(),
    )
