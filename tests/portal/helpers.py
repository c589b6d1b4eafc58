"""What several tests of the patient's side ask."""

import sqlalchemy as sa

from practice.db import COMMAND, db, transaction
from practice.settings import the_practice
from practice.threads import Thread


def change_practice(**values):
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        practice = the_practice(tx.session)
        for name, value in values.items():
            setattr(practice, name, value)


def none_sent():
    db.session.close()
    return db.session.scalar(sa.select(sa.func.count()).select_from(Thread)) == 0


def locked(shown: str) -> str:
    """How a page shows a value that the server decides, to its last character."""
    return f">\n{shown}</textarea>"
