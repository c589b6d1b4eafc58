"""Menu Settings: what patients have in their portal. A switch a row, one form, one *Save*."""

from typing import Any

from wtforms import BooleanField, HiddenField

from admin import blueprint
from practice import setup
from practice.db import COUNTED, db
from practice.errors import Stale
from practice.settings import MenuItem, the_practice
from web.answers import Answer, notice, page, to
from web.asked import version_in
from web.formats import lazy_gettext as _l
from web.formats import yes_or_no
from web.forms import Form, opened
from web.gate import drafts_to, visitor

MEANINGFUL_USE = "meaningful_use"
ROWS = {
    MenuItem.ACCOUNT_INFO: (_l("Account info"), _l("My Account: what the practice has of them, to read.")),
    MenuItem.MY_APPOINTMENTS: (_l("My appointments"), _l("The list of their appointments and requests.")),
    MenuItem.REQUEST_APPOINTMENT: (_l("Request appointment"), _l("Ask for a visit; goes to those in charge of Appointment.")),
    MenuItem.MY_RESULTS: (_l("My results"), _l("The list of the results they asked for.")),
    MenuItem.REQUEST_RESULT: (_l("Request result"), _l("Ask for reports and images; goes to those in charge of Result.")),
    MenuItem.MESSAGE: (
        _l("Message"),
        _l("Write a new message; goes to the communicator they pick. Old ones stay readable."),
    ),
    MenuItem.MY_INFO: (_l("My info"), _l("Their record, and asking to correct it. Needs Meaningful Use mode.")),
    MEANINGFUL_USE: (_l("Meaningful Use mode"), _l("My Info and the type Amendment exist only when it is on.")),
}
"""Title and meaning of each switch."""


class MenuForm(Form):
    version = HiddenField()
    confirmed = HiddenField()

    @property
    def items_on(self) -> list[MenuItem]:
        return [item for item in MenuItem if self[item].data]


for _item, (_title, _meaning) in ROWS.items():
    setattr(MenuForm, str(_item), BooleanField(_title))


@blueprint.get("/menu")
def menu() -> Answer:
    return shown(opened(MenuForm, **saved()))


@blueprint.post("/menu")
@drafts_to("admin.menu")
def save_menu() -> Answer:
    form = MenuForm()
    if not form.validate_on_submit():
        return shown(form, 422)
    practice, is_meaningful = the_practice(), bool(form[MEANINGFUL_USE].data)
    closing = [(kind, setup.under_way(kind)) for kind in setup.closes(practice, form.items_on, meaningful_use=is_meaningful)]
    asked = ",".join(kind for kind, _n in closing)
    if closing and form.confirmed.data != asked and version_in(form.version.data) == practice.version:
        form.confirmed.data = asked
        return shown(form, 422, closing=closing)
    try:
        setup.save_menu(
            form.items_on,
            meaningful_use=is_meaningful,
            version=version_in(form.version.data),
            form_key=form.key.data,
            by=visitor().actor,
        )
    except Stale:
        return outdated(form)
    return to("admin.menu", done="saved")


def saved() -> dict[str, Any]:
    practice = the_practice()
    return {str(name): is_on for name, is_on in setup.menu_of(practice).items()} | {"version": str(practice.version)}


def outdated(form: MenuForm) -> Answer:
    """Saved by somebody else meanwhile: both states side by side; the switches stay, and a second *Save* takes them."""
    db.session.close()
    now_saved = saved()
    form.version.data = now_saved["version"]
    changes = [
        (title, yes_or_no(form[str(name)].data), yes_or_no(now_saved[str(name)]))
        for name, (title, _meaning) in ROWS.items()
        if bool(form[str(name)].data) != now_saved[str(name)]
    ]
    return shown(form, 409, changes=changes, is_stale=True)


def shown(form: Form, status: int = 200, **context: Any) -> Answer:
    values: dict[str, Any] = {
        "form": form,
        "rows": [(form[str(name)], title, meaning) for name, (title, meaning) in ROWS.items()],
        "notice": notice(),
        "closing": [],
        "changes": [],
        "is_stale": False,
        "counted": COUNTED,
    }
    return page("admin/menu.html", "admin/_menu.html", status, **values | context)
