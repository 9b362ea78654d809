"""All replicas together keep to burst + (t + 0.25 s) / interval, whatever comes between them and Redis."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from gateway.domain.errors import TenantRate
from gateway.domain.leases import LEASE_US
from gateway.domain.limits import Limits, Rate
from gateway.domain.tenant import Tenant
from gateway.store.requests import RedisRequestGate
from tests.servers.process import Server
from tests.store.request_tools import (
    Clock,
    TwinLink,
    TwinServer,
    TwinWorld,
    enters,
    gates,
    limited,
    rate_is_kept,
)

REPLICAS = range(3)
RATES = [
    Rate(1_000, 50),
    Rate(20_000, 1),
    Rate(20_000, 60),
    Rate(50_000, 100),
    Rate(900_000, 150),
    Rate(3_600_000_000, 100),
]


@dataclass(slots=True)
class Road:
    """Between a gate and the server: each stretch ends when the test says so."""

    stretches: deque[asyncio.Future[None]] = field(default_factory=deque)

    async def carry(self) -> None:
        stretch = asyncio.get_running_loop().create_future()
        self.stretches.append(stretch)
        await stretch


@dataclass(slots=True)
class Replica:
    """A gate, its road, its calls that wait, and how many it had let through on trust so far.

    `unused` is by the time at which Redis let tokens go: how many no call was let through by yet.
    """

    gate: RedisRequestGate
    road: Road
    waiting: list[asyncio.Task[None]] = field(default_factory=list)
    trusted: int = 0
    unused: Counter[int] = field(default_factory=Counter)
    known: int = 0

    def learn(self, drawn: list[tuple[int, int]]) -> None:
        """Hear what it has drawn in all."""
        for when, tokens in drawn[self.known :]:
            self.unused[when] += tokens
        self.known = len(drawn)

    def use(self, calls: int, now: int) -> None:
        """Each call that was let through has a token of its own, at most a quarter second old."""
        for when in sorted(self.unused):
            if now - when <= LEASE_US:
                used = min(calls, self.unused[when])
                self.unused[when] -= used
                calls -= used
        assert 0 == calls, "let through by a token that was too old, or by none"

    def arrivals(self) -> int:
        """Calls that were let through by tokens since the last question."""
        done = [call for call in self.waiting if call.done()]
        self.waiting = [call for call in self.waiting if not call.done()]
        through = sum(_was_let_through(call) for call in done)
        on_trust, self.trusted = self.gate.degraded - self.trusted, self.gate.degraded
        return through - on_trust


def _was_let_through(call: asyncio.Task[None]) -> bool:
    if call.cancelled():
        return False
    error = call.exception()
    assert error is None or isinstance(error, TenantRate), error
    return error is None


class Gates(RuleBasedStateMachine):
    """Calls come, leave, and are let through; asks and answers take their time, or get lost."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.clock = Clock()
        self.server = TwinServer(self.clock)
        self.replicas: list[Replica] = []
        self.through: Counter[int] = Counter()
        self.tenant = Tenant("catalog")

    @initialize(rate=st.sampled_from(RATES))
    def begin(self, rate: Rate) -> None:
        self.tenant = Tenant("catalog", limits=Limits(requests=rate))

        async def open_gates() -> None:
            for _ in REPLICAS:
                link, road = TwinLink(self.server), Road()
                link.carry = road.carry
                gate = RedisRequestGate(link, replicas=lambda: len(REPLICAS), clock=self.clock)
                await self.stack.enter_async_context(gate.running())
                self.replicas.append(Replica(gate, road))

        self.runner.run(open_gates())

    @rule(number=st.sampled_from(REPLICAS), calls=st.sampled_from([1, 3, 60, 200]))
    def call(self, number: int, calls: int) -> None:
        replica = self.replicas[number]

        async def come() -> None:
            loop = asyncio.get_running_loop()
            come = [loop.create_task(replica.gate.enter(self.tenant)) for _ in range(calls)]
            replica.waiting += come

        self.runner.run(come())
        self.settle()

    @rule(number=st.sampled_from(REPLICAS), stretches=st.sampled_from([1, 2, 2, 2]))
    def go_on(self, number: int, stretches: int) -> None:
        """One stretch: an ask reaches the server, or an answer the gate."""
        road = self.replicas[number].road
        for _ in range(stretches):
            if road.stretches:
                road.stretches.popleft().set_result(None)
            self.settle()

    @rule(number=st.sampled_from(REPLICAS), calls=st.sampled_from([3, 60]))
    def have_to_spare(self, number: int, calls: int) -> None:
        """So many at once, and then one: for that one as many are drawn."""
        for come in (calls, 1):
            self.call(number, come)
            self.go_on(number, 2)

    @rule(number=st.sampled_from(REPLICAS))
    def lose(self, number: int) -> None:
        road = self.replicas[number].road
        if road.stretches:
            road.stretches.popleft().set_exception(ConnectionError())
        self.settle()

    @rule(number=st.sampled_from(REPLICAS), which=st.integers(0, 5))
    def leave(self, number: int, which: int) -> None:
        waiting = self.replicas[number].waiting
        if which < len(waiting):
            waiting[which].cancel()
        self.settle()

    @rule(us=st.sampled_from([1, 20_000, LEASE_US - 1, LEASE_US, 700_000, 2_000_000]))
    def pass_time(self, us: int) -> None:
        self.clock.us += us

    @invariant()
    def the_rate_is_kept(self) -> None:
        rate = self.tenant.limits.requests
        assert rate is None or rate_is_kept(rate, self.through)

    @invariant()
    def asks_are_sound(self) -> None:
        for ask in self.server.asks[-3:]:
            assert 0 <= ask.used
            assert 0 <= ask.waiting <= ask.tokens

    def settle(self) -> None:
        """Let the loop run until nothing moves by itself."""

        async def turn() -> None:
            for _ in range(10):
                await asyncio.sleep(0)

        self.runner.run(turn())
        for replica in self.replicas:
            replica.learn(self.server.drawn[replica.gate._replica])
            calls = replica.arrivals()
            replica.use(calls, self.clock.us)
            self.through[self.clock.us] += calls

    def teardown(self) -> None:
        async def close() -> None:
            for replica in self.replicas:
                for call in replica.waiting:
                    call.cancel()
            await self.stack.aclose()

        self.runner.run(close())
        self.runner.close()


