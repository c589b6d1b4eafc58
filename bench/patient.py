"""The pages of a patient who has 5,000 messages among all the others' and a record of 2,000 values.

They are asked for as a browser asks: compressed.
"""

import html
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any

import sqlalchemy as sa

from bench.admin import missing
from bench.crowd import tidy
from bench.floor import WRITES
from bench.measure import RATIO, Figures, both_of, version_of
from bench.site import Answer, Asked, LoggedIn, Served, Site
from practice.appointments import AppointmentRequest, AppointmentState
from practice.db import WRITE, db, new_key, now
from practice.documents import Kind, Section
from practice.drafts import Draft
from practice.people import Person
from practice.records import RecordDocument, RecordValue
from practice.settings import RequestType
from practice.threads import PAGE, Message, Thread

HAS, DRAFTS, VALUES = 5_000, 200, 2_000
WARM, TIMES = 10, 200
WORDS = "pharmacy"  # what is searched for
AS_BROWSERS = {"Accept-Encoding": "gzip", "Sec-Fetch-Site": "same-origin"}
NUMBER = count(1)


@dataclass(frozen=True)
class Patient:
    """Whose pages are asked for: `threads` are the keys of some with three messages, `to` the key of a communicator."""

    who: LoggedIn
    threads: list[str]
    to: str


@dataclass(frozen=True)
class PatientPage:
    """`asked`: the product's requests, one after the other; one without a path goes where the one before led. `floors`: the
    floor's, beside its reading the same rows. `rows`: what the statements hold that bring what the page shows; `same`: the
    columns of these rows that must stand on the page word by word."""

    name: str
    asked: Callable[[Patient], list[Asked]]
    rows: tuple[str, ...] = ()
    same: tuple[str, ...] = ("key",)
    floors: Callable[[Patient, Asked], Asked] | None = None
    most: int = PAGE

    @property
    def is_read(self) -> bool:
        return bool(self.rows)


def _get(path: str) -> Callable[[Patient], list[Asked]]:
    return lambda patient: [Asked("GET", path.format(thread=patient.threads[0]), None, _headers(patient))]


def _post(patient: Patient, path: str, **form: str) -> Asked:
    return Asked("POST", path, {"csrf_token": patient.who.token, "key": new_key()} | form, _headers(patient))


def _headers(patient: Patient) -> dict[str, str]:
    return AS_BROWSERS | {"Cookie": patient.who.cookie}


def _search(patient: Patient) -> list[Asked]:
    return [_post(patient, "/messages/search", box="inbox", words=WORDS), Asked("GET", "", None, _headers(patient))]


def _send(patient: Patient) -> list[Asked]:
    words = {"title": "A question", "body": f"Question {next(NUMBER)}: may I come on Monday?"}
    return [_post(patient, "/messages/new", to=patient.to, **words)]


def _reply(patient: Patient) -> list[Asked]:
    number = next(NUMBER)
    key = patient.threads[1 + number % (len(patient.threads) - 1)]
    return [_post(patient, f"/messages/{key}/replies", body=f"Thank you {number}.")]


def _floor_keep(patient: Patient, asked: Asked) -> Asked:
    return Asked("POST", "/keep", {"key": new_key(), "person": patient.who.person, "words": WORDS}, {})


def _floor_send(patient: Patient, asked: Asked) -> Asked:
    said = {name: (asked.form or {})[name] for name in ("to", "title", "body")}
    return Asked("POST", "/submit", said | {"key": new_key(), "author": patient.who.person}, {})


def _floor_reply(patient: Patient, asked: Asked) -> Asked:
    said = {"thread": asked.path.split("/")[2], "body": (asked.form or {})["body"]}
    return Asked("POST", "/write-on", said | {"key": new_key(), "author": patient.who.person}, {})


