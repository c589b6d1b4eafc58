"""Canned replies: texts written once, a person's own or a communicator's, with placeholders that are filled when one is used."""

import re
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from practice.communicators import Communicator, eligible
from practice.conversations import BODY_MAX, clean
from practice.db import Actor, Model, Transaction, again_if_doubled, db, transaction
from practice.drafts import delete_draft
from practice.errors import Invalid, NotVisible, Stale
from practice.people import term_key
from practice.placeholders import KNOWN, unknown_in
from practice.routing import hold_routing_still

TITLE_MAX = 80
MOST = 200  # own ones of a person, and of a communicator
BEGINNING = 120  # so much of a text the list shows
_KEY = re.compile(r"[\w-]{22}", re.ASCII)


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


# ---- Reading -------------------------------------------------------------------------------------

_mine = sa.select(eligible(staff=sa.bindparam("me")).subquery().c.communicator_id)
_IS_MINE = sa.or_(CannedReply.owner_id == sa.bindparam("me"), CannedReply.communicator_id.in_(_mine))
_LIST = (
    sa.select(
        CannedReply.key,
        CannedReply.title,
        sa.func.substr(CannedReply.body, 1, BEGINNING + 1).label("beginning"),
        CannedReply.communicator_id,
        Communicator.title.label("communicator"),
    )
    .outerjoin(Communicator, Communicator.id == CannedReply.communicator_id)
    .where(_IS_MINE)
)
_ONE = (
    sa.select(CannedReply.key, CannedReply.title, CannedReply.body, CannedReply.version, Communicator.title.label("communicator"))
    .outerjoin(Communicator, Communicator.id == CannedReply.communicator_id)
    .where(_IS_MINE, CannedReply.key == sa.bindparam("named"))
)
_communicators: sa.BindParameter[Any] = sa.bindparam("communicators", expanding=True)
_FITS = sa.or_(CannedReply.owner_id == sa.bindparam("me"), CannedReply.communicator_id.in_(_communicators))
_FITTING = sa.select(CannedReply.key, CannedReply.title, CannedReply.communicator_id).where(_FITS)
_BODY = sa.select(CannedReply.body).where(_FITS, CannedReply.key == sa.bindparam("named"))


def canned_replies(me: int) -> list[Any]:
    """My own and those of my communicators: key, title, the beginning of the text, and the communicator's title (own: None)."""
    rows = db.session.connection().execute(_LIST, {"me": me}).all()
    return sorted(rows, key=lambda row: (row.communicator is not None, term_key(row.communicator or ""), *_by_title(row)))


def canned_reply(key: str, me: int) -> Any:
    """One of them: key, title, body, version and its communicator's title. Raises NotVisible."""
    row = db.session.connection().execute(_ONE, {"me": me, "named": key}).first()
    if row is None:
        raise NotVisible
    return row


def fitting(me: int, communicators: Iterable[int]) -> list[Any]:
    """Key and title of my own and of those of these communicators, which are to be mine: own ones first, by title."""
    rows = db.session.connection().execute(_FITTING, {"me": me, "communicators": list(communicators)}).all()
    return sorted(rows, key=lambda row: (row.communicator_id is not None, *_by_title(row)))


def body_of(key: str, me: int, communicators: Iterable[int]) -> str | None:
    """The text of one that fits; None where it does not, or is there no more."""
    values = {"me": me, "communicators": list(communicators), "named": key}
    return db.session.connection().scalar(_BODY, values)


def _by_title(row: Any) -> tuple[str, str]:
    return term_key(row.title), row.key


# ---- Changing ------------------------------------------------------------------------------------


@again_if_doubled
def add_canned_reply(*, title: str, body: str, communicator: str | None, form_key: str, by: Actor) -> None:
    """Adds one to the own ones, or to those of a communicator (its key) of which this person is in charge or a deputy.

    The form's key becomes its key. Raises Invalid: also for an unknown placeholder, beyond 200, and for a form that was saved
    before with other words.
    """
    title, body = _cleaned(title, body)
    if not _KEY.fullmatch(form_key):
        raise Invalid("key", "This form cannot be sent. Open it again.")
    with transaction(by=by, did="add_canned_reply", about=form_key) as tx:
        hold_routing_still(tx.session)  # so that no communicator is deleted meanwhile
        whose = {"communicator_id": _mine_with(tx, communicator)} if communicator else {"owner_id": by.person}
        made = tx.session.scalar(sa.select(CannedReply).where(CannedReply.key == form_key))
        if made is not None:
            if any(getattr(made, name) != value for name, value in {"title": title, "body": body, **whose}.items()):
                raise Invalid("key", "This form was saved before, with other words. Open a new one.")
            tx.is_silent = True
            return
        if (tx.session.scalar(sa.select(sa.func.count()).select_from(CannedReply).filter_by(**whose)) or 0) >= MOST:
            raise Invalid("communicator", "There are %(most)s here already. Delete one first.", most=MOST)
        tx.session.add(CannedReply(key=form_key, title=title, body=body, **whose))
        delete_draft(tx.session, by.person or 0, form_key)


def change_canned_reply(key: str, *, title: str, body: str, version: int, form_key: str, by: Actor) -> None:
    """Raises NotVisible, Invalid, and Stale when it was changed after `version`."""
    title, body = _cleaned(title, body)
    with transaction(by=by, did="change_canned_reply", about=key) as tx:
        one = _seen(tx, key, version)
        tx.is_silent = (one.title, one.body) == (title, body)
        one.title, one.body = title, body
        delete_draft(tx.session, by.person or 0, form_key)


def delete_canned_reply(key: str, *, version: int, by: Actor) -> None:
    """Raises NotVisible, and Stale when it was changed after `version`."""
    with transaction(by=by, did="delete_canned_reply", about=key) as tx:
        tx.session.delete(_seen(tx, key, version))


def _cleaned(title: str, body: str) -> tuple[str, str]:
    body = clean("body", body, BODY_MAX)
    if unknown := unknown_in(body):
        known = ", ".join(f"{{{name}}}" for name in KNOWN)
        text = "Not a placeholder: %(unknown)s. Those known are: %(known)s."
        raise Invalid("body", text, unknown=", ".join(unknown), known=known)
    return " ".join(clean("title", title, TITLE_MAX).split()), body


def _mine_with(tx: Transaction, communicator: str) -> int:
    mine = sa.select(Communicator.id).where(Communicator.key == communicator, Communicator.id.in_(_mine))
    found = tx.session.scalar(mine, {"me": tx.by.person})
    if found is None:
        raise Invalid("communicator", "Choose one of your communicators.")
    return found


def _seen(tx: Transaction, key: str, version: int) -> CannedReply:
    mine = sa.select(CannedReply).where(_IS_MINE, CannedReply.key == key).with_for_update()
    one = tx.session.scalar(mine, {"me": tx.by.person})
    if one is None:
        raise NotVisible
    if one.version != version:
        raise Stale("changed meanwhile")
    return one
