"""The demo practice: believable people and some sixty threads in every state, made by the verbs themselves, relative to now."""

import itertools
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, time, timedelta

import sqlalchemy as sa

from practice import amendments, conversations, jobs, results
from practice.amendments import request_amendment
from practice.appointments import Slot, Wish, confirm, request_appointment
from practice.canned_replies import add_canned_reply
from practice.communicators import Communicator
from practice.conversations import Sent
from practice.coverage import save_communicator
from practice.db import COMMAND, Actor, clock_at, db, new_key, now, transaction
from practice.documents import Section
from practice.lists import COLUMN_OF, have_terms
from practice.people import Gender, Person, Staff, add_patient, add_staff, hash_password
from practice.records import RecordValue
from practice.requests import Letter
from practice.results import HandOver, Media, Order, request_result
from practice.settings import OPENING, Facility, Practice, ReferringPhysician, RequestType, SecondStepFor, TermKind
from practice.threads import READ_BY_PATIENT, Thread, last_message_id

PASSWORD = "correct-horse-demo-battery"

STAFF = [  # login, last, first, level, is admin
    ("admin", "ADMINISTRATOR", "ADA", "Administrator", True),
    ("scheduler", "SCHEDULER", "SAM", "Staff", False),
    ("media", "MEDIA", "MAX", "Staff", False),
    ("nurse", "NURSE", "NINA", "Clinician", False),
    ("it", "IT", "IVAN", "Staff", False),
    ("records", "RECORDS", "RITA", "Staff", False),
    ("frontdesk", "FRONTDESK", "FAY", "Staff", False),
    ("doctor", "DOCTOR", "DAN", "Radiologist", False),
    ("therapist", "ROSSI", "MARA", "Clinician", False),
    ("reader", "RIVERA", "JON", "Radiologist", False),
]
WORDS = {  # login: group, specialty, institution, department
    "admin": ("Office", "", "Linden Street Practice", "Administration"),
    "scheduler": ("Front desk", "", "Linden Street Practice", "Reception"),
    "media": ("Media", "", "Linden Street Practice", "Radiology"),
    "nurse": ("Nursing", "Internal medicine", "Linden Street Practice", "Outpatients"),
    "it": ("Office", "", "Linden Street Practice", "IT"),
    "records": ("Office", "", "Linden Street Practice", "Records"),
    "frontdesk": ("Front desk", "", "Oak Lane Practice", "Reception"),
    "doctor": ("Physicians", "Radiology", "Linden Street Practice", "Radiology"),
    "therapist": ("Therapy", "Physiotherapy", "Oak Lane Practice", "Outpatients"),
    "reader": ("Physicians", "Radiology", "Oak Lane Practice", "Radiology"),
}
COMMUNICATORS = [  # type, title, logins, In Use, help
    (RequestType.APPOINTMENT, "Scheduler", ("scheduler", "frontdesk"), True, ""),
    (RequestType.RESULT, "Media Manager", ("media",), True, ""),
    (RequestType.OTHERS, "Clinicians", ("nurse", "frontdesk"), True, "Questions about your health, treatment or medicines"),
    (RequestType.OTHERS, "IT Manager", ("it",), True, "Trouble with this portal"),
    (RequestType.OTHERS, "Clinician", ("therapist",), False, ""),
    (RequestType.AMENDMENT, "Patient Info Manager", ("records",), True, ""),
]
CANNED_REPLIES = [  # title, for (None: only the author), author, text
    (
        "Two times to choose from",
        "Scheduler",
        "scheduler",
        "Dear {patient},\n\nwe have two times for you: Thursday at 10:30 and Friday at 8:45. Which one would you like?\n\n{me}",
    ),
    (
        "Waiting list",
        "Scheduler",
        "scheduler",
        "Dear {patient},\n\nyou are on our waiting list. You hear from us by {date}.\n\n{me}",
    ),
    ("Prescription is ready", "Clinicians", "nurse", "Dear {patient},\n\nyour prescription is at the front desk.\n\n{me}"),
    ("We are looking into it", "Clinicians", "nurse", "Dear {patient},\n\nwe are looking into it and answer by {date}.\n\n{me}"),
    ("Bring your card", None, "frontdesk", "Please bring your insurance card and a list of your medicines."),
]
PATIENTS = [  # last, first, gender, birth, is matched
    ("KWON", "SOPHIE", Gender.FEMALE, date(1978, 2, 24), True),
    ("KWON", "JIHAE", Gender.MALE, date(1990, 12, 12), True),
    ("BERG", "HUGO", Gender.MALE, date(2001, 5, 3), True),
    ("HOLT", "AMELIE", Gender.FEMALE, date(1949, 6, 2), True),
    ("ABARA", "CHINEDU", Gender.MALE, date(1985, 11, 30), True),
    ("LINDQVIST", "SVEN", Gender.MALE, date(1962, 4, 9), True),
    ("OKAFOR", "GRACE", Gender.FEMALE, date(2001, 1, 17), False),
    ("VAN DER BERG-THOMPSON", "MAXIMILIAN ALEXANDER", Gender.MALE, date(1971, 8, 23), True),
    ("ROSSI", "PAOLA", Gender.FEMALE, date(1956, 3, 14), True),
    ("TANAKA", "KEIKO", Gender.FEMALE, date(1988, 9, 5), True),
    ("MARTIN", "LUC", Gender.MALE, date(1994, 7, 28), True),
    ("NOVÁK", "IVANA", Gender.FEMALE, date(1939, 12, 1), True),
    ("SINGH", "HARPREET", Gender.OTHER, date(1982, 5, 19), True),
    ("FISCHER", "ANNA", Gender.FEMALE, date(1975, 10, 10), True),
    ("DUBOIS", "RÉMY", Gender.MALE, date(1967, 2, 3), True),
    ("ELLIS", "MORGAN", Gender.UNKNOWN, date(1999, 6, 21), False),
    ("כהן", "נועה", Gender.FEMALE, date(1983, 3, 8), True),
    ("NGUYEN", "", Gender.FEMALE, date(1971, 1, 1), True),
]
RECORD = [  # section, name, value, note, years ago
    (Section.PATIENT, "Name", "KWON, SOPHIE", "", 0),
    (Section.PATIENT, "Date of birth", "February 24, 1978", "", 0),
    (Section.PATIENT, "Phone", "(555) 010-0142", "", 0),
    (Section.PATIENT, "Address", "12 Willow Lane", "", 0),
    (Section.ALLERGY, "Medicine: Penicillin", "Hives, severe", "Since 2009", 1),
    (Section.ALLERGY, "Food: Walnuts", "Itching, mild", "Since childhood", 1),
    (Section.MEDICATION, "Salbutamol inhaler", "100 µg, twice a day", "MOREAU, CLAIRE", 2),
    (Section.MEDICATION, "Ibuprofen", "400 mg, when needed", "MOREAU, CLAIRE", 0),
    (Section.PROBLEM, "Asthma", "Mild, persistent", "", 9),
    (Section.PROBLEM, "Torn meniscus, left knee", "Under treatment", "", 0),
    (Section.IMMUNIZATION, "Influenza", "Given", "", 1),
    (Section.IMMUNIZATION, "Tetanus, diphtheria", "Given", "", 4),
    (Section.VITALS, "Height", "165 cm", "", 1),
    (Section.VITALS, "Weight", "68.4 kg", "", 0),
    (Section.VITALS, "Blood pressure", "128 over 82 mmHg", "", 0),
]
MEASURED = [  # section, name, unit, normal, and what it was, the newest first, a quarter of a year apart from half a year ago on
    (Section.VITALS, "Weight", "kg", (None, None), (69.0, 69.9, 71.4, 71.0, 71.8, 72.6, 73.1)),
    (Section.LAB, "Hemoglobin A1c", "%", (4.0, 5.6), (5.4, 5.5, 5.8, 6.0)),
]
DECIDED = [  # days ago, which value, what it should say, why; what was answered, and what is denied of it
    (
        40,
        "Salbutamol inhaler",
        "100 µg, when needed",
        "Dr. Moreau changed it in spring.",
        "Your request for a correction is accepted.\n\nThe record now says: 100 µg, when needed\n\n"
        "What it said before stays visible beside it. Tell us who should know of the correction: we tell them if you agree.",
        "",
    ),
    (
        30,
        "Torn meniscus, left knee",
        "Healed",
        "It does not hurt any more.",
        "Your request for a correction is denied.\n\nGround: The record is accurate and complete.\n"
        "Reason: The MRI of last month still shows the tear.\n\n"
        "You may disagree: press Disagree in this conversation, or send us a written statement. It is kept with your record. "
        "If you do not, you may ask that your request and this denial go along whenever we disclose this part of your record.\n\n"
        "You may complain to us: Linden Street Practice, (555) 010-0199, and to the Secretary of Health and Human Services: "
        "Office for Civil Rights, www.hhs.gov/ocr/complaints.",
        "The MRI of last month still shows the tear.",
    ),
]
DISAGREES = "I walk and climb stairs without pain since October. Please keep that beside what you write."
OTHERS = [  # title, words, to, answer
    (
        "Refill of my inhaler",
        "My inhaler is nearly empty. May I have a new prescription, please?",
        "Clinicians",
        "Your prescription is at the front desk from tomorrow, 8:00. Please bring your card.",
    ),
    (
        "Dizzy since the new blood pressure pills",
        "Since Monday I feel dizzy when I stand up, and today I had trouble breathing on the stairs. Should I go on with them?",
        "Clinicians",
        "Please take only half a pill in the morning and measure twice a day. If you faint, call us at once.",
    ),
    (
        "Travel vaccination for Kenya",
        "We fly in January. Which vaccinations do we need, and when?",
        "Clinicians",
        "Yellow fever at least ten days before you leave, hepatitis A now. We have times on Tuesday and Thursday mornings.",
    ),
    (
        "Refill: metformin",
        "Could you renew my metformin for another three months?",
        "Clinicians",
        "Yes. Before that we need a blood sample: any weekday from 8:00 to 10:00, with an empty stomach.",
    ),
    (
        "Certificate for work",
        "My employer asks for a certificate for last week.",
        "Clinicians",
        "It is written. You can pick it up at the front desk, or we send it by mail.",
    ),
    (
        "Hearing aid batteries",
        "Which size do I need for the left one?",
        "Clinicians",
        "Size 312, the brown tab. We have a pack here for you.",
    ),
    (
        "Question about the exercises",
        "The third exercise hurts a little. Is that normal after two weeks?",
        "Clinicians",
        "A light pull is fine, pain is not. Leave the third one out until we see you.",
    ),
    (
        "I cannot print",
        "When I press print, the second page stays empty.",
        "IT Manager",
        "Thank you for telling us. Please try it once more: we have changed the page.",
    ),
    (
        "Larger letters",
        "Can the letters on the phone be made larger?",
        "IT Manager",
        "Yes: in the settings of your phone, under Display, Font size. The portal follows it.",
    ),
]
REASONS = [
    "Check-up of my left knee, two weeks after the MRI",
    "Physiotherapy, second series",
    "First visit, new patient",
    "Flu shot",
    "Move my appointment to next month",
    "School physical for my son",
    "Knee injection, second",
]
ANSWERS = {
    RequestType.APPOINTMENT: [
        "We have two times for you: Thursday at 10:30 and Friday at 8:45. Which one would you like?",
        "Dr. Moreau can see you next Tuesday at 9:15. Is that possible for you?",
        "All mornings of that week are taken. Would an afternoon do, after 14:00?",
    ],
    RequestType.RESULT: [
        "Your CD is ready at the front desk. Please bring an identity card.",
        "The report is finished. We send it as you asked.",
        "The study is still being read. You hear from us by the end of the week.",
    ],
}
THANKS = ["Thank you, that helps.", "Thank you! One more question: may I come a little earlier?"]

