"""What the person in front of the screen has: read once for each request, asked by every view of this side."""

from flask import g

from practice.communicators import Box, box_of
from practice.db import db
from practice.inbox import own_unread
from web.gate import visitor


def my_box() -> Box:
    if "box" not in g:
        g.box = box_of(db.session(), visitor().person_id, visitor().own_patient_id)
    return g.box


def unread() -> int:
    """The number on the tab: unread threads of my communicators, my own as a patient left out."""
    box = my_box()
    return sum(audience.unread for audience in box.shared) - own_unread(box.audiences, box.own_patient)
