"""The tray of those not matched: whom it shows, what an admin does with them, and what the patient is told and sees."""

from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from practice import matching, patients
from practice.db import COMMAND, Audit, clock_at, db, now, transaction
from practice.errors import Invalid, NotAllowed, NotVisible, Stale, TooMany
from practice.matching import TRANSITIONS, MatchCode, MatchState, Registration, Sought
from practice.outbox import Notice, Occasion
from practice.people import AccountStatus, Patient, Person, token_hash
from practice.registration import ask_registered, correct_registration, make_code, match_by_code, refuse_registration
from practice.threads import PAGE
from tests.conftest import Cast, Player
from tests.examples.registering import SAID, registered, said
from tests.practice.test_accounts import together
from tests.test_reset import asked, rows

URL = "/admin/registrations"


def seen(player: Player) -> str:
    db.session.close()
    return patients.account_of(db.session(), player.key).seen


def state_of(player: Player) -> tuple[MatchState, str | None, AccountStatus]:
    db.session.close()
    row = sa.select(Registration.state, Patient.record_number, Person.status)
    row = row.join(Patient, Patient.id == Registration.patient_id).join(Person, Person.id == Patient.id)
    return tuple(db.session.execute(row.where(Patient.id == player.id)).one())  # type: ignore[return-value]


def act(cast: Cast, player: Player, what: str, **data: str) -> Any:
    return cast.ada.post(f"{URL}/{player.key}/{what}", {"seen": seen(player)} | data)


def told(player: Player) -> list[Occasion]:
    db.session.close()
    return list(db.session.scalars(sa.select(Notice.occasion).where(Notice.person_id == player.id).order_by(Notice.id)))


def test_who_registers_stands_in_the_tray_until_matched_and_then_is_like_any_patient(cast: Cast) -> None:
    assert "Nobody waits" in cast.ada.get(URL).text
    mina = registered(cast)
    page = cast.ada.get(URL).text
    assert "KWON, MINA" in page and "1990-02-03" in page
    assert '1<span class="visually-hidden"> waiting</span>' in page, "the menu counts it"
    page = cast.ada.get(f"{URL}/{mina.key}").text
    assert "mina@test.example" in page and "(555) 010-0300" in page
    answer = act(cast, mina, "record-number", record_number=" 4711 ")
    assert (answer.status_code, answer.location) == (303, f"{URL}?done=matched")
    assert "KWON, MINA" not in cast.ada.get(answer.location).text
    assert state_of(mina) == (MatchState.MATCHED, "4711", AccountStatus.ACTIVE) and told(mina) == [Occasion.MATCHED]
    assert "has not matched" not in mina.get("/").text and mina.get("/account/not-matched").status_code == 404
    (row,) = rows("match_patient")
    assert (row.about, row.actor_id, row.patient_id) == (mina.key, cast.ada.id, mina.id)
    assert act(cast, mina, "questions", question="Is it you?").status_code == 409
    assert act(cast, mina, "refusal", reason="Unknown").status_code == 409
    assert state_of(mina)[2] == AccountStatus.ACTIVE
    patients.unmatch(mina.key, seen=seen(mina), by=cast.ada.actor)
    assert state_of(mina)[:2] == (MatchState.WAITING, None) and told(mina) == [], "what nobody heard of yet is taken back"
    assert "KWON, MINA" in cast.ada.get(URL).text


def test_a_number_that_another_account_has_leads_to_merging(cast: Cast) -> None:
    mina = registered(cast, first_name="HUGO", dob=date(1978, 2, 22))  # as the cast's Hugo
    page = cast.ada.get(f"{URL}/{mina.key}").text
    assert "may be the same person" in page and f"/admin/patients/{mina.key}/merge/{cast.hugo.key}" in page
    answer = act(cast, mina, "record-number", record_number="00000115")
    assert answer.status_code == 422 and "Another account has this record number." in answer.text
    assert f"/admin/patients/{mina.key}/merge/{cast.hugo.key}" in answer.text and state_of(mina)[1] is None
    for wrong in ("", "x" * 21):
        assert act(cast, mina, "record-number", record_number=wrong).status_code == 422
    together_ = patients.seen_together(*(patients.account_of(db.session(), p.key) for p in (cast.hugo, mina)))
    patients.merge(cast.hugo.key, mina.key, form_key="k" * 22, seen=together_, by=cast.ada.actor)
    assert "Nobody waits" in cast.ada.get(URL).text and told(mina) == [Occasion.LOCKED]


