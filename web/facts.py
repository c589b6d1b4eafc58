"""What the request of a thread says, field by field, in the reader's language: for the patient and for the staff alike."""

from practice.amendments import AmendmentState, amendment_of
from practice.appointments import AppointmentState, appointment_of
from practice.results import HandOver, Media, ResultState, result_of
from practice.settings import RequestType
from practice.threads import MOVES, Event, Opened
from web.formats import clock, day
from web.formats import gettext as _
from web.formats import lazy_gettext as _l

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
}

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
}
"""What happened to a thread, in its history."""

Facts = list[tuple[str, str]]


def facts_of(opened: Opened) -> Facts:
    """Names and values of a thread's request, empty values left out; one statement, none for Others.

    One that was handed on may have another type than it was sent as: the request goes along, whichever it is.
    """
    kind, thread = opened.head.type, opened.head.id
    is_handed = any(event.did in MOVES for event in opened.events)
    of_types = {RequestType.APPOINTMENT: _appointment, RequestType.RESULT: _result, RequestType.AMENDMENT: _amendment}
    asked = of_types.values() if is_handed else [of_types[kind]] if kind in of_types else []
    return [(name, value) for of_type in asked for name, value in of_type(thread) if value]


def _appointment(thread: int) -> Facts:
    found = appointment_of(thread)
    if found is None:
        return []
    wish, facility, physician = found
    return [
        (_("State"), str(STATES[wish.state])),
        (_("Facility"), facility),
        (_("Referring physician"), physician or ""),
        (_("Reason for visit"), wish.reason),
        (_("Preferred date range"), _("%(first)s to %(last)s", first=day(wish.first_day), last=day(wish.last_day))),
        (_("Day of week"), ", ".join(str(WEEKDAYS[int(n)]) for n in wish.weekdays)),
        (_("Preferred time range"), time_range(*(clock(at) if at else "" for at in (wish.from_time, wish.to_time)))),
        (_("Comments"), wish.comments),
    ]


def time_range(first: str, last: str) -> str:
    if first and last:
        return _("%(first)s to %(last)s", first=first, last=last)
    return _("from %(time)s", time=first) if first else _("until %(time)s", time=last) if last else ""


def _result(thread: int) -> Facts:
    found = result_of(thread)
    if found is None:
        return []
    order, location = found
    return [
        (_("State"), str(STATES[order.state])),
        (_("Which type of media"), ", ".join(str(MEDIA[media]) for media in order.media)),
        (_("How to receive it"), str(HAND_OVER[order.hand_over])),
        (_("Location"), location or ""),
        (_("All studies"), _("Yes") if order.is_all_studies else _("No")),
        (_("Exam date"), day(order.exam_date) if order.exam_date else ""),
    ]


def _amendment(thread: int) -> Facts:
    found = amendment_of(thread)
    if found is None:
        return []
    return [(_("State"), str(STATES[found.state])), (_("From"), found.from_value), (_("To"), found.to_value)]
