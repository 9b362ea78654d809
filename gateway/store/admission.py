"""Admission over the ledger in Redis.

One script decides whether a paid call may go. What becomes of its hold is noted in the replica's own
table and told to Redis from there, so that no caller waits for it and nothing is lost on the way. While
Redis is away, the replica grants by itself: its share of every limit, within an allowance.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from itertools import islice
from typing import Any, Final, Self

from gateway.domain.calls import Balance
from gateway.domain.errors import PolicyError, StateUnavailable
from gateway.domain.limits import BucketState
from gateway.domain.periods import months_around
from gateway.domain.tenant import Tenant
from gateway.ports import Claim, Hold, Settlement
from gateway.store.background import in_background
from gateway.store.hold_table import HELD, SENT, HoldTable, Spent
from gateway.store.keyspace import budget_key
from gateway.store.ledger_calls import (
    Admitted,
    Closed,
    LedgerCalls,
    LedgerScripts,
    Over,
    Refused,
    read_admitted,
)
from gateway.store.link import Link, RedisTrouble
from gateway.store.local_books import LocalBooks
from gateway.store.refusals import check_cost, refusal
from gateway.store.scripts import ScriptCall, run

__all__ = ["WINDOW", "RedisAdmission"]

_EVERY: Final = 0.25
"""Seconds between two beats: in each, open holds that nobody waits for are resolved."""

WINDOW: Final = 0.75
"""Seconds that replicas have to write back what they know into new books: three of their beats."""

_PATIENCE: Final = 1.0
"""Seconds for which a Redis that does not answer is asked again."""

_PAUSE: Final = 0.1
_LONGEST_WAIT: Final = 5.0
"""Seconds that a claim waits for books that are being rebuilt."""

_BATCH: Final = 50
"""Holds that one call tells of: a millisecond of Redis's time."""

_FRESH: Final = 1.0
"""Seconds for which a budget that was read is told again."""

_TRUSTED_PART: Final = 0.8
"""Part of every limit that all replicas together grant while Redis is away."""

_LAST_WORDS: Final = 5.0
"""Seconds in which a closing replica tells Redis what it has not heard."""

_log = logging.getLogger(__name__)


