"""Attacks tried on every form, page or header at once. Those on one part of the portal stand with its tests; `make scan`
lists them all by the ids in their names."""

import re
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from io import BytesIO

import pytest
import sqlalchemy as sa

from practice.db import WRITE, db, new_key
from practice.people import Person, Staff, email_key
from practice.threads import Message, Thread
from tests.conftest import HOME, Player
from tests.test_walk import ROUTES, domain, example, masked, url
from tests.test_walk import _somebody as somebody
from web.gate import who_may

POSTS = sorted({endpoint for endpoint, method in ROUTES if method == "POST"})
CANARY = "Wombat"
MARKUP = f"\"'><{CANARY.lower()} {CANARY.lower()}=1 onfocus=x hx-get=/x autofocus>{CANARY}"


def form_of(cast, endpoint):
    """Who sends the form of a view, from where to where, and with what in it."""
    made = example(cast, endpoint)
    player = made.get("player") or somebody(cast, who_may(cast.app, endpoint))
    return player, url(cast.app, endpoint, **made.get("own", {})), made.get("data") or {}, player.token() or player._first_token()


# ---- Forms ---------------------------------------------------------------------------------------------------


def rights():
    """Who is who, and who has which rights."""
    db.session.close()
    people = db.session.execute(sa.select(Person.id, Person.kind, Person.key).order_by(Person.id)).all()
    staff = db.session.execute(sa.select(Staff.id, Staff.is_admin, Staff.own_patient_id).order_by(Staff.id)).all()
    return {row.id: tuple(row) for row in people}, {row.id: tuple(row) for row in staff}


@pytest.mark.parametrize("endpoint", POSTS)
def test_a4_a55_fields_that_a_form_does_not_have_are_ignored(cast, endpoint):
    made = example(cast, endpoint)
    player = made.get("player") or somebody(cast, who_may(cast.app, endpoint))
    ids, threads = (
        {one.id for one in (cast.jihae, cast.ivan)},
        dict(db.session.execute(sa.select(Thread.id, Thread.patient_id)).all()),
    )
    written = set(db.session.scalars(sa.select(Message.id)))
    before = rights()
    more = {"role": "admin", "kind": "staff", "author": cast.ivan.key, "author_id": cast.ivan.id, "patient_id": cast.jihae.id}
    more |= {
        "state": "closed",
        "sent_at": "2001-01-01T00:00:00",
        "created_at": "2001-01-01T00:00:00",
        "id": "1",
        "by": cast.ivan.key,
    }
    more |= {"person_id": cast.jihae.id, "own_patient_id": cast.jihae.id, "password_hash": "x", "status": "active"}
    if endpoint not in ("admin.add_staff", "admin.save_staff"):  # whose form has it
        more |= {"is_admin": "y"}
    address = url(cast.app, endpoint, **made.get("own", {}))
    data = made.get("data") or {}
    player.post(address, {name: value for name, value in more.items() if name not in data} | data)
    after = rights()
    for old, new in zip(before, after, strict=True):
        kept = {number: row for number, row in new.items() if number in old}
        if endpoint in ("admin.link_patient", "admin.unlink_patient", "admin.merge_patients", "admin.undo_merge"):
            kept = {number: row[:2] + old[number][2:] for number, row in kept.items()}  # these say whose account it is
        if endpoint != "admin.save_staff":
            assert kept == {number: row for number, row in old.items() if number in new}
    new = db.session.scalars(sa.select(Message).where(Message.id.not_in(written))).all()
    assert all(one.author_id not in ids and one.sent_at.year > 2001 for one in new)
    if endpoint not in ("admin.merge_patients", "admin.undo_merge"):
        moved = dict(db.session.execute(sa.select(Thread.id, Thread.patient_id)).all())
        assert all(moved[number] == patient for number, patient in threads.items() if number in moved)
        begun = [patient for number, patient in moved.items() if number not in threads]
        assert cast.jihae.id not in begun or "patient" in data or "patient" in made.get("own", {})


