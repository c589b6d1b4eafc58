"""The next step of a request: a form beside the conversation, and what it says to the patient in the same step."""

from collections.abc import Iterator
from datetime import time
from typing import Any

import wtforms
from flask import url_for
from wtforms import SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice

from practice import appointments, results
from practice.amendments import value_now
from practice.appointments import PLACE_MAX, Doubt, Slot
from practice.calendar import at_local
from practice.db import db
from practice.errors import Invalid, NotVisible, Stale
from practice.requests import Letter, RequestVerb
from practice.results import NAME_MAX
from practice.threads import Opened
from staff import blueprint, corrections
from staff.inbox import kept
from staff.replies import seen_in
from staff.steps import NOTE, ReasonForm, StepForm, lines
from staff.thread import STEP_LABELS, in_pane, open_logged, race_words, shown
from web.answers import Answer, to
from web.facts import Asked, asked_of, slot_words
from web.formats import day, local, present_practice, today
from web.formats import gettext as _
from web.formats import lazy_gettext as _l
from web.forms import AtMost, DateField, Filled, opened, tidy
from web.gate import visitor

LENGTHS = (10, 15, 20, 30, 45, 60, 90, 120, 180, 240)
YEARS = range(2000, 2101)


class TimeField(wtforms.TimeField):
    """A time of day; nothing where nothing was entered."""

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = None
        if not valuelist or not valuelist[0].strip():
            return
        try:
            self.data = time.fromisoformat(valuelist[0].strip()).replace(second=0, microsecond=0, tzinfo=None)
        except ValueError:
            raise ValueError(_("Write the time as hours and minutes, such as 14:30")) from None


class SlotForm(StepForm):
    day = DateField(_l("Date"), [Filled(_l("Choose the date."))], years=YEARS, render_kw={"data-focus": ""})
    clock = TimeField(_l("Time"), [Filled(_l("Choose the time."))])
    minutes = SelectField(
        _l("How long"),
        [Filled(_l("Choose how long it takes."))],
        choices=[SelectChoice(n, _l("%(n)s minutes", n=n)) for n in LENGTHS],
        coerce=int,
        default=30,
    )
    place = StringField(
        _l("Place"), [Filled(_l("Say where.")), AtMost(PLACE_MAX, _l("Use at most 200 characters."))], filters=[tidy]
    )

    def slots(self) -> list[Slot]:
        assert self.day.data and self.clock.data  # validated
        return [Slot(self.day.data, self.clock.data, self.minutes.data, self.place.data)]

    def said(self) -> list[tuple[str, Any]]:
        slot = self.slots()[0]
        return [(_("When"), slot_said(slot)), (_("Place"), slot.place)]


def slot_said(slot: Slot) -> str:
    return slot_words(at_local(slot.day, slot.clock, present_practice().time_zone), slot.minutes)


class ConfirmForm(SlotForm):
    note = TextAreaField(_l("Note"), NOTE, filters=[tidy])

    def body(self) -> str:
        return lines(*self.said(), first=_("Appointment confirmation"), note=self.note.data)


class ChangeForm(SlotForm):
    note = TextAreaField(_l("Reason"), [Filled(_l("Say why.")), *NOTE], filters=[tidy])

    def body(self) -> str:
        return lines(*self.said(), first=_("Your appointment has changed"), note=self.note.data)


class ProposeForm(StepForm):
    day = DateField(_l("Date of the first"), [Filled(_l("Choose the date of the first time."))], years=YEARS)
    clock = TimeField(_l("Time of the first"), [Filled(_l("Choose the first time."))])
    day_2 = DateField(_l("Date of the second"), [Filled(_l("Choose the date of the second time."))], years=YEARS)
    clock_2 = TimeField(_l("Time of the second"), [Filled(_l("Choose the second time."))])
    day_3 = DateField(_l("Date of the third"), years=YEARS)
    clock_3 = TimeField(_l("Time of the third"))
    minutes, place = SlotForm.minutes, SlotForm.place
    note = TextAreaField(_l("Note"), NOTE, filters=[tidy])

    def pairs(self) -> Iterator[tuple[DateField, TimeField]]:
        return zip((self.day, self.day_2, self.day_3), (self.clock, self.clock_2, self.clock_3), strict=True)

    def slots(self) -> list[Slot]:
        return [Slot(on.data, at.data, self.minutes.data, self.place.data) for on, at in self.pairs() if on.data and at.data]

    def validate_clock_3(self, field: TimeField) -> None:
        if (self.day_3.data is None) != (field.data is None):
            raise wtforms.ValidationError(_("Give both date and time of the third, or neither."))

    def body(self) -> str:
        times = "\n".join(slot_said(slot) for slot in self.slots())
        first = _("We propose these times. Pick the one that suits you:")
        return lines((_("Place"), self.place.data), first=f"{first}\n{times}", note=self.note.data)


