"""Forms: text cleaned the way it is kept, a key against sending twice, errors from verbs put beside their fields."""

import unicodedata
from datetime import date
from functools import lru_cache
from typing import Any

import wtforms
from flask import request
from flask_babel import get_locale, gettext
from flask_wtf import FlaskForm
from werkzeug.datastructures import MultiDict
from wtforms import Field, HiddenField, SelectField
from wtforms.i18n import get_translations
from wtforms.validators import StopValidation, ValidationError

from practice.conversations import is_visible
from practice.db import new_key
from practice.drafts import draft_about, draft_values, draft_version
from practice.errors import Invalid, NotVisible
from web.asked import version_in
from web.formats import lazy_gettext as _l
from web.gate import NEVER_KEPT, UNSAFE, visitor

KEY_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def tidy(text: str | None) -> str:
    """Line ends LF, NFC, no blanks at the ends; raises ValueError for what no database takes."""
    text = unicodedata.normalize("NFC", (text or "").replace("\r\n", "\n").replace("\r", "\n")).strip()
    if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text):
        raise ValueError(_l("Remove the characters that cannot be shown."))
    return text if is_visible(text) else ""


class Filled:
    """Something other than blanks. `text` says what to do."""

    field_flags = {"required": True}

    def __init__(self, text: Any) -> None:
        self.text = text

    def __call__(self, form: Any, field: Field) -> None:
        if not field.errors and (not field.data or (isinstance(field.data, str) and not field.data.strip())):
            raise StopValidation(self.text)


class AtMost:
    """At most so many code points, counted as they are kept. `text` says so."""

    def __init__(self, most: int, text: Any) -> None:
        self.most, self.text = most, text
        self.field_flags = {"most": most}

    def __call__(self, form: Any, field: Field) -> None:
        if field.data and len(field.data) > self.most:
            raise ValidationError(self.text)


class DateField(wtforms.DateField):
    """A day; nothing where nothing was entered. `years`: those it may be of; None: any."""

    def __init__(self, label: Any, validators: Any = None, *, years: range | None = None, **more: Any) -> None:
        super().__init__(label, validators, **more)
        self.years = years

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = None
        if not valuelist or not valuelist[0].strip():
            return
        try:
            day = date.fromisoformat(valuelist[0].strip())
        except ValueError:
            raise ValueError(gettext("Write the date as year-month-day, such as 2026-12-01")) from None
        if self.years and day.year not in self.years:
            first, last = str(self.years[0]), str(self.years[-1])
            raise ValueError(gettext("Choose a day between the years %(first)s and %(last)s.", first=first, last=last))
        self.data = day


@lru_cache(maxsize=32)
def _words_of_wtforms(language: str) -> Any:
    return get_translations([language])


class Meta(FlaskForm.Meta):
    """What all forms share."""

    def wrap_formdata(self, form: Any, formdata: Any) -> Any:
        """Only what a form posts as text: no JSON, no file in the place of a text."""
        if formdata is not None and not hasattr(formdata, "getlist"):  # Flask-WTF's mark for "take it from the request"
            return request.form if request.method in UNSAFE else None
        return formdata

    def get_translations(self, form: Any) -> Any:
        """WTForms' own words: its catalogue is read from disk once for each language, not in each request."""
        return _words_of_wtforms(str(get_locale() or "en"))


