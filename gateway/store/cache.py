"""The shared cache: results by content address, and pictures by SHA-256, in Redis.

A blob is written as chunks and then its manifest, an entry after its blob; it is read the other way
round, and its SHA-256 is taken over what was read. So whatever Redis lost, cut, mixed up or evicted is a
miss and never an answer. A blob that does not read well loses its manifest, and the next write of the
same picture writes it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gateway.domain.answer import Answer
from gateway.ports import CachedAnswer, CacheKey
from gateway.store.hashing import sha256_of
from gateway.store.keyspace import BLOB_MARGIN, CHUNK_BYTES, BlobKeys, scope_keys
from gateway.store.link import Command, Link, RedisRefused, RedisTrouble
from gateway.store.records import Entry, Manifest

__all__ = ["CacheCounts", "RedisCache"]

_BATCH = 8  # chunks in one command's reply, 4 MiB: other clients wait for no more than that


@dataclass(slots=True)
class CacheCounts:
    """What went wrong since the start, for telemetry.

    `damaged` are entries and blobs that were there, but not whole or not as written; `refused` are
    calls that Redis refused, as when its memory is full; `unavailable` are those that did not reach it.
    """

    damaged: int = 0
    refused: int = 0
    unavailable: int = 0


class RedisCache:
    """ResultCache and BlobStore over a link.

    `master` is the cache's secret, `clock` tells seconds since the epoch, `max_blob` is the size in
    bytes above which nothing is kept.
    """

    def __init__(
        self,
        link: Link,
        *,
        master: bytes,
        clock: Callable[[], float],
        max_blob: int = 64 << 20,
    ) -> None:
        self._link = link
        self._master = master
        self._clock = clock
        self._max_blob = max_blob
        self.counts = CacheCounts()

    async def find(self, key: CacheKey) -> CachedAnswer | None:
        """Return the stored result, every byte verified, else None."""
        try:
            return await self._find(key)
        except RedisTrouble as trouble:
            self._count(trouble)
            return None

    async def store(self, key: CacheKey, answer: Answer, *, cost_milli: int, ttl: float) -> bool:
        """Keep a result for `ttl` seconds. False when Redis could not keep it."""
        if not self._keepable(answer.body, ttl):
            return False
        keys = scope_keys(self._master, key.scope)
        name = keys.entry(key.epoch, key.digest)
        sha256 = await sha256_of(answer.body)
        now = self._clock()
        entry = Entry(
            sha256,
            len(answer.body),
            answer.media_type,
            answer.headers,
            cost_milli,
            stored_at=now,
            expires_at=now + ttl,
        )
        try:
            await self._write(keys.blob(sha256), sha256, answer.body, ttl)
            await self._link.exchange(("SET", name, entry.encode(keys, name), "PX", _ms(ttl)))
        except RedisTrouble as trouble:
            self._count(trouble)
            return False
        return True

    async def read_blob(self, scope: str, sha256: str) -> bytes | None:
        """Return the verified bytes, else None."""
        try:
            return await self._read(scope_keys(self._master, scope).blob(sha256), sha256)
        except RedisTrouble as trouble:
            self._count(trouble)
            return None

    async def write_blob(self, scope: str, data: bytes, *, ttl: float) -> bool:
        """Keep `data` for at least `ttl` seconds. False when Redis could not keep it."""
        if not self._keepable(data, ttl):
            return False
        sha256 = await sha256_of(data)
        try:
            await self._write(scope_keys(self._master, scope).blob(sha256), sha256, data, ttl)
        except RedisTrouble as trouble:
            self._count(trouble)
            return False
        return True

    def _keepable(self, data: bytes, ttl: float) -> bool:
        return len(data) <= self._max_blob and _ms(ttl) > 0

    def _count(self, trouble: RedisTrouble) -> None:
        if isinstance(trouble, RedisRefused):
            self.counts.refused += 1
        else:
            self.counts.unavailable += 1

    async def _find(self, key: CacheKey) -> CachedAnswer | None:
        keys = scope_keys(self._master, key.scope)
        name = keys.entry(key.epoch, key.digest)
        [raw] = await self._link.exchange(("GET", name))
        if raw is None:
            return None
        entry = Entry.decode(raw, keys, name)
        if entry is None:
            self.counts.damaged += 1
            await self._link.exchange(("UNLINK", name))
            return None
        if entry.expires_at <= self._clock():
            return None
        body = await self._read(keys.blob(entry.sha256), entry.sha256)
        if body is None or len(body) != entry.size:
            return None
        answer = Answer(body, entry.media_type, entry.headers)
        return CachedAnswer(
            answer,
            entry.cost_milli,
            entry.stored_at,
            entry.expires_at,
            tier="redis",
            sha256=entry.sha256,
        )

    async def _read(self, blob: BlobKeys, sha256: str) -> bytes | None:
        # Most pictures are one chunk: asked for together with the manifest, they take one round trip.
        [[head, first]] = await self._link.exchange(("MGET", blob.manifest, *blob.chunks(0, 1)))
        if head is None:
            return None
        manifest = Manifest.decode(head)
        if manifest is not None and manifest.size <= self._max_blob:
            body = await self._read_chunks(blob, manifest, first)
            if body is not None and await sha256_of(body) == sha256:
                return body
        self.counts.damaged += 1
        await self._link.exchange(("UNLINK", blob.manifest))
        return None

    async def _read_chunks(
        self, blob: BlobKeys, manifest: Manifest, first: bytes | None
    ) -> bytes | None:
        """Return as many bytes as the manifest says, unverified; None when some are not there."""
        chunks = [first] if manifest.chunks else []
        for start in range(1, manifest.chunks, _BATCH):
            names = blob.chunks(start, min(start + _BATCH, manifest.chunks))
            [more] = await self._link.exchange(("MGET", *names))
            chunks += more
        present = [chunk for chunk in chunks if chunk is not None]
        if sum(map(len, present)) != manifest.size:
            return None
        return b"".join(present)

    async def _write(self, blob: BlobKeys, sha256: str, data: bytes, ttl: float) -> None:
        manifest = Manifest(sha256, len(data))
        names = blob.chunks(0, manifest.chunks)
        ttl_ms = _ms(ttl + BLOB_MARGIN)
        if await self._refresh([*names, blob.manifest], ttl_ms):
            return
        view = memoryview(data)
        sets: list[Command] = [
            ("SET", name, view[i * CHUNK_BYTES : (i + 1) * CHUNK_BYTES], "PX", ttl_ms)
            for i, name in enumerate(names)
        ]
        try:
            for batch in _batches(sets):
                await self._link.exchange(*batch)
            await self._link.exchange(("SET", blob.manifest, manifest.encode(), "PX", ttl_ms))
        except RedisRefused:
            # Half a blob would fill the memory that was too small for the whole one.
            await self._link.exchange(("UNLINK", *names, blob.manifest))
            raise

    async def _refresh(self, names: Sequence[str], ttl_ms: int) -> bool:
        """Whether every key is there; they then live for at least `ttl_ms` more. Manifest last."""
        present, left_ms = await self._link.exchange(("EXISTS", *names), ("PTTL", names[-1]))
        if present != len(names):
            return False
        if left_ms >= ttl_ms:
            return True
        touched = 0
        for batch in _batches([("PEXPIRE", name, ttl_ms) for name in names]):
            touched += sum(await self._link.exchange(*batch))
        return touched == len(names)


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _batches(commands: Sequence[Command]) -> Iterator[Sequence[Command]]:
    for start in range(0, len(commands), _BATCH):
        yield commands[start : start + _BATCH]
