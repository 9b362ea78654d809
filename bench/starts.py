"""How soon a gateway takes calls, and what it holds in memory while nobody calls."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from bench.machine import children_of, resident_bytes
from bench.plan import Plan
from bench.processes import write_config
from bench.stats import Spread

__all__ = ["Starts", "measure_starts"]

_SETTLE = 0.5
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Starts:
    """Seconds from the start of the process to readiness; resident MiB of it and of its Redis."""

    ready_s: Spread
    idle_mib: Spread
    redis_mib: Spread


def measure_starts(folder: Path, plan: Plan) -> Starts:
    """Start gateways, one after the other."""
    ready, idle, redis = [], [], []
    # Nobody listens there: an upstream that is away does not keep a gateway from starting.
    gateway = write_config(folder, "start", "http://127.0.0.1:9")
    for _ in range(plan.starts):
        before = time.monotonic()
        with gateway.starting() as pid:
            ready.append(gateway.wait() - before)
            time.sleep(_SETTLE)
            idle.append(resident_bytes(pid) / _MIB)
            redis.append(sum(map(resident_bytes, children_of(pid))) / _MIB)
    return Starts(Spread.of(ready), Spread.of(idle), Spread.of(redis))
