"""A process that dies between insert and commit leaves nothing by half; what it acknowledged is there."""

import subprocess
import sys
import textwrap
from pathlib import Path

import sqlalchemy as sa

from practice.db import db
from tests.practice.test_conversations import numbers, rows

DIES = """
    import os, signal
    from practice import conversations, db as database
    from practice.db import new_key
    from practice.settings import RequestType
    from tests.conftest import test_settings
    from wsgi import create_app

    url, patient, to, dies = {url!r}, {patient}, {to!r}, {dies}
    app = create_app(test_settings(url))
    with app.app_context():
        if dies:
            finish = database._finish
            def finish_and_die(commit):
                finish(commit)
                commit.session.flush()
                os.kill(os.getpid(), signal.SIGKILL)
            database._finish = finish_and_die
        by = database.Actor(patient)
        sent = conversations.send(patient, kind=RequestType.OTHERS, title="A", body="B", to=to, form_key=new_key(), by=by)
        print(sent.thread_key)
"""


def run(cast, *, dies: bool) -> subprocess.CompletedProcess[str]:
    url = cast.app.config["MIGRATION_DATABASE_URL"]
    script = textwrap.dedent(DIES).format(url=url, patient=cast.sophie.id, to=cast.communicator("Clinicians"), dies=dies)
    db.session.close()
    root = Path(__file__).parent.parent
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=root, check=False)


def test_f1_killed_between_insert_and_commit_leaves_nothing(cast):
    before = rows()
    killed = run(cast, dies=True)
    assert killed.returncode == -9, killed.stderr
    assert rows() == before
    assert numbers() == (0, 0)


def test_f1_what_was_acknowledged_is_there(cast):
    done = run(cast, dies=False)
    assert done.returncode == 0, done.stderr
    assert db.session.scalar(sa.text("SELECT count(*) FROM thread WHERE key = :key"), {"key": done.stdout.strip()}) == 1
    assert numbers() == (1, 1)
