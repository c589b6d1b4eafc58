"""Imports: what a file may say, errors by line, all or nothing."""

import json
import time
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from practice import imports
from practice.accounts import StaffValues, add_staff_account
from practice.db import COMMAND, Audit, clock_at, db, new_key, now, transaction
from practice.errors import Invalid, NotAllowed, NotVisible, Stale
from practice.imports import Import, ImportKind, NotAsChecked, Seen, columns_in, import_seen
from practice.lists import have_terms
from practice.people import AccountStatus, Gender, Patient, Person, Staff
from practice.settings import TermKind
from tests.conftest import Cast
from tests.examples.admin_staff import begin

HEAD = "ID,Last name,First name,E-mail,Level,Admin\n"
PATIENTS = "Last name,First name,Date of birth,Sex,Phone,E-mail,Record number\n"


def seen(cast: Cast, key: str) -> Seen:
    db.session.close()
    return import_seen(db.session(), key, by=cast.ada.actor)


def faults(cast: Cast, text: str, kind: ImportKind = ImportKind.STAFF) -> list[tuple[int, str, str]]:
    return [(line, field, code) for line, field, code, _ in seen(cast, begin(cast, text, kind)).errors]


def count(model: Any) -> int:
    db.session.close()
    return db.session.scalar(sa.select(sa.func.count()).select_from(model)) or 0


def many(n: int, **bad: str) -> str:
    return HEAD + "".join(f"{bad.get(f'n{i}', f'user{i}')},LAST{i},FIRST{i},user{i}@test.example,,\n" for i in range(n))


# ---- Columns -------------------------------------------------------------------------------------


def test_columns_in_any_order_and_case() -> None:
    assert columns_in(ImportKind.STAFF, ["EMAIL", "last  name", "Id", ""]) == ["email", "last_name", "login"]
    assert columns_in(ImportKind.STAFF, ["e-mail", "First name", "ID"]) == ["email", "first_name", "login"]


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (["ID", "Last name", "E-mail", "Salary"], "Salary"),
        (["ID", "Last name"], "“E-mail” is missing"),
        (["ID", "E-mail"], "“Last name” is missing"),
        (["ID", "id", "Last name", "E-mail"], "“ID” is there twice"),
        (["ID", "", "Last name", "E-mail"], "not known"),
        ([], "is missing"),
    ],
)
def test_a_head_that_cannot_be_understood_is_named(head: list[str], says: str) -> None:
    with pytest.raises(Invalid, match=says):
        columns_in(ImportKind.STAFF, head)


# ---- Lines ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (",LAST,FIRST,a@test.example,,", ("login", "missing")),
        ("a,LAST,FIRST,,,", ("email", "missing")),
        ("a,LAST,FIRST,nonsense,,", ("email", "email")),
        ("a,,,a@test.example,,", ("last_name", "name")),
        ("a," + "x" * 101 + ",,a@test.example,,", ("last_name", "long")),
        ("a,LAST,FIRST,a@test.example,Wizard,", ("level", "term")),
        ("a,LAST,FIRST,a@test.example,,perhaps", ("is_admin", "yes_or_no")),
        ("SAM,LAST,FIRST,a@test.example,,", ("login", "taken")),
        ("a,LAST,FIRST,SOPHIE@test.example,,", ("email", "taken")),
        ("a\0b,LAST,FIRST,a@test.example,,", ("login", "strange")),
        ("a\u200db,LAST,FIRST,a@test.example,,", ("login", "strange")),
    ],
)
def test_a_wrong_line_is_named(cast: Cast, line: str, fault: tuple[str, str]) -> None:
    have_terms(TermKind.LEVEL, ["Clinician"], by=COMMAND)
    text = HEAD + "ok,LAST,FIRST,ok@test.example,clinician,Yes\n" + line + "\n"
    assert faults(cast, text) == [(3, *fault)]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("KWON,A,1990-13-01,f,,a@test.example,", ("dob", "day")),
        ("KWON,A,2999-01-01,f,,a@test.example,", ("dob", "day")),
        ("KWON,A,1990-01-01,cat,,a@test.example,", ("sex", "sex")),
        ("KWON,A,1990-01-01,f,,a@test.example,00000113", ("record_number", "taken")),
        ("KWON,A,1990-01-01,f,,a@test.example," + "9" * 21, ("record_number", "long")),
        ("KWON,A,1990-01-01,f,,sam@test.example,", ("email", "taken")),
    ],
)
def test_a_wrong_line_of_a_patient_is_named(cast: Cast, line: str, fault: tuple[str, str]) -> None:
    assert faults(cast, PATIENTS + line + "\n", ImportKind.PATIENTS) == [(2, *fault)]


