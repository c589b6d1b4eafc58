"""Static files travel compressed and are kept for ever; no page is ever compressed."""

import gzip

import pytest
from werkzeug.test import Client, TestResponse

from tests.conftest import HOME, fresh_context
from web.headers import HEADERS, STATIC

FILES = (
    "/static/site.css?v=1",
    "/static/app.js?v=1",
    "/static/htmx/htmx.min.js?v=1",
    "/static/icons.svg?v=1",
    "/bootstrap/static/css/bootstrap.min.css?v=5",
)
GZIP = {"Accept-Encoding": "gzip, deflate, br"}


def ask(cast, path, how, method="GET"):
    answer = cast.anonymous._open(method, path, False, how)
    answer.close()
    return answer


def ask_as(player, path, how, htmx=False):
    """The checker of manners reads text: it is not asked about a compressed page."""
    with fresh_context(player.app):
        client = Client(player.app, TestResponse, use_cookies=False)
        return client.get(path, base_url=HOME, headers=player._headers(htmx) | how)


@pytest.mark.parametrize("path", FILES)
def test_a_static_file_is_compressed_for_whoever_reads_that_and_says_so_to_caches(cast, path):
    plain, packed = (ask(cast, path, how) for how in ({"Accept-Encoding": "identity"}, GZIP))
    assert plain.status_code == packed.status_code == 200
    assert "Content-Encoding" not in plain.headers and packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data and len(packed.data) < len(plain.data) * 0.5
    for one in (plain, packed):
        assert one.headers["Vary"] == "Accept-Encoding"
        assert one.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert int(one.headers["Content-Length"]) == len(one.data)
        assert "Set-Cookie" not in one.headers
        assert {name: one.headers[name] for name in HEADERS} == HEADERS
    assert plain.headers["ETag"] == packed.headers["ETag"]
    assert plain.mimetype == packed.mimetype


@pytest.mark.parametrize("how", [GZIP, {"Accept-Encoding": "identity"}], ids=["compressed", "plain"])
@pytest.mark.parametrize("path", FILES)
def test_whoever_has_the_file_gets_304_in_either_form(cast, path, how):
    first = ask(cast, path, how)
    again = ask(cast, path, how | {"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304 and not again.data
    assert again.headers["ETag"] == first.headers["ETag"] and again.headers["Vary"] == "Accept-Encoding"
    assert "Content-Encoding" not in again.headers
    other = ask(cast, path, how | {"If-None-Match": '"other"'})
    assert other.status_code == 200 and other.data == first.data


@pytest.mark.parametrize("path", FILES)
def test_head_says_what_get_would_send(cast, path):
    get, head = (ask(cast, path, GZIP, method) for method in ("GET", "HEAD"))
    assert not head.data
    for name in ("Content-Length", "Content-Encoding", "Content-Type", "ETag", "Vary", "Cache-Control"):
        assert head.headers[name] == get.headers[name]


def test_a_part_of_a_file_comes_as_it_is(cast):
    part = ask(cast, FILES[0], GZIP | {"Range": "bytes=0-9"})
    assert part.status_code == 206 and len(part.data) == 10 and "Content-Encoding" not in part.headers


@pytest.mark.parametrize("said", ["gzip;q=0", "br", ""])
def test_whoever_does_not_read_gzip_is_sent_none(cast, said):
    assert "Content-Encoding" not in ask(cast, FILES[0], {"Accept-Encoding": said}).headers


@pytest.mark.parametrize("site", ["cross-site", "same-site", None, "", "NONE", "same-origin, none"])
def test_a_page_that_another_site_may_have_asked_for_is_never_compressed(cast, site):
    """Its length would tell what stands in it (BREACH)."""
    for path in ("/", "/messages", "/messages/new"):
        page = cast.sophie.get(path, headers=GZIP | ({} if site is None else {"Sec-Fetch-Site": site}))
        assert page.status_code == 200 and "Content-Encoding" not in page.headers


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_a_patients_page_that_their_own_browser_asked_for_is_compressed(cast, site):
    cast.answer(cast.nina, cast.send(cast.sophie))
    for path, htmx in (("/", False), ("/messages", False), ("/messages", True), ("/messages/new", False)):
        plain = ask_as(cast.sophie, path, {"Sec-Fetch-Site": site}, htmx)
        packed = ask_as(cast.sophie, path, GZIP | {"Sec-Fetch-Site": site}, htmx)
        assert "Content-Encoding" not in plain.headers and packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed.data).startswith(plain.data[:200])
        assert packed.headers["Cache-Control"] == "no-store" and packed.headers["Vary"] == plain.headers["Vary"]
        assert int(packed.headers["Content-Length"]) == len(packed.data) < len(plain.data)


def test_an_invalid_form_comes_back_compressed_too(cast):
    how = GZIP | {"Sec-Fetch-Site": "same-origin"}
    cast.sophie.get("/messages/new")
    with fresh_context(cast.app):
        form = {"csrf_token": cast.sophie.token(), "key": "k", "title": ""}
        page = Client(cast.app, TestResponse, use_cookies=False).post(
            "/messages/new", base_url=HOME, headers=cast.sophie._headers(False) | {"Referer": f"{HOME}/"} | how, data=form
        )
    assert page.status_code == 422 and b"<form" in gzip.decompress(page.data)


def test_no_page_with_a_strangers_words_is_compressed(cast):
    how = GZIP | {"Sec-Fetch-Site": "same-origin"}
    for who, path in ((cast.anonymous, "/login"), (cast.sam, "/staff/"), (cast.ada, "/admin/communicators"), (cast.sophie, "/x")):
        page = who.get(path, headers=how)
        assert page.status_code in (200, 404) and "Content-Encoding" not in page.headers
    assert "Content-Encoding" not in ask(cast, "/static/nothing.css", how).headers


def test_every_address_of_files_is_known(app):
    assert {rule.endpoint for rule in app.url_map.iter_rules() if rule.endpoint.endswith("static")} == set(STATIC)
