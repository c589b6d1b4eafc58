"""Absences of everybody, as an admin keeps them; the form and what it does are shared with the staff (web/absences.py)."""

from admin import blueprint
from web import absences as shared
from web.absences import Desk
from web.answers import Answer
from web.gate import drafts_to

DESK = Desk("admin", "admin/absences.html", staff=None)


@blueprint.get("/absences")
def absences() -> Answer:
    return shared.list_page(DESK)


@blueprint.get("/absences/new")
def new_absence() -> Answer:
    return shared.new_page(DESK)


@blueprint.post("/absences")
@drafts_to("admin.new_absence")
def add_absence() -> Answer:
    return shared.add(DESK)


@blueprint.get("/absences/<key>")
def absence(key: str) -> Answer:
    return shared.edit_page(DESK, key)


@blueprint.post("/absences/<key>")
def change_absence(key: str) -> Answer:
    return shared.change(DESK, key)


@blueprint.post("/absences/<key>/ending")
def end_absence(key: str) -> Answer:
    return shared.end(DESK, key)
