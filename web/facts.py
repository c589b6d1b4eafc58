"""What the request of a thread says, field by field, in the reader's language: for the patient and for the staff alike."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from practice import amendments, appointments, results
from practice.amendments import UNDECIDED, Amendment, AmendmentState, Ground, amendment_of, value_now
from practice.appointments import AppointmentState, appointment_of, proposed_times
from practice.documents import Section
from practice.record_imports import STAND
from practice.requests import RequestVerb
from practice.results import HandOver, Media, ResultState, media_of, result_of
from practice.settings import RequestType
from practice.threads import MOVES, Event, Opened
from web.formats import clock, day, long_day, minutes_long, moment_long
from web.formats import gettext as _
from web.formats import lazy_gettext as _l

SECTIONS = {
    Section.PATIENT: _l("Patient Information"),
    Section.CONTACT: _l("Contact"),
    Section.DEMOGRAPHIC: _l("Demographic"),
    Section.PROVIDER: _l("Provider Information"),
    Section.ALLERGY: _l("Drug Allergy"),
    Section.MEDICATION: _l("Medication"),
    Section.PROBLEM: _l("Problem"),
    Section.CARE_TEAM: _l("Care Team Members"),
    Section.PROCEDURE: _l("Procedures"),
    Section.FUNCTIONAL: _l("Functional and Cognitive Status"),
    Section.IMMUNIZATION: _l("Immunization"),
    Section.VITALS: _l("Vital Signs"),
    Section.LAB: _l("Lab Results"),
    Section.CARE_PLAN: _l("Care Plan"),
    Section.SOCIAL: _l("Social History"),
    Section.ENCOUNTER: _l("Encounters"),
    Section.GOAL: _l("Goals"),
}
"""Of the record, in the order of My Info."""
OF_READERS = {
    "Last name": _l("Last name"),
    "First name": _l("First name"),
    "Date of birth": _l("Date of birth"),
    "Gender": _l("Gender"),
    "Address": _l("Address"),
    "Phone or e-mail": _l("Phone or e-mail"),
    "Race": _l("Race"),
    "Ethnicity": _l("Ethnicity"),
    "Marital status": _l("Marital status"),
    "Language": _l("Language"),
    "Not given": _l("Not given"),
    "Not present": _l("Not present"),
    "Not taken": _l("Not taken"),
    "Not done": _l("Not done"),
}
"""What the readers of documents call things by themselves; all other words are the documents' own."""
WEEKDAYS = (_l("Monday"), _l("Tuesday"), _l("Wednesday"), _l("Thursday"), _l("Friday"), _l("Saturday"), _l("Sunday"))
MEDIA = {
    Media.REPORT: _l("Report"),
    Media.CD: _l("CD with Images"),
    Media.WEB_LINK: _l("Web Link (Report and Images)"),
}
HAND_OVER = {HandOver.PICK_UP: _l("Pick up"), HandOver.MAIL: _l("Mail"), HandOver.SECURE_MESSAGE: _l("Secure message")}
STATES = {
    AppointmentState.REQUESTED: _l("Requested"),
    AppointmentState.CONFIRMED: _l("Confirmed"),
    AppointmentState.DECLINED: _l("Declined"),
    AppointmentState.CANCELLED: _l("Cancelled"),
    ResultState.REQUESTED: _l("Requested"),
    ResultState.IN_PREPARATION: _l("In preparation"),
    ResultState.READY: _l("Ready for pick-up"),
    ResultState.PICKED_UP: _l("Picked up"),
    ResultState.SENT: _l("Sent"),
    ResultState.DECLINED: _l("Declined"),
    ResultState.CANCELLED: _l("Cancelled"),
    AmendmentState.QUEUED: _l("Waiting for review"),
    AmendmentState.IN_REVIEW: _l("In review"),
    AmendmentState.WAITING: _l("Waiting for information"),
    AmendmentState.ACCEPTED: _l("Accepted"),
    AmendmentState.PARTLY: _l("Accepted in part"),
    AmendmentState.DENIED: _l("Denied"),
    AmendmentState.COMPLETED: _l("Completed"),
}
GROUNDS = {
    Ground.NOT_OURS: _l("We did not create this part of the record."),
    Ground.NOT_IN_SET: _l("It is not part of the designated record set."),
    Ground.NOT_OPEN: _l("It is not available for inspection."),
    Ground.CORRECT: _l("The record is accurate and complete."),
}
"""The basis of a denial, as the law has it."""


STANDINGS = {
    "active": _l("Active"),
    "recurrence": _l("Active again"),
    "relapse": _l("Active again"),
    "on-hold": _l("On hold"),
    "suspended": _l("On hold"),
    "completed": _l("Completed"),
    "stopped": _l("Stopped"),
    "aborted": _l("Stopped"),
    "inactive": _l("Inactive"),
    "remission": _l("In remission"),
    "resolved": _l("Resolved"),
}
"""How what goes on or is over stands, in the words of FHIR and of C-CDA."""


