"""Drafts: kept while writing, told apart by version, opened again in their form, never revived once sent."""

import re
from datetime import timedelta
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from flask_wtf import FlaskForm
from wtforms import PasswordField

from practice.db import clock_at, db, now
from practice.drafts import Draft, open_waiting_draft
from practice.sessions import IDLE
from tests.examples.portal import appointment
from tests.portal.helpers import none_sent
from web.gate import SECRET

THAI = "สวัสดี" * 3000
JSON = {"Accept": "application/json"}


def drafts():
    db.session.close()
    return list(db.session.scalars(sa.select(Draft).order_by(Draft.id)))


def written(about="/messages/new", version=0, **values):
    return {"about": about, "draft_version": str(version), "title": "Refill", "body": "Of my", **values}


def save(player, key="k1", **more):
    return player.post(f"/drafts/{key}", written(**more), headers=JSON)


def test_what_is_begun_is_kept_and_opens_again_in_its_form(cast):
    answer = save(cast.sophie, body=THAI)
    assert answer.status_code == 200 and answer.json["version"] == 1 and "Draft saved at" in answer.json["said"]
    page = cast.sophie.get("/messages/drafts").text
    assert "Refill" in page and "/messages/new?draft=k1" in page
    form = cast.sophie.get("/messages/new?draft=k1").text
    assert THAI in form and 'name="draft_version" value="1"' in form and "/drafts/k1" in form


@pytest.mark.parametrize("about", ["/messages/new", "/appointments/new", "/results/new"])
def test_every_form_says_where_its_draft_is_kept(cast, about):
    page = cast.sophie.get(about).text
    assert "data-draft=" in page and f'name="about" value="{about}"' in page and "Keep as draft" in page


def test_a_newer_version_is_not_overwritten_silently(cast):
    assert save(cast.sophie, body="First").json["version"] == 1
    assert save(cast.sophie, body="Second", version=1).json["version"] == 2
    late = save(cast.sophie, body="From an older window", version=1)
    assert late.status_code == 409 and late.json == {"version": 2, "address": "/messages/new?draft=k1"}
    assert "Second" in drafts()[0].values
    assert save(cast.sophie, body="Mine after all", version=2).status_code == 200


def test_without_javascript_both_versions_are_kept(cast):
    save(cast.sophie, body="First")
    answer = cast.sophie.post("/drafts/k1", written(body="Second", version=0))
    assert answer.status_code == 303 and answer.headers["Location"].endswith("?done=draft-beside")
    assert sorted("Second" in draft.values for draft in drafts()) == [False, True]
    assert "Both are kept" in cast.sophie.get(answer.headers["Location"]).text


def test_a_late_autosave_never_revives_what_was_sent(cast):
    save(cast.sophie)
    cast.sophie.post("/appointments/new", appointment(cast)["data"])
    assert drafts() == [] and save(cast.sophie, version=1).status_code == 410
    assert drafts() == []


def test_nothing_written_is_no_draft(cast):
    assert save(cast.sophie, title=" ", body="\n").json["version"] == 0
    assert drafts() == []


@pytest.mark.parametrize(
    "about", ["", "/staff/", "//evil.test", "/messages/new?x=1", "/nowhere", "/" + "x" * 400, "/messages/a\0b"]
)
def test_a_draft_belongs_to_a_form_of_the_patients(cast, about):
    assert save(cast.sophie, about=about).status_code == 404
    assert drafts() == []


def test_nobody_else_sees_or_deletes_it(cast):
    save(cast.sophie, body="Only mine")
    assert "Only mine" not in cast.jihae.get("/messages/drafts").text
    assert "Only mine" not in cast.jihae.get("/messages/new?draft=k1").text
    assert cast.jihae.post("/drafts/k1/deletion").status_code == 404
    assert cast.sophie.post("/drafts/k1/deletion").status_code == 303 and drafts() == []
    assert cast.sophie.post("/drafts/k1/deletion").status_code == 404


