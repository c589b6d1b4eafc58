"""The single keys of the Message Box: what each does, and the switch that turns them off."""

from flask_babel import gettext as _
from wtforms import BooleanField

from practice import own_account
from staff import blueprint
from staff.account import DESK
from web.answers import Answer, to
from web.formats import lazy_gettext as _l
from web.forms import Form
from web.gate import visitor


class ShortcutsForm(Form):
    uses_shortcuts = BooleanField(_l("Single keys act in the Message Box"))


@blueprint.get("/keyboard")
def keyboard() -> Answer:
    form = ShortcutsForm(formdata=None, uses_shortcuts=visitor().uses_shortcuts)
    return DESK.page("keyboard.html", form=form, keys=keys())


@blueprint.post("/keyboard")
def change_shortcuts() -> Answer:
    form = ShortcutsForm()
    if not form.validate_on_submit():
        return DESK.page("keyboard.html", 422, form=form, keys=keys())
    own_account.change_shortcuts(visitor().person_id, is_on=form.uses_shortcuts.data, by=visitor().actor)
    return to("staff.keyboard", done="saved")


def keys() -> list[tuple[str, str, str]]:
    """Key, what it does, and what does the same without it. static/staff.js acts on them."""
    return [
        ("j", _("The next message: in the list, or beside an open one"), _("Next, or the title in the list")),
        ("k", _("The one before"), _("Previous, or the title in the list")),
        ("o", _("Open the message in the list"), _("The title in the list")),
        ("r", _("Respond to the open message"), _("Respond")),
        ("1 … 6", _("Answer the open message with this canned reply"), _("The button of the canned reply")),
        (_("Ctrl Enter"), _("Send what is written"), _("Send")),
        ("c", _("Claim the open message"), _("Claim")),
        ("e", _("Close what is ticked, else the open message"), _("Close")),
        ("x", _("Tick the message, or take the tick away"), _("The box in the list")),
        ("/", _("Search"), _("Last name")),
        ("?", _("This page"), _("Keyboard")),
    ]
