"""Which resources of a FHIR file are facts of its patient, and why the others are none."""

import re
from typing import Any

from practice.documents import CALLED_OFF, ENTERED_IN_ERROR, OTHER_PATIENT
from practice.fhir_entries import contained_of, dicts, states_of, text

Found = tuple[str, str, dict[str, Any]]  # address, JSON Pointer and resource

_OFF = {"cancelled", "revoked", "declined", "rejected"}
_OF_PEOPLE = re.compile(r"(?:^|/)(?:Patient|RelatedPerson|Group)/")


class Whose:
    """`person`: whom the file is of, the patient whom its Composition names, else the first; `is_of_many`: whether it holds
    others too.

    Without a patient, what is said of the first one named is read.
    """

    def __init__(self, found: list[Found]) -> None:
        patients = [item for item in found if item[2]["resourceType"] == "Patient"]
        meant = _meant(found)
        patients.sort(key=lambda item: [_names(*item).isdisjoint(names) for names in meant])
        inside = (part for _, _, one in found for part in dicts(one.get("contained")) if part.get("resourceType") == "Patient")
        self.path, self.person = patients[0][1:] if patients else ("", next(inside, {}))
        same = [item[2] is self.person or _is_copy(item[2], self.person) for item in patients]
        self.is_of_many = not all(same)
        ours = {name for item, is_same in zip(patients, same, strict=True) if is_same for name in _names(*item)}
        self._ours = ours - {name for item, is_same in zip(patients, same, strict=True) if not is_same for name in _names(*item)}
        self._has_address = not patients or any("://" in name for name in ours)
        self._numbers = {text(one.get("value")) for one in dicts(self.person.get("identifier"))}
        if not patients:
            targets = (self._name(reference, url) for url, _, one in found for reference in _about(one))
            self._ours = {next((name for name in targets if name and not name.startswith("#")), "")}

    def is_ours(self, url: str, one: dict[str, Any]) -> bool:
        """Whether a resource, which has the address `url`, is of the patient."""
        about = _about(one)
        if not about:
            return not self.is_of_many or one["resourceType"] == "Practitioner"
        inside = contained_of(one)
        return all(self._is(reference, url, inside) for reference in about)

    def _is(self, reference: dict[str, Any], url: str, inside: dict[str, dict[str, Any]]) -> bool:
        name = self._name(reference, url)
        if not name:
            return text(reference["identifier"].get("value")) in self._numbers
        if name.startswith("#"):
            there = inside.get(name, {})
            return there is self.person or _is_same(there, self.person)
        return name in self._ours

    def _name(self, reference: dict[str, Any], url: str) -> str:
        """What is referred to, as the patient's names are written: with its server where that is known of the patient."""
        name = text(reference.get("reference")).partition("/_history")[0]
        if "://" in name and not self._has_address:
            return "/".join(name.split("/")[-2:])
        if re.fullmatch(r"\w+/[^/]+", name) and self._has_address and (base := _SERVER.match(url)):
            return f"{base[1]}{name}"
        return name


_SERVER = re.compile(r"(https?://.*/)[A-Z]\w+/[^/]+")


def _about(one: dict[str, Any]) -> list[dict[str, Any]]:
    """Who it says it is of; what an observation looks at only where that is people: a child, a donor."""
    subjects = [reference for place in ("subject", "patient", "beneficiary") for reference in dicts(one.get(place))]
    focus = [reference for reference in dicts(one.get("focus")) if _OF_PEOPLE.search(text(reference.get("reference")))]
    return [one for one in subjects + focus if text(one.get("reference")) or isinstance(one.get("identifier"), dict)]


def _meant(found: list[Found]) -> tuple[set[str], set[str]]:
    """Whom the first Composition is about: as it says, and without the server, which comes after that."""
    summary = next((one for _, _, one in found if one["resourceType"] == "Composition"), {})
    said = {text(reference.get("reference")).partition("/_history")[0] for reference in dicts(summary.get("subject"))}
    return said, {"/".join(name.split("/")[-2:]) for name in said}


def _names(url: str, _path: str, one: dict[str, Any]) -> set[str]:
    number = text(one.get("id"))
    return {
        name for name in (url.partition("/_history")[0], number and f"Patient/{number}", number and f"urn:uuid:{number}") if name
    }


def _is_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """The same name and birth date, to the letter."""
    return all(one.get(place) and one.get(place) == other.get(place) for place in ("name", "birthDate"))


def _is_copy(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return _is_same(one, other) and one.get("id") == other.get("id")


def why_none(one: dict[str, Any]) -> str:
    """Why what a resource says is no fact; empty where it is one, if only that something was not done."""
    states = states_of(one)
    if "entered-in-error" in states:
        return ENTERED_IN_ERROR
    return CALLED_OFF if one.get("doNotPerform") is True or states & _OFF else ""


def why_unread(url: str, one: dict[str, Any], whose: Whose) -> str:
    return why_none(one) if whose.is_ours(url, one) else OTHER_PATIENT
