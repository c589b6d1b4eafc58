"""Requesting an appointment or a result, and the lists of what was asked for."""

import pytest
import sqlalchemy as sa

from practice.appointments import AppointmentRequest
from practice.db import COMMAND, db, new_key, transaction
from practice.results import HandOver, Media, ResultRequest, media_of
from practice.settings import Facility, ReferringPhysician
from tests.examples.portal import appointment, in_days, result
from tests.portal.helpers import change_practice, locked, none_sent

LONG = "Check-up of my left knee two weeks after the MRI, " + "with questions about crutches and cars, " * 3


def only(model):
    db.session.close()
    return db.session.scalars(sa.select(model)).one()


def keep_one_facility(cast):
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        tx.session.execute(sa.delete(Facility).where(Facility.key == cast.oak))


@pytest.mark.parametrize("htmx", [False, True])
def test_an_appointment_is_requested_with_all_its_fields(cast, htmx):
    more = {
        "physician": cast.moreau,
        "weekdays": ["3", "4"],
        "from_time": "09:00",
        "to_time": "12:30",
        "comments": "I walk with crutches",
    }
    answer = cast.sophie.post("/appointments/new", appointment(cast)["data"] | more, htmx=htmx)
    address = answer.headers["HX-Redirect"] if htmx else answer.headers["Location"]
    assert answer.status_code == (200 if htmx else 303) and address.endswith("?done=sent")
    wish = only(AppointmentRequest)
    assert (wish.weekdays, str(wish.from_time), str(wish.to_time)) == ("34", "09:00:00", "12:30:00")
    page = cast.sophie.get(address).text
    for shown in (
        "Check-up of my knee",
        "MOREAU, CLAIRE",
        "Thursday, Friday",
        "09:00 to 12:30",
        "crutches",
        "to Scheduler",
        "was sent",
    ):
        assert shown in page


def test_the_form_says_what_it_is_not_for_and_by_when_an_answer_comes(cast):
    page = cast.sophie.get("/appointments/new").text
    assert "In an emergency call 911" in page and "We answer by " in page and "What happens next" in page


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"last_day": in_days(1)}, "The last day is before the first day"),
        ({"first_day": in_days(-2)}, "The first day is in the past"),
        ({"first_day": "soon"}, "Write the date as"),
        ({"first_day": ""}, "Choose the first day"),
        ({"reason": LONG}, "Write the reason for your visit in at most 120 characters"),
        ({"reason": "  "}, "Write the reason for your visit"),
        ({"reason": "a\0b"}, "cannot be shown"),
        ({"comments": "x" * 20_001}, "at most 20,000"),
        ({"facility": "x" * 22}, "Choose a facility"),
        ({"facility": ""}, "Choose a facility"),
        ({"physician": "x" * 22}, "Choose the referring physician"),
        ({"weekdays": ["1", "9"]}, "Choose one of those on offer"),
        ({"from_time": "25:00"}, "Choose one of those on offer"),
        ({"from_time": "12:00", "to_time": "11:00"}, "The end is not after the beginning"),
    ],
)
def test_a_wrong_appointment_form_comes_back_with_its_text(cast, wrong, says):
    answer = cast.sophie.post("/appointments/new", appointment(cast)["data"] | {"comments": "kept words"} | wrong)
    assert answer.status_code == 422
    assert says in answer.text and "<title>Error: " in answer.text
    assert "comments" in wrong or "kept words" in answer.text
    assert none_sent()


def test_where_there_is_one_facility_the_server_decides(cast):
    keep_one_facility(cast)
    page = cast.sophie.get("/appointments/new").text
    assert locked("Linden Street, 14 Linden Street") in page
    data = appointment(cast)["data"] | {"facility": "somewhere else"}
    refused = cast.sophie.post("/appointments/new", data)
    assert refused.status_code == 422 and "Choose a facility" in refused.text, "another one was chosen: it is asked once more"
    data |= {"facility": ""}
    assert cast.sophie.post("/appointments/new", data).status_code == 303


@pytest.mark.parametrize("left", [1, 2])
@pytest.mark.parametrize("example", [appointment, result])
def test_a_facility_that_was_switched_off_meanwhile_is_asked_for_once_more_and_what_was_sent_stays_sent(cast, example, left):
    address = "/appointments/new" if example is appointment else "/results/new"
    field = "facility" if example is appointment else "location"
    before, other = ({**example(cast)["data"], field: cast.oak, "key": key} for key in ("k1", "k2"))
    first = cast.sophie.post(address, before)
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        tx.session.execute(sa.update(Facility).where(Facility.key == cast.oak).values(is_in_use=False))
        if left == 2:
            tx.session.add(Facility(key=new_key(), name="Pine Road", address=""))
    refused = cast.sophie.post(address, other)
    assert refused.status_code == 422 and "any more. Look at what stands here now." in refused.text
    assert ("Linden Street" in refused.text) and "Oak Lane" not in refused.text
    assert cast.sophie.post(address, before).location == first.location
    assert only(AppointmentRequest if example is appointment else ResultRequest)


