"""SQLite lets one writer in at a time: who has waited for long is let in as soon as who has just come."""

import sqlite3
import statistics
import threading
import time

import pytest
import sqlalchemy as sa

from practice.db import WRITE, db


def seconds_after(held: float) -> float:
    """How long after the end of another's lock, held for so long, the one who waits has it."""
    other = sqlite3.connect(str(db.engines[WRITE].url.database), isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    ended: list[float] = []

    def end() -> None:
        ended.append(time.monotonic())
        other.execute("ROLLBACK")

    timer = threading.Timer(held, end)
    timer.start()
    with db.engines[WRITE].begin():
        took = time.monotonic()
    timer.join()
    other.close()
    return took - ended[0]


def test_f5_who_waits_is_let_in_at_once_however_long_it_took(cast):
    if db.engines[WRITE].dialect.name != "sqlite":
        pytest.skip("PostgreSQL has a queue")
    assert statistics.median(seconds_after(0.3 + n / 100) for n in range(9)) < 0.03


def test_f5_an_error_that_is_no_lock_is_not_waited_for(cast, monkeypatch):
    if db.engines[WRITE].dialect.name != "sqlite":
        pytest.skip("PostgreSQL has a queue")
    begun = time.monotonic()
    with db.engines[WRITE].connect() as connection, pytest.raises(sa.exc.OperationalError, match="within a transaction"):
        connection.connection.driver_connection.execute("BEGIN")
        connection.execute(sa.text("SELECT 1"))
    assert time.monotonic() - begun < 1
