"""Replicas that poll accounts which a test fills and empties."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from gateway.emulator import AccountSettings, Emulator, EmulatorSettings, KeySettings
from gateway.emulator.faults import FaultRule
from tests.e2e.asks import ask_rest, edit_of
from tests.e2e.harness import CATALOG_KEY, Reply, World, replica
from tests.e2e.metric_lines import counted
from tests.servers.process import Server

__all__ = ["PATIENCE", "Polled", "account", "polled"]

PATIENCE = 20.0
_MANY = 1_000_000
_NUMBERS = count()


def account(name: str, **more: Any) -> AccountSettings:
    """An account with a key of its own, which no test brings to its rate."""
    key = KeySettings(f"k{name}", f"upstream-{name}", requests_per_window=_MANY)
    return AccountSettings(name, (key,), **more)


@dataclass(frozen=True, slots=True)
class Polled:
    """Replicas on one Redis, before one emulator."""

    emulator: Emulator
    worlds: list[World]

    @property
    def questions(self) -> int:
        """How often an account was asked."""
        return self.emulator.bill.questions.total()

    async def buy(self, w: World | None = None, *, key: str = CATALOG_KEY) -> Reply:
        """Edit with a colour that nothing else has."""
        ask = edit_of({"background.color": f"#{next(_NUMBERS) + 0x100000:06x}"})
        return await ask_rest(w or self.worlds[0], ask, key=key)

    async def number(self, metric: str, account: str, w: World | None = None) -> float:
        """A number of an account; none is 0."""
        return (await counted(w or self.worlds[0], metric, "account")).get((account,), 0)

    async def until(self, happened: Callable[[], Awaitable[bool]]) -> None:
        """Wait for what a poll brings about."""
        async with asyncio.timeout(PATIENCE):
            while not await happened():  # noqa: ASYNC110 - it comes from another task
                await asyncio.sleep(0.01)

    async def until_polled(self, times: int) -> None:
        """Wait for so many questions more."""
        wanted = self.questions + times
        async with asyncio.timeout(PATIENCE):
            await self.emulator.until(lambda: self.questions >= wanted)


@asynccontextmanager
async def polled(
    server: Server,
    *accounts: AccountSettings,
    replicas: int = 1,
    every: str = "300ms",
    lag: str = "100ms",
    reserve: int = 0,
    shown_after: float = 0.0,
    faults: Sequence[FaultRule] = (),
    **changes: Any,
) -> AsyncIterator[Polled]:
    """Run replicas that learn the plans from the accounts; these show a charge after so many seconds.

    The emulator has the `faults` before the first replica starts.
    """
    settings = EmulatorSettings(accounts=accounts, account_lag_s=shown_after)
    async with AsyncExitStack() as stack:
        emulator = await stack.enter_async_context(Emulator(settings))
        emulator.faults.add(*faults)
        upstream = {
            "edit_url": emulator.url,
            "segment_url": emulator.url,
            "account_poll": every,
            "account_lag": lag,
            "accounts": [
                {"id": one.id, "reserve_images": reserve, "keys": _keys(one)} for one in accounts
            ],
        }
        changes = {"redis": {"state_url": server.url}, "upstream": upstream, **changes}
        worlds = [
            await stack.enter_async_context(replica(emulator, changes=changes))
            for _ in range(replicas)
        ]
        yield Polled(emulator, worlds)


def _keys(one: AccountSettings) -> list[dict[str, object]]:
    return [
        {
            "id": key.id,
            "secret_env": f"UPSTREAM_{key.id.upper()}",
            "requests_per_minute": key.requests_per_window,
        }
        for key in one.keys
    ]
