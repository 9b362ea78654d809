"""What no module of the gateway may do, beyond what ruff and import-linter see."""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.policy.sizes import LIMIT, above
from tests.policy.source import Module, gateway_modules, python_modules

EVERY_MODULE = pytest.mark.parametrize("module", gateway_modules(), ids=lambda m: m.path)
DOMAIN = [module for module in gateway_modules() if module.within("gateway/domain/")]

# What of the standard library the domain may not know: it has no clock, no I/O, no chance.
NOT_FOR_THE_DOMAIN = {
    *("asyncio", "concurrent", "multiprocessing", "queue", "signal", "threading", "time"),
    *("http", "io", "os", "pathlib", "select", "shutil", "socket", "sqlite3", "ssl", "subprocess"),
    *("logging", "random", "secrets", "sys", "tempfile", "urllib"),
}
REASONLESS = re.compile(r"#\s*(?:noqa(?::[\s,A-Z\d]+)?|type:\s*ignore(?:\[[\w, -]+\])?)\s*$")


@dataclass(frozen=True, slots=True)
class Ban:
    """A construct that is refused everywhere but in some places."""

    name: str
    reason: str
    finds: Callable[[ast.AST], bool]
    allowed: tuple[str, ...] = ()


def called(*names: str) -> Callable[[ast.AST], bool]:
    """Finds calls of a dotted name, and imports that would make it a bare one."""
    parts = [name.rpartition(".")[::2] for name in names]

    def finds(node: ast.AST) -> bool:
        match node:
            case ast.Call(func=function):
                return ast.unparse(function) in names
            case ast.ImportFrom(module=module, names=aliases):
                return any((module, alias.name) in parts for alias in aliases)
            case _:
                return False

    return finds


def mentioned(*attributes: str) -> Callable[[ast.AST], bool]:
    """Finds an attribute of any object, called or passed on."""
    return lambda node: isinstance(node, ast.Attribute) and node.attr in attributes


def starts_a_loop_task(node: ast.AST) -> bool:
    """Finds `create_task` on the module or on a loop; a TaskGroup's own is guarded by the group."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    owner = ast.unparse(node.func.value)
    return node.func.attr == "create_task" and ("loop" in owner or owner == "asyncio")


def swallows(node: ast.AST) -> bool:
    """Finds a handler without a body, and `suppress` of what nobody can foresee."""
    match node:
        case ast.ExceptHandler(body=[ast.Pass() | ast.Expr(value=ast.Constant())]):
            return True
        case ast.Call(func=function, args=kinds) if ast.unparse(function).endswith("suppress"):
            return any(ast.unparse(kind) in {"Exception", "BaseException"} for kind in kinds)
        case _:
            return False


BANS = (
    Ban(
        "print",
        "output is the command's; a log line is telemetry's",
        called("print"),
        ("gateway/cli/",),
    ),
    Ban("time.sleep", "it stops every call in the process", called("time.sleep")),
    Ban(
        "bare tasks",
        "a task that nobody awaits loses its error; use a TaskGroup",
        lambda node: (
            starts_a_loop_task(node) or called("asyncio.create_task", "asyncio.ensure_future")(node)
        ),
        ("gateway/flights.py", "gateway/store/background.py"),
    ),
    Ban(
        "SerializeToString",
        "protobuf bytes are not canonical: no digest and no key may come from them",
        mentioned("SerializeToString", "SerializePartialToString"),
        ("gateway/transport/", "gateway/client/"),
    ),
    Ban("swallowed exceptions", "an error that nobody sees is not handled", swallows),
    Ban(
        "global",
        "state belongs to an object that app.py builds",
        lambda n: isinstance(n, ast.Global),
    ),
)


def offences(ban: Ban, module: Module) -> Iterator[str]:
    """Yields where a module does what is banned."""
    if not module.within(*ban.allowed):
        found = (node for node in ast.walk(module.tree) if ban.finds(node))
        yield from (f"{module.path}:{getattr(node, 'lineno', 1)}" for node in found)


@EVERY_MODULE
def test_a_module_says_what_it_is_for(module: Module) -> None:
    assert ast.get_docstring(module.tree)


@EVERY_MODULE
def test_a_module_names_what_it_offers(module: Module) -> None:
    """`__all__` is wanted wherever something is defined or re-exported; `__main__` offers nothing."""
    body = module.tree.body[1:]  # after the docstring
    assignments = (node for node in body if isinstance(node, ast.Assign | ast.AnnAssign))
    named = any(ast.unparse(node).startswith("__all__") for node in assignments)
    assert named or not body or module.path.endswith("__main__.py")


@pytest.mark.parametrize("ban", BANS, ids=lambda ban: ban.name)
def test_nothing_forbidden_is_done(ban: Ban) -> None:
    assert [] == [hit for module in gateway_modules() for hit in offences(ban, module)], ban.reason


@pytest.mark.parametrize(
    ("ban", "code"),
    [
        ("print", "print('x')"),
        ("time.sleep", "import time\ntime.sleep(1)"),
        ("time.sleep", "from time import sleep"),
        ("bare tasks", "asyncio.create_task(work())"),
        ("bare tasks", "asyncio.get_running_loop().create_task(work())"),
        ("bare tasks", "from asyncio import ensure_future"),
        ("SerializeToString", "key = sha256(edit.SerializeToString())"),
        ("swallowed exceptions", "try:\n    f()\nexcept Exception:\n    pass"),
        ("swallowed exceptions", "with contextlib.suppress(Exception):\n    f()"),
        ("global", "def f():\n    global x"),
    ],
)
def test_the_search_finds_what_is_forbidden(ban: str, code: str) -> None:
    module = Module("gateway/domain/example.py", code, ast.parse(code))
    assert [ban] == [b.name for b in BANS if list(offences(b, module))]


def test_a_task_group_is_not_a_bare_task() -> None:
    code = "async with asyncio.TaskGroup() as group:\n    group.create_task(work())"
    module = Module("gateway/domain/example.py", code, ast.parse(code))
    assert [] == [b.name for b in BANS if list(offences(b, module))]


def test_the_domain_is_arithmetic_and_values() -> None:
    """It imports the standard library and itself; no I/O, no clock, no chance, no asyncio."""
    allowed = {
        *sys.stdlib_module_names,
        "gateway",
    } - NOT_FOR_THE_DOMAIN  # whom of us: the contracts
    wrong = [
        f"{module.path}:{line} {name}"
        for module in DOMAIN
        for line, name in module.imports()
        if name.partition(".")[0] not in allowed
    ]
    assert [] == wrong


def test_the_domain_is_told_what_time_it_is() -> None:
    """`now` comes as an argument: the domain reads no clock and opens no file."""
    asks = called(
        "open", "datetime.now", "datetime.datetime.now", "date.today", "datetime.date.today"
    )
    ban = Ban("clock", "time is an argument", asks)
    assert [] == [hit for module in DOMAIN for hit in offences(ban, module)]


def test_an_exception_to_a_rule_gives_its_reason() -> None:
    """`noqa` and `type: ignore` are followed by why: `# noqa: S603 - our own tools`."""
    wrong = [
        f"{module.path}:{number}"
        for module in python_modules()
        for number, line in enumerate(module.text.splitlines(), 1)
        if REASONLESS.search(line)
    ]
    assert [] == wrong


def test_no_file_and_no_function_is_beyond_the_limit() -> None:
    assert [] == list(map(str, above(LIMIT)))