def test_a_physician_who_was_switched_off_meanwhile_is_asked_for_once_more(cast):
    data = appointment(cast)["data"] | {"physician": cast.moreau}
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        tx.session.execute(sa.update(ReferringPhysician).values(is_in_use=False))
    assert cast.sophie.post("/appointments/new", data).status_code == 422 and none_sent()


def test_an_exam_has_its_year(cast):
    data = result(cast)["data"] | {"all_studies": "No", "exam_date": "2019-03-05", "reviewed": ""}
    assert "March 5, 2019" in cast.sophie.post("/results/new", data).text
    sent = cast.sophie.post("/results/new", data | {"reviewed": "yes"}).location
    assert "March 5, 2019" in cast.sophie.get(sent).text


def test_the_referring_physician_is_required_where_the_practice_says_so(cast):
    change_practice(asks_physician=True)
    assert cast.sophie.post("/appointments/new", appointment(cast)["data"]).status_code == 422
    data = appointment(cast)["data"] | {"physician": cast.moreau}
    assert cast.sophie.post("/appointments/new", data).status_code == 303


def test_the_same_form_twice_is_one_request_and_other_words_are_shown_beside_the_first(cast):
    data = appointment(cast)["data"]
    first, second = (cast.sophie.post("/appointments/new", data) for _ in range(2))
    assert first.headers["Location"] == second.headers["Location"]
    answer = cast.sophie.post("/appointments/new", data | {"reason": "Something else"})
    assert answer.status_code == 409 and "Check-up of my knee" in answer.text and "Something else" in answer.text


@pytest.mark.parametrize("htmx", [False, True])
def test_a_result_is_requested_with_all_its_fields(cast, htmx):
    data = result(cast)["data"] | {"media": ["Report", "CD with Images"], "all_studies": "No", "exam_date": in_days(-3)}
    answer = cast.sophie.post("/results/new", data, htmx=htmx)
    assert answer.status_code == (200 if htmx else 303)
    order = only(ResultRequest)
    assert media_of(order) == [Media.REPORT, Media.CD] and order.hand_over == HandOver.PICK_UP and not order.is_all_studies
    page = cast.sophie.get(answer.headers["HX-Redirect"] if htmx else answer.headers["Location"]).text
    for shown in ("Report, CD with Images", "Pick up", "Oak Lane", "to Media Manager"):
        assert shown in page


def test_what_no_choice_asks_for_is_not_kept(cast):
    data = result(cast)["data"] | {"hand_over": "Mail", "exam_date": "nonsense"}
    assert cast.sophie.post("/results/new", data).status_code == 303
    order = only(ResultRequest)
    assert order.location_id is None and order.exam_date is None


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"media": []}, "Choose at least one type of media"),
        ({"media": ["Report", "Film"]}, "Choose one of those on offer"),
        ({"hand_over": ""}, "Choose how to receive it"),
        ({"hand_over": "Pigeon"}, "Choose one of those on offer"),
        ({"location": ""}, "Choose where to pick it up"),
        ({"location": "x" * 22}, "Choose where to pick it up"),
        ({"all_studies": ""}, "Say whether you want all studies"),
        ({"all_studies": "No"}, "Give the date of the exam"),
        ({"all_studies": "No", "exam_date": in_days(5)}, "in the future"),
        ({"all_studies": "No", "exam_date": "0001-01-01"}, "between the years 1900 and 2099"),
        ({"media": ["Web Link (Report and Images)"], "hand_over": "Mail"}, "A web link comes as a secure message"),
    ],
)
def test_a_wrong_result_form_comes_back_with_its_text(cast, wrong, says):
    answer = cast.sophie.post("/results/new", result(cast)["data"] | {"comments": "kept words"} | wrong)
    assert answer.status_code == 422
    assert says in answer.text and "kept words" in answer.text
    assert none_sent()


def test_my_lists_show_what_i_asked_for_and_nobody_elses(cast):
    cast.send(cast.sophie, "Appointment", body="My knee")
    cast.send(cast.jihae, "Appointment", body="Another's knee")
    cast.send(cast.sophie, "Result")
    page = cast.sophie.get("/appointments").text
    assert "My knee" in page and "Requested" in page and "Another" not in page and "Request Appointment" in page
    page = cast.sophie.get("/results").text
    assert "CD with Images" in page and "Request Result" in page
    assert "No requests yet" in cast.hugo.get("/results").text and "No appointments yet" in cast.hugo.get("/appointments").text


@pytest.mark.parametrize(
    ("address", "most"), [("/appointments", 4), ("/appointments/new", 3), ("/results", 3), ("/results/new", 2)]
)
def test_the_pages_need_a_fixed_number_of_statements(cast, statements, address, most):
    for _ in range(3):
        cast.send(cast.sophie, "Appointment")
        cast.send(cast.sophie, "Result")
    with statements() as found:
        cast.sophie.get(address)
    assert len(found) <= most, found
