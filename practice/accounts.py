"""Staff accounts as an admin keeps them: found, added, changed, invited, disabled and enabled; and the first password of
whoever was invited."""

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from email_validator import EmailNotValidError, validate_email
from sqlalchemy.orm import Session

from practice.communicators import Communicator, Membership, words_of
from practice.conversations import is_visible
from practice.coverage import set_staff_status
from practice.db import SYSTEM, Actor, Transaction, again_if_doubled, db, now, page_within, transaction
from practice.errors import Invalid, NotVisible, Stale
from practice.links import LinkEnded, OneTimeLink, Purpose, end_links, end_ways_in, make_link, person_with_link, use_link
from practice.outbox import Occasion, Undeliverable, take_back, tell, tell_address
from practice.own_account import must_be_hard_to_guess
from practice.people import (
    AccountStatus,
    Kind,
    Patient,
    Person,
    Staff,
    active_admins,
    check_password,
    email_key,
    fold,
    full_name,
    hash_password,
    must_be_admin,
    term_key,
)
from practice.routing import hold_routing_still, wake
from practice.sessions import end_sessions_of, is_logged_on
from practice.settings import StaffTerm, TermKind
from practice.threads import PAGE

MOST = {"login": 60, "last_name": 100, "first_name": 100, "email": 254}
"""Characters of each text."""
TERM_FIELDS = tuple(kind.value for kind in TermKind)  # level, group, ...: one of the short list's words, or nothing


# ---- What an account says ------------------------------------------------------------------------


@dataclass(frozen=True)
class StaffValues:
    """What an admin enters about a member of staff."""

    login: str = ""
    last_name: str = ""
    first_name: str = ""
    email: str = ""
    level: str = ""
    group: str = ""
    specialty: str = ""
    institution: str = ""
    department: str = ""
    is_admin: bool = False


class Fault(NamedTuple):
    """What is wrong with a value: the field, which of SAYS, and what belongs into the sentence."""

    field: str
    code: str
    more: str = ""


SAYS = {
    "missing": "Write something here.",
    "name": "Write a last name, a first name or both.",
    "long": "This text is too long.",
    "strange": "Remove the characters that cannot be shown.",
    "email": "This is not an e-mail address.",
    "term": "Choose an entry of the list.",
    "taken_login": "Another member of staff has this ID.",
    "taken_email": "Another account has this e-mail address.",
    "last_admin": "This is the last active admin: make somebody else an admin first.",
}
"""The sentence of each fault beside its field."""


def refuse(faults: Iterable[Fault]) -> None:
    """Raises Invalid for the first."""
    for fault in faults:
        raise Invalid(fault.field, SAYS[fault.code])


def text_faults(field: str, text: str, *, is_required: bool = False, most: int = 0) -> tuple[str, list[Fault]]:
    """A text of one line as it is kept, and what is wrong with it."""
    text = " ".join(unicodedata.normalize("NFC", text).split())
    if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text):
        return "", [Fault(field, "strange")]
    if field == "login" and any(unicodedata.category(c) == "Cf" for c in text):  # no two IDs may look alike
        return text, [Fault(field, "strange")]
    text = text if is_visible(text) else ""
    if not text and is_required:
        return text, [Fault(field, "missing")]
    if len(text) > (most or MOST.get(field, 60)):
        return text, [Fault(field, "long")]
    return text, []


def email_faults(field: str, text: str) -> list[Fault]:
    """What is wrong with an address that is not empty. No name server is asked."""
    try:
        validate_email(text, check_deliverability=False)
    except EmailNotValidError:
        return [Fault(field, "email")]
    return [] if len(email_key(text)) <= MOST["email"] else [Fault(field, "long")]


Terms = Mapping[str, Mapping[str, str]]  # of each kind the words in use, by their folded form


