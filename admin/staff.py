"""Staff: found, added, changed, invited, disabled with its consequences shown first, enabled again."""

import hashlib
from dataclasses import asdict
from typing import Any

from flask import g, make_response, request, url_for
from markupsafe import Markup
from wtforms import BooleanField, EmailField, HiddenField, StringField

from admin import blueprint
from practice import accounts, sessions
from practice.accounts import MOST, TERM_FIELDS, StaffAccount, StaffSought, StaffValues
from practice.coverage import Consequences, consequences_of
from practice.db import db
from practice.errors import Invalid, NotAllowed, Stale
from practice.people import AccountStatus
from practice.settings import TermKind
from practice.threads import PAGE
from web.answers import Answer, is_htmx, notice, page, to
from web.choices import LongSelectField, options
from web.formats import STATUS_WORDS, yes_or_no
from web.formats import gettext as _
from web.formats import lazy_gettext as _l
from web.forms import AtMost, Filled, Form, is_key, must_be_key, opened, page_number, tidy
from web.gate import visitor

TERM_WORDS = {
    TermKind.LEVEL: _l("Level"),
    TermKind.GROUP: _l("Group"),
    TermKind.SPECIALTY: _l("Specialty"),
    TermKind.INSTITUTION: _l("Institution"),
    TermKind.DEPARTMENT: _l("Department"),
}
WORDS_MAX = 100


def text_field(label: Any, name: str, *more: Any, kind: Any = StringField) -> StringField:
    most = MOST[name]
    return kind(
        label,
        [*more, AtMost(most, _l("Use at most %(n)s characters.", n=most))],
        filters=[tidy],
        render_kw={"autocomplete": "off"},
    )


def term_field(kind: TermKind) -> LongSelectField:
    return LongSelectField(TERM_WORDS[kind], validate_choice=False, filters=[tidy], default="")


class StaffForm(Form):
    login = text_field(_l("ID"), "login", Filled(_l("Write an ID.")))
    last_name = text_field(_l("Last name"), "last_name")
    first_name = text_field(_l("First name"), "first_name")
    email = text_field(_l("E-mail"), "email", Filled(_l("Write an e-mail address.")), kind=EmailField)
    level = term_field(TermKind.LEVEL)
    group = term_field(TermKind.GROUP)
    specialty = term_field(TermKind.SPECIALTY)
    institution = term_field(TermKind.INSTITUTION)
    department = term_field(TermKind.DEPARTMENT)
    is_admin = BooleanField(_l("Admin"))
    seen = HiddenField()

    @property
    def values(self) -> StaffValues:
        texts = {name: self[name].data or "" for name in (*MOST, *TERM_FIELDS)}
        return StaffValues(**texts, is_admin=bool(self.is_admin.data))

    def offer(self, terms: dict[str, dict[str, str]], account: StaffAccount | None) -> None:
        """The words in use, and the one the account has."""
        for name in TERM_FIELDS:
            words = list(terms[name].values())
            has = getattr(account.values, name) if account else ""
            words += [has] if has and has not in words else []
            self[name].offer((("", "–"), *((word, word) for word in words)))


class StepForm(Form):
    """The buttons below an account."""

    confirmed = HiddenField()


# ---- The list ------------------------------------------------------------------------------------


@blueprint.get("/staff")
def staff() -> Answer:
    is_new = "new" in request.args or "draft" in request.args
    return shown(opened(StaffForm) if is_new else None, None)


@blueprint.post("/staff/searches")
def search_staff() -> Answer:
    """Keeps what is searched for with the session: names never stand in an address, which only has the key."""
    words = request.form.get("q", "").replace("\0", "").strip()[:WORDS_MAX]
    place: dict[str, Any] = plain_place(request.form)
    if words:
        place["filter"] = sessions.keep_filter(visitor(), {"q": words})
    if not is_htmx():
        return to("admin.staff", **place)
    answer = make_response(shown(None, None, place=place))
    answer.headers["HX-Push-Url"] = url_for("admin.staff", **place)
    return answer


