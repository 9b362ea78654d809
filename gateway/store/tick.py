"""The tick: what administrators purge and revoke holds on every replica within a second.

Each replica asks the state Redis four times a second, and is told of a change at once on a channel. What
it knows it never unlearns: when Redis comes back empty or as it was before, every replica writes back
what it knows, and the highest mark of each field wins. Only when nobody knows anything any more is
everything disowned that was stored before.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Self

from gateway.domain.caching import Purge
from gateway.domain.edit import Operation
from gateway.domain.errors import StateUnavailable, TooManyPurges
from gateway.store.background import in_background
from gateway.store.epochs import ALL, VERSION, Marks, field_of, revocation_of
from gateway.store.keyspace import REPLICAS, TICK, TICK_CHANNEL
from gateway.store.link import Link, RedisTrouble, TimeOuts
from gateway.store.scripts import ScriptCall, load, run

__all__ = ["EVERY", "MOST_DIGESTS", "TICK_TIME_OUTS", "TRUSTED", "Tick"]

EVERY: Final = 0.25
"""Seconds between two ticks."""

TRUSTED: Final = 1.0
"""Seconds for which a tick is believed: after that, a call waits until Redis has been asked again."""

TICK_TIME_OUTS: Final = TimeOuts(connect=0.5, operation=0.5)
"""Shorter than the trust: a call waits no longer than that for a Redis that hangs."""

MOST_DIGESTS: Final = 4096
"""Single digests that are purged at once: each change sends all marks to every replica, 100 bytes each."""

_ALIVE_MS: Final = 5000
"""A replica that has been silent for so long counts no more."""

_LATE_RESULTS_MS: Final = 3_600_000
"""For so much longer than any result lives the mark of a digest is kept: for purchases that were under way."""

_BURST: Final = 0.02
"""Seconds between two ticks while changes come one after the other."""

_NO_VERSION: Final = "none"

_log = logging.getLogger(__name__)


class Tick:
    """EpochSource, DenyList and Administration over the state Redis.

    `longest_life` is that of the results, in seconds; `clock` is monotonic, in seconds.
    """

    def __init__(
        self, link: Link, *, longest_life: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._link = link
        self._life_ms = int(longest_life * 1000) + _LATE_RESULTS_MS
        self._clock = clock
        self._scripts = {name: load(name) for name in ("tick", "mark", "restore")}
        self._replica = uuid.uuid4().hex
        self._marks = Marks()
        self._version = _NO_VERSION
        self._asking = asyncio.Lock()
        self._replicas = 1
        self._good_at = self._tried_at = -math.inf
        self._silent = False
        # An epoch of this process alone, below zero, so that it finds nothing but its own results.
        self._blind_epoch = -1 - secrets.randbits(48)
        self._informed = asyncio.Event()
        self._told = asyncio.Event()
        self._tried = asyncio.Event()

    @asynccontextmanager
    async def running(self, patience: float = 2.0) -> AsyncIterator[Self]:
        """Tick until the end of the context.

        The first tick is waited for, for `patience` seconds at most. Without it nothing that is stored is
        served, for it may have been purged; no credential is known to be revoked either.
        """
        async with in_background(tick=self._go_on(), tick_channel=self._listen()):
            try:
                async with asyncio.timeout(patience):
                    await self._informed.wait()
            except TimeoutError:
                _log.warning("starting without a word of what was purged and revoked")
            yield self

    def age(self) -> float:
        """Seconds since the last tick to which Redis answered."""
        return self._clock() - self._good_at

    def replicas(self) -> int:
        """How many replicas lived at the last tick, this one included."""
        return self._replicas

    async def epoch(self, scope: str, operation: Operation, digest: str) -> int:
        await self._fresh()
        if not self._informed.is_set():
            return self._blind_epoch
        return self._marks.epoch(scope, operation, digest)

    async def is_denied(self, credential_sha256: bytes) -> bool:
        await self._fresh()
        return self._marks.denies(credential_sha256)

    async def purge(self, purge: Purge) -> int:
        mark = await self._mark(field_of(purge))
        if not mark:
            raise TooManyPurges(
                f"{MOST_DIGESTS} digests are purged already: purge the tenant or the operation instead."
            )
        return mark

    async def revoke(self, credential_sha256: bytes) -> None:
        await self._mark(revocation_of(credential_sha256))

    async def _mark(self, field: str) -> int:
        """Set a mark on all replicas; return it, 0 when there are too many."""
        arguments = (field, TICK_CHANNEL, self._life_ms, MOST_DIGESTS)
        async with self._asking:
            try:
                mark: int = await self._run("mark", (TICK,), *arguments)
            except RedisTrouble as trouble:
                text = "The state Redis does not answer; make the change again."
                raise StateUnavailable(text, retry_after=1.0) from trouble
            if mark:
                self._marks = self._marks.joined({field: mark})
                # We know more than the version says; if Redis loses it, the next tick has to see that.
                self._version = _NO_VERSION
        return mark

    async def _fresh(self) -> None:
        """Wait for the next answer or silence of Redis, where the last is too long ago.

        Silence is not waited for twice: until the next tick is due, what is known answers.
        """
        now = self._clock()
        if now - self._good_at > TRUSTED and now - self._tried_at >= EVERY:
            await self._tried.wait()

    async def _go_on(self) -> None:
        while True:
            await self._attempt()
            await asyncio.sleep(_BURST)
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY - _BURST):
                    await self._told.wait()

    async def _attempt(self) -> None:
        """Tick once, and say so when Redis falls silent or speaks again."""
        self._told.clear()
        try:
            await self._ask()
        except RedisTrouble as trouble:
            if not self._silent:
                _log.warning("the state Redis is silent: %s; what is known holds", trouble)
            self._silent = True
        except Exception:  # noqa: BLE001 - it is logged
            # The tick must go on; the next one may find what this one choked on gone.
            _log.exception("a tick failed by a mistake of ours")
        else:
            if self._silent:
                _log.info("the state Redis answers again")
            self._silent = False
        self._tried_at = self._clock()
        self._tried.set()
        self._tried = asyncio.Event()

    async def _ask(self) -> None:
        """Tick. Raises RedisTrouble."""
        async with self._asking:
            asked_at = self._clock()
            arguments = (self._replica, self._version, _ALIVE_MS)
            now_ms, replicas, version, fields = await self._run(
                "tick", (TICK, REPLICAS), *arguments
            )
            if version.decode() != self._version:
                await self._learn(_read(fields), now_ms)
            self._version = version.decode()
            self._replicas = replicas
            self._good_at = asked_at
            self._informed.set()

    async def _learn(self, stored: dict[str, int], now_ms: int) -> None:
        """Take over what is stored, and write back what it lacks. Raises RedisTrouble."""
        marks = self._marks.joined(stored, oldest=now_ms - self._life_ms)
        if ALL not in marks.of:
            # New, or lost by all who knew it: what was purged then must not come back.
            marks = marks.joined({ALL: now_ms})
            _log.info("nothing is known of purges: every result stored before now is disowned")
        self._marks = marks
        lost = marks.above(stored)
        if lost:
            pairs = [word for mark in lost.items() for word in mark]
            raised = await self._run("restore", (TICK,), TICK_CHANNEL, *pairs)
            _log.info("marks were written to the state Redis", extra={"marks": raised})

    async def _listen(self) -> None:
        """Tick at once when told to. Only the clock is relied on, so a lost message costs `EVERY`."""
        while True:
            try:
                async for _ in self._link.listen(TICK_CHANNEL):
                    self._told.set()
            except RedisTrouble:
                await asyncio.sleep(EVERY)

    async def _run(self, script: str, keys: tuple[str, ...], *arguments: str | int) -> Any:  # noqa: ANN401 - each script's own
        [answer] = await run(self._link, ScriptCall(self._scripts[script], keys, arguments))
        return answer


def _read(fields: Sequence[bytes]) -> dict[str, int]:
    """Read the marks of the hash. A foreign field is none, and no reason to stop ticking."""
    marks = {}
    for name, mark in zip(fields[::2], fields[1::2], strict=True):
        if name != VERSION.encode() and mark.isdigit():
            marks[name.decode("utf-8", "replace")] = int(mark)
    return marks
