"""Example data for the patient's views."""

from datetime import time, timedelta
from functools import partial
from io import BytesIO
from typing import Any

import sqlalchemy as sa

from practice import amendments
from practice.appointments import ProposedTime, Slot, confirm, propose
from practice.attachments import attach
from practice.db import COMMAND, db, new_key, now, transaction
from practice.demo import PASSWORD
from practice.drafts import page_of_draft, save_draft
from practice.files import Attachment, files_of_draft
from practice.own_account import key_of
from practice.people import Person, hash_password
from practice.record_imports import bring, document_of, plan_of
from practice.requests import Letter
from practice.sessions import LoginSession, open_session
from practice.settings import the_practice
from practice.setup import save_logo
from practice.threads import Message, Thread, last_message_id
from tests.examples.admin_practice import PICTURE, File
from tests.samples import fhir, measured


def nothing(cast: Any) -> dict[str, Any]:
    return {}


def in_days(days: int) -> str:
    return (now() + timedelta(days=days)).date().isoformat()


def appointment(cast: Any) -> dict[str, Any]:
    data = {"facility": cast.linden, "first_day": in_days(3), "last_day": in_days(9), "reason": "Check-up of my knee"}
    return {"data": data | {"key": "k1", "reviewed": "yes"}, "player": cast.sophie}


def result(cast: Any) -> dict[str, Any]:
    data = {"media": "CD with Images", "hand_over": "Pick up", "location": cast.oak, "all_studies": "Yes"}
    return {"data": data | {"key": "k1", "reviewed": "yes"}, "player": cast.sophie}


def new_message(cast: Any) -> dict[str, Any]:
    data = {"to": cast.communicator("Clinicians"), "title": "Refill", "body": "Of my inhaler, please", "key": "k1"}
    return {"data": data, "player": cast.sophie}


def message(cast: Any) -> dict[str, Any]:
    key = cast.send(cast.sophie, "Others", to="Clinicians")
    others = [(cast.jihae, {"key": key}), (cast.hugo, {"key": key})]
    return {"own": {"key": key}, "player": cast.sophie, "others": others}


def cancellation(cast: Any) -> dict[str, Any]:
    cast.sophie.post("/appointments/new", appointment(cast)["data"])
    db.session.close()
    key = db.session.scalars(sa.select(Thread.key).order_by(Thread.id.desc())).first()
    others = [(cast.jihae, {"key": key}), (cast.hugo, {"key": key})]
    return {"own": {"key": key}, "player": cast.sophie, "others": others, "data": {"key": "k2", "state": "requested"}}


def proposed(cast: Any) -> dict[str, Any]:
    made = cancellation(cast)
    key = made["own"]["key"]
    day = now().date() + timedelta(days=7)
    slots = [Slot(day, time(hour), 30, "Room 4") for hour in (10, 11)]
    thread = cast.thread(key)
    letter = Letter("Pick one", new_key(), last_message_id(db.session, thread.id))
    propose(key, slots, letter=letter, by=cast.sam.actor)
    db.session.close()
    time_key = db.session.scalars(sa.select(ProposedTime.key).order_by(ProposedTime.id.desc())).first()
    return made | {"data": {"key": new_key(), "time": time_key}}


def confirmed(cast: Any) -> dict[str, Any]:
    made = cancellation(cast)
    key = made["own"]["key"]
    slot = Slot(now().date() + timedelta(days=7), time(10), 30, "Room 4")
    letter = Letter("Come", new_key(), last_message_id(db.session, cast.thread(key).id))
    confirm(key, slot, letter=letter, by=cast.sam.actor)
    return made


def kept_draft(cast: Any) -> dict[str, Any]:
    cast.sophie.post("/drafts/k9", {"about": "/messages/new", "draft_version": "0", "body": "Begun"})
    others = [(cast.jihae, {"key": "k9"}), (cast.hugo, {"key": "k9"})]
    return {"own": {"key": "k9"}, "player": cast.sophie, "others": others}


def draft(cast: Any) -> dict[str, Any]:
    """Whoever saves under a key of somebody else has a draft of their own."""
    data = {"about": "/messages/new", "draft_version": "0", "body": "Begun"}
    return {"own": {"key": "k9"}, "player": cast.sophie, "data": data}


