"""AdminService on real replicas: what is purged and revoked holds everywhere, within five seconds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import grpc
import pytest

from gateway.emulator import FaultRule
from gateway.v1.admin_service_pb2 import CACHED_OPERATION_EDIT, PurgeCacheRequest
from tests.e2e.asks import ask_rest, ask_rpc, edit_of, segment_of
from tests.e2e.fleet import (
    RED,
    WITHIN,
    failure,
    fleet,
    nothing_answers,
    purge,
    revoke,
    source,
    warm,
)
from tests.e2e.harness import CATALOG_KEY, LAB_KEY, World
from tests.e2e.purchases import DOORS, Told, told
from tests.servers.fixtures import StartServer

BLUE = edit_of({"background.color": "blue"})
CUT = segment_of()


async def seconds_until_it_holds(
    change: Awaitable[object], asked: list[Callable[[], Awaitable[bool]]]
) -> float:
    """Ask without a pause, before the change and after it, until nobody says that the old still holds.

    Returns the seconds from the change's beginning to the last old answer. Whoever has given a new
    answer once has to go on giving it.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    last_old = [started] * len(asked)
    firsts = [asyncio.Event() for _ in asked]

    async def ask_on(number: int) -> None:
        new_answers = 0
        while new_answers < 20:
            if await asked[number]():
                assert not new_answers, "the old is back"
                last_old[number] = loop.time()
                firsts[number].set()
            else:
                new_answers += 1

    async with asyncio.timeout(WITHIN), asyncio.TaskGroup() as group:
        for number in range(len(asked)):
            group.create_task(ask_on(number))
        for first in firsts:
            await first.wait()
        started = loop.time()
        await change
    return max(0.0, max(last_old) - started)


PURGES: dict[str, Callable[[str], PurgeCacheRequest]] = {
    "digest": lambda digest: PurgeCacheRequest(digest=digest),
    "tenant": lambda _: PurgeCacheRequest(tenant="catalog"),
    "operation": lambda _: PurgeCacheRequest(operation=CACHED_OPERATION_EDIT),
    "all": lambda _: PurgeCacheRequest(all=True),
}
DEAF = ("--rename-command", "SUBSCRIBE", "")
"""A Redis whose replicas are told nothing and have to ask."""

SPARED = {
    "digest": [(BLUE, CATALOG_KEY), (CUT, CATALOG_KEY)],
    "tenant": [(RED, LAB_KEY)],
    "operation": [(CUT, CATALOG_KEY), (CUT, LAB_KEY)],
    "all": [],
}
"""What else is stored, and a purge does not reach."""


@pytest.mark.parametrize(
    ("reach", "options"), [*((reach, ()) for reach in PURGES), ("digest", DEAF)]
)
async def test_a_purge_holds_on_every_replica_while_hits_are_served_from_memory(
    start_server: StartServer,
    capsys: pytest.CaptureFixture[str],
    reach: str,
    options: tuple[str, ...],
) -> None:
    async with fleet(3, start_server(*options).url) as worlds:
        digest = await warm(worlds, RED)
        for ask, key in SPARED[reach]:
            await warm(worlds, ask, key)
        request = PURGES[reach](digest)

        def is_hit(w: World) -> Callable[[], Awaitable[bool]]:
            async def ask() -> bool:
                return await source(w, RED) == "memory"

            return ask

        seconds = await seconds_until_it_holds(
            purge(worlds[0], request), [is_hit(w) for w in worlds]
        )
        with capsys.disabled():
            how = " by the clock alone" if options else ""
            print(f"\npurge of {reach}{how}: held on {len(worlds)} replicas after {seconds:.3f} s")  # noqa: T201 - the acceptance prints it
        for w in worlds:
            for ask, key in SPARED[reach]:
                assert "memory" == await source(w, ask, key)
        bought = worlds[0].emulator.bill.charges
        await warm(worlds, RED)
        assert bought + 1 == worlds[0].emulator.bill.charges, "it is bought anew, once"


