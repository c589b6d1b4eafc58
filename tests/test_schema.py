"""The schema: migrations build what the models say, triggers included, and every list has its index."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask_migrate import upgrade

from practice import threads
from practice.db import WRITE, Base, db, triggers
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


def test_migrated_and_fresh_are_the_same(two):
    migrated, fresh = two
    assert migrated == fresh


@pytest.mark.parametrize("which", ["in_box", "all", "sent"])
@pytest.mark.parametrize("mark", ["", "unread", "urgent", "late"])
def test_no_list_reads_the_whole_table(cast, which, mark):
    """A full scan of threads in a plan fails; the tables are small, so PostgreSQL is told not to scan where it can avoid it."""
    cast.send(cast.sophie)
    dialect = db.session.get_bind().dialect.name
    for beyond in ("", "<", ">"):
        statement = threads._list(2, which, mark == "unread", beyond, 0, dialect, mark == "urgent", mark == "late")
        values = {"own_patient": 0, "a0": 1, "a1": 2, "at": threads.now(), "id": 5, "now": threads.now()}
        values = {name: value for name, value in values.items() if f":{name}" in str(statement)}
        uses_an_index(plan_of(str(statement), values))


def test_the_numbers_of_the_strip_read_their_own_rows_only(cast):
    cast.send(cast.sophie)
    statement = threads._marked(db.session.get_bind().dialect.name).text.replace(":audiences", "(1, 2)")
    plan = plan_of(statement, {"own_patient": 0, "now": threads.now()})
    uses_an_index(plan)
    assert "ix_thread_emergency" in plan, plan


def plan_of(statement, values):
    with db.engines[WRITE].connect() as connection:
        if (dialect := connection.dialect.name) == "postgresql":
            connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
            connection.execute(sa.text("SET LOCAL enable_bitmapscan = off"))
        explain = "EXPLAIN QUERY PLAN " if dialect == "sqlite" else "EXPLAIN "
        return "\n".join(str(row) for row in connection.execute(sa.text(explain + statement), values))


def uses_an_index(plan):
    assert "ix_thread_" in plan, plan
    assert "Seq Scan on thread" not in plan and "SCAN thread" not in plan, plan
