"""Which files a configuration was read from, and what they look like since."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

__all__ = ["Looks", "ReadFiles"]

Looks = Mapping[Path, tuple[int, ...] | None]
"""What files look like: device, inode, size, and the times of change; None for one that is not there."""


class ReadFiles:
    """The files that one reading of a configuration opened, or tried to."""

    def __init__(self) -> None:
        self._before: dict[Path, tuple[int, ...] | None] = {}

    @property
    def before(self) -> Looks:
        """What each file looked like just before it was opened."""
        return self._before

    def note(self, path: Path) -> Path:
        """Remember a file that is about to be opened, and return it."""
        self._before.setdefault(path, _look(path))
        return path

    def now(self) -> Looks:
        """Return what the same files look like now."""
        return {path: _look(path) for path in self._before}


def _look(path: Path) -> tuple[int, ...] | None:
    """Look at the file that the path leads to now: a link on the way may have been turned.

    The time of the inode's change is among the marks: a change of mode, and a copy that keeps the time
    of its original, show nowhere else.
    """
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