def files(cast: Any, whose: Any = None, about: str = "/messages/new", side: str = "") -> dict[str, Any]:
    """A draft with a file; nobody else sees either."""
    who = whose or cast.sophie
    if not page_of_draft(who.id, "k7"):
        save_draft(who.id, key="k7", about=about, values={"body": ["Begun"]}, by=who.actor)
    if not files_of_draft(who.id, "k7"):
        db.session.close()
        attach(who.id, draft="k7", name="a.txt", stream=BytesIO(b"Hello"), may_be_dicom=False, by=who.actor)
    db.session.close()
    others = [(one, {"key": "k7"}) for one in ((cast.fay, cast.ada) if side else (cast.jihae, cast.hugo))]
    data = {"file": (File(b"Hello again"), "b.txt")}
    return {"own": {"key": "k7"}, "player": who, "others": others, "data": data}


def file_of_draft(cast: Any, *how: Any) -> dict[str, Any]:
    made = files(cast, *how)
    own = {"key": "k7", "file": files_of_draft(made["player"].id, "k7")[0].key}
    return made | {"own": own, "others": [(one, own) for one, _ in made["others"]], "data": {}}


def file(cast: Any) -> dict[str, Any]:
    """Sent to the Clinicians."""
    files(cast)
    key = cast.send(cast.sophie, "Others", to="Clinicians", form_key="k7")
    own = {"key": key, "file": db.session.scalars(sa.select(Attachment.key)).one()}
    return {"own": own, "player": cast.sophie, "others": [(one, own) for one in (cast.jihae, cast.hugo)]}


def deletion(cast: Any) -> dict[str, Any]:
    return message(cast) | {"data": {}}


def search(cast: Any) -> dict[str, Any]:
    return {"data": {"words": "inhaler"}, "player": cast.sophie}


def password(cast: Any, whose: Any = None) -> dict[str, Any]:
    who = whose or cast.sophie
    new = "three plums on a roof"
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        tx.session.get_one(Person, who.id).password_hash = hash_password(PASSWORD)
    return {"data": {"present": PASSWORD, "password": new, "password_again": new, "key": "k1"}, "player": who}


def new_email(cast: Any, whose: Any = None) -> dict[str, Any]:
    made = password(cast, whose)
    return made | {"data": {"present": PASSWORD, "email": "elsewhere@test.example", "key": "k1"}}


def mails(cast: Any) -> dict[str, Any]:
    return {"data": {"notices": "daily"}, "player": cast.sophie}


def log_in(cast: Any, whose: Any = None, others: Any = ()) -> dict[str, Any]:
    """Another session of the same person; nobody else has it."""
    who = whose or cast.sophie
    open_session(db.session.get_one(Person, who.id), by=who.actor, device="Firefox on Windows")
    newest = sa.select(LoginSession).where(LoginSession.person_id == who.id).order_by(LoginSession.id.desc())
    key = key_of(db.session.scalars(newest).first())
    return {"own": {"key": key}, "player": who, "others": [(one, {"key": key}) for one in others or (cast.jihae, cast.hugo)]}


def reply(cast: Any) -> dict[str, Any]:
    return message(cast) | {"data": {"body": "One thing more", "key": "k1"}}


def amendment(cast: Any) -> dict[str, Any]:
    key = cast.value_of(cast.sophie)
    return {
        "own": {"key": key},
        "player": cast.sophie,
        "others": [(cast.jihae, {"key": key}), (cast.hugo, {"key": key})],
        "data": {"to": "167 cm", "memo": "Measured at home", "key": "k1"},
    }


def brought(cast: Any, whose: Any = None) -> dict[str, Any]:
    """A document for Sophie's record that is not saved: of whoever brought it alone."""
    who = whose or cast.sophie
    key = bring(cast.sophie.id, name="a@test.json", stream=BytesIO(fhir(measured(value=170))), form_key=new_key(), by=who.actor)
    db.session.close()
    seen = plan_of(document_of(key, patient=cast.sophie.id, by=who.actor)).seen
    db.session.close()
    others = [(one, {"key": key}) for one in (cast.jihae, cast.hugo)]
    return {"own": {"key": key}, "player": who, "others": others, "data": {"seen": seen}}


