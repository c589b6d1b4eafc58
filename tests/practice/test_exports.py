"""The record taken along: valid, whole, and read back as it was; corrections and denials travel with it."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from fhir.resources.R4B import get_fhir_model_class
from lxml import etree

from practice import amendments, ccda_export, fhir_export, record_imports
from practice.amendments import AmendmentState, Ground
from practice.db import clock_at, db, new_key
from practice.documents import Document, Section
from practice.errors import Refused
from practice.exports import Whole, a_date, plain, whole_of
from practice.reading import read
from practice.records import Record, RecordDocument, RecordValue
from practice.requests import RequestVerb as V
from tests.practice.test_amendments import put, take
from tests.practice.test_reading import SHARED
from tests.practice.test_record_imports import ALLERGY, correct, of_sophie, saved
from tests.samples import fhir, measured

FILES = sorted([*(SHARED / "ccda").glob("*.xml"), *(SHARED / "ccda-bad").glob("*.xml"), *(SHARED / "fhir").glob("*.json")])
HL7 = {"h": "urn:hl7-org:v3"}
HEADER = ("ClinicalDocument", "realmCode", "typeId", "templateId", "id", "code", "title", "effectiveTime", "confidentialityCode")
STRANGE = 'Žoë O\'Neil & <b>"שלום"</b> \u202e{{7*7}} 𝕏'


def whole(cast) -> Whole:
    db.session.close()
    found = whole_of(cast.sophie.id)
    db.session.expunge_all()
    db.session.close()
    return found


def bundle(cast) -> dict[str, Any]:
    return json.loads(fhir_export.written(whole(cast)))


def resources(cast, kind: str) -> list[dict[str, Any]]:
    return [one["resource"] for one in bundle(cast)["entry"] if one["resource"]["resourceType"] == kind]


def document(cast) -> Any:
    return etree.fromstring(ccda_export.written(whole(cast)))


def must_be_valid(content: bytes) -> None:
    """By the models of R4B, and by what they do not look at: names of resources, and what these refer to."""
    made = json.loads(content)
    get_fhir_model_class("Bundle").model_validate_json(content)
    urls = [one["fullUrl"] for one in made["entry"]]
    assert len(set(urls)) == len(urls) and made["entry"][0]["resource"]["resourceType"] == "Composition"
    listed = set(references(made["entry"][0]["resource"]))
    for one in made["entry"]:
        resource = one["resource"]
        assert one["fullUrl"] in listed or resource["resourceType"] in ("Composition", "Provenance"), f"{resource} is not listed"
        assert one["fullUrl"] == f"urn:uuid:{resource['id']}" and re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", resource["id"])
        inside = {f"#{part['id']}" for part in resource.get("contained", ())}
        for reference in references(resource):
            assert reference in urls or reference in inside, f"{resource['resourceType']} refers to {reference}"


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from (part["reference"] for _ in [0] if isinstance(part.get("reference"), str))
        part = list(part.values())
    for one in part if isinstance(part, list) else ():
        yield from references(one)


def labels(said: Document | Record) -> Counter[Any]:
    return Counter((section, one.name) for section, found in said.sections.items() for one in found)


def forget(cast) -> None:
    db.session.close()
    with db.engines["write"].begin() as connection:
        for table in (RecordValue, RecordDocument):
            connection.execute(sa.delete(table.__table__))


@pytest.mark.skipif(not FILES, reason="the sample documents (../shared/data) are not there")
@pytest.mark.parametrize("part", range(4))
def test_every_sample_document_is_exported_validly_and_read_back(cast, part):
    """≥ 99 % of what the record calls things; bare codes that C-CDA's tables lose are what is left."""
    said, lost = Counter(), Counter()
    forget(cast)
    for file in FILES[part::4]:
        try:
            saved(cast, file.read_bytes(), by=cast.rita, reason="A sample")
        except Refused:
            continue
        found = whole(cast)
        as_fhir, as_ccda = fhir_export.written(found), ccda_export.written(found)
        must_be_valid(as_fhir)
        assert labels(found.record).total() > 5
        for kind, content in (("fhir", as_fhir), ("ccda", as_ccda)):
            said[kind] += labels(found.record).total()
            lost[kind] += (labels(found.record) - labels(read(content))).total()
        forget(cast)
    assert lost["fhir"] == 0 and lost["ccda"] <= 0.01 * said["ccda"], (said, lost)


