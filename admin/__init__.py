"""The admin side: who is in charge of what, and what waits for nobody. Envelopes of threads, never their words."""

from typing import Any

from flask import Blueprint, g

from practice.board import gap_types
from practice.db import db
from practice.matching import waiting_count
from practice.trays import unrouted_count
from web.formats import lazy_gettext as _l
from web.formats import present_practice
from web.gate import ADMIN, guard

blueprint = Blueprint("admin", __name__, url_prefix="/admin")
guard(blueprint, ADMIN)


MENU = (
    ("admin.communicators", "diagram-3", _l("Message Communicator")),
    ("admin.coverage", "shield-check", _l("Coverage")),
    ("admin.absences", "person-check", _l("Absences")),
    ("admin.numbers", "bar-chart-line", _l("Numbers")),
    ("admin.unrouted", "inboxes", _l("Unrouted")),
    ("admin.overdue", "hourglass-split", _l("Overdue")),
    ("admin.removed", "trash", _l("Removed")),
    ("admin.mails", "envelope", _l("Mails not sent")),
    ("admin.staff", "people", _l("Staff")),
    ("admin.patients", "person", _l("Patients")),
    ("admin.registrations", "person-check", _l("Not matched")),
    ("admin.lists", "building", _l("Facilities")),
    ("admin.practice", "pencil", _l("Practice")),
    ("admin.menu", "sliders", _l("Menu Settings")),
    ("admin.audit", "journal-text", _l("Audit")),
)
"""Endpoint, icon and label of each page of the side."""


@blueprint.context_processor
def side_menu() -> dict[str, Any]:
    """The pages, and the numbers beside *Unrouted*, *Coverage* and *Not matched*, read once for each page."""
    if "unrouted_count" not in g:
        g.unrouted_count = unrouted_count()
    if "gap_count" not in g:
        g.gap_count = len(gap_types(db.session(), meaningful_use=present_practice().meaningful_use))
    if "waiting_count" not in g:
        g.waiting_count = waiting_count()
    counts = {"admin.unrouted": g.unrouted_count, "admin.coverage": g.gap_count, "admin.registrations": g.waiting_count}
    return {"menu": MENU, "counts": counts}


from admin import (  # noqa: E402, F401
    absences,
    audit,
    communicators,
    coverage,
    deletions,
    imports,
    lists,
    mails,
    menu,
    numbers,
    openings,
    patients,
    practice,
    registrations,
    staff,
    trays,
    unrouted,
)
