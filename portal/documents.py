"""Documents that came into the patient's record, and bringing one. Exists in Meaningful Use mode only."""

from portal import blueprint
from portal.fields import must_be_on
from practice.settings import MenuItem
from web import record_imports
from web.answers import Answer
from web.attached import UPLOAD_MAX
from web.gate import upload, visitor
from web.record_imports import RecordDesk


def my_desk() -> RecordDesk:
    """Raises SwitchedOff."""
    must_be_on(MenuItem.MY_INFO)
    return RecordDesk("portal", visitor().person_id, lambda: {"here": "portal.my_info"})


@blueprint.get("/my-info/documents")
def documents() -> Answer:
    return record_imports.list_documents(my_desk())


@blueprint.post("/my-info/documents")
@upload(UPLOAD_MAX)
def bring_document() -> Answer:
    return record_imports.bring_document(my_desk())


@blueprint.get("/my-info/documents/<key>")
def document(key: str) -> Answer:
    return record_imports.show_document(my_desk(), key)


@blueprint.post("/my-info/documents/<key>/saving")
def save_document(key: str) -> Answer:
    return record_imports.save_document(my_desk(), key)


@blueprint.post("/my-info/documents/<key>/removal")
def discard_document(key: str) -> Answer:
    return record_imports.discard_document(my_desk(), key)


@blueprint.get("/my-info/documents/<key>/file")
def document_file(key: str) -> Answer:
    return record_imports.document_file(my_desk(), key)