def standing_word(one: Any) -> str:
    """Of a value, or an entry of a document; empty where it does not say, or is of a section where all is over."""
    return str(STANDINGS.get(one.status.lower(), "")) if one.section in STAND else ""


def record_word(text: str) -> str:
    """A name or value of the record, in the reader's language where it is a word of ours."""
    return str(OF_READERS.get(text, text))


EVENT_WORDS = {
    Event.DELIVERED: _l("delivered"),
    Event.RECEIVED: _l("received"),
    Event.CLOSED: _l("closed"),
    Event.REMOVED: _l("deleted from the lists"),
    Event.RESTORED: _l("restored"),
    Event.HANDED: _l("handed on"),
    Event.CLAIMED: _l("claimed"),
    Event.RELEASED: _l("claim released"),
    Event.OPENED: _l("opened by an admin, with a reason"),
    Event.MOVED: _l("moved to another account of the patient"),
    Event.TRANSFERRED: _l("transferred"),
    Event.ENTRUSTED: _l("handed over"),
    Event.TAKEN_BACK: _l("not handed over after all"),
    Event.REOPENED: _l("not closed after all"),
    Event.RECALLED: _l("an answer taken back before it was sent"),
    Event.DUPLICATE: _l("closed as a duplicate"),
    Event.REQUEST: _l("next step of the request"),
}
"""What happened to a thread, in its history."""
STEP_WORDS = {
    RequestVerb.CONFIRM: _l("appointment confirmed"),
    RequestVerb.PROPOSE: _l("times proposed"),
    RequestVerb.PICK: _l("a proposed time picked"),
    RequestVerb.TAKE_BACK: _l("the proposed times taken back"),
    RequestVerb.CHANGE: _l("appointment changed"),
    RequestVerb.PREPARE: _l("in preparation"),
    RequestVerb.MAKE_READY: _l("ready for pick-up"),
    RequestVerb.PICK_UP: _l("picked up"),
    RequestVerb.SEND: _l("sent"),
    RequestVerb.DECLINE: _l("declined"),
    RequestVerb.CANCEL: _l("cancelled"),
    RequestVerb.REVIEW: _l("in review"),
    RequestVerb.ASK: _l("information asked for"),
    RequestVerb.INFORM: _l("information given"),
    RequestVerb.ACCEPT: _l("accepted"),
    RequestVerb.ACCEPT_IN_PART: _l("accepted in part"),
    RequestVerb.DENY: _l("denied"),
    RequestVerb.EXTEND: _l("extended by 30 days"),
    RequestVerb.COMPLETE: _l("completed"),
    RequestVerb.DISAGREE: _l("disagreed with"),
    RequestVerb.REBUT: _l("rebutted"),
}
"""What happened to a request, in the history of its thread."""

Facts = list[tuple[str, str]]


@dataclass(frozen=True)
class Asked:
    """The request of a thread: what it says, what staff can do next, and of an appointment which times can be picked."""

    facts: Facts = field(default_factory=list)
    steps: list[RequestVerb] = field(default_factory=list)
    times: list[Any] = field(default_factory=list)
    appointment: Any = None  # its columns
    place: str = ""  # where the patient wants to come
    amendment: Amendment | None = None


def asked_of(opened: Opened) -> Asked:
    """The request of a thread; three statements at most, none for Others.

    One that was handed on may have another type than it was sent as: the request goes along, whichever it is.
    """
    kind, thread = opened.head.type, opened.head.id
    is_handed = any(event.did in MOVES for event in opened.events)
    of_types: dict[RequestType, Callable[[int], Asked | None]]
    of_types = {RequestType.APPOINTMENT: _appointment, RequestType.RESULT: _result, RequestType.AMENDMENT: _amendment}
    tried = of_types.values() if is_handed else [of_types[kind]] if kind in of_types else []
    return next((asked for of_type in tried if (asked := of_type(thread))), Asked())


def facts_of(opened: Opened) -> Facts:
    """Names and values of a thread's request, empty values left out."""
    return asked_of(opened).facts


def _filled(facts: Facts) -> Facts:
    return [(name, value) for name, value in facts if value]


def slot_words(starts_at: datetime, minutes: int | None) -> str:
    """Tuesday, December 1, 2026, 10:00 (30 minutes)"""
    if not minutes:
        return moment_long(starts_at)
    return _("%(when)s (%(length)s)", when=moment_long(starts_at), length=minutes_long(minutes))


