"""A pipeline over ports that note each step in one journal, and give way at each as real ones do."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from gateway.domain.answer import AccountState, Answer
from gateway.domain.caching import CacheMode, Lives
from gateway.domain.calls import Balance, Call, Record
from gateway.domain.edit import Edit, ImageRef, ImageSlot, Operation
from gateway.domain.errors import GatewayError, Unauthenticated, Violation
from gateway.domain.keys import NOTHING_SEEN, Seen
from gateway.domain.limits import BucketState
from gateway.domain.periods import Period
from gateway.domain.retries import RetryBudget
from gateway.domain.tenant import Caller, Tenant
from gateway.flights import Flights
from gateway.pipeline import Pipeline
from gateway.ports import (
    CachedAnswer,
    CacheKey,
    Claim,
    Draft,
    Hold,
    Joined,
    Lead,
    Purchase,
    Replay,
    Settlement,
)
from gateway.purchasing import CallTimes, Payment, Purchasing
from tests.support.pictures import png

__all__ = ["ANSWER", "PICTURE", "Steps", "a_call", "an_edit"]

PICTURE = png()
ANSWER = Answer(PICTURE, "image/png")
_KEY = "the key"


@dataclass(slots=True)
class Steps:
    """The ports of one pipeline. `journal` has the name of each step in the order of their beginnings.

    `trouble` is raised by the step of that name. `leading` are the flights that the board takes for led;
    `sold` counts what the upstream has sold, `holds` has what the ledger holds, `settled` what became
    of the rest.
    """

    journal: list[str] = field(default_factory=list)
    trouble: dict[str, Exception] = field(default_factory=dict)
    stored: dict[CacheKey, CachedAnswer] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    replays: dict[str, Replay] = field(default_factory=dict)
    leading: set[str] = field(default_factory=set)
    holds: dict[str, Hold] = field(default_factory=dict)
    settled: list[Settlement] = field(default_factory=list)
    sold: int = 0
    flights: Flights = field(init=False)
    pipeline: Pipeline = field(init=False)

    def __post_init__(self) -> None:
        self.flights = Flights(self, patience=0.0)
        ledger = _Ledger(self)
        self.pipeline = Pipeline(
            authenticator=self,
            gate=_Gate(self),
            admission=ledger,
            accounts=self,
            epochs=self,
            blobs=self,
            purchasing=Purchasing(
                payment=Payment(
                    ledger, self, self, RetryBudget(), sleep=_no_time, draw=lambda: 0.5
                ),
                results=self,
                blobs=self,
                replays=_Book(self),
                lives=Lives(3600.0, 3600.0, 600.0, 300.0),
                times=CallTimes(60.0, 180.0),
                clock=lambda: 1000.0,
            ),
            flights=self.flights,
        )

    async def step(self, name: str) -> None:
        """Note a step, give way, and fail if trouble is planned."""
        self.journal.append(name)
        await asyncio.sleep(0)
        if name in self.trouble:
            raise self.trouble[name]

    async def authenticate(self, credential: str | None) -> Caller:
        await self.step("authenticate")
        if credential != _KEY:
            raise Unauthenticated("The key is not known.")
        return Caller(Tenant("catalog"), sandbox=False)

    async def account(self, tenant: Tenant) -> AccountState:
        del tenant
        await self.step("account")
        return AccountState(1000, 2000, "plus")

    async def epoch(self, scope: str, operation: Operation, digest: str) -> int:
        del scope, operation, digest
        await self.step("epoch")
        return 0

    async def find(self, key: CacheKey) -> CachedAnswer | None:
        await self.step("find")
        return self.stored.get(key)

    async def store(self, key: CacheKey, answer: Answer, *, cost_milli: int, ttl: float) -> bool:
        await self.step("store")
        sha256 = ImageRef.of(answer.body).sha256
        self.stored[key] = CachedAnswer(answer, cost_milli, 0.0, ttl, "redis", sha256)
        return True

    async def read_blob(self, scope: str, sha256: str) -> bytes | None:
        del scope
        await self.step("read_blob")
        return self.blobs.get(sha256)

    async def write_blob(self, scope: str, data: bytes, *, ttl: float) -> bool:
        del scope, ttl
        await self.step("write_blob")
        self.blobs[ImageRef.of(data).sha256] = data
        return True

    async def join(
        self,
        flight: str,
        *,
        timeout: float,  # noqa: ASYNC109 - the port's
        seen: int,
        token: str,
    ) -> Joined:
        del timeout, seen
        await self.step("join")
        self.leading.add(flight)
        return Lead(flight, epoch=1, token=token)

    async def sent(self, lead: Lead, hold: Hold | None = None) -> bool:
        del lead, hold
        await self.step("sent")
        return True

    async def complete(self, lead: Lead, outcome: str, message: str = "") -> None:
        del message
        await self.step(f"complete {outcome}")
        self.leading.discard(lead.flight)

    async def release(self, lead: Lead) -> None:
        await self.step("release")
        self.leading.discard(lead.flight)

    async def woken(self, flight: str, wait: float) -> None:
        del flight, wait
        await self.step("woken")

    async def is_forbidden(self, key: str) -> bool:
        await self.step(f"check {key}")
        return False

    async def buy(self, purchase: Purchase, key: str) -> Answer:
        del purchase, key
        await self.step("buy")
        self.sold += 1
        await asyncio.sleep(0)
        return ANSWER


async def _no_time(seconds: float) -> None:
    """Wait for nothing."""
    del seconds
    await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class _Gate:
    """The journal's part as the gate of requests."""

    steps: Steps

    async def enter(self, tenant: Tenant) -> None:
        del tenant
        await self.steps.step("enter")

    def state(self, tenant: Tenant) -> BucketState | None:
        return None if tenant.limits.requests is None else BucketState(10, 60.0, 9, 6.0)


