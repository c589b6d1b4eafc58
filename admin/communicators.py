"""Message Communicator: the list, and beside it the editor. One form whose buttons all post to the same address, so that what
is typed, ticked and chosen survives Select User, its search and its pages, without anything being saved before *Save*."""

from dataclasses import dataclass
from typing import Any

from flask import request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response
from wtforms import BooleanField, HiddenField, SelectField, StringField
from wtforms.fields.choices import SelectChoice

from admin import blueprint, select_user
from admin.select_user import KeysField, is_key, keys_in
from practice import coverage
from practice.communicators import InCharge, Overview, last_save, overview, staff_with_keys
from practice.coverage import TITLE_MAX, HasThreads, gaps_without, threads_count
from practice.db import db, new_key
from practice.errors import Invalid, NotVisible, Stale
from practice.settings import RequestType
from web.answers import Answer, notice, page, to
from web.formats import WORD_OF
from web.forms import AtMost, Filled, Form, opened, tidy
from web.gate import visitor

NOBODY = "nobody"  # the gap of a communicator that has nobody active in charge; the others are named by their type


class CommunicatorForm(Form):
    type = SelectField(
        _l("Type of Request"),
        [Filled(_l("Choose a type."))],
        choices=[SelectChoice(kind.value, word) for kind, word in WORD_OF.items()],
    )
    title = StringField(
        _l("The title of communicator"),
        [Filled(_l("Write a title.")), AtMost(TITLE_MAX, _l("Use at most 80 characters."))],
        filters=[tidy],
        render_kw={"autocomplete": "off"},
    )
    staff = KeysField(_l("The users in charge"))
    is_in_use = BooleanField(_l("In Use"))
    version = HiddenField()
    confirmed = HiddenField()

    @property
    def seen_version(self) -> int | None:
        text = self.version.data or ""
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


# ---- Pages ---------------------------------------------------------------------------------------


@blueprint.get("/")
def home() -> Response:
    return to("admin.communicators")


@blueprint.get("/communicators")
def communicators() -> Answer:
    if "new" not in request.args and "draft" not in request.args:
        return shown(None, None)
    like = next((row for row in overview(db.session()) if row.key == request.args.get("like")), None)
    staff = [member.key for member in like.staff] if like else []
    return shown(opened(CommunicatorForm, is_in_use=True, staff=staff, type=RequestType.APPOINTMENT.value), None)


@blueprint.get("/communicators/<key>")
def communicator(key: str) -> Answer:
    found = one(key)
    if found is None:
        raise NotVisible
    return shown(opened(CommunicatorForm, **values_of(found)), found)


@blueprint.post("/communicators")
def add_communicator() -> Answer:
    return pressed(CommunicatorForm(), None)


@blueprint.post("/communicators/<key>")
def save_communicator(key: str) -> Answer:
    found = one(key)
    form = CommunicatorForm()
    if found is None:
        # Deleted by a colleague meanwhile: what was entered stays, and may become a new one.
        form.version.data, form.key.data = "", new_key()
        return shown(form, None, 404, is_gone=True)
    return pressed(form, found)


@blueprint.post("/communicators/deletions")
def delete_communicators() -> Answer:
    known = {row.key: row for row in overview(db.session())}
    results = [deletion(key, known.get(key)) for key in keys_in("communicator")]
    if not results:
        return shown(None, None, 422, is_nothing_ticked=True)
    if all(result.is_deleted for result in results):
        return to("admin.communicators", done="deleted")
    return shown(None, None, 409, results=results)


# ---- The editor ----------------------------------------------------------------------------------


def pressed(form: CommunicatorForm, found: Overview | None) -> Answer:
    """What the pressed button of the editor or of Select User does; a form without a button saves."""
    action, _sep, value = request.form.get("action", "save").partition(":")
    if action in select_user.ACTIONS:
        return select_user.show(form, found, action, value)
    if action == "save":
        return save(form, found)
    if action == "remove":
        form.staff.data = [key for key in form.staff.data if key != value]
    elif action == "pick":
        form.staff.data = list(dict.fromkeys([*form.staff.data, *keys_in("pick")]))
    return shown(form, found)


