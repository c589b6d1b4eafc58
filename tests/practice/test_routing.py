"""Who receives: the rules of docs/routing.md as a table of data, then each row of what can happen afterwards."""

import json
from collections.abc import Iterable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from practice import conversations, routing
from practice.communicators import Audience, AudienceCommunicator, Communicator, Membership, all_routable, box_of
from practice.coverage import HasThreads, delete_communicator, hand_open_threads, save_communicator, set_staff_status
from practice.db import COMMAND, clock_at, db, new_key, now, transaction
from practice.errors import Invalid, NotAllowed, NotVisible, Stale
from practice.outbox import Notice, Occasion
from practice.people import AccountStatus, Staff
from practice.settings import RequestType
from practice.threads import Delivery, Event, History, Thread, ThreadState
from tests.conftest import TITLES, Cast, Player

EVERYBODY = ("ada", "sam", "max", "nina", "ivan", "rita", "fay", "dan")


def who_sees(cast: Cast, key: str) -> set[str]:
    """The staff whose In Box has the thread: by opening it, which is the same question as listing it."""
    seen = set()
    for name in EVERYBODY:
        if cast.sees(getattr(cast, name), key):
            seen.add(name)
    return seen


def told(key: str, occasion: Occasion = Occasion.WAITING) -> list[int]:
    db.session.close()
    return list(
        db.session.scalars(
            sa.select(Notice.person_id)
            .join_from(Notice, routing.Thread, routing.Thread.id == Notice.thread_id)
            .where(routing.Thread.key == key, Notice.occasion == occasion)
            .order_by(Notice.person_id)
        )
    )


def ids(cast: Cast, names: Iterable[str]) -> list[int]:
    return sorted(getattr(cast, name).id for name in names)


# ---- The truth table: type x communicators (members, In Use, facilities) x facility asked for -> who sees it ----------

A, R, O, M = "Appointment", "Result", "Others", "Amendment"
TABLE = [
    # why, type, communicators: (title, members, In Use, facilities), facility, picked, disabled, who sees it
    ("rule 2: the only one of the type", A, [("A1", "sam", True, "")], "linden", None, "", "sam"),
    ("rule 2: every one of the type", A, [("A1", "sam", True, ""), ("A2", "fay", True, "")], "linden", None, "", "sam fay"),
    ("rule 2: not those of another type", A, [("A1", "sam", True, ""), ("R1", "max", True, "", R)], "linden", None, "", "sam"),
    ("rule 2: the one that serves the facility", A, [("A1", "sam", True, "linden"), ("A2", "fay", True, "oak")], "linden", None, "", "sam"),
    ("rule 2: one without facilities serves all", A, [("A1", "sam", True, "oak"), ("A2", "fay", True, "")], "linden", None, "", "fay"),
    ("rule 2: if none serves it, every one of the type", A, [("A1", "sam", True, "oak"), ("A2", "fay", True, "oak")], "linden", None, "", "sam fay"),
    ("rule 2: without a facility all serve", R, [("R1", "max", True, "oak"), ("R2", "fay", True, "linden")], None, None, "", "max fay"),
    ("rule 2: without a facility not only those that serve all", R, [("R1", "max", True, "oak"), ("R2", "fay", True, "")], None, None, "", "max fay"),
    ("rule 2: a Result goes by its location", R, [("R1", "max", True, "oak"), ("R2", "fay", True, "linden")], "oak", None, "", "max"),
    ("rule 2: an Amendment too goes to all of the type", M, [("M1", "rita", True, ""), ("M2", "dan", True, "")], None, None, "", "rita dan"),
    ("rule 1: not In Use receives nothing", A, [("A1", "sam", False, ""), ("A2", "fay", True, "")], "linden", None, "", "fay"),
    ("rule 1: without members it receives nothing", A, [("A1", "", True, ""), ("A2", "fay", True, "")], "linden", None, "", "fay"),
    ("rule 1: a disabled member counts for nothing", A, [("A1", "sam", True, ""), ("A2", "fay", True, "")], "linden", None, "sam", "fay"),
    ("rule 1: one active member is enough", A, [("A1", "sam dan", True, "")], "linden", None, "sam", "dan"),
    ("rule 1: a serving one that is off gives way", A, [("A1", "sam", False, "linden"), ("A2", "fay", True, "oak")], "linden", None, "", "fay"),
    ("rule 3: Others to the picked one alone", O, [("O1", "nina", True, ""), ("O2", "ivan", True, "")], None, "O1", "", "nina"),
    ("rule 3: and to no other", O, [("O1", "nina fay", True, ""), ("O2", "ivan", True, "")], None, "O2", "", "ivan"),
    ("rule 4: somebody in two is there once", A, [("A1", "sam fay", True, ""), ("A2", "fay", True, "")], "linden", None, "", "sam fay"),
    ("rule 5: nobody in use: nobody sees it", A, [("A1", "sam", False, "")], "linden", None, "", ""),
    ("rule 5: all disabled: nobody sees it", A, [("A1", "sam", True, "")], "linden", None, "sam", ""),
    ("rule 5: no communicator of the type", M, [("A1", "sam", True, "")], None, None, "", ""),
    ("rule 3: no Others at all: the practice takes it", O, [("A1", "sam", True, "")], None, None, "", ""),
    ("rule 3: no Others routable: the practice takes it", O, [("O1", "nina", False, "")], None, None, "", ""),
]  # fmt: skip


@pytest.fixture
def bare(cast: Cast) -> Cast:
    """The cast without any communicator."""
    for title in ("Scheduler", "Media Manager", "Clinicians", "IT Manager", "Patient Info Manager"):
        delete_communicator(cast.communicator(title), by=COMMAND)
    return cast


