"""In the demo mode notices are shown on a page instead of being sent."""

from itertools import groupby
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, render_template

from practice.db import db
from practice.outbox import Leased, Notice, NoticeState, occasion_of, told_with
from practice.people import Person
from practice.threads import Thread, reference_of
from web.gate import ANYONE, allow

blueprint = Blueprint("demo", __name__, url_prefix="/demo")


def show_only(leased: Leased) -> None:
    """The demo's way of sending: the row itself is what the page shows."""


@blueprint.get("/mails")
@allow(ANYONE)
def mails() -> str:
    newest = (
        sa.select(Notice.occasion, Notice.created_at, Notice.sent_at, Person.email, Thread.id, Thread.key)
        .join(Person, Person.id == Notice.person_id)
        .outerjoin(Thread, Thread.id == Notice.thread_id)
        .where(Notice.state == NoticeState.SENT)
        .order_by(Notice.sent_at.desc(), Notice.id.desc())
        .limit(50)
    )
    sent = groupby(db.session.execute(newest), lambda row: (row.sent_at, row.email, told_with(row.occasion)))
    return render_template("demo/mails.html", mails=[_mail(list(rows)) for _, rows in sent])


def _mail(rows: list[Any]) -> dict[str, Any]:
    """What was told together went in one mail."""
    first = rows[0]
    about = {row.key: reference_of(row.id) for row in reversed(rows) if row.key}
    return {
        "occasion": occasion_of(row.occasion for row in rows),
        "created_at": first.created_at,
        "email": first.email,
        "threads": list(about),
        "references": list(about.values()),
    }
