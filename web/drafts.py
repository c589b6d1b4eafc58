"""Keeping what stands in a form as a draft, for both sides: by the page's script, or by *Keep as draft* without it."""

from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from flask import current_app, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RoutingException

from practice.db import new_key, now
from practice.drafts import ABOUT_MAX, DraftSent, draft_version
from practice.errors import NotVisible, Stale, TooMany
from web.answers import Answer
from web.asked import version_in
from web.errors import shown
from web.formats import clock, local
from web.formats import gettext as _
from web.gate import NEVER_KEPT, is_form_key, visitor


def keep_form(key: str, *, pages: Collection[str], keep: Callable[..., int], then: Callable[[str, str], Answer]) -> Answer:
    """Saves what stands in a form. Scripts get its new version, or 409 with the newer one; a browser is led to `then`.

    `pages`: the endpoints whose forms have drafts here; `keep`: save_draft or what does more, asked for key, about, values and
    seen; `then`: called with what happened (a code of web.answers, or nothing) and the key of what was kept.
    """
    about = request.form.get("about", "")
    if not is_form_key(key) or form_of(about) not in pages:
        raise NotVisible
    values = {name: request.form.getlist(name) for name in request.form if name not in (*NEVER_KEPT, "key")}
    if not any(v.strip() for vs in values.values() for v in vs) and "attach" not in request.form:  # files want a draft to lie in
        answer = {"version": 0, "said": _("Nothing is written yet.")}
        return _said(200, answer) if _is_script() else then("", key)
    try:
        version = keep(key=key, about=about, values=values, seen=version_in(request.form.get("draft_version")))
    except DraftSent:
        return _said(410, {}) if _is_script() else then("draft-sent", key)
    except TooMany:
        if _is_script():
            raise
        text = _(
            "You have very many drafts. Delete some under Drafts and send this one, or keep it then. Your text stands below."
        )
        return shown(429, heading=_("Not saved"), text=text)
    except Stale:
        beside = key
        if not _is_script() or "leaving" in request.form:  # nobody is there to be asked: both are kept; the list shows them
            beside = new_key()
            keep(key=beside, about=about, values=values, seen=None)
        newer = {"version": draft_version(visitor().person_id, key), "address": f"{about}?draft={key}"}
        return _said(409, newer) if _is_script() else then("draft-beside", beside)
    answer = {"version": version, "said": _("Draft saved at %(time)s", time=clock(local(now()).time()))}
    return _said(200, answer) if _is_script() else then("draft-kept", key)


def _is_script() -> bool:
    return request.accept_mimetypes.best == "application/json"


def _said(status: int, values: dict[str, Any]) -> Answer:
    return current_app.json.response(values), status  # type: ignore[return-value]


def form_of(about: str) -> str:
    """The endpoint of the page at this address; empty for what is no page of ours."""
    return page_at(about)[0]


def page_at(about: str) -> tuple[str, dict[str, Any]]:
    """The same, with what its address names."""
    if not about.startswith("/") or len(about) > ABOUT_MAX or "?" in about or "\0" in about:
        return "", {}
    return _page_at(about)


@lru_cache(maxsize=1024)
def _page_at(path: str) -> tuple[str, dict[str, Any]]:
    try:
        endpoint, values = current_app.url_map.bind("localhost").match(unquote(path), method="GET")
    except (HTTPException, RoutingException):
        return "", {}
    return endpoint, dict(values)
