"""How a command that serves is stopped."""

from __future__ import annotations

import asyncio
import signal

__all__ = ["until_told_to_stop"]


async def until_told_to_stop() -> None:
    """Wait for SIGTERM or SIGINT."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    await told.wait()
