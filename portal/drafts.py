"""Drafts: what was written and not sent, kept by itself or by *Keep as draft*, opened again in its own form."""

import json
from functools import partial
from typing import Any

from flask import render_template, request, url_for

from portal import blueprint
from practice.drafts import discard_draft, drafts_of
from practice.drafts import save_draft as save
from practice.settings import RequestType
from practice.threads import PAGE
from web.answers import Answer, to
from web.drafts import form_of, keep_form
from web.formats import lazy_gettext as _l
from web.forms import paged
from web.gate import says_form_page, visitor

FORMS: dict[str, tuple[RequestType | None, Any]] = {
    "portal.new_message": (RequestType.OTHERS, _l("New Message")),
    "portal.message": (None, _l("Answer")),
    "portal.request_appointment": (RequestType.APPOINTMENT, _l("Request Appointment")),
    "portal.request_result": (RequestType.RESULT, _l("Request Result")),
    "portal.request_amendment": (RequestType.AMENDMENT, _l("Request Amendment")),
    "portal.disagree": (None, _l("Statement of disagreement")),
}
"""The pages whose forms have drafts, with the type they ask for and what a draft of theirs is called."""
# What tells one draft from another, the best first.
SAYS = ("title", "reason", "to_value", "body", "statement", "comments", "memo", "to")
EXCERPT = 80  # characters


@blueprint.get("/messages/drafts")
def drafts() -> str:
    me, before, after = visitor().person_id, request.args.get("before", ""), request.args.get("after", "")
    found = drafts_of(me, limit=PAGE + 1, before=before, after=after)
    rows, newer, older = paged(found, before=before, after=after, size=PAGE)
    return render_template(
        "portal/drafts.html",
        here="portal.messages",
        box="drafts",
        rows=[described(draft) for draft in rows],
        newer=newer and url_for("portal.drafts", after=newer),
        older=older and url_for("portal.drafts", before=older),
    )


@blueprint.post("/drafts/<key>")
@says_form_page
def save_draft(key: str) -> Answer:
    me = visitor()
    keep = partial(save, me.person_id, by=me.actor)

    def then(done: str, kept: str) -> Answer:
        if "attach" in request.form and done != "draft-sent":
            return to("portal.draft_files", key=kept, **({"done": done} if done == "draft-beside" else {}))
        return to("portal.drafts", **({"done": done} if done else {}))

    return keep_form(key, pages=FORMS, keep=keep, then=then)


@blueprint.post("/drafts/<key>/deletion")
def delete_draft(key: str) -> Answer:
    discard_draft(visitor().person_id, key=key[:22], by=visitor().actor)
    return to("portal.drafts", done="draft-deleted")


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
