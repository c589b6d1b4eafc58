"""Audit: who did what, when and from where, and what staff read. What is sought is kept with the session; the address only
carries its key, or the key of the thing that all the rows are about (?about=), and the time and number of the row from which
the page goes on."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from flask import Response, make_response, request, url_for
from wtforms import HiddenField, SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import ValidationError

from admin import blueprint
from admin.audit_words import Words, words_here
from practice import audit as seals
from practice import sessions, trail
from practice.absences import start_of_day
from practice.db import db
from practice.errors import Invalid, NotVisible
from practice.people import Kind
from practice.trail import Line, Someone, Sought, Subject, Which
from web.answers import Answer, is_htmx, page
from web.choices import LongSelectField
from web.formats import gettext, local, present_practice, type_name
from web.formats import gettext as _
from web.formats import lazy_gettext as _l
from web.forms import AtMost, Form, is_key, opened, tidy
from web.gate import visitor
from web.spreadsheets import comma_separated, xlsx

EXPORT_MAX = 50_000
NAME_MAX = 200
KINDS = [
    SelectChoice(Which.ALL.value, _l("Everything")),
    SelectChoice(Which.CHANGES.value, _l("Changes")),
    SelectChoice(Which.READS.value, _l("Reads")),
    SelectChoice(Which.DENIALS.value, _l("Denials")),
    SelectChoice(Which.LOG_INS.value, _l("Log-ins")),
    SelectChoice(Which.RECORDS.value, _l("Records opened or taken along")),
]
DAY = re.compile(r"2[01][0-9]{2}-[0-9]{2}-[0-9]{2}", re.ASCII)
KEPT = ("person", "patient", "kind", "did", "since", "until", "person_key", "patient_key", "about")


class AuditForm(Form):
    person = StringField(
        _l("Who"), [AtMost(NAME_MAX, _l("Use at most 200 characters."))], filters=[tidy], render_kw={"autocomplete": "off"}
    )
    patient = StringField(
        _l("Patient"), [AtMost(NAME_MAX, _l("Use at most 200 characters."))], filters=[tidy], render_kw={"autocomplete": "off"}
    )
    kind = SelectField(_l("Kind"), choices=KINDS, filters=[lambda value: value or ""])
    did = LongSelectField(_l("What"), filters=[lambda value: value or ""], validate_choice=False)
    since = StringField(_l("From"), filters=[lambda text: (text or "").strip()])
    until = StringField(_l("To"), filters=[lambda text: (text or "").strip()])
    person_key = HiddenField()
    patient_key = HiddenField()
    about = HiddenField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.did.offer(words_here().choices)

    def validate_since(self, field: StringField) -> None:
        if field.data and day_of(field.data) is None:
            raise ValidationError(_("Write the date as year-month-day, such as 2026-12-01"))

    def validate_until(self, field: StringField) -> None:
        self.validate_since(field)
        first, last = day_of(self.since.data), day_of(field.data)
        if first and last and last < first:
            raise ValidationError(_("The last day is before the first day."))


# ---- Views ---------------------------------------------------------------------------------------


@blueprint.get("/audit")
def audit() -> Answer:
    values, key = asked_for(request.args)
    return shown(form_with(values), values, key)


@blueprint.post("/audit/searches")
def search_audit() -> Answer:
    form = AuditForm()
    if not form.validate_on_submit():
        return shown(form, {}, "", 422)
    try:
        choices = {name: choice_of(form, name) for name in ("person", "patient")}
    except Invalid as error:
        form.put(error)
        return shown(form, {}, "", 422)
    if any(choices.values()):
        return shown(form, {}, "", 422, choices=choices)
    values = {name: str(form[name].data or "") for name in KEPT}
    key = sessions.keep_filter(visitor(), values) if any(values.values()) else ""
    address = url_for("admin.audit", filter=key or None)
    if not is_htmx():
        return make_response("", 303, {"Location": address})
    answer: Response = make_response(shown(form_with(values), values, key, is_searched=True))
    answer.headers["HX-Push-Url"] = address
    return answer


@blueprint.post("/audit/exports")
def export_audit() -> Answer:
    """The newest rows of what is sought, as a file; leaves an audit row itself."""
    values, key = asked_for(request.form)
    if key and not values:
        raise NotVisible
    is_xlsx = request.form.get("format") != "csv"
    sought = sought_by(values)
    head = [_("When"), _("Who"), _("From where"), _("What"), _("About"), _("Patient"), _("Record number"), _("Change")]
    made = (xlsx if is_xlsx else comma_separated)(head, cells(sought), name="audit")
    seals.note(
        by=visitor().actor,
        did="export_audit",
        patient=sought.patient,
        details={"format": "xlsx" if is_xlsx else "csv"}
        | {n: v for n, v in values.items() if v and n not in ("person", "patient")},
    )
    return made


def form_with(values: dict[str, str]) -> Any:
    """The filter's form. (`about` is a field here, and to `opened` the page of a draft.)"""
    form = opened(AuditForm, **{name: value for name, value in values.items() if name != "about"})
    if "about" in values:
        form.about.data = values["about"]
    return form


