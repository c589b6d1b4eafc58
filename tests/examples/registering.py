"""Example data for the authorization walk: patients who register themselves, and who is not matched yet."""

from datetime import date
from typing import Any

import sqlalchemy as sa

from practice import registration
from practice.db import ANONYMOUS, COMMAND, WRITE, db, new_key, transaction
from practice.own_email import new_email_link_for
from practice.patients import account_of
from practice.people import Gender, Person, email_key
from practice.proofs import EmailProof, new_proof
from practice.registration import Said
from practice.settings import Practice
from tests.conftest import Player

PASSWORD = "four words nobody guesses"
SAID = {"last_name": "KWON", "first_name": "MINA", "dob": "1990-02-03", "gender": "female", "phone": "(555) 010-0300"}
"""What the form of a patient says, the address aside."""


def open_registration() -> None:
    with db.engines[WRITE].begin() as connection:
        connection.execute(sa.update(Practice.__table__).values(can_register=True))
    db.session.close()


def said(email: str = "mina@test.example", **other: Any) -> Said:
    values: dict[str, Any] = SAID | {"dob": date(1990, 2, 3), "gender": Gender.FEMALE} | other
    return Said(email=email, **values)


def register(email: str = "mina@test.example", **other: Any) -> None:
    open_registration()
    registration.register(said(email, **other), by=ANONYMOUS)


def newest_proof() -> int:
    db.session.close()
    return db.session.scalars(sa.select(sa.func.max(EmailProof.id))).one()


def link(email: str = "mina@test.example", **other: Any) -> str:
    """The secret of the link by which somebody finishes a registration."""
    register(email, **other)
    return registration.registration_link_for(newest_proof())


def registered(cast: Any, email: str = "mina@test.example", **other: Any) -> Player:
    """Somebody who has registered and waits to be matched, logged in."""
    db.session.close()
    one = sa.select(Person).where(Person.email_key == email_key(email))
    if db.session.scalar(one) is None:
        registration.finish_registration(link(email, **other), password=PASSWORD)
    person = db.session.scalars(one).one()
    return Player(cast.app, person.id, person.key, person.name, "mina")


def _of_patient(cast: Any) -> dict[str, Any]:
    return {"player": registered(cast), "others": [], "data": SAID | {"key": "k1"}}


def _code(cast: Any) -> dict[str, Any]:
    number = new_key()[:8]
    made = registration.make_code(number, dob=date(1990, 2, 3), by=cast.ada.actor)
    return {"player": registered(cast), "data": {"code": made, "key": "k1"}}


def _one(cast: Any, **data: str) -> dict[str, Any]:
    mina = registered(cast)
    seen = account_of(db.session(), mina.key).seen
    return {
        "player": cast.ada,
        "own": {"key": mina.key},
        "others": [(cast.ada, {"key": "x" * 22}), (cast.ada, {"key": cast.hugo.key})],
        "data": {"key": new_key(), "seen": seen} | data,
    }


def _link(cast: Any) -> dict[str, Any]:
    return {"own": {"token": link()}, "data": dict.fromkeys(("password", "password_again"), PASSWORD)}


def _asks(cast: Any) -> dict[str, Any]:
    open_registration()
    return {"data": SAID | {"email": "mina@test.example"}}


def new_email_link(cast: Any, email: str = "elsewhere@test.example", whose: Any = None) -> str:
    """The secret of the link that proves another address of a person."""
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        new_proof(tx, email, person=(whose or cast.sophie).id)
    return new_email_link_for(newest_proof())


def _new_email(cast: Any) -> dict[str, Any]:
    return {"own": {"token": new_email_link(cast)}}


EXAMPLES: dict[str, Any] = {
    "register.ask": _asks,
    "register.send_link": _asks,
    "register.new_password": _link,
    "register.set_password": _link,
    "new_email.look": _new_email,
    "new_email.take": _new_email,
    "portal.not_matched": _of_patient,
    "portal.correct_registration": _of_patient,
    "portal.match_by_code": _code,
    "admin.registrations": lambda cast: {"player": cast.ada, "others": []},
    "admin.search_registrations": lambda cast: {"player": cast.ada, "data": {"last_name": "kwon", "state": "waiting"}},
    "admin.registered_patient": _one,
    "admin.match_registered": lambda cast: _one(cast, record_number="4711"),
    "admin.ask_registered": lambda cast: _one(cast, question="HELLO"),
    "admin.refuse_registered": lambda cast: _one(cast, reason="HELLO"),
    "admin.match_codes": lambda cast: {"player": cast.ada},
    "admin.make_match_code": lambda cast: {
        "player": cast.ada,
        "data": {"record_number": "4711", "dob": "1990-02-03", "key": new_key()},
    },
}
