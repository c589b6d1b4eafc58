"""What a file is, by its bytes alone: neither its name nor what a browser says of it counts (OWASP ASVS 5.2).

A table of our own: seven kinds, each with its signature and enough of its structure that a file which is also something else
(a page behind a picture, a program before an image) is none of them. Nothing is decoded: no decoder of pictures or documents
stands between a stranger's bytes and the server.
"""

import codecs
import unicodedata
import zipfile
import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO

NAME_MAX = 120  # code points
HEAD = 4096
PART = 256 * 1024  # read at once
PIXELS_MAX = 64_000_000  # a larger picture is not shown small: a browser would need its whole room to do it


class FileType(StrEnum):
    PDF = "pdf"
    JPEG = "jpeg"
    PNG = "png"
    HEIC = "heic"
    TEXT = "text"
    DOCX = "docx"
    DICOM = "dicom"


ENDINGS: dict[FileType, tuple[str, ...]] = {
    FileType.PDF: (".pdf",),
    FileType.JPEG: (".jpg", ".jpeg"),
    FileType.PNG: (".png",),
    FileType.HEIC: (".heic", ".heif"),
    FileType.TEXT: (".txt", ".text", ".log", ".csv", ".md"),
    FileType.DOCX: (".docx",),
    FileType.DICOM: (".dcm", ".dicom"),
}
"""How names of a kind may end; others get the first one added."""
PICTURES = {FileType.JPEG: "image/jpeg", FileType.PNG: "image/png"}
"""What is shown small."""


@dataclass(frozen=True)
class Content:
    """The kind, and of a picture its width and height as it says them (0 of everything else)."""

    type: FileType
    width: int = 0
    height: int = 0


def content_of(file: BinaryIO, size: int) -> Content | None:
    """What the file is; None for what is not taken."""
    file.seek(0)
    head = file.read(HEAD)
    if head.startswith(b"%PDF-"):
        return Content(FileType.PDF) if _is_pdf(file, head, size) else None
    if head.startswith(b"\xff\xd8\xff"):
        return None if _is_also_a_page(head) or _is_also_a_zip(file) else _jpeg(file, size)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png(file, size)
    if head[4:8] == b"ftyp":
        return Content(FileType.HEIC) if _is_heic(head, size) and not _is_also_a_zip(file) else None
    if head.startswith(b"PK\x03\x04"):
        return Content(FileType.DOCX) if _is_docx(file) else None
    if head[128:132] == b"DICM":
        return Content(FileType.DICOM) if _has_harmless_preamble(head) and not _is_also_a_zip(file) else None
    return Content(FileType.TEXT) if _is_text(file, head) else None


# ---- What may not stand in a file beside what it is ----------------------------------------------

_PAGE = (b"<!doctype", b"<html", b"<head", b"<body", b"<script", b"<svg", b"<iframe", b"<?php")
_SNIFFED = 1445  # bytes that browsers look at (WHATWG MIME Sniffing)


def _is_also_a_page(head: bytes) -> bool:
    lower = head[:_SNIFFED].lower()
    return any(mark in lower for mark in _PAGE)


def _is_also_a_zip(file: BinaryIO) -> bool:
    """An archive is read from its end, so one may stand behind anything."""
    file.seek(0)
    return zipfile.is_zipfile(file)


def _is_pdf(file: BinaryIO, head: bytes, size: int) -> bool:
    file.seek(max(0, size - 2048))
    return b"%%EOF" in file.read(2048) and not _is_also_a_page(head) and not _is_also_a_zip(file)


# ---- Pictures ------------------------------------------------------------------------------------

_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # start of a frame: holds the size


def _jpeg(file: BinaryIO, size: int) -> Content | None:
    """Walks the segments up to the picture itself. What cameras put behind its end (a preview, a moving part) may stay."""
    at, found = 2, None
    while at < size:
        file.seek(at)
        mark = file.read(4)
        if len(mark) < 4 or mark[0] != 0xFF:
            return None
        if mark[1] == 0xFF:  # a filling byte
            at += 1
            continue
        length = int.from_bytes(mark[2:4], "big")
        if length < 2:
            return None
        if mark[1] in _FRAMES:
            frame = file.read(5)
            height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
            if len(frame) < 5 or not width or not height:
                return None
            found = Content(FileType.JPEG, width, height)
        if mark[1] == 0xDA:  # from here on the picture
            return found if found and _ends(file, at + 2 + length) else None
        at += 2 + length
    return None


def _ends(file: BinaryIO, at: int) -> bool:
    """Whether the end of the picture comes."""
    file.seek(at)
    before = b""
    while part := file.read(PART):
        if b"\xff\xd9" in before + part:
            return True
        before = part[-1:]
    return False


