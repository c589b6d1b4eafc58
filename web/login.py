"""Log-in, log-out and staying logged in."""

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, current_app, g, redirect, render_template, request, session, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RoutingException
from werkzeug.wrappers import Response
from wtforms import EmailField, HiddenField, PasswordField

from practice import audit, drafts, second_step, sessions, throttle
from practice.db import ANONYMOUS, Actor
from practice.errors import TooMany
from practice.people import Kind, Person
from web.answers import is_htmx, notice
from web.formats import epoch
from web.forms import Filled, Meta
from web.gate import ANYONE, LOGGED_IN, allow, client_address, is_form_key, visitor

blueprint = Blueprint("login", __name__)


class LogInForm(FlaskForm):
    Meta = Meta
    email = EmailField(_l("E-mail"), [Filled(_l("Write your e-mail address."))], render_kw={"autocomplete": "username"})
    password = PasswordField(_l("Password"), [Filled(_l("Write your password."))], render_kw={"autocomplete": "current-password"})
    next = HiddenField()


def log_in_page(form: LogInForm | None = None, **context: Any) -> str:
    form = form or LogInForm(formdata=None, next=safe_path(request.args.get("next")))
    context = {"is_kept": request.args.get("kept") == "1", "posted": [], "notice": notice()} | context
    return render_template("account/login.html", form=form, **context)


@blueprint.get("/login")
@allow(ANYONE)
def log_in() -> str | Response:
    if g.visitor and not g.visitor.is_expired:
        return redirect(home_of(g.visitor.kind, g.visitor.is_admin), 303)
    return log_in_page()


@blueprint.post("/login")
@allow(ANYONE)
def check_log_in() -> Any:
    form = LogInForm()
    if not form.validate_on_submit():
        return log_in_page(form), 422
    try:
        person = throttle.password_of(form.email.data, form.password.data, address=client_address())
    except TooMany as error:
        return log_in_page(form, wait=error.retry_after), 429, {"Retry-After": str(error.retry_after)}
    if person is None:
        audit.note(by=replace(ANONYMOUS, address=client_address()), did="log_in_failed")
        form.email.errors = [_("E-mail or password is not right.")]
        return log_in_page(form), 422
    next_path = safe_path(form.next.data)
    if not second_step.asked_of(person.id):
        return enter(person, next_path)
    half = second_step.begin(person, by=Actor(person.id, person.name, address=client_address()))
    session.clear()
    session["half"] = half
    return redirect(url_for("second_step.ask", next=next_path or None), 303)


def enter(person: Person, next_path: str) -> Response:
    """Opens a session with a new key and a new CSRF seed, and leads to what waits: a kept form, the page asked for, or home."""
    by = Actor(person.id, person.name, address=client_address())
    key = sessions.open_session(person, by=by, device=device_of(request.headers.get("User-Agent", "")))
    throttle.remember(person.email, by.address)
    session.clear()
    session["key"] = key
    waiting = drafts.open_waiting_draft(person.id, by=by)
    if waiting and (path := safe_path(waiting[1])):
        return redirect(f"{path}?draft={waiting[0]}", 303)
    found = sessions.visitor_with(key)
    return redirect(next_path or home_of(person.kind, bool(found and found[0].is_admin)), 303)


def device_of(agent: str) -> str:
    """With what somebody logs in, as they would call it: "Firefox on Windows". Empty for what is not known."""
    browsers = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "FxiOS": "Firefox", "Chrome": "Chrome", "CriOS": "Chrome"}
    systems = {"iPhone": "iPhone", "iPad": "iPad", "Android": "Android", "Windows": "Windows", "Mac OS": "Mac", "Linux": "Linux"}
    browser = next((name for sign, name in (browsers | {"Safari": "Safari"}).items() if sign in agent), "")
    system = next((name for sign, name in systems.items() if sign in agent), "")
    return f"{browser} on {system}" if browser and system else browser or system


def home_of(kind: Kind, is_admin: bool) -> str:
    if kind == Kind.PATIENT:
        return url_for("portal.home")
    return url_for("admin.home" if is_admin else "staff.inbox")


@blueprint.post("/logout")
@allow(LOGGED_IN)
def log_out() -> Response:
    sessions.end_session(visitor())
    session.clear()
    response = redirect(url_for("login.log_in", done="logged-out"), 303)
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


@blueprint.post("/stay")
@allow(LOGGED_IN)
def stay() -> Any:
    """Moves the idle end at once. htmx and scripts get the new end in milliseconds since 1970."""
    g.visitor = sessions.seen(visitor(), always=True)
    if is_htmx() or request.accept_mimetypes.best == "application/json":
        return {"ends": epoch(g.visitor.session_ends_at)}
    back = safe_path(urlsplit(request.headers.get("Referer", "")).path)
    return redirect(back or home_of(visitor().kind, visitor().is_admin), 303)


def safe_path(path: str | None) -> str:
    """The path of a page of ours that a GET may open, rebuilt from the match, with its `draft`; empty for anything else."""
    path, _, query = (path or "").partition("?")
    if not path.startswith("/") or len(path) > 300 or "\\" in path or path.startswith("//"):
        return ""
    try:
        adapter = current_app.url_map.bind("localhost")
        endpoint, values = adapter.match(path, method="GET")
    except (HTTPException, RoutingException):
        return ""
    draft = query.removeprefix("draft=")  # the one thing beside the path that is carried along: the form that was open
    if query.startswith("draft=") and is_form_key(draft):
        values = {**values, "draft": draft}
    return "" if endpoint.endswith("static") or endpoint.startswith("login.") else url_for(endpoint, **values)
