"""Every verb that changes who is eligible: it changes, then has routing deliver what waited, in the same transaction."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased
from sqlalchemy.orm.attributes import flag_modified

from practice import routing
from practice.absences import Absence, start_of_day
from practice.canned_replies import CannedReply
from practice.communicators import (
    Audience,
    AudienceCommunicator,
    Communicator,
    CommunicatorFacility,
    Membership,
    all_routable,
    eligible,
    in_charge_of,
    is_routable,
    standing_for,
    supposing,
)
from practice.conversations import clean, release_lost_claims
from practice.db import Actor, Transaction, counted, db, new_key, now, transaction
from practice.drafts import delete_draft
from practice.errors import Invalid, NotAllowed, NotVisible, Refused, Stale
from practice.links import end_ways_in
from practice.people import AccountStatus, Kind, Person, Staff, active_admins, must_be_admin, title_key
from practice.sessions import end_sessions_of
from practice.settings import Facility, RequestType, the_practice
from practice.threads import Delivery, Thread

TITLE_MAX = 80
HELP_MAX = 200
ABSENCE_MAX = timedelta(days=731)
IS_STAFF = Person.kind == Kind.STAFF


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
    version: int | None = None,
    help: str | None = None,
    facilities: Iterable[str] | None = None,
    form_key: str | None = None,
    by: Actor,
) -> str:
    """Makes a communicator (`key` None) or changes one; delivers what waited for it. Answers its key.

    `staff`: the keys of the users in charge; `facilities`: the keys of those it serves, none: all; `help`: a line for patients
    (None leaves either as it is); `form_key`: the form whose draft is done with. Raises NotVisible, Stale when it was saved
    after `version`, Invalid for an empty, too long or taken title, an unknown person or facility, and a change of type once
    it has threads.
    """
    title = " ".join(clean("title", title, TITLE_MAX).split())
    with transaction(by=by, did="save_communicator" if key else "add_communicator", about=key or "") as tx:
        must_be_admin(tx)
        routing.hold_routing_still(tx.session, to_change_it=True)
        communicator = _load(tx.session, key) if key else Communicator(key=_row_key(form_key), help="")
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
        was = _values(communicator)
        communicator.type, communicator.title, communicator.title_key = kind, title, title_key(title)
        communicator.is_in_use = is_in_use
        if help is not None:
            communicator.help = _line(help)
        tx.note_change(was if key else {}, _values(communicator))
        tx.session.add(communicator)
        tx.session.flush()
        before = set(eligible_staff(tx.session, communicator.id))
        is_changed = _set_staff(tx, communicator, list(dict.fromkeys(staff)))
        if facilities is not None:
            is_changed |= _set_facilities(tx, communicator, list(dict.fromkeys(facilities)))
        if key and is_changed:  # whoever edits an old version is told
            flag_modified(communicator, "title")
        tx.session.flush()
        release_lost_claims(tx, before - set(eligible_staff(tx.session, communicator.id)))
        tx.about = communicator.key
        if form_key and by.person is not None:
            delete_draft(tx.session, by.person, form_key)
        routing.wake(tx)
        return communicator.key


def _row_key(form_key: str | None) -> str:
    """A form's key becomes that of the row it makes; one that no form of ours has does not."""
    return form_key if form_key and len(form_key) == 22 else new_key()


def _made_by(session: Session, form_key: str) -> Communicator | None:
    """The communicator that this form made: a form's key becomes the key of what it creates."""
    return session.scalar(sa.select(Communicator).where(Communicator.key == form_key))


def _values(communicator: Communicator) -> dict[str, Any]:
    return {name: getattr(communicator, name) for name in ("type", "title", "is_in_use", "help")}


def _line(help: str) -> str:
    """The line of help as it is kept. Raises Invalid."""
    return clean("help", help, HELP_MAX) if help.strip() else ""


def eligible_staff(session: Session, communicator: int) -> dict[int, bool]:
    """The ids of who is eligible for a communicator now, and whether present."""
    rows = session.execute(eligible(communicator=communicator))
    found: dict[int, bool] = {}
    for _, staff, is_present in rows:
        found[staff] = found.get(staff, False) or bool(is_present)
    return found


