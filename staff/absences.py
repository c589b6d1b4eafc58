"""Own absences: from, to, and who stands in; and for whom this person stands in. Shared with the admin side (web/absences.py)."""

from typing import Any

from flask import g

from practice import board
from practice.board import AbsenceRow
from practice.db import db
from staff import blueprint
from staff.box import my_box, unread
from web import absences as shared
from web.absences import Desk
from web.answers import Answer
from web.gate import drafts_to, visitor


def desk() -> Desk:
    return Desk("staff", "staff/absences.html", staff=visitor().person_id, more=box_words)


def box_words() -> dict[str, Any]:
    return {"here": "staff.absences", "box": my_box(), "unread": unread()}


@blueprint.context_processor
def absence_words() -> dict[str, Any]:
    """Asked only where a page wants to know."""
    return {"my_absence": my_absence}


def my_absence() -> AbsenceRow | None:
    if "my_absence" not in g:
        g.my_absence = board.absence_now(db.session(), visitor().person_id) if my_box().is_away else None
    return g.my_absence


@blueprint.get("/absences")
def absences() -> Answer:
    return shared.list_page(desk())


@blueprint.get("/absences/new")
def new_absence() -> Answer:
    return shared.new_page(desk())


@blueprint.post("/absences")
@drafts_to("staff.new_absence")
def add_absence() -> Answer:
    return shared.add(desk())


@blueprint.get("/absences/<key>")
def absence(key: str) -> Answer:
    return shared.edit_page(desk(), key)


@blueprint.post("/absences/<key>")
def change_absence(key: str) -> Answer:
    return shared.change(desk(), key)


@blueprint.post("/absences/<key>/ending")
def end_absence(key: str) -> Answer:
    return shared.end(desk(), key)
