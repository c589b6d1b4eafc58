"""Medical documents, read: each made here, with templates, identifiers and prefixes as no maker has them."""

import json
import resource
import time
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from random import Random

import pytest
from lxml import etree

from practice.ccda_words import Names
from practice.documents import CALLED_OFF, ENTERED_IN_ERROR, OF_RELATIVE, OTHER_PATIENT, SIZE_MAX, Section, Unreadable
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


@pytest.mark.parametrize("seed", range(5))
def test_a_place_in_the_file_is_said_as_libxml2_says_it_whichever_is_asked_for_first(seed):
    chance = Random(seed)
    tree = etree.ElementTree(etree.Element("a"))
    made = [tree.getroot()]
    for _ in range(300):
        made.append(etree.SubElement(chance.choice(made), chance.choice("abc")))
    names = Names(tree)
    for element in chance.sample(made, len(made)):
        assert names.path(element) == tree.getpath(element)


def test_all_documents_at_hand_are_read_with_words():
    if not SHARED.is_dir():
        pytest.skip("../shared/data is not here")
    found = [read_one(path) for path in files_of([SHARED / "ccda", SHARED / "fhir"])]
    assert [one.path.name for one in found if one.refused] == []
    assert totals(found)["labels"] >= 97
    assert len([one for one in found]) == 48


# ---- What is no fact of this patient -------------------------------------------------------------


def resources(*found, patient=None):
    """A bundle: a patient with an address of the practice's server, and what is said of them."""
    ours = {"resourceType": "Patient", "id": "1", "name": [{"family": "Stone"}], "birthDate": "1970-05-01"}
    entries = [{"fullUrl": "https://here.example/fhir/Patient/1", "resource": ours | (patient or {})}]
    entries += [{"resource": one} if "resource" not in one else one for one in found]
    return json.dumps({"resourceType": "Bundle", "entry": entries}).encode()


def problem(subject=None, **more):
    about = {} if subject is None else {"subject": {"reference": subject}}
    return {"resourceType": "Condition", "code": {"text": "Gout"}} | about | more


def read_problems(content):
    document = read(content)
    return [one.value for one in document.sections[Section.PROBLEM]], [(one.what, one.reason) for one in document.unread]


OTHER = {"fullUrl": "urn:uuid:aa", "resource": {"resourceType": "Patient", "id": "aa", "name": [{"family": "Other"}]}}
OURS = ("Patient/1", "https://here.example/fhir/Patient/1", "Patient/1/_history/3", "urn:uuid:1", None)
THEIRS = ("Patient/999", "https://there.example/fhir/Patient/1", "Patient/aa", "urn:uuid:aa", "#them", "Group/1")


@pytest.mark.parametrize("subject", OURS)
def test_what_is_said_of_the_patient_is_read_whichever_name_says_so(subject):
    assert read_problems(resources(problem(subject))) == ([""], [])


@pytest.mark.parametrize("where", ["subject", "patient"])
@pytest.mark.parametrize("subject", THEIRS)
def test_what_is_said_of_another_patient_is_not_read_and_says_so(subject, where):
    them = {"contained": [{"resourceType": "Patient", "id": "them", "name": [{"family": "Other"}]}]}
    said = problem(**{where: {"reference": subject}}, **them)
    assert read_problems(resources(said, OTHER)) == ([], [("Condition (1)", OTHER_PATIENT)])


def test_an_address_is_relative_to_the_server_that_the_resource_is_of():
    there = {"fullUrl": "https://there.example/fhir/Condition/5", "resource": problem("Patient/1") | {"id": "5"}}
    here = {"fullUrl": "https://here.example/fhir/Condition/5", "resource": problem("Patient/1") | {"id": "5"}}
    assert read_problems(resources(there)) == ([], [("Condition (1)", OTHER_PATIENT)])
    assert read_problems(resources(here)) == ([""], [])


