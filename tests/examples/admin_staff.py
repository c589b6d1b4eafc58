"""Example data for the authorization walk: staff accounts, and imports of staff and patients."""

import io
import secrets
from typing import Any

from admin.staff import seal_of
from practice import accounts, imports
from practice.accounts import StaffValues, staff_account
from practice.coverage import consequences_of
from practice.db import db, new_key
from practice.imports import ImportKind

STAFF_CSV = "ID,Last name,First name,E-mail\nPETER,STAFF,PETER,peter@test.example\n"
PATIENTS_CSV = "Last name,First name,Date of birth,E-mail\nKWON,HUGO,1990-02-03,hugo2@test.example\n"


class Again(io.BytesIO):
    """A file that can be sent more than once."""

    def close(self) -> None:
        self.seek(0)


def account(cast: Any, **data: Any) -> dict[str, Any]:
    db.session.close()
    found = staff_account(db.session(), cast.dan.key)
    return {
        "player": cast.ada,
        "own": {"key": found.key},
        "others": [(cast.ada, {"key": "x" * 22}), (cast.ada, {"key": cast.sophie.key})],
        "data": {"key": new_key(), "seen": found.seen} | data,
    }


def _saving(cast: Any) -> dict[str, Any]:
    return account(cast, login="dan", last_name="STAFF", first_name="DAN", email="dan@test.example")


def _disabling(cast: Any) -> dict[str, Any]:
    return account(cast, confirmed=seal_of(consequences_of(db.session(), cast.dan.key)))


def invite(cast: Any, login: str = "PETER") -> tuple[str, str]:
    """The key and the invitation of a new member of staff."""
    values = StaffValues(login=login, last_name="STAFF", first_name=login.upper(), email=f"{login}{new_key()[:4]}@test.example")
    return accounts.add_staff_account(values, form_key=new_key(), by=cast.ada.actor)


def _invited(cast: Any) -> dict[str, Any]:
    key, _ = invite(cast, f"PETER{secrets.randbelow(10**6)}")
    return {
        "player": cast.ada,
        "own": {"key": key},
        "others": [(cast.ada, {"key": "x" * 22}), (cast.ada, {"key": cast.sophie.key})],
        "data": {"key": new_key()},
    }


def begin(cast: Any, text: str = STAFF_CSV, kind: ImportKind = ImportKind.STAFF, *, is_checked: bool = True) -> str:
    """The key of a file that Ada brought."""
    table = [(n, line.split(",")) for n, line in enumerate(text.splitlines(), 1)]
    key = imports.begin_import(kind, file_name="PEOPLE.CSV", table=table, form_key=new_key(), by=cast.ada.actor)
    while is_checked and not imports.check_more(key, by=cast.ada.actor):
        pass
    return key


def _import(cast: Any, *, is_checked: bool = True) -> dict[str, Any]:
    key = begin(cast, is_checked=is_checked)
    other = cast.staff(f"eve{new_key()[:5]}", is_admin=True)
    return {
        "player": cast.ada,
        "own": {"key": key},
        "others": [(cast.ada, {"key": "x" * 22}), (other, {"key": key})],
        "data": {"key": new_key()},
    }


def _file(cast: Any, text: str) -> dict[str, Any]:
    return {"player": cast.ada, "data": {"key": new_key(), "file": (Again(text.encode()), "PEOPLE.CSV")}}


EXAMPLES: dict[str, Any] = {
    "admin.staff": lambda cast: {},
    "admin.search_staff": lambda cast: {"player": cast.ada, "data": {"q": "sam", "status": "active"}},
    "admin.staff_member": account,
    "admin.add_staff": lambda cast: {
        "player": cast.ada,
        "data": {"key": new_key(), "login": "PETER", "last_name": "STAFF", "email": "peter@test.example"},
    },
    "admin.save_staff": _saving,
    "admin.invite_staff": _invited,
    "admin.mail_staff_invitation": _invited,
    "admin.disable_staff": _disabling,
    "admin.enable_staff": account,
    "admin.import_staff": lambda cast: {},
    "admin.import_patients": lambda cast: {},
    "admin.upload_staff": lambda cast: _file(cast, STAFF_CSV),
    "admin.upload_patients": lambda cast: _file(cast, PATIENTS_CSV),
    "admin.import_template": lambda cast: {
        "player": cast.ada,
        "own": {"kind": "staff"},
        "others": [(cast.ada, {"kind": "x" * 22})],
    },
    "admin.one_import": _import,
    "admin.check_import": lambda cast: _import(cast, is_checked=False),
    "admin.take_import": _import,
    "admin.discard_import": _import,
}
