"""The rate of all calls of a tenant, on the way of every hit: tokens leased from its bucket in Redis.

A replica draws tokens and lets calls through with them for a quarter second without asking again. It
draws as many as callers wait for, or as many as went in the last quarter second if that is more, up
to 2 % of the burst; what is left it gives back when it draws again. Where 2 % of the burst is below
one, each call is drawn for.

The bound: **in any time t all replicas together let through at most burst + (t + 0.25 s) / interval
calls.** For a call is let through by a token that was drawn at most 0.25 s before, and the tokens that are
used keep to burst + t / interval by the times at which they were drawn (`domain/leases.py`). It holds
over any number of replicas, lost answers included, from the moment at which all of them have the same
limits. It does not hold over a loss of the bucket by Redis, nor for what is let through on trust.

While Redis is silent, or answers later than a lease lasts, each replica goes on with its share of 80 %
of the rate: a call that only reads the cache costs nothing, so nobody is refused for our ignorance.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Self, TypeAlias

from gateway.domain.leases import LEASE_US, Ask, Pace, wanted
from gateway.domain.limits import BucketState, Rate, trusted_share
from gateway.domain.tenant import Tenant
from gateway.store.background import in_background
from gateway.store.keyspace import requests_key
from gateway.store.link import Link, RedisTrouble
from gateway.store.refusals import refusal
from gateway.store.scripts import Script, ScriptCall, load, run

__all__ = ["RedisRequestGate"]

_LEASE: Final = LEASE_US / 1e6
"""Seconds for which a lease is used, a refusal is believed, and a silent Redis is not asked again."""

_Line: TypeAlias = deque[asyncio.Future[float]]
"""Callers in order; each is told 0, or the seconds that it has to wait."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Desk:
    """What a replica has and knows of a tenant's bucket. Times are of the gate's clock.

    `left` of the `granted` tokens of the last lease let calls through before `until`. Before `ask_at`
    Redis is not asked: there is no token before `free_at`. The bucket was full at `full_at` microseconds
    when it was last seen. There is a `line` while Redis is being asked, and only then.
    """

    tenant: str
    rate: Rate
    left: int = 0
    granted: int = 0
    until: float = -math.inf
    ask_at: float = -math.inf
    free_at: float = -math.inf
    full_at: int = 0
    number: int = 0
    pace: Pace = field(default_factory=Pace)
    line: _Line | None = None

    def next_ask(self, replica: str, waiting: int, now: int) -> Ask:
        """End the lease, and return what to ask for next."""
        used = self.granted - self.left
        self.left = self.granted = 0
        self.number += 1
        self.pace = self.pace.after(now, used)
        tokens = wanted(self.rate, waiting, self.pace.lately)
        return Ask(replica, self.number, tokens, waiting, used)

    def hand_out(self, line: _Line) -> None:
        """Let callers through in order, as far as the tokens go."""
        while self.left and line:
            place = line.popleft()
            if not place.done():
                place.set_result(0.0)
                self.left -= 1

    def take_back(self) -> None:
        """A caller was let through, and has left before it could go: the next in line gets its token."""
        for place in self.line or ():
            if not place.done():
                place.set_result(0.0)
                return
        if self.left < self.granted:
            self.left += 1


