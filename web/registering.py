"""Registering as a patient: answered the same whoever asks; by the link in the mail that follows the password is chosen."""

from dataclasses import replace
from typing import Any

from flask import Blueprint, render_template
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import EmailField, RadioField, StringField
from wtforms.fields import SelectChoice

from practice import registration
from practice.db import ANONYMOUS
from practice.errors import Invalid, NotVisible
from practice.people import Gender
from practice.registration import Said
from web.answers import Answer, notice, to
from web.formats import present_practice
from web.forms import DateField, Filled, Form, Meta, tidy
from web.gate import ANYONE, client_address, guard
from web.new_password import Way

blueprint = Blueprint("register", __name__, url_prefix="/register")
guard(blueprint, ANYONE)

REGISTRATION = Way(
    view="register.set_password",
    whose=registration.registering,
    choose=registration.finish_registration,
    is_for=_l("Your e-mail address is yours. After this you can log in."),
    instead=_l("Register once more, and open the link of the newest e-mail."),
    again="register.ask",
)
GENDERS = {Gender.FEMALE: _l("Female"), Gender.MALE: _l("Male"), Gender.OTHER: _l("Other"), Gender.UNKNOWN: _l("I do not say")}


class PersonFields:
    """The fields by which the practice knows somebody, wherever patients say them. How long they may be, the verbs say."""

    last_name = StringField(
        _l("Last name"),
        filters=[tidy],
        render_kw={"autocomplete": "family-name"},
    )
    first_name = StringField(
        _l("First name"),
        filters=[tidy],
        render_kw={"autocomplete": "given-name"},
    )
    dob = DateField(
        _l("Date of birth"),
        [Filled(_l("Write your date of birth."))],
        render_kw={"autocomplete": "bday"},
    )
    gender = RadioField(
        _l("Sex"),
        [Filled(_l("Choose one of the four."))],
        choices=[SelectChoice(gender.value, said) for gender, said in GENDERS.items()],
        validate_choice=False,
    )
    phone = StringField(
        _l("Phone"),
        filters=[tidy],
        render_kw={"autocomplete": "tel"},
    )

    def said(self: Any, email: str = "") -> Said:
        gender = Gender(self.gender.data) if self.gender.data in list(Gender) else Gender.UNKNOWN
        return Said(self.last_name.data or "", self.first_name.data or "", email, self.dob.data, gender, self.phone.data or "")


class RegisterForm(PersonFields, FlaskForm):
    Meta = Meta
    email = EmailField(
        _l("E-mail"),
        [Filled(_l("Write your e-mail address."))],
        filters=[tidy],
        render_kw={"autocomplete": "email"},
    )

    put = Form.put


def must_be_offered() -> None:
    if not present_practice().can_register:
        raise NotVisible


@blueprint.get("")
def ask() -> Answer:
    must_be_offered()
    return asked(RegisterForm(formdata=None))


@blueprint.post("")
def send_link() -> Answer:
    must_be_offered()
    form = RegisterForm()
    if not form.validate_on_submit():
        return asked(form, 422)
    try:
        registration.register(form.said(form.email.data), by=replace(ANONYMOUS, address=client_address()))
    except Invalid as error:
        form.put(error)
        return asked(form, 422)
    return to("register.ask", done="link-asked")


def asked(form: RegisterForm, status: int = 200) -> Answer:
    return render_template("account/register.html", form=form, is_asked=notice() == "link-asked"), status


@blueprint.get("/", defaults={"token": ""})
@blueprint.get("/<token>")
def new_password(token: str) -> Answer:
    return REGISTRATION.look(token)


@blueprint.post("/", defaults={"token": ""})
@blueprint.post("/<token>")
def set_password(token: str) -> Answer:
    return REGISTRATION.save(token)
