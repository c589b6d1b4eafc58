"""Import: files that are and are not what they say, progress, errors by line, all or nothing."""

import io
import re
import tracemalloc
import zipfile
from gettext import NullTranslations
from typing import Any

import flask_babel
import pytest
import sqlalchemy as sa
from openpyxl import Workbook, load_workbook

from practice.db import db, new_key
from practice.errors import Invalid
from practice.imports import Import
from practice.people import Staff
from tests.conftest import Cast, Player
from tests.examples.admin_staff import PATIENTS_CSV, STAFF_CSV, begin
from web.spreadsheets import read_table

URL = "/admin/staff/import"
HEAD = ["ID", "Last name", "E-mail"]


def xlsx(*rows: list[Any]) -> bytes:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def bring(player: Player, content: bytes, name: str, *, url: str = URL, **more: Any) -> Any:
    return player.post(url, {"key": new_key(), "file": (io.BytesIO(content), name)} | more)


def bring_much(player: Player, size: int) -> Any:
    """The answer to a file of this size; its body is built here, because the test client leaves a file open."""
    head = 'Content-Disposition: form-data; name="%s"%s\r\n\r\n'
    parts = [head % ("csrf_token", "") + player.token(), head % ("file", '; filename="a.csv"') + STAFF_CSV + "\n" * size]
    body = "".join(f"--x\r\n{part}\r\n" for part in parts) + "--x--\r\n"
    return player.open("POST", URL, data=body.encode(), content_type="multipart/form-data; boundary=x")


def bomb() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/workbook.xml", b" " * 51 * 1024 * 1024)
    return content.getvalue()