@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
def test_who_receives(bare: Cast, row):
    _, kind, communicators, facility, picked, disabled, expected = row
    for title, members, is_in_use, facilities, *other in communicators:
        of_type = RequestType(other[0] if other else {"A": A, "R": R, "O": O, "M": M}[title[0]])
        staff = [getattr(bare, name) for name in members.split()]
        bare.communicate(of_type, title, *staff, is_in_use=is_in_use)
        bare.serve(title, *(getattr(bare, f) for f in facilities.split()))
    for name in disabled.split():
        set_staff_status(getattr(bare, name).key, AccountStatus.DISABLED, by=COMMAND)
    more = {"facility": getattr(bare, facility) if facility else None} if kind in (A, R) else {}
    if kind == R and facility is None:
        key = bare.send_mailed_result(bare.sophie)
    else:
        key = bare.send(bare.sophie, kind, to=picked, **more)
    assert who_sees(bare, key) == set(expected.split())
    thread = bare.thread(key)
    assert (thread.unrouted_since is None) == bool(expected)
    assert told(key) == ids(bare, expected.split())
    assert told(key, Occasion.UNROUTED) == ([] if expected else [bare.ada.id])


# ---- Rule 3, 4, 5 ------------------------------------------------------------------------------------------------------


def test_others_must_name_a_recipient_that_can_receive(cast):
    with pytest.raises(Invalid):
        cast.send(cast.sophie, to=None)
    key = cast.communicator("Clinicians")
    cast.change("Clinicians", is_in_use=False)
    with pytest.raises(Invalid) as refused:
        conversations.send(
            cast.sophie.id, kind=RequestType.OTHERS, title="A", body="B", to=key, form_key=new_key(), by=cast.sophie.actor
        )
    assert refused.value.field == "to"


def test_others_cannot_be_aimed_at_a_communicator_of_another_type(cast):
    with pytest.raises(Invalid):
        cast.send(cast.sophie, to="Scheduler")


def test_somebody_in_two_receiving_communicators_has_one_row_one_unread_and_one_notice(cast):
    cast.communicate(RequestType.APPOINTMENT, "Second desk", cast.fay)
    key = cast.send(cast.sophie, "Appointment")
    box = box_of(db.session, cast.fay.id, None)
    assert sum(a.unread for a in box.shared) == 1
    assert box.titles_of(cast.thread(key).audience_id) == ("Scheduler", "Second desk")
    assert told(key) == ids(cast, ["sam", "fay"])


@pytest.mark.parametrize("how", ["member added", "account enabled", "In Use set", "new communicator"])
def test_what_waited_is_delivered_in_the_transaction_that_made_somebody_eligible(cast, how):
    if how == "In Use set":
        cast.change("Scheduler", is_in_use=False)
    elif how == "account enabled":
        for name in ("sam", "fay"):
            set_staff_status(getattr(cast, name).key, AccountStatus.DISABLED, by=COMMAND)
    else:
        cast.change("Scheduler", staff=[])
    keys = [cast.send(cast.sophie, "Appointment", body=f"{n}") for n in range(3)]
    assert all(who_sees(cast, key) == set() for key in keys)
    if how == "member added":
        cast.change("Scheduler", staff=[cast.dan])
        receives = {"dan"}
    elif how == "account enabled":
        set_staff_status(cast.sam.key, AccountStatus.ACTIVE, by=COMMAND)
        receives = {"sam"}
    elif how == "In Use set":
        cast.change("Scheduler", is_in_use=True)
        receives = {"sam", "fay"}
    else:
        cast.communicate(RequestType.APPOINTMENT, "New desk", cast.dan)
        receives = {"dan"}
    for key in keys:
        assert who_sees(cast, key) == receives
        assert told(key) == ids(cast, receives)
        thread = cast.thread(key)
        assert thread.unrouted_since is None and thread.is_unread and thread.is_in_box
    counted = db.session.execute(sa.select(sa.func.sum(Audience.unread), sa.func.sum(Audience.in_box))).one()
    assert tuple(counted) == (3, 3)


def test_what_waits_for_one_type_is_not_woken_by_another(cast):
    cast.change("Scheduler", staff=[])
    key = cast.send(cast.sophie, "Appointment")
    cast.change("Clinicians", staff=[cast.dan])
    assert who_sees(cast, key) == set()


def test_an_unrouted_message_to_the_practice_is_not_woken_by_a_communicator_nobody_picked(cast):
    for title in ("Clinicians", "IT Manager"):
        cast.change(title, is_in_use=False)
    key = cast.send(cast.sophie, to=None)
    cast.change("IT Manager", is_in_use=True)
    assert who_sees(cast, key) == set()
    assert cast.thread(key).unrouted_since is not None


def test_waking_takes_the_same_number_of_statements_for_one_and_for_many(cast, statements):
    cast.change("Scheduler", staff=[])
    counts = []
    for many in (1, 2, 12):
        for n in range(many):
            cast.send(cast.sophie, "Appointment", body=f"{many} {n}")
        with statements() as found:
            cast.change("Scheduler", staff=[cast.dan])
        counts.append(len(found))
        cast.change("Scheduler", staff=[])
    assert counts[1] == counts[2], "the first time the audience itself is made"


# ---- Rule 6 -------------------------------------------------------------------------------------------------------------


def reply(cast: Cast, who: Player, key: str) -> None:
    conversations.reply(key, body="And one more thing", form_key=new_key(), by=who.actor)


def test_a_reply_stays_with_whom_has_the_thread_while_one_of_them_can_receive(cast):
    key = cast.send(cast.sophie, "Appointment")
    cast.communicate(RequestType.APPOINTMENT, "Another desk", cast.dan)
    reply(cast, cast.sophie, key)
    assert who_sees(cast, key) == {"sam", "fay"}