def test_an_admin_asks_and_the_patient_answers(cast: Cast) -> None:
    mina = registered(cast)
    assert act(cast, mina, "questions", question=" ").status_code == 422
    assert act(cast, mina, "questions", question="x" * 501).status_code == 422
    assert act(cast, mina, "questions", question="Were you called <b>PARK</b> before?").location == f"{URL}?done=asked"
    assert state_of(mina)[0] == MatchState.ASKED and told(mina) == [Occasion.ASKED]
    assert "KWON, MINA" not in cast.ada.get(URL).text
    page = mina.get("/account/not-matched").text
    assert "The practice asks you" in page and "&lt;b&gt;PARK&lt;/b&gt;" in page
    for wrong, says in (
        ({"dob": "2990-01-01"}, "cannot be a date of birth"),
        ({"last_name": "", "first_name": ""}, "Write a last name"),
    ):
        answer = mina.post("/account/not-matched", SAID | wrong)
        assert answer.status_code == 422 and says in answer.text
    extra = {"record_number": "4711", "email": "other@test.example", "state": "matched", "is_admin": "y", "status": "active"}
    answer = mina.post("/account/not-matched", SAID | {"last_name": "PARK", "phone": "555 1"} | extra)
    assert (answer.status_code, answer.location) == (303, "/account/not-matched?done=saved")
    assert state_of(mina) == (MatchState.WAITING, None, AccountStatus.ACTIVE)
    db.session.close()
    person, patient = db.session.get_one(Person, mina.id), db.session.get_one(Patient, mina.id)
    assert (person.name, person.name_key, person.email) == ("PARK, MINA", "park mina", "mina@test.example")
    assert (patient.phone, patient.phone_key) == ("555 1", "5551")
    (row,) = rows("correct_registration")
    assert (row.patient_id, row.actor_id) == (mina.id, mina.id) and "PARK" in row.details
    assert len(asked(Occasion.TO_MATCH)) == 2 and "PARK, MINA" in cast.ada.get(URL).text


def test_a2_who_did_not_register_or_is_matched_corrects_nothing(cast: Cast) -> None:
    lone = cast.patient("lone", "LEE", record_number=None)  # as an import makes them
    assert "What you said about yourself" not in lone.get("/account/not-matched").text
    for player in (cast.sophie, lone):
        assert player.post("/account/not-matched", SAID).status_code == 404
        with pytest.raises(NotVisible):
            correct_registration(player.id, said(), by=player.actor)
    assert cast.sophie.post("/account/not-matched/code", {"code": "22222-22222"}).status_code == 404
    with pytest.raises(NotVisible):
        match_by_code(cast.sophie.id, code(cast), by=cast.sophie.actor)
    for player in (cast.sophie, lone):  # the tray is for those who registered
        assert cast.ada.get(f"{URL}/{player.key}").status_code == 404
        assert act(cast, player, "refusal", reason="Unknown").status_code == 404
        with pytest.raises(Stale):
            refuse_registration(player.key, words="Unknown", seen=seen(player), by=cast.ada.actor)
    assert rows("correct_registration") == [] == rows("refuse_registration")


def test_a5_s5_who_is_refused_is_out_at_once_and_unlock_takes_it_back(cast: Cast) -> None:
    mina = registered(cast)
    assert act(cast, mina, "refusal", reason="").status_code == 422 and state_of(mina)[0] == MatchState.WAITING
    assert act(cast, mina, "refusal", reason="No such patient").location == f"{URL}?done=refused"
    assert state_of(mina) == (MatchState.REFUSED, None, AccountStatus.LOCKED) and told(mina) == [Occasion.LOCKED]
    assert mina.get("/").location.startswith("/login"), "every session ended"
    (row,) = rows("refuse_registration")
    assert "No such patient" in row.details and len(rows("lock_patient")) == 1
    assert "Nobody waits" in cast.ada.get(URL).text
    where = cast.ada.post(f"{URL}/searches", {"state": "refused"}).location
    assert "KWON, MINA" in cast.ada.get(where).text
    assert "No such patient" in cast.ada.get(f"{URL}/{mina.key}").text
    patients.unlock(mina.key, seen=seen(mina), by=cast.ada.actor)
    assert state_of(mina)[0] == MatchState.WAITING and "KWON, MINA" in cast.ada.get(URL).text