@pytest.mark.parametrize("endpoint", POSTS)
def test_a17_a19_s3_a_token_or_a_method_in_another_place_is_none(cast, endpoint):
    """The token in the address or in plain text; POST named in the address or in a header of a GET."""
    player, address, data, token = form_of(cast, endpoint)
    before, data = domain(), {name: value for name, value in data.items() if isinstance(value, str)}
    assert player.open("POST", f"{address}?csrf_token={token}", data=data).status_code == 400
    plain = "&".join(f"{name}={value}" for name, value in {"csrf_token": token, **data}.items())
    assert player.open("POST", address, data=plain.encode(), content_type="text/plain").status_code == 400
    headers = {"X-HTTP-Method-Override": "POST", "X-HTTP-Method": "POST", "X-Method-Override": "POST", "X-CSRFToken": token}
    assert player.get(f"{address}?_method=POST&csrf_token={token}", headers=headers).status_code in (200, 303, 404, 405)
    assert domain() == before


def test_a18_a_link_logs_nobody_out_and_no_page_of_another_site_logs_anybody_in(cast):
    assert cast.sophie.get("/logout").status_code == 405 and cast.sophie.get("/account").status_code == 200
    form = {"email": "sophie@test.example", "password": "a long enough password"}
    browser = Player(cast.app)
    assert browser.post("/login", form, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert browser.post("/login", form, headers={"Origin": "https://evil.test"}).status_code == 403
    assert Player(cast.app).post("/login", form, token="").status_code == 400
    assert Player(cast.app).post("/login", form, token=cast.jihae.token()).status_code == 400


# ---- What is written -----------------------------------------------------------------------------------------


class Tags(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.found, self.links = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found += [tag, *(name for name, _ in attrs)]
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action")]


@pytest.fixture
def marked(cast):
    """A thread in which patient and staff have both written markup, and each page that shows it to somebody."""
    cast.change("Clinicians", staff=[cast.nina, cast.fay])
    with db.engines[WRITE].begin() as connection:
        connection.execute(sa.update(Person.__table__).where(Person.id == cast.sophie.id).values(first_name=MARKUP[:60]))
    key = cast.send(cast.sophie, title=MARKUP, body=MARKUP)
    cast.answer(cast.nina, key, MARKUP)
    cast.nina.post(f"/staff/messages/{key}/notes", {"key": new_key(), "body": MARKUP})
    draft = {"about": "/messages/new", "draft_version": "0", "title": MARKUP, "body": MARKUP}
    cast.sophie.post("/drafts/d1", draft)
    found = cast.sophie.post("/messages/search", {"box": "sent", "words": MARKUP}).location
    mine = (
        "/",
        "/messages",
        "/messages/sent",
        "/messages/drafts",
        "/messages/new?draft=d1",
        "/account",
        "/account/readers",
        found,
    )
    mine += (f"/messages/{key}", f"/messages/{key}/print")
    theirs = ("/staff/", "/staff/sent", *(f"/staff/messages/{key}{part}" for part in ("", "/reply", "/transfer", "/colleagues")))
    admins = (
        "/admin/patients",
        f"/admin/patients/{cast.sophie.key}",
        "/admin/audit",
        "/admin/overdue",
        f"/admin/threads/{key}/opening",
    )
    who = [(cast.sophie, mine), (cast.fay, theirs), (cast.ada, admins)]
    return [(player, page, {"htmx": htmx}) for player, pages in who for page in pages for htmx in (False, True)]


def test_s4_a20_a21_a22_a23_markup_stays_text_on_every_page_that_shows_it(cast, marked):
    shown = 0
    for player, page, how in marked:
        answer = player.get(page, **how)
        shown += CANARY in answer.text
        assert not {CANARY.lower(), "onfocus", "autofocus"} & set(Tags(answer.text).found), page
    assert shown > 15, "else the pages of this test show nothing of it"


def test_a26_a23_s4_no_word_of_anybody_stands_in_a_header(cast, marked):
    for player, page, how in marked:
        assert CANARY.lower() not in str(player.get(page, **how).headers).lower(), page
    for ending in ("\r\nSet-Cookie: a=b", "\nX-Injected: yes", "\u2028X-Injected: yes"):
        form = {"to": cast.communicator("Clinicians"), "title": CANARY + ending, "body": CANARY + ending, "key": new_key()}
        for htmx in (False, True):
            headers = cast.sophie.post("/messages/new", form, htmx=htmx).headers
            assert CANARY not in str(headers) and "X-Injected" not in headers and "a=b" not in str(headers)
        search = cast.sophie.post("/messages/search", {"box": "sent", "words": CANARY + ending}).headers
        assert CANARY not in str(search) and "X-Injected" not in search


def test_a24_an_address_in_a_text_is_no_link(cast):
    texts = (
        "javascript:alert(1)",
        "data:text/html,x",
        "https://evil.test/wombat",
        "[a](https://evil.test/wombat)",
        "//evil.test",
    )
    key = cast.send(cast.sophie, body="\n".join(texts))
    for player, page in ((cast.sophie, f"/messages/{key}"), (cast.nina, f"/staff/messages/{key}")):
        text = player.get(page).text
        assert "https://evil.test/wombat" in text
        assert not [link for link in Tags(text).links if "evil.test" in link or link.startswith(("javascript:", "data:"))]


# ---- Addresses, headers, bodies ------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["%", "_", "%%", "S_PHIE", "SOPH%", "\\", "' OR '1'='1", '") OR 1=1 --'])
def test_a27_a_wildcard_finds_itself_alone(cast, text):
    cast.send(cast.sophie, title="Of the inhaler", body="Nothing else")
    found = cast.fay.get(cast.fay.post("/staff/searches", {"last_name": text, "closed_too": "y"}).location)
    searched = cast.ada.post("/admin/patients/searches", {"last_name": text})
    listed = searched if searched.status_code == 422 else cast.ada.get(searched.location)
    assert f"/admin/patients/{cast.sophie.key}" not in listed.text
    page = cast.sophie.get(cast.sophie.post("/messages/search", {"box": "sent", "words": text}).location)
    assert ">Of the inhaler<" not in page.text and "KWON, SOPHIE" not in found.text


@pytest.mark.parametrize(
    "query", ["sort=password_hash", "sort=-id", "order=1;--", "per_page=1000000000", "per_page=-1", "page=-1", "limit=9"]
)
@pytest.mark.parametrize("page", ["/admin/communicators", "/admin/staff", "/admin/patients", "/staff/", "/messages"])
def test_a28_an_order_or_size_that_nobody_offers_changes_nothing(cast, page, query):
    player = cast.ada if "admin" in page else cast.fay if "staff" in page else cast.sophie
    for number in range(3):
        cast.send(cast.sophie, title=f"Number {number}")
    usual, odd = (masked(player.get(address).text) for address in (page, f"{page}?{query}"))
    links = r'(href|action|value|hx-get)="[^"]*"'  # may carry the query along
    assert re.sub(links, "", odd) == re.sub(links, "", usual)


def test_a29_a_hundred_thousand_fields_and_ten_megabytes_are_refused(cast):
    token, before = cast.sophie.token(), domain()
    many = f"csrf_token={token}&" + "&".join(f"f{n}=1" for n in range(100_000))
    large = f"csrf_token={token}&body=" + "a" * 10_000_000
    for body in (many, large):
        answer = cast.sophie.open("POST", "/messages/new", data=body, content_type="application/x-www-form-urlencoded")
        assert answer.status_code == 413
    parts = {"csrf_token": token} | {f"f{n}": "1" for n in range(200)}
    assert cast.sophie.open("POST", "/messages/new", data=parts, content_type="multipart/form-data").status_code == 413
    assert domain() == before


def test_a_file_full_of_what_parts_the_fields_of_a_form_is_a_file(cast):
    cast.sophie.post("/drafts/d1", {"about": "/messages/new", "draft_version": "0", "title": "T", "body": "B"})
    data = {"csrf_token": cast.sophie.token(), "file": (BytesIO(b"&" * 30_000), "a.txt")}
    assert cast.sophie.open("POST", "/drafts/d1/files", data=data, content_type="multipart/form-data").status_code == 303


def test_a33_what_a_client_says_of_itself_changes_nothing(cast):
    said = {"Remote-User": "ada", "X-Remote-User": "ada", "X-Original-URL": "/admin/menu", "X-Rewrite-URL": "/admin/menu"}
    said |= {"X-Forwarded-Host": "evil.test", "X-Forwarded-Proto": "http", "X-Forwarded-Prefix": "/evil", "X-Real-IP": "10.0.0.1"}
    assert cast.anonymous.get("/account", headers=said).location == "/login?next=/account"
    usual, odd = (masked(cast.sophie.get("/account", headers=headers).text) for headers in ({}, said))
    assert usual == odd and "evil" not in odd


POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; frame-src 'none'; frame-ancestors 'none'"
)
PROMISED = {
    "Content-Security-Policy": POLICY,
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Robots-Tag": "noindex, nofollow",
}


def promised(answer, *, is_static=False, **other):
    for name, value in (PROMISED | {name.replace("_", "-"): value for name, value in other.items()}).items():
        assert answer.headers.get(name) == value, f"{answer.request.path}, {answer.status}: {name}"
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control-") or name in ("Server", "X-Powered-By")]
    if not is_static:
        assert answer.headers["Cache-Control"] == "no-store" and "Cookie" in answer.headers["Vary"]


@pytest.mark.parametrize("endpoint", sorted({endpoint for endpoint, _ in ROUTES}))
def test_s2_a38_a39_a48_every_route_has_the_headers_that_are_promised(cast, endpoint):
    """Page, redirect to the log-in, and the refusal of a method; files have a policy of their own."""
    made = example(cast, endpoint)
    address = url(cast.app, endpoint, **made.get("own", {}))
    player = made.get("player") or somebody(cast, who_may(cast.app, endpoint))
    for answer in (player.get(address), cast.anonymous.get(address), player.open("PUT", address), player.post(address, token="")):
        other = {}
        if address.startswith(("/invitation/", "/reset/", "/register/", "/new-email/")):
            other["Referrer_Policy"] = "origin"
        if (
            answer.status_code in (200, 206)
            and answer.mimetype != "text/html"
            and ("/files/" in address or address.endswith("/file"))
        ):
            other["Content_Security_Policy"] = "default-src 'none'; sandbox"
        promised(answer, is_static=endpoint == "logo.picture", **other)


def test_s2_a38_a39_every_error_has_the_headers_that_are_promised(cast, monkeypatch):
    sophie, form = cast.sophie, {"to": cast.communicator("Clinicians"), "title": "T", "body": "B", "key": new_key()}
    script = "/static/app.js"
    found = {
        304: cast.anonymous.get(script, headers={"If-None-Match": cast.anonymous.get(script).headers["ETag"]}),
        400: sophie.post("/messages/new", form, token=""),
        401: cast.anonymous.post("/messages/new", form),
        403: sophie.get("/admin/menu"),
        404: sophie.get("/nowhere"),
        405: sophie.get("/logout"),
        413: sophie.post("/messages/new", form | {"body": "a" * 2_000_000}),
        422: sophie.post("/messages/new", form | {"title": ""}),
    }
    monkeypatch.setattr("practice.routing.route", lambda *_, **__: 1 / 0)
    sophie.may_fail = True
    found[500] = sophie.post("/messages/new", form)
    for status, answer in found.items():
        assert answer.status_code == status
        promised(answer, is_static=status == 304)
    promised(cast.anonymous.get(script), is_static=True)
    promised(sophie.get("/messages", htmx=True))


@pytest.mark.parametrize("forge", ["signature", "huge", "two, the forged one first", "other name", "unknown key"])
def test_a40_a_forged_cookie_is_nobody(cast, forge):
    name, value = next(iter(cast.sophie.cookies.items()))
    browser = Player(cast.app)
    browser.cookies = {
        "signature": {name: value[:-3] + ("aaa" if value[-3:] != "aaa" else "bbb")},
        "huge": {name: value + "a" * 100_000},
        "two, the forged one first": {name: f"{value[:-3]}aaa; {name}=x"},
        "other name": {name.removeprefix("__Host-"): value},
        "unknown key": {},
    }[forge]
    if forge == "unknown key":
        browser.carry(key="k" * 43)  # signed by us, and yet no session
    assert browser.get("/account").status_code == 303


def test_a44_a_role_that_is_no_superuser_changes_nothing_that_is_never_changed(cast):
    cast.send(cast.sophie)
    db.session.close()
    engine = db.engines[WRITE]
    tries = ["UPDATE message SET body = 'x'", "DELETE FROM message", "UPDATE audit SET did = 'x'", "DELETE FROM audit"]
    if engine.dialect.name == "postgresql":
        tries += ["TRUNCATE audit CASCADE", "ALTER TABLE audit DISABLE TRIGGER ALL", "SET session_replication_role = replica"]
        tries += ["DROP FUNCTION refuse_change() CASCADE", "DROP TABLE audit CASCADE"]
    role = f"portal_test_{new_key()[:8].lower().replace('-', '_')}"
    before = domain()
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text(f'CREATE ROLE "{role}" NOSUPERUSER'))
            connection.execute(sa.text(f'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "{role}"'))
            connection.execute(sa.text(f'SET LOCAL ROLE "{role}"'))
        for statement in tries:
            with pytest.raises(sa.exc.DBAPIError), connection.begin_nested():
                connection.execute(sa.text(statement))
        connection.rollback()  # the role goes with it
    assert domain() == before