class Form(FlaskForm):
    """A form with its own key (also its draft's). Without JavaScript and with it, the same."""

    Meta = Meta
    key = HiddenField(filters=[lambda k: k if k and len(k) <= 22 else new_key()])
    draft_version = 0  # the version of its draft that the page knows
    over = 0  # the version of a newer draft that its author was told of: the next time this form is sent in its place
    emergency: list[str] = []  # words of an emergency in it, of which its author is to be warned

    def process(self, *args: Any, **kwargs: Any) -> None:
        """What is no text of a person (a key, a choice) and holds a NUL is nothing: PostgreSQL would not even compare it."""
        super().process(*args, **kwargs)
        if request.method in UNSAFE:
            self.draft_version = max(version_in(request.form.get("draft_version")), 0)
        for field in self:
            if isinstance(field, (HiddenField, SelectField)) and "\0" in str(field.data or ""):
                field.data = ""

    def validate(self, extra_validators: Any = None) -> bool:
        is_valid = super().validate(extra_validators)
        return self._is_newest() and is_valid

    def _is_newest(self) -> bool:
        """Whether no other window or device saved other words meanwhile: sending deletes them, so their author is told first."""
        if "draft_version" not in request.form or not self.key.data:
            return True
        me, key = visitor().person_id, self.key.data
        self.over = draft_version(me, key)
        kept = draft_values(me, key) or {}
        if self.over <= self.draft_version or all(
            _same(kept.get(f.name, []), f.name) for f in self if f.name not in (*NEVER_KEPT, "key")
        ):
            self.draft_version = max(self.draft_version, self.over)
            return True
        if version_in(request.form.get("over")) == self.over:
            return True
        self.form_errors.append(
            gettext(
                "A newer version of this draft was saved in another window or on another device. You find it under Drafts. "
                "If you send this form once more, it replaces the newer version."
            )
        )
        return False

    def put(self, error: Invalid) -> None:
        """Shows what a verb refused beside its field, or above all where it has none."""
        field, says = getattr(self, error.field, None), gettext(error.text, **error.values)
        if isinstance(field, Field):
            field.errors = [*field.errors, says]
        else:
            self.form_errors.append(says)


def _same(kept: list[str], field: str) -> bool:
    """Whether a draft says in this field what the sent form says; browsers send line ends as they like."""
    return " ".join(kept).split() == " ".join(request.form.getlist(field)).split()


def opened(form: type[Form], *, about: str = "", **defaults: Any) -> Form:
    """A form for showing: filled from the author's draft, else from defaults, with a new key.

    The draft is the one that the address names, else the newest of the page `about`.
    """
    me = visitor().person_id
    key = request.args.get("draft", "")[:22] or (draft_about(me, about) if about else "")
    version = draft_version(me, key) if key else 0  # before the text: one saved in between is told of, never overwritten
    values = draft_values(me, key) if version else None
    if values:
        shown = form(formdata=MultiDict([(n, v) for n, vs in values.items() for v in vs]), meta={"csrf": False})
        shown.key.data, shown.draft_version = key, version
        return shown
    return form(formdata=None, meta={"csrf": False}, key=new_key(), **defaults)


# ---- What an address or a form says --------------------------------------------------------------


def is_key(text: str) -> bool:
    """Whether this can be the key of a row; nothing else is ever asked of the database."""
    return len(text) == 22 and KEY_CHARACTERS.issuperset(text)


def must_be_key(key: str) -> None:
    """Raises NotVisible for what can be the key of nothing."""
    if not is_key(key):
        raise NotVisible


def keys_in(name: str) -> list[str]:
    """The keys that the sent form carries under `name`, each once."""
    return [key for key in dict.fromkeys(request.form.getlist(name)) if is_key(key)]


def page_number(text: str | None) -> int:
    """The page that an address or a form names; the first for anything else."""
    return max(int(text), 1) if text and text.isascii() and text.isdigit() and len(text) < 6 else 1


def paged(found: list[Any], *, before: str, after: str, size: int) -> tuple[list[Any], str, str]:
    """The rows of a page, and the keys beyond which the newer and the older ones lie, empty where there are none.

    `found`: the newest first, one more than a page where there are more beyond the key that was named.
    """
    rows, is_more = (found[-size:], len(found) > size) if after else (found[:size], len(found) > size)
    has_newer, has_older = (is_more, True) if after else (bool(before), is_more)
    return rows, rows[0].key if rows and has_newer else "", rows[-1].key if rows and has_older else ""


class KeysField(Field):
    """Keys of rows, each in an input of the same name. `gone`: what to say when one cannot be a key."""

    data: list[str]

    def __init__(self, label: Any, *, gone: Any, **more: Any) -> None:
        super().__init__(label, **more)
        self.gone = gone

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = list(dict.fromkeys(valuelist))
        if not all(map(is_key, self.data)):
            self.data = [key for key in self.data if is_key(key)]
            raise ValueError(self.gone)

    def process_data(self, value: Any) -> None:
        self.data = list(value or [])
