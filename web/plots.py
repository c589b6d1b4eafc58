"""Where the parts of a plot stand, in the units of its drawing: templates/macros/plots.html writes them as SVG. Each plot has a
table beside it with the same numbers, so it shows no values of its own but those of its axis."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from math import ceil, floor, log10, sqrt

WIDTH, HEIGHT = 480, 220
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 12, 28
ACROSS, UP = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
LABELS = 5  # along the bottom at most
# Between two lines of the grid, in minutes, and then so many days more.
OF_TIME = (5, 15, 30, 60, 120, 240, 480, 720, 1440, 2880, 4320, 7200, 10080, 20160)

Number = int | None
Label = tuple[float, str]


@dataclass(frozen=True)
class Plot:
    """Bars, and one or two lines with a mark at each point; labels by where they stand."""

    across: list[Label]
    up: list[Label]
    bars: list[tuple[float, float, float, float]]  # x, y, width, height
    lines: list[list[list[tuple[float, float]]]]  # of each line the stretches without a gap
    band: tuple[float, float] | None = None  # y and height of what is normal
    newest: Sequence[tuple[float, float, str]] = ()  # x and y of the number at the end of each line

    @property
    def ends(self) -> int:
        return WIDTH - RIGHT

    @property
    def drawn(self) -> list[tuple[list[str], str]]:
        """Of each line the points of its stretches, and its marks as one path: round ones, of the second square ones. There may
        be a thousand."""
        marks = ("M{} {}m-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0", "M{} {}m-4-4h8v8h-8z")
        return [
            (
                [" ".join(f"{x},{y}" for x, y in points) for points in stretches if len(points) > 1],
                "".join(mark.format(x, y) for points in stretches for x, y in points),
            )
            for mark, stretches in zip(marks, self.lines, strict=False)
        ]


@dataclass(frozen=True)
class Card:
    """A dot for each hour of the week, as large as what came then."""

    across: list[Label]
    down: list[Label]
    dots: list[tuple[float, float, float]]  # x, y, radius


def grid(most: int) -> list[int]:
    """Where lines are drawn for counts up to `most`: from 0, some, at round numbers."""
    power = 10 ** max(0, int(log10(max(most, 1))))
    step = next(s for s in (power // 5 or 1, power // 2 or 1, power, 2 * power, 5 * power) if s * 5 >= most)
    return list(range(0, max(most, 1) + step, step))


def grid_of_time(most: int) -> list[int]:
    step = next((s for s in OF_TIME if s * 5 >= most), 1440 * ceil(most / 1440 / 5))
    return list(range(0, max(most, 1) + step, step))


def grid_between(least: float, most: float) -> list[float]:
    """At most six lines at round numbers, the first not above `least`, the last not below `most`."""
    power = 10.0 ** floor(log10((most - least) or abs(most) or 1))
    for step in (power / 5, power / 2, power, 2 * power, 5 * power):
        first, last = floor(least / step), ceil(most / step)
        if last - first <= 5:
            return [round(n * step, 10) for n in range(first, max(last, first + 1) + 1)]
    raise AssertionError("five steps of the power below a span always reach over it")


def bars(labels: Sequence[str], values: Sequence[Number], lines: list[int], words: Callable[[int], str]) -> Plot:
    """`lines`: of the grid, the last one as high as the plot; `words`: how its numbers are said."""
    wide = ACROSS / len(values)
    found = [
        (round(LEFT + wide * (n + 0.15), 1), round(_up(value, lines), 1), round(wide * 0.7, 1), round(_tall(value, lines), 1))
        for n, value in enumerate(values)
        if value
    ]
    return Plot(_across(labels), _grid(lines, words), found, [])


def curves(labels: Sequence[str], series: Sequence[Sequence[Number]], lines: list[int], words: Callable[[int], str]) -> Plot:
    return Plot(_across(labels), _grid(lines, words), [], [_stretches(values, lines) for values in series])


EDGE = 44  # left and right of what was measured, so that its labels have room
LINE = 15  # of text


def over_time(
    series: Sequence[Sequence[tuple[date, float]]],
    normal: tuple[float | None, float | None],
    words: Callable[[float], str],
    days: Callable[[date], str],
) -> Plot:
    """One or two lines of what was measured on which day, and between which values it is normal (open where it has no end)."""
    numbers = [number for points in series for _, number in points]
    ends = [end for end in normal if end is not None]
    lines = grid_between(min(numbers + ends), max(numbers + ends))
    known = sorted({day for points in series for day, _ in points})
    first, span = known[0], (known[-1] - known[0]).days

    def across(day: date) -> float:
        part = (day - first).days / span if span else 0.5
        return round(LEFT + EDGE + (ACROSS - 2 * EDGE) * part, 1)

    def up(number: float) -> float:
        return round(TOP + UP * (lines[-1] - number) / (lines[-1] - lines[0]), 1)

    high = lines[-1] if normal[1] is None else normal[1]
    low = lines[0] if normal[0] is None else normal[0]
    newest = sorted((up(points[-1][1]) + 5, across(points[-1][0]) + 9, words(points[-1][1])) for points in series)
    below = [
        max(y, newest[0][0] + LINE * n) for n, (y, _, _) in enumerate(newest)
    ]  # two that are close stand one below the other
    return Plot(
        [(across(day), days(day)) for day in dict.fromkeys((known[0], known[-1]))],
        [(up(line), words(line)) for line in lines],
        [],
        [[[(across(day), up(number)) for day, number in points]] for points in series],
        (up(high), round(up(low) - up(high), 1)) if ends and high >= low else None,
        [(x, y, word) for y, (_, x, word) in zip(below, newest, strict=True)],
    )


def card(days: Sequence[str], numbers: Sequence[int]) -> Card:
    """Of 168 hours, from Monday at midnight. The area of a dot is its number."""
    wide, high, most = ACROSS / 24, UP / 7, max(numbers, default=0)
    dots = [
        (round(LEFT + wide * (n % 24 + 0.5), 1), round(TOP + high * (n // 24 + 0.5), 1), round(8 * sqrt(number / most) + 0.6, 1))
        for n, number in enumerate(numbers)
        if number
    ]
    across = [(round(LEFT + wide * (hour + 0.5), 1), str(hour)) for hour in range(0, 24, 3)]
    return Card(across, [(round(TOP + high * (n + 0.5), 1), day) for n, day in enumerate(days)], dots)


def _tall(value: int, lines: list[int]) -> float:
    return UP * value / lines[-1]


def _up(value: int, lines: list[int]) -> float:
    return TOP + UP - _tall(value, lines)


def _grid(lines: list[int], words: Callable[[int], str]) -> list[Label]:
    return [(round(_up(value, lines), 1), words(value)) for value in lines]


def _across(labels: Sequence[str]) -> list[Label]:
    """The last one is always said, and those before it that have room."""
    every, wide = ceil(len(labels) / LABELS), ACROSS / len(labels)
    places = range(len(labels) - 1, -1, -every)
    return [(round(LEFT + wide * (n + 0.5), 1), labels[n]) for n in sorted(places)]


def _stretches(values: Sequence[Number], lines: list[int]) -> list[list[tuple[float, float]]]:
    wide = ACROSS / len(values)
    found: list[list[tuple[float, float]]] = [[]]
    for n, value in enumerate(values):
        if value is None:
            found.append([])
        else:
            found[-1].append((round(LEFT + wide * (n + 0.5), 1), round(_up(value, lines), 1)))
    return [stretch for stretch in found if stretch]
