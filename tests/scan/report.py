"""docs/security.md: what was tried in this run, and what came of it."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version

from tests.scan import ids, raw, timings, tools

HEAD = """# What is tried against the portal, and what came of it

Written by `{command}` on {day}: Python {python}, Flask {flask}, Werkzeug {werkzeug}, gunicorn {gunicorn}, wapiti {wapiti}, sqlmap
{sqlmap}. It took {minutes:.0f} minutes. Nothing but 127.0.0.1 was asked: a demo practice of the run's own behind gunicorn with
two workers, on SQLite.

A and S are the ids of attacks and promises; a test stands for an id by carrying it in its name. Of a test that is a table, such
as every route with every role, {rows} ran here; `make test` runs every row. "Not run" is what it says.
"""
SCANNERS = """
# Independent scanners (S9)

Each as nobody, as a patient, as staff and as an admin, with the cookie of one who is logged in; log-out and what would end the
log-in or shut out the roles after it are left out. "Planted" is a page with two holes made for this run: a scanner that does not
find both says nothing. "Session": whether the role was still logged in afterwards. A finding of medium or more fails the run
unless tests/scan/tools.py explains it.

| tool | role | went through | seconds | session | findings |
|---|---|---|---|---|---|
"""
TIMES = """
# How long an answer takes (S6)

Medians of {times} answers each ({log_ins} of the log-in), in turn; they may differ by {most:.0%}.

| | there, ms | not there, ms | differ by | |
|---|---|---|---|---|
"""
RAW = """
# Requests that two servers could read in two ways (A47)

By raw sockets, each with a second request right behind it: refused, one answer, the connection closed.

| request | answer | closed | |
|---|---|---|---|
"""
TABLE = """
# {title}

