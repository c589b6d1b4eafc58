"""The second step of the log-in: its pages between the password and the session, and those of My Account."""

from collections.abc import Callable
from typing import Any

import segno
from flask import Blueprint, render_template, request, session
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import HiddenField, StringField
from wtforms.validators import Length

from practice import second_step
from practice.errors import Invalid, NotAllowed, TooMany
from practice.second_step import Ask, Halfway, HalfwayOver, Offer
from web.account import Desk, present_field, refuse_present
from web.answers import Answer, to
from web.formats import gettext as _
from web.forms import Filled, Form, Meta, tidy
from web.gate import ANYONE, client_address, guard, visitor
from web.login import enter, safe_path

blueprint = Blueprint("second_step", __name__, url_prefix="/login/second-step")
guard(blueprint, ANYONE)  # nobody has a session yet; who is halfway the cookie's secret says, to these pages alone


class CodeField(StringField):
    """Always shown empty: a code that was sent is of no use any more."""

    def _value(self) -> str:
        return ""


def code_field(label: Any, **how: str) -> StringField:
    checks = [Filled(_l("Write the code.")), Length(max=40, message=_l("This is no code."))]
    return CodeField(label, checks, filters=[tidy], render_kw={"autocomplete": "one-time-code"} | how)


def app_code() -> StringField:
    return code_field(_l("Code from the app"), inputmode="numeric")


class CodeForm(FlaskForm):
    Meta = Meta
    code = app_code()
    next = HiddenField()


class RecoveryForm(CodeForm):
    code = code_field(_l("Recovery code"), autocapitalize="characters", autocomplete="off", spellcheck="false")


class FirstCodeForm(CodeForm):
    sealed = HiddenField()


class SetUpForm(Form):
    code = app_code()
    present = present_field()
    sealed = HiddenField()


class PresentForm(Form):
    present = present_field()


# ---- Between the password and the session --------------------------------------------------------


@blueprint.errorhandler(HalfwayOver)
def over(_error: HalfwayOver) -> Answer:
    return to("login.log_in", done="log-in-over")


def half() -> Halfway:
    """Who has given the password in this browser, and what is asked now. Raises HalfwayOver."""
    return second_step.halfway(str(session.get("half", "")))


@blueprint.get("")
def ask() -> Answer:
    """The code; or, of who has to have a second step and has none, the set-up."""
    found, wanted = half(), safe_path(request.args.get("next"))
    if found.ask == Ask.SET_UP:
        offer = second_step.offer_to(found.person.id)
        return first_code(FirstCodeForm(formdata=None, next=wanted, sealed=offer.sealed), offer)
    return code_asked(code_form()(formdata=None, next=wanted))


def code_form() -> type[CodeForm]:
    return RecoveryForm if request.args.get("with") == "recovery" else CodeForm


def code_asked(form: CodeForm, status: int = 200, *, wait: int = 0) -> Answer:
    is_recovery = isinstance(form, RecoveryForm)
    page = render_template("account/second_step.html", form=form, is_recovery=is_recovery, wait=wait)
    return page, status, {"Retry-After": str(wait)} if wait else {}


@blueprint.post("")
def check() -> Answer:
    half()
    form = code_form()()
    if not form.validate_on_submit():
        return code_asked(form, 422)
    try:
        person = second_step.pass_with(session["half"], form.code.data, address=client_address())
    except TooMany as error:
        return code_asked(form, 429, wait=error.retry_after)
    except Invalid as error:
        form.code.errors = [_(error.text)]
        return code_asked(form, 422)
    return enter(person, safe_path(form.next.data))


def first_code(form: FirstCodeForm, offer: Offer, status: int = 200) -> Answer:
    return render_template("account/second_step_set_up.html", form=form, offer=offer, picture=picture_of(offer)), status


@blueprint.post("/app")
def set_up_first() -> Answer:
    """The recovery codes are shown by this answer alone; the session begins with it."""
    found, form = half(), FirstCodeForm()
    offer = second_step.offer_to(found.person.id, sealed=form.sealed.data or "")
    is_sent, form.sealed.data = form.sealed.data or "", offer.sealed
    if not form.validate_on_submit():
        return first_code(form, offer, 422)
    try:
        person, codes = second_step.set_up_halfway(session["half"], is_sent, form.code.data, address=client_address())
    except Invalid as error:
        form.code.errors = [_(error.text)]
        return first_code(form, offer, 422)
    leads_to = enter(person, safe_path(form.next.data)).location
    return render_template("account/second_step_codes.html", codes=codes, leads_to=leads_to)


def picture_of(offer: Offer) -> str:
    """The QR code as an address of its own: nothing is fetched for it."""
    return segno.make(offer.uri, error="m").svg_data_uri(scale=5, light="#fff")


# ---- My Account ----------------------------------------------------------------------------------


HEADINGS = {
    "": _l("Second step"),
    "_set_up": _l("Set up the second step"),
    "_renew": _l("New recovery codes"),
    "_off": _l("Turn the second step off"),
    "_codes": _l("Recovery codes"),
}


def page(desk: Desk, part: str, status: int = 200, **context: Any) -> Answer:
    """`part`: which of HEADINGS, and how the name of its template ends."""
    context |= {"heading": HEADINGS[part], "state": second_step.state_of(visitor().person_id)}
    return desk.page("second_step.html", status, part=f"account/_second_step{part}.html", **context)


def shown(desk: Desk) -> Answer:
    return page(desk, "", form=None)


def set_up(desk: Desk) -> Answer:
    me, form = visitor().person_id, SetUpForm() if request.method == "POST" else SetUpForm(formdata=None)
    is_sent = form.sealed.data or ""
    offer = second_step.offer_to(me, sealed=is_sent)
    form.sealed.data = offer.sealed

    def again(status: int = 200) -> Answer:
        return page(desk, "_set_up", status, form=form, offer=offer, picture=picture_of(offer))

    if request.method != "POST":
        return again()
    if not form.validate_on_submit():
        return again(422)
    return proved(desk, form, again, lambda: second_step.set_up(visitor(), is_sent, form.code.data, present=form.present.data))


def renew_codes(desk: Desk) -> Answer:
    return with_password(desk, "_renew", lambda present: second_step.renew_codes(visitor(), present=present))


def turn_off(desk: Desk) -> Answer:
    return with_password(desk, "_off", lambda present: second_step.turn_off(visitor(), present=present))


def with_password(desk: Desk, part: str, act: Callable[[str], list[str] | None]) -> Answer:
    """A page that asks for the present password and then acts."""
    if request.method != "POST":
        return page(desk, part, form=PresentForm(formdata=None))
    form = PresentForm()
    if not form.validate_on_submit():
        return page(desk, part, 422, form=form)
    return proved(desk, form, lambda status: page(desk, part, status, form=form), lambda: act(form.present.data))


def proved(desk: Desk, form: Form, again: Callable[[int], Answer], act: Callable[[], list[str] | None]) -> Answer:
    """Acts, where the present password is right. Codes that come of it are shown by this answer alone."""
    try:
        codes = act()
    except Invalid as error:
        form.put(error)
        return again(422)
    except NotAllowed:
        refuse_present(form)
        return again(403)
    if codes is None:
        return to(f"{desk.side}.second_step", done="second-step-off")
    return page(desk, "_codes", form=None, codes=codes)
