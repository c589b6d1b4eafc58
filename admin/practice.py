"""Practice: what it is called, when it is open, what it promises; its holidays and its logo."""

from dataclasses import asdict, replace
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import wtforms
from babel import Locale
from flask import request
from flask_babel import get_locale
from wtforms import BooleanField, HiddenField, SelectField, StringField, TextAreaField
from wtforms.fields import SelectChoice

from admin import blueprint
from practice import setup
from practice.calendar import countries, regions_of, time_zones
from practice.db import db
from practice.errors import Invalid, Stale
from practice.people import term_key
from practice.settings import SecondStepFor, practice_shown, the_practice
from practice.setup import FIRST_YEAR, LAST_YEAR, Settings
from web.answers import Answer, notice, page, to
from web.asked import version_in
from web.choices import Choices, LongSelectField
from web.facts import WEEKDAYS
from web.formats import gettext as _
from web.formats import lazy_gettext as _l
from web.formats import today
from web.forms import DateField, Form, opened, tidy
from web.gate import drafts_to, upload, visitor

DAYS = range(7)


class ClockField(wtforms.TimeField):
    """A time of day; nothing where nothing was entered."""

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = None
        if valuelist and valuelist[0].strip():
            try:
                self.data = datetime.strptime(valuelist[0].strip(), "%H:%M").time()
            except ValueError:
                raise ValueError(_("Write the time as hours and minutes, such as 08:30")) from None


class NumberField(wtforms.IntegerField):
    """A whole number; nothing where what was entered is none."""

    def process_formdata(self, valuelist: list[str]) -> None:
        text = valuelist[0].strip() if valuelist else ""
        self.data = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


class Marked:
    """Says to the page that a field is required and how long it may be; practice/setup.py checks it."""

    def __init__(self, *, required: bool = True, most: int = 0) -> None:
        self.field_flags = {"required": required} | ({"most": most} if most else {})

    def __call__(self, form: Any, field: Any) -> None:
        pass


def text(label: Any, *, is_required: bool = False) -> StringField:
    return StringField(label, [Marked(required=is_required)], filters=[tidy])


def number(label: Any) -> NumberField:
    return NumberField(label, [Marked()], render_kw={"inputmode": "numeric"})


def one_a_line(text: str) -> str:
    """The lines that say something, each once, whatever its case and accents."""
    lines: dict[str, str] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        lines.setdefault(term_key(line), line)
    return "\n".join(lines.values())


ASKED = {
    SecondStepFor.ADMINS: _l("Admins have to have one"),
    SecondStepFor.STAFF: _l("All staff have to have one"),
    SecondStepFor.NOBODY: _l("Nobody has to have one"),
}