@pytest.mark.parametrize("path", ["/console", "/.git/HEAD", "/.env", "/?__debugger__=yes&cmd=resource&f=debugger.js", "/wsgi.py",
                                  "/static/../wsgi.py", "/static/%2e%2e/wsgi.py", "/server-status", "/debug"])  # fmt: skip
def test_a46_nothing_of_the_machine_is_served(cast, path):
    answer = cast.anonymous.get(path)
    assert answer.status_code == (303 if path.startswith("/?") else 404)
    assert "Werkzeug" not in answer.text and "create_app" not in answer.text and "PORTAL" not in answer.text


def test_a54_one_persons_page_is_never_answered_to_another(cast):
    """Mixed requests of many, at once in eight threads: on each page one's own name alone."""
    names = [f"Canary{chr(65 + n // 26)}{chr(65 + n % 26)}" for n in range(40)]
    players = [cast.patient(name.lower(), name.upper(), number=200 + n) for n, name in enumerate(names)]
    for player, name in zip(players, names, strict=True):
        cast.send(player, title=f"Question of {name}", body=name)
    db.session.close()

    def asked(turn):
        player, name = players[turn % len(players)], names[turn % len(players)].upper()
        page = ("/", "/messages/sent", "/account", "/messages/new", "/my-info")[turn // len(players) % 5]
        with cast.app.app_context():
            text = player.get(page).text.upper()
        return name in text, [other for other in names if other.upper() != name and other.upper() in text]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(asked, range(len(players) * 5)))
    assert [others for _, others in found if others] == []
    assert sum(own for own, _ in found) >= len(players) * 3, "else the pages say nothing of anybody"


