"""The staff side's views."""

from typing import Any

import sqlalchemy as sa

from practice import conversations
from practice.bulk import Act, act_on_many
from practice.canned_replies import add_canned_reply
from practice.db import db, new_key
from practice.threads import Message, Thread, last_message_id
from tests.examples.portal import brought, denied, document, file, file_of_draft, files, log_in, message_key, new_email, password


def nothing(cast: Any) -> dict[str, Any]:
    return {}


def _thread(cast: Any, data: dict[str, str] | None = None) -> dict[str, Any]:
    """A thread of Sam's and Fay's; Nina, Dan and the admin do not have it."""
    key = cast.send(cast.sophie, "Appointment")
    others = [(who, {"key": key}) for who in (cast.nina, cast.dan, cast.ada)]
    return {"own": {"key": key}, "player": cast.sam, "others": others, "data": data or {"version": str(cast.thread(key).version)}}


def _batch(cast: Any) -> dict[str, Any]:
    """Sam's: nobody else's, not even of those who have the thread."""
    made = _thread(cast)
    key = act_on_many(Act.CLOSE, [(made["own"]["key"], cast.thread(made["own"]["key"]).version)], by=cast.sam.actor)
    own = {"key": key}
    return {"own": own, "player": cast.sam, "others": [(who, own) for who in (cast.fay, cast.nina, cast.ada)]}


def _with(made: dict[str, Any], **more: str) -> dict[str, Any]:
    return made | {"data": made["data"] | more}


def _answered(cast: Any) -> dict[str, Any]:
    made = _thread(cast)
    key = made["own"]["key"]
    cast.answer(cast.sam, key)
    return made | {"data": {"version": str(cast.thread(key).version)}}


def _being_sent(cast: Any) -> dict[str, Any]:
    """Here it has arrived at once: too late. Colleagues of the author find no answer of theirs."""
    made = _answered(cast)
    named = made["own"]["key"]
    message = db.session.scalars(sa.select(Message.key).join(Thread).where(Thread.key == named, ~Message.is_from_patient)).one()
    own = {"key": named, "message": message}
    others = [(who, own) for who in (cast.fay, cast.nina, cast.dan, cast.ada)]
    return {"own": own, "player": cast.sam, "others": others, "expected": 409}


def _claimed(cast: Any) -> dict[str, Any]:
    made = _thread(cast)
    key = made["own"]["key"]
    if cast.thread(key).claimed_by_id is None:
        conversations.claim(key, version=cast.thread(key).version, by=cast.sam.actor)
    return made | {"data": {"version": str(cast.thread(key).version)}}


def _reply(cast: Any) -> dict[str, Any]:
    return _thread(cast, {"key": new_key(), "seen": "0", "body": "Hello"})


def _step(cast: Any) -> dict[str, Any]:
    """Declining: the first thread without words of another kind."""
    made = _thread(cast)
    key = made["own"]["key"]
    data = {"key": new_key(), "seen": str(last_message_id(db.session, cast.thread(key).id)), "note": "Full"}
    others = [(who, own | {"step": "decline"}) for who, own in made["others"]]
    return made | {"own": {"key": key, "step": "decline"}, "others": others, "data": data}


def _letter(cast: Any) -> dict[str, Any]:
    key = denied(cast)
    own = {"key": key, "message": message_key(cast, key)}
    return {"own": own, "player": cast.rita, "others": [(who, own) for who in (cast.sam, cast.nina, cast.dan, cast.ada)]}


def _note(cast: Any) -> dict[str, Any]:
    return _thread(cast, {"key": new_key(), "body": "Hello", "mentions": cast.fay.key})


def _canned(cast: Any) -> dict[str, Any]:
    """One for the Scheduler, Sam's and Fay's, and one of Sam's own."""
    sams, schedulers = new_key(), new_key()
    for key, of in ((sams, None), (schedulers, cast.communicator("Scheduler"))):
        add_canned_reply(title="A", body="B", communicator=of, form_key=key, by=cast.sam.actor)
    others = [(who, {"key": schedulers}) for who in (cast.nina, cast.dan, cast.ada)] + [(cast.fay, {"key": sams})]
    data = {"key": new_key(), "title": "C", "body": "D", "version": "1"}
    return {"own": {"key": schedulers}, "player": cast.fay, "others": others, "data": data}


def _insert(cast: Any) -> dict[str, Any]:
    made = _thread(cast)
    canned = _canned(cast)["own"]["key"]
    return made | {"data": {"key": new_key(), "seen": "0", "body": "Hello", "canned": canned}}


def _new(cast: Any) -> dict[str, Any]:
    data = {
        "key": new_key(),
        "patient": cast.sophie.key,
        "title": "A",
        "body": "B",
        "communicator": cast.communicator("Scheduler"),
    }
    return {"player": cast.sam, "data": data}


def _taken(cast: Any) -> dict[str, Any]:
    to = cast.communicator("Clinicians")
    data = {"key": new_key(), "patient": cast.sophie.key, "type": "Others", "title": "A", "body": "B", "to": to}
    return {"player": cast.sam, "data": data}


