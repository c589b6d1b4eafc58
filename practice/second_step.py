"""The second step of a log-in: a code of an app (TOTP, RFC 6238) beside the password, or a recovery code where the phone is lost.

Whoever has given the password alone is halfway: no session, only the right to the second step, for ten minutes. A key counts
once its first code was entered, so nobody is shut out by a set-up that was not finished. What a stolen database gives away:
docs/decisions/0014-second-step.md.
"""

import base64
import contextlib
import hashlib
import hmac
import json
import logging
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import pyotp
import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy.orm import Mapped, Session, mapped_column

from practice.db import COMMAND, Actor, Model, Transaction, changed, db, delete_some, keys_for, now, transaction
from practice.errors import Invalid, NotAllowed, NotVisible, Refused
from practice.outbox import Occasion, tell
from practice.own_account import end_other_log_ins, must_know_password
from practice.people import AccountStatus, Kind, Person, Staff, email_key, must_be_admin, token_hash
from practice.sessions import Visitor, end_sessions_of
from practice.settings import Practice, SecondStepFor
from practice.throttle import Guessed, open_again, tried

log = logging.getLogger("portal.second_step")

PERIOD = 30  # seconds that a code lasts
EITHER_WAY = 1  # so many periods a phone's clock may be wrong
HALFWAY = timedelta(minutes=10)
OFFERED = timedelta(hours=1)  # so long a key that was shown may be set up
CODES = 10
ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # of recovery codes: nothing that looks like something else
LETTERS = 16  # of a recovery code, 80 bits


class SecondStep(Model):
    """Who has one. Rows are made when the first code was entered."""

    __tablename__ = "second_step"
    person_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"), primary_key=True)
    sealed: Mapped[str] = mapped_column(sa.Text)  # the key of the app, encrypted
    sealed_by: Mapped[str] = mapped_column(sa.String(16))  # tells by which of our secrets, and nothing about it
    since: Mapped[datetime]
    last_used: Mapped[int]  # the period of the newest code that was taken: neither it nor an older one is taken again


class RecoveryCode(Model):
    """One that was not used yet; as its hash."""

    __tablename__ = "recovery_code"
    person_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"), primary_key=True)
    code_hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)


class HalfLogIn(Model):
    """The password was right, the second step is to come. No session: the gate never looks here."""

    __tablename__ = "half_log_in"
    key_hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    person_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"), index=True)
    credential: Mapped[str] = mapped_column(sa.String(64))  # a hash of the stored password: another one ends this
    ends_at: Mapped[datetime] = mapped_column(index=True)


class Ask(StrEnum):
    """What is asked of somebody whose password was right."""

    CODE = "code"
    SET_UP = "set up"


class HalfwayOver(Refused):
    """It took too long, or the account changed meanwhile: the log-in begins anew."""


class NotYourOwn(NotAllowed):
    """Nobody resets the own second step: it would be worth nothing."""


class Required(Refused):
    """The practice asks this person for a second step: it is changed, not turned off."""

    status = 403


@dataclass(frozen=True)
class Halfway:
    person: Person
    ask: Ask


@dataclass(frozen=True)
class Offer:
    """A key to be put into an app. `sealed` comes back with the first code; `uri` is what the QR code says."""

    key: str
    sealed: str
    uri: str


@dataclass(frozen=True)
class State:
    """Of one person. `since` None: there is no second step."""

    since: datetime | None
    codes_left: int
    is_required: bool


# ---- Who is asked --------------------------------------------------------------------------------


def state_of(person: int) -> State:
    """One statement."""
    row = db.session.execute(_STATE, {"person": person}).one()
    is_required = row.wanted == SecondStepFor.STAFF or (row.wanted == SecondStepFor.ADMINS and bool(row.is_admin))
    return State(row.since, row.codes, row.kind == Kind.STAFF and is_required)