class TakeBackForm(ReasonForm):
    first = _l("The times that we proposed cannot be picked any more.")


class DeclineForm(ReasonForm):
    first = _l("We cannot do what you asked for.")


class CancelForm(ReasonForm):
    first = _l("This is cancelled by the practice.")


class PrepareForm(StepForm):
    note = TextAreaField(_l("Note"), NOTE, filters=[tidy], render_kw={"data-focus": ""})

    def body(self) -> str:
        return lines(first=_("We are preparing what you asked for."), note=self.note.data)


class ReadyForm(StepForm):
    place = StringField(
        _l("Where"),
        [Filled(_l("Say where.")), AtMost(PLACE_MAX, _l("Use at most 200 characters."))],
        filters=[tidy],
        render_kw={"data-focus": ""},
    )
    until = DateField(_l("Until when"), years=YEARS)
    note = TextAreaField(_l("Note"), NOTE, filters=[tidy])

    def body(self) -> str:
        until = day(self.until.data) if self.until.data else ""
        return lines((_("Where"), self.place.data), (_("Until"), until), first=_("Ready for pick-up"), note=self.note.data)


class HandOutForm(StepForm):
    to = StringField(
        _l("Picked up by"),
        [Filled(_l("Say who picked it up.")), AtMost(NAME_MAX, _l("Use at most 120 characters."))],
        filters=[tidy],
        render_kw={"data-focus": ""},
    )
    paper = StringField(
        _l("Paper shown"),
        [Filled(_l("Say which paper was shown.")), AtMost(NAME_MAX, _l("Use at most 120 characters."))],
        filters=[tidy],
    )
    note = TextAreaField(_l("Note"), NOTE, filters=[tidy])

    def body(self) -> str:
        said = (_("By"), self.to.data), (_("Paper shown"), self.paper.data)
        return lines(*said, first=_("Picked up"), note=self.note.data)


class SendForm(StepForm):
    note = TextAreaField(_l("Message"), [Filled(_l("Say what was sent, and how.")), *NOTE], filters=[tidy])

    def body(self) -> str:
        return lines(first=_("Sent"), note=self.note.data)


FORMS: dict[RequestVerb, type[StepForm]] = {
    RequestVerb.CONFIRM: ConfirmForm,
    RequestVerb.PROPOSE: ProposeForm,
    RequestVerb.TAKE_BACK: TakeBackForm,
    RequestVerb.CHANGE: ChangeForm,
    RequestVerb.PREPARE: PrepareForm,
    RequestVerb.MAKE_READY: ReadyForm,
    RequestVerb.PICK_UP: HandOutForm,
    RequestVerb.SEND: SendForm,
    RequestVerb.DECLINE: DeclineForm,
    RequestVerb.CANCEL: CancelForm,
    **corrections.FORMS,
}


DOUBTS = {
    Doubt.CLOSED: _l("The practice is closed on that day."),
    Doubt.OUTSIDE: _l("This is outside of the opening hours."),
    Doubt.TWICE: _l("The clocks are put back that night and show this time twice: the first is meant."),
    Doubt.SAME_PATIENT: _l("The patient has another appointment, or may pick one, at that time."),
    Doubt.SAME_PLACE: _l("Another patient is expected, or may pick a time, at that place then."),
}


