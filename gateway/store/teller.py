"""Tells the ledger in Redis what became of a replica's holds, again and again until it has heard."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import islice
from typing import Any, Final, NamedTuple

from gateway.store.background import in_background
from gateway.store.books import News
from gateway.store.hold_table import HoldTable, Spent, Stamp
from gateway.store.ledger_calls import LedgerCalls
from gateway.store.link import Link, RedisTrouble
from gateway.store.scripts import ScriptCall, run

__all__ = ["Heard", "Teller"]

_EVERY: Final = 0.25
"""Seconds between two beats: in each, open holds that nobody waits for are resolved."""

_BATCH: Final = 50
"""Holds that one call tells of: a millisecond of Redis's time."""

_LAST_WORDS: Final = 5.0
"""Seconds in which a closing replica tells Redis what it has not heard."""

_log = logging.getLogger(__name__)


class Heard(NamedTuple):
    """An answer of a script: what it says of the books, which one it is, and its own words."""

    news: News
    at: Stamp
    words: list[Any]


class Teller:
    """Runs the scripts of the ledger, and learns from each answer what became of the books.

    `all_told` is called whenever Redis has heard everything. `wall` tells seconds since the epoch.
    """

    def __init__(
        self,
        link: Link,
        table: HoldTable,
        calls: LedgerCalls,
        *,
        all_told: Callable[[], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._link = link
        self._table = table
        self._calls = calls
        self._all_told = all_told
        self._wall = wall
        self._due = asyncio.Event()
        self._ahead_us = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tell until the end of the context, and what is left then. Redis need not be there yet."""
        async with in_background(ledger=self._beat()):
            yield
        with suppress(TimeoutError, RedisTrouble):
            async with asyncio.timeout(_LAST_WORDS):
                await self._tell_all()
        if self._table.untold:
            _log.error("Redis was not told of holds", extra={"holds": len(self._table.untold)})

    def wake(self) -> None:
        """Say that there is something to tell."""
        self._due.set()

    def now_us(self) -> int:
        """Microseconds since the epoch by the clock of Redis."""
        return int(self._wall() * 1e6) + self._ahead_us

    async def run(self, call: ScriptCall) -> Heard:
        """Run a script; its words are what stands behind generation, count and time. Raises RedisTrouble."""
        mark = self._table.books.mark()
        words: list[Any]
        [[gen, seq, us, *words]] = await run(self._link, call)
        news = self._table.read(mark, gen.decode(), seq)
        self._ahead_us = us - int(self._wall() * 1e6)
        if news in {News.NEW, News.TAKEN_BACK}:
            self._due.set()
        return Heard(news, (self._table.books.era, seq), words)

    async def rebuild(self) -> None:
        """Open books where there are none, and write back what the replica knows of lost ones."""
        table = self._table
        full_at = dict(islice(table.lost_full_at.items(), _BATCH))
        spent = dict(islice(table.lost_spent.items(), _BATCH))
        heard = await self.run(self._calls.rebuild(uuid.uuid4().hex, full_at, spent))
        if heard.news is not News.STALE:
            table.written_back(spent, full_at)
        _log.info("wrote to the books of a new generation", extra={"budgets": len(spent)})

    async def _beat(self) -> None:
        silent = False
        while True:
            try:
                await self._tell_all()
            except RedisTrouble as trouble:
                if not silent:
                    _log.warning("the ledger is silent: %s; what is due is told later", trouble)
                silent = True
            except Exception:  # noqa: BLE001 - it is logged
                # Holds depend on the beat; the next one may find what this one choked on gone.
                _log.exception("a beat of the ledger failed by a mistake of ours")
            else:
                silent = False
            if silent:
                await asyncio.sleep(_EVERY)
            with suppress(TimeoutError):
                async with asyncio.timeout(_EVERY):
                    await self._due.wait()

    async def _tell_all(self) -> None:
        """Tell Redis all that it has not heard; at least, that the replica lives."""
        self._due.clear()
        while True:
            while self._table.lost_spent or self._table.lost_full_at:
                await self.rebuild()
            entries = self._table.next_untold(_BATCH)
            heard = await self.run(self._calls.settle(entries))
            if heard.news is News.LOST:
                await self.rebuild()
            if heard.news in {News.LOST, News.STALE}:
                continue
            settled, held = heard.words[1::3], heard.words[2::3]
            for entry, *amounts in zip(entries, settled, held, strict=True):
                hold = entry.hold
                self._table.hear(hold.id, entry.state)
                self._table.learn(hold.tenant, Spent(hold.period, *amounts), heard.at)
            if len(entries) < _BATCH:
                break
        self._all_told()
        self._table.prune()
