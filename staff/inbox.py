"""In Box and Sent Items: the shared lists, filtered and paged."""

import hashlib
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from flask import Response, make_response, render_template, request, url_for

from practice import bulk, people, sessions
from practice.communicators import Box
from practice.db import db, new_key, now
from practice.inbox import marked_counts, neighbour, newest_answers, place_in_box, threads_for
from practice.people import Person
from practice.settings import RequestType
from practice.threads import Page
from staff import blueprint
from staff.box import my_box, unread
from staff.filters import FILTERS, audiences_of, not_understood, searched, wanted_of
from web.answers import Answer, is_htmx, notice, page, to
from web.formats import end_of_today, link, type_mark
from web.formats import gettext as _
from web.gate import visitor

NOTHING = dict.fromkeys(FILTERS, "")
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
    values = {name: request.form.get(name, "").strip()[:200] for name in FILTERS}
    errors = not_understood(values)
    if errors:
        return _asked_again(values, errors)
    if not any(values.values()):
        return to("staff.inbox")
    key = sessions.keep_filter(visitor(), {name: said for name, said in values.items() if said})
    if not is_htmx():
        return to("staff.inbox", filter=key)
    answer: Response = make_response(render_template("staff/_list.html", **listed("in_box", key=key)))
    answer.headers["HX-Push-Url"] = url_for("staff.inbox", filter=key)
    return answer


def _asked_again(values: dict[str, str], errors: dict[str, str]) -> Answer:
    if not is_htmx():
        shown = listed("in_box") | {"values": values, "typed": values, "errors": errors}
        return render_template("staff/inbox.html", **shown), 422
    answer = make_response(render_template("staff/_filters.html", box=my_box(), typed=values, errors=errors), 422)
    answer.headers["HX-Retarget"] = "#filters"
    return answer


@dataclass(frozen=True)
class Found:
    """A page of rows, or why there are none."""

    page: Page
    is_too_many: bool = False


def listed(which: str, *, key: str | None = None) -> dict[str, Any]:
    """What a list page shows: the rows, the filter they passed, and the way to the next page."""
    box = my_box()
    values, carried = searched(which, key or request.args.get("filter", "")[:22])
    there = _place_args() | carried | ({"which": "sent"} if which == "sent" else {})
    found = _find(box, which, values)
    endpoint = "staff.inbox" if which == "in_box" else "staff.sent_items"
    rows = found.page.rows
    return {
        "here": endpoint,
        "box": box,
        "which": which,
        "unread": unread(),
        "marked": marked(box) if which == "in_box" and not is_htmx() else None,
        "rows": rows,
        "is_too_many": found.is_too_many,
        "answers": newest_answers([row.id for row in rows]) if which == "sent" and rows else {},
        "values": values,
        "typed": NOTHING | values,
        "errors": {},
        "news": link("staff.news", **there),
        "tag": news_tag(there),
        "form_key": new_key(),
        "newer": link(endpoint, after=rows[0].key, **carried) if rows and found.page.has_newer else "",
        "older": link(endpoint, before=rows[-1].key, **carried) if rows and found.page.has_older else "",
        **row_words(box, there),
        "notice": notice(),
        "about": request.args.get("about", "")[:22],
        "admins": admins() if not box.mine else [],
        "batch": _batch() if which == "in_box" else None,
    }


def news_tag(there: dict[str, Any]) -> str:
    """Another one as soon as something changed in what the person has, and every ten minutes, because a list says how long one
    waits, and whether the patient has read, which moves no version. `there`: what the address says of the list."""
    box, at = my_box(), now()
    mine = [(one.key, one.title, one.instead_of) for one in box.mine], [(a.id, a.version, a.titles) for a in box.shared]
    return hashlib.sha256(repr((mine, at.date(), at.hour, at.minute // 10, sorted(there.items()))).encode()).hexdigest()[:22]


def _batch() -> bulk.Results | None:
    key = request.args.get("batch", "")[:22]
    return bulk.results_of(key, by=visitor().actor, own_patient=visitor().own_patient_id) if key else None


def row_words(box: Box, kept: dict[str, Any]) -> dict[str, Any]:
    """What every row needs, made once: titles by audience, marks by type, the address of a message round its KEY."""
    return {
        "receivers": {audience.id: ", ".join(audience.titles) for audience in box.shared},
        "marks": {kind: type_mark(kind) for kind in RequestType},
        "carried": url_for("staff.message", key="KEY", **kept),
        "tonight": end_of_today(),
        "kept": kept,
    }


def which_list() -> str:
    """Which list the address names, as a page or beside the open message."""
    return "sent" if request.args.get("which") == "sent" else "in_box"


def kept() -> dict[str, Any]:
    """Which list, filtered how and from where on, stands beside the open message: every act on it leads back there."""
    return {name: request.args[name][:22] for name in KEPT if request.args.get(name)}


def _place_args() -> dict[str, Any]:
    return {name: request.args[name][:22] for name in ("before", "after") if request.args.get(name)}


def _find(box: Box, which: str, values: dict[str, str]) -> Found:
    wanted = wanted_of(which, values)
    if wanted is None:
        return Found(Page([], False, False), is_too_many=True)
    place = None
    for side, key in _place_args().items():
        place = place_in_box(key, box.audiences, wanted=wanted, is_newer=side == "after")
    return Found(threads_for(audiences_of(box, wanted, values), own_patient=box.own_patient, wanted=wanted, place=place))


def matching(most: int) -> list[tuple[str, int]]:
    """Key and version of the first threads of the list that the address asks for, from its head on."""
    box = my_box()
    values, _carried = searched("in_box", request.args.get("filter", "")[:22])
    wanted, place = wanted_of("in_box", values), None
    found: list[tuple[str, int]] = []
    while wanted and len(found) < most:
        rows = threads_for(audiences_of(box, wanted, values), own_patient=box.own_patient, wanted=wanted, place=place)
        found += [(row.key, row.version) for row in rows.rows]
        if not rows.has_older:
            break
        place = place_in_box(rows.rows[-1].key, box.audiences, wanted=wanted, is_newer=False)
        if place is None:  # it left what one has, just now
            break
    return found[:most]


def beside(key: str, *, is_newer: bool) -> tuple[str | None, dict[str, Any]]:
    """The thread that stands before or after this one in the list beside it, and what an address says of the list then."""
    box, which = my_box(), which_list()
    values, _carried = searched(which, request.args.get("filter", "")[:22])
    wanted = wanted_of(which, values)
    place = place_in_box(key, box.audiences, wanted=wanted, is_newer=is_newer) if wanted else None
    if wanted is None or place is None:
        return None, kept()
    found = neighbour(place, audiences_of(box, wanted, values), own_patient=box.own_patient, wanted=wanted)
    if found is None or found in [row.key for row in _find(box, which, values).page.rows]:
        return found, kept()
    there = {name: value for name, value in kept().items() if name not in ("before", "after")}
    return found, there | {"after" if is_newer else "before": key}


def marked(box: Box) -> list[tuple[str, int, str]]:
    """What is pressing: by what it is filtered, how many there are, in words."""
    late, urgent, mine = marked_counts(box.audiences, person=visitor().person_id, own_patient=box.own_patient)
    return [("late", late, _("Overdue")), ("urgent", urgent, _("Urgent words")), ("mine", mine, _("Mine"))]


def admins() -> list[str]:
    """Whom to ask when one is in charge of nothing."""
    active = sa.select(Person).where(Person.id.in_(people.active_admins(db.session()))).order_by(Person.name_key)
    return [person.name for person in db.session.scalars(active)]
