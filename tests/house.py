"""The rules of the house as questions to the source, and its smells (`make check` prints them, nothing fails).

Each rule takes one file and returns sentences that say where it is broken and how to mend it (test_house.py).
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Who may import whom: everything to the right of an arrow, never back, never sideways.
MAY_IMPORT: dict[str, set[str]] = {
    "practice": set(),
    "web": {"practice"},
    "portal": {"web", "practice"},
    "admin": {"web", "practice"},
    "staff": {"web", "practice"},
    "wsgi": {"portal", "admin", "staff", "web", "practice"},
}
# Inside practice/ a module may import what stands in a line above its own, and nothing beside it.
LAYERS = (
    ("db", "errors", "calendar", "content", "scanner"),
    ("documents",),
    ("clinical_codes",),
    ("ccda_words", "fhir_entries"),
    ("ccda_entries", "fhir_facts"),
    ("ccda", "fhir"),
    ("reading",),
    ("people",),
    ("emergency", "placeholders", "patient_search"),
    ("settings", "files", "proofs"),
    ("sessions", "audit", "outbox", "drafts", "absences", "links", "throttle"),
    ("communicators", "threads"),
    ("routing", "own_account", "inbox", "presence", "numbers", "attachments"),
    ("conversations", "reset", "second_step"),
    ("requests", "notes", "canned_replies", "bulk"),
    ("escalation",),
    ("coverage", "appointments", "results", "records", "setup", "trays", "trail", "matching"),
    ("amendments", "accounts", "lists", "patients", "board"),
    ("imports", "record_imports", "exports", "access_log", "archive", "backups", "watch", "own_email", "registration"),
    ("fhir_shapes", "ccda_export"),
    ("fhir_export",),
    ("jobs",),
    ("demo",),
    ("load",),
)
SIBLINGS = {("db", "errors")}  # the one import inside a line
LAYER_OF = {module: number for number, layer in enumerate(LAYERS) for module in layer}

WEB_ONLY = {"flask", "flask_sqlalchemy", "flask_login", "flask_wtf", "flask_bootstrap", "wtforms", "werkzeug"}
ONLY_IN_DB = {"flask_sqlalchemy", "flask.current_app"}
DECIDES_WHO_RECEIVES = {"practice/routing.py", "practice/load.py"}
SETTING = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")


def python_files(*packages: str) -> list[Path]:
    """The files of packages (or top-level modules) that exist by now."""
    found: list[Path] = []
    for package in packages or MAY_IMPORT:
        module = ROOT / f"{package}.py"
        found += [module] if module.exists() else sorted((ROOT / package).rglob("*.py"))
    return found


def templates() -> list[Path]:
    """The pages and fragments; a mail is no page of ours and brings its own style."""
    return sorted(path for path in (ROOT / "templates").rglob("*.html") if path.parent.name != "mail")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# ---- Imports -------------------------------------------------------------------------------------


def imports(path: str, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and dotted name of all that is imported, inside functions too: "from practice import db" is practice.db."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            here = Path(path).parent.parts
            start = ".".join(here[: len(here) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (start, node.module) if part)
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def wrong_way(path: str, tree: ast.AST) -> list[str]:
    """Imports point one way: wsgi, then portal | admin | staff, then web, then practice."""
    package = Path(path).parts[0].removesuffix(".py")
    only = ", ".join(sorted(MAY_IMPORT[package])) or "nothing of ours"
    return [
        f"{path}:{line} imports {target}: {package} may import only {only}. Move what it needs into one of those "
        f"(a rule into practice/, what the sides share over HTTP into web/)."
        for line, target in imports(path, tree)
        if (top := target.split(".")[0]) in MAY_IMPORT and top != package and top not in MAY_IMPORT[package]
    ]


def wrong_layer(path: str, tree: ast.AST) -> list[str]:
    """Inside practice/ imports point to lower layers only."""
    module = Path(path).parts[1].removesuffix(".py")
    if module == "__init__":
        return [f"{path}:{line} imports {target}: keep __init__.py empty." for line, target in imports(path, tree)]
    if module not in LAYER_OF:
        return [f"{path} has no layer: put it in LAYERS in tests/house.py, above everything that will import it."]
    modules = {(line, target.split(".")[1]) for line, target in imports(path, tree) if target.startswith("practice.")}
    return [
        f"{path}:{line} imports practice.{other}, which does not stand in a layer below {module} (LAYERS in "
        f"tests/house.py). Move what both need down a layer, or let the caller above pass it in."
        for line, other in sorted(modules)
        if other != module and other in LAYER_OF and LAYER_OF[other] >= LAYER_OF[module] and (module, other) not in SIBLINGS
    ]


def http_in_practice(path: str, tree: ast.AST) -> list[str]:
    """practice/ knows no request, no session cookie, no url_for and no HTML."""
    allowed = ONLY_IN_DB if path == "practice/db.py" else set()
    return [
        f"{path}:{line} imports {target}, but practice/ knows nothing of HTTP. Take the value as an argument, or do "
        f"this in web/ or a blueprint."
        for line, target in imports(path, tree)
        if (top := target.split(".")[0]) in WEB_ONLY and not {top, target} & allowed
    ]


# ---- One door ------------------------------------------------------------------------------------


def second_door(path: str, tree: ast.AST) -> list[str]:
    """Only routing creates or ends a delivery, or changes a thread's audience."""
    if path in DECIDES_WHO_RECEIVES:
        return []
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.stmt | ast.expr)]
    found = [(node.lineno, what) for node in nodes if (what := decides_who_receives(node))]
    mend = "Only practice/routing.py decides who receives: call route(thread), or give routing a function for this."
    return [f"{path}:{line} {what}. {mend}" for line, what in sorted(found)]


