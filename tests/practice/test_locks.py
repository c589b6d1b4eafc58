"""The locks that only PostgreSQL has: SQLite lets one writer in at a time anyway."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from practice import conversations, routing
from practice.db import WRITE, db, new_key


@pytest.fixture(autouse=True)
def only_on_postgresql(app: Any) -> None:
    if db.engines[WRITE].dialect.name != "postgresql":
        pytest.skip("SQLite has no such locks")


@contextlib.contextmanager
def two_sessions() -> Iterator[tuple[Session, Session]]:
    with Session(db.engines[WRITE]) as first, Session(db.engines[WRITE]) as second:
        second.execute(sa.text("SET LOCAL lock_timeout = '200ms'"))
        yield first, second


def test_senders_do_not_wait_for_each_other():
    with two_sessions() as (first, second):
        routing.hold_routing_still(first)
        routing.hold_routing_still(second)


@pytest.mark.parametrize(("one", "other"), [(False, True), (True, False), (True, True)])
def test_a_change_of_who_is_eligible_waits_for_whoever_sends_and_the_other_way_round(one, other):
    with two_sessions() as (first, second):
        routing.hold_routing_still(first, to_change_it=one)
        with pytest.raises(sa.exc.OperationalError):
            routing.hold_routing_still(second, to_change_it=other)


def test_a_thread_that_is_written_in_is_locked_and_one_that_is_read_is_not(cast, statements):
    key = cast.send(cast.sophie)
    with statements() as found:
        conversations.reply(key, body="More", form_key=new_key(), by=cast.sophie.actor)
    assert [s for s in found if "FROM thread" in s and "FOR UPDATE" in s]
    with statements() as found:
        assert cast.sees(cast.nina, key)
    assert not [s for s in found if "FOR UPDATE" in s]
