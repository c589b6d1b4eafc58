"""What the audit calls verbs and fields: each verb of practice/ has its words here (a test looks for one without)."""

from functools import lru_cache
from typing import Any

from flask_babel import get_translations

from practice.people import AccountStatus, Gender
from practice.settings import MenuItem
from practice.throttle import ACCOUNT, ADDRESS, PAIR, Guessed
from web.formats import WORD_OF
from web.formats import gettext as _
from web.formats import lazy_gettext as _l

VERBS: dict[str, Any] = {
    # Messages
    "send": _l("sent a message"),
    "reply": _l("wrote again"),
    "start": _l("started a conversation"),
    "answer": _l("answered"),
    "request_appointment": _l("asked for an appointment"),
    "request_result": _l("asked for a result"),
    "request_amendment": _l("asked for an amendment"),
    "recall": _l("took back an answer before it was sent"),
    "receive": _l("marked as received"),
    "close": _l("closed a thread"),
    "remove": _l("removed a thread from the lists"),
    "restore": _l("restored a thread"),
    "reopen": _l("took back the closing of a thread"),
    "take_back": _l("took back a thread that was handed over"),
    "act_on_many": _l("acted on several threads at once"),
    "hand_to": _l("handed a thread on"),
    "add_note": _l("added an internal note"),
    "add_canned_reply": _l("added a canned reply"),
    "change_canned_reply": _l("changed a canned reply"),
    "delete_canned_reply": _l("deleted a canned reply"),
    "read": _l("read a thread"),
    "claim": _l("took over a thread"),
    "entrust": _l("handed a thread over to a colleague"),
    "transfer": _l("transferred a thread to another communicator"),
    "close_as_duplicate": _l("closed a thread as a duplicate"),
    "release": _l("released a thread"),
    "release lost claims": _l("released threads that nobody handles any more"),
    "break_glass": _l("opened a thread with a reason"),
    "try_notices_again": _l("had mails tried again that were not sent"),
    "restore_removed": _l("restored a removed thread"),
    "save_draft": _l("kept a draft"),
    "open_draft": _l("opened a kept draft"),
    "delete_draft": _l("deleted a draft"),
    "attach_file": _l("attached a file"),
    "remove_file": _l("removed an attached file"),
    "scan_file": _l("found something in an attached file and deleted it"),
    "hide": _l("deleted a thread from the own list"),
    "show_again": _l("took a thread back into the own list"),
    "cancel_request": _l("cancelled a request"),
    "pick_time": _l("picked a proposed time"),
    "confirm_appointment": _l("confirmed an appointment"),
    "change_appointment": _l("changed an appointment"),
    "propose_times": _l("proposed times"),
    "take_times_back": _l("took proposed times back"),
    "decline_appointment": _l("declined an appointment"),
    "call_off_appointment": _l("cancelled an appointment"),
    "prepare_result": _l("began to prepare a result"),
    "make_result_ready": _l("made a result ready for pick-up"),
    "hand_out_result": _l("handed a result out"),
    "send_result": _l("sent a result"),
    "decline_result": _l("declined a result request"),
    "call_off_result": _l("cancelled a result request"),
    "review_amendment": _l("began to review an amendment"),
    "ask_about_amendment": _l("asked for information on an amendment"),
    "accept_amendment": _l("accepted an amendment"),
    "accept_amendment_in_part": _l("accepted an amendment in part"),
    "deny_amendment": _l("denied an amendment"),
    "extend_amendment": _l("extended the time to decide on an amendment"),
    "complete_amendment": _l("completed an amendment"),
    "disagree_with_denial": _l("disagreed with the denial of an amendment"),
    "rebut_disagreement": _l("rebutted a statement of disagreement"),
    "bring_document": _l("brought a medical document to look at"),
    "save_document": _l("imported a medical document into a record"),
    "discard_document": _l("discarded a medical document"),
    "view_record": _l("opened a part of a record"),
    "export_record": _l("took a copy of a record"),
    "change_password": _l("changed the own password"),
    "ask_for_reset": _l("asked for a link to choose another password"),
    "make_reset_link": _l("made a link to choose another password"),
    "reset_password": _l("chose another password by a link"),
    "set_up_second_step": _l("set up the second step of the log-in"),
    "renew_recovery_codes": _l("made new recovery codes"),
    "turn_off_second_step": _l("turned the second step of the log-in off"),
    "reset_second_step": _l("reset the second step of somebody's log-in"),
    "ask_for_new_email": _l("asked to change the own e-mail address"),
    "make_new_email_link": _l("made a link that proves an e-mail address"),
    "change_email": _l("changed the own e-mail address by a link"),
    "end_session": _l("ended another session of the own"),
    "change_notices": _l("changed how often mails are wanted"),
    "change_shortcuts": _l("switched the keys of the Message Box on or off"),
    # Who is in charge
    "add_communicator": _l("added a communicator"),
    "save_communicator": _l("changed a communicator"),
    "delete_communicator": _l("deleted a communicator"),
    "handle_everything": _l("took everything in charge"),
    "hand_open_threads": _l("handed open threads on"),
    "replace_staff": _l("replaced somebody by somebody else everywhere"),
    "add_absence": _l("added an absence"),
    "change_absence": _l("changed an absence"),
    "end_absence": _l("ended an absence"),
    # People
    "add_patient": _l("added a patient"),
    "add_staff": _l("added a member of staff"),
    "save_staff": _l("changed a member of staff"),
    "invite": _l("invited somebody"),
    "invite_by_mail": _l("invited somebody by mail"),
    "make_invitation_link": _l("made a link of an invitation"),
    "accept_invitation": _l("accepted an invitation"),
    "register": _l("asked to register"),
    "make_registration_link": _l("made a link of a registration"),
    "register_patient": _l("registered as a patient"),
    "ask_registered": _l("asked a patient who has registered"),
    "refuse_registration": _l("refused a registration"),
    "correct_registration": _l("corrected the own registration"),
    "make_match_code": _l("made a code for a record number"),
    "match_by_code": _l("was matched by a code of the practice"),
    "match_code_wrong": _l("entered a code that is none"),
    "match_patient": _l("matched a patient to a record number"),
    "unmatch_patient": _l("took a patient's record number away"),
    "lock_patient": _l("locked a patient's account"),
    "unlock_patient": _l("unlocked a patient's account"),
    "link_staff": _l("linked a member of staff to a patient's account"),
    "unlink_staff": _l("ended the link of a member of staff to a patient's account"),
    "merge_patients": _l("merged two accounts of one patient"),
    "undo_merge": _l("took a merge back"),
    "begin_import": _l("brought a file to import"),
    "check_import": _l("checked a file to import"),
    "discard_import": _l("discarded a file to import"),
    "import_staff": _l("imported staff"),
    "import_patients": _l("imported patients"),
    "import_account": _l("made an account by an import"),
    "active_staff": _l("enabled a member of staff"),
    "invited_staff": _l("enabled a member of staff who is still invited"),
    "disabled_staff": _l("disabled a member of staff"),
    "locked_staff": _l("locked a member of staff"),
    # The practice
    "save_practice": _l("changed the practice"),
    "save_menu": _l("changed the menu settings"),
    "save_holidays": _l("changed the holidays"),
    "add_closed_day": _l("added a closed day"),
    "save_logo": _l("changed the logo"),
    "remove_logo": _l("removed the logo"),
    # Lists
    "add_entry": _l("added an entry to a short list"),
    "save_entry": _l("changed an entry of a short list"),
    "delete_entry": _l("deleted an entry of a short list"),
    # Log-ins and refusals
    "log_in": _l("logged in"),
    "log_in_failed": _l("could not log in"),
    "give_password": _l("gave the password, before the second step"),
    "pass_second_step": _l("passed the second step of the log-in"),
    "second_step_failed": _l("failed at the second step of the log-in"),
    "log_out": _l("logged out"),
    "reach_limit": _l("failed so often that further tries are refused"),
    "remember": _l("logged in from an address that is now known"),
    "forget_failures": _l("logged in after failed tries"),
    "denied": _l("was refused"),
    # The audit, and what comes by itself
    "export_audit": _l("exported the audit"),
    "export_numbers": _l("exported numbers"),
    "seal the audit": _l("sealed the audit"),
    "log the audit's seal": _l("wrote the seal of the audit into the log"),
    "deliver what waited": _l("delivered what waited"),
    "tell of what is overdue": _l("told staff and admins of what is overdue"),
    "forget ended sessions": _l("deleted sessions that ended"),
    "forget old imports": _l("deleted files that were not imported"),
    "forget documents not saved": _l("deleted medical documents that were not saved"),
    "forget ended links": _l("deleted links that ended"),
    "forget addresses not proven": _l("deleted addresses that were not proven"),
    "forget ended codes": _l("deleted codes that ended"),
    "send what a wrong clock put off": _l("put mails that waited for a wrong clock on their way"),
    "forget sent notices": _l("deleted notices that were sent"),
    "forget dead notices": _l("deleted notices that were given up"),
    "forget old drafts": _l("deleted drafts nobody had opened for a year"),
    "archive_audit": _l("moved old rows of the audit into a file"),
    "sum up the numbers": _l("summed up the numbers of a day"),
    "forget half log-ins": _l("deleted log-ins that stopped before the second step"),
    "encrypt keys anew": _l("encrypted the keys of second steps by the new secret key"),
    "forget failed tries": _l("deleted failed tries to log in that count no more"),
    "forget who was there": _l("deleted signs of who had a thread open"),
    "forget acts on many": _l("deleted the results of acts on several threads"),
    "sweep stored files": _l("deleted files that belong to nothing"),
    "set_up_demo": _l("set up the demo"),
    "set_up_load": _l("set up a measurement"),
}

