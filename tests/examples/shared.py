"""Views outside the three sides."""

from typing import Any

from tests.examples.admin_staff import invite


def nothing(cast: Any) -> dict[str, Any]:
    return {}


def _invitation(cast: Any) -> dict[str, Any]:
    passwords = dict.fromkeys(("password", "password_again"), "four words nobody guesses")
    return {"own": {"token": invite(cast)[1]}, "data": passwords}


EXAMPLES = {
    "invitation.invitation": _invitation,
    "invitation.accept": _invitation,
    "web.healthz": nothing,
    "metrics.metrics": nothing,
    "login.log_in": nothing,
    "login.check_log_in": nothing,
    "login.log_out": nothing,
    "login.stay": nothing,
}