def _set_facilities(tx: Transaction, communicator: Communicator, keys: list[str]) -> bool:
    """Sets which facilities it serves; answers whether that is a change."""
    found = {row.key: row for row in tx.session.scalars(sa.select(Facility).where(Facility.key.in_(keys)))}
    if len(found) != len(keys):
        raise Invalid("facilities", "One of the facilities is not there any more.")
    of_it = CommunicatorFacility.communicator_id == communicator.id
    before = dict(
        tx.session.execute(
            sa.select(Facility.id, Facility.name)
            .join(CommunicatorFacility, CommunicatorFacility.facility_id == Facility.id)
            .where(of_it)
        ).all()
    )
    after = {row.id: row.name for row in found.values()}
    if before == after:
        return False
    tx.session.execute(sa.delete(CommunicatorFacility).where(of_it))
    tx.session.add_all(CommunicatorFacility(communicator_id=communicator.id, facility_id=f) for f in sorted(after))
    tx.note_change({"facilities": sorted(before.values())}, {"facilities": sorted(after.values())})
    return True


def _set_staff(tx: Transaction, communicator: Communicator, keys: list[str]) -> bool:
    """Sets who is in charge; answers whether that is a change."""
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
        logins = dict(tx.session.execute(sa.select(Staff.id, Staff.login).where(Staff.id.in_(wanted | members.keys()))).all())
        before, after = (sorted(logins[one] for one in some) for some in (members.keys(), wanted))
        tx.note_change({"staff": before}, {"staff": after})
    return bool(added or removed)


def delete_communicator(key: str, *, by: Actor) -> None:
    """Deletes a communicator that never had a thread, and its canned replies. Raises NotVisible, HasThreads."""
    with transaction(by=by, did="delete_communicator", about=key) as tx:
        must_be_admin(tx)
        routing.hold_routing_still(tx.session, to_change_it=True)
        communicator = _load(tx.session, key)
        if has_threads(tx.session, communicator.id):
            raise HasThreads(communicator.title)
        staff = sorted(one.login for one in in_charge_of(tx.session, [communicator.id])[communicator.id])
        tx.note_change(_values(communicator) | {"staff": staff}, {})
        routing.forget_audiences(tx.session, communicator.id)
        for table in (Membership, CommunicatorFacility, CannedReply):
            tx.session.execute(sa.delete(table).where(table.communicator_id == communicator.id))
        tx.session.delete(communicator)
        tx.session.flush()


def set_staff_status(staff_key: str, status: AccountStatus, *, by: Actor) -> None:
    """Disables or enables a member of staff. Disabled: every session ends at once, membership stays but counts for nothing.

    Enabled: what waited for somebody is delivered. Raises NotVisible, NotAllowed for the last active admin.
    """
    with transaction(by=by, did=f"{status}_staff", about=staff_key) as tx:
        must_be_admin(tx)
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
            end_ways_in(tx.session, person.id)
        tx.note_change({"status": person.status}, {"status": status})
        stands_in = set(standing_for(tx.session, [person.id]))
        person.status = status
        tx.session.flush()
        release_lost_claims(tx, {person.id, *stands_in})
        routing.wake(tx)


def has_threads(session: Session, communicator: int) -> bool:
    """Whether a thread was ever put in front of it or written on its behalf."""
    delivered = sa.select(Delivery.id).where(Delivery.communicator_id == communicator).limit(1)
    return bool(session.scalar(delivered))


def threads_count(session: Session, communicator: int) -> int:
    """How many threads were ever put in front of it, counted up to COUNTED + 1."""
    earlier = aliased(Delivery)
    is_again = sa.exists().where(
        earlier.thread_id == Delivery.thread_id, earlier.communicator_id == communicator, earlier.id < Delivery.id
    )  # DISTINCT would read them all
    return counted(session, sa.select(Delivery.id).where(Delivery.communicator_id == communicator, sa.not_(is_again)))


def gaps_without(session: Session, key: str | None, *, kind: RequestType, staff: list[str], is_in_use: bool) -> bool:
    """Whether saving this would leave the type without anybody who receives it. Changes nothing."""
    if is_in_use and any(standing_for(session, _ids(session, staff)).values()):
        return False
    others = sa.select(Communicator.id).where(Communicator.type == kind, Communicator.key != (key or ""), is_routable()).limit(1)
    return session.scalar(others) is None


