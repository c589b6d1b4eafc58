"""Absences, as both sides keep them: the form, the list, and what pressing *Save* or *End now* does.

An admin keeps everybody's, a member of staff their own: who may do what is asked again by the verbs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import HiddenField, StringField
from wtforms.validators import ValidationError

from practice import board, coverage
from practice.absences import start_of_day
from practice.board import AbsenceRow
from practice.communicators import InCharge, Routable
from practice.db import db, now
from practice.errors import Invalid, Stale
from practice.threads import PAGE
from web.answers import Answer, notice, page, to
from web.asked import version_in
from web.formats import addresses, local, long_day, present_practice
from web.forms import DateField, Filled, Form, is_key, must_be_key, opened, page_number, tidy
from web.gate import visitor

ID_MAX = 60
OFFERED = 50  # in a practice of at most so many staff the IDs are offered while typing
YEARS = range(2000, 2100)


def may_be_id(form: Any, field: Any) -> None:
    if field.data and len(field.data) > ID_MAX:
        raise ValidationError(_("No member of staff has this ID."))


def id_field(label: Any, *validators: Any) -> Any:
    return StringField(label, [*validators, may_be_id], filters=[tidy], render_kw={"autocomplete": "off", "list": "staff-ids"})


class AbsenceForm(Form):
    """`staff` only where an admin adds one for somebody."""

    staff = id_field(_l("ID of who is absent"), Filled(_l("Write the ID of the member of staff.")))
    first_day = DateField(_l("From"), [Filled(_l("Choose the first day."))], years=YEARS)
    last_day = DateField(_l("To"), [Filled(_l("Choose the last day."))], years=YEARS)
    deputy = id_field(_l("ID of the deputy"))
    version = HiddenField()
    confirmed = HiddenField()

    @property
    def seen_version(self) -> int:
        return version_in(self.version.data)


@dataclass(frozen=True)
class Desk:
    """Whose side it is. `staff`: the only person whose absences are kept there; None: everybody's."""

    side: str
    template: str
    staff: int | None
    more: Callable[[], dict[str, Any]] = dict  # what else the side's pages show

    def url(self, name: str, **values: Any) -> str:
        return url_for(f"{self.side}.{name}", **values)

    def addresses(self, name: str) -> Callable[[str], str]:
        return addresses(f"{self.side}.{name}")


# ---- Pages ---------------------------------------------------------------------------------------


def list_page(desk: Desk) -> Answer:
    return shown(desk, None, None)


def new_page(desk: Desk) -> Answer:
    key = request.args.get("staff", "")
    login = board.staff_with(db.session(), key).login if desk.staff is None and is_key(key) else ""
    return shown(desk, _form(desk, opened(AbsenceForm, staff=login)), None)


def edit_page(desk: Desk, key: str) -> Answer:
    found = one(desk, key)
    form = opened(AbsenceForm, **values_of(found))
    return shown(desk, _form(desk, form, found), found)


def add(desk: Desk) -> Answer:
    form = _form(desk, AbsenceForm())
    staff = board.staff_with(db.session(), _own_key(desk)) if desk.staff else _known(form, form.staff)
    return keep(desk, form, staff, None)


def change(desk: Desk, key: str) -> Answer:
    found = one(desk, key)
    return keep(desk, _form(desk, AbsenceForm(), found), board.staff_with(db.session(), found.staff_key), found)


def end(desk: Desk, key: str) -> Answer:
    found = one(desk, key)
    try:
        coverage.end_absence(found.key, version=version_in(request.form.get("version")), by=visitor().actor)
    except Stale:
        db.session.close()
        return shown(desk, None, None, 409, stale=one(desk, key))
    return to(f"{desk.side}.absences", done="ended")


# ---- Saving --------------------------------------------------------------------------------------


