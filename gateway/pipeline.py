"""The way of a request. This is the only module that knows the order of the steps.

    authenticate -> request rate -> decode -> check -> digest -> replay? cache? hit: answer
      -> complete the pictures -> flight: cache again -> admit -> mark sent -> buy -> settle -> store

No step calls the next; those of the flight are in `purchasing`. Whatever fails raises one error of
`domain/errors`; nothing is spent before the flight is marked as sent.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

from gateway.domain.answer import AccountState
from gateway.domain.caching import CacheMode, is_read
from gateway.domain.calls import Call, Delivery, Plan
from gateway.domain.credits import CREDITS, milli_text
from gateway.domain.digest import edit_digest
from gateway.domain.edit import Edit, ImageRef
from gateway.domain.errors import (
    BlobMissing,
    DeadlineExceeded,
    GatewayError,
    InvalidRequest,
    NotCached,
    NotKept,
    RequestCost,
    StateUnavailable,
    UpstreamRefused,
    Violation,
)
from gateway.domain.examine import examine
from gateway.domain.tenant import Caller, Tenant
from gateway.domain.violations import Code
from gateway.flights import Flights
from gateway.ports import (
    AccountSource,
    Admission,
    Authenticator,
    BlobStore,
    CacheKey,
    Draft,
    EpochSource,
    Pictures,
    RequestGate,
)
from gateway.purchasing import BLOB_LIFE, Goods, Order, Purchasing

__all__ = ["Editor", "Pipeline", "ReadDraft", "ReadUpload"]

ReadDraft: TypeAlias = Callable[[Tenant], Awaitable[Draft]]
"""A door's own step: reads the request's body, once it is known whose it is."""

ReadUpload: TypeAlias = Callable[[], Awaitable[bytes]]
"""A door's own step: reads an uploaded picture, once it is known whose it is."""


_PLAN = "plus"
"""The plan that a tenant's budget is shown as: its credits are what images are on that plan."""

_PATIENCE = 30.0
"""Seconds that a caller who names no deadline waits beyond two upstream time-outs."""


class Editor(Protocol):
    """What the doors call: the pipeline, and whatever wraps it.

    Every method raises GatewayError; anything else is a mistake of ours.
    """

    async def edit(self, call: Call, read: ReadDraft) -> Delivery:
        """Serve one edit or background removal."""
        ...

    async def plan(self, call: Call, read: ReadDraft) -> Plan:
        """Say what a call would do, and spend nothing."""
        ...

    async def account(self, call: Call) -> AccountState:
        """Return the state of the upstream account."""
        ...

    async def upload(self, call: Call, read: ReadUpload) -> ImageRef:
        """Keep a picture under its content."""
        ...

    async def download(self, call: Call, sha256: str) -> bytes:
        """Return a kept picture."""
        ...