def _ids(session: Session, keys: Iterable[str]) -> list[int]:
    return list(session.scalars(sa.select(Staff.id).join(Person, Person.id == Staff.id).where(Person.key.in_(list(keys)))))


# ---- What a save would do ------------------------------------------------------------------------


@dataclass(frozen=True)
class Impact:
    """Who would see what if a communicator were saved: people and threads gained and lost (threads up to COUNTED + 1), claims
    that would be released."""

    gaining: int = 0
    gained: int = 0
    losing: int = 0
    lost: int = 0
    claims: int = 0


def impact_of(session: Session, key: str, *, staff: Iterable[str]) -> Impact:
    """What changing the users in charge to these (keys) would do now. Changes nothing."""
    communicator = session.scalar(sa.select(Communicator.id).where(Communicator.key == key))
    if communicator is None:
        return Impact()
    before, after = set(eligible_staff(session, communicator)), set(standing_for(session, _ids(session, staff)))
    if before == after:
        return Impact()
    of_it = set(session.scalars(_AUDIENCES_OF, {"communicator": communicator}))
    gained = _audiences_by(session, after - before, of_it, without=None)
    lost = _audiences_by(session, before - after, of_it, without=communicator)
    return Impact(
        gaining=len(gained),
        gained=_threads_in(session, set().union(*gained.values())),
        losing=len(lost),
        lost=_threads_in(session, set().union(*lost.values())),
        claims=sum(_claims_in(session, person, audiences) for person, audiences in lost.items()),
    )


_AUDIENCES_OF = sa.select(AudienceCommunicator.audience_id).where(
    AudienceCommunicator.communicator_id == sa.bindparam("communicator")
)


def _audiences_by(session: Session, people: set[int], audiences: set[int], *, without: int | None) -> dict[int, set[int]]:
    """For each person those of the audiences that no other communicator of theirs has (`without`: this one not counted);
    people with none are left out."""
    if not people or not audiences:
        return {}
    mine = eligible(staff=sorted(people)).subquery()
    rows = session.execute(
        sa.select(mine.c.staff_id, AudienceCommunicator.audience_id)
        .join(mine, mine.c.communicator_id == AudienceCommunicator.communicator_id)
        .where(mine.c.communicator_id != (without or 0))
    )
    has: dict[int, set[int]] = {person: set() for person in people}
    for person, audience in rows:
        has[person].add(audience)
    return {person: audiences - others for person, others in has.items() if audiences - others}


def _threads_in(session: Session, audiences: set[int]) -> int:
    return counted(session, sa.select(Thread.id).where(Thread.audience_id.in_(sorted(audiences))))


def _claims_in(session: Session, person: int, audiences: set[int]) -> int:
    claimed = Thread.claimed_by_id == person, Thread.claimed_until > now(), Thread.audience_id.in_(sorted(audiences))
    return session.scalar(sa.select(sa.func.count()).select_from(Thread).where(*claimed)) or 0


@dataclass(frozen=True)
class Consequences:
    """What disabling a member of staff would do: communicators left without anybody present (titles), types that nobody
    would receive, claims released, threads in the box that nobody at all would see."""

    left_empty: list[str]
    types_without: list[RequestType]
    claims: int
    open_threads: int
    is_last_admin: bool


def consequences_of(session: Session, staff_key: str) -> Consequences:
    """Asks the rule of eligibility as if the person were disabled. Changes nothing. Raises NotVisible."""
    person = session.scalar(sa.select(Person.id).join(Staff, Staff.id == Person.id).where(Person.key == staff_key))
    if person is None:
        raise NotVisible
    routable, has = all_routable(session), _present_by_communicator(session)
    with supposing(disabled=person):
        still, keeps = {one.type for one in all_routable(session)}, _present_by_communicator(session)
    without = {one.type for one in routable} - still
    empty = sorted(one for one, is_there in has.items() if is_there and not keeps.get(one))
    held = Thread.claimed_by_id == person, Thread.claimed_until > now()
    titles = sa.select(Communicator.title).where(Communicator.id.in_(empty)).order_by(Communicator.title_key)
    blind = has.keys() - keeps.keys()  # nobody eligible at all is left: who is only away would still see
    seen_by_others = sa.select(AudienceCommunicator.audience_id).where(AudienceCommunicator.communicator_id.in_(sorted(keeps)))
    of_blind = sa.select(AudienceCommunicator.audience_id).where(AudienceCommunicator.communicator_id.in_(sorted(blind)))
    unseen = sa.select(sa.func.coalesce(sa.func.sum(Audience.in_box), 0))
    return Consequences(
        left_empty=list(session.scalars(titles)),
        types_without=[kind for kind in RequestType if kind in without],
        claims=session.scalar(sa.select(sa.func.count()).select_from(Thread).where(*held)) or 0,
        open_threads=session.scalar(unseen.where(Audience.id.in_(of_blind), Audience.id.not_in(seen_by_others))) or 0,
        is_last_admin=active_admins(session) == [person],
    )


