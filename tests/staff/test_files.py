"""Files on the staff side: attached to answers and new messages, opened by whoever has the thread, each look written down."""

import io
from datetime import timedelta

import pytest
import sqlalchemy as sa

from practice import conversations, trays
from practice.coverage import set_staff_status
from practice.db import COMMAND, Audit, clock_at, db, new_key, now
from practice.people import AccountStatus
from tests.examples.admin_trays import neglect
from tests.portal.test_files import put, rows, with_file
from tests.samples import dicom, pdf, png
from tests.staff.helpers import last_id, looks_at, value


def begin(player, about, key="n1"):
    return player.post(f"/staff/drafts/{key}", {"about": about, "draft_version": "0", "attach": "yes", "body": ""})


def test_an_answer_has_files_that_the_patient_opens(cast):
    key = cast.send(cast.sophie, "Appointment")
    answer = begin(cast.sam, f"/staff/messages/{key}/reply")
    assert answer.status_code == 303 and answer.location == "/staff/drafts/n1/files"
    assert "DICOM" in cast.sam.get(answer.location).text
    assert put(cast.sam, pdf(), "plan.pdf", "n1", side="/staff").status_code == 303
    assert "plan.pdf" in cast.sam.get("/staff/drafts/n1/files").text
    form = cast.sam.get(f"/staff/messages/{key}/reply?draft=n1")
    assert "plan.pdf" in form.text
    data = {"key": "n1", "seen": value(form, "seen"), "body": "Here is the plan", "draft_version": "1"}
    assert cast.sam.post(f"/staff/messages/{key}/replies", data).status_code == 303
    file = rows()[0].key
    assert f"/messages/{key}/files/{file}" in cast.sophie.get(f"/messages/{key}").text
    assert cast.sophie.get(f"/messages/{key}/files/{file}").data == pdf()
    assert f"/staff/messages/{key}/files/{file}" in cast.fay.get(f"/staff/messages/{key}").text
    assert cast.fay.get(f"/staff/messages/{key}/files/{file}").data == pdf()


def test_a_result_is_sent_with_its_files_and_found_again_under_my_results(cast):
    key, other = cast.send(cast.sophie, "Result"), cast.send(cast.sophie, "Result")
    assert begin(cast.max, f"/staff/messages/{key}/steps/send").location == "/staff/drafts/n1/files"
    put(cast.max, pdf(), "report.pdf", "n1", side="/staff")
    form = cast.max.get(f"/staff/messages/{key}/steps/send?draft=n1")
    assert "report.pdf" in form.text
    data = {"key": "n1", "seen": value(form, "seen"), "note": "Here is the report", "draft_version": "1"}
    assert cast.max.post(f"/staff/messages/{key}/steps/send", data).status_code == 303
    file = rows()[0].key
    page = cast.sophie.get("/results").text
    assert page.count(f"/messages/{key}/files/{file}") == 1 and f"/messages/{other}/files" not in page
    assert cast.sophie.get(f"/messages/{key}/files/{file}").data == pdf()
    assert "report.pdf" not in cast.jihae.get("/results").text


def test_a_new_message_has_files(cast):
    begin(cast.sam, "/staff/messages/new")
    put(cast.sam, png(), "map.png", "n1", side="/staff")
    data = {"key": "n1", "patient": cast.sophie.key, "title": "A", "body": "B", "communicator": cast.communicator("Scheduler")}
    assert cast.sam.post("/staff/messages/new", data).status_code == 303
    key = cast.sophie.get("/messages").text.split('href="/messages/')
    assert rows()[0].message_id and any("/files/" not in part for part in key)
    form = cast.sam.get(f"/staff/messages/new?patient={cast.sophie.key}").text
    assert "Attach files" in form and "map.png" not in form


def test_dicom_is_for_staff_alone_and_the_patient_gets_it_as_a_file(cast):
    key = cast.send(cast.sophie, "Appointment")
    begin(cast.sam, f"/staff/messages/{key}/reply")
    assert put(cast.sam, dicom(), "scan", "n1", side="/staff").status_code == 303
    assert rows()[0].name == "scan.dcm"


