"""Medical documents, read: each made here, with templates, identifiers and prefixes as no maker has them."""

import resource
import time
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from practice.documents import SIZE_MAX, Section, Unreadable
from practice.reading import read, read_file
from web.record_files import files_of, read_one, totals

SHARED = Path(__file__).parent.parent.parent.parent / "shared" / "data"
PERSON = "<{p}name><{p}given>Ada</{p}given><{p}family>Stone</{p}family></{p}name>"
PULSE = '<{p}code code="8867-4"/><{p}effectiveTime value="{when}"/><{p}value value="71" unit="/min"/>'


def ccda(prefix: str = "", person: str = PERSON, when: str = "20200229", code: str = "34133-9", gender: str = "F") -> str:
    space = f"xmlns{':' + prefix if prefix else ''}='urn:hl7-org:v3'"
    text = f"""<{{p}}ClinicalDocument {space}><{{p}}templateId root="9.9.9"/><{{p}}code code="{code}"/>
    <{{p}}recordTarget><{{p}}patientRole><{{p}}patient>{person}<{{p}}administrativeGenderCode code="{gender}"/>
    <{{p}}birthTime value="19700501"/></{{p}}patient></{{p}}patientRole></{{p}}recordTarget>
    <{{p}}documentationOf><{{p}}serviceEvent><{{p}}performer><{{p}}assignedEntity><{{p}}assignedPerson>
    <{{p}}name>Dr. Grace Hill</{{p}}name></{{p}}assignedPerson></{{p}}assignedEntity>
    </{{p}}performer></{{p}}serviceEvent></{{p}}documentationOf>
    <{{p}}component><{{p}}structuredBody>
    <{{p}}component><{{p}}section><{{p}}templateId root="1.2.3"/><{{p}}code code="8716-3"/><{{p}}title>Vitals</{{p}}title>
    <{{p}}entry><{{p}}organizer><{{p}}component><{{p}}observation>{PULSE}<{{p}}referenceRange><{{p}}observationRange><{{p}}value>
    <{{p}}low value="60"/><{{p}}high value="100"/></{{p}}value></{{p}}observationRange></{{p}}referenceRange>
    </{{p}}observation></{{p}}component></{{p}}organizer></{{p}}entry></{{p}}section></{{p}}component>
    <{{p}}component><{{p}}section><{{p}}code code="48765-2"/><{{p}}text>
    <{{p}}table><{{p}}tbody><{{p}}tr><{{p}}td>Latex</{{p}}td>
    <{{p}}td>Rash</{{p}}td></{{p}}tr></{{p}}tbody></{{p}}table></{{p}}text></{{p}}section></{{p}}component>
    <{{p}}component><{{p}}section><{{p}}code code="11450-4"/><{{p}}text><{{p}}content ID="p1">Hay fever</{{p}}content></{{p}}text>
    <{{p}}entry>
    <{{p}}act><{{p}}entryRelationship><{{p}}observation><{{p}}code code="ASSERTION"/><{{p}}value code="1"><{{p}}originalText>
    <{{p}}reference value="#p1"/></{{p}}originalText></{{p}}value></{{p}}observation>
    </{{p}}entryRelationship></{{p}}act></{{p}}entry>
    </{{p}}section></{{p}}component>
    </{{p}}structuredBody></{{p}}component></{{p}}ClinicalDocument>"""
    return text.replace("{p}", f"{prefix}:" if prefix else "").replace("{when}", when)


@contextmanager
def refused_at_once(said):
    """In less than 200 ms, and the process is never much larger than it was: the parser's own memory counts too."""
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Unreadable, match=said):
        yield
    assert time.process_time() - began < 0.2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 24 * 1024


@pytest.mark.parametrize("prefix", ["", "cda", "n1", "_x.y"])
def test_a_document_is_read_whatever_its_prefix_and_templates(prefix):
    document = read(ccda(prefix).encode())
    (pulse,) = document.sections[Section.VITALS]
    assert (pulse.name, pulse.value, pulse.number, pulse.low, pulse.high) == ("Heart rate", "71 /min", 71.0, 60.0, 100.0)
    assert pulse.recorded_on == date(2020, 2, 29)
    assert pulse.path.endswith("/component[1]/section/entry/organizer/component/observation")
    assert (document.patient.last, document.patient.first, document.patient.gender) == ("Stone", "Ada", "F")
    assert [entry.name for entry in document.sections[Section.CARE_TEAM]] == ["Dr. Grace Hill"]
    assert [(entry.name, entry.value) for entry in document.sections[Section.ALLERGY]] == [("Latex", "Rash")]
    assert [entry.name for entry in document.sections[Section.PROBLEM]] == ["Hay fever"]
    assert document.sections[Section.GOAL] == [] and document.notes == ()


