"""A loaded database is what normal use would leave: its own audit trail, replayed through the verbs, gives the same rows."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from practice import audit, conversations, load, outbox, settings
from practice.amendments import Amendment, request_amendment
from practice.appointments import AppointmentRequest, Wish, request_appointment
from practice.communicators import Audience, AudienceCommunicator, Communicator
from practice.conversations import Sent, promised_by
from practice.db import COMMAND, WRITE, Actor, Audit, Base, clock_at, db, new_key, now, transaction
from practice.jobs import send_due
from practice.numbers import Tally
from practice.outbox import Notice, Occasion
from practice.people import Person
from practice.records import RecordValue
from practice.results import Order, ResultRequest, media_of, request_result
from practice.settings import Facility, ReferringPhysician, RequestType, the_practice
from practice.threads import Delivery, Event, History, Message, ReadLog, Thread, ThreadState, log_read
from tests.conftest import replace_rows

TODAY = datetime(2026, 3, 17, 15, 20, 31, 7)
PATIENTS, MESSAGES = 15, 300


@pytest.fixture
def loaded(app: Flask) -> Iterator[None]:
    with clock_at(TODAY):
        load.fill(patients=PATIENTS, messages=MESSAGES, seed=3, say=lambda _: None)
        yield


def every(table: type[Base], *where: sa.ColumnElement[bool]) -> list[Any]:
    """All rows, as columns, in the order of their first key."""
    columns = table.__table__.columns
    return list(db.session.execute(sa.select(*columns).where(*where).order_by(*table.__table__.primary_key)))


# ---- The same rows as the verbs ------------------------------------------------------------------


def test_the_verbs_would_have_left_the_same_rows(app: Flask, loaded: None) -> None:
    script, found, tallied = Script(), dump(), sums()
    db.session.remove()
    replace_rows(db.engines[WRITE], [], later=timedelta(0))
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        practice = settings.new_practice()
        practice.name, practice.meaningful_use, practice.phone = "Test Practice", True, "(555) 010-0199"
        practice.second_step = settings.SecondStepFor.NOBODY
        tx.session.add(practice)
    load.fill(patients=PATIENTS, messages=0, seed=3, say=lambda _: None)
    script.replay()
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        tx.is_silent = True
        while audit.seal(tx.session):
            pass
        tx.session.execute(sa.update(Audience).values(version=0))  # says how often lists changed, and no list is open yet
        tx.session.execute(sa.delete(Notice).where(Notice.created_at <= TODAY - outbox.KEPT))
        tx.session.execute(sa.delete(Notice).where(Notice.occasion == Occasion.UNREAD))  # of which the load tells nobody
    wanted = dump()
    assert found.keys() == wanted.keys()
    for table, rows in wanted.items():
        assert len(found[table]) == len(rows), table
        for ours, theirs in zip(found[table], rows, strict=True):
            assert ours == theirs, table
    assert sums() == tallied


NOT_COMPARED = {
    "audience": {"key"},  # made of ids; audience_communicator is compared
    "audit_seal": {"hash"},  # holds keys; faults() is asked
    "message": {"digest"},  # holds keys; repeated forms are tried
    "outbox": {"key"},
    "person": {"password_hash"},
    "thread": {
        "patient_read_at",
        "patient_opened_at",
        "late_told_at",
        "escalated_at",
        "before_answer",
        "answered_before_at",
    },  # no verb: looked at below
}
POINTS_TO = {"up_to_id": "message", "patient_id": "person"}


def dump() -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables, with the rank of what they refer to in the place of ids and keys."""
    db.session.close()
    rows = {
        mapper.class_.__tablename__: [row._asdict() for row in every(mapper.class_)]
        for mapper in Base.registry.mappers
        if mapper.class_.__tablename__ not in ("job", "tally")  # the load sums up at once: sums() are compared
    }
    rank = {(table, row["id"]): n for table, found in rows.items() for n, row in enumerate(found) if "id" in row}
    key_of = {row["key"]: (table, n) for table, found in rows.items() for n, row in enumerate(found) if "key" in row}
    acts: dict[str, int] = {}
    for table, found in rows.items():
        columns = Base.metadata.tables[table].columns
        for row in found:
            for left_out in NOT_COMPARED.get(table, set()) | {"key", "key_hash", "form_key"}:
                row.pop(left_out, None)
            for column in columns:
                value = row.get(column.name)
                target = next((k.column.table.name for k in column.foreign_keys), POINTS_TO.get(column.name))
                target = "person" if target in ("patient", "staff") else target
                if value is not None and (target or column.name == "id"):
                    row[column.name] = rank.get((target or table, value), f"no {target} {value}")
            if table == "person" and "load.example" in row["email"]:
                row["email"] = row["email_key"] = ""  # holds the id
            if table == "patient":
                row.pop("record_number")
            if table == "audit":
                row["at"] = None if row["did"] == "set_up_tests" else row["at"]
                row["about"] = key_of.get(row["about"], row["about"])
                row["act"] = acts.setdefault(row["act"], len(acts))
                row["details"] = "" if "added" in row["details"] else row["details"]
    return rows


