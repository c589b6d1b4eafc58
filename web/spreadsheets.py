"""Spreadsheets to take away: every cell is text, so that no name or title can be a formula (security A50). And those that
are brought: judged by what they are, not by what they are called, and read as text."""

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time
from itertools import chain
from typing import Any

from flask import Response
from openpyxl import Workbook, load_workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ERROR_CODES

from practice.errors import Invalid

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CELL_MAX = 32_767  # what Excel takes
DANGEROUS = ("=", "+", "-", "@", "\t", "\r")


def xlsx(head: Iterable[Any], rows: Iterable[Iterable[Any]], *, name: str) -> Response:
    """A download `name`.xlsx (`name`: ours, ASCII) of a head and rows; None is an empty cell."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    for row in chain([head], rows):
        sheet.append([_text_cell(sheet, value) for value in row])
    content = io.BytesIO()
    book.save(content)
    return _download(content.getvalue(), XLSX, f"{name}.xlsx")


def _text_cell(sheet: Any, value: Any) -> WriteOnlyCell:
    text = "" if value is None else "".join(c for c in str(value) if c.isprintable() or c in "\n\t")[:CELL_MAX]
    cell = WriteOnlyCell(sheet, value=text)
    cell.data_type = "s"  # not "f", whatever it begins with
    return cell


def comma_separated(head: Iterable[Any], rows: Iterable[Iterable[Any]], *, name: str) -> Response:
    """The same as CSV in UTF-8; what a spreadsheet would take for a formula gets an apostrophe before it."""
    content = io.StringIO()
    writer = csv.writer(content)
    for row in chain([head], rows):
        texts = ["" if value is None else str(value) for value in row]
        writer.writerow(["'" + text if text.startswith(DANGEROUS) else text for text in texts])
    return _download(content.getvalue().encode("utf-8-sig"), "text/csv; charset=utf-8", f"{name}.csv")


def _download(content: bytes, media_type: str, file_name: str) -> Response:
    return Response(content, mimetype=media_type, headers={"Content-Disposition": f'attachment; filename="{file_name}"'})


# ---- Reading -------------------------------------------------------------------------------------

Table = list[tuple[int, list[str]]]  # of each line that is not empty: its number in the file, its texts

FILE_MAX = 10 * 1024 * 1024
UNPACKED_MAX = 50 * 1024 * 1024
COLUMNS_MAX = 50
TEXT_MAX = 1000  # characters of a cell that is read
TEXTS_MAX = 10 * 1024 * 1024  # of all cells: what they are together has no limit in an .xlsx, where cells may share a text
ZIP, OLD_EXCEL = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"


def read_table(content: bytes, file_name: str, *, lines_max: int) -> Table:
    """The lines of an .xlsx (its first sheet) or .csv file. Raises Invalid("file") with what to do about it."""
    if not content:
        raise Invalid("file", "The file is empty.")
    if content.startswith(OLD_EXCEL):
        raise Invalid("file", "This is an old Excel file or one with a password: save it as .xlsx without a password.")
    ending = file_name.rpartition(".")[2].lower()
    if ending not in ("xlsx", "csv"):
        raise Invalid("file", "Choose a file that ends in .xlsx or .csv.")
    is_zip = content.startswith(ZIP)
    if is_zip != (ending == "xlsx"):
        raise Invalid("file", "The file is not what its name says: save it again as .xlsx or as .csv.")
    read = _workbook(content, lines_max) if is_zip else _comma_separated(content)
    table: Table = []
    size = 0
    for number, texts in read:
        if len(texts) > COLUMNS_MAX:
            raise Invalid("file", "The file has too many columns.")
        if any(len(text) > TEXT_MAX for text in texts):
            raise Invalid("file", "Line %(line)s of the file has a text of more than 1,000 characters: shorten it.", line=number)
        if wrong := next((text for text in texts if text in ERROR_CODES), None):
            says = "Line %(line)s of the file holds the error %(error)s of a spreadsheet: put the value there instead."
            raise Invalid("file", says, line=number, error=wrong)
        size += sum(map(len, texts))
        if size > TEXTS_MAX:
            raise Invalid("file", "The file holds too much text: split it.")
        if not any(text.strip() for text in texts):
            continue
        if len(table) > lines_max:
            raise Invalid("file", "The file has too many lines: split it.")
        table.append((number, texts))
    return table


def _comma_separated(content: bytes) -> Iterator[tuple[int, list[str]]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Invalid("file", "The file is not in UTF-8: in Excel save it as “CSV UTF-8”, or as .xlsx.") from None
    if "\0" in text:
        raise Invalid("file", "The file is not what its name says: save it again as .xlsx or as .csv.")
    head = text.lstrip("\r\n").partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if head.count(";") > head.count(",") else ",")
    try:
        before = 0
        for texts in reader:
            yield before + 1, texts
            before = reader.line_num
    except csv.Error:
        raise Invalid("file", "Line %(line)s of the file cannot be read.", line=reader.line_num) from None


def _workbook(content: bytes, lines_max: int) -> Iterator[tuple[int, list[str]]]:
    unreadable = Invalid("file", "The file cannot be read: open it in a spreadsheet program and save it again as .xlsx.")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            if "xl/workbook.xml" not in packed.namelist():
                raise Invalid("file", "The file is not what its name says: save it again as .xlsx or as .csv.")
            if sum(part.file_size for part in packed.infolist()) > UNPACKED_MAX:  # more than it says is never unpacked
                raise Invalid("file", "The file is too large when it is unpacked: split it.")
            for part in packed.infolist():
                with packed.open(part) as opened:
                    if b"<!DOCTYPE" in opened.read(2000):
                        raise unreadable
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=False, keep_links=False)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # what the file says of its size may be wrong
        rows = sheet.iter_rows(max_row=2 * lines_max + 2, max_col=COLUMNS_MAX + 1)
        for number, row in enumerate(rows, 1):
            yield number, _texts(number, row)
        book.close()
    except Invalid:
        raise
    except Exception as error:  # whatever a broken file does to the reader
        raise unreadable from error


def _texts(number: int, row: Iterable[Any]) -> list[str]:
    texts = []
    for cell in row:
        if cell.data_type == "f":
            raise Invalid("file", "Line %(line)s of the file holds a formula: put its value there instead.", line=number)
        texts.append(_text(cell.value))
    while texts and not texts[-1].strip():
        texts.pop()
    return texts


def _text(value: Any) -> str:
    """A cell as a person would have typed it: dates as YYYY-MM-DD, whole numbers without a point."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time.min else value.isoformat(sep=" ")
    return value.isoformat() if isinstance(value, date) else str(value)
