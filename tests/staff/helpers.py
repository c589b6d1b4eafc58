"""What several tests of the staff side ask."""

import re

import sqlalchemy as sa

from practice.db import db, new_key
from practice.threads import Message, ReadLog


def last_id(cast, key):
    """The id of the newest message of a thread, as a reader of it has seen."""
    thread = cast.thread(key)
    return db.session.scalar(sa.select(sa.func.max(Message.id)).where(Message.thread_id == thread.id))


def act(cast, who, key, what, *, htmx=False, version=None, query=""):
    """Presses Receive (receipts), Close (closing), Delete (removal) or Undo (restoring)."""
    data = {"version": str(cast.thread(key).version if version is None else version)}
    return who.post(f"/staff/messages/{key}/{what}{query}", data, htmx=htmx)


def reply(cast, who, thread, body, *, seen=None, htmx=False, **more):
    data = {"key": new_key(), "seen": str(last_id(cast, thread) if seen is None else seen), "body": body} | more
    return who.post(f"/staff/messages/{thread}/replies", data, htmx=htmx)


def messages_of(cast, key):
    thread = cast.thread(key)
    return list(db.session.scalars(sa.select(Message.body).where(Message.thread_id == thread.id).order_by(Message.id)))


def looks_at(cast, key):
    thread = cast.thread(key)
    return db.session.scalar(sa.select(sa.func.count()).select_from(ReadLog).where(ReadLog.thread_id == thread.id))


def rows(answer):
    """The keys of the rows of a list, in order."""
    return re.findall(r'<tr role="row" id="row-([\w-]{22})"', answer.text)


def value(answer, name):
    """The value of a field of the page."""
    found = re.search(rf'name="{name}" value="([^"]*)"', answer.text)
    assert found, f"no field {name}"
    return found[1]
