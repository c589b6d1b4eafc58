"""What one FHIR resource says, as entries; R4 and STU3 shapes alike."""

from collections.abc import Iterator
from typing import Any

from practice.clinical_codes import LOINC, NAMES, OWN_RECORDED, OWN_VALUE, SECTIONS, VITAL_SIGNS
from practice.documents import NOT_DONE, NOT_GIVEN, NOT_PRESENT, NOT_TAKEN, Entry, Section, day, number, words

KINDS = {
    "AllergyIntolerance": Section.ALLERGY,
    "MedicationRequest": Section.MEDICATION,
    "MedicationStatement": Section.MEDICATION,
    "MedicationDispense": Section.MEDICATION,
    "MedicationAdministration": Section.MEDICATION,
    "MedicationOrder": Section.MEDICATION,  # DSTU2
    "Condition": Section.PROBLEM,
    "Procedure": Section.PROCEDURE,
    "Immunization": Section.IMMUNIZATION,
    "DiagnosticReport": Section.LAB,
    "CarePlan": Section.CARE_PLAN,
    "ServiceRequest": Section.CARE_PLAN,
    "Encounter": Section.ENCOUNTER,
    "Goal": Section.GOAL,
    "RelatedPerson": Section.CONTACT,
    "Practitioner": Section.PROVIDER,
    "CareTeam": Section.CARE_TEAM,
}
CATEGORIES = {
    "vital-signs": Section.VITALS,
    "laboratory": Section.LAB,
    "imaging": Section.LAB,
    "procedure": Section.LAB,
    "social-history": Section.SOCIAL,
    "sdoh": Section.SOCIAL,
    "functional-status": Section.FUNCTIONAL,
    "cognitive-status": Section.FUNCTIONAL,
    "disability-status": Section.FUNCTIONAL,
    "survey": Section.FUNCTIONAL,
    "exam": Section.VITALS,
    "activity": Section.FUNCTIONAL,
    "care-experience-preference": Section.CARE_PLAN,
    "treatment-intervention-preference": Section.CARE_PLAN,
}
"""Observation.category: of HL7, and of US Core."""
# fmt: off
DATES = (
    "effectiveDateTime", "effectivePeriod", "onsetDateTime", "onsetPeriod", "performedDateTime", "performedPeriod",
    "occurrenceDateTime", "date", "period", "authoredOn", "startDate", "recordedDate",
    "assertedDate", "dateAsserted", "whenHandedOver", "issued",
)
# fmt: on
NAMED_BY = ("code", "medicationCodeableConcept", "vaccineCode", "description", "type", "class", "category")


def text(found: Any) -> str:
    return words(found) or (words(str(found)) if isinstance(found, int | float) and not isinstance(found, bool) else "")


def dicts(found: Any) -> list[dict[str, Any]]:
    """One or a list of objects (STU3 and R4 differ), as a list; what is none is left out."""
    return [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, dict)]


def contained_of(one: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f"#{part.get('id')}": part for part in dicts(one.get("contained"))}


def codings(concept: Any) -> Iterator[dict[str, Any]]:
    for one in dicts(concept):
        yield from dicts(one.get("coding"))
        if "code" in one:
            yield one


def label(concept: Any) -> str:
    """What a CodeableConcept, a Coding or plain text is called; the bare code where nobody says."""
    if isinstance(concept, str):
        return words(concept)
    return next(filter(None, _labels(concept)), "") if concept else ""


def _labels(concept: Any) -> Iterator[str]:
    """The first one is enough nearly always."""
    yield from (text(one.get("text")) for one in dicts(concept))
    there = list(codings(concept))
    yield from (text(one.get("display")) for one in there)
    yield from (NAMES.get(text(one.get("code")), "") for one in there)
    yield from (text(one.get("code")) for one in there)


class Resources:
    """The resources of one file, to follow references and to know in which section a composition lists them."""

    def __init__(self, found: list[tuple[str, str, dict[str, Any]]]) -> None:
        self._by_name: dict[str, dict[str, Any]] = {}
        self._sections: dict[int, Section] = {}
        self._contained: dict[int, dict[str, dict[str, Any]]] = {}
        for url, _, one in found:
            self._by_name |= {name: one for name in (url, f"{one['resourceType']}/{one.get('id')}") if name}
        for _, _, one in found:
            if one["resourceType"] == "Composition":
                self._list(one)

    def _list(self, part: dict[str, Any]) -> None:
        for section in dicts(part.get("section")):
            kind = next(
                (SECTIONS[code] for one in codings(section.get("code")) if (code := text(one.get("code"))) in SECTIONS), None
            )
            for reference in dicts(section.get("entry")) if kind else []:
                if (one := self.get(reference)) is not None and kind:
                    self._sections.setdefault(id(one), kind)
            self._list(section)

    def get(self, reference: Any, inside: dict[str, Any] | None = None) -> dict[str, Any] | None:
        target = text(reference.get("reference")) if isinstance(reference, dict) else ""
        if target.startswith("#") and inside:
            if id(inside) not in self._contained:
                self._contained[id(inside)] = contained_of(inside)
            return self._contained[id(inside)].get(target)
        return self._by_name.get(target) or self._by_name.get("/".join(target.split("/_history")[0].split("/")[-2:]))

    def section(self, one: dict[str, Any]) -> Section | None:
        return self._sections.get(id(one))