def _draft(cast: Any) -> tuple[Any, ...]:
    return cast.sam, "/staff/messages/new", "staff"


def _file(cast: Any) -> dict[str, Any]:
    """Of a message to the Clinicians."""
    own = file(cast)["own"]
    return {"own": own, "player": cast.nina, "others": [(who, own) for who in (cast.sam, cast.dan, cast.ada)]}


def _record(cast: Any, made: dict[str, Any]) -> dict[str, Any]:
    """Rita's, who is in charge of amendments; nobody's who is not."""
    own = {"patient": cast.sophie.key} | made.get("own", {})
    return made | {"own": own, "player": cast.rita, "others": [(who, own) for who in (cast.sam, cast.dan, cast.ada)]}


def _brought(cast: Any) -> dict[str, Any]:
    return _record(cast, brought(cast, cast.rita))


EXAMPLES = {
    "staff.records": lambda cast: {"player": cast.rita},
    "staff.find_record": lambda cast: {"player": cast.rita, "data": {"name": "KWON"}},
    "staff.documents": lambda cast: _record(cast, {"data": brought(cast, cast.rita)["data"]}),
    "staff.bring_document": lambda cast: _record(cast, document(cast)),
    "staff.document": _brought,
    "staff.save_document": _brought,
    "staff.discard_document": _brought,
    "staff.document_file": _brought,
    "staff.copies": lambda cast: _record(cast, {}),
    "staff.take_copy": lambda cast: _record(cast, {"own": {"kind": "ccda"}}),
    "staff.print_record": lambda cast: _record(cast, {}),
    "staff.draft_files": lambda cast: files(cast, *_draft(cast)),
    "staff.attach": lambda cast: files(cast, *_draft(cast)),
    "staff.detach": lambda cast: file_of_draft(cast, *_draft(cast)),
    "staff.draft_file": lambda cast: file_of_draft(cast, *_draft(cast)),
    "staff.file": _file,
    "staff.inbox": nothing,
    "staff.sent_items": nothing,
    "staff.search": lambda cast: {"data": {"last_name": "KWON"}},
    "staff.message": _thread,
    "staff.next_message": _thread,
    "staff.news": nothing,
    "staff.keyboard": nothing,
    "staff.change_shortcuts": lambda cast: {"data": {"uses_shortcuts": "y"}},
    "staff.act_on_many": lambda cast: {"data": {"did": "receive", "tick": f"{cast.send(cast.sophie, 'Appointment')}.1"}},
    "staff.undo_many": _batch,
    "staff.be_present": _thread,
    "staff.previous_message": _thread,
    "staff.receive": _thread,
    "staff.claim": _thread,
    "staff.release": _claimed,
    "staff.close": _thread,
    "staff.colleagues": _thread,
    "staff.hand_over": lambda cast: _with(_thread(cast), to=cast.fay.key),
    "staff.transfer": _thread,
    "staff.send_transfer": lambda cast: _with(_thread(cast), communicator=cast.communicator("Clinicians"), reason="Hello"),
    "staff.duplicate": _thread,
    "staff.close_as_duplicate": lambda cast: _with(_thread(cast), of=cast.send(cast.sophie, "Appointment")),
    "staff.delete": _answered,
    "staff.restore": _answered,
    "staff.request_step": _step,
    "staff.letter": _letter,
    "staff.take_step": _step,
    "staff.respond": _thread,
    "staff.insert_canned": _insert,
    "staff.canned_replies": nothing,
    "staff.new_canned_reply": nothing,
    "staff.add_canned_reply": lambda cast: {"data": {"key": new_key(), "title": "A", "body": "B"}},
    "staff.canned_reply": _canned,
    "staff.change_canned_reply": _canned,
    "staff.delete_canned_reply": _canned,
    "staff.undo_send": _being_sent,
    "staff.keep_draft": lambda cast: {"own": {"key": new_key()}, "data": {"about": "/staff/messages/new", "body": "B"}},
    "staff.send_reply": lambda cast: _reply(cast) | {"expected": 409},
    "staff.account": nothing,
    "staff.change_account": lambda cast: {"data": {"notices": "daily"}},
    "staff.change_email": lambda cast: new_email(cast, cast.sam),
    "staff.change_password": lambda cast: password(cast, cast.sam),
    "staff.log_ins": nothing,
    "staff.end_log_in": lambda cast: log_in(cast, cast.sam, (cast.fay, cast.ada)),
    "staff.end_other_log_ins": nothing,
    "staff.new_note": _thread,
    "staff.add_note": _note,
    "staff.new_message": nothing,
    "staff.send_message": _new,
    "staff.new_request": nothing,
    "staff.find_caller": lambda cast: {"data": {"name": "KWON"}},
    "staff.take_request": _taken,
    "staff.find_patient": lambda cast: {"data": {"name": "KWON"}},
}
