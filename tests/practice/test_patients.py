"""Patients' accounts: found by each of their keys, matched, locked, linked, merged and parted, with tables as snapshots."""

import json
import random
import threading
import time
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa

from practice import amendments, conversations, coverage, patients
from practice.communicators import Audience
from practice.db import COMMAND, WRITE, Audit, Base, db, new_key, now, transaction
from practice.drafts import save_draft
from practice.errors import Invalid, NotAllowed, NotVisible, Stale
from practice.outbox import Notice, Occasion
from practice.patients import NumberTaken, PatientMerge, Search, account_of, merges_of, patients_found, seen_together, what_moves
from practice.people import AccountStatus, Patient, Person, Staff
from practice.records import whole_record_of
from practice.requests import Letter
from practice.sessions import LoginSession
from practice.settings import RequestType
from practice.threads import PAGE, Event, History, Message, Thread, ThreadState, last_message_id
from tests.conftest import Cast, Player

MAY_DIFFER = {"audit", "audit_seal", "history", "login_session", "patient_merge", "read_log"}


def seen(player: Player) -> str:
    db.session.close()
    return account_of(db.session(), player.key).seen


def merge(kept: Player, merged: Player, *, by: Any = COMMAND, form_key: str | None = None, is_confirmed: bool = True) -> str:
    db.session.close()
    together = seen_together(*(account_of(db.session(), player.key) for player in (kept, merged)))
    key = form_key or new_key()
    return patients.merge(kept.key, merged.key, form_key=key, seen=together, is_confirmed=is_confirmed, by=by)


def undo(key: str, *, by: Any = COMMAND) -> None:
    db.session.close()
    version = db.session.scalars(sa.select(PatientMerge.version).where(PatientMerge.key == key)).one()
    patients.unmerge(key, version=version, by=by)


def link(patient: Player, staff: Player) -> None:
    patients.link_staff(patient.key, staff_login=staff.login, seen=seen(patient), by=COMMAND)


def read(statement: Any) -> Any:
    db.session.close()
    return db.session.scalar(statement)


def snapshot() -> dict[str, list[Any]]:
    """Every row of every table, without the versions and what a log-in leaves."""
    db.session.close()
    found = {}
    for table in Base.metadata.sorted_tables:
        if table.name not in MAY_DIFFER:
            columns = [column for column in table.columns if column.name not in ("version", "last_logon_at")]
            found[table.name] = sorted(map(repr, db.session.execute(sa.select(*columns))))
    return found


def check_numbers() -> None:
    """What each audience counts is what its threads say."""
    db.session.close()
    for audience in db.session.scalars(sa.select(Audience)):
        threads = list(db.session.scalars(sa.select(Thread).where(Thread.audience_id == audience.id)))
        assert audience.unread == sum(t.is_unread for t in threads)
        assert audience.in_box == sum(t.is_in_box for t in threads)


def last_audit(did: str) -> tuple[Audit, dict[str, Any]]:
    db.session.close()
    row = db.session.scalars(sa.select(Audit).where(Audit.did == did).order_by(Audit.id.desc()).limit(1)).one()
    return row, json.loads(row.details or "{}")


# ---- Finding -------------------------------------------------------------------------------------


def names(search: Search, **where: Any) -> list[str]:
    db.session.close()
    return [f"{row.last_name} {row.first_name}" for row in patients_found(search, **where).rows]


def test_without_a_filter_all_patients_by_name_and_no_staff(cast: Cast) -> None:
    assert names(Search()) == sorted(names(Search())) and len(names(Search())) == 3 and "STAFF ADA" not in names(Search())


@pytest.mark.parametrize(
    ("of", "search"),
    [
        ("sophie", lambda a: Search(last="kwon", first="soph")),
        ("sophie", lambda a: Search(first="SOPHIE")),
        ("sophie", lambda a: Search(record_number=a.record_number)),
        ("sophie", lambda a: Search(email=f" {a.email.upper()} ")),
        ("sophie", lambda a: Search(phone=a.phone.replace("-", " "))),
        ("sophie", lambda a: Search(dob=a.dob, first="s")),
    ],
)
def test_a_patient_is_found_by_each_key(cast: Cast, of: str, search: Callable[[Any], Search]) -> None:
    account = account_of(db.session(), getattr(cast, of).key)
    found = patients_found(search(account)).rows
    assert [row.key for row in found] == [account.key]


