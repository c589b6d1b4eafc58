"""Load: fills a database for measurement with what years of normal use would leave, many rows at a time.

It plans threads as lists of steps, lets a small model of the verbs walk them (what routing.py and conversations.py would do
to a thread), and writes the rows they would leave, in the order of time: so ids, history, audit and its chain grow together.
Nothing is random but by the seed. tests/practice/test_load.py replays a small load through the verbs and compares every row.
A load that is stopped leaves a part: begin again with a new database.
"""

import base64
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, time, timedelta
from enum import IntEnum
from typing import Any

import sqlalchemy as sa

from practice import amendments, appointments, audit, demo, outbox, results
from practice.amendments import Amendment, AmendmentState
from practice.appointments import AppointmentRequest, AppointmentState, Wish
from practice.communicators import Audience, AudienceCommunicator, Communicator, CommunicatorFacility, eligible
from practice.conversations import _digest as digest_of
from practice.conversations import promised_by
from practice.coverage import save_communicator, set_staff_status
from practice.db import COMMAND, SYSTEM, WRITE, Actor, Audit, Model, clock_at, db, new_key, now, transaction
from practice.documents import Section
from practice.emergency import WORDS, emergency_words_in
from practice.numbers import Tally, What, place_of, slot_of
from practice.outbox import Notice, NoticeState, Occasion
from practice.people import (
    AccountStatus,
    Gender,
    Kind,
    NoticePreference,
    Patient,
    Person,
    Staff,
    active_admins,
    add_patient,
    add_staff,
    email_key,
    fold,
    full_name,
    hash_password,
    phone_key,
    title_key,
)
from practice.records import RecordValue
from practice.results import HandOver, Media, Order, ResultRequest, ResultState
from practice.settings import Facility, Practice, ReferringPhysician, RequestType, facilities, physicians, the_practice
from practice.threads import Delivery, Event, History, Message, ReadLog, Thread, ThreadState

SPAN = timedelta(days=3 * 365)  # how far back the oldest message lies
LONGEST = 5000  # messages of a thread
CHUNK = 20_000  # messages between two writes
STILL_OPEN = 0.05  # of the threads of a practice that has worked for years; a young one has at least
AT_LEAST_OPEN = 80  # open, or as many as more than half
RETIRED_AT = 0.9  # of the span: some communicators are switched off

STAFF = ("billing", "refills", "nutrition", "referrals", "imaging", "film", "privacy", "pediatrics", "north", "south", "float")
FACILITIES = ("Linden Street", "Oak Lane", "North Campus", "Harbor View", "Mill Road", "University Clinic", "West End", "Airport")
COMMUNICATORS: list[tuple[RequestType, str, str, tuple[int, ...]]] = [  # type, title, logins, facilities (none: all)
    (RequestType.APPOINTMENT, "Scheduler North", "north frontdesk", (2, 3)),
    (RequestType.APPOINTMENT, "Scheduler South", "south float", (1, 4)),
    (RequestType.APPOINTMENT, "Physiotherapy Desk", "therapist scheduler", (0, 4, 5)),
    (RequestType.APPOINTMENT, "Imaging Desk", "imaging reader", (5, 6)),
    (RequestType.RESULT, "Film Library", "film imaging", (0, 2, 5)),
    (RequestType.RESULT, "Report Desk", "reader media frontdesk", (1, 3)),
    (RequestType.RESULT, "Image Exchange", "imaging it", (6,)),
    (RequestType.OTHERS, "Billing", "billing float", ()),
    (RequestType.OTHERS, "Refills", "refills nurse frontdesk", ()),
    (RequestType.OTHERS, "Nutrition", "nutrition", ()),
    (RequestType.OTHERS, "Referrals", "referrals frontdesk float", ()),
    (RequestType.OTHERS, "Privacy Officer", "privacy records", ()),
    (RequestType.OTHERS, "Pediatrics", "pediatrics nurse", ()),
    (RequestType.OTHERS, "Physiotherapists", "therapist", ()),
    (RequestType.AMENDMENT, "Records Review", "records privacy", ()),
]
RETIRED: list[tuple[RequestType, str, str, tuple[int, ...]]] = [  # switched off on the way
    (RequestType.APPOINTMENT, "Old Scheduler", "south scheduler", (6, 7)),
    (RequestType.RESULT, "Microfilm", "film media", (7,)),
    (RequestType.OTHERS, "Nurse Line", "nurse pediatrics", ()),
]
_LAST = """
SMITH JOHNSON WILLIAMS BROWN JONES GARCIA MILLER DAVIS RODRIGUEZ MARTINEZ HERNANDEZ LOPEZ GONZALEZ WILSON ANDERSON THOMAS TAYLOR
MOORE JACKSON MARTIN LEE PEREZ THOMPSON WHITE HARRIS SANCHEZ CLARK RAMIREZ LEWIS ROBINSON WALKER YOUNG ALLEN KING WRIGHT SCOTT
TORRES NGUYEN HILL FLORES GREEN ADAMS NELSON BAKER HALL RIVERA CAMPBELL MITCHELL CARTER ROBERTS GOMEZ PHILLIPS EVANS TURNER DIAZ
PARKER CRUZ EDWARDS COLLINS REYES STEWART MORRIS MORALES MURPHY COOK ROGERS GUTIERREZ ORTIZ MORGAN COOPER PETERSON BAILEY REED
KELLY HOWARD RAMOS KIM COX WARD RICHARDSON WATSON BROOKS CHAVEZ WOOD JAMES BENNETT GRAY MENDOZA RUIZ HUGHES PRICE ALVAREZ CASTILLO
SANDERS PATEL MYERS LONG ROSS FOSTER JIMENEZ POWELL JENKINS PERRY RUSSELL SULLIVAN BELL COLEMAN BUTLER HENDERSON BARNES GONZALES
FISHER VASQUEZ SIMMONS ROMERO JORDAN PATTERSON ALEXANDER HAMILTON GRAHAM REYNOLDS GRIFFIN WALLACE MORENO WEST COLE HAYES BRYANT
HERRERA GIBSON ELLIS TRAN MEDINA AGUILAR STEVENS MURRAY FORD CASTRO MARSHALL OWENS HARRISON FERNANDEZ MCDONALD WOODS WASHINGTON
KENNEDY WELLS VARGAS HENRY CHEN FREEMAN WEBB TUCKER GUZMAN BURNS CRAWFORD OLSON SIMPSON PORTER HUNTER GORDON MENDEZ SILVA SHAW
SNYDER MASON DIXON MUÑOZ HUNT HICKS HOLMES PALMER WAGNER BLACK ROBERTSON BOYD ROSE STONE SALAZAR FOX WARREN MILLS MEYER RICE
SCHMIDT GARZA DANIELS FERGUSON NICHOLS STEPHENS SOTO WEAVER RYAN GARDNER PAYNE GRANT DUNN KELLEY SPENCER HAWKINS ARNOLD PIERCE
VAZQUEZ HANSEN PETERS SANTOS HART BRADLEY KNIGHT ELLIOTT CUNNINGHAM DUNCAN ARMSTRONG HUDSON CARROLL LANE RILEY ANDREWS ALVARADO
RAY DELGADO BERRY PERKINS HOFFMAN JOHNSTON MATTHEWS PEÑA RICHARDS CONTRERAS WILLIS CARPENTER LAWRENCE SANDOVAL GUERRERO GEORGE
CHAPMAN RIOS ESTRADA ORTEGA WATKINS GREENE NUÑEZ WHEELER VALDEZ HARPER BURKE LARSON SANTIAGO MALDONADO MORRISON FRANKLIN CARLSON
O'BRIEN VAN-DYK MÜLLER SØRENSEN ŁUKASZ D'ANGELO ŞAHIN ÅBERG ÉTIENNE KOVAČ
"""
_FIRST = """
MARY JAMES PATRICIA ROBERT JENNIFER JOHN LINDA MICHAEL ELIZABETH DAVID BARBARA WILLIAM SUSAN RICHARD JESSICA JOSEPH SARAH THOMAS
KAREN CHARLES LISA CHRISTOPHER NANCY DANIEL BETTY MATTHEW SANDRA ANTHONY MARGARET MARK ASHLEY DONALD KIMBERLY STEVEN EMILY ANDREW
DONNA PAUL MICHELLE JOSHUA CAROL KENNETH AMANDA KEVIN MELISSA BRIAN DEBORAH GEORGE STEPHANIE TIMOTHY REBECCA RONALD LAURA JASON
HELEN EDWARD SHARON JEFFREY CYNTHIA RYAN KATHLEEN JACOB AMY GARY ANGELA NICHOLAS SHIRLEY ERIC BRENDA JONATHAN EMMA STEPHEN ANNA
LARRY PAMELA JUSTIN NICOLE SCOTT SAMANTHA BRANDON KATHERINE BENJAMIN CHRISTINE SAMUEL ZOË RENÉ JOSÉ CHLOÉ ANAÏS JÜRGEN INÉS NOÉMIE
"""
LAST_NAMES, FIRST_NAMES = _LAST.split(), _FIRST.split()
RECORD = (
    (Section.VITALS, "Height", "165 cm"),
    (Section.VITALS, "Weight", "68.4 kg"),
    (Section.ALLERGY, "Medicine: Penicillin", "Hives, severe"),
)
RECORDED = 10  # one patient of so many has values in the record, and so may ask for an amendment
SENTENCES = [
    *(words for _, words, *_ in demo.OTHERS if not emergency_words_in([words], WORDS)),  # no thread it writes is marked
    *demo.THANKS,
    "I have read the leaflet you gave me, but one thing is not clear to me.",
    "The pharmacy says that they are still waiting for your answer.",
    "It is a little better than last week, though not yet good in the mornings.",
    "Please tell me as well whether I should come fasting.",
    "I can be reached by phone after five, or here at any time.",
]
REPLIES = [
    *(answer for answers in demo.ANSWERS.values() for answer in answers),
    "We have forwarded this to the right place and will write as soon as we know more.",
    "Please bring the list of your medicines and the letter of the hospital.",
    "If it gets worse, or you have a fever, please call us at once.",
]