def test_a_reply_that_nobody_of_them_can_receive_adds_the_others_of_the_type(cast):
    key = cast.send(cast.sophie, "Appointment")
    cast.communicate(RequestType.APPOINTMENT, "Another desk", cast.dan)
    cast.change("Scheduler", is_in_use=False)
    reply(cast, cast.sophie, key)
    assert who_sees(cast, key) == {"sam", "fay", "dan"}, "whoever has it keeps it"
    assert cast.thread(key).unrouted_since is None


@pytest.mark.parametrize("how", ["switched off", "member gone", "disabled"])
def test_others_never_reaches_a_communicator_nobody_picked(cast, how):
    key = cast.send(cast.sophie, to="IT Manager")
    assert who_sees(cast, key) == {"ivan"}
    if how == "switched off":
        cast.change("IT Manager", is_in_use=False)
    elif how == "member gone":
        cast.change("IT Manager", staff=[])
    else:
        set_staff_status(cast.ivan.key, AccountStatus.DISABLED, by=COMMAND)
    reply(cast, cast.sophie, key)
    assert cast.thread(key).unrouted_since is not None
    assert who_sees(cast, key) == ({"ivan"} if how == "switched off" else set())
    assert told(key, Occasion.UNROUTED) == [cast.ada.id]
    if how == "disabled":
        set_staff_status(cast.ivan.key, AccountStatus.ACTIVE, by=COMMAND)
    else:
        cast.change("IT Manager", staff=[cast.ivan], is_in_use=True)
    assert who_sees(cast, key) == {"ivan"}
    assert cast.thread(key).unrouted_since is None


def test_who_has_the_thread_and_answers_it_ends_the_waiting_for_a_recipient(cast):
    key = cast.send(cast.sophie, to="IT Manager")
    cast.change("IT Manager", is_in_use=False)
    reply(cast, cast.sophie, key)
    cast.answer(cast.ivan, key)
    assert cast.thread(key).unrouted_since is None


def test_hand_to_gives_the_thread_to_one_and_takes_it_from_the_rest(cast):
    key = cast.send(cast.sophie, to="IT Manager")
    cast.change("IT Manager", is_in_use=False)
    reply(cast, cast.sophie, key)
    version = cast.thread(key).version
    to = cast.communicator("Clinicians")
    with pytest.raises(Stale):
        conversations.hand_to(key, communicator=to, version=version - 1, by=cast.ada.actor)
    with pytest.raises(NotAllowed):
        conversations.hand_to(key, communicator=to, version=version, by=cast.nina.actor)
    with pytest.raises(Invalid):
        conversations.hand_to(key, communicator=cast.communicator("IT Manager"), version=version, by=cast.ada.actor)
    conversations.hand_to(key, communicator=to, version=version, by=cast.ada.actor)
    assert who_sees(cast, key) == {"nina", "fay"}
    ended = db.session.scalars(sa.select(Delivery).where(Delivery.ended_at.is_not(None))).one()
    assert ended.title == "IT Manager"
    assert set(told(key)) >= {cast.nina.id, cast.fay.id}
    with pytest.raises(Stale):
        conversations.hand_to(key, communicator=to, version=cast.thread(key).version, by=cast.ada.actor)


def test_an_unrouted_amendment_is_handed_to_an_amendment_communicator_only(cast):
    cast.change("Patient Info Manager", is_in_use=False)
    key = cast.send(cast.sophie, "Amendment")
    with pytest.raises(Invalid):
        conversations.hand_to(
            key, communicator=cast.communicator("Clinicians"), version=cast.thread(key).version, by=cast.ada.actor
        )


# ---- Rule 7, 8 and the table under the rules ---------------------------------------------------------------------------------


def test_a_thread_that_staff_begin_is_answered_and_the_reply_puts_it_into_the_in_box(cast):
    scheduler = cast.communicator("Scheduler")
    sent = conversations.start(
        cast.sophie.key, communicator=scheduler, title="A date", body="Please call.", form_key=new_key(), by=cast.sam.actor
    )
    thread = cast.thread(sent.thread_key)
    assert (thread.state, thread.is_in_box, thread.is_unread, thread.type) == (ThreadState.ANSWERED, False, False, A)
    assert told(sent.thread_key) == []
    reply(cast, cast.sophie, sent.thread_key)
    thread = cast.thread(sent.thread_key)
    assert (thread.state, thread.is_in_box, thread.is_unread) == (ThreadState.WAITING, True, True)
    assert who_sees(cast, sent.thread_key) == {"sam", "fay"}


def test_staff_begin_threads_only_from_their_own_communicators_that_are_in_use(cast):
    common = {"title": "A", "body": "B", "by": cast.sam.actor}
    with pytest.raises(Invalid):
        conversations.start(cast.sophie.key, communicator=cast.communicator("Clinicians"), form_key=new_key(), **common)
    scheduler = cast.communicator("Scheduler")
    cast.change("Scheduler", is_in_use=False)
    with pytest.raises(Invalid):
        conversations.start(cast.sophie.key, communicator=scheduler, form_key=new_key(), **common)
    with pytest.raises(NotVisible):
        conversations.start(cast.dan.key, communicator=scheduler, form_key=new_key(), **common)


def test_a_removed_member_loses_sight_at_once_and_a_new_one_sees_everything(cast):
    key = cast.send(cast.sophie, "Appointment")
    cast.change("Scheduler", staff=[cast.fay, cast.dan])
    assert who_sees(cast, key) == {"fay", "dan"}


def test_switched_off_its_staff_still_see_and_answer_what_they_have(cast):
    key = cast.send(cast.sophie, to="IT Manager")
    cast.change("IT Manager", is_in_use=False)
    cast.answer(cast.ivan, key)
    assert cast.thread(key).state == ThreadState.ANSWERED


