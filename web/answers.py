"""How views answer: pages, fragments and redirects, for a browser and for htmx."""

from typing import Any

from flask import Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

Answer = str | tuple[str, int] | tuple[str, int, dict[str, str]] | BaseResponse

NOTICES = (
    "sent",
    "taken",
    "saved",
    "deleted",
    "removed",
    "restored",
    "closed",
    "received",
    "answered",
    "noted",
    "handed",
    "claimed",
    "entrusted",
    "transferred",
    "end-of-list",
    "duplicate",
    "released",
    "ended",
    "merged",
    "undone",
    "logged-out",
    "password-set",
    "disabled",
    "enabled",
    "imported",
    "discarded",
    "link-ended",
    "draft-kept",
    "draft-beside",
    "draft-deleted",
    "draft-sent",
    "recalled",
    "hidden",
    "shown-again",
    "cancelled",
    "step",
    "tried",
    "picked",
    "password-changed",
    "link-asked",
    "link-sent",
    "email-changed",
    "invited",
    "asked",
    "refused",
    "matched",
    "logged-out-there",
    "log-in-over",
    "second-step-off",
    "second-step-reset",
)
"""What a page may say after a redirect, by code: words never travel in addresses or cookies."""


def is_htmx() -> bool:
    """Asked by htmx for a fragment. Going back in history it wants the whole page."""
    return request.headers.get("HX-Request") == "true" and request.headers.get("HX-History-Restore-Request") != "true"


def to(endpoint: str, **values: Any) -> BaseResponse:
    """After a write: 303 for a browser, HX-Redirect for htmx."""
    url = url_for(endpoint, **values)
    if is_htmx():
        return Response(status=200, headers={"HX-Redirect": url})
    return redirect(url, 303)


def page(template: str, fragment: str, status: int = 200, **context: Any) -> tuple[str, int]:
    """The page, or only its fragment where htmx asked for it."""
    return render_template(fragment if is_htmx() else template, **context), status


def notice() -> str | None:
    """The code of what just happened, if it is one of ours."""
    code = request.args.get("done")
    return code if code in NOTICES else None
