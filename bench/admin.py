"""The admin's pages in a large practice (bench/crowd.py), and an import of 5,000 staff."""

import html
import io
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa
from openpyxl import Workbook
from werkzeug.test import EnvironBuilder

from bench.measure import RATIO, Figures, both_of, version_of
from bench.site import Asked, Site
from practice.communicators import Communicator, Membership
from practice.db import WRITE, db, new_key, now
from practice.imports import COLUMNS, ImportKind
from practice.people import Kind, Patient, Person, Staff
from practice.threads import PAGE, Thread
from practice.trays import BreakGlass

WARM, TIMES = 10, 100
IMPORTED, SECONDS = 5_000, 30
IN_TRAY = 40  # threads in each tray: more than a page


@dataclass(frozen=True)
class AdminPage:
    """`asked`: path, and the form if it is a POST. `rows`: what the statements hold that bring what the page shows. `same`: the
    columns of these rows that must stand on the page word by word. `most`: so many rows of each are shown."""

    name: str
    asked: Callable[[Site], tuple[str, dict[str, str] | None]]
    rows: tuple[str, ...]
    same: tuple[str, ...] = ()
    most: int = 10_000
    is_form: bool = False  # the floor shows the rows as inputs, and the choices that the page offers


def _at(path: str, **values: str) -> Callable[[Site], tuple[str, dict[str, str] | None]]:
    """`path` may name what the site has chosen: {staff}, {patient}, {communicator}."""
    query = f"?{urlencode(values)}" if values else ""
    return lambda site: (path.format_map(chosen(site)) + query, None)


def _searched(path: str, **form: str) -> Callable[[Site], tuple[str, dict[str, str] | None]]:
    """The address that a search leads to; it is searched once, for what is sought is kept with the session."""
    kept: dict[Site, str] = {}

    def asked(site: Site) -> tuple[str, None]:
        if site not in kept:
            said = {name: value.format_map(chosen(site)) for name, value in form.items()}
            kept[site] = both_of(site.product, _request(site, (path, said))).location
        return kept[site], None

    return asked


def _select_user(site: Site) -> tuple[str, dict[str, str]]:
    return "/admin/communicators/{communicator}".format_map(chosen(site)), {"title": "Desk", "type": "Others", "action": "add"}