def keep(desk: Desk, form: Any, staff: InCharge | None, found: AbsenceRow | None) -> Answer:
    """Saves what the form says, unless it must be shown again: with errors, with a gap to confirm, or overtaken."""
    is_valid = form.validate_on_submit()
    is_outdated = found is not None and found.version != form.seen_version
    if is_valid and found and not is_outdated and found.lasts and form.first_day.data != local(found.starts_at).date():
        form.put(Invalid("first_day", "This absence has begun: its first day stays."))
    if staff is None and form.staff.data and not form.staff.errors:
        form.put(Invalid("staff", "No member of staff has this ID."))
    deputy = _known(form, form.deputy)
    if form.deputy.data and not deputy and not form.deputy.errors:
        form.put(Invalid("deputy", "No member of staff has this ID."))
    if staff is None or not is_valid or form.errors:
        return shown(desk, form, found, 422)
    left = [] if deputy or is_outdated else left_by(form, staff)
    if not {one.key for one in left} <= set((form.confirmed.data or "").split(",")):
        form.confirmed.data = ",".join(one.key for one in left)
        return shown(desk, form, found, 422, left=left, away=staff)
    days = {"first_day": form.first_day.data, "last_day": form.last_day.data, "deputy": deputy.key if deputy else None}
    try:
        if found:
            coverage.change_absence(found.key, **days, version=form.seen_version, by=visitor().actor)
        else:
            coverage.add_absence(staff.key, **days, form_key=form.key.data, by=visitor().actor)
    except Invalid as error:
        form.put(error)
        return shown(desk, form, found, 422)
    except Stale:
        return overtaken(desk, form, found, deputy)
    return to(f"{desk.side}.absences", done="saved")


def left_by(form: Any, staff: InCharge) -> list[Routable]:
    """The communicators that nobody would receive for on some of these days; none for days that are refused anyway."""
    first, last = form.first_day.data, form.last_day.data
    if last < max(first, local(now()).date()):
        return []
    zone = present_practice().time_zone
    days = {"starts_at": start_of_day(first, zone), "ends_at": start_of_day(last + timedelta(days=1), zone)}
    return board.left_by_absence(db.session(), staff.id, **days)


def overtaken(desk: Desk, form: Any, found: AbsenceRow | None, deputy: InCharge | None) -> Answer:
    """Changed or ended by somebody else meanwhile: both states side by side; what was typed stays."""
    db.session.close()
    saved = one(desk, found.key if found else "")
    form.version.data = str(saved.version)
    rows = [
        (form.first_day.label.text, long_day(form.first_day.data), long_day(saved.starts_at)),
        (form.last_day.label.text, long_day(form.last_day.data), long_day(saved.last)),
        (_("Deputy"), deputy.name if deputy else _("nobody"), saved.deputy or _("nobody")),
    ]
    changes = [(str(field), mine, theirs) for field, mine, theirs in rows if mine != theirs]
    return shown(desk, form, saved, 409, is_overtaken=True, changes=changes)


# ---- Shared --------------------------------------------------------------------------------------


def one(desk: Desk, key: str) -> AbsenceRow:
    """Raises NotVisible, for somebody else's too where a person keeps their own."""
    must_be_key(key)
    return board.absence_with(db.session(), key, staff=desk.staff)


def _own_key(desk: Desk) -> str:
    return board.key_of(db.session(), desk.staff or 0)


def _known(form: Any, field: Any) -> InCharge | None:
    login, is_wrong = field.data or "", field.errors or field.process_errors  # no database is asked for a NUL
    return board.staff_with_login(db.session(), login) if login and len(login) <= ID_MAX and not is_wrong else None


def _form(desk: Desk, form: Any, found: AbsenceRow | None = None) -> Any:
    """Without the field that says whose absence it is, where that is known; what has begun began when it did."""
    if found and found.lasts:
        form.first_day.render_kw = {"readonly": True}
    if desk.staff is not None or found is not None:
        del form.staff
        form.staff = None
    return form


def values_of(found: AbsenceRow) -> dict[str, Any]:
    return {
        "first_day": local(found.starts_at).date(),
        "last_day": local(found.last).date(),
        "deputy": found.deputy_login,
        "version": str(found.version),
    }


def shown(desk: Desk, form: Any, found: AbsenceRow | None, status: int = 200, **context: Any) -> Answer:
    """The list, with the form beside it where there is one."""
    is_past = bool(request.args.get("past"))
    number = page_number(request.args.get("page"))
    rows, total = board.absences(db.session(), past=is_past, page=number, staff=desk.staff)
    values: dict[str, Any] = {
        "desk": desk,
        "rows": rows,
        "total": total,
        "number": number,
        "size": PAGE,
        "is_past": is_past,
        "form": form,
        "open": found,
        "action": desk.url("change_absence", key=found.key) if found else desk.url("add_absence"),
        "offered": board.active_staff(db.session(), at_most=OFFERED) if form else [],
        "stand_ins": board.stands_in(db.session(), desk.staff) if desk.staff else [],
        "zone": present_practice().time_zone,
        "notice": notice(),
        "left": [],
        "changes": [],
        "is_overtaken": False,
        "stale": None,
    }
    return page(desk.template, "absences/_absences.html", status, **desk.more(), **values | context)
