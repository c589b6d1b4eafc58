"""Many at once: what is ticked in the In Box, or the first 200 that match, is received, handed over, closed or deleted."""

from flask import render_template, request

from practice import bulk
from practice.bulk import MOST, Act
from practice.db import new_key
from staff import blueprint
from staff.inbox import listed, matching
from staff.thread import kept_of_in_box
from web.answers import Answer, to
from web.asked import version_in
from web.forms import is_key
from web.gate import visitor

Ticked = dict[str, int]


@blueprint.post("/batches")
def act_on_many() -> Answer:
    """Of all that match it is first said how many they are; to hand over, to whom is asked."""
    did = next((act for act in Act if act == request.form.get("did")), None)
    is_all = "matching" in request.form
    ticked = dict(matching(MOST)) if is_all else _ticked()
    if did is None or not ticked:
        return render_template("staff/inbox.html", **listed("in_box"), is_nothing_ticked=True), 422
    colleague = request.form.get("to", "")[:22]
    if is_all or (did == Act.ENTRUST and not colleague):
        return _asked_first(did, ticked)
    key = bulk.act_on_many(did, ticked.items(), to=colleague, by=visitor().actor, form_key=form_key())
    return to("staff.inbox", batch=key, **kept_of_in_box())


@blueprint.post("/batches/<key>/undoing")
def undo_many(key: str) -> Answer:
    bulk.undo_many(key, by=visitor().actor)
    return to("staff.inbox", batch=key, **kept_of_in_box())


def form_key() -> str:
    """The form's own key, under which it acts once; a page that asks first carries it on."""
    key = request.form.get("batch", "")
    return key if is_key(key) else new_key()


def _ticked() -> Ticked:
    """Key and version of each, as the page showed them; a page that asks first carries all in one field."""
    said = [one.partition(".") for value in request.form.getlist("tick") for one in value.split()][:MOST]
    return {key: version_in(version) for key, _dot, version in said if is_key(key)}


def _asked_first(did: Act, ticked: Ticked) -> Answer:
    me = visitor()
    colleagues = bulk.colleagues_for(list(ticked), by=me.actor, own_patient=me.own_patient_id) if did == Act.ENTRUST else []
    context = {"form_key": form_key(), "did": did, "ticked": ticked, "colleagues": colleagues, "most": MOST}
    return render_template("staff/many.html", **listed("in_box") | context)