@pytest.mark.parametrize(
    "search", [Search(phone="none"), Search(last="´"), Search(record_number=" "), Search(email=" "), Search(last="zzz")]
)
def test_what_cannot_fit_finds_nobody(cast: Cast, search: Search) -> None:
    assert names(search) == []


def test_all_of_a_search_must_fit(cast: Cast) -> None:
    cast.patient("ann", "OPEN", number=71, record_number=None)
    closed = cast.patient("bea", "OPEN", number=72, record_number=None)
    patients.lock(closed.key, seen=seen(closed), by=COMMAND)
    assert names(Search(is_not_matched=True))[:2] == ["OPEN BEA", "OPEN ANN"]  # the newest first
    assert names(Search(is_not_matched=True, status=AccountStatus.LOCKED)) == ["OPEN BEA"]
    assert names(Search(last="open", status=AccountStatus.ACTIVE)) == ["OPEN ANN"]
    assert names(Search(status=AccountStatus.LOCKED)) == ["OPEN BEA"]


@pytest.mark.parametrize("search", [Search(), Search(last="many"), Search(first="m"), Search(is_not_matched=True)])
def test_pages_go_on_and_back_without_losing_anybody(cast: Cast, statements: Any, search: Search) -> None:
    for number in range(2 * PAGE + 3):
        cast.patient(f"m{number % 7}x{number}", "MANY", number=200 + number, record_number=None)
    pages, beyond = [], None
    while True:
        with statements() as found:
            page = patients_found(search, beyond=beyond)
        assert len(found) <= 2
        pages.append([row.key for row in page.rows])
        assert page.has_newer == (len(pages) > 1)
        if not page.has_older:
            break
        beyond = page.rows[-1].key
    everybody = [key for keys in pages for key in keys]
    assert len(everybody) == len(set(everybody)) >= 2 * PAGE + 3
    back = patients_found(search, beyond=pages[2][0], is_newer=True)
    assert [row.key for row in back.rows] == pages[1] and back.has_newer and back.has_older


@pytest.mark.parametrize(
    "search",
    [
        Search(),
        Search(last="a"),
        Search(first="a"),
        Search(dob=date(1980, 1, 1)),
        Search(phone="555"),
        Search(email="a@b.example"),
        Search(record_number="1"),
        Search(is_not_matched=True),
        Search(status=AccountStatus.LOCKED),
    ],
    ids=str,
)
def test_no_search_reads_the_whole_table(cast: Cast, search: Search) -> None:
    ran: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, text: str, values: Any, *_: Any) -> None:
        ran.append((text, values))

    dialect = db.session.get_bind().dialect.name
    db.session.close()
    sa.event.listen(db.engine, "before_cursor_execute", note)
    try:
        patients_found(search)
    finally:
        sa.event.remove(db.engine, "before_cursor_execute", note)
    ((text, values),) = [one for one in ran if one[0].startswith("SELECT")]
    with db.engines[WRITE].connect() as connection:
        if dialect == "postgresql":
            connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        explain = "EXPLAIN QUERY PLAN " if dialect == "sqlite" else "EXPLAIN "
        plan = "\n".join(str(row) for row in connection.exec_driver_sql(explain + text, values))
    assert "SCAN person" not in plan and "Seq Scan" not in plan, plan
    assert "SCAN patient" not in plan or "ix_patient_not_matched" in plan, plan
    if dialect == "sqlite" and not (search.dob or search.phone or search.record_number or search.email):
        assert "USE TEMP B-TREE" not in plan, plan


# ---- Record number and status --------------------------------------------------------------------


def test_matching_and_unmatching_are_audited_with_what_changed(cast: Cast) -> None:
    patients.match(cast.hugo.key, record_number="  A 17 ", seen=seen(cast.hugo), by=cast.ada.actor)
    assert account_of(db.session(), cast.hugo.key).record_number == "A 17"
    row, details = last_audit("match_patient")
    assert (row.about, row.patient_id, details["after"]) == (cast.hugo.key, cast.hugo.id, {"record_number": "A 17"})
    patients.unmatch(cast.hugo.key, seen=seen(cast.hugo), by=cast.ada.actor)
    assert account_of(db.session(), cast.hugo.key).record_number is None


