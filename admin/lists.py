"""The short lists: facilities, referring physicians and the words for staff, edited in place, a form for each row."""

from typing import Any

from flask import request
from wtforms import BooleanField, HiddenField, StringField
from wtforms.validators import ValidationError

from admin import blueprint
from practice import lists as short_lists
from practice.db import db
from practice.errors import Invalid, NotVisible, Stale
from practice.lists import ADDRESS_MAX, Entry, ListName, Used, has_address, name_max
from web.answers import Answer, notice, page, to
from web.formats import gettext as _
from web.formats import lazy_gettext as _l
from web.formats import yes_or_no
from web.forms import AtMost, Filled, Form, must_be_key, opened, page_number, tidy
from web.gate import visitor

TITLES = {
    ListName.FACILITIES: _l("Facilities"),
    ListName.PHYSICIANS: _l("Referring physicians"),
    ListName.LEVELS: _l("Levels"),
    ListName.GROUPS: _l("Groups"),
    ListName.SPECIALTIES: _l("Specialties"),
    ListName.INSTITUTIONS: _l("Institutions"),
    ListName.DEPARTMENTS: _l("Departments"),
}


class EntryForm(Form):
    most = 120
    name = StringField(_l("Name"), [Filled(_l("Write a name."))], filters=[tidy], render_kw={"autocomplete": "off"})
    address = StringField(
        _l("Address"),
        [AtMost(ADDRESS_MAX, _l("Use at most 200 characters."))],
        filters=[tidy],
        render_kw={"autocomplete": "off"},
    )
    is_in_use = BooleanField(_l("In Use"))
    seen = HiddenField()
    page = HiddenField()

    def validate_name(self, field: StringField) -> None:
        if len(field.data or "") > self.most:
            raise ValidationError(_("Use at most %(n)s characters.", n=self.most))


@blueprint.get("/lists")
def lists() -> Answer:
    return shown(list_named(request.args.get("list", "")) or ListName.FACILITIES)


@blueprint.post("/lists/<which>/entries")
def add_entry(which: str) -> Answer:
    found, form = the_list(which), EntryForm()
    form.most = name_max(found)
    if not form.validate_on_submit():
        return shown(found, 422, new=form)
    values = {"name": form.name.data, "address": form.address.data or "", "is_in_use": bool(form.is_in_use.data)}
    try:
        short_lists.add_entry(found, **values, form_key=form.key.data, by=visitor().actor)
    except Invalid as error:
        form.put(error)
        return shown(found, 422, new=form)
    return to("admin.lists", list=found.value, done="saved")


@blueprint.post("/lists/<which>/entries/<key>")
def save_entry(which: str, key: str) -> Answer:
    """*Save* and *Delete* of a row."""
    found = the_list(which)
    must_be_key(key)
    entry = short_lists.entry_with(db.session(), found, key)
    if entry is None:
        raise NotVisible
    form = EntryForm()
    if request.form.get("action") == "delete":
        return delete(found, entry, form)
    form.most = name_max(found)
    if not form.validate_on_submit():
        return shown(found, 422, row=form, entry=entry)
    values = {"name": form.name.data, "address": form.address.data or "", "is_in_use": bool(form.is_in_use.data)}
    try:
        short_lists.save_entry(found, key, **values, seen=form.seen.data or "", by=visitor().actor)
    except Invalid as error:
        form.put(error)
        return shown(found, 422, row=form, entry=entry)
    except Stale:
        return outdated(found, key, form)
    return to("admin.lists", list=found.value, page=page_number(form.page.data), done="saved")


def delete(which: ListName, entry: Entry, form: EntryForm) -> Answer:
    try:
        short_lists.delete_entry(which, entry.key, seen=form.seen.data or "", by=visitor().actor)
    except Used as used:
        return shown(which, 409, used=used.count, row=form, entry=entry)
    except Stale:
        return outdated(which, entry.key, form)
    return to("admin.lists", list=which.value, page=page_number(form.page.data), done="deleted")


def outdated(which: ListName, key: str, form: EntryForm) -> Answer:
    """Saved by somebody else meanwhile: both side by side; what was typed stays, and a second *Save* takes it."""
    db.session.close()
    saved = short_lists.entry_with(db.session(), which, key)
    if saved is None:
        raise NotVisible
    rows = [(form.name.label.text, form.name.data or "", saved.name)]
    if has_address(which):
        rows.append((form.address.label.text, form.address.data or "", saved.address))
    rows.append((form.is_in_use.label.text, yes_or_no(form.is_in_use.data), yes_or_no(saved.is_in_use)))
    changes = [(str(name), mine, theirs) for name, mine, theirs in rows if mine != theirs]
    return shown(which, 409, row=form, entry=saved, is_stale=True, changes=changes)


def list_named(which: str) -> ListName | None:
    return next((name for name in ListName if name.value == which), None)


def the_list(which: str) -> ListName:
    found = list_named(which)
    if found is None:
        raise NotVisible
    return found


def shown(which: ListName, status: int = 200, **context: Any) -> Answer:
    """The list. `row`: the form of the row `entry` that was sent and not taken; `new`: the form of a new one."""
    row = context.get("row")
    found = short_lists.entries(db.session(), which, number=page_number(row.page.data if row else request.args.get("page")))
    values: dict[str, Any] = {
        "which": which,
        "titles": TITLES,
        "found": found,
        "has_address": has_address(which),
        "most": name_max(which),
        "row": None,
        "entry": None,
        "new": opened(EntryForm, is_in_use=True),
        "used": 0,
        "is_stale": False,
        "changes": [],
        "notice": notice(),
    }
    return page("admin/lists.html", "admin/_lists.html", status, **values | context)