def all_terms() -> Any:
    """The words of the short lists, those switched off too; read once for each page."""
    if "all_terms" not in g:
        g.all_terms = accounts.terms_of(db.session(), in_use=False)
    return g.all_terms


def plain_place(said: Any) -> dict[str, str]:
    """What an address says of the list beside the words; what is not known is left out."""
    terms = all_terms()
    place = {name: said[name] for name in TERM_FIELDS if said.get(name) and said[name] in terms[name].values()}
    if said.get("status") in {status.value for status in AccountStatus}:
        place["status"] = said["status"]
    place |= {name: "y" for name in ("logged_on", "admin") if said.get(name) == "y"}
    if said.get("sort") in accounts.ORDERS and said["sort"] != "name":
        place["sort"] = said["sort"]
    return place


def list_place() -> dict[str, str]:
    """The same of this request's own address, with the key of the words and the number of the page."""
    place = plain_place(request.args)
    if is_key(request.args.get("filter", "")):
        place["filter"] = request.args["filter"]
    if (number := page_number(request.args.get("page"))) > 1:
        place["page"] = str(number)
    return place


def sought_at(place: dict[str, str], words: str) -> StaffSought:
    return StaffSought(
        words=words,
        status=AccountStatus(place["status"]) if "status" in place else None,
        is_logged_on="logged_on" in place,
        is_admin="admin" in place,
        sort=place.get("sort", "name"),
        **{name: place.get(name, "") for name in TERM_FIELDS},
    )


# ---- One account ---------------------------------------------------------------------------------


@blueprint.get("/staff/<key>")
def staff_member(key: str) -> Answer:
    account = one(key)
    return shown(opened(StaffForm, **values_of(account)), account)


@blueprint.post("/staff")
def add_staff() -> Answer:
    form = StaffForm()
    if not form.validate_on_submit():
        return shown(form, None, 422)
    try:
        key, token = accounts.add_staff_account(form.values, form_key=form.key.data, by=visitor().actor)
    except Invalid as error:
        form.put(error)
        return shown(form, None, 422)
    return invited(key, token)


@blueprint.post("/staff/<key>")
def save_staff(key: str) -> Answer:
    account, form = one(key), StaffForm()
    if not form.validate_on_submit():
        return shown(form, account, 422)
    try:
        has_ended_link = accounts.save_staff(key, form.values, seen=form.seen.data or "", by=visitor().actor)
    except Invalid as error:
        form.put(error)
        return shown(form, one_now(key), 422)
    except Stale:
        account = one_now(key)
        form.seen.data = account.seen
        return shown(form, account, 409, changes=changes(form.values, account.values), is_stale=True)
    return to("admin.staff_member", key=key, done="link-ended" if has_ended_link else "saved", **list_place())


@blueprint.post("/staff/<key>/invitations")
def invite_staff(key: str) -> Answer:
    one(key)
    try:
        token = accounts.invite_again(key, by=visitor().actor)
    except Stale:
        return shown(None, one_now(key), 409, refusal=_("The account is not invited any more: there is no link to make."))
    return invited(key, token)


@blueprint.post("/staff/<key>/invitation-mails")
def mail_staff_invitation(key: str) -> Answer:
    one(key)
    try:
        accounts.invite_by_mail(key, by=visitor().actor)
    except Stale:
        return shown(None, one_now(key), 409, refusal=_("The account is not invited any more: there is nobody to invite."))
    return to("admin.staff_member", key=key, done="invited", **list_place())


def invited(key: str, token: str) -> Answer:
    """The account with the secret of its invitation: this page alone ever has it."""
    account = one_now(key)
    link = url_for("invitation.invitation", token=token, _external=True) if token else ""
    answer = make_response(shown(opened_account(account), account, link=link, is_saved=True))
    if is_htmx():
        answer.headers["HX-Push-Url"] = url_for("admin.staff_member", key=key)
    return answer


