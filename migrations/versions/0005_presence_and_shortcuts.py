"""presence and shortcuts"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("staff", sa.Column("uses_shortcuts", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.create_table(
        "presence",
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column("is_writing", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_presence_person_id")),
        sa.ForeignKeyConstraint(["thread_id"], ["thread.id"], name=op.f("fk_presence_thread_id")),
        sa.PrimaryKeyConstraint("person_id", "thread_id", name=op.f("pk_presence")),
    )
    op.create_index("ix_presence_at", "presence", ["at"])
    op.create_index("ix_presence_thread_id_at", "presence", ["thread_id", "at"])


def downgrade() -> None:
    raise RuntimeError("Restore the backup made before the upgrade: a downgrade would lose messages.")
