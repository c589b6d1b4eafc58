"""My Info: the record as the practice has it, and asking for a correction. Exists in Meaningful Use mode only."""

from collections import defaultdict

from flask import render_template, request
from wtforms import StringField, TextAreaField

from portal import blueprint
from portal.fields import answer_by, must_be_on, must_warn
from practice.amendments import TO_MAX, unsettled_of
from practice.amendments import request_amendment as ask
from practice.conversations import BODY_MAX
from practice.db import db
from practice.documents import Section
from practice.errors import Invalid, NotVisible, Stale
from practice.records import PAGE, Record, RecordValue, current_of, record_of, section_of, series_of, value_of
from practice.settings import MenuItem, RequestType
from web.answers import Answer, page, to
from web.facts import SECTIONS, denial_facts, record_word, standing_word, value_words, wanted_facts
from web.formats import lazy_gettext as _l
from web.forms import AtMost, Filled, Form, opened, page_number, tidy
from web.gate import visitor
from web.measurements import Figure, figures_of

PLOTTED = (Section.VITALS, Section.LAB)
FIGURES, NEWEST = 2, 100  # of a section, where all sections are shown: of what was measured most often among the newest


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
    return render_template("portal/my_info.html", **_shown(record_of(visitor().person_id)), figures=_figures())


@blueprint.get("/my-info/sections/<name>")
def my_info_section(name: str) -> str:
    """One section, a page of it at a time."""
    must_be_on(MenuItem.MY_INFO)
    section = Section.__members__.get(name.upper())
    if section is None:
        raise NotVisible
    number = page_number(request.args.get("page"))
    record = section_of(visitor().person_id, section, page=number)
    total = record.totals[section]
    if number > 1 and not record.sections[section]:
        raise NotVisible
    context = _shown(record) | {"section": section, "values": record.sections[section], "total": total}
    context |= {"page": number, "first": (number - 1) * PAGE + 1, "has_more": total > number * PAGE}
    context["figures"] = figures_of(series_of(visitor().person_id, section)) if number == 1 and section in PLOTTED else []
    return render_template("portal/my_info_section.html", **context)


@blueprint.route("/my-info/<key>/amendment", methods=["GET", "POST"])
def request_amendment(key: str) -> Answer:
    """A value that was corrected meanwhile cannot be asked for any more: 409 with what the record says now."""
    value, me = _value(key), visitor()
    if request.method != "POST":
        return _page(value, opened(AmendmentForm), 409 if value.superseded_at else 200)
    form = AmendmentForm()
    if form.validate_on_submit() and not must_warn(form, form.to.data, form.memo.data):
        try:
            sent = ask(me.person_id, key, to=form.to.data, memo=form.memo.data, form_key=form.key.data, by=me.actor)
            return to("portal.message", key=sent.thread_key, done="sent")
        except Invalid as error:
            form.put(error)
        except Stale:
            db.session.close()
            value = _value(key)
    return _page(value, form, 409 if value.superseded_at else 422)


def _value(key: str) -> RecordValue:
    must_be_on(MenuItem.MY_INFO, form_key=request.form.get("key", ""))
    return value_of(db.session(), key, visitor().person_id)


def _shown(record: Record) -> dict[str, object]:
    unsettled = defaultdict(list)
    for amendment, key in unsettled_of(visitor().person_id):
        unsettled[amendment.value_id].append((key, amendment, wanted_facts(amendment) + denial_facts(amendment)))
    return {
        "here": "portal.my_info",
        "record": record.sections,
        "totals": record.totals,
        "former": record.former,
        "beside": record.beside,
        "unsettled": {
            value.id: [one for version in (value, *record.former.get(value.id, ())) for one in unsettled[version.id]]
            for values in record.sections.values()
            for value in values
        },
        "sections": SECTIONS,
        "word": record_word,
        "standing": standing_word,
    }


def _figures() -> dict[Section, list[Figure]]:
    """Of each section that has some, the first. A statement for each."""
    me = visitor().person_id
    return {section: figures_of(series_of(me, section, newest=NEWEST), most=FIGURES) for section in PLOTTED}


def _page(value: RecordValue, form: Form, status: int = 200) -> Answer:
    must_be_on(MenuItem.MY_INFO)  # what was sent before is answered, but the record is not shown
    says_now = current_of(db.session(), value.id)
    return page(
        "portal/my_info.html",
        "portal/_amendment.html",
        status,
        opened=says_now,
        asked_of=value,
        form=form,
        decision_by=answer_by(RequestType.AMENDMENT),
        figures=_figures(),
        from_value=value_words(says_now),
        **_shown(record_of(visitor().person_id, opened=says_now.id)),
    )
