"""Every refusal becomes a page (or a fragment for htmx) that says what to do and gives back what was written."""

import contextlib
import errno
import time
from typing import Any

import sqlalchemy as sa
from flask import Flask, Response, current_app, g, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import HTTPException, SecurityError
from werkzeug.wrappers import Response as BaseResponse

from practice import audit
from practice.db import new_key
from practice.drafts import draft_values
from practice.errors import NotAllowed, Refused, SentBefore, TooMany
from practice.people import Kind
from practice.settings import MenuItem, SwitchedOff, is_on
from web.answers import is_htmx
from web.formats import number, present_practice, thread_title
from web.gate import NEVER_KEPT, SECRET, UNSAFE, CrossSite, LogInFirst, is_form_key
from web.login import log_in_page

KNOWN = (400, 401, 403, 404, 405, 409, 413, 422, 429, 500, 503)
HIDDEN = ("key", "version", "seen", "did", "tick", "matching", "batch")  # what the form carried and nobody wrote
AGAIN = (400, 503)  # sending the very form once more may succeed, and cannot send twice


def words_of(status: int) -> tuple[str, str]:
    """Heading and text for a status."""
    return {
        400: (
            _("This could not be taken"),
            _("The page was open for too long or came from an older log-in. Nothing was sent."),
        ),
        401: (_("Please log in"), _("You are not logged in any more. Nothing was sent.")),
        403: (_("This is not for your account"), _("Your account may not open this page.")),
        404: (
            _("This page is not here"),
            _("It may be for somebody else by now. Nothing was sent this time: what you wrote stands here, to be copied.")
            if request.method in UNSAFE
            else _("The address may be mistyped, or the page may be for somebody else. Nothing you sent is lost."),
        ),
        405: (_("This address does not do that"), _("Open the page and use its buttons.")),
        409: (_("Somebody was faster"), _("This has changed since you opened it. Open it again to see how it is now.")),
        413: (_("This is too large"), _("Make it shorter and send it again. Nothing was sent.")),
        422: (_("Something is missing"), _("Go back, correct what you entered and send it again. Nothing was sent.")),
        429: (
            _("Too many at once"),
            _("You have sent a lot in a short time. Please wait and try again. Nothing was sent."),
        ),
        503: (_("Please try again in a moment"), _("We could not save this just now. It is not sent.")),
    }.get(status, (_("Something went wrong"), _("This is our mistake, not yours. What you wrote was not sent.")))


def posted(but: tuple[str, ...] = NEVER_KEPT) -> list[tuple[str, str]]:
    """What was written in the form that is refused, to be copied."""
    if request.method not in UNSAFE:
        return []
    try:
        return [(n, v) for n in request.form for v in request.form.getlist(n) if n not in but and v.strip()]
    except (HTTPException, OSError, ParseException):
        return []  # too large to be read, or to be laid down, or garbled


def shown(status: int, **context: Any) -> Response:
    """The error page of a status, or its fragment aimed at the alert area."""
    heading, text = words_of(status)
    values: dict[str, Any] = {
        "status": status,
        "home": home(),
        "heading": heading,
        "text": text,
        "request_id": g.get("request_id") or new_key(),  # of its line in the log
        "posted": [(n, v) for n, v in posted() if n not in HIDDEN],
        "resend": posted(SECRET) if status in AGAIN and request.method == "POST" else [],
    }
    template = "errors/_error.html" if is_htmx() else "errors/error.html"
    response = make_response(render_template(template, **values | context), status)
    if is_htmx():
        response.headers["HX-Retarget"], response.headers["HX-Reswap"] = "#alerts", "innerHTML"
    return response


def home() -> str:
    """Where the person who sees the error begins."""
    found = g.get("visitor")
    return url_for("portal.home" if found is None or found.kind == Kind.PATIENT else "staff.inbox")


def set_up(app: Flask) -> None:
    for error, handler in (
        (Refused, refused),
        (LogInFirst, log_in_first),
        (CrossSite, lambda _e: shown(403)),
        (CSRFError, lambda _e: shown(400)),
        (HTTPException, http_error),
        (ParseException, lambda _e: shown(400)),  # the server reads the body only when a view asks for it
        (sa.exc.OperationalError, not_now),
        (sa.exc.InterfaceError, not_now),
        (sa.exc.TimeoutError, not_now),
        (sa.exc.InternalError, not_writable),
        (sa.exc.ProgrammingError, not_writable),
        (OSError, no_room),
        (Exception, failed),
    ):
        app.register_error_handler(error, handler)


def refused(error: Refused) -> Response:
    if isinstance(error, SwitchedOff):
        return not_there(heading=_("This is switched off"), text=how_else(error))
    if error.status == 404:
        return not_there()
    if isinstance(error, SentBefore):
        return sent_before(error)
    if isinstance(error, NotAllowed) and error.status == 403 and g.get("visitor"):
        audit.note(by=g.visitor.actor, did="denied", about=request.path.replace("\0", "")[:80])
    response = shown(error.status)
    if isinstance(error, TooMany):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def sent_before(error: SentBefore) -> Response:
    """The key was sent with other words: both are shown, and the new ones may be sent as a message of their own."""
    again = [(n, v) for n, v in posted() if n != "key"] + [("key", new_key())]
    return shown(
        409,
        heading=_("You have sent this form before, with other words"),
        text=_("Your first message arrived. The text below is not sent."),
        before=f"{thread_title(error.title)}\n\n{error.body}",
        resend=again,
        resend_label=_("Send as new message"),
    )