def test_notes_take_no_files(cast):
    key = cast.send(cast.sophie, "Appointment")
    cast.sam.post(
        "/staff/drafts/n1", {"about": f"/staff/messages/{key}/notes/new", "draft_version": "0", "attach": "yes", "body": "A"}
    )
    assert put(cast.sam, pdf(), "plan.pdf", "n1", side="/staff").status_code == 404 and rows() == []


def test_a5_a51_who_loses_the_thread_loses_its_files(cast):
    """A5, A51."""
    key, _ = with_file(cast, png(), "me.png")
    address = f"/staff/messages/{key}/files/{rows()[0].key}"
    assert cast.nina.get(address).status_code == cast.nina.get(f"{address}?as=picture").status_code == 200
    for player in (cast.sam, cast.dan, cast.ada):
        assert player.get(address).status_code == 404
    assert cast.sophie.get(address).status_code == 403 and cast.anonymous.get(address).status_code == 303
    cast.change("Clinicians", staff=[cast.fay])
    assert cast.nina.get(address).status_code == 404 and cast.fay.get(address).status_code == 200
    set_staff_status(cast.fay.key, AccountStatus.DISABLED, by=COMMAND)
    assert cast.fay.get(address).status_code == 303


def test_nobody_opens_a_file_of_their_own_account_from_the_staff_side(cast):
    key, _ = with_file(cast)
    both = cast.staff("both", own_patient=cast.sophie.id)
    cast.change("Clinicians", staff=[cast.nina, both])
    assert both.get(f"/staff/messages/{key}/files/{rows()[0].key}").status_code == 404


def test_a_look_at_a_file_is_a_look_at_its_thread(cast):
    key, _ = with_file(cast)
    assert looks_at(cast, key) == 0
    cast.nina.get(f"/staff/messages/{key}/files/{rows()[0].key}")
    assert looks_at(cast, key) == 1
    cast.nina.get(f"/staff/messages/{key}/files/{rows()[0].key}")
    assert looks_at(cast, key) == 1


def test_a1_a_refused_look_leaves_a_row_and_no_file(cast):
    key, _ = with_file(cast)
    cast.sam.get(f"/staff/messages/{key}/files/{rows()[0].key}")
    db.session.close()
    assert db.session.scalar(sa.select(Audit.did).order_by(Audit.id.desc()).limit(1)) == "denied"
    assert looks_at(cast, key) == 0


@pytest.mark.usefixtures("ten_seconds")
def test_an_admin_with_a_reason_opens_what_the_patient_has_and_nothing_that_is_being_sent(cast):
    key = neglect(cast, cast.sophie)
    begin(cast.nina, f"/staff/messages/{key}/reply")
    put(cast.nina, pdf(), "plan.pdf", "n1", side="/staff")
    address = f"/admin/threads/{key}/files/{rows()[0].key}"
    trays.open_with_reason(key, reason="R", form_key=new_key(), by=cast.ada.actor)
    conversations.answer(key, body="B", form_key="n1", seen=last_id(cast, key), by=cast.nina.actor)
    assert cast.ada.get(address).status_code == 404 and looks_at(cast, key) == 0
    with clock_at(now() + timedelta(seconds=11)):
        assert cast.ada.get(address).status_code == 200 and looks_at(cast, key) == 1
        assert address in cast.ada.get(f"/admin/threads/{key}").text


def test_a_form_of_another_persons_draft(cast):
    """A2."""
    key = cast.send(cast.sophie, "Appointment")
    begin(cast.sam, f"/staff/messages/{key}/reply")
    put(cast.sam, pdf(), "plan.pdf", "n1", side="/staff")
    file = rows()[0].key
    for player in (cast.fay, cast.ada):
        assert player.get("/staff/drafts/n1/files").status_code == 404
        assert player.get(f"/staff/drafts/n1/files/{file}").status_code == 404
        assert player.post(f"/staff/drafts/n1/files/{file}/removal").status_code == 404
        assert player.post("/staff/drafts/n1/files", {"file": (io.BytesIO(b"x"), "x")}).status_code == 404
    assert len(rows()) == 1
