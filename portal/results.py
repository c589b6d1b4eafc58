"""My Results, and asking for one."""

from typing import Any

from flask import render_template, request
from wtforms import RadioField, SelectField, SelectMultipleField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import ValidationError

from portal import blueprint
from portal.cancelling import requests_page
from portal.fields import Chosen, Known, answer_by, is_to_be_sent, must_be_on, offer_facilities, review, typed
from practice.conversations import BODY_MAX
from practice.db import db
from practice.errors import Invalid
from practice.results import HandOver, Media, Order, can_cancel, check_order, results_of
from practice.results import request_result as ask
from practice.settings import MenuItem, RequestType
from web.answers import Answer, page, to
from web.facts import HAND_OVER, MEDIA, STATES
from web.formats import day, today
from web.formats import gettext as _
from web.formats import lazy_gettext as _l
from web.forms import AtMost, DateField, Filled, Form, opened, tidy
from web.gate import visitor

OFFERED = Known(_l("Choose one of those on offer"))


class ResultForm(Form):
    """The location is the server's to decide where there is only one."""

    media = SelectMultipleField(
        _l("Which type of media"),
        [OFFERED, Filled(_l("Choose at least one type of media"))],
        choices=[SelectChoice(media.value, word) for media, word in MEDIA.items()],
        coerce=typed({media.value: media for media in Media}),
        validate_choice=False,
    )
    hand_over = RadioField(
        _l("How to receive it"),
        [OFFERED, Chosen(_l("Choose how to receive it"))],
        choices=[SelectChoice(way.value, word) for way, word in HAND_OVER.items()],
        coerce=typed({way.value: way for way in HandOver}),
        validate_choice=False,
    )
    location = SelectField(_l("Location"), validate_choice=False)
    all_studies = RadioField(
        _l("All studies"),
        [OFFERED, Chosen(_l("Say whether you want all studies"))],
        choices=[SelectChoice("Yes", _l("Yes")), SelectChoice("No", _l("No"))],
        coerce=typed({"Yes": True, "No": False}),
        validate_choice=False,
    )
    exam_date = DateField(_l("Exam date"))
    comments = TextAreaField(
        _l("Comments"), [AtMost(BODY_MAX, _l("Use at most 20,000 characters for your comments"))], filters=[tidy]
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer_facilities(self.location)
        # Each is required only with the answer that shows it, and so never called optional.
        self.location.flags.required = self.exam_date.flags.required = True

    def validate_location(self, field: SelectField) -> None:
        if self.hand_over.data == HandOver.PICK_UP and not field.data:
            raise ValidationError(_("Choose where to pick it up"))

    def validate_exam_date(self, field: DateField) -> None:
        if self.all_studies.data:
            field.errors = []  # not asked for
        elif self.all_studies.data is False and not field.data and not field.errors:
            raise ValidationError(_("Give the date of the exam"))

    def order(self) -> Order:
        is_picked_up, is_all = self.hand_over.data == HandOver.PICK_UP, self.all_studies.data
        return Order(
            media=tuple(media for media in Media if media in self.media.data),
            hand_over=self.hand_over.data,
            is_all_studies=is_all,
            location=self.location.data if is_picked_up else None,
            exam_date=None if is_all else self.exam_date.data,
            comments=self.comments.data,
        )

    def facts(self) -> list[tuple[str, str]]:
        """What it says, as the review shows it: the same words as the conversation."""
        order = self.order()
        places = {choice.value: choice.label for choice in self.location.choices}
        return [
            (_("Which type of media"), ", ".join(str(MEDIA[media]) for media in order.media)),
            (_("How to receive it"), str(HAND_OVER[order.hand_over])),
            (_("Location"), places.get(order.location, "")),
            (_("All studies"), _("Yes") if order.is_all_studies else _("No")),
            (_("Exam date"), day(order.exam_date) if order.exam_date else ""),
            (_("Comments"), order.comments),
        ]


@blueprint.get("/results")
def results() -> str:
    must_be_on(MenuItem.MY_RESULTS)
    return render_template(
        "portal/results.html",
        here="portal.results",
        states=STATES,
        can_cancel=can_cancel,
        media=MEDIA,
        hand_over=HAND_OVER,
        **requests_page("portal.results", results_of),
    )


@blueprint.route("/results/new", methods=["GET", "POST"])
def request_result() -> Answer:
    must_be_on(MenuItem.REQUEST_RESULT, form_key=request.form.get("key", ""))
    if request.method != "POST":
        return _page(opened(ResultForm))
    form = ResultForm()
    if "change" in request.form:
        return _page(form)
    if form.validate_on_submit():
        try:
            if is_to_be_sent(form):
                sent = ask(visitor().person_id, form.order(), today=today(), form_key=form.key.data, by=visitor().actor)
                return to("portal.message", key=sent.thread_key, done="sent")
            check_order(db.session(), form.order(), today=today())
            return review("portal.request_result", form, form.facts(), RequestType.RESULT, [form.comments.data])
        except Invalid as error:
            form.put(error)
    return _page(form, 422)


def _page(form: Form, status: int = 200) -> Answer:
    return page(
        "portal/request_result.html",
        "portal/_request_result.html",
        status,
        here="portal.results",
        form=form,
        answer_by=answer_by(RequestType.RESULT),
        today=today(),
    )
