"""The forms of a request's steps, as a click in the open message asks for them: the pane alone."""

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from bench.admin import missing
from bench.measure import RATIO, Figures, both_of, version_of
from bench.site import Asked, LoggedIn, Site
from practice.appointments import AppointmentRequest, AppointmentState
from practice.communicators import AudienceCommunicator, Membership
from practice.db import WRITE, Model, db
from practice.people import AccountStatus, Person
from practice.results import ResultRequest, ResultState
from practice.threads import Thread

WARM, TIMES = 10, 200
ROWS = ("AS claimer_", "SELECT message.id,", "SELECT history.id,")  # the head, the messages, what happened


@dataclass(frozen=True)
class StepPage:
    """`request`: the table of what is asked for, `state`: from which the step leads on."""

    name: str
    verb: str
    request: type[Model]
    state: str
    same: tuple[str, ...] = ("body",)  # columns that must stand on the page word by word


PAGES = (
    StepPage("Confirm appointment", "confirm", AppointmentRequest, AppointmentState.REQUESTED),
    StepPage("Propose times", "propose", AppointmentRequest, AppointmentState.REQUESTED),
    StepPage("Decline", "decline", AppointmentRequest, AppointmentState.REQUESTED),
    StepPage("In preparation", "prepare", ResultRequest, ResultState.REQUESTED),
    StepPage("Ready for pick-up", "make-ready", ResultRequest, ResultState.IN_PREPARATION),
    StepPage("Sent", "send", ResultRequest, ResultState.IN_PREPARATION),
)


@dataclass
class Stepped:
    """What was measured on one database."""

    kind: str
    version: str
    messages: int
    figures: dict[str, Figures] = field(default_factory=dict)
    statements: dict[str, int] = field(default_factory=dict)
    sql: dict[str, list[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def measure(site: Site, times: int = TIMES) -> Stepped:
    result, taken = Stepped(site.kind, version_of(site), site.messages), list[str]()
    told, asked = [], []
    for page in PAGES:
        who, thread = _in_charge(site, page, taken)
        headers = {"Cookie": who.cookie, "HX-Request": "true"}
        asked.append(Asked("GET", f"/staff/messages/{thread}/steps/{page.verb}", None, headers))
        site.statements_of(asked[-1])  # the first look leaves marks that the second does not
        found = site.statements_of(asked[-1])
        parts = (*ROWS, f"FROM {page.request.__tablename__}")
        brings = [read for read in found if any(part in read[0] for part in parts)]
        if lacking := [part for part in parts if not any(part in read[0] for read in found)]:
            raise SystemExit(f"bench: the statements of {page.name} have changed, {lacking} is not there: {found}")
        result.statements[page.name], result.sql[page.name] = len(found), [statement for statement, _ in brings]
        told.append({"reads": brings, "most": 50, "is_form": False, "options": []})
    site.serve_floor({}, told)
    for number, (page, ask) in enumerate(zip(PAGES, asked, strict=True)):
        result.figures[page.name] = figures = Figures()
        for n in range(WARM + times):
            ours, floors = both_of(site.product, ask), both_of(site.floor, Asked("GET", f"/rows/{number}", None, {}))
            if n == 0 and (lacks := missing(page, ours.body, floors.body)):
                result.problems.append(f"{site.kind}, {page.name}: not on the page: {lacks[:5]}")
            if n >= WARM:
                figures.product.append(ours.seconds)
                figures.floor.append(floors.seconds)
        if figures.ratio > RATIO:
            words = f"{page.name} takes {figures.ratio:.2f} times its floor, more than {RATIO:g}"
            result.problems.append(f"{site.kind}, {site.messages} messages: {words}")
    return result


def _in_charge(site: Site, page: StepPage, taken: list[str]) -> tuple[LoggedIn, str]:
    """Somebody who has such a request, and the key of its thread, none of those taken. It is brought into the state."""
    asked: Any = page.request
    with site.app.app_context():
        has_it = sa.select(Thread.id, Thread.key, Membership.staff_id).join(asked, asked.thread_id == Thread.id)
        has_it = has_it.join(AudienceCommunicator, AudienceCommunicator.audience_id == Thread.audience_id)
        has_it = has_it.join(Membership, Membership.communicator_id == AudienceCommunicator.communicator_id)
        has_it = has_it.join(Person, Person.id == Membership.staff_id)
        here = Membership.until.is_(None), Person.status == AccountStatus.ACTIVE, Thread.is_in_box
        found = (
            has_it.where(*here, asked.state == "requested", Thread.key.not_in(taken))
            .order_by(Thread.id, Membership.staff_id)
            .limit(1)
        )
        thread, key, person = db.session.execute(found).one()
        taken.append(key)
        who = site._log_in(db.session.get_one(Person, person))
        db.session.remove()
        with db.engines[WRITE].begin() as connection:
            connection.execute(sa.update(asked).where(asked.thread_id == thread).values(state=page.state))
    return who, key
