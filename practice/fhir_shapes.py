"""What the values of a record are in FHIR R4: the resource of each, without what it refers to (fhir_export.py adds that)."""

import re
from collections.abc import Callable
from html import escape
from typing import Any

from practice.clinical_codes import system_of
from practice.documents import NEGATED, Section, measured
from practice.exports import HEADS, a_date, day, plain

Resource = dict[str, Any]

TERMS = "http://terminology.hl7.org/CodeSystem"
ABSENT = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}
OF_PATIENT = ("AllergyIntolerance", "Immunization", "RelatedPerson")  # their patient is no `subject`
WITH_NOTES = (
    "AllergyIntolerance", "MedicationStatement", "Condition", "Observation", "Immunization", "Procedure", "CarePlan", "Goal",
)  # fmt: skip
_CATEGORIES = {
    Section.VITALS: "vital-signs",
    Section.LAB: "laboratory",
    Section.SOCIAL: "social-history",
    Section.FUNCTIONAL: "survey",
}
MEASURED = (*_CATEGORIES, Section.PATIENT, Section.CONTACT, Section.DEMOGRAPHIC)


def _allergy(value: Any) -> Resource:
    is_known = value.status in ("active", "inactive", "resolved")
    state = _coded(f"{TERMS}/allergyintolerance-clinical", value.status) if is_known else {"extension": [ABSENT]}
    signs = [] if value.value in NEGATED else [value.value]
    return {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": state,
        "verificationStatus": _refuted("allergyintolerance-verification", value),
        "code": _concept(value),
        "onsetDateTime": when(value),
        "reaction": [{"manifestation": [{"text": plain(sign)}]} for sign in signs if sign],
    }


def _medication(value: Any) -> Resource:
    known = ("active", "completed", "entered-in-error", "intended", "stopped", "on-hold", "not-taken")
    return {
        "resourceType": "MedicationStatement",
        "status": "not-taken" if value.value in NEGATED else _status(value, known, "unknown"),
        "medicationCodeableConcept": _concept(value),
        "effectiveDateTime": when(value),
        "dosage": [{"text": plain(value.value)}] if value.value and value.value not in NEGATED else [],
    }


def _problem(value: Any) -> Resource:
    known = ("active", "recurrence", "relapse", "inactive", "remission", "resolved")
    return {
        "resourceType": "Condition",
        "clinicalStatus": _coded(f"{TERMS}/condition-clinical", value.status) if value.status in known else None,
        "verificationStatus": _refuted("condition-ver-status", value),
        "code": _concept(value),
        "onsetDateTime": when(value),
    }


def _procedure(value: Any) -> Resource:
    known = ("preparation", "in-progress", "not-done", "on-hold", "stopped", "completed", "entered-in-error")
    return {
        "resourceType": "Procedure",
        "status": "not-done" if value.value in NEGATED else _status(value, known, "unknown"),
        "code": _concept(value),
        "performedDateTime": when(value),
    }


def _immunization(value: Any) -> Resource:
    known_day = when(value)
    known = ("completed", "entered-in-error", "not-done")
    return {
        "resourceType": "Immunization",
        "status": "not-done" if value.value in NEGATED else _status(value, known, "completed"),
        "vaccineCode": _concept(value),
        "occurrenceDateTime": known_day,
        "occurrenceString": None if known_day else plain(value.recorded_text) or "not recorded",
    }


def _care_plan(value: Any) -> Resource:
    known = ("draft", "active", "on-hold", "revoked", "completed", "entered-in-error")
    return {
        "resourceType": "CarePlan",
        "status": _status(value, known, "unknown"),
        "intent": "plan",
        "category": [{"coding": _codings(value)}] if _codings(value) else [],
        "description": plain(value.name),
        "period": {"start": when(value)} if when(value) else None,
    }


def _goal(value: Any) -> Resource:
    known = ("proposed", "planned", "accepted", "on-hold", "completed", "cancelled", "entered-in-error", "rejected")
    return {
        "resourceType": "Goal",
        "lifecycleStatus": _status(value, known, "active"),
        "description": _concept(value),
        "startDate": when(value) if len(when(value)) == len("2012-01-31") else None,
    }


def _encounter(value: Any) -> Resource:
    known = ("planned", "arrived", "triaged", "in-progress", "onleave", "finished", "cancelled", "entered-in-error")
    return {
        "resourceType": "Encounter",
        "status": "finished" if value.status == "completed" else _status(value, known, "unknown"),
        "class": {"extension": [ABSENT]},
        "type": [_concept(value)],
        "period": {"start": when(value)} if when(value) else None,
    }


