"""Example data for the authorization walk: the patients' accounts. `others` are those who must not find the object."""

from datetime import date
from typing import Any

from practice import patients, people
from practice.db import COMMAND, db, new_key, transaction
from practice.patients import account_of, merges_of, seen_together


def _account(cast: Any, player: str = "hugo", **data: Any) -> dict[str, Any]:
    patient = getattr(cast, player)
    seen = account_of(db.session(), patient.key).seen
    return {
        "player": cast.ada,
        "own": {"key": patient.key},
        "others": [(cast.ada, {"key": "x" * 22}), (cast.ada, {"key": cast.sam.key})],
        "data": {"key": new_key(), "seen": seen} | data,
    }


def _locked(cast: Any) -> dict[str, Any]:
    patients.lock(cast.jihae.key, seen=account_of(db.session(), cast.jihae.key).seen, by=COMMAND)
    return _account(cast, "jihae")


def _linked(cast: Any) -> dict[str, Any]:
    patients.link_staff(cast.hugo.key, staff_login="dan", seen=account_of(db.session(), cast.hugo.key).seen, by=COMMAND)
    return _account(cast)


def invited(cast: Any) -> str:
    """The key of a patient as an import makes them: invited, without a password or a link."""
    made = people.add_patient(
        last="KWON",
        first="MINA",
        email=f"{new_key()}@test.example",
        dob=date(1990, 2, 3),
        gender=people.Gender.UNKNOWN,
        phone="",
        by=COMMAND,
    )
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        person = tx.session.get_one(people.Person, made)
        person.status = people.AccountStatus.INVITED
    return person.key


def _invited(cast: Any) -> dict[str, Any]:
    return _account(cast) | {"own": {"key": invited(cast)}}


def _mailed(cast: Any) -> dict[str, Any]:
    made = _invited(cast)
    db.session.close()
    seen = account_of(db.session(), made["own"]["key"]).seen
    return made | {"data": {"key": new_key(), "seen": seen}}


def _pair(cast: Any) -> dict[str, Any]:
    two = [account_of(db.session(), player.key) for player in (cast.sophie, cast.jihae)]
    return {
        "player": cast.ada,
        "own": {"key": two[0].key, "other": two[1].key},
        "others": [(cast.ada, {"key": "x" * 22, "other": "x" * 22})],
        "data": {"key": new_key(), "kept": two[0].key, "seen": seen_together(*two), "is_confirmed": "y"},
    }


def _merged(cast: Any) -> dict[str, Any]:
    two = [account_of(db.session(), player.key) for player in (cast.sophie, cast.jihae)]
    merges = merges_of(db.session(), two[0].id)
    if not merges:
        together = seen_together(*two)
        patients.merge(two[0].key, two[1].key, form_key=new_key(), seen=together, is_confirmed=True, by=COMMAND)
        merges = merges_of(db.session(), two[0].id)
    return {
        "player": cast.ada,
        "own": {"key": two[0].key, "merge": merges[0].key},
        "others": [(cast.ada, {"key": two[0].key, "merge": "x" * 22}), (cast.ada, {"key": "x" * 22, "merge": merges[0].key})],
        "data": {"version": str(merges[0].version)},
    }


EXAMPLES: dict[str, Any] = {
    "admin.patients": lambda cast: {},
    "admin.search_patients": lambda cast: {"player": cast.ada, "data": {"last_name": "kwon", "status": "active"}},
    "admin.patient": _account,
    "admin.match_patient": lambda cast: _account(cast, record_number="4711"),
    "admin.unmatch_patient": _account,
    "admin.lock_patient": _account,
    "admin.unlock_patient": _locked,
    "admin.invite_patient": _invited,
    "admin.mail_patient_invitation": _mailed,
    "admin.link_patient": lambda cast: _account(cast, login="dan"),
    "admin.unlink_patient": _linked,
    "admin.patient_merge": _account,
    "admin.patient_merging": _pair,
    "admin.merge_patients": _pair,
    "admin.undo_merge": _merged,
}
