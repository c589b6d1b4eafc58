"""`make records`: how the sample documents are read, and read again from what is written of them, into docs/records.md."""

import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

from practice import ccda_export, fhir_export
from practice.documents import Document, Section
from practice.exports import Whole
from practice.reading import read
from practice.records import Record
from web.record_files import Read, files_of, read_one, totals

PAGE = Path(__file__).parent.parent / "docs" / "records.md"
SHORT = {section: section.split()[0].replace("Information", "") for section in Section}
FOLDERS = ("ccda", "ccda-bad", "fhir")


def main(folder: Path) -> None:
    files = files_of(folder / one for one in FOLDERS if (folder / one).is_dir())
    if not files:
        sys.exit(f"No documents in {folder}: docs/records.md is left alone. RECORDS= names the folder with {', '.join(FOLDERS)}.")
    for path in files[:3]:
        read_one(path)  # warm
    found = [min((read_one(path) for _ in range(3)), key=lambda one: one.ms) for path in files]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kB on Linux
    PAGE.write_text(page(found, folder, memory), encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))


def page(found: list[Read], folder: Path, memory: float) -> str:
    whole = totals(found)
    lines = [
        "# How documents are read",
        "",
        "Made by `make records`; the best of three readings of a file. *Labels* are entries whose name is words, no bare code.",
        "",
        f"{whole['files']} files: {whole['read']} read, {whole['refused']} refused. "
        f"{whole['entries']} entries, {whole['labels']} % with words. "
        f"Median {whole['ms_median']} ms, worst {whole['ms_worst']} ms. Memory at its highest: {memory:.0f} MB.",
        "",
        "| file | " + " | ".join(SHORT.values()) + " | unread | labels | ms |",
        "|---|" + "---:|" * (len(SHORT) + 3),
    ]
    for one in found:
        name = f"{one.path.parent.name}/{one.path.name}"
        if one.document:
            counts = " | ".join(str(len(entries)) for entries in one.document.sections.values())
            share = 100 * one.labels / max(1, len(one.document.entries))
            lines.append(f"| {name} | {counts} | {len(one.document.unread)} | {share:.0f} % | {one.ms:.1f} |")
    lines += ["", "## Refused, or read with a note", "", "| file | sentence |", "|---|---|"]
    for one in found:
        said = one.refused or " ".join(map(str, one.document.notes if one.document else ()))
        lines += [f"| {one.path.parent.name}/{one.path.name} | {said} |"] if said else []
    lines += [
        "",
        "## Written, and read again",
        "",
        "Labels that a record of nothing but this document has again after an export.",
    ]
    documents = [one.document for one in found if one.document]
    lines += [f"- {name}: {_again(documents, written)}" for name, written in WRITERS.items()]
    return "\n".join(lines) + "\n"


# ---- Written again -------------------------------------------------------------------------------

WRITERS = {"FHIR R4": fhir_export.written, "C-CDA": ccda_export.written}
PRACTICE = SimpleNamespace(name="Practice", phone="", address="", time_zone="UTC")
OF_NO_DOCUMENT = {"note": "", "corrected_at": None, "document_key": None, "document_title": "", "maker": "", "made_on": None}


def _again(documents: list[Document], written: Callable[[Whole], bytes]) -> str:
    said, lost, times, size = 0, 0, [], 0
    for document in documents:
        began = time.perf_counter()
        content = written(_whole(document))
        times.append((time.perf_counter() - began) * 1000)
        before, after = (Counter((one.section, one.name) for one in each.entries) for each in (document, read(content)))
        said, lost, size = said + before.total(), lost + (before - after).total(), max(size, len(content))
    share = f"{said - lost} of {said} ({100 * (said - lost) / max(1, said):.1f} %)"
    return f"{share}; median {median(times):.1f} ms, worst {max(times):.1f} ms, largest file {size // 1024} kB"


def _whole(document: Document) -> Whole:
    """As if the document were all that a record says."""
    sections: dict[Section, list[Any]] = {section: [] for section in Section}
    for n, entry in enumerate(document.entries):
        sections[entry.section].append(SimpleNamespace(**vars(entry), **OF_NO_DOCUMENT, id=n, key=f"value-{n}"))
    patient = document.patient
    person = {"last_name": patient.last or "-", "first_name": patient.first, "dob": patient.dob or date(1970, 1, 1)}
    account = SimpleNamespace(**person, gender="unknown", email="", phone="", record_number=None)
    record = Record(sections, {}, {}, {})
    return Whole(datetime(2026, 1, 1), PRACTICE, "patient", account, record, [], [], {})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
