"""Documents over HTTP, from both sides: brought, looked at, saved, opened again; and all that can be wrong with a file."""

import gc
import io
import re

import pytest
import sqlalchemy as sa

from practice import record_imports
from practice.db import db, new_key, now
from practice.documents import SIZE_MAX, Kind
from practice.records import RecordDocument, RecordValue
from tests.conftest import FILES
from tests.portal.helpers import change_practice
from tests.practice.test_record_imports import correct, of_sophie
from tests.samples import fhir, measured, pdf, png
from tests.staff.helpers import value
from web.headers import FILE_POLICY


@pytest.fixture(params=["patient", "staff"])
def side(request, cast):
    """Who imports, and the address of the documents of Sophie's record on that side."""
    mine = (cast.sophie, "/my-info/documents")
    return mine if request.param == "patient" else (cast.rita, f"/staff/records/{cast.sophie.key}/documents")


def bring(who, address, content, name="summary.xml", **more):
    return who.post(address, {"file": (io.BytesIO(content), name, "text/html"), "key": new_key()} | more)


def look(who, address, content, name="summary.xml"):
    """The address of the document, and its page."""
    answer = bring(who, address, content, name)
    assert answer.status_code == 303, re.findall('class="error".*', answer.text)
    return answer.location, who.get(answer.location)


def nothing_left():
    db.session.close()
    rows = [db.session.scalars(sa.select(RecordDocument)).all()]
    rows += [db.session.scalars(sa.select(RecordValue).where(RecordValue.document_id.is_not(None))).all()]
    return rows == [[], []] and (not FILES.exists() or list(FILES.iterdir()) == [])


def test_a_document_is_looked_at_saved_and_opened_again(cast, side):
    who, address = side
    assert "None imported" in who.get(address).text
    there, page = look(who, address, of_sophie("x"))
    assert (
        "What it holds" in page.text and "Import 8 values" in page.text and "Heart rate, 71 /min, February 29, 2020" in page.text
    )
    assert re.search(r'Vital Signs</th><td class="num">1</td><td class="num">0<', page.text)
    assert re.search(r'Lab Results</th><td class="num">0</td>', page.text), "sections without entries are not hidden"
    saved = who.post(f"{there}/saving", {"key": new_key(), "seen": value(page, "seen")})
    assert saved.status_code == 303 and saved.location == f"{there}?done=imported"
    page = who.get(saved.location).text
    assert "Imported." in page and "What came with it" in page and "Import 8" not in page
    assert ("by the patient" in page) == (who is cast.sophie)
    info = cast.sophie.get("/my-info").text
    assert "71 /min" in info and "Dr. Grace Hill" in info and ("brought by you" in info) == (who is cast.sophie)
    assert info.count("/my-info/documents/") == 8 and "summary.xml" not in info
    file = who.get(f"{there}/file")
    assert file.data == of_sophie("x") and file.headers["Content-Type"] == "application/octet-stream"
    assert file.headers["Content-Disposition"] == "attachment; filename=summary.xml"
    assert file.headers["Content-Security-Policy"] == FILE_POLICY and file.headers["X-Content-Type-Options"] == "nosniff"
    again = bring(who, address, of_sophie("x"))
    assert again.status_code == 422 and "This very document is in the record already" in again.text


