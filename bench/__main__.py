"""`make bench`: measures the product beside its floor and writes docs/performance.md; fails where a number is exceeded.

Both are served by gunicorn with two sync workers on the same database, small and large, and are asked in turn by one client
that opens a connection for each request: product small, floor small, product large, floor large, and again. A slow moment
of the machine meets all four alike. Then the In Box by every filter and the question for news, the forms of a request's
steps, the pages of a patient who has 5,000 of the messages, the admin's numbers, and the pages of the admin in a large
practice, product and floor in turn. Takes about half an hour.

`--only` and `--times` are for a look at some parts or with fewer requests, which prints the figures and writes no file.
"""

import argparse
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from bench import admin, box, measure, numbers, patient, report, steps
from bench.site import Site, databases

MESSAGES = 100_000
PARTS = ("messages", "box", "steps", "patient", "numbers", "admin")


def main() -> int:
    asked = _arguments()
    results: list[measure.Result] = []
    crowds: list[admin.Crowd] = []
    heavies: list[patient.Heavy] = []
    boxes: list[box.Boxed] = []
    counted: list[numbers.Counted] = []
    stepped: list[steps.Stepped] = []
    for kind in databases():
        if asked.database not in (None, kind):
            continue
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            with Site(kind, 1_000, folder) as small:
                if asked.only != ["admin"]:
                    with Site(kind, asked.messages, folder) as large:
                        if "box" in asked.only:
                            boxes.append(box.measure(large, asked.times or box.TIMES))
                        if "steps" in asked.only:
                            stepped.append(steps.measure(large, asked.times or steps.TIMES))
                        if "messages" in asked.only:
                            results.append(measure.measure(small, large, asked.times or measure.TIMES))
                        if "patient" in asked.only:
                            heavies.append(patient.measure(large, asked.times or patient.TIMES))
                        if "numbers" in asked.only:
                            counted.append(numbers.measure(large, asked.times or numbers.TIMES))
                if "admin" in asked.only:
                    with Site(kind, 1_000, folder, is_crowded=True) as crowded:
                        crowds.append(admin.measure(small, crowded, asked.times or admin.TIMES))
    text = report.written(results, boxes, stepped, heavies, counted, crowds, datetime.now(UTC).date())
    if asked == argparse.Namespace(only=list(PARTS), database=None, messages=MESSAGES, times=None):
        Path("docs").mkdir(exist_ok=True)
        Path("docs/performance.md").write_text(text, encoding="utf-8")
    print(text)
    problems = [words for one in (*results, *boxes, *stepped, *heavies, *counted, *crowds) for words in one.problems]
    for words in problems:
        print(f"bench: {words}", file=sys.stderr)
    return 1 if problems else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("bench")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS))
    parser.add_argument("--database", choices=("sqlite", "postgresql"))
    parser.add_argument("--messages", type=int, default=MESSAGES, help="messages of the large database")
    parser.add_argument("--times", type=int, help="requests of each page")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
