"""Views outside the three sides."""

from typing import Any


def nothing(cast: Any) -> dict[str, Any]:
    return {}


EXAMPLES = {
    "web.healthz": nothing,
    "login.log_in": nothing,
    "login.check_log_in": nothing,
    "login.log_out": nothing,
    "login.stay": nothing,
}
