"""Documents into the record: whole or not at all, nothing twice, corrections stay, and nobody else's without a reason."""

import json
import os
from datetime import date, timedelta
from io import BytesIO

import pytest
import sqlalchemy as sa

from practice import amendments, documents, jobs, record_imports
from practice.attachments import every_file, sweep
from practice.db import COMMAND, Audit, clock_at, db, new_key, now, transaction
from practice.documents import Section
from practice.errors import Invalid, NotVisible, Stale, TooMany
from practice.files import path_of
from practice.people import Patient
from practice.record_imports import Doubt, bring, discard, document_of, documents_of, plan_of, save
from practice.records import RecordDocument, RecordValue, record_of
from practice.requests import Letter
from practice.settings import SwitchedOff
from practice.threads import last_message_id
from tests.conftest import FILES
from tests.portal.helpers import change_practice
from tests.practice.test_patients import merge, undo
from tests.practice.test_reading import ccda
from tests.samples import fhir, measured


def brought(cast, content, by=None, name="summary.json"):
    """The key of a document for Sophie, and the plan of what saving it would do."""
    who = by or cast.sophie
    key = bring(cast.sophie.id, name=name, stream=BytesIO(content), form_key=new_key(), by=who.actor)
    return key, planned(cast, key, who)


def planned(cast, key, who=None):
    db.session.close()
    return plan_of(document_of(key, patient=cast.sophie.id, by=(who or cast.sophie).actor))


def saved(cast, content, by=None, reason=""):
    key, plan = brought(cast, content, by)
    save(key, patient=cast.sophie.id, seen=plan.seen, reason=reason, by=(by or cast.sophie).actor)
    db.session.close()
    return key, plan


def values():
    db.session.close()
    came = sa.select(RecordValue).where(RecordValue.document_id.is_not(None)).order_by(RecordValue.id)
    return list(db.session.scalars(came))


def counts(entries):
    return {section: len(found) for section, found in entries.items() if found}


def of_sophie(prefix=""):
    said = ccda(
        prefix, person="<{p}name><{p}given>Sophie</{p}given><{p}given>Anne</{p}given><{p}family>Kwon</{p}family></{p}name>"
    )
    return said.replace("19700501", "19780224").encode()


@pytest.mark.parametrize("prefix", ["", "strange"])
def test_a_document_of_any_maker_is_saved_with_the_source_of_each_value(cast, prefix):
    key, plan = saved(cast, of_sophie(prefix))
    assert plan.doubts == [] and plan.against == [] and counts(plan.known) == {}
    found = values()
    assert len(found) == sum(counts(plan.new).values()) == len(plan.document.entries)
    document = db.session.scalars(sa.select(RecordDocument)).one()
    assert (document.key, document.is_by_patient, document.patient_id) == (key, True, cast.sophie.id)
    assert path_of(document.stored_as).read_bytes() == of_sophie(prefix) and document.saved_at is not None
    (pulse,) = (one for one in found if one.section == Section.VITALS)
    assert (pulse.name, pulse.value, pulse.number, pulse.unit, pulse.low, pulse.high) == (
        "Heart rate",
        "71 /min",
        71,
        "/min",
        60,
        100,
    )
    assert (
        pulse.document_id == document.id and pulse.path.startswith("/ClinicalDocument") and pulse.recorded_on == date(2020, 2, 29)
    )
    assert pulse.key in [one.key for one in record_of(cast.sophie.id).sections[Section.VITALS]]
    audited = db.session.scalars(sa.select(Audit).where(Audit.did == "save_document")).one()
    assert json.loads(audited.details) == {"sha256": document.sha256, "values": len(found), "beside": 0}


def test_the_same_document_twice_says_so_and_what_is_known_is_not_said_twice(cast):
    first = fhir(measured(), measured("Weight", 68.4, "kg"), measured("Weight", 68.4, "kg"))
    _, plan = saved(cast, first)
    assert counts(plan.known) == {Section.VITALS: 2}, "the practice's own height, and the weight that is there twice"
    number = len(values())
    with pytest.raises(Invalid, match="in the record already"):
        brought(cast, first)
    _, plan = saved(cast, fhir(measured("Weight", 68.4, "kg"), measured("Weight", 70, "kg"), title="Another"))
    assert counts(plan.new) == {Section.VITALS: 1} and plan.known[Section.VITALS][0].name == "Weight"
    assert len(values()) == number + 1 and len(list(FILES.iterdir())) == 2


