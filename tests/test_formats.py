"""How the templates write what is always written alike."""

from typing import Any

import pytest
from flask import Flask, url_for
from jinja2 import DictLoader, Environment, StrictUndefined, UndefinedError
from markupsafe import Markup

from practice.settings import RequestType
from web.compiled import Templates


@pytest.mark.parametrize(
    ("endpoint", "values"),
    [
        ("admin.lists", {}),
        ("admin.lists", {"list": "groups", "page": 2}),
        ("staff.inbox", {"only": None, "filter": "a b&c=d/ü?#+%"}),
        ("staff.inbox", {"only": ["x", "y"]}),
        ("staff.message", {"key": "A" * 22, "only": "late"}),
    ],
)
def test_an_address_in_a_template_is_the_one_that_flask_builds(one_app: Flask, endpoint: str, values: dict[str, str]) -> None:
    link = one_app.jinja_env.globals["url_for"]
    with one_app.test_request_context():
        assert link(endpoint, **values) == url_for(endpoint, **values) == link(endpoint, **values)


@pytest.mark.parametrize("is_escaped", [True, False])
@pytest.mark.parametrize(
    "template",
    [
        "{{ '<a>' if yes }}-{{ '<a>' if no }}",
        "{{ said if yes else '<b>' }}-{{ '<a>' if no else said }}",
        "{{ '<a>' if no else '<b>' if no else said }}{{ said }}{{ said if yes }}",
        "{% set x %}{{ said if yes }}{% endset %}{{ x }}{{ x if yes }}",
        "{% macro m(x) %}{{ x if x else '<b>' }}{% endmacro %}{{ m(said) if yes }}{{ m('') }}",
        "{{ ('<a>' if no) ~ said }}{{ _('Search') if yes }}{% for n in [1, 2] %}{{ ', ' if not loop.last }}{% endfor %}",
    ],
)
def test_what_is_said_under_a_condition_is_said_and_escaped_as_jinja_does(
    one_app: Flask, template: str, is_escaped: bool
) -> None:
    template = f"{{% autoescape {is_escaped} %}}{template}{{% endautoescape %}}"
    values = {"yes": True, "no": False, "said": "<&>", "_": str}
    with one_app.test_request_context():
        ours = one_app.jinja_env.from_string(template).render(values)
    assert ours == Environment(autoescape=True).from_string(template).render(values)


def test_an_address_that_is_always_the_same_is_that_of_where_the_portal_is_mounted(one_app: Flask) -> None:
    page = "{{ url_for('staff.inbox') }} {{ url_for('admin.lists', list='groups', page=2) }} {% set a = url_for('staff.inbox') %}"
    page += "{{ a ~ said }}{% if not said %}{{ url_for('nowhere.at_all') }}{% endif %}"
    ours = Templates(one_app, loader=DictLoader({"page.html": page}), autoescape=True)
    ours.globals["url_for"] = url_for
    for root in ("", "/portal", ""):
        with one_app.test_request_context(base_url=f"http://localhost{root}"):
            said = ours.get_template("page.html").render(said="?<")
        assert said == f"{root}/staff/ {root}/admin/lists?list=groups&amp;page=2 {root}/staff/?&lt;"


def test_an_address_with_a_host_is_never_that_of_another_request(one_app: Flask) -> None:
    ours = Templates(one_app, loader=DictLoader({"page.html": "{{ url_for('staff.inbox', _external=True) }}"}), autoescape=True)
    ours.globals["url_for"] = url_for
    for host in ("localhost", "127.0.0.1"):
        with one_app.test_request_context(base_url=f"http://{host}"):
            assert ours.get_template("page.html").render() == url_for("staff.inbox", _external=True)
            assert host in url_for("staff.inbox", _external=True)


PARTS = {
    "part.html": "{% set x = 'mine' %}{{ x }}{{ y }}{{ z|default('none') }}{% set z = 1 %}"
    "{% macro m() %}{{ x }}{{ y }}{% endmacro %}{{ m() }}",
    "tree.html": "{{ node.name }}{% for node in node.below %}({% include 'tree.html' %}){% endfor %}",
    "page.html": "{% block body %}{% set y = 'b' %}{% include 'part.html' %}{% endblock %}{% include 'part.html' %}",
}
TREE = {"name": "<a>", "below": [{"name": "b", "below": [{"name": "c", "below": []}]}, {"name": "d", "below": []}]}


@pytest.mark.parametrize(
    "template",
    [
        "{% set x, y = 'outer', 'a' %}{% include 'part.html' %}{{ x }}{{ z|default('none') }}{% include 'part.html' %}",
        "{% for y in [1, 2] %}{% include 'part.html' %}{{ loop.index }}{% endfor %}{{ x|default('none') }}",
        "{% macro m(y) %}{% include 'part.html' %}{% endmacro %}{{ m('<') }}{{ m('>') }}",
        "{% if y is defined %}{% set x = 1 %}{% else %}{% include 'part.html' %}{% endif %}{{ x }}",
        "{% set node = tree %}{% include 'tree.html' %}{{ node.name }}",
        "{% extends 'page.html' %}{% block body %}[{{ super() }}{% include 'part.html' %}]{% endblock %}",
        "{% include 'none.html' ignore missing %}{% include ['none.html', 'part.html'] %}",
    ],
)
def test_a_part_that_is_included_is_as_jinja_has_it(one_app: Flask, template: str) -> None:
    ours, jinja = (
        Templates(one_app, loader=DictLoader(PARTS), autoescape=True),
        Environment(loader=DictLoader(PARTS), autoescape=True),
    )
    with one_app.test_request_context():
        said = ours.from_string(template).render(tree=TREE)
    assert said == jinja.from_string(template).render(tree=TREE)


class Shouted(str):
    """Text of another class, as a StrEnum or a lazy word is."""


class Drawn:
    def __html__(self) -> str:
        return "<b>&</b>"


@pytest.mark.parametrize(
    "value",
    ["<script>&\"'", Markup("<b>&</b>"), Shouted("<b>"), RequestType.APPOINTMENT, Drawn(), ["<b>"], None, 0, 1.5, "", "é<"],
)
def test_what_is_written_is_escaped_as_jinja_escapes_it(one_app: Flask, value: Any) -> None:
    template = (
        "{{ value }}<i title='{{ value }}'>{% set x %}{{ value }}{% endset %}{{ x }}{{ x|upper }}{{ value ~ '<' ~ x }}"
        "{% macro m(y) %}{{ y }}{{ caller() }}{% endmacro %}{% call m(value) %}{{ value }}{% endcall %}{{ m|string }}"
    )
    template = template.replace("{{ m|string }}", "{% filter replace('&', value|string) %}{{ value }}{% endfilter %}")
    ours, jinja = Templates(one_app, autoescape=True), Environment(autoescape=True)
    with one_app.test_request_context():
        said = ours.from_string(template).render(value=value)
    assert said == jinja.from_string(template).render(value=value)


def test_what_is_not_there_is_no_page(one_app: Flask) -> None:
    with one_app.test_request_context(), pytest.raises(UndefinedError):
        Templates(one_app, autoescape=True, undefined=StrictUndefined).from_string("{{ value }}").render()