def test_the_states_are_a_table_and_of_two_admins_one_wins(cast: Cast) -> None:
    mina = registered(cast)
    for start, allowed in TRANSITIONS.items():
        for end in MatchState:
            with db.engines["write"].begin() as connection:
                connection.execute(sa.update(Registration.__table__).values(state=start))
            with sa.orm.Session(db.engines["write"]) as session:
                assert matching.move(session, mina.id, end) == (end in allowed), (start, end)
                session.rollback()
    with db.engines["write"].begin() as connection:
        connection.execute(sa.update(Registration.__table__).values(state=MatchState.WAITING))
    as_seen = seen(mina)
    outcome = together(
        cast,
        lambda: ask_registered(mina.key, words="Who?", seen=as_seen, by=cast.ada.actor),
        lambda: ask_registered(mina.key, words="Where?", seen=as_seen, by=cast.ada.actor),
    )
    assert sorted(type(error).__name__ for error in outcome) == ["NoneType", "Stale"] and told(mina) == [Occasion.ASKED]
    for verb in (ask_registered, refuse_registration):
        with pytest.raises(NotAllowed):
            verb(mina.key, words="Who?", seen=as_seen, by=cast.sam.actor)
        with pytest.raises(Stale):
            verb(mina.key, words="Who?", seen="another", by=cast.ada.actor)


def test_a49_the_tray_is_searched_paged_and_counted_up_to_a_hundred(cast: Cast, statements: Any) -> None:
    start = now()
    registered(cast)
    with db.engines["write"].begin() as connection:
        of_mina = connection.execute(sa.select(Person.__table__).where(Person.email_key == "mina@test.example")).one()._asdict()
        row = connection.execute(sa.select(Patient.__table__).where(Patient.id == of_mina["id"])).one()._asdict()
        for n in range(1, 106):
            one = of_mina | {"id": 10_000 + n, "key": f"{n:022}", "email": f"{n}@x.example", "email_key": f"{n}@x.example"}
            one |= {"last_name": f"LEE{n:03}", "name_key": f"lee{n:03} mina"}
            connection.execute(sa.insert(Person.__table__).values(one))
            connection.execute(sa.insert(Patient.__table__).values(row | {"id": 10_000 + n}))
            waits = {"patient_id": 10_000 + n, "state": MatchState.WAITING, "since": start + timedelta(minutes=n), "words": ""}
            connection.execute(sa.insert(Registration.__table__).values(waits))
    page = cast.ada.get(URL)
    assert "100+" in page.text and page.text.index("KWON, MINA") < page.text.index("LEE001") and f"LEE{PAGE:03}" not in page.text
    names: list[str] = []
    place, found = "", matching.registered(Sought())
    while True:
        names += [row.last_name for row in found.rows]
        if not found.has_newer:
            break
        place = found.rows[-1].key
        found = matching.registered(Sought(), beyond=place, is_newer=True)
    assert names == ["KWON"] + [f"LEE{n:03}" for n in range(1, 106)]
    back = matching.registered(Sought(), beyond=found.rows[0].key)
    assert back.rows[-1].last_name == names[-len(found.rows) - 1] and back.has_newer and back.has_older
    where = cast.ada.post(f"{URL}/searches", {"last_name": "lee1", "dob": "1990-02-03", "state": "waiting"}).location
    assert "lee" not in where.lower(), "what was searched for stands in no address"
    found_page = cast.ada.get(where).text
    assert "LEE100" in found_page and "LEE099" not in found_page
    assert "Nobody fits." in cast.ada.get(cast.ada.post(f"{URL}/searches", {"first_name": "zoe", "state": "asked"}).location).text
    assert cast.ada.post(f"{URL}/searches", {"state": "matched"}).status_code == 422
    with statements() as few:
        cast.ada.get(URL)
    with statements() as many:
        cast.ada.get(where)
    assert len(few) <= 6 and len(many) <= 7, (few, many)


# ---- Codes ---------------------------------------------------------------------------------------


def code(cast: Cast, number: str = "4711", born: date = date(1990, 2, 3)) -> str:
    return make_code(number, dob=born, by=cast.ada.actor)