def document(cast: Any) -> dict[str, Any]:
    return {"player": cast.sophie, "data": {"file": (File(fhir(measured(value=171))), "b@test.json"), "key": new_key()}}


def disagreement(cast: Any) -> dict[str, Any]:
    key = denied(cast)
    return {
        "own": {"key": key},
        "player": cast.sophie,
        "others": [(cast.jihae, {"key": key}), (cast.hugo, {"key": key})],
        "data": {"statement": "I was measured twice", "key": "k1"},
    }


def denied(cast: Any) -> str:
    """An amendment of Sophie's that Rita has denied."""
    key = cast.send(cast.sophie, "Amendment")
    for step in (amendments.review, partial(amendments.deny, ground=amendments.Ground.CORRECT, because="Hives")):
        db.session.close()
        letter = Letter("Hello", new_key(), last_message_id(db.session, cast.thread(key).id))
        step(key, letter=letter, by=cast.rita.actor)
    db.session.close()
    return key


def letter(cast: Any) -> dict[str, Any]:
    key = denied(cast)
    own = {"key": key, "message": message_key(cast, key)}
    return {"own": own, "player": cast.sophie, "others": [(cast.jihae, own), (cast.hugo, own)]}


def message_key(cast: Any, key: str) -> str:
    """Of the newest message of a thread."""
    newest = db.session.get_one(Message, last_message_id(db.session, cast.thread(key).id))
    return newest.key


def logo(cast: Any) -> dict[str, Any]:
    if not the_practice().logo_key:
        save_logo(PICTURE, by=COMMAND)
    db.session.close()
    nobody, somebody = {"key": "x" * 22}, {"key": the_practice().logo_key}
    return {"own": somebody, "others": [(cast.anonymous, nobody), (cast.sophie, nobody)]}


def copy(cast: Any) -> dict[str, Any]:
    """Whose record it is, the session says: there is no address of another's."""
    return {"player": cast.sophie}


EXAMPLES = {
    "portal.account": nothing,
    "logo.picture": logo,
    "portal.home": nothing,
    "portal.appointments": nothing,
    "portal.request_appointment": appointment,
    "portal.results": nothing,
    "portal.request_result": result,
    "portal.messages": nothing,
    "portal.sent": nothing,
    "portal.new_message": new_message,
    "portal.message": message,
    "portal.reply": reply,
    "portal.cancel_request": cancellation,
    "portal.pick_time": proposed,
    "portal.calendar_file": confirmed,
    "portal.drafts": nothing,
    "portal.save_draft": draft,
    "portal.delete_draft": kept_draft,
    "portal.draft_files": files,
    "portal.attach": files,
    "portal.detach": file_of_draft,
    "portal.draft_file": file_of_draft,
    "portal.file": file,
    "portal.search_messages": search,
    "portal.delete_message": deletion,
    "portal.undo_delete": deletion,
    "portal.print_message": message,
    "portal.download_message": message,
    "portal.change_email": new_email,
    "portal.change_password": password,
    "portal.mails": mails,
    "portal.log_ins": nothing,
    "portal.end_log_in": log_in,
    "portal.end_other_log_ins": nothing,
    "portal.readers": nothing,
    "portal.my_info": nothing,
    "portal.my_info_section": lambda cast: {"own": {"name": "vitals"}, "player": cast.sophie},
    "portal.documents": lambda cast: {"player": brought(cast)["player"]},
    "portal.bring_document": document,
    "portal.document": brought,
    "portal.save_document": brought,
    "portal.discard_document": brought,
    "portal.document_file": brought,
    "portal.copies": copy,
    "portal.take_copy": lambda cast: copy(cast) | {"own": {"kind": "fhir"}},
    "portal.print_record": copy,
    "portal.record_readers": copy,
    "portal.request_amendment": amendment,
    "portal.disagree": disagreement,
    "portal.letter": letter,
}
