"""The board says what sending does: the same functions, seen side by side with messages that were really sent."""

import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from practice import board, coverage, jobs, routing
from practice.board import How, Presence
from practice.db import COMMAND, Base, clock_at, db, new_key, now, transaction
from practice.errors import NotVisible
from practice.outbox import Notice, Occasion
from practice.people import AccountStatus
from practice.settings import Practice, RequestType
from practice.threads import Delivery, Thread
from tests.conftest import Cast
from tests.examples.absences import plan
from tests.examples.admin_coverage import serve

APPOINTMENT, RESULT, OTHERS, AMENDMENT = RequestType


def disable(*people) -> None:
    for one in people:
        coverage.set_staff_status(one.key, AccountStatus.DISABLED, by=COMMAND)


def lane(kind: RequestType) -> board.Lane:
    db.session.close()
    return next(one for one in board.coverage_now(db.session()) if one.type == kind)


def receiving(kind: RequestType) -> list[str]:
    return [branch.title for branch in lane(kind).branches if branch.receives]


def delivered(cast: Cast, key: str) -> list[str]:
    thread = cast.thread(key).id
    return sorted(db.session.scalars(sa.select(Delivery.title).where(Delivery.thread_id == thread)))


def told(cast: Cast, key: str) -> set[int]:
    thread = cast.thread(key).id
    waiting = Notice.thread_id == thread, Notice.occasion == Occasion.WAITING
    return set(db.session.scalars(sa.select(Notice.person_id).where(*waiting)))


def two_schedulers(cast: Cast) -> None:
    cast.communicate(APPOINTMENT, "Scheduler 2", cast.dan)
    serve(cast, "Scheduler 2", APPOINTMENT, [cast.dan], cast.oak)


def one_serves_oak(cast: Cast) -> None:
    two_schedulers(cast)
    serve(cast, "Scheduler", APPOINTMENT, [cast.sam, cast.fay], cast.linden)


def none_serves_linden(cast: Cast) -> None:
    serve(cast, "Scheduler", APPOINTMENT, [cast.sam, cast.fay], cast.oak)


def all_away(cast: Cast) -> None:
    plan(cast.sam)
    plan(cast.fay)


def all_away_with_a_deputy(cast: Cast) -> None:
    plan(cast.sam, cast.dan)
    plan(cast.fay, cast.nina)


def deputy_disabled(cast: Cast) -> None:
    plan(cast.sam, cast.dan)
    disable(cast.fay, cast.dan)


def member_disabled_with_a_deputy(cast: Cast) -> None:
    plan(cast.sam, cast.dan)
    disable(cast.sam, cast.fay)


def not_in_use(cast: Cast) -> None:
    for title in ("Scheduler", "Media Manager", "IT Manager"):
        cast.change(title, is_in_use=False)


def empty(cast: Cast) -> None:
    for title in ("Scheduler", "Media Manager", "Clinicians"):
        cast.change(title, staff=[])


def max_away(cast: Cast) -> None:
    plan(cast.max, cast.ivan)
    plan(cast.rita)


SCENES: list[Callable[[Cast], None]] = [
    lambda cast: None,
    two_schedulers,
    one_serves_oak,
    none_serves_linden,
    all_away,
    all_away_with_a_deputy,
    deputy_disabled,
    member_disabled_with_a_deputy,
    not_in_use,
    empty,
    max_away,
    lambda cast: disable(cast.sam, cast.max, cast.nina, cast.rita),
]


