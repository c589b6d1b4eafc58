"""The row that a member of staff leaves by looking at a thread, whichever side it is read on (45 CFR 164.312(b))."""

from datetime import UTC

from practice.db import WRITE, db, now, small_write
from practice.threads import log_read
from web.gate import visitor


def note_look(thread: int) -> None:
    """Writes it down, once an hour for each thread. To be called before anything is shown: if it fails, nothing is."""
    at = now()
    values = {
        "person_id": visitor().person_id,
        "thread_id": thread,
        "hour": int(at.replace(tzinfo=UTC).timestamp() // 3600),
        "at": at,
    }
    small_write(log_read(db.engines[WRITE].dialect.name), values, waits=True)
