"""What the forms of a request's steps have in common."""

from typing import Any

from wtforms import HiddenField, TextAreaField

from practice.appointments import Slot
from web.formats import lazy_gettext as _l
from web.forms import AtMost, Filled, Form, tidy

NOTE_MAX = 5000
NOTE = [AtMost(NOTE_MAX, _l("Use at most 5,000 characters."))]


class StepForm(Form):
    """What each of them carries: the last message that was read, and the doubts that were shown before it was sent again."""

    seen = HiddenField()
    doubts = HiddenField()

    def body(self) -> str:
        """What the patient reads."""
        raise NotImplementedError

    def slots(self) -> list[Slot]:
        """Which times it names."""
        return []


def lines(*said: tuple[str, Any], first: str, note: str | None) -> str:
    """The words of a message: what it is, what it says by name, and the note."""
    stated = "\n".join(f"{name}: {value}" for name, value in said if value)
    return "\n\n".join(part for part in (first, stated, note) if part)


class ReasonForm(StepForm):
    """`first`: what the message says before the reason."""

    first: Any = ""
    note = TextAreaField(_l("Reason"), [Filled(_l("Say why.")), *NOTE], filters=[tidy], render_kw={"data-focus": ""})

    def body(self) -> str:
        return lines(first=str(self.first), note=self.note.data)