def staff_faults(values: StaffValues, terms: Terms, *, before: StaffValues | None = None) -> tuple[StaffValues, list[Fault]]:
    """The values as they are kept, and all that is wrong with them, other accounts aside. `before`: what is kept now; a word
    that is not in use any more may stay."""
    kept: dict[str, Any] = {}
    faults: list[Fault] = []
    for field in (*MOST, *TERM_FIELDS):
        kept[field], wrong = text_faults(field, getattr(values, field), is_required=field in ("login", "email"))
        faults += wrong
    if not kept["last_name"] and not kept["first_name"] and not {f.field for f in faults} & {"last_name", "first_name"}:
        faults.append(Fault("last_name", "name"))
    if kept["email"] and not any(f.field == "email" for f in faults):
        faults += email_faults("email", kept["email"])
    for field in TERM_FIELDS:
        word = kept[field]
        if word and not (before and word == getattr(before, field)) and not any(f.field == field for f in faults):
            kept[field] = terms.get(field, {}).get(term_key(word), word)
            if term_key(word) not in terms.get(field, {}):
                faults.append(Fault(field, "term", ", ".join(terms.get(field, {}).values())))
    return replace(values, **kept), faults


def terms_of(session: Session, *, in_use: bool = True) -> dict[str, dict[str, str]]:
    """The words of the short lists by kind and folded form, in order; `in_use` False: those switched off too. One statement."""
    found: dict[str, dict[str, str]] = {kind: {} for kind in TERM_FIELDS}
    rows = session.connection().execute(_TERMS_IN_USE if in_use else _TERMS).all()
    for kind, name in sorted(rows, key=lambda row: term_key(row.name)):
        found[kind][term_key(name)] = name
    return found


_TERMS = sa.select(StaffTerm.kind, StaffTerm.name)
_TERMS_IN_USE = _TERMS.where(StaffTerm.is_in_use)


# ---- The list ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StaffSought:
    """Which staff are searched for; an empty word asks for nothing. `sort`: name, id or logon (the latest first)."""

    words: str = ""
    level: str = ""
    group: str = ""
    specialty: str = ""
    institution: str = ""
    department: str = ""
    status: AccountStatus | None = None
    is_logged_on: bool = False
    is_admin: bool = False
    sort: str = "name"


@dataclass(frozen=True)
class StaffPage:
    """`communicators`: how many each person (an id) is in charge of."""

    rows: list[Any]
    communicators: dict[int, int]
    total: int
    number: int


ORDERS: dict[str, tuple[Any, ...]] = {
    "name": (Person.name_key, Person.id),
    "id": (Staff.login_key, Staff.id),
    "logon": (Staff.last_logon_at.is_(None), Staff.last_logon_at.desc(), Person.name_key, Person.id),
}


def staff_list(session: Session, sought: StaffSought, *, number: int) -> StaffPage:
    """A page of the staff searched for; one beyond the last is the last. Three statements."""
    words = {f"word{n}": escaped(word) for n, word in enumerate(words_of(sought.words))}
    equal = {name: getattr(sought, name) for name in (*TERM_FIELDS, "status") if getattr(sought, name)}
    count, page = _list_of(tuple(words), tuple(equal), sought.is_admin, sought.is_logged_on, sought.sort)
    values = words | equal | {"at": now()}
    connection = session.connection()
    total = connection.scalar(count, values) or 0
    number = page_within(number, total, PAGE)
    rows = connection.execute(page, values | {"limit": PAGE, "offset": (number - 1) * PAGE}).all()
    in_charge = connection.execute(_IN_CHARGE_OF, {"staff": [row.id for row in rows]})
    return StaffPage(list(rows), {staff: communicators for staff, communicators in in_charge}, total, number)


def escaped(word: str) -> str:
    """A word as `contains(..., escape="/")` takes it."""
    return word.replace("/", "//").replace("%", "/%").replace("_", "/_")


@lru_cache(maxsize=256)
def _list_of(words: tuple[str, ...], equal: tuple[str, ...], is_admin: bool, is_on: bool, sort: str) -> tuple[Any, Any]:
    """The statements of a search: how many, and a page. `words` and `equal` name the parameters."""
    has_session = is_logged_on(Person.id, at=sa.bindparam("at", type_=Person.created_at.type))
    is_logged_on_now = sa.and_(Person.status == AccountStatus.ACTIVE, has_session)
    where: list[sa.ColumnElement[bool]] = []
    for word in (sa.bindparam(name, type_=sa.Text) for name in words):
        where.append(sa.or_(Person.name_key.contains(word, escape="/"), Staff.login_key.contains(word, escape="/")))
    where += [getattr(Person if name == "status" else Staff, name) == sa.bindparam(name) for name in equal]
    where += [Staff.is_admin.is_(True)] if is_admin else []
    where += [is_logged_on_now] if is_on else []
    joined = sa.select(Person.id).join(Staff, Staff.id == Person.id).where(Person.kind == Kind.STAFF, *where)
    counted = joined if words or "status" in equal or is_on else sa.select(Staff.id).where(*where)  # nothing of the person
    limit, offset = sa.bindparam("limit", type_=sa.Integer), sa.bindparam("offset", type_=sa.Integer)
    page = joined.order_by(*ORDERS[sort]).limit(limit).offset(offset).subquery()
    columns = Person.id, Person.key, Person.last_name, Person.first_name, Person.status, Staff.login, Staff.level, Staff.group
    more = Staff.specialty, Staff.is_admin, Staff.last_logon_at, is_logged_on_now.label("is_logged_on")
    rows = sa.select(*columns, *more).join(Staff, Staff.id == Person.id).join(page, page.c.id == Person.id)
    return sa.select(sa.func.count()).select_from(counted.subquery()), rows.order_by(*ORDERS[sort])


