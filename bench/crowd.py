"""A large practice around the loaded messages: staff, communicators, patients and an audit as years of use would leave them.

Made by bulk inserts of the rows that the verbs would write; routing has no part in it, for none of these gets a thread.
"""

import random
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from itertools import islice
from typing import Any

import sqlalchemy as sa

from practice.absences import Absence
from practice.communicators import Communicator, Membership
from practice.db import WRITE, Audit, db, new_key, now
from practice.people import AccountStatus, Gender, Kind, Patient, Person, Staff, email_key, fold, title_key
from practice.settings import RequestType, StaffTerm, TermKind
from practice.threads import ReadLog, Thread

STAFF, COMMUNICATORS, PATIENTS, AUDIT, READS = 5_000, 300, 50_000, 1_000_000, 200_000
LAST = ("ADLER", "BAKER", "COSTA", "DIAZ", "ECKERT", "FONTAINE", "GRUBER", "HALE", "ITO", "JANSEN", "KOVAC", "LOPEZ", "MEYER")
FIRST = ("ANNA", "BEN", "CARLA", "DAVID", "EVA", "FINN", "GRETA", "HUGH", "INES", "JONAS", "KIM", "LEA", "MAX", "NORA")
DID = ("send", "reply", "answer", "receive", "close", "log_in", "log_out", "save_draft", "save_communicator", "denied")


def gather(say: Callable[[str], None]) -> None:
    """Fills the database that the application is set up for."""
    chance = random.Random(1)
    with db.engines[WRITE].begin() as connection:
        next_id = (connection.scalar(sa.select(sa.func.max(Person.id))) or 0) + 1
        staff = list(range(next_id, next_id + STAFF))
        patients = list(range(staff[-1] + 1, staff[-1] + 1 + PATIENTS))
        _insert(connection, Person, (_person(chance, one, Kind.STAFF) for one in staff))
        _insert(connection, Staff, (_staff(chance, one) for one in staff))
        _insert(connection, Person, (_person(chance, one, Kind.PATIENT) for one in patients))
        _insert(connection, Patient, (_patient(chance, one) for one in patients))
        _insert(connection, StaffTerm, ({"key": new_key(), "kind": k, "name": name} for k, name in _terms()))
        say("people are there")
        first = (connection.scalar(sa.select(sa.func.max(Communicator.id))) or 0) + 1
        communicators = list(range(first, first + COMMUNICATORS))
        _insert(connection, Communicator, (_communicator(chance, one) for one in communicators))
        members = ((c, s) for c in communicators for s in chance.sample(staff, 17))
        _insert(connection, Membership, ({"communicator_id": c, "staff_id": s, "since": now()} for c, s in members))
        _insert(connection, Absence, (_absence(chance, one, staff) for one in chance.sample(staff, 200)))
        say("communicators are there")
        start = (connection.scalar(sa.select(sa.func.max(Audit.id))) or 0) + 1
        _insert(connection, Audit, (_audit(chance, n, staff, patients) for n in range(start, start + AUDIT)))
        threads = list(connection.scalars(sa.select(Thread.id)))
        looks = {(chance.choice(staff), chance.choice(threads), chance.randrange(490_000, 500_000)) for _ in range(READS)}
        _insert(connection, ReadLog, ({"person_id": p, "thread_id": t, "hour": h, "at": now()} for p, t, h in looks))
        say("the audit is there")
        if connection.dialect.name == "postgresql":
            for table in (Person, Communicator, Audit, Membership, Absence):
                name = table.__tablename__
                connection.execute(
                    sa.text(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), (SELECT max(id) FROM {name}))")
                )
    tidy()


def tidy() -> None:
    """Leaves the database as it leaves itself in time: with statistics, and on PostgreSQL with nothing dead."""
    with db.engines[WRITE].execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("ANALYZE")
        else:
            connection.exec_driver_sql("SET statement_timeout = 0")
            connection.exec_driver_sql("VACUUM (ANALYZE)")
            connection.invalidate()  # with its setting


