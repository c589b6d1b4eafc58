"""A record taken along and who opened it, over HTTP: whose it is, in which mode, and what is written down of it."""

import re
from datetime import datetime, timedelta
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from practice import access_log, amendments, exports
from practice.access_log import LIST, note_view, place_at
from practice.amendments import Ground
from practice.db import Audit, clock_at, db, new_key, now
from practice.people import Staff
from practice.reading import read
from practice.requests import RequestVerb as V
from practice.settings import SwitchedOff
from tests.portal.helpers import change_practice
from tests.practice.test_amendments import take
from tests.practice.test_audit import plan
from tests.practice.test_exports import STRANGE
from tests.practice.test_patients import merge, undo
from tests.practice.test_record_imports import brought, correct, of_sophie, saved
from tests.samples import fhir, measured
from web.headers import FILE_POLICY


@pytest.fixture(params=["patient", "staff"])
def side(request, cast):
    """Who takes it along, and the address of Sophie's record on that side."""
    mine = (cast.sophie, "/my-info")
    return mine if request.param == "patient" else (cast.rita, f"/staff/records/{cast.sophie.key}")


def rows(did):
    db.session.close()
    found = sa.select(Audit.actor_id, Audit.about, Audit.patient_id).where(Audit.did == did).order_by(Audit.id)
    return [tuple(row) for row in db.session.execute(found)]


@pytest.mark.parametrize(("kind", "ending"), [("fhir", ".json"), ("ccda", ".xml")])
def test_a_copy_is_a_file_of_this_record_and_is_written_down(cast, side, kind, ending):
    who, address = side
    saved(cast, of_sophie())
    assert f"{address}/copies/{kind}/file" in who.get(f"{address}/copies").text
    answer = who.post(f"{address}/copies/{kind}/file")
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "application/octet-stream"
    named = rf"attachment; filename=medical-record-\d{{4}}-\d\d-\d\d\{ending}"
    assert re.fullmatch(named, answer.headers["Content-Disposition"])
    assert answer.headers["Content-Security-Policy"] == FILE_POLICY and answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    back = read(answer.data)
    assert (back.patient.last, back.patient.first) == ("KWON", "SOPHIE")
    assert "Heart rate" in [one.name for one in back.entries]
    assert rows("export_record") == [(who.id, kind, cast.sophie.id)]


def test_only_the_patient_and_whoever_keeps_records_take_a_copy(cast):
    for who, address in (
        *((one, f"/staff/records/{cast.sophie.key}") for one in (cast.sam, cast.dan, cast.ada)),
        (cast.rita, f"/staff/records/{new_key()}"),
    ):
        assert who.get(f"{address}/copies").status_code == who.get(f"{address}/print").status_code == 404
        assert who.post(f"{address}/copies/fhir/file").status_code == 404
    assert rows("export_record") == rows("view_record") == [] and len(rows("denied")) == 12
    for path in ("copies/pdf/file", "copies/fhir%00/file", "copies/FHIR/file", f"copies/{'x' * 400}/file"):
        assert cast.sophie.post(f"/my-info/{path}").status_code == 404
    assert cast.sophie.get("/my-info/copies/fhir/file").status_code == 405


def test_nothing_of_it_exists_outside_meaningful_use_mode(cast, side):
    who, address = side
    change_practice(meaningful_use=False)
    pages = ["copies", "print", *(["readers"] if who is cast.sophie else [])]
    assert {who.get(f"{address}/{page}").status_code for page in pages} == {404}
    assert who.post(f"{address}/copies/fhir/file").status_code == 404
    assert rows("export_record") == rows("view_record") == []


def test_the_verb_itself_hands_out_nothing_where_it_is_switched_off(cast):
    change_practice(menu_off="my_info")
    with pytest.raises(SwitchedOff):
        exports.take(cast.sophie.id, exports.Format.FHIR, by=cast.sophie.actor)
    assert exports.take(cast.sophie.id, exports.Format.FHIR, by=cast.rita.actor).name == cast.sophie.name
    change_practice(meaningful_use=False)
    db.session.close()
    with pytest.raises(SwitchedOff):
        exports.take(cast.sophie.id, exports.Format.FHIR, by=cast.rita.actor)
    assert len(rows("export_record")) == 1


def test_my_info_switched_off_hides_copies_from_patients_only(cast):
    change_practice(menu_off="my_info")
    assert cast.sophie.post("/my-info/copies/ccda/file").status_code == cast.sophie.get("/my-info/readers").status_code == 404
    assert cast.rita.post(f"/staff/records/{cast.sophie.key}/copies/ccda/file").status_code == 200


