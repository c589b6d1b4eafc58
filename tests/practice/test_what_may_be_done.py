"""What may be done to a thread, by whom: the questions behind the buttons as tables, and each part of who owns what."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from practice import amendments, bulk, conversations, inbox, threads, trays
from practice.communicators import box_of
from practice.db import COMMAND, clock_at, db, new_key, now, transaction
from practice.documents import Section
from practice.drafts import draft_values, save_draft
from practice.errors import Invalid, NotAllowed, NotVisible, Stale
from practice.inbox import Wanted
from practice.people import AccountStatus
from practice.records import record_of, value_of
from practice.sessions import EXPIRED_KEPT, IDLE, open_session, visitor_with
from practice.settings import RequestType
from practice.threads import ThreadState, Verb
from tests.conftest import Cast, Player
from tests.examples.admin_trays import remove

W, A, C = ThreadState.WAITING, ThreadState.ANSWERED, ThreadState.CLOSED
MAY = [
    # state, unread, removed, what the pages offer
    (W, True, False, "receive close"),
    (W, False, False, "close"),
    (A, False, False, "close remove"),
    (A, False, True, ""),
    (C, False, False, "remove"),
    (C, False, True, ""),
    (A, True, False, "receive close"),  # none is stored like this
    (C, True, False, "receive"),
]


@pytest.mark.parametrize(("state", "unread", "removed", "offered"), MAY)
def test_a58_which_buttons_there_are(state, unread, removed, offered):
    thread = SimpleNamespace(state=state, is_unread=unread, removed_at=now() if removed else None, due_at=None)
    may = {"receive": threads.can_receive, "close": threads.can_close, "remove": threads.can_remove}
    assert [name for name, can in may.items() if can(thread)] == offered.split()


def test_a_verb_that_the_table_of_states_does_not_name_is_refused():
    thread: Any = SimpleNamespace(state=C)
    transaction: Any = None
    with pytest.raises(Stale):
        threads.move(transaction, thread, Verb.CLOSE)
    threads.move(transaction, thread, Verb.WRITE)
    assert thread.state == W


def version(cast: Cast, key: str) -> int:
    return cast.thread(key).version


def test_what_was_received_closed_or_deleted_is_not_again(cast):
    key, by = cast.send(cast.sophie), cast.nina.actor
    conversations.receive(key, version=version(cast, key), by=by)
    with pytest.raises(Stale):
        conversations.receive(key, version=version(cast, key), by=by)
    conversations.close(key, version=version(cast, key), by=by)
    with pytest.raises(Stale):
        conversations.close(key, version=version(cast, key), by=by)
    conversations.remove(key, version=version(cast, key), by=by)
    with pytest.raises(Stale):
        conversations.remove(key, version=version(cast, key), by=by)


def test_what_was_deleted_is_not_closed(cast):
    key, by = cast.send(cast.sophie), cast.nina.actor
    cast.answer(cast.nina, key)
    conversations.remove(key, version=version(cast, key), by=by)
    with pytest.raises(Stale):
        conversations.close(key, version=version(cast, key), by=by)


def test_why_it_is_not_deleted_is_told_apart(cast):
    key, by = cast.send(cast.sophie), cast.nina.actor
    with pytest.raises(NotAllowed, match="unread"):
        conversations.remove(key, version=version(cast, key), by=by)
    conversations.receive(key, version=version(cast, key), by=by)
    with pytest.raises(NotAllowed, match="waiting"):
        conversations.remove(key, version=version(cast, key), by=by)


def test_a_correction_is_not_deleted_before_it_is_decided_though_it_is_closed(cast):
    key, by = cast.send(cast.sophie, "Amendment"), cast.rita.actor
    conversations.close(key, version=version(cast, key), by=by)
    with pytest.raises(NotAllowed, match="undecided"):
        conversations.remove(key, version=version(cast, key), by=by)
    answer = cast.rita.post(f"/staff/messages/{key}/removal", {"version": str(version(cast, key))})
    assert answer.status_code == 409 and "Not deleted: the correction is not decided yet." in answer.text
    batch = bulk.act_on_many(bulk.Act.REMOVE, [(key, version(cast, key))], form_key=new_key(), by=by)
    assert "the correction is not decided yet" in cast.rita.get(f"/staff/?batch={batch}").text
    amendments.cancel_amendment(key, state=amendments.AmendmentState.QUEUED, form_key=new_key(), by=cast.sophie.actor)
    cast.answer(cast.rita, key)
    conversations.remove(key, version=version(cast, key), by=by)
    assert cast.thread(key).removed_at


def test_an_old_version_is_refused_by_each_verb_of_the_staff(cast):
    key, by = cast.send(cast.sophie), cast.nina.actor
    old = version(cast, key)
    cast.answer(cast.fay, key)
    conversations.reply(key, body="Thanks", form_key=new_key(), by=cast.sophie.actor)
    for verb in (conversations.receive, conversations.close, conversations.remove):
        with pytest.raises(Stale):
            verb(key, version=old, by=by)


# ---- Whose it is ---------------------------------------------------------------------------------


def found_by_patient(key: str, patient: Player) -> set[str]:
    """The ways by which a patient reaches a thread."""
    db.session.close()
    ways = {
        "loads": lambda: threads.thread_of_patient(db.session(), key, patient.id).key,
        "opens": lambda: threads.opened_by_patient(key, patient.id).head.key,
    }
    return {way for way, find in ways.items() if not_refused(find) == key}


def found_by_staff(key: str, staff: Player, own: int = 0) -> set[str]:
    """The ways by which a member of staff reaches a thread."""
    db.session.close()
    box = box_of(db.session(), staff.id, own or None)
    ways = {
        "loads": lambda: threads.thread_of_box(db.session(), key, box.audiences, box.own_patient).key,
        "opens": lambda: threads.opened_by_staff(key, box.audiences, box.own_patient).head.key,
        "lists": lambda: listed(inbox.threads_for(box.audiences, own_patient=box.own_patient), key),
        "lists all": lambda: listed(
            inbox.threads_for(box.audiences, own_patient=box.own_patient, wanted=Wanted(closed_too=True)), key
        ),
        "lists unread": lambda: listed(
            inbox.threads_for(box.audiences, own_patient=box.own_patient, wanted=Wanted(unread=True)), key
        ),
        "searches": lambda: listed(
            inbox.threads_for(box.audiences, own_patient=box.own_patient, wanted=Wanted(patients=(patient_of(key),))), key
        ),
    }
    return {way for way, find in ways.items() if not_refused(find) == key}


def patient_of(key: str) -> int:
    return db.session.scalar(sa.select(threads.Thread.patient_id).where(threads.Thread.key == key)) or 0


def listed(page: threads.Page, key: str) -> str:
    return next((row.key for row in page.rows if row.key == key), "")


def not_refused(find: Any) -> str:
    try:
        return find()
    except NotVisible:
        return ""


EVERY_WAY = {"loads", "opens", "lists", "lists all", "lists unread", "searches"}


def test_a_patient_reaches_their_own_threads_each_by_its_key(cast):
    first, second = cast.send(cast.sophie, body="first"), cast.send(cast.sophie, body="second")
    other = cast.send(cast.jihae)
    for key in (first, second):
        assert found_by_patient(key, cast.sophie) == {"loads", "opens"}
    assert found_by_patient(other, cast.sophie) == found_by_patient(new_key(), cast.sophie) == set()
    assert [row.key for row in threads.threads_of_patient(cast.sophie.id, which="sent").rows] == [second, first]
    assert [u.thread.key for u in threads.under_way_of_patient(cast.jihae.id)] == [other]


def test_staff_reach_what_their_communicators_have_each_by_its_key(cast):
    for title, kind in (("Scheduler", "Appointment"), ("IT Manager", "Others")):
        cast.send(cast.hugo, kind, to=title)
    first, second = cast.send(cast.sophie, body="first"), cast.send(cast.jihae, body="second")
    for key in (first, second):
        assert found_by_staff(key, cast.nina) == found_by_staff(key, cast.fay) == EVERY_WAY
        assert found_by_staff(key, cast.sam) == found_by_staff(key, cast.dan) == found_by_staff(key, cast.ada) == set()
    assert found_by_staff(new_key(), cast.nina) == set()


def test_staff_who_are_patients_reach_all_but_their_own_by_no_way(cast):
    own, other = cast.send(cast.sophie), cast.send(cast.jihae)
    assert found_by_staff(own, cast.nina, own=cast.sophie.id) == set()
    assert found_by_staff(other, cast.nina, own=cast.sophie.id) == EVERY_WAY


def test_what_staff_of_two_communicators_wait_for_is_in_one_list(cast):
    keys = [cast.send(cast.sophie, "Appointment"), cast.send(cast.sophie, "Others"), cast.send(cast.jihae, "Appointment")]
    box = box_of(db.session(), cast.fay.id, None)
    assert [row.key for row in inbox.threads_for(box.audiences, own_patient=0).rows] == keys[::-1]
    of_jihae = inbox.threads_for(box.audiences, own_patient=0, wanted=Wanted(patients=(cast.jihae.id,)))
    assert [row.key for row in of_jihae.rows] == keys[2:]
    assert inbox.threads_for(box.audiences, own_patient=0, wanted=Wanted(patients=())).rows == []


def test_lists_leave_out_what_is_closed_deleted_or_was_never_written(cast):
    waits, read, closed, gone = (cast.send(cast.sophie, body=f"{n}") for n in range(4))
    by = cast.nina.actor
    for key in (read, gone):
        cast.answer(cast.nina, key)
    conversations.close(closed, version=version(cast, closed), by=by)
    conversations.remove(gone, version=version(cast, gone), by=by)
    audiences = box_of(db.session(), cast.nina.id, None).audiences

    def keys(**how: Any) -> list[str]:
        return [row.key for row in inbox.threads_for(audiences, own_patient=0, wanted=Wanted(**how)).rows]

    assert keys() == [read, waits]
    assert keys(unread=True) == [waits]
    assert keys(closed_too=True) == [closed, read, waits]
    assert keys(sent=True) == [read]


def test_a_place_in_a_list_is_a_row_of_ones_own(cast):
    mine, others = cast.send(cast.sophie), cast.send(cast.sophie, "Appointment")
    audiences = box_of(db.session(), cast.nina.id, None).audiences
    place = inbox.place_in_box(mine, audiences, wanted=Wanted(), is_newer=False)
    assert place is not None and place.id == cast.thread(mine).id
    assert inbox.place_in_box(others, audiences, wanted=Wanted(), is_newer=False) is None
    assert inbox.place_in_box(mine, audiences, wanted=Wanted(sent=True), is_newer=False) is None
    assert threads.place_of_patient(mine, cast.sophie.id, which="sent", is_newer=False).id == place.id
    for key, who, which in ((mine, cast.jihae, "sent"), (mine, cast.sophie, "inbox"), (new_key(), cast.sophie, "sent")):
        with pytest.raises(NotVisible):
            threads.place_of_patient(key, who.id, which=which, is_newer=False)


def test_the_number_of_my_own_unread_threads_counts_mine_in_my_box_alone(cast):
    cast.send(cast.sophie)
    received = cast.send(cast.sophie, body="received")
    conversations.receive(received, version=version(cast, received), by=cast.nina.actor)
    cast.send(cast.jihae)
    cast.send(cast.sophie, "Appointment")
    audiences = box_of(db.session(), cast.nina.id, None).audiences
    assert inbox.own_unread(audiences, cast.sophie.id) == 1
    assert inbox.own_unread(audiences, cast.hugo.id) == inbox.own_unread(audiences, 0) == 0


def test_a_message_is_found_in_its_own_thread_of_its_own_patient_alone(cast):
    def message_of(key: str) -> Any:
        return threads.opened_by_patient(key, patient_of(key)).messages[0]

    first, second = cast.send(cast.sophie, body="first"), cast.send(cast.sophie, body="second")
    message = message_of(second)
    assert threads.message_of_patient(message.key, second, cast.sophie.id) == message.id
    assert threads.message_in(second, message.key) == message.id
    assert threads.message_in(first, message.key) == threads.message_in(second, new_key()) == threads.NEWEST
    for key, thread, patient in (
        (message.key, first, cast.sophie),
        (message.key, second, cast.jihae),
        (new_key(), second, cast.sophie),
    ):
        with pytest.raises(NotVisible):
            threads.message_of_patient(key, thread, patient.id)


def test_a_value_of_the_record_is_its_patients_alone(cast):
    key = cast.value_of(cast.sophie)
    assert value_of(db.session(), key, cast.sophie.id).key == key
    for wrong, who in ((key, cast.jihae), (new_key(), cast.sophie)):
        with pytest.raises(NotVisible):
            value_of(db.session(), wrong, who.id)
    assert [len(values) for values in record_of(cast.jihae.id).sections.values()] == [0] * len(Section)
    assert sum(len(values) for values in record_of(cast.sophie.id).sections.values()) == 2


def test_a2_a_draft_is_its_authors_alone(cast):
    key, other = new_key(), new_key()
    save_draft(cast.sophie.id, key=key, about="/", values={"body": ["Mine"]}, by=cast.sophie.actor)
    save_draft(cast.sophie.id, key=other, about="/", values={"body": ["Other"]}, by=cast.sophie.actor)
    db.session.close()
    assert draft_values(cast.sophie.id, key) == {"body": ["Mine"]}
    assert draft_values(cast.sophie.id, other) == {"body": ["Other"]}
    assert draft_values(cast.jihae.id, key) is None
    conversations.send(
        cast.sophie.id,
        kind=RequestType.OTHERS,
        title="A",
        body="B",
        to=cast.communicator("Clinicians"),
        form_key=key,
        by=cast.sophie.actor,
    )
    assert draft_values(cast.sophie.id, key) is None and draft_values(cast.sophie.id, other) is not None


# ---- Who writes from where -----------------------------------------------------------------------


def test_staff_begin_a_thread_with_an_active_patient_who_is_not_themselves(cast):
    def start(patient: str, by: Player, communicator: str = "Scheduler") -> None:
        conversations.start(
            patient, communicator=cast.communicator(communicator), title="A", body="B", form_key=new_key(), by=by.actor
        )

    start(cast.sophie.key, cast.sam)
    with transaction(by=COMMAND, did="test") as tx:
        tx.session.get_one(threads.Person, cast.jihae.id).status = AccountStatus.LOCKED
    with pytest.raises(NotAllowed):
        start(cast.jihae.key, cast.sam)
    for nobody in (new_key(), cast.dan.key):
        with pytest.raises(NotVisible):
            start(nobody, cast.sam)
    with pytest.raises(Invalid):
        start(cast.sophie.key, cast.sam, "Clinicians")


def test_an_answer_is_from_the_chosen_one_of_mine_else_from_my_first(cast):
    cast.communicate("Appointment", "Another desk", cast.fay)
    for chosen, title in ((None, "Another desk"), ("Scheduler", "Scheduler"), ("Another desk", "Another desk")):
        key = cast.send(cast.sophie, "Appointment", body=str(chosen))
        conversations.answer(
            key,
            body="Hello",
            form_key=new_key(),
            seen=threads.last_message_id(db.session, cast.thread(key).id),
            by=cast.fay.actor,
            communicator=cast.communicator(chosen) if chosen else None,
        )
        assert threads.opened_by_patient(key, cast.sophie.id).messages[-1].communicator_title == title


def test_a_session_is_expired_from_its_end_on_and_leaves_nothing_after_a_day(cast):
    start = now()
    with clock_at(start):
        person = db.session.get_one(threads.Person, cast.sophie.id)
        key = open_session(person, by=cast.sophie.actor)
    end = start + IDLE["patient"]
    for at, state in (
        (end - timedelta(seconds=1), "lives"),
        (end, "expired"),
        (end + EXPIRED_KEPT, "expired"),
        (end + EXPIRED_KEPT + timedelta(seconds=1), "gone"),
    ):
        db.session.close()
        with clock_at(at):
            found = visitor_with(key)
        assert ("gone" if found is None else "expired" if found[0].is_expired else "lives") == state
    assert visitor_with("x" * 43) is None


CLAIMS = [
    # state, removed, claimed until (hours from now), may be claimed, is claimed
    (W, False, None, True, False),
    (A, False, None, True, False),
    (C, False, None, False, False),
    (A, True, None, False, False),
    (W, False, 1, False, True),
    (W, False, 0, True, False),
    (W, False, -1, True, False),
]


@pytest.mark.parametrize(("state", "removed", "hours", "may", "is_claimed"), CLAIMS)
def test_what_is_claimed_and_what_can_be(state, removed, hours, may, is_claimed):
    at = now()
    until = None if hours is None else at + timedelta(hours=hours)
    thread = SimpleNamespace(state=state, removed_at=at if removed else None, claimed_until=until)
    with clock_at(at):
        assert (threads.can_claim(thread), threads.is_claimed(thread)) == (may, is_claimed)


def test_the_envelope_that_is_asked_for_is_shown_and_no_other(cast):
    keys = [remove(cast, patient) for patient in (cast.sophie, cast.jihae)]
    assert [trays.envelope(key, None).key for key in keys] == keys
    with pytest.raises(NotVisible):
        trays.envelope(new_key(), None)


def test_a_thread_opened_with_a_reason_opens_no_other(cast):
    first, second, others = (remove(cast, patient) for patient in (cast.sophie, cast.sophie, cast.jihae))
    trays.open_with_reason(first, reason="The family asks", form_key=new_key(), by=cast.ada.actor)
    assert trays.opened_with_reason(first, cast.ada.id).thread.head.key == first
    for key in (second, others):
        with pytest.raises(NotVisible):
            trays.opened_with_reason(key, cast.ada.id)


def test_no_command_opens_a_thread_with_a_reason(cast):
    with pytest.raises(NotVisible):
        trays.open_with_reason(remove(cast, cast.sophie), reason="The family asks", form_key=new_key(), by=COMMAND)


def test_what_was_never_deleted_is_not_taken_for_what_was_restored(cast):
    remove(cast, cast.jihae)
    key = cast.send(cast.sophie)
    with pytest.raises(NotVisible):
        trays.restore_removed(key, version=version(cast, key), by=cast.ada.actor)


def test_what_was_deleted_without_a_line_in_its_history_can_be_restored(cast):
    key = cast.send(cast.sophie)
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        tx.session.execute(sa.update(threads.Thread).where(threads.Thread.key == key).values(removed_at=now()))
    trays.restore_removed(key, version=version(cast, key), by=cast.ada.actor)
    assert cast.thread(key).removed_at is None


def test_equal_forms_open_once_all_at_once(cast):
    key, form_key, until = remove(cast, cast.sophie), new_key(), now() + timedelta(hours=1)

    def open_it() -> Any:
        return trays.open_with_reason(key, reason="The family asks", form_key=form_key, by=cast.ada.actor)

    def doubled(verb: Any) -> Any:
        """Fails as the loser of the unique key does, once."""
        calls: list[int] = []

        def run(*args: Any, **kwargs: Any) -> Any:
            calls.append(1)
            if len(calls) == 1:
                raise sa.exc.IntegrityError("INSERT", {}, Exception("unique"))
            return verb(*args, **kwargs)

        return run

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trays, "record", doubled(trays.record))
        assert open_it() > until
    assert open_it() == trays.opened_with_reason(key, cast.ada.id).ends_at
