"""Deleting ticked communicators, a result a row; what else can be done with one that has threads; and the first run."""

from typing import Any

from flask import request

from admin import blueprint
from admin.communicator_list import Deletion, place_here, refused
from admin.communicators import one, shown
from practice import coverage
from practice.communicators import Overview, all_routable
from practice.coverage import HasThreads, gaps_without, has_threads
from practice.db import db
from practice.errors import Invalid, NotVisible, Stale
from practice.settings import RequestType
from practice.threads import PAGE
from web.answers import Answer, to
from web.asked import version_in
from web.forms import is_key, keys_in, must_be_key
from web.gate import visitor


@blueprint.post("/communicators/deletions")
def delete_communicators() -> Answer:
    known = {key: one(key) for key in keys_in("communicator")[:PAGE]}
    if not known:
        return shown(None, None, 422, is_nothing_ticked=True)
    gaps = gaps_after([row for row in known.values() if row])
    if not set(gaps) <= set(request.form.get("confirmed", "").split(",")):
        return shown(None, None, 422, gaps=gaps, ticked=list(known))
    results = [deletion(key, row) for key, row in known.items()]
    if all(result.is_deleted for result in results):
        return to("admin.communicators", done="deleted", **place_here().args())
    return shown(None, None, 409, results=results)


@blueprint.post("/communicators/<key>/switching-off")
def switch_off_communicator(key: str) -> Answer:
    row = one(key)
    if row is None:
        raise NotVisible
    is_gap = row.is_in_use and gaps_without(db.session(), key, kind=row.type, staff=[], is_in_use=False)
    if is_gap and request.form.get("confirmed") != row.type:
        return dealt_with(key, 422, gap=True)
    try:
        coverage.save_communicator(
            key,
            kind=row.type,
            title=row.title,
            staff=[member.key for member in row.staff],
            is_in_use=False,
            version=version_in(request.form.get("version")),
            by=visitor().actor,
        )
    except Stale:
        return dealt_with(key, 409, problem="stale")
    return to("admin.communicators", done="saved", **rest(key), **place_here().args())


@blueprint.post("/communicators/<key>/handing")
def hand_open_threads(key: str) -> Answer:
    target = request.form.get("to", "")
    must_be_key(key)
    try:
        coverage.hand_open_threads(key, to=target if is_key(target) else "", by=visitor().actor)
    except Invalid:
        return dealt_with(key, 422, problem="to")
    return to("admin.communicators", done="handed", **rest(key), **place_here().args())


@blueprint.post("/communicators/first")
def handle_everything() -> Answer:
    """I handle everything: the four communicators at first run."""
    try:
        coverage.handle_everything(by=visitor().actor)
    except Stale:
        return shown(None, None, 409, is_not_first=True)
    return to("admin.communicators", done="saved")


# ---- Shared --------------------------------------------------------------------------------------


def gaps_after(ticked: list[Overview]) -> list[RequestType]:
    """The types that somebody receives now and nobody would after these are deleted, as far as they can be."""
    receiving = all_routable(db.session())
    can_receive = {each.key for each in receiving}
    going = {row.key for row in ticked if row.key in can_receive and not has_threads(db.session(), row.id)}
    left = {each.type for each in receiving if each.key not in going}
    return [kind for kind in RequestType if kind in {row.type for row in ticked if row.key in going} - left]


def deletion(key: str, row: Overview | None) -> Deletion:
    try:
        coverage.delete_communicator(key, by=visitor().actor)
    except NotVisible:
        return Deletion(None)
    except HasThreads:
        return refused(key)
    return Deletion(row, is_deleted=True)


def dealt_with(key: str, status: int, **more: Any) -> Answer:
    """The rows that were refused, once more; something is to be said of the one whose button was pressed."""
    db.session.close()
    others = [refused(other) for other in keys_in("refused")[:PAGE] if other != key]
    return shown(None, None, status, results=[refused(key, **more), *others])


def rest(key: str) -> dict[str, str]:
    """For the address: the refused rows that are still to be dealt with."""
    others = [other for other in keys_in("refused")[:PAGE] if other != key]
    return {"refused": ".".join(others)} if others else {}
