"""My Account of staff: what is wished is kept, the password and the log-ins are one's own, in charge of nothing too."""

import pytest

from practice import own_account
from practice.db import db
from practice.people import NoticePreference, Person, person_with_password
from tests.conftest import Player
from tests.examples.portal import log_in, password


def wishes(cast, who):
    db.session.close()
    return own_account.of_staff(who.id).notices


@pytest.mark.parametrize("who", ["sam", "dan", "ada"])
def test_everybody_on_the_staff_side_has_one_and_keeps_their_wishes(cast, who):
    player = getattr(cast, who)
    page = player.get("/staff/account").text
    assert player.name in page and f"{who}@test.example" in page and "An e-mail at once" in page
    assert wishes(cast, player) == NoticePreference.EACH
    answer = player.post("/staff/account", {"notices": "daily"})
    assert answer.status_code == 303 and "Saved." in player.get(answer.location).text
    assert wishes(cast, player) == NoticePreference.DAILY
    assert wishes(cast, cast.fay) == NoticePreference.EACH, "nobody else's"


@pytest.mark.parametrize("how", ["", "hourly"])
def test_a_wish_there_is_not_is_refused(cast, how):
    answer = cast.sam.post("/staff/account", {"notices": how})
    assert answer.status_code == 422 and "Choose one of the three." in answer.text
    assert wishes(cast, cast.sam) == NoticePreference.EACH


def test_a_new_password_ends_every_other_session(cast):
    other, form = Player(cast.app, cast.sam.id, cast.sam.key, cast.sam.name), password(cast, cast.sam)["data"]
    assert cast.sam.post("/staff/account/password", form | {"present": "wrong"}).status_code == 403
    answer = cast.sam.post("/staff/account/password", form)
    assert answer.status_code == 303 and "was changed" in cast.sam.get(answer.location).text
    assert other.get("/staff/").status_code == 303
    db.session.close()
    assert person_with_password(db.session.get_one(Person, cast.sam.id).email, form["password"])


def test_log_ins_are_ended_by_their_person_alone(cast):
    key = log_in(cast, cast.sam)["own"]["key"]
    assert "Firefox on Windows" in cast.sam.get("/staff/account/log-ins").text
    assert cast.fay.post(f"/staff/account/log-ins/{key}/end").status_code == 404
    assert cast.sam.post(f"/staff/account/log-ins/{key}/end").status_code == 303
    log_in(cast, cast.sam)
    answer = cast.sam.post("/staff/account/log-ins/end")
    assert "nowhere else" in cast.sam.get(answer.location).text and cast.sam.get("/staff/").status_code == 200


def test_a_patient_has_no_staff_account(cast):
    assert cast.sophie.get("/staff/account").status_code == 403
