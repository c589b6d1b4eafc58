"""How dates, types and icons look: compiled once for each language, not for each row."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import DateTimePattern, get_date_format, parse_pattern
from babel.numbers import format_decimal, format_percent
from flask import Flask, current_app, g, has_request_context, request, url_for
from flask_babel import get_locale, get_translations
from flask_babel.speaklater import LazyString
from flask_wtf.csrf import generate_csrf
from jinja2 import pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup
from sqlalchemy.exc import SQLAlchemyError

from practice.db import now
from practice.people import AccountStatus
from practice.settings import Practice, RequestType, new_practice, the_practice

ICON_OF = {"Appointment": "clock", "Result": "files", "Others": "envelope", "Amendment": "exclamation-lg"}
ANY_KEY = "-" * 22
STATIC = Path(__file__).parent.parent / "static"

# ---- Words: looked up once in each catalogue, not each time they are said --------------------------


class _Said:
    """The language of this request, and what was translated into it before: kept with the catalogue."""

    raw: dict[str, str]
    plain: dict[str, Markup]

    def __init__(self) -> None:
        self.locale = get_locale()
        self.language = str(self.locale)
        self.catalogue = get_translations()
        self.raw, self.plain = self.catalogue.__dict__.setdefault("said", ({}, {}))


def _said() -> _Said:
    try:
        return g.said
    except AttributeError:
        g.said = _Said()
        return g.said


def catalogue() -> Any:
    """Of this request's language."""
    return _said().catalogue


def gettext(text: str, **variables: Any) -> str:
    """As Flask-Babel's."""
    said = _said()
    found = said.raw.get(text)
    if found is None:
        found = said.raw[text] = said.catalogue.ugettext(text)
    return found % variables if variables else found


def lazy_gettext(text: str, **variables: Any) -> LazyString:
    """As Flask-Babel's."""
    return LazyString(gettext, text, **variables)


_l = lazy_gettext
WORD_OF = {
    RequestType.APPOINTMENT: _l("Appointment"),
    RequestType.RESULT: _l("Result"),
    RequestType.OTHERS: _l("Others"),
    RequestType.AMENDMENT: _l("Amendment"),
}
STATUS_WORDS = {
    AccountStatus.ACTIVE: _l("Active"),
    AccountStatus.INVITED: _l("Invited"),
    AccountStatus.LOCKED: _l("Locked"),
    AccountStatus.DISABLED: _l("Disabled"),
}
FIXED_TITLES = {
    "Appointment request": _l("Appointment request"),
    "Result request": _l("Result request"),
    "Amendment request": _l("Amendment request"),
}
"""Titles made by the system, shown in the reader's language."""
FIXED_TEXTS = {"I cancel this request.": _l("I cancel this request.")}
"""Whole messages made by the system."""


def yes_or_no(is_so: Any) -> str:
    return gettext("Yes") if is_so else gettext("No")


@pass_eval_context
def _in_template(context: EvalContext, text: str, /, **variables: Any) -> str:
    """The `_` and `gettext` of the templates, as Jinja's: a text is a format even without variables."""
    if variables or not context.autoescape:
        found = gettext(text)
        return (Markup(found) if context.autoescape else found) % variables
    plain = _said().plain
    said = plain.get(text)
    if said is None:
        said = plain[text] = Markup(gettext(text)) % {}
    return said


# ---- Times: stored in UTC, shown in the practice's zone ------------------------------------------


@lru_cache(maxsize=8)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def local(moment: datetime) -> datetime:
    """A stored moment (naive UTC) in the practice's zone."""
    practice = getattr(g, "practice", None)
    zone = practice.time_zone if practice else "UTC"
    return moment.replace(tzinfo=UTC).astimezone(_zone(zone))


def today() -> date:
    """The practice's day."""
    return local(now()).date()


def end_of_today() -> datetime:
    """The last second of the practice's day, as moments are stored."""
    return local(now()).replace(hour=23, minute=59, second=59, microsecond=0).astimezone(UTC).replace(tzinfo=None)


@lru_cache(maxsize=64)
def _pattern(skeleton: str, language: str) -> DateTimePattern:
    if skeleton == "long":
        return get_date_format("long", locale=language)
    if skeleton == "full":
        return get_date_format("full", locale=language)
    patterns = {
        "day": "EEE, MMM d",
        "moment": "EEE, MMM d, H:mm",
        "short": "MMM d",
        "month": "MMM y",
        "stamp": "MMM d HH:mm",
        "time": "H:mm",
    }
    return parse_pattern(patterns[skeleton])


def _format(value: datetime | date, skeleton: str) -> str:
    if isinstance(value, datetime):
        value = value.replace(second=0, microsecond=0, tzinfo=None)
    return _formatted(value, skeleton, _said().language)


@lru_cache(maxsize=4096)
def _formatted(value: datetime | date, skeleton: str, language: str) -> str:
    return _pattern(skeleton, language).apply(value, language)


