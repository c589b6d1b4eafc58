"""The In Box by every filter beside its floor; the question for news beside an answer without a page; 400 staff who ask it."""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench.admin import missing
from bench.measure import RATIO, Figures, both_of, version_of
from bench.site import WORKERS, Asked, Served, Site
from practice.db import WRITE, db, now
from practice.people import Patient, Person
from practice.threads import PAGE, Thread

WARM, TIMES = 10, 100
BEYOND = 0.001  # seconds that the question for news may take beyond an answer to the same person that has no page
POLLING, EVERY, ASKED_FOR = 400, 10, 20  # staff, seconds between two questions of each, seconds of asking
CORES = 1.0  # of two, that all of them together may take
IS_LIST, IS_FOUND = "AS f JOIN thread t", "SELECT patient.id"
NEWS = "nothing new (304)"


@dataclass(frozen=True)
class Filtered:
    """A list as it is searched for; `same`: the columns that must stand on the page word by word."""

    name: str
    values: dict[str, str]
    same: tuple[str, ...] = ("key",)


@dataclass
class Boxed:
    """What was measured on one database."""

    kind: str
    version: str
    messages: int
    figures: dict[str, Figures] = field(default_factory=dict)
    statements: dict[str, int] = field(default_factory=dict)
    sql: dict[str, list[str]] = field(default_factory=dict)
    beyond: float = 0  # seconds
    cores: float = 0
    problems: list[str] = field(default_factory=list)


def measure(site: Site, times: int = TIMES) -> Boxed:
    result = Boxed(site.kind, version_of(site), site.messages)
    _claim_some(site)
    pages, told = [], []
    for one in _filters(site):
        asked = Asked("GET", _address(site, one.values), None, {"Cookie": site.staff.cookie})
        site.statements_of(asked)
        found = site.statements_of(asked)
        brings = [read for read in found if IS_LIST in read[0] or IS_FOUND in read[0]]
        result.statements[one.name], result.sql[one.name] = len(found), [statement for statement, _ in brings]
        pages.append((one, asked))
        told.append({"reads": brings, "most": PAGE, "is_form": False, "options": []})
    site.serve_floor({}, told)
    for number, (one, asked) in enumerate(pages):
        result.figures[one.name] = figures = Figures()
        for n in range(WARM + times):
            ours, floors = both_of(site.product, asked), both_of(site.floor, Asked("GET", f"/rows/{number}", None, {}))
            if n == 0 and (lacks := missing(one, ours.body, floors.body)):
                result.problems.append(f"{site.kind}, {one.name}: not on the page: {lacks[:5]}")
            if n >= WARM:
                figures.product.append(ours.seconds)
                figures.floor.append(floors.seconds)
        if figures.ratio > RATIO:
            words = f"{one.name} takes {figures.ratio:.2f} times its floor, more than {RATIO:g}"
            result.problems.append(f"{site.kind}, {site.messages} messages: {words}")
    _ask_for_news(site, result, times)
    return result


def _filters(site: Site) -> list[Filtered]:
    with site.app.app_context():
        one = sa.select(Person, Patient).join(Patient, Patient.id == Person.id).join(Thread, Thread.patient_id == Person.id)
        person, patient = db.session.execute(one.where(Thread.key == site.to_open)).first()  # type: ignore[misc]
        db.session.remove()
    together = {"unread": "y", "late": "y", "type": "Others", "first_day": "2020-01-01", "due_first": "y"}
    return [
        Filtered("newest first", {}),
        Filtered("due first", {"due_first": "y"}),
        Filtered("last name", {"last_name": site.name}),
        Filtered("last and first name", {"last_name": person.last_name, "first_name": person.first_name[:3]}, ()),
        Filtered("birth date", {"dob": patient.dob.isoformat(), "closed_too": "y"}),
        Filtered("phone", {"phone": patient.phone, "closed_too": "y"}),
        Filtered("e-mail", {"email": person.email, "closed_too": "y"}),
        Filtered("type", {"type": "Others"}),
        Filtered("receiver", {"receiver": next(iter(site.mine.values())).key}),
        Filtered("dates", {"first_day": f"{now() - timedelta(days=60):%Y-%m-%d}", "last_day": f"{now():%Y-%m-%d}"}),
        Filtered("unread", {"unread": "y"}),
        Filtered("mine", {"mine": "y"}),
        Filtered("overdue", {"late": "y"}, ()),
        Filtered("urgent words", {"urgent": "y"}, ()),
        Filtered("closed too", {"closed_too": "y"}),
        Filtered("unread, overdue, type, dates, due first", together, ()),
    ]