@pytest.mark.parametrize("scene", SCENES)
def test_the_board_says_what_sending_does(cast: Cast, scene) -> None:
    scene(cast)
    for kind, key in (
        (RESULT, cast.send_mailed_result(cast.sophie)),
        (AMENDMENT, cast.send(cast.sophie, "Amendment")),
    ):
        assert receiving(kind) == delivered(cast, key)
        assert lane(kind).is_gap == (not delivered(cast, key)) == (cast.thread(key).unrouted_since is not None)
        assert lane(kind).waiting == (1 if lane(kind).is_gap else 0)
    for facility, name in ((cast.linden, "Linden Street"), (cast.oak, "Oak Lane")):
        key = cast.send(cast.sophie, "Appointment", facility=facility)
        here = lane(APPOINTMENT)
        own = next((one for one in here.facilities if name in one.facilities), None)
        assert sorted(own.titles if own else receiving(APPOINTMENT)) == delivered(cast, key)
        assert here.is_gap == (not delivered(cast, key))
        assert here.is_gap or own or here.people == len(present_of(cast, key))
    picked = receiving(OTHERS)
    for title in ("Clinicians", "IT Manager"):
        if title in picked:
            assert delivered(cast, cast.send(cast.sophie, to=title)) == [title]
        else:
            assert cast.sophie.get("/messages/new").text.count(f">{title}<") == 0
    gaps = board.gap_types(db.session.execute(board.TYPES), meaningful_use=True)
    assert gaps == [one.type for one in board.coverage_now(db.session()) if one.is_gap]


def present_of(cast: Cast, key: str) -> set[int]:
    return {staff for staff, is_present in routing.recipients(db.session(), cast.thread(key)).items() if is_present}


def test_board_and_sending_ask_one_function(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "named_for", lambda kind, facility, routable, picked=None: [])
    key = cast.send(cast.sophie, "Appointment")
    assert delivered(cast, key) == [] and cast.thread(key).unrouted_since
    assert all(lane(kind).is_gap for kind in RequestType)
    monkeypatch.undo()
    assert not any(lane(kind).is_gap for kind in RequestType)


def test_facilities_say_only_what_differs(cast: Cast) -> None:
    assert lane(APPOINTMENT).facilities == ()
    one_serves_oak(cast)
    found = {one.facilities: one.titles for one in lane(APPOINTMENT).facilities}
    assert found == {("Linden Street",): ("Scheduler",), ("Oak Lane",): ("Scheduler 2",)}
    assert [b.serves for b in lane(APPOINTMENT).branches] == [("Linden Street",), ("Oak Lane",)]


def test_a_facility_that_none_serves_says_so(cast: Cast) -> None:
    none_serves_linden(cast)
    (found,) = lane(APPOINTMENT).facilities
    assert found.is_fallback and found.facilities == ("Linden Street",) and found.titles == ("Scheduler",)


def test_people_are_here_away_or_off_and_deputies_receive_or_not(cast: Cast) -> None:
    cast.change("Scheduler", staff=[cast.sam, cast.fay, cast.max, cast.ivan])
    plan(cast.fay, cast.nina)
    plan(cast.max, cast.dan)
    disable(cast.ivan, cast.dan)
    here, fay, max_, ivan = lane(APPOINTMENT).branches[0].people
    assert (here.presence, here.is_logged_on) == (Presence.HERE, True)
    assert (fay.presence, fay.deputy, fay.until is not None) == (Presence.AWAY, "STAFF, NINA", True)
    assert (max_.presence, max_.deputy, max_.absent_deputy) == (Presence.AWAY, "", "STAFF, DAN")
    assert (ivan.presence, ivan.is_logged_on) == (Presence.OFF, False)
    assert lane(APPOINTMENT).people == 2  # Sam, and Nina for Fay


def test_a_deputy_who_is_absent_too_is_a_gap(cast: Cast) -> None:
    plan(cast.max, cast.dan)
    with transaction(by=COMMAND, did="set_up_tests") as tx:  # the verbs refuse it; an old row may still say so
        at = now()
        tx.session.add(
            board.Absence(
                key=new_key(),
                staff_id=cast.dan.id,
                starts_at=at - timedelta(hours=1),
                ends_at=at + timedelta(hours=1),
                version=1,
            )
        )
    assert lane(RESULT).is_gap and lane(RESULT).branches[0].people[0].absent_deputy == "STAFF, DAN"


def test_amendment_is_off_and_no_gap_without_meaningful_use(cast: Cast) -> None:
    disable(cast.rita)
    assert lane(AMENDMENT).is_gap
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        tx.session.get_one(Practice, 1).meaningful_use = False
    found = lane(AMENDMENT)
    assert found.is_off and not found.is_gap
    assert board.gap_types(db.session.execute(board.TYPES), meaningful_use=False) == []