class PracticeForm(Form):
    """What is valid, practice/setup.py alone says: each problem comes back beside its field."""

    name = text(_l("Name"), is_required=True)
    address = text(_l("Address"))
    phone = text(_l("Phone"))
    hours = text(_l("Opening hours as patients read them"))
    emergency_number = text(_l("Emergency number"), is_required=True)
    emergency_text = TextAreaField(
        _l("Emergency text"), [Marked(required=False, most=setup.TEXTS["emergency_text"])], filters=[tidy]
    )
    emergency_words = TextAreaField(
        _l("Emergency words"), [Marked(required=False, most=setup.TEXTS["emergency_words"])], filters=[tidy, one_a_line]
    )
    time_zone = LongSelectField(_l("Time zone"), [Marked()], validate_choice=False)
    country = LongSelectField(_l("Country"), [Marked()], validate_choice=False)
    region = LongSelectField(_l("Region"), [Marked()], validate_choice=False)
    promise_appointment = number(_l("Appointment"))
    promise_result = number(_l("Result"))
    promise_others = number(_l("Others"))
    amendment_days = number(_l("Amendment"))
    claim_hours = number(_l("Claim time"))
    escalate_days = number(_l("Admins are told of what is overdue"))
    unread_days = number(_l("Its author is told of what stays unread"))
    shows_staff_names = BooleanField(_l("Patients see staff names"))
    asks_physician = BooleanField(_l("Referring physician is required"))
    second_step = SelectField(
        _l("Second step of the log-in"),
        [Marked()],
        choices=[SelectChoice(k.value, w) for k, w in ASKED.items()],
        validate_choice=False,
    )
    can_register = BooleanField(_l("Patients may register themselves"))
    version = HiddenField()
    confirmed = HiddenField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.time_zone.offer(_time_zones())
        self.country.offer(_countries(str(get_locale() or "en")))
        self.region.offer((("", _("The whole country")), *_regions(self.country.data or "")))

    def values(self) -> Settings:
        """What was entered, right or wrong."""
        opening = tuple(None if self[f"closed_{n}"].data else (self[f"from_{n}"].data, self[f"to_{n}"].data) for n in DAYS)
        names = Settings.__dataclass_fields__.keys() - {"opening"}
        return Settings(**{name: self[name].data for name in names}, opening=opening)

    def check(self) -> bool:
        """Whether it can be saved; what cannot stands beside its field."""
        self.validate_on_submit()
        for n in DAYS:
            hours = (self[f"from_{n}"], self[f"to_{n}"])
            if not self[f"closed_{n}"].data and not all(field.data for field in hours) and not any(f.errors for f in hours):
                self[f"from_{n}"].errors = [_("Enter from and to, or tick Closed")]
        entered = self.values()
        whole = tuple(hours if hours and all(hours) else None for hours in entered.opening)
        for problem in setup.problems_of(replace(entered, opening=whole)):
            if not self[problem.field].errors and not (problem.field == "closed_0" and whole != entered.opening):
                self.put(problem)
        return not self.errors and not self.form_errors


for _n in DAYS:
    setattr(PracticeForm, f"from_{_n}", ClockField(_l("From")))
    setattr(PracticeForm, f"to_{_n}", ClockField(_l("To")))
    setattr(PracticeForm, f"closed_{_n}", BooleanField(_l("Closed")))


@lru_cache(maxsize=1)
def _time_zones() -> Choices:
    return tuple((zone, zone) for zone in time_zones())


@lru_cache(maxsize=8)
def _countries(language: str) -> Choices:
    names = Locale.parse(language).territories
    return tuple(sorted(((code, f"{names.get(code, code)} ({code})") for code in countries()), key=lambda choice: choice[1]))


def _regions(country: str) -> Choices:
    return tuple((code, f"{name} ({code})" if name != code else code) for code, name in regions_of(country).items())


class DayForm(Form):
    day = DateField(_l("Date"), [Marked()])
    name = text(_l("Name"), is_required=True)


class HolidaysForm(Form):
    version = HiddenField()


# ---- Settings ------------------------------------------------------------------------------------


@blueprint.get("/practice")
def practice() -> Answer:
    return shown(opened(PracticeForm, **saved()))


@blueprint.post("/practice")
@drafts_to("admin.practice")
def save_practice() -> Answer:
    form = PracticeForm()
    if not form.check():
        return shown(form, 422)
    values, now_saved = form.values(), the_practice()
    asked = f"{values.country}/{values.region}"
    if version_in(form.version.data) == now_saved.version and form.confirmed.data != asked:
        other = setup.other_holidays(now_saved, country=values.country, region=values.region, today=today())
        if other.gone or other.new:
            form.confirmed.data = asked
            return shown(form, 422, other=other)
    try:
        setup.save_practice(values, version=version_in(form.version.data), by=visitor().actor, form_key=form.key.data)
    except Invalid as error:
        form.put(error)
        return shown(form, 422)
    except Stale:
        return outdated(form)
    return to("admin.practice", done="saved")


def saved() -> dict[str, Any]:
    """What is saved now, by the names of the form's fields."""
    row = practice_shown()
    values = asdict(setup.settings_of(row))
    for n, hours in enumerate(values.pop("opening")):
        values |= {f"from_{n}": hours and hours[0], f"to_{n}": hours and hours[1], f"closed_{n}": hours is None}
    return values | {"version": str(row.version)}