_IN_CHARGE_OF = (
    sa.select(Membership.staff_id, sa.func.count())
    .where(Membership.staff_id.in_(sa.bindparam("staff", expanding=True)), Membership.until.is_(None))
    .group_by(Membership.staff_id)
)


# ---- One account ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class StaffAccount:
    """An account as it was read. `seen` tells whether what an admin edits is still so."""

    id: int
    key: str
    status: AccountStatus
    values: StaffValues
    created_at: datetime
    last_logon_at: datetime | None
    last_logout_at: datetime | None
    communicators: tuple[str, ...] = ()  # titles of those they are in charge of
    link_ends_at: datetime | None = None  # of the invitation that still works

    @property
    def name(self) -> str:
        return full_name(self.values.last_name, self.values.first_name)

    @property
    def seen(self) -> str:
        text = json.dumps(asdict(self.values), ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:22]


def staff_account(session: Session, key: str) -> StaffAccount:
    """Three statements. Raises NotVisible."""
    person, staff = _load(session, key)
    titles = session.connection().scalars(_TITLES_OF, {"staff": person.id})
    link_ends_at = session.connection().scalar(_LINK_ENDS_AT, {"person": person.id, "now": now()})
    return replace(_account(person, staff), communicators=tuple(titles), link_ends_at=link_ends_at)


_TITLES_OF = (
    sa.select(Communicator.title)
    .join(Membership, Membership.communicator_id == Communicator.id)
    .where(Membership.staff_id == sa.bindparam("staff"), Membership.until.is_(None))
    .order_by(Communicator.title)
)
_LINK_ENDS_AT = sa.select(sa.func.max(OneTimeLink.ends_at)).where(
    OneTimeLink.person_id == sa.bindparam("person"), OneTimeLink.used_at.is_(None), OneTimeLink.ends_at > sa.bindparam("now")
)


def _load(session: Session, key: str, *, lock: bool = False) -> tuple[Person, Staff]:
    found = sa.select(Person, Staff).join(Staff, Staff.id == Person.id).where(Person.key == key)
    row = session.execute(found.with_for_update() if lock else found).first()
    if row is None:
        raise NotVisible
    return row[0], row[1]


def _account(person: Person, staff: Staff) -> StaffAccount:
    values = StaffValues(
        login=staff.login,
        last_name=person.last_name,
        first_name=person.first_name,
        email=person.email,
        is_admin=bool(staff.is_admin),
        **{field: getattr(staff, field) for field in TERM_FIELDS},
    )
    return StaffAccount(
        person.id, person.key, person.status, values, person.created_at, staff.last_logon_at, staff.last_logout_at
    )


