"""What has tests of its own in `make test`: they are run for the table, on the database that it is about."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree import ElementTree

from tests.faults.book import NotRun, fault, must
from tests.faults.stage import Stage

BY_PLAIN_FORMS = "test_a_request_reaches and False or test_an_admin_puts and False or without_javascript"
JOURNEYS, DRAFTS = "tests/browser/test_journeys.py", "tests/browser/test_drafts.py"
TESTS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("F3", "R4"): ("tests/staff/test_races.py",),
    ("F13",): ("tests/test_mailing.py", "-k", "f13"),
    ("F23",): ("tests/test_refusals.py",),
    ("F24", "R3"): (JOURNEYS, DRAFTS, "-k", "lost_network or going_back"),
    ("F28",): (JOURNEYS, DRAFTS, "tests/browser/test_keyboard.py", "tests/browser/test_undo.py", "-k", BY_PLAIN_FORMS),
    ("F29",): ("tests/test_upload_cut.py",),
    ("F30",): ("tests/test_registering.py", "-k", "f30"),
}


def told(stage: Stage, which: Sequence[str]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--database={stage.kind}"]
        run = subprocess.run([*command, f"--junit-xml={report}", *which], capture_output=True, text=True, check=False)
        tests = list(ElementTree.parse(report).iter("testcase")) if report.exists() else []
    failed = [str(test.get("name")) for test in tests if test.find("failure") is not None or test.find("error") is not None]
    skipped = sum(test.find("skipped") is not None for test in tests)
    must(not failed, f"tests that failed: {', '.join(failed)[:300]}")
    if len(tests) == skipped:
        raise NotRun(f"its tests did not run ({skipped} skipped): {run.stdout[-200:]}")
    return f"tests: {len(tests) - skipped} passed" + (f", {skipped} skipped" if skipped else "")


def named(which: Sequence[str]) -> Callable[[Stage], str]:
    return lambda stage: told(stage, which)


for ids, which in TESTS.items():
    fault(*ids)(named(which))


@fault("F25")
def a_hundred_thousand_threads(stage: Stage) -> str:
    raise NotRun("measured by `make bench`, which takes half an hour by itself: docs/performance.md")
