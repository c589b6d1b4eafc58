"""My Info and asking for a correction."""

from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from practice.amendments import Amendment
from practice.db import COMMAND, db, new_key, transaction
from practice.documents import Section
from practice.records import SHOWN, RecordValue
from tests.examples.portal import amendment
from tests.portal.helpers import change_practice, locked, none_sent
from tests.practice.test_record_imports import correct, saved
from tests.samples import fhir


def address_of(cast):
    db.session.close()
    height = sa.select(RecordValue.key).where(RecordValue.patient_id == cast.sophie.id, RecordValue.name == "Height")
    return f"/my-info/{db.session.scalars(height).one()}/amendment"


def test_my_info_shows_every_section_and_each_value_can_be_corrected(cast):
    page = cast.sophie.get("/my-info").text
    for section in Section:
        assert page.count(f">{section}") == 2  # among the sections, and as a heading
    assert page.count("None recorded") == len(Section) - 2 and "165 cm" in page
    assert 'Request Amendment<span class="visually-hidden"> of Height: 165 cm</span>' in page


@pytest.mark.parametrize("htmx", [False, True])
def test_the_form_opens_in_the_row_with_from_locked(cast, htmx):
    page = cast.sophie.get(address_of(cast), htmx=htmx).text
    assert ("<html" in page) != htmx
    assert locked("Vital Signs, Height, 165 cm") in page
    assert "In an emergency call 911" in page and "We decide within 60 days, by" in page


@pytest.mark.parametrize("htmx", [False, True])
def test_a4_a_correction_is_sent_with_what_the_record_says_not_what_the_form_says(cast, htmx):
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


def fill(cast, number):
    """Values of every section, the newest last, all of them newer than those of the cast."""
    sections = list(Section)
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        first = date(2025, 6, 1)
        rows = [
            {"section": sections[n % len(sections)], "name": f"Name {n}", "value": f"{n} cm", "recorded_on": first + timedelta(n)}
            for n in range(number)
        ]
        same = {"patient_id": cast.sophie.id, "note": ""}
        tx.session.execute(sa.insert(RecordValue), [same | row | {"key": new_key()} for row in rows])


def test_a_record_of_2000_values_needs_no_more_statements_and_shows_the_newest_of_each_section(cast, statements):
    counts = []
    for number in (17, 2000):
        fill(cast, number)
        with statements() as found:
            page = cast.sophie.get("/my-info").text
        counts.append(len(found))
        with statements() as found:
            cast.sophie.get("/my-info/sections/vitals")
        counts.append(len(found))
    assert counts[:2] == counts[2:] and counts[0] <= 5 and counts[1] <= 4
    assert page.count('class="value"') == len(Section) * SHOWN and "Name 1999" in page and "Name 5<" not in page  # newest first
    assert "All 118 of Care Plan" in page and len(page) < 150_000


def test_one_section_is_shown_page_by_page(cast):
    fill(cast, 60 * len(Section))
    pages = [cast.sophie.get(f"/my-info/sections/lab?page={n}") for n in (1, 2, 3, 4)]
    assert [page.status_code for page in pages] == [200, 200, 200, 404]
    assert [page.text.count('class="value"') for page in pages[:3]] == [25, 25, 10]
    assert "1 - 25 of 60" in pages[0].text and "51 - 60 of 60" in pages[2].text
    assert ("Newer" in pages[0].text, "Older" in pages[0].text) == (False, True)
    assert ("Newer" in pages[2].text, "Older" in pages[2].text) == (True, False)
    assert cast.sophie.get("/my-info/sections/goal").text.count("None recorded") == 0
    assert "None recorded" in cast.jihae.get("/my-info/sections/goal").text
    assert cast.sophie.get("/my-info/sections/nothing").status_code == 404


def test_a_value_that_the_page_does_not_show_opens_in_it_all_the_same(cast):
    address = address_of(cast)
    fill(cast, 60 * len(Section))
    assert "165 cm" not in cast.sophie.get("/my-info").text
    page = cast.sophie.get(address).text
    assert locked("Vital Signs, Height, 165 cm") in page and page.count('class="value"') == len(Section) * SHOWN


@pytest.mark.parametrize("wrong", [{"to": " "}, {"to": "x" * 501}, {"memo": "x" * 20_001}], ids=str)
def test_with_the_key_of_a_form_that_was_sent_before_the_record_stays_hidden_outside_of_meaningful_use(cast, wrong):
    address, form = address_of(cast), amendment(cast)["data"]
    sent = cast.sophie.post(address, form)
    change_practice(meaningful_use=False)
    answers = [cast.sophie.post(address, form | wrong)]
    for there in ("", f"/{new_key()}/saving", f"/{new_key()}/removal"):
        answers.append(cast.sophie.post(f"/my-info/documents{there}", {"key": form["key"], "file": ""}))
    assert [answer.status_code for answer in answers] == [404] * 4 and "165 cm" not in answers[0].text
    assert cast.sophie.post(address, form).location == sent.location, "the same again is answered as the first time"


def test_what_has_only_a_name_is_corrected_by_name(cast):
    saved(cast, fhir({"resourceType": "Condition", "code": {"text": "Gout"}}))
    db.session.close()
    key = db.session.scalars(sa.select(RecordValue.key).where(RecordValue.name == "Gout")).one()
    db.session.close()
    assert locked("Problem, Gout") in cast.sophie.get(f"/my-info/{key}/amendment").text
    correct(cast, "Gout", "Pseudogout")
    page = cast.sophie.get("/my-info").text
    assert "<bdi>Pseudogout</bdi>" in page and "at your request. Before: <bdi>Gout</bdi>" in page
    assert "does not say Gout any more" in cast.sophie.get(f"/my-info/{key}/amendment").text
    assert "Before: <bdi>Gout</bdi>" in cast.sophie.get("/my-info/print").text


def test_how_a_problem_stands_is_shown(cast):
    resolved = {"clinicalStatus": {"coding": [{"code": "resolved"}]}, "onsetDateTime": "2020-05-01"}
    saved(cast, fhir({"resourceType": "Condition", "code": {"text": "Gout"}} | resolved))
    for page in ("/my-info", "/my-info/sections/problem", "/my-info/print"):
        assert "May 1, 2020 · Resolved" in cast.sophie.get(page).text
