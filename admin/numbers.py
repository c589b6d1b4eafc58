"""Numbers: how long patients wait, when they write and to whom, and what is open now; plots, each with its table, and CSV."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from babel.dates import get_day_names
from flask import render_template, request
from flask_babel import get_locale
from markupsafe import Markup

from admin import blueprint
from practice import audit as seals
from practice.db import db
from practice.errors import NotVisible
from practice.numbers import By, Numbers, Part
from practice.numbers import numbers as numbers_of
from practice.settings import RequestType
from web import plots
from web.answers import Answer
from web.facts import STATES
from web.formats import gettext as _
from web.formats import minutes, month, number, percent, short_day, today, type_mark, type_name
from web.gate import visitor
from web.spreadsheets import comma_separated


@dataclass(frozen=True)
class Column:
    """`shown`: how the page says a value; the file has it bare. `unit`: said in the file's head."""

    label: str
    shown: Callable[[Any], str | Markup] = str
    unit: str = ""

    @property
    def is_text(self) -> bool:
        return self.shown in (str, type_mark, isolated)


@dataclass(frozen=True)
class Table:
    name: str
    title: str
    columns: list[Column]
    rows: list[list[Any]]
    plot: plots.Plot | plots.Card | None = None
    note: str = ""

    @property
    def cells(self) -> Iterator[list[str | Markup]]:
        for row in self.rows:
            yield ["–" if value is None else c.shown(value) for c, value in zip(self.columns, row, strict=True)]

    @property
    def head(self) -> list[str]:
        return [f"{column.label} ({column.unit})" if column.unit else column.label for column in self.columns]

    @property
    def most(self) -> int:
        """The largest of the first counts, which the bars in the rows show."""
        return max((row[self.bar] for row in self.rows), default=0)

    @property
    def bar(self) -> int:
        return next(n for n, column in enumerate(self.columns) if column.shown is number)


# ---- Views ---------------------------------------------------------------------------------------


@blueprint.get("/numbers")
def numbers() -> Answer:
    by = by_said(request.args.get("by"))
    found = numbers_of(db.session(), by, today())
    tables = {table.name: table for table in tables_of(found, by)}
    return render_template("admin/numbers.html", found=found, tables=tables, by=by, is_whole=is_whole(found), unit=unit_of(by))


@blueprint.post("/numbers/exports")
def export_numbers() -> Answer:
    """One table as a file; leaves an audit row itself."""
    by, name = by_said(request.form.get("by")), request.form.get("table")
    found = numbers_of(db.session(), by, today())
    table = next((one for one in tables_of(found, by) if one.name == name), None)
    if table is None:
        raise NotVisible
    made = comma_separated(table.head, map(bare, table.rows), name=f"numbers-{table.name}")
    seals.note(by=visitor().actor, did="export_numbers", details={"table": table.name, "by": by})
    return made


def by_said(text: str | None) -> By:
    return By.MONTH if text == By.MONTH else By.WEEK


def is_whole(found: Numbers) -> bool:
    """Whether the first of the periods was counted from its beginning."""
    return found.since is not None and found.since <= found.starts[0]


def unit_of(by: By) -> str:
    return {By.WEEK: _("Week from"), By.MONTH: _("Month")}[by]


def bare(row: list[Any]) -> list[Any]:
    return [type_name(value) if isinstance(value, RequestType) else value for value in row]


# ---- Tables --------------------------------------------------------------------------------------


def tables_of(found: Numbers, by: By) -> list[Table]:
    label: Callable[[date], str] = month if by == By.MONTH else short_day
    period, labels = Column(unit_of(by), label), [label(start) for start in found.starts]
    return [
        waited(found, period, labels),
        in_time(found, period, labels),
        received(found, period, labels),
        load(found),
        of_communicators(found),
        of_types(found),
        of_requests(found),
    ]


def counted(label: str) -> Column:
    return Column(label, number)


def within() -> list[Column]:
    words = _("minutes")
    return [Column(_("Half within"), minutes, words), Column(_("Nine in ten within"), minutes, words)]


