"""docs/performance.md: the figures as tables, and the statements of the floors."""

import platform
import statistics
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version

from bench import admin, box, crowd, numbers, patient, steps
from bench.measure import GROWTH, MEGABYTES, PAGES, RATIO, TIMES, Figures, Result

LARGE = "100,000"
HEAD = """# How fast the pages are

Written by `make bench` on {day}: Python {python}, Flask {flask}, SQLAlchemy {sqlalchemy}, {databases}.

The product under gunicorn with two sync workers, beside its floor: a bare Flask view under the same gunicorn on the same
database, which sends by the bare driver only the statements that bring the page's rows (for writes: the same durable rows in
one transaction), fills one plain template and knows no log-in. One client, a connection for each request, {times} requests
each, in turn: product and floor at 1,000 messages, product and floor at 100,000, and again. Both answers were checked for the
same rows, and what was written was found again by its readers.

The times in milliseconds are those of one machine; the ratios are what holds elsewhere. Each page may take {ratio:g} times its
floor, and {growth:g} times as long at 100,000 messages as at 1,000; a worker may have {megabytes} MB after 1,000 requests.
"""
HEAVY = """# The pages of a patient with {messages:,} messages, {drafts} drafts and a record of {values:,} values

Among all the others' 100,000, asked for as a browser asks: compressed. Product and floor in turn, {times} requests each; a search
is its POST and the page it leads to. The number of statements is the same for a patient who has little.
"""
BOX = """# The In Box by every filter, and the question for news

Product and floor in turn, {times} requests each; the question is measured beside an answer of the product to the
same person that has no page: the log-in page, which leads home.
"""
BEYOND = """
With {messages:,} messages. Nothing new takes {beyond:.2f} ms beyond such an answer. {polling} staff who ask
every ten seconds, half of them with a message open, keep the {workers} workers busy for {cores:.2f} cores of the 2.
"""
STEPS = """# The forms of a request's steps

With {messages:,} messages, as a click in the open message asks for them: the pane alone. Product and floor in turn, {times}
requests each.
"""
NUMBERS = """# The admin's numbers

Of {messages:,} messages, three years of a practice. Product and floor in turn, {times} requests each.
"""
CROWD = """# The admin's pages in a large practice

{staff:,} staff, {communicators} communicators, {patients:,} patients and {audit:,} rows of audit around 1,000 messages; product
and floor in turn, {times} requests each. The number of statements is the same in a small practice.
"""


def written(
    results: Sequence[Result],
    boxes: Sequence[box.Boxed],
    stepped: Sequence[steps.Stepped],
    heavies: Sequence[patient.Heavy],
    counted: Sequence[numbers.Counted],
    crowds: Sequence[admin.Crowd],
    day: date,
) -> str:
    """The whole file."""
    parts = [
        HEAD.format(
            day=f"{day:%Y-%m-%d}",
            python=platform.python_version(),
            flask=version("flask"),
            sqlalchemy=version("sqlalchemy"),
            databases=" and ".join(one.version for one in results or boxes or stepped or heavies or counted or crowds),
            times=TIMES,
            ratio=RATIO,
            growth=GROWTH,
            megabytes=MEGABYTES,
        )
    ]
    parts += [_tables(result) for result in results]
    if boxes:
        parts.append(BOX.format(times=box.TIMES))
    parts += [_lines(one, BEYOND.format(**box.words_of(one))) for one in boxes]
    if stepped:
        parts.append(STEPS.format(messages=stepped[0].messages, times=steps.TIMES))
    parts += [_lines(one) for one in stepped]
    if heavies:
        parts.append(HEAVY.format(messages=patient.HAS, drafts=patient.DRAFTS, values=patient.VALUES, times=patient.TIMES))
    parts += [_lines(one) for one in heavies]
    if counted:
        parts.append(NUMBERS.format(messages=counted[0].messages, times=numbers.TIMES))
    parts += [_lines(one) for one in counted]
    if crowds:
        sizes = {"staff": crowd.STAFF, "communicators": crowd.COMMUNICATORS, "patients": crowd.PATIENTS, "audit": crowd.AUDIT}
        parts.append(CROWD.format(**sizes, times=admin.TIMES))
    parts += [_crowd(one) for one in crowds]
    parts.append("# What the floors send\n")
    parts += [_statements(one) for one in (*results, *boxes, *stepped, *heavies, *counted, *crowds)]
    return "\n".join(parts)


def _tables(result: Result) -> str:
    lines = [
        f"## {result.version}\n",
        "| page | messages | median | p95 | floor: median | p95 | ratio | growth | reads, writes |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for page in PAGES:
        small, large = result.figures[page.name]
        reads, writes = result.statements[page.name]
        lines.append(f"| {page.name} | 1,000 | {_times(small)} | | |")
        lines.append(f"| | {LARGE} | {_times(large)} | {_marked(result.growth(page.name), GROWTH)} | {reads}, {writes} |")
    lines.append(f"\nThe largest worker after its requests: {result.megabytes:.0f} MB.\n")
    if result.problems:
        lines += ["Over its number or wrong:\n", *(f"- {problem}" for problem in result.problems), ""]
    return "\n".join(lines)


def _crowd(found: admin.Crowd) -> str:
    took = f"Import of {admin.IMPORTED:,} staff from an .xlsx file, all steps: {found.seconds:.1f} s of {admin.SECONDS}."
    return _lines(found, f"\n{took}\n")


def _lines(found: admin.Crowd | patient.Heavy | box.Boxed | steps.Stepped | numbers.Counted, *more: str) -> str:
    lines = [
        f"## {found.version}\n",
        "| page | median | p95 | floor: median | p95 | ratio | statements |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [f"| {name} | {_times(figures)} | {found.statements[name]} |" for name, figures in found.figures.items()]
    lines += [*more, ""]
    if found.problems:
        lines += ["Over its number or wrong:\n", *(f"- {problem}" for problem in found.problems), ""]
    return "\n".join(lines)


def _times(figures: Figures) -> str:
    cells = [f"{1000 * value:.1f}" for one in (figures.product, figures.floor) for value in (statistics.median(one), _p95(one))]
    return " | ".join([*cells, _marked(figures.ratio, RATIO)])


def _p95(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20)[-1]


def _marked(value: float, most: float) -> str:
    return f"**{value:.2f}**" if value > most else f"{value:.2f}"


def _statements(result: Result | patient.Heavy | admin.Crowd | box.Boxed | steps.Stepped | numbers.Counted) -> str:
    lines = []
    for page, statements in result.sql.items():
        lines += [f"### {page}, {result.version}\n", "```sql", *(" ".join(one.split()) + ";" for one in statements), "```\n"]
    return "\n".join(lines)
