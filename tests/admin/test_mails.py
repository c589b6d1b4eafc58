"""The notice as a mail: that something waits, its reference number and a link; nothing of the patient or of health."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from flask import render_template

from practice import jobs, outbox
from practice.db import WRITE, Audit, clock_at, db, new_key, now
from practice.errors import NotAllowed
from practice.outbox import Notice, NoticeState, Occasion, Undeliverable
from practice.people import AccountStatus, Person
from tests.conftest import HOME, Cast

KEY = "abcdefgh-0123456789_xy"


@pytest.mark.parametrize(
    ("occasion", "link"),
    [(Occasion.ANSWERED, f"/messages/{KEY}"), (Occasion.WAITING, KEY), (Occasion.UNROUTED, "/admin/unrouted")],
)
@pytest.mark.parametrize("template", ["mail/notice.txt", "mail/notice.html"])
def test_a_notice_says_that_something_waits_and_where(cast: Cast, template: str, occasion: Occasion, link: str) -> None:
    with cast.app.test_request_context(base_url=HOME):
        mail = render_template(
            template, mail=SimpleNamespace(occasion=occasion, threads=[KEY], references=["123-456-789"], email="x@test.example")
        )
    assert HOME in mail and link in mail and "Reference: 123-456-789" in mail and "call 911" in mail
    assert "KWON" not in mail and "x@test.example" not in mail


# ---- Mails not sent --------------------------------------------------------------------------------------


def refused(_leased):
    raise Undeliverable("refused with 550")


def dead(cast):
    """Two mails that are dead: to Sam and to Fay."""
    cast.send(cast.sophie, "Appointment")
    assert jobs.send_due(refused) == 2
    db.session.close()
    return dict(db.session.execute(sa.select(Person.id, Notice.key).join(Notice, Notice.person_id == Person.id)).all())


def states():
    db.session.close()
    return dict(db.session.execute(sa.select(Notice.person_id, Notice.state)).all())


def test_what_nobody_got_is_shown_with_whom_it_was_for_and_no_word_of_the_patient(cast):
    assert "Every mail was sent" in cast.ada.get("/admin/mails").text
    dead(cast)
    page = cast.ada.get("/admin/mails").text
    for word in ("sam@test.example", "fay@test.example", "A message is waiting for you", "Try all again"):
        assert word in page
    assert "KWON" not in page


def test_one_is_tried_again_and_leaves_and_the_other_stays(cast):
    keys = dead(cast)
    answer = cast.ada.post("/admin/mails/attempts", {"notice": keys[cast.sam.id]})
    assert answer.status_code == 303 and "tried again" in cast.ada.get(answer.location).text
    sent = []
    assert jobs.send_due(sent.append) == 1 and [mail.email for mail in sent] == ["sam@test.example"]
    assert states() == {cast.sam.id: NoticeState.SENT, cast.fay.id: NoticeState.DEAD}
    done = db.session.scalars(sa.select(Audit).where(Audit.did == "try_notices_again")).all()
    assert len(done) == 1 and '"notices": 1' in done[0].details


def test_all_are_tried_again_and_begin_anew(cast):
    dead(cast)
    cast.ada.post("/admin/mails/attempts", {})
    assert set(states().values()) == {NoticeState.WAITING}
    sent = []
    jobs.send_due(sent.append)
    assert len(sent) == 2 and set(states().values()) == {NoticeState.SENT}
    cast.ada.post("/admin/mails/attempts", {})
    assert set(states().values()) == {NoticeState.SENT}, "what was sent is not sent again"


def test_who_has_no_account_any_more_is_neither_shown_nor_told(cast):
    dead(cast)
    with db.engines[WRITE].begin() as connection:
        connection.execute(sa.update(Person.__table__).where(Person.id == cast.sam.id).values(status=AccountStatus.DISABLED))
    assert "sam@test.example" not in cast.ada.get("/admin/mails").text
    cast.ada.post("/admin/mails/attempts", {})
    assert states()[cast.sam.id] == NoticeState.DEAD


def test_an_admin_alone_has_them_tried_again(cast):
    keys = dead(cast)
    for player in (cast.sam, cast.sophie):
        assert player.post("/admin/mails/attempts", {"notice": keys[cast.sam.id]}).status_code == 403
        with pytest.raises(NotAllowed):
            outbox.try_again(by=player.actor)
    assert cast.ada.post("/admin/mails/attempts", {"notice": new_key()}).status_code == 303
    assert cast.ada.post("/admin/mails/attempts", {"notice": "x"}).status_code == 404
    assert set(states().values()) == {NoticeState.DEAD}


def test_a_worker_that_does_not_run_is_said(cast):
    cast.send(cast.sophie, "Appointment")
    assert "Is the worker running" not in cast.ada.get("/admin/mails").text
    with clock_at(now() + timedelta(minutes=11)):
        assert "Is the worker running" in cast.ada.get("/admin/mails").text
        jobs.send_due(lambda leased: None)
        assert "Is the worker running" not in cast.ada.get("/admin/mails").text