def test_a_name_that_two_patients_have_is_nobodys():
    other = json.loads(resources(problem("Patient/1"), patient={"name": [{"family": "Other"}]}))
    del other["entry"][0]["fullUrl"]
    both = json.dumps([json.loads(resources(problem("Patient/1"))), other]).encode()
    assert read_problems(both) == ([], [("Condition (2)", OTHER_PATIENT)])
    twice = json.dumps([json.loads(resources(problem("Patient/1")))] * 2).encode()
    assert read_problems(twice)[0] == ["", ""] and read(twice).notes == ()


@pytest.mark.parametrize("named", ["urn:uuid:aa", "Patient/aa", "https://there.example/fhir/Patient/aa/_history/2"])
def test_of_several_patients_the_one_whom_the_summary_names_is_meant(named):
    summary = {"resourceType": "Composition", "subject": {"reference": named}}
    theirs, ours = problem("urn:uuid:aa"), problem("Patient/1")
    document = read(resources(theirs, ours, OTHER, summary))
    assert document.patient.last == "Other" and len(document.sections[Section.PROBLEM]) == 1
    assert [(one.what, one.reason) for one in document.unread] == [("Condition (1)", OTHER_PATIENT)]
    assert [str(note)[:37] for note in document.notes][:1] == ["The file holds more than one patient."]


def test_of_two_patients_with_one_number_the_one_of_the_named_server_is_meant():
    there = {"fullUrl": "https://there.example/fhir/Patient/1", "resource": OTHER["resource"] | {"id": "1"}}
    summary = {"resourceType": "Composition", "subject": {"reference": there["fullUrl"]}}
    assert read(resources(there, summary)).patient.last == "Other"


def test_without_a_patient_what_is_of_the_first_one_named_is_read():
    said = [problem("Patient/7"), problem("Patient/8"), problem("Patient/7")]
    assert read_problems(json.dumps(said).encode()) == (["", ""], [("Condition (1)", OTHER_PATIENT)])


def test_what_is_of_the_patients_child_is_not_of_the_patient():
    said = {"resourceType": "Observation", "code": {"text": "Heart rate"}, "category": [{"coding": [{"code": "vital-signs"}]}]}
    document = read(resources(said | {"subject": {"reference": "Patient/1"}, "focus": [{"reference": "RelatedPerson/9"}]}))
    assert document.sections[Section.VITALS] == [] and [one.reason for one in document.unread] == [OTHER_PATIENT]


def coded(code):
    return {"coding": [{"code": code}]}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"resourceType": "Observation", "status": "entered-in-error"}, ENTERED_IN_ERROR),
        ({"resourceType": "Condition", "verificationStatus": coded("entered-in-error")}, ENTERED_IN_ERROR),
        ({"resourceType": "AllergyIntolerance", "verificationStatus": "entered-in-error"}, ENTERED_IN_ERROR),
        ({"resourceType": "Goal", "lifecycleStatus": "entered-in-error"}, ENTERED_IN_ERROR),
        (
            {"resourceType": "CareTeam", "status": "entered-in-error", "participant": [{"member": {"display": "A"}}]},
            ENTERED_IN_ERROR,
        ),
        ({"resourceType": "MedicationRequest", "doNotPerform": True}, CALLED_OFF),
        ({"resourceType": "ServiceRequest", "doNotPerform": True, "status": "active"}, CALLED_OFF),
        ({"resourceType": "MedicationRequest", "status": "cancelled"}, CALLED_OFF),
        ({"resourceType": "ServiceRequest", "status": "revoked"}, CALLED_OFF),
        ({"resourceType": "Observation", "status": "cancelled"}, CALLED_OFF),
        ({"resourceType": "DiagnosticReport", "status": "cancelled"}, CALLED_OFF),
        ({"resourceType": "Encounter", "status": "cancelled"}, CALLED_OFF),
        ({"resourceType": "MedicationDispense", "status": "declined"}, CALLED_OFF),
    ],
    ids=str,
)
def test_what_is_withdrawn_or_was_not_done_is_no_fact(said, reason):
    document = read(resources({"code": {"text": "Gout"}, "category": coded("vital-signs")} | said))
    assert [(one.what, one.reason) for one in document.unread] == [(f"{said['resourceType']} (1)", reason)]
    assert all(one.section in (Section.PATIENT,) for one in document.entries)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ({"resourceType": "Procedure", "status": "not-done"}, "Not done"),
        ({"resourceType": "Procedure", "notDone": True}, "Not done"),
        ({"resourceType": "MedicationAdministration", "status": "not-done"}, "Not taken"),
        ({"resourceType": "MedicationStatement", "status": "not-taken", "dosage": [{"text": "1 a day"}]}, "Not taken"),
        ({"resourceType": "MedicationStatement", "taken": "n"}, "Not taken"),
        ({"resourceType": "MedicationStatement", "wasNotTaken": True}, "Not taken"),
        ({"resourceType": "Immunization", "status": "not-done"}, "Not given"),
        ({"resourceType": "Immunization", "notGiven": True}, "Not given"),
        ({"resourceType": "Condition", "verificationStatus": coded("refuted")}, "Not present"),
    ],
    ids=str,
)
def test_what_was_not_done_or_is_not_so_says_so(said, shown):
    document = read(resources({"code": {"text": "Gout"}} | said))
    assert [one.value for one in document.entries if one.name == "Gout"] == [shown] and document.unread == ()


