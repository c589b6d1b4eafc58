"""the staff side"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def add(table: str, name: str, type_: sa.types.TypeEngine, default: object) -> None:
    op.add_column(table, sa.Column(name, type_, nullable=False, server_default=default))


def index(name: str, table: str, columns: list[str], where: str | None = None) -> None:
    only = sa.text(where) if where else None
    op.create_index(name, table, columns, sqlite_where=only, postgresql_where=only)


def key(*columns: str, table: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(columns, [f"{to}.id"], name=op.f(f"fk_{table}_{columns[0]}"))


def upgrade() -> None:
    add("audience", "version", sa.Integer(), "0")
    op.add_column("thread", sa.Column("before_answer", sa.Text(), nullable=True))
    for at in ("answered_before_at", "late_told_at", "escalated_at", "patient_opened_at"):
        op.add_column("thread", sa.Column(at, sa.DateTime(), nullable=True))
    points_at = "INTEGER CONSTRAINT fk_thread_duplicate_of_id REFERENCES thread (id)"
    op.execute(f"ALTER TABLE thread ADD COLUMN duplicate_of_id {points_at}")
    index("ix_thread_due_first", "thread", ["audience_id", "due_at", "id"], "due_at IS NOT NULL")
    index("ix_thread_to_escalate", "thread", ["due_at", "id"], "due_at IS NOT NULL AND escalated_at IS NULL")
    index("ix_thread_duplicates", "thread", ["duplicate_of_id"], "duplicate_of_id IS NOT NULL")
    preference = sa.Enum("each", "daily", "none", name="noticepreference", native_enum=False, create_constraint=False, length=24)
    add("staff", "notices", preference, "each")
    add("practice", "escalate_days", sa.Integer(), "1")
    add("practice", "unread_days", sa.Integer(), "7")
    op.create_table(
        "recall",
        sa.Column("message_id", sa.Integer(), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        key("message_id", table="recall", to="message"),
        key("by_id", table="recall", to="person"),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_recall")),
    )
    op.create_table(
        "note",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=22), nullable=False),
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("form_key", sa.String(length=22), nullable=False),
        key("thread_id", table="note", to="thread"),
        key("author_id", table="note", to="person"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_note")),
        sa.UniqueConstraint("author_id", "form_key", name=op.f("uq_note_author_id_form_key")),
        sa.UniqueConstraint("key", name=op.f("uq_note_key")),
    )
    index("ix_note_thread_id_id", "note", ["thread_id", "id"])
    op.create_table(
        "mention",
        sa.Column("note_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        key("note_id", table="mention", to="note"),
        key("person_id", table="mention", to="person"),
        sa.PrimaryKeyConstraint("note_id", "person_id", name=op.f("pk_mention")),
    )
    op.create_table(
        "canned_reply",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=22), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("communicator_id", sa.Integer(), nullable=True),
        sa.Column("title", sa.String(length=80), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        key("owner_id", table="canned_reply", to="person"),
        key("communicator_id", table="canned_reply", to="communicator"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_canned_reply")),
        sa.UniqueConstraint("key", name=op.f("uq_canned_reply_key")),
    )
    index("ix_canned_reply_owner_id", "canned_reply", ["owner_id"])
    index("ix_canned_reply_communicator_id", "canned_reply", ["communicator_id"])


def downgrade() -> None:
    raise RuntimeError("Restore the backup made before the upgrade: a downgrade would lose messages.")
