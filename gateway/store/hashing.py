"""SHA-256 of whole pictures, without stopping the other calls of the process."""

from __future__ import annotations

import asyncio
import hashlib

__all__ = ["sha256_of"]

_INLINE_BYTES = 1 << 20  # about a millisecond on the event loop


async def sha256_of(data: bytes) -> str:
    """Return the SHA-256 in lower-case hex; what is large is hashed in a thread."""
    if len(data) <= _INLINE_BYTES:
        return hashlib.sha256(data).hexdigest()
    return (await asyncio.to_thread(hashlib.sha256, data)).hexdigest()