def test_nobody_sees_receives_or_is_told_of_their_own_thread_from_the_staff_side(cast):
    twin = cast.staff("twin", own_patient=cast.sophie.id)
    cast.change("Scheduler", staff=[cast.sam, twin])
    own, other = cast.send(cast.sophie, "Appointment"), cast.send(cast.jihae, "Appointment")
    assert not cast.sees(twin, own) and cast.sees(twin, other)
    assert told(own) == [cast.sam.id]
    with pytest.raises(NotVisible):
        cast.answer(twin, own)
    with pytest.raises(NotVisible):
        conversations.start(
            cast.sophie.key,
            communicator=cast.communicator("Scheduler"),
            title="A",
            body="B",
            form_key=new_key(),
            by=twin.actor,
        )


def test_a_communicator_with_threads_is_not_deleted(cast):
    cast.send(cast.sophie, "Appointment")
    with pytest.raises(HasThreads):
        delete_communicator(cast.communicator("Scheduler"), by=COMMAND)
    delete_communicator(cast.communicator("IT Manager"), by=COMMAND)


def test_its_type_does_not_change_once_it_has_threads(cast):
    key = cast.communicator("IT Manager")
    saved = {"title": "IT Manager", "staff": [cast.ivan.key], "is_in_use": True, "by": COMMAND}
    save_communicator(key, kind=RequestType.RESULT, version=cast.version_of("IT Manager"), **saved)
    cast.send(cast.sophie, "Result")
    with pytest.raises(Invalid):
        save_communicator(key, kind=RequestType.OTHERS, version=cast.version_of("IT Manager"), **saved)


def test_old_messages_keep_the_title_they_were_sent_under(cast):
    key = cast.send(cast.sophie, to="IT Manager")
    cast.answer(cast.ivan, key)
    save_communicator(
        cast.communicator("IT Manager"),
        kind=RequestType.OTHERS,
        title="Help Desk",
        staff=[cast.ivan.key],
        is_in_use=True,
        version=cast.version_of("IT Manager"),
        by=COMMAND,
    )
    assert "IT Manager" in cast.sophie.get(f"/messages/{key}").text
    assert "Help Desk" not in cast.sophie.get(f"/messages/{key}").text


def test_a_title_is_unique_within_its_type_whatever_the_case_and_blanks(cast):
    with pytest.raises(Invalid):
        cast.communicate(RequestType.OTHERS, "  it   MANAGER ", cast.ivan)
    cast.communicate(RequestType.RESULT, "IT Manager", cast.ivan)


def test_only_an_admin_changes_who_is_in_charge(cast):
    with pytest.raises(NotAllowed):
        save_communicator(None, kind=RequestType.RESULT, title="Mine", staff=[], is_in_use=True, by=cast.sam.actor)
    with pytest.raises(NotAllowed):
        delete_communicator(cast.communicator("IT Manager"), by=cast.sam.actor)
    with pytest.raises(NotAllowed):
        set_staff_status(cast.max.key, AccountStatus.DISABLED, by=cast.sam.actor)


def test_the_last_active_admin_is_not_disabled(cast):
    with pytest.raises(NotAllowed):
        set_staff_status(cast.ada.key, AccountStatus.DISABLED, by=COMMAND)
    other = cast.staff("other", is_admin=True)
    set_staff_status(cast.ada.key, AccountStatus.DISABLED, by=other.actor)


def test_a_later_save_of_an_old_version_is_refused(cast):
    version = cast.version_of("Scheduler")
    cast.change("Scheduler", staff=[cast.sam])
    with pytest.raises(Stale):
        save_communicator(
            cast.communicator("Scheduler"),
            kind=RequestType.APPOINTMENT,
            title="Scheduler",
            staff=[],
            is_in_use=True,
            version=version,
            by=COMMAND,
        )


def test_an_audience_is_made_once(cast, statements):
    ids = list(db.session.scalars(sa.select(Communicator.id)))
    with transaction(by=COMMAND, did="test") as tx:
        first = routing.audience_of(tx.session, ids)
        assert routing.audience_of(tx.session, ids[:2]) != first
        with statements() as found:
            assert routing.audience_of(tx.session, reversed(ids)) == first
    assert not [s for s in found if s.startswith("INSERT INTO audience")]


# ---- Each condition alone (tests/mutants.py takes them out one by one) -------------------------------------------------


def has_it(key: str) -> list[str]:
    """The communicators that a thread's audience consists of, by title; compared with the deliveries that stand."""
    db.session.close()
    of_audience = db.session.scalars(
        sa.select(Communicator.title)
        .join(AudienceCommunicator, AudienceCommunicator.communicator_id == Communicator.id)
        .join(Thread, Thread.audience_id == AudienceCommunicator.audience_id)
        .where(Thread.key == key)
    )
    delivered = db.session.scalars(
        sa.select(Delivery.title)
        .join(Thread, Thread.id == Delivery.thread_id)
        .where(Thread.key == key, Delivery.ended_at.is_(None))
    )
    found = sorted(of_audience)
    assert sorted(delivered) == found
    return found


def happened(key: str) -> list[tuple[Event, str]]:
    """What routing wrote into the history of a thread."""
    db.session.close()
    events = sa.select(History.did, History.words).join(Thread, Thread.id == History.thread_id).where(Thread.key == key)
    return [(did, words) for did, words in db.session.execute(events.order_by(History.id))]


def put_in_charge_behind_routings_back(cast: Cast, title: str, who: Player) -> None:
    """A member whom no verb announced: what waits goes on waiting."""
    key = cast.communicator(title)
    with transaction(by=COMMAND, did="test") as tx:
        of = tx.session.scalars(sa.select(Communicator.id).where(Communicator.key == key)).one()
        tx.session.add(Membership(communicator_id=of, staff_id=who.id, since=now()))


