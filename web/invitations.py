"""The invitation of a new account: a link that works once, to choose the first password."""

from flask import Blueprint
from flask_babel import lazy_gettext as _l

from practice import accounts
from web.answers import Answer
from web.gate import ANYONE, guard
from web.new_password import Way

blueprint = Blueprint("invitation", __name__, url_prefix="/invitation")
guard(blueprint, ANYONE)

INVITATION = Way(
    view="invitation.accept",
    whose=accounts.invited,
    choose=accounts.accept_invitation,
    is_for=_l("You are invited to the portal of the practice. After this you can log in."),
    instead=_l("Ask the practice for a new link."),
)


@blueprint.get("/", defaults={"token": ""})
@blueprint.get("/<token>")
def invitation(token: str) -> Answer:
    return INVITATION.look(token)


@blueprint.post("/", defaults={"token": ""})
@blueprint.post("/<token>")
def accept(token: str) -> Answer:
    return INVITATION.save(token)