_codes = sa.select(sa.func.count()).where(RecoveryCode.person_id == Person.id).correlate(Person).scalar_subquery()
_STATE = (
    sa.select(Person.kind, Staff.is_admin, Practice.second_step.label("wanted"), SecondStep.since, _codes.label("codes"))
    .select_from(Person)
    .join(Practice, Practice.id == 1)
    .outerjoin(Staff, Staff.id == Person.id)
    .outerjoin(SecondStep, SecondStep.person_id == Person.id)
    .where(Person.id == sa.bindparam("person"))
)


def asked_of(person: int) -> Ask | None:
    """What the log-in asks beside the password. One statement."""
    state = state_of(person)
    if state.since:
        return Ask.CODE
    return Ask.SET_UP if state.is_required else None


# ---- Halfway -------------------------------------------------------------------------------------


def begin(person: Person, *, by: Actor) -> str:
    """The password was right: the secret that opens the second step, for ten minutes, and nothing else."""
    key = secrets.token_urlsafe(32)
    with transaction(by=by, did="give_password", about=person.key) as tx:
        half = HalfLogIn(key_hash=token_hash(key), person_id=person.id, credential=_credential(person), ends_at=now() + HALFWAY)
        tx.session.add(half)
    return key


def halfway(key: str) -> Halfway:
    """Whose half log-in this is, and what is asked of them now. Raises HalfwayOver."""
    half = sa.select(Person, HalfLogIn.credential).join(HalfLogIn, HalfLogIn.person_id == Person.id)
    row = db.session.execute(half.where(HalfLogIn.key_hash == token_hash(key), HalfLogIn.ends_at > now())).first()
    if row is None or row[0].status != AccountStatus.ACTIVE or not hmac.compare_digest(row.credential, _credential(row[0])):
        raise HalfwayOver
    ask = asked_of(row[0].id)
    if ask is None:  # an admin took it away meanwhile, or the practice asks for it no more
        raise HalfwayOver
    return Halfway(row[0], ask)


def _credential(person: Person) -> str:
    return token_hash(person.password_hash or "")


def _end_half(tx: Transaction, key: str) -> None:
    if not changed(tx.session, sa.delete(HalfLogIn).where(HalfLogIn.key_hash == token_hash(key), HalfLogIn.ends_at > now())):
        raise HalfwayOver


def forget_halves(session: Session) -> int:
    """Deletes half log-ins that are over. Answers how many."""
    return delete_some(session, HalfLogIn, HalfLogIn.ends_at < now())


# ---- Codes ---------------------------------------------------------------------------------------


def pass_with(key: str, code: str, *, address: str | None) -> Person:
    """The second half: who may have a session now. `code`: of the app or a recovery code; either is used up.

    Raises HalfwayOver, TooMany (guesses are counted as those of passwords are), Invalid.
    """
    half = halfway(key)
    if half.ask != Ask.CODE:
        raise HalfwayOver
    person = tried(Guessed.CODE, half.person.email, lambda: _passed(key, half.person, code, address), address=address)
    if person is None:
        raise Invalid("code", "This code is not right, or it was used already.")
    return person


def _passed(key: str, person: Person, code: str, address: str | None) -> Person | None:
    by = Actor(person.id, person.name, address=address)
    with transaction(by=by, did="pass_second_step", about=person.key) as tx:
        step = tx.session.get(SecondStep, person.id, with_for_update=True)
        if step is None:
            raise HalfwayOver
        tidied = "".join(code.upper().replace("-", " ").split())
        if not (_use(tx, step, tidied) or _use_recovery_code(tx, person.id, tidied)):
            tx.did = "second_step_failed"
            return None
        _end_half(tx, key)
    return person


def _use(tx: Transaction, step: SecondStep, code: str) -> bool:
    """Takes a code of the app once; of two at the same moment one wins."""
    try:
        used = _period_of(_opened(step.sealed, step.person_id), code)
    except InvalidToken:
        log.warning("a key of a second step cannot be read: was SECRET_KEY changed without SECRET_KEY_OLD?")
        return False
    newer = sa.update(SecondStep).where(SecondStep.person_id == step.person_id, SecondStep.last_used < used)
    return bool(changed(tx.session, newer.values(last_used=used)))


