"""`make test`: finds a browser and a PostgreSQL, runs all tests on each database, says what was skipped and why."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import sqlalchemy as sa
from playwright.sync_api import sync_playwright

LOCAL_POSTGRESQL = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
FEW = 3
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def postgresql_url() -> str:
    """The server on which each run makes its own temporary databases."""
    return os.environ.get("TEST_DATABASE_URL") or LOCAL_POSTGRESQL


def answers(url: str) -> bool:
    engine = sa.create_engine(url, connect_args={"connect_timeout": 3})
    try:
        with engine.connect():
            return True
    except sa.exc.OperationalError:
        return False
    finally:
        engine.dispose()


def browser() -> str | None:
    """The path of a Chromium that starts: the system's, else Playwright's."""
    for name in BROWSERS:
        if (path := shutil.which(name)) and starts(path):
            return path
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if starts(path) else None


def starts(path: str) -> bool:
    return Path(path).exists() and run(path, "--version", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def install_browser() -> str | None:
    """By Playwright, or for root on Debian by apt. None where neither can."""
    if run(sys.executable, "-m", "playwright", "install", "chromium") and (path := browser()):
        return path
    if shutil.which("apt-get") and os.geteuid() == 0:
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        run("apt-get", "update", "--quiet", env=quiet)
        run("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "chromium", env=quiet)
    return browser()


def run(*command: str, **options: object) -> bool:
    return subprocess.run(command, check=False, **options).returncode == 0  # type: ignore[call-overload]


def run_tests(database: str, arguments: list[str]) -> tuple[bool, str]:
    """Whether all passed, and a phrase that counts them and names what each skipped test lacked."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        print(f"\n== Tests on {database}", flush=True)
        options = [f"--database={database}", "-n", "2", "-q", f"--junit-xml={report}"]
        passed = run(sys.executable, "-m", "pytest", *options, *arguments)
        if not report.exists():
            return False, f"{database}: did not run"
        tests = list(ElementTree.parse(report).iter("testcase"))
    failed = [test for test in tests if test.find("failure") is not None or test.find("error") is not None]
    again = ""
    if 0 < len(failed) <= FEW and all(test.get("classname", "").startswith("tests.browser.") for test in failed):
        # A busy machine keeps a browser waiting, so these few have a second try with nothing beside them (decision 0022).
        again = f", {len(failed)} a second time: {', '.join(str(test.get('name')) for test in failed)}"
        passed = run(sys.executable, "-m", "pytest", f"--database={database}", "-n", "0", "-q", "--last-failed", *arguments)
    skipped = Counter(found.get("message", "") for test in tests if (found := test.find("skipped")) is not None)
    reasons = "".join(f", {number} skipped ({reason})" for reason, number in skipped.items())
    return passed, f"{database}: {len(tests) - skipped.total()} run{again}{reasons}"


def main(arguments: list[str]) -> int:
    skipped = []
    if not (browser() or install_browser()):
        arguments = ["-m", "not browser", *arguments]
        skipped.append("browser tests (no Chromium here, and neither Playwright nor apt could install one)")
    databases = ["sqlite"]
    if answers(postgresql_url()):
        databases.append("postgresql")
    else:
        shown = sa.make_url(postgresql_url()).render_as_string(hide_password=True)
        skipped.append(f"PostgreSQL (none answers at {shown}; name one in TEST_DATABASE_URL)")
    results = [run_tests(database, arguments) for database in databases]
    print(f"\nmake test: {'; '.join(words for _, words in results)}. Left out: {' and '.join(skipped) or 'nothing'}.")
    return 0 if all(passed for passed, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
