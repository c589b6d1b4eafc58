"""Who has registered and is not matched to the practice's record yet: a code of the practice, and what they said, to correct."""

from wtforms import StringField

from portal import blueprint
from portal.account import DESK
from practice import registration
from practice.errors import Invalid
from practice.matching import MatchState
from web.answers import Answer, to
from web.formats import lazy_gettext as _l
from web.forms import Filled, Form, tidy
from web.gate import visitor
from web.registering import PersonFields


class CodeForm(Form):
    code = StringField(
        _l("Code of the practice"),
        [Filled(_l("Write the code."))],
        filters=[tidy],
        render_kw={"autocomplete": "off", "autocapitalize": "characters"},
    )


class CorrectionForm(PersonFields, Form):
    pass


@blueprint.get("/account/not-matched")
def not_matched() -> Answer:
    return shown()


@blueprint.post("/account/not-matched")
def correct_registration() -> Answer:
    form, me = CorrectionForm(), visitor()
    registration.of_not_matched(me.person_id)
    if not form.validate_on_submit():
        return shown(422, form=form)
    try:
        registration.correct_registration(me.person_id, form.said(), by=me.actor)
    except Invalid as error:
        form.put(error)
        return shown(422, form=form)
    return to("portal.not_matched", done="saved")


@blueprint.post("/account/not-matched/code")
def match_by_code() -> Answer:
    form, me = CodeForm(), visitor()
    registration.of_not_matched(me.person_id)
    if not form.validate_on_submit():
        return shown(422, code=form)
    if not registration.match_by_code(me.person_id, form.code.data, by=me.actor):
        form.put(
            Invalid("code", "This code does not work. Look whether it is right, and your date of birth too; or ask the practice.")
        )
        return shown(422, code=form)
    return to("portal.home", done="matched")


def shown(status: int = 200, *, form: CorrectionForm | None = None, code: CodeForm | None = None) -> Answer:
    found = registration.of_not_matched(visitor().person_id)
    may_correct = found.state in (MatchState.WAITING, MatchState.ASKED)
    values = {name: getattr(found, name) for name in ("last_name", "first_name", "dob", "gender", "phone")}
    return DESK.page(
        "not_matched.html",
        status,
        found=found,
        form=(form or CorrectionForm(formdata=None, **values)) if may_correct else None,
        code=code or CodeForm(formdata=None),
    )
