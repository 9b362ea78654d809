"""Pays for one upstream call: credits are held before it and settled after it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final

from gateway.domain.answer import Answer
from gateway.domain.credits import CREDITS
from gateway.domain.errors import Ending, GatewayError, StateUnavailable
from gateway.domain.tenant import Tenant
from gateway.flights import Boarding
from gateway.ports import Admission, Claim, Hold, HoldLost, Purchase, Settlement, Upstream

__all__ = ["Payment"]

_SETTLED: Final = {
    Ending.NOT_SPENT: Settlement.VOIDED,
    Ending.DROPPED: Settlement.VOIDED,
    Ending.SPENT: Settlement.POSTED,
    Ending.UNKNOWN: Settlement.PRESUMED,
}
"""What becomes of a hold by how its attempt ended."""

_TRIES: Final = 2
"""Holds that are asked for: one may lapse before its call is sent, when this replica or Redis stalls."""


@dataclass(frozen=True, slots=True)
class Payment:
    """Asks the ledger, and buys."""

    admission: Admission
    upstream: Upstream

    async def board(
        self, tenant: Tenant, purchase: Purchase, seconds: float, boarding: Boarding
    ) -> Hold:
        """Be admitted, and mark flight and hold as sent; `seconds` is how long the call may take.

        Raises what the ledger refuses with, and what `boarding.sent` does: then nothing is held.
        """
        operation = purchase.edit.operation
        cost = CREDITS.of(operation, sandbox=purchase.sandbox)
        for _ in range(_TRIES):
            claim = Claim(uuid.uuid4().hex, tenant, operation, cost, seconds)
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
                return hold
        raise StateUnavailable("The credits for the call could not be held.", retry_after=1.0)

    async def buy(self, purchase: Purchase, hold: Hold) -> Answer:
        """Buy, and settle the hold, however it ends. Raises as `Upstream.buy` does."""
        settlement = Settlement.PRESUMED
        try:
            answer = await self.upstream.buy(purchase)
            settlement = Settlement.POSTED
        except GatewayError as error:
            settlement = _SETTLED[error.ending]
            raise
        finally:
            self.admission.settle(hold, settlement)
        return answer