def _today_of_page() -> date:
    """Asked for once a page; the worker's day goes on."""
    if not has_request_context():
        return today()
    try:
        return g.today
    except AttributeError:
        g.today = today()
        return g.today


def day(value: datetime | date) -> str:
    """Wed, Nov 25; of another year the whole date"""
    on = local(value).date() if isinstance(value, datetime) else value
    return _format(on, "day" if on.year == _today_of_page().year else "long")


def long_day(value: datetime | date) -> str:
    """November 25, 2026"""
    return _format(local(value).date() if isinstance(value, datetime) else value, "long")


def short_day(value: date) -> str:
    """Nov 25"""
    return _format(value, "short")


def month(value: date) -> str:
    """Nov 2026, of any day in it"""
    return _format(value, "month")


def moment(value: datetime) -> str:
    """Fri, Nov 20, 9:12; today: Today, 9:12; of another year the whole date"""
    at = local(value)
    if at.date() == _today_of_page():
        return gettext("Today, %(time)s", time=_format(at, "time"))
    if at.year != _today_of_page().year:
        return gettext("%(day)s, %(time)s", day=_format(at.date(), "long"), time=_format(at, "time"))
    return _format(at, "moment")


def moment_long(value: datetime) -> str:
    """Of an appointment: Tuesday, December 1, 2026, 10:00"""
    return gettext("%(day)s, %(time)s", day=_format(local(value).date(), "full"), time=_format(local(value), "time"))


def minutes_long(value: int) -> str:
    return gettext("%(n)s minutes", n=value)


def brief(value: datetime) -> str:
    """For the patient's lists: Nov 18; today: 9:40; of another year the whole date"""
    at, present = local(value), _today_of_page()
    if at.date() == present:
        return _format(at, "time")
    return _format(at, "short") if at.year == present.year else long_day(value)


def stamp(value: datetime) -> str:
    """For staff: Nov 16 09:12; of today only 09:12"""
    at, present = local(value), _today_of_page()
    if at.date() == present:
        return f"{at.hour:02}:{at.minute:02}"
    return _format(at, "stamp")