@dataclass(frozen=True, slots=True)
class _Ledger:
    """The journal's part as the ledger."""

    steps: Steps

    async def admit(self, claim: Claim) -> Hold:
        await self.steps.step("admit")
        what = (claim.id, claim.tenant.id, claim.operation, claim.cost_milli, claim.seconds)
        hold = self.steps.holds[claim.id] = Hold(*what, Period(0, 1))
        return hold

    def sent(self, hold: Hold) -> None:
        assert hold.id in self.steps.holds

    async def again(self, claim: Claim, hold: Hold, seen: Seen, tried: frozenset[str]) -> Hold:
        del claim, seen, tried
        await self.steps.step("again")
        return replace(hold, attempt=hold.attempt + 1)

    def settle(self, hold: Hold, settlement: Settlement, seen: Seen = NOTHING_SEEN) -> None:
        del seen
        del self.steps.holds[hold.id]
        self.steps.settled.append(settlement)
        self.steps.journal.append(f"settle {settlement}")

    def state(self, tenant: Tenant) -> BucketState | None:
        del tenant
        return None

    async def balance(self, tenant: Tenant) -> Balance | None:
        budget = tenant.limits.budget_milli
        return None if budget is None else Balance(budget, 0, 1.0)


@dataclass(frozen=True, slots=True)
class _Book:
    """The journal's part as a book of replays."""

    steps: Steps

    async def open(self, slot: str, request: str) -> Replay | None:
        del request
        await self.steps.step("open")
        return self.steps.replays.get(slot)

    async def close(self, slot: str, request: str, replay: Replay) -> None:
        del request
        await self.steps.step("close")
        self.steps.replays.setdefault(slot, replay)


def a_call(key: str | None = _KEY) -> Call:
    """A call as a door makes it."""
    return Call(key, "v2/edit", "rest", "id-1", Record())


@dataclass(frozen=True, slots=True)
class an_edit:  # noqa: N801 - reads as a value: `steps.pipeline.edit(a_call(), an_edit(steps))`
    """The door's own step: a background removal of `picture`, or of a kept one of that content."""

    steps: Steps
    picture: bytes = PICTURE
    kept: ImageRef | None = None
    mode: CacheMode = CacheMode.DEFAULT
    idempotency_key: str | None = None
    violations: tuple[Violation, ...] = ()
    trouble: GatewayError | None = None

    async def __call__(self, tenant: Tenant) -> Draft:
        del tenant
        await self.steps.step("read")
        if self.trouble is not None:
            raise self.trouble
        ref = self.kept or ImageRef.of(self.picture)
        pictures = {} if self.kept else {ref: self.picture}
        edit = Edit(Operation.EDIT, images=(ImageSlot("imageFile", ref),))
        return Draft(
            edit,
            pictures,
            self.violations,
            mode=self.mode,
            idempotency_key=self.idempotency_key,
        )
