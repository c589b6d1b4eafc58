"""The gate: every request passes it before a view runs. Host, origin, session, CSRF, role, in this order; the owner is the
view's own first question. A view that does not declare who may is answered to nobody."""

import re
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from flask import Blueprint, Flask, abort, current_app, g, request, session, url_for
from flask_login import LoginManager, current_user
from flask_wtf.csrf import CSRFProtect
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RoutingException

from practice import audit, conversations, sessions
from practice.db import new_key
from practice.drafts import ABOUT_MAX, DraftSent, save_draft
from practice.errors import Stale, TooMany
from practice.people import Kind
from practice.sessions import Visitor
from web.asked import version_in

csrf = CSRFProtect()
login_manager = LoginManager()
login_manager.session_protection = None  # it would read forwarded addresses and write into the cookie

ANYONE, PATIENT, STAFF, ADMIN, LOGGED_IN = "anyone", "patient", "staff", "admin", "logged in"
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
FIELDS = 20_000  # of a form; a communicator with everybody in charge has thousands

View = TypeVar("View", bound=Callable[..., Any])


def allow(who: str) -> Callable[[View], View]:
    """Declares who may call a view."""

    def declare(view: View) -> View:
        view.allowed = who  # type: ignore[attr-defined]
        return view

    return declare


def guard(blueprint: Blueprint, who: str) -> None:
    """Declares who may call the views of a blueprint, unless a view declares it for itself."""
    blueprint.allowed = who  # type: ignore[attr-defined]


def drafts_to(endpoint: str) -> Callable[[View], View]:
    """Where a form sent to this view opens again, when it is not the same address."""

    def declare(view: View) -> View:
        view.form_page = endpoint  # type: ignore[attr-defined]
        return view

    return declare


def says_form_page(view: View) -> View:
    """A view that saves drafts: the form itself says (in `about`) on which page it opens again."""
    view.says_form_page = True  # type: ignore[attr-defined]
    return view


def upload(most: int, *, too_large: Callable[..., Any] | None = None) -> Callable[[View], View]:
    """Declares that a view takes a file of up to `most` bytes, more than other forms may have. `too_large`: what answers in
    the view's place, with its arguments, where more comes; else an error page does."""

    def declare(view: View) -> View:
        view.upload_max = most  # type: ignore[attr-defined]
        view.too_large = too_large  # type: ignore[attr-defined]
        return view

    return declare


def who_may(app: Flask, endpoint: str) -> str | None:
    """What the view or its blueprint declares; None: nothing, and so nobody."""
    view = app.view_functions.get(endpoint)
    declared = getattr(view, "allowed", None)
    if declared is None and "." in endpoint:
        declared = getattr(app.blueprints.get(endpoint.rsplit(".", 1)[0]), "allowed", None)
    return declared


def is_allowed(who: str | None, visitor: Visitor | None) -> bool:
    """Role against declaration; the whole table of roles."""
    if who == ANYONE:
        return True
    if visitor is None or who is None:
        return False
    return {
        LOGGED_IN: True,
        PATIENT: visitor.kind == Kind.PATIENT,
        STAFF: visitor.kind == Kind.STAFF,
        ADMIN: visitor.kind == Kind.STAFF and visitor.is_admin,
    }[who]


def visitor() -> Visitor:
    """The person that the gate let in."""
    return current_user._get_current_object()


class LogInFirst(Exception):
    """Nobody, or nobody any more, is logged in: the log-in page answers. `is_kept`: the form that was sent waits as a draft."""

    def __init__(self, *, is_kept: bool = False, is_sent: bool = False) -> None:
        self.is_kept, self.is_sent = is_kept, is_sent


class CrossSite(Exception):
    """The request comes from another site."""


@login_manager.request_loader
def load_visitor(_: Any) -> Visitor | None:
    found = getattr(g, "visitor", None)
    return found if found and not found.is_expired else None


def set_up(app: Flask) -> None:
    csrf.init_app(app)
    login_manager.init_app(app)
    app.before_request(pass_gate)