def _provider(value: Any) -> Resource:
    about = [{"code": {"text": plain(value.value)}}] if value.value else []
    return {"resourceType": "Practitioner", "name": [{"text": plain(value.name)}], "qualification": about}


def _relation(value: Any) -> Resource:
    relation = [{"text": plain(value.value)}] if value.value else []
    return {"resourceType": "RelatedPerson", "name": [{"text": plain(value.name)}], "relationship": relation}


def _observation(value: Any) -> Resource:
    known = ("registered", "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error")
    status = "final" if value.status == "completed" else _status(value, known, "unknown")
    category = _CATEGORIES.get(value.section)
    ends = {"low": value.low, "high": value.high}
    unit = {"unit": plain(value.unit)} if value.unit else {}
    normal = {end: {"value": _short(limit)} | unit for end, limit in ends.items() if limit is not None}
    return {
        "resourceType": "Observation",
        "status": "corrected" if value.corrected_at else status,
        "category": [_coded(f"{TERMS}/observation-category", category)] if category else [],
        "code": _concept(value),
        "effectiveDateTime": when(value),
        **_measured(value),
        "referenceRange": [normal] if normal else [],
    }


_SHAPES: dict[Section, Callable[[Any], Resource]] = {
    Section.PROVIDER: _provider,
    Section.ALLERGY: _allergy,
    Section.MEDICATION: _medication,
    Section.PROBLEM: _problem,
    Section.PROCEDURE: _procedure,
    Section.IMMUNIZATION: _immunization,
    Section.CARE_PLAN: _care_plan,
    Section.ENCOUNTER: _encounter,
    Section.GOAL: _goal,
}
"""What values of a section are; of the others, observations."""


def shape_of(section: Section, value: Any) -> Resource:
    """Of contacts, documents name people besides addresses; what the practice enters there is anything."""
    if section is Section.CONTACT and value.document_key and value.name not in HEADS[section]:
        return _relation(value)
    return _SHAPES.get(section, _observation)(value)


# ---- Parts of resources --------------------------------------------------------------------------


def _measured(value: Any) -> Resource:
    """A quantity where the value is a number and its unit and nothing more, else its words."""
    unit, said = value.unit, value.value
    if value.number is None and value.section in (Section.VITALS, Section.LAB):  # the practice entered it in one piece
        unit = measured(said)[1]
    sign, _, rest = said.partition(" ")
    comparator = {"comparator": sign} if sign in ("<", "<=", ">=", ">") else {}
    amount = (rest if comparator else said).removesuffix(unit).strip()
    if not _AS_IN_JSON.fullmatch(amount) or " ".join(filter(None, (*comparator.values(), amount, unit))) != said:
        return {"valueString": plain(said)} if said else {}
    return {"valueQuantity": {"value": _short(float(amount)), **comparator, **({"unit": plain(unit)} if unit else {})}}


_AS_IN_JSON = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,15})?")  # "007" or "+7" is no number there


def _short(amount: float) -> int | float:
    return int(amount) if amount.is_integer() else amount


def _concept(value: Any) -> Resource:
    return filled({"coding": _codings(value), "text": plain(value.name)})


def _codings(value: Any) -> list[Resource]:
    code, system = plain(value.code).strip(), system_of(value.code_system)
    if system[:1].isdigit():
        system = f"urn:oid:{system}"
    is_address = ":" in system and not any(c.isspace() for c in system)
    return [({"system": system} if is_address else {}) | {"code": code}] if code else []


def _coded(system: str, code: str) -> Resource:
    return {"coding": [{"system": system, "code": code}]}


def _refuted(system: str, value: Any) -> Resource | None:
    return _coded(f"{TERMS}/{system}", "refuted") if value.value in NEGATED else None


def _status(value: Any, known: tuple[str, ...], unknown: str) -> str:
    return value.status if value.status in known else unknown


def when(value: Any) -> str:
    """The day, or as much of it as is known."""
    return day(value.recorded_on) or a_date(value.recorded_text)


def narrative(*lines: str) -> Resource:
    said = "".join(f"<p>{escape(line, quote=False)}</p>" for line in lines)
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{said}</div>'}


def filled(resource: Resource) -> Resource:
    """Without what is empty: FHIR has no empty elements."""
    return {name: said for name, said in resource.items() if said not in (None, "", [], {})}