@pytest.mark.parametrize("door", DOORS)
async def test_a_revocation_holds_on_every_replica_while_hits_are_served_from_memory(
    start_server: StartServer, capsys: pytest.CaptureFixture[str], door: str
) -> None:
    async with fleet(3, start_server().url) as worlds:
        await warm(worlds, RED)
        await warm(worlds, RED, LAB_KEY)

        def is_served(w: World) -> Callable[[], Awaitable[bool]]:
            return lambda: _is_served(w, door)

        seconds = await seconds_until_it_holds(
            revoke(worlds[0], CATALOG_KEY), [is_served(w) for w in worlds]
        )
        with capsys.disabled():
            print(f"\nrevocation at {door}: held on {len(worlds)} replicas after {seconds:.3f} s")  # noqa: T201 - as above
        for w in worlds:
            sandbox = await ask_rest(w, RED, key=f"sandbox_{CATALOG_KEY}")
            unknown = await ask_rest(w, RED, key="nobody's")
            assert (401, unknown.json) == (sandbox.status, sandbox.json)
            assert "memory" == await source(w, RED, LAB_KEY)


async def _is_served(w: World, door: str) -> bool:
    """Whether the call is a hit from memory; else it has to be UNAUTHENTICATED."""
    if door == "rest":
        reply = await ask_rest(w, RED)
        if reply.status == 401:
            assert "UNAUTHENTICATED" == reply.json["error"]["type"]
            return False
        assert 200 == reply.status
        return True
    try:
        result = await ask_rpc(w, RED)
    except grpc.aio.AioRpcError as error:
        assert grpc.StatusCode.UNAUTHENTICATED == error.code()  # noqa: PT017 - one of two ways to end
        return False
    assert "memory" == result.cache.source
    return True


@pytest.mark.parametrize("reach", PURGES)
async def test_a_purchase_that_began_before_a_purge_is_not_found_after_it(
    start_server: StartServer, reach: str
) -> None:
    async with fleet(2, start_server().url) as [one, two]:
        digest = await warm([one], RED)
        await purge(one, PurgeCacheRequest(all=True))
        async with one_under_way(one) as before:
            await purge(one, PURGES[reach](digest))
        answer = await before
        assert answer is not None, "its caller has the picture"
        assert ("miss", 2) == (answer.source, one.emulator.bill.charges)

        assert await source(one, RED) is None
        await nothing_answers([two], RED)
        await warm([one], RED)
        assert 3 == one.emulator.bill.charges


async def test_who_comes_after_a_purge_does_not_share_a_purchase_that_began_before(
    start_server: StartServer,
) -> None:
    async with fleet(1, start_server().url) as [w]:
        async with one_under_way(w) as before:
            await purge(w, PurgeCacheRequest(tenant="catalog"))
            after = await told(w, "rest", RED)
            assert after is not None
            assert ("miss", 1) == (after.source, w.emulator.bill.charges)
        assert await before is not None
        assert 2 == w.emulator.bill.charges


@asynccontextmanager
async def one_under_way(w: World) -> AsyncIterator[asyncio.Future[Told | None]]:
    """A purchase that has reached the upstream, and is not answered before the end of the context."""
    emulator = w.emulator
    emulator.faults.add(FaultRule(gate="slow", times=1))
    call = asyncio.ensure_future(told(w, "rest", RED))
    await emulator.until(lambda: emulator.gates.waiting("slow") == 1)
    yield call
    emulator.gates.open("slow")


async def test_a_purge_of_a_tenant_reaches_all_of_its_shared_scope(
    start_server: StartServer,
) -> None:
    """So that what it shares is bought once after it, too."""
    shared = {"cache_scopes": {"retail": ["catalog", "lab"]}}
    async with fleet(1, start_server().url, changes=shared) as [w]:
        await warm([w], RED)
        assert "memory" == await source(w, RED, LAB_KEY)
        await purge(w, PurgeCacheRequest(tenant="catalog"))
        assert await source(w, RED, LAB_KEY) is None
        await warm([w], RED)
        assert "memory" == await source(w, RED, LAB_KEY)
        assert 2 == w.emulator.bill.charges


async def test_while_the_state_redis_is_gone_hits_go_on_and_changes_are_refused(
    start_server: StartServer,
) -> None:
    state, cache = start_server(), start_server()
    changes = {"redis": {"state_url": state.url, "cache_url": cache.url}}
    async with fleet(2, state.url, changes=changes) as worlds:
        await warm(worlds, RED)
        state.kill()
        refusal = await failure(purge(worlds[0], PurgeCacheRequest(all=True)))
        assert (grpc.StatusCode.UNAVAILABLE, "STATE_UNAVAILABLE") == (refusal.code, refusal.reason)
        assert 1 == refusal.retry_seconds
        assert ["memory", "memory"] == [await source(w, RED) for w in worlds]
        state.start()
        async with asyncio.timeout(WITHIN):
            while True:
                try:
                    await purge(worlds[0], PurgeCacheRequest(tenant="catalog"))
                    break
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0.1)
        await nothing_answers(worlds, RED)
