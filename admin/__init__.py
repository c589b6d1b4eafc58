"""The admin side: who is in charge of what, and what waits for nobody. Envelopes of threads, never their words."""

from functools import lru_cache
from typing import Any

from flask import Blueprint, g, url_for
from markupsafe import Markup

from practice.board import TYPES, gap_types
from practice.db import db
from practice.matching import WAITING_COUNT
from practice.trays import UNROUTED_COUNT
from web.formats import catalogue, icon, present_practice
from web.formats import lazy_gettext as _l
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


@lru_cache(maxsize=8)
def _menu(_words: Any) -> list[tuple[str, str, Markup]]:
    """Endpoint, address, and icon with label of each page: made once for each language, by its catalogue."""
    return [(endpoint, url_for(endpoint), icon(name) + str(label)) for endpoint, name, label in MENU]


_NUMBERS = TYPES.add_columns(UNROUTED_COUNT, WAITING_COUNT)


@blueprint.context_processor
def side_menu() -> dict[str, Any]:
    """The pages, and the numbers beside *Unrouted*, *Coverage* and *Not matched*, read once for each page."""
    if "menu_counts" not in g:
        types = db.session.connection().execute(_NUMBERS).all()
        *_, unrouted, waiting = types[0]
        gaps = len(gap_types(types, meaningful_use=present_practice().meaningful_use))
        g.menu_counts = {"admin.unrouted": unrouted, "admin.registrations": waiting, "admin.coverage": gaps}
    return {"menu": _menu(catalogue()), "counts": g.menu_counts}


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
    second_steps,
    staff,
    trays,
    unrouted,
)
