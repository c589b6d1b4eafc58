"""Reads FHIR R4 as plain dicts, and what is near it: a bundle, one resource, a list of them, or one a line (NDJSON).

Nothing is validated: what has another shape than expected is passed over, never a reason to refuse the rest.
"""

import json
from collections.abc import Iterator
from typing import Any

from practice.clinical_codes import GENDERS, OWN_DOCUMENT
from practice.documents import (
    UNKNOWN_GENDER,
    Document,
    Entry,
    Kind,
    Note,
    Patient,
    Section,
    Unread,
    Unreadable,
    day,
    in_sections,
    must_be_few,
    notes_on,
    short,
    words,
)
from practice.fhir_entries import Resources, dicts, entries_of, label, text
from practice.fhir_facts import Whose, why_unread

NOT_FHIR = "This JSON holds no FHIR resources."
MANY_PATIENTS = Note(
    "The file holds more than one patient. Only what is of one of them was read: of whom its summary names, else of the first."
)
HEADER = {"Patient", "Composition", "Organization", "Location", "Medication", "PractitionerRole", "Provenance", "Bundle"}
"""What other resources refer to; nothing of its own to show."""


def read(content: bytes) -> Document:
    """Raises Unreadable, saying why."""
    try:
        found = list(_resources(_load(content), ""))
    except RecursionError as error:
        raise Unreadable("This file is nested too deeply to be a medical document.") from error
    if not found:
        raise Unreadable(NOT_FHIR)
    resources, whose = Resources(found), Whose(found)
    notes = [MANY_PATIENTS] if whose.is_of_many else []
    patient = _patient(whose.person, notes)
    entries = _about(patient, whose.person, whose.path)
    unread: list[Unread] = []
    for url, where, one in found:
        kind = one["resourceType"]
        reason = "" if kind in HEADER else why_unread(url, one, whose)
        made = [] if reason else entries_of(one, where, resources)
        entries += made
        if not made and kind not in HEADER:
            unread.append(Unread(words(kind), where, reason))
        must_be_few(entries, unread)
    summary = next((one for _, _, one in found if one["resourceType"] == "Composition"), {})
    made_on = day(text(summary.get("date")) or text(found[0][2].get("timestamp")))[0]
    maker = _maker(summary, resources)
    number = summary.get("identifier")
    is_own = isinstance(number, dict) and number.get("system") == f"urn:oid:{OWN_DOCUMENT}"
    title = text(summary.get("title")) or label(summary.get("type"))
    return Document(
        Kind.FHIR,
        title,
        made_on,
        maker,
        patient,
        in_sections(entries),
        _together(unread),
        tuple(notes + notes_on(patient, entries)),
        is_own,
    )


def _together(unread: list[Unread]) -> tuple[Unread, ...]:
    """Of each kind, and of each reason, one with how many there are."""
    groups: dict[tuple[str, str], list[Unread]] = {}
    for one in unread:
        groups.setdefault((one.what, one.reason), []).append(one)
    return tuple(Unread(f"{what} ({len(of)})", of[0].path, reason) for (what, reason), of in sorted(groups.items()))


def _load(content: bytes) -> Any:
    try:
        said = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable("This file is not text in UTF-8.") from error
    try:
        return _json(said)
    except ValueError as error:
        try:  # one a line
            lines = [_json(line) for line in said.split("\n") if line.strip()]  # texts may hold other ends of lines
        except ValueError:
            lines = []
        if len(lines) < 2:
            raise Unreadable("This JSON is damaged, or only a part of it has arrived. Please upload it again.") from error
        return lines


def _json(text: str) -> Any:
    """Numbers keep the text they have: a float knows neither 1.90 nor 1e400."""
    return json.loads(text, parse_float=str, parse_constant=str)


