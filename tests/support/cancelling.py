"""Cancels a coroutine at its n-th resumption, wherever that is."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

__all__ = ["CancelAt", "cancelled_at"]

T = TypeVar("T")


class CancelAt:
    """Cancels at the n-th resumption, counted from 1; `reached` says whether there was one."""

    def __init__(self, nth: int) -> None:
        self.nth = nth
        self.count = 0

    @property
    def reached(self) -> bool:
        """Whether the coroutine was resumed often enough to be cancelled."""
        return self.count >= self.nth


@types.coroutine
def cancelled_at(when: CancelAt, work: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
    """Run `work`, and throw CancelledError into it in place of the n-th result that it waits for."""
    value: Any = None
    error: BaseException | None = None
    while True:
        try:
            waiting = work.send(value) if error is None else work.throw(error)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return] # what the coroutine returns
        value, error = None, None
        try:
            value = yield waiting
        except BaseException as raised:  # noqa: BLE001 - handed on to the coroutine
            error = raised
        when.count += 1
        if when.count == when.nth:
            error = asyncio.CancelledError()
