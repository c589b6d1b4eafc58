"""`make scan`: scanners as each role, timings, raw sockets and the tests of every id, into docs/security.md; fails where
something is found.

`--only` runs some parts: what the file says of the others stays, with its day.
"""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from tests.prepare import answers, postgresql_url
from tests.scan import ids, planted, raw, report, timings, tools
from tests.scan.site import ROLES, Visitor, demo_practice, targets

DATABASES = ("sqlite", "postgresql")
PARTS = ("raw", "timings", "scanners", "tests")
SCANNERS = {"wapiti": tools.wapiti, "sqlmap": tools.sqlmap}


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.scan", description=__doc__)
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS)
    parser.add_argument("--database", choices=DATABASES, nargs="+", default=DATABASES, help="of the tests")
    parser.add_argument("--rows", type=int, default=ids.ROWS, help="of each test that is a table; 0: all, which takes long")
    asked = parser.parse_args()
    only, run, begun = asked.only, report.Run(rows=f"{asked.rows} rows" if asked.rows else "all"), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="portal-scan-") as name:
        folder = Path(name)
        with demo_practice(folder) as port:
            if "raw" in only:
                run.refusals = raw.refusals(port)
            if "timings" in only:  # before the scanners fill the practice
                run.times = timings.timings(port, folder, say)
            if "scanners" in only:
                scan(run, port, folder)
        if "tests" in only:
            for database in asked.database:
                if database == "sqlite" or answers(postgresql_url()):
                    run.tests[database] = ids.run(database, folder, asked.rows)
    run.minutes = (time.monotonic() - begun) / 60
    file, command = Path("docs/security.md"), " ".join(["python -m tests.scan", *sys.argv[1:]])
    text = report.written(run, datetime.now(UTC).date(), command if sys.argv[1:] else "make scan")
    if sys.argv[1:]:
        text = report.with_kept(report.with_cells(text, file.read_text(encoding="utf-8")), file.read_text(encoding="utf-8"), only)
    file.write_text(text, encoding="utf-8")
    print(text)
    for problem in run.problems:
        say(problem)
    return 1 if run.problems else 0


def scan(run: report.Run, port: int, folder: Path) -> None:
    """First a page with holes, then each role, the ones who may least before those who may change them. Both tools at once."""
    with planted.served() as holes:
        run.scans += at_once("planted", [Visitor(holes) for _ in SCANNERS], "/", folder)
    for role, (login, start) in ROLES.items():
        visitors = [Visitor(port, login).log_in() if login else Visitor(port) for _ in SCANNERS]
        say(f"as {role}")
        run.scans += at_once(role, visitors, start, folder)
        run.sessions |= {(tool, role): one.is_in() for tool, one in zip(SCANNERS, visitors, strict=True) if login}


def at_once(role: str, visitors: list[Visitor], start: str, folder: Path) -> list[tools.Scan]:
    """What the tools that are installed found, each with a log-in of its own."""
    with ThreadPoolExecutor() as pool:
        running = [
            pool.submit(ask, visitor, role, targets(visitor, start), folder)
            for (tool, ask), visitor in zip(SCANNERS.items(), visitors, strict=True)
            if tools.program(tool)
        ]
        return [one.result() for one in running]


def say(words: str) -> None:
    print(f"scan: {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
