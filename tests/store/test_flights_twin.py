"""The scripts do what their twin in Python does, whatever is called in whatever order.

Each call is made twice with the same words at the same time: the second changes nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from gateway.ports import Lead
from gateway.store.flight_calls import FlightCalls, FlightRules, Held
from gateway.store.keyspace import WAKE_PREFIX, flight_key
from gateway.store.scripts import ScriptCall
from tests.model.board import Board, Mine, Phase, Record, Step
from tests.servers.process import Server
from tests.store.flight_tools import set_time, timed_scripts

REPLICAS = ("one", "two", "three")
LEADS = st.integers(0, 11)
RULES = FlightRules(lease=100, longest_wait=30, keep=60_000, takeovers=1)
TIMEOUT = 300
OUTCOMES = st.sampled_from(["stored", "unshared", "UPSTREAM_REFUSED"])


@dataclass(slots=True)
class Bench:
    """One server, a subscriber of every replica's channel, and scripts whose clock a test sets."""

    client: redis.Redis
    calls: dict[str, FlightCalls]
    clock: str
    flight: str = ""
    heard: Any = None

    def run(self, call: ScriptCall, now: int) -> Any:
        execute: Callable[..., Any] = self.client.execute_command
        execute(*set_time(self.clock, now))
        return execute(*call.in_full())

    def woken(self) -> frozenset[str]:
        """Who was woken since the last question: an answered PING says that there is no more."""
        self.heard.ping()
        found = set()
        while (message := self.heard.get_message(timeout=5))["type"] != "pong":
            if message["type"] == "message" and message["data"] == self.flight.encode():
                found.add(message["channel"].decode().removeprefix(WAKE_PREFIX))
        return frozenset(found)

    def ask(self, *command: str | int) -> Any:
        execute: Callable[..., Any] = self.client.execute_command
        return execute(*command)

    def record(self) -> dict[str, str]:
        found = self.ask("HGETALL", flight_key(self.flight))
        return {name.decode(): value.decode() for name, value in found.items()}


def fields(record: Record | None) -> dict[str, str]:
    """The fields of the hash that a record of the twin stands for."""
    if record is None:
        return {}
    named: dict[str, str | int] = {
        "phase": record.phase,
        "epoch": record.epoch,
        "token": record.token,
        "replica": record.replica,
        "attempts": record.attempts,
    }
    if record.flying:
        named |= {"lease": record.lease, "timeout": record.timeout}
    if record.phase is Phase.SENT:
        named["sent_at"] = record.sent_at
    if record.phase is Phase.ENDED:
        named |= {"outcome": record.outcome, "message": record.message}
    named |= {f"follower:{replica}": 1 for replica in record.followers}
    named |= {f"buyer:{replica}": token for replica, token in record.buyers}
    return {name: str(value) for name, value in named.items()}


