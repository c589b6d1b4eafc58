"""The admin's numbers, at the size of the large database."""

from dataclasses import dataclass, field

from bench.admin import missing
from bench.measure import RATIO, Figures, both_of, version_of
from bench.site import Asked, Site

WARM, TIMES = 5, 50
READS = ("FROM tally", "FROM thread", "GROUP BY appointment_request.state", "SELECT communicator.id, communicator.title")


@dataclass(frozen=True)
class NumbersPage:
    name: str
    path: str
    same: tuple[str, ...] = ("type",)  # columns that must stand on the page word by word


PAGES = (NumbersPage("Numbers, by week", "/admin/numbers"), NumbersPage("Numbers, by month", "/admin/numbers?by=month"))


@dataclass
class Counted:
    """What was measured on one database."""

    kind: str
    version: str
    messages: int
    figures: dict[str, Figures] = field(default_factory=dict)
    statements: dict[str, int] = field(default_factory=dict)
    sql: dict[str, list[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def measure(site: Site, times: int = TIMES) -> Counted:
    result, told = Counted(site.kind, version_of(site), site.messages), []
    for page in PAGES:
        site.statements_of(_asked(site, page))
        found = site.statements_of(_asked(site, page))
        brings = [read for read in found if any(part in read[0] for part in READS) and "unrouted_since" not in read[0]]
        result.statements[page.name], result.sql[page.name] = len(found), [statement for statement, _ in brings]
        told.append({"reads": brings, "most": 1_000_000, "is_form": False, "options": []})
    site.serve_floor({}, told)
    for number, page in enumerate(PAGES):
        result.figures[page.name] = figures = Figures()
        for n in range(WARM + times):
            ours, floors = (
                both_of(site.product, _asked(site, page)),
                both_of(site.floor, Asked("GET", f"/rows/{number}", None, {})),
            )
            if n == 0 and (lacks := missing(page, ours.body, floors.body)):
                result.problems.append(f"{site.kind}, {page.name}: not on the page: {lacks[:5]}")
            if n >= WARM:
                figures.product.append(ours.seconds)
                figures.floor.append(floors.seconds)
        if figures.ratio > RATIO:
            words = f"{page.name} takes {figures.ratio:.2f} times its floor, more than {RATIO:g}"
            result.problems.append(f"{site.kind}, {site.messages} messages: {words}")
    return result


def _asked(site: Site, page: NumbersPage) -> Asked:
    return Asked("GET", page.path, None, {"Cookie": site.admin.cookie})
