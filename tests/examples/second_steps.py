"""The second step of the log-in: between the password and the session, in My Account, and reset by an admin."""

from datetime import UTC, timedelta
from typing import Any

import pyotp
import sqlalchemy as sa

from practice import second_step
from practice.db import COMMAND, WRITE, clock_at, db, new_key, now, transaction
from practice.demo import PASSWORD
from practice.people import Person
from practice.settings import Practice, SecondStepFor
from tests.examples.portal import password


def give_step(player: Any) -> tuple[pyotp.TOTP, list[str]]:
    """Has had a second step for ten minutes: its app and its recovery codes."""
    with clock_at(now() - timedelta(minutes=10)), transaction(by=COMMAND, did="set_up_tests") as tx:
        offer = second_step.offer_to(player.id)
        app = pyotp.TOTP(offer.key)
        return app, second_step._set_up(tx, player.id, offer.sealed, code_of(app))


def code_of(app: pyotp.TOTP, *, periods: int = 0) -> str:
    """What the phone shows now, or so many periods later."""
    return app.generate_otp(int(now().replace(tzinfo=UTC).timestamp()) // 30 + periods)


def ask_for(whom: SecondStepFor) -> None:
    db.session.close()
    with db.engines[WRITE].begin() as connection:
        connection.execute(sa.update(Practice.__table__).values(second_step=whom))


def halfway(cast: Any, who: Any) -> Any:
    """A browser in which the password was given and the second step is to come."""
    browser = type(who)(cast.app)
    db.session.close()
    browser.carry(half=second_step.begin(db.session.get_one(Person, who.id), by=who.actor))
    return browser


def _code(cast: Any) -> dict[str, Any]:
    app, _ = give_step(cast.dan)
    return {"player": halfway(cast, cast.dan), "data": {"code": code_of(app)}}


def _first(cast: Any) -> dict[str, Any]:
    ask_for(SecondStepFor.STAFF)
    offer = second_step.offer_to(cast.dan.id)
    return {"player": halfway(cast, cast.dan), "data": {"code": code_of(pyotp.TOTP(offer.key)), "sealed": offer.sealed}}


def _own(cast: Any, who: Any, *, has_one: bool = True) -> dict[str, Any]:
    if has_one:
        give_step(who)
    made = password(cast, who)
    offer = second_step.offer_to(who.id)
    sent = {"present": PASSWORD, "key": new_key(), "sealed": offer.sealed, "code": code_of(pyotp.TOTP(offer.key))}
    return made | {"data": sent}


def _reset(cast: Any) -> dict[str, Any]:
    give_step(cast.dan)
    password(cast, cast.ada)
    others = [(cast.ada, {"key": "x" * 22})]
    return {"player": cast.ada, "own": {"key": cast.dan.key}, "others": others, "data": {"present": PASSWORD, "key": new_key()}}


EXAMPLES: dict[str, Any] = {
    "second_step.ask": _code,
    "second_step.check": _code,
    "second_step.set_up_first": _first,
    "admin.second_step_of": _reset,
    "admin.reset_second_step": _reset,
}
for _side, _who in (("portal", "sophie"), ("staff", "fay")):
    for _view in ("second_step", "set_up_second_step", "renew_recovery_codes", "turn_off_second_step"):
        EXAMPLES[f"{_side}.{_view}"] = lambda cast, who=_who: _own(cast, getattr(cast, who))
