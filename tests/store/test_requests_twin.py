"""lease.lua does what its twin does, for which the tests of `domain/leases.py` speak.

Each ask is made twice: the second changes nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from gateway.domain.leases import KEPT_US, LEASE_US, Ask, Lease, LeasedBucket
from gateway.domain.limits import Rate
from gateway.store.keyspace import requests_key
from tests.servers.process import Server
from tests.store.request_tools import timed_script

NOW = 1_800_000_000_000_000
SLACK_MS = 5_000
"""Milliseconds that a test may take between a write and the look at its life."""

REPLICAS = ("one", "two", "three")
RATES = [Rate(1_000, 1000), Rate(90_000, 60), Rate(3_600_000_000, 3), Rate(1, 1)]


class Bench:
    """A server, and the bucket of a tenant there."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self.key = requests_key(secrets.token_hex(8))
        self._clock = "pg1:{ctl}:test-time:" + secrets.token_hex(8)
        self._script = timed_script(self._clock)

    def draw(self, rate: Rate, now: int, ask: Ask) -> tuple[LeasedBucket, list[int]]:
        """Ask; return the bucket as it is then, and the answer."""
        numbers = (ask.number, ask.tokens, ask.waiting, ask.used)
        arguments = (rate.interval_us, rate.burst, ask.replica, *numbers)
        pipeline: Any = self._client.pipeline(transaction=False)
        pipeline.execute_command("SET", self._clock, now)
        pipeline.execute_command("EVAL", self._script.text, 1, self.key, *arguments)
        pipeline.execute_command("HGETALL", self.key)
        _, answer, flat = pipeline.execute()
        words = [word.decode() for word in flat]
        stored = dict(zip(words[::2], words[1::2], strict=True))
        leases = {
            name.removeprefix("lease:"): Lease(*map(int, line.split()))
            for name, line in stored.items()
            if name != "full_at"
        }
        return LeasedBucket(int(stored["full_at"]), leases), answer

    def life_ms(self) -> int:
        execute: Callable[..., int] = self._client.execute_command
        return execute("PTTL", self.key)


@pytest.fixture(params=["valkey", "debian_redis"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    server: Server = request.getfixturevalue(request.param)
    path = server.url.removeprefix("unix://")
    client = redis.Redis(unix_socket_path=path, protocol=2, socket_timeout=5)
    client.response_callbacks.clear()
    with client:
        yield Bench(client)


class Draws(RuleBasedStateMachine):
    """Three replicas draw from one bucket while time passes, the clock is put, and the rate changes."""

    bench: Bench

    def __init__(self) -> None:
        super().__init__()
        self.bench.key = requests_key(secrets.token_hex(8))
        self.now = NOW
        self.rate = RATES[0]
        self.bucket = LeasedBucket()
        self.numbers = dict.fromkeys(REPLICAS, 0)

    @rule(
        replica=st.sampled_from(REPLICAS),
        further=st.sampled_from([1, 1, 1, 1, 2, 0, -1]),
        tokens=st.integers(0, 70),
        waiting=st.integers(0, 70),
        used=st.integers(0, 70),
    )
    def draw(self, replica: str, further: int, tokens: int, waiting: int, used: int) -> None:
        self.numbers[replica] = number = max(1, self.numbers[replica] + further)
        last = self.bucket.leases.get(replica)
        ask = Ask(replica, number, tokens, waiting, min(used, last.tokens if last else 0))
        after, drawn = self.bucket.draw(self.rate, self.now, ask)
        for _ in range(2):
            stored, answer = self.bench.draw(self.rate, self.now, ask)
            assert [drawn, after.full_at, self.now] == answer
            assert after.full_at == stored.full_at
            assert live(after, self.now) == live(stored, self.now)
        if after != self.bucket:
            life = max((after.full_at - self.now + 999) // 1000, KEPT_US // 1000)
            assert life - SLACK_MS < self.bench.life_ms() <= life
        self.bucket = after

    @rule(passed=st.sampled_from([1, 1_000, LEASE_US, KEPT_US - 1, KEPT_US, 60_000_000, -500_000]))
    def pass_time(self, passed: int) -> None:
        self.now += passed

    @rule(rate=st.sampled_from(RATES))
    def reload(self, rate: Rate) -> None:
        self.rate = rate


def live(bucket: LeasedBucket, now: int) -> dict[str, Lease]:
    """Leases that may still be given back; an ask that changes nothing need not clear away the others."""
    return {name: one for name, one in bucket.leases.items() if 0 <= now - one.at < KEPT_US}


def test_any_sequence_of_asks_does_what_it_does_to_the_twin(bench: Bench) -> None:
    machine = type("BenchDraws", (Draws,), {"bench": bench})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=100, stateful_step_count=40, deadline=None)
    )


@pytest.mark.parametrize(
    ("rate", "tokens", "life"),
    [
        (Rate(1_000, 1000), 1, 1_000),
        (Rate(60_000_000, 100), 2, 120_000),
        (Rate(60_000_000, 100), 100, 6_000_000),
    ],
)
def test_a_bucket_is_kept_until_it_is_full_and_for_a_second_at_least(
    bench: Bench, rate: Rate, tokens: int, life: int
) -> None:
    bench.draw(rate, NOW, Ask("one", 1, tokens, tokens, 0))
    assert life - SLACK_MS < bench.life_ms() <= life
