"""The second step of the log-in in My Account of patients: set up, changed, turned off, and its recovery codes."""

from portal import blueprint
from portal.account import DESK
from web import second_step as shared
from web.answers import Answer


@blueprint.get("/account/second-step")
def second_step() -> Answer:
    return shared.shown(DESK)


@blueprint.route("/account/second-step/app", methods=["GET", "POST"])
def set_up_second_step() -> Answer:
    return shared.set_up(DESK)


@blueprint.route("/account/second-step/recovery-codes", methods=["GET", "POST"])
def renew_recovery_codes() -> Answer:
    return shared.renew_codes(DESK)


@blueprint.route("/account/second-step/off", methods=["GET", "POST"])
def turn_off_second_step() -> Answer:
    return shared.turn_off(DESK)
