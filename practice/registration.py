"""Patients register themselves: the e-mail address is proven by a link, then they wait until the practice knows who they are."""

import json
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from practice.accounts import email_faults, hold_accounts_still, person_columns, refuse, text_faults
from practice.conversations import clean
from practice.db import ANONYMOUS, SYSTEM, Actor, Audit, Transaction, again_if_doubled, db, new_key, now, transaction
from practice.errors import Invalid, NotVisible, Stale, TooMany
from practice.links import LinkEnded
from practice.matching import MatchState, Registration, code_of, move, new_code
from practice.outbox import Occasion, Undeliverable, tell, tell_address
from practice.own_account import must_be_hard_to_guess
from practice.patients import RECORD_NUMBER_MAX, lock, open_account
from practice.people import (
    AccountStatus,
    Gender,
    Kind,
    Patient,
    Person,
    active_admins,
    check_password,
    hash_password,
    must_be_admin,
    phone_key,
)
from practice.proofs import make_proof_link, new_proof, proof_with
from practice.settings import the_practice

PHONE_MAX, WORDS_MAX = 40, 500
BORN_AFTER = date(1850, 1, 1)
TRIES, TRIES_WITHIN = 5, timedelta(hours=1)  # of codes that are none


@dataclass(frozen=True)
class Said:
    """What somebody says about themselves; nothing of it is proven but, later, the address."""

    last_name: str
    first_name: str
    email: str
    dob: date | None
    gender: Gender
    phone: str


def _as_kept(said: Said, *, has_email: bool = True) -> Said:
    """Raises Invalid for the first that cannot be taken."""
    kept: dict[str, Any] = {}
    for field, is_required, most in (
        ("last_name", False, 0),
        ("first_name", False, 0),
        ("email", has_email, 0),
        ("phone", False, PHONE_MAX),
    ):
        kept[field], faults = text_faults(field, getattr(said, field), is_required=is_required, most=most)
        refuse(faults)
    if not kept["last_name"] and not kept["first_name"]:
        raise Invalid("last_name", "Write a last name, a first name or both.")
    if has_email:
        refuse(email_faults("email", kept["email"]))
    _day_of_birth(said.dob)
    return replace(said, **kept)


def _day_of_birth(day: date | None) -> date:
    """Raises Invalid for a day on which nobody who lives was born."""
    if day is None or not BORN_AFTER <= day <= now().date():
        raise Invalid("dob", "This cannot be a date of birth.")
    return day


# ---- Registering ---------------------------------------------------------------------------------


def may_register() -> bool:
    return the_practice().can_register


def register(said: Said, *, by: Actor) -> None:
    """Queues the mail to the address; its link is made when it leaves (`registration_link_for`). Whoever has an account there
    is told that instead, by the worker: this asks nothing about accounts, so nobody learns from it who has one.

    Raises NotVisible where the practice does not have it, Invalid, TooMany for an address of the network that asks too often.
    """
    said = _as_kept(said)
    with transaction(by=by, did="register") as tx:
        if not the_practice(tx.session).can_register:
            raise NotVisible
        proof = new_proof(tx, said.email, said=json.dumps(asdict(said), default=str, ensure_ascii=False))
        tx.details["notices"] = int(proof is not None)
        if proof:
            tell_address(tx, Occasion.REGISTRATION, None, email=said.email, proof=proof.id)


def registration_link_for(proof: int, *, token: str = "") -> str:
    """The secret of its link, made as the mail leaves. `token` as in links.make_link. Raises Undeliverable."""
    with transaction(by=SYSTEM, did="make_registration_link") as tx:
        made = make_proof_link(tx, proof, token=token)
        if not made:
            raise Undeliverable("the registration was replaced by a newer one")
        return made


def registering(token: str) -> Said:
    """Who registers by this link. Changes nothing. Raises LinkEnded."""
    proof = proof_with(db.session(), token, is_of_person=False)
    if proof is None or not may_register():
        raise LinkEnded
    return _said(proof.said)


def _said(text: str) -> Said:
    values = json.loads(text)
    return Said(**values | {"dob": date.fromisoformat(values["dob"]), "gender": Gender(values["gender"])})


def finish_registration(token: str, *, password: str, address: str | None = None) -> None:
    """The address is proven: an active account that is matched to no record, and waits for an admin. Logs nobody in.

    Raises LinkEnded, also where the address has an account by now; Invalid for a password that cannot be taken.
    """
    said = registering(token)
    check_password(password)
    must_be_hard_to_guess(password, Person(last_name=said.last_name, first_name=said.first_name, email=said.email))
    hashed = hash_password(password)  # slow: not while anybody waits for a lock
    with transaction(by=ANONYMOUS, did="register_patient") as tx:
        hold_accounts_still(tx.session)
        proof = proof_with(tx.session, token, is_of_person=False, lock=True)
        if proof is None or tx.session.scalar(sa.select(Person.id).where(Person.email_key == proof.email_key)):
            raise LinkEnded
        at = proof.ended_at = now()
        proof.said = ""  # it stands with the patient from now on
        person = Person(key=new_key(), kind=Kind.PATIENT, status=AccountStatus.ACTIVE, created_at=at, **person_columns(said))
        person.password_hash = hashed
        tx.session.add(person)
        tx.session.flush()
        tx.session.add(Patient(id=person.id, dob=said.dob, gender=said.gender, phone=said.phone))
        tx.session.flush()
        tx.session.add(Registration(patient_id=person.id, state=MatchState.WAITING, since=at, words=""))
        tx.by, tx.about, tx.patient = Actor(person.id, person.name, address=address), person.key, person.id
        tell(tx, Occasion.TO_MATCH, active_admins(tx.session))


