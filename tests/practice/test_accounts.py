"""Staff accounts and invitations: the verbs, and two at once."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from practice import accounts, links
from practice.accounts import StaffSought, StaffValues, staff_account, staff_list
from practice.coverage import set_staff_status
from practice.db import COMMAND, Audit, clock_at, db, new_key, now, transaction
from practice.errors import Invalid, NotAllowed, Stale
from practice.links import LinkEnded, OneTimeLink, Purpose
from practice.lists import have_terms
from practice.people import AccountStatus, Person, token_hash
from practice.sessions import LoginSession
from practice.settings import TermKind
from tests.conftest import Cast, Player
from tests.examples.admin_patients import invited as invited_patient

PASSWORD = "four words nobody guesses"
PETER = StaffValues(login="peter", last_name="STAFF", first_name="PETER", email="peter@test.example")


def seen(player: Player) -> Any:
    db.session.close()
    return staff_account(db.session(), player.key)


def status_of(key: str) -> AccountStatus:
    db.session.close()
    return db.session.scalars(sa.select(Person.status).where(Person.key == key)).one()


def save(player: Player, by: Player, **changed: Any) -> None:
    account = seen(player)
    accounts.save_staff(player.key, replace(account.values, **changed), seen=account.seen, by=by.actor)


def rows(did: str) -> list[Audit]:
    db.session.close()
    return list(db.session.scalars(sa.select(Audit).where(Audit.did == did).order_by(Audit.id)))


def together(cast: Cast, *acts: Callable[[], Any]) -> list[Exception | None]:
    """Runs them at the same time; what each raised. On a machine with other work SQLite may keep one waiting for longer than
    its 5 seconds: that one sends again, as the page of a 503 says."""
    found: list[Exception | None] = [None] * len(acts)
    gate = threading.Barrier(len(acts))

    def run(n: int, act: Callable[[], Any]) -> None:
        with cast.app.app_context():
            gate.wait()
            for again in (True, True, False):
                try:
                    act()
                except sa.exc.OperationalError as error:
                    found[n] = error
                    if again:
                        continue
                except Exception as error:  # told by the assertion
                    found[n] = error
                else:
                    found[n] = None
                finally:
                    db.session.remove()
                return

    threads = [threading.Thread(target=run, args=one) for one in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


# ---- Adding and changing -------------------------------------------------------------------------


def test_a_new_account_is_invited_and_its_secret_kept_nowhere(cast: Cast) -> None:
    key, token = accounts.add_staff_account(PETER, form_key=new_key(), by=cast.ada.actor)
    assert status_of(key) == AccountStatus.INVITED and len(token) == 43
    link = db.session.scalars(sa.select(OneTimeLink)).one()
    assert link.token_hash == token_hash(token) and link.ends_at - link.created_at == timedelta(hours=72)
    row = rows("add_staff")[-1]
    assert row.about == key and json.loads(row.details)["after"]["login"] == "peter" and token not in row.details


def test_the_same_form_makes_one_account(cast: Cast) -> None:
    key = new_key()
    accounts.add_staff_account(PETER, form_key=key, by=cast.ada.actor)
    before = len(rows("add_staff"))
    assert accounts.add_staff_account(PETER, form_key=key, by=cast.ada.actor) == (key, "")
    assert len(rows("add_staff")) == before
    with pytest.raises(Invalid):
        accounts.add_staff_account(replace(PETER, email="x@test.example"), form_key=key, by=cast.ada.actor)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"login": "SAM"}, "login"),
        ({"login": " "}, "login"),
        ({"login": "x" * 61}, "login"),
        ({"login": "a\0b"}, "login"),
        ({"login": "sam\u200b"}, "login"),
        ({"login": "a\u202eb"}, "login"),
        ({"email": "SAM@test.example"}, "email"),
        ({"email": "sophie@test.example"}, "email"),
        ({"email": "no address"}, "email"),
        ({"last_name": "", "first_name": "\u200b"}, "last_name"),
        ({"first_name": "x" * 101}, "first_name"),
        ({"level": "Wizard"}, "level"),
    ],
)
def test_what_cannot_be_an_account_is_refused(cast: Cast, changed: dict[str, str], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        accounts.add_staff_account(replace(PETER, **changed), form_key=new_key(), by=cast.ada.actor)
    assert refused.value.field == field


def test_a_word_of_a_list_is_kept_as_the_list_has_it_and_one_switched_off_may_stay(cast: Cast) -> None:
    have_terms(TermKind.LEVEL, ["Clinician"], by=COMMAND)
    save(cast.sam, cast.ada, first_name="SAMUEL")  # level "Staff" is in no list
    save(cast.sam, cast.ada, level="clinICIAN")
    assert seen(cast.sam).values.level == "Clinician"
    with pytest.raises(Invalid):
        save(cast.sam, cast.ada, level="Staff")


def test_a_change_is_audited_with_what_was_and_what_is(cast: Cast) -> None:
    save(cast.sam, cast.ada, email="new@test.example")
    row = rows("save_staff")[-1]
    assert json.loads(row.details) == {"before": {"email": "sam@test.example"}, "after": {"email": "new@test.example"}}
    save(cast.sam, cast.ada)
    assert len(rows("save_staff")) == 1
    assert not db.session.scalars(
        sa.select(LoginSession.id).where(LoginSession.person_id == cast.sam.id, LoginSession.ended_at.is_not(None))
    ).all()


def test_a_save_over_a_newer_one_is_stale(cast: Cast) -> None:
    old = seen(cast.sam)
    save(cast.sam, cast.ada, first_name="SAMUEL")
    with pytest.raises(Stale):
        accounts.save_staff(cast.sam.key, old.values, seen=old.seen, by=cast.ada.actor)


def test_s5_another_role_ends_the_sessions(cast: Cast) -> None:
    save(cast.sam, cast.ada, is_admin=True)
    assert cast.sam.get("/staff/").status_code == 303
    assert db.session.scalars(sa.select(LoginSession.ended_at).where(LoginSession.person_id == cast.sam.id)).one()


def test_the_last_active_admin_is_neither_demoted_nor_disabled(cast: Cast) -> None:
    with pytest.raises(Invalid) as refused:
        save(cast.ada, cast.ada, is_admin=False)
    assert refused.value.field == "is_admin"
    with pytest.raises(NotAllowed):
        accounts.disable(cast.ada.key, by=cast.ada.actor)
    accounts.add_staff_account(replace(PETER, is_admin=True), form_key=new_key(), by=cast.ada.actor)
    with pytest.raises(Invalid):  # who is only invited is no active admin
        save(cast.ada, cast.ada, is_admin=False)


@pytest.mark.parametrize("changed", [{"email": "other@test.example"}, {"is_admin": True}])
def test_s7_an_invitation_does_not_outlive_its_address_or_its_role(cast: Cast, changed: dict[str, Any]) -> None:
    key, token = accounts.add_staff_account(PETER, form_key=new_key(), by=cast.ada.actor)
    account = staff_account(db.session(), key)
    same = replace(account.values, first_name="PIT", email="Peter@test.example")
    assert not accounts.save_staff(key, same, seen=account.seen, by=cast.ada.actor)
    assert accounts.invited(token).key == key
    db.session.close()
    account = staff_account(db.session(), key)
    assert accounts.save_staff(key, replace(account.values, **changed), seen=account.seen, by=cast.ada.actor)
    with pytest.raises(LinkEnded):
        accounts.accept_invitation(token, password=PASSWORD)
    new = accounts.invite_again(key, by=cast.ada.actor)
    assert accounts.invited(new).key == key


def test_of_two_admins_who_demote_each_other_one_stays(cast: Cast) -> None:
    eve = cast.staff("eve", is_admin=True)
    ada_seen, eve_seen = seen(cast.ada), seen(eve)

    def demote(whom: Any, by: Player) -> Callable[[], None]:
        return lambda: accounts.save_staff(whom.key, replace(whom.values, is_admin=False), seen=whom.seen, by=by.actor)

    outcome = together(cast, demote(ada_seen, eve), demote(eve_seen, cast.ada))
    assert sorted(type(error).__name__ for error in outcome) == ["NoneType", "NotAllowed"], outcome
    assert sorted([seen(cast.ada).values.is_admin, seen(eve).values.is_admin]) == [False, True]


def test_of_two_with_the_same_id_one_is_made(cast: Cast) -> None:
    other = replace(PETER, login="PETER", email="other@test.example")
    outcome = together(
        cast, *(lambda v=v: accounts.add_staff_account(v, form_key=new_key(), by=cast.ada.actor) for v in (PETER, other))
    )
    assert sum(error is None for error in outcome) == 1


@pytest.mark.parametrize("who", ["sam", "sophie"])
def test_only_an_admin_may(cast: Cast, who: str) -> None:
    by, account = getattr(cast, who).actor, seen(cast.dan)
    for act in (
        lambda: accounts.add_staff_account(PETER, form_key=new_key(), by=by),
        lambda: accounts.save_staff(cast.dan.key, account.values, seen=account.seen, by=by),
        lambda: accounts.disable(cast.dan.key, by=by),
        lambda: accounts.enable(cast.dan.key, by=by),
        lambda: accounts.invite_again(cast.dan.key, by=by),
    ):
        with pytest.raises(NotAllowed):
            act()


# ---- Disabling and enabling ----------------------------------------------------------------------


def test_disabled_and_enabled_with_memberships_and_what_waited(cast: Cast) -> None:
    accounts.disable(cast.max.key, by=cast.ada.actor)
    assert len(rows("disabled_staff")) == 1 and cast.max.get("/staff/").status_code == 303
    key = cast.send(cast.sophie, "Result")
    assert cast.thread(key).unrouted_since
    accounts.enable(cast.max.key, by=cast.ada.actor)
    assert len(rows("active_staff")) == 1 and cast.thread(key).unrouted_since is None and cast.sees(cast.max, key)
    accounts.enable(cast.max.key, by=cast.ada.actor)
    assert len(rows("active_staff")) == 1


def test_an_invited_account_comes_back_invited_and_its_old_link_stays_dead(cast: Cast) -> None:
    key, token = accounts.add_staff_account(PETER, form_key=new_key(), by=cast.ada.actor)
    accounts.disable(key, by=cast.ada.actor)
    accounts.enable(key, by=cast.ada.actor)
    assert status_of(key) == AccountStatus.INVITED
    with pytest.raises(LinkEnded):
        accounts.accept_invitation(token, password=PASSWORD)


# ---- Invitations ---------------------------------------------------------------------------------


def test_an_accepted_invitation_makes_active_and_delivers_what_waited(cast: Cast) -> None:
    key, token = accounts.add_staff_account(PETER, form_key=new_key(), by=cast.ada.actor)
    peter = Player(cast.app, 0, key)
    cast.change("Media Manager", staff=[peter])
    thread = cast.send(cast.sophie, "Result")
    assert cast.thread(thread).unrouted_since
    accounts.accept_invitation(token, password=PASSWORD)
    assert status_of(key) == AccountStatus.ACTIVE and cast.thread(thread).unrouted_since is None
    row = rows("accept_invitation")[-1]
    assert row.about == key and row.actor_name == "STAFF, PETER" and PASSWORD not in row.details
    with pytest.raises(LinkEnded):
        accounts.accept_invitation(token, password=PASSWORD)


def test_a14_s7_a_newer_link_ends_the_older_and_time_ends_each(cast: Cast) -> None:
    key, old = accounts.add_staff_account(PETER, form_key=new_key(), by=cast.ada.actor)
    token = accounts.invite_again(key, by=cast.ada.actor)
    with pytest.raises(LinkEnded):
        accounts.invited(old)
    with clock_at(now() + timedelta(hours=72, seconds=1)), pytest.raises(LinkEnded):
        accounts.accept_invitation(token, password=PASSWORD)
    assert accounts.invited(token).key == key


@pytest.mark.parametrize("cut", [lambda t: "", lambda t: t[:-1], lambda t: t + "x", lambda t: "\0" * 43, token_hash])
def test_what_is_no_token_opens_nothing(cast: Cast, cut: Callable[[str], str]) -> None:
    _, token = accounts.add_staff_account(PETER, form_key=new_key(), by=cast.ada.actor)
    with pytest.raises(LinkEnded):
        accounts.accept_invitation(cut(token), password=PASSWORD)


def test_a14_s7_a_link_of_another_purpose_opens_nothing(cast: Cast) -> None:
    _, token = accounts.add_staff_account(PETER, form_key=new_key(), by=cast.ada.actor)
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        tx.session.execute(sa.text("UPDATE one_time_link SET purpose = 'reset'"))
    with pytest.raises(LinkEnded):
        accounts.invited(token)


def test_a_disabled_or_active_person_accepts_nothing(cast: Cast) -> None:
    for status in (AccountStatus.DISABLED, AccountStatus.ACTIVE):
        values = replace(PETER, login=f"p{status}", email=f"{status}@test.example")
        key, token = accounts.add_staff_account(values, form_key=new_key(), by=cast.ada.actor)
        set_staff_status(key, status, by=COMMAND)
        with pytest.raises(LinkEnded):
            accounts.accept_invitation(token, password=PASSWORD)


def test_a52_of_two_who_accept_at_once_one_wins(cast: Cast) -> None:
    key, token = accounts.add_staff_account(PETER, form_key=new_key(), by=cast.ada.actor)
    outcome = together(cast, *[lambda: accounts.accept_invitation(token, password=PASSWORD)] * 2)
    assert sorted(type(error).__name__ for error in outcome) == ["LinkEnded", "NoneType"]
    assert status_of(key) == AccountStatus.ACTIVE and len(rows("accept_invitation")) == 1


def test_old_links_are_forgotten(cast: Cast) -> None:
    accounts.add_staff_account(PETER, form_key=new_key(), by=cast.ada.actor)
    for days, kept in ((10, 1), (34, 0)):
        with clock_at(now() + timedelta(days=days)), transaction(by=COMMAND, did="set_up_tests") as tx:
            assert links.forget_ended(tx.session) == 1 - kept


def test_who_never_had_a_link_gets_one(cast: Cast) -> None:
    for key in (invited_patient(cast), accounts.add_staff_account(PETER, form_key=new_key(), by=cast.ada.actor)[0]):
        with transaction(by=COMMAND, did="set_up_tests") as tx:
            tx.session.execute(sa.delete(OneTimeLink))
        token = accounts.invite_again(key, by=cast.ada.actor)
        accounts.accept_invitation(token, password=PASSWORD, address="192.0.2.7")
        assert status_of(key) == AccountStatus.ACTIVE
        row = rows("accept_invitation")[-1]
        assert (row.about, row.address) == (key, "192.0.2.7")


def test_only_who_is_invited_gets_a_new_link(cast: Cast) -> None:
    with pytest.raises(Stale):
        accounts.invite_again(cast.sam.key, by=cast.ada.actor)
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        token = links.make_link(tx, cast.sam.id, Purpose.INVITATION)
    with pytest.raises(LinkEnded):
        accounts.invited(token)


# ---- The list ------------------------------------------------------------------------------------


def test_staff_are_found_by_id_name_and_what_they_are(cast: Cast) -> None:
    def logins(**sought: Any) -> list[str]:
        db.session.close()
        return [row.login for row in staff_list(db.session(), StaffSought(**sought), number=1).rows]

    assert logins(words="SaM") == ["sam"] and logins(words="staff, NI") == ["dan", "nina"][1:]
    assert logins(is_admin=True) == ["ada"] and logins(words="%") == [] and logins(level="Staff", words="fay") == ["fay"]
    accounts.disable(cast.dan.key, by=cast.ada.actor)
    assert logins(status=AccountStatus.DISABLED) == ["dan"] and "dan" not in logins(is_logged_on=True)
    assert logins(sort="id") == sorted(logins(sort="name")) and len(logins(sort="logon")) == 8
    found = staff_list(db.session(), StaffSought(words="fay"), number=99)
    assert (found.number, found.total, list(found.communicators.values())) == (1, 1, [2])
