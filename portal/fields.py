"""Fields of the patient's forms: what comes out is typed (dates, times, enums), what is not on offer is refused."""

import contextlib
from datetime import datetime

from flask import request, url_for

from practice.conversations import promised_by, was_sent
from practice.db import now
from practice.drafts import save_draft
from practice.emergency import emergency_words_in
from practice.errors import Stale, TooMany
from practice.files import files_of_draft
from practice.settings import MenuItem, RequestType, SwitchedOff, is_on
from web.answers import Answer, page
from web.formats import present_practice
from web.forms import Form
from web.gate import NEVER_KEPT, visitor


def must_be_on(item: MenuItem, *, form_key: str = "") -> None:
    """Refuses a part that is switched off, in pages that were open before too. Raises SwitchedOff.

    `form_key` of a form that was sent before it was switched off: its repeat is answered as the first time.
    """
    if not is_on(present_practice(), item) and not was_sent(visitor().person_id, form_key.replace("\0", "")):
        raise SwitchedOff(item)


# ---- Before it is sent ---------------------------------------------------------------------------

NOT_SHOWN_AGAIN = ("csrf_token", "reviewed", "change", "draft_version")


def is_to_be_sent(form: Form) -> bool:
    """Whether a request was reviewed; one that was sent before is answered as the first time."""
    return request.form.get("reviewed") == "yes" or was_sent(visitor().person_id, form.key.data)


def review(endpoint: str, form: Form, facts: list[tuple[str, str]], kind: RequestType, texts: list[str]) -> Answer:
    """The page that shows a request once more. What was written is kept as a draft: this page may be closed."""
    me = visitor()
    values = {name: request.form.getlist(name) for name in request.form if name not in NEVER_KEPT}
    is_kept = False
    with contextlib.suppress(Stale, TooMany):  # another window has a newer one, or there are too many: the review goes on
        about = url_for(endpoint)
        form.draft_version = save_draft(
            me.person_id, key=form.key.data, about=about, values=values, by=me.actor, seen=form.draft_version
        )
        is_kept = True
    return page(
        "portal/review.html",
        "portal/_review.html",
        here=endpoint,
        address=url_for(endpoint),
        form=form,
        is_kept=is_kept,
        files=files_of_draft(me.person_id, form.key.data),
        facts=[(name, value) for name, value in facts if value],
        posted=[(n, v) for n in request.form for v in request.form.getlist(n) if n not in NOT_SHOWN_AGAIN],
        words=emergency_words_in(texts, present_practice().emergency_words),
        answer_by=answer_by(kind),
    )


def must_warn(form: Form, *texts: str) -> bool:
    """Whether words of an emergency stand in what is about to be sent, and its author was not warned yet."""
    form.emergency = emergency_words_in(list(texts), present_practice().emergency_words)
    return bool(form.emergency) and request.form.get("warned") != "yes" and not was_sent(visitor().person_id, form.key.data)


def answer_by(kind: RequestType) -> datetime:
    """The promise for what is sent now."""
    return promised_by(present_practice(), kind, now())