FIELDS: dict[str, Any] = {
    "added": _l("Added"),
    "address": _l("Address"),
    "before": _l("Before"),
    "after": _l("After"),
    "name": _l("Name"),
    "title": _l("Title"),
    "type": _l("Type"),
    "help": _l("Help for patients"),
    "is": _l("After"),
    "was": _l("Before"),
    "is_in_use": _l("In Use"),
    "list": _l("List"),
    "table": _l("Table"),
    "by": _l("By"),
    "login": _l("ID"),
    "last_name": _l("Last name"),
    "first_name": _l("First name"),
    "email": _l("Email"),
    "level": _l("Level"),
    "group": _l("Group"),
    "specialty": _l("Specialty"),
    "institution": _l("Institution"),
    "department": _l("Department"),
    "is_admin": _l("Admin"),
    "file": _l("File"),
    "guessed": _l("What was tried"),
    "limit": _l("Limit of failures"),
    "keys": _l("Fingerprint of the keys"),
    "sha256": _l("Fingerprint of the file (SHA-256)"),
    "removed": _l("Removed"),
    "notices": _l("Mails"),
    "renamed": _l("Staff changed along"),
    "reason": _l("Reason"),
    "rows": _l("Rows"),
    "status": _l("Status"),
    "staff": _l("The users in charge"),
    "facilities": _l("Facilities"),
    "format": _l("Format"),
    "kind": _l("Kind"),
    "person": _l("Person"),
    "patient": _l("Patient"),
    "about": _l("About"),
    "since": _l("From"),
    "until": _l("To"),
    "did": _l("What"),
    "record_number": _l("Record number"),
    "deputy": _l("Deputy"),
    "starts_at": _l("Begins (UTC)"),
    "ends_at": _l("Ends (UTC)"),
    "removed_at": _l("Removed (UTC)"),
    "to": _l("To whom"),
    "with": _l("With"),
    "threads": _l("Threads"),
    "values": _l("Values of the record"),
    "beside": _l("Values beside a correction"),
    "doubts": _l("Why it may be of somebody else"),
    "communicators": _l("Communicators"),
    "merged": _l("Merged account"),
    "merged_into": _l("Merged into"),
    "parted_from": _l("Parted from"),
    "logo": _l("Logo"),
    "phone": _l("Phone"),
    "hours": _l("Hours"),
    "opening": _l("Opening hours"),
    "emergency_number": _l("Emergency number"),
    "emergency_text": _l("Words beside the emergency number"),
    "emergency_words": _l("Words of an emergency"),
    "time_zone": _l("Time zone"),
    "country": _l("Country"),
    "region": _l("Region"),
    "promise_appointment": _l("Days until an answer: Appointment"),
    "promise_result": _l("Days until an answer: Result"),
    "promise_others": _l("Days until an answer: Others"),
    "amendment_days": _l("Days until a decision: Amendment"),
    "claim_hours": _l("Hours that a claim holds"),
    "escalate_days": _l("Business days until admins are told of what is overdue"),
    "unread_days": _l("Days until an author is told of what stays unread"),
    "meaningful_use": _l("Meaningful Use mode"),
    "second_step": _l("Who has to log in with a second step"),
    "shows_staff_names": _l("Patients see names of staff"),
    "asks_physician": _l("Referring physician is required"),
    "can_register": _l("Patients may register themselves"),
    "dob": _l("Date of birth"),
    "gender": _l("Sex"),
    "words": _l("Words"),
    **{item.value: _l("Menu item: %(name)s", name=item.value.replace("_", " ")) for item in MenuItem},
}