def decides_who_receives(node: ast.AST) -> str | None:
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if "audience_id" in {set_by for target in targets for set_by in attributes_set(target)}:
            return "sets .audience_id"
    if not isinstance(node, ast.Call):
        return None
    called = last_name(node.func)
    if called in {"Delivery", "Audience", "AudienceCommunicator"}:
        return f"makes a row of {called}"
    first = last_name(node.args[0]) if node.args else ""
    if called in {"insert", "update", "delete"} and first in {"Delivery", "Audience", "AudienceCommunicator"}:
        return f"writes rows of {first} ({called})"
    if called in {"values", "Thread"} and any(keyword.arg == "audience_id" for keyword in node.keywords):
        return f"sets audience_id in {called}(...)"
    names = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
    return "sets audience_id by setattr" if called == "setattr" and "audience_id" in names else None


def attributes_set(target: ast.AST) -> Iterator[str]:
    """The attribute in "thread.state = …", both in "a.x, b.y = …", none in "numbers[thread.id] = …"."""
    if isinstance(target, ast.Attribute):
        yield target.attr
    elif isinstance(target, ast.Tuple | ast.List):
        for part in target.elts:
            yield from attributes_set(part)


def last_name(node: ast.AST) -> str:
    """threads.Delivery.__table__ is Delivery too."""
    if isinstance(node, ast.Attribute):
        return last_name(node.value) if node.attr == "__table__" else node.attr
    return node.id if isinstance(node, ast.Name) else ""


# ---- Settings ------------------------------------------------------------------------------------


def settings_read(path: str, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Names read from the environment. In web/config.py every call with a NAME as its first argument reads one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript):
            reads, first = last_name(node.value) == "environ", node.slice
        elif isinstance(node, ast.Call) and node.args:
            of_environ = isinstance(node.func, ast.Attribute) and last_name(node.func.value) == "environ"
            reads, first = of_environ or last_name(node.func) == "getenv" or path == "web/config.py", node.args[0]
        else:
            continue
        if reads and isinstance(first, ast.Constant) and SETTING.fullmatch(str(first.value)):
            yield node.lineno, str(first.value)


def undocumented(path: str, tree: ast.AST, readme: str) -> list[str]:
    """Every setting read from the environment stands in the table of the README."""
    return [
        f"{path}:{line} reads {setting}: add a row `{setting}` to the table under Settings in README.md."
        for line, setting in settings_read(path, tree)
        if f"`{setting.removesuffix('_FILE')}`" not in readme
    ]


# ---- Templates -----------------------------------------------------------------------------------

JINJA = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
TAG = re.compile(r"<[a-zA-Z][^>]*>")
QUOTED = re.compile(r"""=\s*("[^"]*"|'[^']*')""")
FORBIDDEN = (
    (re.compile(r"\sstyle\s*="), "a style attribute", "Give it a class and put the rule into static/site.css."),
    (re.compile(r"<script(?!.*\ssrc\s*=)"), "an inline script", "Put it into a file under static/ and load it by src."),
    (re.compile(r"<style\b"), "an inline style sheet", "Put the rules into static/site.css."),
    (re.compile(r"\s(data-)?hx-on\b"), "hx-on", "Listen to the event in a file under static/."),
    (re.compile(r"\s(data-)?hx-boost\b"), "hx-boost", "Put hx-get, hx-target and hx-swap on the element itself."),
    (re.compile(r"\son[a-z]+\s*="), "an inline handler", "Listen to the event in a file under static/."),
)


def bad_manners(path: str, text: str) -> list[str]:
    """What the Content-Security-Policy refuses, and what ties the pages to one version of htmx."""
    text = JINJA.sub(lambda found: re.sub(r"[^\n]", "", found[0]), text)
    return [
        f"{path}:{text.count(chr(10), 0, tag.start()) + 1} has {what}. {mend}"
        for tag in TAG.finditer(text)
        for pattern, what, mend in FORBIDDEN
        if pattern.search(QUOTED.sub('=""', tag[0]).replace("\n", " "))
    ]


# ---- Smells --------------------------------------------------------------------------------------


def smells() -> Iterator[str]:
    """A smell wants an answer, not a rule: is this still one subject?"""
    for path in python_files(*MAY_IMPORT, "tests", "bench"):
        text = path.read_text()
        if (lines := text.count("\n")) > 250:
            yield f"{name(path)}: {lines} lines (a file over 250)"
        for line, view, size in long_views(text):
            yield f"{name(path)}:{line} {view}: {size} lines (a view over 20)"
    for path in templates():
        if (lines := path.read_text().count("\n")) > 80:
            yield f"{name(path)}: {lines} lines (a template over 80)"


def long_views(text: str) -> Iterator[tuple[int, str, int]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and any(is_route(decorator) for decorator in node.decorator_list):
            size = (node.end_lineno or node.lineno) - node.lineno + 1
            if size > 20:
                yield node.lineno, node.name, size


def is_route(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and last_name(decorator.func) in {"route", "get", "post"}


if __name__ == "__main__":
    noticed = list(smells())
    print("House: worth a look, nothing fails" if noticed else "House: tidy")
    print("".join(f"  {smell}\n" for smell in noticed), end="")
