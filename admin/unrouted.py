"""Unrouted: the envelopes of threads that nobody can receive, and the admin's hand that passes them on."""

import json
from dataclasses import dataclass
from typing import Any

from flask import request

from admin import blueprint
from admin.trays import kept_place, place_in, tray_words
from practice import conversations, trays
from practice.communicators import Routable, all_routable
from practice.db import db
from practice.errors import Invalid, NotVisible, Stale
from practice.settings import RequestType
from practice.threads import PAGE
from practice.trays import Tray
from web.answers import Answer, notice, page, to
from web.asked import version_in
from web.choices import Choices, options
from web.formats import gettext, type_name
from web.forms import is_key
from web.gate import visitor


@blueprint.get("/unrouted")
def unrouted() -> Answer:
    return shown()


@blueprint.post("/unrouted/handing")
def hand_to() -> Answer:
    """Hands each ticked thread to the same communicator; what cannot go there stays ticked and says why."""
    ticked, picked = ticked_threads(), request.form.get("communicator", "")
    if not ticked:
        return shown(422, picked=picked, is_nothing_ticked=True)
    if not is_key(picked):
        return shown(422, ticked=ticked, is_wrong=True)
    results = [handing(key, picked, version) for key, version in ticked.items()]
    left = {result.key: ticked[result.key] for result in results if not result.is_handed}
    if not left:
        return to("admin.unrouted", done="handed", **kept_place())
    db.session.close()
    who = trays.patients_of(list(ticked))
    is_late = any(result.what is not None for result in results)
    is_wrong = any(result.wrong for result in results)
    how = {"results": results, "who": who, "is_late": is_late, "is_wrong": is_wrong}
    return shown(409 if is_late else 422, ticked=left, picked=picked, **how)


def ticked_threads() -> dict[str, int]:
    """Key and version of each, as the page showed them."""
    said = [value.partition(".") for value in request.form.getlist("thread")[:PAGE]]
    return {key: version_in(version) for key, _dot, version in said if is_key(key)}


@dataclass(frozen=True)
class Handing:
    """What came of handing one thread on. `wrong`: why it cannot go there; `what`: what happened to it meanwhile."""

    key: str
    is_handed: bool = False
    wrong: str = ""
    what: dict[str, Any] | None = None


def handing(key: str, communicator: str, version: int) -> Handing:
    try:
        conversations.hand_to(key, communicator=communicator, version=version, by=visitor().actor)
    except Invalid as error:
        return Handing(key, wrong=gettext(error.text, **error.values))
    except (Stale, NotVisible):
        return Handing(key, what=what_happened(key))
    return Handing(key, is_handed=True)


def what_happened(key: str) -> dict[str, Any]:
    """Who has the thread now, since when and by whom; empty when it still waits and only changed."""
    db.session.close()
    if trays.lies_in(Tray.UNROUTED, key):
        return {}
    last = trays.last_handing(key)
    return {"title": json.loads(last.words)["title"], "at": last.at, "by": last} if last else {"title": ""}


def is_amendment(one: Any) -> bool:
    """Of a thread or a communicator: one goes to the other only where both are, or neither is."""
    return bool(one.type == RequestType.AMENDMENT)


def in_words(communicators: list[Routable]) -> Choices:
    words = {kind: gettext("%(title)s (%(type)s)", title="%(title)s", type=type_name(kind)) for kind in RequestType}
    offered = tuple((one.key, words[one.type] % {"title": one.title}) for one in communicators)
    return (("", gettext("Choose")), *offered) if offered else ()


def shown(status: int = 200, **context: Any) -> Answer:
    found = trays.unrouted(place_in(Tray.UNROUTED))
    here = {is_amendment(row) for row in found.rows}
    communicators = [one for one in all_routable(db.session()) if is_amendment(one) in here]
    values: dict[str, Any] = tray_words("admin.unrouted", found) | {
        "choices": options(in_words(communicators), context.get("picked")),
        "offered": {is_amendment(one) for one in communicators},
        "kept": kept_place(),
        "notice": notice(),
        "ticked": {},
    }
    return page("admin/unrouted.html", "admin/_unrouted.html", status, **values | context)
