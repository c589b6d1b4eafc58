"""The short lists below the pages: who may, what is the same name, and how uses are counted."""

import threading

import pytest
import sqlalchemy as sa
from flask import Flask

from practice import demo, lists
from practice.db import COMMAND, Actor, db
from practice.errors import Invalid, NotAllowed, Stale
from practice.lists import ListName, Used
from practice.people import Staff
from practice.settings import Facility, StaffTerm, TermKind
from tests.conftest import Cast


def find(which: ListName, key: str) -> lists.Entry:
    db.session.close()
    found = lists.entry_with(db.session(), which, key)
    assert found
    return found


def test_only_who_is_an_active_admin_at_this_moment_may(cast: Cast) -> None:
    seen = find(ListName.FACILITIES, cast.oak).seen
    for by in (cast.sam.actor, cast.sophie.actor, Actor(0)):
        with pytest.raises(NotAllowed):
            lists.add_entry(ListName.GROUPS, name="New", by=by)
        with pytest.raises(NotAllowed):
            lists.save_entry(ListName.FACILITIES, cast.oak, name="New", is_in_use=True, seen=seen, by=by)
        with pytest.raises(NotAllowed):
            lists.delete_entry(ListName.FACILITIES, cast.oak, seen=seen, by=by)


@pytest.mark.parametrize("other", ["Front desk", "FRONT DESK", "  front   desk ", "Fr\u00f3nt desk"])
def test_a_name_is_taken_whatever_case_and_blanks(cast: Cast, other: str) -> None:
    lists.add_entry(ListName.GROUPS, name="Front desk", by=COMMAND)
    with pytest.raises(Invalid):
        lists.add_entry(ListName.GROUPS, name=other, by=COMMAND)
    lists.add_entry(ListName.DEPARTMENTS, name=other, by=COMMAND)  # another list


def test_names_of_signs_alone_are_told_apart(cast: Cast) -> None:
    for name in ("ー", "★", "一"):
        lists.add_entry(ListName.GROUPS, name=name, by=COMMAND)


def test_an_entry_keeps_its_own_name_in_other_letters(cast: Cast) -> None:
    one = find(ListName.FACILITIES, cast.oak)
    lists.save_entry(ListName.FACILITIES, cast.oak, name="OAK LANE", is_in_use=True, seen=one.seen, by=COMMAND)
    assert find(ListName.FACILITIES, cast.oak).name == "OAK LANE"


@pytest.mark.parametrize(
    ("which", "column"),
    [
        (ListName.LEVELS, "level"),
        (ListName.GROUPS, "group"),
        (ListName.SPECIALTIES, "specialty"),
        (ListName.INSTITUTIONS, "institution"),
        (ListName.DEPARTMENTS, "department"),
    ],
)
def test_each_word_is_renamed_in_its_own_column(cast: Cast, which: ListName, column: str) -> None:
    key = lists.add_entry(which, name="Old", by=COMMAND)
    with db.engines["write"].begin() as connection:
        everything = {getattr(Staff, c): "Old" for c in ("level", "group", "specialty", "institution", "department")}
        connection.execute(sa.update(Staff).where(Staff.id == cast.sam.id).values(everything))
    with pytest.raises(Used) as used:
        lists.delete_entry(which, key, seen=find(which, key).seen, by=COMMAND)
    assert used.value.count == 1
    lists.save_entry(which, key, name="New", is_in_use=True, seen=find(which, key).seen, by=COMMAND)
    db.session.close()
    sam = db.session.get_one(Staff, cast.sam.id)
    assert getattr(sam, column) == "New"
    assert [getattr(sam, c) for c in ("level", "group", "specialty", "institution", "department")].count("Old") == 4


def test_uses_of_a_facility_are_counted_once_a_request_and_up_to_a_limit(cast: Cast) -> None:
    cast.send(cast.sophie, "Appointment", facility=cast.oak)
    cast.send(cast.sophie, "Result", facility=cast.oak)
    cast.serve("Scheduler", cast.oak)
    db.session.close()
    assert lists.uses(db.session(), ListName.FACILITIES, cast.oak) == 3
    assert lists.uses(db.session(), ListName.FACILITIES, cast.linden) == 0
    assert lists.uses(db.session(), ListName.FACILITIES, cast.oak, at_most=2) == 3  # one more than 2
    assert lists.uses(db.session(), ListName.FACILITIES, cast.oak, at_most=1) == 2


def test_what_was_seen_and_is_no_longer_so_is_stale(cast: Cast) -> None:
    one = find(ListName.FACILITIES, cast.oak)
    lists.save_entry(ListName.FACILITIES, cast.oak, name=one.name, address="", is_in_use=True, seen=one.seen, by=COMMAND)
    with pytest.raises(Stale):
        lists.save_entry(ListName.FACILITIES, cast.oak, name="x", is_in_use=True, seen=one.seen, by=COMMAND)
    with pytest.raises(Stale):
        lists.delete_entry(ListName.FACILITIES, cast.oak, seen=one.seen, by=COMMAND)


def test_a_refused_delete_changes_nothing(cast: Cast) -> None:
    cast.send(cast.sophie, "Appointment", facility=cast.oak)
    cast.serve("Scheduler", cast.oak)
    with pytest.raises(Used):
        lists.delete_entry(ListName.FACILITIES, cast.oak, seen=find(ListName.FACILITIES, cast.oak).seen, by=COMMAND)
    db.session.close()
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Facility)) == 2
    assert db.session.scalar(sa.text("SELECT count(*) FROM communicator_facility")) == 1


def test_words_are_had_once(cast: Cast) -> None:
    for _ in range(2):
        lists.have_terms(TermKind.LEVEL, ["Administrator", "ADMINISTRATOR", "Staff"], by=COMMAND)
    db.session.close()
    assert sorted(db.session.scalars(sa.select(StaffTerm.name))) == ["Administrator", "Staff"]


def test_two_at_the_same_instant_make_one(cast: Cast) -> None:
    """Two names that are the same but for case: whoever comes second is told."""
    results: list[str] = []
    start = threading.Barrier(2)

    def add(name: str) -> None:
        with cast.app.app_context():
            start.wait()
            try:
                lists.add_entry(ListName.GROUPS, name=name, by=COMMAND)
                results.append("made")
            except Invalid:
                results.append("taken")

    db.session.close()
    both = [threading.Thread(target=add, args=(name,)) for name in ("Front desk", "FRONT DESK")]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert sorted(results) == ["made", "taken"]


def test_the_first_account_has_a_level_of_the_list(app: Flask) -> None:
    for n in range(2):
        who = [
            "--email",
            f"a{n}@test.example",
            "--last-name",
            "A",
            "--login",
            f"a{n}",
            "--first-name",
            "",
            "--password",
            "three plums on a roof",
        ]
        assert app.test_cli_runner().invoke(args=["create-admin", *who]).exit_code == 0
    db.session.close()
    assert list(db.session.execute(sa.select(StaffTerm.kind, StaffTerm.name))) == [(TermKind.LEVEL, "Administrator")]


def test_every_word_of_the_demo_stands_in_its_list(app: Flask) -> None:
    demo.fill()
    db.session.close()
    listed = {(row.kind, row.name) for row in db.session.execute(sa.select(StaffTerm.kind, StaffTerm.name))}
    used = {(kind, word) for kind, column in lists.COLUMN_OF.items() for word in db.session.scalars(sa.select(column)) if word}
    assert used == listed and {kind for kind, _ in listed} == set(TermKind)