def sums() -> Counter[tuple[Any, ...]]:
    """The numbers, whether they are summed up or not; communicators by their title."""
    titles: dict[int | None, str] = {row.id: row.title for row in every(Communicator)}
    found: Counter[tuple[Any, ...]] = Counter()
    for row in every(Tally):
        found[row.what, row.day, row.type, titles.get(row.communicator_id), row.slot] += row.number
    return found


class Script:
    """What was done in the loaded database, by its audit trail, told with places instead of ids."""

    def __init__(self) -> None:
        self.verbs = [row for row in every(Audit) if row.did in VERBS]
        self.thread_keys = {row.key: n for n, row in enumerate(every(Thread))}
        self.threads = every(Thread)
        self.messages = {(row.thread_id, row.sent_at): row for row in every(Message)}
        self.fresh: dict[type[Base], list[str]] = {}
        self.persons = [row.id for row in every(Person)]
        self.keys = {
            table: [row.id for row in every(table)] for table in (Communicator, Facility, ReferringPhysician, RecordValue)
        }
        self.requests = {row.thread_id: row for table in (AppointmentRequest, ResultRequest, Amendment) for row in every(table)}
        self.picked = {row.thread_id: row for row in reversed(every(Delivery))}

    def key_of(self, table: type[Base], number: int | None) -> str | None:
        """The key that stands now at the place where `number` stood."""
        if table not in self.fresh:
            self.fresh[table] = [row.key for row in every(table)]
        return None if number is None else self.fresh[table][self.keys[table].index(number)]

    def replay(self) -> None:
        persons = [row.id for row in every(Person)]
        dialect = db.engines[WRITE].dialect.name
        made: list[str] = []
        off_at = TODAY - load.SPAN * (1 - load.RETIRED_AT)
        switch_retired(True)
        is_on = True
        for verb in self.verbs:
            if is_on and verb.at >= off_at:
                switch_retired(False)
                is_on = False
            place = self.thread_keys[verb.about]
            thread = self.threads[place]
            by = Actor(persons[self.persons.index(verb.actor_id)], verb.actor_name)
            message = self.messages.get((thread.id, verb.at))
            with clock_at(verb.at):
                if verb.did in OF_STAFF:
                    hour = int((verb.at - datetime(1970, 1, 1)).total_seconds() // 3600)
                    number = db.session.scalars(sa.select(Thread.id).where(Thread.key == made[place])).one()
                    db.session.close()
                    with db.engines[WRITE].begin() as connection:
                        looked = {"person_id": by.person, "thread_id": number, "hour": hour, "at": now()}
                        connection.execute(log_read(dialect), looked)
                sent = getattr(self, verb.did)(thread, message, made[place] if place < len(made) else "", by)
                if sent:
                    assert place == len(made), "threads begin in the order of their ids"
                    made.append(sent.thread_key)
            if verb.at > TODAY - outbox.KEPT:
                with clock_at(verb.at + timedelta(milliseconds=300)):
                    while send_due(lambda _: None):
                        pass

    def send(self, thread: Any, message: Any, _: str, by: Actor) -> Sent | None:
        if thread.type != RequestType.OTHERS:
            return None  # the verb of the request did it
        to = self.key_of(Communicator, self.picked[thread.id].communicator_id)
        words = {"title": thread.title, "body": message.body, "form_key": message.form_key}
        return conversations.send(by.person or 0, kind=RequestType.OTHERS, to=to, by=by, **words)

    def request_appointment(self, thread: Any, message: Any, _: str, by: Actor) -> Sent:
        wish = wish_of(self.requests[thread.id], self.key_of)
        return request_appointment(by.person or 0, wish, today=now().date(), form_key=message.form_key, by=by)

    def request_result(self, thread: Any, message: Any, _: str, by: Actor) -> Sent:
        order = order_of(self.requests[thread.id], self.key_of)
        return request_result(by.person or 0, order, today=now().date(), form_key=message.form_key, by=by)

    def request_amendment(self, thread: Any, message: Any, _: str, by: Actor) -> Sent:
        asked = self.requests[thread.id]
        value = self.key_of(RecordValue, asked.value_id) or ""
        return request_amendment(by.person or 0, value, to=asked.to_value, memo=asked.memo, form_key=message.form_key, by=by)

    def start(self, thread: Any, message: Any, _: str, by: Actor) -> Sent:
        patient = every(Person)[self.persons.index(thread.patient_id)].key
        communicator = self.key_of(Communicator, message.communicator_id) or ""
        words = {"title": thread.title, "body": message.body, "form_key": message.form_key}
        return conversations.start(patient, communicator=communicator, by=by, **words)

    def reply(self, _: Any, message: Any, key: str, by: Actor) -> None:
        conversations.reply(key, body=message.body, form_key=message.form_key, by=by)

    def answer(self, _: Any, message: Any, key: str, by: Actor) -> None:
        thread = db.session.scalars(sa.select(Thread).where(Thread.key == key)).one()
        seen = conversations.last_message_id(db.session(), thread.id)
        communicator = self.key_of(Communicator, message.communicator_id)
        conversations.answer(key, body=message.body, form_key=message.form_key, seen=seen, by=by, communicator=communicator)

    def receive(self, _: Any, __: Any, key: str, by: Actor) -> None:
        conversations.receive(key, version=version_of(key), by=by)

    def close(self, _: Any, __: Any, key: str, by: Actor) -> None:
        conversations.close(key, version=version_of(key), by=by)

    def remove(self, _: Any, __: Any, key: str, by: Actor) -> None:
        conversations.remove(key, version=version_of(key), by=by)


OF_PATIENT = {"send", "request_appointment", "request_result", "request_amendment", "reply"}
OF_STAFF = {"answer", "receive", "close", "remove"}  # on a thread that they opened before
VERBS = OF_PATIENT | OF_STAFF | {"start"}


def switch_retired(is_in_use: bool) -> None:
    """The set-up switched them off already; what was sent before found them on."""
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        tx.is_silent = True
        titles = [title for _, title, _, _ in load.RETIRED]
        tx.session.execute(sa.update(Communicator).where(Communicator.title.in_(titles)).values(is_in_use=is_in_use, version=2))


def version_of(key: str) -> int:
    db.session.close()
    return db.session.scalars(sa.select(Thread.version).where(Thread.key == key)).one()


def wish_of(row: Any, key_of: Any) -> Wish:
    return Wish(
        facility=key_of(Facility, row.facility_id),
        first_day=row.first_day,
        last_day=row.last_day,
        reason=row.reason,
        physician=key_of(ReferringPhysician, row.physician_id),
        weekdays=tuple(map(int, row.weekdays)),
        from_time=row.from_time,
        to_time=row.to_time,
        comments=row.comments,
    )


def order_of(row: Any, key_of: Any) -> Order:
    return Order(
        media=tuple(media_of(row)),
        hand_over=row.hand_over,
        is_all_studies=row.is_all_studies,
        location=key_of(Facility, row.location_id),
        exam_date=row.exam_date,
        comments=row.comments,
    )


# ---- What holds for every thread -----------------------------------------------------------------


def test_every_form_that_was_sent_is_known_when_it_comes_again(loaded: None) -> None:
    script = Script()
    for verb in script.verbs:
        thread = script.threads[script.thread_keys[verb.about]]
        message = script.messages.get((thread.id, verb.at))
        if message is not None and verb.did not in ("close", "receive", "remove"):
            with clock_at(verb.at):
                sent = None
                by = Actor(verb.actor_id, verb.actor_name)
                if verb.did == "reply":
                    sent = conversations.reply(thread.key, body=message.body, form_key=message.form_key, by=by)
                elif verb.did == "answer":
                    words = {"body": message.body, "form_key": message.form_key, "seen": 0}
                    communicator = script.key_of(Communicator, message.communicator_id)
                    sent = conversations.answer(thread.key, by=by, communicator=communicator, **words)
                else:
                    sent = getattr(script, verb.did)(thread, message, thread.key, by)
                assert sent is None or (sent.thread_key == thread.key and not sent.is_new)
    db.session.close()
    assert len(every(Message)) == MESSAGES


def test_marks_and_states_follow_from_the_messages_and_the_history(loaded: None) -> None:
    messages: dict[int, list[Any]] = {}
    for message in every(Message):
        messages.setdefault(message.thread_id, []).append(message)
    history: dict[int, list[Any]] = {}
    for line in every(History):
        history.setdefault(line.thread_id, []).append(line)
    for thread in every(Thread):
        mine, events = messages[thread.id], history[thread.id]
        of_patient = [m.sent_at for m in mine if m.is_from_patient]
        of_staff = [m.sent_at for m in mine if not m.is_from_patient]
        closed = max((e.at for e in events if e.did == Event.CLOSED), default=datetime.min)
        removed = max((e.at for e in events if e.did == Event.REMOVED), default=None)
        received = max((e.up_to_id for e in events if e.did == Event.RECEIVED), default=0)
        last = mine[-1]
        state = ThreadState.WAITING if last.is_from_patient else ThreadState.ANSWERED
        state = ThreadState.CLOSED if closed > last.sent_at else state
        assert thread.state == state
        assert thread.last_patient_message_at == (max(of_patient) if of_patient else None)
        assert thread.last_staff_message_at == (max(of_staff) if of_staff else None)
        assert thread.is_unread == any(m.is_from_patient and m.id > received for m in mine)
        assert thread.is_in_box == (state != ThreadState.CLOSED and not thread.removed_at and bool(of_patient))
        assert thread.removed_at == (removed if removed and removed > last.sent_at else None)
        assert (thread.closed_at is not None) == (state == ThreadState.CLOSED)
        assert (thread.waiting_since is not None) == (state == ThreadState.WAITING)
        assert [m.sent_at for m in mine] == sorted({m.sent_at for m in mine})
        is_asked = mine[0].is_from_patient and thread.type == RequestType.AMENDMENT
        if since := thread.created_at if is_asked else thread.waiting_since:  # a decision is owed from the first message on
            assert thread.due_at == promised_by(the_practice(), thread.type, since)
        if thread.waiting_since:
            assert thread.waiting_since > max((*of_staff, closed), default=datetime.min)
        assert thread.patient_read_at is None or thread.patient_read_at in of_staff
        assert (thread.patient_opened_at is None) == (thread.patient_read_at is None)
        assert (thread.late_told_at is None) == (thread.escalated_at is None) == (not thread.due_at or thread.due_at > now())


def test_numbers_and_audiences_are_those_of_a_recount(loaded: None) -> None:
    unread: Counter[int] = Counter()
    in_box: Counter[int] = Counter()
    has: dict[int, set[int]] = {}
    for delivery in every(Delivery, Delivery.ended_at.is_(None)):
        has.setdefault(delivery.thread_id, set()).add(delivery.communicator_id)
    members: dict[int, set[int]] = {}
    for row in every(AudienceCommunicator):
        members.setdefault(row.audience_id, set()).add(row.communicator_id)
    for thread in every(Thread):
        unread[thread.audience_id] += thread.is_unread
        in_box[thread.audience_id] += thread.is_in_box
        assert members[thread.audience_id] == has[thread.id]
    for audience in every(Audience):
        assert (audience.unread, audience.in_box) == (unread[audience.id], in_box[audience.id])
        assert audience.key == ",".join(map(str, sorted(members[audience.id])))


def test_the_audit_holds_and_every_message_has_its_row(loaded: None) -> None:
    assert not list(audit.faults())
    assert len(every(Audit)) == len(every(audit.AuditSeal))
    rows = {(row.about, row.at, row.actor_id) for row in every(Audit) if row.did in ("send", "start", "reply", "answer")}
    key_of = {thread.id: thread.key for thread in every(Thread)}
    assert {(key_of[m.thread_id], m.sent_at, m.author_id) for m in every(Message)} == rows


def test_all_states_and_requests_occur(loaded: None) -> None:
    threads = every(Thread)
    assert {thread.state for thread in threads} == set(ThreadState)
    assert {thread.type for thread in threads} >= {RequestType.APPOINTMENT, RequestType.RESULT, RequestType.OTHERS}
    assert any(thread.removed_at for thread in threads)
    assert len({thread.audience_id for thread in threads}) >= 12
    assert every(AppointmentRequest) and every(ResultRequest) and every(ReadLog) and every(Notice)


def test_the_portal_goes_on_where_the_load_ends(loaded: None) -> None:
    """The sequences are where they should be: the next rows find their ids."""
    thread = every(Thread, Thread.state == ThreadState.WAITING)[0]
    sent = conversations.reply(thread.key, body="And one more.", form_key=new_key(), by=Actor(thread.patient_id))
    assert sent.is_new


def test_the_same_seed_gives_the_same_words(app: Flask, loaded: None) -> None:
    first = [(m.body, m.sent_at, m.form_key) for m in every(Message)]
    load.fill(patients=PATIENTS, messages=40, seed=3, say=lambda _: None)
    db.session.close()
    assert len(every(Message)) == MESSAGES + 40, "a second load adds to the first"
    assert not list(audit.faults())
    assert [(m.body, m.sent_at, m.form_key) for m in every(Message)][:MESSAGES] == first


def test_words_of_a_delivery_are_its_title(loaded: None) -> None:
    titles = Counter(row.title for row in every(Delivery))
    assert titles == Counter(json.loads(row.words)["title"] for row in every(History, History.did == Event.DELIVERED))
