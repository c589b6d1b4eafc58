"""Select User: finds members of staff for a communicator. A step of the editor's form: its unsaved state goes along hidden."""

from typing import Any

from flask import render_template, request
from flask_babel import gettext as _
from wtforms import Field

from practice.communicators import Overview, staff_found, staff_with_keys
from practice.db import db
from practice.people import fold
from practice.threads import PAGE
from web.answers import Answer, is_htmx

ACTIONS = ("add", "search", "clear", "page")
KEY_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def is_key(text: str) -> bool:
    """Whether this can be the key of a row; nothing else is ever asked of the database."""
    return len(text) == 22 and KEY_CHARACTERS.issuperset(text)


def keys_in(name: str) -> list[str]:
    """The keys that the sent form carries under `name`, each once."""
    return [key for key in dict.fromkeys(request.form.getlist(name)) if is_key(key)]


def page_number(text: str) -> int:
    return max(int(text), 1) if text.isascii() and text.isdigit() and len(text) < 6 else 1


def show(form: Any, communicator: Overview | None, action: str, value: str) -> Answer:
    """The page where staff are found and ticked; `action` is what was pressed. Nothing is saved."""
    q = "" if action in ("add", "clear") else request.form.get("q", "").replace("\0", "").strip()[:100]
    picked = [] if action in ("add", "clear") else [key for key in keys_in("pick") if key not in form.staff.data]
    page = page_number(value) if action == "page" else 1
    rows, total = staff_found(db.session(), q, limit=PAGE, offset=(page - 1) * PAGE)
    values = {
        "form": form,
        "open": communicator,
        "q": q,
        "rows": rows,
        "total": total,
        "page": page,
        "size": PAGE,
        "picked": staff_with_keys(db.session(), picked),
        "elsewhere": [key for key in picked if key not in {row.key for row in rows}],
        "name": form.title.data or _("a new communicator"),
        "is_all": not fold(q),
    }
    return render_template("admin/_select_user.html" if is_htmx() else "admin/select_user.html", **values)


class KeysField(Field):
    """Keys of members of staff, each in a hidden input of the same name."""

    data: list[str]

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = list(dict.fromkeys(valuelist))
        if not all(map(is_key, self.data)):
            self.data = [key for key in self.data if is_key(key)]
            raise ValueError(_("One of the users is not there any more."))

    def process_data(self, value: Any) -> None:
        self.data = list(value or [])
