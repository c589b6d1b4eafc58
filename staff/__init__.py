"""The staff side: the shared Message Box."""

from flask import Blueprint

from web.gate import STAFF, guard

blueprint = Blueprint("staff", __name__, url_prefix="/staff")
guard(blueprint, STAFF)

from staff import (  # noqa: E402, F401
    absences,
    account,
    by_phone,
    canned_replies,
    files,
    handling,
    inbox,
    keyboard,
    live,
    many,
    new_message,
    notes,
    records,
    replies,
    requests,
    second_step,
    thread,
)