def test_a57_no_address_counts(one_app):
    """Addresses hold keys of 22 random characters or words of a list: nobody walks from one to the next."""
    kinds = {type(converter).__name__ for rule in one_app.url_map.iter_rules() for converter in rule._converters.values()}
    assert kinds <= {"UnicodeConverter", "PathConverter"}, "an address that takes a number can be counted up"
    assert len(new_key()) == 22 and len({new_key() for _ in range(1000)}) == 1000


def test_a57_no_link_on_a_page_holds_a_row_number(cast):
    key = cast.send(cast.sophie)
    pages = [(cast.sophie, "/messages"), (cast.sophie, f"/messages/{key}"), (cast.fay, "/staff/"), (cast.ada, "/admin/patients")]
    for player, page in pages:
        links = [link for link in Tags(player.get(page).text).links if link.startswith("/") and "/static/" not in link]
        assert links and not [link for link in links if re.search(r"/\d+(/|$)", link.partition("?")[0])]


def test_a56_addresses_that_look_alike_are_one_or_are_told_apart(cast):
    assert email_key("Ann@Test.example") == email_key(" ann@test.EXAMPLE ") == email_key("\uff21nn@test.example")
    assert email_key("ann@test.example") != email_key("\u0430nn@test.example"), "a Cyrillic a is another letter"


def test_a53_links_are_made_of_our_own_address_whatever_host_is_said(cast):
    for host in ("evil.test", "localhost.evil.test", "localhost@evil.test"):
        assert cast.anonymous.get("/login", headers={"Host": host}).status_code == 400
    answer = cast.anonymous.get("/login", headers={"X-Forwarded-Host": "evil.test", "Forwarded": "host=evil.test"})
    assert answer.status_code == 200 and "evil.test" not in answer.text and HOME.startswith("https://localhost")
