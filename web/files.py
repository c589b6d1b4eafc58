"""What travels compressed: static files, and the pages of the patient's side where no stranger can weigh them.

The length of a compressed answer tells whoever watches the line what is alike in it: put a guess beside a secret, and the page is
shorter where the guess is right (BREACH). It takes pages that somebody else can have asked for in the victim's browser, again and
again, or fill with guesses. So a page is compressed only when the browser says that our own page or its person asked for it
(Sec-Fetch-Site), and only on the patient's side: the staff's and the admin's pages hold what strangers write, the log-in page
and errors outside what the address says. Whoever does not say is answered plainly. A proxy in front must compress no page.

Flask-Compress chooses by type and has no such conditions, WhiteNoise answers before the gate and our headers: neither was taken.
"""

import gzip
from functools import lru_cache

from flask import Flask, Response, request
from flask.sessions import SecureCookieSessionInterface, SessionMixin
from itsdangerous import URLSafeTimedSerializer

from web.headers import STATIC

SMALLER = ("text/css", "text/javascript", "application/javascript", "image/svg+xml")
OURS = ("same-origin", "none")  # a link or form of ours; an address typed, a bookmark
WORTH_IT = 1000  # bytes


@lru_cache(maxsize=64)
def _packed(content: bytes) -> bytes:
    return gzip.compress(content, 9, mtime=0)


class Sessions(SecureCookieSessionInterface):
    """Files are the same for everybody. Would their answers vary by the cookie, a browser would ask for all anew."""

    signing: URLSafeTimedSerializer | None = None

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """Made once: the keys stay while the application runs."""
        self.signing = self.signing or super().get_signing_serializer(app)
        return self.signing

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        if request.endpoint not in STATIC:
            super().save_session(app, session, response)


def set_up(app: Flask) -> None:
    app.session_interface = Sessions()

    @app.after_request
    def pack(response: Response) -> Response:
        is_wanted = request.accept_encodings.quality("gzip") > 0
        if request.endpoint in STATIC:
            return _pack_file(response, is_wanted)
        if is_wanted and may_pack(response):
            response.set_data(gzip.compress(response.get_data(), 5, mtime=0))
            response.content_encoding = "gzip"
        return response


def may_pack(response: Response) -> bool:
    """Whether nobody can learn from the length of this page."""
    is_asked_by_us = request.headers.get("Sec-Fetch-Site") in OURS
    is_page = request.blueprint == "portal" and response.mimetype == "text/html"
    return is_asked_by_us and is_page and len(response.get_data()) > WORTH_IT


def _pack_file(response: Response, is_wanted: bool) -> Response:
    if response.status_code not in (200, 304) or response.mimetype not in SMALLER:
        return response
    response.vary.add("Accept-Encoding")
    response.set_etag(
        response.get_etag()[0] or "", weak=True
    )  # one for both forms of the file: the same words, not the same bytes
    if response.status_code == 200 and is_wanted:
        response.direct_passthrough = False
        packed = _packed(response.get_data())
        response.close()  # the file behind it
        response.set_data(packed)
        response.content_encoding = "gzip"
        response.headers.pop("Accept-Ranges", None)
    return response
