"""Example data for the authorization walk: Practice, its holidays and logo, and Menu Settings."""

import struct
import zlib
from dataclasses import asdict
from io import BytesIO
from typing import Any

from practice.db import db
from practice.settings import MenuItem, the_practice
from practice.setup import settings_of


def png(width: int = 2, height: int = 2) -> bytes:
    """A picture that opens everywhere."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x80" * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


PICTURE = png()


class File(BytesIO):
    """A file that can be posted more than once."""

    def close(self) -> None:
        self.seek(0)


def practice_form(**changed: Any) -> dict[str, Any]:
    """What *Practice* posts as it is saved now, with changes; a change to None leaves the field out."""
    db.session.close()
    row = the_practice()
    values = asdict(settings_of(row))
    form = {"version": row.version, "key": "e" * 22, "confirmed": ""}
    for n, hours in enumerate(values.pop("opening")):
        form |= {f"from_{n}": f"{hours[0]:%H:%M}", f"to_{n}": f"{hours[1]:%H:%M}"} if hours else {f"closed_{n}": "y"}
    form |= {name: "y" if value is True else value for name, value in values.items() if value is not False}
    return {name: str(value) for name, value in (form | changed).items() if value is not None}


def menu_form(*off: str, **changed: Any) -> dict[str, str]:
    """What *Menu Settings* posts with everything on but these."""
    db.session.close()
    names = [*MenuItem, "meaningful_use"]
    form = {str(name): "y" for name in names if name not in off}
    return form | {"version": str(the_practice().version), "key": "e" * 22, "confirmed": ""} | changed


def _holidays(cast: Any) -> dict[str, Any]:
    return {"data": {"year": "2026", "version": str(the_practice().version), "closed": ["2026-12-25"]}, "player": cast.ada}


EXAMPLES: dict[str, Any] = {
    "admin.practice": lambda cast: {},
    "admin.save_practice": lambda cast: {"player": cast.ada, "data": practice_form(name="Test Practice")},
    "admin.save_logo": lambda cast: {"player": cast.ada, "data": {"action": "save", "logo": (File(PICTURE), "logo.png")}},
    "admin.holidays": lambda cast: {},
    "admin.save_holidays": _holidays,
    "admin.add_closed_day": lambda cast: {
        "player": cast.ada,
        "data": {"day": "2026-12-24", "name": "KWON", "year": "2026", "key": "e" * 22},
    },
    "admin.menu": lambda cast: {},
    "admin.save_menu": lambda cast: {"player": cast.ada, "data": menu_form("my_info", confirmed="Amendment")},
}
