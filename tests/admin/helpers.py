"""What the tests of the admin's communicators share."""

import re
from html import unescape
from typing import Any

import sqlalchemy as sa
from werkzeug.test import TestResponse

from practice.communicators import Communicator, Overview, communicator_with
from practice.db import db
from tests.conftest import Player

URL = "/admin/communicators"


def row_of(title: str) -> Overview:
    db.session.close()
    key = db.session.scalars(sa.select(Communicator.key).where(Communicator.title == title)).one()
    found = communicator_with(db.session(), key)
    assert found
    return found


def there_is(title: str) -> bool:
    db.session.close()
    return db.session.scalar(sa.select(Communicator.id).where(Communicator.title == title)) is not None


def how_many() -> int:
    db.session.close()
    return db.session.scalar(sa.select(sa.func.count()).select_from(Communicator)) or 0


def filled(communicator: str, /, **changed: Any) -> dict[str, Any]:
    """What the editor of this communicator sends, with changes."""
    row = row_of(communicator)
    data: dict[str, Any] = {
        "key": "k" * 22,
        "type": row.type.value,
        "title": row.title,
        "staff": [member.key for member in row.staff],
        "facilities": [facility.key for facility in row.facilities],
        "help": row.help,
        "version": str(row.version),
        "action": "save",
    }
    return data | ({"is_in_use": "y"} if row.is_in_use else {}) | changed


def new(*staff: Player, **changed: Any) -> dict[str, Any]:
    data = {
        "key": "n" * 22,
        "type": "Others",
        "title": "Billing",
        "staff": [p.key for p in staff],
        "is_in_use": "y",
        "action": "save",
    }
    return data | changed


def text(response: TestResponse) -> str:
    return unescape(response.get_data(as_text=True))


def hidden(response: TestResponse, name: str) -> list[str]:
    """The values of the hidden inputs of this name, as the next press would send them."""
    return [
        unescape(v) for v in re.findall(rf'<input type="hidden" name="{name}" value="([^"]*)">', response.get_data(as_text=True))
    ]


def in_order(response: TestResponse, *words: str) -> bool:
    """Whether the page says these, one after the other."""
    page, at = text(response), -1
    for word in words:
        at = page.find(word, at + 1)
        if at < 0:
            return False
    return True
