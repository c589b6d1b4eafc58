"""The rules of who receives, once more: written from docs/routing.md and the product's table, in plain Python, to be compared
with what the practice does. Nothing here is imported from the packages, and nothing here knows of a database.

Desks are communicators, talks are threads, workers are members of staff. A verb that the rules refuse raises No and has
changed nothing. Times are naive UTC.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar
from zoneinfo import ZoneInfo

APPOINTMENT, RESULT, OTHERS, AMENDMENT = KINDS = ("Appointment", "Result", "Others", "Amendment")
WAITING, ANSWERED, CLOSED = "waiting", "answered", "closed"
ZONE = ZoneInfo("America/New_York")
CLAIM = timedelta(hours=4)  # in a practice that keeps no opening hours: plain ones


class No(Exception):
    """Refused: why, and about which field."""

    def __init__(self, why: str, field: str = "") -> None:
        super().__init__(f"{why} {field}".strip())
        self.why, self.field = why, field


@dataclass
class Worker:
    is_admin: bool = False
    patient: str = ""  # their own account as a patient
    is_active: bool = True


@dataclass
class Desk:
    kind: str
    is_in_use: bool
    members: set[str]
    facilities: set[str] = field(default_factory=set)  # none: all
    had_threads: bool = False

    def serves(self, facility: str) -> bool:
        return not facility or not self.facilities or facility in self.facilities


@dataclass
class Away:
    who: str
    deputy: str
    since: datetime
    until: datetime
    is_called_off: bool = False

    def lasts(self, at: datetime) -> bool:
        return self.since <= at < self.until

    def meets(self, other: "Away") -> bool:
        return self.since < other.until and other.since < self.until and other.since < other.until


@dataclass
class Talk:
    patient: str
    kind: str
    facility: str = ""
    desks: set[str] = field(default_factory=set)
    is_unrouted: bool = False
    state: str = WAITING
    is_unread: bool = False
    is_removed: bool = False
    is_undecided: bool = False  # a correction that a patient asked for: nobody decides it here
    wrote_at: datetime | None = None  # the patient, last
    holder: str = ""
    held_until: datetime = datetime.min
    message: int = 0  # the last one of the patient, counted
    told: set[tuple[int, str, str]] = field(default_factory=set)  # message, occasion, worker

    @property
    def is_in_box(self) -> bool:
        return self.state != CLOSED and not self.is_removed and self.wrote_at is not None


P = ParamSpec("P")
R = TypeVar("R")


def changes_who(verb: Callable[P, R]) -> Callable[P, R]:
    """An admin's verb that changes who is eligible: who loses a talk loses the claim on it, and what waited is delivered."""

    @wraps(verb)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        here: Any = args[0]
        held = {number: talk.holder for number, talk in here.talks.items() if talk.holder and here.sees(talk.holder, talk)}
        answer = verb(*args, **kwargs)
        here.forget()
        for number, holder in held.items():
            if not here.sees(holder, here.talks[number]):
                here.talks[number].holder = ""
        here.wake()
        return answer

    return run


