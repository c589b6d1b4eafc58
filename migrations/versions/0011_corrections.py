"""corrections"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

STATES = (
    "queued",
    "in review",
    "waiting for information",
    "accepted",
    "partly accepted",
    "denied",
    "completed",
    "cancelled",
)
GROUNDS = ("not created by us", "not in the record set", "not open to inspection", "accurate and complete")


def word(name: str, words: tuple[str, ...]) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=24)


def upgrade() -> None:
    # Neither table has a trigger that a copy on SQLite would drop.
    with op.batch_alter_table("record_value", schema=None) as batch_op:
        batch_op.add_column(sa.Column("replaces_id", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("amendment_thread_id", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("corrected_at", sa.DateTime(), nullable=True))
        batch_op.add_column(sa.Column("superseded_at", sa.DateTime(), nullable=True))
        batch_op.create_unique_constraint(op.f("uq_record_value_replaces_id"), ["replaces_id"])
        batch_op.create_foreign_key(op.f("fk_record_value_replaces_id"), "record_value", ["replaces_id"], ["id"])
        batch_op.create_foreign_key(op.f("fk_record_value_amendment_thread_id"), "thread", ["amendment_thread_id"], ["id"])

    with op.batch_alter_table("amendment", schema=None) as batch_op:
        batch_op.drop_constraint(op.f("ck_amendment_amendmentstate"), type_="check")
        batch_op.create_check_constraint(op.f("ck_amendment_amendmentstate"), sa.column("state").in_(STATES))
        batch_op.add_column(sa.Column("due_at", sa.DateTime(), nullable=True))
        batch_op.add_column(sa.Column("extended_because", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("decided_at", sa.DateTime(), nullable=True))
        batch_op.add_column(sa.Column("new_value", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("denied", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("ground", word("ground", GROUNDS), nullable=True))
        batch_op.add_column(sa.Column("denied_because", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("disagreement", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("disagreed_at", sa.DateTime(), nullable=True))
        batch_op.add_column(sa.Column("rebuttal", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("rebutted_at", sa.DateTime(), nullable=True))

    _promise()
    with op.batch_alter_table("amendment", schema=None) as batch_op:
        batch_op.alter_column("due_at", existing_type=sa.DateTime(), nullable=False)


def _promise() -> None:
    """Those that were asked for are decided by what the thread promised; where it promises nothing, sixty days after they came
    (45 CFR 164.526). All of them are undecided, and so it is owed by their threads, answered or not."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    later = "strftime('%Y-%m-%d %H:%M:%f000', created_at, '+60 days')" if is_sqlite else "created_at + interval '60 days'"
    of = "FROM thread WHERE thread.id = amendment.thread_id"
    op.execute(f"UPDATE amendment SET due_at = (SELECT coalesce(due_at, {later}) {of})")
    op.execute(
        "UPDATE thread SET due_at = (SELECT due_at FROM amendment WHERE thread_id = thread.id), version = version + 1"
        " WHERE due_at IS NULL AND id IN (SELECT thread_id FROM amendment)"
    )


def downgrade() -> None:
    raise RuntimeError("Restore the backup made before the upgrade: a downgrade would lose messages.")
