"""What is stored, held against what was acknowledged."""

from collections import Counter

from tests.faults.book import must
from tests.faults.senders import Tally
from tests.faults.stage import Stage


def check(stage: Stage, name: str, tally: Tally) -> str:
    """The figures of all that was sent under a name. Raises Broken where one is not nought."""
    like = {"like": f"{name}-%"}
    rows = stage.rows("SELECT id, form_key, body, thread_id FROM message WHERE body LIKE :like", **like)
    stored = {row.form_key for row in rows}
    lost = tally.acknowledged.keys() - stored
    doubled = len(rows) - len({row.body for row in rows})
    written = Counter(row.thread_id for row in rows)
    audited = {
        row.thread: row.number
        for row in stage.rows(
            "SELECT t.id AS thread, count(*) AS number FROM audit a JOIN thread t ON t.key = a.about"
            " WHERE a.did IN ('send', 'reply') GROUP BY t.id"
        )
    }
    no_audit = sum(max(0, number - audited.get(thread, 0)) for thread, number in written.items())
    told = Counter(
        (row.message_id, row.person_id)
        for row in stage.rows(
            "SELECT o.message_id, o.person_id FROM outbox o JOIN message m ON m.id = o.message_id"
            " WHERE m.body LIKE :like AND o.occasion = 'waiting'",
            **like,
        )
    )
    untold = len(rows) * len(stage.told) - len(told.keys() & {(row.id, person) for row in rows for person in stage.told})
    twice = sum(number > 1 for number in told.values())
    miscounted = stage.value(
        "SELECT count(*) FROM audience a WHERE a.unread <> (SELECT count(*) FROM thread t WHERE t.audience_id = a.id"
        " AND t.is_unread)"
    )
    figures = (
        f"{len(tally.acknowledged)} acknowledged, {len(rows)} stored, {len(lost)} lost, {doubled} doubled,"
        f" {no_audit} without audit, {untold} without notice"
    )
    must(tally.acknowledged, f"nobody could send: {dict(tally.statuses)}")
    must(not lost and not doubled and not no_audit and not untold and not twice, f"{figures}, {twice} told twice")
    must(not miscounted, f"{figures}; {miscounted} audiences are counted wrong")
    return figures
