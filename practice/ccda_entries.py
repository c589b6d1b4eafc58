"""The entries of a C-CDA section, by the shape of what stands in it; and its narrative where it has none."""

import re
from collections.abc import Iterator
from datetime import date
from itertools import chain, islice
from typing import NamedTuple

from lxml import etree

from practice.ccda_words import Children, Names, child_text, first, text_of
from practice.clinical_codes import OWN_COLUMNS, SYSTEM_NAMES
from practice.documents import (
    ENTERED_IN_ERROR,
    ENTRIES_MAX,
    NOT_DONE,
    NOT_GIVEN,
    NOT_PRESENT,
    NOT_TAKEN,
    OF_RELATIVE,
    Entry,
    Section,
    Unread,
    day,
    measured,
    number,
    words,
)

STATEMENTS = ("observation", "act", "substanceAdministration", "supply", "procedure", "organizer", "encounter")
CONCERNS = (Section.ALLERGY, Section.PROBLEM)  # an act around each observation
_NOT_SO = {Section.IMMUNIZATION: NOT_GIVEN, Section.MEDICATION: NOT_TAKEN, Section.PROCEDURE: NOT_DONE}
_OWN_END = re.compile(r"(?:from ([-+\d.]+))?(?:up to ([-+\d.]+))?")
_RANGE = re.compile(r"\s*([-+]?[\d.]+)\s*(?:-|–|to)\s*([-+]?[\d.]+)")


class Around(NamedTuple):
    """What a statement has of itself and of what it stands in: each is looked at once, as an organizer may hold very much."""

    is_negated: bool = False
    reason: str = ""  # why it is no fact of the patient
    status: str = ""


class Statement(NamedTuple):
    element: "etree._Element"
    parts: Children
    around: Around


def entries_of(entry: "etree._Element", section: Section, names: Names) -> Iterator[Entry | Unread]:
    """What one entry says, each thing once, and what of it is no fact of the patient; none where it says nothing."""
    for top in _inside(entry):
        for statement in _single(top, section, Around()):
            if reason := statement.around.reason:
                yield Unread(section, names.path(statement.element), reason)
            elif made := _entry(statement, section, names):
                yield made


def is_of_relative(parts: Children) -> bool:
    return any(one.find("relatedSubject") is not None for one in parts["subject"])


def _with(element: "etree._Element", parts: Children, around: Around) -> Around:
    """A concern knows better how it stands than what it is about, which is completed once it is said."""
    state = parts.first("statusCode")
    status = words(state.get("code")) if state is not None else ""
    why_not = OF_RELATIVE if is_of_relative(parts) else ENTERED_IN_ERROR if status == "nullified" else ""
    is_negated = any(one is not None and one.get("negationInd") in ("true", "1") for one in (element, element.getparent()))
    return Around(around.is_negated or is_negated, around.reason or why_not, around.status or status)


def _inside(element: "etree._Element") -> Iterator["etree._Element"]:
    return (child for child in element if child.tag in STATEMENTS)


def _single(element: "etree._Element", section: Section, around: Around) -> Iterator[Statement]:
    """The statements of their own: of an organizer its parts, of a concern what it is about. libxml2 bounds the depth."""
    inner: list[etree._Element] = []
    parts = Children(element)
    around = _with(element, parts, around)
    if element.tag == "organizer":
        inner = [part for component in parts["component"] for part in _inside(component)]
        around = around._replace(status="")
    elif element.tag == "act" and section in CONCERNS:
        inner = [part for relation in parts["entryRelationship"] for part in relation.iterchildren("observation")]
    if not inner:
        yield Statement(element, parts, around)
    for part in inner:
        yield from _single(part, section, around)


def _entry(statement: Statement, section: Section, names: Names) -> Entry | None:
    element, parts, around = statement
    product = _product(parts)
    value = parts.first("value")
    shown, unit, amount = said = _value(value, names)
    codes = [parts.first("code")]
    if product is not None:
        codes = [product.find("code")]
        shown = _dose(parts, names)
    elif section is Section.ALLERGY:
        codes = [*_of_participants(parts, "code"), value, *codes]
        shown = ", ".join(_reactions(parts, names))
    elif section is Section.PROBLEM and value is not None:
        codes, shown = [value, *codes], ""
    elif section is Section.CARE_TEAM:
        return _member(statement, names)
    name, code, system = names.name(parts, codes)
    if not name or name == code:
        plain = [product.find("name")] if product is not None else _of_participants(parts, "name")
        name = first(*map(text_of, plain), name)
    if not any(letter.isalpha() for letter in name) and any(letter.isalpha() for letter in said[0]):
        name = said[0]
    if not any(letter.isalnum() for letter in name):
        return None
    if around.is_negated:
        shown = _NOT_SO.get(section, NOT_PRESENT)
    low, high = _normal(parts)
    recorded_on, recorded_text = _when(parts)
    return Entry(
        section,
        name,
        shown if shown != name else "",
        unit,
        amount,
        low,
        high,
        recorded_on,
        recorded_text,
        code,
        system,
        _own_status(parts) or around.status,
        names.path(element),
    )


def _product(parts: Children) -> "etree._Element | None":
    found = (one.find("manufacturedProduct/manufacturedMaterial") for one in (*parts["consumable"], *parts["product"]))
    return next((one for one in found if one is not None), None)


def _of_participants(parts: Children, tag: str) -> list["etree._Element"]:
    return [found for one in parts["participant"] for found in one.findall(f"participantRole/playingEntity/{tag}")]


_STATUS = "33999-4"  # LOINC
_STATUSES = {"55561003": "active", "73425007": "inactive", "413322009": "resolved", "421139008": "stopped"}  # SNOMED CT


