"""My Info and asking for a correction."""

import pytest
import sqlalchemy as sa

from practice.amendments import Amendment
from practice.db import db
from practice.records import RecordValue
from tests.examples.portal import amendment
from tests.portal.helpers import change_practice, locked, none_sent


def address_of(cast):
    db.session.close()
    height = sa.select(RecordValue.key).where(RecordValue.patient_id == cast.sophie.id, RecordValue.name == "Height")
    return f"/my-info/{db.session.scalars(height).one()}/amendment"


def test_my_info_shows_every_section_and_each_value_can_be_corrected(cast):
    page = cast.sophie.get("/my-info").text
    for section in ("Drug Allergy", "Medication", "Vital Signs"):
        assert section in page
    assert "None recorded" in page and "165 cm" in page
    assert 'Request Amendment<span class="visually-hidden"> of Height: 165 cm</span>' in page


@pytest.mark.parametrize("htmx", [False, True])
def test_the_form_opens_in_the_row_with_from_locked(cast, htmx):
    page = cast.sophie.get(address_of(cast), htmx=htmx).text
    assert ("<html" in page) != htmx
    assert locked("Vital Signs, Height, 165 cm") in page
    assert "In an emergency call 911" in page and "We decide within 60 days, by" in page


@pytest.mark.parametrize("htmx", [False, True])
def test_a_correction_is_sent_with_what_the_record_says_not_what_the_form_says(cast, htmx):
    answer = cast.sophie.post(address_of(cast), amendment(cast)["data"] | {"from": "Something else"}, htmx=htmx)
    assert answer.status_code == (200 if htmx else 303)
    db.session.close()
    kept = db.session.scalars(sa.select(Amendment)).one()
    assert (kept.from_value, kept.to_value, kept.memo) == ("Vital Signs, Height, 165 cm", "167 cm", "Measured at home")
    page = cast.sophie.get(answer.headers["HX-Redirect"] if htmx else answer.headers["Location"]).text
    assert "Vital Signs, Height, 165 cm" in page and "167 cm" in page and "to Patient Info Manager" in page


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"to": "  "}, "Write what it should say"),
        ({"to": "x" * 501}, "at most 500"),
        ({"to": "a\0"}, "cannot be shown"),
        ({"memo": "x" * 20_001}, "20,000"),
    ],
)
@pytest.mark.parametrize("htmx", [False, True])
def test_a_wrong_correction_comes_back_with_its_text(cast, wrong, says, htmx):
    answer = cast.sophie.post(address_of(cast), amendment(cast)["data"] | wrong, htmx=htmx)
    assert answer.status_code == 422 and says in answer.text
    assert "memo" in wrong or "Measured at home" in answer.text
    assert none_sent()


def test_without_meaningful_use_my_info_does_not_exist(cast):
    address = address_of(cast)
    change_practice(meaningful_use=False)
    for answer in (cast.sophie.get("/my-info"), cast.sophie.get(address), cast.sophie.post(address, amendment(cast)["data"])):
        assert answer.status_code == 404
    assert "/my-info" not in cast.sophie.get("/").text
    assert none_sent()


def test_my_info_needs_a_fixed_number_of_statements(cast, statements):
    with statements() as found:
        cast.sophie.get("/my-info")
    assert len(found) <= 3, found