def wait_again(key: str) -> None:
    """Marks a thread as waiting for a recipient, as no verb would."""
    with transaction(by=COMMAND, did="test") as tx:
        tx.session.execute(sa.update(Thread).where(Thread.key == key).values(unrouted_since=now()))


def woken() -> int:
    with transaction(by=COMMAND, did="test") as tx:
        return routing.wake(tx)


def test_a_thread_waits_for_a_recipient_since_the_first_message_that_nobody_could_receive(cast):
    cast.change("Scheduler", staff=[])
    with clock_at(now() - timedelta(days=2)):
        key = cast.send(cast.sophie, "Appointment")
    since = cast.thread(key).unrouted_since
    reply(cast, cast.sophie, key)
    assert cast.thread(key).unrouted_since == since
    assert told(key, Occasion.UNROUTED) == [cast.ada.id] * 2


def test_only_active_admins_are_told_of_what_nobody_can_receive(cast):
    other = cast.staff("other", is_admin=True)
    set_staff_status(cast.ada.key, AccountStatus.DISABLED, by=COMMAND)
    cast.change("Scheduler", staff=[])
    assert told(cast.send(cast.sophie, "Appointment"), Occasion.UNROUTED) == [other.id]


def test_waking_moves_what_waits_and_nothing_that_stands_beside_it(cast):
    """Two types and two facilities wait, some threads with a communicator that is off, some with none, some do not wait."""
    had = cast.send(cast.sophie, "Appointment", body="received before")
    reached = cast.send(cast.jihae, "Appointment", body="waits with the Scheduler")
    cast.change("Scheduler", is_in_use=False)
    reply(cast, cast.jihae, reached)
    alone, result = cast.send(cast.sophie, "Appointment", body="waits with nobody"), cast.send(cast.hugo, "Others")
    cast.change("Media Manager", staff=[])
    media = cast.send(cast.sophie, "Result")
    versions = {key: cast.thread(key).version for key in (had, media, result)}
    cast.communicate(RequestType.APPOINTMENT, "New desk", cast.dan)
    assert {key: has_it(key) for key in (had, reached, alone, media, result)} == {
        had: ["Scheduler"],
        reached: ["New desk", "Scheduler"],
        alone: ["New desk"],
        media: [],
        result: ["Clinicians"],
    }
    assert {key: cast.thread(key).version for key in versions} == versions
    assert [did for did, _ in happened(reached)] == [Event.DELIVERED] * 2 and happened(media) == []
    assert [did for did, _ in happened(alone)] == [Event.DELIVERED] and len(happened(had)) == len(happened(result)) == 1
    assert cast.thread(media).unrouted_since is not None
    assert (told(had), told(media), told(alone)) == (ids(cast, ["sam", "fay"]), [], [cast.dan.id])
    assert told(reached) == sorted([*ids(cast, ["sam", "fay"]), *ids(cast, ["sam", "fay", "dan"])])
    counted = db.session.execute(sa.select(sa.func.sum(Audience.unread), sa.func.sum(Audience.in_box))).one()
    assert tuple(counted) == (4, 4), "all but the one that still waits with nobody"


def test_the_last_message_a_waking_speaks_of_is_the_threads_own(cast):
    cast.change("Scheduler", staff=[])
    keys = [cast.send(cast.sophie, "Appointment", body=f"{n}") for n in range(2)]
    cast.change("Scheduler", staff=[cast.dan])
    for key in keys:
        thread = cast.thread(key).id
        last = routing.last_message_id(db.session, thread)
        assert db.session.scalars(sa.select(History.up_to_id).where(History.thread_id == thread)).all() == [last]
        notices = sa.select(Notice.message_id).where(Notice.thread_id == thread, Notice.occasion == Occasion.WAITING)
        assert db.session.scalars(notices).all() == [last]


def test_of_two_that_wait_each_goes_to_whoever_serves_its_facility(cast):
    cast.change("Scheduler", is_in_use=False)
    for title, facility in (("Linden desk", cast.linden), ("Oak desk", cast.oak)):
        cast.communicate(RequestType.APPOINTMENT, title, cast.dan)
        cast.serve(title, facility)
    set_staff_status(cast.dan.key, AccountStatus.DISABLED, by=COMMAND)
    linden, oak = cast.send(cast.sophie, "Appointment"), cast.send(cast.sophie, "Appointment", facility=cast.oak)
    set_staff_status(cast.dan.key, AccountStatus.ACTIVE, by=COMMAND)
    assert (has_it(linden), has_it(oak)) == (["Linden desk"], ["Oak desk"])


def test_waking_answers_how_many_it_delivered(cast):
    cast.send(cast.jihae, "Appointment")
    assert woken() == 0
    cast.change("Scheduler", staff=[])
    for _ in range(2):
        cast.send(cast.sophie, "Appointment")
    assert woken() == 0
    put_in_charge_behind_routings_back(cast, "Scheduler", cast.dan)
    assert woken() == 2
    assert woken() == 0


def test_waking_tells_nobody_twice_of_the_same_message_and_everybody_of_a_newer_one(cast):
    key = cast.send(cast.sophie, to="IT Manager")
    wait_again(key)
    put_in_charge_behind_routings_back(cast, "IT Manager", cast.dan)
    assert woken() == 1
    assert told(key) == ids(cast, ["ivan", "dan"])
    cast.change("IT Manager", is_in_use=False)
    reply(cast, cast.sophie, key)
    cast.change("IT Manager", is_in_use=True)
    assert told(key) == sorted(ids(cast, ["ivan", "dan"]) * 2)


