"""Records: whoever is in charge of amendments imports documents for patients. Exists in Meaningful Use mode only."""

from typing import Any

from flask import Response

from practice.errors import NotVisible
from staff import blueprint
from staff.box import keeps_records, my_box, unread
from staff.new_message import MOST_FOUND, FindForm, patient_with, searched, sought
from web import record_copies, record_imports
from web.answers import Answer, to
from web.attached import UPLOAD_MAX
from web.forms import must_be_key
from web.gate import upload
from web.record_imports import RecordDesk


def must_keep_records() -> None:
    """Raises NotVisible."""
    if not keeps_records():
        raise NotVisible


def desk_of(patient: str) -> RecordDesk:
    """Nobody sees their own record from this side. Raises NotVisible."""
    must_keep_records()
    must_be_key(patient)
    found = patient_with(patient, my_box().own_patient)
    if found is None:
        raise NotVisible
    return RecordDesk("staff", found.id, lambda: around() | {"patient": found}, {"patient": patient})


def around() -> dict[str, Any]:
    return {"here": "staff.records", "box": my_box(), "unread": unread()}


@blueprint.get("/records")
def records() -> Answer:
    """The search for the patient."""
    must_keep_records()
    return _search(*sought())


@blueprint.post("/records/searches")
def find_record() -> Answer:
    must_keep_records()
    form = FindForm()
    key = searched(form)
    return to("staff.records", filter=key) if key else _search(form, None, 422)


def _search(find: FindForm, found: list[Any] | None, status: int = 200) -> Answer:
    desk = RecordDesk("staff", 0, around)
    return desk.page("records", status, find=find, found=found, most=MOST_FOUND, here_after="staff.documents")


@blueprint.get("/records/<patient>/documents")
def documents(patient: str) -> Answer:
    return record_imports.list_documents(desk_of(patient))


@blueprint.post("/records/<patient>/documents")
@upload(UPLOAD_MAX)
def bring_document(patient: str) -> Answer:
    return record_imports.bring_document(desk_of(patient))


@blueprint.get("/records/<patient>/documents/<key>")
def document(patient: str, key: str) -> Answer:
    return record_imports.show_document(desk_of(patient), key)


@blueprint.post("/records/<patient>/documents/<key>/saving")
def save_document(patient: str, key: str) -> Answer:
    return record_imports.save_document(desk_of(patient), key)


@blueprint.post("/records/<patient>/documents/<key>/removal")
def discard_document(patient: str, key: str) -> Answer:
    return record_imports.discard_document(desk_of(patient), key)


@blueprint.get("/records/<patient>/documents/<key>/file")
def document_file(patient: str, key: str) -> Answer:
    return record_imports.document_file(desk_of(patient), key)


# ---- To take along -------------------------------------------------------------------------------


@blueprint.get("/records/<patient>/copies")
def copies(patient: str) -> Answer:
    return record_copies.show_copies(desk_of(patient))


@blueprint.post("/records/<patient>/copies/<kind>/file")
def take_copy(patient: str, kind: str) -> Response:
    return record_copies.take_copy(desk_of(patient), kind)


@blueprint.get("/records/<patient>/print")
def print_record(patient: str) -> Answer:
    return record_copies.print_record(desk_of(patient))
