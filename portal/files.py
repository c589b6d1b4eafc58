"""Files: attached to what the patient writes, and opened from the patient's own conversations."""

from portal import blueprint
from portal.drafts import FORMS
from practice.db import db
from practice.threads import file_of_thread, thread_of_patient
from web import attached
from web.answers import Answer
from web.attached import UPLOAD_MAX, Side
from web.gate import upload, visitor

SIDE = Side("portal", FORMS, may_be_dicom=False, around=lambda: {"here": "portal.messages"})


@blueprint.get("/drafts/<key>/files")
def draft_files(key: str) -> Answer:
    return attached.list_files(SIDE, key)


@blueprint.post("/drafts/<key>/files")
@upload(UPLOAD_MAX, too_large=lambda key: attached.refuse_large(SIDE, key))
def attach(key: str) -> Answer:
    return attached.attach_file(SIDE, key)


@blueprint.post("/drafts/<key>/files/<file>/removal")
def detach(key: str, file: str) -> Answer:
    return attached.detach_file(SIDE, key, file)


@blueprint.get("/drafts/<key>/files/<file>")
def draft_file(key: str, file: str) -> Answer:
    return attached.draft_file(key, file)


@blueprint.get("/messages/<key>/files/<file>")
def file(key: str, file: str) -> Answer:
    """The thread's own question first: whoever may not see it any more has no file of it either."""
    thread = thread_of_patient(db.session(), key, visitor().person_id)
    return attached.sent(file_of_thread(thread.id, file, is_for_patient=True))
