"""One purchase, in a flight: look in the cache again, be admitted, mark as sent, buy, settle, store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from gateway.domain.answer import Answer
from gateway.domain.caching import CacheMode, Lives, is_merged, is_read, life
from gateway.domain.calls import FromCache
from gateway.domain.edit import Edit, ImageRef, Kind
from gateway.domain.errors import (
    Ending,
    GatewayError,
    IdempotencyConflict,
    PolicyError,
    ReplaysUnavailable,
    ResultGone,
    UpstreamRefused,
    shared_error,
)
from gateway.flights import Boarding, Landed
from gateway.ports import (
    BlobStore,
    BoardUnavailable,
    CacheKey,
    Draft,
    Pictures,
    Purchase,
    Replay,
    ReplayBook,
    ReplayConflict,
    ResultCache,
)
from gateway.purchasing.orders import BLOB_LIFE, CallTimes, Goods, Order
from gateway.purchasing.payment import Boarded, Payment

__all__ = ["Purchasing"]

_REFUSAL: Final = "application/vnd.photoroom-gateway.refusal"
"""Media type of a stored refusal: its body is the upstream's message. Never leaves this module."""

_PAUSES: Final = (0.1, 0.3, 1.0)
"""Seconds before the book is told again what it did not hear: what it does not know may be bought twice."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Purchasing:
    """Finds and buys. `clock` tells seconds since the epoch."""

    payment: Payment
    results: ResultCache
    blobs: BlobStore
    replays: ReplayBook
    lives: Lives
    times: CallTimes
    clock: Callable[[], float]

    async def find(self, key: CacheKey) -> Goods | None:
        """Return the stored result. Raises UpstreamRefused for a stored refusal."""
        hit = await self.results.find(key)
        if hit is None:
            return None
        if hit.answer.media_type == _REFUSAL:
            raise UpstreamRefused(hit.answer.body.decode())
        now = self.clock()
        cache = FromCache(
            tier=hit.tier,
            age=max(0.0, now - hit.stored_at),
            ttl=max(0.0, hit.expires_at - now),
            saved_milli=hit.cost_milli,
        )
        body = ImageRef(hit.sha256, len(hit.answer.body))
        return Goods(hit.answer, body, 0, cache, kept=True)

    async def replay(self, order: Order) -> Goods | None:
        """Return what came of the call under the order's idempotency key; None if it was not made.

        Raises the error in which it ended, IdempotencyConflict, ResultGone and ReplaysUnavailable.
        """
        if order.slot is None:
            return None
        try:
            replay = await self.replays.open(order.slot, order.key.digest)
        except ReplayConflict:
            text = "The idempotency key was used for another request."
            raise IdempotencyConflict(text) from None
        except BoardUnavailable:
            text = "Idempotency keys cannot be honoured now."
            raise ReplaysUnavailable(text, retry_after=1.0) from None
        if replay is None:
            return None
        if replay.body is None:
            raise shared_error(replay.reason, replay.message)
        data = await self.blobs.read_blob(order.key.scope, replay.body.sha256)
        if data is None:
            raise ResultGone("The result under this idempotency key is no longer kept.")
        answer = Answer(data, replay.media_type, replay.headers)
        cache = FromCache(tier="replay", saved_milli=replay.cost_milli)
        return Goods(answer, replay.body, 0, cache, kept=True)

    async def note(self, order: Order, goods: Goods) -> None:
        """Note under the order's idempotency key how it ended, and keep the picture as long."""
        if order.slot is None:
            return
        kept = await self.blobs.write_blob(order.key.scope, goods.answer.body, ttl=BLOB_LIFE)
        if not kept:
            _log.warning("a result under an idempotency key could not be kept")
        cost = goods.cost_milli or goods.cache.saved_milli
        await self._close(
            order,
            Replay(
                body=goods.body,
                media_type=goods.answer.media_type,
                headers=goods.answer.headers,
                cost_milli=cost,
            ),
        )

    async def note_failure(self, order: Order, error: GatewayError) -> None:
        """Note under the order's idempotency key an error that may have cost."""
        if error.ending in {Ending.SPENT, Ending.UNKNOWN}:
            await self._close(order, Replay(reason=error.reason, message=error.message))

    async def hand_over(self, order: Order, goods: Goods) -> Goods:
        """Keep a picture that goes by reference for `BLOB_LIFE`: its result may live shorter."""
        inline, left = order.draft.inline, goods.cache.ttl or 0.0
        if inline is None or goods.body.size <= inline or left >= BLOB_LIFE:
            return goods
        kept = await self.blobs.write_blob(order.key.scope, goods.answer.body, ttl=BLOB_LIFE)
        return replace(goods, kept=kept)

    def timeout_of(self, edit: Edit) -> float:
        """Return the seconds that the upstream call of an edit may take."""
        return self.times.generative if edit.generative else self.times.edit

    def trip(self, order: Order, pictures: Pictures) -> _Trip:
        """Return the flight of an order whose pictures are all there."""
        return _Trip(
            self, order, Purchase(order.draft.edit, pictures, order.sandbox, order.key.digest)
        )

    async def buy(self, order: Order, purchase: Purchase, boarded: Boarded) -> Landed[Goods]:
        """Buy, settle and store; the answer says whether every replica finds it."""
        try:
            answer = await self.payment.buy(purchase, boarded)
        except GatewayError as error:
            await self._after_failure(order, error)
            raise
        draft, key, cost = order.draft, order.key, boarded.hold.cost_milli
        ttl = life(purchase.edit, answer, draft.mode, self.lives)
        stored = ttl is not None and await self.results.store(key, answer, cost_milli=cost, ttl=ttl)
        cache = FromCache(why_not=_why_not_read(draft), ttl=ttl if stored else None)
        goods = Goods(answer, ImageRef.of(answer.body), cost, cache, kept=stored)
        await self.note(order, goods)
        return Landed(goods, stored)

    async def _after_failure(self, order: Order, error: GatewayError) -> None:
        """Keep what is certain to repeat, and note under the idempotency key what may have cost."""
        if isinstance(error, UpstreamRefused) and error.certain and _is_kept(order.draft):
            refusal = Answer(error.message.encode(), _REFUSAL)
            await self.results.store(order.key, refusal, cost_milli=0, ttl=self.lives.refusal)
        await self.note_failure(order, error)

    async def _close(self, order: Order, replay: Replay) -> None:
        if order.slot is None:
            return
        for pause in (*_PAUSES, None):
            try:
                await self.replays.close(order.slot, order.key.digest, replay)
            except BoardUnavailable:
                if pause is None:
                    _log.warning("the outcome under an idempotency key could not be noted")
                    return
                await asyncio.sleep(pause)
            else:
                return


