"""Overdue and Removed: envelopes of threads, never their words; and what the pages of all three trays share."""

from typing import Any

from flask import request, url_for

from admin import blueprint
from practice import trays
from practice.communicators import titles_of_audiences
from practice.db import db
from practice.errors import Stale
from practice.threads import Page, Place
from practice.trays import Tray
from web.answers import Answer, notice, page, to
from web.asked import version_in
from web.forms import is_key, must_be_key
from web.gate import visitor


@blueprint.get("/overdue")
def overdue() -> Answer:
    found = trays.overdue(place_in(Tray.OVERDUE))
    return page("admin/overdue.html", "admin/_overdue.html", **tray_words("admin.overdue", found))


@blueprint.get("/removed")
def removed() -> Answer:
    return shown()


@blueprint.post("/removed/<key>/restoring")
def restore_removed(key: str) -> Answer:
    must_be_key(key)
    try:
        trays.restore_removed(key, version=version_in(request.form.get("version")), by=visitor().actor)
    except Stale:
        return shown(409, stale=what_happened(key))
    return to("admin.removed", done="restored", **kept_place())


def what_happened(key: str) -> dict[str, Any]:
    """Who restored the thread and when; `is_there`: it is still removed and only changed."""
    db.session.close()
    if trays.lies_in(Tray.REMOVED, key):
        return {"is_there": True, "by": None}
    return {"is_there": False, "by": trays.last_restoring(key)}


def shown(status: int = 200, **context: Any) -> Answer:
    found = trays.removed(place_in(Tray.REMOVED))
    values: dict[str, Any] = tray_words("admin.removed", found) | {
        "restoring": with_slot("admin.restore_removed", **kept_place()),
        "removers": trays.removers([row.id for row in found.rows]),
        "notice": notice(),
        "stale": None,
    }
    return page("admin/removed.html", "admin/_removed.html", status, **values | context)


# ---- Shared by the trays -------------------------------------------------------------------------


def kept_place() -> dict[str, Any]:
    """Where in its list a page began: what is done on it leads back there."""
    return {name: request.args[name] for name in ("before", "after") if is_key(request.args.get(name, ""))}


def place_in(tray: Tray) -> Place | None:
    for name, key in kept_place().items():
        return trays.place_in(tray, key, is_newer=name == "after")
    return None


def around(endpoint: str, found: Page) -> dict[str, Any]:
    """The addresses of the page with newer rows and of the one with older rows, or nothing."""
    if not found.rows:
        return {"newer": "", "older": ""}
    newest, oldest = found.rows[0], found.rows[-1]
    if endpoint in ("admin.unrouted", "admin.overdue"):  # the oldest stands first
        newest, oldest = oldest, newest
    return {
        "newer": url_for(endpoint, after=newest.key) if found.has_newer else "",
        "older": url_for(endpoint, before=oldest.key) if found.has_older else "",
    }


SLOT = "-" * 22


def with_slot(endpoint: str, **values: Any) -> str:
    """An address in which %s stands for the key of a row: it is built once for a page, not once for a row."""
    return url_for(endpoint, key=SLOT, **values).replace("%", "%%").replace(SLOT, "%s")


def tray_words(endpoint: str, found: Page) -> dict[str, Any]:
    """What every tray shows: its envelopes, who has them, the way to the next page, and how many were opened lately."""
    return {
        "rows": found.rows,
        "titles": titles_of_audiences(db.session(), [row.audience_id for row in found.rows if row.audience_id]),
        "own_patient": visitor().own_patient_id,
        "opening": with_slot("admin.opening"),
        "recent": trays.recent_openings(),
        **around(endpoint, found),
    }
