"""What people do to their own account: password, wishes, log-ins; and who has opened their messages."""

import secrets
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from practice.db import Actor, changed, db, now, transaction
from practice.errors import Invalid, NotAllowed, NotVisible, Stale
from practice.links import end_ways_in
from practice.outbox import Occasion, tell, wish_changed
from practice.people import (
    AccountStatus,
    NoticePreference,
    Patient,
    Person,
    Staff,
    check_password,
    fold,
    hash_password,
    token_hash,
)
from practice.sessions import LoginSession, Visitor
from practice.settings import the_practice
from practice.threads import PAGE, Event, History, ReadLog, Thread, is_there_for_patient
from practice.throttle import password_of

# ---- Password ------------------------------------------------------------------------------------


def change_password(visitor: Visitor, *, present: str, new: str, by: Actor) -> str:
    """Changes the own password; answers the new secret of the own session. All other sessions and a
    link to choose another password end; the address is told.

    Raises NotAllowed when the present password is wrong, Invalid, Stale when it was changed elsewhere meanwhile, TooMany.
    """
    check_password(new)
    person = db.session.get_one(Person, visitor.person_id)
    must_be_hard_to_guess(new, person)
    must_know_password(visitor, present)
    before, after, key = person.password_hash, hash_password(new), secrets.token_urlsafe(32)
    with transaction(by=by, did="change_password", about=person.key) as tx:
        is_same = Person.id == visitor.person_id, Person.password_hash == before, Person.status == AccountStatus.ACTIVE
        if not changed(tx.session, sa.update(Person).where(*is_same).values(password_hash=after)):
            raise Stale("changed elsewhere")
        _end(tx.session, LoginSession.person_id == visitor.person_id, LoginSession.id != visitor.session_id)
        own = LoginSession.id == visitor.session_id, LoginSession.ended_at.is_(None)
        if not changed(tx.session, sa.update(LoginSession).where(*own).values(key_hash=token_hash(key))):
            raise Stale("the session has ended")
        end_ways_in(tx.session, visitor.person_id)
        tell(tx, Occasion.PASSWORD, [visitor.person_id])
    return key


def must_know_password(visitor: Visitor, present: str) -> None:
    """Whoever changes how one gets in says the present password again. Raises NotAllowed, TooMany."""
    email = db.session.get_one(Person, visitor.person_id).email
    if password_of(email, present, address=visitor.address) is None:
        raise NotAllowed("the present password is wrong")


def must_be_hard_to_guess(password: str, person: Person) -> None:
    """NIST SP 800-63B-4: what anybody would try first is refused. Raises Invalid."""
    said = fold(password)
    names = person.last_name + person.first_name, person.first_name + person.last_name, person.last_name, person.first_name
    is_name = _letters(said) in {_letters(fold(name)) for name in names}
    if is_name or len(set(said)) < 4 or _repeats(said) or _is_a_row(said):
        raise Invalid("password", "This password is too easy to guess. Choose another one.")
    known = fold(person.email.partition("@")[0]), fold(the_practice().name)
    if any(len(word) > 3 and word in said for word in known):
        raise Invalid("password", "Leave your e-mail address and the name of the practice out of your password.")


def _letters(text: str) -> str:
    return "".join(c for c in text if c.isalpha())


