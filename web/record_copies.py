"""The record to take along, the same for both sides: as FHIR, as C-CDA, on paper."""

from collections.abc import Callable
from io import BytesIO

from flask import Response, send_file

from practice import ccda_export, fhir_export
from practice.access_log import PRINT
from practice.errors import NotVisible
from practice.exports import Format, Whole, take, whole_of
from web.answers import Answer
from web.facts import printed_facts, record_word, standing_word
from web.gate import visitor
from web.record_imports import RecordDesk

WRITERS: dict[Format, tuple[str, Callable[[Whole], bytes]]] = {
    Format.FHIR: (".json", fhir_export.written),
    Format.CCDA: (".xml", ccda_export.written),
}


def show_copies(desk: RecordDesk) -> Answer:
    return desk.page("copies")


def take_copy(desk: RecordDesk, kind: str) -> Response:
    """The file: to be saved, never to be run (headers.py adds nosniff and a sandbox). No name stands in its name."""
    if kind not in WRITERS:
        raise NotVisible
    ending, written = WRITERS[Format(kind)]
    whole = take(desk.patient, Format(kind), by=visitor().actor)
    name = f"medical-record-{whole.day(whole.at)}{ending}"
    content = BytesIO(written(whole))
    return send_file(content, mimetype="application/octet-stream", as_attachment=True, download_name=name)


def print_record(desk: RecordDesk) -> Answer:
    desk.note_view(PRINT)
    whole = whole_of(desk.patient)
    requests = [printed_facts(asked) for asked in whole.amendments]
    return desk.page(
        "record_print", whole=whole, record=whole.record, requests=requests, word=record_word, standing=standing_word
    )
