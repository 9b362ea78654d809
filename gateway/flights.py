"""Paid work in tasks of its own, which no caller can cancel.

A gRPC call that is cancelled cancels its handler, and so does an HTTP client that hangs up; money that
is being spent must not depend on either. A flight goes on when its caller leaves, and `drain` waits for
the flights that are still in the air.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from gateway.domain.errors import GatewayError, ShuttingDown

__all__ = ["Flights"]

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Flights:
    """The flights of this process."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    def __len__(self) -> int:
        """The number of flights in the air."""
        return len(self._tasks)

    async def fly(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run `work` in a task of its own and wait for it; a caller that leaves does not stop it.

        Raises what `work` raises, and ShuttingDown once the doors are closed.
        """
        if self._closed:
            raise ShuttingDown("this replica is shutting down")
        task = asyncio.get_running_loop().create_task(work())
        self._tasks.add(task)
        task.add_done_callback(self._landed)
        return await asyncio.shield(task)

    def close(self) -> None:
        """Let nothing take off any more."""
        self._closed = True

    async def drain(self, grace: float) -> int:
        """Wait at most `grace` seconds for the flights in the air; return how many are still there."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=grace)
        return len(self._tasks)

    def _landed(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        # Taking the exception keeps asyncio from reporting it a second time when the caller has left.
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, GatewayError):
            _log.error("a flight failed by a mistake of ours", exc_info=error)