LISTED = ("ORDER BY communicator.title_key, communicator.type", "row_number() OVER (PARTITION BY membership")
ENVELOPES, HELD_BY = "thread.patient_id, thread.audience_id", "SELECT audience_communicator.audience_id, communicator.title"
IN_CHARGE = "FROM person JOIN staff ON staff.id = person.id LEFT OUTER JOIN absence"
BOARD: tuple[str, ...] = ("SELECT communicator.id", "SELECT facility.id", "SELECT communicator_facility", "WITH there AS")
BOARD += ("SELECT each_audience", "SELECT waiting.type", "SELECT person.id")
STAFF_LIST = ("staff.is_admin, staff.last_logon_at", "SELECT membership.staff_id, count(*)", "FROM staff_term")
PATIENT_LIST = "patient.record_number FROM patient JOIN person"
THE_PRACTICE = "SELECT practice.id"
NAMED = ("FROM person LEFT OUTER JOIN staff", "UNION ALL")  # who and what the rows of the audit are about
ACTS = ("audit.details, audit.address FROM audit", *NAMED)
PAGES = (
    AdminPage("Communicators", _at("/admin/communicators"), LISTED, ("title",)),
    AdminPage(
        "Communicators, editor",
        _at("/admin/communicators/{communicator}"),
        (*LISTED, "FROM communicator WHERE communicator.", "SELECT facility.id", IN_CHARGE),
        ("title", "login"),
    ),
    AdminPage("Select User", _select_user, ("AS is_logged_on FROM", "UNION SELECT"), ("login",)),
    AdminPage("Coverage", _at("/admin/coverage"), BOARD, ()),
    AdminPage("Coverage, one type", _at("/admin/coverage", type="Others"), BOARD, ()),
    AdminPage(
        "Coverage, one person",
        _at("/admin/coverage/people/{staff}"),
        ("SELECT person.id", "SELECT absence.id", "SELECT membership.", "membership.since FROM communicator"),
        ("title",),
    ),
    AdminPage("Absences", _at("/admin/absences"), ("SELECT absence.id",), ("key",)),
    AdminPage("Unrouted", _at("/admin/unrouted"), (ENVELOPES, "SELECT communicator.id"), ("last_name",), PAGE),
    AdminPage("Overdue", _at("/admin/overdue"), (ENVELOPES, HELD_BY), ("last_name",), PAGE),
    AdminPage("Removed", _at("/admin/removed"), (ENVELOPES, HELD_BY, "SELECT history.thread_id"), ("last_name",), PAGE),
    AdminPage("Openings", _at("/admin/openings"), ("SELECT break_glass.id",), ("reason",), PAGE),
    AdminPage("Staff", _at("/admin/staff"), STAFF_LIST, ("login",)),
    AdminPage("Staff, search", _searched("/admin/staff/searches", q="{name}"), STAFF_LIST, ("login",)),
    AdminPage(
        "Staff, one account",
        _at("/admin/staff/{staff}"),
        (*STAFF_LIST, "staff.id AS id_1, staff.login", "SELECT communicator.title", "SELECT max(one_time_link"),
        ("login", "title"),
    ),
    AdminPage("Patients", _at("/admin/patients"), (PATIENT_LIST,), ("key",), PAGE),
    AdminPage(
        "Patients, search", _searched("/admin/patients/searches", last_name="{patient_name}"), (PATIENT_LIST,), ("key",), PAGE
    ),
    AdminPage(
        "Patients, one account",
        _at("/admin/patients/{patient}"),
        (PATIENT_LIST, "patient.record_number, person.created_at", "SELECT patient_merge."),
        ("key",),
        PAGE,
    ),
    AdminPage("Lists, facilities", _at("/admin/lists", list="facilities"), ("SELECT facility.id",), ("name",)),
    AdminPage("Lists, physicians", _at("/admin/lists", list="physicians"), ("SELECT referring_physician.id",), ("name",)),
    *(
        AdminPage(f"Lists, {name}", _at("/admin/lists", list=name), ("SELECT staff_term.id",), ("name",))
        for name in ("levels", "groups", "specialties", "institutions", "departments")
    ),
    AdminPage("Practice", _at("/admin/practice"), (THE_PRACTICE,), ("name", "phone"), is_form=True),
    AdminPage("Holidays", _at("/admin/practice/holidays"), (THE_PRACTICE, "SELECT holiday.day"), (), is_form=True),
    AdminPage("Menu Settings", _at("/admin/menu"), (THE_PRACTICE,), (), is_form=True),
    AdminPage("Audit", _at("/admin/audit"), ACTS, ("actor_name",), PAGE),
    AdminPage("Audit, changes", _searched("/admin/audit/searches", kind="changes"), ACTS, ("actor_name",), PAGE),
    AdminPage("Audit, reads", _searched("/admin/audit/searches", kind="reads"), ("FROM read_log", *NAMED), ("last_name",), PAGE),
    AdminPage("Audit, denials", _searched("/admin/audit/searches", kind="denials"), ACTS, ("actor_name",), PAGE),
    AdminPage(
        "Audit, one person",
        _searched("/admin/audit/searches", person="{login}", person_key="{staff}"),
        ACTS,
        ("actor_name",),
        PAGE,
    ),
    AdminPage(
        "Audit, some days",
        _searched("/admin/audit/searches", since="{since}", until="{until}"),
        ACTS,
        ("actor_name",),
        PAGE,
    ),
)


@dataclass
class Crowd:
    """What was measured on one database."""

    kind: str
    version: str
    figures: dict[str, Figures] = field(default_factory=dict)
    statements: dict[str, int] = field(default_factory=dict)
    sql: dict[str, list[str]] = field(default_factory=dict)
    seconds: float = 0  # of the import
    problems: list[str] = field(default_factory=list)