class RedisAdmission:
    """Admission; `async with admission.running()` is when it tells Redis what became of holds.

    `replica` is this process's own name, `table` the one that the board of flights shares, `replicas`
    tells how many of them lived when that was last known. Books that had to be opened anew admit after
    `window` seconds: nobody else has to write into those of a server that is this replica's own. `wall`
    tells seconds since the epoch.
    """

    def __init__(
        self,
        link: Link,
        replica: str,
        table: HoldTable,
        *,
        replicas: Callable[[], int],
        window: float = WINDOW,
        scripts: LedgerScripts | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._link = link
        self._table = table
        self._trust = LocalBooks(wall, self._allowance, lambda: _TRUSTED_PART / max(1, replicas()))
        self._calls = LedgerCalls(replica, scripts or LedgerScripts.load(), window)
        self._wall = wall
        self._told = asyncio.Event()
        self._ahead_us = 0
        self._balances: dict[str, tuple[float, Balance]] = {}
        self.trusted = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Tell until the end of the context, and what is left then. Redis need not be there yet."""
        async with in_background(ledger=self._beat()):
            yield self
        with suppress(TimeoutError, RedisTrouble):
            async with asyncio.timeout(_LAST_WORDS):
                await self._tell_all()
        if self._table.untold:
            _log.error("Redis was not told of holds", extra={"holds": len(self._table.untold)})

    @property
    def untold(self) -> int:
        """How many holds Redis has not heard of as they are now."""
        return len(self._table.untold)

    async def admit(self, claim: Claim) -> Hold:
        check_cost(claim)
        try:
            answer = await self._ask(claim)
        except RedisTrouble:
            return self._grant_on_trust(claim)
        except asyncio.CancelledError:
            self._take_back(claim)
            raise
        if isinstance(answer, Refused):
            self._learn(claim.tenant, answer)
            raise refusal(claim.tenant, answer.limit, answer.wait)
        if isinstance(answer, Admitted):
            self._learn(claim.tenant, answer)
            hold = _hold(claim, answer)
            self._table.note(hold, HELD, heard=HELD)
            return hold
        self._take_back(claim)
        raise StateUnavailable("The ledger does not admit now.", retry_after=1.0)

    def sent(self, hold: Hold) -> None:
        self._note(hold, SENT)

    def settle(self, hold: Hold, settlement: Settlement) -> None:
        self._trust.settle(hold, settlement)
        self._note(hold, settlement.value)

    def state(self, tenant: Tenant) -> BucketState | None:
        rate = tenant.limits.edits
        if rate is None:
            return None
        now_us = int(self._wall() * 1e6) + self._ahead_us
        return rate.state(self._table.full_at.get(tenant.id, 0), now_us)

    async def balance(self, tenant: Tenant) -> Balance | None:
        if tenant.limits.budget_milli is None:
            return None
        read_at, known = self._balances.get(tenant.id, (0.0, None))
        if (
            known is not None
            and known.budget_milli == tenant.limits.budget_milli
            and self._table.clock() - read_at < _FRESH
        ):
            return known
        try:
            return await self._read_balance(tenant, tenant.limits.budget_milli)
        except RedisTrouble:
            return known

    async def _read_balance(self, tenant: Tenant, budget: int) -> Balance:
        period = months_around(self._wall() + self._ahead_us / 1e6, tenant.limits.zone)[1]
        fields = ("base", "posted", "presumed", "held")
        [parts] = await self._link.exchange(("HMGET", budget_key(tenant.id, period.start), *fields))
        return self._keep_balance(
            tenant, Balance(budget, sum(int(part or 0) for part in parts), period.end / 1000)
        )

    def _keep_balance(self, tenant: Tenant, balance: Balance) -> Balance:
        self._balances[tenant.id] = (self._table.clock(), balance)
        return balance

    async def _ask(self, claim: Claim) -> Admitted | Refused | Closed | Over:
        """Ask until the books are open and Redis has answered. Raises RedisTrouble."""
        started = self._table.clock()
        while True:
            waited = self._table.clock() - started
            try:
                answer = read_admitted(await self._run(self._calls.admit(claim, self._wall())))
                if not isinstance(answer, Closed) or waited > _LONGEST_WAIT:
                    return answer
                pause = answer.wait
                if pause is None:
                    await self._rebuild()
            except RedisTrouble:
                if waited + _PAUSE > _PATIENCE:
                    raise
                pause = _PAUSE
            await asyncio.sleep(pause or 0.0)

    async def _run(self, call: ScriptCall) -> list[Any]:
        """Run a script of the ledger, and learn from its answer what became of the books."""
        mark = self._table.books.mark()
        rest: list[Any]
        [[gen, seq, us, *rest]] = await run(self._link, call)
        self._table.read(mark, gen.decode(), seq)
        self._ahead_us = us - int(self._wall() * 1e6)
        if self._table.untold:
            self._told.set()
        return rest

    def _learn(self, tenant: Tenant, answer: Admitted | Refused) -> None:
        self._table.learn(tenant.id, answer.spent)
        self._table.full_at[tenant.id] = max(answer.full_at, self._table.full_at.get(tenant.id, 0))
        budget = tenant.limits.budget_milli
        if budget is not None:
            spent = answer.spent
            end = spent.period.end / 1000
            self._keep_balance(tenant, Balance(budget, spent.settled + spent.held, end))

    def _allowance(self, tenant: Tenant) -> int:
        """What all replicas together may spend of a tenant's on trust."""
        _, balance = self._balances.get(tenant.id, (0.0, None))
        most = tenant.limits.emergency_milli
        return most if balance is None else min(most, balance.left_milli)

    def _grant_on_trust(self, claim: Claim) -> Hold:
        """Grant what the local books allow. Redis may have granted the claim too: it is one hold.

        Raises StateUnavailable: what refuses is not the tenant's limit but our ignorance of it.
        """
        if claim.tenant.limits.strict:
            self._take_back(claim)
            text = "The state Redis does not answer, and this tenant is not served on trust."
            raise StateUnavailable(text, retry_after=1.0)
        try:
            hold = replace(self._trust.admit(claim), trusted=True)
        except PolicyError as error:
            self._take_back(claim)
            text = "The state Redis does not answer, and what is served on trust is used up."
            raise StateUnavailable(text, retry_after=1.0) from error
        self.trusted += 1
        self._table.note(hold, HELD)
        return hold

    def _take_back(self, claim: Claim) -> None:
        """Void a claim of which nobody knows whether Redis has granted it."""
        period = months_around(self._wall(), claim.tenant.limits.zone)[1]
        self._note(_hold(claim, Admitted(Spent(period, 0, 0), 0)), Settlement.VOIDED.value)

    def _note(self, hold: Hold, state: str) -> None:
        self._table.note(hold, state)
        self._told.set()

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
                    await self._told.wait()

    async def _tell_all(self) -> None:
        """Tell Redis all that it has not heard; at least, that the replica lives."""
        self._told.clear()
        while True:
            if self._table.lost_spent or self._table.lost_full_at:
                await self._rebuild()
            entries = self._table.next_untold(_BATCH)
            answer = await self._run(self._calls.settle(entries))
            if not self._table.books.gen or (entries and not answer):
                await self._rebuild()
                continue
            for entry, settled, held in zip(entries, answer[1::3], answer[2::3], strict=True):
                hold = entry.hold
                self._table.hear(hold.id, entry.state)
                self._table.learn(hold.tenant, Spent(hold.period, settled, held))
            if len(entries) < _BATCH:
                break
        self._trust.forget_spending()
        self._table.prune()

    async def _rebuild(self) -> None:
        """Open books where there are none, and write back what the replica knows of lost ones."""
        table = self._table
        full_at = dict(islice(table.lost_full_at.items(), _BATCH))
        spent = dict(islice(table.lost_spent.items(), _BATCH))
        await self._run(self._calls.rebuild(uuid.uuid4().hex, full_at, spent))
        for tenant in full_at:
            table.lost_full_at.pop(tenant, None)
        for name in spent:
            table.lost_spent.pop(name, None)
        _log.info("wrote to the books of a new generation", extra={"budgets": len(spent)})


def _hold(claim: Claim, answer: Admitted) -> Hold:
    return Hold(
        claim.id,
        claim.tenant.id,
        claim.operation,
        claim.cost_milli,
        claim.seconds,
        answer.spent.period,
    )
