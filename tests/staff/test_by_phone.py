"""Enter a request for a patient: the patient's own forms, filled in by staff on the phone, through the same routing."""

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from practice import conversations, settings
from practice.db import COMMAND, clock_at, db, new_key, now, transaction
from practice.people import AccountStatus, Person
from practice.sessions import IDLE
from practice.settings import RequestType
from practice.threads import Message, Thread
from tests.portal.test_files import put
from tests.portal.test_files import rows as files
from tests.samples import dicom, pdf
from tests.staff.helpers import rows, value

URL = "/staff/requests/new"


def appointment(cast, **more):
    days = {"first_day": now().date() + timedelta(days=3), "last_day": now().date() + timedelta(days=9)}
    return {
        "key": new_key(),
        "patient": cast.sophie.key,
        "type": "Appointment",
        "facility": cast.linden,
        "reason": "Knee pain",
        **{name: day.isoformat() for name, day in days.items()},
    } | more


def result(cast, **more):
    said = {"media": "CD with Images", "hand_over": "Pick up", "location": cast.linden, "all_studies": "Yes"}
    return {"key": new_key(), "patient": cast.sophie.key, "type": "Result", "comments": "For my dentist", **said} | more


def message(cast, **more):
    to = cast.communicator("Clinicians")
    words = {"title": "A question", "body": "Asked on the phone"}
    return {"key": new_key(), "patient": cast.sophie.key, "type": "Others", "to": to, **words} | more


def threads():
    db.session.close()
    return list(db.session.scalars(sa.select(Thread).order_by(Thread.id)))


def set_practice(**values):
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        for name, value in values.items():
            setattr(tx.session.get_one(settings.Practice, 1), name, value)


@pytest.mark.parametrize(
    ("said", "kind", "sees", "not_"),
    [(appointment, "Appointment", "sam", "max"), (result, "Result", "max", "sam"), (message, "Others", "nina", "sam")],
)
def test_it_goes_to_whoever_the_patients_own_request_would_go_to(cast, said, kind, sees, not_):
    answer = cast.fay.post(URL, said(cast))
    assert answer.status_code == 303
    (thread,) = threads()
    assert (thread.type, thread.patient_id, thread.is_unread, thread.state) == (kind, cast.sophie.id, True, "waiting")
    assert thread.due_at and thread.waiting_since
    assert rows(getattr(cast, sees).get("/staff/")) == [thread.key] and rows(getattr(cast, not_).get("/staff/")) == []
    (written,) = db.session.scalars(sa.select(Message))
    assert written.is_from_patient and written.author_id == cast.fay.id


def test_whoever_took_it_and_is_in_charge_is_led_to_it_others_to_the_next(cast):
    assert "/staff/messages/" in cast.sam.post(URL, appointment(cast)).location
    answer = cast.sam.post(URL, result(cast))
    assert "/staff/requests/new" in answer.location and "on its way" in cast.sam.get(answer.location).text


def test_staff_and_the_patient_read_that_it_was_taken_by_phone(cast):
    cast.fay.post(URL, message(cast))
    key = threads()[0].key
    pane = cast.nina.get(f"/staff/messages/{key}").text
    assert "KWON, SOPHIE</bdi> · taken by phone by <bdi>STAFF, FAY" in pane
    assert key in cast.sophie.get("/messages/sent").text
    page = cast.sophie.get(f"/messages/{key}").text
    assert "Taken by phone" in page and "FAY" not in page and "Asked on the phone" in page
    assert "You, taken by phone" in cast.sophie.get(f"/messages/{key}/print").text
    set_practice(shows_staff_names=True)
    assert "Taken by phone by <bdi>STAFF, FAY" in cast.sophie.get(f"/messages/{key}").text


def test_the_patients_own_words_say_nothing_of_a_phone(cast):
    key = cast.send(cast.sophie)
    assert "by phone" not in cast.nina.get(f"/staff/messages/{key}").text
    assert "by phone" not in cast.sophie.get(f"/messages/{key}").text


