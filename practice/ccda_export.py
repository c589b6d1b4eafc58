"""Writes the record as a C-CDA document of level 2: a header that machines read, and coded sections of tables that people read.

It names the template of the US Realm header and no other: those of a whole Continuity of Care Document ask for coded entries
(level 3), which the FHIR export has.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from lxml import etree
from lxml.builder import ElementMaker

from practice.clinical_codes import CODE_OF, GENDERS, LOINC, OWN_COLUMNS, OWN_DOCUMENT, ROOT, SYSTEM_NAMES, system_of
from practice.documents import Section
from practice.exports import HEADS, Whole, facts_of, history_of, plain, recorded, source_of, split, uuid_of

MEDIA_TYPE = "application/xml"
HL7 = "urn:hl7-org:v3"
E = ElementMaker(namespace=HL7, nsmap={None: HL7})
NOT_SAID = {"nullFlavor": "NI"}
OTHER, UNKNOWN = {"nullFlavor": "OTH"}, {"nullFlavor": "UNK"}
Element = Any  # lxml comes without types


def written(whole: Whole) -> bytes:
    document = E.ClinicalDocument(*_header(whole), E.component(E.structuredBody(*_sections(whole))))
    made: bytes = etree.tostring(document, xml_declaration=True, encoding="UTF-8")
    return made


# ---- The header ----------------------------------------------------------------------------------


def _header(whole: Whole) -> Iterable[Element]:
    """In the order of the schema."""
    at = _time(whole.at)
    yield E.realmCode(code="US")
    yield E.typeId(root="2.16.840.1.113883.1.3", extension="POCD_HD000040")
    yield E.templateId(root="2.16.840.1.113883.10.20.22.1.1", extension="2015-08-01")
    yield E.id(root=OWN_DOCUMENT, extension=uuid_of("ccda", whole.key, at))
    yield E.code(code="34133-9", codeSystem=LOINC[0], displayName="Summarization of Episode Note")
    yield E.title(f"Medical record, {plain(whole.practice.name)}")
    yield E.effectiveTime(value=at)
    yield E.confidentialityCode(code="N", codeSystem="2.16.840.1.113883.5.25")
    yield E.languageCode(code="en-US")
    yield E.recordTarget(_patient(whole))
    yield E.author(
        E.time(value=at),
        E.assignedAuthor(
            E.id(root=uuid_of("practice")),
            *_places(whole.practice.address, [whole.practice.phone]),
            E.assignedAuthoringDevice(E.manufacturerModelName("Patient portal"), E.softwareName("Patient portal")),
        ),
    )
    yield E.custodian(E.assignedCustodian(E.representedCustodianOrganization(*_organization(whole))))
    yield E.documentationOf(E.serviceEvent(_span(whole), classCode="PCPR"))


def _organization(whole: Whole) -> list[Element]:
    practice = whole.practice
    telecom, address = _telecom(practice.phone), _address(practice.address)
    return [E.id(root=uuid_of("practice")), E.name(plain(practice.name)), telecom, address]


def _patient(whole: Whole) -> Element:
    account = whole.account
    contact, more = (split(whole, section)[0] for section in (Section.CONTACT, Section.DEMOGRAPHIC))
    said = {name: plain(values[0].value) if values else "" for name, values in more.items()}
    last, first = plain(account.last_name), plain(account.first_name)
    telecoms = [value.value for value in contact["Phone or e-mail"]]
    telecoms += [one for one in (account.phone, account.email) if one and one not in telecoms]
    code = {"O": "UN"}.get(letter := GENDERS.get(account.gender.upper(), ""), letter)
    ids = [E.id(root=uuid_of("patient", whole.key))]
    if account.record_number:
        ids.append(E.id(root=f"{ROOT}.3", extension=plain(account.record_number)))
    sex = {"code": code, "codeSystem": "2.16.840.1.113883.5.1", "displayName": account.gender} if code else UNKNOWN
    languages = [E.languageCommunication(E.languageCode(code=plain(one.value))) for one in more["Language"] if _is_code(one)]
    return E.patientRole(
        *ids,
        *([_address(value.value) for value in contact["Address"]] or [_address("")]),
        *([_telecom(one) for one in telecoms] or [_telecom("")]),
        E.patient(
            E.name(*([E.given(first)] if first else []), *([E.family(last)] if last else [])),
            E.administrativeGenderCode(sex),
            E.birthTime(value=f"{account.dob:%Y%m%d}"),
            *([_words("maritalStatusCode", said["Marital status"])] if said["Marital status"] else []),
            _words("raceCode", said["Race"]),
            _words("ethnicGroupCode", said["Ethnicity"]),
            *languages,
        ),
    )


def _is_code(value: Any) -> bool:
    """A language by its code; by its name it stands in the text alone."""
    return not any(letter.isspace() for letter in value.value)


def _words(name: str, said: str) -> Element:
    """A code of which only the words are known."""
    return E(name, E.originalText(said), OTHER) if said else E(name, UNKNOWN)


def _address(text: str) -> Element:
    return E.addr(plain(text)) if text else E.addr(NOT_SAID)


def _telecom(text: str) -> Element:
    scheme = "mailto" if "@" in text else "tel"
    return E.telecom(value=f"{scheme}:{plain(text)}") if text else E.telecom(NOT_SAID)


def _places(address: str, numbers: list[str]) -> list[Element]:
    return [_address(address), *map(_telecom, numbers)]


def _span(whole: Whole) -> Element:
    """From the first day of which the record says something until now."""
    days = [value.recorded_on for values in whole.record.sections.values() for value in values if value.recorded_on]
    low = E.low(value=min(days).strftime("%Y%m%d")) if days else E.low(UNKNOWN)
    return E.effectiveTime(low, E.high(value=_time(whole.at)))


def _time(at: datetime) -> str:
    return f"{at:%Y%m%d%H%M%S}+0000"


# ---- The sections --------------------------------------------------------------------------------


def _sections(whole: Whole) -> Iterable[Element]:
    for section in Section:
        values = split(whole, section)[1] + _without_place(whole, section)
        if values or section not in HEADS:
            yield E.component(_section(whole, section, values))
    rows = [[f"Request of {whole.day(asked.created_at)}", _listed(facts_of(whole, asked))] for asked in whole.amendments]
    text = _table(("Request", "What was asked, decided and said"), rows) if rows else E.paragraph("None recorded")
    code = E.code(code="corrections", codeSystem=ROOT)
    yield E.component(E.section(code, E.title("Requests for correction"), E.text(text)))


def _without_place(whole: Whole, section: Section) -> list[Any]:
    """What has a place in the header that cannot hold it, or not all that is to be said of it."""
    heads = split(whole, section)[0]
    told = [value for values in heads.values() for value in values if history_of(whole, value)]
    return told + [value for value in heads.get("Language", ()) if not _is_code(value) and value not in told]


def _section(whole: Whole, section: Section, values: list[Any]) -> Element:
    code = CODE_OF[section]
    system = LOINC[0] if code[0].isdigit() else ROOT
    text = _table(OWN_COLUMNS, [_row(whole, value) for value in values]) if values else E.paragraph("None recorded")
    more = {} if values else NOT_SAID
    return E.section(E.code(code=code, codeSystem=system), E.title(section.value), E.text(text), more)


def _row(whole: Whole, value: Any) -> list[Any]:
    ends = [f"{end:.10g}" if end is not None else "" for end in (value.low, value.high)]
    normal = f"{' to '.join(ends)} {value.unit}" if all(ends) else f"from {ends[0]}" if ends[0] else f"up to {ends[1]}"
    system = system_of(value.code_system)
    code = " ".join(part for part in (SYSTEM_NAMES.get(system, system), value.code) if part)
    return [
        value.name,
        value.value,
        recorded(value),
        normal if any(ends) else "",
        value.status,
        code if value.code else "",
        source_of(value),
        _listed(history_of(whole, value)),
        value.note,
    ]


def _listed(lines: Iterable[Any]) -> Any:
    items = [": ".join(line) if isinstance(line, tuple) else line for line in lines]
    return E.list(*map(E.item, items)) if items else ""


def _table(heads: tuple[str, ...], rows: list[list[Any]]) -> Element:
    cells = ([E.td(plain(cell) if isinstance(cell, str) else cell) for cell in row] for row in rows)
    return E.table(E.thead(E.tr(*map(E.th, heads))), E.tbody(*(E.tr(*row) for row in cells)))