IS_LIST = "AS communicator_title"
IS_RECORD, IS_SERIES, IS_DENIED = "AS place", "record_value.code, record_value.name", "FROM amendment JOIN"
PAGES = (
    PatientPage(
        "Home", _get("/"), (IS_LIST, "FROM draft", "AS last_id FROM thread", "FROM history", "FROM appointment_request"), ()
    ),
    PatientPage("Inbox", _get("/messages"), (IS_LIST,)),
    PatientPage("Sent", _get("/messages/sent"), (IS_LIST,)),
    PatientPage("Drafts", _get("/messages/drafts"), ("FROM draft",)),
    PatientPage(
        "Thread", _get("/messages/{thread}"), ("claimer", "SELECT message.id,", "SELECT history.id,", IS_LIST), ("body",), most=50
    ),
    PatientPage("My Appointments", _get("/appointments"), ("FROM appointment_request JOIN",), ()),
    PatientPage("My Results", _get("/results"), ("FROM result_request JOIN",), ()),
    PatientPage("My Info", _get("/my-info"), (IS_RECORD, IS_SERIES, IS_DENIED), most=200),
    PatientPage("Vital Signs", _get("/my-info/sections/vitals"), (IS_RECORD, IS_SERIES, IS_DENIED)),
    PatientPage("Search", _search, (IS_LIST, "message.body FROM", "thread.title FROM", "delivery.title FROM"), (), _floor_keep),
    PatientPage("Send", _send, floors=_floor_send),
    PatientPage("Reply", _reply, floors=_floor_reply),
)


