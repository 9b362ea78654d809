"""What the upstream answers changes the keys as the design says, on every replica; and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Final

import pytest

from gateway.emulator import EmulatorSettings, FaultRule
from tests.client.waiting import until
from tests.e2e.asks import edit_of
from tests.e2e.harness import CATALOG_KEY, LAB_KEY
from tests.replicas.calling import OK
from tests.replicas.edits import edit_number, segment_number
from tests.replicas.pool_worlds import UNHURRIED, WINDOW, Pool, account, upstream_of
from tests.replicas.replicas import DOORS, fleet
from tests.servers.fixtures import StartServer

REPLICAS = 3
PATIENCE = 60
WITHIN: Final = 5.0
"""Seconds in which all replicas say what one of them has seen."""

HOURS = 7200


@asynccontextmanager
async def healthy(start_server: StartServer, folder: Path, picture: bytes) -> AsyncIterator[Pool]:
    """Four keys: two of one account, and two with an account each."""
    accounts = (
        account("one", "k1"),
        account("two", "k2"),
        account("three", "k3", "k4"),
    )
    settings = EmulatorSettings(accounts, window_s=WINDOW)
    upstream = upstream_of(settings, folder, poll="3s")
    async with (
        fleet(
            REPLICAS,
            folder,
            start_server().url,
            settings=settings,
            upstream=upstream,
            time_out=UNHURRIED,
        ) as f,
        asyncio.timeout(PATIENCE),
    ):
        pool = Pool(f, picture)
        await pool.until_reached("k1", "k2", "k3", "k4")
        assert await pool.until_all_say() < WITHIN
        yield pool


async def all_say(pool: Pool, *facts: str) -> None:
    seconds = await pool.until_all_say(*facts)
    print(f"after {seconds:.2f} s all replicas say {facts or 'nothing'}")  # noqa: T201 - shown by `pytest -s`
    assert seconds < WITHIN


async def test_keys_that_are_refused_are_left_alone_until_they_are_resumed(
    start_server: StartServer, tmp_path: Path, picture: bytes
) -> None:
    """401; 403 for the account call too; 403 of one operation; 429 of hours."""
    async with healthy(start_server, tmp_path, picture) as pool:
        emulator = pool.f.emulator
        for status, fact in ((401, "k1: REJECTED"), (403, "k1: FORBIDDEN")):
            emulator.accounts.set_status("k1", status)
            await pool.until_reached("k1")
            await all_say(pool, fact)
            await pool.without("k1")
            emulator.accounts.set_status("k1", None)
            await pool.resume("k1")
            await all_say(pool)
            await pool.until_reached("k1")

        emulator.faults.add(FaultRule(operation="edit", key="k1", status=403))
        await pool.until_reached("k1")
        await all_say(pool, "k1: not for EDIT")
        await pool.without("k1")
        await until_segment(pool, "k1")
        emulator.faults.clear()
        await pool.resume("k1")
        await all_say(pool)

        emulator.faults.add(FaultRule(key="k1", status=429, wait_s=HOURS, times=1))
        await pool.until_reached("k1")
        await all_say(pool, "k1: COOLING")
        await pool.without("k1")
        said = await pool.listed(pool.f.replicas[-1])
        [until_] = [key.cooling_until.seconds for key in said.keys if key.id == "k1"]
        print(f"left alone for {until_ - time.time():.0f} s")  # noqa: T201 - shown by `pytest -s`
        assert HOURS - 60 < until_ - time.time() <= HOURS + 2
        await pool.resume("k1")
        await all_say(pool)
        await pool.until_reached("k1")


async def until_segment(pool: Pool, key: str) -> None:
    """Another operation is still asked of a key."""
    before = pool.by_key()[key]

    async def is_reached() -> bool:
        for replica in pool.f.replicas:
            ask = segment_number(next(pool.numbers), pool.picture)
            assert OK == (await replica.ask("grpc", ask)).outcome
        return pool.by_key()[key] > before

    await until(is_reached)


async def test_keys_that_wait_come_back_by_themselves(
    start_server: StartServer, tmp_path: Path, picture: bytes
) -> None:
    """402 until a poll shows images; 429 of seconds; two keys throttled together are their account."""
    async with healthy(start_server, tmp_path, picture) as pool:
        emulator = pool.f.emulator
        # It answers no poll: only the call can show that it is empty.
        emulator.faults.add(FaultRule(operation="account", key="k1", status=500))
        emulator.accounts.set_available("one", 0)
        await pool.until_reached("k1")
        await all_say(pool, "one: EXHAUSTED")
        await pool.without("k1")
        emulator.accounts.set_available("one", 1000)
        emulator.faults.clear()
        await all_say(pool)
        await pool.until_reached("k1")

        emulator.faults.add(FaultRule(key="k1", status=429, wait_s=2, times=1))
        await pool.until_reached("k1")
        await all_say(pool)
        await pool.until_reached("k1")

        both = [FaultRule(key=key, status=429, wait_s=HOURS, times=1) for key in ("k3", "k4")]
        emulator.faults.add(*both)
        await pool.until_reached("k3", "k4")
        await all_say(pool, "k3: COOLING", "k4: COOLING", "three: COOLING")
        await pool.without("k3", "k4")


async def test_an_endpoint_that_fails_is_left_alone_and_found_again(
    start_server: StartServer, tmp_path: Path, picture: bytes
) -> None:
    """5xx: three edits that draw it take the endpoint down for all, and no key; one call finds it back."""
    async with healthy(start_server, tmp_path, picture) as pool:
        emulator, replicas = pool.f.emulator, pool.f.replicas
        emulator.faults.add(FaultRule(operation="edit", status=503))
        failed = [
            await replica.ask("rest", edit_number(next(pool.numbers), picture))
            for replica in replicas
        ]
        assert {"OUTCOME_UNKNOWN"} == {answer.outcome for answer in failed}
        await all_say(pool, "EDIT: OPEN")
        before = pool.by_key()
        refused = await pool.burst(6)
        assert {"UPSTREAM_COOLING"} == {answer.outcome for answer in refused}
        assert before == pool.by_key()
        segment = segment_number(next(pool.numbers), picture)
        assert OK == (await replicas[0].ask("rest", segment)).outcome
        emulator.faults.clear()
        begin = time.monotonic()

        async def is_back() -> bool:
            return OK == (await pool.burst(1))[0].outcome

        await until(is_back)
        print(f"found again after {time.monotonic() - begin:.1f} s")  # noqa: T201 - shown by `pytest -s`
        await all_say(pool)
        await pool.served(12)


@pytest.mark.parametrize("status", [403, 500])
async def test_a_tenant_that_repeats_a_call_harms_nobody_else(
    status: int, start_server: StartServer, tmp_path: Path, picture: bytes
) -> None:
    """Every key answers that call so; the calls of others, their keys and endpoint are as before."""
    async with healthy(start_server, tmp_path, picture) as pool:
        alone = await timed(pool, 60)
        # An edit of a picture by URL is the one that is asked for by GET.
        pool.f.emulator.faults.add(FaultRule(method="GET", status=status))
        ask = edit_of({"imageUrl": "https://example.com/picture.png"}, {})
        outcomes: list[str] = []

        async def loop() -> None:
            for replica, door in cycle([(r, d) for r in pool.f.replicas for d in DOORS]):
                outcomes.append((await replica.ask(door, ask, key=LAB_KEY)).outcome)
                await asyncio.sleep(0.02)

        before = pool.by_key()
        looping = asyncio.create_task(loop())
        beside = await timed(pool, 120)
        looping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looping
        asked = pool.f.emulator.bill.requests["GET /v2/edit"]
        print(  # noqa: T201 - shown by `pytest -s`
            f"{len(outcomes)} calls answered {status}: {set(outcomes)}, {asked} of them upstream; others' "
            f"median {median(alone) * 1000:.0f} ms before, {median(beside) * 1000:.0f} ms beside it"
        )
        assert {"UPSTREAM_COOLING"} < set(outcomes)
        assert OK not in outcomes
        await all_say(pool)
        assert {"k1", "k2", "k3", "k4"} == (pool.by_key() - before).keys()


async def timed(pool: Pool, calls: int) -> list[float]:
    """Make so many calls, one after the other, all of them served; return their seconds."""
    seconds = []
    for number, (replica, door) in zip(
        range(calls), cycle([(r, d) for r in pool.f.replicas for d in DOORS])
    ):
        make = segment_number if number % 3 == 0 else edit_number
        begin = time.monotonic()
        answer = await replica.ask(door, make(next(pool.numbers), pool.picture), key=CATALOG_KEY)
        seconds.append(time.monotonic() - begin)
        assert OK == answer.outcome
    return seconds
