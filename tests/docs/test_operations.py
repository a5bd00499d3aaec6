"""docs/operations.md has every log event and every refusal of the code, and none that there is not."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from clipzy_api.problems import CODES
from clipzy_storage import log_events

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operations.md").read_text()
MODULES = {
    str(path.relative_to(ROOT)): path
    for package in ("api", "storage", "worker")
    for path in sorted((ROOT / f"clipzy_{package}").rglob("*.py"))
}
EVENT = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+")
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}
NAMED = {name: value for name, value in vars(log_events).items() if name.isupper()}

REFUSALS = {"ConfigurationError", "Refused", "OtherStorage"}
# The commands that run a service; what the others say is for the person that called them.
SERVICE_COMMANDS = ("clipzy_api/cli/up.py", "clipzy_api/cli/embedded_redis.py")
PASSED_ON = {"str(refused)", "message", "this process was stopped before it joined"}
"""What has been raised, and so is found, elsewhere; and what nobody gets to see."""
REASONS = (
    ("clipzy_storage/redis_client.py", "_refusal"),
    ("clipzy_storage/redis_client.py", "_untrusted"),
    ("clipzy_storage/redis_check.py", "_tls_problem"),
)
"""Functions that answer with the words of a refusal, which others put behind the name of a setting."""


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text())


@cache
def nodes(scope: ast.AST) -> tuple[ast.AST, ...]:
    """All in it, itself first; they are asked for again and again."""
    return tuple(ast.walk(scope))


@cache
def functions(module: str) -> list[ast.FunctionDef]:
    return [node for node in nodes(tree(module)) if isinstance(node, ast.FunctionDef)]


def calls(module: str) -> Iterator[ast.Call]:
    return (node for node in nodes(tree(module)) if isinstance(node, ast.Call))


def logged_events(module: str) -> Iterator[tuple[str, ast.Call]]:
    """Every call that logs, and what it names: a string, or the name of a constant or a variable."""
    for call in calls(module):
        match call.func:
            case ast.Attribute(value=ast.Name(id="log"), attr=level) if level in LEVELS:
                match call.args[0]:
                    case ast.Constant(value=str(text)):
                        yield text, call
                    case named:
                        yield str(NAMED.get(ast.unparse(named), ast.unparse(named))), call


ALL_EVENTS = {*NAMED.values(), *(event for module in MODULES for event, _ in logged_events(module))}


@pytest.mark.parametrize("module", MODULES)
def test_what_is_logged_is_an_event_with_fields(module: str) -> None:
    """Not a sentence: neither formatted, nor by another mechanism. A variable holds one of the named events."""
    for event, call in logged_events(module):
        assert len(call.args) == 1, ast.unparse(call)
        assert EVENT.fullmatch(event) or event == "event", ast.unparse(call)
    assert "logging.getLogger(__name__)" not in MODULES[module].read_text()


def listed_events() -> list[str]:
    section = PAGE.partition("## Log events")[2].partition("## Refusals")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return [event for cell in cells for event in re.findall(r"`([^`]+)`", cell)]


def test_every_event_is_listed_once_and_no_other() -> None:
    assert sorted(listed_events()) == sorted(ALL_EVENTS - {"event"})


@dataclass(frozen=True)
class Message:
    """The constant parts of one text."""

    module: str
    line: int
    parts: tuple[str, ...]


def refusals() -> Iterator[Message]:
    for module in MODULES:
        wanted = REFUSALS | ({"ClickException"} if module in SERVICE_COMMANDS else set())
        for call in calls(module):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            if name in wanted and call.args:
                for parts in _texts(call.args[0], module, call):
                    if PASSED_ON.isdisjoint(parts) and any(" " in part.strip() for part in parts):
                        yield Message(module, call.lineno, tuple(parts))
    yield from (reason for module, function in REASONS for reason in _reasons(module, function))


def _reasons(module: str, function: str) -> Iterator[Message]:
    (defined,) = (node for node in functions(module) if node.name == function)
    for node in nodes(defined):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Constant | ast.JoinedStr | ast.Name):
            for parts in _texts(node.value, module, node):
                if parts != ["None"]:
                    yield Message(module, node.lineno, tuple(parts))


def _texts(node: ast.expr, module: str, at: ast.AST) -> list[list[str]]:
    """Every text that an expression may be, each as its constant parts; a source text where that is unknown."""
    match node:
        case ast.Constant(value=str(text)):
            return [[text]]
        case ast.List(elts=elements):
            return [text for element in elements for text in _texts(element, module, at)]
        case ast.ListComp(elt=element):
            return _texts(element, module, at)
        case ast.JoinedStr(values=values):
            return [[part for value in values for part in _parts(value, module, at)]]
        case ast.IfExp(body=body, orelse=other):
            return _texts(body, module, at) + _texts(other, module, at)
        case ast.BinOp(left=left, right=right):
            return [[*_texts(left, module, at)[0], *_texts(right, module, at)[0]]]
        case ast.Name(id=name):
            return _assigned(name, module, at) or [[name]]
        case ast.Call(func=function) if found := _returned(function, module):
            return found
    return [[ast.unparse(node)]]


def _parts(value: ast.expr, module: str, at: ast.AST) -> list[str]:
    match value:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.FormattedValue(value=ast.Name(id=name)):
            return [part for text in _assigned(name, module, at) for part in text]
    return []


def _assigned(name: str, module: str, at: ast.AST) -> list[list[str]]:
    """What a name stands for in the function around a call, or else in the module."""
    for scope in (*_functions_around(at, module), tree(module)):
        values = [value for node in nodes(scope) for value in _values_for(name, node)]
        if values:
            return [text for value in values for text in _texts(value, module, at) if value is not at]
    return []


def _values_for(name: str, node: ast.AST) -> list[ast.expr]:
    """What this node assigns or appends to a variable."""
    match node:
        case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
            return [value]
        case ast.NamedExpr(target=ast.Name(id=target), value=value) if target == name:
            return [value]
        case ast.Call(func=ast.Attribute(value=ast.Name(id=target), attr="append"), args=[value]) if target == name:
            return [value]
    return []


def _functions_around(at: ast.AST, module: str) -> list[ast.FunctionDef]:
    line = getattr(at, "lineno", 0)
    return [one for one in functions(module) if one.lineno <= line <= (one.end_lineno or 0)]


def _returned(function: ast.expr, module: str) -> list[list[str]]:
    """What a function of this module returns, or else one of that name in another."""
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    defined = {one: node for one in MODULES for node in functions(one) if node.name == name}
    if module in defined:
        defined = {module: defined[module]}
    return [
        text
        for one, node in defined.items()
        for inner in nodes(node)
        if isinstance(inner, ast.Return) and isinstance(inner.value, ast.JoinedStr | ast.BinOp | ast.Name)
        for text in _texts(inner.value, one, inner)
    ]


ALL_REFUSALS = sorted(set(refusals()), key=lambda one: (one.module, one.line, one.parts))


def listed_refusals() -> list[str]:
    """The words of messages that the page quotes."""
    section = PAGE.partition("## Refusals")[2].partition("## Error codes")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return [words for cell in cells for words in re.findall(r"`([^`]+)`", cell)]


@pytest.mark.parametrize("message", ALL_REFUSALS, ids=lambda one: f"{one.module}:{one.line}")
def test_every_refusal_is_listed_by_its_words(message: Message) -> None:
    text = " … ".join(" ".join(part.replace("`", "").split()) for part in message.parts)
    assert any(words in text for words in listed_refusals() if " " in words), text


def test_refusals_are_found() -> None:
    """Otherwise the test above proves nothing."""
    texts = ["".join(message.parts) for message in ALL_REFUSALS]
    for words in ("Another worker is already running", "is a Redis Cluster", "Redis belongs to storage"):
        assert any(words in text for text in texts), words


def test_no_listed_refusal_is_unknown() -> None:
    source = re.sub(r'"\s+f?"', "", "\n".join(path.read_text() for path in MODULES.values())).replace("`", "")
    assert [words for words in listed_refusals() if words not in source] == []


def test_every_code_that_an_operator_must_act_on_is_listed() -> None:
    section = PAGE.partition("## Error codes")[2]
    listed = set(re.findall(r"^\| `([A-Z_]+)` \|", section, re.MULTILINE))
    assert listed <= CODES.keys()
    ours = {code for code, row in CODES.items() if row.status >= 500}
    assert ours <= listed
