"""All words go through gettext: in a pseudo-language every one of them wears brackets, and a word without is found."""

import re
from html.parser import HTMLParser

import flask_babel
import pytest

from practice.db import db
from practice.emergency import WORDS
from tests.conftest import Cast
from tests.examples import EXAMPLES
from tests.test_walk import ROUTES, _somebody, url
from web.gate import who_may

OPEN, CLOSE = "⟦", "⟧"
DATA = re.compile(
    r"(?m:^Staff$)|"
    r"(?:[A-Z2-9]{4}[- ]){3,7}[A-Z2-9]{4}|"  # recovery codes, and the key of an app
    r"(?m:^[^\n]+ \([A-Z]{2}\)$)|[A-Z]\w+/[\w/+-]+|[A-Z][\w .']* Day\b(?: \(observed\))?|Washington's Birthday|"  # of lists
    r"(?<![\w-])[\w-]{22}(?![\w-])|set up tests|\b(?:ada|sam|max|nina|ivan|rita|fay|dan)\b"
    r"|\b[ab]\.txt\b|KWON|SOPHIE|JIHAE|HUGO|STAFF|sophie|jihae|hugo|\bdan\b|@test\.example|[A-Z]{3,}|Test Practice"
    r"|Linden Street|Oak Lane|Scheduler|Media Manager|Clinicians|IT Manager"
    rf"|{'|'.join(map(re.escape, WORDS.splitlines()))}"
    r"|Patient Info Manager|Billing|Help desk|Not a valid choice|Hives|Hello"
    r"|Good morning|A question|Height|Medicine: Penicillin|cm\b|kg\b|[\w.]+@[\w.]+"
    r"|\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\b|\bst\b|\w+ - "
)
"""What the cast brings along: names, dates, what they write; and the one text that WTForms says from its own catalogue."""
SPOKEN = (
    "aria-label",
    "title",
    "placeholder",
    "alt",
    "data-left",
    "data-over",
    "data-lost",
    "data-full",
    "data-pattern",
    "data-minutes",
)


class PseudoTranslations:
    """Every text in brackets."""

    def ugettext(self, text: str) -> str:
        return f"{OPEN}{text}{CLOSE}"

    gettext = ugettext

    def ungettext(self, one: str, many: str, n: int) -> str:
        return f"{OPEN}{one if n == 1 else many}{CLOSE}"

    ngettext = ungettext

    def upgettext(self, _context: str, text: str) -> str:
        return self.ugettext(text)

    pgettext = upgettext


class Texts(HTMLParser):
    """All that a page says: its text, and the attributes that are read aloud or shown."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.said: list[str] = []
        self._is_hidden = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._is_hidden = int(tag in ("script", "style"))
        self.said += [value for name, value in attrs if name in SPOKEN and value]

    def handle_data(self, data: str) -> None:
        if not self._is_hidden:
            self.said.append(data)


def left_out(html: str) -> list[str]:
    """Texts with a letter outside any brackets that is no data of the cast."""
    text = "\n".join(Texts(html).said)
    while OPEN in text:  # brackets stand in brackets where a word is part of a sentence
        shorter = re.sub(rf"{OPEN}[^{OPEN}{CLOSE}]*{CLOSE}", "", text)
        if shorter == text:
            break
        text = shorter
    return sorted({line.strip() for line in DATA.sub("", text).splitlines() if re.search(r"[A-Za-z]{2,}", line)})


@pytest.fixture
def pseudo(monkeypatch: pytest.MonkeyPatch) -> None:
    domain = PseudoTranslations()
    monkeypatch.setattr(flask_babel.Domain, "get_translations", lambda self: domain)


@pytest.mark.parametrize(("endpoint", "method"), ROUTES)
@pytest.mark.parametrize("is_valid", [True, False])
def test_no_word_is_left_out(cast: Cast, pseudo, endpoint, method, is_valid):
    if endpoint in ("web.healthz", "metrics.metrics", "demo.mails") or (method == "GET" and not is_valid):
        return
    cast.send(cast.sophie, "Appointment")
    answered = cast.send(cast.sophie)
    cast.answer(cast.nina, answered)
    made = EXAMPLES[endpoint](cast) or {}
    db.session.close()
    player = made.get("player") or _somebody(cast, who_may(cast.app, endpoint))
    address = url(cast.app, endpoint, **made.get("own", {}))
    data = made.get("data") if is_valid else {}
    for htmx in (False, True):
        answer = player.get(address, htmx=htmx) if method == "GET" else player.post(address, data, htmx=htmx)
        if answer.mimetype == "text/html" and answer.status_code != 303:
            assert left_out(answer.text) == []


def test_a_word_without_brackets_is_found():
    assert left_out("<p>Hello there</p>") == ["there"]
    assert left_out(f"<p>{OPEN}All {OPEN}inside{CLOSE}{CLOSE}</p>") == []
    assert left_out('<input aria-label="Unsaid">') == ["Unsaid"]
