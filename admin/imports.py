"""Import of staff and patients: a file is read, checked in steps, shown, and taken whole or not at all."""

from contextlib import closing
from datetime import date
from typing import Any

from flask import render_template, request, url_for
from flask_babel import ngettext
from wtforms import FileField

from admin import blueprint
from practice import imports
from practice.db import db, new_key
from practice.errors import Invalid, NotVisible, Stale
from practice.imports import LINES_MAX, ImportKind, NotAsChecked, Seen
from web.answers import Answer, notice, page, to
from web.formats import gettext as _
from web.formats import lazy_gettext as _l
from web.formats import number
from web.forms import Form, must_be_key
from web.gate import upload, visitor
from web.spreadsheets import FILE_MAX, read_table, xlsx

FIELD_WORDS = {
    "login": _l("ID"),
    "last_name": _l("Last name"),
    "first_name": _l("First name"),
    "email": _l("E-mail"),
    "level": _l("Level"),
    "group": _l("Group"),
    "specialty": _l("Specialty"),
    "institution": _l("Institution"),
    "department": _l("Department"),
    "is_admin": _l("Admin"),
    "dob": _l("Date of birth"),
    "sex": _l("Sex"),
    "phone": _l("Phone"),
    "record_number": _l("Record number"),
}
FAULT_WORDS = {
    "missing": _l("Write something here."),
    "name": _l("Write a last name, a first name or both."),
    "long": _l("This text is too long."),
    "strange": _l("Remove the characters that cannot be shown."),
    "email": _l("This is not an e-mail address."),
    "yes_or_no": _l("Write yes or no."),
    "day": _l("Write a date of birth as YYYY-MM-DD."),
    "sex": _l("Write female, male, other or unknown."),
    "taken": _l("An account has this already."),
}
PAGES = {ImportKind.STAFF: "admin.staff", ImportKind.PATIENTS: "admin.patients"}
START = {ImportKind.STAFF: "admin.import_staff", ImportKind.PATIENTS: "admin.import_patients"}
SEND = {ImportKind.STAFF: "admin.upload_staff", ImportKind.PATIENTS: "admin.upload_patients"}


class FileForm(Form):
    file = FileField(_l("File"))


class StepForm(Form):
    """The buttons of an import."""


# ---- The file ------------------------------------------------------------------------------------


@blueprint.get("/staff/import")
def import_staff() -> Answer:
    return start(ImportKind.STAFF, FileForm(formdata=None))


@blueprint.get("/patients/import")
def import_patients() -> Answer:
    return start(ImportKind.PATIENTS, FileForm(formdata=None))


@blueprint.post("/staff/import")
@upload(FILE_MAX)
def upload_staff() -> Answer:
    return brought(ImportKind.STAFF)


@blueprint.post("/patients/import")
@upload(FILE_MAX)
def upload_patients() -> Answer:
    return brought(ImportKind.PATIENTS)


@blueprint.get("/imports/templates/<kind>")
def import_template(kind: str) -> Answer:
    """An empty file with the names of the columns."""
    if kind not in set(ImportKind):
        raise NotVisible
    return xlsx(imports.COLUMNS[ImportKind(kind)].values(), [], name=kind)


def brought(kind: ImportKind) -> Answer:
    form, sent = FileForm(), request.files.get("file")
    try:
        if sent is None or not sent.filename:
            raise Invalid("file", "Choose a file.")
        name = "".join(c for c in sent.filename if c.isprintable())
        with closing(sent):
            table = read_table(sent.read(), name, lines_max=LINES_MAX)
        key = imports.begin_import(kind, file_name=name, table=table, form_key=form.key.data, by=visitor().actor)
    except Invalid as error:
        form.put(error)
        form.key.data = new_key()  # the file is chosen anew: whatever this form has brought, the next is another one
        return start(kind, form, 422)
    return to("admin.one_import", key=key)


def start(kind: ImportKind, form: FileForm, status: int = 200) -> Answer:
    values = {
        "kind": kind,
        "form": form,
        "send": url_for(SEND[kind]),
        "back": PAGES[kind],
        "names": list(imports.COLUMNS[kind].values()),
        "lines_max": LINES_MAX,
        "megabytes": FILE_MAX // 1024 // 1024,
        "notice": notice(),
    }
    return render_template("admin/import_file.html", **values), status


# ---- Its way in ----------------------------------------------------------------------------------


@blueprint.get("/imports/<key>")
def one_import(key: str) -> Answer:
    return shown(key)


@blueprint.post("/imports/<key>/checks")
def check_import(key: str) -> Answer:
    """The next lines; from the button, which says so, all that are left."""
    must_be_key(key)
    by = visitor().actor
    is_done = imports.check_more(key, by=by)
    while request.form.get("all") == "y" and not is_done:
        is_done = imports.check_more(key, by=by)
    if request.form.get("all") == "y":
        return to("admin.one_import", key=key)
    db.session.close()
    return shown(key)


@blueprint.post("/imports/<key>/taking")
def take_import(key: str) -> Answer:
    must_be_key(key)
    try:
        imports.take_import(key, by=visitor().actor)
    except NotAsChecked:
        return shown(key, 409, stale=_("Accounts or lists have changed since the file was checked. It is checked again."))
    except Stale:
        return shown(key, 409, stale=_("Nothing was imported: the file is not checked to the end, or has errors."))
    return to("admin.one_import", key=key, done="imported")


@blueprint.post("/imports/<key>/removal")
def discard_import(key: str) -> Answer:
    must_be_key(key)
    kind = imports.discard_import(key, by=visitor().actor)
    return to(START[kind], done="discarded")


def shown(key: str, status: int = 200, **context: Any) -> Answer:
    must_be_key(key)
    found = imports.import_seen(db.session(), key, by=visitor().actor)
    values: dict[str, Any] = {
        "found": found,
        "back": PAGES[found.kind],
        "start": START[found.kind],
        "heads": [FIELD_WORDS[field] for field in found.columns],
        "rows": [[cell(line.values, field) for field in found.columns] for line in found.first],
        "errors": [(line, FIELD_WORDS[field], said(code, more)) for line, field, code, more in found.errors],
        "button": button_of(found),
        "form": StepForm(formdata=None),
        "notice": notice(),
        "stale": "",
    }
    return page("admin/import.html", "admin/_import.html", status, **values | context)


def cell(values: Any, field: str) -> str:
    """A value of the preview, as it will be kept."""
    value = getattr(values, "gender" if field == "sex" else field)
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    if field == "sex":
        return {"female": _("Female"), "male": _("Male"), "other": _("Other"), "unknown": _("Unknown")}[value]
    return value.isoformat() if isinstance(value, date) else value or ""


def said(code: str, more: str) -> str:
    """The sentence of a fault."""
    if code == "twice":
        return _("The same as in line %(line)s.", line=more)
    if code == "term":
        return _("Not in the list. The list has: %(words)s.", words=more) if more else _("Not in the list, which is empty.")
    return str(FAULT_WORDS[code])


def button_of(found: Seen) -> str:
    if found.kind == ImportKind.STAFF:
        return ngettext("Import one member of staff", "Import %(all)s staff", found.total, all=number(found.total))
    return ngettext("Import one patient", "Import %(all)s patients", found.total, all=number(found.total))
