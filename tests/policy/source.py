"""The checkout as the policy tests read it: its files, and its modules as syntax trees."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

__all__ = ["ROOT", "Module", "gateway_modules", "listed_files", "python_modules", "text_of"]

ROOT = Path(__file__).resolve().parents[2]
GENERATED = "gateway/v1/"


@dataclass(frozen=True, slots=True)
class Module:
    """A Python file of the checkout, parsed."""

    path: str  # from the root, with slashes
    text: str = field(repr=False)
    tree: ast.Module = field(repr=False)

    def within(self, *places: str) -> bool:
        """Tells whether the file is one of `places`, or in one of those that end in a slash."""
        return any(self.path == p or (p.endswith("/") and self.path.startswith(p)) for p in places)

    def imports(self) -> Iterator[tuple[int, str]]:
        """Yields the line and the dotted name of all that is imported, wherever in the file."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


@cache
def listed_files() -> tuple[str, ...]:
    """Files that git tracks, or would if they were added: generated and ignored ones are not ours."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return tuple(sorted(p for p in set(listing.split("\0")) if p and (ROOT / p).is_file()))


@cache
def text_of(path: str) -> str | None:
    """Text of a listed file, None when it is binary."""
    try:
        return (ROOT / path).read_text("utf-8")
    except UnicodeDecodeError:
        return None


@cache
def python_modules() -> tuple[Module, ...]:
    """Every hand-written Python file."""
    paths = [p for p in listed_files() if p.endswith(".py") and not p.startswith(GENERATED)]
    texts = [(p, text_of(p) or "") for p in paths]
    return tuple(Module(path, text, ast.parse(text, path)) for path, text in texts)


@cache
def gateway_modules() -> tuple[Module, ...]:
    """Every hand-written module of the gateway itself."""
    return tuple(m for m in python_modules() if m.within("gateway/"))
