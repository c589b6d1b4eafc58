"""My Account: own data as the practice has them, password, mails, log-ins, and who opened one's messages."""

from flask import render_template, request, session, url_for
from wtforms import PasswordField, RadioField
from wtforms.fields import SelectChoice
from wtforms.validators import AnyOf

from portal import blueprint
from portal.fields import must_be_on
from practice import audit, own_account
from practice.errors import Invalid, NotAllowed
from practice.people import Gender, NoticePreference
from practice.records import account_of
from practice.settings import MenuItem
from web.answers import Answer, to
from web.formats import gettext as _
from web.formats import lazy_gettext as _l
from web.forms import Filled, Form, page_number
from web.gate import visitor

GENDERS = {Gender.FEMALE: _l("female"), Gender.MALE: _l("male"), Gender.OTHER: _l("other"), Gender.UNKNOWN: _l("unknown")}
NOTICES = {
    NoticePreference.EACH: _l("An e-mail for every answer"),
    NoticePreference.DAILY: _l("One e-mail a day, in the morning"),
    NoticePreference.NONE: _l("No e-mails"),
}
NEW_PASSWORD = {"autocomplete": "new-password"}
ONE_OF_THREE = _l("Choose one of the three.")


class PasswordForm(Form):
    present = PasswordField(
        _l("Present password"), [Filled(_l("Write your present password."))], render_kw={"autocomplete": "current-password"}
    )
    password = PasswordField(_l("New password"), [Filled(_l("Write a password."))], render_kw=NEW_PASSWORD)
    password_again = PasswordField(
        _l("The same password again"), [Filled(_l("Write the password once more."))], render_kw=NEW_PASSWORD
    )


class MailsForm(Form):
    notices = RadioField(
        _l("E-mails about answers"),
        [Filled(ONE_OF_THREE), AnyOf(list(NoticePreference), ONE_OF_THREE)],
        choices=[SelectChoice(wish.value, words) for wish, words in NOTICES.items()],
        validate_choice=False,
    )


@blueprint.get("/account")
def account() -> str:
    must_be_on(MenuItem.ACCOUNT_INFO)
    return render_template("portal/account.html", here="portal.account", account=account_of(visitor().person_id), genders=GENDERS)


# The account itself stays reachable where the practice does not show its data.


@blueprint.route("/account/password", methods=["GET", "POST"])
def change_password() -> Answer:
    if request.method != "POST":
        return _password_page(PasswordForm(formdata=None))
    form, me = PasswordForm(), visitor()
    if not form.validate_on_submit():
        return _password_page(form, 422)
    try:
        if form.password.data != form.password_again.data:
            raise Invalid("password_again", "The two passwords differ.")
        key = own_account.change_password(me, present=form.present.data, new=form.password.data, by=me.actor)
    except Invalid as error:
        form.put(error)
        return _password_page(form, 422)
    except NotAllowed:
        audit.note(by=me.actor, did="denied", about="portal.change_password")
        form.present.errors = [_("This is not your present password.")]
        return _password_page(form, 403)
    session.clear()  # the cookie as it was before opens nothing any more
    session["key"] = key
    return to("portal.change_password", done="password-changed")


def _password_page(form: Form, status: int = 200) -> Answer:
    return render_template("portal/password.html", here="portal.account", form=form), status


@blueprint.route("/account/mails", methods=["GET", "POST"])
def mails() -> Answer:
    me = visitor()
    if request.method != "POST":
        return _mails_page(MailsForm(formdata=None, notices=own_account.notices_of(me.person_id)))
    form = MailsForm()
    if not form.validate_on_submit():
        return _mails_page(form, 422)
    own_account.change_notices(me.person_id, NoticePreference(form.notices.data), by=me.actor)
    return to("portal.mails", done="saved")


def _mails_page(form: Form, status: int = 200) -> Answer:
    return render_template("portal/mails.html", here="portal.account", form=form), status


@blueprint.get("/account/log-ins")
def log_ins() -> str:
    return render_template("portal/log_ins.html", here="portal.account", log_ins=own_account.log_ins_of(visitor()))


@blueprint.post("/account/log-ins/<key>/end")
def end_log_in(key: str) -> Answer:
    own_account.end_log_in(visitor(), key, by=visitor().actor)
    return to("portal.log_ins", done="logged-out-there")


@blueprint.post("/account/log-ins/end")
def end_other_log_ins() -> Answer:
    own_account.end_other_log_ins(visitor(), by=visitor().actor)
    return to("portal.log_ins", done="logged-out-there")


@blueprint.get("/account/readers")
def readers() -> str:
    number = page_number(request.args.get("page"))
    rows, has_older = own_account.readers_of(visitor().person_id, page=number)
    return render_template(
        "portal/readers.html",
        here="portal.account",
        rows=rows,
        newer=url_for("portal.readers", page=number - 1) if number > 1 else "",
        older=url_for("portal.readers", page=number + 1) if has_older else "",
    )
