"""records with their sources"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

SECTIONS = (
    "Patient Information",
    "Contact",
    "Demographic",
    "Provider Information",
    "Drug Allergy",
    "Medication",
    "Problem",
    "Care Team Members",
    "Procedures",
    "Functional and Cognitive Status",
    "Immunization",
    "Vital Signs",
    "Lab Results",
    "Care Plan",
    "Social History",
    "Encounters",
    "Goals",
)


def text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, server_default="")


def upgrade() -> None:
    op.create_table(
        "record_document",
        sa.Column("patient_id", sa.Integer(), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=False),
        sa.Column("is_by_patient", sa.Boolean(), nullable=False),
        sa.Column(
            "kind", sa.Enum("C-CDA", "FHIR", name="kind", native_enum=False, create_constraint=True, length=24), nullable=False
        ),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("maker", sa.Text(), nullable=False),
        sa.Column("made_on", sa.Date(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("saved_at", sa.DateTime(), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=22), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("stored_as", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["by_id"], ["person.id"], name=op.f("fk_record_document_by_id")),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_record_document_patient_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_record_document")),
        sa.UniqueConstraint("key", name=op.f("uq_record_document_key")),
        sa.UniqueConstraint("stored_as", name=op.f("uq_record_document_stored_as")),
    )
    op.create_index("ix_record_document_by_id_at", "record_document", ["by_id", "at"])
    op.create_index("ix_record_document_patient_id_sha256", "record_document", ["patient_id", "sha256"])

    # It has no trigger that a copy on SQLite would drop.
    with op.batch_alter_table("record_value", schema=None) as batch_op:
        batch_op.drop_constraint(op.f("ck_record_value_section"), type_="check")
        batch_op.alter_column("section", existing_type=sa.String(24), type_=sa.String(40), existing_nullable=False)
        batch_op.create_check_constraint(op.f("ck_record_value_section"), sa.column("section").in_(SECTIONS))
        batch_op.alter_column("name", existing_type=sa.String(200), type_=sa.Text(), existing_nullable=False)
        batch_op.alter_column("value", existing_type=sa.String(500), type_=sa.Text(), existing_nullable=False)
        batch_op.add_column(sa.Column("root_id", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("document_id", sa.Integer(), nullable=True))
        for name in ("path", "recorded_text", "unit", "code", "code_system", "status"):
            batch_op.add_column(text(name))
        for name in ("number", "low", "high"):
            batch_op.add_column(sa.Column(name, sa.Double(), nullable=True))
        batch_op.create_foreign_key(op.f("fk_record_value_root_id"), "record_value", ["root_id"], ["id"])
        batch_op.create_foreign_key(op.f("fk_record_value_document_id"), "record_document", ["document_id"], ["id"])
        batch_op.create_index(batch_op.f("ix_record_value_root_id"), ["root_id"])
        batch_op.create_index(batch_op.f("ix_record_value_document_id"), ["document_id"])
    current = sa.text("superseded_at IS NULL")
    columns = ["patient_id", "section", "recorded_on"]
    op.create_index("ix_record_value_current", "record_value", columns, sqlite_where=current, postgresql_where=current)

    # Every later version knows the first.
    op.execute(
        "WITH RECURSIVE version(id, root) AS ("
        " SELECT id, id FROM record_value WHERE id IN (SELECT replaces_id FROM record_value) AND replaces_id IS NULL"
        " UNION ALL SELECT record_value.id, root FROM record_value JOIN version ON record_value.replaces_id = version.id)"
        " UPDATE record_value SET root_id = version.root FROM version"
        " WHERE version.id = record_value.id AND record_value.replaces_id IS NOT NULL"
    )


def downgrade() -> None:
    raise RuntimeError("Restore the backup made before the upgrade: a downgrade would lose messages.")
