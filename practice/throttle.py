"""Guessing is slow: tries to log in are counted in the database, exactly, however many come at once from wherever they come.

A try is counted as a failure before anybody looks whether it is right, and forgotten when it was: so of fifty at the same
moment no more are looked at than may fail. What is counted are names as they were typed: whether there is such an account
makes no difference. Why these numbers, and what the table gives away: docs/decisions/0013-guessing-passwords.md.
"""

import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from practice.db import ANONYMOUS, Actor, Model, Transaction, db, delete_some, keys_for, now, transaction
from practice.errors import TooMany
from practice.people import Person, email_key, person_with_password

R = TypeVar("R")


class Guessed(StrEnum):
    """What somebody may try to guess."""

    PASSWORD = "password"
    CODE = "code"  # of the second step


@dataclass(frozen=True)
class Limit:
    """So many failures, `within` a time, and the next try is refused."""

    name: str
    most: int
    within: timedelta


PAIR = Limit("account and address", 5, timedelta(minutes=15))
ADDRESS = Limit("address", 20, timedelta(minutes=1))  # whatever accounts
ACCOUNT = Limit("account", 100, timedelta(days=30))  # in a row, from wherever; not from an address that is known
KNOWN_FOR = timedelta(days=90)  # so long after a log-in an address is one that the account's owner comes from


class Throttle(Model):
    """The failures that one limit still counts, or (with none) an address that is known. Names and addresses stand in it as
    keyed hashes only."""

    __tablename__ = "throttle"
    key: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    account: Mapped[str | None] = mapped_column(sa.String(64), index=True)  # whose, where `open_again` opens it
    failures: Mapped[str] = mapped_column(sa.Text)  # JSON: of each the milliseconds since 1970
    ends_at: Mapped[datetime] = mapped_column(index=True)  # nothing of it counts any more


def password_of(email: str, password: str, *, address: str | None) -> Person | None:
    """Like `person_with_password`, for everybody who asks from a network `address`. Raises TooMany."""
    return tried(Guessed.PASSWORD, email, lambda: person_with_password(email, password), address=address)


def tried(what: Guessed, email: str, check: Callable[[], R | None], *, address: str | None) -> R | None:
    """What `check` answers: None is a failure of this account, as it was typed, from this address. Right ends the row of
    failures. Raises TooMany without a check where a limit is reached. Not inside a transaction: others must see the count."""
    counted = _Counted(what, email, address)
    counted.add()
    found = check()
    if found is not None:
        counted.take_back()
    return found


def remember(email: str, address: str | None) -> None:
    """The owner of the account has logged in from here: guessing elsewhere does not shut this address out."""
    if address is None:
        return
    key = _hash("known", email_key(email), _network(address))
    with transaction(by=ANONYMOUS, did="remember") as tx:
        tx.is_silent = True
        _hold(tx.session, [{"key": key, "account": None, "failures": "[]", "ends_at": now() + KNOWN_FOR}])


def open_again(tx: Transaction, what: Guessed, email: str) -> None:
    """Whoever has proved to be the owner may try anew."""
    tx.session.execute(sa.delete(Throttle).where(Throttle.account == _hash(what, email_key(email))))


def forget_ended(session: Session) -> int:
    """Deletes what counts for nothing any more. Answers how many."""
    return delete_some(session, Throttle, Throttle.ends_at < now())