@pytest.mark.parametrize("number", ["", " ", "1" * 21, "\0", "\u200b"])
def test_a_record_number_that_is_none_is_refused(cast: Cast, number: str) -> None:
    with pytest.raises(Invalid):
        patients.match(cast.hugo.key, record_number=number, seen=seen(cast.hugo), by=COMMAND)


def test_a_number_of_another_account_names_that_account(cast: Cast) -> None:
    number = account_of(db.session(), cast.sophie.key).record_number or ""
    with pytest.raises(NumberTaken) as refused:
        patients.match(cast.hugo.key, record_number=number, seen=seen(cast.hugo), by=COMMAND)
    assert refused.value.other.key == cast.sophie.key


def has_a_password(patient: Player) -> None:
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        tx.session.execute(sa.update(Person).where(Person.id == patient.id).values(password_hash="a hash"))


def test_s5_locking_ends_every_session_and_unlocking_opens_the_account(cast: Cast) -> None:
    has_a_password(cast.sophie)
    patients.lock(cast.sophie.key, seen=seen(cast.sophie), by=cast.ada.actor)
    assert read(sa.select(sa.func.count()).where(LoginSession.person_id == cast.sophie.id, LoginSession.ended_at.is_(None))) == 0
    assert cast.sophie.get("/").status_code == 303
    with pytest.raises(Stale):
        patients.lock(cast.sophie.key, seen=seen(cast.sophie), by=COMMAND)
    patients.unlock(cast.sophie.key, seen=seen(cast.sophie), by=cast.ada.actor)
    assert account_of(db.session(), cast.sophie.key).status == AccountStatus.ACTIVE
    with pytest.raises(Stale):
        patients.unlock(cast.sophie.key, seen=seen(cast.sophie), by=COMMAND)


def test_an_account_without_a_password_is_an_invited_one_again(cast: Cast) -> None:
    patients.lock(cast.hugo.key, seen=seen(cast.hugo), by=COMMAND)
    patients.unlock(cast.hugo.key, seen=seen(cast.hugo), by=COMMAND)
    assert account_of(db.session(), cast.hugo.key).status == AccountStatus.INVITED


VERBS: dict[str, Callable[[Any, str, str, Any], None]] = {
    "match": lambda cast, key, seen, by: patients.match(key, record_number="77", seen=seen, by=by),
    "unmatch": lambda cast, key, seen, by: patients.unmatch(key, seen=seen, by=by),
    "lock": lambda cast, key, seen, by: patients.lock(key, seen=seen, by=by),
    "unlock": lambda cast, key, seen, by: patients.unlock(key, seen=seen, by=by),
    "link": lambda cast, key, seen, by: patients.link_staff(key, staff_login="dan", seen=seen, by=by),
    "unlink": lambda cast, key, seen, by: patients.unlink_staff(key, seen=seen, by=by),
}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_wants_an_admin_an_account_and_what_is_still_so(cast: Cast, verb: str) -> None:
    right, before = seen(cast.hugo), snapshot()
    for key, digest, by, refusal in (
        (cast.hugo.key, right, cast.sam.actor, NotAllowed),
        (cast.hugo.key, right, cast.sophie.actor, NotAllowed),
        (cast.sam.key, right, cast.ada.actor, NotVisible),
        ("x" * 22, right, cast.ada.actor, NotVisible),
        (cast.hugo.key, "old", cast.ada.actor, Stale),
    ):
        with pytest.raises(refusal):
            VERBS[verb](cast, key, digest, by)
    assert snapshot() == before


def test_merging_wants_an_admin(cast: Cast) -> None:
    key = merge(cast.sophie, cast.hugo)
    for player in (cast.sam, cast.sophie):
        with pytest.raises(NotAllowed):
            merge(cast.sophie, cast.jihae, by=player.actor)
        with pytest.raises(NotAllowed):
            undo(key, by=player.actor)
    with pytest.raises(NotVisible):
        patients.unmerge("x" * 22, version=1, by=COMMAND)


# ---- A patient who is also staff -----------------------------------------------------------------


