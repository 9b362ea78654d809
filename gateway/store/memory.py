"""The memory tier: the results that this replica has had in hand lately, bounded in bytes.

Entries and blobs are apart: two edits that gave the same picture share its bytes. A blob is the unit of
eviction, least recently used first, and takes its entries with it. What is here was verified when it
came in, so a hit takes no hash.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

from gateway.domain.answer import Answer
from gateway.ports import BlobStore, CachedAnswer, CacheKey, ResultCache
from gateway.store.hashing import sha256_of

__all__ = ["ENTRY_BYTES", "CacheTier", "MemoryTier"]

_EntryId: TypeAlias = tuple[str, str, int]  # scope, digest, epoch
_BlobId: TypeAlias = tuple[str, str]  # scope, SHA-256

ENTRY_BYTES = 2048
"""What an entry beside its headers, and a blob beside its bytes, count for; measured, rounded up."""


class CacheTier(ResultCache, BlobStore, Protocol):
    """Both ports of the cache, on one storage."""


@dataclass(slots=True)
class _Blob:
    data: bytes
    expires_at: float
    entries: set[_EntryId] = field(default_factory=set)


class MemoryTier:
    """Keeps up to `capacity` bytes in front of `behind`; without one, memory is the whole cache.

    `clock` tells seconds since the epoch. What is written goes to both tiers and what is found behind is
    kept here; a write succeeds when the tier behind has kept it, since other replicas see only that one.
    """

    def __init__(
        self,
        behind: CacheTier | None,
        *,
        capacity: int,
        clock: Callable[[], float],
    ) -> None:
        self._behind = behind
        self._capacity = capacity
        self._clock = clock
        self._entries: dict[_EntryId, CachedAnswer] = {}
        self._blobs: OrderedDict[_BlobId, _Blob] = OrderedDict()
        self._bytes = 0

    @property
    def bytes_used(self) -> int:
        """Bytes in use: pictures, headers, and `ENTRY_BYTES` for each entry and blob."""
        return self._bytes

    async def find(self, key: CacheKey) -> CachedAnswer | None:
        """Return the result from here, else from the tier behind, else None."""
        entry_id = (key.scope, key.digest, key.epoch)
        found = self._entries.get(entry_id)
        if found is not None:
            if self._clock() < found.expires_at:
                self._blobs.move_to_end((key.scope, found.sha256))
                return found
            self._drop_entry(entry_id, found)
        found = None if self._behind is None else await self._behind.find(key)
        if found is not None:
            self._keep_entry(entry_id, found)
        return found

    async def store(self, key: CacheKey, answer: Answer, *, cost_milli: int, ttl: float) -> bool:
        """Keep a result here and behind. False when the tier behind could not keep it."""
        entry_id = (key.scope, key.digest, key.epoch)
        sha256 = await sha256_of(answer.body)
        now = self._clock()
        found = CachedAnswer(answer, cost_milli, now, now + ttl, "memory", sha256)
        kept = self._keep_entry(entry_id, found)
        if self._behind is None:
            return kept
        return await self._behind.store(key, answer, cost_milli=cost_milli, ttl=ttl)

    async def read_blob(self, scope: str, sha256: str) -> bytes | None:
        """Return the bytes from here, else from the tier behind, else None."""
        blob_id = (scope, sha256)
        blob = self._blobs.get(blob_id)
        if blob is not None and self._clock() < blob.expires_at:
            self._blobs.move_to_end(blob_id)
            return blob.data
        return None if self._behind is None else await self._behind.read_blob(scope, sha256)

    async def write_blob(self, scope: str, data: bytes, *, ttl: float) -> bool:
        """Keep `data` here and behind. False when the tier behind could not keep it."""
        blob_id = (scope, await sha256_of(data))
        kept = self._keep_blob(blob_id, data, self._clock() + ttl) is not None
        self._evict()
        if self._behind is None:
            return kept
        return await self._behind.write_blob(scope, data, ttl=ttl)

    def _keep_entry(self, entry_id: _EntryId, found: CachedAnswer) -> bool:
        """Keep an entry with its blob, under whose bytes it lives from then on."""
        self._drop_entry(entry_id, self._entries.get(entry_id))
        blob_id = (entry_id[0], found.sha256)
        blob = self._keep_blob(blob_id, found.answer.body, found.expires_at)
        if blob is None:
            return False
        answer = replace(found.answer, body=blob.data)
        self._entries[entry_id] = replace(found, answer=answer, tier="memory")
        blob.entries.add(entry_id)
        self._bytes += _weight(found)
        self._evict()
        return entry_id in self._entries

    def _keep_blob(self, blob_id: _BlobId, data: bytes, expires_at: float) -> _Blob | None:
        """Return the blob as it is kept, most recently used; None when it is expired or too large."""
        if expires_at <= self._clock() or len(data) + 2 * ENTRY_BYTES > self._capacity:
            return None
        blob = self._blobs.get(blob_id)
        if blob is None:
            blob = self._blobs[blob_id] = _Blob(data, expires_at)
            self._bytes += len(data) + ENTRY_BYTES
        blob.expires_at = max(blob.expires_at, expires_at)
        self._blobs.move_to_end(blob_id)
        return blob

    def _drop_entry(self, entry_id: _EntryId, found: CachedAnswer | None) -> None:
        if found is not None:
            del self._entries[entry_id]
            self._blobs[entry_id[0], found.sha256].entries.discard(entry_id)
            self._bytes -= _weight(found)

    def _evict(self) -> None:
        while self._bytes > self._capacity:
            _, blob = self._blobs.popitem(last=False)
            self._bytes -= len(blob.data) + ENTRY_BYTES
            for entry_id in blob.entries:
                self._bytes -= _weight(self._entries.pop(entry_id))


def _weight(found: CachedAnswer) -> int:
    """Bytes of an entry without its blob; a character of a header may take four."""
    return ENTRY_BYTES + 4 * sum(len(name) + len(value) for name, value in found.answer.headers)
