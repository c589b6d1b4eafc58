"""The admin side: who is in charge of what, and what waits for nobody. Envelopes of threads, never their words."""

from flask import Blueprint, g

from practice.threads import unrouted_count
from web.gate import ADMIN, guard

blueprint = Blueprint("admin", __name__, url_prefix="/admin")
guard(blueprint, ADMIN)


@blueprint.context_processor
def side_menu() -> dict[str, int]:
    """The number beside *Unrouted*, read once for each page."""
    if "unrouted_count" not in g:
        g.unrouted_count = unrouted_count()
    return {"unrouted_count": g.unrouted_count}


from admin import communicators, unrouted  # noqa: E402, F401