def test_the_rate_is_kept_whatever_happens_on_the_way() -> None:
    run_state_machine_as_test(
        Gates, settings=settings(max_examples=100, stateful_step_count=40, deadline=None)
    )


@pytest.mark.parametrize("rate", [Rate(20_000, 20), Rate(5_000, 100), Rate(2_000, 1000)])
async def test_four_replicas_over_one_redis_keep_the_rate(valkey: Server, rate: Rate) -> None:
    """At random, on a clock that is set."""
    chance, tenant = random.Random(7), limited(rate.burst, rate.interval_us)
    async with gates(valkey.url, 4) as (redis_time, made):
        start, through = redis_time.clock.us, Counter[int]()
        for _ in range(300):
            calls = chance.choice([0, 1, 1, 60])
            ends = await asyncio.gather(*(enters(gate, tenant, calls) for gate in made))
            through[redis_time.clock.us] += sum(ends)
            await redis_time.pass_time(chance.choice([1_000, 10_000, 10_000, 120_000]))
        through[redis_time.clock.us] += await enters(made[0], tenant, rate.burst)
        passed = redis_time.clock.us - start
        assert rate_is_kept(rate, through)
        assert 0.9 * (rate.burst + passed // rate.interval_us) < through.total()
        assert 0 == sum(gate.degraded for gate in made)


@pytest.mark.parametrize("rate", [Rate(10_000, 10), Rate(1_000, 200)])
async def test_on_the_clock_of_redis_too(valkey: Server, rate: Rate) -> None:
    tenant = limited(rate.burst, rate.interval_us)
    async with gates(valkey.url, 3, timed=False) as (_, made):
        through = 0
        start = time.monotonic()
        while (passed := time.monotonic() - start) < 0.6:
            through += sum([await enters(gate, tenant, 10) for gate in made])
        passed = time.monotonic() - start
        assert rate.burst < through <= rate.burst + (passed * 1e6 + LEASE_US) / rate.interval_us
        assert 0 == sum(gate.degraded for gate in made)


@pytest.fixture
async def world() -> AsyncIterator[TwinWorld]:
    async with AsyncExitStack() as stack:
        yield TwinWorld(stack)


async def test_replicas_share_one_rate(world: TwinWorld) -> None:
    tenant = limited(200, 3_600_000_000)
    gates = [await world.gate() for _ in range(4)]
    let_through = 0
    for _ in range(100):
        for gate in gates:
            let_through += await enters(gate, tenant)
    assert 200 - 3 * 4 <= let_through <= 200, "what others hold is at most 2 % of the burst each"
    for _ in range(3):
        world.clock.us += LEASE_US
        for gate in gates:
            let_through += await enters(gate, tenant, 5)
    assert 200 == let_through, "and comes back"


@pytest.mark.parametrize("rate", [Rate(20_000, 20), Rate(5_000, 100), Rate(500, 500)])
async def test_a_flood_over_four_replicas_uses_the_rate(world: TwinWorld, rate: Rate) -> None:
    tenant = Tenant("busy", limits=Limits(requests=rate))
    gates = [await world.gate() for _ in range(4)]
    let_through = 0
    for _ in range(2000):
        for gate in gates:
            let_through += await enters(gate, tenant, 4)
        world.clock.us += 2_000
    allowed = rate.burst + 4_000_000 // rate.interval_us
    assert 0.95 * allowed <= let_through <= allowed + LEASE_US // rate.interval_us
