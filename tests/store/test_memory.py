"""The memory tier: bounded, shared, and in front."""

from __future__ import annotations

import hashlib
import tracemalloc
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.answer import Answer
from gateway.store.memory import ENTRY_BYTES, MemoryTier
from tests.store.tiers import MEBIBYTE, ManualClock, World, key_of, picture


def answer_of(size: int = 1000, seed: int = 0) -> Answer:
    """An answer without headers, whose weight is its picture's."""
    return Answer(picture(size, seed), "image/png")


def tier(capacity: int = MEBIBYTE) -> tuple[MemoryTier, World]:
    world = World(None, memory=capacity)
    made = world.tier()
    assert isinstance(made, MemoryTier)
    return made, world


async def test_two_entries_with_one_picture_share_its_bytes() -> None:
    cache, _ = tier()
    for digest in ("d1", "d2"):
        assert await cache.store(key_of(digest), answer_of(50_000), cost_milli=1000, ttl=60.0)
    one, two = await cache.find(key_of("d1")), await cache.find(key_of("d2"))
    assert one is not None
    assert two is not None
    assert one.answer.body is two.answer.body
    assert 50_000 + 3 * ENTRY_BYTES == cache.bytes_used


async def test_what_was_used_least_lately_goes_first() -> None:
    cache, _ = tier(3 * (10_000 + 2 * ENTRY_BYTES))
    for i in range(3):
        assert await cache.store(key_of(f"d{i}"), answer_of(10_000, i), cost_milli=1, ttl=60.0)
    assert await cache.find(key_of("d0")) is not None
    assert await cache.store(key_of("d3"), answer_of(10_000, 3), cost_milli=1, ttl=60.0)
    hits = [await cache.find(key_of(f"d{i}")) is not None for i in range(4)]
    assert [True, False, True, True] == hits


async def test_many_entries_on_one_picture_are_bounded_too() -> None:
    cache, _ = tier(100 * ENTRY_BYTES)
    for i in range(500):
        kept = await cache.store(key_of(f"d{i}"), answer_of(10), cost_milli=1, ttl=60.0)
        assert kept == (await cache.find(key_of(f"d{i}")) is not None)
        assert cache.bytes_used <= 100 * ENTRY_BYTES


async def test_headers_count_until_their_entry_goes() -> None:
    cache, _ = tier()
    wordy = replace(answer_of(), headers=(("pr-texts-detected", "x" * 9983),))
    assert await cache.store(key_of("wordy"), wordy, cost_milli=1, ttl=60.0)
    assert 1000 + 40_000 + 2 * ENTRY_BYTES == cache.bytes_used
    assert await cache.store(key_of("wordy"), answer_of(), cost_milli=1, ttl=60.0)
    assert 1000 + 2 * ENTRY_BYTES == cache.bytes_used


async def test_a_new_result_frees_what_the_old_one_took() -> None:
    cache, _ = tier(100_000)
    for seed in range(10):
        assert await cache.store(key_of(), answer_of(90_000, seed), cost_milli=1, ttl=60.0)
    assert 90_000 + 2 * ENTRY_BYTES == cache.bytes_used


async def test_a_blob_ends_with_its_time() -> None:
    cache, world = tier()
    data = picture(100)
    assert await cache.write_blob("scope", data, ttl=60.0)
    sha256 = hashlib.sha256(data).hexdigest()
    world.clock.now += 59.0
    assert data == await cache.read_blob("scope", sha256)
    world.clock.now += 1.0
    assert await cache.read_blob("scope", sha256) is None


async def test_a_hit_behind_is_kept_in_front(valkey_world: World) -> None:
    assert await valkey_world.redis().store(key_of(), answer_of(), cost_milli=200, ttl=60.0)
    cache = replace(valkey_world, memory=MEBIBYTE).tier()
    tiers = []
    for _ in range(2):
        found = await cache.find(key_of())
        assert found is not None
        assert (answer_of(), 200) == (found.answer, found.cost_milli)
        tiers.append(found.tier)
    assert ["redis", "memory"] == tiers


async def test_what_is_stored_in_front_is_stored_behind(valkey_world: World) -> None:
    cache, data = replace(valkey_world, memory=MEBIBYTE).tier(), picture(10)
    assert await cache.store(key_of(), answer_of(), cost_milli=200, ttl=60.0)
    assert await cache.write_blob("scope", data, ttl=60.0)
    assert await valkey_world.redis().find(key_of()) is not None
    sha256 = hashlib.sha256(data).hexdigest()
    assert data == await valkey_world.redis().read_blob("scope", sha256)


async def test_what_is_too_large_for_memory_is_served_from_behind(valkey_world: World) -> None:
    cache, answer = replace(valkey_world, memory=10_000).tier(), answer_of(20_000)
    assert await cache.store(key_of(), answer, cost_milli=200, ttl=60.0)
    found = await cache.find(key_of())
    assert found is not None
    assert (answer, "redis") == (found.answer, found.tier)


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["store", "find", "write", "read", "wait"]),
        st.integers(0, 5),  # digest
        st.integers(0, 5),  # picture
        st.integers(1, 40),  # seconds
    ),
    max_size=60,
)


@given(OPERATIONS)
async def test_memory_is_bounded_and_never_wrong(
    operations: list[tuple[str, int, int, int]],
) -> None:
    """Against a model that forgets nothing: a hit is what was stored last and is not expired."""
    clock, model = ManualClock(), dict[str, tuple[int, float]]()
    world = World(None, memory=40_000, clock=clock)
    cache = world.tier()
    assert isinstance(cache, MemoryTier)
    pictures = [answer_of(4_000 * n, n) for n in range(6)]
    for action, digest_number, n, seconds in operations:
        digest = f"d{digest_number}"
        if action == "store":
            await cache.store(key_of(digest), pictures[n], cost_milli=1, ttl=float(seconds))
            model[digest] = (n, clock.now + seconds)
        elif action == "find":
            found = await cache.find(key_of(digest))
            if found is not None:
                stored, expires_at = model[digest]
                assert pictures[stored] == found.answer
                assert clock.now < expires_at
        elif action == "write":
            await cache.write_blob("scope", pictures[n].body, ttl=float(seconds))
        elif action == "read":
            sha256 = hashlib.sha256(pictures[n].body).hexdigest()
            assert await cache.read_blob("scope", sha256) in (None, pictures[n].body)
        else:
            clock.now += seconds
        assert 0 <= cache.bytes_used <= 40_000
        assert cache.bytes_used == _counted(cache)


def _counted(cache: MemoryTier) -> int:
    bodies = sum(len(blob.data) for blob in cache._blobs.values())
    return bodies + ENTRY_BYTES * (len(cache._blobs) + len(cache._entries))


async def test_an_entry_takes_no_more_memory_than_it_counts_for() -> None:
    """The overhead that is counted is an upper bound, so that `capacity` is one."""
    cache, _ = tier(64 * MEBIBYTE)
    answers = [answer_of(2, i) for i in range(200)]
    keys = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(200)]
    tracemalloc.start()
    try:
        for digest, answer in zip(keys, answers, strict=True):
            await cache.store(key_of(digest), answer, cost_milli=1, ttl=60.0)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken <= cache.bytes_used