Send = Callable[[], Sent]


def fill() -> None:
    """Fills an empty database and marks it as the demo's."""
    chance = random.Random(7)
    hashed = hash_password(PASSWORD)
    _set_up_practice()
    staff = {
        login: add_staff(
            login=login,
            last=last,
            first=first,
            email=f"{login}@demo.example",
            level=level,
            is_admin=is_admin,
            password_hash=hashed,
            by=COMMAND,
        )
        for login, last, first, level, is_admin in STAFF
    }
    _call_staff(staff)
    for kind, title, logins, is_in_use, help_line in COMMUNICATORS:
        keys = [_key_of(staff[login]) for login in logins]
        save_communicator(None, kind=kind, title=title, staff=keys, is_in_use=is_in_use, help=help_line, by=COMMAND)
    for title, of, login, body in CANNED_REPLIES:
        communicator = of and db.session.scalars(sa.select(Communicator.key).where(Communicator.title == of)).one()
        add_canned_reply(title=title, body=body, communicator=communicator, form_key=new_key(), by=Actor(staff[login]))
    patients = [_add_patient(number, hashed, *one) for number, one in enumerate(PATIENTS)]
    sophie, jihae, hugo = patients[:3]
    _write_record(sophie)
    _write_threads(chance, [p for p in patients if p != hugo], sophie, jihae, staff)
    while jobs.run_due_jobs().get("seal the audit"):
        pass