def test_a_copy_asks_for_the_token(cast):
    assert cast.sophie.post("/my-info/copies/fhir/file", token="").status_code == 400
    assert rows("export_record") == []


def test_nobody_takes_copies_without_end(cast, monkeypatch):
    monkeypatch.setattr(exports, "AN_HOUR_MAX", 2)
    answers = [cast.sophie.post("/my-info/copies/ccda/file") for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429] and answers[2].headers["Retry-After"] == "3600"
    assert cast.jihae.post("/my-info/copies/ccda/file").status_code == 200
    db.session.close()
    with clock_at(now() + timedelta(hours=1, seconds=1)):
        assert exports.take(cast.sophie.id, exports.Format.CCDA, by=cast.sophie.actor)


def test_one_patients_copy_has_nothing_of_another(cast):
    canary = "Only Sophie has this"
    saved(cast, fhir(measured(name=canary)))
    for kind in ("fhir", "ccda"):
        assert canary in cast.sophie.post(f"/my-info/copies/{kind}/file").text
        assert canary not in cast.jihae.post(f"/my-info/copies/{kind}/file").text
    assert canary not in cast.jihae.get("/my-info/print").text


# ---- On paper ------------------------------------------------------------------------------------


def test_the_page_to_print_has_all_values_what_was_corrected_and_what_was_denied(cast, side):
    who, address = side
    saved(cast, fhir(*(measured(name=f"Number {n}") for n in range(30)), measured(name=STRANGE)))
    correct(cast, "Height", "167 cm")
    key = cast.send(cast.sophie, "Amendment")
    take(cast, key, V.REVIEW)
    take(cast, key, V.DENY, ground=Ground.NOT_OURS, because="Another clinic wrote it")
    take(cast, key, V.DISAGREE, statement="I was there")
    take(cast, key, V.REBUT, words="We asked the clinic")
    page = who.get(f"{address}/print").text
    assert all(f"Number {n}<" in page for n in range(30)) and "{{7*7}}" in page and "<b>&#34;" not in page
    assert "&lt;b&gt;" in page and "<b>" not in page
    for words in ("167 cm", "Before:", "165 cm", "We did not create this part", "Another clinic wrote it", "I was there"):
        assert words in page, words
    assert "We asked the clinic" in page and "Requests for correction" in page and "None recorded" in page


# ---- Who opened it -------------------------------------------------------------------------------


def opened(cast, who=None):
    return (who or cast.sophie).get("/my-info/readers").text


def test_staffs_looks_are_written_down_once_an_hour_for_each_thing(cast):
    key, _ = saved(cast, of_sophie())
    assert "None yet" in opened(cast) and rows("view_record") == []
    address = f"/staff/records/{cast.sophie.key}"
    for path in ("/documents", "/documents", f"/documents/{key}", f"/documents/{key}/file", "/print", "/print"):
        assert cast.rita.get(address + path).status_code == 200
    expected = [(cast.rita.id, what, cast.sophie.id) for what in ("documents", key, "print")]
    assert rows("view_record") == expected
    cast.sophie.get("/my-info/print")
    cast.sophie.get(f"/my-info/documents/{key}")
    assert rows("view_record") == expected, "patients look at what is theirs"
    page = opened(cast)
    assert page.count('class="item item-two"') == 3 and "The whole record, to print" in page and "The list of documents" in page
    assert f'href="/my-info/documents/{key}"' in page and "in charge of records" in page
    assert "None yet" in opened(cast, cast.jihae)


def test_a_look_an_hour_later_is_another_one(cast):
    at = now().replace(minute=30)
    for later in (0, 20, 40):
        with clock_at(at + timedelta(minutes=later)):
            db.session.close()
            note_view(cast.sophie.id, LIST, by=cast.rita.actor)
    assert len(rows("view_record")) == 2


@pytest.mark.parametrize("shows", [True, False])
def test_names_are_told_as_far_as_the_practice_allows_and_the_role_always(cast, shows):
    change_practice(shows_staff_names=shows)
    with db.engines["write"].begin() as connection:
        connection.execute(sa.update(Staff.__table__).where(Staff.id == cast.rita.id).values(level="Clinician"))
    cast.rita.post(f"/staff/records/{cast.sophie.key}/copies/fhir/file")
    page = opened(cast)
    assert (cast.rita.name in page) is shows and "Clinician" in page and "in charge of records" in page
    assert "taken along as FHIR" in page


def test_messages_and_openings_with_a_reason_stand_there_too(cast):
    key = cast.send(cast.sophie, "Amendment")
    cast.rita.get(f"/staff/messages/{key}")
    page = opened(cast)
    assert f'href="/messages/{key}"' in page and "in charge of the message" in page
    cast.sophie.post("/my-info/copies/ccda/file")
    page = opened(cast)
    assert re.search(r"taken along as C-CDA.*?You<", page, re.DOTALL)
    assert page.index("C-CDA") < page.index(f"/messages/{key}"), "the newest first"