def archive(**parts: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        for name, text in parts.items():
            packed.writestr(name.replace("_", "/") + ".xml", text)
    return content.getvalue()


def imported(login: str) -> bool:
    db.session.close()
    return bool(db.session.scalar(sa.select(Staff.id).where(Staff.login == login)))


@pytest.mark.parametrize(("content", "name"), [
    (STAFF_CSV.encode(), "a.csv"),
    (b"\xef\xbb\xbf" + STAFF_CSV.replace(",", ";").encode(), "a.CSV"),
    (xlsx(["ID", "Last name", "First name", "E-mail", "Admin"], ["PETER", "STAFF", "text", "p@test.example", True]), "a.xlsx"),
])  # fmt: skip
def test_a_file_is_checked_shown_and_imported(cast: Cast, content: bytes, name: str) -> None:
    answer = bring(cast.ada, content, name)
    assert answer.status_code == 303
    page = cast.ada.get(answer.location).text
    assert "<progress" in page and "0 of 1 lines checked" in page and "Check all lines" in page and "Import one" not in page
    page = cast.ada.post(f"{answer.location}/checks", {"all": "y"})
    assert page.status_code == 303
    page = cast.ada.get(answer.location).text
    assert "1 of 1 lines checked" in page and "Import one member of staff" in page and "PETER" in page and not imported("PETER")
    assert cast.ada.post(f"{answer.location}/taking").location.endswith("?done=imported")
    assert imported("PETER") and "Imported." in cast.ada.get(f"{answer.location}?done=imported").text
    assert cast.ada.post(f"{answer.location}/taking").status_code == 303


@pytest.mark.parametrize(("content", "name", "says"), [
    (b"", "a.csv", "The file is empty."),
    (STAFF_CSV.encode(), "a.txt", "ends in .xlsx or .csv"),
    (STAFF_CSV.encode(), "a.xlsx", "not what its name says"),
    (xlsx(HEAD), "a.csv", "not what its name says"),
    (b"\xd0\xcf\x11\xe0" + b"x" * 99, "a.xlsx", "old Excel file or one with a password"),
    (STAFF_CSV.replace("PETER", "P\u00c9TER").encode("cp1252"), "a.csv", "not in UTF-8"),
    (b"ID,Last name,E-mail\na\0b,c,d\n", "a.csv", "not what its name says"),
    (xlsx(HEAD, ["=1+1", "a", "b@c.example"]), "a.xlsx", "Line 2 of the file holds a formula"),
    (xlsx(HEAD, ["#N/A", "a", "b@c.example"]), "a.xlsx", "Line 2 of the file holds the error #N/A"),
    (xlsx(HEAD), "a.xlsx", "There is nothing below"),
    (b"PK\x03\x04" + b"x" * 50, "a.xlsx", "cannot be read"),
    (archive(readme="x"), "a.xlsx", "not what its name says"),
    (archive(xl_workbook="<!DOCTYPE x><x/>"), "a.xlsx", "cannot be read"),
    (archive(xl_workbook="<x/>"), "a.xlsx", "cannot be read"),
    (bomb(), "a.xlsx", "too large when it is unpacked"),
    (b"ID,Last name,E-mail,<b>Pay</b>\n", "a.csv", "&lt;b&gt;Pay&lt;/b&gt;"),
    (b"ID,Last name,E-mail\na,b,c,d\n", "a.csv", "Line 2 has more values"),
    (b"ID,Last name,E-mail\n" + b"a,b,c\n" * 20_001, "a.csv", "split"),
    (b"a," * 60, "a.csv", "too many columns"),
])  # fmt: skip
def test_a_file_that_cannot_be_taken_is_refused_with_words(cast: Cast, content: bytes, name: str, says: str) -> None:
    page = bring(cast.ada, content, name)
    assert page.status_code == 422 and says in page.text and "<title>Error:" in page.text
    db.session.close()
    assert not db.session.scalar(sa.select(Import.id))


def test_no_file_is_said_and_too_large_a_one_is_413(cast: Cast) -> None:
    assert "Choose a file." in cast.ada.post(URL, {"key": new_key()}).text
    assert bring_much(cast.ada, 3 * 1024 * 1024).status_code == 303
    assert cast.ada.post("/admin/staff", {"login": "x" * 2 * 1024 * 1024}).status_code == 413


def test_what_is_too_large_is_told_its_limit_and_how_to_go_on(cast: Cast) -> None:
    page = bring_much(cast.ada, 11 * 1024 * 1024)
    assert page.status_code == 413 and "at most 10 MB" in page.text and "split it" in page.text
    for other in (bring_much(cast.sam, 3 * 1024 * 1024), cast.ada.post("/admin/staff", {"login": "x" * 2 * 1024 * 1024})):
        assert other.status_code == 413 and "MB" not in other.text and "Make it shorter" in other.text


MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def shared_texts(text: str, lines: int, columns: int) -> bytes:
    """An .xlsx that holds a text once and shows it in every cell."""
    row = "<row>" + '<c t="s"><v>0</v></c>' * columns + "</row>"
    kinds = {"workbook": "sheet.main", "sheet": "worksheet", "texts": "sharedStrings"}
    named = "".join(f'<Override PartName="/xl/{part}.xml" ContentType="{KIND}.{kind}+xml"/>' for part, kind in kinds.items())
    to = "".join(
        f'<Relationship Id="r{n}" Type="{OFFICE}/{kind}" Target="{part}.xml"/>'
        for n, (part, kind) in enumerate([("sheet", "worksheet"), ("texts", "sharedStrings")])
    )
    sheets = '<sheets><sheet name="A" sheetId="1" r:id="r0"/></sheets>'
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("[Content_Types].xml", f'<Types xmlns="{PACKAGE}/content-types">{named}</Types>')
        packed.writestr("xl/workbook.xml", f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}">{sheets}</workbook>')
        packed.writestr("xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{PACKAGE}/relationships">{to}</Relationships>')
        packed.writestr("xl/sheet.xml", f'<worksheet xmlns="{MAIN}"><sheetData>{row * lines}</sheetData></worksheet>')
        packed.writestr("xl/texts.xml", f'<sst xmlns="{MAIN}"><si><t>{text}</t></si></sst>')
    return content.getvalue()


@pytest.mark.parametrize(("content", "name", "says"), [
    (shared_texts("x" * 200_000, 600, 1), "a.xlsx", "Line 1 of the file has a text of more than 1,000 characters"),
    (xlsx(HEAD, ["a", "b", "c"], ["a", " " * 1001 + "b", "c"]), "a.xlsx", "Line 3 of the file has a text of more than 1,000"),
    (f"ID,Last name,E-mail\na,b,c\na,{'b' * 1001},c\n".encode(), "a.csv", "Line 3 of the file has a text of more than 1,000"),
    (shared_texts("x" * 1000, 20_000, 10), "a.xlsx", "The file holds too much text: split it."),
], ids=["shared", "long", "csv", "sum"])  # fmt: skip
def test_texts_that_many_cells_share_do_not_fill_the_memory(content: bytes, name: str, says: str) -> None:
    assert len(content) < 50_000  # packed
    tracemalloc.start()
    try:
        with pytest.raises(Invalid, match=says):
            read_table(content, name, lines_max=20_000)
        assert tracemalloc.get_traced_memory()[1] < 20 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_the_longest_texts_are_read() -> None:
    assert read_table(xlsx(["x" * 1000]), "a.xlsx", lines_max=1) == [(1, ["x" * 1000])]


@pytest.mark.parametrize("kind", ["staff", "patients"])
def test_another_file_in_the_same_form_is_refused_and_the_first_stays(cast: Cast, kind: str) -> None:
    first = bring(cast.ada, STAFF_CSV.encode(), "a.csv", key="k" * 22)
    assert bring(cast.ada, STAFF_CSV.encode(), "a.csv", key="k" * 22).location == first.location
    other = STAFF_CSV.replace("PETER", "ROSA").encode() if kind == "staff" else PATIENTS_CSV.encode()
    url = f"/admin/{kind}/import"
    page = bring(cast.ada, other, "b.csv", key="k" * 22, url=url)
    assert page.status_code == 422 and "another file before, “a.csv”" in page.text
    assert "PETER" in cast.ada.post(f"{first.location}/checks", htmx=True).text
    key = re.findall(r'name="key" value="([\w-]{22})"', page.text)[0]  # the refused form is a new one
    second = bring(cast.ada, other, "b.csv", key=key, url=url)
    assert second.status_code == 303 and second.location != first.location


def test_what_a_file_is_refused_for_is_said_in_the_language_of_the_page(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    sentences = {
        "Line %(line)s of the file holds a formula: put its value there instead.": "LIGNE %(line)s: FORMULE",
        "The column “%(column)s” is missing. The first line names the columns.": "IL MANQUE %(column)s",
    }

    class French(NullTranslations):
        def ugettext(self, text: str) -> str:
            return sentences.get(text, text)

        def ungettext(self, one: str, many: str, n: int) -> str:
            return one if n == 1 else many

    monkeypatch.setattr(flask_babel.Domain, "get_translations", lambda self: French())
    assert "LIGNE 2: FORMULE" in bring(cast.ada, xlsx(HEAD, ["=1+1", "a", "b@c.example"]), "a.xlsx").text
    assert "IL MANQUE E-mail" in bring(cast.ada, b"ID,Last name\na,b\n", "a.csv").text


def test_values_are_read_as_they_were_typed() -> None:
    table = read_table(xlsx(["a", None, 4711.0, 0.5], [None], ["x", "y"]), "a.xlsx", lines_max=10)
    assert table == [(1, ["a", "", "4711", "0.5"]), (3, ["x", "y"])]
    assert read_table(b'a;"b\nc"\n\nd,e;f', "a.csv", lines_max=10) == [(1, ["a", "b\nc"]), (4, ["d,e", "f"])]


@pytest.mark.parametrize("kind", ["staff", "patients"])
def test_the_template_has_the_head(cast: Cast, kind: str) -> None:
    sheet = load_workbook(io.BytesIO(cast.ada.get(f"/admin/imports/templates/{kind}").data)).active
    assert "E-mail" in [cell.value for cell in sheet[1]]
    assert cast.ada.get("/admin/imports/templates/other").status_code == 404


def test_progress_goes_on_by_itself_with_htmx(cast: Cast) -> None:
    text = "ID,Last name,E-mail\n" + "".join(f"u{i},L{i},u{i}@test.example\n" for i in range(1200))
    address = f"/admin/imports/{begin(cast, text, is_checked=False)}"
    first, second, third = (cast.ada.post(f"{address}/checks", htmx=True).text for _ in range(3))
    assert "500 of 1,200 lines checked" in first and 'hx-trigger="load"' in first
    assert "1,000 of 1,200 lines checked" in second and "Import 1,200 staff" in third and "hx-trigger" not in third
    assert "These are the first 25 of 1,200 lines." in third


def test_errors_name_the_line_and_nothing_can_be_imported(cast: Cast) -> None:
    address = f"/admin/imports/{begin(cast, STAFF_CSV + 'sam,<b>X</b>,Y,peter@test.example' + chr(10))}"
    page = cast.ada.get(address).text
    assert "Line 3, ID: An account has this already." in page and "Line 3, E-mail: The same as in line 2." in page
    assert "2 errors: nothing is imported" in page and "/taking" not in page and "<b>X" not in page and "Error:" in page
    assert cast.ada.post(f"{address}/taking").status_code == 409 and not imported("PETER")
    assert "Discarded." in cast.ada.get(cast.ada.post(f"{address}/removal").location).text
    assert cast.ada.get(address).status_code == 404


def test_what_changed_meanwhile_is_checked_again(cast: Cast) -> None:
    address = f"/admin/imports/{begin(cast)}"
    cast.staff("peter")
    for htmx in (True, False):
        page = cast.ada.post(f"{address}/taking", htmx=htmx)
        assert page.status_code == 409
    assert re.search("0 of 1 lines checked", page.text)


def test_nobody_else_sees_a_file(cast: Cast) -> None:
    address, eve = f"/admin/imports/{begin(cast)}", cast.staff("eve", is_admin=True)
    for path in ("", "/checks", "/taking", "/removal"):
        answers = [p.get(address) if not path else p.post(address + path) for p in (eve, cast.sam, cast.sophie)]
        assert [answer.status_code for answer in answers] == [404, 403, 403]
        assert not path or cast.ada.get(address + path).status_code == 405
