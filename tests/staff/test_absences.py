"""Own absences, and standing in for somebody: who sees what while it lasts, and for whom."""

from datetime import timedelta
from html import unescape

import pytest

from practice import board
from practice.db import clock_at, db, now
from tests.conftest import Cast
from tests.examples.absences import form, plan, version_of
from tests.staff.helpers import act, reply

URL = "/staff/absences"


def planned(cast: Cast) -> list[board.AbsenceRow]:
    db.session.close()
    return board.absences(db.session())[0]


@pytest.mark.parametrize("htmx", [False, True])
def test_one_plans_the_own_absence_whatever_the_form_says_of_others(cast: Cast, htmx: bool) -> None:
    answer = cast.fay.post(URL, form(staff="sam"), htmx=htmx)
    assert answer.status_code == (200 if htmx else 303)
    (row,) = planned(cast)
    assert (row.name, row.deputy) == ("STAFF, FAY", "STAFF, NINA")
    assert "STAFF, NINA" in cast.fay.get(URL).text and "STAFF, NINA" not in cast.sam.get(URL).text


def test_the_form_has_no_field_for_somebody_else(cast: Cast) -> None:
    assert 'name="staff"' not in cast.fay.get(f"{URL}/new").text


def test_what_cannot_be_is_refused_and_kept(cast: Cast) -> None:
    answer = cast.fay.post(URL, form(deputy="fay"))
    assert answer.status_code == 422 and "Nobody can be their own deputy." in answer.text and 'value="fay"' in answer.text
    assert planned(cast) == []


def test_changing_and_ending_ones_own(cast: Cast) -> None:
    key = plan(cast.fay, cast.nina)
    changed = cast.fay.post(f"{URL}/{key}", form(0, 9, deputy="dan", version=str(version_of(key))))
    assert changed.status_code == 303 and planned(cast)[0].deputy == "STAFF, DAN"
    assert cast.fay.post(f"{URL}/{key}", form(0, 9, version="1")).status_code == 409
    assert cast.fay.post(f"{URL}/{key}/ending", {"version": str(version_of(key))}).status_code == 303
    assert planned(cast) == []


@pytest.mark.parametrize("who", ["nina", "sam", "ada"])
def test_somebody_elses_is_not_there(cast: Cast, who: str) -> None:
    key, player = plan(cast.fay, cast.nina), getattr(cast, who)
    assert player.get(f"{URL}/{key}").status_code == 404
    assert player.post(f"{URL}/{key}", form(version="1")).status_code == 404
    assert player.post(f"{URL}/{key}/ending", {"version": "1"}).status_code == 404
    assert len(planned(cast)) == 1


def test_a_patient_has_none(cast: Cast) -> None:
    assert cast.sophie.get(URL).status_code == 403 and cast.sophie.post(URL, form()).status_code == 403


def test_a_deputy_reads_for_whom_and_until_when(cast: Cast) -> None:
    plan(cast.fay, cast.ivan)
    page = unescape(cast.ivan.get(URL).text)
    assert "You stand in for <bdi>STAFF, FAY</bdi> until" in page
    assert "<bdi>Clinicians</bdi>, <bdi>Scheduler</bdi>" in page
    box = unescape(cast.ivan.get("/staff/").text)
    assert "<bdi>Scheduler</bdi> (for STAFF, FAY)" in box and ">Scheduler (for STAFF, FAY)</option>" in box
    assert "<bdi>IT Manager</bdi> (for" not in box
    assert "stand in for" not in cast.sam.get(URL).text


def test_a_coming_one_says_from_when(cast: Cast) -> None:
    plan(cast.fay, cast.ivan, first=5, last=6)
    assert "you stand in for <bdi>STAFF, FAY</bdi>" in cast.ivan.get(URL).text
    assert "(for STAFF, FAY)" not in cast.ivan.get("/staff/").text


def test_who_is_away_is_told_so_and_ends_it(cast: Cast) -> None:
    assert "You are away" not in cast.fay.get("/staff/").text
    key = plan(cast.fay, cast.nina)
    page = cast.fay.get("/staff/").text
    assert "You are away until" in page and "<bdi>STAFF, NINA</bdi> stands in." in page
    assert cast.fay.post(f"{URL}/{key}/ending", {"version": str(version_of(key))}).status_code == 303
    assert "You are away" not in cast.fay.get("/staff/").text


def test_a_deputy_sees_the_thread_and_loses_it_with_the_last_day_open_page_too(cast: Cast) -> None:
    thread = cast.send(cast.sophie, "Appointment")
    assert cast.dan.get(f"/staff/messages/{thread}").status_code == 404
    plan(cast.fay, cast.dan, first=0, last=0)
    assert cast.dan.get(f"/staff/messages/{thread}").status_code == 200
    assert act(cast, cast.dan, thread, "receipts").status_code == 303
    with clock_at(now() + timedelta(days=2)):
        cast.dan.log_in()
        assert cast.dan.get(f"/staff/messages/{thread}").status_code == 404
        answer = reply(cast, cast.dan, thread, "Too late")
        assert answer.status_code == 404
        assert act(cast, cast.dan, thread, "closing").status_code == 404


def test_the_notice_costs_one_statement_and_who_is_there_none(cast: Cast, statements) -> None:
    def asked() -> int:
        with statements() as found:
            cast.fay.get("/staff/")
        return sum("FROM absence JOIN person AS away" in " ".join(one.split()) for one in found)

    assert asked() == 0
    plan(cast.fay, cast.dan, first=0, last=0)
    assert asked() == 1


def test_get_ends_nothing(cast: Cast) -> None:
    assert cast.fay.get(f"{URL}/{plan(cast.fay)}/ending").status_code == 405