OTHERS: dict[str, Any] = {
    "system": _l("the system"),
    "command": _l("a command"),
    "anonymous": _l("somebody not logged in"),
}

TABLES: dict[str, Any] = {
    "communicator": _l("Communicator"),
    "thread": _l("Thread"),
    "facility": _l("Facility"),
    "referring_physician": _l("Referring physician"),
    "staff_term": _l("Word for staff"),
    "patient": _l("Patient"),
    "staff": _l("Staff"),
}

_WORDS: dict[str, Any] = {
    **{kind.value: word for kind, word in WORD_OF.items()},
    AccountStatus.INVITED.value: _l("invited"),
    AccountStatus.ACTIVE.value: _l("active"),
    AccountStatus.LOCKED.value: _l("locked"),
    AccountStatus.DISABLED.value: _l("disabled"),
    PAIR.name: _l("account and address"),
    ADDRESS.name: _l("address"),
    ACCOUNT.name: _l("account"),
    Guessed.PASSWORD.value: _l("password"),
    Guessed.CODE.value: _l("code"),
    Gender.FEMALE.value: _l("female"),
    Gender.MALE.value: _l("male"),
}


class Words:
    """All of these in one language, translated once."""

    def __init__(self) -> None:
        tables = (VERBS, FIELDS, OTHERS, TABLES, _WORDS)
        self.verbs, self.fields, self.others, self.tables, self.words = (
            {name: str(word) for name, word in table.items()} for table in tables
        )
        self.choices = ("", _("Anything")), *sorted(self.verbs.items(), key=lambda one: one[1])
        self.yes, self.no = _("Yes"), _("No")

    def verb(self, did: str) -> str:
        """The words of a verb; of one that a later release no longer has, its name."""
        return self.verbs.get(did) or did.replace("_", " ")

    def field(self, name: str) -> str:
        return self.fields.get(name) or name.replace("_", " ")

    def value(self, content: Any) -> str:
        """A value of the audit as text; what people wrote stays what it is."""
        if content is None or content == "":
            return ""
        if isinstance(content, bool):
            return self.yes if content else self.no
        if isinstance(content, list):
            return ", ".join(map(self.value, content))
        if isinstance(content, dict):
            return "; ".join(f"{self.field(name)}: {self.value(one)}" for name, one in content.items())
        return self.words.get(content, content) if isinstance(content, str) else str(content)

    def changes(self, details: Any) -> list[tuple[str, str, str]]:
        """Field, before and after of all that a row tells; what is no change stands under after."""
        if not isinstance(details, dict):
            return [("", "", self.value(details))]
        before, after = details.get("before"), details.get("after")
        if not (isinstance(before, dict) and isinstance(after, dict)):
            before, after = {}, {}
            rest = details
        else:
            rest = {name: content for name, content in details.items() if name not in ("before", "after")}
        rows = [(self.field(name), self.value(before.get(name)), self.value(after.get(name))) for name in {**before, **after}]
        return rows + [(self.field(name), "", self.value(content)) for name, content in rest.items()]


@lru_cache(maxsize=8)
def _words_of(_catalogue: Any) -> Words:
    return Words()


def words_here() -> Words:
    """In the language of this request."""
    return _words_of(get_translations())
