"""What the In Box is searched for: the values as they are kept with the session, and what they ask of the lists."""

from datetime import date, time, timedelta
from typing import Any

from flask import request

from practice import sessions
from practice.calendar import at_local
from practice.communicators import Box, Shared
from practice.inbox import Wanted
from practice.patient_search import PatientSearch, patients_like
from web.formats import gettext as _
from web.formats import present_practice
from web.gate import visitor

MOST_PATIENTS = 200
DAYS = ("dob", "first_day", "last_day")
FILTERS = (
    "last_name", "first_name", "phone", "email", "type", "receiver", *DAYS,
    "unread", "mine", "late", "urgent", "closed_too", "due_first",
)  # fmt: skip
MARKS = ("late", "urgent", "mine")  # what the links beside the tabs filter by


def not_understood(values: dict[str, str]) -> dict[str, str]:
    """By field what is wrong in it."""
    errors = {name: _("Remove the characters that cannot be shown.") for name, said in values.items() if "\0" in said}
    for name in DAYS:
        if values[name] and _day(values[name]) is None:
            errors[name] = _("Write the date as year-month-day, such as 2026-12-01")
    first, last = _day(values["first_day"]), _day(values["last_day"])
    if first and last and last < first:
        errors["last_day"] = _("The last day lies before the first.")
    return errors


def _day(said: str) -> date | None:
    try:
        day = date.fromisoformat(said)
    except ValueError:
        return None
    return day if 1850 <= day.year <= 9000 else None


def searched(which: str, key: str) -> tuple[dict[str, str], dict[str, Any]]:
    """What is searched for, by name, and what an address says of it."""
    if which != "in_box":
        return {}, {}
    if values := sessions.kept_filter(visitor(), key) if key else {}:
        return values, {"filter": key}
    only = request.args.get("only", "")
    return ({only: "y"}, {"only": only}) if only in MARKS else ({}, {})


def wanted_of(which: str, values: dict[str, str]) -> Wanted | None:
    """What these values ask for; None: more patients fit than are looked through."""
    said = values.get
    whose = PatientSearch(
        last=said("last_name", "").replace(",", " ").strip(),
        first=said("first_name", ""),
        dob=_day(said("dob", "")),
        phone=said("phone", ""),
        email=said("email", ""),
    )
    patients = None
    if whose != PatientSearch():
        patients = tuple(patients_like(whose, limit=MOST_PATIENTS + 1))
        if len(patients) > MOST_PATIENTS:
            return None
    first, last = _day(said("first_day", "")), _day(said("last_day", ""))
    zone = present_practice().time_zone
    return Wanted(
        sent=which == "sent",
        closed_too=bool(said("closed_too")),
        due_first=bool(said("due_first")),
        unread=bool(said("unread")),
        urgent=bool(said("urgent")),
        late=bool(said("late")),
        claimed_by=visitor().person_id if said("mine") else None,
        since=at_local(first, time(), zone) if first else None,
        until=at_local(last + timedelta(days=1), time(), zone) if last else None,
        patients=patients,
    )


def audiences_of(box: Box, wanted: Wanted, values: dict[str, str]) -> list[int]:
    return [audience.id for audience in box.shared if _is_wanted(audience, box, wanted, values)]


def _is_wanted(audience: Shared, box: Box, wanted: Wanted, values: dict[str, str]) -> bool:
    """Type and receiver choose among audiences: a thread stands with communicators of one type only."""
    if values.get("type") and audience.type != values["type"]:
        return False
    if values.get("receiver"):
        receiver = next((m.id for m in box.mine if m.key == values["receiver"]), 0)
        if receiver not in audience.communicators:
            return False
    if wanted.unread:
        return audience.unread > 0
    return wanted.sent or wanted.closed_too or audience.in_box > 0
