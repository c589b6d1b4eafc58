"""The ids of what is promised (S) and of what is tried (A), and the tests that are named after them.

A test carries an id by its name, as in `test_a17_s3_a_form_without_a_token_changes_nothing`; one test may stand for several.
"""

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[2]

PROMISES = {
    "S1": "Every view says who may; role, method and owner are walked",
    "S2": "Every answer has its headers",
    "S3": "What changes something needs session, token and our own origin; looking changes nothing",
    "S4": "No text of anybody is ever run, nor asks for anything",
    "S5": "A session is over at once",
    "S6": "Nobody learns whether an account, a thread or an invitation is there",
    "S7": "Links and codes work once, for a short time, and are stored as hashes",
    "S8": "No medical or personal word outside the pages",
    "S9": "Independent scanners find nothing",
    "S10": "Each guard is needed: without it a test fails",
}
ATTACKS = {
    "A1": "Reading what is another patient's, or not in one's charge",
    "A2": "Changing what is another's",
    "A3": "The pages of another role",
    "A4": "Fields that the form does not have",
    "A5": "A right that was taken away while a page was open",
    "A6": "A log-in that is half done",
    "A7": "A saved cookie after the log-out",
    "A8": "A cookie planted before the log-in",
    "A9": "Staying on by polling, or past the absolute end",
    "A10": "Guessing passwords",
    "A11": "Finding out who has an account",
    "A12": "Passwords that are easy, short, long or odd",
    "A13": "Reset links: twice, late, another's, cut",
    "A14": "Invitations and confirmations: the same",
    "A15": "Changing password, e-mail or second step without the present password",
    "A16": "Codes of the second step: twice, guessed, shown again",
    "A17": "Forged forms (CSRF)",
    "A18": "Log-in and log-out by somebody else's page; a form after the end",
    "A19": "Changing by looking, and overridden methods",
    "A20": "Markup that htmx would act on",
    "A21": "Stored scripts, from either side to the other",
    "A22": "Markup of any language in what is written",
    "A23": "Breaking out of an attribute, a title, a header",
    "A24": "Dangerous links, and signs that change the direction of text",
    "A25": "A log-in that leads to another site",
    "A26": "Words of a user in headers",
    "A27": "SQL injection, wildcards of LIKE",
    "A28": "Orders, filters and page sizes that nobody offered",
    "A29": "Requests that are too large or too many-fold",
    "A30": "Numbers and keys that are none",
    "A31": "Line ends in what becomes a mail's header",
    "A32": "A name that is a second recipient",
    "A33": "Addresses and users that a client says of itself",
    "A34": "Errors that tell too much",
    "A35": "Files: too large, too many, empty",
    "A36": "Files that are something else",
    "A37": "Names of files",
    "A38": "Framing",
    "A39": "Headers on every route and error",
    "A40": "The cookie: its flags, another one, two, a huge one",
    "A41": "Back, history and caches after the log-out",
    "A42": "Secrets and medical words in addresses, titles, mails",
    "A43": "Floods",
    "A44": "The application's own database user changes or deletes what is never changed",
    "A45": "The log: forged lines, secrets in it",
    "A46": "Consoles, hidden files, default keys, switches of tests",
    "A47": "Request smuggling and TRACE",
    "A48": "A fragment opened as a page, or by another site",
    "A49": "Counts and searches of what one may not see",
    "A50": "Formulas in spreadsheets",
    "A51": "A file's address passed on",
    "A52": "Races: codes, links, registering, claims",
    "A53": "A forged host in the links of mails",
    "A54": "One person's page answered to another",
    "A55": "A forged author",
    "A56": "E-mail addresses that look alike",
    "A57": "Walking through ids; the list of users as a dump",
    "A58": "A policy that says yes by mistake",
    "A59": "Going on after an error; a check that is older than the write",
}


@dataclass(frozen=True)
class Outcome:
    """How the tests of one id ended on one database: counted by row of a table, skipped ones apart."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    @property
    def words(self) -> str:
        if self.failed:
            return f"**{self.failed} failed**"
        if not self.passed:
            return "not run"
        return f"{self.passed} passed" + (f", {self.skipped} not run" if self.skipped else "")


def ids_in(test: str) -> set[str]:
    return {found.upper() for found in re.findall(r"(?<=_)([aAsS]\d{1,2})(?=_)", test)}


@cache
def tests_by_id() -> dict[str, tuple[str, ...]]:
    """The address of each test, by every id of the two tables that it carries."""
    found: dict[str, list[str]] = {known: [] for known in (*PROMISES, *ATTACKS)}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for test in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            for known in ids_in(test) & found.keys():
                found[known].append(f"{path.relative_to(ROOT).as_posix()}::{test}")
    return {known: tuple(tests) for known, tests in found.items()}


ROWS = 3  # of each table: a test of every route with every role has more than a thousand, which `make test` runs


def run(database: str, folder: Path, rows: int = ROWS) -> dict[str, Outcome]:
    """All tests with an id, on a database; by id how they ended, with none where nothing ran."""
    report = folder / f"{database}.xml"
    named = sorted({test for tests in tests_by_id().values() for test in tests})
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", f"--database={database}"]
    command += ["-p", "tests.scan.sample", f"--rows={rows}", f"--junit-xml={report}"]
    subprocess.run([*command, *named], cwd=ROOT, check=False)
    return outcomes(report) if report.exists() else {}


def outcomes(report: Path) -> dict[str, Outcome]:
    ended: dict[str, list[str]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        tag = next((part.tag for part in case if part.tag in ("failure", "error", "skipped")), "passed")
        for known in ids_in(case.get("name", "").partition("[")[0]):
            ended.setdefault(known, []).append(tag)
    count: Callable[[str, str], int] = lambda known, tag: ended[known].count(tag)  # noqa: E731
    return {
        known: Outcome(count(known, "passed"), count(known, "failure") + count(known, "error"), count(known, "skipped"))
        for known in ended
    }
