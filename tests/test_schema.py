"""The schema: migrations build what the models say, triggers included, and every list has its index."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask_migrate import upgrade

from practice import inbox
from practice.db import WRITE, Base, db, now, triggers
from practice.inbox import Wanted, threads_for
from practice.threads import Place
from tests.conftest import new_database, test_settings
from web.cli import MIGRATIONS
from wsgi import create_app


def shape(connection: sa.Connection) -> dict[str, object]:
    """Tables with their columns and indexes, and the triggers: what must be the same however it came about."""
    inspector = sa.inspect(connection)
    found: dict[str, object] = {}
    for table in sorted(set(inspector.get_table_names()) - {"alembic_version"}):
        columns = sorted((c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(table))
        indexes = sorted((i["name"], tuple(i["column_names"]), bool(i["unique"])) for i in inspector.get_indexes(table))
        found[table] = (columns, indexes)
    if connection.dialect.name == "sqlite":
        made = connection.execute(sa.text("SELECT name, sql FROM sqlite_master WHERE type IN ('trigger', 'index') ORDER BY name"))
    else:
        made = connection.execute(
            sa.text(
                "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
                " UNION SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1"
            )
        )
    found["made"] = [tuple(row) for row in made if "alembic" not in row[0]]
    return found


@pytest.fixture
def two(request: pytest.FixtureRequest, tmp_path: Path):
    """The same kind of database twice: migrated, and made from the models at once."""
    kind = request.config.getoption("--database")
    shapes = []
    for name in ("migrated", "fresh"):
        folder = tmp_path / name
        folder.mkdir()
        with new_database(kind, folder) as url:
            app = create_app(test_settings(url))
            with app.app_context():
                if name == "migrated":
                    upgrade(str(MIGRATIONS))
                    upgrade(str(MIGRATIONS))
                with db.engines[WRITE].begin() as connection:
                    if name == "fresh":
                        Base.metadata.create_all(connection)
                        for statement in triggers(connection.dialect.name):
                            connection.execute(sa.text(statement))
                    else:
                        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
                    shapes.append(shape(connection))
                for engine in db.engines.values():
                    engine.dispose()
    return shapes


def test_nobody_else_on_the_machine_reads_the_file_of_sqlite(tmp_path):
    with new_database("sqlite", tmp_path) as url:
        app = create_app(test_settings(url))
        with app.app_context():
            upgrade(str(MIGRATIONS))
            with db.engines[WRITE].begin() as connection:
                connection.execute(sa.text("UPDATE practice SET name = name"))
                modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
            for engine in db.engines.values():
                engine.dispose()
    assert set(modes.values()) == {0o600} and any(name.endswith("-wal") for name in modes), modes


def test_migrated_and_fresh_are_the_same(two):
    migrated, fresh = two
    assert migrated == fresh


def test_every_later_version_of_a_value_finds_the_first(request, tmp_path):
    """Those that were there before versions knew it."""
    with new_database(request.config.getoption("--database"), tmp_path) as url:
        app = create_app(test_settings(url))
        with app.app_context():
            upgrade(str(MIGRATIONS), revision="0011")
            with db.engines[WRITE].begin() as connection:
                person = {"id": 1, "key": "p", "kind": "patient", "status": "active", "email": "p", "email_key": "p"}
                person |= {"last_name": "P", "first_name": "", "name_key": "p", "created_at": "2026-01-01 00:00:00"}
                insert(connection, "person", person)
                insert(connection, "patient", {"id": 1, "dob": "1980-01-01", "gender": "female", "phone": "1"})
                value = {"patient_id": 1, "section": "Vital Signs", "name": "Height", "value": "1 cm", "note": ""}
                for number, before in ((1, None), (2, 1), (3, 2), (4, None)):
                    insert(connection, "record_value", value | {"id": number, "key": str(number), "replaces_id": before})
            upgrade(str(MIGRATIONS))
            with db.engines[WRITE].begin() as connection:
                rows = connection.execute(sa.text("SELECT id, root_id FROM record_value ORDER BY id")).all()
            for engine in db.engines.values():
                engine.dispose()
    assert rows == [(1, None), (2, 1), (3, 1), (4, None)]


def insert(connection, table, values):
    names = ", ".join(values)
    connection.execute(sa.text(f"INSERT INTO {table} ({names}) VALUES (:{names.replace(', ', ', :')})"), values)


FILTERS = {"unread": True, "urgent": True, "late": True, "claimed_by": 1, "since": now(), "until": now(), "patients": (1, 2)}


@pytest.mark.parametrize("which", [{}, {"closed_too": True}, {"sent": True}, {"due_first": True}], ids=str)
@pytest.mark.parametrize("mark", ["", *FILTERS])
def test_no_list_reads_the_whole_table(cast, which, mark):
    """A full scan of threads in a plan fails; the tables are small, so PostgreSQL is told not to scan where it can avoid it."""
    cast.send(cast.sophie)
    wanted = Wanted(**which | ({mark: FILTERS[mark]} if mark else {}))
    asked = []
    engine = db.session.get_bind()
    sa.event.listen(engine, "before_cursor_execute", lambda _c, _cursor, said, values, *_: asked.append((said, values)))
    places = [
        Place(now(), 5, is_newer, stretch) for is_newer in (False, True) for stretch in range(2 if "due_first" in which else 1)
    ]
    for place in (None, *places):
        if place is None or place.stretch < len(inbox._stretches(wanted)):
            threads_for([1, 2], own_patient=0, wanted=wanted, place=place)
    lists = [one for one in asked if "LEFT JOIN person c" in one[0]]
    assert len(lists) >= 3
    for said, values in lists:
        uses_an_index(plan_of(said, values))


def test_the_numbers_of_the_strip_read_their_own_rows_only(cast):
    cast.send(cast.sophie)
    dialect = db.session.get_bind().dialect.name
    among = "[1, 2]" if dialect == "sqlite" else [1, 2]
    plan = plan_of(inbox._marked(dialect).text, {"audiences": among, "own_patient": 0, "person": 1, "now": now()})
    uses_an_index(plan)
    assert "ix_thread_emergency" in plan, plan


def plan_of(statement, values):
    with db.engines[WRITE].connect() as connection:
        if (dialect := connection.dialect.name) == "postgresql":
            connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
            connection.execute(sa.text("SET LOCAL enable_bitmapscan = off"))
        explain = "EXPLAIN QUERY PLAN " if dialect == "sqlite" else "EXPLAIN "
        run = (
            connection.exec_driver_sql
            if isinstance(values, (tuple, list)) or "%(" in statement
            else lambda *of: connection.execute(sa.text(of[0]), of[1])
        )
        return "\n".join(str(row) for row in run(explain + statement, values))


def uses_an_index(plan):
    assert "ix_thread_" in plan, plan
    assert "Seq Scan on thread" not in plan and "SCAN thread" not in plan, plan