PARTS = ["2020", "202005", "202005-0500", "2020-05"]


@pytest.mark.parametrize("when", ["00000000", "0000", "00010101", "20200001", "20200230", "2020-13", "2020-05-00", *PARTS])
def test_a_date_that_is_no_day_keeps_its_text_and_one_that_cannot_be_is_noted(when):
    document = read(ccda(when=when).encode())
    (pulse,) = document.sections[Section.VITALS]
    assert (pulse.recorded_on, pulse.recorded_text) == (None, when)
    assert [str(note) for note in document.notes] == [
        f"A date is none that there can be ({when}). Such dates are kept as they are written."
        for _ in [when]
        if when not in PARTS
    ]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"person": ""}, "patient's name"),
        ({"code": "letter"}, "kind that is not known"),
        ({"gender": "Q"}, "gender that is not known"),
    ],
)
def test_what_is_odd_is_read_and_noted(changed, said):
    (note,) = read(ccda(**changed).encode()).notes
    assert said in str(note)


def test_what_is_not_well_formed_is_repaired_with_a_note():
    (note,) = read(ccda().replace("<title>Vitals</title>", "<title>Vitals & more</titel>").encode()).notes
    assert "not well-formed" in str(note)


TEN = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
BOMB = f'<!DOCTYPE x [<!ENTITY e0 "ten letters">{TEN}]>'  # ten thousand million letters where &e9; stands
FILE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf \n", "empty"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"%PDF-1.4 ...", "PDF"),
        (b"MZ\x90", "neither"),
        (b"<section><code/></section>", "not a whole clinical document"),
        (BOMB.encode() + ccda().encode(), "DOCTYPE"),
        (b"<?xml version='1.0'?><!-- > -->" + FILE.encode() + ccda().encode(), "DOCTYPE"),
        ((BOMB + ccda()).encode("utf-16"), "DOCTYPE"),
        (ccda().encode()[:-300], "ends too early"),
        (ccda().replace("<title>", "<title").encode() + b"<!---->" * 200 + b"x", "ends too early"),  # at once, not in an hour
        (b"<ClinicalDocument>" + b"<a>" * 5000 + b"</a>" * 5000 + b"</ClinicalDocument>", "nested too deeply"),
        (b"[" * 5000 + b"]" * 5000, "nested too deeply"),
        (b'{"resourceType": "Patient"', "damaged"),
        (b'{"a": 1}', "no FHIR"),
        (b" " * (SIZE_MAX + 1), "larger than 10 MB"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else value,
)
def test_what_cannot_be_read_is_refused_with_its_own_sentence(content, said):
    with refused_at_once(said):
        read(content)


def test_a_file_of_100_mb_is_refused_without_being_held(tmp_path):
    with (tmp_path / "large.xml").open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    with refused_at_once("10 MB"):
        read_file(tmp_path / "large.xml")


PATIENT = b'{"resourceType": "Patient", "name": [{"family": "Stone", "given": ["Ada"]}], "birthDate": "1970-05-01"}'
STU3 = b"""{"resourceType": "Observation", "category": {"coding": {"code": "laboratory"}}, "code": {"text": "Iron"},
"valueQuantity": {"value": 12.5, "unit": "mg"}, "referenceRange": {"low": {"value": 10}}, "effectiveDateTime": "2020-02"}"""
STU3 = b" ".join(STU3.split())


@pytest.mark.parametrize(
    "content",
    [
        b"[" + PATIENT + b"," + STU3 + b"]",
        PATIENT + b"\n" + STU3 + b"\n",
        b'{"resourceType": "Bundle", "entry": [{"resource": ' + PATIENT + b'}, 7, {"resource": ' + STU3 + b"}]}",
    ],
    ids=["list", "lines", "bundle"],
)
def test_fhir_is_read_in_each_of_its_forms(content):
    document = read(content)
    (iron,) = document.sections[Section.LAB]
    assert (iron.name, iron.value, iron.low, iron.high, iron.recorded_text) == ("Iron", "12.5 mg", 10.0, None, "2020-02")
    assert (document.patient.last, document.patient.dob) == ("Stone", date(1970, 5, 1))


def test_all_documents_at_hand_are_read_with_words():
    if not SHARED.is_dir():
        pytest.skip("../shared/data is not here")
    found = [read_one(path) for path in files_of([SHARED / "ccda", SHARED / "fhir"])]
    assert [one.path.name for one in found if one.refused] == []
    assert totals(found)["labels"] >= 97
    assert len([one for one in found]) == 48
