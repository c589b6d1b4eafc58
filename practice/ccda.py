"""Reads C-CDA (HL7 CDA R2): header, and sections by their LOINC code, whatever templates and prefixes they name."""

import re
from itertools import islice

from lxml import etree

from practice.ccda_entries import entries_of, is_of_relative, narrative_of
from practice.ccda_words import Children, Names, child_text, first
from practice.clinical_codes import DOCUMENT_TYPES, GENDERS, NAMES, OWN_DOCUMENT, SECTIONS
from practice.documents import (
    ENTRIES_MAX,
    OF_RELATIVE,
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

REPAIRED = Note(
    "The file is not well-formed XML. What could be read was read; something may be missing: compare with the original."
)
UNKNOWN_KIND = "The document says a kind that is not known (%(code)s). It was read like a summary of care."
NO_SECTIONS = Note("The document has no sections that can be read: its content is an embedded file (%(type)s).")

_SAFE = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
}
_HL7 = (b'xmlns="urn:hl7-org:v3"', b"xmlns='urn:hl7-org:v3'")
_WITH_NAMESPACE = etree.XPath("descendant-or-self::*[namespace-uri()]")
_PROLOG = re.compile(rb"\A(?:\xef\xbb\xbf)?(?:\s++|<\?.*?\?>|<!--.*?-->)*+", re.DOTALL)
_END = re.compile(rb"</(?:[\w.-]+:)?ClinicalDocument\s*>\s*+(?:<!--(?>.*?-->)\s*+)*+\Z", re.DOTALL)


def read(content: bytes) -> Document:
    """Raises Unreadable, saying why."""
    tree, is_repaired = _parse(content)
    root = tree.getroot()
    for element in _WITH_NAMESPACE(root):
        element.tag = element.tag.rpartition("}")[2]
    if root.tag != "ClinicalDocument":
        raise Unreadable("This XML is not a whole clinical document (C-CDA): it is something else, or only a part of one.")
    names = Names(tree)
    notes = [REPAIRED] if is_repaired else []
    patient, found = _header(root, names, notes)
    unread: list[Unread] = []
    for section in root.iter("section"):
        must_be_few(found, unread)
        _read_section(section, names, found, unread)
    must_be_few(found, unread)
    code = root.find("code")
    said = code.get("code", "") if code is not None else ""
    if said not in DOCUMENT_TYPES and not re.fullmatch(r"\d{1,7}-\d", said):
        notes.append(Note(UNKNOWN_KIND, {"code": short(words(said)) or "-"}))
    body = root.find("component/nonXMLBody/text")
    if body is not None:
        notes.append(Note(NO_SECTIONS.text, {"type": short(words(body.get("mediaType"))) or "-"}))
    title = child_text(root, "title") or DOCUMENT_TYPES.get(said, "")
    maker = first(
        child_text(root, "custodian/assignedCustodian/representedCustodianOrganization/name"),
        child_text(root, "author/assignedAuthor/representedOrganization/name"),
        child_text(root, "author/assignedAuthor/assignedAuthoringDevice/manufacturerModelName"),
    )
    is_own = _attribute(root, "id", "root") == OWN_DOCUMENT
    made_on = day(_attribute(root, "effectiveTime"))[0]
    return Document(
        Kind.CCDA,
        title,
        made_on,
        maker,
        patient,
        in_sections(found),
        tuple(unread),
        tuple(notes + notes_on(patient, found)),
        is_own,
    )


def _parse(content: bytes) -> tuple["etree._ElementTree", bool]:
    """The tree, and whether it had to be repaired."""
    plain = content.replace(b"\0", b"") if b"\0" in content[:4] else content  # UTF-16 and UTF-32 say ASCII with zeros between
    plain = plain.removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff")
    start = _PROLOG.match(plain)
    begins = plain[start.end() if start else 0 :][:200].lower()
    if begins.startswith((b"<!doctype html", b"<html")):
        raise Unreadable("This is a web page, not a medical document. Ask for the C-CDA or FHIR file itself.")
    if begins.startswith(b"<!doctype"):
        raise Unreadable("This XML declares a document type (DOCTYPE). Such files are not taken, for safety.")
    for declared in _HL7:  # here, where it is one step: taken from each element afterwards it is a fifth of the reading
        content = content.replace(declared, b" " * len(declared))
    is_repaired = False
    parser = etree.XMLParser(**_SAFE)
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        if _is_too_deep(error, parser):
            raise Unreadable("This file is nested too deeply to be a medical document.") from error
        if error.code == etree.ErrorTypes.ERR_UNSUPPORTED_ENCODING:
            raise Unreadable("This XML is in an encoding that is not known. Ask for it in UTF-8.") from error
        if b"ClinicalDocument" in plain and not _END.search(plain[-4096:]):
            raise Unreadable("This file ends too early: only a part of it has arrived. Please upload it again.") from error
        root, is_repaired = etree.fromstring(content, etree.XMLParser(recover=True, **_SAFE)), True
    except ValueError as error:
        raise Unreadable("This XML cannot be read.") from error
    if root is None:
        raise Unreadable("This XML cannot be read.")
    if root.getroottree().docinfo.internalDTD is not None:  # in an encoding that the first look could not see through
        raise Unreadable("This XML declares a document type (DOCTYPE). Such files are not taken, for safety.")
    return root.getroottree(), is_repaired


def _is_too_deep(error: etree.XMLSyntaxError, parser: etree.XMLParser) -> bool:
    """The parser's own log: that of the error remembers other files too."""
    return "depth" in str(error).lower() or any("depth" in entry.message.lower() for entry in parser.error_log)


