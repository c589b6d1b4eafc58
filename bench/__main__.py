"""`make bench`: measures the product beside its floor and writes docs/performance.md; fails where a number is exceeded.

Both are served by gunicorn with two sync workers on the same database, small and large, and are asked in turn by one client
that opens a connection for each request: product small, floor small, product large, floor large, and again. A slow moment
of the machine meets all four alike. Takes about ten minutes.
"""

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from bench import report
from bench.measure import measure
from bench.site import Site, databases


def main() -> int:
    problems: list[str] = []
    results = []
    for kind in databases():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            with Site(kind, 1_000, folder) as small, Site(kind, 100_000, folder) as large:
                found = measure(small, large)
        results.append(found)
        problems += found.problems
    text = report.written(results, datetime.now(UTC).date())
    Path("docs").mkdir(exist_ok=True)
    Path("docs/performance.md").write_text(text, encoding="utf-8")
    print(text)
    for problem in problems:
        print(f"bench: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
