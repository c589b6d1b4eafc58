"""People: everybody who can log in is a person; staff and patients are persons with more to say about them."""

import hashlib
import unicodedata
from datetime import date, datetime
from enum import StrEnum
from functools import lru_cache

import argon2
import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from practice.db import Actor, Model, Transaction, choice, db, new_key, now, transaction
from practice.errors import Invalid, NotAllowed


class Kind(StrEnum):
    PATIENT = "patient"
    STAFF = "staff"


class AccountStatus(StrEnum):
    INVITED = "invited"
    ACTIVE = "active"
    LOCKED = "locked"
    DISABLED = "disabled"


class NoticePreference(StrEnum):
    """How often a person is told by mail that something waits."""

    EACH = "each"
    DAILY = "daily"
    NONE = "none"


class Gender(StrEnum):
    """FHIR administrative-gender."""

    FEMALE = "female"
    MALE = "male"
    OTHER = "other"
    UNKNOWN = "unknown"


def fold(text: str) -> str:
    """The form names are searched by: no case, no accents, no double blanks."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return " ".join("".join(c for c in plain if not unicodedata.combining(c)).split())


def phone_key(phone: str) -> str:
    """The form phone numbers are searched by: the digits alone."""
    return "".join(c for c in unicodedata.normalize("NFKC", phone) if c in "0123456789")


# Compared by code point on both databases, so that a search by range finds the same people.
# Folding may make a name eighteen times as long, so it has no limit of its own.
Folded = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


class Person(Model):
    __tablename__ = "person"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(22), unique=True)
    kind: Mapped[Kind] = mapped_column(choice(Kind))
    status: Mapped[AccountStatus] = mapped_column(choice(AccountStatus))
    email: Mapped[str] = mapped_column(sa.String(254))
    email_key: Mapped[str] = mapped_column(sa.String(254), unique=True)
    password_hash: Mapped[str | None] = mapped_column(sa.String(200))
    last_name: Mapped[str] = mapped_column(sa.String(100))
    first_name: Mapped[str] = mapped_column(sa.String(100))
    name_key: Mapped[str] = mapped_column(Folded)
    created_at: Mapped[datetime]
    first_key: Mapped[str] = mapped_column(
        Folded, default=lambda made: fold(made.get_current_parameters()["first_name"]), server_default=""
    )
    __table_args__ = (
        sa.Index(None, "kind", "name_key", "id"),
        sa.Index(None, "kind", "first_key", "id"),
        sa.Index(None, "kind", "status", "name_key", "id"),
    )

    @property
    def name(self) -> str:
        return full_name(self.last_name, self.first_name)


class Patient(Model):
    __tablename__ = "patient"
    id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"), primary_key=True)
    dob: Mapped[date]
    gender: Mapped[Gender] = mapped_column(choice(Gender))
    phone: Mapped[str] = mapped_column(sa.String(40))
    record_number: Mapped[str | None] = mapped_column(sa.String(20), unique=True)  # None: not matched to the practice's record
    notices: Mapped[NoticePreference] = mapped_column(choice(NoticePreference, is_checked=False), server_default="each")
    phone_key: Mapped[str] = mapped_column(
        sa.String(40), default=lambda made: phone_key(made.get_current_parameters()["phone"]), server_default="", index=True
    )
    __table_args__ = (
        sa.Index(None, "dob"),
        sa.Index(
            "ix_patient_not_matched",
            "id",
            sqlite_where=sa.text("record_number IS NULL"),
            postgresql_where=sa.text("record_number IS NULL"),
        ),
    )


class Staff(Model):
    __tablename__ = "staff"
    id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"), primary_key=True)
    login: Mapped[str] = mapped_column(sa.String(60), unique=True)
    # What the practice calls them, as its short lists say it (settings.StaffTerm); shown and searched, never a permission.
    level: Mapped[str] = mapped_column(sa.String(60))
    group: Mapped[str] = mapped_column("staff_group", sa.String(60), server_default="")
    specialty: Mapped[str] = mapped_column(sa.String(60), server_default="")
    institution: Mapped[str] = mapped_column(sa.String(60), server_default="")
    department: Mapped[str] = mapped_column(sa.String(60), server_default="")
    is_admin: Mapped[bool]
    # The same human's patient account: one staff account for one patient.
    own_patient_id: Mapped[int | None] = mapped_column(sa.ForeignKey("patient.id"), index=True, unique=True)
    notices: Mapped[NoticePreference] = mapped_column(choice(NoticePreference, is_checked=False), server_default="each")
    uses_shortcuts: Mapped[bool] = mapped_column(server_default=sa.true(), default=True)  # single keys act in the Message Box
    last_logon_at: Mapped[datetime | None]
    last_logout_at: Mapped[datetime | None]
    # The form it is found and ordered by: no two members of staff have the same, whatever the case.
    login_key: Mapped[str] = mapped_column(
        Folded, default=lambda made: email_key(made.get_current_parameters()["login"]), server_default=""
    )
    __table_args__ = (sa.Index(None, "login_key", "id"),)


def full_name(last: str, first: str) -> str:
    """`LAST, FIRST` as stored; one part is enough."""
    return ", ".join(part for part in (last, first) if part)


def letter_name(last: str, first: str) -> str:
    """`FIRST LAST`, as a letter says it."""
    return " ".join(part for part in (first, last) if part)


def title_key(text: str) -> str:
    """Two titles or words of a list with the same key look the same: folded, and without signs that do not show."""
    return fold("".join(c for c in text if unicodedata.category(c) != "Cf"))


@lru_cache(maxsize=1024)
def term_key(word: str) -> str:
    """The same for a word of a list, which may be of signs alone that folding leaves nothing of: then the word itself."""
    return title_key(word) or word


def email_key(email: str) -> str:
    """Two addresses with the same key are the same account."""
    return unicodedata.normalize("NFKC", email).replace("\0", "").strip().casefold()


_hasher = argon2.PasswordHasher()
_NOBODY = _hasher.hash("a password nobody has")


def hash_password(password: str) -> str:
    return _hasher.hash(unicodedata.normalize("NFKC", password))


def person_with_password(email: str, password: str) -> Person | None:
    """The active person with this e-mail and password. An unknown address costs one hash too, so that time tells nothing."""
    person = db.session.scalar(sa.select(Person).where(Person.email_key == email_key(email)))
    stored = person.password_hash if person else None
    try:
        _hasher.verify(stored or _NOBODY, unicodedata.normalize("NFKC", password[:1024]))
    except argon2.exceptions.VerificationError:
        return None
    return person if person and stored and person.status == AccountStatus.ACTIVE else None


def check_password(password: str) -> None:
    """NIST SP 800-63B-4: 15 to 256 characters, any composition. Raises Invalid."""
    if len(password) > 1024 or not 15 <= len(unicodedata.normalize("NFKC", password)) <= 256:
        raise Invalid("password", "Use 15 to 256 characters.")
    if "\0" in password:
        raise Invalid("password", "Remove the characters that cannot be shown.")


def add_patient(
    *,
    last: str,
    first: str,
    email: str,
    dob: date,
    gender: Gender,
    phone: str,
    by: Actor,
    record_number: str | None = None,
    password_hash: str | None = None,
) -> int:
    """The id of a new active patient."""
    with transaction(by=by, did="add_patient") as tx:
        person = _person(Kind.PATIENT, last, first, email, password_hash)
        tx.session.add(person)
        tx.session.flush()
        tx.session.add(Patient(id=person.id, dob=dob, gender=gender, phone=phone, record_number=record_number))
        tx.session.flush()
        tx.about, tx.patient = person.key, person.id
        return person.id


def add_staff(
    *,
    login: str,
    last: str,
    first: str,
    email: str,
    level: str,
    by: Actor,
    is_admin: bool = False,
    own_patient: int | None = None,
    password_hash: str | None = None,
) -> int:
    """The id of a new active member of staff."""
    with transaction(by=by, did="add_staff") as tx:
        person = _person(Kind.STAFF, last, first, email, password_hash)
        tx.session.add(person)
        tx.session.flush()
        tx.session.add(Staff(id=person.id, login=login, level=level, is_admin=is_admin, own_patient_id=own_patient))
        tx.session.flush()
        tx.about = person.key
        return person.id


def _person(kind: Kind, last: str, first: str, email: str, password_hash: str | None) -> Person:
    return Person(
        key=new_key(),
        kind=kind,
        status=AccountStatus.ACTIVE,
        email=email.strip(),
        email_key=email_key(email),
        password_hash=password_hash,
        last_name=last,
        first_name=first,
        name_key=fold(f"{last} {first}"),
        created_at=now(),
    )


def active_admins(session: sa.orm.Session) -> list[int]:
    return list(
        session.scalars(
            sa.select(Staff.id).join(Person, Person.id == Staff.id).where(Staff.is_admin, Person.status == AccountStatus.ACTIVE)
        )
    )


def must_be_admin(tx: Transaction) -> None:
    """Commands and the system may; a person must be an active admin at this very moment. Raises NotAllowed."""
    if tx.by.person is not None and tx.by.person not in active_admins(tx.session):
        raise NotAllowed


def token_hash(token: str) -> str:
    """How single secrets are kept: never in the clear."""
    return hashlib.sha256(token.encode()).hexdigest()
