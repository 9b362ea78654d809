"""Whatever is wrong in Redis, a look-up answers the right picture or none, and the next write heals it."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import pytest

from gateway.domain.answer import Answer
from gateway.store.keyspace import CHUNK_BYTES, BlobKeys, scope_keys
from gateway.store.link import Command, Link
from gateway.store.records import Entry, Manifest
from tests.store.tiers import World, answer_of, key_of

ANSWER = answer_of(2 * CHUNK_BYTES + 100)
OTHER = answer_of(2 * CHUNK_BYTES + 100, seed=2)
SHA256 = hashlib.sha256(ANSWER.body).hexdigest()


@dataclass(frozen=True, slots=True)
class Stored:
    """Two results in Redis: names and raw values of the one to be damaged, names of the other's."""

    link: Link
    entry: str
    blob: BlobKeys
    other_entry: str
    other_blob: BlobKeys

    async def get(self, name: str) -> bytes:
        [value] = await self.link.exchange(("GET", name))
        assert isinstance(value, bytes)
        return value

    async def put(self, name: str, value: bytes) -> None:
        await self.link.exchange(("SET", name, value))

    async def do(self, *command: str) -> None:
        narrow: Command = command
        await self.link.exchange(narrow)

    def chunk(self, index: int) -> str:
        return self.blob.chunks(index, index + 1)[0]


Damage: TypeAlias = Callable[[Stored], Awaitable[None]]


async def stored(world: World) -> Stored:
    cache = world.redis()
    assert world.link is not None
    keys = scope_keys(world.master, "scope")
    for digest, answer in (("d1", ANSWER), ("d2", OTHER)):
        assert await cache.store(key_of(digest), answer, cost_milli=1000, ttl=60.0)
    return Stored(
        world.link,
        keys.entry(0, "d1"),
        keys.blob(SHA256),
        keys.entry(0, "d2"),
        keys.blob(hashlib.sha256(OTHER.body).hexdigest()),
    )


async def a_chunk_is_lost(s: Stored) -> None:
    await s.do("DEL", s.chunk(1))


async def the_first_chunk_is_lost(s: Stored) -> None:
    await s.do("DEL", s.chunk(0))


async def every_chunk_is_lost(s: Stored) -> None:
    await s.do("DEL", *s.blob.chunks(0, 3))


async def a_bit_is_flipped(s: Stored) -> None:
    chunk = bytearray(await s.get(s.chunk(2)))
    chunk[50] ^= 1
    await s.put(s.chunk(2), bytes(chunk))


async def a_chunk_is_cut(s: Stored) -> None:
    await s.put(s.chunk(1), (await s.get(s.chunk(1)))[:-1])


async def a_chunk_is_too_long(s: Stored) -> None:
    await s.put(s.chunk(2), await s.get(s.chunk(2)) + b"\0")


async def two_chunks_are_swapped(s: Stored) -> None:
    first, second = await s.get(s.chunk(0)), await s.get(s.chunk(1))
    await s.put(s.chunk(0), second)
    await s.put(s.chunk(1), first)


async def a_chunk_is_of_another_type(s: Stored) -> None:
    await s.do("DEL", s.chunk(1))
    await s.do("RPUSH", s.chunk(1), "x")


async def a_chunk_is_of_another_blob(s: Stored) -> None:
    await s.put(s.chunk(0), await s.get(s.other_blob.chunks(0, 1)[0]))


async def the_whole_blob_is_another(s: Stored) -> None:
    for mine, theirs in zip(s.blob.chunks(0, 3), s.other_blob.chunks(0, 3), strict=True):
        await s.put(mine, await s.get(theirs))
    await s.put(s.blob.manifest, await s.get(s.other_blob.manifest))


async def the_manifest_is_lost(s: Stored) -> None:
    await s.do("DEL", s.blob.manifest)


async def the_manifest_is_garbage(s: Stored) -> None:
    await s.put(s.blob.manifest, b"\xff" * 41)


async def the_manifest_is_cut(s: Stored) -> None:
    await s.put(s.blob.manifest, (await s.get(s.blob.manifest))[:-1])


async def the_manifest_claims_a_terabyte(s: Stored) -> None:
    await s.put(s.blob.manifest, Manifest(SHA256, 1 << 40).encode())


async def the_manifest_claims_less(s: Stored) -> None:
    await s.put(s.blob.manifest, Manifest(SHA256, CHUNK_BYTES).encode())


async def the_manifest_is_of_another_version(s: Stored) -> None:
    await s.put(s.blob.manifest, b"\x02" + (await s.get(s.blob.manifest))[1:])


async def the_entry_is_garbage(s: Stored) -> None:
    await s.put(s.entry, b"\x01" * 200)


