"""How long files and functions are. `python -m tests.policy.sizes` lists what is above the bar.

The bar asks for a second look at the cut; the limit is where a test fails.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from tests.policy.source import Module, python_modules

__all__ = ["LIMIT", "Bounds", "Size", "above"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Lines that a file and a function may have."""

    file: int
    function: int


@dataclass(frozen=True, slots=True)
class Size:
    """A file or a function and its number of lines."""

    where: str
    lines: int

    def __str__(self) -> str:
        return f"{self.where}: {self.lines} lines"


BAR = Bounds(file=300, function=40)
LIMIT = Bounds(file=400, function=60)


def above(bounds: Bounds) -> list[Size]:
    """Files and functions longer than `bounds`, the longest first."""
    found = [
        size
        for module in python_modules()
        for kind, size in _sizes(module)
        if size.lines > getattr(bounds, kind)
    ]
    return sorted(found, key=lambda size: -size.lines)


def _sizes(module: Module) -> Iterator[tuple[str, Size]]:
    yield "file", Size(module.path, module.text.count("\n"))
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield "function", Size(f"{module.path}:{node.lineno} {node.name}", _code_lines(node))


def _code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function from its `def`; a docstring is not held against it."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function) is not None:
        docstring = function.body[0]
        lines -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
    return lines


if __name__ == "__main__":
    for size in above(BAR):
        sys.stdout.write(f"above the bar ({BAR.file} a file, {BAR.function} a function): {size}\n")
