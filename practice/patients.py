"""Patients' accounts as an admin keeps them: found, matched to a record number, locked, merged and parted again."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from practice.db import Model


class PatientMerge(Model):
    """Two accounts of one person became one; `moved` (JSON) says exactly what, so that undoing moves back just that."""

    __tablename__ = "patient_merge"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(22), unique=True)
    kept_id: Mapped[int] = mapped_column(sa.ForeignKey("patient.id"), index=True)
    merged_id: Mapped[int] = mapped_column(sa.ForeignKey("patient.id"), index=True)
    moved: Mapped[str] = mapped_column(sa.Text)
    at: Mapped[datetime]
    undone_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(sa.Integer)
    __mapper_args__ = {"version_id_col": version}
