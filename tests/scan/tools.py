"""wapiti and sqlmap: what is given to them, how long they may take, and what their reports say. None is a dependency; from
`.scanners/` in the checkout, else from the PATH."""

import csv
import json
import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from tests.scan.site import HOST, LEFT_OUT, Target, Visitor

HERE = Path(__file__).resolve().parents[2] / ".scanners" / "bin"
INSTALL = "python3 -m venv .scanners && .scanners/bin/pip install wapiti3 sqlmap"
# Not ssrf, xxe, log4shell: they ask a server on the internet. Not nikto, wapp, buster: lists of other products' files.
MODULES = "sql,xss,permanentxss,exec,file,crlf,redirect,csrf,upload,ldap,csp,cookieflags,http_headers,htaccess,backup,shellshock"
CRAWL, MODULE = 15, 3  # seconds of wapiti: to look for pages, and for each module
SQLMAP = 90  # seconds of a role
LEVELS = ("information", "low", "medium", "high", "critical")
MEDIUM = LEVELS.index("medium")
WHOLE_ROLE = re.compile(r"\[(\d+)/(\d+)\] URL")


@dataclass(frozen=True)
class Explained:
    """A finding that is none: why, beside what it looks like."""

    tool: str
    words: re.Pattern[str]  # in the finding's name, address and description
    why: str


EXPLAINED: tuple[Explained, ...] = (
    Explained(
        "sqlmap",
        re.compile("false positive or unexploitable$"),
        "Sqlmap took it back itself: two pages differed, as a list does while another scanner fills it, and its own second look "
        "found nothing that follows from the condition it had put in.",
    ),
    Explained(
        "wapiti",
        re.compile(r"^LDAP Injection: GET \S+ (done|kept|only|box)\b"),
        "The portal speaks no LDAP. The parameter picks from a fixed list of notices or views: a word of the list gives another "
        "page than any other word, which is all that wapiti has seen.",
    ),
)


@dataclass(frozen=True)
class Finding:
    level: int
    words: str

    def explained(self, tool: str) -> str:
        return next((one.why for one in EXPLAINED if one.tool == tool and one.words.search(self.words)), "")


@dataclass(frozen=True)
class Scan:
    """What one tool did as one role. `problem`: why it says nothing."""

    tool: str
    role: str
    asked: str = ""  # what it went through
    seconds: float = 0
    findings: tuple[Finding, ...] = ()
    problem: str = ""

    @property
    def counted(self) -> Counter[str]:
        return Counter(LEVELS[finding.level] for finding in self.findings)

    @property
    def bad(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.level >= MEDIUM and not finding.explained(self.tool)]


def program(name: str) -> str | None:
    return shutil.which(name, path=str(HERE)) or shutil.which(name)


def version(name: str) -> str:
    path = program(name)
    if not path:
        return ""
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.findall(r"\d+\.\d+[\w.#]*", said)
    return found[-1] if found else "?"


def wapiti(visitor: Visitor, role: str, found: Sequence[Target], folder: Path) -> Scan:
    report, start = folder / f"wapiti-{role}.json", f"http://{HOST}:{visitor.port}"
    command = [str(program("wapiti")), "-u", f"{start}/", "--scope", "domain", "-m", MODULES, "-f", "json", "-o", str(report)]
    command += ["--max-scan-time", str(CRAWL), "--max-attack-time", str(MODULE), "--tasks", "4", "-t", "8", "-v", "1"]
    command += ["--store-session", str(folder / "wapiti"), "--store-config", str(folder / "wapiti"), "--flush-session"]
    command += ["--no-bugreport", "--skip", "csrf_token", "--skip", "key"]
    for target in found:
        if target.method == "GET":
            command += ["-s", start + target.path]
    for part in LEFT_OUT:
        command += ["-x", f"{start}*{part}*"]
    if visitor.cookie:
        command += ["-C", visitor.cookie]
    seconds, said = _run(command, folder, most=CRAWL + MODULE * (MODULES.count(",") + 1) + 120)
    if not report.exists():
        return Scan("wapiti", role, seconds=seconds, problem=f"it wrote no report: {said[-200:]}")
    told = json.loads(report.read_text(encoding="utf-8"))
    return Scan("wapiti", role, _requests(said), seconds, wapiti_findings(told))