def test_an_admin_in_charge_is_told_of_what_waits_though_told_that_nobody_had_it(cast):
    cast.change("Scheduler", staff=[])
    key = cast.send(cast.sophie, "Appointment")
    cast.change("Scheduler", staff=[cast.ada])
    assert told(key, Occasion.UNROUTED) == told(key) == [cast.ada.id]


def test_waking_tells_nobody_of_their_own_thread_as_a_patient_but_of_all_others(cast):
    twin = cast.staff("twin", own_patient=cast.sophie.id)
    cast.change("Scheduler", staff=[])
    own, other = cast.send(cast.sophie, "Appointment"), cast.send(cast.jihae, "Appointment")
    cast.change("Scheduler", staff=[cast.sam, twin])
    assert (told(own), told(other)) == ([cast.sam.id], sorted([cast.sam.id, twin.id]))
    assert told(cast.send(cast.jihae, "Appointment")) == sorted([cast.sam.id, twin.id])


def test_hand_to_takes_the_type_of_whom_it_gives_to_and_leaves_other_threads_alone(cast):
    other = cast.send(cast.jihae, "Appointment")
    key = cast.send(cast.sophie, "Appointment")
    cast.change("Scheduler", is_in_use=False)
    reply(cast, cast.sophie, key)
    conversations.hand_to(key, communicator=cast.communicator("Clinicians"), version=cast.thread(key).version, by=cast.ada.actor)
    assert (has_it(key), cast.thread(key).type) == (["Clinicians"], RequestType.OTHERS)
    assert has_it(other) == ["Scheduler"]


def test_an_amendment_handed_on_goes_to_the_amendment_communicator_that_was_chosen(cast):
    cast.change("Patient Info Manager", staff=[])
    key = cast.send(cast.sophie, "Amendment")
    put_in_charge_behind_routings_back(cast, "Patient Info Manager", cast.rita)
    chosen = cast.communicator("Patient Info Manager")
    conversations.hand_to(key, communicator=chosen, version=cast.thread(key).version, by=cast.ada.actor)
    assert has_it(key) == ["Patient Info Manager"]


def test_whoever_has_the_thread_already_keeps_the_delivery_when_it_is_handed_to_them(cast):
    key = cast.send(cast.sophie, to="IT Manager")
    cast.change("IT Manager", staff=[])
    reply(cast, cast.sophie, key)
    put_in_charge_behind_routings_back(cast, "IT Manager", cast.ivan)
    conversations.hand_to(key, communicator=cast.communicator("IT Manager"), version=cast.thread(key).version, by=cast.ada.actor)
    assert has_it(key) == ["IT Manager"]


def test_a_delivery_that_ended_keeps_its_end_when_the_thread_is_handed_on_again(cast):
    def ended(title: str) -> object:
        db.session.close()
        return db.session.scalars(sa.select(Delivery.ended_at).where(Delivery.title == title)).one()

    key = cast.send(cast.sophie, to="IT Manager")
    for off, to in (("IT Manager", "Clinicians"), ("Clinicians", "Scheduler")):
        cast.change(off, is_in_use=False)
        reply(cast, cast.sophie, key)
        before = ended("IT Manager")
        conversations.hand_to(key, communicator=cast.communicator(to), version=cast.thread(key).version, by=cast.ada.actor)
    assert ended("IT Manager") == before is not None
    assert ended("Clinicians") > before


def test_only_an_active_admin_hands_on(cast):
    cast.change("IT Manager", is_in_use=False)
    cast.change("Clinicians", is_in_use=False)
    key = cast.send(cast.sophie, to=None)
    cast.staff("other", is_admin=True)
    set_staff_status(cast.ada.key, AccountStatus.DISABLED, by=COMMAND)
    to, version = cast.communicator("Scheduler"), cast.thread(key).version
    with pytest.raises(NotAllowed):
        conversations.hand_to(key, communicator=to, version=version, by=cast.ada.actor)
    with pytest.raises(NotAllowed):
        save_communicator(None, kind=RequestType.RESULT, title="Mine", staff=[], is_in_use=True, by=cast.ada.actor)


def test_an_admin_changes_who_is_in_charge(cast):
    for who, status in ((cast.max, AccountStatus.DISABLED), (cast.max, AccountStatus.ACTIVE)):
        set_staff_status(who.key, status, by=cast.ada.actor)
    made = save_communicator(None, kind=RequestType.RESULT, title="Mine", staff=[], is_in_use=True, by=cast.ada.actor)
    delete_communicator(made, by=cast.ada.actor)


def test_an_admin_who_is_no_admin_any_more_or_disabled_does_not_count_as_another_admin(cast):
    other = cast.staff("other", is_admin=True)
    set_staff_status(other.key, AccountStatus.DISABLED, by=COMMAND)
    with pytest.raises(NotAllowed):
        set_staff_status(cast.ada.key, AccountStatus.DISABLED, by=COMMAND)
    set_staff_status(cast.sam.key, AccountStatus.DISABLED, by=COMMAND)


def test_a_picked_one_that_cannot_receive_and_none_picked_are_told_apart(cast):
    with pytest.raises(Invalid, match="Choose who should receive"):
        cast.send(cast.sophie, to=None)
    with pytest.raises(Invalid, match="cannot receive messages now"):
        cast.send(cast.sophie, to="Scheduler")


def test_a_thread_shows_the_titles_of_its_own_audience_and_is_answered_for_by_them_alone(cast):
    first, second = cast.send(cast.sophie, "Appointment"), cast.send(cast.sophie, "Others")
    box = box_of(db.session, cast.fay.id, None)
    for key, title in ((first, "Scheduler"), (second, "Clinicians")):
        audience = cast.thread(key).audience_id
        assert box.titles_of(audience) == (title,)
        assert [mine.title for mine in box.mine_of(audience)] == [title]
    assert sorted(mine.title for mine in box.mine) == ["Clinicians", "Scheduler"]
    assert len(box.shared) == 2
    assert box.titles_of(None) == () and box.mine_of(None) == []


