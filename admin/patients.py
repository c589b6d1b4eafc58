"""Patients: found, matched to a record number, locked, linked to a staff account; two accounts of one person merged."""

from datetime import date
from typing import Any

from flask import current_app, make_response, render_template, request, url_for
from wtforms import BooleanField, DateField, HiddenField, RadioField, SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Optional

from admin import blueprint
from practice import patients as accounts
from practice import sessions
from practice.accounts import invite_again, invite_by_mail
from practice.db import db
from practice.errors import Invalid, NotVisible, Stale
from practice.patients import RECORD_NUMBER_MAX, Account, MergeSeen, NumberTaken, Search
from practice.people import AccountStatus
from web.answers import Answer, is_htmx, notice, page, to
from web.asked import version_in
from web.formats import STATUS_WORDS
from web.formats import gettext as _
from web.formats import lazy_gettext as _l
from web.forms import AtMost, Form, is_key, must_be_key, opened, tidy
from web.gate import visitor

KEPT = ("filter", "before", "after")  # what an address says of the list beside an account


def text_field(label: Any, most: int = 100) -> StringField:
    # The words stand in place of %(n)s: a catalogue has one sentence for all of them.
    return StringField(
        label, [AtMost(most, _l("Use at most %(n)s characters.", n=most))], filters=[tidy], render_kw={"autocomplete": "off"}
    )


class SearchForm(Form):
    last_name = text_field(_l("Last name"))
    first_name = text_field(_l("First name"))
    dob = DateField(_l("DOB"), [Optional()])
    phone = text_field(_l("Phone #"), 40)
    email = text_field(_l("Email"), 254)
    record_number = text_field(_l("Record number"), RECORD_NUMBER_MAX)
    status = SelectField(
        _l("Status"),
        choices=[SelectChoice("", _l("All"))]
        + [SelectChoice(s.value, STATUS_WORDS[s]) for s in (AccountStatus.ACTIVE, AccountStatus.INVITED, AccountStatus.LOCKED)],
        default="",
    )
    is_not_matched = BooleanField(_l("Not matched only"))
    merge_with = HiddenField()

    @property
    def values(self) -> dict[str, str]:
        """What was filled in, as it is kept under a key."""
        texts = {name: self[name].data for name in ("last_name", "first_name", "phone", "email", "record_number", "status")}
        texts["dob"] = self.dob.data.isoformat() if self.dob.data else ""
        texts["is_not_matched"] = "y" if self.is_not_matched.data else ""
        return {name: text for name, text in texts.items() if text}


class Needed:
    """Marks a field that its own button needs and the others do not send: the verb says when it is missing."""

    field_flags = {"required": True}

    def __call__(self, form: Any, field: Any) -> None:
        pass


class AccountForm(Form):
    record_number = StringField(_l("Record number"), [Needed()], filters=[tidy], render_kw={"autocomplete": "off"})
    login = StringField(_l("Staff ID"), [Needed()], filters=[tidy], render_kw={"autocomplete": "off"})
    seen = HiddenField()


class MergeForm(Form):
    kept = RadioField(_l("Which account is kept"), choices=[], validate_choice=False)
    is_confirmed = BooleanField(_l("Although the dates of birth differ, this is one person"))
    seen = HiddenField()


class UndoForm(Form):
    version = HiddenField()


# ---- The list ------------------------------------------------------------------------------------


@blueprint.get("/patients")
def patients() -> Answer:
    return shown(None, None)


@blueprint.post("/patients/searches")
def search_patients() -> Answer:
    """Keeps what is searched for with the session: personal values never stand in an address, which only has the key."""
    form = SearchForm()
    other = form.merge_with.data or ""
    if not form.validate_on_submit():
        return choosing(one(other), 422, search=form) if other else shown(None, None, 422, search=form)
    where: dict[str, Any] = {"filter": sessions.keep_filter(visitor(), form.values)} if form.values else {}
    if other:
        return to("admin.patient_merge", key=one(other).key, **where)
    if not is_htmx():
        return to("admin.patients", **where)
    answer = make_response(shown(None, None, filtered=where.get("filter", "")))
    answer.headers["HX-Push-Url"] = url_for("admin.patients", **where)
    return answer


