"""What every cache promises, whatever it stands on."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from gateway.store.keyspace import CHUNK_BYTES
from tests.store.tiers import World, answer_of, key_of, picture

SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 10 * CHUNK_BYTES + 7]


async def test_what_is_stored_is_found_with_all_that_was_told_of_it(world: World) -> None:
    cache, key, answer = world.tier(), key_of(), answer_of(100_000)
    assert await cache.store(key, answer, cost_milli=200, ttl=60.0)

    found = await cache.find(key)

    assert found is not None
    assert answer == found.answer
    assert 200 == found.cost_milli
    assert (world.clock(), world.clock() + 60.0) == (found.stored_at, found.expires_at)
    assert hashlib.sha256(answer.body).hexdigest() == found.sha256
    assert ("memory" if world.memory else "redis") == found.tier


@pytest.mark.parametrize("size", SIZES)
async def test_a_picture_of_any_size_comes_back_whole(world: World, size: int) -> None:
    cache, answer = world.tier(), answer_of(size)
    assert await cache.store(key_of(), answer, cost_milli=1000, ttl=60.0)
    found = await cache.find(key_of())
    assert found is not None
    assert answer.body == found.answer.body


async def test_what_was_never_stored_is_a_miss(world: World) -> None:
    cache = world.tier()
    assert await cache.find(key_of()) is None
    assert await cache.read_blob("scope", hashlib.sha256(b"").hexdigest()) is None


async def test_the_latest_result_replaces_the_one_before(world: World) -> None:
    cache = world.tier()
    for seed in (1, 2):
        assert await cache.store(key_of(), answer_of(seed=seed), cost_milli=1000, ttl=60.0)
    found = await cache.find(key_of())
    assert found is not None
    assert answer_of(seed=2) == found.answer


async def test_a_scope_never_sees_the_entries_and_blobs_of_another(world: World) -> None:
    cache, answer = world.tier(), answer_of()
    sha256 = hashlib.sha256(answer.body).hexdigest()
    assert await cache.store(key_of(scope="one"), answer, cost_milli=1000, ttl=60.0)
    assert await cache.write_blob("one", answer.body, ttl=60.0)
    assert await cache.find(key_of(scope="two")) is None
    assert await cache.read_blob("two", sha256) is None
    assert answer.body == await cache.read_blob("one", sha256)


async def test_a_higher_epoch_disowns_every_older_entry(world: World) -> None:
    cache = world.tier()
    assert await cache.store(key_of(epoch=1), answer_of(), cost_milli=1000, ttl=60.0)
    assert await cache.find(key_of(epoch=2)) is None
    assert await cache.store(key_of(epoch=2), answer_of(seed=2), cost_milli=1000, ttl=60.0)
    found = await cache.find(key_of(epoch=2))
    assert found is not None
    assert answer_of(seed=2) == found.answer


async def test_what_a_purchase_of_an_older_epoch_brings_is_not_found_in_a_newer_one(
    world: World,
) -> None:
    """It looked before the purge and stores after it."""
    cache = world.tier()
    assert await cache.store(key_of(epoch=2), answer_of(seed=2), cost_milli=1000, ttl=60.0)
    assert await cache.store(key_of(epoch=1), answer_of(seed=1), cost_milli=1000, ttl=60.0)
    found = await cache.find(key_of(epoch=2))
    assert found is not None
    assert answer_of(seed=2) == found.answer


async def test_a_result_ends_with_its_time(world: World) -> None:
    cache = world.tier()
    assert await cache.store(key_of(), answer_of(), cost_milli=1000, ttl=60.0)
    world.clock.now += 59.0
    assert await cache.find(key_of()) is not None
    world.clock.now += 1.0
    assert await cache.find(key_of()) is None


async def test_what_has_no_time_to_live_is_not_kept(world: World) -> None:
    cache = world.tier()
    assert not await cache.store(key_of(), answer_of(), cost_milli=1000, ttl=0.0)
    assert not await cache.write_blob("scope", picture(10), ttl=-1.0)
    assert await cache.find(key_of()) is None


async def test_a_blob_above_the_limit_is_not_kept_and_does_no_harm(world: World) -> None:
    small = replace(world, memory=world.memory and 20_000, max_blob=10_000)
    cache, large = small.tier(), answer_of(20_001)
    assert not await cache.store(key_of("large"), large, cost_milli=1000, ttl=60.0)
    assert not await cache.write_blob("scope", large.body, ttl=60.0)
    assert await cache.find(key_of("large")) is None
    assert await cache.store(key_of("small"), answer_of(10_000), cost_milli=1000, ttl=60.0)
    assert await cache.find(key_of("small")) is not None


async def test_a_blob_is_read_by_its_sha256(world: World) -> None:
    cache, data = world.tier(), picture(3 * CHUNK_BYTES)
    assert await cache.write_blob("scope", data, ttl=60.0)
    assert data == await cache.read_blob("scope", hashlib.sha256(data).hexdigest())


async def test_a_result_s_picture_is_a_blob_of_its_scope(world: World) -> None:
    """So an edit of an edit needs no second upload."""
    cache, answer = world.tier(), answer_of()
    assert await cache.store(key_of(), answer, cost_milli=1000, ttl=60.0)
    assert answer.body == await cache.read_blob("scope", hashlib.sha256(answer.body).hexdigest())


async def test_another_replica_finds_what_this_one_stored(redis_world: World) -> None:
    assert await redis_world.tier().store(key_of(), answer_of(), cost_milli=1000, ttl=60.0)
    found = await redis_world.tier().find(key_of())
    assert found is not None
    assert answer_of() == found.answer


async def test_a_gateway_with_another_secret_finds_nothing(redis_world: World) -> None:
    assert await redis_world.tier().store(key_of(), answer_of(), cost_milli=1000, ttl=60.0)
    stranger = replace(redis_world, master=b"another secret, of 32 bytes too.")
    assert await stranger.tier().find(key_of()) is None