def problems_of(inside, more="", concern=""):
    """A document with one problem, as an act around an observation; `inside`, `more` and `concern`: what stands in each."""
    before = '<act><entryRelationship><observation><code code="ASSERTION"/>'
    after = f"<act {concern}>{more}<entryRelationship><observation {inside}"
    return ccda().replace(before, after + '<code code="ASSERTION"/>').encode()


RELATIVE = '<subject><relatedSubject><code code="MTH"/></relatedSubject></subject>'


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (problems_of("><statusCode code='nullified'/>"), ENTERED_IN_ERROR),
        (problems_of(">", more="<statusCode code='nullified'/>"), ENTERED_IN_ERROR),
        (problems_of(f">{RELATIVE}"), OF_RELATIVE),
        (problems_of(">", more=RELATIVE), OF_RELATIVE),
        (ccda().replace('<code code="11450-4"/>', f'<code code="11450-4"/>{RELATIVE}').encode(), OF_RELATIVE),
    ],
    ids=["nullified", "nullified concern", "of a relative", "concern of a relative", "section of a relative"],
)
def test_what_a_c_cda_withdraws_or_says_of_a_relative_is_no_fact_of_the_patient(content, reason):
    document = read(content)
    assert document.sections[Section.PROBLEM] == [] and [one.reason for one in document.unread] == [reason]


@pytest.mark.parametrize("content", [problems_of('negationInd="true">'), problems_of(">", concern='negationInd="1"')])
def test_a_negation_holds_for_all_that_stands_in_it(content):
    assert [one.value for one in read(content).sections[Section.PROBLEM]] == ["Not present"]


# ---- Much of it ----------------------------------------------------------------------------------

OBSERVATION = "<observation><code displayName='Pulse'/><value value='71' unit='/min'/></observation>"
ROW = "<tr><td>Pulse</td><td>71</td></tr>"
LONG = f'<text><content ID="long">{"Pulse " * 100_000}</content></text>'
NAMED = '<entry><observation><code code="1"><originalText><reference value="#long"/></originalText></code></observation></entry>'


def vitals(inside):
    before, after = ccda().split("<entry><organizer>")
    return f"{before}{inside}</section></component>{after.partition('</section></component>')[2]}".encode()


def conditions(number, of):
    return [problem(f"Patient/{n % of}") | {"id": str(n)} for n in range(number)]


def family(number):
    people = [{"resourceType": "Patient", "id": str(n), "name": [{"family": str(n)}]} for n in range(number)]
    return json.dumps([*people, *conditions(number, number)]).encode()


TEAM = {
    "resourceType": "CareTeam",
    "contained": [{"resourceType": "Practitioner", "id": str(n), "name": [{"text": str(n)}]} for n in range(9_000)],
    "participant": [{"member": {"reference": f"#{n}"}} for n in range(9_000)],
}


