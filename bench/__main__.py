"""`python -m bench`: measure, print the tables, and write `bench/out/last.json`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from bench.admission import measure_admission
from bench.flights import measure_flights
from bench.hits import measure_hits
from bench.keys import measure_keys
from bench.machine import GENERATOR_CORE, describe, on_core
from bench.misses import measure_misses
from bench.plan import FULL_RUN, QUICK_RUN, Plan
from bench.report import Results
from bench.starts import measure_starts
from bench.steps import measure_steps
from bench.world import running_world

_ALONE = {
    "admission": measure_admission,
    "flights": measure_flights,
    "keys": measure_keys,
}
_OUT = Path(__file__).parent / "out" / "last.json"


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="half a minute, and less exact")
    parser.add_argument("--only", choices=_ALONE, help="this alone; it is in no other run")
    args = parser.parse_args()
    plan = QUICK_RUN if args.quick else FULL_RUN
    if args.only:
        print(uvloop.run(_ALONE[args.only](plan)))
        return
    command = "python -m bench" + (" --quick" if args.quick else "")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, on_core(GENERATOR_CORE):
        results = uvloop.run(_measure(Path(folder), plan, command))
    print(results.text())
    _OUT.parent.mkdir(exist_ok=True)
    _OUT.write_text(results.json())


async def _measure(folder: Path, plan: Plan, command: str) -> Results:
    began = time.monotonic()
    machine = describe()
    _say("starts")
    starts = measure_starts(folder, plan)
    _say("steps")
    steps = measure_steps(plan)
    async with running_world(folder) as world:
        _say("hits")
        hits = await measure_hits(world, plan)
    _say("misses")
    misses = await measure_misses(folder, plan)
    seconds = time.monotonic() - began
    sizes = world.asked_bytes, world.answered_bytes
    return Results(command, machine, *sizes, starts, hits, misses, steps, seconds)


def _say(what: str) -> None:
    print(f"measuring {what} ...", file=sys.stderr, flush=True)


if __name__ == "__main__":
    _main()