@dataclass(frozen=True, slots=True)
class Pipeline:
    """All that a door can ask for."""

    authenticator: Authenticator
    gate: RequestGate
    admission: Admission
    accounts: AccountSource
    epochs: EpochSource
    blobs: BlobStore
    purchasing: Purchasing
    flights: Flights

    async def edit(self, call: Call, read: ReadDraft) -> Delivery:
        """Serve one edit or background removal. Raises GatewayError."""
        async with self._entered(call) as caller:
            return await self._edit(call, caller, read)

    async def _edit(self, call: Call, caller: Caller, read: ReadDraft) -> Delivery:
        draft = await read(caller.tenant)
        violations, warnings = examine(draft.edit, draft.pictures, draft.violations)
        if violations:
            raise InvalidRequest(violations)
        order = await self._order(call, caller, draft)
        goods = await self._within(call, order)
        return Delivery(
            answer=goods.answer,
            body=goods.body,
            digest=order.key.digest,
            cost_milli=goods.cost_milli,
            warnings=warnings,
            ignored=draft.ignored,
            cache=goods.cache,
            kept=goods.kept,
        )

    async def _obtain(self, order: Order) -> Goods:
        """Replay, else read from the cache, else fly."""
        draft = order.draft
        replayed = await self.purchasing.replay(order)
        if replayed is not None:
            return replayed
        stored = None
        if is_read(draft.edit, draft.mode):
            stored = await self.purchasing.find(order.key)
        if stored is None:
            if draft.mode is CacheMode.ONLY_IF_CACHED:
                raise NotCached("No stored result answers this call, and nothing else was wanted.")
            trip = self.purchasing.trip(order, await self._complete(order))
            try:
                goods, took_off = await self.flights.fly(order.flight, trip)
            except GatewayError as error:
                # The leader noted it under its own key; who flew along may have another one.
                await self.purchasing.note_failure(order, error)
                raise
            if took_off and not goods.cache.tier:
                return goods  # bought, and noted, by this call
            stored = goods.shared()
        await self.purchasing.note(order, stored)
        return stored

    async def _within(self, call: Call, order: Order) -> Goods:
        """Obtain the goods while the caller waits; paid work goes on in its flight without it."""
        seconds = call.seconds
        if seconds is None:
            seconds = 2 * self.purchasing.timeout_of(order.draft.edit) + _PATIENCE
        try:
            async with asyncio.timeout(seconds):
                return await self.purchasing.hand_over(order, await self._obtain(order))
        except TimeoutError:
            raise DeadlineExceeded("The deadline has passed; paid work goes on.") from None

    async def plan(self, call: Call, read: ReadDraft) -> Plan:
        """Say what a call would do and cost, and spend nothing. Raises GatewayError."""
        async with self._entered(call) as caller:
            plan = await self._plan(call, caller, read)
        return replace(plan, balance=call.record.balance)

    async def _plan(self, call: Call, caller: Caller, read: ReadDraft) -> Plan:
        draft = await read(caller.tenant)
        violations, warnings = examine(draft.edit, draft.pictures, draft.violations)
        unseeded = draft.edit.unseeded
        if violations:
            return Plan(violations, warnings, "", 0, unseeded, hit=False)
        key = (await self._order(call, caller, draft)).key
        try:
            hit = is_read(draft.edit, draft.mode) and await self.purchasing.find(key) is not None
        except UpstreamRefused as refusal:  # a stored one: the call itself would draw it too
            found = Violation(_main_field(draft.edit), refusal.reason, refusal.message)
            return Plan((found,), warnings, "", 0, unseeded, hit=True)
        free = hit or draft.mode is CacheMode.ONLY_IF_CACHED
        cost = 0 if free else CREDITS.of(draft.edit.operation, sandbox=caller.sandbox)
        most = caller.tenant.limits.cost_milli
        if most is not None and cost > most:
            text = f"costs {milli_text(cost)} credits, and one call may cost {milli_text(most)}"
            violations = (Violation(_main_field(draft.edit), RequestCost.reason, text),)
        return Plan(violations, warnings, key.digest, cost, unseeded, hit)

    async def account(self, call: Call) -> AccountState:
        """Return the tenant's own budget as an account; without one, the upstream account's state.

        Raises GatewayError.
        """
        async with self._entered(call) as caller:
            if caller.tenant.limits.budget_milli is None:
                return await self.accounts.account(caller.tenant)
            balance = await self.admission.balance(caller.tenant)
        if balance is None:
            raise StateUnavailable("The budget cannot be read now.", retry_after=1.0)
        return AccountState(balance.left_milli, balance.budget_milli, _PLAN)

    async def upload(self, call: Call, read: ReadUpload) -> ImageRef:
        """Keep a picture under its content for a day at least. Raises GatewayError."""
        async with self._entered(call) as caller:
            data = await read()
            if not await self.blobs.write_blob(caller.tenant.scope, data, ttl=BLOB_LIFE):
                raise NotKept("The picture could not be kept.", retry_after=1.0)
            return ImageRef.of(data)

    async def download(self, call: Call, sha256: str) -> bytes:
        """Return a kept picture of the caller's scope. Raises GatewayError."""
        async with self._entered(call) as caller:
            data = await self.blobs.read_blob(caller.tenant.scope, sha256)
            if data is None:
                raise BlobMissing([_not_found("sha256")])
            return data

    @asynccontextmanager
    async def _entered(self, call: Call) -> AsyncIterator[Caller]:
        """Let a caller in, and note at the end what is left of its limits."""
        caller = await self.authenticator.authenticate(call.credential)
        call.record.tenant = caller.tenant.id
        try:
            await self.gate.enter(caller.tenant)
            yield caller
        except GatewayError:
            await self._note_limits(call, caller.tenant)
            raise
        await self._note_limits(call, caller.tenant)

    async def _note_limits(self, call: Call, tenant: Tenant) -> None:
        record = call.record
        for name, state in (
            ("requests", self.gate.state(tenant)),
            ("edits", self.admission.state(tenant)),
        ):
            if state is not None:
                record.buckets[name] = state
        record.balance = await self.admission.balance(tenant)

    async def _order(self, call: Call, caller: Caller, draft: Draft) -> Order:
        digest = edit_digest(draft.edit, sandbox=caller.sandbox)
        call.record.digest = digest
        tenant = caller.tenant
        epoch = await self.epochs.epoch(tenant.scope, draft.edit.operation, digest)
        slot = None
        if draft.idempotency_key is not None:
            named = f"{tenant.id}\n{draft.idempotency_key}"
            slot = hashlib.sha256(named.encode()).hexdigest()
        key = CacheKey(tenant.scope, digest, epoch)
        return Order(draft, key, tenant, caller.sandbox, slot)

    async def _complete(self, order: Order) -> Pictures:
        """Fetch the pictures that were named by content, and check them as the sent ones were."""
        draft = order.draft
        named = [slot for slot in draft.edit.images if slot.image not in draft.pictures]
        if not named:
            return draft.pictures
        pictures = dict(draft.pictures)
        missing = []
        for slot in named:
            data = await self.blobs.read_blob(order.key.scope, slot.image.sha256)
            if data is None or len(data) != slot.image.size:
                missing.append(_not_found(slot.name))
            else:
                pictures[slot.image] = data
        if missing:
            raise BlobMissing(missing)
        violations, _ = examine(draft.edit, pictures)
        if violations:
            raise InvalidRequest(violations)
        return pictures


def _main_field(edit: Edit) -> str:
    """Name what a refusal that names no field is about: the first picture, else the first parameter."""
    return edit.images[0].name if edit.images else edit.parameters[0].name


def _not_found(field: str) -> Violation:
    return Violation(field, Code.BLOB_NOT_FOUND, "is not kept here, or no longer: upload it again")