def test_who_is_linked_loses_sight_of_their_own_threads_at_once_and_gets_it_back(cast: Cast) -> None:
    key, other = cast.send(cast.sophie), cast.send(cast.jihae, to="IT Manager")
    alone = cast.send(cast.sophie, to="IT Manager")
    conversations.claim(alone, version=cast.thread(alone).version, by=cast.ivan.actor)
    link(cast.sophie, cast.ivan)
    assert not cast.sees(cast.ivan, alone) and cast.sees(cast.ivan, other)
    assert cast.thread(alone).unrouted_since is not None and cast.thread(alone).claimed_by_id is None
    assert cast.thread(key).unrouted_since is None and cast.thread(other).unrouted_since is None
    told = sa.select(sa.func.count()).where(Notice.thread_id == cast.thread(alone).id, Notice.person_id == cast.ivan.id)
    assert read(told) == 0
    unrouted = sa.select(sa.func.count()).where(Notice.occasion == Occasion.UNROUTED, Notice.person_id == cast.ada.id)
    assert read(unrouted) == 1
    check_numbers()
    patients.unlink_staff(cast.sophie.key, seen=seen(cast.sophie), by=COMMAND)
    assert cast.sees(cast.ivan, alone) and cast.thread(alone).unrouted_since is None
    assert read(told) == 1
    link(cast.sophie, cast.ivan)  # once more: the admin was told of this message before
    assert read(unrouted) == 1
    check_numbers()


def test_a_link_is_of_one_patient_and_one_member_of_staff(cast: Cast) -> None:
    link(cast.sophie, cast.dan)
    for patient, login in ((cast.sophie, "sam"), (cast.jihae, "dan"), (cast.jihae, "nobody"), (cast.jihae, "")):
        with pytest.raises(Invalid):
            patients.link_staff(patient.key, staff_login=login, seen=seen(patient), by=COMMAND)
    with pytest.raises(Stale):
        patients.unlink_staff(cast.jihae.key, seen=seen(cast.jihae), by=COMMAND)
    _row, details = last_audit("link_staff")
    assert details["after"] == {"staff": "dan"}


# ---- Merging -------------------------------------------------------------------------------------


def a_world(cast: Cast, chance: random.Random) -> tuple[Player, Player]:
    """Two accounts of one person with threads of every kind and state, a draft, notices; perhaps one is staff too."""
    one = cast.patient("mia", "TWIN", number=301, record_number=chance.choice([None, "R1"]))
    two = cast.patient("mio", "TWIN", number=302, record_number=chance.choice([None, "R2"]))
    if owner := chance.choice([None, one, two]):
        link(owner, chance.choice([cast.ivan, cast.nina, cast.ada]))
    for player in (one, two, one, two, two):
        key = cast.send(
            player, chance.choice(["Appointment", "Result", "Others"]), to=chance.choice(["Clinicians", "IT Manager"])
        )
        thread = cast.thread(key)
        who = next((s for s in (cast.fay, cast.ivan, cast.max) if cast.sees(s, key)), None)
        if who and chance.random() < 0.6:
            cast.answer(who, key)
            if chance.random() < 0.4:
                conversations.close(key, version=cast.thread(key).version, by=who.actor)
        if chance.random() < 0.3:
            conversations.reply(key, body="More", form_key=new_key(), by=player.actor)
        assert thread.patient_id == player.id
    save_draft(two.id, key=new_key(), about="/messages/new", values={"body": ["x"]}, by=two.actor)
    if chance.random() < 0.3:
        patients.lock(two.key, seen=seen(two), by=COMMAND)
    return one, two


@pytest.mark.parametrize("seed", range(12))
def test_undoing_at_once_leaves_everything_as_it_was(cast: Cast, seed: int) -> None:
    one, two = a_world(cast, random.Random(seed))
    before = snapshot()
    is_linked = bool(read(sa.select(Staff.id).where(Staff.own_patient_id.in_([one.id, two.id]))))
    moves = what_moves(db.session(), account_of(db.session(), one.key), account_of(db.session(), two.key))
    key = merge(one, two)
    check_numbers()
    assert read(sa.select(sa.func.count()).where(Thread.patient_id == two.id)) == 0
    assert read(sa.select(sa.func.count()).where(Thread.patient_id == one.id)) == moves.threads + 2
    undo(key)
    after = snapshot()
    if is_linked:  # notices to the member of staff and to the admins may have gone or come
        for tables in (before, after):
            del tables["outbox"]
    assert after == before
    check_numbers()