def _set_up_practice() -> None:
    with transaction(by=COMMAND, did="set_up_demo") as tx:
        tx.session.execute(
            sa.update(Practice).values(
                name="Linden Street Practice",
                address="14 Linden Street",
                phone="(555) 010-0199",
                hours="Open Monday to Friday, 8:00 to 17:00",
                opening=OPENING.replace("18:00", "17:00"),
                meaningful_use=True,
                is_demo=True,
                second_step=SecondStepFor.NOBODY,
                can_register=True,
            )
        )
        for name, address in (("Linden Street", "14 Linden Street"), ("Oak Lane", "3 Oak Lane")):
            tx.session.add(Facility(key=new_key(), name=name, address=address))
        for name in ("MOREAU, CLAIRE", "STEIN, RUTH"):
            tx.session.add(ReferringPhysician(key=new_key(), name=name))


def _call_staff(staff: dict[str, int]) -> None:
    """The short lists of words, and the words of each member of staff."""
    have_terms(TermKind.LEVEL, sorted({level for _, _, _, level, _ in STAFF}), by=COMMAND)
    kinds = (TermKind.GROUP, TermKind.SPECIALTY, TermKind.INSTITUTION, TermKind.DEPARTMENT)
    for kind, used in zip(kinds, zip(*WORDS.values(), strict=True), strict=True):
        have_terms(kind, sorted(set(used) - {""}), by=COMMAND)
    with transaction(by=COMMAND, did="set_up_demo") as tx:
        for login, words in WORDS.items():
            values = {COLUMN_OF[kind]: word for kind, word in zip(kinds, words, strict=True)}
            tx.session.execute(sa.update(Staff).where(Staff.id == staff[login]).values(values))


