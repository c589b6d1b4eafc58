"""Medical documents over HTTP, the same for both sides: a file is brought, looked at, and saved or discarded."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

from flask import Response, render_template, request, send_file, url_for
from wtforms import FileField, HiddenField, TextAreaField

from practice import record_imports
from practice.access_log import LIST, note_view
from practice.db import db, new_key
from practice.documents import Entry, Note
from practice.errors import Invalid, Stale, TooLarge
from practice.files import path_of
from practice.reading import TOO_LARGE
from practice.record_imports import REASON_MAX, Doubt, Plan, document_of, documents_of, plan_of, values_of
from practice.records import PAGE, RecordDocument, account_of
from web.answers import Answer, notice, to
from web.attached import NO_ROOM, the_file
from web.facts import SECTIONS, record_word, standing_word
from web.formats import full_name, long_day
from web.formats import gettext as _
from web.formats import lazy_gettext as _l
from web.forms import AtMost, Form, is_key, must_be_key, paged, tidy
from web.gate import visitor

ENTRIES_SHOWN = 25  # of one section
UNREAD_SHOWN = 100


class FileForm(Form):
    file = FileField(_l("File"))


class SaveForm(Form):
    """`seen`: a fingerprint of the record that the page compared the document with."""

    seen = HiddenField()
    reason = TextAreaField(_l("Reason"), [AtMost(REASON_MAX, _l("Use at most 500 characters."))], filters=[tidy])


@dataclass(frozen=True)
class RecordDesk:
    """From which side a record is opened, and whose it is. `own`: what the addresses of this side say besides the document;
    `around`: what its pages need."""

    side: str
    patient: int
    around: Callable[[], dict[str, Any]]
    own: dict[str, Any] = field(default_factory=dict)

    def address(self, name: str, **values: Any) -> str:
        return url_for(f"{self.side}.{name}", **self.own, **values)

    def to(self, name: str, **values: Any) -> Answer:
        return to(f"{self.side}.{name}", **self.own, **values)

    def note_view(self, what: str) -> None:
        """Staff's looks are written down before anything is shown; patients look at their own."""
        if self.side == "staff":
            note_view(self.patient, what, by=visitor().actor)

    def page(self, name: str, status: int = 200, **context: Any) -> Answer:
        shared = {"desk": self, "sections": SECTIONS, "notice": notice() if status == 200 else None}
        return render_template(f"{self.side}/{name}.html", **self.around(), **shared, **context), status


# ---- Bringing ------------------------------------------------------------------------------------


def list_documents(desk: RecordDesk, form: Form | None = None, status: int = 200) -> Answer:
    before, after = request.args.get("before", ""), request.args.get("after", "")
    for key in filter(None, (before, after)):
        must_be_key(key)
    desk.note_view(LIST)
    found = documents_of(desk.patient, by=visitor().actor, limit=PAGE + 1, before=before, after=after)
    shown, newer, older = paged(found, before=before, after=after, size=PAGE)
    pages = {
        "newer": newer and desk.address("documents", after=newer),
        "older": older and desk.address("documents", before=older),
    }
    return desk.page("documents", status, documents=shown, form=form or FileForm(formdata=None), **pages)


def bring_document(desk: RecordDesk) -> Answer:
    form, status = FileForm(), 422
    key = form.key.data if is_key(form.key.data) else new_key()
    try:
        file = the_file(several="Bring one document after the other.")
        stream = cast(BinaryIO, file.stream)
        record_imports.bring(desk.patient, name=file.filename or "", stream=stream, form_key=key, by=visitor().actor)
        return desk.to("document", key=key)
    except Invalid as error:
        form.put(error)
    except TooLarge:
        form.put(Invalid("file", TOO_LARGE))
        status = 413
    except OSError as failure:
        if failure.errno not in NO_ROOM:
            raise
        form.put(Invalid("file", "There is no room to store this file just now. Nothing was imported. Try again later."))
        status = 503
    db.session.close()
    form.key.data = new_key()  # the file is chosen anew
    return list_documents(desk, form, status)


# ---- Its way in ----------------------------------------------------------------------------------


def show_document(desk: RecordDesk, key: str) -> Answer:
    document = _document(desk, key)
    if document.saved_at is not None:
        return desk.page("document", document=document, counts=values_of(document), plan=None, form=None)
    return _preview(desk, document, SaveForm(formdata=None))


def save_document(desk: RecordDesk, key: str) -> Answer:
    document, form = _document(desk, key), SaveForm()
    if not form.validate_on_submit():
        return _preview(desk, document, form, 422)
    said = {"seen": form.seen.data or "", "reason": form.reason.data or ""}
    try:
        record_imports.save(key, patient=desk.patient, **said, by=visitor().actor)
    except Invalid as error:
        form.put(error)
        db.session.close()
        return _preview(desk, document, form, 422)
    except Stale:
        db.session.close()
        return _preview(desk, document, form, 409)
    return desk.to("document", key=key, done="imported")


def discard_document(desk: RecordDesk, key: str) -> Answer:
    must_be_key(key)
    record_imports.discard(key, patient=desk.patient, by=visitor().actor)
    return desk.to("documents", done="discarded")


def document_file(desk: RecordDesk, key: str) -> Response:
    """The file as it came: to be saved, never to be run (headers.py adds nosniff and a sandbox)."""
    document = _document(desk, key)
    path = path_of(document.stored_as)
    return send_file(path, mimetype="application/octet-stream", as_attachment=True, download_name=document.name)


def _document(desk: RecordDesk, key: str) -> RecordDocument:
    must_be_key(key)
    document = document_of(key, patient=desk.patient, by=visitor().actor)
    desk.note_view(key)
    return document


def _preview(desk: RecordDesk, document: RecordDocument, form: Any, status: int = 200) -> Answer:
    plan = plan_of(document)
    form.seen.data = plan.seen
    form.reason.flags.required = bool(plan.doubts)
    return desk.page(
        "document",
        status,
        document=document,
        plan=plan,
        form=form,
        is_stale=status == 409,
        doubts=_doubts(plan, desk.patient),
        notes=[_note(note) for note in plan.document.notes],
        total=sum(map(len, plan.new.values())),
        entry_words=entry_words,
        entries_shown=ENTRIES_SHOWN,
        not_read=[(one.what, one.reason and _(one.reason)) for one in plan.document.unread[:UNREAD_SHOWN]],
    )


def _doubts(plan: Plan, patient: int) -> list[str]:
    """Why the document may be of somebody else, a sentence each."""
    said, ours = plan.document.patient, account_of(patient)
    first = " ".join(part for part in (said.first, said.middle) if part)
    names = {"theirs": ", ".join(part for part in (said.last, first) if part), "ours": full_name(ours)}
    born = {"theirs": long_day(said.dob) if said.dob else said.dob_text, "ours": long_day(ours.dob)}
    words = {
        Doubt.OTHER_NAME: _("The document is of %(theirs)s. This record is of %(ours)s.", **names),
        Doubt.NO_NAME: _("The document does not say the patient's name."),
        Doubt.OTHER_DOB: _("By the document the patient was born on %(theirs)s. By this record on %(ours)s.", **born),
        Doubt.NO_DOB: _("The document does not say a birth date that can be read."),
    }
    return [words[doubt] for doubt in plan.doubts]


def _note(note: Note) -> str:
    return _(note.text, **note.values)


def entry_words(entry: Entry) -> str:
    """On one line, as a list names it."""
    day = long_day(entry.recorded_on) if entry.recorded_on else entry.recorded_text
    said = record_word(entry.name), record_word(entry.value), standing_word(entry), day
    return ", ".join(part for part in said if part)