Pairs = list[tuple[int, str]]


class Step(IntEnum):
    """What can come next in a thread's life: the verbs, and the patient's reading."""

    SEND = 0
    START = 1
    REPLY = 2
    ANSWER = 3
    RECEIVE = 4
    CLOSE = 5
    REMOVE = 6
    READ = 7


@dataclass(eq=False)
class _Communicator:
    """A communicator as routing asks about it: who is eligible, what it serves, and when it was switched off."""

    id: int
    key: str
    type: RequestType
    title: str
    order: tuple[str, int]
    members: tuple[int, ...]
    facilities: frozenset[int]
    off_at: datetime | None

    def receives(self, at: datetime) -> bool:
        return bool(self.members) and (self.off_at is None or at < self.off_at)


@dataclass
class _World:
    """The people and settings that stay as they are while threads come and go."""

    practice: Practice
    communicators: list[_Communicator]  # by id, as rule 2 names them
    facilities: Pairs
    physicians: Pairs
    admins: list[int]
    staff: dict[int, str]  # names
    own_patient: dict[int, int]
    patients: "list[_Patient]" = field(default_factory=list)
    recorded: "list[_Patient]" = field(default_factory=list)

    def named(self, kind: RequestType, facility: int | None, picked: _Communicator | None, at: datetime) -> list[_Communicator]:
        """Rules 2 and 3, as routing.named_for."""
        if kind == RequestType.OTHERS:
            return [picked] if picked else []
        of_type = [c for c in self.communicators if c.type == kind and c.receives(at)]
        serving = [c for c in of_type if facility is not None and (not c.facilities or facility in c.facilities)]
        return serving or of_type

    def recipients(self, has: Iterable[_Communicator], patient: int) -> list[int]:
        """Rule 4, as routing.recipients."""
        staff = {member for communicator in has for member in communicator.members}
        return sorted(s for s in staff if self.own_patient.get(s) != patient)


@dataclass(slots=True, eq=False)
class _Patient:
    id: int
    name: str
    values: list[tuple[int, str, str]] = field(default_factory=list)  # id, key, and what it says, of their record


