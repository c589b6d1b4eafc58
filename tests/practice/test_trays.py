"""The trays: what lies in them, what an admin may do to it, and reading one with a reason."""

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa

from practice import conversations, coverage, trays
from practice.communicators import Audience
from practice.db import COMMAND, Audit, clock_at, db, new_key, now, transaction
from practice.drafts import draft_values, save_draft
from practice.errors import Invalid, NotAllowed, NotVisible, Stale
from practice.people import AccountStatus, Staff
from practice.threads import Event, History, ReadLog, Thread, opened_by_patient, way_of
from practice.trays import REASON_MAX, BreakGlass, Tray
from tests.conftest import Cast
from tests.examples.admin_trays import neglect, remove, strand


def keys(tray: Tray) -> list[str]:
    db.session.close()
    page = {Tray.UNROUTED: trays.unrouted, Tray.OVERDUE: trays.overdue, Tray.REMOVED: trays.removed}[tray]()
    return [row.key for row in page.rows]


def give_own_patient(cast: Cast, patient: int) -> None:
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        tx.session.get_one(Staff, cast.ada.id).own_patient_id = patient


def test_each_tray_holds_what_belongs_there_and_nothing_else(cast: Cast) -> None:
    cast.send(cast.sophie)
    removed, late, stranded = remove(cast, cast.sophie), neglect(cast, cast.jihae), strand(cast, cast.hugo)
    assert (keys(Tray.REMOVED), keys(Tray.OVERDUE), keys(Tray.UNROUTED)) == ([removed], [late], [stranded])
    assert trays.lies_in(Tray.OVERDUE, late) and not trays.lies_in(Tray.OVERDUE, removed)


def test_what_is_answered_or_closed_is_not_overdue_any_more(cast: Cast) -> None:
    answered, closed = neglect(cast, cast.sophie), neglect(cast, cast.jihae)
    cast.answer(cast.nina, answered)
    conversations.close(closed, version=cast.thread(closed).version, by=cast.nina.actor)
    assert keys(Tray.OVERDUE) == []


def test_an_overdue_envelope_names_the_claimer_only_while_the_claim_lasts(cast: Cast) -> None:
    key = neglect(cast, cast.sophie)
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        thread = tx.session.scalars(sa.select(Thread).where(Thread.key == key)).one()
        thread.claimed_by_id, thread.claimed_until = cast.nina.id, now() + timedelta(hours=1)
    assert trays.overdue().rows[0].claimer_first_name == "NINA"
    with clock_at(now() + timedelta(hours=2)):
        assert trays.overdue().rows[0].claimer_first_name is None


