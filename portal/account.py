"""My Account: own data as the practice has them, password, mails, log-ins, and who opened one's messages."""

from flask import render_template, request, url_for

from portal import blueprint
from portal.fields import must_be_on
from practice import own_account
from practice.people import Gender, NoticePreference
from practice.records import account_of
from practice.settings import MenuItem
from web import account as shared
from web.account import Desk, wish_field
from web.answers import Answer, to
from web.formats import lazy_gettext as _l
from web.forms import Form, page_number
from web.gate import visitor

GENDERS = {Gender.FEMALE: _l("female"), Gender.MALE: _l("male"), Gender.OTHER: _l("other"), Gender.UNKNOWN: _l("unknown")}
DESK = Desk("portal")


class MailsForm(Form):
    notices = wish_field(_l("E-mails about answers"), _l("An e-mail for every answer"))


@blueprint.get("/account")
def account() -> str:
    must_be_on(MenuItem.ACCOUNT_INFO)
    return render_template("portal/account.html", here="portal.account", account=account_of(visitor().person_id), genders=GENDERS)


# The account itself stays reachable where the practice does not show its data.


@blueprint.route("/account/password", methods=["GET", "POST"])
def change_password() -> Answer:
    return shared.change_password(DESK)


@blueprint.route("/account/e-mail", methods=["GET", "POST"])
def change_email() -> Answer:
    return shared.change_email(DESK)


@blueprint.route("/account/mails", methods=["GET", "POST"])
def mails() -> Answer:
    me = visitor()
    if request.method != "POST":
        return DESK.page("mails.html", form=MailsForm(formdata=None, notices=own_account.notices_of(me.person_id)))
    form = MailsForm()
    if not form.validate_on_submit():
        return DESK.page("mails.html", 422, form=form)
    own_account.change_notices(me.person_id, NoticePreference(form.notices.data), by=me.actor)
    return to("portal.mails", done="saved")


@blueprint.get("/account/log-ins")
def log_ins() -> Answer:
    return shared.log_ins(DESK)


@blueprint.post("/account/log-ins/<key>/end")
def end_log_in(key: str) -> Answer:
    return shared.end_log_in(DESK, key)


@blueprint.post("/account/log-ins/end")
def end_other_log_ins() -> Answer:
    return shared.end_other_log_ins(DESK)


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
