"""Answers from the cache, at every door, beside bare handlers that read, hash and answer from memory."""

from __future__ import annotations

from dataclasses import dataclass

from bench.load import BadAnswer
from bench.plan import Plan
from bench.rounds import Series, side_by_side
from bench.world import World

__all__ = ["Hit", "measure_hits"]


@dataclass(frozen=True, slots=True)
class Hit:
    """What was measured of a scenario at one number of calls in flight."""

    name: str
    goal: float | None
    concurrency: int
    gateway: Series
    bare: Series


async def measure_hits(world: World, plan: Plan) -> list[Hit]:
    """Measure every scenario. Raises BadAnswer when one of the calls was not a hit."""
    found = []
    for scenario in world.scenarios:
        for concurrency in plan.concurrencies:
            series = await side_by_side(
                (scenario.gateway, scenario.bare),
                concurrency,
                rounds=plan.rounds,
                seconds=plan.seconds,
            )
            found.append(Hit(scenario.name, scenario.goal, concurrency, *series))
    if world.emulator.charges() != world.charges:
        raise BadAnswer("some calls were bought: these were no hits")
    return found
