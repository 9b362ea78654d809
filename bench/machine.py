"""The machine under the measurements: cores, clocks of processes, memory, and its class in words."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

__all__ = [
    "GENERATOR_CORE",
    "SERVER_CORE",
    "children_of",
    "cpu_seconds",
    "describe",
    "on_core",
    "resident_bytes",
]

_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE = _CORES[0]
GENERATOR_CORE = _CORES[-1]
"""The same core as the server's on a machine that has only one; `describe` says so."""

_PARTS = ("aiohttp", "grpcio", "multipart", "protobuf", "redis", "uvloop")


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Run on that core: what is started meanwhile stays there with all its threads."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all threads together, to the nanosecond.

    The id of another process's CPU clock is made as `clock_getcpuclockid(3)` makes it on Linux;
    `utime` and `stime` of `/proc/<pid>/stat` are the same sum in ticks of 10 ms.
    """
    return time.clock_gettime((~pid << 3) | 2)


def children_of(pid: int) -> list[int]:
    """The processes that a process has started."""
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in found for child in task.read_text().split()]


def resident_bytes(pid: int) -> int:
    """Resident memory of a process."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGESIZE")


def describe(*parts: str) -> dict[str, str]:
    """The class of the machine and the versions of what runs on it, `parts` too; no name of the host."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    apart = "apart" if SERVER_CORE != GENERATOR_CORE else "ON ONE CORE: rates say nothing"
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": str(len(_CORES)),
        "server and generator": apart,
        "load before": f"{os.getloadavg()[0]:.1f}",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        **{name: version(name) for name in (*_PARTS, *parts)},
    }
