"""The rules of the house hold everywhere, and each rule is seen to fail on a file that breaks it."""

import ast
from collections.abc import Callable

import pytest

from tests import house

Rule = Callable[[str, ast.AST], list[str]]

EVERYWHERE: tuple[tuple[Rule, tuple[str, ...]], ...] = (
    (house.wrong_way, tuple(house.MAY_IMPORT)),
    (house.wrong_layer, ("practice",)),
    (house.http_in_practice, ("practice",)),
    (house.second_door, tuple(house.MAY_IMPORT)),
)


@pytest.mark.parametrize(("rule", "packages"), EVERYWHERE, ids=lambda value: getattr(value, "__name__", ""))
def test_the_rule_holds_in_every_file(rule: Rule, packages: tuple[str, ...]) -> None:
    broken = [
        sentence for path in house.python_files(*packages) for sentence in rule(house.name(path), ast.parse(path.read_text()))
    ]
    assert not broken, "\n" + "\n".join(broken)


def test_every_setting_read_from_the_environment_is_documented() -> None:
    readme = (house.ROOT / "README.md").read_text().split("\n## Settings", 1)[1].split("\n## ", 1)[0]
    files = [*house.python_files(), house.ROOT / "migrations" / "env.py", house.ROOT / "tests" / "prepare.py"]
    broken = [
        sentence
        for path in files
        if path.exists()
        for sentence in house.undocumented(house.name(path), ast.parse(path.read_text()), readme)
    ]
    assert not broken, "\n" + "\n".join(broken)


def test_templates_have_no_inline_script_or_style_and_stay_independent_of_the_htmx_version() -> None:
    broken = [found for path in house.templates() for found in house.bad_manners(house.name(path), path.read_text())]
    assert not broken, "\n" + "\n".join(broken)


@pytest.mark.parametrize("folder", [package for package in house.MAY_IMPORT if package != "wsgi"])
def test_the_rules_look_at_files_where_there_is_a_package(folder: str) -> None:
    if (house.ROOT / folder / "__init__.py").exists():
        assert house.python_files(folder), f"python_files() in tests/house.py no longer finds the files of {folder}/"


def test_the_rules_look_at_files_where_there_are_templates() -> None:
    if (house.ROOT / "templates" / "layout.html").exists():
        assert house.templates(), "templates() in tests/house.py no longer finds the pages"


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (house.wrong_way, "practice/threads.py", "from web.guards import person"),
        (house.wrong_way, "web/guards.py", "import portal.home"),
        (house.wrong_way, "portal/home.py", "from staff import inbox"),
        (house.wrong_way, "admin/menu.py", "def view():\n    from portal.home import tiles"),
        (house.wrong_way, "staff/inbox.py", "import wsgi"),
        (house.wrong_layer, "practice/routing.py", "from practice.coverage import absences"),
        (house.wrong_layer, "practice/routing.py", "from practice import conversations"),
        (house.wrong_layer, "practice/routing.py", "from .conversations import send"),
        (house.wrong_layer, "practice/threads.py", "from practice.communicators import Communicator"),
        (house.wrong_layer, "practice/errors.py", "from practice.db import db"),
        (house.wrong_layer, "practice/utils.py", "x = 1"),
        (house.wrong_layer, "practice/__init__.py", "from practice.routing import route"),
        (house.http_in_practice, "practice/db.py", "from flask import request"),
        (house.http_in_practice, "practice/outbox.py", "from flask import render_template"),
        (house.http_in_practice, "practice/outbox.py", "from flask import current_app"),
        (house.http_in_practice, "practice/outbox.py", "import flask"),
        (house.http_in_practice, "practice/people.py", "from flask_sqlalchemy import SQLAlchemy"),
        (house.http_in_practice, "practice/people.py", "from flask_login import UserMixin"),
        (house.second_door, "practice/conversations.py", "thread.audience_id = 3"),
        (house.second_door, "practice/conversations.py", "old, thread.audience_id = thread.audience_id, 3"),
        (house.second_door, "practice/conversations.py", "Thread(audience_id=3)"),
        (house.second_door, "practice/conversations.py", "update(Thread).where(x).values(audience_id=3)"),
        (house.second_door, "practice/conversations.py", "setattr(thread, 'audience_id', 3)"),
        (house.second_door, "practice/coverage.py", "session.add(threads.Delivery(thread=1))"),
        (house.second_door, "practice/coverage.py", "sa.insert(Audience)"),
        (house.second_door, "practice/coverage.py", "sa.update(threads.Delivery.__table__)"),
        (house.second_door, "staff/inbox.py", "sa.delete(Delivery)"),
    ],
)
def test_a_file_that_breaks_a_rule_is_found(rule: Rule, path: str, source: str) -> None:
    assert len(rule(path, ast.parse(source))) == 1


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (house.wrong_way, "portal/home.py", "from practice import threads\nfrom web import guards\nfrom . import x"),
        (house.wrong_way, "wsgi.py", "import admin, portal, practice, staff, web"),
        (house.wrong_layer, "practice/db.py", "from practice.errors import Stale"),
        (house.wrong_layer, "practice/coverage.py", "from practice import communicators, routing"),
        (house.http_in_practice, "practice/db.py", "from flask import current_app\nimport flask_sqlalchemy"),
        (house.http_in_practice, "practice/people.py", "from flask_babel import lazy_gettext"),
        (house.second_door, "practice/threads.py", "tx.unread[thread.audience_id] += 1"),
        (house.second_door, "practice/routing.py", "Delivery(thread=1)\nthread.audience_id = 3"),
        (
            house.second_door,
            "practice/threads.py",
            "class Delivery(Base): pass\nselect(x).where(Thread.audience_id == 3)",
        ),
    ],
)
def test_what_the_rules_allow_passes(rule: Rule, path: str, source: str) -> None:
    assert rule(path, ast.parse(source)) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("web/config.py", "x = secret('NOWHERE_WRITTEN')"),
        ("web/config.py", "x = environ['NOWHERE_WRITTEN']"),
        ("bench/run.py", "x = os.environ.get('NOWHERE_WRITTEN', '')"),
        ("bench/run.py", "x = os.getenv('NOWHERE_WRITTEN_FILE')"),
    ],
)
def test_a_setting_without_documentation_is_found(path: str, source: str) -> None:
    tree = ast.parse(source)
    assert len(house.undocumented(path, tree, "| `PORT` |")) == 1
    assert house.undocumented(path, tree, "| `NOWHERE_WRITTEN` |") == []


@pytest.mark.parametrize(
    "page",
    [
        '<p\n style="color: red">',
        "<script>alert(1)</script>",
        "<script type='module'>",
        "<style>p {}</style>",
        '<a hx-on:click="x()">',
        '<body hx-boost="true">',
        '<a onclick="x()">',
    ],
)
def test_a_page_with_bad_manners_is_found(page: str) -> None:
    assert len(house.bad_manners("templates/page.html", f"<h1>Messages</h1>\n{page}")) == 1


def test_a_page_with_good_manners_passes() -> None:
    page = """<script src="{{ url_for('static', filename='site.js') }}" defer></script>
        {{ field(form.name, style="wide") }} {# <p style="x"> #}
        <a title="an onclick = x" hx-get="/x">style = calm</a>"""
    assert house.bad_manners("templates/page.html", page) == []
