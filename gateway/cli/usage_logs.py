"""Usage lines out of log files, plain or compressed by gzip, in any order."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from gateway.telemetry.usage_lines import UsageLine, read_usage_line

__all__ = ["LogError", "read_logs"]

_GZIP = b"\x1f\x8b"  # RFC 1952, section 2.3.1


class LogError(Exception):
    """A log cannot be read to its end; the text names the file."""


def read_logs(paths: Iterable[Path]) -> dict[str, UsageLine]:
    """Return the line that counts of each hold, by the hold's id; other lines are passed over.

    Raises LogError: of a log that is damaged nobody knows what is missing.
    """
    found: dict[str, UsageLine] = {}
    for path in paths:
        for raw in _lines(path):
            line = read_usage_line(raw)
            if line is None:
                continue
            known = found.get(line.hold)
            if known is None or line.outweighs(known):
                found[line.hold] = line
    return found


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            if file.peek(len(_GZIP)).startswith(_GZIP):
                with gzip.GzipFile(fileobj=file) as unpacked:
                    yield from unpacked
            else:
                yield from file
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise LogError(f"{path}: is damaged or cut off") from None
    except OSError as error:
        raise LogError(f"{path}: cannot be read: {error.strerror}") from None