def _present_by_communicator(session: Session) -> dict[int, bool]:
    """For each communicator for which anybody is eligible, whether somebody is present."""
    found: dict[int, bool] = {}
    for communicator, _, is_present in session.execute(eligible()):
        found[communicator] = found.get(communicator, False) or bool(is_present)
    return found


class _TakenBack(Exception):
    """Ends a transaction that was only to show what it would do."""


def would_deliver(key: str | None, **values: Any) -> int:
    """How many threads that wait unrouted would be delivered by save_communicator(key, **values), counted up to 100,000.

    It is done and taken back; only where something waits. A save that would be refused delivers nothing.
    """
    waiting = sa.select(Thread.id).where(Thread.unrouted_since.is_not(None))
    if not counted(db.session(), waiting, at_most=1):
        return 0
    try:
        with transaction(by=values["by"], did="save_communicator") as tx:
            before = counted(tx.session, waiting, at_most=100_000)
            save_communicator(key, **values)
            tx.session.flush()
            raise _TakenBack(before - counted(tx.session, waiting, at_most=100_000))
    except _TakenBack as done:
        return int(done.args[0])
    except Refused:
        return 0


# ---- The first run, and leaving ------------------------------------------------------------------

FIRST = (
    (RequestType.APPOINTMENT, "Appointments"),
    (RequestType.RESULT, "Results"),
    (RequestType.OTHERS, "General messages"),
    (RequestType.AMENDMENT, "Corrections of the record"),
)


def handle_everything(*, by: Actor) -> None:
    """First run: the four communicators, with the admin who asks in charge. Raises Stale when there is one already."""
    with transaction(by=by, did="handle_everything") as tx:
        must_be_admin(tx)
        routing.hold_routing_still(tx.session, to_change_it=True)
        if tx.session.scalar(sa.select(Communicator.id).limit(1)):
            raise Stale("there are communicators already")
        me = tx.session.scalars(sa.select(Person.key).where(Person.id == by.person)).one()
        for kind, title in FIRST:
            save_communicator(None, kind=kind, title=title, staff=[me], is_in_use=True, by=by)


def hand_open_threads(key: str, *, to: str, by: Actor) -> int:
    """Every open thread of a communicator goes to another of its type (`to`, a key), and the first is switched off.

    Answers how many went. Raises NotVisible, Invalid when `to` is not another of its type that can receive.
    """
    with transaction(by=by, did="hand_open_threads", about=key) as tx:
        must_be_admin(tx)
        routing.hold_routing_still(tx.session, to_change_it=True)
        communicator = _load(tx.session, key)
        same = Communicator.type == communicator.type, Communicator.id != communicator.id, is_routable()
        other = tx.session.scalar(sa.select(Communicator).where(Communicator.key == to, *same))
        if other is None:
            raise Invalid("to", "Choose another communicator of this type that can receive.")
        before = set(eligible_staff(tx.session, communicator.id))
        moved = routing.hand_open_threads(tx, communicator.id, other.id)
        tx.note_change({"is_in_use": communicator.is_in_use}, {"is_in_use": False})
        communicator.is_in_use = False
        tx.details |= {"to": other.title, "threads": moved}
        tx.session.flush()
        release_lost_claims(tx, before)
        routing.wake(tx)
        return moved


