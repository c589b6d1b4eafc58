"""The headers of every answer: pages, fragments, redirects, errors and files."""

from flask import Flask, Response, g, request

from web.formats import epoch

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; frame-src 'none'; frame-ancestors 'none'"
)
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
STATIC = ("static", "bootstrap.static")


def set_up(app: Flask) -> None:
    is_https = app.config["PORTAL_URL"].startswith("https:")

    @app.after_request
    def add_headers(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers[name] = value
        if is_https:
            response.headers["Strict-Transport-Security"] = TRANSPORT
        if request.endpoint in STATIC and response.status_code in (200, 304) and "v" in request.args:
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        else:
            response.headers["Cache-Control"] = "no-store"
        if g.get("visitor") and not g.visitor.is_expired:
            response.headers["Session-Ends"] = str(epoch(g.visitor.session_ends_at))  # for the countdown of an open page
        if request.endpoint not in STATIC:
            response.headers["Vary"] = "Cookie, HX-Request"
        return response