def listed(endpoint: str, *, filtered: str | None = None, **where: Any) -> dict[str, Any]:
    """A page of the list: its rows, what they were searched by, and the ways to the next ones. `filtered`: the key of a new
    search, whose first page it is."""
    kept = list_place() if filtered is None else {"filter": filtered}
    values = sessions.kept_filter(visitor(), kept["filter"]) if kept.get("filter") else {}
    carried: dict[str, Any] = {"filter": kept["filter"]} if values else {}
    is_newer = "after" in kept
    beyond = kept.get("after") or kept.get("before")
    found = accounts.patients_found(search_for(values), beyond=beyond, is_newer=is_newer)
    rows = found.rows
    return {
        "rows": rows,
        "values": values,
        "kept": carried | {name: kept[name] for name in ("before", "after") if name in kept},
        "newer": url_for(endpoint, after=rows[0].key, **carried, **where) if rows and found.has_newer else "",
        "older": url_for(endpoint, before=rows[-1].key, **carried, **where) if rows and found.has_older else "",
        "search": opened_search(values),
        "status_words": {status: str(word) for status, word in STATUS_WORDS.items()},
    }


def opened_search(values: dict[str, str]) -> SearchForm:
    form = SearchForm(formdata=None)
    for name, value in values.items():
        form[name].data = value
    form.dob.data = search_for(values).dob
    form.is_not_matched.data = bool(values.get("is_not_matched"))
    return form


def search_for(values: dict[str, str]) -> Search:
    dob = values.get("dob")
    return Search(
        last=values.get("last_name", ""),
        first=values.get("first_name", ""),
        dob=date.fromisoformat(dob) if dob else None,
        phone=values.get("phone", ""),
        email=values.get("email", ""),
        record_number=values.get("record_number", ""),
        is_not_matched=bool(values.get("is_not_matched")),
        status=AccountStatus(values["status"]) if values.get("status") else None,
    )


# ---- One account ---------------------------------------------------------------------------------


@blueprint.get("/patients/<key>")
def patient(key: str) -> Answer:
    account = one(key)
    return shown(account, opened_account(account))


@blueprint.post("/patients/<key>/record-number")
def match_patient(key: str) -> Answer:
    return changing(
        key, lambda form, by: accounts.match(key, record_number=form.record_number.data or "", seen=form.seen.data or "", by=by)
    )


@blueprint.post("/patients/<key>/record-number/removal")
def unmatch_patient(key: str) -> Answer:
    return changing(key, lambda form, by: accounts.unmatch(key, seen=form.seen.data or "", by=by))


@blueprint.post("/patients/<key>/lock")
def lock_patient(key: str) -> Answer:
    return changing(key, lambda form, by: accounts.lock(key, seen=form.seen.data or "", by=by))


@blueprint.post("/patients/<key>/lock/removal")
def unlock_patient(key: str) -> Answer:
    return changing(key, lambda form, by: accounts.unlock(key, seen=form.seen.data or "", by=by))


@blueprint.post("/patients/<key>/staff-link")
def link_patient(key: str) -> Answer:
    return changing(
        key, lambda form, by: accounts.link_staff(key, staff_login=form.login.data or "", seen=form.seen.data or "", by=by)
    )


@blueprint.post("/patients/<key>/staff-link/removal")
def unlink_patient(key: str) -> Answer:
    return changing(key, lambda form, by: accounts.unlink_staff(key, seen=form.seen.data or "", by=by))


@blueprint.post("/patients/<key>/invitations")
def invite_patient(key: str) -> Answer:
    """The account with the secret of a new invitation: this page alone ever has it."""
    one(key)
    try:
        token = invite_again(key, by=visitor().actor)
    except Stale:
        account = one_now(key)
        refusal = _("The account is not invited any more: there is no link to make.")
        return shown(account, opened_account(account), 409, refusal=refusal)
    account = one_now(key)
    link = url_for("invitation.invitation", token=token, _external=True)
    answer = make_response(shown(account, opened_account(account), link=link))
    if is_htmx():
        place: dict[str, Any] = list_place()
        answer.headers["HX-Push-Url"] = url_for("admin.patient", key=key, **place)
    return answer


@blueprint.post("/patients/<key>/invitation-mails")
def mail_patient_invitation(key: str) -> Answer:
    return changing(key, lambda form, by: invite_by_mail(key, by=by), done="invited")


@blueprint.post("/patients/<key>/merges/<merge>/undo")
def undo_merge(key: str, merge: str) -> Answer:
    account, form = one(key), UndoForm()
    if not any(m.key == merge for m in accounts.merges_of(db.session(), account.id)):
        raise NotVisible
    version = version_in(form.version.data)
    return changing(key, lambda _form, by: accounts.unmerge(merge, version=version, by=by), done="undone")


