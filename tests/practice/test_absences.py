"""Absences and deputies, what if, and what a change of who is in charge does: for routing, for what people see, for claims."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from practice import conversations, coverage
from practice.absences import Absence, start_of_day
from practice.calendar import local_day
from practice.communicators import (
    Audience,
    AudienceCommunicator,
    Communicator,
    all_routable,
    box_of,
    eligible,
    standing_for,
    supposing,
)
from practice.db import COMMAND, Audit, clock_at, db, new_key, now
from practice.drafts import draft_values, save_draft
from practice.errors import Invalid, NotAllowed, NotVisible, Stale
from practice.jobs import run_due_jobs
from practice.outbox import Notice, Occasion
from practice.people import AccountStatus
from practice.routing import named_for, routable_of
from practice.settings import RequestType
from practice.threads import Delivery, Event, History, Thread, opened_by_patient, way_of
from tests.conftest import Cast, Player

DAYS = timedelta(days=1)
ZONE = "America/New_York"  # of the practice in tests


def today() -> date:
    return local_day(now(), ZONE)


def noon(days: int) -> datetime:
    """Noon at the practice, so many days from today."""
    return start_of_day(today() + days * DAYS, ZONE) + timedelta(hours=12)


def away(who: Player, deputy: Player | None = None, *, first: int = 0, last: int = 3, by: Any = COMMAND) -> str:
    """This person is absent from `first` to `last` days after today."""
    return coverage.add_absence(
        who.key,
        first_day=today() + first * DAYS,
        last_day=today() + last * DAYS,
        deputy=deputy.key if deputy else None,
        form_key=new_key(),
        by=by,
    )


def version_of(key: str) -> int:
    db.session.close()
    return db.session.scalars(sa.select(Absence.version).where(Absence.key == key)).one()


def receivers(cast: Cast, title: str) -> set[str]:
    """Logins of who is eligible for a communicator now."""
    db.session.close()
    ids = {staff for _, staff, _ in db.session.execute(eligible(communicator=communicator_id(cast, title)))}
    names = {player.id: player.login for player in (cast.sam, cast.fay, cast.max, cast.nina, cast.ivan, cast.rita, cast.dan)}
    return {names[one] for one in ids}


def communicator_id(cast: Cast, title: str) -> int:
    key = cast.communicator(title)
    return db.session.scalars(sa.text("SELECT id FROM communicator WHERE key = :key").bindparams(key=key)).one()


def told(message_of: str) -> set[int]:
    db.session.close()
    rows = sa.select(Notice.person_id).join(Thread, Thread.id == Notice.thread_id).where(Thread.key == message_of)
    return set(db.session.scalars(rows.where(Notice.occasion == Occasion.WAITING)))


def is_unrouted(cast: Cast, key: str) -> bool:
    return cast.thread(key).unrouted_since is not None


# ---- Who is eligible ---------------------------------------------------------------------------------------

CASES: dict[str, tuple[Callable[[Cast], Any], set[str], bool]] = {
    "nothing": (lambda c: None, {"max"}, True),
    "absent, nobody stands in": (lambda c: away(c.max), {"max"}, False),
    "absent, Dan stands in": (lambda c: away(c.max, c.dan), {"max", "dan"}, True),
    "absence not begun": (lambda c: away(c.max, c.dan, first=2), {"max"}, True),
    "disabled": (lambda c: disable(c.max), set(), False),
    "absent and disabled": (lambda c: (away(c.max, c.dan), disable(c.max)), set(), False),
    "deputy disabled": (lambda c: (away(c.max, c.dan), disable(c.dan)), {"max"}, False),
    "ended": (lambda c: coverage.end_absence(key := away(c.max, c.dan), version=version_of(key), by=COMMAND), {"max"}, True),
}


def disable(who: Player) -> None:
    coverage.set_staff_status(who.key, AccountStatus.DISABLED, by=COMMAND)


@pytest.mark.parametrize("case", CASES)
def test_who_is_eligible_and_whether_anybody_is_there(cast: Cast, case: str) -> None:
    happens, who, is_routable = CASES[case]
    happens(cast)
    assert receivers(cast, "Media Manager") == who
    key = cast.send(cast.sophie, "Result")
    assert is_unrouted(cast, key) is not is_routable
    assert told(key) == ({getattr(cast, name).id for name in who} if is_routable else set())
    if is_routable:
        assert all(cast.sees(getattr(cast, name), key) for name in who)


def test_a_deputy_of_a_deputy_does_not_stand_in(cast: Cast) -> None:
    away(cast.max, cast.dan)
    with pytest.raises(Invalid, match="DAN stands in for STAFF, MAX"):
        away(cast.dan, cast.ivan)
    assert not cast.sees(cast.ivan, cast.send(cast.sophie, "Result"))


def test_the_absent_person_still_sees_and_is_told(cast: Cast) -> None:
    away(cast.sam)
    key = cast.send(cast.sophie, "Appointment")
    assert told(key) == {cast.sam.id, cast.fay.id}


def test_a_deputy_sees_for_whom(cast: Cast) -> None:
    away(cast.max, cast.sam)
    db.session.close()
    mine = {one.title: one.instead_of for one in box_of(db.session, cast.sam.id, None).mine}
    assert mine == {"Scheduler": (), "Media Manager": ("STAFF, MAX",)}


def test_who_stands_in_for_a_colleague_of_their_own_communicator_is_told_so(cast: Cast) -> None:
    away(cast.fay, cast.sam)
    db.session.close()
    mine = {one.title: one.instead_of for one in box_of(db.session, cast.sam.id, None).mine}
    assert mine == {"Scheduler": ("STAFF, FAY",), "Clinicians": ("STAFF, FAY",)}


def test_an_absence_begins_and_ends_by_itself_and_routes_what_waited(cast: Cast) -> None:
    disable(cast.max)
    coverage.set_staff_status(cast.max.key, AccountStatus.ACTIVE, by=COMMAND)
    away(cast.max, first=1, last=1)
    away(cast.rita, cast.dan, first=2, last=2)
    with clock_at(noon(1)):
        key = cast.send(cast.sophie, "Result")
        assert is_unrouted(cast, key)
        run_due_jobs()
        assert is_unrouted(cast, key)
    with clock_at(noon(2)):
        assert run_due_jobs()["deliver what waited"] == 1
        assert not is_unrouted(cast, key) and told(key) == {cast.max.id}
        amendment = cast.send(cast.sophie, "Amendment")
        assert cast.sees(cast.dan, amendment)
    with clock_at(noon(3)):
        assert not cast.sees(cast.dan, amendment) and cast.sees(cast.rita, amendment)


def test_a_deputy_who_begins_by_the_clock_receives_what_waited(cast: Cast) -> None:
    away(cast.max, first=0, last=5)
    key = cast.send(cast.sophie, "Result")
    absence = db.session.scalars(sa.select(Absence.key)).one()
    coverage.change_absence(
        absence, first_day=today(), last_day=today() + 5 * DAYS, deputy=cast.dan.key, version=version_of(absence), by=COMMAND
    )
    assert not is_unrouted(cast, key) and told(key) == {cast.max.id, cast.dan.id}


def test_a_message_for_an_absent_colleague_and_ones_own_account_reaches_nobody(cast: Cast) -> None:
    twin = cast.staff("twin", own_patient=cast.sophie.id)
    cast.change("Media Manager", staff=[cast.max, twin])
    away(cast.max)
    key = cast.send(cast.sophie, "Result")
    assert is_unrouted(cast, key) and told(key) == set()


# ---- Keeping absences --------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[Callable[[Cast], Any], str, str]] = {
    "the same person": (lambda c: away(c.max, c.max), "deputy", "own deputy"),
    "a deputy who is absent too": (
        lambda c: (away(c.dan, first=2, last=4), away(c.max, c.dan)),
        "deputy",
        "STAFF, DAN is absent",
    ),
    "a deputy whose account is disabled": (lambda c: (disable(c.dan), away(c.max, c.dan)), "deputy", "not active"),
    "twice at once": (lambda c: (away(c.max), away(c.max, first=3, last=9)), "first_day", "STAFF, MAX is absent already"),
    "who stands in for somebody": (lambda c: (away(c.max, c.dan), away(c.dan)), "first_day", "stands in for STAFF, MAX"),
    "the wrong way round": (lambda c: away(c.max, first=3, last=2), "last_day", "before the first"),
    "over already": (lambda c: away(c.max, first=-3, last=-2), "last_day", "over"),
    "for ever": (lambda c: away(c.max, last=999), "last_day", "two years"),
    "a patient as deputy": (lambda c: away(c.max, c.sophie), "deputy", "not there"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_absence_that_cannot_be_is_refused_beside_its_field(cast: Cast, case: str) -> None:
    happens, field, words = REFUSED[case]
    with pytest.raises(Invalid, match=words) as refused:
        happens(cast)
    assert refused.value.field == field


def test_absences_side_by_side_are_none_that_overlap(cast: Cast) -> None:
    away(cast.max, cast.dan, first=0, last=1)
    away(cast.max, cast.dan, first=2, last=3)
    away(cast.dan, first=4, last=5)


def test_an_absence_that_is_over_is_in_nobodys_way(cast: Cast) -> None:
    key = away(cast.max, last=9)
    away(cast.dan, last=1)
    with clock_at(noon(3)):
        days = {"first_day": today(), "last_day": today() + 3 * DAYS}
        coverage.change_absence(key, **days, deputy=cast.dan.key, version=version_of(key), by=COMMAND)
        assert receivers(cast, "Media Manager") == {"max", "dan"}


def test_the_same_form_is_one_absence(cast: Cast) -> None:
    key = new_key()
    for _ in range(2):
        coverage.add_absence(cast.max.key, first_day=today(), last_day=today(), deputy=None, form_key=key, by=cast.max.actor)
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Absence)) == 1


def test_the_person_or_an_admin_keeps_absences_and_nobody_else(cast: Cast) -> None:
    away(cast.max, by=cast.max.actor)
    key = away(cast.rita, by=cast.ada.actor)
    for verb in (
        lambda: away(cast.sam, by=cast.fay.actor),
        lambda: coverage.end_absence(key, version=1, by=cast.sam.actor),
        lambda: coverage.end_absence(key, version=1, by=cast.sophie.actor),
    ):
        with pytest.raises(NotAllowed):
            verb()
    with pytest.raises(NotVisible):
        away(cast.sophie, by=cast.ada.actor)


def test_two_at_once_the_second_is_told(cast: Cast) -> None:
    key = away(cast.max)
    coverage.end_absence(key, version=1, by=COMMAND)
    with pytest.raises(Stale):
        coverage.end_absence(key, version=1, by=cast.ada.actor)
    with pytest.raises(NotVisible):
        coverage.end_absence("x" * 22, version=1, by=cast.ada.actor)


def test_one_that_was_called_off_counts_for_nothing(cast: Cast) -> None:
    key = away(cast.max, cast.dan, first=2, last=4)
    coverage.end_absence(key, version=1, by=COMMAND)
    away(cast.dan, first=2, last=4)
    away(cast.max, first=3, last=5)
    with clock_at(noon(2)):
        assert receivers(cast, "Media Manager") == {"max"}


def test_what_changed_stands_in_the_audit(cast: Cast) -> None:
    key = away(cast.max, cast.dan)
    db.session.close()
    row = db.session.scalars(sa.select(Audit).where(Audit.about == key)).one()
    assert '"deputy": "STAFF, DAN"' in row.details and '"staff": "STAFF, MAX"' in row.details


# ---- What if -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["disabled", "absent"])
def test_what_if_is_what_happens(cast: Cast, how: str) -> None:
    """Supposed and real give the same answer to the very questions that sending asks."""

    def answers() -> Any:
        db.session.close()
        return {kind: [one.title for one in named_for(kind, None, routable_of(db.session(), kind))] for kind in RequestType}

    before = answers()
    with supposing(**{how: cast.max.id}):
        supposed = answers()
        assert [c.title for c in all_routable(db.session)] != [] and not any(standing_for(db.session, [cast.max.id]).values())
    assert answers() == before and supposed[RequestType.RESULT] == []
    (disable if how == "disabled" else away)(cast.max)
    assert answers() == supposed


def test_consequences_are_those_of_disabling(cast: Cast) -> None:
    key = cast.send(cast.sophie, "Result")
    conversations.claim(key, version=cast.thread(key).version, by=cast.max.actor)
    db.session.close()
    found = coverage.consequences_of(db.session(), cast.max.key)
    assert (found.left_empty, found.types_without, found.claims, found.open_threads, found.is_last_admin) == (
        ["Media Manager"],
        [RequestType.RESULT],
        1,
        1,
        False,
    )
    assert coverage.consequences_of(db.session(), cast.ada.key).is_last_admin
    fay = coverage.consequences_of(db.session(), cast.fay.key)
    assert (fay.left_empty, fay.types_without) == ([], [])
    with pytest.raises(NotVisible):
        coverage.consequences_of(db.session(), cast.sophie.key)


# ---- Impact of a save --------------------------------------------------------------------------------------


def impact(cast: Cast, title: str, *staff: Player) -> tuple[int, ...]:
    db.session.close()
    found = coverage.impact_of(db.session(), cast.communicator(title), staff=[p.key for p in staff])
    return found.gaining, found.gained, found.losing, found.lost, found.claims


def test_impact_says_who_gains_and_loses_what(cast: Cast) -> None:
    keys = [cast.send(cast.sophie) for _ in range(3)]
    conversations.claim(keys[0], version=cast.thread(keys[0]).version, by=cast.fay.actor)
    assert impact(cast, "Clinicians", cast.nina, cast.fay) == (0, 0, 0, 0, 0)
    assert impact(cast, "Clinicians", cast.nina, cast.fay, cast.dan, cast.sam) == (2, 3, 0, 0, 0)
    assert impact(cast, "Clinicians", cast.nina, cast.dan) == (1, 3, 1, 3, 1)
    assert impact(cast, "IT Manager", cast.ivan, cast.dan) == (0, 0, 0, 0, 0)  # no threads, nothing to gain


def test_impact_counts_nothing_that_is_seen_otherwise(cast: Cast) -> None:
    cast.communicate(RequestType.APPOINTMENT, "Second desk", cast.dan)
    cast.send(cast.sophie, "Appointment")
    assert impact(cast, "Second desk", cast.dan, cast.sam) == (0, 0, 0, 0, 0)
    assert impact(cast, "Second desk") == (0, 0, 1, 1, 0)


def test_impact_counts_deputies(cast: Cast) -> None:
    cast.send(cast.sophie, "Result")
    away(cast.dan, cast.ivan)
    assert impact(cast, "Media Manager", cast.max, cast.dan) == (2, 1, 0, 0, 0)


# ---- Claims ------------------------------------------------------------------------------------------------


def claimed_by(cast: Cast, key: str) -> int | None:
    return cast.thread(key).claimed_by_id


def test_a52_one_claims_and_the_other_is_told(cast: Cast) -> None:
    key = cast.send(cast.sophie)
    version = cast.thread(key).version
    conversations.claim(key, version=version, by=cast.nina.actor)
    with pytest.raises(Stale):
        conversations.claim(key, version=version, by=cast.fay.actor)
    with pytest.raises(Stale):
        conversations.claim(key, version=cast.thread(key).version, by=cast.fay.actor)
    with pytest.raises(Stale):
        conversations.release(key, version=cast.thread(key).version, by=cast.fay.actor)
    with pytest.raises(NotVisible):
        conversations.claim(key, version=cast.thread(key).version, by=cast.ivan.actor)
    conversations.release(key, version=cast.thread(key).version, by=cast.nina.actor)
    conversations.claim(key, version=cast.thread(key).version, by=cast.fay.actor)
    assert claimed_by(cast, key) == cast.fay.id


def test_a_claim_past_its_time_is_none(cast: Cast) -> None:
    key = cast.send(cast.sophie)
    conversations.claim(key, version=cast.thread(key).version, by=cast.nina.actor)
    with clock_at(now() + 9 * DAYS):
        conversations.claim(key, version=cast.thread(key).version, by=cast.fay.actor)
    assert claimed_by(cast, key) == cast.fay.id


LOSES: dict[str, Callable[[Cast], Any]] = {
    "disabled": lambda c: disable(c.nina),
    "taken off the communicator": lambda c: c.change("Clinicians", staff=[c.fay]),
    "replaced": lambda c: coverage.replace_everywhere(c.nina.key, with_key=c.dan.key, by=COMMAND),
    "threads handed on": lambda c: coverage.hand_open_threads(
        c.communicator("Clinicians"), to=c.communicator("IT Manager"), by=COMMAND
    ),
}


@pytest.mark.parametrize("case", LOSES)
def test_who_loses_a_thread_loses_the_claim(cast: Cast, case: str) -> None:
    key = cast.send(cast.sophie)
    conversations.claim(key, version=cast.thread(key).version, by=cast.nina.actor)
    LOSES[case](cast)
    assert claimed_by(cast, key) is None
    db.session.close()
    assert db.session.scalar(sa.select(History.did).order_by(History.id.desc()).limit(1)) == Event.RELEASED


def test_who_still_has_it_otherwise_keeps_the_claim(cast: Cast) -> None:
    cast.communicate(RequestType.APPOINTMENT, "Second desk", cast.sam)
    key = cast.send(cast.sophie, "Appointment")
    conversations.claim(key, version=cast.thread(key).version, by=cast.sam.actor)
    cast.change("Scheduler", staff=[cast.fay])
    assert claimed_by(cast, key) == cast.sam.id


@pytest.mark.parametrize("how", ["ended", "by the clock", "another deputy"])
def test_a_deputy_whose_time_is_over_loses_the_claim(cast: Cast, how: str) -> None:
    absence = away(cast.max, cast.dan)
    key = cast.send(cast.sophie, "Result")
    conversations.claim(key, version=cast.thread(key).version, by=cast.dan.actor)
    if how == "ended":
        coverage.end_absence(absence, version=1, by=COMMAND)
    elif how == "another deputy":
        change = {"first_day": today(), "last_day": today(), "deputy": cast.ivan.key}
        coverage.change_absence(absence, **change, version=1, by=COMMAND)
    else:
        with clock_at(noon(5)):
            run_due_jobs()
    assert claimed_by(cast, key) is None


# ---- First run, leaving, handing on ------------------------------------------------------------------------


def test_a_practice_of_one_handles_everything(app: Any) -> None:
    cast = Cast.__new__(Cast)
    cast.app = app
    ada = cast.staff("ada", is_admin=True)
    coverage.handle_everything(by=ada.actor)
    db.session.close()
    assert [(c.type, c.title) for c in all_routable(db.session)] == sorted(coverage.FIRST)
    with pytest.raises(Stale):
        coverage.handle_everything(by=ada.actor)


def test_handling_everything_is_for_admins(app: Any) -> None:
    cast = Cast.__new__(Cast)
    cast.app = app
    with pytest.raises(NotAllowed):
        coverage.handle_everything(by=cast.staff("dan").actor)


def test_open_threads_go_to_another_communicator_and_closed_ones_stay(cast: Cast) -> None:
    waiting, closed = cast.send(cast.sophie), cast.send(cast.sophie)
    conversations.close(closed, version=cast.thread(closed).version, by=cast.nina.actor)
    assert coverage.hand_open_threads(cast.communicator("Clinicians"), to=cast.communicator("IT Manager"), by=cast.ada.actor) == 1
    assert cast.sees(cast.ivan, waiting) and not cast.sees(cast.nina, waiting)
    assert cast.sees(cast.nina, closed) and not cast.sees(cast.ivan, closed)
    db.session.close()
    rows = db.session.execute(
        sa.select(Delivery.title, Delivery.ended_at.is_(None))
        .join(Thread, Thread.id == Delivery.thread_id)
        .where(Thread.key == waiting)
    ).all()
    assert sorted(rows) == [("Clinicians", False), ("IT Manager", True)]
    assert "Clinicians" not in [one.title for one in all_routable(db.session)]
    assert box_of(db.session, cast.ivan.id, None).shared[0].unread == 1
    assert "to IT Manager" in cast.sophie.get(f"/messages/{waiting}").text


def test_others_who_have_the_thread_keep_it(cast: Cast) -> None:
    for title, who in (("Second desk", cast.dan), ("Third desk", cast.ivan)):
        cast.communicate(RequestType.APPOINTMENT, title, who)
    cast.change("Third desk", is_in_use=False)
    key = cast.send(cast.sophie, "Appointment")
    cast.change("Third desk", is_in_use=True)
    coverage.hand_open_threads(cast.communicator("Scheduler"), to=cast.communicator("Third desk"), by=COMMAND)
    assert cast.sees(cast.dan, key) and cast.sees(cast.ivan, key) and not cast.sees(cast.sam, key)


def test_a_thread_that_comes_back_is_counted_once(cast: Cast) -> None:
    cast.send(cast.sophie), cast.send(cast.sophie)
    for there, to in (("Clinicians", "IT Manager"), ("IT Manager", "Clinicians")):
        cast.change(to)
        coverage.hand_open_threads(cast.communicator(there), to=cast.communicator(to), by=COMMAND)
    db.session.close()
    of_it = Communicator.key == cast.communicator("Clinicians")
    number = db.session.scalars(sa.select(Communicator.id).where(of_it)).one()
    assert len(db.session.scalars(sa.select(Delivery.id).where(Delivery.communicator_id == number)).all()) == 4
    assert coverage.threads_count(db.session(), number) == 2


@pytest.mark.parametrize("to", ["Scheduler", "Clinicians", "Clinician", ""])
def test_threads_are_handed_to_another_of_the_type_that_is_in_use(cast: Cast, to: str) -> None:
    cast.communicate(RequestType.OTHERS, "Clinician", cast.dan, is_in_use=False)
    with pytest.raises(Invalid):
        coverage.hand_open_threads(cast.communicator("Clinicians"), to=cast.communicator(to) if to else "", by=COMMAND)


def test_replaced_everywhere(cast: Cast) -> None:
    assert coverage.replace_everywhere(cast.fay.key, with_key=cast.dan.key, by=cast.ada.actor) == 2
    assert receivers(cast, "Scheduler") == {"sam", "dan"} and receivers(cast, "Clinicians") == {"nina", "dan"}
    coverage.replace_everywhere(cast.dan.key, with_key=cast.nina.key, by=cast.ada.actor)
    assert receivers(cast, "Clinicians") == {"nina"}


@pytest.mark.parametrize("who", ["fay", "sophie", "max"])
def test_nobody_is_replaced_by_who_cannot(cast: Cast, who: str) -> None:
    disable(cast.max)
    with pytest.raises(Invalid):
        coverage.replace_everywhere(cast.fay.key, with_key=getattr(cast, who).key, by=COMMAND)


# ---- Facilities and help -----------------------------------------------------------------------------------


def save(cast: Cast, title: str, **more: Any) -> None:
    coverage.save_communicator(
        cast.communicator(title),
        kind=RequestType.APPOINTMENT,
        title=title,
        staff=[cast.sam.key],
        is_in_use=True,
        version=cast.version_of(title),
        by=COMMAND,
        **more,
    )


def test_a_facility_that_is_added_delivers_nothing_away_from_anybody(cast: Cast) -> None:
    cast.communicate(RequestType.APPOINTMENT, "Oak desk", cast.dan)
    save(cast, "Scheduler", facilities=[cast.linden])
    at_linden = cast.send(cast.sophie, "Appointment", facility=cast.linden)
    at_oak = cast.send(cast.sophie, "Appointment", facility=cast.oak)
    assert cast.sees(cast.sam, at_linden) and not cast.sees(cast.sam, at_oak) and cast.sees(cast.dan, at_oak)
    with pytest.raises(Invalid):
        save(cast, "Scheduler", facilities=["x" * 22])


def test_a_save_without_facilities_or_help_leaves_them(cast: Cast) -> None:
    save(cast, "Scheduler", facilities=[cast.linden], help="For times")
    save(cast, "Scheduler")
    db.session.close()
    one = next(c for c in all_routable(db.session) if c.title == "Scheduler")
    assert one.help == "For times" and len(one.facilities) == 1
    version = cast.version_of("Scheduler")
    save(cast, "Scheduler", facilities=[])
    assert cast.version_of("Scheduler") == version + 1


# ---- Each condition alone (tests/mutants.py takes them out one by one) -------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_who_would_stand_in_is_who_does(cast: Cast, case: str) -> None:
    """Asked for the users in charge before they are saved, and of the communicator that has them: the same answer."""
    away(cast.rita, cast.ivan)  # of no concern
    CASES[case][0](cast)
    number = communicator_id(cast, "Media Manager")
    assert standing_for(db.session, [cast.max.id]) == coverage.eligible_staff(db.session, number)


@pytest.mark.parametrize("how", ["disabled", "absent"])
def test_a_deputy_supposed_away_does_not_stand_in(cast: Cast, how: str) -> None:
    away(cast.max, cast.dan)
    number = communicator_id(cast, "Media Manager")
    assert coverage.eligible_staff(db.session, number) == {cast.max.id: False, cast.dan.id: True}
    with supposing(**{how: cast.dan.id}):
        assert coverage.eligible_staff(db.session, number) == {cast.max.id: False}
        assert standing_for(db.session, [cast.max.id]) == {cast.max.id: False}
        assert "Media Manager" not in [one.title for one in all_routable(db.session)]


def test_a_deputy_stands_in_only_where_the_absent_one_is_still_in_charge(cast: Cast) -> None:
    away(cast.fay, cast.dan)
    cast.change("Scheduler", staff=[cast.sam])
    assert receivers(cast, "Scheduler") == {"sam"} and receivers(cast, "Clinicians") == {"nina", "fay", "dan"}


def test_somebodys_deputy_makes_no_other_communicator_routable(cast: Cast) -> None:
    away(cast.max, cast.dan)
    cast.change("IT Manager", staff=[])
    db.session.close()
    titles = [one.title for one in all_routable(db.session)]
    assert "Media Manager" in titles and "IT Manager" not in titles


def test_each_deputy_stands_in_for_their_own_colleague_alone(cast: Cast) -> None:
    away(cast.sam, cast.dan)
    away(cast.fay, cast.ivan)
    db.session.close()
    for who, whom in ((cast.dan, "STAFF, SAM"), (cast.ivan, "STAFF, FAY")):
        assert {c.title: c.instead_of for c in box_of(db.session, who.id, None).mine}["Scheduler"] == (whom,)


def test_a_box_takes_one_statement_and_one_more_for_a_deputy(cast: Cast, statements: Any) -> None:
    cast.change("Media Manager", staff=[cast.max, cast.sam])
    cast.change("Media Manager", staff=[cast.max])
    away(cast.rita, cast.dan)
    away(cast.ivan, cast.nina, first=5, last=6)
    counts = []
    for who in (cast.nina, cast.sam):
        db.session.close()
        with statements() as found:
            box_of(db.session, who.id, None)
        counts.append(len(found))
    away(cast.max, cast.sam)
    db.session.close()
    with statements() as found:
        mine = box_of(db.session, cast.sam.id, None).mine
    assert [*counts, len(found)] == [1, 1, 2]
    assert {one.title: one.instead_of for one in mine} == {"Scheduler": (), "Media Manager": ("STAFF, MAX",)}


def test_waking_reaches_nobody_while_the_only_one_there_is_the_patients_own_account(cast: Cast) -> None:
    twin = cast.staff("twin", own_patient=cast.sophie.id)
    cast.change("Media Manager", staff=[cast.max, twin])
    away(cast.max)
    key = cast.send(cast.sophie, "Result")
    cast.change("Clinicians", staff=[cast.nina])
    assert is_unrouted(cast, key) and told(key) == set()


def test_one_that_was_called_off_is_in_nobodys_way(cast: Cast) -> None:
    coverage.end_absence(away(cast.max, first=3, last=4), version=1, by=COMMAND)
    away(cast.max, first=2, last=5)


def test_an_absence_before_another_is_none_that_overlaps(cast: Cast) -> None:
    away(cast.max, cast.dan, first=4, last=5)
    away(cast.max, cast.dan, first=2, last=3)
    away(cast.dan, first=0, last=1)


def test_the_absence_of_a_third_is_in_no_deputys_way(cast: Cast) -> None:
    away(cast.sam)
    away(cast.max, cast.dan)
    assert receivers(cast, "Media Manager") == {"max", "dan"}


def test_what_has_begun_began_when_it_did_and_what_is_to_come_moves(cast: Cast) -> None:
    def begins(key: str) -> datetime:
        db.session.close()
        return db.session.scalars(sa.select(Absence.starts_at).where(Absence.key == key)).one()

    lasts, comes = away(cast.max), away(cast.rita, first=3, last=5)
    began, day = begins(lasts), today()  # an hour later it may be another one
    with clock_at(now() + timedelta(hours=1)):
        for key, first in ((lasts, 0), (comes, 4)):
            days = {"first_day": day + first * DAYS, "last_day": day + 6 * DAYS}
            coverage.change_absence(key, **days, deputy=None, version=1, by=COMMAND)
    assert begins(lasts) == began
    assert begins(comes) == start_of_day(day + 4 * DAYS, ZONE)


def test_a_deputy_changed_before_the_absence_began_leaves_nothing_behind(cast: Cast) -> None:
    key = away(cast.max, cast.dan, first=2, last=4)
    days = {"first_day": today() + 2 * DAYS, "last_day": today() + 4 * DAYS}
    coverage.change_absence(key, **days, deputy=cast.sam.key, version=1, by=COMMAND)
    db.session.close()
    row = db.session.execute(sa.select(Absence.starts_at, Absence.deputy_id)).one()
    assert tuple(row) == (start_of_day(today() + 2 * DAYS, ZONE), cast.sam.id)


def test_an_old_version_and_one_that_is_over_are_not_changed(cast: Cast) -> None:
    key = away(cast.max)
    days = {"first_day": today(), "last_day": today() + 6 * DAYS, "deputy": None}
    coverage.change_absence(key, **days, version=1, by=COMMAND)
    with pytest.raises(Stale):
        coverage.change_absence(key, **days, version=1, by=COMMAND)
    with clock_at(noon(7)), pytest.raises(Stale):
        coverage.end_absence(key, version=version_of(key), by=COMMAND)
    called_off = away(cast.rita, first=3, last=4)
    coverage.end_absence(called_off, version=1, by=COMMAND)
    with pytest.raises(Stale):
        coverage.change_absence(called_off, **days, version=version_of(called_off), by=COMMAND)


def test_one_ends_ones_own_absence(cast: Cast) -> None:
    coverage.end_absence(away(cast.max), version=1, by=cast.max.actor)
    assert standing_for(db.session, [cast.max.id]) == {cast.max.id: True}


def test_a_deputy_planned_from_now_receives_what_waited(cast: Cast) -> None:
    twin = cast.staff("twin", own_patient=cast.sophie.id)
    cast.change("Media Manager", staff=[twin])
    key = cast.send(cast.sophie, "Result")
    assert is_unrouted(cast, key)
    away(twin, cast.dan)
    assert not is_unrouted(cast, key) and told(key) == {cast.dan.id}


def test_an_absence_that_is_saved_is_no_draft_any_more(cast: Cast) -> None:
    key = new_key()
    save_draft(cast.max.id, key=key, about="/staff/absences/new", values={"deputy": ["dan"]}, by=cast.max.actor, waits=True)
    coverage.add_absence(cast.max.key, first_day=today(), last_day=today(), deputy=None, form_key=key, by=cast.max.actor)
    db.session.close()
    assert draft_values(cast.max.id, key) is None


def test_somebody_elses_form_is_not_there(cast: Cast) -> None:
    key = away(cast.max)
    with pytest.raises(NotVisible):
        coverage.add_absence(cast.rita.key, first_day=today(), last_day=today(), deputy=None, form_key=key, by=cast.rita.actor)


def test_only_an_admin_replaces_hands_on_and_handles_everything(cast: Cast) -> None:
    for verb in (
        lambda by: coverage.replace_everywhere(cast.fay.key, with_key=cast.dan.key, by=by),
        lambda by: coverage.hand_open_threads(cast.communicator("Clinicians"), to=cast.communicator("IT Manager"), by=by),
        lambda by: coverage.handle_everything(by=by),
    ):
        for who in (cast.fay, cast.sophie):
            with pytest.raises(NotAllowed):
                verb(who.actor)
    assert receivers(cast, "Clinicians") == {"nina", "fay"}


def test_only_who_is_in_charge_now_is_replaced_and_only_that_changes(cast: Cast) -> None:
    cast.change("Scheduler", staff=[cast.sam, cast.dan])
    cast.change("Scheduler", staff=[cast.sam])
    cast.change("Clinicians", staff=[cast.nina, cast.fay, cast.dan])
    cast.change("Clinicians", staff=[cast.nina, cast.fay])
    versions = {title: cast.version_of(title) for title in ("Scheduler", "Clinicians")}
    assert coverage.replace_everywhere(cast.fay.key, with_key=cast.dan.key, by=COMMAND) == 1
    assert receivers(cast, "Scheduler") == {"sam"} and receivers(cast, "Clinicians") == {"nina", "dan"}
    assert {title: cast.version_of(title) - version for title, version in versions.items()} == {"Scheduler": 0, "Clinicians": 1}
    with pytest.raises(NotVisible):
        coverage.replace_everywhere("x" * 22, with_key=cast.dan.key, by=COMMAND)


def test_the_impact_on_one_that_is_not_there_is_none(cast: Cast) -> None:
    cast.send(cast.sophie)
    db.session.close()
    assert coverage.impact_of(db.session(), "x" * 22, staff=[cast.dan.key]) == coverage.Impact()


def deliveries(key: str) -> list[tuple[str, bool]]:
    """The communicators that a thread was put in front of, and whether it still is; compared with whom it has."""
    db.session.close()
    of_it = sa.select(Delivery.title, Delivery.ended_at.is_(None)).join(Thread, Thread.id == Delivery.thread_id)
    found = sorted((title, bool(stands)) for title, stands in db.session.execute(of_it.where(Thread.key == key)))
    has = (
        sa.select(Communicator.title)
        .join(AudienceCommunicator, AudienceCommunicator.communicator_id == Communicator.id)
        .join(Thread, Thread.audience_id == AudienceCommunicator.audience_id)
    )
    assert sorted(db.session.scalars(has.where(Thread.key == key))) == [title for title, stands in found if stands]
    return found


def test_handing_on_moves_what_is_open_there_and_nothing_that_stands_beside_it(cast: Cast) -> None:
    moves, closed = cast.send(cast.sophie), cast.send(cast.sophie)
    beside, theirs = cast.send(cast.jihae, "Appointment"), cast.send(cast.jihae, to="IT Manager")
    conversations.close(closed, version=cast.thread(closed).version, by=cast.nina.actor)
    versions = {key: cast.thread(key).version for key in (closed, beside, theirs)}
    coverage.hand_open_threads(cast.communicator("Clinicians"), to=cast.communicator("IT Manager"), by=cast.ada.actor)
    assert deliveries(moves) == [("Clinicians", False), ("IT Manager", True)]
    assert [deliveries(key) for key in versions] == [[("Clinicians", True)], [("Scheduler", True)], [("IT Manager", True)]]
    assert {key: cast.thread(key).version for key in versions} == versions
    db.session.close()
    handed = sa.select(Thread.key).join(History, History.thread_id == Thread.id).where(History.did == Event.HANDED)
    assert db.session.scalars(handed).all() == [moves]
    counted = db.session.execute(sa.select(sa.func.sum(Audience.unread), sa.func.sum(Audience.in_box))).one()
    assert tuple(counted) == (3, 3)


def test_who_has_the_thread_already_is_not_handed_it_again(cast: Cast) -> None:
    cast.communicate(RequestType.APPOINTMENT, "Second desk", cast.dan)
    key = cast.send(cast.sophie, "Appointment")
    coverage.hand_open_threads(cast.communicator("Scheduler"), to=cast.communicator("Second desk"), by=COMMAND)
    assert deliveries(key) == [("Scheduler", False), ("Second desk", True)]


def test_an_end_that_a_delivery_had_stays_when_the_thread_comes_back_and_goes_again(cast: Cast) -> None:
    def ends() -> list[datetime]:
        db.session.close()
        ended = sa.select(Delivery.ended_at).where(Delivery.title == "Clinicians", Delivery.ended_at.is_not(None))
        return sorted(db.session.scalars(ended))

    key = cast.send(cast.sophie)
    for one, other in (("Clinicians", "IT Manager"), ("IT Manager", "Clinicians"), ("Clinicians", "IT Manager")):
        cast.change(one, is_in_use=True)
        cast.change(other, is_in_use=True)
        before = ends()
        coverage.hand_open_threads(cast.communicator(one), to=cast.communicator(other), by=COMMAND)
    assert len(ends()) == 2 and ends()[:1] == before
    assert deliveries(key) == [("Clinicians", False), ("Clinicians", False), ("IT Manager", False), ("IT Manager", True)]


def test_a_communicator_without_open_threads_hands_nothing_on(cast: Cast) -> None:
    closed = cast.send(cast.sophie)
    cast.send(cast.sophie, "Appointment")
    conversations.close(closed, version=cast.thread(closed).version, by=cast.nina.actor)
    audiences = sa.select(sa.func.count()).select_from(Audience)
    before = db.session.scalar(audiences)
    assert coverage.hand_open_threads(cast.communicator("Clinicians"), to=cast.communicator("IT Manager"), by=COMMAND) == 0
    db.session.close()
    assert db.session.scalar(audiences) == before


def test_who_loses_one_claim_keeps_the_others_and_so_does_everybody_else(cast: Cast) -> None:
    lost, kept, others = cast.send(cast.sophie), cast.send(cast.sophie, "Appointment"), cast.send(cast.sophie)
    cast.send(cast.jihae, to="IT Manager")
    for key, who in ((lost, cast.fay), (kept, cast.fay), (others, cast.nina)):
        conversations.claim(key, version=cast.thread(key).version, by=who.actor)
    cast.change("Clinicians", staff=[cast.nina])
    assert [claimed_by(cast, key) for key in (lost, kept, others)] == [None, cast.fay.id, cast.nina.id]
    cast.change("Clinicians", staff=[cast.nina, cast.dan])
    db.session.close()
    released = sa.select(Thread.key).join(History, History.thread_id == Thread.id).where(History.did == Event.RELEASED)
    assert db.session.scalars(released).all() == [lost]


def test_a_claim_past_its_time_is_not_released(cast: Cast) -> None:
    key = cast.send(cast.sophie)
    conversations.claim(key, version=cast.thread(key).version, by=cast.nina.actor)
    with clock_at(now() + 9 * DAYS), pytest.raises(Stale):
        conversations.release(key, version=cast.thread(key).version, by=cast.nina.actor)


# ---- What a save would deliver, and what stays known ---------------------------------------------------------


def test_what_a_save_would_deliver_is_counted_and_taken_back(cast: Cast) -> None:
    disable(cast.max)
    keys = [cast.send(cast.sophie, "Result") for _ in range(3)]
    values = {"kind": RequestType.RESULT, "title": "Second media desk", "staff": [cast.dan.key], "is_in_use": True}
    db.session.close()
    assert coverage.would_deliver(None, **values, by=cast.ada.actor) == 3
    assert coverage.would_deliver(None, **values | {"staff": []}, by=cast.ada.actor) == 0
    assert coverage.would_deliver(None, **values | {"title": ""}, by=cast.ada.actor) == 0
    assert coverage.would_deliver(None, **values, by=cast.sam.actor) == 0
    assert all(is_unrouted(cast, key) for key in keys)
    db.session.close()
    assert "Second media desk" not in [one.title for one in all_routable(db.session)]
    assert not db.session.scalar(sa.select(Audit.id).where(Audit.did == "save_communicator", Audit.actor_id == cast.ada.id))


def test_consequences_count_what_nobody_at_all_would_see(cast: Cast) -> None:
    cast.communicate(RequestType.APPOINTMENT, "Second desk", cast.dan)
    cast.send(cast.sophie, "Appointment")
    db.session.close()
    found = coverage.consequences_of(db.session(), cast.dan.key)
    assert (found.left_empty, found.open_threads) == (["Second desk"], 0)  # those of the Scheduler still see it
    cast.send(cast.sophie, "Result")
    cast.change("Media Manager", is_in_use=False)
    db.session.close()
    found = coverage.consequences_of(db.session(), cast.max.key)
    assert (found.left_empty, found.types_without, found.open_threads) == (["Media Manager"], [], 1)


def test_who_stood_in_before_the_deputy_changed_stays_known(cast: Cast) -> None:
    key = away(cast.max, cast.dan, last=9)
    with clock_at(noon(3)):
        days = {"first_day": today() - 3 * DAYS, "last_day": today() + 6 * DAYS}
        coverage.change_absence(key, **days, deputy=cast.sam.key, version=version_of(key), by=COMMAND)
    db.session.close()
    rows = db.session.execute(sa.select(Absence.deputy_id, Absence.starts_at, Absence.ends_at).order_by(Absence.starts_at)).all()
    assert [row.deputy_id for row in rows] == [cast.dan.id, cast.sam.id] and rows[0].ends_at == rows[1].starts_at == noon(3)


def test_an_absence_warns_of_the_days_it_lasts_not_of_today(cast: Cast) -> None:
    away(cast.fay, first=7, last=9)
    data = {"key": new_key(), "first_day": (today() + 6 * DAYS).isoformat(), "last_day": (today() + 8 * DAYS).isoformat()}
    answer = cast.sam.post("/staff/absences", data | {"deputy": ""})
    assert answer.status_code == 422 and "Scheduler" in answer.text
    data = {"key": new_key(), "first_day": today().isoformat(), "last_day": (today() + 6 * DAYS).isoformat(), "deputy": ""}
    assert cast.sam.post("/staff/absences", data).status_code == 303


# ---- Handed to another type --------------------------------------------------------------------------------


def test_a_request_goes_along_to_another_type(cast: Cast) -> None:
    for who in (cast.sam, cast.fay):
        disable(who)
    key = cast.send(cast.sophie, "Appointment", body="My left knee")
    conversations.hand_to(key, communicator=cast.communicator("IT Manager"), version=cast.thread(key).version, by=cast.ada.actor)
    for page in (cast.ivan.get(f"/staff/messages/{key}"), cast.sophie.get(f"/messages/{key}")):
        assert page.status_code == 200 and "Reason for visit" in page.text and "My left knee" in page.text
    db.session.close()
    row = db.session.scalars(sa.select(Audit).where(Audit.did == "hand_to")).one()
    assert '"after": {"communicators": ["IT Manager"]}' in row.details


def test_nothing_becomes_an_amendment_by_being_handed_on(cast: Cast) -> None:
    for who in (cast.nina, cast.fay, cast.ivan):
        disable(who)
    key = cast.send(cast.sophie, "Others", to="")
    assert "Patient Info Manager" not in cast.ada.get("/admin/unrouted").text
    with pytest.raises(Invalid):
        conversations.hand_to(
            key, communicator=cast.communicator("Patient Info Manager"), version=cast.thread(key).version, by=cast.ada.actor
        )


def test_what_was_received_before_it_was_handed_on_arrived_before_it_was_received(cast: Cast) -> None:
    cast.communicate(RequestType.APPOINTMENT, "Second desk", cast.dan, is_in_use=False)
    with clock_at(now() - DAYS):
        key = cast.send(cast.sophie, "Appointment")
    with clock_at(now() - DAYS / 2):
        conversations.receive(key, version=cast.thread(key).version, by=cast.sam.actor)
    cast.change("Second desk", is_in_use=True)
    coverage.hand_open_threads(cast.communicator("Scheduler"), to=cast.communicator("Second desk"), by=COMMAND)
    db.session.close()
    opened = opened_by_patient(key, cast.sophie.id)
    steps = way_of(opened.messages[0], opened)
    assert [step.at for step in steps[:3] if step.at] == sorted(step.at for step in steps[:3] if step.at)
    assert steps[1].note == "Second desk" and cast.dan.id in told(key)


def test_keys_of_notices_have_room_for_large_numbers(cast: Cast) -> None:
    disable(cast.max)
    key = cast.send(cast.sophie, "Result")
    cast.change("Media Manager", staff=[cast.dan])
    db.session.close()
    newest = db.session.scalars(sa.select(Notice.key).order_by(Notice.id.desc()).limit(1)).one()
    numbers = newest.removeprefix("w").split("-")
    assert told(key) == {cast.dan.id} and numbers[1] == str(cast.dan.id) and len("w-") + 2 * len(str(2**31)) <= 22