@dataclass(slots=True, eq=False)
class _Thread:
    """A thread in the model. The first fields are planned, the rest is what its steps make of it."""

    steps: list[Step]
    at: list[int]  # microseconds since the beginning, one for each step
    patient: _Patient
    type: RequestType
    title: str
    facility: int | None  # place in the list of facilities
    picked: _Communicator | None  # by the patient, or from whom the practice wrote
    id: int = 0
    key: str = ""
    has: tuple[_Communicator, ...] = ()
    state: ThreadState = ThreadState.WAITING
    version: int = 0
    created_at: datetime | None = None
    unrouted_since: datetime | None = None
    last_patient: datetime | None = None
    last_staff: datetime | None = None
    is_unread: bool = False
    waiting_since: datetime | None = None
    closed_at: datetime | None = None
    removed_at: datetime | None = None
    read_at: datetime | None = None
    last_message: int = 0
    spoke: int | None = None  # the communicator of the last answer
    looked: tuple[int, frozenset[int]] = (0, frozenset())  # the hour, and who has looked in it

    def begin_again(self) -> None:
        self.has, self.version, self.last_patient, self.last_staff = (), 0, None, None
        self.unrouted_since = self.waiting_since = self.closed_at = self.removed_at = self.read_at = None
        self.is_unread = False

    @property
    def is_in_box(self) -> bool:
        return self.state != ThreadState.CLOSED and self.removed_at is None and self.last_patient is not None

    @property
    def audience(self) -> str:
        return ",".join(str(c.id) for c in self.has)


@dataclass(frozen=True)
class _Effect:
    """What a step did that leaves rows beside the thread's own."""

    new: tuple[_Communicator, ...] = ()
    received: bool = False
    tells: Occasion | None = None
    waited: datetime | None = None  # since when, for the answer that this is


# ---- The command ---------------------------------------------------------------------------------