def test_what_repeats_names_both_lines_over_steps(cast: Cast) -> None:
    key = begin(cast, many(imports.STEP + 3, n501="USER3"))
    assert seen(cast, key).errors == [(503, "login", "twice", "5")]


def test_errors_are_all_counted_and_the_first_kept(cast: Cast) -> None:
    found = seen(cast, begin(cast, HEAD + ",,,,,\nx,,,,," * 1 + "\ny,,,,," * 300))
    assert found.error_count > 600 and len(found.errors) == imports.ERRORS_KEPT


def test_lines_are_checked_in_steps(cast: Cast) -> None:
    key = begin(cast, many(1200), is_checked=False)
    done = []
    while not done or not done[-1]:
        done.append(imports.check_more(key, by=cast.ada.actor))
    assert done == [False, False, True] and seen(cast, key).is_checked


# ---- Taking --------------------------------------------------------------------------------------


def test_staff_are_imported_once_with_one_audit_row_of_the_act(cast: Cast) -> None:
    have_terms(TermKind.LEVEL, ["Clinician"], by=COMMAND)
    before = count(Staff)
    text = HEAD + "peter,STAFF,PÉTER,peter@test.example,CLINICIAN,yes\nrosa,مركز,,rosa@test.example,,\n"
    key = begin(cast, text)
    assert imports.take_import(key, by=cast.ada.actor) == imports.take_import(key, by=cast.ada.actor) == 2
    assert count(Staff) == before + 2
    found = db.session.execute(
        sa.select(Person, Staff).join(Staff, Staff.id == Person.id).where(Staff.login_key == "peter")
    ).one()
    assert (found.Staff.level, found.Staff.is_admin, found.Person.status) == ("Clinician", True, AccountStatus.INVITED)
    assert (found.Person.name_key, found.Person.first_key, found.Person.password_hash) == ("staff peter", "peter", None)
    rows = db.session.scalars(sa.select(Audit).where(Audit.did == "import_staff")).all()
    assert len(rows) == 1 and json.loads(rows[0].details)["rows"] == 2 and rows[0].about == key
    assert "peter" not in db.session.scalars(sa.select(Import.lines)).one()


def test_patients_are_imported(cast: Cast) -> None:
    text = PATIENTS + "PARK,MINA,1991-02-03,Female,(555) 010-7,mina@test.example,4711\nPARK,,1991-02-03,,,p@test.example,\n"
    key = begin(cast, text, ImportKind.PATIENTS)
    assert imports.take_import(key, by=cast.ada.actor) == 2
    db.session.close()
    mina = db.session.scalars(sa.select(Patient).where(Patient.record_number == "4711")).one()
    assert (mina.gender, mina.phone_key, str(mina.dob)) == (Gender.FEMALE, "5550107", "1991-02-03")


def noted(cast: Cast, key: str) -> list[tuple[str, int | None, dict[str, Any]]]:
    """What the audit says of each imported account, all in one act with the import: key, patient, what it is."""
    db.session.close()
    act = sa.select(Audit.act).where(Audit.about == key, Audit.did.in_(["import_staff", "import_patients"])).scalar_subquery()
    rows = db.session.scalars(sa.select(Audit).where(Audit.did == "import_account", Audit.act == act).order_by(Audit.id))
    return [(row.about, row.patient_id, json.loads(row.details)["after"]) for row in rows if row.actor_id == cast.ada.id]


def test_the_audit_names_who_came_in(cast: Cast) -> None:
    key = begin(cast, HEAD + "peter,STAFF,PETER,peter@test.example,,yes\nrosa,LUZ,,rosa@test.example,,\n")
    imports.take_import(key, by=cast.ada.actor)
    imports.take_import(key, by=cast.ada.actor)
    found = noted(cast, key)
    keys = dict(db.session.execute(sa.select(Staff.login, Person.key).join(Person, Person.id == Staff.id)).all())
    assert found == [
        (keys["peter"], None, {"login": "peter", "name": "STAFF, PETER", "is_admin": True}),
        (keys["rosa"], None, {"login": "rosa", "name": "LUZ", "is_admin": False}),
    ]
    text = PATIENTS + "PARK,MINA,1991-02-03,Female,,mina@test.example,4711\nPARK,,1991-02-03,,,p@test.example,\n"
    key = begin(cast, text, ImportKind.PATIENTS)
    imports.take_import(key, by=cast.ada.actor)
    found = noted(cast, key)
    assert [after for _, _, after in found] == [{"name": "PARK, MINA", "record_number": "4711"}, {"name": "PARK"}]
    people = db.session.execute(sa.select(Person.key, Person.id).where(Person.last_name == "PARK").order_by(Person.id)).all()
    assert [(about, patient) for about, patient, _ in found] == [tuple(row) for row in people]