@pytest.mark.parametrize("kind", ["Appointment", "Result", "Others"])
def test_each_form_opens_for_the_patient_who_was_found(cast, kind):
    found = cast.sam.post("/staff/requests/patients", {"name": "kwon, sophie"})
    page = cast.sam.get(found.location).text
    (address,) = re.findall(r'href="(/staff/requests/new\?patient=[^"]+)"', page)
    page = cast.sam.get(address).text
    assert f"type={kind}" in page and "KWON, SOPHIE" in page
    page = cast.sam.get(f"{address}&type={kind}").text
    assert "Submit" in page and "taken by phone by you" in page and "<title>Enter a request" in page


def test_a_search_for_nothing_says_what_to_do(cast):
    answer = cast.sam.post("/staff/requests/patients", {})
    assert answer.status_code == 422 and "Enter a request for a patient" in answer.text and 'id="errors"' in answer.text


@pytest.mark.parametrize(
    ("said", "wrong", "says"),
    [
        (appointment, {"reason": ""}, "Write the reason"),
        (appointment, {"first_day": "2020-01-01"}, "in the past"),
        (result, {"media": "CD with Images", "hand_over": "Secure message"}, "CD cannot come"),
        (message, {"title": " "}, "Write a title"),
        (message, {"to": "x" * 22}, "cannot receive messages now"),
    ],
)
def test_what_cannot_be_taken_comes_back_with_its_text(cast, said, wrong, says):
    data = said(cast) | wrong
    answer = cast.sam.post(URL, data)
    assert answer.status_code == 422 and says in answer.text and "<title>Error: " in answer.text
    for name in ("comments", "body", "reason"):
        assert data.get(name, "") in answer.text
    assert threads() == []


def test_the_same_form_twice_is_one_request_and_other_words_are_not_dropped(cast):
    data = message(cast)
    assert {cast.fay.post(URL, data).status_code for _ in range(3)} == {303} and len(threads()) == 1
    assert cast.fay.post(URL, data | {"body": "Other"}).status_code == 409


@pytest.mark.parametrize("status", [AccountStatus.LOCKED, AccountStatus.DISABLED])
def test_a_locked_account_is_refused_in_words(cast, status):
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        tx.session.get_one(Person, cast.sophie.id).status = status
    assert "no request can be entered" in cast.sam.get(f"{URL}?patient={cast.sophie.key}&type=Others").text
    answer = cast.sam.post(URL, message(cast))
    assert answer.status_code == 403 and "Asked on the phone" in answer.text and threads() == []


def test_my_own_patient_account_is_refused_in_the_verb_too(cast):
    own = cast.staff("lou", own_patient=cast.sophie.id)
    cast.change("Scheduler", staff=[own])
    assert "SOPHIE" not in own.get(f"{URL}?patient={cast.sophie.key}").text
    assert own.post(URL, message(cast)).status_code == 404
    with pytest.raises(conversations.NotVisible):
        conversations.send(
            cast.sophie.id, kind=RequestType.OTHERS, title="A", body="B", to=None, form_key=new_key(), by=own.actor
        )
    assert threads() == []


def test_who_is_in_charge_of_nothing_takes_nothing(cast):
    assert "Ask" in cast.dan.get(URL).text or "charge of nothing" in cast.dan.get(URL).text
    assert cast.dan.post(URL, message(cast)).status_code == 404 and threads() == []


@pytest.mark.parametrize("wrong", [{"patient": "x" * 22}, {"patient": "a\0"}, {"type": "Amendment"}, {"type": ""}])
def test_a_patient_or_a_type_that_is_not_there_is_404(cast, wrong):
    assert cast.sam.post(URL, message(cast) | wrong).status_code == 404
    assert cast.sam.get(f"{URL}?patient={'x' * 22}&type=Nothing").status_code == 200


def test_what_patients_may_not_send_by_themselves_may_still_be_taken_by_phone(cast):
    set_practice(menu_off="request_appointment,message")
    assert cast.sam.post(URL, appointment(cast)).status_code == 303


def test_the_limits_of_a_patient_do_not_stop_the_practice_nor_count_what_it_took(cast, monkeypatch):
    monkeypatch.setattr(conversations, "HOURLY", 1)
    for _ in range(3):
        assert cast.fay.post(URL, message(cast)).status_code == 303
    cast.send(cast.sophie)
    with pytest.raises(conversations.TooMany):
        cast.send(cast.sophie)
    assert cast.fay.post(URL, message(cast)).status_code == 303


# ---- Drafts and files ----------------------------------------------------------------------------


