"""The record to take along, and who opened it. Exists in Meaningful Use mode only."""

from flask import Response, render_template, request, url_for

from portal import blueprint
from portal.documents import my_desk
from portal.fields import must_be_on
from practice.access_log import place_at, place_of, views_of
from practice.settings import MenuItem
from web import record_copies
from web.answers import Answer
from web.gate import visitor


@blueprint.get("/my-info/copies")
def copies() -> Answer:
    return record_copies.show_copies(my_desk())


@blueprint.post("/my-info/copies/<kind>/file")
def take_copy(kind: str) -> Response:
    return record_copies.take_copy(my_desk(), kind)


@blueprint.get("/my-info/print")
def print_record() -> Answer:
    return record_copies.print_record(my_desk())


@blueprint.get("/my-info/readers")
def record_readers() -> str:
    must_be_on(MenuItem.MY_INFO)
    newer_than = request.args.get("newer", "")
    place = place_at(newer_than, is_newer=True) if newer_than else place_at(request.args.get("older", ""))
    lines = views_of(visitor().person_id, place)
    return render_template(
        "portal/record_readers.html",
        here="portal.my_info",
        rows=lines.rows,
        newer=url_for("portal.record_readers", newer=place_of(lines.rows[0])) if lines.has_newer and lines.rows else "",
        older=url_for("portal.record_readers", older=place_of(lines.rows[-1])) if lines.has_older and lines.rows else "",
    )
