"""A conversation to take along: as a page to print, and as a text file."""

from flask import Response, render_template

from portal import blueprint
from portal.coming_back import came_from
from practice.threads import Opened, reference_of, whole_of_patient
from web.facts import facts_of
from web.gate import visitor
from web.letters import letter_of


@blueprint.get("/messages/<key>/print")
def print_message(key: str) -> str:
    return _copy("portal/print.html", whole_of_patient(key, visitor().person_id))


@blueprint.get("/messages/<key>/download")
def download_message(key: str) -> Response:
    """UTF-8 text; only the reference number stands in a header."""
    thread = whole_of_patient(key, visitor().person_id)
    headers = {"Content-Disposition": f'attachment; filename="message-{reference_of(thread.head.id)}.txt"'}
    return Response(_copy("portal/download.txt", thread), headers=headers, mimetype="text/plain")


@blueprint.get("/messages/<key>/letters/<message>")
def letter(key: str, message: str) -> str:
    found = letter_of(whole_of_patient(key, visitor().person_id), message)
    return render_template("portal/letter.html", here="portal.messages", **found)


def _copy(template: str, thread: Opened) -> str:
    reference = reference_of(thread.head.id)
    return render_template(
        template,
        here="portal.messages",
        thread=thread,
        head=thread.head,
        facts=facts_of(thread),
        reference=reference,
        came=came_from(),
    )
