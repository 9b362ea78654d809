"""What the gateway adds to a call that has to be bought, beside the same call to the upstream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from bench.asks import EDIT, multipart, picture
from bench.load import HttpLoad
from bench.plan import Plan
from bench.processes import KEY, UPSTREAM_KEY
from bench.rounds import Contestant, Series, side_by_side
from bench.stats import Spread
from bench.world import World

__all__ = ["LATENCY", "Miss", "measure_misses"]

LATENCY = 0.2
"""Seconds that the upstream takes for an edit, beside its drawing."""

_CONCURRENCIES = (1, 8)


@dataclass(frozen=True, slots=True)
class Miss:
    """What was measured at one number of calls in flight."""

    concurrency: int
    gateway: Series
    direct: Series

    @property
    def added_ms(self) -> Spread:
        """Median latency through the gateway less that of the direct call, round by round."""
        pairs = zip(self.gateway.samples, self.direct.samples, strict=True)
        return Spread.of(ours.p50_ms - theirs.p50_ms for ours, theirs in pairs)


async def measure_misses(world: World, plan: Plan) -> list[Miss]:
    """Buy edits that nobody has bought before, by turns through the gateway and directly."""
    world.emulator.delay(LATENCY)
    ours = HttpLoad(world.gateway.rest, _fresh(KEY))
    theirs = HttpLoad(world.emulator.port, _fresh(UPSTREAM_KEY))
    contestants = (Contestant(world.gateway_pid, ours), Contestant(world.emulator_pid, theirs))
    found = []
    for concurrency in _CONCURRENCIES:
        series = await side_by_side(
            contestants, concurrency, rounds=plan.miss_rounds, seconds=plan.miss_seconds
        )
        found.append(Miss(concurrency, *series))
    return found


def _fresh(key: str) -> Iterator[bytes]:
    """Yield requests for edits of which no two are the same."""
    data = picture()
    for number in count():
        edit = {**EDIT, "background.color": f"{number:06X}"}
        yield multipart(data, edit).to("/v2/edit", key)
