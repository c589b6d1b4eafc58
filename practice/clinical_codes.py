"""Codes that documents are sorted and named by: LOINC (loinc.org) and SNOMED CT. Only what real files leave without a name."""

from practice.documents import Section

LOINC = ("2.16.840.1.113883.6.1", "http://loinc.org")

ROOT = "2.25.219190008675384820542992464450649273274"  # an arc of everybody's (ITU-T X.667): of our codes and extensions
OWN_DOCUMENT = f"{ROOT}.6"  # who numbers our exports
OWN_VALUE, OWN_RECORDED = f"urn:oid:{ROOT}.4", f"urn:oid:{ROOT}.5"
"""Extensions: of a FHIR resource that has no place for its value, or for a day that is none."""
OWN_COLUMNS = ("Item", "Value", "Recorded", "Normal range", "Status", "Code", "Source", "History", "Note")
"""Of the tables in our C-CDA."""

SECTIONS = {
    "48765-2": Section.ALLERGY,
    "10160-0": Section.MEDICATION,
    "10183-2": Section.MEDICATION,  # at discharge
    "75311-1": Section.MEDICATION,
    "42346-7": Section.MEDICATION,  # at admission
    "29549-3": Section.MEDICATION,  # administered
    "11450-4": Section.PROBLEM,
    "11348-0": Section.PROBLEM,  # past
    "46241-6": Section.PROBLEM,  # at admission
    "11535-2": Section.PROBLEM,  # at discharge
    "85847-2": Section.CARE_TEAM,
    "47519-4": Section.PROCEDURE,
    "47420-5": Section.FUNCTIONAL,
    "10190-7": Section.FUNCTIONAL,  # mental status
    "11369-6": Section.IMMUNIZATION,
    "8716-3": Section.VITALS,
    "30954-2": Section.LAB,
    "18776-5": Section.CARE_PLAN,
    "51847-2": Section.CARE_PLAN,  # assessment and plan
    "51848-0": Section.CARE_PLAN,  # assessment
    "75310-3": Section.CARE_PLAN,  # health concerns
    "62387-6": Section.CARE_PLAN,  # interventions
    "69730-0": Section.CARE_PLAN,  # instructions
    "8653-8": Section.CARE_PLAN,  # instructions at discharge
    "29762-2": Section.SOCIAL,
    "10162-6": Section.SOCIAL,  # pregnancies
    "46240-8": Section.ENCOUNTER,
    "61146-7": Section.GOAL,
    # LOINC has none: of our own exports.
    "patient-information": Section.PATIENT,
    "contact": Section.CONTACT,
    "demographic": Section.DEMOGRAPHIC,
    "provider-information": Section.PROVIDER,
}
"""Codes of sections, in C-CDA and in FHIR's Composition: LOINC, and four of our own."""
CODE_OF = {section: code for code, section in reversed(SECTIONS.items())}
"""The code that we write for a section: the first one above."""

VITAL_SIGNS = {
    "8302-2": "Height",
    "8306-3": "Height lying",
    "29463-7": "Weight",
    "3141-9": "Weight",
    "39156-5": "Body mass index",
    "8480-6": "Systolic blood pressure",
    "8462-4": "Diastolic blood pressure",
    "85354-9": "Blood pressure",
    "8867-4": "Heart rate",
    "9279-1": "Respiratory rate",
    "8310-5": "Body temperature",
    "2708-6": "Oxygen saturation",
    "59408-5": "Oxygen saturation by pulse oximetry",
    "3150-6": "Inhaled oxygen concentration",
    "3151-8": "Inhaled oxygen flow rate",
    "8287-5": "Head circumference",
    "9843-4": "Head circumference",
    "8289-1": "Head circumference percentile",
    "59576-9": "Body mass index percentile",
    "77606-2": "Weight for length percentile",
    "3140-1": "Body surface area",
}

