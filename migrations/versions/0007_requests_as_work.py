"""requests as work"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Plain columns that may be empty: no table is copied, so no trigger is lost.
    for column in (
        sa.Column("starts_at", sa.DateTime(), nullable=True),
        sa.Column("minutes", sa.Integer(), nullable=True),
        sa.Column("place", sa.String(length=200), nullable=True),
        sa.Column("changes", sa.Integer(), nullable=True),
        sa.Column("changed_at", sa.DateTime(), nullable=True),
    ):
        op.add_column("appointment_request", column)
    confirmed = sa.text("state = 'confirmed'")
    op.create_index(
        "ix_appointment_request_confirmed",
        "appointment_request",
        ["starts_at"],
        sqlite_where=confirmed,
        postgresql_where=confirmed,
    )
    op.create_table(
        "proposed_time",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=22), nullable=False),
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column("starts_at", sa.DateTime(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("place", sa.String(length=200), nullable=False),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["thread_id"], ["thread.id"], name=op.f("fk_proposed_time_thread_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proposed_time")),
        sa.UniqueConstraint("key", name=op.f("uq_proposed_time_key")),
    )
    still_open = sa.text("ended_at IS NULL")
    op.create_index("ix_proposed_time_open", "proposed_time", ["thread_id"], sqlite_where=still_open, postgresql_where=still_open)
    op.create_index("ix_proposed_time_starts_at", "proposed_time", ["starts_at"])
    for name, kind in (("ready_at_place", sa.String(length=200)), ("ready_until", sa.Date())):
        op.add_column("result_request", sa.Column(name, kind, nullable=True))
    for name in ("picked_up_by", "paper_shown"):
        op.add_column("result_request", sa.Column(name, sa.String(length=120), nullable=True))


def downgrade() -> None:
    raise RuntimeError("Restore the backup made before the upgrade: a downgrade would lose messages.")