@dataclass
class Heavy:
    """What was measured on one database."""

    kind: str
    version: str
    figures: dict[str, Figures] = field(default_factory=dict)
    statements: dict[str, int] = field(default_factory=dict)
    sql: dict[str, list[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def measure(site: Site, times: int = TIMES) -> Heavy:
    """All pages on one database, which is changed for it: nothing else is to be measured there afterwards."""
    result = Heavy(site.kind, version_of(site))
    few, patient = Patient(site.patients[0], [""], site.to), _gather(site)
    reads = [_reads(page, few, patient, site, result) for page in PAGES if page.is_read]
    told = [{"reads": brings, "most": PAGE, "is_form": False, "options": []} for brings in reads]
    for page in PAGES:
        if not page.is_read:
            result.statements[page.name] = len(site.statements_of(page.asked(patient)[0]))
            result.sql[page.name] = WRITES[page.name]
    site.serve_floor({}, told)
    for number, page in enumerate(PAGES):
        result.figures[page.name] = figures = Figures()
        for n in range(WARM + times):
            if not page.is_read and n % 25 == 0:
                _take_back_in_time(site, patient)
            asked = page.asked(patient)
            ours, seconds = _ask(site.product, asked)
            on_floor = [page.floors(patient, asked[0])] if page.floors else []
            on_floor += [Asked("GET", f"/rows/{number}", None, {})] if page.is_read else []
            floors, floor_seconds = _ask(site.floor, on_floor)
            if n == 0 and (wrong := _wrong(site, patient, page, asked, ours, floors)):
                result.problems.append(f"{site.kind}, a patient's {page.name}: {wrong}")
            if n >= WARM:
                figures.product.append(seconds)
                figures.floor.append(floor_seconds)
        if figures.ratio > RATIO:
            words = f"a patient's {page.name} takes {figures.ratio:.2f} times its floor, more than {RATIO:g}"
            result.problems.append(f"{site.kind}: {words}")
    return result


def _ask(served: Served, all_asked: list[Asked]) -> tuple[Answer, float]:
    """The last answer, and the seconds of all."""
    seconds, answer = 0.0, None
    for asked in all_asked:
        path = asked.path or (answer.location if answer else "")
        answer = both_of(served, Asked(asked.method, path, asked.form, asked.headers))
        seconds += answer.seconds
    assert answer
    return answer, seconds


def _wrong(site: Site, patient: Patient, page: PatientPage, asked: list[Asked], ours: Answer, floors: Answer) -> str:
    if page.is_read:
        lacking = missing(page, ours.body, floors.body)
        return f"not on the page: {lacking[:5]}" if lacking else ""
    body = (asked[0].form or {})["body"]
    shown = site.product.ask(Asked("GET", ours.location, None, _headers(patient))).body
    kept = site.floor.ask(Asked("GET", floors.location, None, {})).body
    return "" if body in html.unescape(shown) and body in html.unescape(kept) else "what was written is not found"


def _reads(page: PatientPage, few: Patient, patient: Patient, site: Site, result: Heavy) -> list[tuple[str, Any]]:
    """The statements that bring the page's rows; and how many it needs in all, the same for a patient who has little."""
    found = _statements(page, patient, site)
    result.statements[page.name] = len(found)
    if page.name != "Thread":  # they have none to open
        before = len(_statements(page, few, site))
        if before != len(found):
            result.problems.append(
                f"{site.kind}, a patient's {page.name}: {before} statements for one who has little, {len(found)}"
            )
    sent = [" ".join(statement.split()) for statement, _ in found]
    brings = [one for one, text in zip(found, sent, strict=True) if any(part in text for part in page.rows)]
    if lacking := [part for part in page.rows if not any(part in text for text in sent)]:
        raise SystemExit(f"bench: the statements of {page.name} have changed, {lacking} is not there:\n" + "\n".join(sent))
    result.sql[page.name] = [text for text in sent if any(part in text for part in page.rows)]
    return brings


def _statements(page: PatientPage, patient: Patient, site: Site) -> list[tuple[str, Any]]:
    *before, asked = page.asked(patient)
    if before:
        led = both_of(site.product, before[0]).location
        asked = Asked(asked.method, led, asked.form, asked.headers)
    site.statements_of(asked)  # the first look leaves marks that the second does not
    return site.statements_of(asked)


# ---- What is there -------------------------------------------------------------------------------


def _gather(site: Site) -> Patient:
    """Gives one patient threads of others until they have 5,000 messages. The bench may change messages; the product never."""
    with site.app.app_context(), db.engines[WRITE].begin() as connection:
        for statement in UNLOCK[site.kind]:
            connection.execute(sa.text(statement))
        person = connection.scalar(sa.select(sa.func.max(Person.id)).where(Person.email.like("patient%")))
        counted = sa.func.count(Message.id)
        sizes = sa.select(Thread.id, counted).join(Message, Message.thread_id == Thread.id).group_by(Thread.id, Thread.key)
        taken, messages = [], 0
        for thread, size in connection.execute(sizes.having(counted <= 20).order_by(Thread.key)):
            taken.append(thread)
            messages += size
            if messages >= HAS:
                break
        for n in range(0, len(taken), 500):
            some = taken[n : n + 500]
            connection.execute(sa.update(Thread).where(Thread.id.in_(some)).values(patient_id=person))
            theirs = Message.thread_id.in_(some), Message.is_from_patient
            connection.execute(sa.update(Message).where(*theirs).values(author_id=person))
        _confirm(connection, taken)
        _write_record(connection, person, VALUES)
        _write_record(connection, site.patients[0].person, 3 * len(Section))
        draft = {"author_id": person, "about": "/messages/new", "version": 1, "waits": False, "saved_at": now()}
        values = {"form_values": '{"title": ["A question"], "body": ["What I began to write"]}'}
        rows = [draft | {"key": new_key(), "saved_at": now() - timedelta(hours=n)} for n in range(DRAFTS)]
        connection.execute(sa.insert(Draft.__table__), [row | values for row in rows])
        three = sa.select(Thread.key).join(Message, Message.thread_id == Thread.id).group_by(Thread.key, Thread.type)
        mine = three.where(
            Thread.patient_id == person, Thread.last_staff_message_at.is_not(None), Thread.type == RequestType.OTHERS
        )
        keys = list(connection.scalars(mine.having(counted == 3).order_by(Thread.key).limit(200)))
    with site.app.app_context():
        tidy()
        who = site._log_in(db.session.get_one(Person, person))
        db.session.remove()
    return Patient(who, keys, site.to)


MEASURED = {
    Section.VITALS: (("Systolic", 128, "mmHg"), ("Diastolic", 82, "mmHg"), ("Weight", 68, "kg"), ("Heart rate", 71, "/min")),
    Section.LAB: (("Glucose", 98, "mg/dL"), ("Sodium", 140, "mmol/L"), ("Creatinine", 0.9, "mg/dL"), ("Hemoglobin", 13, "g/dL")),
}


def _write_record(connection: sa.Connection, person: int, values: int) -> None:
    """A third vital signs, a third lab results, the others in turn; from twenty documents, and one value was corrected."""
    at, today = now(), now().date()
    file = {"patient_id": person, "by_id": person, "is_by_patient": True, "kind": Kind.CCDA, "name": "summary.xml", "size": 1}
    file |= {"title": "Summary of care", "maker": "A practice", "at": at, "saved_at": at, "reason": ""}
    table = RecordDocument.__table__
    documents = [
        connection.execute(
            sa.insert(table).values(
                file | {"key": new_key(), "sha256": f"{person}-{n}", "stored_as": f"{person}-{n}", "made_on": today}
            )
        ).inserted_primary_key[0]
        for n in range(20)
    ]
    others = [section for section in Section if section not in MEASURED]
    rows = []
    for n in range(values):
        value = {"key": new_key(), "patient_id": person, "note": "", "document_id": documents[n % 20], "path": f"/entry[{n}]"}
        value |= {"recorded_on": today - timedelta(days=n), "recorded_text": "", "code": "", "unit": "", "number": None}
        section = (Section.VITALS, Section.LAB, others[n // 3 % len(others)])[n % 3]
        if section in MEASURED:
            name, about, unit = MEASURED[section][n // 3 % 4]
            number = round(about * (1 + n % 7 / 50), 1)
            value |= {"name": name, "value": f"{number} {unit}", "number": number, "unit": unit, "code": name.lower()}
        else:
            value |= {"name": f"Entry {n}", "value": "As the document says it"}
        rows.append(value | {"section": section})
    connection.execute(sa.insert(RecordValue.__table__), rows)
    first = sa.select(sa.func.min(RecordValue.id)).where(RecordValue.patient_id == person)
    root = connection.scalar(first)
    connection.execute(sa.update(RecordValue.__table__).where(RecordValue.id == root).values(superseded_at=at))
    again = rows[0] | {"key": new_key(), "root_id": root, "replaces_id": root, "corrected_at": at}
    connection.execute(sa.insert(RecordValue.__table__).values(again))


def _confirm(connection: sa.Connection, threads: list[int]) -> None:
    """Every other appointment: half of them past, half yet to come."""
    told = {"state": AppointmentState.CONFIRMED, "minutes": 30, "place": "Room 4", "changes": 0, "changed_at": now()}
    for n, thread in enumerate(threads[::2]):
        starts_at = now() + timedelta(days=n % 60 - 30, hours=1)
        theirs = AppointmentRequest.thread_id == thread
        connection.execute(sa.update(AppointmentRequest).where(theirs).values(told | {"starts_at": starts_at}))


def _take_back_in_time(site: Site, patient: Patient) -> None:
    """What was sent just now becomes older than the limit of sends looks back."""
    with site.app.app_context(), db.engines[WRITE].begin() as connection:
        late = Message.author_id == patient.who.person, Message.sent_at > now() - timedelta(days=1)
        connection.execute(sa.update(Message).where(*late).values(sent_at=now() - timedelta(days=2)))


UNLOCK = {
    "sqlite": ("DROP TRIGGER message_no_update",),
    "postgresql": ("ALTER TABLE message DISABLE TRIGGER message_no_change",),
}
