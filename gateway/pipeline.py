"""The way of a request. This is the only module that knows the order of the steps.

    authenticate -> decode -> check -> digest -> cache? hit: answer
      -> complete the pictures -> flight: buy -> store

No step calls the next. Whatever fails raises one error of `domain/errors.py`; nothing is spent before
`buy`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from gateway.domain.answer import AccountState
from gateway.domain.caching import CacheMode, Lives, is_read, life
from gateway.domain.calls import Call, Delivery, FromCache, Plan
from gateway.domain.credits import CREDITS
from gateway.domain.digest import edit_digest
from gateway.domain.edit import ImageRef
from gateway.domain.errors import BlobMissing, InvalidRequest, NotCached, NotKept, Violation
from gateway.domain.examine import examine
from gateway.domain.tenant import Caller, Tenant
from gateway.domain.violations import Code
from gateway.flights import Flights
from gateway.ports import (
    AccountSource,
    Authenticator,
    BlobStore,
    CachedAnswer,
    CacheKey,
    Draft,
    Pictures,
    Purchase,
    ResultCache,
    Upstream,
)

__all__ = ["BLOB_LIFE", "Editor", "Pipeline", "ReadDraft", "ReadUpload"]

ReadDraft: TypeAlias = Callable[[Tenant], Awaitable[Draft]]
"""A door's own step: reads the request's body, once it is known whose it is."""

ReadUpload: TypeAlias = Callable[[], Awaitable[bytes]]
"""A door's own step: reads an uploaded picture, once it is known whose it is."""

BLOB_LIFE = 24 * 3600.0
"""Seconds for which an uploaded picture, and a result that is handed over as a blob, are kept."""


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
    """All that a door can ask for. `clock` tells seconds since the epoch."""

    authenticator: Authenticator
    upstream: Upstream
    accounts: AccountSource
    results: ResultCache
    blobs: BlobStore
    flights: Flights
    lives: Lives
    clock: Callable[[], float]

    async def edit(self, call: Call, read: ReadDraft) -> Delivery:
        """Serve one edit or background removal. Raises GatewayError."""
        caller = await self._authenticate(call)
        draft = await read(caller.tenant)
        violations, warnings = examine(draft.edit, draft.pictures, draft.violations)
        if violations:
            raise InvalidRequest(violations)
        key = self._key(call, caller, draft)
        hit = await self.results.find(key) if is_read(draft.edit, draft.mode) else None
        if hit is not None:
            return self._delivery_of(hit, key, draft, warnings)
        if draft.mode is CacheMode.ONLY_IF_CACHED:
            raise NotCached("No stored result answers this call, and nothing else was wanted.")
        pictures = await self._complete(draft, caller.tenant.scope)
        purchase = Purchase(draft.edit, pictures, caller.sandbox)
        return await self.flights.fly(lambda: self._buy(purchase, key, draft, warnings))

    async def plan(self, call: Call, read: ReadDraft) -> Plan:
        """Say what a call would do and cost, and spend nothing. Raises GatewayError."""
        caller = await self._authenticate(call)
        draft = await read(caller.tenant)
        violations, warnings = examine(draft.edit, draft.pictures, draft.violations)
        unseeded = draft.edit.unseeded
        if violations:
            return Plan(violations, warnings, "", 0, unseeded, hit=False)
        key = self._key(call, caller, draft)
        hit = is_read(draft.edit, draft.mode) and await self.results.find(key) is not None
        cost = 0 if hit else CREDITS.of(draft.edit.operation, sandbox=caller.sandbox)
        return Plan((), warnings, key.digest, cost, unseeded, hit)

    async def account(self, call: Call) -> AccountState:
        """Return the state of the upstream account. Raises GatewayError."""
        await self._authenticate(call)
        return await self.accounts.account()

    async def upload(self, call: Call, read: ReadUpload) -> ImageRef:
        """Keep a picture under its content for a day at least. Raises GatewayError."""
        caller = await self._authenticate(call)
        data = await read()
        if not await self.blobs.write_blob(caller.tenant.scope, data, ttl=BLOB_LIFE):
            raise NotKept("The picture could not be kept.", retry_after=1.0)
        return ImageRef.of(data)

    async def download(self, call: Call, sha256: str) -> bytes:
        """Return a kept picture of the caller's scope. Raises GatewayError."""
        caller = await self._authenticate(call)
        data = await self.blobs.read_blob(caller.tenant.scope, sha256)
        if data is None:
            raise BlobMissing([_not_found("sha256")])
        return data

    async def _authenticate(self, call: Call) -> Caller:
        caller = await self.authenticator.authenticate(call.credential)
        call.record.tenant = caller.tenant.id
        return caller

    @staticmethod
    def _key(call: Call, caller: Caller, draft: Draft) -> CacheKey:
        digest = edit_digest(draft.edit, sandbox=caller.sandbox)
        call.record.digest = digest
        return CacheKey(caller.tenant.scope, caller.tenant.id, draft.edit.operation, digest)

    async def _complete(self, draft: Draft, scope: str) -> Pictures:
        """Fetch the pictures that were named by content, and check them as the sent ones were."""
        named = [slot for slot in draft.edit.images if slot.image not in draft.pictures]
        if not named:
            return draft.pictures
        pictures = dict(draft.pictures)
        missing = []
        for slot in named:
            data = await self.blobs.read_blob(scope, slot.image.sha256)
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

    async def _buy(
        self, purchase: Purchase, key: CacheKey, draft: Draft, warnings: tuple[Violation, ...]
    ) -> Delivery:
        """Buy and keep, in a flight: what was paid for is stored though its caller may have left."""
        answer = await self.upstream.buy(purchase)
        cost = CREDITS.of(purchase.edit.operation, sandbox=purchase.sandbox)
        ttl = life(purchase.edit, answer, draft.mode, self.lives)
        kept = ttl is not None and await self.results.store(key, answer, cost_milli=cost, ttl=ttl)
        by_reference = draft.inline is not None and len(answer.body) > draft.inline
        as_blob = kept or (
            by_reference and await self.blobs.write_blob(key.scope, answer.body, ttl=BLOB_LIFE)
        )
        return Delivery(
            answer=answer,
            body=ImageRef.of(answer.body),
            digest=key.digest,
            cost_milli=cost,
            warnings=warnings,
            ignored=draft.ignored,
            cache=FromCache(why_not=_why_not_read(draft), ttl=ttl if kept else None),
            kept=as_blob,
        )

    def _delivery_of(
        self, hit: CachedAnswer, key: CacheKey, draft: Draft, warnings: tuple[Violation, ...]
    ) -> Delivery:
        now = self.clock()
        return Delivery(
            answer=hit.answer,
            body=ImageRef(hit.sha256, len(hit.answer.body)),
            digest=key.digest,
            cost_milli=0,
            warnings=warnings,
            ignored=draft.ignored,
            cache=FromCache(
                tier=hit.tier,
                age=max(0.0, now - hit.stored_at),
                ttl=max(0.0, hit.expires_at - now),
                saved_milli=hit.cost_milli,
            ),
            kept=True,
        )


def _why_not_read(draft: Draft) -> str:
    if is_read(draft.edit, draft.mode):
        return "miss"
    return "unseeded" if draft.mode is CacheMode.DEFAULT else draft.mode.value


def _not_found(field: str) -> Violation:
    return Violation(field, Code.BLOB_NOT_FOUND, "is not kept here, or no longer: upload it again")