def test_values_are_read_back_with_their_day_number_unit_and_normal_range(cast):
    low_high = {"referenceRange": [{"low": {"value": 60}, "high": {"value": 100.5}}]}
    coded = {"code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}}
    pulse = measured("Heart rate", 71, "/min", **low_high) | coded
    less = measured("CRP", 5, "mg/L") | {"valueQuantity": {"value": 5, "unit": "mg/L", "comparator": "<"}}
    saved(cast, fhir(pulse, less, measured("Mood", on="2025-03") | {"valueQuantity": None, "valueString": "good"}, ALLERGY))
    back = read(fhir_export.written(whole(cast))).sections
    found = {one.name: one for one in back[Section.VITALS]}
    one = found["Heart rate"]
    assert (one.value, one.number, one.unit, one.low, one.high) == ("71 /min", 71, "/min", 60, 100.5)
    assert (one.recorded_on, one.code, one.code_system) == (date(2025, 3, 4), "8867-4", "http://loinc.org")
    assert found["CRP"].value == "< 5 mg/L" and (found["Mood"].value, found["Mood"].recorded_text) == ("good", "2025-03")
    assert ("Medicine: Penicillin", "Hives") in [(one.name, one.value) for one in back[Section.ALLERGY]]


def test_what_was_denied_by_a_document_is_not_exported_as_if_it_were_so(cast):
    no = {"resourceType": "Condition", "code": {"text": "Gout"}, "verificationStatus": {"coding": [{"code": "refuted"}]}}
    not_given = {"resourceType": "Immunization", "status": "not-done", "vaccineCode": {"text": "MMR"}}
    saved(cast, fhir(no, not_given))
    (condition,) = resources(cast, "Condition")
    assert condition["verificationStatus"]["coding"][0]["code"] == "refuted"
    assert [one["status"] for one in resources(cast, "Immunization")] == ["not-done"]
    back = read(fhir_export.written(whole(cast))).sections
    assert [one.value for one in back[Section.PROBLEM] + back[Section.IMMUNIZATION]] == ["Not present", "Not given"]


def test_each_value_says_from_which_place_of_which_document_it_is(cast):
    saved(cast, of_sophie())
    found = bundle(cast)
    (reference,) = (one for one in found["entry"] if one["resource"]["resourceType"] == "DocumentReference")
    pulse = next(one for one in resources(cast, "Observation") if one["code"]["text"] == "Heart rate")
    path = "/ClinicalDocument/component/structuredBody/component[1]/section/entry/organizer/component/observation"
    assert pulse["meta"]["source"] == f"{reference['fullUrl']}#{path}"
    (provenance,) = resources(cast, "Provenance")
    assert {"reference": f"urn:uuid:{pulse['id']}"} in provenance["target"]
    assert provenance["entity"] == [{"role": "source", "what": {"reference": reference["fullUrl"]}}]
    must_be_valid(fhir_export.written(whole(cast)))


def test_a_correction_is_the_value_and_the_one_before_its_history(cast):
    correct(cast, "Height", "167 cm")
    found = whole(cast)
    content = fhir_export.written(found)
    must_be_valid(content)
    (height,) = (one for one in resources(cast, "Observation") if one["code"]["text"] == "Height")
    assert height["valueQuantity"] == {"value": 167, "unit": "cm"} and height["status"] == "corrected"
    (provenance,) = resources(cast, "Provenance")
    (before,) = provenance["contained"]
    assert before["valueQuantity"]["value"] == 165 and provenance["target"] == [{"reference": f"urn:uuid:{height['id']}"}]
    assert [one["role"] for one in provenance["entity"]] == ["revision", "source"]
    assert provenance["activity"]["coding"][0]["code"] == "UPDATE" and len(provenance["agent"]) == 2
    request = next(one for one in resources(cast, "Communication") if "partOf" not in one)
    assert provenance["entity"][1]["what"] == {"reference": f"urn:uuid:{request['id']}"}
    assert [one.value for one in read(content).sections[Section.VITALS] if one.name == "Height"] == ["167 cm"]
    row = document(cast).xpath("//h:tr[h:td[1] = 'Height']", namespaces=HL7)[0]
    assert row[1].text == "167 cm" and "at the patient's request. Before: 165 cm" in "".join(row[7].itertext())


@pytest.mark.parametrize("state", AmendmentState)
def test_a_request_travels_along_in_every_state(cast, state):
    key = cast.send(cast.sophie, "Amendment")
    put(cast, key, state=state)
    must_be_valid(fhir_export.written(whole(cast)))
    (task,) = resources(cast, "Task")
    assert (task["status"], task["businessStatus"]["coding"][0]["code"]) == fhir_export._STATES[state]
    (request,) = resources(cast, "Communication")
    assert request["sender"] == task["for"] == {"reference": next(iter(references(request)))} and "To: " in str(
        request["payload"]
    )
    assert ("restriction" in task) == (state in amendments.UNDECIDED)
    assert state.value in "".join(document(cast).xpath("//h:section[last()]", namespaces=HL7)[-1].itertext())


def test_a_denial_its_basis_the_disagreement_and_the_rebuttal_travel_along(cast):
    key = cast.send(cast.sophie, "Amendment")
    take(cast, key, V.REVIEW)
    take(cast, key, V.DENY, ground=Ground.NOT_OURS, because="Another clinic wrote it")
    take(cast, key, V.DISAGREE, statement=f"I was there: {STRANGE}")
    take(cast, key, V.REBUT, words="We asked the clinic")
    content = fhir_export.written(whole(cast))
    must_be_valid(content)
    first, second = resources(cast, "Task")
    states = [one["businessStatus"]["coding"][0]["code"] for one in (first, second)]
    assert states == ["denied", "completed"] and second["reasonReference"]["reference"] == f"urn:uuid:{first['id']}"
    assert "Another clinic wrote it" in first["statusReason"]["text"] and "not created" in first["statusReason"]["text"]
    said = [one["payload"][0]["contentString"] for one in resources(cast, "Communication")]
    assert len(said) == 4 and said[2] == f"I was there: {STRANGE}" and said[3] == "We asked the clinic"
    text = "".join(document(cast).itertext())
    for words in ("Another clinic wrote it", "not created by the practice", f"I was there: {STRANGE}", "We asked the clinic"):
        assert words in text


# ---- Odd content ---------------------------------------------------------------------------------


def test_strange_words_stay_words_in_both(cast):
    saved(cast, fhir(measured(name=STRANGE, unit=STRANGE)))
    found = whole(cast)
    must_be_valid(fhir_export.written(found))
    for content in (fhir_export.written(found), ccda_export.written(found)):
        assert STRANGE in [one.name for one in read(content).sections[Section.VITALS]]
    (one,) = (one for one in resources(cast, "Observation") if one["code"]["text"] == STRANGE)
    text = etree.fromstring(one["text"]["div"])
    assert STRANGE in "".join(text.itertext()) and len(text) == 1


def test_what_xml_cannot_hold_is_left_out(cast):
    with db.engines["write"].begin() as connection:
        connection.execute(
            sa.update(RecordValue.__table__).values(name="Hei\x0bght\ufffe", value="1\x1b65 cm", recorded_text="\x01")
        )
    found = whole(cast)
    must_be_valid(fhir_export.written(found))
    assert "Height" in {one.name for one in read(ccda_export.written(found)).entries}
    assert plain("a\tb\r\n\u200e𝕏\x00\ud800\uffff") == "a\tb\r\n\u200e𝕏"


@pytest.mark.parametrize(
    ("said", "means"),
    [("1978-02-24", "1978-02-24"), ("19780224", "1978-02-24"), ("1978-02", "1978-02"), ("1978", "1978")]
    + [(odd, "") for odd in ("", "0000-00-00", "1978-02-30", "1978-13", "soon", "00010101", "2012-01-01T10:00")],
)
def test_a_day_is_written_as_far_as_it_is_one(said, means):
    assert a_date(said) == means


def test_a_record_of_nothing_names_all_sections_and_the_patient(cast):
    forget(cast)
    found = whole(cast)
    must_be_valid(fhir_export.written(found))
    (composition,) = resources(cast, "Composition")
    assert [one["title"] for one in composition["section"]] == [*Section, "Requests for correction", "Documents"]
    assert all("None recorded" in one["text"]["div"] for one in composition["section"])
    (patient,) = resources(cast, "Patient")
    assert (
        patient["name"] == [{"use": "official", "family": "KWON", "given": ["SOPHIE"]}] and patient["birthDate"] == "1978-02-24"
    )
    back = read(ccda_export.written(found))
    assert (back.patient.last, back.patient.first, back.patient.dob) == ("KWON", "SOPHIE", date(1978, 2, 24))
    assert not any(back.sections[section] for section in Section if section not in list(Section)[:4]) and back.notes == ()


def test_who_the_patient_is_the_account_says_and_what_the_record_says_otherwise_stands_beside_it(cast):
    forget(cast)
    odd = (
        ("Date of birth", "February 24, 1978"),
        ("Gender", "woman"),
        ("Date of birth", "1979-02-24"),
        ("Last name", "Newman"),
        ("First name", "Sophie"),
        ("Race", "White"),
        ("Race", "Asian"),
        ("Language", "sign language"),
    )
    with db.engines["write"].begin() as connection:
        for name, value in odd:
            section = Section.DEMOGRAPHIC if name in ("Race", "Language") else Section.PATIENT
            row = {"key": new_key(), "patient_id": cast.sophie.id, "section": section, "name": name, "value": value, "note": ""}
            connection.execute(sa.insert(RecordValue.__table__).values(**row))
    found = whole(cast)
    must_be_valid(fhir_export.written(found))
    (patient,) = resources(cast, "Patient")
    assert (patient["birthDate"], patient["gender"]) == ("1978-02-24", "female")
    said = {(one["code"]["text"], one["valueString"]) for one in resources(cast, "Observation")}
    assert said == {*odd[:4], ("Race", "Asian")} and patient["name"] == [
        {"use": "official", "family": "KWON", "given": ["SOPHIE"]}
    ]
    for content in (fhir_export.written(found), ccda_export.written(found)):
        assert labels(found.record) <= labels(read(content))


def test_of_contacts_people_are_people_and_all_else_is_said_in_words(cast):
    aunt = {"resourceType": "RelatedPerson", "name": [{"text": "Ada Stone"}], "relationship": {"text": "Aunt"}}
    at = {"address": [{"text": "12 Willow Lane"}], "telecom": [{"value": "555-0100"}]}
    content = json.loads(fhir(aunt))
    content["entry"][1]["resource"] |= at
    saved(cast, json.dumps(content).encode())
    row = {"key": new_key(), "patient_id": cast.sophie.id, "section": Section.CONTACT, "name": "Pager", "value": "7", "note": ""}
    with db.engines["write"].begin() as connection:
        connection.execute(sa.insert(RecordValue.__table__).values(**row))
    correct(cast, "Address", "14 Willow Lane")
    must_be_valid(fhir_export.written(whole(cast)))
    (patient,) = resources(cast, "Patient")
    assert patient["address"] == [{"text": "14 Willow Lane"}] and patient["telecom"][0]["value"] == "555-0100"
    (person,) = resources(cast, "RelatedPerson")
    assert (person["name"], person["relationship"]) == ([{"text": "Ada Stone"}], [{"text": "Aunt"}])
    (correction,) = (one for one in resources(cast, "Provenance") if "contained" in one)
    (before,) = correction["contained"]
    assert (before["resourceType"], before["valueString"]) == ("Observation", "12 Willow Lane")
    assert correction["target"] == [{"reference": f"urn:uuid:{patient['id']}"}]
    back = read(fhir_export.written(whole(cast))).sections[Section.CONTACT]
    assert {("Ada Stone", "Aunt"), ("Pager", "7"), ("Address", "14 Willow Lane")} <= {(one.name, one.value) for one in back}
    address = document(cast).xpath("string(//h:patientRole/h:addr)", namespaces=HL7)
    row = document(cast).xpath("//h:tr[h:td[1] = 'Address']", namespaces=HL7)[0]
    assert address == "14 Willow Lane" and "Before: 12 Willow Lane" in "".join(row.itertext())


def test_the_c_cda_is_one_of_level_two(cast):
    saved(cast, of_sophie())
    root = document(cast)
    tags = [etree.QName(one).localname for one in (root, *root)]
    assert tuple(tags[: len(HEADER)]) == HEADER and tags[-2:] == ["documentationOf", "component"]
    assert root.xpath("count(//h:entry)", namespaces=HL7) == 0
    for section in root.iter("{urn:hl7-org:v3}section"):
        assert [etree.QName(one).localname for one in section] == ["code", "title", "text"]


def test_the_same_value_has_the_same_name_in_every_export(cast):
    first, second = bundle(cast), bundle(cast)
    names = [{one["fullUrl"] for one in made["entry"][1:]} for made in (first, second)]
    assert names[0] == names[1] and first["identifier"] != second["identifier"]


GOUT = {
    "resourceType": "Condition",
    "code": {"text": "Gout", "coding": [{"system": "http://snomed.info/sct", "code": "90560007"}]},
}


def test_what_had_only_a_name_has_the_corrected_one_in_every_copy_and_the_old_code_no_more(cast):
    saved(cast, fhir(GOUT | {"clinicalStatus": {"coding": [{"code": "active"}]}}))
    correct(cast, "Gout", "Pseudogout")
    assert [one.from_value for one in whole(cast).amendments] == ["Problem, Gout"]
    must_be_valid(fhir_export.written(whole(cast)))
    (condition,) = resources(cast, "Condition")
    assert condition["code"] == {"text": "Pseudogout"} and condition["clinicalStatus"]["coding"][0]["code"] == "active"
    (correction,) = (one for one in resources(cast, "Provenance") if "contained" in one)
    assert correction["contained"][0]["code"] == GOUT["code"]
    row = document(cast).xpath("//h:tr[h:td[1] = 'Pseudogout']", namespaces=HL7)[0]
    assert "Before: Gout" in "".join(row.itertext()) and "90560007" not in "".join(row.itertext())


def test_days_are_those_of_the_practice(cast):
    evening = datetime(2026, 3, 5, 2, 30)  # UTC: the evening before in New York
    with clock_at(evening):
        key = cast.send(cast.sophie, "Amendment")
        for step, more in ((V.REVIEW, {}), (V.DENY, {"ground": Ground.NOT_OURS, "because": "Not ours"})):
            take(cast, key, step, **more)
    correct(cast, "Height", "167 cm")
    with db.engines["write"].begin() as connection:
        connection.execute(sa.update(RecordValue.__table__).values(corrected_at=evening))
    for content in (fhir_export.written(whole(cast)).decode(), "".join(document(cast).itertext())):
        assert "Corrected on 2026-03-04" in content and "Decided on: 2026-03-04" in content
        assert "Asked on: 2026-03-04" in content and "denied on 2026-03-04" in content
    assert "Request of 2026-03-04" in content


WRITERS = {"FHIR": fhir_export.written, "C-CDA": ccda_export.written}


def news(cast, content) -> list[Any]:
    """What importing it for the same patient would add to the record, or put beside it."""
    db.session.close()
    plan = record_imports._plan(db.session(), cast.sophie.id, read(content))
    db.session.close()
    return [(entry.section, entry.name, entry.value) for entries in plan.new.values() for entry in entries] + plan.against


@pytest.mark.parametrize("kind", WRITERS)
def test_an_export_brings_nothing_new_to_the_record_that_it_is_of(cast, kind):
    resolved = {"clinicalStatus": {"coding": [{"code": "resolved"}]}}
    plan = {"resourceType": "CarePlan", "description": "Walk", "status": "active", "period": {"start": "2025-03"}}
    not_so = {"resourceType": "Procedure", "code": {"text": "Bypass"}, "status": "not-done"}
    less = measured("CRP", 5, "mg/L") | {"valueQuantity": {"value": 5, "unit": "mg/L", "comparator": "<"}}
    odd = measured("Iron", 1.90, "mg", referenceRange=[{"low": {"value": 1}}], on="0000-00-00")
    zero = measured("Casts") | {"valueQuantity": None, "valueString": "00"}  # no number as JSON writes them
    saved(cast, fhir(GOUT | resolved, plan, not_so, less, odd, zero, ALLERGY, measured("Mood") | {"valueQuantity": None}))
    correct(cast, "Height", "167 cm")
    correct(cast, "Gout", "Pseudogout")
    assert news(cast, WRITERS[kind](whole(cast))) == []


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("content", [of_sophie(), of_sophie().replace(b"<observation>", b"<observation negationInd='true'>")])
def test_an_export_of_a_c_cda_brings_nothing_new_either(cast, content, kind):
    saved(cast, content)
    assert news(cast, WRITERS[kind](whole(cast))) == []