def test_a_code_of_the_practice_matches_at_once_and_is_kept_hashed(cast: Cast) -> None:
    page = cast.ada.post(f"{URL}/codes", {"record_number": "4711", "dob": "1990-02-03"})
    assert page.status_code == 200
    given = page.text.split('id="code" value="')[1].split('"')[0]
    db.session.close()
    row = db.session.scalars(sa.select(MatchCode)).one()
    assert row.code_hash == token_hash(given.replace("-", "")) and given not in [r.details for r in rows("make_match_code")][0]
    mina = registered(cast)
    answer = mina.post("/account/not-matched/code", {"code": f" {given.lower()} "})
    assert (answer.status_code, answer.location) == (303, "/?done=matched")
    assert "is matched to the record" in mina.get(answer.location).text
    assert state_of(mina)[:2] == (MatchState.MATCHED, "4711") and "Nobody waits" in cast.ada.get(URL).text
    (done,) = rows("match_by_code")
    assert (done.about, done.actor_id, done.patient_id) == (mina.key, mina.id, mina.id)
    for wrong, says in (
        ({"record_number": "4711"}, "has this record number already"),
        ({"dob": "2990-01-01"}, "cannot be a date"),
    ):
        page = cast.ada.post(f"{URL}/codes", {"record_number": "4712", "dob": "1990-02-03"} | wrong)
        assert page.status_code == 422 and says in page.text
    with pytest.raises(NotAllowed):
        make_code("4713", dob=date(1990, 2, 3), by=cast.sam.actor)


def test_s7_a_code_that_is_anothers_late_used_or_replaced_matches_nobody(cast: Cast) -> None:
    mina = registered(cast)
    older, other_day, used, late = code(cast), code(cast, "1", date(1990, 2, 4)), code(cast, "2"), code(cast, "3")
    newer, taken = code(cast), code(cast, "4")
    zoe = registered(cast, "zoe@test.example", first_name="ZOE")
    assert match_by_code(zoe.id, used, by=zoe.actor)
    patients.unmatch(zoe.key, seen=seen(zoe), by=cast.ada.actor)  # the number is free again, the code is not
    cast.patient("lone", "LEE", record_number="4")
    for wrong in (older, other_day, used):
        assert not match_by_code(mina.id, wrong, by=mina.actor), wrong
    with clock_at(now() + timedelta(hours=2)):
        assert not match_by_code(mina.id, taken, by=mina.actor)
        mina.log_in()
        answer = mina.post("/account/not-matched/code", {"code": "x"})
        assert answer.status_code == 422 and "This code does not work." in answer.text
    assert state_of(mina)[1] is None and len(rows("match_code_wrong")) == 5
    for days, works in ((29, True), (31, False)):
        with clock_at(now() + timedelta(days=days)), transaction(by=COMMAND, did="set_up_tests") as tx:
            assert (matching.code_of(tx.session, late, date(1990, 2, 3)) is not None) == works
    with clock_at(now() + timedelta(hours=4)):
        assert match_by_code(mina.id, newer, by=mina.actor)


def test_a10_a43_codes_are_guessed_five_times_an_hour_however_many_at_once(cast: Cast) -> None:
    mina, given = registered(cast), code(cast)

    def guess() -> None:
        if match_by_code(mina.id, "22222-22222", by=mina.actor):
            raise Invalid("code", "found")

    outcome = [type(error).__name__ for error in together(cast, *[guess] * 8)]
    assert sorted(outcome) == ["NoneType"] * 5 + ["TooMany"] * 3 and len(rows("match_code_wrong")) == 5
    with pytest.raises(TooMany):
        match_by_code(mina.id, given, by=mina.actor)
    answer = mina.post("/account/not-matched/code", {"code": given})
    assert answer.status_code == 429 and int(answer.headers["Retry-After"]) > 0
    with clock_at(now() + timedelta(minutes=61)):
        assert match_by_code(mina.id, given, by=mina.actor)


def test_a52_of_two_who_use_a_code_at_once_one_is_matched(cast: Cast) -> None:
    mina, zoe, given = registered(cast), registered(cast, "zoe@test.example", first_name="ZOE"), code(cast)
    together(cast, *[lambda player=player: match_by_code(player.id, given, by=player.actor) for player in (mina, zoe)])  # type: ignore[misc]
    assert sorted((state_of(player)[1] or "") for player in (mina, zoe)) == ["", "4711"]
    db.session.close()
    assert not db.session.scalars(sa.select(Audit.id).where(Audit.did == "match_by_code").offset(1)).all()