def test_5000_accounts_are_taken_with_their_audit_rows_in_no_time(cast: Cast) -> None:
    text = HEAD + "".join(f"u{i},L{i},F{i},u{i}@test.example,,\n" for i in range(5000))
    key = begin(cast, text)
    began = time.monotonic()
    imports.take_import(key, by=cast.ada.actor)
    assert time.monotonic() - began < 10  # about one second; all that waits meanwhile waits for this
    assert len(noted(cast, key)) == 5000


def test_one_bad_line_in_many_imports_nothing(cast: Cast) -> None:
    before = count(Person)
    key = begin(cast, many(600, n599="sam"))
    with pytest.raises(Stale):
        imports.take_import(key, by=cast.ada.actor)
    assert count(Person) == before


def test_what_is_not_checked_to_the_end_is_not_taken(cast: Cast) -> None:
    with pytest.raises(Stale):
        imports.take_import(begin(cast, is_checked=False), by=cast.ada.actor)


def test_an_account_made_meanwhile_stops_it_and_it_is_checked_again(cast: Cast) -> None:
    before, key = count(Person), begin(cast)
    values = StaffValues(login="Peter", last_name="X", email="x@test.example")
    add_staff_account(values, form_key=new_key(), by=cast.ada.actor)
    with pytest.raises(NotAsChecked):
        imports.take_import(key, by=cast.ada.actor)
    assert count(Person) == before + 1 and seen(cast, key).checked == 0
    imports.check_more(key, by=cast.ada.actor)
    assert [code for *_, code, _ in seen(cast, key).errors] == ["taken"]


def test_only_the_admin_who_brought_it_finds_it(cast: Cast) -> None:
    key, eve = begin(cast), cast.staff("eve", is_admin=True)
    for act in (imports.check_more, imports.take_import, imports.discard_import):
        with pytest.raises(NotVisible):
            act(key, by=eve.actor)
    with pytest.raises(NotAllowed):
        imports.begin_import(ImportKind.STAFF, file_name="x", table=[(1, ["ID", "Last name", "E-mail"]), (2, ["a", "b", "c"])],
                             form_key=new_key(), by=cast.sam.actor)  # fmt: skip


STAFF_TABLE = [(1, ["ID", "Last name", "E-mail"]), (2, ["a", "b", "c@test.example"])]
PATIENT_TABLE = [(1, ["Last name", "Date of birth", "E-mail"]), (2, ["a", "1990-02-03", "c@test.example"])]


@pytest.mark.parametrize("is_taken", [False, True])
def test_the_same_form_brings_one_file_and_no_other(cast: Cast, is_taken: bool) -> None:
    def bring(kind: ImportKind, name: str, table: Any) -> str:
        return imports.begin_import(kind, file_name=name, table=table, form_key="k" * 22, by=cast.ada.actor)

    key = bring(ImportKind.STAFF, "a.csv", STAFF_TABLE)
    if is_taken:
        assert imports.check_more(key, by=cast.ada.actor) and imports.take_import(key, by=cast.ada.actor) == 1
    assert bring(ImportKind.STAFF, "a.csv", STAFF_TABLE) == key
    other_line = [STAFF_TABLE[0], (2, ["a", "b", "d@test.example"])]
    other_head = [(1, ["ID", "First name", "E-mail"]), STAFF_TABLE[1]]
    for kind, name, table in (
        (ImportKind.STAFF, "b.csv", STAFF_TABLE),
        (ImportKind.STAFF, "a.csv", other_line),
        (ImportKind.STAFF, "a.csv", other_head),
        (ImportKind.PATIENTS, "a.csv", PATIENT_TABLE),
    ):
        with pytest.raises(Invalid, match="another file before, “a.csv”"):
            bring(kind, name, table)
    found = seen(cast, key)
    assert (found.kind, found.file_name, found.total, found.is_done) == (ImportKind.STAFF, "a.csv", 1, is_taken)
    assert count(Import) == 1


def test_discarded_and_forgotten_files_leave_nothing(cast: Cast) -> None:
    imports.discard_import(begin(cast), by=cast.ada.actor)
    assert count(Import) == 0
    begin(cast)
    for hours, left in ((23, 1), (25, 0)):
        with clock_at(now() + timedelta(hours=hours)), transaction(by=COMMAND, did="set_up_tests") as tx:
            imports.forget_imports(tx.session)
        assert count(Import) == left


def test_taking_needs_a_fixed_number_of_statements_for_every_500(cast: Cast, statements: Any) -> None:
    counts = []
    for n, prefix in ((300, "a"), (499, "b")):
        key = begin(cast, many(n).replace("user", prefix))
        with statements() as found:
            imports.take_import(key, by=cast.ada.actor)
        counts.append(len(found))
    assert counts[0] == counts[1]
