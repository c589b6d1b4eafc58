"""What a verb can refuse. Each carries the HTTP status that says the same, so that the web answers all of them in one place."""

from typing import Any


class Refused(Exception):
    """A verb said no; nothing was stored."""

    status = 400


class NotVisible(Refused):
    """It is not there, or not for this person: the two are never told apart."""

    status = 404


class NotAllowed(Refused):
    """The person may see it but not do this."""

    status = 403


class Invalid(Refused):
    """A value cannot be taken. `field` names it, the text says what to do: a sentence of the catalogue, with %(places)s for
    the `values` of this case."""

    status = 422

    def __init__(self, field: str, text: str, **values: Any) -> None:
        super().__init__(text % values if values else text)
        self.field, self.text, self.values = field, text, values


class TooLarge(Refused):
    """More than is taken at once."""

    status = 413


class Stale(Refused):
    """Somebody else was faster: what was seen is no longer so."""

    status = 409


class BeingSent(Stale):
    """An answer to the patient is on its way: until it has arrived or was recalled nothing else changes the thread."""


class Recalled(Stale):
    """The answer that was read, or this very form, was taken back meanwhile."""


class SentBefore(Refused):
    """The form's key was sent already, with other words; `thread_key`, `title` and `body` are what was sent then."""

    status = 409

    def __init__(self, thread_key: str, title: str, body: str) -> None:
        super().__init__("sent before with other words")
        self.thread_key, self.title, self.body = thread_key, title, body


class TooMany(Refused):
    """A limit is reached; `retry_after` seconds later it works again."""

    status = 429

    def __init__(self, retry_after: int) -> None:
        super().__init__("too many")
        self.retry_after = retry_after
