"""A payment over keys that end their calls as told, and a ledger that notes what it hears."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.domain.answer import Answer
from gateway.domain.calls import Balance
from gateway.domain.credits import PLUS
from gateway.domain.edit import Edit, Operation
from gateway.domain.keys import NOTHING_SEEN, PoolAccount, PoolKey, Seen
from gateway.domain.limits import BucketState
from gateway.domain.retries import RetryBudget
from gateway.domain.tenant import Tenant
from gateway.flights import Boarding
from gateway.ports import Claim, Hold, Purchase, Settlement
from gateway.purchasing import Payment
from gateway.store.pool import Pool
from gateway.store.solo import SoloAdmission

__all__ = ["PICTURE", "PURCHASE", "Counter", "an_account"]

PICTURE = Answer(b"picture", "image/png")
PURCHASE = Purchase(Edit(Operation.EDIT), {}, sandbox=False, digest="d")
TENANT = Tenant("catalog")


def an_account(name: str, *keys: str, calls: int = 60) -> PoolAccount:
    """An account of keys that are named by themselves."""
    return PoolAccount(name, tuple(PoolKey(key, key, calls, 60_000) for key in keys), PLUS)


THREE = tuple(an_account(f"a{n}", f"k{n}") for n in (1, 2, 3))


@dataclass
class Counter:
    """Where calls are paid: Upstream, KeyCheck and Admission of one payment, over three keys, k1 to k3.

    `ends` has how the calls with each key end, one after the other; then with a picture. `dead` are keys
    that may not ask for their account. `tried` are the keys of the calls that were made, `waits` the
    pauses between them; `shown` what was told of each attempt that was not the last, `settled` what
    became of holds, with what the last one has shown. All give way where real ones do.
    """

    ends: dict[str, list[Exception]] = field(default_factory=dict)
    dead: frozenset[str] = frozenset()
    budget: RetryBudget = field(default_factory=RetryBudget)
    accounts: Iterable[PoolAccount] = THREE
    now: float = 1_000.0
    tried: list[str] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    shown: list[Seen] = field(default_factory=list)
    settled: list[tuple[str, Settlement, Seen]] = field(default_factory=list)
    calling: bool = False

    def __post_init__(self) -> None:
        self._left = defaultdict(list, {key: list(ends) for key, ends in self.ends.items()})
        self.pool = Pool(tuple(self.accounts))
        self._ledger = SoloAdmission(self.pool, wall=lambda: self.now)
        self.payment = Payment(self, self, self, self.budget, sleep=self.sleep, draw=lambda: 0.5)

    async def pay(self) -> Answer:
        """Be admitted and buy."""

        async def pass_gate(hold: Hold) -> None:
            del hold
            await asyncio.sleep(0)

        boarded = await self.payment.board(TENANT, PURCHASE, 60.0, Boarding(pass_gate))
        return await self.payment.buy(PURCHASE, boarded)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is held, and no key has a call."""
        books = self._ledger._books
        assert books.keys is not None
        return not any([*books.keys.open.values(), *(page.holds for page in books.pages.values())])

    async def buy(self, purchase: Purchase, key: str) -> Answer:
        del purchase
        self.calling = True
        self.tried.append(key)
        await asyncio.sleep(0)
        self.calling = False
        if self._left[key]:
            raise self._left[key].pop(0)
        return PICTURE

    async def is_forbidden(self, key: str) -> bool:
        self.checked.append(key)
        await asyncio.sleep(0)
        return key in self.dead

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    async def admit(self, claim: Claim) -> Hold:
        await asyncio.sleep(0)
        return await self._ledger.admit(claim)

    async def again(self, claim: Claim, hold: Hold, seen: Seen, tried: frozenset[str]) -> Hold:
        self.shown.append(seen)
        await asyncio.sleep(0)
        return await self._ledger.again(claim, hold, seen, tried)

    def sent(self, hold: Hold) -> None:
        self._ledger.sent(hold)

    def settle(self, hold: Hold, settlement: Settlement, seen: Seen = NOTHING_SEEN) -> None:
        self.settled.append((hold.key.key, settlement, seen))
        self._ledger.settle(hold, settlement, seen)

    def state(self, tenant: Tenant) -> BucketState | None:
        return self._ledger.state(tenant)

    async def balance(self, tenant: Tenant) -> Balance | None:
        return await self._ledger.balance(tenant)