def test_the_draft_of_an_answer_opens_with_its_conversation(cast):
    key = cast.send(cast.sophie, "Others", to="Clinicians")
    save(cast.sophie, about=f"/messages/{key}", body="One thing mo", title="")
    assert "One thing mo</textarea>" in cast.sophie.get(f"/messages/{key}").text
    assert "Answer" in cast.sophie.get("/messages/drafts").text


def test_a43_five_hundred_drafts_are_paged_and_the_next_is_refused_in_words(cast):
    with db.engines["write"].begin() as connection:
        rows = [
            {"key": f"d{n}", "author_id": cast.sophie.id, "about": "/messages/new", "form_values": f'{{"title": ["T{n}"]}}'}
            | {"version": 1, "waits": False, "saved_at": now() - timedelta(minutes=n)}
            for n in range(500)
        ]
        connection.execute(sa.insert(Draft.__table__), rows)
    first = cast.sophie.get("/messages/drafts").text
    assert "T0<" in first and "T24<" in first and "T25<" not in first
    second = cast.sophie.get("/messages/drafts?before=d24").text
    assert "T25<" in second and "Newer" in second and "T24<" not in second
    assert "T0<" in cast.sophie.get("/messages/drafts?after=d25").text
    assert cast.sophie.get("/messages/drafts?before=nothing").status_code == 404
    assert save(cast.sophie).status_code == 429
    assert save(cast.sophie, key="d3", version=1).status_code == 200


# ---- After the session's end ---------------------------------------------------------------------


def after_the_end(player, key="k1", **more):
    token = player.token()
    with clock_at(now() + IDLE["patient"] + timedelta(minutes=1)):
        return player.post(f"/drafts/{key}", written(**more) | {"key": key}, token=token, headers=JSON)


def test_a_late_autosave_is_kept_under_the_forms_own_page(cast):
    assert after_the_end(cast.sophie, body="Still typing").status_code == 401
    (draft,) = drafts()
    assert (draft.about, draft.waits) == ("/messages/new", True) and "Still typing" in draft.values


def test_an_older_window_does_not_overwrite_the_newer_one_after_the_end(cast):
    save(cast.sophie, body="Newer")
    after_the_end(cast.sophie, body="Older", version=0)
    assert len(drafts()) == 2


@pytest.mark.parametrize("about", ["/nowhere", "/messages/" + "x" * 400, "/messages/a\0b", "https://evil.test/"])
def test_a_page_that_is_none_of_ours_is_not_kept(cast, about):
    answer = after_the_end(cast.sophie, about=about, body="To be copied")
    assert answer.status_code == 401 and "To be copied" in answer.text and drafts() == []


def test_the_log_in_leads_back_to_the_form_that_was_open(cast):
    asked = cast.anonymous.get("/messages/new?draft=k1&x=//evil.test")
    assert asked.headers["Location"].endswith("next=/messages/new?draft%3Dk1") or "draft%3Dk1" in asked.headers["Location"]
    assert "evil" not in asked.headers["Location"]


def test_a_request_is_reviewed_before_it_is_sent_and_stands_under_drafts_meanwhile(cast):
    data = appointment(cast)["data"] | {"reviewed": "", "about": "/appointments/new", "draft_version": "0"}
    review = cast.sophie.post("/appointments/new", data)
    assert review.status_code == 200 and "Check and send" in review.text and "Check-up of my knee" in review.text and none_sent()
    assert len(drafts()) == 1
    again = cast.sophie.post("/appointments/new", data | {"change": "yes"})
    assert again.status_code == 200 and "Check-up of my knee</textarea>" in again.text and none_sent()
    assert cast.sophie.post("/appointments/new", data | {"reviewed": "yes"}).status_code == 303 and drafts() == []


# ---- Where it hurts ------------------------------------------------------------------------------


def test_on_leaving_both_versions_are_kept_for_nobody_can_be_asked(cast):
    save(cast.sophie, body="First")
    assert save(cast.sophie, body="Typed on the way out", leaving="yes").status_code == 409
    assert sorted("way out" in draft.values for draft in drafts()) == [False, True]
    assert all("leaving" not in draft.values for draft in drafts())


