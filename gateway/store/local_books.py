"""Admission by this process alone: the same arithmetic as the scripts', over dictionaries."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.domain.keys import NO_KEY, NOTHING_SEEN, KeyGrant, Seen
from gateway.domain.periods import Period, months_around
from gateway.domain.tenant import Tenant
from gateway.ports import Claim, Hold, Settlement
from gateway.store.local_keys import LocalKeys
from gateway.store.refusals import refusal

__all__ = ["LocalBooks", "Page"]


@dataclass(slots=True)
class Page:
    """One tenant's: its edit rate, its open holds, and what it has spent by period."""

    full_at: int = 0
    holds: dict[str, Hold] = field(default_factory=dict)
    spent: dict[int, int] = field(default_factory=dict)

    def spent_in(self, period: Period) -> int:
        """What is spent or held in a period, in thousandths of a credit."""
        held = sum(h.cost_milli for h in self.holds.values() if h.period == period)
        return self.spent.get(period.start, 0) + held


@dataclass(slots=True)
class LocalBooks:
    """Grants and settles claims. `wall` tells seconds since the epoch.

    It grants the part `share()` of every limit, for others beside it grant the rest. `budget_of` tells
    a tenant's budget in thousandths of a credit, None for none, of which it also grants its share.
    """

    wall: Callable[[], float]
    budget_of: Callable[[Tenant], int | None]
    share: Callable[[], float] = lambda: 1.0
    keys: LocalKeys | None = None
    pages: dict[str, Page] = field(default_factory=dict)

    def admit(self, claim: Claim) -> Hold:
        """Grant a claim, the same one again too. Raises PolicyError."""
        tenant, limits, share = claim.tenant, claim.tenant.limits, self.share()
        page = self.pages.setdefault(tenant.id, Page())
        if claim.id in page.holds:
            return page.holds[claim.id]
        now = self.wall()
        period = months_around(now, limits.zone)[1]
        budget = self.budget_of(tenant)
        left = math.inf if budget is None else budget * share - page.spent_in(period)
        if claim.cost_milli and claim.cost_milli > left:
            raise refusal(tenant, "monthly_images", period.end / 1000 - now)
        full_at = page.full_at
        if limits.edits is not None:
            rate = limits.edits if share == 1 else limits.edits.share(share)
            taken = rate.take(full_at, int(now * 1e6))
            if taken.wait_us:
                page.full_at = taken.full_at
                raise refusal(tenant, "edits", taken.wait_us / 1e6)
            full_at = taken.full_at
        places = math.inf if limits.in_flight is None else math.floor(limits.in_flight * share)
        if len(page.holds) >= max(1, places):
            raise refusal(tenant, "max_in_flight", 0.0)
        grant = NO_KEY
        if self.keys is not None:
            grant = self.keys.choose(claim.id, tenant, claim.operation, claim.traits)
        page.full_at = full_at
        hold = page.holds[claim.id] = claim.granted(period, grant)
        return hold

    def another_key(self, claim: Claim, hold: Hold, seen: Seen, tried: frozenset[str]) -> KeyGrant:
        """Return another key for a hold. Raises UpstreamUnavailable."""
        if self.keys is None:
            return NO_KEY
        self.keys.judge(hold, seen)
        return self.keys.choose(hold.id, claim.tenant, hold.operation, hold.traits, tried)

    def settle(self, hold: Hold, settlement: Settlement, seen: Seen = NOTHING_SEEN) -> None:
        """Resolve a hold; one that is not open here is another's."""
        if self.keys is not None:
            self.keys.judge(hold, seen)
        page = self.pages.get(hold.tenant)
        if page is None or page.holds.pop(hold.id, None) is None:
            return
        if settlement is not Settlement.VOIDED:
            start = hold.period.start
            page.spent[start] = page.spent.get(start, 0) + hold.cost_milli

    def forget_spending(self) -> None:
        """Begin anew: what was spent has been told to where it counts."""
        for page in self.pages.values():
            page.spent.clear()
