"""`make records`: how the sample documents are read, into docs/records.md."""

import resource
import sys
from pathlib import Path

from practice.documents import Section
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
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