def changing(key: str, verb: Any, done: str = "saved") -> Answer:
    """What a button of the account does, and what answers when it cannot be done."""
    account, form = one(key), AccountForm()
    if not form.validate():
        return shown(account, form, 422)
    try:
        verb(form, visitor().actor)
    except NumberTaken as error:
        form.put(error)
        return shown(account, form, 422, taken=error.other)
    except Invalid as error:
        form.put(error)
        return shown(one_now(key), form, 422)
    except Stale:
        account = one_now(key)
        form.seen.data = account.seen
        return shown(account, form, 409, changes=changes(form, account))
    return to("admin.patient", key=key, done=done, **list_place())


def changes(form: AccountForm, account: Account) -> list[tuple[str, str, str]]:
    """What the account is now, beside what was typed, where something was."""
    number = account.record_number or _("not matched")
    rows = [
        (form.record_number.label.text, form.record_number.data or "", number),
        (form.login.label.text, form.login.data or "", account.staff_login or _("none")),
        (_("Status"), "", str(STATUS_WORDS[account.status])),
    ]
    return [(str(field), mine, theirs) for field, mine, theirs in rows]


# ---- Merging -------------------------------------------------------------------------------------


@blueprint.get("/patients/<key>/merge")
def patient_merge(key: str) -> Answer:
    return choosing(one(key))


def choosing(account: Account, status: int = 200, **context: Any) -> Answer:
    """The other account is searched for and chosen."""
    values = listed("admin.patient_merge", key=account.key) | {"account": account} | context
    values["search"].merge_with.data = account.key
    return render_template("admin/patient_merge.html", **values), status


@blueprint.get("/patients/<key>/merge/<other>")
def patient_merging(key: str, other: str) -> Answer:
    pair = one(key), one(other)
    form = opened(MergeForm, seen=accounts.seen_together(*pair))
    form.kept.data = min(pair, key=lambda a: (a.record_number is None, a.status != AccountStatus.ACTIVE, a.id)).key
    return merging(pair, form)


@blueprint.post("/patients/<key>/merge/<other>")
def merge_patients(key: str, other: str) -> Answer:
    pair, form = (one(key), one(other)), MergeForm()
    if form.kept.data not in (key, other):
        form.put(Invalid("kept", "Choose which account is kept."))
        return merging(pair, form, 422)
    try:
        accounts.merge(
            form.kept.data,
            other if form.kept.data == key else key,
            form_key=form.key.data,
            seen=form.seen.data or "",
            is_confirmed=bool(form.is_confirmed.data),
            by=visitor().actor,
        )
    except Invalid as error:
        form.put(error)
        return merging((one_now(key), one_now(other)), form, 422)
    except Stale:
        pair = one_now(key), one_now(other)
        form.seen.data = accounts.seen_together(*pair)
        return merging(pair, form, 409, is_changed=True)
    return to("admin.patient", key=form.kept.data, done="merged")


def merging(pair: tuple[Account, Account], form: MergeForm, status: int = 200, **context: Any) -> Answer:
    """Both accounts side by side, and what would move to the one that is kept."""
    first, second = pair
    moves = [accounts.what_moves(db.session(), kept, gone) for kept, gone in ((second, first), (first, second))]
    values = {
        "pair": pair,
        "moves": moves,
        "form": form,
        "is_dob_different": first.dob != second.dob,
        "status_words": STATUS_WORDS,
        "is_changed": False,
    }
    return page("admin/patient_merging.html", "admin/_patient_merging.html", status, **values | context)


# ---- Shared --------------------------------------------------------------------------------------


def one(key: str) -> Account:
    must_be_key(key)
    return accounts.account_of(db.session(), key)


def one_now(key: str) -> Account:
    """As it is now, not as this request has read it."""
    db.session.close()
    return one(key)


def opened_account(account: Account) -> AccountForm:
    return AccountForm(formdata=None, record_number=account.record_number or "", seen=account.seen)


def list_place() -> dict[str, str]:
    """What the address says of the list; a key that can be none is none."""
    return {name: request.args[name] for name in KEPT if is_key(request.args.get(name, ""))}


def shown(
    account: Account | None, form: AccountForm | None, status: int = 200, *, filtered: str | None = None, **context: Any
) -> Answer:
    """The list, with the account beside it where one is open."""
    merges: list[MergeSeen] = accounts.merges_of(db.session(), account.id) if account else []
    values = listed("admin.patients", filtered=filtered) | {
        "account": account,
        "form": form,
        "merges": merges,
        "merged_into": next((m for m in merges if not m.is_kept and m.undone_at is None), None),
        "can_import": "admin.import_patients" in current_app.view_functions,
        "notice": notice(),
        "changes": [],
        "taken": None,
    }
    return page("admin/patients.html", "admin/_patients.html", status, **values | context)