async def the_entry_is_empty(s: Stored) -> None:
    await s.put(s.entry, b"")


async def the_entry_is_cut(s: Stored) -> None:
    await s.put(s.entry, (await s.get(s.entry))[:-1])


async def the_entry_is_that_of_another_edit(s: Stored) -> None:
    """Its picture is whole and has the right SHA-256; only the seal tells that it is not ours."""
    await s.put(s.entry, await s.get(s.other_entry))


async def the_entry_is_of_another_type(s: Stored) -> None:
    await s.do("DEL", s.entry)
    await s.do("RPUSH", s.entry, "x")


DAMAGES = [
    a_chunk_is_lost,
    the_first_chunk_is_lost,
    every_chunk_is_lost,
    a_bit_is_flipped,
    a_chunk_is_cut,
    a_chunk_is_too_long,
    two_chunks_are_swapped,
    a_chunk_is_of_another_type,
    a_chunk_is_of_another_blob,
    the_whole_blob_is_another,
    the_manifest_is_lost,
    the_manifest_is_garbage,
    the_manifest_is_cut,
    the_manifest_claims_a_terabyte,
    the_manifest_claims_less,
    the_manifest_is_of_another_version,
    the_entry_is_garbage,
    the_entry_is_empty,
    the_entry_is_cut,
    the_entry_is_that_of_another_edit,
    the_entry_is_of_another_type,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
async def test_damage_is_a_miss_until_the_next_write(redis_world: World, damage: Damage) -> None:
    await damage(await stored(redis_world))
    cache = redis_world.redis()
    for _ in range(2):
        assert await cache.find(key_of("d1")) is None

    assert await cache.store(key_of("d1"), ANSWER, cost_milli=1000, ttl=60.0)

    assert ANSWER == await _found(redis_world, "d1")
    assert OTHER == await _found(redis_world, "d2")


async def test_a_bad_entry_is_deleted_when_it_is_met(valkey_world: World) -> None:
    names = await stored(valkey_world)
    await the_entry_is_garbage(names)
    cache = valkey_world.redis()
    assert await cache.find(key_of("d1")) is None
    assert 1 == cache.counts.damaged
    assert [0] == await names.link.exchange(("EXISTS", names.entry))


async def test_an_entry_written_by_a_later_version_is_a_miss(valkey_world: World) -> None:
    names = await stored(valkey_world)
    keys = scope_keys(valkey_world.master, "scope")
    value = b"\x02" + (await names.get(names.entry))[17:]
    await names.put(names.entry, keys.seal(names.entry, value) + value)
    assert await valkey_world.redis().find(key_of("d1")) is None


async def test_an_entry_of_one_scope_is_none_in_another(valkey_world: World) -> None:
    """Even where Redis has been told to give it: its seal is of the scope that bought it."""
    names = await stored(valkey_world)
    keys = scope_keys(valkey_world.master, "other scope")
    await names.put(keys.entry(0, "d1"), await names.get(names.entry))
    assert await valkey_world.redis().find(key_of("d1", scope="other scope")) is None


async def test_an_entry_whose_size_is_not_its_picture_s_is_a_miss(valkey_world: World) -> None:
    names = await stored(valkey_world)
    keys = scope_keys(valkey_world.master, "scope")
    now = valkey_world.clock()
    wrong = Entry(SHA256, len(ANSWER.body) + 1, "image/png", (), 1000, now, now + 60.0)
    await names.put(names.entry, wrong.encode(keys, names.entry))
    assert await valkey_world.redis().find(key_of("d1")) is None


async def test_a_blob_outlives_every_entry_that_names_it(valkey_world: World) -> None:
    """A second entry with a longer life refreshes the blob; a shorter one does not cut its life."""
    names = await stored(valkey_world)
    cache = valkey_world.redis()
    every = [*names.blob.chunks(0, 3), names.blob.manifest]
    for digest, ttl in (("long", 6000.0), ("short", 6.0)):
        assert await cache.store(key_of(digest), ANSWER, cost_milli=1000, ttl=ttl)
    left = await names.link.exchange(*(("PTTL", name) for name in every))
    assert [True] * 4 == [6_000_000 < ms <= 6_300_000 for ms in left]


async def test_a_blob_that_is_there_is_not_written_again(valkey_world: World) -> None:
    names = await stored(valkey_world)
    await a_bit_is_flipped(names)
    assert await valkey_world.redis().write_blob("scope", ANSWER.body, ttl=60.0)
    assert await valkey_world.redis().read_blob("scope", SHA256) is None


async def _found(world: World, digest: str) -> Answer | None:
    found = await world.redis().find(key_of(digest))
    return None if found is None else found.answer