def outdated(form: PracticeForm) -> Answer:
    """Saved by somebody else meanwhile: both states side by side; what was typed stays, and a second *Save* takes it."""
    db.session.close()
    theirs = PracticeForm(formdata=None, **saved())
    form.version.data = theirs.version.data
    changes = []
    for field in form:
        if field.name in ("version", "confirmed", "key", "csrf_token") or field.data == theirs[field.name].data:
            continue
        n = field.name.rpartition("_")[2]
        label = f"{WEEKDAYS[int(n)]}: {field.label.text}" if n.isdigit() else str(field.label.text)
        changes.append((label, worded(field), worded(theirs[field.name])))
    return shown(form, 409, changes=changes, is_stale=True)


def worded(field: Any) -> str:
    if isinstance(field, BooleanField):
        return _("Yes") if field.data else _("No")
    if isinstance(field, SelectField):
        return next((str(choice[1]) for choice in field.iter_choices() if choice[2]), str(field.data or ""))
    return str(field.data or "") if not isinstance(field, ClockField) else field._value()


def shown(form: Any, status: int = 200, **context: Any) -> Answer:
    values: dict[str, Any] = {
        "form": form,
        "weekdays": WEEKDAYS,
        "notice": notice(),
        "other": None,
        "changes": [],
        "is_stale": False,
        "logo_error": "",
    }
    return page("admin/practice.html", "admin/_practice.html", status, **values | context)


# ---- Logo ----------------------------------------------------------------------------------------


@blueprint.post("/practice/logo")
@upload(10 * 1024 * 1024)
def save_logo() -> Answer:
    """A page of its own answers what cannot be taken: a file is never kept in a form."""
    is_removed = request.form.get("action") == "remove"
    file = request.files.get("logo")
    try:
        setup.save_logo(None if is_removed else file.read() if file else b"", by=visitor().actor)
    except Invalid as error:
        return shown(opened(PracticeForm, **saved()), 422, logo_error=_(str(error)))
    return to("admin.practice", done="saved")


# ---- Holidays ------------------------------------------------------------------------------------


@blueprint.get("/practice/holidays")
def holidays() -> Answer:
    return holidays_page(opened(DayForm))


@blueprint.post("/practice/holidays")
def save_holidays() -> Answer:
    form, year = HolidaysForm(), year_of(request.form.get("year", ""))
    ticked = [day for said in request.form.getlist("closed")[:400] if (day := day_in(said))]
    closed = [day for day in ticked if day.isoformat() != request.form.get("remove")]
    try:
        setup.save_holidays(year, closed=closed, version=version_in(form.version.data), by=visitor().actor)
    except Stale:
        db.session.close()
        return holidays_page(opened(DayForm), 409, year=year, yours=closed)
    return to("admin.holidays", year=year, done="saved")


@blueprint.post("/practice/holidays/days")
@drafts_to("admin.holidays")
def add_closed_day() -> Answer:
    form = DayForm()
    if form.validate_on_submit():
        try:
            day = setup.add_closed_day(form.day.data, name=form.name.data, by=visitor().actor, form_key=form.key.data)
            return to("admin.holidays", year=day.year, done="saved")
        except Invalid as error:
            form.put(error)
    return holidays_page(form, 422, year=year_of(request.form.get("year", "")))


def year_of(said: str) -> int:
    """A year that can be shown, else the present one."""
    year = int(said) if said.isascii() and said.isdigit() and len(said) == 4 else 0
    return year if FIRST_YEAR <= year <= LAST_YEAR else today().year


def day_in(said: str) -> date | None:
    try:
        return date.fromisoformat(said)
    except ValueError:
        return None


def holidays_page(form: Any, status: int = 200, *, year: int | None = None, yours: list[date] | None = None) -> Answer:
    """`yours`: the days ticked in a form that came too late; they stay ticked, beside what is saved now."""
    year = year or year_of(request.args.get("year", ""))
    row = practice_shown()
    context: dict[str, Any] = {
        "form": form,
        "year": year,
        "first_year": FIRST_YEAR,
        "last_year": LAST_YEAR,
        "rows": setup.holidays_of(row, year),
        "yours": yours,
        "version": row.version,
        "region": regions_of(row.country).get(row.region, ""),
        "country": dict(_countries(str(get_locale() or "en"))).get(row.country, row.country),
        "notice": notice(),
    }
    return page("admin/holidays.html", "admin/_holidays.html", status, **context)
