"""Coverage: who would receive a message sent this second, what if somebody were away, everything of one person, and who was in
charge at a moment. The answers come from practice/board.py, which asks the functions that sending asks."""

from contextlib import nullcontext
from datetime import date, datetime, time
from typing import Any

from flask import render_template, request
from wtforms import HiddenField

from admin import blueprint
from practice import board, coverage, sessions
from practice.board import How
from practice.calendar import at_local
from practice.communicators import InCharge, Sought, staff_found
from practice.db import COUNTED, db, now
from practice.errors import Invalid
from practice.settings import RequestType
from practice.threads import PAGE
from web.absences import OFFERED, id_field
from web.answers import Answer, notice, to
from web.formats import gettext as _
from web.formats import lazy_gettext as _l
from web.formats import local, present_practice
from web.forms import Filled, Form, is_key, must_be_key, opened, page_number
from web.gate import drafts_to, visitor

CHOSEN_AMONG = 30  # in charge of something: more than these are searched for instead


# ---- The board -----------------------------------------------------------------------------------


@blueprint.get("/coverage", endpoint="coverage")
def board_page() -> Answer:
    kind = next((one for one in RequestType if one == request.args.get("type")), None)
    who, how = request.args.get("who", ""), request.args.get("how", "")
    supposed = supposition(who, how) if who else None
    number = page_number(request.args.get("page")) if kind else 1
    with board.supposed(supposed.person.id, supposed.how) if supposed else nullcontext():
        lanes = board.coverage_now(db.session(), kind=kind, page=number)
    gaps = [lane for lane in lanes if lane.is_gap]
    new = supposed.gaps if supposed else ()
    q = sessions.kept_filter(visitor(), request.args.get("filter", "")).get("q", "")
    return render_template(
        "admin/coverage.html",
        lanes=sorted(lanes, key=lambda lane: lane.type not in new),
        new_gaps=[lane for lane in gaps if lane.type in new],
        old_gaps=[lane for lane in gaps if lane.type not in new],
        kind=kind,
        number=number,
        size=PAGE,
        counted=COUNTED,
        what_if=supposed,
        how=How,
        kept={"who": who, "how": supposed.how} if supposed else {},
        chosen=board.active_staff(db.session(), at_most=CHOSEN_AMONG, is_in_charge=True),
        q=q,
        found=staff_found(db.session(), Sought(q), page=1, size=PAGE).rows if q else None,
        at=now(),
    )


def supposition(who: str, how: str) -> board.WhatIf:
    """Raises NotVisible for nobody of the staff."""
    must_be_key(who)
    kind = next((one for one in How if one == how), How.DISABLED)
    return board.what_if(db.session(), who, kind)


@blueprint.post("/coverage/searches")
def search_coverage() -> Answer:
    """Names never stand in an address, which only has the key of what is searched for."""
    q = request.form.get("q", "").replace("\0", "").strip()[:100]
    return to("admin.coverage", filter=sessions.keep_filter(visitor(), {"q": q})) if q else to("admin.coverage")


# ---- By person -----------------------------------------------------------------------------------


class ReplaceForm(Form):
    with_login = id_field(_l("ID of who takes over"), Filled(_l("Write the ID of the member of staff.")))
    confirmed = HiddenField()


@blueprint.get("/coverage/people/<key>")
def coverage_person(key: str) -> Answer:
    return person_shown(key, opened(ReplaceForm))


@blueprint.post("/coverage/people/<key>/replacement")
@drafts_to("admin.coverage_person")
def replace_staff(key: str) -> Answer:
    """First shows what it does; pressed again, it is done."""
    person = the_person(key)
    form: Any = ReplaceForm()
    other = who_takes_over(form, person)
    if other is None:
        return person_shown(key, form, 422)
    if form.confirmed.data != other.key:
        form.confirmed.data = other.key
        left = board.left_by_replacement(db.session(), key, with_key=other.key)
        return person_shown(key, form, 200, other=other, left=left)
    try:
        coverage.replace_everywhere(key, with_key=other.key, by=visitor().actor)
    except Invalid as error:  # disabled since it was shown
        form.put(Invalid("with_login", error.text))
        form.confirmed.data = ""
        return person_shown(key, form, 422)
    return to("admin.coverage_person", key=key, done="saved")


def who_takes_over(form: Any, person: InCharge) -> InCharge | None:
    """None where the form names nobody who can: it says so."""
    if not form.validate_on_submit():
        return None
    other = board.staff_with_login(db.session(), form.with_login.data)
    if other is None:
        form.put(Invalid("with_login", "No member of staff has this ID."))
    elif not other.is_active or other.key == person.key:
        form.put(Invalid("with_login", "Choose another member of staff whose account is active."))
    else:
        return other
    return None


def the_person(key: str) -> InCharge:
    must_be_key(key)
    return board.staff_with(db.session(), key)


def person_shown(key: str, form: Any, status: int = 200, **context: Any) -> Answer:
    person = the_person(key)
    absences, _total = board.absences(db.session(), staff=person.id)
    values: dict[str, Any] = {
        "person": person,
        "held": board.held_by(db.session(), person.id),
        "absences": absences,
        "stand_ins": board.stands_in(db.session(), person.id),
        "form": form,
        "offered": board.active_staff(db.session(), at_most=OFFERED),
        "other": None,
        "left": [],
        "notice": notice(),
    }
    return render_template("admin/coverage_person.html", **values | context), status


# ---- At a given moment ---------------------------------------------------------------------------


@blueprint.get("/coverage/history")
def coverage_history() -> Answer:
    key, on, at = (request.args.get(name, "").strip() for name in ("communicator", "on", "at"))
    moment, errors = moment_of(on, at) if key or on or at else (None, {})
    if (key or on or at) and not is_key(key):
        errors["communicator"] = _("Choose a communicator.")
    present = local(now())
    values = {
        "communicators": board.titles(db.session()),
        "key": key,
        "on": on or f"{present:%Y-%m-%d}",
        "at": at or f"{present:%H:%M}",
        "then": board.in_charge_at(db.session(), key, moment) if moment and not errors else None,
        "moment": moment,
        "errors": errors,
        "zone": present_practice().time_zone,
    }
    return render_template("admin/coverage_history.html", **values), 422 if errors else 200


def moment_of(on: str, at: str) -> tuple[datetime | None, dict[str, str]]:
    """The moment in the practice's time zone as naive UTC, or what is wrong with it by field."""
    errors: dict[str, str] = {}
    try:
        day = date.fromisoformat(on)
    except ValueError:
        errors["on"] = _("Write the date as year-month-day, such as 2026-12-01")
    try:
        clock = time.fromisoformat(at or "00:00").replace(tzinfo=None)
    except ValueError:
        errors["at"] = _("Write the time as hours and minutes, such as 09:30")
    if errors:
        return None, errors
    if not 2000 <= day.year < 2100:
        return None, {"on": _("Choose a day between the years 2000 and 2099.")}
    moment = at_local(day, clock, present_practice().time_zone)
    if moment > now():
        return None, {"on": _("This moment has not come yet. For the present see Coverage.")}
    return moment, {}