def _address(site: Site, values: dict[str, str]) -> str:
    if not values:
        return "/staff/"
    form = {"csrf_token": site.staff.token} | values
    return site.product.ask(Asked("POST", "/staff/searches", form, {"Cookie": site.staff.cookie})).location


def _claim_some(site: Site) -> None:
    """Threads that the one who asks has claimed: the load has none."""
    with site.app.app_context(), db.engines[WRITE].begin() as connection:
        mine = sa.select(Thread.audience_id).where(Thread.key.in_(list(site.mine)))
        some = sa.select(Thread.id).where(Thread.is_in_box, Thread.audience_id.in_(mine)).limit(30)
        claim = {"claimed_by_id": site.staff.person, "claimed_until": now() + timedelta(hours=4)}
        connection.execute(sa.update(Thread).where(Thread.id.in_(connection.scalars(some).all())).values(claim))


# ---- News ----------------------------------------------------------------------------------------


def _ask_for_news(site: Site, result: Boxed, times: int) -> None:
    page = site.product.ask(Asked("GET", "/staff/", None, {"Cookie": site.staff.cookie})).body
    tag = page.partition('data-tag="')[2].partition('"')[0]
    poll = Asked("GET", "/staff/news", None, {"Cookie": site.staff.cookie, "X-Poll": "1", "If-None-Match": f'"{tag}"'})
    empty = Asked(
        "GET", "/login", None, {"Cookie": site.staff.cookie}
    )  # leads home whoever is logged in: the gate and nothing else
    news, nothing = [], []
    for n in range(WARM + 4 * times):
        answer, floor = site.product.ask(poll), site.product.ask(empty)
        if answer.status not in (200, 304) or floor.status != 303:  # 200: ten minutes are over
            raise SystemExit(f"bench: news are answered {answer.status}, the log-in page {floor.status}")
        if n >= WARM:
            news.append(answer.seconds)
            nothing.append(floor.seconds)
    result.figures[NEWS] = Figures(news, nothing)
    result.statements[NEWS] = len(site.statements_of(poll, answered=(200, 304)))
    result.beyond = statistics.median(news) - statistics.median(nothing)
    if result.beyond > BEYOND:
        result.problems.append(
            f"{site.kind}: the question for news takes {1000 * result.beyond:.2f} ms beyond an answer without a page"
        )
    result.cores = _cores_of_all(site, poll)
    if result.cores > CORES:
        result.problems.append(f"{site.kind}: {POLLING} staff take {result.cores:.2f} cores, more than {CORES:g} of 2")


def _cores_of_all(site: Site, poll: Asked) -> float:
    """Of how many cores the workers take the time, while so many ask for news, and half of them have a message open."""
    there = {"csrf_token": site.staff.token, "version": "1", "note": "0"}
    sign = Asked("POST", f"/staff/messages/{site.to_open}/presence", there, {"Cookie": site.staff.cookie, "X-Poll": "1"})
    asked, requests = (poll, poll, sign), ASKED_FOR * POLLING // EVERY * 3 // 2
    before, begun = _seconds_of(site.product), time.perf_counter()
    with ThreadPoolExecutor(8) as pool:
        for n in range(requests):
            pool.submit(site.product.ask, asked[n % 3])
            time.sleep(max(0.0, begun + n * ASKED_FOR / requests - time.perf_counter()))
    return (_seconds_of(site.product) - before) / (time.perf_counter() - begun)


def _seconds_of(served: Served) -> float:
    """Of the processor, that all workers have taken."""
    ticks = 0
    for process in Path("/proc").glob("[0-9]*/stat"):
        try:
            said = process.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(said[1]) == served.process.pid:
            ticks += int(said[11]) + int(said[12])
    return ticks / 100


def words_of(result: Boxed) -> dict[str, Any]:
    return {
        "messages": result.messages,
        "beyond": 1000 * result.beyond,
        "polling": POLLING,
        "cores": result.cores,
        "workers": WORKERS,
    }
