"""Which list a conversation was opened from, carried along in addresses by keys alone: its search, its box and its page."""

from typing import Any

from flask import request, url_for

ENDPOINT_OF = {"inbox": "portal.messages", "sent": "portal.sent"}
PLACES = ("before", "after")  # in the address of a list: beyond which row its page begins
IN_LIST = {f"list_{name}": name for name in PLACES} | {"filter": "filter"}
"""What the address of a conversation says of its list, by what that list's own address calls it."""


def came_from(box: str = "") -> dict[str, Any]:
    """What the address of a conversation (or of what is done with it) says of the list that this request came from.

    `box`: of a list that is known; without: as the address says."""
    is_list = not request.view_args
    said = {name: request.args.get(there if is_list else name, "")[:32] for name, there in IN_LIST.items()}
    kept: dict[str, Any] = {name: key for name, key in said.items() if key}
    return kept | ({"box": "sent"} if (box or request.args.get("box")) == "sent" else {})


def list_of(came: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """That list's endpoint, and what its address says."""
    return ENDPOINT_OF[came.get("box", "inbox")], {there: came[name] for name, there in IN_LIST.items() if name in came}


def back_to_list(came: dict[str, Any]) -> str:
    endpoint, values = list_of(came)
    return url_for(endpoint, **values)
