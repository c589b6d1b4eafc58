"""Writes the record as a FHIR R4 document: a bundle that begins with a composition of all sections, the values as resources.

Each value says its source (Provenance); what was corrected says its former versions there. Requests for correction are written
as the HL7 guide for them has it (Patient Request for Corrections, STU 1). What is not known is not made up: a state that FHIR
does not know is left out, or "unknown" where one has to stand.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

from practice.amendments import AmendmentState as S
from practice.clinical_codes import CODE_OF, LOINC, OWN_DOCUMENT, OWN_RECORDED, OWN_VALUE, ROOT
from practice.documents import NEGATED, Kind, Section
from practice.exports import Whole, day, facts_of, history_of, plain, recorded, source_of, split, uuid_of
from practice.fhir_shapes import MEASURED, OF_PATIENT, TERMS, WITH_NOTES, Resource, filled, narrative, shape_of, when

MEDIA_TYPE = "application/fhir+json"

OWN = f"urn:oid:{ROOT}"
V3 = f"{TERMS}/v3"
FROM, TO = f"{OWN}.1", f"{OWN}.2"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core"
CORRECTIONS = "http://hl7.org/fhir/uv/patient-corrections"


def written(whole: Whole) -> bytes:
    return json.dumps(bundle_of(whole), ensure_ascii=False, separators=(",", ":")).encode()


def bundle_of(whole: Whole) -> Resource:
    writer = _Writer(whole)
    resources = [writer.composition(), writer.patient, writer.practice, *writer.resources]
    return {
        "resourceType": "Bundle",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": _urn("bundle", whole.key, _instant(whole.at))},
        "type": "document",
        "timestamp": _instant(whole.at),
        "entry": [{"fullUrl": f"urn:uuid:{one['id']}", "resource": one} for one in resources],
    }


class _Writer:
    """Makes the resources of one record; `listed`: which of them each section of the composition names."""

    def __init__(self, whole: Whole) -> None:
        self.whole = whole
        self.resources: list[Resource] = []
        self.listed: dict[Section, list[Resource]] = {section: [] for section in Section}
        self.of_value: dict[int, Resource] = {}
        self.practice = _practice(whole.practice)
        self.me, self.we = {"reference": _urn("patient", whole.key)}, {"reference": f"urn:uuid:{self.practice['id']}"}
        self.patient = self._patient()
        for section in Section:
            others = split(whole, section)[1]
            for value in others if section is not Section.CARE_TEAM else ():
                self._add(section, self._resource(section, value), value)
        if team := whole.record.sections[Section.CARE_TEAM]:
            self._add(Section.CARE_TEAM, self._team(team), *team)
        self.corrections = [one for asked in whole.amendments for one in self._correction(asked)]
        self.references = {one.key: self._reference(one) for one in whole.documents}
        self.resources += [*self.corrections, *self.references.values(), *self._sources(), *self._versions()]

    def _add(self, section: Section, resource: Resource, *values: Any) -> None:
        self.resources.append(resource)
        self.listed[section].append(resource)
        self.of_value |= {value.id: resource for value in values}

    def _refer(self, resource: Resource) -> dict[str, str]:
        return {"reference": f"urn:uuid:{resource['id']}"}

    # ---- The patient and the practice

    def _patient(self) -> Resource:
        whole, account = self.whole, self.whole.account
        who, contact, more = (split(whole, one)[0] for one in (Section.PATIENT, Section.CONTACT, Section.DEMOGRAPHIC))
        for value in (value for heads in (who, contact, more) for values in heads.values() for value in values):
            self.of_value[value.id] = {"resourceType": "Patient", "id": uuid_of("patient", whole.key)}
        telecoms = [value.value for value in contact["Phone or e-mail"]]
        telecoms += [one for one in (account.phone, account.email) if one and one not in telecoms]
        return filled(
            {
                "resourceType": "Patient",
                "id": uuid_of("patient", whole.key),
                "extension": [
                    {"url": f"{US_CORE}-{kind}", "extension": [{"url": "text", "valueString": plain(value.value)}]}
                    for kind, head in (("race", "Race"), ("ethnicity", "Ethnicity"))
                    for value in more[head]
                ],
                "identifier": [
                    {
                        "type": {"coding": [{"system": f"{TERMS}/v2-0203", "code": "MR"}]},
                        "value": account.record_number,
                        "assigner": {"display": plain(whole.practice.name)},
                    }
                ]
                if account.record_number
                else [],
                "name": [{"use": "official"} | _name(account.last_name, account.first_name)],
                "telecom": [{"system": "email" if "@" in one else "phone", "value": plain(one)} for one in telecoms],
                "gender": account.gender,
                "birthDate": day(account.dob),
                "address": [{"text": plain(value.value)} for value in contact["Address"]],
                "maritalStatus": next(({"text": plain(value.value)} for value in more["Marital status"]), None),
                "communication": [{"language": {"text": plain(value.value)}} for value in more["Language"]],
            }
        )

    # ---- Values

    def _resource(self, section: Section, value: Any) -> Resource:
        made = shape_of(section, value)
        about = "patient" if made["resourceType"] in OF_PATIENT else "subject"
        whose = {} if made["resourceType"] == "Practitioner" else {about: self.me}
        return filled(
            {"resourceType": made["resourceType"], "id": uuid_of("value", value.key)}
            | ({"meta": {"source": _source(value)}} if value.document_key else {})
            | {"text": narrative(_said(self.whole, value)), "extension": self._extensions(value)}
            | whose
            | made
            | ({"note": [{"text": text} for text in self._notes(value)]} if made["resourceType"] in WITH_NOTES else {})
        )

    def _extensions(self, value: Any) -> list[Resource]:
        """For who reads it again."""
        said = (OWN_VALUE, "" if _has_place(value) else value.value), (OWN_RECORDED, value.recorded_text)
        return [{"url": url, "valueString": plain(text)} for url, text in said if plain(text)]

    def _notes(self, value: Any) -> list[str]:
        """What stands in no other place of the resource."""
        day_said = value.recorded_on or when(value) or not value.recorded_text
        notes = [
            "" if _has_place(value) else value.value,
            value.note,
            "" if day_said else f"Recorded: {value.recorded_text}",
        ]
        return [plain(text) for text in notes if text] + history_of(self.whole, value)

    def _team(self, values: list[Any]) -> Resource:
        members = [
            {"role": [{"text": plain(value.value)}] if value.value else [], "member": {"display": plain(value.name)}}
            for value in values
        ]
        return filled(
            {
                "resourceType": "CareTeam",
                "id": uuid_of("team", self.whole.key),
                "text": narrative(*(_said(self.whole, value) for value in values)),
                "subject": self.me,
                "participant": [filled(member) for member in members],
                "note": [{"text": text} for value in values for text in history_of(self.whole, value)],
            }
        )

    # ---- Where values come from

    def _reference(self, document: Any) -> Resource:
        kind = "application/xml" if document.kind == Kind.CCDA else MEDIA_TYPE
        file = {"contentType": kind, "title": plain(document.name), "creation": day(document.made_on)}
        return filled(
            {
                "resourceType": "DocumentReference",
                "id": uuid_of("document", document.key),
                "status": "current",
                "subject": self.me,
                "date": _instant(document.saved_at),
                "author": [{"display": plain(document.maker)}] if document.maker else [],
                "description": plain(document.title or document.name),
                "content": [{"attachment": filled(file)}],
            }
        )

    def _sources(self) -> Iterator[Resource]:
        """Of the values that came with each document."""
        came: dict[str, list[Resource]] = {}
        for value in (value for values in self.whole.record.sections.values() for value in values):
            if value.document_key:
                came.setdefault(value.document_key, []).append(self.of_value[value.id])
        for one in self.whole.documents:
            targets = list({target["id"]: target for target in came.get(one.key, ())}.values())
            if not targets:
                continue
            yield {
                "resourceType": "Provenance",
                "id": uuid_of("source", one.key),
                "target": [self._refer(target) for target in targets],
                "recorded": _instant(one.saved_at),
                "agent": [
                    _agent("author", {"display": plain(one.maker) or "not said"}),
                    _agent("enterer", self.me if one.is_by_patient else self.we),
                ],
                "entity": [{"role": "source", "what": self._refer(self.references[one.key])}],
            }

    def _versions(self) -> Iterator[Resource]:
        threads = {asked.thread_id: asked.key for asked in self.whole.amendments}
        for value in (value for values in self.whole.record.sections.values() for value in values):
            former = self.whole.record.former.get(value.id)
            if not former:
                continue
            before = [self._resource(value.section, one) | {"id": f"before-{n}"} for n, one in enumerate(former, 1)]
            asked = [
                _urn("request", threads[one.amendment_thread_id])
                for one in (value, *former)
                if one.amendment_thread_id in threads
            ]
            yield {
                "resourceType": "Provenance",
                "id": uuid_of("correction", value.key),
                "contained": [{name: said for name, said in one.items() if name not in ("text", "meta")} for one in before],
                "target": [self._refer(self.of_value[value.id])],
                "recorded": _instant(value.corrected_at),
                "activity": {"coding": [{"system": f"{V3}-DataOperation", "code": "UPDATE"}]},
                "agent": [_agent("author", self.we), _agent("informant", self.me)],
                "entity": [
                    *({"role": "revision", "what": {"reference": f"#{one['id']}"}} for one in before),
                    *({"role": "source", "what": {"reference": urn}} for urn in asked),
                ],
            }

    # ---- Requests for correction

    def _correction(self, asked: Any) -> Iterator[Resource]:
        facts = dict(facts_of(self.whole, asked))
        request = self._message(asked, "request", self.me, self.we, asked.created_at, self._words(facts, "From", "To", "Memo"))
        request["payload"][0]["extension"] = [
            {"url": url, "valueString": text} for url, text in ((FROM, facts.get("From")), (TO, facts.get("To"))) if text
        ]
        request["meta"] = {"profile": [f"{CORRECTIONS}/StructureDefinition/patient-correction-communication"]}
        about = self.whole.about.get(asked.value_id)
        task = self._task(asked, "task", *_STATES[asked.state], asked.created_at, request)
        request["about"] = [self._refer(task), *([self._refer(self.of_value[about.id])] if about else [])]
        end = {"end": _instant(asked.due_at)}
        task |= {"restriction": {"period": end}} if asked.state in (S.QUEUED, S.IN_REVIEW, S.WAITING) else {}
        yield request
        yield task
        if asked.decided_at:
            decided = self._words(
                facts, "State", "The record now says", "What is denied", "Ground of the denial", "Reason of the denial"
            )
            answer = self._message(asked, "decision", self.we, self.me, asked.decided_at, decided, request)
            answer["about"] = [self._refer(task)]
            if asked.denied_because:
                task["statusReason"] = {"text": self._words(facts, "Ground of the denial", "Reason of the denial")}
            resolution = {"coding": [_correction_code("Output", "medRecCxReqResolution")]}
            task["output"] = [{"type": resolution, "valueReference": self._refer(answer)}]
            yield answer
        if asked.disagreement:
            yield from self._disagreement(asked, request, task, facts)

    def _disagreement(self, asked: Any, request: Resource, task: Resource, facts: dict[str, str]) -> Iterator[Resource]:
        said = self._message(asked, "disagreement", self.me, self.we, asked.disagreed_at, plain(asked.disagreement), request)
        state = ("completed", "completed" if asked.rebuttal else "disagreement-logged")
        logged = self._task(asked, "disagreement-task", *state, asked.disagreed_at, said)
        logged["reasonReference"], said["about"] = self._refer(task), [self._refer(logged)]
        yield said
        yield logged
        if asked.rebuttal:
            answer = self._message(asked, "rebuttal", self.we, self.me, asked.rebutted_at, plain(asked.rebuttal), request)
            yield answer | {"inResponseTo": [self._refer(said)], "about": [self._refer(logged)]}

    def _words(self, facts: dict[str, str], *names: str) -> str:
        return "\n".join(f"{name}: {facts[name]}" for name in names if name in facts)

    def _message(
        self, asked: Any, what: str, by: Any, to: Any, at: datetime, words: str, root: Resource | None = None
    ) -> Resource:
        kind = "medRecCxDenialDisagree" if what in ("disagreement", "rebuttal") else "medRecCxReq"
        thread = {"partOf": [self._refer(root)], "inResponseTo": [self._refer(root)]} if root else {}
        return {
            "resourceType": "Communication",
            "id": uuid_of(what, asked.key),
            **thread,
            "status": "completed",
            "category": [{"coding": [_correction_code("Communication", kind)]}],
            "subject": self.me,
            "sent": _instant(at),
            "recipient": [to],
            "sender": by,
            "payload": [{"contentString": words}],
        }

    def _task(self, asked: Any, what: str, status: str, business: str, at: datetime, said: Resource) -> Resource:
        kind = "medRecCxDenialDisagree" if what == "disagreement-task" else "medRecCxReq"
        return {
            "resourceType": "Task",
            "id": uuid_of(what, asked.key),
            "meta": {"profile": [f"{CORRECTIONS}/StructureDefinition/patient-correction-task"]},
            "status": status,
            "businessStatus": {"coding": [_correction_code("", business)]},
            "intent": "order",
            "code": {"coding": [_correction_code("Task", kind)]},
            "description": "Request for a correction of the record" if what == "task" else "Disagreement with a denial",
            "for": self.me,
            "authoredOn": _instant(at),
            "requester": self.me,
            "owner": self.we,
            "input": [{"type": {"coding": [_correction_code("Communication", kind)]}, "valueReference": self._refer(said)}],
        }

    # ---- The document

    def composition(self) -> Resource:
        whole = self.whole
        return {
            "resourceType": "Composition",
            "id": uuid_of("composition", whole.key, _instant(whole.at)),
            "identifier": {"system": f"urn:oid:{OWN_DOCUMENT}", "value": uuid_of("composition", whole.key, _instant(whole.at))},
            "status": "final",
            "type": {"coding": [{"system": LOINC[1], "code": "60591-5"}], "text": "Patient summary"},
            "subject": self.me,
            "date": _instant(whole.at),
            "author": [self.we],
            "title": f"Medical record, {plain(whole.practice.name)}",
            "custodian": self.we,
            "section": [*map(self._section, Section), self._requests(), self._brought()],
        }

    def _section(self, section: Section) -> Resource:
        """Its text has all values; its entries those that are resources of their own."""
        values = self.whole.record.sections[section]
        code = CODE_OF[section]
        coding = {"system": LOINC[1] if code[0].isdigit() else OWN, "code": code}
        text = narrative(*(_said(self.whole, value) for value in values) if values else ("None recorded",))
        entries = [self._refer(one) for one in self.listed[section]]
        return filled({"title": section.value, "code": {"coding": [coding]}, "text": text, "entry": entries})

    def _requests(self) -> Resource:
        lines = [", ".join(f"{name}: {said}" for name, said in facts_of(self.whole, asked)) for asked in self.whole.amendments]
        return self._own_section("Requests for correction", "corrections", lines, self.corrections)

    def _brought(self) -> Resource:
        lines = [", ".join(filter(None, (one.title or one.name, one.maker, day(one.made_on)))) for one in self.whole.documents]
        return self._own_section("Documents", "documents", [*map(plain, lines)], [*self.references.values()])

    def _own_section(self, title: str, code: str, lines: list[str], resources: list[Resource]) -> Resource:
        """One that the record's sections do not have."""
        coded = {"coding": [{"system": OWN, "code": code}]}
        text, entries = narrative(*lines or ["None recorded"]), [self._refer(one) for one in resources]
        return filled({"title": title, "code": coded, "text": text, "entry": entries})