def test_a_document_brought_twice_is_saved_once(cast):
    (one, seen), (other, _) = brought(cast, fhir(measured(value=1))), brought(cast, fhir(measured(value=1)))
    for _ in range(2):
        save(one, patient=cast.sophie.id, seen=seen.seen, by=cast.sophie.actor)
    number = len(values())
    with pytest.raises(Invalid, match="in the record already"):
        save(other, patient=cast.sophie.id, seen=planned(cast, other).seen, by=cast.sophie.actor)
    assert len(values()) == number


def test_one_form_brings_one_document(cast):
    key = new_key()
    for _ in range(2):
        bring(cast.sophie.id, name="a", stream=BytesIO(fhir()), form_key=key, by=cast.sophie.actor)
    for content, who in ((fhir(measured()), cast.sophie), (fhir(), cast.rita)):
        with pytest.raises(Invalid, match="brought another file"):
            bring(cast.sophie.id, name="a", stream=BytesIO(content), form_key=key, by=who.actor)
    db.session.close()
    assert len(db.session.scalars(sa.select(RecordDocument)).all()) == len(list(FILES.iterdir())) == 1


def correct(cast, name, says):
    """Sophie asks, Rita accepts."""
    db.session.close()
    value = sa.select(RecordValue.key).where(RecordValue.patient_id == cast.sophie.id, RecordValue.name == name)
    key = db.session.scalars(value.where(RecordValue.superseded_at.is_(None))).one()
    by = cast.sophie.actor
    thread = amendments.request_amendment(cast.sophie.id, key, to=says, memo="", form_key=new_key(), by=by).thread_key
    for step, more in ((amendments.review, {}), (amendments.accept, {"value": says, "replaces": key})):
        db.session.close()
        letter = Letter("Hello", new_key(), last_message_id(db.session, cast.thread(thread).id))
        step(thread, letter=letter, by=cast.rita.actor, **more)
    db.session.close()


ALLERGY = {
    "resourceType": "AllergyIntolerance",
    "code": {"text": "Medicine: Penicillin"},
    "reaction": [{"manifestation": [{"text": "Hives"}]}],
    "recordedDate": "2026-01-05",
}


def test_a_correction_stays_and_what_a_later_document_says_stands_beside_it(cast):
    correct(cast, "Height", "167 cm")
    correct(cast, "Medicine: Penicillin", "Stomach upset")
    document = fhir(measured(value=165), measured(value=166, on="2026-01-05"), ALLERGY)
    _, plan = saved(cast, document, cast.rita)
    assert [(one.entry.value, one.value.value) for one in plan.against] == [("Hives", "Stomach upset"), ("165 cm", "167 cm")]
    assert counts(plan.new)[Section.VITALS] == 1, "another day is another measurement"
    record = record_of(cast.sophie.id)
    assert [one.value for one in record.sections[Section.VITALS]] == ["166 cm", "167 cm"]
    assert [one.value for one in record.sections[Section.ALLERGY]] == ["Stomach upset"]
    height, allergy = record.sections[Section.VITALS][1], record.sections[Section.ALLERGY][0]
    assert [one.value for one in record.beside[height.id]] == ["165 cm"] and [one.value for one in record.beside[allergy.id]] == [
        "Hives"
    ]
    assert [one.value for one in record.former[height.id]] == ["165 cm"]
    _, again = saved(cast, fhir(measured(value=165), measured(value=167), title="Another"), cast.rita)
    assert again.against == [] and counts(again.known)[Section.VITALS] == 2
    correct(cast, "Medicine: Penicillin", "None")  # a correction goes on from the correction, not from what stands beside it
    assert record_of(cast.sophie.id).sections[Section.ALLERGY][0].value == "None"


