"""A budget over four replicas while Redis fails over, is away, or is emptied, and replicas die.

The bill is the judge. While Redis is away, replicas grant on trust, all of them together within the
tenant's allowance; and what they knew they tell Redis again. So the bill is within the budget and the
allowance, and within what the books say in the end. What a dead replica had in flight when Redis lost
its books nobody knows any more: it may be in the bill and not in the books, and is added here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.client.waiting import until
from tests.replicas.ledger_numbers import Books
from tests.replicas.replicas import fleet
from tests.replicas.spree import UPSTREAM, Spree
from tests.replicas.test_outages import healed, of_the_board
from tests.servers.cluster import Cluster
from tests.servers.fixtures import StartServer
from tests.servers.process import Server
from tests.servers.sentinel import SentinelSet

REPLICAS = 4
PATIENCE = 150
SEED = 7
CALLS = 2500
"""More than the budget lets through, and the most of them while there is some left."""

BUDGET = 1_000_000
ALLOWANCE = 20_000
LIMITS = {"monthly_images": BUDGET // 1000, "emergency_images": ALLOWANCE // 1000}

Strike = Callable[[Spree], Awaitable[None]]


async def ride_out(
    url: str, server: Callable[[], Server], folder: Path, picture: bytes, strike: Strike
) -> None:
    """Spend the budget, kill a replica, let Redis be struck, and kill another replica."""
    async with (
        fleet(REPLICAS, folder, url, settings=UPSTREAM, limits=LIMITS) as f,
        asyncio.timeout(PATIENCE),
    ):
        spree = Spree(f, Books(server), picture, SEED)
        unknown = 0

        async def struck() -> None:
            nonlocal unknown
            unknown = spree.in_flight
            await strike(spree)

        await spree.run(CALLS, {350: spree.kill_one, 800: struck, 1250: spree.kill_one})
        numbers = await spree.numbers()
        print(  # noqa: T201 - shown by `pytest -s`
            f"{numbers}; bound of the bill {BUDGET} + {ALLOWANCE} + {unknown}"
        )
        assert numbers.bill <= BUDGET + ALLOWANCE + unknown
        assert numbers.bill <= numbers.spent + unknown
        assert numbers.spent <= numbers.bill + numbers.in_flight


async def test_a_budget_is_kept_when_sentinels_fail_over(
    sentinel_set: SentinelSet, tmp_path: Path, picture: bytes
) -> None:
    sentinel_set.master().admin("FLUSHALL")

    async def fail_over(_: Spree) -> None:
        sentinel_set.master().kill()

    with healed(sentinel_set):
        await ride_out(sentinel_set.url, sentinel_set.master, tmp_path, picture, fail_over)


async def test_a_budget_is_kept_when_a_cluster_fails_over(
    redis_cluster: Cluster, tmp_path: Path, picture: bytes
) -> None:
    for master in redis_cluster.masters():
        master.admin("FLUSHALL")

    def server() -> Server:
        return of_the_board(redis_cluster)

    async def fail_over(_: Spree) -> None:
        server().kill()

    with healed(redis_cluster):
        await ride_out(redis_cluster.url, server, tmp_path, picture, fail_over)


async def test_a_budget_is_kept_when_redis_is_emptied(
    start_server: StartServer, tmp_path: Path, picture: bytes
) -> None:
    server = start_server()

    async def empty(_: Spree) -> None:
        server.admin("FLUSHALL")

    await ride_out(server.url, lambda: server, tmp_path, picture, empty)


async def test_no_more_than_the_allowance_is_granted_while_redis_is_away(
    start_server: StartServer, tmp_path: Path, picture: bytes
) -> None:
    """It stays away until the allowance is used up. What Redis has not granted begins in its journal as
    sent or posted; what began as voided was refused.
    """
    server = start_server("--appendonly", "yes")

    async def be_away(spree: Spree) -> None:
        server.kill()

        async def is_used_up() -> bool:
            refused = [a for a in spree.attempts if a.outcome == "STATE_UNAVAILABLE"]
            return len(refused) >= 3 * REPLICAS

        await until(is_used_up)
        server.start()

    await ride_out(server.url, lambda: server, tmp_path, picture, be_away)
    firsts = {event.hold: event for event in reversed(Books(lambda: server).events())}
    trusted = sum(event.cost for event in firsts.values() if event.state not in {"held", "voided"})
    print(f"granted on trust {trusted} of {ALLOWANCE}")  # noqa: T201 - shown by `pytest -s`
    assert 0 < trusted <= ALLOWANCE
