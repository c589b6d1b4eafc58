"""How templates are compiled: words, icons and addresses that are always the same stand in them as text."""

from collections.abc import Callable, MutableMapping
from typing import Any

from flask import current_app, has_app_context, has_request_context, request, url_for
from flask.templating import Environment
from jinja2 import nodes
from jinja2.runtime import markup_join
from jinja2.visitor import NodeTransformer
from markupsafe import Markup, escape
from markupsafe import _escape_inner as escaped  # type: ignore[attr-defined]

from web.formats import asset, catalogue, gettext, icon


def _words(text: str, **variables: Any) -> Markup:
    return Markup(gettext(text)) % variables


def _address(endpoint: str, **values: Any) -> Markup:
    """Raises Impossible where it is not always the same: relative, with a host, or of a page that only the demo has."""
    if not has_request_context() or endpoint not in current_app.view_functions or "_external" in values:
        raise nodes.Impossible
    return escape(url_for(endpoint, **values))


LAID_IN: dict[str, Callable[..., str]] = {"_": _words, "icon": icon, "asset": asset, "url_for": _address}


class Compiled(dict[Any, Any]):
    """The templates of each catalogue of words and of each place where the portal is mounted; those compiled outside of a
    request have no addresses laid in, those outside of the application no words."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get((key, *_laid_in()), default)

    def __setitem__(self, key: Any, template: Any) -> None:
        super().__setitem__((key, *_laid_in()), template)


def _laid_in() -> tuple[Any, str | None]:
    """What the texts in a template depend on."""
    return catalogue() if has_app_context() else None, request.root_path if has_request_context() else None


class Templates(Environment):
    """As Flask's, but quicker: pages are made of hundreds of words."""

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **options)
        self.cache = Compiled()

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        """No template has globals of its own; a chain of maps is copied name by name for each page and each import."""
        return super().make_globals(d) if d else self.globals

    def _generate(self, source: nodes.Template, name: str | None, *args: Any, **kwargs: Any) -> str:
        is_html = self.autoescape(name) if callable(self.autoescape) else self.autoescape
        if is_html and has_app_context():
            source = LayIn(self).visit(source)
        imports, rest = super()._generate(source, name, *args, **kwargs).split("\n", 1)
        return f"{imports}; from web.compiled import shown as escape\n{rest}"


def shown(value: Any) -> Any:
    """MarkupSafe's escape for what is written at once: that makes an object of each piece of a page, at twenty times the cost."""
    if type(value) is str:
        return escaped(value)
    return value if type(value) is Markup else escape(value)


class LayIn(NodeTransformer):
    def __init__(self, templates: Environment) -> None:
        self.templates = templates
        self.within: list[str] = []

    def visit_Include(self, node: nodes.Include) -> nodes.Node:
        """A part that is always the same stands where it is included, with names of its own as before: Jinja else looks for
        it, and hands on each of its pieces, at each page."""
        if not isinstance(node.template, nodes.Const) or node.ignore_missing or node.template.value in self.within:
            return node
        name, loader = node.template.value, self.templates.loader
        assert loader
        self.within.append(name)
        part = self.visit(self.templates._parse(loader.get_source(self.templates, name)[0], name, None))
        self.within.pop()
        return nodes.Scope(part.body, lineno=node.lineno)

    def visit_Call(self, node: nodes.Call) -> nodes.Node:
        self.generic_visit(node)
        called = node.node.name if isinstance(node.node, nodes.Name) else ""
        if called not in LAID_IN or node.dyn_args or node.dyn_kwargs:
            return node
        try:
            values = [value.as_const() for value in node.args]
            said = LAID_IN[called](*values, **{one.key: one.value.as_const() for one in node.kwargs})
        except nodes.Impossible:
            return node
        return nodes.Const(said, lineno=node.lineno, environment=node.environment)

    def visit_Output(self, node: nodes.Output) -> list[nodes.Node]:
        """`{{ 'words' if it_holds }}` becomes an if: fixed words need no escaping, and where it does not hold nothing is made."""
        self.generic_visit(node)
        written: list[nodes.Node] = []
        for one in node.nodes:
            if isinstance(one, nodes.CondExpr):
                then, otherwise = (
                    self.visit_Output(nodes.Output([said] if said else [], lineno=one.lineno)) for said in (one.expr1, one.expr2)
                )
                written.append(nodes.If(one.test, then, [], otherwise, lineno=one.lineno))
            elif written and isinstance(written[-1], nodes.Output):
                written[-1].nodes.append(one)
            else:
                written.append(nodes.Output([one], lineno=node.lineno))
        return written

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        """Jinja itself would join them as mere text."""
        self.generic_visit(node)
        values = [one.value for one in node.nodes if isinstance(one, nodes.Const)]
        if len(values) < len(node.nodes):
            return node
        return nodes.Const(markup_join(values), lineno=node.lineno, environment=node.environment)