def replace_everywhere(staff_key: str, *, with_key: str, by: Actor) -> int:
    """Replaces a user in charge by another in every communicator. Answers in how many. Raises NotVisible, Invalid."""
    with transaction(by=by, did="replace_staff", about=staff_key) as tx:
        must_be_admin(tx)
        routing.hold_routing_still(tx.session, to_change_it=True)
        people = {p.key: p for p in tx.session.scalars(sa.select(Person).where(Person.key.in_([staff_key, with_key]), IS_STAFF))}
        if staff_key not in people:
            raise NotVisible
        if with_key not in people or with_key == staff_key or people[with_key].status != AccountStatus.ACTIVE:
            raise Invalid("with_key", "Choose another member of staff whose account is active.")
        old, new, at = people[staff_key].id, people[with_key].id, now()
        held = list(tx.session.scalars(sa.select(Membership).where(Membership.staff_id == old, Membership.until.is_(None))))
        theirs = set(
            tx.session.scalars(
                sa.select(Membership.communicator_id).where(Membership.staff_id == new, Membership.until.is_(None))
            )
        )
        changed_ones = [one.communicator_id for one in held]
        for one in held:
            one.until = at
            if one.communicator_id not in theirs:
                tx.session.add(Membership(communicator_id=one.communicator_id, staff_id=new, since=at))
        touched = list(tx.session.scalars(sa.select(Communicator).where(Communicator.id.in_(changed_ones))))
        for communicator in touched:
            flag_modified(communicator, "title")
        tx.note_change({"staff": people[staff_key].name}, {"staff": people[with_key].name})
        tx.details |= {"communicators": sorted(c.title for c in touched)}
        tx.session.flush()
        release_lost_claims(tx, {old, *standing_for(tx.session, [old])})
        routing.wake(tx)
        return len(held)


# ---- Absence -------------------------------------------------------------------------------------


def add_absence(staff_key: str, *, first_day: date, last_day: date, deputy: str | None, form_key: str, by: Actor) -> str:
    """`staff` is away on these days (both included, in the practice's time zone). By the person or an admin. Answers its key.

    `deputy`: the key of who stands in, one step, or None. A repeat of the form gives the same absence. Raises NotVisible,
    NotAllowed, Invalid for days that are over or the wrong way round, a deputy who cannot, and absences that overlap.
    """
    with transaction(by=by, did="add_absence", about=form_key) as tx:
        routing.hold_routing_still(tx.session, to_change_it=True)
        staff = _staff_with(tx, staff_key)
        made = tx.session.scalar(sa.select(Absence).where(Absence.key == form_key))
        if made:
            if made.staff_id != staff.id:
                raise NotVisible
            return made.key
        absence = Absence(key=_row_key(form_key), staff_id=staff.id)
        _set_absence(tx, absence, staff, first_day=first_day, last_day=last_day, deputy=deputy)
        tx.session.add(absence)
        if by.person is not None:
            delete_draft(tx.session, by.person, form_key)
        tx.note_change({}, _absence_values(tx.session, absence, staff))
        tx.session.flush()
        routing.wake(tx)
        return absence.key


def change_absence(key: str, *, first_day: date, last_day: date, deputy: str | None, version: int, by: Actor) -> None:
    """Other days or another deputy. Raises as add_absence, and Stale when it was changed after `version` or is over."""
    with transaction(by=by, did="change_absence", about=key) as tx:
        routing.hold_routing_still(tx.session, to_change_it=True)
        absence, staff = _absence_with(tx, key, version)
        was, had, began = _absence_values(tx.session, absence, staff), absence.deputy_id, absence.starts_at
        _set_absence(tx, absence, staff, first_day=first_day, last_day=last_day, deputy=deputy)
        if began < now() and absence.deputy_id != had:  # who stood in until now stays known
            absence.starts_at = now()
            past = Absence(key=new_key(), staff_id=staff.id, deputy_id=had, starts_at=began, ends_at=absence.starts_at)
            tx.session.add(past)
        tx.note_change(was, _absence_values(tx.session, absence, staff))
        tx.session.flush()
        release_lost_claims(tx, {had} if had else set())
        routing.wake(tx)


def end_absence(key: str, *, version: int, by: Actor) -> None:
    """Ends it now, or calls it off before it began. By the person or an admin. Raises NotVisible, NotAllowed, Stale."""
    with transaction(by=by, did="end_absence", about=key) as tx:
        routing.hold_routing_still(tx.session, to_change_it=True)
        absence, staff = _absence_with(tx, key, version)
        was = _absence_values(tx.session, absence, staff)
        absence.ends_at = max(absence.starts_at, now())  # called off before it began, it lasts no time at all
        tx.note_change(was, _absence_values(tx.session, absence, staff))
        tx.session.flush()
        release_lost_claims(tx, {absence.deputy_id} if absence.deputy_id else set())
        routing.wake(tx)


