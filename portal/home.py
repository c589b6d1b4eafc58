"""Home: start something, what was answered, what is under way, the latest messages."""

from flask import render_template

from portal import blueprint
from practice.threads import is_new_for_patient, threads_of_patient, under_way_of_patient
from web.gate import visitor


@blueprint.get("/")
def home() -> str:
    me = visitor().person_id
    rows = threads_of_patient(me).rows
    return render_template(
        "portal/home.html",
        here="portal.home",
        answers=[row for row in rows if is_new_for_patient(row)][:3],
        under_way=under_way_of_patient(me),
        latest=rows[:3],
    )
