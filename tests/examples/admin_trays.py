"""Example data for the authorization walk: the trays of the admin side, and opening an envelope with a reason."""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from practice import conversations, coverage, trays
from practice.db import COMMAND, clock_at, new_key, now
from practice.people import AccountStatus, Person
from tests.examples.portal import file


def remove(cast: Any, patient: Any) -> str:
    """A thread that was answered and then deleted from the lists; answers its key."""
    key: str = cast.send(patient, body="Hello")
    cast.answer(cast.nina, key)
    conversations.remove(key, version=cast.thread(key).version, by=cast.nina.actor)
    return key


def neglect(cast: Any, patient: Any, kind: str = "Others", **more: Any) -> str:
    """A thread whose promise is past; answers its key."""
    with clock_at(now() - timedelta(days=30)):
        key: str = cast.send(patient, kind, body="Hello", **more)
    return key


def strand(cast: Any, patient: Any) -> str:
    """A thread that nobody can receive; answers its key."""
    coverage.set_staff_status(cast.max.key, AccountStatus.DISABLED, by=COMMAND)
    key: str = cast.send(patient, "Result", body="Hello")
    return key


def another_admin(cast: Any) -> Any:
    """Eve, one for each test: a walk asks for its examples more than once."""
    with cast.app.app_context():
        found = trays.db.session.execute(sa.select(Person.id).where(Person.email == "eve@test.example")).scalar()
    return cast._player(found, "eve") if found else cast.staff("eve", is_admin=True)


def _removed(cast: Any) -> dict[str, Any]:
    key, normal = remove(cast, cast.sophie), cast.send(cast.sophie)
    data = {"version": str(cast.thread(key).version)}
    return {"player": cast.ada, "own": {"key": key}, "others": [(cast.ada, {"key": normal})], "data": data}


def _to_be_opened(cast: Any) -> dict[str, Any]:
    key, normal = remove(cast, cast.sophie), cast.send(cast.sophie)
    data = {"reason": "Hello", "key": new_key()}
    return {"player": cast.ada, "own": {"key": key}, "others": [(cast.ada, {"key": normal})], "data": data}


def _opened(cast: Any) -> dict[str, Any]:
    made = _to_be_opened(cast)
    trays.open_with_reason(made["own"]["key"], reason="Hello", form_key=new_key(), by=cast.ada.actor)
    return made | {"others": [*made["others"], (another_admin(cast), made["own"])]}


def _overdue(cast: Any) -> dict[str, Any]:
    neglect(cast, cast.sophie)
    return {"player": cast.ada}


def _opened_file(cast: Any) -> dict[str, Any]:
    own = file(cast)["own"]
    cast.answer(cast.nina, own["key"])
    conversations.remove(own["key"], version=cast.thread(own["key"]).version, by=cast.nina.actor)
    others = [(another_admin(cast), own)]
    trays.open_with_reason(own["key"], reason="Hello", form_key=new_key(), by=cast.ada.actor)
    return {"player": cast.ada, "own": own, "others": others}


EXAMPLES: dict[str, Any] = {
    "admin.overdue": _overdue,
    "admin.mails": lambda cast: {},
    "admin.try_again": lambda cast: {"data": {}},
    "admin.removed": lambda cast: {"player": _removed(cast)["player"]},
    "admin.restore_removed": _removed,
    "admin.opening": _to_be_opened,
    "admin.open_with_reason": _to_be_opened,
    "admin.opened_thread": _opened,
    "admin.file": _opened_file,
    "admin.openings": lambda cast: {"player": _opened(cast)["player"]},
}
