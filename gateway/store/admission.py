"""Admission over the ledger in Redis.

One script decides whether a paid call may go. What becomes of its hold is noted in the replica's own
table and told to Redis from there, so that no caller waits for it and nothing is lost on the way. While
Redis is away, the replica grants by itself: its share of every limit, within an allowance.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final, Self

from gateway.domain.calls import Balance
from gateway.domain.errors import PolicyError, StateUnavailable, UpstreamUnavailable
from gateway.domain.keys import NOTHING_SEEN, Seen
from gateway.domain.limits import BucketState, trusted_share
from gateway.domain.periods import months_around
from gateway.domain.tenant import Tenant
from gateway.ports import Claim, Hold, Settlement
from gateway.store.books import News
from gateway.store.hold_table import HELD, SENT, HoldTable
from gateway.store.keyspace import BUDGET_FIELDS, budget_key
from gateway.store.ledger_calls import (
    Admitted,
    Answer,
    Attempt,
    Closed,
    LedgerCalls,
    LedgerScripts,
    NoKey,
    Over,
    Refused,
    Trouble,
    read_admitted,
)
from gateway.store.link import Link, RedisRefused, RedisTrouble
from gateway.store.local_books import LocalBooks
from gateway.store.local_keys import LocalKeys
from gateway.store.pool import Pool
from gateway.store.refusals import check_cost, cooling, no_key, refusal
from gateway.store.teller import Heard, Teller

__all__ = ["WINDOW", "RedisAdmission"]

WINDOW: Final = 0.75
"""Seconds that replicas have to write back what they know into new books: three of their beats."""

_PATIENCE: Final = 1.0
"""Seconds for which a Redis that does not answer is asked again."""

_PAUSE: Final = 0.1
_LONGEST_WAIT: Final = 5.0
"""Seconds that a claim waits for books that are being rebuilt."""

_FRESH: Final = 1.0
"""Seconds for which a budget that was read is told again."""

_FIRST: Final = Attempt(1)


class RedisAdmission:
    """Admission; `async with admission.running()` is when it tells Redis what became of holds.

    `replica` is this process's own name, `table` the one that the board of flights shares, `pool` has
    the upstream keys (none: nobody chooses), `replicas` tells how many of them lived when that was last
    known. Books that had to be opened anew admit after `window` seconds: nobody else has to write into
    those of a server that is this replica's own. `wall` tells seconds since the epoch.
    """

    def __init__(
        self,
        link: Link,
        replica: str,
        table: HoldTable,
        *,
        replicas: Callable[[], int],
        pool: Pool | None = None,
        window: float = WINDOW,
        scripts: LedgerScripts | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._link = link
        self._table = table
        self._pool = pool = pool or Pool()
        self._wall = wall
        self._calls = LedgerCalls(replica, scripts or LedgerScripts.load(), window, table.books)

        def share() -> float:
            return trusted_share(replicas())

        self._trust = LocalBooks(wall, self._allowance, share, LocalKeys(pool, wall, share))
        self._teller = Teller(
            link, table, self._calls, all_told=self._trust.forget_spending, wall=wall
        )
        self._balances: dict[str, tuple[float, Balance]] = {}
        self.trusted = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Tell until the end of the context, and what is left then. Redis need not be there yet."""
        async with self._teller.running():
            yield self

    @property
    def untold(self) -> int:
        """How many holds Redis has not heard of as they are now."""
        return len(self._table.untold)

    @property
    def losses(self) -> int:
        """How often since the start Redis was found to have lost something."""
        return self._table.losses

    async def admit(self, claim: Claim) -> Hold:
        check_cost(claim)
        try:
            answer = await self._ask(claim, _FIRST)
        except RedisTrouble:
            return self._grant_on_trust(claim)
        except asyncio.CancelledError:
            self._take_back(claim)
            raise
        if isinstance(answer, Refused):
            raise refusal(claim.tenant, answer.limit, answer.wait)
        if isinstance(answer, Closed | Over):
            self._take_back(claim)
        admitted = _granted(answer)
        hold = claim.granted(admitted.spent.period, admitted.key)
        self._table.note(hold, HELD, heard=HELD)
        return hold

    async def again(self, claim: Claim, hold: Hold, seen: Seen, tried: frozenset[str]) -> Hold:
        attempt = Attempt(hold.attempt + 1, seen, tried)
        try:
            grant = _granted(await self._ask(claim, attempt)).key
        except RedisTrouble:
            grant = self._trust.another_key(claim, hold, seen, tried)
        hold = replace(hold, key=grant, attempt=attempt.number)
        self._table.regrant(hold)
        return hold

    def sent(self, hold: Hold) -> None:
        self._note(hold, SENT)

    def settle(self, hold: Hold, settlement: Settlement, seen: Seen = NOTHING_SEEN) -> None:
        self._trust.settle(hold, settlement, seen)
        self._note(hold, settlement.value, seen)

    def state(self, tenant: Tenant) -> BucketState | None:
        rate = tenant.limits.edits
        if rate is None:
            return None
        return rate.state(self._table.full_at.get(tenant.id, 0), self._teller.now_us())

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
            return None

    async def _read_balance(self, tenant: Tenant, budget: int) -> Balance:
        period = months_around(self._teller.now_us() / 1e6, tenant.limits.zone)[1]
        name = budget_key(tenant.id, period.start)
        [parts] = await self._link.exchange(("HMGET", name, *BUDGET_FIELDS))
        return self._keep_balance(
            tenant, Balance(budget, sum(int(part or 0) for part in parts), period.end / 1000)
        )

    def _keep_balance(self, tenant: Tenant, balance: Balance) -> Balance:
        self._balances[tenant.id] = (self._table.clock(), balance)
        return balance

    async def _ask(self, claim: Claim, attempt: Attempt) -> Answer:
        """Ask until the books are open and Redis has answered. Raises RedisTrouble."""
        clock, started = self._table.clock, self._table.clock()
        while True:
            try:
                keys = self._pool.candidates(claim.tenant, claim.operation)
                call = self._calls.admit(claim, attempt, keys, self._wall())
                heard = await self._teller.run(call)
                answer = read_admitted(heard.words)
                if isinstance(answer, Admitted | Refused):
                    self._learn(claim.tenant, answer, heard)
                if not isinstance(answer, Closed) or clock() - started > _LONGEST_WAIT:
                    return answer
                pause = answer.wait
                if pause is None:
                    await self._teller.rebuild()
            except RedisTrouble as trouble:
                waited = clock() - started + _PAUSE
                if self._is_away(trouble):
                    if waited > _PATIENCE:
                        raise
                elif waited > _LONGEST_WAIT:
                    return Closed(None)
                pause = _PAUSE
            await asyncio.sleep(pause or 0.0)

    def _is_away(self, trouble: RedisTrouble) -> bool:
        """Whether it is Redis that does not serve, not this replica that is too slow to hear it.

        A replica with more calls than it can carry loses answers. What it granted on trust then would
        come on top of what Redis goes on granting.
        """
        return isinstance(trouble, RedisRefused) or self._link.circuit.is_confirmed

    def _learn(self, tenant: Tenant, answer: Admitted | Refused, heard: Heard) -> None:
        if heard.news is News.STALE:
            return
        self._table.learn(tenant.id, answer.spent, heard.at)
        self._table.learn_rate(tenant.id, answer.full_at, heard.at)
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
        except UpstreamUnavailable:
            self._take_back(claim)
            raise
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
        self._note(claim.granted(period), Settlement.VOIDED.value)

    def _note(self, hold: Hold, state: str, seen: Seen = NOTHING_SEEN) -> None:
        self._table.note(hold, state, seen=seen)
        if self._table.untold:
            self._teller.wake()


def _granted(answer: Answer) -> Admitted:
    """Return an answer that grants; raise what any other says of the upstream, or of the ledger."""
    match answer:
        case Admitted():
            return answer
        case NoKey():
            raise no_key(answer.wait)
        case Trouble():
            raise cooling(answer.wait)
    raise StateUnavailable("The ledger does not admit now.", retry_after=1.0)
