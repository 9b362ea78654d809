"""The configured keys as one upstream."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from gateway.domain.answer import Answer
from gateway.domain.errors import KeyThrottled, KeyTrouble, UpstreamUnavailable
from gateway.ports import Purchase
from gateway.upstream.keyring import KeyRing
from gateway.upstream.reading import DEFAULT_WAIT
from gateway.upstream.settings import UpstreamKey

__all__ = ["Keychain", "Sender"]

_MARGIN = 1.0
"""Seconds added to a wait: the upstream says whole seconds and cuts off the rest."""


class Sender(Protocol):
    """Buys one edit with one key: `PhotoroomClient`, and what wraps it."""

    async def send(self, purchase: Purchase, key: UpstreamKey) -> Answer:
        """Send the purchase once. Raises as `PhotoroomClient.send` does."""
        ...


class Keychain:
    """Implements `Upstream`: the keys of the ring in their order, the next one on trouble.

    A throttled key (429) is left alone until its wait has passed, its sandbox twin apart from it: the
    two have quotas of their own, and so has another secret under the same id. Nothing else is
    remembered, and nothing is shared between replicas: a key that is rejected, forbidden or exhausted is
    tried again by the next purchase, at the price of one uncharged call. `clock` gives seconds that never
    run backwards.
    """

    def __init__(
        self,
        sender: Sender,
        ring: KeyRing,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sender = sender
        self._ring = ring
        self._clock = clock
        self._closed_until: dict[tuple[UpstreamKey, bool], float] = {}

    async def buy(self, purchase: Purchase) -> Answer:
        """Buy one edit with the first key that can: at most one charge, as no trouble is charged.

        Raises what `PhotoroomClient.send` raises, KeyTrouble apart: when every key is in trouble it is
        UpstreamUnavailable, with the time until the first throttled key returns.
        """
        keys = self._ring.keys
        for key in keys:
            if self._wait(key, purchase) > 0:
                continue
            try:
                return await self._sender.send(purchase, key)
            except KeyThrottled as trouble:
                wait = DEFAULT_WAIT if trouble.retry_after is None else trouble.retry_after
                self._leave_alone(key, purchase, wait + _MARGIN)
            except KeyTrouble:
                continue
        waits = [wait for key in keys if (wait := self._wait(key, purchase)) > 0]
        raise UpstreamUnavailable(
            "No upstream key can serve the call now.", retry_after=min(waits, default=None)
        )

    def _wait(self, key: UpstreamKey, purchase: Purchase) -> float:
        """Seconds for which the key is still left alone; zero or less when it may be used."""
        return self._closed_until.get((key, purchase.sandbox), 0.0) - self._clock()

    def _leave_alone(self, key: UpstreamKey, purchase: Purchase, seconds: float) -> None:
        """Note it, and forget whose wait has passed: a key that was replaced is not kept for ever."""
        now = self._clock()
        waiting = {twin: until for twin, until in self._closed_until.items() if until > now}
        self._closed_until = {**waiting, (key, purchase.sandbox): now + seconds}