NAMES = VITAL_SIGNS | {
    "72166-2": "Tobacco smoking status",
    "11367-0": "History of tobacco use",
    "76689-9": "Sex assigned at birth",
    "76690-7": "Sexual orientation",
    "76691-5": "Gender identity",
    "11331-6": "History of alcohol use",
    "11341-5": "Occupation",
    "82810-3": "Pregnancy status",
    "75326-9": "Problem",
    "54522-8": "Functional status",
    "75275-8": "Cognitive function",
    "11323-3": "Health status",
    "48768-6": "Payment sources",
    "29308-4": "Diagnosis",
    "8690-4": "History of encounters",
    # SNOMED CT
    "229819007": "Tobacco use and exposure",
    "160573003": "Alcohol intake",
    "363908000": "Details of drug misuse behavior",
    "364393001": "Nutritional observable",
    "256235009": "Exercise",
    "364703007": "Employment detail",
    "425400000": "Toxic exposure status",
    "105421008": "Educational achievement",
    "302160007": "Household, family and support network",
    "228272008": "Health-related behavior",
    "266919005": "Never smoked tobacco",
    "8517006": "Ex-smoker",
    "77176002": "Smoker",
    "449868002": "Smokes tobacco daily",
    "428041000124106": "Occasional tobacco smoker",
    "266927001": "Tobacco smoking consumption unknown",
    "428071000124103": "Heavy tobacco smoker",
    "428061000124105": "Light tobacco smoker",
    "55561003": "Active",
    "73425007": "Inactive",
    "413322009": "Resolved",
    "160245001": "No current problems or disability",
    "716186003": "No known allergy",
    "409137002": "No known drug allergy",
    "404684003": "Clinical finding",
    "248536006": "Functional performance and activity",
    "373930000": "Cognitive function finding",
}
"""What codes mean that come without words."""

GENDERS = {"F": "F", "M": "M", "UN": "O", "O": "O", "X": "O", "FEMALE": "F", "MALE": "M", "OTHER": "O"}
"""HL7 V3 AdministrativeGender and FHIR's, in capitals, as our letters."""

DOCUMENT_TYPES = {
    "34133-9": "Continuity of Care Document",
    "18842-5": "Discharge Summary",
    "57133-1": "Referral Note",
    "18761-7": "Transfer Summary",
    "52521-2": "Care Plan",
    "18748-4": "Diagnostic Imaging Report",
    "11488-4": "Consultation Note",
    "34117-2": "History and Physical",
    "11506-3": "Progress Note",
    "28570-0": "Procedure Note",
    "11504-8": "Operative Note",
    "34111-5": "Emergency Department Note",
    "51899-3": "Details",
    "53576-5": "Personal Health Monitoring Report",
    "60591-5": "Patient Summary",
    "34109-9": "Note",
    "34746-8": "Nursing Note",
    "68604-8": "Radiology Note",
    "18725-2": "Microbiology Studies",
    "11502-2": "Laboratory Report",
}

SYSTEMS = {
    "2.16.840.1.113883.6.1": "http://loinc.org",
    "2.16.840.1.113883.6.96": "http://snomed.info/sct",
    "2.16.840.1.113883.6.88": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "2.16.840.1.113883.6.90": "http://hl7.org/fhir/sid/icd-10-cm",
    "2.16.840.1.113883.6.103": "http://hl7.org/fhir/sid/icd-9-cm",
    "2.16.840.1.113883.12.292": "http://hl7.org/fhir/sid/cvx",
    "2.16.840.1.113883.6.12": "http://www.ama-assn.org/go/cpt",
    "2.16.840.1.113883.4.9": "http://fdasis.nlm.nih.gov",
}
"""FHIR's names of the code systems that C-CDA names by number."""


def system_of(name: str) -> str:
    """FHIR's name of a code system, whichever of its names a document uses; others keep their number."""
    name = name.removeprefix("urn:oid:")
    return SYSTEMS.get(name, name)


SYSTEM_NAMES = {
    "http://loinc.org": "LOINC",
    "http://snomed.info/sct": "SNOMED CT",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "RxNorm",
    "http://hl7.org/fhir/sid/icd-10-cm": "ICD-10-CM",
    "http://hl7.org/fhir/sid/cvx": "CVX",
}
"""In words."""
