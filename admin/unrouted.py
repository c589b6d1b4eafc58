"""Unrouted: the envelopes of threads that nobody can receive, and the admin's hand that passes them on."""

import json
from typing import Any

from wtforms import HiddenField

from admin import blueprint
from admin.trays import kept_place, place_in, tray_words
from practice import conversations, trays
from practice.communicators import all_routable
from practice.db import db
from practice.errors import Invalid, Stale
from practice.settings import RequestType
from practice.trays import Tray
from web.answers import Answer, notice, page, to
from web.asked import version_in
from web.forms import Form, is_key, must_be_key
from web.gate import visitor


class HandForm(Form):
    communicator = HiddenField()
    version = HiddenField()


@blueprint.get("/unrouted")
def unrouted() -> Answer:
    return shown()


@blueprint.post("/unrouted/<key>/handing")
def hand_to(key: str) -> Answer:
    form = HandForm()
    version, to_whom = version_in(form.version.data), form.communicator.data or ""
    must_be_key(key)
    try:
        communicator = to_whom if is_key(to_whom) else ""
        conversations.hand_to(key, communicator=communicator, version=version, by=visitor().actor)
    except Invalid:
        return shown(422, wrong=key)
    except Stale:
        return shown(409, stale=what_happened(key), picked={key: to_whom})
    return to("admin.unrouted", done="handed", **kept_place())


def what_happened(key: str) -> dict[str, Any]:
    """Who has the thread now, since when and by whom; empty when it still waits and only changed."""
    db.session.close()
    if trays.lies_in(Tray.UNROUTED, key):
        return {}
    last = trays.last_handing(key)
    return {"title": json.loads(last.words)["title"], "at": last.at, "by": last} if last else {"title": ""}


def shown(status: int = 200, **context: Any) -> Answer:
    found = trays.unrouted(place_in(Tray.UNROUTED))
    values: dict[str, Any] = tray_words("admin.unrouted", found) | {
        "routable": all_routable(db.session()),
        "amendment": RequestType.AMENDMENT,
        "notice": notice(),
        "wrong": None,
        "stale": None,
        "picked": {},
    }
    return page("admin/unrouted.html", "admin/_unrouted.html", status, **values | context)
