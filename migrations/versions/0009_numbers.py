"""numbers"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

REQUESTS = ("appointment_request", "result_request", "amendment")


def word(name: str, *words: str) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=24)


def upgrade() -> None:
    """What was written before is not counted: when a wait was promised to end is known only while it lasts. The page says since
    when it counts."""
    op.create_table(
        "tally",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("what", word("what", "received", "reached", "in time", "late"), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("type", word("requesttype", "Appointment", "Result", "Others", "Amendment"), nullable=False),
        sa.Column("communicator_id", sa.Integer(), nullable=True),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["communicator_id"], ["communicator.id"], name=op.f("fk_tally_communicator_id")),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name=op.f("fk_tally_message_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tally")),
    )
    op.create_index("ix_tally_read", "tally", ["what", "day", "type", "communicator_id", "slot", "number"])
    is_single = sa.text("message_id IS NOT NULL")
    op.create_index("ix_tally_single", "tally", ["message_id", "day"], sqlite_where=is_single, postgresql_where=is_single)
    for table in REQUESTS:
        op.create_index(op.f(f"ix_{table}_state"), table, ["state"])


def downgrade() -> None:
    raise RuntimeError("Restore the backup made before the upgrade: a downgrade would lose messages.")
