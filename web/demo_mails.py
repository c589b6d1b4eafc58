"""In the demo mode notices are shown on a page instead of being sent."""

import sqlalchemy as sa
from flask import Blueprint, render_template

from practice.db import db
from practice.outbox import Leased, Notice, NoticeState
from practice.people import Person
from practice.threads import Thread
from web.gate import ANYONE, allow

blueprint = Blueprint("demo", __name__, url_prefix="/demo")


def show_only(leased: Leased) -> None:
    """The demo's way of sending: the row itself is what the page shows."""


@blueprint.get("/mails")
@allow(ANYONE)
def mails() -> str:
    newest = (
        sa.select(Notice.occasion, Notice.created_at, Person.email, Thread.key)
        .join(Person, Person.id == Notice.person_id)
        .join(Thread, Thread.id == Notice.thread_id)
        .where(Notice.state == NoticeState.SENT)
        .order_by(Notice.sent_at.desc())
        .limit(50)
    )
    return render_template("demo/mails.html", mails=db.session.execute(newest).all())
