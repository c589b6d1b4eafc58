"""What an open page asks again by itself, every ten seconds: news of its list, and who else has the message open.

Polls carry `X-Poll: 1` and never keep anybody logged in. What comes without it is led to the whole page.
"""

from flask import Response, make_response, render_template, request, url_for

from practice import presence
from practice.db import db
from practice.notes import last_note_id
from practice.threads import thread_of_box
from staff import blueprint
from staff.box import my_box
from staff.inbox import kept, listed, news_tag, which_list
from web.answers import Answer, to
from web.asked import version_in
from web.gate import is_poll, visitor


@blueprint.get("/news")
def news() -> Answer:
    """The list as it is now with the numbers above it; 304 while nothing has changed in what one has."""
    which = which_list()
    if not is_poll():
        return to("staff.sent_items" if which == "sent" else "staff.inbox", **kept())
    tag = news_tag(kept())
    if request.if_none_match.contains(tag):
        answer = Response(status=304)
    else:
        answer = make_response(render_template("staff/_news.html", **listed(which)))
    answer.set_etag(tag)
    return answer


@blueprint.post("/messages/<key>/presence")
def be_present(key: str) -> Answer:
    """I have it open, and perhaps write: who else does, and whether something came since `version` and `note` were shown."""
    box, me = my_box(), visitor().person_id
    thread = thread_of_box(db.session(), key, box.audiences, box.own_patient)
    number, present = thread.id, (thread.version, last_note_id(thread.id))
    if not is_poll():
        return to("staff.message", key=key, **kept())
    seen = version_in(request.form.get("version")), version_in(request.form.get("note"))
    is_writing = bool(request.form.get("writing"))
    presence.be_there(me, number, is_writing=is_writing)
    return render_template(
        "staff/_presence.html",
        others=presence.others_in(number, me=me),
        is_changed=seen != present,
        again="" if is_writing else url_for("staff.message", key=key, **kept()),
    )
