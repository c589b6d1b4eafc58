"""`flask read-records`: a line for each file, totals, JSON for programs; nothing is saved and no database is asked."""

import json
import re

import pytest
import sqlalchemy as sa

from practice.db import db
from practice.records import RecordDocument, RecordValue
from tests.practice.test_reading import PATIENT, STU3, ccda


@pytest.fixture
def folder(tmp_path):
    """Two that can be read, one that is refused, and one of another ending."""
    (tmp_path / "deeper").mkdir()
    (tmp_path / "a.xml").write_text(ccda("n1"))
    (tmp_path / "deeper" / "b.ndjson").write_bytes(PATIENT + b"\n" + STU3)
    (tmp_path / "c.xml").write_text("<html>")
    (tmp_path / "notes.txt").write_text(ccda())
    return tmp_path


def run(app, *args):
    return app.test_cli_runner().invoke(args=["read-records", *map(str, args)])


def test_each_file_has_a_line_and_the_last_one_says_how_many(app, folder):
    answer = run(app, folder)
    first, refused, deeper, whole = answer.output.splitlines()
    counts = "Drug Allergy 1, Problem 1, Care Team Members 1, Vital Signs 1"
    assert re.fullmatch(rf"{folder}/a\.xml: read as C-CDA, \d+ ms\. Patient Information 4, {counts}\. Unread 0\.", first)
    assert re.fullmatch(rf"{folder}/c\.xml: refused, \d+ ms\. This is a web page, not a medical document.*", refused)
    assert deeper.startswith(f"{folder}/deeper/b.ndjson: read as FHIR")
    assert re.fullmatch(
        r"3 files: 2 read, 1 refused; 12 entries, 100\.0 % with words; median [\d.]+ ms, worst [\d.]+ ms\.", whole
    )
    assert answer.exit_code == 0, "a file that is refused is an answer, not a failure"
    for table in (RecordDocument, RecordValue):
        assert db.session.scalar(sa.select(sa.func.count()).select_from(table)) == 0


def test_programs_get_one_object(app, folder):
    answer = run(app, folder, "--json")
    said = json.loads(answer.output)
    assert answer.exit_code == 0 and said["totals"]["files"] == 3 and said["totals"]["refused"] == 1
    read, refused, _ = said["files"]
    assert read["read"] and read["kind"] == "C-CDA" and read["refused"] is None and read["labels"] == read["entries"] == 8
    assert read["sections"]["Vital Signs"] == 1 and read["sections"]["Goals"] == 0 and read["unread"] == read["notes"] == []
    assert not refused["read"] and refused["refused"].startswith("This is a web page") and refused["entries"] == 0


def test_a_file_that_is_named_is_read_whatever_its_ending_and_one_that_is_not_there_fails(app, folder):
    assert "1 files: 1 read" in run(app, folder / "notes.txt").output
    answer = run(app, folder / "nothing.xml")
    assert answer.exit_code == 2 and "does not exist" in answer.output
    assert run(app).exit_code == 2
