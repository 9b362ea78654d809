"""The configured keys as one upstream."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from gateway.domain.answer import Answer
from gateway.domain.errors import KeyThrottled, KeyTrouble, UpstreamUnavailable
from gateway.ports import Purchase
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
    """Implements `Upstream`: the keys in the order of the configuration, the next one on trouble.

    A throttled key (429) is left alone until its wait has passed, its sandbox twin apart from it: the
    two have quotas of their own. Nothing else is remembered, and nothing is shared between replicas: a
    key that is rejected, forbidden or exhausted is tried again by the next purchase, at the price of
    one uncharged call. `clock` gives seconds that never run backwards.
    """

    def __init__(
        self,
        sender: Sender,
        keys: Sequence[UpstreamKey],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sender = sender
        self._keys = tuple(keys)
        self._clock = clock
        self._closed_until: dict[tuple[str, bool], float] = {}

    async def buy(self, purchase: Purchase) -> Answer:
        """Buy one edit with the first key that can: at most one charge, as no trouble is charged.

        Raises what `PhotoroomClient.send` raises, KeyTrouble apart: when every key is in trouble it is
        UpstreamUnavailable, with the time until the first throttled key returns.
        """
        for key in self._keys:
            if self._wait(key, purchase) > 0:
                continue
            try:
                return await self._sender.send(purchase, key)
            except KeyThrottled as trouble:
                wait = DEFAULT_WAIT if trouble.retry_after is None else trouble.retry_after
                self._closed_until[key.id, purchase.sandbox] = self._clock() + wait + _MARGIN
            except KeyTrouble:
                continue
        waits = [wait for key in self._keys if (wait := self._wait(key, purchase)) > 0]
        raise UpstreamUnavailable(
            "No upstream key can serve the call now.", retry_after=min(waits, default=None)
        )

    def _wait(self, key: UpstreamKey, purchase: Purchase) -> float:
        """Seconds for which the key is still left alone; zero or less when it may be used."""
        return self._closed_until.get((key.id, purchase.sandbox), 0.0) - self._clock()
