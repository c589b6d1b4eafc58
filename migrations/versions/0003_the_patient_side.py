"""the patient side"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

WORDS = """chest pain
heart attack
can't breathe
cannot breathe
trouble breathing
not breathing
unconscious
stroke
seizure
heavy bleeding
bleeding heavily
won't stop bleeding
overdose
poisoned
suicide
kill myself
end my life
dolor de pecho
infarto
no puedo respirar
dificultad para respirar
no respira
inconsciente
derrame cerebral
convulsiones
hemorragia
sobredosis
envenenado
suicidio
suicidarme
matarme
quitarme la vida"""


def add(table: str, name: str, type_: sa.types.TypeEngine, default: object) -> None:
    op.add_column(table, sa.Column(name, type_, nullable=False, server_default=default))


def upgrade() -> None:
    add("practice", "emergency_words", sa.Text(), "")
    op.execute(sa.text("UPDATE practice SET emergency_words = :words").bindparams(words=WORDS))
    preference = sa.Enum("each", "daily", "none", name="noticepreference", native_enum=False, create_constraint=False, length=24)
    add("patient", "notices", preference, "each")
    op.add_column("login_session", sa.Column("address", sa.String(length=45), nullable=True))
    add("login_session", "device", sa.String(length=80), "")
    add("thread", "has_emergency_words", sa.Boolean(), sa.false())
    op.create_index(
        "ix_thread_emergency",
        "thread",
        ["audience_id", "last_patient_message_at", "id"],
        sqlite_where=sa.text("has_emergency_words = 1"),
        postgresql_where=sa.text("has_emergency_words"),
    )
    new = sa.text("hidden_by_patient_at IS NULL AND last_staff_message_at > coalesce(patient_read_at, created_at)")
    columns = ["patient_id", "last_staff_message_at", "id"]
    op.create_index("ix_thread_new_for_patient", "thread", columns, sqlite_where=new, postgresql_where=new)
    op.create_index("ix_draft_author_id_saved_at_id", "draft", ["author_id", "saved_at", "id"])
    op.create_index("ix_draft_author_id_about", "draft", ["author_id", "about"])
    a_notice_may_be_about_the_account()


def a_notice_may_be_about_the_account() -> None:
    """Without a thread, and for any occasion: the list grows with the product. SQLite can only copy the table."""
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(op.f("ck_outbox_occasion"), "outbox", type_="check")
        op.alter_column("outbox", "thread_id", nullable=True)
        op.alter_column("outbox", "message_id", nullable=True)
        return
    op.execute(
        """CREATE TABLE new_outbox (
            id INTEGER NOT NULL,
            "key" VARCHAR(22) NOT NULL,
            occasion VARCHAR(24) NOT NULL,
            person_id INTEGER NOT NULL,
            thread_id INTEGER,
            message_id INTEGER,
            state VARCHAR(24) NOT NULL,
            attempts INTEGER NOT NULL,
            next_at DATETIME NOT NULL,
            created_at DATETIME NOT NULL,
            sent_at DATETIME,
            CONSTRAINT ck_outbox_noticestate CHECK (state IN ('waiting', 'leased', 'sent', 'dead')),
            CONSTRAINT pk_outbox PRIMARY KEY (id),
            CONSTRAINT uq_outbox_key UNIQUE ("key"),
            CONSTRAINT uq_outbox_message_id_person_id_occasion UNIQUE (message_id, person_id, occasion),
            CONSTRAINT fk_outbox_person_id FOREIGN KEY(person_id) REFERENCES person (id),
            CONSTRAINT fk_outbox_thread_id FOREIGN KEY(thread_id) REFERENCES thread (id),
            CONSTRAINT fk_outbox_message_id FOREIGN KEY(message_id) REFERENCES message (id)
        )"""
    )
    columns = 'id, "key", occasion, person_id, thread_id, message_id, state, attempts, next_at, created_at, sent_at'
    op.execute(f"INSERT INTO new_outbox ({columns}) SELECT {columns} FROM outbox")
    op.execute("DROP TABLE outbox")
    op.execute("ALTER TABLE new_outbox RENAME TO outbox")
    where = sa.text("state IN ('waiting', 'leased')")
    op.create_index("ix_outbox_due", "outbox", ["next_at"], sqlite_where=where, postgresql_where=where)
    op.create_index("ix_outbox_sent", "outbox", ["sent_at"])


def downgrade() -> None:
    raise RuntimeError("Restore the backup made before the upgrade: a downgrade would lose messages.")