# ---- What admins do ------------------------------------------------------------------------------


def ask_registered(patient_key: str, *, words: str, seen: str, by: Actor) -> None:
    """Asks a patient who waits to be matched; they read the words once they are logged in, the mail only says that we ask.

    Raises NotVisible, Invalid, Stale.
    """
    words = clean("words", words, WORDS_MAX)
    with transaction(by=by, did="ask_registered", about=patient_key) as tx:
        account = open_account(tx, patient_key, seen)
        if not move(tx.session, account.id, MatchState.ASKED, words):
            raise Stale("asked, matched or refused before")
        tx.details["words"] = words
        tell(tx, Occasion.ASKED, [account.id])


def refuse_registration(patient_key: str, *, words: str, seen: str, by: Actor) -> None:
    """Locks the account of who is not matched, for a reason that admins see. *Unlock* takes it back.

    Raises NotVisible, Invalid, Stale.
    """
    words = clean("words", words, WORDS_MAX)
    with transaction(by=by, did="refuse_registration", about=patient_key) as tx:
        account = open_account(tx, patient_key, seen)
        if not move(tx.session, account.id, MatchState.REFUSED, words):
            raise Stale("matched or refused before")
        tx.details["reason"] = words
        lock(patient_key, seen=seen, by=by)


def make_code(record_number: str, *, dob: date | None, by: Actor) -> str:
    """A code that matches whoever enters it and was born on that day to this record number. Raises Invalid, NotAllowed."""
    number = " ".join(clean("record_number", record_number, RECORD_NUMBER_MAX).split())
    born = _day_of_birth(dob)
    with transaction(by=by, did="make_match_code") as tx:
        must_be_admin(tx)
        if tx.session.scalar(sa.select(Patient.id).where(Patient.record_number == number)):
            raise Invalid("record_number", "An account has this record number already.")
        tx.details["record_number"] = number
        return new_code(tx.session, number, born, by=by.person)


# ---- What patients do who are not matched --------------------------------------------------------


def of_not_matched(patient: int) -> Any:
    """What the patient has said, and where the registration stands (`state` None: they did not register themselves).

    Raises NotVisible for who is matched.
    """
    columns = Person.last_name, Person.first_name, Patient.dob, Patient.gender, Patient.phone
    state = sa.select(*columns, Registration.state, Registration.words)
    state = state.select_from(Person).join(Patient, Patient.id == Person.id)
    state = state.outerjoin(Registration, Registration.patient_id == Patient.id)
    found = db.session.execute(state.where(Patient.id == patient, Patient.record_number.is_(None))).first()
    if found is None:
        raise NotVisible
    return found


def correct_registration(patient: int, said: Said, *, by: Actor) -> None:
    """Who has registered and is not matched yet says it anew, and waits for an admin again. The e-mail address stays.

    Raises NotVisible for who did not register or was matched meanwhile, Invalid.
    """
    said = _as_kept(replace(said, email=""), has_email=False)
    with transaction(by=by, did="correct_registration", patient=patient) as tx:
        person, row = _not_matched(tx, patient)
        registration = tx.session.get(Registration, patient)
        if registration is None or registration.state not in (MatchState.WAITING, MatchState.ASKED):
            raise NotVisible
        tx.about = person.key
        before = {name: getattr(person, name) for name in ("last_name", "first_name")}
        before |= {name: getattr(row, name) for name in ("dob", "gender", "phone")}
        tx.note_change(before, {name: getattr(said, name) for name in before})
        for name, value in person_columns(replace(said, email=person.email)).items():
            setattr(person, name, value)
        row.dob, row.gender = said.dob or row.dob, said.gender
        row.phone, row.phone_key = said.phone, phone_key(said.phone)
        if move(tx.session, patient, MatchState.WAITING):
            tell(tx, Occasion.TO_MATCH, active_admins(tx.session))


@again_if_doubled
def match_by_code(patient: int, code: str, *, by: Actor) -> bool:
    """Matches the patient to the record number of this code, which the practice has given out for who was born on that day.
    False: it is none of theirs, ended, was used, or the number has another account by now; 5 of these an hour, then TooMany.

    Raises NotVisible for who is matched.
    """
    with transaction(by=by, did="match_by_code", patient=patient) as tx:
        person, row = _not_matched(tx, patient)
        tx.about = person.key
        wrong = Audit.actor_id == patient, Audit.did == "match_code_wrong", Audit.at > now() - TRIES_WITHIN
        if (tx.session.scalar(sa.select(sa.func.count()).where(*wrong)) or 0) >= TRIES:
            raise TooMany(int(TRIES_WITHIN.total_seconds()))
        found = code_of(tx.session, code, row.dob)
        if found is None or tx.session.scalar(sa.select(Patient.id).where(Patient.record_number == found.record_number)):
            tx.did = "match_code_wrong"
            return False
        found.used_at, row.record_number = now(), found.record_number
        move(tx.session, patient, MatchState.MATCHED)
        tx.note_change({"record_number": None}, {"record_number": found.record_number})
        return True


def _not_matched(tx: Transaction, patient: int) -> tuple[Person, Patient]:
    """Held. Raises NotVisible."""
    person = tx.session.get_one(Person, patient, with_for_update=True)
    row = tx.session.get_one(Patient, patient, with_for_update=True)
    if row.record_number is not None or person.status != AccountStatus.ACTIVE:
        raise NotVisible
    return person, row
