"""Views outside the three sides."""

from typing import Any

from practice.reset import link_for
from tests.examples.admin_staff import invite


def nothing(cast: Any) -> dict[str, Any]:
    return {}


def _invitation(cast: Any) -> dict[str, Any]:
    passwords = dict.fromkeys(("password", "password_again"), "four words nobody guesses")
    return {"own": {"token": invite(cast)[1]}, "data": passwords}


def reset_link(cast: Any) -> str:
    """The secret of a link by which Sophie chooses another password."""
    return link_for(cast.sophie.id)


def _reset(cast: Any) -> dict[str, Any]:
    return _invitation(cast) | {"own": {"token": reset_link(cast)}}


EXAMPLES = {
    "invitation.invitation": _invitation,
    "invitation.accept": _invitation,
    "reset.ask": nothing,
    "reset.send_link": lambda cast: {"data": {"email": "sophie@test.example"}},
    "reset.new_password": _reset,
    "reset.set_password": _reset,
    "web.healthz": nothing,
    "metrics.metrics": lambda cast: {"expected": 404},  # no token is set
    "login.log_in": nothing,
    "login.check_log_in": nothing,
    "login.log_out": nothing,
    "login.stay": nothing,
}
