"""Placeholders of canned replies: {patient}, {me}, {date}. No answer leaves with one in it.

One is a single word in braces without a blank, in any language: {name}, {first_name}. All other braces are ordinary text: { x },
{1, 2}, {}. So whoever wants a word in braces puts blanks around it.
"""

import re
from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from practice.errors import Invalid
from practice.people import Person, letter_name

KNOWN = ("patient", "me", "date")
_PLACEHOLDER = re.compile(r"\{([^\W\d][\w-]{0,40})\}")


def placeholders_in(text: str) -> list[str]:
    """Those that stand in the text, with their braces, each once."""
    return list(dict.fromkeys(found[0] for found in _PLACEHOLDER.finditer(text)))


def unknown_in(text: str) -> list[str]:
    return [one for one in placeholders_in(text) if one[1:-1].lower() not in KNOWN]


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with its placeholders filled, each once: what is inserted is not looked at again. Without a value it stays."""
    return _PLACEHOLDER.sub(lambda found: values.get(found[1].lower()) or found[0], text)


def letter_names(session: Session, *people: int) -> list[str]:
    """How a letter names each of these people."""
    names = sa.select(Person.id, Person.last_name, Person.first_name).where(Person.id.in_(people))
    found = {row.id: letter_name(row.last_name, row.first_name) for row in session.execute(names)}
    return [found[person] for person in people if person in found]


def unfilled_in(session: Session, text: str, *people: int) -> list[str]:
    """Placeholders that still stand in a text for a patient; the names of these people may hold braces of their own."""
    if not placeholders_in(text):
        return []
    for name in filter(None, letter_names(session, *people)):
        text = text.replace(name, " ")
    return placeholders_in(text)


def must_be_filled(session: Session, text: str, *people: int) -> None:
    """Raises Invalid for an answer in which a placeholder still stands."""
    if left := unfilled_in(session, text, *people):
        raise Invalid(
            "body",
            "Not sent: write what is meant in place of %(left)s. If the braces are meant as they are, put blanks inside them.",
            left=", ".join(left),
        )