def fill(*, patients: int | None, messages: int, seed: int, say: Callable[[str], None]) -> None:
    """Adds `messages` messages of the last three years, with all that belongs to them, to a migrated database.

    `patients`: how many are added; None: one for 20 messages. The same seed, database and time of day give the same rows.
    """
    count = patients if patients is not None else max(1, messages // 20)
    if count < 1 or messages < 0:
        raise ValueError("at least one patient, and no fewer than 0 messages")
    end = now()
    world = _set_up(end - SPAN)
    db.session.close()
    writer = _Writer(db.engines[WRITE])
    try:
        _add_patients(world, writer, count, random.Random(f"{seed} patients {writer.rows_of(Person)}"), end - SPAN)
        say(f"{count} patients")
        writer.write()
        begun = writer.rows_of(Thread)  # a second load with the same seed adds others
        threads = _plan(world, messages, random.Random(f"{seed} threads {begun}"), end - SPAN, end)
        _write_threads(world, writer, threads, random.Random(f"{seed} keys {begun}"), end - SPAN)
        say(f"{len(threads)} threads")
        trail = _Trail(world, writer, random.Random(f"{seed} words {begun}"), end)
        _live(trail, threads, end - SPAN, say)
        trail.sum_up()
        writer.finish()
    finally:
        writer.close()
    say("done")


# ---- People and communicators, by the verbs themselves -------------------------------------------


def _set_up(start: datetime) -> _World:
    """Staff, facilities and communicators: those of the demo practice, where they are not there already, and more."""
    with clock_at(start - timedelta(days=2)):
        hashed = hash_password(demo.PASSWORD)
        with transaction(by=COMMAND, did="set_up_load") as tx:
            known = set(tx.session.scalars(sa.select(Facility.name)))
            if not known:
                tx.session.execute(sa.update(Practice).values(meaningful_use=True))
            for name in FACILITIES:
                if name not in known:
                    tx.session.add(Facility(key=new_key(), name=name, address=f"1 {name}"))
            if not tx.session.scalar(sa.select(ReferringPhysician.id).limit(1)):
                tx.session.add_all(ReferringPhysician(key=new_key(), name=name) for name in ("MOREAU, CLAIRE", "STEIN, RUTH"))
        _add_staff(hashed)
        _add_communicators(start)
    while True:
        with transaction(by=SYSTEM, did="seal the audit") as tx:
            tx.is_silent = True
            if not audit.seal(tx.session):
                break
    return _world(start)


def _add_staff(hashed: str) -> None:
    known = set(db.session.scalars(sa.select(Staff.login)))
    for login, last, first, level, is_admin in (*demo.STAFF, *((s, "STAFF", s.upper(), "Staff", False) for s in STAFF)):
        if login in known:
            continue
        own = None
        if login == "float":  # a member of staff who is a patient too, and never sees their own threads
            email = "float.patient@load.example"
            dob, phone = date(1980, 1, 1), "(555) 010-0100"
            own = add_patient(
                last=last, first=first, email=email, dob=dob, gender=Gender.FEMALE, phone=phone, by=COMMAND, password_hash=hashed
            )
        add_staff(
            login=login,
            last=last,
            first=first,
            email=f"{login}@demo.example",
            level=level,
            is_admin=is_admin,
            own_patient=own,
            password_hash=hashed,
            by=COMMAND,
        )
        if login == "south":
            set_staff_status(_key_of("south"), AccountStatus.DISABLED, by=COMMAND)
    db.session.close()


def _key_of(login: str) -> str:
    return db.session.scalars(sa.select(Person.key).join(Staff, Staff.id == Person.id).where(Staff.login == login)).one()


def _add_communicators(start: datetime) -> None:
    known = {(kind, key) for kind, key in db.session.execute(sa.select(Communicator.type, Communicator.title_key))}
    places = {place.name: place.id for place in facilities()}
    demo_like = [(kind, title, " ".join(logins), in_use, text) for kind, title, logins, in_use, text in demo.COMMUNICATORS]
    more = [(kind, title, logins, True, "") for kind, title, logins, _ in COMMUNICATORS + RETIRED]
    serves = {title: serving for _, title, _, serving in COMMUNICATORS + RETIRED}
    retired = {title for _, title, _, _ in RETIRED}
    for kind, title, logins, is_in_use, help_line in demo_like + more:
        if (kind, title_key(title)) in known:
            continue
        staff = [_key_of(login) for login in logins.split()]
        words = {"kind": kind, "title": title, "staff": staff, "help": help_line, "by": COMMAND}
        key = save_communicator(None, is_in_use=is_in_use, **words)  # type: ignore[arg-type]
        with transaction(by=COMMAND, did="set_up_load", about=key) as tx:
            communicator = tx.session.scalars(sa.select(Communicator).where(Communicator.key == key)).one()
            for place in serves.get(title, ()):
                tx.session.add(CommunicatorFacility(communicator_id=communicator.id, facility_id=places[FACILITIES[place]]))
        if title in retired:
            with clock_at(start + SPAN * RETIRED_AT):
                save_communicator(key, is_in_use=False, version=communicator.version, **words)  # type: ignore[arg-type]


def _world(start: datetime) -> _World:
    """Everything routing would ask the database for, asked once."""
    session = db.session
    members: dict[int, list[int]] = {}
    for communicator, staff, _is_present in session.execute(eligible()):
        members.setdefault(communicator, []).append(staff)
    serving: dict[int, set[int]] = {}
    for communicator, facility in session.execute(
        sa.select(CommunicatorFacility.communicator_id, CommunicatorFacility.facility_id)
    ):
        serving.setdefault(communicator, set()).add(facility)
    retired = {(kind, title_key(title)) for kind, title, _, _ in RETIRED}
    communicators = [
        _Communicator(
            id=c.id,
            key=c.key,
            type=c.type,
            title=c.title,
            order=(c.title_key, c.id),
            members=tuple(sorted(members.get(c.id, ()))),
            facilities=frozenset(serving.get(c.id, ())),
            off_at=None if c.is_in_use else start + SPAN * RETIRED_AT if (c.type, c.title_key) in retired else datetime.min,
        )
        for c in session.scalars(sa.select(Communicator).order_by(Communicator.id))
    ]
    columns = Person.id, Person.last_name, Person.first_name, Staff.own_patient_id
    staff = session.execute(sa.select(*columns).join(Staff, Staff.id == Person.id)).all()
    return _World(
        practice=the_practice(),
        communicators=communicators,
        facilities=[(f.id, f.key) for f in facilities()],
        physicians=[(p.id, p.key) for p in physicians()],
        admins=active_admins(session()),
        staff={row.id: full_name(row.last_name, row.first_name) for row in staff},
        own_patient={row.id: row.own_patient_id for row in staff if row.own_patient_id},
        patients=[_Patient(r.own_patient_id, full_name(r.last_name, r.first_name)) for r in staff if r.own_patient_id],
    )


def _add_patients(world: _World, writer: "_Writer", count: int, chance: random.Random, start: datetime) -> None:
    """As people.add_patient would, one a millisecond; each tenth with some values in their record."""
    hashed = hash_password(demo.PASSWORD)
    at = start - timedelta(days=1)
    for n in range(count):
        at += timedelta(milliseconds=1)
        last, first, key = chance.choice(LAST_NAMES), chance.choice(FIRST_NAMES), _key(chance)
        stamp, person = writer.stamp(at), writer.take(Person)
        email = f"patient{person}@load.example"
        name_key = fold(f"{last} {first}")
        writer.add(
            Person,
            (person, key, Kind.PATIENT.value, AccountStatus.ACTIVE.value, email, email_key(email), hashed, last, first)
            + (name_key, stamp, fold(first)),
        )
        dob = writer.day(date(1930, 1, 1) + timedelta(days=chance.randrange(33_000)))
        gender = chance.choice(list(Gender)).value
        phone = f"(555) {chance.randrange(10**7):07}"
        writer.add(Patient, (person, dob, gender, phone, f"{10**7 + person:08}", NoticePreference.EACH.value, phone_key(phone)))
        writer.audit(_key(chance), COMMAND, "add_patient", key, person, at, stamp)
        patient = _Patient(person, full_name(last, first))
        world.patients.append(patient)
        if n % RECORDED == 0:
            for section, name, value in RECORD:
                row, value_key, recorded = writer.take(RecordValue), _key(chance), writer.day(start.date())
                writer.add(
                    RecordValue, (row, value_key, person, section.value, name, value, "", recorded, *NOT_YET, *OF_A_DOCUMENT)
                )
                patient.values.append((row, value_key, f"{section.value}, {name}, {value}"))
            world.recorded.append(patient)


# ---- The plan ------------------------------------------------------------------------------------


def _plan(world: _World, messages: int, chance: random.Random, start: datetime, end: datetime) -> list[_Thread]:
    """Threads of `messages` messages in all, in the order in which they begin."""
    lengths = list(_lengths(messages, chance))
    still_open = max(round(STILL_OPEN * len(lengths)), min(AT_LEAST_OPEN, round(0.6 * len(lengths))))
    is_open = set(chance.sample(range(len(lengths)), still_open))
    threads = [_planned(world, length, n in is_open, chance, start, end) for n, length in enumerate(lengths)]
    threads.sort(key=lambda thread: thread.at[0])
    return threads


def _lengths(messages: int, chance: random.Random) -> Iterator[int]:
    """How many messages the threads have: one very long, then mostly few, sometimes very many."""
    most = max(1, min(LONGEST, messages // 20))
    length = most
    while messages > 0:
        yield min(length, messages)
        messages -= length
        length = min(most, int(chance.paretovariate(1.3) + 0.5))


def _planned(world: _World, length: int, is_open: bool, chance: random.Random, start: datetime, end: datetime) -> _Thread:
    is_started = chance.random() < 0.06
    steps = _steps(length, is_open, is_started, chance)
    at = _times(len(steps), is_open, chance, end - start)
    begins = start + timedelta(microseconds=at[0])
    patient, facility, picked = chance.choice(world.patients), None, None
    kind = chance.choices(list(RequestType), (34, 16, 48, 2))[0]
    title = chance.choice(demo.OTHERS)[0]
    if is_started:
        writing = [c for c in world.communicators if c.receives(begins) and world.recipients([c], patient.id)]
        picked = chance.choice(writing)
        kind = picked.type
    elif kind == RequestType.AMENDMENT and world.practice.meaningful_use and world.recorded:
        patient, title = chance.choice(world.recorded), amendments.TITLE
    elif kind == RequestType.APPOINTMENT:
        facility, title = chance.randrange(len(world.facilities)), appointments.TITLE
    elif kind == RequestType.RESULT:
        facility, title = chance.choice((None, chance.randrange(len(world.facilities)))), results.TITLE
    else:
        kind = RequestType.OTHERS
        picked = chance.choice([c for c in world.communicators if c.type == kind and c.receives(begins)])
    return _Thread(steps, at, patient, kind, title, facility, picked)


def _steps(length: int, is_open: bool, is_started: bool, chance: random.Random) -> list[Step]:
    steps = [Step.START if is_started else Step.SEND]
    is_from_patient, random_ = not is_started, chance.random
    for _ in range(length - 1):
        if is_from_patient:
            if random_() < 0.25:
                steps.append(Step.RECEIVE)
            is_from_patient = random_() < 0.15
        else:
            if random_() < 0.9:
                steps.append(Step.READ)
            is_from_patient = random_() < 0.8
            if is_from_patient and random_() < 0.08:
                steps.append(Step.CLOSE)
        steps.append(Step.REPLY if is_from_patient else Step.ANSWER)
    if random_() < 0.4:
        steps.append(Step.RECEIVE if is_from_patient else Step.READ)
    if not is_open:
        steps.append(Step.CLOSE)
        if random_() < 0.1:
            steps.append(Step.REMOVE)
    return steps


def _times(count: int, is_open: bool, chance: random.Random, span: timedelta) -> list[int]:
    """When the steps happen: some hours between two, the last of an open thread in these weeks; none twice."""
    gaps = [60_000_000 + int(chance.expovariate(1 / 28_800_000_000)) for _ in range(count - 1)]
    whole = int(span.total_seconds() * 1e6) - 60_000_000
    last = whole - min(int(chance.expovariate(1 / 4) * 86_400e6), whole // 8) if is_open else int(whole * chance.uniform(0.01, 1))
    length = sum(gaps)
    if length > last:
        if length > 0.9 * whole:  # a very long one takes all the time there is
            last = max(last, int(whole * 0.98))
        gaps = [max(1, gap * last // length) for gap in gaps]
    times = [last]
    for gap in reversed(gaps):
        times.append(max(0, times[-1] - gap))
    times.reverse()
    for n in range(1, count):
        times[n] = max(times[n], times[n - 1] + 1)
    return times


# ---- The model: what the verbs make of a thread --------------------------------------------------


def _walk(world: _World, thread: _Thread, step: Step, at: datetime) -> _Effect | None:
    """One step. None: nothing happened (the patient had read it before)."""
    return _WALKS[step](world, thread, at)


def _waits(thread: _Thread, at: datetime) -> None:
    thread.state, thread.last_patient, thread.is_unread = ThreadState.WAITING, at, True
    thread.waiting_since = thread.waiting_since or at
    thread.closed_at = thread.removed_at = None


def _route(world: _World, thread: _Thread, at: datetime, picked: _Communicator | None) -> _Effect:
    """As routing.route."""
    if any(c.receives(at) for c in thread.has):
        thread.unrouted_since = None
        return _Effect(tells=Occasion.WAITING)
    facility = None if thread.facility is None else world.facilities[thread.facility][0]
    named = world.named(thread.type, facility, picked, at)
    if not named:
        thread.unrouted_since = thread.unrouted_since or at
        return _Effect(tells=Occasion.UNROUTED)
    thread.unrouted_since = None
    return _Effect(new=_give(thread, named), tells=Occasion.WAITING)


def _give(thread: _Thread, named: list[_Communicator]) -> tuple[_Communicator, ...]:
    had = thread.has
    thread.has = tuple(sorted({*had, *named}, key=lambda c: c.id))
    return tuple(c for c in thread.has if c not in had)


def _send(world: _World, thread: _Thread, at: datetime) -> _Effect:
    thread.created_at, thread.version = at, 2  # stored, then routed: each is a write of the row
    _waits(thread, at)
    return _route(world, thread, at, thread.picked)


def _start(_: _World, thread: _Thread, at: datetime) -> _Effect:
    thread.created_at, thread.version = at - timedelta(microseconds=1), 2
    thread.state, thread.last_staff = ThreadState.ANSWERED, at
    assert thread.picked
    return _Effect(new=_give(thread, [thread.picked]), tells=Occasion.ANSWERED)


def _reply(world: _World, thread: _Thread, at: datetime) -> _Effect:
    _waits(thread, at)
    before = thread.has, thread.unrouted_since
    effect = _route(world, thread, at, None)
    thread.version += 1 if before == (thread.has, thread.unrouted_since) else 2
    return effect


def _receive(thread: _Thread) -> bool:
    was = thread.is_unread
    thread.is_unread, thread.unrouted_since = False, None
    return was


def _answer(_: _World, thread: _Thread, at: datetime) -> _Effect:
    thread.version += 2 if thread.is_unread or thread.unrouted_since else 1
    received, waited = _receive(thread), thread.waiting_since
    thread.state, thread.last_staff = ThreadState.ANSWERED, at
    thread.waiting_since = thread.closed_at = thread.removed_at = None
    return _Effect(received=received, tells=Occasion.ANSWERED, waited=waited)


def _note(_: _World, thread: _Thread, at: datetime) -> _Effect:
    thread.version += 1
    return _Effect(received=_receive(thread))


def _close(_: _World, thread: _Thread, at: datetime) -> _Effect:
    thread.version += 1
    received = _receive(thread)
    thread.state, thread.waiting_since, thread.closed_at = ThreadState.CLOSED, None, at
    return _Effect(received=received)


def _remove(_: _World, thread: _Thread, at: datetime) -> _Effect:
    thread.version, thread.removed_at = thread.version + 1, at
    return _Effect()


def _read(_: _World, thread: _Thread, at: datetime) -> _Effect | None:
    if thread.last_staff and thread.last_staff > (thread.read_at or thread.created_at or at):
        thread.read_at = thread.last_staff
    return None


_WALKS: dict[Step, Callable[[_World, _Thread, datetime], _Effect | None]] = {
    Step.SEND: _send,
    Step.START: _start,
    Step.REPLY: _reply,
    Step.ANSWER: _answer,
    Step.RECEIVE: _note,
    Step.CLOSE: _close,
    Step.REMOVE: _remove,
    Step.READ: _read,
}


# ---- Writing what happened -----------------------------------------------------------------------


def _write_threads(world: _World, writer: "_Writer", threads: list[_Thread], chance: random.Random, start: datetime) -> None:
    """The threads as their last step leaves them, and the audiences with their numbers."""
    due: dict[tuple[bool, datetime], datetime] = {}
    counted: dict[str, Counter[str]] = {}
    stamp = writer.stamp_or_none
    for thread in threads:
        thread.id, thread.key = writer.take(Thread), _key(chance)
        for step, at in zip(thread.steps, thread.at, strict=True):
            _walk(world, thread, step, start + timedelta(microseconds=at))
            if step in (Step.SEND, Step.START, Step.REPLY):
                writer.know_audience(thread.audience, thread.has)
        due_at = None
        is_owed = thread.type == RequestType.AMENDMENT and thread.steps[0] == Step.SEND  # its decision, whatever is answered
        if since := thread.created_at if is_owed else thread.waiting_since:
            quarter = since.replace(minute=since.minute // 15 * 15, second=0, microsecond=0)
            # No time zone changes its day within one.
            which = thread.type == RequestType.AMENDMENT, quarter
            due_at = due.get(which) or due.setdefault(which, promised_by(world.practice, thread.type, quarter))
        told = stamp(due_at) if due_at and due_at < start + SPAN else None  # of a promise that is past
        counts = counted.setdefault(thread.audience, Counter())
        counts["unread"] += thread.is_unread
        counts["in_box"] += thread.is_in_box
        writer.add(
            Thread,
            (thread.id, thread.key, thread.patient.id, writer.audiences[thread.audience], stamp(thread.unrouted_since))
            + (thread.type.value, thread.title, thread.state.value)
            + (None if thread.facility is None else world.facilities[thread.facility][0], thread.version)
            + (stamp(thread.created_at), stamp(thread.last_patient), stamp(thread.last_staff), thread.is_unread, thread.is_in_box)
            + (stamp(thread.waiting_since), stamp(due_at), None, None, stamp(thread.closed_at))
            + (stamp(thread.removed_at), None, stamp(thread.read_at), False)
            + (None,) * 3  # nothing is being sent, no duplicate
            + (told, told, stamp(thread.read_at)),
        )
        thread.begin_again()
    writer.count(counted)
    writer.write()


def _live(trail: "_Trail", threads: list[_Thread], start: datetime, say: Callable[[str], None]) -> None:
    """All steps of all threads in the order of time, and what they leave."""
    events = sorted(
        at << 40 | n << 3 | step for n, thread in enumerate(threads) for step, at in zip(thread.steps, thread.at, strict=True)
    )
    written = 0
    for event in events:
        thread, step = threads[event >> 3 & (1 << 37) - 1], Step(event & 7)
        at = start + timedelta(microseconds=event >> 40)
        effect = _walk(trail.world, thread, step, at)
        if effect is not None:
            trail.leave(thread, step, at, effect)
            if step <= Step.ANSWER:
                written += 1
                if written % CHUNK == 0:
                    trail.writer.write()
                    if written % (5 * CHUNK) == 0:
                        say(f"{written} messages")
    trail.writer.write()


@dataclass
class _Trail:
    """The rows that the verbs leave beside the thread's own."""

    world: _World
    writer: "_Writer"
    chance: random.Random
    end: datetime
    sums: Counter[tuple[Any, ...]] = field(default_factory=Counter)  # by the columns of Tally that are alike
    due: dict[tuple[RequestType, date], datetime] = field(default_factory=dict)  # promises of a day

    def leave(self, thread: _Thread, step: Step, at: datetime, effect: _Effect) -> None:
        writer, stamp = self.writer, self.writer.stamp(at)
        if step in (Step.SEND, Step.REPLY):
            actor = Actor(thread.patient.id, thread.patient.name)
        else:
            has = (thread.picked,) if step == Step.START and thread.picked else thread.has
            staff = self.chance.choice(self.world.recipients(has, thread.patient.id))
            actor = Actor(staff, self.world.staff[staff])
            if step != Step.START:
                self._look(thread, staff, at, stamp)
        if effect.received:
            self._record(thread, stamp, actor, Event.RECEIVED, thread.last_message, "")
        if step <= Step.ANSWER:
            did = self._message(thread, step, at, stamp, actor)
        else:
            did = [{Step.RECEIVE: "receive", Step.CLOSE: "close", Step.REMOVE: "remove"}[step]]
            if step != Step.RECEIVE:
                event = Event.CLOSED if step == Step.CLOSE else Event.REMOVED
                self._record(thread, stamp, actor, event, None, "")
        for new in effect.new:
            writer.add(Delivery, (writer.take(Delivery), thread.id, new.id, new.title, stamp, None))
            words = json.dumps({"title": new.title}, ensure_ascii=False)
            self._record(thread, stamp, actor, Event.DELIVERED, thread.last_message, words)
        if step in (Step.SEND, Step.REPLY, Step.ANSWER):
            self._count(thread, step, at, effect)
        if effect.tells and at > self.end - outbox.KEPT:
            self._tell(thread, effect.tells, at)
        act = _key(self.chance)
        for one in did:
            writer.audit(act, actor, one, thread.key, thread.patient.id, at, stamp)

    def _record(self, thread: _Thread, stamp: Any, by: Actor, did: Event, up_to: int | None, words: str) -> None:
        writer = self.writer
        writer.add(History, (writer.take(History), thread.id, stamp, by.person, did.value, up_to, words))

    def _count(self, thread: _Thread, step: Step, at: datetime, effect: _Effect) -> None:
        """As practice/numbers.py, but summed up at once."""
        zone, kind = self.world.practice.time_zone, thread.type
        day, hour = place_of(at, zone)
        if step != Step.ANSWER:
            self.sums[What.RECEIVED, day, kind, None, hour] += 1
            reached: list[int | None] = [c.id for c in thread.has]
            for one in reached or [None]:
                self.sums[What.REACHED, day, kind, one, 0] += 1
        elif effect.waited:
            since = kind, place_of(effect.waited, zone)[0]
            due = self.due.get(since) or self.due.setdefault(since, promised_by(self.world.practice, kind, effect.waited))
            what = What.IN_TIME if at <= due else What.LATE
            self.sums[what, day, kind, thread.spoke, slot_of(at - effect.waited)] += 1

    def sum_up(self) -> None:
        """The sums of all days. Of the present one too: what comes next is added beside them."""
        writer, self.sums, sums = self.writer, Counter(), self.sums
        for (what, day, kind, communicator, slot), number in sums.items():
            row = (writer.take(Tally), what.value, writer.day(day), kind.value, communicator, slot, number, None)
            writer.add(Tally, row)
        writer.write()

    def _look(self, thread: _Thread, staff: int, at: datetime, stamp: Any) -> None:
        """Whoever acts has opened the thread: a line of the read log, one an hour."""
        hour = int((at - datetime(1970, 1, 1)).total_seconds() // 3600)
        before, who = thread.looked
        who = who if before == hour else frozenset()
        if staff not in who:
            thread.looked = hour, who | {staff}
            self.writer.add(ReadLog, (staff, thread.id, hour, stamp))

    def _tell(self, thread: _Thread, occasion: Occasion, at: datetime) -> None:
        """As outbox.tell, and then as the worker leaves a notice that was sent at once."""
        writer = self.writer
        people = self.world.admins
        if occasion == Occasion.WAITING:
            people = self.world.recipients(thread.has, thread.patient.id)
        elif occasion == Occasion.ANSWERED:
            people = [thread.patient.id]
        created, sent = writer.stamp(at), min(at + timedelta(milliseconds=300), self.end)
        for person in people:
            writer.add(
                Notice,
                (writer.take(Notice), _key(self.chance), occasion.value, person, None, None, thread.id, thread.last_message)
                + (NoticeState.SENT.value, 1, writer.stamp(sent + outbox.LEASE), created, writer.stamp(sent)),
            )

    def _message(self, thread: _Thread, step: Step, at: datetime, stamp: Any, actor: Actor) -> list[str]:
        """The message and what its form said; answers the verbs that were done."""
        chance, writer = self.chance, self.writer
        form_key, is_from_patient = _key(chance), step in (Step.SEND, Step.REPLY)
        body = " ".join(chance.choices(SENTENCES if is_from_patient else REPLIES, k=1 + int(3 * chance.random())))
        communicator, title, did = None, "", [step.name.lower()]
        request: tuple[type[Model], tuple[Any, ...]] | None = None
        if step == Step.SEND:
            if thread.type == RequestType.OTHERS:
                assert thread.picked
                title = thread.picked.title
                digest = digest_of(thread.type, thread.title, body, thread.picked.key, None)
            else:
                verb, body, fields, request = self._request(thread, at, body)
                did = [verb, "send"]
                digest = digest_of(thread.type, thread.title, body, None, fields)
        elif step == Step.REPLY:
            digest = digest_of(thread.key, body)
        else:
            behalf = thread.picked
            if step == Step.ANSWER or behalf is None:
                behalf = min((c for c in thread.has if actor.person in c.members), key=lambda c: c.order)
            communicator, title = behalf.id, behalf.title
            thread.spoke = communicator
            digest = digest_of(thread.key, body, behalf.key)
            if step == Step.START:
                digest = digest_of(self.writer.person_key(thread.patient.id), behalf.key, thread.title, body)
        thread.last_message = writer.take(Message)
        writer.add(
            Message,
            (thread.last_message, _key(chance), thread.id, actor.person, is_from_patient, communicator, title, body, stamp)
            + (form_key, digest),
        )
        if request:
            writer.add(*request)
        return did

    def _request(
        self, thread: _Thread, at: datetime, body: str
    ) -> tuple[str, str, dict[str, Any], tuple[type[Model], tuple[Any, ...]]]:
        """The verb, the message's text, what the form said, and the row of a typed request."""
        if thread.type == RequestType.APPOINTMENT:
            return self._appointment(thread, at)
        if thread.type == RequestType.RESULT:
            return self._result(thread, at, body)
        return self._amendment(thread, at, body)

    def _appointment(self, thread: _Thread, at: datetime) -> Any:
        chance, writer, physician = self.chance, self.writer, self.chance.choice(self.world.physicians)
        facility, key = self.world.facilities[thread.facility or 0]
        first = at.date() + timedelta(days=chance.randrange(2, 30))
        wish = Wish(
            facility=key,
            first_day=first,
            last_day=first + timedelta(days=chance.randrange(20)),
            reason=chance.choice(demo.REASONS),
            physician=physician[1],
            weekdays=tuple(sorted(chance.sample(range(5), chance.randrange(4)))),
            from_time=time(8 + chance.randrange(4)),
            to_time=time(13 + chance.randrange(4)),
            comments=chance.choice(("", "", "I need an entrance without steps.")),
        )
        row = (
            (thread.id, AppointmentState.REQUESTED.value, facility, physician[0], writer.day(wish.first_day))
            + (writer.day(wish.last_day), "".join(map(str, wish.weekdays)), writer.hour(wish.from_time))
            + (writer.hour(wish.to_time), wish.reason, wish.comments, *NOT_YET[:5])
        )
        return "request_appointment", wish.reason, asdict(wish), (AppointmentRequest, row)

    def _result(self, thread: _Thread, at: datetime, body: str) -> Any:
        chance, is_all = self.chance, self.chance.random() < 0.3
        place = None if thread.facility is None else self.world.facilities[thread.facility]
        order = Order(
            media=(Media.CD,) if place and chance.random() < 0.5 else (Media.REPORT, Media.WEB_LINK),
            hand_over=HandOver.PICK_UP if place else HandOver.SECURE_MESSAGE,
            is_all_studies=is_all,
            location=place[1] if place else None,
            exam_date=None if is_all else at.date() - timedelta(days=chance.randrange(1, 60)),
            comments=chance.choice(("", body)),
        )
        wants = (Media.REPORT in order.media, Media.CD in order.media, Media.WEB_LINK in order.media)
        row = (
            (thread.id, ResultState.REQUESTED.value, *wants, order.hand_over.value, place[0] if place else None, is_all)
            + (self.writer.day(order.exam_date) if order.exam_date else None, order.comments, *NOT_YET[:4])
        )  # fmt: skip
        return "request_result", order.comments or ", ".join(order.media), asdict(order), (ResultRequest, row)

    def _amendment(self, thread: _Thread, at: datetime, body: str) -> Any:
        value, key, says = self.chance.choice(thread.patient.values)
        to = self.chance.choice(("167 cm", "Stomach upset, not an allergy", "69 kg"))
        due_at = promised_by(self.world.practice, RequestType.AMENDMENT, at)
        row = (thread.id, AmendmentState.QUEUED.value, value, says, to, body, self.writer.stamp(due_at), *NOT_YET, *NOT_YET[:5])
        return "request_amendment", body, {"value": key, "to": to, "memo": body}, (Amendment, row)


NOT_YET = (None,) * 5  # what a request says from its next step on
OF_A_DOCUMENT = (None, "", "", None, "", None, None, "", "", "")  # what a value says that came with one


def _key(chance: random.Random) -> str:
    """As db.new_key, from the seed."""
    return base64.urlsafe_b64encode(chance.randbytes(16))[:22].decode()


# ---- Bulk ----------------------------------------------------------------------------------------

# In this order a row finds what it refers to.
TABLES: tuple[type[Model], ...] = (
    Person, Patient, RecordValue, Audience, AudienceCommunicator, Thread, Message, Delivery, History,
    AppointmentRequest, ResultRequest, Amendment, ReadLog, Notice, Audit, audit.AuditSeal, Tally,
)  # fmt: skip
NUMBERED: tuple[type[Model], ...] = (Person, RecordValue, Audience, Thread, Message, Delivery, History, Notice, Audit, Tally)


class _Writer:
    """Rows of all tables, gathered and written many at a time on one connection of its own. Columns in the model's order."""

    def __init__(self, engine: sa.Engine) -> None:
        self.is_sqlite = engine.dialect.name == "sqlite"
        self.held = engine.raw_connection()
        self.driver: Any = self.held.driver_connection
        if self.is_sqlite:
            self._run("PRAGMA synchronous=OFF", "PRAGMA cache_size=-400000", "BEGIN IMMEDIATE")
        else:
            self._run("SET statement_timeout=0", "SET idle_in_transaction_session_timeout=0")
        self.rows: dict[type[Model], list[tuple[Any, ...]]] = {table: [] for table in TABLES}
        self.next: dict[type[Model], int] = {
            table: self._one(f"SELECT coalesce(max(id), 0) + 1 FROM {table.__tablename__}") for table in NUMBERED
        }
        self.seal: tuple[int, str] = self._row("SELECT position, hash FROM audit_seal ORDER BY position DESC LIMIT 1") or (0, "")
        self.audiences = dict(self._all("SELECT key, id FROM audience"))
        self.person_keys: dict[int, str] = dict(self._all("SELECT id, key FROM person WHERE kind = 'patient'"))

    def _run(self, *statements: str) -> None:
        for statement in statements:
            self.driver.execute(statement)

    def _all(self, statement: str) -> list[Any]:
        return list(self.driver.execute(statement).fetchall())

    def _row(self, statement: str) -> Any:
        return self.driver.execute(statement).fetchone()

    def _one(self, statement: str) -> Any:
        return self._row(statement)[0]

    def rows_of(self, table: type[Model]) -> int:
        return int(self._one(f"SELECT count(*) FROM {table.__tablename__}"))

    def stamp(self, at: datetime) -> Any:
        """As the column keeps it: SQLite has no type for it, SQLAlchemy keeps it as text."""
        return at.isoformat(" ", "microseconds") if self.is_sqlite else at

    def stamp_or_none(self, at: datetime | None) -> Any:
        return None if at is None else self.stamp(at)

    def day(self, day: date) -> Any:
        return day.isoformat() if self.is_sqlite else day

    def hour(self, hour: time | None) -> Any:
        return hour.isoformat("microseconds") if hour and self.is_sqlite else hour

    def take(self, table: type[Model]) -> int:
        """The next id."""
        taken = self.next[table]
        self.next[table] = taken + 1
        return taken

    def add(self, table: type[Model], row: tuple[Any, ...]) -> None:
        self.rows[table].append(row)
        if table is Person:
            self.person_keys[row[0]] = row[1]

    def person_key(self, person: int) -> str:
        return self.person_keys[person]

    def audit(self, act: str, by: Actor, did: str, about: str, patient: int | None, at: datetime, stamp: Any) -> None:
        """The row of a verb, and its seal as the worker would set it."""
        number, (position, previous) = self.take(Audit), self.seal
        row = {
            "at": at,
            "act": act,
            "actor_id": by.person,
            "actor_name": by.name,
            "session_id": by.session,
            "did": did,
            "about": about,
            "patient_id": patient,
            "details": "",
        }
        self.seal = position + 1, audit.chain(previous, row)
        self.add(Audit, (number, stamp, act, by.person, by.name, by.session, did, about, patient, "", None))
        self.add(audit.AuditSeal, (position + 1, number, self.seal[1]))

    def know_audience(self, key: str, has: tuple[_Communicator, ...]) -> None:
        """Makes the audience when it is the first time, as routing.audience_of."""
        if key not in self.audiences:
            self.audiences[key] = self.take(Audience)
            self.add(Audience, (self.audiences[key], key, 0, 0, 0))
            for communicator in has:
                self.add(AudienceCommunicator, (self.audiences[key], communicator.id))

    def count(self, counted: dict[str, Counter[str]]) -> None:
        self.counts = [(c["unread"], c["in_box"], self.audiences[key]) for key, c in counted.items()]

    def write(self) -> None:
        for table, rows in self.rows.items():
            if rows:
                names = [column.name for column in table.__table__.columns]
                (self._insert if self.is_sqlite else self._copy)(table.__tablename__, names, rows)
                rows.clear()
        self.driver.commit()
        if self.is_sqlite:
            self._run("BEGIN IMMEDIATE")

    def _insert(self, table: str, names: list[str], rows: list[tuple[Any, ...]]) -> None:
        marks = ", ".join("?" * len(names))
        self.driver.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", rows)

    def _copy(self, table: str, names: list[str], rows: list[tuple[Any, ...]]) -> None:
        with self.driver.cursor() as cursor, cursor.copy(f"COPY {table} ({', '.join(names)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    def finish(self) -> None:
        """The audiences' numbers, the sequences, and what the planner wants to know."""
        mark = "?" if self.is_sqlite else "%s"
        update = f"UPDATE audience SET unread = unread + {mark}, in_box = in_box + {mark} WHERE id = {mark}"
        self.driver.cursor().executemany(update, self.counts)
        if not self.is_sqlite:
            for table, following in self.next.items():
                name = table.__tablename__
                self._run(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), {following}, false)")
        self.driver.commit()
        if self.is_sqlite:
            self._run("ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)")
        else:
            self.driver.autocommit = True
            self._run("VACUUM (ANALYZE)")

    def close(self) -> None:
        """The connection goes with its settings."""
        self.driver.rollback()
        self.held.invalidate()