class RedisRequestGate:
    """RequestGate over a link; `async with gate.running()` is when it asks Redis.

    `replicas` tells how many replicas lived when that was last known. `clock` is monotonic, in seconds.
    `degraded` counts the calls that were let through on trust, without Redis.
    """

    def __init__(
        self,
        link: Link,
        *,
        replicas: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
        script: Script | None = None,
    ) -> None:
        self._link = link
        self._replicas = replicas
        self._clock = clock
        self._script = script or load("lease")
        self._replica = uuid.uuid4().hex
        self._desks: dict[str, _Desk] = {}
        self._calls: asyncio.TaskGroup | None = None
        self._silent = False
        self._probe_at = -math.inf
        self.degraded = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Ask Redis until the end of the context; it need not be there yet."""
        ready = asyncio.Event()
        async with in_background(requests=self._ask_for_all(ready)):
            await ready.wait()
            yield self

    async def enter(self, tenant: Tenant) -> None:
        rate = tenant.limits.requests
        if rate is None:
            return
        desk = self._desks.get(tenant.id)
        if desk is None or desk.rate is not rate:
            desk = self._desk(tenant.id, rate)
        now = self._clock()
        if desk.left and now < desk.until:
            desk.left -= 1
            return
        wait = await self._wait(desk, now)
        if wait:
            raise refusal(tenant, "requests", wait)

    def state(self, tenant: Tenant) -> BucketState | None:
        rate = tenant.limits.requests
        if rate is None:
            return None
        now = self._clock()
        desk = self._desks.get(tenant.id)
        if desk is None:
            return rate.state(0, _us(now))
        left = desk.left if now < desk.until else 0
        return rate.state(desk.full_at - left * rate.interval_us, _us(now))

    def _desk(self, tenant: str, rate: Rate) -> _Desk:
        """Return the tenant's desk, with its rate as it is now."""
        desk = self._desks.setdefault(tenant, _Desk(tenant, rate))
        if desk.rate != rate:
            desk.ask_at = -math.inf  # it was refused by another rate
        desk.rate = rate
        return desk

    async def _wait(self, desk: _Desk, now: float) -> float:
        """Return 0 once a call may go, or the seconds after which it may come again."""
        if now < desk.ask_at:
            return desk.free_at - now
        if self._calls is None:
            return self._trust(desk, now)
        if self._silent:
            # Nobody waits for a silent Redis; whether it speaks again is found out beside the calls.
            if desk.line is None and now >= self._probe_at:
                self._probe_at = now + _LEASE
                self._begin(desk, self._calls)
            return self._trust(desk, now)
        line = desk.line if desk.line is not None else self._begin(desk, self._calls)
        place: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        line.append(place)
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and not place.result():
                desk.take_back()
            raise

    def _trust(self, desk: _Desk, now: float) -> float:
        """Take a token of this replica's own share; return 0, or the seconds to wait."""
        share = desk.rate.share(trusted_share(self._replicas()))
        taken = share.take(desk.full_at, _us(now))
        desk.full_at = taken.full_at
        if not taken.wait_us:
            self.degraded += 1
        return taken.wait_us / 1e6

    def _begin(self, desk: _Desk, calls: asyncio.TaskGroup) -> _Line:
        """Ask Redis in a task that no caller can cancel; return the line that it serves."""
        line: _Line = deque()
        desk.line = line
        task = calls.create_task(self._serve(desk, line), name="request lease")
        task.add_done_callback(lambda _: self._end(desk, line))
        return line

    async def _ask_for_all(self, ready: asyncio.Event) -> None:
        """Hold the tasks that ask."""
        async with asyncio.TaskGroup() as calls:
            self._calls = calls
            ready.set()
            try:
                await asyncio.Event().wait()
            finally:
                self._calls = None

    async def _serve(self, desk: _Desk, line: _Line) -> None:
        """Draw from the bucket until nobody is in line. It must not fail: the other tasks would too."""
        await self._draw(desk, line)
        while line:
            await self._draw(desk, line)
        desk.line = None

    def _end(self, desk: _Desk, line: _Line) -> None:
        """However the task ended, even before it began: nobody stays in its line."""
        if desk.line is line:
            desk.line = None
        self._serve_on_trust(desk, line)

    async def _draw(self, desk: _Desk, line: _Line) -> None:
        """Draw once, and tell the callers in line what came of it."""
        rate, sent_at = desk.rate, self._clock()
        waiting = sum(not place.done() for place in line)
        ask = desk.next_ask(self._replica, waiting, _us(sent_at))
        try:
            tokens, full_at, then = await self._ask(desk.tenant, rate, ask)
        except RedisTrouble as trouble:
            self._fall_silent(str(trouble))
        except Exception:  # noqa: BLE001 - it is logged, and the callers are served
            _log.exception("a lease of request tokens failed by a mistake of ours")
            self._fall_silent("see above")
        else:
            heard_at = self._clock()
            if heard_at - sent_at < _LEASE:
                self._speak_again()
                desk.granted = desk.left = tokens
                desk.until = sent_at + _LEASE
                desk.full_at = full_at - then + _us(heard_at)
                wait = rate.take(full_at, then).wait_us / 1e6 if desk.rate == rate else 0.0
                desk.free_at = heard_at + wait
                desk.ask_at = heard_at + min(wait, _LEASE)
                desk.hand_out(line)
                if wait:
                    _refuse(line, wait)
                return
            self._fall_silent("its answer came too late")
        self._serve_on_trust(desk, line)

    async def _ask(self, tenant: str, rate: Rate, ask: Ask) -> tuple[int, int, int]:
        """Return the tokens drawn, when the bucket is full, and the time. Raises RedisTrouble."""
        numbers = (ask.number, ask.tokens, ask.waiting, ask.used)
        arguments = (rate.interval_us, rate.burst, ask.replica, *numbers)
        call = ScriptCall(self._script, (requests_key(tenant),), arguments)
        [[tokens, full_at, now]] = await run(self._link, call)
        return tokens, full_at, now

    def _serve_on_trust(self, desk: _Desk, line: _Line) -> None:
        now = self._clock()
        while line:
            place = line.popleft()
            if not place.done():
                place.set_result(self._trust(desk, now))

    def _fall_silent(self, why: str) -> None:
        if not self._silent:
            _log.warning("request rates go on by local shares: %s", why)
        self._silent = True
        self._probe_at = self._clock() + _LEASE

    def _speak_again(self) -> None:
        if self._silent:
            _log.info("request rates are leased from the state Redis again")
        self._silent = False


def _refuse(line: _Line, wait: float) -> None:
    while line:
        place = line.popleft()
        if not place.done():
            place.set_result(wait)


def _us(seconds: float) -> int:
    return round(seconds * 1e6)
