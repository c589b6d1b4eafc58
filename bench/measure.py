"""The pages, how each is asked for and checked, and the measuring itself."""

import html
import re
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import sqlalchemy as sa

from bench import floor
from bench.site import Answer, Asked, LoggedIn, Served, Site
from practice.db import db, new_key
from practice.threads import Message, Thread

RATIO, GROWTH, MEGABYTES = 4.0, 1.2, 120
WARM, TIMES = 15, 400
REQUESTS = 1000  # more of them before the memory is measured
NUMBER = count(1)


@dataclass(frozen=True)
class Page:
    """`ours`: the product's request on a site; `floors`: the floor's for the same. `rows`: how the statements that bring the
    page's rows begin or what they hold. `wrong`: what the two answers do not agree in, or an empty text."""

    name: str
    ours: Callable[[Site], Asked]
    floors: Callable[[Site, Asked], Asked]
    wrong: Callable[[Site, Asked, Answer, Answer], str]
    rows: tuple[str, ...] = ()


# ---- Asking --------------------------------------------------------------------------------------


def _get(path: str, who: LoggedIn, *, htmx: bool = False) -> Asked:
    return Asked("GET", path, None, {"Cookie": who.cookie} | ({"HX-Request": "true"} if htmx else {}))


def _floor_at(path: str) -> Callable[[Site, Asked], Asked]:
    return lambda _site, _asked: Asked("GET", path, None, {})


def _inbox(site: Site) -> Asked:
    return _get("/staff/", site.staff)


def _open(site: Site) -> Asked:
    """As by a click in the list: htmx asks for the pane alone."""
    return _get(f"/staff/messages/{site.to_open}", site.staff, htmx=True)


def _search(site: Site) -> Asked:
    if not site.filter:
        form = {"csrf_token": site.staff.token, "last_name": site.name}
        site.filter = site.product.ask(Asked("POST", "/staff/searches", form, {"Cookie": site.staff.cookie})).location
    return _get(site.filter, site.staff)