class Twins(RuleBasedStateMachine):
    """Twelve leads of three replicas on one flight; time passes, records get lost and come back."""

    bench: Bench

    def __init__(self) -> None:
        super().__init__()
        self.bench.flight = secrets.token_hex(8)
        self.now = 1_800_000_000_000
        self.record: Record | None = None
        self.saved: Record | None = None
        self.mine = {f"t{i}": Mine(REPLICAS[i % 3], f"t{i}", 0, 0, TIMEOUT) for i in range(12)}

    @rule(number=LEADS, seen=st.one_of(st.just(-1), st.integers(-2, 3)))
    def join(self, number: int, seen: int) -> None:
        mine = self.mine[f"t{number}"]
        if seen > 0 and self.record:
            seen = self.record.epoch - 2 + seen
        call = self.bench.calls[mine.replica].join(
            self.bench.flight, timeout=TIMEOUT, seen=seen, token=mine.token
        )
        step = self.both(
            call,
            lambda record: Board(RULES).join(
                record,
                self.now,
                replica=mine.replica,
                token=mine.token,
                seen=seen,
                timeout=TIMEOUT,
            ),
        )
        kind, epoch, *rest = step.answer
        if kind in ("lead", "alone"):
            self.mine[mine.token] = mine._replace(epoch=int(epoch), attempts=int(rest[0]))

    @rule(number=LEADS)
    def sent(self, number: int) -> None:
        mine = self.mine[f"t{number}"]
        unsent = mine._replace(sent_at=0)
        step = self.both(
            self.bench.calls[mine.replica].sent(self.held(unsent)),
            lambda record: Board(RULES).sent(record, self.now, unsent),
        )
        self.mine[mine.token] = mine._replace(sent_at=int(step.answer[0]))

    @rule(number=LEADS)
    def renew(self, number: int) -> None:
        mine = self.mine[f"t{number}"]
        self.both(
            self.bench.calls[mine.replica].renew([self.held(mine)]),
            lambda record: Board(RULES).renew(record, self.now, mine),
        )

    @rule(number=LEADS, outcome=OUTCOMES)
    def complete(self, number: int, outcome: str) -> None:
        mine = self.mine[f"t{number}"]
        self.both(
            self.bench.calls[mine.replica].complete(self.held(mine).lead, outcome, "so"),
            lambda record: Board(RULES).complete(record, self.now, mine, outcome, "so"),
        )

    @rule(number=LEADS)
    def fail(self, number: int) -> None:
        mine = self.mine[f"t{number}"]
        self.both(
            self.bench.calls[mine.replica].fail(self.held(mine).lead),
            lambda record: Board(RULES).fail(record, self.now, mine),
        )

    @rule(passed=st.sampled_from([1, 20, 99, 100, 101, 200, 300, 400]))
    def wait(self, passed: int) -> None:
        self.now += passed

    @rule()
    def save(self) -> None:
        self.saved = self.record

    @rule()
    def lose_or_go_back(self) -> None:
        """As a failover does; to nothing, where nothing was saved."""
        self.record = self.saved
        key = flight_key(self.bench.flight)
        self.bench.ask("DEL", key)
        if self.record is not None:
            words = (word for field in fields(self.record).items() for word in field)
            self.bench.ask("HSET", key, *words)
            self.bench.ask("PEXPIRE", key, self.record.until - self.now)

    def held(self, mine: Mine) -> Held:
        lead = Lead(self.bench.flight, mine.epoch, mine.token, mine.attempts)
        return Held(lead, mine.timeout, mine.sent_at)

    def both(self, call: ScriptCall, twin: Callable[[Record | None], Step]) -> Step:
        """Make the call twice on the server and twice on the twin; all must agree."""
        before = self.record
        first = twin(before)
        second = twin(first.record)
        for step in (first, second):
            answer = self.bench.run(call, self.now)
            assert step.answer == _plain(answer)
            assert fields(step.record) == self.bench.record()
            assert step.woken == self.bench.woken()
        assert (first.record, frozenset()) == (second.record, second.woken)
        if first.record is not None and first.record != before:
            self.check_life(first.record)
        self.record = first.record
        return first

    def check_life(self, record: Record) -> None:
        left = self.bench.ask("PTTL", flight_key(self.bench.flight))
        assert 0 < left <= record.until - self.now
        assert record.until - self.now - 5_000 < left


def _plain(answer: Any) -> tuple[str | int, ...]:
    """An answer of the server as the twin says it."""
    items = answer if isinstance(answer, list) else [answer]
    return tuple(item.decode() if isinstance(item, bytes) else item for item in items)


@pytest.fixture(params=["valkey", "debian_redis"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    server: Server = request.getfixturevalue(request.param)
    path = Path(server.url.removeprefix("unix://"))
    client = redis.Redis(unix_socket_path=str(path), protocol=2, socket_timeout=5)
    clock = "pg1:{ctl}:test-time:" + secrets.token_hex(8)
    scripts = timed_scripts(clock)
    subscribe: Callable[[], Any] = client.pubsub
    with client, subscribe() as heard:
        heard.subscribe(*(WAKE_PREFIX + replica for replica in REPLICAS))
        calls = {replica: FlightCalls(replica, RULES, scripts) for replica in REPLICAS}
        made = Bench(client, calls, clock, heard=heard)
        for _ in REPLICAS:
            heard.get_message(timeout=5)
        yield made


def test_the_scripts_do_what_their_twin_does(bench: Bench) -> None:
    machine = type("BenchTwins", (Twins,), {"bench": bench})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