def save(form: CommunicatorForm, found: Overview | None) -> Answer:
    if not form.validate_on_submit():
        return shown(form, found, 422)
    kind, staff, is_in_use = RequestType(form.type.data), form.staff.data, bool(form.is_in_use.data)
    gaps = [] if is_outdated(form, found) else gaps_of(form, found)
    if gaps and not set(gaps) <= set((form.confirmed.data or "").split(",")):
        form.confirmed.data = ",".join(gaps)
        return shown(form, found, 422, gaps=gaps)
    try:
        key = coverage.save_communicator(
            found.key if found else None,
            kind=kind,
            title=form.title.data,
            staff=staff,
            is_in_use=is_in_use,
            version=form.seen_version,
            form_key=form.key.data,
            by=visitor().actor,
        )
    except Invalid as error:
        form.put(error)
        return shown(form, found, 422)
    except Stale:
        return outdated(form, found)
    return to("admin.communicator", key=key, done="saved")


def is_outdated(form: CommunicatorForm, found: Overview | None) -> bool:
    return found is not None and found.version != form.seen_version


def outdated(form: CommunicatorForm, found: Overview | None) -> Answer:
    """Saved by somebody else meanwhile: both states side by side; what was typed stays, and a second *Save* takes it."""
    db.session.close()
    saved = one(found.key) if found else None
    if saved is None:
        raise NotVisible
    form.version.data = str(saved.version)
    return shown(form, saved, 409, changes=changes(form, saved), saved_by=last_save(db.session(), saved.key))


def gaps_of(form: CommunicatorForm, found: Overview | None) -> list[str]:
    """What saving this would leave without anybody: types of request, and the communicator itself."""
    kind, staff, key = RequestType(form.type.data), form.staff.data, found.key if found else None
    types = [kind] if gaps_without(db.session(), key, kind=kind, staff=staff, is_in_use=bool(form.is_in_use.data)) else []
    if found and found.type != kind and gaps_without(db.session(), key, kind=found.type, staff=[], is_in_use=False):
        types.append(found.type)
    nobody = [] if any(member.is_active for member in staff_with_keys(db.session(), staff)) else [NOBODY]
    return [gap.value for gap in types] + nobody


def changes(form: CommunicatorForm, saved: Overview) -> list[tuple[str, str, str]]:
    """The fields that differ: name, what was typed, what is saved now."""
    yours = staff_with_keys(db.session(), form.staff.data)
    rows = [
        (form.type.label.text, WORD_OF.get(form.type.data, ""), WORD_OF[saved.type]),
        (form.title.label.text, form.title.data or "", saved.title),
        (form.staff.label.text, names(yours), names(saved.staff)),
        (form.is_in_use.label.text, yes_or_no(form.is_in_use.data), yes_or_no(saved.is_in_use)),
    ]
    return [(str(field), str(mine), str(theirs)) for field, mine, theirs in rows if str(mine) != str(theirs)]


def names(staff: list[InCharge]) -> str:
    return " / ".join(sorted(member.name for member in staff))


def yes_or_no(is_so: Any) -> str:
    return _("Yes") if is_so else _("No")


# ---- Shared --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Deletion:
    """What became of a ticked row; `row` as it was, None when it was gone already."""

    row: Overview | None
    is_deleted: bool
    count: int = 0


def deletion(key: str, row: Overview | None) -> Deletion:
    try:
        coverage.delete_communicator(key, by=visitor().actor)
    except NotVisible:
        return Deletion(None, is_deleted=False)
    except HasThreads:
        return Deletion(row, is_deleted=False)
    return Deletion(row, is_deleted=True)


def one(key: str) -> Overview | None:
    return next((row for row in overview(db.session()) if row.key == key), None) if is_key(key) else None


def values_of(found: Overview) -> dict[str, Any]:
    return {
        "type": found.type.value,
        "title": found.title,
        "staff": [member.key for member in found.staff],
        "is_in_use": found.is_in_use,
        "version": str(found.version),
    }


def shown(form: Any, found: Overview | None, status: int = 200, **context: Any) -> Answer:
    """The list, with the editor beside it where there is a form."""
    values: dict[str, Any] = {
        "rows": overview(db.session()),
        "form": form,
        "open": found,
        "members": staff_with_keys(db.session(), form.staff.data) if form else [],
        "count": threads_count(db.session(), found.id) if found else 0,
        "action": url_for("admin.save_communicator", key=found.key) if found else url_for("admin.add_communicator"),
        "notice": notice(),
        "gaps": [],
        "changes": [],
    }
    return page("admin/communicators.html", "admin/_communicators.html", status, **values | context)