def test_an_audience_of_two_is_shared_by_both_and_shows_both_titles(cast):
    cast.communicate(RequestType.APPOINTMENT, "Second desk", cast.dan)
    cast.send(cast.sophie, to="IT Manager")
    audience = cast.thread(cast.send(cast.sophie, "Appointment")).audience_id
    for who, title in ((cast.sam, "Scheduler"), (cast.dan, "Second desk")):
        box = box_of(db.session, who.id, None)
        assert [a.titles for a in box.shared] == [("Scheduler", "Second desk")]
        assert [mine.title for mine in box.mine_of(audience)] == [title]


def test_the_admin_is_offered_every_communicator_that_can_receive_and_no_other(cast):
    cast.change("IT Manager", is_in_use=False)
    cast.change("Media Manager", staff=[])
    assert sorted(c.title for c in all_routable(db.session)) == ["Clinicians", "Patient Info Manager", "Scheduler"]


def test_a_person_in_two_that_wake_at_once_is_told_once(cast):
    cast.staff("twin", own_patient=cast.hugo.id)
    cast.change("Scheduler", staff=[cast.dan])
    cast.communicate(RequestType.APPOINTMENT, "Second desk", cast.dan)
    set_staff_status(cast.dan.key, AccountStatus.DISABLED, by=COMMAND)
    key = cast.send(cast.sophie, "Appointment")
    set_staff_status(cast.dan.key, AccountStatus.ACTIVE, by=COMMAND)
    assert has_it(key) == ["Scheduler", "Second desk"]
    assert told(key) == [cast.dan.id]


def test_enabling_the_only_admin_again_is_no_disabling(cast):
    set_staff_status(cast.ada.key, AccountStatus.ACTIVE, by=COMMAND)
    set_staff_status(cast.sam.key, AccountStatus.ACTIVE, by=cast.ada.actor)


def test_whom_another_thread_has_is_neither_told_nor_taken_for_one_who_can_receive(cast):
    other, key = cast.send(cast.jihae), cast.send(cast.sophie, to="IT Manager")
    assert (told(other), told(key)) == (ids(cast, ["nina", "fay"]), [cast.ivan.id])
    cast.change("IT Manager", is_in_use=False)
    reply(cast, cast.sophie, key)
    assert cast.thread(key).unrouted_since is not None


def test_a_change_of_one_communicators_users_leaves_those_of_the_others(cast):
    key = cast.send(cast.sophie)
    cast.change("Scheduler", staff=[cast.dan])
    assert who_sees(cast, key) == {"nina", "fay"}


def test_where_there_is_no_admin_at_all_others_can_still_be_disabled(cast):
    with transaction(by=COMMAND, did="test") as tx:
        tx.session.execute(sa.update(Staff).values(is_admin=False))
    set_staff_status(cast.sam.key, AccountStatus.DISABLED, by=COMMAND)
    assert who_sees(cast, cast.send(cast.sophie, "Appointment")) == {"fay"}


def test_a_message_that_only_its_own_author_could_receive_waits_for_somebody_else(cast):
    twin = cast.staff("twin", own_patient=cast.sophie.id)
    cast.change("IT Manager", staff=[twin])
    key = cast.send(cast.sophie, to="IT Manager")
    assert cast.thread(key).unrouted_since is not None
    assert told(key) == [] and told(key, Occasion.UNROUTED) == [cast.ada.id]
    other = cast.send(cast.jihae, to="IT Manager")
    assert cast.thread(other).unrouted_since is None and told(other) == [twin.id]
    cast.change("Clinicians", staff=[cast.nina])
    assert cast.thread(key).unrouted_since is not None, "waking it for its own author alone would lose it"
    cast.change("IT Manager", staff=[twin, cast.ivan])
    assert cast.thread(key).unrouted_since is None
    assert told(key) == [cast.ivan.id] and cast.sees(cast.ivan, key) and not cast.sees(twin, key)


def test_somebody_with_a_patient_account_wakes_what_others_wrote(cast):
    twin = cast.staff("twin", own_patient=cast.sophie.id)
    cast.change("Scheduler", staff=[])
    key = cast.send(cast.jihae, "Appointment")
    cast.change("Scheduler", staff=[twin])
    assert cast.thread(key).unrouted_since is None and cast.sees(twin, key)


def test_a_communicator_without_anybody_gets_no_delivery(cast):
    cast.communicate(RequestType.APPOINTMENT, "Empty desk")
    cast.send(cast.sophie, "Appointment")
    db.session.close()
    assert list(db.session.scalars(sa.select(Delivery.title))) == ["Scheduler"]


def test_waking_asks_nothing_of_threads_that_do_not_wait(cast, statements):
    counts = []
    for _ in range(2):
        with statements() as found, transaction(by=COMMAND, did="test") as tx:
            routing.wake(tx)
        counts.append(len(found))
        for kind in ("Appointment", "Result", "Others", "Amendment"):
            cast.send(cast.sophie, kind)
    assert counts[0] == counts[1]


def audiences() -> int:
    db.session.close()
    return db.session.scalar(sa.select(sa.func.count()).select_from(Audience)) or 0


def test_waking_gives_nothing_to_one_where_the_patient_alone_is_there(cast):
    twin = cast.staff("twin", own_patient=cast.sophie.id)
    cast.change("Scheduler", staff=[])
    key, made = cast.send(cast.sophie, "Appointment"), audiences()
    cast.change("Scheduler", staff=[twin])
    assert cast.thread(key).unrouted_since is not None and has_it(key) == []
    assert audiences() == made
    cast.change("Scheduler", staff=[twin, cast.sam])
    assert has_it(key) == ["Scheduler"] and told(key) == [cast.sam.id]