def _period_of(key: str, code: str) -> int:
    """The period whose code this is, near the present one; -1: none."""
    present, app = _seconds() // PERIOD, pyotp.TOTP(key)
    near = range(present - EITHER_WAY, present + EITHER_WAY + 1)
    return max((n for n in near if hmac.compare_digest(app.generate_otp(n).encode(), code.encode())), default=-1)


def _seconds() -> int:
    """Since 1970, by the clock that everything here goes by."""
    return int(now().replace(tzinfo=UTC).timestamp())


def _use_recovery_code(tx: Transaction, person: int, code: str) -> bool:
    its = RecoveryCode.person_id == person, RecoveryCode.code_hash == token_hash(code)
    if not changed(tx.session, sa.delete(RecoveryCode).where(*its)):
        return False
    tx.details["with"] = "recovery code"
    tell(tx, Occasion.RECOVERY, [person])
    return True


def _new_codes(tx: Transaction, person: int) -> list[str]:
    """Ten recovery codes; kept nowhere but in this answer. Older ones work no more."""
    tx.session.execute(sa.delete(RecoveryCode).where(RecoveryCode.person_id == person))
    codes = ["".join(secrets.choice(ALPHABET) for _ in range(LETTERS)) for _ in range(CODES)]
    tx.session.add_all(RecoveryCode(person_id=person, code_hash=token_hash(code)) for code in codes)
    return ["-".join(code[n : n + 4] for n in range(0, LETTERS, 4)) for code in codes]


# ---- Keys ----------------------------------------------------------------------------------------


def offer_to(person: int, *, sealed: str = "") -> Offer:
    """A new key, or that of an earlier page of this person (`sealed`) while it may be set up. Stores nothing."""
    row = db.session.execute(
        sa.select(Person.email, Practice.name).join(Practice, Practice.id == 1).where(Person.id == person)
    ).one()
    try:
        key = _opened(sealed, person, within=OFFERED)
    except InvalidToken:
        key = pyotp.random_base32()
        sealed = _box().encrypt_at_time(json.dumps([person, key]).encode(), _seconds()).decode()
    return Offer(key, sealed, pyotp.TOTP(key, name=row.email, issuer=row.name).provisioning_uri())


def _opened(sealed: str, person: int, *, within: timedelta | None = None) -> str:
    """The key in it. Raises InvalidToken for what is not ours, is somebody else's, or was sealed too long ago."""
    if within:
        text = _box().decrypt_at_time(sealed.encode(), int(within.total_seconds()), _seconds())
    else:
        text = _box().decrypt(sealed.encode())
    owner, key = json.loads(text)
    if owner != person:
        raise InvalidToken
    return str(key)


def _box() -> MultiFernet:
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys_for("second step")])


def _fingerprint() -> str:
    return hashlib.sha256(keys_for("second step")[0]).hexdigest()[:16]


def encrypt_anew(session: Session) -> int:
    """After a change of SECRET_KEY: all keys, by the new one, while SECRET_KEY_OLD still opens them. Answers how many."""
    done, newest = 0, _fingerprint()
    for step in session.scalars(sa.select(SecondStep).where(SecondStep.sealed_by != newest).with_for_update(skip_locked=True)):
        with contextlib.suppress(InvalidToken):  # whose secret is lost; their owners have recovery codes
            step.sealed, step.sealed_by = _box().rotate(step.sealed).decode(), newest
            done += 1
    return done


# ---- Set up, changed, turned off -----------------------------------------------------------------


def set_up(visitor: Visitor, sealed: str, code: str, *, present: str) -> list[str]:
    """The key of an offer is the person's from now on, in the place of an older one; the recovery codes. Other sessions end.

    Raises NotAllowed when the present password is wrong, TooMany, Invalid.
    """
    must_know_password(visitor, present)
    with transaction(by=visitor.actor, did="set_up_second_step") as tx:
        codes = _set_up(tx, visitor.person_id, sealed, code)
        end_other_log_ins(visitor, by=visitor.actor)
        return codes


