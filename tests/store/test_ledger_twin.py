"""The scripts of the ledger do what their twin in Python does, and keep what their headers promise.

Each call is made twice with the same words at the same time: the second changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from gateway.domain.edit import Operation
from gateway.domain.limits import Rate
from gateway.domain.periods import Period, months_around
from gateway.store.hold_table import Spent
from tests.model.board import Mine
from tests.store.ledger_bench import Bench
from tests.store.ledger_twin import HELD_MS, OPEN, REBUILD_MS, Ask, Told

NOW = int(datetime(2096, 10, 31, 23, 59, 35, tzinfo=UTC).timestamp()) * 1_000_000
"""Less than a minute before a month's end, and later than any day on which this runs."""

SECOND = 1_000_000
TIMEOUT_MS = 60_000
REPLICAS = ("one", "two", "three")
RATES = {"slow": Rate(20 * SECOND + 1, 3), "free": None, "quick": Rate(20 * SECOND, 1)}
PLACES = {"slow": 2, "free": None, "quick": 1}
BUDGETS = {"slow": 3_000, "free": 1_400, "quick": None}
COSTS = (1_000, 200, 0)
STATES = ("sent", "posted", "voided", "presumed")
NUMBERS = st.integers(0, 8)
WHO = st.sampled_from(REPLICAS)


def periods_at(us: int, lead: float = 0.0) -> tuple[Period, ...]:
    return months_around(us / SECOND + lead, UTC)


