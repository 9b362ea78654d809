"""A budget is never overspent over four replicas, whoever leaves and whatever dies; the bill is the judge."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from gateway.domain.edit import Operation
from tests.replicas.calling import OK
from tests.replicas.edits import segment_number, ways
from tests.replicas.ledger_numbers import Books
from tests.replicas.replicas import fleet
from tests.replicas.spree import COST, LEFT, UPSTREAM, Spree
from tests.servers.fixtures import StartServer

REPLICAS = 4
PATIENCE = 120
SEED = 5


async def test_without_deaths_the_bill_is_what_was_posted(
    start_server: StartServer, tmp_path: Path, picture: bytes
) -> None:
    """Callers leave here too: what they had bought goes on, and is posted."""
    server = start_server()
    async with (
        fleet(
            REPLICAS,
            tmp_path,
            server.url,
            settings=UPSTREAM,
            limits={"monthly_images": 200},
            time_out="20s",
        ) as f,
        asyncio.timeout(PATIENCE),
    ):
        spree = Spree(f, Books(lambda: server), picture, SEED)
        await spree.run(800, {})
        numbers = await spree.numbers()
        print(numbers)  # noqa: T201 - shown by `pytest -s`
        assert {OK, "TENANT_BUDGET", LEFT} <= {attempt.outcome for attempt in spree.attempts}
        assert numbers.bill == numbers.posted
        assert (0, 0, 0) == (numbers.base, numbers.presumed, numbers.in_flight)
        await spend_the_rest(spree, 200_000)


async def test_1000_credits_are_never_overspent_by_4000_calls_while_replicas_die(
    start_server: StartServer, tmp_path: Path, picture: bytes
) -> None:
    """What was seen is posted; what was in flight at a kill is presumed, charged or not."""
    server = start_server()
    async with (
        fleet(
            REPLICAS,
            tmp_path,
            server.url,
            settings=UPSTREAM,
            limits={"monthly_images": 1000},
        ) as f,
        asyncio.timeout(PATIENCE),
    ):
        spree = Spree(f, Books(lambda: server), picture, SEED)
        await spree.run(4000, dict.fromkeys((350, 750, 1150), spree.kill_one))
        numbers = await spree.numbers()
        print(numbers)  # noqa: T201 - shown by `pytest -s`
        assert numbers.bill <= 1_000_000
        assert numbers.told <= numbers.posted <= numbers.bill
        assert numbers.bill <= numbers.posted + min(numbers.presumed, numbers.in_flight)
        assert numbers.posted + numbers.presumed <= numbers.bill + numbers.in_flight
        assert 0 == numbers.base
        await spend_the_rest(spree, 1_000_000)


async def spend_the_rest(spree: Spree, budget: int) -> None:
    """What is left can be spent to the last fifth of a credit, and no further."""
    before = await spree.numbers()
    left = (budget - before.spent) // COST[Operation.SEGMENT]
    calls = [
        replica.ask(door, segment_number(10_000 + number, spree.picture))
        for number, (replica, door) in enumerate(ways(spree.f, left + 8))
    ]
    answers = await asyncio.gather(*calls)
    outcomes = Counter(answer.outcome for answer in answers)
    await spree.until_quiet()
    after = await spree.numbers()
    print(f"and then {dict(outcomes)}: {after}")  # noqa: T201 - shown by `pytest -s`
    assert Counter({OK: left, "TENANT_BUDGET": 8}) == outcomes
    assert budget == after.spent
    assert spree.books.totals() == spree.books.totals_of_the_journal()
    assert left * COST[Operation.SEGMENT] == after.bill - before.bill
    assert {"0"} == {
        answer.said["gateway-budget-remaining"] for answer in answers if answer.outcome != OK
    }
