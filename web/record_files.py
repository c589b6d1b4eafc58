"""`flask read-records`: reads files without saving, and says how it went."""

import json
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import click

from practice.documents import Document, Unreadable
from practice.reading import read_file

ENDINGS = {".xml", ".json", ".ndjson", ".ccda", ".cda", ".ccd"}  # in folders; a file that is named is read whatever its ending


class Read(NamedTuple):
    """How one file went: its document, or the sentence why it is refused."""

    path: Path
    document: Document | None
    refused: str
    ms: float

    @property
    def labels(self) -> int:
        return sum(entry.is_readable for entry in self.document.entries) if self.document else 0

    def as_json(self) -> dict[str, Any]:
        document = self.document
        sections = {section: len(entries) for section, entries in document.sections.items()} if document else {}
        return {
            "file": str(self.path),
            "read": document is not None,
            "refused": self.refused or None,
            "kind": document.kind if document else None,
            "sections": sections,
            "entries": sum(sections.values()),
            "labels": self.labels,
            "unread": [vars(one) for one in document.unread] if document else [],
            "notes": [str(note) for note in document.notes] if document else [],
            "ms": round(self.ms, 1),
        }


def read_one(path: Path) -> Read:
    began = time.perf_counter()
    document, refused = None, ""
    try:
        document = read_file(path)
    except Unreadable as error:
        refused = str(error)
    except OSError as error:
        refused = f"This file cannot be opened: {error.strerror}."
    return Read(path, document, refused, (time.perf_counter() - began) * 1000)


def files_of(paths: Iterable[Path]) -> list[Path]:
    """The files named, and those in the folders named, by their names."""
    found: list[Path] = []
    for path in paths:
        inside = (
            sorted(one for one in path.rglob("*") if one.suffix.lower() in ENDINGS and one.is_file()) if path.is_dir() else [path]
        )
        found += inside
    return found


def line(read: Read) -> str:
    if read.document is None:
        return f"{read.path}: refused, {read.ms:.0f} ms. {read.refused}"
    counts = ", ".join(f"{section} {len(entries)}" for section, entries in read.document.sections.items() if entries)
    more = "".join(f" {note}" for note in read.document.notes)
    return f"{read.path}: read as {read.document.kind}, {read.ms:.0f} ms. {counts}. Unread {len(read.document.unread)}.{more}"


def totals(found: list[Read]) -> dict[str, Any]:
    read = [one for one in found if one.document]
    entries, labels = sum(len(one.document.entries) for one in read if one.document), sum(one.labels for one in read)
    times = [one.ms for one in found] or [0.0]
    return {
        "files": len(found),
        "read": len(read),
        "refused": len(found) - len(read),
        "entries": entries,
        "labels": round(100 * labels / entries, 1) if entries else 100.0,
        "ms_median": round(median(times), 1),
        "ms_worst": round(max(times), 1),
    }


@click.command("read-records")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--json", "as_json", is_flag=True, help="One JSON object for programs.")
def read_records(paths: tuple[Path, ...], as_json: bool) -> None:
    """Read C-CDA and FHIR files, or those of folders, without saving anything: a line each, and totals."""
    found = []
    for path in files_of(paths):
        found.append(read_one(path))
        if not as_json:
            click.echo(line(found[-1]))
    whole = totals(found)
    if as_json:
        click.echo(json.dumps({"files": [one.as_json() for one in found], "totals": whole}, ensure_ascii=False, indent=2))
        return
    click.echo(
        f"{whole['files']} files: {whole['read']} read, {whole['refused']} refused; "
        f"{whole['entries']} entries, {whole['labels']} % with words; "
        f"median {whole['ms_median']} ms, worst {whole['ms_worst']} ms."
    )