def pass_gate() -> None:
    """Raises what the error pages answer: CrossSite 403, CSRFError 400, LogInFirst, 403."""
    endpoint = request.endpoint
    if endpoint in ("static", "bootstrap.static", "web.healthz", "metrics.metrics"):
        return
    is_unsafe = request.method in UNSAFE
    if is_unsafe and not is_same_origin():
        raise CrossSite
    known = g.visitor = g.practice = None
    key = session.get("key")
    if isinstance(key, str) and (found := sessions.visitor_with(key, address=client_address())):
        known, g.practice = found
        g.visitor = known
    if endpoint is None:
        return  # no view will run: 404 or 405
    who = who_may(current_app, endpoint)
    present = known if known and not known.is_expired else None
    if (most := getattr(current_app.view_functions[endpoint], "upload_max", 0)) and is_allowed(who, present):
        request.max_content_length = most  # before anything reads the form, and for nobody who may not send it
    if request.mimetype == "application/x-www-form-urlencoded" and request.get_data().count(b"&") > FIELDS:
        request.form = ImmutableMultiDict()  # no page shows them either
        abort(413)
    csrf.protect()  # of unsafe methods only
    if not is_allowed(who, present):
        if present:
            audit.note(by=present.actor, did="denied", about=endpoint[:80])
            abort(403)
        if is_unsafe and known:
            is_sent = conversations.was_sent(known.person_id, request.form.get("key", "").replace("\0", ""))
            raise LogInFirst(is_sent=is_sent, is_kept=not is_sent and keep_form(known))
        raise LogInFirst
    if any("\0" in str(value) for value in (*(request.view_args or {}).values(), *request.args.values())):
        abort(404)  # no key has it, and PostgreSQL takes no text with it
    if present and not is_poll():
        g.visitor = sessions.seen(present)


def is_same_origin() -> bool:
    """`Sec-Fetch-Site` where the browser sends it, else `Origin`; an old client sends neither."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        return site in ("same-origin", "none")
    if origin is not None:
        return urlsplit(origin)[:2] == urlsplit(current_app.config["PORTAL_URL"])[:2]
    return True


def client_address() -> str | None:
    """From where: the peer, or what the configured proxy, and nobody else, says of its client."""
    peer, said = request.remote_addr, request.headers.get("X-Forwarded-For", "")
    if peer and peer == current_app.config.get("PROXY_ADDRESS"):
        peer = said.rpartition(",")[2].strip()
    return peer[:45] if peer and re.fullmatch(r"[0-9a-fA-F:.]+", peer) else None


def is_poll() -> bool:
    """A page that asks again by itself: it never keeps anybody logged in."""
    return request.headers.get("X-Poll") == "1"


SECRET = ("csrf_token", "present", "password", "password_again", "code", "sealed")
NEVER_KEPT = (*SECRET, "about", "draft_version", "over", "leaving", "reviewed", "warned", "canned", "attach")


def keep_form(expired: Visitor) -> bool:
    """Saves a form that came after the session's end as that person's draft. True when there was something to keep."""
    if request.endpoint is None:
        return False
    if not is_allowed(who_may(current_app, request.endpoint), expired):
        return False
    view = current_app.view_functions[request.endpoint]
    values = {name: request.form.getlist(name) for name in request.form if name not in NEVER_KEPT}
    key = request.form.get("key", "")
    if not any(v.strip() for name, vs in values.items() if name != "key" for v in vs) or not is_form_key(key):
        return False
    if getattr(view, "says_form_page", False):
        about = request.form.get("about", "")
    else:
        about = url_for(getattr(view, "form_page", request.endpoint), **(request.view_args or {}))
    if len(about) > ABOUT_MAX or "\0" in about or not is_page(unquote(about)):
        return False  # it could not be opened again: the log-in page shows the text to copy
    draft: dict[str, Any] = {"about": about, "values": values, "by": expired.actor, "waits": True}
    seen = version_in(request.form.get("draft_version")) if "draft_version" in request.form else None
    try:
        save_draft(expired.person_id, key=key, seen=seen, **draft)
    except (DraftSent, TooMany):
        return False
    except Stale:  # another tab or device has a newer one: both are kept
        save_draft(expired.person_id, key=new_key(), **draft)
    return True


def is_form_key(key: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9_-]{1,22}", key) is not None


def is_page(path: str) -> bool:
    """Whether a GET may open this address."""
    try:
        current_app.url_map.bind("localhost").match(path, method="GET")
    except (HTTPException, RoutingException):
        return False
    return True
