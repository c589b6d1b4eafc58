"""registration"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "email_proof",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=True),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("email_key", sa.String(254), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=True),
        sa.Column("address", sa.String(45), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("ends_at", sa.DateTime(), nullable=False),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_email_proof_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_email_proof")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_email_proof_token_hash")),
    )
    for columns in (["person_id"], ["ends_at"], ["email_key", "created_at"], ["address", "created_at"]):
        op.create_index(op.f(f"ix_email_proof_{'_'.join(columns)}"), "email_proof", columns)

    op.create_table(
        "registration",
        sa.Column("patient_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.Column("words", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_registration_patient_id")),
        sa.PrimaryKeyConstraint("patient_id", name=op.f("pk_registration")),
    )
    op.create_index(op.f("ix_registration_state_since_patient_id"), "registration", ["state", "since", "patient_id"])

    op.create_table(
        "match_code",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("code_hash", sa.String(64), nullable=False),
        sa.Column("record_number", sa.String(20), nullable=False),
        sa.Column("dob", sa.Date(), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("ends_at", sa.DateTime(), nullable=False),
        sa.Column("used_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["by_id"], ["staff.id"], name=op.f("fk_match_code_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_match_code")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_match_code_code_hash")),
    )
    op.create_index(op.f("ix_match_code_record_number"), "match_code", ["record_number"])
    op.create_index(op.f("ix_match_code_ends_at"), "match_code", ["ends_at"])

    # No trigger is on it that a copy on SQLite would drop.
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.add_column(sa.Column("email", sa.String(254), nullable=True))
        batch_op.add_column(sa.Column("proof_id", sa.Integer(), nullable=True))
        batch_op.alter_column("person_id", existing_type=sa.Integer(), nullable=True)
        batch_op.create_foreign_key(op.f("fk_outbox_proof_id"), "email_proof", ["proof_id"], ["id"])
        batch_op.create_index(op.f("ix_outbox_proof_id"), ["proof_id"])

    op.add_column("practice", sa.Column("can_register", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    raise RuntimeError("Restore the backup made before the upgrade: a downgrade would lose messages.")
