"""Dropdowns with so many choices that these are written out once, not in each request."""

from collections.abc import Iterator
from functools import lru_cache

from markupsafe import Markup, escape
from wtforms import SelectField
from wtforms.fields.choices import Choice

Choices = tuple[tuple[str, str], ...]  # values and words


@lru_cache(maxsize=32)
def _written(choices: Choices) -> str:
    return "".join(f'<option value="{escape(value)}">{escape(words)}</option>' for value, words in choices)


def options(choices: Choices, chosen: str | None) -> Markup:
    """The options of a dropdown, the chosen one selected."""
    value = f'<option value="{escape(chosen or "")}"'
    return Markup(_written(choices).replace(f"{value}>", f"{value} selected>", 1))  # noqa: S704 - each part is escaped


class LongSelectField(SelectField):
    """Its choices are given by `offer`, once it has its value."""

    offered: Choices = ()

    def offer(self, choices: Choices) -> None:
        """These; and what was chosen where it is none of them: it stays to be seen."""
        is_known = not self.data or any(value == self.data for value, _words in choices)
        self.offered = choices if is_known else ((self.data, self.data), *choices)

    def iter_choices(self) -> Iterator[Choice]:
        return (Choice(value, words, value == self.data, {}) for value, words in self.offered)

    @property
    def options(self) -> Markup:
        return options(self.offered, self.data)
