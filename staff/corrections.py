"""The steps of an amendment: their forms, and what the patient reads, which a denial says as 45 CFR 164.526(d) asks for it."""

from typing import Any

from wtforms import HiddenField, RadioField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice

from practice import amendments
from practice.amendments import WORDS_MAX, Amendment, Ground, value_now
from practice.db import Actor
from practice.records import VALUE_MAX
from practice.requests import Letter, RequestVerb
from staff.steps import NOTE, ReasonForm, StepForm, lines
from web.facts import GROUNDS
from web.formats import gettext as _
from web.formats import lazy_gettext as _l
from web.formats import long_day, present_practice
from web.forms import AtMost, Filled, tidy
from web.requests import Chosen, typed

ASK_SECRETARY = (
    "U.S. Department of Health and Human Services, Office for Civil Rights, www.hhs.gov/ocr/complaints, 1-800-368-1019"
)


class ReviewForm(StepForm):
    note = TextAreaField(_l("Note"), NOTE, filters=[tidy], render_kw={"data-focus": ""})

    def body(self) -> str:
        return lines(first=_("We are looking at your request for a correction."), note=self.note.data)


class AskForm(ReasonForm):
    first = _l("We need to know more before we decide. Please answer in this conversation.")
    note = TextAreaField(
        _l("What we need to know"),
        [Filled(_l("Say what you need to know.")), *NOTE],
        filters=[tidy],
        render_kw={"data-focus": ""},
    )


class ExtendForm(ReasonForm):
    """`due`: by when it is decided, the thirty days included."""

    due = ""

    def body(self) -> str:
        first = _("We cannot decide in time and need up to 30 days more. This is the only extension.")
        return lines((_("We decide by"), self.due), (_("Reason"), self.note.data), first=first, note=None)


class AcceptForm(StepForm):
    """`replaces`: the version of the value that was shown."""

    replaces = HiddenField()
    value = StringField(
        _l("What the record will say"),
        [Filled(_l("Write what the record will say.")), AtMost(VALUE_MAX, _l("Use at most 500 characters."))],
        filters=[tidy],
        render_kw={"data-focus": ""},
    )
    note = TextAreaField(_l("Note"), NOTE, filters=[tidy])

    def body(self) -> str:
        said = (_("The record now says"), self.value.data)
        kept = _(
            "What it said before stays visible beside it. Tell us who should know of the correction: we tell them if you agree."
        )
        return lines(
            said, first=_("Your request for a correction is accepted."), note="\n\n".join(filter(None, (self.note.data, kept)))
        )


def _ground() -> RadioField:
    return RadioField(
        _l("Ground"),
        [Chosen(_l("Choose the ground."))],
        choices=[SelectChoice(ground.value, word) for ground, word in GROUNDS.items()],
        coerce=typed({ground.value: ground for ground in Ground}),
        validate_choice=False,
    )


def _because() -> TextAreaField:
    return TextAreaField(_l("Reason in plain words"), [Filled(_l("Say why.")), *NOTE], filters=[tidy])


class DenyForm(StepForm):
    ground, note = _ground(), _because()

    def body(self) -> str:
        return denial(self, first=_("Your request for a correction is denied."))


class AcceptInPartForm(StepForm):
    replaces, value = AcceptForm.replaces, AcceptForm.value
    denied = TextAreaField(
        _l("What is denied"),
        [Filled(_l("Say what is denied.")), AtMost(WORDS_MAX, _l("Use at most 5,000 characters."))],
        filters=[tidy],
    )
    ground, note = _ground(), _because()

    def body(self) -> str:
        said = (_("The record now says"), self.value.data), (_("What is denied"), self.denied.data)
        return denial(self, *said, first=_("Your request for a correction is accepted in part."))


def denial(form: Any, *said: tuple[str, Any], first: str) -> str:
    """The basis, the statement of disagreement and how to file it, what one may ask without it, and where to complain."""
    practice = present_practice()
    why = (_("Ground"), str(GROUNDS[form.ground.data])), (_("Reason"), form.note.data)
    rights = (
        _("You may disagree: press Disagree in this conversation, or send us a written statement. It is kept with your record."),
        _("If you do not, you may ask that your request and this denial go along whenever we disclose this part of your record."),
        _("You may complain to us: %(name)s, %(phone)s.", name=practice.name, phone=practice.phone)
        if practice.phone
        else _("You may complain to us: %(name)s.", name=practice.name),
        _("You may also complain to the Secretary of Health and Human Services: %(where)s.", where=ASK_SECRETARY),
    )
    return lines(*said, *why, first=first, note="\n\n".join(rights))


class CompleteForm(StepForm):
    note = TextAreaField(
        _l("Who was told"),
        [Filled(_l("Say who was told, or that nobody needs to be.")), *NOTE],
        filters=[tidy],
        render_kw={"data-focus": ""},
    )

    def body(self) -> str:
        return lines((_("Who was told"), self.note.data), first=_("Your correction is completed."), note=None)


class RebutForm(ReasonForm):
    first = _l("Our answer to your statement of disagreement. It is kept with your record, beside your statement.")
    note = TextAreaField(_l("Rebuttal"), [Filled(_l("Write the rebuttal.")), *NOTE], filters=[tidy], render_kw={"data-focus": ""})


FORMS: dict[RequestVerb, type[StepForm]] = {
    RequestVerb.REVIEW: ReviewForm,
    RequestVerb.ASK: AskForm,
    RequestVerb.ACCEPT: AcceptForm,
    RequestVerb.ACCEPT_IN_PART: AcceptInPartForm,
    RequestVerb.DENY: DenyForm,
    RequestVerb.EXTEND: ExtendForm,
    RequestVerb.COMPLETE: CompleteForm,
    RequestVerb.REBUT: RebutForm,
}


def likely(asked: Amendment) -> dict[str, Any]:
    """With what a form opens: the value as the patient wants it, and which version that corrects."""
    return {"value": asked.to_value, "replaces": value_now(asked).key}


def dated(form: StepForm, asked: Amendment | None) -> None:
    """Tells an extension until when it is."""
    if isinstance(form, ExtendForm) and asked is not None:
        form.due = long_day(amendments.extended(asked.due_at, present_practice().time_zone))


def take(verb: RequestVerb, key: str, form: Any, *, letter: Letter, by: Actor) -> None:
    match verb:
        case RequestVerb.REVIEW:
            amendments.review(key, letter=letter, by=by)
        case RequestVerb.ASK:
            amendments.ask(key, letter=letter, by=by)
        case RequestVerb.EXTEND:
            amendments.extend(key, because=form.note.data, letter=letter, by=by)
        case RequestVerb.ACCEPT:
            amendments.accept(key, value=form.value.data, replaces=form.replaces.data, letter=letter, by=by)
        case RequestVerb.ACCEPT_IN_PART:
            amendments.accept_in_part(
                key,
                value=form.value.data,
                replaces=form.replaces.data,
                denied=form.denied.data,
                ground=form.ground.data,
                because=form.note.data,
                letter=letter,
                by=by,
            )
        case RequestVerb.DENY:
            amendments.deny(key, ground=form.ground.data, because=form.note.data, letter=letter, by=by)
        case RequestVerb.COMPLETE:
            amendments.complete(key, letter=letter, by=by)
        case RequestVerb.REBUT:
            amendments.rebut(key, words=form.note.data, letter=letter, by=by)
