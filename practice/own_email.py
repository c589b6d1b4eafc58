"""Another e-mail address for the own account: asked for with the present password, proven by a link sent to the new one."""

import sqlalchemy as sa

from practice.accounts import email_faults, hold_accounts_still, refuse, text_faults
from practice.db import SYSTEM, Actor, db, transaction
from practice.errors import Invalid, Stale
from practice.links import LinkEnded, end_ways_in
from practice.outbox import Occasion, Undeliverable, tell, tell_address
from practice.own_account import must_know_password
from practice.people import AccountStatus, Kind, Person, email_key
from practice.proofs import EmailProof, make_proof_link, new_proof, proof_with
from practice.sessions import Visitor, end_sessions_of


def ask_for_new_email(visitor: Visitor, *, present: str, email: str, by: Actor) -> None:
    """Queues the mail with the link to the new address, and one that tells the present one. Nothing changes yet, and nobody
    learns whether the new address has an account.

    Raises NotAllowed when the present password is wrong, Invalid, TooMany, Stale when the account was changed meanwhile.
    """
    email, faults = text_faults("email", email, is_required=True)
    refuse(faults or email_faults("email", email))
    person = db.session.get_one(Person, visitor.person_id)
    must_know_password(visitor, present)
    if person.email_key == email_key(email):
        raise Invalid("email", "This is your address already.")
    with transaction(by=by, did="ask_for_new_email", about=person.key) as tx:
        held = tx.session.get_one(Person, person.id, with_for_update=True)
        if (held.password_hash, held.status) != (person.password_hash, AccountStatus.ACTIVE):
            raise Stale("changed elsewhere")
        tx.patient = held.id if held.kind == Kind.PATIENT else None
        proof = new_proof(tx, email, person=held.id)
        tx.details["notices"] = int(proof is not None)
        if proof:
            tell_address(tx, Occasion.NEW_EMAIL, held.id, email=email, proof=proof.id)
            tell(tx, Occasion.EMAIL_ASKED, [held.id])


def new_email_link_for(proof: int, *, token: str = "") -> str:
    """The secret of its link, made as the mail leaves. `token` as in links.make_link. Raises Undeliverable."""
    with transaction(by=SYSTEM, did="make_new_email_link") as tx:
        person = tx.session.get_one(EmailProof, proof).person_id
        held = tx.session.get_one(Person, person, with_for_update=True)
        tx.about, tx.patient = held.key, held.id if held.kind == Kind.PATIENT else None
        made = make_proof_link(tx, proof, token=token) if held.status == AccountStatus.ACTIVE else ""
        if not made:
            raise Undeliverable("the address was asked for anew, or the account is not active")
        return made


def whose_new_email(token: str) -> str:
    """The address that this link proves. Changes nothing. Raises LinkEnded."""
    proof = proof_with(db.session(), token, is_of_person=True)
    person = db.session.get(Person, proof.person_id) if proof else None
    if proof is None or person is None or person.status != AccountStatus.ACTIVE:
        raise LinkEnded
    return proof.email


def take_new_email(token: str, *, address: str | None = None) -> None:
    """The account has the proven address from now on. All sessions end, older links too; the address before is told.

    Raises LinkEnded, also where another account has the address by now.
    """
    whose_new_email(token)
    with transaction(by=SYSTEM, did="change_email") as tx:
        hold_accounts_still(tx.session)
        proof = proof_with(tx.session, token, is_of_person=True, lock=True)
        person = tx.session.get_one(Person, proof.person_id, with_for_update=True) if proof else None
        if proof is None or person is None or person.status != AccountStatus.ACTIVE:
            raise LinkEnded
        if tx.session.scalar(sa.select(Person.id).where(Person.email_key == proof.email_key)):
            raise LinkEnded
        tx.by, tx.about = Actor(person.id, person.name, address=address), person.key
        tx.patient = person.id if person.kind == Kind.PATIENT else None
        tx.note_change({"email": person.email}, {"email": proof.email})
        tell_address(tx, Occasion.EMAIL_CHANGED, person.id, email=person.email)
        person.email, person.email_key = proof.email, proof.email_key
        tx.session.flush()
        end_ways_in(tx.session, person.id)
        end_sessions_of(tx.session, person.id)
