"""The admin side: who is in charge of what, and what waits for nobody. Envelopes of threads, never their words."""

from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, g, url_for
from markupsafe import Markup

from practice.board import gap_types
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


MOST_COUNTED = 100  # the menu says 100+ for more
_COUNTS = sa.select(UNROUTED_COUNT, WAITING_COUNT)


@blueprint.context_processor
def side_menu() -> dict[str, Any]:
    """The pages, and the numbers beside *Unrouted*, *Coverage* and *Not matched*, read once for each page."""
    if "tray_counts" not in g:
        g.tray_counts = db.session.connection().execute(_COUNTS, {"at_most": MOST_COUNTED + 1}).one()
    if "gap_count" not in g:
        g.gap_count = len(gap_types(db.session(), meaningful_use=present_practice().meaningful_use))
    counts = dict(zip(("admin.unrouted", "admin.registrations"), g.tray_counts, strict=True))
    return {"menu": _menu(catalogue()), "counts": counts | {"admin.coverage": g.gap_count}}


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