def test_the_kept_account_gets_it_all_and_the_other_one_is_locked(cast: Cast) -> None:
    key, request = cast.send(cast.jihae), cast.send(cast.jihae, "Appointment")
    cast.answer(cast.nina, key)
    number = account_of(db.session(), cast.jihae.key).record_number
    patients.unmatch(cast.hugo.key, seen=seen(cast.hugo), by=COMMAND)
    words = read(sa.select(sa.func.count(Message.id)))
    version = cast.thread(key).version
    merge(cast.hugo, cast.jihae, by=cast.ada.actor)
    hugo, jihae = (account_of(db.session(), player.key) for player in (cast.hugo, cast.jihae))
    assert (hugo.record_number, jihae.record_number, jihae.status) == (number, None, AccountStatus.LOCKED)
    for moved in (key, request):
        assert cast.thread(moved).patient_id == cast.hugo.id
    assert cast.thread(key).version == version + 1
    assert read(sa.select(sa.func.count()).where(History.did == Event.MOVED, History.by_id == cast.ada.id)) == 2
    assert read(sa.select(sa.func.count(Message.id))) == words
    assert read(sa.select(Notice.person_id).where(Notice.occasion == Occasion.ANSWERED)) == cast.hugo.id
    conversations.reply(key, body="Thanks", form_key=new_key(), by=cast.hugo.actor)
    row, details = last_audit("merge_patients")
    assert row.patient_id == cast.hugo.id and details["threads"] == 2 and details["after"] == {"record_number": number}
    assert last_audit("lock_patient")[0].patient_id == cast.jihae.id
    check_numbers()


def test_undo_leaves_what_came_since_where_it_is(cast: Cast) -> None:
    moved, own = cast.send(cast.jihae), cast.send(cast.hugo)
    key = merge(cast.hugo, cast.jihae)
    new = cast.send(cast.hugo)
    conversations.reply(moved, body="Since then", form_key=new_key(), by=cast.hugo.actor)
    cast.answer(cast.nina, moved)
    undo(key)
    assert [cast.thread(one).patient_id for one in (moved, own, new)] == [cast.jihae.id, cast.hugo.id, cast.hugo.id]
    assert read(sa.select(Notice.person_id).where(Notice.occasion == Occasion.ANSWERED)) == cast.jihae.id
    assert account_of(db.session(), cast.jihae.key).status == AccountStatus.ACTIVE
    check_numbers()


def test_undo_gives_a_value_back_with_what_it_was_corrected_to_since(cast: Cast) -> None:
    asked, value = cast.send(cast.sophie, "Amendment"), cast.value_of(cast.sophie)
    key = merge(cast.hugo, cast.sophie)
    for verb, more in ((amendments.review, {}), (amendments.accept, {"value": "Corrected", "replaces": value})):
        db.session.close()
        letter = Letter("Words", new_key(), last_message_id(db.session, cast.thread(asked).id))
        verb(asked, letter=letter, by=cast.rita.actor, **more)
    undo(key)
    db.session.close()
    sophies, hugos = (
        {value.value for values in whole_record_of(player.id).sections.values() for value in values}
        for player in (cast.sophie, cast.hugo)
    )
    assert "Corrected" in sophies and "Corrected" not in hugos


def test_a_record_number_that_changed_since_stays(cast: Cast) -> None:
    patients.unmatch(cast.hugo.key, seen=seen(cast.hugo), by=COMMAND)
    key = merge(cast.hugo, cast.jihae)
    patients.match(cast.hugo.key, record_number="NEW", seen=seen(cast.hugo), by=COMMAND)
    undo(key)
    assert account_of(db.session(), cast.hugo.key).record_number == "NEW"
    assert account_of(db.session(), cast.jihae.key).record_number == "00000114"  # nobody else has it


def test_a_record_number_that_somebody_else_has_by_now_does_not_come_back(cast: Cast) -> None:
    patients.unmatch(cast.hugo.key, seen=seen(cast.hugo), by=COMMAND)
    key = merge(cast.hugo, cast.jihae)
    patients.match(cast.hugo.key, record_number="NEW", seen=seen(cast.hugo), by=COMMAND)
    patients.match(cast.sophie.key, record_number="00000114", seen=seen(cast.sophie), by=COMMAND)
    undo(key)
    assert account_of(db.session(), cast.jihae.key).record_number is None


