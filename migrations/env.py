"""How migrations run: on a connection of their own, as the owner of the tables where MIGRATION_DATABASE_URL names one."""

from pathlib import Path

import sqlalchemy as sa
from alembic import context
from flask import current_app

from practice.db import Base

URL = current_app.config["MIGRATION_DATABASE_URL"]
# Whoever waits for a lock makes all who come later wait: on PostgreSQL a migration gives up, and is run again.
patience = {} if URL.startswith("sqlite") else {"options": "-c lock_timeout=3000"}
engine = sa.create_engine(URL, poolclass=sa.NullPool, connect_args=patience)
if engine.dialect.name == "sqlite" and engine.url.database:
    file = Path(engine.url.database)  # the log that SQLite keeps beside it takes its rights
    file.touch(mode=0o600)
    file.chmod(0o600)

with engine.connect() as connection:
    is_sqlite = connection.dialect.name == "sqlite"
    if is_sqlite:
        # The driver would commit before DDL: we begin ourselves, so that a migration is done whole or not at all.
        # With foreign keys on, a batch change that copies a table would delete child rows.
        connection.connection.driver_connection.isolation_level = None  # type: ignore[union-attr]
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=is_sqlite, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
