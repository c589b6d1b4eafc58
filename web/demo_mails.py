"""In the demo mode notices are shown on a page instead of being sent."""

import hmac
from base64 import urlsafe_b64encode
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, current_app, render_template

from practice.db import db
from practice.outbox import Leased, Notice, NoticeState, occasion_of, told_with
from practice.people import Person
from practice.threads import Thread, reference_of
from web.gate import ANYONE, allow
from web.mail_links import secret_for

blueprint = Blueprint("demo", __name__, url_prefix="/demo")


def show_only(leased: Leased) -> None:
    """The demo's way of sending: the row itself is what the page shows, and a link that the page can tell from it."""
    secret_for(leased, token=_token(leased.key))


def _token(key: str) -> str:
    """The secret of the link in the mail with this key: in no table, in the demo either."""
    secret = hmac.digest(current_app.config["SECRET_KEY"].encode(), f"reset {key}".encode(), "sha256")
    return urlsafe_b64encode(secret).rstrip(b"=").decode()


@blueprint.get("/mails")
@allow(ANYONE)
def mails() -> str:
    email = sa.func.coalesce(Notice.email, Person.email).label("email")
    newest = (
        sa.select(Notice.key.label("mail"), Notice.occasion, Notice.created_at, Notice.sent_at, email, Thread.id, Thread.key)
        .select_from(Notice)
        .outerjoin(Person, Person.id == Notice.person_id)
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
        "token": _token(rows[-1].mail),  # the first notice gave the mail its key
        "created_at": first.created_at,
        "email": first.email,
        "threads": list(about),
        "references": list(about.values()),
    }
