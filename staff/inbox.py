"""In Box and Sent Items: the shared lists, filtered and paged."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from flask import Response, make_response, render_template, request, url_for

from practice import people, sessions, threads
from practice.communicators import Box, Shared
from practice.db import db
from practice.people import Person
from practice.settings import RequestType
from practice.threads import Page
from staff import blueprint
from staff.box import my_box, unread
from web.answers import Answer, is_htmx, notice, page, to
from web.formats import end_of_today, type_mark
from web.gate import visitor

MOST_PATIENTS = 200
FILTERS = ("last_name", "type", "receiver", "unread", "late", "urgent")
MARKS = ("late", "urgent")  # what the links beside the tabs filter by
KEPT = ("which", "filter", "only", "before", "after")  # what an address says of the list beside an open message


@blueprint.get("/")
def inbox() -> Answer:
    return page("staff/inbox.html", "staff/_list.html", **listed("in_box"))


@blueprint.get("/sent")
def sent_items() -> Answer:
    return page("staff/sent_items.html", "staff/_list.html", **listed("sent"))


@blueprint.post("/searches")
def search() -> Answer:
    """Keeps what is searched for with the session: personal values never stand in an address, which only has the key."""
    values = {name: request.form.get(name, "")[:200].replace("\0", "") for name in FILTERS}
    if not any(values.values()):
        return to("staff.inbox")
    key = sessions.keep_filter(visitor(), values)
    if not is_htmx():
        return to("staff.inbox", filter=key)
    answer: Response = make_response(render_template("staff/_list.html", **listed("in_box", key=key)))
    answer.headers["HX-Push-Url"] = url_for("staff.inbox", filter=key)
    return answer


@dataclass(frozen=True)
class Found:
    """A page of rows, or why there are none."""

    page: Page
    is_too_many: bool = False


def listed(which: str, *, key: str | None = None) -> dict[str, Any]:
    """What a list page shows: the rows, the filter they passed, and the way to the next page."""
    box = my_box()
    key = key or request.args.get("filter", "")[:22]
    values = sessions.kept_filter(visitor(), key) if key and which == "in_box" else {}
    carried: dict[str, Any] = {"filter": key} if values else {}
    if (only := request.args.get("only", "")) in MARKS and which == "in_box" and not values:
        values, carried = {only: "y"}, {"only": only}
    found = _find(box, which, values)
    endpoint = "staff.inbox" if which == "in_box" else "staff.sent_items"
    rows = found.page.rows
    return {
        "here": endpoint,
        "box": box,
        "which": which,
        "unread": unread(),
        "marked": threads.marked_counts(box.audiences, box.own_patient) if which == "in_box" and not is_htmx() else None,
        "rows": rows,
        "is_too_many": found.is_too_many,
        "answers": threads.newest_answers([row.id for row in rows]) if which == "sent" and rows else {},
        "values": values,
        "newer": url_for(endpoint, after=rows[0].key, **carried) if rows and found.page.has_newer else "",
        "older": url_for(endpoint, before=rows[-1].key, **carried) if rows and found.page.has_older else "",
        **row_words(box, _place_args() | carried | ({"which": "sent"} if which == "sent" else {})),
        "notice": notice(),
        "about": request.args.get("about", "")[:22],
        "admins": admins() if not box.mine else [],
    }


def row_words(box: Box, kept: dict[str, Any]) -> dict[str, Any]:
    """What every row needs, made once: titles by audience, marks by type, the address of a message round its KEY."""
    return {
        "receivers": {audience.id: ", ".join(audience.titles) for audience in box.shared},
        "marks": {kind: type_mark(kind) for kind in RequestType},
        "carried": url_for("staff.message", key="KEY", **kept),
        "tonight": end_of_today(),
        "kept": kept,
    }


def kept() -> dict[str, Any]:
    """Which list, filtered how and from where on, stands beside the open message: every act on it leads back there."""
    return {name: request.args[name][:22] for name in KEPT if request.args.get(name)}


def _place_args() -> dict[str, Any]:
    return {name: request.args[name][:22] for name in ("before", "after") if request.args.get(name)}


def _find(box: Box, which: str, values: dict[str, str]) -> Found:
    audiences = [a.id for a in box.shared if _is_wanted(a, box, which, values)]
    patients = None
    if name := values.get("last_name", "").replace(",", " ").strip():
        patients = people.patients_named(name, limit=MOST_PATIENTS + 1) if people.fold(name) else []
        if len(patients) > MOST_PATIENTS:
            return Found(Page([], False, False), is_too_many=True)
    place = None
    for side, key in _place_args().items():
        place = threads.place_in_box(key, box.audiences, which=which, is_newer=side == "after")
    found = threads.threads_for(
        audiences,
        own_patient=box.own_patient,
        which=which,
        unread=bool(values.get("unread")),
        urgent=bool(values.get("urgent")),
        late=bool(values.get("late")),
        patients=patients,
        place=place,
    )
    return Found(found)


def _is_wanted(audience: Shared, box: Box, which: str, values: dict[str, str]) -> bool:
    """Type and receiver choose among audiences: a thread stands with communicators of one type only."""
    if values.get("type") and audience.type != values["type"]:
        return False
    if values.get("receiver"):
        receiver = next((m.id for m in box.mine if m.key == values["receiver"]), 0)
        if receiver not in audience.communicators:
            return False
    if which == "sent":
        return True
    return audience.unread > 0 if values.get("unread") else audience.in_box > 0


def admins() -> list[str]:
    """Whom to ask when one is in charge of nothing."""
    active = sa.select(Person).where(Person.id.in_(people.active_admins(db.session()))).order_by(Person.name_key)
    return [person.name for person in db.session.scalars(active)]
