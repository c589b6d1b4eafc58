"""What is over is deleted in short transactions, found by an index, whoever is killed in the middle of it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.orm import Session

from practice import jobs
from practice.bulk import Act, Batch
from practice.db import BATCH, WRITE, Base, db, new_key, now
from practice.drafts import Draft
from practice.imports import Import, ImportKind
from practice.jobs import Job, retain, run_due_jobs
from practice.links import OneTimeLink, Purpose
from practice.matching import MatchCode
from practice.outbox import Notice, NoticeState, Occasion
from practice.presence import Presence
from practice.proofs import EmailProof
from practice.second_step import HalfLogIn
from practice.sessions import BoxFilter, LoginSession
from practice.throttle import Throttle
from tests.conftest import Cast

YEARS = timedelta(days=800)


def session_of(person: int, n: int, *, age: timedelta = YEARS) -> LoginSession:
    at = now() - age
    return LoginSession(key_hash=f"{age.days}-{n}", person_id=person, created_at=at, seen_at=at, idle_ends_at=at, ends_at=at)


def put(*rows: Any) -> None:
    with Session(db.engines[WRITE], expire_on_commit=False) as session:
        session.add_all(rows)
        session.commit()


def number_of(table: type[Base]) -> int:
    db.session.close()
    return db.session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


@contextmanager
def deletions() -> Iterator[list[tuple[str, Any, int]]]:
    """Every DELETE, with its values and how many rows it met."""
    found: list[tuple[str, Any, int]] = []

    def note(_c: Any, cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.startswith("DELETE"):
            found.append((statement, values, cursor.rowcount))

    engine = db.engines[WRITE]
    event.listen(engine, "after_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "after_cursor_execute", note)


@pytest.fixture
def old(cast: Cast) -> dict[type[Base], int]:
    """Something that is over in each table, and how many rows of each are not."""
    someone, staff, at = cast.sophie.id, cast.nina.id, now() - YEARS
    thread = cast.thread(cast.send(cast.sophie)).id
    filters = session_of(staff, -1)
    put(filters)
    rows = [
        BoxFilter(key=new_key(), session_id=filters.id, values="{}"),
        Presence(person_id=staff, thread_id=thread, is_writing=False, at=at),
        OneTimeLink(person_id=someone, purpose=Purpose.RESET, token_hash="0", created_at=at, ends_at=at),
        EmailProof(email="a@b.example", email_key="a@b.example", said="", token_hash="0", created_at=at, ends_at=at),
        HalfLogIn(key_hash="0", person_id=staff, credential="0", ends_at=at),
        Throttle(key="0", failures="[]", ends_at=at),
        MatchCode(code_hash="0", record_number="1", dob=at.date(), created_at=at, ends_at=at),
        Batch(key=new_key(), by_id=staff, act=Act.CLOSE, at=at),
        Draft(key=new_key(), author_id=someone, about="/", values="{}", version=1, waits=False, saved_at=at),
        notice(someone, NoticeState.SENT, sent_at=at),
        notice(someone, NoticeState.DEAD),
        Import(
            key=new_key(), kind=ImportKind.STAFF, by_id=staff, file_name="", columns="[]", lines="[]", total=0, checked=0,
            errors="[]", created_at=at,
        ),
    ]  # fmt: skip
    tables = {type(row) for row in rows} | {LoginSession}
    left = {table: number_of(table) for table in tables}
    left[LoginSession] -= 1
    put(*rows)
    return left


def notice(person: int, state: NoticeState, **more: Any) -> Notice:
    at = now() - YEARS
    row = Notice(key=new_key(), occasion=Occasion.PASSWORD, person_id=person, state=state, attempts=6, next_at=at, created_at=at)
    for name, value in more.items():
        setattr(row, name, value)
    return row


def test_all_that_is_over_is_deleted_and_nothing_else(old: dict[type[Base], int], cast: Cast) -> None:
    said = cast.app.test_cli_runner().invoke(args=["retain"]).output
    assert {table.__tablename__: number_of(table) for table in old} == {t.__tablename__: n for t, n in old.items()}
    assert "forget ended sessions: " in said and "forget dead notices: 1\n" in said and "forget old drafts: 1\n" in said
    assert not any(retain().values())


def test_no_deletion_reads_a_whole_table(old: dict[type[Base], int]) -> None:
    with deletions() as found:
        retain()
    with db.engines[WRITE].connect() as connection:
        is_sqlite = connection.dialect.name == "sqlite"
        if not is_sqlite:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # it would read so small a table from end to end
        for statement, values, _ in found:
            plan = connection.exec_driver_sql(f"EXPLAIN {'QUERY PLAN ' if is_sqlite else ''}{statement}", values).all()
            steps = [str(step[-1]) for step in plan]
            whole = [step for step in steps if "Seq Scan" in step or re.match(r"SCAN (?!CONSTANT)\w", step)]
            assert all("ix_outbox_dead" in step for step in whole), steps  # which has those few alone


def test_a_transaction_deletes_so_many_and_the_job_is_due_again_at_once(cast: Cast) -> None:
    before = number_of(LoginSession)
    put(*(session_of(cast.sophie.id, n) for n in range(2 * BATCH + 10)))
    due = sa.update(Job).where(Job.name == "forget ended sessions").values(next_at=now())
    with db.engines[WRITE].begin() as connection:
        connection.execute(due)
    done = [run_due_jobs().get("forget ended sessions", -1) for _ in range(4)]
    assert done == [BATCH, BATCH, 10, -1] and number_of(LoginSession) == before


def test_the_filters_of_a_session_are_deleted_in_batches_too(cast: Cast) -> None:
    before = number_of(LoginSession)
    one = session_of(cast.nina.id, 0)
    put(one)
    put(*(BoxFilter(key=new_key(), session_id=one.id, values="{}") for _ in range(BATCH + 10)))
    with deletions() as found:
        retain()
    assert max(number for *_, number in found) == BATCH
    assert number_of(BoxFilter) == 0 and number_of(LoginSession) == before


def test_whoever_is_killed_in_the_middle_runs_again(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    before = number_of(LoginSession)
    put(*(session_of(cast.sophie.id, n) for n in range(BATCH + 10)))

    def killed(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(jobs.time, "sleep", killed)
    with pytest.raises(KeyboardInterrupt):
        retain()
    assert number_of(LoginSession) == before + 10
    monkeypatch.undo()
    retain()
    assert number_of(LoginSession) == before
