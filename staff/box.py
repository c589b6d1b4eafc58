"""What the person in front of the screen has: read once for each request, asked by every view of this side."""

from flask import g

from practice.communicators import Box, box_of
from practice.db import db
from practice.inbox import own_unread
from practice.settings import RequestType
from web.formats import present_practice
from web.gate import visitor


def my_box() -> Box:
    if "box" not in g:
        g.box = box_of(db.session(), visitor().person_id, visitor().own_patient_id)
    return g.box


def keeps_records() -> bool:
    """Whether the visitor is in charge of the record, by being in charge of its amendments."""
    return present_practice().meaningful_use and any(one.type == RequestType.AMENDMENT for one in my_box().mine)


def unread() -> int:
    """The number on the tab: unread threads of my communicators, my own as a patient left out."""
    box = my_box()
    return sum(audience.unread for audience in box.shared) - own_unread(box.audiences, box.own_patient)