@dataclass
class Rules:
    """A practice as the rules see it. `at` is the present."""

    at: datetime
    workers: dict[str, Worker] = field(default_factory=dict)
    desks: dict[str, Desk] = field(default_factory=dict)
    absences: list[Away] = field(default_factory=list)
    talks: dict[int, Talk] = field(default_factory=dict)
    _eligible: dict[str, dict[str, bool]] | None = None

    # ---- Rule 1: who is eligible, present, routable --------------------------------------------------

    def forget(self) -> None:
        self._eligible = None

    def set_clock(self, at: datetime) -> None:
        self.at = at
        self.forget()

    @property
    def eligible(self) -> dict[str, dict[str, bool]]:
        """For each desk who is eligible, and whether present."""
        if self._eligible is None:
            self._eligible = {name: self._eligible_for(desk) for name, desk in self.desks.items()}
        return self._eligible

    def _eligible_for(self, desk: Desk) -> dict[str, bool]:
        away = {absence.who: absence.deputy for absence in self.absences if absence.lasts(self.at)}
        found: dict[str, bool] = {}
        for member in desk.members:
            if not self.workers[member].is_active:
                continue
            found[member] = found.get(member, False) or member not in away
            deputy = away.get(member, "")
            if deputy and self.workers[deputy].is_active and deputy not in away:
                found[deputy] = True
        return found

    def is_routable(self, name: str) -> bool:
        return self.desks[name].is_in_use and any(self.eligible[name].values())

    def routable(self, kind: str = "") -> set[str]:
        return {name for name, desk in self.desks.items() if kind in ("", desk.kind) and self.is_routable(name)}

    # ---- Rules 2, 3, 5, 6: who receives ----------------------------------------------------------------

    def named(self, talk: Talk) -> set[str]:
        """Whom rule 2 names; nobody for Others, which go to the picked one alone."""
        if talk.kind == OTHERS:
            return set()
        routable = self.routable(talk.kind)
        return {name for name in routable if self.desks[name].serves(talk.facility)} or routable

    def recipients(self, talk: Talk, desks: set[str]) -> dict[str, bool]:
        """Who is told, and whether present: everybody eligible, but nobody of their own talk (rule 8)."""
        found: dict[str, bool] = {}
        for name in desks:
            for worker, is_present in self.eligible[name].items():
                if self.workers[worker].patient != talk.patient:
                    found[worker] = found.get(worker, False) or is_present
        return found

    def receives(self, talk: Talk, desks: set[str]) -> bool:
        """Whether somebody present in one of these that is In Use receives it; nobody receives their own (rule 8)."""
        return any(self.recipients(talk, {name for name in desks if self.desks[name].is_in_use}).values())

    def _route(self, talk: Talk, picked: str = "") -> None:
        """Nobody new while one of its own can receive."""
        talk.message += 1
        if not self.receives(talk, talk.desks):
            self._give(talk, talk.desks | ({picked} if picked else self.named(talk)))
        if self.receives(talk, talk.desks):
            talk.is_unrouted = False
            self._tell(talk, "waiting", self.recipients(talk, talk.desks))
        else:
            talk.is_unrouted = True
            self._tell(talk, "unrouted", (name for name, w in self.workers.items() if w.is_admin and w.is_active))

    def wake(self) -> None:
        """What waited and reaches somebody now is delivered; of one message nobody is told twice."""
        for talk in self.talks.values():
            if not talk.is_unrouted:
                continue
            if not self.receives(talk, talk.desks):
                if not self.receives(talk, self.named(talk) - talk.desks):
                    continue
                self._give(talk, talk.desks | self.named(talk))
            talk.is_unrouted = False
            self._tell(talk, "waiting", self.recipients(talk, talk.desks))

    def _give(self, talk: Talk, desks: set[str]) -> None:
        talk.desks = set(desks)
        for name in desks:
            self.desks[name].had_threads = True

    def _tell(self, talk: Talk, occasion: str, people: Iterable[str]) -> None:
        talk.told |= {(talk.message, occasion, worker) for worker in people}

    def sees(self, worker: str, talk: Talk) -> bool:
        """One rule for listing, opening, counting and answering (rule 8)."""
        return self.workers[worker].patient != talk.patient and any(worker in self.eligible[name] for name in talk.desks)

    # ---- The patient -----------------------------------------------------------------------------------

    def check_send(self, kind: str, picked: str) -> str:
        """Whom Others are for: the picked one, none where the practice takes it."""
        if kind != OTHERS or not self.routable(OTHERS):
            return ""
        if picked not in self.routable(OTHERS):
            raise No("Invalid", "to")
        return picked

    def send(self, patient: str, kind: str, facility: str, picked: str) -> Talk:
        picked = self.check_send(kind, picked)
        talk = Talk(patient, kind, facility, is_unread=True, is_undecided=kind == AMENDMENT, wrote_at=self.at)
        self._route(talk, picked)
        return talk

    def reply(self, number: int) -> None:
        talk = self.talks[number]
        talk.state, talk.is_unread, talk.is_removed, talk.wrote_at = WAITING, True, False, self.at
        self._route(talk)

    # ---- The staff -------------------------------------------------------------------------------------

    def _mine(self, worker: str, number: int) -> Talk:
        talk = self.talks[number]
        if not self.sees(worker, talk):
            raise No("NotVisible")
        return talk

    def _receive(self, talk: Talk) -> None:
        talk.is_unread = talk.is_unrouted = False

    def answer(self, worker: str, number: int, *, has_read_all: bool = True) -> None:
        talk = self._mine(worker, number)
        if not has_read_all:
            raise No("Stale")
        self._receive(talk)
        talk.state, talk.is_removed = ANSWERED, False

    def receive(self, worker: str, number: int) -> None:
        talk = self._mine(worker, number)
        if not talk.is_unread:
            raise No("Stale")
        self._receive(talk)

    def close(self, worker: str, number: int) -> None:
        talk = self._mine(worker, number)
        if talk.state == CLOSED or talk.is_removed:
            raise No("Stale")
        self._receive(talk)
        talk.state, talk.holder = CLOSED, ""

    def remove(self, worker: str, number: int) -> None:
        talk = self._mine(worker, number)
        if talk.is_removed:
            raise No("Stale")
        if talk.is_unread or talk.state == WAITING or talk.is_undecided:
            raise No("NotAllowed")
        talk.is_removed = True

    def restore(self, worker: str, number: int) -> None:
        self._mine(worker, number).is_removed = False

    def claim(self, worker: str, number: int) -> None:
        talk = self._mine(worker, number)
        if self.holder_of(talk) or talk.state == CLOSED or talk.is_removed:
            raise No("Stale")
        talk.holder, talk.held_until = worker, self.at + CLAIM

    def release(self, worker: str, number: int) -> None:
        talk = self._mine(worker, number)
        if self.holder_of(talk) != worker:
            raise No("Stale")
        talk.holder = ""

    def holder_of(self, talk: Talk) -> str:
        """Whose claim holds now: past its time it is none."""
        return talk.holder if talk.held_until > self.at else ""

    def start(self, worker: str, patient: str, name: str) -> Talk:
        if self.workers[worker].patient == patient:
            raise No("NotVisible")
        if name not in self.desks or worker not in self.eligible[name] or not self.desks[name].is_in_use:
            raise No("Invalid", "communicator")
        talk = Talk(patient, self.desks[name].kind, state=ANSWERED)
        self._give(talk, {name})
        return talk

    # ---- The admin -------------------------------------------------------------------------------------

    def _must_be_admin(self, worker: str) -> None:
        if not (self.workers[worker].is_admin and self.workers[worker].is_active):
            raise No("NotAllowed")

    @changes_who
    def save(
        self,
        by: str,
        name: str,
        *,
        kind: str,
        members: set[str],
        is_in_use: bool,
        facilities: set[str] | None,
        is_seen: bool = True,
    ) -> None:
        self._must_be_admin(by)
        desk = self.desks.get(name)
        if desk and not is_seen:
            raise No("Stale")
        if desk and desk.kind != kind and desk.had_threads:
            raise No("Invalid", "type")
        if desk is None:
            desk = self.desks[name] = Desk(kind, is_in_use, set(members))
        desk.kind, desk.is_in_use, desk.members = kind, is_in_use, set(members)
        if facilities is not None:
            desk.facilities = set(facilities)

    @changes_who
    def delete(self, by: str, name: str) -> None:
        self._must_be_admin(by)
        if self.desks[name].had_threads:
            raise No("HasThreads")
        del self.desks[name]

    @changes_who
    def set_active(self, by: str, worker: str, is_active: bool) -> None:
        self._must_be_admin(by)
        others = any(w.is_admin and w.is_active for name, w in self.workers.items() if name != worker)
        if not is_active and self.workers[worker].is_admin and not others:
            raise No("NotAllowed")
        self.workers[worker].is_active = is_active

    @changes_who
    def replace(self, by: str, old: str, new: str) -> None:
        self._must_be_admin(by)
        if new == old or not self.workers[new].is_active:
            raise No("Invalid", "with_key")
        for desk in self.desks.values():
            if old in desk.members:
                desk.members = desk.members - {old} | {new}

    @changes_who
    def hand_open(self, by: str, name: str, to: str) -> None:
        """Every open talk goes from one desk to another of its type; the first is switched off."""
        self._must_be_admin(by)
        if to == name or self.desks[to].kind != self.desks[name].kind or not self.is_routable(to):
            raise No("Invalid", "to")
        for talk in self.talks.values():
            if name in talk.desks and talk.state != CLOSED:
                self._give(talk, talk.desks - {name} | {to})
                if talk.state == WAITING and not self.receives(talk, talk.desks):
                    talk.is_unrouted = True
                elif talk.state == WAITING and not talk.is_unrouted:
                    self._tell(talk, "waiting", self.recipients(talk, talk.desks))
        self.desks[name].is_in_use = False

    def hand_to(self, by: str, number: int, to: str) -> None:
        """What waits unrouted goes to one desk that can receive it, and to it alone; an Amendment to its kind only."""
        self._must_be_admin(by)
        talk = self.talks[number]
        if not talk.is_unrouted:
            raise No("Stale")
        is_other_kind = (self.desks[to].kind == AMENDMENT) != (talk.kind == AMENDMENT)
        if is_other_kind or not self.is_routable(to) or not self.receives(talk, {to}):
            raise No("Invalid", "communicator")
        self._give(talk, {to})
        talk.kind, talk.is_unrouted, talk.holder = self.desks[to].kind, False, ""
        self._tell(talk, "waiting", self.recipients(talk, {to}))

    # ---- Absence ---------------------------------------------------------------------------------------

    def _may_keep_absences(self, by: str, who: str) -> None:
        if by != who:
            self._must_be_admin(by)

    def _days(self, first: date, last: date) -> tuple[datetime, datetime]:
        since, until = (
            datetime.combine(day, time(), ZONE).astimezone(UTC).replace(tzinfo=None) for day in (first, last + timedelta(days=1))
        )
        if last < first or until <= self.at:
            raise No("Invalid", "last_day")
        return max(since, self.at), until

    def _check_absence(self, wanted: Away, before: Away | None) -> None:
        """A person is away once at a time, a deputy is there meanwhile, and who stands in for somebody stays meanwhile."""
        if wanted.deputy and (wanted.deputy == wanted.who or not self.workers[wanted.deputy].is_active):
            raise No("Invalid", "deputy")
        others = [one for one in self.absences if one is not before and wanted.meets(one)]
        if any(one.who == wanted.who for one in others):
            raise No("Invalid", "first_day")
        if wanted.deputy and any(one.who == wanted.deputy for one in others):
            raise No("Invalid", "deputy")
        if any(one.deputy == wanted.who for one in others):
            raise No("Invalid", "first_day")

    @changes_who
    def go_away(self, by: str, who: str, *, first: date, last: date, deputy: str) -> Away:
        self._may_keep_absences(by, who)
        wanted = Away(who, deputy, *self._days(first, last))
        self._check_absence(wanted, None)
        self.absences.append(wanted)
        return wanted

    @changes_who
    def change_absence(self, by: str, away: Away, *, first: date, last: date, deputy: str, is_seen: bool = True) -> None:
        self._may_keep_absences(by, away.who)
        self._check_not_over(away, is_seen)
        since, until = self._days(first, last)
        wanted = Away(away.who, deputy, away.since if away.since <= self.at else since, until)
        self._check_absence(replace(wanted, since=max(wanted.since, self.at)), away)
        away.deputy, away.since, away.until = wanted.deputy, wanted.since, wanted.until

    @changes_who
    def come_back(self, by: str, away: Away, *, is_seen: bool = True) -> None:
        self._may_keep_absences(by, away.who)
        self._check_not_over(away, is_seen)
        away.is_called_off = away.since > self.at
        away.until = max(away.since, self.at)

    def _check_not_over(self, away: Away, is_seen: bool) -> None:
        if not is_seen or away.is_called_off or away.until <= self.at:
            raise No("Stale")

    # ---- The clock -------------------------------------------------------------------------------------

    def work(self) -> None:
        """What the worker does within a minute: delivers what can be delivered now, frees what nobody holds any more."""
        self.wake()
        for talk in self.talks.values():
            if talk.holder and not self.sees(talk.holder, talk):
                talk.holder = ""
