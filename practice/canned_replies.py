"""Canned replies: texts written once, a person's own or a communicator's, with placeholders that are filled when one is used."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from practice.db import Model


class CannedReply(Model):
    """Either its owner's own, or everybody's in charge of the communicator."""

    __tablename__ = "canned_reply"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(22), unique=True)
    owner_id: Mapped[int | None] = mapped_column(sa.ForeignKey("person.id"), index=True)
    communicator_id: Mapped[int | None] = mapped_column(sa.ForeignKey("communicator.id"), index=True)
    title: Mapped[str] = mapped_column(sa.String(80))
    body: Mapped[str] = mapped_column(sa.Text)
    version: Mapped[int] = mapped_column(sa.Integer)
    __mapper_args__ = {"version_id_col": version}
