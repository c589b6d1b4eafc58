"""the admin side"""

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

OPENING = "[" + ", ".join(['["08:00", "18:00"]'] * 5 + ["null"] * 2) + "]"


def add(table: str, name: str, type_: sa.types.TypeEngine, default: object) -> None:
    op.add_column(table, sa.Column(name, type_, nullable=False, server_default=default))


def upgrade() -> None:
    for name in ("staff_group", "specialty", "institution", "department"):
        add("staff", name, sa.String(length=60), "")
    people_are_found_by_more()
    add("facility", "is_in_use", sa.Boolean(), sa.true())
    add("referring_physician", "is_in_use", sa.Boolean(), sa.true())
    add("practice", "region", sa.String(length=20), "")
    for name in ("promise_appointment", "promise_result", "promise_others"):
        add("practice", name, sa.Integer(), "3")
        op.execute(f"UPDATE practice SET {name} = promise_days")
    op.drop_column("practice", "promise_days")
    add("practice", "opening", sa.Text(), OPENING)
    add("practice", "claim_hours", sa.Integer(), "4")
    add("practice", "emergency_text", sa.String(length=1000), "")
    add("practice", "menu_off", sa.String(length=200), "")
    add("practice", "logo_key", sa.String(length=22), "")
    add("practice", "holidays_key", sa.String(length=22), "")
    add("practice", "version", sa.Integer(), "1")
    op.add_column("audit", sa.Column("address", sa.String(length=45), nullable=True))
    for name in ("actor_id", "patient_id", "did"):
        op.drop_index(f"ix_audit_{name}_id", "audit")
    for name in ("actor_id", "patient_id", "did", "about"):
        op.create_index(f"ix_audit_{name}_at_id", "audit", [name, "at", "id"])
    op.create_index("ix_audit_at_id", "audit", ["at", "id"])
    op.create_index("ix_read_log_person_id_at_thread_id", "read_log", ["person_id", "at", "thread_id"])
    op.create_index("ix_read_log_at_person_id_thread_id", "read_log", ["at", "person_id", "thread_id"])
    op.execute("ALTER TABLE thread ADD COLUMN claimed_by_id INTEGER CONSTRAINT fk_thread_claimed_by_id REFERENCES person (id)")
    op.add_column("thread", sa.Column("claimed_until", sa.DateTime(), nullable=True))
    for name, columns, where in (
        ("ix_thread_claimed", ["claimed_by_id", "id"], "claimed_by_id IS NOT NULL"),
        ("ix_thread_due", ["due_at", "id"], "due_at IS NOT NULL"),
        ("ix_thread_waiting", ["audience_id", "waiting_since"], "waiting_since IS NOT NULL"),
        ("ix_thread_removed", ["removed_at", "id"], "removed_at IS NOT NULL"),
    ):
        op.create_index(name, "thread", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
    history_takes_any_event()
    op.create_table(
        "absence",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=22), nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.Column("deputy_id", sa.Integer(), nullable=True),
        sa.Column("starts_at", sa.DateTime(), nullable=False),
        sa.Column("ends_at", sa.DateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["deputy_id"], ["staff.id"], name=op.f("fk_absence_deputy_id")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_absence_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_absence")),
        sa.UniqueConstraint("key", name=op.f("uq_absence_key")),
    )
    op.create_index("ix_absence_staff_id_ends_at", "absence", ["staff_id", "ends_at"])
    op.create_index("ix_absence_deputy_id_ends_at", "absence", ["deputy_id", "ends_at"])
    op.create_index("ix_absence_ends_at", "absence", ["ends_at"])
    op.create_table(
        "logo",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("media_type", sa.String(length=20), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_logo")),
    )
    op.create_table(
        "holiday",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("is_closed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_holiday")),
    )
    terms = op.create_table(
        "staff_term",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=22), nullable=False),
        sa.Column("kind", choice("termkind", "level", "group", "specialty", "institution", "department"), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("is_in_use", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_term")),
        sa.UniqueConstraint("key", name=op.f("uq_staff_term_key")),
        sa.UniqueConstraint("kind", "name", name=op.f("uq_staff_term_kind_name")),
    )
    levels = op.get_bind().scalars(sa.text("SELECT DISTINCT level FROM staff WHERE level <> '' ORDER BY level")).all()
    op.bulk_insert(terms, [{"key": f"level{n:017}", "kind": "level", "name": name} for n, name in enumerate(levels)])
    op.create_table(
        "one_time_link",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("purpose", choice("purpose", "invitation", is_checked=False), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("ends_at", sa.DateTime(), nullable=False),
        sa.Column("used_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_one_time_link_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_one_time_link")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_one_time_link_token_hash")),
    )
    op.create_index("ix_one_time_link_person_id", "one_time_link", ["person_id"])
    op.create_table(
        "break_glass",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=22), nullable=False),
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("ends_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_break_glass_staff_id")),
        sa.ForeignKeyConstraint(["thread_id"], ["thread.id"], name=op.f("fk_break_glass_thread_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_break_glass")),
        sa.UniqueConstraint("key", name=op.f("uq_break_glass_key")),
    )
    op.create_index("ix_break_glass_thread_id_staff_id", "break_glass", ["thread_id", "staff_id"])
    op.create_index("ix_break_glass_at_id", "break_glass", ["at", "id"])
    op.create_table(
        "patient_merge",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=22), nullable=False),
        sa.Column("kept_id", sa.Integer(), nullable=False),
        sa.Column("merged_id", sa.Integer(), nullable=False),
        sa.Column("moved", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("undone_at", sa.DateTime(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["kept_id"], ["patient.id"], name=op.f("fk_patient_merge_kept_id")),
        sa.ForeignKeyConstraint(["merged_id"], ["patient.id"], name=op.f("fk_patient_merge_merged_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient_merge")),
        sa.UniqueConstraint("key", name=op.f("uq_patient_merge_key")),
    )
    op.create_index("ix_patient_merge_kept_id", "patient_merge", ["kept_id"])
    op.create_index("ix_patient_merge_merged_id", "patient_merge", ["merged_id"])
    op.create_table(
        "import",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=22), nullable=False),
        sa.Column("kind", choice("importkind", "staff", "patients"), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=False),
        sa.Column("file_name", sa.String(length=200), nullable=False),
        sa.Column("file_columns", sa.Text(), nullable=False),
        sa.Column("file_lines", sa.Text(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("checked", sa.Integer(), nullable=False),
        sa.Column("errors", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("done_at", sa.DateTime(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["by_id"], ["staff.id"], name=op.f("fk_import_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import")),
        sa.UniqueConstraint("key", name=op.f("uq_import_key")),
    )
    op.create_index("ix_import_by_id", "import", ["by_id"])
    op.create_index("ix_import_created_at", "import", ["created_at"])


def choice(name: str, *values: str, is_checked: bool = True) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=is_checked, length=24)


def people_are_found_by_more() -> None:
    """Keys to search people by: the folded first name, the digits of a phone number. One staff account for one patient."""
    folded = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    add("person", "first_key", folded, "")
    add("patient", "phone_key", sa.String(length=40), "")
    add("staff", "login_key", folded, "")
    connection = op.get_bind()
    names = [{"key": fold(name), "id": n} for n, name in connection.execute(sa.text("SELECT id, first_name FROM person"))]
    if names:
        connection.execute(sa.text("UPDATE person SET first_key = :key WHERE id = :id"), names)
    phones = connection.execute(sa.text("SELECT id, phone FROM patient")).all()
    keys = [{"key": "".join(c for c in unicodedata.normalize("NFKC", p) if c in "0123456789"), "id": n} for n, p in phones]
    if keys:
        connection.execute(sa.text("UPDATE patient SET phone_key = :key WHERE id = :id"), keys)
    logins = connection.execute(sa.text("SELECT id, login FROM staff")).all()
    keys = [{"key": unicodedata.normalize("NFKC", login).strip().casefold(), "id": n} for n, login in logins]
    if keys:
        connection.execute(sa.text("UPDATE staff SET login_key = :key WHERE id = :id"), keys)
    op.create_index("ix_staff_login_key_id", "staff", ["login_key", "id"])
    op.create_index("ix_person_kind_first_key_id", "person", ["kind", "first_key", "id"])
    op.create_index("ix_person_kind_status_name_key_id", "person", ["kind", "status", "name_key", "id"])
    op.create_index("ix_patient_phone_key", "patient", ["phone_key"])
    op.create_index("ix_patient_dob", "patient", ["dob"])
    where = sa.text("record_number IS NULL")
    op.create_index("ix_patient_not_matched", "patient", ["id"], sqlite_where=where, postgresql_where=where)
    op.create_index("ix_staff_own_patient_id", "staff", ["own_patient_id"], unique=True)


def fold(text: str) -> str:
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return " ".join("".join(c for c in plain if not unicodedata.combining(c)).split())


def history_takes_any_event() -> None:
    """The list of events grows with the product: the database no longer checks it. SQLite can only copy the table."""
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(op.f("ck_history_event"), "history", type_="check")
        return
    op.execute(
        """CREATE TABLE new_history (
            id INTEGER NOT NULL,
            thread_id INTEGER NOT NULL,
            at DATETIME NOT NULL,
            by_id INTEGER,
            did VARCHAR(24) NOT NULL,
            up_to_id INTEGER,
            words VARCHAR(1000) NOT NULL,
            CONSTRAINT pk_history PRIMARY KEY (id),
            CONSTRAINT fk_history_thread_id FOREIGN KEY(thread_id) REFERENCES thread (id),
            CONSTRAINT fk_history_by_id FOREIGN KEY(by_id) REFERENCES person (id)
        )"""
    )
    columns = "id, thread_id, at, by_id, did, up_to_id, words"
    op.execute(f"INSERT INTO new_history ({columns}) SELECT {columns} FROM history")
    op.execute("DROP TABLE history")
    op.execute("ALTER TABLE new_history RENAME TO history")
    op.create_index("ix_history_thread_id_id", "history", ["thread_id", "id"])


def downgrade() -> None:
    raise RuntimeError("Restore the backup made before the upgrade: a downgrade would lose messages.")