def _resources(found: Any, path: str, url: str = "") -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Address, JSON Pointer and resource, out of bundles in bundles too."""
    if isinstance(found, list):
        for n, one in enumerate(found):
            yield from _resources(one, f"{path}/{n}")
    elif isinstance(found, dict) and isinstance(found.get("resourceType"), str):
        if found["resourceType"] == "Bundle":
            entries = found.get("entry")
            for n, one in enumerate(entries if isinstance(entries, list) else []):
                if isinstance(one, dict):
                    yield from _resources(one.get("resource"), f"{path}/entry/{n}/resource", text(one.get("fullUrl")))
        else:
            yield url, path, found


def _maker(summary: dict[str, Any], resources: Resources) -> str:
    for place in (summary.get("custodian"), summary.get("author")):
        for reference in dicts(place):
            one = resources.get(reference)
            if name := text(reference.get("display")) or (human(one.get("name")) if one else ""):
                return name
    return ""


# ---- The patient ---------------------------------------------------------------------------------


def human(names: Any) -> str:
    """A HumanName, or the plain name of an organization, in one piece."""
    if isinstance(names, str):
        return words(names)
    last, first, middle = _name(names)
    return " ".join(part for part in (first, middle, last) if part)


def _name(names: Any) -> tuple[str, str, str]:
    """Last, first and middle: the official name, else the first one."""
    there = sorted(dicts(names), key=lambda one: one.get("use") != "official")
    for one in there:
        family = one.get("family")  # a list in DSTU2
        last = " ".join(filter(None, map(text, family))) if isinstance(family, list) else text(family)
        said: Any = one.get("given")
        given = [part for part in map(text, said if isinstance(said, list) else [said]) if part]
        if last or given:
            return last, given[0] if given else "", " ".join(given[1:])
        if whole := text(one.get("text")):
            return whole, "", ""
    return "", "", ""


def _patient(person: dict[str, Any], notes: list[Note]) -> Patient:
    dob, dob_text = day(text(person.get("birthDate")))
    said = text(person.get("gender"))
    if said and said != "unknown" and said.upper() not in GENDERS:
        notes.append(Note(UNKNOWN_GENDER, {"code": short(said)}))
    ids = tuple(
        (text(one.get("system")), text(one.get("value"))) for one in dicts(person.get("identifier")) if text(one.get("value"))
    )
    return Patient(*_name(person.get("name")), dob, dob_text, GENDERS.get(said.upper(), ""), ids)


def _about(patient: Patient, person: dict[str, Any], path: str) -> list[Entry]:
    pairs = [
        (Section.PATIENT, "Last name", patient.last),
        (Section.PATIENT, "First name", " ".join(part for part in (patient.first, patient.middle) if part)),
        (Section.PATIENT, "Date of birth", patient.dob.isoformat() if patient.dob else patient.dob_text),
        (Section.PATIENT, "Gender", text(person.get("gender"))),
        *((Section.CONTACT, "Address", _address(one)) for one in dicts(person.get("address"))),
        *((Section.CONTACT, "Phone or e-mail", text(one.get("value"))) for one in dicts(person.get("telecom"))),
        (Section.DEMOGRAPHIC, "Marital status", label(person.get("maritalStatus"))),
        *((Section.DEMOGRAPHIC, "Language", label(one.get("language"))) for one in dicts(person.get("communication"))),
    ]
    for extension in dicts(person.get("extension")):
        for kind, name in (("us-core-race", "Race"), ("us-core-ethnicity", "Ethnicity")):
            if text(extension.get("url")).endswith(kind):
                said = [text(part.get("valueString")) for part in dicts(extension.get("extension")) if part.get("url") == "text"]
                pairs.append((Section.DEMOGRAPHIC, name, ", ".join(filter(None, said))))
    return [Entry(section, name, value, path=path) for section, name, value in pairs if value]


def _address(one: dict[str, Any]) -> str:
    line = one.get("line")
    lines: list[Any] = line if isinstance(line, list) else [line]
    parts = [*lines, one.get("city"), one.get("state"), one.get("postalCode"), one.get("country")]
    return ", ".join(filter(None, map(text, parts))) or text(one.get("text"))
