"""Unrouted: the envelopes of threads that nobody can receive, and the admin's hand that passes them on."""

import json
from typing import Any

from wtforms import HiddenField

from admin import blueprint
from admin.select_user import is_key
from practice import conversations, threads
from practice.communicators import all_routable, titles_of_audiences
from practice.db import db
from practice.errors import Invalid, NotVisible, Stale
from practice.settings import RequestType
from web.answers import Answer, notice, page, to
from web.forms import Form
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
    version, to_whom = form.version.data or "", form.communicator.data or ""
    if not is_key(key):
        raise NotVisible
    try:
        conversations.hand_to(
            key,
            communicator=to_whom if is_key(to_whom) else "",
            version=int(version) if version.isascii() and version.isdigit() and len(version) < 10 else 0,
            by=visitor().actor,
        )
    except Invalid:
        return shown(422, wrong=key)
    except Stale:
        return shown(409, stale=what_happened(key), picked={key: to_whom})
    return to("admin.unrouted", done="handed")


def what_happened(key: str) -> dict[str, Any]:
    """Who has the thread now, since when and by whom; empty when it still waits and only changed."""
    db.session.close()
    if any(row.key == key for row in threads.unrouted()):
        return {}
    last = threads.last_handing(key)
    return {"title": json.loads(last.words)["title"], "at": last.at, "by": last} if last else {"title": ""}


def shown(status: int = 200, **context: Any) -> Answer:
    rows = threads.unrouted()
    values: dict[str, Any] = {
        "rows": rows,
        "limit": 200,
        "titles": titles_of_audiences(db.session(), [row.audience_id for row in rows if row.audience_id]),
        "routable": all_routable(db.session()),
        "amendment": RequestType.AMENDMENT,
        "notice": notice(),
        "wrong": None,
        "stale": None,
        "picked": {},
    }
    return page("admin/unrouted.html", "admin/_unrouted.html", status, **values | context)