def _insert(connection: sa.Connection, table: Any, rows: Iterator[dict[str, Any]]) -> None:
    """By COPY on PostgreSQL, where a million inserts take a quarter of an hour."""
    put = _copy if connection.dialect.name == "postgresql" else sa.Connection.execute
    while some := list(islice(rows, 10_000)):
        put(connection, table.__table__.insert(), some)


def _copy(connection: sa.Connection, insert: sa.Insert, rows: list[dict[str, Any]]) -> None:
    """Values go the way that the insert's would; a column that the rows do not name is left empty."""
    dialect, columns = connection.dialect, [insert.table.c[name] for name in rows[0]]
    ways = [(c.name, c.type.dialect_impl(dialect).bind_processor(dialect)) for c in columns]
    names = ", ".join(dialect.identifier_preparer.quote(c.name) for c in columns)
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY {insert.table.name} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row([way(row[name]) if way else row[name] for name, way in ways])


def _person(chance: random.Random, number: int, kind: Kind) -> dict[str, Any]:
    last, first = f"{chance.choice(LAST)}{number % 97}", chance.choice(FIRST)
    email = f"{kind}{number}@crowd.example"
    return {
        "id": number,
        "key": new_key(),
        "kind": kind,
        "status": AccountStatus.ACTIVE,
        "email": email,
        "email_key": email,
        "last_name": last,
        "first_name": first,
        "name_key": fold(f"{last} {first}"),
        "created_at": now(),
    }


def _staff(chance: random.Random, number: int) -> dict[str, Any]:
    words = {"level": "Staff", "staff_group": "Office", "specialty": "", "institution": "Main", "department": f"D{number % 12}"}
    login = f"crowd{number}"
    return {"id": number, "login": login, "login_key": email_key(login), "is_admin": False, **words}


def _terms() -> Iterator[tuple[TermKind, str]]:
    """The short lists: what the staff have, and more."""
    yield from ((TermKind.LEVEL, name) for name in ("Staff", "Clinician", "Administrator"))
    yield from ((TermKind.GROUP, name) for name in ("Office", "Nursing"))
    yield from ((TermKind.SPECIALTY, f"Specialty {n}") for n in range(40))
    yield from ((TermKind.INSTITUTION, name) for name in ("Main", "Annex"))
    yield from ((TermKind.DEPARTMENT, f"D{n}") for n in range(12))


def _patient(chance: random.Random, number: int) -> dict[str, Any]:
    born = date(1940, 1, 1) + timedelta(days=chance.randrange(25_000))
    return {"id": number, "dob": born, "gender": Gender.UNKNOWN, "phone": f"(555) {number:07}", "record_number": f"C{number}"}


def _communicator(chance: random.Random, number: int) -> dict[str, Any]:
    title = f"Crowd desk {number}"
    kind = chance.choice(list(RequestType))
    row = {"id": number, "key": new_key(), "type": kind, "title": title, "title_key": title_key(title)}
    return row | {"is_in_use": number % 5 > 0, "help": "", "version": 1}


def _absence(chance: random.Random, number: int, staff: list[int]) -> dict[str, Any]:
    starts = now() - timedelta(days=chance.randrange(20))
    row = {"key": new_key(), "staff_id": number, "deputy_id": chance.choice(staff), "starts_at": starts, "version": 1}
    return row | {"ends_at": starts + timedelta(days=chance.randrange(1, 40))}


def _audit(chance: random.Random, number: int, staff: list[int], patients: list[int]) -> dict[str, Any]:
    actor = chance.choice(staff)
    return {
        "id": number,
        "at": now() - timedelta(seconds=AUDIT - number),
        "act": f"{number:022}",
        "actor_id": actor,
        "actor_name": "CROWD, ONE",
        "session_id": None,
        "did": DID[number % len(DID)],
        "about": f"{number % 5000:022}",
        "patient_id": chance.choice(patients),
        "details": '{"after": {"title": "New"}, "before": {"title": "Old"}}' if number % 10 == 8 else "",
        "address": "192.0.2.7",
    }
