"""How things are called in a C-CDA document: by their code, or in the words of its narrative."""

from collections.abc import Iterator

from lxml import etree

from practice.clinical_codes import NAMES
from practice.documents import TEXT_MAX, words

_WITH_ID = etree.XPath("/descendant-or-self::*[@ID]")


def first(*texts: str) -> str:
    return next((text for text in texts if text), "")


def text_of(element: "etree._Element | None") -> str:
    """Not more than a value may have, however much there is."""
    if element is None:
        return ""
    parts, length = [], 0
    for text in element.itertext():
        if part := " ".join(str(text).split()):
            parts.append(part)
            if (length := length + len(part)) >= TEXT_MAX:
                break
    return words(" ".join(parts))


def child_text(element: "etree._Element", path: str) -> str:
    return text_of(element.find(path))


class Children(dict[str, list["etree._Element"]]):
    """The children of an element by their tag, looked at once: each search among them takes as long as that."""

    def __init__(self, element: "etree._Element") -> None:
        for child in element:
            self.setdefault(child.tag, []).append(child)

    def __missing__(self, tag: str) -> list["etree._Element"]:
        return []

    def first(self, tag: str) -> "etree._Element | None":
        return self[tag][0] if tag in self else None


class Names:
    """The names of one document."""

    def __init__(self, tree: "etree._ElementTree") -> None:
        self._narrative = {element.get("ID"): element for element in _WITH_ID(tree)}
        self._texts: dict[str, str] = {}
        self._paths: dict[etree._Element, str] = {}
        self._numbers: dict[etree._Element, int] = {}  # which one of its tag, among its brothers

    def path(self, element: "etree._Element") -> str:
        """As libxml2 says it; that counts all brothers for each one."""
        if element not in self._paths:
            above, step = element.getparent(), element.tag
            if above is not None and (number := self._number(element)):
                step = f"{step}[{number}]"
            self._paths[element] = f"{'' if above is None else self.path(above)}/{step}"
        return self._paths[element]

    def _number(self, element: "etree._Element") -> int:
        """Which one of its tag it is, from 1; 0: the only one. Counts back to a brother whose number is known."""
        number = 1
        for before in element.itersiblings(element.tag, preceding=True):
            if before in self._numbers:
                number += self._numbers[before]
                break
            number += 1
        if number == 1 and next(element.itersiblings(element.tag), None) is None:
            return 0
        self._numbers[element] = number
        return number

    def said(self, element: "etree._Element | None") -> str:
        """Text of its own, or the words in the narrative it refers to."""
        if element is None:
            return ""
        reference = next(element.iterchildren("reference"), None)
        target = (reference.get("value") or "").removeprefix("#") if reference is not None else ""
        if target not in self._texts:
            self._texts[target] = text_of(self._narrative.get(target))
        return first(self._texts[target], text_of(element))

    def label(self, code: "etree._Element | None") -> str:
        """What a coded element is called; the bare code where nobody says, empty where there is none."""
        return "" if code is None else next(filter(None, self._labels(code)), "")

    def _labels(self, code: "etree._Element") -> Iterator[str]:
        """The first one is enough nearly always."""
        yield words(code.get("displayName"))
        parts = Children(code)
        yield self.said(parts.first("originalText"))
        others = parts["translation"]
        yield from (words(other.get("displayName")) for other in others)
        yield from (self.said(other.find("originalText")) for other in others)
        yield from (NAMES.get(one.get("code") or "", "") for one in (code, *others))
        yield from (words(one.get("code")) for one in (code, *others))

    def name(self, entry: Children, codes: "list[etree._Element | None]") -> tuple[str, str, str]:
        """Name, code and system of an entry: the first of `codes` with words, else the text of the entry."""
        there = [
            code for code in codes if code is not None and code.get("code") != "ASSERTION"
        ]  # "this is so": of what, the value says
        coded = next(((one.get("code") or "", one.get("codeSystem") or "") for one in there if one.get("code")), ("", ""))
        labels = [self.label(code) for code in there]
        readable = (label for label in labels if any(letter.isalpha() for letter in label))
        return first(*readable, self.said(entry.first("text")), *labels), *coded