@pytest.mark.parametrize("what", ["corrected", "imported", "person"])
def test_a_record_that_changed_meanwhile_is_looked_at_once_more(cast, what):
    key, plan = brought(cast, fhir(measured(value=170)))
    if what == "corrected":
        correct(cast, "Height", "167 cm")
    elif what == "imported":
        saved(cast, fhir(measured("Weight", 1, "kg")))
    else:
        with transaction(by=COMMAND, did="set_up_tests") as tx:
            tx.session.get_one(Patient, cast.sophie.id).dob = date(1999, 1, 1)
    number = len(values())
    with pytest.raises(Stale):
        save(key, patient=cast.sophie.id, seen=plan.seen, by=cast.sophie.actor)
    assert len(values()) == number
    if what != "person":
        save(key, patient=cast.sophie.id, seen=planned(cast, key).seen, by=cast.sophie.actor)
        assert len(values()) > number


@pytest.mark.parametrize(
    ("said", "doubts"),
    [
        ({"first": "JIHAE"}, [Doubt.OTHER_NAME]),
        ({"last": "", "first": ""}, [Doubt.NO_NAME]),
        ({"dob": "1978-02-25"}, [Doubt.OTHER_DOB]),
        ({"dob": "0000-00-00"}, [Doubt.NO_DOB]),
        ({"last": "Smith", "dob": ""}, [Doubt.OTHER_NAME, Doubt.NO_DOB]),
        ({"last": "Kwön", "first": "Sophie Anne"}, []),
        ({"last": "KWON, SOPHIE", "first": ""}, []),
    ],
    ids=str,
)
def test_a_document_that_may_be_of_somebody_else_needs_a_reason_by_staff(cast, said, doubts):
    content = fhir(measured(value=170), **said)
    key, plan = brought(cast, content)
    assert plan.doubts == doubts
    if not doubts:
        return
    with pytest.raises(Invalid, match="Ask the practice"):
        save(key, patient=cast.sophie.id, seen=plan.seen, reason="It is mine", by=cast.sophie.actor)
    key, plan = brought(cast, content, cast.rita)
    for reason, says in ((" ", "Say why"), ("x" * 501, "at most 500")):
        with pytest.raises(Invalid, match=says):
            save(key, patient=cast.sophie.id, seen=plan.seen, reason=reason, by=cast.rita.actor)
    assert values() == []
    save(key, patient=cast.sophie.id, seen=plan.seen, reason="Her maiden name", by=cast.rita.actor)
    db.session.close()
    document = db.session.scalars(sa.select(RecordDocument).where(RecordDocument.saved_at.is_not(None))).one()
    audited = db.session.scalars(sa.select(Audit.details).where(Audit.did == "save_document")).one()
    assert document.reason == json.loads(audited)["reason"] == "Her maiden name" and len(values()) > 0