def hold_accounts_still(session: Session) -> None:
    """One admin at a time names accounts: so no two get the same ID. Senders do not wait for it. Where routing is held too,
    that comes first."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.text("SELECT pg_advisory_xact_lock(7002)"))


@again_if_doubled
def add_staff_account(values: StaffValues, *, form_key: str, by: Actor) -> tuple[str, str]:
    """The key of a new, invited account, and the secret of its invitation; without one ("") when this form was sent before.

    Raises Invalid.
    """
    with transaction(by=by, did="add_staff", about=form_key) as tx:
        hold_accounts_still(tx.session)
        must_be_admin(tx)
        made = tx.session.scalar(sa.select(Person).where(Person.key == form_key))
        if made is not None:
            if made.kind != Kind.STAFF or made.email_key != email_key(values.email):
                raise Invalid("login", "This form was saved before, for another account. Open a new one.")
            tx.is_silent = True
            return form_key, ""
        values, faults = staff_faults(values, terms_of(tx.session))
        refuse(faults)
        refuse(_taken(tx.session, values))
        person = Person(key=form_key, kind=Kind.STAFF, status=AccountStatus.INVITED, created_at=now(), **person_columns(values))
        tx.session.add(person)
        tx.session.flush()
        tx.session.add(Staff(id=person.id, **staff_columns(values)))
        tx.session.flush()
        tx.note_change({}, asdict(values))
        return form_key, make_link(tx, person.id, Purpose.INVITATION)


def person_columns(values: Any) -> dict[str, Any]:
    """The columns of the person with these values (last_name, first_name, email)."""
    return {
        "email": values.email,
        "email_key": email_key(values.email),
        "last_name": values.last_name,
        "first_name": values.first_name,
        "name_key": fold(f"{values.last_name} {values.first_name}"),
        "first_key": fold(values.first_name),
    }


def staff_columns(values: StaffValues) -> dict[str, Any]:
    terms = {field: getattr(values, field) for field in TERM_FIELDS}
    return {"login": values.login, "login_key": email_key(values.login), "is_admin": values.is_admin, **terms}


def _taken(session: Session, values: StaffValues, *, but: int = 0) -> list[Fault]:
    """Whether another account has the ID or the address."""
    logins = sa.select(Staff.id).where(Staff.login_key == email_key(values.login), Staff.id != but).limit(1)
    emails = sa.select(Person.id).where(Person.email_key == email_key(values.email), Person.id != but).limit(1)
    found = [Fault("login", "taken_login")] if session.scalar(logins) else []
    return found + ([Fault("email", "taken_email")] if session.scalar(emails) else [])


@again_if_doubled
def save_staff(key: str, values: StaffValues, *, seen: str, by: Actor) -> bool:
    """Changes an account. Another role ends every session of the person; another role or address ends the invitation, which
    was meant for another account or another reader. Answers whether one that still worked has ended.

    Raises NotVisible, Stale when it was changed since it was `seen`, Invalid, also for demoting the last active admin.
    """
    with transaction(by=by, did="save_staff", about=key) as tx:
        hold_routing_still(tx.session, to_change_it=True)  # nobody is disabled or demoted meanwhile
        hold_accounts_still(tx.session)
        must_be_admin(tx)
        person, staff = _load(tx.session, key, lock=True)
        before = _account(person, staff)
        if before.seen != seen:
            raise Stale("changed by somebody else")
        values, faults = staff_faults(values, terms_of(tx.session), before=before.values)
        refuse(faults)
        refuse(_taken(tx.session, values, but=person.id))
        if before.values.is_admin and not values.is_admin and active_admins(tx.session) == [person.id]:
            refuse([Fault("is_admin", "last_admin")])
        for row, columns in ((person, person_columns(values)), (staff, staff_columns(values))):
            for name, value in columns.items():
                setattr(row, name, value)
        tx.session.flush()
        if before.values.is_admin != values.is_admin:
            end_sessions_of(tx.session, person.id)
        tx.is_silent = before.values == values
        tx.note_change(asdict(before.values), asdict(values))
        was, is_now = ((email_key(one.email), one.is_admin) for one in (before.values, values))
        if was == is_now:
            return False
        if was[0] != is_now[0] and person.status == AccountStatus.ACTIVE:
            tell_address(tx, Occasion.EMAIL_CHANGED, person.id, email=before.values.email)
        end_ways_in(tx.session, person.id)
        return end_links(tx.session, person.id, Purpose.INVITATION) > 0


def disable(key: str, *, by: Actor) -> None:
    """Nobody logs in with it; its memberships stay and count for nothing; an invitation ends.

    Raises NotVisible, NotAllowed for the last active admin.
    """
    with transaction(by=by, did="disabled_staff", about=key) as tx:
        tx.is_silent = True  # set_staff_status leaves the row
        set_staff_status(key, AccountStatus.DISABLED, by=by)
        end_links(tx.session, _load(tx.session, key)[0].id, Purpose.INVITATION)


def enable(key: str, *, by: Actor) -> None:
    """Back to what it was: active, or invited where nobody ever came in. What waited for it is delivered.

    Raises NotVisible.
    """
    with transaction(by=by, did="active_staff", about=key) as tx:
        tx.is_silent = True  # set_staff_status leaves the row
        hold_routing_still(tx.session, to_change_it=True)
        must_be_admin(tx)
        person, staff = _load(tx.session, key, lock=True)
        was_used = person.password_hash is not None or staff.last_logon_at is not None
        if person.status in (AccountStatus.DISABLED, AccountStatus.LOCKED):
            set_staff_status(key, AccountStatus.ACTIVE if was_used else AccountStatus.INVITED, by=by)


# ---- Invitations ---------------------------------------------------------------------------------


def invite_again(key: str, *, by: Actor) -> str:
    """The secret of a new invitation of an invited person, staff or patient, to be handed over; older ones end, and one that
    waits to be mailed is not sent. Raises NotVisible, Stale."""
    with transaction(by=by, did="invite", about=key) as tx:
        person = _who_is_invited(tx, key)
        take_back(tx.session, Occasion.INVITATION, person)  # its link would end this one
        return make_link(tx, person, Purpose.INVITATION)


def invite_by_mail(key: str, *, by: Actor) -> None:
    """Queues the mail that invites a person, staff or patient; its link is made when it leaves (`invitation_link_for`).

    Raises NotVisible, Stale.
    """
    with transaction(by=by, did="invite_by_mail", about=key) as tx:
        tell(tx, Occasion.INVITATION, [_who_is_invited(tx, key)])


def _who_is_invited(tx: Transaction, key: str) -> int:
    must_be_admin(tx)
    person = tx.session.scalar(sa.select(Person).where(Person.key == key).with_for_update())
    if person is None:
        raise NotVisible
    if person.status != AccountStatus.INVITED:
        raise Stale("the invitation was accepted, or the account is closed")
    tx.patient = person.id if person.kind == Kind.PATIENT else None
    return person.id


def invitation_link_for(person: int, *, token: str = "") -> str:
    """The secret of a fresh link, made as its mail leaves; older ones end. `token` as in make_link.

    Raises Undeliverable when the person (an id) is not invited any more.
    """
    with transaction(by=SYSTEM, did="make_invitation_link") as tx:
        found = tx.session.get_one(Person, person, with_for_update=True)
        if found.status != AccountStatus.INVITED:
            raise Undeliverable("the account is not invited any more")
        tx.about, tx.patient = found.key, found.id if found.kind == Kind.PATIENT else None
        return make_link(tx, person, Purpose.INVITATION, token=token)


def invited(token: str) -> Person:
    """Who is invited by this link. Changes nothing. Raises LinkEnded."""
    person = db.session.get_one(Person, person_with_link(db.session(), token, Purpose.INVITATION))
    if person.status != AccountStatus.INVITED:
        raise LinkEnded
    return person


def accept_invitation(token: str, *, password: str, address: str | None = None) -> None:
    """The invited person's first password, from a network `address`: the account is active, and what waited for it is
    delivered. Logs nobody in.

    Raises LinkEnded, Invalid for a password that is too short, too long or easy to guess.
    """
    person = invited(token)
    by = Actor(person.id, person.name, address=address)
    check_password(password)
    must_be_hard_to_guess(password, person)
    hashed = hash_password(password)  # slow: not while anybody waits for a lock
    with transaction(by=by, did="accept_invitation", about=person.key) as tx:
        if person.kind == Kind.STAFF:
            hold_routing_still(tx.session, to_change_it=True)
        _first_password(tx, token, hashed)


def _first_password(tx: Transaction, token: str, hashed: str) -> None:
    invited_id = person_with_link(tx.session, token, Purpose.INVITATION)
    person = tx.session.get_one(Person, invited_id, with_for_update=True)  # first, as whoever makes a new link does
    if person.status != AccountStatus.INVITED or use_link(tx, token, Purpose.INVITATION) != person.id:
        raise LinkEnded
    person.password_hash, person.status = hashed, AccountStatus.ACTIVE
    tx.note_change({"status": AccountStatus.INVITED}, {"status": AccountStatus.ACTIVE})
    tx.patient = person.id if tx.session.get(Patient, person.id) else None
    tx.session.flush()
    end_sessions_of(tx.session, person.id)
    if person.kind == Kind.STAFF:
        wake(tx)
