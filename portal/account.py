"""My Account: own data as the practice has them, to read."""

from flask import render_template
from flask_babel import lazy_gettext as _l

from portal import blueprint
from portal.fields import must_be_on
from practice.people import Gender
from practice.records import account_of
from practice.settings import MenuItem
from web.gate import visitor

GENDERS = {Gender.FEMALE: _l("female"), Gender.MALE: _l("male"), Gender.OTHER: _l("other"), Gender.UNKNOWN: _l("unknown")}


@blueprint.get("/account")
def account() -> str:
    must_be_on(MenuItem.ACCOUNT_INFO)
    return render_template("portal/account.html", here="portal.account", account=account_of(visitor().person_id), genders=GENDERS)
