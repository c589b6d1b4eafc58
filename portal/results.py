"""My Results, and asking for one."""

from typing import Any

from flask import render_template, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import RadioField, SelectField, SelectMultipleField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import ValidationError

from portal import blueprint
from portal.fields import Chosen, Known, answer_by, must_be_on, offer_facilities, typed
from practice.conversations import BODY_MAX
from practice.errors import Invalid
from practice.results import HandOver, Media, Order, results_of
from practice.results import request_result as ask
from practice.settings import MenuItem, RequestType
from web.answers import Answer, to
from web.facts import HAND_OVER, MEDIA, STATES
from web.formats import today
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


@blueprint.get("/results")
def results() -> str:
    must_be_on(MenuItem.MY_RESULTS)
    return render_template(
        "portal/results.html",
        here="portal.results",
        requests=results_of(visitor().person_id),
        states=STATES,
        media=MEDIA,
        hand_over=HAND_OVER,
    )


@blueprint.route("/results/new", methods=["GET", "POST"])
def request_result() -> Answer:
    must_be_on(MenuItem.REQUEST_RESULT, form_key=request.form.get("key", ""))
    if request.method != "POST":
        return _page(opened(ResultForm))
    form = ResultForm()
    if form.validate_on_submit():
        try:
            sent = ask(visitor().person_id, form.order(), today=today(), form_key=form.key.data, by=visitor().actor)
            return to("portal.message", key=sent.thread_key, done="sent")
        except Invalid as error:
            form.put(error)
    return _page(form), 422


def _page(form: Form) -> str:
    return render_template(
        "portal/request_result.html",
        here="portal.results",
        form=form,
        answer_by=answer_by(RequestType.RESULT),
        today=today(),
    )