def wait(since: datetime) -> str:
    """For staff, how long it waits: 2 d, 3 h, 5 min"""
    minutes = int((now() - since).total_seconds() // 60)
    if minutes < 60:
        return gettext("%(n)s min", n=max(minutes, 0))
    return gettext("%(n)s h", n=minutes // 60) if minutes < 24 * 60 else gettext("%(n)s d", n=minutes // (24 * 60))


def minutes(value: int) -> str:
    """So many minutes as one says them: 45 min, 2 h 15 min, 3 d 4 h"""
    days, rest = divmod(value, 24 * 60)
    hours, left = divmod(rest, 60)
    parts = [gettext("%(n)s d", n=days)] if days else []
    parts += [gettext("%(n)s h", n=hours)] if hours else []
    return " ".join(parts + ([gettext("%(n)s min", n=left)] if left or not parts else []))


def time_of_day(value: datetime) -> str:
    """10:42, of a stored moment."""
    return _format(local(value), "time")


def number(value: int) -> str:
    return _number(value, _said().language)


@lru_cache(maxsize=1024)
def _number(value: int, language: str) -> str:
    return str(format_decimal(value, locale=language))


def percent(value: int) -> str:
    """Of a hundred, as one says it: 95%"""
    return str(format_percent(value / 100, locale=_said().language))


def phone_link(phone: str) -> str:
    """What stands behind tel: for a phone number as people write it."""
    return "".join(c for c in phone if c in "+0123456789")


def clock(value: time) -> str:
    return f"{value.hour:02}:{value.minute:02}"


def iso(value: datetime | date) -> str:
    return value.isoformat(timespec="minutes") + "Z" if isinstance(value, datetime) else value.isoformat()


def epoch(value: datetime) -> int:
    """Milliseconds since 1970, for the countdown."""
    return int(value.replace(tzinfo=UTC).timestamp() * 1000)


# ---- Icons and types -----------------------------------------------------------------------------


@lru_cache(maxsize=64)
def asset(filename: str) -> str:
    """The address of a static file with its content's hash, so that it may be kept for ever."""
    return f"/static/{filename}?v={sha256((STATIC / filename).read_bytes()).hexdigest()[:8]}"


@lru_cache(maxsize=512)
def icon(name: str, classes: str = "") -> Markup:
    shown = Markup('<svg class="{}" aria-hidden="true"><use href="{}#{}"></use></svg>')
    return shown.format(f"icon {classes}".strip(), asset("icons.svg"), name)


@lru_cache(maxsize=64)
def _type_mark(name: str, word: str, tag: bool, is_icon_shown: bool) -> Markup:
    picture = icon(ICON_OF[name]) if is_icon_shown else Markup("")
    tagged = " type-tag" if tag else ""
    return Markup('<span class="type type-{}{}">{}{}</span>').format(name.lower(), tagged, picture, word)


def type_mark(name: str, tag: bool = False) -> Markup:
    """Icon and word of a type of request."""
    return _type_mark(str(name), type_name(name), tag, True)


def type_word(name: str) -> Markup:
    return _type_mark(str(name), type_name(name), False, False)


def type_tile(name: str) -> Markup:
    return Markup('<span class="type-tile type-{}">{}</span>').format(str(name).lower(), icon(ICON_OF[str(name)]))


def type_name(name: str) -> str:
    return gettext(RequestType(name).value)  # WORD_OF has the same words, for whoever translates


def thread_title(title: str) -> str:
    return gettext(title) if title in FIXED_TITLES else title


def message_text(text: str) -> str:
    return gettext(text) if text in FIXED_TEXTS else text


def told(words: str) -> dict[str, str]:
    """What a line of the history says besides: titles, names, reasons."""
    return json.loads(words) if words else {}


def full_name(row: Any, whose: str = "") -> str:
    """LAST, FIRST of a row with both; `whose` begins the names of the two columns where a row has more than one person."""
    last, first = getattr(row, f"{whose}last_name"), getattr(row, f"{whose}first_name")
    return ", ".join(part for part in (last, first) if part)


def link(endpoint: str, **values: Any) -> str:
    """As Flask's `url_for`: an address whose path holds no values is built once; the same a dozen times a page else."""
    if endpoint.startswith(".") or not has_request_context() or (values and _path_takes_values(endpoint)):
        return url_for(endpoint, **values)
    place = request.root_path, endpoint
    if place not in _known:
        _known[place] = url_for(endpoint)
    said = {name: value for name, value in values.items() if value is not None}
    return f"{_known[place]}?{urlencode(said, doseq=True, safe=QUERY_SAFE)}" if said else _known[place]


_known: dict[tuple[str, str], str] = {}
QUERY_SAFE = "!$'()*,/:;?@"  # what Werkzeug leaves as it is


@cache
def _path_takes_values(endpoint: str) -> bool:
    return any(rule.arguments for rule in current_app.url_map.iter_rules(endpoint))


def addresses(endpoint: str, **values: Any) -> Callable[[str], str]:
    """The address of each row of a list by its key, which needs no quoting: built once for the page."""
    before, after = url_for(endpoint, key=ANY_KEY, **values).split(ANY_KEY, 1)
    return lambda key: f"{before}{key}{after}"


def csrf_field() -> Markup:
    try:
        return g.csrf_field
    except AttributeError:  # made once for each page, like the token
        g.csrf_field = Markup('<input type="hidden" name="csrf_token" value="{}">').format(generate_csrf())
        return g.csrf_field


HTMX = json.dumps(
    {
        "selfRequestsOnly": True,
        "allowEval": False,
        "allowScriptTags": False,
        "includeIndicatorStyles": False,
        "historyCacheSize": 0,  # else page text stays in the browser's storage
        "refreshOnHistoryMiss": True,
        "timeout": 15000,
        "responseHandling": [
            {"code": "204", "swap": False},
            {"code": "[23]..", "swap": True},
            {"code": "...", "swap": True, "error": True},
        ],
    },
    separators=(",", ":"),
)


def present_practice() -> Practice:
    """The practice as the gate read it, or read now without a session; a nameless one while the database is away."""
    if g.get("practice") is None:
        try:
            g.practice = the_practice()
        except SQLAlchemyError:
            return new_practice()
    return g.practice


@lru_cache(maxsize=1)
def _bootstrap_css() -> str:
    return url_for("bootstrap.static", filename="css/bootstrap.min.css", v="5")


@lru_cache(maxsize=64)
def _html(locale: Locale | None) -> dict[str, str]:
    """What the first tag of a page says of its language."""
    if locale is None:
        return {"locale": "en", "text_dir": "ltr"}
    return {"locale": str(locale).replace("_", "-"), "text_dir": locale.text_direction}


def set_up(app: Flask) -> None:
    app.jinja_env.filters |= {
        f.__name__: f
        for f in (
            day,
            long_day,
            moment,
            moment_long,
            minutes_long,
            brief,
            stamp,
            wait,
            iso,
            epoch,
            clock,
            time_of_day,
            number,
            phone_link,
            thread_title,
            message_text,
            type_name,
            full_name,
            told,
        )
    }
    app.jinja_env.globals |= {
        f.__name__: f for f in (icon, type_mark, type_word, type_tile, asset, addresses, csrf_field, now, today)
    }
    app.jinja_env.globals |= {"RequestType": RequestType, "_": _in_template, "gettext": _in_template}
    app.jinja_env.globals["url_for"] = link
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True

    @app.context_processor
    def shared() -> dict[str, Any]:
        return {
            **_html(_said().locale),
            "practice": present_practice(),
            "user": g.visitor if g.get("visitor") and not g.visitor.is_expired else None,
            "demo_mode": app.config["IS_DEMO"],
            "htmx_config": Markup(HTMX),  # it stands in single quotes: each double one would be six characters else
            "bootstrap_css": _bootstrap_css(),
        }