def test_sending_an_older_version_tells_of_the_newer_one_first(cast):
    data = appointment(cast)["data"] | {"about": "/appointments/new", "draft_version": "0"}
    cast.sophie.post("/drafts/k1", data | {"reason": "Newer, on the phone"}, headers=JSON)
    answer = cast.sophie.post("/appointments/new", data)
    assert answer.status_code == 422 and "A newer version of this draft" in answer.text and none_sent()
    assert 'name="over" value="1"' in answer.text and 'name="draft_version" value="0"' in answer.text
    cast.sophie.post("/drafts/k1", data | {"reason": "Newer still", "draft_version": "1"}, headers=JSON)
    assert cast.sophie.post("/appointments/new", data | {"over": "1"}).status_code == 422 and none_sent()
    assert cast.sophie.post("/appointments/new", data | {"over": "2"}).status_code == 303 and drafts() == []


def test_an_autosave_that_was_on_its_way_is_no_other_version(cast):
    data = appointment(cast)["data"] | {"about": "/appointments/new", "draft_version": "0", "comments": "One\nTwo"}
    cast.sophie.post("/drafts/k1", data | {"comments": "One\r\nTwo "}, headers=JSON)
    assert cast.sophie.post("/appointments/new", data).status_code == 303 and drafts() == []


def test_of_several_that_waited_one_opens_and_none_at_a_later_log_in(cast):
    after_the_end(cast.sophie, body="One")
    after_the_end(cast.sophie, key="k2", body="Two")
    after_the_end(cast.jihae, body="Of somebody else")
    assert open_waiting_draft(cast.sophie.id, by=cast.sophie.actor) == ("k2", "/messages/new")
    assert [draft.waits for draft in drafts()] == [False, False, True]
    assert open_waiting_draft(cast.sophie.id, by=cast.sophie.actor) is None


def test_the_five_hundred_and_first_is_shown_to_copy(cast, monkeypatch):
    monkeypatch.setattr("practice.drafts.DRAFTS_MAX", 0)
    plain = cast.sophie.post("/drafts/k1", written(body="To be copied"))
    assert plain.status_code == 429 and "To be copied" in plain.text and "very many drafts" in plain.text
    answer = after_the_end(cast.sophie, body="To be copied")
    assert answer.status_code == 401 and "To be copied" in answer.text and "Location" not in answer.headers


def test_a_draft_that_could_not_be_saved_just_now_is_saved_by_the_same_form_again(cast, monkeypatch):
    def busy(*args, **kwargs):
        raise sa.exc.OperationalError("", {}, Exception("locked"))

    with monkeypatch.context() as patched:
        patched.setattr("portal.drafts.save", busy)
        answer = cast.sophie.post("/drafts/k1", written(body="Later"))
    again = {f["name"]: f.get("value", "") for f in inputs(answer.text)}
    assert answer.status_code == 503 and again["about"] == "/messages/new"
    assert cast.sophie.post("/drafts/k1", again).status_code == 303 and len(drafts()) == 1


def inputs(text):
    return [dict(re.findall(r'(\w+)="([^"]*)"', tag)) for tag in re.findall(r'<input type="hidden"[^>]*>', text)]


@pytest.mark.parametrize("key", ["ก" * 22, "k" * 23, "a b", "a.b"])
def test_a_key_is_no_place_for_words(cast, key):
    assert save(cast.sophie, key=key).status_code == 404 and drafts() == []
    assert "draft" not in cast.anonymous.get(f"/messages/new?draft={quote(key)}").headers["Location"]


def test_every_password_field_is_named_among_those_that_are_never_kept(cast):
    fields = {n for form in forms(FlaskForm) for n, f in vars(form).items() if getattr(f, "field_class", None) is PasswordField}
    assert "present" in fields and fields <= set(SECRET)


def forms(kind):
    return [kind, *(form for child in kind.__subclasses__() for form in forms(child))]
