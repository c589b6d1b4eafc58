"""The forms of what a patient asks for: filled in by the patient, or by staff while the patient is on the phone.

What comes out is typed (dates, times, enums), what is not on offer is refused.
"""

from collections.abc import Callable
from datetime import time
from typing import Any

import wtforms
from wtforms import Field, RadioField, SelectField, SelectMultipleField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import StopValidation, ValidationError

from practice.appointments import Wish
from practice.communicators import Routable, routable_of
from practice.conversations import BODY_MAX, TITLE_MAX
from practice.db import db
from practice.results import HandOver, Media, Order
from practice.settings import RequestType, facilities, physicians
from web.facts import HAND_OVER, MEDIA, WEEKDAYS, time_range
from web.formats import clock, day, long_day, present_practice
from web.formats import gettext as _
from web.formats import lazy_gettext as _l
from web.forms import AtMost, DateField, Filled, Form, tidy


def typed(values: dict[str, Any]) -> Callable[[Any], Any]:
    """A coerce function: the value of a word on offer, itself where it is one already, None for what is not on offer."""
    known = {value: value for value in values.values()} | values
    return known.get


class Known:
    """Only what is on offer. `text` says so. Stands before the other validators, because an unknown word reads as nothing."""

    def __init__(self, text: Any) -> None:
        self.text = text

    def __call__(self, form: Any, field: Field) -> None:
        found = field.data if isinstance(field.data, list) else [field.data]
        if any(field.raw_data or ()) and None in found:
            raise StopValidation(self.text)


class Chosen:
    """One of the choices; "No" is one too. `text` says what to do."""

    field_flags = {"required": True}

    def __init__(self, text: Any) -> None:
        self.text = text

    def __call__(self, form: Any, field: Field) -> None:
        if field.data is None and not field.errors:
            raise StopValidation(self.text)


def offer_facilities(field: wtforms.SelectField) -> None:
    """The practice's facilities as choices; where there is only one, the server decides, unless the form says another one: it
    was chosen, so it is asked once more."""
    offered = [SelectChoice(f.key, ", ".join(filter(None, (f.name, f.address)))) for f in facilities()]
    if len(offered) == 1:
        field.data = field.data or offered[0].value
    else:
        offered.insert(0, SelectChoice("", _("Choose")))
    field.choices = offered


HALF_HOURS = {f"{at.hour:02}:{at.minute:02}": at for at in (time(m // 60, m % 60) for m in range(9 * 60, 18 * 60 + 1, 30))}


REASON_MAX = 120
OFFERED = Known(_l("Choose one of those on offer"))
TIMES = [SelectChoice("", _l("Any time")), *(SelectChoice(word) for word in HALF_HOURS)]


TOO_LONG = AtMost(BODY_MAX, _l("Use at most 20,000 characters"))


class AppointmentForm(Form):
    """The facility is the server's to decide where there is only one."""

    facility = SelectField(_l("Facility"), [Filled(_l("Choose a facility"))], validate_choice=False)
    physician = SelectField(_l("Referring physician"), validate_choice=False)
    first_day = DateField(_l("First day"), [Filled(_l("Choose the first day that suits you"))])
    last_day = DateField(_l("Last day"), [Filled(_l("Choose the last day that suits you"))])
    weekdays = SelectMultipleField(
        _l("Day of week"),
        [OFFERED],
        choices=[SelectChoice(str(n), name) for n, name in enumerate(WEEKDAYS)],
        coerce=typed({str(n): n for n in range(7)}),
        validate_choice=False,
    )
    from_time = SelectField(_l("From"), [OFFERED], choices=TIMES, coerce=typed(HALF_HOURS), validate_choice=False)
    to_time = SelectField(_l("To"), [OFFERED], choices=TIMES, coerce=typed(HALF_HOURS), validate_choice=False)
    reason = TextAreaField(
        _l("Reason for visit"),
        [
            Filled(_l("Write the reason for your visit")),
            AtMost(REASON_MAX, _l("Write the reason for your visit in at most 120 characters")),
        ],
        filters=[tidy],
    )
    comments = TextAreaField(
        _l("Comments"), [AtMost(BODY_MAX, _l("Use at most 20,000 characters for your comments"))], filters=[tidy]
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        asks = present_practice().asks_physician
        offer_facilities(self.facility)
        nobody = _("Choose") if asks else _("Nobody referred me")
        self.physician.choices = [SelectChoice("", nobody), *(SelectChoice(p.key, p.name) for p in physicians())]
        if asks:
            self.physician.validators = [Filled(_("Choose the referring physician"))]
            self.physician.flags.required = True

    def validate_last_day(self, field: DateField) -> None:
        if field.data and self.first_day.data and field.data < self.first_day.data:
            raise ValidationError(_("The last day is before the first day"))

    def wish(self) -> Wish:
        assert self.first_day.data and self.last_day.data  # validated
        return Wish(
            facility=self.facility.data,
            first_day=self.first_day.data,
            last_day=self.last_day.data,
            reason=self.reason.data,
            physician=self.physician.data or None,
            weekdays=tuple(self.weekdays.data),
            from_time=self.from_time.data,
            to_time=self.to_time.data,
            comments=self.comments.data,
        )

    def facts(self) -> list[tuple[str, str]]:
        """What it says, as the review shows it: the same words as the conversation."""
        wish = self.wish()
        chosen = {choice.value: choice.label for field in (self.facility, self.physician) for choice in field.choices}
        return [
            (_("Facility"), chosen.get(wish.facility, "")),
            (_("Referring physician"), chosen.get(wish.physician, "")),
            (_("Reason for visit"), wish.reason),
            (_("Preferred date range"), _("%(first)s to %(last)s", first=day(wish.first_day), last=day(wish.last_day))),
            (_("Day of week"), ", ".join(str(WEEKDAYS[n]) for n in wish.weekdays)),
            (_("Preferred time range"), time_range(*(clock(at) if at else "" for at in (wish.from_time, wish.to_time)))),
            (_("Comments"), wish.comments),
        ]


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
    exam_date = DateField(_l("Exam date"), years=range(1900, 2100))
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
            (_("Exam date"), long_day(order.exam_date) if order.exam_date else ""),
            (_("Comments"), order.comments),
        ]


class MessageForm(Form):
    """*To* offers only who can receive now. One: preselected and read-only. None: the practice takes it."""

    to = SelectField(_l("To"), validate_choice=False)
    title = StringField(
        _l("Title"),
        [Filled(_l("Write a title")), AtMost(TITLE_MAX, _l("Write a title of at most 120 characters"))],
        filters=[tidy],
    )
    body = TextAreaField(_l("Comments"), [Filled(_l("Write your message")), TOO_LONG], filters=[tidy])
    offered: list[Routable]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offer()
        self.to.flags.required = True

    def offer(self) -> None:
        """Looks anew who can receive: it may have changed while the patient was writing."""
        self.offered = routable_of(db.session(), RequestType.OTHERS)
        self.to.choices = [SelectChoice("", _("Choose")), *(SelectChoice(c.key, c.title) for c in self.offered)]