# ---- Parts of it ---------------------------------------------------------------------------------

_SAFE = "/[]~@:*()'"  # what a path in a document may keep in an address
_STATES = {
    S.QUEUED: ("ready", "queued"),
    S.IN_REVIEW: ("in-progress", "in-review"),
    S.WAITING: ("in-progress", "waiting-for-information"),
    S.ACCEPTED: ("in-progress", "accepted"),
    S.PARTLY: ("in-progress", "partial-accept"),
    S.DENIED: ("completed", "denied"),
    S.COMPLETED: ("completed", "amendment-completed"),
    S.CANCELLED: ("cancelled", "requester-cancelled"),
}
"""Task.status and its businessStatus."""


def _correction_code(kind: str, code: str) -> Resource:
    name = f"PatientCorrection{kind}Types" if kind else "PatientCorrectionBusinessStatus"
    return {"system": f"{CORRECTIONS}/CodeSystem/{name}", "code": code}


def _agent(kind: str, who: Resource) -> Resource:
    system = f"{TERMS}/provenance-participant-type"
    return {"type": {"coding": [{"system": system, "code": kind}]}, "who": who}


def _has_place(value: Any) -> bool:
    """Whether the resource of a value says what the value is."""
    is_refuted = value.value in NEGATED and value.section in (Section.PROBLEM, Section.PROCEDURE, Section.IMMUNIZATION)
    return is_refuted or value.section in (*MEASURED, Section.ALLERGY, Section.MEDICATION)


def _practice(practice: Any) -> Resource:
    return filled(
        {
            "resourceType": "Organization",
            "id": uuid_of("practice"),
            "name": plain(practice.name),
            "telecom": [{"system": "phone", "value": plain(practice.phone)}] if practice.phone else [],
            "address": [{"text": plain(practice.address)}] if practice.address else [],
        }
    )


def _said(whole: Whole, value: Any) -> str:
    """A value in words, with all that is known of it."""
    parts = [value.name, value.value, recorded(value), value.note, value.status, source_of(value), *history_of(whole, value)]
    return "; ".join(plain(part) for part in parts if part)


def _source(value: Any) -> str:
    """The document that it came from, and where in it."""
    return f"{_urn('document', value.document_key)}#{quote(value.path, safe=_SAFE)}"


def _name(last: str, first: str) -> Resource:
    return filled({"family": plain(last), "given": [plain(first)] if first else []})


def _urn(*key: str) -> str:
    return f"urn:uuid:{uuid_of(*key)}"


def _instant(at: datetime | None) -> str:
    return f"{at.isoformat(timespec='milliseconds')}Z" if at else ""
