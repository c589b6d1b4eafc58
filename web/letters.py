"""What the practice writes about an amendment as a letter to print: each decision is one message, and one letter."""

from typing import Any

from practice.amendments import amendment_of
from practice.db import now
from practice.errors import NotVisible
from practice.settings import RequestType
from practice.threads import Opened, reference_of
from web.facts import wanted_facts


def letter_of(thread: Opened, key: str) -> dict[str, Any]:
    """What the page of a letter shows, for patient and staff alike. Raises NotVisible for any other message."""
    sent = (m for m in thread.messages if not m.is_from_patient and m.sent_at <= now())
    letter = next((m for m in sent if m.key == key), None)
    if letter is None or thread.head.type != RequestType.AMENDMENT:
        raise NotVisible
    asked = amendment_of(thread.head.id)
    facts = wanted_facts(asked) if asked else []
    return {"head": thread.head, "letter": letter, "reference": reference_of(thread.head.id), "facts": facts}
