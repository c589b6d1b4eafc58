"""The manners of a page: what every answer of the portal must keep, checked on all that the tests open."""

from html.parser import HTMLParser
from typing import Any

from werkzeug.test import TestResponse

from web.headers import FILE_POLICY, HEADERS, ONE_TIME, SECRET_PATHS

VOID = {"input", "meta", "link", "br", "hr", "img", "use", "path", "circle", "line", "rect", "source", "wbr"}


class Elements(HTMLParser):
    """The start tags of a page with their attributes, and which of them stand inside a form."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], int]] = []
        self.forms: list[dict[str, str | None]] = []
        self._form, self.title, self._in_title = -1, "", False
        self._label_depth = 0
        self.labelled: set[int] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice: {names}"
        if tag == "form":
            self.forms.append(attributes)
            self._form = len(self.forms) - 1
        if tag == "label":
            self._label_depth += 1
        if tag in ("input", "select", "textarea") and self._label_depth:
            self.labelled.add(len(self.found))
        self._in_title = tag == "title"
        self.found.append((tag, attributes, self._form))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = -1
        if tag == "label":
            self._label_depth -= 1
        self._in_title = False

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data


def check_manners(response: TestResponse, *, is_fragment: bool, may_fail: bool = False) -> None:
    """Fails with a sentence where an answer forgets its manners."""
    is_secret = response.request.path.startswith(SECRET_PATHS)
    is_file = ("/files/" in response.request.path or response.request.path.endswith("/file")) and response.mimetype != "text/html"
    wanted = HEADERS | ({"Referrer-Policy": ONE_TIME} if is_secret else {})
    for name, value in (wanted | ({"Content-Security-Policy": FILE_POLICY} if is_file else {})).items():
        assert response.headers.get(name) == value, f"header {name} is {response.headers.get(name)!r}, not {value!r}"
    if not response.request.path.startswith(("/static", "/bootstrap", "/practice/logo/")):
        assert response.headers.get("Cache-Control") == "no-store", "a page may be kept by a cache: no-store is missing"
        assert response.headers.get("Vary", "").startswith("Cookie, HX-Request")
    assert response.status_code < 500 or response.status_code == 503 or may_fail, f"{response.request.path}: {response.status}"
    if response.mimetype != "text/html" or not response.data or response.status_code in (301, 302, 303):
        return
    html = response.get_data(as_text=True)
    page = Elements(html)
    tags = [tag for tag, _, _ in page.found]
    if not is_fragment:
        assert html.lstrip().lower().startswith("<!doctype html>"), "a page without JavaScript is a whole page"
        assert tags.count("h1") == 1, f"{tags.count('h1')} h1 on {response.request.path}: give each page exactly one"
        assert page.title.strip(), "the page has no title"
        assert tags.count("main") == 1
    ids = [a["id"] for _, a, _ in page.found if "id" in a]
    twice = {i for i in ids if ids.count(i) > 1}
    assert not twice, f"ids used twice on {response.request.path}: {twice}"
    _check_fields(page, set(filter(None, (a.get("for") for t, a, _ in page.found if t == "label"))))
    for tag, attributes, _ in page.found:
        assert "style" not in attributes, f"<{tag}> has an inline style: use a class of site.css"
        handlers = [n for n in attributes if n.startswith(("on", "hx-on"))]
        assert not handlers, f"<{tag}> has handlers {handlers}: put them into app.js"
        assert tag != "script" or attributes.get("src"), "an inline script: put it into app.js"
    for number, form in enumerate(page.forms):
        if (form.get("method") or "get").lower() == "post" or "hx-post" in form:
            names = [a.get("name") for t, a, f in page.found if f == number and t == "input"]
            assert "csrf_token" in names, f"the form to {form.get('action')} has no CSRF field: use hidden(form)"


def _check_fields(page: Elements, labels: set[str]) -> None:
    for position, (tag, attributes, _) in enumerate(page.found):
        kind: Any = attributes.get("type") or "text"
        if tag not in ("input", "select", "textarea") or kind in ("hidden", "submit", "button"):
            continue
        is_named = "aria-label" in attributes or "aria-labelledby" in attributes or position in page.labelled
        assert is_named or attributes.get("id") in labels, f"{tag} {attributes.get('name')!r} has no label"
