"""My Account of staff: own data as the practice has them, mails, password, log-ins; whoever is in charge of nothing too."""

from typing import Any

from practice import own_account
from practice.people import NoticePreference
from staff import blueprint
from staff.box import my_box, unread
from web import account as shared
from web.account import Desk, wish_field
from web.answers import Answer, notice, to
from web.formats import lazy_gettext as _l
from web.forms import Form
from web.gate import visitor


def box_words() -> dict[str, Any]:
    return {"box": my_box(), "unread": unread(), "notice": notice()}


DESK = Desk("staff", more=box_words)


class MailsForm(Form):
    notices = wish_field(_l("E-mails about what waits for you"), _l("An e-mail at once"))


@blueprint.get("/account")
def account() -> Answer:
    found = own_account.of_staff(visitor().person_id)
    form = MailsForm(formdata=None, notices=found.notices)
    return DESK.page("account.html", account=found, form=form)


@blueprint.post("/account")
def change_account() -> Answer:
    form, me = MailsForm(), visitor()
    if not form.validate_on_submit():
        return DESK.page("account.html", 422, account=own_account.of_staff(me.person_id), form=form)
    own_account.change_notices(me.person_id, NoticePreference(form.notices.data), by=me.actor)
    return to("staff.account", done="saved")


@blueprint.route("/account/password", methods=["GET", "POST"])
def change_password() -> Answer:
    return shared.change_password(DESK)


@blueprint.route("/account/e-mail", methods=["GET", "POST"])
def change_email() -> Answer:
    return shared.change_email(DESK)


@blueprint.get("/account/log-ins")
def log_ins() -> Answer:
    return shared.log_ins(DESK)


@blueprint.post("/account/log-ins/<key>/end")
def end_log_in(key: str) -> Answer:
    return shared.end_log_in(DESK, key)


@blueprint.post("/account/log-ins/end")
def end_other_log_ins() -> Answer:
    return shared.end_other_log_ins(DESK)