def measure(small: Site, crowded: Site, times: int = TIMES) -> Crowd:
    """All pages of one database; `small` only says whether the number of statements grows."""
    result = Crowd(crowded.kind, version_of(crowded))
    for site in (small, crowded):
        _fill_trays(site)
    reads = [_reads(page, small, crowded, result) for page in PAGES]
    told = []
    for page, brings in zip(PAGES, reads, strict=True):
        body = both_of(crowded.product, _request(crowded, page.asked(crowded))).body if page.is_form else ""
        told.append({"reads": brings, "most": page.most, "is_form": page.is_form, "options": _options(body)})
    crowded.serve_floor({}, told)
    for number, page in enumerate(PAGES):
        result.figures[page.name] = figures = Figures()
        on_floor = Asked("GET", f"/rows/{number}", None, {})
        for n in range(WARM + times):
            ours, floors = both_of(crowded.product, _request(crowded, page.asked(crowded))), both_of(crowded.floor, on_floor)
            if n == 0 and (lacks := missing(page, ours.body, floors.body)):
                result.problems.append(f"{crowded.kind}, {page.name}: not on the page: {lacks[:5]}")
            if n >= WARM:
                figures.product.append(ours.seconds)
                figures.floor.append(floors.seconds)
        if figures.ratio > RATIO:
            result.problems.append(f"{crowded.kind}, {page.name} takes {figures.ratio:.2f} times its floor, more than {RATIO:g}")
    result.seconds = import_staff(crowded)
    if result.seconds > SECONDS:
        words = f"importing {IMPORTED:,} staff takes {result.seconds:.0f} s, more than {SECONDS}"
        result.problems.append(f"{crowded.kind}: {words}")
    return result


def _reads(page: AdminPage, small: Site, crowded: Site, result: Crowd) -> list[tuple[str, Any]]:
    """The statements that bring the page's rows; and how many it needs in all, the same in a small practice."""
    numbers = []
    for site in (small, crowded):
        site.statements_of(_request(site, page.asked(site)))  # the first look leaves marks that the second does not
        found = site.statements_of(_request(site, page.asked(site)))
        numbers.append(len(found))
    if numbers[0] != numbers[1]:
        result.problems.append(f"{crowded.kind}, {page.name}: {numbers[0]} statements in a small practice, then {numbers[1]}")
    result.statements[page.name] = numbers[1]
    brings, sent = [], [" ".join(statement.split()) for statement, _ in found]
    for one, statement in zip(found, sent, strict=True):
        # The product may ask twice; the floor does not.
        if one not in brings and "count(*) AS count_1 FROM" not in statement and any(part in statement for part in page.rows):
            brings.append(one)
    if lacking := [part for part in page.rows if not any(part in statement for statement in sent)]:
        raise SystemExit(f"bench: the statements of {page.name} have changed, {lacking} is not there:\n" + "\n".join(sent))
    result.sql[page.name] = [statement for statement, _ in brings]
    return brings


def _request(site: Site, asked: tuple[str, dict[str, str] | None]) -> Asked:
    path, form = asked
    headers = {"Cookie": site.admin.cookie}
    if form is None:
        return Asked("GET", path, None, headers)
    return Asked("POST", path, form | {"csrf_token": site.admin.token, "key": new_key()}, headers)


def missing(page: Any, ours: str, floors: str) -> list[str]:
    """What of the floor's rows is not on the product's page; or that there are none."""
    text = " ".join(html.unescape(ours).split())
    shown = [value for name, value in _cells(floors) if name in page.same and value not in ("", "None")]
    if page.same and not shown:
        return ["there are no rows"]
    return [value for value in shown if value not in text]


def _options(body: str) -> list[list[str]]:
    """Value and words of each choice in a page's selects."""
    found = re.findall(r'<option value="([^"]*)"[^>]*>(.*?)</option>', body, re.DOTALL)
    return [[html.unescape(value), html.unescape(words)] for value, words in found]


def _cells(floors: str) -> Iterator[tuple[str, str]]:
    """Name and value of each cell, or of each input, of the floor's page."""
    for name, value in re.findall(r'<input name="([^"]*)" value="([^"]*)">', floors):
        yield name, html.unescape(value)
    for table in re.findall(r"<table>(.*?)</table>", floors, re.DOTALL):
        names = re.findall(r"<th>(.*?)</th>", table)
        for row in re.findall(r"<tr>(<td>.*?)</tr>", table, re.DOTALL):
            values = re.findall(r"<td>(.*?)</td>", row, re.DOTALL)
            yield from ((name, " ".join(html.unescape(value).split())) for name, value in zip(names, values, strict=True))


# ---- What is there -------------------------------------------------------------------------------