@pytest.mark.parametrize(
    "content",
    [
        vitals(f"<entry>{OBSERVATION}</entry>" * 100_000),
        vitals(f"<entry><organizer>{f'<component>{OBSERVATION}</component>' * 90_000}</organizer></entry>"),
        vitals(f"<text><table><tbody>{ROW * 100_000}</tbody></table></text>"),
        vitals("<entry><act/></entry>" * 100_000),
        resources(*conditions(50_000, 2)),
        family(20_000),
    ],
    ids=["entries", "one entry", "rows", "unread", "resources", "patients"],
)
def test_too_much_is_refused_before_all_of_it_is_read(content):
    began = time.process_time()
    with pytest.raises(Unreadable, match="more than 10,000 entries"):
        read(content)
    assert time.process_time() - began < 8


@pytest.mark.parametrize(
    ("content", "number"),
    [
        (vitals(f"<entry>{OBSERVATION}</entry>" * 9_000), 9_000),
        (vitals(LONG + NAMED * 9_000), 9_000),
        (family(4_000), 1),
        (json.dumps([TEAM]).encode(), 9_000),
    ],
    ids=["entries", "one text for all", "patients", "care team"],
)
def test_much_is_read_in_a_time_that_grows_with_it_alone(content, number):
    began = time.process_time()
    assert max(map(len, read(content).sections.values())) >= number
    assert time.process_time() - began < 8


# ---- Odd texts and numbers -----------------------------------------------------------------------


def vital(**value):
    return {"resourceType": "Observation", "category": coded("vital-signs"), "code": {"text": "Height"}} | value


def test_a_text_may_hold_any_end_of_a_line():
    said = json.dumps(vital(valueString="one\u2028two\x85three"), ensure_ascii=False).encode()
    (height,) = read(PATIENT + b"\r\n" + said + b"\r\n").sections[Section.VITALS]
    assert height.value == "one two three"


@pytest.mark.parametrize(
    ("said", "value", "amount"),
    [("NaN", "NaN cm", None), ("1e400", "1e400 cm", None), ("-Infinity", "-Infinity cm", None), ("1.90", "1.90 cm", 1.9)],
)
def test_a_number_is_kept_as_it_is_written(said, value, amount):
    content = resources(vital(valueQuantity={"value": 7, "unit": "cm"})).replace(b'"value": 7', f'"value": {said}'.encode())
    (height,) = read(content).sections[Section.VITALS]
    assert (height.value, height.number) == (value, amount)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 128}}}, "1 : 128"),
        ({"valueRatio": {"numerator": {"value": 5, "unit": "mg"}, "denominator": {"value": 2, "unit": "mL"}}}, "5 mg : 2 mL"),
        ({"valueRange": {"low": {"value": 1, "unit": "cm"}, "high": {"value": 2, "unit": "cm"}}}, "1 cm – 2 cm"),
        ({"valueRange": {"low": {"value": 1, "unit": "cm"}}}, "≥ 1 cm"),
        ({"valueRange": {"high": {"value": 2}}}, "≤ 2"),
        ({"valuePeriod": {"start": "2020-01-01", "end": "2020-02-01"}}, "2020-01-01 – 2020-02-01"),
        ({"valueRatio": {"numerator": 7}}, "7"),
        ({"valueRange": None}, ""),
    ],
)
def test_values_of_two_parts_are_read(value, shown):
    (height,) = read(resources(vital(**value))).sections[Section.VITALS]
    assert (height.value, height.number) == (shown, None)


@pytest.mark.parametrize(
    "content",
    [ccda(code="x" * 1000).encode(), ccda(gender="x" * 1000).encode(), resources(patient={"gender": "x" * 1000})],
    ids=["kind", "gender", "FHIR"],
)
def test_a_long_code_is_cut_in_a_note(content):
    (note,) = read(content).notes
    assert len(str(note)) < 200 and "xxx…)" in str(note)


def test_an_encoding_that_is_not_known_is_called_that():
    with refused_at_once("encoding that is not known"):
        read(b'<?xml version="1.0" encoding="foo"?>' + ccda().encode())
