"""What was set in an edit, and the small finders of which its rules are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from gateway.domain.edit import Edit, Kind

__all__ = [
    "Facts",
    "Finder",
    "all_of",
    "any_of",
    "is_one_of",
    "more_than_one",
    "unless_value",
    "with_value",
    "without",
]


class Facts:
    """What was set, by wire name, and what is known of the main picture.

    `pixels` is the main picture's width times height; None where it is not known. `unread` are names
    that were set to what could not be read: they are there, without a value.
    """

    def __init__(self, edit: Edit, pixels: int | None = None, unread: Iterable[str] = ()) -> None:
        self.operation = edit.operation
        self.pixels = pixels
        self._values: Mapping[str, str] = {
            p.name: p.canonical for p in edit.parameters + edit.headers
        }
        self.images = [slot.name for slot in edit.images]
        self.urls = [p.name for p in edit.parameters if p.kind is Kind.URL]
        self.silent = {p.name for p in edit.parameters if p.same_as_absent}
        self.names = [*self._values, *self.images]
        self._below: dict[str, list[str]] = {}
        for name in dict.fromkeys([*self.names, *unread]):
            for path in _paths(name):
                self._below.setdefault(path, []).append(name)

    @property
    def paths(self) -> Iterable[str]:
        """All that `has` and `present` know: every name, and with a dot at its end what is above it."""
        return self._below

    def has(self, name: str) -> bool:
        """Whether the parameter, picture or header is set."""
        return name in self._below

    def value(self, name: str) -> str | None:
        """The canonical text of a parameter or header; None where it is not set."""
        return self._values.get(name)

    def present(self, *names: str) -> list[str]:
        """Those of the names that are set; a name with a dot at its end stands for all below it."""
        return [known for name in names for known in self._below.get(name, ())]


def _paths(name: str) -> list[str]:
    """Return what the name is found under: `a.b.c` under itself, `a.` and `a.b.`."""
    paths, dot = [name], name.find(".")
    while dot >= 0:
        paths.append(name[: dot + 1])
        dot = name.find(".", dot + 1)
    return paths


@dataclass(frozen=True, slots=True)
class Finder:
    """Returns the names at fault; none when the rule holds.

    It finds something only where one of `needs` is set, so that it need not be asked elsewhere; without
    any it has to be asked always.
    """

    needs: tuple[str, ...]
    find: Callable[[Facts], Iterable[str]]

    def __call__(self, facts: Facts) -> Iterable[str]:
        """Return the names at fault."""
        return self.find(facts)


def more_than_one(*names: str) -> Finder:
    """All of the names that are set are at fault when there are more than one."""

    def find(facts: Facts) -> list[str]:
        present = facts.present(*names)
        return present if len(present) > 1 else []

    return Finder(names, find)


def with_value(name: str, value: str, *fields: str) -> Finder:
    """The fields are at fault when `name` has that value."""
    return Finder(
        fields, lambda facts: facts.present(*fields) if facts.value(name) == value else []
    )


def unless_value(name: str, values: Iterable[str], *fields: str) -> Finder:
    """The fields are at fault unless `name` has one of the values."""
    allowed = frozenset(values)
    return Finder(
        fields, lambda facts: facts.present(*fields) if facts.value(name) not in allowed else []
    )


def without(needed: tuple[str, ...], *fields: str) -> Finder:
    """The fields are at fault when none of the needed names is set."""
    return Finder(
        fields, lambda facts: facts.present(*fields) if not facts.present(*needed) else []
    )


def is_one_of(name: str, *values: str) -> Finder:
    """The field itself is at fault when it has one of the values."""
    return Finder((name,), lambda facts: [name] if facts.value(name) in values else [])


def all_of(*finders: Finder) -> Finder:
    """At fault is what the last finder names, when every finder names something."""

    def find(facts: Facts) -> Iterable[str]:
        names: Iterable[str] = []
        for finder in finders:
            names = finder(facts)
            if not names:
                return []
        return names

    return Finder(finders[-1].needs, find)


def any_of(*fields: str) -> Finder:
    """The fields are at fault by being set."""
    return Finder(fields, lambda facts: facts.present(*fields))