def test_the_oldest_waiting_thread_is_of_any_audience(cast: Cast) -> None:
    with clock_at(now() - timedelta(days=2)):
        key = cast.send(cast.sophie)
    cast.send(cast.jihae)
    by_title = {b.title: b.oldest for b in lane(OTHERS).branches}
    assert by_title == {"Clinicians": cast.thread(key).waiting_since, "IT Manager": None}
    cast.answer(cast.nina, key)
    assert lane(OTHERS).branches[0].oldest > now() - timedelta(minutes=5)


def test_the_oldest_is_found_by_an_index(cast: Cast) -> None:
    if db.engine.dialect.name != "sqlite":
        pytest.skip("the plan of a small table says nothing on PostgreSQL")
    board._oldest(db.session(), [1])
    first = sa.select(sa.func.min(Thread.waiting_since)).where(Thread.audience_id == 1, Thread.waiting_since.is_not(None))
    text = str(first.compile(db.engine, compile_kwargs={"literal_binds": True}))
    plan_of_it = " ".join(str(row) for row in db.session.execute(sa.text(f"EXPLAIN QUERY PLAN {text}")))
    assert "ix_thread_waiting" in plan_of_it


def test_as_many_statements_for_forty_communicators_as_for_five(cast: Cast, statements) -> None:
    db.session.close()
    with statements() as few:
        board.coverage_now(db.session())
    for number in range(40):
        cast.communicate(RequestType.OTHERS if number % 4 else RESULT, f"Team {number}", cast.sam, cast.fay, cast.dan)
    cast.change("Scheduler", staff=[cast.staff(f"more{n}") for n in range(14)])
    db.session.close()
    with statements() as many:
        lanes = {one.type: one for one in board.coverage_now(db.session())}
    assert len(few) == len(many) <= 9
    assert (lanes[OTHERS].total, len(lanes[OTHERS].branches)) == (32, 25)
    assert (len(lanes[APPOINTMENT].branches[0].people), lanes[APPOINTMENT].branches[0].more) == (10, 4)
    (second,) = board.coverage_now(db.session(), kind=OTHERS, page=2)
    assert len(second.branches) == 7


# ---- What if -------------------------------------------------------------------------------------


def everything() -> dict[str, list]:
    db.session.close()
    return {t.name: sorted(map(str, db.session.execute(sa.select(t)).all())) for t in Base.metadata.sorted_tables}


@pytest.mark.parametrize("who", ["sam", "max", "nina", "fay", "ada", "dan"])
@pytest.mark.parametrize("how", list(How))
def test_what_if_says_what_would_be_and_changes_nothing(cast: Cast, who: str, how: How) -> None:
    plan(cast.sam, cast.dan)
    disable(cast.fay)
    cast.send(cast.sophie, "Result")
    person, before = getattr(cast, who), everything()
    found = board.what_if(db.session(), person.key, how)
    with board.supposed(person.id, how):
        supposed = {one.type: one.is_gap for one in board.coverage_now(db.session())}
    assert everything() == before
    assert set(found.gaps) <= {kind for kind, is_gap in supposed.items() if is_gap}
    if who == "ada":  # the last admin cannot be disabled, so no deed to compare with
        assert found.consequences is None or found.consequences.is_last_admin
        return
    if how == How.ABSENT:
        with contextlib.suppress(coverage.Invalid):  # Dan, who stands in, may not go away; Sam is away
            plan(person)
            assert {kind: lane(kind).is_gap for kind in RequestType} == supposed
        return
    disable(person)
    assert {kind: lane(kind).is_gap for kind in RequestType} == supposed


def test_what_if_names_gap_communicators_and_threads(cast: Cast) -> None:
    cast.send(cast.sophie, "Result")
    found = board.what_if(db.session(), cast.max.key, How.DISABLED)
    assert (found.gaps, found.left_empty) == ((RESULT,), ("Media Manager",))
    assert found.consequences and found.consequences.open_threads == 1
    assert len(found.lost) == 1
    with pytest.raises(NotVisible):
        board.what_if(db.session(), cast.sophie.key, How.DISABLED)


