"""How the templates write what is always written alike."""

import pytest
from flask import Flask, url_for
from jinja2 import Environment


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