def how_else(error: SwitchedOff) -> str:
    """How a patient can ask for what the portal does not offer now."""
    practice = present_practice()
    said = [_("The practice does not offer this here now."), _("Nothing was sent.") if request.method in UNSAFE else ""]
    if practice.phone:
        said.append(_("To ask for it, call %(phone)s.", phone=practice.phone))
    else:
        said.append(_("To ask for it, call the practice or go there."))
    if error.item != MenuItem.MESSAGE and is_on(practice, MenuItem.MESSAGE):
        said.append(_("You can also write a message."))
    said.append(_("What you sent before stands under Messages."))
    return " ".join(filter(None, said))


def not_there(**words: str) -> Response:
    """The same page for what does not exist and for what is somebody else's; a person who asked leaves a row."""
    if not (g.get("visitor") and request.endpoint):
        return shown(404, **words)
    try:
        audit.note(by=g.visitor.actor, did="denied", about=request.path.replace("\0", "")[:80])
    except sa.exc.OperationalError as error:
        return not_now(error)
    kept = draft_values(g.visitor.person_id, request.args.get("draft", "").replace("\0", "")) or {}
    more = {"posted": [(n, v) for n, vs in kept.items() for v in vs if v.strip() and n not in HIDDEN]} if kept else {}
    return shown(404, **words, **more)


def http_error(error: HTTPException) -> BaseResponse:
    if isinstance(error, SecurityError):  # a host that is not ours: no address can be made for a page
        return Response("This address is not ours.", 400, mimetype="text/plain")
    if error.response is not None or error.code is None or error.code < 400:
        return error.get_response()
    if error.code == 405 and request.method == "GET" and not g.get("visitor"):
        return log_in_first(LogInFirst())  # the page of a form that was sent, asked for anew after the session's end
    if error.code == 413:
        take_in_rest()
        if most := upload_max():
            return _too_large(most)
    response = shown(error.code if error.code in KNOWN else 400 if error.code < 500 else 500)
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After"):
            response.headers[name] = value
    return response


def upload_max() -> int:
    """How many bytes the view takes from who asks, where it takes files; 0 where it takes none."""
    most = getattr(current_app.view_functions.get(request.endpoint or ""), "upload_max", 0)
    return most if request.max_content_length == most else 0  # who may not send a file has the limit of other forms


def _too_large(most: int) -> BaseResponse:
    """What to do about a file that is too large: said by the view where it can say more."""
    answer: Any = getattr(current_app.view_functions[request.endpoint or ""], "too_large", None)
    if answer:
        try:
            return make_response(answer(**(request.view_args or {})))
        except Refused as error:
            return refused(error)
    size = number(most // 1024 // 1024)
    text = _("A file may have at most %(size)s MB. Go back and choose a smaller one, or split it. Nothing was sent.", size=size)
    return shown(413, text=text)


TAKEN_IN, TAKES = 100 * 1024 * 1024, 10  # bytes, seconds


def take_in_rest() -> None:
    """Reads and forgets what is too large to be taken, within bounds: who is cut off while sending shows no answer of ours."""
    length, stream = request.content_length or 0, request.environ["wsgi.input"]
    is_untouched = length > (request.max_content_length or 0)
    if not is_untouched and not request.environ.get("wsgi.input_terminated"):
        return  # a server that would wait for more
    left, until = min(length or TAKEN_IN, TAKEN_IN), time.monotonic() + TAKES
    with contextlib.suppress(OSError):
        while left > 0 and time.monotonic() < until and (part := stream.read(min(left, 64 * 1024))):
            left -= len(part)


def log_in_first(error: LogInFirst) -> BaseResponse:
    if request.method not in UNSAFE:
        if is_htmx():
            return Response(status=401, headers={"HX-Redirect": url_for("login.log_in")})
        return redirect(url_for("login.log_in", next=page_asked_for()), 303)
    written = [] if error.is_kept or error.is_sent else posted()
    if is_htmx() and not written:
        return Response(status=401, headers={"HX-Redirect": url_for("login.log_in", kept=int(error.is_kept))})
    if is_htmx():
        return shown(401)
    response = make_response(log_in_page(is_kept=error.is_kept, posted=written), 401)
    if error.is_kept:
        response.headers["Location"] = url_for("login.log_in", kept=1)  # for a script, which cannot show this page
    return response


def page_asked_for() -> str:
    """The address to come back to after the log-in; of what stands behind its path only the draft."""
    draft = request.args.get("draft", "")
    return f"{request.path}?draft={draft}" if is_form_key(draft) else request.path


def not_now(error: Exception) -> Response:
    current_app.logger.warning("nothing can be stored: %s", type(getattr(error, "orig", None) or error).__name__)
    response = shown(503)
    response.headers["Retry-After"] = "5"
    return response


NOT_WRITABLE = ("25006", "42501")  # PostgreSQL's codes: it is read-only, or we have no right to


def not_writable(error: sa.exc.DBAPIError) -> Response:
    """A standby after a change-over, or rights that were not given, are no mistake of the page."""
    return not_now(error) if getattr(error.orig, "sqlstate", "") in NOT_WRITABLE else failed(error)


def no_room(error: OSError) -> Response:
    """A disk that is full is no mistake of the page."""
    return not_now(error) if error.errno in (errno.ENOSPC, errno.EDQUOT) else failed(error)


def failed(error: Exception) -> Response:
    current_app.logger.error("the request failed", exc_info=error)
    return shown(500)
