"""A rush of calls on one budget, from which callers leave and in which replicas die; and its bill."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final, TypeAlias

from gateway.domain.edit import Operation
from gateway.emulator import LatencySettings
from tests.client.waiting import until
from tests.replicas.calling import OK, Replica
from tests.replicas.edits import RICH, edit_number, segment_number
from tests.replicas.ledger_numbers import Books
from tests.replicas.replicas import DOORS, Fleet

__all__ = ["COST", "LEFT", "UPSTREAM", "Attempt", "Numbers", "Spree", "Strikes"]

COST: Final = {Operation.EDIT: 1000, Operation.SEGMENT: 200}
"""What a call costs its tenant and, on this plan, the upstream's bill too: thousandths."""

LEFT: Final = "left"
"""Outcome of a call whose caller has hung up."""

_AT_ONCE: Final = 40
UPSTREAM: Final = replace(RICH, latency=LatencySettings(edit=(0.05, 0.25), segment=(0.02, 0.15)))
"""Slow enough that many calls are under way at any time."""

_LEAVING: Final = 0.04
"""Part of the callers that hang up."""

_LONGEST_STAY: Final = 0.2
"""Seconds within which they do."""

_UNSEEN: Final = frozenset({"", LEFT, "OUTCOME_UNKNOWN"})
"""Outcomes of calls at a dead replica of which it may not have told what they cost."""

Strikes: TypeAlias = Mapping[int, Callable[[], Awaitable[None]]]
"""What happens as the call of that number begins."""


@dataclass(slots=True)
class Attempt:
    """One call; its outcome is empty while it is under way."""

    replica: Replica
    operation: Operation
    outcome: str = ""
    cost: int = 0


@dataclass(frozen=True, slots=True)
class Numbers:
    """What came of a spree, in thousandths.

    `told` is what callers were told that their calls cost. `in_flight` is the cost of the calls whose
    outcome no living replica saw: they were at a replica when it was killed, or timed out.
    """

    bill: int
    told: int
    base: int
    posted: int
    presumed: int
    in_flight: int

    @property
    def spent(self) -> int:
        """What the books count."""
        return self.base + self.posted + self.presumed

    def __str__(self) -> str:
        return (
            f"bill {self.bill}, posted {self.posted}, presumed {self.presumed}; written back "
            f"{self.base}, told to callers {self.told}, in flight at the kills {self.in_flight}"
        )


@dataclass(slots=True)
class Spree:
    """Calls at random replicas and doors, each an edit or a segment of its own, drawn from the `seed`."""

    f: Fleet
    books: Books
    picture: bytes
    seed: int
    attempts: list[Attempt] = field(default_factory=list)
    in_flight: int = 0

    async def run(self, calls: int, strikes: Strikes) -> None:
        """Make so many calls, a few dozen at a time; return when all have ended and nothing is held."""
        print(f"seed {self.seed}")  # noqa: T201 - shown by `pytest -s` and beside a failure
        numbers = iter(range(calls))
        async with asyncio.TaskGroup() as group:

            async def work(numbers: Iterator[int]) -> None:
                for number in numbers:
                    if number in strikes:
                        group.create_task(_struck(strikes[number]))
                    await self._call(number)

            for _ in range(_AT_ONCE):
                group.create_task(work(numbers))
        print(dict(Counter(a.outcome for a in self.attempts)))  # noqa: T201 - as above
        await self.until_quiet()

    async def _call(self, number: int) -> None:
        # Each call is drawn from its own number: the order in which they come is the machine's.
        random = Random(f"{self.seed} {number}")
        operation = random.choice((Operation.EDIT, Operation.SEGMENT))
        stay = random.uniform(0, _LONGEST_STAY) if random.random() < _LEAVING else None
        attempt = Attempt(random.choice(self.f.replicas), operation)
        self.attempts.append(attempt)
        make = edit_number if operation is Operation.EDIT else segment_number
        try:
            async with asyncio.timeout(stay):
                answer = await attempt.replica.ask(random.choice(DOORS), make(number, self.picture))
        except TimeoutError:
            if stay is None:
                raise
            attempt.outcome = LEFT
        else:
            attempt.outcome, attempt.cost = answer.outcome, answer.cost

    async def kill_one(self) -> None:
        """Kill a replica, and put a new one in its place.

        Of a call that its caller has left nobody knows whether it was over.
        """
        random = Random(f"{self.seed} at {len(self.attempts)}")
        victim = random.choice(self.f.replicas)
        self.f.replicas.remove(victim)
        victim.kill()
        self.in_flight += sum(
            COST[attempt.operation]
            for attempt in self.attempts
            if attempt.replica is victim and attempt.outcome in _UNSEEN
        )
        await self.f.join()

    async def until_quiet(self) -> None:
        """Wait until no call is under way at a replica, Redis has heard of all, and nothing is held."""

        async def is_quiet() -> bool:
            return not (
                await self.f.number("gateway_requests_in_flight")
                or await self.f.number("gateway_holds_untold")
            )

        await until(is_quiet)
        await self.books.until_nothing_is_held()

    async def numbers(self) -> Numbers:
        """Read the bill and the books."""
        unknown = await self.f.number("gateway_upstream_calls_total", outcome="OUTCOME_UNKNOWN")
        totals = self.books.totals()
        return Numbers(
            bill=self.f.emulator.bill.thousandths,
            told=sum(a.cost for a in self.attempts if a.outcome == OK),
            base=totals.base,
            posted=totals.posted,
            presumed=totals.presumed,
            in_flight=self.in_flight + round(unknown) * max(COST.values()),
        )


async def _struck(strike: Callable[[], Awaitable[None]]) -> None:
    await strike()