class _Counted:
    """One try."""

    def __init__(self, what: Guessed, email: str, address: str | None) -> None:
        self.account, self.address, self.at = email_key(email), address, _milliseconds(now())
        here = _network(address) if address else ""
        self.known = _hash("known", self.account, here)
        self.guessed, self.owner = what, _hash(what, self.account)
        limits = {_hash(what, self.account, here): PAIR, _hash(what, self.account, "everywhere"): ACCOUNT}
        if address:  # without one nobody can be told from anybody else
            limits[_hash("address", here)] = ADDRESS
        self.limits = dict(sorted(limits.items()))  # rows are always locked in the same order

    def add(self) -> None:
        """Counts it. Raises TooMany."""
        self._refuse_if_over(self._found(db.session()))  # without a lock: a flood that is refused anyway stops nobody
        with transaction(by=Actor(None, ANONYMOUS.name, address=self.address), did="reach_limit") as tx:
            failures = self._held(tx.session)
            self._refuse_if_over(self._found(tx.session) | failures)
            for key, limit in self.limits.items():
                _write(tx.session, key, [*failures[key], self.at], limit)
            reached = [limit.name for key, limit in self.limits.items() if len(failures[key]) + 1 == limit.most]
            tx.is_silent = not reached
            if reached:
                tx.details = {"limit": reached, "guessed": self.guessed}
                tx.about = tx.session.scalar(sa.select(Person.key).where(Person.email_key == self.account)) or ""

    def take_back(self) -> None:
        """It was right: the account has no failures any more, the address one less."""
        with transaction(by=ANONYMOUS, did="forget_failures") as tx:
            tx.is_silent = True
            failures = self._held(tx.session)
            for key, limit in self.limits.items():
                left = failures[key] if limit is ADDRESS else []
                if self.at in left:
                    left.remove(self.at)
                _write(tx.session, key, left, limit)

    def _refuse_if_over(self, failures: dict[str, list[int]]) -> None:
        waits = [
            found[-limit.most] + _length(limit.within) - self.at
            for key, limit in self.limits.items()
            if len(found := failures.get(key, [])) >= limit.most and not (limit is ACCOUNT and self.known in failures)
        ]
        if waits:
            raise TooMany(-(-max(waits) // 1000))

    def _found(self, session: Session) -> dict[str, list[int]]:
        """The failures of each limit that has any; of an address that is known an entry too."""
        rows = session.connection().execute(_ROWS, {"keys": [*self.limits, self.known], "now": now()})
        return {key: self._counted(key, failures) for key, failures in rows}

    def _held(self, session: Session) -> dict[str, list[int]]:
        """The failures of each limit; nobody else counts until the transaction ends."""
        ends = {key: now() + limit.within for key, limit in self.limits.items()}
        owners = {key: None if limit is ADDRESS else self.owner for key, limit in self.limits.items()}
        rows = [{"key": key, "account": owners[key], "failures": "[]", "ends_at": ends[key]} for key in self.limits]
        return {key: self._counted(key, failures) for key, failures in _hold(session, rows)}

    def _counted(self, key: str, failures: str) -> list[int]:
        """Those within the time that the limit looks at."""
        since = self.at - _length(self.limits[key].within) if key in self.limits else 0
        return [moment for moment in json.loads(failures) if moment > since]


_ROWS = sa.select(Throttle.key, Throttle.failures).where(
    Throttle.key.in_(sa.bindparam("keys", expanding=True)), Throttle.ends_at > sa.bindparam("now", type_=Throttle.ends_at.type)
)


def _hold(session: Session, rows: list[dict[str, Any]]) -> Any:
    """Makes these rows or locks those that are there, in this order; answers key and failures of each."""
    return session.connection().execute(_held_rows(session.get_bind().dialect.name), rows)


@lru_cache(maxsize=2)
def _held_rows(dialect: str) -> Any:
    """One statement, so that no row is deleted between finding and locking it."""
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    table = Throttle.__table__
    made = insert(table)  # type: ignore[arg-type]
    later = made.on_conflict_do_update(index_elements=["key"], set_={"ends_at": made.excluded.ends_at})
    return later.returning(table.c.key, table.c.failures)


def _write(session: Session, key: str, failures: list[int], limit: Limit) -> None:
    row = Throttle.key == key
    if not failures:
        session.execute(sa.delete(Throttle).where(row))
        return
    values = {"failures": json.dumps(failures), "ends_at": now() + limit.within}
    session.execute(sa.update(Throttle).where(row).values(values))


def _hash(*parts: str) -> str:
    """Who or where, as it is kept: nobody guesses it without the secret key."""
    return hmac.digest(keys_for("throttle")[0], json.dumps(parts).encode(), "sha256").hex()


def _network(address: str) -> str:
    """Whom an address stands for: of IPv6 one customer has a whole /64."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if not isinstance(found, IPv4Address):
        found = found.ipv4_mapped or ip_network((found, 64), strict=False).network_address
    return str(found)


def _milliseconds(moment: datetime) -> int:
    return _length(moment - datetime(1970, 1, 1))


def _length(time: timedelta) -> int:
    return time // timedelta(milliseconds=1)