@blueprint.post("/staff/<key>/disabling")
def disable_staff(key: str) -> Answer:
    """First shows what it does; pressed again, with nothing changed meanwhile, does it."""
    account, form = one(key), StepForm()
    follows = consequences_of(db.session(), key)
    if form.confirmed.data != seal_of(follows):
        return shown(None, account, follows=follows, confirmed=seal_of(follows))
    try:
        accounts.disable(key, by=visitor().actor)
    except NotAllowed:
        db.session.close()
        if not consequences_of(db.session(), key).is_last_admin:
            raise
        return shown(None, one_now(key), 422, refusal=LAST_ADMIN)
    return to("admin.staff_member", key=key, done="disabled")


LAST_ADMIN = _l("This is the last active admin: make somebody else an admin first.")


@blueprint.post("/staff/<key>/enabling")
def enable_staff(key: str) -> Answer:
    one(key)
    accounts.enable(key, by=visitor().actor)
    return to("admin.staff_member", key=key, done="enabled")


def seal_of(follows: Consequences) -> str:
    """Stands for the consequences that were shown."""
    return hashlib.sha256(repr(asdict(follows)).encode()).hexdigest()[:22]


def changes(mine: StaffValues, saved: StaffValues) -> list[tuple[str, str, str]]:
    """The fields that differ: name, what was typed, what is saved now."""
    form = StaffForm(formdata=None)
    rows = [(form[name].label.text, getattr(mine, name), getattr(saved, name)) for name in (*MOST, *TERM_FIELDS)]
    rows.append((form.is_admin.label.text, yes_or_no(mine.is_admin), yes_or_no(saved.is_admin)))
    return [(str(field), yours, theirs) for field, yours, theirs in rows if yours != theirs]


# ---- Shared --------------------------------------------------------------------------------------


def searched(place: dict[str, str]) -> list[tuple[str, Any, Markup]]:
    """The dropdowns of the search: name, label and options."""
    offered = {name: tuple((word, word) for word in words.values()) for name, words in all_terms().items() if words}
    every = ("", _("All"))
    return [(name, TERM_WORDS[TermKind(name)], options((every, *words), place.get(name))) for name, words in offered.items()]


def one(key: str) -> StaffAccount:
    must_be_key(key)
    return accounts.staff_account(db.session(), key)


def one_now(key: str) -> StaffAccount:
    """As it is now, not as this request has read it."""
    db.session.close()
    return one(key)


def values_of(account: StaffAccount) -> dict[str, Any]:
    return asdict(account.values) | {"seen": account.seen}


def opened_account(account: StaffAccount) -> StaffForm:
    return StaffForm(formdata=None, **values_of(account))


def shown(
    form: Any, account: StaffAccount | None, status: int = 200, *, place: dict[str, str] | None = None, **context: Any
) -> Answer:
    """The list, with the account beside it where one is open or new."""
    place = list_place() if place is None else place
    words = sessions.kept_filter(visitor(), place["filter"]).get("q", "") if "filter" in place else ""
    found = accounts.staff_list(db.session(), sought_at(place, words), number=int(place.get("page", "1")))
    form = form or (opened_account(account) if account else None)
    if form:
        form.offer(accounts.terms_of(db.session()), account)
    kept = {name: value for name, value in place.items() if name != "page"}
    values: dict[str, Any] = {
        "found": found,
        "size": PAGE,
        "words": words,
        "place": place,
        "kept": kept,
        "searched": searched(place),
        "status_words": {status: str(word) for status, word in STATUS_WORDS.items()},
        "form": form,
        "account": account,
        "step": StepForm(formdata=None),
        "is_me": account is not None and account.id == visitor().person_id,
        "notice": notice(),
        "changes": [],
    }
    return page("admin/staff.html", "admin/_staff.html", status, **values | context)