def _staff_with(tx: Transaction, key: str) -> Person:
    """A member of staff whose absences this actor may keep: their own, or anybody's for an admin."""
    staff = tx.session.scalar(sa.select(Person).where(Person.key == key, IS_STAFF))
    if staff is None:
        raise NotVisible
    if staff.id != tx.by.person:
        must_be_admin(tx)
    return staff


def _absence_with(tx: Transaction, key: str, version: int) -> tuple[Absence, Person]:
    absence = tx.session.scalar(sa.select(Absence).where(Absence.key == key).with_for_update())
    if absence is None:
        raise NotVisible
    staff = tx.session.get_one(Person, absence.staff_id)
    if staff.id != tx.by.person:
        must_be_admin(tx)
    if absence.version != version or absence.ends_at <= max(absence.starts_at, now()):
        raise Stale("changed meanwhile, over or called off")
    return absence, staff


def _set_absence(
    tx: Transaction, absence: Absence, staff: Person, *, first_day: date, last_day: date, deputy: str | None
) -> None:
    zone = the_practice(tx.session).time_zone
    starts_at, ends_at = start_of_day(first_day, zone), start_of_day(last_day + timedelta(days=1), zone)
    if last_day < first_day:
        raise Invalid("last_day", "The last day is before the first day.")
    if ends_at <= now():
        raise Invalid("last_day", "These days are over.")
    if last_day - first_day > ABSENCE_MAX:
        raise Invalid("last_day", "An absence lasts two years at most.")
    if absence.starts_at is None or absence.starts_at > now():  # what has begun began when it did
        absence.starts_at = max(starts_at, now())
    absence.ends_at = ends_at
    person = tx.session.scalar(sa.select(Person).where(Person.key == deputy, IS_STAFF)) if deputy else None
    if deputy and person is None:
        raise Invalid("deputy", "This deputy is not there any more.")
    if person and person.id == staff.id:
        raise Invalid("deputy", "Nobody can be their own deputy.")
    if person and person.status != AccountStatus.ACTIVE:
        raise Invalid("deputy", "This deputy's account is not active.")
    absence.deputy_id = person.id if person else None
    _refuse_overlap(tx, absence, staff, person)


def _refuse_overlap(tx: Transaction, absence: Absence, staff: Person, deputy: Person | None) -> None:
    """A person is away once at a time; a deputy is not away meanwhile; who is a deputy does not go away meanwhile."""
    begins = max(absence.starts_at, now())  # what is over stands in nobody's way
    meanwhile = Absence.starts_at < absence.ends_at, Absence.ends_at > begins, Absence.ends_at > Absence.starts_at
    others = sa.select(Absence).where(*meanwhile, Absence.id != (absence.id or 0)).limit(1)
    if tx.session.scalar(others.where(Absence.staff_id == staff.id)):
        raise Invalid("first_day", "%(name)s is absent already on some of these days.", name=staff.name)
    if deputy and tx.session.scalar(others.where(Absence.staff_id == deputy.id)):
        raise Invalid("deputy", "%(name)s is absent on some of these days: choose another deputy.", name=deputy.name)
    stands_in = tx.session.scalar(others.where(Absence.deputy_id == staff.id))
    if stands_in:
        whom = tx.session.get_one(Person, stands_in.staff_id)
        says = "%(name)s stands in for %(other)s on some of these days: change that absence first."
        raise Invalid("first_day", says, name=staff.name, other=whom.name)


def _absence_values(session: Session, absence: Absence, staff: Person) -> dict[str, Any]:
    deputy = session.get(Person, absence.deputy_id) if absence.deputy_id else None
    days = {"starts_at": str(absence.starts_at), "ends_at": str(absence.ends_at)}
    return {"staff": staff.name, "deputy": deputy.name if deputy else "", **days}


# ---- Shared --------------------------------------------------------------------------------------


def _load(session: Session, key: str) -> Communicator:
    communicator = session.scalar(sa.select(Communicator).where(Communicator.key == key).with_for_update())
    if communicator is None:
        raise NotVisible
    return communicator