def _own_status(parts: Children) -> str:
    for relation in parts["entryRelationship"]:
        for one in relation.iterchildren("observation"):
            code, value = one.find("code"), one.find("value")
            if code is not None and code.get("code") == _STATUS and value is not None and value.get("code") in _STATUSES:
                return _STATUSES[value.get("code")]
    return ""


def _value(value: "etree._Element | None", names: Names) -> tuple[str, str, float | None]:
    """As shown, with its unit and as a number where it is one."""
    if value is None or (value.get("nullFlavor") and not len(value)):
        return "", "", None
    unit = words(value.get("unit")).strip("{}") if value.get("unit") != "1" else ""
    if amount := words(value.get("value")):
        return f"{amount} {unit}".strip(), unit, number(amount)
    low, high = value.find("low"), value.find("high")
    if low is not None or high is not None:
        ends = [words(end.get("value")) if end is not None else "" for end in (low, high)]
        unit = first(*(words(end.get("unit")) for end in (low, high) if end is not None))
        text = " – ".join(ends) if all(ends) else f"≥ {ends[0]}" if ends[0] else f"≤ {ends[1]}" if ends[1] else ""
        return f"{text} {unit}".strip() if text else "", unit, None
    text = first(names.label(value), names.said(value))
    return text, "", number(text)


def _dose(parts: Children, names: Names) -> str:
    dose = _value(parts.first("doseQuantity"), names)[0]
    route = names.label(parts.first("routeCode"))
    period = next((p for time in parts["effectiveTime"] if (p := time.find("period")) is not None), None)
    every = _value(period, names)[0]
    return ", ".join(part for part in (dose, route, f"every {every}" if every else "") if part)


def _reactions(parts: Children, names: Names) -> Iterator[str]:
    for relation in parts["entryRelationship"]:
        if relation.get("typeCode") == "MFST" and (found := relation.find("observation/value")) is not None:
            yield names.label(found)


def _member(statement: Statement, names: Names) -> Entry | None:
    who = statement.element.find("performer/assignedEntity")
    name = child_text(who, "assignedPerson/name") if who is not None else ""
    if who is None or not name:
        return None
    role = first(names.label(who.find("code")), names.label(statement.element.find("performer/functionCode")))
    return Entry(Section.CARE_TEAM, name, role, path=names.path(statement.element))


def _normal(parts: Children) -> tuple[float | None, float | None]:
    for place in (one for reference in parts["referenceRange"] for one in reference.iterchildren("observationRange")):
        ends = [place.find("value/low"), place.find("value/high")]
        low, high = (number(end.get("value")) if end is not None else None for end in ends)
        if low is not None or high is not None:
            return low, high
        if said := _RANGE.match(child_text(place, "text")):
            return number(said[1]), number(said[2])
    return None, None


def _when(parts: Children) -> tuple[date | None, str]:
    for time in chain(parts["effectiveTime"], (time for author in parts["author"] for time in author.iterchildren("time"))):
        if text := words(time.get("value")):
            return day(text)
        inner = Children(time)
        ends = (inner.first(tag) for tag in ("low", "center", "high"))
        if text := first(*(words(end.get("value")) for end in ends if end is not None)):
            return day(text)
    return None, ""


# ---- The narrative -------------------------------------------------------------------------------


def narrative_of(section: "etree._Element", kind: Section, names: Names) -> list[Entry]:
    """Rows of its tables, else items of its lists, else its text as one entry under the section's title."""
    text = section.find("text")
    if text is None or section.get("nullFlavor"):
        return []
    items = (Entry(kind, one, path=names.path(item)) for item in text.iter("item") if (one := text_of(item)))
    found = list(islice(_rows(text, kind, names), ENTRIES_MAX + 1)) or list(islice(items, ENTRIES_MAX + 1))
    whole = text_of(text)
    return found or ([Entry(kind, child_text(section, "title") or kind, whole, path=names.path(text))] if whole else [])


def _rows(text: "etree._Element", kind: Section, names: Names) -> Iterator[Entry]:
    for table in text.iter("table"):
        heads = [text_of(cell) for cell in table.findall("thead/tr/th")]
        is_own = tuple(heads) == OWN_COLUMNS
        for row in chain(table.iterfind("tbody/tr"), table.iterfind("tr")):
            cells = [text_of(cell) for cell in row if cell.tag in ("td", "th")]
            if is_own and len(cells) == len(OWN_COLUMNS) and cells[0]:
                yield _own_row(dict(zip(OWN_COLUMNS, cells, strict=True)), kind, names.path(row))
            elif row.find("td") is not None and (said := [n for n, cell in enumerate(cells) if cell]):
                title: int = next((n for n in said if any(letter.isalpha() for letter in cells[n])), said[0])
                more = [f"{heads[n]}: {cells[n]}" if n < len(heads) and heads[n] else cells[n] for n in said if n != title]
                yield Entry(kind, cells[title], words(", ".join(more)), path=names.path(row))


def _own_row(said: dict[str, str], kind: Section, path: str) -> Entry:
    """Of a table as our own export writes it."""
    amount, unit = measured(said["Value"])
    normal = _RANGE.match(said["Normal range"]) or _OWN_END.match(said["Normal range"])
    low, high = map(number, normal.groups()) if normal else (None, None)
    recorded_on, recorded_text = day(said["Recorded"])
    name, _, code = said["Code"].rpartition(" ")
    system = next((system for system, called in SYSTEM_NAMES.items() if called == name), name)
    item, value, status = said["Item"], said["Value"], said["Status"]
    return Entry(kind, item, value, unit, amount, low, high, recorded_on, recorded_text, code, system, status, path)