def waited(found: Numbers, period: Column, labels: list[str]) -> Table:
    half, most = [one.median for one in found.waits], [one.ninetieth for one in found.waits]
    lines = plots.grid_of_time(max((value for value in most if value), default=0))
    return Table(
        "waits",
        _("Time to first answer"),
        [period, counted(_("Answers")), *within()],
        [[s, w.answers, w.median, w.ninetieth] for s, w in zip(found.starts, found.waits, strict=True)],
        plots.curves(labels, [half, most], lines, minutes),
        _("From the first message without an answer to the answer, nights and weekends included, rounded up to the next step. "
          "What is closed without an answer, and an answer taken back, does not count."),
    )  # fmt: skip


def in_time(found: Numbers, period: Column, labels: list[str]) -> Table:
    return Table(
        "in-time",
        _("Answered in time"),
        [period, counted(_("Answers")), counted(_("In time")), Column(_("Share"), percent, "%")],
        [[s, w.answers, w.in_time, w.share] for s, w in zip(found.starts, found.waits, strict=True)],
        plots.bars(labels, [one.share for one in found.waits], [0, 25, 50, 75, 100], percent),
        _("By the day that was promised when the message came."),
    )


def received(found: Numbers, period: Column, labels: list[str]) -> Table:
    totals = [each.total() for each in found.received]
    return Table(
        "received",
        _("Messages received"),
        [period, counted(_("All")), *(counted(type_name(kind)) for kind in RequestType)],
        [[s, e.total(), *(e[kind] for kind in RequestType)] for s, e in zip(found.starts, found.received, strict=True)],
        plots.bars(labels, totals, plots.grid(max(totals)), number),
        _("What patients wrote, and requests taken by phone."),
    )


def load(found: Numbers) -> Table:
    names = get_day_names("abbreviated", locale=get_locale())
    days = [names[n] for n in range(7)]
    hours = [n % 24 for n, count in enumerate(found.hours) if count]
    shown = range(min(hours), max(hours) + 1) if hours else range(0)
    return Table(
        "load",
        _("Messages by hour and weekday"),
        [Column(_("Hour"), "{:02}:00".format), *map(counted, days)],
        [[hour, *(found.hours[day * 24 + hour] for day in range(7))] for hour in shown],
        plots.card(days, found.hours),
        _("Larger dots: more messages. By the clock of the practice; hours without any before the first and after the last "
          "are left out of the table."),
    )  # fmt: skip


def of_parts(name: str, title: str, begin: list[Column], rows: list[tuple[list[Any], Part]], note: str) -> Table:
    columns = [*begin, counted(_("Received")), counted(_("Answers")), *within(), Column(_("In time"), percent, "%")]
    values = [
        [*shown, part.received, part.waits.answers, part.waits.median, part.waits.ninetieth, part.waits.share]
        for shown, part in rows
    ]
    return Table(name, title, columns, values, note=note)


def of_communicators(found: Numbers) -> Table:
    table = of_parts(
        "communicators",
        _("By communicator"),
        [Column(_("Communicator"), isolated), Column(_("Type"), type_mark)],
        [([part.title or _("Nobody at that moment"), part.type], part) for part in found.communicators],
        _("A message counts for each communicator that had it when it came; an answer for the one that gave it. Waiting is now."),
    )
    table.columns.append(counted(_("Waiting")))
    for row, part in zip(table.rows, found.communicators, strict=True):
        row.append(part.waiting)
    return table


def of_types(found: Numbers) -> Table:
    rows: list[tuple[list[Any], Part]] = [([part.type], part) for part in found.types]
    return of_parts("types", _("By type"), [Column(_("Type"), type_mark)], rows, _("By the type at that moment."))


def of_requests(found: Numbers) -> Table:
    return Table(
        "requests",
        _("Requests by state"),
        [Column(_("Type"), type_mark), Column(_("State")), counted(_("Now"))],
        [[kind, str(STATES.get(state, state)), count] for kind, state, count in sorted_requests(found)],  # type: ignore[call-overload]
        note=_("All requests there are, whenever they came."),
    )


def sorted_requests(found: Numbers) -> list[tuple[RequestType, str, int]]:
    """By type, and in the order in which the states follow one another."""
    kinds, states = list(RequestType), [str(state) for state in STATES]
    return sorted(found.requests, key=lambda r: (kinds.index(r[0]), states.index(r[1]) if r[1] in states else 99, r[1]))


def isolated(title: str) -> Markup:
    return Markup("<bdi>{}</bdi>").format(title)
