"""The headers of every answer: pages, fragments, redirects, errors and files."""

from flask import Flask, Response, g, request

from web.formats import epoch

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; frame-src 'none'; frame-ancestors 'none'"
)
FILE_POLICY = "default-src 'none'; sandbox"  # of what strangers have written: nothing in it ever runs
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Robots-Tag": "noindex, nofollow",
}
TRANSPORT = "max-age=63072000; includeSubDomains"
ONE_TIME = "origin"  # where the address itself is a secret: no page it leads to is told it, not even ours
SECRET_PATHS = ("/invitation/", "/reset/", "/register/", "/new-email/")
STATIC = ("static", "bootstrap.static")
FILES = (
    *("portal.file", "portal.draft_file", "portal.document_file"),
    *("staff.file", "staff.draft_file", "staff.document_file", "admin.file"),
    *("portal.take_copy", "staff.take_copy"),
)
LOGO = "logo.picture"  # its address changes with it


def set_up(app: Flask) -> None:
    is_https = app.config["PORTAL_URL"].startswith("https:")

    @app.after_request
    def add_headers(response: Response) -> Response:
        endpoint, visitor = request.endpoint, g.get("visitor")
        for name, value in HEADERS.items():
            response.headers[name] = value
        if endpoint in FILES and response.mimetype != "text/html":  # the file, not the page that refuses it
            response.headers["Content-Security-Policy"] = FILE_POLICY
        if request.path.startswith(SECRET_PATHS):
            response.headers["Referrer-Policy"] = ONE_TIME
        if is_https:
            response.headers["Strict-Transport-Security"] = TRANSPORT
        is_kept = endpoint == LOGO or (endpoint in STATIC and "v" in request.args)
        if is_kept and response.status_code in (200, 304):
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        else:
            response.headers["Cache-Control"] = "no-store"
        if endpoint != LOGO and visitor and not visitor.is_expired:
            response.headers["Session-Ends"] = str(epoch(visitor.session_ends_at))  # for the countdown of an open page
        if endpoint not in STATIC:
            response.headers["Vary"] = "Cookie, HX-Request"
        return response
