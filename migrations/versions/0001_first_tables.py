"""first tables"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audience",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("unread", sa.Integer(), nullable=False),
        sa.Column("in_box", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audience")),
        sa.UniqueConstraint("key", name=op.f("uq_audience_key")),
    )
    op.create_table(
        "communicator",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=22), nullable=False),
        sa.Column(
            "type",
            sa.Enum(
                "Appointment",
                "Result",
                "Others",
                "Amendment",
                name="requesttype",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("title", sa.String(length=80), nullable=False),
        sa.Column("title_key", sa.Text(), nullable=False),
        sa.Column("is_in_use", sa.Boolean(), nullable=False),
        sa.Column("help", sa.String(length=200), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_communicator")),
        sa.UniqueConstraint("key", name=op.f("uq_communicator_key")),
        sa.UniqueConstraint("type", "title_key", name=op.f("uq_communicator_type_title_key")),
    )
    op.create_table(
        "facility",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=22), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("address", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_facility")),
        sa.UniqueConstraint("key", name=op.f("uq_facility_key")),
        sa.UniqueConstraint("name", name=op.f("uq_facility_name")),
    )
    op.create_table(
        "job",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("next_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_job")),
    )
    op.create_table(
        "person",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=22), nullable=False),
        sa.Column(
            "kind", sa.Enum("patient", "staff", name="kind", native_enum=False, create_constraint=True, length=24), nullable=False
        ),
        sa.Column(
            "status",
            sa.Enum(
                "invited",
                "active",
                "locked",
                "disabled",
                name="accountstatus",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("email_key", sa.String(length=254), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=True),
        sa.Column("last_name", sa.String(length=100), nullable=False),
        sa.Column("first_name", sa.String(length=100), nullable=False),
        sa.Column("name_key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person")),
        sa.UniqueConstraint("email_key", name=op.f("uq_person_email_key")),
        sa.UniqueConstraint("key", name=op.f("uq_person_key")),
    )
    with op.batch_alter_table("person", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_person_kind_name_key_id"), ["kind", "name_key", "id"], unique=False)

    op.create_table(
        "practice",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("address", sa.String(length=200), nullable=False),
        sa.Column("phone", sa.String(length=40), nullable=False),
        sa.Column("hours", sa.String(length=200), nullable=False),
        sa.Column("emergency_number", sa.String(length=20), nullable=False),
        sa.Column("time_zone", sa.String(length=60), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("promise_days", sa.Integer(), nullable=False),
        sa.Column("amendment_days", sa.Integer(), nullable=False),
        sa.Column("meaningful_use", sa.Boolean(), nullable=False),
        sa.Column("shows_staff_names", sa.Boolean(), nullable=False),
        sa.Column("asks_physician", sa.Boolean(), nullable=False),
        sa.Column("is_demo", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_practice")),
    )
    op.create_table(
        "referring_physician",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=22), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_referring_physician")),
        sa.UniqueConstraint("key", name=op.f("uq_referring_physician_key")),
        sa.UniqueConstraint("name", name=op.f("uq_referring_physician_name")),
    )
    op.create_table(
        "audience_communicator",
        sa.Column("audience_id", sa.Integer(), nullable=False),
        sa.Column("communicator_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["audience_id"], ["audience.id"], name=op.f("fk_audience_communicator_audience_id")),
        sa.ForeignKeyConstraint(["communicator_id"], ["communicator.id"], name=op.f("fk_audience_communicator_communicator_id")),
        sa.PrimaryKeyConstraint("audience_id", "communicator_id", name=op.f("pk_audience_communicator")),
    )
    with op.batch_alter_table("audience_communicator", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audience_communicator_communicator_id"), ["communicator_id"], unique=False)

    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("act", sa.String(length=22), nullable=False),
        sa.Column("actor_id", sa.Integer(), nullable=True),
        sa.Column("actor_name", sa.String(length=202), nullable=False),
        sa.Column("session_id", sa.Integer(), nullable=True),
        sa.Column("did", sa.String(length=40), nullable=False),
        sa.Column("about", sa.String(length=80), nullable=False),
        sa.Column("patient_id", sa.Integer(), nullable=True),
        sa.Column("details", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["actor_id"], ["person.id"], name=op.f("fk_audit_actor_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_actor_id_id"), ["actor_id", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_did_id"), ["did", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_patient_id_id"), ["patient_id", "id"], unique=False)

    op.create_table(
        "communicator_facility",
        sa.Column("communicator_id", sa.Integer(), nullable=False),
        sa.Column("facility_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["communicator_id"], ["communicator.id"], name=op.f("fk_communicator_facility_communicator_id")),
        sa.ForeignKeyConstraint(["facility_id"], ["facility.id"], name=op.f("fk_communicator_facility_facility_id")),
        sa.PrimaryKeyConstraint("communicator_id", "facility_id", name=op.f("pk_communicator_facility")),
    )
    with op.batch_alter_table("communicator_facility", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_communicator_facility_facility_id"), ["facility_id"], unique=False)

    op.create_table(
        "draft",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=22), nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=False),
        sa.Column("about", sa.String(length=300), nullable=False),
        sa.Column("form_values", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("waits", sa.Boolean(), nullable=False),
        sa.Column("saved_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["author_id"], ["person.id"], name=op.f("fk_draft_author_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_draft")),
        sa.UniqueConstraint("author_id", "key", name=op.f("uq_draft_author_id_key")),
    )
    op.create_table(
        "login_session",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("seen_at", sa.DateTime(), nullable=False),
        sa.Column("idle_ends_at", sa.DateTime(), nullable=False),
        sa.Column("ends_at", sa.DateTime(), nullable=False),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_login_session_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_session")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_login_session_key_hash")),
    )
    with op.batch_alter_table("login_session", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_login_session_ends_at"), ["ends_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_login_session_person_id"), ["person_id"], unique=False)

    op.create_table(
        "patient",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("dob", sa.Date(), nullable=False),
        sa.Column(
            "gender",
            sa.Enum("female", "male", "other", "unknown", name="gender", native_enum=False, create_constraint=True, length=24),
            nullable=False,
        ),
        sa.Column("phone", sa.String(length=40), nullable=False),
        sa.Column("record_number", sa.String(length=20), nullable=True),
        sa.ForeignKeyConstraint(["id"], ["person.id"], name=op.f("fk_patient_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient")),
        sa.UniqueConstraint("record_number", name=op.f("uq_patient_record_number")),
    )
    op.create_table(
        "audit_seal",
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("audit_id", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("fk_audit_seal_audit_id")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_audit_seal")),
        sa.UniqueConstraint("audit_id", name=op.f("uq_audit_seal_audit_id")),
    )
    op.create_table(
        "box_filter",
        sa.Column("key", sa.String(length=22), nullable=False),
        sa.Column("session_id", sa.Integer(), nullable=False),
        sa.Column("filter_values", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["login_session.id"], name=op.f("fk_box_filter_session_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_box_filter")),
    )
    with op.batch_alter_table("box_filter", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_box_filter_session_id"), ["session_id"], unique=False)

    op.create_table(
        "record_value",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=22), nullable=False),
        sa.Column("patient_id", sa.Integer(), nullable=False),
        sa.Column(
            "section",
            sa.Enum(
                "Patient Information",
                "Drug Allergy",
                "Medication",
                "Problem",
                "Immunization",
                "Vital Signs",
                "Lab Results",
                name="section",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("value", sa.String(length=500), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("recorded_on", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_record_value_patient_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_record_value")),
        sa.UniqueConstraint("key", name=op.f("uq_record_value_key")),
    )
    with op.batch_alter_table("record_value", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_record_value_patient_id_section_id"), ["patient_id", "section", "id"], unique=False)

    op.create_table(
        "staff",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("login", sa.String(length=60), nullable=False),
        sa.Column("level", sa.String(length=60), nullable=False),
        sa.Column("is_admin", sa.Boolean(), nullable=False),
        sa.Column("own_patient_id", sa.Integer(), nullable=True),
        sa.Column("last_logon_at", sa.DateTime(), nullable=True),
        sa.Column("last_logout_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["id"], ["person.id"], name=op.f("fk_staff_id")),
        sa.ForeignKeyConstraint(["own_patient_id"], ["patient.id"], name=op.f("fk_staff_own_patient_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff")),
        sa.UniqueConstraint("login", name=op.f("uq_staff_login")),
    )
    op.create_table(
        "thread",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=22), nullable=False),
        sa.Column("patient_id", sa.Integer(), nullable=False),
        sa.Column("audience_id", sa.Integer(), nullable=True),
        sa.Column("unrouted_since", sa.DateTime(), nullable=True),
        sa.Column(
            "type",
            sa.Enum(
                "Appointment",
                "Result",
                "Others",
                "Amendment",
                name="requesttype",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("title", sa.String(length=240), nullable=False),
        sa.Column(
            "state",
            sa.Enum("waiting", "answered", "closed", name="threadstate", native_enum=False, create_constraint=True, length=24),
            nullable=False,
        ),
        sa.Column("facility_id", sa.Integer(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("last_patient_message_at", sa.DateTime(), nullable=True),
        sa.Column("last_staff_message_at", sa.DateTime(), nullable=True),
        sa.Column("is_unread", sa.Boolean(), nullable=False),
        sa.Column("is_in_box", sa.Boolean(), nullable=False),
        sa.Column("waiting_since", sa.DateTime(), nullable=True),
        sa.Column("due_at", sa.DateTime(), nullable=True),
        sa.Column("closed_at", sa.DateTime(), nullable=True),
        sa.Column("removed_at", sa.DateTime(), nullable=True),
        sa.Column("hidden_by_patient_at", sa.DateTime(), nullable=True),
        sa.Column("patient_read_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["audience_id"], ["audience.id"], name=op.f("fk_thread_audience_id")),
        sa.ForeignKeyConstraint(["facility_id"], ["facility.id"], name=op.f("fk_thread_facility_id")),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_thread_patient_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_thread")),
        sa.UniqueConstraint("key", name=op.f("uq_thread_key")),
    )
    with op.batch_alter_table("thread", schema=None) as batch_op:
        batch_op.create_index("ix_thread_answered_for_patient", ["patient_id", "last_staff_message_at", "id"], unique=False)
        batch_op.create_index("ix_thread_audience", ["audience_id", "last_patient_message_at", "id"], unique=False)
        batch_op.create_index(
            "ix_thread_in_box",
            ["audience_id", "last_patient_message_at", "id"],
            unique=False,
            sqlite_where=sa.text("is_in_box = 1"),
            postgresql_where=sa.text("is_in_box"),
        )
        batch_op.create_index(
            "ix_thread_in_box_of_patient",
            ["patient_id", "last_patient_message_at", "id"],
            unique=False,
            sqlite_where=sa.text("is_in_box = 1"),
            postgresql_where=sa.text("is_in_box"),
        )
        batch_op.create_index("ix_thread_sent_by_patient", ["patient_id", "last_patient_message_at", "id"], unique=False)
        batch_op.create_index("ix_thread_sent_by_staff", ["audience_id", "last_staff_message_at", "id"], unique=False)
        batch_op.create_index(
            "ix_thread_unread",
            ["audience_id", "last_patient_message_at", "id"],
            unique=False,
            sqlite_where=sa.text("is_unread = 1"),
            postgresql_where=sa.text("is_unread"),
        )
        batch_op.create_index(
            "ix_thread_unrouted",
            ["unrouted_since", "id"],
            unique=False,
            sqlite_where=sa.text("unrouted_since IS NOT NULL"),
            postgresql_where=sa.text("unrouted_since IS NOT NULL"),
        )

    op.create_table(
        "amendment",
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum("queued", name="amendmentstate", native_enum=False, create_constraint=True, length=24),
            nullable=False,
        ),
        sa.Column("value_id", sa.Integer(), nullable=False),
        sa.Column("from_value", sa.Text(), nullable=False),
        sa.Column("to_value", sa.Text(), nullable=False),
        sa.Column("memo", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["thread_id"], ["thread.id"], name=op.f("fk_amendment_thread_id")),
        sa.ForeignKeyConstraint(["value_id"], ["record_value.id"], name=op.f("fk_amendment_value_id")),
        sa.PrimaryKeyConstraint("thread_id", name=op.f("pk_amendment")),
    )
    op.create_table(
        "appointment_request",
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "requested",
                "confirmed",
                "declined",
                "cancelled",
                name="appointmentstate",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("facility_id", sa.Integer(), nullable=False),
        sa.Column("physician_id", sa.Integer(), nullable=True),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("weekdays", sa.String(length=7), nullable=False),
        sa.Column("from_time", sa.Time(), nullable=True),
        sa.Column("to_time", sa.Time(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("comments", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["facility_id"], ["facility.id"], name=op.f("fk_appointment_request_facility_id")),
        sa.ForeignKeyConstraint(["physician_id"], ["referring_physician.id"], name=op.f("fk_appointment_request_physician_id")),
        sa.ForeignKeyConstraint(["thread_id"], ["thread.id"], name=op.f("fk_appointment_request_thread_id")),
        sa.PrimaryKeyConstraint("thread_id", name=op.f("pk_appointment_request")),
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column("communicator_id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=80), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["communicator_id"], ["communicator.id"], name=op.f("fk_delivery_communicator_id")),
        sa.ForeignKeyConstraint(["thread_id"], ["thread.id"], name=op.f("fk_delivery_thread_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
    )
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_delivery_communicator_id"), ["communicator_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_delivery_thread_id"), ["thread_id"], unique=False)

    op.create_table(
        "history",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=True),
        sa.Column(
            "did",
            sa.Enum(
                "delivered",
                "received",
                "closed",
                "removed",
                "restored",
                "handed",
                name="event",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("up_to_id", sa.Integer(), nullable=True),
        sa.Column("words", sa.String(length=1000), nullable=False),
        sa.ForeignKeyConstraint(["by_id"], ["person.id"], name=op.f("fk_history_by_id")),
        sa.ForeignKeyConstraint(["thread_id"], ["thread.id"], name=op.f("fk_history_thread_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_history")),
    )
    with op.batch_alter_table("history", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_history_thread_id_id"), ["thread_id", "id"], unique=False)

    op.create_table(
        "membership",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("communicator_id", sa.Integer(), nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.Column("until", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["communicator_id"], ["communicator.id"], name=op.f("fk_membership_communicator_id")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_membership_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_membership")),
    )
    with op.batch_alter_table("membership", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_membership_staff_id_until"), ["staff_id", "until"], unique=False)
        batch_op.create_index(
            "uq_membership_now",
            ["communicator_id", "staff_id"],
            unique=True,
            sqlite_where=sa.text("until IS NULL"),
            postgresql_where=sa.text("until IS NULL"),
        )

    op.create_table(
        "message",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=22), nullable=False),
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=False),
        sa.Column("is_from_patient", sa.Boolean(), nullable=False),
        sa.Column("communicator_id", sa.Integer(), nullable=True),
        sa.Column("communicator_title", sa.String(length=400), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.DateTime(), nullable=False),
        sa.Column("form_key", sa.String(length=22), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["author_id"], ["person.id"], name=op.f("fk_message_author_id")),
        sa.ForeignKeyConstraint(["communicator_id"], ["communicator.id"], name=op.f("fk_message_communicator_id")),
        sa.ForeignKeyConstraint(["thread_id"], ["thread.id"], name=op.f("fk_message_thread_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
        sa.UniqueConstraint("author_id", "form_key", name=op.f("uq_message_author_id_form_key")),
        sa.UniqueConstraint("key", name=op.f("uq_message_key")),
    )
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_message_author_id_sent_at"), ["author_id", "sent_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_message_thread_id_id"), ["thread_id", "id"], unique=False)

    op.create_table(
        "read_log",
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_read_log_person_id")),
        sa.ForeignKeyConstraint(["thread_id"], ["thread.id"], name=op.f("fk_read_log_thread_id")),
        sa.PrimaryKeyConstraint("person_id", "thread_id", "hour", name=op.f("pk_read_log")),
    )
    with op.batch_alter_table("read_log", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_read_log_thread_id_at"), ["thread_id", "at"], unique=False)

    op.create_table(
        "result_request",
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "requested",
                "in preparation",
                "ready for pick-up",
                "picked up",
                "sent",
                "declined",
                "cancelled",
                name="resultstate",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("wants_report", sa.Boolean(), nullable=False),
        sa.Column("wants_cd", sa.Boolean(), nullable=False),
        sa.Column("wants_web_link", sa.Boolean(), nullable=False),
        sa.Column(
            "hand_over",
            sa.Enum("Pick up", "Mail", "Secure message", name="handover", native_enum=False, create_constraint=True, length=24),
            nullable=False,
        ),
        sa.Column("location_id", sa.Integer(), nullable=True),
        sa.Column("is_all_studies", sa.Boolean(), nullable=False),
        sa.Column("exam_date", sa.Date(), nullable=True),
        sa.Column("comments", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["location_id"], ["facility.id"], name=op.f("fk_result_request_location_id")),
        sa.ForeignKeyConstraint(["thread_id"], ["thread.id"], name=op.f("fk_result_request_thread_id")),
        sa.PrimaryKeyConstraint("thread_id", name=op.f("pk_result_request")),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=22), nullable=False),
        sa.Column(
            "occasion",
            sa.Enum("waiting", "answered", "unrouted", name="occasion", native_enum=False, create_constraint=True, length=24),
            nullable=False,
        ),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "waiting", "leased", "sent", "dead", name="noticestate", native_enum=False, create_constraint=True, length=24
            ),
            nullable=False,
        ),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("sent_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name=op.f("fk_outbox_message_id")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_outbox_person_id")),
        sa.ForeignKeyConstraint(["thread_id"], ["thread.id"], name=op.f("fk_outbox_thread_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("key", name=op.f("uq_outbox_key")),
        sa.UniqueConstraint("message_id", "person_id", "occasion", name=op.f("uq_outbox_message_id_person_id_occasion")),
    )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index(
            "ix_outbox_due",
            ["next_at"],
            unique=False,
            sqlite_where=sa.text("state IN ('waiting', 'leased')"),
            postgresql_where=sa.text("state IN ('waiting', 'leased')"),
        )
        batch_op.create_index("ix_outbox_sent", ["sent_at"], unique=False)
    op.execute(
        "INSERT INTO practice (id, name, address, phone, hours, emergency_number, time_zone, country, promise_days,"
        " amendment_days, meaningful_use, shows_staff_names, asks_physician, is_demo) VALUES (1, 'Our practice', '', '', '',"
        " '911', 'America/New_York', 'US', 3, 60, false, false, false, false)"
    )
    for statement in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)


TRIGGERS = {
    "sqlite": [
        f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb.upper()} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} rows are never changed'); END"
        for table in ("audit", "message")
        for verb in ("update", "delete")
    ],
    "postgresql": [
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% rows are never changed', TG_TABLE_NAME; END $$",
        *(
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_change()"
            for table in ("audit", "message")
        ),
    ],
}


def downgrade() -> None:
    raise RuntimeError("Restore the backup made before the upgrade: a downgrade would lose messages.")
