"""The board of flights in Redis: over all replicas, one leads each flight and the others follow.

What is said of a lead is said by a script that makes the second call a no-op. This module adds what a
replica owes its leads: it renews their leases, writes anew what Redis lost, and says an ending again
that Redis did not hear. Followers are woken through one channel a replica; a wake-up that is lost costs
them the wait that their answer names.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Self

from gateway.ports import BoardUnavailable, Hold, HoldLost, Joined, Lead
from gateway.store.background import in_background
from gateway.store.bells import Bells
from gateway.store.books import News
from gateway.store.flight_calls import (
    FlightCalls,
    FlightRules,
    FlightScripts,
    Held,
    read_joined,
)
from gateway.store.hold_table import SENT, HoldTable
from gateway.store.keyspace import WAKE_PREFIX
from gateway.store.link import Link, RedisTrouble
from gateway.store.scripts import ScriptCall, run

__all__ = ["FlightCounts", "RedisFlights"]

_log = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0
_BATCH = 100  # flights that one call renews: some milliseconds of Redis's time
_MOST_UNHEARD = 10_000  # endings that Redis did not hear


@dataclass(slots=True)
class FlightCounts:
    """Counts since the start, for telemetry.

    `alone` are leads of this replica only, since a result could not be shared; `disowned` are leads
    that another lead has replaced; `retold` are endings of leads that Redis heard only later.
    """

    alone: int = 0
    disowned: int = 0
    retold: int = 0


def _nobody(lead: Lead) -> None:
    """Nobody wants to know."""


class RedisFlights:
    """FlightBoard over Redis; `async with flights.running()` is when it owes its leads and listens.

    `replica` is this process's own name: letters, digits, `-` and `_`. `table` is the one of the holds
    that are marked together with flights. `disowned` is called, from a task
    of the board, for a lead that has sent nothing and is replaced: it may stop. One that has sent goes
    on, for its result still counts.
    """

    def __init__(
        self,
        link: Link,
        replica: str,
        *,
        table: HoldTable | None = None,
        rules: FlightRules | None = None,
        disowned: Callable[[Lead], None] = _nobody,
        scripts: FlightScripts | None = None,
    ) -> None:
        self._link = link
        self._table = table or HoldTable(time.monotonic)
        self._rules = rules or FlightRules()
        self._calls = FlightCalls(replica, self._rules, scripts or FlightScripts.load())
        self._channel = WAKE_PREFIX + replica
        self._disowned = disowned
        self._bells = Bells()
        self._held: dict[str, Held] = {}
        self._unheard: dict[str, ScriptCall] = {}
        self.counts = FlightCounts()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Renew and listen until the end of the context. Redis need not be there yet."""
        works = {"flights_renew": self._renew_leads, "flights_listen": self._listen}
        async with in_background(**{name: _for_ever(name, work) for name, work in works.items()}):
            yield self

    @property
    def leads(self) -> int:
        """The number of flights that this replica leads and renews."""
        return len(self._held)

    async def join(self, flight: str, *, timeout: float, seen: int, token: str) -> Joined:  # noqa: ASYNC109 - the operation's, and the port's word
        """Lead, follow, or hear how the flight ended. Raises BoardUnavailable."""
        timeout_ms = _ms(timeout)
        call = self._calls.join(flight, timeout=timeout_ms, seen=seen, token=token)
        try:
            answer = await self._ask(call)
        except asyncio.CancelledError:
            # Nobody is there to lead, should this have become a lead: give it back soon.
            self._owe(token, self._calls.fail(Lead(flight, epoch=0, token=token)))
            raise
        joined = read_joined(flight, token, answer)
        if isinstance(joined, Lead):
            self._held.setdefault(token, Held(joined, timeout_ms))
            self.counts.alone += answer[0] == b"alone"
        return joined

    async def sent(self, lead: Lead, hold: Hold | None = None) -> bool:
        """Mark that the upstream is about to be called; False: do not.

        Raises BoardUnavailable, and HoldLost.
        """
        held = self._held.get(lead.token)
        if held is None:
            return False
        mark = self._table.books.mark()
        sent_at, gen, seq = await self._ask(self._calls.sent(held, hold, mark.seq))
        if hold is not None:
            news = self._table.read(mark, gen.decode(), seq)
            if sent_at < 0:
                raise HoldLost
            if sent_at:
                self._table.note(hold, SENT, heard="" if news is News.STALE else SENT)
        if sent_at:
            self._held[lead.token] = replace(held, sent_at=sent_at)
        else:
            self._let_go(held)
        return bool(sent_at)

    async def complete(self, lead: Lead, outcome: str, message: str = "") -> None:
        """End the flight. After BoardUnavailable the board itself says it again."""
        await self._end(lead, self._calls.complete(lead, outcome, message))

    async def release(self, lead: Lead) -> None:
        """Give an unpaid flight back. After BoardUnavailable the board itself says it again."""
        await self._end(lead, self._calls.fail(lead))

    async def woken(self, flight: str, wait: float) -> None:
        """Return when the flight has changed, or after `wait` seconds."""
        await self._bells.heard(flight, wait)

    async def _ask(self, call: ScriptCall) -> Any:  # noqa: ANN401 - each script has its own answer
        try:
            [answer] = await run(self._link, call)
        except RedisTrouble as trouble:
            raise BoardUnavailable(str(trouble)) from trouble
        return answer

    async def _end(self, lead: Lead, call: ScriptCall) -> None:
        """Say how a lead ended; where Redis may not have heard it, the renewal says it again."""
        self._held.pop(lead.token, None)
        try:
            await self._ask(call)
        except (BoardUnavailable, asyncio.CancelledError):
            self._owe(lead.token, call)
            raise
        self._unheard.pop(lead.token, None)

    def _owe(self, token: str, call: ScriptCall) -> None:
        self._unheard[token] = call
        if len(self._unheard) > _MOST_UNHEARD:
            del self._unheard[next(iter(self._unheard))]

    def _let_go(self, held: Held) -> None:
        if self._held.pop(held.lead.token, None) is not None:
            self.counts.disowned += 1

    async def _renew_leads(self) -> None:
        while True:
            await self._renew()
            await asyncio.sleep(self._rules.lease / 3000)

    async def _renew(self) -> None:
        """Renew all leases in one exchange; then say again what Redis has not heard."""
        held = list(self._held.values())
        batches = [held[start : start + _BATCH] for start in range(0, len(held), _BATCH)]
        if batches:
            answers = await run(self._link, *map(self._calls.renew, batches))
            kept = [one for answer in answers for one in answer]
            self._notice(held, kept)
        unheard = dict(islice(self._unheard.items(), _BATCH))
        if unheard:
            await run(self._link, *unheard.values())
            for token in unheard:
                self.counts.retold += self._unheard.pop(token, None) is not None

    def _notice(self, held: Sequence[Held], kept: Sequence[int]) -> None:
        """Let go the leads that were replaced before they have sent."""
        for one, is_kept in zip(held, kept, strict=True):
            if not is_kept and self._held.get(one.lead.token) == one and not one.sent_at:
                self._let_go(one)
                self._disowned(one.lead)

    async def _listen(self) -> None:
        async for message in self._link.listen(self._channel):
            self._bells.ring(message.decode())


async def _for_ever(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Begin `work` again whenever it breaks off."""
    while True:
        try:
            await work()
        except RedisTrouble as trouble:
            _log.warning("%s breaks off and is begun again: %s", name, trouble)
        except Exception:  # noqa: BLE001 - it is logged, and the leads of this replica depend on it
            _log.exception("%s failed by a mistake of ours and is begun again", name)
        await asyncio.sleep(_RETRY_SECONDS)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
