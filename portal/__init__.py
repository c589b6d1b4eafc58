"""The patient's side."""

from typing import Any

from flask import Blueprint, request

from practice.settings import MenuItem, is_on
from practice.threads import is_new_for_patient
from web.answers import is_htmx, notice
from web.formats import present_practice
from web.gate import PATIENT, guard

blueprint = Blueprint("portal", __name__, url_prefix=None)
guard(blueprint, PATIENT)


@blueprint.context_processor
def shared() -> dict[str, Any]:
    practice = present_practice()
    return {
        "notice": notice(),
        "is_new": is_new_for_patient,
        "is_htmx": is_htmx(),
        "about": request.args.get("about", "")[:22],
        "on": {item: is_on(practice, item) for item in MenuItem},
    }


from portal import (  # noqa: E402, F401
    account,
    appointments,
    cancelling,
    copies,
    corrections,
    documents,
    drafts,
    files,
    home,
    messages,
    not_matched,
    record_copies,
    records,
    results,
    second_step,
    writing,
)
