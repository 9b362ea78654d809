"""The scripts do what their twin in Python does, for which the model check speaks.

Each call is made twice with the same words at the same time: the second changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from tests.model.board import Mine, Phase, Record
from tests.store.flight_bench import REPLICAS, RULES, TIMEOUT, Bench, Case, Word

NOW = 1_800_000_000_000
EPOCH = NOW - 1_000
OUTCOMES = ("stored", "unshared", "UPSTREAM_REFUSED")
LEADS = st.integers(0, 5)


@pytest.fixture(params=["valkey", "debian_redis"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with Bench.at(request.getfixturevalue(request.param), NOW) as made:
        yield made


def records() -> Iterator[Record | None]:
    """Every kind of record: whose, of which epoch, counted or not, alive, open or over, followed."""
    yield None
    for epoch, (token, replica) in product(
        (EPOCH - 1, EPOCH, EPOCH + 1), (("mine", "one"), ("other", "two"))
    ):
        for attempts in (0, 1):
            led = Record(Phase.PREPARED, epoch, token, replica, attempts)
            yield led._replace(phase=Phase.FREE, until=NOW + RULES.keep)
            yield from flying(led)
        ended = Record(Phase.ENDED, epoch, token, replica, until=NOW + RULES.keep)
        for outcome in OUTCOMES:
            yield ended._replace(outcome=outcome, message="so")
        for buyer in (("one", ""), ("one", "mine"), ("one", "older"), ("three", "third")):
            yield ended._replace(outcome="unshared", buyers=frozenset({buyer}))


def flying(led: Record) -> Iterator[Record]:
    for phase, lease, followers in product(
        (Phase.PREPARED, Phase.SENT),
        (NOW - 1, NOW, NOW + 1, NOW + 50),
        (frozenset[str](), frozenset({"one", "three"})),
    ):
        record = led._replace(phase=phase, lease=lease, timeout=TIMEOUT, followers=followers)
        for sent_at in (NOW - TIMEOUT, NOW - TIMEOUT + 1) if phase is Phase.SENT else (0,):
            sent = record._replace(sent_at=sent_at)
            yield sent._replace(until=max(sent.open_at, NOW) + RULES.keep)


def words() -> Iterator[Word]:
    """Every kind of call of the lead `mine` on the replica `one`."""
    for attempts, sent_at in product((0, 1), (0, NOW - 40)):
        mine = Mine("one", "mine", EPOCH, attempts, TIMEOUT, sent_at)
        yield from (Word(name, mine) for name in ("sent", "renew", "fail"))
        yield from (Word("complete", mine, outcome=outcome) for outcome in OUTCOMES)
    mine = Mine("one", "mine", EPOCH, 0, TIMEOUT)
    yield from (Word("join", mine, seen=seen) for seen in (-1, 0, EPOCH - 1, EPOCH, EPOCH + 1))


def test_every_kind_of_call_does_to_every_kind_of_record_what_the_twin_does(bench: Bench) -> None:
    cases = [Case(record, word) for record, word in product(records(), words())]
    assert len(cases) > 5_000
    for start in range(0, len(cases), 500):
        bench.check(cases[start : start + 500])


class Sequences(RuleBasedStateMachine):
    """Six leads of three replicas on one flight; time passes, records get lost and come back."""

    bench: Bench

    def __init__(self) -> None:
        super().__init__()
        self.bench.now = NOW
        self.record: Record | None = None
        self.saved: Record | None = None
        self.mine = {i: Mine(REPLICAS[i % 3], f"t{i}", 0, 0, TIMEOUT) for i in range(6)}

    @rule(number=LEADS, beyond=st.none() | st.integers(-1, 1))
    def join(self, number: int, beyond: int | None) -> None:
        known = self.record.epoch if self.record else 0
        seen = -1 if beyond is None else max(known + beyond, 0)
        kind, epoch, *rest = self.say(Word("join", self.mine[number], seen=seen))
        if kind in ("lead", "alone"):
            led = self.mine[number]._replace(epoch=int(epoch), attempts=int(rest[0]))
            self.mine[number] = led

    @rule(number=LEADS)
    def sent(self, number: int) -> None:
        [sent_at] = self.say(Word("sent", self.mine[number]))
        self.mine[number] = self.mine[number]._replace(sent_at=int(sent_at))

    @rule(number=LEADS, outcome=st.sampled_from(OUTCOMES))
    def complete(self, number: int, outcome: str) -> None:
        self.say(Word("complete", self.mine[number], outcome=outcome))

    @rule(number=LEADS, name=st.sampled_from(["renew", "fail"]))
    def renew_or_fail(self, number: int, name: str) -> None:
        self.say(Word(name, self.mine[number]))

    @rule(passed=st.sampled_from([1, 99, 100, 101, 300, 400]))
    def wait(self, passed: int) -> None:
        self.bench.now += passed

    @rule()
    def save(self) -> None:
        self.saved = self.record

    @rule()
    def lose_or_go_back(self) -> None:
        """As a failover does; to nothing, where nothing was saved."""
        self.record = self.saved

    def say(self, word: Word) -> tuple[str | int, ...]:
        if self.record is not None and self.record.until <= self.bench.now:
            self.record = None
        [step] = self.bench.check([Case(self.record, word)])
        self.record = step.record
        return step.answer


def test_any_sequence_of_calls_does_what_it_does_to_the_twin(bench: Bench) -> None:
    machine = type("BenchSequences", (Sequences,), {"bench": bench})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=50, stateful_step_count=40, deadline=None)
    )
