"""Drafts: what was written and not sent, kept by itself or by *Keep as draft*, opened again in its own form."""

import json
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from flask import current_app, render_template, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RoutingException

from portal import blueprint
from practice.db import new_key, now
from practice.drafts import ABOUT_MAX, DraftSent, discard_draft, draft_version, drafts_of
from practice.drafts import save_draft as save
from practice.errors import NotVisible, Stale, TooMany
from practice.settings import RequestType
from practice.threads import PAGE
from web.answers import Answer, to
from web.asked import version_in
from web.errors import shown
from web.formats import clock, local
from web.formats import gettext as _
from web.formats import lazy_gettext as _l
from web.gate import NEVER_KEPT, is_form_key, says_form_page, visitor

FORMS: dict[str, tuple[RequestType | None, Any]] = {
    "portal.new_message": (RequestType.OTHERS, _l("New Message")),
    "portal.message": (None, _l("Answer")),
    "portal.request_appointment": (RequestType.APPOINTMENT, _l("Request Appointment")),
    "portal.request_result": (RequestType.RESULT, _l("Request Result")),
    "portal.request_amendment": (RequestType.AMENDMENT, _l("Request Amendment")),
}
"""The pages whose forms have drafts, with the type they ask for and what a draft of theirs is called."""
SAYS = ("title", "reason", "to_value", "body", "comments", "memo", "to")  # what tells one draft from another, the best first
EXCERPT = 80  # characters


@blueprint.get("/messages/drafts")
def drafts() -> str:
    me, before, after = visitor().person_id, request.args.get("before", ""), request.args.get("after", "")
    found = drafts_of(me, limit=PAGE + 1, before=before, after=after)
    rows, is_more = (found[-PAGE:], len(found) > PAGE) if after else (found[:PAGE], len(found) > PAGE)
    has_newer, has_older = (is_more, True) if after else (bool(before), is_more)
    return render_template(
        "portal/drafts.html",
        here="portal.messages",
        box="drafts",
        rows=[described(draft) for draft in rows],
        newer=url_for("portal.drafts", after=rows[0].key) if rows and has_newer else "",
        older=url_for("portal.drafts", before=rows[-1].key) if rows and has_older else "",
    )


@blueprint.post("/drafts/<key>")
@says_form_page
def save_draft(key: str) -> Answer:
    """Saves what stands in a form. Scripts get its new version, or 409 with the newer one; a browser is led to Drafts."""
    me, about = visitor(), request.form.get("about", "")
    if not is_form_key(key) or form_of(about) not in FORMS:
        raise NotVisible
    values = {name: request.form.getlist(name) for name in request.form if name not in (*NEVER_KEPT, "key")}
    if not any(v.strip() for vs in values.values() for v in vs):
        return _answer(200, {"version": 0, "said": _("Nothing is written yet.")}, done="")
    draft: dict[str, Any] = {"about": about, "values": values, "by": me.actor}
    try:
        version = save(me.person_id, key=key, seen=version_in(request.form.get("draft_version")), **draft)
    except DraftSent:
        return _answer(410, {}, done="draft-sent")
    except TooMany:
        if _is_script():
            raise
        text = _(
            "You have very many drafts. Delete some under Drafts and send this one, or keep it then. Your text stands below."
        )
        return shown(429, heading=_("Not saved"), text=text)
    except Stale:
        if not _is_script() or "leaving" in request.form:  # nobody is there to be asked: both are kept; the list shows them
            save(me.person_id, key=new_key(), **draft)
        return _answer(409, {"version": draft_version(me.person_id, key), "address": f"{about}?draft={key}"}, done="draft-beside")
    return _answer(
        200, {"version": version, "said": _("Draft saved at %(time)s", time=clock(local(now()).time()))}, done="draft-kept"
    )


@blueprint.post("/drafts/<key>/deletion")
def delete_draft(key: str) -> Answer:
    discard_draft(visitor().person_id, key=key[:22], by=visitor().actor)
    return to("portal.drafts", done="draft-deleted")


def _is_script() -> bool:
    return request.accept_mimetypes.best == "application/json"


def _answer(status: int, values: dict[str, Any], *, done: str) -> Answer:
    if _is_script():
        return current_app.json.response(values), status  # type: ignore[return-value]
    return to("portal.drafts", **({"done": done} if done else {}))


def form_of(about: str) -> str:
    """The endpoint of the page at this address; empty for what is no page of ours."""
    if not about.startswith("/") or len(about) > ABOUT_MAX or "?" in about or "\0" in about:
        return ""
    return _endpoint_of(about)


@lru_cache(maxsize=1024)
def _endpoint_of(path: str) -> str:
    try:
        return current_app.url_map.bind("localhost").match(unquote(path), method="GET")[0]
    except (HTTPException, RoutingException):
        return ""


def described(draft: Any) -> dict[str, Any]:
    """A draft as lists show it: what it is called, the beginning of its text, when it was saved, where it opens."""
    page = form_of(draft.about)
    kind, name = FORMS.get(page, (None, _l("Draft")))
    values = json.loads(draft.said)
    text = next((v for field in SAYS for v in values.get(field, []) if v.strip() and not is_choice(field, page)), "")
    return {
        "key": draft.key,
        "type": kind,
        "name": name,
        "text": text.strip()[:EXCERPT],
        "saved_at": draft.saved_at,
        "address": f"{draft.about}?draft={draft.key}",
    }


def is_choice(field: str, page: str) -> bool:
    """Whether a field holds the key of something chosen, no words: *To* of a message."""
    return field == "to" and page == "portal.new_message"