def _read_section(section: "etree._Element", names: Names, found: list[Entry], unread: list[Unread]) -> None:
    """Adds its entries, or what stands in its text where it has none that can be used."""
    codes = [code.get("code", "") for code in section.findall("code") + section.findall("code/translation")]
    kind = next((SECTIONS[code] for code in codes if code in SECTIONS), None)
    entries = section.findall("entry")
    if kind is None:
        if entries or child_text(section, "text"):
            unread.append(Unread(child_text(section, "title") or names.label(section.find("code")) or "-", names.path(section)))
        return
    if any(is_of_relative(Children(one)) for one in (section, *section.iterancestors("section"))):
        unread.append(Unread(child_text(section, "title") or kind, names.path(section), OF_RELATIVE))
        return
    title, read, refused = child_text(section, "title") or kind, [], []
    for entry in entries:
        made = list(islice(entries_of(entry, kind, names), ENTRIES_MAX + 1))
        read += [one for one in made if isinstance(one, Entry)]
        refused += [Unread(title, one.path, one.reason) for one in made if isinstance(one, Unread)]
        if not made and entry.get("nullFlavor") is None and len(entry):
            unread.append(Unread(title, names.path(entry)))
        must_be_few(read, refused, unread)
    unread += refused
    found += read or ([] if refused else narrative_of(section, kind, names))  # its text says of those too


# ---- The header ----------------------------------------------------------------------------------


def _attribute(element: "etree._Element", path: str, name: str = "value") -> str:
    there = element.find(path)
    return words(there.get(name, "")) if there is not None else ""


def person_name(element: "etree._Element | None") -> tuple[str, str, str]:
    """Last, first and middle name, of the first name that says one; a name in one piece is the last name."""
    for name in element.findall("name") if element is not None else []:
        given = [words(part.text) for part in name.findall("given") if words(part.text)]
        family = " ".join(words(part.text) for part in name.findall("family") if words(part.text))
        if family or given:
            return family, given[0] if given else "", " ".join(given[1:])
        if whole := words("".join(name.itertext())):
            return whole, "", ""
    return "", "", ""


def _header(root: "etree._Element", names: Names, notes: list[Note]) -> tuple[Patient, list[Entry]]:
    role = root.find("recordTarget/patientRole")
    if role is None:
        raise Unreadable("This document does not say which patient it is of.")
    person = role.find("patient")
    person = role if person is None else person
    last, first_name, middle = person_name(person)
    dob, dob_text = day(_attribute(person, "birthTime"))
    gender = person.find("administrativeGenderCode")
    said = gender.get("code", "") if gender is not None else ""
    if said and said.upper() not in GENDERS:
        notes.append(Note(UNKNOWN_GENDER, {"code": short(words(said))}))
    ids = tuple((one.get("root", ""), one.get("extension", "")) for one in role.findall("id") if one.get("extension"))
    patient = Patient(last, first_name, middle, dob, dob_text, GENDERS.get(said.upper(), ""), ids)
    at = names.path(role)
    entries = [
        Entry(section, name, value, path=at)
        for section, name, value in (
            (Section.PATIENT, "Last name", last),
            (Section.PATIENT, "First name", " ".join(part for part in (first_name, middle) if part)),
            (Section.PATIENT, "Date of birth", dob.isoformat() if dob else dob_text),
            (Section.PATIENT, "Gender", patient.gender and (names.label(gender) or said)),
            *((Section.CONTACT, "Address", address(one)) for one in role.findall("addr")),
            *((Section.CONTACT, "Phone or e-mail", telecom(one)) for one in role.findall("telecom")),
            (Section.DEMOGRAPHIC, "Race", names.label(person.find("raceCode"))),
            (Section.DEMOGRAPHIC, "Ethnicity", names.label(person.find("ethnicGroupCode"))),
            (Section.DEMOGRAPHIC, "Marital status", names.label(person.find("maritalStatusCode"))),
            (Section.DEMOGRAPHIC, "Language", _attribute(person, "languageCommunication/languageCode", "code")),
        )
        if value
    ]
    return patient, entries + _providers(root, names)


def _providers(root: "etree._Element", names: Names) -> list[Entry]:
    """Who cares for the patient: most documents say it here and in no section."""
    found = []
    places = (
        (Section.PROVIDER, "author/assignedAuthor", "assignedPerson"),
        (Section.PROVIDER, "recordTarget/patientRole/providerOrganization", ""),
        (Section.CARE_TEAM, "documentationOf/serviceEvent/performer/assignedEntity", "assignedPerson"),
        (Section.CARE_TEAM, "componentOf/encompassingEncounter/responsibleParty/assignedEntity", "assignedPerson"),
    )
    seen = set()
    for section, path, inside in places:
        for who in root.findall(path):
            last, given, middle = person_name(who.find(inside) if inside else who)
            name = " ".join(part for part in (given, middle, last) if part) or child_text(who, "representedOrganization/name")
            if name and (section, name) not in seen:
                seen.add((section, name))
                what = names.label(who.find("code")) or NAMES.get(_attribute(who, "code", "code"), "")
                numbers = " ".join(text for text in map(telecom, who.findall("telecom")) if text)
                found.append(Entry(section, name, ", ".join(x for x in (what, numbers) if x), path=names.path(who)))
    return found


def address(element: "etree._Element") -> str:
    return ", ".join(text for part in element if (text := words(part.text))) or words(element.text)


def telecom(element: "etree._Element") -> str:
    return words(element.get("value", "")).removeprefix("tel:").removeprefix("mailto:").strip()