def _repeats(text: str) -> bool:
    """Whether it is one part again and again, the last one perhaps cut."""
    return any(text[n:] == text[:-n] for n in range(1, len(text) // 2 + 1))


def _is_a_row(text: str) -> bool:
    """Whether it goes on like the digits (after 9 comes 0), the alphabet, or the keys of a keyboard, either way."""
    steps = {(ord(after) - ord(before)) % 10 for before, after in pairwise(text)}
    return len(steps) == 1 or text in _KEYS or text[::-1] in _KEYS


_KEYS = "qwertyuiopasdfghjklzxcvbnm"


# ---- Log-ins -------------------------------------------------------------------------------------


def log_ins_of(visitor: Visitor) -> list[dict[str, Any]]:
    """The person's sessions that last now, the newest first: key, device, when opened and last seen, is it this one."""
    at = now()
    lasts = LoginSession.ended_at.is_(None), LoginSession.idle_ends_at > at, LoginSession.ends_at > at
    found = sa.select(LoginSession).where(LoginSession.person_id == visitor.person_id, *lasts)
    return [
        {
            "key": key_of(row),
            "device": row.device,
            "created_at": row.created_at,
            "seen_at": row.seen_at,
            "is_this": row.id == visitor.session_id,
        }
        for row in db.session.scalars(found.order_by(LoginSession.created_at.desc()).limit(100))
    ]


def key_of(row: LoginSession) -> str:
    """A name for a session that tells nothing of its secret, nor of its number."""
    return token_hash(row.key_hash)[:22]


def end_log_in(visitor: Visitor, key: str, *, by: Actor) -> None:
    """Ends another session of the same person. Raises NotVisible for the own one, and for what is not there."""
    with transaction(by=by, did="end_session") as tx:
        rows = tx.session.scalars(sa.select(LoginSession).where(LoginSession.person_id == visitor.person_id))
        found = next((row for row in rows if key_of(row) == key and row.id != visitor.session_id), None)
        if found is None or not _end(tx.session, LoginSession.id == found.id):
            raise NotVisible


def end_other_log_ins(visitor: Visitor, *, by: Actor) -> int:
    """Ends all sessions of the person but this one. Answers how many."""
    with transaction(by=by, did="end_session") as tx:
        ended = _end(tx.session, LoginSession.person_id == visitor.person_id, LoginSession.id != visitor.session_id)
        tx.is_silent = not ended
        return ended


def _end(session: Any, *which: Any) -> int:
    return changed(session, sa.update(LoginSession).where(*which, LoginSession.ended_at.is_(None)).values(ended_at=now()))


# ---- Wishes --------------------------------------------------------------------------------------


def change_notices(person: int, wish: NoticePreference, *, by: Actor) -> None:
    """How often a patient is told by mail that an answer waits, or staff of what waits for them; what is queued follows."""
    with transaction(by=by, did="change_notices") as tx:
        staff = tx.session.get(Staff, person, with_for_update=True)
        row = staff or tx.session.get_one(Patient, person, with_for_update=True)
        tx.patient = None if staff else person
        tx.note_change({"notices": row.notices}, {"notices": wish})
        row.notices = wish
        wish_changed(tx.session, person, wish)


def change_shortcuts(staff: int, *, is_on: bool, by: Actor) -> None:
    """Whether single keys act in the Message Box of this member of staff."""
    with transaction(by=by, did="change_shortcuts") as tx:
        row = tx.session.get_one(Staff, staff, with_for_update=True)
        tx.note_change({"uses_shortcuts": row.uses_shortcuts}, {"uses_shortcuts": is_on})
        row.uses_shortcuts = is_on


def of_staff(staff: int) -> Any:
    """What the practice has of a member of staff, and what they wish: names, login, e-mail, level, notices."""
    columns = (Person.last_name, Person.first_name, Person.email, Staff.login, Staff.level, Staff.notices)
    return db.session.execute(sa.select(*columns).join(Staff, Staff.id == Person.id).where(Person.id == staff)).one()


def notices_of(person: int) -> NoticePreference:
    both = sa.union_all(*(sa.select(kind.notices).where(kind.id == person) for kind in (Patient, Staff)))
    return NoticePreference(db.session.scalars(both).one())


# ---- Who opened my messages ----------------------------------------------------------------------


def readers_of(patient: int, *, page: int) -> tuple[list[Any], bool]:
    """A page of looks at the patient's threads, the newest first, and whether there are older ones.

    Rows: at, thread key and title, the reader's names and level, and whether it was opened with a reason by somebody not in
    charge. Looks of one person within an hour are one, and so are such an opening and the looks that it allowed.
    """
    both = looks_at(patient).subquery()
    found = sa.select(both).order_by(both.c.at.desc(), both.c.key).limit(PAGE + 1).offset((page - 1) * PAGE)
    rows = list(db.session.execute(found))
    return rows[:PAGE], len(rows) > PAGE


def looks_at(patient: int) -> sa.CompoundSelect[Any]:
    """All looks at the patient's threads, as readers_of has them, in no order."""
    allowed = _GLASS.c.thread_id == ReadLog.thread_id, _GLASS.c.staff_id == ReadLog.person_id
    in_time = _GLASS.c.at <= ReadLog.at, _GLASS.c.ends_at >= ReadLog.at
    who = (Thread.key, Thread.title, Person.key.label("person_key"), Person.last_name, Person.first_name, Staff.level)
    looked = (
        sa.select(ReadLog.at.label("at"), *who, sa.literal(False).label("is_with_reason"))
        .join(Thread, Thread.id == ReadLog.thread_id)
        .join(Person, Person.id == ReadLog.person_id)
        .outerjoin(Staff, Staff.id == Person.id)
        .where(Thread.patient_id == patient, is_there_for_patient(), ~sa.exists().where(*allowed, *in_time))
    )
    opened = (
        sa.select(History.at.label("at"), *who, sa.literal(True).label("is_with_reason"))
        .join(Thread, Thread.id == History.thread_id)
        .join(Person, Person.id == History.by_id)
        .outerjoin(Staff, Staff.id == Person.id)
        .where(Thread.patient_id == patient, History.did == Event.OPENED)
    )
    return sa.union_all(looked, opened)


# By name: the trays are above.
_GLASS = sa.table("break_glass", *(sa.column(name) for name in ("thread_id", "staff_id", "at", "ends_at")))