def test_what_is_being_sent_when_the_account_is_merged_goes_along(cast: Cast, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--database") != "postgresql":
        pytest.skip("SQLite lets one writer in at a time")
    sending, goes_on = threading.Event(), threading.Event()
    check = conversations._check_limit

    def slow(session: Any, patient: int) -> None:
        check(session, patient)
        sending.set()
        goes_on.wait(5)

    def send() -> None:
        with cast.app.app_context():
            sent.append(cast.send(cast.jihae))

    def go() -> None:
        with cast.app.app_context():
            merge(cast.hugo, cast.jihae)

    sent: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversations, "_check_limit", slow)
        first = threading.Thread(target=send)
        first.start()
        assert sending.wait(5)
        second = threading.Thread(target=go)
        second.start()
        second.join(0.3)
        assert second.is_alive()
        goes_on.set()
        first.join()
        second.join()
    assert cast.thread(sent[0]).patient_id == cast.hugo.id


def test_the_account_that_is_kept_must_be_active(cast: Cast) -> None:
    patients.lock(cast.hugo.key, seen=seen(cast.hugo), by=COMMAND)
    with pytest.raises(Invalid, match="must be active") as refused:
        merge(cast.hugo, cast.jihae)
    assert refused.value.field == "kept"


def test_the_staff_link_follows_and_comes_back(cast: Cast) -> None:
    link(cast.jihae, cast.ivan)
    own = cast.send(cast.hugo, to="IT Manager")
    assert cast.sees(cast.ivan, own)
    key = merge(cast.hugo, cast.jihae)
    assert not cast.sees(cast.ivan, own) and cast.thread(own).unrouted_since is not None
    assert account_of(db.session(), cast.hugo.key).staff_login == "ivan"
    undo(key)
    assert cast.sees(cast.ivan, own) and cast.thread(own).unrouted_since is None
    assert account_of(db.session(), cast.jihae.key).staff_login == "ivan"


def test_refused_merges_change_nothing(cast: Cast) -> None:
    link(cast.sophie, cast.dan)
    link(cast.jihae, cast.ivan)
    extra = cast.patient("zoe", "EXTRA", number=340)
    merge(cast.hugo, extra)
    before = snapshot()
    for kept, merged in (
        (cast.sophie, cast.sophie),
        (cast.sophie, cast.jihae),
        (cast.sophie, extra),
        (extra, cast.sophie),
    ):
        with pytest.raises(Invalid):
            merge(kept, merged)
    with pytest.raises(NotVisible):
        patients.merge(cast.sophie.key, cast.sam.key, form_key=new_key(), seen="", by=COMMAND)
    with pytest.raises(Stale):
        patients.merge(cast.sophie.key, cast.hugo.key, form_key=new_key(), seen="old", by=COMMAND)
    for verb in VERBS.values():  # nothing of a merged account is changed
        with pytest.raises(Invalid):
            verb(cast, extra.key, seen(extra), COMMAND)
    assert snapshot() == before


def test_other_dates_of_birth_want_a_second_word(cast: Cast) -> None:
    with pytest.raises(Invalid) as refused:
        merge(cast.sophie, cast.hugo, is_confirmed=False)
    assert refused.value.field == "is_confirmed"


def test_the_same_form_merges_once_and_undo_is_done_once(cast: Cast) -> None:
    form = new_key()
    assert merge(cast.sophie, cast.hugo, form_key=form) == merge(cast.sophie, cast.hugo, form_key=form)
    assert read(sa.select(sa.func.count(PatientMerge.id))) == 1
    with pytest.raises(Stale):
        merge(cast.jihae, cast.hugo, form_key=form)
    undo(form)
    with pytest.raises(Stale):
        undo(form)
    assert [m.undone_at is not None for m in merges_of(db.session(), cast.sophie.id)] == [True]


def test_a_later_merge_is_undone_first(cast: Cast) -> None:
    key = cast.send(cast.hugo)
    first = merge(cast.jihae, cast.hugo)
    second = merge(cast.sophie, cast.jihae)
    with pytest.raises(Invalid):
        undo(first)
    undo(second)
    undo(first)
    assert cast.thread(key).patient_id == cast.hugo.id