def chosen(site: Site) -> dict[str, str]:
    """Whose pages are asked for: those in charge of most, the communicator with most members."""
    if site.chosen:
        return site.chosen
    count = sa.func.count().desc()
    with site.app.app_context():
        busiest = sa.select(Membership.staff_id).where(Membership.until.is_(None)).group_by(Membership.staff_id)
        fullest = sa.select(Membership.communicator_id).where(Membership.until.is_(None)).group_by(Membership.communicator_id)
        staff = db.session.scalars(busiest.order_by(count, Membership.staff_id).limit(1)).one()
        communicator = db.session.scalars(fullest.order_by(count, Membership.communicator_id).limit(1)).one()
        patient = db.session.scalars(sa.select(Patient.id).order_by(Patient.id.desc()).limit(1)).one()
        people = {person.id: person for person in db.session.scalars(sa.select(Person).where(Person.id.in_([staff, patient])))}
        site.chosen = {
            "staff": people[staff].key,
            "patient": people[patient].key,
            "patient_name": people[patient].last_name,
            "name": people[staff].last_name,
            "login": db.session.get_one(Staff, staff).login,
            "communicator": db.session.scalars(sa.select(Communicator.key).where(Communicator.id == communicator)).one(),
            "since": f"{now() - timedelta(days=3):%Y-%m-%d}",
            "until": f"{now() - timedelta(days=1):%Y-%m-%d}",
        }
        db.session.remove()
    return site.chosen


def _fill_trays(site: Site) -> None:
    """Threads that nobody has, and openings with a reason: the load has none of them."""
    with site.app.app_context(), db.engines[WRITE].begin() as connection:
        waiting = sa.select(Thread.id, Thread.waiting_since).where(Thread.waiting_since.is_not(None)).order_by(Thread.id.desc())
        threads = connection.execute(waiting.limit(IN_TRAY)).all()
        for thread in threads:
            nobody = {"audience_id": None, "unrouted_since": thread.waiting_since}
            connection.execute(sa.update(Thread).where(Thread.id == thread.id).values(nobody))
        for thread in threads:
            opening = {"key": new_key(), "thread_id": thread.id, "staff_id": site.admin.person, "reason": f"Reason {thread.id}"}
            times = {"at": now(), "ends_at": now() + timedelta(minutes=30)}
            connection.execute(sa.insert(BreakGlass).values(opening | times))


# ---- The import ----------------------------------------------------------------------------------


def import_staff(site: Site) -> float:
    """Seconds from sending the file to the last account, by every step that a browser takes."""
    with site.app.app_context():
        level = db.session.scalars(sa.select(Staff.level).where(Staff.level != "").limit(1)).one()
        before = _count()
    content = _workbook(level)
    begun = time.perf_counter()
    sent = {"csrf_token": site.admin.token, "key": new_key(), "file": (io.BytesIO(content), "staff.xlsx")}
    builder = EnvironBuilder(method="POST", data=sent)
    environ = builder.get_environ()
    body, headers = environ["wsgi.input"].read(), {"Cookie": site.admin.cookie, "Content-Type": environ["CONTENT_TYPE"]}
    path = both_of(site.product, Asked("POST", "/admin/staff/import", None, headers, body)).location
    step = {"csrf_token": site.admin.token}
    by_script = {"Cookie": site.admin.cookie, "HX-Request": "true"}
    while "<progress" in both_of(site.product, Asked("POST", f"{path}/checks", step, by_script)).body:
        pass
    both_of(site.product, Asked("POST", f"{path}/taking", step, {"Cookie": site.admin.cookie}))
    seconds = time.perf_counter() - begun
    with site.app.app_context():
        if _count() != before + IMPORTED:
            raise SystemExit(f"bench: {_count() - before} of {IMPORTED} staff are there")
    return seconds


def _count() -> int:
    db.session.close()
    return db.session.scalar(sa.select(sa.func.count()).where(Person.kind == Kind.STAFF)) or 0


def _workbook(level: str) -> bytes:
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    names = COLUMNS[ImportKind.STAFF]
    sheet.append([names[field] for field in ("login", "last_name", "first_name", "email", "level")])
    for n in range(IMPORTED):
        sheet.append([f"import{n}", f"IMPORT{n}", "IVY", f"import{n}@crowd.example", level])
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()