def set_up_halfway(key: str, sealed: str, code: str, *, address: str | None) -> tuple[Person, list[str]]:
    """The same for somebody who has to have one and logs in without: who may have a session now. Raises HalfwayOver, Invalid."""
    half = halfway(key)
    if half.ask != Ask.SET_UP:
        raise HalfwayOver
    with transaction(by=Actor(half.person.id, half.person.name, address=address), did="set_up_second_step") as tx:
        _end_half(tx, key)
        return half.person, _set_up(tx, half.person.id, sealed, code)


def _set_up(tx: Transaction, person: int, sealed: str, code: str) -> list[str]:
    try:
        used = _period_of(_opened(sealed, person, within=OFFERED), "".join(code.split()))
    except InvalidToken:
        raise Invalid("code", "This took too long. Scan the new picture, then enter its code.") from None
    if used < 0:
        raise Invalid("code", "This code is not right. Enter the one that the app shows now.")
    _take_away(tx, person)
    sealed = _box().rotate(sealed).decode()  # an offer may be older than the newest secret
    tx.session.add(SecondStep(person_id=person, sealed=sealed, sealed_by=_fingerprint(), since=now(), last_used=used))
    return _new_codes(tx, person)


def _take_away(tx: Transaction, person: int) -> int:
    """Ends what there is; whoever is halfway begins anew; tells the owner. Answers whether there was any."""
    owner = tx.session.get_one(Person, person, with_for_update=True)
    tx.about, tx.patient = owner.key, owner.id if owner.kind == Kind.PATIENT else None
    tx.session.execute(sa.delete(RecoveryCode).where(RecoveryCode.person_id == person))
    tx.session.execute(sa.delete(HalfLogIn).where(HalfLogIn.person_id == person))
    open_again(tx, Guessed.CODE, owner.email)
    tell(tx, Occasion.SECOND_STEP, [person])
    return changed(tx.session, sa.delete(SecondStep).where(SecondStep.person_id == person))


def renew_codes(visitor: Visitor, *, present: str) -> list[str]:
    """Ten new recovery codes; the older ones work no more. Raises NotAllowed, TooMany, NotVisible without a second step."""
    must_know_password(visitor, present)
    with transaction(by=visitor.actor, did="renew_recovery_codes") as tx:
        if tx.session.get(SecondStep, visitor.person_id, with_for_update=True) is None:
            raise NotVisible
        tell(tx, Occasion.SECOND_STEP, [visitor.person_id])
        return _new_codes(tx, visitor.person_id)


def turn_off(visitor: Visitor, *, present: str) -> None:
    """The password alone opens the account again; other sessions end. Raises Required, NotAllowed, TooMany, NotVisible."""
    if state_of(visitor.person_id).is_required:
        raise Required
    must_know_password(visitor, present)
    with transaction(by=visitor.actor, did="turn_off_second_step") as tx:
        if not _take_away(tx, visitor.person_id):
            raise NotVisible
        end_other_log_ins(visitor, by=visitor.actor)


def reset(visitor: Visitor, key: str, *, present: str) -> None:
    """An admin takes away the second step of somebody who has lost phone and codes; all their sessions end. Of who has to have
    one the next log-in asks to set it up.

    Raises NotYourOwn, NotAllowed when the admin's present password is wrong, TooMany, NotVisible.
    """
    person = person_with(key)
    if person.id == visitor.person_id:
        raise NotYourOwn
    must_know_password(visitor, present)
    with transaction(by=visitor.actor, did="reset_second_step") as tx:
        must_be_admin(tx)
        _reset(tx, person.id)


def reset_by_command(email: str) -> str:
    """The same for the operator, where no other admin is left. Answers the person's name. Raises NotVisible."""
    with transaction(by=COMMAND, did="reset_second_step") as tx:
        person = tx.session.scalar(sa.select(Person).where(Person.email_key == email_key(email)))
        if person is None:
            raise NotVisible
        _reset(tx, person.id)
        return person.name


def _reset(tx: Transaction, person: int) -> None:
    if not _take_away(tx, person):
        raise NotVisible
    end_sessions_of(tx.session, person)


def person_with(key: str) -> Person:
    """Raises NotVisible."""
    found = db.session.scalar(sa.select(Person).where(Person.key == key))
    if found is None:
        raise NotVisible
    return found
