"""Replicas as processes of their own before one emulator, which runs in the test's process."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import grpc

from gateway.emulator import Emulator, EmulatorSettings
from tests.client.waiting import until
from tests.e2e.fleet import ADMINS
from tests.e2e.harness import CATALOG_KEY, LAB_KEY, tenant
from tests.e2e.purchases import DOORS
from tests.e2e.serving import Serving, configuration, serving
from tests.replicas.calling import DEADLINE, OK, Answer, Replica
from tests.servers.process import Server

__all__ = [
    "DEADLINE",
    "DOORS",
    "Answer",
    "Fleet",
    "Replica",
    "equal",
    "fleet",
    "phases",
    "until_followed",
]

_TIME_OUT = "2s"
_MANY = 1_000_000
_NO_LIMITS: Mapping[str, Any] = {}
_NO_CHANGES: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Fleet:
    """Replicas and what they buy from. Whoever kills one for good takes it out of `replicas`."""

    emulator: Emulator
    replicas: list[Replica]
    _start: Callable[[], Awaitable[Replica]]

    @property
    def billed(self) -> int:
        """Calls that the upstream has charged."""
        return self.emulator.bill.charges

    @property
    def bought(self) -> Counter[str]:
        """How often each edit was charged, by what the emulator drew."""
        return Counter(line.settings for line in self.emulator.bill.lines)

    async def join(self) -> Replica:
        """Start one more replica."""
        replica = await self._start()
        self.replicas.append(replica)
        return replica

    async def number(self, metric: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels, over all replicas."""
        return sum([await r.number(metric, **labels) for r in self.replicas])


@asynccontextmanager
async def fleet(
    size: int,
    folder: Path,
    redis: str,
    *,
    cache: str | None = None,
    settings: EmulatorSettings | None = None,
    time_out: str = _TIME_OUT,
    limits: Mapping[str, Any] = _NO_LIMITS,
    upstream: Mapping[str, Any] = _NO_CHANGES,
) -> AsyncIterator[Fleet]:
    """Run replicas on one Redis, or on one for state and one for the `cache`.

    Their tenants are those of CATALOG_KEY, which has the `limits`, and LAB_KEY; their administrator is
    that of ADMIN_KEY. `time_out` is that of an upstream call; the upstream key has no rate to speak of,
    unless `upstream`, which is what that part of the configuration says besides, has its own accounts.
    """
    async with AsyncExitStack() as stack:
        emulator = await stack.enter_async_context(Emulator(settings))
        urls = {"state_url": redis} | ({"cache_url": cache} if cache else {})
        tenants = [tenant("catalog", CATALOG_KEY, **limits), tenant("lab", LAB_KEY)]
        document = configuration(emulator, redis=urls, tenants=tenants, **ADMINS)
        [account] = document["upstream"]["accounts"]
        for key in account["keys"]:
            key["requests_per_minute"] = _MANY
        time_outs = {"edit": time_out, "generative": time_out}
        document["upstream"] |= {"timeouts": time_outs, **upstream}
        numbers = count()

        async def start() -> Replica:
            place = folder / f"replica{next(numbers)}"
            place.mkdir()
            return await _clients(await stack.enter_async_context(serving(document, place)), stack)

        replicas = await asyncio.gather(*(start() for _ in range(size)))
        yield Fleet(emulator, list(replicas), start)


async def _clients(served: Serving, stack: AsyncExitStack) -> Replica:
    connector = aiohttp.TCPConnector(limit=0)
    http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{served.grpc}")
    return Replica(served, http, await stack.enter_async_context(channel))


def phases(state: Server) -> list[str]:
    """The phase of every flight that the board knows."""
    return [state.admin("HGET", name, "phase").decode() for name in _flights(state)]


async def until_followed(state: Server, replicas: int) -> None:
    """Wait until so many replicas follow flights."""

    async def are_aboard() -> bool:
        fields: list[bytes] = [f for name in _flights(state) for f in state.admin("HKEYS", name)]
        return replicas == sum(f.startswith(b"follower:") for f in fields)

    await until(are_aboard)


def equal(answers: Sequence[Answer]) -> None:
    """All have the same picture."""
    assert [OK] * len(answers) == [answer.outcome for answer in answers]
    assert 1 == len({answer.body for answer in answers})


def _flights(state: Server) -> list[str]:
    return [name.decode() for name in state.admin("KEYS", "pg1:{ctl}:flight:*")]