def _add_patient(number: int, hashed: str, last: str, first: str, gender: Gender, dob: date, is_matched: bool) -> int:
    known = {0: "sophie", 1: "jihae", 2: "hugo"}
    return add_patient(
        last=last,
        first=first,
        email=f"{known.get(number, f'patient{number}')}@demo.example",
        dob=dob,
        gender=gender,
        phone=f"(555) 010-{142 + number:04}",
        record_number=f"{113 + number:08}" if is_matched else None,
        password_hash=hashed,
        by=COMMAND,
    )


def _key_of(person: int) -> str:
    return db.session.scalars(sa.select(Person.key).where(Person.id == person)).one()


def _write_record(patient: int) -> None:
    with transaction(by=COMMAND, did="set_up_demo", patient=patient) as tx:
        for section, name, value, note, years in RECORD:
            recorded = now().date() - timedelta(days=365 * years + 28)
            values = {"section": section, "name": name, "value": value, "note": note, "recorded_on": recorded}
            tx.session.add(RecordValue(key=new_key(), patient_id=patient, **values))
        for section, name, unit, (low, high), numbers in MEASURED:
            for n, number in enumerate(numbers):
                values = {
                    "section": section,
                    "name": name,
                    "value": f"{number} {unit}",
                    "number": number,
                    "unit": unit,
                    "note": "",
                }
                values |= {"low": low, "high": high, "recorded_on": now().date() - timedelta(days=182 + 91 * n)}
                tx.session.add(RecordValue(key=new_key(), patient_id=patient, **values))