# ---- Absence, by the clock -----------------------------------------------------------------------


def test_an_absence_begins_and_ends_by_itself_and_routes_what_waited(cast: Cast) -> None:
    plan(cast.max, first=2, last=3)
    assert not lane(RESULT).is_gap
    with clock_at(now() + timedelta(days=3)):
        assert lane(RESULT).is_gap
        key = cast.send(cast.sophie, "Result")
        assert cast.thread(key).unrouted_since
        jobs.run_due_jobs()
        assert cast.thread(key).unrouted_since
    with clock_at(now() + timedelta(days=5)):
        assert not lane(RESULT).is_gap
        jobs.run_due_jobs()
        assert cast.thread(key).unrouted_since is None and cast.sees(cast.max, key)


def test_a_deputy_sees_while_it_lasts_and_the_claim_goes_with_it(cast: Cast) -> None:
    key = cast.send(cast.sophie, "Result")
    absence = plan(cast.max, cast.dan, first=0, last=1)
    assert cast.sees(cast.dan, key) and cast.sees(cast.max, key)
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        thread = tx.session.scalars(sa.select(Thread).where(Thread.key == key)).one()
        thread.claimed_by_id, thread.claimed_until = cast.dan.id, now() + timedelta(days=9)
    with clock_at(now() + timedelta(days=3)):
        assert not cast.sees(cast.dan, key)
        jobs.run_due_jobs()
        assert cast.thread(key).claimed_by_id is None
    assert board.absence_with(db.session(), absence).deputy == "STAFF, DAN"


# ---- At a given moment ---------------------------------------------------------------------------


def then(cast: Cast, title: str, moment: datetime) -> board.Then:
    db.session.close()
    return board.in_charge_at(db.session(), cast.communicator(title), moment)


def test_who_was_in_charge_at_a_moment(cast: Cast) -> None:
    start = now()
    with clock_at(start + timedelta(days=1)):
        cast.change("Scheduler", staff=[cast.sam, cast.dan])
    with clock_at(start + timedelta(days=2)):
        disable(cast.dan)
        cast.change("Scheduler", is_in_use=False)
    with clock_at(start + timedelta(days=3)):
        coverage.set_staff_status(cast.dan.key, AccountStatus.ACTIVE, by=COMMAND)
        plan(cast.sam, cast.nina, last=1)
    with clock_at(start + timedelta(days=9)):
        at = {n: then(cast, "Scheduler", start + timedelta(days=n, hours=1)) for n in range(4)}
        assert [[p.name for p in one.people] for one in at.values()] == [
            ["STAFF, FAY", "STAFF, SAM"],
            ["STAFF, DAN", "STAFF, SAM"],
            ["STAFF, DAN", "STAFF, SAM"],
            ["STAFF, DAN", "STAFF, SAM"],
        ]
        assert [one.is_in_use for one in at.values()] == [True, True, False, False]
        assert [one.people[0].received for one in at.values()] == [True, True, False, True]
        assert at[3].people[1].is_away and at[3].people[1].deputy == "STAFF, NINA"
        assert not any(one.is_away for one in then(cast, "Scheduler", start + timedelta(days=7)).people)
        assert not then(cast, "Scheduler", start - timedelta(days=400)).existed


def test_before_the_first_row_of_the_audit_it_is_what_that_row_changed_from(cast: Cast) -> None:
    start = now()
    with clock_at(start + timedelta(days=2)):
        cast.change("Scheduler", is_in_use=False)
        disable(cast.sam)
    with clock_at(start + timedelta(days=3)):
        found = then(cast, "Scheduler", start + timedelta(days=1))
        assert found.is_in_use and all(one.received for one in found.people)


def test_a_moment_of_a_communicator_that_is_not_there(cast: Cast) -> None:
    with pytest.raises(NotVisible):
        board.in_charge_at(db.session(), "x" * 22, now())
