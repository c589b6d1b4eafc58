"""Not matched: patients who have registered themselves, and wait until an admin says whose account it is."""

from datetime import date
from typing import Any

from flask import render_template, request, url_for
from wtforms import HiddenField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Optional

from admin import blueprint
from admin.patients import KEPT, Needed, one, one_now, text_field
from practice import matching, patients, registration, sessions
from practice.errors import Invalid, NotVisible, Stale
from practice.matching import MatchState, Sought
from practice.patients import Account, NumberTaken
from practice.registration import WORDS_MAX
from web.answers import Answer, notice, page, to
from web.formats import lazy_gettext as _l
from web.forms import AtMost, DateField, Filled, Form, is_key, tidy
from web.gate import visitor

STATE_WORDS = {
    MatchState.WAITING: _l("waiting"),
    MatchState.ASKED: _l("asked"),
    MatchState.MATCHED: _l("matched"),
    MatchState.REFUSED: _l("refused"),
}
SHOWN = (MatchState.WAITING, MatchState.ASKED, MatchState.REFUSED)


class RegisteredForm(Form):
    """Whom to show."""

    last_name = text_field(_l("Last name"))
    first_name = text_field(_l("First name"))
    dob = DateField(_l("DOB"), [Optional()])
    state = SelectField(
        _l("Status"),
        choices=[SelectChoice(state.value, STATE_WORDS[state]) for state in SHOWN],
        default=MatchState.WAITING.value,
    )

    @property
    def values(self) -> dict[str, str]:
        texts = {name: self[name].data for name in ("last_name", "first_name", "state")}
        texts["dob"] = self.dob.data.isoformat() if self.dob.data else ""
        return {name: text for name, text in texts.items() if text}


def words_field(label: Any) -> TextAreaField:
    return TextAreaField(label, [Needed(), AtMost(WORDS_MAX, _l("Use at most %(n)s characters.", n=WORDS_MAX))], filters=[tidy])


class MatchForm(Form):
    """The buttons of one of them."""

    record_number = StringField(_l("Record number"), [Needed()], filters=[tidy], render_kw={"autocomplete": "off"})
    question = words_field(_l("Question to the patient"))
    reason = words_field(_l("Reason"))
    seen = HiddenField()


class CodeForm(Form):
    record_number = StringField(
        _l("Record number"), [Filled(_l("Write a record number."))], filters=[tidy], render_kw={"autocomplete": "off"}
    )
    dob = DateField(_l("DOB"), [Filled(_l("Write the date of birth."))])


@blueprint.get("/registrations")
def registrations() -> Answer:
    return shown(None)


@blueprint.post("/registrations/searches")
def search_registrations() -> Answer:
    """Keeps what is searched for with the session, as for patients: the address has its key alone."""
    form = RegisteredForm()
    if not form.validate_on_submit():
        return shown(None, status=422, search=form)
    return to("admin.registrations", filter=sessions.keep_filter(visitor(), form.values))


@blueprint.get("/registrations/<key>")
def registered_patient(key: str) -> Answer:
    return shown(account_with(key))


@blueprint.post("/registrations/<key>/record-number")
def match_registered(key: str) -> Answer:
    return doing(
        key, "matched", lambda form, by: patients.match(key, record_number=form.record_number.data, seen=form.seen.data, by=by)
    )


@blueprint.post("/registrations/<key>/questions")
def ask_registered(key: str) -> Answer:
    return doing(
        key,
        "asked",
        lambda form, by: registration.ask_registered(key, words=form.question.data, seen=form.seen.data, by=by),
        field="question",
    )


@blueprint.post("/registrations/<key>/refusal")
def refuse_registered(key: str) -> Answer:
    return doing(
        key,
        "refused",
        lambda form, by: registration.refuse_registration(key, words=form.reason.data, seen=form.seen.data, by=by),
        field="reason",
    )


def doing(key: str, done: str, verb: Any, *, field: str = "") -> Answer:
    """What a button does, and what answers when it cannot be done. `field`: where the verb's `words` stand."""
    account, form = account_with(key), MatchForm()
    if not form.validate():
        return shown(account, form, 422)
    try:
        verb(form, visitor().actor)
    except NumberTaken as error:
        form.put(error)
        return shown(account, form, 422, taken=error.other)
    except Invalid as error:
        form.put(Invalid(field, error.text, **error.values) if error.field == "words" else error)
        return shown(one_now(key), form, 422)
    except Stale:
        account = one_now(key)
        form.seen.data = account.seen
        return shown(account, form, 409, is_stale=True)
    return to("admin.registrations", done=done, **list_place())


# ---- Codes ---------------------------------------------------------------------------------------


@blueprint.get("/registrations/codes")
def match_codes() -> Answer:
    return render_template("admin/match_codes.html", form=CodeForm(formdata=None), code="")


@blueprint.post("/registrations/codes")
def make_match_code() -> Answer:
    """The code itself: this page alone ever has it."""
    form = CodeForm()
    if not form.validate_on_submit():
        return render_template("admin/match_codes.html", form=form, code=""), 422
    try:
        code = registration.make_code(form.record_number.data, dob=form.dob.data, by=visitor().actor)
    except Invalid as error:
        form.put(error)
        return render_template("admin/match_codes.html", form=form, code=""), 422
    return render_template("admin/match_codes.html", form=CodeForm(formdata=None), code=code)


# ---- Shared --------------------------------------------------------------------------------------


def account_with(key: str) -> Account:
    """Raises NotVisible for who did not register themselves."""
    account = one(key)
    if matching.registration_of(account.id) is None:
        raise NotVisible
    return account


def list_place() -> dict[str, Any]:
    return {name: request.args[name] for name in KEPT if is_key(request.args.get(name, ""))}


def sought_in(values: dict[str, str]) -> Sought:
    return Sought(
        last=values.get("last_name", ""),
        first=values.get("first_name", ""),
        dob=date.fromisoformat(values["dob"]) if values.get("dob") else None,
        state=MatchState(values.get("state", MatchState.WAITING)),
    )


def shown(account: Account | None, form: MatchForm | None = None, status: int = 200, **context: Any) -> Answer:
    """The tray, with one of them beside it where one is open."""
    kept = list_place()
    values = sessions.kept_filter(visitor(), kept["filter"]) if "filter" in kept else {}
    sought, carried = sought_in(values), {"filter": kept["filter"]} if values else {}
    found = matching.registered(sought, beyond=kept.get("after") or kept.get("before"), is_newer="after" in kept)
    search = RegisteredForm(formdata=None, last_name=sought.last, first_name=sought.first, dob=sought.dob, state=sought.state)
    rows = found.rows
    words = {
        "rows": rows,
        "sought": sought,
        "is_searched": bool(sought.last or sought.first or sought.dob),
        "newer": url_for("admin.registrations", after=rows[-1].key, **carried) if rows and found.has_newer else "",
        "older": url_for("admin.registrations", before=rows[0].key, **carried) if rows and found.has_older else "",
        "search": search,
        "kept": kept,
        "state_words": STATE_WORDS,
        "account": account,
        "registration": matching.registration_of(account.id) if account else None,
        "candidates": matching.candidates(account.id) if account else [],
        "form": form or (MatchForm(formdata=None) if account else None),
        "notice": notice(),
        "taken": None,
        "is_stale": False,
    }
    return page("admin/registrations.html", "admin/_registrations.html", status, **words | context)
