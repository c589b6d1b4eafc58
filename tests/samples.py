"""The smallest files of each kind that is taken, made here, so that no binary stands in the repository."""

import io
import json
import struct
import zipfile
import zlib
from typing import Any


def png(width: int = 3, height: int = 2, more: bytes = b"") -> bytes:
    """A grey picture; `more`: further parts before the end."""
    rows = zlib.compress(b"".join(b"\0" + b"\x80" * width for _ in range(height)))
    header = struct.pack("!IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", rows) + more + part(b"IEND", b"")


def part(kind: bytes, content: bytes) -> bytes:
    return struct.pack("!I", len(content)) + kind + content + struct.pack("!I", zlib.crc32(kind + content))


def jpeg(width: int = 3, height: int = 2, comment: bytes = b"", behind: bytes = b"") -> bytes:
    """Its segments in the right order; the picture in it is none."""
    said = b"\xff\xfe" + struct.pack("!H", len(comment) + 2) + comment if comment else b""
    frame = b"\xff\xc0" + struct.pack("!HBHHB", 11, 8, height, width, 1) + b"\x01\x11\x00"
    scan = b"\xff\xda" + struct.pack("!HB", 8, 1) + b"\x01\x00\x00\x3f\x00"
    return b"\xff\xd8" + b"\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0" + said + frame + scan + b"\x12\x34\xff\xd9" + behind


def pdf(inside: bytes = b"") -> bytes:
    return b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\n" + inside + b"\ntrailer<</Root 1 0 R>>\n%%EOF\n"


def heic(brand: bytes = b"heic", others: tuple[bytes, ...] = (b"mif1", b"heic")) -> bytes:
    brands = brand + b"\0\0\0\0" + b"".join(others)
    return struct.pack("!I", len(brands) + 8) + b"ftyp" + brands + b"\0\0\0\x08mdat"


DOCUMENT = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
TYPES = f'<Types><Override ContentType="{DOCUMENT}"/></Types>'


def docx(types: str = TYPES, **parts: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in ({"[Content_Types].xml": types, "word/document.xml": "<w:document/>"} | parts).items():
            archive.writestr(name, text)
    return file.getvalue()


def dicom(preamble: bytes = b"") -> bytes:
    return preamble.ljust(128, b"\0") + b"DICM\x02\0\0\0UL\x04\0\0\0\0\0"


def fhir(*values: dict[str, Any], last: str = "KWON", first: str = "SOPHIE", dob: str = "1978-02-24", **more: Any) -> bytes:
    """A bundle of a patient and of what is said of them; `more`: of the composition that heads it."""
    patient = {"resourceType": "Patient", "name": [{"family": last, "given": [first]}], "birthDate": dob}
    head = {"resourceType": "Composition", "title": "A question", "date": "2025-06-01", "author": {"display": "Help desk"}} | more
    resources = [{"resource": one} for one in (head, patient, *values)]
    return json.dumps({"resourceType": "Bundle", "type": "document", "entry": resources}).encode()


def measured(name: str = "Height", value: float = 165, unit: str = "cm", on: str = "2025-03-04", **more: Any) -> dict[str, Any]:
    """A vital sign, as FHIR says it."""
    said = {"code": {"text": name}, "category": [{"coding": [{"code": "vital-signs"}]}], "effectiveDateTime": on}
    return {"resourceType": "Observation", "valueQuantity": {"value": value, "unit": unit}} | said | more


TEXT = "Blood pressure 128/82, 血圧.\r\n\tTaken at home.\n".encode()

TAKEN = {"png": png(), "jpeg": jpeg(), "pdf": pdf(), "heic": heic(), "text": TEXT, "docx": docx(), "dicom": dicom()}