def states_of(one: dict[str, Any]) -> set[str]:
    """Codes of all that a resource says of how it stands, as FHIR spells them."""
    places = [one.get(place) for place in ("status", "verificationStatus", "clinicalStatus", "lifecycleStatus")]
    concepts = [one for place in places for concept in dicts(place) for one in (concept, *codings(concept))]
    said = [*map(text, places), *(text(one.get(part)) for one in concepts for part in ("code", "display", "text"))]
    return {word.lower().replace(" ", "-") for word in said}


def entries_of(one: dict[str, Any], path: str, resources: Resources) -> list[Entry]:
    """None for a resource that no section shows."""
    kind = one["resourceType"]
    if kind == "Observation":
        return _observation(one, path, resources)
    if kind == "CareTeam":
        return list(_members(one, path, resources))
    section = KINDS.get(kind)
    name, code, system = _named(one, resources)
    if kind in ("Practitioner", "RelatedPerson"):
        name = _person(one)
    if section is None or not name:
        return []
    return [_entry(section, one, path, name, code, system, _said(one))]


def _entry(
    section: Section, one: dict[str, Any], path: str, name: str, code: str, system: str, value: str = "", **more: Any
) -> Entry:
    recorded_on, recorded_text = (None, own) if (own := _own(one, OWN_RECORDED)) else _when(one)
    places = (one.get(place) for place in ("clinicalStatus", "status", "lifecycleStatus"))
    status = next(
        filter(None, (text(place) or text(next(codings(place), {}).get("code")) or label(place) for place in places)), ""
    )
    found = {"code": code, "code_system": system, "status": status, "path": path} | more
    return Entry(section, name, _own(one, OWN_VALUE) or value, recorded_on=recorded_on, recorded_text=recorded_text, **found)


def _own(one: dict[str, Any], url: str) -> str:
    """What our own export says in an extension."""
    return next((text(found.get("valueString")) for found in dicts(one.get("extension")) if found.get("url") == url), "")


def _named(one: dict[str, Any], resources: Resources) -> tuple[str, str, str]:
    """Name, code and system: the first place that has words."""
    medication = resources.get(one.get("medicationReference"), one) or {}
    places = [one.get(place) for place in NAMED_BY] + [medication.get("code")]
    found = [(label(place), place) for place in places]
    reference = one.get("medicationReference")
    if isinstance(reference, dict) and text(reference.get("display")) and not medication.get("code"):
        return text(reference["display"]), "", ""
    best = [item for item in found if any(letter.isalpha() for letter in item[0])] or [item for item in found if item[0]]
    if not best:
        return text(one.get("title")), "", ""
    name, place = best[0]
    coding = next(codings(place), {})
    return name, text(coding.get("code")), text(coding.get("system"))


_NOT_SO = {
    "Procedure": NOT_DONE,
    "Immunization": NOT_GIVEN,
    "MedicationAdministration": NOT_TAKEN,
    "MedicationStatement": NOT_TAKEN,
}
_FLAGS = ("notDone", "notPerformed", "notGiven", "wasNotGiven", "wasNotTaken")  # STU3, DSTU2


def _said(one: dict[str, Any]) -> str:
    """What stands beside the name, by kind of resource; of what is said not to be so, that."""
    kind, states = one["resourceType"], states_of(one)
    if "refuted" in states:
        return NOT_PRESENT
    if kind in _NOT_SO and (
        states & {"not-done", "not-taken"} or one.get("taken") == "n" or any(one.get(f) is True for f in _FLAGS)
    ):
        return _NOT_SO[kind]
    reactions = [label(sign) for reaction in dicts(one.get("reaction")) for sign in dicts(reaction.get("manifestation"))]
    doses = [text(dose.get("text")) for place in ("dosageInstruction", "dosage") for dose in dicts(one.get(place))]
    roles = [label(one.get("relationship"))] if kind == "RelatedPerson" else []
    return words(", ".join(filter(None, [*reactions, *doses, *roles, text(one.get("conclusion"))])))


