"""what is over is found by an index"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_one_time_link_ends_at"), "one_time_link", ["ends_at"])
    op.create_index(op.f("ix_draft_saved_at"), "draft", ["saved_at"])
    op.create_index(
        "ix_record_document_not_saved",
        "record_document",
        ["at"],
        sqlite_where=sa.text("saved_at IS NULL"),
        postgresql_where=sa.text("saved_at IS NULL"),
    )


def downgrade() -> None:
    raise RuntimeError("Restore the backup made before the upgrade: a downgrade would lose messages.")
