"""Spreadsheets to take away: every cell is text, so that no name or title can be a formula (security A50)."""

import csv
import io
from collections.abc import Iterable
from typing import Any

from flask import Response
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CELL_MAX = 32_767  # what Excel takes
DANGEROUS = ("=", "+", "-", "@", "\t", "\r")


def xlsx(head: Iterable[Any], rows: Iterable[Iterable[Any]], *, name: str) -> Response:
    """A download `name`.xlsx (`name`: ours, ASCII) of a head and rows; None is an empty cell."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    for row in (head, *rows):
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
    for row in (head, *rows):
        texts = ["" if value is None else str(value) for value in row]
        writer.writerow(["'" + text if text.startswith(DANGEROUS) else text for text in texts])
    return _download(content.getvalue().encode("utf-8-sig"), "text/csv; charset=utf-8", f"{name}.csv")


def _download(content: bytes, media_type: str, file_name: str) -> Response:
    return Response(content, mimetype=media_type, headers={"Content-Disposition": f'attachment; filename="{file_name}"'})