def test_what_is_saved_opens_for_the_patient_and_for_whoever_keeps_records_only(cast, side):
    who, address = side
    there, page = look(who, address, fhir(measured(value=170)))
    key = there.rsplit("/", 1)[1]
    mine, staffs = f"/my-info/documents/{key}", f"/staff/records/{cast.sophie.key}/documents/{key}"
    other, path = (cast.rita, staffs) if who is cast.sophie else (cast.sophie, mine)
    assert other.get(path).status_code == 404, "not saved: whoever brought it alone"
    who.post(f"{there}/saving", {"key": new_key(), "seen": value(page, "seen")})
    for one, path in ((cast.sophie, mine), (cast.rita, staffs)):
        assert one.get(path).status_code == one.get(f"{path}/file").status_code == 200
    wrong = f"/staff/records/{cast.jihae.key}/documents/{key}"
    for one, path in ((cast.jihae, mine), (cast.sam, staffs), (cast.ada, staffs), (cast.rita, wrong)):
        for more in ("", "/file"):
            assert one.get(path + more).status_code == 404


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "This file is empty."),
        (b"<!doctype html><html><script>alert(1)</script></html>", "This is a web page"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", "not a whole clinical document"),
        (b"<?php echo 1 ?>", "This XML cannot be read"),
        (pdf(), "This is a PDF."),
        (png(), "neither C-CDA (XML) nor FHIR (JSON)"),
        (of_sophie()[:-300], "ends too early"),
        (fhir(measured())[:-30], "damaged, or only a part of it has arrived"),
        (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>' + of_sophie(), "declares a document type"),
        (b"[" * 5000, "nested too deeply"),
        (b"{}", "holds no FHIR resources"),
        (b" " * (SIZE_MAX + 1), "larger than 10 MB"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_A35_A36_what_is_no_document_is_refused_with_its_own_sentence_and_leaves_nothing(cast, side, content, says):
    who, address = side
    answer = bring(who, address, content, "record.ccda")
    status, text = answer.status_code, answer.text
    del answer
    gc.collect()  # what the test's own client has sent
    assert status == (413 if len(content) > SIZE_MAX else 422) and says in text and nothing_left()


def test_A35_no_file_and_a_second_file_are_refused(cast, side):
    who, address = side
    for files, says in (({}, "Choose a file first"), ({"more": (io.BytesIO(fhir()), "b.json")}, "one document after the other")):
        data = {"file": (io.BytesIO(fhir()), "a.json")} if files else {}
        answer = who.post(address, {"key": new_key()} | data | files)
        assert answer.status_code == 422 and says in answer.text and nothing_left()


def test_A37_a_file_is_called_harmlessly_and_stored_under_no_name(cast):
    for said, shown in (
        ("../../etc/passwd", "passwd.json"),
        ("CON", "_CON.json"),
        ("a\u202egnp.exe", "agnp.exe.json"),
        ("a;b:c?.json", "a;b_c_.json"),
        ("x" * 300 + ".json", "x" * 115 + ".json"),
    ):
        there, _ = look(cast.sophie, "/my-info/documents", fhir(), said)
        head = cast.sophie.get(f"{there}/file").headers["Content-Disposition"]
        assert "\n" not in head and ".." not in head
        db.session.close()
        assert db.session.scalars(sa.select(RecordDocument.name).order_by(RecordDocument.id.desc())).first() == shown
    assert all(re.fullmatch(r"[0-9a-f]{32}", path.name) for path in FILES.iterdir())


def test_A36_what_a_document_says_is_text_on_every_page(cast):
    evil = "<script>alert(1)</script>"
    there, page = look(cast.sophie, "/my-info/documents", fhir(measured(evil, 1, evil), title=evil, author={"display": evil}))
    cast.sophie.post(f"{there}/saving", {"key": new_key(), "seen": value(page, "seen")})
    pages = [
        page.text,
        *(cast.sophie.get(path).text for path in (there, "/my-info/documents", "/my-info", "/my-info/sections/vitals")),
    ]
    assert all(evil not in one and "&lt;script&gt;" in one for one in pages)


def test_another_persons_document_stops_the_patient_and_asks_staff_for_a_reason(cast, side):
    who, address = side
    there, page = look(who, address, fhir(measured(value=170), first="JIHAE", dob="1990-12-12"))
    assert "may be of somebody else" in page.text and "of KWON, JIHAE. This record is of KWON, SOPHIE." in page.text
    assert "born on December 12, 1990" in page.text and ("ask the practice to import it" in page.text) == (who is cast.sophie)
    said = {"key": new_key(), "seen": value(page, "seen")}
    answer = who.post(f"{there}/saving", said)
    assert answer.status_code == 422 and ("Say why" in answer.text) == (who is cast.rita)
    answer = who.post(f"{there}/saving", said | {"reason": "Hello"})
    assert answer.status_code == (303 if who is cast.rita else 422)
    assert ("170 cm" in cast.sophie.get("/my-info").text) == (who is cast.rita)
    if who is cast.rita:
        assert "Hello" in who.get(there).text and "Hello" not in cast.sophie.get(f"/my-info/documents/{there[-22:]}").text


def test_a_record_that_changed_meanwhile_answers_409_with_the_new_comparison(cast, side):
    who, address = side
    there, page = look(who, address, fhir(measured(value=165), measured(value=170)))
    assert "What was corrected stays" not in page.text
    correct(cast, "Height", "167 cm")
    answer = who.post(f"{there}/saving", {"key": new_key(), "seen": value(page, "seen")})
    assert answer.status_code == 409 and "Nothing was imported: the record has changed" in answer.text
    assert "What was corrected stays" in answer.text and "167 cm" in answer.text
    assert who.post(f"{there}/saving", {"key": new_key(), "seen": value(answer, "seen")}).status_code == 303
    info = cast.sophie.get("/my-info").text
    assert "A document says something else, and the correction stays" in info and info.count("167 cm") == 2


def test_notes_and_what_could_not_be_read_are_named(cast):
    content = of_sophie().replace(b'code="34133-9"', b'code="letter"').replace(b"48765-2", b"99999-9")
    _, page = look(cast.sophie, "/my-info/documents", content)
    assert "says a kind that is not known (letter)" in page.text and "What could not be read" in page.text


def test_discarding_leaves_nothing(cast, side):
    who, address = side
    there, _ = look(who, address, fhir())
    answer = who.post(f"{there}/removal", {"key": new_key()})
    assert answer.status_code == 303 and "Nothing was imported." in who.get(answer.location).text and nothing_left()


def test_nothing_is_stored_while_the_scanner_is_away_or_finds_something(cast, side, monkeypatch):
    who, address = side
    monkeypatch.setattr(record_imports, "scanned", lambda _: record_imports.FileState.WAITING)
    answer = bring(who, address, fhir())
    assert answer.status_code == 422 and "does not answer just now" in answer.text and nothing_left()


def test_a_full_disk_is_said(cast, side, monkeypatch):
    who, address = side

    def full(*_, **__):
        raise OSError(28, "full")

    monkeypatch.setattr(record_imports, "bring", full)
    answer = bring(who, address, fhir())
    assert answer.status_code == 503 and "no room to store this file" in answer.text


def test_only_in_meaningful_use_mode_and_only_for_who_is_in_charge_of_amendments(cast, side):
    who, address = side
    there, page = look(who, address, fhir(measured(value=170)))
    assert "Import a document into a record" in cast.rita.get("/staff/messages/new").text
    assert "Import a document into a record" not in cast.sam.get("/staff/messages/new").text
    change_practice(meaningful_use=False)
    assert "Import a document into a record" not in cast.rita.get("/staff/messages/new").text
    for path in (address, there, f"{there}/file"):
        assert who.get(path).status_code == 404
    for path in (f"{there}/saving", f"{there}/removal"):
        assert who.post(path, {"key": new_key(), "seen": value(page, "seen")}).status_code == 404
    assert bring(who, address, fhir()).status_code == 404
    assert cast.rita.get("/staff/records").status_code == 404
    assert len(list(FILES.iterdir())) == 1


def test_staff_find_the_patient_and_never_themselves(cast):
    found = cast.rita.post("/staff/records/searches", {"name": "KWON"})
    page = cast.rita.get(found.location).text
    assert f"/staff/records/{cast.sophie.key}/documents" in page
    assert cast.rita.post("/staff/records/searches", {}).status_code == 422
    own = cast.staff("own", own_patient=cast.sophie.id)
    cast.change("Patient Info Manager", staff=[cast.rita, own])
    assert own.get("/staff/records").status_code == 200
    assert own.get(f"/staff/records/{cast.sophie.key}/documents").status_code == 404


def test_documents_are_listed_page_by_page(cast, side):
    """Two of one moment stand on one page only."""
    who, address = side
    file = {"is_by_patient": False, "kind": Kind.CCDA, "name": "a.xml", "size": 1, "maker": "", "reason": "", "at": now()}
    same = {"patient_id": cast.sophie.id, "by_id": cast.rita.id, "saved_at": now()}
    rows = [file | same | {"key": new_key(), "title": f"Summary {n}.", "sha256": f"{n}", "stored_as": f"{n}"} for n in range(60)]
    with db.engines["write"].begin() as connection:
        connection.execute(sa.insert(RecordDocument), rows)
    pages, page = [], who.get(address).text
    while page and len(pages) < 5:
        pages.append(re.findall(r"Summary (\d+)\.", page))
        older = re.search(r'href="([^"]*before=[^"]*)"', page)
        page = who.get(older[1]).text if older else ""
    assert [len(there) for there in pages] == [25, 25, 10]
    assert [int(n) for there in pages for n in there] == list(range(59, -1, -1))
    last = who.get(f"{address}?before={rows[10]['key']}").text
    newer = re.search(r'href="([^"]*after=[^"]*)"', last)[1]
    assert re.findall(r"Summary (\d+)\.", who.get(newer).text) == [str(n) for n in range(34, 9, -1)]
    for nowhere in (new_key(), "nothing"):
        assert who.get(f"{address}?before={nowhere}").status_code == 404


def test_what_is_of_another_patient_or_withdrawn_is_named_with_its_reason(cast, side):
    of_other = measured("Weight", 99, "kg", subject={"reference": "Patient/999"})
    withdrawn = measured("Weight", 98, "kg", status="entered-in-error")
    _, page = look(*side, fhir(of_other, withdrawn))
    assert "Weight" not in page.text
    for reason in ("It is of another patient, or does not say of whom.", "It was entered in error."):
        assert f"<li><bdi>Observation (1)</bdi>: {reason}</li>" in page.text
