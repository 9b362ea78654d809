"""What the tests of the cache share: tiers over every kind of Redis, keys, pictures, clocks."""

from __future__ import annotations

import random
import secrets
from dataclasses import dataclass, field

from gateway.domain.answer import Answer
from gateway.ports import CacheKey
from gateway.store.cache import RedisCache
from gateway.store.link import Link
from gateway.store.memory import CacheTier, MemoryTier

__all__ = ["ManualClock", "World", "answer_of", "key_of", "picture"]

MEBIBYTE = 1 << 20


@dataclass(slots=True)
class ManualClock:
    """A clock that a test sets."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass(slots=True)
class World:
    """What a tier stands on: a keyspace of its own, and a clock."""

    link: Link | None
    memory: int = 0
    max_blob: int = 8 * MEBIBYTE
    clock: ManualClock = field(default_factory=ManualClock)
    master: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def redis(self) -> RedisCache:
        """A replica's Redis tier; each call is another replica."""
        assert self.link is not None, "this world has no Redis"
        return RedisCache(
            self.link,
            master=self.master,
            clock=self.clock,
            max_blob=self.max_blob,
        )

    def tier(self) -> CacheTier:
        """A replica's whole cache."""
        behind = None if self.link is None else self.redis()
        if behind is not None and not self.memory:
            return behind
        return MemoryTier(
            behind,
            capacity=self.memory or self.max_blob,
            clock=self.clock,
        )


def key_of(digest: str = "d1", *, scope: str = "scope", epoch: int = 0) -> CacheKey:
    """A key; digests are short here, the store does not look into them."""
    return CacheKey(scope, digest, epoch)


def picture(size: int, seed: int = 0) -> bytes:
    """Bytes that look like nothing else."""
    return random.Random(f"{size} {seed}").randbytes(size)


def answer_of(size: int = 1000, seed: int = 0) -> Answer:
    """An answer of that size, with a header."""
    return Answer(picture(size, seed), "image/png", (("x-uncertainty-score", "0.25"),))