def _appointment(thread: int) -> Asked | None:
    wish = appointment_of(thread)
    if wish is None:
        return None
    times = proposed_times(thread) if wish.state == AppointmentState.REQUESTED else []
    facts = [
        (_("State"), str(STATES[wish.state])),
        (_("Date and time"), slot_words(wish.starts_at, wish.minutes) if wish.starts_at else ""),
        (_("Place"), wish.place or ""),
        (_("Proposed times"), "\n".join(slot_words(one.starts_at, one.minutes) for one in times)),
        (_("Facility"), wish.facility),
        (_("Referring physician"), wish.physician or ""),
        (_("Reason for visit"), wish.reason),
        (_("Preferred date range"), _("%(first)s to %(last)s", first=day(wish.first_day), last=day(wish.last_day))),
        (_("Day of week"), ", ".join(str(WEEKDAYS[int(n)]) for n in wish.weekdays)),
        (_("Preferred time range"), time_range(*(clock(at) if at else "" for at in (wish.from_time, wish.to_time)))),
        (_("Comments"), wish.comments),
    ]
    return Asked(_filled(facts), appointments.steps_of(wish, has_times=bool(times)), times, wish, wish.facility)


def time_range(first: str, last: str) -> str:
    if first and last:
        return _("%(first)s to %(last)s", first=first, last=last)
    return _("from %(time)s", time=first) if first else _("until %(time)s", time=last) if last else ""


def _result(thread: int) -> Asked | None:
    order = result_of(thread)
    if order is None:
        return None
    facts = [
        (_("State"), str(STATES[order.state])),
        (_("Ready at"), order.ready_at_place or ""),
        (_("Ready until"), day(order.ready_until) if order.ready_until else ""),
        (_("Picked up by"), order.picked_up_by or ""),
        (_("Paper shown"), order.paper_shown or ""),
        (_("Which type of media"), ", ".join(str(MEDIA[media]) for media in media_of(order))),
        (_("How to receive it"), str(HAND_OVER[order.hand_over])),
        (_("Location"), order.location or ""),
        (_("All studies"), _("Yes") if order.is_all_studies else _("No")),
        (_("Exam date"), long_day(order.exam_date) if order.exam_date else ""),
    ]
    return Asked(_filled(facts), results.steps_of(order), place=order.location or "")


def _amendment(thread: int) -> Asked | None:
    found = amendment_of(thread)
    if found is None:
        return None
    says_now = value_now(found) if found.state in UNDECIDED else None
    is_other = says_now is not None and says_now.id != found.value_id  # another request was accepted meanwhile
    now_ = [(_("The record says now"), value_words(says_now))] if is_other else []
    return Asked(amendment_facts(found) + now_, amendments.steps_of(found), amendment=found)


def amendment_facts(found: Any) -> Facts:
    """What was asked for, decided and said of an amendment: a row with its columns."""
    is_open = found.state in UNDECIDED
    facts = [
        (_("State"), str(STATES[found.state])),
        *wanted_facts(found),
        (_("Decision by"), long_day(found.due_at) if is_open else ""),
        (_("Extended by 30 days because"), found.extended_because or ""),
        (_("Decided"), long_day(found.decided_at) if found.decided_at else ""),
        (_("The record now says"), found.new_value or ""),
        *denial_facts(found),
    ]
    return _filled(facts)


def printed_facts(asked: Any) -> Facts:
    """Of a row that has the request's `created_at` too: all that there is of it."""
    facts = [(_("Asked on"), long_day(asked.created_at)), *amendment_facts(asked), (_("Memo"), asked.memo)]
    return _filled(facts)


def value_words(value: Any) -> str:
    """A value with its section, as *From* says it."""
    return ", ".join(filter(None, (str(SECTIONS[value.section]), value.name, value.value)))


def wanted_facts(asked: Any) -> Facts:
    """What was asked for; *From* begins with a section, which has a name in the reader's language."""
    section, comma, says = asked.from_value.partition(", ")
    return [(_("From"), f"{SECTIONS[Section(section)]}{comma}{says}"), (_("To"), asked.to_value)]


def denial_facts(asked: Any) -> Facts:
    """What was denied, why, and what was said to it."""
    facts = [
        (_("What is denied"), asked.denied or ""),
        (_("Ground of the denial"), str(GROUNDS[asked.ground]) if asked.ground else ""),
        (_("Reason of the denial"), asked.denied_because or ""),
        (_("Statement of disagreement"), asked.disagreement or ""),
        (_("Rebuttal"), asked.rebuttal or ""),
    ]
    return _filled(facts)


def event_words(event: Any) -> str:
    """What happened, for the history: of a request, which step."""
    if event.did == Event.REQUEST:
        return str(STEP_WORDS[RequestVerb(json.loads(event.words)["verb"])])
    return str(EVENT_WORDS[event.did])