def _write_threads(chance: random.Random, patients: list[int], sophie: int, jihae: int, staff: dict[str, int]) -> None:
    """Sixty threads over the last six weeks, the older the more are done; then what the first look should find."""
    start = now()
    kinds = itertools.cycle([RequestType.OTHERS, RequestType.APPOINTMENT, RequestType.OTHERS, RequestType.RESULT])
    for n, kind in zip(range(56), kinds, strict=False):
        age = timedelta(hours=3 + n * n // 3, minutes=chance.randrange(60))
        patient = sophie if n in (5, 22, 31) else chance.choice(patients)
        with clock_at(start - age):
            sent = _ask(chance, kind, patient, n)
        _go_on(
            chance,
            sent,
            patient,
            staff,
            start - age,
            stage=chance.choices(range(5), (1, 2, 3, 2, 6) if n > 20 else (6, 3, 3, 1, 1))[0],
        )
    for decided in DECIDED:
        _decide(sophie, staff["records"], start, *decided)
    values = list(db.session.scalars(sa.select(RecordValue.key).where(RecordValue.patient_id == sophie).order_by(RecordValue.id)))
    for n, (key, to) in enumerate(((values[4], "Stomach upset, not an allergy"), (values[12], "167 cm"))):
        with clock_at(start - timedelta(days=9 - 4 * n, hours=2)):
            by = Actor(sophie)
            sent = request_amendment(sophie, key, to=to, memo="Dr. Moreau tested me last autumn.", form_key=new_key(), by=by)
        if n == 0:
            with clock_at(start - timedelta(days=8)):
                _receive(sent.thread_key, staff["records"])
    with clock_at(start - timedelta(days=1, hours=1)):
        fay = Actor(staff["frontdesk"])
        scheduler = db.session.scalars(sa.select(Communicator.key).where(Communicator.title == "Scheduler")).one()
        words = "We are closed on the last Friday of the year. Shall we find another day for your check-up?"
        conversations.start(
            _key_of(jihae), communicator=scheduler, title="Your check-up in December", body=words, form_key=new_key(), by=fay
        )


def _decide(patient: int, staff: int, start: datetime, days: int, name: str, to: str, memo: str, said: str, denied: str) -> None:
    """A correction from its request to its end: accepted, or denied and disagreed with. The patient has read it."""

    def letter(body: str) -> Letter:
        return Letter(body, new_key(), last_message_id(db.session(), sent.thread_id))

    asked, by, whose = start - timedelta(days=days), Actor(staff), Actor(patient)
    value = db.session.scalars(
        sa.select(RecordValue.key).where(RecordValue.patient_id == patient, RecordValue.name == name)
    ).one()
    with clock_at(asked):
        sent = request_amendment(patient, value, to=to, memo=memo, form_key=new_key(), by=whose)
    with clock_at(asked + timedelta(days=3)):
        amendments.review(sent.thread_key, letter=letter("We are looking at your request for a correction."), by=by)
    with clock_at(asked + timedelta(days=9)):
        if denied:
            amendments.deny(sent.thread_key, ground=amendments.Ground.CORRECT, because=denied, letter=letter(said), by=by)
        else:
            amendments.accept(sent.thread_key, value=to, replaces=value, letter=letter(said), by=by)
    with clock_at(asked + timedelta(days=11)):
        if denied:
            body = f"Statement of disagreement\n\n{DISAGREES}"
            amendments.disagree(sent.thread_key, statement=DISAGREES, body=body, form_key=new_key(), by=whose)
            _receive(sent.thread_key, staff)
        else:
            told = letter("Your correction is completed.\n\nWho was told: your pharmacy")
            amendments.complete(sent.thread_key, letter=told, by=by)
            db.session.close()
    with transaction(by=COMMAND, did="set_up_demo", patient=patient) as tx:
        thread = tx.session.get_one(Thread, sent.thread_id)
        tx.session.execute(READ_BY_PATIENT, {"thread": thread.id, "at": thread.last_staff_message_at, "opened": now()})
    if denied:
        with clock_at(asked + timedelta(days=12)):
            conversations.close(sent.thread_key, version=_thread(sent.thread_id).version, by=by)


def _ask(chance: random.Random, kind: RequestType, patient: int, n: int) -> Sent:
    by, key, today = Actor(patient), new_key(), now().date()
    facility = chance.choice(list(db.session.scalars(sa.select(Facility.key).order_by(Facility.name))))
    if kind == RequestType.APPOINTMENT:
        first = today + timedelta(days=chance.randrange(2, 9))
        wish = Wish(
            facility=facility,
            first_day=first,
            last_day=first + timedelta(days=chance.randrange(3, 14)),
            reason=chance.choice(REASONS),
            weekdays=tuple(sorted(chance.sample(range(5), 2))),
            from_time=time(9),
            to_time=time(12),
            comments="I need an entrance without steps." if n % 3 == 0 else "",
        )
        return request_appointment(patient, wish, today=today, form_key=key, by=by)
    if kind == RequestType.RESULT:
        is_cd = n % 2 == 0
        order = Order(
            media=(Media.CD,) if is_cd else (Media.REPORT, Media.WEB_LINK),
            hand_over=HandOver.PICK_UP if is_cd else HandOver.SECURE_MESSAGE,
            location=facility if is_cd else None,
            is_all_studies=n % 3 == 0,
            exam_date=None if n % 3 == 0 else today - timedelta(days=12),
            comments="For my visit at the hospital.",
        )
        return request_result(patient, order, today=today, form_key=key, by=by)
    title, words, to, _ = OTHERS[n // 2 % len(OTHERS)]
    picked = db.session.scalars(sa.select(Communicator.key).where(Communicator.title == to)).one()
    return conversations.send(patient, kind=kind, title=title, body=words, to=picked, form_key=key, by=by)


def _go_on(chance: random.Random, sent: Sent, patient: int, staff: dict[str, int], at: datetime, *, stage: int) -> None:
    """0 unread, 1 received, 2 answered, 3 answered and written to again, 4 closed; as far as time allows."""
    who = staff[_who_answers(sent.thread_id, staff)]
    steps = [
        lambda: _receive(sent.thread_key, who),
        lambda: _answer(chance, sent, who),
        lambda: conversations.reply(sent.thread_key, body=chance.choice(THANKS), form_key=new_key(), by=Actor(patient)),
        lambda: conversations.close(sent.thread_key, version=_thread(sent.thread_id).version, by=Actor(who)),
    ]
    room = (now() - at) / (stage + 1)
    for n, step in enumerate(steps[:stage], 1):
        with clock_at(at + room * n * 0.9):
            step()


def _who_answers(thread: int, staff: dict[str, int]) -> str:
    kind = _thread(thread).type
    by_type = {RequestType.APPOINTMENT: "scheduler", RequestType.RESULT: "media", RequestType.AMENDMENT: "records"}
    if kind in by_type:
        return by_type[kind]
    title = db.session.execute(
        sa.text("SELECT title FROM delivery WHERE thread_id = :thread ORDER BY id LIMIT 1"), {"thread": thread}
    ).scalar_one()
    return "it" if title == "IT Manager" else "nurse"


def _thread(key: int) -> Thread:
    db.session.close()
    return db.session.get_one(Thread, key)


def _receive(key: str, staff: int) -> None:
    db.session.close()
    version = db.session.scalars(sa.select(Thread.version).where(Thread.key == key)).one()
    conversations.receive(key, version=version, by=Actor(staff))


def _answer(chance: random.Random, sent: Sent, staff: int) -> Sent:
    """In words, or by the next step of the request."""
    thread = _thread(sent.thread_id)
    body = {title: answer for title, _, _, answer in OTHERS}.get(thread.title) or chance.choice(ANSWERS[thread.type])
    letter = Letter(body, new_key(), last_message_id(db.session(), thread.id))
    if thread.type == RequestType.APPOINTMENT and thread.id % 3:
        return _confirm(sent, letter, Actor(staff))
    if thread.type == RequestType.RESULT and thread.id % 3:
        return results.prepare(sent.thread_key, letter=letter, by=Actor(staff))
    seen = letter.seen
    return conversations.answer(sent.thread_key, body=body, form_key=new_key(), seen=seen, by=Actor(staff))


def _confirm(sent: Sent, letter: Letter, by: Actor) -> Sent:
    """Within two weeks, on a day from Monday to Friday."""
    day = now().date() + timedelta(days=8 + sent.thread_id % 5)
    day -= timedelta(days=max(day.weekday() - 4, 0))
    slot = Slot(day, time(9 + sent.thread_id % 7), 30, "Linden Street, room 2")
    said = f"Appointment confirmation\n\n{day:%A, %B} {day.day}, {slot.clock:%H:%M}\n{slot.place}"
    return confirm(sent.thread_key, slot, letter=replace(letter, body=said), by=by)
