"""Import of staff and patients from a file: read, checked line by line, shown, and then taken whole or not at all."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from practice.db import Model, choice


class ImportKind(StrEnum):
    STAFF = "staff"
    PATIENTS = "patients"


class Import(Model):
    """A file on its way in. `lines` (JSON: a list of lists of texts) as read, without the head; `errors` (JSON: a list of
    [line number in the file, field, text]) of the lines checked so far."""

    __tablename__ = "import"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(22), unique=True)
    kind: Mapped[ImportKind] = mapped_column(choice(ImportKind))
    by_id: Mapped[int] = mapped_column(sa.ForeignKey("staff.id"), index=True)
    file_name: Mapped[str] = mapped_column(sa.String(200))
    columns: Mapped[str] = mapped_column("file_columns", sa.Text)  # JSON: the field of each column
    lines: Mapped[str] = mapped_column("file_lines", sa.Text)
    total: Mapped[int]
    checked: Mapped[int]
    errors: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(index=True)
    done_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(sa.Integer)
    __mapper_args__ = {"version_id_col": version}
