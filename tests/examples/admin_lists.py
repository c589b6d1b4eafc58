"""Example data for the authorization walk: the short lists."""

from typing import Any

from practice import lists
from practice.db import db
from practice.lists import ListName


def _a_facility(cast: Any) -> dict[str, Any]:
    db.session.close()
    found = lists.entry_with(db.session(), ListName.FACILITIES, cast.oak)
    assert found
    data = {"name": "Linden Street 2", "address": "", "is_in_use": "y", "seen": found.seen, "page": "1", "action": "save"}
    nowhere = [(cast.ada, {"which": "facilities", "key": "x" * 22}), (cast.ada, {"which": "levels", "key": cast.oak})]
    return {"player": cast.ada, "own": {"which": "facilities", "key": cast.oak}, "others": nowhere, "data": data}


EXAMPLES: dict[str, Any] = {
    "admin.lists": lambda cast: {},
    "admin.add_entry": lambda cast: {
        "player": cast.ada,
        "own": {"which": "facilities"},
        "others": [(cast.ada, {"which": "nothing"})],
        "data": {"name": "Linden Street 3", "is_in_use": "y", "key": "l" * 22},
    },
    "admin.save_entry": _a_facility,
}
