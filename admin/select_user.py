"""Select User: finds members of staff for a communicator. A step of the editor's form: its unsaved state goes along hidden."""

from typing import Any

from flask import render_template, request

from practice.communicators import TERMS, Overview, Sought, staff_found, staff_with_keys, terms_in_use
from practice.db import db
from practice.threads import PAGE
from web.answers import Answer, is_htmx
from web.formats import full_name, local, number
from web.formats import gettext as _
from web.forms import keys_in, page_number
from web.spreadsheets import xlsx

ACTIONS = ("add", "search", "clear", "page")
SHEET_MAX = 5_000  # rows of a spreadsheet


def show(form: Any, communicator: Overview | None, action: str, value: str, *, address: str) -> Answer:
    """The page where staff are found and ticked; `action` is what was pressed. Nothing is saved. `address`: the editor's."""
    is_fresh, terms = action in ("add", "clear"), terms_in_use(db.session())
    sought = Sought() if is_fresh else sought_in(terms)
    picked = [] if is_fresh else [key for key in keys_in("pick") if key not in form.staff.data]
    part = staff_found(db.session(), sought, page=page_number(value) if action == "page" else 1, size=PAGE)
    values = {
        "form": form,
        "address": address,
        "sought": sought,
        "terms": terms,
        "part": part,
        "size": PAGE,
        "picked": staff_with_keys(db.session(), picked),
        "elsewhere": [key for key in picked if key not in {row.key for row in part.rows}],
        "name": form.title.data or (communicator.title if communicator else _("a new communicator")),
    }
    return render_template("admin/_select_user.html" if is_htmx() else "admin/select_user.html", **values)


def sought_in(terms: dict[str, list[str]]) -> Sought:
    """What the sent form searches for. A level, institution or department that nobody has is not asked for."""
    chosen = {kind: request.form.get(kind, "") for kind in TERMS}
    return Sought(
        words=request.form.get("q", "").replace("\0", "").strip()[:100],
        is_logged_on=request.form.get("logged_on") == "y",
        **{kind: name if name in terms[kind] else "" for kind, name in chosen.items()},
    )


def sheet() -> Answer:
    """All that the search finds, as a spreadsheet."""
    part = staff_found(db.session(), sought_in(terms_in_use(db.session())), page=1, size=SHEET_MAX)
    head = [_("Status"), _("ID"), _("Name"), _("Level"), _("Group"), _("Specialty"), _("Last Logon"), _("Last Logout")]
    rows = [
        [_("logged on") if row.is_logged_on else _("not logged on"), row.login, full_name(row), row.level, row.group]
        + [row.specialty, minute(row.last_logon_at), minute(row.last_logout_at)]
        for row in part.rows
    ]
    if part.total > SHEET_MAX:
        rows.append([_("These are the first %(most)s of %(all)s.", most=number(SHEET_MAX), all=number(part.total))])
    return xlsx(head, rows, name="users")


def minute(moment: Any) -> str:
    """2026-11-25 09:12, in the practice's zone."""
    return f"{local(moment):%Y-%m-%d %H:%M}" if moment else ""
