"""Amendments: a patient asks for a correction of a value of their record (45 CFR 164.526). Only in Meaningful Use mode."""

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from practice.conversations import BODY_MAX, Sent, clean, send
from practice.db import Actor, Model, again_if_doubled, choice, db, transaction
from practice.records import value_of
from practice.settings import RequestType

TITLE = "Amendment request"  # fixed word: shown in the reader's language
TO_MAX = 500


class AmendmentState(StrEnum):
    """The first state of the HL7 corrections guide (PatientCorrectionBusinessStatus)."""

    QUEUED = "queued"


class Amendment(Model):
    __tablename__ = "amendment"
    thread_id: Mapped[int] = mapped_column(sa.ForeignKey("thread.id"), primary_key=True)
    state: Mapped[AmendmentState] = mapped_column(choice(AmendmentState), index=True)
    value_id: Mapped[int] = mapped_column(sa.ForeignKey("record_value.id"))
    from_value: Mapped[str] = mapped_column(sa.Text)  # as the server read it when it was sent
    to_value: Mapped[str] = mapped_column(sa.Text)
    memo: Mapped[str] = mapped_column(sa.Text)


@again_if_doubled
def request_amendment(patient: int, value_key: str, *, to: str, memo: str, form_key: str, by: Actor) -> Sent:
    """*From* is taken from the record, never from the form. Raises NotVisible (not theirs), SwitchedOff, Invalid."""
    to = clean("to", to, TO_MAX)
    memo = clean("memo", memo, BODY_MAX) if memo.strip() else ""
    with transaction(by=by, did="request_amendment", patient=patient) as tx:
        value = value_of(tx.session, value_key, patient)
        sent = send(
            patient,
            kind=RequestType.AMENDMENT,
            title=TITLE,
            body=memo or to,
            form_key=form_key,
            by=by,
            fields={"value": value_key, "to": to, "memo": memo},
        )
        tx.about = sent.thread_key
        if sent.is_new:
            tx.session.add(
                Amendment(
                    thread_id=sent.thread_id,
                    state=AmendmentState.QUEUED,
                    value_id=value.id,
                    from_value=", ".join((value.section, value.name, value.value)),
                    to_value=to,
                    memo=memo,
                )
            )
        return sent


def amendment_of(thread: int) -> Amendment | None:
    return db.session.get(Amendment, thread)
