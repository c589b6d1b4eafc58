"""Files over HTTP, the same for both sides: attached to a draft, each by a request of its own, and handed out to whoever may.

Without JavaScript *Attach files* keeps the draft and leads to a page of its own; with it the same fragment is swapped in place.
"""

import errno
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from flask import Flask, Response, render_template, request, send_file
from werkzeug.datastructures import FileStorage

from practice.attachments import attach, detach, file_of_draft
from practice.content import ENDINGS, PICTURES
from practice.conversations import was_sent
from practice.drafts import page_of_draft
from practice.errors import Invalid, NotVisible, Stale, TooLarge
from practice.files import FILE_MAX, FileState, files_of_draft, is_picture, may_be_opened, path_of
from web.answers import Answer, is_htmx, to
from web.drafts import form_of
from web.errors import shown
from web.formats import gettext as _
from web.formats import number
from web.forms import Form
from web.gate import visitor

UPLOAD_MAX = FILE_MAX + 64 * 1024  # with the form around the file
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
MESSAGES = ("portal.new_message", "portal.message", "staff.new_message", "staff.respond")  # every other form is a request's


@dataclass(frozen=True)
class Side:
    """Whose messages take files. `forms`: the endpoints of the pages they are written on; `around`: what its pages need."""

    name: str
    forms: Collection[str]
    may_be_dicom: bool
    around: Callable[[], dict[str, Any]]

    def about(self, draft: str) -> str:
        """The address where the visitor's draft opens. Raises NotVisible: not there, or of a form that takes no files."""
        about = page_of_draft(visitor().person_id, draft)
        if form_of(about) not in self.forms:
            raise NotVisible
        return about


def list_files(side: Side, draft: str, *, status: int = 200, error: str = "") -> Answer:
    """The page of a draft's files; for htmx the part of it that stands in the form too."""
    about = side.about(draft)
    files = files_of_draft(visitor().person_id, draft)
    context: dict[str, Any] = {"side": side.name, "draft": draft, "files": files, "error": error}
    if is_htmx():
        return render_template("_files.html", **context), status
    is_message = form_of(about) in MESSAGES
    context |= {"back": f"{about}?draft={draft}", "is_message": is_message, "may_be_dicom": side.may_be_dicom}
    return render_template(f"{side.name}/draft_files.html", **side.around(), **context), status


def attach_file(side: Side, draft: str) -> Answer:
    me = visitor()
    if not page_of_draft(me.person_id, draft):
        return _refuse_late(draft)
    side.about(draft)
    try:
        file = the_file(several="Attach one file after the other.")
        stream = cast(BinaryIO, file.stream)
        attach(me.person_id, draft=draft, name=file.filename or "", stream=stream, may_be_dicom=side.may_be_dicom, by=me.actor)
    except Invalid as invalid:
        return list_files(side, draft, status=422, error=_(invalid.text))
    except TooLarge:
        return refuse_large(side, draft)
    except Stale:
        return _refuse_late(draft)
    except OSError as failure:
        if failure.errno not in NO_ROOM:
            raise
        words = _("There is no room to store this file just now. Your text and your other files are kept. Try again later.")
        return list_files(side, draft, status=503, error=words)
    return list_files(side, draft) if is_htmx() else to(f"{side.name}.draft_files", key=draft)


def refuse_large(side: Side, draft: str) -> Answer:
    words = _("This file is larger than 10 MB. Choose a smaller one, or split it. Your text and your other files are kept.")
    return list_files(side, draft, status=413, error=words)


def the_file(*, several: str) -> FileStorage:
    """The one file of the form. Raises Invalid; `several`: what is said of more than one."""
    sent = [file for name in request.files for file in request.files.getlist(name)]
    if len(sent) > 1:
        raise Invalid("file", several)
    if "file" not in request.files or not (request.files["file"].filename or _has_bytes(request.files["file"])):
        raise Invalid("file", "Choose a file first.")
    return request.files["file"]


def _has_bytes(file: FileStorage) -> bool:
    """A browser sends an empty part where no file was chosen."""
    has_some = bool(file.stream.read(1))
    file.stream.seek(0)
    return has_some


def _refuse_late(draft: str) -> Response:
    """The draft is not there: sent meanwhile, or never anybody's who asks."""
    if not was_sent(visitor().person_id, draft):
        raise NotVisible
    return shown(
        409,
        heading=_("This was sent already"),
        text=_("The file came too late and was not taken. Write another message to send it along."),
    )


def detach_file(side: Side, draft: str, key: str) -> Answer:
    side.about(draft)
    detach(visitor().person_id, draft=draft, key=key, by=visitor().actor)
    return list_files(side, draft) if is_htmx() else to(f"{side.name}.draft_files", key=draft)


def draft_file(draft: str, key: str) -> Response:
    """A file of the visitor's own draft."""
    return sent(file_of_draft(visitor().person_id, draft=draft, key=key))


def sent(file: Any) -> Response:
    """The bytes, to whoever was found to be allowed to have them: to be saved, never to be run; of a picture also to be shown
    small. What the file says of itself is never repeated (headers.py adds nosniff and a sandbox)."""
    if file.state == FileState.REFUSED:
        raise NotVisible
    if not may_be_opened(file):
        return shown(
            409, heading=_("Not checked yet"), text=_("This file is being checked for viruses. It opens when that is done.")
        )
    if request.args.get("as") == "picture" and is_picture(file):
        name = f"picture{ENDINGS[file.type][0]}"
        return send_file(path_of(file.stored_as), mimetype=PICTURES[file.type], download_name=name)
    return send_file(path_of(file.stored_as), mimetype="application/octet-stream", as_attachment=True, download_name=file.name)


def size_words(size: int) -> str:
    """As a person reads it: "340 kB", "2.5 MB"."""
    if size < 1024 * 1024:
        return _("%(n)s kB", n=number(max(1, round(size / 1024))))
    whole, tenth = divmod(round(size / 1024 / 1024 * 10), 10)
    return _("%(n)s MB", n=number(whole) if not tenth else f"{number(whole)}.{tenth}")


def files_of_form(form: Form) -> list[Any]:
    """What is attached to what is being written; nothing, and no statement, where there is no draft of it."""
    return files_of_draft(visitor().person_id, form.key.data) if form.draft_version or form.over else []


def set_up(app: Flask) -> None:
    app.jinja_env.globals |= {"files_of_form": files_of_form, "FILE_MAX": FILE_MAX}
    app.jinja_env.filters |= {"size_words": size_words}
    app.jinja_env.tests |= {"picture": is_picture, "openable": may_be_opened}
