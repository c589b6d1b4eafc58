"""What was measured over time, as plots with their tables: a blood pressure's two numbers stand in one."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date

from practice.people import fold
from practice.records import Measured, Series
from web.formats import gettext as _
from web.formats import long_day, month
from web.plots import Plot, over_time

SYSTOLIC, DIASTOLIC = ("8480-6", "systolic blood pressure"), ("8462-4", "diastolic blood pressure")  # LOINC, or the name


@dataclass(frozen=True)
class Figure:
    """`lines`: what each line is called; `rows`: the table, the newest first, with as many numbers; `normal`: in words."""

    title: str
    about: str
    plot: Plot
    lines: list[str]
    rows: list[tuple[date, list[str]]]
    normal: str


def figures_of(series: list[Series], *, most: int | None = None) -> list[Figure]:
    """The first ones, or all."""
    upper = next((one for one in series if _is(one, SYSTOLIC)), None)
    lower = next((one for one in series if _is(one, DIASTOLIC) and upper and one.unit == upper.unit), None)
    if upper is None or lower is None:
        return [_figure([one], one.name) for one in series[:most]]
    others = [one for one in series if one not in (upper, lower)]
    shown = [([upper, lower], _("Blood pressure")), *(([one], one.name) for one in others)]
    return [_figure(lines, name) for lines, name in shown[:most]]


def _is(series: Series, what: tuple[str, str]) -> bool:
    return series.code == what[0] or fold(series.name) == what[1]


def _figure(series: list[Series], name: str) -> Figure:
    title = _("%(name)s, %(unit)s", name=name, unit=series[0].unit) if series[0].unit else name
    normal = _normal(series[0].points) if len(series) == 1 else None
    days = [point.on for one in series for point in one.points]
    about = _("From %(first)s to %(last)s.", first=long_day(min(days)), last=long_day(max(days)))
    plot = over_time([[(point.on, point.number) for point in one.points] for one in series], normal or (None, None), plain, month)
    return Figure(title, about, plot, [one.name for one in series], _rows(series), _normal_words(normal, series[0].unit))


def _normal(points: list[Measured]) -> tuple[float | None, float | None] | None:
    """The newest that is known."""
    known = ((point.low, point.high) for point in reversed(points) if point.low is not None or point.high is not None)
    return next(known, None)


def _normal_words(normal: tuple[float | None, float | None] | None, unit: str) -> str:
    low, high = normal or (None, None)
    if low is not None and high is not None:
        return _("Normal range: %(low)s to %(high)s %(unit)s", low=plain(low), high=plain(high), unit=unit)
    if low is not None:
        return _("Normal range: from %(low)s %(unit)s", low=plain(low), unit=unit)
    return _("Normal range: up to %(high)s %(unit)s", high=plain(high), unit=unit) if high is not None else ""


def _rows(series: list[Series]) -> list[tuple[date, list[str]]]:
    """A row a day; what was measured more than once that day stands in its order."""
    found: defaultdict[date, list[list[str]]] = defaultdict(lambda: [[] for _ in series])
    for n, one in enumerate(series):
        for point in one.points:
            found[point.on][n].append(plain(point.number))
    return [(day, ["; ".join(numbers) or "–" for numbers in found[day]]) for day in sorted(found, reverse=True)]


def plain(number: float) -> str:
    """As short as it can be said: 68.4, 71, 120."""
    return f"{number:.10g}"