def test_a_thread_that_only_its_author_could_read_goes_to_the_others_too_and_to_nobody_twice(cast):
    twin = cast.staff("twin", own_patient=cast.sophie.id)
    key = cast.send(cast.sophie, "Appointment")
    cast.change("Scheduler", staff=[twin])
    reply(cast, cast.sophie, key)
    assert cast.thread(key).unrouted_since is not None
    cast.communicate(RequestType.APPOINTMENT, "New desk", cast.dan)
    assert has_it(key) == ["New desk", "Scheduler"]
    assert cast.thread(key).unrouted_since is None and cast.dan.id in told(key)


def test_a_thread_is_not_handed_to_where_its_patient_alone_is_there(cast):
    twin = cast.staff("twin", own_patient=cast.sophie.id)
    cast.change("IT Manager", is_in_use=False)
    cast.change("Clinicians", is_in_use=False)
    cast.change("Media Manager", staff=[twin])
    for patient, is_taken in ((cast.sophie, False), (cast.jihae, True)):
        key = cast.send(patient, to=None)
        hand = {"communicator": cast.communicator("Media Manager"), "version": cast.thread(key).version, "by": cast.ada.actor}
        if is_taken:
            conversations.hand_to(key, **hand)
        else:
            with pytest.raises(Invalid):
                conversations.hand_to(key, **hand)
        assert has_it(key) == (["Media Manager"] if is_taken else [])


def test_what_nobody_can_receive_where_it_was_handed_stands_in_unrouted(cast):
    cast.twin = cast.staff("twin", own_patient=cast.sophie.id)
    cast.change("IT Manager", staff=[cast.twin])
    waits, answered, early = (cast.send(cast.sophie, body=f"{n}") for n in range(3))
    others, beside = cast.send(cast.jihae), cast.send(cast.sophie, "Appointment")
    read, elsewhere = cast.send(cast.jihae, body="answered"), cast.send(cast.jihae, "Appointment")
    for key in (answered, read):
        cast.answer(cast.nina, key)
    wait_again(early)
    since, version, moves = cast.thread(early).unrouted_since, cast.thread(beside).version, cast.thread(others).version
    hand_open_threads(cast.communicator("Clinicians"), to=cast.communicator("IT Manager"), by=COMMAND)
    assert cast.thread(waits).unrouted_since == cast.thread(waits).last_patient_message_at
    assert cast.thread(early).unrouted_since == since
    assert [cast.thread(key).unrouted_since for key in (answered, others, beside)] == [None] * 3
    assert cast.thread(beside).version == version
    assert told(others) == ids(cast, ["nina", "fay", "twin"]), "who has it now is told, and nobody twice"
    assert cast.twin.id not in told(waits)
    assert cast.thread(others).version == moves + 1, "handed, and never taken for lost"
    assert (told(read), told(elsewhere)) == (ids(cast, ["nina", "fay"]), ids(cast, ["sam", "fay"]))


def test_deleting_a_communicator_forgets_its_audiences_and_no_others(cast):
    key = cast.send(cast.sophie)
    of = {title: db.session.scalars(sa.select(Communicator.id).where(Communicator.title == title)).one() for title in TITLES}
    with transaction(by=COMMAND, did="test") as tx:
        kept = routing.audience_of(tx.session, [of["Clinicians"], of["Scheduler"]])
        for some in (["IT Manager"], ["IT Manager", "Clinicians"]):
            routing.audience_of(tx.session, [of[title] for title in some])
    before = audiences()
    delete_communicator(cast.communicator("IT Manager"), by=COMMAND)
    assert audiences() == before - 2 and has_it(key) == ["Clinicians"]
    members = sa.select(AudienceCommunicator.communicator_id).where(AudienceCommunicator.audience_id == kept)
    assert sorted(db.session.scalars(members)) == sorted([of["Clinicians"], of["Scheduler"]])
    assert set(db.session.scalars(sa.select(AudienceCommunicator.communicator_id))) == {of["Clinicians"], of["Scheduler"]}


def test_many_titles_are_cut_in_the_history(cast):
    key = cast.send(cast.sophie, "Appointment")
    hand_open_threads(cast.communicator("Scheduler"), to=cast.communicate(RequestType.APPOINTMENT, "Desk", cast.dan), by=COMMAND)
    assert happened(key)[-1] == (Event.HANDED, '{"title": "Desk"}')
    for n in range(13):
        cast.communicate(RequestType.APPOINTMENT, f"{n:02}" + '"' * 78, cast.dan)
    many = cast.send(cast.sophie, "Appointment")
    last = cast.communicate(RequestType.APPOINTMENT, "Last desk", cast.ivan)
    hand_open_threads(cast.communicator("Desk"), to=last, by=COMMAND)
    did, words = happened(many)[-1]
    assert did == Event.HANDED and len(words) <= 1000 and json.loads(words)["title"].endswith("…")


def test_why_a_thread_cannot_be_handed_there_is_told_apart(cast):
    twin = cast.staff("twin", own_patient=cast.sophie.id)
    cast.change("Scheduler", staff=[])
    cast.change("Media Manager", staff=[twin])
    key = cast.send(cast.sophie, "Appointment")
    for title, why in (("Scheduler", "that can receive it"), ("Media Manager", "Nobody but the patient")):
        with pytest.raises(Invalid, match=why):
            conversations.hand_to(key, communicator=cast.communicator(title), version=cast.thread(key).version, by=cast.ada.actor)