| id | | SQLite | PostgreSQL | tests |
|---|---|---|---|---|
"""


@dataclass
class Run:
    """What this run found; what was left out stays empty."""

    scans: list[tools.Scan] = field(default_factory=list)
    sessions: dict[tuple[str, str], bool] = field(default_factory=dict)  # by tool and role
    times: list[timings.Timing] = field(default_factory=list)
    refusals: list[raw.Refusal] = field(default_factory=list)
    tests: dict[str, dict[str, ids.Outcome]] = field(default_factory=dict)  # by database
    minutes: float = 0
    rows: str = f"{ids.ROWS} rows"

    @property
    def problems(self) -> list[str]:
        """Sentences; none: all is as it has to be."""
        found = [f"{scan.tool} as {scan.role}: {scan.problem}" for scan in self.scans if scan.problem]
        found += [f"{scan.tool} as {scan.role}: {one.words}" for scan in self.scans if scan.role != "planted" for one in scan.bad]
        found += [f"{scan.tool} did not find the planted hole" for scan in self.scans if scan.role == "planted" and not scan.bad]
        found += [f"{tool} as {role}: the session ended" for (tool, role), is_in in self.sessions.items() if not is_in]
        found += [f"{one.what}: {one.differs:.0%} apart" for one in self.times if not one.is_right]
        found += [f"{one.name}: {one.status}, {one.answers} answers" for one in self.refusals if not one.is_right]
        found += [
            f"{known} on {database}: {outcome.failed} failed"
            for database, outcomes in self.tests.items()
            for known, outcome in outcomes.items()
            if outcome.failed
        ]
        found += [f"the tests did not run on {database}" for database, outcomes in self.tests.items() if not outcomes]
        return found + [f"{known} has no test" for known, tests in ids.tests_by_id().items() if not tests]


def written(run: Run, day: date, command: str = "make scan") -> str:
    versions = {name: version(name) for name in ("flask", "werkzeug", "gunicorn")}
    versions |= {tool: tools.version(tool) or "(not installed)" for tool in ("wapiti", "sqlmap")}
    text = HEAD.format(day=day, command=command, python=platform.python_version(), minutes=run.minutes, rows=run.rows, **versions)
    text += _table("What is promised", ids.PROMISES, run) + _table("What is tried", ids.ATTACKS, run)
    return text + _scanners(run) + _timings(run.times) + _refusals(run.refusals)


TITLES = {
    "What is promised": "tests",
    "What is tried": "tests",
    "Independent scanners (S9)": "scanners",
    "How long an answer takes (S6)": "timings",
    "Requests that two servers could read in two ways (A47)": "raw",
}


def with_kept(text: str, before: str, only: Sequence[str]) -> str:
    """`text`, but the sections of the parts that did not run as they stood in the file, with the day that they are of."""
    day = before.partition(" on ")[2][:10]
    old = {one.partition("\n")[0]: one for one in before.split("\n# ")}
    sections = text.split("\n# ")
    for n, section in enumerate(sections):
        title, _, rest = section.partition("\n")
        if TITLES.get(title, only[0]) not in only and title in old:
            rest = old[title].partition("\n")[2]
            sections[n] = f"{title}\n{'' if rest.startswith(chr(10) + 'Of ') else f'{chr(10)}Of {day}.{chr(10)}'}{rest}"
    return "\n# ".join(sections)


def with_cells(text: str, before: str) -> str:
    """`text`, but where an id was not run on a database what the file said of it, with the day that it is of."""
    day = before.partition(" on ")[2][:10]
    old = {line.split(" | ")[0]: line.split(" | ") for line in before.splitlines() if line.startswith(("| A", "| S"))}
    lines = text.splitlines()
    for n, line in enumerate(lines):
        cells = line.split(" | ")
        was = old.get(cells[0], [])
        if len(cells) == len(was) == 5 and line.startswith(("| A", "| S")):
            if was[1].startswith(cells[1]):
                cells[1] = was[1]  # with what was tried outside of the tests
            for at in (2, 3):
                if cells[at] == "not run" != was[at]:
                    cells[at] = was[at] if "(of " in was[at] else f"{was[at]} (of {day})"
            lines[n] = " | ".join(cells)
    return "\n".join(lines) + "\n"


def _table(title: str, words: dict[str, str], run: Run) -> str:
    text = TABLE.format(title=title)
    for known, what in words.items():
        tests = ids.tests_by_id()[known]
        ended = [run.tests.get(database, {}).get(known, ids.Outcome()).words for database in ("sqlite", "postgresql")]
        names = ", ".join(f"`{test.partition('::')[2]}`" for test in tests[:3]) + (
            f" and {len(tests) - 3} more" if tests[3:] else ""
        )
        text += f"| {known} | {what}{_beside(known, run)} | {' | '.join(ended)} | {names} |\n"
    return text


def _beside(known: str, run: Run) -> str:
    """What was tried outside the tests, for the ids it is about."""
    if known == "S6" and run.times:
        return f"; timings below: {'as promised' if all(one.is_right for one in run.times) else '**too far apart**'}"
    if known == "S9" and run.scans:
        found = [one for scan in run.scans if scan.role != "planted" for one in scan.bad]
        return f"; see below: {f'**{len(found)} findings**' if found else 'nothing of medium or more'}"
    if known == "A47" and run.refusals:
        wrong = [one for one in run.refusals if not one.is_right]
        return f"; by raw sockets below: {f'**{len(wrong)} not refused**' if wrong else 'all refused'}"
    return ""


def _scanners(run: Run) -> str:
    text = SCANNERS
    for scan in run.scans:
        levels = ", ".join(f"{scan.counted[level]} {level}" for level in reversed(tools.LEVELS) if scan.counted[level])
        session = {True: "held", False: "**ended**", None: ""}[run.sessions.get((scan.tool, scan.role))]
        said = f"**{scan.problem}**" if scan.problem else levels or "none"
        text += f"| {scan.tool} | {scan.role} | {scan.asked} | {scan.seconds:.0f} | {session} | {said} |\n"
    for tool in ("wapiti", "sqlmap"):
        if not any(scan.tool == tool for scan in run.scans):
            text += (
                f"| {tool} | | | | | not run: `{tools.INSTALL}` |\n"
                if not tools.program(tool)
                else f"| {tool} | | | | | not run |\n"
            )
    portal = [scan for scan in run.scans if scan.role != "planted"]
    explained = {(one.words, why) for scan in portal for one in scan.findings if (why := one.explained(scan.tool))}
    text += "\n" + "".join(f"- {words}: {why}\n" for words, why in sorted(explained)) if explained else ""
    bad = [f"- **{scan.tool} as {scan.role}: {one.words}**\n" for scan in portal for one in scan.bad]
    return text + ("\n" + "".join(bad) if bad else "") + _lower(portal)


def _lower(portal: Sequence[tools.Scan]) -> str:
    """The kinds of notes below medium, so that somebody may look."""
    kinds = sorted({one.words.partition(":")[0] for scan in portal for one in scan.findings if one.level < tools.MEDIUM})
    return f"\nBelow medium, as the tools call them: {'; '.join(kinds)}.\n" if kinds else ""


def _timings(found: Sequence[timings.Timing]) -> str:
    text = TIMES.format(times=timings.TIMES, log_ins=timings.LOG_INS, most=timings.MOST)
    for one in found:
        text += f"| {one.what} | {one.there:.1f} | {one.nowhere:.1f} | {one.differs:.0%} | {_right(one.is_right)} |\n"
    return text + ("" if found else "| not run | | | | |\n")


def _refusals(found: Sequence[raw.Refusal]) -> str:
    text = RAW
    for one in found:
        text += f"| {one.name} | {one.status or 'none'} | {'yes' if one.is_closed else 'no'} | {_right(one.is_right)} |\n"
    return text + ("" if found else "| not run | | | |\n")


def _right(is_right: bool) -> str:
    return "as it has to be" if is_right else "**wrong**"
