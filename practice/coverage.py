"""Every verb that changes who is eligible: it changes, then has routing deliver what waited, in the same transaction."""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.orm import Session

from practice import routing
from practice.communicators import (
    AudienceCommunicator,
    Communicator,
    CommunicatorFacility,
    InCharge,
    Membership,
    in_charge_of,
    is_routable,
    title_key,
)
from practice.conversations import clean
from practice.db import Actor, Transaction, new_key, now, transaction
from practice.drafts import delete_draft
from practice.errors import Invalid, NotAllowed, NotVisible, Stale
from practice.people import AccountStatus, Person, Staff
from practice.sessions import end_sessions_of
from practice.settings import RequestType
from practice.threads import Delivery

TITLE_MAX = 80


class HasThreads(NotAllowed):
    """A communicator with threads is not deleted: switch it off instead."""

    status = 409


def save_communicator(
    key: str | None,
    *,
    kind: RequestType,
    title: str,
    staff: Iterable[str],
    is_in_use: bool,
    by: Actor,
    version: int | None = None,
    help: str = "",
    form_key: str | None = None,
) -> str:
    """Makes a communicator (`key` None) or changes one; delivers what waited for it. Answers its key.

    `staff`: the keys of the users in charge; `form_key`: the form whose draft is done with. Raises NotVisible, Stale when it
    was saved after `version`, Invalid for an empty, too long or taken title, an unknown person, and a change of type once it
    has threads.
    """
    title = " ".join(clean("title", title, TITLE_MAX).split())
    with transaction(by=by, did="save_communicator" if key else "add_communicator", about=key or "") as tx:
        _admin_only(tx)
        routing.hold_routing_still(tx.session, to_change_it=True)
        communicator = _load(tx.session, key) if key else Communicator(key=form_key or new_key(), help=help)
        made = _made_by(tx.session, form_key) if form_key and not key else None
        if made:  # the same form again: saved once, and other words under its key are not taken for it
            if (made.type, made.title_key) == (kind, title_key(title)):
                return made.key
            raise Invalid("title", "This form was saved before, with another title or type. Open a new one.")
        if key and communicator.version != version:
            raise Stale("saved by somebody else")
        if key and communicator.type != kind and has_threads(tx.session, communicator.id):
            raise Invalid("type", "It has threads of its type: make a new communicator with the same staff instead.")
        taken = sa.select(Communicator.id).where(Communicator.type == kind, Communicator.title_key == title_key(title))
        if tx.session.scalar(taken.where(Communicator.id != (communicator.id or 0))):
            raise Invalid("title", "Another communicator of this type has this title.")
        was = (communicator.type, communicator.title, communicator.is_in_use)
        communicator.type, communicator.title, communicator.title_key = kind, title, title_key(title)
        communicator.is_in_use = is_in_use
        if was != (kind, title, is_in_use):
            tx.details = {"was": [str(v) for v in was], "is": [kind, title, str(is_in_use)]}
        tx.session.add(communicator)
        tx.session.flush()
        _set_staff(tx, communicator, list(dict.fromkeys(staff)), is_new=key is None)
        tx.about = communicator.key
        if form_key and by.person is not None:
            delete_draft(tx.session, by.person, form_key)
        routing.wake(tx)
        return communicator.key


def _made_by(session: Session, form_key: str) -> Communicator | None:
    """The communicator that this form made: a form's key becomes the key of what it creates."""
    return session.scalar(sa.select(Communicator).where(Communicator.key == form_key))


def _set_staff(tx: Transaction, communicator: Communicator, keys: list[str], *, is_new: bool) -> None:
    found = dict(
        tx.session.execute(sa.select(Person.key, Person.id).join(Staff, Staff.id == Person.id).where(Person.key.in_(keys))).all()
    )
    if len(found) != len(keys):
        raise Invalid("staff", "One of the users is not there any more.")
    now_in_charge = sa.select(Membership).where(Membership.communicator_id == communicator.id, Membership.until.is_(None))
    members = {m.staff_id: m for m in tx.session.scalars(now_in_charge)}
    wanted = set(found.values())
    added, removed = wanted - members.keys(), members.keys() - wanted
    at = now()
    for staff in sorted(added):
        tx.session.add(Membership(communicator_id=communicator.id, staff_id=staff, since=at))
    for staff in removed:
        members[staff].until = at
    if added or removed:
        tx.details |= {"added": sorted(added), "removed": sorted(removed)}
        if not is_new:
            _touch(tx.session, communicator)
    tx.session.flush()


