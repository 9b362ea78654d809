"""Pays for one upstream call: credits and a key are held before it, and settled after it."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gateway.domain.answer import Answer
from gateway.domain.credits import CREDITS
from gateway.domain.errors import (
    Ending,
    GatewayError,
    KeyExhausted,
    KeyForbidden,
    KeyRejected,
    KeyThrottled,
    KeyTrouble,
    OutcomeUnknown,
    StateUnavailable,
    UpstreamFailed,
    UpstreamUnavailable,
    UpstreamUnreachable,
)
from gateway.domain.keys import NOTHING_SEEN, Seen, Verdict
from gateway.domain.retries import RetryBudget, wait_before
from gateway.domain.tenant import Tenant
from gateway.flights import Boarding
from gateway.ports import (
    Admission,
    CallTraits,
    Claim,
    Hold,
    HoldLost,
    KeyCheck,
    Purchase,
    Settlement,
    Upstream,
)

__all__ = ["Boarded", "Payment"]

_SETTLED: Final = {
    Ending.NOT_SPENT: Settlement.VOIDED,
    Ending.DROPPED: Settlement.VOIDED,
    Ending.SPENT: Settlement.POSTED,
    Ending.UNKNOWN: Settlement.PRESUMED,
}
"""What becomes of a hold by how its last attempt ended."""

_SHOWN: Final[dict[type[GatewayError], Verdict]] = {
    KeyRejected: Verdict.REJECTED,
    KeyExhausted: Verdict.EXHAUSTED,
    KeyThrottled: Verdict.THROTTLED,
    UpstreamFailed: Verdict.FAILED,
    OutcomeUnknown: Verdict.FAILED,
}
"""What an error shows of the key, its account or the endpoint."""

_TRIES: Final = 2
"""Holds that are asked for: one may lapse before its call is sent, when this replica or Redis stalls."""

_MOST_FORBIDDEN: Final = 2
"""Keys that one call may be forbidden: a third would hardly be allowed what two are not."""

_MARGIN: Final = 1.0
"""Seconds added to a throttled key's wait: the upstream says whole seconds and cuts off the rest."""


class Boarded(NamedTuple):
    """A claim, and the hold that it was granted: the call may be sent."""

    claim: Claim
    hold: Hold


@dataclass(slots=True)
class _Course:
    """How the attempts of one purchase went: what was not charged may be tried again."""

    budget: RetryBudget
    draw: Callable[[], float]
    attempts: int = 1
    tried: set[str] = field(default_factory=set)
    suspects: list[str] = field(default_factory=list)

    def served(self) -> Seen:
        """What a success shows: whoever was forbidden the same call may not do it."""
        return Seen(Verdict.SERVED, masks=tuple(self.suspects))

    def suspect(self, key: str) -> Seen:
        """What a 403 shows of a key that is known: nothing yet; the second one, that it is the edit's."""
        self.suspects.append(key)
        return Seen(Verdict.REFUSED) if self._is_refused else NOTHING_SEEN

    @property
    def _is_refused(self) -> bool:
        return len(self.suspects) >= _MOST_FORBIDDEN

    def wait_after(self, error: GatewayError, key: str) -> float | None:
        """Seconds to wait before the next attempt; None: there is none.

        Another key is asked at once. What was not sent, or drew a 500, is tried again with full jitter,
        as the budget of the process allows.
        """
        if isinstance(error, KeyTrouble):
            is_chosen = key not in self.tried  # else there is no other, and nobody to choose it
            self.tried.add(key)
            return 0.0 if is_chosen and not self._is_refused else None
        if not isinstance(error, UpstreamUnreachable | UpstreamFailed):
            return None
        self.attempts += 1
        wait = wait_before(self.attempts, self.draw(), error.retry_after)
        return wait if wait is not None and self.budget.spend() else None


@dataclass(frozen=True, slots=True)
class Payment:
    """Asks the ledger, and buys. `draw` gives shares of the longest wait, evenly from [0, 1)."""

    admission: Admission
    upstream: Upstream
    check: KeyCheck
    budget: RetryBudget
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    draw: Callable[[], float] = random.random

    async def board(
        self, tenant: Tenant, purchase: Purchase, seconds: float, boarding: Boarding
    ) -> Boarded:
        """Be admitted, and mark flight and hold as sent; `seconds` is how long the call may take.

        Raises what the ledger refuses with, and what `boarding.sent` does: then nothing is held.
        """
        edit = purchase.edit
        cost = CREDITS.of(edit.operation, sandbox=purchase.sandbox)
        traits = CallTraits(purchase.sandbox, purchase.digest, edit.template)
        for _ in range(_TRIES):
            claim = Claim(uuid.uuid4().hex, tenant, edit.operation, cost, seconds, traits)
            hold = await self.admission.admit(claim)
            try:
                await boarding.sent(hold)
            except HoldLost:
                self.admission.settle(hold, Settlement.VOIDED)
            except BaseException:
                self.admission.settle(hold, Settlement.VOIDED)
                raise
            else:
                self.admission.sent(hold)
                return Boarded(claim, hold)
        raise StateUnavailable("The credits for the call could not be held.", retry_after=1.0)

    async def buy(self, purchase: Purchase, boarded: Boarded) -> Answer:
        """Buy, with another key or another attempt where one was not charged; settle, however it ends.

        Raises as `Upstream.buy` does, but for KeyTrouble; UpstreamUnavailable when no key can serve.
        """
        claim, hold = boarded
        course = _Course(self.budget, self.draw)
        self.budget.earn()
        settlement, seen = Settlement.PRESUMED, NOTHING_SEEN
        try:
            while True:
                try:
                    answer = await self.upstream.buy(purchase, hold.key.key)
                except GatewayError as error:
                    settlement = _SETTLED[error.ending]
                    seen = await self._seen(error, hold, course)
                    hold = await self._again(Boarded(claim, hold), error, seen, course)
                    settlement, seen = Settlement.PRESUMED, NOTHING_SEEN
                else:
                    settlement, seen = Settlement.POSTED, course.served()
                    return answer
        finally:
            self.admission.settle(hold, settlement, seen)

    async def _again(
        self, boarded: Boarded, error: GatewayError, seen: Seen, course: _Course
    ) -> Hold:
        """Return the hold for another attempt. Raises what the caller is told where there is none."""
        claim, hold = boarded
        wait = course.wait_after(error, hold.key.key)
        if wait is None:
            raise _public(error) from None
        await self.sleep(wait)
        try:
            return await self.admission.again(claim, hold, seen, frozenset(course.tried))
        except GatewayError as refusal:
            # What the upstream has said of the call itself says more than why it is not asked again.
            raise (refusal if isinstance(error, KeyTrouble) else error) from None

    async def _seen(self, error: GatewayError, hold: Hold, course: _Course) -> Seen:
        if isinstance(error, KeyForbidden):
            key = hold.key.key
            dead = await self.check.is_forbidden(key)
            return Seen(Verdict.FORBIDDEN) if dead else course.suspect(key)
        return Seen(_SHOWN.get(type(error), Verdict.NOTHING), (error.retry_after or 0.0) + _MARGIN)


def _public(error: GatewayError) -> GatewayError:
    """Return what a caller may see: it is not told of the trouble of keys."""
    if isinstance(error, KeyTrouble):
        return UpstreamUnavailable("No upstream key may serve this call.")
    return error
