"""Fields of the patient's forms: what comes out is typed (dates, times, enums), what is not on offer is refused."""

from collections.abc import Callable
from datetime import datetime, time
from typing import Any

import wtforms
from flask_babel import gettext as _
from wtforms import Field
from wtforms.fields.choices import SelectChoice
from wtforms.validators import StopValidation

from practice.conversations import promised_by, was_sent
from practice.db import now
from practice.settings import MenuItem, RequestType, SwitchedOff, facilities, is_on
from web.formats import present_practice
from web.gate import visitor


def typed(values: dict[str, Any]) -> Callable[[Any], Any]:
    """A coerce function: the value of a word on offer, itself where it is one already, None for what is not on offer."""
    known = {value: value for value in values.values()} | values
    return known.get


class Known:
    """Only what is on offer. `text` says so. Stands before the other validators, because an unknown word reads as nothing."""

    def __init__(self, text: Any) -> None:
        self.text = text

    def __call__(self, form: Any, field: Field) -> None:
        found = field.data if isinstance(field.data, list) else [field.data]
        if any(field.raw_data or ()) and None in found:
            raise StopValidation(self.text)


class Chosen:
    """One of the choices; "No" is one too. `text` says what to do."""

    field_flags = {"required": True}

    def __init__(self, text: Any) -> None:
        self.text = text

    def __call__(self, form: Any, field: Field) -> None:
        if field.data is None and not field.errors:
            raise StopValidation(self.text)


def offer_facilities(field: wtforms.SelectField) -> None:
    """The practice's facilities as choices; where there is only one, the server decides, whatever the form says."""
    offered = [SelectChoice(f.key, ", ".join(filter(None, (f.name, f.address)))) for f in facilities()]
    if len(offered) == 1:
        field.data = offered[0].value
    else:
        offered.insert(0, SelectChoice("", _("Choose")))
    field.choices = offered


HALF_HOURS = {f"{at.hour:02}:{at.minute:02}": at for at in (time(m // 60, m % 60) for m in range(9 * 60, 18 * 60 + 1, 30))}


def must_be_on(item: MenuItem, *, form_key: str = "") -> None:
    """Refuses a part that is switched off, in pages that were open before too. Raises SwitchedOff.

    `form_key` of a form that was sent before it was switched off: its repeat is answered as the first time.
    """
    if not is_on(present_practice(), item) and not was_sent(visitor().person_id, form_key.replace("\0", "")):
        raise SwitchedOff(item)


def answer_by(kind: RequestType) -> datetime:
    """The promise for what is sent now."""
    return promised_by(present_practice(), kind, now())
