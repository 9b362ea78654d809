"""Waiting for what happens on its own time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

__all__ = ["until"]


async def until(happened: Callable[[], Awaitable[bool]]) -> None:
    """Ask until it has happened; raises TimeoutError when it does not."""
    async with asyncio.timeout(20):
        while not await happened():  # noqa: ASYNC110 - it happens in another process, or counts
            await asyncio.sleep(0.01)
