"""My Results, and asking for one."""

from flask import render_template, request

from portal import blueprint
from portal.cancelling import requests_page
from portal.fields import answer_by, is_to_be_sent, must_be_on, review
from practice.db import db
from practice.errors import Invalid
from practice.results import can_cancel, check_order, media_of, results_of
from practice.results import request_result as ask
from practice.settings import MenuItem, RequestType
from practice.threads import files_sent_in
from web.answers import Answer, page, to
from web.facts import HAND_OVER, MEDIA, STATES
from web.formats import today
from web.forms import Form, opened
from web.gate import visitor
from web.requests import ResultForm


@blueprint.get("/results")
def results() -> str:
    must_be_on(MenuItem.MY_RESULTS)
    listed = requests_page("portal.results", results_of)
    return render_template(
        "portal/results.html",
        here="portal.results",
        files=files_sent_in([row.Thread.id for row in listed["requests"]]),
        states=STATES,
        can_cancel=can_cancel,
        media=MEDIA,
        media_of=media_of,
        hand_over=HAND_OVER,
        **listed,
    )


@blueprint.route("/results/new", methods=["GET", "POST"])
def request_result() -> Answer:
    must_be_on(MenuItem.REQUEST_RESULT, form_key=request.form.get("key", ""))
    if request.method != "POST":
        return _page(opened(ResultForm))
    form = ResultForm()
    if "change" in request.form:
        return _page(form)
    if form.validate_on_submit():
        try:
            if is_to_be_sent(form):
                sent = ask(visitor().person_id, form.order(), today=today(), form_key=form.key.data, by=visitor().actor)
                return to("portal.message", key=sent.thread_key, done="sent")
            check_order(db.session(), form.order(), today=today())
            return review("portal.request_result", form, form.facts(), RequestType.RESULT, [form.comments.data])
        except Invalid as error:
            form.put(error)
    return _page(form, 422)


def _page(form: Form, status: int = 200) -> Answer:
    return page(
        "portal/request_result.html",
        "portal/_request_result.html",
        status,
        here="portal.results",
        form=form,
        answer_by=answer_by(RequestType.RESULT),
        today=today(),
    )