def ask(number: int, us: int, *, lead: float = 0.0, budget: int | None = -1) -> Ask:
    """The claim of a number: all that it says follows from that."""
    tenant = list(RATES)[number % 3]
    operation = Operation.SEGMENT if COSTS[number // 3] == 200 else Operation.EDIT
    return Ask(
        f"h{number}",
        tenant,
        operation.value,
        COSTS[number // 3],
        RATES[tenant],
        PLACES[tenant],
        BUDGETS[tenant] if budget == -1 else budget,
        periods_at(us, lead),
    )


def told(number: int, us: int, state: str) -> Told:
    what = ask(number, us)
    wait = TIMEOUT_MS + HELD_MS
    return Told(what.id, state, what.tenant, what.operation, what.cost, what.periods[1], wait)


def lead_of(number: int) -> tuple[str, Mine]:
    """Its lead: two numbers share a flight."""
    mine = Mine(REPLICAS[number % 3], f"t{number}", 10 + number, 0, TIMEOUT_MS)
    return f"f{number // 2}", mine


@pytest.fixture(params=["valkey", "debian_redis"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with Bench.at(request.getfixturevalue(request.param), NOW) as made:
        yield made


def open_books(bench: Bench) -> None:
    bench.begin()
    bench.rebuild("one", "g1", {}, {})
    bench.twin.now += REBUILD_MS * 1_000


def bring(bench: Bench, state: str) -> None:
    """Bring hold 0 into a state; `late` says that it is not waited for any more, but not swept yet."""
    name, late = state.removeprefix("late "), state.startswith("late ")
    if name == "unknown":
        return
    bench.admit("one", ask(0, bench.twin.now), bench.twin.now / SECOND)
    if name in {"held", "lapsed"}:
        bench.twin.now += HELD_MS * 1_000 if late or name == "lapsed" else 0
    elif name == "swept":
        bench.settle("one", told(0, bench.twin.now, "sent"))
        bench.twin.now += (TIMEOUT_MS + HELD_MS) * 1_000
    else:
        bench.settle("one", told(0, bench.twin.now, name))
        bench.twin.now += (TIMEOUT_MS + HELD_MS) * 1_000 if late else 0
    if name in ("lapsed", "swept"):
        bench.settle("two")


BEFORE = ["unknown", "held", "late held", "lapsed", "sent", "late sent", "swept", *STATES[1:]]
CALLS = ["admit", "sent", "sent on trust", "sent, barred", *STATES]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("before", BEFORE)
def test_every_call_does_to_every_state_what_the_twin_does(
    bench: Bench, before: str, call: str
) -> None:
    open_books(bench)
    bring(bench, before)
    now = bench.twin.now
    if call == "admit":
        bench.admit("two", ask(0, now), now / SECOND)
    elif call in STATES:
        bench.settle("two", told(0, now, call))
    else:
        flight, mine = lead_of(0)
        if call == "sent, barred":
            bench.sent(Mine("three", "other", 99, 0, TIMEOUT_MS), flight, None, trusted=False)
        bench.sent(mine, flight, told(0, now, "sent"), trusted=call == "sent on trust")


@pytest.mark.parametrize("call", ["admit", "sent", "sent on trust", "settle", "rebuild"])
@pytest.mark.parametrize("books", ["none", "closed"])
def test_every_call_does_to_books_that_do_not_admit_what_the_twin_does(
    bench: Bench, books: str, call: str
) -> None:
    bench.begin()
    if books == "closed":
        bench.rebuild("one", "g1", {}, {})
        bench.twin.now += REBUILD_MS * 1_000 - 1
    now = bench.twin.now
    match call:
        case "admit":
            bench.admit("two", ask(0, now), now / SECOND)
        case "settle":
            bench.settle("two", told(0, now, "posted"))
        case "rebuild":
            start, end = periods_at(now)[1].start, periods_at(now)[1].end
            spent = {("slow", start): Spent(Period(start, end), 700, 0)}
            bench.rebuild("two", "g2", {"slow": now + SECOND, "free": now - SECOND}, spent)
        case _:
            flight, mine = lead_of(0)
            bench.sent(mine, flight, told(0, now, "sent"), trusted=call == "sent on trust")


class Sequences(RuleBasedStateMachine):
    """Nine holds of three tenants, told of by three replicas; time passes, books are lost and go back."""

    bench: Bench

    def __init__(self) -> None:
        super().__init__()
        open_books(self.bench)
        self.granted: dict[str, list[int]] = defaultdict(list)

    @property
    def now(self) -> int:
        return self.bench.twin.now

    @rule(
        who=WHO,
        number=NUMBERS,
        lead=st.sampled_from([0.0, 0.0, 120.0, -120.0]),
        budget=st.sampled_from([-1, -1, -1, None, 1_200, 5_000]),
    )
    def admit(self, who: str, number: int, lead: float, budget: int | None) -> None:
        what = ask(number, self.now, lead=lead, budget=budget)
        known = self.bench.twin.lines.get(what.id)
        answer = self.bench.admit(who, what, self.now / SECOND + lead)
        if answer[3] != "granted" or (known is not None and known.state in OPEN):
            return
        _, _, settled, held, _ = answer[7:]
        assert isinstance(settled, int)
        assert isinstance(held, int)
        assert not what.cost or what.budget is None or settled + held <= what.budget
        slots = self.bench.twin.picture().slots[what.tenant]
        assert what.places is None or len(slots) <= what.places
        self.granted[what.tenant].append(self.now)

    @rule(number=NUMBERS, trusted=st.booleans())
    def sent(self, number: int, trusted: bool) -> None:  # noqa: FBT001 - hypothesis calls it
        flight, mine = lead_of(number)
        self.bench.sent(mine, flight, told(number, self.now, "sent"), trusted=trusted)

    @rule(
        who=WHO,
        words=st.lists(
            st.tuples(NUMBERS, st.sampled_from(STATES)), max_size=3, unique_by=lambda word: word[0]
        ),
    )
    def settle(self, who: str, words: list[tuple[int, str]]) -> None:
        self.bench.settle(who, *(told(number, self.now, state) for number, state in words))

    @rule(
        who=WHO,
        gen=st.sampled_from(["g2", "g3"]),
        tenant=st.sampled_from(list(RATES)),
        ahead=st.sampled_from([-SECOND, 0, 20 * SECOND, 3_600 * SECOND]),
        amount=st.sampled_from([0, 200, 1_000]),
    )
    def rebuild(self, who: str, gen: str, tenant: str, ahead: int, amount: int) -> None:
        period = periods_at(self.now)[1]
        spent = {(tenant, period.start): Spent(period, amount, 0)}
        self.bench.rebuild(who, gen, {tenant: self.now + ahead}, spent)

    @rule(passed=st.sampled_from([1, 999, SECOND, 10 * SECOND, 20 * SECOND, 70 * SECOND]))
    def wait(self, passed: int) -> None:
        self.bench.twin.now += passed

    @rule()
    def save(self) -> None:
        self.bench.save()

    @rule()
    def go_back(self) -> None:
        self.bench.go_back()
        self.granted.clear()

    @rule()
    def lose_all(self) -> None:
        self.bench.lose_all()
        self.granted.clear()

    @invariant()
    def no_time_lets_more_through_than_burst_and_what_grows_in_it(self) -> None:
        for tenant, times in self.granted.items():
            rate = RATES[tenant]
            if rate is None:
                continue
            for first, start in enumerate(times):
                for last, end in enumerate(times[first:], 1):
                    assert last <= rate.burst + (end - start) / rate.interval_us

    def teardown(self) -> None:
        """Once nobody speaks any more, nothing stays held."""
        if self.bench.twin.gen is not None:
            self.bench.twin.now += 1_000 * SECOND
            self.bench.settle("one")
            assert self.bench.picture().is_quiet
            assert self.bench.twin.picture().is_quiet


def test_any_sequence_of_calls_does_what_it_does_to_the_twin(bench: Bench) -> None:
    machine = type("BenchSequences", (Sequences,), {"bench": bench})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
    )