@blueprint.get("/messages/<key>/steps/<step>")
def request_step(key: str, step: str) -> Answer:
    verb, found = _verb(step), open_logged(key)
    asked = asked_of(found)
    about = url_for("staff.request_step", key=key, step=verb)
    form = opened(FORMS[verb], about=about, seen=found.last_id, **_likely(asked, verb))
    if not str(form.seen.data or "").isdigit():  # a draft that was begun with its files
        form.seen.data = found.last_id
    if verb not in asked.steps:
        return _page(found, verb, form, 409, asked, is_possible=False, refusal=race_words(found))
    return _page(found, verb, form, asked=asked)


@blueprint.post("/messages/<key>/steps/<step>")
def take_step(key: str, step: str) -> Answer:
    """Asks again where a time may not be meant; stops where somebody else was faster, with what was typed."""
    verb, found = _verb(step), open_logged(key)
    form = FORMS[verb]()
    if not form.validate_on_submit():
        return _page(found, verb, form, 422)
    try:
        doubts = appointments.doubts(key, form.slots())
        if not set(doubts) <= set((form.doubts.data or "").split()):
            form.doubts.data = " ".join(doubts)
            return _page(found, verb, form, 422, doubts=[DOUBTS[doubt] for doubt in doubts])
        asked = asked_of(found)
        corrections.dated(form, asked.amendment)
        _take(verb, key, form, is_appointment=asked.appointment is not None)
    except Invalid as error:
        form.put(error)
        return _page(found, verb, form, 422)
    except Stale:
        db.session.close()
        found = open_logged(key)
        form.seen.data = found.last_id
        if "replaces" in form and (amendment := asked_of(found).amendment):
            form.replaces.data = value_now(amendment).key
        return _page(found, verb, form, 409, refusal=race_words(found), is_possible=verb in asked_of(found).steps)
    return to("staff.message", key=key, done="step", **kept())


def _verb(step: str) -> RequestVerb:
    verb = next((verb for verb in FORMS if verb == step), None)
    if verb is None:
        raise NotVisible
    return verb


def _take(verb: RequestVerb, key: str, form: Any, *, is_appointment: bool) -> None:
    letter, by = Letter(form.body(), form.key.data, seen_in(form)), visitor().actor
    match verb:
        case RequestVerb.CONFIRM:
            appointments.confirm(key, form.slots()[0], letter=letter, by=by)
        case RequestVerb.CHANGE:
            appointments.change(key, form.slots()[0], letter=letter, by=by)
        case RequestVerb.PROPOSE:
            appointments.propose(key, form.slots(), letter=letter, by=by)
        case RequestVerb.TAKE_BACK:
            appointments.take_times_back(key, letter=letter, by=by)
        case RequestVerb.PREPARE:
            results.prepare(key, letter=letter, by=by)
        case RequestVerb.MAKE_READY:
            results.make_ready(key, place=form.place.data, until=form.until.data, letter=letter, today=today(), by=by)
        case RequestVerb.PICK_UP:
            results.hand_out(key, to=form.to.data, paper=form.paper.data, letter=letter, by=by)
        case RequestVerb.SEND:
            results.send_result(key, letter=letter, by=by)
        case RequestVerb.DECLINE:
            (appointments.decline if is_appointment else results.decline_result)(key, letter=letter, by=by)
        case _ if verb in corrections.FORMS:
            corrections.take(verb, key, form, letter=letter, by=by)
        case RequestVerb.CANCEL:
            (appointments.call_off if is_appointment else results.call_off_result)(key, letter=letter, by=by)


def _likely(asked: Asked, verb: RequestVerb) -> dict[str, Any]:
    """With what a form opens: what stands already, else where the patient wants to come."""
    if asked.amendment is not None:
        return corrections.likely(asked.amendment)
    if verb != RequestVerb.CHANGE or asked.appointment is None or asked.appointment.starts_at is None:
        return {"place": asked.place}
    at = local(asked.appointment.starts_at)
    when = {"day": at.date(), "clock": at.time(), "minutes": asked.appointment.minutes}
    return when | {"place": asked.appointment.place}


def _page(found: Opened, verb: RequestVerb, form: StepForm, status: int = 200, asked: Asked | None = None, **more: Any) -> Answer:
    label, icon_name = STEP_LABELS[verb]
    context = {"form": form, "verb": verb, "label": label, "icon_name": icon_name, "is_possible": True, "doubts": []}
    return in_pane("staff/_step.html", "staff/step.html", status, shown(found, asked) | context | more, notice=None)
