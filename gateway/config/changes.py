"""In what two configurations differ, and whether a running gateway can take it over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.config.marks import RELOADED, Section
from gateway.config.mistakes import join
from gateway.config.model import Config

__all__ = ["Changes", "changes"]


@dataclass(frozen=True, slots=True)
class Changes:
    """Paths of what differs: of keys that are reloaded, and of keys that need a restart."""

    reloaded: tuple[str, ...]
    restart: tuple[str, ...]


def changes(old: Config, new: Config) -> Changes:
    """Compare the values of two configurations, however they are written."""
    found = dict(_differing(old, new, ""))
    return Changes(
        reloaded=tuple(path for path, reloaded in found.items() if reloaded),
        restart=tuple(path for path, reloaded in found.items() if not reloaded),
    )


def _differing(old: Section, new: Section, path: str) -> Iterator[tuple[str, bool]]:
    """Yield the path of each key that differs, and whether it is reloaded."""
    for name, field in type(old).model_fields.items():
        before, after = getattr(old, name), getattr(new, name)
        where, reloaded = join(path, name), RELOADED in field.metadata
        if before == after:
            continue
        if isinstance(before, Section) and isinstance(after, Section) and not reloaded:
            yield from _differing(before, after, where)
        else:
            yield where, reloaded