def begin(player, said):
    """*Attach files* in the form of a request."""
    return player.post(f"/staff/drafts/{said['key']}", {"about": URL, "draft_version": "0", "attach": "yes"} | said)


@pytest.mark.parametrize("said", [appointment, message, result])
def test_files_go_along_and_the_patient_and_whoever_is_in_charge_open_them(cast, said):
    data = said(cast, key="d1")
    assert "Attach files" in cast.fay.get(f"{URL}?patient={cast.sophie.key}&type={data['type']}").text
    assert begin(cast.fay, data | {"title": "", "reason": ""}).location == "/staff/drafts/d1/files"
    assert put(cast.fay, pdf(), "referral.pdf", side="/staff").status_code == 303
    page = cast.fay.get("/staff/drafts/d1/files").text
    assert f'href="{URL}?draft=d1"' in page and "Back to the request" in page and "referral.pdf" in page
    form = cast.fay.get(f"{URL}?draft=d1").text
    assert "KWON, SOPHIE" in form and f'name="type" value="{data["type"]}"' in form and "referral.pdf" in form
    refused = cast.fay.post(URL, data | {"title": "", "reason": "", "media": "", "draft_version": "1"})
    assert refused.status_code == 422 and "referral.pdf" in refused.text
    assert cast.fay.post(URL, data | {"draft_version": "1"}).status_code == 303
    (thread,), (file,) = threads(), files()
    assert file.message_id and file.draft_key is None and f"{URL}?draft=d1" not in cast.fay.get(URL).text
    assert "referral.pdf" in cast.sophie.get(f"/messages/{thread.key}").text
    assert cast.sophie.get(f"/messages/{thread.key}/files/{file.key}").data == pdf()
    assert cast.jihae.get(f"/messages/{thread.key}/files/{file.key}").status_code == 404
    in_charge = {"Appointment": cast.sam, "Result": cast.max, "Others": cast.nina}[data["type"]]
    assert in_charge.get(f"/staff/messages/{thread.key}/files/{file.key}").data == pdf()
    assert "/files/" not in cast.sophie.get("/results").text, "what the patient gave is nothing that the practice has sent"


def test_staff_may_attach_dicom_and_a_file_after_the_send_is_refused(cast):
    begin(cast.fay, message(cast, key="d1"))
    assert put(cast.fay, dicom(), "scan", side="/staff").status_code == 303
    assert cast.fay.post(URL, message(cast, key="d1", draft_version="1")).status_code == 303
    assert put(cast.fay, pdf(), side="/staff").status_code == 409 and [file.name for file in files()] == ["scan.dcm"]


def test_what_was_begun_opens_again_for_its_patient_and_type_alone(cast):
    begin(cast.fay, message(cast, key="d1"))
    here = f"{URL}?patient={cast.sophie.key}&type="
    form = cast.fay.get(f"{here}Others")
    assert "Asked on the phone</textarea>" in form.text and value(form, "key") == "d1" and value(form, "draft_version") == "1"
    others = (f"{here}Appointment", f"{here}Result", f"{URL}?patient={cast.jihae.key}&type=Others", URL, here)
    for address in others:
        assert "Asked on the phone" not in cast.fay.get(address).text, address
    assert cast.fay.get(f"{URL}?patient={cast.jihae.key}&type=Others&draft=d1").text.count("KWON, SOPHIE") == 1
    for address in (f"{URL}?draft=d1", f"{here}Others", f"{here}Others&draft=d1"):
        assert "Asked on the phone" not in cast.sam.get(address).text, "somebody else's"
    kept = cast.fay.post("/staff/drafts/d1", {"about": URL, "draft_version": "1"} | message(cast, title="On Friday"))
    assert kept.location == f"{URL}?draft=d1&done=draft-kept" and "On Friday" in cast.fay.get(kept.location).text


def test_a_request_sent_after_the_end_of_the_session_opens_with_its_patient_after_log_in(cast):
    token = cast.fay.token()
    with clock_at(now() + IDLE["staff"] + timedelta(minutes=1)):
        assert "Asked on the phone" not in cast.fay.post(URL, message(cast, key="d1"), token=token).text
    assert threads() == []
    cast.fay.log_in()
    form = cast.fay.get(f"{URL}?draft=d1").text
    assert "Asked on the phone</textarea>" in form and "KWON, SOPHIE" in form