def test_all_or_nothing(cast, monkeypatch):
    key, plan = brought(cast, fhir(measured(value=170), measured(value=171)))
    monkeypatch.setattr(record_imports, "_note", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save(key, patient=cast.sophie.id, seen=plan.seen, by=cast.sophie.actor)
    assert values() == [] and db.session.scalars(sa.select(RecordDocument.saved_at)).all() == [None]
    assert list(db.session.scalars(sa.select(Audit).where(Audit.did == "save_document"))) == []


def test_what_is_not_saved_is_its_bringers_alone_and_does_not_stay(cast):
    key, _ = brought(cast, fhir(), cast.rita)
    for who in (cast.sophie, cast.ada):
        assert documents_of(cast.sophie.id, by=who.actor, limit=2) == []
        with pytest.raises(NotVisible):
            document_of(key, patient=cast.sophie.id, by=who.actor)
        with pytest.raises(NotVisible):
            discard(key, patient=cast.sophie.id, by=who.actor)
    with pytest.raises(NotVisible):
        document_of(key, patient=cast.jihae.id, by=cast.rita.actor)
    discard(key, patient=cast.sophie.id, by=cast.rita.actor)
    assert list(FILES.iterdir()) == []
    kept, _ = saved(cast, fhir(measured(value=1)), cast.rita)
    brought(cast, fhir(measured(value=2)))
    with pytest.raises(NotVisible):
        discard(kept, patient=cast.sophie.id, by=cast.rita.actor)
    with clock_at(now() + timedelta(hours=25)):
        assert jobs.run_due_jobs()["forget documents not saved"] == 1
    db.session.close()
    assert [one.key for one in db.session.scalars(sa.select(RecordDocument))] == [kept]
    assert document_of(kept, patient=cast.sophie.id, by=cast.sophie.actor).saved_at is not None


def test_files_of_records_are_known_to_backups_and_to_the_sweep(cast):
    saved(cast, fhir())
    (path,) = FILES.iterdir()
    ((name, sha256, size),) = every_file(db.session())
    assert (name, size) == (path.name, len(fhir())) and len(sha256) == 64
    path_of("b" * 32).write_bytes(b"of nothing")
    for one in FILES.iterdir():
        os.utime(one, (0, 0))
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        assert sweep(tx) == 1
    assert [one.name for one in FILES.iterdir()] == [path.name]


def test_a_file_that_is_not_what_was_stored_is_not_imported(cast):
    key, plan = brought(cast, fhir(measured(value=170)))
    (path,) = FILES.iterdir()
    path.write_bytes(fhir(measured(value=999)))
    with pytest.raises(Stale, match="not what was stored"):
        save(key, patient=cast.sophie.id, seen=plan.seen, by=cast.sophie.actor)
    assert values() == []


def test_only_in_meaningful_use_mode(cast):
    key, plan = brought(cast, fhir(measured(value=170)))
    staffs, staffs_plan = brought(cast, fhir(measured(value=171)), cast.rita)
    change_practice(menu_off="my_info")
    save(staffs, patient=cast.sophie.id, seen=staffs_plan.seen, by=cast.rita.actor)  # what patients do not see staff may keep
    change_practice(meaningful_use=False)
    for who in (cast.sophie, cast.rita):
        with pytest.raises(SwitchedOff):
            brought(cast, fhir(measured(value=172)), who)
    with pytest.raises(SwitchedOff):
        save(key, patient=cast.sophie.id, seen=plan.seen, by=cast.sophie.actor)


def test_there_is_an_end_to_what_is_brought(cast, monkeypatch):
    monkeypatch.setattr(documents, "ENTRIES_MAX", 4)
    with pytest.raises(Invalid, match=r"10,000 entries"):
        brought(cast, fhir(measured(value=1), measured(value=2)))
    monkeypatch.undo()
    monkeypatch.setattr(record_imports, "NOT_SAVED_MAX", 1)
    monkeypatch.setattr(record_imports, "A_DAY_MAX", 2)
    saved(cast, fhir(measured(value=1)))
    key, _ = brought(cast, fhir(measured(value=2)))
    with pytest.raises(Invalid, match="not saved"):
        brought(cast, fhir(measured(value=3)))
    save(key, patient=cast.sophie.id, seen=planned(cast, key).seen, by=cast.sophie.actor)
    with pytest.raises(TooMany):
        brought(cast, fhir(measured(value=3)))
    for number in (4, 5, 6):
        saved(cast, fhir(measured(value=number)), cast.rita)
    assert len(list(FILES.iterdir())) == 5


def test_text_that_no_database_takes_is_left_out(cast):
    saved(cast, fhir(measured("Hei\0ght \ud800", 1), title="A\0 title"))
    assert [one.name for one in values() if one.section == Section.VITALS] == ["Height"]


def test_a_merge_moves_documents_and_gives_them_back(cast):
    key, _ = saved(cast, fhir(measured(value=170)))
    made = merge(cast.hugo, cast.sophie)
    assert document_of(key, patient=cast.hugo.id, by=cast.hugo.actor).key == key
    undo(made)
    db.session.close()
    assert document_of(key, patient=cast.sophie.id, by=cast.sophie.actor).key == key


def test_a_plan_needs_two_statements_however_long_the_record_is(cast, statements):
    key, _ = brought(cast, fhir(measured(value=170)))
    counts_of = []
    for n in range(2):
        document = document_of(key, patient=cast.sophie.id, by=cast.sophie.actor)
        with statements() as found:
            plan_of(document)
        counts_of.append(len(found))
        if n == 0:
            saved(cast, fhir(*(measured(value=n) for n in range(300))))
    assert counts_of == [2, 2]


# ---- Other words for the same --------------------------------------------------------------------

PULSE = {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}
"""The heart rate of `ccda`, which names its code system by number."""


def test_what_was_corrected_is_known_by_its_code_in_the_other_format_too(cast):
    saved(cast, of_sophie().replace(b'code="8867-4"', b'code="8867-4" codeSystem="2.16.840.1.113883.6.1"'))
    correct(cast, "Heart rate", "72 /min")
    again = [measured("Pulse", n, "/min", on="2020-02-29", code=PULSE | {"text": "Pulse"}) for n in (71, 72)]
    _, plan = saved(cast, fhir(*again))
    assert [one.entry.value for one in plan.against] == ["71 /min"] and counts(plan.known)[Section.VITALS] == 1
    assert Section.VITALS not in counts(plan.new)


def gout(status="", **more):
    stands = {"clinicalStatus": {"coding": [{"code": status}]}} if status else {}
    return {"resourceType": "Condition", "code": {"text": "Gout"}} | stands | more


@pytest.mark.parametrize(
    ("before", "then", "is_new"),
    [
        ("active", "resolved", True),
        ("resolved", "active", True),
        ("", "resolved", True),
        ("active", "active", False),
        ("resolved", "inactive", False),
        ("active", "", False),
        ("", "active", False),
        ("resolved", "", False),
    ],
)
def test_that_something_is_over_is_news(cast, before, then, is_new):
    saved(cast, fhir(gout(before)))
    _, plan = saved(cast, fhir(gout(then), title="Another"))
    assert counts(plan.new).get(Section.PROBLEM, 0) == is_new


def test_how_a_measurement_stands_is_none(cast):
    saved(cast, of_sophie().replace(b'<code code="8867-4"/>', b'<code code="8867-4"/><statusCode code="completed"/>'))
    _, plan = saved(cast, fhir(measured("Heart rate", 71, "/min", on="2020-02-29", status="final")))
    assert Section.VITALS not in counts(plan.new)


def test_how_something_stands_outlives_its_correction_and_what_comes_after_it_is_news(cast):
    saved(cast, fhir(gout("active")))
    correct(cast, "Gout", "Pseudogout")
    (value,) = (one for one in record_of(cast.sophie.id).sections[Section.PROBLEM] if one.name == "Pseudogout")
    assert (value.status, value.value) == ("active", "")
    over = gout("resolved", code={"text": "Pseudogout"})
    _, plan = saved(cast, fhir(gout("active"), gout("resolved"), over, gout("active", code={"text": "Pseudogout"})))
    assert [one.entry.name for one in plan.against] == ["Gout", "Gout"]
    assert [(one.name, one.status) for one in plan.new[Section.PROBLEM]] == [("Pseudogout", "resolved")]


def medicine(dose="10 mg", on="2025-03-04", **more):
    said = {"medicationCodeableConcept": {"text": "Lisinopril"}, "authoredOn": on, "dosageInstruction": [{"text": dose}]}
    return {"resourceType": "MedicationRequest", "status": "active"} | said | more


def test_a_later_prescription_is_none_against_a_correction_of_the_one_before(cast):
    saved(cast, fhir(medicine()))
    correct(cast, "Lisinopril", "5 mg")
    _, plan = saved(cast, fhir(medicine(), medicine(on=""), medicine("20 mg", "2026-03-05"), medicine("5 mg", status="stopped")))
    assert [one.entry.value for one in plan.against] == ["10 mg", "10 mg"]
    assert [(one.value, one.status) for one in plan.new[Section.MEDICATION]] == [("20 mg", "active"), ("5 mg", "stopped")]


CONCERN = '<statusCode code="{}"/>'
OWN = '<entryRelationship><observation><code code="33999-4"/><value code="413322009"/></observation></entryRelationship>'


@pytest.mark.parametrize(
    ("concern", "own", "status"), [("active", "", "active"), ("completed", "", "completed"), ("active", OWN, "resolved")]
)
def test_how_a_problem_of_a_c_cda_stands_its_own_status_says_else_its_concern(cast, concern, own, status):
    inside = f'<observation><statusCode code="completed"/>{own}<code code="ASSERTION"/>'
    content = of_sophie().decode().replace("<act>", f"<act>{CONCERN.format(concern)}")
    _, plan = saved(cast, content.replace('<observation><code code="ASSERTION"/>', inside).encode())
    assert [one.status for one in plan.new[Section.PROBLEM]] == [status]
