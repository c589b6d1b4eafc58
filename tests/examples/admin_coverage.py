"""Example data for the authorization walk: coverage."""

from datetime import timedelta
from typing import Any

from practice import coverage
from practice.db import COMMAND, new_key, now
from practice.settings import RequestType


def serve(cast: Any, title: str, kind: RequestType, staff: list[Any], *facilities: str) -> None:
    """The communicator has these users in charge and serves these facilities (keys)."""
    coverage.save_communicator(
        cast.communicator(title),
        kind=kind,
        title=title,
        staff=[one.key for one in staff],
        is_in_use=True,
        version=cast.version_of(title),
        facilities=facilities,
        by=COMMAND,
    )


def _board(cast: Any) -> dict[str, Any]:
    """A facility that none serves, a communicator without anybody, and a type with none but one Not In Use."""
    cast.change("Media Manager", staff=[], is_in_use=False)
    cast.change("IT Manager", staff=[])
    serve(cast, "Scheduler", RequestType.APPOINTMENT, [cast.sam, cast.fay], cast.oak)
    return {"player": cast.ada, "own": {"who": cast.sam.key, "how": "disabled"}}


def _person(cast: Any, **data: str) -> dict[str, Any]:
    return {"player": cast.ada, "own": {"key": cast.fay.key}, "others": [(cast.ada, {"key": "x" * 22})], "data": data}


def _history(cast: Any) -> dict[str, Any]:
    at = now() - timedelta(days=1)
    return {"player": cast.ada, "own": {"communicator": cast.communicator("Scheduler"), "on": f"{at:%Y-%m-%d}", "at": "10:12"}}


EXAMPLES: dict[str, Any] = {
    "admin.coverage": _board,
    "admin.search_coverage": lambda cast: {"player": cast.ada, "data": {"q": "fay"}},
    "admin.coverage_person": _person,
    "admin.replace_staff": lambda cast: _person(cast, with_login="dan", confirmed=cast.dan.key, key=new_key()),
    "admin.coverage_history": _history,
}
