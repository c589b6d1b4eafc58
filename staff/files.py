"""Files: attached to what is written to a patient, and opened from the threads in one's box."""

from typing import Any

from practice.db import db
from practice.threads import file_of_thread, thread_of_box
from staff import blueprint
from staff.box import my_box, unread
from web import attached
from web.answers import Answer, notice
from web.attached import UPLOAD_MAX, Side
from web.gate import upload
from web.looks import note_look


def _around() -> dict[str, Any]:
    return {"here": "staff.draft_files", "box": my_box(), "unread": unread(), "notice": notice()}


FORMS = ("staff.respond", "staff.new_message", "staff.new_request", "staff.request_step")
SIDE = Side("staff", FORMS, may_be_dicom=True, around=_around)


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
    """The thread's own question first; the look is written down before anything is shown, as for its words."""
    box = my_box()
    thread = thread_of_box(db.session(), key, box.audiences, box.own_patient).id
    found = file_of_thread(thread, file)
    note_look(thread)
    return attached.sent(found)