def test_five_thousand_threads_move_in_two_seconds_and_as_many_statements_as_one(cast: Cast, statements: Any) -> None:
    def fill(player: Player, count: int) -> None:
        audience = read(sa.select(Audience.id).limit(1))
        rows = [
            {
                "key": new_key(), "patient_id": player.id, "audience_id": audience, "type": RequestType.OTHERS, "title": "T",
                "state": ThreadState.CLOSED, "version": 1, "created_at": now(), "is_unread": False, "is_in_box": False,
            }
            for _ in range(count)
        ]  # fmt: skip
        with transaction(by=COMMAND, did="set_up_tests") as tx:
            tx.session.execute(sa.insert(Thread), rows)

    cast.send(cast.sophie)
    fill(cast.hugo, 1)
    with statements() as few:
        key = merge(cast.sophie, cast.hugo)
    with statements() as few_back:
        undo(key)
    fill(cast.hugo, 4_999)
    began = time.monotonic()
    with statements() as many:
        key = merge(cast.sophie, cast.hugo)
    between = time.monotonic()
    with statements() as many_back:
        undo(key)
    assert between - began < 2 and time.monotonic() - between < 2
    assert len(many) == len(few) and len(many_back) == len(few_back)


def test_every_table_that_names_a_patient_is_known_to_the_merge() -> None:
    """A new column that refers to a patient must be moved by a merge (or be a reason not to)."""
    found = {
        (table.name, key.parent.name)
        for table in Base.metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table.name == "patient"
    }
    # How an account came about stays with it: ("registration", "patient_id").
    moved = {
        ("thread", "patient_id"),
        ("record_value", "patient_id"),
        ("record_document", "patient_id"),
        ("staff", "own_patient_id"),
    }
    assert found == moved | {("patient_merge", "kept_id"), ("patient_merge", "merged_id"), ("registration", "patient_id")}


def test_a_disabled_colleague_and_a_link_leave_nobody(cast: Cast) -> None:
    """Fay and Nina are clinicians: with Fay disabled and Nina the patient herself nobody else is there."""
    key = cast.send(cast.sophie)
    coverage.set_staff_status(cast.fay.key, AccountStatus.DISABLED, by=COMMAND)
    link(cast.sophie, cast.nina)
    assert cast.thread(key).unrouted_since is not None
    coverage.set_staff_status(cast.fay.key, AccountStatus.ACTIVE, by=COMMAND)
    assert cast.thread(key).unrouted_since is None and cast.sees(cast.fay, key) and not cast.sees(cast.nina, key)


def test_keys_to_search_by_are_made_with_the_person(cast: Cast) -> None:
    row = db.session.execute(
        sa.select(Person.first_key, Patient.phone_key).join(Patient).where(Person.id == cast.sophie.id)
    ).one()
    assert row == ("sophie", "".join(c for c in account_of(db.session(), cast.sophie.key).phone if c.isdigit()))


def test_what_moves_to_a_member_of_staff_is_out_of_their_sight(cast: Cast) -> None:
    link(cast.hugo, cast.ivan)
    moved = cast.send(cast.jihae, to="IT Manager")
    key = merge(cast.hugo, cast.jihae)
    assert not cast.sees(cast.ivan, moved) and cast.thread(moved).unrouted_since is not None
    undo(key)
    assert cast.sees(cast.ivan, moved) and cast.thread(moved).unrouted_since is None


def test_a_staff_link_that_changed_since_stays(cast: Cast) -> None:
    link(cast.jihae, cast.dan)
    key = merge(cast.hugo, cast.jihae)
    patients.unlink_staff(cast.hugo.key, seen=seen(cast.hugo), by=COMMAND)
    link(cast.sophie, cast.dan)
    undo(key)
    assert account_of(db.session(), cast.sophie.key).staff_login == "dan"
    assert account_of(db.session(), cast.jihae.key).staff_login is None


def test_keys_of_the_notices_to_admins_have_room_for_large_numbers(cast: Cast) -> None:
    cast.change("IT Manager", staff=[cast.ivan])
    key = cast.send(cast.hugo, to="IT Manager")
    link(cast.hugo, cast.ivan)
    newest = read(sa.select(Notice.key).where(Notice.occasion == Occasion.UNROUTED))
    message = read(sa.select(sa.func.max(Message.id)))
    assert cast.thread(key).unrouted_since is not None and newest == f"u{message}-{cast.ada.id}"
    assert len("u-") + 2 * len(str(2**31)) <= 22