def _reply(site: Site) -> Asked:
    number = next(NUMBER)
    key = site.to_answer[number // 2 % len(site.to_answer)]
    last = sa.select(sa.func.max(Message.id)).join(Thread, Thread.id == Message.thread_id).where(Thread.key == key)
    with site.app.app_context():
        seen = db.session.scalar(last)
        db.session.remove()
    words = {"key": new_key(), "seen": seen, "communicator": site.mine[key].key, "body": f"Answer {number}: come on Monday."}
    form = {"csrf_token": site.staff.token} | words
    return Asked("POST", f"/staff/messages/{key}/replies", form, {"Cookie": site.staff.cookie})


def _floor_reply(site: Site, asked: Asked) -> Asked:
    key = asked.path.split("/")[3]
    mine, said = site.mine[key], asked.form or {}
    form = {"thread": key, "author": site.staff.person, "communicator": mine.id, "title": mine.title, "key": new_key()}
    return Asked("POST", "/reply", form | {"body": said["body"]}, {})


def _submit(site: Site) -> Asked:
    number = next(NUMBER)
    who = site.patients[number // 2 % len(site.patients)]
    words = {"key": new_key(), "to": site.to, "title": "A question", "body": f"Question {number}: may I come on Monday?"}
    return Asked("POST", "/messages/new", {"csrf_token": who.token} | words, {"Cookie": who.cookie})


def _floor_submit(site: Site, asked: Asked) -> Asked:
    who = next(p for p in site.patients if p.cookie == asked.headers["Cookie"])
    said = {name: (asked.form or {})[name] for name in ("to", "title", "body")}
    return Asked("POST", "/submit", said | {"key": new_key(), "author": who.person}, {})


# ---- Checking ------------------------------------------------------------------------------------


def _keys(answer: Answer) -> list[str]:
    return list(dict.fromkeys(re.findall(r'href="/staff/messages/([\w-]{22})', answer.body)))


def _text(answer: Answer) -> str:
    return " ".join(html.unescape(answer.body).split())


def _other_rows(_site: Site, _asked: Asked, ours: Answer, floors: Answer) -> str:
    if not _keys(floors):
        return "there are no rows"
    return "" if _keys(ours) == _keys(floors) else f"other rows: {_keys(ours)} and {_keys(floors)}"


def _other_words(_site: Site, _asked: Asked, ours: Answer, floors: Answer) -> str:
    bodies = re.findall(r"<p>(.*?)</p>", _text(floors))[1:]
    missing = [body for body in bodies if body not in _text(ours)]
    return f"not on the page: {missing}" if missing or len(bodies) != 3 else ""


def _not_kept(site: Site, asked: Asked, ours: Answer, floors: Answer) -> str:
    body = (asked.form or {})["body"]
    on_ours = site.product.ask(_get(ours.location, LoggedIn(0, asked.headers["Cookie"], "")))
    on_floor = site.floor.ask(Asked("GET", floors.location, None, {}))
    lacking = [name for name, answer in (("product", on_ours), ("floor", on_floor)) if body not in _text(answer)]
    if asked.path == "/messages/new" and not lacking:
        new = {re.split(r"[/?]", answer.location)[2] for answer in (ours, floors)}
        lacking = [] if new <= set(_keys(site.product.ask(_inbox(site)))) else ["In Box"]
    return f"what was written is not found: {lacking}" if lacking else ""


IS_LIST, IS_SEARCH = "AS f JOIN thread t", "person.name_key >="
PAGES = (
    Page("In Box", _inbox, _floor_at("/inbox"), _other_rows, (IS_LIST,)),
    Page("open", _open, _floor_at("/open"), _other_words, ("SELECT thread.id,", "SELECT message.id,", "SELECT history.id,")),
    Page("search", _search, _floor_at("/search"), _other_rows, (IS_SEARCH, IS_LIST)),
    Page("reply", _reply, _floor_reply, _not_kept),
    Page("submit", _submit, _floor_submit, _not_kept),
)


# ---- Measuring -----------------------------------------------------------------------------------


@dataclass
class Figures:
    """Seconds of a page at one size."""

    product: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        return statistics.median(self.product) / statistics.median(self.floor)


@dataclass
class Result:
    kind: str
    version: str
    figures: dict[str, tuple[Figures, Figures]] = field(default_factory=dict)  # of a page: small, large
    statements: dict[str, tuple[int, int]] = field(default_factory=dict)  # of a page: reads, writes
    sql: dict[str, list[str]] = field(default_factory=dict)  # of a page's floor
    megabytes: float = 0
    problems: list[str] = field(default_factory=list)

    def growth(self, page: str) -> float:
        small, large = self.figures[page]
        return statistics.median(large.product) / statistics.median(small.product)


def measure(small: Site, large: Site, times: int = TIMES) -> Result:
    """All pages of one database; `problems` names what is over its number or wrong."""
    result = Result(small.kind, version_of(large))
    for site in (small, large):
        site.serve_floor(_floor_reads(site, result))
    for page in PAGES:
        result.figures[page.name] = figures = _measure_page(page, small, large, result, times)
        for site, one in zip((small, large), figures, strict=True):
            if one.ratio > RATIO:
                words = f"{page.name} takes {one.ratio:.2f} times its floor, more than {RATIO:g}"
                result.problems.append(f"{site.kind}, {site.messages} messages: {words}")
        if result.growth(page.name) > GROWTH:
            result.problems.append(f"{small.kind}: {page.name} grows {result.growth(page.name):.2f} times, more than {GROWTH}")
    for _ in range(REQUESTS):
        large.product.ask(_inbox(large))
    result.megabytes = large.product.megabytes()
    if result.megabytes > MEGABYTES:
        result.problems.append(f"{small.kind}: a worker has {result.megabytes:.0f} MB, more than {MEGABYTES}")
    return result


def version_of(site: Site) -> str:
    name = "sqlite_version()" if site.kind == "sqlite" else "current_setting('server_version')"
    with site.app.app_context():
        found = db.session.execute(sa.text(f"SELECT {name}")).scalar_one()
        db.session.remove()
    return f"{'SQLite' if site.kind == 'sqlite' else 'PostgreSQL'} {str(found).split()[0]}"


def _floor_reads(site: Site, result: Result) -> dict[str, list[tuple[str, Any]]]:
    """The product's statements that bring a page's rows; and how many it needs in all, the same at both sizes."""
    reads: dict[str, list[tuple[str, Any]]] = {}
    for page in PAGES:
        site.statements_of(page.ours(site))  # the first look leaves a mark that the second does not
        found = site.statements_of(page.ours(site))
        writes = sum(not statement.lstrip().startswith("SELECT") for statement, _ in found)
        counted = (len(found) - writes, writes)
        before = result.statements.setdefault(page.name, counted)
        if before != counted:
            result.problems.append(f"{site.kind}: {page.name} needs {before} reads and writes, then {counted}")
        reads[page.name] = [one for one in found if any(part in one[0] for part in page.rows)]
        if len(reads[page.name]) != len(page.rows):
            raise SystemExit(f"bench: the statements of {page.name} have changed: {[s for s, _ in found]}")
        result.sql[page.name] = floor.WRITES.get(page.name) or [statement for statement, _ in reads[page.name]]
    return reads


def _measure_page(page: Page, small: Site, large: Site, result: Result, times: int) -> tuple[Figures, Figures]:
    both = (Figures(), Figures())
    for n in range(WARM + times):
        for site, figures in zip((small, large), both, strict=True):
            asked = page.ours(site)
            ours, floors = both_of(site.product, asked), both_of(site.floor, page.floors(site, asked))
            if n in (0, WARM + times - 1) and (wrong := page.wrong(site, asked, ours, floors)):
                result.problems.append(f"{site.kind}, {site.messages} messages, {page.name}: {wrong}")
            if n >= WARM:
                figures.product.append(ours.seconds)
                figures.floor.append(floors.seconds)
    return both


def both_of(served: Served, asked: Asked) -> Answer:
    answer = served.ask(asked)
    if answer.status not in (200, 303):
        raise SystemExit(f"bench: {asked.method} {asked.path} is answered {answer.status}:\n{answer.body[:2000]}")
    return answer