# ---- What is sought ------------------------------------------------------------------------------


def asked_for(said: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """What the address or the form names: all about one thing, or a kept filter, and its key."""
    if is_key(about := said.get("about", "")):
        return {"about": about}, ""
    key = said.get("filter", "")
    return kept(key), key


def kept(key: str) -> dict[str, str]:
    return sessions.kept_filter(visitor(), key) if is_key(key) else {}


def day_of(text: str) -> date | None:
    """The day that is written; None for what is none, or so far away that nothing was done then."""
    try:
        return date.fromisoformat(text) if DAY.fullmatch(text) else None
    except ValueError:
        return None


def choice_of(form: AuditForm, name: str) -> list[Someone]:
    """The people among whom to choose; none when the form names one, or nobody at all. Raises Invalid."""
    text, key = form[name].data, form[f"{name}_key"]
    if not text or (name == "person" and other_named(text)):
        key.data = ""
        return []
    found = trail.people_found(db.session(), text, kinds=[Kind.PATIENT] if name == "patient" else list(Kind))
    if len(found) > trail.MOST_PEOPLE:
        raise Invalid(name, "Too many people are called like this. Write more of the name.")
    chosen = next((one for one in found if one.key == key.data), found[0] if len(found) == 1 else None)
    if not found:
        raise Invalid(name, "Nobody is called like this.")
    key.data = chosen.key if chosen else ""
    return [] if chosen else found


def other_named(text: str) -> str:
    """Which of those who are no person is meant, by its name or by the words the page has for it."""
    low = text.strip().casefold()
    return next((name for name, word in words_here().others.items() if low in (name, word.casefold())), "")


def sought_by(values: dict[str, str]) -> Sought:
    """The question of a kept filter. A person who is gone is nobody: nothing is found."""

    def id_of(key: str) -> int | None:
        person = trail.person_with(db.session(), key) if key else None
        return person.id if person else 0 if key else None

    zone = present_practice().time_zone
    since, until = day_of(values.get("since", "")), day_of(values.get("until", ""))
    return Sought(
        which=Which(values["kind"]) if values.get("kind") in list(Which) else Which.ALL,
        did=values.get("did", "")[:40],
        person=id_of(values.get("person_key", "")),
        other=other_named(values.get("person", "")),
        patient=id_of(values.get("patient_key", "")),
        about=values.get("about", "")[:80],
        since=start_of_day(since, zone) if since else None,
        until=start_of_day(until + timedelta(days=1), zone) if until else None,
    )


# ---- What is shown -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A line in words."""

    line: Line
    at: str
    who: str
    did: str
    subject: Subject | None
    about: str
    is_linked: bool  # to all that was done about the same
    patient: Someone | None
    changes: list[tuple[str, str, str]]


def in_words(lines: list[Line]) -> list[Row]:
    """Two statements for however many lines."""
    people, subjects = trail.people_of(db.session(), lines), trail.subjects_of(db.session(), lines)
    words = words_here()
    return [in_words_of(line, words, people, subjects) for line in lines]


def in_words_of(line: Line, words: Words, people: dict[int, Someone], subjects: dict[str, Subject]) -> Row:
    nameless = people.get(line.person or 0)
    who = line.who if line.person else words.others.get(line.who, line.who)
    subject = subjects.get(line.about)
    return Row(
        line,
        stamp_to_second(line.at),
        who or (nameless.name if nameless else ""),
        words.verb(line.did),
        subject,
        about_in_words(line.about, words, subject),
        is_key(line.about),
        people.get(line.patient or 0),
        words.changes(line.details),
    )


def about_in_words(about: str, words: Words, subject: Subject | None) -> str:
    """What it is now and what it is called; a thread by its type alone. What is gone or has no name: its key."""
    if subject is None:
        return about
    kind = subject.kind if subject.table == "person" else subject.table
    name = type_name(subject.kind) if subject.table == "thread" else subject.name
    return gettext("%(kind)s: %(name)s", kind=words.tables.get(kind, kind), name=name)


def stamp_to_second(at: datetime) -> str:
    """2026-11-25 18:43:07, the practice's time."""
    return f"{local(at):%Y-%m-%d %H:%M:%S}"


def cells(sought: Sought) -> Iterator[list[str]]:
    """The rows of the export, with a last one that says so where it is cut; a thousand in memory."""
    held: list[Line] = []
    count = 0
    for line in trail.every(db.session(), sought, at_most=EXPORT_MAX + 1):
        count += 1
        if count > EXPORT_MAX:
            break
        held.append(line)
        if len(held) == trail.CHUNK:
            yield from map(cells_of, in_words(held))
            held = []
    yield from map(cells_of, in_words(held))
    if count > EXPORT_MAX:
        yield [_("Cut here: only the newest 50,000 rows are given. Choose a shorter time to get the others.")]


def cells_of(row: Row) -> list[str]:
    changed = "\n".join(f"{name}: {before} → {after}" if before else f"{name}: {after}" for name, before, after in row.changes)
    reference = f"{row.about} ({row.line.about})" if row.subject else row.about
    patient = row.patient
    number = patient.detail if patient else ""
    return [row.at, row.who, row.line.address, row.did, reference, patient.name if patient else "", number, changed]


def shown(form: Any, values: dict[str, str], key: str, status: int = 200, **context: Any) -> tuple[str, int]:
    found, rows = None, []
    if status == 200:
        sought = sought_by(values)
        found = trail.page_of(db.session(), sought, place(sought))
        rows = in_words(found.rows)
    carried: dict[str, Any] = {"filter": key or None, "about": (values.get("about") or None) if not key else None}
    sealed = seals.sealed_up_to()
    lines = found.rows if found else []
    return page(
        "admin/audit.html",
        "admin/_audit.html",
        status,
        form=form,
        rows=rows,
        found=found,
        is_sought=any(values.values()),
        key=key,
        sealed=sealed,
        sealed_at=stamp_to_second(sealed.at) if sealed else "",
        newer=url_for("admin.audit", after=lines[0].place, **carried) if found and lines and found.has_newer else "",
        older=url_for("admin.audit", before=lines[-1].place, **carried) if found and lines and found.has_older else "",
        **{"choices": {}, "is_searched": False} | context,
    )


def place(sought: Sought) -> trail.Place | None:
    """Where the address says that the page begins; nothing else is asked of the database."""
    for side in ("before", "after"):
        if text := request.args.get(side):
            return trail.place_at(db.session(), sought, text[:64], is_newer=side == "after")
    return None
