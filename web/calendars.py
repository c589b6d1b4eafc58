"""Calendar files of appointments (RFC 5545), which carry no medical word."""

from datetime import UTC, datetime, timedelta
from typing import Any

from icalendar import Calendar, Event

from practice.appointments import AppointmentState
from web.formats import gettext as _
from web.formats import present_practice


def calendar_text(key: str, appointment: Any) -> bytes:
    """The file of an appointment by its thread's key. Times are UTC, so that no rule of summer time can move them; the same UID
    with a higher SEQUENCE changes, or takes away, the entry that a calendar has."""
    assert appointment.starts_at and appointment.changed_at  # confirmed, at least once
    is_off = appointment.state == AppointmentState.CANCELLED
    name = present_practice().name
    starts_at = _utc(appointment.starts_at)
    event = Event()
    event.add("uid", f"{key}@patient-portal")
    event.add("sequence", appointment.changes or 0)
    event.add("dtstamp", _utc(appointment.changed_at))
    event.add("dtstart", starts_at)
    event.add("dtend", starts_at + timedelta(minutes=appointment.minutes or 0))
    event.add("summary", _("Appointment, %(practice)s", practice=name) if name else _("Appointment"))
    event.add("location", appointment.place)
    event.add("status", "CANCELLED" if is_off else "CONFIRMED")
    calendar = Calendar()
    calendar.add("prodid", "-//Patient Portal//Appointments//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "CANCEL" if is_off else "PUBLISH")
    calendar.add_component(event)
    return bytes(calendar.to_ical())


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC, microsecond=0)
