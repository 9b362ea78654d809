"""Work that goes on beside the calls for as long as a part of the gateway lives."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

__all__ = ["in_background"]

_log = logging.getLogger(__name__)


@asynccontextmanager
async def in_background(**works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run each work as a task of its name, stop them at the end and wait for that.

    One that fails is logged and does not take the others, or us, with it: hence no TaskGroup.
    """
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(work, name=name) for name, work in works.items()]
    for task in tasks:
        task.add_done_callback(_ended)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _ended(task: asyncio.Task[None]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _log.error("the background work %s failed", task.get_name(), exc_info=error)