def _png(file: BinaryIO, size: int) -> Content | None:
    """Walks all parts: the first says the size, the last ends the file."""
    at, found = 8, None
    while at + 12 <= size:
        file.seek(at)
        head = file.read(8)
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if length > size - at - 12 or not kind.isalpha():
            return None
        if found is None:
            if kind != b"IHDR" or length != 13:
                return None
            ihdr, check = file.read(13), file.read(4)
            width, height = int.from_bytes(ihdr[:4], "big"), int.from_bytes(ihdr[4:8], "big")
            if not width or not height or zlib.crc32(kind + ihdr) != int.from_bytes(check, "big"):
                return None
            found = Content(FileType.PNG, width, height)
        at += 12 + length
        if kind == b"IEND":
            return found if at == size else None
    return None


_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}


def _is_heic(head: bytes, size: int) -> bool:
    """ISO/IEC 23008-12: the brands say what is inside; `mif1` alone may be something else."""
    length = int.from_bytes(head[:4], "big")
    if not 16 <= length <= min(size, 1024) or length % 4:
        return False
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, length, 4))}
    return head[8:12] in _HEIC | {b"mif1", b"msf1"} and bool(brands & _HEIC)


# ---- Documents -----------------------------------------------------------------------------------

_PARTS_MAX, _TYPES_MAX = 5000, 1024 * 1024


def _is_docx(file: BinaryIO) -> bool:
    """A Word document without macros. Only the list of its parts and their types are read, to a limit."""
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
            names = {part.filename.lower() for part in parts}
            if len(parts) > _PARTS_MAX or not {"[content_types].xml", "word/document.xml"} <= names:
                return False
            if any(part.flag_bits & 1 for part in parts) or any("vbaproject" in name or "\\" in name for name in names):
                return False
            if min(part.header_offset for part in parts) != 0:  # something stands before the archive
                return False
            with archive.open("[Content_Types].xml") as types:
                said = types.read(_TYPES_MAX + 1).lower()
            return len(said) <= _TYPES_MAX and b"macroenabled" not in said and b"wordprocessingml.document.main" in said
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, ValueError, EOFError, OSError, zlib.error):
        return False


def _has_harmless_preamble(head: bytes) -> bool:
    """DICOM PS3.10: 128 bytes that mean nothing, or begin a TIFF. Programs have hidden there (CVE-2019-11687)."""
    preamble = head[:128]
    return not preamble.strip(b"\0") or preamble[:4] in (b"II*\0", b"MM\0*")


# ---- Text ----------------------------------------------------------------------------------------

_BLANKS = "\t\n\f\r "
_CONTROLS = dict.fromkeys((*range(9), 0x0B, *range(0x0E, 0x20), 0x7F))


def _is_text(file: BinaryIO, head: bytes) -> bool:
    """UTF-8 that shows as text, and that nothing would take for a page, a document or a script."""
    first = head.removeprefix(codecs.BOM_UTF8).lstrip(_BLANKS.encode())
    if not first or (first[:1] == b"<" and (first[1:2] in b"!?/" or first[1:2].isalpha())):
        return False
    if first.startswith((b"{\\rtf", b"%!", b"%PDF", b"MZ", b"#!")) or _is_also_a_page(head) or _is_also_a_zip(file):
        return False
    decode = codecs.getincrementaldecoder("utf-8")().decode
    file.seek(0)
    try:
        while part := file.read(PART):
            if _has_controls(decode(part)):
                return False
        return not _has_controls(decode(b"", final=True))
    except UnicodeDecodeError:
        return False


def _has_controls(text: str) -> bool:
    return text.translate(_CONTROLS) != text


# ---- Names ---------------------------------------------------------------------------------------

_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}


def clean_name(said: str, endings: tuple[str, ...]) -> str:
    """A name to show and to save under: no folders, nothing invisible or that turns the reading direction, nothing that a
    system takes for something else; at most 120 code points, with one of these endings (the first where it has none)."""
    name = unicodedata.normalize("NFC", said.replace("\\", "/").rsplit("/", 1)[-1])
    name = "".join(c for c in name if unicodedata.category(c)[0] != "C" and unicodedata.category(c) not in ("Zl", "Zp"))
    name = " ".join(name.translate(dict.fromkeys(map(ord, '<>:"|?*'), "_")).split()).strip(". ")
    if name.split(".")[0].strip().lower() in _RESERVED:
        name = f"_{name}"
    stem, dot, ending = name.rpartition(".")
    if f"{dot}{ending}".lower() not in endings or not stem:
        stem, ending = name, endings[0]
    else:
        ending = f"{dot}{ending}"
    return f"{stem[: NAME_MAX - len(ending)].strip('. ') or 'file'}{ending}"
