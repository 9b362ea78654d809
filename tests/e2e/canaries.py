"""Secrets that are planted in a call, and the search for them in everything that comes out."""

from __future__ import annotations

import base64
import io
import logging
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from gateway.telemetry.logs import JsonFormatter
from tests.support.pictures import png

__all__ = [
    "PICTURE",
    "PROMPT",
    "TENANT_KEY",
    "UPSTREAM_KEY",
    "URL",
    "leaks",
    "recorded_log",
]

TENANT_KEY = "canary-tenant-key-5d1f"
UPSTREAM_KEY = "canary-upstream-key-77ab"
PROMPT = "canary prompt: a pier at dusk"
_QUERY = "canary-signature-e41c"
URL = f"https://cdn.example/a.png?sig={_QUERY}"
_INSIDE = b"canary-pixels-0be2"


def _text_chunk(text: bytes) -> bytes:
    data = b"tEXtnote\0" + text
    return struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))


_END = 12  # bytes of the last chunk, IEND
PICTURE = png()[:-_END] + _text_chunk(_INSIDE) + png()[-_END:]

_CANARIES = (TENANT_KEY, UPSTREAM_KEY, PROMPT, _QUERY, _INSIDE.decode())


def leaks(*texts: bytes | str) -> list[str]:
    """The canaries that are found in any of the texts, plain or in a usual disguise."""
    whole = b"\n".join(t.encode() if isinstance(t, str) else t for t in texts)
    return [c for c in _CANARIES if any(disguise in whole for disguise in _disguises(c))]


def _disguises(canary: str) -> Iterator[bytes]:
    yield canary.encode()
    yield quote(canary).encode()
    yield canary.replace(" ", "+").encode()
    yield base64.b64encode(canary.encode()).rstrip(b"=")[:-1]


@contextmanager
def recorded_log() -> Iterator[io.StringIO]:
    """Record every log line of the process, in the form of production."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield stream
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
