"""What the gateway adds to a call that has to be bought, beside the same call to the upstream.

The upstream is a bare one of a fixed latency: how long the emulator draws differs by more than what is
measured here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from bench.asks import EDIT, multipart, picture
from bench.load import HttpLoad
from bench.machine import GENERATOR_CORE
from bench.plan import Plan
from bench.processes import KEY, UPSTREAM_KEY, bare_server, write_config
from bench.rounds import Contestant, Series, side_by_side
from bench.stats import Spread

__all__ = ["Miss", "measure_misses"]

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


async def measure_misses(folder: Path, plan: Plan) -> list[Miss]:
    """Buy edits that nobody has bought before, by turns through the gateway and directly."""
    found = []
    with ExitStack() as stack:
        data = picture()
        upstream = stack.enter_context(bare_server(folder, "slow", "http", data, GENERATOR_CORE))
        gateway = write_config(folder, "misses", f"http://127.0.0.1:{upstream.port}")
        pid = stack.enter_context(gateway.running())
        contestants = (
            Contestant(pid, HttpLoad(gateway.rest, _fresh(data, KEY))),
            Contestant(upstream.pid, HttpLoad(upstream.port, _fresh(data, UPSTREAM_KEY))),
        )
        for concurrency in _CONCURRENCIES:
            series = await side_by_side(
                contestants, concurrency, rounds=plan.miss_rounds, seconds=plan.miss_seconds
            )
            found.append(Miss(concurrency, *series))
    return found


def _fresh(data: bytes, key: str) -> Iterator[bytes]:
    """Yield requests for edits of which no two are the same."""
    for number in count():
        edit = {**EDIT, "background.color": f"{number:06X}"}
        yield multipart(data, edit).to("/v2/edit", key)