def test_what_was_discarded_is_named_without_its_words(cast):
    key, _ = brought(cast, fhir(measured(), title="A secret of somebody else"), by=cast.rita)
    cast.rita.get(f"/staff/records/{cast.sophie.key}/documents/{key}")
    page = opened(cast)
    assert "A secret of somebody else" not in page and "A document that is not in the record" in page
    cast.rita.post(f"/staff/records/{cast.sophie.key}/documents/{key}/removal")
    assert "A document that is not in the record" in opened(cast)


def test_the_log_is_paged_without_losing_or_doubling_a_line(cast):
    at = now().replace(microsecond=7)
    with db.engines["write"].begin() as connection:
        for n in range(61):  # several at the same moment
            moment = at - timedelta(minutes=n // 4)
            row = {"at": moment, "act": new_key(), "actor_id": cast.rita.id, "actor_name": "R", "did": "view_record"}
            row |= {"about": f"{n:022}", "patient_id": cast.sophie.id, "details": ""}
            connection.execute(sa.insert(Audit), row)
    db.session.close()
    address, pages = "/my-info/readers", []
    while address:
        page = cast.sophie.get(address).text
        pages.append(re.findall(r'<time datetime="([^"]+)"', page))
        older = re.search(r'href="(/my-info/readers\?older=[^"]+)"', page)
        address = older[1] if older else ""
    assert [len(one) for one in pages] == [25, 25, 11]
    moments = [one for page in pages for one in page]
    assert moments == sorted(moments, reverse=True)
    back = re.search(r'href="(/my-info/readers\?newer=[^"]+)"', page)[1]
    assert re.findall(r'<time datetime="([^"]+)"', cast.sophie.get(back).text) == pages[1]


def test_the_log_is_found_by_index(cast):
    db.session.close()
    for place in (None, place_at("1.a"), place_at("1.a", is_newer=True)):
        statement = access_log._lines(cast.sophie.id, place)
        db.session.close()
        with db.engines["write"].connect() as connection:
            found = plan(connection, statement, {})
        assert "ix_audit_patient_id_at_id" in found and "Seq Scan on audit" not in found and "SCAN audit" not in found, found


@pytest.mark.parametrize("place", ["", "x", "1", "1.", ".a", "9" * 17 + ".a", "9" * 30 + ".a", "1.a\n", "-1.a", "1.'--", "٣.a"])
def test_a_place_that_is_none_is_the_first_page(cast, place):
    assert cast.sophie.get(f"/my-info/readers?older={quote(place)}").status_code == 200
    assert cast.sophie.get(f"/my-info/readers?newer={quote(place)}").status_code == 200


def test_an_account_that_became_part_of_this_one_brings_its_log_along(cast):
    cast.rita.get(f"/staff/records/{cast.sophie.key}/documents")
    assert "The list of documents" in opened(cast)
    cast.sophie.post("/my-info/copies/fhir/file")
    key = merge(cast.jihae, cast.sophie)
    page = opened(cast, cast.jihae)
    assert "The list of documents" in page and re.search(r"taken along as FHIR.*?You<.*?The list of", page, re.DOTALL)
    undo(key)
    assert "The list of documents" not in opened(cast, cast.jihae)


def test_admins_find_what_was_opened_and_taken_along(cast):
    cast.rita.get(f"/staff/records/{cast.sophie.key}/documents")
    cast.sophie.post("/my-info/copies/fhir/file")
    page = cast.ada.get(cast.ada.post("/admin/audit/searches", {"kind": "records"}).location).text
    body = page[page.index("<tbody") : page.index("</tbody>")]
    assert "opened a part of a record" in body and "took a copy of a record" in body and "logged in" not in body


def test_the_page_to_print_has_the_memo_and_the_day_of_a_request(cast, side):
    who, address = side
    value = cast.value_of(cast.sophie)
    with clock_at(datetime(2026, 3, 5, 2, 30)):  # UTC: the evening before in New York
        ask = {"to": "167 cm", "memo": "Measured at home", "form_key": new_key(), "by": cast.sophie.actor}
        amendments.request_amendment(cast.sophie.id, value, **ask)
    page = who.get(f"{address}/print").text
    assert re.search(r"<dt>Asked on</dt><dd[^>]*>March 4, 2026</dd>", page)
    assert re.search(r"<dt>Memo</dt><dd[^>]*>Measured at home</dd>", page)