def _person(one: dict[str, Any]) -> str:
    for name in dicts(one.get("name")):
        given = name.get("given")
        parts = [*(given if isinstance(given, list) else [given]), name.get("family")]
        if whole := text(name.get("text")) or " ".join(filter(None, map(text, parts))):
            return whole
    return ""


def _members(one: dict[str, Any], path: str, resources: Resources) -> Iterator[Entry]:
    for n, member in enumerate(dicts(one.get("participant"))):
        reference = member.get("member")
        who = resources.get(reference, one) or {}
        if who.get("resourceType") == "PractitionerRole":
            who = resources.get(who.get("practitioner")) or who
        shown = text(reference.get("display")) if isinstance(reference, dict) else ""
        if name := shown or _person(who) or text(who.get("name")):
            yield Entry(Section.CARE_TEAM, name, label(member.get("role")), path=f"{path}/participant/{n}")


def _when(one: dict[str, Any]) -> Any:
    for place in DATES:
        found = one.get(place)
        if said := text(found) or next(
            (text(found[end]) for end in ("start", "end") if isinstance(found, dict) and end in found), ""
        ):
            return day(said)
    return None, ""


# ---- Observations --------------------------------------------------------------------------------


def _observation(one: dict[str, Any], path: str, resources: Resources) -> list[Entry]:
    """One entry, or one for each component (the two of a blood pressure) where it has no value of its own."""
    section = _section(one, resources)
    name, code, system = _named({"resourceType": "", "code": one.get("code")}, resources)
    if section is None or not name:
        return []
    parts = [(part, f"{path}/component/{n}") for n, part in enumerate(dicts(one.get("component")))]
    value = _value(one)
    own = [_entry(section, one, path, name, code, system, **value, **_normal(one))] if value["value"] or not parts else []
    for part, where in parts:
        label_, code, system = _named({"resourceType": "", "code": part.get("code")}, resources)
        if label_:
            own.append(_entry(section, one, where, label_, code, system, **_value(part), **_normal(part)))
    return own


def _section(one: dict[str, Any], resources: Resources) -> Section | None:
    categories = (text(coding.get("code")).lower() for coding in codings(one.get("category")))
    known = next((CATEGORIES[code] for code in categories if code in CATEGORIES), None)
    if known or (known := resources.section(one)):
        return known
    loinc = (text(coding.get("code")) for coding in codings(one.get("code")) if coding.get("system") in LOINC)
    return next((Section.VITALS if code in VITAL_SIGNS else Section.SOCIAL for code in loinc if code in NAMES), None)


def _value(one: dict[str, Any]) -> dict[str, Any]:
    """`value` as shown, `unit`, `number`."""
    quantity = one.get("valueQuantity")
    if isinstance(quantity, dict):
        return {"value": _amount(quantity), "unit": _unit(quantity), "number": number(quantity.get("value"))}
    shown = label(one.get("valueCodeableConcept")) or label(one.get("interpretation")) * (not _has_value(one))
    for place in ("valueString", "valueInteger", "valueDateTime", "valueTime", "valueDecimal"):
        shown = shown or text(one.get(place))
    if isinstance(one.get("valueBoolean"), bool):
        shown = "Yes" if one["valueBoolean"] else "No"
    shown = shown or _of_two(one)
    return {"value": shown, "unit": "", "number": number(one.get("valueInteger"))}


def _amount(quantity: Any) -> str:
    amount = text(quantity.get("value")) if isinstance(quantity, dict) else ""
    return f"{text(quantity.get('comparator'))} {amount} {_unit(quantity)}".strip() if amount else ""


def _unit(quantity: dict[str, Any]) -> str:
    return text(quantity.get("unit")) or text(quantity.get("code"))


def _of_two(one: dict[str, Any]) -> str:
    """A titre, a range, a time from when to when."""
    for place, ends, between in (
        ("valueRatio", ("numerator", "denominator"), " : "),
        ("valueRange", ("low", "high"), " – "),
        ("valuePeriod", ("start", "end"), " – "),
    ):
        if isinstance(found := one.get(place), dict):
            said = [_amount(found.get(end)) or text(found.get(end)) for end in ends]
            if all(said) or place == "valueRatio":
                return between.join(filter(None, said))
            return f"≥ {said[0]}" if said[0] else f"≤ {said[1]}" if said[1] else ""
    return ""


def _has_value(one: dict[str, Any]) -> bool:
    return any(place.startswith("value") for place in one)


def _normal(one: dict[str, Any]) -> dict[str, Any]:
    for place in dicts(one.get("referenceRange")):
        ends = {end: number(found.get("value")) for end in ("low", "high") if isinstance(found := place.get(end), dict)}
        if ends:
            return {"low": ends.get("low"), "high": ends.get("high")}
    return {}
