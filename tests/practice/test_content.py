"""What a file is, by its bytes; what is more than one thing at once is nothing that is taken."""

import io

import pytest

from practice.content import ENDINGS, NAME_MAX, FileType, clean_name, content_of
from tests.samples import TAKEN, TEXT, TYPES, dicom, docx, heic, jpeg, part, pdf, png


def kind(content):
    found = content_of(io.BytesIO(content), len(content))
    return found.type if found else None


@pytest.mark.parametrize("name", TAKEN)
def test_each_kind_is_known_by_its_content(name):
    assert kind(TAKEN[name]) == FileType(name)


@pytest.mark.parametrize("name", TAKEN)
def test_a_file_that_was_cut_is_refused_or_plain(name):
    """Whatever is taken of a cut file can be read: only what has no end of its own."""
    content = TAKEN[name]
    if name not in ("text", "heic", "dicom"):
        assert all(kind(content[:end]) is None for end in range(8, len(content) - 1))


def test_pictures_say_their_size():
    assert content_of(io.BytesIO(png(640, 480)), len(png(640, 480))).width == 640
    found = content_of(io.BytesIO(jpeg(640, 480)), len(jpeg(640, 480)))
    assert (found.width, found.height) == (640, 480)


ZIP = docx()
PAGE = b"<!DOCTYPE html><script>alert(1)</script>"
REFUSED = {
    "page": PAGE,
    "page after blanks": b"\xef\xbb\xbf \n\t<HTML>",
    "page with a comment": b"<!-- x --><script>",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "svg with a heading": b'<?xml version="1.0"?><svg/>',
    "xml": b"<feed/>",
    "xml in UTF-16": "<?xml version='1.0'?><a/>".encode("utf-16"),
    "php": b"<?php system($_GET['c']);",
    "php behind words": b"Hello\n<?php system($_GET['c']);",
    "script behind words": b"Hello <script>alert(1)</script>",
    "shell script": b"#!/bin/sh\nrm -rf /\n",
    "rtf": b"{\\rtf1 \\object}",
    "postscript": b"%!PS-Adobe",
    "program": b"MZ\x90\0\x03",
    "elf": b"\x7fELF\x02\x01",
    "gif": b"GIF89a\x01\0\x01\0",
    "webp": b"RIFF\x24\0\0\0WEBPVP8 ",
    "bmp": b"BM\x3a\0\0\0",
    "zeros": b"\0" * 500,
    "blanks": b" \n\t ",
    "latin-1": "Müller".encode("latin-1"),
    "text with a NUL": b"Hello\0there",
    "text with an escape": b"Hello \x1b[31mthere",
    "text cut in a letter": "ü".encode()[:1],
    "text with a NUL far behind": b"a" * 600_000 + b"\0",
    "text with an archive": TEXT + ZIP,
    "mp4": heic(b"isom", (b"mp41",)),
    "avif": heic(b"avif", (b"mif1", b"avif")),
    "heic by the brand of another": heic(b"isom", (b"heic",)),
    "heic without room for brands": b"\0\0\0\x08ftypheic",
    "pdf behind a page": PAGE + pdf(),
    "pdf with a page": pdf(PAGE),
    "pdf with an archive behind": pdf() + ZIP,
    "pdf without an end": pdf()[:-8],
    "jpeg with a page": jpeg(comment=PAGE),
    "jpeg with an archive behind": jpeg(behind=ZIP),
    "jpeg of nothing": jpeg(0, 0),
    "jpeg by three bytes": b"\xff\xd8\xff\xe0" + PAGE,
    "png with a page behind": png() + PAGE,
    "png with an archive behind": png() + ZIP,
    "png of nothing": png(0, 0),
    "png with a lie": png()[:20] + b"\xff" + png()[21:],
    "png by its signature": b"\x89PNG\r\n\x1a\n" + PAGE,
    "zip": b"PK\x03\x04" + b"\0" * 40,
    "empty zip": b"PK\x05\x06" + b"\0" * 18,
    "docx with macros": docx(**{"word/vbaProject.bin": "x"}),
    "docm": docx(types=TYPES.replace("document.main", "document.macroEnabled.main")),
    "xlsx": docx(types=TYPES.replace("wordprocessingml.document", "spreadsheetml.sheet")),
    "docx with a way out": docx(**{"..\\x": "x"}),
    "docx of many parts": docx(**{f"p{n}": "" for n in range(5001)}),
    "docx with endless types": docx(types=TYPES + " " * 2_000_000),
    "dicom that is a program": dicom(b"MZ\x90"),
    "dicom that is a page": dicom(PAGE),
    "dicom with an archive behind": dicom() + ZIP,
}


@pytest.mark.parametrize("name", REFUSED)
def test_a36_what_is_something_else_is_refused(name):
    """A36."""
    assert kind(REFUSED[name]) is None


def test_what_is_right_is_not_refused_for_looking_alike():
    assert kind(jpeg(behind=b"\0preview\xff\xd8\xff\xd9")) == FileType.JPEG  # as cameras leave it
    assert kind(png(more=part(b"tEXt", b"Comment\0a < b"))) == FileType.PNG
    assert kind(b"a < b and b > c, 3 <4\n") == FileType.TEXT
    assert kind(b"<3 you are the best") == FileType.TEXT
    assert kind(b"\xef\xbb\xbfHello") == FileType.TEXT
    assert kind("é".encode() * 200_000) == FileType.TEXT  # letters across the parts that are read at once
    assert kind(dicom(b"II*\0")) == FileType.DICOM
    assert kind(heic(b"mif1", (b"heic",))) == FileType.HEIC


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("report.pdf", "report.pdf"),
        ("Report.PDF", "Report.PDF"),
        ("../../etc/passwd", "passwd.pdf"),
        ("C:\\temp\\report.pdf", "report.pdf"),
        ("/", "file.pdf"),
        ("", "file.pdf"),
        ("...", "file.pdf"),
        (".pdf", "pdf.pdf"),
        ("CON", "_CON.pdf"),
        ("con.pdf", "_con.pdf"),
        ("report.html", "report.html.pdf"),
        ("report.pdf.exe", "report.pdf.exe.pdf"),
        ("report.pdf . ", "report.pdf"),
        ("re\r\nport\0.pdf", "report.pdf"),
        ("evil\u202efdp.exe", "evilfdp.exe.pdf"),
        ("re\u200bport.pdf", "report.pdf"),
        ("a\u2028b.pdf", "ab.pdf"),
        ("\ud800.pdf", "pdf.pdf"),
        ('"a"; b=<c>|?*.pdf', "_a_; b=_c____.pdf"),
        ("血圧 手帳.pdf", "血圧 手帳.pdf"),
        ("e\u0301.pdf", "é.pdf"),
    ],
)
def test_a37_a_name_is_cleaned(said, shown):
    """A37."""
    assert clean_name(said, ENDINGS[FileType.PDF]) == shown


def test_a_long_name_keeps_its_ending():
    name = clean_name("x" * 300 + ".pdf", ENDINGS[FileType.PDF])
    assert len(name) == NAME_MAX and name.endswith("x.pdf")
    assert len(clean_name("x" * 300, ENDINGS[FileType.PDF])) == NAME_MAX
