"""The two small values in Redis: an entry, and a blob's manifest.

What is read is not believed. An entry is sealed: it counts only under the key and in the scope that it
was written for, so one that was swapped, cut or made up by another writer is no entry. A manifest only
says how many chunks to ask for; the bytes must have the SHA-256 that the reader came with.
"""

from __future__ import annotations

import hmac
import json
import struct
from dataclasses import dataclass

from gateway.store.keyspace import CHUNK_BYTES, ScopeKeys

__all__ = ["Entry", "Manifest"]

_ENTRY_VERSION = 1
_SEAL_BYTES = 16
_MANIFEST = struct.Struct(">BQ32s")  # version, size, SHA-256
_MANIFEST_VERSION = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """What an edit gave: the picture by SHA-256 (hex) and size, and what is told beside it.

    `cost_milli` is in thousandths of a credit, times in seconds since the epoch.
    """

    sha256: str
    size: int
    media_type: str
    headers: tuple[tuple[str, str], ...]
    cost_milli: int
    stored_at: float
    expires_at: float

    def encode(self, keys: ScopeKeys, name: str) -> bytes:
        """Return the value for the key `name`: the seal, then a JSON list behind a version byte."""
        fields = [
            self.sha256,
            self.size,
            self.media_type,
            self.headers,
            self.cost_milli,
            self.stored_at,
            self.expires_at,
        ]
        value = bytes([_ENTRY_VERSION]) + json.dumps(fields, separators=(",", ":")).encode()
        return keys.seal(name, value) + value

    @classmethod
    def decode(cls, raw: bytes, keys: ScopeKeys, name: str) -> Entry | None:
        """Return the entry that this scope wrote under `name` in this version, else None."""
        seal, value = raw[:_SEAL_BYTES], raw[_SEAL_BYTES:]
        if not hmac.compare_digest(seal, keys.seal(name, value)) or value[:1] != b"\x01":
            return None
        try:
            sha256, size, media_type, headers, *numbers = json.loads(value[1:])
            cost_milli, stored_at, expires_at = numbers
            pairs = tuple((str(key), str(text)) for key, text in headers)
            return cls(
                str(sha256),
                int(size),
                str(media_type),
                pairs,
                int(cost_milli),
                float(stored_at),
                float(expires_at),
            )
        except (ValueError, TypeError, OverflowError, RecursionError):
            return None


@dataclass(frozen=True, slots=True)
class Manifest:
    """How large a blob is. Its presence says that every chunk has been written."""

    sha256: str
    size: int

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return -(-self.size // CHUNK_BYTES)

    def encode(self) -> bytes:
        """Return the value for the manifest's key."""
        return _MANIFEST.pack(_MANIFEST_VERSION, self.size, bytes.fromhex(self.sha256))

    @classmethod
    def decode(cls, raw: bytes) -> Manifest | None:
        """Return the manifest, or None if it is of another version or none at all."""
        if len(raw) != _MANIFEST.size:
            return None
        version, size, sha256 = _MANIFEST.unpack(raw)
        return cls(sha256.hex(), size) if version == _MANIFEST_VERSION else None
