"""The practice's logo, which anybody may see."""

from flask import Blueprint, Response

from practice.setup import logo_of
from web.gate import ANYONE, allow

blueprint = Blueprint("logo", __name__)


@blueprint.get("/practice/logo/<key>")
@allow(ANYONE)
def picture(key: str) -> Response:
    """Never what a file says of itself: the type is the one found in its bytes when it was saved."""
    found = logo_of(key)
    return Response(found.content, mimetype=found.media_type)
