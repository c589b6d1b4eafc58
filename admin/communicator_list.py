"""The list of communicators: where one is in it, what its links say, and what became of ticked rows."""

from dataclasses import dataclass, replace
from typing import Any

from flask import request, url_for

from practice.communicators import SORTS, Overview, Routable, communicator_with, communicators_listed, routable_of
from practice.coverage import threads_count
from practice.db import db
from practice.sessions import kept_filter
from practice.settings import RequestType
from practice.threads import PAGE
from web.formats import gettext as _
from web.forms import is_key, page_number
from web.gate import visitor


@dataclass(frozen=True)
class Place:
    """Which part of the list is shown; `filter` is the key of the words searched for, which never stand in an address."""

    type: str = ""
    sort: str = "title"
    order: str = "asc"
    page: int = 1
    filter: str = ""

    def args(self, **changed: Any) -> dict[str, Any]:
        """What an address says of it: what is not as usual. `changed`: what else is to hold there; another order or filter
        begins at its first page."""
        other = replace(self, page=1, **changed) if changed and "page" not in changed else replace(self, **changed)
        return {name: value for name, value in vars(other).items() if value != getattr(USUAL, name)}


USUAL = Place()


def place_here() -> Place:
    """From the address; what is not one of ours counts as usual."""
    kind, sort, order = (request.args.get(name, "") for name in ("type", "sort", "order"))
    key = request.args.get("filter", "")
    return Place(
        type=kind if kind in set(RequestType) else "",
        sort=sort if sort in SORTS else USUAL.sort,
        order="desc" if order == "desc" else "asc",
        page=page_number(request.args.get("page")),
        filter=key if is_key(key) else "",
    )


def listed(place: Place, found: Overview | None) -> dict[str, Any]:
    """What the list shows, and its links, which leave the open editor open."""
    words = kept_filter(visitor(), place.filter).get("words", "") if place.filter else ""
    part = communicators_listed(
        db.session(),
        kind=RequestType(place.type) if place.type else None,
        words=words,
        sort=place.sort,
        is_descending=place.order == "desc",
        page=place.page,
        size=PAGE,
    )
    place = replace(place, page=part.number, filter=place.filter if words else "")

    def link(**changed: Any) -> str:
        values = place.args(**changed)
        return url_for("admin.communicator", key=found.key, **values) if found else url_for("admin.communicators", **values)

    return {
        "part": part,
        "size": PAGE,
        "place": place,
        "words": words,
        "is_first_run": part.total == 0 and not words and not place.type,
        "heads": heads(place, link),
        "newer": link(page=part.number - 1) if part.number > 1 else "",
        "older": link(page=part.number + 1) if part.number * PAGE < part.total else "",
        "clear": link(type="", filter=""),
    }


def heads(place: Place, link: Any) -> dict[str, dict[str, str]]:
    """For each column that sorts: its address and what `aria-sort` says. The one it is sorted by turns round."""
    return {
        sort: {
            "address": link(sort=sort, order="desc" if sort == place.sort and place.order == "asc" else "asc"),
            "aria": {"asc": "ascending", "desc": "descending"}[place.order] if sort == place.sort else "",
        }
        for sort in SORTS
    }


def orders() -> list[tuple[str, str]]:
    """The same as choices, where the head of the table is folded away."""
    return [
        ("title:asc", _("Title, A to Z")),
        ("title:desc", _("Title, Z to A")),
        ("type:asc", _("Type")),
        ("type:desc", _("Type, backwards")),
        ("status:desc", _("In Use first")),
        ("status:asc", _("Not In Use first")),
    ]


# ---- What became of ticked rows ------------------------------------------------------------------


@dataclass(frozen=True)
class Deletion:
    """A ticked row: deleted, or refused because of `count` threads (`row`, as it is), or gone already (`row` None)."""

    row: Overview | None
    is_deleted: bool = False
    count: int = 0
    others: tuple[Routable, ...] = ()  # who can take its open threads
    gap: bool = False  # nobody would receive its type if it were switched off: asked once
    problem: str = ""  # what went wrong with the button that was pressed


def refused(key: str, **more: Any) -> Deletion:
    """The communicator as it is now, with what can be done with it instead."""
    row = communicator_with(db.session(), key)
    if row is None:
        return Deletion(None)
    others = tuple(one for one in routable_of(db.session(), row.type) if one.key != key)
    return Deletion(row, count=threads_count(db.session(), row.id), others=others, **more)


def still_refused() -> list[Deletion]:
    """Those that the address still names after one of them was dealt with."""
    return [refused(key) for key in request.args.get("refused", "").split(".")[:PAGE] if is_key(key)]