def _requests(said: str) -> str:
    sent = re.findall(r"^\[\+\] (GET|POST) (\S+)", said, re.MULTILINE)
    return f"{len(set(sent))} addresses and forms"


def wapiti_findings(told: dict[str, dict[str, list[dict[str, object]]]]) -> tuple[Finding, ...]:
    """Additionals are notes (which methods an address has); anomalies are answers of 500 and time-outs."""
    return tuple(
        Finding(int(str(one["level"])), f"{name}: {one['method']} {one['path']} {one['parameter'] or ''} {one['info']}")
        for part in ("vulnerabilities", "anomalies", "additionals")
        for name, found in told.get(part, {}).items()
        for one in found
    )


def sqlmap(visitor: Visitor, role: str, found: Sequence[Target], folder: Path) -> Scan:
    log, results = folder / f"sqlmap-{role}.txt", folder / f"sqlmap-{role}.csv"
    asked = sorted((one for one in found if one.form or "?" in one.path or one.kind[1] != one.path), key=_is_late)
    log.write_text("".join(as_logged(visitor, target) for target in asked), encoding="utf-8")
    command = [str(program("sqlmap")), "-l", str(log), "--batch", "--dbms", "sqlite", "--technique", "BE", "--level", "1"]
    command += ["--skip", "csrf_token,key,Cookie", "--ignore-code", "401", "--timeout", "10", "--retries", "1"]
    command += ["--results-file", str(results), "--output-dir", str(folder / "sqlmap"), "--flush-session"]
    seconds, said = _run([*command, "--disable-coloring"], folder, most=SQLMAP)
    begun = [int(number) for number, _ in WHOLE_ROLE.findall(said)]
    tried = re.findall(r"testing for SQL injection on|skipping .*parameter '(?!csrf|key)", said)
    if not begun:
        return Scan("sqlmap", role, seconds=seconds, problem=f"it began nothing: {said[-200:]}")
    words = f"{len(tried)} parameters of {max(begun)} of {len(asked)} addresses and forms"
    return Scan("sqlmap", role, words, seconds, sqlmap_findings(results))


def sqlmap_findings(results: Path) -> tuple[Finding, ...]:
    """Each row of its table is a parameter that it could inject into."""
    if not results.exists():
        return ()
    with results.open(encoding="utf-8", newline="") as file:
        return tuple(Finding(LEVELS.index("critical"), " ".join(filter(None, row.values()))) for row in csv.DictReader(file))


def _is_late(target: Target) -> tuple[bool, bool, bool]:
    """What searches first, where a text meets a statement soonest; forms with a password, each a hash, last."""
    return "search" not in target.path, "password" in target.kind[2], "?" not in target.path


def as_logged(visitor: Visitor, target: Target) -> str:
    """A request as sqlmap reads it from a proxy's log; the star marks a key in the address."""
    line, body = "=" * 54, urlencode(target.form)
    path = target.path if target.form or "?" in target.path else f"{target.path}*"
    heads = [f"{target.method} {path} HTTP/1.1", f"Host: {HOST}:{visitor.port}"]
    heads += [f"Cookie: {visitor.cookie}"] if visitor.cookie else []
    heads += ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"] if body else []
    text = "\n".join([*heads, "", body])
    return f"{line}\n12:00:00  http://{HOST}:{visitor.port}  [{HOST}]\n{line}\n{text}\n{line}\n\n\n\n"


def _run(command: list[str], folder: Path, *, most: int) -> tuple[float, str]:
    """The seconds it took and all it said; ended after `most` seconds."""
    begun, said = time.monotonic(), folder / f"{Path(command[0]).name}.txt"
    with said.open("w") as out:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        try:
            process.wait(most)
        except subprocess.TimeoutExpired:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    return time.monotonic() - begun, said.read_text(encoding="utf-8", errors="replace")