@dataclass(frozen=True, slots=True)
class _Trip:
    """Implements `Trip` for an order."""

    purchasing: Purchasing
    order: Order
    purchase: Purchase

    @property
    def timeout(self) -> float:
        return self.purchasing.timeout_of(self.purchase.edit)

    async def look(self, *, landed: bool) -> Goods | None:
        """Look again: between the first look and the lead, another may have stored the result.

        The idempotency key comes first, as a call that may not read the cache is bought once under it too.
        """
        draft = self.order.draft
        if landed and is_merged(draft.edit, draft.mode):
            return await self.purchasing.find(self.order.key)
        replayed = await self.purchasing.replay(self.order)
        if replayed is not None or not is_read(draft.edit, draft.mode):
            return replayed
        return await self.purchasing.find(self.order.key)

    async def lead(self, boarding: Boarding) -> Landed[Goods]:
        payment, tenant = self.purchasing.payment, self.order.tenant
        boarded = await payment.board(tenant, self.purchase, self.timeout, boarding)
        return await self.purchasing.buy(self.order, self.purchase, boarded)

    def meets(self, error: GatewayError) -> bool:
        """A limit of one tenant refuses all its equal calls."""
        return isinstance(error, PolicyError) and error.tenant == self.order.tenant.id


def _is_kept(draft: Draft) -> bool:
    """Whether a refusal follows from the request alone: no template of an account, no URL to fetch.

    A refreshed call's is not kept: it would take the place of a result that others still want.
    """
    edit = draft.edit
    if edit.uses_template or not is_merged(edit, draft.mode) or draft.mode is CacheMode.REFRESH:
        return False
    return all(p.kind is not Kind.URL for p in edit.parameters)


def _why_not_read(draft: Draft) -> str:
    if is_read(draft.edit, draft.mode):
        return "miss"
    return "unseeded" if draft.mode is CacheMode.DEFAULT else draft.mode.value