@pytest.mark.parametrize("tray", Tray)
def test_pages_lead_through_all_rows_and_back(cast: Cast, tray: Tray) -> None:
    first = cast.send(cast.sophie)
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        like = tx.session.scalars(sa.select(Thread).where(Thread.key == first)).one()
        columns = {c.name: getattr(like, c.name) for c in Thread.__table__.columns if c.name not in ("id", "key", "version")}
        for n in range(59):
            time = {"unrouted_since": None, "due_at": None, "removed_at": None}
            name = {"unrouted": "unrouted_since", "overdue": "due_at", "removed": "removed_at"}[tray]
            time[name] = now() - timedelta(days=9, minutes=n // 2)  # pairs have the same time
            tx.session.add(Thread(**columns | time, key=new_key()))
    read = {Tray.UNROUTED: trays.unrouted, Tray.OVERDUE: trays.overdue, Tray.REMOVED: trays.removed}[tray]
    is_oldest_first = tray != Tray.REMOVED
    pages = [read()]
    while pages[-1].has_newer if is_oldest_first else pages[-1].has_older:
        place = trays.place_in(tray, pages[-1].rows[-1].key, is_newer=is_oldest_first)
        pages.append(read(place))
    assert [len(page.rows) for page in pages] == [25, 25, 9]
    assert len({row.key for page in pages for row in page.rows}) == 59
    back = read(trays.place_in(tray, pages[2].rows[0].key, is_newer=not is_oldest_first))
    assert [row.key for row in back.rows] == [row.key for row in pages[1].rows]
    assert back.has_newer and back.has_older
    assert trays.place_in(tray, first, is_newer=True) is None


@pytest.mark.parametrize(("tray", "index"), [(t, f"ix_thread_{t if t != Tray.OVERDUE else 'due'}") for t in Tray])
def test_every_order_has_its_index(cast: Cast, tray: Tray, index: str) -> None:
    if db.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL reads a table of three rows from end to end")
    for beyond in (None, True, False):
        sql = str(trays._tray_page(tray, beyond).compile(db.engine, compile_kwargs={"render_postcompile": True}))
        plan = db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", (None,) * sql.count("?")).all()
        assert any(index in row[-1] for row in plan) and not any("TEMP B-TREE" in row[-1] for row in plan), plan


# ---- Restore -------------------------------------------------------------------------------------


def counters(key: str) -> tuple[int, int]:
    db.session.close()
    row = db.session.execute(
        sa.select(Audience.unread, Audience.in_box).join(Thread, Thread.audience_id == Audience.id).where(Thread.key == key)
    ).one()
    return row.unread, row.in_box


def test_restoring_puts_it_back_counts_it_and_tells_the_history_and_the_audit(cast: Cast) -> None:
    key = remove(cast, cast.sophie)
    assert counters(key) == (0, 0)
    trays.restore_removed(key, version=cast.thread(key).version, by=cast.ada.actor)
    assert keys(Tray.REMOVED) == [] and counters(key) == (0, 1)
    thread = cast.thread(key)
    last = db.session.scalars(sa.select(History).where(History.thread_id == thread.id).order_by(History.id.desc())).first()
    row = db.session.scalars(sa.select(Audit).where(Audit.did == "restore_removed")).one()
    assert last is not None and (last.did, last.by_id) == (Event.RESTORED, cast.ada.id)
    assert (row.patient_id, row.about, row.actor_id) == (cast.sophie.id, key, cast.ada.id)
    assert json.loads(row.details)["before"]["removed_at"] and json.loads(row.details)["after"] == {"removed_at": None}
    assert trays.last_restoring(key).first_name == "ADA"


def test_restoring_twice_or_an_old_version_is_stale(cast: Cast) -> None:
    key = remove(cast, cast.sophie)
    version = cast.thread(key).version
    with pytest.raises(Stale):
        trays.restore_removed(key, version=version - 1, by=cast.ada.actor)
    trays.restore_removed(key, version=version, by=cast.ada.actor)
    with pytest.raises(Stale):
        trays.restore_removed(key, version=cast.thread(key).version, by=cast.ada.actor)


def test_what_nobody_removed_is_not_there_to_be_restored(cast: Cast) -> None:
    key = cast.send(cast.sophie)
    for wanted in (key, "x" * 22):
        with pytest.raises(NotVisible):
            trays.restore_removed(wanted, version=cast.thread(key).version, by=cast.ada.actor)


def test_only_an_active_admin_restores_or_opens(cast: Cast) -> None:
    key = remove(cast, cast.sophie)
    eve = cast.staff("eve", is_admin=True)
    coverage.set_staff_status(eve.key, AccountStatus.DISABLED, by=COMMAND)
    for who in (cast.nina, cast.sophie, eve):
        with pytest.raises(NotAllowed):
            trays.restore_removed(key, version=cast.thread(key).version, by=who.actor)
        with pytest.raises(NotAllowed):
            trays.open_with_reason(key, reason="Why not", form_key=new_key(), by=who.actor)


# ---- Open with a reason --------------------------------------------------------------------------


def open_it(cast: Cast, key: str, reason: str = "The family asks", form_key: str = "f" * 22) -> None:
    trays.open_with_reason(key, reason=reason, form_key=form_key, by=cast.ada.actor)


@pytest.mark.parametrize("lay", [remove, neglect, strand])
def test_a_thread_of_a_tray_opens_for_an_hour_and_is_recorded(cast: Cast, lay) -> None:
    key = lay(cast, cast.sophie)
    at = now()
    with clock_at(at):
        open_it(cast, key)
        found = trays.opened_with_reason(key, cast.ada.id)
    assert found.thread.messages[0].body == "Hello" and found.reason == "The family asks"
    assert found.ends_at == at + timedelta(hours=1)
    last = found.thread.events[-1]
    assert (last.did, last.first_name, json.loads(last.words)) == (Event.OPENED, "ADA", {"reason": "The family asks"})
    row = db.session.scalars(sa.select(Audit).where(Audit.did == "break_glass")).one()
    assert (row.patient_id, row.about, json.loads(row.details)["reason"]) == (cast.sophie.id, key, "The family asks")
    with clock_at(at + timedelta(hours=1)), pytest.raises(NotVisible):
        trays.opened_with_reason(key, cast.ada.id)
    with pytest.raises(NotVisible):
        trays.opened_with_reason(key, cast.staff("eve", is_admin=True).id)


def test_a_thread_in_no_tray_does_not_open(cast: Cast) -> None:
    for key in (cast.send(cast.sophie), "x" * 22):
        with pytest.raises(NotVisible):
            open_it(cast, key)
        with pytest.raises(NotVisible):
            trays.envelope(key, 0)
    db.session.close()
    assert db.session.scalar(sa.select(sa.func.count(BreakGlass.id))) == 0


def test_ones_own_thread_never_opens_not_even_when_the_accounts_are_linked_later(cast: Cast) -> None:
    key = remove(cast, cast.sophie)
    open_it(cast, key)
    give_own_patient(cast, cast.sophie.id)
    db.session.close()
    with pytest.raises(NotVisible):
        trays.opened_with_reason(key, cast.ada.id)
    with pytest.raises(NotVisible):
        open_it(cast, key, form_key="g" * 22)
    with pytest.raises(NotVisible):
        trays.envelope(key, cast.sophie.id)


def test_the_same_form_again_is_one_opening_and_other_words_are_not_taken_for_it(cast: Cast) -> None:
    key, other = remove(cast, cast.sophie), remove(cast, cast.jihae)
    open_it(cast, key)
    trays.restore_removed(key, version=cast.thread(key).version, by=cast.ada.actor)
    open_it(cast, key, "  The family\nasks ")
    with pytest.raises(Invalid):
        open_it(cast, key, "Curiosity")
    with pytest.raises(NotVisible):
        open_it(cast, other)
    with pytest.raises(NotVisible):
        trays.open_with_reason(key, reason="The family asks", form_key="f" * 22, by=cast.staff("eve", is_admin=True).actor)
    db.session.close()
    assert [row.reason for row in db.session.scalars(sa.select(BreakGlass))] == ["The family asks"]
    assert len(db.session.scalars(sa.select(Audit).where(Audit.did == "break_glass")).all()) == 1


@pytest.mark.parametrize("reason", ["", "  ", "\0", "a\0b", "x" * (REASON_MAX + 1), "\u200b"])
def test_a_reason_that_is_none_is_refused(cast: Cast, reason: str) -> None:
    with pytest.raises(Invalid):
        open_it(cast, remove(cast, cast.sophie), reason)


@pytest.mark.parametrize("reason", ['"' * REASON_MAX, "a" + "\x01" * (REASON_MAX - 1), "漢" * REASON_MAX])
def test_a_reason_of_the_longest_kind_fits(cast: Cast, reason: str) -> None:
    key = remove(cast, cast.sophie)
    open_it(cast, key, reason)
    found = trays.opened_with_reason(key, cast.ada.id)
    assert len(found.thread.events[-1].words) <= 1000
    assert found.reason == reason and reason.startswith(json.loads(found.thread.events[-1].words)["reason"][:150])


def test_opening_deletes_the_draft_of_its_form(cast: Cast) -> None:
    key = remove(cast, cast.sophie)
    save_draft(cast.ada.id, key="f" * 22, about="/admin", values={"reason": ["x"]}, by=cast.ada.actor, waits=True)
    open_it(cast, key)
    db.session.close()
    assert draft_values(cast.ada.id, "f" * 22) is None


def test_the_patients_way_says_nothing_of_it(cast: Cast) -> None:
    key = neglect(cast, cast.sophie)
    db.session.close()
    before = opened_by_patient(key, cast.sophie.id)
    steps = way_of(before.messages[0], before)
    open_it(cast, key)
    after = opened_by_patient(key, cast.sophie.id)
    assert way_of(after.messages[0], after) == steps
    assert db.session.scalars(sa.select(ReadLog)).all() == []


def test_openings_are_shown_newest_first_in_pages(cast: Cast) -> None:
    key = remove(cast, cast.sophie)
    start = now() - timedelta(days=3)
    for n in range(30):
        with clock_at(start + timedelta(minutes=n)):
            open_it(cast, key, f"Reason {n}", new_key())
    with clock_at(start - timedelta(days=5)):
        open_it(cast, key, "Long ago", new_key())
    db.session.close()
    first = trays.openings()
    assert [row.reason for row in first.rows[:2]] == ["Reason 29", "Reason 28"] and len(first.rows) == 25
    second = trays.openings(trays.place_of_opening(first.rows[-1].key, is_newer=False))
    assert [row.reason for row in second.rows] == [*(f"Reason {n}" for n in (4, 3, 2, 1, 0)), "Long ago"]
    back = trays.openings(trays.place_of_opening(second.rows[0].key, is_newer=True))
    assert [row.key for row in back.rows] == [row.key for row in first.rows]
    assert trays.place_of_opening("x" * 22, is_newer=True) is None
    assert trays.recent_openings() == 30 and trays.recent_openings(at_most=10) == 11  # more than 10