def _touch(session: Session, communicator: Communicator) -> None:
    """A change of members is a change of the communicator: its version moves, whoever edits an old one is told."""
    sa.orm.attributes.flag_modified(communicator, "title")


def delete_communicator(key: str, *, by: Actor) -> None:
    """Deletes a communicator that never had a thread. Raises NotVisible, HasThreads."""
    with transaction(by=by, did="delete_communicator", about=key) as tx:
        _admin_only(tx)
        routing.hold_routing_still(tx.session, to_change_it=True)
        communicator = _load(tx.session, key)
        if has_threads(tx.session, communicator.id):
            raise HasThreads(communicator.title)
        tx.details = {"title": communicator.title, "type": communicator.type}
        for table in (Membership, CommunicatorFacility, AudienceCommunicator):
            tx.session.execute(sa.delete(table).where(table.communicator_id == communicator.id))
        tx.session.delete(communicator)
        tx.session.flush()


def set_staff_status(staff_key: str, status: AccountStatus, *, by: Actor) -> None:
    """Disables or enables a member of staff. Disabled: every session ends at once, membership stays but counts for nothing.

    Enabled: what waited for somebody is delivered. Raises NotVisible, NotAllowed for the last active admin.
    """
    with transaction(by=by, did=f"{status}_staff", about=staff_key) as tx:
        _admin_only(tx)
        routing.hold_routing_still(tx.session, to_change_it=True)
        person = tx.session.scalar(
            sa.select(Person).join(Staff, Staff.id == Person.id).where(Person.key == staff_key).with_for_update()
        )
        if person is None:
            raise NotVisible
        if status != AccountStatus.ACTIVE:
            others = (
                sa.select(Staff.id)
                .join(Person, Person.id == Staff.id)
                .where(Staff.is_admin, Person.status == AccountStatus.ACTIVE, Person.id != person.id)
            )
            if tx.session.get_one(Staff, person.id).is_admin and not tx.session.scalar(others.limit(1)):
                raise NotAllowed("the last active admin")
            end_sessions_of(tx.session, person.id)
        person.status = status
        tx.session.flush()
        routing.wake(tx)


def has_threads(session: Session, communicator: int) -> bool:
    """Whether a thread was ever put in front of it or written on its behalf."""
    delivered = sa.select(Delivery.id).where(Delivery.communicator_id == communicator).limit(1)
    return bool(session.scalar(delivered))


def threads_count(session: Session, communicator: int, *, at_most: int = 1000) -> int:
    """How many times a thread was put in front of it, counted up to `at_most`."""
    some = sa.select(Delivery.id).where(Delivery.communicator_id == communicator).limit(at_most).subquery()
    return session.scalar(sa.select(sa.func.count()).select_from(some)) or 0


def gaps_without(session: Session, key: str | None, *, kind: RequestType, staff: list[str], is_in_use: bool) -> bool:
    """Whether saving this would leave the type without anybody who receives it. Changes nothing."""
    would = sa.select(Person.id).where(Person.key.in_(staff), Person.status == AccountStatus.ACTIVE).limit(1)
    if is_in_use and session.scalar(would):
        return False
    others = sa.select(Communicator.id).where(Communicator.type == kind, Communicator.key != (key or ""), is_routable()).limit(1)
    return session.scalar(others) is None


def in_charge(session: Session, communicator: Communicator) -> list[InCharge]:
    return in_charge_of(session, [communicator.id])[communicator.id]


def _load(session: Session, key: str) -> Communicator:
    communicator = session.scalar(sa.select(Communicator).where(Communicator.key == key).with_for_update())
    if communicator is None:
        raise NotVisible
    return communicator


def _admin_only(tx: Transaction) -> None:
    """Commands and the system may; a person must be an active admin at this very moment."""
    if tx.by.person is None:
        return
    is_admin = (
        sa.select(Staff.is_admin)
        .join(Person, Person.id == Staff.id)
        .where(Staff.id == tx.by.person, Person.status == AccountStatus.ACTIVE)
    )
    if not tx.session.scalar(is_admin):
        raise NotAllowed
