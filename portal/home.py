"""Home: start something, what waits for the patient, what is under way, the latest messages."""

from flask import render_template

from portal import blueprint
from portal.drafts import described
from practice.appointments import upcoming_of
from practice.drafts import drafts_of
from practice.requests import states_of
from practice.threads import Sought, threads_of_patient, under_way_of_patient
from web.facts import STATES
from web.gate import visitor

ANSWERS, DRAFTS, UNDER_WAY, LATEST, UPCOMING = 3, 3, 5, 3, 3  # so many are shown, the newest; a link leads to all


@blueprint.get("/")
def home() -> str:
    me = visitor().person_id
    answers = threads_of_patient(me, sought=Sought(is_unread=True)).rows
    drafts = drafts_of(me, limit=DRAFTS + 1)
    under_way = under_way_of_patient(me, limit=UNDER_WAY + 1)
    states = states_of([waiting.thread.id for waiting in under_way])
    return render_template(
        "portal/home.html",
        here="portal.home",
        upcoming=upcoming_of(me, limit=UPCOMING),
        answers=answers[:ANSWERS],
        drafts=[described(draft) for draft in drafts[:DRAFTS]],
        has_more_drafts=len(drafts) > DRAFTS,
        under_way=under_way[:UNDER_WAY],
        has_more_under_way=len(under_way) > UNDER_WAY,
        states={thread: STATES[state] for thread, state in states.items()},
        latest=threads_of_patient(me).rows[:LATEST],
    )
