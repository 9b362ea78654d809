"""Request rates while Redis is gone, hangs, comes back, is full, and forgets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from gateway.domain.errors import TenantRate
from gateway.store.keyspace import requests_key
from gateway.store.link import Command, TimeOuts
from gateway.store.requests import RedisRequestGate
from tests.servers.fixtures import StartServer
from tests.servers.process import Server
from tests.store.conftest import SERVERS
from tests.store.request_tools import Clock, TwinLink, TwinServer, enters, gates, limited, until

HOUR = 3_600_000_000
QUICK = TimeOuts(connect=0.2, operation=0.3)
SECONDS = 20.0


async def leases_again(gate: RedisRequestGate) -> None:
    """Call until calls are let through by Redis again."""

    async def called() -> bool:
        before = gate.degraded
        await enters(gate, limited(1000, HOUR))
        return before == gate.degraded

    async with asyncio.timeout(SECONDS):
        while not await called():  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("trouble", [Server.kill, Server.freeze], ids=["killed", "frozen"])
@pytest.mark.parametrize("strict", [True, False])
async def test_while_redis_is_silent_everybody_goes_on_with_a_share(
    start_server: StartServer,
    trouble: Callable[[Server], None],
    strict: bool,  # noqa: FBT001 - a column of the table
) -> None:
    server = start_server()
    tenant = limited(100, HOUR, strict=strict)
    async with gates(server.url, 4, timed=False, time_outs=QUICK) as (_, made):
        trouble(server)
        let_through = [await enters(gate, tenant, 100) for gate in made]
        assert [20] * 4 == let_through, "80 % of the burst, by four"
        assert let_through == [gate.degraded for gate in made]


async def test_when_redis_is_back_leases_are_too(start_server: StartServer) -> None:
    server = start_server()
    tenant = limited(100, HOUR)
    async with gates(server.url, timed=False, time_outs=QUICK) as (_, [gate]):
        assert 1 == await enters(gate, tenant)
        server.kill()
        await enters(gate, limited(100, HOUR))
        assert 1 == gate.degraded
        server.start()
        await leases_again(gate)
        degraded = gate.degraded
        assert 100 == await enters(gate, limited(100, HOUR), 200)
        assert degraded == gate.degraded


async def test_what_redis_had_said_counts_while_it_is_silent(start_server: StartServer) -> None:
    """One whose bucket was empty does not get a new one with the outage."""
    server = start_server()
    tenant = limited(100, HOUR)
    async with gates(server.url, 1, timed=False, time_outs=QUICK) as (_, [gate]):
        assert 100 == await enters(gate, tenant, 100)
        server.kill()
        assert 1 == await enters(gate, limited(100, HOUR)), "from here on it is known to be silent"
        assert 0 == await enters(gate, tenant, 100)


@pytest.mark.parametrize("kind", SERVERS)
async def test_scripts_that_a_server_does_not_know_are_told(
    kind: str, request: pytest.FixtureRequest
) -> None:
    server = request.getfixturevalue(kind)
    async with gates(server.url, timed=False) as (_, [gate]):
        assert 5 == await enters(gate, limited(5, HOUR), 10)
        assert 0 == gate.degraded


@pytest.mark.parametrize("command", [["SCRIPT", "FLUSH"], ["FLUSHALL"]], ids=["scripts", "all"])
async def test_a_server_that_has_forgotten_is_no_outage(
    start_server: StartServer, command: list[str]
) -> None:
    server = start_server()
    async with gates(server.url, timed=False) as (_, [gate]):
        await enters(gate, limited(20, HOUR))
        server.admin(*command)
        assert 20 == await enters(gate, limited(20, HOUR), 40)
        assert 0 == gate.degraded


async def test_a_key_that_is_something_else_refuses_nobody(start_server: StartServer) -> None:
    server = start_server()
    tenant = limited(10, HOUR)
    server.admin("SET", requests_key(tenant.id), "what?")
    async with gates(server.url, timed=False) as (_, [gate]):
        assert 8 == await enters(gate, tenant, 20)


async def test_a_server_without_memory_refuses_nobody(start_server: StartServer) -> None:
    server = start_server("--maxmemory", "1", "--maxmemory-policy", "noeviction")
    async with gates(server.url, timed=False) as (_, [gate]):
        assert 8 == await enters(gate, limited(10, HOUR), 20)


async def test_nobody_waits_for_a_redis_that_is_known_to_be_silent() -> None:
    """Whether it speaks again is asked beside the calls, four times a second at most."""
    clock = Clock()
    server = TwinServer(clock)
    link, roads = TwinLink(server), 0

    async def never() -> None:
        nonlocal roads
        roads += 1
        await asyncio.Event().wait()

    async def get_lost() -> None:
        raise ConnectionError

    link.carry = get_lost
    tenant = limited(1000, HOUR)
    gate = RedisRequestGate(link, replicas=lambda: 1, clock=clock)
    async with gate.running():
        assert 1 == await enters(gate, tenant)
        link.carry = never
        async with asyncio.timeout(SECONDS):
            for _ in range(300):
                assert 1 == await enters(gate, tenant)
                clock.us += 2_000
    assert 1 == roads, "the first is still on its way"
    assert 301 == gate.degraded


class Babel(TwinLink):
    """A server that speaks another language."""

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        return [["nonsense"] for _ in commands]


async def test_a_mistake_of_ours_is_logged_and_serves_callers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    gate = RedisRequestGate(Babel(TwinServer(clock)), replicas=lambda: 1, clock=clock)
    async with gate.running():
        assert 8 == await enters(gate, limited(10, HOUR), 20)
    assert "by a mistake of ours" in caplog.text


async def test_a_gate_that_does_not_run_goes_by_its_share() -> None:
    gate = RedisRequestGate(TwinLink(TwinServer(Clock())), replicas=lambda: 2)
    assert 40 == await enters(gate, limited(100, HOUR), 100)


@pytest.mark.parametrize("turns", [1, 2, 3])
async def test_callers_in_line_when_the_gate_closes_are_served(turns: int) -> None:
    """Even before the task that asks for them has begun."""
    clock = Clock()
    link = TwinLink(TwinServer(clock))
    link.carry = asyncio.Event().wait
    gate = RedisRequestGate(link, replicas=lambda: 1, clock=clock)
    tenant = limited(2, HOUR)
    async with gate.running():
        calls = [asyncio.create_task(gate.enter(tenant)) for _ in range(2)]
        for _ in range(turns):
            await asyncio.sleep(0)
    async with asyncio.timeout(SECONDS):
        ends = await asyncio.gather(*calls, return_exceptions=True)
    assert [True, False] == [end is None for end in ends]
    assert isinstance(ends[1], TenantRate)


@pytest.mark.parametrize(("replicas", "share"), [(0, 80), (1, 80), (3, 26), (200, 1)])
async def test_a_share_is_by_the_replicas_last_seen(replicas: int, share: int) -> None:
    gate = RedisRequestGate(TwinLink(TwinServer(Clock())), replicas=lambda: replicas)
    assert share == await enters(gate, limited(100, HOUR), 100)


async def test_that_redis_is_silent_and_speaks_again_is_logged_once(
    start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    server = start_server()
    async with gates(server.url, timed=False, time_outs=QUICK) as (_, [gate]):
        server.kill()
        for _ in range(5):
            await enters(gate, limited(10, HOUR))
        server.start()
        await leases_again(gate)
        await until(lambda: "leased from the state Redis again" in caplog.text)
    assert 1 == caplog.text.count("go on by local shares")
