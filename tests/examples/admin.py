"""Example data for the authorization walk: the admin side. `others` are those who must not find the object."""

from typing import Any

from practice import coverage
from practice.db import COMMAND
from practice.people import AccountStatus
from practice.trays import unrouted


def _a_communicator(cast: Any) -> dict[str, Any]:
    return {"player": cast.ada, "own": {"key": cast.communicator("IT Manager")}, "others": [(cast.ada, {"key": "x" * 22})]}


def _form(cast: Any, title: str) -> dict[str, Any]:
    return {"type": "Others", "title": title, "staff": [cast.ivan.key], "is_in_use": "y", "key": "e" * 22, "action": "save"}


def _an_envelope(cast: Any) -> dict[str, Any]:
    waiting = unrouted().rows
    if waiting:
        key = waiting[0].key
    else:
        coverage.set_staff_status(cast.max.key, AccountStatus.DISABLED, by=COMMAND)
        key = cast.send(cast.sophie, "Result")
    data = {"thread": f"{key}.{cast.thread(key).version}", "communicator": cast.communicator("Clinicians")}
    return {"player": cast.ada, "data": data}


EXAMPLES: dict[str, Any] = {
    "admin.home": lambda cast: {},
    "admin.communicators": lambda cast: {},
    "admin.communicator": _a_communicator,
    "admin.add_communicator": lambda cast: {"player": cast.ada, "data": _form(cast, "Billing")},
    "admin.save_communicator": lambda cast: (
        _a_communicator(cast) | {"data": _form(cast, "Help desk") | {"version": str(cast.version_of("IT Manager"))}}
    ),
    "admin.delete_communicators": lambda cast: {"player": cast.ada, "data": {"communicator": [cast.communicator("IT Manager")]}},
    "admin.search_communicators": lambda cast: {"player": cast.ada, "data": {"words": "fay", "type": "Others"}},
    "admin.switch_off_communicator": lambda cast: (
        _a_communicator(cast) | {"data": {"version": str(cast.version_of("IT Manager"))}}
    ),
    "admin.hand_open_threads": lambda cast: _a_communicator(cast) | {"data": {"to": cast.communicator("Clinicians")}},
    "admin.handle_everything": lambda cast: {"player": cast.ada, "expected": 409},
    "admin.unrouted": lambda cast: {},
    "admin.hand_to": _an_envelope,
}
